package httpserve

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Mux is http.ServeMux whose "not found" and "method not allowed" are ours, and
// which can tell its routes. It redirects nothing: an address has one spelling,
// so that no other one gets past a limit (CVE-2026-33640 Outline).
type Mux struct {
	mux    http.ServeMux
	routes []string
}

// NewMux makes an empty Mux.
func NewMux() *Mux { return &Mux{} }

// Handle registers a route, "GET /signin/{attempt}". It panics, as
// http.ServeMux does, on a pattern that is wrong; also on one without a method.
func (m *Mux) Handle(pattern string, h http.Handler) {
	method, address, ok := strings.Cut(pattern, " ")
	if !ok || knownMethod(method) == "other" || !strings.HasPrefix(address, "/") {
		panic("httpserve: a route is a method and a path, not " + pattern)
	}
	m.mux.Handle(pattern, route{h})
	m.routes = append(m.routes, pattern)
}

// route marks the handlers that were registered: whatever else http.ServeMux
// answers with (404, 405, a redirect to another spelling) is its own.
type route struct{ http.Handler }

// Routes lists the patterns, sorted. Tests compare them with the OpenAPI
// document and walk them.
func (m *Mux) Routes() []string { return slices.Sorted(slices.Values(m.routes)) }

func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !oneSpelling(r.URL.Path) {
		Fail(w, r, authn.NotFound)
		return
	}
	h, pattern := m.mux.Handler(r)
	if _, ours := h.(route); !ours {
		refuse(w, r, h)
		return
	}
	stateOf(r.Context()).route = pattern
	m.mux.ServeHTTP(w, r)
}

// refuse asks the standard handler whether it is a 405 and for the Allow header,
// and answers in our words.
func refuse(w http.ResponseWriter, r *http.Request, h http.Handler) {
	p := probe{header: http.Header{}}
	h.ServeHTTP(&p, r)
	if p.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", p.header.Get("Allow"))
		Fail(w, r, authn.MethodNotAllowed)
		return
	}
	Fail(w, r, authn.NotFound)
}

type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(status int)      { p.status = status }

func oneSpelling(p string) bool {
	if !strings.HasPrefix(p, "/") || !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) {
		return false
	}
	return isClean(p)
}

// isClean reports a path without "//", "." and "..".
func isClean(p string) bool {
	clean := path.Clean(p)
	return p == clean || clean != "/" && p == clean+"/"
}
