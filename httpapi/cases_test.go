package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// Set-up L4 (case management, Trackops) by JSON: people turn the app on themselves and
// are asked at each sign-in; they set it up again and turn it off; and who lost the
// phone goes to an administrator.
func TestCaseManagement_L4(t *testing.T) {
	w := newWorld(t)
	maya, tom := w.AddUser(t, w.Company, "maya", false), w.AddUser(t, w.Company, "tom", false)
	owner := w.owner(maya)
	boss := w.signIn(owner)
	w.preset(boss, "cases", "Cases are confidential.", nil)

	// The picture, the address in it, and the key are one; it counts once it is confirmed.
	session := w.confirmed(maya)
	begun := w.post("/api/v1/account/factors", session, object{"method": "totp"}).want(201)
	if key := begun.str("totp.secret"); key == "" || !strings.Contains(begun.str("totp.otpauth_uri"), "secret="+key) || !strings.HasPrefix(begun.str("totp.qr_svg"), "<svg") {
		t.Errorf("%s", begun.body)
	}
	maya.Secret, maya.Factor = secretOf(t, begun.str("totp.secret")), begun.str("id")
	if a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password}).want(201); a.str("state") != "complete" {
		t.Errorf("asked for before it is confirmed: %s", a.body)
	}
	w.post("/api/v1/account/factors/"+maya.Factor+"/confirm", session, object{"code": w.code(maya)}).want(200)
	app, _ := w.appFor(w.confirmed(tom), "")
	tom.Secret, tom.Factor = app.Secret, app.Factor

	// At each sign-in, by the same browser too.
	b := w.browser()
	for range 2 {
		a := b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "maya", "password": sallyporttest.Password}}).want(201)
		if a.str("state") != "need_factor" || a.str("methods.0.method") != "totp" {
			t.Fatalf("%s", a.body)
		}
		b.do(call{method: "POST", path: "/api/v1/attempts/" + a.str("id") + "/verify?company=acme", body: object{"method": "totp", "code": w.code(maya)}}).want(200)
	}

	// Set up again: the old key signs in until the new one is confirmed, and never after (A5).
	session = w.signIn(maya)
	begun = w.post("/api/v1/account/factors", session, object{"method": "totp", "replaces": maya.Factor}).want(201)
	w.signIn(maya)
	next := sallyporttest.Person{User: maya.User, Secret: secretOf(t, begun.str("totp.secret")), Factor: begun.str("id")}
	session = w.post("/api/v1/account/factors/"+next.Factor+"/confirm", session, object{"code": w.code(next)}).want(200).str("session.token")
	id, token := w.begin(maya)
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(maya)}).refused(authn.WrongCode)
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(next)}).want(200)
	w.told(maya, "A way to verify was set up again")

	// Turned off: the password alone is enough again (A6).
	w.do(call{method: "DELETE", path: "/api/v1/account/factors/" + next.Factor, bearer: session}).want(200)
	w.told(maya, "A way to verify was turned off")
	maya.Secret = nil
	w.signIn(maya)

	// Required of tom in particular: he cannot, and is told why.
	w.post("/api/v1/users/"+tom.ID+"/require", boss, object{"reason": "Witnesses."}).want(204)
	session = w.signIn(tom)
	w.do(call{method: "DELETE", path: "/api/v1/account/factors/" + tom.Factor, bearer: session}).refused(authn.PolicyForbids)
	if a := w.get("/api/v1/account", session).want(200); a.str("why.0.rule") != "user_required" && a.str("why.0.rule") != "has_factor" {
		t.Errorf("%s", a.body)
	}

	// The phone is lost: a help code, with the password, opens the set-up and nothing else.
	w.Clock.Advance(time.Hour / 2)
	w.post("/api/v1/users/"+tom.ID+"/bypass-code", boss, object{"reason": "Phone lost; called back"}).refused(authn.StepUpRequired)
	boss = w.proveAgain(boss, owner)
	help := w.post("/api/v1/users/"+tom.ID+"/bypass-code", boss, object{"reason": "Phone lost; called back"}).want(201)
	id, token = w.begin(tom)
	opened := w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "bypass_code", "code": help.str("code")}).want(200)
	if opened.str("state") != "need_enrolment" {
		t.Fatalf("%s", opened.body)
	}
	w.post("/api/v1/attempts/"+id+"/complete", token, object{}).refused(authn.PolicyForbids)
	app, _ = w.appFor(token, "")
	w.post("/api/v1/attempts/"+id+"/complete", token, object{}).want(200)
	id, token = w.begin(tom)
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(tom)}).refused(authn.WrongCode)
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(app)}).want(200)
	w.told(tom, "A help code was made for you")
	w.told(tom, "A help code was used")
	w.logged(boss, "bypass_code.issued", owner, tom)
	w.logged(boss, "bypass_code.used", tom, tom)
	w.logged(boss, "factor.removed", maya, maya)

	// Or the administrator resets: then the code that stands in leads to a new phone.
	boss = w.proveAgain(boss, owner)
	w.post("/api/v1/users/"+tom.ID+"/reset", boss, object{"reason": "Phone lost again; called back"}).want(204)
	w.told(tom, "Your ways to verify were reset")
	w.logged(boss, "factors.reset", owner, tom)
}
