package text

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/nicksnyder/go-i18n/v2/i18n/template"
)

// missingKey is the sentence for a key that nobody wrote.
const missingKey = "text.missing"

// Text is the text of key in a language, or in English if it is not translated.
// It is plain text: pages escape it. Numbers are written as the language does.
func (c *Catalogue) Text(lang, key string, args map[string]any) string {
	l := c.langs[lang]
	if l == nil {
		l = c.langs[c.Match("", lang)]
	}
	if l.messages[key] == nil {
		l = c.langs[English]
	}
	if l.messages[key] == nil {
		c.miss(key)
		key = missingKey
		if l.messages[key] == nil {
			return "Something went wrong." // a catalogue of a host's own
		}
	}
	return c.render(l, key, args)
}

func (c *Catalogue) render(l *lang, key string, args map[string]any) string {
	config := &i18n.LocalizeConfig{
		MessageID: key, TemplateParser: braces{},
		TemplateData: values{c: c, l: l, key: key, args: args},
	}
	if len(l.messages[key]) > 1 {
		config.PluralCount = countable(args["Count"])
	}
	s, err := l.local.Localize(config)
	if err != nil {
		// A number that is none, or a form that a translation lacks.
		c.miss(key)
		config.PluralCount = nil
		s, _ = l.local.Localize(config)
	}
	return s
}

// countable is a number in a form whose plural go-i18n knows: it takes neither
// fractions nor unsigned numbers, but their digits.
func countable(x any) any {
	switch n := x.(type) {
	case float64:
		return strconv.FormatFloat(n, 'f', -1, 64)
	case uint, uint32, uint64:
		return fmt.Sprint(n)
	}
	return x
}

// values are what placeholders stand for.
type values struct {
	c    *Catalogue
	l    *lang
	key  string
	args map[string]any
}

// get keeps the sentence readable if an argument was forgotten.
func (v values) get(name string) string {
	x, ok := v.args[name]
	if !ok {
		v.c.miss(v.key + " {" + name + "}")
		return "…"
	}
	switch x.(type) {
	case int, int32, int64, uint, uint32, uint64, float64:
		return v.l.printer.Sprint(x)
	}
	return fmt.Sprint(x)
}

// braces parses texts with {Name}. It takes the place of text/template, go-i18n's
// default, which gives translations functions and methods to call.
type braces struct{}

func (braces) Cacheable() bool { return true }

func (braces) Parse(src, _, _ string) (template.ParsedTemplate, error) {
	var p parsed
	last := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(src, -1) {
		p = append(p, src[last:m[0]], src[m[2]:m[3]])
		last = m[1]
	}
	return append(p, src[last:]), nil
}

// parsed is text, name, text, name, …, text.
type parsed []string

func (p parsed) Execute(data any) (string, error) {
	v := data.(values)
	var b strings.Builder
	for i, s := range p {
		if i%2 == 1 {
			s = v.get(s)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}
