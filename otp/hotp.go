package otp

import (
	"crypto/subtle"
	"math"
)

// MaxLookAhead is the largest look-ahead of CheckHOTP. RFC 4226 7.4 asks for a
// small one: each further value is one more chance for a guesser.
const MaxLookAhead = 10

// Key is a secret and how codes are made of it. Its zero Params mean SHA1, 6
// digits, 30 seconds; its Secret must have MinSecretSize to MaxSecretSize bytes.
type Key struct {
	Secret Secret
	Params
}

// Validate returns nil, or the error of Params.Validate, or ErrSecretEmpty,
// ErrSecretShort or ErrSecretLong.
func (k Key) Validate() error {
	if err := k.Params.Validate(); err != nil {
		return err
	}
	return k.Secret.validate()
}

// HOTP returns the code for a counter (RFC 4226 5.3): k.Digits ASCII digits, with
// leading zeros. Errors are those of Validate.
func (k Key) HOTP(counter uint64) (string, error) {
	if err := k.Validate(); err != nil {
		return "", err
	}
	k.Params = k.WithDefaults()
	var p pads
	p.set(k.Algorithm, k.Secret)
	return format(decimal(p.value(counter), k.Digits), k.Digits), nil
}

// CheckHOTP compares code with the values for counter to counter+ahead, all of
// them, in constant time (RFC 4226 7.4). counter is the next one expected, at most
// math.MaxInt64-ahead; ahead is 0 to MaxLookAhead, else ErrWindow. code must be
// normalised. When ok, the caller stores next as the counter, by which the code
// and all before it die; when not, next is counter. Other errors are those of
// Validate and the ErrCode ones, and then nothing was compared.
func (k Key) CheckHOTP(counter uint64, ahead int, code string) (next uint64, ok bool, err error) {
	if err := k.Validate(); err != nil {
		return counter, false, err
	}
	if ahead < 0 || ahead > MaxLookAhead || counter > math.MaxInt64-uint64(ahead) {
		return counter, false, ErrWindow
	}
	k.Params = k.WithDefaults()
	want, err := number(code, k.Digits)
	if err != nil {
		return counter, false, err
	}
	var p pads
	p.set(k.Algorithm, k.Secret)
	// Of two equal codes the farther one counts: the nearer would leave the same code
	// good for a second time (see Check).
	found := 0
	for i := range ahead + 1 {
		same := subtle.ConstantTimeEq(want, decimal(p.value(counter+uint64(i)), k.Digits))
		found = subtle.ConstantTimeSelect(same, i+1, found)
	}
	return counter + uint64(found), found > 0, nil
}

// format writes n with leading zeros.
func format(n int32, digits int) string {
	var b [MaxDigits]byte
	for i := digits - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return string(b[:digits])
}

// number reads a normalised code. It is strict on its own, so that a caller who
// forgot Normalize refuses a code but never accepts a second spelling of one.
func number(code string, digits int) (int32, error) {
	switch {
	case code == "":
		return 0, ErrCodeEmpty
	case len(code) > maxCodeText:
		return 0, ErrCodeLong
	}
	var n int32
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return 0, ErrCodeLetters
		}
		n = n*10 + int32(code[i]-'0') // may wrap in a long code, which is refused below
	}
	return n, codeLength(len(code), digits)
}
