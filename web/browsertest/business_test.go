package browsertest

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// colleague is somebody with a name and a password only, of one of the two kinds.
func colleague(t *testing.T, s *sallyporttest.Server, login, name string, kind authn.Audience) sallyporttest.Person {
	t.Helper()
	u, err := s.Directory.CreateUser(context.Background(), s.Company, directory.NewUser{Login: login, Name: name, Email: login + "@acme.example", Verified: true,
		Audience: kind, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	return sallyporttest.Person{User: u}
}

// prove confirms that it is them, where a page asks for that: by the app of p, or by
// the password of who has none.
func (tb *tab) prove(s *sallyporttest.Server, p sallyporttest.Person) {
	tb.t.Helper()
	tb.lands("/account/confirm")
	if tb.has("main form:not(:has(#code)):not(:has(#password)) button") { // links lead to a page that says what for
		tb.push("main form button")
	}
	if p.Secret == nil {
		tb.fill("password", sallyporttest.Password)
		tb.press("page.confirm.button")
	} else {
		tb.codeBy(s.Code(tb.t, p.Secret), "page.confirm.button")
	}
	tb.sendsKept()
}

// sendsKept sends what was typed before the proof, if anything was (ruling 27).
func (tb *tab) sendsKept() {
	tb.t.Helper()
	if strings.HasPrefix(tb.path(), "/account/confirm/att_") && strings.HasSuffix(tb.path(), "/form") {
		tb.push("main form [data-busy]")
	}
}

// scan sets the app up from the picture on the page, as a phone does, up to the
// backup codes.
func (tb *tab) scan(s *sallyporttest.Server) otp.Secret {
	tb.t.Helper()
	u, err := url.Parse(tb.qr())
	if err != nil {
		tb.t.Fatal(err)
	}
	secret := decode(tb.t, u.Query().Get("secret"))
	tb.codeBy(s.Code(tb.t, secret), "page.setup.button")
	return secret
}

// told checks that somebody got a letter whose subject is this text of the catalogue.
func (tb *tab) told(s *sallyporttest.Server, p sallyporttest.Person, key string, pairs ...any) {
	tb.t.Helper()
	want := tb.T(key, append(pairs, "Company", s.Company.Name)...)
	var got []string
	for _, m := range s.Mail(tb.t, p.Email) {
		got = append(got, m.Subject)
	}
	if !slices.Contains(got, want) {
		tb.t.Errorf("%s was not told %q but %q", p.Login, want, got)
	}
}

// logged checks that the event log, which is open, has a line that begins with this.
func (tb *tab) logged(key string, pairs ...any) {
	tb.t.Helper()
	want := tb.T(key, pairs...)
	lines := eval[[]string](tb, `[...document.querySelectorAll('.events td:first-child')].map(e => {
		const line = e.cloneNode(true);
		line.querySelector('details').remove();
		return line.textContent.replace(/\s+/g, ' ').trim();
	})`)
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }) {
		tb.t.Errorf("the event log has no %q:\n%s", want, strings.Join(lines, "\n"))
	}
}

// reads checks that a text is among what an element says.
func (tb *tab) reads(selector, want string) {
	tb.t.Helper()
	if got := tb.content(selector); !strings.Contains(got, want) {
		tb.t.Errorf("%s: %s says %q, and not %q", tb.path(), selector, got, want)
	}
}

// preset goes through the pages of the sign-in rules: the template fills the form,
// change makes it another, and what it would do is shown before it is saved, to who
// confirmed that it is them.
func (tb *tab) preset(s *sallyporttest.Server, owner sallyporttest.Person, name, reason string, change func()) {
	tb.t.Helper()
	tb.forgive("data:image/svg+xml") // the browser's own picture in a field for a date
	s.Clock.Advance(time.Hour / 2)   // the proof is old by now
	tb.press("admin.policy.nav")
	tb.unfold("admin.policy.presets_show")
	tb.press("preset." + name + ".title")
	tb.page("policy/preset-"+name, 200)
	if change != nil {
		change()
	}
	tb.press("admin.policy.preview")
	tb.prove(s, owner)
	tb.page("policylook/"+name, 200)
	tb.fill("reason", reason)
	tb.press("admin.policy.save")
	tb.lands("/admin/policy?done=policy_saved")
	tb.page("policy/"+name, 200)
}

// act does something about a person, from the page about them, which is open: the
// selector is of the link to it.
func (tb *tab) act(s *sallyporttest.Server, by sallyporttest.Person, selector, reason string) {
	tb.t.Helper()
	tb.push(selector)
	if strings.HasPrefix(tb.path(), "/account/confirm") {
		tb.prove(s, by)
	}
	tb.fill("reason", reason)
	tb.push("main form [data-busy]")
}

// listed are the names in the list of people.
func (tb *tab) listed() []string {
	tb.t.Helper()
	return eval[[]string](tb, `[...document.querySelectorAll('#people td a')].map(e => e.textContent)`)
}

// Set-up L2 (business software, Q360), end to end: an owner turns the app on from
// the preset, for customers required and for staff as they like; one member of staff
// is required in particular; Sync authenticator app in the user menu; and the
// password, Submit, "authenticator app", the code, Submit.
func TestBusinessSoftware_L2(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		owner := priya(t, s)
		lena, nadia := colleague(t, s, "lena", "Lena Fischer", authn.InternalAudience), colleague(t, s, "nadia", "Nadia Haddad", authn.InternalAudience)
		omar := colleague(t, s, "omar", "Omar Aziz", authn.ExternalAudience)

		// Customers must.
		tb := newTab(t, s.URL, js)
		tb.signIn(s, owner)
		tb.preset(s, owner, "business", "Customers see our books.", func() { tb.choose("external", "required") })

		// Who must, and has not.
		tb.open("/admin/people?set_up=due")
		tb.page("people/due", 200)
		if got := tb.listed(); !slices.Equal(got, []string{omar.Name}) {
			t.Errorf("must, and have not: %q", got)
		}

		// One member of staff is required in particular.
		tb.open("/admin/people")
		tb.follow(func() error { return tb.click(nadia.Name) })
		tb.page("person/rules", 200)
		tb.act(s, owner, "a[href$='/do/require']", "She keeps the accounts.")
		tb.lands("/admin/people/" + nadia.ID)
		tb.page("person/required", 200)
		tb.reads("#why", tb.T("admin.why.user_required"))
		tb.told(s, nadia, "mail.two_factor_required.subject")

		// Staff may: the user menu, the picture, a code.
		hers := newTab(t, s.URL, js)
		hers.signIn(s, lena)
		hers.menu()
		hers.press("page.menu.sync")
		hers.prove(s, lena)
		hers.lands("/account/security/app/fac_")
		hers.page("setup/business", 200)
		lena.Secret = hers.scan(s)
		hers.page("codes/business", 200)
		hers.saveCodes()
		hers.page("security/business", 200)
		hers.told(s, lena, "mail.method_on.subject")
		hers.signOut()
		s.Clock.Advance(time.Minute)
		hers.password("lena", sallyporttest.Password)
		hers.page("code/business", 200)
		hers.press("page.code.other")
		hers.page("choose/business", 200)
		hers.option(authn.TOTP)
		hers.code(s.Code(t, lena.Secret))
		hers.lands("/account/security")

		// A customer must, and so must nadia: the code that stands in lets them in to set
		// an app up, and the page says why.
		for _, p := range []struct {
			sallyporttest.Person
			why string
		}{{omar, "why.external_users"}, {nadia, "why.user_required"}} {
			theirs := newTab(t, s.URL, js)
			theirs.open("/signin")
			theirs.mailed(s, p.Login)
			theirs.page("enrolment/"+p.Login, 200)
			theirs.reads("main", theirs.T(p.why, "Company", s.Company.Name))
			theirs.option(authn.TOTP)
			theirs.page("setup/in-sign-in", 200)
			p.Secret = theirs.scan(s)
			theirs.tick("saved")
			theirs.press("page.codes.done")
			theirs.lands("/account/security")
			theirs.page("security/"+p.Login, 200)
			theirs.reads("section[aria-labelledby=ways] .card-head", theirs.T(p.why, "Company", s.Company.Name))
			theirs.signOut()
			s.Clock.Advance(time.Minute)
			theirs.password(p.Login, sallyporttest.Password)
			theirs.code(s.Code(t, p.Secret))
			theirs.lands("/account/security")
		}

		// Nobody is left, and the log has it in sentences.
		tb.open("/admin/people?set_up=due")
		if got := tb.listed(); len(got) > 0 {
			t.Errorf("must, and have not: %q", got)
		}
		tb.open("/admin/audit")
		tb.page("audit/business", 200)
		tb.logged("admin.audit.line.policy.changed", "Actor", owner.Name)
		tb.logged("admin.audit.line.user.two_factor_required", "Actor", owner.Name, "Target", nadia.Name)
		tb.logged("admin.audit.own.factor.confirmed.totp", "Target", lena.Name)
	})
}
