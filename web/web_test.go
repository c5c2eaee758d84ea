package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
	"github.com/sallyport-mfa/sallyport/web"
)

func httpserveForm(secret string) string { return httpserve.FormValue(secret) }

// allCodes are all codes that there are.
var allCodes = []authn.Code{
	authn.BadRequest, authn.Unauthenticated, authn.StepUpRequired, authn.Forbidden, authn.PolicyForbids, authn.EnrolmentRequired,
	authn.NotFound, authn.MethodNotAllowed, authn.Conflict, authn.Expired, authn.TooLarge, authn.WrongHost, authn.UnsupportedMedia,
	authn.Invalid, authn.WrongCredentials, authn.WrongCode, authn.CodeUsed, authn.Locked, authn.Paused, authn.TooManyRequests,
	authn.MessageNotSent, authn.ProviderUnavailable, authn.Busy, authn.Internal,
}

// S43: every code has a page, with what to do and a number to give to somebody.
func TestErrorPages(t *testing.T) {
	s := newServer(t)
	h, err := web.New(web.Config{SignIn: s.SignIn, Enroll: s.Enroll, Sessions: s.Sessions, Directory: s.Directory, Audit: s.Audit, Branding: s.Branding, Reports: s.Reports,
		Texts: text.Default(), Now: s.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	var fail *authn.Error
	handler := httpserve.Wrap(httpserve.Page(func(http.ResponseWriter, *http.Request) error { return fail }),
		httpserve.Config{Hosts: []string{"example.com"}, Texts: text.Default(), ErrorPage: h.Error, Log: sallyporttest.Quiet()})
	for _, code := range allCodes {
		fail = &authn.Error{Code: code, Err: errors.New("secret cause"), RetryAfter: 5 * time.Minute}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/x", nil))
		if rec.Code != httpserve.Status(code) {
			t.Errorf("%s: %d", code, rec.Code)
		}
		if strings.Contains(rec.Body.String(), "secret") {
			t.Errorf("%s shows its cause", code)
		}
		if code == authn.WrongHost { // plain text, see httpserve
			continue
		}
		doc, err := parseHTML(rec.Body.String())
		if err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		if len(doc.one(t, "h1").words()) < 4 || doc.one(t, "main a").attrs["href"] != "/account/security" {
			t.Errorf("%s: %s", code, doc.words())
		}
		if got := doc.one(t, "main code").words(); got != rec.Header().Get("X-Request-Id") || got == "" {
			t.Errorf("%s: reference %q", code, got)
		}
		if got := doc.one(t, ".note time").words(); got != "09:19 UTC" {
			t.Errorf("%s: until %s", code, got)
		}
		if w := neverSay.FindString(doc.one(t, "main").words()); w != "" && code != authn.UnsupportedMedia {
			t.Errorf("%s says %q", code, w)
		}
	}
}

// The pages that the outer layer refuses look like ours.
func TestRefusedOutside(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	for path, want := range map[string]int{"/nothing": 404, "/signin/": 404, "//signin": 404, "/assets/none.css": 404, "/c//signin": 404} {
		if b.send(http.MethodGet, path, nil); b.status != want || b.doc == nil {
			t.Errorf("%s: %d", path, b.status)
		}
	}
	if b.send(http.MethodPost, "/healthz", map[string][]string{}); b.status != 405 || b.header.Get("Allow") != "GET, HEAD" || b.doc == nil {
		t.Errorf("%d %s", b.status, b.header.Get("Allow"))
	}
	b.get("/signin")
	b.send(http.MethodPost, "/signin", map[string][]string{"login": {strings.Repeat("x", 70_000)}})
	b.want(413, "/signin")
	b.send(http.MethodPost, "/signin", map[string][]string{"login": {"\xff"}})
	b.want(422, "/signin")
	b.send(http.MethodPost, "/signin", map[string][]string{}, "Content-Type", "application/json")
	b.want(415, "/signin")
}

// A link to a company that is not here says so, and leads on; what the link says
// does not come back.
func TestUnknownCompany(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.get("/c/nobody-xyz/signin?return_to=/account&return_to=x").want(404, "/c/nobody-xyz/signin").shows("h1", "No such company here")
	if w := b.doc.one(t, "main").words(); strings.Contains(w, "xyz") {
		t.Error(w)
	}
	if got := b.doc.one(t, "main a.btn").attrs["href"]; got != "/signin?return_to=%2Faccount" {
		t.Errorf("leads to %s", got)
	}
	b.get("/c/nobody/signin?return_to=//evil.example").want(404, "/c/nobody/signin")
	if got := b.doc.one(t, "main a.btn").attrs["href"]; got != "/signin" {
		t.Errorf("leads to %s", got)
	}
	b.get("/signin")
	_, form := b.fill(b.form(mainForm), "login", "maya", "password", sallyporttest.Password)
	b.send(http.MethodPost, "/c/nobody/signin", form)
	b.want(404, "/c/nobody/signin").shows("h1", "No such company here")
	b.get(b.doc.one(t, "main a.btn").attrs["href"]).want(200, "/signin")
}

func TestNew(t *testing.T) {
	if _, err := web.New(web.Config{}); err == nil {
		t.Error("made out of nothing")
	}
	s := newServer(t)
	good := web.Config{SignIn: s.SignIn, Enroll: s.Enroll, Sessions: s.Sessions, Directory: s.Directory, Audit: s.Audit, Branding: s.Branding, Reports: s.Reports, Texts: text.Default()}
	for _, home := range []string{"https://evil.example", "account", "//x"} {
		bad := good
		if bad.Home = home; true {
			if _, err := web.New(bad); err == nil {
				t.Errorf("Home %q passes", home)
			}
		}
	}
	good.Ready = func(context.Context) error { return errors.New("secret cause") }
	h, err := web.New(good)
	if err != nil {
		t.Fatal(err)
	}
	m := httpserve.NewMux()
	h.Mount(m)
	rec := httptest.NewRecorder()
	m.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if rec.Code != 503 || rec.Body.String() != "not ready\n" {
		t.Errorf("%d %q", rec.Code, rec.Body)
	}
}

func TestAssets(t *testing.T) {
	s := newServer(t)
	for name, kind := range map[string]string{"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "favicon.svg": "image/svg+xml"} {
		path := web.Asset(name)
		res := fetch(t, s.URL+path)
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != kind || res.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || res.Header.Get("Etag") == "" {
			t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
		}
		if again := fetch(t, s.URL+path, "If-None-Match", res.Header.Get("Etag")); again.StatusCode != 304 {
			t.Errorf("%s again: %d", path, again.StatusCode)
		}
		base, ext, _ := strings.Cut(name, ".")
		other := fetch(t, s.URL+"/assets/"+base+".0000000000000000."+ext)
		if other.StatusCode != 200 || other.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("another version's: %d %s", other.StatusCode, other.Header.Get("Cache-Control"))
		}
		if plain := fetch(t, s.URL+"/assets/"+name); plain.StatusCode != 404 {
			t.Errorf("without a hash: %d", plain.StatusCode)
		}
	}
	for _, path := range []string{"/assets/", "/assets/..%2fweb.go", "/assets/x", "/assets/.css", "/assets/a.b.css"} {
		if res := fetch(t, s.URL+path); res.StatusCode != 404 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an asset that does not exist has an address")
		}
	}()
	web.Asset("none.css")
}

func fetch(t testing.TB, address string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res
}

// The frame for pages that are not ours: the demo's.
func TestLayout(t *testing.T) {
	if _, err := web.NewLayout(web.LayoutConfig{}); err == nil {
		t.Error("without texts")
	}
	l, err := web.NewLayout(web.LayoutConfig{Texts: text.Default(), Banner: "Demo & <b>nothing</b> is sent"})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "{{define `x`}}{{end}}", "{{define `main`}}{{.Nope", "{{define `main`}}{{nope}}{{end}}"} {
		if _, err := l.Parse(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	good, err := l.Parse("{{define `main`}}<h1>{{.Title}}</h1><p id=\"p\">{{.Data.Name}}</p>{{end}}")
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range []web.Shape{web.Card, web.Sheet} {
		rec := httptest.NewRecorder()
		if err := l.Render(rec, httptest.NewRequest(http.MethodGet, "/demo", nil), 201, good, shape, "A <tour>", map[string]string{"Name": "<i>"}); err != nil {
			t.Fatal(err)
		}
		doc, err := parseHTML(rec.Body.String())
		if err != nil {
			t.Fatal(err)
		}
		if rec.Code != 201 || doc.one(t, "h1").words() != "A <tour>" || doc.one(t, "#p").words() != "<i>" || doc.one(t, ".banner").words() != "Demo & <b>nothing</b> is sent" {
			t.Errorf("%d %s", rec.Code, doc.words())
		}
	}
	// Half a page is no page: the outer layer answers in plain text then.
	bad, err := l.Parse("{{define `main`}}{{.Data.Name.Nope}}{{end}}")
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	if err := l.Render(rec, httptest.NewRequest(http.MethodGet, "/", nil), 200, bad, web.Card, "x", struct{ Name string }{}); err == nil || rec.Body.Len() != 0 {
		t.Errorf("%v, %d bytes", err, rec.Body.Len())
	}
}

// S2: every way with its own button; what is paused says until when.
func TestChoose(t *testing.T) {
	s := newServer(t)
	h, err := web.New(web.Config{SignIn: s.SignIn, Enroll: s.Enroll, Sessions: s.Sessions, Directory: s.Directory, Audit: s.Audit, Branding: s.Branding, Reports: s.Reports,
		Texts: text.Default(), Now: s.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	offers := []policy.Offer{
		{Kind: authn.TOTP, Factor: "fac_1", Name: "Maya’s <phone>", Preferred: true},
		{Kind: authn.SMS, Factor: "fac_2", PausedUntil: s.Clock.Now().Add(5 * time.Minute)},
		{Kind: authn.Email, Factor: "fac_3", Locked: true},
		{Kind: authn.Email, SentTo: "m•••@acme.example"},
		{Kind: authn.BackupCode, Factor: "fac_4"},
	}
	rec := httptest.NewRecorder()
	if err := h.DrawChoose(rec, httptest.NewRequest(http.MethodGet, "/", nil), offers); err != nil {
		t.Fatal(err)
	}
	doc, err := parseHTML(rec.Body.String())
	if err != nil {
		t.Fatal(err)
	}
	ways := doc.all("main form[method=get] button.option")
	if len(ways) != 5 {
		t.Fatalf("%d ways", len(ways))
	}
	for i, want := range []string{"Authenticator app Usual Maya’s <phone>", "Text message You can try again in 5 minutes, at 09:20 UTC.", "E-mail Turned off after too many wrong codes",
		"E-mail Get a code at m•••@acme.example", "Backup code Use one of the codes you saved"} {
		value := offers[i].Factor
		if value == "" {
			value = "email" // no code was sent yet
		}
		if got := ways[i].words(); got != want || ways[i].attrs["value"] != value {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
