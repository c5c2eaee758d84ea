package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
)

// enrolmentPage is the data of enrolment.html (S11): the sign-in asks for a way
// of one's own.
type enrolmentPage struct {
	attemptPage
	Why    []string
	Ways   []newWay
	Later  []Part // until when it can be put off; empty: it cannot
	Opened bool   // an administrator's code opened it
	Handed bool   // the app was set up together with an administrator
	// Prepared are ways that an administrator prepared; the value is the factor.
	Prepared []newWay
	Support  []Part
	Problem  string
}

// newWay is a way that can be set up now.
type newWay struct {
	Factor      string // that was prepared
	Kind        authn.Kind
	Label, Icon string
	Hint        []Part
	Recommended bool
	Device      bool // the browser has to know how
}

// settable lists the kinds that the person can set up in this sign-in: whatever
// is registered and strong enough for what asks for it. The best is first.
func (h *Handler) settable(s step) ([]authn.Kind, error) {
	doc, err := policy.Current(s.Company, h.c.Now())
	if err != nil {
		return nil, err
	}
	least := doc.Minimum(s.User)
	if least == policy.AnyStrength && (doc.NeedsOwnWay(s.User) || s.Need.Opened) {
		least = policy.OwnPossession // a code to the same contact again would be no way of one's own
	}
	var kinds []authn.Kind
	offered := doc.Only(h.traits(s.Company))
	for _, m := range h.c.Methods {
		_, can := m.(authn.Enroller)
		if _, here := offered(m.Kind()); can && here && m.Kind().Own() && least.Meets(m.Traits()) && (m.Kind() != authn.Email || s.User.Email != "") {
			kinds = append(kinds, m.Kind())
		}
	}
	if s.Need.Handed {
		kinds = slices.DeleteFunc(kinds, func(k authn.Kind) bool { return k != appKind })
	}
	slices.SortStableFunc(kinds, func(a, b authn.Kind) int { return h.rank(a) - h.rank(b) })
	return kinds, nil
}

func (h *Handler) rank(k authn.Kind) int {
	switch t := h.methods[k].Traits(); {
	case t.PhishingResistant:
		return 0
	case t.Possession:
		return 1
	}
	return 2
}

// whySetUp is why a way of their own is asked of somebody: what demands it, and what
// it must be.
func (h *Handler) whySetUp(s step) []policy.Reason {
	why := slices.Clone(s.Need.Why)
	doc, err := policy.Current(s.Company, h.c.Now())
	if err != nil {
		return why // it is said elsewhere
	}
	if doc.Minimum(s.User) != policy.AnyStrength {
		why = append(why, policy.MinimumStrength)
	}
	return append(why, policy.OwnWayAsked)
}

func (h *Handler) drawEnrolment(w http.ResponseWriter, status int, v *View, s step, problem string) error {
	kinds, err := h.settable(s)
	if err != nil {
		return err
	}
	p := enrolmentPage{attemptPage: s.page(), Why: v.why(h.whySetUp(s), s.Company.Name), Opened: s.Need.Opened, Support: v.support(s.Company), Problem: problem}
	p.Handed = s.Need.Handed
	for _, f := range s.Prepared {
		p.Prepared = append(p.Prepared, newWay{Kind: f.Kind, Factor: f.ID, Label: v.T("page.way." + string(f.Kind)), Icon: wayIcon(f.Kind),
			Hint: v.Rich("page.enrolment.prepared", "To", preparedTo(f, s.User))})
	}
	for i, k := range kinds {
		p.Ways = append(p.Ways, newWay{Kind: k, Label: v.T("page.way." + string(k)), Icon: wayIcon(k),
			Hint:        v.Rich(v.of("page.enrolment.way", k), "To", policy.Mask(k, s.User.Email)),
			Recommended: i == 0 && h.rank(k) < 2, Device: k == authn.WebAuthn})
	}
	if until := s.Need.GraceUntil; !until.IsZero() {
		p.Later = v.Rich("page.enrolment.later", "Day", v.Day(until))
	}
	v.Title, v.Failed, v.Passkeys, v.Data = v.T("page.enrolment.title"), problem != "", true, p
	return h.draw(w, status, "enrolment.html", v)
}

// preparedTo is where a way that was prepared leads, masked.
func preparedTo(f authn.Factor, u authn.User) string {
	switch f.Kind {
	case authn.SMS:
		return policy.Mask(f.Kind, policy.Ends(f))
	case authn.Email:
		return policy.Mask(f.Kind, u.Email)
	}
	return "Duo"
}

// postPrepared goes on with a way that an administrator prepared: its code is
// sent, or its page at the outside service is shown.
func (h *Handler) postPrepared(w http.ResponseWriter, r *http.Request, s step, factor string) error {
	i := slices.IndexFunc(s.Prepared, func(f authn.Factor) bool { return f.ID == factor })
	if i < 0 {
		seeOther(w, s.path)
		return nil
	}
	if s.Prepared[i].Kind.Sent() {
		_, err := h.c.Enroll.Send(r.Context(), s.who(), factor)
		switch e := authn.AsError(err); {
		case err == nil, e.Code == authn.TooManyRequests: // one is out: its page says when another can be
		case e.Code == authn.MessageNotSent, noTextKey(e):
			status, v := recorded(r, err), h.attemptView(w, r, s)
			return h.drawEnrolment(w, status, v, s, httpserve.Message(h.c.Texts, v.Lang, e))
		default:
			return h.setUpOver(w, r, s, err)
		}
	}
	seeOther(w, s.setUp(factor))
	return nil
}

// setUp is the address of a set-up in a sign-in.
func (s step) setUp(factor string) string { return s.path + "/setup/" + url.PathEscape(factor) }

// postWay begins a set-up. Nothing counts before its code came back, so that
// going away half-way leaves nothing on.
func (h *Handler) postWay(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	if prepared := form.Get("prepared"); prepared != "" {
		return h.postPrepared(w, r, s, prepared)
	}
	kind := authn.Kind(form.Get("kind"))
	kinds, err := h.settable(s)
	if err != nil {
		return err
	}
	if s.Need.State != authn.NeedEnrolment || !slices.Contains(kinds, kind) {
		seeOther(w, s.path)
		return nil
	}
	if kind == authn.SMS {
		seeOther(w, s.setUp("phone")) // the number comes first
		return nil
	}
	p, err := h.c.Enroll.Begin(r.Context(), s.who(), kind, "")
	switch e := authn.AsError(err); {
	case err == nil:
		httpserve.Subject(r.Context(), p.Factor.ID)
		seeOther(w, s.setUp(p.Factor.ID))
		return nil
	case kind == authn.Duo && e.Key != "error.attempt_complete" && h.duoUnbegun(h.layout.view(r), e) != "":
		status, v := recorded(r, err), h.attemptView(w, r, s)
		return h.drawEnrolment(w, status, v, s, h.duoUnbegun(v, e))
	case e.Code == authn.MessageNotSent, e.Code == authn.TooManyRequests, e.Code == authn.PolicyForbids:
		status, v := recorded(r, err), h.attemptView(w, r, s)
		retryAfter(w, e.RetryAfter)
		return h.drawEnrolment(w, status, v, s, httpserve.Message(h.c.Texts, v.Lang, e))
	}
	return h.setUpOver(w, r, s, err)
}

// setUpOver leads from a set-up that is not there any more to what is.
func (h *Handler) setUpOver(w http.ResponseWriter, r *http.Request, s step, err error) error {
	e := authn.AsError(err)
	switch {
	case e.Code == authn.Expired && e.Key == "error.attempt_expired":
		return h.attemptOver(w, r, s, err)
	case e.Code == authn.Conflict, e.Code == authn.Forbidden, e.Code == authn.Invalid:
		httpserve.Record(r, err)
		seeOther(w, s.path)
		return nil
	case e.Code == authn.Expired, e.Code == authn.NotFound:
		v := h.attemptView(w, r, s)
		v.Title = v.T("page.setup.gone_title")
		return h.drawGone(w, recorded(r, err), v, gone{Text: v.T("page.setup.gone_text"), Button: v.T("page.enrolment.again"), Action: s.path})
	}
	return err
}

// wayPage is the data of setupway.html: a way being set up in a sign-in.
type wayPage struct {
	attemptPage
	App  setUpPage
	Kind authn.Kind
	Try  int64     // version of the pending way
	Send string    // address of the form that sends the code again
	Sent *sentPart // for ways whose codes are sent; there is no key then
	To   []Part    // where they went
	Note sendProblem
	// Change is the address of the page for another number; empty: none.
	Change string
}

func (h *Handler) getWay(w http.ResponseWriter, r *http.Request) error {
	s, company, err := h.openAttempt(r)
	if err != nil {
		return h.attemptGone(w, r, s, company, signInPage{}, err)
	}
	return h.drawWay(w, r, s, nil)
}

// drawWay shows what is being set up, after a refused code the same (A2).
func (h *Handler) drawWay(w http.ResponseWriter, r *http.Request, s step, e *authn.Error) error {
	if s.Need.State != authn.NeedEnrolment {
		seeOther(w, s.path)
		return nil
	}
	pending, err := h.c.Enroll.Show(r.Context(), s.who(), r.PathValue("factor"))
	if err != nil {
		return h.setUpOver(w, r, s, err)
	}
	if pending.Factor.Kind == authn.Duo {
		return h.drawDuoSetUp(w, r, http.StatusOK, h.attemptSetUp(w, r, s, nil), duoOutcome{})
	}
	if pending.Factor.Kind == authn.WebAuthn {
		return h.drawPasskeySetUp(w, r, http.StatusOK, h.attemptSetUp(w, r, s, nil), refusal{})
	}
	v := h.attemptView(w, r, s)
	v.Shape = Sheet
	base, kind := s.setUp(pending.Factor.ID), pending.Factor.Kind
	p := wayPage{attemptPage: s.page(), Kind: kind, Try: pending.Version, Send: base + "/send"}
	if kind.Sent() {
		v.Shape = Card
		p.Sent = v.codesOut(pending.Sent, pending.ResendAt, policy.Mask(kind, pending.Address))
		p.Sent.Slow = v.slowSignIn(kind, s.Company.Name, v.T("mail.code_setup.subject", "Company", s.Company.Name))
		p.To = v.Rich("page.code.over", "To", p.Sent.To)
		if p.Sent.Out {
			p.To = v.Rich("page.code.sent", "To", p.Sent.To, "Until", p.Sent.Until)
		}
		if kind == authn.SMS {
			h.showWayNumber(v, s, &p, pending)
		}
	} else if p.App, err = setUpData(v, pending); err != nil {
		return err
	}
	p.App.Confirm, p.App.Cancel, p.App.Replaces = base+"/confirm", base+"/cancel", Part{}
	status := http.StatusOK
	if e != nil {
		if !p.refuse(w, v, e) {
			return e
		}
		status = max(p.App.Refusal.Status, http.StatusUnprocessableEntity)
		if p.Note.Text != nil {
			status = httpserve.Status(e.Code)
		}
	}
	v.Title = v.T(v.of("page.setup.title", kind))
	v.Failed, v.Data = p.App.Refusal.Text != "" || p.Note.Text != nil, p
	return h.draw(w, status, "setupway.html", v)
}

// refuse puts into words what was refused, and reports whether it can.
func (p *wayPage) refuse(w http.ResponseWriter, v *View, e *authn.Error) bool {
	if e.Code == authn.MessageNotSent || e.Code == authn.TooManyRequests || noTextKey(e) {
		p.Note = v.sendProblem(w, e)
		return true
	}
	if e.Key == "error.factor_taken" {
		p.Note = sendProblem{Text: v.Rich("error.number_not_possible")} // whose it is concerns them
		return true
	}
	if e.Code == authn.Locked {
		p.App.Refusal = refusal{Text: v.T("page.enrolment.locked")}
		return true
	}
	if known := p.App.explain(w, v, e); known && (p.Kind == appKind || p.App.Pause != nil) {
		if p.Kind.Sent() {
			p.App.Refusal.Text = v.T("page.sent.paused")
		}
		return true
	}
	why, ok := v.answerRefusal(p.Kind, e)
	p.App.Refusal = why
	return ok
}

func (h *Handler) postWayConfirm(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
	if form.Has(credentialField) {
		return h.passkeySetUpConfirm(w, r, h.attemptSetUp(w, r, s, form))
	}
	here := s.setUp(r.PathValue("factor"))
	try, err := strconv.ParseInt(form.Get("try"), 10, 64)
	if err != nil || try <= 0 {
		seeOther(w, here)
		return nil
	}
	changed, err := h.c.Enroll.Confirm(r.Context(), s.who(), r.PathValue("factor"), try, authn.Answer{Code: form.Get("code")})
	e := authn.AsError(err)
	switch {
	case err == nil && len(changed.Codes) > 0:
		seeOther(w, s.path+"/codes")
		return nil
	case err == nil:
		return h.postReady(w, r, s, form)
	case e.Key == "error.attempt_moved":
		seeOther(w, here) // Reload, or a second click
		return nil
	case e.Key == "error.factor_taken":
		httpserve.Record(r, err)
		return h.drawWay(w, r, s, e)
	case e.Code == authn.Conflict, e.Code == authn.Forbidden, e.Code == authn.NotFound, e.Code == authn.Expired && e.Key != codeExpired:
		return h.setUpOver(w, r, s, err)
	}
	httpserve.Record(r, err)
	return h.drawWay(w, r, s, e)
}

// postWayOptions is the question for a new passkey, for the script.
func (h *Handler) postWayOptions(w http.ResponseWriter, r *http.Request, s step, _ url.Values) error {
	return h.passkeySetUpOptions(w, r, s.who())
}

func (h *Handler) postWaySend(w http.ResponseWriter, r *http.Request, s step, _ url.Values) error {
	_, err := h.c.Enroll.Send(r.Context(), s.who(), r.PathValue("factor"))
	switch e := authn.AsError(err); {
	case err == nil:
		seeOther(w, s.setUp(r.PathValue("factor")))
		return nil
	case e.Code == authn.MessageNotSent, e.Code == authn.TooManyRequests, noTextKey(e):
		httpserve.Record(r, err)
		return h.drawWay(w, r, s, e)
	}
	return h.setUpOver(w, r, s, err)
}

// postWayCancel gives a set-up up and leads back to the choice.
func (h *Handler) postWayCancel(w http.ResponseWriter, r *http.Request, s step, _ url.Values) error {
	_, err := h.c.Enroll.Show(r.Context(), s.who(), r.PathValue("factor"))
	if err == nil {
		_, err = h.c.Enroll.Remove(r.Context(), s.who(), r.PathValue("factor"))
	}
	e := authn.AsError(err)
	if err == nil || e.Code == authn.NotFound || e.Code == authn.Expired && e.Key != "error.attempt_expired" {
		seeOther(w, s.path) // over already: what was wanted
		return nil
	}
	return h.setUpOver(w, r, s, err)
}

// scan is what the part "scan" is drawn with: the QR code and the key.
type scan struct {
	V    *View
	Data setUpPage
}

// Scan is the step of a set-up in which the app takes the key.
func (v *View) Scan(p setUpPage) scan { return scan{v, p} }
