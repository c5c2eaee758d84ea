package httpapi_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// unhurried are the routes of a session that ask for no recent proof, apart from those
// that only read. A route that changes something and is not here has to ask for one.
var unhurried = map[string]string{
	"DELETE /api/v1/session":                           "ends something",
	"DELETE /api/v1/account/sessions":                  "ends something",
	"DELETE /api/v1/account/sessions/{id}":             "ends something",
	"DELETE /api/v1/account/trusted-browsers":          "ends something",
	"DELETE /api/v1/account/trusted-browsers/{id}":     "ends something",
	"POST /api/v1/approvals/{id}/cancel":               "ends something",
	"PATCH /api/v1/account":                            "name, language and a number that no code goes to",
	"PATCH /api/v1/account/sessions/{id}":              "a name",
	"PATCH /api/v1/account/trusted-browsers/{id}":      "a name",
	"POST /api/v1/account/password/strength":           "changes nothing",
	"PATCH /api/v1/account/factors/{id}":               "a name, and what is offered first",
	"POST /api/v1/account/factors/{id}/confirm":        "what was begun with one, by this session",
	"POST /api/v1/account/factors/{id}/send":           "what was begun with one, by this session",
	"POST /api/v1/account/factors/{id}/challenge":      "what was begun with one, by this session",
	"POST /api/v1/users/{id}/factors/{factor}/confirm": "what was begun with one, by this session",
	"POST /api/v1/account/step-up":                     "gives one",
	"POST /api/v1/grants/redeem":                       "for programs; the grant is the proof",
	"POST /api/v1/audit/verify":                        "reads",
	"POST /api/v1/policy/preview":                      "reads",
}

// hurried are the routes that only read, and ask for one all the same.
var hurried = []string{"GET /api/v1/account/export", "GET /api/v1/users/{id}/export"}

// lately sets when the person of a session proved themselves: with a factor, and by
// what stands in for one.
func (w *world) lately(session string, factor, confirmed time.Time) {
	w.t.Helper()
	token, ok := authn.ParseToken(authn.SessionToken, session)
	if !ok {
		w.t.Fatal("no session")
	}
	err := w.Store.Decide(w.t.Context(), authn.Keys{Company: token.Company, SessionToken: token, Now: w.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		rows.Session.FactorTime, rows.Session.ConfirmedAt = factor, confirmed
		return authn.Continue(authn.PutSession{Session: *rows.Session})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// actor is whose session a request carries, who has an app: the person of a route, or
// somebody who administers the company.
func (w *world) actor(session string, p sallyporttest.Person) sallyporttest.Person {
	w.t.Helper()
	id := w.get("/api/v1/account", session).want(200).str("id")
	if id == p.ID {
		return p
	}
	var found sallyporttest.Person
	owners.Range(func(_, o any) bool {
		if o := o.(sallyporttest.Person); o.ID == id {
			found = o
		}
		return found.ID == ""
	})
	if found.Secret == nil {
		w.t.Fatal("a session of nobody who is known")
	}
	return found
}

// byTrust is a session that a trusted browser opened, with the password.
func (w *world) byTrust(p sallyporttest.Person) string {
	w.t.Helper()
	id, token := w.begin(p)
	a := w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(p), "trust_browser": true}).want(200)
	a = w.post("/api/v1/attempts", "", object{"company": w.slug(p), "login": p.Login, "password": sallyporttest.Password, "trusted_browser": a.str("trusted_browser.token")}).want(201)
	if a.str("session.acr") != authn.AAL1 {
		w.t.Fatalf("not by trust: %s", a.body)
	}
	return a.str("session.token")
}

// std-55, cve-18, cve-43, cve-49, cve-50, cve-52, cve-53, cve-74: a session that is open
// is no proof for what matters, whatever it showed and however long ago; nor is what a
// password, a code to a contact, a trusted browser or another session proved just now.
func TestSensitiveRoutesWantARecentProof_I1_std55_cve50_cve52_cve74(t *testing.T) {
	w := newWorld(t)
	var asked []string
	for i, r := range routes {
		if r.kind != authn.SessionToken || strings.HasPrefix(r.pattern, "GET ") && !slices.Contains(hurried, r.pattern) || unhurried[r.pattern] != "" || slices.Contains(asked, r.pattern) {
			continue
		}
		asked = append(asked, r.pattern)
		t.Run(r.pattern, func(t *testing.T) {
			w.t = t
			w.trusting(w.Company) // one of the routes saves other rules
			p := w.AddUser(t, w.Company, "stale"+string(rune('a'+i/26))+string(rune('a'+i%26)), true)
			c := r.good(w, p)
			refused := func(what, session string) {
				t.Helper()
				c := c
				c.bearer = session
				if a := w.do(c).refused(authn.StepUpRequired); a.at("max_age") != 600.0 || a.str("acr_values") != authn.AAL2 {
					t.Errorf("%s: %s", what, a.body)
				}
			}
			who := w.actor(c.bearer, p)
			refused("a trusted browser", w.byTrust(who))
			w.proveAgain(w.signIn(who), who) // what another session proves is not of this one
			now := w.Clock.Now()
			old := now.Add(-10 * time.Minute)
			for what, at := range map[string][2]time.Time{
				"stale": {old, old}, "never": {}, "of tomorrow": {now.Add(time.Hour), now.Add(time.Hour)},
				"the password, or a code to a contact": {{}, now}, "one of these after a stale one": {old, now},
			} {
				w.lately(c.bearer, at[0], at[1])
				refused(what, c.bearer)
			}
			// That was all that was wrong; and after a change of the account the session is none.
			w.lately(c.bearer, now, time.Time{})
			after := c
			if got := w.do(c); got.status != r.status {
				t.Errorf("with a recent one: %d %s", got.status, got.body)
			} else if token := got.str("session.token"); token != "" {
				after.bearer = token
			}
			w.lately(after.bearer, w.Clock.Now(), time.Time{})
			w.moveEpoch(who)
			w.do(after).refused(authn.Unauthenticated)
		})
	}
	if len(asked) < 30 {
		t.Errorf("only %d routes were tried", len(asked))
	}
	for _, p := range slices.Sorted(maps.Keys(unhurried)) {
		if !slices.ContainsFunc(routes, func(r route) bool { return r.pattern == p && r.kind == authn.SessionToken }) {
			t.Errorf("%s is no route of a session", p)
		}
	}
}

// moveEpoch is any change of an account that ends what was proven before (ruling 3).
func (w *world) moveEpoch(p sallyporttest.Person) {
	w.t.Helper()
	err := w.Store.Decide(w.t.Context(), authn.Keys{Company: p.Company, User: p.ID, Now: w.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.Epoch++
		return authn.Continue(authn.PutUser{User: u})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A weaker proof than the person could give is none: the password of somebody who has
// an app (ruling 26).
func TestWeakerProofOpensNothing_rul26_cve52_cve74(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	session := w.signIn(maya)
	w.lately(session, time.Time{}, w.Clock.Now())
	for _, c := range []call{
		{method: "POST", path: "/api/v1/account/factors", body: object{"method": "totp", "replaces": maya.Factor}},
		{method: "POST", path: "/api/v1/account/backup-codes", body: object{}},
		{method: "DELETE", path: "/api/v1/account/factors/" + maya.Factor},
		{method: "POST", path: "/api/v1/account/email", body: object{"email": "maya@new.example"}},
	} {
		c.bearer = session
		if a := w.do(c).refused(authn.StepUpRequired); a.str("acr_values") != authn.AAL2 {
			t.Errorf("%s %s: %s", c.method, c.path, a.body)
		}
	}
	// Nor does anything weaker complete a step-up, for us or for an application: she has
	// a code by e-mail, backup codes, a help code and a trusted browser, too.
	session = w.post("/api/v1/account/backup-codes", w.proveAgain(session, maya), object{}).want(201).str("session.token")
	made := w.post("/api/v1/account/backup-codes", session, object{}).want(201)
	session = made.str("session.token")
	mail := w.post("/api/v1/account/factors", session, object{"method": "email"}).want(201).str("id")
	session = w.post("/api/v1/account/factors/"+mail+"/confirm", session, object{"code": w.LastCode(t, maya.Email)}).want(200).str("session.token")
	help, _, err := w.Directory.BypassCode(t.Context(), w.Company, maya.ID)
	if err != nil {
		t.Fatal(err)
	}
	trusted := w.trusted(maya)
	for _, body := range []object{{}, {"action": "billing.change"}} {
		up := w.post("/api/v1/account/step-up", session, body).want(201)
		at, token := "/api/v1/attempts/"+up.str("id"), up.str("token")
		if up.str("methods.0.method") != "totp" || up.at("methods.1") != nil {
			t.Errorf("offered: %s", up.body)
		}
		w.post(at+"/challenge", token, object{"method": "email"}).field("method", "not_offered")
		for _, weaker := range []object{
			{"method": "password", "password": sallyporttest.Password}, {"method": "email", "code": "123456"},
			{"method": "backup_code", "code": made.str("backup_codes.0")}, {"method": "bypass_code", "code": help},
		} {
			w.post(at+"/verify", token, weaker).field("method", "not_offered")
		}
		w.post(at+"/verify", token, object{"method": "trusted_browser", "code": trusted}).field("method", "not_one_of")
		w.post(at+"/complete", token, object{}).refused(authn.Conflict)
		w.post(at+"/postpone", token, object{}).refused(authn.Conflict)
		w.post(at+"/verify", token, object{"method": "totp", "code": w.code(maya), "trust_browser": true}).refused(authn.PolicyForbids)
		session = w.post(at+"/verify", token, object{"method": "totp", "code": w.code(maya)}).want(200).str("session.token")
	}
}

// A proof that was right when it was begun, and is by a way that is gone since, is none
// (rul-3, cve-51): neither the session nor what is half done of a step-up goes on.
func TestProofByAWayThatIsGone_rul3_cve51(t *testing.T) {
	w := newWorld(t)
	for what, gone := range map[string]func(p sallyporttest.Person, other string){
		"removed": func(p sallyporttest.Person, other string) {
			w.do(call{method: "DELETE", path: "/api/v1/account/factors/" + p.Factor, bearer: other}).want(200)
		},
		"ended by an administrator": func(p sallyporttest.Person, _ string) {
			w.do(call{method: "DELETE", path: "/api/v1/users/" + p.ID + "/factors/" + p.Factor, bearer: w.signIn(w.owner(p)), body: object{"reason": "lost"}}).want(204)
		},
		"reset by e-mail": func(p sallyporttest.Person, _ string) {
			token := w.post("/api/v1/password-resets", "", object{"company": "acme", "login": p.Login}).want(202).str("token")
			w.Mail(t, p.Email)
			w.post("/api/v1/password-resets/verify", "", object{"token": token, "code": w.LastCode(t, p.Email)}).want(200)
			w.post("/api/v1/password-resets/password", "", object{"token": token, "new": newPassword}).want(204)
		},
	} {
		t.Run(what, func(t *testing.T) {
			w.t = t
			p := w.AddUser(t, w.Company, "maya-"+strings.ReplaceAll(what, " ", "-"), true)
			session, other := w.signIn(p), w.signIn(p)
			up := w.post("/api/v1/account/step-up", session, object{}).want(201)
			gone(p, other)
			w.post("/api/v1/account/backup-codes", session, object{}).refused(authn.Unauthenticated)
			a := w.post("/api/v1/attempts/"+up.str("id")+"/verify", up.str("token"), object{"method": "totp", "code": w.code(p)})
			if a.status < 400 || a.str("session.token") != "" {
				t.Errorf("the step-up goes on: %d %s", a.status, a.body)
			}
		})
	}
}
