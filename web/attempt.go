package web

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// step is an attempt as this browser may see it.
type step struct {
	signin.Status
	opener signin.Opener
	path   string // of this attempt
	start  string // of the sign-in page it came from
}

// codePage is the data of code.html (S3).
type codePage struct {
	Action, Start, Login, ReturnTo string
	Company, Factor                string
	Version                        int64
	Refusal                        refusal
	Others                         bool // there are other ways
	Pause                          *pause
}

// choosePage is the data of choose.html (S2).
type choosePage struct {
	Action string
	Ways   []way
}

type way struct {
	Factor, Label, Name string
	Hint                string // instead of a name
	Preferred, Locked   bool
	Pause               *pause
}

// stoppedPage is the data of stopped.html (S10).
type stoppedPage struct {
	Locked        bool
	Pause         *pause
	Action, Start string
	Others        bool
}

// openAttempt finds the attempt in the address. Only a sign-in is one: a
// step-up belongs to a session, and to /account/confirm.
func (h *Handler) openAttempt(r *http.Request) (step, authn.Company, error) {
	s := step{path: r.URL.Path, start: strings.TrimSuffix(r.URL.Path, "/"+r.PathValue("attempt"))}
	company, err := h.c.Directory.Company(r.Context(), r.PathValue("company"))
	if err != nil {
		return s, company, err
	}
	s.opener = signin.Opener{Company: company.ID, Attempt: r.PathValue("attempt"), Client: httpserve.ClientOf(r)}
	s.Status, err = h.c.SignIn.Get(r.Context(), s.opener)
	if err == nil && s.Attempt.Purpose != authn.SignIn {
		err = authn.NotFound
	}
	if err == nil {
		httpserve.Subject(r.Context(), company.ID, s.User.ID, s.Attempt.ID)
	}
	return s, company, err
}

func (h *Handler) getAttempt(w http.ResponseWriter, r *http.Request) error {
	s, company, err := h.openAttempt(r)
	if err != nil {
		return h.attemptGone(w, r, s, company, signInPage{}, err)
	}
	return h.drawAttempt(w, r, s)
}

// drawAttempt draws what the attempt needs now.
func (h *Handler) drawAttempt(w http.ResponseWriter, r *http.Request, s step) error {
	v := h.anonymous(w, r)
	v.Company = s.Company.Name
	switch s.Need.State {
	case authn.NeedFactor:
	case authn.Complete:
		// Back, or a second click, after it was done.
		seeOther(w, continuePath)
		return nil
	case authn.Denied:
		return h.drawDenied(w, v, s)
	default:
		return errors.New("web: no page for an attempt in state " + string(s.Need.State))
	}
	wanted := r.URL.Query().Get("way")
	if len(s.Need.Offers) > 1 && wanted == "choose" {
		return h.drawChoose(w, v, s)
	}
	offer := s.Need.Offers[0]
	for _, o := range s.Need.Offers {
		if o.Factor == wanted {
			offer = o
		}
	}
	if offer.Locked || !offer.PausedUntil.IsZero() {
		return h.drawStopped(w, http.StatusOK, v, s, offer)
	}
	return h.drawCode(w, http.StatusOK, v, s, offer, refusal{})
}

func (h *Handler) drawCode(w http.ResponseWriter, status int, v *View, s step, o policy.Offer, why refusal) error {
	v.Title, v.Failed = v.T("page.code.title"), why.Text != ""
	v.Data = codePage{
		Action: s.path, Start: s.start, Login: s.User.Login, ReturnTo: s.Attempt.ReturnTo, Company: s.Company.Name,
		Factor: o.Factor, Version: s.Attempt.Version, Refusal: why, Others: len(s.Need.Offers) > 1,
	}
	return h.draw(w, status, "code.html", v)
}

func (h *Handler) drawStopped(w http.ResponseWriter, status int, v *View, s step, o policy.Offer) error {
	p := stoppedPage{Locked: o.Locked, Action: s.path, Start: s.start, Others: len(s.Need.Offers) > 1}
	v.Title = v.T("page.stopped.locked_title")
	if !o.Locked {
		v.Title, p.Pause = v.T("page.stopped.paused_title"), v.pauseOf(o.PausedUntil)
		retryAfter(w, o.PausedUntil.Sub(v.now))
	}
	v.Data = p
	return h.draw(w, status, "stopped.html", v)
}

func (h *Handler) drawChoose(w http.ResponseWriter, v *View, s step) error {
	v.Title = v.T("page.choose.title")
	p := choosePage{Action: s.path}
	for _, o := range s.Need.Offers {
		x := way{Factor: o.Factor, Label: v.T("page.way." + string(o.Kind)), Name: o.Name, Preferred: o.Preferred, Locked: o.Locked}
		if o.Kind == appKind {
			x.Hint = v.T("page.choose.code")
		}
		if !o.PausedUntil.IsZero() {
			x.Pause = v.pauseOf(o.PausedUntil)
		}
		p.Ways = append(p.Ways, x)
	}
	v.Data = p
	return h.draw(w, http.StatusOK, "choose.html", v)
}

// deniedPage is the data of denied.html: policy asks for a second way, the
// person has none, and nobody sets one up on a password alone (ruling 1).
type deniedPage struct {
	Why   []string
	Start string
}

func (h *Handler) drawDenied(w http.ResponseWriter, v *View, s step) error {
	v.Title = v.T("page.denied.title")
	v.Data = deniedPage{Why: v.why(s.Need.Why, s.Company.Name), Start: s.start}
	return h.draw(w, http.StatusForbidden, "denied.html", v)
}

// why says which rules ask for a second way.
func (v *View) why(reasons []policy.Reason, company string) []string {
	var out []string
	for _, reason := range reasons {
		out = append(out, v.T("why."+string(reason), "Company", company))
	}
	return out
}

// attemptGone is for an attempt that is over, or that this browser did not
// begin. Over means: sign in again, here, with what was typed before.
func (h *Handler) attemptGone(w http.ResponseWriter, r *http.Request, s step, company authn.Company, p signInPage, err error) error {
	e := authn.AsError(err)
	switch e.Code {
	case authn.Expired:
		p.Action, p.Reason = s.start, "expired"
		return h.drawSignIn(w, r, http.StatusGone, company.Name, p)
	case authn.NotFound:
		v := h.anonymous(w, r)
		v.Company, v.Title = company.Name, v.T("page.elsewhere.title")
		return h.drawGone(w, http.StatusNotFound, v, gone{Text: v.T("page.elsewhere.text"), Button: v.T("page.start_again"), Action: s.start})
	}
	return err
}

func (h *Handler) postAttempt(w http.ResponseWriter, r *http.Request) error {
	form, err := httpserve.Form(r)
	if err != nil {
		return err
	}
	kept := signInForm(r, form)
	s, company, err := h.openAttempt(r)
	if err == nil {
		// After the attempt: it opens in its own browser only, and to any other
		// the page that says so is of more use than one about forms.
		err = h.c.Cookies.CheckSignInForm(r)
	}
	if err != nil {
		return h.attemptGone(w, r, s, company, kept, err)
	}
	offer, ok := offered(s, form.Get("factor"))
	version, err := strconv.ParseInt(form.Get("version"), 10, 64)
	if !ok || err != nil || version <= 0 {
		seeOther(w, s.path) // drawn for another state: show this one
		return nil
	}
	done, err := h.c.SignIn.Verify(r.Context(), s.opener, signin.Verify{
		Method: offer.Kind, Factor: offer.Factor, Answer: authn.Answer{Code: form.Get("code")}, Version: version,
	})
	if err != nil {
		return h.refuseAttempt(w, r, s, company, kept, err)
	}
	if done.Session == nil {
		seeOther(w, s.path)
		return nil
	}
	return h.completed(w, r, done)
}

// offered is the way that a form was drawn for, if it is still open.
func offered(s step, factor string) (policy.Offer, bool) {
	for _, o := range s.Need.Offers {
		if o.Factor == factor {
			return o, true
		}
	}
	return policy.Offer{}, false
}

// refuseAttempt draws the form again, for the attempt as it is after the try.
func (h *Handler) refuseAttempt(w http.ResponseWriter, r *http.Request, s step, company authn.Company, kept signInPage, err error) error {
	e := authn.AsError(err)
	httpserve.Record(r, err)
	switch e.Code {
	case authn.Conflict:
		seeOther(w, s.path)
		return nil
	case authn.Expired, authn.NotFound:
		return h.attemptGone(w, r, s, company, kept, err)
	}
	factor := r.PostForm.Get("factor")
	now, gone := h.c.SignIn.Get(r.Context(), s.opener)
	if gone != nil {
		return h.attemptGone(w, r, s, company, kept, gone)
	}
	s.Status = now
	offer, ok := offered(s, factor)
	if !ok {
		return err
	}
	v := h.anonymous(w, r)
	v.Company = s.Company.Name
	if offer.Locked || !offer.PausedUntil.IsZero() {
		status := http.StatusTooManyRequests
		if offer.Locked {
			status = http.StatusLocked
		}
		return h.drawStopped(w, status, v, s, offer)
	}
	why, ok := v.codeRefusal(e)
	if !ok {
		return err
	}
	return h.drawCode(w, why.Status, v, s, offer, why)
}
