package web_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	passkeyForm  = "main form[data-passkey]"
	alonePasskey = "main form[data-autofill][hidden]"
	passkeysPage = "/account/security/passkeys"
)

// named is a server that has a name, as the id of its passkeys is one.
func named(t *testing.T) *sallyporttest.Server {
	t.Helper()
	s := newServer(t, func(c *sallyport.Config) { c.PublicURL = strings.Replace(c.PublicURL, "127.0.0.1", "localhost", 1) })
	s.URL = s.PasskeyOrigin()
	return s
}

// keyed is somebody with a passkey, and what it is on.
func keyed(t *testing.T, s *sallyporttest.Server, login string, app bool) (sallyporttest.Person, *sallyporttest.Passkeys) {
	t.Helper()
	p, keys := s.AddUser(t, s.Company, login, app), s.Passkeys(t)
	id := s.AddPasskey(t, p.User, keys)
	if !app {
		p.Factor = id
	}
	return p, keys
}

// asked is the question of a form on the page, which the script posts for.
func (b *browser) asked(selector string) []byte {
	b.t.Helper()
	form := b.form(selector)
	_, values := b.fill(form)
	page, doc := b.path, b.doc
	b.send(http.MethodPost, form.attrs["data-options"], values, "Accept", "application/json")
	if b.status != 200 || b.header.Get("Content-Type") != "application/json" || b.header.Get("Cache-Control") != "no-store" {
		b.t.Fatalf("%s: %d %s %s", form.attrs["data-options"], b.status, b.header.Get("Location"), b.plain)
	}
	options := []byte(b.plain)
	b.path, b.doc, b.status = page, doc, 200
	return options
}

// signs is what a device answers to a form that asks for a passkey.
func (b *browser) signs(selector string, keys *sallyporttest.Passkeys) string {
	b.t.Helper()
	answer, err := keys.Sign(b.asked(selector))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(answer)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (b *browser) makes(keys *sallyporttest.Passkeys) string {
	b.t.Helper()
	answer, err := keys.Make(b.asked(passkeyForm))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(answer)
}

// S1, N1: the whole sign-in, where one began, on a server with one company and with several.
func TestPasskeySignIn_S1_N1(t *testing.T) {
	s := newServer(t)
	_, keys := keyed(t, s, "maya", true)
	b := newBrowser(t, s)
	b.get("/account/activity?kind=ways").want(200, "/signin")
	if got := b.doc.one(t, "#login").attrs["autocomplete"]; got != "username webauthn" {
		t.Errorf("autocomplete %q", got)
	}
	if form := b.doc.one(t, alonePasskey); !form.all("button")[0].has("hidden") {
		t.Error("the button is there for people whose browser cannot use it")
	}
	var options struct {
		AllowCredentials []any  `json:"allowCredentials"`
		UserVerification string `json:"userVerification"`
	}
	if err := json.Unmarshal(b.asked(alonePasskey), &options); err != nil || len(options.AllowCredentials) != 0 || options.UserVerification != "required" {
		t.Errorf("asked for %+v %v", options, err)
	}
	b.submit(alonePasskey, "credential", b.signs(alonePasskey, keys)).want(200, "/continue")
	if got := b.header.Get("Refresh"); got != "0; url=/account/activity?kind=ways" {
		t.Errorf("it leads to %q", got)
	}
	b.get("/account/devices").shows("#devices", "passkey")

	s.AddCompany(t, "beta", "Beta")
	other := newBrowser(t, s)
	other.get("/c/acme/signin?return_to=/account").submit(alonePasskey, "credential", other.signs(alonePasskey, keys)).want(200, "/continue")
	if got := other.cookie("sallyport_company"); got != "acme" {
		t.Errorf("the browser knows %q", got)
	}
	// It is nobody's at another company, and the browser is told nothing that it would
	// take from its owner.
	other = newBrowser(t, s)
	other.get("/c/beta/signin").submit(alonePasskey, "credential", other.signs(alonePasskey, keys)).want(422, "/c/beta/signin/passkey").shows("#problem", "not known here")
	if len(other.doc.all("[data-unknown-passkey]")) != 0 || other.form(alonePasskey).attrs["action"] != "/c/beta/signin/passkey" {
		t.Error("forgotten, or the form leads elsewhere")
	}
	other.get("/c/nobody/signin").want(404, ".*")
	other.send(http.MethodPost, "/c/nobody/signin/passkey", url.Values{"form": {"x"}})
	other.want(404, "/c/nobody/signin/passkey")
	other.send(http.MethodPost, "/c/nobody/signin/passkey/options", url.Values{"form": {"x"}})
	other.want(404, ".*")
}

// What cannot sign in says so in place, and the page works on.
func TestPasskeySignInRefused_S1_rul49_cve66(t *testing.T) {
	s := newServer(t)
	_, keys := keyed(t, s, "maya", true)
	b, other := newBrowser(t, s), newBrowser(t, s)
	fresh := func() string { return b.get("/signin").signs(alonePasskey, keys) }
	for name, c := range map[string]struct {
		credential func() string
		status     int
		says       string
	}{
		"no answer":    {func() string { return "" }, 422, "Nothing happened yet"},
		"no JSON":      {func() string { return "{" }, 422, "could not be checked"},
		"an old one":   {func() string { x := fresh(); s.Clock.Advance(6 * time.Minute); return x }, 410, "took too long"},
		"another's":    {func() string { return other.get("/signin").signs(alonePasskey, keys) }, 410, "took too long"},
		"spoilt":       {func() string { return strings.Replace(fresh(), `"signature":"`, `"signature":"AAAA`, 1) }, 422, "could not be checked"},
		"far too long": {func() string { return strings.Repeat("x", 70<<10) }, 413, ""},
	} {
		b.get("/signin").submit(alonePasskey, "credential", c.credential()).want(c.status, "/signin/passkey")
		if c.says == "" {
			continue // more than a form may be
		}
		if red := len(b.shows("#problem", c.says).doc.all("#problem.danger")) == 1; red == (name == "no answer") {
			t.Errorf("%s: red is %v", name, red)
		}
		b.submit(mainForm, "login", "maya", "password", "").want(422, "/signin").shows("#password-err", "Enter your password")
	}
	// Each answer signs in once.
	answer := fresh()
	b.submit(alonePasskey, "credential", answer).want(200, "/continue")
	b.get("/signout").submit(mainForm).get("/signin").submit(alonePasskey, "credential", answer).want(410, "/signin/passkey")

	// Forged forms, and browsers that keep nothing.
	b.get("/signin")
	for _, at := range []string{"/signin/passkey", "/signin/passkey/options"} {
		b.send(http.MethodPost, at, url.Values{"form": {"AAAAAAAAAAAAAAAAAAAAAAAAAA"}, "credential": {"x"}})
		b.want(403, at)
		b.send(http.MethodPost, at, url.Values{"credential": {"x"}}, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
		b.want(403, at)
	}
	bare := newBrowser(t, s)
	bare.send(http.MethodPost, "/signin/passkey", url.Values{"form": {"x"}, "credential": {"x"}})
	bare.want(400, "/signin/passkey").shows("#problem", "no cookie")
	bare = newBrowser(t, s)
	if bare.send(http.MethodPost, "/signin/passkey/options", url.Values{"form": {"x"}}); bare.status != 200 || strings.TrimSpace(bare.plain) != "null" {
		t.Errorf("asked without a cookie: %d %s", bare.status, bare.plain)
	}
}

// The company decides whether a passkey alone lets people in.
func TestPasskeySignInOnlyWhereOffered(t *testing.T) {
	s := newServer(t)
	_, keys := keyed(t, s, "maya", true)
	b := newBrowser(t, s)
	answer := b.get("/signin").signs(alonePasskey, keys)
	_, form := b.fill(b.form(alonePasskey), "credential", answer)
	for name, change := range map[string]func(*policy.Document){
		"not offered": func(d *policy.Document) { d.Methods = []authn.Kind{authn.TOTP} },
		"off":         func(d *policy.Document) { d.TwoFactor = policy.Off },
	} {
		s.SetPolicy(t, "acme", change)
		if b.get("/signin").want(200, "/signin"); len(b.doc.all("form[data-passkey]")) != 0 || b.doc.one(t, "#login").attrs["autocomplete"] != "username" || strings.Contains(b.plain, "passkey") {
			t.Errorf("%s: the page speaks of passkeys", name)
		}
		if b.send(http.MethodPost, "/signin/passkey", form); b.status < 400 || b.cookie("sallyport_session") != "" {
			t.Errorf("%s: %d", name, b.status)
		}
		s.SetPolicy(t, "acme", func(d *policy.Document) { *d = policy.Document{Format: d.Format, TwoFactor: policy.On} })
	}
}

// S6: the second step; several passkeys are one way.
func TestPasskeySecondStep_S6_rul49(t *testing.T) {
	s := newServer(t)
	maya, keys := keyed(t, s, "maya", false)
	second := s.Passkeys(t)
	s.AddPasskey(t, maya.User, second)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).want(200, "/signin/att_.*").shows("h1", "Use your passkey").shows("#passkey-hint", "fingerprint, face or screen lock").shows("noscript", "need JavaScript")
	path := b.path
	if len(b.doc.all("button.option")) != 0 {
		t.Error("a passkey is a way besides passkeys")
	}
	// Either of them answers; what is no answer says so, and counts for nothing.
	b.submit(passkeyForm).want(422, path).shows("#problem", "Nothing happened yet")
	if strings.HasPrefix(b.title(), "Error") || len(b.doc.all("#problem.danger")) != 0 {
		t.Errorf("%q: nothing went wrong", b.title())
	}
	b.submit(passkeyForm, "credential", "{}").want(422, path).shows("#problem.danger", "could not be checked")
	late := b.signs(passkeyForm, second)
	s.Clock.Advance(6 * time.Minute)
	b.submit(passkeyForm, "credential", late).want(422, path).shows("#problem", "took too long")
	stale := b.form(passkeyForm)
	b.submit(passkeyForm, "credential", strings.Replace(b.signs(passkeyForm, keys), `"signature":"`, `"signature":"AAAA`, 1)).want(422, path).shows("#problem", "could not be checked")

	// A form of an earlier state gets no question, and no forged one does.
	_, values := b.fill(stale)
	b.send(http.MethodPost, path+"/passkey", values)
	b.want(303, path+"/passkey")
	values.Set("form", "AAAAAAAAAAAAAAAAAAAAAAAAAA")
	b.send(http.MethodPost, path+"/passkey", values)
	b.want(403, path+"/passkey")
	theirs := newBrowser(t, s)
	theirs.get("/signin").send(http.MethodPost, path+"/passkey", values)
	theirs.want(404, path+"/passkey")

	b.get(path).submit(passkeyForm, "credential", b.signs(passkeyForm, second)).want(200, "/continue")
	b.get("/account/activity").shows("table", "Signed in with")

	// With an app beside it both are there once.
	_, secret := s.AddApp(t, maya.User)
	s.Clock.Advance(time.Minute)
	b.get("/signout").submit(mainForm)
	b.password("maya", sallyporttest.Password)
	path = b.path
	if got := texts(b.get(path + "?way=choose").doc.all("button.option strong")); len(got) != 2 || !strings.HasPrefix(got[0], "Passkey") || got[1] != "Authenticator app" {
		t.Errorf("the ways are %q", got)
	}
	b.press("button[value=webauthn]").want(200, path).shows("h1", "Use your passkey").shows("button.option", "Authenticator app")
	b.press("button.option").want(200, path).submit(mainForm, "code", s.Code(t, secret)).want(200, "/continue")
}

// N2, S19, E1: the first passkey comes with backup codes; then its name, another, one
// too many on a device, and both removed again.
func TestPasskeysOfTheAccount_S19_E1(t *testing.T) {
	s := named(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	keys := s.Passkeys(t)
	b := newBrowser(t, s)
	b.signIn(maya)
	b.get(passkeysPage).want(200, passkeysPage).shows("#none", "no passkey yet").shows("#none", "no code to type")
	b.submit("#none form").submit(mainForm, "password", sallyporttest.Password).want(200, passkeysPage+"/fac_.*").shows("h1", "Set up a passkey").shows("noscript", "need JavaScript")
	at := b.path
	for _, c := range []struct{ credential, says string }{{"", "Nothing happened yet"}, {"{}", "could not be checked"}} {
		b.submit(passkeyForm, "credential", c.credential).want(422, at+"/confirm").shows("#problem", c.says)
	}
	late := b.makes(keys)
	s.Clock.Advance(6 * time.Minute)
	b.submit(passkeyForm, "credential", late).want(410, at+"/confirm").shows("#problem", "took too long")
	keys = s.Passkeys(t)
	keys.Synced = true
	b.submit(passkeyForm, "credential", b.makes(keys)).want(200, "/account/security/backup-codes").shows("#notice", "passkey is saved").saved()
	b.get(at).want(200, "/account/security") // Back
	b.get("/account/security").shows("#passkeys", "1 passkey").shows("#passkeys .pill.ok", "On").shows("main", "Add another way")
	b.get(passkeysPage).shows("#passkeys .item-t", "Passkey Synced")
	id := b.doc.one(t, "#passkeys .item").attrs["id"]
	list := b.doc.one(t, "[data-passkeys]").attrs
	if made := keys.Credentials(); list["data-host"] != "localhost" || list["data-passkeys"] != b64(made[0].ID) || list["data-user"] != b64(made[0].UserHandle) {
		t.Errorf("the browser is told %v", list)
	}

	// Its name.
	for name, status := range map[string]int{"": 422, strings.Repeat("x", 61): 422, "Work phone": 200} {
		b.get(passkeysPage).submit("#"+id+" form", "name", name)
		if b.status != status {
			t.Errorf("%q: %d", name, b.status)
		}
	}
	b.get(passkeysPage).shows("#"+id, "Work phone")

	// Another one. A device that has one makes no second.
	s.Clock.Advance(20 * time.Minute)
	b.submit("main .row-between form").want(200, "/account/confirm/att_.*").shows("#act", "add a passkey").shows("#confirm-passkey", "fingerprint")
	step := b.path
	b.submit("#confirm-passkey form").want(422, step).shows("#problem", "Nothing happened yet")
	b.submit("#confirm-passkey form", "credential", b.signs("#confirm-passkey form", keys)).want(200, passkeysPage+"/fac_.*")
	if _, err := keys.Make(b.asked(passkeyForm)); err == nil || !strings.Contains(err.Error(), "InvalidStateError") {
		t.Errorf("a second on the same device: %v", err)
	}
	b.submit("main form[action="+b.path+"/cancel]").want(200, passkeysPage).shows("#notice", "cancelled").submit("main .row-between form")
	other := s.Passkeys(t)
	other.Attachment = "cross-platform"
	b.submit(passkeyForm, "credential", b.makes(other)).want(200, passkeysPage).shows("#notice", "passkey is saved").shows("#passkeys", "This device only")
	if len(b.doc.all("#passkeys .item")) != 2 {
		t.Error("not two")
	}
	b.get("/account/security").shows("#passkeys", "2 passkeys")
	if len(b.doc.all(".usual")) != 0 {
		t.Error("one way is the usual one of itself")
	}

	// Removed, with the codes at the end.
	b.get(passkeysPage+"/"+id+"/off").want(200, ".*").shows("h1", "Remove this passkey?").shows("#which", "Work phone").shows("main", "password manager").shows("#effect", "still be able")
	b.submit(mainForm).want(200, passkeysPage).shows("#notice", "passkey is removed")
	if got := b.doc.one(t, "[data-passkeys]").attrs["data-passkeys"]; got != b64(other.Credentials()[0].ID) {
		t.Errorf("known are %q", got)
	}
	b.get(passkeysPage+"/"+id+"/off").want(200, passkeysPage)
	s.SetPolicy(t, "acme", func(d *policy.Document) {
		d.OwnWay = []authn.Audience{authn.InternalAudience}
		d.TwoFactor = policy.Required
	})
	last := b.doc.one(t, "#passkeys .item").attrs["id"]
	b.get(passkeysPage+"/"+last+"/off").want(200, ".*").shows("#last", "only way to verify")
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.OwnWay, d.TwoFactor = nil, policy.On })
	s.Clock.Advance(20 * time.Minute)
	b.begin(passkeysPage+"/"+last+"/off").shows("#act", "remove a passkey")
	b.submit("#confirm-passkey form", "credential", b.signs("#confirm-passkey form", other)).want(200, passkeysPage+"/"+last+"/off").shows("main", "backup codes end too")
	b.submit(mainForm).want(200, passkeysPage).shows("#none", "no passkey yet")
	b.get("/account/activity?kind=ways").shows("table", "Passkey added").shows("table", "Passkey removed")

	// It opens nothing any more, and the browser is told to forget it.
	b.get("/signout").submit(mainForm).get("/signin").submit(alonePasskey, "credential", b.signs(alonePasskey, other)).want(422, "/signin/passkey").shows("#problem", "not known here any more")
	if got := b.doc.one(t, "[data-unknown-passkey]").attrs; got["data-unknown-passkey"] != b64(other.Credentials()[0].ID) || got["data-host"] != "localhost" {
		t.Errorf("told of %v", got)
	}
}

// As many as there can be, each with a title of its own.
func TestPasskeysAtMost(t *testing.T) {
	s := newServer(t)
	maya, keys := keyed(t, s, "maya", true)
	for range enroll.MaxSeveral - 1 {
		s.AddPasskey(t, maya.User, s.Passkeys(t))
	}
	b := newBrowser(t, s)
	b.get("/signin").submit(alonePasskey, "credential", b.signs(alonePasskey, keys)).want(200, "/continue")
	b.get(passkeysPage).shows("#full", "20 passkeys, which is as many as can be")
	titles := texts(b.doc.all("#passkeys .item-t bdi"))
	if slices.Sort(titles); len(titles) != enroll.MaxSeveral || len(slices.Compact(titles)) != enroll.MaxSeveral {
		t.Errorf("%q", titles)
	}
	if len(b.doc.all("main form[action="+passkeysPage+"]")) != 0 {
		t.Error("another can be added")
	}
	b.send(http.MethodPost, passkeysPage, url.Values{"form": {b.formValue()}})
	b.follow().want(200, passkeysPage).shows("#full", "as many as can be")
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.Methods = []authn.Kind{authn.TOTP} })
	b.get(passkeysPage).shows("#closed", "Not used at your company").get("/account/security").shows("#passkeys", "does not use it")
}

// F3, E1, rul-1: set up in the sign-in that demands it.
func TestPasskeyInSignIn_F3_E1_rul1(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	setPolicy(t, s, ownWay(0))
	keys := s.Passkeys(t)
	b := newBrowser(t, s)
	b.emailed("maya").press("button[value=webauthn]")
	at := b.want(200, "/signin/att_.*/setup/fac_.*").shows("h1", "Set up a passkey").path
	b.submit(passkeyForm).want(422, at+"/confirm").shows("#problem", "Nothing happened yet")
	_, values := b.fill(b.form(passkeyForm))
	values.Set("form", "AAAAAAAAAAAAAAAAAAAAAAAAAA")
	b.send(http.MethodPost, at+"/options", values)
	b.want(403, at+"/options").get(at).submit(passkeyForm, "credential", b.makes(keys)).want(200, "/signin/att_.*/codes")
	b.submit(mainForm, "saved", "yes").want(200, "/continue")
	if !slices.ContainsFunc(factorsOf(t, s, maya), func(f authn.Factor) bool { return f.Kind == authn.WebAuthn && f.State == authn.Confirmed }) {
		t.Error("there is no passkey")
	}
	b.get(passkeysPage).shows("#passkeys", "Passkey")
}

// Rul-27: what was typed waits while a passkey confirms.
func TestPasskeyConfirmsKeptForm_rul27(t *testing.T) {
	s := newServer(t)
	maya, keys := keyed(t, s, "maya", false)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).submit(passkeyForm, "credential", b.signs(passkeyForm, keys)).want(200, "/continue")
	b.get("/account/email").want(200, "/account/email")
	form := b.form(mainForm)
	s.Clock.Advance(20 * time.Minute)
	action, values := b.fill(form, "email", "maya.new@acme.example")
	b.send(http.MethodPost, action, values)
	b.follow().want(200, "/account/confirm/att_.*").shows("#kept", "").submit("#confirm-passkey form", "credential", b.signs("#confirm-passkey form", keys)).want(200, "/account/confirm/att_.*/form")
	b.shows("main", "maya.new@acme.example").submit(mainForm).want(200, "/account/email/fac_.*")
	if maya.Email == "maya.new@acme.example" {
		t.Error("changed without a code")
	}
}
