package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const trustedBrowsers = "/api/v1/account/trusted-browsers"

// trusting lets browsers of a company be trusted for 30 days.
func (w *world) trusting(c authn.Company) {
	w.t.Helper()
	w.SetPolicy(w.t, c.Slug, func(d *policy.Document) { d.TrustDays = 30 })
}

// trust signs a person in, and has the browser trusted.
func (w *world) trust(p sallyporttest.Person) answer {
	w.t.Helper()
	w.trusting(w.companyOf(p))
	id, token := w.begin(p)
	return w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(p), "trust_browser": true}).want(200)
}

func (w *world) trusted(p sallyporttest.Person) string {
	return w.trust(p).str("trusted_browser.token")
}

func (w *world) trustingSession(p sallyporttest.Person) string {
	return w.trust(p).str("session.token")
}

func (w *world) trustedIDs(session string) (ids []string) {
	w.t.Helper()
	for _, one := range w.get(trustedBrowsers, session).want(200).at("items").([]any) {
		ids = append(ids, one.(map[string]any)["id"].(string))
	}
	return ids
}

// The whole way by JSON: the token is given once, changes at each use, and is listed
// and ended.
func TestTrustedBrowser_rul29(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	begin := func(token string) answer {
		body := object{"company": "acme", "login": p.Login, "password": sallyporttest.Password}
		if token != "" {
			body["trusted_browser"] = token
		}
		return w.post("/api/v1/attempts", "", body).want(201)
	}
	// Without a policy there is nothing to ask for, and nothing is counted.
	a := begin("")
	if _, there := a.at("methods.0").(map[string]any)["trust_days"]; there {
		t.Error("offered without a policy")
	}
	path, token := "/api/v1/attempts/"+a.str("id"), a.str("token")
	w.post(path+"/verify", token, object{"method": "totp", "code": "000000", "trust_browser": true}).refused(authn.PolicyForbids)
	w.trusting(w.Company)
	if a := begin(""); a.at("methods.0").(map[string]any)["trust_days"] != 30.0 {
		t.Errorf("%s", a.body)
	}
	a = w.trust(p)
	first, session := a.str("trusted_browser.token"), a.str("session.token")
	if a.str("session.acr") != authn.AAL2 {
		t.Errorf("%s", a.body)
	}
	w.Clock.Advance(time.Minute)
	a = begin(first)
	second, theirs := a.str("trusted_browser.token"), a.str("session.token")
	if a.str("state") != "complete" || a.str("session.acr") != authn.AAL1 || second == first {
		t.Fatalf("%s", a.body)
	}
	// rul-7: it is told once.
	if a := w.get("/api/v1/attempts/"+a.str("id"), "").status; a != 401 {
		t.Errorf("status %d", a)
	}
	// Within 30 seconds the one before is good, and gives no other.
	if a := begin(first); a.str("state") != "complete" || a.at("trusted_browser") != nil {
		t.Errorf("%s", a.body)
	}
	if ids := w.trustedIDs(theirs); len(ids) != 1 {
		t.Errorf("%v", ids)
	}
	if w.get(trustedBrowsers, theirs).at("items.0.current") != true {
		t.Error("not the one that asks")
	}
	// What asks for a recent proof asks (rul-26), and where the password is to be changed.
	w.post("/api/v1/account/factors", theirs, object{"method": "email"}).refused(authn.StepUpRequired)
	w.post("/api/v1/account/backup-codes", theirs, object{}).refused(authn.StepUpRequired)
	id := w.trustedIDs(session)[0]
	w.do(call{method: "DELETE", path: trustedBrowsers + "/tru_06gvqojiq1tch8gdppkvf1jp7k", bearer: session}).refused(authn.NotFound)
	w.do(call{method: "DELETE", path: trustedBrowsers + "/" + id, bearer: session}).want(204)
	w.do(call{method: "DELETE", path: trustedBrowsers + "/" + id, bearer: session}).refused(authn.NotFound)
	if a := begin(second); a.str("state") != "need_factor" {
		t.Errorf("%s", a.body)
	}
	// A session that rested on it alone is over; one that proved more is not.
	w.get("/api/v1/session", theirs).refused(authn.Unauthenticated)
	w.get("/api/v1/session", session).want(200)
	w.do(call{method: "DELETE", path: trustedBrowsers, bearer: session}).want(204)
	if ids := w.trustedIDs(session); len(ids) != 0 {
		t.Errorf("%v", ids)
	}
}

// Another person's are neither seen nor ended (cve-57).
func TestTrustedBrowsersOfOthers_cve57(t *testing.T) {
	w := newWorld(t)
	p, omar := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "omar", true)
	mine, theirs := w.trustingSession(p), w.trustingSession(omar)
	id := w.trustedIDs(mine)[0]
	w.do(call{method: "DELETE", path: trustedBrowsers + "/" + id, bearer: theirs}).refused(authn.NotFound)
	w.do(call{method: "DELETE", path: trustedBrowsers, bearer: theirs}).want(204)
	if ids := w.trustedIDs(mine); len(ids) != 1 || ids[0] != id {
		t.Errorf("%v", ids)
	}
}

// J2: a trusted browser has a name of the person's own; nobody else gives it one.
func TestTrustedBrowser_named(t *testing.T) {
	w := newWorld(t)
	p, q := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "omar", true)
	mine, theirs := w.trustingSession(p), w.trustingSession(q)
	path := trustedBrowsers + "/" + w.trustedIDs(mine)[0]
	patch := func(bearer, name string) answer {
		return w.do(call{method: "PATCH", path: path, bearer: bearer, body: object{"name": name}})
	}
	if a := patch(mine, " Kitchen laptop ").want(200); a.str("name") != "Kitchen laptop" || a.str("agent") == "" || a.at("current") != true {
		t.Errorf("%s", a.body)
	}
	for _, name := range []string{"", "  ", strings.Repeat("x", 61), "a\u202eb"} {
		patch(mine, name).refused(authn.Invalid)
	}
	patch(theirs, "Mine").refused(authn.NotFound)
	if a := w.get(trustedBrowsers, mine).want(200); a.str("items.0.name") != "Kitchen laptop" {
		t.Errorf("%s", a.body)
	}
	if a := w.get("/api/v1/account/events", mine).want(200); !strings.Contains(string(a.body), "trusted_browser.renamed") {
		t.Errorf("%s", a.body)
	}
	w.do(call{method: "DELETE", path: path, bearer: mine}).want(204)
	patch(mine, "Gone").refused(authn.NotFound)
}
