package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/session"
)

// apiPath is the page that makes a person an API account (requirement H4).
func apiPath(user string) string { return "/admin/people/" + user + "/api" }

// apiAccountPage is the data of personapi.html.
type apiAccountPage struct {
	ID, Login string
	API       bool
	Facts     []accountFact
	Effects   []string
	Once      *once
	Waits     string
	Problem   string
	TickErr   string // of the box that says whether it is one

	Role, Networks, Owner, Until, Reason, Password, Why formLine // Why is the reason of the box, where it is one
}

// accountFact is one line of what an API account is, for template "api-account".
type accountFact struct {
	Label string
	Value []Part
}

// accountFacts say what an API account is; the page of a person shows them, too.
// Nil: the user is a person.
func (h *Handler) accountFacts(r *http.Request, v *View, cur session.Current, who directory.Who, user string) ([]accountFact, error) {
	u, a, ok, err := h.c.Directory.APIAccountOf(r.Context(), who, directory.UsersRead, user)
	if err != nil || !ok {
		return nil, err
	}
	return h.factsOf(r, v, cur, u, a)
}

func (h *Handler) factsOf(r *http.Request, v *View, cur session.Current, u authn.User, a authn.APIAccount) ([]accountFact, error) {
	names, err := h.c.Directory.Logins(r.Context(), cur.Company, []string{a.Owner, a.CreatedBy})
	if err != nil {
		return nil, err
	}
	var roles []string
	for _, x := range directory.RolesOf(cur.Company) {
		if slices.Contains(u.Roles, x.Name) && !x.BuiltIn {
			roles = append(roles, x.Title)
		}
	}
	var networks []string
	for _, n := range a.Networks {
		networks = append(networks, n.String())
	}
	text := func(s string) []Part { return []Part{{Text: s, Value: true}} }
	return []accountFact{
		{v.T("admin.api.role"), text(cmp.Or(strings.Join(roles, ", "), v.T("admin.api.no_role")))},
		{v.T("admin.keys.networks"), text(cmp.Or(strings.Join(networks, ", "), v.T("admin.keys.everywhere")))},
		{v.T("admin.api.owner"), text(names[a.Owner])},
		{v.T("admin.reason"), text(a.Reason)},
		{v.T("admin.keys.ends"), []Part{v.When(a.ExpiresAt)}},
		{v.T("admin.keys.made_by"), text(v.maker(names[a.CreatedBy]))},
		{v.T("admin.keys.last_used"), v.lastUsed(a.LastUsedAt, a.UsedFrom)},
	}, nil
}

var apiAct = directory.Act{Type: "api_account.on", Permission: directory.UsersIdentity, Fresh: true}

// apiForm is what the form says.
type apiForm struct{ Role, Networks, Owner, Until, Reason, Why string }

func (h *Handler) getPersonAPI(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	id, err := personID(r)
	if err != nil {
		return err
	}
	if err := h.c.Directory.Ready(r.Context(), who, apiAct); err != nil {
		return err
	}
	_, a, api, err := h.c.Directory.APIAccountOf(r.Context(), who, directory.UsersIdentity, id)
	if err != nil {
		return err
	}
	f := apiForm{Owner: cur.User.Login, Until: h.c.Now().AddDate(0, 6, 0).Format(time.DateOnly)}
	if api {
		names, err := h.c.Directory.Logins(r.Context(), cur.Company, []string{a.Owner})
		if err != nil {
			return err
		}
		f.Owner, f.Reason = names[a.Owner], a.Reason
		for _, n := range a.Networks {
			f.Networks += n.String() + " "
		}
	}
	return h.drawPersonAPI(w, r, cur, who, id, f, directory.Outcome{}, refusedForm{Status: http.StatusOK})
}

// personID is the person that the path names.
func personID(r *http.Request) (string, error) {
	if id := r.PathValue("id"); authn.CheckID(authn.UserID, id) {
		return id, nil
	}
	return "", authn.NotFound
}

func (h *Handler) drawPersonAPI(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who, id string, f apiForm, out directory.Outcome, bad refusedForm) error {
	u, a, api, err := h.c.Directory.APIAccountOf(r.Context(), who, directory.UsersIdentity, id)
	if err != nil {
		return err
	}
	v := h.personal(r, cur)
	p := apiAccountPage{ID: u.ID, Login: u.Login, API: api, Problem: bad.Problem, TickErr: bad.Errors["api"],
		Why:      formLine{ID: "why", Label: v.T("admin.reason"), Hint: v.T("admin.reason_hint"), Value: f.Why, Err: bad.Errors["why"]},
		Networks: formLine{ID: "networks", Label: v.T("admin.keys.networks"), Hint: v.T("admin.keys.networks_hint"), Value: strings.TrimSpace(f.Networks), Err: bad.Errors["networks"], Plain: true},
		Owner:    formLine{ID: "owner", Label: v.T("admin.api.owner"), Hint: v.T("admin.api.owner_hint"), Value: f.Owner, Err: bad.Errors["owner"], Plain: true},
		Until:    formLine{ID: "until", Label: v.T("admin.keys.ends"), Hint: v.T("admin.api.until_hint"), Value: f.Until, Err: bad.Errors["until"], Type: "date"},
		Reason:   formLine{ID: "reason", Label: v.T("admin.reason"), Hint: v.T("admin.reason_hint"), Value: f.Reason, Err: bad.Errors["reason"]},
		Password: formLine{ID: "password", Label: v.T("admin.api.secret"), Hint: v.T("admin.api.secret_hint", "Min", directory.LeastSecret), Err: bad.Errors["password"], Type: "password"},
		Role: formLine{ID: "role", Plain: true, Label: v.T("admin.api.role"), Hint: v.T("admin.api.role_hint"), Err: bad.Errors["role"],
			Choices: []Choice{{Label: v.T("admin.api.no_role"), Chosen: f.Role == ""}}},
	}
	for _, x := range cur.Company.Roles {
		p.Role.Choices = append(p.Role.Choices, Choice{Value: x.Name, Label: x.Title, Chosen: x.Name == f.Role || f.Role == "" && api && slices.Contains(u.Roles, x.Name)})
	}
	for _, key := range []string{"sign_in", "ways", "sessions", "roles"} {
		p.Effects = append(p.Effects, v.T("admin.api.effect."+key))
	}
	if api {
		if p.Facts, err = h.factsOf(r, v, cur, u, a); err != nil {
			return err
		}
	}
	if out.Waits != nil {
		p.Waits = v.T("admin.waits")
	} else {
		p.Once = v.once(v.T("admin.api.once"), v.T("admin.api.once_text", "Login", u.Login), out.Secret)
	}
	v.Section, v.Title, v.Data, v.Failed = "people", v.T("admin.api.title"), p, bad.Status >= http.StatusBadRequest
	return h.draw(w, bad.Status, "personapi.html", v)
}

func (h *Handler) postPersonAPI(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	id, err := personID(r)
	if err != nil {
		return err
	}
	form := r.PostForm
	f := apiForm{Role: form.Get("role"), Networks: form.Get("networks"), Owner: form.Get("owner"), Until: form.Get("until"), Reason: form.Get("reason"), Why: form.Get("why")}
	act := directory.PersonAct{Do: directory.APIOn, Target: id, Reason: f.Reason, Password: form.Get("password"),
		Args: map[string]string{"role": f.Role, "networks": f.Networks, "owner": f.Owner, "until": endOfDay(f.Until)}}
	box, ticked := form.Get("do") == "tick", form.Get("api") != ""
	if box && form.Get("was") != "" {
		if ticked {
			seeOther(w, apiPath(id)) // it is one, and stays one
			return nil
		}
		act = directory.PersonAct{Do: directory.APIOff, Target: id, Reason: f.Why}
	}
	var out directory.Outcome
	if box && !ticked && act.Do == directory.APIOn {
		err = &authn.Error{Code: authn.Invalid, Fields: []authn.Field{{Name: "api", Code: "required", Key: "field.api_box"}}}
	} else {
		out, err = h.c.Directory.Do(r.Context(), who, act)
	}
	if err != nil {
		if act.Do == directory.APIOff {
			err = renamed(err, "reason", "why")
		}
		bad, ok := h.personal(r, cur).refusedForm(r, err)
		if !ok {
			return err
		}
		return h.drawPersonAPI(w, r, cur, who, id, f, directory.Outcome{}, bad)
	}
	if act.Do == directory.APIOff && out.Waits == nil {
		return h.finish(w, apiPath(id), "api_off")
	}
	return h.drawPersonAPI(w, r, cur, who, id, f, out, refusedForm{Status: http.StatusOK})
}

// renamed is an error with a field under the name that the form has for it.
func renamed(err error, was, is string) error {
	e := authn.AsError(err)
	for i := range e.Fields {
		if e.Fields[i].Name == was {
			e.Fields[i].Name = is
		}
	}
	return e
}

// endOfDay is the end of a day as a date field says it; what is none stays, and is
// refused.
func endOfDay(s string) string {
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return s
	}
	return day.Add(24*time.Hour - time.Second).Format(time.RFC3339)
}

const exemptionsPath = "/admin/reports/exemptions"

// exemptionsPage is the data of exemptions.html.
type exemptionsPage struct {
	Rows []exemptionRow
	Next string
}

type exemptionRow struct {
	Name, Kind, Owner, Reason, By, Networks string
	Until                                   Part
	Used                                    []Part
}

func (h *Handler) getExemptions(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	list, next, err := h.c.Directory.Exemptions(r.Context(), who, r.URL.Query().Get("after"), keysPerPage)
	if err != nil {
		return err
	}
	v, p := h.personal(r, cur), exemptionsPage{Next: next}
	for _, e := range list {
		row := exemptionRow{Name: e.Name, Kind: v.T("admin.exemptions.kind." + e.Kind), Owner: e.Owner, Reason: e.Reason, By: v.maker(e.By), Networks: e.Networks,
			Until: v.When(e.Until), Used: v.lastUsed(e.LastUsed, e.From)}
		if e.Kind == "key" {
			var words []string
			for a := range strings.FieldsSeq(e.Reason) {
				words = append(words, v.actText(a))
			}
			row.Reason = strings.Join(words, ", ")
		}
		p.Rows = append(p.Rows, row)
	}
	v.Section, v.Title, v.Data = "exemptions", v.T("admin.exemptions.title"), p
	return h.draw(w, http.StatusOK, "exemptions.html", v)
}
