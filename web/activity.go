package web

import (
	"context"
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/csvfile"
	"github.com/sallyport-mfa/sallyport/session"
)

// activityPage is the data of activity.html (S25).
type activityPage struct {
	Events []eventRow
	Kinds  []Choice
	Kind   string
	File   string // address of the CSV
	Newest string // address of the first page; empty: this is it
	Older  string // address of the next page; empty: that is all
	Days   int
	Credit *credit
}

// eventRow is one line of the log, in words.
type eventRow struct {
	Text, Agent string
	Place       string // about where it came from; empty: not known, or not shown here
	At          Part
	Refused     bool
	Unusual     bool // "was this you?"
}

// How far back a person sees, and in what portions.
const (
	activityDays = 90
	pageEvents   = 25
	readEvents   = 200   // from the store at a time
	readAtMost   = 2000  // looked at for one page
	fileAtMost   = 20000 // looked at for one file
)

// minor events are parts of others that the list shows: a step of a sign-in, a
// set-up that was begun.
var minor = map[string]bool{
	"sign_in.begun": true, "step_up.begun": true, "step_up.form_sent": true, "factor.proved": true, "factor.begun": true, "factor.given_up": true,
	"session.confirmed": true, "user.created": true, "code.sent": true, "backup_codes.saved": true, "session.renamed": true, "session.given_again": true, "trusted_browser.renamed": true,
	"email.change_begun": true, "factor.asked": true, "factor.approved": true,
}

// The kinds of event to choose from; the text is the catalogue's
// "page.activity.kind_" + kind.
var eventKinds = []string{"sign_in", "ways", "account", "other"}

// kindOf is the kind of a type of event.
func kindOf(typ string) string {
	noun, _, _ := strings.Cut(typ, ".")
	switch noun {
	case "sign_in", "session", "step_up", "code", "trusted_browser", "assertion", "handle":
		return "sign_in"
	case "factor", "factors", "backup_code", "backup_codes", "bypass_code", "passkey":
		return "ways"
	case "password", "email", "account", "invitation":
		return "account"
	}
	return "other"
}

// isUnusual reports whether somebody else could have been at work.
func isUnusual(e authn.Event) bool {
	switch e.Type {
	case "session.new_browser", "password.known_to_others", "factor.locked", "bypass_code.used", "trusted_browser.added", "trusted_browser.reused", "handle.reused", "passkey.counter_back":
		return true
	case "factor.refused", "sign_in.refused":
		if reason := e.Personal.Detail["reason"]; reason == "denied" || reason == "fraud" {
			return true // a person said that it was not them
		}
		tries, err := strconv.Atoi(e.Personal.Detail["tries"])
		return err == nil && tries >= leftFrom
	}
	return false
}

// operator is the actor of what was done from the command line, where there is
// no browser to name.
const operator = "operator"

func (h *Handler) row(v *View, e authn.Event) eventRow {
	return eventRow{Text: v.Event(e), Agent: v.where(e), At: v.When(e.At), Refused: e.Result == authn.Refused, Unusual: isUnusual(e)}
}

// where is the browser of the person to whom something happened. That of somebody
// else who acted is not theirs to know.
func (v *View) where(e authn.Event) string {
	switch {
	case e.Actor == operator:
		return v.T("page.security.events_operator")
	case audit.ByOther(e):
		return v.T("page.security.events_admin")
	}
	return v.Agent(e.Personal.Agent)
}

// Event is what happened, in words.
func (v *View) Event(e authn.Event) string { return v.T(audit.TextKey(e, v.texts.Has)) }

// eventRows are the last few, for the overview.
func (h *Handler) eventRows(ctx context.Context, v *View, cur session.Current) ([]eventRow, error) {
	list, _, err := h.events(ctx, cur, "", "", eventsShown, readEvents)
	if err != nil {
		return nil, err
	}
	var rows []eventRow
	for _, e := range list {
		rows = append(rows, h.row(v, e))
	}
	return rows, nil
}

// eventsShown is how many events the overview shows.
const eventsShown = 5

// events are a person's own of the last 90 days, newest first: at most want of
// one kind (empty: all), after the event before (empty: from the newest). more
// is the event to go on after; empty: that is all. At most look are looked at.
func (h *Handler) events(ctx context.Context, cur session.Current, kind, before string, want, look int) (list []authn.Event, more string, err error) {
	oldest := h.c.Now().Add(-activityDays * 24 * time.Hour)
	for looked := 0; looked < look; {
		some, err := h.c.Audit.Events(ctx, cur.Company.ID, authn.EventQuery{Target: cur.User.ID, Before: before, Limit: readEvents})
		if err != nil {
			return nil, "", err
		}
		for _, e := range some {
			switch {
			case e.At.Before(oldest):
				return list, "", nil
			case minor[e.Type], kind != "" && kindOf(e.Type) != kind:
			case len(list) == want:
				return list, before, nil
			default:
				list = append(list, e)
			}
			before = e.ID
		}
		if looked += len(some); len(some) < readEvents {
			return list, "", nil
		}
	}
	return list, before, nil
}

// activityQuery is what the address asks for; what is not known is left out.
func activityQuery(r *http.Request) (kind, before string) {
	q := r.URL.Query()
	if kind = q.Get("kind"); !slices.Contains(eventKinds, kind) {
		kind = ""
	}
	if before = q.Get("before"); len(before) > 64 {
		before = ""
	}
	return kind, before
}

func (h *Handler) getActivity(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	kind, before := activityQuery(r)
	list, more, err := h.events(r.Context(), cur, kind, before, pageEvents, readAtMost)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	p := activityPage{Kind: kind, Days: activityDays, File: withQuery(activityPath+".csv", "kind", kind)}
	placed := false
	for _, e := range list {
		row := h.row(v, e)
		row.At, row.Place = v.Full(e.At), h.placeOf(v, e)
		placed = placed || row.Place != ""
		p.Events = append(p.Events, row)
	}
	p.Credit = h.credit(v, placed)
	p.Kinds = append(p.Kinds, Choice{Label: v.T("page.activity.kind_all"), Chosen: kind == ""})
	for _, k := range eventKinds {
		p.Kinds = append(p.Kinds, Choice{Value: k, Label: v.T("page.activity.kind_" + k), Chosen: k == kind})
	}
	if before != "" {
		p.Newest = withQuery(activityPath, "kind", kind)
	}
	if more != "" {
		p.Older = withQuery(activityPath, "kind", kind, "before", more)
	}
	v.Section, v.Title, v.Data = "activity", v.T("page.activity.title"), p
	return h.draw(w, http.StatusOK, "activity.html", v)
}

// getActivityFile is the list as a file that tables are made of.
func (h *Handler) getActivityFile(w http.ResponseWriter, r *http.Request, cur session.Current) error {
	kind, _ := activityQuery(r)
	list, _, err := h.events(r.Context(), cur, kind, "", fileAtMost, fileAtMost)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	var b strings.Builder
	table := csv.NewWriter(&b)
	table.UseCRLF = true // RFC 4180
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = csvfile.Cell(cells[i])
		}
		_ = table.Write(cells) // a strings.Builder takes everything
	}
	row(v.T("page.security.events_when"), v.T("page.security.events_what"), v.T("page.activity.result"), v.T("page.security.events_where"), v.T("page.activity.address"))
	for _, e := range list {
		x, result, address := h.row(v, e), v.T("page.activity.done"), e.Personal.Address
		if x.Refused {
			result = v.T("page.security.blocked")
		}
		if audit.ByOther(e) {
			address = ""
		}
		row(e.At.In(v.zone).Format(time.RFC3339), x.Text, result, x.Agent, address)
	}
	table.Flush()
	return attach(w, r, "text/csv; charset=utf-8", fileName(cur.Company.Slug, "activity", cur.User.Login)+".csv", b.String())
}
