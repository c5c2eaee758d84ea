package web

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// This file answers what the programs of people, browsers and password managers, ask
// under /.well-known (RFC 8615): always at the root of an origin, also where the rest
// of that origin is a host program's.

// relying is a method whose credentials are bound to a name; method/webauthn's is one.
type relying interface {
	Origins() []string // where they may be used, the server's own first
}

func (h *Handler) mountWellKnown(m *httpserve.Mux) {
	m.Handle("GET /.well-known/change-password", httpserve.Page(h.wellKnownPassword))
	keys, ok := h.methods[authn.WebAuthn].(relying)
	if !ok {
		return
	}
	page := h.c.PublicURL + securityPath + "/passkeys" // of the list, where one is added, too
	m.Handle("GET /.well-known/passkey-endpoints", document(map[string]string{"enroll": page, "manage": page}))
	if origins := keys.Origins(); len(origins) > 1 {
		m.Handle("GET /.well-known/webauthn", document(map[string][]string{"origins": origins}))
	}
}

// wellKnownPassword is where password managers look (W3C, "A Well-Known URL for
// Changing Passwords").
func (h *Handler) wellKnownPassword(w http.ResponseWriter, r *http.Request) error {
	seeOther(w, passwordPath)
	return nil
}

// document serves what is the same for everybody until the server is started anew: where
// passkeys are set up and looked after (W3C, "A Well-Known URL for Relying Party Passkey
// Endpoints"), and which other origins may use them (Web Authentication Level 3, section
// 5.11). A browser asks for the latter on behalf of a page of another origin; neither is
// a redirect, since those are not followed.
func document(v any) http.Handler {
	return httpserve.JSON(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		return httpserve.WriteJSON(w, http.StatusOK, v)
	})
}
