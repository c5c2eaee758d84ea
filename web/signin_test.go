package web_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// addUnverified makes a person whose address nobody confirmed.
func addUnverified(t testing.TB, s *sallyporttest.Server, login string) authn.User {
	t.Helper()
	u, err := s.Directory.CreateUser(context.Background(), s.Company, directory.NewUser{
		Login: login, Name: "Test " + login, Email: login + "@acme.example", Password: sallyporttest.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// setPolicy saves a whole document.
func setPolicy(t testing.TB, s *sallyporttest.Server, doc policy.Document) {
	t.Helper()
	c, err := s.Directory.Company(context.Background(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	doc.Format = 1
	if err := s.Directory.SetPolicy(context.Background(), c.ID, doc, c.PolicyVersion); err != nil {
		t.Fatal(err)
	}
}

// ownWay is a policy that asks everyone for a way of their own.
func ownWay(grace int) policy.Document {
	return policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience, authn.ExternalAudience}, GraceDays: grace}
}

// sends is how many messages left the server.
func sends(s *sallyporttest.Server) int { return len(s.Inbox.Messages()) }

const sendButton = "button[formaction]"

// S5, C1, C2: nothing is sent before the button is pressed; then the code that
// came signs in.
func TestEmailCode_C1_C2(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	s.SetTwoFactor(t, "acme", policy.Required)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).want(200, "/signin/att_.*").shows(sendButton, "m•••@acme.example")
	if len(b.doc.all("#code")) != 0 || len(b.doc.all("[value=choose]")) != 0 || sends(s) != 0 {
		t.Error("a field without a code, a choice of one, or a message nobody asked for")
	}
	path := b.path
	b.press(sendButton).want(200, path).shows("#code-hint strong", "m•••@acme.example").shows("#code-hint time", "09:16:10")
	if sends(s) != 1 || strings.Contains(b.doc.words(), "maya@acme") {
		t.Errorf("%d messages, or the address is not masked", sends(s))
	}
	subject := s.Inbox.Messages()[0].Subject
	b.shows("details li strong", strings.Replace(subject, s.LastCode(t, "maya@acme.example"), "…", 1))
	// Rule 18: Reload, Back, a second tab, other pages of the attempt.
	for _, query := range []string{"", "?way=email", "?way=choose", "?way=help", ""} {
		b.get(path+query).want(200, path)
	}
	second := *b
	second.get(path).want(200, path).shows("#code-hint", "m•••")
	b.password("maya", sallyporttest.Password).shows(sendButton, "m•••@acme.example") // another sign-in: its own code
	if sends(s) != 1 {
		t.Fatalf("%d messages by looking", sends(s))
	}
	b.get(path).submit(mainForm, "code", "12").want(422, path).shows("#code-err", "6 digits")
	b.submit(mainForm, "code", "").want(422, path).shows("#code-err", "from the message")
	b.submit(mainForm, "code", spaced(s.LastCode(t, "maya@acme.example"))).want(200, "/continue")
	if _, factors, err := s.Directory.Lookup(context.Background(), s.Company, maya.ID); err != nil || policy.Enrolled(factors) {
		t.Error("a code by e-mail is no way of one's own")
	}
}

// Rules 16, 19: again after 30 seconds, the same code; too early says when; the
// server counts, not the page. cve-36: the limits end it.
func TestSendAgain_rul15_cve36(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "maya", false)
	s.SetTwoFactor(t, "acme", policy.Required)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).press(sendButton)
	path, first := b.path, s.LastCode(t, "maya@acme.example")
	if got := b.doc.one(t, sendButton).attrs["data-wait"]; got != "30" {
		t.Errorf("%s seconds", got)
	}
	b.press(sendButton).want(429, path+"/send").shows("#problem time", "09:14:40")
	if sends(s) != 1 || b.header.Get("Retry-After") != "30" || len(b.doc.all("#code")) != 1 {
		t.Errorf("%d messages, Retry-After %q", sends(s), b.header.Get("Retry-After"))
	}
	s.Clock.Advance(20 * time.Second)
	if got := b.get(path).doc.one(t, sendButton).attrs["data-wait"]; got != "10" {
		t.Errorf("%s seconds", got)
	}
	s.Clock.Advance(10 * time.Second)
	if b.get(path).doc.one(t, sendButton).has("data-wait") {
		t.Error("it still waits")
	}
	b.press(sendButton).want(200, path).shows(".note", "same code").shows("#code-hint time", "09:16:10")
	if sends(s) != 2 || s.LastCode(t, "maya@acme.example") != first {
		t.Error("another code")
	}
	s.Clock.Advance(61 * time.Second)
	b.get(path).press(sendButton).want(200, path).shows(".note", "new code")
	next := s.LastCode(t, "maya@acme.example")
	if next == first {
		t.Error("the same code, with less than a minute left")
	}
	s.Clock.Advance(5 * time.Second)
	b.get(path).submit(mainForm, "code", first).want(200, "/continue") // good to its own end
}

// Over is not the same as wrong, costs no try and ends no sign-in (rule 22).
func TestSentCodeIsOver_cve32(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	setPolicy(t, s, policy.Document{TwoFactor: policy.Required, CodeSeconds: 40})
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).press(sendButton)
	path, old := b.path, s.LastCode(t, "maya@acme.example")
	s.Clock.Advance(41 * time.Second)
	b.submit(mainForm, "code", old).want(422, path).shows("#code-err", "expired").shows(sendButton, "Send a code")
	for _, f := range factorsOf(t, s, maya) {
		for lane, c := range f.Counts {
			if c.Tries != 0 && f.Kind == authn.Email {
				t.Errorf("charged: %s %d", lane, c.Tries)
			}
		}
	}
	b.press(sendButton).want(200, path)
	if s.LastCode(t, "maya@acme.example") == old {
		t.Error("the code that is over was sent again")
	}
	b.submit(mainForm, "code", old).want(422, path).shows("#code-err", "didn’t match")
	for range 3 {
		b.submit(mainForm, "code", old)
	}
	b.shows("#code-err", "6 tries left")
	if len(b.doc.all("#clock")) != 0 {
		t.Error("advice about the clock of a phone")
	}
	b.submit(mainForm, "code", s.LastCode(t, "maya@acme.example")).want(200, "/continue")
}

// mute is a provider that takes nothing.
type mute struct{ authn.Sender }

func (mute) Send(context.Context, authn.Message) error {
	return &authn.SendError{Stage: "accept", Code: "550", Permanent: true, Err: errors.New("secret reply")}
}

// S4: what the provider did not take is said at once, with what else there is.
func TestNotSent(t *testing.T) {
	s := newServer(t, func(c *sallyport.Config) { c.Senders = map[authn.Kind]authn.Sender{authn.Email: mute{}} })
	s.AddUser(t, s.Company, "maya", false)
	s.SetTwoFactor(t, "acme", policy.Required)
	bypassCode(t, s, "maya")
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	b.press(sendButton).want(502, path+"/send").shows("#problem", "could not send").shows("button.option", "Help code")
	if w := b.doc.one(t, "main").words(); strings.Contains(w, "We sent") || strings.Contains(w, "secret") || strings.Contains(w, "550") {
		t.Error(w)
	}
	b.press("button.option").want(200, path).shows("h1", "help code")
}

// bypassCode has the operator make a help code.
func bypassCode(t testing.TB, s *sallyporttest.Server, login string) string {
	t.Helper()
	u, _, err := s.Directory.Lookup(context.Background(), s.Company, login)
	if err != nil {
		t.Fatal(err)
	}
	code, _, err := s.Directory.BypassCode(context.Background(), s.Company, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// A way that is out of tries leaves the others open (rule 24); looking at one and
// another sends nothing, and none is reached by somebody else (rul-47).
func TestSwitchingWays_rul18(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	setPolicy(t, s, policy.Document{TwoFactor: policy.Required})
	b := newBrowser(t, s)
	code := bypassCode(t, s, "maya")
	b.password("maya", sallyporttest.Password)
	path := b.path
	b.get(path+"?way=choose").want(200, path)
	if got := b.doc.all("button.option"); len(got) != 2 || got[0].attrs["value"] != "email" || !strings.Contains(got[1].words(), "Help code") {
		t.Fatal("the ways")
	}
	b.press("button[value=email]").want(200, path).get(path + "?way=bypass_code").get(path + "?way=nothing").get(path + "?way=choose")
	if sends(s) != 0 {
		t.Fatal("looking sends")
	}
	b.get(path + "?way=email").press(sendButton)
	for range 10 {
		b.submit(mainForm, "code", wrongFor(s.LastCode(t, "maya@acme.example")))
	}
	b.want(429, path).shows(".note.warn", "1 minute").shows("button.option", "Help code")
	b.get(path).want(200, path).shows("h1", "help code") // what can be used now comes first
	thief := newBrowser(t, s)
	thief.get(path).want(404, path).get(path+"?way=bypass_code").want(404, path)
	form := "form=" + httpserveForm(thief.cookie("sallyport_browser"))
	for _, to := range []string{"/send", "/continue", "/later", "/setup", "/codes", "/password"} {
		thief.send(http.MethodPost, path+to+"?"+form, map[string][]string{"form": {httpserveForm(thief.cookie("sallyport_browser"))}, "version": {"12"}, "way": {"email"}})
		thief.want(404, path+to)
	}
	b.submit(mainForm, "code", code).want(200, path).shows("h1", "Set up a way")
	if maya.Factor != "" || sends(s) != 1 {
		t.Error("more was sent")
	}
}

func wrongFor(code string) string {
	if code == "000000" {
		return "111111"
	}
	return "000000"
}

// A form of an earlier state is not evaluated and sends nothing (rul-49).
func TestStaleSend_rul49(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "maya", false)
	s.SetTwoFactor(t, "acme", policy.Required)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	_, values := b.fill(b.form(mainForm))
	for _, version := range []string{"", "0", "2", "x"} {
		values.Set("version", version)
		b.send(http.MethodPost, path+"/send", values)
		if b.status != 303 || b.header.Get("Location") != path {
			t.Errorf("version %q: %d %s", version, b.status, b.header.Get("Location"))
		}
	}
	values.Set("version", "1")
	for _, way := range []string{"", "totp", "fac_00000000000000000000000000", "backup_code"} {
		values.Set("way", way)
		if b.send(http.MethodPost, path+"/send", values); b.status != 303 {
			t.Errorf("way %q: %d", way, b.status)
		}
	}
	if sends(s) != 0 {
		t.Errorf("%d messages", sends(s))
	}
	s.Clock.Advance(16 * time.Minute)
	values.Set("way", "email")
	b.send(http.MethodPost, path+"/send", values)
	b.want(410, path+"/send").shows(".note", "took too long")
	if sends(s) != 0 || b.doc.one(t, "#login").attrs["value"] != "maya" {
		t.Error("sent, or the name is gone")
	}
}

// The pages of signing in, in every language.
func TestEveryPageOfSigningIn(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.AddUser(t, s.Company, "maya", false)
			setPolicy(t, s, ownWay(3))
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			tourSignIn(b)
			tourInvitation(b)
			if len(b.seen) < 16 {
				t.Errorf("only %d pages: %v", len(b.seen), b.seen)
			}
		})
	}
}

func tourSignIn(b *browser) {
	s, t := b.s, b.t
	b.password("maya", sallyporttest.Password).press(sendButton).want(200, "/signin/att_.*")
	path := b.path
	b.press(sendButton).want(429, path+"/send").submit(mainForm, "code", "").want(422, path)
	b.submit(mainForm, "code", wrongFor(s.LastCode(t, "maya@acme.example"))).want(422, path)
	s.Clock.Advance(3 * time.Minute)
	b.submit(mainForm, "code", "000000").want(422, path).press(sendButton).submit(mainForm, "code", s.LastCode(t, "maya@acme.example"))
	b.press("button[value=totp]").want(200, path+"/setup/fac_.*").submit(mainForm, "code", "").want(422, ".*")
	b.submit(mainForm, "code", s.Code(t, b.shownKey())).want(200, path+"/codes").submit(mainForm).want(422, path+"/codes")
	codes := texts(b.doc.all("#codes li"))
	b.submit(mainForm, "saved", "yes").want(200, "/continue")
	s.Clock.Advance(time.Minute)
	b.get("/account").submit(signOutForm)
	help := bypassCode(t, s, "maya")
	b.password("maya", sallyporttest.Password)
	path = b.path
	for _, way := range []string{"choose", "help", "bypass_code", "backup_code"} {
		b.get(path+"?way="+way).want(200, path)
	}
	b.submit(mainForm, "code", "x").want(422, path).submit(mainForm, "code", "ABCD-EFGH").want(422, path)
	for range 9 {
		b.submit(mainForm, "code", "ABCD-EFGH")
	}
	b.want(429, path).get(path+"?way=backup_code").want(200, path)
	b.get(path+"?way=bypass_code").submit(mainForm, "code", "7K3M-Q9TD-4XWB-N2PA").want(422, path)
	s.Clock.Advance(10 * time.Minute)
	b.get(path+"?way=backup_code").submit(mainForm, "code", codes[0]).want(200, "/signin/backup-used")
	b.get("/account").submit(signOutForm)
	b.password("maya", sallyporttest.Password).get(b.path+"?way=bypass_code").submit(mainForm, "code", help).want(200, "/signin/att_.*")
	s.SetTwoFactor(t, "acme", policy.Off)
	b.get(b.path).want(200, "/signin/att_.*").submit(mainForm)
	s.SetTwoFactor(t, "acme", policy.Required)
}

func tourInvitation(b *browser) {
	s, t := b.s, b.t
	g := invite(t, s, "omar", false)
	path := "/invitation/" + g.Token.Reveal()
	b.get(path).want(200, path).submit(mainForm, "password", "x", "confirm", "y").want(422, "/invitation")
	b.submit(mainForm, "password", fresh, "confirm", fresh).want(200, "/continue").get("/account").submit(signOutForm)
	b.get(path).want(409, path).get("/invitation/x").want(404, ".*")
	zed := s.AddUser(t, s.Company, "zed", true)
	secured(t, s, zed)
	b.get("/signin").submit(mainForm, "login", "zed", "password", sallyporttest.Password).submit(mainForm, "code", s.Code(t, zed.Secret)).want(200, "/signin/att_.*")
	b.submit(mainForm, "new", "x", "confirm", "y").want(422, ".*/password")
}
