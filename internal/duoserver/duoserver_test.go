package duoserver

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// What nobody answers in time is over: in the list, for a late answer, and for
// whoever polls.
func TestLives(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	s := New(Config{Now: func() time.Time { return now }, Lives: time.Minute, Poll: time.Nanosecond})
	s.AddUser(User{Username: "diego", Devices: []Device{Phone("DP1")}})
	form := url.Values{"username": {"diego"}, "factor": {"push"}, "device": {"auto"}, "async": {"1"}}
	if _, fail := s.auth(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), form); fail != nil {
		t.Fatal(fail)
	}
	id := s.Pushes()[0].TxID
	poll := func() any {
		got, fail := s.authStatus(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), url.Values{"txid": {id}})
		if fail != nil {
			t.Fatal(fail)
		}
		return got.(map[string]any)["status"]
	}
	now = now.Add(time.Minute - 1)
	if got := poll(); got != "pushed" || s.Pushes()[0].Result != "waiting" {
		t.Errorf("before its end it is %v", got)
	}
	now = now.Add(1)
	if got := poll(); got != "timeout" {
		t.Errorf("at its end it is %v", got)
	}
	if err := s.Approve(id); !errors.Is(err, ErrOver) {
		t.Errorf("approved afterwards: %v", err)
	}
	if p := s.Pushes()[0]; p.Result != "deny" || p.Status != "timeout" {
		t.Errorf("%+v", p)
	}
}

// An app makes another passcode for each that was used.
func TestPasscodes(t *testing.T) {
	s := New(Config{Passcodes: 2})
	s.AddUser(User{Username: "Diego", Passcodes: []string{"1111111"}})
	codes := s.Users()[0].Passcodes
	if len(codes) != 2 || codes[0] != "1111111" || len(codes[1]) != 6 {
		t.Fatalf("%v", codes)
	}
	form := url.Values{"username": {"diego"}, "factor": {"passcode"}, "passcode": {codes[0]}}
	for i, want := range []string{"allow", "deny"} {
		got, fail := s.auth(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), form)
		if fail != nil || got.(map[string]any)["result"] != want {
			t.Errorf("try %d: %v, %v", i+1, got, fail)
		}
	}
	if left := s.Users()[0].Passcodes; len(left) != 2 || left[0] != codes[1] {
		t.Errorf("left: %v", left)
	}
}
