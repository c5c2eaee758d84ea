package httpserve

import (
	"net/http"
	"testing"
)

func TestServes(t *testing.T) {
	m := NewMux()
	for _, pattern := range []string{"GET /admin", "POST /admin/keys", "GET /admin/people/{id}", "GET /{$}"} {
		m.Handle(pattern, http.NotFoundHandler())
	}
	for address, want := range map[string]bool{
		"/admin": true, "/admin?filter=locked": true, "/": true, "/admin/people/usr_1": true, "/admin/people/a%2Fb": true,
		"/admin/keys": false, "/admin/": false, "/admin/people": false, "/admin/../admin": false, "//admin": false, "": false, "https://evil.example/admin": false, "%zz": false, "/%zz": false,
	} {
		if got := m.Serves(address); got != want {
			t.Errorf("%q: %v", address, got)
		}
	}
}
