package httpserve

import (
	"net/http"
	"strings"
)

// Serves reports whether a GET of an address of this server, with or without a
// query, has a route: pages link to nothing that is not there.
func (m *Mux) Serves(address string) bool {
	path, _, _ := strings.Cut(address, "?")
	if !oneSpelling(path) {
		return false
	}
	r, err := http.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return false
	}
	h, _ := m.mux.Handler(r)
	_, ours := h.(route)
	return ours
}
