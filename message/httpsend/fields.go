package httpsend

import (
	"regexp"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Fields collects what is wrong with settings.
type Fields []authn.Field

// Check notes the field if it is empty ("required") or not ok ("invalid").
func (f *Fields) Check(name, value string, ok bool) {
	switch {
	case value == "":
		*f = append(*f, authn.Field{Name: name, Code: "required"})
	case !ok:
		*f = append(*f, authn.Field{Name: name, Code: "invalid"})
	}
}

// Err is authn.Invalid with the fields; nil if none is wrong.
func (f Fields) Err() error {
	if f == nil {
		return nil
	}
	return &authn.Error{Code: authn.Invalid, Fields: f}
}

var (
	e164       = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	senderName = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z &+_.-]{0,9}[0-9A-Za-z&+_.-])?$`)
)

// IsNumber reports a number in E.164, with its plus sign.
func IsNumber(s string) bool { return e164.MatchString(s) }

// IsFrom reports a number, or an alphanumeric sender: 1 to 11 characters of
// GSM-7, one letter at least (3GPP TS 23.040, 9.1.2.5).
func IsFrom(s string) bool {
	return IsNumber(s) || senderName.MatchString(s) && strings.ContainsAny(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz")
}

// IsSecret reports 8 to 256 characters of ASCII without spaces.
func IsSecret(s string) bool {
	return len(s) >= 8 && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
