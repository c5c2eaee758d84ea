package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

// duoed is a company with Duo, and somebody whose only way that is.
func duoed(t *testing.T) *sallyporttest.Server {
	t.Helper()
	s := newServer(t)
	s.UseDuo(t, s.Company).AddUser(sallyporttest.DuoUser{Username: "maya", Passcodes: []string{"1234567"},
		Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")}})
	maya := s.AddUser(t, s.Company, "maya", false)
	s.AddDuo(t, maya.User, "maya")
	return s
}

// asked is the push or call that Duo sent last.
func asked(t *testing.T, s *sallyporttest.Server) string {
	t.Helper()
	all := s.Duo.Pushes()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Factor != "passcode" {
			return all[i].TxID
		}
	}
	t.Fatal("Duo asked nobody")
	return ""
}

// says is a text of the catalogue.
func says(key string) string { return text.Default().Text(text.English, key, nil) }

// becomes opens the page again until it has that heading, as its script would.
func (b *browser) becomes(selector, words string) *browser {
	b.t.Helper()
	here := b.path
	for range 500 {
		for _, n := range b.doc.all(selector) {
			if strings.Contains(n.words(), words) {
				return b
			}
		}
		time.Sleep(10 * time.Millisecond)
		b.get(here)
	}
	return b.shows(selector, words)
}

// calls counts what Duo was asked.
func calls(s *sallyporttest.Server) int { return len(s.Duo.Calls()) }

const (
	pushButton = "#push"
	waysButton = "[formaction]"
)

func TestDuoPush_D3_S7_rul49(t *testing.T) {
	s := duoed(t)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).want(200, "/signin/att_.*").shows("h1", "Verify with Duo").shows("#push", "Send a Duo push")
	at := b.path
	b.get(at).get(at + "?duo=all").get(at + "?way=duo").get(at)
	if calls(s) != 0 {
		t.Fatalf("opening pages asked Duo %d times", calls(s))
	}
	stale := b.doc.one(t, "form[action="+at+"/duo/start]")
	action, values := b.fill(stale, "option", "")
	b.press(pushButton).want(200, at).shows("h1", "Answer on your phone").shows("main", "iOS (XXX-XXX-1242)").shows("#shows", "Acme Projects")
	b.shows("#shows", "Chrome on Linux").shows("#shows", "127.0.0.1")
	if b.doc.one(t, "noscript meta").attrs["content"] != "3" || len(b.doc.all("[data-await]")) != 1 {
		t.Error("the page does not look again by itself")
	}
	before := calls(s)
	b.get(at).get(at).shows("h1", "Answer on your phone")
	if got := len(s.Duo.Pushes()); got != 1 || s.Duo.Calls()[before-1].Path == "" {
		t.Errorf("%d pushes", got)
	}
	// A second click on the button of the page before: it waits, and sends nothing.
	b.send(http.MethodPost, action, values)
	b.follow().want(200, at).shows("h1", "Answer on your phone")
	if got := len(s.Duo.Pushes()); got != 1 {
		t.Errorf("%d pushes after a second click", got)
	}
	// What else Duo takes can be seen meanwhile, and the page that shows it stays.
	b.get(at+"?way=duo&duo=all").shows("#asking", "Duo waits until").shows("#push", "another push")
	if len(b.doc.all("noscript meta")) != 0 || len(b.doc.all("[data-await]")) != 0 {
		t.Error("a page with a field loads itself anew")
	}
	// Another browser sees nothing of it.
	thief := newBrowser(t, s)
	if thief.get(at).status != http.StatusNotFound {
		t.Errorf("another browser: %d", thief.status)
	}
	tab := b.get(at)
	if err := s.Duo.Approve(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	tab.becomes("h1", "Approved").shows("form[data-answered] button", "Approved – Continue")
	if b.cookie("sallyport_session") != "" {
		t.Fatal("looking at the page finished the sign-in")
	}
	thief.send(http.MethodPost, at+"/continue", values)
	if thief.status != http.StatusNotFound || thief.cookie("sallyport_session") != "" {
		t.Errorf("another browser used the approval: %d", thief.status)
	}
	action, values = b.fill(b.form(mainForm))
	b.submit(mainForm).want(200, "/continue").get("/account/security").want(200, "/account/security").shows("#duo .pill", "On")
	// Once more, from a second tab: it is used, and leads to where the person is.
	b.send(http.MethodPost, action, values)
	b.follow().want(200, "/continue")
}

func TestDuoAnswers_D3(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(*sallyporttest.DuoServer, string) error
		words string
	}{
		"denied":     {(*sallyporttest.DuoServer).Deny, "The request was denied in Duo"},
		"fraud":      {(*sallyporttest.DuoServer).Fraud, "someone knows your password"},
		"timeout":    {(*sallyporttest.DuoServer).TimeOut, "Nobody answered in Duo in time"},
		"locked out": {(*sallyporttest.DuoServer).LockOut, "Duo has locked your account there"},
		"unknown": {func(d *sallyporttest.DuoServer, tx string) error { return d.Set(tx, "maybe", "who_knows", "<b>x</b>") },
			"Duo could not finish that"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := duoed(t)
			b := newBrowser(t, s)
			b.password("maya", sallyporttest.Password).press(pushButton).shows("h1", "Answer on your phone")
			if err := c.end(s.Duo.DuoServer, asked(t, s)); err != nil {
				t.Fatal(err)
			}
			b.becomes("h1", "Verify with Duo").shows("#problem", c.words)
			if b.cookie("sallyport_session") != "" {
				t.Fatal("in all the same")
			}
			// Too early for another; then it goes on.
			if got := b.doc.one(t, pushButton); got.attrs["data-countdown"] == "" {
				t.Error("nothing says that another push has to wait")
			}
			b.press(pushButton).want(429, ".*/duo/start").shows("#problem", "You can ask again at")
			s.Clock.Advance(31 * time.Second)
			b.press(pushButton).want(200, "/signin/att_.*").shows("h1", "Answer on your phone")
			if err := s.Duo.Approve(asked(t, s)); err != nil {
				t.Fatal(err)
			}
			b.becomes("h1", "Approved").submit(mainForm).want(200, "/continue")
			b.get("/account/activity").want(200, "/account/activity")
			if got := b.doc.one(t, "main").words(); strings.Contains(got, "Wrong code") {
				t.Errorf("the events speak of a wrong code: %s", got)
			}
		})
	}
}

// What Duo says before it asks anybody.
func TestDuoRefusals_D3_rul33(t *testing.T) {
	for name, c := range map[string]struct {
		user   func(*sallyporttest.DuoUser)
		play   []sallyporttest.DuoFault
		status int
		words  string
		then   string // when the page is opened again
	}{
		"denied":  {user: func(u *sallyporttest.DuoUser) { u.Result = "deny" }, status: 403, words: says("error.duo_denied"), then: "Duo doesn’t let you verify here"},
		"enroll":  {user: func(u *sallyporttest.DuoUser) { u.Result = "enroll" }, status: 403, words: says("error.duo_enroll"), then: "Duo doesn’t let you verify here"},
		"allow":   {user: func(u *sallyporttest.DuoUser) { u.Result = "allow" }, status: 403, words: says("error.duo_allow"), then: "Duo doesn’t let you verify here"},
		"unknown": {user: func(u *sallyporttest.DuoUser) { u.Result = "perhaps" }, status: 403, words: says("error.duo_denied"), then: "Duo doesn’t let you verify here"},
		"down":    {play: []sallyporttest.DuoFault{{Status: 500}}, status: 503, words: "Duo isn’t answering", then: "Duo isn’t answering"},
		"garbled": {play: []sallyporttest.DuoFault{{Body: "<html>"}}, status: 503, words: "Duo isn’t answering", then: "Duo isn’t answering"},
		"no phone": {user: func(u *sallyporttest.DuoUser) {
			u.Devices = []sallyporttest.DuoDevice{{ID: "DH1", Type: "token", Name: "0"}}
		},
			status: 422, words: "Duo can’t reach you that way", then: "Duo could not finish that"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := duoed(t)
			u := sallyporttest.DuoUser{Username: "maya", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")}}
			if c.user != nil {
				c.user(&u)
			}
			s.Duo.AddUser(u)
			s.Duo.Play("/auth/v2/preauth", c.play...)
			b := newBrowser(t, s)
			b.password("maya", sallyporttest.Password)
			at := b.path
			b.press(pushButton).want(c.status, at+"/duo/start").shows("#problem", c.words)
			if b.get(at).want(200, at); len(s.Duo.Pushes()) != 0 || b.cookie("sallyport_session") != "" {
				t.Error("somebody was asked, or let in")
			}
			b.shows("#problem", c.then)
			if c.play != nil {
				s.Clock.Advance(31 * time.Second) // and it answers again
				b.press(pushButton).want(200, at).shows("h1", "Answer on your phone")
			}
		})
	}
}

func TestDuoWaysAndCodes_D3(t *testing.T) {
	s := duoed(t)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	at := b.path
	b.press(waysButton).want(200, at).shows("#duo-ways", "Push").shows("#duo-ways", "Phone call").shows("#duo-ways", "Codes by text message").shows("#duo-ways", "iOS (XXX-XXX-1242)")
	if len(s.Duo.Pushes())+len(s.Duo.Texts()) != 0 {
		t.Fatal("asking which ways there are asked the person")
	}
	// A second question at once is put off.
	b.get(at)
	// A call.
	b.get(at+"?way=duo&duo=all").press("[value=phone:DP1]").want(200, at).shows("h1", "Answer on your phone").shows("main", "Duo is calling")
	if len(b.doc.all("#shows")) != 0 {
		t.Error("a call shows nothing, and the page says that it does")
	}
	if err := s.Duo.Deny(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	b.becomes("h1", "Verify with Duo")
	// Codes by text message.
	s.Clock.Advance(31 * time.Second)
	b.get(at+"?way=duo&duo=all").press("[value=sms:DP1]").want(200, at).shows("#texted", "•• 42").shows("#code-hint", "first code")
	b.submit("#duo-code", "code", "").want(422, at).shows("#code-err", "Enter a code from Duo")
	b.submit("#duo-code", "code", "12").want(422, at).submit("#duo-code", "code", "abcdefg").want(422, at)
	b.submit("#duo-code", "code", "7654321").want(422, at).shows("#code-err", "Duo didn’t accept that code")
	s.Duo.Play("/auth/v2/auth", sallyporttest.DuoFault{Status: 500})
	b.submit("#duo-code", "code", "7654321").want(503, at).shows("#problem", "Duo isn’t answering")
	stale, values := b.fill(b.form("#duo-code"), "code", s.Duo.Texts()[0].Codes[0])
	b.send(http.MethodPost, stale, values)
	b.follow().want(200, "/continue")
	b.send(http.MethodPost, stale, values)
	b.follow().want(200, "/continue")
	// A code of the app, typed in at once.
	other := newBrowser(t, s)
	other.password("maya", sallyporttest.Password).submit("#duo-code", "code", "123 4567").want(200, "/continue")
}

func TestDuoWrongCodesPause_B7(t *testing.T) {
	s := duoed(t)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	for range policy.FreeTries {
		if b.status == http.StatusOK || b.status == 422 {
			b.submit("#duo-code", "code", "7654321")
		}
	}
	b.shows("h1", "Paused for a while").shows("main", "Duo is not asked for a while")
}

// Devices are told apart by their names, and by the end of a number where that
// is not in the name; the names are of people.
func TestDuoDevices_D3_cve65(t *testing.T) {
	s := duoed(t)
	one, two, three := sallyporttest.DuoPhone("DP1"), sallyporttest.DuoPhone("DP2"), sallyporttest.DuoPhone("DP3")
	one.DisplayName, two.DisplayName, three.DisplayName, three.Name = "<b>Work</b>", "Home", "", ""
	two.Number, three.Number = "", ""
	s.Duo.AddUser(sallyporttest.DuoUser{Username: "maya", Devices: []sallyporttest.DuoDevice{one, two, three}})
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).press(waysButton).shows("#duo-ways bdi", "<b>Work</b>, number •• 42").shows("#duo-ways bdi", "Home").shows("#duo-ways bdi", "Your phone")
	b.press("[value=push:DP1]").shows("main", "to <b>Work</b>, number •• 42.")
}

func TestDuoVerifiedPush_D3(t *testing.T) {
	s := duoed(t)
	s.Duo.AddUser(sallyporttest.DuoUser{Username: "maya", Verified: true, Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")}})
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).press(pushButton).shows("#number", s.Duo.Pushes()[0].Number)
	if err := s.Duo.Enter(asked(t, s), b.doc.one(t, "#number").words()); err != nil {
		t.Fatal(err)
	}
	b.becomes("h1", "Approved").submit(mainForm).want(200, "/continue")
}

// Every push counts, as codes do.
func TestDuoPushLimit_rul49(t *testing.T) {
	s := duoed(t)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	at := b.path
	for i := range policy.MaxSends {
		b.get(at+"?duo=all").press(pushButton).want(200, at)
		if err := s.Duo.TimeOut(asked(t, s)); err != nil {
			t.Fatal(err)
		}
		b.becomes("h1", "Verify with Duo")
		if i < policy.MaxSends-1 {
			s.Clock.Advance(121 * time.Second)
		}
	}
	b.get(at).shows("#no-push", "No more pushes")
	if len(b.doc.all(pushButton)) != 0 {
		t.Error("there is a button that does nothing")
	}
}

// One of several ways, with another while Duo waits.
func TestDuoAmongOthers_S2(t *testing.T) {
	s := duoed(t)
	omar := s.AddUser(t, s.Company, "omar", true)
	s.Duo.AddUser(sallyporttest.DuoUser{Username: "omar", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP2")}})
	id := s.AddDuo(t, omar.User, "omar")
	b := newBrowser(t, s)
	b.password("omar", sallyporttest.Password).shows("h1", "Enter the code from your app")
	at := b.path
	b.get(at+"?way=choose").shows("main", "Approve on your phone").press("[value="+id+"]").want(200, at).press(pushButton)
	// The page of the attempt waits; the other way is there all the time.
	b.get(at).shows("h1", "Answer on your phone").get(at+"?way=choose").get(at+"?way=totp").submit(mainForm, "code", s.Code(t, omar.Secret)).want(200, "/continue")
	// What is answered after that is of no use to anybody.
	if err := s.Duo.Approve(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	b.get(at).want(200, "/continue")
	if len(s.Duo.Pushes()) != 1 {
		t.Error("pushed by looking")
	}
}

// A step-up by Duo: the act goes on after it, once.
func TestDuoStepUp_D3(t *testing.T) {
	s := duoed(t)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).press(pushButton)
	if err := s.Duo.Approve(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	b.becomes("h1", "Approved").submit(mainForm).want(200, "/continue")
	s.Clock.Advance(20 * time.Minute)
	b.begin("/account/security/backup-codes/new").shows("h2", "Verify with Duo")
	at, old := b.path, b.cookie("sallyport_session")
	b.press(waysButton).want(200, at).shows("#duo-ways", "Phone call").press(pushButton).want(200, at).shows("h2", "Answer on your phone")
	if got := s.Duo.Pushes(); len(got) != 2 || !strings.Contains(got[1].Type, "codes") {
		t.Fatalf("%+v", got)
	}
	if err := s.Duo.Deny(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	b.becomes("h2", "Verify with Duo").shows("#problem", "denied").press(pushButton).want(429, ".*").shows("#problem", "You can ask again")
	s.Clock.Advance(31 * time.Second)
	b.press(pushButton).want(200, at)
	if err := s.Duo.Approve(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	b.becomes("h2", "Approved")
	if b.cookie("sallyport_session") != old {
		t.Error("looking at the page confirmed")
	}
	action, values := b.fill(b.form("main form[data-answered]"))
	b.press("form[data-answered] button").want(200, "/account/security/backup-codes/new")
	b.send(http.MethodPost, action, values)
	if b.follow().want(200, "/account.*"); b.cookie("sallyport_session") == old {
		t.Error("the session is the old one")
	}
	// By a code, and Duo down.
	s.Clock.Advance(20 * time.Minute)
	s.Duo.Play("/auth/v2/preauth", sallyporttest.DuoFault{Status: 500})
	b.begin("/account/security/duo/off").shows("#act", "turn off Duo").submit("#duo-code", "code", "1234567").want(503, "/account/confirm/att_.*").shows("#problem", "Duo isn’t answering")
	b.submit("#duo-code", "code", "7654321").want(422, "/account/confirm/att_.*").shows("#code-err", "Duo didn’t accept")
	b.submit("#duo-code", "code", "1234567").want(200, "/account/security/duo/off").submit(mainForm).want(200, "/account/security")
	b.shows(".note.ok", "Duo is turned off")
}

func TestDuoSetUp_D2_S20(t *testing.T) {
	s := duoed(t)
	s.Duo.AddUser(sallyporttest.DuoUser{Username: "omar@acme.example", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP2")}, Passcodes: []string{"222333"}})
	s.AddUser(t, s.Company, "omar", false)
	b := newBrowser(t, s)
	b.password("omar", sallyporttest.Password).want(200, "/continue").get("/account/security").shows("#duo", "by your company’s Duo")
	b.submit("#duo form").submit(mainForm, "password", sallyporttest.Password).want(200, "/account/security/duo/fac_.*").shows("main", "Duo knows you as omar@acme.example")
	at := b.path
	if len(s.Duo.Pushes()) != 0 {
		t.Fatal("pushed by beginning")
	}
	b.press(pushButton).want(200, at).shows("h2", "Answer on your phone")
	n := calls(s)
	b.get(at).get(at)
	for _, c := range s.Duo.Calls()[n:] {
		if c.Path != "/auth/v2/auth_status" {
			t.Errorf("the page that waits asks Duo: %s", c.Path)
		}
	}
	if err := s.Duo.Deny(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	b.becomes("h2", "Verify with Duo").shows("#problem", "denied")
	b.submit("#duo-code", "code", "").want(422, at+"/code").shows("#code-err", "Enter a code from Duo")
	b.submit("#duo-code", "code", "999999").want(422, at+"/code").shows("#code-err", "didn’t accept")
	s.Clock.Advance(31 * time.Second)
	b.get(at).press(waysButton).want(200, at).shows("#duo-ways", "Phone call")
	b.press("[value=push:DP2]").want(200, at)
	if err := s.Duo.Approve(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	b.becomes("h2", "Approved")
	action, values := b.fill(b.form("main form[data-answered]"))
	b.press("form[data-answered] button").want(200, "/account/security/backup-codes").shows(".note.ok", "Duo is on").saved()
	b.shows("#duo", "You are omar@acme.example at Duo").shows("#duo", "Turn off")
	values.Set("form", b.form(signOutForm).one(t, "[name=form]").attrs["value"])
	b.send(http.MethodPost, action, values) // once more
	b.follow().want(200, "/account/security")
}

// Duo does not know the person: its own page, in another tab, and ours follows.
func TestDuoSetUpElsewhere_D2(t *testing.T) {
	s := duoed(t)
	s.AddUser(t, s.Company, "omar", false)
	b := newBrowser(t, s)
	b.password("omar", sallyporttest.Password).get("/account/security").submit("#duo form").submit(mainForm, "password", sallyporttest.Password).want(200, "/account/security/duo/fac_.*")
	link := b.shows("main", "Duo doesn’t know you yet").doc.one(t, "#duo-link")
	if !strings.HasPrefix(link.attrs["href"], s.Duo.HTTP.URL+"/portal?code=") || link.attrs["target"] != "_blank" || link.attrs["rel"] != "noopener noreferrer" {
		t.Errorf("%v", link.attrs)
	}
	if b.doc.one(t, "noscript meta").attrs["content"] != "5" {
		t.Error("the page does not follow")
	}
	at := b.path
	b.get("/account/security").shows("#duo a", "Continue set-up").get(at)
	s.Duo.Activate("omar")
	b.get(at).shows("main", "Duo knows you as omar").press(pushButton)
	if err := s.Duo.Approve(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	b.becomes("h2", "Approved").press("form[data-answered] button").want(200, "/account/security/backup-codes")
}

// What Duo and others say before there is a set-up.
func TestDuoSetUpRefused_D2_rul33(t *testing.T) {
	s := duoed(t)
	s.AddUser(t, s.Company, "omar", false)
	b := newBrowser(t, s)
	b.password("omar", sallyporttest.Password)
	b.get("/account/security").submit("#duo form").submit(mainForm, "password", sallyporttest.Password)
	b.press("form[action=" + b.path + "/cancel] button")
	for _, c := range []struct {
		user   sallyporttest.DuoUser
		fault  []sallyporttest.DuoFault
		status int
		words  string
	}{
		{sallyporttest.DuoUser{Result: "deny"}, nil, 403, says("error.duo_denied")},
		{sallyporttest.DuoUser{Result: "allow"}, nil, 403, says("error.duo_allow")},
		{sallyporttest.DuoUser{}, []sallyporttest.DuoFault{{Status: 500}}, 503, "Nothing was changed"},
	} {
		c.user.Username = "omar@acme.example"
		s.Duo.AddUser(c.user)
		s.Duo.Play("/auth/v2/preauth", c.fault...)
		b.get("/account/security").submit("#duo form").want(c.status, "/account/security/duo").shows("main", c.words)
	}
	// The page that waits, after the set-up was given up; and one that Duo ends.
	s.Duo.AddUser(sallyporttest.DuoUser{Username: "omar@acme.example", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP2")}})
	b.get("/account/security").submit("#duo form").want(200, "/account/security/duo/fac_.*")
	at := b.path
	s.Duo.Play("/auth/v2/auth", sallyporttest.DuoFault{Status: 500})
	b.press(pushButton).want(503, at+"/start").shows("#problem", "Duo isn’t answering")
	b.submit("main form[action="+at+"/cancel]").want(200, "/account/security").shows("#notice", "cancelled")
	b.get(at).want(404, at)
}

// In a sign-in that asks for a way of one's own.
func TestDuoSetUpInSignIn_D2_S11(t *testing.T) {
	s := duoed(t)
	s.Duo.AddUser(sallyporttest.DuoUser{Username: "omar@acme.example", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP2")}, Passcodes: []string{"222333"}})
	s.AddUser(t, s.Company, "omar", false)
	s.SetPolicy(t, "acme", func(d *policy.Document) {
		d.TwoFactor, d.OwnWay = policy.Required, []authn.Audience{authn.InternalAudience, authn.ExternalAudience}
	})
	b := newBrowser(t, s)
	b.password("omar", sallyporttest.Password).press("[formaction]").submit(mainForm, "code", s.LastCode(t, "omar@acme.example"))
	b.want(200, "/signin/att_.*").shows("h1", "Set up a way to verify").press("[value=duo]").want(200, "/signin/att_.*/setup/fac_.*").shows("main", "Duo knows you as omar")
	at := b.path
	b.press(pushButton).want(200, at).shows("h2", "Answer on your phone").get(at+"?duo=all").shows("#asking", "Back to waiting")
	b.submit("#duo-code", "code", "999999").want(422, at+"/duo/code").shows("#code-err", "didn’t accept")
	if err := s.Duo.Approve(asked(t, s)); err != nil {
		t.Fatal(err)
	}
	b.get(at).becomes("h2", "Approved")
	action, values := b.fill(b.form("main form[data-answered]"))
	b.press("form[data-answered] button").want(200, "/signin/att_.*/codes")
	b.send(http.MethodPost, action, values)
	b.follow().want(200, "/signin/att_.*/codes")
}
