// Package password is the method "password": one argon2id hash behind a gate.
//
// # Flow
//
// [Method.Shape] refuses what cannot be anybody's password, before anything is
// charged or hashed. [Method.Verify] enters the gate, hashes once and compares;
// it runs outside the transaction that charged (ruling 8), as a hash takes
// 31 ms. A hash of lesser cost, or of another system (foreign.go), is replaced at
// the first right sign-in (Match.Rehash). To set a
// password: [Method.Check] says what is wrong with it, [Method.Hash] makes the
// PHC string, which the store seals under the company's key: that is the pepper
// (NIST SP 800-63B-4 3.1.1.2; it rotates online, security.md 4.4).
// [Method.Strength] says how hard one is to guess, as advice beside the field.
//
// # Threats
//
//   - Who exists (F5, cve-62): an unknown person's password is hashed with the
//     same parameters, against a dummy, and is always wrong.
//   - Imported hashes take their own time until then: whoever measures it learns
//     that somebody came in by an import, and not who exists besides.
//   - Memory and processor (cve-22): no hash runs outside the gate, which
//     weighs its memory. The parameters of a stored hash are bounded before they
//     are used: a hostile import must not cost 4 GiB (security.md 4.5).
//   - Truncation and joined fields (std-6, cve-69): argon2id takes the whole
//     password, of up to 4,096 bytes, and nothing is joined to it.
//   - Two spellings of one password: NFC before hashing (std-7).
//   - Leaks: no error holds a password, a hash or any part of them.
//   - Weak settings (ruling 58, std-62): Config has no parameters. Cheaper hashes
//     come only from [NewForTests].
//
// Guesses are counted by the store, and never disable a password (F5).
package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/sallyport-mfa/sallyport/authn"
)

// MaxBytes is the length above which a password is refused unread (std-2).
const MaxBytes = 4096

// Gate bounds the hashes that run at once; *throttle.Gate is one. Enter may
// refuse with authn.Busy; after it, leave is called exactly once.
type Gate interface {
	Enter(ctx context.Context, known bool, addr netip.Addr, kib int) (leave func(), err error)
}

// Config sets a Method.
type Config struct {
	Gate   Gate      // required
	Random io.Reader // salts; nil: crypto/rand
	// Common reports whether a password, case-folded, is among those that
	// everybody tries. nil: the 11,600 of common.txt.
	Common func(folded string) bool
	// Leaked knows passwords that have leaked, such as a list of package leaked; it
	// is asked about new ones only. nil: none are known.
	Leaked Leaked
}

// Leaked says whether a password is known to have leaked. An error says that it
// could not be found out, and the new password is refused for now.
type Leaked interface {
	Has(ctx context.Context, password string) (bool, error)
}

// Method is safe for concurrent use.
type Method struct {
	c      Config
	params Params
	floor  Params
	dummy  stored // of nobody
	meter  chan struct{}
}

var _ authn.Method = (*Method)(nil)

// New makes the method, with the parameters of security.md: m = 19 MiB, t = 2,
// p = 1.
func New(c Config) (*Method, error) { return newMethod(c, current, floor) }

// NewForTests is New with parameters of one's own, also far too cheap ones. It
// is the only way to have those (ruling 58), and nothing but a test calls it.
func NewForTests(c Config, p Params) (*Method, error) {
	if err := p.within(Params{MemoryKiB: 8, Time: 1, Threads: 1}); err != nil {
		return nil, err
	}
	return newMethod(c, p, Params{MemoryKiB: 8, Time: 1, Threads: 1})
}

func newMethod(c Config, p, floor Params) (*Method, error) {
	if c.Gate == nil {
		return nil, errors.New("password: no gate is configured")
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Common == nil {
		c.Common = common
	}
	m := &Method{c: c, params: p, floor: floor, meter: make(chan struct{}, meterSlots())}
	// A random tag is as good as a real one that nobody knows, and costs no hash
	// at start.
	m.dummy = stored{Params: p, salt: make([]byte, saltLen)}
	for _, b := range [][]byte{m.dummy.salt, m.dummy.tag[:]} {
		if _, err := io.ReadFull(c.Random, b); err != nil {
			return nil, fmt.Errorf("password: no randomness: %w", err)
		}
	}
	return m, nil
}

// Kind is password.
func (*Method) Kind() authn.Kind { return authn.Password }

// Traits: something the person knows.
func (*Method) Traits() authn.Traits { return authn.Traits{Knowledge: true} }

// Quick: it is not; a hash takes about 31 ms, and may wait for the gate.
func (*Method) Quick() bool { return false }

// Shape refuses an answer that was not given ("required"), is over MaxBytes
// ("too_long") or is broken UTF-8 ("invalid").
func (*Method) Shape(a authn.Answer) error { return shape("password", a.Password) }

func shape(field, password string) error {
	switch {
	case password == "":
		return authn.InvalidField(field, "required", nil)
	case len(password) > MaxBytes:
		return authn.InvalidField(field, "too_long", map[string]any{"Max": MaxBytes})
	case !utf8.ValidString(password):
		return authn.InvalidField(field, "invalid", nil)
	}
	return nil
}

// Verify hashes and compares. Request.Secret is the PHC string of [Method.Hash];
// if it is nil nobody is known, and the answer is Wrong after the same work.
// Request.Lane says who waits for the gate as known. Errors: Invalid as Shape, Busy from the
// gate, and others for a stored hash that cannot be read.
func (m *Method) Verify(ctx context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	if err := m.Shape(a); err != nil {
		return authn.Match{Outcome: authn.Void}, err
	}
	var s hashed = m.dummy
	if r.Secret != nil {
		var err error
		if s, err = parseAny(string(r.Secret), m.floor); err != nil {
			return authn.Match{Outcome: authn.Void}, err
		}
	}
	again := s.below(m.params)
	kib := s.weight()
	if again {
		kib = max(kib, m.params.MemoryKiB)
	}
	leave, err := m.c.Gate.Enter(ctx, r.Lane == authn.Known, r.Client.Address, int(kib))
	if err != nil {
		return authn.Match{Outcome: authn.Void}, fmt.Errorf("password: %w", err)
	}
	defer leave()

	if right := s.right(a.Password); !right || r.Secret == nil {
		return authn.Match{Outcome: authn.Wrong}, nil
	}
	match := authn.Match{Outcome: authn.Right}
	if again {
		match.Rehash = m.hash(a.Password)
	}
	return match, nil
}

// Hash makes the PHC string of a new password, through the gate. Whoever sets a
// password has proven something already, so they wait with the known ones. The
// password must have passed Check.
func (m *Method) Hash(ctx context.Context, password string) ([]byte, error) {
	if err := shape("password", password); err != nil {
		return nil, err
	}
	leave, err := m.c.Gate.Enter(ctx, true, netip.Addr{}, int(m.params.MemoryKiB))
	if err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	defer leave()
	return m.hash(password), nil
}

// hash runs inside the gate. Like authn.NewID it panics without randomness.
func (m *Method) hash(password string) []byte {
	s := stored{Params: m.params, salt: make([]byte, saltLen)}
	if _, err := io.ReadFull(m.c.Random, s.salt); err != nil {
		panic(fmt.Errorf("password: no randomness: %w", err))
	}
	s.tag = s.derive(password)
	return s.encode()
}

// derive is the slow part. Normalising and hashing take the whole password.
func (s stored) derive(password string) (tag [tagLen]byte) {
	copy(tag[:], argon2.IDKey(norm.NFC.Bytes([]byte(password)), s.salt, s.Time, s.MemoryKiB, s.Threads, tagLen))
	return tag
}
