package text

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
	_ "time/tzdata" // the same on a machine without zones
	"unicode/utf8"
)

// codes reads the error codes from authn's source: this package imports
// nothing of ours.
func codes(t *testing.T) []string {
	f, err := parser.ParseFile(token.NewFileSet(), "../authn/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Code" {
			s, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, s)
		}
		return true
	})
	if len(found) < 20 {
		t.Fatalf("only %d codes found", len(found))
	}
	return found
}

func TestEveryCodeHasTexts(t *testing.T) {
	c := Default()
	for _, code := range codes(t) {
		for _, key := range []string{"error." + code, "error." + code + ".title"} {
			if !c.Has(key) {
				t.Errorf("no text for %s", key)
			}
		}
	}
	for _, code := range []string{"required", "too_short", "too_long", "too_few", "too_many", "not_digits", "invalid", "unknown",
		"duplicate", "wrong_type", "contains_name", "too_common", "leaked", "mismatch", "taken", "phone.required", "phone.no_country", "phone.letters", "phone.too_few", "phone.too_many",
		"phone.invalid", "phone.not_mobile", "phone.premium"} {
		if !c.Has("field." + code) {
			t.Errorf("no text for field.%s", code)
		}
	}
	// The keys that internal/httpserve makes up by itself.
	for _, key := range []string{"bad_request.json", "forbidden.cross_site", "forbidden.form", "wrong_code.left", "wrong_code.clock_ahead",
		"wrong_code.clock_behind", "paused.minutes", "paused.seconds", "too_many_requests.minutes", "too_many_requests.seconds"} {
		if !c.Has("error." + key) {
			t.Errorf("no text for error.%s", key)
		}
	}
}

// Words of ux.md's list, and what rule 29 forbids. Administrators' texts are
// exempt and carry "admin." in their key.
var forbidden = regexp.MustCompile(`(?i)\b(T?OTPs?|2FA|MFA|AAL\d?|tokens?|factors?|credentials?|webauthn|fido2?|invalid|an error occurred|might be wrong|log ?in|log ?out|authenticate|passcode|enrol\w*|provision\w*|seed|base32|device is remembered)\b`)

func TestWords(t *testing.T) {
	for _, lang := range Default().Languages() { // others borrow them
		for key, f := range Default().langs[lang].messages {
			if forAdmins(key) {
				continue
			}
			for _, s := range f {
				if w := forbidden.FindString(placeholder.ReplaceAllString(s, "")); w != "" {
					t.Errorf("%s: %s says %q to people: %s", lang, key, w, s)
				}
				if strings.TrimSpace(s) != s || strings.Contains(s, "  ") {
					t.Errorf("%s: %s: stray spaces in %q", lang, key, s)
				}
			}
		}
	}
}

// forAdmins reports whether a text is for administrators, who know the words.
func forAdmins(key string) bool {
	return strings.HasPrefix(key, "admin.") || strings.Contains(key, ".admin.")
}

func TestFilesAreSortedAndFlat(t *testing.T) {
	files, err := locales.ReadDir("locales")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := locales.ReadFile("locales/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.Token()
		for dec.More() {
			key, _ := dec.Token()
			keys = append(keys, key.(string))
			var v any
			if err := dec.Decode(&v); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != len(keys) {
			t.Errorf("%s: keys are not sorted, or one is there twice", file.Name())
		}
	}
}

func TestText(t *testing.T) {
	c := Default()
	for _, tt := range []struct {
		key  string
		args map[string]any
		want string
	}{
		{"error.wrong_code.left", map[string]any{"Count": 1}, "1 try left"},
		{"error.wrong_code.left", map[string]any{"Count": 7}, "7 tries left"},
		{"error.wrong_code.left", map[string]any{"Count": 0}, "0 tries left"},
		{"error.paused.minutes", map[string]any{"Count": int64(1234)}, "1,234 minutes"},
		{"field.too_few", map[string]any{"Digits": 6}, "has 6 digits"},
		{"error.wrong_host", map[string]any{"Address": "https://{Count}.example"}, "https://{Count}.example"},
		{"error.not_found", nil, "nothing at this address"},
	} {
		if got := c.Text("en", tt.key, tt.args); !strings.Contains(got, tt.want) {
			t.Errorf("%s %v: %q lacks %q", tt.key, tt.args, got, tt.want)
		}
	}
	if m := c.Missing(); len(m) != 0 {
		t.Errorf("missing: %v", m)
	}
}

func TestMissing(t *testing.T) {
	c := Default().WithPseudo() // a catalogue of this test's own
	got := c.Text("en", "page.nobody.wrote", nil)
	if got != c.Text("en", missingKey, nil) || strings.Contains(got, "page.") {
		t.Errorf("a missing key reads %q", got)
	}
	if got := c.Text("en", "field.too_few", nil); got != "The code has … digits. Enter all of them." {
		t.Errorf("a missing argument reads %q", got)
	}
	if got := c.Text("en", "error.wrong_code.left", map[string]any{"Count": struct{}{}}); got == "" {
		t.Error("a number that is none gives nothing")
	}
	want := []string{"error.wrong_code.left", "field.too_few {Digits}", "page.nobody.wrote"}
	if m := c.Missing(); !slices.Equal(m, want) {
		t.Errorf("Missing() = %v, want %v", m, want)
	}
}

func TestLanguages(t *testing.T) {
	c, err := Load(fstest.MapFS{
		"en.json": {Data: []byte(`{"a": "Hello {Name}", "b": "only English", "n": {"one": "{Count} file", "other": "{Count} files"}}`)},
		"pl.json": {Data: []byte(`{"a": "Cześć {Name}", "n": {"one": "{Count} plik", "few": "{Count} pliki", "many": "{Count} plików", "other": "{Count} pliku"}}`)},
		"ar.json": {Data: []byte(`{"a": "مرحبا {Name}"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Languages(); !slices.Equal(got, []string{"en", "ar", "pl"}) {
		t.Errorf("Languages() = %v", got)
	}
	if got := c.Keys(); !slices.Equal(got, []string{"a", "b", "n"}) {
		t.Errorf("Keys() = %v", got)
	}
	for n, want := range map[int]string{1: "1 plik", 3: "3 pliki", 5: "5 plików", 22: "22 pliki"} {
		if got := c.Text("pl", "n", map[string]any{"Count": n}); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := c.Text("pl", "b", nil); got != "only English" {
		t.Errorf("untranslated: %q", got)
	}
	if got := c.Text("pl-PL", "a", map[string]any{"Name": "Maya"}); got != "Cześć Maya" {
		t.Errorf("regional: %q", got)
	}
	if got := c.Text("no language", "a", map[string]any{"Name": "Maya"}); got != "Hello Maya" {
		t.Errorf("nonsense: %q", got)
	}
	for _, tt := range []struct{ accept, preferred, want string }{
		{"", "", "en"}, {"pl", "", "pl"}, {"pl;q=0.3, ar", "", "ar"}, {"fr, pl;q=0.5", "", "pl"}, {"fr", "", "en"},
		{"pl", "ar", "ar"}, {"pl", "fr", "pl"}, {"pl-PL", "", "pl"}, {"en-GB", "", "en"}, {";;;,,q=", "", "en"},
		{"pl", "en-XA", "en"}, {strings.Repeat("a-", 1<<20), "", "en"}, {"pl," + strings.Repeat("de,", 1<<16), "", "pl"},
	} {
		if got := c.Match(tt.accept, tt.preferred); got != tt.want {
			t.Errorf("Match(%.20q, %q) = %q, want %q", tt.accept, tt.preferred, got, tt.want)
		}
	}
}

func TestLoadReportsEverything(t *testing.T) {
	_, err := Load(fstest.MapFS{
		"en.json": {Data: []byte(`{"a": "Hello {Name}", "n": {"one": "x", "other": "{Count}"}, "e": "", "w": {"others": "x"}, "l": [1]}`)},
	})
	for _, want := range []string{`"e": no text`, `"w": no text`, `no plural form "others"`, `"l": neither`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported: %v", want, err)
		}
	}
	_, err = Load(fstest.MapFS{
		"en.json": {Data: []byte(`{"a": "Hello {Name}", "n": {"one": "one", "other": "{Count}"}}`)},
		"sv.json": {Data: []byte(`{"a": "Hej {Nam}", "x": "y", "n": "inga"}`)},
	})
	for _, want := range []string{`"a" (other) has the placeholders [Nam]`, `"x" is not in en.json`, `"n" (other)`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported: %v", want, err)
		}
	}
	for name, files := range map[string]fstest.MapFS{
		"no English": {"sv.json": {Data: []byte(`{}`)}},
		"no JSON":    {"en.json": {Data: []byte(`{`)}},
		"no tag":     {"en.json": {Data: []byte(`{}`)}, "!!.json": {Data: []byte(`{}`)}},
	} {
		if _, err := Load(files); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The plural forms of a translation are those of its grammar.
func TestLoadKnowsGrammar(t *testing.T) {
	for name, want := range map[string]string{
		"en": "one other", "pl": "few many one other", "de": "one other", "ja": "other", "ar": "few many one other two zero", "fr": "many one other", "!!": "",
	} {
		if got := strings.Join(grammarOf(name), " "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	load := func(name string, f forms) error {
		b, err := json.Marshal(map[string]forms{"n": f})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Load(fstest.MapFS{"en.json": {Data: []byte(`{"n": {"one": "{Count} file", "other": "{Count} files"}}`)}, name + ".json": {Data: b}})
		return err
	}
	full := forms{"one": "{Count} plik", "few": "{Count} pliki", "many": "{Count} plików", "other": "{Count} pliku"}
	if err := load("pl", full); err != nil {
		t.Error(err)
	}
	for form := range full {
		less := maps.Clone(full)
		delete(less, form)
		if err := load("pl", less); err == nil {
			t.Errorf("without %q: accepted", form)
		}
	}
	full["two"] = "{Count} pliki"
	if err := load("pl", full); err == nil || !strings.Contains(err.Error(), "has the plural forms") {
		t.Errorf("a form too many: %v", err)
	}
	if err := load("ja", forms{"other": "{Count}"}); err != nil {
		t.Error(err)
	}
}

func TestPseudo(t *testing.T) {
	c := Default().WithPseudo()
	if slices.Contains(c.Languages(), PseudoLong) || c.Match("en-XA, ar-XB", "") != English {
		t.Error("a pseudo-language is offered")
	}
	if c.Match("sv", PseudoRTL) != PseudoRTL {
		t.Error("a pseudo-language cannot be asked for")
	}
	for key, en := range c.langs[English].messages {
		for _, name := range []string{PseudoLong, PseudoRTL} {
			for form, s := range c.langs[name].messages[key] {
				if !slices.Equal(placeholders(s), placeholders(en[form])) {
					t.Errorf("%s %s: placeholders changed: %q", name, key, s)
				}
				if s == en[form] && strings.ContainsAny(placeholder.ReplaceAllString(s, ""), "aeiou") {
					t.Errorf("%s %s: as in English: %q", name, key, s)
				}
			}
		}
		long, short := utf8.RuneCountInString(c.langs[PseudoLong].messages[key]["other"]), utf8.RuneCountInString(en["other"])
		if long < short*14/10 {
			t.Errorf("%s: %d characters for %d", key, long, short)
		}
	}
	got := c.Text(PseudoLong, "error.wrong_code.left", map[string]any{"Count": 1})
	if !strings.Contains(got, "1 ţŕý") {
		t.Errorf("plural of the pseudo-language: %q", got)
	}
}

func TestDir(t *testing.T) {
	for lang, want := range map[string]string{"en": "ltr", "ar": "rtl", "he-IL": "rtl", "fa": "rtl", "az-Arab": "rtl", "az": "ltr", PseudoRTL: "rtl", PseudoLong: "ltr", "": "ltr", "?": "ltr"} {
		if got := Dir(lang); got != want {
			t.Errorf("Dir(%q) = %q", lang, got)
		}
	}
}

func TestDates(t *testing.T) {
	stockholm, err := time.LoadLocation("Europe/Stockholm")
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	now := time.Date(2026, 3, 29, 10, 0, 0, 0, stockholm) // the day with 23 hours
	for _, tt := range []struct {
		t         time.Time
		when, ago string
	}{
		{now.Add(-30 * time.Second), "today at 09:59", "just now"},
		{now.Add(-time.Minute), "today at 09:59", "1 minute ago"},
		{now.Add(-46 * time.Minute), "today at 09:14", "46 minutes ago"},
		{now.Add(-2 * time.Hour), "today at 08:00", "today at 08:00"},
		{time.Date(2026, 3, 28, 23, 59, 0, 0, stockholm), "yesterday at 23:59", "yesterday at 23:59"},
		{time.Date(2026, 3, 30, 0, 1, 0, 0, stockholm), "tomorrow at 00:01", "tomorrow at 00:01"},
		{time.Date(2026, 1, 12, 9, 14, 0, 0, stockholm), "12 Jan 2026 at 09:14", "12 Jan 2026 at 09:14"},
	} {
		if got := c.When("en", tt.t, now.UTC()); got != tt.when {
			t.Errorf("When(%v) = %q, want %q", tt.t, got, tt.when)
		}
		if got := c.Ago("en", tt.t, now.UTC()); got != tt.ago {
			t.Errorf("Ago(%v) = %q, want %q", tt.t, got, tt.ago)
		}
	}
	if got := c.Date("en", now); got != "29 Mar 2026" {
		t.Errorf("Date = %q", got)
	}
}

func TestConcurrently(t *testing.T) {
	c := Default().WithPseudo()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, key := range c.Keys() {
				c.Text(PseudoRTL, key, map[string]any{"Count": 2})
				c.Match("sv, en;q=0.5", "")
			}
		})
	}
	wg.Wait()
}

func FuzzMatch(f *testing.F) {
	f.Add("en-GB,en;q=0.9", "sv")
	f.Fuzz(func(t *testing.T, accept, preferred string) {
		if got := Default().Match(accept, preferred); !slices.Contains(Default().Languages(), got) {
			t.Errorf("Match gives %q", got)
		}
		Dir(preferred)
		if got := Default().Text(preferred, "error.internal", nil); got == "" {
			t.Error("no text")
		}
	})
}
