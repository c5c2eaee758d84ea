package session_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

var here = authn.Client{Browser: "cookie", Agent: "Chrome on Windows"}

func open(t *testing.T, w *sallyporttest.Server, p sallyporttest.Person) authn.Token {
	t.Helper()
	st, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password, Client: here})
	if err != nil || st.Session == nil {
		t.Fatalf("%+v %v", st.Attempt, err)
	}
	return st.SessionToken
}

func alive(w *sallyporttest.Server, t *testing.T, tok authn.Token) bool {
	_, err := w.Sessions.Check(t.Context(), tok.Reveal(), here)
	return err == nil
}

func TestLife_std30_rul45(t *testing.T) {
	w := sallyporttest.NewServer(t)
	p := w.AddUser(t, w.Company, "omar", false)
	tok := open(t, w, p)
	// In use it lives for its 24 hours, however fresh the cookie.
	for range 30 {
		w.Clock.Advance(47 * time.Minute)
		if !alive(w, t, tok) {
			t.Fatal("ended while in use")
		}
	}
	w.Clock.Advance(29 * time.Minute) // 23:59
	if !alive(w, t, tok) {
		t.Error("ended too early")
	}
	w.Clock.Advance(time.Minute)
	if alive(w, t, tok) {
		t.Error("lives longer than 24 hours")
	}
	tok = open(t, w, p)
	w.Clock.Advance(59 * time.Minute)
	if !alive(w, t, tok) {
		t.Error("idle for 59 minutes: over")
	}
	w.Clock.Advance(time.Hour)
	if alive(w, t, tok) {
		t.Error("idle for an hour: open")
	}
}

func TestSignOut_invF_std37(t *testing.T) {
	w := sallyporttest.NewServer(t)
	p := w.AddUser(t, w.Company, "omar", false)
	a, b, c := open(t, w, p), open(t, w, p), open(t, w, p)
	if err := w.Sessions.SignOut(t.Context(), a, here); err != nil {
		t.Fatal(err)
	}
	if alive(w, t, a) || !alive(w, t, b) {
		t.Error("signed out of the wrong one")
	}
	if err := w.Sessions.SignOut(t.Context(), a, here); err != nil {
		t.Errorf("twice: %v", err)
	}
	if err := w.Sessions.SignOutOthers(t.Context(), b, here); err != nil {
		t.Fatal(err)
	}
	if !alive(w, t, b) || alive(w, t, c) {
		t.Error("others are not signed out")
	}
	if err := w.Sessions.SignOutOthers(t.Context(), c, here); authn.AsError(err).Code != authn.Unauthenticated {
		t.Errorf("a dead session acts: %v", err)
	}
	cur, err := w.Sessions.Check(t.Context(), b.Reveal(), here)
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.Sessions.List(t.Context(), cur)
	if err != nil || len(list) != 1 || list[0].ID != b.ID || list[0].Agent != "Chrome on Windows" {
		t.Errorf("%+v %v", list, err)
	}
}

func TestForgedTokens_cve38_cve55(t *testing.T) {
	w := sallyporttest.NewServer(t)
	p := w.AddUser(t, w.Company, "omar", false)
	good := open(t, w, p).Reveal()
	if _, err := w.Sessions.Check(t.Context(), good, here); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, r := range []byte{'0', 'a', 'v', 'V', '_', ' ', 0} {
			if good[i] == r {
				continue
			}
			bad := good[:i] + string(r) + good[i+1:]
			if _, err := w.Sessions.Check(t.Context(), bad, here); authn.AsError(err).Code != authn.Unauthenticated {
				t.Fatalf("position %d, %q: %v", i, r, err)
			}
		}
	}
	for _, bad := range []string{"", "sp_ses_", good + "0", good[:len(good)-1], "sp_att_" + good[7:], "Bearer " + good} {
		if _, err := w.Sessions.Check(t.Context(), bad, here); authn.AsError(err).Code != authn.Unauthenticated {
			t.Errorf("%.12q: %v", bad, err)
		}
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	if _, err := session.New(session.Config{}); err == nil {
		t.Error("no error")
	}
}
