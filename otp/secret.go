package otp

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Sizes of secrets, in bytes.
const (
	SecretSize       = 20  // what NewSecret makes: 160 bits, as RFC 4226 4 (R6) recommends
	StrongSecretSize = 16  // RFC 4226 4 (R6) demands 128 bits, NIST 3.1.4.1 112
	MinSecretSize    = 10  // 80 bits, which many services still hand out; shorter is refused
	MaxSecretSize    = 128 // the block of SHA-512; more adds nothing to an HMAC key

	// maxSecretText bounds the text DecodeSecret looks at: MaxSecretSize bytes are
	// 205 letters, and a three-byte space between any two of them makes 820 bytes.
	maxSecretText = 1024
)

// Errors of reading or using a secret. None repeats any part of the secret.
var (
	ErrSecretEmpty   = errors.New("otp: the secret is empty")
	ErrSecretShort   = errors.New("otp: the secret is shorter than 80 bits")
	ErrSecretLong    = errors.New("otp: the secret is longer than 1024 bits")
	ErrSecretLetters = errors.New("otp: the secret has a character that is not a base32 letter (A-Z, 2-7)")
	ErrSecretCut     = errors.New("otp: the secret has an impossible number of base32 letters; one may be missing")
)

var base32Secret = base32.StdEncoding.WithPadding(base32.NoPadding)

// Secret is the key that the server and an app share, as raw bytes. It prints as
// "[secret]" whatever the verb, and refuses to be marshalled, so that a struct
// that holds one can be logged. Base32 and Grouped are the ways to show it.
type Secret []byte

// NewSecret makes a secret of 160 random bits. r is the source of randomness; nil
// means crypto/rand, and anything else but a test's reader is a mistake. The error
// is r's. The size does not follow the algorithm: 160 bits cannot be searched with
// any of them, and a longer secret is harder to type.
func NewSecret(r io.Reader) (Secret, error) {
	if r == nil {
		r = rand.Reader
	}
	s := make(Secret, SecretSize)
	if _, err := io.ReadFull(r, s); err != nil {
		return nil, fmt.Errorf("otp: new secret: %w", err)
	}
	return s, nil
}

// Base32 returns the secret as apps expect it: RFC 4648 6, upper case, no padding.
func (s Secret) Base32() string { return base32Secret.EncodeToString(s) }

// Grouped returns Base32 in groups of four with spaces between, for reading aloud
// and typing: "JBSW Y3DP EHPK 3PXP". DecodeSecret reads it back.
func (s Secret) Grouped() string {
	text := s.Base32()
	var b strings.Builder
	b.Grow(len(text) + len(text)/4)
	for i, c := range []byte(text) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Weak reports whether the secret has fewer than the 128 bits RFC 4226 demands.
// Such a secret works, but policy refuses or flags its import.
func (s Secret) Weak() bool { return len(s) < StrongSecretSize }

// Format writes "[secret]" for every verb, %x and %d included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue makes log/slog write "[secret]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText always fails: a secret that slipped into a JSON answer must not leave
// the server, and writing "[secret]" instead would destroy one that is to be kept.
func (Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("otp: a secret is not marshalled; use Base32")
}

const redacted = "[secret]"

// validate returns ErrSecretEmpty, ErrSecretShort, ErrSecretLong or nil.
func (s Secret) validate() error {
	switch {
	case len(s) == 0:
		return ErrSecretEmpty
	case len(s) < MinSecretSize:
		return ErrSecretShort
	case len(s) > MaxSecretSize:
		return ErrSecretLong
	}
	return nil
}

// DecodeSecret reads a secret in base32, as an app shows it or a person types it:
// spaces, dashes, lower case and correct padding are forgiven, all else is refused
// with one of the ErrSecret errors. The digits 0, 1, 8 and 9 are not guessed to be
// letters: a secret that is silently another one fails at the worst moment.
// Left-over bits in the last letter are dropped, as every app does.
func DecodeSecret(text string) (Secret, error) {
	if len(text) > maxSecretText {
		return nil, ErrSecretLong
	}
	letters := make([]byte, 0, len(text))
	padding := 0
	for _, r := range text {
		switch {
		case isSpace(r) || isDash(r):
		case r == '=':
			padding++
		case padding > 0: // a letter after the padding
			return nil, ErrSecretLetters
		case 'a' <= r && r <= 'z':
			letters = append(letters, byte(r-'a'+'A'))
		case 'A' <= r && r <= 'Z', '2' <= r && r <= '7':
			letters = append(letters, byte(r))
		default: // also utf8.RuneError, from invalid UTF-8
			return nil, ErrSecretLetters
		}
	}
	if padding > 0 && (padding >= 8 || (len(letters)+padding)%8 != 0) {
		return nil, ErrSecretCut
	}
	s := make(Secret, base32Secret.DecodedLen(len(letters)))
	n, err := base32Secret.Decode(s, letters)
	if err != nil || base32Secret.EncodedLen(n) != len(letters) {
		return nil, ErrSecretCut
	}
	s = s[:n]
	if err := s.validate(); err != nil {
		return nil, err
	}
	return s, nil
}
