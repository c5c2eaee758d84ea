package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
)

// ImportPath takes files of people, which are longer than other bodies.
const ImportPath = "/api/v1/users/import"

// How long a file may take on its way in or out.
const fileTime = 30 * time.Minute

// userDetail is one person as administrators see them.
type userDetail struct {
	directory.ExportedPerson
	Locale string `json:"locale,omitempty"`
	Phone  string `json:"phone,omitempty"` // for contact, E.164
	// ExternalID is who they are in the host program's table; empty: Sallyport keeps them.
	ExternalID string `json:"external_id,omitempty"`
}

// explainedUser is a person, with the rules that have a say about their next sign-in.
type explainedUser struct {
	userDetail
	Why []policy.Reason `json:"why"`
}

func detailOf(p directory.Listed) userDetail {
	return userDetail{ExportedPerson: p.Export(), Locale: p.Locale, Phone: p.Phone, ExternalID: p.ExternalID}
}

// userPage is a part of the list, with the way back.
type userPage struct {
	page[directory.ExportedPerson]
	Prev       string `json:"prev_cursor,omitempty"`
	Count      int64  `json:"count"`
	Unfinished bool   `json:"unfinished,omitempty"`
}

// userParams are the parameters of GET /users.
var userParams = append([]string{"limit", "cursor", "before"}, directory.Filters()...)

// users is GET /users.
func (a *API) users(w http.ResponseWriter, r *http.Request, m manager) error {
	limit, err := readLimit(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if query.Has("cursor") && query.Has("before") {
		return authn.InvalidField("before", "invalid", nil)
	}
	list, err := a.Directory.People(r.Context(), m.who, directory.PeopleQuery{Filters: directory.ReadFilters(query.Get),
		After: query.Get("cursor"), Before: query.Get("before"), Limit: limit})
	if err != nil {
		return err
	}
	out := userPage{page: page[directory.ExportedPerson]{Items: []directory.ExportedPerson{}, Next: list.Next}, Prev: list.Prev, Count: list.Count, Unfinished: list.Unfinished}
	for _, p := range list.People {
		out.Items = append(out.Items, p.Export())
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// user is GET /users/{id}.
func (a *API) user(w http.ResponseWriter, r *http.Request, m manager) error {
	p, factors, err := a.Directory.Listed(r.Context(), m.who, r.PathValue("id"))
	if err != nil {
		return err
	}
	doc, err := policy.Current(m.company, a.Now())
	if err != nil {
		return err
	}
	out := explainedUser{userDetail: detailOf(p), Why: []policy.Reason{}}
	for _, b := range policy.Explain(doc, p.User, factors, a.traits(m.company), a.Now()).Because {
		out.Why = append(out.Why, b.Rule)
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// addedUser is somebody who was added.
type addedUser struct {
	userDetail
	InvitedUntil *time.Time `json:"invited_until,omitempty"`
}

// addUser is POST /users.
func (a *API) addUser(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Login    string   `json:"login" required:"true"`
		Email    string   `json:"email"`
		Name     string   `json:"name"`
		Audience string   `json:"audience"`
		Locale   string   `json:"locale"`
		Roles    []string `json:"roles"`
		Invite   bool     `json:"invite"`
		Reason   string   `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	g, err := a.Directory.AddPerson(r.Context(), m.who, directory.NewPerson{Login: in.Login, Email: in.Email, Name: in.Name,
		Audience: authn.Audience(in.Audience), Locale: in.Locale, Roles: in.Roles, Invite: in.Invite, Reason: in.Reason})
	if err != nil {
		return listing(err, "locale", a.Locales)
	}
	p, err := directory.ListedOf(m.company, g.User, nil, a.Now())
	if err != nil {
		return err
	}
	out := addedUser{userDetail: detailOf(p), InvitedUntil: maybe(g.ExpiresAt)}
	return httpserve.WriteJSON(w, http.StatusCreated, out)
}

// waitingAct is an act that waits for a second person.
type waitingAct struct {
	ID        string    `json:"id"`
	Act       string    `json:"act"`
	NotBefore time.Time `json:"not_before"`
	ExpiresAt time.Time `json:"expires_at"`
}

// changedUser is the answer to a change.
type changedUser struct {
	Changed []string     `json:"changed"`
	Waits   []waitingAct `json:"waits"`
}

// changeUser is PATCH /users/{id}.
func (a *API) changeUser(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Name     given     `json:"name"`
		Locale   given     `json:"locale"`
		Audience given     `json:"audience"`
		Login    given     `json:"login"`
		Email    given     `json:"email"`
		Phone    given     `json:"phone"`
		Country  given     `json:"country"`
		Roles    givenList `json:"roles"`
		Reason   string    `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	acts := map[string]map[string]string{}
	for _, f := range []struct {
		given
		do, arg string
	}{
		{in.Name, directory.SetName, "name"}, {in.Locale, directory.SetLocale, "locale"}, {in.Audience, directory.SetAudience, "audience"},
		{in.Login, directory.SetLogin, "login"}, {in.Email, directory.SetEmail, "email"}, {in.Phone, directory.SetPhone, "phone"},
	} {
		if f.set {
			acts[f.do] = map[string]string{f.arg: f.value}
		}
	}
	if in.Country.set && in.Phone.set {
		acts[directory.SetPhone]["country"] = in.Country.value
	}
	if in.Roles != nil {
		acts[directory.SetRoles] = map[string]string{"roles": strings.Join(in.Roles, ",")}
	}
	id := r.PathValue("id")
	if !authn.CheckID(authn.UserID, id) {
		return authn.NotFound
	}
	done, err := a.Directory.Change(r.Context(), m.who, id, in.Reason, acts)
	if err != nil {
		return listing(err, "locale", a.Locales)
	}
	out := changedUser{Changed: []string{}, Waits: []waitingAct{}}
	for _, do := range done.Done {
		out.Changed = append(out.Changed, strings.TrimPrefix(do, "set_"))
	}
	for _, ap := range done.Waits {
		out.Waits = append(out.Waits, waitingAct{ID: ap.ID, Act: ap.Do, NotBefore: stamp(ap.NotBefore), ExpiresAt: stamp(ap.ExpiresAt)})
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// givenList is a list that may be left out, which is not the same as an empty one.
type givenList []string

// touchedUser is what an act on several came to for one of them.
type touchedUser struct {
	ID     string     `json:"id"`
	Result string     `json:"result"` // done, waits, refused
	Code   authn.Code `json:"code,omitempty"`
	Text   string     `json:"text,omitempty"`
}

// bulkUsers is POST /users/bulk.
func (a *API) bulkUsers(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Do     string   `json:"do" required:"true"`
		People []string `json:"people"`
		Reason string   `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	list, err := a.Directory.Bulk(r.Context(), m.who, in.Do, in.Reason, in.People)
	if err != nil {
		return err
	}
	out := struct {
		Items []touchedUser `json:"items"`
	}{Items: []touchedUser{}}
	for _, t := range list {
		one := touchedUser{ID: t.ID, Result: "done"}
		switch {
		case t.Err != nil:
			e := authn.AsError(t.Err)
			one.Result, one.Code, one.Text = "refused", e.Code, a.Texts.Text(a.language(r, m.user), e.TextKey(), e.Args)
		case t.Waits:
			one.Result = "waits"
		}
		out.Items = append(out.Items, one)
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// importedUsers is the report of an import.
type importedUsers struct {
	DryRun  bool          `json:"dry_run"`
	Rows    int64         `json:"rows"`
	Created int64         `json:"created"`
	Wrong   int64         `json:"wrong"`
	Errors  []importedRow `json:"errors"`
}

type importedRow struct {
	Line    int    `json:"line"`
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// importUsers is POST /users/import.
func (a *API) importUsers(w http.ResponseWriter, r *http.Request, m manager) error {
	format := ""
	switch media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(strings.ToLower(media)) {
	case "text/csv":
		format = "csv"
	case "application/jsonl":
		format = "jsonl"
	default:
		return authn.UnsupportedMedia
	}
	dry := r.URL.Query().Get("dry_run")
	if dry != "" && dry != "true" && dry != "false" {
		return authn.InvalidField("dry_run", "not_one_of", nil)
	}
	httpserve.TakeTime(w, fileTime)
	rep, err := a.Directory.Import(r.Context(), m.who, directory.ImportFile{Format: format, Data: r.Body, DryRun: dry == "true"})
	if err != nil {
		return err
	}
	lang := a.language(r, m.user)
	out := importedUsers{DryRun: rep.DryRun, Rows: rep.Rows, Created: rep.Created, Wrong: rep.Wrong, Errors: []importedRow{}}
	for _, e := range rep.Errors {
		out.Errors = append(out.Errors, importedRow{Line: e.Row, Field: e.Field, Code: e.Code, Message: a.Texts.Text(lang, e.TextKey(), e.Args)})
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// exportUsers is GET /users.csv and GET /users.jsonl.
func (a *API) exportUsers(format string) func(http.ResponseWriter, *http.Request, manager) error {
	return func(w http.ResponseWriter, r *http.Request, m manager) error {
		httpserve.TakeTime(w, fileTime)
		_, err := a.Directory.ExportPeople(r.Context(), m.who, format, directory.ReadFilters(r.URL.Query().Get), httpserve.Attachment(w, httpserve.MediaOf(format), "people."+format))
		return err
	}
}
