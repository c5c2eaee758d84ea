package browsertest

import (
	"context"
	"testing"

	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// The company's mail server (S32): empty, refused, tested, saved.
func TestMail_S32(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		u, err := s.Directory.CreateUser(context.Background(), s.Company, directory.NewUser{Login: "priya", Name: "Priya Nair", Email: "priya@acme.example", Verified: true,
			Roles: []string{directory.Owner}, Password: sallyporttest.Password})
		if err != nil {
			t.Fatal(err)
		}
		priya := sallyporttest.Person{User: u}
		priya.Factor, priya.Secret = s.AddApp(t, u)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, priya)
		tb.open("/admin/providers/email")
		tb.page("mail", 200)
		tb.press("admin.mail.save")
		tb.page("mail/empty", 422)
		tb.says("#host-err", tb.T("field.required"))
		tb.fill("host", "169.254.169.254")
		tb.fill("from", "no-reply@acme.example")
		tb.fill("username", "acme")
		tb.fill("password", "wrong")
		tb.press("admin.mail.connect")
		tb.page("mail/private", 422)
		tb.says("#host-err", tb.T("field.not_public"))
		tb.fill("host", "smtp.example.com")
		tb.fill("password", "wrong")
		tb.press("admin.mail.connect")
		tb.page("mail/refused", 200)
		tb.fill("password", "right")
		tb.press("admin.mail.send")
		tb.page("mail/sent", 200)
		tb.fill("password", "right")
		tb.press("admin.mail.save")
		tb.lands("/admin/providers/email")
		tb.page("mail/saved", 200)
	})
}

// The operator's status page (S42).
func TestStatus_S42(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		tb := newTab(t, s.URL, js)
		tb.open("/status")
		tb.page("status", 200)
	})
}
