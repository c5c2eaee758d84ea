package sns_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/sns"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func at(base string) *sns.Driver {
	d := sns.New(&http.Client{Transport: &http.Transport{}})
	d.Base = base
	return d
}

func TestDriver_B5(t *testing.T) {
	sallyporttest.RunTextDriver(t, sallyporttest.TextDriverTest{
		New: func(c *http.Client, base string, now func() time.Time) authn.TextDriver {
			d := sns.New(c)
			d.Base, d.Now = base, now
			return d
		},
		Gateway: func(t testing.TB) sallyporttest.TextsGateway { return sallyporttest.NewSNS(t) },
		Refusals: map[sallyporttest.TextFault]authn.SendError{
			sallyporttest.TextThrottled:   {Stage: "accept", Code: "Throttled", Reason: "throttled"},
			sallyporttest.TextCredentials: {Stage: "sign_in", Code: "SignatureDoesNotMatch", Reason: "credentials"},
			sallyporttest.TextFunds:       {Stage: "accept", Code: "OptInRequired", Reason: "permission"},
			sallyporttest.TextNumber:      {Stage: "accept", Code: "InvalidParameter", Reason: "number", Permanent: true},
			sallyporttest.TextBlocked:     {Stage: "accept", Code: "OptedOut", Reason: "blocked", Permanent: true},
			sallyporttest.TextInside:      {Stage: "accept", Code: "InternalError", Reason: "down"},
		},
	})
}

func TestRequest(t *testing.T) {
	g := sallyporttest.NewSNS(t)
	d := at(g.URL())
	for _, from := range []string{"", "ACME", "+12025550143"} {
		g.From = from
		s, err := d.Open(g.Provider())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(t.Context(), authn.Message{To: "+12025550199", Text: "hello"}); err != nil {
			t.Errorf("%q: %v", from, err)
		}
	}
	// What is signed for one region, or long ago, is good for no other.
	for what, spoil := range map[string]func(*authn.TextProvider){
		"region": func(p *authn.TextProvider) { p.Region = "us-gov-west-1" },
		"secret": func(p *authn.TextProvider) { p.Secret += "x" },
		"key":    func(p *authn.TextProvider) { p.Account = "AKIAIOSFODNN7EXAMPLF" },
		"clock":  func(*authn.TextProvider) { d.Now = func() time.Time { return time.Now().Add(-time.Hour) } },
	} {
		p := g.Provider()
		spoil(&p)
		s, err := d.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		e := (*authn.SendError)(nil)
		if err := s.Send(t.Context(), authn.Message{To: "+12025550199", Text: "hello"}); !errors.As(err, &e) || e.Stage != "sign_in" || e.Reason != "credentials" || e.Unsure {
			t.Errorf("%s: %+v", what, e)
		}
		d.Now = nil
	}
	// rul_32: no region leads to another host.
	for _, region := range []string{"eu-central-1.evil.example", "eu-central-1/", "evil.example#-1", "EU-CENTRAL-1", "eu-central-1@x", "eu-central", "-1", "eu--1"} {
		p := g.Provider()
		p.Region = region
		if _, err := d.Open(p); !errors.Is(err, authn.Invalid) {
			t.Errorf("%q passes", region)
		}
	}
	if _, ok := authn.TextDriver(d).(authn.TextReceipts); ok {
		t.Error("SNS has no reports")
	}
}
