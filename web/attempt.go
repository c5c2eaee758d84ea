package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// mountAttempt registers what an attempt can be asked and told.
func (h *Handler) mountAttempt(m *httpserve.Mux, address string) {
	m.Handle("GET "+address, httpserve.Page(h.getAttempt))
	m.Handle("POST "+address, h.inAttempt(h.postAttempt))
	m.Handle("POST "+address+"/send", h.inAttempt(h.postSend))
	m.Handle("POST "+address+passkeySuffix, h.inAttempt(h.postPasskeyOptions))
	m.Handle("POST "+address+"/duo/start", h.inAttempt(h.postDuoStart))
	m.Handle("POST "+address+"/duo/ways", h.inAttempt(h.postDuoWays))
	m.Handle("POST "+address+"/continue", h.inAttempt(h.postReady))
	m.Handle("POST "+address+"/later", h.inAttempt(h.postLater))
	m.Handle("POST "+address+"/help", h.inAttempt(h.postHelp))
	m.Handle("POST "+address+"/password", h.inAttempt(h.postNewPassword))
	m.Handle("POST "+address+"/setup", h.inAttempt(h.postWay))
	m.Handle("GET "+address+"/setup/phone", httpserve.Page(h.getWayPhone))
	m.Handle("POST "+address+"/setup/phone", h.inAttempt(h.postWayPhone))
	m.Handle("GET "+address+"/setup/{factor}", httpserve.Page(h.getWay))
	m.Handle("POST "+address+"/setup/{factor}/confirm", h.inAttempt(h.postWayConfirm))
	m.Handle("POST "+address+"/setup/{factor}/cancel", h.inAttempt(h.postWayCancel))
	m.Handle("POST "+address+"/setup/{factor}/send", h.inAttempt(h.postWaySend))
	m.Handle("POST "+address+"/setup/{factor}/options", h.inAttempt(h.postWayOptions))
	h.mountDuoWay(m, address)
	m.Handle("GET "+address+"/codes", httpserve.Page(h.getFirstCodes))
	m.Handle("POST "+address+"/codes", h.inAttempt(h.postFirstCodes))
	m.Handle("GET "+address+"/codes.txt", httpserve.Page(h.getFirstCodesFile))
}

// step is an attempt as this browser may see it.
type step struct {
	signin.Status
	opener signin.Opener
	path   string // of this attempt
	start  string // of the sign-in page it came from
	trust  bool   // the form that is answered asked to trust the browser
}

// attemptPage is what the forms of an attempt carry: all that is needed to begin
// again where it is over, and the version that they were drawn for (ruling 49).
type attemptPage struct {
	Action, Start, Login, ReturnTo string
	Site                           string // that Start leads to, where an application began; empty: it is here
	Version                        int64
}

func (s step) page() attemptPage {
	p := attemptPage{Action: s.path, Start: s.start, Login: s.User.Login, ReturnTo: s.Attempt.ReturnTo, Version: s.Attempt.Version}
	if to, leaves := authn.ParseReturn(s.Attempt.ReturnTo); leaves && s.Attempt.Caller != nil {
		p.Start, p.Site = cmp.Or(s.Back, beginning(to)), to.Site()
	}
	return p
}

// wayID is what a way is called in addresses: its factor's id, or where there is
// no factor yet, its kind.
func wayID(o policy.Offer) string {
	if o.Factor != "" {
		return o.Factor
	}
	return string(o.Kind)
}

// way finds an open way by its id or its kind.
func (s step) way(id string) (policy.Offer, bool) {
	for _, o := range s.Need.Offers {
		if id != "" && (o.Factor == id || string(o.Kind) == id) {
			return o, true
		}
	}
	return policy.Offer{}, false
}

// at is the address of a way; that of the first one is the attempt's own.
func (s step) at(o policy.Offer) string {
	if len(s.Need.Offers) > 0 {
		if first := s.Need.Offers[0]; first.Kind == o.Kind && (first.Factor == o.Factor || first.Factor == "") {
			return s.path
		}
	}
	return withQuery(s.path, "way", wayID(o))
}

// openAttempt finds the attempt in the address. Only a sign-in is one: a
// step-up belongs to a session, and to /account/confirm.
func (h *Handler) openAttempt(r *http.Request) (step, authn.Company, error) {
	s := step{start: signInPath}
	if slug := r.PathValue("company"); slug != "" {
		s.start = "/c/" + url.PathEscape(slug) + signInPath
	}
	s.path = s.start + "/" + url.PathEscape(r.PathValue("attempt"))
	company, err := h.c.Directory.Company(r.Context(), r.PathValue("company"))
	if err != nil {
		return s, company, err
	}
	s.opener = signin.Opener{Company: company.ID, Attempt: r.PathValue("attempt"), Client: httpserve.ClientOf(r)}
	s.Status, err = h.attempt(r, s.opener)
	if err == nil && s.Attempt.Purpose != authn.SignIn {
		err = authn.NotFound
	}
	if err == nil {
		httpserve.Subject(r.Context(), company.ID, s.User.ID, s.Attempt.ID)
	}
	return s, company, err
}

// attempt is where an attempt stands.
func (h *Handler) attempt(r *http.Request, o signin.Opener) (signin.Status, error) {
	st, err := h.c.SignIn.Get(r.Context(), o)
	return merged(st), err
}

func (h *Handler) getAttempt(w http.ResponseWriter, r *http.Request) error {
	s, company, err := h.openAttempt(r)
	if err != nil {
		return h.attemptGone(w, r, s, company, signInPage{}, err)
	}
	return h.drawAttempt(w, r, s)
}

// attemptFunc answers a form of an attempt that this browser began.
type attemptFunc func(http.ResponseWriter, *http.Request, step, url.Values) error

// inAttempt lets in the forms of an attempt, each once: one that was drawn for
// an earlier state only leads to the present one (ruling 49).
func (h *Handler) inAttempt(f attemptFunc) http.Handler {
	return httpserve.Page(func(w http.ResponseWriter, r *http.Request) error {
		form, err := httpserve.Form(r)
		if err != nil {
			return err
		}
		s, company, err := h.openAttempt(r)
		if err == nil {
			// After the attempt: it opens in its own browser only, and to any other
			// the page that says so is of more use than one about forms.
			err = h.c.Cookies.CheckSignInForm(r)
		}
		if err != nil {
			return h.attemptGone(w, r, s, company, signInForm(r, form), err)
		}
		if version, err := strconv.ParseInt(form.Get("version"), 10, 64); err != nil || version != s.Attempt.Version {
			return h.asItIs(w, r, s, form)
		}
		return f(w, r, s, form)
	})
}

// asItIs leads to where the attempt stands, at the way that the form was for.
func (h *Handler) asItIs(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	to := s.path
	if o, ok := s.way(form.Get("way")); ok {
		to = s.at(o)
	}
	return h.moved(w, r, s, to)
}

// moved is for a form that came after the attempt had gone on. If that was the same
// form, sent twice, then this is the answer that the browser shows, and the session is
// given by it; else it leads to where the attempt stands.
func (h *Handler) moved(w http.ResponseWriter, r *http.Request, s step, to string) error {
	has, _ := authn.ParseToken(authn.SessionToken, h.c.Cookies.ReadSession(r))
	st, err := h.c.SignIn.Again(r.Context(), s.opener, has)
	switch {
	case err == nil:
		return h.completed(w, r, st)
	case authn.AsError(err).Code != authn.Conflict:
		httpserve.Record(r, err)
	}
	seeOther(w, to)
	return nil
}

// attemptOver is attemptGone for a form: what was typed before comes along.
func (h *Handler) attemptOver(w http.ResponseWriter, r *http.Request, s step, err error) error {
	return h.attemptGone(w, r, s, s.Company, signInForm(r, r.PostForm), err)
}

// attemptGone is for an attempt that is over, or that this browser did not
// begin. Over means: sign in again, here, with what was typed before.
func (h *Handler) attemptGone(w http.ResponseWriter, r *http.Request, s step, company authn.Company, p signInPage, err error) error {
	e := authn.AsError(err)
	switch e.Code {
	case authn.Expired:
		if s.Attempt.Caller != nil {
			v := h.anonymous(w, r)
			v.inCompany(company)
			return h.secondGone(w, r, v, s.Attempt, err)
		}
		p.Action, p.Reason = s.start, "expired"
		return h.drawSignIn(w, r, http.StatusGone, company, p)
	case authn.NotFound:
		v := h.anonymous(w, r)
		v.inCompany(company)
		v.Title = v.T("page.elsewhere.title")
		return h.drawGone(w, http.StatusNotFound, v, gone{Text: v.T("page.elsewhere.text"), Button: v.T("page.start_again"), Action: s.start})
	}
	return err
}

// attemptView is the view of a page of an attempt.
func (h *Handler) attemptView(w http.ResponseWriter, r *http.Request, s step) *View {
	v := h.anonymous(w, r)
	v.inCompany(s.Company)
	if v.Here == "" {
		v.Here = samePage(s.path) // a form's answer: a choice of language comes back to the attempt
	}
	return v
}

// drawAttempt draws what the attempt needs now.
func (h *Handler) drawAttempt(w http.ResponseWriter, r *http.Request, s step) error {
	v := h.attemptView(w, r, s)
	switch s.Need.State {
	case authn.NeedFactor, authn.AwaitsService:
		return h.drawFactor(w, r, v, s)
	case authn.NeedEnrolment:
		return h.drawEnrolment(w, http.StatusOK, v, s, "")
	case authn.NeedPasswordChange:
		return h.drawNewPassword(w, http.StatusOK, v, s, passwordPage{})
	case authn.Ready:
		return h.drawReady(w, r, v, s)
	case authn.Complete:
		// Back, or a second click, after it was done.
		if s.Attempt.Caller != nil {
			return h.secondGone(w, r, v, s.Attempt, authn.Conflict)
		}
		seeOther(w, continuePath)
		return nil
	case authn.Denied:
		return h.drawDenied(w, v, s)
	}
	return errors.New("web: no page for an attempt in state " + string(s.Need.State))
}

// drawFactor draws the way that the address names, or else the first one.
func (h *Handler) drawFactor(w http.ResponseWriter, r *http.Request, v *View, s step) error {
	wanted := r.URL.Query().Get("way")
	switch {
	case wanted == "choose" && len(s.Need.Offers) > 1:
		return h.drawChoose(w, v, s)
	case wanted == "help":
		return h.drawHelp(w, v, s)
	}
	offer, ok := s.way(wanted)
	if !ok {
		offer = s.Need.Offers[0]
		if waits, ok := s.waitsFor(); ok {
			offer = waits
		}
	}
	if h.finished(r) == "not_sent" && offer.Usable() && len(sentFor(s.Sent, offer.Factor)) > 0 {
		return h.drawCode(w, http.StatusOK, v, s, offer, refusal{}, v.notSent()) // with the password
	}
	return h.drawOffer(w, http.StatusOK, v, s, offer, refusal{})
}

// drawOffer draws one way: its field, the button that has a code sent, or why it
// cannot be used now.
func (h *Handler) drawOffer(w http.ResponseWriter, status int, v *View, s step, o policy.Offer, why refusal) error {
	if !o.Usable() {
		if status != http.StatusOK {
			status = http.StatusTooManyRequests
			if o.Locked {
				status = http.StatusLocked
			}
		}
		return h.drawStopped(w, status, v, s, o)
	}
	if o.Kind == authn.Duo {
		return h.drawDuo(w, status, v, s, o, why, nil)
	}
	if o.Kind == authn.WebAuthn {
		return h.drawPasskey(w, status, v, s, o, why)
	}
	return h.drawCode(w, status, v, s, o, why, sendProblem{})
}

// postAttempt takes an answer.
func (h *Handler) postAttempt(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	offer, ok := s.way(form.Get("way"))
	if !ok {
		return h.moved(w, r, s, s.path) // drawn for another state: show this one
	}
	answer := answerOf(form)
	offer = h.meant(s, offer, answer)
	s.trust = form.Get("trust") != ""
	done, err := h.c.SignIn.Verify(r.Context(), s.opener, signin.Verify{
		Method: offer.Kind, Factor: offer.Factor, Answer: answer, Version: s.Attempt.Version, Trust: s.trust && offer.TrustDays > 0,
	})
	if err != nil {
		return h.refuseAnswer(w, r, s, offer, err)
	}
	if !done.Done() {
		seeOther(w, s.path)
		return nil
	}
	return h.completed(w, r, done)
}

// meant is the way that an answer is for: a backup code in the app's field, or
// the app's code in the field for backup codes, is known by its shape, and
// charged where it belongs (ruling 44, ux rule 14).
func (h *Handler) meant(s step, drawn policy.Offer, a authn.Answer) policy.Offer {
	if h.fits(drawn.Kind, a) {
		return drawn
	}
	for _, o := range s.Need.Offers {
		if o.Kind != drawn.Kind && h.fits(o.Kind, a) && (!o.Kind.Sent() || len(sentFor(s.Sent, o.Factor)) > 0) {
			return o
		}
	}
	return drawn
}

// fits reports whether an answer can be one of that kind.
func (h *Handler) fits(k authn.Kind, a authn.Answer) bool {
	m := h.methods[k]
	return m != nil && m.Shape(a) == nil
}

// refuseAnswer draws the form again, for the attempt as it is after the try.
func (h *Handler) refuseAnswer(w http.ResponseWriter, r *http.Request, s step, o policy.Offer, err error) error {
	e := authn.AsError(err)
	httpserve.Record(r, err)
	switch {
	case e.Code == authn.Conflict:
		return h.moved(w, r, s, s.at(o))
	case e.Code == authn.NotFound, e.Code == authn.Expired && !answerExpired(e):
		return h.attemptOver(w, r, s, err)
	}
	now, gone := h.attempt(r, s.opener)
	if gone != nil {
		return h.attemptOver(w, r, s, gone)
	}
	s.Status = now
	o, ok := s.way(wayID(o))
	if !ok {
		seeOther(w, s.path)
		return nil
	}
	v := h.attemptView(w, r, s)
	why, ok := v.answerRefusal(o.Kind, e)
	if !ok && o.Kind == authn.Duo {
		return h.duoRefuse(w, r, s, o, err)
	}
	if !ok && o.Usable() {
		return err
	}
	return h.drawOffer(w, max(why.Status, http.StatusUnprocessableEntity), v, s, o, why)
}
