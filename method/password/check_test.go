package password

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

func TestCheck(t *testing.T) {
	maya := authn.User{Login: "Maya", Email: "maya.lindqvist@acme.example", Name: "Maya Lindqvist"}
	acme := authn.Company{Name: "Acme Projects", Slug: "acme"}
	tests := []struct {
		name     string
		password string
		minimum  int
		want     string
	}{
		{"std-1 14 of 15", strings.Repeat("xyzw123", 2), 15, "too_short"},
		{"std-1 15", "xyzw123xyzw123-", 15, ""},
		{"std-1 7 of 8", "xyzw12-", 8, "too_short"},
		{"std-1 8", "xyzw12-?", 8, ""},
		{"std-1 a minimum below 8 is 8", "xyzw12-", 4, "too_short"},
		{"std-1 14 emoji", strings.Repeat("🐎🔋", 7), 15, "too_short"},
		{"std-1 15 emoji", strings.Repeat("🐎🔋📎", 5), 15, ""},
		{"std-1 combining marks count after NFC", strings.Repeat("e\u0301u\u0308", 7), 15, "too_short"},
		{"std-1 15 after NFC", strings.Repeat("e\u0301u\u0308o\u0302", 5), 15, ""},
		{"std-2 64 characters", strings.Repeat("quietly ", 8), 15, ""},
		{"std-2 4,096 bytes", strings.Repeat("quietly ", 512), 15, ""},
		{"std-2 4,097 bytes", strings.Repeat("quietly ", 512) + "x", 15, "too_long"},
		{"std-3 one class of letters", "mqzjwkxvbtplhgd", 15, ""},
		{"std-3 digits only", "849302175630284", 15, ""},
		{"std-3 only spaces and signs", "? ! ? ! ; ; : :", 15, ""},
		{"empty", "", 15, "required"},
		{"broken UTF-8", "abcdefghijklmno\xff", 15, "invalid"},

		{"std-5 e-mail", "maya.lindqvist@acme.example", 15, "contains_name"},
		{"std-5 e-mail in capitals", "MAYA.LINDQVIST@ACME.EXAMPLE", 15, "contains_name"},
		{"std-5 e-mail, full-width", "ｍａｙａ.lindqvist@acme.example", 15, "contains_name"},
		{"std-5 local part", "maya.lindqvist", 8, "contains_name"},
		{"std-5 name", "Maya Lindqvist", 8, "contains_name"},
		{"std-5 name, decorated", "!! M-a-y-a Lindqvist 2026 !!", 15, "contains_name"},
		{"std-5 login and digits", "maya1999", 8, "contains_name"},
		{"std-5 login again and again", "MayaMayaMayaMaya", 15, "contains_name"},
		{"std-5 part of the name", "l.i.n.d.q.v.i.s.t", 15, "contains_name"},
		{"std-5 company", "acme projects", 8, "contains_name"},
		{"std-5 slug", "acme2026!", 8, "contains_name"},
		{"std-5 product", "Sallyport", 8, "contains_name"},
		{"std-5 product, decorated", "++ Sallyport 1 ++", 15, "contains_name"},
		{"std-5 common", "password", 8, "too_common"},
		{"std-5 common, in capitals", "PASSWORD", 8, "too_common"},
		{"std-5 common, with signs", "pass-word-123!", 8, "too_common"},
		{"std-5 common, long", "correct horse battery staple", 15, "too_common"},

		{"std-5 a long phrase that contains password", "my password is a long story", 15, ""},
		{"std-5 a long phrase that contains the names", "maya once founded acme in a shed", 15, ""},
		{"the demo's", "sallyport demo only", 15, ""},
		{"std-42 a common word and a year", "basketball2026!", 15, "too_common"},
		{"std-42 a common word twice", "sunshine sunshine", 15, "too_common"},
		{"std-42 two letters in turn", "ababababababababab", 15, "too_common"},
		{"std-42 one letter", "qqqqqqqqqqqqqqqqqq", 15, "too_common"},
		{"std-42 the alphabet", "abcdefghijklmnopqrs", 15, "too_common"},
		{"std-42 counting down", "9876543210 987654", 15, "too_common"},
		{"a common word inside others", "sunshine on the wall", 15, ""},
		{"many digits are no decoration", "maya 8471093658 x", 15, ""},
		{"five digits", "lindqvist83019", 8, ""},
		{"one name and part of another", "lindqvistacme", 8, ""},
	}
	m, d := newCheap(t, cheap)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := m.Check(t.Context(), "new", tt.password, maya, acme, tt.minimum)
			want := tt.want
			if want != "" {
				want = "new." + want
			}
			if got := fieldOf(err); got != want || (err == nil) != (want == "") {
				t.Errorf("%v, want %q", authn.AsError(err).Fields, want)
			}
		})
	}
	if len(d.entered) != 0 {
		t.Error("Check ran a hash")
	}
}

func TestCheck_args(t *testing.T) {
	m, _ := newCheap(t, cheap)
	err := m.Check(t.Context(), "password", "short", authn.User{}, authn.Company{}, 15)
	if got := authn.AsError(err).Fields[0]; got.Name != "password" || got.Args["Min"] != 15 {
		t.Errorf("%+v", got)
	}
	err = m.Check(t.Context(), "password", strings.Repeat("x", 5000), authn.User{}, authn.Company{}, 15)
	if got := authn.AsError(err).Fields[0]; got.Args["Max"] != 4096 {
		t.Errorf("%+v", got)
	}
}

// A login of digits, or of one letter, must not refuse everything.
func TestCheck_oddNames(t *testing.T) {
	m, _ := newCheap(t, cheap)
	for login, tests := range map[string]map[string]bool{
		"12345":  {"12345": false, "12345-12345-12345": false, "8471093658271": true, "quiet horses 1": true},
		"a":      {"aaaaaaaaaaaa": false, "a battery of quiet": true, "banana boat": true},
		"x-1":    {"x1x1x1x1x1": false, "xylophone 11": true},
		"!!":     {"?????????": true, "quiet horses": true},
		"":       {"?????????": true, "quiet horses": true},
		"日本":     {"日本日本日本日本2024": false, "日本語の長いパスワード": true},
		"İstan":  {"İSTAN İSTAN 1": false},
		"Straße": {"STRASSE-1999": false},
	} {
		for password, ok := range tests {
			err := m.Check(t.Context(), "new", password, authn.User{Login: login}, authn.Company{}, 8)
			if len(password) >= 8 && (err == nil) != ok {
				t.Errorf("login %q, password %q: %v", login, password, err)
			}
		}
	}
}

func TestCheck_longNamesCostNothing(t *testing.T) {
	m, _ := newCheap(t, cheap)
	u := authn.User{Name: strings.Repeat("part ", maxParts) + "lindqvist"}
	if err := m.Check(t.Context(), "new", "lindqvist", u, authn.Company{}, 8); err != nil {
		t.Errorf("more than %d parts of a name are looked at: %v", maxParts, err)
	}
	u.Name = strings.Repeat("part ", maxParts-1) + "lindqvist"
	if err := m.Check(t.Context(), "new", "lindqvist", u, authn.Company{}, 8); fieldOf(err) != "new.contains_name" {
		t.Errorf("part %d of a name: %v", maxParts, err)
	}
}

func TestCheck_ownList(t *testing.T) {
	m, err := NewForTests(Config{Gate: &door{}, Common: func(folded string) bool { return folded == "quiet horses" }}, cheap)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(t.Context(), "new", "Quiet HORSES", authn.User{}, authn.Company{}, 8); fieldOf(err) != "new.too_common" {
		t.Errorf("%v", err)
	}
	if err := m.Check(t.Context(), "new", "password", authn.User{}, authn.Company{}, 8); err != nil {
		t.Errorf("the built-in list is still asked: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("Maya Lindqvist 2026", "maya", "Maya Lindqvist")
	f.Add("日本日本", "日本", "\xff")
	m, _ := newCheap(f, cheap)
	f.Fuzz(func(t *testing.T, password, login, name string) {
		err := m.Check(t.Context(), "new", password, authn.User{Login: login, Name: name}, authn.Company{Name: name}, 8)
		if err != nil && !strings.HasPrefix(fieldOf(err), "new.") {
			t.Errorf("%v", err)
		}
		if err == nil && (strings.EqualFold(password, login) || m.Shape(authn.Answer{Password: password}) != nil) {
			t.Error("accepted")
		}
	})
}

// std-42: at least the 3,000 most frequent of those that policy would let through.
func TestCommon_std42(t *testing.T) {
	n, first := 0, ""
	for line := range strings.Lines(commonText) {
		w := strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(w, "#") {
			continue
		}
		if n++; n == 1 {
			first = w
		}
		if len([]rune(w)) < MinLength || !common(fold(w)) {
			t.Fatalf("%q is in the list", w)
		}
	}
	if n < 3000 || first != "password" {
		t.Errorf("%d words, first %q", n, first)
	}
	if common("quiet horses") || common("") {
		t.Error("the list has what nobody uses")
	}
}

type leaks struct {
	has   map[string]bool
	err   error
	asked []string
}

func (l *leaks) Has(_ context.Context, p string) (bool, error) {
	l.asked = append(l.asked, p)
	return l.has[p], l.err
}

// J1, std-42: what has leaked is refused, in both spellings, and asked last.
func TestCheck_leaked_J1(t *testing.T) {
	l := &leaks{has: map[string]bool{"Quiet Horses Graze": true, "tall horses graze": true, "caf\u00e9 au lait le matin": true}}
	m, err := NewForTests(Config{Gate: &door{}, Leaked: l}, cheap)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		password, want string
		asked          int
	}{
		{"Quiet Horses Graze", "new.leaked", 1},
		{"quiet horses graze", "", 1},
		{"Tall HORSES graze", "new.leaked", 2},
		{"cafe\u0301 au lait le matin", "new.leaked", 1},
		{"password", "new.too_common", 0},
		{"short", "new.too_short", 0},
	} {
		l.asked = nil
		err := m.Check(t.Context(), "new", tt.password, authn.User{}, authn.Company{}, 8)
		if fieldOf(err) != tt.want || (err == nil) != (tt.want == "") || len(l.asked) != tt.asked {
			t.Errorf("%q: %v, asked %d times", tt.password, err, len(l.asked))
		}
	}
	// A dependency that fails is a no, and nothing of the password is in it.
	l.err = errors.New("no connection")
	e := authn.AsError(m.Check(t.Context(), "new", "quiet horses graze", authn.User{}, authn.Company{}, 8))
	if e.Code != authn.ProviderUnavailable || e.Key != "error.password_check" || e.RetryAfter <= 0 || strings.Contains(e.Error(), "horses") {
		t.Errorf("%+v", e)
	}
}
