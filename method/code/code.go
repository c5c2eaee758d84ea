// Package code is the proof of having received a code that was sent: to the
// account's e-mail address ([Method]), or by text message to a mobile number that
// is for this alone ([SMS]).
//
// # Flow
//
// A challenge is made when the person asks for a code. The code is derived, by
// [Digits], from a seed that binds purpose, company, user, attempt, challenge,
// factor, channel, destination and a nonce (ruling 15); the store computes it
// under the company's key. Nothing readable is stored, and sending again within
// the code's life sends the same one (decision 7). Verify compares with all
// codes that are out for the attempt: the one before a resend stays good to its
// own end.
//
// # Threats
//
//   - Guessing (std-18, std-19): charged to the factor, not to the code, so that
//     a new code gives no new tries.
//   - A code of another attempt, person or channel (std-51): its seed is another.
//   - A number that costs whoever sends to it (ruling 13): package phone refuses it
//     before anything is stored, and says to the person what to enter instead.
//   - E-mail is the weakest way: whoever reads the mailbox has it, so it is never
//     possession (ruling 14; NIST SP 800-63B-4 section 3.1.3.1).
package code

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
)

// Length is the number of digits of a code (requirements B3 and C2).
const Length = 6

// Method is the way of codes that are sent by one channel.
type Method struct{ kind authn.Kind }

var _ authn.Enroller = (*Method)(nil)

// New makes the method of a channel that needs nothing but the account:
// authn.Email. That of text messages is made by [NewSMS].
func New(kind authn.Kind) (*Method, error) {
	if kind != authn.Email {
		return nil, fmt.Errorf("code: %q is no channel that codes are sent by to what the account has", kind)
	}
	return &Method{kind: kind}, nil
}

// Digits is the code that a seed stands for, leading zeros included. The bias of
// the remainder is below 10⁻¹³.
func Digits(seed []byte) string {
	if len(seed) < 8 {
		return ""
	}
	return fmt.Sprintf("%0*d", Length, binary.BigEndian.Uint64(seed)%1_000_000)
}

// Kind is the channel.
func (m *Method) Kind() authn.Kind { return m.kind }

// Traits: another channel. A number is something the person has, a mailbox is not.
func (m *Method) Traits() authn.Traits {
	return authn.Traits{OutOfBand: true, Possession: m.kind == authn.SMS}
}

// Quick: a comparison or two.
func (*Method) Quick() bool { return true }

// Shape refuses what can be no code: "required", "not_digits", "too_few" or
// "too_many" of "code".
func (*Method) Shape(a authn.Answer) error {
	_, err := otp.Normalize(a.Code, Length)
	args := map[string]any{"Digits": Length}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, otp.ErrCodeEmpty):
		return authn.InvalidField("code", "required", args)
	case errors.Is(err, otp.ErrCodeShort):
		return authn.InvalidField("code", "too_few", args)
	case errors.Is(err, otp.ErrCodeLong):
		return authn.InvalidField("code", "too_many", args)
	}
	return authn.InvalidField("code", "not_digits", args)
}

// Verify compares with every code that is out; all of them each time.
func (m *Method) Verify(_ context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	typed, err := otp.Normalize(a.Code, Length)
	if err != nil {
		return authn.Match{Outcome: authn.Void}, m.Shape(a)
	}
	right := 0
	for _, c := range r.Challenges {
		if c.Factor == r.Factor.ID && c.Kind == m.kind && len(c.Seed) > 0 && c.ExpiresAt.Unix() > r.Now {
			right |= subtle.ConstantTimeCompare([]byte(typed), []byte(Digits(c.Seed)))
		}
	}
	if right == 1 {
		return authn.Match{Outcome: authn.Right}, nil
	}
	return authn.Match{Outcome: authn.Wrong}, nil
}

// Begin needs nothing: the address is the account's.
func (*Method) Begin(context.Context, authn.Request) (authn.Shown, error) { return authn.Shown{}, nil }

// Present shows nothing secret.
func (*Method) Present(authn.Request) (authn.Presented, error) { return authn.Presented{}, nil }

// Confirm is Verify: the code was sent to the address that is to be confirmed.
func (m *Method) Confirm(ctx context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	return m.Verify(ctx, r, a)
}
