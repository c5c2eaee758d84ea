// Package keyring keeps what a stolen database must not give away: it seals secrets at rest and keys the hashes of tokens and codes.
//
// # Flow
//
// A Keyring holds the installation's root keys; one is active. It comes from a file of mode 0600 or from the environment, never from
// the database. A root key encrypts no value itself. It wraps one random 256-bit DataKey per company (NewDataKey, OpenDataKey), and
// HKDF-SHA-256 makes from it the key of the installation (Installation). A DataKey seals values (Seal, Open), makes keyed hashes (MAC,
// CheckMAC), and seals a further random key per person (NewSubKey, OpenSubKey). Each purpose has its own HKDF sub-key.
//
// Rotation touches no value. AddNext makes a key that every node is given before anyone writes under it, Activate turns writing over to
// it, Rewrap moves the company keys, and Remove ends the old key once WrappedBy names it in no row and no retained backup. A Keyring
// never changes: each step returns a new one, and Replace writes it.
//
// # Threats
//
//   - The database alone opens nothing and cannot try six-digit codes; the keyring alone opens nothing either, since company keys are
//     random and not derived from it. Destroying a wrapped company key, or a person's sealed key, erases what it sealed.
//   - Who can write to the database cannot move a sealed value: table, column, company, row, user, kind, key id and format are
//     associated data, each prefixed by its length, so that "ab","c" is never "a","bc" (OWASP ASVS 5.0, 11.3).
//   - A wrong keyring must not write: compare CheckValue, which the database stores, by Verify before serving.
//   - Logs: neither type shows a key by any fmt verb, slog or JSON; no error repeats a line of a keyring or a sealed value.
//   - Nonces are random, 96 bits, made inside the FIPS boundary (cipher.NewGCMWithRandomNonce). NIST SP 800-38D, 8.3 allows 2^32 seals per
//     key; here that is per company, table and column, so that rows which strangers cause do not use up those of people.
//
// Go gives no promise of erasing memory; nor does this package.
package keyring

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// ErrOpen is the one answer for every value that cannot be opened: changed, moved to another place, or sealed under another key.
var ErrOpen = errors.New("keyring: cannot open the sealed value")

// ErrMissingKey is part of an error that names root keys which this keyring lacks, or has with another content.
var ErrMissingKey = errors.New("keyring: the keyring does not fit the database")

const (
	keySize   = 32 // AES-256
	idSize    = 10 // 80 bits: 16 base32 characters without a remainder, so that one id has one spelling
	checkSize = 16 // 128 bits of HMAC: public, says nothing of a 256-bit key
	maxKeys   = 64
)

// base32Lower has no look-alike characters and no case: a keyring may be typed from paper.
var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

type keyID [idSize]byte

// Prefixes say which kind of key an id belongs to.
const (
	prefixRoot         = "k_"
	prefixInstallation = "i_"
	prefixData         = "d_"
)

func (id keyID) text(prefix string) string { return prefix + base32Lower.EncodeToString(id[:]) }

func parseRootID(s string) (id keyID, ok bool) {
	s, ok = strings.CutPrefix(s, prefixRoot)
	if !ok || len(s) != base32Lower.EncodedLen(idSize) {
		return id, false
	}
	_, err := base32Lower.Decode(id[:], []byte(s))
	return id, err == nil && id.text("") == s
}

// The life of a root key. Only the active one writes; all of them read.
const (
	stateNext     = "next"     // given to every node, not yet written under
	stateActive   = "active"   // exactly one
	statePrevious = "previous" // wraps rows that are not yet re-wrapped
)

type rootKey struct {
	raw     keyID
	id      string
	created time.Time
	state   string
	secret  [keySize]byte
	wrap    *purpose
	check   string
}

// Keyring holds the root keys of an installation, one of them active. It never changes and may be used by many goroutines. Make one
// by Generate, Create, Load or Parse; the zero Keyring holds nothing and only prints.
type Keyring struct{ s *ring } // a pointer, so that printing a struct that holds a Keyring shows an address at most

type ring struct {
	keys         []*rootKey
	active       *rootKey
	installation *DataKey
}

// Generate makes a keyring of one new active key from r; nil means crypto/rand.
func Generate(r io.Reader) (*Keyring, error) {
	key, err := newRootKey(r, stateActive)
	if err != nil {
		return nil, err
	}
	return assemble([]*rootKey{key})
}

func newRootKey(r io.Reader, state string) (*rootKey, error) {
	id, secret, err := newSecret(r)
	if err != nil {
		return nil, err
	}
	return &rootKey{raw: id, created: time.Now().UTC().Truncate(time.Second), state: state, secret: secret}, nil
}

// newSecret reads an id and a key, and refuses the zeros of a broken source of randomness.
func newSecret(r io.Reader) (id keyID, secret [keySize]byte, err error) {
	if r == nil {
		r = rand.Reader
	}
	var buf [idSize + keySize]byte
	if _, err := io.ReadFull(r, buf[:]); err != nil {
		return id, secret, fmt.Errorf("keyring: read randomness: %w", err)
	}
	copy(id[:], buf[:idSize])
	copy(secret[:], buf[idSize:])
	if secret == [keySize]byte{} {
		return id, secret, errors.New("keyring: the source of randomness gave only zeros")
	}
	return id, secret, nil
}

// assemble derives what each key is used for and checks the keys against one another. It owns keys.
func assemble(keys []*rootKey) (*Keyring, error) {
	s := &ring{keys: keys}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("keyring: %d keys, at most %d are allowed; remove those that no row and no backup needs", len(keys), maxKeys)
	}
	secrets := make(map[[keySize]byte]bool)
	for i, k := range keys {
		k.id = k.raw.text(prefixRoot)
		if slices.ContainsFunc(keys[:i], func(o *rootKey) bool { return o.raw == k.raw }) {
			return nil, fmt.Errorf("keyring: the id %s stands twice; remove one of the two lines", k.id)
		}
		if secrets[k.secret] {
			return nil, fmt.Errorf("keyring: %s is a copy of another key under a new id; remove one of the two lines", k.id)
		}
		secrets[k.secret] = true
		if k.state == stateActive {
			if s.active != nil {
				return nil, fmt.Errorf("keyring: %s and %s are both active; exactly one key may be, so mark the older one %q", s.active.id, k.id, statePrevious)
			}
			s.active = k
		}
		k.wrap = newPurpose(derive(k.secret, "wrap"))
		k.check = k.checkValue()
	}
	if s.active == nil {
		return nil, fmt.Errorf("keyring: no key is active; exactly one must be, so mark the newest one %q", stateActive)
	}
	s.installation = installation(s)
	return &Keyring{s}, nil
}

// installation makes the key that belongs to no company: the active root key writes, and the others still read.
func installation(s *ring) *DataKey {
	of := func(k *rootKey) *dataKey {
		secret := derive(k.secret, "installation")
		return &dataKey{raw: k.raw, id: k.raw.text(prefixInstallation), secret: &secret}
	}
	first := of(s.active)
	for _, k := range s.keys {
		if k != s.active {
			first.others = append(first.others, of(k))
		}
	}
	return &DataKey{first}
}

// derive makes the sub-key for a purpose. Every part is prefixed by its length, so that no two purposes share an info string.
func derive(secret [keySize]byte, parts ...string) (sub [keySize]byte) {
	info := []byte("sallyport/keyring/v1")
	for _, p := range parts {
		info = binary.BigEndian.AppendUint64(info, uint64(len(p)))
		info = append(info, p...)
	}
	out, err := hkdf.Key(sha256.New, secret[:], nil, string(info), keySize)
	if err != nil {
		panic("keyring: HKDF-SHA-256 refused a 256-bit key: " + err.Error()) // cannot happen: the sizes are constants
	}
	copy(sub[:], out)
	return sub
}

// ActiveID returns the id of the key that writes, as "k_" and 16 characters.
func (k *Keyring) ActiveID() string { return k.s.active.id }

// IDs returns the ids of all keys in the order of the file.
func (k *Keyring) IDs() []string {
	ids := make([]string, len(k.s.keys))
	for i, key := range k.s.keys {
		ids[i] = key.id
	}
	return ids
}

// Installation returns the key for seals and hashes that belong to no company. It is derived from the active root key; values made under
// the other keys of the ring are still read and checked. Since a MAC changes with the active key, store none of its MACs as a look-up key.
func (k *Keyring) Installation() *DataKey { return k.s.installation }

// NewDataKey makes a random key for a company from r (nil means crypto/rand), and its form to store, wrapped under the active root key.
func (k *Keyring) NewDataKey(company string, r io.Reader) (wrapped []byte, dk *DataKey, err error) {
	id, secret, err := newSecret(r)
	if err != nil {
		return nil, nil, err
	}
	dk = newDataKey(id, secret)
	return k.wrap(company, dk.s), dk, nil
}

func (k *Keyring) wrap(company string, d *dataKey) []byte {
	var plain [idSize + keySize]byte
	defer clear(plain[:])
	copy(plain[copy(plain[:], d.raw[:]):], d.secret[:])
	return k.s.active.wrap.seal(formatWrapped, k.s.active.raw, AD{Company: company}, plain[:])
}

// OpenDataKey opens what NewDataKey returned for the same company. The error is ErrOpen, and ErrMissingKey too if the root key is not here.
func (k *Keyring) OpenDataKey(company string, wrapped []byte) (*DataKey, error) {
	id, ok := header(formatWrapped, wrapped)
	if !ok {
		return nil, ErrOpen
	}
	for _, key := range k.s.keys {
		if key.raw == id {
			plain, err := key.wrap.open(formatWrapped, id, AD{Company: company}, wrapped)
			if err != nil {
				return nil, err
			}
			return parseDataKey(plain)
		}
	}
	return nil, fmt.Errorf("%w: %w: the company key is wrapped under %s; %s", ErrOpen, ErrMissingKey, id.text(prefixRoot), restoreHint)
}

// WrappedBy returns the id of the root key that a company key is wrapped under, whether or not this keyring holds it, without opening it.
func (k *Keyring) WrappedBy(wrapped []byte) (id string, err error) {
	raw, ok := header(formatWrapped, wrapped)
	if !ok {
		return "", ErrOpen
	}
	return raw.text(prefixRoot), nil
}

// Rewrap wraps the same company key under the active root key; what it sealed stays readable. A key already there comes back as it is,
// so that running it twice changes nothing. Store the result by compare-and-set on the old value.
func (k *Keyring) Rewrap(company string, wrapped []byte) ([]byte, error) {
	dk, err := k.OpenDataKey(company, wrapped)
	if err != nil {
		return nil, err
	}
	if id, _ := header(formatWrapped, wrapped); id == k.s.active.raw {
		return slices.Clone(wrapped), nil
	}
	return k.wrap(company, dk.s), nil
}

const (
	checkVersion = "v1"
	maxCheck     = 8192
	restoreHint  = "put back the keyring that this database was used with (do not make a new one: nothing sealed could be read)"
)

func (k *rootKey) checkValue() string {
	secret := derive(k.secret, "check")
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(k.raw[:])
	return base32Lower.EncodeToString(mac.Sum(nil)[:checkSize])
}

// CheckValue returns a public line, by which Verify tells later that a keyring fits the database. It has an id and a truncated HMAC of
// each key that may have written, so not of one that is still "next". Store it when a database is made and after Activate and Remove,
// not at every start: a node that has not heard of a new key must not take it off the list.
func (k *Keyring) CheckValue() string {
	var parts []string
	for _, key := range k.s.keys {
		if key.state != stateNext {
			parts = append(parts, key.id+"="+key.check)
		}
	}
	slices.Sort(parts)
	return checkVersion + " " + strings.Join(parts, " ")
}

// Verify returns nil if this keyring can open what was written under a stored CheckValue. Otherwise the error says which key is missing
// (ErrMissingKey) and what to do. Keys that the value does not name do no harm. An empty or damaged value is refused.
func (k *Keyring) Verify(check string) error {
	damaged := errors.New("keyring: the key check value in the database is damaged; restore that row from a backup, and look for what else was changed")
	fields := strings.Split(check, " ")
	if len(check) > maxCheck || len(fields) < 2 || fields[0] != checkVersion {
		return damaged
	}
	var missing, differs []string
	seen := make(map[keyID]bool)
	for _, f := range fields[1:] {
		idText, want, _ := strings.Cut(f, "=")
		id, ok := parseRootID(idText)
		if !ok || seen[id] || len(want) != base32Lower.EncodedLen(checkSize) {
			return damaged
		}
		seen[id] = true
		i := slices.IndexFunc(k.s.keys, func(o *rootKey) bool { return o.raw == id })
		switch {
		case i < 0:
			missing = append(missing, idText)
		case !hmac.Equal([]byte(k.s.keys[i].check), []byte(want)):
			differs = append(differs, idText)
		}
	}
	switch {
	case len(missing) > 0:
		return fmt.Errorf("%w: the database needs %s, and this keyring has %s; %s", ErrMissingKey,
			strings.Join(missing, ", "), strings.Join(k.IDs(), ", "), restoreHint)
	case len(differs) > 0:
		return fmt.Errorf("%w: %s has another content here than when the database was written; %s", ErrMissingKey, strings.Join(differs, ", "), restoreHint)
	}
	return nil
}
