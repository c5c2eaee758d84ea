package web_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// A way that the rules took away and allow again, on pages, in every language and
// without JavaScript (rul-2): at sign-in, under Security, and as administrators see it.
func TestConfirmAgainPages_rul2(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := withTexts(t)
			priya := owner(t, s, s.Company, "priya")
			maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", true)
			s.AddPhone(t, omar.User, omarNumber)
			admin := newBrowser(t, s)
			admin.setCookie("sallyport_lang", lang)
			without := []authn.Kind{authn.SMS, authn.Email, authn.Duo, authn.BackupCode}
			s.SetPolicy(t, "acme", func(d *policy.Document) { d.Methods = without })
			s.SetPolicy(t, "acme", func(d *policy.Document) { d.Methods = append(without, authn.TOTP) })
			s.Clock.Advance(time.Minute)

			// Maya has nothing else: its code, and one that is sent.
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.password(maya.Login, sallyporttest.Password).shows("#again", "")
			b.submit(mainForm, "code", s.WrongCode(t, maya.Secret)).want(422, ".*").shows("#again", "")
			b.submit(mainForm, "code", s.Code(t, maya.Secret)).press(sendButton)
			b.submit(mainForm, "code", s.LastCode(t, maya.Email)).want(200, "/continue")
			b.get("/account/security").want(200, "/account/security")
			if len(b.doc.all("#banner[data-banner=again]")) != 0 {
				t.Error("it was confirmed")
			}

			// Omar has another way, and confirms the app under Security.
			b = newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.password(omar.Login, sallyporttest.Password).press(sendButton)
			b.submit(mainForm, "code", s.LastCode(t, omarNumber)).want(200, "/continue")
			b.get("/account/security").shows("#banner[data-banner=again]", "").shows("#app .pill", "")
			s.Clock.Advance(2 * time.Minute)
			b.get("/account/confirm?for=again_totp").submit(beginForm).want(200, "/account/confirm/att_.*").press("button[name=do]")
			b.submit(mainForm, "code", s.LastCode(t, omarNumber)).want(200, "/account/confirm/att_.*")
			b.submit(mainForm, "code", s.Code(t, omar.Secret)).want(200, "/account/security")
			if len(b.doc.all("#banner[data-banner=again]")) != 0 {
				t.Error("it was confirmed")
			}

			// An administrator sees who still has to: here themselves, by then not.
			nora := s.AddUser(t, s.Company, "nora", true)
			admin.password(priya.Login, sallyporttest.Password).submit(mainForm, "code", s.Code(t, priya.Secret)).press(sendButton)
			admin.submit(mainForm, "code", s.LastCode(t, priya.Email)).want(200, "/continue")
			admin.get("/admin/people?state=confirm_again").want(200, "/admin/people").shows("main", "nora")
			admin.get("/admin/people/"+nora.ID).want(200, "/admin/people/"+nora.ID).shows("main .pill.warn", "")
		})
	}
}
