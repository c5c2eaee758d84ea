package plivo

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

// What is signed, in each of the cases that Plivo's libraries know.
func TestSignedText(t *testing.T) {
	for _, c := range []struct {
		address string
		form    url.Values
		want    []string
	}{
		{"https://a.example/r", nil, []string{"https://a.example/r.9"}},
		{"https://a.example/r?b=2&a=%2B1", nil, []string{"https://a.example/r?a=+1&b=2.9"}},
		{"https://a.example/r", url.Values{"To": {"1"}, "From": {"2"}}, []string{"https://a.example/r?From2To1.9", "https://a.example/r.From2To1.9"}},
		{"https://a.example/r?b=2&a=1", url.Values{"To": {"3", "1"}}, []string{"https://a.example/r?a=1&b=2.To1To3.9"}},
	} {
		u, err := url.Parse(c.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := v3(u, c.form, "9"); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.address, got, c.want)
		}
		if got := v2(u, c.form, "9"); !slices.Equal(got, []string{"https://a.example/r9"}) {
			t.Errorf("%s: %q", c.address, got)
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   authn.SendError
	}{
		{400, `{"error":"insufficient credit"}`, authn.SendError{Code: "400", Reason: "funds"}},
		{400, `{"error":{"dst":["is not valid"]}}`, authn.SendError{Code: "400", Reason: "number", Permanent: true}},
		{400, `{"error":"src is not yours"}`, authn.SendError{Code: "400", Reason: "from"}},
		{400, `{"error":"this country is not enabled for your account"}`, authn.SendError{Code: "400", Reason: "country"}},
		{400, `{"error":"not on a trial account"}`, authn.SendError{Code: "400", Reason: "trial"}},
		{400, `{"error":"text parameter too long"}`, authn.SendError{Code: "400", Reason: "other", Permanent: true}},
		{400, `{"error":"?"}`, authn.SendError{Code: "400", Reason: "other"}},
		{401, `{"error":"authentication failed"}`, authn.SendError{Code: "401", Reason: "credentials"}},
		{402, `{"error":"pay"}`, authn.SendError{Code: "402", Reason: "funds"}},
		{403, `{"error":"no"}`, authn.SendError{Code: "403", Reason: "permission"}},
		{404, `{"error":"not found"}`, authn.SendError{Code: "404", Reason: "other"}},
		{429, `{}`, authn.SendError{Code: "429", Reason: "throttled"}},
		{500, `{"error":"server error"}`, authn.SendError{Code: "500", Reason: "down", Unsure: true}},
		{202, `{"message_uuid":[]}`, authn.SendError{Reason: "garbled", Unsure: true}},
		{202, `{"message_uuid":["a","b"]}`, authn.SendError{Reason: "garbled", Unsure: true}},
		{202, `{"message_uuid":["a"],"error":"but"}`, authn.SendError{Reason: "garbled", Unsure: true}},
		{202, `{"error":"insufficient credit"}`, authn.SendError{Reason: "funds"}},
	} {
		_, e := read(httpsend.Answer{Status: c.status, Body: []byte(c.body)})
		if e == nil || e.Code != c.want.Code || e.Reason != c.want.Reason || e.Unsure != c.want.Unsure || e.Permanent != c.want.Permanent {
			t.Errorf("%d %s: %+v", c.status, c.body, e)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"message_uuid":["a"],"message":"queued"}`, `{"error":"insufficient credit"}`, `{"error":{"dst":1}}`, `{"error":null}`, `[]`, ""} {
		f.Add(202, []byte(s))
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
	f.Add("https://a.example/r?x=1", []byte("MessageUUID=a&Status=sent"), "c2ln,c2ln", "1")
	f.Fuzz(func(t *testing.T, address string, body []byte, signature, nonce string) {
		p := authn.TextProvider{Secret: "NDg5YjJkMzc0YTRlNzVjOTBkZmE2ZDU4ZDhkYmY2"}
		q := authn.ReceiptRequest{Method: "POST", URL: address, Body: body}
		for _, version := range []string{"V3", "V2"} {
			q.Header = http.Header{"X-Plivo-Signature-" + version: {signature}, "X-Plivo-Signature-" + version + "-Nonce": {nonce}}
			if got, err := New(http.DefaultClient).Receipt(p, q); err == nil {
				t.Errorf("forged: %+v", got)
			}
		}
		u, err := url.Parse(address)
		form, err2 := url.ParseQuery(string(body))
		if err != nil || err2 != nil || nonce == "" || len(body) > httpsend.Most {
			return
		}
		for _, text := range v3(u, form, nonce) {
			q.Header = http.Header{"X-Plivo-Signature-V3": {sign(p.Secret, text)}, "X-Plivo-Signature-V3-Nonce": {nonce}}
			if _, err := New(http.DefaultClient).Receipt(p, q); errors.Is(err, authn.Forbidden) {
				t.Errorf("rightly signed and refused: %v", err)
			}
		}
	})
}
