package twilio_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/twilio"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func at(base string) *twilio.Driver {
	d := twilio.New(&http.Client{Transport: &http.Transport{}})
	d.Base = base
	return d
}

func TestDriver_B5(t *testing.T) {
	sallyporttest.RunTextDriver(t, sallyporttest.TextDriverTest{
		New: func(c *http.Client, base string, _ func() time.Time) authn.TextDriver {
			d := twilio.New(c)
			d.Base = base
			return d
		},
		Gateway: func(t testing.TB) sallyporttest.TextsGateway { return sallyporttest.NewTwilio(t) },
		Refusals: map[sallyporttest.TextFault]authn.SendError{
			sallyporttest.TextThrottled:   {Stage: "accept", Code: "20429", Reason: "throttled"},
			sallyporttest.TextCredentials: {Stage: "sign_in", Code: "20003", Reason: "credentials"},
			sallyporttest.TextFunds:       {Stage: "accept", Code: "20005", Reason: "funds"},
			sallyporttest.TextNumber:      {Stage: "accept", Code: "21211", Reason: "number", Permanent: true},
			sallyporttest.TextBlocked:     {Stage: "accept", Code: "21610", Reason: "blocked", Permanent: true},
			sallyporttest.TextInside:      {Stage: "accept", Code: "30007", Reason: "blocked", Permanent: true},
		},
	})
}

func TestReceipts_B5(t *testing.T) {
	g := sallyporttest.NewTwilio(t)
	sallyporttest.RunTextReceipts(t, at(g.URL()), g.Provider(), g.Report, "SM00000000000000000000000000000001", map[string]string{
		"delivered": "delivered", "read": "delivered", "failed": "failed", "undelivered": "failed", "canceled": "failed",
		"queued": "pending", "sending": "pending", "sent": "pending", "accepted": "pending", "something new": "pending",
	})
}

// Twilio may sign the address with the usual port or without it.
func TestReceipt_port(t *testing.T) {
	g := sallyporttest.NewTwilio(t)
	d := at(g.URL())
	for told, signed := range map[string]string{
		"https://a.example/r": "https://a.example:443/r", "https://a.example:443/r": "https://a.example/r", "https://a.example:8443/r": "https://a.example:8443/r",
	} {
		q := g.Report(signed, "SM1", "sent", "", time.Now())
		q.URL = told
		if _, err := d.Receipt(g.Provider(), q); err != nil {
			t.Errorf("%s: %v", told, err)
		}
		q.URL = strings.Replace(told, "a.example", "b.example", 1)
		if _, err := d.Receipt(g.Provider(), q); !errors.Is(err, authn.Forbidden) {
			t.Errorf("%s for another host: %v", told, err)
		}
	}
}

// A messaging service, a name, the callback, and a number that is not ours.
func TestRequest(t *testing.T) {
	g := sallyporttest.NewTwilio(t)
	d, p := at(g.URL()), g.Provider()
	for _, from := range []string{"MG0123456789abcdef0123456789abcdef", "+12025550143"} {
		p.From = from
		s, err := d.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Callback(s, "https://sallyport.example/r?x=1").Send(t.Context(), authn.Message{To: "+12025550199", Text: "hello"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Send(t.Context(), authn.Message{To: "+12025550199", Text: "hello"}); err != nil {
			t.Fatal(err)
		}
		list := g.Sent()
		if m := list[len(list)-2:]; m[0].From != from || m[0].Callback != "https://sallyport.example/r?x=1" || m[1].Callback != "" {
			t.Errorf("%+v", m)
		}
	}
	p.From = "ACME 1"
	s, err := d.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	e := (*authn.SendError)(nil)
	if err := s.Send(t.Context(), authn.Message{To: "+12025550199", Text: "hello"}); !errors.As(err, &e) || e.Reason != "from" || e.Permanent {
		t.Errorf("%+v", e)
	}
	for _, from := range []string{"12025550143", "+0202555", "123456", "TWELVECHARSX", "-", "Ącme"} {
		p.From = from
		if _, err := d.Open(p); !errors.Is(err, authn.Invalid) {
			t.Errorf("%q passes", from)
		}
	}
	if other := (authn.TextSender)(nil); d.Callback(other, "x") != other {
		t.Error("a foreign sender is not given back")
	}
}

// The whole way of a report: from the gateway, over HTTP, to the driver. The
// gateway needs no test to work.
func TestDeliverReport(t *testing.T) {
	g := sallyporttest.NewTwilio(nil)
	defer g.Close()
	d := at(g.URL())
	got := make(chan authn.Receipt, 1)
	base := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		receipt, err := d.Receipt(g.Provider(), authn.ReceiptRequest{Method: r.Method, URL: base + r.URL.RequestURI(), Header: r.Header, Body: body, Now: time.Now()})
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		got <- receipt
	}))
	defer s.Close()
	base = s.URL
	if err := sallyporttest.DeliverReport(t.Context(), s.Client(), g.Report(base+"/r?a=b", "SM1", "undelivered", "30003", time.Now())); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r != (authn.Receipt{Reference: "SM1", State: "failed", Code: "30003"}) {
		t.Errorf("%+v", r)
	}
	q := g.Report(base+"/r", "SM1", "sent", "", time.Now())
	q.Header["X-Twilio-Signature"] = []string{"d3Jvbmc="}
	if err := sallyporttest.DeliverReport(t.Context(), s.Client(), q); err == nil {
		t.Error("a forged report was taken")
	}
}
