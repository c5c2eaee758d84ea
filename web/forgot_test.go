package web_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// J3, S14: from the sign-in page to a new password, without JavaScript.
func TestForgot_J3(t *testing.T) {
	s := newServer(t)
	p := s.AddUser(t, s.Company, "maya", true)
	in := newBrowser(t, s).signIn(p)
	b := newBrowser(t, s)
	b.get("/signin").shows("main a", "Forgot your password?")
	b.get("/forgot").want(200, "/forgot").shows("h1", "Forgot your password")
	b.submit(mainForm, "login", "").want(422, "/forgot").shows("#login-err", "Enter your e-mail")
	b.submit(mainForm, "login", "maya").want(200, "/forgot/rst_.*").shows("h1", "Enter the code").shows("main", "If there is an account")
	at := b.path
	s.Mail(t, p.Email)
	right := s.LastCode(t, p.Email)
	wrong := "111111"
	if right == wrong {
		wrong = "222222"
	}
	b.submit(mainForm, "code", "12").want(422, at+"/code").shows("#code-err", "")
	action, values := b.fill(b.form(mainForm), "code", wrong)
	b.send(http.MethodPost, action, values)
	b.want(422, at+"/code").shows("#code-err", "match")
	events := eventsOf(t, s)
	// Reload charges nothing (ruling 49).
	b.send(http.MethodPost, action, values)
	b.follow().want(200, at)
	if eventsOf(t, s) != events {
		t.Error("Reload is another guess")
	}
	b.submit(mainForm, "code", wrong).want(422, at+"/code").shows("#code-err", "match")
	other := newBrowser(t, s)
	other.get("/signin").get(at).want(404, at).shows("h1", "another browser")
	b.submit(mainForm, "code", right).want(200, at).shows("h1", "Choose your new password").shows("#new-hint", "At least")
	b.submit(mainForm, "new", "", "confirm", "").want(422, at+"/password").shows("#new-err", "Enter a new password")
	b.submit(mainForm, "new", "sunshine sunshine", "confirm", "sunshine sunshine").want(422, at+"/password").shows("#new-err", "Many people")
	b.submit(mainForm, "new", fresh, "confirm", fresh+"x").want(422, at+"/password").shows("#confirm-err", "differ")
	b.submit(mainForm, "new", fresh, "confirm", fresh).want(200, "/forgot/done").shows("h1", "was changed").shows("#rests", "24 hours")
	b.get(at).want(410, at).shows("h1", "over").get("/forgot/done").want(200, "/signin")
	in.get("/account/security").want(200, "/signin")
	// No session, and the second step as ever.
	b.get("/account/security").want(200, "/signin")
	s.Clock.Advance(time.Minute) // the code of before is used
	b.password("maya", fresh).want(200, "/signin/att_.*").submit(mainForm, "code", s.Code(t, p.Secret)).want(200, "/continue").get("/account/security").want(200, "/account/security")
}

// cve-62: the pages of a name that leads to nobody say what those of one that does
// say.
func TestForgot_cve62_samePages(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "maya", true)
	var pages [2][]string
	for i, login := range []string{"maya", "nobody"} {
		b := newBrowser(t, s)
		b.get("/forgot")
		note := func() { pages[i] = append(pages[i], b.title()+"\n"+b.doc.one(t, "main").words()) }
		b.submit(mainForm, "login", login).want(200, "/forgot/rst_.*")
		note()
		b.submit(mainForm, "code", "12").want(422, ".*/code")
		note()
		b.submit(mainForm, "code", "000000").want(422, ".*/code")
		note()
	}
	for j := range pages[0] {
		if pages[0][j] != pages[1][j] {
			t.Errorf("page %d differs:\n%s\n\n%s", j, pages[0][j], pages[1][j])
		}
	}
}

// rul-4: who has nothing but e-mail waits, and is told until when.
func TestForgot_rul4_waits(t *testing.T) {
	s := newServer(t)
	setPolicy(t, s, policy.Document{Format: 1, TwoFactor: policy.Required})
	p := s.AddUser(t, s.Company, "lena", false)
	b := newBrowser(t, s)
	b.get("/forgot").submit(mainForm, "login", p.Email).want(200, "/forgot/rst_.*")
	s.Mail(t, p.Email)
	b.submit(mainForm, "code", s.LastCode(t, p.Email)).submit(mainForm, "new", fresh, "confirm", fresh).want(200, "/forgot/done")
	b.password("lena", fresh).want(403, "/signin/att_.*").shows("h1", "rest for a day").shows("main time", "")
	s.Clock.Advance(policy.ContactRests + time.Minute)
	b.password("lena", fresh).want(200, "/signin/att_.*")
	b.get("/forgot").submit(mainForm, "login", "lena")
	at := b.path
	s.Clock.Advance(signin.ResetLives)
	b.get(at).want(410, at).shows("h1", "over")
}
