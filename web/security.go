package web

import (
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/session"
)

// securityPage is the data of security.html (S15).
type securityPage struct {
	ByCode    bool // codes to a contact stand in for a way of their own
	On        bool // a second step of the person's own is asked for at sign-in
	Off       bool // the company does not use two-step sign-in
	Why       []string
	Advice    string // key of a sentence about the ways; empty: none
	Ways      []wayRow
	Usual     bool // there is more than one, so that one is the usual
	Password  Part // zero: never set here
	Elsewhere bool // a host program keeps the password; Change is its page for it, or empty
	Change    string
	Sessions  []sessionRow
	More      int  // sessions that are not shown
	Others    bool // there are sessions elsewhere
	Events    []eventRow
	Banner    *banner
}

// banner is the one most urgent thing.
type banner struct {
	ID, Class, Icon string
	Text            []Part
	Link, Label     string // what to do about it; empty: nothing here
	Post            string // with it the link is a button that posts here, with Field
	Name, Value     string
}

// wayRow is one kind of way to verify.
type wayRow struct {
	ID, Icon, Name string
	Pill, Class    string // its state, in words
	Usual          bool
	ByCompany      bool // who decided
	Details        [][]Part
	Pause          *pause
	Link           string // to go on with a set-up
	LinkLabel      string
	Actions        []wayAction
}

// wayAction is one button of a row. Words, and a name that no other button has.
type wayAction struct {
	Label, Name, Class string
	Action             string // posted to
	Field, Value       string
}

// traits answers policy's question: which kinds a company can use, and what they show.
func (h *Handler) traits(c authn.Company) func(authn.Kind) (authn.Traits, bool) {
	return authn.TraitsFor(h.methods, c)
}

func (h *Handler) offers(k authn.Kind) bool { return h.methods[k] != nil }

// shows are the traits of a kind, whether or not a company can use it.
func (h *Handler) shows(k authn.Kind) authn.Traits {
	if m := h.methods[k]; m != nil {
		return m.Traits()
	}
	return authn.Traits{}
}

// rules are what policy says about a person.
type rules struct {
	doc      policy.Document
	second   []authn.Factor
	again    []authn.Factor // to be confirmed again before they count
	demanded bool
	off      bool // for this person: what they have set up sleeps
	because  []policy.Reason
}

// closed reports whether ways of a kind count for nothing here, whoever has them.
func (ru rules) closed(k authn.Kind) bool { return ru.off || !ru.doc.Offers(k) }

func (h *Handler) rulesOf(cur session.Current) (rules, error) {
	doc, err := policy.Current(cur.Company, h.c.Now())
	if err != nil {
		return rules{}, err
	}
	ru := rules{doc: doc, second: policy.Second(doc, cur.User, cur.Factors, h.traits(cur.Company)), again: policy.ToConfirm(doc, cur.User, cur.Factors, h.traits(cur.Company)),
		demanded: policy.Demanded(doc, cur.User), off: doc.Sleeps(cur.User)}
	for _, b := range policy.Explain(doc, cur.User, cur.Factors, h.traits(cur.Company), h.c.Now()).Because {
		// What they have, and that it is off for all, the page says in its own words.
		if b.Rule != policy.HasFactor && b.Rule != policy.SwitchedOff {
			ru.because = append(ru.because, b.Rule)
		}
	}
	return ru, nil
}

// canSync says whether the person may set up the app, and which one that replaces.
func (h *Handler) canSync(cur session.Current) (bool, string) {
	ru, err := h.rulesOf(cur)
	if err != nil || !h.offers(appKind) || ru.closed(appKind) {
		return false, ""
	}
	if f := activeApp(cur.Factors); f != nil {
		return true, f.ID
	}
	return true, ""
}

// devicesShown is how many other sessions the overview shows.
const devicesShown = 3

func (h *Handler) getSecurity(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	v := h.personal(r, cur)
	ru, err := h.rulesOf(cur)
	if err != nil {
		return err
	}
	p := securityPage{On: len(ru.second) > 0, Off: ru.off, Usual: len(kindsOf(ru.second)) > 1}
	p.ByCode = h.fallback(v, cur, ru) != ""
	p.Why = v.why(ru.because, cur.Company.Name)
	switch {
	case len(ru.second) == 1 && h.moreWays(cur, ru):
		p.Advice = "page.security.advice_one"
	case len(ru.second) == 0 && !p.Off && len(p.Why) == 0:
		p.Advice = "page.security.ways_none"
	}
	p.Ways = h.wayRows(r, v, cur, ru)
	p.Banner = h.bannerOf(v, cur, ru)
	p.Elsewhere, p.Change = cur.User.ExternalID != "", h.c.HostPassword
	if at := cur.User.PasswordChangedAt; !at.IsZero() {
		p.Password = v.Day(at)
	}
	if p.Sessions, err = h.sessionRows(r.Context(), v, cur); err != nil {
		return err
	}
	p.Others = len(p.Sessions) > 1
	if n := devicesShown + 1; len(p.Sessions) > n {
		p.Sessions, p.More = p.Sessions[:n], len(p.Sessions)-n
	}
	if p.Events, err = h.eventRows(r.Context(), v, cur); err != nil {
		return err
	}
	v.Section, v.Title, v.Data = "security", v.T("page.security.title"), p
	return h.draw(w, http.StatusOK, "security.html", v)
}

// moreWays reports whether there is a way that the person could add.
func (h *Handler) moreWays(cur session.Current, ru rules) bool {
	here := h.traits(cur.Company)
	return slices.ContainsFunc(policyWays, func(k authn.Kind) bool {
		t, ok := here(k)
		return ok && k.Own() && !ru.closed(k) && ru.doc.Minimum(cur.User).Meets(t) && factorIn(cur.Factors, k, authn.Confirmed, authn.Asleep) == nil
	})
}

// usual is the way that sign-in asks for first, as package policy orders them:
// the person's choice, else the oldest, and codes that are sent last where a way
// of one's own is asked for.
func usual(ru rules, u authn.User) string {
	var first, sent string
	for _, f := range ru.second {
		switch {
		case f.ID == u.Preferred:
			return f.ID
		case f.Kind.Sent() && ru.doc.NeedsOwnWay(u):
			if sent == "" {
				sent = f.ID
			}
		case first == "":
			first = f.ID
		}
	}
	if first == "" {
		return sent
	}
	return first
}

// wayRows has a row for each kind that the server offers.
func (h *Handler) wayRows(r *http.Request, v *View, cur session.Current, ru rules) []wayRow {
	var rows []wayRow
	// What the company does not offer is shown to who has it only.
	shown := func(k authn.Kind) bool {
		return h.offers(k) && (ru.doc.Offers(k) || factorIn(cur.Factors, k, authn.Confirmed, authn.Asleep) != nil)
	}
	if shown(authn.WebAuthn) {
		rows = append(rows, h.passkeyWay(v, cur, ru))
	}
	if shown(appKind) {
		rows = append(rows, h.appWay(v, cur, ru))
	}
	if shown(authn.Email) {
		rows = append(rows, h.mailWay(v, cur, ru))
	}
	if row, ok := h.phoneWay(v, cur, ru); ok && shown(authn.SMS) {
		rows = append(rows, row)
	}
	if row, ok := h.duoWay(v, cur, ru); ok && shown(authn.Duo) {
		rows = append(rows, row)
	}
	if shown(authn.BackupCode) {
		if row, ok := h.codesWay(r, v, cur, ru); ok {
			rows = append(rows, row)
		}
	}
	return rows
}

// way is what the rows of the person's own ways have in common.
func (h *Handler) way(v *View, cur session.Current, ru rules, k authn.Kind, id, off string) (wayRow, *authn.Factor) {
	row := wayRow{ID: id, Icon: wayIcon(k), Name: v.T("page.way." + string(k))}
	f := factorIn(cur.Factors, k, authn.Confirmed, authn.Asleep)
	if f == nil {
		return row, nil
	}
	if _, here := h.traits(cur.Company)(k); !here || ru.closed(k) {
		row.ByCompany = true
		row.Details = append(row.Details, v.Rich("page.security.asleep"))
		return row, f
	}
	if slices.ContainsFunc(ru.again, func(x authn.Factor) bool { return x.ID == f.ID }) {
		row.Pill, row.Class = v.T("page.security.again"), "warn"
		row.Details = append(row.Details, v.Rich("page.security.again_text", "Company", cur.Company.Name))
		row.Actions = append(row.Actions, wayAction{Label: v.T("page.security.again_button"), Name: v.T("page.security.again_button_label", "Way", row.Name),
			Class: "btn-primary", Action: confirmPath, Field: "for", Value: "again_" + string(k)},
			wayAction{Label: v.T("page.security.app_off"), Name: v.T("page.security.off_label", "Way", row.Name), Class: "btn-danger", Action: confirmPath, Field: "for", Value: off})
		return row, f
	}
	count := f.Counts[cur.Lane]
	row.Pause = v.pauseOf(count.PausedUntil)
	switch {
	case count.Tries >= policy.Share(cur.Lane):
		row.Pill, row.Class, row.Pause = v.T("page.security.locked"), "danger", nil
	case row.Pause != nil:
		row.Pill, row.Class = v.T("page.security.paused"), "warn"
	default:
		row.Pill, row.Class = v.T("page.security.is_on"), "ok"
	}
	if f.LastUsedAt.IsZero() {
		row.Details = append(row.Details, v.Rich("page.security.app_added", "Added", v.Day(f.ConfirmAt)))
	} else {
		row.Details = append(row.Details, v.Rich("page.security.app_used", "Added", v.Day(f.ConfirmAt), "Used", v.Ago(f.LastUsedAt)))
	}
	last := h.isLast(ru, cur, f.ID)
	if last {
		row.ByCompany = true
		row.Details = append(row.Details, v.Rich("page.security.app_demanded"))
	}
	if len(kindsOf(ru.second)) > 1 {
		if row.Usual = usual(ru, cur.User) == f.ID; !row.Usual {
			row.Actions = append(row.Actions, wayAction{Label: v.T("page.security.make_usual"), Name: v.T("page.security.make_usual_label", "Way", row.Name),
				Action: usualPath, Field: "factor", Value: f.ID})
		}
	}
	if !last {
		row.Actions = append(row.Actions, wayAction{Label: v.T("page.security.app_off"), Name: v.T("page.security.off_label", "Way", row.Name),
			Class: "btn-danger", Action: confirmPath, Field: "for", Value: off})
	}
	return row, f
}

func (h *Handler) appWay(v *View, cur session.Current, ru rules) wayRow {
	row, f := h.way(v, cur, ru, appKind, "app", "app_off")
	if ru.closed(appKind) {
		if f == nil {
			row.ByCompany = true
			row.Details = append(row.Details, v.Rich("page.security.app_unused"))
		}
		return row
	}
	setUp := wayAction{Label: v.T("page.security.app_set_up"), Name: v.T("page.security.set_up_label", "Way", row.Name), Class: "btn-primary",
		Action: appPath, Field: "replaces"}
	if h.offers(authn.WebAuthn) && !ru.closed(authn.WebAuthn) && len(passkeysOf(cur.Factors)) == 0 {
		setUp.Class = "" // a passkey is the better one
	}
	if f != nil {
		setUp.Label, setUp.Name = v.T("page.security.app_again"), v.T("page.security.again_label", "Way", row.Name)
		setUp.Class, setUp.Value = "", f.ID
	} else {
		row.Details = append(row.Details, v.Rich("page.security.app_none"))
	}
	row.Actions = append([]wayAction{setUp}, row.Actions...)
	if p := pendingApp(cur.Factors); h.goesOn(p, cur) {
		row.Link, row.LinkLabel = appPath+"/"+p.ID, v.goOn(*p)
	}
	return row
}

// goesOn reports whether a pending set-up can be gone on with in this session.
func (h *Handler) goesOn(f *authn.Factor, cur session.Current) bool {
	return f != nil && f.ExpiresAt.After(h.c.Now()) && f.Epoch == cur.User.Epoch && !f.HandedOver() && enroll.Begun(*f, cur.Session.Attempt)
}

// preparedBy is f for the page of a set-up. One that an administrator prepared needs
// the proof that beginning it asks for otherwise, before anything is sent or typed.
func (h *Handler) preparedBy(f accountFunc) accountFunc {
	return func(w http.ResponseWriter, r *http.Request, cur session.Current) error {
		i := slices.IndexFunc(cur.Factors, func(f authn.Factor) bool { return f.ID == r.PathValue("factor") })
		if i >= 0 && cur.Factors[i].Prepared() && cur.Factors[i].State == authn.Pending &&
			authn.AsError(h.c.Enroll.Ready(r.Context(), who(r, cur))).Code == authn.StepUpRequired {
			return h.askConfirm(w, "", r.URL.Path)
		}
		return f(w, r, cur)
	}
}

// goOn is what the link to a set-up says that was begun.
func (v *View) goOn(f authn.Factor) string {
	if f.Prepared() {
		return v.T("page.security.prepared")
	}
	return v.T("page.security.app_continue")
}

func (h *Handler) mailWay(v *View, cur session.Current, ru rules) wayRow {
	row, f := h.way(v, cur, ru, authn.Email, "email", "mail_off")
	u := cur.User
	if f != nil {
		if !ru.closed(authn.Email) {
			row.Details = append(row.Details, v.Rich("page.security.mail_to", "Address", u.Email))
		}
		return row
	}
	switch {
	case ru.closed(authn.Email):
		row.ByCompany = true
		row.Details = append(row.Details, v.Rich("page.security.app_unused"))
	case !ru.doc.Minimum(u).Meets(h.shows(authn.Email)):
		row.ByCompany = true
		row.Details = append(row.Details, v.Rich("page.security.mail_weak"))
	case u.Email == "":
		row.Details = append(row.Details, v.Rich("page.security.mail_no_address"))
		row.Link, row.LinkLabel = addressPath, v.T("page.profile.add_email")
	default:
		if kind := h.fallback(v, cur, ru); kind == authn.Email {
			row.Details = append(row.Details, v.Rich("page.security.mail_until", "Address", policy.Mask(kind, u.Email)))
		} else if u.EmailVerifiedAt.IsZero() {
			row.Details = append(row.Details, v.Rich("page.security.mail_unverified", "Address", u.Email))
		} else {
			row.Details = append(row.Details, v.Rich("page.security.mail_would", "Address", u.Email))
		}
		row.Actions = append(row.Actions, wayAction{Label: v.T("page.security.app_set_up"), Name: v.T("page.security.set_up_label", "Way", row.Name), Action: mailPath})
	}
	if p := factorIn(cur.Factors, authn.Email, authn.Pending); p != nil && p.Prepared() && h.goesOn(p, cur) {
		row.Link, row.LinkLabel = mailPath+"/"+p.ID, v.goOn(*p)
	}
	return row
}

// fallback is how codes reach the person while they have no way of their own;
// empty: not at all.
func (h *Handler) fallback(v *View, cur session.Current, ru rules) authn.Kind {
	if !ru.demanded || len(ru.second) > 0 {
		return ""
	}
	kinds, _ := policy.Fallbacks(ru.doc, cur.User, cur.Factors, h.traits(cur.Company), v.now)
	if len(kinds) == 0 {
		return ""
	}
	return kinds[0]
}

func (h *Handler) codesWay(r *http.Request, v *View, cur session.Current, ru rules) (wayRow, bool) {
	f, may := codesOf(cur.Factors), h.mayMakeCodes(ru)
	if f == nil && !may {
		return wayRow{}, false // nothing that they could stand in for
	}
	row := wayRow{ID: "codes", Icon: "list", Name: v.T("page.codes.name")}
	if ru.closed(authn.BackupCode) {
		row.ByCompany = true
		row.Details = append(row.Details, v.Rich("page.security.asleep"))
		return row, true
	}
	more := wayAction{Label: v.T("page.codes.make"), Name: v.T("page.codes.make_label"), Action: confirmPath, Field: "for", Value: "codes"}
	if f == nil {
		row.Details = append(row.Details, v.Rich("page.security.codes_none"))
		more.Label, more.Name = v.T("page.codes.make_first"), v.T("page.codes.make_first_label")
		row.Actions = append(row.Actions, more)
		return row, true
	}
	if ru.doc.Awaits(*f) {
		row.Pill, row.Class = v.T("page.security.again"), "warn"
		row.Details = append(row.Details, v.Rich("page.security.codes_again"))
		if may {
			row.Actions = append(row.Actions, more)
		}
		return row, true
	}
	row.Pill, row.Class = v.T("page.security.codes_left", "Count", f.Left), "ok"
	switch {
	case f.Left == 0:
		row.Class = "danger"
	case f.Left <= fewCodes:
		row.Class = "warn"
	}
	if row.Details = append(row.Details, v.Rich("page.codes.made", "Day", v.Day(f.ConfirmAt))); !f.LastUsedAt.IsZero() {
		row.Details = append(row.Details, v.Rich("page.codes.used", "Used", v.Ago(f.LastUsedAt)))
	}
	if h.unsaved(r, cur, f) {
		row.Details = append(row.Details, v.Rich("page.security.codes_unsaved"))
		row.Link, row.LinkLabel = codesPath, v.T("page.security.codes_show")
	}
	if may {
		row.Actions = append(row.Actions, more)
	}
	return row, true
}

// bannerOf is the most urgent thing, and only that one.
func (h *Handler) bannerOf(v *View, cur session.Current, ru rules) *banner {
	if ru.off {
		return nil
	}
	for _, f := range ru.second {
		if f.Counts[cur.Lane].Tries >= policy.Share(cur.Lane) {
			return &banner{ID: "locked", Class: "danger", Icon: "warn", Text: v.Rich("page.security.banner_locked", "Way", v.T("page.way."+string(f.Kind)))}
		}
	}
	for _, f := range ru.again {
		return &banner{ID: "again", Class: "warn", Icon: "warn", Text: v.Rich("page.security.banner_again", "Way", v.T("page.way."+string(f.Kind))),
			Label: v.T("page.security.again_button"), Post: confirmPath, Name: "for", Value: "again_" + string(f.Kind)}
	}
	codes, may := codesOf(cur.Factors), h.mayMakeCodes(ru)
	if codes != nil && may && codes.Left <= fewCodes {
		b := v.codesBanner("low", "warn", v.Rich("page.security.banner_low", "Count", codes.Left))
		if codes.Left == 0 {
			b = v.codesBanner("none-left", "danger", v.Rich("page.security.banner_out"))
		}
		return b
	}
	if len(ru.second) > 0 && codes == nil {
		if may && len(ru.second) == 1 {
			b := v.codesBanner("no-codes", "warn", v.Rich("page.security.banner_no_codes"))
			b.Label = v.T("page.codes.make_first")
			return b
		}
		if len(ru.second) == 1 && h.offers(appKind) && !ru.closed(appKind) && activeApp(cur.Factors) == nil {
			return &banner{ID: "one-way", Class: "warn", Icon: "warn", Text: v.Rich("page.security.banner_one"), Label: v.T("page.security.banner_app"), Post: appPath, Name: "replaces"}
		}
	}
	return h.untilBanner(v, cur, ru)
}

func (v *View) codesBanner(id, class string, text []Part) *banner {
	return &banner{ID: id, Class: class, Icon: "warn", Text: text, Label: v.T("page.codes.make"), Post: confirmPath, Name: "for", Value: "codes"}
}

// untilBanner is for those who sign in with codes to their contact until they
// have a way of their own.
func (h *Handler) untilBanner(v *View, cur session.Current, ru rules) *banner {
	kind := h.fallback(v, cur, ru)
	if kind == "" {
		return nil
	}
	b := &banner{ID: "fallback", Icon: "info", Text: v.Rich(v.of("page.security.banner_fallback", kind), "Address", policy.Mask(kind, policy.Contact(kind, cur.User)))}
	if h.offers(appKind) {
		b.Label, b.Post, b.Name = v.T("page.security.banner_app"), appPath, "replaces"
	}
	if until := ru.doc.GraceUntil(cur.User, v.now); ru.doc.NeedsOwnWay(cur.User) && !until.IsZero() {
		b.ID, b.Class, b.Icon = "grace", "warn", "clock"
		b.Text = v.Rich("page.security.banner_grace", "Company", cur.Company.Name, "Day", v.Day(until.Add(-time.Second)))
	}
	return b
}

// postUsual makes a way the one that sign-in asks for first (F6).
func (h *Handler) postUsual(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	_, err := h.c.Enroll.Prefer(r.Context(), who(r, cur), r.PostForm.Get("factor"))
	switch authn.AsError(err).Code {
	case authn.NotFound, authn.Invalid:
		seeOther(w, securityPath) // turned off by now
		return nil
	}
	if err != nil {
		return err
	}
	return h.finish(w, securityPath, "usual")
}
