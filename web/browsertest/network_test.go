package browsertest

import (
	"context"
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
	n.boss.sendsKept()
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
	tb.page("policylook/network", 200)
	tb.says("#you", tb.T("admin.policy.you.own_way"))
	tb.says("#impact-lines", tb.T("admin.policy.impact.code", "Count", 5, "People", 6))
	tb.fill("reason", "The contract with our customers asks for it")
	tb.press("admin.policy.save")
	tb.lands("/admin/policy?done=policy_saved")
	tb.page("policy/network-saved", 200)

	// Who was in by the password alone is so no more (F2).
	lena.reload()
	lena.lands("/signin")
}

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
	his.press("page.security.prepared")
	his.press("page.confirm.begin")
	his.press("page.sent.send")
	his.codeBy(n.s.LastCode(n.T, n.omar.Email), "page.confirm.button")
	his.page("duosetup/prepared", 200)
	his.press("page.duo.push")
	answer(n.T, n.s, approve)
	his.lastStep(n.s, "duosetup/approved", "page.duo.turn_on", "/account/security/backup-codes")
	his.saveCodes()
	his.signOut()
	n.s.Clock.Advance(31 * time.Second)
	codes := len(n.s.Inbox.Messages())
	his.password("omar", sallyporttest.Password)
	his.page("duo/network", 200)
	sent(n.T, n.s, codes) // who has a way of their own gets none
	his.press("page.duo.push")
	answer(n.T, n.s, approve)
	his.lastStep(n.s, "approved", "page.duo.continue", "/account/security")
}

// isGivenTheApp is H2 and ruling 17: by the owner's screen, with Tom beside, and at
// its first use by Tom alone.
func (n *netWalk) isGivenTheApp() {
	n.Helper()
	tb := n.boss
	tb.open(person(n.tom))
	n.act(n.tom, "admin.act.app_here")
	tb.fill("reason", "He sits beside me")
	tb.push("main form .btn-primary")
	tb.page("person/app", 200)
	seen := decode(n.T, tb.shown().Key)
	tb.codeBy(n.s.Code(n.T, seen), "admin.app.button")
	tb.lands(person(n.tom))
	tb.page("person/handed-over", 200)

	n.s.Clock.Advance(30 * time.Second)
	his := n.tab()
	his.open("/signin")
	his.password("tom", sallyporttest.Password)
	his.code(n.s.Code(n.T, seen))
	his.page("enrolment/handed-over", 200)
	his.says("#handed", his.T("page.enrolment.handed"))
	his.option(authn.TOTP)
	n.s.Clock.Advance(5 * time.Minute) // longer than the second step may take
	n.tom.Secret = decode(n.T, his.shown().Key)
	his.codeBy(n.s.Code(n.T, n.tom.Secret), "page.setup.button")
	his.await("the backup codes", func() bool { return strings.HasSuffix(his.path(), "/codes") })
	his.tick("saved")
	his.press("page.codes.done")
	his.lands("/account/security")
	his.signOut()
	n.s.Clock.Advance(30 * time.Second)
	his.signIn(n.s, n.tom)
}

// basic is what the log answers to HTTP Basic.
func (n *netWalk) basic(secret string) int {
	n.Helper()
	r, err := http.NewRequestWithContext(n.Context(), http.MethodGet, n.s.URL+"/api/v1/audit/events", nil)
	if err != nil {
		n.Fatal(err)
	}
	r.SetBasicAuth("acme/monitor", secret)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		n.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// isAProgram is H4 and ruling 21: a role that lists what it may do, the box, the
// secret, and its end.
func (n *netWalk) isAProgram() {
	n.Helper()
	tb := n.boss
	tb.press("admin.roles.title")
	tb.press("admin.roles.new")
	tb.page("roles/new", 200)
	tb.fill("name", "reader")
	tb.fill("title", "Reads the log")
	tb.fill("reason", "For the monitoring")
	tb.tick(eval[string](tb, "document.querySelector('[value=\"audit.read\"]').id"))
	tb.press("admin.save")
	tb.page("roles/saved", 200)

	tb.open(person(n.bot))
	n.act(n.bot, "admin.api.title")
	tb.page("api-account", 200)
	tb.choose("role", "reader")
	tb.fill("reason", "Watches the log")
	tb.press("admin.save")
	tb.page("api-account/no-tick", 422)
	tb.says("#api-err", tb.T("field.api_box"))
	tb.tick("api")
	tb.press("admin.save")
	tb.page("api-account/secret", 200)
	secret := tb.content("#token")
	if got := n.basic(secret); got != http.StatusOK {
		n.Errorf("HTTP Basic is answered %d", got)
	}
	nobody := n.tab()
	nobody.open("/signin")
	nobody.password("monitor", secret)
	nobody.page("signin/api-account", 422)
	nobody.says("#problem", nobody.T("page.signin.wrong"))
	tb.reload()
	tb.open(person(n.bot))
	tb.page("person/api-account", 200)
	if strings.Contains(tb.content("body"), secret) {
		n.Error("the secret is shown again")
	}

	n.act(n.bot, "admin.api.title")
	tb.page("api-account/on", 200)
	tb.follow(func() error {
		tb.fill("why", "Another program does it")
		eval[bool](tb, "document.getElementById('api').click() || true")
		return tb.click(tb.T("admin.save"))
	})
	tb.lands("/admin/people/" + n.bot.ID + "/api?done=api_off")
	if got := n.basic(secret); got != http.StatusUnauthorized {
		n.Errorf("a secret that has ended is answered %d", got)
	}
}

// isWrittenDown: K1 in sentences, and the letters.
func (n *netWalk) isWrittenDown() {
	n.Helper()
	tb := n.boss
	tb.open("/admin/audit")
	tb.page("audit/network", 200)
	for key, target := range map[string]string{
		"policy.changed": "", "phone.changed": n.grace.Name, "factor.prepared.duo": n.omar.Name, "factor.handed_over": n.tom.Name,
		"api_account.on": n.bot.Name, "api_account.off": n.bot.Name,
	} {
		tb.open("/admin/audit?type=" + strings.TrimSuffix(key, ".duo"))
		tb.logged("admin.audit.line."+key, "Actor", n.priya.Name, "Target", target)
	}
	for to, key := range map[string]string{
		n.grace.Email: "phone_changed.subject", n.omar.Email: "account_changed.subject.factor.prepared", n.tom.Email: "account_changed.subject.factor.handed_over",
		n.lena.Email: "method_on.subject", n.bot.Email: "api_on.subject", n.priya.Email: "policy_changed.subject",
	} {
		want, found := tb.T("mail."+key, "Company", n.s.Company.Name), false
		for _, m := range n.s.Mail(n.T, to) {
			found = found || m.Subject == want
		}
		if !found {
			n.Errorf("%s was not written %q", to, want)
		}
	}
}
