// Package totp is the method "totp": the six digits of an authenticator app
// (RFC 6238), over package otp.
//
// # Flow
//
// Enrolment: [Method.Begin] makes a 160-bit secret; [Method.Present] is what its
// page shows; [Method.Confirm] checks the first code against the pending
// secret. Sign-in and step-up: [Method.Shape] refuses what is no code before
// anything is charged; then, inside the transaction that charged,
// [Method.Verify] compares, and the store moves the factor's last step forward
// with the proof, only ever to a larger one.
//
// # Threats
//
//   - Replay (RFC 6238 5.2, NIST SP 800-63B-4 3.1.4.2): only a step later than
//     Factor.LastStep is accepted. The same code again, also as another
//     spelling, is Void: neither charged nor resetting (ruling 44).
//   - Guessing: three codes in a million match. The count of wrong answers is
//     the store's (ruling 8); the window is never wider than one step either
//     side (security.md decision 3).
//   - Time is Request.Now, the server's. Nothing that a client says of time is
//     read. The hint about a phone's wrong clock (A8) searches ten minutes
//     either way, accepts nothing, and exists in Confirm only: at sign-in it
//     would tell a guesser that a code was real (ruling 16).
//   - A changed data column cannot weaken the check: digits, period and
//     algorithm are bounded, and unknown fields are errors.
//   - SHA-1 inside HMAC is what all apps speak and is not broken there
//     (RFC 6194 3.3); under GODEBUG=fips140=only it panics.
package totp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
)

// Config sets a Method. Every field may be left zero.
type Config struct {
	Window int       // steps tolerated either side of now: 1, or -1 for none; 0: 1
	Random io.Reader // nil: crypto/rand

	// What the data of a factor may say. New factors are SHA1, 6 digits, 30 s.
	MaxDigits int // 6 to 8; 0: 6. Above 6, Shape cannot know which length is meant
	MinPeriod int // seconds; 0: 15
	MaxPeriod int // seconds; 0: 120, NIST SP 800-63B-4 3.1.4.1
}

// Method is safe for concurrent use.
type Method struct {
	c     Config
	dummy otp.Secret // compared with while the person is unknown
}

var _ authn.Enroller = (*Method)(nil)

// New makes the method, or says what in c is out of range.
func New(c Config) (*Method, error) {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	switch c.Window {
	case 0, 1:
		c.Window = 1
	case -1:
		c.Window = 0
	default:
		return nil, errors.New("totp: the window is neither 1 nor -1")
	}
	if c.MaxDigits == 0 {
		c.MaxDigits = otp.DefaultDigits
	}
	if c.MaxDigits < otp.MinDigits || c.MaxDigits > otp.MaxDigits {
		return nil, errors.New("totp: the largest number of digits is not 6, 7 or 8")
	}
	if c.MinPeriod == 0 {
		c.MinPeriod = 15 // at one second, Confirm would search 1,198 codes
	}
	if c.MaxPeriod == 0 {
		c.MaxPeriod = 120
	}
	if c.MinPeriod < 1 || c.MinPeriod > otp.DefaultPeriod || c.MaxPeriod < otp.DefaultPeriod || c.MaxPeriod > 120 {
		return nil, errors.New("totp: the periods allowed are not 1–30 to 30–120 seconds")
	}
	dummy, err := otp.NewSecret(c.Random)
	if err != nil {
		return nil, fmt.Errorf("totp: %w", err)
	}
	return &Method{c: c, dummy: dummy}, nil
}

// Kind is totp.
func (*Method) Kind() authn.Kind { return authn.TOTP }

// Traits: something the person has. A code can be phished.
func (*Method) Traits() authn.Traits { return authn.Traits{Possession: true} }

// Quick: three steps take about 1.5 µs.
func (*Method) Quick() bool { return true }

// Shape refuses a code that no factor here can have: "required", "not_digits",
// "too_few" or "too_many" of "code".
func (m *Method) Shape(a authn.Answer) error {
	var err error
	for digits := otp.MinDigits; digits <= m.c.MaxDigits; digits++ {
		if _, err = otp.Normalize(a.Code, digits); err == nil {
			return nil
		}
		if !errors.Is(err, otp.ErrCodeLong) { // the next length will not do either
			return invalid(err, digits)
		}
	}
	return invalid(err, m.c.MaxDigits)
}

// Verify compares a code with the steps around Request.Now: Right with the
// step to store, Void if it was accepted before, else Wrong. A code of another
// length than this factor's is Invalid, which Shape cannot always know; Void
// comes with it, as there was no guess. Other errors are of a factor whose
// secret or data is broken.
func (m *Method) Verify(_ context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	match, _, _, err := m.verify(r, a)
	return match, err
}

// Confirm is Verify for a pending factor. With Wrong it says in Skew by how
// many seconds the phone's clock would have to be ahead for the code to be
// right, if that is within ten minutes (A8).
func (m *Method) Confirm(_ context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	match, key, code, err := m.verify(r, a)
	if err != nil || match.Outcome != authn.Wrong || r.Secret == nil {
		return match, err
	}
	offset, _, err := key.ClockOffset(time.Unix(r.Now, 0), m.c.Window, code)
	if err != nil {
		return match, fmt.Errorf("totp: %w", err)
	}
	match.Skew = int64(offset / time.Second)
	return match, nil
}

func (m *Method) verify(r authn.Request, a authn.Answer) (match authn.Match, key otp.Key, code string, err error) {
	match.Outcome = authn.Void // until a guess was evaluated
	if key.Params, err = m.params(r.Factor.Data); err != nil {
		return match, key, "", err
	}
	if code, err = otp.Normalize(a.Code, key.Digits); err != nil {
		return match, key, "", invalid(err, key.Digits)
	}
	key.Secret = r.Secret
	if r.Secret == nil {
		key.Secret = m.dummy
	}
	step, result, err := key.Check(time.Unix(r.Now, 0), m.c.Window, r.Factor.LastStep, code)
	switch {
	case err != nil:
		return match, key, "", fmt.Errorf("totp: %w", err)
	case result == otp.Accepted && r.Secret != nil:
		match.Outcome, match.Step = authn.Right, step
	case result == otp.Used && r.Secret != nil:
		// Void
	default:
		match.Outcome = authn.Wrong
	}
	return match, key, code, nil
}

// invalid names what the person has to mend; it repeats nothing of the code.
func invalid(err error, digits int) error {
	args := map[string]any{"Digits": digits}
	switch {
	case errors.Is(err, otp.ErrCodeEmpty):
		return authn.InvalidField("code", "required", args)
	case errors.Is(err, otp.ErrCodeShort):
		return authn.InvalidField("code", "too_few", args)
	case errors.Is(err, otp.ErrCodeLong):
		return authn.InvalidField("code", "too_many", args)
	case errors.Is(err, otp.ErrCodeLetters):
		return authn.InvalidField("code", "not_digits", args)
	}
	return fmt.Errorf("totp: %w", err)
}
