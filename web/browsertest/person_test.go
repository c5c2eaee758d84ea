package browsertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// somebody is a person with an app, roles and a name.
func somebody(t *testing.T, s *sallyporttest.Server, login, name string, roles ...string) sallyporttest.Person {
	t.Helper()
	u, err := s.Directory.CreateUser(context.Background(), s.Company, directory.NewUser{Login: login, Name: name, Email: login + "@acme.example", Verified: true,
		Roles: roles, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = s.AddApp(t, u)
	return p
}

// The help desk helps two people, with a confirmation of its own on the way: tom,
// whose app is locked after a hundred wrong codes, and nadia, whose phone is lost.
// What touches an administrator waits, and an owner approves it.
func TestHelpingPeople_S29_H2_H3_rul17(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		s.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.Required })
		s.UseTexts(t, s.Company)
		desk, priya := somebody(t, s, "desk", "Desk", directory.Helpdesk), somebody(t, s, "priya", "Priya Nair", directory.Owner)
		other := somebody(t, s, "other", "Other Desk", directory.Helpdesk)
		tom := somebody(t, s, "tom", `Tom "<b>&lt;script&gt; أحمد`, directory.Member)
		nadia := somebody(t, s, "nadia", "Nadia Wieczorek-Abdulrahman bint Mohammed", directory.Member)
		_, ways, err := s.Directory.Lookup(context.Background(), s.Company, tom.ID)
		if err != nil || len(ways) != 2 {
			t.Fatal(err)
		}
		// A hundred wrong codes, of strangers and of his own browser.
		k := authn.Keys{Company: s.Company.ID, User: tom.ID, Factor: tom.Factor, Charge: authn.GuessFactor, Now: s.Clock.Now()}
		for range authn.ShareStranger {
			err := s.Store.Decide(context.Background(), k, func(*authn.Rows) authn.Verdict { return authn.Continue(authn.Settle{Outcome: authn.Wrong}) })
			if err != nil {
				t.Fatal(err)
			}
		}

		tb := newTab(t, s.URL, js)
		tb.signIn(s, desk)
		s.Clock.Advance(time.Hour / 2) // the proof is old by now
		page := "/admin/people/" + tom.ID
		tb.open(page)
		tb.page("person/locked", 200)
		tb.push("section[aria-labelledby=task-locked] .acts a:nth-child(2)")
		tb.lands("/account/confirm")
		tb.page("confirm/person", 200)
		tb.push("main form button")
		tb.codeBy(s.Code(t, desk.Secret), "page.confirm.button")
		tb.lands(page + "/do/help-code")
		tb.page("person/act", 200)
		tb.says("#check", tb.T("admin.act.check"))
		tb.push("main form .btn-primary")
		tb.page("person/act-empty", 422)
		tb.fill("reason", "Called back on the number on file")
		tb.push("main form .btn-primary")
		tb.page("person/code", 200)
		help := strings.TrimSpace(tb.content("#help-code"))

		// Tom signs in with it and sets his app up anew.
		his := newTab(t, s.URL, js)
		his.open("/signin")
		his.password("tom", sallyporttest.Password)
		his.page("help-code/tom", 200)
		his.open(strings.SplitN(his.path(), "?", 2)[0] + "?way=bypass_code")
		his.fill("saved-code", help)
		his.push("main form .btn-primary")
		his.page("enrolment/tom", 200)
		his.says("h1", his.T("page.enrolment.title"))

		// Nadia: the number is the owner's to prepare; she gets a code there.
		own := newTab(t, s.URL, js)
		own.signIn(s, priya)
		own.open("/admin/people/" + nadia.ID + "/do/prepare/sms")
		own.page("person/number", 200)
		own.fill("phone", "+46701740605")
		own.fill("reason", "New number")
		own.push("main form .btn-primary")
		own.lands("/admin/people/" + nadia.ID)
		own.page("person/prepared", 200)

		// The app, together.
		tb.open("/admin/people/" + nadia.ID + "/do/app-here")
		tb.fill("reason", "Sits beside me")
		tb.push("main form .btn-primary")
		tb.page("person/app", 200)

		// What touches another helper waits, and the owner agrees.
		tb.open("/admin/people/" + other.ID + "/do/reset")
		tb.page("person/waits", 200)
		tb.says("#waits", tb.T("admin.act.waits"))
		tb.fill("reason", "Lost phone")
		tb.push("main form .btn-danger-fill")
		tb.lands("/admin/people/" + other.ID)
		tb.page("person/waiting", 200)
		own.open("/admin/approvals")
		own.page("approvals/waiting", 200)
		own.push(".waiting .btn-primary")
		own.lands("/admin/approvals")
		own.page("approvals/ready", 200)
		tb.open("/admin/people/" + other.ID)
		tb.push(".waiting .repeat button")
		tb.lands("/admin/people/" + other.ID)
		if enrolled(t, s, other) {
			t.Error("nothing was reset")
		}
	})
}
