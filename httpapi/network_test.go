package httpapi_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// Set-up L3 (network services, Total Uptime) by JSON: the preset for the whole
// company, codes at once, two minutes, ways that an administrator sets up, and the
// account of a program.
func TestNetworkServices_L3(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	w.UseDuo(t, w.Company)
	priya := w.owner(w.AddUser(t, w.Company, "maya", true))
	grace, lena, tom := w.AddUser(t, w.Company, "grace", false), w.AddUser(t, w.Company, "lena", false), w.AddUser(t, w.Company, "tom", false)
	omar, bot := w.AddUser(t, w.Company, "omar", false), w.AddUser(t, w.Company, "monitor", false)
	owner := w.signIn(priya)
	user := func(p sallyporttest.Person) string { return "/api/v1/users/" + p.ID }
	w.do(call{method: "PATCH", path: user(grace), bearer: owner, body: object{"phone": nadiasNumber, "reason": "From the contract"}}).want(200)

	// The preset, looked at and saved; who was in by the password is out.
	was := w.signIn(lena)
	var network policy.Document
	for _, p := range policy.Presets() {
		if p.Name == "network" {
			network = p.Document
		}
	}
	change := object{"version": w.policyVersion("acme"), "document": network, "reason": "The contract asks for it"}
	w.post(policyPath+"/preview", owner, change).want(200)
	w.do(call{method: "PUT", path: policyPath, bearer: owner, body: change}).want(200)
	w.get("/api/v1/account", was).refused(authn.Unauthenticated)
	until := w.Clock.Now().Add(time.Hour).Format(time.RFC3339)
	w.post(user(grace)+"/exempt", owner, object{"reason": "On a journey", "until": until}).refused(authn.PolicyForbids)

	// With the right password the code goes out; for two minutes, as the sign-in.
	begin := func(p sallyporttest.Person) answer {
		return w.post("/api/v1/attempts", "", object{"company": "acme", "login": p.Login, "password": sallyporttest.Password}).want(201)
	}
	verify := func(a answer, method, code string) answer {
		return w.post("/api/v1/attempts/"+a.str("id")+"/verify", a.str("token"), object{"method": method, "code": code})
	}
	a := begin(grace)
	if len(w.texts(nadiasNumber)) != 1 || a.str("session.token") != "" || a.str("methods.0.method") != "sms" {
		t.Fatalf("no code at once: %s", a.body)
	}
	w.post("/api/v1/attempts/"+a.str("id")+"/complete", a.str("token"), object{}).refused(authn.Conflict)
	w.Clock.Advance(2 * time.Minute)
	verify(a, "sms", w.LastCode(t, nadiasNumber)).refused(authn.Expired)
	a = begin(grace)
	verify(a, "sms", w.LastCode(t, nadiasNumber)).want(200)
	a = begin(lena)
	session := verify(a, "email", w.LastCode(t, lena.Email)).want(200).str("session.token")

	// What the rules leave out is prepared for nobody.
	owner = w.proveAgain(owner, priya)
	w.post(user(lena)+"/factors", owner, object{"method": "sms", "phone": lenasNumber, "reason": "New"}).refused(authn.PolicyForbids)
	w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": lenasNumber}).refused(authn.StepUpRequired)

	// Duo, prepared for Omar; the app, set up with Tom, who sets it up anew.
	w.Duo.AddUser(duoUser("omar"))
	w.post(user(omar)+"/factors", owner, object{"method": "duo", "username": "omar", "reason": "His first day"}).want(201)
	app := w.post(user(tom)+"/factors", owner, object{"method": "totp", "reason": "Beside me"}).want(201)
	seen, err := otp.DecodeSecret(app.str("totp.secret"))
	if err != nil {
		t.Fatal(err)
	}
	w.post(user(tom)+"/factors/"+app.str("id")+"/confirm", owner, object{"code": w.Code(t, seen)}).want(204)
	w.Clock.Advance(30 * time.Second)
	a = begin(tom)
	if got := verify(a, "totp", w.Code(t, seen)).want(200); got.str("state") != "need_enrolment" || got.str("methods.0.method") != "totp" {
		t.Errorf("an app that others have seen: %s", got.body)
	}

	// The account of a program.
	w.do(call{method: "PUT", path: "/api/v1/roles/reader", bearer: owner, body: object{"title": "Reads the log", "permissions": []any{"audit.read"}, "reason": "Monitoring"}}).want(200)
	on := w.do(call{method: "PUT", path: user(bot) + "/api", bearer: owner, body: object{"role": "reader", "owner": "grace", "reason": "Watches the log",
		"expires_at": w.Clock.Now().AddDate(0, 3, 0).Format(time.RFC3339)}}).want(200)
	secret := on.str("secret")
	basic := func() answer {
		return w.do(call{method: "GET", path: auditPath, header: map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("acme/monitor:"+secret))}})
	}
	basic().want(200)
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": "monitor", "password": secret}).refused(authn.WrongCredentials)
	if again := w.get(user(bot)+"/api", owner).want(200); secret == "" || again.str("secret") != "" {
		t.Errorf("a secret is shown once: %s", again.body)
	}
	w.post(user(bot)+"/api/off", owner, object{"reason": "Another does it"}).want(200)
	basic().refused(authn.Unauthenticated)
}
