package browsertest

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const trustedCookie = "sallyport_trusted"

// trusting is a company that lets browsers be trusted for 30 days.
func trusting(t *testing.T, s *sallyporttest.Server) {
	t.Helper()
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.TrustDays = 30 })
}

// rul-29 and S12: the box, the next sign-in without a code, another browser with one,
// the list, and its end.
func TestTrustedBrowser_rul29_S12(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		trusting(t, s)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.open("/signin?return_to=%2Faccount%2Fdevices")
		tb.password("maya", sallyporttest.Password)
		tb.lands("/signin/att_")
		tb.says(`label[for="trust"]`, tb.T("page.trust.label", "Count", 30))
		tb.page("code/trust", 200)
		// Wrong once: the tick stays.
		tb.tick("trust")
		tb.code(s.WrongCode(t, maya.Secret))
		if !eval[bool](tb, "document.querySelector('#trust').checked") {
			t.Error("the tick is gone")
		}
		tb.code(s.Code(t, maya.Secret))
		tb.lands("/account/devices")
		first := tb.cookies()[trustedCookie]
		if first == "" {
			t.Fatal("no cookie")
		}
		tb.page("devices/trusted", 200)
		rename := func(name string) {
			eval[bool](tb, "document.querySelector('#trusted details').open = true")
			tb.fill(eval[string](tb, "document.querySelector('#trusted input[name=name]').id"), name)
			tb.push("#trusted .rename button")
		}
		rename(" ")
		tb.page("devices/trusted-name", 422)
		tb.says("#name-err", tb.T("field.required"))
		rename("Kitchen laptop")
		tb.lands("/account/devices?done=device_named")
		tb.says("#trusted .item-t bdi", "Kitchen laptop")
		tb.page("devices/trusted-named", 200)
		tb.signOut()
		s.Clock.Advance(time.Hour)
		tb.open("/signin?return_to=%2Faccount%2Fdevices")
		tb.password("maya", sallyporttest.Password)
		tb.lands("/account/devices")
		second := tb.cookies()[trustedCookie]
		if second == "" || second == first {
			t.Error("the cookie did not change")
		}
		if got := tb.content("#devices li"); !strings.Contains(got, tb.T("page.amr.trusted_browser")) {
			t.Errorf("the list says %q", got)
		}
		// L5: every new browser proves a second step.
		other := newTab(t, s.URL, js)
		other.open("/signin")
		other.password("maya", sallyporttest.Password)
		other.lands("/signin/att_")
		tb.press("page.trusted.end_label", "Browser", tb.content("#trusted .item-t bdi"))
		tb.lands("/account/devices")
		if tb.cookies()[trustedCookie] != "" || tb.has("#trusted") {
			t.Error("still trusted")
		}
		tb.page("devices/untrusted", 200)
		tb.signOut()
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.lands("/signin/att_")
	})
}

// S7: after Duo's answer the box is there, and nothing goes on without a press.
func TestTrustedBrowser_duo(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s, _ := duoed(t)
		trusting(t, s)
		tb := waits(t, s, js)
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.press("page.duo.push")
		answer(t, s, approve)
		tb.goesOn("#trust")
		tb.page("approved/trust", 200)
		tb.tick("trust")
		tb.press("page.duo.continue")
		if tb.cookies()[trustedCookie] == "" {
			t.Error("no cookie")
		}
	})
}
