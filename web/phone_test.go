package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	phonePage  = "/account/security/phone"
	mayaNumber = "+46701740605"
	omarNumber = "+46701740606"
)

// withTexts is a server whose company sends texts to Sweden, Poland and the United States.
func withTexts(t testing.TB, opts ...sallyporttest.Option) *sallyporttest.Server {
	t.Helper()
	s := newServer(t, opts...)
	s.UseTexts(t, s.Company)
	return s
}

// changeUser writes a person's row, as the operator would.
func changeUser(t testing.TB, s *sallyporttest.Server, u authn.User, change func(*authn.User)) {
	t.Helper()
	err := s.Store.Decide(context.Background(), authn.Keys{Company: u.Company, User: u.ID, Now: s.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		next := *rows.User
		change(&next)
		return authn.Accept(authn.Event{Company: u.Company, ID: authn.NewID(authn.EventID, s.Clock.Now(), zeros{}), Type: "profile.changed",
			Target: u.ID, Result: authn.Succeeded, At: s.Clock.Now()}, authn.PutUser{User: next})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// profileNumber gives a person a contact number that an administrator set two days ago.
func profileNumber(t testing.TB, s *sallyporttest.Server, u authn.User, number string) {
	t.Helper()
	changeUser(t, s, u, func(u *authn.User) {
		u.Phone, u.PhoneTrustedAt = number, s.Clock.Now().Add(-48*time.Hour)
		u.PhoneChangedAt = u.PhoneTrustedAt
	})
}

// S17, B1, B2: number, code, on; in every language, without JavaScript. The page
// says what the number is for, and shows it back in both forms.
func TestPhone_S17_B1_B2(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := withTexts(t)
			maya := s.AddUser(t, s.Company, "maya", true)
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(maya).get("/account/security").want(200, "/account/security")
			s.Clock.Advance(11 * time.Minute)
			b.press("#phone button").want(200, "/account/confirm/att_.*").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, phonePage)
			n := b.doc.one(t, "#phone").attrs
			if n["type"] != "tel" || n["autocomplete"] != "tel" || n["dir"] != "ltr" || len(b.doc.all("#country option")) != 3 {
				t.Errorf("%v", n)
			}
			if got := b.doc.one(t, "#country option[selected]").attrs["value"]; got != "SE" {
				t.Errorf("the country is %s, not the company's own", got)
			}
			b.submit(mainForm, "phone", "").want(422, phonePage)
			before := sends(s)
			b.submit(mainForm, "phone", "(070) 174-06 05").want(200, phonePage+"/fac_.*")
			b.shows("#code-hint bdi", "+46 70 174 06 05").shows("#code-hint bdi", "070-174 06 05")
			page := b.path
			if b.get(page).get("/account/security").get(page); sends(s) != before+1 {
				t.Fatalf("%d messages", sends(s)-before)
			}
			// The number was wrong: the form has it, and the old set-up is over.
			b.get(b.doc.one(t, "main p.small a").attrs["href"]).want(200, phonePage)
			if got := b.doc.one(t, "#phone").attrs["value"]; got != "+46 70 174 06 05" {
				t.Errorf("the form has %q", got)
			}
			b.submit(mainForm, "phone", "501 234 567", "country", "PL").want(200, phonePage+"/fac_.*").shows("#code-hint bdi", "+48 501 234 567")
			b.get(page).want(404, page)
			b.get("/account/security").get(b.doc.one(t, "#phone a").attrs["href"])
			b.submit(mainForm, "code", "").want(422, ".*").submit(mainForm, "code", wrongFor(s.LastCode(t, "+48501234567"))).want(422, ".*")
			b.submit(mainForm, "code", s.LastCode(t, "+48501234567")).saved()
			b.shows("#phone .pill", "").shows("#phone bdi", "•• 67").get("/account/activity").want(200, "/account/activity")
			// Changed: the old one works until then, and is not asked for again.
			b.get(phonePage).want(200, phonePage).shows("#keeps bdi", "•• 67").submit(mainForm, "phone", mayaNumber, "country", "US").want(200, phonePage+"/fac_.*").shows("#keeps bdi", "•• 67")
			b.submit(mainForm, "code", s.LastCode(t, mayaNumber)).want(200, "/account/security").shows("#phone bdi", "•• 05")
			b.get(phonePage+"/off").want(200, phonePage+"/off").submit(mainForm).want(200, "/account/security")
			if len(b.doc.all("#phone bdi")) != 0 {
				t.Error("it is still on")
			}
		})
	}
}

// B1: every mistake has its own sentence, beside the field, and nothing is sent.
func TestPhoneField_B1(t *testing.T) {
	s := withTexts(t)
	maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", true)
	s.AddPhone(t, omar.User, omarNumber)
	b := newBrowser(t, s)
	b.signIn(maya)
	before, seen := sends(s), map[string]string{}
	for _, c := range []struct {
		name, phone, country, says string
		status                     int
	}{
		{"nothing", " ", "SE", "Enter your mobile number", 422},
		{"without a country", "070-174 06 05", "", "Choose the country", 422},
		{"of a country that is none", "070-174 06 05", "XX", "Choose the country", 422},
		{"letters", "070-CALL-ME", "SE", "digits only", 422},
		{"an extension", "070-174 06 05 ext. 3", "SE", "", 422},
		{"too short", "070 17", "SE", "too short", 422},
		{"too long", "070 174 06 05 070 174 06 05", "SE", "too long", 422},
		{"nobody’s", "+46 99 999 99 99", "SE", "no such number", 422},
		{"a landline", "08-465 004 00", "SE", "landline", 422},
		{"premium", "0939-12345", "SE", "rate of its own", 422},
		{"in another country", "+44 7911 123456", "SE", "doesn’t send texts to that country", 403},
		{"somebody else’s", omarNumber, "SE", "can’t be used here", 409},
		{"markup", `<b>"&`, "SE", "digits only", 422},
		{"very long", strings.Repeat("1", 5000), "SE", "too long", 422},
	} {
		b.get(phonePage).submit(mainForm, "phone", c.phone, "country", c.country)
		if b.status != c.status || len(b.doc.all("#phone-err")) != 1 || !strings.Contains(b.doc.one(t, "#phone-err").words(), c.says) {
			t.Errorf("%s: %d %s", c.name, b.status, b.doc.one(t, "main").words())
			continue
		}
		words := b.doc.one(t, "#phone-err").words()
		if b.doc.one(t, "#phone").attrs["value"] != c.phone {
			t.Errorf("%s: what was typed is lost", c.name)
		}
		seen[words] = c.name
		if strings.Contains(words, "omar") || strings.Contains(words, "somebody") {
			t.Errorf("%s: says whose it is: %s", c.name, words)
		}
	}
	if len(seen) != 10 || sends(s) != before {
		t.Errorf("%d sentences, %d messages: %v", len(seen), sends(s)-before, seen)
	}
	// "+" wins over the country, whatever it is.
	b.get(phonePage).submit(mainForm, "phone", "+46 70 174 06 05", "country", "PL").want(200, phonePage+"/fac_.*").shows("#code-hint bdi", "+46 70 174 06 05")
}

// cve-66, ruling 49: forms of nobody, of another session, and old ones.
func TestPhoneForms_cve66_rul49(t *testing.T) {
	s := withTexts(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya).get(phonePage)
	_, values := b.fill(b.form(mainForm), "phone", mayaNumber)
	before := sends(s)
	for _, form := range []string{"", "00000000000000000000000000"} {
		values.Set("form", form)
		if b.send(http.MethodPost, phonePage, values); b.status != 403 {
			t.Errorf("form %q: %d", form, b.status)
		}
	}
	if b.send(http.MethodPost, phonePage, values, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); b.status != 403 {
		t.Errorf("from another site: %d", b.status)
	}
	if thief := newBrowser(t, s); thief.get(phonePage).want(200, "/signin").path == "" || sends(s) != before {
		t.Error("something was sent")
	}
	// A form that was drawn before a way was there, or that names another one.
	b.get(phonePage)
	_, values = b.fill(b.form(mainForm), "phone", mayaNumber)
	values.Set("replaces", maya.Factor)
	b.send(http.MethodPost, phonePage, values)
	if b.follow().want(200, phonePage).shows("#notice", "another tab"); sends(s) != before {
		t.Error("something was sent")
	}
	// Another tab: it was open before the session was issued anew; what was typed is there.
	b.submit(mainForm, "phone", mayaNumber).want(200, phonePage+"/fac_.*")
	page := b.path
	old, oldValues := b.fill(b.form(mainForm), "code", s.LastCode(t, mayaNumber))
	b.get(phonePage)
	_, typed := b.fill(b.form(mainForm), "phone", omarNumber)
	b.get(page).submit(mainForm, "code", s.LastCode(t, mayaNumber)).saved()
	b.send(http.MethodPost, phonePage, typed)
	if b.want(422, phonePage); b.doc.one(t, "#phone").attrs["value"] != omarNumber {
		t.Error("what was typed is lost")
	}
	b.send(http.MethodPost, old, oldValues) // a second click
	b.follow().want(200, "/account/security")
	// The number of somebody else, who was quicker.
	omar := s.AddUser(t, s.Company, "omar", true)
	b.get(phonePage).submit(mainForm, "phone", omarNumber).want(200, phonePage+"/fac_.*")
	s.AddPhone(t, omar.User, omarNumber)
	b.submit(mainForm, "code", s.LastCode(t, omarNumber)).want(409, ".*").shows("#problem", "can’t be used here")
}

// S15: the row is there where texts are, or were set up; F6 and F8: usual, off.
func TestPhoneRow_S15(t *testing.T) {
	s := newServer(t)
	maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", false)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account/security")
	if len(b.doc.all("#phone")) != 0 {
		t.Fatal("a row for what the company does not have")
	}
	b.get(phonePage).want(200, "/account/security").get(phonePage+"/off").want(200, "/account/security")
	s.UseTexts(t, s.Company)
	b.get("/account/security").shows("#phone", "Takes about a minute").shows("#phone button", "Set up")
	s.AddPhone(t, maya.User, mayaNumber)
	b.get("/account/security").shows("#phone", "Codes go to the number ending in •• 05").shows("#phone", "Added 21 Nov 2026").shows("#phone button", "Change number")
	b.press("#phone form[action=/account/security/usual] button").want(200, "/account/security").shows("#phone .pill", "Usual")
	for _, n := range b.doc.all("main") {
		if strings.Contains(n.words(), "174") {
			t.Error("the page holds the number")
		}
	}
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.Strength = map[string]policy.Strength{"member": policy.PhishingResistant} })
	x := newBrowser(t, s)
	x.signIn(omar).get("/account/security")
	if len(omar.Roles) > 0 {
		x.shows("#phone", "stronger way").get(phonePage).want(200, "/account/security")
	}
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.Strength, d.TwoFactor = nil, policy.Off })
	x.get("/account/security").shows("#phone", "Not used at your company")
	b.get("/account/security").shows("#phone", "no code is asked for").get(phonePage).want(200, "/account/security")
}

// S10, F2: the way is asked for by itself, its errors say what to do, and the other
// ways stay open.
func TestTextCode_S4_S10_B3(t *testing.T) {
	s := withTexts(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	s.AddPhone(t, maya.User, mayaNumber)
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.CodeSeconds = 300 })
	b := newBrowser(t, s)
	before := sends(s)
	b.password("maya", sallyporttest.Password).want(200, "/signin/att_.*").shows("h1", "Get a code by text message").shows("main p", "ending in •• 05 when you press")
	path := b.path
	if b.get(path).get(path + "?way=help").get(path); sends(s) != before {
		t.Fatal("sent by looking")
	}
	b.press("[formaction]").want(200, path).shows("h1", "Check your text messages").shows("#code-hint", "ending in •• 05. It works until 09:19:10")
	b.shows("details", "flight mode").shows("details", "Not your number any more?")
	if w := b.doc.one(t, "main").words(); strings.Contains(w, "174") || strings.Contains(w, "spam") {
		t.Error(w)
	}
	b.press("[formaction]").want(429, path+"/send").shows("#problem", "on its way")
	s.Clock.Advance(31 * time.Second)
	b.get(path).press("[formaction]").want(200, path).shows(".note", "the same code")
	b.submit(mainForm, "code", wrongFor(s.LastCode(t, mayaNumber))).want(422, path).shows("#code-err", "newest message")
	b.submit(mainForm, "code", s.LastCode(t, mayaNumber)).want(200, "/continue")
	b.get("/account/security").shows("#phone", "last used")
}
