package web_test

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

// withRole gives a person roles as the operator would.
func withRole(t testing.TB, s *sallyporttest.Server, p sallyporttest.Person, roles ...string) sallyporttest.Person {
	t.Helper()
	now := s.Clock.Now()
	err := s.Store.Decide(context.Background(), authn.Keys{Company: p.Company, User: p.ID, Now: now}, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.Roles, p.User.Roles = roles, roles
		return authn.Accept(authn.Event{Company: u.Company, ID: authn.NewID(authn.EventID, now, rand.Reader), Type: "user.roles_changed",
			Actor: directory.Operator, Target: u.ID, Result: authn.Succeeded, At: now}, authn.PutUser{User: u})
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The page of one person and of each act, in every language, without JavaScript,
// with a name that is markup; a help code is on one answer only.
func TestPersonPages_S29_H2_H3(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			help := withRole(t, s, s.AddUser(t, s.Company, "help", true), directory.Helpdesk)
			priya := owner(t, s, s.Company, "priya")
			tom := s.AddUser(t, s.Company, "tom", true)
			s.UseTexts(t, s.Company)
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(help)
			page := "/admin/people/" + tom.ID
			b.get(page).want(200, page).shows("h1", "Test tom")
			// What the help desk may not do is not there, and refused.
			if len(b.doc.all("a[href="+page+"/do/suspend]")) != 0 || len(b.doc.all("a[href="+page+"/do/help-code]")) == 0 {
				t.Error("the tasks of the help desk")
			}
			b.get(page+"/do/suspend").want(403, ".*")
			b.get("/admin/people/"+priya.ID+"/do/reset").want(403, ".*")
			b.get("/admin/people/"+priya.ID).want(200, ".*").shows("#above", "")
			b.get("/admin/people/"+help.ID).want(200, ".*").shows("#self", "")
			b.get("/admin/people/usr_06gvqojiq1tch8gdppkvf1jp7k").want(404, ".*")
			b.get(page+"/do/become").want(404, ".*")

			act := page + "/do/help-code"
			b.get(act).want(200, act)
			b.submit(mainForm).want(422, act).shows("#reason-err", "")
			b.submit(mainForm, "reason", "Lost the phone <b>on the bus</b>").want(200, act)
			code := b.doc.one(t, "#help-code").words()
			if len(code) < 8 {
				t.Fatalf("no code: %q", code)
			}
			b.get(page).want(200, page)
			if strings.Contains(b.doc.one(t, "main").words(), code) {
				t.Error("the code is shown twice")
			}
			// Each act of each way has a page.
			for _, do := range []string{"disable", "reset", "prefer"} {
				act := page + "/do/" + do + "/" + tom.Factor
				b.get(act).want(200, act).shows("#effects", "")
			}
			b.get(page+"/do/disable/"+tom.Factor).submit(mainForm, "reason", "x").shows("#notice", "")

			// An older proof is renewed, and the page comes back.
			s.Clock.Advance(20 * time.Minute)
			b.get(act).want(200, "/account/confirm")

			// The owner: everything that there is.
			o := newBrowser(t, s)
			o.setCookie("sallyport_lang", lang)
			o.signIn(priya)
			for _, path := range []string{"/do/suspend", "/do/leave", "/do/sign-out", "/do/unlock", "/do/require", "/do/exempt", "/do/invite", "/do/app-here", "/do/prepare/sms", "/do/prepare/email", "/do/reset"} {
				o.get(page+path).want(200, page+path).shows("#effects", "")
			}
			o.get(page+"/do/exempt").submit(mainForm, "reason", "x", "until", "2000-01-01").want(422, ".*").shows("#until-err", "")
			o.submit(mainForm, "reason", "x", "until", s.Clock.Now().AddDate(0, 0, 3).Format(time.DateOnly)).want(200, page)
			o.get(page+"/do/prepare/sms").submit(mainForm, "reason", "x", "phone", "12").want(422, ".*").shows("#phone-err", "")
			o.submit(mainForm, "reason", "x", "phone", "+46701740605").want(200, page)
		})
	}
}

// What an administrator asks about another one waits: the second approves it,
// and the first does it, from the person's page.
func TestApprovalPages_rul17_rul20(t *testing.T) {
	s := newServer(t)
	priya, omar := owner(t, s, s.Company, "priya"), owner(t, s, s.Company, "omar")
	help := withRole(t, s, s.AddUser(t, s.Company, "help", true), directory.Helpdesk)
	page := "/admin/people/" + help.ID
	a, b := newBrowser(t, s), newBrowser(t, s)
	a.signIn(priya)
	a.get(page+"/do/suspend").want(200, ".*").shows("#waits", "")
	a.submit(mainForm, "reason", "Looks wrong").want(200, page).shows("#notice", "waits for a second admin")
	b.signIn(omar)
	b.get("/admin/approvals").want(200, ".*").shows("main", "Looks wrong").shows("main", "Priya Nair")
	b.submit(".waiting form", "do", "approve").want(200, "/admin/approvals").shows("#notice", "Approved")
	a.get(page).want(200, ".*").shows(".waiting", "can be done")
	a.submit(".waiting .repeat").want(200, page).shows("main", "Suspended")
	u, _, err := s.Directory.Lookup(context.Background(), s.Company, help.ID)
	if err != nil || u.Status != authn.Suspended {
		t.Errorf("%+v %v", u.Status, err)
	}
	// Stopping, and a link to nowhere.
	a.get(page+"/do/activate").submit(mainForm, "reason", "A mistake").want(200, page)
	b.get("/admin/approvals").submit(".waiting form", "do", "stop").want(200, "/admin/approvals").shows("#notice", "Stopped")
	tom := s.AddUser(t, s.Company, "tom", true)
	c := newBrowser(t, s)
	c.signIn(tom)
	c.get("/admin/approvals").want(403, ".*")
	c.get(page).want(403, ".*")
}

// The app that is set up together, and what the person sees at its first use.
func TestHandOverPages_rul17(t *testing.T) {
	s := newServer(t)
	help := withRole(t, s, s.AddUser(t, s.Company, "help", true), directory.Helpdesk)
	tom := s.AddUser(t, s.Company, "tom", false)
	page := "/admin/people/" + tom.ID
	b := newBrowser(t, s)
	b.signIn(help)
	b.get(page+"/do/app-here").submit(mainForm, "reason", "Sits beside me").want(200, ".*")
	secret, err := otp.DecodeSecret(b.doc.one(t, "#key").attrs["data-value"])
	if err != nil {
		t.Fatal(err)
	}
	b.submit(mainForm, "code", s.WrongCode(t, secret)).want(422, ".*").shows("#code-err", "")
	b.submit(mainForm, "code", s.Code(t, secret)).want(200, page).shows("#notice", "Done")
	tom.Secret = secret
	s.Clock.Advance(30 * time.Second)
	p := newBrowser(t, s)
	p.password("tom", sallyporttest.Password)
	p.submit("main form", "code", s.Code(t, secret)).shows("#handed", "has seen its key")
}

// What an administrator prepared is confirmed in the sign-in that asks for set-up,
// and on the security page.
func TestPreparedPages_H2_rul1(t *testing.T) {
	s := newServer(t)
	s.UseTexts(t, s.Company)
	s.SetPolicy(t, "acme", func(d *policy.Document) {
		d.TwoFactor, d.OwnWay = policy.Required, []authn.Audience{authn.InternalAudience}
	})
	prepare := func(p sallyporttest.Person, args map[string]string) string {
		t.Helper()
		out, err := s.Directory.Do(context.Background(), directory.TheOperator(s.Company.ID), directory.PersonAct{Do: directory.Prepare, Target: p.ID, Args: args})
		if err != nil {
			t.Fatal(err)
		}
		return out.Factor.ID
	}
	tom := s.AddUser(t, s.Company, "tom", false)
	prepare(tom, map[string]string{"method": "sms", "phone": "+46701740605"})
	b := newBrowser(t, s)
	b.password("tom", sallyporttest.Password).press(sendButton)
	b.submit(mainForm, "code", s.LastCode(t, "tom@acme.example"))
	b.shows("button[name=prepared]", "Prepared by your admin")
	b.press("button[name=prepared]")
	b.submit(mainForm, "code", s.LastCode(t, "+46701740605")).shows("main", "")
	_, factors, err := s.Directory.Lookup(context.Background(), s.Company, tom.ID)
	if err != nil || !policy.Enrolled(factors) {
		t.Errorf("%+v %v", factors, err)
	}
	nadia := s.AddUser(t, s.Company, "nadia", true)
	id := prepare(nadia, map[string]string{"method": "email"})
	n := newBrowser(t, s)
	n.signIn(nadia).get("/account/security").want(200, ".*")
	n.doc.one(t, "a[href=/account/security/email/"+id+"]")
	n.get("/account/security/email/"+id).want(200, ".*")
}

// What was asked for elsewhere than on the page of an act is done as it was asked
// for, from the list of what waits; whoever gives their word sees what it is, and
// what became of it is shown.
func TestWaitingActsOfOtherForms_rul17_rul20(t *testing.T) {
	s := newServer(t)
	priya, omar := owner(t, s, s.Company, "priya"), owner(t, s, s.Company, "omar")
	help := withRole(t, s, s.AddUser(t, s.Company, "help", true), directory.Helpdesk)
	page := "/admin/people/" + help.ID
	a, b := newBrowser(t, s), newBrowser(t, s)
	a.signIn(priya)
	b.signIn(omar)
	who := func() directory.Who {
		t.Helper()
		token, ok := authn.ParseToken(authn.SessionToken, a.cookie("sallyport_session"))
		if !ok {
			t.Fatal("no session")
		}
		return directory.Session(token, authn.Client{})
	}
	user := func() (authn.User, error) {
		u, _, err := s.Directory.Lookup(context.Background(), s.Company, help.ID)
		return u, err
	}
	for _, x := range []struct {
		do, arg, value, shown string
		done                  func(authn.User) bool
	}{
		{directory.SetRoles, "roles", "administrator", "Change the roles", func(u authn.User) bool { return u.Roles[0] == directory.Administrator }},
		{directory.SetEmail, "email", "new@acme.example", "new@acme.example", func(u authn.User) bool { return u.Email == "new@acme.example" }},
		{directory.SetPhone, "phone", "+46701740605", "•• 05", func(u authn.User) bool { return u.Phone == "+46701740605" }},
	} {
		s.Clock.Advance(time.Second)
		out, err := s.Directory.Do(context.Background(), who(), directory.PersonAct{Do: x.do, Target: help.ID, Reason: "Asked for", Args: map[string]string{x.arg: x.value}})
		if err != nil || out.Waits == nil {
			t.Fatalf("%s: %+v %v", x.do, out, err)
		}
		b.get("/admin/approvals").want(200, ".*").shows("#"+out.Waits.ID, x.shown)
		if words := b.doc.one(t, "main").words(); strings.Contains(words, "admin.act.") || strings.Contains(words, "+467") {
			t.Errorf("%s: %s", x.do, words)
		}
		b.press("#"+out.Waits.ID+" button[value=approve]").want(200, "/admin/approvals")
		// Nobody else repeats it.
		if _, _, err := s.Directory.Repeat(context.Background(), directory.TheOperator(s.Company.ID), out.Waits.ID); authn.AsError(err).Code != authn.Forbidden {
			t.Errorf("somebody else: %v", err)
		}
		a.get("/admin/approvals").submit("#"+out.Waits.ID+" .repeat").want(200, page).shows("#notice", "Done")
		if u, err := user(); err != nil || !x.done(u) {
			t.Errorf("%s: %+v %v", x.do, u, err)
		}
	}
	// The page of an act does not take what it does not ask for: an address would be
	// removed, a role taken away.
	for _, do := range []string{"set-email", "set-roles", "set-locale", "erase", "api-off"} {
		a.get(page+"/do/"+do).want(404, ".*")
	}
	before, err := user()
	if err != nil {
		t.Fatal(err)
	}
	a.get(page+"/do/suspend").want(200, ".*")
	action, values := a.fill(a.form(mainForm), "reason", "x")
	for _, do := range []string{"set-email", "set-roles", "set-locale", "erase", "api-off"} {
		a.send("POST", strings.Replace(action, "suspend", do, 1), values)
		a.want(404, ".*")
	}
	if after, err := user(); err != nil || after.Epoch != before.Epoch || after.Email != before.Email || after.Locale != before.Locale {
		t.Errorf("%+v %v", after, err)
	}
	// Erased: what is left is shown.
	out, err := s.Directory.EraseUser(context.Background(), who(), help.ID, "help", "Asked for it")
	if err != nil || out.Waits == nil {
		t.Fatalf("%+v %v", out, err)
	}
	b.get("/admin/approvals").press("#"+out.Waits.ID+" button[value=approve]").want(200, "/admin/approvals")
	a.get("/admin/approvals").submit("#"+out.Waits.ID+" .repeat").want(200, page+"/erase").shows("main", "was erased")
}

// A page that somebody may not use does nothing while it finds out why.
func TestLookingAtAnActDoesNothing_H5(t *testing.T) {
	s := newServer(t)
	help := withRole(t, s, s.AddUser(t, s.Company, "help", true), directory.Helpdesk)
	tom := s.AddUser(t, s.Company, "tom", true)
	b := newBrowser(t, s)
	b.signIn(help)
	b.get("/admin/people/"+tom.ID+"/do/suspend").want(403, ".*")
	list, err := s.Audit.Events(context.Background(), s.Company.ID, authn.EventQuery{Type: "user.suspended", Limit: 10})
	if err != nil || len(list) != 1 || list[0].Result != authn.Refused || list[0].Target != tom.ID || list[0].Personal.Detail["reason"] != "" {
		t.Errorf("%+v %v", list, err)
	}
}

// Whatever can wait has a name on pages and in letters.
func TestWaitingActsHaveNames_rul17(t *testing.T) {
	texts := text.Default()
	admin := authn.User{Roles: []string{directory.Owner}}
	for _, do := range directory.Acts() {
		if !directory.Waits(authn.Company{}, admin, do) {
			continue
		}
		for _, key := range []string{"admin.act." + do, "mail.act.admin." + do} {
			if !texts.Has(key) {
				t.Errorf("%s has no text %s", do, key)
			}
		}
	}
}

// Administrators see each passkey of a person by its name, since when, and whether it
// can leave its device; they remove one, and set none up: that is done on the person's
// own device.
func TestTheirPasskeys_N1(t *testing.T) {
	s := newServer(t)
	boss := owner(t, s, s.Company, "boss")
	maya := s.AddUser(t, s.Company, "maya", true)
	bound, synced := s.Passkeys(t), s.Passkeys(t)
	synced.Synced = true
	first, second := s.AddPasskey(t, maya.User, bound), s.AddPasskey(t, maya.User, synced)
	b := newBrowser(t, s).signIn(boss)
	page := "/admin/people/" + maya.ID
	b.get(page).want(200, page).shows("main", "Added 21 Nov 2026 · on this one device only").shows("main", "Added 21 Nov 2026 · can be synced to other devices")
	for _, a := range b.doc.all("main a") {
		if strings.Contains(a.attrs["href"], "prepare") && strings.Contains(a.attrs["href"], "webauthn") {
			t.Errorf("a passkey for somebody else: %s", a.attrs["href"])
		}
	}
	for _, kind := range []string{"webauthn", "totp", "password", "x"} {
		b.get(page+"/do/prepare/"+kind).want(404, ".*")
	}
	act := page + "/do/reset/" + second
	if got := b.get(page).doc.one(t, "a[href="+act+"]").attrs["aria-label"]; got != "Remove: Passkey (2)" {
		t.Errorf("%q", got)
	}
	b.get(act).want(200, act).shows("#effects", "Passkey (Passkey (2))")
	b.submit(mainForm, "reason", "Lost").want(200, page)
	_, factors, err := s.Directory.Lookup(t.Context(), s.Company, maya.ID)
	if err != nil {
		t.Fatal(err)
	}
	has := func(id string) bool {
		return slices.ContainsFunc(factors, func(f authn.Factor) bool { return f.ID == id })
	}
	if !has(first) || has(second) {
		t.Error("not the one that was chosen")
	}
}
