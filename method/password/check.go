package password

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/sallyport-mfa/sallyport/authn"
)

// MinLength is the least that Check takes for a minimum (std-1: with a second
// factor always; without one the caller says 15).
const MinLength = 8

// Check says what is wrong with a new password, as Invalid about the field:
// "required", "invalid", "too_long" {Max}, "too_short" {Min}, "contains_name"
// or "too_common"; the texts of the last two give the reason that NIST SP
// 800-63B-4 3.1.1.2 asks for. Length is counted in code points after NFC. There
// are no rules about kinds of characters. The password is compared as a whole:
// a long phrase may contain anything (std-5).
func (m *Method) Check(field, password string, u authn.User, company authn.Company, minimum int) error {
	if err := shape(field, password); err != nil {
		return err
	}
	minimum = max(minimum, MinLength)
	if utf8.RuneCountInString(norm.NFC.String(password)) < minimum {
		return authn.InvalidField(field, "too_short", map[string]any{"Min": minimum})
	}
	folded := fold(password)
	bare := keep(folded)
	for _, word := range contextWords(u, company) {
		if isWord(folded, bare, fold(word)) {
			return authn.InvalidField(field, "contains_name", nil)
		}
	}
	if m.c.Common(folded) || m.c.Common(bare) {
		return authn.InvalidField(field, "too_common", nil)
	}
	return nil
}

// contextWords are what anybody would try first for this person (std-5).
func contextWords(u authn.User, c authn.Company) []string {
	local, _, _ := strings.Cut(u.Email, "@")
	login, _, _ := strings.Cut(u.Login, "@")
	words := []string{u.Login, login, u.Email, local, u.Name, c.Name, c.Slug, "sallyport"}
	parts := strings.Fields(u.Name)
	return append(words, parts[:min(len(parts), maxParts)]...)
}

// maxParts is how many parts of a name are looked at: the work of Check does not
// grow with what people call themselves.
const maxParts = 8

// maxDigits is how many digits around a name are decoration: a year, "123".
const maxDigits = 4

// isWord reports whether a password is only a word: as it is, or repeated, with
// signs and spaces anywhere and up to four digits around.
func isWord(folded, bare, word string) bool {
	if word == "" {
		return false
	}
	if folded == word {
		return true
	}
	w := keep(word)
	if w == "" {
		return false
	}
	core := strings.TrimFunc(bare, unicode.IsDigit)
	if utf8.RuneCountInString(bare)-utf8.RuneCountInString(core) > maxDigits {
		core = bare
	}
	// The word may itself begin or end with digits.
	return repeats(bare, w) || repeats(core, w) || repeats(core, strings.TrimFunc(w, unicode.IsDigit))
}

// repeats reports whether s is w one or more times and nothing else.
func repeats(s, w string) bool {
	return s != "" && w != "" && len(s)%len(w) == 0 && strings.Count(s, w)*len(w) == len(s)
}

// fold brings spellings together that look alike: full-width letters, capitals.
func fold(s string) string { return cases.Fold().String(norm.NFKC.String(s)) }

// keep drops all but letters, marks and digits.
func keep(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}
