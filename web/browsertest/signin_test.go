package browsertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// both runs a test with JavaScript and without (ux rule 56).
func both(t *testing.T, f func(t *testing.T, js bool)) {
	t.Helper()
	t.Parallel()
	for name, js := range map[string]bool{"js": true, "nojs": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chromium(t)
			f(t, js)
		})
	}
}

// password fills in the first page and sends it.
func (tb *tab) password(login, password string) {
	tb.t.Helper()
	tb.fill("login", login)
	tb.fill("password", password)
	tb.press("page.signin.button")
}

// code fills in a code and sends it.
func (tb *tab) code(code string) {
	tb.t.Helper()
	tb.fill("code", code)
	tb.press("page.code.button")
}

// clock is a time as the page writes it: the browser tells its zone by
// JavaScript, and without it times are in UTC and say so.
func (tb *tab) clock(local, utc string) string {
	if tb.js {
		return local
	}
	return tb.T("page.time.utc", "Time", utc)
}

// signIn is the whole way to the Security page.
func (tb *tab) signIn(s *sallyporttest.Server, p sallyporttest.Person) {
	tb.t.Helper()
	tb.open("/signin")
	tb.password(p.Login, sallyporttest.Password)
	if p.Secret != nil {
		tb.code(s.Code(tb.t, p.Secret))
	}
	tb.lands("/account/security")
}

// signOut uses the user menu.
func (tb *tab) signOut() {
	tb.t.Helper()
	tb.menu()
	tb.press("page.menu.signout")
	tb.lands("/signin")
}

// factor reads the person's factor from the database.
func factor(t *testing.T, s *sallyporttest.Server, p sallyporttest.Person, kind authn.Kind) authn.Factor {
	t.Helper()
	_, list, err := s.Directory.Lookup(context.Background(), s.Company, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if f.Kind == kind && f.State != authn.Pending {
			return f
		}
	}
	t.Fatalf("%s has no %s", p.Login, kind)
	return authn.Factor{}
}

// events counts a person's entries of one type in the log.
func events(t *testing.T, s *sallyporttest.Server, p sallyporttest.Person, typ string) (n int) {
	t.Helper()
	list, err := s.Audit.Events(context.Background(), s.Company.ID, authn.EventQuery{Target: p.ID, Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Type == typ {
			n++
		}
	}
	return n
}

// charged checks how many wrong codes were counted.
func charged(t *testing.T, s *sallyporttest.Server, p sallyporttest.Person, lane authn.Lane, want int) {
	t.Helper()
	if got := factor(t, s, p, authn.TOTP).Counts[lane].Tries; got != want {
		t.Errorf("%d tries are charged, want %d", got, want)
	}
}

// F1: name and password, then the code; every page is drawn right.
func TestSignIn_F1(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.open("/account/security")
		tb.lands("/signin?return_to=%2Faccount%2Fsecurity")
		tb.page("signin", 200)
		tb.password("maya", sallyporttest.Password)
		tb.lands("/signin/att_")
		tb.page("code", 200)
		tb.stay("/continue")
		tb.code(s.Code(t, maya.Secret))
		tb.lands("/continue")
		tb.page("continue", 200) // S13: a page of its own, which a form may lead to
		tb.press("page.continue.button")
		tb.lands("/account/security")
		tb.page("security", 200)
		if kept := tb.cookies(); kept["sallyport_session"] == "" || kept["sallyport_browser"] == "" {
			t.Errorf("cookies: %v", kept)
		}
	})
}

// F5 and S1: one answer for a wrong password, an unknown name and a suspended
// account; the name stays, the password does not, and the focus is there.
func TestSignIn_F5_wrongPassword(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		s.AddUser(t, s.Company, "maya", true)
		sven := s.AddUser(t, s.Company, "sven", false)
		if err := s.Directory.SetStatus(context.Background(), s.Company, sven.ID, authn.Suspended); err != nil {
			t.Fatal(err)
		}
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		tb.press("page.signin.button")
		tb.page("signin/empty", 422)
		tb.says("#login-err", tb.T("page.signin.login_empty"))
		tb.focused("login")
		tb.fill("login", "maya")
		tb.press("page.signin.button")
		tb.page("signin/no-password", 422)
		tb.says("#password-err", tb.T("page.signin.password_empty"))
		tb.focused("password")
		for _, try := range [][2]string{{"maya", "not this one"}, {"nobody", sallyporttest.Password}, {"sven", sallyporttest.Password}} {
			tb.password(try[0], try[1])
			tb.page("signin/wrong", 422)
			tb.says("#problem", tb.T("page.signin.wrong"))
			if got := eval[[2]string](tb, "[document.getElementById('login').value, document.getElementById('password').value]"); got != [2]string{try[0], ""} {
				t.Errorf("the fields hold %q", got)
			}
			tb.focused("password")
		}
	})
}

// F5 and S10: too many wrong passwords slow an unknown browser down, and the
// page says until when.
func TestSignIn_F5_paused(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		for range policy.FreeTries + 1 {
			tb.password("maya", "not this one")
		}
		tb.page("signin/paused", 429)
		if got := tb.content("#problem"); !strings.HasPrefix(got, tb.T("page.signin.paused")) || !strings.HasSuffix(got, tb.T("page.pause", "Count", 1, "Until", tb.clock("10:15", "09:15"))) {
			t.Errorf("the page says %q", got)
		}
		s.Clock.Advance(policy.FirstPause + time.Second)
		tb.password("maya", sallyporttest.Password)
		tb.lands("/signin/att_")
	})
}

// ux rule 30: five mistakes, five texts. Rule 44: what is no code is not charged
// for, and a code that was used is neither charged for nor a wrong one.
func TestSignIn_ux30_rul44(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.signOut()
		tb.page("signin/out", 200)
		tb.says(".note.ok", tb.T("page.done.signed_out"))
		tb.password("maya", sallyporttest.Password)
		for _, c := range []struct {
			name, code, want string
			status           int64
			tries            int
		}{
			{"empty", "", tb.T("page.code.empty"), 422, 0},
			{"few", "123", tb.T("field.too_few", "Digits", 6), 422, 0},
			{"many", "1234567", tb.T("field.too_many", "Digits", 6), 422, 0},
			{"letters", "12ab56", tb.T("field.not_digits"), 422, 0},
			{"used", s.Code(t, maya.Secret), tb.T("error.code_used"), 422, 0},
			{"wrong", s.WrongCode(t, maya.Secret), tb.T("error.wrong_code"), 422, 1},
		} {
			tb.code(c.code)
			tb.page("code/"+c.name, c.status)
			tb.says("#code-err", c.want)
			tb.focused("code")
			charged(t, s, maya, authn.Known, c.tries)
		}
		s.Clock.Advance(30 * time.Second)
		tb.code(s.Code(t, maya.Secret))
		tb.lands("/account/security")
	})
}

// ux rule 23 and S10: how many tries are left from the fourth on, the phone's
// clock from the second; then a page that says how long to wait, and afterwards
// the same sign-in goes on.
func TestSignIn_ux23_pause(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		for n := 1; n < policy.FreeTries; n++ {
			tb.code(s.WrongCode(t, maya.Secret))
			want := tb.T("error.wrong_code")
			if n >= 4 {
				want = tb.T("error.wrong_code.left", "Count", policy.FreeTries-n)
			}
			tb.says("#code-err", want)
			if got := tb.has("#clock"); got != (n >= 2) {
				t.Errorf("advice about the clock after %d wrong codes: %v", n, got)
			}
		}
		tb.page("code/last-try", 422)
		tb.code(s.WrongCode(t, maya.Secret))
		tb.page("paused", 429)
		tb.says(".note.warn", tb.T("page.pause", "Count", 1, "Until", tb.clock("10:15", "09:15")))
		tb.press("page.stopped.again")
		tb.page("paused", 200)
		s.Clock.Advance(policy.FirstPause + time.Second)
		tb.press("page.stopped.again")
		tb.page("code/after-pause", 200)
		tb.code(s.Code(t, maya.Secret))
		tb.lands("/account/security")
		charged(t, s, maya, authn.Stranger, 0)
	})
}

// S10: an app whose 100 tries are used up is off, and the page says whom to ask.
func TestSignIn_F5_locked(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		k := authn.Keys{Company: s.Company.ID, User: maya.ID, Factor: maya.Factor, Charge: authn.GuessFactor, Now: s.Clock.Now()}
		for range authn.ShareStranger {
			err := s.Store.Decide(context.Background(), k, func(*authn.Rows) authn.Verdict { return authn.Continue(authn.Settle{Outcome: authn.Wrong}) })
			if err != nil {
				t.Fatal(err)
			}
		}
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.page("locked", 200)
		tb.says("h1", tb.T("page.stopped.locked_title"))
		tb.follow(func() error { return tb.click(tb.T("page.start_over")) })
		tb.lands("/signin")
	})
}

// F4: who took too long gives the password again, with the name in place, and
// arrives where they wanted to go. Both from the form and from the address.
func TestSignIn_F4_expired(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.open("/account")
		tb.password("maya", sallyporttest.Password)
		s.Clock.Advance(16 * time.Minute)
		tb.code(s.Code(t, maya.Secret))
		tb.page("signin/expired", 410)
		tb.says(".note.warn", tb.T("page.signin.expired"))
		if got := eval[string](tb, "document.getElementById('login').value"); got != "maya" {
			t.Errorf("the name is %q", got)
		}
		tb.focused("password")
		tb.fill("password", sallyporttest.Password)
		tb.press("page.signin.button")
		tb.lands("/signin/att_")
		s.Clock.Advance(16 * time.Minute)
		tb.reload()
		tb.page("signin/expired", 410)
		tb.password("maya", sallyporttest.Password)
		tb.code(s.Code(t, maya.Secret))
		tb.lands("/account")
	})
}

// Ruling 47: the address of a sign-in opens nothing in another browser.
func TestSignIn_rul47_otherBrowser(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		s.AddUser(t, s.Company, "maya", true)
		tb, thief := newTab(t, s.URL, js), newTab(t, s.URL, js)
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		thief.open(tb.path())
		thief.page("elsewhere", 404)
		if strings.Contains(thief.content("body"), "maya") {
			t.Error("it says whose sign-in it is")
		}
		thief.press("page.start_again")
		thief.lands("/signin")
		if got := thief.path(); got != "/signin" {
			t.Errorf("start again leads to %s", got)
		}
	})
}

// S13: without cookies the page says so instead of turning in circles. This
// Chromium refuses them all, as a person can set it.
func TestSignIn_S13_cookiesOff(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		chromium(t)
		p, err := launch(`{"profile":{"default_content_setting_values":{"cookies":2}}}`)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.close)
		s := sallyporttest.NewServer(t)
		s.AddUser(t, s.Company, "maya", true)
		tb := openTab(t, p.ctx, s.URL, js)
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.page("signin/cookies-off", 400)
		tb.says("#problem", tb.T("page.signin.cookies"))
		tb.fill("password", sallyporttest.Password)
		tb.press("page.signin.button")
		tb.says("#problem", tb.T("page.signin.cookies"))
	})
}

// Ruling 49: Back after signing in leads on, and never to an expired page.
func TestSignIn_rul49_backAfterwards(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.back()
		tb.lands("/account/security")
		tb.page("security", 200)
		charged(t, s, maya, authn.Known, 0)
		tb.open("/signin") // who is signed in is not asked again
		tb.lands("/account/security")
	})
}

// Ruling 49: Reload after a wrong code sends the form again and charges nothing.
func TestSignIn_rul49_reload(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.code(s.WrongCode(t, maya.Secret))
		tb.page("code/wrong", 422)
		for range 3 {
			tb.reload()
			tb.page("code/reloaded", 200)
			charged(t, s, maya, authn.Stranger, 1)
		}
		tb.code(s.Code(t, maya.Secret))
		tb.lands("/account/security")
	})
}

// S1 and ux rule 21: while the answer is awaited the button says so, keeps the
// focus and can be read.
func TestSignIn_ux21_busy(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := sallyporttest.NewServer(t)
	s.AddUser(t, s.Company, "maya", true)
	const button = "form[action='/signin'] > button"
	for _, th := range []theme{light, dark} {
		tb := newTab(t, s.URL, true)
		tb.look(wide, th)
		tb.open("/signin")
		tb.fill("login", "maya")
		tb.fill("password", sallyporttest.Password)
		// Clicked and looked at in one go: the browser answers nothing in between.
		const click = "(() => { const b = document.querySelector($1); b.focus(); b.click(); return b })()"
		tb.follow(func() error {
			got := eval[audit](tb, "("+click+", "+auditScript+")", button)
			for _, f := range got.Findings {
				t.Errorf("%s: %s", th, f)
			}
			return nil
		})
		tb.lands("/signin/att_")
		tb.open("/signin")
		tb.fill("login", "maya")
		tb.follow(func() error {
			got := eval[[4]any](tb, "(b => [b.textContent, b === document.activeElement, b.disabled, b.getAttribute('aria-disabled')])("+click+")", button)
			if want := [4]any{tb.T("page.signin.busy"), true, false, "true"}; got != want {
				t.Errorf("text, focus, disabled and aria-disabled are %v, want %v", got, want)
			}
			return nil
		})
		tb.says("#password-err", tb.T("page.signin.password_empty"))
	}
}

// Rulings 44 and 49: two clicks are one try, right or wrong.
func TestSignIn_rul49_doubleClick(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.forgive("net::ERR_ABORTED") // the second click gives up the first request
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.fill("code", s.WrongCode(t, maya.Secret))
		tb.follow(func() error { return tb.twice(tb.T("page.code.button")) })
		tb.await("one try to be charged", func() bool { return factor(t, s, maya, authn.TOTP).Counts[authn.Stranger].Tries == 1 })
		tb.await("the form to be ready", func() bool {
			ready, err := tryEval[bool](tb, "document.readyState === 'complete' && document.getElementById('code').value === ''")
			return err == nil && ready
		})
		tb.fill("code", s.Code(t, maya.Secret))
		tb.follow(func() error { return tb.twice(tb.T("page.code.button")) })
		tb.lands("/account/security")
		charged(t, s, maya, authn.Known, 0)
	})
}

// Ruling 49: of two tabs with one sign-in the second sends an old form. It is
// not evaluated, and shows how things stand.
func TestSignIn_rul49_twoTabs(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		one := newTab(t, s.URL, js)
		one.open("/signin")
		one.password("maya", sallyporttest.Password)
		two := one.another()
		two.open(one.path())
		one.code(s.WrongCode(t, maya.Secret))
		two.code(s.WrongCode(t, maya.Secret))
		two.page("code/other-tab", 200)
		charged(t, s, maya, authn.Stranger, 1)
		one.code(s.Code(t, maya.Secret))
		one.lands("/account/security")
		two.code(s.WrongCode(t, maya.Secret))
		two.lands("/account/security")
		charged(t, s, maya, authn.Known, 0)
	})
}

// Two tabs with the sign-in page: the second is no attack, and goes on too.
func TestSignIn_rul50_twoForms(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		one := newTab(t, s.URL, js)
		one.open("/signin")
		two := one.another()
		two.open("/signin")
		one.password("maya", sallyporttest.Password)
		one.code(s.Code(t, maya.Secret))
		one.lands("/account/security")
		s.Clock.Advance(30 * time.Second)
		two.password("maya", sallyporttest.Password)
		two.code(s.Code(t, maya.Secret))
		two.lands("/account/security")
		one.open("/account")
		one.lands("/account")
	})
}

// ux rule 61: after signing out Back shows nothing.
func TestSignOut_ux61_back(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.open("/account")
		tb.lands("/account")
		tb.open("/signout")
		tb.page("signout", 200)
		tb.press("page.menu.signout")
		tb.says(".note.ok", tb.T("page.done.signed_out"))
		for range 3 {
			tb.back()
			tb.lands("/signin")
			if got := tb.content("body"); strings.Contains(got, "maya") {
				t.Errorf("Back shows %q", got)
			}
		}
	})
}

// Ruling 7 and cve-64: /continue leads where return_to said when it was checked,
// and nowhere else.
func TestContinue_rul7(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		for returnTo, want := range map[string]string{
			"/account":                   "/account",
			"/account/password":          "/account/password",
			"//evil.example/":            "/account/security",
			"https://evil.example/":      "/account/security",
			`/\evil.example`:             "/account/security",
			"javascript:alert(document)": "/account/security",
		} {
			tb.open(withQuery("/signin", "return_to", returnTo))
			tb.password("maya", sallyporttest.Password)
			tb.code(s.Code(t, maya.Secret))
			tb.lands(want)
			if got := tb.path(); got != want {
				t.Errorf("return_to=%s leads to %s", returnTo, got)
			}
			tb.open("/continue?return_to=/signout&to=//evil.example")
			tb.lands(want)
			tb.signOut()
			s.Clock.Advance(30 * time.Second)
		}
	})
}

// Ruling 1: nobody sets up a second way on a password alone.
func TestSignIn_F3_denied(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		addUnverified(t, s, "omar")
		s.SetTwoFactor(t, "acme", policy.Required)
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		tb.password("omar", sallyporttest.Password)
		tb.page("denied", 403)
		tb.open("/account/security")
		tb.lands("/signin")
	})
}

// Ruling 5: on a server with several companies the address names one.
func TestSignIn_rul5_companies(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		other := s.AddCompany(t, "beta", "Beta Works")
		bea := s.AddUser(t, other, "bea", true)
		tb := newTab(t, s.URL, js)
		tb.open("/account/security")
		tb.page("company", 200)
		tb.focused("company")
		tb.press("page.company.button")
		tb.page("company/empty", 422)
		tb.fill("company", "gamma")
		tb.press("page.company.button")
		tb.page("company/unknown", 404)
		tb.fill("company", " Beta ")
		tb.press("page.company.button")
		tb.lands("/c/beta/signin")
		tb.says("main h1 + p", "to Beta Works")
		tb.password("bea", sallyporttest.Password)
		tb.code(s.Code(t, bea.Secret))
		tb.lands("/account/security")
		tb.menu()
		tb.press("page.menu.signout")
		tb.lands("/c/beta/signin")
	})
}
