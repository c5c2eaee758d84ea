package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params is the cost of an argon2id hash.
type Params struct {
	MemoryKiB uint32
	Time      uint32
	Threads   uint8
}

const (
	saltLen = 16 // NIST demands 32 bits, RFC 9106 3.1 recommends 128
	tagLen  = 32
	maxSalt = 64
	maxPHC  = 256 // bytes; the longest that parse accepts has 176
)

var (
	// current is the choice of OWASP ASVS 5.0 appendix C that uses least memory at
	// two passes.
	current = Params{MemoryKiB: 19_456, Time: 2, Threads: 1}
	// floor is the least that an import may bring; it is replaced at first use.
	floor = Params{MemoryKiB: 4096, Time: 1, Threads: 1}
	// ceiling bounds what one sign-in may cost: 64 MiB and about a second.
	ceiling = Params{MemoryKiB: 65_536, Time: 10, Threads: 4}

	errPHC  = errors.New("password: the stored hash is of no form that is taken")
	errCost = errors.New("password: the cost of the stored hash is out of bounds")
)

// within says whether the cost is one that we run. RFC 9106 3.1 demands eight
// blocks of memory for each thread.
func (p Params) within(floor Params) error {
	switch {
	case p.MemoryKiB > ceiling.MemoryKiB || p.Time > ceiling.Time || p.Threads > ceiling.Threads:
		return fmt.Errorf("password: hash parameters %v are above the ceiling", p)
	case p.MemoryKiB < floor.MemoryKiB || p.Time < floor.Time || p.Threads < floor.Threads,
		p.MemoryKiB < 8*uint32(p.Threads):
		return fmt.Errorf("password: hash parameters %v are below the floor", p)
	}
	return nil
}

// below reports whether a hash should be made anew: less memory, fewer passes,
// or a shorter salt than a new one has.
func (s stored) below(p Params) bool {
	return s.MemoryKiB < p.MemoryKiB || s.Time < p.Time || len(s.salt) < saltLen
}

// String is the cost as in a PHC string.
func (p Params) String() string {
	return fmt.Sprintf("m=%d,t=%d,p=%d", p.MemoryKiB, p.Time, p.Threads)
}

// stored is a hash as it is kept.
type stored struct {
	Params
	salt []byte
	tag  [tagLen]byte
}

// Format hides salt and tag from every verb of fmt.
func (s stored) Format(f fmt.State, _ rune) { fmt.Fprint(f, "hash(", s.Params.String(), ")") }

// phcBase64 has no padding and refuses left-over bits: one hash, one spelling.
var phcBase64 = base64.RawStdEncoding.Strict()

func (s stored) encode() []byte {
	return fmt.Appendf(nil, "$argon2id$v=%d$%s$%s$%s", argon2.Version, s.Params,
		phcBase64.EncodeToString(s.salt), phcBase64.EncodeToString(s.tag[:]))
}

// parse reads $argon2id$v=19$m=…,t=…,p=…$salt$tag: exactly these fields in
// exactly this order, numbers without sign or leading zero, a salt of 8 to 64
// bytes and a tag of 32. No error repeats any of it but the parameters.
func parse(phc string, floor Params) (stored, error) {
	if len(phc) > maxPHC {
		return stored{}, errPHC
	}
	rest, ok := strings.CutPrefix(phc, "$argon2id$v=19$m=")
	if !ok {
		return stored{}, errPHC
	}
	memory, rest, ok1 := strings.Cut(rest, ",t=")
	time, rest, ok2 := strings.Cut(rest, ",p=")
	threads, rest, ok3 := strings.Cut(rest, "$")
	salt, tag, ok4 := strings.Cut(rest, "$")
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return stored{}, errPHC
	}
	m, ok1 := number(memory)
	t, ok2 := number(time)
	p, ok3 := number(threads)
	if !ok1 || !ok2 || !ok3 {
		return stored{}, errPHC
	}
	s := stored{Params: Params{MemoryKiB: m, Time: t, Threads: uint8(min(p, 255))}}
	if err := s.within(floor); err != nil {
		return stored{}, err
	}
	// The decoder skips line breaks: they are refused first.
	if strings.ContainsAny(rest, "\r\n") {
		return stored{}, errPHC
	}
	var err error
	if s.salt, err = phcBase64.DecodeString(salt); err != nil || len(s.salt) < 8 || len(s.salt) > maxSalt {
		return stored{}, errPHC
	}
	b, err := phcBase64.DecodeString(tag)
	if err != nil || len(b) != tagLen {
		return stored{}, errPHC
	}
	copy(s.tag[:], b)
	return s, nil
}

// number reads 1 to 9,999,999, in the one way of writing it.
func number(s string) (uint32, bool) {
	if len(s) == 0 || len(s) > 7 || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

// CheckHash says whether Verify could check a password against a hash that another
// system made: argon2id, bcrypt, scrypt or PBKDF2-SHA-256, within bounds of cost.
func (m *Method) CheckHash(hash string) error {
	_, err := parseAny(hash, m.floor)
	return err
}
