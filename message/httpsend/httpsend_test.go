package httpsend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

const secret = "s3cret/Token+Value="

var message = authn.Message{ID: "m-1", To: "+48601234567", Text: "493817 is your code, also A7K29"}

func TestClean_inv_K(t *testing.T) {
	clean := cleaner(message, []string{secret})
	for words, want := range map[string]string{
		"fine":                            "fine",
		"two\r\n\tlines\x00 \x1b[2J":      "two lines [2J",
		"code 493817.":                    "code ….",
		"A7K29":                           "…",
		"to +48601234567":                 "to …",
		"to 48601234567x":                 "to …x",
		"to +48 601-234-567":              "to …",
		"to (601) 234.567":                "to (…",
		"to 0048 601 234 567":             "to …",
		"error 21211 of 2026":             "error 21211 of 2026",
		secret:                            "…",
		"s3cret%2FToken%2BValue%3D":       "…",
		"czNjcmV0L1Rva2VuK1ZhbHVlPQ==":    "…",
		"s3cret\u200b/Token\u202e+Value=": "…",
		"bad \xff\xfe UTF-8":              "bad UTF-8",
		message.Text:                      "…",
	} {
		if got := clean(words); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
	for _, words := range []string{strings.Repeat("ż", 500), strings.Repeat("x", 299) + secret, strings.Repeat("x ", 5000)} {
		if got := clean(words); len(got) > 300 || !utf8.ValidString(got) || strings.Contains(got, "s3cret") {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a", "b")
	f.Add("+48 601", "\x00")
	f.Fuzz(func(t *testing.T, before, after string) {
		clean := cleaner(message, []string{secret})
		for _, hidden := range []string{secret, message.To, message.To[1:], "493817"} {
			got := clean(before + hidden + after)
			if strings.Contains(got, hidden) || len(got) > 300 || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q", got)
			}
		}
	})
}

// try sends one request to at; the answer is taken if it is "ok".
func try(ctx context.Context, c *http.Client, at string) error {
	_, err := New(c).Try(ctx, message, Exchange{
		Secrets: []string{secret},
		Request: func(ctx context.Context, m authn.Message) (*http.Request, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(m.Text))
			if err == nil {
				r.Header.Set("Authorization", secret)
			}
			return r, err
		},
		Read: func(a Answer) (authn.TextReply, *authn.SendError) {
			if a.OK() && string(a.Body) == "ok" {
				return authn.TextReply{Reference: "1"}, nil
			}
			return authn.TextReply{}, a.Unread()
		},
	})
	return err
}

func failure(t *testing.T, err error) authn.SendError {
	t.Helper()
	e := (*authn.SendError)(nil)
	if !errors.As(err, &e) || !slices.Contains(Reasons(), e.Reason) {
		t.Fatalf("%v", err)
	}
	return *e
}

// What the status alone says.
func TestUnread(t *testing.T) {
	for status, want := range map[int]authn.SendError{
		200: {Stage: "accept", Reason: "garbled", Unsure: true}, 204: {Stage: "accept", Reason: "garbled", Unsure: true},
		400: {Stage: "accept", Reason: "other"}, 401: {Stage: "sign_in", Reason: "credentials"}, 402: {Stage: "accept", Reason: "funds"},
		403: {Stage: "accept", Reason: "permission"}, 404: {Stage: "accept", Reason: "other"}, 408: {Stage: "accept", Reason: "other"},
		429: {Stage: "accept", Reason: "throttled"}, 500: {Stage: "accept", Reason: "down", Unsure: true}, 599: {Stage: "accept", Reason: "down", Unsure: true},
		301: {Stage: "accept", Reason: "redirect"}, 302: {Stage: "accept", Reason: "redirect"}, 304: {Stage: "accept", Reason: "redirect"}, 308: {Stage: "accept", Reason: "redirect"},
	} {
		var asked atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if status != 304 {
				w.Header().Set("Location", "/again")
			}
			w.WriteHeader(status)
		}))
		// A client that would follow anything and keep cookies is not asked.
		err := try(t.Context(), &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}, s.URL)
		s.Close()
		if e := failure(t, err); e.Stage != want.Stage || e.Reason != want.Reason || e.Unsure != want.Unsure || asked.Load() != 1 {
			t.Errorf("%d: %+v, asked %d times", status, e, asked.Load())
		}
	}
}

// answer listens and does something raw with each connection, after the whole
// request was read, or before.
func answer(t *testing.T, read bool, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b, n := make([]byte, 4096), 0
			for read && !strings.HasSuffix(string(b[:n]), message.Text) {
				m, err := c.Read(b[n:])
				if err != nil {
					break
				}
				n += m
			}
			do(c)
			c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// Answers that are none, and connections that end.
func TestRaw(t *testing.T) {
	write := func(s string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, s) } }
	for what, c := range map[string]struct {
		at     string
		reason string
	}{
		"nothing":          {answer(t, true, write("")), "unreachable"},
		"no HTTP":          {answer(t, true, write("SSH-2.0-"+secret+" 493817\r\n\r\n")), "garbled"},
		"half a header":    {answer(t, true, write("HTTP/1.1 200 OK\r\nContent-Le")), "garbled"},
		"half a body":      {answer(t, true, write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")), "garbled"},
		"a broken chunk":   {answer(t, true, write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n")), "garbled"},
		"two lengths":      {answer(t, true, write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok")), "garbled"},
		"a bad gzip":       {answer(t, true, write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok")), "garbled"},
		"a bad redirect":   {answer(t, true, write("HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n")), "garbled"},
		"a status of none": {answer(t, true, write("HTTP/1.1 999999 x\r\n\r\n")), "garbled"},
	} {
		e := failure(t, try(t.Context(), &http.Client{Transport: &http.Transport{}}, c.at))
		if e.Stage != "accept" || e.Reason != c.reason || !e.Unsure || e.Permanent {
			t.Errorf("%s: %+v", what, e)
		}
		if all := fmt.Sprintf("%v %+v %#v", &e, e, e); strings.Contains(all, secret) || strings.Contains(all, "493817") {
			t.Errorf("%s: %s", what, all)
		}
	}
	if err := try(t.Context(), &http.Client{Transport: &http.Transport{}}, answer(t, true, write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))); err != nil {
		t.Error(err)
	}
}

// The time is over within the answer.
func TestTimeout_withinBody(t *testing.T) {
	end := make(chan struct{})
	at := answer(t, true, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
		<-end
	})
	defer close(end)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if e := failure(t, try(ctx, &http.Client{Transport: &http.Transport{}}, at)); e.Reason != "timeout" || !e.Unsure || !errors.Is(e.Err, context.DeadlineExceeded) {
		t.Errorf("%+v", e)
	}
}

// stuck is a connection that fails when it is written to.
type stuck struct{ net.Conn }

func (stuck) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: errors.New("broken pipe, secret " + secret)}
}

// Whether a request left before its connection broke cannot be known.
func TestBrokenWhileWriting(t *testing.T) {
	at := answer(t, false, func(c net.Conn) { io.Copy(io.Discard, c) })
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return stuck{c}, err
	}}
	if e := failure(t, try(t.Context(), &http.Client{Transport: transport}, at)); !e.Unsure || e.Reason != "unreachable" || e.Stage != "accept" || strings.Contains(e.Error(), secret) {
		t.Errorf("%+v", e)
	}
}

// A connection kept from before that the other side has closed meanwhile: nobody
// sends twice because of it, and what is said is on the safe side.
func TestKeptConnection(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "ok")
	}))
	defer s.Close()
	c := &http.Client{Transport: &http.Transport{}}
	if err := try(t.Context(), c, s.URL); err != nil {
		t.Fatal(err)
	}
	if e := failure(t, try(t.Context(), c, s.URL)); !e.Unsure || asked.Load() != 2 {
		t.Errorf("%+v, asked %d times", e, asked.Load())
	}
}

func TestFields(t *testing.T) {
	for s, ok := range map[string]bool{"+12025550143": true, "+1202555": true, "+0123456789": false, "12025550143": false, "+123456789012345": true, "+1234567890123456": false, "+1 202": false} {
		if IsNumber(s) != ok {
			t.Errorf("number %q", s)
		}
	}
	for s, ok := range map[string]bool{"ACME": true, "a": true, "1": false, "12345": false, "ACME Ltd 12": true, "ACME Ltd 123": false, " ACME": false, "ACME ": false, "Żabka": false, "A\n": false, "A<b>": false, "+12025550143": true} {
		if IsFrom(s) != ok {
			t.Errorf("from %q", s)
		}
	}
	var none Fields
	none.Check("a", "b", true)
	if none.Err() != nil {
		t.Error("nothing is wrong and an error comes")
	}
}

func TestNewReceipt(t *testing.T) {
	for code, want := range map[string]string{"30003": "30003", "0": "", "": "", "a b": "", strings.Repeat("1", 41): "", "a\n": ""} {
		if r, err := NewReceipt("id", Failed, code); err != nil || r.Code != want {
			t.Errorf("%q: %+v, %v", code, r, err)
		}
	}
	if Same("", "") || !Same("a", "a") || Same("a", "b") {
		t.Error("Same")
	}
}
