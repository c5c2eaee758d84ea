package browsertest

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

// notMe is the path of the newest "this wasn't me" link to an address.
func notMe(t *testing.T, s *sallyporttest.Server, to string) string {
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

// codeBy fills in a code and presses the button that is named so.
func (tb *tab) codeBy(code, key string) {
	tb.t.Helper()
	tb.fill("code", code)
	tb.press(key)
}

// S15, S18, S21, S22, F6: codes by e-mail as the first way, which then confirms
// the set-up of the app; the usual way, backup codes, and e-mail codes off again.
func TestWays_S15_S18_S21_S22_F6(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", false)
		const to = "maya@acme.example"
		email, app := []any{"Way", text.Default().Text("en", "page.way.email", nil)}, []any{"Way", text.Default().Text("en", "page.way.totp", nil)}
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.press("page.security.set_up_label", email...)
		tb.fill("password", sallyporttest.Password)
		tb.press("page.confirm.button")
		tb.lands("/account/security/email/fac_")
		tb.page("mail-on", 200)
		pending := tb.path()
		tb.reload()
		sent(t, s, 1)
		tb.codeBy(wrongFor(s.LastCode(t, to)), "page.confirm.button")
		tb.page("mail-on/wrong", 422)
		tb.focused("code")
		tb.press("page.cancel")
		tb.lands("/account/security?done=cancelled")
		tb.open(pending)
		tb.page("setup-gone/over-mail", 404)
		s.Clock.Advance(31 * time.Second)
		tb.open("/account/security")
		tb.press("page.security.set_up_label", email...)
		tb.codeBy(s.LastCode(t, to), "page.confirm.button")
		tb.lands("/account/security?done=mail_on")
		tb.page("security/mail-only", 200)

		s.Clock.Advance(11 * time.Minute)
		tb.open("/account/password") // a link: it says what is to be confirmed
		tb.page("confirm/begin", 200)
		before := len(s.Inbox.Messages())
		tb.press("page.confirm.begin")
		tb.page("confirm/send", 200)
		tb.reload()
		sent(t, s, before)
		tb.press("page.sent.send")
		tb.page("confirm/sent", 200)
		tb.focused("code")
		tb.reload()
		sent(t, s, before+1)
		tb.codeBy(wrongFor(s.LastCode(t, to)), "page.confirm.button")
		tb.page("confirm/sent-wrong", 422)
		tb.codeBy(s.LastCode(t, to), "page.confirm.button")
		tb.lands("/account/password")

		tb.open("/account/security")
		tb.press("page.security.set_up_label", app...)
		tb.lands("/account/security/app/fac_")
		tb.codeBy(s.Code(t, decode(t, tb.shown().Key)), "page.setup.button")
		tb.lands("/account/security/backup-codes?done=app_on")
		if tb.has("[data-print]") != js || tb.has("[data-copy]") != js || len(tb.codes()) != 10 {
			t.Errorf("%d codes; printing: %v, copying: %v", len(tb.codes()), tb.has("[data-print]"), tb.has("[data-copy]"))
		}
		if file, _ := tb.file("a[download]"); !strings.Contains(file, tb.codes()[9]) {
			t.Errorf("the file says %q", file)
		}
		tb.open("/account/security")
		tb.page("security/unsaved", 200)
		tb.press("page.security.codes_show")
		tb.saveCodes()
		tb.press("page.security.make_usual_label", app...)
		tb.lands("/account/security?done=usual")
		tb.page("security/two-ways", 200)
		if tb.has("#email .usual") || !tb.has("#app .usual") {
			t.Error("the app is not the usual way")
		}
		tb.open("/account/security/backup-codes")
		tb.page("codes-left", 200)
		tb.press("page.codes.make")
		tb.lands("/account/security/backup-codes/new")
		tb.page("new-codes", 200)
		tb.press("page.codes.make")
		tb.lands("/account/security/backup-codes?done=codes_made")
		tb.saveCodes()

		tb.press("page.security.off_label", email...)
		tb.lands("/account/security/email/off")
		tb.page("mail-off", 200)
		tb.press("page.off.button")
		tb.lands("/account/security?done=mail_off")
	})
}

// S24, S25, J2: somebody signed in with two browsers signs one out; the other
// hears of it with its next page. The log of what happened, by kind and as a file.
func TestDevices_S24_S25_J2(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb, other := newTab(t, s.URL, js), newTab(t, s.URL, js)
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		for range 4 {
			tb.code(s.WrongCode(t, maya.Secret))
		}
		tb.code(s.Code(t, maya.Secret))
		s.Clock.Advance(30 * time.Second)
		other.signIn(s, maya)
		tb.open("/account/devices")
		tb.page("devices", 200)
		own := "li.item:has(.pill.ok)"
		eval[bool](tb, "document.querySelector($1 + ' details').open = true", own)
		field := eval[string](tb, "document.querySelector($1 + ' input[name=name]').id", own)
		tb.push(own + " details .btn")
		tb.page("devices/no-name", 422)
		tb.focused(field)
		tb.fill(field, "Maya’s laptop, Rindfleischetikettierungsüberwachung")
		tb.push(own + " details .btn")
		tb.lands("/account/devices?done=device_named")
		tb.page("devices/named", 200)
		tb.push("li.item:not(:has(.pill.ok)) .btn-danger")
		tb.lands("/account/devices?done=device_ended")
		tb.page("devices/one", 200)
		other.open("/account")
		other.lands("/signin")

		tb.open("/account/activity")
		tb.page("activity", 200)
		eval[bool](tb, "document.querySelector('main details').open = true")
		tb.audited("activity/was-it-you")
		for _, kind := range []string{"ways", "other", ""} {
			eval[string](tb, "document.getElementById('kind').value = $1", kind)
			tb.press("page.activity.show")
			tb.lands(withQuery("/account/activity", "kind", kind))
			tb.page("activity/"+kind, 200)
			if got := eval[string](tb, "document.getElementById('kind').value"); got != kind {
				t.Errorf("%q is chosen, want %q", got, kind)
			}
		}
		file, header := tb.file("a[download]")
		if !strings.HasPrefix(header.Get("Content-Type"), "text/csv") || strings.Count(file, "\n") < 5 || !strings.Contains(file, tb.T("page.activity.address")) {
			t.Errorf("the file says %q", file)
		}
	})
}

// S26, rulings 2 and 35: a new address, and the link that the old one gets: it
// takes the change back, signs out everywhere, and the next sign-in asks for a
// new password.
func TestNotMe_S26_rul35(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", false)
		const old, next = "maya@acme.example", "maya.lindqvist@somewhere-else.example"
		thief, tb := newTab(t, s.URL, js), newTab(t, s.URL, js)
		thief.signIn(s, maya)
		thief.open("/account")
		thief.press("page.profile.change_email")
		thief.lands("/account/confirm")
		thief.press("page.confirm.begin")
		thief.fill("password", sallyporttest.Password)
		thief.press("page.confirm.button")
		thief.lands("/account/email")
		thief.page("address", 200)
		thief.focused("email")
		for typed, key := range map[string]string{"": "page.address.empty", "x": "page.address.shape", old: "page.address.same"} {
			thief.fill("email", typed)
			thief.press("page.sent.send")
			thief.page("address/refused", 422)
			thief.says("#email-err", thief.T(key))
			thief.focused("email")
		}
		thief.fill("email", next)
		thief.press("page.sent.send")
		thief.lands("/account/email/fac_")
		thief.page("address-code", 200)
		thief.codeBy(s.LastCode(t, next), "page.confirm.button")
		thief.lands("/account?done=address")
		thief.page("profile/address", 200)

		link := notMe(t, s, old)
		tb.open(link)
		tb.page("not-me", 200)
		thief.reload()
		thief.lands("/account") // looking changes nothing
		tb.press("page.notme.button")
		tb.lands("/not-me/done")
		tb.page("not-me-done", 200)
		thief.reload()
		thief.lands("/signin")
		tb.press("page.notme.signin")
		tb.lands("/signin")
		tb.mailed(s, "maya")
		tb.lands("/signin/att_")
		tb.page("new-password", 200)
		fresh := "another quiet harbour"
		for _, c := range []struct{ name, new, confirm, field string }{{"empty", "", "", "new"}, {"differ", fresh, fresh + "x", "confirm"}, {"short", "short", "short", "new"}} {
			tb.fill("new", c.new)
			tb.fill("confirm", c.confirm)
			tb.press("page.new_password.button")
			tb.page("new-password/"+c.name, 422)
			tb.focused(c.field)
		}
		tb.fill("new", fresh)
		tb.fill("confirm", fresh)
		tb.press("page.new_password.button")
		tb.lands("/account/security")
		tb.open(link)
		tb.page("not-me-used", 409)
		tb.open("/not-me/x")
		tb.page("not-me-unknown", 404)
		s.SetTwoFactor(t, "acme", policy.Off)
		tb.open("/account/security")
		tb.page("security/company-off", 200)
	})
}
