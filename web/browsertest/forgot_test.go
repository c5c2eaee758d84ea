package browsertest

import (
	"testing"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// J3, S14: a forgotten password, from the link on the sign-in page to the new one.
func TestForgot_J3(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		tb.press("page.signin.forgot")
		tb.lands("/forgot")
		tb.page("forgot", 200)
		tb.press("page.forgot.button")
		tb.page("forgot/empty", 422)
		tb.fill("login", maya.Email)
		tb.press("page.forgot.button")
		tb.page("forgot-code", 200)
		s.Mail(t, maya.Email)
		code := s.LastCode(t, maya.Email)
		wrong := "424242"
		if code == wrong {
			wrong = "242424"
		}
		tb.fill("code", wrong)
		tb.press("page.forgot.continue")
		tb.page("forgot-code/wrong", 422)
		tb.fill("code", code)
		tb.press("page.forgot.continue")
		tb.page("forgot-new", 200)
		tb.fill("new", "sunshine2026")
		tb.fill("confirm", "sunshine2026")
		tb.press("page.forgot.save")
		tb.page("forgot-new/common", 422)
		tb.fill("new", "seven tall ladders by the barn")
		tb.fill("confirm", "seven tall ladders by the barn")
		tb.press("page.forgot.save")
		tb.lands("/forgot/done")
		tb.page("forgot-done", 200)
		tb.press("page.signin.button")
		tb.lands("/signin")
	})
}
