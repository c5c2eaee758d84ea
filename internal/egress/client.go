package egress

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// WebPorts is what a guard for HTTP takes as Config.Ports unless the operator
// widens it.
var WebPorts = []int{443}

const (
	// MaxBody is how much of an answer is read, in bytes after decompression, unless
	// Config says otherwise.
	MaxBody = 64 << 10
	// maxHeader bounds the header of an answer, in bytes.
	maxHeader = 64 << 10
	// usualTimeout is of one whole request, down to the last byte of its answer.
	usualTimeout = 10 * time.Second
)

var (
	// ErrRedirect: the host answered with 3xx. It leads to what was not judged, and
	// would be sent what was meant for the host.
	ErrRedirect = errors.New("egress: the answer is a redirect, which is not followed")
	// ErrTooLong is given by the body of an answer that is longer than that.
	ErrTooLong = errors.New("egress: the answer is too long")
)

// Client is for HTTP to hosts that a company configures. It speaks TLS 1.2 or
// better (https only, unless the operator allowed private addresses), uses no
// proxy and keeps no cookies. An answer of 3xx is ErrRedirect rather than an
// answer, so that no caller takes it for success. timeout is of the whole
// request; 0: 10 s. The errors are *url.Error, as always with net/http: they quote
// the URL, with whatever is secret in it.
func (g *Guard) Client(timeout time.Duration) *http.Client {
	if timeout <= 0 {
		timeout = usualTimeout
	}
	return &http.Client{Timeout: timeout, Transport: &transport{guard: g, http: &http.Transport{
		DialContext:            g.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: g.c.RootCAs},
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second, // then the name is resolved, and judged, anew
		MaxResponseHeaderBytes: maxHeader,
	}}}
}

// CheckURL is Check for a URL: https, a host, and no user name.
func (g *Guard) CheckURL(u *url.URL) error {
	host, port := u.Hostname(), 443
	switch {
	case u.Scheme == "http" && g.c.AllowPrivate:
		port = 80
	case u.Scheme != "https":
		return &Refused{host, "scheme"}
	}
	switch {
	case host == "":
		return &Refused{host, "host"}
	case u.User != nil:
		return &Refused{host, "user"}
	case u.Port() != "":
		n, err := strconv.Atoi(u.Port())
		if err != nil {
			return &Refused{host, "port"}
		}
		port = n
	}
	return g.Check(host, port)
}

// transport is what an http.Client sends through.
type transport struct {
	guard *Guard
	http  *http.Transport
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.guard.CheckURL(r.URL); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	res, err := t.http.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		res.Body.Close()
		return nil, ErrRedirect
	}
	res.Body = &bounded{ReadCloser: res.Body, left: t.guard.c.MaxBody}
	return res, nil
}

// CloseIdleConnections is what http.Client.CloseIdleConnections asks for.
func (t *transport) CloseIdleConnections() { t.http.CloseIdleConnections() }

// bounded is a body of which so many bytes are read.
type bounded struct {
	io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1] // one more shows that there is more
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		n, err = b.left, ErrTooLong
	}
	b.left -= n
	return n, err
}
