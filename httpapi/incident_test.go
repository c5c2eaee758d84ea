package httpapi_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// Set-up L1 (incident management, ITOC360) by JSON: people choose an authenticator
// app or text messages, the number for signing in is none of those that alerts go
// to, and the password is changed in the same session.
func TestIncidentManagement_L1(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	w.SetTwoFactor(t, "acme", policy.On)
	maya := w.AddUser(t, w.Company, "maya", false)
	const alerts, mfa = "+46701740699", "+46701740605"
	if err := w.Directory.SetPhone(t.Context(), w.Company, maya.ID, directory.Phone{Typed: alerts}); err != nil {
		t.Fatal(err)
	}

	// The password is enough, and is asked again before anything is added.
	begun := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password}).want(201)
	session := begun.str("session.token")
	w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": mfa}).refused(authn.StepUpRequired)
	up := w.post("/api/v1/account/step-up", session, object{}).want(201)
	session = w.post("/api/v1/attempts/"+up.str("id")+"/verify", up.str("token"), object{"method": "password", "password": sallyporttest.Password}).want(200).str("session.token")

	account := w.get("/api/v1/account", session).want(200)
	if account.str("phone") != alerts {
		t.Errorf("the contact number: %s", account.body)
	}
	factor := w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": "070-174 06 05", "country": "SE"}).want(201)
	on := w.post("/api/v1/account/factors/"+factor.str("id")+"/confirm", session, object{"code": w.LastCode(t, mfa)}).want(200)
	if on.str("backup_codes.0") == "" {
		t.Errorf("no backup codes with the first way: %s", on.body)
	}

	// From now on the password alone opens nothing, and the code goes to that number only.
	w.Clock.Advance(time.Hour)
	id, token := w.begin(maya)
	w.post("/api/v1/attempts/"+id+"/complete", token, object{}).refused(authn.Conflict)
	w.sendText(id, token).want(200)
	session = w.verifyText(id, token, w.LastCode(t, mfa)).want(200).str("session.token")
	if n := len(w.texts(alerts)); n != 0 {
		t.Errorf("%d codes went to where alerts go", n)
	}

	// The app beside it, and another password.
	app := w.post("/api/v1/account/factors", session, object{"method": "totp"}).want(201)
	secret, err := otp.DecodeSecret(app.str("totp.secret"))
	if err != nil {
		t.Fatal(err)
	}
	session = w.post("/api/v1/account/factors/"+app.str("id")+"/confirm", session, object{"code": w.Code(t, secret)}).want(200).str("session.token")
	w.Clock.Advance(30 * time.Second)
	const next = "another quiet harbour"
	w.do(call{method: "PUT", path: "/api/v1/account/password", bearer: session, body: object{"current": sallyporttest.Password, "new": next}}).want(200)
	again := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": next}).want(201)
	w.Clock.Advance(30 * time.Second)
	done := w.post("/api/v1/attempts/"+again.str("id")+"/verify", again.str("token"), object{"method": "totp", "code": w.Code(t, secret)}).want(200)
	if done.str("session.acr") != "aal2" {
		t.Errorf("%s", done.body)
	}
}
