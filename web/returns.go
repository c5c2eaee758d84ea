package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// This file is how people get to applications on other origins: to an address that
// is registered with a key, letter by letter, with a handle (ruling 57). Which it is
// is asked when it comes in, and again in the transaction that makes the handle.

const (
	returnPath = "/return"
	secondPath = "/second-step"
)

// destination reads where somebody is to be led: a path, or the address of an
// application with the nonce that stands beside it, as authn.Return writes both. Our
// own forms carry them in one. Anything else is as if it were not there.
func destination(values url.Values) string {
	to := values.Get("return_to")
	if path := safe(to, ""); path != "" {
		return path
	}
	if nonce := values.Get("nonce"); nonce != "" {
		to = authn.Return{Address: to, Nonce: nonce}.String()
	}
	if _, ok := authn.ParseReturn(to); !ok {
		return ""
	}
	return to
}

// registered is a destination that a company has, or nothing.
func (h *Handler) registered(r *http.Request, company, to string) (string, error) {
	out, leaves := authn.ParseReturn(to)
	if !leaves {
		return safe(to, ""), nil
	}
	err := h.c.SignIn.Registered(r.Context(), company, out)
	if errors.Is(err, authn.Invalid) {
		httpserve.Record(r, err)
		return "", nil
	}
	return to, err
}

// askReturn asks somebody who is signed in whether to go on to an application: a GET
// makes no handle.
func (h *Handler) askReturn(w http.ResponseWriter, r *http.Request, cur session.Current, to string) error {
	out, _ := authn.ParseReturn(to)
	v := h.personal(r, cur)
	v.Shape, v.Person, v.Section = Card, nil, ""
	v.Title = v.T("page.return.title", "Site", out.Site())
	return h.drawGone(w, http.StatusOK, v, gone{Text: v.T("page.return.text", "Name", cur.User.Name, "Company", cur.Company.Name, "Site", out.Site()),
		Button: v.T("page.continue.button"), Action: returnPath, Fields: []hidden{{"form", v.Form}, {"return_to", to}}})
}

func (h *Handler) postReturn(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	to, ok := authn.ParseReturn(r.PostForm.Get("return_to"))
	if !ok {
		return authn.InvalidField("return_to", "unknown_address", nil)
	}
	handed, err := h.c.SignIn.Return(r.Context(), cur.Token, to, httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	return h.handOver(w, r, cur.Company, cur.User, handed)
}

// handOver leads to the application with the handle, by a page with status 200: a
// redirect from a form to another origin would be stopped by form-action of our own
// policy. It answers the form itself, as the pages do that show a secret once: the
// handle is in no cookie, and in no address of ours.
func (h *Handler) handOver(w http.ResponseWriter, r *http.Request, company authn.Company, user authn.User, handed signin.Handed) error {
	v := h.layout.view(r)
	if user.Locale != "" {
		v.language(h.c.Texts.Match("", user.Locale))
	}
	v.inCompany(company)
	to := authn.Return{Address: handed.Address}
	v.Title, v.Data = v.T("page.return.going", "Site", to.Site()), continuePage{To: handed.To, Site: to.Site()}
	w.Header().Set("Refresh", "0; url="+handed.To)
	return h.draw(w, http.StatusOK, "continue.html", v)
}

// secondView is the view of the page that a program sends the browser to. Its address
// is a secret as an invitation's is.
func (h *Handler) secondView(w http.ResponseWriter, r *http.Request) *View {
	return h.invitationView(w, r)
}

// getSecond says what is begun; only its form binds the sign-in to this browser.
func (h *Handler) getSecond(w http.ResponseWriter, r *http.Request) error {
	v := h.secondView(w, r)
	token, ok := authn.ParseToken(authn.AttemptToken, r.PathValue("token"))
	if !ok {
		return h.secondGone(w, r, v, authn.Attempt{}, authn.NotFound)
	}
	client := httpserve.ClientOf(r)
	if st, err := h.c.SignIn.Entered(r.Context(), token, client); err == nil {
		seeOther(w, h.signInAddress(r.Context(), st.Company.Slug)+"/"+st.Attempt.ID)
		return nil
	}
	st, err := h.c.SignIn.Get(r.Context(), signin.OpenerOf(token, client))
	to, leaves := authn.ParseReturn(st.Attempt.ReturnTo)
	if err == nil && (st.Attempt.Caller == nil || !leaves || st.Need.State == authn.Complete) {
		err = authn.NotFound
	}
	if err != nil {
		return h.secondGone(w, r, v, st.Attempt, err)
	}
	httpserve.Subject(r.Context(), st.Company.ID, st.User.ID, st.Attempt.ID)
	v.inCompany(st.Company)
	v.Title = v.T("page.second.title")
	return h.drawGone(w, http.StatusOK, v, gone{Text: v.T("page.second.text", "Site", to.Site(), "Login", st.User.Login), Button: v.T("page.continue.button"),
		Action: secondPath, Fields: []hidden{{"form", v.Form}, {"token", token.Reveal()}}})
}

func (h *Handler) postSecond(w http.ResponseWriter, r *http.Request) error {
	form, err := httpserve.Form(r)
	if err != nil {
		return err
	}
	if err := h.c.Cookies.CheckSignInForm(r); err != nil {
		return err
	}
	v := h.secondView(w, r)
	token, ok := authn.ParseToken(authn.AttemptToken, form.Get("token"))
	if !ok {
		return h.secondGone(w, r, v, authn.Attempt{}, authn.NotFound)
	}
	st, err := h.c.SignIn.Enter(r.Context(), token, httpserve.ClientOf(r))
	if err != nil {
		return h.secondGone(w, r, v, st.Attempt, err)
	}
	httpserve.Subject(r.Context(), st.Company.ID, st.User.ID, st.Attempt.ID)
	seeOther(w, h.signInAddress(r.Context(), st.Company.Slug)+"/"+st.Attempt.ID)
	return nil
}

// secondGone is for a sign-in of an application that is over, or another browser's.
func (h *Handler) secondGone(w http.ResponseWriter, r *http.Request, v *View, a authn.Attempt, err error) error {
	switch authn.AsError(err).Code {
	case authn.NotFound, authn.Expired, authn.Conflict:
	default:
		return err
	}
	v.Title = v.T("page.second.over_title")
	out := gone{Text: v.T("page.second.over"), Button: v.T("page.back"), Action: signInPath}
	if to, leaves := authn.ParseReturn(a.ReturnTo); leaves {
		// It may have gone well, and then the application is not to hear otherwise.
		out.Button, out.Action, out.Outside = v.T("page.second.back", "Site", to.Site()), beginning(to), true
	}
	return h.drawGone(w, recorded(r, err), v, out)
}

// beginning is where an application begins, as far as we know.
func beginning(to authn.Return) string {
	scheme, _, _ := strings.Cut(to.Address, ":")
	u := url.URL{Scheme: scheme, Host: to.Site(), Path: "/"}
	return u.String()
}
