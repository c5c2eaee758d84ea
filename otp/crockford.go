package otp

import (
	"strings"
	"unicode"
)

// Crockford are the 32 symbols of Crockford's base32, which leaves out letters
// that are taken for digits or for each other.
const Crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NormalizeCrockford reads a code of length symbols as people type it: in any
// case, with blanks and dashes, digits of any script and full-width letters, and
// O, I and L for the digits that they look like. It reports false for what is no
// such code.
func NormalizeCrockford(text string, length int) (string, bool) {
	if len(text) > maxCodeText {
		return "", false
	}
	var b strings.Builder
	for _, r := range text {
		if isSpace(r) || isDash(r) {
			continue
		}
		if r >= '\uff01' && r <= '\uff5e' { // full width
			r -= '\uff01' - '!'
		}
		if d, ok := digitValue(r); ok {
			r = rune('0' + d)
		}
		switch r = unicode.ToUpper(r); r {
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if !strings.ContainsRune(Crockford, r) {
			return "", false
		}
		b.WriteRune(r)
	}
	return b.String(), b.Len() == length
}
