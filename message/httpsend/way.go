package httpsend

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync"

	"github.com/sallyport-mfa/sallyport/authn"
)

// way is how far a request came. net/http calls its hooks from goroutines of its
// own, also after Do has returned.
type way struct {
	mu      sync.Mutex
	shaking bool // in the TLS handshake, or it failed
	sent    bool // all of its bytes may have left
}

func (w *way) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *way) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		TLSHandshakeStart: func() { w.set(func() { w.shaking = true }) },
		GotConn:           func(httptrace.GotConnInfo) { w.set(func() { w.shaking = false }) },
		// All that we send has a body, and so cannot be whole before this. The hook
		// for the whole request may come after its bytes have left (HTTP/2), when
		// whoever waits has already been told that the time is over.
		WroteHeaders: func() { w.set(func() { w.sent = true }) },
	}
}

// failure is that of a request without an answer.
func (w *way) failure(ctx context.Context, err error, clean func(string) string) *authn.SendError {
	w.mu.Lock()
	shaking, sent := w.shaking, w.sent
	w.mu.Unlock()
	e := &authn.SendError{Stage: "connect", Reason: string(Unreachable), Unsure: sent, Err: causeOf(err, clean)}
	switch {
	case sent:
		e.Stage = "accept"
	case shaking:
		e.Stage = "encrypt"
	}
	switch {
	case isTimeout(ctx, err):
		e.Reason = "timeout"
	case sent && !isLost(err):
		e.Reason = "garbled"
	}
	return e
}

func isTimeout(ctx context.Context, err error) bool {
	slow := net.Error(nil)
	return ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}

// isLost reports an end of the connection, as opposed to an answer that is no HTTP.
func isLost(err error) bool {
	op := (*net.OpError)(nil)
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op)
}

// cause is an error without its URL and its foreign words.
type cause struct {
	text string
	is   error // what callers may look for; nil: nothing
}

func (c *cause) Error() string { return c.text }
func (c *cause) Unwrap() error { return c.is }

func causeOf(err error, clean func(string) string) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	c := &cause{text: clean(err.Error())}
	var refused interface {
		error
		EgressRefused() bool
	}
	switch {
	case errors.As(err, &refused):
		c.is = refused
	case errors.Is(err, context.DeadlineExceeded):
		c.is = context.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		c.is = context.Canceled
	}
	return c
}
