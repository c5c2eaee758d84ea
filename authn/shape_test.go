package authn_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

var shapeNow = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// somebody is a person at random.
func somebody(r *rand.Rand) (authn.User, []authn.Factor) {
	flip := func() bool { return r.IntN(2) == 0 }
	at := func() time.Time {
		if flip() {
			return time.Time{}
		}
		return shapeNow.Add(-time.Duration(r.IntN(30*24)) * time.Hour)
	}
	data := func() []byte {
		return []byte([]string{"", "{", "{}", `{"be":true}`, `{"attested":true}`, `{"be":true,"attested":true,"aaguid":"08987058-cadc-4b81-b6e1-30de50dcbe96"}`,
			`{"attested":true,"aaguid":"08987058-cadc-4b81-b6e1-30de50dcbe96"}`, `{"aaguid":"08987058-cadc-4b81-b6e1-30de50dcbe96"}`,
			`{"attested":true,"aaguid":"08987058-CADC-4b81-b6e1-30de50dcbe96"}`, `{"attested":true,"aaguid":"a key"}`}[r.IntN(10)])
	}
	u := authn.User{Audience: []authn.Audience{authn.InternalAudience, authn.ExternalAudience}[r.IntN(2)], Status: authn.Active,
		RequireTwoFactor: flip(), API: r.IntN(8) == 0, SecuredAt: at(), HadFactorAt: at(), PhoneTrustedAt: at(), EmailVerifiedAt: at()}
	if flip() {
		u.Email = "maya@acme.example"
	}
	if flip() {
		u.Phone = "+46701740605"
	}
	if flip() {
		u.ExemptUntil = shapeNow.Add(time.Duration(r.IntN(48)-24) * time.Hour)
	}
	for _, role := range []string{"owner", "member", "agent", "Not A Role", "agent"} {
		if flip() {
			u.Roles = append(u.Roles, role)
		}
	}
	r.Shuffle(len(u.Roles), func(i, j int) { u.Roles[i], u.Roles[j] = u.Roles[j], u.Roles[i] })
	var factors []authn.Factor
	for _, k := range []authn.Kind{authn.Password, authn.TOTP, authn.SMS, authn.Email, authn.Duo, authn.WebAuthn, authn.WebAuthn, authn.WebAuthn, authn.WebAuthn, authn.WebAuthn, authn.WebAuthn, authn.BackupCode, authn.BypassCode} {
		if r.IntN(3) > 0 {
			continue
		}
		f := authn.Factor{Kind: k, State: []authn.FactorState{authn.Confirmed, authn.Asleep, authn.Pending, authn.Fallback}[r.IntN(4)], Left: r.IntN(2), Counts: map[authn.Lane]authn.Count{}}
		if f.Kind == authn.WebAuthn {
			f.Data, f.Round = data(), r.IntN(3)
		}
		if flip() {
			f.Counts[authn.Stranger] = authn.Count{Tries: authn.ShareStranger}
		}
		factors = append(factors, f)
	}
	return u, factors
}

// The person of a shape has that shape, and its text gives it back.
func TestShape_G5(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	for range 20000 {
		u, factors := somebody(r)
		s := authn.ShapeOf(u, factors, shapeNow)
		text := s.String()
		seen[text] = true
		if len(text) > 400 || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789_-,.") != "" {
			t.Fatalf("%q", text)
		}
		back, err := authn.ParseShape(text)
		if err != nil || !reflect.DeepEqual(back, s) {
			t.Fatalf("%q: %+v, want %+v: %v", text, back, s, err)
		}
		v, had := s.Person()
		if again := authn.ShapeOf(v, had, shapeNow); again.String() != text {
			t.Fatalf("the person of %q has the shape %q", text, again)
		}
	}
	if len(seen) < 10000 {
		t.Errorf("only %d shapes were tried", len(seen))
	}
}

func TestShape_bounds(t *testing.T) {
	var roles []string
	for i := range 100 {
		roles = append(roles, strings.Repeat("x", 38)+string(rune('a'+i%26)))
	}
	s := authn.ShapeOf(authn.User{Roles: roles}, nil, shapeNow)
	if len(s.String()) > 400 || len(s.Roles) == 0 || !slices.IsSorted(s.Roles) {
		t.Errorf("%d bytes, %d roles", len(s.String()), len(s.Roles))
	}
	// All that a person can have leaves room for roles.
	var factors []authn.Factor
	for _, k := range []authn.Kind{authn.BackupCode, authn.Duo, authn.Email, authn.SMS, authn.TOTP} {
		factors = append(factors, authn.Factor{Kind: k, State: authn.Confirmed, Left: 1, Round: 1 << 30}, authn.Factor{Kind: k, State: authn.Asleep})
	}
	for i := range 20 {
		factors = append(factors, authn.Factor{Kind: authn.WebAuthn, State: authn.Confirmed, Round: 1<<30 - i,
			Data: fmt.Appendf(nil, `{"be":true,"attested":true,"aaguid":"08987058-cadc-4b81-b6e1-30de50dcbe%02x"}`, i)})
	}
	full := authn.ShapeOf(authn.User{Roles: []string{"owner"}}, factors, shapeNow)
	if _, err := authn.ParseShape(full.String()); err != nil || len(full.Roles) != 1 || len(full.Passkeys) != 4 || full.Passkeys[0].Round != 1<<30 {
		t.Errorf("%q: %v", full, err)
	}
	if s.Status != authn.Suspended {
		t.Error("nobody of an unknown status is active")
	}
}

func TestParseShape_refuses(t *testing.T) {
	for _, text := range []string{"", "1", "2.internal.active.....", "1.internal.active...", "1.internal.active.....", "1.internal.active.l...", "1.internal.active.ht...", "1.staff.active....", "1.internal.gone....",
		"1.internal.active.rr...", "1.internal.active.wr...", "1.internal.active..b,a..", "1.internal.active..a,a..", "1.internal.active..A..", "1.internal.active...password.",
		"1.internal.active...totp,sms.", "1.internal.active.y...", "1.internal.active.qr...", "1.internal.active..,..", "1.internal.active..." + strings.Repeat("a", 400) + "."} {
		if s, err := authn.ParseShape(text); err == nil {
			t.Errorf("%q is %+v", text, s)
		}
	}
	if _, err := authn.ParseShape("1.internal.active.rw.member,owner.sms,totp.duo"); err != nil {
		t.Error(err)
	}
	const model = "08987058cadc4b81b6e130de50dcbe96"
	for kinds, good := range map[string]bool{"webauthn": true, "webauthn_s": true, "webauthn_sa" + model + "-2,webauthn,webauthn_a": true, "webauthn_a" + model: true,
		"webauthn,webauthn": false, "webauthn_s,webauthn": false, "webauthn,webauthn_s-1": false, "webauthn_s" + model: false, "webauthn_aA" + model[1:]: false,
		"webauthn-9,webauthn-8,webauthn-7,webauthn-6,webauthn-5": false} {
		if _, err := authn.ParseShape("1.internal.active.w.." + kinds + "."); (err == nil) != good {
			t.Errorf("%s: %v", kinds, err)
		}
	}
}

func FuzzParseShape(f *testing.F) {
	f.Add("1.internal.active.rw.member,owner.sms,totp.duo")
	f.Add("1.external.suspended.raxshteplwb...")
	f.Add("1.internal.active.a..-1.") // a round of no kind
	f.Add("1.internal.active.w..totp,webauthn_sa08987058cadc4b81b6e130de50dcbe96-2,webauthn.")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := authn.ParseShape(text)
		if err != nil {
			return
		}
		if s.String() != text {
			t.Fatalf("%q comes back as %q", text, s)
		}
		u, factors := s.Person()
		if again := authn.ShapeOf(u, factors, shapeNow); again.String() != text {
			t.Fatalf("%q: the person is %q", text, again)
		}
	})
}
