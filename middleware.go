package sallyport

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// This file protects handlers of the host program. Signing out, a suspension or a stricter
// policy counts at once; where another process wrote it, and the request only reads,
// within a second (ruling 30, session.Glance). Keys of programs and API accounts
// have no session and get past none of them (ruling 21).
//
// A request by cookie that changes something passes only if the browser says that it
// comes from this origin (ruling 50). Sub-domains are other origins.

type currentKey struct{}

// UserFrom is the person whom RequireSession, RequireStepUp or RequirePermission let
// by; false outside of them.
func UserFrom(ctx context.Context) (authn.User, bool) {
	cur, ok := SessionFrom(ctx)
	return cur.User, ok
}

// SessionFrom is their session, with the company and the ways to verify. A host
// program with several companies compares Company.ID with the one that its address
// is about (ruling 36).
func SessionFrom(ctx context.Context) (session.Current, bool) {
	cur, ok := ctx.Value(currentKey{}).(session.Current)
	return cur, ok
}

// RequireSession lets people by who are signed in. Somebody who opens an address
// without being signed in is led to the sign-in and back; everything else gets a
// problem document, `unauthenticated`.
func (s *Server) RequireSession(next http.Handler) http.Handler {
	return s.guard("", next, nil)
}

// RequirePermission lets people by who hold a permission. A refusal is an event.
func (s *Server) RequirePermission(p directory.Permission, next http.Handler) http.Handler {
	return s.guard("", next, func(r *http.Request, cur session.Current) error {
		_, err := s.Directory.Check(r.Context(), directory.Session(cur.Token, httpserve.ClientOf(r)), p)
		return err
	})
}

// RequireStepUp lets people by who proved themselves within maxAge; 0, or longer than
// the company's policy says, means as that says. With an action, one of Config.Actions,
// they must have proved themselves for it: within 15 minutes and maxAge for a request
// that changes nothing, and for every other once, since each use takes a proof of its
// own. It panics if there is no such action.
//
// Somebody who opens an address, or sends a form, is led to the page that names the
// action, and from there back to where they were; what a form said is lost, so protect
// the page with the form, too. Everything else gets a problem document,
// `step_up_required`, with max_age, acr_values and the action (RFC 9470).
func (s *Server) RequireStepUp(maxAge time.Duration, action string, next http.Handler) http.Handler {
	if action != "" && !slices.ContainsFunc(s.cfg.Actions, func(a authn.Action) bool { return a.Name == action }) {
		panic("sallyport: RequireStepUp: Config.Actions has no " + action)
	}
	return s.guard(action, next, func(r *http.Request, cur session.Current) error {
		return s.Directory.Proved(r.Context(), cur.Token, httpserve.ClientOf(r), directory.Proof{Action: action, MaxAge: maxAge, Use: action != "" && !safe(r)})
	})
}

// safe reports whether a request changes nothing (RFC 9110, section 9.2.1).
func safe(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// guard asks for a session, and for what check asks besides; nil: nothing.
func (s *Server) guard(action string, next http.Handler, check func(*http.Request, session.Current) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := s.guests.Enter(r)
		var cur session.Current
		if err == nil {
			value, _ := s.cookies.Credential(r)
			look := s.Sessions.Check
			if check == nil && safe(r) {
				look = s.Sessions.Glance
			}
			cur, err = look(r.Context(), value, httpserve.ClientOf(r))
		}
		if err == nil {
			httpserve.Subject(r.Context(), cur.Company.ID, cur.User.ID, cur.Session.ID)
			if check != nil {
				err = check(r, cur)
			}
		}
		if err != nil {
			s.turnAway(w, r, action, err)
			return
		}
		// Back after signing out must show nothing, and no cache is shared; next may say otherwise.
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), currentKey{}, cur)))
	})
}

// turnAway leads people to where they can do something about it.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request, action string, err error) {
	e := *authn.AsError(err)
	to, q := "", url.Values{}
	switch e.Code {
	case authn.Unauthenticated:
		to = "/signin"
		q.Set("return_to", s.back(r))
	case authn.StepUpRequired:
		e.Action = action
		to = "/account/confirm"
		q.Set("then", s.back(r))
		if action != "" {
			q.Set("action", action)
		}
	}
	if to == "" || !httpserve.Navigates(r) {
		s.guests.Refuse(w, r, &e)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to+"?"+q.Encode(), http.StatusSeeOther)
}

// back is where the person is to be afterwards: at the address that they opened, or on
// the page whose form they sent, which the browser names (it is of this origin: Enter
// has seen to that).
func (s *Server) back(r *http.Request) string {
	address := r.URL.RequestURI()
	if !safe(r) {
		from, err := url.Parse(r.Referer())
		if err != nil || from.Host != r.Host {
			return s.cfg.Home
		}
		address = from.RequestURI()
	}
	if p, ok := httpserve.Landing(address); ok {
		return p
	}
	return s.cfg.Home
}
