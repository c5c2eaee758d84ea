package vonage_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/vonage"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func at(base string) *vonage.Driver {
	d := vonage.New(&http.Client{Transport: &http.Transport{}})
	d.Base = base
	return d
}

func TestDriver_B5(t *testing.T) {
	sallyporttest.RunTextDriver(t, sallyporttest.TextDriverTest{
		New: func(c *http.Client, base string, now func() time.Time) authn.TextDriver {
			d := vonage.New(c)
			d.Base, d.Now = base, now
			return d
		},
		Gateway: func(t testing.TB) sallyporttest.TextsGateway { return sallyporttest.NewVonage(t) },
		Refusals: map[sallyporttest.TextFault]authn.SendError{
			sallyporttest.TextThrottled:   {Stage: "accept", Code: "1", Reason: "throttled"},
			sallyporttest.TextCredentials: {Stage: "sign_in", Code: "14", Reason: "credentials"},
			sallyporttest.TextFunds:       {Stage: "accept", Code: "9", Reason: "funds"},
			sallyporttest.TextNumber:      {Stage: "accept", Code: "6", Reason: "number", Permanent: true},
			sallyporttest.TextBlocked:     {Stage: "accept", Code: "7", Reason: "blocked", Permanent: true},
			sallyporttest.TextInside:      {Stage: "accept", Code: "5", Reason: "down"},
		},
	})
}

const id = "0A0000001234ABCD"

func TestReceipts_B5(t *testing.T) {
	g := sallyporttest.NewVonage(t)
	d := at(g.URL())
	sallyporttest.RunTextReceipts(t, d, g.Provider(), g.Report, id, map[string]string{
		"delivered": "delivered", "failed": "failed", "expired": "failed", "rejected": "failed", "undelivered": "failed",
		"accepted": "pending", "buffered": "pending", "unknown": "pending",
	})
	// Vonage sends them in the address or as JSON, too.
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	post := g.Report("https://sallyport.example/r", id, "delivered", "", now)
	get := authn.ReceiptRequest{Method: "GET", URL: post.URL + "?" + string(post.Body), Now: now}
	form, err := url.ParseQuery(string(post.Body))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for name := range form {
		fields[name] = form.Get(name)
	}
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	asJSON := authn.ReceiptRequest{Method: "POST", URL: post.URL, Body: b, Now: now, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
	for _, q := range []authn.ReceiptRequest{post, get, asJSON} {
		if got, err := d.Receipt(g.Provider(), q); err != nil || got != (authn.Receipt{Reference: id, State: "delivered"}) {
			t.Errorf("%s %s: %+v, %v", q.Method, q.Header, got, err)
		}
		for _, off := range []time.Duration{26 * time.Hour, -6 * time.Minute} {
			q.Now = now.Add(off)
			if _, err := d.Receipt(g.Provider(), q); !errors.Is(err, authn.Forbidden) {
				t.Errorf("%s off: %v", off, err)
			}
		}
	}
	// Names and values that would sign the same, and one parameter twice.
	for what, replace := range map[string][]string{
		"a name that holds another": {"scts=2611210900&", "", "&status=", "&scts%3D2611210900%26status="},
		"one twice":                 {id, id + "&messageId=0A0000001234ABCE"},
	} {
		q := post
		q.Body = []byte(strings.NewReplacer(replace...).Replace(string(post.Body)))
		if got, err := d.Receipt(g.Provider(), q); !errors.Is(err, authn.Invalid) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	q := g.Report("https://sallyport.example/r", "0A_B", "delivered", "", now)
	q.Body = []byte(strings.Replace(string(q.Body), "0A_B", "0A%3DB", 1))
	if got, err := d.Receipt(g.Provider(), q); err == nil {
		t.Errorf("another id with the same signature: %+v", got)
	}
}

func TestRequest(t *testing.T) {
	g := sallyporttest.NewVonage(t)
	d := at(g.URL())
	s, err := d.Open(g.Provider())
	if err != nil {
		t.Fatal(err)
	}
	for text, unicode := range map[string]bool{"Grüße, 5 € [ok] ~ {é}": false, "zażółć": true, "验证码": true, "“quoted”": true} {
		if err := d.Callback(s, "https://sallyport.example/r?x=1&y=2").Send(t.Context(), authn.Message{To: "+12025550199", Text: text}); err != nil {
			t.Fatal(err)
		}
		list := g.Sent()
		if m := list[len(list)-1]; m.Unicode != unicode || m.Text != text || m.Callback != "https://sallyport.example/r?x=1&y=2" {
			t.Errorf("%+v", m)
		}
	}
	// A gateway whose clock is elsewhere refuses the signature.
	g.Now = func() time.Time { return time.Now().Add(3 * time.Hour) }
	e := (*authn.SendError)(nil)
	if err := s.Send(t.Context(), authn.Message{To: "+12025550199", Text: "x"}); !errors.As(err, &e) || e.Reason != "credentials" || e.Code != "14" {
		t.Errorf("%+v", e)
	}
	if other := (authn.TextSender)(nil); d.Callback(other, "x") != other {
		t.Error("a foreign sender is not given back")
	}
}
