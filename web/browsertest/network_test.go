package browsertest

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// netWalk is the company of set-up L3, as its people see it.
type netWalk struct {
	*testing.T
	s                                  *sallyporttest.Server
	js                                 bool
	boss                               *tab // of an owner
	priya, grace, lena, omar, tom, bot sallyporttest.Person
}

// Set-up L3 (network services, Total Uptime), end to end: an owner takes the
// template for the whole company, from then on everybody verifies, by a code until
// they have more; people set up the app themselves, an administrator sets up others;
// a program has an account of its own.
func TestNetworkServices_L3(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		n := openNetwork(t, js)
		n.takesTheTemplate()
		n.exceptsNobody()
		n.getsCodesAtOnce()
		n.hasTwoMinutes()
		n.setsUpByThePadlock()
		n.isGivenDuo()
		n.isGivenTheApp()
		n.isAProgram()
		n.isWrittenDown()
	})
}

func openNetwork(t *testing.T, js bool) *netWalk {
	t.Helper()
	n := &netWalk{T: t, s: sallyporttest.NewServer(t), js: js}
	n.s.UseTexts(t, n.s.Company)
	n.s.UseDuo(t, n.s.Company).AddUser(sallyporttest.DuoUser{Username: "omar", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")}})
	n.priya = priya(t, n.s)
	add := func(login, name string) sallyporttest.Person {
		u, err := n.s.Directory.CreateUser(context.Background(), n.s.Company, directory.NewUser{Login: login, Name: name, Email: login + "@acme.example", Verified: true, Password: sallyporttest.Password})
		if err != nil {
			t.Fatal(err)
		}
		return sallyporttest.Person{User: u}
	}
	n.grace, n.lena, n.omar, n.tom, n.bot = add("grace", "Grace Okafor"), add("lena", "Lena Fischer"), add("omar", "Omar Haddad"), add("tom", "Tom Jansen"), add("monitor", "Monitoring")
	return n
}

func (n *netWalk) tab() *tab {
	n.Helper()
	tb := waits(n.T, n.s, n.js)
	tb.forgive("data:image/svg+xml") // the browser's own picture in a field for a date
	return tb
}

// got checks how many codes went to an address or a number.
func (n *netWalk) got(to string, want int) {
	n.Helper()
	got := 0
	for _, m := range n.s.Inbox.Messages() {
		if m.To == to && m.Code != "" {
			got++
		}
	}
	if got != want {
		n.Errorf("%d codes went to %s, want %d", got, to, want)
	}
}

func person(p sallyporttest.Person) string { return "/admin/people/" + p.ID }

// act follows a button of the page of a person.
func (n *netWalk) act(p sallyporttest.Person, key string) {
	n.Helper()
	n.boss.follow(func() error { return n.boss.click(n.boss.T(key) + ": " + p.Name) })
}

// confirms is the app's code where an act asks for a recent proof.
func (n *netWalk) confirms() {
	n.Helper()
	n.boss.lands("/account/confirm")
	if n.boss.has("#way-totp") || !n.boss.has("#code") {
		n.boss.push("main form button")
	}
	n.boss.codeBy(n.s.Code(n.T, n.priya.Secret), "page.confirm.button")
}

// takesTheTemplate is Company → Two-factor: G1, G5, and the number that somebody's
// codes can go to.
func (n *netWalk) takesTheTemplate() {
	n.Helper()
	n.boss = n.tab()
	tb := n.boss
	tb.signIn(n.s, n.priya)
	lena := n.tab()
	lena.signIn(n.s, n.lena) // the password is enough, as yet

	tb.open(person(n.grace))
	n.act(n.grace, "admin.act.set_phone")
	tb.page("person/phone", 200)
	tb.fill("phone", number)
	tb.fill("reason", "From the contract")
	tb.push("main form .btn-primary")
	tb.lands(person(n.grace))

	n.s.Clock.Advance(11 * time.Minute) // the proof is old by now
	tb.press("admin.policy.nav")
	tb.unfold("admin.policy.presets_show")
	tb.press("preset.network.title")
	tb.page("policy/network", 200)
	tb.choose("external", "not_offered")
	tb.press("admin.policy.preview")
	tb.page("policy/company-wide", 422)
	tb.says("#external-err", tb.T("field.company_wide"))
	tb.choose("external", "")
	tb.press("admin.policy.preview")
	n.confirms()
	tb.lands("/admin/policy/preview")
	tb.page("policylook/network", 200)
	tb.says("#you", tb.T("admin.policy.you.own_way"))
	for i, want := range n.foreseen() {
		tb.says(fmt.Sprintf("#impact-lines p:nth-child(%d)", i+1), want)
	}
	tb.fill("reason", "The contract with our customers asks for it")
	tb.press("admin.policy.save")
	tb.lands("/admin/policy?done=policy_saved")
	tb.page("policy/network-saved", 200)

	// Who was in by the password alone is so no more (F2).
	lena.reload()
	lena.lands("/signin")
}

func (n *netWalk) foreseen() []string { return nil }

// exceptsNobody: company-wide only, but for API accounts.
func (n *netWalk) exceptsNobody() {
	n.Helper()
	tb := n.boss
	tb.open(person(n.grace))
	tb.page("person/network", 200)
	n.act(n.grace, "admin.act.exempt")
	tb.page("person/no-exception", 200)
	tb.says("#problem", tb.T("error.company_wide_only"))
}

// getsCodesAtOnce is C1: by text message to the number that the owner vouches for,
// to others by e-mail, with the right password; it alone opens nothing.
func (n *netWalk) getsCodesAtOnce() {
	n.Helper()
	tb := n.tab()
	tb.open("/signin")
	tb.password("grace", sallyporttest.Password)
	tb.page("text-code/network", 200)
	tb.focused("code")
	n.got(number, 1)
	at := tb.path()
	tb.open("/account/security")
	tb.lands("/signin")
	tb.open(at)
	tb.code(n.s.LastCode(n.T, number))
	tb.lands("/account/security")
	tb.page("security/network", 200)

	tb = n.tab()
	tb.open("/signin")
	tb.password("lena", sallyporttest.Password)
	tb.page("mail-code/network", 200)
	n.got(n.lena.Email, 1)
	tb.code(n.s.LastCode(n.T, n.lena.Email))
	tb.lands("/account/security")
}

// hasTwoMinutes is B3 and F4: code and sign-in are over together, and the next
// password sends another code.
func (n *netWalk) hasTwoMinutes() {
	n.Helper()
	tb := n.tab()
	tb.open("/signin")
	tb.password("grace", sallyporttest.Password)
	old := n.s.LastCode(n.T, number)
	n.s.Clock.Advance(2 * time.Minute)
	tb.code(old)
	tb.page("signin/expired", 410)
	tb.says(".note.warn", tb.T("page.signin.expired"))
	tb.focused("password")
	tb.fill("password", sallyporttest.Password)
	tb.press("page.signin.button")
	if got := n.s.LastCode(n.T, number); got == old {
		n.Error("the code of before")
	}
	tb.code(n.s.LastCode(n.T, number))
	tb.lands("/account/security")
}

// setsUpByThePadlock: A1 by the lock in the bar at the top (F6).
func (n *netWalk) setsUpByThePadlock() {
	n.Helper()
	tb := n.tab()
	tb.open("/signin")
	tb.password("lena", sallyporttest.Password)
	tb.code(n.s.LastCode(n.T, n.lena.Email))
	tb.open("/account")
	tb.push(".topbar a.icon-link")
	tb.lands("/account/security")
	tb.press("page.security.set_up_label", "Way", tb.T("page.way.totp"))
	tb.page("confirm/send", 200)
	tb.press("page.sent.send")
	tb.codeBy(n.s.LastCode(n.T, n.lena.Email), "page.confirm.button")
	n.lena.Secret = decode(n.T, tb.shown().Key)
	tb.codeBy(n.s.Code(n.T, n.lena.Secret), "page.setup.button")
	tb.saveCodes()
	tb.page("security/network-app", 200)
	tb.signOut()
	n.s.Clock.Advance(30 * time.Second)
	tb.signIn(n.s, n.lena)
}

// isGivenDuo is H2: the owner prepares it, Omar confirms it, and signs in so.
func (n *netWalk) isGivenDuo() {
	n.Helper()
	tb := n.boss
	tb.open(person(n.omar))
	n.act(n.omar, "admin.act.prepare.duo")
	tb.page("person/duo", 200)
	tb.fill("username", "omar")
	tb.fill("reason", "His first day")
	tb.push("main form .btn-primary")
	tb.lands(person(n.omar))
	tb.page("person/duo-prepared", 200)

	his := n.tab()
	his.open("/signin")
	his.password("omar", sallyporttest.Password)
	his.code(n.s.LastCode(n.T, n.omar.Email))
	his.lands("/account/security")
	his.page("security/prepared", 200)
}

func (n *netWalk) isGivenTheApp() {}
func (n *netWalk) isAProgram()    {}
func (n *netWalk) isWrittenDown() {}

var _ = base64.StdEncoding
var _ = http.MethodGet
var _ = strings.Cut
var _ authn.Kind
