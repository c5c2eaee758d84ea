package httpapi_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// preset saves a template of the policy, changed, as the owner does it by JSON: it is
// looked at first. The answer is the preview.
func (w *world) preset(owner, name, reason string, change object) answer {
	w.t.Helper()
	var doc object
	for _, p := range w.get(policyPath+"/presets", owner).want(200).at("items").([]any) {
		if p.(object)["name"] == name {
			doc = p.(object)["document"].(object)
		}
	}
	maps.Copy(doc, change)
	version := w.get(policyPath, owner).want(200).at("version")
	body := object{"version": version, "reason": reason, "document": doc}
	seen := w.post(policyPath+"/preview", owner, body).want(200)
	saved := w.do(call{method: "PUT", path: policyPath, bearer: owner, body: body}).want(200)
	if version.(float64)+1 != saved.at("version") {
		w.t.Errorf("%s", saved.body)
	}
	return seen
}

// appFor sets an app up in a session or an attempt, and gives its confirmation.
func (w *world) appFor(bearer, replaces string) (sallyporttest.Person, answer) {
	w.t.Helper()
	body := object{"method": "totp"}
	if replaces != "" {
		body["replaces"] = replaces
	}
	a := w.post("/api/v1/account/factors", bearer, body).want(201)
	p := sallyporttest.Person{Secret: secretOf(w.t, a.str("totp.secret")), Factor: a.str("id")}
	return p, w.post("/api/v1/account/factors/"+p.Factor+"/confirm", bearer, object{"code": w.code(p)}).want(200)
}

// told checks that somebody got a letter with this subject.
func (w *world) told(p sallyporttest.Person, subject string) {
	w.t.Helper()
	if !slices.ContainsFunc(w.Mail(w.t, p.Email), func(m kept) bool { return strings.HasPrefix(m.Subject, subject) }) {
		w.t.Errorf("%s was not told %q", p.Login, subject)
	}
}

// logged checks that the newest event of a type is an act of one about the other.
func (w *world) logged(session, typ string, by, about sallyporttest.Person) {
	w.t.Helper()
	a := w.get("/api/v1/audit/events?limit=1&type="+typ, session).want(200)
	if a.str("items.0.type") != typ || a.str("items.0.actor") != by.ID || a.str("items.0.target") != about.ID {
		w.t.Errorf("the log of %s: %s", typ, a.body)
	}
}

// Set-up L2 (business software, Q360) by JSON: the app, for customers required and for
// staff as they like; and one member of staff is required in particular.
func TestBusinessSoftware_L2(t *testing.T) {
	w := newWorld(t)
	lena, nadia := w.AddUser(t, w.Company, "lena", false), w.AddUser(t, w.Company, "nadia", false)
	owner := w.owner(lena)
	u, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "omar", Name: "Omar Aziz", Email: "omar@acme.example", Verified: true,
		Audience: authn.ExternalAudience, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	omar := sallyporttest.Person{User: u}

	// The template, with customers required; an old proof does not do.
	boss := w.signIn(owner)
	w.Clock.Advance(time.Hour / 2)
	w.do(call{method: "PUT", path: policyPath, bearer: boss, body: object{"version": 1, "reason": "x", "document": object{"format": 1, "two_factor": "on"}}}).refused(authn.StepUpRequired)
	boss = w.proveAgain(boss, owner)
	seen := w.preset(boss, "business", "Customers see our books.", object{"external": "required"})
	if seen.at("preview.groups.set_up.people") != 1.0 || seen.at("preview.groups.set_up.audiences.external") != 1.0 || seen.at("preview.groups.nothing.audiences.internal") != 2.0 {
		t.Errorf("the preview: %s", seen.body)
	}

	// Who must, and has not; and one member of staff must in particular.
	due := func(want ...string) {
		t.Helper()
		got := []string{}
		list := w.get("/api/v1/users?set_up=due", boss).want(200)
		for _, p := range list.at("items").([]any) {
			got = append(got, p.(object)["login"].(string))
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("must, and have not: %q, want %q", got, want)
		}
	}
	due("omar")
	w.post("/api/v1/users/"+nadia.ID+"/require", boss, object{"reason": "She keeps the accounts."}).want(204)
	w.told(nadia, "You need a second way to verify")
	due("nadia", "omar")
	for p, rule := range map[string]string{nadia.ID: "user_required", omar.ID: "external_users", lena.ID: ""} {
		if a := w.get("/api/v1/users/"+p, boss).want(200); a.str("why.0") != rule || a.at("two_factor_required") != (p == nadia.ID) {
			t.Errorf("%s", a.body)
		}
	}

	// Staff may: the password is enough, and is asked for again before an app is added.
	session := w.confirmed(lena)
	if why := w.get("/api/v1/account", session).want(200).at("why"); len(why.([]any)) > 0 {
		t.Errorf("lena must nothing: %v", why)
	}
	app, on := w.appFor(session, "")
	if lena.Secret = app.Secret; on.str("backup_codes.0") == "" {
		t.Errorf("%s", on.body)
	}
	w.told(lena, "A way to verify was turned on")
	w.signIn(lena)

	// A customer must, and so must nadia: the code that stands in opens the set-up only,
	// and the reason is said before and after.
	for _, p := range []struct {
		sallyporttest.Person
		rule, text string
	}{{omar, "external_users", "asks its customers and partners"}, {nadia, "user_required", "Your admin at Acme Projects asks you"}} {
		begun := w.emailed("acme", p.Person)
		if begun.str("state") != "need_enrolment" || begun.str("why.0") != p.rule {
			t.Errorf("%s: %s", p.Login, begun.body)
		}
		id, token := begun.str("id"), begun.str("token")
		w.post("/api/v1/attempts/"+id+"/complete", token, object{}).refused(authn.PolicyForbids)
		app, ready := w.appFor(token, "")
		if ready.str("state") != "ready" {
			t.Errorf("%s: %s", p.Login, ready.body)
		}
		session := w.post("/api/v1/attempts/"+id+"/complete", token, object{}).want(200).str("session.token")
		a := w.get("/api/v1/account", session).want(200)
		if a.str("why.0.rule") != p.rule || !strings.Contains(a.str("why.0.text"), p.text) {
			t.Errorf("%s: %s", p.Login, a.body)
		}
		w.do(call{method: "DELETE", path: "/api/v1/account/factors/" + app.Factor, bearer: session}).refused(authn.PolicyForbids)
		p.Secret = app.Secret
		// What somebody else did is told without their browser and network.
		events := w.get("/api/v1/account/events", w.signIn(p.Person)).want(200)
		for _, e := range events.at("items").([]any) {
			if e := e.(object); e["type"] == "user.two_factor_required" && (e["agent"] != nil || e["address"] != nil) {
				t.Errorf("%s is told where from the owner acts: %v", p.Login, e)
			}
		}
	}
	due()
	w.logged(boss, "user.two_factor_required", owner, nadia)
	w.logged(boss, "factor.confirmed", nadia, nadia)
	if a := w.get("/api/v1/audit/events?type=policy.changed", boss).want(200); a.str("items.0.actor") != owner.ID || a.str("items.0.detail.reason") != "Customers see our books." {
		t.Errorf("%s", a.body)
	}
}
