package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestCutAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"http: TLS handshake error from 127.0.0.1:37620: EOF": "http: TLS handshake error from 127.0.0.0/24: EOF",
		"read tcp 192.0.2.7:443->198.51.100.9:5: reset":       "read tcp 192.0.2.0/24->198.51.100.0/24: reset",
		"error from [2001:db8:1:2::3]:37620: EOF":             "error from 2001:db8:1::/48: EOF",
		"error from [fe80::1%eth0]:37620: EOF":                "error from fe80::/48: EOF",
		"error from [::ffff:192.0.2.7]:80: EOF":               "error from 192.0.2.0/24: EOF",
		"host 192.0.2.7. Then 2001:db8::1, no port":           "host 192.0.2.0/24. Then 2001:db8::/48, no port",
		"tls: first record does not look like one: 0x16":      "tls: first record does not look like one: 0x16",
	} {
		if got := cutAddresses(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// lockedBuffer is a log that a server writes while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
	ch chan struct{}
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.ch <- struct{}{}:
	default:
	}
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serveFor serves h for one test and gives its address.
func serveFor(t *testing.T, h http.Handler, c *tls.Config, log *slog.Logger) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- serveUntil(ctx, ln, h, c, log, func(ctx context.Context) error { <-ctx.Done(); return nil })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// Even when debugging, no full address of a client is in the log.
func TestErrorLogHidesAddresses(t *testing.T) {
	out := &lockedBuffer{ch: make(chan struct{}, 1)}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	address := serveFor(t, http.NotFoundHandler(), &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }}, log)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "this is no handshake at all\r\n\r\n")
	<-out.ch
	c.Close()
	if s := out.String(); !strings.Contains(s, "TLS handshake error") || !strings.Contains(s, "127.0.0.0/24") || strings.Contains(s, "127.0.0.1") {
		t.Error(s)
	}
}

// "OPTIONS *" reaches the handler with its host check like everything else.
func TestOptionsReachTheHandler(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusMisdirectedRequest) })
	c, err := net.Dial("tcp", serveFor(t, h, nil, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "OPTIONS * HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMisdirectedRequest {
		t.Error(res.Status)
	}
}
