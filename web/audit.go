package web

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

const (
	auditPath   = "/admin/audit"
	streamsPath = "/admin/audit/streams"
)

// auditPage is the data of audit.html (S34).
type auditPage struct {
	Events                   []auditRow
	Person, By, Since, Until string // as they were typed
	Errors                   map[string]string
	Types, Results           []Choice
	Chosen                   bool // anything is
	CSV, Lines               string
	Newest, Older            string // addresses; empty: there is none
	Searched                 *Part  // the search stopped there
	Months                   int    // that events are kept; 0: for ever
	Streams                  bool   // the person may see where events are sent
	Choose                   []whoChoice
	Verified                 *verified // nil: it was not checked just now
}

// whoChoice are people whom a name fits, each with the address of the same search
// for that person alone.
type whoChoice struct {
	Field  string // "person" or "by"
	Typed  string
	People []auditName
	More   bool // there are others
}

// auditRow is one event, for administrators.
type auditRow struct {
	Text             []Part
	At               Part
	Refused, Damaged bool
	Type             string
	By, About        auditName
	Where            string // browser and address
	JSON             string
}

// auditName is somebody in the log.
type auditName struct {
	Text string
	Path string // of their page; empty: there is none
}

// auditTypes are the families of events to choose from, as the log names them.
var auditTypes = []string{"sign_in.", "session.", "factor.", "password.", "user.", "key.", "policy.", "provider.", "company.", "audit."}

// auditRows is how many events a page shows.
const auditRows = 50

// personPath is the address of a person's page; empty where there is none.
func (h *Handler) personPath(id string) string {
	if !h.people || !authn.CheckID(authn.UserID, id) {
		return ""
	}
	return "/admin/people/" + id
}

func (h *Handler) getAudit(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	return h.drawAudit(w, r, h.personal(r, cur), cur, http.StatusOK, nil, nil)
}

// drawAudit draws the log as the address says; wrong is what is wrong beside that.
func (h *Handler) drawAudit(w http.ResponseWriter, r *http.Request, v *View, cur session.Current, status int, checked *verified, wrong map[string]string) error {
	p, q, err := h.auditQuery(r, v, cur)
	if err != nil {
		return err
	}
	p.Verified = checked
	keep, err := h.c.Audit.Keep(r.Context(), cur.Company.ID)
	if err != nil {
		return err
	}
	p.Months, p.Streams = keep.Months, h.c.Providers.HasStreams() && directory.Can(cur.Company, cur.User, directory.ProvidersWrite)
	filtered := len(p.Errors) == 0 && len(p.Choose) == 0
	if len(p.Errors) > 0 {
		status = http.StatusUnprocessableEntity
	}
	maps.Copy(p.Errors, wrong)
	v.Failed = len(p.Errors) > 0
	if !filtered {
		p.Chosen = true
	} else if err := h.auditFind(r, v, cur, &p, q); err != nil {
		return err
	}
	v.Section, v.Title, v.Data = "audit", v.T("admin.audit.title"), p
	return h.draw(w, status, "audit.html", v)
}

// auditQuery reads the form. What cannot be found is an error at its field.
func (h *Handler) auditQuery(r *http.Request, v *View, cur session.Current) (auditPage, authn.EventQuery, error) {
	f := r.URL.Query()
	p := auditPage{Person: short(f.Get("person")), By: short(f.Get("by")), Since: short(f.Get("since")), Until: short(f.Get("until")), Errors: map[string]string{}}
	q := authn.EventQuery{Limit: auditRows}
	if typ := f.Get("type"); audit.IsType(typ) {
		q.Type = typ
	}
	if result := authn.Result(f.Get("result")); result == authn.Succeeded || result == authn.Refused {
		q.Result = result
	}
	if before := f.Get("before"); authn.CheckID(authn.EventID, before) {
		q.Before = before
	}
	var err error
	if q.Target, err = h.whoIs(r, v, cur, p.Person, &p, "person"); err != nil {
		return p, q, err
	}
	if q.Actor, err = h.whoIs(r, v, cur, p.By, &p, "by"); err != nil {
		return p, q, err
	}
	for _, d := range []struct {
		name, value string
		to          *time.Time
		days        int
	}{{"since", p.Since, &q.Since, 0}, {"until", p.Until, &q.Until, 1}} {
		if d.value == "" {
			continue
		}
		at, err := time.ParseInLocation(time.DateOnly, d.value, v.zone)
		if err != nil || at.Year() < 1970 {
			p.Errors[d.name] = v.T("admin.audit.date_bad")
			continue
		}
		*d.to = at.AddDate(0, 0, d.days)
	}
	p.Types = []Choice{{Label: v.T("admin.audit.type_all"), Chosen: q.Type == ""}}
	for _, t := range auditTypes {
		p.Types = append(p.Types, Choice{Value: t, Label: v.T("admin.audit.type_" + strings.TrimSuffix(t, ".")), Chosen: t == q.Type})
	}
	if q.Type != "" && !slices.Contains(auditTypes, q.Type) {
		p.Types = append(p.Types, Choice{Value: q.Type, Label: q.Type, Chosen: true})
	}
	p.Results = []Choice{{Label: v.T("admin.audit.result_all"), Chosen: q.Result == ""},
		{Value: string(authn.Succeeded), Label: v.T("admin.audit.result_success"), Chosen: q.Result == authn.Succeeded},
		{Value: string(authn.Refused), Label: v.T("admin.audit.result_refused"), Chosen: q.Result == authn.Refused}}
	return p, q, nil
}

func short(s string) string { return clipTo(strings.TrimSpace(s), authn.MaxLogin) }

func clipTo(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// whoIs turns what was typed into an id: a login, an e-mail address, the id of a
// person or key, the operator, or the name of somebody. Where it fits several people,
// the administrator chooses.
func (h *Handler) whoIs(r *http.Request, v *View, cur session.Current, typed string, p *auditPage, field string) (string, error) {
	if typed == "" || authn.CheckID(authn.UserID, typed) || field == "by" && (authn.CheckID(authn.KeyID, typed) || strings.EqualFold(typed, operator)) {
		return strings.ToLower(typed), nil // the log outlives people
	}
	u, _, err := h.c.Directory.Lookup(r.Context(), cur.Company, typed)
	if err == nil || authn.AsError(err).Code != authn.NotFound {
		return u.ID, err
	}
	found, err := h.named(r, cur, typed)
	if err != nil {
		return "", err
	}
	switch len(found.People) {
	case 0:
		p.Errors[field] = v.T("admin.audit.nobody", "Company", cur.Company.Name)
		return "", nil
	case 1:
		return found.People[0].User.ID, nil
	}
	c := whoChoice{Field: field, Typed: typed, More: found.Next != ""}
	for _, one := range found.People {
		again := r.URL.Query()
		again.Set(field, one.User.ID)
		again.Del("before")
		label := one.User.Name
		if label != one.User.Login {
			label += " (" + one.User.Login + ")"
		}
		c.People = append(c.People, auditName{label, auditPath + "?" + again.Encode()})
	}
	p.Choose = append(p.Choose, c)
	return "", nil
}

// whoMost is how many people a name is shown for.
const whoMost = 10

// named finds people by the beginnings of words of their names, for those who may
// search for people.
func (h *Handler) named(r *http.Request, cur session.Current, typed string) (directory.PeoplePage, error) {
	if !directory.Can(cur.Company, cur.User, directory.UsersRead) {
		return directory.PeoplePage{}, nil
	}
	found, err := h.c.Directory.People(r.Context(), directory.Session(cur.Token, httpserve.ClientOf(r)),
		directory.PeopleQuery{Filters: map[string]string{directory.FilterSearch: typed}, Limit: whoMost})
	if authn.AsError(err).Code == authn.Invalid {
		return directory.PeoplePage{}, nil // no words to search for
	}
	return found, err
}

// auditFind fills in the events and the addresses of other pages.
func (h *Handler) auditFind(r *http.Request, v *View, cur session.Current, p *auditPage, q authn.EventQuery) error {
	found, err := h.c.Audit.Search(r.Context(), cur.Company.ID, q)
	if err != nil {
		return err
	}
	names, err := h.c.Audit.Names(r.Context(), cur.Company.ID, found.Events)
	if err != nil {
		return err
	}
	for _, e := range found.Events {
		p.Events = append(p.Events, h.auditRow(v, e, names))
	}
	own := url.Values{}
	for name, value := range map[string]string{"person": p.Person, "by": p.By, "since": p.Since, "until": p.Until, "type": q.Type, "result": string(q.Result)} {
		if value != "" {
			own.Set(name, value)
		}
	}
	p.Chosen = len(own) > 0
	at := func(path string, values url.Values) string {
		if len(values) == 0 {
			return path
		}
		return path + "?" + values.Encode()
	}
	if q.Before != "" {
		p.Newest = at(auditPath, own)
	}
	file := url.Values{}
	for name, value := range map[string]string{"target": q.Target, "actor": q.Actor, "type": q.Type, "result": string(q.Result), "since": iso(q.Since), "until": iso(q.Until)} {
		if value != "" {
			file.Set(name, value)
		}
	}
	p.CSV, p.Lines = at("/api/v1/audit/events.csv", file), at("/api/v1/audit/events.jsonl", file)
	if found.Next != "" {
		own.Set("before", found.Next)
		p.Older = at(auditPath, own)
	}
	if !found.Searched.IsZero() {
		to := v.Full(found.Searched)
		p.Searched = &to
	}
	return nil
}

func iso(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (h *Handler) auditRow(v *View, e authn.SealedEvent, names map[string]authn.Named) auditRow {
	row := auditRow{Text: v.auditLine(e.Event, names), At: v.Full(e.At), Refused: e.Result == authn.Refused, Damaged: e.Damaged, Type: e.Type,
		By: auditName{v.auditName(e.Actor, names), h.personPath(e.Actor)}, About: auditName{v.auditName(e.Target, names), h.personPath(e.Target)}}
	var where []string
	if e.Personal.Agent != "" {
		where = append(where, v.Agent(e.Personal.Agent))
	}
	if e.Personal.Address != "" {
		where = append(where, e.Personal.Address)
	}
	row.Where = strings.Join(where, ", ")
	doc, err := json.MarshalIndent(audit.LineOf(e, v.Event(e.Event)), "", "  ")
	if err == nil {
		row.JSON = string(doc)
	}
	return row
}

// auditName is what the log calls somebody: a name, what a key is called, the
// operator, or the id of who is gone.
func (v *View) auditName(id string, names map[string]authn.Named) string {
	n, ok := names[id]
	switch {
	case id == operator:
		return v.T("admin.audit.operator")
	case ok && n.Login == "":
		return v.T("admin.audit.key", "Name", n.Name)
	case ok && n.Name != "":
		return n.Name
	case ok:
		return n.Login
	}
	return id
}

// auditLine is an event as an administrator reads it: who did what to whom. A
// type has a sentence of its own, or what is said to the person of it stands
// behind their name.
func (v *View) auditLine(e authn.Event, names map[string]authn.Named) []Part {
	by, about := v.auditName(e.Actor, names), v.auditName(e.Target, names)
	if key := audit.LineKey(e, v.texts.Has); key != "" {
		return v.Rich(key, "Actor", by, "Target", about)
	}
	what := v.Event(e)
	if key := audit.TextKey(e, v.texts.Has); key == "event.other" {
		what = e.Type
	}
	say := func(key string) []Part { return v.Rich(key, "Actor", by, "Target", about, "What", Part{Text: what}) }
	switch {
	case e.Target == "" && e.Actor == "":
		return []Part{{Text: what}}
	case e.Target == "":
		return say("admin.audit.line_by")
	case e.Actor == "" || e.Actor == e.Target:
		return say("admin.audit.line_own")
	}
	return say("admin.audit.line_for")
}
