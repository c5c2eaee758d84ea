package sallyporttest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// TextDriverTest is what RunTextDriver needs of a driver of text messages.
type TextDriverTest struct {
	// New makes the driver with a client, the address of a gateway and a clock.
	New func(client *http.Client, base string, now func() time.Time) authn.TextDriver
	// Gateway starts the provider's gateway.
	Gateway func(testing.TB) TextsGateway
	// Refusals are the failures for the faults that each provider words in its own
	// way. Of each, Stage, Code, Reason, Permanent and Unsure count.
	Refusals map[TextFault]authn.SendError
	// StatusIsAll: a message is taken by the status alone, whatever comes after it.
	StatusIsAll bool
}

// TextsGateway is a local gateway of any provider; *Twilio and the others are.
type TextsGateway interface {
	http.Handler
	Provider() authn.TextProvider
	URL() string
	Fail(TextFault)
	Asked() int
	Sent() []TextSent
}

const (
	textTo   = "+12025550199"
	textCode = "493817"
	textBody = "493817 is your code for ACME. It is good for 2 minutes.\n\n@acme.example #493817"
)

func textMessage(id string) authn.Message {
	return authn.Message{ID: id, Channel: authn.SMS, To: textTo, Text: textBody, Language: "en"}
}

// RunTextDriver checks that a driver sends what its gateway wants, and tells each
// failure as authn.SendError says (B5).
func RunTextDriver(t *testing.T, c TextDriverTest) {
	t.Run("sends", c.sends)
	t.Run("refusals", c.refusals)
	t.Run("broken answers", c.broken)
	t.Run("unreachable", c.unreachable)
	t.Run("time", c.time)
	t.Run("secrets", c.secrets)
	t.Run("fields", c.fields)
}

func (c TextDriverTest) open(t *testing.T, g TextsGateway, base string) authn.TextSender {
	t.Helper()
	s, err := c.New(&http.Client{Transport: &http.Transport{}}, base, time.Now).Open(g.Provider())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c TextDriverTest) sends(t *testing.T) {
	g := c.Gateway(t)
	s := c.open(t, g, g.URL())
	reply, err := s.Try(t.Context(), textMessage("m-1"))
	if err != nil || reply.Reference == "" || reply.Raw == "" || strings.Contains(reply.Raw, textCode) {
		t.Fatalf("%+v, %v", reply, err)
	}
	if err := s.Send(t.Context(), textMessage("m-2")); err != nil {
		t.Fatal(err)
	}
	list := g.Sent()
	if len(list) != 2 || g.Asked() != 2 {
		t.Fatalf("%d messages with %d requests", len(list), g.Asked())
	}
	if m := list[0]; m.To != textTo || m.Text != textBody || m.Unicode || m.Callback != "" || m.Reference != reply.Reference {
		t.Errorf("%+v", m)
	}
	odd := textMessage("m-3")
	odd.Text = "100% & more = €5 + <b>\"zażółć\"</b>; 验证码 123456\n?"
	if err := s.Send(t.Context(), odd); err != nil || g.Sent()[2].Text != odd.Text {
		t.Errorf("%v: %+v", err, g.Sent())
	}
	for what, m := range map[string]authn.Message{"no number": {ID: "m", To: "202-555-0199", Text: "x"}, "no text": {ID: "m", To: textTo}, "no UTF-8": {ID: "m", To: textTo, Text: "\xff"}} {
		e := failureOf(t, s, m)
		if !e.Permanent || e.Unsure || g.Asked() != 3 {
			t.Errorf("%s: %+v", what, e)
		}
	}
}

// failureOf sends and gives the failure, which must be one of the known reasons.
func failureOf(t *testing.T, s authn.TextSender, m authn.Message) *authn.SendError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	reply, err := s.Try(ctx, m)
	e := (*authn.SendError)(nil)
	if !errors.As(err, &e) || !errors.Is(err, authn.MessageNotSent) || reply != (authn.TextReply{}) {
		t.Fatalf("%+v, %v: want a SendError", reply, err)
	}
	stages := " connect encrypt sign_in accept content "
	reasons := " credentials funds from number country blocked throttled unreachable timeout permission garbled down trial redirect other "
	if !strings.Contains(stages, " "+e.Stage+" ") || !strings.Contains(reasons, " "+e.Reason+" ") || len(e.Reply) > 300 || len(e.Code) > 40 {
		t.Errorf("%+v", *e)
	}
	return e
}

func (c TextDriverTest) refusals(t *testing.T) {
	for _, f := range []TextFault{TextThrottled, TextCredentials, TextFunds, TextNumber, TextBlocked, TextInside} {
		want, ok := c.Refusals[f]
		if !ok {
			t.Errorf("no expectation for %s", f)
		}
		g := c.Gateway(t)
		s := c.open(t, g, g.URL())
		g.Fail(f)
		e := failureOf(t, s, textMessage("m-1"))
		if e.Stage != want.Stage || e.Code != want.Code || e.Reason != want.Reason || e.Permanent != want.Permanent || e.Unsure != want.Unsure {
			t.Errorf("%s: %+v, want %+v", f, *e, want)
		}
		if strings.Contains(e.Reply, textTo[1:]) {
			t.Errorf("%s: %q has the number", f, e.Reply)
		}
		if len(g.Sent()) != 0 || g.Asked() != 1 {
			t.Errorf("%s: sent %v, asked %d times", f, g.Sent(), g.Asked())
		}
		g.Fail(TextFine)
		if err := s.Send(t.Context(), textMessage("m-1")); err != nil {
			t.Errorf("%s: and then %v", f, err)
		}
	}
}

// What is known of a message when no clear answer came, and that a redirect is
// not followed (rul_32).
func (c TextDriverTest) broken(t *testing.T) {
	for f, want := range map[TextFault]authn.SendError{
		TextDown:     {Stage: "accept", Code: "503", Reason: "down", Unsure: true},
		TextRedirect: {Stage: "accept", Code: "307", Reason: "redirect"},
		TextGarbage:  {Stage: "accept", Reason: "garbled", Unsure: true},
		TextHalf:     {Stage: "accept", Reason: "garbled", Unsure: true},
		TextLong:     {Stage: "accept", Reason: "garbled", Unsure: true},
		TextLost:     {Stage: "accept", Reason: "unreachable", Unsure: true},
	} {
		g := c.Gateway(t)
		s := c.open(t, g, g.URL())
		g.Fail(f)
		if c.StatusIsAll && (f == TextGarbage || f == TextHalf || f == TextLong) {
			reply, err := s.Try(t.Context(), textMessage("m-1"))
			if err != nil || reply.Reference == "" {
				t.Errorf("%s: %+v, %v", f, reply, err)
			}
			continue
		}
		e := failureOf(t, s, textMessage("m-1"))
		if e.Stage != want.Stage || e.Code != want.Code || e.Reason != want.Reason || e.Permanent || e.Unsure != want.Unsure {
			t.Errorf("%s: %+v, want %+v", f, *e, want)
		}
		// net/http may repeat a request that carries an idempotency key.
		if g.Asked() != 1 && f != TextLost || len(g.Sent()) > 1 {
			t.Errorf("%s: asked %d times", f, g.Asked())
		}
	}
}

func (c TextDriverTest) unreachable(t *testing.T) {
	g := c.Gateway(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody listens there now
	plain := strings.TrimPrefix(g.URL(), "http://")
	for what, at := range map[string]struct{ base, stage string }{
		"refused": {"http://" + l.Addr().String(), "connect"}, "no TLS": {"https://" + plain, "encrypt"},
	} {
		e := failureOf(t, c.open(t, g, at.base), textMessage("m-1"))
		if e.Stage != at.stage || e.Reason != "unreachable" || e.Unsure || e.Permanent {
			t.Errorf("%s: %+v", what, *e)
		}
	}
	// A name that is not there, and one that the egress rules refuse.
	for _, cause := range []error{&net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true}, refused{}} {
		client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, cause }}}
		s, err := c.New(client, g.URL(), time.Now).Open(g.Provider())
		if err != nil {
			t.Fatal(err)
		}
		e := failureOf(t, s, textMessage("m-1"))
		if e.Stage != "connect" || e.Reason != "unreachable" || e.Unsure {
			t.Errorf("%v: %+v", cause, *e)
		}
		if own := (refused{}); errors.As(cause, &own) && !errors.As(e, &own) {
			t.Error("that the rules refused it is lost")
		}
	}
	if g.Asked() != 0 {
		t.Errorf("asked %d times", g.Asked())
	}
}

type refused struct{}

func (refused) Error() string       { return "egress: api.example is refused (private)" }
func (refused) EgressRefused() bool { return true }

func (c TextDriverTest) time(t *testing.T) {
	g := c.Gateway(t)
	s := c.open(t, g, g.URL())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	e := (*authn.SendError)(nil)
	if _, err := s.Try(over, textMessage("m-1")); !errors.As(err, &e) || e.Reason != "timeout" || e.Unsure || !errors.Is(err, context.Canceled) || g.Asked() != 0 {
		t.Errorf("over before: %+v", e)
	}
	g.Fail(TextHang)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := s.Try(ctx, textMessage("m-1")); !errors.As(err, &e) || e.Stage != "accept" || e.Reason != "timeout" || !e.Unsure || e.Permanent || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hanging: %+v", e)
	}
	if len(g.Sent()) != 1 {
		t.Errorf("the gateway took %d", len(g.Sent()))
	}
	// One that never shakes hands.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := c.open(t, g, "https://"+l.Addr().String()).Try(ctx, textMessage("m-1")); !errors.As(err, &e) || e.Stage != "encrypt" || e.Reason != "timeout" || e.Unsure {
		t.Errorf("no handshake: %+v", e)
	}
}

// The secret, the code and the number are in no words that leave the driver,
// however they are printed (inv_K).
func (c TextDriverTest) secrets(t *testing.T) {
	g := c.Gateway(t)
	p := g.Provider()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}}
	d := c.New(client, g.URL(), time.Now)
	s, err := d.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := d.(authn.TextReceipts); ok {
		s = r.Callback(s, "https://sallyport.example/receipts/1")
	}
	var out strings.Builder
	show := func(what any) {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", what, what, what, what, what, what, what)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", what)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", what)
		if b, err := json.Marshal(what); err == nil {
			out.Write(b)
		}
	}
	show(s)
	show(d)
	show(struct{ S any }{s})
	for _, f := range []TextFault{TextEcho, TextNumber, TextCredentials, TextDown, TextGarbage, TextHalf, TextRedirect, TextInside} {
		g.Fail(f)
		reply, err := s.Try(t.Context(), textMessage("m-1"))
		show(reply)
		show(err)
		if e := (*authn.SendError)(nil); errors.As(err, &e) {
			show(*e)
			if strings.ContainsFunc(e.Reply, func(r rune) bool { return r < ' ' || r == '\u202e' || r == 0x7f }) {
				t.Errorf("%s: %q has control characters", f, e.Reply)
			}
		}
	}
	for _, w := range []string{p.Secret, textCode, textTo[1:], "202) 555-0199", "555-0199"} {
		for _, form := range []string{w, url.QueryEscape(w), base64.StdEncoding.EncodeToString([]byte(w)), fmt.Sprintf("%x", w),
			base64.StdEncoding.EncodeToString([]byte(p.Account + ":" + p.Secret))} {
			if strings.Contains(out.String(), form) {
				t.Errorf("%q is told:\n%s", form, out.String())
			}
		}
	}
	if !strings.Contains(out.String(), "texts:"+p.Driver) {
		t.Error("the sender does not show its name")
	}
}

// What is wrong is told by field, and nothing else passes.
func (c TextDriverTest) fields(t *testing.T) {
	g := c.Gateway(t)
	d := c.New(http.DefaultClient, g.URL(), time.Now)
	set := map[string]func(*authn.TextProvider) *string{
		"account": func(p *authn.TextProvider) *string { return &p.Account }, "secret": func(p *authn.TextProvider) *string { return &p.Secret },
		"from": func(p *authn.TextProvider) *string { return &p.From }, "region": func(p *authn.TextProvider) *string { return &p.Region },
		"url": func(p *authn.TextProvider) *string { return &p.URL },
	}
	for _, name := range d.Fields() {
		p := g.Provider()
		good := *set[name](&p)
		for _, bad := range []string{"", " ", good + "\n", good + "\x00", "\u202e" + good, strings.Repeat("A", 5000), "é" + good, "../" + good, good + "@evil.example/?"} {
			*set[name](&p) = bad
			_, err := d.Open(p)
			e := (*authn.Error)(nil)
			if bad == "" && name == "from" && err == nil {
				continue // SNS can do without
			}
			if name == "url" && bad == good+"@evil.example/?" || name == "secret" && (bad == "../"+good || bad == good+"@evil.example/?") {
				continue // these can hold that
			}
			code := "invalid"
			if bad == "" {
				code = "required"
			}
			if !errors.As(err, &e) || !errors.Is(err, authn.Invalid) || len(e.Fields) != 1 || e.Fields[0].Name != name || e.Fields[0].Code != code {
				t.Errorf("%s %.40q: %v", name, bad, err)
			}
		}
	}
	if _, err := d.Open(authn.TextProvider{}); err == nil || strings.Contains(err.Error(), g.Provider().Secret) {
		t.Errorf("nothing at all: %v", err)
	}
}

// RunTextReceipts checks that a driver takes the reports of its provider and no
// others. states are the provider's words, with ours; signature is the header, or
// empty where it is a parameter.
func RunTextReceipts(t *testing.T, d authn.TextReceipts, p authn.TextProvider, report func(callback, reference, state, code string, at time.Time) authn.ReceiptRequest, reference string, states map[string]string) {
	at := NewClock().Now()
	for _, callback := range []string{"https://sallyport.example/receipts/abc", "https://sallyport.example/receipts/abc?b=2&a=1%20x"} {
		for word, want := range states {
			got, err := d.Receipt(p, report(callback, reference, word, "30003", at))
			if err != nil || got != (authn.Receipt{Reference: reference, State: want, Code: "30003"}) {
				t.Errorf("%s: %+v, %v", word, got, err)
			}
		}
	}
	good := func() authn.ReceiptRequest {
		return report("https://sallyport.example/receipts/abc", reference, "delivered", "", at)
	}
	if got, err := d.Receipt(p, good()); err != nil || got.Code != "" {
		t.Errorf("%+v, %v", got, err)
	}
	for what, spoil := range map[string]func(*authn.ReceiptRequest, *authn.TextProvider){
		"another secret": func(_ *authn.ReceiptRequest, p *authn.TextProvider) { p.Secret += "x" },
		"no secret":      func(_ *authn.ReceiptRequest, p *authn.TextProvider) { p.Secret = "" },
		"another body": func(q *authn.ReceiptRequest, _ *authn.TextProvider) {
			q.Body = bytes.Replace(q.Body, []byte("delivered"), []byte("failed"), 1)
		},
		"one field more": func(q *authn.ReceiptRequest, _ *authn.TextProvider) { q.Body = append(bytes.Clone(q.Body), "&x=y"...) },
		"nothing":        func(q *authn.ReceiptRequest, _ *authn.TextProvider) { q.Body, q.Header = nil, nil },
		"no headers":     func(q *authn.ReceiptRequest, _ *authn.TextProvider) { q.Header, q.Body = nil, []byte("a=b") },
		"as a query": func(q *authn.ReceiptRequest, _ *authn.TextProvider) {
			q.Method, q.URL, q.Body = "GET", q.URL+"?"+string(q.Body)+"x", nil
		},
		"an empty secret": func(q *authn.ReceiptRequest, p *authn.TextProvider) {
			*q, p.Secret = report(q.URL, reference, "delivered", "", at), ""
		},
	} {
		q, other := good(), p
		spoil(&q, &other)
		if got, err := d.Receipt(other, q); !errors.Is(err, authn.Forbidden) || got != (authn.Receipt{}) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	for what, q := range map[string]authn.ReceiptRequest{
		"no reference": report("https://sallyport.example/receipts/abc", "", "delivered", "", at),
		"a long one":   report("https://sallyport.example/receipts/abc", strings.Repeat("A", 200), "delivered", "", at),
		"no id":        report("https://sallyport.example/receipts/abc", "a b\nc", "delivered", "", at),
		"a long body":  {Method: http.MethodPost, URL: good().URL, Header: good().Header, Body: make([]byte, 1<<17), Now: at},
	} {
		if got, err := d.Receipt(p, q); !errors.Is(err, authn.Invalid) || got != (authn.Receipt{}) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
}
