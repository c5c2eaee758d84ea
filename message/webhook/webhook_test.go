package webhook

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/httpsend"
)

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"reference":"a"}`, `{"reason":"number"}`, `{"reason":"timeout"}`, `[]`, ""} {
		f.Add(200, []byte(s))
		f.Add(422, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		reply, e := read(httpsend.Answer{Status: status, Body: body}, "m-1")
		if (e == nil) != (status/100 == 2) || (e == nil) != httpsend.IsReference(reply.Reference) {
			t.Errorf("%+v, %+v", reply, e)
		}
		// rul_32: what is told of it is ours.
		if e != nil && (!slices.Contains(httpsend.Reasons(), e.Reason) || e.Reply != http.StatusText(status)) {
			t.Errorf("%+v", e)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	f.Add([]byte(`{"type":"text.receipt","reference":"a","state":"failed"}`), "t=1,v1=00")
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		p := authn.TextProvider{Secret: "whs-3kV8mQ2xLr7TzN5c"}
		q := authn.ReceiptRequest{Method: "POST", Body: body, Now: time.Unix(1, 0), Header: http.Header{SignatureHeader: {signature}}}
		if got, err := New(http.DefaultClient).Receipt(p, q); err == nil {
			t.Errorf("forged: %+v", got)
		}
		q.Header = http.Header{SignatureHeader: {Sign(p.Secret, q.Now, body)}}
		if got, err := New(http.DefaultClient).Receipt(p, q); err == nil && !httpsend.IsReference(got.Reference) {
			t.Errorf("%+v", got)
		}
	})
}
