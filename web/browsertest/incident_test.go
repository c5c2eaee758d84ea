package browsertest

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

// Set-up L1 (incident management, ITOC360), end to end: people choose an
// authenticator app or text messages under Security, the number for signing in is
// none of those that alerts go to, and the password is changed in the same place.
func TestIncidentManagement_L1(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		s.UseTexts(t, s.Company)
		s.SetTwoFactor(t, "acme", policy.On)
		maya := s.AddUser(t, s.Company, "maya", false)
		const alerts = "+46701740699"
		if err := s.Directory.SetPhone(t.Context(), s.Company, maya.ID, directory.Phone{Typed: alerts}); err != nil {
			t.Fatal(err)
		}
		way := func(k authn.Kind) []any { return []any{"Way", text.Default().Text("en", "page.way."+string(k), nil)} }
		tb := newTab(t, s.URL, js)

		// Nothing is asked yet but the password, which is asked again before anything is added.
		tb.signIn(s, maya)
		tb.press("page.security.set_up_label", way(authn.SMS)...)
		tb.fill("password", sallyporttest.Password)
		tb.press("page.confirm.button")
		tb.page("text-number/incident", 200)
		tb.choose("country", "SE")
		tb.fill("phone", "070-174 06 05")
		tb.press("page.sent.send")
		tb.codeBy(s.LastCode(t, number), "page.confirm.button")
		tb.saveCodes()
		if n := tb.content("#phone"); n == "" {
			t.Error("the overview has no text messages")
		}

		// From now on the password alone opens nothing, and the code goes to that number only.
		tb.signOut()
		s.Clock.Advance(time.Hour)
		tb.password("maya", sallyporttest.Password)
		tb.press("page.send.button", "To", "•• 05")
		tb.page("text-code/incident", 200)
		tb.code(s.LastCode(t, number))
		tb.lands("/account/security")
		for _, m := range s.Inbox.Messages() {
			if m.To == alerts {
				t.Errorf("a code went to where alerts go")
			}
		}

		// The app beside it, as the usual way; the text message just given is recent enough.
		tb.press("page.security.set_up_label", way(authn.TOTP)...)
		secret := decode(t, tb.shown().Key)
		tb.codeBy(s.Code(t, secret), "page.setup.button")
		tb.page("security/incident", 200)

		// The password is changed from the same page.
		s.Clock.Advance(30 * time.Second)
		tb.press("page.security.password_change")
		next := "another quiet harbour"
		tb.fill("current", sallyporttest.Password)
		tb.fill("new", next)
		tb.fill("confirm", next)
		tb.press("page.password.button")
		tb.lands("/account/security?done=password")
		tb.signOut()
		tb.password("maya", next)
		tb.press("page.code.other")
		tb.option(authn.TOTP)
		tb.code(s.Code(t, secret))
		tb.lands("/account/security")
	})
}
