package web_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/message/twilio"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	textsPage   = "/admin/providers/texts"
	duoPage     = "/admin/providers/duo"
	textsForm   = "#texts"
	duoForm     = "#duo"
	removeForm  = "main section form"
	textsKey    = "0123456789abcdef-canary"
	textsNumber = "+46701740605"
	duoKey      = "SkeyOfTheFakeDuoServer000000000000000001"
)

// withTwilio adds a provider that speaks as Twilio does: a trial account, which may
// write to every number but those that end in 36.
func withTwilio(t testing.TB) sallyporttest.Option {
	t.Helper()
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		status, answer := http.StatusCreated, `{"sid": "SM00000000000000000000000000000001", "status": "queued"}`
		if strings.HasSuffix(r.PostFormValue("To"), "36") {
			status, answer = http.StatusBadRequest, `{"code": 21608, "message": "The number is <b>unverified</b>.", "status": 400}`
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer)) // the client may have gone
	}))
	t.Cleanup(gateway.Close)
	return func(c *sallyport.Config) {
		d := twilio.New(gateway.Client())
		d.Base = gateway.URL
		c.TextDrivers = maps.Clone(c.TextDrivers)
		c.TextDrivers["twilio"] = d
	}
}

// The page of the texts, in every language, without JavaScript.
func TestTextsPage_S31(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, withTwilio(t))
			priya := owner(t, s, s.Company, "priya")
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya).get("/account").want(200, "/account")
			b.doc.one(t, "nav.side a[href="+textsPage+"]")
			b.get(textsPage).want(200, textsPage)
			if len(b.doc.all("#through")) != 0 {
				t.Error("a test without a provider")
			}
			b.submit(textsForm, "do", "save").want(422, textsPage)
			b.submit(textsForm, "do", "add", "add", "twilio").want(200, textsPage)
			good := []string{"p0_account", "AC00000000000000000000000000000001", "p0_secret", textsKey, "p0_from", "+46700000001", "home", "SE"}
			with := func(pairs ...string) []string { return append(slices.Clone(good), pairs...) }
			b.submit(textsForm, with("do", "save", "p0_account", "x", "home", "", "price", "a lot", "currency", "EURO", "day_texts", "many")...).want(422, textsPage)
			for _, id := range []string{"#p0_account", "#home", "#price", "#currency", "#day_texts"} {
				if b.doc.one(t, id).attrs["aria-invalid"] != "true" {
					t.Errorf("%s is not marked", id)
				}
			}
			limits := []string{"price", "0,045", "currency", "eur", "day_texts", "4", "month_money", "7.5"}
			with = func(pairs ...string) []string { return append(append(slices.Clone(good), limits...), pairs...) }
			b.submit(textsForm, with("do", "test", "to", "")...).want(422, textsPage)
			b.submit(textsForm, with("do", "test", "to", "+14155552671")...).want(422, textsPage)
			b.submit(textsForm, with("do", "test", "to", "070-174 06 36")...).want(200, textsPage)
			b.doc.one(t, "main .note.danger")
			b.shows(".hint", "21608")
			b.submit(textsForm, with("do", "test", "to", textsNumber)...).want(200, textsPage)
			b.doc.one(t, "main .note.ok")
			b.submit(textsForm, with("do", "save")...).want(200, textsPage)
			if b.doc.one(t, "#p0_secret").attrs["value"] != "" || b.doc.one(t, "#price").attrs["value"] != "0.045" || b.doc.one(t, "#month_money").attrs["value"] != "7.5" ||
				b.doc.one(t, "#currency").attrs["value"] != "EUR" || b.doc.one(t, "#day_texts").attrs["value"] != "4" {
				t.Error("saved, but the page does not show it")
			}
			if n := b.doc.one(t, "[aria-labelledby=company_day]").attrs["value"]; n != "50" {
				t.Errorf("%s %% of the day are used", n)
			}
			// A second provider, in another order, and gone again.
			b.submit(textsForm, "do", "add", "add", "inbox").want(200, textsPage)
			b.submit(textsForm, "do", "up.1").want(200, textsPage)
			if got := b.doc.one(t, "[name=p0_driver]").attrs["value"]; got != "inbox" {
				t.Errorf("the first is %s", got)
			}
			b.submit(textsForm, "do", "save").want(200, textsPage)
			b.submit(textsForm, "do", "drop.0").want(200, textsPage)
			b.submit(textsForm, "do", "save", "p0_account", "AC00000000000000000000000000000002").want(422, textsPage)
			b.submit(textsForm, "do", "save", "p0_account", "AC00000000000000000000000000000001").want(200, textsPage)
			for _, do := range []string{"up.0", "down.0", "drop.5", "drop.-1", "wave", "add.1"} {
				b.submit(textsForm, "do", do, "add", "inbox")
				if want := map[bool]int{true: 200, false: 400}[do == "add.1"]; b.status != want {
					t.Errorf("%s: %d", do, b.status)
				}
				b.get(textsPage)
			}
			// Four are the limit of the day, and near it the page says so.
			for range 3 {
				s.Clock.Advance(31 * time.Second)
				b.submit(textsForm, "do", "test", "to", "+46701740606")
			}
			b.want(429, textsPage)
			b.get(textsPage).want(200, textsPage)
			b.doc.one(t, ".bar-near")
			b.submit(removeForm, "do", "remove").want(200, textsPage)
			s.Clock.Advance(11 * time.Minute)
			b.begin(textsPage).submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, textsPage)
			if strings.Contains(b.doc.words(), textsKey) {
				t.Error("the page holds the secret")
			}
		})
	}
}

// Health and reports of each provider are on the page.
func TestTextsPage_health(t *testing.T) {
	s := newServer(t, withTwilio(t))
	priya := owner(t, s, s.Company, "priya")
	s.UseTexts(t, s.Company, func(x *authn.TextSettings) {
		x.Providers = append(x.Providers, authn.TextProvider{Driver: "twilio", Account: "AC00000000000000000000000000000001", Secret: textsKey, From: "ACME"})
	})
	now := s.Clock.Now()
	note := func(name string, version int64, failed string) {
		t.Helper()
		if err := s.Store.ProviderHealthNoted(t.Context(), s.Company.ID, authn.SMS, name, version, now, failed); err != nil {
			t.Fatal(err)
		}
	}
	note("inbox-1", 1, "")
	note("twilio-2", 1, "sign_in credentials")
	b := newBrowser(t, s)
	b.signIn(priya).get(textsPage).want(200, textsPage)
	b.shows("fieldset .note", "does not accept account and secret").shows("fieldset .pill", "Working").shows(".row-between .pill", "Not working")
	if n := len(b.doc.all("input[name=countries]")); n < 200 {
		t.Errorf("%d countries", n)
	}
	if _, there := b.doc.one(t, "#to-PL").attrs["checked"]; !there || b.doc.one(t, "#to-SE").has("checked") {
		t.Error("the chosen countries are not marked")
	}
	// What a browser sends of several ticked boxes, in one form.
	action, values := b.fill(b.form(textsForm), "do", "save", "home", "PL")
	values["countries"] = []string{"SE", "NO", "PL"}
	b.send(http.MethodPost, action, values)
	b.follow().want(200, textsPage)
	st, err := s.Providers.TextsOf(t.Context(), s.Company.ID)
	if err != nil || !slices.Equal(st.Settings.Countries, []string{"PL", "SE", "NO"}) || !st.HasSecret[1] {
		t.Errorf("%v, %v", st.Settings.Countries, err)
	}
}

// Two owners at once: the second is told, and saves nothing, also after a test.
func TestTextsPage_conflict(t *testing.T) {
	s := newServer(t, withTwilio(t))
	s.UseTexts(t, s.Company)
	a, b := newBrowser(t, s), newBrowser(t, s)
	a.signIn(owner(t, s, s.Company, "priya")).get(textsPage)
	b.signIn(owner(t, s, s.Company, "ada")).get(textsPage)
	a.submit(textsForm, "do", "save", "day_texts", "10").want(200, textsPage)
	b.submit(textsForm, "do", "test", "day_texts", "20", "to", textsNumber).want(200, textsPage)
	b.submit(textsForm, "do", "save", "day_texts", "20").want(200, textsPage)
	if got := b.doc.one(t, "#day_texts").attrs["value"]; got != "10" {
		t.Errorf("saved over another's change: %s", got)
	}
	b.doc.one(t, "#notice")
}

// The page of Duo, in every language, without JavaScript.
func TestDuoPage_S33(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			priya := owner(t, s, s.Company, "priya")
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya).get("/account").want(200, "/account")
			b.doc.one(t, "nav.side a[href="+duoPage+"]")
			b.get(duoPage).want(200, duoPage)
			good := []string{"ikey", sallyporttest.DuoIKey, "skey", duoKey, "host", sallyporttest.DuoHost}
			with := func(pairs ...string) []string { return append(slices.Clone(good), pairs...) }
			b.submit(duoForm, with("do", "save", "ikey", "", "skey", "short", "host", "127.0.0.1")...).want(422, duoPage)
			if n := len(b.doc.all("[aria-invalid=true]")); n != 3 {
				t.Errorf("%d fields are wrong", n)
			}
			b.submit(duoForm, with("do", "connect")...).want(200, duoPage) // nobody answers
			if n := len(b.doc.all("main ol li")); n != 1 {
				t.Errorf("%d steps", n)
			}
			s.Duo = sallyporttest.NewDuo(t, sallyporttest.DuoConfig{Now: func() time.Time { return s.Clock.Now().Add(45 * time.Second) }})
			b.submit(duoForm, with("do", "connect")...).want(200, duoPage)
			if n := len(b.doc.all("main ol li")); n != 3 || len(b.doc.all("main ol .note.warn")) != 1 {
				t.Errorf("%d steps", n)
			}
			b.submit(duoForm, with("do", "connect", "skey", strings.Repeat("0", 40))...).want(200, duoPage)
			if len(b.doc.all("main ol .note.danger")) != 1 {
				t.Error("wrong keys are accepted")
			}
			b.submit(duoForm, with("do", "save", "let_in", "yes")...).want(200, duoPage)
			if b.doc.one(t, "#skey").attrs["value"] != "" || b.doc.one(t, "#host").attrs["value"] != sallyporttest.DuoHost || !b.doc.one(t, "#let_in").has("checked") {
				t.Error("saved, but the page does not show it")
			}
			b.submit(duoForm, "do", "connect").want(200, duoPage)
			b.submit(duoForm, "do", "save", "host", "api-1badcafe.duosecurity.com").want(422, duoPage)
			for range provider.TestsPerHour {
				b.submit(duoForm, "do", "connect", "host", sallyporttest.DuoHost)
			}
			b.want(429, duoPage)
			b.get(duoPage).submit(removeForm, "do", "remove").want(200, duoPage)
			s.Clock.Advance(11 * time.Minute)
			b.begin(duoPage).submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, duoPage)
			if strings.Contains(b.doc.words(), duoKey) {
				t.Error("the page holds the secret key")
			}
		})
	}
}

// Nobody but owners sees either page, and a server without has none.
func TestProviderPagesAreTheOwners(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.signIn(s.AddUser(t, s.Company, "maya", true)).get("/account")
	for _, path := range []string{textsPage, duoPage} {
		if len(b.doc.all("nav.side a[href="+path+"]")) != 0 {
			t.Errorf("the navigation leads to %s", path)
		}
		b.send(http.MethodGet, path, nil)
		b.want(403, path)
		b.get("/account")
		_, values := b.fill(b.form(signOutForm))
		b.send(http.MethodPost, path, url.Values{"form": values["form"], "do": {"remove"}})
		b.want(403, path)
		b.get("/account")
	}
	n := newServer(t, sallyporttest.NoMail(), func(c *sallyport.Config) { c.Duo = nil })
	none := newBrowser(t, n)
	none.signIn(owner(t, n, n.Company, "priya")).get(textsPage).want(404, textsPage).get(duoPage).want(404, duoPage)
}
