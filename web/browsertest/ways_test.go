package browsertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// setPolicy saves a whole document.
func setPolicy(t *testing.T, s *sallyporttest.Server, doc policy.Document) {
	t.Helper()
	c, err := s.Directory.Company(context.Background(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	doc.Format = 1
	if err := s.Directory.SetPolicy(context.Background(), c.ID, doc, c.PolicyVersion); err != nil {
		t.Fatal(err)
	}
}

// ownWay asks everyone for a way of their own.
func ownWay(grace int) policy.Document {
	return policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience, authn.ExternalAudience}, GraceDays: grace}
}

// addUnverified is somebody to whose address no code goes.
func addUnverified(t *testing.T, s *sallyporttest.Server, login string) sallyporttest.Person {
	t.Helper()
	u, err := s.Directory.CreateUser(context.Background(), s.Company, directory.NewUser{
		Login: login, Name: "Test " + login, Email: login + "@acme.example", Password: sallyporttest.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sallyporttest.Person{User: u}
}

func helpCode(t *testing.T, s *sallyporttest.Server, p sallyporttest.Person) string {
	t.Helper()
	code, _, err := s.Directory.BypassCode(context.Background(), s.Company, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrolled reports whether the person has a way that counts.
func enrolled(t *testing.T, s *sallyporttest.Server, p sallyporttest.Person) bool {
	t.Helper()
	_, factors, err := s.Directory.Lookup(context.Background(), s.Company, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Enrolled(factors)
}

// sent checks how many messages left the server.
func sent(t *testing.T, s *sallyporttest.Server, want int) {
	t.Helper()
	if got := len(s.Inbox.Messages()); got != want {
		t.Fatalf("%d messages were sent, want %d", got, want)
	}
}

// wrongFor is a code of six digits that is not this one.
func wrongFor(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

// push clicks on what the selector finds, and waits for the next page.
func (tb *tab) push(selector string) {
	tb.t.Helper()
	p := eval[point](tb, `(() => {
		const all = [...document.querySelectorAll($1)].filter(e => e.checkVisibility());
		if (all.length !== 1) return {error: all.length + ' things match ' + $1};
		all[0].scrollIntoView({block: 'center', behavior: 'instant'});
		const r = all[0].getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
		const hit = document.elementFromPoint(x, y);
		return hit && all[0].contains(hit) ? {x, y} : {error: $1 + ' is covered'};
	})()`, selector)
	if p.Error != "" {
		tb.t.Fatalf("%s: %s", tb.path(), p.Error)
	}
	tb.follow(func() error { return tb.try(chromedp.MouseClickXY(p.X, p.Y)) })
}

// option presses the row of a way in a list of ways.
func (tb *tab) option(kind authn.Kind) {
	tb.t.Helper()
	label := tb.T("page.way." + string(kind))
	i := eval[int](tb, "[...document.querySelectorAll('ul > li > .option')].findIndex(e => e.querySelector('strong').firstChild.textContent.trim() === $1)", label)
	if i < 0 {
		tb.t.Fatalf("%s: %s is not offered", tb.path(), label)
	}
	tb.push(fmt.Sprintf("ul > li:nth-child(%d) > .option", i+1))
}

// tick ticks a box by a click on it.
func (tb *tab) tick(id string) {
	tb.t.Helper()
	p := eval[point](tb, `(() => { const e = document.getElementById($1); e.scrollIntoView({block: 'center', behavior: 'instant'});
		const r = e.getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2} })()`, id)
	tb.run(chromedp.MouseClickXY(p.X, p.Y))
	tb.await("the tick", func() bool { return eval[bool](tb, "document.getElementById($1).checked", id) })
}

// file is what a link for downloading answers to this browser.
func (tb *tab) file(selector string) (string, http.Header) {
	tb.t.Helper()
	address := eval[string](tb, "document.querySelector($1).href", selector)
	r, err := http.NewRequestWithContext(tb.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		tb.t.Fatal(err)
	}
	for name, value := range tb.cookies() {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		tb.t.Fatalf("%s: %s %v", address, res.Status, err)
	}
	return string(body), res.Header
}

// mailed signs in up to the page after a code by e-mail.
func (tb *tab) mailed(s *sallyporttest.Server, login string) {
	tb.t.Helper()
	to := login + "@acme.example"
	tb.password(login, sallyporttest.Password)
	tb.press("page.send.button", "To", policy.Mask(authn.Email, to))
	tb.code(s.LastCode(tb.t, to))
}

// codes are the backup codes on the page.
func (tb *tab) codes() []string {
	tb.t.Helper()
	return eval[[]string](tb, "[...document.querySelectorAll('#codes li')].map(e => e.textContent.trim())")
}

// C1, C2, ux rules 16 to 22: whoever has no way of their own gets a code by
// e-mail, when they press the button and at no other time.
func TestEmailCode_C1_C2_rul18(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", false)
		s.SetTwoFactor(t, "acme", policy.Required)
		const to, masked = "maya@acme.example", "m•••@acme.example"
		tb := newTab(t, s.URL, js)
		tb.forgive("kept a page for Back") // it may, until a cookie changes
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.lands("/signin/att_")
		tb.page("send", 200)
		path := tb.path()
		if tb.has("#code") {
			t.Error("a field for a code that nobody has")
		}
		tb.reload()
		tb.press("page.code.help")
		tb.page("help", 200)
		tb.press("page.help.back")
		tb.back()
		tb.open(path)
		sent(t, s, 0)
		tb.press("page.send.button", "To", masked)
		tb.lands(path)
		tb.page("mail-code", 200)
		tb.focused("code")
		tb.reload()
		tb.back()
		tb.open(path)
		tb.another().open(path)
		sent(t, s, 1)

		first := s.LastCode(t, to)
		tb.code("")
		tb.says("#code-err", tb.T("page.code.empty.email"))
		tb.code(wrongFor(first))
		tb.page("mail-code/wrong", 422)
		tb.says("#code-err", tb.T("page.code.wrong.email"))
		tb.focused("code")

		if js {
			if got := tb.content("button[data-wait]"); !strings.HasPrefix(got, strings.SplitN(tb.T("page.code.again_in", "Seconds", "\x00"), "\x00", 2)[0]) ||
				eval[string](tb, "document.querySelector('button[data-wait]').getAttribute('aria-disabled')") != "true" {
				t.Errorf("the button that waits says %q", got)
			}
		} else {
			tb.press("page.code.again")
			tb.page("mail-code/too-early", 429)
		}
		sent(t, s, 1)
		s.Clock.Advance(31 * time.Second)
		tb.open(path)
		tb.press("page.code.again")
		tb.page("mail-code/again", 200)
		sent(t, s, 2)
		if got := s.LastCode(t, to); got != first {
			t.Error("another code, while the first works")
		}
		s.Clock.Advance(3 * time.Minute)
		tb.code(first)
		tb.page("send/over", 422)
		tb.says("#code-err", tb.T("error.code_expired"))
		tb.press("page.send.button", "To", masked)
		tb.page("mail-code", 200)
		tb.code(s.LastCode(t, to))
		tb.lands("/account/security")
		tb.page("security/fallback", 200)
		tb.open(path) // it leads on, and sends nothing
		tb.lands("/account/security")
		sent(t, s, 3)
		if enrolled(t, s, maya) {
			t.Error("a code by e-mail became a way of one's own")
		}
	})
}

// S11, F3, E1, E2, S8: a way of one's own is set up during the sign-in, and the
// backup codes that come with it sign in when the phone is not at hand.
func TestSetUpInSignIn_F3_E1_E2(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		lena := s.AddUser(t, s.Company, "lena", false)
		setPolicy(t, s, ownWay(0))
		tb := newTab(t, s.URL, js)
		tb.open("/account")
		tb.mailed(s, "lena")
		tb.lands("/signin/att_")
		tb.page("enrolment", 200)
		path := strings.Split(tb.path(), "?")[0]
		tb.option(authn.TOTP)
		tb.lands(path + "/setup/fac_")
		tb.page("setup/in-sign-in", 200)
		over := tb.path()
		tb.press("page.cancel")
		tb.lands(path)
		tb.open(over)
		tb.page("setup-gone/over", 404)
		tb.press("page.enrolment.again")
		tb.option(authn.TOTP)
		tb.press("page.enrolment.back")
		tb.page("enrolment", 200)
		tb.option(authn.TOTP)
		tb.fill("code", s.WrongCode(t, decode(t, tb.shown().Key)))
		tb.press("page.setup.button")
		tb.page("setup/in-sign-in-wrong", 422)

		// Given up half-way: nothing is on, and it begins anew in any browser.
		if enrolled(t, s, lena) || tb.cookies()["sallyport_session"] != "" {
			t.Fatal("it is on before it was confirmed, or there is a session")
		}
		tb.open("/account/security")
		tb.lands("/signin")
		s.Clock.Advance(16 * time.Minute)
		tb.mailed(s, "lena")
		tb.page("enrolment", 200)
		path = strings.Split(tb.path(), "?")[0]
		tb.option(authn.TOTP)
		tb.lands(path + "/setup/fac_")
		if link := tb.shown().Link; tb.qr() != link {
			t.Errorf("the QR code does not say %q", link)
		}
		secret := decode(t, tb.shown().Key)
		tb.fill("code", s.Code(t, secret))
		tb.press("page.setup.button")
		tb.lands(path + "/codes")
		tb.page("codes/in-sign-in", 200)
		codes := tb.codes()
		if len(codes) != 10 || tb.has("[data-print]") != js || tb.has("[data-copy]") != js {
			t.Errorf("%d codes; printing: %v, copying: %v", len(codes), tb.has("[data-print]"), tb.has("[data-copy]"))
		}
		text, header := tb.file("a[download]")
		if !strings.Contains(text, codes[0]) || !strings.Contains(text, codes[9]) || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment") {
			t.Errorf("the file says %q", text)
		}
		tb.reload()
		tb.open(path) // leads back to them
		tb.lands(path + "/codes")
		tb.press("page.codes.done")
		tb.page("codes/in-sign-in-not-ticked", 422)
		tb.tick("saved")
		tb.press("page.codes.done")
		tb.lands("/account")
		tb.open(path + "/codes") // nothing of the sign-in is left
		tb.lands("/account")
		if !enrolled(t, s, lena) {
			t.Error("it is not on")
		}

		tb.signOut()
		tb.password("lena", sallyporttest.Password)
		tb.page("code/ways", 200)
		tb.press("page.code.other")
		tb.page("choose", 200)
		tb.press("page.choose.none")
		tb.page("help/ways", 200)
		tb.option("backup_code")
		tb.page("backup-code", 200)
		tb.focused("saved-code")
		saved := func(code string) {
			t.Helper()
			tb.fill("saved-code", code)
			tb.press("page.code.button")
		}
		saved("")
		tb.says("#code-err", tb.T("page.code.empty.backup_code"))
		saved("ZZZZ-ZZZZ")
		tb.page("backup-code/wrong", 422)
		tb.says("#code-err", tb.T("page.code.wrong.backup_code"))
		saved(" " + strings.ToLower(strings.ReplaceAll(codes[3], "-", " ")))
		tb.lands("/signin/backup-used")
		tb.page("backup-used", 200)
		tb.says("#left", tb.T("page.backup_used.left", "Count", 9))
		tb.reload()
		tb.lands("/signin/backup-used")
		tb.press("page.backup_used.later")
		tb.lands("/account/security")

		tb.signOut()
		tb.password("lena", sallyporttest.Password)
		tb.press("page.code.other")
		tb.option("backup_code")
		saved(codes[3])
		tb.page("backup-code/used", 422)
		tb.says("#code-err", tb.T("page.code.used.backup_code"))
		saved(codes[4])
		tb.lands("/signin/backup-used")
		tb.press("page.backup_used.phone")
		tb.lands("/account/security/app/fac_") // the code just used is proof enough
	})
}

// Rulings 2 and 18: a password alone sets nothing up; a help code opens the
// set-up and nothing else.
func TestHelpCode_S9_rul18(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		omar := addUnverified(t, s, "omar")
		setPolicy(t, s, ownWay(5))
		if err := s.Directory.SetSupport(context.Background(), s.Company, "Call Priya on 555 <0100>, or write to the.people.who.help.everybody@support.acme.example."); err != nil {
			t.Fatal(err)
		}
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		tb.password("omar", sallyporttest.Password)
		tb.page("denied", 403)
		code := helpCode(t, s, omar)
		tb.press("page.help.reload")
		tb.page("help-code", 200)
		tb.press("page.code.help")
		tb.page("help/code", 200)
		tb.press("page.help.have_code")
		for _, c := range [][2]string{{"", "page.code.empty.bypass_code"}, {"7K3M-Q9TD-4XWB-N2PA", "page.code.wrong.bypass_code"}} {
			tb.fill("saved-code", c[0])
			tb.press("page.code.button")
			tb.page("help-code/refused", 422)
			tb.says("#code-err", tb.T(c[1]))
		}
		tb.fill("saved-code", code)
		tb.press("page.code.button")
		tb.page("enrolment/opened", 200)
		tb.option(authn.TOTP)
		tb.fill("code", s.Code(t, decode(t, tb.shown().Key)))
		tb.press("page.setup.button")
		tb.page("codes/in-sign-in", 200)
		tb.tick("saved")
		tb.press("page.codes.done")
		tb.lands("/account/security")
		tb.page("security/probation", 200)
	})
}

// S9: who can't verify asks an administrator, who sees who it is and what to do.
func TestAskForHelp_S9_rul18(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		owner := priya(t, s)
		tb, admin := newTab(t, s.URL, js), newTab(t, s.URL, js)
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.press("page.code.lost")
		tb.page("help/ask", 200)
		tb.press("page.help.ask")
		tb.lands("/signin/att_")
		tb.page("help/asked", 200)
		if got := tb.content("#asked"); !strings.Contains(got, ":14") {
			t.Errorf("since when: %q", got)
		}
		tb.reload() // asks nobody again
		if n := events(t, s, maya, "help.asked"); n != 1 {
			t.Errorf("asked %d times", n)
		}

		admin.signIn(s, owner)
		admin.open("/admin")
		admin.push(`a[href="/admin/people?state=help"]`)
		admin.lands("/admin/people?state=help")
		admin.page("people/help", 200)
		admin.push(`a[href="/admin/people/` + maya.ID + `"]`)
		admin.page("person/asks", 200)
		if !admin.has("#asks") {
			t.Error("the page does not say that they ask")
		}
		admin.push(`a[href$="/do/close-help"]`)
		admin.fill("reason", "Called back: it was not they who asked")
		admin.push("main form .btn-primary")
		admin.lands("/admin/people/" + maya.ID)
		if admin.has("#asks") {
			t.Error("it is still open")
		}
	})
}

// F3: within the days of grace there is Later; after that there is not.
func TestGrace_F3(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		s.AddUser(t, s.Company, "maya", false)
		setPolicy(t, s, ownWay(3))
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		tb.mailed(s, "maya")
		tb.page("enrolment/later", 200)
		tb.press("page.enrolment.later_button")
		tb.lands("/account/security")
		tb.page("security/grace", 200)
		tb.signOut()
		s.Clock.Advance(4 * 24 * time.Hour)
		tb.mailed(s, "maya")
		tb.page("enrolment", 200)
		if tb.has("button[formaction$='/later']") {
			t.Error("there is Later still")
		}
	})
}

// Ruling 57 and cve-40: what opens the link before the person does uses nothing
// up; the person chooses a password and goes on; then the link is used.
func TestInvitation_rul57_cve40(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		setPolicy(t, s, ownWay(0))
		g, err := s.Directory.Invite(context.Background(), s.Company, directory.NewUser{Login: "omar", Name: "Omar Haddad", Email: "omar@acme.example"}, false)
		if err != nil {
			t.Fatal(err)
		}
		link := "/invitation/" + g.Token.Reveal()
		scanner, tb := newTab(t, s.URL, true), newTab(t, s.URL, js)
		for range 2 {
			scanner.open(link)
			scanner.lands(link)
		}
		tb.open(link)
		tb.page("invitation", 200)
		tb.focused("password")
		const next = "seven green tractors"
		for _, c := range []struct{ name, password, confirm, field, text string }{
			{"empty", "", "", "password", tb.T("page.password.new_empty")},
			{"short", "short", "short", "password", tb.T("field.too_short", "Min", 8)},
			{"differ", next, next + "x", "confirm", tb.T("page.password.mismatch")},
		} {
			tb.fill("password", c.password)
			tb.fill("confirm", c.confirm)
			tb.press("page.invitation.button")
			tb.page("invitation/"+c.name, 422)
			tb.says("#"+c.field+"-err", c.text)
			tb.focused(c.field)
		}
		tb.fill("password", next)
		tb.fill("confirm", next)
		tb.press("page.invitation.button")
		tb.lands("/signin/att_")
		tb.page("enrolment/invited", 200)
		tb.option(authn.TOTP)
		tb.fill("code", s.Code(t, decode(t, tb.shown().Key)))
		tb.press("page.setup.button")
		tb.tick("saved")
		tb.press("page.codes.done")
		tb.lands("/account/security")
		scanner.open(link)
		scanner.page("invitation-used", 409)
		scanner.press("page.unknown_company.button")
		scanner.lands("/signin")
		scanner.open("/invitation/x")
		scanner.page("invitation-unknown", 404)
	})
}
