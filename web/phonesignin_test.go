package web_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// flaky is a provider of texts that takes nothing while down is set.
type flaky struct {
	authn.TextDriver
	down *atomic.Bool
}

func (d flaky) Open(p authn.TextProvider) (authn.TextSender, error) {
	s, err := d.TextDriver.Open(p)
	return flakySender{s, d.down}, err
}

type flakySender struct {
	authn.TextSender
	down *atomic.Bool
}

func (s flakySender) Send(ctx context.Context, m authn.Message) error {
	if s.down.Load() {
		return &authn.SendError{Stage: "accept", Code: "21610", Permanent: true}
	}
	return s.TextSender.Send(ctx, m)
}

// withFlakyTexts is withTexts with a switch that stops the provider.
func withFlakyTexts(t testing.TB) (*sallyporttest.Server, *atomic.Bool) {
	t.Helper()
	down := new(atomic.Bool)
	s := withTexts(t, func(c *sallyport.Config) {
		c.TextDrivers["inbox"] = flaky{c.TextDrivers["inbox"], down}
	})
	return s, down
}

// S11, S17, F3, J2: a kind that is registered appears by itself; the number comes
// first, and nothing is sent by looking.
func TestPhoneInSignIn_S17_F3(t *testing.T) {
	s, down := withFlakyTexts(t)
	s.AddUser(t, s.Company, "maya", false)
	omar := s.AddUser(t, s.Company, "omar", true)
	s.AddPhone(t, omar.User, omarNumber)
	setPolicy(t, s, ownWay(0))
	b := newBrowser(t, s)
	b.emailed("maya").want(200, "/signin/att_.*")
	path, before := b.path, sends(s)
	ways := b.doc.all("button.option")
	if len(ways) != 3 || !strings.Contains(ways[0].words(), "Passkey Recommended") || strings.Contains(ways[1].words(), "Recommended") {
		t.Fatal("the ways: no code by e-mail, which would be no way of one's own")
	}
	b.press("button[value=sms]").want(200, path+"/setup/phone").shows("main li", "kept apart from your contact number").shows("main li", "carrier may charge")
	b.get(b.path).get(b.path+"?from=fac_00000000000000000000000000").want(200, path+"/setup/phone")
	for typed, status := range map[string]int{"": 422, "08-465 004 00": 422, "+44 7911 123456": 403, omarNumber: 409} {
		if b.submit(mainForm, "phone", typed); b.status != status || len(b.doc.all("#phone-err")) != 1 {
			t.Errorf("%q: %d", typed, b.status)
		}
	}
	if sends(s) != before {
		t.Fatal("something was sent")
	}
	down.Store(true)
	b.submit(mainForm, "phone", mayaNumber).want(502, path+"/setup/phone").shows("#problem", "could not send")
	down.Store(false)
	b.submit(mainForm, "phone", "070-174 06 04").want(200, path+"/setup/fac_.*").shows("#code-hint bdi", "+46 70 174 06 04").shows("details", "Check that the number is right")
	page := b.path
	b.press("[formaction="+page+"/send]").want(429, page+"/send").shows("#problem", "on its way")
	b.get(b.doc.one(t, "main p.small a").attrs["href"]).want(200, path+"/setup/phone").get(page).want(200, page)
	b.get(path+"/setup/phone").submit(mainForm, "phone", mayaNumber).want(200, path+"/setup/fac_.*")
	old := page
	page = b.get(b.path).path
	b.get(old).want(404, old).get(page)
	if sends(s) != before+2 {
		t.Errorf("%d messages", sends(s)-before)
	}
	b.submit(mainForm, "code", "12345").want(422, page+"/confirm").submit(mainForm, "code", wrongFor(s.LastCode(t, mayaNumber))).want(422, page+"/confirm").shows("#code-err", "newest message")
	// Somebody else was quicker: it is not said who.
	nora := s.AddUser(t, s.Company, "nora", false)
	took := s.AddPhone(t, nora.User, mayaNumber)
	b.submit(mainForm, "code", s.LastCode(t, mayaNumber)).want(409, page+"/confirm").shows("#problem", "can’t be used here")
	if took == "" || strings.Contains(b.doc.one(t, "main").words(), "nora") {
		t.Error("says whose it is")
	}
	b.get(b.doc.one(t, "main p.small a").attrs["href"]).submit(mainForm, "phone", "+48 501 234 567").submit(mainForm, "code", s.LastCode(t, "+48501234567")).want(200, path+"/codes")
	b.submit(mainForm, "saved", "yes").want(200, "/continue").get("/account/security").shows("#phone bdi", "•• 67")
}

// The pages of a number are nobody's who is not asked for one.
func TestPhoneInSignIn_onlyWhereAsked(t *testing.T) {
	s := withTexts(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	b.get(path+"/setup/phone").want(200, path)
	b.submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue").get(path+"/setup/phone").want(200, "/continue")
	newBrowser(t, s).get(path+"/setup/phone").want(404, path+"/setup/phone")
}

// C1: codes to the profile's number stand in before e-mail, and both are offered.
// What the provider does not take is said, with the other way beside it (S4).
func TestTextFallback_C1_S4(t *testing.T) {
	s, down := withFlakyTexts(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	profileNumber(t, s, maya.User, mayaNumber)
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor, d.SMSFallback, d.OwnWay = policy.Required, true, nil })
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).want(200, "/signin/att_.*").shows("h1", "Get a code by text message")
	path := b.path
	b.get(path+"?way=choose").shows("button.option", "number ending in •• 05").shows("button.option", "m•••@acme.example")
	down.Store(true)
	b.get(path).press(sendButton).want(502, path+"/send").shows("#problem", "could not send").shows("button.option", "E-mail").shows("#code-hint", "arrives after all")
	if strings.Contains(b.doc.one(t, "main").words(), "21610") {
		t.Error("the provider's words are shown")
	}
	b.press("button.option").want(200, path).shows("h1", "by e-mail").press(sendButton).want(200, path)
	b.submit(mainForm, "code", s.LastCode(t, "maya@acme.example")).want(200, "/continue")
	b.get("/account/security").shows("#banner", "number in your profile, ending in •• 05").shows("#phone", "number in your profile, ending in •• 05")
	b.get("/account").shows("main dd", "+46 70 174 06 05").shows("main .hint", "kept by your admin")
}

// S4: the country is not one of the company's any more, or the texts are used up.
func TestTextRefused_S4_rul13(t *testing.T) {
	for name, c := range map[string]struct {
		number string
		change func(*authn.TextSettings)
		status int
		says   string
		again  bool // the button stays
	}{
		"country": {"+447911123456", func(*authn.TextSettings) {}, 403, "doesn’t send texts to that country", false},
		"budget":  {mayaNumber, func(t *authn.TextSettings) { t.DayTexts = 1 }, 429, "No more text messages", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.UseTexts(t, s.Company, c.change)
			maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", false)
			s.AddPhone(t, maya.User, c.number)
			s.AddPhone(t, omar.User, omarNumber)
			newBrowser(t, s).password("omar", sallyporttest.Password).press(sendButton).shows("h1", "Check your text messages")
			b := newBrowser(t, s)
			b.password("maya", sallyporttest.Password)
			path := b.path
			before := sends(s)
			b.get(path+"?way=sms").press(sendButton).want(c.status, path+"/send").shows("#problem", c.says).shows("button.option", "Authenticator app")
			if sends(s) != before || (len(b.doc.all("main "+sendButton)) == 1) != c.again || len(b.doc.all("#code")) != 0 {
				t.Error(b.doc.one(t, "main").words())
			}
			b.press("button.option").want(200, path).shows("h1", "from your app")
			b.get(path).submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
			// The same when it is confirmed that it's them, and in a set-up.
			s.Clock.Advance(11 * time.Minute)
			b.begin("/account/password")
			b.get(b.path+"?way=sms").press("button[name=do]").want(c.status, "/account/confirm/att_.*").shows("#problem", c.says[:12])
			b.get(b.path+"?way=totp").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/account/password")
			b.get(phonePage).submit(mainForm, "phone", "+447911123457").want(403, phonePage)
			if c.again {
				b.submit(mainForm, "phone", "070 174 06 04").want(429, phonePage).shows("#problem", c.says)
			}
		})
	}
}

// C1: with "send at once" the code is out after the password; if it is not, the
// page says so, once.
func TestTextAtOnce_C1(t *testing.T) {
	s, down := withFlakyTexts(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	s.AddPhone(t, maya.User, mayaNumber)
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.SendAtOnce = true })
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).want(200, "/signin/att_.*").shows("h1", "Check your text messages")
	b.submit(mainForm, "code", s.LastCode(t, mayaNumber)).want(200, "/continue")
	down.Store(true)
	b = newBrowser(t, s)
	b.password("maya", sallyporttest.Password).want(200, "/signin/att_.*").shows("#problem", "could not send")
	at := b.path
	b.get(strings.TrimSuffix(at, "?done=not_sent"))
	if len(b.doc.all("#problem")) != 0 {
		t.Error("said again")
	}
	other := newBrowser(t, s)
	other.http.Jar = b.http.Jar
	down.Store(false)
	s.Clock.Advance(31 * time.Second)
	b.get(at).press(sendButton).want(200, "/signin/att_.*")
	if len(b.doc.all("#problem")) != 0 {
		t.Error("it was sent, and the page says it was not")
	}
	b.submit(mainForm, "code", s.LastCode(t, mayaNumber)).want(200, "/continue")
}

// S10, rules 23 and 24: text messages rest, and then are off, in their own words.
func TestTextPaused_S10(t *testing.T) {
	s := withTexts(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	s.AddPhone(t, maya.User, mayaNumber)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	b.get(path + "?way=sms").press(sendButton)
	for range policy.FreeTries {
		b.submit(mainForm, "code", wrongFor(s.LastCode(t, mayaNumber)))
	}
	b.want(429, path).shows("main", "codes from text messages are not checked").shows("button.option", "Authenticator app")
	b.get(path+"?way=choose").shows("button.option", "1 minute")
	b.get(path).submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
}

// S22: texts confirm that it's them, and are turned off; the last way stays.
func TestTextConfirms_S22(t *testing.T) {
	s := withTexts(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	s.AddPhone(t, maya.User, mayaNumber)
	s.SetTwoFactor(t, "acme", policy.Required)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password).press(sendButton).submit(mainForm, "code", s.LastCode(t, mayaNumber)).want(200, "/continue")
	b.get(phonePage+"/off").want(200, phonePage+"/off").shows("#last", "Codes by text message are the only way")
	s.SetTwoFactor(t, "acme", policy.On)
	s.Clock.Advance(11 * time.Minute)
	b.begin(phonePage+"/off").shows("main p", "number ending in •• 05").shows("#act", "turn off codes by text message")
	b.press("button[name=do]").want(200, "/account/confirm/att_.*").shows("#code-hint", "number ending in •• 05")
	b.submit(mainForm, "code", s.LastCode(t, mayaNumber)).want(200, phonePage+"/off").shows("h1", "Turn off codes by text message?")
	b.submit(mainForm).want(200, "/account/security").shows("#notice", "text message are turned off").get(phonePage+"/off").want(200, "/account/security")
}
