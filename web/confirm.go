package web

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// act is what a confirmation is for. The page names it; a link can name one of
// these and nothing else.
type act struct {
	action string // as the log names it
	then   string // where it is gone on with
	label  string // key of "to turn off your authenticator app"
	run    func(*Handler, http.ResponseWriter, *http.Request, signin.Status) error
}

var acts = map[string]act{
	"app":            {action: "app.set_up", then: securityPath, label: "page.confirm.for_app", run: (*Handler).appAct},
	"app_off":        {action: "app.turn_off", then: appOffPath, label: "page.confirm.for_app_off"},
	"email_provider": {action: "provider.change", then: mailPath, label: "page.confirm.for_email_provider"},
	"password":       {action: "password.change", then: passwordPath, label: "page.confirm.for_password"},
	"":               {then: securityPath, label: "page.confirm.for_any"},
}

// confirmPage is the data of confirm.html (S22).
type confirmPage struct {
	Action, Then, Act, Label string
	Cancel                   string
	Company, Login           string
	Version                  int64 // 0: there is no attempt yet
	Password                 bool  // asks for the password: the person has no app
	Factor                   string
	Refusal                  refusal
	Stopped                  bool // locked or paused: nothing can be entered
	Locked                   bool
	Pause                    *pause
}

// askConfirm answers that an act needs a more recent proof.
func (h *Handler) askConfirm(w http.ResponseWriter, name, then string) error {
	seeOther(w, withQuery(confirmPath, "for", name, "then", then))
	return nil
}

// intent is the act and where to go after it, from a query or a form.
type intent struct {
	name string
	act
}

func intentOf(values url.Values) intent {
	in := intent{name: values.Get("for")}
	var ok bool
	if in.act, ok = acts[in.name]; !ok {
		in.name, in.act = "", acts[""]
	}
	if in.run == nil {
		in.then = safe(values.Get("then"), in.then)
	}
	return in
}

// getConfirm asks for the code. It begins nothing: the attempt is made when the
// first answer is posted.
func (h *Handler) getConfirm(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	in := intentOf(r.URL.Query())
	if in.name != "" && in.run == nil {
		// One of our own pages, confirmed already in another tab. Other pages may
		// want a more recent proof than ours, and would send the person back here.
		if h.c.Enroll.Ready(r.Context(), who(r, cur)) == nil {
			seeOther(w, in.then)
			return nil
		}
	}
	p := confirmPage{Action: confirmPath}
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	if len(ru.second) == 0 {
		p.Password = true
	} else {
		p.stop(v, policy.Offer{Locked: tries(ru.second[0], cur) >= policy.Share(cur.Lane), PausedUntil: ru.second[0].Counts[cur.Lane].PausedUntil})
	}
	return h.drawConfirm(w, http.StatusOK, v, cur, in, p)
}

// stop says that the app cannot be used now.
func (p *confirmPage) stop(v *View, o policy.Offer) {
	p.Locked = o.Locked
	if !p.Locked && !o.PausedUntil.IsZero() {
		p.Pause = v.pauseOf(o.PausedUntil)
	}
	p.Stopped = p.Locked || p.Pause != nil
}

func tries(f authn.Factor, cur session.Current) int { return f.Counts[cur.Lane].Tries }

func (h *Handler) drawConfirm(w http.ResponseWriter, status int, v *View, cur session.Current, in intent, p confirmPage) error {
	p.Then, p.Act, p.Label = in.then, in.name, v.T(in.label)
	p.Company, p.Login, p.Cancel = cur.Company.Name, cur.User.Login, securityPath
	v.Section, v.Title, v.Failed, v.Data = "security", v.T("page.confirm.title"), p.Refusal.Text != "" && !p.Stopped, p
	return h.draw(w, status, "confirm.html", v)
}

// postConfirm begins a step-up with its first answer. A wrong one leads to the
// attempt's own address, so that Reload does not try it again.
func (h *Handler) postConfirm(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	in := intentOf(r.PostForm)
	h.c.Cookies.EnsureBrowser(w, r)
	st, err := h.c.SignIn.StepUp(r.Context(), cur.Token, in.action, in.then, httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	httpserve.Subject(r.Context(), st.Attempt.ID)
	done, err := h.answer(r, signin.OpenerOf(st.Token, httpserve.ClientOf(r)), st, st.Attempt.Version)
	if err == nil {
		return h.confirmed(w, r, in, done)
	}
	e := authn.AsError(err)
	if e.Code == authn.Invalid {
		return h.refuseConfirm(w, r, cur, in, st, err)
	}
	switch e.Code {
	case authn.WrongCode, authn.WrongCredentials, authn.CodeUsed, authn.Paused, authn.Locked:
		httpserve.Record(r, err)
		seeOther(w, withQuery(confirmPath+"/"+st.Attempt.ID, "for", in.name, "then", in.then, "again", string(e.Code), "until", unixAfter(h.c.Now(), e.RetryAfter)))
		return nil
	}
	return err
}

// answer gives what was typed to the attempt: the code, or the password of
// someone who has nothing else.
func (h *Handler) answer(r *http.Request, o signin.Opener, st signin.Status, version int64) (signin.Status, error) {
	v := signin.Verify{Version: version}
	if st.Need.State == authn.NeedPassword {
		v.Method, v.Answer.Password = authn.Password, r.PostForm.Get("password")
	} else {
		v.Method, v.Answer.Code = appKind, r.PostForm.Get("code")
	}
	return h.c.SignIn.Verify(r.Context(), o, v)
}

// confirmed hands out the new session and goes on with the act.
func (h *Handler) confirmed(w http.ResponseWriter, r *http.Request, in intent, done signin.Status) error {
	if done.Session == nil {
		seeOther(w, withQuery(confirmPath, "for", in.name, "then", in.then))
		return nil
	}
	h.c.Cookies.SetSession(w, done.SessionToken.Reveal())
	if in.run != nil {
		return in.run(h, w, r, done)
	}
	seeOther(w, in.then)
	return nil
}

// openStepUp finds the step-up in the address; it must be of this session.
func (h *Handler) openStepUp(r *http.Request, cur session.Current) (signin.Status, signin.Opener, error) {
	o := signin.Opener{Company: cur.Company.ID, Attempt: r.PathValue("attempt"), Client: httpserve.ClientOf(r)}
	st, err := h.c.SignIn.Get(r.Context(), o)
	if err == nil && (st.Attempt.Purpose != authn.StepUp || st.Attempt.Session != cur.Session.ID) {
		err = authn.NotFound
	}
	if err == nil {
		httpserve.Subject(r.Context(), st.Attempt.ID)
	}
	return st, o, err
}

// overOrElse begins again where the attempt is over.
func (h *Handler) overOrElse(w http.ResponseWriter, in intent, err error) error {
	switch authn.AsError(err).Code {
	case authn.NotFound, authn.Expired, authn.Conflict:
		return h.askConfirm(w, in.name, in.then)
	}
	return err
}

func (h *Handler) getConfirmAttempt(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	in := intentOf(r.URL.Query())
	st, _, err := h.openStepUp(r, cur)
	if err != nil {
		return h.overOrElse(w, in, err)
	}
	if st.Need.State == authn.Complete {
		return h.askConfirm(w, in.name, in.then)
	}
	v := h.personal(r, cur)
	p := confirmPage{}
	if code := authn.Code(r.URL.Query().Get("again")); code != "" {
		p.again(v, code, pauseIn(r.URL.Query(), v.now), st, cur)
	}
	return h.drawStepUp(w, http.StatusOK, v, cur, in, st, p)
}

// again says what was wrong with the answer that led here. The address holds
// only the kind of mistake, and until when the password rests, which no row that
// we read says; tries are read from the account.
func (p *confirmPage) again(v *View, code authn.Code, until time.Time, st signin.Status, cur session.Current) {
	used := factorOf(st, cur)
	switch code {
	case authn.WrongCredentials:
		p.Refusal.Text = v.T("page.password.wrong")
	case authn.Paused, authn.Locked:
		if st.Need.State == authn.NeedPassword {
			p.Refusal.Text, p.Pause = v.T("page.password.paused"), v.pauseOf(until)
		}
	case authn.WrongCode, authn.CodeUsed:
		e := &authn.Error{Code: code, HasLeft: true, AttemptsLeft: max(policy.FreeTries-tries(used, cur), 0)}
		p.Refusal, _ = v.codeRefusal(e)
	}
}

// unixAfter writes the end of a pause into an address; empty: there is none.
func unixAfter(now time.Time, d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt(now.Add(d).Unix(), 10)
}

// pauseIn is the end of a pause in an address, or zero: a link that somebody made
// up says nothing that could not be.
func pauseIn(q url.Values, now time.Time) time.Time {
	n, err := strconv.ParseInt(q.Get("until"), 10, 64)
	until := time.Unix(n, 0)
	if err != nil || until.Before(now) || until.After(now.Add(policy.LongestPause)) {
		return time.Time{}
	}
	return until
}

// factorOf is what the attempt's answer is compared with.
func factorOf(st signin.Status, cur session.Current) authn.Factor {
	for _, f := range cur.Factors {
		if len(st.Need.Offers) == 0 && f.Kind == authn.Password || len(st.Need.Offers) > 0 && f.ID == st.Need.Offers[0].Factor {
			return f
		}
	}
	return authn.Factor{}
}

func (h *Handler) drawStepUp(w http.ResponseWriter, status int, v *View, cur session.Current, in intent, st signin.Status, p confirmPage) error {
	p.Action, p.Version = confirmPath+"/"+st.Attempt.ID, st.Attempt.Version
	p.Password = st.Need.State == authn.NeedPassword
	if len(st.Need.Offers) > 0 {
		p.stop(v, st.Need.Offers[0])
	}
	return h.drawConfirm(w, status, v, cur, in, p)
}

func (h *Handler) postConfirmAttempt(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	in := intentOf(r.PostForm)
	st, o, err := h.openStepUp(r, cur)
	if err != nil {
		return h.overOrElse(w, in, err)
	}
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err != nil || version <= 0 {
		return h.toStepUp(w, in, st)
	}
	done, err := h.answer(r, o, st, version)
	if err == nil {
		return h.confirmed(w, r, in, done)
	}
	switch authn.AsError(err).Code {
	case authn.Conflict:
		return h.toStepUp(w, in, st)
	case authn.NotFound, authn.Expired:
		return h.overOrElse(w, in, err)
	}
	return h.refuseConfirm(w, r, cur, in, st, err)
}

func (h *Handler) toStepUp(w http.ResponseWriter, in intent, st signin.Status) error {
	seeOther(w, withQuery(confirmPath+"/"+st.Attempt.ID, "for", in.name, "then", in.then))
	return nil
}

// refuseConfirm draws the form again in place, for the attempt as it is now.
func (h *Handler) refuseConfirm(w http.ResponseWriter, r *http.Request, cur session.Current, in intent, st signin.Status, err error) error {
	e, v := authn.AsError(err), h.personal(r, cur)
	httpserve.Record(r, err)
	o := signin.Opener{Company: cur.Company.ID, Attempt: st.Attempt.ID, Token: st.Token, Client: httpserve.ClientOf(r)}
	now, gone := h.c.SignIn.Get(r.Context(), o)
	if gone != nil {
		return h.overOrElse(w, in, gone)
	}
	p, ok := confirmPage{}, true
	switch e.Code {
	case authn.Paused, authn.Locked:
		retryAfter(w, e.RetryAfter)
		if p.Pause = v.pauseOf(v.now.Add(e.RetryAfter)); now.Need.State == authn.NeedPassword {
			p.Refusal.Text = v.T("page.password.paused")
		}
	case authn.WrongCredentials:
		p.Refusal.Text = v.T("page.password.wrong")
	case authn.Invalid:
		if p.Refusal.Text = v.fieldText(e, "code"); p.Refusal.Text == "" && v.fieldText(e, "password") != "" {
			p.Refusal.Text = v.T("page.signin.password_empty")
		}
		ok = p.Refusal.Text != ""
	default:
		p.Refusal, ok = v.codeRefusal(e)
	}
	if !ok {
		return err
	}
	return h.drawStepUp(w, httpserve.Status(e.Code), v, cur, in, now, p)
}
