package web_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// rul-19: the pages say that a way is too new for an owner, and offer the others.
func TestProviderIsNew_rul19(t *testing.T) {
	const wait = "for another 24 hours"
	staff := func(t *testing.T, kind authn.Kind) (*sallyporttest.Server, sallyporttest.Person, *browser) {
		s := newServer(t)
		s.UseTexts(t, s.Company)
		s.UseDuo(t, s.Company)
		maya, omar := s.AddUser(t, s.Company, "maya", true, directory.Owner), s.AddUser(t, s.Company, "omar", false)
		s.AddPhone(t, maya.User, mayaNumber)
		s.AddDuo(t, maya.User, "maya")
		s.SavesAgain(t, omar.User, kind)
		return s, maya, newBrowser(t, s).password("maya", sallyporttest.Password)
	}
	t.Run("sms", func(t *testing.T) {
		s, maya, b := staff(t, authn.SMS)
		path := b.path
		b.get(path+"?way=sms").press(sendButton).want(403, path+"/send").shows("#problem", wait).shows("main", "Authenticator app")
		if sends(s) != 0 {
			t.Error("a text was sent")
		}
		b.get(path+"?way=totp").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
		s.Clock.Advance(11 * time.Minute)
		b.begin("/account/password")
		b.get(b.path+"?way=sms").press("button[name=do]").want(403, "/account/confirm/att_.*").shows("#problem", wait)
		b.get(b.path+"?way=totp").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/account/password")
		b.get(phonePage).submit(mainForm, "phone", "070 174 06 04").want(403, phonePage).shows("#problem", wait)
	})
	t.Run("duo", func(t *testing.T) {
		s, maya, b := staff(t, authn.Duo)
		path := b.path
		b.get(path+"?way=duo").press(pushButton).want(403, path+"/duo/start").shows("main", wait)
		b.get(path+"?way=totp").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
		s.Clock.Advance(11 * time.Minute)
		b.begin("/account/password")
		b.get(b.path+"?way=duo").press(pushButton).want(403, "/account/confirm/att_.*").shows("main", wait)
		if calls(s) != 0 {
			t.Error("Duo was asked")
		}
	})
}
