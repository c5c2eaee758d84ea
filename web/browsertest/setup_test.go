package browsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// qr is what a QR reader finds on a picture of the page, as it would on a screen.
func (tb *tab) qr() string {
	tb.t.Helper()
	reader, err := exec.LookPath("zbarimg")
	if err != nil {
		if strings.Contains(os.Getenv("SALLYPORT_TEST_REQUIRE"), "zbar") {
			tb.t.Fatal("zbarimg is required but not installed: apt-get install zbar-tools")
		}
		tb.t.Skip("zbarimg is not installed: apt-get install zbar-tools")
	}
	file := filepath.Join(tb.t.TempDir(), "page.png")
	if err := os.WriteFile(file, tb.shoot(), 0o600); err != nil {
		tb.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, reader, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file).Output()
	if err != nil {
		tb.t.Fatalf("zbarimg reads no QR code: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// shown is what the set-up page offers besides the QR code.
type shown struct{ Link, Key, Grouped string }

func (tb *tab) shown() shown {
	tb.t.Helper()
	return eval[shown](tb, `(() => { const k = document.getElementById('key'); return {
		link: document.querySelector('a.otpauth').getAttribute('href'), key: k.dataset.value, grouped: k.textContent } })()`)
}

func decode(t *testing.T, key string) otp.Secret {
	t.Helper()
	secret, err := otp.DecodeSecret(key)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// A1, A2, A3, A8: somebody without an app sets one up. The password is asked for
// again (ruling 1); the code on the screen, the link and the key are one; the
// page can be reloaded; a wrong code keeps it; a phone's clock that is off is
// named; a current code turns it on.
func TestSetUp_A1_A2_A3_A8(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		omar := s.AddUser(t, s.Company, "omar", false)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, omar)
		tb.page("security/none", 200)
		tb.press("page.security.set_up_label", "Way", tb.T("page.way.totp"))
		tb.lands("/account/confirm")
		tb.page("confirm/password", 200)
		tb.focused("password")
		tb.press("page.confirm.button")
		tb.page("confirm/password-empty", 422)
		tb.fill("password", "not this one")
		tb.press("page.confirm.button")
		tb.page("confirm/password-wrong", 422)
		tb.says("#password-err", tb.T("page.password.wrong"))
		before := events(t, s, omar, "factor.refused")
		tb.reload()
		if after := events(t, s, omar, "factor.refused"); before != 1 || after != 1 {
			t.Errorf("%d wrong passwords were looked at, %d after Reload", before, after)
		}
		tb.fill("password", sallyporttest.Password)
		tb.press("page.confirm.button")
		tb.lands("/account/security/app/fac_")
		tb.page("setup", 200)

		first := tb.shown()
		for _, th := range []theme{light, dark} {
			for _, width := range []int64{wide, narrow} {
				tb.look(width, th)
				if got := tb.qr(); got != first.Link {
					t.Errorf("%s, %d px: the QR code says %q, the link %q", th, width, got, first.Link)
				}
			}
		}
		tb.look(wide, light)
		checkURI(t, first)
		tb.reload() // A7: the same one
		tb.lands("/account/security/app/fac_")
		if got := tb.shown(); got != first {
			t.Errorf("after Reload: %v, before: %v", got, first)
		}

		secret := decode(t, strings.ReplaceAll(first.Grouped, " ", "")) // as a person types it in
		tb.fill("code", "12")
		tb.press("page.setup.button")
		tb.page("setup/few", 422)
		tb.fill("code", s.WrongCode(t, secret))
		tb.press("page.setup.button")
		tb.page("setup/wrong", 422)
		tb.says("#code-err", tb.T("error.wrong_code"))
		tb.focused("code")
		tb.fill("code", sallyporttest.CodeAt(t, secret, s.Clock.Now().Add(-4*time.Minute)))
		tb.press("page.setup.button")
		tb.page("setup/clock", 422)
		tb.says("#code-err", tb.T("error.wrong_code.clock_behind", "Count", 4))
		tb.fill("code", sallyporttest.CodeAt(t, secret, s.Clock.Now().Add(3*time.Minute)))
		tb.press("page.setup.button")
		tb.says("#code-err", tb.T("error.wrong_code.clock_ahead", "Count", 3))
		if got := tb.shown(); got != first {
			t.Errorf("after a wrong code: %v, before: %v", got, first)
		}
		tb.fill("code", s.Code(t, secret))
		tb.press("page.setup.button")
		tb.lands("/account/security/backup-codes?done=app_on")
		tb.page("codes", 200)
		tb.says(".note.ok", tb.T("page.done.app_on"))
		codes := tb.content("#codes")
		tb.reload()
		if got := tb.content("#codes"); got != codes || len(codes) < 90 {
			t.Errorf("after Reload %q, before %q", got, codes)
		}
		tb.press("page.codes.done")
		tb.page("codes/not-ticked", 422)
		tb.saveCodes()
		tb.page("security/on", 200)

		tb.signOut()
		s.Clock.Advance(30 * time.Second)
		omar.Secret = secret
		tb.signIn(s, omar)
	})
}

// saveCodes ticks the box below the backup codes, and is done.
func (tb *tab) saveCodes() {
	tb.t.Helper()
	eval[bool](tb, "document.getElementById('saved').checked = true")
	tb.press("page.codes.done")
	tb.lands("/account/security?done=codes_saved")
}

// checkURI checks what an app is told: A1 and A3, ux rules 41 and 43.
func checkURI(t *testing.T, sh shown) {
	t.Helper()
	u, err := url.Parse(sh.Link)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Acme Projects:omar@acme.example" || q.Get("issuer") != "Acme Projects" || q.Get("secret") != sh.Key {
		t.Errorf("the address is %s", sh.Link)
	}
	for i, four := range strings.Split(sh.Grouped, " ") {
		if len(four) != 4 && i < len(sh.Key)/4 {
			t.Errorf("the key is grouped as %q", sh.Grouped)
		}
	}
}

// ux rules 38 and 42: on a phone the button that opens the app comes first; the
// QR code is large enough to be read off any screen, and white in the dark.
func TestSetUp_ux38_ux42_phone(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.press("page.security.again_label", "Way", tb.T("page.way.totp"))
		for _, phone := range []bool{false, true} {
			tb.run(chromedp.EmulateViewport(narrow, 640, func(m *emulation.SetDeviceMetricsOverrideParams, touch *emulation.SetTouchEmulationEnabledParams) {
				m.Mobile, touch.Enabled = phone, phone
			}))
			if got := eval[bool](tb, "matchMedia('(pointer: coarse)').matches"); got != phone {
				t.Fatalf("phone: %v, its pointer is coarse: %v", phone, got)
			}
			got := eval[struct {
				Side, Module, Link, Code, Height float64
			}](tb, `(() => {
				const svg = document.querySelector('.qr svg'), r = svg.getBoundingClientRect(), a = document.querySelector('a.otpauth').getBoundingClientRect();
				return {side: r.width, module: r.width / svg.viewBox.baseVal.width, link: a.top, code: r.top, height: a.height};
			})()`)
			if got.Side < 200 || got.Module < 4 {
				t.Errorf("phone: %v: the QR code is %.0f px wide, a module %.1f", phone, got.Side, got.Module)
			}
			if first := got.Link < got.Code; first != phone {
				t.Errorf("phone: %v, and the button comes first: %v", phone, first)
			}
			if phone && got.Height < 44 {
				t.Errorf("the button is %.0f px high", got.Height)
			}
			if link := tb.shown().Link; tb.qr() != link {
				t.Errorf("the QR code does not say %q", link)
			}
		}
		tb.picture("setup-phone-" + map[bool]string{true: "js", false: "nojs"}[js])
	})
}

// A1: what the API returns is what the page shows.
func TestSetUp_A1_sameAsTheAPI(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		body, err := json.Marshal(map[string]string{"method": "totp", "replaces": maya.Factor})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/api/v1/account/factors", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+tb.cookies()["sallyport_session"])
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var made struct {
			ID   string `json:"id"`
			TOTP struct {
				Secret string `json:"secret"`
				URI    string `json:"otpauth_uri"`
			} `json:"totp"`
		}
		if err := json.NewDecoder(res.Body).Decode(&made); err != nil || res.StatusCode != http.StatusCreated {
			t.Fatal(res.Status, err)
		}
		tb.open("/account/security/app/" + made.ID)
		tb.page("setup/replaces", 200)
		if got := tb.qr(); got != made.TOTP.URI {
			t.Errorf("the QR code says %q, the API %q", got, made.TOTP.URI)
		}
		if got := tb.shown().Key; got != made.TOTP.Secret {
			t.Errorf("the page shows %q, the API %q", got, made.TOTP.Secret)
		}
	})
}

// A5 and A7: one click in the user menu; the old app works until the new one is
// confirmed, and never after.
func TestSetUp_A5_A7_again(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.menu()
		tb.page("security/menu", 200)
		tb.press("page.menu.sync")
		tb.lands("/account/security/app/fac_")
		old, address := tb.shown(), tb.path()

		// Given up: nothing has changed.
		tb.press("page.cancel")
		tb.lands("/account/security?done=cancelled")
		tb.says(".note.ok", tb.T("page.done.cancelled"))
		tb.open(address)
		tb.page("setup-gone", 404)
		tb.press("page.setup.new")
		tb.lands("/account/security/app/fac_")
		if tb.shown().Key == old.Key {
			t.Error("a new set-up shows the old key")
		}
		secret := decode(t, tb.shown().Key)

		// Not confirmed yet: the old codes sign in.
		other := newTab(t, s.URL, js)
		s.Clock.Advance(30 * time.Second)
		other.signIn(s, maya)
		other.open("/account/security")
		other.page("security/pending", 200)

		tb.fill("code", s.Code(t, secret))
		tb.press("page.setup.button")
		tb.lands("/account/security/backup-codes?done=app_replaced")
		tb.saveCodes()
		other.open("/account") // signed out by the change
		other.lands("/signin")
		s.Clock.Advance(time.Minute)
		other.password("maya", sallyporttest.Password)
		other.code(s.Code(t, maya.Secret))
		other.says("#code-err", other.T("error.wrong_code"))
		other.code(s.Code(t, secret))
		other.lands("/account")
	})
}

// A7: the set-up ends after half an hour, from the form too; a click makes a new one.
func TestSetUp_rul45_expired(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.press("page.security.again_label", "Way", tb.T("page.way.totp"))
		tb.lands("/account/security/app/fac_")
		s.Clock.Advance(29 * time.Minute)
		tb.reload()
		tb.page("setup/reloaded", 200)
		s.Clock.Advance(2 * time.Minute)
		tb.fill("code", s.Code(t, decode(t, tb.shown().Key)))
		tb.press("page.setup.button")
		tb.page("setup-gone", 410)
		tb.press("page.setup.new")
		tb.lands("/account/confirm") // more than ten minutes since the last code
		tb.fill("code", s.Code(t, maya.Secret))
		tb.press("page.confirm.button")
		tb.lands("/account/security/app/fac_")
	})
}

// Too many wrong codes pause a set-up too; the page stays and says so.
func TestSetUp_rul11_paused(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.press("page.security.again_label", "Way", tb.T("page.way.totp"))
		secret := decode(t, tb.shown().Key)
		for range policy.FreeTries {
			tb.fill("code", s.WrongCode(t, secret))
			tb.press("page.setup.button")
		}
		tb.audited("setup/paused")
		tb.says("#code-err", tb.T("page.setup.paused"))
	})
}

// tutanota #9789: two clicks make one app, and two forms of two tabs too.
func TestSetUp_doubleClick(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.forgive("net::ERR_ABORTED")
		tb.signIn(s, maya)
		tb.follow(func() error { return tb.twice(tb.T("page.security.again_label", "Way", tb.T("page.way.totp"))) })
		tb.lands("/account/security/app/fac_")
		tb.await("the newest set-up", func() bool { return tb.has("#key") })
		tb.fill("code", s.Code(t, decode(t, tb.shown().Key)))
		tb.follow(func() error { return tb.twice(tb.T("page.setup.button")) })
		tb.lands("/account/security/backup-codes") // also after the second click
		_, list, err := s.Directory.Lookup(t.Context(), s.Company, maya.ID)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range list {
			if f.Kind == authn.TOTP {
				n++
			}
		}
		if n != 1 {
			t.Errorf("there are %d apps", n)
		}
	})
}

// A6 and S22: turning the app off says what that means, and asks for a code if
// the last one is more than ten minutes old.
func TestTurnOff_A6(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.press("page.security.off_label", "Way", tb.T("page.way.totp"))
		tb.page("off", 200)
		tb.press("page.off.keep")
		tb.lands("/account/security")

		s.Clock.Advance(11 * time.Minute)
		tb.press("page.security.off_label", "Way", tb.T("page.way.totp"))
		tb.page("confirm/code", 200)
		tb.focused("code")
		tb.says("h1 + p", tb.T("page.confirm.for_app_off"))
		tb.fill("code", s.WrongCode(t, maya.Secret))
		tb.press("page.confirm.button")
		tb.page("confirm/wrong", 422)
		tb.says("#code-err", tb.T("error.wrong_code"))
		tb.reload()
		charged(t, s, maya, authn.Known, 1)
		tb.fill("code", "1")
		tb.press("page.confirm.button")
		tb.page("confirm/few", 422)
		tb.fill("code", s.WrongCode(t, maya.Secret))
		tb.press("page.confirm.button")
		tb.page("confirm/wrong", 422)
		tb.reload()
		charged(t, s, maya, authn.Known, 2)
		tb.fill("code", s.Code(t, maya.Secret))
		tb.press("page.confirm.button")
		tb.lands("/account/security/app/off")
		tb.press("page.off.button")
		tb.lands("/account/security?done=app_off")
		tb.page("security/off", 200)
		tb.back() // the page of what is off by now
		tb.lands("/account/security")

		tb.signOut()
		maya.Secret = nil
		tb.signIn(s, maya)
	})
}

// S22 and S10: a paused app cannot confirm; the page says until when.
func TestConfirm_S10_paused(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		s.Clock.Advance(11 * time.Minute)
		tb.open("/account/password")
		tb.lands("/account/confirm?for=password")
		tb.page("confirm/begin", 200)
		tb.press("page.confirm.begin")
		for range policy.FreeTries {
			tb.fill("code", s.WrongCode(t, maya.Secret))
			tb.press("page.confirm.button")
		}
		tb.audited("confirm/paused")
		tb.press("page.back_to_security")
		tb.lands("/account/security")
		tb.page("security/paused", 200)
	})
}

// The same for the password of somebody without an app.
func TestConfirm_S10_passwordPaused(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, s.AddUser(t, s.Company, "omar", false))
		tb.press("page.security.set_up_label", "Way", tb.T("page.way.totp"))
		for range policy.FreeTries + 1 {
			tb.fill("password", "not this one")
			tb.press("page.confirm.button")
		}
		tb.page("confirm/password-paused", 429)
		want := tb.T("page.password.paused") + " " + tb.T("page.pause", "Count", 1, "Until", tb.clock("10:15", "09:15"))
		tb.says("#password-err", want)
		// Another confirmation says the same.
		tb.open("/account/confirm?for=app")
		tb.press("page.confirm.begin")
		tb.fill("password", "not this one")
		tb.press("page.confirm.button")
		tb.says("#password-err", want)
	})
}

// A6: where policy asks for a second way the last one stays, and the page says
// who decided that.
func TestTurnOff_A6_demanded(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.open("/account/security/app/off")
		s.SetTwoFactor(t, "acme", policy.Required)
		tb.press("page.off.button") // drawn before the policy was changed
		tb.page("off/last", 403)
		tb.open("/account/security/app/off")
		tb.page("off/last", 200)
		tb.open("/account/security")
		tb.page("security/demanded", 200)
		if eval[bool](tb, "!!document.querySelector('#app form[action=\"/account/confirm\"]')") {
			t.Error("it offers to turn the app off")
		}
		s.SetTwoFactor(t, "acme", policy.Off)
		tb.open("/account/security")
		tb.page("security/company-off", 200)
	})
}
