package backup

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

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

func newSet(t testing.TB, m *Method) ([]string, []authn.SavedCode) {
	t.Helper()
	codes, saved, err := m.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	return codes, saved
}

var form = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$`)

func TestNewSet_std16_rul43(t *testing.T) {
	m := New(nil)
	m.hash = func(plain string, salt []byte) []byte { return []byte(plain + string(salt)) } // only here: many sets
	everything, symbols := map[string]bool{}, map[rune]int{}
	for range 200 {
		codes, saved := newSet(t, m)
		if len(codes) != 10 || len(saved) != 10 {
			t.Fatalf("%d codes, %d stored", len(codes), len(saved))
		}
		prefixes, salts := map[string]bool{}, map[string]bool{}
		for i, code := range codes {
			plain, s := strings.ReplaceAll(code, "-", ""), saved[i]
			if !form.MatchString(code) || !strings.ContainsAny(code, "ABCDEFGHJKMNPQRSTVWXYZ") || everything[code] {
				t.Errorf("%q", code)
			}
			if s.N != i+1 || s.Prefix != code[:2] || prefixes[s.Prefix] || !s.UsedAt.IsZero() {
				t.Errorf("%q: %+v", code, s)
			}
			salt := string(s.Hash[:16])
			if salts[salt] || string(s.Hash[16:]) != plain+salt {
				t.Errorf("%q: the salt is not its own", code)
			}
			everything[code], prefixes[s.Prefix], salts[salt] = true, true, true
			for _, r := range plain {
				symbols[r]++
			}
		}
	}
	// 16,000 symbols: each of the 32 about 500 times.
	for _, r := range otp.Crockford {
		if n := symbols[r]; n < 380 || n > 620 {
			t.Errorf("%c: %d times", r, n)
		}
	}
}

func TestNewSet_hashes(t *testing.T) {
	codes, saved := newSet(t, New(nil))
	for i, s := range saved {
		if len(s.Hash) != saltLen+hashLen || bytes.Contains(s.Hash, []byte(codes[i])) || bytes.Contains(s.Hash, []byte(strings.ReplaceAll(codes[i], "-", ""))) {
			t.Errorf("%d: %x", i, s.Hash)
		}
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestNewSet_randomness(t *testing.T) {
	if codes, saved, err := New(iotest.ErrReader(errors.New("none"))).NewSet(); err == nil || codes != nil || saved != nil {
		t.Errorf("%v %v %v", codes, saved, err)
	}
	// One that gives the same again and again ends in an error, not never.
	if _, _, err := New(zero{}).NewSet(); err == nil {
		t.Error("a set of nothing")
	}
}

func TestShape_rul44(t *testing.T) {
	m := New(nil)
	for typed, want := range map[string]string{
		"7K3M-Q9TD": "", "7k3mq9td": "", " 7K3M Q9TD ": "", "7K3M–Q9TD": "", "7\u00a0K3MQ9TD": "", "７Ｋ３Ｍ－Ｑ９ＴＤ": "", "７ｋ３ｍ　ｑ９ｔｄ": "", "٧K٣MQ٩TD": "",
		"OIL0-000A": "", "oil0-000a": "", "ＯＩＬ0-000A": "", "\u200e7K3MQ9TD": "", "7-K-3-M-Q-9-T-D": "",
		"": "required", "  \t": "required",
		"-": "backup_code", "7K3M-Q9T": "backup_code", "7K3M-Q9TDA": "backup_code", "7K3M-Q9TU": "backup_code", "7K3M-Q9T!": "backup_code",
		"123456": "backup_code", "12345678": "backup_code", "OOOO-IIII": "backup_code", "7K3M-Q9T\x00": "backup_code", "7K3M-Q9T\xff": "backup_code",
		"7K3M-Q9TD\n7K3M-Q9TD": "backup_code", strings.Repeat("A", 1<<20): "backup_code", strings.Repeat(" ", 1<<20) + "7K3M-Q9TD": "backup_code",
	} {
		err := m.Shape(authn.Answer{Code: typed})
		if got := fieldOf(err); got != want || (err == nil) != (want == "") {
			t.Errorf("%.20q: %q %v", typed, got, err)
		}
		if m.Looks(typed) != (want == "") {
			t.Errorf("%.20q: Looks", typed)
		}
	}
}

func TestVerify_dec6(t *testing.T) {
	m := New(nil)
	codes, saved := newSet(t, m)
	others, _ := newSet(t, m)
	used := append([]authn.SavedCode(nil), saved...)
	used[4].UsedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	broken := append([]authn.SavedCode(nil), saved...)
	broken[4].Hash = broken[4].Hash[:20]
	near := codes[4][:8] + "0"
	if near == codes[4] {
		near = codes[4][:8] + "1"
	}
	unknown := "0" // a prefix that no code of the set has
	for _, first := range otp.Crockford {
		if strings.IndexFunc(strings.Join(codes, " "), func(r rune) bool { return r == first }) < 0 {
			unknown = string(first)
		}
	}
	hashes := 0
	m.hash = func(plain string, salt []byte) []byte { hashes++; return hash(plain, salt) }
	for _, c := range []struct {
		name  string
		codes []authn.SavedCode
		typed string
		want  authn.Match
	}{
		{"right", saved, codes[4], authn.Match{Outcome: authn.Right, Code: 5}},
		{"as people type it", saved, " " + strings.ToLower(strings.ReplaceAll(codes[4], "-", " ")), authn.Match{Outcome: authn.Right, Code: 5}},
		{"the first", saved, codes[0], authn.Match{Outcome: authn.Right, Code: 1}},
		{"the last", saved, codes[9], authn.Match{Outcome: authn.Right, Code: 10}},
		{"rul-44 used", used, codes[4], authn.Match{Outcome: authn.Void, Code: 5}},
		{"beside one that is used", used, codes[5], authn.Match{Outcome: authn.Right, Code: 6}},
		{"wrong in the last symbol", saved, near, authn.Match{Outcome: authn.Wrong}},
		{"wrong, of one that is used", used, near, authn.Match{Outcome: authn.Wrong}},
		{"of another set", saved, others[0], authn.Match{Outcome: authn.Wrong}},
		{"of a prefix that none has", saved, unknown + unknown + "AAAAAA", authn.Match{Outcome: authn.Wrong}},
		{"of no set at all", nil, codes[4], authn.Match{Outcome: authn.Wrong}},
		{"one whose hash is broken", broken, codes[4], authn.Match{Outcome: authn.Wrong}},
		{"one without a number", []authn.SavedCode{{Prefix: codes[4][:2], Hash: saved[4].Hash}}, codes[4], authn.Match{Outcome: authn.Wrong}},
	} {
		hashes = 0
		got, err := m.Verify(context.Background(), authn.Request{Codes: c.codes}, authn.Answer{Code: c.typed})
		if err != nil || got.Outcome != c.want.Outcome || got.Code != c.want.Code || got.Step != 0 || got.Rehash != nil {
			t.Errorf("%s: %+v %v", c.name, got, err)
		}
		if hashes != 2 {
			t.Errorf("rul-41 %s: %d hashes", c.name, hashes)
		}
	}
	hashes = 0
	for _, typed := range []string{"", "123456", "no code at all"} {
		if got, err := m.Verify(context.Background(), authn.Request{Codes: saved}, authn.Answer{Code: typed}); got.Outcome != authn.Void || fieldOf(err) == "" {
			t.Errorf("%q: %+v %v", typed, got, err)
		}
	}
	if hashes != 0 {
		t.Errorf("what is no code costs %d hashes", hashes)
	}
}

func TestTraits(t *testing.T) {
	m := New(nil)
	if m.Kind() != authn.BackupCode || m.Quick() || m.Traits() != (authn.Traits{Possession: true, Recovery: true}) {
		t.Errorf("%v %v %+v", m.Kind(), m.Quick(), m.Traits())
	}
	if _, ok := any(m).(authn.Enroller); ok {
		t.Error("a person adds backup codes as a way of their own")
	}
}

// FuzzNormalize: what is understood is a code of the alphabet, and means itself.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"7K3M-Q9TD", "oil0-000a", "７Ｋ３Ｍ－Ｑ９ＴＤ", "12345678", "", "\xff", "ß", "ı"} {
		f.Add(s)
	}
	m := New(nil)
	f.Fuzz(func(t *testing.T, s string) {
		plain, err := normalize(s)
		if m.Looks(s) != (err == nil) || (m.Shape(authn.Answer{Code: s}) == nil) != (err == nil) {
			t.Errorf("%q: %v", s, err)
		}
		if err != nil {
			if plain != "" {
				t.Errorf("%q: %q and %v", s, plain, err)
			}
			return
		}
		if len(plain) != length || strings.Trim(plain, otp.Crockford) != "" || !strings.ContainsAny(plain, letters) {
			t.Errorf("%q: %q", s, plain)
		}
		for _, again := range []string{plain, strings.ToLower(plain), plain[:4] + "-" + plain[4:]} {
			if got, err := normalize(again); got != plain || err != nil {
				t.Errorf("%q: %q, then %q", s, plain, got)
			}
		}
	})
}
