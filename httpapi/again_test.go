package httpapi_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// A way that policy took away and allows again counts after it was confirmed again
// (rul-2): at sign-in together with a code to the contact, and in a session by a
// step-up with another way. Another company sees nothing of it.
func TestConfirmAgain_rul2(t *testing.T) {
	w := newWorld(t)
	beta := w.AddCompany(t, "beta", "Beta")
	maya, omar, zoe := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "omar", true), w.AddUser(t, beta, "zoe", true)
	w.UseTexts(t, w.Company)
	w.AddPhone(t, omar.User, "+46701740605")
	methods := func(kinds ...authn.Kind) {
		w.SetPolicy(t, "acme", func(d *policy.Document) { d.Methods = kinds })
	}
	methods(authn.SMS, authn.Email, authn.Duo)
	methods(authn.SMS, authn.Email, authn.Duo, authn.TOTP)
	w.Clock.Advance(time.Minute)

	// Maya has nothing else: the app first, and then a code to her address.
	id, token := w.begin(maya)
	a := w.get("/api/v1/attempts/"+id, token).want(200)
	if a.str("methods.0.method") != "totp" || a.at("methods.0.confirm_again") != true {
		t.Errorf("%s", a.body)
	}
	w.post("/api/v1/attempts/"+id+"/challenge", token, object{"method": "email"}).refused(authn.Invalid)
	a = w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.Code(t, maya.Secret)}).want(200)
	if a.str("state") != "need_factor" || a.str("methods.0.method") != "email" || a.str("session.token") != "" {
		t.Fatalf("%s", a.body)
	}
	w.post("/api/v1/attempts/"+id+"/challenge", token, object{"method": "email"}).want(200)
	a = w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "email", "code": w.LastCode(t, maya.Email)}).want(200)
	if a.str("session.acr") != "aal2" {
		t.Fatalf("%s", a.body)
	}
	if f := w.get("/api/v1/account/factors", a.str("session.token")).want(200); f.at("items.0.confirm_again") != nil {
		t.Errorf("%s", f.body)
	}
	w.Clock.Advance(time.Minute)
	w.signIn(maya) // as before

	// Omar signs in by text message, and confirms the app in a step-up.
	id, token = w.begin(omar)
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.Code(t, omar.Secret)}).refused(authn.Invalid)
	w.sendText(id, token).want(200)
	session := w.verifyText(id, token, w.LastCode(t, "+46701740605")).want(200).str("session.token")
	list := w.get("/api/v1/account/factors", session).want(200)
	for _, i := range []string{"0", "1"} {
		if want := list.str("items."+i+".method") == "totp"; (list.at("items."+i+".confirm_again") == true) != want {
			t.Errorf("%s", list.body)
		}
	}
	w.Clock.Advance(2 * time.Minute)
	up := w.post("/api/v1/account/step-up", session, object{"action": "confirm_again.totp"}).want(201)
	id, token = up.str("id"), up.str("token")
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.Code(t, omar.Secret)}).refused(authn.Invalid)
	w.sendText(id, token).want(200)
	a = w.verifyText(id, token, w.LastCode(t, "+46701740605")).want(200)
	if a.str("state") != "need_factor" || a.str("methods.0.method") != "totp" {
		t.Fatalf("%s", a.body)
	}
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.WrongCode(t, omar.Secret)}).refused(authn.WrongCode)
	session = w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.Code(t, omar.Secret)}).want(200).str("session.token")
	if again := w.get("/api/v1/account/factors", session).want(200); again.at("items.0.confirm_again") != nil || again.at("items.1.confirm_again") != nil {
		t.Errorf("%s", again.body)
	}
	events, err := w.Store.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "factor.confirmed_again"})
	if err != nil || len(events) != 2 || events[0].Target != omar.ID {
		t.Errorf("%+v %v", events, err)
	}
	w.Clock.Advance(time.Minute)
	other := w.post("/api/v1/attempts", "", object{"company": "beta", "login": zoe.Login, "password": sallyporttest.Password}).want(201)
	w.post("/api/v1/attempts/"+other.str("id")+"/verify", other.str("token"), object{"method": "totp", "code": w.Code(t, zoe.Secret)}).want(200)
	// Off and on again takes nothing away (G1).
	w.SetTwoFactor(t, "acme", policy.Off)
	w.SetTwoFactor(t, "acme", policy.On)
	w.signIn(maya)
}
