package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// The addresses of Duo in the account.
const (
	duoPath    = "/account/security/duo"
	duoOffPath = "/account/security/duo/off"
)

// mountDuoSetUp registers the set-up of Duo in the account.
func (h *Handler) mountDuoSetUp(m *httpserve.Mux) {
	m.Handle("POST "+duoPath, h.account(h.postDuo))
	m.Handle("GET "+duoOffPath, h.account(h.getTurnOff))
	m.Handle("POST "+duoOffPath, h.account(h.postTurnOff))
	m.Handle("GET "+duoPath+"/{factor}", h.account(h.preparedBy(h.getDuo)))
	for verb, f := range duoVerbs {
		m.Handle("POST "+duoPath+"/{factor}/"+verb, h.account(func(w http.ResponseWriter, r *http.Request, cur session.Current) error {
			return f(h, w, r, h.accountSetUp(w, r, cur, duoPath, "duo_on"))
		}))
	}
	m.Handle("POST "+duoPath+"/{factor}/cancel", h.account(h.postSetUpCancel))
}

// mountDuoWay registers the set-up of Duo in a sign-in.
func (h *Handler) mountDuoWay(m *httpserve.Mux, address string) {
	for verb, f := range duoVerbs {
		m.Handle("POST "+address+"/setup/{factor}/duo/"+verb, h.inAttempt(func(w http.ResponseWriter, r *http.Request, s step, form url.Values) error {
			return f(h, w, r, h.attemptSetUp(w, r, s, form))
		}))
	}
}

// listOf are the lists that a set-up in the account leads to, by what it begins with.
var listOf = map[string]string{passkeysPath: passkeysPath}

// settingUp is a set-up of Duo or of a passkey, in an account or in a sign-in.
type settingUp struct {
	view        *View
	who         enroll.Who
	id          string // of the pending factor
	here, verbs string // its page; what the addresses of its forms begin with
	fields      []hidden
	cancel      string
	back, label string // where the link back leads
	locked      string // key of what to do after too many codes
	over        func(error) error
	done        func(enroll.Changed) error
}

// duoVerbs are what the forms of a set-up do.
var duoVerbs = map[string]func(*Handler, http.ResponseWriter, *http.Request, settingUp) error{
	"start": (*Handler).duoSetUpStart, "ways": (*Handler).duoSetUpWays, "code": (*Handler).duoSetUpCode, "continue": (*Handler).duoSetUpApproved,
}

func (h *Handler) accountSetUp(w http.ResponseWriter, r *http.Request, cur session.Current, base, done string) settingUp {
	v := h.personal(r, cur)
	v.Section = "security"
	at := base + "/" + url.PathEscape(r.PathValue("factor"))
	return settingUp{view: v, who: who(r, cur), id: r.PathValue("factor"), here: at, verbs: at, cancel: at + "/cancel", fields: []hidden{{"form", v.Form}},
		back: securityPath, label: v.T("page.back"), locked: "page.setup.locked",
		over: func(err error) error { return h.begunGone(w, r, cur, v, err) },
		done: func(changed enroll.Changed) error {
			h.changed(w, r, changed)
			if len(changed.Codes) > 0 {
				return h.finish(w, codesPath, done)
			}
			return h.finish(w, cmp.Or(listOf[base], securityPath), done)
		}}
}

func (h *Handler) attemptSetUp(w http.ResponseWriter, r *http.Request, s step, form url.Values) settingUp {
	v, p, at := h.attemptView(w, r, s), s.page(), s.setUp(r.PathValue("factor"))
	v.Shape = Sheet
	return settingUp{view: v, who: s.who(), id: r.PathValue("factor"), here: at, verbs: at + "/duo", cancel: at + "/cancel",
		fields: []hidden{{"form", v.Form}, {"version", strconv.FormatInt(p.Version, 10)}, {"login", p.Login}, {"return_to", p.ReturnTo}},
		back:   s.path, label: v.T("page.enrolment.back"), locked: "page.enrolment.locked",
		over: func(err error) error { return h.setUpOver(w, r, s, err) },
		done: func(changed enroll.Changed) error {
			if len(changed.Codes) > 0 {
				seeOther(w, s.path+"/codes")
				return nil
			}
			return h.postReady(w, r, s, form)
		}}
}

// postDuo begins a set-up.
func (h *Handler) postDuo(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.beginDuo(w, r, cur)
}

// duoAct goes on with the set-up after the person confirmed that it's them.
func (h *Handler) duoAct(w http.ResponseWriter, r *http.Request, st signin.Status) error {
	cur, err := h.c.Sessions.Check(r.Context(), st.SessionToken.Reveal(), httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	return h.beginDuo(w, r, cur)
}

func (h *Handler) beginDuo(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	p, err := h.c.Enroll.Begin(r.Context(), who(r, cur), authn.Duo, "")
	e := authn.AsError(err)
	switch {
	case err == nil:
		httpserve.Subject(r.Context(), p.Factor.ID)
		seeOther(w, duoPath+"/"+p.Factor.ID)
		return nil
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "duo", "")
	case e.Code == authn.Conflict && e.Key == "error.replaces", e.Code == authn.Invalid:
		seeOther(w, securityPath) // on by now, or not used here any more
		return nil
	}
	v := h.personal(r, cur)
	v.Section, v.Title = "security", v.T("page.duo.setup_title")
	text := h.duoUnbegun(v, e)
	if text == "" {
		return err
	}
	return h.drawGone(w, recorded(r, err), v, gone{Text: text, Button: v.T("page.back_to_security"), Action: securityPath})
}

// duoUnbegun says why no set-up was begun, or "".
func (h *Handler) duoUnbegun(v *View, e *authn.Error) string {
	switch e.Code {
	case authn.Conflict:
		return v.T("page.duo.taken")
	case authn.ProviderUnavailable, authn.Busy:
		return v.T("page.duo.setup_unavailable")
	case authn.PolicyForbids:
		return httpserve.Message(v.texts, v.Lang, e)
	}
	return ""
}

func (h *Handler) getDuo(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.drawDuoSetUp(w, r, http.StatusOK, h.accountSetUp(w, r, cur, duoPath, "duo_on"), duoOutcome{})
}

// duoSetUpPage is the data of duosetup.html (S20).
type duoSetUpPage struct {
	Back, BackLabel, Cancel string
	Fields                  []hidden
	Account                 string
	Elsewhere               bool   // the person has to set themselves up at Duo first
	Link                    string // to Duo's page for that; empty: there is none
	Scan                    bool   // that page is nothing but a QR code
	Here                    string
	Every                   int
	Part                    *duoPart
}

// duoOutcome is what came of a form of a set-up, if it is drawn again.
type duoOutcome struct {
	refused refusal
	pause   *pause
	problem *duoProblem
}

// drawDuoSetUp draws where the set-up of Duo is.
func (h *Handler) drawDuoSetUp(w http.ResponseWriter, r *http.Request, status int, u settingUp, out duoOutcome) error {
	pending, err := h.c.Enroll.Show(r.Context(), u.who, u.id)
	if err == nil && pending.Factor.Kind != authn.Duo {
		err = authn.NotFound
	}
	if err != nil {
		return u.over(err)
	}
	v := u.view
	p := duoSetUpPage{Back: u.back, BackLabel: u.label, Cancel: u.cancel, Fields: u.fields, Account: pending.Shown.Account, Here: u.here}
	v.Title = v.T("page.duo.setup_title")
	if pending.Elsewhere {
		p.Elsewhere, p.Link = true, pending.Shown.Portal
		if p.Link == "" {
			p.Link, p.Scan = pending.Shown.Barcode, pending.Shown.Barcode != ""
		}
		if status == http.StatusOK { // only a page that was opened looks again
			v.Refresh, p.Every = lookElsewhere, lookElsewhere
		}
	} else {
		p.Part = v.duoPart(u.forms(v, pending.Version), duoAsked(pending.Sent, u.id), v.duoAgain(pending.Sent, pending.ResendAt), out.refused, out.problem)
		if slices.ContainsFunc(pending.Sent, func(c authn.Challenge) bool { return c.Outcome == authn.Approved }) && out.problem == nil {
			p.Part.Show = duoApproved
		}
		p.Part.Pause = out.pause
	}
	v.Failed, v.Data = p.Part != nil && (p.Part.Problem != nil || out.refused.Text != ""), p
	return h.draw(w, status, "duosetup.html", v)
}

func (u settingUp) forms(v *View, version int64) duoForms {
	return duoForms{Fields: append(slices.Clip(u.fields), hidden{"try", strconv.FormatInt(version, 10)}),
		Start: u.verbs + "/start", Ways: u.verbs + "/ways", Code: u.verbs + "/code", Approve: u.verbs + "/continue",
		Here: u.here, All: withQuery(u.here, "duo", duoAll), Label: v.T("page.duo.turn_on"), Busy: v.T("page.setup.busy")}
}

func (h *Handler) duoSetUpStart(w http.ResponseWriter, r *http.Request, u settingUp) error {
	_, err := h.c.Enroll.Start(r.Context(), u.who, u.id, r.PostForm.Get("option"))
	return h.duoSetUpAsked(w, r, u, u.here, err)
}

func (h *Handler) duoSetUpWays(w http.ResponseWriter, r *http.Request, u settingUp) error {
	_, _, err := h.c.Enroll.Options(r.Context(), u.who, u.id)
	return h.duoSetUpAsked(w, r, u, withQuery(u.here, "duo", duoAll), err)
}

// duoSetUpAsked leads on from what was asked of Duo, or says why it was not.
func (h *Handler) duoSetUpAsked(w http.ResponseWriter, r *http.Request, u settingUp, to string, err error) error {
	e := authn.AsError(err)
	switch {
	case err == nil:
		seeOther(w, to)
		return nil
	case e.Code == authn.Conflict, e.Code == authn.NotFound, e.Code == authn.Expired, e.Code == authn.Forbidden:
		return u.over(err)
	}
	problem, ok := u.view.duoTrouble(w, e)
	if !ok {
		return err
	}
	return h.drawDuoSetUp(w, r, recorded(r, err), u, duoOutcome{problem: problem})
}

// duoSetUpCode turns Duo on with a code from there.
func (h *Handler) duoSetUpCode(w http.ResponseWriter, r *http.Request, u settingUp) error {
	try, err := strconv.ParseInt(r.PostForm.Get("try"), 10, 64)
	if err != nil || try <= 0 {
		seeOther(w, u.here)
		return nil
	}
	a := authn.Answer{Code: r.PostForm.Get("code")}
	if err = h.methods[authn.Duo].Shape(a); err == nil {
		var changed enroll.Changed
		if changed, err = h.c.Enroll.Confirm(r.Context(), u.who, u.id, try, a); err == nil {
			return u.done(changed)
		}
	}
	e, v := authn.AsError(err), u.view
	var out duoOutcome
	var ok bool
	switch {
	case e.Key == "error.attempt_moved":
		seeOther(w, u.here) // Reload, or a second click
		return nil
	case e.Code == authn.Conflict, e.Code == authn.NotFound, e.Code == authn.Expired, e.Code == authn.Forbidden:
		return u.over(err)
	case e.Code == authn.Paused, e.Code == authn.WrongCode && e.RetryAfter > 0:
		retryAfter(w, e.RetryAfter)
		out.refused, out.pause = refusal{Text: v.T("page.sent.paused")}, v.pauseOf(v.now.Add(e.RetryAfter))
	case e.Code == authn.Locked:
		out.refused = refusal{Text: v.T(u.locked)}
	default:
		if out.refused, ok = v.answerRefusal(authn.Duo, e); ok {
			break
		}
		if out.problem, ok = v.duoTrouble(w, e); !ok {
			return err
		}
	}
	return h.drawDuoSetUp(w, r, recorded(r, err), u, out)
}

// duoSetUpApproved turns Duo on, once the person approved there.
func (h *Handler) duoSetUpApproved(w http.ResponseWriter, r *http.Request, u settingUp) error {
	changed, err := h.c.Enroll.Confirm(r.Context(), u.who, u.id, 0, authn.Answer{})
	switch e := authn.AsError(err); {
	case err == nil:
		return u.done(changed)
	case e.Key == "error.duo_waiting", e.Code == authn.Invalid:
		seeOther(w, u.here) // not yet, or not any more: show where it is
		return nil
	case e.Code == authn.Conflict, e.Code == authn.NotFound, e.Code == authn.Expired, e.Code == authn.Forbidden:
		return u.over(err)
	}
	return err
}

// begunGone is for a set-up in the account that is over.
func (h *Handler) begunGone(w http.ResponseWriter, r *http.Request, cur session.Current, v *View, err error) error {
	e := authn.AsError(err)
	switch e.Code {
	case authn.Conflict:
		// It is on: a second click, or Back. The codes that came with it wait.
		if h.unsaved(r, cur, codesOf(cur.Factors)) {
			seeOther(w, codesPath)
			return nil
		}
		seeOther(w, securityPath)
		return nil
	case authn.Expired, authn.NotFound:
		v.Title = v.T("page.setup.gone_title")
		return h.drawGone(w, recorded(r, err), v, gone{Text: v.T("page.setup.gone_text"), Button: v.T("page.back_to_security"), Action: securityPath})
	}
	return err
}

// duoWay is the row of Duo: where the company has it, or the person does.
func (h *Handler) duoWay(v *View, cur session.Current, ru rules) (wayRow, bool) {
	_, here := h.traits(cur.Company)(authn.Duo)
	row, f := h.way(v, cur, ru, authn.Duo, "duo", "duo_off")
	if f == nil && !here {
		return row, false
	}
	off := ru.closed(authn.Duo)
	switch {
	case f == nil && off:
		row.ByCompany = true
		row.Details = append(row.Details, v.Rich("page.security.app_unused"))
	case f == nil && !ru.doc.Minimum(cur.User).Meets(h.shows(authn.Duo)):
		row.ByCompany = true
		row.Details = append(row.Details, v.Rich("page.security.mail_weak"))
	case f == nil:
		row.Details = append(row.Details, v.Rich("page.security.duo_none"))
		row.Actions = append(row.Actions, wayAction{Label: v.T("page.security.app_set_up"), Name: v.T("page.security.set_up_label", "Way", row.Name), Action: duoPath})
		if p := factorIn(cur.Factors, authn.Duo, authn.Pending); h.goesOn(p, cur) {
			row.Link, row.LinkLabel = duoPath+"/"+p.ID, v.goOn(*p)
		}
	case !off && !here:
		row.Pill, row.Class, row.ByCompany = "", "", true
		row.Details = append(row.Details, v.Rich("page.security.duo_unused"))
	}
	if name := duoName(f); name != "" {
		row.Details = append([][]Part{v.Rich("page.security.duo_name", "Name", name)}, row.Details...)
	}
	return row, true
}

// duoName is who the person is at Duo, or "".
func duoName(f *authn.Factor) string {
	var d struct{ Username string }
	if f == nil || json.Unmarshal(f.Data, &d) != nil {
		return ""
	}
	return d.Username
}
