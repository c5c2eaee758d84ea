// Package httpserve is the outer layer of every HTTP surface: it admits or
// refuses a request before any route sees it, and turns the errors of handlers
// into problem documents (RFC 9457) or pages.
//
// A request passes, in this order: an id of our own; the host name, against
// DNS rebinding and against links built from a forged Host (GHSA-2wmj-46rj-qm2w
// of ZITADEL); the length of the address; where the request comes from, against
// cross-site requests (NIST SP 800-63B-4 section 5.1, ASVS 5.0 3.5.1); the size
// of the body. Only then is the route looked up. Whatever happens, the answer
// carries the security headers and exactly one log record is written.
//
// That record is made of values that cannot hold a secret: the pattern of the
// route instead of the address, a network prefix instead of the client, and the
// cause of an error only where the error is ours. Nothing reads a header, a
// query or a body for the log (ASVS 16.2.5).
//
// Addresses, schemes and host names are never taken from forwarding headers,
// except X-Forwarded-For from a peer that the operator named.
package httpserve

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Defaults of [Config].
const (
	DefaultBodyLimit = 64 << 10
	DefaultURLLimit  = 4 << 10
)

// Config says how requests are admitted and answered. The zero value of every
// field is safe; with no Hosts nothing is admitted at all.
type Config struct {
	// Hosts are the accepted values of the Host header: "host" or "host:port",
	// exactly, whatever the case. A default port is not added or taken away.
	Hosts []string
	// PublicURL is named to whoever used another host name.
	PublicURL string
	// TrustedProxies are the peers whose X-Forwarded-For is believed; empty: none.
	TrustedProxies []netip.Prefix
	// HSTS sends Strict-Transport-Security. Only `serve` with an https public
	// URL may set it (ruling 48): it binds the whole domain for a year.
	HSTS bool
	// BodyLimit is the largest request body in bytes; 0: DefaultBodyLimit.
	BodyLimit int64
	// Uploads are larger limits of single routes without parameters, by "METHOD /path".
	Uploads map[string]int64
	// URLLimit is the longest path with query in bytes; 0: DefaultURLLimit.
	URLLimit int
	// Cookies are the names of our cookies.
	Cookies Cookies
	// Locale picks the language of the answer; nil: "en".
	Locale func(*http.Request) string
	// Texts holds the sentences; nil: only the standard HTTP phrases.
	Texts Texts
	// ErrorPage draws a refusal for people, with Status(e.Code). Nil, or if it
	// writes nothing: plain text.
	ErrorPage func(http.ResponseWriter, *http.Request, *authn.Error)
	// Log gets one record per request; nil: slog.Default().
	Log *slog.Logger
	// Random makes the ids; nil: crypto/rand.
	Random io.Reader
	// Local are paths that exist only for a browser on this machine, which names
	// it by a loopback name (localhost) and not by that of the server: so that
	// nothing a proxy passes on reaches them, whether or not it says that it did.
	Local []string
}

// Texts are the message catalogues (package text).
type Texts interface {
	Text(lang, key string, args map[string]any) string
}

// state is what the layer knows about one request. Only the goroutine that
// serves the request touches it.
type state struct {
	cfg    *Config
	id     string
	client authn.Client
	peer   netip.Addr
	route  string
	code   authn.Code
	cause  string
	ids    []string
}

type stateKey struct{}

func stateOf(ctx context.Context) *state {
	if st, ok := ctx.Value(stateKey{}).(*state); ok {
		return st
	}
	// A handler under test without Wrap gets the safe defaults.
	return &state{cfg: &Config{}, client: authn.Client{Agent: unknownBrowser, Locale: fallbackLang}}
}

const fallbackLang = "en"

// RequestID is the id of the request: in the header X-Request-Id, in every
// problem document, on every error page and in the log.
func RequestID(ctx context.Context) string { return stateOf(ctx).id }

// ClientOf is what is known of whoever sends the request.
func ClientOf(r *http.Request) authn.Client { return stateOf(r.Context()).client }

// Subject puts ids (company, user, session, …) into the request's log record.
// What is not a well-formed id is left out, so that a secret passed by mistake
// is not logged.
func Subject(ctx context.Context, ids ...string) {
	st := stateOf(ctx)
	for _, id := range ids {
		prefix, _, _ := strings.Cut(id, "_")
		if len(st.ids) < 8 && authn.CheckID(prefix, id) {
			st.ids = append(st.ids, id)
		}
	}
}

// Wrap puts the outer layer around next. Timeouts are the server's.
func Wrap(next http.Handler, cfg Config) http.Handler {
	if cfg.BodyLimit <= 0 {
		cfg.BodyLimit = DefaultBodyLimit
	}
	if cfg.URLLimit <= 0 {
		cfg.URLLimit = DefaultURLLimit
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	l := &layer{next: next, cfg: &cfg, hosts: make(map[string]bool, len(cfg.Hosts))}
	for _, h := range cfg.Hosts {
		l.hosts[strings.ToLower(h)] = true
	}
	return l
}

type layer struct {
	next  http.Handler
	cfg   *Config
	hosts map[string]bool
	cross http.CrossOriginProtection
}

func (l *layer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	st := l.begin(r)
	r = r.WithContext(context.WithValue(r.Context(), stateKey{}, st))
	rw := &writer{ResponseWriter: w}
	l.secure(rw.Header(), st.id)
	defer func() { l.end(rw, r, st, start, recover()) }()
	if err := l.admit(rw, r); err != nil {
		Fail(rw, r, err)
		return
	}
	l.next.ServeHTTP(rw, r)
}

func (l *layer) begin(r *http.Request) *state {
	st := &state{cfg: l.cfg, id: randomText(l.cfg.Random, idBytes), peer: peerOf(r)}
	st.client = authn.Client{
		Address: clientAddress(st.peer, r.Header["X-Forwarded-For"], l.cfg.TrustedProxies),
		Browser: l.cfg.Cookies.ReadBrowser(r),
		Agent:   Agent(r.UserAgent()),
		Locale:  fallbackLang,
	}
	if l.cfg.Locale != nil {
		st.client.Locale = l.cfg.Locale(r)
	}
	return st
}

// An id is 80 random bits: enough to be found in a log, short enough to be
// read out on the phone.
const idBytes = 10

// randomText panics without randomness: to go on would be worse.
func randomText(random io.Reader, n int) string {
	if random == nil {
		random = rand.Reader
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		panic(errors.New("httpserve: no randomness"))
	}
	return idEncoding.EncodeToString(b)
}

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// admit decides what needs no route. The host comes first: nothing, not even an
// error page of ours, is served under a name that is not ours (ruling 34).
func (l *layer) admit(w *writer, r *http.Request) error {
	local := slices.Contains(l.cfg.Local, r.URL.Path)
	switch {
	case local && loopbackName(r.Host) && onLoopback(r):
	case !l.hosts[strings.ToLower(r.Host)]:
		return &authn.Error{Code: authn.WrongHost, Args: map[string]any{"Address": l.cfg.PublicURL}}
	case local:
		return authn.NotFound
	}
	if l.cfg.HSTS && !local {
		// Not before: it would bind a domain that is not ours.
		w.Header().Set("Strict-Transport-Security", hsts)
	}
	if len(r.RequestURI) > l.cfg.URLLimit {
		return tooLarge(int64(l.cfg.URLLimit), nil)
	}
	if err := l.checkOrigin(r); err != nil {
		return err
	}
	limit := max(l.cfg.BodyLimit, l.cfg.Uploads[r.Method+" "+r.URL.Path])
	if r.ContentLength > limit {
		// Not reading the rest is only possible by closing.
		w.Header().Set("Connection", "close")
		return tooLarge(limit, nil)
	}
	r.Body = http.MaxBytesReader(w.ResponseWriter, r.Body, limit)
	return nil
}
