package sallyport_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// What a route asks for, where that is no permission.
const (
	public  = "public"  // nothing, or a secret in the body
	attempt = "attempt" // the token of a sign-in
	own     = "own"     // a session: it is about the person themselves
	ownSign = "own or attempt"
	// anyAdmin is a page of which everybody with some permission sees what is theirs.
	anyAdmin = "any permission"
	byKey    = "a key" // of the handle
)

// access is every route of the API and of the administration, with the permission
// that it needs. A route that is not here fails the test: add a line. "session only"
// behind the permission marks those that take no programs.
var access = map[string]string{
	"GET /api/v1/openapi.json":              public,
	"POST /api/v1/attempts":                 public,
	"POST /api/v1/passkeys":                 public,
	"POST /api/v1/passkeys/verify":          public,
	"POST /api/v1/invitations/look":         public,
	"POST /api/v1/invitations/accept":       public,
	"POST /api/v1/not-me":                   public,
	"POST /api/v1/password-resets":          public,
	"POST /api/v1/password-resets/verify":   public,
	"POST /api/v1/password-resets/password": public,
	"POST /api/v1/password-strength":        public,

	"GET /api/v1/attempts/{id}":                    attempt,
	"POST /api/v1/attempts/{id}/challenge":         attempt,
	"POST /api/v1/attempts/{id}/verify":            attempt,
	"POST /api/v1/attempts/{id}/complete":          attempt,
	"POST /api/v1/attempts/{id}/postpone":          attempt,
	"POST /api/v1/attempts/{id}/password":          attempt,
	"POST /api/v1/attempts/{id}/password/strength": attempt,
	"POST /api/v1/attempts/{id}/help":              attempt,

	"GET /api/v1/session":                          own,
	"DELETE /api/v1/session":                       own,
	"GET /api/v1/account":                          own,
	"PATCH /api/v1/account":                        own,
	"GET /api/v1/account/factors":                  own,
	"POST /api/v1/account/factors":                 ownSign,
	"GET /api/v1/account/factors/{id}":             ownSign,
	"POST /api/v1/account/factors/{id}/challenge":  ownSign,
	"POST /api/v1/account/factors/{id}/send":       ownSign,
	"POST /api/v1/account/factors/{id}/confirm":    ownSign,
	"PATCH /api/v1/account/factors/{id}":           own,
	"DELETE /api/v1/account/factors/{id}":          own,
	"POST /api/v1/account/backup-codes":            own,
	"POST /api/v1/account/email":                   own,
	"PUT /api/v1/account/password":                 own,
	"POST /api/v1/account/password/strength":       own,
	"GET /api/v1/account/sessions":                 own,
	"DELETE /api/v1/account/sessions":              own,
	"PATCH /api/v1/account/sessions/{id}":          own,
	"DELETE /api/v1/account/sessions/{id}":         own,
	"GET /api/v1/account/trusted-browsers":         own,
	"DELETE /api/v1/account/trusted-browsers":      own,
	"PATCH /api/v1/account/trusted-browsers/{id}":  own,
	"DELETE /api/v1/account/trusted-browsers/{id}": own,
	"GET /api/v1/account/events":                   own,
	"POST /api/v1/account/step-up":                 own,

	"GET /api/v1/actions":               "keys.write",
	"PUT /api/v1/actions/{name}":        "keys.write",
	"DELETE /api/v1/actions/{name}":     "keys.write",
	"POST /api/v1/grants/redeem":        "grants.redeem",
	"GET /api/v1/grants/{company}/keys": public,
	"POST /api/v1/handles/redeem":       byKey,

	"GET /api/v1/audit/events":                      "audit.read",
	"GET /api/v1/roles":                             "roles.write",
	"GET /api/v1/roles/{name}":                      "roles.write",
	"PUT /api/v1/roles/{name}":                      "roles.write",
	"DELETE /api/v1/roles/{name}":                   "roles.write",
	"GET /api/v1/api-keys":                          "keys.write",
	"POST /api/v1/api-keys":                         "keys.write",
	"PATCH /api/v1/api-keys/{id}":                   "keys.write",
	"DELETE /api/v1/api-keys/{id}":                  "keys.write",
	"POST /api/v1/api-keys/{id}/roll":               "keys.write",
	"GET /api/v1/users/{id}/api":                    "users.read",
	"POST /api/v1/api-keys/{id}/return-addresses":   "keys.write",
	"DELETE /api/v1/api-keys/{id}/return-addresses": "keys.write",
	"PUT /api/v1/users/{id}/api":                    "users.identity",
	"POST /api/v1/users/{id}/api/off":               "users.identity",
	"GET /api/v1/reports/exemptions":                "reports.read",
	"GET /api/v1/reports/exemptions.csv":            "reports.read",

	"GET /api/v1/providers/email":       "providers.write session only",
	"PUT /api/v1/providers/email":       "providers.write session only",
	"DELETE /api/v1/providers/email":    "providers.write session only",
	"POST /api/v1/providers/email/test": "providers.write session only",
	"GET /api/v1/providers/sms":         "providers.write session only",
	"PUT /api/v1/providers/sms":         "providers.write session only",
	"DELETE /api/v1/providers/sms":      "providers.write session only",
	"POST /api/v1/providers/sms/test":   "providers.write session only",
	"GET /api/v1/providers/duo":         "providers.write session only",
	"PUT /api/v1/providers/duo":         "providers.write session only",
	"DELETE /api/v1/providers/duo":      "providers.write session only",
	"POST /api/v1/providers/duo/test":   "providers.write session only",

	"DELETE /api/v1/audit/streams/{kind}":        "providers.write session only",
	"DELETE /api/v1/branding/logo":               "branding.write session only",
	"DELETE /api/v1/branding/logo-dark":          "branding.write session only",
	"DELETE /api/v1/users/{id}":                  "users.identity",
	"DELETE /api/v1/users/{id}/factors/{factor}": "factors.manage",
	"GET /admin":                                       anyAdmin,
	"GET /admin/approvals":                             "users.read",
	"GET /admin/audit":                                 "audit.read",
	"GET /admin/audit/streams":                         "providers.write",
	"GET /admin/branding":                              "branding.write",
	"GET /admin/branding/colours/{file}":               "branding.write",
	"GET /admin/branding/draft/{kind}/{file}":          "branding.write",
	"GET /admin/people":                                "users.read",
	"GET /admin/people.csv":                            "users.read",
	"GET /admin/people.jsonl":                          "users.read",
	"GET /admin/people/import":                         "users.identity",
	"GET /admin/people/new":                            "users.write",
	"GET /admin/people/{id}":                           "users.read",
	"GET /admin/people/{id}/app/{factor}":              "factors.manage",
	"GET /admin/people/{id}/do/{act}":                  "users.read",
	"GET /admin/people/{id}/do/{act}/{arg}":            "users.read",
	"GET /admin/people/{id}/erase":                     "users.identity",
	"GET /admin/policy":                                "policy.write",
	"GET /admin/policy/history":                        "policy.write",
	"GET /admin/policy/preview":                        "policy.write",
	"GET /admin/reports/coverage":                      "reports.read",
	"GET /admin/reports/coverage.csv":                  "reports.read",
	"GET /admin/reports/sign-ins.csv":                  "reports.read",
	"GET /api/v1/account/export":                       own,
	"GET /api/v1/approvals":                            "users.read",
	"GET /api/v1/audit/events.csv":                     "audit.read",
	"GET /api/v1/audit/events.jsonl":                   "audit.read",
	"GET /api/v1/audit/retention":                      "audit.read",
	"GET /api/v1/audit/streams":                        "providers.write session only",
	"GET /api/v1/branding":                             "branding.write session only",
	"GET /api/v1/policy":                               "policy.write",
	"GET /api/v1/policy/presets":                       "policy.write",
	"GET /api/v1/policy/versions":                      "policy.write",
	"GET /api/v1/policy/versions/{n}":                  "policy.write",
	"GET /api/v1/reports/adoption":                     "reports.read",
	"GET /api/v1/reports/attention":                    "reports.read",
	"GET /api/v1/reports/coverage":                     "reports.read",
	"GET /api/v1/reports/coverage.csv":                 "reports.read",
	"GET /api/v1/reports/sign-ins":                     "reports.read",
	"GET /api/v1/users":                                "users.read",
	"GET /api/v1/users.csv":                            "users.read",
	"GET /api/v1/users.jsonl":                          "users.read",
	"GET /api/v1/users/{id}":                           "users.read",
	"GET /api/v1/users/{id}/export":                    "users.identity",
	"GET /api/v1/users/{id}/factors":                   "users.read",
	"PATCH /api/v1/users/{id}":                         "users.read",
	"PATCH /api/v1/users/{id}/factors/{factor}":        "factors.manage",
	"POST /admin/approvals/{approval}":                 own,
	"POST /admin/audit":                                "audit.read",
	"POST /admin/audit/streams":                        "providers.write",
	"POST /admin/branding":                             "branding.write",
	"POST /admin/people":                               "users.write",
	"POST /admin/people/import":                        "users.identity",
	"POST /admin/people/new":                           "users.write",
	"POST /admin/people/{id}/app/{factor}":             "factors.manage",
	"POST /admin/people/{id}/do/{act}":                 "users.read",
	"POST /admin/people/{id}/do/{act}/{arg}":           "users.read",
	"POST /admin/people/{id}/erase":                    "users.identity",
	"POST /admin/people/{id}/export":                   "users.identity",
	"POST /admin/policy":                               "policy.write",
	"POST /admin/policy/save":                          "policy.write",
	"POST /api/v1/approvals/{id}/approve":              "users.read",
	"POST /api/v1/approvals/{id}/cancel":               own,
	"POST /api/v1/audit/streams/{kind}/test":           "providers.write session only",
	"POST /api/v1/audit/verify":                        "audit.read",
	"POST /api/v1/policy/preview":                      "policy.write",
	"POST /api/v1/users":                               "users.write",
	"POST /api/v1/users/bulk":                          "users.write",
	"POST /api/v1/users/import":                        "users.identity",
	"POST /api/v1/users/{id}/factors":                  "users.read",
	"POST /api/v1/users/{id}/factors/{factor}/confirm": "factors.manage",
	"POST /api/v1/users/{id}/{act}":                    "users.read",
	"PUT /api/v1/audit/retention":                      "providers.write session only",
	"PUT /api/v1/audit/streams/{kind}":                 "providers.write session only",
	"PUT /api/v1/branding":                             "branding.write session only",
	"PUT /api/v1/branding/logo":                        "branding.write session only",
	"PUT /api/v1/branding/logo-dark":                   "branding.write session only",
	"PUT /api/v1/policy":                               "policy.write",

	"GET /admin/roles":              "roles.write",
	"POST /admin/roles":             "roles.write",
	"GET /admin/keys":               "keys.write",
	"POST /admin/keys":              "keys.write",
	"GET /admin/keys/new":           "keys.write",
	"GET /admin/keys/{id}":          "keys.write",
	"POST /admin/keys/{id}":         "keys.write",
	"GET /admin/actions":            "keys.write",
	"POST /admin/actions":           "keys.write",
	"GET /admin/people/{id}/api":    "users.identity",
	"POST /admin/people/{id}/api":   "users.identity",
	"GET /admin/reports/exemptions": "reports.read",
	"GET /admin/providers/email":    "providers.write",
	"POST /admin/providers/email":   "providers.write",
	"GET /admin/providers/texts":    "providers.write",
	"POST /admin/providers/texts":   "providers.write",
	"GET /admin/providers/duo":      "providers.write",
	"POST /admin/providers/duo":     "providers.write",
}

// needs is the permission of a route of the administration; programs: it takes them.
func needs(pattern string) (p directory.Permission, programs, admin bool) {
	name, only, _ := strings.Cut(access[pattern], " ")
	switch access[pattern] {
	case public, attempt, own, ownSign, anyAdmin, byKey:
		return "", false, false
	}
	return directory.Permission(name), only == "" && strings.Contains(pattern, " /api/"), true
}

// Every route has its line, and no line is of a route that is gone (cve-32).
func TestEveryRouteHasItsPermission_H5(t *testing.T) {
	w := sallyporttest.NewServer(t)
	var got []string
	for _, r := range w.Routes() {
		if strings.Contains(r, " /api/v1/") || strings.Contains(r, " /admin") {
			got = append(got, r)
			if access[r] == "" {
				t.Errorf("%s is not in the table of access_test.go: say which permission it needs", r)
			}
			if p, _, admin := needs(r); admin && !slices.Contains(directory.Permissions(), p) {
				t.Errorf("%s needs %q, which is no permission", r, p)
			}
		}
	}
	for r := range access {
		if !slices.Contains(got, r) {
			t.Errorf("%s is in the table, and no route", r)
		}
	}
}

// doors is a server with somebody of every role, and what each of them shows.
type doors struct {
	*sallyporttest.Server
	t     *testing.T
	other authn.Company
	own   map[string]string // ids of things of acme, by the word of a path
}

func newDoors(t *testing.T) *doors {
	t.Helper()
	d := &doors{Server: sallyporttest.NewServer(t), t: t, own: map[string]string{}}
	d.other = d.AddCompany(t, "globex", "Globex")
	d.own["users"] = d.AddUser(t, d.Company, "somebody", false).ID
	d.own["people"] = d.own["users"]
	k, _, err := d.Directory.CreateKey(t.Context(), directory.TheOperator(d.Company.ID), directory.NewKey{Name: "theirs", Owner: d.person(d.Company, "boss", directory.Owner).ID, Scopes: []string{"audit.read"}})
	d.must(err)
	d.own["api-keys"], d.own["keys"] = k.ID, k.ID
	_, err = d.Directory.SaveRole(t.Context(), directory.TheOperator(d.Company.ID), directory.RoleChange{Name: "theirs", Title: "Theirs"})
	d.must(err)
	return d
}

func (d *doors) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// person is somebody new with a role.
func (d *doors) person(c authn.Company, login string, roles ...string) authn.User {
	d.t.Helper()
	p := d.AddUser(d.t, c, login, false)
	if len(roles) > 0 {
		d.must(d.Store.Decide(d.t.Context(), authn.Keys{Company: c.ID, User: p.ID, Now: d.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
			u := *rows.User
			u.Roles = roles
			return authn.Continue(authn.PutUser{User: u})
		}))
	}
	return p.User
}

func (d *doors) session(c authn.Company, login string) string {
	d.t.Helper()
	st, err := d.SignIn.Begin(d.t.Context(), signin.Begin{Company: c.Slug, Login: login, Password: sallyporttest.Password})
	d.must(err)
	return st.SessionToken.Reveal()
}

// role makes a role of the company with permissions.
func (d *doors) role(c authn.Company, name string, list ...directory.Permission) string {
	d.t.Helper()
	r := directory.RoleChange{Name: name, Title: name}
	for _, p := range list {
		r.Permissions = append(r.Permissions, string(p))
	}
	_, err := d.Directory.SaveRole(d.t.Context(), directory.TheOperator(c.ID), r)
	d.must(err)
	return name
}

// key is a key of somebody with the scope.
func (d *doors) key(c authn.Company, owner authn.User, name string, scopes ...directory.Permission) string {
	d.t.Helper()
	n := directory.NewKey{Name: name, Owner: owner.ID}
	for _, p := range scopes {
		n.Scopes = append(n.Scopes, string(p))
	}
	_, token, err := d.Directory.CreateKey(d.t.Context(), directory.TheOperator(c.ID), n)
	d.must(err)
	return token.Reveal()
}

// path fills in the ids of things that acme has.
func (d *doors) path(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = d.own[parts[i-1]]
			if part == "{name}" {
				parts[i] = "theirs"
			}
			if parts[i] == "" {
				parts[i] = "none"
			}
		}
	}
	return method, strings.Join(parts, "/")
}

// knock asks a route with an Authorization header, or for a page with the session as
// its cookie. The body is one that no route takes, so that nothing is changed.
func (d *doors) knock(pattern, authorization string) (int, string) {
	d.t.Helper()
	method, path := d.path(pattern)
	var body io.Reader
	page := strings.Contains(pattern, " /admin")
	if method != "GET" && method != "DELETE" {
		body = strings.NewReader(`{"unheard_of":1}`)
	}
	token, _ := strings.CutPrefix(authorization, "Bearer ")
	if page && body != nil {
		body = strings.NewReader(url.Values{"form": {httpserve.FormValue(token)}, "do": {"nothing"}}.Encode())
	}
	r, err := http.NewRequest(method, d.URL+path, body)
	d.must(err)
	switch {
	case page && strings.HasPrefix(authorization, "Bearer sp_ses_"):
		r.AddCookie(&http.Cookie{Name: httpserve.Cookies{}.Session(), Value: token})
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case authorization != "":
		r.Header.Set("Authorization", authorization)
		fallthrough
	default:
		if body != nil {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	d.must(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	d.must(err)
	return resp.StatusCode, string(raw)
}

// let says whether an answer is one to somebody who may come in: refused is 401, 403,
// and for a page the way to the sign-in. That a proof must be more recent, or that a
// program cannot give one, or that the owner of a key is an owner, is told only to
// those who hold the permission.
func let(pattern string, status int, body string) bool {
	switch {
	case status == http.StatusSeeOther && strings.Contains(pattern, " /admin"):
		return true // to the confirmation; the sign-in is a refusal, and looked at before
	case status == http.StatusTooManyRequests:
		return false // too many wrong secrets
	case status == http.StatusUnauthorized:
		return strings.Contains(body, "step_up_required")
	case status == http.StatusForbidden:
		return strings.Contains(body, "a person who confirms") || strings.Contains(body, "for an owner")
	}
	return true
}

// H1, H5, cve-31, cve-54, cve-56, cve-58: each route lets in those who hold its
// permission, and nobody else, whoever they are and whatever they show.
func TestAccessOfEveryRoute_H5_cve31_cve56_cve58(t *testing.T) {
	d := newDoors(t)
	builtIn := map[string][]directory.Permission{}
	for _, r := range directory.RolesOf(d.Company) {
		if r.BuiltIn {
			builtIn[r.Name] = r.Permissions
		}
	}
	sessions := map[string]string{}
	for name := range builtIn {
		d.person(d.Company, "a-"+name, name)
		sessions[name] = d.session(d.Company, "a-"+name)
	}
	d.person(d.Company, "a-none", "no-such-role")
	stranger := d.person(d.other, "stranger", directory.Owner)
	foreign := []string{"Bearer " + d.session(d.other, "stranger"), "Bearer " + d.key(d.other, stranger, "all", builtIn[directory.Owner]...)}
	half := d.AddUser(t, d.Company, "half", true)
	begun, err := d.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "half", Password: sallyporttest.Password})
	d.must(err)
	basic := func(login, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("acme/"+login+":"+secret))
	}
	nobody := []string{"", "Bearer " + begun.Token.Reveal(), basic(half.Login, begun.Token.Reveal()), basic(half.Login, sallyporttest.Password), "Bearer " + d.session(d.Company, "a-none")}

	// For each permission: somebody with it alone, with all others, and their programs.
	type holders struct{ with, without, keyWith, keyWithout, account, accountOther string }
	of := map[directory.Permission]holders{}
	for _, p := range directory.Permissions() {
		short := strings.NewReplacer(".", "-", "_", "-").Replace(string(p))
		rest := slices.DeleteFunc(directory.Permissions(), func(q directory.Permission) bool { return q == p })
		only, not := d.role(d.Company, "only-"+short, p), d.role(d.Company, "not-"+short, rest...)
		has, lacks := d.person(d.Company, "has-"+short, only), d.person(d.Company, "lacks-"+short, not)
		boss := d.person(d.Company, "all-"+short, directory.Owner, only)
		h := holders{with: "Bearer " + d.session(d.Company, has.Login), without: "Bearer " + d.session(d.Company, lacks.Login),
			keyWith: "Bearer " + d.key(d.Company, boss, "with "+short, p), keyWithout: "Bearer " + d.key(d.Company, boss, "without "+short, rest[0])}
		for role, to := range map[string]*string{only: &h.account, not: &h.accountOther} {
			bot := d.person(d.Company, "bot-"+role)
			out, err := d.Directory.Do(t.Context(), directory.TheOperator(d.Company.ID), directory.PersonAct{Do: directory.APIOn, Target: bot.ID, Reason: "r",
				Args: map[string]string{"role": role, "owner": "boss", "until": d.Clock.Now().Add(time.Hour).Format(time.RFC3339)}})
			d.must(err)
			*to = basic(bot.Login, out.Secret)
		}
		of[p] = h
	}
	d.Clock.Advance(15 * time.Minute)
	before := d.events()
	for _, pattern := range slices.Sorted(maps.Keys(access)) {
		p, programs, admin := needs(pattern)
		if !admin {
			continue
		}
		try := func(who, authorization string, want bool) {
			t.Helper()
			status, body := d.knock(pattern, authorization)
			if got := let(pattern, status, body) && !(status == http.StatusSeeOther && !strings.HasPrefix(authorization, "Bearer sp_ses_")); got != want {
				t.Errorf("%s, %s: %d, let in: %v, want %v: %.200s", pattern, who, status, got, want, body)
			}
		}
		for name, list := range builtIn {
			try(name, "Bearer "+sessions[name], slices.Contains(list, p))
		}
		h := of[p]
		try("exactly the permission", h.with, true)
		try("all but the permission", h.without, false)
		try("a key with the scope", h.keyWith, programs)
		try("a key without the scope", h.keyWithout, false)
		try("an API account with it", h.account, programs)
		try("an API account without it", h.accountOther, false)
		for i, what := range nobody {
			try(fmt.Sprint("nobody ", i), what, false)
		}
		// What is the other company's is not there, and nothing of it is changed.
		if strings.Contains(pattern, "{") && !strings.Contains(pattern, "{name}") {
			for _, who := range foreign {
				status, body := d.knock(pattern, who)
				if status < 400 && !(status == http.StatusSeeOther) || strings.Contains(body, d.own["users"]) {
					t.Errorf("%s with ids of another company: %d %.200s", pattern, status, body)
				}
			}
		}
	}
	// A proof must be more recent than these are, so that nothing was done.
	after := d.events()
	for _, typ := range slices.Sorted(maps.Keys(after)) {
		if !strings.HasSuffix(typ, "used") && !strings.HasSuffix(typ, ".exported") && typ != "audit.verified" && typ != "step_up.begun" && after[typ] != before[typ] {
			t.Errorf("knocking did something: %d times %s", after[typ]-before[typ], typ)
		}
	}
}

// events counts what succeeded at acme, by the type of the event.
func (d *doors) events() map[string]int {
	d.t.Helper()
	list := map[string]int{}
	for before := ""; ; {
		part, err := d.Audit.Events(d.t.Context(), d.Company.ID, authn.EventQuery{Before: before, Limit: 200})
		d.must(err)
		for _, ev := range part {
			if ev.Result == authn.Succeeded {
				list[ev.Type]++
			}
		}
		if len(part) < 200 {
			return list
		}
		before = part[len(part)-1].ID
	}
}

// A session that may not is told so in the log (H5): who, and which permission.
func TestRefusalIsRecorded_H5(t *testing.T) {
	d := newDoors(t)
	u := d.person(d.Company, "curious", directory.Member)
	d.knock("GET /api/v1/roles", "Bearer "+d.session(d.Company, "curious"))
	list, err := d.Audit.Events(t.Context(), d.Company.ID, authn.EventQuery{Type: "access.refused", Limit: 10})
	d.must(err)
	if len(list) != 1 || list[0].Actor != u.ID || list[0].Personal.Detail["permission"] != "roles.write" {
		raw, _ := json.Marshal(list)
		t.Errorf("%s", raw)
	}
}
