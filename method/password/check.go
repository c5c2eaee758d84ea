package password

import (
	"context"
	"fmt"
	"strings"
	"time"
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
// "required", "invalid", "too_long" {Max}, "too_short" {Min}, "contains_name",
// "too_common" or "leaked"; the texts of the last three give the reason that NIST
// SP 800-63B-4 3.1.1.2 asks for. Length is counted in code points after NFC. There
// are no rules about kinds of characters. The password is compared as a whole:
// a long phrase may contain anything (std-5). ProviderUnavailable, key
// "error.password_check": it could not be found out whether it has leaked.
func (m *Method) Check(ctx context.Context, field, password string, u authn.User, company authn.Company, minimum int) error {
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
	if m.isCommon(folded, bare) {
		return authn.InvalidField(field, "too_common", nil)
	}
	return m.checkLeaked(ctx, field, password, folded)
}

// isCommon also knows a word of the list again that is repeated, or has a year or
// a few digits at its ends, and what is a row of the same few letters: such are the
// long ones that everybody tries (std-5, std-42).
func (m *Method) isCommon(folded, bare string) bool {
	if m.c.Common(folded) || m.c.Common(bare) {
		return true
	}
	for _, s := range []string{bare, undecorated(bare)} {
		part := period(s)
		if m.c.Common(part) || utf8.RuneCountInString(part) <= maxRow && part != s {
			return true
		}
	}
	return inOrder(bare)
}

// maxRow is how many letters, over and over again, are no password.
const maxRow = 2

// undecorated is s without the few digits around it.
func undecorated(s string) string {
	core := strings.TrimFunc(s, unicode.IsDigit)
	if utf8.RuneCountInString(s)-utf8.RuneCountInString(core) > maxDigits {
		return s
	}
	return core
}

// period is the shortest string that s is a repetition of; s itself if none is.
func period(s string) string {
	if s == "" {
		return s
	}
	// s occurs in ss without its ends first where it repeats.
	return s[:1+strings.Index((s + s)[1:], s)]
}

// inOrder reports whether each letter or digit is the next or the one before, all
// through: "abcdefghijklmnop", "9876543210987654".
func inOrder(s string) bool {
	list := []rune(s)
	up, down := len(list) > 1, len(list) > 1
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		up = up && (b == a+1 || a == '9' && b <= '1' && b >= '0')
		down = down && (b == a-1 || a <= '1' && a >= '0' && b == '9')
	}
	return up || down
}

// checkLeaked asks as typed and case-folded: the lists have both kinds. It comes
// last, because it may leave this machine.
func (m *Method) checkLeaked(ctx context.Context, field, password, folded string) error {
	if m.c.Leaked == nil {
		return nil
	}
	typed := norm.NFC.String(password)
	spellings := []string{typed, folded}
	if typed == folded {
		spellings = spellings[:1]
	}
	for _, s := range spellings {
		yes, err := m.c.Leaked.Has(ctx, s)
		if err != nil {
			// Unknown is no: the person tries again, and nothing has changed (decision 0032).
			return &authn.Error{Code: authn.ProviderUnavailable, Key: "error.password_check", RetryAfter: 30 * time.Second, Err: fmt.Errorf("password: %w", err)}
		}
		if yes {
			return authn.InvalidField(field, "leaked", nil)
		}
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
	core := undecorated(bare)
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
