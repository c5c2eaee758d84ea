package httpapi_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

type kept = inbox.Kept

// From an invitation to a session with a way of one's own, ruling 1.
func TestInvitation(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	w.ownWay(0)
	token := w.invited(maya, "ines")
	look := func(token string) answer { return w.post("/api/v1/invitations/look", "", object{"token": token}) }
	accept := func(token, password string) answer {
		return w.post("/api/v1/invitations/accept", "", object{"token": token, "password": password})
	}
	for range 3 { // looking uses nothing up
		if a := look(token).want(200); a.str("login") != "ines" || a.at("password_min_length") != 8.0 || bytes.Contains(a.body, []byte("sp_")) {
			t.Errorf("look: %s", a.body)
		}
	}
	accept(token, "short").field("password", "too_short")
	w.post("/api/v1/invitations/accept", "", object{"token": token, "password": newPassword, "return_to": "//evil.example"}).field("return_to", "invalid")
	// The link of another company, of another kind, of nobody.
	forged, _ := authn.ParseToken(authn.LinkToken, token)
	forged.Company = w.other.ID
	session := w.signIn(maya)
	for _, bad := range []string{"x", noLink, forged.Reveal(), token[:len(token)-1], strings.ToUpper(token), session, w.notMe(maya)} {
		look(bad).refused(authn.NotFound)
		accept(bad, newPassword).refused(authn.NotFound)
	}
	a := accept(token, newPassword).want(201)
	if a.str("state") != "need_enrolment" || a.str("token") == "" || a.at("session") != nil {
		t.Fatalf("accept: %s", a.body)
	}
	look(token).refused(authn.Conflict)
	accept(token, newPassword).refused(authn.Conflict)
	p := w.post("/api/v1/account/factors", a.str("token"), object{"method": "totp"}).want(201)
	code := w.code(sallyporttest.Person{Secret: secretOf(t, p.str("totp.secret"))})
	w.post("/api/v1/account/factors/"+p.str("id")+"/confirm", a.str("token"), object{"code": code}).want(200)
	if a := w.post("/api/v1/attempts/"+a.str("id")+"/complete", a.str("token"), object{}).want(200); a.str("session.acr") != "aal2" {
		t.Errorf("complete: %s", a.body)
	}
	old := w.invited(maya, "joan")
	w.Clock.Advance(7 * 24 * time.Hour)
	look(old).refused(authn.Expired)
	accept(old, newPassword).refused(authn.Expired)
}

// One invitation, one sign-in; by cookie the session is in the cookie.
func TestInvitationOnce(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	token := w.invited(maya, "ines")
	var wg sync.WaitGroup
	answers := make([]answer, 10)
	for i := range answers {
		wg.Go(func() {
			answers[i] = w.post("/api/v1/invitations/accept", "", object{"token": token, "password": newPassword})
		})
	}
	wg.Wait()
	good := 0
	for _, a := range answers {
		if a.status == 201 {
			good++
		} else {
			a.refused(authn.Conflict)
		}
	}
	if good != 1 {
		t.Errorf("accepted %d times", good)
	}
	b := w.browser()
	a := b.do(call{method: "POST", path: "/api/v1/invitations/accept", body: object{"token": w.invited(maya, "joan"), "password": newPassword}}).want(201)
	if a.str("state") != "complete" || bytes.Contains(a.body, []byte("sp_")) || b.jar[cookies.Session()] == "" {
		t.Errorf("accept: %s", a.body)
	}
	b.do(call{method: "GET", path: "/api/v1/session"}).want(200)
}

// Ruling 35: "this wasn't me" ends everything, lets nobody in, and asks for a
// new password behind a further proof.
func TestNotMe(t *testing.T) {
	w := newWorld(t)
	maya, zoe := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.other, "maya", true)
	hers, theirs := w.signIn(maya), w.signIn(zoe)
	open, opened := w.begin(maya)
	token := w.notMe(maya)
	forged, _ := authn.ParseToken(authn.LinkToken, token)
	forged.Company = w.other.ID
	for _, bad := range []string{"x", noLink, forged.Reveal(), hers, w.invited(maya, "ines")} {
		w.post("/api/v1/not-me", "", object{"token": bad}).refused(authn.NotFound)
	}
	w.get("/api/v1/session", hers).want(200)
	a := w.post("/api/v1/not-me", "", object{"token": token}).want(200)
	if a.at("email_restored") != false || bytes.Contains(a.body, []byte("sp_")) || len(a.header["Set-Cookie"]) > 0 || bytes.Contains(a.body, []byte("maya")) {
		t.Errorf("secured: %s %v", a.body, a.header)
	}
	w.post("/api/v1/not-me", "", object{"token": token}).refused(authn.Conflict)
	w.get("/api/v1/session", hers).refused(authn.Unauthenticated)
	w.get("/api/v1/session", theirs).want(200)
	if a := w.get("/api/v1/attempts/"+open, opened); a.status != 404 && a.status != 410 {
		t.Errorf("an attempt of before: %d %s", a.status, a.body)
	}
	id, attempt := w.begin(maya)
	path := "/api/v1/attempts/" + id
	w.post(path+"/password", attempt, object{"new": newPassword}).refused(authn.Conflict) // not before the code
	a = w.post(path+"/verify", attempt, object{"method": "totp", "code": w.code(maya)}).want(200)
	if a.str("state") != "need_password_change" || a.at("session") != nil {
		t.Errorf("verify: %s", a.body)
	}
	w.post(path+"/complete", attempt, object{}).refused(authn.Conflict)
	w.post(path+"/password", attempt, object{"new": "short"}).field("new", "too_short")
	a = w.post(path+"/password", attempt, object{"new": newPassword}).want(200)
	if a.str("session.acr") != "aal2" || a.str("state") != "complete" {
		t.Errorf("password: %s", a.body)
	}
	w.post(path+"/password", attempt, object{"new": newPassword + "!"}).refused(authn.Conflict)
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password}).refused(authn.WrongCredentials)
	w.get("/api/v1/account", a.str("session.token")).want(200)
}

// Why nobody is let in has a stable word, and a sentence.
func TestDenials(t *testing.T) {
	w := newWorld(t)
	w.required("none", "")
	w.SetTwoFactor(t, "acme", policy.Required)
	noMail := newWorld(t, sallyporttest.NoMail())
	noMail.required("lena", "lena@acme.example")
	for _, c := range []struct {
		w           *world
		login, want string
	}{{w, "none", "no_contact"}, {noMail, "lena", "no_contact"}} {
		a := c.w.post("/api/v1/attempts", "", object{"company": "acme", "login": c.login, "password": sallyporttest.Password}).want(201)
		if a.str("state") != "denied" || a.str("denied") != c.want || !strings.Contains(a.str("detail"), "Ask your admin") {
			t.Errorf("%s: %s", c.login, a.body)
		}
	}
	// Whoever has just changed their address gets no code there.
	lena := w.AddUser(t, w.Company, "lena", false)
	session := w.emailed("acme", lena).str("session.token")
	w.Clock.Advance(time.Minute)
	up := w.post("/api/v1/account/step-up", session, object{}).want(201)
	proof := object{"method": "password", "password": sallyporttest.Password}
	if up.str("state") == "need_factor" {
		w.post("/api/v1/attempts/"+up.str("id")+"/challenge", up.str("token"), object{"method": "email"}).want(200)
		proof = object{"method": "email", "code": w.LastCode(t, lena.Email)}
	}
	session = w.post("/api/v1/attempts/"+up.str("id")+"/verify", up.str("token"), proof).want(200).str("session.token")
	a := w.post("/api/v1/account/email", session, object{"email": "lena@new.example"}).want(201)
	w.post("/api/v1/account/factors/"+a.str("id")+"/confirm", session, object{"code": w.LastCode(t, "lena@new.example")}).want(200)
	a = w.post("/api/v1/attempts", "", object{"company": "acme", "login": "lena", "password": sallyporttest.Password}).want(201)
	if a.str("denied") != "new_contact" || a.str("detail") == "" {
		t.Errorf("new address: %s", a.body)
	}
}
