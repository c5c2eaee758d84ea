package code

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// B5: without a provider, text messages are not offered.
func TestOffered_B5(t *testing.T) {
	for _, c := range []struct {
		server   bool
		provides []authn.Kind
		want     bool
	}{
		{false, nil, false}, {false, []authn.Kind{authn.Email, authn.Duo}, false}, {false, []authn.Kind{authn.Email, authn.SMS}, true},
		{true, nil, true}, {true, []authn.Kind{authn.SMS}, true},
	} {
		if got := NewSMS(c.server).Offered(authn.Company{Provides: c.provides}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if _, ok := any(newMethod(t, authn.Email)).(authn.PerCompany); ok {
		t.Error("codes by e-mail ask for a provider of the company")
	}
}

func TestBegin_B1(t *testing.T) {
	m := NewSMS(true)
	want := authn.Shown{Secret: []byte("+46701740642"), Data: []byte(`{"ends":"42","country":"SE"}`), Subject: "sms:+46701740642"}
	for _, c := range []struct{ phone, country string }{
		{"070-174 06 42", "SE"}, {"+46 (0)70 174 06 42", ""}, {"+46701740642", "US"}, {"0046 701740642", "PL"},
	} {
		got, err := m.Begin(context.Background(), authn.Request{Phone: c.phone, Country: c.country})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
	}
	for typed, want := range map[string]string{
		"": "required", " ": "required", "0701740642": "no_country", "+46 70 CALL ME": "letters", "+46701740642 ext 5": "letters", "+4670": "too_few",
		"+46701740642424242": "too_many", strings.Repeat("4", 1<<20): "too_many", "+999701740642": "invalid", "+46 8 123 456 78": "not_mobile", "+46 900 123 45 67": "premium",
	} {
		got, err := m.Begin(context.Background(), authn.Request{Phone: typed})
		var e *authn.Error
		if !errors.As(err, &e) || e.Code != authn.Invalid || len(e.Fields) != 1 || !reflect.DeepEqual(got, authn.Shown{}) {
			t.Errorf("%.20q: %+v %v", typed, got, err)
			continue
		}
		if f := e.Fields[0]; f.Name != "phone" || f.Code != want || f.TextKey() != "field.phone."+want {
			t.Errorf("%.20q: %+v, want %s", typed, f, want)
		}
		if typed != "" && typed != " " && strings.Contains(err.Error(), typed) {
			t.Errorf("cve-61: the error quotes the number: %v", err)
		}
	}
}

// The number is shown in full while it is set up, and checked by the person.
func TestPresent_sms(t *testing.T) {
	m := NewSMS(false)
	got, err := m.Present(authn.Request{Secret: []byte("+46701740642")})
	if err != nil || got != (authn.Presented{Account: "+46 70 174 06 42"}) {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{"", "canary", "0701740642"} {
		if got, err := m.Present(authn.Request{Secret: []byte(bad)}); err == nil || got != (authn.Presented{}) || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %+v %v", bad, got, err)
		}
	}
}

// A code by text message is right for its own channel only (std-51).
func TestConfirm_sms(t *testing.T) {
	m := NewSMS(true)
	for kind, want := range map[authn.Kind]authn.Outcome{authn.SMS: authn.Right, authn.Email: authn.Wrong} {
		r := authn.Request{Factor: authn.Factor{ID: "fac_1", Kind: authn.SMS}, Now: now.Unix(),
			Challenges: []authn.Challenge{{Factor: "fac_1", Kind: kind, Seed: seedOf(42), ExpiresAt: now.Add(time.Minute)}}}
		if got, err := m.Confirm(context.Background(), r, authn.Answer{Code: "000042"}); err != nil || got.Outcome != want {
			t.Errorf("by %s: %+v %v", kind, got, err)
		}
	}
}
