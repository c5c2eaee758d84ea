package web_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// tries is how many guesses at a person's app were charged.
func tries(t testing.TB, s *sallyporttest.Server, p sallyporttest.Person) int {
	t.Helper()
	n := 0
	for _, f := range factorsOf(t, s, p) {
		for _, c := range f.Counts {
			if f.Kind == authn.TOTP {
				n += c.Tries
			}
		}
	}
	return n
}

func factorsOf(t testing.TB, s *sallyporttest.Server, p sallyporttest.Person) []authn.Factor {
	t.Helper()
	_, factors, err := s.Directory.Lookup(context.Background(), s.Company, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return factors
}

func eventsOf(t testing.TB, s *sallyporttest.Server) int {
	t.Helper()
	list, err := s.Audit.Events(context.Background(), s.Company.ID, authn.EventQuery{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range list {
		if e.Type != "access.refused" { // that somebody looked where they may not is on record, and is no change
			n++
		}
	}
	return n
}

// evilPaths are what should not be led to (cve-64).
var evilPaths = []string{
	"//evil.example", "/\\evil.example", "\\\\evil.example", "/%2f%2fevil.example", "/%5cevil.example", "https:evil.example",
	"https://evil.example/", "/@evil.example", "//user@evil.example", "/\tevil", "/\n/evil.example", "javascript:alert(1)",
	" /account", "/../..//evil.example", "/%09/evil.example", "", "account", "/a\x00b", "/\u2028//evil.example",
}

func TestOpenRedirects_cve64(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	for _, evil := range evilPaths {
		b := newBrowser(t, s)
		s.Clock.Advance(30 * time.Second)
		b.get("/signin?return_to=" + url.QueryEscape(evil))
		if got := b.doc.one(t, "[novalidate] [name=return_to]").attrs["value"]; got != "" {
			t.Errorf("%q is in the form as %q", evil, got)
		}
		action, values := b.fill(b.form(mainForm), "login", "maya", "password", sallyporttest.Password)
		values.Set("return_to", evil)
		b.send(http.MethodPost, action, values)
		if b.status == 422 { // NUL: refused as a form
			continue
		}
		b.follow().submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
		if got := b.header.Get("Refresh"); got != "0; url=/account/security" {
			t.Errorf("%q: %s", evil, got)
		}
		b.send(http.MethodGet, "/account/confirm?for=password&then="+url.QueryEscape(evil), nil)
		if got := b.header.Get("Location"); got != "/account/password" {
			t.Errorf("then=%q leads to %s", evil, got)
		}
		if got := b.get("/account/confirm?then="+url.QueryEscape(evil)).doc.one(t, "[name=then]").attrs["value"]; got != "/account/security" {
			t.Errorf("then=%q is in the form as %s", evil, got)
		}
		action, values = b.fill(b.form(mainForm))
		values.Set("then", evil)
		b.send(http.MethodPost, action, values)
		b.follow().want(200, "/account/confirm/att_.*")
		s.Clock.Advance(30 * time.Second)
		action, values = b.fill(b.form(mainForm), "code", s.Code(t, maya.Secret))
		values.Set("then", evil)
		b.send(http.MethodPost, action, values)
		if got := b.header.Get("Location"); b.status != 303 || got != "/account/security" {
			t.Errorf("then=%q leads to %s", evil, got)
		}
		b.get("/account")
		_, values = b.fill(b.form(".menu-theme"))
		values.Set("back", evil)
		b.send(http.MethodPost, "/appearance", values)
		if got := b.header.Get("Location"); got != "/account/security" {
			t.Errorf("back=%q leads to %s", evil, got)
		}
	}
	b := newBrowser(t, s)
	s.Clock.Advance(30 * time.Second)
	b.get("/signin?return_to="+url.QueryEscape("/account?a=b&c=d#e")).submit(mainForm, "login", "maya", "password", sallyporttest.Password)
	b.submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
	if got := b.header.Get("Refresh"); got != "0; url=/account?a=b&c=d#e" {
		t.Errorf("a good one: %s", got)
	}
}

// The page reads what was stored, not what is asked for.
func TestContinueTakesNoAddress_rul7(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s).signIn(s.AddUser(t, s.Company, "maya", false))
	b.get("/continue?to=//evil.example&return_to=/account&url=/x").want(200, "/continue")
	if got := b.header.Get("Refresh"); got != "0; url=/account/security" {
		t.Error(got)
	}
}

var hostile = []string{
	`<script>alert(1)</script>`, `"onx="1" autofocus onfocus="alert(1)`, `'><img src=x onerror=alert(1)>`, `</title><b>`,
	`{{.Form}} ${1} {Count}`, "javascript:alert(1)", `&lt;b&gt;&#34;`, `--><!--`, "\ue0000\ue001",
}

// The strict parser and the checks of every page find what gets through.
func TestHostileNames_cve65(t *testing.T) {
	for _, evil := range append(hostile, "\u202egnp.exe", "\u2067x\u2066") {
		t.Run(evil, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			company := strings.NewReplacer(":", "", "\u202e", "", "\u2067", "", "\u2066", "").Replace(evil)
			s.Company = s.AddCompany(t, "evil", company+" x")
			u, err := s.Directory.CreateUser(context.Background(), s.Company, directory.NewUser{Login: company + "x", Name: "x", Password: sallyporttest.Password})
			if err != nil {
				t.Fatal(err)
			}
			// What the front door refuses may come in by another one.
			u.Name = evil
			err = s.Store.Decide(context.Background(), authn.Keys{Company: u.Company, User: u.ID, Now: s.Clock.Now()}, func(*authn.Rows) authn.Verdict {
				return authn.Accept(authn.Event{Company: u.Company, ID: authn.NewID(authn.EventID, s.Clock.Now(), rand.Reader), Type: evil,
					Target: u.ID, Result: authn.Refused, At: s.Clock.Now(), Personal: authn.Personal{Agent: evil, Detail: map[string]string{"reason": evil}}}, authn.PutUser{User: u})
			})
			if err != nil {
				t.Fatal(err)
			}
			b := newBrowser(t, s)
			b.get("/c/evil/signin?return_to="+url.QueryEscape("/"+evil)).submit(mainForm, "login", evil, "password", "wrong").want(422, "/c/evil/signin")
			if got := b.doc.one(t, "#login").attrs["value"]; got != evil {
				t.Errorf("typed %q, shown %q", evil, got)
			}
			b.submit(mainForm, "login", u.Login, "password", sallyporttest.Password).want(200, "/continue")
			b.get("/account/security").shows(".menu-who", evil).shows(".brand", strings.TrimSpace(company))
			b.get("/account").submit("main form[action=/account]", "name", evil)
			b.get("/account/security").submit(syncForm).want(200, "/account/confirm/att_.*").submit(mainForm, "password", sallyporttest.Password)
			b.want(200, "/account/security/app/fac_.*")
			secret, err := otp.DecodeSecret(b.doc.one(t, "#key").attrs["data-value"])
			if err != nil {
				t.Fatal(err)
			}
			b.submit(mainForm, "code", s.Code(t, secret)).saved()
			for _, page := range []string{"/account/devices", "/account/activity", "/account/security/backup-codes", "/account/security/backup-codes/new", "/account/email", "/account/security/app/off"} {
				b.get(page).want(200, page)
			}
			_, values := b.get("/account/devices").fill(b.form("#devices .item form"))
			values.Set("name", evil)
			b.send(http.MethodPost, b.form("#devices .item form").attrs["action"], values)
			b.follow()
			b.get("/account/confirm?for=" + url.QueryEscape(evil) + "&then=" + url.QueryEscape(evil))
			b.get("/account/security?done=" + url.QueryEscape(evil))
			b.get("/"+url.PathEscape(evil)).want(404, ".*")
			b.submitFreshEvil(u.Login, s.Code(t, secret))
		})
	}
}

// submitFreshEvil draws the code page too.
func (b *browser) submitFreshEvil(login, code string) {
	b.t.Helper()
	b.get("/signout").submit(mainForm).submit(mainForm, "login", login, "password", sallyporttest.Password)
	b.want(200, "/c/evil/signin/att_.*").submit(mainForm, "code", code).want(422, ".*")
}

// state is what a forged form would change.
func state(t testing.TB, s *sallyporttest.Server, p sallyporttest.Person) string {
	t.Helper()
	u, factors, err := s.Directory.Lookup(context.Background(), s.Company, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	out := u.Name + u.Locale + u.PasswordChangedAt.String()
	for _, f := range factors {
		out += f.ID + string(f.State)
	}
	list, err := s.Store.Sessions(context.Background(), s.Company.ID, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		out += one.ID
	}
	return out
}

// Every POST route of ours, from another site, with our cookies and without the
// value of the form.
func TestForgedForms_cve66(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya).get("/account").submit(syncForm)
	pending := strings.TrimPrefix(b.path, "/account/security/app/")
	before := state(t, s, maya)
	full := url.Values{"login": {"maya"}, "password": {sallyporttest.Password}, "name": {"Mallory"}, "theme": {"dark"}, "factor": {maya.Factor},
		"replaces": {maya.Factor}, "code": {"123456"}, "version": {"1"}, "current": {sallyporttest.Password}, "new": {"seven green tractors"}, "confirm": {"seven green tractors"}}
	posts := 0
	for _, route := range s.Routes() {
		path, ok := strings.CutPrefix(route, "POST ")
		if !ok || strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/callbacks/") {
			continue // their credential is no cookie
		}
		posts++
		path = strings.NewReplacer("{company}", "acme", "{attempt}", "att_00000000000000000000000000", "{factor}", pending, "{session}", "ses_00000000000000000000000000").Replace(path)
		token := url.Values{"form": {b.formValue()}}
		for k, v := range full {
			token[k] = v
		}
		for name, headers := range map[string][]string{
			"cross-site":  {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
			"same-site":   {"Sec-Fetch-Site", "same-site"},
			"old browser": {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
			"null origin": {"Sec-Fetch-Site", "", "Origin", "null"},
			"neither":     {"Sec-Fetch-Site", "", "Origin", ""},
		} {
			if b.send(http.MethodPost, path, token, headers...); b.status != 403 {
				t.Errorf("%s, %s: %d", path, name, b.status)
			}
		}
		for name, value := range map[string]string{"missing": "", "wrong": "00000000000000000000000000", "somebody else's": httpserveForm("other")} {
			form := url.Values{"form": {value}}
			for k, v := range full {
				form[k] = v
			}
			if value == "" {
				form.Del("form")
			}
			b.send(http.MethodPost, path, form)
			if b.status != 403 && !(b.status == 404 && strings.Contains(path, "att_")) {
				t.Errorf("%s, form value %s: %d", path, name, b.status)
			}
		}
		// The value in the address is not the value in the form.
		if b.send(http.MethodPost, path+"?form="+b.formValue(), full); b.status != 403 && b.status != 404 {
			t.Errorf("%s takes the value from the address: %d", path, b.status)
		}
		// An Authorization header lifts the rule about sites, so the cookie must
		// not speak for such a request.
		b.send(http.MethodPost, path, token, "Sec-Fetch-Site", "", "Origin", "", "Authorization", "Bearer x")
		if got := state(t, s, maya); got != before {
			t.Fatalf("%s changed something", path)
		}
	}
	if posts < 14 {
		t.Errorf("only %d routes", posts)
	}
	if b.get("/account").want(200, "/account").doc.one(t, "html").has("data-theme") {
		t.Error("a forged form changed the theme")
	}
}

// formValue is the value of the forms of the page for somebody signed in.
func (b *browser) formValue() string { return httpserveForm(b.cookie("sallyport_session")) }

// std-57, rule 18: looking changes nothing, as often as one likes.
func TestGetsChangeNothing_std57(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	other := newBrowser(t, s)
	other.password("maya", sallyporttest.Password)
	attempt := strings.TrimPrefix(other.path, "/signin/")
	b := newBrowser(t, s)
	b.signIn(maya).get("/account").submit(syncForm)
	secret, err := otp.DecodeSecret(b.doc.one(t, "#key").attrs["data-value"])
	if err != nil {
		t.Fatal(err)
	}
	b.submit(mainForm, "code", s.Code(t, secret)).want(200, "/account/security/backup-codes").get("/account").submit(syncForm)
	link := strings.TrimPrefix(notMe(t, s, mayaAt), "/not-me/")
	pending := strings.TrimPrefix(b.path, "/account/security/app/")
	session := b.get("/account/devices").doc.one(t, "#devices .item").attrs["id"]
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/confirm").submit(mainForm, "code", "000000")
	stepUp, _, _ := strings.Cut(strings.TrimPrefix(b.path, "/account/confirm/"), "?")
	before, events := state(t, s, maya), eventsOf(t, s)
	for _, route := range s.Routes() {
		path, ok := strings.CutPrefix(route, "GET ")
		if !ok || strings.HasPrefix(path, "/api/") {
			continue
		}
		id := attempt
		if strings.Contains(path, "confirm") {
			id = stepUp
		}
		path = strings.NewReplacer("{company}", "acme", "{attempt}", id, "{factor}", pending, "{session}", session, "{token}", link, "{$}", "").Replace(path)
		for _, query := range []string{"", "?code=123456&form=" + b.formValue() + "&theme=dark&name=x&way=choose&again=wrong_code&done=password"} {
			b.send(http.MethodGet, path+query, nil)
			other.send(http.MethodGet, path+query, nil)
			if b.status >= 500 || other.status >= 500 {
				t.Errorf("%s: %d, %d", path, b.status, other.status)
			}
		}
	}
	if state(t, s, maya) != before || eventsOf(t, s) != events {
		t.Errorf("something changed: %d events, then %d", events, eventsOf(t, s))
	}
	b.get("/account").want(200, "/account")
}

// An address alone opens nothing (ruling 47).
func TestAnotherBrowser_rul47(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b, thief := newBrowser(t, s), newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	thief.get(path).want(404, path).shows("h1", "can’t go on here")
	action, values := b.fill(b.form(mainForm), "code", s.Code(t, maya.Secret))
	thief.send(http.MethodPost, action, values)
	thief.want(404, path)
	values.Set("form", httpserveForm(thief.cookie("sallyport_browser")))
	thief.send(http.MethodPost, action, values)
	thief.want(404, path)
	if thief.cookie("sallyport_session") != "" || tries(t, s, maya) != 0 {
		t.Error("in, or charged")
	}
	b.submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/continue")
}

// A step-up is of one session; as a sign-in it does not exist.
func TestStepUpIsNoSignIn(t *testing.T) {
	s := newServer(t)
	maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", true)
	b, o := newBrowser(t, s), newBrowser(t, s)
	b.signIn(maya)
	o.signIn(omar)
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/confirm").submit(mainForm, "code", s.WrongCode(t, maya.Secret))
	attempt, _, _ := strings.Cut(strings.TrimPrefix(b.path, "/account/confirm/"), "?")
	b.get("/signin/"+attempt).want(404, ".*")
	o.get("/account/confirm/"+attempt).want(200, "/account/confirm")
	_, values := o.begin("/account/confirm").fill(o.form(mainForm), "code", s.Code(t, omar.Secret))
	values.Set("version", "2")
	o.send(http.MethodPost, "/account/confirm/"+attempt, values)
	if got := o.header.Get("Location"); o.status != 303 || got != "/account/confirm" {
		t.Errorf("%d %s", o.status, got)
	}
	if tries(t, s, maya) != 1 {
		t.Error("charged to somebody else")
	}
}

// Reload, Back and a double click of what was sent already (ruling 49).
func TestStaleForms_rul49(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	action, wrong := b.fill(b.form(mainForm), "code", s.WrongCode(t, maya.Secret))
	b.send(http.MethodPost, action, wrong)
	b.want(422, path)
	for range 5 {
		b.send(http.MethodPost, action, wrong)
		if b.status != 303 || b.header.Get("Location") != path {
			t.Fatalf("%d", b.status)
		}
	}
	for _, version := range []string{"", "0", "-1", "99", "x", "1e3"} {
		wrong.Set("version", version)
		if b.send(http.MethodPost, action, wrong); b.status != 303 {
			t.Errorf("version %q: %d", version, b.status)
		}
	}
	if got := tries(t, s, maya); got != 1 {
		t.Fatalf("%d tries were charged", got)
	}
	b.get(path)
	action, right := b.fill(b.form(mainForm), "code", s.Code(t, maya.Secret))
	b.send(http.MethodPost, action, right)
	b.follow().want(200, "/continue")
	session := b.cookie("sallyport_session")
	b.send(http.MethodPost, action, right)
	b.follow().want(200, "/continue").get(path).want(200, "/continue")
	if b.cookie("sallyport_session") != session {
		t.Error("two sessions for one code")
	}
}

// A double click: the browser throws the answer to the first one away, with the
// session in it, and shows the second (ruling 49).
func TestLostAnswer_rul49(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	action, right := b.fill(b.form(mainForm), "code", s.Code(t, maya.Secret))
	b.send(http.MethodPost, action, right)
	lost := b.cookie("sallyport_session")
	b.setCookie("sallyport_session", "")
	stranger := newBrowser(t, s)
	stranger.get("/signin")
	stranger.send(http.MethodPost, action, right)
	if stranger.cookie("sallyport_session") != "" {
		t.Fatal("another browser got the session")
	}
	b.send(http.MethodPost, action, right)
	given := b.cookie("sallyport_session")
	b.follow().want(200, "/continue").get("/account/security").want(200, "/account/security")
	if given == "" || given != lost {
		t.Errorf("the lost session was %q, this is %q", lost, given)
	}
	if list, err := s.Store.Sessions(t.Context(), maya.Company, maya.ID); err != nil || len(list) != 1 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	s.Clock.Advance(11 * time.Second)
	b.setCookie("sallyport_session", "")
	b.send(http.MethodPost, action, right)
	if b.cookie("sallyport_session") != "" {
		t.Error("given once more after eleven seconds")
	}
	b.follow().follow().want(200, "/signin")
	if got := tries(t, s, maya); got != 0 {
		t.Errorf("%d tries were charged", got)
	}
}

// A blank or impossible code opens nothing, and neither does an empty form.
func TestNoCode_cve36_cve40(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	path := b.path
	for _, code := range []string{"", " ", "0", "000000", "null", "[]", "1234567", "12345678", "-12345", "+12345", "1e5000", "٠٠٠٠٠٠", s.Code(t, maya.Secret) + "0"} {
		b.get(path)
		action, values := b.fill(b.form(mainForm))
		values.Set("code", code)
		b.send(http.MethodPost, action, values)
		b.want(422, path)
	}
	for _, form := range []url.Values{{}, {"code": {s.Code(t, maya.Secret)}}, {"version": {"1"}, "factor": {maya.Factor}}} {
		b.send(http.MethodPost, path, form)
		b.want(403, path)
	}
	if b.cookie("sallyport_session") != "" {
		t.Error("in")
	}
}

// With the password alone every page of the account asks for the sign-in.
func TestHalfSignedIn_cve32_F2(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	token := httpserveForm(b.cookie("sallyport_browser"))
	for _, route := range s.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if !strings.HasPrefix(path, "/account") && path != "/continue" {
			continue
		}
		path = strings.NewReplacer("{attempt}", "att_00000000000000000000000000", "{factor}", maya.Factor).Replace(path)
		var form url.Values
		if method == "POST" {
			form = url.Values{"form": {token}}
		}
		b.send(method, path, form)
		if got := b.header.Get("Location"); b.status != 303 || !strings.HasPrefix(got, "/signin") {
			t.Errorf("%s: %d %s", route, b.status, got)
		}
	}
}

// A new session at every level, and the one before is worth nothing (cve-37).
func TestSessionChanges_cve37(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.setCookie("sallyport_session", "sp_ses_planted")
	b.signIn(maya)
	seen := []string{"sp_ses_planted"}
	next := func(what string) {
		t.Helper()
		now := b.cookie("sallyport_session")
		for _, old := range seen {
			if old == now {
				t.Errorf("%s: the same session", what)
			}
			x := newBrowser(t, s)
			x.setCookie("sallyport_session", old)
			x.get("/account").want(200, "/signin")
		}
		seen = append(seen, now)
	}
	next("signed in")
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/confirm").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/account/security")
	next("confirmed")
	b.submit(syncForm)
	secret, err := otp.DecodeSecret(b.doc.one(t, "#key").attrs["data-value"])
	if err != nil {
		t.Fatal(err)
	}
	b.submit(mainForm, "code", s.Code(t, secret))
	next("app replaced")
	b.get("/account/security/app/off").submit(mainForm)
	next("app turned off")
	b.get("/account/password").submit(mainForm, "current", sallyporttest.Password, "new", "seven green tractors", "confirm", "seven green tractors")
	next("password changed")
	b.submit(signOutForm)
	next("signed out")
}

// One person's set-up is not another's (cve-58).
func TestOthersFactors_cve58(t *testing.T) {
	s := newServer(t)
	maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", true)
	b, o := newBrowser(t, s), newBrowser(t, s)
	b.signIn(maya).get("/account").submit(syncForm)
	path, before := b.path, state(t, s, maya)
	o.signIn(omar).get("/account")
	values := url.Values{"form": {o.formValue()}, "code": {"123456"}, "factor": {maya.Factor}, "replaces": {maya.Factor}}
	o.get(path).want(404, path)
	if strings.Contains(o.doc.words(), "otpauth") || len(o.doc.all("#key")) != 0 {
		t.Error("the key is shown")
	}
	o.get("/account/security/app/"+maya.Factor).want(404, ".*")
	for _, p := range []string{path + "/confirm", path + "/cancel", "/account/security/app/off", "/account/security/app"} {
		o.send(http.MethodPost, p, values)
		if state(t, s, maya) != before {
			t.Fatalf("%s changed somebody else's", p)
		}
	}
	b.get(path).want(200, path)
}

// cve-50: an open session alone sets up, replaces and removes nothing.
func TestFreshProof_cve50(t *testing.T) {
	s := newServer(t)
	maya, omar := s.AddUser(t, s.Company, "maya", true), s.AddUser(t, s.Company, "omar", false)
	b, o := newBrowser(t, s), newBrowser(t, s)
	b.signIn(maya)
	o.signIn(omar)
	s.Clock.Advance(10 * time.Minute)
	before := state(t, s, maya) + state(t, s, omar)
	b.get("/account").submit(syncForm).want(200, "/account/confirm/att_.*").shows("#act", "to set up")
	o.get("/account").submit(syncForm).want(200, "/account/confirm/att_.*")
	if len(o.doc.all("main #password")) != 1 || len(b.doc.all("main #code")) != 1 {
		t.Error("the wrong proof is asked for")
	}
	b.send(http.MethodPost, "/account/security/app/off", url.Values{"form": {b.formValue()}, "factor": {maya.Factor}})
	if b.follow().want(200, "/account/confirm/att_.*"); !strings.Contains(b.doc.one(t, "#act").words(), "turn off your authenticator app") {
		t.Errorf("asks %s", b.doc.one(t, "#act").words())
	}
	b.send(http.MethodPost, "/account/password", url.Values{"form": {b.formValue()}, "current": {sallyporttest.Password}, "new": {"seven green tractors"}, "confirm": {"seven green tractors"}})
	if b.follow().want(200, "/account/confirm/att_.*"); !strings.Contains(b.doc.one(t, "#act").words(), "change your password") {
		t.Errorf("asks %s", b.doc.one(t, "#act").words())
	}
	if state(t, s, maya)+state(t, s, omar) != before {
		t.Error("something changed")
	}
	// The password is no proof for somebody who has an app.
	action, values := b.begin("/account/confirm").fill(b.form(mainForm))
	values.Set("password", sallyporttest.Password)
	values.Set("code", "")
	for _, kind := range []string{"totp", "password", "", "email", "backup_code"} {
		values.Set("kind", kind)
		b.send(http.MethodPost, action, values)
		if b.status != 422 && b.status != 303 {
			t.Errorf("as %q: %d", kind, b.status)
		}
	}
	b.get("/account/password").want(200, "/account/confirm")
}

// cve-24: one code sent many times at once is one session.
func TestOneCodeAtOnce_cve24(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.password("maya", sallyporttest.Password)
	action, values := b.fill(b.form(mainForm), "code", s.Code(t, maya.Secret))
	u, _ := url.Parse(s.URL)
	cookies := b.http.Jar.Cookies(u)
	var wg sync.WaitGroup
	var mu sync.Mutex
	in := map[string]bool{}
	for range 20 {
		wg.Go(func() {
			req, _ := http.NewRequest(http.MethodPost, s.URL+action, strings.NewReader(values.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Sec-Fetch-Site", "same-origin")
			for _, c := range cookies {
				req.AddCookie(c)
			}
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				return
			}
			res.Body.Close()
			for _, c := range res.Cookies() {
				if c.Name == "sallyport_session" && c.Value != "" {
					mu.Lock()
					in[c.Value] = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(in) != 1 {
		t.Errorf("%d sessions", len(in))
	}
	if list, err := s.Store.Sessions(t.Context(), maya.Company, maya.ID); err != nil || len(list) != 1 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}
