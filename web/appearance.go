package web

import (
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// Cookies of taste. They name nobody and open nothing.
const (
	themeCookie   = "sallyport_theme"
	langCookie    = "sallyport_lang"
	companyCookie = "sallyport_company" // slug of the last company; fills in a field
)

const tasteAge = 400 * 24 * time.Hour

func tasteName(c httpserve.Cookies, name string) string {
	if c.Secure {
		name = "__Host-" + name
	}
	return name + c.Suffix
}

// cookie is the value of a cookie of taste.
func (l *Layout) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(tasteName(l.c.Cookies, name))
	if err != nil || len(c.Value) > 64 {
		return ""
	}
	return c.Value
}

// remember sets a cookie of taste; an empty value takes it away.
func (h *Handler) remember(w http.ResponseWriter, name, value string) {
	age := int(tasteAge.Seconds())
	if value == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: tasteName(h.c.Cookies, name), Value: value, MaxAge: age,
		Path: "/", Secure: h.c.Cookies.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// postAppearance saves light or dark, and the language of the pages before
// signing in, and goes back.
func (h *Handler) postAppearance(w http.ResponseWriter, r *http.Request) error {
	if _, bearer := h.c.Cookies.Credential(r); bearer {
		return authn.Forbidden // see current
	}
	if err := h.c.Cookies.CheckSignInForm(r); err != nil {
		return err
	}
	if values := r.PostForm["theme"]; len(values) == 1 {
		theme := values[0]
		if !slices.Contains([]string{"light", "dark", "auto"}, theme) {
			return authn.InvalidField("theme", "unknown", nil)
		}
		if theme == "auto" {
			theme = ""
		}
		h.remember(w, themeCookie, theme)
	}
	if values := r.PostForm["language"]; len(values) == 1 {
		if !slices.Contains(h.c.Texts.Languages(), values[0]) {
			return authn.InvalidField("language", "unknown", nil)
		}
		h.remember(w, langCookie, values[0])
	}
	back := samePage(r.PostForm.Get("back"))
	if back == "" {
		back = h.c.Home
	}
	seeOther(w, back)
	return nil
}
