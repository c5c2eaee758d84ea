package notice

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/text"
)

// A company's own names are those of its messages, and no way round the rules of
// names (cve-65, B4).
func TestBrandNames_S37(t *testing.T) {
	s := service(t, text.Default())
	l := letter(Code)
	for given, want := range map[string]string{"": "Acme Projects", "Service desk": "Service desk", "a@evil.example": "a evil. example", "\u202e": "Acme Projects", "Win at www.evil.example": "Win at www. evil. example"} {
		l.Company.Brand.MailName = given
		if m := render(t, s, l); m.From != want || !strings.Contains(m.Text, "Acme Projects") {
			t.Errorf("%q: from %q", given, m.From)
		}
	}
	for _, name := range hostile {
		l := textLetter(Code, "en", "Acme Projects", 2*time.Minute)
		l.Company.Brand.SMSName = name
		holdsSMS(t, "brand", render(t, s, l), name)
	}
	sms := textLetter(Code, "en", "Acme Projects", 2*time.Minute)
	sms.Company.Brand.SMSName = "Żółw"
	if m := render(t, s, sms); !strings.Contains(m.Text, "Zolw") || strings.Contains(m.Text, "Acme") {
		t.Errorf("%q", m.Text)
	}
	sms.Company.Brand.SMSName = "日本"
	if m := render(t, s, sms); !strings.Contains(m.Text, "Acme Projects") {
		t.Errorf("%q", m.Text)
	}
}

func TestSMSName(t *testing.T) {
	for given, want := range map[string]string{"": "", "日本": "", "Żółty Żółw": "Zolty Zolw", "Åcme": "Åcme", "418207": "", "ACME": "ACME", strings.Repeat("x", 40): strings.Repeat("x", 30), "€€€": ""} {
		if got := SMSName(given); got != want || SMSName(got) != got {
			t.Errorf("%q: %q", given, got)
		}
	}
}

// The limits of one message, and of the parts of several.
func TestMeasure(t *testing.T) {
	for _, tt := range []struct {
		s    string
		want Length
	}{
		{"", Length{GSM7: true, N: 0, Most: 160, Messages: 1}},
		{strings.Repeat("x", 160), Length{GSM7: true, N: 160, Most: 160, Messages: 1}},
		{strings.Repeat("x", 161), Length{GSM7: true, N: 161, Most: 160, Messages: 2}},
		{strings.Repeat("x", 306), Length{GSM7: true, N: 306, Most: 160, Messages: 2}},
		{strings.Repeat("x", 307), Length{GSM7: true, N: 307, Most: 160, Messages: 3}},
		{strings.Repeat("€", 80), Length{GSM7: true, N: 160, Most: 160, Messages: 1}},
		{"Ż", Length{N: 1, Most: 70, Messages: 1}},
		{strings.Repeat("Ż", 71), Length{N: 71, Most: 70, Messages: 2}},
		{"🐢", Length{N: 2, Most: 70, Messages: 1}},
	} {
		if got := Measure(tt.s); got != tt.want {
			t.Errorf("%.20q: %+v, want %+v", tt.s, got, tt.want)
		}
	}
}
