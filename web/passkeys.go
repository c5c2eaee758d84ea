package web

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
)

// The list of a person's passkeys.
const passkeysPath = "/account/security/passkeys"

func (h *Handler) mountPasskeys(m *httpserve.Mux) {
	m.Handle("GET "+passkeysPath, h.account(h.getPasskeys))
	m.Handle("POST "+passkeysPath, h.account(h.beginPasskey))
	one := passkeysPath + "/{factor}"
	m.Handle("GET "+one, h.account(func(w http.ResponseWriter, r *http.Request, cur session.Current) error {
		return h.drawPasskeySetUp(w, r, http.StatusOK, h.accountPasskey(w, r, cur), refusal{})
	}))
	m.Handle("POST "+one+"/options", h.account(func(w http.ResponseWriter, r *http.Request, cur session.Current) error {
		return h.passkeySetUpOptions(w, r, who(r, cur))
	}))
	m.Handle("POST "+one+"/confirm", h.account(func(w http.ResponseWriter, r *http.Request, cur session.Current) error {
		return h.passkeySetUpConfirm(w, r, h.accountPasskey(w, r, cur))
	}))
	m.Handle("POST "+one+"/cancel", h.account(h.postPasskeyCancel))
	one = passkeysPath + "/{passkey}"
	m.Handle("POST "+one+"/name", h.accountForm(h.postPasskeyName, h.passkeyNameAgain))
	m.Handle("GET "+one+"/off", h.account(h.getTurnOff))
	m.Handle("POST "+one+"/off", h.account(h.postTurnOff))
}

// passkeysPage is the data of passkeys.html (S19).
type passkeysPage struct {
	Rows   []passkeyRow
	Add    bool   // another can be added
	Full   bool   // as many as can be
	Closed string // why none can be added, in words; empty: no reason
	Most   int
	// What the browser's own list is set right by (signalAllAcceptedCredentials).
	Host, User, Known string
}

// passkeyRow is one passkey. Two never have the same title.
type passkeyRow struct {
	Name        named
	Synced      bool
	Pill, Class string
	Details     []Part
	Pause       *pause
	Off         string // address of the page that removes it
}

// credential is what is shown of a passkey: see method/webauthn.
type credential struct {
	ID     string `json:"id"` // base64url
	Synced bool   `json:"be"`
}

// credentialOf is that of a passkey; what cannot be read is shown as not synced.
func credentialOf(f authn.Factor) (c credential) {
	_ = json.Unmarshal(f.Data, &c)
	return c
}

// passkeysOf are a person's, the oldest first.
func passkeysOf(factors []authn.Factor) []authn.Factor {
	var list []authn.Factor
	for _, f := range factors {
		if f.Kind == authn.WebAuthn && (f.State == authn.Confirmed || f.State == authn.Asleep) {
			list = append(list, f)
		}
	}
	slices.SortStableFunc(list, func(a, b authn.Factor) int {
		return cmp.Or(a.ConfirmAt.Compare(b.ConfirmAt), strings.Compare(a.ID, b.ID))
	})
	return list
}

// passkeyNames are the titles of a person's passkeys by their ids.
func (v *View) passkeyNames(list []authn.Factor) map[string]string {
	names, taken := map[string]string{}, map[string]int{}
	for _, f := range list {
		name := cmp.Or(f.Name, v.T("page.way.webauthn"))
		if taken[name]++; taken[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, taken[name])
		}
		names[f.ID] = name
	}
	return names
}

func (h *Handler) getPasskeys(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.drawPasskeys(w, r, http.StatusOK, cur, "", nil)
}

// drawPasskeys draws the list; for the passkey of that id the form of its name as it was
// typed, with what was wrong.
func (h *Handler) drawPasskeys(w http.ResponseWriter, r *http.Request, status int, cur session.Current, id string, why func(*View) (typed, problem string)) error {
	if !h.offers(authn.WebAuthn) {
		return authn.NotFound
	}
	v := h.personal(r, cur)
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	list := passkeysOf(cur.Factors)
	p := passkeysPage{Most: enroll.MaxSeveral, Host: h.passkeyHost(), User: base64.RawURLEncoding.EncodeToString([]byte(cur.User.ID))}
	names := v.passkeyNames(list)
	var known []string
	for _, f := range list {
		row, id := h.passkeyRow(v, cur, ru, f, names[f.ID])
		p.Rows, known = append(p.Rows, row), append(known, id)
	}
	p.Known = strings.Join(known, " ")
	switch p.Full = len(list) >= enroll.MaxSeveral; {
	case ru.closed(authn.WebAuthn):
		p.Closed = v.T("page.security.app_unused")
	case !p.Full:
		p.Add = true
	}
	for i := range p.Rows {
		n := &p.Rows[i].Name
		if n.ID != id || why == nil {
			continue
		}
		n.Open = true
		n.Typed, n.Error = why(v)
		if v.Failed = n.Error != ""; !v.Failed {
			v.Notice, v.Warning = "page.done.changed_elsewhere", true
		}
	}
	v.Section, v.Title, v.Passkeys, v.Data = "security", v.T("page.passkeys.title"), true, p
	return h.draw(w, status, "passkeys.html", v)
}

// passkeyRow is a passkey in the list, and its credential's id.
func (h *Handler) passkeyRow(v *View, cur session.Current, ru rules, f authn.Factor, name string) (passkeyRow, string) {
	c := credentialOf(f)
	at := passkeysPath + "/" + url.PathEscape(f.ID)
	row := passkeyRow{Name: nameOf(f.ID, at+"/name", name, ""), Synced: c.Synced, Off: at + "/off"}
	row.Name.Typed, row.Name.Label = name, v.T("page.passkeys.name_label")
	if row.Details = v.Rich("page.security.app_added", "Added", v.Day(f.ConfirmAt)); !f.LastUsedAt.IsZero() {
		row.Details = v.Rich("page.security.app_used", "Added", v.Day(f.ConfirmAt), "Used", v.Ago(f.LastUsedAt))
	}
	count := f.Counts[cur.Lane]
	switch row.Pause = v.pauseOf(count.PausedUntil); {
	case ru.closed(f.Kind):
	case slices.ContainsFunc(ru.again, func(x authn.Factor) bool { return x.ID == f.ID }):
		row.Pill, row.Class = v.T("page.security.again"), "warn"
	case count.Tries >= policy.Share(cur.Lane):
		row.Pill, row.Class, row.Pause = v.T("page.security.locked"), "danger", nil
	case row.Pause != nil:
		row.Pill, row.Class = v.T("page.security.paused"), "warn"
	}
	return row, c.ID
}

// postPasskeyName says what a passkey is called.
func (h *Handler) postPasskeyName(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	id, name := r.PathValue("passkey"), r.PostForm.Get("name")
	if !slices.ContainsFunc(passkeysOf(cur.Factors), func(f authn.Factor) bool { return f.ID == id }) {
		seeOther(w, passkeysPath) // removed by now
		return nil
	}
	_, err := h.c.Enroll.Rename(r.Context(), who(r, cur), id, name)
	switch e := authn.AsError(err); {
	case err == nil:
		return h.finish(w, passkeysPath, "passkey_named")
	case e.Code == authn.NotFound:
		seeOther(w, passkeysPath)
		return nil
	case e.Code == authn.Invalid:
		httpserve.Record(r, err)
		return h.drawPasskeys(w, r, httpserve.Status(e.Code), cur, id, func(v *View) (string, string) { return name, v.fieldText(e, "name") })
	}
	return err
}

func (h *Handler) passkeyNameAgain(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	return h.drawPasskeys(w, r, http.StatusUnprocessableEntity, cur, r.PathValue("passkey"), func(*View) (string, string) {
		return r.PostForm.Get("name"), ""
	})
}

// beginPasskey begins a set-up.
func (h *Handler) beginPasskey(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	p, err := h.c.Enroll.Begin(r.Context(), who(r, cur), authn.WebAuthn, "")
	switch e := authn.AsError(err); {
	case err == nil:
		httpserve.Subject(r.Context(), p.Factor.ID)
		seeOther(w, passkeysPath+"/"+p.Factor.ID)
		return nil
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "passkey", "")
	case e.Key == "error.too_many_passkeys", e.Key == "error.method_not_offered", e.Key == "error.two_factor_off", e.Code == authn.Invalid:
		httpserve.Record(r, err)
		seeOther(w, passkeysPath) // which says why
		return nil
	}
	return err
}

// passkeyAct goes on with the set-up after the person confirmed that it's them.
func (h *Handler) passkeyAct(w http.ResponseWriter, r *http.Request, st signin.Status) error {
	cur, err := h.c.Sessions.Check(r.Context(), st.SessionToken.Reveal(), httpserve.ClientOf(r))
	if err != nil {
		return err
	}
	return h.beginPasskey(w, r, cur)
}

func (h *Handler) accountPasskey(w http.ResponseWriter, r *http.Request, cur session.Current) settingUp {
	u := h.accountSetUp(w, r, cur, passkeysPath, "passkey_on")
	u.back, u.label = passkeysPath, u.view.T("page.passkeys.title")
	return u
}

func (h *Handler) postPasskeyCancel(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	if err := h.giveUp(r, cur); err != nil {
		return err
	}
	return h.finish(w, passkeysPath, "cancelled")
}

// passkeySetUpPage is the data of passkeysetup.html.
type passkeySetUpPage struct {
	Back, BackLabel, Confirm, Cancel string
	Fields                           []hidden
	Why                              refusal
	Ask                              passkeyAsk
}

// drawPasskeySetUp draws the page from which the device is asked for a new passkey.
func (h *Handler) drawPasskeySetUp(w http.ResponseWriter, r *http.Request, status int, u settingUp, why refusal) error {
	pending, err := h.c.Enroll.Show(r.Context(), u.who, u.id)
	if err == nil && pending.Factor.Kind != authn.WebAuthn {
		err = authn.NotFound
	}
	if err != nil {
		return u.over(err)
	}
	v := u.view
	v.Title, v.Failed, v.Passkeys = v.T("page.passkey.setup_title"), why.Text != "" && !why.Calm, true
	v.Data = passkeySetUpPage{Back: u.back, BackLabel: u.label, Confirm: u.here + "/confirm", Cancel: u.cancel, Why: why,
		Fields: append(slices.Clip(u.fields), hidden{"try", strconv.FormatInt(pending.Version, 10)}),
		Ask:    passkeyAsk{V: v, Make: true, Options: u.here + "/options", Label: v.T("page.passkey.make"), Busy: v.T("page.passkey.busy")}}
	return h.draw(w, status, "passkeysetup.html", v)
}

// passkeySetUpOptions is the question for a new passkey, for the script.
func (h *Handler) passkeySetUpOptions(w http.ResponseWriter, r *http.Request, who enroll.Who) error {
	p, err := h.c.Enroll.Send(r.Context(), who, r.PathValue("factor"))
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, json.RawMessage(p.Options))
}

// passkeySetUpConfirm takes the passkey that the device made.
func (h *Handler) passkeySetUpConfirm(w http.ResponseWriter, r *http.Request, u settingUp) error {
	try, err := strconv.ParseInt(r.PostForm.Get("try"), 10, 64)
	if err != nil || try <= 0 {
		seeOther(w, u.here)
		return nil
	}
	changed, err := h.c.Enroll.Confirm(r.Context(), u.who, u.id, try, answerOf(r.PostForm))
	if err == nil {
		return u.done(changed)
	}
	e, v := authn.AsError(err), u.view
	why, ok := v.passkeyRefusal(e)
	switch {
	case e.Key == "error.attempt_moved":
		seeOther(w, u.here) // Reload, or a second click
		return nil
	case e.Code == authn.Paused, e.Code == authn.WrongCode && e.RetryAfter > 0:
		retryAfter(w, e.RetryAfter)
		why = refusal{Text: v.T("page.passkey.paused"), Pause: v.pauseOf(v.now.Add(e.RetryAfter))}
	case e.Code == authn.Locked:
		why = refusal{Text: v.T("page.passkey.setup_locked")}
	case !ok:
		return u.over(err)
	}
	return h.drawPasskeySetUp(w, r, recorded(r, err), u, why)
}

// passkeyWay is the row of passkeys on the page Security.
func (h *Handler) passkeyWay(v *View, cur session.Current, ru rules) wayRow {
	list := passkeysOf(cur.Factors)
	row := wayRow{ID: "passkeys", Icon: wayIcon(authn.WebAuthn), Name: v.T("page.passkeys.title")}
	add := wayAction{Label: v.T("page.security.app_set_up"), Name: v.T("page.security.set_up_label", "Way", row.Name), Class: "btn-primary", Action: passkeysPath}
	if len(list) == 0 {
		if ru.closed(authn.WebAuthn) {
			row.ByCompany = true
			row.Details = append(row.Details, v.Rich("page.security.app_unused"))
			return row
		}
		row.Details, row.Actions = append(row.Details, v.Rich("page.security.passkey_none")), append(row.Actions, add)
		if p := factorIn(cur.Factors, authn.WebAuthn, authn.Pending); h.goesOn(p, cur) {
			row.Link, row.LinkLabel = passkeysPath+"/"+p.ID, v.goOn(*p)
		}
		return row
	}
	row.Link, row.LinkLabel = passkeysPath, v.T("page.security.passkey_list")
	if ru.closed(authn.WebAuthn) {
		row.ByCompany = true
		row.Details = append(row.Details, v.Rich("page.security.asleep"))
		return row
	}
	row.Pill, row.Class = v.T("page.security.is_on"), "ok"
	used := list[0]
	for _, f := range list {
		if f.LastUsedAt.After(used.LastUsedAt) {
			used = f
		}
	}
	count := []Part{{Text: v.T("page.security.passkey_count", "Count", len(list))}}
	if !used.LastUsedAt.IsZero() {
		count = append(count, Part{Text: " · "})
		count = append(count, v.Rich("page.security.passkey_used", "Used", v.Ago(used.LastUsedAt))...)
	}
	row.Details = append(row.Details, count)
	if slices.ContainsFunc(ru.again, func(f authn.Factor) bool { return f.Kind == authn.WebAuthn }) {
		row.Pill, row.Class = v.T("page.security.again"), "warn"
		row.Details = append(row.Details, v.Rich("page.security.again_text", "Company", cur.Company.Name))
		row.Actions = append(row.Actions, wayAction{Label: v.T("page.security.again_button"), Name: v.T("page.security.again_button_label", "Way", row.Name),
			Class: "btn-primary", Action: confirmPath, Field: "for", Value: "again_" + string(authn.WebAuthn)})
		return row
	}
	if kinds := kindsOf(ru.second); len(kinds) > 1 {
		first := usual(ru, cur.User)
		row.Usual = slices.ContainsFunc(list, func(f authn.Factor) bool { return f.ID == first })
		if i := slices.IndexFunc(ru.second, func(f authn.Factor) bool { return f.Kind == authn.WebAuthn }); i >= 0 && !row.Usual {
			row.Actions = append(row.Actions, wayAction{Label: v.T("page.security.make_usual"), Name: v.T("page.security.make_usual_label", "Way", row.Name),
				Action: usualPath, Field: "factor", Value: ru.second[i].ID})
		}
	}
	if len(list) < enroll.MaxSeveral {
		add.Label, add.Name, add.Class = v.T("page.passkeys.add"), v.T("page.passkeys.add"), ""
		row.Actions = append(row.Actions, add)
	}
	return row
}

// kindsOf are the kinds among ways: several passkeys are one.
func kindsOf(factors []authn.Factor) []authn.Kind {
	var kinds []authn.Kind
	for _, f := range factors {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}
