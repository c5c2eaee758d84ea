package client_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/client"
)

// token is a credential that must show up nowhere but in its header.
const token = "sp_key_this-one-is-secret"

var secret = client.NewSecret(token)

// fake is a server that answers what a test wants, and remembers what it was asked.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
	sent  []string        // bodies
	waits []time.Duration // of the client, which does not really wait
}

func newFake(t testing.TB, answer func(n int, w http.ResponseWriter, r *http.Request)) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		f.mu.Lock()
		f.asked, f.sent = append(f.asked, r), append(f.sent, string(b))
		n := len(f.asked)
		f.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// now is the client's clock: only a Retry-After with a date is measured by it.
var now = time.Date(2026, 11, 21, 9, 14, 10, 0, time.UTC)

func (f *fake) client(t testing.TB, c client.Config) *client.Client {
	t.Helper()
	c.BaseURL = orElse(c.BaseURL, f.URL)
	c.Token = orElse(c.Token, secret)
	made, err := client.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return client.Hooked(made, func() time.Time { return now }, f.wait)
}

func (f *fake) wait(ctx context.Context, d time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waits = append(f.waits, d)
	return ctx.Err()
}

func orElse[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// say answers with a status, a type and a body.
func say(w http.ResponseWriter, status int, media, body string) {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

const (
	asJSON    = "application/json"
	asProblem = "application/problem+json"
	aSession  = `{"id": "ses_1", "acr": "aal2", "amr": ["pwd", "otp"], "user": {"id": "usr_1", "login": "maya"}, "company": {"id": "cmp_1"}}`
)

func problem(code string) string {
	return `{"type": "/docs/errors/` + code + `", "title": "No", "status": 400, "code": "` + code + `", "detail": "for the person", "request_id": "req_1"}`
}

// requests is what came, also what got no answer.
func (f *fake) requests() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func (f *fake) bodies() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}
