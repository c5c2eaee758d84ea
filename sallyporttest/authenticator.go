package sallyporttest

import (
	"cmp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/otp"
)

// Authenticator is an authenticator app with one account in it. It is safe for
// concurrent use.
type Authenticator struct {
	clock *Clock
	key   otp.Key

	mu   sync.Mutex
	last int64 // step of the code that NextCode gave last
}

// NewAuthenticator is an app into which somebody scans a QR code (shown is its
// otpauth URI) or types the secret, as the set-up of an app shows both.
func NewAuthenticator(t testing.TB, clock *Clock, shown string) *Authenticator {
	t.Helper()
	if strings.HasPrefix(shown, "otpauth:") {
		u, err := otp.ParseURI(shown)
		if err != nil {
			t.Fatal(err)
		}
		return &Authenticator{clock: clock, key: u.Key}
	}
	secret, err := otp.DecodeSecret(shown)
	if err != nil {
		t.Fatal(err)
	}
	return &Authenticator{clock: clock, key: otp.Key{Secret: secret}}
}

// Code is what the app shows now. Each code is accepted once, so that the one that
// somebody signed in with is refused until the clock has moved by 30 seconds.
func (a *Authenticator) Code() string { return a.at(a.clock.Now()) }

// NextCode is a code that NextCode has not given before: if need be it waits for the
// next one, as a person does, by moving the clock by 30 seconds.
func (a *Authenticator) NextCode() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	period := int64(cmp.Or(a.key.Period, otp.DefaultPeriod))
	now := a.clock.Now()
	if step := now.Unix() / period; step <= a.last {
		a.clock.Advance(time.Duration((a.last+1-step)*period) * time.Second)
		now = a.clock.Now()
	}
	a.last = now.Unix() / period
	return a.at(now)
}

func (a *Authenticator) at(now time.Time) string {
	code, err := a.key.TOTP(now)
	if err != nil { // a secret that can be no key
		panic(err)
	}
	return code
}

// Code is the code that an authenticator app shows at the clock's time.
func (s *Server) Code(t testing.TB, secret otp.Secret) string {
	return CodeAt(t, secret, s.Clock.Now())
}

// CodeAt is the code that an authenticator app shows at a time.
func CodeAt(t testing.TB, secret otp.Secret, at time.Time) string {
	t.Helper()
	code, err := otp.Key{Secret: secret}.TOTP(at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// WrongCode is a code that is right at none of the steps around the clock's time.
func (s *Server) WrongCode(t testing.TB, secret otp.Secret) string {
	t.Helper()
	right := map[string]bool{}
	for d := -15 * time.Minute; d <= 15*time.Minute; d += 30 * time.Second {
		right[CodeAt(t, secret, s.Clock.Now().Add(d))] = true
	}
	for _, c := range []string{"000000", "111111", "222222", "333333", "444444"} {
		if !right[c] {
			return c
		}
	}
	t.Fatal("five codes right at once")
	return ""
}
