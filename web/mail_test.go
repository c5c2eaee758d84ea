package web_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	mailPage   = "/admin/providers/email"
	mailForm   = "#server"
	mailSecret = "hunter2-7YqK2-correct"
)

func owner(t testing.TB, s *sallyporttest.Server, c authn.Company, login string) sallyporttest.Person {
	t.Helper()
	u, err := s.Directory.CreateUser(context.Background(), c, directory.NewUser{Login: login, Name: "Priya Nair", Email: login + "@" + c.Slug + ".example", Verified: true,
		Roles: []string{directory.Owner}, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = s.AddApp(t, u)
	return p
}

// The page of the mail server, in every language, without JavaScript.
func TestMailPage(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			priya := owner(t, s, s.Company, "priya")
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya).get("/account").want(200, "/account")
			b.doc.one(t, "nav.side a[href="+mailPage+"]")
			b.get(mailPage).want(200, mailPage)
			good := []string{"do", "save", "host", "smtp.example.com", "port", "587", "tls", "starttls", "username", "acme", "password", mailSecret,
				"from", "no-reply@acme.example", "from_name", "<b>Acme</b> \u202eevil"}
			with := func(pairs ...string) []string { return append(append([]string{}, good...), pairs...) }
			b.submit(mailForm, with("host", "", "from", "x", "port", "no", "password", "")...).want(422, mailPage)
			b.submit(mailForm, with("host", "127.0.0.1", "from_name", "Acme")...).want(422, mailPage)
			b.submit(mailForm, with("do", "connect", "from_name", "Acme", "password", "wrong")...).want(200, mailPage)
			if n := len(b.doc.all("main ol li")); n != 3 {
				t.Errorf("%d steps", n)
			}
			b.submit(mailForm, with("do", "send", "from_name", "Acme", "to", "")...).want(422, mailPage)
			b.submit(mailForm, with("do", "send", "from_name", "Acme", "to", "x@acme.example")...).want(200, mailPage)
			if n := len(b.doc.all("main ol li")); n != 5 {
				t.Errorf("%d steps", n)
			}
			b.submit(mailForm, with("from_name", "Acme")...).want(200, mailPage)
			if len(b.doc.all(".note.ok")) != 1 || b.doc.one(t, "#password").attrs["value"] != "" || b.doc.one(t, "#host").attrs["value"] != "smtp.example.com" {
				t.Error("saved, but the page does not show it")
			}
			b.submit(mailForm, "do", "connect", "host", "other.example.com").want(422, mailPage)
			for range provider.TestsPerHour {
				b.submit(mailForm, "do", "connect", "host", "smtp.example.com")
			}
			b.want(429, mailPage)
			s.Clock.Advance(5 * time.Minute)
			b.get(mailPage).want(200, mailPage)
			b.submit("main section form", "do", "remove").want(200, mailPage)
			s.Clock.Advance(11 * time.Minute)
			b.begin(mailPage).submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, mailPage)
			if strings.Contains(b.doc.words(), mailSecret) {
				t.Error("the page holds the password")
			}
		})
	}
}

// Nobody but owners sees it, and of two companies each sees its own.
func TestMailPageIsTheOwners(t *testing.T) {
	s := newServer(t)
	other := s.AddCompany(t, "globex", "Globex")
	b := newBrowser(t, s)
	enter := func(b *browser, slug string, p sallyporttest.Person) *browser {
		s.Clock.Advance(30 * time.Second)
		b.get("/c/"+slug+"/signin").submit(mainForm, "login", p.Login, "password", sallyporttest.Password)
		return b.submit(mainForm, "code", s.Code(t, p.Secret)).want(200, "/continue")
	}
	enter(b, "acme", s.AddUser(t, s.Company, "maya", true)).get("/account").want(200, "/account")
	if len(b.doc.all("nav.side a[href="+mailPage+"]")) != 0 {
		t.Error("the navigation leads there")
	}
	b.get(mailPage).want(403, mailPage)

	priya, zoe := newBrowser(t, s), newBrowser(t, s)
	enter(priya, "acme", owner(t, s, s.Company, "priya")).get(mailPage).want(200, mailPage)
	priya.submit(mailForm, "do", "save", "host", "smtp.example.com", "port", "465", "tls", "implicit", "from", "a@acme.example").want(200, mailPage)
	enter(zoe, "globex", owner(t, s, other, "zoe")).get(mailPage).want(200, mailPage)
	if got := zoe.doc.one(t, "#host").attrs["value"]; got != "" {
		t.Errorf("another company's server: %s", got)
	}
	// Two owners at once: the second is told, and saves nothing.
	second := newBrowser(t, s)
	enter(second, "acme", owner(t, s, s.Company, "ada")).get(mailPage).want(200, mailPage)
	priya.submit(mailForm, "do", "save", "from", "b@acme.example").want(200, mailPage)
	second.submit(mailForm, "do", "connect", "from", "c@acme.example").want(200, mailPage) // what is tested is no newer for it
	second.submit(mailForm, "do", "save", "from", "c@acme.example").want(200, mailPage)
	if got := second.doc.one(t, "#from").attrs["value"]; got != "b@acme.example" {
		t.Errorf("saved over another's change: %s", got)
	}
}

// A server without mail has no such page.
func TestMailPageWithoutMail(t *testing.T) {
	s := newServer(t, sallyporttest.NoMail())
	b := newBrowser(t, s)
	b.signIn(owner(t, s, s.Company, "priya")).get(mailPage).want(404, mailPage)
}
