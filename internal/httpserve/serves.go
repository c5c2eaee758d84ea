package httpserve

import (
	"net/http"
	"strings"
)

// Route is the route that a request has; empty: none.
func (m *Mux) Route(method, path string) string {
	r, err := http.NewRequest(method, path, nil)
	if err != nil || !oneSpelling(path) {
		return ""
	}
	h, pattern := m.mux.Handler(r)
	if _, ours := h.(route); !ours {
		return ""
	}
	return pattern
}

// Serves reports whether a GET of an address of this server, with or without a
// query, has a route: pages link to nothing that is not there.
func (m *Mux) Serves(address string) bool {
	path, _, _ := strings.Cut(address, "?")
	return m.Route(http.MethodGet, path) != ""
}
