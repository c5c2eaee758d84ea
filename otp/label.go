package otp

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLabel is the largest size of an issuer or an account name, in bytes.
const MaxLabel = 255

// checkLabel returns an error that wraps ErrURI if text cannot be the issuer or
// the account of a URI. The text itself is not repeated: it may be hostile, and the
// error may end up in a log.
func checkLabel(what, text string) error {
	switch {
	case text == "":
		return fmt.Errorf("%w: no %s", ErrURI, what)
	case len(text) > MaxLabel:
		return fmt.Errorf("%w: the %s is longer than %d bytes", ErrURI, what, MaxLabel)
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: the %s is not valid UTF-8", ErrURI, what)
	case strings.Contains(text, ":"):
		return fmt.Errorf("%w: the %s contains a colon, which separates issuer and account", ErrURI, what)
	case strings.ContainsFunc(text, isHostile):
		return fmt.Errorf("%w: the %s contains a control character", ErrURI, what)
	}
	return nil
}

// isHostile reports whether r breaks a line or turns the direction of what follows:
// such a name could pass itself off as another one in the app.
func isHostile(r rune) bool {
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || isBidiControl(r)
}

// CleanLabel makes a free text, such as a company's name, fit for an issuer or an
// account: colons, control characters and invalid UTF-8 become spaces, runs of
// spaces become one, and the text is cut to MaxLabel bytes at a character. The
// result may be empty. Account names that differ only in such characters become
// alike; clean a company's name, and prefer account names that need no cleaning.
func CleanLabel(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == ':' || r == utf8.RuneError || isHostile(r) {
			return ' '
		}
		return r
	}, text[:min(len(text), 4*MaxLabel)])
	text = strings.Join(strings.Fields(text), " ")
	for len(text) > MaxLabel {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return strings.TrimSpace(text)
}
