package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// emailed does both steps with a code by e-mail.
func (b *browser) emailed(login string) *browser {
	b.t.Helper()
	b.password(login, sallyporttest.Password).press(sendButton)
	return b.submit(mainForm, "code", b.s.LastCode(b.t, login+"@acme.example"))
}

// shownKey is the key of the page.
func (b *browser) shownKey() otp.Secret {
	b.t.Helper()
	secret, err := otp.DecodeSecret(b.doc.one(b.t, "#key").attrs["data-value"])
	if err != nil {
		b.t.Fatal(err)
	}
	return secret
}

// S11, F3, E1, E3: a code to the contact, then a way of one's own, then backup
// codes, all before there is a session.
func TestSetUpInSignIn_F3_E1_rul1(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	setPolicy(t, s, ownWay(0))
	b := newBrowser(t, s)
	b.emailed("maya").want(200, "/signin/att_.*").shows("h1", "Set up a way to verify").shows("main p", "asks everyone")
	path := b.path
	ways := b.doc.all("button.option")
	if len(ways) != 2 || !strings.Contains(ways[0].words(), "Passkey") || !strings.Contains(ways[0].words(), "Recommended") || strings.Contains(ways[1].words(), "Recommended") || len(b.doc.all("[formaction]")) != 0 {
		t.Fatalf("%d ways, or a way around", len(ways))
	}
	// The session reaches nothing else: there is none (casdoor #3932).
	if b.cookie("sallyport_session") != "" {
		t.Fatal("a session already")
	}
	b.get("/account/security").want(200, "/signin").get("/continue").want(200, "/signin").get(path).want(200, path)

	b.press("button[value=totp]").want(200, path+"/setup/fac_.*").shows("h1", "authenticator app")
	page, secret := b.path, b.shownKey()
	b.submit(mainForm, "code", s.WrongCode(t, secret)).want(422, page+"/confirm")
	if string(b.shownKey()) != string(secret) || string(b.get(page).shownKey()) != string(secret) {
		t.Error("another key after a wrong code, or after Reload (A2)")
	}
	// Half-way counts for nothing (authentik #2330).
	if _, factors, err := s.Directory.Lookup(context.Background(), s.Company, maya.ID); err != nil || policy.Enrolled(factors) {
		t.Fatal("it is on before it was confirmed")
	}
	action, values := b.fill(b.form(mainForm), "code", s.Code(t, secret))
	b.submit(mainForm, "code", s.Code(t, secret)).want(200, path+"/codes").shows("h1", "backup codes")
	if b.cookie("sallyport_session") != "" {
		t.Error("a session before Done")
	}
	codes := b.doc.all("#codes li")
	if len(codes) != 10 || b.doc.one(t, "#codes").attrs["data-value"] != strings.Join(texts(codes), "\n") {
		t.Fatalf("%d codes", len(codes))
	}
	// A double click, Back to the QR code, Reload: the same page.
	b.send(http.MethodPost, action, values)
	b.follow().want(200, path+"/codes").get(page).want(200, path+"/codes").get(path).want(200, path+"/codes")
	if got := texts(b.doc.all("#codes li")); strings.Join(got, " ") != strings.Join(texts(codes), " ") {
		t.Error("other codes")
	}
	thief := newBrowser(t, s)
	thief.get(path+"/codes").want(404, path+"/codes").get(path+"/codes.txt").want(404, path+"/codes.txt").get(page).want(404, page)

	b.submit(mainForm).want(422, path+"/codes").shows("#saved-err", "tick")
	b.submit(mainForm, "saved", "yes").want(200, "/continue")
	b.get(path+"/codes").want(200, "/continue").get(path).want(200, "/continue")
	b.get("/account/security").want(200, "/account/security").shows(".pill.ok", "Two-step sign-in is on")
	b.submit(signOutForm)
	s.Clock.Advance(time.Minute)
	b.password("maya", sallyporttest.Password).shows("h1", "from your app").submit(mainForm, "code", s.Code(t, secret)).want(200, "/continue")
}

func texts(list []*node) []string {
	var out []string
	for _, n := range list {
		out = append(out, n.words())
	}
	return out
}

// E3: the file has what is needed to know what it is for, and is kept nowhere.
func TestCodesFile_E3(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "maya", false)
	setPolicy(t, s, ownWay(0))
	b := newBrowser(t, s)
	b.emailed("maya")
	path := b.path
	b.press("button[value=totp]")
	b.submit(mainForm, "code", s.Code(t, b.shownKey())).want(200, path+"/codes")
	want := texts(b.doc.all("#codes li"))
	res := fetchAs(t, b, b.doc.one(t, "a[download]").attrs["href"])
	if res.header.Get("Content-Disposition") != `attachment; filename="acme-backup-codes-maya.txt"` || res.header.Get("Cache-Control") != "no-store" ||
		res.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%v", res.header)
	}
	for _, words := range append(want, "Acme Projects", "maya", "21 Nov 2026", "Each works once") {
		if !strings.Contains(res.body, words) {
			t.Errorf("no %q in %s", words, res.body)
		}
	}
	s.Clock.Advance(11 * time.Minute) // not shown for ever (ruling 43)
	b.get(path+"/codes").want(200, path).shows("h1", "verified").get(path+"/codes.txt").want(200, path)
	b.submit(mainForm).want(200, "/continue")
}

type fetched struct {
	header http.Header
	body   string
}

// fetchAs gets what is no page, with the browser's cookies.
func fetchAs(t testing.TB, b *browser, path string) fetched {
	t.Helper()
	res, err := b.http.Get(b.s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := new(strings.Builder)
	if _, err := copyTo(body, res.Body); err != nil {
		t.Fatal(err)
	}
	return fetched{res.Header, body.String()}
}

// F3: within the days of grace there is Later, after them there is not; the code
// to the contact is asked for all the same (ruling 1).
func TestGrace_F3_rul1(t *testing.T) {
	s := newServer(t)
	s.AddUser(t, s.Company, "maya", false)
	setPolicy(t, s, ownWay(3))
	b := newBrowser(t, s)
	b.emailed("maya").shows("main time", "24 Nov 2026")
	path := b.path
	b.press("[formaction]").want(200, "/continue").get("/account/security").want(200, "/account/security")
	b.get(path).want(200, "/continue")
	b.submit(signOutForm0(b)).want(200, "/signin")
	s.Clock.Advance(4 * 24 * time.Hour)
	b.emailed("maya").shows("h1", "Set up a way")
	if len(b.doc.all("[formaction]")) != 0 {
		t.Fatal("there is Later")
	}
	action, values := b.fill(b.form(mainForm))
	b.send(http.MethodPost, strings.TrimSuffix(action, "/setup")+"/later", values)
	if b.follow().shows("h1", "Set up a way"); b.cookie("sallyport_session") != "" {
		t.Error("in all the same")
	}
}

// signOutForm0 opens the account and names the form that signs out.
func signOutForm0(b *browser) string {
	b.get("/account")
	return signOutForm
}

// Cancel, another tab, and time.
func TestSetUpEndsInSignIn(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	setPolicy(t, s, ownWay(0))
	b := newBrowser(t, s)
	b.emailed("maya")
	path := b.path
	b.press("button[value=totp]")
	first := b.path
	b.press("[formaction]").want(200, path).get(first).want(404, first).shows("h1", "over")
	b.get(path).press("button[value=totp]")
	second := b.path
	b.get(path).press("button[value=totp]") // begun again: one is pending, not two
	b.get(second).want(404, second)
	for _, kind := range []string{"email", "password", "backup_code", "bypass_code", ""} {
		_, values := b.get(path).fill(b.form(mainForm))
		values.Set("kind", kind)
		b.send(http.MethodPost, path+"/setup", values)
		if b.status != 303 || b.header.Get("Location") != path {
			t.Errorf("kind %q: %d %s", kind, b.status, b.header.Get("Location"))
		}
	}
	// Without a form of ours, or with an old one, nothing is evaluated.
	b.get(path).press("button[value=totp]")
	action, values := b.fill(b.form(mainForm), "code", "000000")
	values.Set("try", "")
	b.send(http.MethodPost, action, values)
	b.follow().want(200, path+"/setup/fac_.*")
	for range 10 {
		b.submit(mainForm, "code", s.WrongCode(t, b.shownKey()))
	}
	b.want(422, ".*").shows(".note.warn", "1 minute")
	s.Clock.Advance(16 * time.Minute)
	b.submit(mainForm, "code", "000000").want(410, ".*").shows(".note", "took too long")
	if _, factors, err := s.Directory.Lookup(context.Background(), s.Company, maya.ID); err != nil || policy.Enrolled(factors) {
		t.Error("something is on")
	}
}

// Ruling 18: a help code opens set-up and nothing else, where nothing else is
// left; the page that said no leads on once there is one.
func TestHelpCode_rul18(t *testing.T) {
	s := newServer(t)
	addUnverified(t, s, "omar")
	setPolicy(t, s, ownWay(5))
	if err := s.Directory.SetSupport(context.Background(), s.Company, "Call Priya on 555 <0100>."); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s)
	b.password("omar", sallyporttest.Password).want(403, "/signin/att_.*").shows("main strong", "Call Priya on 555 <0100>.")
	path := b.path
	code := bypassCode(t, s, "omar")
	b.get(b.doc.one(t, "main a.btn-primary").attrs["href"]).want(200, path).shows("h1", "help code")
	b.submit(mainForm, "code", "7K3M").want(422, path).shows("#code-err", "sixteen")
	b.submit(mainForm, "code", "").want(422, path).shows("#code-err", "your admin gave you")
	b.submit(mainForm, "code", "7K3M-Q9TD-4XWB-N2PA").want(422, path).shows("#code-err", "That help code didn’t match")
	b.submit(mainForm, "code", " "+strings.ToLower(strings.ReplaceAll(code, "-", " "))).want(200, path).shows("main", "Your admin’s help code").shows("main", "24 hours")
	if len(b.doc.all("[formaction]")) != 0 {
		t.Error("it can be put off")
	}
	b.press("button[value=totp]")
	secret := b.shownKey()
	b.submit(mainForm, "code", s.Code(t, secret)).want(200, path+"/codes").submit(mainForm, "saved", "yes").want(200, "/continue")
	// Once only.
	s.Clock.Advance(time.Minute)
	b.get("/account").submit(signOutForm)
	b.password("omar", sallyporttest.Password).get(b.path+"?way=help").shows("h1", "Can’t verify")
	if len(b.doc.all("[href="+b.path+"?way=bypass_code]")) != 0 {
		t.Error("a help code is offered")
	}
}

// S9 and the reasons of a denial: each says what to do, and none what the
// password's holder may not know.
func TestDeniedReasons_rul2(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	omar := s.AddUser(t, s.Company, "omar", false)
	setPolicy(t, s, policy.Document{TwoFactor: policy.Required, Strength: map[string]policy.Strength{"owner": policy.PhishingResistant, "member": policy.OwnPossession}})
	seen := map[string]bool{}
	denied := func(login string) {
		t.Helper()
		b := newBrowser(t, s)
		b.password(login, sallyporttest.Password).want(403, "/signin/att_.*").shows("main", "Ask your admin at Acme Projects").shows("main a", "Look again")
		if w := b.doc.one(t, "main").words(); strings.Contains(w, "@") || seen[b.doc.one(t, "h1").words()] {
			t.Error(w)
		}
		seen[b.doc.one(t, "h1").words()] = true
	}
	if len(omar.Roles) > 0 {
		denied("omar") // too weak
	}
	setPolicy(t, s, policy.Document{TwoFactor: policy.Required})
	if err := s.Directory.ResetFactors(context.Background(), s.Company, maya.ID); err != nil {
		t.Fatal(err)
	}
	addUnverified(t, s, "nora")
	denied("nora")
	// The address was changed within a day.
	err := s.Store.Decide(context.Background(), authn.Keys{Company: s.Company.ID, User: omar.ID, Now: s.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.EmailChangedAt = s.Clock.Now().Add(-time.Hour)
		return authn.Accept(authn.Event{Company: u.Company, ID: authn.NewID(authn.EventID, s.Clock.Now(), zeros{}), Type: "email.changed", Target: u.ID, Result: authn.Succeeded, At: s.Clock.Now()}, authn.PutUser{User: u})
	})
	if err != nil {
		t.Fatal(err)
	}
	denied("omar")
	// Had a way, and cannot use it.
	err = s.Store.Decide(context.Background(), authn.Keys{Company: s.Company.ID, User: maya.ID, Now: s.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.HadFactorAt = s.Clock.Now().Add(-time.Hour)
		return authn.Accept(authn.Event{Company: u.Company, ID: authn.NewID(authn.EventID, s.Clock.Now().Add(time.Second), zeros{}), Type: "factor.removed", Target: u.ID, Result: authn.Succeeded, At: s.Clock.Now()}, authn.PutUser{User: u})
	})
	if err != nil {
		t.Fatal(err)
	}
	denied("maya")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
