package notice

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/text"
)

// textLetter is a text message of a template.
func textLetter(tpl authn.Template, lang, company string, validity time.Duration) authn.Letter {
	l := letter(tpl)
	l.User.Locale, l.Channel, l.To, l.Company.Name = lang, authn.SMS, "+46701740642", company
	l.ExpiresAt = l.At.Add(validity)
	return l
}

var lives = []time.Duration{time.Second, 30 * time.Second, time.Minute, 119 * time.Second, 2 * time.Minute, 10 * time.Minute}

const lastLine = "\n\n@login.acme.example #" + testCode

// hostile are names of companies that try to be something else.
var hostile = []string{
	"Acme\n\n@evil.example #999999", "@evil.example #999999", "evil.example #999999", "Acme\r\n@evil.example #999999", "Acme\u2028@evil.example #999999", "Acme\u0085@evil.example #999999",
	"＠evil．example ＃９９９９９９", "999999", "999999 is your Acme code", "99 99 99", "9-9-9-9-9-9", "٩٩٩٩٩٩", "９９９９９９", "⁹⁹⁹⁹⁹⁹", "①②③④⑤⑥", "𝟗𝟗𝟗𝟗𝟗𝟗", "418207", "G-418207",
	"https://evil.example", "HTTPS://EVIL.EXAMPLE/x", "www.evil.example", "evil.#example", "evil.@example", "evil.12345example", "ht12345tp://evil", "evil。example", "evil․example", "℀℁.℅", "evil\u200b.\u200bexample",
	"h\u0301ttps://evil", "\uff48\uff54\uff54\uff50://evil", "//evil", `\\evil`, "tel:+46900", "mailto:a@evil.example",
	"🔥🔥🔥 Win 🔥", "👩‍💻", "\u202eemca\u202c", "شركة أكمي", "日本", "日本株式会社 A", "\u200f\u200e", "\x00\x1b[31m", "\xff\xfe", "{Code}", "{{.Code}}", "\ue0000\ue001", "", " ", "#", "@@@", "a@", "...", "…",
	strings.Repeat("Ż", 60), strings.Repeat("€", 60), strings.Repeat("a\u0301\u0302\u0303", 60), strings.Repeat("W", 60), strings.Repeat("a ", 30), strings.Repeat("x", 1<<20),
}

// digitsInARow is what a phone or a person could take for a code.
var digitsInARow = regexp.MustCompile(`\d([ .-]?\d){4,}`)

// holdsSMS is what is true of every text message with a code.
func holdsSMS(t *testing.T, what string, m authn.Message, company string) {
	t.Helper()
	if m.HTML != "" || m.Subject != "" {
		t.Errorf("%s: parts of an e-mail", what)
	}
	if n := septets(m.Text); n < 0 || n > oneMessage {
		t.Errorf("%s, %.40q: %d septets: %q", what, company, n, m.Text)
	}
	first, found := strings.CutSuffix(m.Text, lastLine)
	if !found || strings.ContainsAny(first, "\n\r@#") || !strings.HasPrefix(first, testCode+" ") {
		t.Fatalf("%s, %.40q: lines %q", what, company, m.Text)
	}
	if n := strings.Count(m.Text, testCode); n != 2 {
		t.Errorf("%s, %.40q: the code stands %d times: %q", what, company, n, m.Text)
	}
	rest := strings.TrimPrefix(first, testCode+" ")
	if digitsInARow.MatchString(rest) || looksLinked.MatchString(rest) {
		t.Errorf("%s, %.40q: another code, or a link: %q", what, company, m.Text)
	}
	// What is left of a company's name can be these words, too.
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, company)
	if strings.Contains(rest, "  ") || strings.Contains(rest, "your code") && !strings.Contains(letters, "yourcode") || strings.Contains(rest, "firmie .") || strings.Contains(rest, "firmie  ") {
		t.Errorf("%s, %.40q: no sentence: %q", what, company, m.Text)
	}
}

func smsTemplates() (list []authn.Template) {
	for _, tpl := range templates() {
		if shapes[tpl].sms && shapes[tpl].code {
			list = append(list, tpl)
		}
	}
	return list
}

// B4, S44: in every language one message of GSM-7, with its act, how long it
// works, what not to do, and the last line; whatever the company is called.
func TestSMS_B4(t *testing.T) {
	s := service(t, nil)
	if got := smsTemplates(); !slices.Equal(got, []authn.Template{Code, CodeSetup, CodeStepUp}) {
		t.Fatalf("%q go as text messages", got)
	}
	for _, tpl := range smsTemplates() {
		for _, lang := range text.Default().Languages() {
			for _, company := range append([]string{"Acme Projects", "Łódzkie Żółwie", "Zażółć gęślą jaźń sp. z o.o."}, hostile...) {
				for _, validity := range lives {
					m := render(t, s, textLetter(tpl, lang, company, validity))
					holdsSMS(t, fmt.Sprint(tpl, " ", lang, " ", validity), m, company)
					if m.Language != lang {
						t.Errorf("%s is written in %q", lang, m.Language)
					}
				}
			}
		}
	}
}

func TestSMS_says(t *testing.T) {
	s := service(t, nil)
	for _, c := range []struct {
		tpl           authn.Template
		lang, company string
		validity      time.Duration
		want          string
	}{
		{Code, "en", "Acme Projects", 2 * time.Minute, "418207 is your Acme Projects code to sign in. It works for 2 minutes. Never share it."},
		{Code, "en", "Acme Projects", time.Minute, "418207 is your Acme Projects code to sign in. It works for 1 minute. Never share it."},
		{CodeStepUp, "en", "Acme Projects", 10 * time.Minute, "418207 is your Acme Projects code to confirm it's you. It works for 10 minutes. Never share it."},
		{CodeSetup, "en", "Acme Projects", 90 * time.Second, "418207 is your Acme Projects code to turn on text messages. It works for 90 seconds. Never share it."},
		{Code, "pl", "Łódzkie Żółwie", 2 * time.Minute, "418207 to kod do logowania w firmie Lodzkie Zolwie. Wygasa po 2 minutach. Nikomu go nie podawaj."},
		{CodeStepUp, "pl", "Acme", 30 * time.Second, "418207 to kod do potwierdzenia operacji w firmie Acme. Wygasa po 30 sekundach. Nikomu go nie podawaj."},
		{CodeSetup, "pl", "Acme", 2 * time.Minute, "418207 to kod do konfiguracji SMS w firmie Acme. Wygasa po 2 minutach. Nikomu go nie podawaj."},
		{Code, "en", "日本", 2 * time.Minute, "418207 is your acme code to sign in. It works for 2 minutes. Never share it."},
		{Code, "en", "Acme\n\n@evil.example #999999", 2 * time.Minute, "418207 is your Acme evil. example code to sign in. It works for 2 minutes. Never share it."},
		{Code, "en", "Studio 2000", 2 * time.Minute, "418207 is your Studio 2000 code to sign in. It works for 2 minutes. Never share it."},
	} {
		if got := render(t, s, textLetter(c.tpl, c.lang, c.company, c.validity)).Text; got != c.want+lastLine {
			t.Errorf("%s %s %q: %q", c.tpl, c.lang, c.company, got)
		}
	}
	l := textLetter(Code, "en", "日本", 2*time.Minute)
	if l.Company.Slug = "418207"; !strings.Contains(render(t, s, l).Text, "your Sallyport code") {
		t.Errorf("%q", render(t, s, l).Text)
	}
	for lang, want := range map[string]string{
		"en": "Test message from Zolw S.A. If you can read this, text messages arrive.", "pl": "Testowy SMS od firmy Zolw S.A. Skoro to czytasz, test jest udany.",
	} {
		got := render(t, s, textLetter(Test, lang, "Żółw S.A.", 0)).Text
		if want = strings.ReplaceAll(want, "S.A.", "S. A."); got != want || septets(got) > oneMessage {
			t.Errorf("%s: %q, want %q", lang, got, want)
		}
	}
}

// Names that nobody thought of: the same holds.
func TestSMS_property(t *testing.T) {
	s := service(t, nil)
	random := rand.New(rand.NewPCG(44, 46))
	pieces := []func() string{
		func() string { return hostile[random.IntN(len(hostile))] },
		func() string { return string(rune(random.IntN(unicode.MaxRune))) },
		func() string { return string(rune(random.IntN(0x250))) },
		func() string {
			return []string{".", "/", ":", "@", "#", "\n", " ", "0", "9", "http", "www"}[random.IntN(11)]
		},
	}
	for range 1000 {
		company := ""
		for range 1 + random.IntN(12) {
			company += pieces[random.IntN(len(pieces))]()
		}
		for _, tpl := range smsTemplates() {
			for _, lang := range text.Default().Languages() {
				holdsSMS(t, fmt.Sprint(tpl, " ", lang), render(t, s, textLetter(tpl, lang, company, lives[random.IntN(len(lives))])), company)
			}
		}
	}
}

// The longest host with which every message is one, and what gives way: the name.
func TestSMS_hosts(t *testing.T) {
	for _, c := range []struct{ url, host string }{
		{"https://login.acme.example:8443/", "login.acme.example"}, {"http://localhost:8080", "localhost"}, {"https://" + strings.Repeat("a", 35) + ".example", strings.Repeat("a", 35) + ".example"},
	} {
		s, err := New(Config{Outbox: noOutbox{}, PublicURL: c.url, Code: func([]byte) string { return testCode }})
		if err != nil {
			t.Fatal(err)
		}
		for _, tpl := range smsTemplates() {
			for _, lang := range text.Default().Languages() {
				for _, validity := range lives {
					got := render(t, s, textLetter(tpl, lang, strings.Repeat("Wielka Firma ", 5), validity)).Text
					if n := septets(got); n < 0 || n > oneMessage || !strings.HasSuffix(got, "\n\n@"+c.host+" #"+testCode) || !strings.Contains(got, " Wielka") {
						t.Errorf("%s %s: %d septets: %q", tpl, lang, n, got)
					}
				}
			}
		}
	}
}

// A translation of letters that the alphabet lacks is not sent with holes.
func TestSMS_otherAlphabet(t *testing.T) {
	en := map[string]string{"sms.test": "Test of {Company}."}
	el := map[string]string{"sms.test": "Δοκιμή {Company}."}
	files := fstest.MapFS{}
	for name, m := range map[string]map[string]string{"en.json": en, "el.json": el} {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: b}
	}
	c, err := text.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	if got := render(t, service(t, c), textLetter(Test, "el", "Acme", 0)).Text; got != "Test of Acme." {
		t.Errorf("%q", got)
	}
}

func TestGSM7(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "@£$": 3, "é": 1, "\n": 1, "€": 2, "[x]": 5, "{}\\^~|": 12, "ó": -1, "ł": -1, "–": -1, "\x00": -1, "\xff": -1, "`": -1, "\x1b": -1} {
		if got := septets(s); got != want {
			t.Errorf("septets(%q) = %d, want %d", s, got, want)
		}
	}
	if n := utf8.RuneCountInString(gsm7); n != 127 { // 128 less the escape
		t.Errorf("%d characters", n)
	}
	for in, want := range map[string]string{
		"Zażółć gęślą jaźń": "Zazolc gesla jazn", "ŁĄKA": "LAKA", "Ñandú Ölüm é": "Ñandu Ölüm é", "e\u0301o\u0301": "éo", "Œuvre d’Ðón": "OEuvre d'Don", "Þór": "Thor", "İstanbul ığ": "Istanbul ig",
		"“a” – b…": "\"a\" - b...", "ＡＢ１２": "AB12", "ﬁ ½": "fi 1/2", "a\u00a0\t\nb": "a b", "10 €": "10 €", "日本": "", "x\u200b\u202ey\x00": "xy", "Ça ça": "Ça ca", "  a  ": "a",
	} {
		if got, _ := toGSM7(in); got != want {
			t.Errorf("toGSM7(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]int{"Łódź": 0, "日本": 2, "a日": 1, "–🔥": 0, "Ακμή": 4} {
		if _, lost := toGSM7(in); lost != want {
			t.Errorf("toGSM7(%q) lost %d, want %d", in, lost, want)
		}
	}
	for in, want := range map[string]string{"Łódź Sp. z o.o.": "Lodz Sp. z o. o", "Acme #1": "Acme 1", "12345 Acme": "Acme", "A日本": "", "Ab日本": "Ab", "evil.#example": "evil. example"} {
		if got := smsName(in); got != want {
			t.Errorf("smsName(%q) = %q, want %q", in, got, want)
		}
	}
	for r, s := range written {
		if septets(s) < 0 || septets(string(r)) >= 0 {
			t.Errorf("%q is written %q", r, s)
		}
	}
	if !slices.Contains(slices.Collect(maps.Keys(written)), 'ł') {
		t.Error("Polish letters")
	}
}

func FuzzGSM7(f *testing.F) {
	for _, s := range append([]string{"Zażółć", "e\u0301", "10 €", "0000000000your0code"}, hostile[:40]...) {
		f.Add(s)
	}
	s, err := New(Config{Outbox: noOutbox{}, PublicURL: "https://login.acme.example", Code: func([]byte) string { return testCode }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, _ := toGSM7(in)
		if septets(out) < 0 || strings.ContainsAny(out, "\n\r\f") {
			t.Errorf("toGSM7(%q) = %q", in, out)
		}
		if again, lost := toGSM7(out); again != out || lost != 0 {
			t.Errorf("toGSM7 of %q is %q", out, again)
		}
		for _, tpl := range smsTemplates() {
			holdsSMS(t, string(tpl), render(t, s, textLetter(tpl, "pl", in, 119*time.Second)), in)
		}
	})
}
