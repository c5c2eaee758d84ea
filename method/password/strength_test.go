package password

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// J1: the meter. It is advice, so that the table says what people read, not bits.
func TestStrength_J1(t *testing.T) {
	maya := authn.User{Login: "maya", Email: "maya.lindqvist@acme.example", Name: "Maya Lindqvist"}
	acme := authn.Company{Name: "Żółw Projekty", Slug: "zolw-p"}
	m, d := newCheap(t, cheap)
	for _, tt := range []struct {
		password string
		least    int
		most     int
		advice   authn.Advice
	}{
		{"password", 0, 0, authn.AdviceCommon},
		{"basketball2026!", 0, 0, authn.AdviceCommon},
		{"Maya Lindqvist", 0, 0, authn.AdviceName},
		{"M-a-y-a 1999", 0, 0, authn.AdviceName},
		{"maya.lindqvist@acme", 0, 2, authn.AdviceName},
		{"lindqvist horse", 0, 2, authn.AdviceName},
		{"zolw projekty xq", 0, 2, authn.AdviceName}, // as the company is called, without its accents
		{"żółw projekty xq", 0, 2, authn.AdviceName},
		{"ababababababababab", 0, 0, authn.AdviceCommon},
		{"abcabcabcabcabcabc", 0, 0, authn.AdviceRepeats},
		{"xq4xq4xq4xq4xq4xq4", 0, 2, authn.AdviceRepeats},
		{"horse horse horse horse", 0, 2, authn.AdviceRepeats},
		{strings.Repeat("日本語", 8), 0, 2, authn.AdviceRepeats},
		{strings.Repeat("🐎", 20), 0, 0, authn.AdviceRepeats},
		{"Tr0ub4dour", 0, 2, authn.AdviceLonger},
		{"q7wx", 0, 1, authn.AdviceLonger},
		{"849302175630284", 1, 3, authn.AdviceLonger},
		{"mqzjwkxvbtplhgd", 4, 4, ""},
		{"quiet harbour lamps beside", 4, 4, ""},
		{"bookkeeper hubbub mississippi", 3, 4, ""},
		{"日本語の長いパスワードです", 3, 4, ""},
	} {
		got, err := m.Strength(t.Context(), tt.password, maya, acme)
		if err != nil || got.Score < tt.least || got.Score > tt.most || got.Advice != tt.advice {
			t.Errorf("%q: %+v, %v; want %d to %d, %q", tt.password, got, err, tt.least, tt.most, tt.advice)
		}
	}
	if len(d.entered) != 0 {
		t.Error("the meter took the place of a hash")
	}
	if _, err := m.Strength(t.Context(), "", maya, acme); fieldOf(err) != "password.required" {
		t.Errorf("nothing: %v", err)
	}
}

// What is known of the person counts; what is after the 64th character does not.
func TestStrength_inputs_J1(t *testing.T) {
	m, _ := newCheap(t, cheap)
	of := func(password, name string) authn.Strength {
		st, err := m.Strength(t.Context(), password, authn.User{Name: name}, authn.Company{})
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	if with, without := of("wojciechowska harbour", "Ada Wojciechowska"), of("wojciechowska harbour", "Bea Nowak"); with.Score >= without.Score || with.Advice != authn.AdviceName {
		t.Errorf("%+v, %+v", with, without)
	}
	long := strings.Repeat("ab cd ", 11)[:maxScored]
	if a, b := of(long, ""), of(long+"mqzjwkxvbtplhgd", ""); a != b {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestUnrepeated(t *testing.T) {
	for s, want := range map[string]struct {
		s string
		n int
	}{
		"": {"", 1}, "book": {"book", 1}, "aaa": {"aaa", 1}, "aaaa": {"a", 4}, "abababab": {"ab", 4},
		"xxabcabcyy": {"xxabcyy", 2}, "aaaabbbb": {"ab", 16}, "horse horse horse": {"horse horse", 2},
	} {
		if got, n := unrepeated(s); len(got) != len(want.s) || n != want.n {
			t.Errorf("%q: %q, %d; want %q, %d", s, got, n, want.s, want.n)
		}
	}
}

// cve-22: whoever asks too much is told to do without, and takes no more than half
// of the processors. The work for one is bounded whatever it is made of.
func TestStrength_bounded_cve22(t *testing.T) {
	m, _ := newCheap(t, cheap)
	for range cap(m.meter) {
		m.meter <- struct{}{}
	}
	if cap(m.meter) > max(1, runtime.GOMAXPROCS(0)/2) {
		t.Errorf("%d at once", cap(m.meter))
	}
	_, err := m.Strength(t.Context(), "quiet horses", authn.User{}, authn.Company{})
	if e := authn.AsError(err); e.Code != authn.Busy || e.RetryAfter <= 0 {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Strength(ctx, "quiet horses", authn.User{}, authn.Company{}); authn.AsError(err).Code != authn.Busy {
		t.Errorf("%v", err)
	}
	for range cap(m.meter) {
		<-m.meter
	}
	// The library's own look at swapped letters takes hours for this one.
	began := time.Now()
	if _, err := m.Strength(t.Context(), strings.Repeat("4@8({[<369!1|70$5+%2", 200), authn.User{Name: strings.Repeat("4@8({[<369!1|70$5+%2 ", 20)}, authn.Company{}); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%v", took)
	}
	if len(m.meter) != 0 {
		t.Error("a place is not given back")
	}
}

func FuzzStrength(f *testing.F) {
	f.Add("4@8({[<369!1|70$5+%2", "Maya Lindqvist", "acme")
	f.Add("İİİ\u0301\ufb01 01.02.1999 1999", "日本", "ß\x00")
	f.Add(strings.Repeat("18001", 20), "1-2", "19")
	f.Add(strings.Repeat("qwerty", 20), "", "")
	m, _ := newCheap(f, cheap)
	f.Fuzz(func(t *testing.T, password, name, company string) {
		st, err := m.Strength(t.Context(), password, authn.User{Login: name, Name: name}, authn.Company{Name: company})
		if err != nil && fieldOf(err) == "" {
			t.Errorf("%v", err)
		}
		if st.Score < 0 || st.Score > 4 || st.Score < 3 && st.Advice == "" && err == nil || st.Score >= 3 && st.Advice != "" {
			t.Errorf("%+v", st)
		}
	})
}

func BenchmarkStrength(b *testing.B) {
	m, _ := newCheap(b, cheap)
	for name, p := range map[string]string{"usual": "quiet harbour lamps beside", "digits": "4031059026503919683597044566738951840275610394857261039485726103",
		"keys": "qwertyasdfgzxcvbqwertasdfghzxcvbnqwertyuasdfzxcvbnqweasdzxcrtyfgh", "signs": strings.Repeat("4@8({[<369!1|70$5+%2", 4)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = m.Strength(b.Context(), p, authn.User{Name: "Maya Lindqvist"}, authn.Company{Name: "Acme"})
			}
		})
	}
}
