package web_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func copyTo(w io.Writer, r io.Reader) (int64, error) { return io.Copy(w, r) }

const fresh = "seven green tractors"

func invite(t testing.TB, s *sallyporttest.Server, login string, mailed bool) directory.Given {
	t.Helper()
	g, err := s.Directory.Invite(context.Background(), s.Company, directory.NewUser{Login: login, Name: "Test " + login, Email: login + "@acme.example"}, mailed)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Ruling 57: the link sets the password, then set-up. A mail scanner that opens
// it, as often as it likes, uses nothing up (cve-40).
func TestInvitation_rul57_cve40(t *testing.T) {
	s := newServer(t)
	setPolicy(t, s, ownWay(0))
	g := invite(t, s, "omar", false)
	path := "/invitation/" + g.Token.Reveal()
	scanner := newBrowser(t, s)
	events := eventsOf(t, s)
	for range 3 {
		head, err := scanner.http.Head(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		head.Body.Close()
		scanner.send(http.MethodGet, path, nil, "User-Agent", "scanner")
		if head.StatusCode != 200 || scanner.status != 200 || scanner.header.Get("Referrer-Policy") != "strict-origin" || scanner.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %d %v", head.StatusCode, scanner.status, scanner.header)
		}
	}
	if eventsOf(t, s) != events {
		t.Error("looking is written")
	}
	b := newBrowser(t, s)
	b.get(path).want(200, "/invitation/.*").shows("h1", "Welcome to Acme Projects").shows("main strong", "Test omar").shows("main time", "28 Nov").shows("#password-hint", "At least 8")
	if got := b.doc.one(t, "[name=username]").attrs["value"]; got != "omar" {
		t.Errorf("user name %q", got)
	}
	b.submit("form.languages", "language", "pl").want(200, "/invitation/.*").submit("form.languages", "language", "en").want(200, "/invitation/.*")
	b.submit(mainForm, "password", "", "confirm", "").want(422, "/invitation").shows("#password-err", "Enter a new password")
	b.submit(mainForm, "password", "short", "confirm", "short").want(422, "/invitation").shows("#password-err", "at least 8")
	b.submit(mainForm, "password", fresh, "confirm", fresh+"x").want(422, "/invitation").shows("#confirm-err", "differ")
	action, values := b.fill(b.form(mainForm), "password", fresh, "confirm", fresh)
	b.send(http.MethodPost, action, values)
	b.follow().want(200, "/signin/att_.*").shows("h1", "Set up a way")
	attempt := b.path
	// A double click, the link again, another browser.
	b.send(http.MethodPost, action, values)
	b.want(409, "/invitation").shows("h1", "was used").get(path).want(409, "/invitation/.*").shows("main a", "sign-in page")
	scanner.get(attempt).want(404, attempt)
	b.get(attempt).press("button[value=totp]")
	b.submit(mainForm, "code", s.Code(t, b.shownKey())).want(200, attempt+"/codes").submit(mainForm, "saved", "yes").want(200, "/continue")
	b.get("/account/security").want(200, "/account/security")
}

// Where no second way is asked for, the invitation ends in the account.
func TestInvitationAlone(t *testing.T) {
	s := newServer(t)
	g := invite(t, s, "omar", false)
	b := newBrowser(t, s)
	b.get("/invitation/"+g.Token.Reveal()).shows("#password-hint", "At least 15").submit(mainForm, "password", fresh, "confirm", fresh).want(200, "/continue")
	b.get("/account").shows(".menu-who", "omar").submit(signOutForm)
	b.password("omar", fresh).want(200, "/continue")
}

// Each link that leads nowhere says why, and nobody is named.
func TestInvitationGone(t *testing.T) {
	s := newServer(t)
	ctx := context.Background()
	g, again := invite(t, s, "omar", false), invite(t, s, "nils", false)
	newer, err := s.Directory.Reinvite(ctx, s.Company, again.User.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	closed := invite(t, s, "tom", false)
	if err := s.Directory.SetStatus(ctx, s.Company, closed.User.ID, authn.Suspended); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s)
	other := g.Token
	other.Secret = bytes.Repeat([]byte{7}, 32)
	for token, want := range map[string]struct {
		status int
		says   string
	}{
		"x":                     {404, "doesn’t work"},
		"sp_lnk_0":              {404, "doesn’t work"},
		other.Reveal():          {404, "doesn’t work"},
		closed.Token.Reveal():   {404, "doesn’t work"},
		again.Token.Reveal():    {404, ""},
		newer.Token.Reveal():    {200, "Welcome"},
		strings.Repeat("a", 99): {404, "doesn’t work"},
	} {
		b.get("/invitation/" + token)
		if want.says == "" { // replaced: gone, or over
			if b.status != 404 && b.status != 410 {
				t.Errorf("a replaced link: %d", b.status)
			}
			continue
		}
		b.want(want.status, ".*").shows("h1", want.says)
		if w := b.doc.one(t, "main").words(); want.status != 200 && (strings.Contains(w, "omar") || strings.Contains(w, "tom") || strings.Contains(w, "Acme")) {
			t.Error(w)
		}
	}
	b.get("/invitation/" + g.Token.Reveal())
	action, values := b.fill(b.form(mainForm), "password", fresh, "confirm", fresh)
	s.Clock.Advance(8 * 24 * time.Hour)
	b.send(http.MethodPost, action, values)
	b.want(410, "/invitation").shows("h1", "is over").get("/invitation/"+g.Token.Reveal()).want(410, ".*")
	values.Set("token", "x")
	b.send(http.MethodPost, action, values)
	b.want(404, "/invitation")
}

// The form is bound to the browser that opened the link (cve-66), and cookies
// that are off are said so.
func TestInvitationForm_cve66(t *testing.T) {
	s := newServer(t)
	g := invite(t, s, "omar", false)
	b, other := newBrowser(t, s), newBrowser(t, s)
	b.get("/invitation/" + g.Token.Reveal())
	other.get("/signin")
	action, values := b.fill(b.form(mainForm), "password", fresh, "confirm", fresh)
	other.send(http.MethodPost, action, values)
	other.want(403, "/invitation")
	b.http.Jar = nil
	b.send(http.MethodPost, action, values)
	b.want(400, "/invitation").shows("#problem", "Allow cookies")
	if _, _, err := s.Directory.Lookup(context.Background(), s.Company, "omar"); err != nil {
		t.Fatal(err)
	}
	if b.get("/invitation/"+g.Token.Reveal()).status != 200 {
		t.Error("used up")
	}
}

// Two companies: each link knows its own, and leads to its sign-in (rul-5).
func TestInvitationCompanies_rul5(t *testing.T) {
	s := newServer(t)
	setPolicy(t, s, ownWay(0))
	beta := s.AddCompany(t, "beta", "Beta Works")
	acme := s.Company
	g := invite(t, s, "omar", false)
	s.Company = beta
	h, err := s.Directory.FirstOwner(context.Background(), beta, directory.NewUser{Login: "omar", Name: "Omar Beta", Email: "omar@beta.example"})
	if err != nil {
		t.Fatal(err)
	}
	b, o := newBrowser(t, s), newBrowser(t, s)
	b.get("/invitation/"+g.Token.Reveal()).shows(".brand", "Acme Projects").submit(mainForm, "password", fresh, "confirm", fresh).want(200, "/c/acme/signin/att_.*")
	o.get("/invitation/"+h.Token.Reveal()).shows(".brand", "Beta Works").shows("main", "owner").submit(mainForm, "password", fresh, "confirm", fresh).want(200, "/continue")
	b.get(strings.Replace(b.path, "/c/acme", "/c/beta", 1)).want(404, ".*")
	s.Company = acme
}

// The link is a secret: no log has it, whatever came of it (ruling 57).
func TestInvitationIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, func(c *sallyport.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	g := invite(t, s, "omar", false)
	token := g.Token.Reveal()
	b := newBrowser(t, s)
	b.get("/invitation/"+token).want(200, ".*")
	b.submit(mainForm, "password", "x", "confirm", "x").want(422, ".*")
	b.get("/invitation/" + token + "x")
	b.get("/invitation/" + token + "/x")
	b.send(http.MethodPut, "/invitation/"+token, map[string][]string{})
	b.get("/invitation/"+token).submit(mainForm, "password", fresh, "confirm", fresh).want(200, "/continue")
	b.get("/invitation/"+token).want(409, ".*")
	s.HTTP.Close()
	if n := strings.Count(log.String(), `"route":"GET /invitation/{token}"`); n < 4 {
		t.Errorf("%d lines: %s", n, log.String())
	}
	if strings.Contains(log.String(), token[:40]) || strings.Contains(log.String(), token[len(token)-30:]) || strings.Contains(log.String(), fresh) {
		t.Error("the link, or the password, is in the log")
	}
}
