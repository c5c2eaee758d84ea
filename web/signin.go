package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

// signInPage is the data of signin.html (S1).
type signInPage struct {
	Action, Login, ReturnTo string
	Reason                  string // why the form is shown, if not for the first time
	Problem                 string // what was wrong, above the form
	Both                    bool   // the problem is with both fields
	LoginError, PassError   string
	Pause                   *pause
	Calm                    bool   // it is none, nothing has happened
	Forgot                  string // address of the page for a forgotten password; empty: none
	Passkey                 *passkeyAsk
	Unknown                 *unknownPasskey // that was used to sign in
}

// signInForm is what the posted form said, without the password.
func signInForm(r *http.Request, form url.Values) signInPage {
	return signInPage{Action: r.URL.Path, Login: form.Get("login"), ReturnTo: destination(form)}
}

// signInNotices are what "?done=" may say on the sign-in page: only what is true
// of every browser that sees that page, whoever wrote the link.
var signInNotices = map[string]string{"signed_out": "page.done.signed_out"}

func (h *Handler) drawSignIn(w http.ResponseWriter, r *http.Request, status int, company authn.Company, p signInPage) error {
	v := h.anonymous(w, r)
	v.inCompany(company)
	p.Forgot = h.c.HostPassword
	if h.c.SignIn.CanReset() {
		p.Forgot = forgotAddress(r)
	}
	if h.signsInByPasskey(company) {
		p.Passkey = &passkeyAsk{V: v, Options: p.Action + passkeySuffix + "/options", Label: v.T("page.passkey.sign_in"), Busy: v.T("page.passkey.busy"), Plain: true}
		v.Passkeys = true
	}
	v.Data = p
	v.Title = v.T("page.signin.title")
	v.Failed = p.Problem != "" && !p.Calm || p.LoginError != "" || p.PassError != ""
	v.Notice = signInNotices[r.URL.Query().Get("done")]
	return h.draw(w, status, "signin.html", v)
}

func (h *Handler) getSignIn(w http.ResponseWriter, r *http.Request) error {
	returnTo := destination(r.URL.Query())
	company, err := h.c.Directory.Company(r.Context(), r.PathValue("company"))
	if errors.Is(err, authn.NotFound) && r.PathValue("company") == "" {
		return h.askCompany(w, r, returnTo)
	}
	if errors.Is(err, authn.NotFound) {
		return h.unknownCompany(w, r, returnTo)
	}
	if err != nil {
		return err
	}
	if returnTo, err = h.registered(r, company.ID, returnTo); err != nil {
		return err
	}
	if cur, err := h.current(r); err == nil && cur.Company.ID == company.ID {
		if _, leaves := authn.ParseReturn(returnTo); leaves {
			return h.askReturn(w, r, cur, returnTo)
		}
		seeOther(w, safe(returnTo, h.c.Home))
		return nil
	}
	return h.drawSignIn(w, r, http.StatusOK, company, signInPage{Action: r.URL.Path, ReturnTo: returnTo})
}

// companyPage is the data of company.html.
type companyPage struct{ Slug, ReturnTo, Problem string }

// askCompany is for a server with several companies: the short name leads to
// the company's own sign-in.
func (h *Handler) askCompany(w http.ResponseWriter, r *http.Request, returnTo string) error {
	v := h.anonymous(w, r)
	v.Title = v.T("page.company.title")
	p := companyPage{Slug: h.layout.cookie(r, companyCookie), ReturnTo: returnTo}
	status := http.StatusOK
	if q := r.URL.Query(); q.Has("company") {
		p.Slug = strings.ToLower(strings.TrimSpace(q.Get("company")))
		_, err := h.c.Directory.Company(r.Context(), p.Slug)
		switch {
		case p.Slug == "":
			p.Problem, status = v.T("page.company.empty"), http.StatusUnprocessableEntity
		case errors.Is(err, authn.NotFound):
			p.Problem, status = v.T("page.company.unknown"), http.StatusNotFound
		case err != nil:
			return err
		default:
			seeOther(w, withQuery("/c/"+url.PathEscape(p.Slug)+signInPath, "return_to", returnTo))
			return nil
		}
	}
	v.Failed, v.Data = p.Problem != "", p
	return h.draw(w, status, "company.html", v)
}

// unknownCompany is for an address that names a company which is not here. The
// name is not repeated: it is whatever somebody wrote into a link.
func (h *Handler) unknownCompany(w http.ResponseWriter, r *http.Request, returnTo string) error {
	v := h.anonymous(w, r)
	v.Title = v.T("page.unknown_company.title")
	return h.drawGone(w, http.StatusNotFound, v, gone{
		Text: v.T("page.unknown_company.text"), Button: v.T("page.unknown_company.button"),
		Action: withQuery(signInPath, "return_to", returnTo),
	})
}

// signInSent is what a form of the sign-in page sent.
type signInSent struct {
	form    url.Values
	company authn.Company
	page    signInPage // to be drawn again, if it comes to that
	view    *View
}

// sentSignIn reads a form of the sign-in page. noCookies is the text for a browser that
// keeps none. Nil: the answer is written.
func (h *Handler) sentSignIn(w http.ResponseWriter, r *http.Request, noCookies string) (*signInSent, error) {
	form, err := httpserve.Form(r)
	if err != nil {
		return nil, err
	}
	company, err := h.c.Directory.Company(r.Context(), r.PathValue("company"))
	if errors.Is(err, authn.NotFound) && r.PathValue("company") != "" {
		return nil, h.unknownCompany(w, r, destination(form))
	}
	if err != nil {
		return nil, err
	}
	p, v := signInForm(r, form), h.layout.view(r)
	p.Action = strings.TrimSuffix(r.URL.Path, passkeySuffix)
	if p.ReturnTo, err = h.registered(r, company.ID, p.ReturnTo); err != nil {
		return nil, err
	}
	if httpserve.ClientOf(r).Browser == "" {
		p.Problem = v.T(noCookies)
		return nil, h.drawSignIn(w, r, http.StatusBadRequest, company, p)
	}
	if err := h.c.Cookies.CheckSignInForm(r); err != nil {
		httpserve.Record(r, err)
		p.Problem = httpserve.Message(h.c.Texts, v.Lang, authn.AsError(err))
		return nil, h.drawSignIn(w, r, http.StatusForbidden, company, p)
	}
	return &signInSent{form, company, p, v}, nil
}

func (h *Handler) postSignIn(w http.ResponseWriter, r *http.Request) error {
	in, err := h.sentSignIn(w, r, "page.signin.cookies")
	if in == nil {
		return err
	}
	st, err := h.c.SignIn.Begin(r.Context(), signin.Begin{
		Company: in.company.Slug, Login: in.page.Login, Password: in.form.Get("password"), ReturnTo: in.page.ReturnTo,
		Trusted: h.c.Cookies.ReadTrusted(r), Client: httpserve.ClientOf(r),
	})
	if err != nil {
		return h.refuseSignIn(w, r, in.view, in.company, in.page, err)
	}
	return h.begun(w, r, in.company, in.page.Action, st)
}

// begun leads on from a sign-in page, at start.
func (h *Handler) begun(w http.ResponseWriter, r *http.Request, company authn.Company, start string, st signin.Status) error {
	httpserve.Subject(r.Context(), st.Company.ID, st.User.ID, st.Attempt.ID)
	h.remember(w, companyCookie, company.Slug)
	if st.Done() {
		return h.completed(w, r, st)
	}
	if st.NotSent != nil {
		httpserve.Record(r, st.NotSent)
		return h.finish(w, start+"/"+st.Attempt.ID, "not_sent")
	}
	seeOther(w, start+"/"+st.Attempt.ID)
	return nil
}

// refuseSignIn shows the form again, with everything but the password.
func (h *Handler) refuseSignIn(w http.ResponseWriter, r *http.Request, v *View, company authn.Company, p signInPage, err error) error {
	e := authn.AsError(err)
	switch e.Code {
	case authn.Invalid:
		if p.LoginError = v.fieldText(e, "login"); p.LoginError != "" {
			p.LoginError = v.T("page.signin.login_empty")
		} else if p.PassError = v.fieldText(e, "password"); p.PassError == "" {
			return err
		} else if e.Fields[0].Code == "required" {
			p.PassError = v.T("page.signin.password_empty")
		}
	case authn.WrongCredentials:
		p.Problem, p.Both = v.T("page.signin.wrong"), true
	case authn.Paused, authn.TooManyRequests:
		retryAfter(w, e.RetryAfter)
		p.Problem, p.Pause = v.T("page.signin.paused"), v.pauseOf(v.now.Add(e.RetryAfter))
	case authn.Busy, authn.ProviderUnavailable:
		retryAfter(w, e.RetryAfter)
		p.Problem = httpserve.Message(h.c.Texts, v.Lang, e)
	default:
		return err
	}
	httpserve.Record(r, err)
	return h.drawSignIn(w, r, httpserve.Status(e.Code), company, p)
}

// completed gives a finished sign-in to the browser.
func (h *Handler) completed(w http.ResponseWriter, r *http.Request, st signin.Status) error {
	if st.Session == nil {
		return h.handOver(w, r, st.Company, st.User, *st.Handle)
	}
	h.signedIn(w, r, st.SessionToken)
	if !st.TrustToken.IsZero() {
		h.c.Cookies.SetTrusted(w, st.TrustToken.Reveal(), st.TrustEnds.Sub(h.c.Now()))
	}
	if st.User.Locale != "" {
		h.remember(w, langCookie, st.User.Locale)
	}
	if proved(st.Attempt.Proofs, authn.BackupCode) {
		seeOther(w, backupUsedPath)
		return nil
	}
	if h.offerPasskey(r, st) {
		seeOther(w, passkeyOfferPath)
		return nil
	}
	if to, leaves := authn.ParseReturn(st.Session.ReturnTo); leaves {
		handed, err := h.c.SignIn.Return(r.Context(), st.SessionToken, to, httpserve.ClientOf(r))
		if err == nil {
			return h.handOver(w, r, st.Company, st.User, handed)
		}
		httpserve.Record(r, err) // they are signed in all the same
	}
	seeOther(w, continuePath)
	return nil
}
