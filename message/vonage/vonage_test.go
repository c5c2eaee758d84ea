package vonage

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

// The example in the tests of Vonage's library for Python.
func TestSign_published(t *testing.T) {
	form := url.Values{"a": {"1"}, "b": {"2"}, "timestamp": {"1461605396"}, "sig": {"not part of it"}}
	if got := sign("secret", form); got != "a321e824b9b816be7c3f28859a31749a098713d39f613c80d455bbaffae1cd24" {
		t.Error(got)
	}
}

func TestKinds(t *testing.T) {
	for status, want := range map[int]string{1: "throttled", 2: "other", 3: "other", 4: "credentials", 5: "down", 6: "number", 7: "blocked", 8: "permission", 9: "funds",
		10: "throttled", 11: "permission", 12: "content", 13: "unreachable", 14: "credentials", 15: "from", 19: "permission", 22: "other", 23: "other", 29: "trial",
		32: "credentials", 33: "number", 34: "number", 99: "other"} {
		if got := kind(status); string(got) != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}

// Parts of a long message: all, some, none.
func TestRead_parts(t *testing.T) {
	for body, want := range map[string]authn.SendError{
		`{"messages":[{"status":"0","message-id":"A"},{"status":"9","error-text":"Quota"}]}`:      {Code: "9", Reason: "funds", Unsure: true},
		`{"messages":[{"status":"6","error-text":"Unroutable"},{"status":"0","message-id":"A"}]}`: {Code: "6", Reason: "number", Unsure: true},
		`{"messages":[{"status":"6","error-text":"Unroutable"},{"status":"6"}]}`:                  {Code: "6", Reason: "number", Permanent: true},
		`{"messages":[{"status":"","message-id":"A"}]}`:                                           {Reason: "garbled", Unsure: true},
		`{"messages":[{"status":"zero"}]}`:                                                        {Reason: "garbled", Unsure: true},
		`{"messages":[{"status":"0"}]}`:                                                           {Reason: "garbled", Unsure: true},
		`{"messages":[]}`:                                                                         {Reason: "garbled", Unsure: true},
		`{"messages":[{"status":0,"message-id":"A"}]}`:                                            {Reason: "garbled", Unsure: true},
	} {
		_, e := read(httpsend.Answer{Status: 200, Body: []byte(body)})
		if e == nil || e.Code != want.Code || e.Reason != want.Reason || e.Unsure != want.Unsure || e.Permanent != want.Permanent {
			t.Errorf("%s: %+v", body, e)
		}
	}
	reply, e := read(httpsend.Answer{Status: 200, Body: []byte(`{"messages":[{"status":"0","message-id":"A"},{"status":"0","message-id":"B"}]}`)})
	if e != nil || reply.Reference != "A" {
		t.Errorf("%+v, %+v", reply, e)
	}
	if _, e := read(httpsend.Answer{Status: 401, Body: []byte(`{"title":"Unauthorized","detail":"You did not provide correct credentials."}`)}); e == nil ||
		e.Reason != "credentials" || e.Reply != "You did not provide correct credentials." || e.Unsure {
		t.Errorf("%+v", e)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"messages":[{"status":"0","message-id":"A"}]}`, `{"messages":[{"status":"4","error-text":"Bad Credentials"}]}`, `{"detail":"x"}`, `[]`, ""} {
		f.Add(200, []byte(s))
		f.Add(401, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		reply, e := read(httpsend.Answer{Status: status, Body: body})
		if (e == nil) != httpsend.IsReference(reply.Reference) || e == nil && status/100 != 2 {
			t.Errorf("%+v, %+v", reply, e)
		}
		if e != nil && !slices.Contains(httpsend.Reasons(), e.Reason) {
			t.Errorf("%+v", e)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	f.Add("POST", "https://a.example/r", "application/json", []byte(`{"messageId":"A","status":"delivered","sig":"00"}`))
	f.Add("POST", "https://a.example/r", "", []byte(`messageId=A&status=delivered&timestamp=1&sig=00`))
	f.Add("GET", "https://a.example/r?messageId=A&status=delivered&timestamp=1&sig=00", "", []byte(nil))
	f.Fuzz(func(t *testing.T, method, address, kind string, body []byte) {
		q := authn.ReceiptRequest{Method: method, URL: address, Body: body, Header: http.Header{"Content-Type": {kind}}, Now: time.Unix(1, 0)}
		if got, err := New(http.DefaultClient).Receipt(authn.TextProvider{Secret: "pT9vQm3XcR7LkWz2BnYh5JdGs8FaEu4V"}, q); err == nil {
			t.Errorf("forged: %+v", got)
		}
	})
}
