// Package backup is the proof of a backup code: one of ten that the person saved
// when they set up their first way to verify (requirements E1 and E2).
//
// # Flow
//
// [Method.NewSet] makes ten codes of eight characters of Crockford's base32,
// shown as 7K3M-Q9TD, with at least one letter each, so that none passes for a
// code of the app. What is stored of each is a salted slow hash at small cost
// (decision 6; NIST SP 800-63B-4 section 3.1.2.2), which the store seals. The
// first two characters pick the candidate; they differ within a set. Verify runs
// exactly two hashes, whatever was typed (ruling 41).
//
// # Threats
//
//   - A stolen database: the hashes are sealed, and salted and slow behind that.
//   - Two who use one code (cve-26): the store's mark on the code is set once.
//   - Guessing: charged to the set, apart from the app's count, so that wrong app
//     codes never close the way out.
package backup

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
)

const (
	// Count is how many codes a set has.
	Count = 10
	// Low is how few are few enough to say so (requirement E2).
	Low = 3

	letters   = "ABCDEFGHJKMNPQRSTVWXYZ" // of otp.Crockford
	length    = 8
	prefixLen = 2
	saltLen   = 16
	hashLen   = 32

	// argon2id, small: two of these and a set of ten must not need a gate.
	memoryKiB = 1024
	passes    = 1
)

// Method is the way of backup codes.
type Method struct {
	random io.Reader
	hash   func(plain string, salt []byte) []byte // argon2id; tests count
}

// New makes the method; random nil: crypto/rand.
func New(random io.Reader) *Method {
	if random == nil {
		random = rand.Reader
	}
	return &Method{random, hash}
}

// NewSet makes a set: what to show, once, and what to store.
func (m *Method) NewSet() (codes []string, saved []authn.SavedCode, err error) {
	prefixes := map[string]bool{}
	for tries := 0; len(codes) < Count; tries++ {
		if tries == 100*Count { // by chance one in a hundred is drawn again
			return nil, nil, errors.New("backup: the randomness repeats itself")
		}
		plain, err := m.code()
		if err != nil {
			return nil, nil, err
		}
		prefix := plain[:prefixLen]
		if prefixes[prefix] || !strings.ContainsAny(plain, letters) {
			continue
		}
		prefixes[prefix] = true
		salt := make([]byte, saltLen)
		if _, err := io.ReadFull(m.random, salt); err != nil {
			return nil, nil, fmt.Errorf("backup: no randomness: %w", err)
		}
		codes = append(codes, plain[:4]+"-"+plain[4:])
		saved = append(saved, authn.SavedCode{N: len(codes), Prefix: prefix, Hash: append(salt, m.hash(plain, salt)...)})
	}
	return codes, saved, nil
}

func (m *Method) code() (string, error) {
	var raw [length]byte
	if _, err := io.ReadFull(m.random, raw[:]); err != nil {
		return "", fmt.Errorf("backup: no randomness: %w", err)
	}
	for i, r := range raw {
		raw[i] = otp.Crockford[r%32]
	}
	return string(raw[:]), nil
}

func hash(plain string, salt []byte) []byte {
	return argon2.IDKey([]byte(plain), salt, passes, memoryKiB, 1, hashLen)
}

var errShape = errors.New("backup: no backup code")

// normalize reads a code as people type it. Without a letter it is one of the app.
func normalize(s string) (string, error) {
	plain, ok := otp.NormalizeCrockford(s, length)
	if !ok || !strings.ContainsAny(plain, letters) {
		return "", errShape
	}
	return plain, nil
}

// Looks reports whether a text has the shape of a backup code, so that one typed
// into the app's field is understood (ruling 44).
func (*Method) Looks(s string) bool {
	_, err := normalize(s)
	return err == nil
}

// Kind is backup_code.
func (*Method) Kind() authn.Kind { return authn.BackupCode }

// Traits: something the person has (a look-up secret), for when the usual way is
// not at hand.
func (*Method) Traits() authn.Traits { return authn.Traits{Possession: true, Recovery: true} }

// Quick: two slow hashes are not.
func (*Method) Quick() bool { return false }

// Shape refuses what can be no backup code: "required" or "backup_code" of "code".
func (*Method) Shape(a authn.Answer) error {
	if strings.TrimSpace(a.Code) == "" {
		return authn.InvalidField("code", "required", nil)
	}
	if _, err := normalize(a.Code); err != nil {
		return authn.InvalidField("code", "backup_code", nil)
	}
	return nil
}

// Verify runs two hashes: of the candidate, if there is one, and of nothing. A
// right code that was used is Void: neither charged nor resetting (ruling 44).
func (m *Method) Verify(_ context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	plain, err := normalize(a.Code)
	if err != nil {
		return authn.Match{Outcome: authn.Void}, m.Shape(a)
	}
	match := authn.Match{Outcome: authn.Wrong}
	dummy := make([]byte, saltLen+hashLen)
	candidate := authn.SavedCode{Hash: dummy}
	for _, c := range r.Codes {
		if subtle.ConstantTimeCompare([]byte(c.Prefix), []byte(plain[:prefixLen])) == 1 && len(c.Hash) == len(dummy) {
			candidate = c
		}
	}
	for i, c := range []authn.SavedCode{candidate, {Hash: dummy}} {
		same := subtle.ConstantTimeCompare(m.hash(plain, c.Hash[:saltLen]), c.Hash[saltLen:]) == 1
		if i > 0 || !same || c.N == 0 {
			continue
		}
		match.Outcome, match.Code = authn.Right, c.N
		if !c.UsedAt.IsZero() {
			match.Outcome = authn.Void
		}
	}
	return match, nil
}
