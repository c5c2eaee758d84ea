package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// chat is the company of set-up L5, whose application asks for proofs before webhooks
// and billing.
type chat struct {
	*world
	t                    *testing.T
	boss, key            string // the owner's session, the application's key
	priya, ada, sam, mia sallyporttest.Person
}

// Set-up L5 (customer chat, Chat360) by JSON: two steps for administrators and agents,
// and for others who like; a proof of its own before webhooks and before billing; every
// new browser proves a second step, is listed and ended.
func TestCustomerChat_L5(t *testing.T) {
	w := newWorld(t, func(c *sallyport.Config) {
		c.Actions = append(c.Actions, authn.Action{Name: "webhooks.change", Title: "see and change the webhooks"})
	})
	c := &chat{world: w, t: t}
	c.sam, c.mia = w.AddUser(t, w.Company, "sam", false), w.AddUser(t, w.Company, "mia", false)
	u, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "ada", Name: "Ada Mensah", Email: "ada@acme.example", Verified: true,
		Roles: []string{directory.Administrator}, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	c.ada, c.priya = sallyporttest.Person{User: u}, w.owner(c.sam)
	c.isDemanded()
	c.isLiked()
	c.provesInEachBrowser()
	c.confirmsTheAction()
	c.growsOld()
}

// isDemanded: the owner makes the role and takes the template, and who holds one of its
// roles sets the app up at the next sign-in, and keeps it.
func (c *chat) isDemanded() {
	before := c.signIn(c.sam)
	c.boss = c.signIn(c.priya)
	c.do(call{method: "PUT", path: "/api/v1/roles/agent", bearer: c.boss, body: object{"title": "Agent", "permissions": []any{}, "reason": "Who chats"}}).want(200)
	c.do(call{method: "PATCH", path: "/api/v1/users/" + c.sam.ID, bearer: c.boss, body: object{"roles": []any{"agent"}, "reason": "He chats"}}).want(200)
	seen := c.preset(c.boss, "chat", "Chats are confidential.", nil)
	if seen.at("preview.groups.set_up.people") != 2.0 {
		c.t.Errorf("the preview: %s", seen.body)
	}
	c.get("/api/v1/session", before).refused(authn.Unauthenticated) // the password alone is not enough any more
	for _, p := range []*sallyporttest.Person{&c.sam, &c.ada} {
		begun := c.emailed("acme", *p)
		id, token := begun.str("id"), begun.str("token")
		if begun.str("state") != "need_enrolment" || begun.str("why.0") != "role_requires" {
			c.t.Errorf("%s: %s", p.Login, begun.body)
		}
		c.post("/api/v1/attempts/"+id+"/complete", token, object{}).refused(authn.PolicyForbids)
		app, ready := c.appFor(token, "")
		p.Secret, p.Factor = app.Secret, app.Factor
		session := c.post("/api/v1/attempts/"+id+"/complete", token, object{}).want(200).str("session.token")
		c.do(call{method: "DELETE", path: "/api/v1/account/factors/" + p.Factor, bearer: session}).refused(authn.PolicyForbids)

		// The backup codes are theirs to keep or not; one signs in once.
		answer := object{"method": "backup_code", "code": ready.str("backup_codes.0")}
		id, token = c.begin(*p)
		c.post("/api/v1/attempts/"+id+"/verify", token, answer).want(200)
		id, token = c.begin(*p)
		c.post("/api/v1/attempts/"+id+"/verify", token, answer).refused(authn.CodeUsed)
	}
}

// isLiked: nothing is demanded of a member, who turns the app on in the settings and is
// then asked for it.
func (c *chat) isLiked() {
	session := c.confirmed(c.mia)
	if why := c.get("/api/v1/account", session).want(200).at("why"); len(why.([]any)) > 0 {
		c.t.Errorf("mia must nothing: %v", why)
	}
	app, _ := c.appFor(session, "")
	c.mia.Secret, c.mia.Factor = app.Secret, app.Factor
	c.told(c.mia, "A way to verify was turned on")
	c.signIn(c.mia)
}

// provesInEachBrowser: an agent's browser can be trusted, an administrator's cannot;
// another one proves itself, is listed and ended.
func (c *chat) provesInEachBrowser() {
	begin := func(p sallyporttest.Person, trusted string) answer {
		body := object{"company": "acme", "login": p.Login, "password": sallyporttest.Password}
		if trusted != "" {
			body["trusted_browser"] = trusted
		}
		return c.post("/api/v1/attempts", "", body).want(201)
	}
	if a := begin(c.ada, ""); a.str("state") != "need_factor" || a.at("methods.0").(object)["trust_days"] != nil {
		c.t.Errorf("%s", a.body)
	}
	a := begin(c.sam, "")
	if a.at("methods.0.trust_days") != 30.0 {
		c.t.Errorf("%s", a.body)
	}
	a = c.post("/api/v1/attempts/"+a.str("id")+"/verify", a.str("token"), object{"method": "totp", "code": c.code(c.sam), "trust_browser": true}).want(200)
	old, trusted := a.str("session.token"), a.str("trusted_browser.token")
	a = begin(c.sam, trusted)
	if a.str("state") != "complete" || a.str("session.acr") != "aal1" {
		c.t.Fatalf("%s", a.body)
	}
	trusted = a.str("trusted_browser.token")
	if a := begin(c.sam, ""); a.str("state") != "need_factor" {
		c.t.Errorf("another browser: %s", a.body)
	}
	here := c.signIn(c.sam)
	there := sessionID(old)
	listed := c.get("/api/v1/account/sessions", here).want(200)
	if !strings.Contains(string(listed.body), there) || !strings.Contains(string(listed.body), sessionID(here)) {
		c.t.Errorf("%s", listed.body)
	}
	c.do(call{method: "DELETE", path: "/api/v1/account/sessions/" + there, bearer: here}).want(204)
	c.get("/api/v1/session", old).refused(authn.Unauthenticated)
	for _, id := range c.trustedIDs(here) {
		c.do(call{method: "DELETE", path: trustedBrowsers + "/" + id, bearer: here}).want(204)
	}
	if a := begin(c.sam, trusted); a.str("state") != "need_factor" {
		c.t.Errorf("still trusted: %s", a.body)
	}
	c.told(c.sam, "New sign-in to")
}

// confirmsTheAction: the application asks for a proof of webhooks.change and of one
// request, and redeems it with its key. It opens nothing else.
func (c *chat) confirmsTheAction() {
	_, key, err := c.Directory.CreateKey(c.t.Context(), directory.TheOperator(c.Company.ID), directory.NewKey{Name: "chat", Owner: c.priya.ID, Scopes: []string{"grants.redeem"}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.key = key.Reveal()
	hashOf := func(url string) string {
		sum := sha256.Sum256([]byte("POST\n/webhooks/0\n" + url))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	hash := hashOf("https://crm.example.com/hooks/two")
	up := c.post("/api/v1/account/step-up", c.signIn(c.ada), object{"action": "webhooks.change", "request_hash": hash}).want(201)
	if up.str("state") != "need_factor" {
		c.t.Errorf("a sign-in of a moment ago is taken for it: %s", up.body)
	}
	c.post("/api/v1/attempts/"+up.str("id")+"/verify", up.str("token"), object{"method": "totp", "code": c.WrongCode(c.t, c.ada.Secret)}).refused(authn.WrongCode)
	done := c.post("/api/v1/attempts/"+up.str("id")+"/verify", up.str("token"), object{"method": "totp", "code": c.code(c.ada)}).want(200)
	ask := func(action, hash string, p sallyporttest.Person) answer {
		return c.post("/api/v1/grants/redeem", c.key, object{"token": done.str("grant.token"), "action": action, "request_hash": hash, "user": p.ID, "acr": "aal2"})
	}
	ask("billing.change", hash, c.ada).field("action", "grant_other")
	ask("webhooks.change", hashOf("https://evil.example/in"), c.ada).field("request_hash", "grant_other")
	ask("webhooks.change", hash, c.sam).field("user", "grant_other")
	if a := ask("webhooks.change", hash, c.ada).want(200); a.str("user.id") != c.ada.ID || a.str("acr") != "aal2" {
		c.t.Errorf("%s", a.body)
	}
	ask("webhooks.change", hash, c.ada).refused(authn.Conflict)

	// Billing takes one of its own, which ends with the sign-in.
	done = c.granted(c.ada, object{"action": "billing.change"})
	c.do(call{method: "DELETE", path: "/api/v1/session", bearer: done.str("session.token")}).want(204)
	ask("billing.change", "", c.ada).refused(authn.Expired)
}

// growsOld: proofs count for five minutes in this company, those for our own pages too.
func (c *chat) growsOld() {
	done := c.granted(c.ada, object{"action": "billing.change"})
	c.Clock.Advance(5 * time.Minute)
	redeem := object{"token": done.str("grant.token"), "action": "billing.change", "user": c.ada.ID}
	c.post("/api/v1/grants/redeem", c.key, redeem).refused(authn.Expired)
	body := object{"method": "totp", "replaces": c.ada.Factor}
	if a := c.post("/api/v1/account/factors", done.str("session.token"), body).refused(authn.StepUpRequired); a.at("max_age") != 300.0 {
		c.t.Errorf("%s", a.body)
	}
	c.post("/api/v1/account/factors", c.proveAgain(done.str("session.token"), c.ada), body).want(201)
	c.boss = c.proveAgain(c.boss, c.priya)
	if a := c.get("/api/v1/audit/events?limit=1&type=grant.redeemed", c.boss).want(200); a.str("items.0.target") != c.ada.ID || a.str("items.0.detail.action") != "webhooks.change" {
		c.t.Errorf("%s", a.body)
	}
}
