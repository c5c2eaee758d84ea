package authn

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxLogin bounds a login name or e-mail address, in bytes (RFC 5321 section
// 4.5.3.1.3 allows 254 for an address).
const MaxLogin = 254

// CanonicalLogin is the one form under which a login name or e-mail address is
// stored, looked up and counted (rulings 5 and 42): NFKC, case-folded, trimmed.
// Every spelling that leads to a person leads to the same counters. It reports
// false for what can be nobody's name: empty, over MaxLogin bytes, broken
// UTF-8, or with control or invisible characters inside.
func CanonicalLogin(s string) (string, bool) {
	if len(s) > 4*MaxLogin || !utf8.ValidString(s) {
		return "", false
	}
	s = strings.TrimSpace(norm.NFKC.String(s))
	// Folding can undo the normal form and the other way round (Unicode 3.13,
	// NFKC_Casefold), so it is done until nothing changes; twice is enough.
	for range 2 {
		s = strings.TrimSpace(norm.NFKC.String(cases.Fold().String(s)))
	}
	if s == "" || len(s) > MaxLogin {
		return "", false
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return "", false
		}
	}
	return s, true
}

// MaxExternalID bounds the id of a person in a host program's own table, in bytes.
const MaxExternalID = 255

// GoodExternalID reports whether s can be the id of a person in a host program's own
// table: 1 to MaxExternalID bytes of UTF-8 that shows, with no space at either end.
// Ids are compared byte by byte, and never folded.
func GoodExternalID(s string) bool {
	if s == "" || len(s) > MaxExternalID || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
