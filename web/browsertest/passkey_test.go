package browsertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// named is a server at a name: browsers have no passkeys for a number.
func named(t *testing.T) *sallyporttest.Server {
	t.Helper()
	s := sallyporttest.NewServer(t, func(c *sallyport.Config) { c.PublicURL = strings.Replace(c.PublicURL, "127.0.0.1", "localhost", 1) })
	s.URL = s.PasskeyOrigin()
	return s
}

// device is an authenticator that the tab's browser has.
type device struct {
	tb *tab
	id webauthn.AuthenticatorID
}

// Phones and laptops, and keys for the pocket.
var (
	platform = webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true, DefaultBackupEligibility: true, DefaultBackupState: true}
	pocket = webauthn.VirtualAuthenticatorOptions{Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportUsb, AutomaticPresenceSimulation: true}
)

// device gives the browser an authenticator.
func (tb *tab) device(o webauthn.VirtualAuthenticatorOptions) *device {
	tb.t.Helper()
	d := &device{tb: tb}
	tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		if err := call(ctx, s, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		res, err := cdp.Call(ctx, s, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &o})
		d.id = res.AuthenticatorID
		return err
	}))
	return d
}

func (d *device) keys() []*webauthn.Credential {
	d.tb.t.Helper()
	var list []*webauthn.Credential
	d.tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		res, err := cdp.Call(ctx, s, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: d.id})
		list = res.Credentials
		return err
	}))
	return list
}

// gone takes it away.
func (d *device) gone() {
	d.tb.t.Helper()
	d.tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		return call(ctx, s, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: d.id})
	}))
}

// present says whether somebody touches it.
func (d *device) present(yes bool) {
	d.tb.t.Helper()
	d.tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		return call(ctx, s, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: d.id, Enabled: yes})
	}))
}

// knows says whether it knows the finger.
func (d *device) knows(yes bool) {
	d.tb.t.Helper()
	d.tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		return call(ctx, s, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: d.id, IsUserVerified: yes})
	}))
}

// before has every page begin with a script.
func (tb *tab) before(script string) {
	tb.t.Helper()
	tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	}))
}

// answers presses a button that asks the device, and waits for what the page says.
func (tb *tab) answers(button, says string) {
	tb.t.Helper()
	if err := tb.click(tb.T(button)); err != nil {
		tb.t.Fatal(err)
	}
	tb.await(tb.T(says), func() bool { return tb.content("[data-says]") == tb.T(says) })
	if eval[bool](tb, "!!document.querySelector('form[data-passkey] button[aria-disabled]')") {
		tb.t.Error("the button still waits")
	}
}

// N1, N2, S1, S6, S19: set up with backup codes, named, not made twice, used to sign in
// alone and to confirm, and removed.
func TestPasskey_N1_N2_S1_S6_S19(t *testing.T) {
	t.Parallel()
	s := named(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	tb := newTab(t, s.URL, true)
	phone := tb.device(platform)
	tb.signIn(s, maya)
	tb.page("security/passkey-none", 200)
	tb.open("/account/security/passkeys")
	tb.page("passkeys/none", 200)
	tb.press("page.passkeys.add")
	tb.fill("password", sallyporttest.Password)
	tb.press("page.confirm.button")
	tb.lands("/account/security/passkeys/fac_")
	tb.page("passkey-setup", 200)
	tb.walk("passkey-setup")
	phone.knows(false)
	tb.answers("page.passkey.make", "page.passkey.not_made")
	tb.page("passkey-setup/cancelled", 200)
	phone.knows(true)
	tb.press("page.passkey.make")
	tb.lands("/account/security/backup-codes")
	tb.saveCodes()
	tb.page("security/passkey", 200)
	tb.open("/account/security/passkeys")
	tb.page("passkeys/one", 200)
	tb.walk("passkeys")
	if list := phone.keys(); len(list) != 1 || !list[0].IsResidentCredential || list[0].RpID != "localhost" || list[0].UserName != maya.Login {
		t.Fatalf("the phone has %+v", list)
	}
	tb.press("page.passkeys.add")
	tb.answers("page.passkey.make", "page.passkey.there")
	tb.page("passkey-setup/there", 200)
	tb.press("page.cancel")
	tb.lands("/account/security/passkeys")

	// Alone, by the button and by keyboard, back to where it began.
	phone.present(false)
	tb.signOut()
	tb.open("/account/activity")
	tb.page("signin/passkey", 200)
	tb.focused("login")
	tb.walk("signin/passkey")
	phone.present(true)
	eval[bool](tb, "document.querySelector('form[data-passkey] button').focus() || true")
	tb.keys("\r")
	tb.lands("/account/activity")

	// In the middle of a form whose proof grew old.
	tb.open("/account/email")
	tb.fill("email", "maya.new@acme.example")
	s.Clock.Advance(11 * time.Minute)
	tb.press("page.sent.send")
	tb.lands("/account/confirm/att_")
	tb.page("confirm/passkey", 200)
	tb.walk("confirm/passkey")
	tb.press("page.passkey.button")
	tb.lands("/account/confirm/att_")
	tb.reads("#typed", "maya.new@acme.example")
	tb.press("page.sent.send")
	tb.lands("/account/email/fac_")

	// Removed here, and no more offered by the browser.
	tb.open("/account/security/passkeys")
	id := factor(t, s, maya, authn.WebAuthn).ID
	tb.open("/account/security/passkeys/" + id + "/off")
	tb.page("passkey-off", 200)
	tb.press("page.passkeys.remove")
	tb.lands("/account/security/passkeys?done=passkey_off")
	tb.page("passkeys/removed", 200)
}

// S1: a passkey among what the name field offers, which the browser answers with.
func TestPasskeyAutofill_S1(t *testing.T) {
	t.Parallel()
	s := named(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	tb := newTab(t, s.URL, true)
	tb.device(platform)
	tb.passkeyOf(s, maya)
	tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		return call(ctx, s, network.ClearBrowserCookies, cdp.Empty{})
	}))
	// A virtual device has no list to choose from: it takes its only passkey. Nobody
	// touched the page, as they do who choose.
	tb.forgive("NavigationEntryMarkedSkippable")
	tb.open("/account/activity")
	tb.lands("/account/activity")
}

// passkeyOf sets up the person's first passkey.
func (tb *tab) passkeyOf(s *sallyporttest.Server, p sallyporttest.Person) {
	tb.t.Helper()
	tb.signIn(s, p)
	tb.open("/account/security/passkeys")
	tb.press("page.passkeys.add")
	tb.prove(s, p)
	tb.lands("/account/security/passkeys/fac_")
	tb.press("page.passkey.make")
	tb.saveCodes()
}

// S6: a key for the pocket is the second step. Turning away, and taking the key away,
// is said calmly, and the other ways are there.
func TestPasskeySecondStep_S6(t *testing.T) {
	t.Parallel()
	s := named(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	tb := newTab(t, s.URL, true)
	key := tb.device(pocket)
	tb.passkeyOf(s, maya)
	if list := key.keys(); len(list) != 1 || list[0].IsResidentCredential {
		t.Fatalf("the key has %+v", list)
	}
	tb.open("/account/security/passkeys")
	tb.page("passkeys/pocket", 200)
	tb.reads("#passkeys", tb.T("page.passkeys.one_device"))
	tb.signOut()
	// It is in no list of the browser's, and holds no name.
	tb.answers("page.passkey.sign_in", "page.passkey.cancelled")
	tb.page("signin/passkey-cancelled", 200)
	tb.password("maya", sallyporttest.Password)
	tb.page("passkey", 200)
	tb.walk("passkey")
	key.gone()
	other := tb.device(pocket)
	tb.answers("page.passkey.button", "page.passkey.cancelled")
	tb.page("passkey/cancelled", 200)
	other.gone()
	for name, c := range map[string]struct{ script, says string }{
		"unsafe":  {`navigator.credentials.get = () => Promise.reject(new DOMException('', 'SecurityError'))`, "page.passkey.unsafe"},
		"cannot":  {`navigator.credentials.get = () => Promise.reject(new DOMException('', 'NotSupportedError'))`, "page.passkey.unsupported"},
		"strange": {`navigator.credentials.get = () => Promise.reject(new TypeError('x'))`, "page.passkey.failed"},
	} {
		eval[bool](tb, c.script+", true")
		tb.answers("page.passkey.button", c.says)
		if tb.has(".note.danger") {
			t.Errorf("%s is red", name)
		}
	}
	tb.option(authn.BackupCode)
	tb.says("h1", tb.T("page.code.title.backup_code"))
	// The page is left alone for longer than the attempt lives: the server says so.
	tb.back()
	s.Clock.Advance(16 * time.Minute)
	tb.forgive("410")
	tb.press("page.passkey.button")
	tb.page("signin/expired", 410)
}

// F3: set up in the sign-in that demands it; the recommended way is a passkey.
func TestPasskeyDemanded_F3(t *testing.T) {
	t.Parallel()
	s := named(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	setPolicy(t, s, ownWay(0))
	tb := newTab(t, s.URL, true)
	tb.device(platform)
	tb.open("/signin")
	tb.password("maya", sallyporttest.Password)
	tb.press("page.send.button", "To", "m•••@acme.example")
	tb.code(s.LastCode(t, maya.Email))
	tb.page("enrolment/passkey", 200)
	tb.reads("button.option .pill", tb.T("page.enrolment.recommended"))
	tb.option(authn.WebAuthn)
	tb.page("passkey-setup/demanded", 200)
	tb.press("page.passkey.make")
	tb.lands("/signin/att_")
	tb.says("h1", tb.T("page.codes.title"))
}

// ux-56: without JavaScript the pages say that passkeys need it; a browser that has none
// is offered what it can do.
func TestPasskeyCannot_ux56(t *testing.T) {
	t.Parallel()
	s := named(t)
	s.SetPolicy(t, "acme", func(d *policy.Document) {
		d.OwnWay, d.TwoFactor = []authn.Audience{authn.InternalAudience}, policy.Required
	})
	maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", false)
	s.AddPasskey(t, maya.User, s.Passkeys(t))

	off := newTab(t, s.URL, false)
	off.open("/signin")
	if off.has("form[data-passkey]") {
		t.Error("there is a button that does nothing")
	}
	off.password("maya", sallyporttest.Password)
	off.open(off.path() + "?way=webauthn")
	off.page("passkey/nojs", 200)
	off.reads("noscript", off.T("page.passkey.no_script"))
	if off.has("form[data-passkey] button") || !off.has("button.option[value^=fac_]") {
		t.Error("a button that does nothing, or no other way")
	}

	old := newTab(t, s.URL, true)
	old.before(`delete window.PublicKeyCredential`)
	old.open("/signin")
	if old.has("form[data-passkey]") {
		t.Error("the button is there")
	}
	old.password("maya", sallyporttest.Password)
	at := old.path()
	old.open(at + "?way=choose")
	if old.has("button.option[value=webauthn]") || !old.has("button.option[value^=fac_]") {
		t.Error("what the browser cannot do is among the ways")
	}
	old.open(at + "?way=webauthn")
	old.page("passkey/unsupported", 200)
	old.says("[data-says]", old.T("page.passkey.unsupported"))
	old.open("/signin")
	old.password("omar", sallyporttest.Password)
	old.press("page.send.button", "To", "o•••@acme.example")
	old.code(s.LastCode(t, omar.Email))
	if old.has("button.option[value=webauthn]") || !old.has("button.option[value=totp]") {
		t.Error("what the browser cannot do can be set up")
	}
}

// Browsers that know no JSON of passkeys get and give the same; so does one whose own
// was replaced by something that does not work.
func TestPasskeyOldBrowser(t *testing.T) {
	t.Parallel()
	s := named(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	tb := newTab(t, s.URL, true)
	tb.device(pocket)
	tb.before(`delete PublicKeyCredential.parseCreationOptionsFromJSON; delete PublicKeyCredential.parseRequestOptionsFromJSON; PublicKeyCredential.prototype.toJSON = () => { throw new TypeError('Illegal invocation') }`)
	tb.passkeyOf(s, maya)
	tb.signOut()
	tb.password("maya", sallyporttest.Password)
	tb.press("page.passkey.button")
	tb.lands("/account/security")
}
