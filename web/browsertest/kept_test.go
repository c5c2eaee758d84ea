package browsertest

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// rul-27: the proof grows old in the middle of a long form. Nothing that was typed is
// lost, the secret neither, and one click sends it.
func TestKeptForm_rul27(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		owner := priya(t, s)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, owner)
		tb.open("/admin/providers/email")
		typed := map[string]string{"host": "smtp.example.com", "port": "587", "username": "acme", "from": "no-reply@acme.example",
			"from_name": "Kundendienst Donaudampfschifffahrtsgesellschaft", "to": "priya@acme.example"}
		for id, value := range typed {
			tb.fill(id, value)
		}
		tb.fill("password", "right")
		s.Clock.Advance(11 * time.Minute)
		tb.press("admin.mail.send")
		tb.lands("/account/confirm/att_")
		tb.says("#act", tb.T("page.kept.for", "Target", tb.T("admin.mail.title"), "Act", tb.T("admin.mail.send")))
		tb.page("confirm/form", 200)
		tb.fill("code", s.WrongCode(t, owner.Secret))
		tb.press("page.confirm.button")
		tb.says("#kept", tb.T("page.kept.meanwhile"))
		tb.fill("code", s.Code(t, owner.Secret))
		tb.press("page.confirm.button")
		tb.lands("/account/confirm/att_")
		if !strings.HasSuffix(tb.path(), "/form") {
			t.Fatalf("at %s", tb.path())
		}
		shown := tb.content("#typed")
		for id, value := range typed {
			if !strings.Contains(shown, value) {
				t.Errorf("%s: %q is not in %q", id, value, shown)
			}
		}
		if strings.Contains(tb.content("html"), "right\n") || !strings.Contains(shown, tb.T("page.kept.secret")) {
			t.Errorf("the secret: %q", shown)
		}
		tb.reload() // looking uses nothing up
		tb.page("kept", 200)
		tb.press("admin.mail.send")
		tb.says("#result", tb.T("admin.mail.result_ok")) // so the password was right
		for id, value := range typed {
			if id == "to" || id == "host" || id == "from_name" {
				if got := eval[string](tb, "document.getElementById('"+id+"').value"); got != value {
					t.Errorf("%s: %q", id, got)
				}
			}
		}
		tb.back()
		tb.page("keptgone", 410)
		tb.press("page.kept.back")
		tb.lands("/admin/providers/email")

		// A dangerous one, about a person, which is done at once.
		tom := s.AddUser(t, s.Company, "tom", true)
		tb.open("/admin/people/" + tom.ID + "/do/suspend")
		tb.fill("reason", "He left on Friday, as his manager told us by phone.")
		s.Clock.Advance(11 * time.Minute)
		tb.press("admin.act.suspend")
		tb.says("#act", tb.T("page.kept.for", "Target", "Test tom", "Act", tb.T("admin.act.suspend")))
		tb.fill("code", s.Code(t, owner.Secret))
		tb.press("page.confirm.button")
		tb.says("#act", tb.T("page.kept.what", "Target", "Test tom", "Act", tb.T("admin.act.suspend")))
		tb.page("kept/person", 200)
		tb.press("admin.act.suspend")
		tb.lands("/admin/people/" + tom.ID + "?done=act_done")
	})
}
