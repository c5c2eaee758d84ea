package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// The pages of a forgotten password (S14). They say the same whether or not there
// is such a person, until somebody has typed the code.

const forgotPath = "/forgot"

// companyPath is a page of the company in the address of r.
func companyPath(r *http.Request, path string) string {
	if slug := r.PathValue("company"); slug != "" {
		return "/c/" + url.PathEscape(slug) + path
	}
	return path
}

func forgotAddress(r *http.Request) string { return companyPath(r, forgotPath) }

// forgotPage is the data of forgot.html.
type forgotPage struct {
	Action, SignIn string
	Login          string
	Error          string // of the field
	Problem        string
	Pause          *pause
}

// resetPage is the data of forgotcode.html and forgotnew.html.
type resetPage struct {
	Action, Start string
	Version       int64
	Until         Part
	Sent          []Part
	Refusal       refusal
	Problem       string
	Pause         *pause
	Login         string
	Field         passwordPage
}

// forgotDonePage is the data of forgotdone.html.
type forgotDonePage struct {
	SignIn string
	Rests  bool // e-mail is no second step for a day
}

func (h *Handler) getForgot(w http.ResponseWriter, r *http.Request) error {
	company, err := h.c.Directory.Company(r.Context(), r.PathValue("company"))
	switch {
	case err != nil && authn.AsError(err).Code == authn.NotFound:
		seeOther(w, signInPath) // it asks for the company
		return nil
	case err != nil:
		return err
	}
	return h.drawForgot(w, r, http.StatusOK, company, forgotPage{})
}

func (h *Handler) drawForgot(w http.ResponseWriter, r *http.Request, status int, company authn.Company, p forgotPage) error {
	v := h.anonymous(w, r)
	v.inCompany(company)
	p.Action, p.SignIn = forgotAddress(r), companyPath(r, signInPath)
	v.Title, v.Failed = v.T("page.forgot.title"), p.Error != "" || p.Problem != ""
	if !h.c.SignIn.CanReset() {
		return h.drawGone(w, http.StatusForbidden, v, gone{Text: v.T("error.reset_off"), Button: v.T("page.forgot.back"), Action: p.SignIn})
	}
	v.Data = p
	return h.draw(w, status, "forgot.html", v)
}

func (h *Handler) postForgot(w http.ResponseWriter, r *http.Request) error {
	form, err := httpserve.Form(r)
	if err != nil {
		return err
	}
	company, err := h.c.Directory.Company(r.Context(), r.PathValue("company"))
	if err != nil {
		return err
	}
	v, p := h.layout.view(r), forgotPage{Login: form.Get("login")}
	if httpserve.ClientOf(r).Browser == "" {
		p.Problem = v.T("page.forgot.cookies")
		return h.drawForgot(w, r, http.StatusBadRequest, company, p)
	}
	if err := h.c.Cookies.CheckSignInForm(r); err != nil {
		return err
	}
	st, err := h.c.SignIn.AskReset(r.Context(), signin.ResetAsk{Company: company.Slug, Login: p.Login, Client: httpserve.ClientOf(r)})
	e := authn.AsError(err)
	switch {
	case err == nil:
		seeOther(w, forgotAddress(r)+"/"+st.Reset.ID)
		return nil
	case e.Code == authn.Invalid:
		p.Error = v.T("page.signin.login_empty")
	case e.Code == authn.TooManyRequests, e.Code == authn.Busy, e.Code == authn.ProviderUnavailable, e.Code == authn.PolicyForbids:
		retryAfter(w, e.RetryAfter)
		p.Problem = httpserve.Message(h.c.Texts, v.Lang, e)
	default:
		return err
	}
	return h.drawForgot(w, r, recorded(r, err), company, p)
}

// openReset finds the reset in the address, which opens in its own browser only.
func (h *Handler) openReset(r *http.Request) (signin.ResetStatus, signin.ResetOpener, error) {
	company, err := h.c.Directory.Company(r.Context(), r.PathValue("company"))
	if err != nil {
		return signin.ResetStatus{}, signin.ResetOpener{}, err
	}
	o := signin.ResetOpener{Company: company.ID, Reset: r.PathValue("reset"), Client: httpserve.ClientOf(r)}
	st, err := h.c.SignIn.GetReset(r.Context(), o)
	st.Company = company
	return st, o, err
}

func (h *Handler) getReset(w http.ResponseWriter, r *http.Request) error {
	st, _, err := h.openReset(r)
	if err != nil {
		return h.resetGone(w, r, st.Company, err)
	}
	return h.drawReset(w, r, http.StatusOK, st, resetPage{})
}

// drawReset asks for the code or, once that was right, for the new password.
func (h *Handler) drawReset(w http.ResponseWriter, r *http.Request, status int, st signin.ResetStatus, p resetPage) error {
	v := h.anonymous(w, r)
	v.inCompany(st.Company)
	p.Action, p.Start, p.Version = forgotAddress(r)+"/"+url.PathEscape(r.PathValue("reset")), forgotAddress(r), st.Reset.Version
	v.Failed = p.Refusal.Text != "" || p.Problem != "" || p.Field.New != "" || p.Field.Repeat != ""
	if v.Here == "" {
		v.Here = samePage(p.Action)
	}
	if st.Reset.State == authn.ResetProven {
		p.Login, p.Field.Login, p.Field.Minimum = st.Login, st.Login, st.Minimum
		v.Title, v.Data = v.T("page.forgot.new_title"), p
		return h.draw(w, status, "forgotnew.html", v)
	}
	p.Until = v.Clock(st.Reset.ExpiresAt)
	v.Title, v.Data = v.T("page.forgot.code_title"), p
	return h.draw(w, status, "forgotcode.html", v)
}

// resetForm reads a form of a reset.
func (h *Handler) resetForm(r *http.Request) (url.Values, signin.ResetStatus, signin.ResetOpener, error) {
	form, err := httpserve.Form(r)
	if err == nil {
		err = h.c.Cookies.CheckSignInForm(r)
	}
	if err != nil {
		return nil, signin.ResetStatus{}, signin.ResetOpener{}, err
	}
	st, o, err := h.openReset(r)
	return form, st, o, err
}

func (h *Handler) postResetCode(w http.ResponseWriter, r *http.Request) error {
	form, st, o, err := h.resetForm(r)
	if err != nil {
		return h.resetGone(w, r, st.Company, err)
	}
	here := forgotAddress(r) + "/" + url.PathEscape(o.Reset)
	version, err := strconv.ParseInt(form.Get("version"), 10, 64)
	if err != nil || version <= 0 {
		seeOther(w, here)
		return nil
	}
	_, err = h.c.SignIn.ProveReset(r.Context(), o, version, form.Get("code"))
	e, v := authn.AsError(err), h.layout.view(r)
	var p resetPage
	switch {
	case err == nil, e.Code == authn.Conflict: // Reload, or a second click
		seeOther(w, here)
		return nil
	case e.Code == authn.Paused, e.Code == authn.WrongCode && e.RetryAfter > 0:
		retryAfter(w, e.RetryAfter)
		p.Refusal, p.Pause = refusal{Text: v.T("page.sent.paused")}, v.pauseOf(v.now.Add(e.RetryAfter))
	case e.Code == authn.Locked, e.Code == authn.Busy:
		retryAfter(w, e.RetryAfter)
		p.Problem = httpserve.Message(h.c.Texts, v.Lang, e)
	default:
		var ok bool
		if p.Refusal, ok = v.sentRefusal(e); e.Code == authn.Expired || !ok {
			return h.resetGone(w, r, st.Company, err)
		}
	}
	if again, err := h.c.SignIn.GetReset(r.Context(), o); err == nil {
		st.Reset = again.Reset // the version moved
	}
	return h.drawReset(w, r, recorded(r, err), st, p)
}

func (h *Handler) postResetPassword(w http.ResponseWriter, r *http.Request) error {
	form, st, o, err := h.resetForm(r)
	if err != nil {
		return h.resetGone(w, r, st.Company, err)
	}
	v, next, by := h.layout.view(r), form.Get("new"), signin.Choosing{Reset: &o}
	if form.Has(strengthField) {
		return h.writeStrength(w, r, v, by, next)
	}
	if next != "" && next != form.Get("confirm") {
		return h.drawReset(w, r, http.StatusUnprocessableEntity, st, resetPage{Field: passwordPage{Repeat: v.T("page.password.mismatch"), Strength: h.strength(r, v, by, next)}})
	}
	company, err := h.c.SignIn.FinishReset(r.Context(), o, next)
	e := authn.AsError(err)
	if err == nil {
		name := "password_reset"
		if doc, err := policy.Current(company, h.c.Now()); err != nil || !doc.EmailAfterReset {
			name = "password_reset_rests"
		}
		h.remember(w, companyCookie, company.Slug)
		return h.finish(w, forgotAddress(r)+"/done", name)
	}
	if e.Code == authn.Conflict {
		httpserve.Record(r, err)
		seeOther(w, forgotAddress(r)+"/"+url.PathEscape(o.Reset))
		return nil
	}
	if p, ok := passwordRefusal(w, v, e); ok {
		p.Strength = h.strength(r, v, by, next)
		return h.drawReset(w, r, recorded(r, err), st, resetPage{Field: p})
	}
	return h.resetGone(w, r, st.Company, err)
}

func (h *Handler) getForgotDone(w http.ResponseWriter, r *http.Request) error {
	name, signIn := h.finished(r), companyPath(r, signInPath)
	if name != "password_reset" && name != "password_reset_rests" {
		seeOther(w, signIn)
		return nil
	}
	v := h.anonymous(w, r)
	if company, err := h.c.Directory.Company(r.Context(), r.PathValue("company")); err == nil {
		v.inCompany(company)
	}
	v.Title, v.Data = v.T("page.forgot.done_title"), forgotDonePage{SignIn: signIn, Rests: name == "password_reset_rests"}
	return h.draw(w, http.StatusOK, "forgotdone.html", v)
}

// resetGone is for a reset that is over, or that this browser did not begin.
func (h *Handler) resetGone(w http.ResponseWriter, r *http.Request, company authn.Company, err error) error {
	var what string
	switch e := authn.AsError(err); e.Code {
	case authn.Expired:
		what = "over"
	case authn.NotFound:
		what = "elsewhere"
	default:
		return err
	}
	v := h.anonymous(w, r)
	v.inCompany(company)
	v.Title = v.T("page.forgot." + what + "_title")
	return h.drawGone(w, recorded(r, err), v, gone{Text: v.T("page.forgot." + what + "_text"), Button: v.T("page.forgot.again"), Action: forgotAddress(r)})
}
