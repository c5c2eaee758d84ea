package otp

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits of Params.
const (
	MinDigits     = 6 // RFC 4226 5.3 (R4), NIST SP 800-63B-4 3.1.4.1
	MaxDigits     = 8 // RFC 6238 1.2; also what a 31-bit truncation fills evenly
	DefaultDigits = 6
	DefaultPeriod = 30  // seconds, RFC 6238 5.2
	MaxPeriod     = 300 // seconds; what can be read. Policy allows 120 (NIST 3.1.4.1)
)

// Errors of Params and of the numbers given to Check.
var (
	ErrAlgorithm = errors.New("otp: the algorithm is none of SHA1, SHA256, SHA512")
	ErrDigits    = errors.New("otp: the number of digits is not 6, 7 or 8")
	ErrPeriod    = errors.New("otp: the period is not 1 to 300 seconds")
	ErrWindow    = errors.New("otp: the window or look-ahead is out of range")
)

// Algorithm is the hash inside the HMAC (RFC 6238 1.2). The zero value is SHA1,
// the only one that every authenticator app honours.
type Algorithm uint8

// The algorithms of RFC 6238. MD5, which a few old apps know, is not one of them.
const (
	SHA1 Algorithm = iota
	SHA256
	SHA512
)

// String returns the name used in otpauth URIs: SHA1, SHA256 or SHA512.
func (a Algorithm) String() string {
	switch a {
	case SHA1:
		return "SHA1"
	case SHA256:
		return "SHA256"
	case SHA512:
		return "SHA512"
	}
	return fmt.Sprintf("Algorithm(%d)", uint8(a))
}

// ParseAlgorithm reads the name of an algorithm in the spellings found in the
// wild: either case, with a dash ("sha-256"), with Java's prefix ("HmacSHA1").
// Anything else, also the empty string, is ErrAlgorithm.
func ParseAlgorithm(name string) (Algorithm, error) {
	if len(name) > len("HMAC-SHA-512") {
		return 0, ErrAlgorithm
	}
	name = strings.ReplaceAll(strings.ToUpper(name), "-", "")
	switch strings.TrimPrefix(name, "HMAC") {
	case "SHA1":
		return SHA1, nil
	case "SHA256":
		return SHA256, nil
	case "SHA512":
		return SHA512, nil
	}
	return 0, ErrAlgorithm
}

// Params says how codes are made of a secret. The zero value is what every
// authenticator app reads: SHA1, 6 digits, 30 seconds.
type Params struct {
	Algorithm Algorithm // SHA1 if zero
	Digits    int       // 6, 7 or 8; zero means 6
	Period    int       // seconds, 1 to 300; zero means 30; HOTP ignores it
}

// WithDefaults returns p with its zero fields replaced by what they mean.
func (p Params) WithDefaults() Params {
	if p.Digits == 0 {
		p.Digits = DefaultDigits
	}
	if p.Period == 0 {
		p.Period = DefaultPeriod
	}
	return p
}

// Validate returns nil, or an error that wraps ErrAlgorithm, ErrDigits or
// ErrPeriod.
func (p Params) Validate() error {
	p = p.WithDefaults()
	switch {
	case p.Algorithm > SHA512:
		return ErrAlgorithm
	case p.Digits < MinDigits || p.Digits > MaxDigits:
		return ErrDigits
	case p.Period < 1 || p.Period > MaxPeriod:
		return ErrPeriod
	}
	return nil
}

// Step returns the time step that t lies in: whole periods since 1970-01-01 UTC
// (T of RFC 6238 4.2, with T0 = 0), in 64 bits. Times before 1970 have negative
// steps, for which no code exists. p must be valid.
func (p Params) Step(t time.Time) int64 {
	period := int64(p.WithDefaults().Period)
	sec := t.Unix()
	step := sec / period
	if sec%period < 0 { // Go rounds towards zero; steps round down
		step--
	}
	return step
}

// Start returns the moment at which a step begins; its codes are shown until
// Start(step+1). p must be valid.
func (p Params) Start(step int64) time.Time {
	return time.Unix(step*int64(p.WithDefaults().Period), 0)
}
