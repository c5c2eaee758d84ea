package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

const (
	backTo    = "https://app.example.com/back?x=1"
	backNonce = "n-0S6_WzA2Mj-of-16"
)

// returning is a server with an application on another origin: its key may both.
func returning(t *testing.T) (*sallyporttest.Server, sallyporttest.Person, authn.Token) {
	t.Helper()
	s := newServer(t, func(c *sallyport.Config) {
		c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details"}}
	})
	maya := s.AddUser(t, s.Company, "maya", true)
	_, token := s.AddApplication(t, s.Company, "app", backTo, "attempts.assert", "grants.redeem")
	return s, maya, token
}

// handed is what the page that leads on carries; it says so twice, for those whose
// browser does not go by itself.
func (b *browser) handed() string {
	b.t.Helper()
	to := b.doc.one(b.t, "main a.btn").attrs["href"]
	handle, ok := strings.CutPrefix(to, backTo+"&handle=")
	if !ok || b.status != 200 || b.header.Get("Refresh") != "0; url="+to || b.header.Get("Location") != "" || b.header.Get("Cache-Control") != "no-store" {
		b.t.Fatalf("%s (%d) leads to %q, %q", b.path, b.status, to, b.header.Get("Refresh"))
	}
	return handle
}

func told(t *testing.T, s *sallyporttest.Server, key authn.Token, handle string) directory.ToldOf {
	t.Helper()
	got, err := s.Directory.RedeemHandle(t.Context(), directory.Program(key, authn.Client{}), handle)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// rul-57: signing in leads to the application, in this browser and with this nonce; who
// is signed in already is asked first.
func TestReturnPages_rul57(t *testing.T) {
	s, maya, key := returning(t)
	link := "/signin?return_to=" + url.QueryEscape(backTo) + "&nonce=" + backNonce
	b := newBrowser(t, s)
	b.get(link).want(200, "/signin").submit(mainForm, "login", "maya", "password", "wrong").want(422, "/signin") // it is not lost
	b.submit(mainForm, "login", "maya", "password", sallyporttest.Password).submit(mainForm, "code", s.Code(t, maya.Secret))
	got := told(t, s, key, b.handed())
	if got.User.ID != maya.ID || got.Handle.Nonce != backNonce || got.Handle.Kind != authn.SignInHandle || got.Handle.ACR != authn.AAL2 {
		t.Errorf("%+v", got)
	}
	before := eventsOf(t, s)
	b.get("/continue").want(200, "/continue").shows("main", "app.example.com")
	b.get(link).want(200, "/signin").shows("main", "Test maya")
	if n := eventsOf(t, s); n != before || b.header.Get("Refresh") != "" {
		t.Errorf("looking made %d events", n-before)
	}
	b.submit(mainForm)
	again := told(t, s, key, b.handed())
	if again.Session.ID != got.Session.ID || !again.Handle.AuthTime.Equal(got.Handle.AuthTime) {
		t.Errorf("%+v", again)
	}
	// The form leads to what is registered, and only for whoever is signed in.
	b.get(link)
	action, values := b.fill(b.form(mainForm))
	values.Set("return_to", "https://evil.example/#"+backNonce)
	b.send(http.MethodPost, action, values)
	if b.status != 422 || strings.Contains(b.header.Get("Refresh"), "evil") {
		t.Errorf("%d %s", b.status, b.header.Get("Refresh"))
	}
	stranger := newBrowser(t, s)
	stranger.send(http.MethodPost, "/return", url.Values{"return_to": {backTo + "#" + backNonce}})
	if stranger.status != http.StatusSeeOther || !strings.HasPrefix(stranger.header.Get("Location"), "/signin") {
		t.Errorf("without a session: %d %s", stranger.status, stranger.header.Get("Location"))
	}
	// Taken away meanwhile: signed in, and at home.
	late := newBrowser(t, s).get(link)
	late.submit(mainForm, "login", "maya", "password", sallyporttest.Password)
	if _, err := s.Directory.RemoveReturnAddress(t.Context(), directory.TheOperator(s.Company.ID), "app", backTo, ""); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(30 * time.Second)
	late.submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
	if to := late.doc.one(t, "main a.btn").attrs["href"]; !strings.HasPrefix(to, "/") {
		t.Errorf("leads to %s", to)
	}
}

// std-59, cve-64: what is nearly the address is as if it were not there.
func TestReturnPages_std59_cve64(t *testing.T) {
	s, _, _ := returning(t)
	b := newBrowser(t, s)
	for _, to := range []string{
		"https://app.example.com/back", backTo + "&handle=x", backTo + "&y", "https://app.example.com:8443/back?x=1", "https://APP.example.com/back?x=1", "HTTPS://app.example.com/back?x=1",
		"https://app.example.com./back?x=1", "https://app.example.com@evil.example/back?x=1", "https://x:y@app.example.com/back?x=1", "https://app.example.com%2f@evil.example/back?x=1",
		`https:\\app.example.com/back?x=1`, `https://app.example.com\@evil.example/back?x=1`, "//app.example.com/back?x=1", "http://app.example.com/back?x=1", "https://app.example.com/%62ack?x=1",
		"https://app.example.com/x/../back?x=1", "https://evil.example/?" + backTo, backTo + "%0d%0aLocation: https://evil.example", backTo + " ", "https://app.example.com%00.evil.example/back?x=1",
	} {
		b.get("/signin?return_to=" + url.QueryEscape(to) + "&nonce=" + backNonce)
		if b.status != 200 || b.doc.one(t, "[novalidate] [name=return_to]").attrs["value"] != "" {
			t.Errorf("%q: %d %q", to, b.status, b.doc.one(t, "[novalidate] [name=return_to]").attrs["value"])
		}
	}
	for _, nonce := range []string{"", "short", strings.Repeat("x", 201), "n-0S6_WzA2Mj of-16", "<script>alert(1)</script>"} {
		b.get("/signin?return_to=" + url.QueryEscape(backTo) + "&nonce=" + url.QueryEscape(nonce))
		if got := b.doc.one(t, "[novalidate] [name=return_to]").attrs["value"]; got != "" {
			t.Errorf("nonce %q: %q", nonce, got)
		}
	}
}

// rul-57: a fresh proof for an action of an application, and back with it.
func TestReturnAfterConfirmPage_rul57_cve52(t *testing.T) {
	s, maya, key := returning(t)
	b := newBrowser(t, s).signIn(maya)
	const hash = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	link := "/account/confirm?action=billing.change&return_to=" + url.QueryEscape(backTo) + "&nonce=" + backNonce + "&request_hash=" + hash
	b.get(link).want(200, "/account/confirm").shows("#act", "change the billing details")
	b.submit(beginForm).want(200, "/account/confirm/att_.*").shows("#act", "change the billing details")
	s.Clock.Advance(30 * time.Second)
	b.submit(mainForm, "code", s.Code(t, maya.Secret))
	got := told(t, s, key, b.handed())
	if got.Handle.Kind != authn.StepUpHandle || got.Handle.Action != "billing.change" || got.Handle.RequestHash != hash || got.User.ID != maya.ID || !got.Handle.AuthTime.Equal(s.Clock.Now()) {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{strings.Replace(link, "app.example.com", "evil.example", 1), strings.Replace(link, backNonce, "x", 1)} {
		if b.get(bad); b.status != 422 {
			t.Errorf("%s: %d", bad, b.status)
		}
	}
	// By way of the sign-in.
	out := newBrowser(t, s).get(link).want(200, "/signin")
	s.Clock.Advance(30 * time.Second)
	out.submit(mainForm, "login", "maya", "password", sallyporttest.Password).submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
	if to := out.doc.one(t, "main a.btn").attrs["href"]; to != link {
		t.Errorf("leads to %s", to)
	}
}

// rul-22 on our pages: one browser does the second step, and comes back without a session.
func TestSecondStepPages_rul22_rul47(t *testing.T) {
	s, maya, key := returning(t)
	begin := func() string {
		t.Helper()
		st, err := s.SignIn.Assert(t.Context(), signin.Assertion{Key: key, User: "maya", Nonce: backNonce, ReturnTo: backTo})
		if err != nil {
			t.Fatal(err)
		}
		return "/second-step/" + st.Token.Reveal()
	}
	link := begin()
	b, thief := newBrowser(t, s), newBrowser(t, s)
	b.get(link).want(200, "/second-step/.*").shows("main", "app.example.com")
	thief.get(link).want(200, "/second-step/.*")
	b.submit(mainForm).want(200, "/signin/att_.*")
	at := b.path
	thief.submit(mainForm).want(404, "/second-step")
	thief.get(at).want(404, at)
	b.get(link).want(200, at) // Back, and forward
	b.submit(mainForm, "code", "000000").want(422, at)
	b.submit(mainForm, "code", s.Code(t, maya.Secret))
	got := told(t, s, key, b.handed())
	if got.Handle.Kind != authn.CallerHandle || got.User.ID != maya.ID || got.Handle.Nonce != backNonce || b.cookie("sallyport_session") != "" {
		t.Errorf("%+v", got)
	}
	b.get(at).want(409, at).shows("main", "app.example.com")
	b.get("/account").want(200, "/signin")
	b.get("/second-step/none").want(404, "/second-step/none")
	// Too late: back to the application, not to our own sign-in.
	link = begin()
	b.get(link).submit(mainForm)
	at = b.path
	s.Clock.Advance(16 * time.Minute)
	b.get(at).want(410, at).shows("main a", "app.example.com")
	newBrowser(t, s).get(link).want(410, link)
	// The token of another kind of attempt opens no such page.
	st, err := s.SignIn.Begin(t.Context(), signin.Begin{Login: "maya", Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	newBrowser(t, s).get("/second-step/"+st.Token.Reveal()).want(404, "/second-step/.*")
}

// rul-22: from every page of such a sign-in, who does not go on gets back to the
// application, without a handle and not to our own sign-in.
func TestSecondStepLeadsBack_rul22(t *testing.T) {
	s, maya, key := returning(t)
	s.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.Required })
	nora := addUnverified(t, s, "nora")
	begin := func(who string) *browser {
		t.Helper()
		st, err := s.SignIn.Assert(t.Context(), signin.Assertion{Key: key, User: who, Nonce: backNonce, ReturnTo: backTo})
		if err != nil {
			t.Fatal(err)
		}
		return newBrowser(t, s).get("/second-step/" + st.Token.Reveal()).submit(mainForm)
	}
	const declined = backTo + "&error=access_denied"
	leads := func(b *browser, status int, want string) {
		t.Helper()
		if b.status != status {
			t.Errorf("%s: %d %s", b.path, b.status, b.title())
		}
		outside := 0
		for _, a := range b.doc.all("main a") {
			if to := a.attrs["href"]; strings.HasPrefix(to, "https:") {
				if outside++; to != want || !strings.Contains(a.words(), "app.example.com") || a.attrs["rel"] != "external noreferrer" {
					t.Errorf("%s: %v %s", b.path, a.attrs, a.words())
				}
			} else if to == "/signin" {
				t.Errorf("%s: %q leads to our own sign-in", b.path, a.words())
			}
		}
		if outside == 0 {
			t.Errorf("%s: nothing leads back: %s", b.path, b.doc.one(t, "main").words())
		}
	}
	b := begin("maya")
	at := b.path
	leads(b, 200, declined)
	leads(b.get(at+"?way=help"), 200, declined)
	leads(b.get(at).submit(mainForm, "code", s.WrongCode(t, maya.Secret)), 422, declined)
	if _, err := s.Directory.RemoveReturnAddress(t.Context(), directory.TheOperator(s.Company.ID), "app", backTo, ""); err != nil {
		t.Fatal(err)
	}
	leads(b.get(at), 200, "https://app.example.com/") // not any more to what is not registered
	if _, err := s.Directory.AddReturnAddress(t.Context(), directory.TheOperator(s.Company.ID), "app", backTo, ""); err != nil {
		t.Fatal(err)
	}
	for b.get(at); len(b.doc.all("#code")) > 0; { // until it rests
		b.submit(mainForm, "code", s.WrongCode(t, maya.Secret))
	}
	leads(b, 429, declined)
	leads(begin(nora.ID), 403, declined)
	// In a sign-in of our own nothing changes.
	s.AddUser(t, s.Company, "omar", true)
	own := newBrowser(t, s).get("/signin?return_to="+url.QueryEscape(backTo)+"&nonce="+backNonce).submit(mainForm, "login", "omar", "password", sallyporttest.Password)
	if a := own.doc.one(t, ".under a"); a.attrs["href"] != "/signin" {
		t.Errorf("%s: %v", own.path, a)
	}
}

// rul-57 on the page of a key.
func TestReturnAddressesOfAKey_rul57(t *testing.T) {
	s := newServer(t)
	priya := owner(t, s, s.Company, "priya")
	b := newBrowser(t, s).signIn(priya)
	k, _, err := s.Directory.CreateKey(t.Context(), directory.TheOperator(s.Company.ID), directory.NewKey{Name: "shop", Owner: priya.ID, Scopes: []string{"grants.redeem"}})
	if err != nil {
		t.Fatal(err)
	}
	page := "/admin/keys/" + k.ID
	for _, bad := range []string{"", "https://app.example.com", "https://*.example.com/", "http://app.example.com/", "https://u@app.example.com/", backTo + "#x"} {
		b.get(page).submit("main form", "do", "return_add", "address", bad).want(422, page)
		if b.doc.one(t, "#address").attrs["aria-invalid"] != "true" {
			t.Errorf("%q is not marked", bad)
		}
	}
	b.get(page).submit("main form", "do", "return_add", "address", backTo, "reason", "the shop").want(200, page).shows("main li", backTo)
	b.submit("main form", "do", "return_remove "+backTo).want(200, page)
	if got := b.doc.one(t, "main").words(); strings.Contains(got, backTo) {
		t.Error("it is still there")
	}
	if list := s.Mail(t, priya.Email); len(list) < 2 {
		t.Errorf("%d letters", len(list))
	}
}
