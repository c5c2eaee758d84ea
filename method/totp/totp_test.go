package totp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
)

var (
	secret = []byte("12345678901234567890")                // RFC 6238 appendix B
	now    = time.Date(2026, 11, 1, 9, 0, 10, 0, time.UTC) // 10 s into a step
	step   = now.Unix() / 30
)

func newMethod(t testing.TB, c Config) *Method {
	t.Helper()
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// codeAt is the code of a step counted from now's.
func codeAt(t testing.TB, p otp.Params, steps int64) string {
	t.Helper()
	p = p.WithDefaults()
	code, err := otp.Key{Secret: secret, Params: p}.TOTP(now.Add(time.Duration(steps*int64(p.Period)) * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func request(last int64) authn.Request {
	return authn.Request{Secret: secret, Now: now.Unix(), Factor: authn.Factor{Kind: authn.TOTP, Data: []byte(usual), LastStep: last}}
}

// fieldOf is the code of the only field error, or "".
func fieldOf(err error) string {
	var e *authn.Error
	if !errors.As(err, &e) || e.Code != authn.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != "code" {
		return ""
	}
	return e.Fields[0].Code
}

func TestVerify_A4_rul44(t *testing.T) {
	usualCode := codeAt(t, otp.Params{}, 0)
	tests := []struct {
		name string
		code string
		last int64
		c    Config
		want authn.Match
	}{
		{"now", usualCode, 0, Config{}, authn.Match{Outcome: authn.Right, Step: step}},
		{"A4 a step behind", codeAt(t, otp.Params{}, -1), 0, Config{}, authn.Match{Outcome: authn.Right, Step: step - 1}},
		{"A4 a step ahead", codeAt(t, otp.Params{}, 1), 0, Config{}, authn.Match{Outcome: authn.Right, Step: step + 1}},
		{"std-69 two steps behind", codeAt(t, otp.Params{}, -2), 0, Config{}, authn.Match{Outcome: authn.Wrong}},
		{"std-69 two steps ahead", codeAt(t, otp.Params{}, 2), 0, Config{}, authn.Match{Outcome: authn.Wrong}},
		{"window 0, now", usualCode, 0, Config{Window: -1}, authn.Match{Outcome: authn.Right, Step: step}},
		{"window 0, a step behind", codeAt(t, otp.Params{}, -1), 0, Config{Window: -1}, authn.Match{Outcome: authn.Wrong}},
		{"window 0, a step ahead", codeAt(t, otp.Params{}, 1), 0, Config{Window: -1}, authn.Match{Outcome: authn.Wrong}},
		{"A4 with a space", usualCode[:3] + " " + usualCode[3:], 0, Config{}, authn.Match{Outcome: authn.Right, Step: step}},
		{"A4 with a dash", usualCode[:3] + "-" + usualCode[3:], 0, Config{}, authn.Match{Outcome: authn.Right, Step: step}},
		{"A4 full-width", fullWidth(usualCode), 0, Config{}, authn.Match{Outcome: authn.Right, Step: step}},
		{"std-24 the same again", usualCode, step, Config{}, authn.Match{Outcome: authn.Void}},
		{"cve-17 the same, spelled otherwise", " " + usualCode, step, Config{}, authn.Match{Outcome: authn.Void}},
		{"std-68 T after T+1", usualCode, step + 1, Config{}, authn.Match{Outcome: authn.Void}},
		{"std-68 T+1 after T", codeAt(t, otp.Params{}, 1), step, Config{}, authn.Match{Outcome: authn.Right, Step: step + 1}},
		{"cve-73 last step in the future", usualCode, step + 20, Config{}, authn.Match{Outcome: authn.Void}},
		{"another", other(usualCode), 0, Config{}, authn.Match{Outcome: authn.Wrong}},
		{"cve-40 zeros", "000000", 0, Config{}, authn.Match{Outcome: authn.Wrong}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMethod(t, tt.c)
			a := authn.Answer{Code: tt.code}
			if err := m.Shape(a); err != nil {
				t.Fatalf("Shape: %v", err)
			}
			for name, verify := range map[string]func(context.Context, authn.Request, authn.Answer) (authn.Match, error){"Verify": m.Verify, "Confirm": m.Confirm} {
				got, err := verify(t.Context(), request(tt.last), a)
				if name == "Confirm" {
					got.Skew = 0 // has a test of its own
				}
				if err != nil || got.Outcome != tt.want.Outcome || got.Step != tt.want.Step || got.Skew != 0 || got.Rehash != nil {
					t.Errorf("%s = %+v, %v; want %+v", name, got, err, tt.want)
				}
			}
		})
	}
}

func fullWidth(s string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '０' }, s)
}

// other is a code of the same length that no step near now has.
func other(code string) string {
	return string('0'+(code[0]-'0'+5)%10) + code[1:]
}

// rul-44: what is no code is refused before anything is charged.
func TestShape_rul44(t *testing.T) {
	tests := []struct {
		code      string
		max       int
		want      string
		wantDigit int
	}{
		{"", 0, "required", 6},
		{" - ", 0, "required", 6},
		{"12345", 0, "too_few", 6},
		{"1234567", 0, "too_many", 6},
		{strings.Repeat("1", 1000), 0, "too_many", 6},
		{"12345a", 0, "not_digits", 6},
		{"7K3M-Q9TD", 0, "not_digits", 6},
		{"null", 0, "not_digits", 6},
		{"\xff\xfe12345", 0, "not_digits", 6},
		{"123456", 0, "", 0},
		{"１２３ ４５６", 0, "", 0},
		{"٠١٢٣٤٥", 0, "", 0},
		{"12345", 8, "too_few", 6},
		{"123456", 8, "", 0},
		{"1234567", 8, "", 0},
		{"12345678", 8, "", 0},
		{"123456789", 8, "too_many", 8},
		{"1234567x", 8, "not_digits", 6},
	}
	for _, tt := range tests {
		err := newMethod(t, Config{MaxDigits: tt.max}).Shape(authn.Answer{Code: tt.code})
		if got := fieldOf(err); got != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%.20q, up to %d digits: %v, want %q", tt.code, tt.max, err, tt.want)
		} else if err != nil && authn.AsError(err).Fields[0].Args["Digits"] != tt.wantDigit {
			t.Errorf("%.20q: args %v, want %d digits", tt.code, authn.AsError(err).Fields[0].Args, tt.wantDigit)
		}
	}
}

func TestVerify_data(t *testing.T) {
	wide := Config{MaxDigits: 8}
	tests := []struct {
		name string
		data string
		p    otp.Params
		c    Config
		ok   bool
	}{
		{"usual", usual, otp.Params{}, Config{}, true},
		{"none", "", otp.Params{}, Config{}, true},
		{"empty object", "{}", otp.Params{}, Config{}, true},
		{"as PostgreSQL writes jsonb", `{"digits": 6, "period": 30, "algorithm": "SHA1"}`, otp.Params{}, Config{}, true},
		{"A1 SHA-256, 8 digits", `{"algorithm":"SHA256","digits":8}`, otp.Params{Algorithm: otp.SHA256, Digits: 8}, wide, true},
		{"A1 SHA-512, 60 s", `{"algorithm":"SHA512","period":60}`, otp.Params{Algorithm: otp.SHA512, Period: 60}, Config{}, true},
		{"std-23 120 s", `{"period":120}`, otp.Params{Period: 120}, Config{}, true},
		{"std-23 121 s", `{"period":121}`, otp.Params{}, Config{}, false},
		{"14 s", `{"period":14}`, otp.Params{}, Config{}, false},
		{"8 digits where 6 are allowed", `{"digits":8}`, otp.Params{}, Config{}, false},
		{"5 digits", `{"digits":5}`, otp.Params{}, wide, false},
		{"9 digits", `{"digits":9}`, otp.Params{}, wide, false},
		{"negative", `{"period":-30}`, otp.Params{}, Config{}, false},
		{"MD5", `{"algorithm":"MD5"}`, otp.Params{}, Config{}, false},
		{"no algorithm", `{"algorithm":""}`, otp.Params{}, Config{}, false},
		{"unknown field", `{"window":10}`, otp.Params{}, Config{}, false},
		{"two objects", `{}{}`, otp.Params{}, Config{}, false},
		{"trailing text", `{} x`, otp.Params{}, Config{}, false},
		{"text", `"SHA1"`, otp.Params{}, Config{}, false},
		{"long", `{"algorithm":"SHA1"` + strings.Repeat(" ", 300) + `}`, otp.Params{}, Config{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMethod(t, tt.c)
			r := request(0)
			r.Factor.Data = []byte(tt.data)
			code := codeAt(t, tt.p, 0)
			got, err := m.Verify(t.Context(), r, authn.Answer{Code: code})
			if tt.ok && (err != nil || got.Outcome != authn.Right || got.Step != otp.Key{Params: tt.p}.Step(now)) {
				t.Errorf("got %+v, %v", got, err)
			}
			if !tt.ok && (err == nil || got.Outcome != authn.Void || authn.AsError(err).Code != authn.Internal) {
				t.Errorf("accepted: %+v, %v", got, err)
			}
			if b, err := m.Data(tt.p); tt.ok && err != nil || tt.data == usual && string(b) != usual {
				t.Errorf("Data = %s, %v", b, err)
			}
		})
	}
	if _, err := newMethod(t, Config{}).Data(otp.Params{Digits: 8}); err == nil {
		t.Error("Data writes what Verify refuses")
	}
}

func TestVerify_lengthOfThisFactor(t *testing.T) {
	m := newMethod(t, Config{MaxDigits: 8})
	for code, want := range map[string]string{"12345678": "too_many", "12345": "too_few", "": "required", "12345x": "not_digits"} {
		got, err := m.Verify(t.Context(), request(0), authn.Answer{Code: code})
		if fieldOf(err) != want || got.Outcome != authn.Void {
			t.Errorf("%q: %+v, %v; want %s, and nothing charged", code, got, err, want)
		}
	}
}

func TestConfirm_A8_clock(t *testing.T) {
	m := newMethod(t, Config{})
	for _, tt := range []struct {
		steps, want int64
	}{{2, 60}, {-2, -60}, {20, 600}, {-20, -600}, {21, 0}, {-21, 0}, {5, 150}, {-7, -210}} {
		a := authn.Answer{Code: codeAt(t, otp.Params{}, tt.steps)}
		got, err := m.Confirm(t.Context(), request(0), a)
		if err != nil || got.Outcome != authn.Wrong || got.Skew != tt.want || got.Step != 0 {
			t.Errorf("a code of %d steps away: %+v, %v; want a skew of %d s", tt.steps, got, err, tt.want)
		}
		// rul-16: at sign-in nothing is said.
		if got, err := m.Verify(t.Context(), request(0), a); err != nil || got.Skew != 0 || got.Outcome != authn.Wrong {
			t.Errorf("Verify says %+v, %v", got, err)
		}
	}
	got, err := m.Confirm(t.Context(), request(step), authn.Answer{Code: codeAt(t, otp.Params{}, 0)})
	if err != nil || got.Outcome != authn.Void || got.Skew != 0 {
		t.Errorf("a used code: %+v, %v", got, err)
	}
	if _, err := m.Confirm(t.Context(), request(0), authn.Answer{Code: "12"}); fieldOf(err) != "too_few" {
		t.Errorf("a short code: %v", err)
	}
}

func TestVerify_unknownPerson(t *testing.T) {
	m := newMethod(t, Config{Random: strings.NewReader(string(secret))}) // the dummy is the secret of the test
	r := request(0)
	r.Secret = nil
	for _, verify := range []func(context.Context, authn.Request, authn.Answer) (authn.Match, error){m.Verify, m.Confirm} {
		for _, code := range []string{codeAt(t, otp.Params{}, 0), codeAt(t, otp.Params{}, 4)} {
			if got, err := verify(t.Context(), r, authn.Answer{Code: code}); err != nil || got.Outcome != authn.Wrong || got.Skew != 0 {
				t.Errorf("got %+v, %v; want wrong and nothing more", got, err)
			}
		}
	}
	r.Secret = []byte{}
	if got, err := m.Verify(t.Context(), r, authn.Answer{Code: "123456"}); err == nil || got.Outcome != authn.Void {
		t.Errorf("a factor with an empty secret: %+v, %v", got, err)
	}
}

func TestEnrolment_A1_A2_A3(t *testing.T) {
	m := newMethod(t, Config{})
	company := authn.Company{Name: "Acme: Projects & Söhne", Slug: "acme"}
	user := authn.User{ID: "usr_1", Login: "maya", Email: "maya+home@acme.example"}
	shown, err := m.Begin(t.Context(), authn.Request{Company: company, User: user})
	if err != nil || len(shown.Secret) != 20 || string(shown.Data) != usual {
		t.Fatalf("Begin: %d bytes of secret, data %s, %v", len(shown.Secret), shown.Data, err)
	}
	again, _ := m.Begin(t.Context(), authn.Request{})
	if string(again.Secret) == string(shown.Secret) {
		t.Error("two factors have one secret")
	}
	text, err := m.Present(authn.Request{Company: company, User: user, Factor: authn.Factor{Data: shown.Data}, Secret: shown.Secret})
	if err != nil || text.Key != otp.Secret(shown.Secret).Base32() {
		t.Fatal(text.Key, err)
	}
	uri, err := otp.ParseURI(text.URI)
	if err != nil || uri.Issuer != "Acme Projects & Söhne" || uri.Account != user.Email || string(uri.Secret) != string(shown.Secret) || uri.WithDefaults() != (otp.Params{}).WithDefaults() {
		t.Errorf("an app reads %+v, %v from %s", uri, err, text.URI)
	}
	code, err := uri.TOTP(now) // what the app shows
	if err != nil {
		t.Fatal(err)
	}
	r := authn.Request{Company: company, User: user, Secret: shown.Secret, Now: now.Unix(), Factor: authn.Factor{Data: shown.Data}}
	if got, err := m.Confirm(t.Context(), r, authn.Answer{Code: code}); err != nil || got.Outcome != authn.Right || got.Step != step {
		t.Errorf("Confirm: %+v, %v", got, err)
	}
}

func TestPresent_A3_names(t *testing.T) {
	m := newMethod(t, Config{})
	tests := []struct {
		c               authn.Company
		u               authn.User
		issuer, account string
	}{
		{authn.Company{Name: "Acme"}, authn.User{Login: "maya"}, "Acme", "maya"},
		{authn.Company{Name: " :: ", Slug: "acme"}, authn.User{Login: "m:aya"}, "acme", "m aya"},
		{authn.Company{}, authn.User{ID: "usr_1"}, "Sallyport", "usr_1"},
		{authn.Company{Name: "A\u202eB\n?issuer=Bank"}, authn.User{Login: "x&secret=AAAA"}, "A B ?issuer=Bank", "x&secret=AAAA"},
	}
	for _, tt := range tests {
		p, err := m.Present(authn.Request{Company: tt.c, User: tt.u, Secret: secret})
		if err != nil || p.Issuer != tt.issuer || p.Account != tt.account {
			t.Errorf("%+v: %q, %q, %v", tt.c, p.Issuer, p.Account, err)
			continue
		}
		if uri, err := otp.ParseURI(p.URI); err != nil || uri.Issuer != tt.issuer || uri.Account != tt.account || string(uri.Secret) != string(secret) {
			t.Errorf("%s reads as %q, %q, %v", p.URI, uri.Issuer, uri.Account, err)
		}
	}
	acme, maya := authn.Company{Name: "Acme"}, authn.User{Login: "maya"}
	for name, r := range map[string]authn.Request{
		"data":   {Company: acme, User: maya, Secret: secret, Factor: authn.Factor{Data: []byte("x")}},
		"secret": {Company: acme, User: maya},
		"person": {Company: acme, Secret: secret},
	} {
		if p, err := m.Present(r); err == nil || p != (authn.Presented{}) {
			t.Errorf("no error for a wrong %s", name)
		}
	}
}

func TestNew(t *testing.T) {
	broken := errors.New("no entropy")
	for name, c := range map[string]Config{
		"window":          {Window: 2},
		"digits":          {MaxDigits: 9},
		"few digits":      {MaxDigits: 5},
		"std-23 period":   {MaxPeriod: 121},
		"period below 30": {MaxPeriod: 29},
		"period above 30": {MinPeriod: 31},
		"random":          {Random: iotest.ErrReader(broken)},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error for %+v", name, c)
		}
	}
	m := newMethod(t, Config{Random: io.LimitReader(strings.NewReader(strings.Repeat("x", 20)), 20)})
	if _, err := m.Begin(t.Context(), authn.Request{}); err == nil {
		t.Error("Begin made a secret without randomness")
	}
	if m.Kind() != authn.TOTP || !m.Quick() || m.Traits() != (authn.Traits{Possession: true}) {
		t.Errorf("%v, quick %v, %+v", m.Kind(), m.Quick(), m.Traits())
	}
}

// inv-H: neither secret nor code nor data is in any error.
func TestErrors_invH_canary(t *testing.T) {
	m := newMethod(t, Config{})
	r := request(0)
	for _, code := range []string{"canary", "98765", "9876543", "987654"} {
		for _, s := range [][]byte{secret, []byte("canary"), {}} {
			for _, data := range []string{usual, `{"canary":1}`, `{"algorithm":"canary"}`} {
				r.Secret, r.Factor.Data = s, []byte(data)
				_, err := m.Verify(t.Context(), r, authn.Answer{Code: code})
				_, err2 := m.Confirm(t.Context(), r, authn.Answer{Code: code})
				_, err3 := m.Present(r)
				err4 := m.Shape(authn.Answer{Code: code})
				text := fmt.Sprintf("%v %+v %v %v %v", err, err, err2, err3, err4)
				if err != nil {
					text += fmt.Sprintf("%#v", authn.AsError(err).Fields)
				}
				for _, canary := range []string{"canary", "98765", "123456789", otp.Secret(secret).Base32(), "99 97 110"} {
					if strings.Contains(text, canary) {
						t.Errorf("%q is in %s", canary, text)
					}
				}
			}
		}
	}
}

func TestVerify_allocatesNothing(t *testing.T) {
	m := newMethod(t, Config{})
	r, a := request(0), authn.Answer{Code: codeAt(t, otp.Params{}, 0)}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := m.Verify(t.Context(), r, a); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Verify allocates %v times", n)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("123456", usual)
	f.Add("１２３ ４５６", `{"algorithm":"SHA256","digits":8,"period":60}`)
	f.Add("", "{}")
	m := newMethod(f, Config{MaxDigits: 8})
	f.Fuzz(func(t *testing.T, code, data string) {
		r := request(step + 1) // nothing can be right
		r.Factor.Data = []byte(data)
		got, err := m.Confirm(t.Context(), r, authn.Answer{Code: code})
		if got.Outcome == authn.Right && !strings.Contains(data, "period") || err != nil && got.Outcome != authn.Void {
			t.Errorf("%+v, %v", got, err)
		}
		if m.Shape(authn.Answer{Code: code}) != nil && err == nil {
			t.Error("Shape refuses what Confirm evaluated")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	m := newMethod(b, Config{})
	r, a := request(0), authn.Answer{Code: codeAt(b, otp.Params{}, 0)}
	b.ReportAllocs()
	for b.Loop() {
		if got, err := m.Verify(b.Context(), r, a); err != nil || got.Outcome != authn.Right {
			b.Fatal(got, err)
		}
	}
}

func BenchmarkConfirmWrong(b *testing.B) {
	m := newMethod(b, Config{})
	r, a := request(0), authn.Answer{Code: "000000"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Confirm(b.Context(), r, a); err != nil {
			b.Fatal(err)
		}
	}
}
