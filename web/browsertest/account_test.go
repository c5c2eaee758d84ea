package browsertest

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// Ruling 57: the Profile page.
func TestProfile_rul57(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.open("/account")
		tb.page("profile", 200)
		tb.fill("name", "")
		tb.press("page.profile.save")
		tb.page("profile/empty", 422)
		tb.focused("name")
		for _, name := range []string{"Maya Lindqvist", "مايا لينـدكڤست", `<img src=x onerror="alert(1)">`, "O’Neill-Öztürk van der Wolfeschlegelsteinhausenbergerdorff"} {
			tb.fill("name", name)
			tb.press("page.profile.save")
			tb.lands("/account?done=profile")
			tb.page("profile/saved", 200)
			tb.says(".note.ok", tb.T("page.done.profile"))
		}
		tb.reload() // of the answer to a GET: sends nothing
		tb.lands("/account?done=profile")
	})
}

// J1 and S23: changing the password, and what is wrong in between. Other
// sessions end.
func TestPassword_J1(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb, other := newTab(t, s.URL, js), newTab(t, s.URL, js)
		other.signIn(s, maya)
		s.Clock.Advance(30 * time.Second)
		tb.signIn(s, maya)
		tb.page("security/two-sessions", 200)
		tb.open("/.well-known/change-password") // ux rule 62
		tb.lands("/account/password")
		tb.page("password", 200)
		tb.focused("current")
		next := "another quiet harbour"
		for _, c := range []struct {
			name, current, new, confirm, field, text string
		}{
			{"empty", "", "", "", "current", tb.T("page.password.current_empty")},
			{"no-new", sallyporttest.Password, "", "", "new", tb.T("page.password.new_empty")},
			{"differ", sallyporttest.Password, next, next + "!", "confirm", tb.T("page.password.mismatch")},
			{"short", sallyporttest.Password, "short", "short", "new", tb.T("field.too_short", "Min", 15)},
			{"wrong", "not this one", next, next, "current", tb.T("page.password.wrong")},
		} {
			tb.fill("current", c.current)
			tb.fill("new", c.new)
			tb.fill("confirm", c.confirm)
			tb.press("page.password.button")
			tb.page("password/"+c.name, 422)
			tb.says("#"+c.field+"-err", c.text)
		}
		if js {
			tb.meter("new", "xq4zxq4zxq4zxq4z", "very_weak", "repeats")
			tb.page("password/weak", 422)
			tb.meter("new", "short", "", "")
			tb.meter("new", next, "strong", "")
			tb.page("password/strong", 422)
		} else {
			// What was refused above was judged beside the field.
			tb.fill("current", sallyporttest.Password)
			tb.fill("new", "maya maya maya maya")
			tb.fill("confirm", "maya maya maya maya")
			tb.press("page.password.button")
			tb.says("#new-strength-text", tb.T("strength.very_weak")+" "+tb.T("strength.advice.name"))
			tb.page("password/judged", 422)
		}
		tb.fill("current", sallyporttest.Password)
		tb.fill("new", next)
		tb.fill("confirm", next)
		tb.press("page.password.button")
		tb.lands("/account/security?done=password")
		tb.page("security/password-changed", 200)
		other.reload()
		other.lands("/signin?return_to=")
		other.password("maya", sallyporttest.Password)
		other.says("#problem", other.T("page.signin.wrong"))
		s.Clock.Advance(30 * time.Second)
		other.password("maya", next)
		other.code(s.Code(t, maya.Secret))
		other.lands("/account/security")

		tb.reload()
		tb.press("page.security.others") // J2
		tb.says(".note.ok", tb.T("page.done.others"))
		other.open("/account")
		other.lands("/signin")
	})
}

// meter types a password and waits for what is said of it; no word: nothing is.
func (tb *tab) meter(id, password, word, advice string) {
	tb.t.Helper()
	tb.fill(id, password)
	want := ""
	if word != "" {
		want = tb.T("strength." + word)
	}
	if advice != "" {
		want += " " + tb.T("strength.advice."+advice)
	}
	tb.await("the strength "+want, func() bool { return tb.content("#"+id+"-strength-text") == want })
}

// S1: Show shows the password, and what was shown is sent as a password. Without
// JavaScript there is no such button.
func TestPassword_show(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		if got := tb.has("[data-show]"); got != js {
			t.Fatalf("the button is there: %v", got)
		}
		if !js {
			return
		}
		tb.fill("password", "what I typed")
		typ := func() string { return eval[string](tb, "document.getElementById('password').type") }
		if err := tb.click(tb.T("page.show") + " " + tb.T("page.signin.password")); err != nil {
			t.Fatal(err)
		}
		tb.await("the password to be shown", func() bool { return typ() == "text" })
		tb.focused("password")
		tb.audited("signin/shown")
		if err := tb.click(tb.T("page.show") + " " + tb.T("page.signin.password")); err != nil {
			t.Fatal(err)
		}
		tb.await("the password to be hidden", func() bool { return typ() == "password" })
	})
}

// ux rule 60: light, dark or as the system has it; the choice is kept, before
// signing in and after.
func TestAppearance_ux60(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		scheme := func() string {
			return eval[string](tb, `(() => { const c = document.createElement('canvas').getContext('2d'); c.fillStyle = getComputedStyle(document.documentElement).backgroundColor;
				return parseInt(c.fillStyle.slice(1, 3), 16) < 128 ? 'dark' : 'light' })()`)
		}
		expect := func(want string) {
			t.Helper()
			for _, th := range []theme{light, dark} {
				tb.look(wide, th)
				system := want
				if want == "auto" {
					system = string(th)
				}
				if got := scheme(); got != system {
					t.Errorf("%s: chosen %s, the system is %s: the page is %s", tb.path(), want, th, got)
				}
			}
		}
		tb.open("/signin")
		expect("auto")
		for _, choice := range []string{"dark", "light"} {
			tb.press("page.appearance." + choice)
			tb.lands("/signin")
			expect(choice)
			tb.page("signin/"+choice, 200)
		}
		tb.signIn(s, maya)
		expect("light")
		tb.menu()
		tb.press("page.appearance.dark")
		tb.lands("/account/security")
		expect("dark")
		tb.page("security/dark", 200)
		tb.open("/account")
		tb.press("page.appearance.auto")
		tb.lands("/account")
		expect("auto")
	})
}

// The user menu closes by Escape and by a click elsewhere where JavaScript runs,
// and opens and closes without.
func TestMenu(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		omar := s.AddUser(t, s.Company, "omar", false)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, omar)
		closed := func() bool { return !eval[bool](tb, "document.getElementById('menu').open") }
		tb.menu()
		for _, width := range []int64{wide, narrow} {
			tb.look(width, light)
			if got := eval[bool](tb, "(() => { const r = document.querySelector('.menu-list').getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth })()"); !got {
				t.Errorf("%d px: the menu is cut off", width)
			}
		}
		tb.look(wide, light)
		if js {
			tb.keys("\x1b")
			tb.await("the menu to close", closed)
			tb.menu()
			if err := tb.click(tb.T("page.security.password_change")); err != nil {
				t.Fatal(err)
			}
			tb.lands("/account/confirm/att_")
			return
		}
		eval[bool](tb, "document.querySelector('#menu summary').focus() || true")
		tb.keys(" ")
		tb.await("the menu to close", closed)
	})
}
