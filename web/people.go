package web

import (
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/session"
)

// The addresses of the list of people.
const (
	peoplePath    = "/admin/people"
	newPersonPath = "/admin/people/new"
	// PeopleImportPath takes files of people, which are longer than other forms.
	PeopleImportPath = "/admin/people/import"
)

func (h *Handler) mountPeople(m *httpserve.Mux) {
	m.Handle("GET "+peoplePath, h.admin(directory.UsersRead, h.getPeople))
	m.Handle("POST "+peoplePath, h.admin(directory.UsersWrite, h.postPeople))
	m.Handle("GET "+peoplePath+".csv", h.admin(directory.UsersRead, h.getPeopleFile("csv")))
	m.Handle("GET "+peoplePath+".jsonl", h.admin(directory.UsersRead, h.getPeopleFile("jsonl")))
	m.Handle("GET "+newPersonPath, h.admin(directory.UsersWrite, h.getNewPerson))
	m.Handle("POST "+newPersonPath, h.admin(directory.UsersWrite, h.postNewPerson))
	m.Handle("GET "+PeopleImportPath, h.admin(directory.UsersIdentity, h.getPeopleImport))
	m.Handle("POST "+PeopleImportPath, upload(h.admin(directory.UsersIdentity, h.postPeopleImport)))
}

// peoplePage is the data of people.html (S28).
type peoplePage struct {
	Search     string
	Filters    []peopleFilter
	People     []personRow
	Count      []Part // how many the filters choose
	Searched   bool   // by words: Count is of more than the list
	Filtered   bool   // by anything
	Unfinished bool
	Newer      string // addresses; empty: there is none
	Older      string
	CSV        string
	Sizes      []Choice // of a page
	Query      string   // of this page, for its forms
	May        mayPeople
	Curl       string
	Refusal    string
}

// mayPeople is what the reader may do here.
type mayPeople struct{ Write, Import, Roles bool }

type peopleFilter struct {
	Name, Label string
	Choices     []Choice
}

type personRow struct {
	ID, Name, Login, Email string
	Standing               directory.Standing
	Tone                   string // of the pill
	Status                 []Part
	Ways                   string
	Kind                   string // of who is no member of staff
	Last                   Part   // of the last sign-in
	Seen                   bool   // there was one
}

// peopleSizes are how many people a page can show.
var peopleSizes = [2]int{50, directory.MaxBulk}

// tones are the colours of standings; what needs somebody to act stands out.
var tones = map[directory.Standing]string{directory.StandsOn: "ok", directory.StandsDue: "warn", directory.StandsAgain: "warn", directory.StandsLocked: "danger",
	directory.StandsExempt: "info", directory.StandsAPI: "info"}

func mayOf(cur session.Current) mayPeople {
	can := func(p directory.Permission) bool { return directory.Can(cur.Company, cur.User, p) }
	return mayPeople{can(directory.UsersWrite), can(directory.UsersIdentity), can(directory.RolesWrite)}
}

func (h *Handler) getPeople(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	return h.drawPeople(w, r, http.StatusOK, cur, who, r.URL.Query(), "")
}

func (h *Handler) drawPeople(w http.ResponseWriter, r *http.Request, status int, cur session.Current, who directory.Who, query url.Values, refusal string) error {
	filters := directory.ReadFilters(query.Get)
	links := maps.Clone(filters) // what addresses of this list carry
	q := directory.PeopleQuery{Filters: filters, After: query.Get("after"), Before: query.Get("before"), Limit: peopleSizes[0]}
	if query.Get("limit") == strconv.Itoa(peopleSizes[1]) {
		q.Limit, links["limit"] = peopleSizes[1], strconv.Itoa(peopleSizes[1])
	}
	list, err := h.c.Directory.People(r.Context(), who, q)
	if e := authn.AsError(err); err != nil && e.Code == authn.Invalid {
		// A cursor or a filter that somebody made up, or a role that is gone.
		httpserve.Record(r, err)
		if v := h.personal(r, cur); len(e.Fields) > 0 && e.Fields[0].Name == directory.FilterSearch {
			refusal = v.fieldText(e, directory.FilterSearch)
		}
		filters, links, status = map[string]string{}, map[string]string{}, httpserve.Status(e.Code)
		if list, err = h.c.Directory.People(r.Context(), who, directory.PeopleQuery{}); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	p := peoplePage{Search: filters[directory.FilterSearch], Searched: filters[directory.FilterSearch] != "", Filtered: len(filters) > 0, Unfinished: list.Unfinished,
		Count: v.Rich("people.count", "Count", int(list.Count)), May: mayOf(cur), Refusal: refusal, Query: peopleQuery(links, "", "")}
	if p.Searched {
		p.Count = v.Rich("people.count_search", "Count", int(list.Count))
	}
	for _, n := range peopleSizes {
		p.Sizes = append(p.Sizes, Choice{Value: strconv.Itoa(n), Label: strconv.Itoa(n), Chosen: n == q.Limit})
	}
	for _, name := range directory.Filters()[1:] {
		p.Filters = append(p.Filters, v.peopleFilter(cur.Company, name, filters[name]))
	}
	for _, x := range list.People {
		p.People = append(p.People, v.personRow(x))
	}
	if list.Prev != "" {
		p.Newer = peoplePath + peopleQuery(links, "before", list.Prev)
	}
	if list.Next != "" {
		p.Older = peoplePath + peopleQuery(links, "after", list.Next)
	}
	p.CSV = peoplePath + ".csv" + peopleQuery(filters, "", "")
	p.Curl = "curl -X POST " + h.c.PublicURL + "/api/v1/users \\\n  -H 'Authorization: Bearer sp_key_…' -H 'Content-Type: application/json' \\\n" +
		"  -d '{\"login\":\"maya\",\"email\":\"maya@example.com\",\"name\":\"Maya\",\"invite\":true}'"
	v.Section, v.Title, v.Data, v.Failed = "people", v.T("people.title"), p, refusal != ""
	return h.draw(w, status, "people.html", v)
}

// peopleQuery is the query of an address with these filters and a cursor.
func peopleQuery(filters map[string]string, name, cursor string) string {
	q := url.Values{}
	for f, value := range filters {
		q.Set(f, value)
	}
	if cursor != "" {
		q.Set(name, cursor)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

func (v *View) peopleFilter(c authn.Company, name, chosen string) peopleFilter {
	f := peopleFilter{Name: name, Label: v.T("people.filter." + name), Choices: []Choice{{Label: v.T("people.filter.any")}}}
	for _, value := range directory.FilterChoices(c, name) {
		f.Choices = append(f.Choices, Choice{Value: value, Label: v.filterChoice(c, name, value), Chosen: value == chosen})
	}
	return f
}

func (v *View) filterChoice(c authn.Company, name, value string) string {
	switch {
	case name == directory.FilterRole:
		return v.roleTitle(c, value)
	case name == directory.FilterMethod && value != "none":
		return v.T("method." + value)
	}
	return v.T("people." + name + "." + value)
}

func (v *View) personRow(p directory.Listed) personRow {
	row := personRow{ID: p.ID, Name: p.Name, Login: p.Login, Email: p.Email, Standing: p.Standing, Tone: tones[p.Standing]}
	if p.Email == p.Login {
		row.Email = ""
	}
	if p.Audience == authn.ExternalAudience {
		row.Kind = v.T("people.customer")
	}
	row.Status = v.Rich("people.standing." + string(p.Standing))
	if p.Standing == directory.StandsExempt {
		row.Status = v.Rich("people.standing.exempt_until", "Date", v.Day(p.ExemptUntil))
	}
	var ways []string
	for _, k := range p.Shape.Kinds {
		ways = append(ways, v.T("method."+string(k)))
	}
	if p.Shape.Saved {
		ways = append(ways, v.T("people.backup_codes"))
	}
	if row.Ways = strings.Join(ways, ", "); row.Ways == "" {
		row.Ways = v.T("people.no_ways")
	}
	if row.Seen = !p.LastSignInAt.IsZero(); row.Seen {
		row.Last = v.When(p.LastSignInAt)
	}
	return row
}

// bulkPage is the data of peopledone.html.
type bulkPage struct {
	Text   []Part // how many
	Waits  []touchedRow
	Others []touchedRow
	Back   string
}

type touchedRow struct{ ID, Name, Login, Why string }

// postPeople does something to the people who were chosen. What it came to is
// drawn in place: each act is harmless when it is asked for again.
func (h *Handler) postPeople(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	back, _ := url.ParseQuery(strings.TrimPrefix(r.PostForm.Get("query"), "?"))
	do := r.PostForm.Get("do")
	list, err := h.c.Directory.Bulk(r.Context(), who, do, r.PostForm.Get("reason"), r.PostForm["person"])
	// The list is shown again to those who may see it.
	if e := authn.AsError(err); err != nil && e.Code == authn.Invalid && directory.Can(cur.Company, cur.User, directory.UsersRead) {
		httpserve.Record(r, err)
		v := h.personal(r, cur)
		return h.drawPeople(w, r, httpserve.Status(e.Code), cur, who, back, v.T("people.choose_some", "Max", directory.MaxBulk))
	}
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	p := bulkPage{Back: peoplePath + peopleQuery(directory.ReadFilters(back.Get), "limit", back.Get("limit"))}
	n := 0
	for _, t := range list {
		row := touchedRow{ID: t.ID, Name: t.User.Name, Login: t.User.Login}
		switch {
		case t.Err != nil:
			e := authn.AsError(t.Err)
			row.Why = v.T(e.TextKey(), flat(e.Args)...)
			p.Others = append(p.Others, row)
		case t.Waits:
			p.Waits = append(p.Waits, row)
		default:
			n++
		}
	}
	p.Text = v.Rich("people.done."+do, "Count", n)
	v.Section, v.Title, v.Data = "people", v.T("people.done.title"), p
	return h.draw(w, http.StatusOK, "peopledone.html", v)
}

func flat(args map[string]any) []any {
	var out []any
	for name, value := range args {
		out = append(out, name, value)
	}
	return out
}

func (h *Handler) getPeopleFile(format string) adminFunc {
	return func(w http.ResponseWriter, r *http.Request, _ session.Current, who directory.Who) error {
		httpserve.TakeTime(w, peopleFileTime)
		_, err := h.c.Directory.ExportPeople(r.Context(), who, format, directory.ReadFilters(r.URL.Query().Get), httpserve.Attachment(w, httpserve.MediaOf(format), "people."+format))
		return err
	}
}

// peopleFileTime is how long a file of people may take on its way.
const peopleFileTime = 30 * time.Minute

// newPersonPage is the data of personnew.html.
type newPersonPage struct {
	Login, Email, Name string
	Audiences, Roles   []Choice
	Errors             map[string]string
	May                mayPeople
}

func (h *Handler) getNewPerson(w http.ResponseWriter, r *http.Request, cur session.Current, _ directory.Who) error {
	return h.drawNewPerson(w, r, http.StatusOK, cur, url.Values{}, nil)
}

func (h *Handler) drawNewPerson(w http.ResponseWriter, r *http.Request, status int, cur session.Current, typed url.Values, e *authn.Error) error {
	v := h.personal(r, cur)
	p := newPersonPage{Login: typed.Get("login"), Email: typed.Get("email"), Name: typed.Get("name"), May: mayOf(cur), Errors: map[string]string{}}
	for _, a := range []authn.Audience{authn.InternalAudience, authn.ExternalAudience} {
		p.Audiences = append(p.Audiences, Choice{Value: string(a), Label: v.T("people.audience." + string(a)), Chosen: typed.Get("audience") == string(a)})
	}
	if p.May.Roles {
		for _, role := range directory.FilterChoices(cur.Company, directory.FilterRole) {
			chosen := slices.Contains(typed["roles"], role) || len(typed) == 0 && role == directory.Member
			p.Roles = append(p.Roles, Choice{Value: role, Label: v.roleTitle(cur.Company, role), Chosen: chosen})
		}
	}
	if e != nil {
		for _, f := range e.Fields {
			p.Errors[f.Name] = v.fieldText(e, f.Name)
		}
		v.Failed = true
	}
	v.Section, v.Title, v.Data = "people", v.T("people.new.title"), p
	return h.draw(w, status, "personnew.html", v)
}

func (h *Handler) postNewPerson(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	form := r.PostForm
	n := directory.NewPerson{Login: form.Get("login"), Email: form.Get("email"), Name: form.Get("name"), Audience: authn.Audience(form.Get("audience")),
		Roles: form["roles"], Invite: true, Reason: form.Get("reason")}
	_, err := h.c.Directory.AddPerson(r.Context(), who, n)
	if e := authn.AsError(err); err != nil && len(e.Fields) > 0 {
		httpserve.Record(r, err)
		return h.drawNewPerson(w, r, httpserve.Status(authn.Invalid), cur, form, e)
	}
	if err != nil {
		return err
	}
	return h.finish(w, peoplePath, "person_added")
}

// importPage is the data of peopleimport.html.
type importPage struct {
	Columns string
	Roles   string
	Refusal string
	Report  *directory.ImportReport
	Text    []Part
	Rows    []importRow
	More    int64 // errors that are not shown
}

type importRow struct {
	Line           int
	Field, Message string
}

// importShown is how many errors of a file the page shows.
const importShown = 200

func (h *Handler) getPeopleImport(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	// Before a file is chosen: the answer to it would lose the choice.
	if err := h.c.Directory.Ready(r.Context(), who, directory.Act{Type: "users.imported", Permission: directory.UsersIdentity, Fresh: true}); err != nil {
		return err
	}
	return h.drawImport(w, r, http.StatusOK, cur, importPage{})
}

func (h *Handler) drawImport(w http.ResponseWriter, r *http.Request, status int, cur session.Current, p importPage) error {
	v := h.personal(r, cur)
	p.Columns = strings.Join(directory.ImportColumns(), ", ")
	p.Roles = strings.Join(directory.FilterChoices(cur.Company, directory.FilterRole)[1:], ", ")
	if rep := p.Report; rep != nil {
		switch {
		case rep.Wrong > 0:
			p.Text = v.Rich("import.result_wrong", "Count", int(rep.Wrong))
		case rep.DryRun:
			p.Text = v.Rich("import.result_dry", "Count", int(rep.Rows))
		default:
			p.Text = v.Rich("import.result_done", "Count", int(rep.Created))
		}
		for i, e := range rep.Errors {
			if i == importShown {
				break
			}
			p.Rows = append(p.Rows, importRow{Line: e.Row, Field: e.Field, Message: v.T(e.TextKey(), flat(e.Args)...)})
		}
		p.More = rep.Wrong - int64(len(p.Rows))
		v.Failed = rep.Wrong > 0
	}
	v.Failed = v.Failed || p.Refusal != ""
	v.Section, v.Title, v.Data = "people", v.T("import.title"), p
	return h.draw(w, status, "peopleimport.html", v)
}

func (h *Handler) postPeopleImport(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	refuse := func(key string) error {
		v := h.personal(r, cur)
		return h.drawImport(w, r, http.StatusUnprocessableEntity, cur, importPage{Refusal: v.T(key)})
	}
	f, ok := r.Body.(*uploaded)
	if !ok || f.name == "" {
		return refuse("import.no_file")
	}
	format := "csv"
	if name := strings.ToLower(f.name); strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".ndjson") {
		format = "jsonl"
	}
	httpserve.TakeTime(w, peopleFileTime)
	rep, err := h.c.Directory.Import(r.Context(), who, directory.ImportFile{Format: format, Data: f, DryRun: r.PostForm.Get("do") == "try"})
	if errors.Is(err, authn.Conflict) {
		httpserve.Record(r, err)
		return refuse(authn.AsError(err).TextKey())
	}
	if err != nil {
		return err
	}
	status := http.StatusOK
	if rep.Wrong > 0 {
		status = http.StatusUnprocessableEntity
	}
	return h.drawImport(w, r, status, cur, importPage{Report: &rep})
}

// uploaded is the file of a form, which is read as it comes.
type uploaded struct {
	*multipart.Part
	name string
}

// Fields of a form with a file come before it, and are few and short.
const (
	uploadFields = 8
	uploadField  = 1 << 10 // bytes
)

// upload takes a form with a file apart: what stands before the file becomes the
// form, so that it is checked like any other, and the file the body.
func upload(next http.Handler) http.Handler {
	return httpserve.Page(func(w http.ResponseWriter, r *http.Request) error {
		parts, err := r.MultipartReader()
		if err != nil { // a form without a file is checked as it is
			next.ServeHTTP(w, r)
			return nil
		}
		form := url.Values{}
		for range uploadFields {
			part, err := parts.NextPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				return &authn.Error{Code: authn.BadRequest, Err: err}
			}
			if part.FormName() == "file" {
				r.Body = &uploaded{part, part.FileName()}
				break
			}
			value, err := io.ReadAll(io.LimitReader(part, uploadField))
			if err != nil {
				return &authn.Error{Code: authn.BadRequest, Err: err}
			}
			form.Add(part.FormName(), string(value))
		}
		r.PostForm = form
		next.ServeHTTP(w, r)
		return nil
	})
}
