package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// Content is a body that is not JSON: a list of people as CSV, a picture. As in of Do
// it is sent with its type; as out it takes whatever came.
type Content struct {
	Type  string // media type
	Bytes []byte
}

// Do calls a route that has no method here. Target is its path as in the reference,
// with a query if there is one: "/api/v1/roles". In is sent as JSON (nil: no body), or
// as it is if it is a Content; out, a pointer, takes the answer (nil: nothing is kept;
// *Content: whatever the answer is).
//
// GET and HEAD are repeated as Config says, nothing else is.
func (c *Client) Do(ctx context.Context, method, target string, in, out any) error {
	return c.call(ctx, method, target, method == http.MethodGet || method == http.MethodHead, in, out)
}

// Whether a call may be repeated: it changes nothing the second time.
const (
	once  = false
	again = true
)

// request is a call that was checked, ready to be tried.
type request struct {
	method, path string // the path is for errors
	url          string
	again        bool
	body         []byte
	media        string // of the body; empty: none
}

// whole is an answer that can tell that something is missing without which it must
// not be taken for a yes.
type whole interface{ whole() bool }

func (c *Client) call(ctx context.Context, method, target string, again bool, in, out any) error {
	r, err := c.request(ctx, method, target, again, in)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		err := c.try(ctx, r, out)
		wait, more := c.wait(ctx, r, try, err)
		if !more {
			return err
		}
		if stopped := c.hooks.sleep(ctx, wait); stopped != nil {
			return fmt.Errorf("client: %s %s: %w, after %w", r.method, r.path, stopped, err)
		}
	}
}

func (c *Client) request(ctx context.Context, method, target string, again bool, in any) (*request, error) {
	t, err := url.Parse(target)
	if err != nil || t.Scheme != "" || t.Host != "" || t.User != nil || t.Fragment != "" || t.RawPath != "" ||
		!strings.HasPrefix(t.Path, apiPath) || path.Clean(t.Path) != t.Path || strings.ContainsAny(t.Path, "%\\") {
		return nil, errors.New("client: the path of a call is not one of the API, or an id in it is missing or no id")
	}
	if err := sendable(c.token, c.account); err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, errors.New("client: there is no context")
	}
	u := *c.base
	u.Path += t.Path
	u.RawQuery = t.RawQuery
	r := &request{method: method, path: t.Path, url: u.String(), again: again}
	switch in := in.(type) {
	case nil:
	case Content:
		r.body, r.media = in.Bytes, in.Type
	default:
		r.body, err = json.Marshal(in)
		if err != nil { // which could show a value
			return nil, fmt.Errorf("client: %s %s: a %T cannot be sent as JSON", r.method, r.path, in)
		}
		r.media = "application/json"
	}
	return r, nil
}

// lost is a try that ended without an answer, or within it.
type lost struct{ err error }

func (l *lost) Error() string { return l.err.Error() }
func (l *lost) Unwrap() error { return l.err }

// try sends a request once.
func (c *Client) try(ctx context.Context, r *request, out any) error {
	if c.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.Timeout)
		defer cancel()
	}
	var body io.Reader
	if r.media != "" {
		body = bytes.NewReader(r.body)
	}
	q, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return fmt.Errorf("client: %s %s: not a request", plain(r.method), r.path)
	}
	c.headers(q, r)
	resp, err := c.http.Do(q)
	if err != nil {
		// url.Error has the whole address in its text, with the query.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return &lost{fmt.Errorf("client: %s %s: %w", r.method, r.path, err)}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxAnswer+1))
	if int64(len(raw)) > c.cfg.MaxAnswer {
		return &Error{Method: r.method, Path: r.path, Status: resp.StatusCode, why: fmt.Sprintf("longer than %d bytes", c.cfg.MaxAnswer)}
	}
	if err != nil {
		return &lost{fmt.Errorf("client: %s %s: HTTP %d, and not all of the answer: %w", r.method, r.path, resp.StatusCode, err)}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return r.refusal(resp, raw, c.hooks.now())
	}
	return r.take(resp, raw, out)
}

func (c *Client) headers(q *http.Request, r *request) {
	h := q.Header
	switch {
	case c.account != "":
		q.SetBasicAuth(c.account, c.token.Reveal())
	case !c.token.IsZero():
		h.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	h.Set("Accept", "application/json")
	h.Set("User-Agent", c.agent)
	if c.cfg.Language != "" {
		h.Set("Accept-Language", c.cfg.Language)
	}
	if r.media != "" {
		h.Set("Content-Type", r.media)
	}
}

// take reads an answer that says yes.
func (r *request) take(resp *http.Response, raw []byte, out any) error {
	garbage := func(why string) error {
		return &Error{Method: r.method, Path: r.path, Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"), why: why}
	}
	if c, ok := out.(*Content); ok {
		*c = Content{Type: resp.Header.Get("Content-Type"), Bytes: raw}
		return nil
	}
	if len(raw) > 0 && !isJSON(resp.Header) {
		return garbage("not JSON")
	}
	if out == nil {
		return nil
	}
	if resp.StatusCode != http.StatusNoContent {
		if json.Unmarshal(raw, out) != nil { // whose error could show a value
			return garbage("JSON of another form")
		}
	}
	if w, ok := out.(whole); ok && !w.whole() {
		return garbage("something is missing in it")
	}
	return nil
}

func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// The waits between tries, where the server does not say.
const (
	firstWait = 200 * time.Millisecond
	lastWait  = 5 * time.Second
)

// wait says whether to try once more, and after which time.
func (c *Client) wait(ctx context.Context, r *request, try int, err error) (time.Duration, bool) {
	if err == nil || !r.again || try >= c.cfg.Retries || ctx.Err() != nil {
		return 0, false
	}
	d := jitter(min(firstWait<<try, lastWait, c.cfg.MaxWait))
	var e *Error
	if errors.As(err, &e) {
		if !e.passes() {
			return 0, false
		}
		d = max(d, e.RetryAfter)
	} else if l := (*lost)(nil); !errors.As(err, &l) {
		return 0, false
	}
	if end, ok := ctx.Deadline(); d > c.cfg.MaxWait || ok && time.Until(end) < d {
		return 0, false
	}
	return d, true
}

// passes reports whether the same call may be answered in a while. A pause after wrong
// answers is not waited out by program. A 429 without a time is not tried again.
func (e *Error) passes() bool {
	switch e.Status {
	case http.StatusTooManyRequests:
		return e.RetryAfter > 0 && e.Code != Paused
	case http.StatusServiceUnavailable:
		return true
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return e.Code == "" // of a proxy
	}
	return false
}

// jitter is between half of d and d, so that clients that failed together do not come
// back together.
func jitter(d time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(d/2)+1))
	if err != nil {
		return d
	}
	return d/2 + time.Duration(n.Int64())
}

// hooks are what tests replace.
type hooks struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

var realHooks = hooks{now: time.Now, sleep: func(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}}

// route is a path with ids or names in it. A bad one makes a path that request refuses:
// an empty id must not turn "this session" into "all sessions".
func route(format string, parts ...string) string {
	list := make([]any, len(parts))
	for i, p := range parts {
		if p == "" || p == "." || p == ".." || plain(p) == "?" || strings.ContainsAny(p, "[]") {
			return ""
		}
		list[i] = p
	}
	return fmt.Sprintf(apiPath+format, list...)
}
