package browsertest

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/message/twilio"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// priya is an owner of the company.
func priya(t *testing.T, s *sallyporttest.Server) sallyporttest.Person {
	t.Helper()
	u, err := s.Directory.CreateUser(context.Background(), s.Company, directory.NewUser{Login: "priya", Name: "Priya Nair", Email: "priya@acme.example", Verified: true,
		Roles: []string{directory.Owner}, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = s.AddApp(t, u)
	return p
}

// choose picks from a list.
func (tb *tab) choose(id, value string) {
	tb.t.Helper()
	if !eval[bool](tb, "(() => { const e = document.getElementById($1); e.value = $2; return e.value === $2 })()", id, value) {
		tb.t.Fatalf("%s: %s offers no %s", tb.path(), id, value)
	}
}

// The company's text messages (S31): empty, refused, tested, saved, rearranged.
func TestTexts_S31(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			status, answer := http.StatusCreated, `{"sid": "SM00000000000000000000000000000001", "status": "queued"}`
			if strings.HasSuffix(r.PostFormValue("To"), "36") {
				status, answer = http.StatusBadRequest, `{"code": 21608, "message": "The number is unverified. Trial accounts cannot send messages to unverified numbers.", "status": 400}`
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(answer)) // the client may have gone
		}))
		t.Cleanup(gateway.Close)
		s := sallyporttest.NewServer(t, func(c *sallyport.Config) {
			d := twilio.New(gateway.Client())
			d.Base = gateway.URL
			c.TextDrivers = maps.Clone(c.TextDrivers)
			c.TextDrivers["twilio"] = d
		})
		tb := newTab(t, s.URL, js)
		tb.signIn(s, priya(t, s))
		tb.open("/admin/providers/texts")
		tb.page("texts", 200)
		tb.press("admin.texts.save")
		tb.page("texts/empty", 422)
		tb.says("#home-err", tb.T("field.required"))
		tb.choose("add", "twilio")
		tb.press("admin.texts.add")
		tb.fill("p0_account", "AC00000000000000000000000000000001")
		tb.fill("p0_secret", "0123456789abcdef")
		tb.fill("p0_from", "+46700000001")
		tb.choose("home", "SE")
		tb.fill("day_texts", "5")
		tb.fill("to", "070-174 06 36")
		tb.press("admin.texts.send")
		tb.page("texts/refused", 200)
		tb.fill("p0_secret", "0123456789abcdef")
		tb.fill("to", "070-174 06 05")
		tb.press("admin.texts.send")
		tb.page("texts/sent", 200)
		tb.fill("p0_secret", "0123456789abcdef")
		// The key for "send" saves: it is no button that moves providers.
		tb.fill("day_texts", "5")
		tb.follow(func() error { return tb.try(chromedp.KeyEvent("\r")) })
		tb.lands("/admin/providers/texts?done=texts_saved")
		tb.page("texts/saved", 200)
		if err := tb.click(tb.T("admin.texts.others_show", "Count", 0)); err != nil {
			t.Fatal(err)
		}
		tb.await("the countries", func() bool { return eval[bool](tb, "document.getElementById('to-PL').checkVisibility()") })
		tb.tick("to-PL")
		tb.audited("texts/countries")
		tb.choose("add", "inbox")
		tb.press("admin.texts.add")
		tb.press("admin.texts.up_label", "N", 2)
		tb.page("texts/arranged", 200)
		tb.press("admin.texts.save")
		tb.lands("/admin/providers/texts?done=texts_saved")
		st, err := s.Providers.TextsOf(t.Context(), s.Company.ID)
		if err != nil || len(st.Settings.Countries) != 2 || st.Settings.Countries[1] != "PL" {
			t.Errorf("%v, %v", st.Settings.Countries, err)
		}
		now := s.Clock.Now()
		if err := s.Store.ProviderHealthNoted(t.Context(), s.Company.ID, authn.SMS, "twilio-2", 2, now, "sign_in credentials"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s.Clock.Advance(30 * time.Second)
			tb.fill("to", "070-174 06 07")
			tb.press("admin.texts.send")
		}
		tb.open("/admin/providers/texts")
		tb.page("texts/failing", 200)
	})
}

// The company's Duo (S33): empty, refused, tested, saved.
func TestDuoAdmin_S33(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		s.Duo = sallyporttest.NewDuo(t, sallyporttest.DuoConfig{Now: func() time.Time { return s.Clock.Now().Add(45 * time.Second) }})
		tb := newTab(t, s.URL, js)
		tb.signIn(s, priya(t, s))
		tb.open("/admin/providers/duo")
		tb.page("duo", 200)
		tb.press("admin.duo.save")
		tb.page("duo/empty", 422)
		tb.fill("ikey", sallyporttest.DuoIKey)
		tb.fill("skey", strings.Repeat("0", 40))
		tb.fill("host", sallyporttest.DuoHost)
		tb.press("admin.duo.connect")
		tb.page("duo/refused", 200)
		tb.fill("skey", sallyporttest.DuoSKey)
		tb.press("admin.duo.connect")
		tb.page("duo/works", 200)
		tb.fill("skey", sallyporttest.DuoSKey)
		tb.tick("let_in")
		tb.press("admin.duo.save")
		tb.lands("/admin/providers/duo")
		tb.page("duo/saved", 200)
	})
}
