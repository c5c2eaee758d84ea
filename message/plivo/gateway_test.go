package plivo_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/plivo"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func at(base string) *plivo.Driver {
	d := plivo.New(&http.Client{Transport: &http.Transport{}})
	d.Base = base
	return d
}

func TestDriver_B5(t *testing.T) {
	sallyporttest.RunTextDriver(t, sallyporttest.TextDriverTest{
		New: func(c *http.Client, base string, _ func() time.Time) authn.TextDriver {
			d := plivo.New(c)
			d.Base = base
			return d
		},
		Gateway: func(t testing.TB) sallyporttest.TextsGateway { return sallyporttest.NewPlivo(t) },
		Refusals: map[sallyporttest.TextFault]authn.SendError{
			sallyporttest.TextThrottled:   {Stage: "accept", Code: "429", Reason: "throttled"},
			sallyporttest.TextCredentials: {Stage: "sign_in", Code: "401", Reason: "credentials"},
			sallyporttest.TextFunds:       {Stage: "accept", Code: "400", Reason: "funds"},
			sallyporttest.TextNumber:      {Stage: "accept", Code: "400", Reason: "number", Permanent: true},
			sallyporttest.TextBlocked:     {Stage: "accept", Code: "400", Reason: "blocked", Permanent: true},
			sallyporttest.TextInside:      {Stage: "accept", Reason: "number", Permanent: true},
		},
	})
}

const id = "db3ce55a-7f1d-11e1-8ea7-1231380bc196"

func TestReceipts_B5(t *testing.T) {
	g := sallyporttest.NewPlivo(t)
	d := at(g.URL())
	sallyporttest.RunTextReceipts(t, d, g.Provider(), g.Report, id, map[string]string{
		"delivered": "delivered", "read": "delivered", "failed": "failed", "undelivered": "failed", "rejected": "failed", "queued": "pending", "sent": "pending",
	})
	q := func() authn.ReceiptRequest {
		return g.Report("https://sallyport.example/r", id, "sent", "", time.Now())
	}
	for what, spoil := range map[string]func(http.Header){
		"main account": func(h http.Header) {
			h["X-Plivo-Signature-Ma-V3"] = h["X-Plivo-Signature-V3"]
			h.Del("X-Plivo-Signature-V3")
		},
		"two tokens": func(h http.Header) { h["X-Plivo-Signature-V3"][0] = "c29tZXRoaW5n, " + h["X-Plivo-Signature-V3"][0] },
		"V2 alone":   func(h http.Header) { h.Del("X-Plivo-Signature-V3") },
	} {
		report := q()
		spoil(report.Header)
		if _, err := d.Receipt(g.Provider(), report); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A wrong V3 is not mended by a right V2, and without a nonce there is nothing.
	for what, spoil := range map[string]func(http.Header){
		"wrong V3":    func(h http.Header) { h.Set("X-Plivo-Signature-V3", "d3Jvbmc=") },
		"no nonce":    func(h http.Header) { h.Del("X-Plivo-Signature-V3-Nonce") },
		"other nonce": func(h http.Header) { h.Set("X-Plivo-Signature-V3-Nonce", "1") },
		"only empty": func(h http.Header) {
			clear(h)
			h["X-Plivo-Signature-V2"], h["X-Plivo-Signature-V2-Nonce"] = []string{","}, []string{"1"}
		},
	} {
		report := q()
		spoil(report.Header)
		if _, err := d.Receipt(g.Provider(), report); !errors.Is(err, authn.Forbidden) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRequest(t *testing.T) {
	g := sallyporttest.NewPlivo(t)
	d := at(g.URL())
	s, err := d.Open(g.Provider())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Callback(s, "https://sallyport.example/r").Send(t.Context(), authn.Message{To: "+12025550199", Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	if m := g.Sent()[0]; m.Callback != "https://sallyport.example/r" {
		t.Errorf("%+v", m)
	}
	g.From = "+12025550144"
	e := (*authn.SendError)(nil)
	if err := s.Send(t.Context(), authn.Message{To: "+12025550199", Text: "hello"}); !errors.As(err, &e) || e.Reason != "from" {
		t.Errorf("%+v", e)
	}
	if other := (authn.TextSender)(nil); d.Callback(other, "x") != other {
		t.Error("a foreign sender is not given back")
	}
}
