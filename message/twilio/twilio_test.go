package twilio

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

// The examples of Twilio's documentation and of its libraries' tests.
func TestSign_published(t *testing.T) {
	form := url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}}
	if got := sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form); got != "RSOYDt4T1cUTdK1PDd93/VVr8B8=" {
		t.Error(got)
	}
	form = url.Values{"Sid": {"CA123"}, "SidAccount": {"AC123"}, "Digits": {"5678", "1234", "1234"}}
	if got := sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form); got != "IK+Dwps556ElfBT0I3Rgjkr1wJU=" {
		t.Error(got)
	}
}

func TestKinds(t *testing.T) {
	for code, want := range map[int]string{
		20003: "credentials", 20404: "credentials", 20005: "funds", 20429: "throttled", 21211: "number", 21408: "country", 21606: "from", 21608: "trial",
		21610: "blocked", 21614: "number", 21612: "unreachable", 21617: "content", 30001: "throttled", 30002: "funds", 30003: "unreachable", 30004: "blocked",
		30005: "number", 30006: "number", 30007: "blocked", 30008: "other", 20500: "down", 20403: "permission", 1: "other",
	} {
		if got := kind(code); string(got) != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
}

// Whatever comes, the parser answers, and takes nothing without an id.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"sid":"SM1","status":"queued"}`, `{"code":20003,"message":"Authenticate","status":401}`, `{"sid":"SM1","status":"failed","error_code":30007}`, `[]`, `{"status":{}}`, ""} {
		f.Add(201, []byte(s))
		f.Add(400, []byte(s))
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
	f.Add("https://a.example/r?x=1", []byte("MessageSid=SM1&MessageStatus=sent"), "c2ln")
	f.Fuzz(func(t *testing.T, address string, body []byte, signature string) {
		p := authn.TextProvider{Secret: "f6e5d4c3b2a1908f7e6d5c4b3a291807"}
		q := authn.ReceiptRequest{Method: "POST", URL: address, Body: body, Header: http.Header{"X-Twilio-Signature": {signature}}}
		if got, err := New(http.DefaultClient).Receipt(p, q); err == nil {
			t.Errorf("forged: %+v", got)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil || len(body) > httpsend.Most {
			return
		}
		q.Header = http.Header{"X-Twilio-Signature": {sign(p.Secret, address, form)}}
		if _, err := New(http.DefaultClient).Receipt(p, q); errors.Is(err, authn.Forbidden) {
			t.Errorf("rightly signed and refused: %v", err)
		}
	})
}
