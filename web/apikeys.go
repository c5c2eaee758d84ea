package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/session"
)

const keysPath = "/admin/keys"

// keysPerPage is how many rows of a list of the administration stand on a page.
const keysPerPage = 50

// keysPage is the data of apikeys.html (S36).
type keysPage struct {
	Rows []keyRow
	Next string
}

// keyRow is one key.
type keyRow struct {
	ID, Name, Owner, Maker string
	Used                   []Part
	Ends                   Part
	Old                    *Part // until when the token before works
	State, Pill            string
	Networks               string
	May, Unattended        []string
	Less                   string // some of it the owner may not do any more
}

// keyPage is the data of apikey.html: one key, or the form of a new one.
type keyPage struct {
	Key                                     *keyRow
	Once                                    *once
	Problem                                 string
	Name, Owner, Networks, Expires, Overlap formLine
	Reason, Scopes, Unattended, Return      formLine
	Returns                                 []string // addresses
}

var keyAct = directory.Act{Type: "key.created", Permission: directory.KeysWrite, Fresh: true}

func (v *View) keyRow(k directory.KeyRow) keyRow {
	row := keyRow{ID: k.ID, Name: k.Name, Owner: k.Owner.Login, Maker: v.maker(k.Maker), Used: v.lastUsed(k.LastUsedAt, k.UsedFrom), Ends: v.When(k.ExpiresAt),
		State: v.T("admin.keys.state." + string(k.State)), Pill: "ok", May: v.permissionTexts(k.Scopes)}
	switch left := k.ExpiresAt.Sub(v.now); {
	case k.State != directory.KeyActive:
		row.Pill = "danger"
	case left < 14*24*time.Hour:
		row.Pill, row.State = "warn", v.T("admin.keys.state.soon")
	}
	if k.OldUntil.After(v.now) {
		at := v.When(k.OldUntil)
		row.Old = &at
	}
	var words []string
	for _, n := range k.Networks {
		words = append(words, n.String())
	}
	row.Networks = strings.Join(words, ", ")
	for _, a := range k.Unattended {
		row.Unattended = append(row.Unattended, v.actText(a))
	}
	if len(k.Effective) < len(k.Scopes) {
		row.Less = v.T("admin.keys.less")
	}
	return row
}

// actText is what the type of an act's event says.
func (v *View) actText(typ string) string { return v.T("event." + typ) }

func (v *View) maker(login string) string {
	if login == directory.Operator {
		return v.T("admin.operator")
	}
	return login
}

func (v *View) lastUsed(at time.Time, from string) []Part {
	switch {
	case at.IsZero():
		return []Part{{Text: v.T("admin.keys.never")}}
	case from == "":
		return []Part{v.When(at)}
	}
	return v.Rich("admin.keys.used", "Time", v.When(at), "From", from)
}

// afterOf is the cursor of a list; one that is none begins at the beginning.
func afterOf(r *http.Request, prefix string) string {
	if after := r.URL.Query().Get("after"); authn.CheckID(prefix, after) {
		return after
	}
	return ""
}

func (h *Handler) getKeys(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	list, err := h.c.Directory.APIKeys(r.Context(), who, afterOf(r, authn.KeyID), keysPerPage)
	if err != nil {
		return err
	}
	v, p := h.personal(r, cur), keysPage{}
	for _, k := range list {
		p.Rows = append(p.Rows, v.keyRow(k))
	}
	if len(list) == keysPerPage {
		p.Next = list[len(list)-1].ID
	}
	v.Section, v.Title, v.Data = "keys", v.T("admin.keys.title"), p
	return h.draw(w, http.StatusOK, "apikeys.html", v)
}

// keyForm is what the form of a new key says.
type keyForm struct {
	Name, Owner, Networks, Days, Reason string
	Scopes, Unattended                  []string
}

func (h *Handler) getNewKey(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	if err := h.c.Directory.Ready(r.Context(), who, keyAct); err != nil {
		return err
	}
	return h.drawNewKey(w, r, cur, keyForm{Owner: cur.User.Login, Days: "90"}, refusedForm{Status: http.StatusOK})
}

func (h *Handler) drawNewKey(w http.ResponseWriter, r *http.Request, cur session.Current, f keyForm, bad refusedForm) error {
	v := h.personal(r, cur)
	p := keyPage{Problem: bad.Problem,
		Name:     formLine{ID: "name", Label: v.T("admin.keys.name"), Hint: v.T("admin.keys.name_hint"), Value: f.Name, Err: bad.Errors["name"]},
		Owner:    formLine{ID: "owner", Label: v.T("admin.keys.for"), Hint: v.T("admin.keys.for_hint"), Value: f.Owner, Err: bad.Errors["owner"], Plain: true},
		Scopes:   formLine{ID: "scopes", Label: v.T("admin.keys.scopes"), Hint: v.T("admin.keys.scopes_hint"), Err: bad.Errors["scopes"], Choices: v.permissionChoices(directory.Permissions(), f.Scopes)},
		Networks: formLine{ID: "networks", Label: v.T("admin.keys.networks"), Hint: v.T("admin.keys.networks_hint"), Value: f.Networks, Err: bad.Errors["networks"], Plain: true},
		Expires:  v.daysLine(f.Days, bad.Errors["expires"]),
		Reason:   formLine{ID: "reason", Label: v.T("admin.reason"), Hint: v.T("admin.reason_hint"), Value: f.Reason, Err: bad.Errors["reason"]},
	}
	if slices.Contains(cur.User.Roles, directory.Owner) {
		p.Unattended = formLine{ID: "unattended", Label: v.T("admin.keys.unattended"), Hint: v.T("admin.keys.unattended_hint"), Err: bad.Errors["unattended"]}
		for _, a := range directory.UnattendedActs() {
			p.Unattended.Choices = append(p.Unattended.Choices, Choice{Value: a, Label: v.actText(a), Chosen: slices.Contains(f.Unattended, a)})
		}
	}
	v.Section, v.Title, v.Data, v.Failed = "keys", v.T("admin.keys.new"), p, bad.Status >= http.StatusBadRequest
	return h.draw(w, bad.Status, "apikey.html", v)
}

func (v *View) daysLine(chosen, problem string) formLine {
	line := formLine{ID: "expires", Label: v.T("admin.keys.lasts"), Err: problem}
	for _, d := range directory.KeyDays() {
		n := strconv.Itoa(d)
		line.Choices = append(line.Choices, Choice{Value: n, Label: v.T("admin.keys.days", "Count", d), Chosen: n == chosen})
	}
	return line
}

// daysOf reads a choice of days or hours; what is none of them is 0, the usual.
func daysOf(s string, of []int, unit time.Duration) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || !slices.Contains(of, n) {
		return 0
	}
	return time.Duration(n) * unit
}

func (h *Handler) postKeys(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	form := r.PostForm
	f := keyForm{Name: form.Get("name"), Owner: form.Get("owner"), Networks: form.Get("networks"), Days: form.Get("expires"), Reason: form.Get("reason"), Scopes: form["scopes"], Unattended: form["unattended"]}
	networks, err := directory.ParseNetworks(f.Networks)
	var k authn.APIKey
	var token authn.Token
	if err == nil {
		k, token, err = h.c.Directory.CreateKey(r.Context(), who, directory.NewKey{Name: f.Name, Owner: f.Owner, Scopes: f.Scopes, Networks: networks,
			Life: daysOf(f.Days, directory.KeyDays(), 24*time.Hour), Unattended: f.Unattended, Reason: f.Reason})
	}
	if err != nil {
		bad, ok := h.personal(r, cur).refusedForm(r, err)
		if !ok {
			return err
		}
		return h.drawNewKey(w, r, cur, f, bad)
	}
	return h.drawKey(w, r, cur, k, token, "", refusedForm{Status: http.StatusOK})
}

func (h *Handler) getKey(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	k, err := h.keyOf(r, who)
	if err != nil {
		return err
	}
	if err := h.c.Directory.Ready(r.Context(), who, keyAct); err != nil {
		return err
	}
	return h.drawKey(w, r, cur, k, authn.Token{}, k.Name, refusedForm{Status: http.StatusOK})
}

func (h *Handler) keyOf(r *http.Request, who directory.Who) (authn.APIKey, error) {
	id := r.PathValue("id")
	if !authn.CheckID(authn.KeyID, id) {
		return authn.APIKey{}, authn.NotFound
	}
	return h.c.Directory.APIKey(r.Context(), who, id)
}

// overlaps are the hours that the page offers.
var overlaps = []int{1, 24, 72, 168, 336}

// drawKey draws a key; with a token, which is shown this once.
func (h *Handler) drawKey(w http.ResponseWriter, r *http.Request, cur session.Current, k authn.APIKey, token authn.Token, name string, bad refusedForm) error {
	row, err := h.c.Directory.KeyRowOf(r.Context(), cur.Company, k)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	if name == "" {
		name = k.Name
	}
	key := v.keyRow(row)
	p := keyPage{Key: &key, Problem: bad.Problem,
		Once:    v.once(v.T("admin.keys.once"), v.T("admin.keys.once_text"), token.Reveal()),
		Name:    formLine{ID: "name", Label: v.T("admin.keys.name"), Value: name, Err: bad.Errors["name"]},
		Expires: v.daysLine("90", bad.Errors["expires"]),
		Overlap: formLine{ID: "overlap", Label: v.T("admin.keys.overlap"), Hint: v.T("admin.keys.overlap_hint"), Err: bad.Errors["overlap"]},
		Return:  formLine{ID: "address", Label: v.T("admin.keys.return"), Hint: v.T("admin.keys.return_hint"), Value: r.PostForm.Get("address"), Err: bad.Errors["address"], Plain: true},
	}
	for _, one := range row.Returns {
		p.Returns = append(p.Returns, one.Address)
	}
	for _, n := range overlaps {
		c := Choice{Value: strconv.Itoa(n), Label: v.T("admin.keys.hours", "Count", n), Chosen: n == 24}
		if n > 24 {
			c.Label = v.T("admin.keys.days", "Count", n/24)
		}
		p.Overlap.Choices = append(p.Overlap.Choices, c)
	}
	v.Section, v.Title, v.Data, v.Failed = "keys", k.Name, p, bad.Status >= http.StatusBadRequest
	return h.draw(w, bad.Status, "apikey.html", v)
}

func (h *Handler) postKey(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	k, err := h.keyOf(r, who)
	if err != nil {
		return err
	}
	form := r.PostForm
	switch form.Get("do") {
	case "end":
		if _, err = h.c.Directory.RemoveKey(r.Context(), who, k.ID, form.Get("reason")); err == nil {
			return h.finish(w, keysPath, "key_ended")
		}
	case "rename":
		if _, err = h.c.Directory.RenameKey(r.Context(), who, k.ID, form.Get("name"), form.Get("reason")); err == nil {
			return h.finish(w, keysPath+"/"+k.ID, "key_renamed")
		}
	case "return_add":
		if _, err = h.c.Directory.AddReturnAddress(r.Context(), who, k.ID, form.Get("address"), form.Get("reason")); err == nil {
			return h.finish(w, keysPath+"/"+k.ID, "return_added")
		}
	case "roll":
		var token authn.Token
		rolled, token, err := h.c.Directory.RollKey(r.Context(), who, k.ID, directory.Roll{Reason: form.Get("reason"),
			Overlap: daysOf(form.Get("overlap"), overlaps, time.Hour), Life: daysOf(form.Get("expires"), directory.KeyDays(), 24*time.Hour)})
		if err == nil {
			return h.drawKey(w, r, cur, rolled, token, "", refusedForm{Status: http.StatusOK})
		}
		return h.keyRefused(w, r, cur, k, err)
	default:
		address, ok := strings.CutPrefix(form.Get("do"), "return_remove ")
		if !ok {
			return authn.InvalidField("do", "not_one_of", nil)
		}
		if _, err = h.c.Directory.RemoveReturnAddress(r.Context(), who, k.ID, address, form.Get("reason")); err == nil {
			return h.finish(w, keysPath+"/"+k.ID, "return_removed")
		}
	}
	return h.keyRefused(w, r, cur, k, err)
}

func (h *Handler) keyRefused(w http.ResponseWriter, r *http.Request, cur session.Current, k authn.APIKey, err error) error {
	v := h.personal(r, cur)
	bad, ok := v.refusedForm(r, err)
	if !ok {
		return err
	}
	if scopes := bad.Errors["scopes"]; scopes != "" { // it has no field here
		bad.Problem = scopes
	}
	if owner := bad.Errors["owner"]; owner != "" {
		bad.Problem = owner
	}
	return h.drawKey(w, r, cur, k, authn.Token{}, r.PostForm.Get("name"), bad)
}
