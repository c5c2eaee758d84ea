package otp

import (
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestNormalizeAccepts(t *testing.T) { // A4, rul-44
	for _, text := range []string{
		"123456", " 123456", "123456\n", "\t123456\r\n", "123 456", "123-456", "1 2 3 4 5 6", "12-34-56",
		"123\u00a0456", "123\u2009456", "123\u202f456", "123\u3000456", "\u200e123456\u200f", "\ufeff123\u200b456", "\u202a123456\u202c",
		"123\u2010456", "123\u2011456", "123\u2013456", "123\u2014456", "123\u2212456", "123\u00ad456", "123\uff0d456",
		"１２３４５６", "١٢٣٤٥٦", "۱۲۳۴۵۶", "१२३४५६", "๑๒๓๔๕๖", "𝟏𝟐𝟑𝟒𝟓𝟔", "𝟙𝟚𝟛𝟜𝟝𝟞",
		"１２３　４５６", "١٢٣ ٤٥٦", "12３٤۵6",
	} {
		if got, err := Normalize(text, 6); got != "123456" || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for digits, text := range map[int]string{0: "000 000", 6: "000000", 7: "000 0000", 8: "0000-0000"} {
		want := strings.Repeat("0", max(digits, 6))
		if got, err := Normalize(text, digits); got != want || err != nil { // leading zeros stay
			t.Errorf("%d digits: %q, %v", digits, got, err)
		}
	}
}

func TestNormalizeRefuses(t *testing.T) { // ux 30: one text for each
	for _, c := range []struct {
		text string
		want error
	}{
		{"", ErrCodeEmpty},
		{"   ", ErrCodeEmpty},
		{"---", ErrCodeEmpty},
		{"12345", ErrCodeShort},
		{"1", ErrCodeShort},
		{"1234567", ErrCodeLong},
		{"123 456 789", ErrCodeLong},
		{"12345a", ErrCodeLetters},
		{"abc", ErrCodeLetters},
		{"123456x", ErrCodeLetters}, // the letter goes before the count
		{"12345678901234567890x", ErrCodeLetters},
		{"O12345", ErrCodeLetters},
		{"l23456", ErrCodeLetters},
		{"+123456", ErrCodeLetters},
		{"123.456", ErrCodeLetters},
		{"123,456", ErrCodeLetters},
		{"1e5000", ErrCodeLetters},
		{"0x1234", ErrCodeLetters},
		{"123456\x00", ErrCodeLetters},
		{"12345\xff", ErrCodeLetters},
		{"\xf0\x9d\x9f", ErrCodeLetters}, // half a digit
		{"²²²²²²", ErrCodeLetters},       // superscript: a digit (No), not a decimal one (Nd)
		{"ⅫⅫⅫⅫⅫⅫ", ErrCodeLetters},
		{"一二三四五六", ErrCodeLetters},
		{strings.Repeat("1", 257), ErrCodeLong},
		{strings.Repeat(" ", 257), ErrCodeLong},
		{strings.Repeat("x", 1<<20), ErrCodeLong},
	} {
		if got, err := Normalize(c.text, 6); err != c.want || got != "" {
			t.Errorf("%.30q: %q, %v; want %v", c.text, got, err, c.want)
		}
	}
	for _, digits := range []int{-1, 1, 5, 9, 1 << 30} {
		if _, err := Normalize("123456", digits); err != ErrDigits {
			t.Errorf("%d digits: %v", digits, err)
		}
	}
	for _, digits := range []int{7, 8} {
		if _, err := Normalize("123456", digits); err != ErrCodeShort {
			t.Errorf("%d digits: %v", digits, err)
		}
	}
}

// TestDigitValue makes sure of what digitValue relies on: every range of Nd is made
// of whole tens. A new version of Unicode that broke this would show here.
func TestDigitValue(t *testing.T) {
	count := 0
	check := func(lo, hi, stride rune) {
		if stride != 1 || (hi-lo+1)%10 != 0 {
			t.Errorf("range %x-%x, stride %d, is not whole tens", lo, hi, stride)
		}
	}
	for _, r := range unicode.Nd.R16 {
		check(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range unicode.Nd.R32 {
		check(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for r := rune(-1); r <= unicode.MaxRune+1; r++ {
		d, ok := digitValue(r)
		if ok != unicode.Is(unicode.Nd, r) || ok && d > 9 {
			t.Errorf("%U: %d, %v", r, d, ok)
		}
		if ok {
			count++
			if isSpace(r) || isDash(r) {
				t.Errorf("%U is a digit and dropped as well", r)
			}
		}
	}
	if count < 650 { // Unicode 15 has 680
		t.Errorf("only %d digits", count)
	}
	for _, zero := range []rune{'0', 0x660, 0x6F0, 0x966, 0xE50, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7F6} {
		for i := range rune(10) {
			if d, ok := digitValue(zero + i); !ok || rune(d) != i {
				t.Errorf("%U: %d, %v; want %d", zero+i, d, ok, i)
			}
		}
	}
}

func TestNormalizeWorksInBoundedTime(t *testing.T) { // cve-70
	huge := strings.Repeat("१ ", 5<<20)
	began := time.Now()
	for range 1000 {
		_, _ = Normalize(huge, 6)
		_, _ = DecodeSecret(huge)
		_, _ = ParseURI(huge)
		_, _, _ = rfcKey.Check(now, 1, -1, huge)
	}
	if d := time.Since(began); d > time.Second { // looking at 20 MB a thousand times takes a minute
		t.Errorf("huge input took %v", d)
	}
}

func BenchmarkNormalize(b *testing.B) {
	for name, text := range map[string]string{"plain": "123456", "spaced": "123 456", "persian": "۱۲۳ ۴۵۶", "hostile": strings.Repeat("𞥐", 64)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Normalize(text, 6)
			}
		})
	}
}
