package browsertest

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

const number = "+46701740605"

// unfold opens the part of the page that is named so.
func (tb *tab) unfold(key string) {
	tb.t.Helper()
	if err := tb.click(tb.T(key)); err != nil {
		tb.t.Fatal(err)
	}
	tb.await("it to unfold", func() bool { return tb.has("details[open]") })
}

// S4, S11, S17, B1 to B4: a number is set up during the sign-in, and signs in.
func TestTexts_S4_S11_S17(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		s.UseTexts(t, s.Company)
		s.AddUser(t, s.Company, "maya", false)
		setPolicy(t, s, ownWay(0))
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		tb.mailed(s, "maya")
		tb.page("enrolment/texts", 200)
		tb.option("sms")
		tb.page("text-number/signin", 200)
		tb.focused("phone")
		tb.fill("phone", "08-465 004 00")
		tb.press("page.sent.send")
		tb.page("text-number/signin-landline", 422)
		tb.says("#phone-err", tb.T("field.phone.not_mobile"))
		tb.focused("phone")
		tb.choose("country", "PL")
		tb.fill("phone", "501 234 567")
		tb.press("page.sent.send")
		tb.page("text-on/signin", 200)
		tb.focused("code")
		sent(t, s, 2)
		tb.reload()
		tb.press("page.phone.change")
		if got := eval[[2]string](tb, "[document.getElementById('phone').value, document.getElementById('country').value]"); got != [2]string{"+48 501 234 567", "PL"} {
			t.Errorf("the form has %q", got)
		}
		sent(t, s, 2)
		tb.fill("phone", "+46 70 174 06 05")
		tb.press("page.sent.send")
		tb.fill("code", s.LastCode(t, number))
		tb.press("page.setup.button")
		tb.tick("saved")
		tb.press("page.codes.done")
		tb.open("/account/security")
		tb.page("security/texts", 200)
		tb.signOut()

		s.Clock.Advance(time.Hour)
		before := len(s.Inbox.Messages())
		tb.password("maya", sallyporttest.Password)
		tb.page("text-send", 200)
		tb.reload()
		sent(t, s, before)
		tb.press("page.send.button", "To", "•• 05")
		tb.page("text-code", 200)
		tb.focused("code")
		tb.unfold("page.code.slow")
		tb.audited("text-code/slow")
		tb.code(wrongFor(s.LastCode(t, number)))
		tb.page("text-code/wrong", 422)
		tb.code(s.LastCode(t, number))
		tb.lands("/account/security")
	})
}

// S15, S17, S22: added, changed and turned off in the account.
func TestTexts_S15_S17_S22(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		s.UseTexts(t, s.Company)
		maya := s.AddUser(t, s.Company, "maya", true)
		way := []any{"Way", text.Default().Text("en", "page.way.sms", nil)}
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.press("page.security.set_up_label", way...)
		tb.page("text-number", 200)
		tb.focused("phone")
		tb.press("page.sent.send")
		tb.page("text-number/empty", 422)
		tb.fill("phone", "070-174 06 05")
		tb.press("page.sent.send")
		tb.lands("/account/security/phone/fac_")
		tb.page("text-on", 200)
		tb.focused("code")
		tb.codeBy(wrongFor(s.LastCode(t, number)), "page.confirm.button")
		tb.page("text-on/wrong", 422)
		tb.codeBy(s.LastCode(t, number), "page.confirm.button")
		tb.saveCodes()
		tb.page("security/app-texts", 200)
		tb.press("page.security.phone_change_label", way...)
		tb.page("text-number-change", 200)
		tb.fill("phone", "+48 501 234 567")
		tb.press("page.sent.send")
		tb.page("text-confirm", 200)
		tb.codeBy(s.LastCode(t, "+48501234567"), "page.confirm.button")
		tb.lands("/account/security?done=phone_replaced")
		s.Clock.Advance(11 * time.Minute)
		tb.press("page.security.off_label", way...)
		tb.press("page.code.other")
		tb.page("confirm/choose-texts", 200)
		tb.option("sms")
		tb.page("confirm/send-text", 200)
		tb.press("page.sent.send")
		tb.page("confirm/sent-text", 200)
		tb.codeBy(s.LastCode(t, "+48501234567"), "page.confirm.button")
		tb.lands("/account/security/phone/off")
		tb.page("text-off", 200)
		tb.press("page.off.button")
		tb.lands("/account/security?done=phone_off")
	})
}

// ux rule 35: a number is set up by keys alone.
func TestTexts_ux35(t *testing.T) {
	t.Parallel()
	s := sallyporttest.NewServer(t)
	s.UseTexts(t, s.Company)
	maya := s.AddUser(t, s.Company, "maya", true)
	tb := newTab(t, s.URL, true)
	send := func(keys string) { t.Helper(); tb.follow(func() error { return tb.try(chromedp.KeyEvent(keys)) }) }
	tb.signIn(s, maya)
	tb.tabTo("#phone button")
	send("\r")
	tb.walk("text-number")
	tb.reload()
	tb.tabTo("#country")
	tb.keys("Poland\t")
	tb.focused("phone")
	send("501234567\r")
	tb.lands("/account/security/phone/fac_")
	tb.focused("code")
	tb.walk("text-on")
	tb.tabTo("#code")
	send(s.LastCode(t, "+48501234567") + "\r")
	tb.lands("/account/security/backup-codes")
}

// ux rule 59, as in TestLanguages.
func TestTexts_ux59(t *testing.T) {
	t.Parallel()
	for _, lang := range append(text.Default().Languages()[1:], text.PseudoLong, text.PseudoRTL) {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			cat := text.Default().WithPseudo()
			s := sallyporttest.NewServer(t, func(c *sallyport.Config) { c.Catalogue = cat })
			s.UseTexts(t, s.Company)
			maya := s.AddUser(t, s.Company, "maya", true)
			tb := newTab(t, s.URL, true)
			tb.lang, tb.cat = lang, cat
			tb.setCookie("sallyport_lang", lang)
			page := func(name string, status int64) {
				t.Helper()
				tb.page(lang+"-"+name, status)
				if lang == text.PseudoLong {
					if words := eval[[]string](tb, plain); len(words) > 0 {
						t.Errorf("%s: in no catalogue: %q", name, words)
					}
				}
			}
			tb.signIn(s, maya)
			tb.press("page.security.set_up_label", "Way", tb.T("page.way.sms"))
			tb.press("page.sent.send")
			page("text-number/empty", 422)
			tb.fill("phone", number)
			tb.press("page.sent.send")
			page("text-on", 200)
			tb.codeBy(s.LastCode(t, number), "page.confirm.button")
			tb.saveCodes()
			page("security/app-texts", 200)
			tb.signOut()
			s.SetTwoFactor(t, "acme", policy.Required)
			tb.password("maya", sallyporttest.Password)
			tb.press("page.code.other")
			tb.option("sms")
			page("text-send", 200)
			tb.press("page.send.button", "To", "•• 05")
			tb.unfold("page.code.slow")
			page("text-code", 200)
			if missing := cat.Missing(); len(missing) > 0 {
				t.Errorf("in no catalogue: %q", missing)
			}
		})
	}
}
