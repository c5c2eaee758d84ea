package web_test

import (
	"context"
	"crypto/rand"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/text"
)

const mayaAt = "maya@acme.example"

// with submits a form with the button of that name and value.
func (b *browser) with(selector, name, value string, pairs ...string) *browser {
	b.t.Helper()
	action, values := b.fill(b.form(selector), pairs...)
	values.Set(name, value)
	b.send(http.MethodPost, action, values)
	return b.follow()
}

// raw is what an address answers.
func (b *browser) raw(path string) (string, http.Header, int) {
	b.t.Helper()
	res, err := b.http.Get(b.s.URL + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(body), res.Header, res.StatusCode
}

// mailOn turns on codes by e-mail for who is signed in and confirmed.
func (b *browser) mailOn(to string) *browser {
	b.t.Helper()
	b.get("/account/security").submit("#email form[action=/account/security/email]")
	if strings.HasPrefix(b.path, "/account/confirm/") {
		b.submit(mainForm, "password", sallyporttest.Password)
	}
	return b.want(200, "/account/security/email/fac_.*").submit(mainForm, "code", b.s.LastCode(b.t, to)).want(200, "/account/security")
}

// newApp sets the app up for who is signed in, to the page of the backup codes.
func (b *browser) newApp() otp.Secret {
	b.t.Helper()
	b.get("/account/security").submit(appForm)
	if strings.HasPrefix(b.path, "/account/confirm/") {
		b.submit(mainForm, "password", sallyporttest.Password)
	}
	secret, err := otp.DecodeSecret(b.doc.one(b.t, "#key").attrs["data-value"])
	if err != nil {
		b.t.Fatal(err)
	}
	b.submit(mainForm, "code", b.s.Code(b.t, secret))
	return secret
}

func codesShown(b *browser) []string {
	var out []string
	for _, li := range b.doc.all("#codes li") {
		out = append(out, li.words())
	}
	return out
}

// E1, S21: the codes come with the first way, can be reloaded and downloaded
// until Done, and then never again.
func TestBackupCodes_E1_rul43(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.signIn(s.AddUser(t, s.Company, "maya", false))
	b.newApp()
	b.want(200, "/account/security/backup-codes").shows("#notice", "is on")
	codes := codesShown(b)
	if len(codes) != 10 || !regexp.MustCompile(`^[0-9A-Z]{4}-[0-9A-Z]{4}$`).MatchString(codes[9]) {
		t.Fatalf("%q", codes)
	}
	if got := b.get(b.path); !slices.Equal(codesShown(got), codes) || b.doc.one(t, "#codes").attrs["data-value"] != strings.Join(codes, "\n") {
		t.Error("other codes after Reload, or other ones to copy")
	}
	file, header, status := b.raw("/account/security/backup-codes.txt")
	if status != 200 || header.Get("Content-Disposition") != `attachment; filename="acme-backup-codes-maya.txt"` || header.Get("Cache-Control") != "no-store" ||
		header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %v", status, header)
	}
	for _, want := range append([]string{"Acme Projects", "maya", "21 Nov 2026", "replaces older lists", "Each works once"}, codes...) {
		if !strings.Contains(file, want) {
			t.Errorf("the file lacks %q:\n%s", want, file)
		}
	}
	// Done only with the box ticked; until then they are there.
	b.submit(codesForm).want(422, "/account/security/backup-codes").shows("#saved-err", "tick the box")
	if !slices.Equal(codesShown(b), codes) {
		t.Error("they are gone")
	}
	b.get("/account/security").shows("#codes", "Not saved yet").get("/account/security/backup-codes")
	b.saved().shows("#notice", "saved").shows("#codes", "10 left")
	b.get("/account/security/backup-codes").want(200, ".*").shows("#left", "10 codes are left")
	if len(codesShown(b)) != 0 {
		t.Error("shown after Done")
	}
	if file, _, _ := b.raw("/account/security/backup-codes.txt"); strings.Contains(file, codes[0]) {
		t.Error("to be had after Done")
	}
}

// They are shown for ten minutes, to the sign-in that made them, and to nobody else.
func TestBackupCodesAreShownToOne_rul43(t *testing.T) {
	s := newServer(t)
	maya, omar := s.AddUser(t, s.Company, "maya", false), s.AddUser(t, s.Company, "omar", true)
	b, o, other := newBrowser(t, s), newBrowser(t, s), newBrowser(t, s)
	b.signIn(maya)
	maya.Secret = b.newApp()
	codes := codesShown(b)
	s.Clock.Advance(time.Minute)
	o.signIn(omar)
	other.signIn(maya)
	for who, x := range map[string]*browser{"another person": o, "another sign-in": other} {
		x.get("/account/security/backup-codes")
		file, _, _ := x.raw("/account/security/backup-codes.txt")
		if len(codesShown(x)) != 0 || strings.Contains(file, codes[3]) {
			t.Errorf("%s sees them", who)
		}
	}
	s.Clock.Advance(10 * time.Minute)
	if b.get("/account/security/backup-codes").shows("#left", "10 codes are left"); len(codesShown(b)) != 0 {
		t.Error("shown after ten minutes")
	}
	if b.get("/account/security"); strings.Contains(b.doc.one(t, "#codes").words(), "Not saved") {
		t.Error("offers to show what cannot be shown")
	}
}

// E2: new ones kill the old ones, after a page that says so and a fresh proof;
// how many remain is shown, with a warning at three.
func TestNewBackupCodes_E2(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	maya := s.AddUser(t, s.Company, "maya", false)
	b.signIn(maya)
	maya.Secret = b.newApp()
	old := codesShown(b)
	b.saved()
	other := newBrowser(t, s)
	signIn := func(code string) {
		t.Helper()
		s.Clock.Advance(time.Minute)
		st := signInWith(t, s, maya, code)
		if st == "" {
			t.Fatalf("%s does not open", code)
		}
	}
	for i, left := range []int{9, 8, 7, 6, 5, 4, 3} {
		signIn(old[i])
		b.get("/account/security").shows("#codes", fmt.Sprintf("%d left", left))
		if got := len(b.doc.all("[data-banner=low]")); (got == 1) != (left <= 3) {
			t.Errorf("%d left: %d banners", left, got)
		}
	}
	s.Clock.Advance(11 * time.Minute)
	b.get("/account/security/backup-codes/new").want(200, "/account/confirm")
	b.get("/account/security").submit("#codes form").want(200, "/account/confirm/att_.*").shows("#act", "new backup codes")
	b.submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/account/security/backup-codes/new").shows("#effect", "stop working")
	b.submit(mainForm).want(200, "/account/security/backup-codes").shows("#notice", "old ones no longer work")
	fresh := codesShown(b)
	if len(fresh) != 10 || slices.Contains(fresh, old[9]) {
		t.Fatalf("%q", fresh)
	}
	s.Clock.Advance(time.Minute)
	if signInWith(t, s, maya, old[9]) != "" {
		t.Error("an old one opens")
	}
	signIn(fresh[0])
	_ = other
}

// The file of somebody with a name that would break lines or headers.
func TestCodesFileName_cve65(t *testing.T) {
	s := newServer(t)
	u, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: "Ä\"x';y..zö", Name: "x", Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s)
	b.password(u.Login, sallyporttest.Password).want(200, "/continue")
	b.newApp()
	file, header, _ := b.raw("/account/security/backup-codes.txt")
	if got := header.Get("Content-Disposition"); got != `attachment; filename="acme-backup-codes-x-y-z.txt"` || strings.Count(file, "\r\n") != 17 {
		t.Errorf("%s, %d lines", got, strings.Count(file, "\r\n"))
	}
}

// S18: a code to the address first; then it counts, and can be turned off.
func TestMailCodes_S18(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	maya := s.AddUser(t, s.Company, "maya", false)
	b.signIn(maya).get("/account/security").shows("#email", mayaAt)
	b.submit("#email form").want(200, "/account/confirm/att_.*").shows("#act", "turn on e-mail codes")
	if len(s.Inbox.Messages()) != 0 {
		t.Error("sent before it was confirmed")
	}
	b.submit(mainForm, "password", sallyporttest.Password).want(200, "/account/security/email/fac_.*").shows("#code-hint", mayaAt).shows("#code-hint", "09:16:10 UTC")
	page, sent := b.path, len(s.Inbox.Messages())
	b.get(page).shows("#again", "at 09:14:40 UTC")
	b.press("#again button").want(200, "/account/security/email/fac_.*")
	if got := len(s.Inbox.Messages()); got != sent {
		t.Errorf("%d messages, %d before: Reload or a press too early sends", got, sent)
	}
	code := s.LastCode(t, mayaAt)
	for typed, says := range map[string]string{"": "from the message", "12": "Enter all", "1234567": "extra", "12345x": "only digits", wrongOf(code): "newest message"} {
		b.get(page).submit(mainForm, "code", typed).want(422, page+"/confirm").shows("#code-err", says)
	}
	s.Clock.Advance(40 * time.Second)
	if b.get(page).press("#again button").want(200, page); len(s.Inbox.Messages()) != sent+1 || s.LastCode(t, mayaAt) != code {
		t.Error("not sent again, or another code within its life")
	}
	s.Clock.Advance(3 * time.Minute)
	b.submit(mainForm, "code", code).want(410, page+"/confirm").shows("#code-err", "expired")
	b.press("#again button").want(200, page)
	b.submit(mainForm, "code", s.LastCode(t, mayaAt)).want(200, "/account/security").shows("#notice", "E-mail codes are on").shows("#email", "On")
	if f := factorsOf(t, s, maya); len(f) != 2 {
		t.Errorf("%d factors", len(f))
	}
	// Again, by a second click: it is on.
	b.get(page).want(200, "/account/security")

	// The next confirmation is a code there; nothing is sent before the button.
	s.Clock.Advance(11 * time.Minute)
	sent = len(s.Inbox.Messages())
	b.submit("#email form[action=/account/confirm]").want(200, "/account/confirm/att_.*").shows("main", "m•••@acme.example")
	if b.get(b.path); len(s.Inbox.Messages()) != sent {
		t.Error("a page sends")
	}
	b.with(mainForm, "do", "send").shows("#code-hint", "m•••@acme.example")
	at := b.path
	b.with(mainForm, "do", "send").want(200, "/account/confirm/att_.*") // too early: the same page
	if got := len(s.Inbox.Messages()); got != sent+1 || b.path != at {
		t.Errorf("%d sent, at %s", got-sent, b.path)
	}
	b.submit(mainForm, "code", wrongOf(s.LastCode(t, mayaAt))).want(422, "/account/confirm/att_.*").shows("#code-err", "newest message")
	if len(b.doc.all("#clock")) != 0 {
		t.Error("advice about the clock of an app")
	}
	b.submit(mainForm, "code", s.LastCode(t, mayaAt)).want(200, "/account/security/email/off").shows("#effect", "password alone")
	b.submit(mainForm).want(200, "/account/security").shows("#notice", "turned off").shows("#email form button", "Set up")
}

func wrongOf(code string) string {
	last := code[5]
	return code[:5] + string('0'+(last-'0'+1)%10)
}

// What cannot be sent says so, and other things stay possible.
func TestMailNotSent_S4(t *testing.T) {
	s := newServer(t, func(c *sallyport.Config) { c.Senders = map[authn.Kind]authn.Sender{authn.Email: broken{}} })
	b := newBrowser(t, s)
	b.signIn(s.AddUser(t, s.Company, "maya", false)).get("/account/security").submit("#email form")
	b.submit(mainForm, "password", sallyporttest.Password).want(200, "/account/security/email/fac_.*").shows("#notice", "could not send")
	b.cancel().want(200, "/account/security").shows("#notice", "cancelled")
	b.get("/account/email").submit(mainForm, "email", "new@acme.example").want(200, "/account/email/fac_.*").shows("#notice", "could not send")
	s.Clock.Advance(time.Minute)
	b.get(b.path).press("#again button").want(502, "/account/email/fac_.*").shows("#problem", "could not send")
	b.cancel().want(200, "/account").shows("#notice", "stays as it was")
}

// broken sends nothing.
type broken struct{}

func (broken) Send(context.Context, authn.Message) error {
	return &authn.SendError{Stage: "accept", Code: "550", Permanent: true}
}

// cancel presses Cancel on the page of a code that was sent.
func (b *browser) cancel() *browser {
	b.t.Helper()
	return b.press("[formaction=" + strings.TrimSuffix(b.form(mainForm).attrs["action"], "/confirm") + "/cancel]")
}

// signInWith signs a person in with a backup code; empty: it does not open.
func signInWith(t testing.TB, s *sallyporttest.Server, p sallyporttest.Person, code string) string {
	t.Helper()
	return verifyIn(t, s, p, authn.Client{}, authn.BackupCode, code)
}

// verifyIn is the value of the session cookie of somebody who signed in by kind;
// an e-mail code is asked for and read.
func verifyIn(t testing.TB, s *sallyporttest.Server, p sallyporttest.Person, c authn.Client, kind authn.Kind, code string) string {
	t.Helper()
	st, err := s.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password, Client: c})
	if err != nil {
		t.Fatal(err)
	}
	o := signin.OpenerOf(st.Token, c)
	if kind == authn.Email {
		if _, _, err := s.SignIn.Challenge(t.Context(), o, kind, ""); err != nil {
			t.Fatal(err)
		}
		code = s.LastCode(t, p.Email)
	}
	st, err = s.SignIn.Verify(t.Context(), o, signin.Verify{Method: kind, Answer: authn.Answer{Code: code}})
	if err != nil {
		return ""
	}
	if st.Need.State == authn.NeedEnrolment {
		if st, err = s.SignIn.Postpone(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return st.SessionToken.Reveal()
}

// lock uses up the tries of the app from the browser's own lane, and keeps the
// session open meanwhile.
func (b *browser) lock(p sallyporttest.Person) *browser {
	b.t.Helper()
	c := authn.Client{Browser: b.cookie("sallyport_browser")}
	for range 400 {
		b.get("/account").want(200, "/account")
		token, _ := authn.ParseToken(authn.SessionToken, b.cookie("sallyport_session"))
		st, err := b.s.SignIn.StepUp(b.t.Context(), token, "", "", c)
		if err != nil {
			b.t.Fatal(err)
		}
		_, err = b.s.SignIn.Verify(b.t.Context(), signin.OpenerOf(st.Token, c), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: b.s.WrongCode(b.t, p.Secret)}})
		switch e := authn.AsError(err); e.Code {
		case authn.Locked, authn.Invalid: // or not offered any more
			return b
		default:
			b.s.Clock.Advance(min(e.RetryAfter, 31*time.Minute))
		}
	}
	b.t.Fatal("never locked")
	return b
}

// happened writes an event about a person.
func happened(t testing.TB, s *sallyporttest.Server, user, typ, agent string) {
	t.Helper()
	now := s.Clock.Now()
	err := s.Store.Decide(t.Context(), authn.Keys{Company: s.Company.ID, User: user, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Company: s.Company.ID, ID: authn.NewID(authn.EventID, now, rand.Reader), Type: typ, Actor: user, Target: user,
			Result: authn.Succeeded, At: now, Personal: authn.Personal{Agent: agent, Address: agent}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A server without mail has no row for it, and no change of the address.
func TestNoMail(t *testing.T) {
	s := newServer(t, sallyporttest.NoMail())
	b := newBrowser(t, s)
	b.signIn(s.AddUser(t, s.Company, "maya", false)).get("/account/security")
	if len(b.doc.all("#email")) != 0 {
		t.Error("there is a row")
	}
	if b.get("/account"); len(b.doc.all("main [href=/account/email]")) != 0 {
		t.Error("there is a link")
	}
	b.get("/account/email").want(200, "/account")
}

// S15: one banner, the most urgent; every button has a name of its own.
func TestSecurityOverview_S15(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	banner := func(want string) {
		t.Helper()
		b.get("/account/security").want(200, "/account/security")
		found := b.doc.all("#banner")
		if len(found) > 1 || len(found) == 1 && found[0].attrs["data-banner"] != want || len(found) == 0 && want != "" {
			t.Fatalf("%d banners, not %q: %s", len(found), want, b.doc.one(t, "main").words())
		}
		names := map[string]bool{}
		for _, n := range b.doc.all("main button") {
			name := n.attrs["aria-label"]
			if name == "" {
				name = n.words()
			}
			if names[name] {
				t.Errorf("two buttons are called %q", name)
			}
			names[name] = true
		}
	}
	b.signIn(maya)
	banner("")
	b.shows("main", "second way to sign in")
	b.mailOn(mayaAt)
	banner("one-way")
	s.Clock.Advance(time.Second)
	maya.Secret = b.newApp()
	b.saved()
	banner("")
	b.shows("#email .usual", "Usual").shows("#usual-text", "used before")
	if len(b.doc.all(".usual")) != 1 {
		t.Error("two usual ways")
	}

	// F6: the person's choice.
	b.submit("#app form[action=/account/security/usual]").shows("#notice", "first").shows("#app .usual", "Usual")
	b.submit("#email form[action=/account/security/usual]").shows("#notice", "first").shows("#email .usual", "Usual")

	// Required, with a way of one's own: e-mail alone would not be enough.
	setPolicy(t, s, policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}})
	banner("")
	b.shows("#app .pill", "Set by your company").shows("#app", "can’t turn off the last one")
	if len(b.doc.all("#app form[action=/account/confirm]")) != 0 || len(b.doc.all("#email form[action=/account/confirm]")) != 1 {
		t.Error("what can be turned off")
	}
	b.get("/account/security/app/off").shows("#last", "not enough")
	b.get("/account/security/email/off").shows("main", "Authenticator app")

	// Off: everything sleeps, and nothing is urgent.
	setPolicy(t, s, policy.Document{TwoFactor: policy.Off})
	banner("")
	if len(b.doc.all("#app form"))+len(b.doc.all("#email form"))+len(b.doc.all("#codes form")) != 0 {
		t.Error("there is something to do")
	}
	setPolicy(t, s, policy.Document{TwoFactor: policy.On})

	// Locked comes before everything.
	b.lock(maya)
	banner("locked")
}

// Somebody without a way of their own, of whom one is asked: where codes go
// until then, and how long it can be put off.
func TestFallbackBanner_C1_F3(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	setPolicy(t, s, policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}, GraceDays: 7})
	b := newBrowser(t, s)
	b.get("/signin").setCookie("sallyport_session", verifyIn(t, s, maya, authn.Client{Browser: b.cookie("sallyport_browser")}, authn.Email, ""))
	b.get("/account/security").want(200, "/account/security").shows("[data-banner=grace]", "28 Nov 2026").shows("#email", "Until you have a way of your own we send codes to m•••@acme.example")
	setPolicy(t, s, policy.Document{TwoFactor: policy.Required})
	b.get("/account/security").shows("[data-banner=fallback]", "m•••@acme.example")
	// Their step-up is such a code too.
	b.submit("#banner form").want(200, "/account/confirm/att_.*").with(mainForm, "do", "send")
	b.submit(mainForm, "code", s.LastCode(t, mayaAt)).want(200, "/account/security/app/fac_.*")
}

// S22: with two ways that are held there would be a choice; a locked app leaves
// the backup codes, and an app that sleeps leaves nothing.
func TestConfirmOtherWays_rul26(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	b.signIn(maya)
	maya.Secret = b.newApp()
	codes := codesShown(b)
	b.saved()
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/security/app/off")
	if len(b.doc.all("main a[href="+b.path+"?way=choose]")) != 0 {
		t.Error("a backup code while the app is at hand")
	}
	b.lock(maya)
	b.get("/account/security").want(200, ".*").begin("/account/security/app/off").shows("main", "Backup code")
	at := b.path
	for typed, says := range map[string]string{"": "backup code", "123456": "eight letters", "ZZZZ-ZZZZ": "didn’t match"} {
		b.get(at).submit(mainForm, "code", typed).want(422, at).shows("#backup-err", says)
	}
	b.get(at+"?way=choose").shows(".option", "Turned off after too many wrong codes").shows(".option", "Backup code")
	b.get(at+"?way=totp").shows("main", "turned off")
	b.get(at).submit(mainForm, "code", strings.ToLower(codes[4])).want(200, "/account/security/app/off")

	setPolicy(t, s, policy.Document{TwoFactor: policy.Off})
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/confirm").shows("#confirm-denied", "turned two-step sign-in off")
	if len(b.doc.all(mainForm)) != 0 {
		t.Error("there is a form")
	}
}

// J2, S24: each place by itself; named by its person; nobody else's.
func TestDevices_J2_cve49(t *testing.T) {
	s := newServer(t)
	maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", false)
	b, far, o := newBrowser(t, s), newBrowser(t, s), newBrowser(t, s)
	b.signIn(maya)
	s.Clock.Advance(time.Minute)
	far.signIn(maya)
	o.signIn(omar)
	b.get("/account/devices").want(200, "/account/devices")
	rows := b.doc.all("#devices .item")
	if len(rows) != 2 || !strings.Contains(rows[0].words(), "This browser") || !strings.Contains(rows[0].words(), "Verified with: password + code from an app") {
		t.Fatalf("%d: %s", len(rows), rows[0].words())
	}
	id := rows[1].attrs["id"]
	row := "#" + id
	b.submit(row+" form[action=/account/devices/"+id+"/name]", "name", " Mum’s <laptop> ").want(200, "/account/devices").shows(row+" .item-t", "Mum’s <laptop>").shows("#notice", "saved")
	b.submit(row+" form[action=/account/devices/"+id+"/name]", "name", strings.Repeat("x", 61)).want(422, ".*").shows("#name-err", "at most 60")
	b.get("/account/security").shows("[aria-labelledby=where] .item-t", "Mum’s <laptop>")

	// Somebody else's are not there, whatever is sent.
	o.get("/account/devices")
	for _, verb := range []string{"name", "end"} {
		o.send(http.MethodPost, "/account/devices/"+id+"/"+verb, url.Values{"form": {o.formValue()}, "name": {"mine"}})
		if o.follow(); o.status >= 500 {
			t.Errorf("%s: %d", verb, o.status)
		}
	}
	far.get("/account").want(200, "/account")
	b.get("/account/devices").shows(row+" .item-t", "Mum’s <laptop>")

	b.submit(row+" form[action=/account/devices/"+id+"/end]").want(200, "/account/devices").shows("#notice", "Signed out there")
	if len(b.doc.all("#devices .item")) != 1 {
		t.Error("it is still there")
	}
	far.get("/account").want(200, "/signin")
	b.get("/account").want(200, "/account")
	s.Clock.Advance(time.Minute)
	for range 5 {
		s.Clock.Advance(time.Minute)
		newBrowser(t, s).signIn(maya)
	}
	b.get("/account/security").shows(".card-foot", "2 more")
	b.get("/account/devices").submit("main form[action=/account/security/sign-out-others]").want(200, "/account/devices").shows("#notice", "everywhere else")
}

// J2, S25: in words, of one kind, page by page, and as a table.
func TestActivity_J2_rul37(t *testing.T) {
	s := newServer(t)
	maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", true)
	b, o := newBrowser(t, s), newBrowser(t, s)
	o.signIn(omar)
	for range 6 {
		b.password("maya", "wrong")
	}
	b.signIn(maya)
	for i := range 40 {
		b.get("/account").submit("main form[action=/account]", "name", fmt.Sprintf("Maya %d", i))
	}
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/security/app/off").submit(mainForm, "code", s.Code(t, maya.Secret)).submit(mainForm)
	b.get("/account/activity").want(200, "/account/activity").shows(".events td", "Authenticator app turned off").shows(".events time", "21 Nov 2026 at 09:25 UTC")
	if n := len(b.doc.all(".events tr")); n != 26 {
		t.Errorf("%d rows", n)
	}
	seen := 0
	for {
		seen += len(b.doc.all(".events tr")) - 1
		older := b.doc.all("#older")
		if len(older) == 0 {
			break
		}
		b.get(older[0].attrs["href"])
	}
	if seen < 47 || seen > 60 {
		t.Errorf("%d events", seen)
	}
	b.get("/account/activity?kind=sign_in").shows(".events .pill", "Blocked").shows("option[selected]", "Sign-ins")
	for _, td := range b.doc.all(".events tbody tr") {
		if strings.Contains(td.words(), "Profile") || strings.Contains(td.words(), "app") {
			t.Errorf("of another kind: %s", td.words())
		}
	}
	b.get("/account/activity?kind=account").shows("#none", "Nothing matches")
	b.get("/account/activity?kind=%3Cx%3E&before=%3Cx%3E").want(200, "/account/activity")

	file, header, status := b.raw("/account/activity.csv")
	table, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil || status != 200 || header.Get("Content-Type") != "text/csv; charset=utf-8" || header.Get("Content-Disposition") != `attachment; filename="acme-activity-maya.csv"` {
		t.Fatalf("%d %v %v", status, err, header)
	}
	if len(table) != seen+1 || len(table[0]) != 5 || table[1][0] != "2026-11-21T09:25:10Z" {
		t.Errorf("%d rows of %d: %q", len(table), seen+1, table[1])
	}
	if strings.Contains(file, omar.ID) || strings.Contains(file, "omar") {
		t.Error("somebody else's")
	}
	s.Clock.Advance(91 * 24 * time.Hour)
	maya.Secret = nil
	b.signIn(maya).get("/account/activity")
	if n := len(b.doc.all(".events tr")); n > 3 {
		t.Errorf("%d rows after 91 days", n)
	}
}

// What another person could have done asks whether it was you.
func TestWasThisYou(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	newBrowser(t, s).signIn(maya)
	s.Clock.Advance(time.Minute)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account/activity").shows("tr details summary", "Was this you?")
	if n := len(b.doc.all(".events details")); n != 1 {
		t.Errorf("%d", n)
	}
}

func TestCells_rul37(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s)
	b.signIn(maya)
	for i, evil := range []string{"=1+1", "  +x", "-1", "@x", "\tx", "\rx", "  =cmd|' /C calc'!A0"} {
		happened(t, s, maya.ID, fmt.Sprintf("x.y%d", i), evil)
	}
	file, _, _ := b.raw("/account/activity.csv")
	table, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, row := range table {
		for _, c := range row {
			if c = strings.TrimLeft(c, " "); c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
				t.Errorf("a formula: %q", c)
			}
			if strings.HasPrefix(c, "'") {
				found++
			}
		}
	}
	if found < 5 {
		t.Errorf("%d cells were guarded:\n%s", found, file)
	}
}

// Every type of event that the code writes has a text for people.
func TestEveryEventHasAText(t *testing.T) {
	call := regexp.MustCompile(`"((?:account|backup_codes?|bypass_code|code|company|email|factors?|help|invitation|message|password|policy|profile|provider|session|sign_in|step_up|user)\.[a-z_]+)"`)
	notTypes := []string{"policy.write", "factors.manage", "password.change"} // permissions, and an act
	seen := map[string]bool{}
	for _, dir := range []string{"signin", "enroll", "session", "directory", "notice", "store", "audit", "cmd/sallyport"} {
		files, err := filepath.Glob("../" + dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range call.FindAllStringSubmatch(string(source), -1) {
				if !slices.Contains(notTypes, m[1]) {
					seen[m[1]] = true
				}
			}
		}
	}
	if len(seen) < 30 || !seen["factor.confirmed"] || !seen["session.others_ended"] || !seen["user.created"] {
		t.Errorf("only %d types were found: %v", len(seen), seen)
	}
	for typ := range seen {
		if !text.Default().Has("event." + typ) {
			t.Errorf("event.%s has no text", typ)
		}
	}
}

// notMe is the path of the newest "this wasn't me" link to an address.
func notMe(t testing.TB, s *sallyporttest.Server, to string) string {
	t.Helper()
	list := s.Mail(t, to)
	for i := len(list) - 1; i >= 0; i-- {
		if at := regexp.MustCompile(`/not-me/[0-9A-Za-z_]+`).FindString(list[i].Text); at != "" {
			return at
		}
	}
	t.Fatalf("no link was sent to %s", to)
	return ""
}

// S26, ruling 35: looking changes nothing; the button secures the account, once.
func TestNotMe_S26_rul35(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b, stranger := newBrowser(t, s), newBrowser(t, s)
	b.signIn(maya)
	maya.Secret = b.newApp()
	b.saved()
	link := notMe(t, s, mayaAt)
	before, events := state(t, s, maya), eventsOf(t, s)
	if res, err := http.Head(s.URL + link); err != nil || res.StatusCode != 200 {
		t.Fatal(err)
	}
	for range 3 {
		stranger.get(link).want(200, link)
	}
	if state(t, s, maya) != before || eventsOf(t, s) != events {
		t.Fatal("looking changed something")
	}
	stranger.shows("#what", "21 Nov 2026").shows("#what", "Chrome on Linux").shows("#what", "maya")
	// Not without the value of the form, nor in another browser.
	_, values := stranger.fill(stranger.form(mainForm))
	if got := stranger.header.Get("Referrer-Policy"); got != "strict-origin" {
		t.Errorf("Referrer-Policy %q would tell the link to other requests", got)
	}
	if stranger.doc.one(t, mainForm).attrs["action"] != "/not-me" {
		t.Error("the token is in the address of the form")
	}
	forged := url.Values{"token": values["token"], "form": {httpserveForm("x")}}
	stranger.send(http.MethodPost, "/not-me", forged)
	stranger.want(403, "/not-me")
	newBrowser(t, s).send(http.MethodPost, "/not-me", values)
	if state(t, s, maya) != before {
		t.Fatal("a forged form did something")
	}
	stranger.get(link).submit(mainForm).want(200, "/not-me/done").shows("#did", "signed out everywhere")
	if len(stranger.doc.all("#reverted")) != 0 {
		t.Error("speaks of an address")
	}
	b.get("/account").want(200, "/signin")
	u, _, err := s.Directory.Lookup(t.Context(), s.Company, maya.ID)
	if err != nil || u.SecuredAt.IsZero() {
		t.Errorf("%v: not secured", err)
	}
	stranger.get(link).want(409, link).shows("h1", "has been used")
	stranger.send(http.MethodPost, "/not-me", values)
	stranger.want(409, "/not-me").shows("h1", "has been used")
	newBrowser(t, s).get("/not-me/done").want(200, "/signin")
	for _, bad := range []string{"/not-me/x", link + "0", link[:len(link)-1], "/not-me/" + b.cookie("sallyport_session")} {
		stranger.get(bad).want(404, bad).shows("h1", "leads nowhere")
	}
}

func TestNotMeExpires(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.signIn(s.AddUser(t, s.Company, "maya", false))
	b.newApp()
	link := notMe(t, s, mayaAt)
	s.Clock.Advance(7*24*time.Hour + time.Second)
	b.get(link).want(410, link).shows("h1", "has expired")
}

// A new address: confirmed by a code there, the old one is told, and its link
// brings it back.
func TestAddress_rul2_rul35(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	s.AddUser(t, s.Company, "omar", false)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account")
	b.get(b.doc.one(t, "main a[href=/account/email]").attrs["href"]).want(200, "/account/confirm").submit(beginForm).shows("#act", "e-mail address")
	b.submit(mainForm, "password", sallyporttest.Password).want(200, "/account/email")
	for typed, says := range map[string]string{"": "Enter the new", "x": "no e-mail", mayaAt: "already"} {
		b.get("/account/email").submit(mainForm, "email", typed).want(422, "/account/email").shows("#email-err", says)
		if got := b.doc.one(t, "#email").attrs["value"]; got != typed {
			t.Errorf("typed %q, shown %q", typed, got)
		}
	}
	b.submit(mainForm, "email", "new@else.example").want(200, "/account/email/fac_.*").shows("#code-hint", "new@else.example")
	if u, _, _ := s.Directory.Lookup(t.Context(), s.Company, maya.ID); u.Email != mayaAt {
		t.Error("changed before the code came back")
	}
	b.submit(mainForm, "code", s.LastCode(t, "new@else.example")).want(200, "/account").shows("#notice", "address is changed").shows("main dd", "new@else.example")
	link := notMe(t, s, mayaAt)
	x := newBrowser(t, s)
	x.get(link).shows("#reverts", "m•••@acme.example").submit(mainForm).want(200, "/not-me/done").shows("#reverted", "back")
	if u, _, _ := s.Directory.Lookup(t.Context(), s.Company, maya.ID); u.Email != mayaAt {
		t.Errorf("the address is %s", u.Email)
	}
}

// An address that is somebody else's is not confirmed, and it is not said why.
func TestAddressTaken(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "omar", false)
	b := newBrowser(t, s)
	b.signIn(s.AddUser(t, s.Company, "maya", false)).begin("/account/email").submit(mainForm, "password", sallyporttest.Password)
	b.submit(mainForm, "email", "omar@acme.example").want(200, "/account/email/fac_.*")
	b.submit(mainForm, "code", s.LastCode(t, "omar@acme.example")).want(409, ".*").shows("#problem", "can’t be used here")
	b.get("/account").shows("main dd", mayaAt)
	b.get("/account/email").submit(mainForm, "email", "third@acme.example").cancel().want(200, "/account").shows("#notice", "stays as it was")
}

// rul-3: a form that was open in another tab when the session was issued anew is
// not carried out; what was typed is not lost, and nothing looks like an attack.
func TestOlderForms_rul3(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account")
	_, profile := b.fill(b.form("main form[action=/account]"), "name", "Typed <here>")
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/confirm").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/account/security")
	b.send(http.MethodPost, "/account", profile)
	b.want(422, "/account").shows("#notice", "another tab")
	if got := b.doc.one(t, "#name").attrs["value"]; got != "Typed <here>" {
		t.Errorf("what was typed is gone: %q", got)
	}
	b.submit("main form[action=/account]").want(200, "/account").shows("#notice", "saved").shows(".menu-who", "Typed <here>")
	// Three sessions later still; not after another sign-in, nor in another browser.
	for range 3 {
		s.Clock.Advance(11 * time.Minute)
		b.begin("/account/confirm").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/account/security")
	}
	b.send(http.MethodPost, "/account", profile)
	b.want(422, "/account")
	b.get("/account").submit(signOutForm)
	omar := s.AddUser(t, s.Company, "omar", false)
	b.signIn(omar)
	b.send(http.MethodPost, "/account", profile)
	b.want(403, "/account")
	if len(b.doc.all("#name")) != 0 {
		t.Error("one person's text is shown to another")
	}
	other := newBrowser(t, s)
	s.Clock.Advance(time.Minute)
	other.signIn(maya)
	other.send(http.MethodPost, "/account", profile)
	other.want(403, "/account")
}

// A link cannot make a page say that something was done.
func TestDoneNeedsTheAct(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.signIn(s.AddUser(t, s.Company, "maya", false))
	for _, done := range []string{"password", "app_off", "secured", "address", "profile"} {
		for _, page := range []string{"/account/security", "/account", "/signin"} {
			x := b
			if page == "/signin" {
				x = newBrowser(t, s)
			}
			if x.get(page + "?done=" + done); len(x.doc.all("#notice")) != 0 {
				t.Errorf("%s?done=%s says %s", page, done, x.doc.one(t, "#notice").words())
			}
		}
	}
	b.get("/account").submit("main form[action=/account]", "name", "Maya").shows("#notice", "saved")
	if b.get("/account?done=password"); len(b.doc.all("#notice")) != 0 {
		t.Error("one cookie stands for every notice")
	}
}

// cve-49, cve-58: with everything of somebody else's in the address and in the
// form, no route shows or changes anything of theirs.
func TestTwoPeople_cve49_cve58(t *testing.T) {
	s := newServer(t)
	maya, omar := s.AddUser(t, s.Company, "maya", false), s.AddUser(t, s.Company, "omar", true)
	b, o := newBrowser(t, s), newBrowser(t, s)
	b.signIn(maya)
	maya.Secret = b.newApp()
	codes := codesShown(b)
	b.get("/account/security").submit("#email form[action=/account/security/email]").want(200, "/account/security/email/fac_.*")
	mail := strings.TrimPrefix(b.path, "/account/security/email/")
	b.get("/account/security").submit(syncForm)
	key := b.doc.one(t, "#key").words()
	pending := strings.TrimPrefix(b.path, "/account/security/app/")
	b.get("/account/devices")
	session := b.doc.one(t, "#devices .item").attrs["id"]
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/confirm")
	attempt := strings.TrimPrefix(b.path, "/account/confirm/")
	s.Clock.Advance(time.Minute)
	o.signIn(omar)
	theirs := map[string]bool{}
	for _, f := range factorsOf(t, s, maya) {
		theirs[f.ID] = true
	}
	before := state(t, s, maya)
	tried := 0
	for _, route := range s.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if !strings.HasPrefix(path, "/account") {
			continue
		}
		for id := range theirs {
			tried++
			for _, f := range []string{id, mail, pending} {
				at := strings.NewReplacer("{attempt}", attempt, "{factor}", f, "{passkey}", f, "{session}", session).Replace(path)
				var form url.Values
				if method == http.MethodPost {
					form = url.Values{"form": {o.formValue()}, "factor": {id}, "replaces": {id}, "code": {s.LastCode(t, mayaAt)}, "version": {"1"}, "name": {"x"}, "saved": {"yes"},
						"for": {"app_off"}, "kind": {"totp"}, "do": {"send"}, "email": {mayaAt}, "current": {"x"}, "new": {"y"}}
				}
				o.send(method, at, form)
				if o.status >= 500 && o.status != 502 {
					t.Errorf("%s %s: %d", method, at, o.status)
				}
				if o.doc != nil {
					for _, secret := range []string{key, codes[0], mayaAt} {
						if secret == mayaAt && method == http.MethodPost {
							continue // typed by them
						}
						if strings.Contains(o.doc.words(), secret) {
							t.Errorf("%s %s shows %q", method, at, secret)
						}
					}
				}
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d", tried)
	}
	if got := state(t, s, maya); got != before {
		t.Error("something of theirs changed")
	}
}
