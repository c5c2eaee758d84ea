package web

import (
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/internal/qrcode"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// appKind is the one kind that these pages set up; they call it "authenticator app".
const appKind = authn.TOTP

func activeApp(factors []authn.Factor) *authn.Factor {
	return factorIn(factors, appKind, authn.Confirmed, authn.Asleep)
}
func pendingApp(factors []authn.Factor) *authn.Factor {
	return factorIn(factors, appKind, authn.Pending)
}

func factorIn(factors []authn.Factor, k authn.Kind, states ...authn.FactorState) *authn.Factor {
	for i := range factors {
		if factors[i].Kind == k && slices.Contains(states, factors[i].State) {
			return &factors[i]
		}
	}
	return nil
}

// setUpPage is the data of setup.html (S16).
type setUpPage struct {
	Confirm, Cancel string // addresses of the forms
	Version         int64
	QR              template.HTML
	Link            template.URL // for the app on this device
	Key, Grouped    string
	Issuer, Account string
	Replaces        Part // when the one that ends was added; zero: none does
	Refusal         refusal
	Pause           *pause
}

// postSetUp begins a set-up; also the user menu's "Sync authenticator app".
func (h *Handler) postSetUp(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.beginSetUp(w, r, cur, r.PostForm.Get("replaces"))
}

func (h *Handler) beginSetUp(w http.ResponseWriter, r *http.Request, cur session.Current, replaces string) error {
	p, err := h.c.Enroll.Begin(r.Context(), who(r, cur), appKind, replaces)
	switch e := authn.AsError(err); {
	case err == nil:
		httpserve.Subject(r.Context(), p.Factor.ID)
		seeOther(w, appPath+"/"+p.Factor.ID)
		return nil
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "app", "")
	case e.Code == authn.Conflict:
		// Drawn before the app was set up or turned off in another tab.
		seeOther(w, securityPath)
		return nil
	}
	return err
}

func (h *Handler) getSetUp(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.drawSetUp(w, r, cur, nil)
}

// drawSetUp shows the pending app, after a refused code the same one (A2).
func (h *Handler) drawSetUp(w http.ResponseWriter, r *http.Request, cur session.Current, e *authn.Error) error {
	v := h.personal(r, cur)
	v.Section = "security"
	pending, err := h.c.Enroll.Show(r.Context(), who(r, cur), r.PathValue("factor"))
	if err == nil && pending.Factor.Kind != appKind {
		err = authn.NotFound
	}
	if err != nil {
		return h.setUpGone(w, r, cur, v, err)
	}
	p, err := setUpData(v, pending)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if e != nil {
		status = httpserve.Status(e.Code)
		if !p.explain(w, v, e) {
			return e
		}
	}
	v.Title, v.Failed, v.Data = v.T("page.setup.title"), p.Refusal.Text != "", p
	return h.draw(w, status, "setup.html", v)
}

func setUpData(v *View, pending enroll.Pending) (setUpPage, error) {
	base := appPath + "/" + pending.Factor.ID
	p := setUpPage{
		Version: pending.Version,
		Confirm: base + "/confirm", Cancel: base + "/cancel",
		Key: pending.Shown.Key, Grouped: grouped(pending.Shown.Key),
		Issuer: pending.Shown.Issuer, Account: pending.Shown.Account,
	}
	if old := pending.Replaces; old != nil {
		p.Replaces = v.Day(old.ConfirmAt)
	}
	svg, err := qrcode.SVG(pending.Shown.URI, v.T("page.setup.qr_label"))
	if err != nil {
		return p, err
	}
	// The two values that no template makes: markup out of modules drawn by our
	// own package, which escapes its label, and an address that the method made
	// and escaped; html/template would allow neither SVG text nor otpauth.
	p.QR = template.HTML(svg)
	if strings.HasPrefix(pending.Shown.URI, "otpauth://") {
		p.Link = template.URL(pending.Shown.URI)
	}
	return p, nil
}

// explain puts a refused code into words and reports whether it can.
func (p *setUpPage) explain(w http.ResponseWriter, v *View, e *authn.Error) bool {
	if e.Code == authn.Paused || e.Code == authn.WrongCode && e.RetryAfter > 0 {
		retryAfter(w, e.RetryAfter)
		p.Pause = v.pauseOf(v.now.Add(e.RetryAfter))
		p.Refusal = refusal{Text: v.T("page.setup.paused")}
		return true
	}
	if e.Code == authn.Locked {
		p.Refusal = refusal{Text: v.T("page.setup.locked")}
		return true
	}
	why, ok := v.codeRefusal(e)
	p.Refusal = why
	return ok
}

// grouped is a key in fours, for reading it out and typing it in.
func grouped(key string) string {
	var b strings.Builder
	for i, r := range key {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (h *Handler) postSetUpConfirm(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	replaced := activeApp(cur.Factors) != nil
	here := appPath + "/" + r.PathValue("factor")
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err != nil || version <= 0 {
		seeOther(w, here) // no form of ours: show the one that is
		return nil
	}
	changed, err := h.c.Enroll.Confirm(r.Context(), who(r, cur), r.PathValue("factor"), version, authn.Answer{Code: r.PostForm.Get("code")})
	e := authn.AsError(err)
	switch {
	case err == nil:
		h.changed(w, r, changed)
		to, name := securityPath, "app_on"
		if replaced {
			name = "app_replaced"
		}
		if len(changed.Codes) > 0 {
			to = codesPath // as part of the same flow (E1)
		}
		return h.finish(w, to, name)
	case e.Key == "error.attempt_moved":
		seeOther(w, here) // Reload, or a second click
		return nil
	case e.Code == authn.Conflict && h.unsaved(r, cur, codesOf(cur.Factors)):
		return h.finish(w, codesPath, "app_on") // a second click: it is on already
	case e.Code == authn.Conflict:
		return h.finish(w, securityPath, "app_on")
	case e.Code == authn.Expired, e.Code == authn.NotFound:
		v := h.personal(r, cur)
		v.Section = "security"
		return h.setUpGone(w, r, cur, v, err)
	}
	httpserve.Record(r, err)
	return h.drawSetUp(w, r, cur, e)
}

// setUpGone is for a set-up that is over, or was replaced by a later one.
func (h *Handler) setUpGone(w http.ResponseWriter, r *http.Request, cur session.Current, v *View, err error) error {
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
		httpserve.Record(r, err)
		v.Title = v.T("page.setup.gone_title")
		return h.drawGone(w, httpserve.Status(e.Code), v, gone{
			Text: v.T("page.setup.gone_text"), Button: v.T("page.setup.new"), Action: appPath,
			Fields: []hidden{{"form", v.Form}, {"replaces", v.Person.Replaces}},
		})
	}
	return err
}

// postSetUpCancel gives the set-up up. Only what is still pending: the address
// of an app that counts is not one to remove it by.
func (h *Handler) postSetUpCancel(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if err := h.giveUp(r, cur); err != nil {
		return err
	}
	return h.finish(w, securityPath, "cancelled")
}

// appAct goes on with the set-up after the person confirmed that it's them.
func (h *Handler) appAct(w http.ResponseWriter, r *http.Request, st signin.Status) error {
	cur, err := h.c.Sessions.Check(r.Context(), st.SessionToken.Reveal(), httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	_, replaces := h.canSync(cur)
	return h.beginSetUp(w, r, cur, replaces)
}
