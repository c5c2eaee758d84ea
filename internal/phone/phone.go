// Package phone reads the numbers that people type, and says which of them can be
// sent a text message (requirement B1). The numbering plans of the world are those
// of libphonenumber, by way of github.com/nyaruka/phonenumbers (decision 0020).
//
// # Flow
//
// [Parse] reduces what was typed to an optional plus and ASCII digits, and only
// that reaches the library: its own reading of letters, extensions and tel: URIs
// is never used. What comes out is E.164 (ITU-T E.164: at most 15 digits), the one
// form that is stored, compared, budgeted and given to providers. [FromE164] reads
// that form again.
//
// # Threats
//
//   - Numbers that cost whoever sends to them or that earn somebody money
//     (security section 5): premium rate, shared cost, personal numbers and the
//     networks that belong to no country are refused by their type.
//   - One number in many writings would be many subjects for budgets, and could be
//     two people's: there is one E.164 for each.
//   - A number without its country is not guessed: with neither a plus nor a
//     country it is refused.
//   - Long or hostile input: 64 bytes at most, and expressions without backtracking.
//
// No plan says whether a number is in use, and in some countries (the United
// States among them) none tells a landline from a mobile: those pass, and the code
// that never arrives says it.
package phone

import (
	"errors"
	"strconv"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// What is wrong with a number. The form says what to do about each.
var (
	ErrEmpty     = errors.New("phone: nothing was typed")
	ErrNoCountry = errors.New("phone: neither a plus nor a known country")
	ErrLetters   = errors.New("phone: something other than digits and separators") // an extension, too
	ErrShort     = errors.New("phone: too few digits")
	ErrLong      = errors.New("phone: too many digits")
	ErrInvalid   = errors.New("phone: no such number in the plan of its country")
	ErrNotMobile = errors.New("phone: no mobile number") // landline, VoIP, pager, voicemail, UAN, satellite
	ErrPremium   = errors.New("phone: a number with a tariff of its own")
)

// Problem is a word for an error of Parse: "required", "no_country", "letters",
// "too_few", "too_many", "invalid", "not_mobile" or "premium". The catalogue has a
// text for each, "field.phone." + word.
func Problem(err error) string {
	for _, p := range []struct {
		err  error
		word string
	}{
		{ErrEmpty, "required"}, {ErrNoCountry, "no_country"}, {ErrLetters, "letters"}, {ErrShort, "too_few"},
		{ErrLong, "too_many"}, {ErrNotMobile, "not_mobile"}, {ErrPremium, "premium"},
	} {
		if errors.Is(err, p.err) {
			return p.word
		}
	}
	return "invalid"
}

const (
	maxTyped  = 64 // bytes
	maxDigits = 15 // ITU-T E.164 section 6.2.1
	minDigits = 7  // Niue's and St Helena's with their codes
	// nowhere is the library's word for no country.
	nowhere = "ZZ"
)

// Number is one that can be sent text messages.
type Number struct {
	E164          string // +46701740605
	Country       string // ISO 3166 alpha-2, and "XK", "AC", "TA"; see FromE164
	Dial          string // the calling code: 46
	National      string // 070-174 06 05
	International string // +46 70 174 06 05
}

// Prefix is the number without its last four digits: what numbers that were bought
// together have in common, for budgets.
func (n Number) Prefix() string { return n.E164[:max(len(n.E164)-4, 0)] }

// Ends are the last two digits, which is all that pages show of a number.
func (n Number) Ends() string { return n.E164[max(len(n.E164)-2, 0):] }

// Parse reads a number as typed: with spaces, dashes, dots, slashes and brackets,
// in the digits of several scripts. It is in country (ISO 3166 alpha-2; empty: not
// said) unless it begins with a plus, or with what is dialled for abroad there;
// 00 is that everywhere. The error is one of this package's.
func Parse(typed, country string) (Number, error) {
	digits, err := strip(typed)
	switch {
	case err != nil:
		return Number{}, err
	case digits[0] == '+':
		return judge(digits, nowhere)
	case !KnownCountry(country):
		return Number{}, ErrNoCountry
	}
	n, err := judge(digits, country)
	if rest, abroad := strings.CutPrefix(digits, "00"); abroad && err != nil {
		return judge("+"+rest, nowhere)
	}
	return n, err
}

// FromE164 reads a number that Parse gave. What kind it is was judged then and is
// not judged again, since plans change and people keep their numbers. Country is
// empty if the plan no longer knows the number. ErrInvalid: it is no E.164.
func FromE164(s string) (Number, error) {
	rest, plus := strings.CutPrefix(s, "+")
	if !plus || len(rest) < minDigits || len(rest) > maxDigits || strings.Trim(rest, "0123456789") != "" {
		return Number{}, ErrInvalid
	}
	parsed, err := phonenumbers.Parse(s, nowhere)
	if err != nil {
		return Number{}, ErrInvalid
	}
	n := numberOf(parsed)
	if n.E164 != s {
		return Number{}, ErrInvalid
	}
	return n, nil
}

// strip leaves a plus, if there is one, and ASCII digits, one at least.
func strip(typed string) (string, error) {
	if len(typed) > maxTyped {
		return "", ErrLong
	}
	var b strings.Builder
	for _, r := range typed {
		d, ok := digit(r)
		switch {
		case ok:
			b.WriteByte(d)
		case r == '+' || r == '＋':
			if b.Len() > 0 {
				return "", ErrInvalid
			}
			b.WriteByte('+')
		case !separates(r):
			return "", ErrLetters
		}
	}
	switch b.String() {
	case "":
		return "", ErrEmpty
	case "+":
		return "", ErrShort
	}
	return b.String(), nil
}

// digit reads those of ASCII, Arabic, Persian, Devanagari and full width.
func digit(r rune) (byte, bool) {
	for _, zero := range "0٠۰०０" {
		if r >= zero && r <= zero+9 {
			return byte('0' + r - zero), true
		}
	}
	return 0, false
}

// separates knows what stands between digits, and the invisible marks that an
// address book copies along.
func separates(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Cf) || strings.ContainsRune("()[]（）./·−．", r)
}

// judge asks the plan.
func judge(digits, country string) (Number, error) {
	parsed, err := phonenumbers.Parse(digits, country)
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return Number{}, ErrInvalid
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return Number{}, ErrLong
	case err != nil: // what is no number after strip has too few digits
		return Number{}, ErrShort
	}
	switch phonenumbers.IsPossibleNumberWithReason(parsed) {
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return Number{}, ErrShort
	case phonenumbers.TOO_LONG:
		return Number{}, ErrLong
	}
	n := numberOf(parsed)
	switch phonenumbers.GetNumberType(parsed) {
	case phonenumbers.UNKNOWN:
		return Number{}, ErrInvalid
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST, phonenumbers.TOLL_FREE, phonenumbers.PERSONAL_NUMBER:
		return Number{}, ErrPremium
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		if n.Country == "" {
			return Number{}, ErrNotMobile // of a network above the countries, such as a satellite's
		}
	default:
		return Number{}, ErrNotMobile
	}
	// A number that does not read as itself would be two.
	if again, err := FromE164(n.E164); err != nil || again != n {
		return Number{}, ErrInvalid
	}
	return n, nil
}

func numberOf(p *phonenumbers.PhoneNumber) Number {
	country := phonenumbers.GetRegionCodeForNumber(p)
	if country == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
		country = ""
	}
	return Number{
		E164: phonenumbers.Format(p, phonenumbers.E164), Country: country, Dial: strconv.Itoa(int(p.GetCountryCode())),
		National: phonenumbers.Format(p, phonenumbers.NATIONAL), International: phonenumbers.Format(p, phonenumbers.INTERNATIONAL),
	}
}
