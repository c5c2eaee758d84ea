package sallyporttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// TextFault is what a gateway does instead of taking a message.
type TextFault string

// The faults. Requests that are wrong are refused as the provider documents it in
// any case.
const (
	TextFine        TextFault = ""
	TextThrottled   TextFault = "throttled"
	TextCredentials TextFault = "credentials"
	TextFunds       TextFault = "funds"
	TextNumber      TextFault = "number"
	TextBlocked     TextFault = "blocked"
	TextInside      TextFault = "inside"   // success with an error in it
	TextEcho        TextFault = "echo"     // a refusal that repeats everything it was told
	TextDown        TextFault = "down"     // 503 with a page of HTML
	TextGarbage     TextFault = "garbage"  // taken, and an answer that is none
	TextHalf        TextFault = "half"     // taken, and the connection ends within the answer
	TextLost        TextFault = "lost"     // taken, and the connection ends before the answer
	TextLong        TextFault = "long"     // taken, and an answer of 1 MiB
	TextHang        TextFault = "hang"     // taken, and no answer
	TextRedirect    TextFault = "redirect" // to another path of the gateway
)

// TextSent is a message that a gateway took.
type TextSent struct {
	To, From, Text string
	ID             string // idempotency key; empty: the provider has none
	Reference      string // the gateway's id
	Callback       string // empty: no reports are wanted
	Unicode        bool   // not to be sent as GSM-7, where the sender says so
}

// TextGateway is what the local gateways of text providers have in common. They
// behave as their providers document, and check every request as exactly. Each is
// an http.Handler, safe for concurrent use, and can do without a test.
type TextGateway struct {
	Now func() time.Time // nil: time.Now; not to be changed in use

	mu     sync.Mutex
	fault  TextFault
	asked  int
	sent   []TextSent
	server *httptest.Server
}

// start makes the gateway listen on loopback until the test ends; without a test,
// until Close.
func (g *TextGateway) start(t testing.TB, h http.Handler) {
	g.server = httptest.NewServer(h)
	if t != nil {
		t.Cleanup(g.Close)
	}
}

// Close ends what New began.
func (g *TextGateway) Close() { g.server.Close() }

// URL is where a gateway made by New listens: the driver's Base.
func (g *TextGateway) URL() string { return g.server.URL }

// Fail makes the following requests end in a fault; TextFine ends that.
func (g *TextGateway) Fail(f TextFault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = f
}

// Asked is how many requests came, whatever became of them.
func (g *TextGateway) Asked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

// Sent are the messages that were taken, oldest first.
func (g *TextGateway) Sent() []TextSent {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.sent)
}

func (g *TextGateway) now() time.Time {
	if g.Now == nil {
		return time.Now()
	}
	return g.Now()
}

// A reply is what a gateway answers.
type reply struct {
	status int
	kind   string // media type
	body   string
}

func (a reply) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.kind)
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

func jsonReply(status int, v any) reply {
	b, err := json.Marshal(v)
	if err != nil {
		return reply{http.StatusInternalServerError, "text/plain", err.Error()}
	}
	return reply{status, "application/json", string(b)}
}

// begin reads a request and says which fault is due.
func (g *TextGateway) begin(r *http.Request) (body []byte, f TextFault, n int) {
	g.mu.Lock()
	g.asked++
	f, n = g.fault, g.asked
	g.mu.Unlock()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		body = nil // and is then refused as what it is: not whole
	}
	return body, f, n
}

// end takes a message that is right, or does what the fault says.
func (g *TextGateway) end(w http.ResponseWriter, r *http.Request, m TextSent, f TextFault, ok reply, refusals map[TextFault]reply) {
	if a, is := refusals[f]; is {
		a.write(w)
		return
	}
	switch f {
	case TextDown:
		reply{http.StatusServiceUnavailable, "text/html", "<html><body><h1>503 Service Unavailable</h1></body></html>"}.write(w)
		return
	case TextRedirect:
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		return
	}
	g.mu.Lock()
	if m.ID == "" || !slices.ContainsFunc(g.sent, func(s TextSent) bool { return s.ID == m.ID }) {
		g.sent = append(g.sent, m)
	}
	g.mu.Unlock()
	switch f {
	case TextGarbage:
		reply{ok.status, ok.kind, "\x00\x01<not what was expected>"}.write(w)
	case TextLong:
		reply{ok.status, ok.kind, ok.body + strings.Repeat(" ", 1<<20)}.write(w)
	case TextHalf:
		w.Header().Set("Content-Type", ok.kind)
		w.Header().Set("Content-Length", fmt.Sprint(len(ok.body)+1))
		w.WriteHeader(ok.status)
		io.WriteString(w, ok.body[:len(ok.body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case TextLost:
		panic(http.ErrAbortHandler)
	case TextHang:
		<-r.Context().Done()
	default:
		ok.write(w)
	}
}

// DeliverReport sends a report that a gateway made, as the provider would, and
// gives an error unless it is taken with 2xx.
func DeliverReport(ctx context.Context, client *http.Client, q authn.ReceiptRequest) error {
	r, err := http.NewRequestWithContext(ctx, q.Method, q.URL, bytes.NewReader(q.Body))
	if err != nil {
		return err
	}
	r.Header = q.Header
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return errors.New("the report was not taken: " + resp.Status)
	}
	return nil
}
