// Package bypass is the one-time code that an administrator or the operator
// gives to someone who cannot prove themselves: a "help code" on pages. It lives
// an hour, works once, comes after the password, opens the set-up of a way of
// one's own and nothing else, and shows no level above aal1 (ruling 18).
//
// Threats: guessing is charged like a factor's, at 80 bits; a stolen database
// holds a hash, sealed; what it set up is on probation for a day, so that whoever
// talked an administrator into one cannot at once take over the rest.
package bypass

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
)

const length = 16 // 80 bits; the ruling asks for 64

// Method is the way of bypass codes.
type Method struct{ random io.Reader }

// New makes the method; random nil: crypto/rand.
func New(random io.Reader) *Method {
	if random == nil {
		random = rand.Reader
	}
	return &Method{random}
}

// NewCode makes a code, in fours for reading it out, and the form to store.
func (m *Method) NewCode() (code string, secret []byte) {
	var raw [length]byte
	if _, err := io.ReadFull(m.random, raw[:]); err != nil {
		panic(fmt.Errorf("bypass: no randomness: %w", err))
	}
	var b strings.Builder
	for i, r := range raw {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(otp.Crockford[r%32])
	}
	plain, _ := normalize(b.String())
	sum := sha256.Sum256([]byte(plain))
	return b.String(), sum[:]
}

func normalize(s string) (string, bool) { return otp.NormalizeCrockford(s, length) }

// Kind is bypass_code.
func (*Method) Kind() authn.Kind { return authn.BypassCode }

// Traits: it opens set-up, and shows nothing that the person knows or has.
func (*Method) Traits() authn.Traits { return authn.Traits{OpensSetUp: true} }

// Quick: one hash.
func (*Method) Quick() bool { return true }

// Shape refuses what can be no such code: "required" or "help_code" of "code".
func (*Method) Shape(a authn.Answer) error {
	if strings.TrimSpace(a.Code) == "" {
		return authn.InvalidField("code", "required", nil)
	}
	if _, ok := normalize(a.Code); !ok {
		return authn.InvalidField("code", "help_code", nil)
	}
	return nil
}

// Verify compares in constant time.
func (m *Method) Verify(_ context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	plain, ok := normalize(a.Code)
	if !ok {
		return authn.Match{Outcome: authn.Void}, m.Shape(a)
	}
	sum := sha256.Sum256([]byte(plain))
	if subtle.ConstantTimeCompare(sum[:], r.Secret) == 1 {
		return authn.Match{Outcome: authn.Right}, nil
	}
	return authn.Match{Outcome: authn.Wrong}, nil
}
