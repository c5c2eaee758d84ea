package web

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

// turnOffPage is the data of turnoff.html (S22).
type turnOffPage struct {
	Kind     authn.Kind
	Factor   string
	Action   string
	Back     string   // where "Keep it" leads
	Name     string   // of the passkey
	Replaces string   // of the app, to set it up again
	Left     []string // the ways that stay, by name
	Codes    bool     // backup codes end with it
	Last     bool     // policy asks for one, and this is the last: no button
	LastText string   // why
	Why      []string
	Trust    bool // browsers that are trusted are no more
}

// turnOff is a way that can be turned off, by the address of its page.
type turnOff struct {
	kind authn.Kind
	act  string // for the confirmation
	done string
	back string // empty: securityPath
}

// turnsOff finds the way that an address turns off, if the person has it.
func turnsOff(r *http.Request, cur session.Current) (turnOff, *authn.Factor) {
	of, ok := turnOffs[r.URL.Path]
	if ok {
		return of, factorIn(cur.Factors, of.kind, authn.Confirmed, authn.Asleep)
	}
	of = turnOff{kind: authn.WebAuthn, act: "passkey_off", done: "passkey_off", back: passkeysPath}
	for _, f := range passkeysOf(cur.Factors) {
		if f.ID == r.PathValue("passkey") {
			return of, &f
		}
	}
	return of, nil
}

func (of turnOff) page() string { return cmp.Or(of.back, securityPath) }

var turnOffs = map[string]turnOff{
	appOffPath:   {kind: appKind, act: "app_off", done: "app_off"},
	duoOffPath:   {kind: authn.Duo, act: "duo_off", done: "duo_off"},
	mailOffPath:  {kind: authn.Email, act: "mail_off", done: "mail_off"},
	phoneOffPath: {kind: authn.SMS, act: "phone_off", done: "phone_off"},
}

func (h *Handler) getTurnOff(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	of, f := turnsOff(r, cur)
	if f == nil {
		seeOther(w, of.page())
		return nil
	}
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	if !h.isLast(ru, cur, f.ID) {
		// Asked for now rather than after the button.
		if err := h.c.Enroll.Ready(r.Context(), who(r, cur)); authn.AsError(err).Code == authn.StepUpRequired {
			return h.askConfirm(w, of.act, r.URL.Path)
		} else if err != nil {
			return err
		}
	}
	return h.drawTurnOff(w, r, http.StatusOK, cur, ru, of, f)
}

// isLast reports whether policy asks for a way, and none but f would be left
// that it accepts; package enroll decides again.
func (h *Handler) isLast(ru rules, cur session.Current, f string) bool {
	if !ru.demanded {
		return false
	}
	least := ru.doc.Minimum(cur.User)
	if ru.doc.NeedsOwnWay(cur.User) && least == policy.AnyStrength {
		least = policy.OwnPossession
	}
	for _, other := range ru.second {
		if other.ID != f && least.Meets(h.shows(other.Kind)) {
			return false
		}
	}
	return true
}

func (h *Handler) drawTurnOff(w http.ResponseWriter, r *http.Request, status int, cur session.Current, ru rules, of turnOff, f *authn.Factor) error {
	v := h.personal(r, cur)
	p := turnOffPage{Kind: f.Kind, Factor: f.ID, Action: r.URL.Path, Back: of.page(), Last: h.isLast(ru, cur, f.ID), Trust: ru.doc.Trusts(cur.User) > 0}
	if f.Kind == appKind {
		p.Replaces = f.ID
	}
	if f.Kind == authn.WebAuthn {
		p.Name = v.passkeyNames(passkeysOf(cur.Factors))[f.ID]
	}
	for _, k := range kindsOf(slices.DeleteFunc(slices.Clone(ru.second), func(other authn.Factor) bool { return other.ID == f.ID })) {
		p.Left = append(p.Left, v.T("page.way."+string(k)))
	}
	p.Codes = len(p.Left) == 0 && codesOf(cur.Factors) != nil
	if p.Last {
		p.Why, p.LastText = v.why(demands(ru, cur), cur.Company.Name), v.T(v.of("page.off.last", f.Kind))
		if len(p.Left) > 0 {
			p.LastText = v.T("page.off.last_strong")
		}
	}
	v.Section, v.Title, v.Data = "security", v.T("page.off.title_"+string(f.Kind)), p
	return h.draw(w, status, "turnoff.html", v)
}

func (h *Handler) postTurnOff(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	of, f := turnsOff(r, cur)
	if f == nil || f.ID != r.PostForm.Get("factor") {
		seeOther(w, of.page()) // another one than the page showed, or none
		return nil
	}
	changed, err := h.c.Enroll.Remove(r.Context(), who(r, cur), f.ID)
	switch e := authn.AsError(err); {
	case err == nil:
		h.changed(w, r, changed)
		return h.finish(w, of.page(), of.done)
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, of.act, r.URL.Path)
	case e.Code == authn.PolicyForbids && e.Key == "error.last_factor":
		ru, bad := h.rulesOf(cur)
		if bad != nil {
			return bad
		}
		return h.drawTurnOff(w, r, http.StatusForbidden, cur, ru, of, f)
	}
	return err
}

// demands are the rules that ask for a second way whatever the person has.
func demands(ru rules, cur session.Current) []policy.Reason {
	return policy.Why(ru.doc, cur.User, nil)
}
