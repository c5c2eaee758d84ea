package httpapi_test

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// promote gives a person a role.
func (w *world) promote(u authn.User, roles ...string) {
	w.t.Helper()
	u.Roles = roles
	w.put(u)
}

func (w *world) put(u authn.User) {
	w.t.Helper()
	k := authn.Keys{Company: u.Company, User: u.ID, Now: w.Clock.Now()}
	err := w.Store.Decide(w.t.Context(), k, func(rows *authn.Rows) authn.Verdict {
		next := *rows.User
		next.Roles, next.Status = u.Roles, u.Status
		return authn.Continue(authn.PutUser{User: next})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// key makes a key of an owner who is promoted for it.
func (w *world) key(c authn.Company, login string, scope directory.Permission, networks ...string) (authn.APIKey, string, sallyporttest.Person) {
	w.t.Helper()
	p := w.AddUser(w.t, c, login, false)
	w.promote(p.User, directory.Owner)
	n := directory.NewKey{Name: login + " key", Owner: p.ID, Scopes: []string{string(scope)}}
	for _, s := range networks {
		n.Networks = append(n.Networks, netip.MustParsePrefix(s))
	}
	k, token, err := w.Directory.CreateKey(w.t.Context(), directory.TheOperator(c.ID), n)
	if err != nil {
		w.t.Fatal(err)
	}
	return k, token.Reveal(), p
}

const auditPath = "/api/v1/audit/events"

// forKeys are the other routes that keys open.
var forKeys = []string{"POST /api/v1/audit/verify", "GET /api/v1/audit/retention"}

// rul-21: what a key may do is its scopes and its owner's rights now.
func TestKeyRights_rul21(t *testing.T) {
	w := newWorld(t)
	_, key, owner := w.key(w.Company, "priya", directory.AuditRead)
	a := w.get(auditPath, key).want(200)
	if !strings.Contains(string(a.body), "key.created") || strings.Contains(string(a.body), "sp_") {
		t.Errorf("%s", a.body)
	}
	_, other, _ := w.key(w.Company, "lena", directory.UsersRead)
	w.get(auditPath, other).refused(authn.Forbidden)

	w.promote(owner.User, directory.Member)
	w.get(auditPath, key).refused(authn.Forbidden)
	w.promote(owner.User, directory.Administrator)
	w.get(auditPath, key).want(200)
	owner.Roles, owner.Status = []string{directory.Owner}, authn.Suspended
	w.put(owner.User)
	w.get(auditPath, key).refused(authn.Unauthenticated)
	owner.Status = authn.Active
	w.put(owner.User)
	w.Clock.Advance(directory.UsualKeyLife - time.Second)
	w.get(auditPath, key).want(200)
	w.Clock.Advance(time.Second)
	w.get(auditPath, key).refused(authn.Unauthenticated)
}

// takesKeys reports whether the document says that a route takes keys; what such a
// route asks of them is in the table of the root package.
func takesKeys(t testing.TB, pattern string) bool {
	for _, op := range operations(t) {
		if op.pattern == pattern {
			for _, s := range *op.Security {
				if _, ok := s["apiKey"]; ok {
					return true
				}
			}
		}
	}
	return false
}

// A key opens its own company only, its own row only, and the routes that take
// keys only; in the Authorization header only.
func TestKeyOpensNothingElse(t *testing.T) {
	w := newWorld(t)
	k, key, _ := w.key(w.Company, "priya", directory.AuditRead)
	_, theirs, _ := w.key(w.other, "zoe", directory.AuditRead)
	mine, foreign := w.get(auditPath+"?limit=200", key).want(200), w.get(auditPath+"?limit=200", theirs).want(200)
	for _, item := range foreign.json["items"].([]any) {
		if id := item.(map[string]any)["id"].(string); strings.Contains(string(mine.body), id) {
			t.Errorf("%s is seen from the other company", id)
		}
	}
	a, _ := authn.ParseToken(authn.KeyToken, key)
	b, _ := authn.ParseToken(authn.KeyToken, theirs)
	for what, forged := range map[string]authn.Token{
		"company": {Kind: a.Kind, Company: b.Company, ID: a.ID, Secret: a.Secret},
		"row":     {Kind: a.Kind, Company: a.Company, ID: b.ID, Secret: a.Secret},
		"secret":  {Kind: a.Kind, Company: a.Company, ID: a.ID, Secret: b.Secret},
		"no such": {Kind: a.Kind, Company: "cmp_06gvqojiq1qe7alb8eh5a55tok", ID: a.ID, Secret: a.Secret},
	} {
		if got := w.get(auditPath, forged.Reveal()); got.status != 401 {
			t.Errorf("%s: %d", what, got.status)
		}
	}
	for _, r := range routes {
		if takesKeys(t, r.pattern) || r.kind == "" || slices.Contains(forKeys, r.pattern) {
			continue
		}
		method, path, _ := strings.Cut(r.pattern, " ")
		c := call{method: method, path: strings.ReplaceAll(path, "{id}", "fac_06gvqojiq1tch8gdppkvf1jp7k"), bearer: key}
		if method != "GET" && method != "DELETE" {
			c.body = object{}
		}
		want := authn.Unauthenticated
		if strings.Contains(r.pattern, " /api/v1/users") || strings.Contains(r.pattern, policyPath) {
			want = authn.Forbidden // takes keys, and this one has no such scope
		}
		w.do(c).refused(want)
	}
	for _, c := range []call{
		{method: "GET", path: auditPath, cookies: map[string]string{cookies.Session(): key}},
		{method: "GET", path: auditPath + "?key=" + url.QueryEscape(key)},
		{method: "GET", path: auditPath, header: map[string]string{"X-Api-Key": key}},
		{method: "GET", path: auditPath, header: map[string]string{"Authorization": "Basic " + key}},
	} {
		w.do(c).refused(authn.Unauthenticated)
	}
	if _, err := w.Directory.RemoveKey(t.Context(), directory.TheOperator(k.Company), k.ID, ""); err != nil {
		t.Fatal(err)
	}
	w.get(auditPath, key).refused(authn.Unauthenticated)
}

// H4: the networks of a key, and that uses and refusals are in the log.
func TestKeyNetworksAndEvents_H4(t *testing.T) {
	w := newWorld(t)
	_, inside, _ := w.key(w.Company, "inside", directory.AuditRead, "10.0.0.0/8", "127.0.0.0/8")
	_, outside, owner := w.key(w.Company, "outside", directory.AuditRead, "10.0.0.0/8")
	for range 5 {
		w.get(auditPath, inside).want(200)
	}
	for range 70 {
		w.get(auditPath, outside).refused(authn.Unauthenticated)
	}
	count := func(typ string) int {
		t.Helper()
		list, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: typ, Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n := count("key.used"); n != 1 {
		t.Errorf("%d uses in the log, want one an hour", n)
	}
	if n := count("key.refused"); n != 60 {
		t.Errorf("%d refusals in the log", n)
	}
	if err := w.Directory.FlushRefusals(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "key.refusals_counted"})
	if err != nil || len(list) != 1 || list[0].Personal.Detail["network"] != "10" {
		t.Errorf("%+v %v", list, err)
	}
	one, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "key.refused", Limit: 1})
	if err != nil || one[0].Target != owner.ID || one[0].Personal.Address != "127.0.0.1" || one[0].Personal.Detail["reason"] != "network" {
		t.Errorf("%+v %v", one, err)
	}
	w.Clock.Advance(time.Hour)
	w.get(auditPath, inside).want(200)
	if n := count("key.used"); n != 2 {
		t.Errorf("%d uses an hour later", n)
	}
	keys, err := w.Directory.APIKeys(t.Context(), directory.TheOperator(w.Company.ID), "", 0)
	if err != nil || len(keys) != 2 {
		t.Fatalf("%+v %v", keys, err)
	}
	for _, k := range keys {
		if k.Name == "inside key" && !k.LastUsedAt.Equal(w.Clock.Now()) || k.Name == "outside key" && !k.LastUsedAt.IsZero() {
			t.Errorf("%+v", k)
		}
	}
}

// A session needs the permission too, and the filters are read strictly.
func TestAuditEventsFilters(t *testing.T) {
	w := newWorld(t)
	maya, tom := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "tom", false)
	session := w.signIn(maya)
	w.get(auditPath, session).refused(authn.Forbidden)
	w.promote(maya.User, directory.Administrator)
	a := w.get(auditPath+"?type=user.created&target="+tom.ID, session).want(200)
	if items := a.json["items"].([]any); len(items) != 1 {
		t.Errorf("%s", a.body)
	}
	seen := map[string]bool{}
	for path := auditPath + "?limit=2"; path != ""; {
		a := w.get(path, session).want(200)
		for _, item := range a.json["items"].([]any) {
			id := item.(map[string]any)["id"].(string)
			if seen[id] {
				t.Fatalf("%s twice", id)
			}
			seen[id] = true
		}
		path = ""
		if next, ok := a.json["next_cursor"].(string); ok {
			path = auditPath + "?limit=2&cursor=" + next
		}
	}
	if len(seen) < 6 {
		t.Errorf("%d events", len(seen))
	}
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=201": "limit", "limit=x": "limit", "cursor=evt_1": "cursor", "cursor=": "cursor", "target=maya": "target",
		"type=": "type", "type=%25": "type", "type=..": "type", "type=a'b": "type", "type=" + strings.Repeat("a", 65): "type", "limit=1&limit=2": "limit",
	} {
		w.get(auditPath+"?"+query, session).field(field, map[bool]string{true: "duplicate", false: "invalid"}[strings.Count(query, "limit") > 1])
	}
}
