package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

// The pages about one person. Each act has a page of its own below theirs: what
// will happen, why, and one button (ux rule 54).
const approvalsPath = "/admin/approvals"

func personPath(id string) string { return peoplePath + "/" + id }

// mountPerson registers the pages about one person, and of what waits.
func (h *Handler) mountPerson(m mux) {
	m.Handle("GET "+peoplePath+"/{id}", h.admin(directory.UsersRead, h.getPerson))
	for _, path := range []string{"/do/{act}", "/do/{act}/{arg}"} {
		m.Handle("GET "+peoplePath+"/{id}"+path, h.admin(directory.UsersRead, h.getAct))
		m.Handle("POST "+peoplePath+"/{id}"+path, h.admin(directory.UsersRead, h.postAct))
	}
	m.Handle("GET "+peoplePath+"/{id}/app/{factor}", h.admin(directory.FactorsManage, h.getHandOver))
	m.Handle("POST "+peoplePath+"/{id}/app/{factor}", h.admin(directory.FactorsManage, h.postHandOver))
	m.Handle("GET "+approvalsPath, h.admin(directory.UsersRead, h.getApprovals))
	m.Handle("POST "+approvalsPath+"/{approval}", h.admin("", h.postApproval))
}

// mux is where pages are registered.
type mux interface {
	Handle(pattern string, h http.Handler)
}

// personPage is the data of person.html (S29).
type personPage struct {
	ID, Name, Login, Initials string
	State, StateClass         string
	Roles                     string
	Facts                     []personFact
	Why                       []string
	Waiting                   []waitingRow
	Ways                      []theirWay
	Tasks                     []task
	Events                    []personEvent
	Self                      bool
	Above                     bool   // they hold more than who looks
	Asked                     []Part // since when they ask for help
}

type personFact struct {
	Label string
	Value []Part
	Class string // of the pill that the value is; empty: it is none
	Pill  string // behind the value
}

// personEvent is what happened to the person, as an administrator reads it.
type personEvent struct {
	Text    []Part
	At      Part
	Refused bool
	Agent   string // empty: not for who looks
}

// theirWay is one way to verify of the person.
type theirWay struct {
	Icon, Name, Pill, Class string
	Usual                   bool
	Details                 [][]Part
	Acts                    []actLink
}

// task is what somebody may have come for.
type task struct {
	ID, Title, Text string
	Acts            []actLink
}

// actLink leads to the page of an act.
type actLink struct {
	Href, Label, Name string // Name is the whole of it, for who does not see the row
	Danger            bool
}

// link leads to an act, if who looks may do it.
func (v *View) link(cur session.Current, u authn.User, do, arg string) (actLink, bool) {
	if !directory.May(cur.Company, cur.User, u, do) {
		return actLink{}, false
	}
	href := personPath(u.ID) + "/do/" + strings.ReplaceAll(do, "_", "-")
	if arg != "" {
		href += "/" + arg
	}
	key := "admin.act." + do
	if own := key + "." + arg; arg != "" && v.texts.Has(own) {
		key = own
	}
	label := v.T(key)
	return actLink{Href: href, Label: label, Name: label + ": " + u.Name, Danger: dangerous[do]}, true
}

// dangerous acts take something away at once.
var dangerous = map[string]bool{directory.Suspend: true, directory.Leave: true, directory.Reset: true, directory.Disable: true, directory.SignOut: true}

func (h *Handler) getPerson(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	p, err := h.c.Directory.Person(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	u := p.User
	d := personPage{ID: u.ID, Name: u.Name, Login: u.Login, Initials: initials(u.Name), Self: u.ID == cur.User.ID}
	d.State, d.StateClass = v.T("admin.person.active"), "ok"
	if u.Status != authn.Active {
		d.State, d.StateClass = v.T("admin.person.suspended"), "danger"
	}
	d.Roles = v.roles(cur.Company, u)
	if err := h.personFacts(r.Context(), v, cur, who, p, &d); err != nil {
		return err
	}
	if !d.Self {
		d.Asked = v.askedHelp("admin.person.asks", u)
	}
	d.Ways = h.theirWays(v, cur, p)
	if d.Tasks, err = h.tasks(v, cur, p); err != nil {
		return err
	}
	facts, err := h.accountFacts(r, v, cur, who, u.ID)
	if err != nil {
		return err
	}
	for _, f := range facts {
		d.Facts = append(d.Facts, personFact{Label: f.Label, Value: f.Value})
	}
	d.Above = len(d.Tasks) == 0 && !d.Self
	list, err := h.c.Directory.Approvals(r.Context(), who, u.ID, "", 20)
	if err != nil {
		return err
	}
	for _, ap := range list {
		if ap.Open(v.now) && ap.Epoch == u.Epoch {
			d.Waiting = append(d.Waiting, h.waitingRow(r.Context(), v, cur, ap))
		}
	}
	if d.Events, err = h.theirEvents(r.Context(), v, cur, u); err != nil {
		return err
	}
	v.Section, v.Title, v.Data = "people", u.Name, d
	return h.draw(w, http.StatusOK, "person.html", v)
}

// roles are the person's roles, by the names that people read.
func (v *View) roles(c authn.Company, u authn.User) string {
	var list []string
	for _, role := range u.Roles {
		list = append(list, v.roleTitle(c, role))
	}
	return strings.Join(list, ", ")
}

// personFacts fills in what is known of the person.
func (h *Handler) personFacts(ctx context.Context, v *View, cur session.Current, who directory.Who, p directory.Person, d *personPage) error {
	u := p.User
	doc, err := policy.Current(cur.Company, v.now)
	if err != nil {
		return err
	}
	for _, b := range policy.Explain(doc, u, p.Factors, h.traits(cur.Company), v.now).Because {
		d.Why = append(d.Why, h.because(ctx, v, who, b, cur.Company.Name))
	}
	add := func(label, value, pill string) {
		if value != "" {
			d.Facts = append(d.Facts, personFact{Label: v.T("admin.person." + label), Value: []Part{{Text: value, Value: true}}, Pill: pill})
		}
	}
	listed, err := directory.ListedOf(cur.Company, u, p.Factors, v.now)
	if err != nil {
		return err
	}
	row := v.personRow(listed)
	d.Facts = append(d.Facts, personFact{Label: v.T("people.filter.audience"), Value: []Part{{Text: v.T("people.audience." + string(u.Audience))}}},
		personFact{Label: v.T("people.col_status"), Value: row.Status, Class: row.Tone})
	verified := map[bool]string{true: v.T("admin.person.verified"), false: v.T("admin.person.unverified")}
	add("email", u.Email, verified[!u.EmailVerifiedAt.IsZero()])
	add("phone", u.Phone, map[bool]string{true: v.T("admin.person.set_by_admin"), false: v.T("admin.person.unverified")}[!u.PhoneTrustedAt.IsZero()])
	where := v.T("admin.person.sessions_none")
	if p.Sessions > 0 {
		where = v.T("admin.person.sessions_n", "Count", p.Sessions)
	}
	d.Facts = append(d.Facts, personFact{Label: v.T("admin.person.sessions"), Value: []Part{{Text: where}}})
	last := []Part{{Text: v.T("admin.person.never")}}
	if !u.LastSignInAt.IsZero() {
		last = []Part{v.When(u.LastSignInAt)}
	}
	d.Facts = append(d.Facts, personFact{Label: v.T("admin.person.last"), Value: last})
	if p.Keys > 0 {
		d.Facts = append(d.Facts, personFact{Label: v.T("admin.person.keys"), Value: []Part{{Text: v.T("admin.person.keys_n", "Count", p.Keys)}}})
	}
	if !u.PasswordKnownAt.IsZero() {
		d.Facts = append(d.Facts, personFact{Label: v.T("admin.person.password"), Value: []Part{{Text: v.T("admin.person.password_known")}}})
	}
	return nil
}

// because is one rule that holds for the person, in words.
func (h *Handler) because(ctx context.Context, v *View, who directory.Who, b policy.Because, company string) string {
	key := "why." + string(b.Rule)
	if own := "admin.why." + string(b.Rule); v.texts.Has(own) {
		key = own
	}
	return v.T(key, "Company", company, "Role", b.Role, "Until", v.Full(b.Until).Text, "Reason", b.Reason, "By", h.nameOf(ctx, who.Company, v, b.By))
}

// nameOf is who an id names, for people: gone people keep theirs.
func (h *Handler) nameOf(ctx context.Context, company string, v *View, id string) string {
	switch {
	case id == operator:
		return v.T("page.security.events_operator")
	case id == "":
		return ""
	}
	u, _, err := h.c.Directory.Lookup(ctx, authn.Company{ID: company}, id)
	if err != nil {
		return id
	}
	return u.Name
}

// theirWays are the person's ways to verify, and what was prepared for them.
func (h *Handler) theirWays(v *View, cur session.Current, p directory.Person) []theirWay {
	var rows []theirWay
	passkeys := v.passkeyNames(passkeysOf(p.Factors))
	for _, f := range p.Factors {
		if f.Kind == authn.Password || f.State == authn.Fallback || f.State == authn.Pending && !f.Prepared() {
			continue
		}
		rows = append(rows, h.theirWay(v, cur, p.User, f, passkeys[f.ID]))
	}
	return rows
}

// theirWay is one of them; passkey is its name where it is one.
func (h *Handler) theirWay(v *View, cur session.Current, u authn.User, f authn.Factor, passkey string) theirWay {
	row := theirWay{Icon: wayIcon(f.Kind), Name: v.T("page.way." + string(f.Kind)), Usual: f.ID == u.Preferred}
	detail := func(key string, pairs ...any) { row.Details = append(row.Details, v.Rich(key, pairs...)) }
	stranger, known := f.Counts[authn.Stranger], f.Counts[authn.Known]
	locked := stranger.Tries >= policy.Share(authn.Stranger) || known.Tries >= policy.Share(authn.Known)
	switch {
	case f.State == authn.Pending:
		row.Pill, row.Class = v.T("admin.person.way_prepared"), "warn"
		detail("admin.person.way_prepared_text", "Day", v.Day(f.ExpiresAt))
	case f.State == authn.Asleep:
		row.Pill = v.T("admin.person.way_off")
	case policy.ToConfirmNow(cur.Company, u, f, h.traits(cur.Company), v.now):
		row.Pill, row.Class = v.T("page.security.again"), "warn"
		detail("admin.person.way_again")
	case locked:
		row.Pill, row.Class = v.T("page.security.locked"), "danger"
		detail(v.of("admin.person.way_locked", f.Kind))
	case stranger.Paused(v.now) || known.Paused(v.now):
		row.Pill, row.Class = v.T("admin.person.way_paused"), "warn"
	default:
		row.Pill, row.Class = v.T("admin.person.way_on"), "ok"
	}
	if to := preparedTo(f, u); f.Kind.Sent() && to != "" {
		detail("admin.person.way_to", "To", to)
	}
	named := row.Name
	if passkey != "" {
		named = passkey
		row.Details = append(row.Details, []Part{{Text: passkey, Value: true}})
		kept := "admin.person.passkey_bound"
		if credentialOf(f).Synced {
			kept = "admin.person.passkey_synced"
		}
		detail("admin.person.passkey_added", "Day", v.Day(f.ConfirmAt), "Kept", v.T(kept))
	} else if f.Name != "" {
		row.Details = append(row.Details, []Part{{Text: f.Name, Value: true}})
	}
	if f.Kind == authn.BackupCode {
		detail("admin.person.way_left", "Count", f.Left)
	}
	if f.State != authn.Pending && f.HandedOver() {
		detail("admin.person.way_handed")
	}
	if !f.LastUsedAt.IsZero() {
		detail("admin.person.way_used", "When", v.When(f.LastUsedAt))
	} else if f.State != authn.Pending && f.Kind.Own() {
		detail("admin.person.way_unused")
	}
	for _, do := range actsOfWay(f, u) {
		if l, ok := v.link(cur, u, do, f.ID); ok {
			l.Label = v.T("admin.way." + do)
			l.Name = l.Label + ": " + named
			row.Acts = append(row.Acts, l)
		}
	}
	return row
}

// actsOfWay is what can be done about one way.
func actsOfWay(f authn.Factor, u authn.User) []string {
	switch {
	case !f.Kind.Own(), f.State == authn.Pending:
		return []string{directory.Reset}
	case f.State == authn.Asleep:
		return []string{directory.Enable, directory.Reset}
	case f.ID != u.Preferred:
		return []string{directory.Prefer, directory.Disable, directory.Reset}
	}
	return []string{directory.Disable, directory.Reset}
}

// tasks are what somebody may have come for, each with the acts that help.
func (h *Handler) tasks(v *View, cur session.Current, p directory.Person) ([]task, error) {
	u := p.User
	doc, err := policy.Current(cur.Company, v.now)
	if err != nil {
		return nil, err
	}
	var list []task
	add := func(id string, links ...[2]string) {
		t := task{ID: id, Title: v.T("admin.task." + id), Text: v.T("admin.task." + id + "_text")}
		for _, l := range links {
			if link, ok := v.link(cur, u, l[0], l[1]); ok {
				t.Acts = append(t.Acts, link)
			}
		}
		if len(t.Acts) > 0 {
			list = append(list, t)
		}
	}
	here := h.traits(cur.Company)
	sends := func(k authn.Kind) bool { _, ok := here(k); return ok }
	offered := func(k authn.Kind) bool { return sends(k) && doc.Offers(k) }
	one := func(do string) [2]string { return [2]string{do, ""} }
	if !u.HelpAskedAt.IsZero() {
		add("asked", one(directory.CloseHelp))
	}
	var number, codes [][2]string
	if offered(authn.SMS) {
		number = append(number, [2]string{directory.Prepare, string(authn.SMS)})
	}
	if u.Email != "" && offered(authn.Email) {
		codes = append(codes, [2]string{directory.Prepare, string(authn.Email)})
	}
	if offered(authn.Duo) {
		codes = append(codes, [2]string{directory.Prepare, string(authn.Duo)})
	}
	if u.Status == authn.Active && !u.API {
		lost := [][2]string{one(directory.HelpCode)}
		if offered(authn.TOTP) {
			lost = append(lost, one(directory.HandOver))
		}
		add("lost", append(lost, one(directory.Reset))...)
		add("number", number...)
		if sends(authn.SMS) {
			add("contact", one(directory.SetPhone))
		}
		add("locked", one(directory.Unlock), one(directory.HelpCode))
		add("codes", append([][2]string{one(directory.HelpCode)}, codes...)...)
		if u.Email != "" && sends(authn.Email) && u.ExternalID == "" {
			add("password", one(directory.InviteAgain))
		}
	}
	rules := [][2]string{one(directory.RequireTwo)}
	if u.RequireTwoFactor {
		rules = [][2]string{one(directory.NotRequire)}
	}
	if u.ExemptUntil.After(v.now) {
		rules = append(rules, one(directory.EndExemption))
	} else {
		rules = append(rules, one(directory.Exempt))
	}
	if !u.API {
		add("rules", rules...)
	}
	if u.Status == authn.Active {
		add("left", one(directory.SignOut), one(directory.Suspend), one(directory.Leave))
	} else {
		add("back", one(directory.Activate))
	}
	if directory.May(cur.Company, cur.User, u, directory.Erase) {
		own := func(label, href string, danger bool) actLink {
			return actLink{Href: href, Label: v.T(label), Name: v.T(label) + ": " + u.Name, Danger: danger}
		}
		acts := []actLink{own("admin.api.title", apiPath(u.ID), false), own("admin.erase.button", strings.Replace(erasePath, "{id}", u.ID, 1), true)}
		if u.ExternalID != "" {
			acts = acts[1:] // a host program keeps the password, so it is no program's secret
		}
		list = append(list, task{ID: "account", Title: v.T("admin.task.account"), Text: v.T("admin.task.account_text"), Acts: acts})
	}
	return list, nil
}

// theirEvents are the last few about the person, as sentences of who did what. Where
// from is for who may read the log.
func (h *Handler) theirEvents(ctx context.Context, v *View, cur session.Current, u authn.User) ([]personEvent, error) {
	list, err := h.c.Audit.Events(ctx, cur.Company.ID, authn.EventQuery{Target: u.ID, Limit: 50})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(e authn.Event) bool { return minor[e.Type] || v.now.Sub(e.At) > activityDays*24*time.Hour })
	list = list[:min(len(list), 10)]
	var sealed []authn.SealedEvent
	for _, e := range list {
		sealed = append(sealed, authn.SealedEvent{Event: e})
	}
	names, err := h.c.Audit.Names(ctx, cur.Company.ID, sealed)
	if err != nil {
		return nil, err
	}
	full := directory.Can(cur.Company, cur.User, directory.AuditRead)
	var rows []personEvent
	for _, e := range list {
		row := personEvent{Text: v.auditLine(e, names), At: v.When(e.At), Refused: e.Result == authn.Refused}
		if full && e.Actor != operator {
			row.Agent = v.Agent(e.Personal.Agent)
		}
		rows = append(rows, row)
	}
	return rows, nil
}
