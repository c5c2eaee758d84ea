package sallyporttest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/message/auditstream"
	"github.com/sallyport-mfa/sallyport/message/webhook"
)

// testTLS is the certificate of httptest, for 127.0.0.1, and a pool that trusts it.
var testTLS = sync.OnceValues(func() (*tls.Config, *x509.CertPool) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, pool
})

// streams reach receivers on this machine.
func streams(now func() time.Time) map[authn.Kind]authn.StreamSender {
	_, pool := testTLS()
	return map[authn.Kind]authn.StreamSender{
		authn.AuditSyslog: &auditstream.Syslog{Dial: (&net.Dialer{}).DialContext, Name: "sallyport.example", Roots: pool},
		authn.AuditWebhook: &auditstream.Webhook{Client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, Now: now},
	}
}

// Syslog is a receiver of syslog over TLS (RFC 5425) for tests.
type Syslog struct {
	Host string
	Port int
	CA   string // PEM of its certificate
	// Clients issue the certificates that it demands from the next Up on; nil: none.
	Clients *x509.CertPool

	mu       sync.Mutex
	messages []string
	bad      []string
	cut      int // close without reading more after so many messages of a connection; 0: never
	ln       net.Listener
}

// NewSyslog starts one; the end of the test stops it.
func NewSyslog(t testing.TB) *Syslog {
	t.Helper()
	c, _ := testTLS()
	s := &Syslog{Host: "127.0.0.1", CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificates[0].Certificate[0]}))}
	s.Up(t)
	t.Cleanup(s.Down)
	return s
}

// Up listens again, at the same port.
func (s *Syslog) Up(t testing.TB) {
	t.Helper()
	c, _ := testTLS()
	if s.Clients != nil {
		c = c.Clone()
		c.ClientCAs, c.ClientAuth = s.Clients, tls.RequireAndVerifyClientCert
	}
	ln, err := tls.Listen("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), c)
	if err != nil {
		t.Fatal(err)
	}
	s.ln, s.Port = ln, ln.Addr().(*net.TCPAddr).Port
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
}

// Down stops listening.
func (s *Syslog) Down() { s.ln.Close() }

// Cut makes it drop each connection after so many messages, with a reset; 0: never.
func (s *Syslog) Cut(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = n
}

func (s *Syslog) serve(conn net.Conn) {
	defer conn.Close()
	if s.Clients != nil && conn.(*tls.Conn).Handshake() != nil {
		return // without a certificate that it wants
	}
	r := bufio.NewReader(conn)
	for n := 1; ; n++ {
		length, err := r.ReadString(' ')
		if err == io.EOF && length == "" {
			return
		}
		size, bad := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil || bad != nil || size < 1 || size > 1<<20 || strings.HasPrefix(length, "0") {
			s.note(nil, fmt.Sprintf("frame %q: %v", length, err))
			return
		}
		m := make([]byte, size)
		if _, err := io.ReadFull(r, m); err != nil {
			s.note(nil, "a message that ends early")
			return
		}
		s.mu.Lock()
		cut := s.cut
		s.mu.Unlock()
		s.note(m, "")
		if n == cut {
			tcp := conn.(*tls.Conn).NetConn().(*net.TCPConn)
			_ = tcp.SetLinger(0)
			tcp.Close()
			return
		}
	}
}

func (s *Syslog) note(message []byte, bad string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad != "" {
		s.bad = append(s.bad, bad)
		return
	}
	s.messages = append(s.messages, string(message))
}

// Messages are all that came, in order; what was no syslog fails the test.
func (s *Syslog) Messages(t testing.TB) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bad {
		t.Error("no frame of RFC 5425: " + b)
	}
	return append([]string{}, s.messages...)
}

// Lines are the events in what came.
func (s *Syslog) Lines(t testing.TB) []audit.Line {
	t.Helper()
	var list []audit.Line
	for _, m := range s.Messages(t) {
		_, doc, ok := strings.Cut(m, " - {")
		var l audit.Line
		if !ok || json.Unmarshal([]byte("{"+doc), &l) != nil {
			t.Fatalf("no event: %s", m)
		}
		list = append(list, l)
	}
	return list
}

// EventHook is a receiver of signed batches of events for tests.
type EventHook struct {
	URL, Secret string

	mu     sync.Mutex
	lines  []audit.Line
	keys   []string
	status int
	bad    []string
}

// NewEventHook starts one; the end of the test stops it.
func NewEventHook(t testing.TB, now func() time.Time) *EventHook {
	t.Helper()
	h := &EventHook{Secret: "eh-9vT2mQ7xLr4TzN8c", status: http.StatusNoContent}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, now()) }))
	t.Cleanup(server.Close)
	h.URL = server.URL + "/events"
	return h
}

// Answer sets the status that it answers; only with 2xx it takes a batch.
func (h *EventHook) Answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (h *EventHook) serve(w http.ResponseWriter, r *http.Request, now time.Time) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-ndjson" || r.URL.Path != "/events" {
		h.bad = append(h.bad, r.Method+" "+r.URL.String())
	}
	if got := r.Header.Get(webhook.SignatureHeader); got != webhook.Sign(h.Secret, now, body) {
		h.bad = append(h.bad, "signature "+got)
	}
	if h.status/100 == 2 {
		for line := range strings.Lines(string(body)) {
			var l audit.Line
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				h.bad = append(h.bad, line)
			}
			h.lines = append(h.lines, l)
		}
		h.keys = append(h.keys, r.Header.Get("Idempotency-Key"))
	}
	w.WriteHeader(h.status)
}

// Lines are the events that it took, in order; what was no signed batch fails the test.
func (h *EventHook) Lines(t testing.TB) []audit.Line {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.bad {
		t.Error("no signed batch: " + b)
	}
	return append([]audit.Line{}, h.lines...)
}

// Stream saves where a company's events go, as the operator would.
func (s *Server) Stream(t testing.TB, company authn.Company, channel authn.Kind, to authn.StreamSettings, all bool) {
	t.Helper()
	doc, err := json.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	s.provide(t, company, channel, doc, authn.SetStream{Channel: channel, On: true, All: all})
}

// SetKeep says how long a company keeps its events, as the operator would.
func (s *Server) SetKeep(t testing.TB, company authn.Company, months int) {
	t.Helper()
	ev := authn.Event{Company: company.ID, Type: "audit.retention_changed", Actor: directory.Operator, Result: authn.Succeeded, At: s.Clock.Now()}
	err := s.Store.Decide(t.Context(), authn.Keys{Company: company.ID, Now: s.Clock.Now()}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(ev, authn.SetKeep{Months: months})
	})
	if err != nil {
		t.Fatal(err)
	}
}
