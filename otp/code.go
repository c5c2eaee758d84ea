package otp

import (
	"errors"
	"unicode"
)

// maxCodeText bounds what Normalize looks at, in bytes: room for eight digits of
// four bytes with spaces everywhere, and nothing for an attacker.
const maxCodeText = 256

// Errors of a typed code, one for each text the pages have. They describe only the
// form: none of them is a guess, and none is to be charged.
var (
	ErrCodeEmpty   = errors.New("otp: no code was entered")
	ErrCodeShort   = errors.New("otp: the code has too few digits")
	ErrCodeLong    = errors.New("otp: the code has too many digits")
	ErrCodeLetters = errors.New("otp: the code has a character that is not a digit")
)

// Normalize turns what a person typed or pasted into the code that is compared:
// exactly digits ASCII digits. It drops spaces (no-break, thin, ideographic and
// zero-width ones too, and the direction marks that come with pasted Arabic) and
// every kind of dash, and converts the decimal digits of all scripts, full-width,
// Arabic-Indic and Persian among them. digits is 6 to 8, and zero means 6, else
// ErrDigits. What is not exactly that many digits is refused with ErrCodeEmpty,
// ErrCodeShort, ErrCodeLong or ErrCodeLetters; the last one goes before the counts,
// because it is what the person has to mend. More than 256 bytes are ErrCodeLong
// unread. A code that is normal already is returned as it is, with no allocation.
//
// A code is to be normalised once, at the edge, and only the result used: products
// that trimmed in the check but not in the used-code cache accepted one code twice
// (CVE-2025-6014).
func Normalize(text string, digits int) (string, error) {
	if digits == 0 {
		digits = DefaultDigits
	}
	if digits < MinDigits || digits > MaxDigits {
		return "", ErrDigits
	}
	if len(text) > maxCodeText {
		return "", ErrCodeLong
	}
	if len(text) == digits && isASCIIDigits(text) {
		return text, nil
	}
	var code [MaxDigits]byte
	n := 0
	for _, r := range text {
		if isSpace(r) || isDash(r) {
			continue
		}
		d, ok := digitValue(r)
		if !ok {
			return "", ErrCodeLetters
		}
		if n < len(code) {
			code[n] = '0' + d
		}
		n++
	}
	if err := codeLength(n, digits); err != nil {
		return "", err
	}
	return string(code[:digits]), nil
}

// codeLength says what is wrong with a code of n digits.
func codeLength(n, digits int) error {
	switch {
	case n == 0:
		return ErrCodeEmpty
	case n < digits:
		return ErrCodeShort
	case n > digits:
		return ErrCodeLong
	}
	return nil
}

func isASCIIDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// isSpace reports whether r is white space, or an invisible mark that copying from
// a page or a message brings along.
func isSpace(r rune) bool {
	switch r {
	case 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, // zero-width space and joiners, byte order mark
		0x061C, 0x200E, 0x200F: // direction marks
		return true
	}
	return unicode.IsSpace(r) || isBidiControl(r)
}

// isBidiControl reports whether r starts or ends a run of another direction.
func isBidiControl(r rune) bool {
	return 0x202A <= r && r <= 0x202E || 0x2066 <= r && r <= 0x2069
}

// isDash reports whether r is a dash, or looks like one without being punctuation:
// soft hyphen, modifier minus, hyphen bullet, minus sign.
func isDash(r rune) bool {
	switch r {
	case '-', 0x00AD, 0x02D7, 0x2043, 0x2212:
		return true
	}
	return unicode.Is(unicode.Pd, r)
}

// digitValue returns the value of a decimal digit of any script. Unicode gives
// each script its ten digits in a row from zero, so the place in the range tells
// the value; a test walks the tables to make sure of it.
func digitValue(r rune) (byte, bool) {
	if '0' <= r && r <= '9' {
		return byte(r - '0'), true
	}
	if r < 0x80 {
		return 0, false
	}
	for _, t := range unicode.Nd.R16 {
		if r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10), r >= rune(t.Lo)
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10), r >= rune(t.Lo)
		}
	}
	return 0, false
}
