package web

import (
	"errors"
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// getSignOut is for links: a page with the button, since a GET changes nothing.
func (h *Handler) getSignOut(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	v := h.personal(r, cur)
	v.Shape, v.Title = Card, v.T("page.signout.title")
	v.Person = nil
	return h.draw(w, http.StatusOK, "signout.html", v)
}

// postSignOut ends the session. Someone whose session is over already is not
// asked to sign in first.
func (h *Handler) postSignOut(w http.ResponseWriter, r *http.Request) error {
	if value, bearer := h.c.Cookies.Credential(r); value == "" || bearer {
		return h.askSignIn(w, r)
	}
	if err := h.c.Cookies.CheckForm(r); err != nil {
		return err
	}
	slug := h.layout.cookie(r, companyCookie)
	cur, err := h.current(r)
	switch {
	case err == nil:
		slug = cur.Company.Slug
		httpserve.Subject(r.Context(), cur.Company.ID, cur.User.ID, cur.Session.ID)
		if err := h.c.Sessions.SignOut(r.Context(), cur.Token, httpserve.ClientOf(r)); err != nil {
			return err
		}
	case !errors.Is(err, authn.Unauthenticated):
		return err // not known to be over: say so rather than "signed out"
	}
	h.c.Cookies.ClearSession(w)
	seeOther(w, withQuery(h.signInAddress(r.Context(), slug), "done", "signed_out"))
	return nil
}

// postSignOutOthers ends all other sessions of the person.
func (h *Handler) postSignOutOthers(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if err := h.c.Sessions.SignOutOthers(r.Context(), cur.Token, httpserve.ClientOf(r)); err != nil {
		return err
	}
	if r.PostForm.Get("back") == "devices" {
		return h.finish(w, devicesPath, "others")
	}
	return h.finish(w, securityPath, "others")
}
