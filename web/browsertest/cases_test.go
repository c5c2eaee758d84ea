package browsertest

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// Set-up L4 (case management, Trackops), end to end: people turn the app on by the
// picture or the key, and are asked at each sign-in; they set it up again and turn it
// off by links of their own; and who lost the phone goes to an administrator.
func TestCaseManagement_L4(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		owner := priya(t, s)
		maya, tom := colleague(t, s, "maya", "Maya Lindqvist", authn.InternalAudience), colleague(t, s, "tom", "Tom Okafor", authn.InternalAudience)
		desk := newTab(t, s.URL, js)
		desk.signIn(s, owner)
		desk.preset(s, owner, "cases", "Cases are confidential.", nil)
		app := []any{"Way", desk.T("page.way.totp")}

		// By the picture, and by the key typed in as it is written.
		hers, his := newTab(t, s.URL, js), newTab(t, s.URL, js)
		hers.signIn(s, maya)
		hers.press("page.security.set_up_label", app...)
		hers.prove(s, maya)
		maya.Secret = hers.scan(s)
		hers.saveCodes()
		his.signIn(s, tom)
		his.press("page.security.set_up_label", app...)
		his.prove(s, tom)
		his.page("setup/cases", 200)
		tom.Secret = decode(t, strings.ReplaceAll(his.shown().Grouped, " ", ""))
		his.codeBy(s.Code(t, tom.Secret), "page.setup.button")
		his.saveCodes()
		his.page("security/cases", 200)
		if strings.Contains(his.content("section[aria-labelledby=ways] .card-head"), his.T("page.security.advice_one")) {
			t.Error("another way is asked for, and there is none")
		}

		// At each sign-in, in the same browser too.
		for range 2 {
			hers.signOut()
			s.Clock.Advance(time.Minute)
			hers.password("maya", sallyporttest.Password)
			hers.says("h1", hers.T("page.code.title"))
			hers.code(s.Code(t, maya.Secret))
			hers.lands("/account/security")
		}

		// Set up again: the old key signs in until the new one is confirmed (A5).
		hers.press("page.security.again_label", app...)
		next := decode(t, hers.shown().Key)
		other := newTab(t, s.URL, js)
		s.Clock.Advance(time.Minute)
		other.signIn(s, maya)
		hers.codeBy(s.Code(t, next), "page.setup.button")
		hers.lands("/account/security?done=app_replaced")
		hers.page("security/replaced", 200)
		s.Clock.Advance(time.Minute)
		other.open("/signin")
		other.password("maya", sallyporttest.Password)
		other.code(s.Code(t, maya.Secret))
		other.says("#code-err", other.T("error.wrong_code"))
		other.code(s.Code(t, next))
		other.lands("/account/security")
		hers.told(s, maya, "mail.method_replaced.subject")

		// Turned off: the password alone is enough again (A6).
		s.Clock.Advance(time.Hour / 2)
		hers.open("/account/security")
		maya.Secret = next
		if hers.path() != "/account/security" { // idle, or signed out by the change
			hers.signIn(s, maya)
		}
		hers.press("page.security.off_label", app...)
		if strings.HasPrefix(hers.path(), "/account/confirm") {
			hers.prove(s, maya)
		}
		hers.page("off/cases", 200)
		hers.press("page.off.button")
		hers.lands("/account/security?done=app_off")
		hers.told(s, maya, "mail.method_off.subject")
		hers.signOut()
		maya.Secret = nil
		hers.signIn(s, maya)

		// Required of tom in particular: he cannot, and the page says why.
		desk.open("/admin/people/" + tom.ID)
		desk.act(s, owner, "a[href$='/do/require']", "Witnesses.")
		desk.lands("/admin/people/" + tom.ID)
		his.open("/account/security")
		his.page("security/required", 200)
		his.open("/account/security/app/off")
		his.page("off/required", 200)
		his.reads("main", his.T("why.user_required", "Company", s.Company.Name))
		his.says("#last", his.T("page.off.last"))
		his.signOut()

		// The phone is lost. The page says what is to be done, the administrator calls back
		// and reads a help code out, and with the password it opens the set-up.
		s.Clock.Advance(time.Hour / 2)
		his.password("tom", sallyporttest.Password)
		his.press("page.code.other")
		his.press("page.choose.none")
		his.page("help/lost", 200)
		desk.page("person/lost", 200)
		desk.act(s, owner, "section[aria-labelledby=task-lost] a[href$='/do/help-code']", "Phone lost; called back")
		desk.page("person/code", 200)
		help := strings.TrimSpace(desk.content("#help-code"))
		his.press("page.help.reload")
		his.press("page.help.have_code")
		his.page("help-code/lost", 200)
		his.fill("saved-code", help)
		his.press("page.code.button")
		his.page("enrolment/lost", 200)
		his.option(authn.TOTP)
		lost := tom.Secret
		tom.Secret = decode(t, his.shown().Key)
		his.codeBy(s.Code(t, tom.Secret), "page.setup.button") // the saved codes stay as they are
		his.lands("/account/security")
		his.page("security/lost", 200)
		his.told(s, tom, "mail.help_code_issued.subject")
		his.told(s, tom, "mail.help_code_used.subject")
		his.signOut()
		s.Clock.Advance(time.Minute)
		his.password("tom", sallyporttest.Password)
		his.code(s.Code(t, lost))
		his.says("#code-err", his.T("error.wrong_code"))
		his.code(s.Code(t, tom.Secret))
		his.lands("/account/security")

		desk.press("admin.code.done")
		desk.page("person/helped", 200)
		desk.open("/admin/audit")
		desk.page("audit/cases", 200)
		desk.logged("admin.audit.line.bypass_code.issued", "Actor", owner.Name, "Target", tom.Name)
		desk.logged("admin.audit.own.bypass_code.used", "Target", tom.Name)
		desk.logged("admin.audit.own.factor.removed.totp", "Target", maya.Name)
		desk.choose("type", "policy.")
		desk.press("page.activity.show")
		desk.logged("admin.audit.line.policy.changed", "Actor", owner.Name)
	})
}
