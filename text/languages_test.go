package text

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// sameText are the keys whose text may be as in English: names, and what is
// written alike.
var sameText = map[string][]string{
	"*":  {"admin.way.duo", "admin.policy.changed", "date.day", "date.day_short", "method.duo", "page.product", "page.time.utc", "page.way.duo"},
	"pl": {"admin.overview.channel.email", "page.appearance.auto", "page.profile.email", "page.way.email", "role.administrator"},
}

// longText are the keys whose text may be longer than the layout was drawn for;
// somebody looked at where each is shown.
var longText = map[string][]string{
	"pl": {
		"date.month.10", "event.factor.replaced.totp", "page.menu.sync", "page.profile.name", "page.security.set_up_label",
		"page.signin.to",
	},
}

// translations are the languages but English.
func translations(t *testing.T) map[string]map[string]forms {
	t.Helper()
	c, found := Default(), map[string]map[string]forms{}
	for _, name := range c.Languages() {
		if name != English {
			found[name] = c.langs[name].messages
		}
	}
	if len(found) == 0 {
		t.Fatal("there is only English")
	}
	return found
}

// Every language says everything, in words of its own and in the space there is.
// On top of this, Load holds placeholders and plural forms against English.
func TestTranslations(t *testing.T) {
	en, digits := Default().langs[English].messages, regexp.MustCompile(`\d+`)
	for name, messages := range translations(t) {
		same, long := slices.Concat(sameText["*"], sameText[name]), longText[name]
		for _, key := range slices.Concat(same, long) {
			if en[key] == nil {
				t.Errorf("%s: a list of this test has %s, which is no key", name, key)
			}
		}
		if messages["page.language.name"]["other"] == en["page.language.name"]["other"] {
			t.Errorf("%s: has no name of its own", name)
		}
		for key, e := range en {
			f := messages[key]
			if f == nil {
				t.Errorf("%s.json: %q is missing: %s", name, key, e["other"])
				continue
			}
			if len(e) > 1 && len(f) == 1 && len(grammarOf(name)) > 1 {
				t.Errorf("%s.json: %q has no plural forms", name, key)
			}
			numbers := slices.Sorted(slices.Values(digits.FindAllString(e["other"], -1)))
			for form, s := range f {
				if s == e["other"] && !slices.Contains(same, key) {
					t.Errorf("%s.json: %q is as in English: %s", name, key, s)
				}
				if got, limit := utf8.RuneCountInString(s), lengthLimit(e["other"]); got > limit && !slices.Contains(long, key) {
					t.Errorf("%s.json: %q (%s) has %d characters, more than %d: %s", name, key, form, got, limit, s)
				}
				if got := slices.Sorted(slices.Values(digits.FindAllString(s, -1))); !slices.Equal(got, numbers) {
					t.Errorf("%s.json: %q (%s) has the numbers %v, English has %v", name, key, form, got, numbers)
				}
			}
		}
	}
}

// lengthLimit is 1.6 times as long as English. A single word may have eight
// characters more: buttons and marks of one word grow with it.
func lengthLimit(en string) int {
	n := utf8.RuneCountInString(en)
	return max(n*16/10, n+8)
}

// What assistive technology calls a button begins with what is written on it
// (WCAG 2.5.3).
func TestNamesBeginWithLabels(t *testing.T) {
	c := Default()
	for _, lang := range c.Languages() {
		for key, name := range map[string]string{
			"page.show": "page.show.label", "page.security.app_again": "page.security.again_label", "page.security.app_off": "page.security.off_label",
			"page.security.app_set_up": "page.security.set_up_label", "page.security.make_usual": "page.security.make_usual_label",
			"page.codes.make": "page.codes.make_label", "page.codes.make_first": "page.codes.make_first_label", "page.menu.signout": "page.devices.end_label",
		} {
			if short, long := c.Text(lang, key, nil), c.Text(lang, name, map[string]any{"Way": "x", "Device": "x"}); !strings.HasPrefix(long, short) {
				t.Errorf("%s: a button %q is called %q", lang, short, long)
			}
		}
	}
}

// counts are numbers that between them need every plural form of Polish.
var counts = []any{0, 1, 2, 5, 12, 22, 25, 1.5}

// Every text with a number reads in every language, whatever the number.
func TestPluralsOfEveryText(t *testing.T) {
	c := Default().WithPseudo() // a catalogue of this test's own
	for _, lang := range c.Languages() {
		for key, f := range c.langs[lang].messages {
			if len(f) == 1 {
				continue
			}
			for _, n := range counts {
				args := map[string]any{"Count": n}
				for _, name := range placeholders(f["other"]) {
					if args[name] == nil {
						args[name] = "x"
					}
				}
				if got := c.Text(lang, key, args); got == "" || strings.ContainsAny(got, "{}") {
					t.Errorf("%s %s %v: %q", lang, key, n, got)
				}
			}
		}
	}
	if m := c.Missing(); len(m) > 0 {
		t.Errorf("a form or an argument is missing: %v", m)
	}
}

func TestPolishPlurals(t *testing.T) {
	c := Default()
	for _, tt := range []struct {
		n               any
		tries, minutes  string
		ahead, password string
	}{
		{0, "zostało 0 prób", "0 minut temu", "o około 0 minut.", "0 znaków."},
		{1, "została 1 próba", "1 minutę temu", "o około 1 minutę.", "1 znak."},
		{2, "zostały 2 próby", "2 minuty temu", "o około 2 minuty.", "2 znaki."},
		{5, "zostało 5 prób", "5 minut temu", "o około 5 minut.", "5 znaków."},
		{12, "zostało 12 prób", "12 minut temu", "o około 12 minut.", "12 znaków."},
		{22, "zostały 22 próby", "22 minuty temu", "o około 22 minuty.", "22 znaki."},
		{25, "zostało 25 prób", "25 minut temu", "o około 25 minut.", "25 znaków."},
		{1.5, "zostało 1,5 próby", "1,5 minuty temu", "o około 1,5 minuty.", "1,5 znaku."},
		{uint64(22), "zostały 22 próby", "22 minuty temu", "o około 22 minuty.", "22 znaki."},
		{2.0, "zostały 2 próby", "2 minuty temu", "o około 2 minuty.", "2 znaki."},
	} {
		for key, want := range map[string]string{
			"error.wrong_code.left": tt.tries, "date.minutes_ago": tt.minutes, "error.wrong_code.clock_ahead": tt.ahead, "page.password.rules": tt.password,
		} {
			if got := c.Text("pl", key, map[string]any{"Count": tt.n}); !strings.Contains(got, want) {
				t.Errorf("%v: %q lacks %q", tt.n, got, want)
			}
		}
	}
	// A space that does not break stands between the thousands, a comma before
	// the fraction.
	for n, want := range map[any]string{1234: "1\u00a0234 minuty", 12345: "12\u00a0345 minut", 0.25: "0,25 minuty"} {
		if got := c.Text("pl", "date.minutes_ago", map[string]any{"Count": n}); !strings.HasPrefix(got, want) {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
	if m := c.Missing(); len(m) > 0 {
		t.Errorf("missing: %v", m)
	}
}

// Months are in the genitive, the clock has 24 hours.
func TestPolishDates(t *testing.T) {
	c, warsaw := Default(), time.FixedZone("", 3600)
	now := time.Date(2026, 1, 12, 21, 14, 0, 0, warsaw)
	for _, tt := range []struct {
		t         time.Time
		when, ago string
	}{
		{now.Add(-30 * time.Second), "dziś o 21:13", "przed chwilą"},
		{now.Add(-time.Minute), "dziś o 21:13", "1 minutę temu"},
		{now.Add(-3 * time.Minute), "dziś o 21:11", "3 minuty temu"},
		{now.Add(-25 * time.Minute), "dziś o 20:49", "25 minut temu"},
		{now.AddDate(0, 0, -1), "wczoraj o 21:14", "wczoraj o 21:14"},
		{now.AddDate(0, 0, 1), "jutro o 21:14", "jutro o 21:14"},
		{time.Date(2025, 10, 3, 9, 5, 0, 0, warsaw), "3 października 2025 o 09:05", "3 października 2025 o 09:05"},
	} {
		if got := c.When("pl", tt.t, now); got != tt.when {
			t.Errorf("When(%v) = %q, want %q", tt.t, got, tt.when)
		}
		if got := c.Ago("pl", tt.t, now); got != tt.ago {
			t.Errorf("Ago(%v) = %q, want %q", tt.t, got, tt.ago)
		}
	}
	for month, want := range map[time.Month]string{1: "12 stycznia 2026", 2: "12 lutego 2026", 5: "12 maja 2026", 9: "12 września 2026", 12: "12 grudnia 2026"} {
		if got := c.Date("pl-PL", time.Date(2026, month, 12, 0, 0, 0, 0, warsaw)); got != want {
			t.Errorf("Date = %q, want %q", got, want)
		}
	}
}

// neverPolish is what ux.md's word list comes to in Polish: technical words,
// calques of "invalid" and "an error occurred", and what addresses people by
// their sex ("zalogowałeś", "zalogowałaś") or title.
var neverPolish = regexp.MustCompile(`^(t?otp|token\p{L}*|poświadcz\p{L}*|dwuskładnikow\p{L}*|wieloskładnikow\p{L}*|składnik\p{L}*|czynnik\p{L}*|autentykacj\p{L}*|autoryz\p{L}*|` +
	`sekret\p{L}*|ziarn\p{L}*|nieprawidłow\p{L}*|wystąpił\p{L}*|passkey\p{L}*|backup\p{L}*|login\p{L}?|zalogowan[yai]|wylogowan[yai]|pan|pani|państw\p{L}*|` +
	`\p{L}+(łeś|łaś|łbyś|łabyś))$`)

// Administrators' texts are exempt, as in English.
func TestPolishWords(t *testing.T) {
	for _, bad := range []string{"Token", "zalogowałeś", "poświadczenia", "OTP", "Nieprawidłowy", "Pani"} {
		if !neverPolish.MatchString(strings.ToLower(bad)) {
			t.Errorf("%s is allowed", bad)
		}
	}
	for key, f := range Default().langs["pl"].messages {
		for _, s := range f {
			s = placeholder.ReplaceAllString(s, "")
			for _, word := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }) {
				if neverPolish.MatchString(strings.ToLower(word)) && !forAdmins(key) {
					t.Errorf("%s says %q to people: %s", key, word, s)
				}
			}
			if strings.ContainsAny(s, "\"“'") || strings.Contains(s, " - ") {
				t.Errorf("%s: quotes are „…”, dashes are –: %s", key, s)
			}
		}
	}
}

// Polish is found by every name that browsers give it, and whoever speaks
// something else gets English.
func TestPolishIsFound(t *testing.T) {
	c := Default()
	if got := c.Languages(); got[0] != English || !slices.Contains(got, "pl") {
		t.Fatalf("Languages() = %v", got)
	}
	for _, tt := range []struct{ accept, preferred, want string }{
		{"pl", "", "pl"}, {"pl-PL", "", "pl"}, {"pl-PL,pl;q=0.9,en-US;q=0.8,en;q=0.7", "", "pl"}, {"PL_pl", "", "pl"},
		{"fr, pl;q=0.5, en;q=0.4", "", "pl"}, {"en-US,en;q=0.9,pl;q=0.8", "", "en"},
		{"pl", "en", "en"}, {"en", "pl", "pl"}, {"en", "pl-PL", "pl"}, {"pl", "xx", "pl"}, {"", "xx", "en"}, {"xx", "", "en"},
		{"cs", "", "en"}, {"uk, ru;q=0.8", "", "en"}, {"pl;q=0", "", "en"}, {"", "../pl", "en"},
	} {
		if got := c.Match(tt.accept, tt.preferred); got != tt.want {
			t.Errorf("Match(%q, %q) = %q, want %q", tt.accept, tt.preferred, got, tt.want)
		}
	}
	if got := c.Text("pl-PL", "page.signin.title", nil); got != "Zaloguj się" {
		t.Errorf("pl-PL: %q", got)
	}
	if got := c.Text("xx", "page.signin.title", nil); got != "Sign in" {
		t.Errorf("xx: %q", got)
	}
}

// A file that is there is a language that is offered.
func TestEveryFileIsOffered(t *testing.T) {
	files, err := fs.Glob(locales, "locales/*.json")
	if err != nil || len(files) != len(Default().Languages()) {
		t.Errorf("%v, and %v are offered: %v", files, Default().Languages(), err)
	}
}
