package directory_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const swedish = "+46701740605"

// A number that an administrator gives is trusted at once, the second one after a
// day; each change ends what was open and is told to the person.
func TestSetPhone_rul2_rul3_C1(t *testing.T) {
	w := sallyporttest.NewServer(t)
	p := w.AddUser(t, w.Company, "maya", false)
	set := func(typed string) {
		t.Helper()
		if err := w.Directory.SetPhone(t.Context(), w.Company, "maya", directory.Phone{Typed: typed, Countries: []string{"SE", "PL"}}); err != nil {
			t.Fatal(err)
		}
	}
	tok := signedIn(t, w, p)
	set("070-174 06 05")
	u, _, events := row(t, w, "maya")
	if u.Phone != swedish || !u.PhoneTrustedAt.Equal(w.Clock.Now()) || !u.PhoneChangedAt.IsZero() || u.Epoch != p.Epoch+1 || alive(w, tok) {
		t.Errorf("%+v", u)
	}
	if !slices.Contains(events, "phone.changed by operator") {
		t.Errorf("%v", events)
	}
	told := w.Mail(t, p.Email)
	if len(told) == 0 || !strings.Contains(told[len(told)-1].Subject, "phone number") || strings.Contains(told[len(told)-1].Text, swedish[3:]) {
		t.Errorf("%+v", told)
	}
	first := w.Clock.Now()
	w.Clock.Advance(time.Hour)
	set(swedish) // the same: trusted anew, and rests no longer than before
	if u, _, _ = row(t, w, "maya"); !u.PhoneChangedAt.IsZero() || !u.PhoneTrustedAt.After(first) {
		t.Errorf("%+v", u)
	}
	removed := w.Clock.Now()
	set("")
	if u, _, _ = row(t, w, "maya"); u.Phone != "" || !u.PhoneTrustedAt.IsZero() || !u.PhoneChangedAt.Equal(removed) {
		t.Errorf("%+v", u)
	}
	w.Clock.Advance(time.Hour)
	set("+48 512 345 678") // removing first is no way round the rest
	if u, _, _ = row(t, w, "maya"); u.Phone != "+48512345678" || !u.PhoneChangedAt.Equal(removed) {
		t.Errorf("%+v", u)
	}
	w.Clock.Advance(time.Hour)
	set(swedish)
	if u, _, _ = row(t, w, "maya"); !u.PhoneChangedAt.Equal(w.Clock.Now()) {
		t.Errorf("%+v", u)
	}
}

func TestPhone_B1(t *testing.T) {
	w := sallyporttest.NewServer(t)
	w.AddUser(t, w.Company, "maya", false)
	for _, tt := range []struct{ typed, countries, want string }{
		{"0701740605", "", "no_country"}, {"08-123 456 78", "SE", "not_mobile"}, {"+46 0900 123456", "SE", "premium"}, {"+999 123456789", "SE", "invalid"}, {"x", "SE", "letters"},
		{"+4670", "SE", "too_few"}, {swedish + "123456789", "SE", "too_many"}, {swedish, "", ""}, {"0701740605", "SE", ""},
	} {
		var countries []string
		if tt.countries != "" {
			countries = []string{tt.countries}
		}
		err := w.Directory.SetPhone(t.Context(), w.Company, "maya", directory.Phone{Typed: tt.typed, Countries: countries})
		var e *authn.Error
		got := ""
		if errors.As(err, &e) && len(e.Fields) == 1 {
			got = e.Fields[0].Code
			if e.Fields[0].Name != "phone" || e.Fields[0].Key != "field.phone."+got || strings.Contains(err.Error(), "701740605") {
				t.Errorf("%q: %v", tt.typed, err)
			}
		}
		if got != tt.want || tt.want == "" && err != nil {
			t.Errorf("%q of %s: %v", tt.typed, tt.countries, err)
		}
	}
	abroad := directory.Phone{Typed: "+48512345678", Countries: []string{"SE"}}
	if err := w.Directory.SetPhone(t.Context(), w.Company, "maya", abroad); authn.AsError(err).Key != "error.text_country" {
		t.Errorf("another country: %v", err)
	}
	if err := w.Directory.SetPhone(t.Context(), w.Company, "nobody", directory.Phone{}); !errors.Is(err, authn.NotFound) {
		t.Errorf("nobody: %v", err)
	}
	// New people.
	if _, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: "lena", Phone: abroad}, false); authn.AsError(err).Key != "error.text_country" {
		t.Errorf("another country: %v", err)
	}
	g, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: "lena", Phone: directory.Phone{Typed: swedish}}, false)
	if err != nil || g.User.Phone != swedish || !g.User.PhoneTrustedAt.Equal(w.Clock.Now()) || !g.User.PhoneChangedAt.IsZero() {
		t.Errorf("%+v, %v", g.User, err)
	}
	if u, _, _ := row(t, w, "lena"); u.Phone != swedish {
		t.Errorf("%+v", u)
	}
}
