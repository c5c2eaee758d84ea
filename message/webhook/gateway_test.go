package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/webhook"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func at(base string) *webhook.Driver {
	d := webhook.New(&http.Client{Transport: &http.Transport{}})
	d.Base = base
	return d
}

func TestDriver_B5(t *testing.T) {
	sallyporttest.RunTextDriver(t, sallyporttest.TextDriverTest{
		New: func(c *http.Client, base string, now func() time.Time) authn.TextDriver {
			d := webhook.New(c)
			d.Base, d.Now = base, now
			return d
		},
		Gateway: func(t testing.TB) sallyporttest.TextsGateway { return sallyporttest.NewTextWebhook(t) },
		Refusals: map[sallyporttest.TextFault]authn.SendError{
			sallyporttest.TextThrottled:   {Stage: "accept", Code: "429", Reason: "throttled"},
			sallyporttest.TextCredentials: {Stage: "sign_in", Code: "401", Reason: "credentials"},
			sallyporttest.TextFunds:       {Stage: "accept", Code: "402", Reason: "funds"},
			sallyporttest.TextNumber:      {Stage: "accept", Code: "422", Reason: "number", Permanent: true},
			sallyporttest.TextBlocked:     {Stage: "accept", Code: "422", Reason: "blocked", Permanent: true},
			sallyporttest.TextInside:      {Stage: "accept", Code: "500", Reason: "down"},
		},
		StatusIsAll: true,
	})
}

func TestReceipts_B5(t *testing.T) {
	g := sallyporttest.NewTextWebhook(t)
	d := at(g.URL())
	sallyporttest.RunTextReceipts(t, d, g.Provider(), g.Report, "own-1", map[string]string{"delivered": "delivered", "failed": "failed", "pending": "pending"})
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	q := g.Report("https://sallyport.example/r", "own-1", "delivered", "", now)
	for off, ok := range map[time.Duration]bool{5 * time.Minute: true, -5 * time.Minute: true, 301 * time.Second: false, -301 * time.Second: false} {
		q.Now = now.Add(off)
		if _, err := d.Receipt(g.Provider(), q); (err == nil) != ok || !ok && !errors.Is(err, authn.Forbidden) {
			t.Errorf("%s off: %v", off, err)
		}
	}
	for _, state := range []string{"", "DELIVERED", "sent"} {
		if _, err := d.Receipt(g.Provider(), g.Report("https://sallyport.example/r", "own-1", state, "", now)); !errors.Is(err, authn.Invalid) {
			t.Errorf("%q: %v", state, err)
		}
	}
	// A message of ours that comes back is signed and is no report.
	body := []byte(`{"type":"text.send","id":"own-1","reference":"own-1","state":"delivered"}`)
	q = authn.ReceiptRequest{Method: "POST", Body: body, Now: now, Header: http.Header{webhook.SignatureHeader: {webhook.Sign(g.Secret, now, body)}}}
	if _, err := d.Receipt(g.Provider(), q); !errors.Is(err, authn.Invalid) {
		t.Error(err)
	}
}

func TestRequest(t *testing.T) {
	g := sallyporttest.NewTextWebhook(t)
	d := at(g.URL())
	s, err := d.Open(g.Provider())
	if err != nil {
		t.Fatal(err)
	}
	m := authn.Message{ID: "m-1", To: "+12025550199", Text: "hello", Language: "pl"}
	for range 2 { // the same message twice is one
		if err := d.Callback(s, "https://sallyport.example/r").Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if list := g.Sent(); len(list) != 1 || list[0].Callback != "https://sallyport.example/r" || list[0].ID != "m-1" {
		t.Errorf("%+v", list)
	}
	for _, id := range []string{"", "a\r\nX-Evil: 1", "é"} {
		m.ID = id
		e := (*authn.SendError)(nil)
		if err := s.Send(t.Context(), m); !errors.As(err, &e) || e.Stage != "content" || e.Unsure {
			t.Errorf("id %q: %+v", id, e)
		}
	}
	for _, address := range []string{"http://texts.acme.example/", "https://", "https:///x", "https://u:p@texts.acme.example/", "https://u@texts.acme.example/", "ftp://x.example",
		"//x.example/", "https:x.example", "https://x.example/#f", "https://x.example/ y", "https://:443/"} {
		p := g.Provider()
		p.URL = address
		if _, err := d.Open(p); !errors.Is(err, authn.Invalid) {
			t.Errorf("%q passes", address)
		}
	}
	p := g.Provider()
	p.Secret = "fifteen-chars-x"
	if _, err := d.Open(p); !errors.Is(err, authn.Invalid) {
		t.Error("a short secret passes")
	}
	if other := (authn.TextSender)(nil); d.Callback(other, "x") != other {
		t.Error("a foreign sender is not given back")
	}
}

// Over TLS with the address as it is, and rul_32: no words of the other side.
func TestTLS_rul32(t *testing.T) {
	secret := "whs-3kV8mQ2xLr7TzN5c"
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, `{"reason":"internal-host-17","error":"internal-host-17"}`)
	}))
	t.Cleanup(server.Close)
	send := func(c *http.Client) *authn.SendError {
		s, err := webhook.New(c).Open(authn.TextProvider{URL: server.URL + "/x", Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		e := (*authn.SendError)(nil)
		if err := s.Send(t.Context(), authn.Message{ID: "m", To: "+12025550199", Text: "x"}); !errors.As(err, &e) {
			t.Fatal(err)
		}
		return e
	}
	if e := send(server.Client()); e.Code != "418" || e.Reason != "other" || e.Stage != "accept" || strings.Contains(fmt.Sprintf("%+v", *e), "internal-host") {
		t.Errorf("%+v", *e)
	}
	if e := send(&http.Client{Transport: &http.Transport{}}); e.Stage != "encrypt" || e.Reason != "unreachable" || e.Unsure {
		t.Errorf("a certificate of nobody: %+v", *e)
	}
}

// The example of docs/texts-webhook.md is what is sent, and verifies.
func TestDocumentedExample(t *testing.T) {
	doc, err := os.ReadFile("../../docs/texts-webhook.md")
	if err != nil {
		t.Fatal(err)
	}
	part := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindSubmatch(doc)
		if m == nil {
			t.Fatalf("the document has no %s", pattern)
		}
		return string(m[1])
	}
	secret := part("(?m)^secret: `(.+)`$")
	body, receipt := part(`(?m)^(\{"type":"text.send".*)$`), part(`(?m)^(\{"type":"text.receipt".*)$`)
	headers := regexp.MustCompile(`(?m)^Sallyport-Signature: (t=(\d+),v1=[0-9a-f]{64})$`).FindAllStringSubmatch(string(doc), -1)
	if len(headers) != 2 {
		t.Fatalf("%d signatures", len(headers))
	}
	seconds, err := strconv.ParseInt(headers[0][2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(seconds, 0)
	got := make(chan *http.Request, 1)
	sent := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent = string(b)
		got <- r
	}))
	t.Cleanup(server.Close)
	d := at(server.URL)
	d.Now = func() time.Time { return now }
	p := authn.TextProvider{Driver: "webhook", URL: "https://texts.acme.example/hooks/texts", Secret: secret}
	s, err := d.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	var in struct{ ID, To, Text, Language, Callback string }
	if err := json.Unmarshal([]byte(body), &in); err != nil {
		t.Fatal(err)
	}
	if err := d.Callback(s, in.Callback).Send(t.Context(), authn.Message{ID: in.ID, To: in.To, Text: in.Text, Language: in.Language}); err != nil {
		t.Fatal(err)
	}
	if r := <-got; sent != body || r.Header.Get("Sallyport-Signature") != headers[0][1] || r.URL.Path != "/hooks/texts" ||
		!strings.Contains(string(doc), "\nIdempotency-Key: "+r.Header.Get("Idempotency-Key")+"\n") {
		t.Errorf("sent\n%s\n%v\nand the document has\n%s\n%s", sent, r.Header, body, headers[0][1])
	}
	q := authn.ReceiptRequest{Method: "POST", Body: []byte(receipt), Now: now, Header: http.Header{"Sallyport-Signature": {headers[1][1]}}}
	if r, err := d.Receipt(p, q); err != nil || r != (authn.Receipt{Reference: in.ID, State: "failed", Code: "absent"}) {
		t.Errorf("%+v, %v; want %s", r, err, webhook.Sign(secret, now, []byte(receipt)))
	}
}
