package browsertest

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// duoed is a company with Duo, and somebody whose only way that is.
func duoed(t *testing.T) (*sallyporttest.Server, sallyporttest.Person) {
	t.Helper()
	s := sallyporttest.NewServer(t)
	s.UseDuo(t, s.Company).AddUser(sallyporttest.DuoUser{Username: "maya", Verified: true, Passcodes: []string{"1234567"},
		Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")}})
	maya := s.AddUser(t, s.Company, "maya", false)
	s.AddDuo(t, maya.User, "maya")
	return s, maya
}

// answer lets the person answer what Duo asked last.
func answer(t *testing.T, s *sallyporttest.Server, how func(*sallyporttest.DuoServer, string) error) {
	t.Helper()
	all := s.Duo.Pushes()
	if len(all) == 0 {
		t.Fatal("Duo asked nobody")
	}
	if err := how(s.Duo.DuoServer, all[len(all)-1].TxID); err != nil {
		t.Fatal(err)
	}
}

var (
	approve = (*sallyporttest.DuoServer).Approve
	deny    = (*sallyporttest.DuoServer).Deny
	timeOut = (*sallyporttest.DuoServer).TimeOut
)

// waits is a tab whose page looks again by itself: what is under way when the next
// page comes is no fault.
func waits(t *testing.T, s *sallyporttest.Server, js bool) *tab {
	t.Helper()
	tb := newTab(t, s.URL, js)
	tb.forgive("a request failed: Fetch net::ERR_ABORTED")
	return tb
}

// goesOn waits until the page has gone on by itself to one with that selector.
func (tb *tab) goesOn(selector string) {
	tb.t.Helper()
	tb.await(selector+", without a press", func() bool {
		on, err := tryEval[bool](tb, "document.readyState === 'complete' && !!document.querySelector($1)", selector)
		return err == nil && on
	})
	tb.settled()
}

// lastStep presses Approved – Continue, which a script does by itself.
func (tb *tab) lastStep(s *sallyporttest.Server, name, key, lands string) {
	tb.t.Helper()
	if !tb.js {
		tb.goesOn("form[data-answered]")
		tb.page(name, 200)
		tb.press(key)
	}
	tb.lands(lands) // by itself with a script
	tb.settled()
}

// D3, rulings 33, 49: a push that is denied, one that nobody answers, one that is
// approved; the page follows by itself and is finished by no look at it.
func TestDuo_D3_rul49(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s, _ := duoed(t)
		tb := waits(t, s, js)
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.page("duo", 200)
		tb.focused("push")
		tb.walk("duo")
		tb.reload()
		tb.press("page.duo.ways")
		tb.page("duo/ways", 200)
		if n := len(s.Duo.Pushes()); n != 0 {
			t.Fatalf("%d pushes by looking", n)
		}
		tb.press("page.duo.push")
		tb.page("waiting", 200)
		if got := tb.content("#number"); got == "" || got != s.Duo.Pushes()[0].Number {
			t.Errorf("the number is %q", got)
		}
		tb.reload()
		if n := len(s.Duo.Pushes()); n != 1 {
			t.Fatalf("%d pushes after Reload", n)
		}
		answer(t, s, deny)
		tb.goesOn("#problem")
		tb.page("duo/denied", 200)
		tb.says("#problem", tb.T("page.duo.ended.denied"))
		s.Clock.Advance(31 * time.Second)
		tb.reload()
		tb.press("page.duo.push")
		answer(t, s, timeOut)
		tb.goesOn("#problem")
		tb.says("#problem", tb.T("page.duo.ended.timeout"))
		tb.fill("code", "7654321")
		tb.press("page.code.button")
		tb.page("duo/wrong", 422)
		tb.focused("code")
		s.Clock.Advance(61 * time.Second)
		tb.open(strings.SplitN(tb.path(), "?", 2)[0])
		tb.press("page.duo.push")
		answer(t, s, approve)
		tb.lastStep(s, "approved", "page.duo.continue", "/account/security")
	})
}

// Everything by keys, and codes by text message.
func TestDuoKeyboard_D3_ux35(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s, _ := duoed(t)
		tb := waits(t, s, js)
		send := func(keys string) { t.Helper(); tb.follow(func() error { return tb.try(chromedp.KeyEvent(keys)) }) }
		tb.open("/signin")
		tb.password("maya", sallyporttest.Password)
		tb.tabTo("[formaction]")
		send("\r")
		tb.tabTo("[value='sms:DP1']")
		send(" ")
		tb.page("duo/texted", 200)
		tb.focused("code")
		send(s.Duo.Texts()[0].Codes[0] + "\r")
		tb.lands("/account/security")
	})
}

// D2, S20: Duo does not know the person yet; its page opens in another tab, and
// ours follows. Then the push, the backup codes, and a step-up with Duo to turn it
// off.
func TestDuoSetUp_D2_S20(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s, _ := duoed(t)
		omar := s.AddUser(t, s.Company, "omar", false)
		tb := waits(t, s, js)
		tb.signIn(s, omar)
		tb.press("page.security.set_up_label", "Way", tb.T("page.way.duo"))
		tb.fill("password", sallyporttest.Password)
		tb.press("page.confirm.button")
		tb.lands("/account/security/duo/fac_")
		tb.page("duosetup/elsewhere", 200)
		s.Duo.Activate("omar")
		tb.goesOn("#push")
		tb.page("duosetup", 200)
		tb.press("page.duo.push")
		tb.page("duosetup/waiting", 200)
		answer(t, s, approve)
		tb.lastStep(s, "duosetup/approved", "page.duo.turn_on", "/account/security/backup-codes")
		tb.saveCodes()
		tb.says("#duo .pill.ok", tb.T("page.security.is_on"))
		tb.page("security/duo", 200)
		s.Clock.Advance(11 * time.Minute)
		tb.press("page.security.off_label", "Way", tb.T("page.way.duo"))
		tb.page("confirm/duo", 200)
		tb.press("page.duo.push")
		tb.page("confirm/duo-waiting", 200)
		answer(t, s, approve)
		tb.lastStep(s, "confirm/duo-approved", "page.duo.continue", "/account/security/duo/off")
		tb.page("turnoff/duo", 200)
		tb.press("page.off.button")
		tb.lands("/account/security")
	})
}

// A sign-in that asks for a way of one's own.
func TestDuoSetUpInSignIn_D2_S11(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s, _ := duoed(t)
		s.AddUser(t, s.Company, "omar", false)
		s.Duo.AddUser(sallyporttest.DuoUser{Username: "omar@acme.example", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP2")}})
		s.SetPolicy(t, "acme", func(d *policy.Document) {
			d.TwoFactor, d.OwnWay = policy.Required, []authn.Audience{authn.InternalAudience, authn.ExternalAudience}
		})
		tb := waits(t, s, js)
		tb.open("/signin")
		tb.mailed(s, "omar")
		tb.option(authn.Duo)
		tb.page("duosetup/signin", 200)
		tb.press("page.duo.push")
		tb.page("duosetup/signin-waiting", 200)
		answer(t, s, approve)
		tb.lastStep(s, "duosetup/signin-approved", "page.duo.turn_on", "/signin/att_")
		tb.await("the codes", func() bool {
			there, err := tryEval[bool](tb, "location.pathname.endsWith('/codes')")
			return err == nil && there
		})
	})
}
