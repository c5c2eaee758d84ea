package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

// actPage is the data of personact.html: one act, before it is done.
type actPage struct {
	Action, Back, Label string
	Name                string
	Effects             [][]Part
	Check               bool // it is to be made sure that it is really them
	Waits               bool // somebody else has to agree
	Danger              bool
	Until               string // value of the field; with HasUntil
	HasUntil            bool
	MaxUntil            string
	Never               bool // the company's rules leave no way to do it
	HasPhone, NoPhone   bool // NoPhone: the field can be left empty
	Phone               string
	Countries           []Choice
	HasUsername         bool
	Username            string
	Reason              string
	Errors              map[string]string
	Refusal             string
	// Code is a help code, shown once.
	Code string
	Good Part // until when it is good
}

// actAsked is the act that an address names.
type actAsked struct {
	do, arg string
	act     directory.Act
	person  directory.Person
}

// elsewhere are the acts that say more than the page of an act asks for: erasing
// wants the name typed, the others what is to be.
var elsewhere = map[string]bool{directory.Erase: true, directory.APIOn: true, directory.APIOff: true, directory.SetName: true, directory.SetLocale: true,
	directory.SetAudience: true, directory.SetLogin: true, directory.SetEmail: true, directory.SetRoles: true}

func (h *Handler) actAsked(r *http.Request, cur session.Current, who directory.Who) (actAsked, error) {
	a := actAsked{do: strings.ReplaceAll(r.PathValue("act"), "-", "_"), arg: r.PathValue("arg")}
	var ok bool
	if a.act, ok = directory.ActOf(a.do); !ok || elsewhere[a.do] || a.do == directory.Prepare && !directory.CanPrepare(authn.Kind(a.arg)) {
		return a, authn.NotFound
	}
	var err error
	if a.person, err = h.c.Directory.Person(r.Context(), who, r.PathValue("id")); err != nil {
		return a, err
	}
	if !directory.May(cur.Company, cur.User, a.person.User, a.do) {
		// The rules say why, and record it.
		err := h.c.Directory.Refusal(r.Context(), who, a.do, a.person.User.ID)
		if err == nil {
			err = authn.Forbidden
		}
		return a, err
	}
	return a, h.c.Directory.Ready(r.Context(), who, a.act)
}

// plan is the act with what was typed.
func (a actAsked) plan(form map[string][]string) directory.PersonAct {
	p := directory.PersonAct{Do: a.do, Target: a.person.User.ID, Args: map[string]string{}}
	get := func(name string) string {
		if v := form[name]; len(v) == 1 {
			return strings.TrimSpace(v[0])
		}
		return ""
	}
	p.Reason = get("reason")
	switch {
	case a.do == directory.Prepare:
		p.Args["method"] = a.arg
		if a.arg == string(authn.SMS) {
			p.Args["phone"], p.Args["country"] = get("phone"), get("country")
		}
		if a.arg == string(authn.Duo) {
			p.Args["username"] = get("username")
		}
	case a.arg != "":
		p.Args["factor"] = a.arg
	}
	if a.do == directory.SetPhone {
		p.Args["phone"], p.Args["country"] = get("phone"), get("country")
	}
	if a.do == directory.Exempt {
		// A day, to its end where the reader is; the form that repeats it has the moment.
		p.Args["until"] = get("until")
	}
	return p
}

func (h *Handler) getAct(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	a, err := h.actAsked(r, cur, who)
	if err != nil {
		return err
	}
	return h.drawAct(w, r, http.StatusOK, cur, a, actPage{Phone: a.person.User.Phone})
}

// effects is what will happen, in words and numbers (ux rule 54).
func (v *View) effects(a actAsked) [][]Part {
	u := a.person.User
	key := "admin.effect." + a.do
	if own := key + "." + a.arg; a.arg != "" && v.texts.Has(own) {
		key = own
	} else if a.do == directory.Reset && a.arg != "" {
		key = "admin.effect.reset_one"
	}
	way, ways, passkeys := "", 0, v.passkeyNames(passkeysOf(a.person.Factors))
	for _, f := range a.person.Factors {
		if f.Kind.Own() && f.State != authn.Pending && f.State != authn.Fallback {
			ways++
		}
		if f.ID == a.arg {
			if way = v.T("page.way." + string(f.Kind)); passkeys[f.ID] != "" && passkeys[f.ID] != way {
				way += " (" + passkeys[f.ID] + ")"
			}
		}
	}
	list := [][]Part{v.Rich(key, "Name", u.Name, "Way", way, "Count", ways)}
	switch a.do {
	case directory.SignOut, directory.Suspend, directory.Leave, directory.Reset, directory.Disable, directory.Enable, directory.NotRequire, directory.Exempt, directory.InviteAgain, directory.Activate, directory.SetPhone:
		list = append(list, v.Rich("admin.effect.sessions", "Count", a.person.Sessions))
	}
	if a.do == directory.Leave && a.person.Keys > 0 {
		list = append(list, v.Rich("admin.effect.keys", "Count", a.person.Keys))
	}
	if u.Email != "" && !u.EmailVerifiedAt.IsZero() {
		list = append(list, v.Rich("admin.effect.mail", "Name", u.Name))
	} else {
		list = append(list, v.Rich("admin.effect.no_mail", "Name", u.Name))
	}
	return list
}

func (h *Handler) drawAct(w http.ResponseWriter, r *http.Request, status int, cur session.Current, a actAsked, p actPage) error {
	v := h.personal(r, cur)
	u := a.person.User
	l, _ := v.link(cur, u, a.do, a.arg)
	p.Action, p.Back, p.Label, p.Name, p.Danger = r.URL.Path, personPath(u.ID), l.Label, u.Name, l.Danger
	p.Effects = v.effects(a)
	p.Check = a.do == directory.HelpCode || a.do == directory.Prepare || a.do == directory.Reset || a.do == directory.SetPhone
	p.Waits = directory.Waits(cur.Company, u, a.do)
	switch {
	case a.do == directory.Exempt:
		p.HasUntil, p.MaxUntil = true, v.now.Add(directory.MaxExemption).In(v.zone).Format(time.DateOnly)
		doc, err := policy.Current(cur.Company, v.now)
		if err != nil {
			return err
		}
		if doc.CompanyWideOnly { // said before anything is typed
			p.Never, p.Refusal = true, v.T("error.company_wide_only")
		}
	case a.do == directory.SetPhone, a.do == directory.Prepare && a.arg == string(authn.SMS):
		p.HasPhone, p.NoPhone = true, a.do == directory.SetPhone
		var err error
		if p.Countries, err = h.countries(r, v, cur.Company.ID, r.PostForm.Get("country")); err != nil {
			return err
		}
	case a.do == directory.Prepare && a.arg == string(authn.Duo):
		p.HasUsername = true
	}
	v.Section, v.Title, v.Data = "people", p.Label+": "+u.Name, p
	v.Failed = len(p.Errors) > 0 || p.Refusal != ""
	return h.draw(w, status, "personact.html", v)
}

func (h *Handler) postAct(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	a, err := h.actAsked(r, cur, who)
	if err != nil {
		return err
	}
	act := a.plan(r.PostForm)
	p := actPage{Reason: act.Reason, Phone: act.Args["phone"], Username: act.Args["username"], Until: act.Args["until"]}
	if day, err := time.ParseInLocation(time.DateOnly, act.Args["until"], h.layout.view(r).zone); err == nil {
		act.Args["until"] = day.AddDate(0, 0, 1).Add(-time.Second).UTC().Format(time.RFC3339)
	}
	out, err := h.c.Directory.Do(r.Context(), who, act)
	if err == nil {
		return h.acted(w, r, cur, a, out)
	}
	e := authn.AsError(err)
	v := h.personal(r, cur)
	switch e.Code {
	case authn.Invalid:
		p.Errors = map[string]string{}
		for _, f := range e.Fields {
			p.Errors[f.Name] = httpserve.FieldMessage(v.texts, v.Lang, f)
		}
		if len(p.Errors) == 0 {
			return err
		}
	case authn.Conflict, authn.PolicyForbids, authn.ProviderUnavailable, authn.TooManyRequests:
		p.Refusal = httpserve.Message(v.texts, v.Lang, e)
	default:
		return err
	}
	httpserve.Record(r, err)
	return h.drawAct(w, r, httpserve.Status(e.Code), cur, a, p)
}

// acted shows what an act came to. A help code is on this one answer only, which
// no cache keeps (the outer layer says so of every page).
func (h *Handler) acted(w http.ResponseWriter, r *http.Request, cur session.Current, a actAsked, out directory.Outcome) error {
	back := personPath(a.person.User.ID)
	switch {
	case out.Waits != nil:
		return h.finish(w, back, "act_waits")
	case out.Code != "":
		v := h.personal(r, cur)
		p := actPage{Back: back, Name: a.person.User.Name, Code: out.Code, Good: v.Clock(out.ExpiresAt)}
		v.Section, v.Title, v.Data = "people", v.T("admin.code.title"), p
		return h.draw(w, http.StatusOK, "personcode.html", v)
	case a.do == directory.HandOver && out.Factor != nil:
		seeOther(w, back+"/app/"+out.Factor.ID)
		return nil
	}
	return h.finish(w, back, "act_done")
}
