package httpapi_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const policyPath = "/api/v1/policy"

// required14 is a change to: everybody must, staff with a way of their own within 14 days.
func required14(from int) object {
	return object{"version": from, "reason": "Everybody from today, as the board decided.",
		"document": object{"format": 1, "two_factor": "required", "own_way": []any{"internal"}, "methods": []any{"totp", "duo", "backup_code"}, "grace_days": 14}}
}

// policyRoute is an entry of the table of routes; the change, if there is one, is
// made from the version that there is.
func policyRoute(method, path string, body object) route {
	pattern := strings.Replace(path, "/1", "/{n}", 1)
	return route{method + " " + policyPath + pattern, authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		c := call{method: method, path: policyPath + path, bearer: w.signIn(w.owner(p))}
		if body != nil {
			sent := maps.Clone(body)
			sent["version"] = w.policyVersion(w.slug(p))
			c.body = sent
		}
		return c
	}, 200}
}

func (w *world) policyVersion(slug string) int {
	w.t.Helper()
	c, err := w.Directory.Company(w.t.Context(), slug)
	if err != nil {
		w.t.Fatal(err)
	}
	return int(c.PolicyVersion)
}

func policySaved(w *world, _ sallyporttest.Person, c *call) {
	w.do(call{method: "PUT", path: policyPath, bearer: c.bearer, body: required14(1)}).want(200)
}

// What is wrong with a document is said field by field.
func TestPolicyRefusals_G3(t *testing.T) {
	w := newWorld(t)
	priya := w.signIn(w.owner(w.AddUser(t, w.Company, "maya", true)))
	doc := func(more object) object {
		out := object{"format": 1, "two_factor": "on"}
		maps.Copy(out, more)
		return out
	}
	past := w.Clock.Now().Add(-time.Hour).Format(time.RFC3339)
	for name, tt := range map[string]struct {
		doc         any
		field, code string
	}{
		"no format":                     {object{"two_factor": "on"}, "policy.format", "not_one_of"},
		"a later format":                {doc(object{"format": 2}), "policy.format", "not_one_of"},
		"no two_factor":                 {object{"format": 1}, "policy.two_factor", "not_one_of"},
		"perhaps":                       {doc(object{"two_factor": "perhaps"}), "policy.two_factor", "not_one_of"},
		"an unknown field":              {doc(object{"two_facter": "on"}), "policy.two_facter", "unknown"},
		"another type":                  {doc(object{"grace_days": "14"}), "policy.grace_days", "invalid"},
		"no object":                     {[]any{}, "document", "wrong_type"},
		"text messages alone":           {doc(object{"methods": []any{"sms", "backup_code"}}), "policy.methods", "sms_only"},
		"backup codes alone":            {doc(object{"methods": []any{"backup_code"}}), "policy.methods", "no_way"},
		"a way that is none":            {doc(object{"methods": []any{"totp", "fax"}}), "policy.methods", "not_one_of"},
		"a way twice":                   {doc(object{"methods": []any{"totp", "totp"}}), "policy.methods", "not_one_of"},
		"a way that nobody has here":    {doc(object{"methods": []any{"sms", "duo"}}), "policy.methods", "no_way"},
		"required and not offered":      {doc(object{"two_factor": "required", "external": "not_offered"}), "policy.external", "contradicts"},
		"company-wide and one audience": {doc(object{"company_wide_only": true, "internal": "required"}), "policy.internal", "company_wide"},
		"an audience that is none":      {doc(object{"own_way": []any{"guests"}}), "policy.own_way", "not_one_of"},
		"a role in capitals":            {doc(object{"require_roles": []any{"Owner"}}), "policy.require_roles", "invalid"},
		"a strength that is none":       {doc(object{"strength": object{"owner": "iron"}}), "policy.strength", "not_one_of"},
		"a strength that nobody has":    {doc(object{"methods": []any{"totp"}, "strength": object{"owner": "phishing_resistant"}}), "policy.strength", "no_method"},
		"three proofs":                  {doc(object{"proofs_by_role": object{"owner": 3}}), "policy.proofs_by_role", "between"},
		"grace":                         {doc(object{"grace_days": 91}), "policy.grace_days", "between"},
		"codes":                         {doc(object{"code_seconds": 601}), "policy.code_seconds", "between"},
		"step-up":                       {doc(object{"step_up_seconds": 59}), "policy.step_up_seconds", "between"},
		"session":                       {doc(object{"session_seconds": 86401}), "policy.session_seconds", "between"},
		"idle beyond the session":       {doc(object{"session_seconds": 600, "idle_seconds": 900}), "policy.idle_seconds", "between"},
		"attempt":                       {doc(object{"attempt_seconds": 59}), "policy.attempt_seconds", "between"},
		"eleven tries":                  {doc(object{"free_tries": 11}), "policy.free_tries", "between"},
		"pause":                         {doc(object{"pause_seconds": 29}), "policy.pause_seconds", "between"},
		"longest before the first":      {doc(object{"pause_seconds": 600, "longest_pause_seconds": 60}), "policy.longest_pause_seconds", "between"},
		"password":                      {doc(object{"password_length": 65}), "policy.password_length", "between"},
		"next, in the past":             {doc(object{"next": object{"from": past, "document": doc(nil)}}), "policy.next.from", "not_ahead"},
		"next, that says nothing":       {doc(object{"next": object{"from": "2026-12-24T00:00:00Z", "document": doc(object{"two_factor": ""})}}), "policy.next.document.two_factor", "not_one_of"},
	} {
		for _, c := range []call{{method: "PUT", path: policyPath}, {method: "POST", path: policyPath + "/preview"}} {
			t.Run(name+" "+c.method, func(t *testing.T) {
				c.bearer, c.body = priya, object{"version": 1, "reason": "x", "document": tt.doc}
				a := (&world{Server: w.Server, t: t, other: w.other}).do(c).field(tt.field, tt.code)
				if a.str("fields.0.message") == "" {
					t.Errorf("no words: %s", a.body)
				}
			})
		}
	}
	put := func(body object) answer {
		return w.do(call{method: "PUT", path: policyPath, bearer: priya, body: body})
	}
	put(object{"version": 1, "reason": "x"}).field("document", "required")
	put(object{"version": 1, "reason": "x", "document": doc(nil), "undo_of": 1}).field("undo_of", "invalid")
	put(object{"version": 1, "document": doc(nil)}).field("reason", "required")
	put(object{"version": 1, "reason": strings.Repeat("x", directory.ReasonMax+1), "document": doc(nil)}).field("reason", "too_long")
	put(object{"version": 1, "reason": "x", "undo_of": 9}).refused(authn.NotFound)
	put(object{"version": 1, "reason": "x", "undo_of": -1}).refused(authn.NotFound)
	if v := w.policyVersion("acme"); v != 1 {
		t.Errorf("version %d", v)
	}
	for _, c := range []call{{method: "POST", path: "/api/v1/policy/preview"}, {method: "PUT", path: "/api/v1/policy"}} {
		c.bearer, c.body = priya, object{"document": doc(nil), "reason": "without the version that it was made from"}
		w.do(c).field("version", "required")
	}
}

// The first look, a save that tells what it does, the history, undo; two at once;
// and nobody may save what they, or all owners, could not sign in with.
func TestPolicyByJSON_G5(t *testing.T) {
	w := newWorld(t)
	first := w.owner(w.AddUser(t, w.Company, "maya", true))
	second := w.owner(w.AddUser(t, w.Company, "nils", true))
	theirs := w.signIn(w.owner(w.AddUser(t, w.other, "maya", true)))
	ada := w.AddUser(t, w.Company, "ada", false)
	w.promote(ada.User, directory.Administrator)
	priya, olga := w.signIn(first), w.signIn(second)
	put := func(bearer string, body object) answer {
		return w.do(call{method: "PUT", path: policyPath, bearer: bearer, body: body})
	}
	w.get(policyPath, w.signIn(ada)).refused(authn.Forbidden)
	seen := w.post(policyPath+"/preview", priya, required14(1)).want(200)
	if seen.at("preview.people") != 5.0 || seen.at("preview.groups.set_up.people") != 1.0 || seen.at("preview.groups.set_up.administrators") != 1.0 || seen.at("preview.owners_left") != 2.0 {
		t.Errorf("%s", seen.body)
	}
	if v := w.policyVersion("acme"); v != 1 {
		t.Fatalf("a preview saved version %d", v)
	}
	saved := put(priya, required14(1)).want(200)
	if fmt.Sprint(saved.at("preview")) != fmt.Sprint(seen.at("preview")) || saved.at("version") != 2.0 {
		t.Errorf("seen %s\nsaved %s", seen.body, saved.body)
	}
	if a := put(olga, required14(1)).refused(authn.Conflict); !strings.Contains(a.str("detail"), "Someone else changed the policy") {
		t.Errorf("%s", a.body)
	}
	w.post(policyPath+"/preview", olga, required14(1)).refused(authn.Conflict)

	list := w.get(policyPath+"/versions?limit=1", olga).want(200)
	if list.str("items.0.saved_by") != first.ID || list.str("items.0.reason") == "" || list.str("next_cursor") != "2" {
		t.Errorf("%s", list.body)
	}
	rest := w.get(policyPath+"/versions?limit=1&cursor=2", olga).want(200)
	if rest.at("items.0.version") != 1.0 || rest.str("next_cursor") != "" {
		t.Errorf("%s", rest.body)
	}
	for _, query := range []string{"limit=0", "limit=201", "cursor=0", "cursor=-1", "cursor=01", "cursor=x", "cursor=99999999999999999999", "after=1"} {
		w.get(policyPath+"/versions?"+query, olga).refused(authn.Invalid)
	}
	for _, n := range []string{"0", "3", "01", "-1", "x", "99999999999999999999"} {
		w.get(policyPath+"/versions/"+n, olga).refused(authn.NotFound)
	}
	// Another company has its own.
	w.get(policyPath+"/versions/2", theirs).refused(authn.NotFound)
	put(theirs, object{"version": 1, "reason": "theirs", "undo_of": 2}).refused(authn.NotFound)
	if a := w.get(policyPath, theirs).want(200); a.at("version") != 1.0 {
		t.Errorf("%s", a.body)
	}

	undone := put(olga, object{"version": 2, "reason": "It was meant for April.", "undo_of": 1}).want(200)
	if undone.str("document.two_factor") != "on" || undone.at("version") != 3.0 || undone.at("preview.weakens") != true {
		t.Errorf("%s", undone.body)
	}
	if a := w.get(policyPath+"/versions/3", priya).want(200); a.at("undo_of") != 1.0 || a.str("saved_by") != second.ID {
		t.Errorf("%s", a.body)
	}

	// Both owners have an app, and nothing else.
	mail := object{"version": 3, "reason": "x", "document": object{"format": 1, "two_factor": "required", "methods": []any{"email"}}}
	if a := put(priya, mail).refused(authn.PolicyForbids); !strings.Contains(a.str("detail"), "no owner") {
		t.Errorf("%s", a.body)
	}
	w.promote(w.AddUser(t, w.Company, "zoe", false).User, directory.Owner) // gets in by e-mail
	if a := put(priya, mail).refused(authn.PolicyForbids); !strings.Contains(a.str("detail"), "you could not") {
		t.Errorf("%s", a.body)
	}
	if a := w.post(policyPath+"/preview", priya, mail).want(200); a.at("preview.groups.stranded.owners") != 2.0 || a.at("preview.groups.stranded.denied.stranded") == nil {
		t.Errorf("a preview may show it: %s", a.body)
	}
}

// A key looks at the policy; it cannot save, since it cannot confirm anything.
func TestPolicyByKey_rul25(t *testing.T) {
	w := newWorld(t)
	_, key, _ := w.key(w.Company, "nina", directory.PolicyWrite)
	w.get(policyPath, key).want(200)
	w.post(policyPath+"/preview", key, required14(1)).want(200)
	a := w.do(call{method: "PUT", path: policyPath, bearer: key, body: required14(1)}).refused(authn.Forbidden)
	if !strings.Contains(a.str("detail"), "program") {
		t.Errorf("%s", a.body)
	}
	_, other, _ := w.key(w.Company, "otto", directory.AuditRead)
	w.get(policyPath, other).refused(authn.Forbidden)
}

func TestPolicyPresetsByJSON(t *testing.T) {
	w := newWorld(t)
	hers := w.signIn(w.owner(w.AddUser(t, w.Company, "maya", true)))
	a := w.get(policyPath+"/presets", hers).want(200)
	list := a.json["items"].([]any)
	if len(list) != len(policy.Presets()) {
		t.Fatalf("%s", a.body)
	}
	for i, p := range policy.Presets() {
		one := list[i].(object)
		if one["name"] != p.Name || one["title"] == "" || one["about"] == "" {
			t.Errorf("%v", one)
		}
		w.UseTexts(t, w.Company)
		w.post(policyPath+"/preview", hers, object{"version": 1, "document": one["document"]}).want(200)
	}
}

// GET /account says every rule that has a say, in words.
func TestWhyByJSON_G3(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", false)
	session := w.signIn(lena)
	rules := func(bearer string) string {
		var out []string
		for _, one := range w.get("/api/v1/account", bearer).want(200).json["why"].([]any) {
			why := one.(object)
			if why["text"] == "" || strings.Contains(why["text"].(string), "{") {
				t.Errorf("%v", why)
			}
			out = append(out, why["rule"].(string))
		}
		return strings.Join(out, " ")
	}
	for want, change := range map[string]func(*policy.Document){
		"":             func(d *policy.Document) { d.TwoFactor = policy.On },
		"switched_off": func(d *policy.Document) { d.TwoFactor = policy.Off },
		"not_offered":  func(d *policy.Document) { d.TwoFactor, d.Internal = policy.On, policy.NotOffered },
	} {
		w.SetPolicy(t, "acme", change)
		if got := rules(session); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		w.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor, d.Internal = policy.On, "" })
	}
	maya := w.AddUser(t, w.Company, "maya", true)
	hers := w.signIn(maya)
	w.SetPolicy(t, "acme", func(d *policy.Document) {
		d.TwoFactor, d.RequireRoles, d.Internal = policy.Required, []string{directory.Member}, policy.RequiredThere
		d.Strength = map[string]policy.Strength{directory.Member: policy.OwnPossession}
	})
	if got := rules(hers); got != "company_requires internal_users role_requires has_factor minimum_strength" {
		t.Errorf("%q", got)
	}
}
