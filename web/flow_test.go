package web_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

// languages are all that pages are drawn in: those of people, and the two that
// show what is not translated or does not fit.
func languages() []string {
	return append(text.Default().Languages(), text.PseudoLong, text.PseudoRTL)
}

// Every page, in every language, by somebody without JavaScript.
func TestEveryPage(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", false)
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			tour(b, maya, omar)
			if got := b.doc.one(t, "html").attrs["lang"]; got != lang {
				t.Errorf("the pages are in %s", got)
			}
			if len(b.seen) < 15 {
				t.Errorf("only %d pages: %v", len(b.seen), b.seen)
			}
		})
	}
}

func tour(b *browser, maya, omar sallyporttest.Person) {
	s, t := b.s, b.t
	b.get("/signin").want(200, "/signin").submit(mainForm, "login", "", "password", "x").want(422, "/signin")
	b.submit(mainForm, "login", "maya", "password", "").want(422, "/signin")
	b.submit(mainForm, "login", "maya", "password", "wrong").want(422, "/signin")
	b.submit(mainForm, "login", "maya", "password", sallyporttest.Password).want(200, "/signin/att_.*")
	for _, code := range []string{"", "123", "1234567", "abcdef", s.WrongCode(t, maya.Secret), s.WrongCode(t, maya.Secret)} {
		b.submit(mainForm, "code", code).want(422, "/signin/att_.*")
	}
	b.submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
	b.get("/account").want(200, "/account").submit("main form[action=/account]", "name", "").want(422, "/account")
	b.submit("main form[action=/account]", "name", "Maya Lindqvist").want(200, "/account")
	b.submit(syncForm).want(200, "/account/security/app/fac_.*")
	b.get("/account/security").want(200, "/account/security")
	b.get(passkeysPage).want(200, passkeysPage).submit("#none form").want(200, passkeysPage+"/fac_.*").submit(passkeyForm).want(422, passkeysPage+"/fac_.*/confirm")
	b.get("/account/security/app/off").want(200, "/account/security/app/off")
	b.get("/account/password").want(200, "/account/password").submit(mainForm, "current", "x", "new", "short", "confirm", "short").want(422, "/account/password")
	b.submit(mainForm, "current", "", "new", "", "confirm", "").want(422, "/account/password")
	b.submit(mainForm, "current", "a", "new", "b", "confirm", "c").want(422, "/account/password")
	s.Clock.Advance(20 * time.Minute)
	b.begin("/account/password").submit(mainForm, "code", s.WrongCode(t, maya.Secret)).want(422, "/account/confirm/att_.*")
	b.submit(mainForm, "code", "").want(422, "/account/confirm/att_.*")
	b.get("/account/security/app/fac_00000000000000000000000000").want(404, ".*")
	s.SetTwoFactor(t, "acme", policy.Required)
	b.get("/account/security").want(200, "/account/security").get("/account/security/app/off").want(200, "/account/security/app/off")
	s.SetTwoFactor(t, "acme", policy.Off)
	b.get("/account/security").want(200, "/account/security")
	s.SetTwoFactor(t, "acme", policy.Required)
	passkey := s.AddPasskey(t, maya.User, s.Passkeys(t))
	b.get(passkeysPage).want(200, passkeysPage).submit("#"+passkey+" form", "name", "").want(422, passkeysPage+"/fac_.*/name")
	s.Clock.Advance(time.Minute)
	b.begin(passkeysPage + "/" + passkey + "/off")
	step := b.path
	b.get(step+"?way=choose").want(200, step).get(step+"?way=webauthn").want(200, step).submit(mainForm).want(422, step)
	b.get(step).submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, passkeysPage+"/fac_.*/off").get("/account/security").want(200, "/account/security")
	b.get("/nothing/here").want(404, "/nothing/here")
	b.get("/signout").want(200, "/signout").submit(mainForm).want(200, "/signin").submit(alonePasskey).want(422, "/signin/passkey")
	b.password("maya", sallyporttest.Password).get(b.path+"?way=choose").want(200, "/signin/att_.*").get(b.path[:strings.Index(b.path, "?")]+"?way=webauthn").want(200, "/signin/att_.*")
	b.submit(passkeyForm).want(422, "/signin/att_.*")
	b.password("omar", sallyporttest.Password).want(200, "/signin/att_.*").press("[formaction]").want(200, "/signin/att_.*")
	b.get(b.path+"?way=help").want(200, "/signin/att_.*")
	addUnverified(b.t, s, "nora")
	b.password("nora", sallyporttest.Password).want(403, "/signin/att_.*")
	b.get("/signin/att_00000000000000000000000000").want(404, ".*")
	b.password("maya", sallyporttest.Password)
	s.Clock.Advance(16 * time.Minute)
	b.get(b.path).want(410, "/signin/att_.*")
	s.AddCompany(t, "beta", "Beta & Söhne")
	b.get("/signin").want(200, "/signin").get("/signin?company=nobody").want(404, "/signin")
	b.get("/signin?company=+BETA").want(200, "/c/beta/signin")
	b.get("/signin?company=").want(422, "/signin")
}

// The whole of A and F by plain HTTP: sign in, set up again, turn off, turn on,
// change the password, sign out (A1–A7, F1, J1).
func TestWithoutJavaScript_A1_A5_A6_A7_F1_J1(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.get("/account/security?x=1").want(200, "/signin")
	b.submit(mainForm, "login", " MAYA@acme.example ", "password", sallyporttest.Password).want(200, "/signin/att_.*")
	b.shows("h1", "Enter the code").shows("#code-hint strong", "Acme Projects")
	b.submit(mainForm, "code", spaced(s.Code(t, maya.Secret))).want(200, "/continue")
	if got := b.header.Get("Refresh"); got != "0; url=/account/security?x=1" {
		t.Errorf("Refresh: %q", got)
	}
	b.get(b.doc.one(t, "main a.btn").attrs["href"]).want(200, "/account/security").shows(".pill.ok", "Two-step sign-in is on")

	// Set up again, from the user menu (A7); the page can be reloaded, a wrong
	// code keeps the same key (A2), and the old secret works until the new one does.
	b.submit(syncForm).want(200, "/account/security/app/fac_.*").shows(".note", "This replaces the one you added 21 Nov 2026")
	key := b.doc.one(t, "#key").attrs["data-value"]
	if b.get(b.path).doc.one(t, "#key").attrs["data-value"] != key || b.doc.one(t, "#key").words() != strings.TrimSpace(fours(key)) {
		t.Errorf("another key after Reload, or not in fours: %s", b.doc.one(t, "#key").words())
	}
	if len(b.doc.all(".qr svg path")) != 2 || !strings.HasPrefix(b.doc.one(t, "a.otpauth").attrs["href"], "otpauth://totp/Acme%20Projects:maya@acme.example?") {
		t.Errorf("the QR code, or %s", b.doc.one(t, "a.otpauth").attrs["href"])
	}
	fresh, err := otp.DecodeSecret(key)
	if err != nil {
		t.Fatal(err)
	}
	b.submit(mainForm, "code", sallyporttest.CodeAt(t, fresh, s.Clock.Now().Add(-4*time.Minute))).want(422, "/account/security/app/fac_.*/confirm")
	b.shows("#code-err", "about 4 minutes behind")
	if b.doc.one(t, "#key").attrs["data-value"] != key {
		t.Error("a wrong code changed the key (A2)")
	}
	other := newBrowser(t, s)
	s.Clock.Advance(30 * time.Second)
	other.signIn(maya)
	b.submit(mainForm, "code", s.Code(t, fresh)).want(200, "/account/security/backup-codes").shows(".note.ok", "set up again").saved()
	if other.get("/account/security").want(200, "/signin"); other.cookie("sallyport_session") == "" {
		t.Error("the browser forgot its cookie by itself")
	}
	s.Clock.Advance(30 * time.Second)
	other.password("maya", sallyporttest.Password).submit(mainForm, "code", s.Code(t, maya.Secret)).want(422, "/signin/att_.*")
	other.submit(mainForm, "code", s.Code(t, fresh)).want(200, "/continue")

	// Off, with a fresh proof.
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/security/app/off").shows("#act", "to turn off your authenticator app")
	b.submit(mainForm, "code", s.Code(t, fresh)).want(200, "/account/security/app/off")
	b.submit(mainForm).want(200, "/account/security").shows(".note.ok", "turned off").shows(".pill.warn", "Two-step sign-in is off")
	other.get("/account/security").want(200, "/signin")

	// On again: with nothing else, the password confirms.
	s.Clock.Advance(11 * time.Minute)
	b.submit(appForm).want(200, "/account/confirm/att_.*").submit(mainForm, "password", "wrong").want(422, "/account/confirm/att_.*")
	b.shows("#password-err", "not your current password").submit(mainForm, "password", sallyporttest.Password).want(200, "/account/security/app/fac_.*")
	again, err := otp.DecodeSecret(b.doc.one(t, "#key").attrs["data-value"])
	if err != nil {
		t.Fatal(err)
	}
	b.submit(mainForm, "code", s.Code(t, again)).want(200, "/account/security/backup-codes").shows(".note.ok", "is on")
	b.saved().shows(".note.ok", "backup codes are saved")

	// A new password; the other sessions end.
	const next = "seven green tractors"
	b.get("/account/password").submit(mainForm, "current", sallyporttest.Password, "new", next, "confirm", next).want(200, "/account/security").shows(".note.ok", "password is changed")
	b.submit(signOutForm).want(200, "/signin").shows(".note.ok", "signed out")
	if b.cookie("sallyport_session") != "" {
		t.Error("the cookie is still there")
	}
	b.get("/account").want(200, "/signin")
	b.password("maya", sallyporttest.Password).want(422, "/signin").submit(mainForm, "password", next).want(200, "/signin/att_.*")
}

func fours(key string) string {
	var b strings.Builder
	for i, r := range key {
		b.WriteRune(r)
		if i%4 == 3 {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// spaced is a code as apps show it, in full-width digits (A4).
func spaced(code string) string {
	wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, code)
	return wide[:9] + " " + wide[9:]
}

func TestSignInTells(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.password("maya", "wrong").want(422, "/signin").shows("#problem", "don’t match")
	wrong := b.doc.one(t, "main").words()
	if in := b.doc.one(t, "#login"); in.attrs["value"] != "maya" || !b.doc.one(t, "#password").has("autofocus") {
		t.Error("the name is gone, or the focus")
	}
	// Decision 9: the same words for somebody who does not exist.
	b.password("nobody", "wrong").want(422, "/signin")
	if got := b.doc.one(t, "main").words(); got != wrong {
		t.Errorf("%q, not %q", got, wrong)
	}

	// Rules 22, 23, 30 and S3: five texts; advice from the second wrong code on,
	// how many are left from the fourth; then the pause, with its end.
	b.password("maya", sallyporttest.Password)
	for code, says := range map[string]string{"": "Enter the 6-digit code", "12 34": "Enter all of them", "1234567": "Remove the extra", "12345x": "only digits"} {
		b.submit(mainForm, "code", code).want(422, "/signin/att_.*").shows("#code-err", says)
	}
	for i := 1; i <= 10; i++ {
		b.submit(mainForm, "code", s.WrongCode(t, maya.Secret))
		if i == 10 {
			break
		}
		if got := len(b.doc.all("#clock")); (got == 1) != (i >= 2) {
			t.Errorf("try %d: %d boxes about the clock", i, got)
		}
		if got := strings.Contains(b.doc.one(t, "#code-err").words(), "left"); got != (i >= 4) {
			t.Errorf("try %d: %s", i, b.doc.one(t, "#code-err").words())
		}
	}
	b.want(429, "/signin/att_.*").shows("h1", "Paused").shows(".note", "1 minute").shows(".note time", "09:15 UTC")
	if b.header.Get("Retry-After") != "30" {
		t.Errorf("Retry-After %q", b.header.Get("Retry-After"))
	}
	b.get(b.path).want(200, "/signin/att_.*").shows("h1", "Paused")
	b.setCookie("sallyport_zone", "330") // the browser's own clock
	b.get(b.path).shows(".note time", "14:45")
	s.Clock.Advance(31 * time.Second)
	b.get(b.path).want(200, "/signin/att_.*").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")

	// Used: neither charged nor called wrong (ruling 44).
	b.submitFresh(maya).want(422, "/signin/att_.*").shows("#code-err", "You’ve used that one")
}

// submitFresh signs out, and in again with the code that was used just now.
func (b *browser) submitFresh(p sallyporttest.Person) *browser {
	b.t.Helper()
	b.get("/account").submit(signOutForm)
	return b.password(p.Login, sallyporttest.Password).submit(mainForm, "code", b.s.Code(b.t, p.Secret))
}

// A locked app says so, and says what to do; S10.
func TestLocked(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account/security").submit(signOutForm)
	for range policy.Share(authn.Known) {
		s.Clock.Advance(2 * time.Hour)
		b.password("maya", sallyporttest.Password).want(200, "/signin/att_.*").submit(mainForm, "code", s.WrongCode(t, maya.Secret))
	}
	b.want(423, "/signin/att_.*").shows("h1", "turned off").shows("main", "Ask your admin at Acme Projects")
	b.get(b.path).want(200, "/signin/att_.*").shows("h1", "turned off")
}

func TestPasswordPaused(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	for range 10 {
		b.password("maya", "wrong").want(422, "/signin")
	}
	b.password("maya", sallyporttest.Password).want(429, "/signin").shows("#problem", "at 09:15 UTC")
	if b.doc.one(t, "#login").attrs["value"] != "maya" || b.header.Get("Retry-After") == "" {
		t.Error("the name is gone, or there is no Retry-After")
	}
}

// Someone of whom a second way is demanded, and who has none (ruling 1).
func TestDenied_rul1(t *testing.T) {
	s := newServer(t)
	addUnverified(t, s, "omar")
	s.SetTwoFactor(t, "acme", policy.Required)
	b := newBrowser(t, s)
	b.password("omar", sallyporttest.Password).want(403, "/signin/att_.*").shows("main", "asks everyone").shows("main", "Ask your admin")
	if all := b.doc.all(mainForm); len(all) != 1 || !strings.HasSuffix(all[0].attrs["action"], "/help") || b.cookie("sallyport_session") != "" {
		t.Error("there is a way on")
	}
	b.get("/account/security").want(200, "/signin")
}

// F4: what took too long begins again, with the name and the way back kept.
func TestAttemptExpires_F4(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.get("/account/password").submit(mainForm, "login", "maya", "password", sallyporttest.Password)
	s.Clock.Advance(15 * time.Minute)
	b.submit(mainForm, "code", s.Code(t, maya.Secret)).want(410, "/signin/att_.*").shows(".note", "took too long")
	if b.doc.one(t, "#login").attrs["value"] != "maya" {
		t.Error("the name has to be typed again")
	}
	b.submit(mainForm, "password", sallyporttest.Password).submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
	if got := b.doc.one(t, "main a.btn").attrs["href"]; got != "/account/password" {
		t.Errorf("leads to %s", got)
	}
}

func TestCookiesOff(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.get("/signin?return_to=/account")
	action, values := b.fill(b.form(mainForm), "login", "maya", "password", sallyporttest.Password)
	b.http.Jar = nil
	b.send(http.MethodPost, action, values)
	b.want(400, "/signin").shows("#problem", "Allow cookies")
	if b.doc.one(t, "#login").attrs["value"] != "maya" || b.doc.one(t, "[novalidate] [name=return_to]").attrs["value"] != "/account" {
		t.Error("more is lost than the password")
	}
}

func TestAlreadySignedIn(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya)
	b.get("/signin").want(200, "/account/security")
	b.get("/signin?return_to=/account").want(200, "/account")
	b.get("/").want(200, "/account/security")
	b.get("/.well-known/change-password").want(200, "/account/password")
	b.get("/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200").want(404, ".*")
}

// Two tabs: signing in twice leaves one session, and nothing in between fails.
func TestTwoTabs(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	b.get("/signin")
	action, second := b.fill(b.form(mainForm), "login", "maya", "password", sallyporttest.Password)
	b.submit(mainForm, "login", "maya", "password", sallyporttest.Password).want(200, "/continue")
	b.send(http.MethodPost, action, second)
	b.follow().want(200, "/continue").get("/account/security")
	if got := len(b.doc.all("[aria-labelledby=where] .item")); got != 1 {
		t.Errorf("%d sessions", got)
	}
}

func TestCompanies_rul5(t *testing.T) {
	s := newServer(t)
	beta := s.AddCompany(t, "beta", "Beta Works")
	nils := s.AddUser(t, beta, "nils", true)
	b := newBrowser(t, s)
	b.get("/account").want(200, "/signin").shows("h1", "Which company")
	b.get("/signin?return_to=%2Faccount&company=beta").want(200, "/c/beta/signin").shows(".brand", "Beta Works")
	b.submit(mainForm, "login", "nils", "password", sallyporttest.Password).want(200, "/c/beta/signin/att_.*")
	path := b.path
	b.submit(mainForm, "code", s.Code(t, nils.Secret)).want(200, "/continue")
	b.get("/account").shows(".brand", "Beta Works").submit(signOutForm).want(200, "/c/beta/signin")
	b.get("/account").want(200, "/c/beta/signin") // remembered
	// Nothing of one company is found in another.
	b.get(strings.Replace(path, "/c/beta", "/c/acme", 1)).want(404, ".*")
	b.get("/c/nobody/signin").want(404, ".*")
	b.get("/c/beta/signin").submit(mainForm, "login", "maya", "password", sallyporttest.Password).want(422, "/c/beta/signin")
}

func TestProfile(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account").submit("main form[action=/account]", "name", " Maya  Lindqvist ").want(200, "/account").shows(".note.ok", "saved")
	if got := b.doc.one(t, "#name").attrs["value"]; got != "Maya Lindqvist" {
		t.Errorf("%q", got)
	}
	b.shows(".avatar", "ML")
	b.submit("main form[action=/account]", "name", strings.Repeat("x", 101)).want(422, "/account").shows("#name-err", "at most 100")
	if got := b.doc.one(t, "#name").attrs["value"]; len(got) != 101 {
		t.Errorf("what was typed is gone: %q", got)
	}
}

func TestAppearance(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	theme := func(form, value string) {
		t.Helper()
		action, values := b.fill(b.form(form))
		values.Set("theme", value)
		b.send(http.MethodPost, action, values)
		b.follow()
	}
	b.get("/signin?return_to=/account")
	theme("form.themes", "dark")
	if b.want(200, "/signin").doc.one(t, "html").attrs["data-theme"] != "dark" || b.doc.one(t, "[novalidate] [name=return_to]").attrs["value"] != "/account" {
		t.Error("not dark, or not the same page")
	}
	b.signIn(maya).get("/account")
	theme(".menu-theme", "light")
	if got := b.want(200, "/account").doc.one(t, "html").attrs["data-theme"]; got != "light" {
		t.Errorf("%q", got)
	}
	theme(".menu-theme", "auto")
	if b.doc.one(t, "html").has("data-theme") {
		t.Error("still set")
	}
	theme(".menu-theme", "neon")
	b.want(422, "/appearance")
}

func TestSecurityPage(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b, other := newBrowser(t, s), newBrowser(t, s)
	b.password("maya", "wrong")
	s.Clock.Advance(time.Second)
	b.signIn(maya)
	s.Clock.Advance(2 * time.Minute)
	other.signIn(maya)
	b.get("/account/security").shows("#recent ", "Recent").shows(".events td", "Wrong password").shows(".events td", "Signed in with password and a second step")
	if rows := b.doc.all("[aria-labelledby=where] .item"); len(rows) != 2 || !strings.Contains(rows[0].words(), "This browser") {
		t.Fatalf("%d sessions", len(rows))
	}
	b.submit("main form[action=/account/security/sign-out-others]").want(200, "/account/security").shows(".note.ok", "everywhere else")
	other.get("/account/security").want(200, "/signin")
	if rows := b.doc.all("[aria-labelledby=where] .item"); len(rows) != 1 || len(b.doc.all("form[action=/account/security/sign-out-others]")) != 0 {
		t.Error("others are still there, or the button")
	}
	// The last one under a policy: no button, and who decided.
	s.SetTwoFactor(t, "acme", policy.Required)
	b.get("/account/security").shows("#app .pill", "Set by your company")
	if len(b.doc.all("[href=/account/security/app/off]")) != 0 {
		t.Error("it can be turned off")
	}
	b.get("/account/security/app/off").want(200, ".*").shows("#last", "can’t turn it off")
	if len(b.doc.all("main form[action=/account/security/app/off]")) != 0 {
		t.Error("there is a button")
	}
	// A6 on the server's side too.
	s.SetTwoFactor(t, "acme", policy.On)
	action, values := b.get("/account/security/app/off").fill(b.form(mainForm))
	s.SetTwoFactor(t, "acme", policy.Required)
	b.send(http.MethodPost, action, values)
	b.want(403, action)
}

func TestSetUpEnds(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account").submit(syncForm).want(200, "/account/security/app/fac_.*")
	first := b.path
	b.get("/account/security").shows("#app a", "Continue set-up")
	b.submit(syncForm).want(200, "/account/security/app/fac_.*")
	second := b.path
	// Beginning again leaves one pending, not two (tutanota #9789).
	b.get(first).want(404, first).shows("h1", "over").submit(mainForm).want(200, "/account/security/app/fac_.*")
	b.get(second).want(404, second)
	b.get("/account/security").get(b.doc.one(t, "#app .item-d a").attrs["href"]).want(200, "/account/security/app/fac_.*")
	pending := b.path
	action, values := b.fill(b.form(mainForm))
	_ = action
	b.send(http.MethodPost, b.doc.one(t, "[formaction]").attrs["formaction"], values)
	b.follow().want(200, "/account/security").shows(".note.ok", "cancelled")
	b.get(pending).want(404, pending)
	// Cancelling by the address of the app that counts removes nothing.
	b.get("/account/security")
	_, values = b.fill(b.form("#app form[action=/account/security/app]"))
	b.send(http.MethodPost, "/account/security/app/"+maya.Factor+"/cancel", values)
	b.follow().shows(".pill.ok", "Two-step sign-in is on")
	// Set-up lives 30 minutes.
	b.submit(syncForm)
	pending = b.path
	s.Clock.Advance(31 * time.Minute)
	b.get(pending).want(410, pending).shows("button", "Show a new code")
	b.submit(mainForm).want(200, "/account/confirm/att_.*").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/account/security/app/fac_.*")
	for i := range 10 {
		b.submit(mainForm, "code", "000000")
		if i == 9 {
			b.want(422, ".*").shows("#code-err", "Too many wrong codes").shows(".note.warn", "1 minute")
		}
	}
}

func TestPasswordPage(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account/password").want(200, "/account/password").shows("#new-hint", "At least 15")
	const good = "seven green tractors"
	for _, c := range []struct{ current, next, again, id, says string }{
		{"", good, good, "current-err", "Enter your current"},
		{"wrong", good, good, "current-err", "not your current"},
		{sallyporttest.Password, "", "", "new-err", "Enter a new"},
		{sallyporttest.Password, "short", "short", "new-err", "at least 15"},
		{sallyporttest.Password, good, good + "x", "confirm-err", "differ"},
		{sallyporttest.Password, "maya maya maya maya", "maya maya maya maya", "new-err", "your name"},
	} {
		b.submit(mainForm, "current", c.current, "new", c.next, "confirm", c.again).want(422, "/account/password").shows("#"+c.id, c.says)
	}
	before := b.cookie("sallyport_session")
	b.submit(mainForm, "current", sallyporttest.Password, "new", good, "confirm", good).want(200, "/account/security")
	if b.cookie("sallyport_session") == before {
		t.Error("the session was not issued anew")
	}
	// Of someone of whom a second way is demanded, eight are enough (std-1) …
	maya = s.AddUser(t, s.Company, "nils", true)
	s.SetTwoFactor(t, "acme", policy.Required)
	other := newBrowser(t, s)
	other.signIn(maya)
	other.get("/account/password").shows("#new-hint", "At least 8")
	// … and a session on the password alone is over (cve-53).
	b.get("/account/password").want(200, "/signin")
}

func TestConfirm(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya)
	s.Clock.Advance(11 * time.Minute)
	events := eventsOf(t, s)
	b.get("/account/confirm?then=/account").want(200, "/account/confirm").shows("#act", "to continue")
	if got := eventsOf(t, s); got != events {
		t.Error("looking began something")
	}
	b.submit(beginForm).want(200, "/account/confirm/att_.*")
	for range 4 {
		b.submit(mainForm, "code", s.WrongCode(t, maya.Secret)).want(422, "/account/confirm/att_.*").shows("#code-err", "didn’t match")
	}
	b.shows("#code-err", "6 tries left").shows("#clock", "automatic date and time")
	b.submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/account")
	// Confirmed: the page leads on at once.
	b.get("/account/confirm?for=password").want(200, "/account/password")
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/confirm?then=/account")
	for range 10 {
		b.submit(mainForm, "code", s.WrongCode(t, maya.Secret))
	}
	b.want(422, "/account/confirm/att_.*").shows("main", "not checked for a while").get(b.path).want(200, ".*").shows(".note", "1 minute")
	if len(b.doc.all("#code")) != 0 {
		t.Error("there is a field that nothing reads")
	}
}

// What is confirmed, and where it leads, is the attempt's; the address and the
// form can say what they like.
func TestConfirmNamesTheAct(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya)
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/confirm?for=app_off")
	action := b.path
	b.get(action+"?for=password&then=/account").shows("#act", "turn off your authenticator app")
	_, values := b.fill(b.form(mainForm), "code", s.Code(t, maya.Secret))
	values.Set("for", "password")
	values.Set("then", "/account")
	b.send(http.MethodPost, action, values)
	b.follow().want(200, "/account/security/app/off")
}

func TestHealth(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		res, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

// Too many wrong passwords: paused wherever the password is asked for.
func TestPasswordPausedInside(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	b.signIn(maya).begin("/account/confirm")
	for range 10 {
		b.submit(mainForm, "password", "wrong")
	}
	b.shows("#password-err", "not your current password").submit(mainForm, "password", sallyporttest.Password).want(429, "/account/confirm/att_.*")
	b.shows("#password-err", "Too many wrong passwords. You can try again in 1 minute, at 09:15 UTC.")
	b.begin("/account/confirm").submit(mainForm, "password", sallyporttest.Password).want(429, "/account/confirm/att_.*").shows("#password-err", "Too many wrong passwords")
	b.get("/account/password").submit(mainForm, "current", sallyporttest.Password, "new", "seven green tractors", "confirm", "seven green tractors")
	b.want(429, "/account/password").shows("#current-err", "at 09:15 UTC")
	s.Clock.Advance(31 * time.Second)
	b.begin("/account/confirm").submit(mainForm, "password", sallyporttest.Password).want(200, "/account/security")
}

// The forms that another tab has made old lead somewhere sensible.
func TestOldForms(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account/security")
	_, sync := b.fill(b.form("#app form[action=/account/security/app]"))
	b.get("/account/security/app/off")
	_, off := b.fill(b.form(mainForm))
	b.submit(mainForm).want(200, "/account/security")
	// The session was issued anew: a form of before is not taken, and the page as
	// it is now says why.
	b.send(http.MethodPost, "/account/security/app", sync)
	b.follow().want(200, "/account/security").shows("#notice", "in another tab")
	off.Set("form", b.formValue())
	b.send(http.MethodPost, "/account/security/app/off", off)
	b.follow().want(200, "/account/security")
	sync.Set("form", b.formValue())
	b.send(http.MethodPost, "/account/security/app", sync) // replaces what is not there
	b.follow().want(200, "/account/security")
	b.get("/account/security/app/off").want(200, "/account/security")
	// An attempt that was completed in another tab.
	b.get("/account").submit(signOutForm)
	s.Clock.Advance(time.Minute)
	b.password("maya", sallyporttest.Password).want(200, "/continue")
	b.get("/signin/x").want(404, ".*")
}

// An app that the company put to sleep, and a session that is over.
func TestOff(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account")
	_, sync := b.fill(b.form(syncForm))
	s.SetTwoFactor(t, "acme", policy.Off)
	b.get("/account/security").shows("#ways", "Ways").shows("main", "does not use two-step sign-in").shows("#app", "no code is asked for")
	if len(b.doc.all("#app form")) != 0 || len(b.doc.all(syncForm)) != 0 {
		t.Error("there is something to set up")
	}
	b.send(http.MethodPost, "/account/security/app", sync)
	if b.follow(); b.status != 403 && b.status != 200 {
		t.Errorf("%d", b.status)
	}
	s.Clock.Advance(61 * time.Minute)
	b.get("/account/security").want(200, "/signin")
	if got := b.doc.one(t, "[novalidate] [name=return_to]").attrs["value"]; got != "/account/security" {
		t.Errorf("leads back to %q", got)
	}
	b.send(http.MethodPost, "/account/password", sync)
	if got := b.header.Get("Location"); got != "/signin?return_to=%2Faccount%2Fpassword" {
		t.Errorf("leads back to %q", got)
	}
}

// Languages: by browser, by choice before signing in, by the profile after it.
func TestLanguages(t *testing.T) {
	english, err := os.ReadFile("../text/locales/en.json")
	if err != nil {
		t.Fatal(err)
	}
	texts, err := text.Load(fstest.MapFS{"en.json": {Data: english},
		"ar.json": {Data: []byte(`{"page.language.name": "العربية", "page.signin.title": "دخول", "page.security.title": "الأمان"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	s := sallyporttest.NewServer(t, func(c *sallyport.Config) { c.Catalogue = texts })
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	b.get("/signin").shows("h1", "Sign in").submit("form.languages", "language", "ar").want(200, "/signin").shows("h1", "دخول")
	if b.doc.one(t, "html").attrs["dir"] != "rtl" {
		t.Error("not from right to left")
	}
	b.signIn(maya).get("/account/security").shows("h1", "الأمان").get("/account")
	b.submit("main form[action=/account]", "name", "Maya", "locale", "en").want(200, "/account").get("/account/security").shows("h1", "Security")
	b.submit(signOutForm).want(200, "/signin").shows("h1", "Sign in")
	b.signIn(maya).get("/account").submit("main form[action=/account]", "name", "Maya", "locale", "").want(200, "/account")
	action, values := b.fill(b.form("main form[action=/account]"))
	values.Set("locale", "xx")
	b.send(http.MethodPost, action, values)
	b.want(422, "/account")
	// Without a choice the browser decides.
	fresh := newBrowser(t, s)
	fresh.send(http.MethodGet, "/signin", nil, "Accept-Language", "ar-EG, en;q=0.5")
	fresh.shows("h1", "دخول")
	fresh.send(http.MethodPost, "/appearance", url.Values{"form": {httpserveForm(fresh.cookie("sallyport_browser"))}, "language": {"xx"}})
	fresh.want(422, "/appearance")
}

// The languages that are built in are offered by their own names, and the choice
// of a language that there is not, or not any more, does no harm.
func TestChoosingPolish(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	b.get("/signin").shows("h1", "Sign in").shows("form.languages option[lang=pl]", "Polski")
	b.submit("form.languages", "language", "pl").want(200, "/signin").shows("h1", "Zaloguj się").shows("form.languages option[selected]", "Polski")
	if got := b.cookie("sallyport_lang"); got != "pl" {
		t.Errorf("the cookie says %q", got)
	}
	// The choice holds after signing in, also against what the browser prefers.
	b.signIn(maya)
	b.send(http.MethodGet, "/account/security", nil, "Accept-Language", "en")
	b.shows("h1", "Bezpieczeństwo")
	if got := b.header.Get("Content-Language"); got != "pl" {
		t.Errorf("Content-Language %q", got)
	}
	// The profile's language follows a person to another browser.
	b.get("/account").submit("main form[action=/account]", "name", "Maya", "locale", "pl").want(200, "/account")
	other := newBrowser(t, s)
	other.get("/signin").shows("h1", "Sign in").signIn(maya).get("/account").shows("h1", "Profil").shows("#locale option[selected]", "Polski")

	for _, tt := range []struct{ cookie, accept, want string }{
		{"", "pl-PL,pl;q=0.9,en;q=0.8", "Zaloguj się"}, {"", "xx", "Sign in"}, {"xx", "", "Sign in"}, {"xx", "pl", "Zaloguj się"},
		{"pl-PL", "en", "Zaloguj się"}, {"en", "pl", "Sign in"}, {strings.Repeat("pl,", 40), "en", "Sign in"}, {"%00", "pl", "Zaloguj się"},
	} {
		fresh := newBrowser(t, s)
		if tt.cookie != "" {
			fresh.setCookie("sallyport_lang", tt.cookie)
		}
		fresh.send(http.MethodGet, "/signin", nil, "Accept-Language", tt.accept)
		if fresh.status != 200 {
			t.Errorf("%+v: %d", tt, fresh.status)
		}
		fresh.shows("h1", tt.want)
	}
}

// A step-up's form that is old leads to the attempt as it is, uncharged.
func TestStaleStepUp_rul49(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya)
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/confirm?for=password")
	action, wrong := b.fill(b.form(mainForm), "code", s.WrongCode(t, maya.Secret))
	for i := range 2 { // a double click: one attempt, one charge
		b.send(http.MethodPost, action, wrong)
		if got := tries(t, s, maya); got != 1 || (b.status == 422) != (i == 0) {
			t.Errorf("%d: %d tries, %d", i, got, b.status)
		}
	}
	for _, version := range []string{wrong.Get("version"), "", "0"} {
		wrong.Set("version", version)
		b.send(http.MethodPost, action, wrong)
		if b.status != 303 || !strings.HasPrefix(b.header.Get("Location"), action) {
			t.Errorf("version %q: %d %s", version, b.status, b.header.Get("Location"))
		}
	}
	if got := tries(t, s, maya); got != 1 {
		t.Errorf("%d tries", got)
	}
	_, right := b.get(action).fill(b.form(mainForm), "code", s.Code(t, maya.Secret))
	b.send(http.MethodPost, action, right)
	b.follow().want(200, "/account/password")
	b.get(action).want(200, "/account/confirm") // that one is over
	// The same form again: of the session before, and of an attempt that is over.
	b.send(http.MethodPost, action, right)
	b.follow().want(200, "/account/confirm")
	// Twice the same code: neither charged nor called wrong.
	s.Clock.Advance(11 * time.Minute)
	code := s.Code(t, maya.Secret)
	b.begin("/account/confirm").submit(mainForm, "code", code).want(200, "/account/security")
	b.begin("/account/confirm").submit(mainForm, "code", code).want(422, "/account/confirm/att_.*").shows("#code-err", "You’ve used that one")
}

// A double click on Turn on: it is on.
func TestConfirmTwice(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.signIn(s.AddUser(t, s.Company, "maya", false)).get("/account").submit(syncForm).submit(mainForm, "password", sallyporttest.Password)
	secret, err := otp.DecodeSecret(b.doc.one(t, "#key").attrs["data-value"])
	if err != nil {
		t.Fatal(err)
	}
	action, values := b.fill(b.form(mainForm), "code", s.Code(t, secret))
	b.send(http.MethodPost, action, values)
	values.Set("form", b.formValue())
	b.send(http.MethodPost, action, values)
	b.follow().want(200, "/account/security/backup-codes").shows(".note.ok", "is on")
	b.get(strings.TrimSuffix(action, "/confirm")).want(200, "/account/security.*")
}
