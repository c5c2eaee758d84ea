package authn

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CleanName makes a name that people typed fit to be stored and shown: spaces
// folded and trimmed, and refused (Invalid, with the field's name) if it is
// empty, longer than limit characters, broken UTF-8, or carries control or
// direction-changing characters, which would let one name pass for another.
func CleanName(field, s string, limit int) (string, error) {
	if len(s) > 4*limit+64 {
		return "", InvalidField(field, "too_long", map[string]any{"Max": limit})
	}
	if !utf8.ValidString(s) {
		return "", InvalidField(field, "invalid", nil)
	}
	s = strings.Join(strings.Fields(s), " ")
	switch {
	case s == "":
		return "", InvalidField(field, "required", nil)
	case utf8.RuneCountInString(s) > limit:
		return "", InvalidField(field, "too_long", map[string]any{"Max": limit})
	}
	for _, r := range s {
		// Zero-width joiner and non-joiner are letters' helpers in several scripts.
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' {
			return "", InvalidField(field, "invalid", nil)
		}
	}
	return s, nil
}

// CleanEmail accepts a bare address of RFC 5322 with a domain, at most MaxLogin
// bytes, and trims it. Invalid, field "email", otherwise.
func CleanEmail(s string) (string, error) {
	s = strings.TrimSpace(s)
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || len(s) > MaxLogin {
		return "", InvalidField("email", "invalid", nil)
	}
	if _, ok := CanonicalLogin(s); !ok {
		return "", InvalidField("email", "invalid", nil)
	}
	return s, nil
}
