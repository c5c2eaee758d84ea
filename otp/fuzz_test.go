package otp

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzNormalize(f *testing.F) { // A4, cve-17, cve-70
	for _, text := range []string{"", "123456", " 123 456\n", "123-456", "１２３　４５６", "١٢٣٤٥٦", "۱۲۳۴۵۶", "12345a", "1234567", "\xff", "𝟙𝟚𝟛𝟜𝟝𝟞", "²²²²²²"} {
		for _, digits := range []int{0, 6, 8} {
			f.Add(text, digits)
		}
	}
	errs := []error{ErrDigits, ErrCodeEmpty, ErrCodeShort, ErrCodeLong, ErrCodeLetters}
	f.Fuzz(func(t *testing.T, text string, digits int) {
		code, err := Normalize(text, digits)
		if err != nil {
			if code != "" || !slices.Contains(errs, err) {
				t.Fatalf("%q, %v", code, err)
			}
			return
		}
		if digits == 0 {
			digits = DefaultDigits
		}
		if len(code) != digits || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("%q is not %d digits", code, digits)
		}
		if again, err := Normalize(code, digits); again != code || err != nil {
			t.Fatalf("not stable: %q, %q, %v", code, again, err)
		}
		// What was normalised is never refused for its form, and spaces change nothing.
		if _, _, err := (Key{rfcKey.Secret, Params{Digits: digits}}).Check(now, 1, -1, code); err != nil {
			t.Fatal(err)
		}
		if spaced, err := Normalize(code[:3]+"\u00a0"+code[3:]+" ", digits); spaced != code || err != nil {
			t.Fatal(spaced, err)
		}
	})
}

func FuzzDecodeSecret(f *testing.F) {
	for _, text := range []string{"", "JBSWY3DPEHPK3PXP", "jbsw y3dp-ehpk 3pxp", rfcText, "GEZDGNBVGY3TQOJQGE======", "JBSWY3DPEHPK3PX0", "JBSWY3DPEHPK3PXPJ", "=", "\xff"} {
		f.Add(text)
	}
	errs := []error{ErrSecretEmpty, ErrSecretShort, ErrSecretLong, ErrSecretLetters, ErrSecretCut}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := DecodeSecret(text)
		if err != nil { // a fixed text, so nothing of the secret can be in it
			if s != nil || !slices.Contains(errs, err) {
				t.Fatal(err)
			}
			return
		}
		for _, form := range []string{s.Base32(), s.Grouped(), strings.ToLower(s.Grouped()), strings.ReplaceAll(s.Grouped(), " ", "-")} {
			if back, err := DecodeSecret(form); err != nil || !bytes.Equal(back, s) {
				t.Fatalf("%q does not come back: %v", form, err)
			}
		}
		if _, err := (Key{Secret: s}).TOTP(now); err != nil {
			t.Fatal("a secret that was read is not usable:", err)
		}
	})
}

// FuzzSecretText goes the other way: any bytes that are a secret survive their text.
func FuzzSecretText(f *testing.F) {
	f.Add([]byte(hello))
	f.Add([]byte(rfcKey.Secret))
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := Secret(raw)
		back, err := DecodeSecret(s.Grouped())
		if want := s.validate(); !errors.Is(err, want) || want == nil && !bytes.Equal(back, s) {
			t.Fatalf("%d bytes: %v, want %v", len(raw), err, want)
		}
	})
}

func FuzzParseURI(f *testing.F) {
	for _, text := range []string{
		"otpauth://totp/Example:alice@google.com?secret=JBSWY3DPEHPK3PXP&issuer=Example",
		"otpauth://totp/Some+Company%3ame%40somecompany.net?secret=jbswy3dpehpk3pxp&issuer=Microsoft",
		"otpauth://totp/My%20Realm:maya?secret=" + rfcText + "&digits=8&algorithm=SHA256&issuer=My%20Realm&period=60",
		"otpauth://hotp/A:b?secret=JBSWY3DPEHPK3PXP&counter=42&period=60",
		"OTPAUTH://TOTP/b?SECRET=gezdgnbvgy3tqojqge%3D%3D%3D%3D%3D%3D&image=x",
		"otpauth-migration://offline?data=x",
		"otpauth://totp/:%20b?secret=JBSWY3DPEHPK3PXP&issuer=",
		"otpauth://totp/A%0A:b?secret=JBSWY3DPEHPK3PXP#",
		"otpauth://", "", "%", "\xff",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURI(text)
		if err != nil {
			if !errors.Is(err, ErrURI) || len(err.Error()) > 150 || !reflect.DeepEqual(u, URI{}) {
				t.Fatalf("%+v, %v", u, err)
			}
			return
		}
		if err := u.Validate(); err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(u.Issuer+u.Account) || strings.ContainsAny(u.Issuer+u.Account, ":\n\r\x00\u202e") {
			t.Fatalf("unfit names %q, %q", u.Issuer, u.Account)
		}
		if u.Issuer == "" {
			u.Issuer = "Acme"
		}
		written, err := u.Encode()
		if err != nil {
			t.Fatalf("%+v was read but cannot be written: %v", u, err)
		}
		if back, err := ParseURI(written); err != nil || !reflect.DeepEqual(back, u) {
			t.Fatalf("%+v\n%+v\n%v", u, back, err)
		}
	})
}

// FuzzEncode: any names that can be written are read back as they were, and cleaned
// names can always be written.
func FuzzEncode(f *testing.F) {
	f.Add("Acme", "maya@example.com")
	f.Add("A+B & C", "世 界")
	f.Add("Acme: West", " x ")
	f.Add("\xff", "\u202e")
	f.Fuzz(func(t *testing.T, issuer, account string) {
		u := URI{Issuer: issuer, Account: account, Key: Key{rfcKey.Secret, Params{}.WithDefaults()}}
		if text, err := u.Encode(); err == nil {
			u.Issuer, u.Account = strings.Trim(issuer, " "), strings.Trim(account, " ")
			if back, err := ParseURI(text); err != nil || !reflect.DeepEqual(back, u) {
				t.Fatalf("%s: %+v, %v", text, back, err)
			}
		}
		u.Issuer, u.Account = CleanLabel(issuer), CleanLabel(account)
		if _, err := u.Encode(); err != nil && u.Issuer != "" && u.Account != "" {
			t.Fatalf("cleaned to %q, %q: %v", u.Issuer, u.Account, err)
		}
		if again := CleanLabel(u.Issuer); again != u.Issuer {
			t.Fatalf("not stable: %q, %q", u.Issuer, again)
		}
	})
}

// FuzzCheck holds against one definition the promise that the store builds on: what
// is accepted is right, in the window and later than last; and it passes once (inv: A4).
func FuzzCheck(f *testing.F) {
	f.Add(int64(1_764_000_000), int64(-1), int64(0), 1, uint8(0), 6)
	f.Add(int64(59), int64(1), int64(1), 0, uint8(1), 8)
	f.Add(int64(1<<40), int64(1<<35), int64(-2), 1, uint8(2), 7)
	f.Fuzz(func(t *testing.T, unix, last, drift int64, window int, a uint8, digits int) {
		k := Key{rfcKey.Secret, Params{Algorithm: Algorithm(a % 3), Digits: 6 + int(uint(digits)%3)}}
		unix = unix & (1<<45 - 1)
		at := k.Start(k.Step(unixTime(unix)) + drift%4)
		if at.Unix() < 0 {
			return
		}
		code := mustCode(t, k, at)
		step, r, err := k.Check(unixTime(unix), window, last, code)
		if window < 0 || window > 1 {
			if err != ErrWindow || r != Wrong {
				t.Fatal(step, r, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if inside := max(drift%4, -(drift%4)) <= int64(window); inside && r == Wrong {
			t.Fatal("a right code inside the window is wrong")
		}
		switch away := step - k.Step(unixTime(unix)); {
		case r == Wrong && step == 0:
		case away < int64(-window) || away > int64(window) || mustCode(t, k, k.Start(step)) != code || (r == Accepted) != (step > last):
			t.Fatal(step, last, r)
		}
		if r == Accepted {
			if _, again, _ := k.Check(unixTime(unix), window, step, code); again != Used {
				t.Fatal("passed twice")
			}
		}
	})
}
