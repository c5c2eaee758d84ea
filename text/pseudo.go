package text

import (
	"maps"
	"strings"
	"unicode"
)

// The pseudo-languages, made from English at run time. Pages are tested with
// them: a text that stays plain English is not in the catalogue, a layout that
// breaks has no room for German, and one that does not mirror has no Arabic.
const (
	PseudoLong = "en-XA" // accents, 1.4 times as long
	PseudoRTL  = "ar-XB" // English words from right to left
)

// WithPseudo is the same catalogue with the pseudo-languages. Match gives them
// only to who prefers exactly them; they are never offered.
func (c *Catalogue) WithPseudo() *Catalogue {
	offered := map[string]map[string]forms{}
	for _, name := range c.offered {
		offered[name] = c.langs[name].messages
	}
	hidden := map[string]map[string]forms{PseudoLong: {}, PseudoRTL: {}}
	for key, f := range c.langs[English].messages {
		long, turned := maps.Clone(f), maps.Clone(f)
		for form, s := range f {
			long[form], turned[form] = lengthen(s), turn(s)
		}
		hidden[PseudoLong][key], hidden[PseudoRTL][key] = long, turned
	}
	p, err := build(offered, hidden)
	if err != nil {
		panic(err) // the same messages were built before
	}
	return p
}

var accents = strings.NewReplacer("a", "å", "b", "ƀ", "c", "ç", "d", "ð", "e", "é", "g", "ĝ", "h", "ĥ", "i", "î", "j", "ĵ",
	"k", "ķ", "l", "ļ", "n", "ñ", "o", "ö", "r", "ŕ", "s", "š", "t", "ţ", "u", "û", "w", "ŵ", "y", "ý", "z", "ž",
	"A", "Å", "C", "Ç", "D", "Ð", "E", "É", "I", "Î", "N", "Ñ", "O", "Ö", "S", "Š", "T", "Ţ", "U", "Û", "W", "Ŵ", "Y", "Ý")

// lengthen adds 40 % in words, so that lines still break, and brackets that show
// where a text was cut off or put together from pieces.
func lengthen(s string) string {
	pad, n := "", len([]rune(s))*2/5
	for _, word := range strings.Fields(strings.Repeat("lorem ipsum dolor sit amet ", n/26+1)) {
		if len(pad) >= n {
			break
		}
		pad += " " + word
	}
	return "[" + outside(s, accents.Replace) + accents.Replace(pad) + "]"
}

// turn overrides the direction of every word (U+202E … U+202C); the marks
// (U+200F) make spaces and full stops follow.
func turn(s string) string {
	return outside(s, func(part string) string {
		var b strings.Builder
		word := false
		for _, r := range part {
			if in := unicode.IsLetter(r) || unicode.IsDigit(r); in != word {
				b.WriteString(map[bool]string{true: "\u200f\u202e", false: "\u202c\u200f"}[in])
				word = in
			}
			b.WriteRune(r)
		}
		if word {
			b.WriteString("\u202c\u200f")
		}
		return b.String()
	})
}

// outside applies change to everything but the placeholders.
func outside(s string, change func(string) string) string {
	var b strings.Builder
	last := 0
	for _, m := range placeholder.FindAllStringIndex(s, -1) {
		b.WriteString(change(s[last:m[0]]))
		b.WriteString(s[m[0]:m[1]])
		last = m[1]
	}
	return b.String() + change(s[last:])
}
