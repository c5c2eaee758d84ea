package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
)

// At the stop nothing new is accepted, what is under way is finished, and the
// house-keeping ends last, so that the store can be closed after it.
func TestServeUntil(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	entered, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if r.Context().Err() != nil {
			t.Error("the request was cancelled by the stop")
		}
		io.WriteString(w, "done")
	})
	finished := false
	keep := func(ctx context.Context) error {
		<-ctx.Done()
		if !finished {
			t.Error("the house-keeping ended before the last request")
		}
		return nil
	}
	served := make(chan error, 1)
	go func() { served <- serveUntil(ctx, ln, h, nil, slog.New(slog.DiscardHandler), keep) }()
	body := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		body <- string(b)
	}()
	<-entered
	stop()
	for { // the listener closes at once, the request does not
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	finished = true
	close(release)
	if got := <-body; got != "done" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A listener that breaks ends the server with an error.
func TestServeUntilBroken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	keep := func(ctx context.Context) error { <-ctx.Done(); return nil }
	if err := serveUntil(t.Context(), ln, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler), keep); err == nil {
		t.Error("no error")
	}
}

func TestLoopbackAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080", "localhost:0": "127.0.0.1:0", "[::1]:80": "[::1]:80", "127.8.8.8:1": "127.8.8.8:1",
		":8080": "", "0.0.0.0:80": "", "[::]:80": "", "192.168.1.2:80": "", "example.com:80": "", "localhost.example.com:80": "",
		"127.0.0.1": "", "127.0.0.1:http": "", "127.0.0.1:70000": "", "": "",
	} {
		got, err := loopbackAddress(addr)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", addr, got, err)
		}
	}
}
