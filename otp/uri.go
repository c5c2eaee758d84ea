package otp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrURI is wrapped by every error of reading or writing an otpauth URI; the text
// after it names the part and what is wrong with it, but repeats nothing of the URI.
var ErrURI = errors.New("otp: otpauth URI")

// Kind says what moves a key's codes on.
type Kind uint8

// Kinds of keys.
const (
	TimeBased    Kind = iota // TOTP, RFC 6238
	CounterBased             // HOTP, RFC 4226
)

// String returns the type of an otpauth URI, "totp" or "hotp".
func (k Kind) String() string {
	switch k {
	case TimeBased:
		return "totp"
	case CounterBased:
		return "hotp"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// URI is what an otpauth URI says: a key, and whose it is. Formatting a URI with
// fmt does not show the secret; Encode does.
type URI struct {
	Kind    Kind
	Issuer  string // company or product; may be empty only when read
	Account string // the person's name there
	Key
	Counter uint64 // CounterBased only: the next one; at most math.MaxInt64
}

// Encode writes the URI for a QR code or a link:
//
//	otpauth://totp/ACME%20Co:maya@example.com?secret=JBSW…&issuer=ACME%20Co
//
// The issuer is written twice: Microsoft Authenticator shows the one of the label,
// Google Authenticator and Authy go by the parameter. A space becomes %20, because
// apps show a + as it is, and a + becomes %2B, because others take it for a space.
//
// Algorithm, digits and period are written only if they are not SHA1, 6 and 30.
// All apps have those defaults, and Microsoft Authenticator uses them whatever the
// URI says; without them the QR code of a usual key is one or two sizes (versions)
// smaller, which is what a poor camera needs.
//
// Errors are those of Key.Validate, or wrap ErrURI: issuer or account empty, longer
// than MaxLabel, not UTF-8, with a colon (the URI has no way to write one that all
// apps read alike; see CleanLabel) or a control character. Surrounding spaces are
// dropped.
func (u URI) Encode() (string, error) {
	if err := u.Validate(); err != nil {
		return "", err
	}
	if u.Kind > CounterBased {
		return "", fmt.Errorf("%w: the type is neither totp nor hotp", ErrURI)
	}
	if u.Counter > maxCounter {
		return "", fmt.Errorf("%w: the counter is too large", ErrURI)
	}
	issuer, account := strings.Trim(u.Issuer, " "), strings.Trim(u.Account, " ")
	if err := checkLabel("issuer", issuer); err != nil {
		return "", err
	}
	if err := checkLabel("account", account); err != nil {
		return "", err
	}
	p := u.WithDefaults()

	var b strings.Builder
	b.WriteString("otpauth://" + u.Kind.String() + "/")
	escape(&b, issuer)
	b.WriteByte(':')
	escape(&b, account)
	b.WriteString("?secret=" + u.Secret.Base32() + "&issuer=")
	escape(&b, issuer)
	if p.Algorithm != SHA1 {
		b.WriteString("&algorithm=" + p.Algorithm.String())
	}
	if p.Digits != DefaultDigits {
		b.WriteString("&digits=" + strconv.Itoa(p.Digits))
	}
	switch {
	case u.Kind == CounterBased: // required, also when zero
		b.WriteString("&counter=" + strconv.FormatUint(u.Counter, 10))
	case p.Period != DefaultPeriod:
		b.WriteString("&period=" + strconv.Itoa(p.Period))
	}
	return b.String(), nil
}

// escape percent-encodes all but the unreserved characters of RFC 3986 2.3 and @,
// which paths and queries allow and most account names have. net/url has no such
// form: PathEscape leaves + & = and :, QueryEscape writes + for a space.
func escape(b *strings.Builder, text string) {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~@", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
}
