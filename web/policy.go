package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

const (
	policyPath        = "/admin/policy"
	policyPreviewPath = policyPath + "/preview"
	policyHistoryPath = policyPath + "/history"

	historyPage = 20
)

// policyPage is the data of policy.html (S30).
type policyPage struct {
	Version     int64
	Now         []fact
	Next        []policyChange // what comes, as far as it is another
	NextFrom    *Part
	Editing     bool // the form is about what comes next
	Sections    []policySection
	Presets     []presetLink
	Preset      string // whose document fills the form
	PresetTitle string
	Later       bool
	From        string // of the form, in the reader's time
	Zone        string
	Errors      map[string]string
	Refusal     string
}

type presetLink struct{ Name, Title, About string }

// policyLook is the data of policypreview.html: what a change would do, before it
// is saved.
type policyLook struct {
	Version    int64
	Undo       int64
	Document   string
	Reason     string
	ReasonMax  int
	ReasonErr  string
	Refusal    string
	Changes    []policyChange
	From       *Part
	Lines      [][]Part
	You        string // a key
	YouGood    bool
	Rows       []tallyRow
	Stranded   [][]Part
	Asleep     []Part
	Weakens    bool
	MaySave    bool
	Exemptions bool
}

// policyPast is the data of policyhistory.html.
type policyPast struct {
	Versions []policyVersionRow
	Older    string // address of the next page; empty: none
}

type policyVersionRow struct {
	Version, UndoOf int64
	At              *Part
	By, Reason      string
	Changes         []policyChange
	First, Current  bool
	Undo            string // address
}

// policyNow are the document that holds now, without what comes next, and that.
func policyNow(c authn.Company, now time.Time) (policy.Document, *policy.Next, error) {
	d, err := policy.Current(c, now)
	if err != nil {
		return d, nil, err
	}
	next := d.Next
	d.Next = nil
	return d, next, nil
}

func (h *Handler) getPolicy(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	d, next, err := policyNow(cur.Company, h.c.Now())
	if err != nil {
		return err
	}
	p := policyPage{Version: cur.Company.PolicyVersion}
	f := policyValues(d, h.modelNames())
	q := r.URL.Query()
	if i := slices.IndexFunc(policy.Presets(), func(p policy.Preset) bool { return p.Name == q.Get("preset") }); i >= 0 {
		p.Preset = policy.Presets()[i].Name
		f = policyValues(policy.Presets()[i].Document, unnamed)
	}
	if q.Has("next") && next != nil {
		p.Editing = true
		f = laterValues(next, h.personal(r, cur))
	}
	return h.drawPolicy(w, r, http.StatusOK, cur, p, f)
}

// laterValues is the form of what comes next.
func laterValues(n *policy.Next, v *View) url.Values {
	f := policyValues(n.Document, v.modelNames)
	f.Set("start", startLater)
	f.Set("from", n.From.In(v.zone).Format(localTime))
	return f
}

// drawPolicy shows how things stand, and the form with f.
func (h *Handler) drawPolicy(w http.ResponseWriter, r *http.Request, status int, cur session.Current, p policyPage, f url.Values) error {
	d, next, err := policyNow(cur.Company, h.c.Now())
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	p.Now = v.facts(d, cur.Company)
	if next != nil {
		from := v.When(next.From)
		p.NextFrom, p.Next = &from, v.changes(d, next.Document, cur.Company)
	}
	if p.Preset != "" {
		p.PresetTitle = v.T("preset." + p.Preset + ".title")
	}
	for _, one := range policy.Presets() {
		p.Presets = append(p.Presets, presetLink{one.Name, v.T("preset." + one.Name + ".title"), v.T("preset." + one.Name + ".about")})
	}
	p.Sections = questions{v, f, p.Errors}.sections(cur.Company, h.traits(cur.Company))
	p.Later, p.From, p.Zone = f.Get("start") == startLater, f.Get("from"), "UTC"+v.now.In(v.zone).Format("-07:00")
	v.Section, v.Title, v.Data = "policy", v.T("admin.policy.title"), p
	v.Failed = len(p.Errors) > 0 || p.Refusal != ""
	return h.draw(w, status, "policy.html", v)
}

// postPolicy reads the form, and shows what it would do.
func (h *Handler) postPolicy(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	d, next, err := policyNow(cur.Company, h.c.Now())
	if err != nil {
		return err
	}
	ch, err := h.personal(r, cur).typedPolicy(r.PostForm, d, next)
	if err != nil {
		return h.refusePolicy(w, r, cur, err, r.PostForm)
	}
	return h.lookAtPolicy(w, r, cur, who, ch, r.PostForm)
}

// typedPolicy is the change that the form asks for, to what holds now and what comes
// next.
func (v *View) typedPolicy(f url.Values, now policy.Document, next *policy.Next) (directory.PolicyChange, error) {
	ch := directory.PolicyChange{Document: now, Reason: f.Get("reason")}
	ch.From, _ = strconv.ParseInt(f.Get("version"), 10, 64) // 0: none, and so another than there is
	if f.Get("do") == "take_back" {
		return ch, nil
	}
	typed, err := readPolicy(f)
	from, late := startOf(f, v.zone)
	switch {
	case err != nil:
		return ch, err
	case late != nil:
		return ch, late
	case !from.IsZero():
		ch.Document.Next = &policy.Next{From: from, Document: typed}
	default:
		ch.Document, ch.Document.Next = typed, next
	}
	return ch, nil
}

// refusePolicy shows the form again, with what is wrong beside the fields.
func (h *Handler) refusePolicy(w http.ResponseWriter, r *http.Request, cur session.Current, err error, f url.Values) error {
	e := authn.AsError(err)
	v := h.personal(r, cur)
	p := policyPage{Version: cur.Company.PolicyVersion, Errors: map[string]string{}}
	switch e.Code {
	case authn.Invalid:
		for _, one := range e.Fields {
			name := strings.TrimPrefix(one.Name, "policy.")
			if name != "next.from" {
				name = strings.TrimPrefix(name, "next.document.")
			}
			name = strings.ReplaceAll(name, "passkeys.", "passkeys_")
			p.Errors[name] = httpserve.FieldMessage(v.texts, v.Lang, inUnits(name, one))
		}
	case authn.Conflict:
		p.Refusal = httpserve.Message(v.texts, v.Lang, e)
	default:
		return err
	}
	httpserve.Record(r, err)
	return h.drawPolicy(w, r, httpserve.Status(e.Code), cur, p, f)
}

// inUnits turns the bounds of a field into the form's units.
func inUnits(name string, f authn.Field) authn.Field {
	i := slices.IndexFunc(policyNumbers, func(n policyNumber) bool { return n.name == name })
	if i < 0 || f.Code != "between" {
		return f
	}
	args := map[string]any{}
	for k, v := range f.Args {
		args[k] = v
		if n, ok := v.(int); ok {
			args[k] = policyNumbers[i].bound(n)
		}
	}
	f.Args = args
	return f
}

// changeOf is the change that the form of a preview carries, or the address of an undo.
func changeOf(f url.Values) (directory.PolicyChange, error) {
	ch := directory.PolicyChange{Reason: f.Get("reason")}
	ch.From, _ = strconv.ParseInt(f.Get("version"), 10, 64)
	if undo := f.Get("undo"); undo != "" {
		n, err := strconv.ParseInt(undo, 10, 64)
		if err != nil || n < 1 {
			return ch, authn.NotFound
		}
		ch.UndoOf = n
		return ch, nil
	}
	var err error
	ch.Document, err = policy.Parse([]byte(f.Get("document")))
	return ch, err
}

// undoAddress is where it is looked at what going back to a version would do.
func undoAddress(now, version int64) string {
	return withQuery(policyPreviewPath, "version", strconv.FormatInt(now, 10), "undo", strconv.FormatInt(version, 10))
}

// getPolicyPreview is where links to an undo lead. A link can show one, whoever made
// it up; saving it takes the button of the page that says what it does.
func (h *Handler) getPolicyPreview(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	ch, err := changeOf(r.URL.Query())
	if err != nil || ch.UndoOf == 0 {
		return authn.NotFound // an address that nobody has from us
	}
	return h.lookAtPolicy(w, r, cur, who, ch, nil)
}

// lookAtPolicy shows what a change would do; f is the form that it comes from.
func (h *Handler) lookAtPolicy(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who, ch directory.PolicyChange, f url.Values) error {
	// Asked for now rather than when the reason is typed.
	if err := h.c.Directory.Ready(r.Context(), who, directory.Act{Type: "policy.changed", Permission: directory.PolicyWrite, Fresh: true}); authn.AsError(err).Code == authn.StepUpRequired {
		return h.confirm(w, r, cur, "policy", here(r))
	} else if err != nil {
		return err
	}
	out, err := h.c.Directory.PreviewPolicy(r.Context(), who, ch)
	e := authn.AsError(err)
	switch {
	case err == nil || e.Code == authn.PolicyForbids:
	case ch.UndoOf > 0 && e.Code == authn.Conflict:
		return h.finish(w, policyHistoryPath, "policy_moved")
	case ch.UndoOf > 0 && e.Code == authn.Invalid:
		p := policyLook{Version: ch.From, Undo: ch.UndoOf, Refusal: h.personal(r, cur).T("admin.policy.undo_impossible")}
		return h.drawLook(w, r, http.StatusUnprocessableEntity, cur, p)
	default:
		return h.refusePolicy(w, r, cur, err, f)
	}
	p, bad := h.policyLookOf(h.personal(r, cur), cur, ch, out, err)
	if bad != nil {
		return bad
	}
	return h.drawLook(w, r, http.StatusOK, cur, p)
}

// policyLookOf puts a preview into words; refused is why it could not be saved.
func (h *Handler) policyLookOf(v *View, cur session.Current, ch directory.PolicyChange, out directory.PolicySaved, refused error) (policyLook, error) {
	now := h.c.Now()
	old, next, err := policyNow(cur.Company, now)
	if err != nil {
		return policyLook{}, err
	}
	old.Next = next
	raw, err := out.Document.Encode()
	if err != nil {
		return policyLook{}, err
	}
	p := policyLook{Version: ch.From, Undo: ch.UndoOf, Document: string(raw), Reason: ch.Reason, ReasonMax: directory.ReasonMax,
		Changes: v.changes(old, out.Document, cur.Company), Lines: v.headlines(out.Preview), Rows: v.tallies(out.Preview, cur.Company), Weakens: out.Preview.Weakens}
	at := now
	if n := out.Document.Next; n != nil {
		from := v.When(n.From)
		p.From, at = &from, n.From
	}
	traits := h.traits(cur.Company)
	ask := policy.Foresee(out.Document, cur.User, cur.Factors, traits, now).Ask
	if ask != policy.AskDenied {
		ask = policy.Foresee(out.Document, cur.User, cur.Factors, traits, at).Ask
	}
	p.You, p.YouGood = "admin.policy.you."+string(ask), ask == policy.AskOwn || ask == policy.AskAgain
	if t := out.Preview.Groups[policy.GroupStranded]; t != nil && t.People > 0 {
		for _, why := range []policy.Denial{policy.Stranded, policy.TooWeak, policy.NoContact, policy.NewOne, policy.NoCodes, policy.MailRests, policy.NotTaken} {
			if n := t.Denied[why]; n > 0 {
				p.Stranded = append(p.Stranded, v.Rich("admin.policy.stranded."+string(why), "Count", n))
			}
		}
	}
	if t := out.Preview.Groups[policy.GroupStranded]; t != nil && t.Invited > 0 {
		p.Stranded = append(p.Stranded, v.Rich("admin.policy.stranded.invited", "Count", t.Invited))
	}
	if t := out.Preview.Groups[policy.GroupAsleep]; t != nil && t.New > 0 {
		p.Asleep = v.Rich("admin.policy.asleep", "Count", t.New)
	}
	t := out.Preview.Groups[policy.GroupExempt]
	p.Exemptions = t != nil && t.People > 0 && out.Document.Next != nil
	switch {
	case refused != nil:
		p.Refusal = httpserve.Message(v.texts, v.Lang, authn.AsError(refused))
	case ask == policy.AskDenied:
		p.Refusal = v.T("error.policy_strands_you")
	default:
		p.MaySave = len(p.Changes) > 0
	}
	return p, nil
}

func (h *Handler) drawLook(w http.ResponseWriter, r *http.Request, status int, cur session.Current, p policyLook) error {
	v := h.personal(r, cur)
	v.Section, v.Title, v.Data = "policy", v.T("admin.policy.look"), p
	v.Failed = p.Refusal != "" || p.ReasonErr != ""
	return h.draw(w, status, "policypreview.html", v)
}

// postPolicySave saves what was looked at, or goes back to the form with it.
func (h *Handler) postPolicySave(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	ch, err := changeOf(r.PostForm)
	if err != nil {
		return authn.BadRequest
	}
	f := policyValues(ch.Document, h.modelNames())
	if n := ch.Document.Next; n != nil {
		f = laterValues(n, h.personal(r, cur))
	}
	if r.PostForm.Get("do") == "back" {
		return h.drawPolicy(w, r, http.StatusOK, cur, policyPage{Version: cur.Company.PolicyVersion}, f)
	}
	_, err = h.c.Directory.SavePolicy(r.Context(), who, ch)
	switch e := authn.AsError(err); {
	case err == nil:
		return h.finish(w, policyPath, "policy_saved")
	case e.Code == authn.StepUpRequired:
		return h.beginConfirm(w, r, cur, "policy", "")
	case e.Code == authn.Conflict && ch.UndoOf > 0:
		return h.finish(w, policyHistoryPath, "policy_moved")
	case e.Code == authn.Invalid && slices.ContainsFunc(e.Fields, func(f authn.Field) bool { return f.Name == "reason" }):
		typed := ch.Reason
		ch.Reason = ""
		out, bad := h.c.Directory.PreviewPolicy(r.Context(), who, ch)
		if bad != nil && authn.AsError(bad).Code != authn.PolicyForbids {
			return bad
		}
		httpserve.Record(r, err)
		v := h.personal(r, cur)
		p, worse := h.policyLookOf(v, cur, ch, out, bad)
		if worse != nil {
			return worse
		}
		p.Reason, p.ReasonErr = typed, v.fieldText(e, "reason")
		return h.drawLook(w, r, httpserve.Status(e.Code), cur, p)
	case e.Code == authn.PolicyForbids:
		httpserve.Record(r, err)
		return h.lookAtPolicy(w, r, cur, who, ch, f)
	}
	return h.refusePolicy(w, r, cur, err, f)
}

// getPolicyHistory is who changed the policy, when, why, and what of it.
func (h *Handler) getPolicyHistory(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64) // 0: from the newest
	list, err := h.c.Directory.PolicyVersions(r.Context(), cur.Company.ID, max(before, 0), historyPage+1)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	var p policyPast
	names := map[string]string{}
	for i, one := range list[:min(len(list), historyPage)] {
		row := policyVersionRow{Version: one.Version, UndoOf: one.UndoOf, Reason: one.Reason, Current: one.Version == cur.Company.PolicyVersion, First: i == len(list)-1}
		if !one.At.IsZero() {
			at := v.When(one.At)
			row.At = &at
		}
		row.By = h.whoSaved(r, cur, v, one.Actor, names)
		if !row.Current {
			row.Undo = undoAddress(cur.Company.PolicyVersion, one.Version)
		}
		if !row.First {
			d, bad := policy.Parse(one.Document)
			was, worse := policy.Parse(list[i+1].Document)
			if bad == nil && worse == nil {
				row.Changes = v.changes(was, d, cur.Company)
			}
		}
		p.Versions = append(p.Versions, row)
	}
	if len(list) > historyPage {
		p.Older = withQuery(policyHistoryPath, "before", strconv.FormatInt(list[historyPage-1].Version, 10))
	}
	v.Section, v.Title, v.Data = "policy", v.T("admin.policy.history"), p
	return h.draw(w, http.StatusOK, "policyhistory.html", v)
}

// whoSaved is the name of who saved a version; of who is gone, the id.
func (h *Handler) whoSaved(r *http.Request, cur session.Current, v *View, actor string, names map[string]string) string {
	switch {
	case actor == directory.Operator:
		return v.T("admin.policy.operator")
	case actor == cur.User.ID:
		return v.T("admin.policy.yourself")
	case names[actor] == "":
		names[actor] = actor
		if u, _, err := h.c.Directory.Lookup(r.Context(), cur.Company, actor); err == nil {
			names[actor] = u.Name
		}
	}
	return names[actor]
}
