package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// withCodes makes somebody who set up an app in a sign-in: the codes they saved.
func withCodes(t testing.TB, s *sallyporttest.Server, login string) (sallyporttest.Person, []string) {
	t.Helper()
	p := s.AddUser(t, s.Company, login, false)
	setPolicy(t, s, ownWay(0))
	b := newBrowser(t, s)
	b.emailed(login).press("button[value=totp]")
	p.Secret = b.shownKey()
	b.submit(mainForm, "code", s.Code(t, p.Secret))
	codes := texts(b.doc.all("#codes li"))
	b.submit(mainForm, "saved", "yes").want(200, "/continue")
	s.Clock.Advance(time.Minute)
	return p, codes
}

// triesOf is how many guesses were charged to a kind.
func triesOf(t testing.TB, s *sallyporttest.Server, p sallyporttest.Person, k authn.Kind) int {
	t.Helper()
	n := 0
	for _, f := range factorsOf(t, s, p) {
		for _, c := range f.Counts {
			if f.Kind == k {
				n += c.Tries
			}
		}
	}
	return n
}

// S8, E2: one code, once; then how many are left, inside the new session.
func TestBackupCode_E2(t *testing.T) {
	s := newServer(t)
	_, codes := withCodes(t, s, "maya")
	b := newBrowser(t, s)
	b.get("/account").want(200, "/signin").submit(mainForm, "login", "maya", "password", sallyporttest.Password).want(200, "/signin/att_.*")
	path := b.path
	b.get(path+"?way=choose").want(200, path)
	rows := b.doc.all("button.option")
	if len(rows) != 2 || !strings.HasPrefix(rows[1].words(), "Backup code") || strings.Contains(rows[1].words(), "Usual") {
		t.Fatal("the ways: the backup code is last, and never the usual one")
	}
	b.press("button[value="+rows[1].attrs["value"]+"]").want(200, path).shows("h1", "backup code")
	if in := b.doc.one(t, "input#saved-code").attrs; in["name"] != "code" || in["inputmode"] != "" || in["autocomplete"] != "off" || in["autocapitalize"] != "none" || in["spellcheck"] != "false" || in["dir"] != "ltr" {
		t.Errorf("rule 13: %v", in)
	}
	if strings.Contains(b.doc.one(t, "main").words(), "10") {
		t.Error("how many there are is said before")
	}
	b.submit(mainForm, "code", "7K3M").want(422, path).shows("#code-err", "7K3M-Q9TD")
	b.submit(mainForm, "code", "").want(422, path).shows("#code-err", "Enter one")
	b.submit(mainForm, "code", " "+strings.ToLower(strings.Replace(codes[0], "-", " ", 1))+" ").want(200, "/signin/backup-used").shows("#left", "9 backup codes are left")
	b.get(b.path).want(200, "/signin/backup-used").shows("#left", "9")
	if got := b.doc.all("main a, main button"); len(got) > 0 && !strings.Contains(b.doc.one(t, "main button.btn-primary").words(), "Set up your phone again") {
		t.Error("what comes first")
	}
	b.get("/continue").want(200, "/continue")
	if got := b.header.Get("Refresh"); got != "0; url=/account" {
		t.Errorf("leads to %s", got)
	}
	// Set up again: the backup code was a fresh proof.
	b.get("/signin/backup-used").submit("main form[action=/account/security/app]").want(200, "/account/security/app/fac_.*")
	// Spent: told apart from wrong, and not charged.
	b.get("/account").submit(signOutForm)
	b.password("maya", sallyporttest.Password).get(b.path+"?way=backup_code").submit(mainForm, "code", codes[0]).want(422, ".*").shows("#code-err", "next one on your list")
	b.submit(mainForm, "code", codes[1]).want(200, "/signin/backup-used").shows("#left", "8")
}

// E2: at three or fewer, new codes come first.
func TestFewBackupCodes_E2(t *testing.T) {
	s := newServer(t)
	_, codes := withCodes(t, s, "maya")
	b := newBrowser(t, s)
	for i, code := range codes {
		b.password("maya", sallyporttest.Password).get(b.path+"?way=backup_code").submit(mainForm, "code", code).want(200, "/signin/backup-used")
		primary := b.doc.one(t, "main .btn-primary")
		if left := 9 - i; (primary.attrs["id"] == "new-codes") != (left <= 3) {
			t.Errorf("%d left: %s first", left, primary.words())
		}
		b.get("/account").submit(signOutForm)
	}
	b.password("maya", sallyporttest.Password).get(b.path+"?way=backup_code").shows("h1", "your app") // none is left
}

// Rule 14, ruling 44: each field takes the other's code, and the try is charged
// where it belongs.
func TestCodesInTheOtherField_rul44(t *testing.T) {
	s := newServer(t)
	maya, codes := withCodes(t, s, "maya")
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	b.submit(mainForm, "code", "ABCD-EFGH").want(422, path).shows("h1", "backup code").shows("#code-err", "That backup code didn’t match")
	if app, saved := triesOf(t, s, maya, authn.TOTP), triesOf(t, s, maya, authn.BackupCode); app != 0 || saved != 1 {
		t.Errorf("charged %d to the app and %d to the backup codes", app, saved)
	}
	b.submit(mainForm, "code", s.WrongCode(t, maya.Secret)).want(422, path).shows("h1", "your app").shows("#code-err", "didn’t match")
	if app, saved := triesOf(t, s, maya, authn.TOTP), triesOf(t, s, maya, authn.BackupCode); app != 1 || saved != 1 {
		t.Errorf("charged %d to the app and %d to the backup codes", app, saved)
	}
	b.get(path+"?way=backup_code").submit(mainForm, "code", spaced(s.Code(t, maya.Secret))).want(200, "/continue")
	s.Clock.Advance(time.Minute)
	b.get("/account").submit(signOutForm)
	b.password("maya", sallyporttest.Password).submit(mainForm, "code", strings.ToLower(codes[3])).want(200, "/signin/backup-used")
	// A text that is neither stays what the page asked for.
	b.get("/account").submit(signOutForm)
	b.password("maya", sallyporttest.Password).submit(mainForm, "code", "hello").want(422, ".*").shows("h1", "your app").shows("#code-err", "only digits")
	// Without backup codes it is no way in, and nothing is charged.
	omar := s.AddUser(t, s.Company, "omar", true)
	o := newBrowser(t, s)
	o.password("omar", sallyporttest.Password).submit(mainForm, "code", "ABCD-EFGH").want(422, ".*").shows("#code-err", "only digits")
	if tries(t, s, omar) != 0 {
		t.Error("charged")
	}
}

// Wrong app codes never close the way of the backup codes (rule 24), and S10
// offers it.
func TestPausedOffersBackupCodes_rul24(t *testing.T) {
	s := newServer(t)
	maya, codes := withCodes(t, s, "maya")
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	app := b.doc.one(t, "[name=way]").attrs["value"]
	for range 10 {
		b.get(path+"?way="+app).submit(mainForm, "code", s.WrongCode(t, maya.Secret))
	}
	b.want(429, path).shows("h1", "Paused").shows("button.option", "Backup code").shows("main a", "I can’t verify")
	b.press("button.option").want(200, path).submit(mainForm, "code", codes[9]).want(200, "/signin/backup-used")
}

// The page about a used code is for the sign-in that used one.
func TestBackupUsedIsOnesOwn(t *testing.T) {
	s := newServer(t)
	maya, codes := withCodes(t, s, "maya")
	b, o := newBrowser(t, s), newBrowser(t, s)
	o.get("/signin/backup-used").want(200, "/signin")
	o.signIn(maya).get("/signin/backup-used").want(200, "/continue")
	b.password("maya", sallyporttest.Password).submit(mainForm, "code", codes[0]).want(200, "/signin/backup-used")
	s.Clock.Advance(16 * time.Minute)
	b.get("/signin/backup-used").want(200, "/continue")
}

// F5: after "this wasn't me" the sign-in asks for a new password.
func TestNewPassword_F5(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	secured(t, s, maya)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/signin/att_.*").shows("h1", "new password").shows("#new-hint", "At least 15")
	path := b.path
	if b.cookie("sallyport_session") != "" {
		t.Fatal("a session already")
	}
	for _, c := range []struct{ next, again, id, says string }{
		{"", "", "new-err", "Enter a new"}, {"short", "short", "new-err", "at least 15"}, {fresh, fresh + "x", "confirm-err", "differ"},
		{"maya maya maya maya", "maya maya maya maya", "new-err", "your name"},
	} {
		b.submit(mainForm, "new", c.next, "confirm", c.again).want(422, path+"/password").shows("#"+c.id, c.says)
	}
	action, values := b.fill(b.form(mainForm), "new", fresh, "confirm", fresh)
	b.send(http.MethodPost, action, values)
	b.follow().want(200, "/continue")
	b.send(http.MethodPost, action, values)
	b.follow().want(200, "/continue").get(path).want(200, "/continue")
	b.get("/account").submit(signOutForm)
	s.Clock.Advance(time.Minute)
	b.password("maya", sallyporttest.Password).want(422, "/signin").submit(mainForm, "password", fresh).submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
}

// secured is the state that "this wasn't me" leaves.
func secured(t testing.TB, s *sallyporttest.Server, p sallyporttest.Person) {
	t.Helper()
	now := s.Clock.Now()
	err := s.Store.Decide(context.Background(), authn.Keys{Company: s.Company.ID, User: p.ID, Now: now}, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.SecuredAt = now
		return authn.Accept(authn.Event{Company: u.Company, ID: authn.NewID(authn.EventID, now, zeros{}), Type: "account.secured", Target: u.ID,
			Result: authn.Succeeded, At: now}, authn.PutUser{User: u})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Policy that asks less while somebody is on the way: one button, and in.
func TestReady(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "maya", false)
	s.SetTwoFactor(t, "acme", policy.Required)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	s.SetTwoFactor(t, "acme", policy.Off)
	b.get(path).want(200, path).shows("h1", "verified").get(path).want(200, path)
	if b.cookie("sallyport_session") != "" {
		t.Fatal("looking signs in")
	}
	action, values := b.fill(b.form(mainForm))
	b.send(http.MethodPost, action, values)
	session := b.cookie("sallyport_session")
	b.follow().want(200, "/continue")
	b.send(http.MethodPost, action, values)
	if b.follow().want(200, "/continue"); b.cookie("sallyport_session") != session {
		t.Error("two sessions")
	}
	// Not ready: the button of another state leads to what is needed.
	s.SetTwoFactor(t, "acme", policy.Required)
	o := newBrowser(t, s)
	o.password("maya", sallyporttest.Password)
	_, values = o.fill(o.form(mainForm))
	for _, to := range []string{"/continue", "/later", "/codes", "/password", "/setup"} {
		values.Set("saved", "yes")
		o.send(http.MethodPost, o.path+to, values)
		if at := o.header.Get("Location"); o.status != 303 || !strings.HasPrefix(at, "/signin/att_") {
			t.Errorf("%s: %d %s", to, o.status, at)
		}
		o.follow().want(200, "/signin/att_.*")
	}
}

// What a link says in "done" is said only where it is true of everybody.
func TestSignInNotices(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.get("/signin?done=signed_out").shows("#notice", "signed out")
	for _, forged := range []string{"password", "app_off", "app_on", "profile", "others", "x"} {
		if b.get("/signin?done=" + forged); len(b.doc.all("#notice")) != 0 {
			t.Errorf("%s is said", forged)
		}
	}
}
