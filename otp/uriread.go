package otp

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxURI bounds what ParseURI looks at, in bytes: the longest URI that Encode can
	// write has about 2,600.
	maxURI = 4096
	// maxURIParams bounds the parameters; the format knows six.
	maxURIParams = 32
	// maxCounter is what a signed 64-bit column holds.
	maxCounter = math.MaxInt64
)

// ParseURI reads an otpauth URI as servers and apps write it (Google, Microsoft,
// Authy, Aegis, Keycloak): scheme, type, parameter names and algorithm in either
// case; the colon of the label plain or as %3A, with spaces after it; the secret
// lower-case, spaced or padded; a + in a parameter as a space, but in the label as
// a plus, where it occurs in mail addresses. Parameters that the format does not
// know (image, icon, …) are ignored.
//
// If label and issuer parameter disagree, the parameter holds: Microsoft writes the
// company into the label and "Microsoft" into the parameter. The Issuer is empty if
// neither is there. A weak secret is read; see Secret.Weak. The Params of the result
// have no zero fields, except that Algorithm SHA1 is zero.
//
// Every error wraps ErrURI, names the part, and repeats nothing: refused are other
// types and schemes, a parameter that stands twice (apps differ on which one holds,
// so one URI would mean two keys), values out of range, hotp without a counter,
// control characters, invalid UTF-8, an empty account, a second colon, a fragment,
// and more than 4,096 bytes.
func ParseURI(text string) (URI, error) {
	if len(text) > maxURI {
		return URI{}, fmt.Errorf("%w: longer than %d bytes", ErrURI, maxURI)
	}
	if !utf8.ValidString(text) {
		return URI{}, fmt.Errorf("%w: not valid UTF-8", ErrURI)
	}
	if strings.ContainsFunc(text, isHostile) {
		return URI{}, fmt.Errorf("%w: contains a control character", ErrURI)
	}
	if strings.Contains(text, "#") { // what stands behind would silently be lost
		return URI{}, fmt.Errorf("%w: contains an unescaped #", ErrURI)
	}
	scheme, rest, _ := strings.Cut(text, "://")
	switch strings.ToLower(scheme) {
	case "otpauth":
	case "otpauth-migration":
		return URI{}, fmt.Errorf("%w: this is an app's export of several accounts, not the key of one", ErrURI)
	default:
		return URI{}, fmt.Errorf("%w: does not begin with otpauth://", ErrURI)
	}
	path, query, _ := strings.Cut(rest, "?")
	kind, label, _ := strings.Cut(path, "/")
	u := URI{Kind: TimeBased}
	switch strings.ToLower(kind) {
	case "totp":
	case "hotp":
		u.Kind = CounterBased
	default:
		return URI{}, fmt.Errorf("%w: the type is neither totp nor hotp", ErrURI)
	}
	if err := u.readLabel(label); err != nil {
		return URI{}, err
	}
	if err := u.readQuery(query); err != nil {
		return URI{}, err
	}
	return u, nil
}

// readLabel sets Account and, if the label has a prefix, Issuer.
func (u *URI) readLabel(label string) error {
	text, err := url.PathUnescape(label)
	if err != nil { // its text would repeat a piece of the URI
		return fmt.Errorf("%w: the label has a broken %% escape", ErrURI)
	}
	issuer, account, both := strings.Cut(text, ":")
	if !both {
		issuer, account = "", text
	}
	u.Issuer, u.Account = strings.Trim(issuer, " "), strings.Trim(account, " ")
	if u.Issuer != "" {
		if err := checkLabel("issuer", u.Issuer); err != nil {
			return err
		}
	}
	return checkLabel("account", u.Account)
}

// readQuery sets Key and Counter, and Issuer if it is a parameter.
func (u *URI) readQuery(query string) error {
	if strings.Count(query, "&") >= maxURIParams {
		return fmt.Errorf("%w: more than %d parameters", ErrURI, maxURIParams)
	}
	u.Params = Params{}.WithDefaults()
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("%w: a parameter has a broken %% escape", ErrURI)
		}
		name = strings.ToLower(name)
		if seen[name] {
			return fmt.Errorf("%w: a parameter stands twice", ErrURI)
		}
		seen[name] = true
		if err := u.set(name, value); err != nil {
			return err
		}
	}
	switch {
	case !seen["secret"]:
		return fmt.Errorf("%w: no secret", ErrURI)
	case u.Kind == CounterBased && !seen["counter"]:
		return fmt.Errorf("%w: hotp without a counter", ErrURI)
	case u.Kind == TimeBased: // some writers put counter=0 into every URI
		u.Counter = 0
	default: // and others a period into hotp
		u.Period = DefaultPeriod
	}
	return nil
}

// set stores one parameter.
func (u *URI) set(name, value string) (err error) {
	var n uint64
	switch name {
	case "secret":
		u.Secret, err = DecodeSecret(value)
	case "issuer":
		value = strings.Trim(value, " ")
		if value == "" { // as good as absent; the label's prefix stays
			return nil
		}
		u.Issuer = value
		return checkLabel("issuer", value)
	case "algorithm":
		u.Algorithm, err = ParseAlgorithm(value)
	case "digits":
		n, err = readNumber(value, MinDigits, MaxDigits, ErrDigits)
		u.Digits = int(n)
	case "period":
		n, err = readNumber(value, 1, MaxPeriod, ErrPeriod)
		u.Period = int(n)
	case "counter":
		u.Counter, err = readNumber(value, 0, maxCounter, errCounter)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrURI, err)
	}
	return nil
}

var errCounter = fmt.Errorf("the counter is not a number from 0 to %d", int64(maxCounter))

// readNumber reads a plain decimal number: no sign, no leading zero, no spaces.
func readNumber(text string, low, high uint64, bad error) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < low || n > high || strconv.FormatUint(n, 10) != text {
		return 0, bad
	}
	return n, nil
}
