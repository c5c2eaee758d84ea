package bypass

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
)

// fieldOf is the code of the only field error, or "".
func fieldOf(err error) string {
	var e *authn.Error
	if !errors.As(err, &e) || e.Code != authn.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != "code" {
		return ""
	}
	return e.Fields[0].Code
}

var form = regexp.MustCompile(`^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$`)

func TestNewCode_rul18_std33(t *testing.T) {
	m := New(nil)
	seen, symbols := map[string]bool{}, map[rune]int{}
	for range 1000 {
		code, secret := m.NewCode()
		plain := strings.ReplaceAll(code, "-", "")
		if !form.MatchString(code) || seen[code] {
			t.Fatalf("%q", code)
		}
		if sum := sha256.Sum256([]byte(plain)); string(secret) != string(sum[:]) {
			t.Fatalf("%q: what is stored is not its hash", code)
		}
		seen[code] = true
		for _, r := range plain {
			symbols[r]++
		}
	}
	if len(otp.Crockford) != 32 || length*5 < 64 {
		t.Errorf("%d symbols of %d: fewer than 64 bits", length, len(otp.Crockford))
	}
	for _, r := range otp.Crockford { // 16,000 symbols: each about 500 times
		if n := symbols[r]; n < 380 || n > 620 {
			t.Errorf("%c: %d times", r, n)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a code without randomness")
		}
	}()
	New(iotest.ErrReader(errors.New("none"))).NewCode()
}

func TestShape_rul44(t *testing.T) {
	m := New(nil)
	for typed, want := range map[string]string{
		"7K3M-Q9TD-0000-1111": "", "7k3mq9td00001111": "", " 7K3M Q9TD oooo iill ": "", "７Ｋ３Ｍ－Ｑ９ＴＤ－００００－ＩＬ11": "", "7K3M–Q9TD—0000−1111": "",
		"1234 5678 1234 5678": "", "٧K3MQ9TD00001111": "",
		"": "required", " \u00a0": "required", "7K3M-Q9TD": "help_code", "7K3M-Q9TD-0000-111": "help_code", "7K3M-Q9TD-0000-11111": "help_code",
		"7K3M-Q9TD-0000-111U": "help_code", "7K3M-Q9TD-0000-111\x00": "help_code", "7K3M-Q9TD-0000-111\xff": "help_code", strings.Repeat("A", 1<<20): "help_code",
	} {
		err := m.Shape(authn.Answer{Code: typed})
		if got := fieldOf(err); got != want || (err == nil) != (want == "") {
			t.Errorf("%.30q: %q %v", typed, got, err)
		}
	}
}

func TestVerify_rul18(t *testing.T) {
	m := New(nil)
	code, secret := m.NewCode()
	other, _ := m.NewCode()
	near := []byte(code)
	if near[18] == '0' {
		near[18] = '1'
	} else {
		near[18] = '0'
	}
	for _, c := range []struct {
		name, typed string
		secret      []byte
		want        authn.Outcome
	}{
		{"right", code, secret, authn.Right},
		{"as it is read out", strings.ToLower(strings.ReplaceAll(code, "-", " ")), secret, authn.Right},
		{"letters for digits", strings.NewReplacer("0", "o", "1", "l").Replace(code), secret, authn.Right},
		{"wrong in the last symbol", string(near), secret, authn.Wrong},
		{"another", other, secret, authn.Wrong},
		{"none is stored", code, nil, authn.Wrong},
		{"an empty one is stored", code, []byte{}, authn.Wrong},
		{"a part of one is stored", code, secret[:31], authn.Wrong},
		{"inv-G the stored form", strings.ToUpper(string(secret)), secret, authn.Void},
		{"nothing", "", secret, authn.Void},
		{"half of it", code[:9], secret, authn.Void},
	} {
		got, err := m.Verify(context.Background(), authn.Request{Secret: c.secret}, authn.Answer{Code: c.typed})
		if got.Outcome != c.want || (err != nil) != (c.want == authn.Void) || err != nil && fieldOf(err) == "" || got.Code != 0 || got.Step != 0 {
			t.Errorf("%s: %+v %v", c.name, got, err)
		}
	}
}

func TestTraits_rul18(t *testing.T) {
	m := New(nil)
	// aal1 and no step-up: it shows nothing that the person knows or has.
	if m.Kind() != authn.BypassCode || !m.Quick() || m.Traits() != (authn.Traits{OpensSetUp: true}) {
		t.Errorf("%v %+v", m.Kind(), m.Traits())
	}
	if _, ok := any(m).(authn.Enroller); ok {
		t.Error("a person makes help codes for themselves")
	}
}

// FuzzNormalize: what is understood is a code of the alphabet, and means itself.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"7K3M-Q9TD-0000-1111", "oil0", "７Ｋ３Ｍ－Ｑ９ＴＤ－００００－ＩＬ11", "", "\xff"} {
		f.Add(s)
	}
	m := New(nil)
	f.Fuzz(func(t *testing.T, s string) {
		plain, ok := normalize(s)
		if (m.Shape(authn.Answer{Code: s}) == nil) != ok {
			t.Errorf("%q: %v", s, ok)
		}
		if !ok {
			return
		}
		if len(plain) != length || strings.Trim(plain, otp.Crockford) != "" {
			t.Errorf("%q: %q", s, plain)
		}
		if again, ok := normalize(strings.ToLower(plain)); again != plain || !ok {
			t.Errorf("%q: %q, then %q", s, plain, again)
		}
	})
}
