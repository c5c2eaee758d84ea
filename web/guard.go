package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// accountFunc is a page of someone who is signed in.
type accountFunc func(http.ResponseWriter, *http.Request, session.Current) error

// account lets in whoever has a good session, and their own forms. Others are
// led to the sign-in and back.
func (h *Handler) account(f accountFunc) http.Handler { return h.guard(f, h.pageAgain) }

// adminUpload is for a form with files of those who hold a permission. Nothing is
// read of anybody else's.
func (h *Handler) adminUpload(p directory.Permission, f accountFunc) http.Handler {
	return h.guarded(f, h.pageAgain, func(r *http.Request, cur session.Current) (*http.Request, error) {
		if _, err := h.c.Directory.Check(r.Context(), directory.Session(cur.Token, httpserve.ClientOf(r)), p); err != nil {
			return nil, err
		}
		if !httpserve.IsMultipart(r) {
			return r, nil
		}
		return httpserve.Multipart(r, branding.MaxUpload)
	})
}

// guard is account with the answer to a form that was open before the session
// was issued anew.
func (h *Handler) guard(f, again accountFunc) http.Handler {
	return h.guarded(f, again, func(r *http.Request, _ session.Current) (*http.Request, error) { return r, nil })
}

func (h *Handler) guarded(f, again accountFunc, read func(*http.Request, session.Current) (*http.Request, error)) http.Handler {
	return httpserve.Page(func(w http.ResponseWriter, r *http.Request) error {
		cur, err := h.current(r)
		if errors.Is(err, authn.Unauthenticated) {
			return h.askSignIn(w, r)
		}
		if err != nil {
			return err
		}
		httpserve.Subject(r.Context(), cur.Company.ID, cur.User.ID, cur.Session.ID)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			if r, err = read(r, cur); err != nil {
				return err
			}
			if err := h.c.Cookies.CheckForm(r); err != nil {
				if authn.AsError(err).Code == authn.Forbidden && h.isOlder(r) {
					httpserve.Record(r, err)
					return again(w, r, cur)
				}
				return err
			}
		}
		return f(w, r, cur)
	})
}

// current is the session of the cookie. A request with an Authorization header
// is not checked for where it comes from, so the cookie does not speak for it.
func (h *Handler) current(r *http.Request) (session.Current, error) {
	value, bearer := h.c.Cookies.Credential(r)
	if value == "" || bearer {
		return session.Current{}, authn.Unauthenticated
	}
	return h.c.Sessions.Check(r.Context(), value, httpserve.ClientOf(r))
}

// who is the asker of a change.
func who(r *http.Request, cur session.Current) enroll.Who {
	return enroll.Who{Token: cur.Token, Client: httpserve.ClientOf(r)}
}

// askSignIn leads to the sign-in, and back to the page that was asked for. What
// a form said is not kept: nobody is known to have sent it.
func (h *Handler) askSignIn(w http.ResponseWriter, r *http.Request) error {
	back := here(r)
	switch r.URL.Path {
	case continuePath, passkeyOfferPath, signOutPath:
		back = ""
	case accountPath, passwordPath:
		if back == "" {
			back = r.URL.Path
		}
	}
	seeOther(w, withQuery(h.signInAddress(r.Context(), h.layout.cookie(r, companyCookie)), "return_to", back))
	return nil
}

// signInAddress is the sign-in page of a company. On a server with one company
// its name stays out of the address (ruling 5).
func (h *Handler) signInAddress(ctx context.Context, slug string) string {
	if slug == "" {
		return signInPath
	}
	if _, err := h.c.Directory.Company(ctx, ""); err == nil {
		return signInPath
	}
	return "/c/" + url.PathEscape(slug) + signInPath
}

// withQuery adds what is not empty.
func withQuery(address string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return address
	}
	return address + "?" + q.Encode()
}

// signedIn hands a new session to the browser. An older one of this browser
// ends: nobody could end it any more.
func (h *Handler) signedIn(w http.ResponseWriter, r *http.Request, token authn.Token) {
	if old, ok := authn.ParseToken(authn.SessionToken, h.c.Cookies.ReadSession(r)); ok {
		// The new session stands whether or not this works.
		if err := h.c.Sessions.SignOut(r.Context(), old, httpserve.ClientOf(r)); err != nil {
			httpserve.Record(r, err)
		}
	}
	h.setTaste(w, formsCookie, "", -1)
	h.c.Cookies.SetSession(w, token.Reveal())
}
