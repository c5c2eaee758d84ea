package password

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
	"golang.org/x/text/unicode/norm"
)

// Hashes of other systems come in by an import and live until the first right
// sign-in, which replaces them (ruling 24). They are an allow-list, each within
// bounds of what one sign-in may cost: 64 MiB and about a second.
//
//	$2a$ $2b$ $2y$  bcrypt, cost 8 to 14. A password of more than 72 bytes is never
//	                right: bcrypt would look at 72 of them only (std-6).
//	$scrypt$ln=…,r=…,p=…$salt$tag  ln 12 to 16, r 8, p 1 to 4
//	$pbkdf2-sha256$n$salt$tag      as passlib writes it, n 10,000 to 2,000,000
//	pbkdf2_sha256$n$salt$tag       as Django writes it, the same
const (
	minBcrypt, maxBcrypt = 8, 14
	bcryptLen            = 60
	bcryptReads          = 72 // bytes of a password
	minScrypt, maxScrypt = 12, 16
	scryptR              = 8
	maxScryptP           = 4
	minPBKDF2, maxPBKDF2 = 10_000, 2_000_000
)

// hashed is a stored hash that a password can be compared with.
type hashed interface {
	weight() uint32 // KiB that comparing takes
	right(password string) bool
	below(Params) bool // to be made anew
}

func (s stored) weight() uint32 { return s.MemoryKiB }

func (s stored) right(password string) bool {
	tag := s.derive(password)
	// Both operands exist always and are 32 bytes long.
	return subtle.ConstantTimeCompare(tag[:], s.tag[:]) == 1
}

// foreign is one of another system. It is always made anew.
type foreign struct {
	kib    uint32
	salt   []byte
	tag    []byte // 32 bytes; of bcrypt the whole text
	derive func(password, salt []byte) ([]byte, error)
}

func (f foreign) weight() uint32    { return f.kib }
func (f foreign) below(Params) bool { return true }

func (f foreign) right(password string) bool {
	p := norm.NFC.Bytes([]byte(password))
	if f.derive == nil {
		// The hash runs also if the password is too long to be right.
		err := bcrypt.CompareHashAndPassword(f.tag, p[:min(len(p), bcryptReads)])
		return err == nil && len(p) <= bcryptReads
	}
	tag, err := f.derive(p, f.salt)
	return err == nil && subtle.ConstantTimeCompare(tag, f.tag) == 1
}

// parseAny reads a stored hash of any form that is taken. No error repeats any of
// it but the cost.
func parseAny(text string, floor Params) (hashed, error) {
	switch {
	case len(text) > maxPHC:
		return nil, errPHC
	case strings.HasPrefix(text, "$2"):
		return parseBcrypt(text)
	case strings.HasPrefix(text, "$scrypt$"):
		return parseScrypt(text)
	case strings.HasPrefix(text, "$pbkdf2-sha256$"), strings.HasPrefix(text, "pbkdf2_sha256$"):
		return parsePBKDF2(text)
	}
	s, err := parse(text, floor)
	return s, err
}

func parseBcrypt(text string) (hashed, error) {
	if len(text) != bcryptLen || !strings.ContainsRune("aby", rune(text[2])) || text[3] != '$' || text[6] != '$' ||
		strings.Trim(text[7:], "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, errPHC
	}
	cost, ok := number(strings.TrimPrefix(text[4:6], "0"))
	if !ok || cost < minBcrypt || cost > maxBcrypt {
		return nil, errCost
	}
	return foreign{kib: 4, tag: []byte(text)}, nil
}

func parseScrypt(text string) (hashed, error) {
	rest, _ := strings.CutPrefix(text, "$scrypt$ln=")
	ln, rest, ok1 := strings.Cut(rest, ",r=")
	r, rest, ok2 := strings.Cut(rest, ",p=")
	p, rest, ok3 := strings.Cut(rest, "$")
	n, ok4 := number(ln)
	size, ok5 := number(r)
	lanes, ok6 := number(p)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return nil, errPHC
	}
	if n < minScrypt || n > maxScrypt || size != scryptR || lanes > maxScryptP {
		return nil, errCost
	}
	f := foreign{kib: 1 << n, derive: func(password, salt []byte) ([]byte, error) {
		return scrypt.Key(password, salt, 1<<n, scryptR, int(lanes), tagLen)
	}}
	return f.read(rest, phcBase64)
}

func parsePBKDF2(text string) (hashed, error) {
	rest, django := strings.CutPrefix(text, "pbkdf2_sha256$")
	rest = strings.TrimPrefix(rest, "$pbkdf2-sha256$")
	rounds, rest, ok1 := strings.Cut(rest, "$")
	n, ok2 := number(rounds)
	if !ok1 || !ok2 {
		return nil, errPHC
	}
	if n < minPBKDF2 || n > maxPBKDF2 {
		return nil, errCost
	}
	f := foreign{kib: 1, derive: func(password, salt []byte) ([]byte, error) {
		return pbkdf2.Key(sha256.New, string(password), salt, int(n), tagLen)
	}}
	if !django {
		return f.read(strings.ReplaceAll(rest, ".", "+"), phcBase64)
	}
	// Django's salt is the text itself.
	salt, tag, ok := strings.Cut(rest, "$")
	return f.of([]byte(salt), tag, base64.StdEncoding.Strict(), ok)
}

// read takes salt and tag in base64.
func (f foreign) read(rest string, form *base64.Encoding) (hashed, error) {
	text, tag, ok := strings.Cut(rest, "$")
	salt, err := form.DecodeString(text)
	return f.of(salt, tag, form, ok && err == nil)
}

func (f foreign) of(salt []byte, tag string, form *base64.Encoding, ok bool) (hashed, error) {
	b, err := form.DecodeString(tag)
	// The decoder skips line breaks.
	if !ok || err != nil || len(b) != tagLen || len(salt) < 8 || len(salt) > maxSalt || strings.ContainsAny(tag, "\r\n") {
		return nil, errPHC
	}
	f.salt, f.tag = salt, b
	return f, nil
}
