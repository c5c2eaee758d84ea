package web_test

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/geoip"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// from sends a browser's requests as a trusted proxy does that saw an address.
type from string

func (f from) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", string(f))
	return http.DefaultTransport.RoundTrip(r)
}

func placed() sallyporttest.Option {
	return func(c *sallyport.Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.Places = geoip.New("../geoip/testdata/documentation.mmdb", slog.New(slog.DiscardHandler))
	}
}

// J2, S24, S25: about where one signed in, in the reader's language, on the pages and
// in the letter about a new browser; where an address is nowhere, nothing.
func TestPlaces_J2(t *testing.T) {
	s := newServer(t, placed())
	maya := s.AddUser(t, s.Company, "maya", true)
	seats := []struct{ address, want string }{
		{"192.0.2.7", "At sign-in: near Krakow, Poland"},
		{"198.51.100.1", "At sign-in: Sweden"},
		{"203.0.113.129", "At sign-in: near <b>Near you</b>, Norway"}, // a hostile file
		{"10.1.2.3", ""},
		{"233.252.0.1", ""},
	}
	var all []*browser
	for _, seat := range seats {
		b := newBrowser(t, s)
		b.http.Transport = from(seat.address)
		all = append(all, b.signIn(maya))
		s.Clock.Advance(time.Minute)
	}
	for i, seat := range seats {
		// Whoever opens the page comes from somewhere else by now.
		b := all[i]
		b.http.Transport = from("203.0.113.65")
		words := b.get("/account/devices").want(200, "/account/devices").doc.all("#devices .item")[0].words()
		if strings.Contains(words, "At sign-in") != (seat.want != "") || !strings.Contains(words, seat.want) {
			t.Errorf("%s: %q, want %q", seat.address, words, seat.want)
		}
	}
	b := all[0].shows("#places", "often wrong").shows("#places a", "GeoLite data created by MaxMind")
	if href := b.doc.one(t, "#places a").attrs["href"]; href != "https://www.maxmind.com" {
		t.Errorf("the credit leads to %q", href)
	}
	b.get("/account/activity").shows(".events td", "near Krakow, Poland").shows(".events td", "Sweden").shows("#places a", "GeoLite")

	// A proof makes the session anew; it still began where it began.
	s.Clock.Advance(11 * time.Minute)
	b.begin("/account/security/app/off").submit(mainForm, "code", s.Code(t, maya.Secret))
	b.get("/account/devices").shows("#devices .item", "At sign-in: near Krakow, Poland")

	found := map[string]bool{}
	for _, m := range s.Mail(t, maya.Email) {
		for _, want := range []string{"Place: near <b>Near you</b>, Norway\n", "Place: Sweden\n"} {
			found[want] = found[want] || strings.Contains(m.Text, want)
		}
		if strings.Contains(m.HTML, "<b>Near") || strings.Contains(m.Text, "10.1.2") && strings.Contains(m.Text, "Place:") {
			t.Errorf("%s", m.Text)
		}
	}
	if len(found) != 2 || !found["Place: Sweden\n"] || !found["Place: near <b>Near you</b>, Norway\n"] {
		t.Errorf("letters: %v", found)
	}

	b.get("/account").submit("main form[action=/account]", "name", "Maya", "locale", "pl").want(200, "/account")
	b.get("/account/devices").shows("#devices .item", "Przy logowaniu: Krakow i okolice, Polska").shows("#devices .item", "Szwecja")
}

// Without a file, and with one that cannot be read, everything else is there.
func TestPlaces_none(t *testing.T) {
	for name, option := range map[string]sallyporttest.Option{
		"none":    func(*sallyport.Config) {},
		"no file": func(c *sallyport.Config) { c.Places = geoip.New("nowhere.mmdb", slog.New(slog.DiscardHandler)) },
	} {
		s := newServer(t, placed(), func(c *sallyport.Config) { c.Places = nil }, option)
		maya := s.AddUser(t, s.Company, "maya", false)
		b := newBrowser(t, s)
		b.http.Transport = from("192.0.2.7")
		b.signIn(maya)
		for _, path := range []string{"/account/devices", "/account/activity"} {
			b.get(path).want(200, path)
			if len(b.doc.all("#places")) > 0 || strings.Contains(b.doc.one(t, "main").words(), "Poland") {
				t.Errorf("%s: %s", name, b.doc.one(t, "main").words())
			}
		}
	}
}
