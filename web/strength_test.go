package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// asks is what the script asks at the address of a form, and what it is told.
func (b *browser) asks(field, password string) (value int, text string) {
	b.t.Helper()
	action, values := b.fill(b.form(mainForm))
	values.Set("strength", "1")
	values.Set(field, password)
	page := b.doc
	b.send(http.MethodPost, action, values)
	if b.status != 200 || !strings.Contains(b.header.Get("Cache-Control"), "no-store") {
		b.t.Fatalf("status %d, %q", b.status, b.header.Get("Cache-Control"))
	}
	var out struct {
		Value int    `json:"value"`
		Text  string `json:"text"`
	}
	if err := json.Unmarshal([]byte(b.plain), &out); err != nil {
		b.t.Fatalf("%v: %s", err, b.plain)
	}
	b.doc = page
	return out.Value, out.Text
}

// J1: wherever a password is chosen, the form's own address says how hard it is to
// guess, changes nothing, and is told to nobody without the form.
func TestStrength_J1(t *testing.T) {
	const fine = "seven tall ladders by the barn"
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	for name, c := range map[string]struct {
		field string
		at    func(*browser)
	}{
		"change": {"new", func(b *browser) { b.signIn(maya).get("/account/password").want(200, "/account/password") }},
		"reset": {"new", func(b *browser) {
			b.get("/forgot").submit(mainForm, "login", "maya").want(200, "/forgot/rst_.*")
			s.Mail(t, maya.Email)
			b.submit(mainForm, "code", s.LastCode(t, maya.Email)).want(200, "/forgot/rst_.*")
		}},
		"invitation": {"password", func(b *browser) {
			b.get("/signin").get("/invitation/"+invite(t, s, "lena", false).Token.Reveal()).want(200, "/invitation/.*")
		}},
		"forced": {"new", func(b *browser) {
			omar := s.AddUser(t, s.Company, "omar", true)
			secured(t, s, omar)
			b.password("omar", sallyporttest.Password).submit(mainForm, "code", s.Code(t, omar.Secret)).shows("h1", "new password")
		}},
	} {
		b := newBrowser(t, s)
		c.at(b)
		b.shows("main", "A password manager can")
		events := eventsOf(t, s)
		if value, text := b.asks(c.field, fine); value != 5 || text != "Strength: strong." {
			t.Errorf("%s: %d %q", name, value, text)
		}
		if value, text := b.asks(c.field, "xq4xq4xq4xq4xq4xq4"); value > 3 || !strings.Contains(text, "again and again") {
			t.Errorf("%s: %d %q", name, value, text)
		}
		if eventsOf(t, s) != events {
			t.Errorf("%s: something was written", name)
		}
		action, values := b.fill(b.form(mainForm), c.field, fine)
		values.Set("strength", "1")
		values.Set("form", "forged")
		if b.send(http.MethodPost, action, values); b.status == 200 || strings.Contains(b.plain, "strong") {
			t.Errorf("%s: a forged form is answered: %d", name, b.status)
		}
	}
	s.Clock.Advance(time.Minute) // the code of before is used
	// Without the script: a refused password is judged beside the field.
	b := newBrowser(t, s).signIn(maya).get("/account/password")
	if got := b.doc.one(t, "#new-strength-text").words(); got != "" {
		t.Errorf("before anything was typed: %q", got)
	}
	b.submit(mainForm, "current", sallyporttest.Password, "new", fine, "confirm", fine+"x").want(422, "/account/password").shows("#new-strength-text", "Strength: strong.")
	b.submit(mainForm, "current", sallyporttest.Password, "new", "maya maya maya maya", "confirm", "maya maya maya maya").want(422, "/account/password").
		shows("#new-strength-text", "very weak").shows("#new-strength-text", "a name")
	b.submit(mainForm, "current", sallyporttest.Password, "new", "", "confirm", "").want(422, "/account/password")
	if got := b.doc.one(t, "#new-strength-text").words(); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}
