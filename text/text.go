// Package text holds every sentence that people read, in catalogues of one file
// per language: locales/en.json and its translations.
//
// A file is flat and sorted: {"key": "text"} or, where a number decides the
// grammar, {"key": {"one": "…", "other": "…"}} with the plural forms of CLDR
// (https://cldr.unicode.org); the number is the argument Count. {Name} in a text
// stands for the argument Name. A placeholder is no template: a translation can
// call nothing and reach no value but those it is given.
//
// Keys, error texts and technical words never reach people. A key that no
// catalogue has gives a sentence that is true of anything; tests ask [Catalogue.Missing].
package text

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed locales/*.json
var locales embed.FS

// English is the language of the source texts, and of whatever is not translated.
const English = "en"

// Catalogue is a set of languages. It is safe for concurrent use.
type Catalogue struct {
	langs   map[string]*lang
	offered []string // English first: the matcher's default
	matcher language.Matcher

	mu      sync.Mutex
	missing map[string]bool
}

// lang is one language. Each has a bundle of its own, so that go-i18n's matching
// cannot pick another one than was asked for.
type lang struct {
	name     string
	local    *i18n.Localizer
	printer  *message.Printer
	messages map[string]forms
}

// forms maps the plural forms of CLDR to texts; one without plurals has only
// "other".
type forms map[string]string

// Default is the catalogue that is built in.
var Default = sync.OnceValue(func() *Catalogue {
	dir, err := fs.Sub(locales, "locales")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	c, err := Load(dir)
	if err != nil {
		panic(err) // a test loads it
	}
	return c
})

// Load reads all <language>.json of a directory. It reports everything that is
// wrong with them: unknown keys, other placeholders than the English text has,
// a missing "other", plural forms that the language's grammar asks for and that
// are not there. A key may be missing: its text is then English.
func Load(dir fs.FS) (*Catalogue, error) {
	files, err := fs.Glob(dir, "*.json")
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]forms{}
	var problems []error
	for _, file := range files {
		messages, err := readFile(dir, file)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", file, err))
			continue
		}
		all[strings.TrimSuffix(path.Base(file), ".json")] = messages
	}
	if all[English] == nil {
		return nil, errors.Join(append(problems, errors.New("text: no en.json"))...)
	}
	for name, messages := range all {
		problems = append(problems, compare(name, messages, all[English])...)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return build(all, nil)
}

func build(offered, hidden map[string]map[string]forms) (*Catalogue, error) {
	c := &Catalogue{langs: map[string]*lang{}, missing: map[string]bool{}}
	c.offered = slices.SortedFunc(maps.Keys(offered), func(a, b string) int {
		if (a == English) != (b == English) {
			return map[bool]int{true: -1, false: 1}[a == English]
		}
		return strings.Compare(a, b)
	})
	var tags []language.Tag
	for _, name := range c.offered {
		l, err := newLang(name, name, offered[name])
		if err != nil {
			return nil, err
		}
		c.langs[name] = l
		tags = append(tags, language.Make(name))
	}
	for name, messages := range hidden {
		l, err := newLang(name, English, messages)
		if err != nil {
			return nil, err
		}
		c.langs[name] = l
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

// newLang builds a language; grammar is the language whose plural rules hold.
func newLang(name, grammar string, messages map[string]forms) (*lang, error) {
	tag, err := language.Parse(grammar)
	if err != nil {
		return nil, fmt.Errorf("text: %q is no language", name)
	}
	bundle := i18n.NewBundle(tag)
	for key, f := range messages {
		m := &i18n.Message{ID: key, Zero: f["zero"], One: f["one"], Two: f["two"], Few: f["few"], Many: f["many"], Other: f["other"]}
		if err := bundle.AddMessages(tag, m); err != nil {
			return nil, fmt.Errorf("text: %s: %q: %w", name, key, err)
		}
	}
	return &lang{name: name, local: i18n.NewLocalizer(bundle, grammar), printer: message.NewPrinter(tag), messages: messages}, nil
}

var pluralForms = []string{"zero", "one", "two", "few", "many", "other"}

func readFile(dir fs.FS, file string) (map[string]forms, error) {
	b, err := fs.ReadFile(dir, file)
	if err != nil {
		return nil, err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, err
	}
	messages := map[string]forms{}
	var problems []error
	for key, v := range raw {
		f, s := forms{}, ""
		if json.Unmarshal(v, &s) == nil {
			f["other"] = s
		} else if err := json.Unmarshal(v, &f); err != nil {
			problems = append(problems, fmt.Errorf("%q: neither a text nor plural forms", key))
			continue
		}
		if f["other"] == "" {
			problems = append(problems, fmt.Errorf("%q: no text for \"other\"", key))
		}
		for form := range f {
			if !slices.Contains(pluralForms, form) {
				problems = append(problems, fmt.Errorf("%q: no plural form %q", key, form))
			}
		}
		messages[key] = f
	}
	return messages, errors.Join(problems...)
}

var placeholder = regexp.MustCompile(`\{([A-Za-z][A-Za-z0-9]*)\}`)

// placeholders are the names in a text, each once, sorted.
func placeholders(s string) []string {
	names := map[string]bool{}
	for _, m := range placeholder.FindAllStringSubmatch(s, -1) {
		names[m[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// compare holds a language against English. A form other than "other" may leave
// the number out ("one try left").
func compare(name string, messages, english map[string]forms) []error {
	var problems []error
	grammar := grammarOf(name)
	for key, f := range messages {
		en, ok := english[key]
		if !ok {
			problems = append(problems, fmt.Errorf("%s.json: %q is not in en.json", name, key))
			continue
		}
		if got := slices.Sorted(maps.Keys(f)); len(got) > 1 && grammar != nil && !slices.Equal(got, grammar) {
			problems = append(problems, fmt.Errorf("%s.json: %q has the plural forms %v, the language has %v", name, key, got, grammar))
		}
		want := placeholders(en["other"])
		for form, s := range f {
			got := placeholders(s)
			if form != "other" && !slices.Contains(got, "Count") && slices.Contains(want, "Count") {
				got = append(got, "Count")
				slices.Sort(got)
			}
			if !slices.Equal(got, want) {
				problems = append(problems, fmt.Errorf("%s.json: %q (%s) has the placeholders %v, English has %v", name, key, form, got, want))
			}
		}
	}
	return problems
}

// grammarOf are the plural forms that a language has, sorted: those that counting
// finds. Fractions and millions have forms of their own in some languages.
func grammarOf(name string) []string {
	tag, err := language.Parse(name)
	if err != nil {
		return nil // build says so
	}
	bundle := i18n.NewBundle(tag)
	if err := bundle.AddMessages(tag, &i18n.Message{ID: "n", Zero: "zero", One: "one", Two: "two", Few: "few", Many: "many", Other: "other"}); err != nil {
		return nil // likewise
	}
	local, found := i18n.NewLocalizer(bundle, name), map[string]bool{}
	for n := range 202 {
		count := strconv.Itoa(n)
		switch n {
		case 200:
			count = "1.5"
		case 201:
			count = "1000000"
		}
		if form, err := local.Localize(&i18n.LocalizeConfig{MessageID: "n", PluralCount: count}); err == nil {
			found[form] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Languages are the languages offered to people, English first.
func (c *Catalogue) Languages() []string { return slices.Clone(c.offered) }

// Keys are all keys, sorted.
func (c *Catalogue) Keys() []string { return slices.Sorted(maps.Keys(c.langs[English].messages)) }

// Has reports whether there is a text for key.
func (c *Catalogue) Has(key string) bool { return c.langs[English].messages[key] != nil }

// Missing are the keys that were asked for in vain, and the arguments that were
// not given ("key {Name}"), sorted.
func (c *Catalogue) Missing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.missing))
}

// maxMissing keeps a fault from filling the memory.
const maxMissing = 1000

func (c *Catalogue) miss(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.missing) < maxMissing {
		c.missing[what] = true
	}
}

// maxAccept bounds what is parsed of a client's header: parsing language tags
// has been slow for hostile ones (CVE-2022-32149).
const maxAccept = 200

// Match is the language to answer in: the preferred one if there is one and we
// have it, else the best of an Accept-Language header, else English.
func (c *Catalogue) Match(acceptLanguage, preferred string) string {
	if c.langs[preferred] != nil {
		return preferred
	}
	for _, header := range []string{preferred, acceptLanguage} {
		if len(header) > maxAccept {
			header = header[:max(strings.LastIndexByte(header[:maxAccept], ','), 0)]
		}
		tags, _, err := language.ParseAcceptLanguage(header)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, confidence := c.matcher.Match(tags...); confidence > language.No {
			return c.offered[i]
		}
	}
	return English
}

// rtl are the scripts written from right to left that people sign in with.
var rtl = []string{"Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg"}

// Dir is the direction of a language, for the attribute "dir".
func Dir(lang string) string {
	script, _ := language.Make(lang).Script()
	if slices.Contains(rtl, script.String()) {
		return "rtl"
	}
	return "ltr"
}
