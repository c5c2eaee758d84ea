package code

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

var now = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

func newMethod(t testing.TB, kind authn.Kind) *Method {
	t.Helper()
	m, err := New(kind)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func seedOf(n uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, n), "the rest is not looked at"...)
}

// fieldOf is the code of the only field error, or "".
func fieldOf(err error) string {
	var e *authn.Error
	if !errors.As(err, &e) || e.Code != authn.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != "code" {
		return ""
	}
	return e.Fields[0].Code
}

func TestNew(t *testing.T) {
	for _, kind := range []authn.Kind{authn.Password, authn.TOTP, authn.SMS, authn.BackupCode, authn.BypassCode, authn.WebAuthn, ""} {
		if _, err := New(kind); err == nil {
			t.Errorf("codes are sent by %q", kind)
		}
	}
	email, sms := newMethod(t, authn.Email), NewSMS(true)
	if email.Kind() != authn.Email || sms.Kind() != authn.SMS || !email.Quick() {
		t.Error("kinds")
	}
	// std-27 rul-14: a mailbox is nothing that a person has.
	if email.Traits() != (authn.Traits{OutOfBand: true}) || sms.Traits() != (authn.Traits{OutOfBand: true, Possession: true}) {
		t.Errorf("%+v %+v", email.Traits(), sms.Traits())
	}
}

func TestDigits_std18(t *testing.T) {
	for seed, want := range map[uint64]string{0: "000000", 7: "000007", 123: "000123", 999999: "999999", 1000000: "000000", 1000042: "000042",
		1<<64 - 1: fmt.Sprintf("%06d", uint64(1<<64-1)%1000000)} {
		if got := Digits(seedOf(seed)); got != want {
			t.Errorf("%d: %q, want %q", seed, got, want)
		}
	}
	for _, short := range [][]byte{nil, {}, make([]byte, 7)} {
		if Digits(short) != "" {
			t.Errorf("a code of %d bytes", len(short))
		}
	}
	// Every digit in every place as often as any other, within five standard deviations.
	const n = 100000
	var count [Length][10]int
	random := rand.New(rand.NewPCG(1, 2))
	for range n {
		code := Digits(seedOf(random.Uint64()))
		if len(code) != Length || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("%q", code)
		}
		for place, d := range code {
			count[place][d-'0']++
		}
	}
	for place, digits := range count {
		for d, got := range digits {
			if got < n/10-475 || got > n/10+475 {
				t.Errorf("digit %d in place %d: %d of %d", d, place, got, n)
			}
		}
	}
}

func TestShape_rul44(t *testing.T) {
	m := newMethod(t, authn.Email)
	for typed, want := range map[string]string{
		"123456": "", " 123 456 ": "", "123-456": "", "12 34 56": "", "１２３４５６": "", "١٢٣٤٥٦": "", "۱۲۳۴۵۶": "", "123\u00a0456": "", "\u200e123456": "",
		"1２٣4۵6": "",
		"":       "required", "   ": "required", "---": "required", "12345": "too_few", "1": "too_few", "1234567": "too_many", strings.Repeat("1", 1<<20): "too_many",
		"12345a": "not_digits", "7K3M-Q9TD": "not_digits", "123456\x00": "not_digits", "12345\xff": "not_digits", "½23456": "not_digits", "123.456": "not_digits",
	} {
		err := m.Shape(authn.Answer{Code: typed})
		if got := fieldOf(err); got != want || (err == nil) != (want == "") {
			t.Errorf("%.20q: %q %v", typed, got, err)
		}
		// What is malformed is given back and never compared.
		if want != "" {
			match, err := m.Verify(context.Background(), authn.Request{Now: now.Unix()}, authn.Answer{Code: typed})
			if !reflect.DeepEqual(match, authn.Match{Outcome: authn.Void}) || fieldOf(err) != want {
				t.Errorf("%.20q: %+v %v", typed, match, err)
			}
		}
	}
}

func TestVerify_std51(t *testing.T) {
	m := newMethod(t, authn.Email)
	good := authn.Challenge{Factor: "fac_1", Kind: authn.Email, Seed: seedOf(42), ExpiresAt: now.Add(time.Second)}
	with := func(change func(*authn.Challenge)) authn.Challenge { c := good; change(&c); return c }
	older := with(func(c *authn.Challenge) { c.Seed = seedOf(41) })
	newer := with(func(c *authn.Challenge) { c.Seed = seedOf(43) })
	for _, c := range []struct {
		name  string
		out   []authn.Challenge
		typed string
		right bool
	}{
		{"right", []authn.Challenge{good}, "000042", true},
		{"leading zeros left out", []authn.Challenge{good}, "42", false},
		{"wrong", []authn.Challenge{good}, "000043", false},
		{"none is out", nil, "000042", false},
		{"of several the first", []authn.Challenge{good, older, newer}, "000042", true},
		{"the middle one", []authn.Challenge{older, good, newer}, "000042", true},
		{"the last", []authn.Challenge{older, newer, good}, "000042", true},
		{"none of several", []authn.Challenge{older, newer}, "000042", false},
		{"the same one twice", []authn.Challenge{good, good}, "000042", true},
		{"two of three", []authn.Challenge{good, older, good}, "000042", true},
		{"of another factor", []authn.Challenge{with(func(c *authn.Challenge) { c.Factor = "fac_2" })}, "000042", false},
		{"by another channel", []authn.Challenge{with(func(c *authn.Challenge) { c.Kind = authn.SMS })}, "000042", false},
		{"std-17 over this second", []authn.Challenge{with(func(c *authn.Challenge) { c.ExpiresAt = now })}, "000042", false},
		{"that never expires", []authn.Challenge{with(func(c *authn.Challenge) { c.ExpiresAt = time.Time{} })}, "000042", false},
		{"over, and one that is not", []authn.Challenge{with(func(c *authn.Challenge) { c.ExpiresAt = now }), good}, "000042", true},
		{"that was not paid for", []authn.Challenge{with(func(c *authn.Challenge) { c.Seed = nil })}, "000000", false},
		{"with half a seed", []authn.Challenge{with(func(c *authn.Challenge) { c.Seed = []byte{0, 0, 0} })}, "000000", false},
		{"full width", []authn.Challenge{good}, "０００ ０４２", true},
		{"Arabic", []authn.Challenge{good}, "٠٠٠٠٤٢", true},
	} {
		r := authn.Request{Factor: authn.Factor{ID: "fac_1", Kind: authn.Email}, Now: now.Unix(), Challenges: c.out}
		want := authn.Match{Outcome: authn.Wrong}
		if c.right {
			want.Outcome = authn.Right
		}
		for name, check := range map[string]func(context.Context, authn.Request, authn.Answer) (authn.Match, error){"verify": m.Verify, "confirm": m.Confirm} {
			got, err := check(context.Background(), r, authn.Answer{Code: c.typed})
			if c.typed == "42" {
				if got.Outcome != authn.Void || fieldOf(err) != "too_few" {
					t.Errorf("%s, %s: %+v %v", c.name, name, got, err)
				}
				continue
			}
			if !reflect.DeepEqual(got, want) || err != nil {
				t.Errorf("%s, %s: %+v %v", c.name, name, got, err)
			}
		}
	}
}

func TestEnrolling(t *testing.T) {
	m := newMethod(t, authn.Email)
	shown, err := m.Begin(context.Background(), authn.Request{})
	if err != nil || shown.Secret != nil || shown.Data != nil {
		t.Errorf("%+v %v", shown, err)
	}
	if p, err := m.Present(authn.Request{Secret: []byte("canary")}); err != nil || p != (authn.Presented{}) {
		t.Errorf("%+v %v", p, err)
	}
}

// FuzzVerify: only the code itself, however it is typed, is right.
func FuzzVerify(f *testing.F) {
	for _, s := range []string{"000042", "٠٠٠٠٤٢", "0000 42", "42", "", "-000042", "\xff"} {
		f.Add(s, uint64(42))
	}
	m, err := New(authn.Email)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, typed string, seed uint64) {
		r := authn.Request{Factor: authn.Factor{ID: "fac_1"}, Now: now.Unix(),
			Challenges: []authn.Challenge{{Factor: "fac_1", Kind: authn.Email, Seed: seedOf(seed), ExpiresAt: now.Add(time.Minute)}}}
		match, err := m.Verify(context.Background(), r, authn.Answer{Code: typed})
		if shape := m.Shape(authn.Answer{Code: typed}); (shape == nil) != (err == nil) || (err != nil) != (match.Outcome == authn.Void) {
			t.Errorf("%q: %+v, %v, shape %v", typed, match, err, shape)
		}
		if plain := len(typed) == Length && strings.Trim(typed, "0123456789") == ""; plain && (match.Outcome == authn.Right) != (typed == Digits(seedOf(seed))) {
			t.Errorf("%q against %s: %+v", typed, Digits(seedOf(seed)), match)
		}
	})
}
