package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// The first byte of everything sealed is its format, and with it its version; the key id follows. One kind can never pass for another.
const (
	formatValue   = 1 // Seal
	formatSubKey  = 2 // NewSubKey
	formatWrapped = 3 // NewDataKey

	headerSize  = 1 + idSize
	gcmOverhead = 12 + 16 // nonce and tag

	// Overhead is the number of bytes by which Seal makes a value longer.
	Overhead = headerSize + gcmOverhead

	maxSubKeys = 64   // sub-keys remembered of each kind; beyond that they are derived each time (about 2 µs)
	maxScratch = 4096 // bytes; larger buffers are not kept
)

// DataKey seals and hashes the values of one company, of one person, or of the installation. It never changes and may be used by many
// goroutines. The zero DataKey holds nothing and only prints.
type DataKey struct{ s *dataKey } // a pointer, for the same reason as in Keyring

type dataKey struct {
	raw    keyID
	id     string
	secret *[keySize]byte // fmt with a wrong verb follows one pointer in an unexported field of a host; it must find another
	others []*dataKey     // of the installation: the keys that only read
	seals  cache[place, *purpose]
	macs   cache[string, *macKey]
}

type place struct {
	format        byte
	table, column string
}

func newDataKey(id keyID, secret [keySize]byte) *DataKey {
	return &DataKey{&dataKey{raw: id, id: id.text(prefixData), secret: &secret}}
}

func parseDataKey(plain []byte) (*DataKey, error) {
	if len(plain) != idSize+keySize {
		return nil, ErrOpen
	}
	defer clear(plain)
	return newDataKey(keyID(plain[:idSize]), [keySize]byte(plain[idSize:])), nil
}

// AD is the place that a sealed value belongs to: it opens there only. Fields that a value has no use for stay empty. Row is an id that
// never changes. Table and Column also choose the sub-key, so they are words of the program, never input.
type AD struct{ Table, Column, Company, Row, User, Kind string }

// append encodes the associated data: format, key id, then each field behind its length.
func (ad *AD) append(buf []byte, format byte, id keyID) []byte {
	buf = append(append(buf, format), id[:]...)
	for _, f := range [...]string{ad.Table, ad.Column, ad.Company, ad.Row, ad.User, ad.Kind} {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(f)))
		buf = append(buf, f...)
	}
	return buf
}

// ID returns the public id of the key.
func (d *DataKey) ID() string { return d.s.id }

// Seal encrypts a value for one place: format byte, key id, nonce, ciphertext, tag; Overhead bytes more than the plaintext.
func (d *DataKey) Seal(ad AD, plaintext []byte) []byte {
	return d.s.purpose(formatValue, &ad).seal(formatValue, d.s.raw, ad, plaintext)
}

// Open decrypts what Seal made for the same place. Every failure is ErrOpen and says nothing of the value.
func (d *DataKey) Open(ad AD, sealed []byte) ([]byte, error) { return d.open(formatValue, ad, sealed) }

func (d *DataKey) open(format byte, ad AD, sealed []byte) ([]byte, error) {
	id, ok := header(format, sealed)
	if !ok {
		return nil, ErrOpen
	}
	if id == d.s.raw {
		return d.s.purpose(format, &ad).open(format, id, ad, sealed)
	}
	for _, o := range d.s.others {
		if id == o.raw {
			return o.purpose(format, &ad).open(format, id, ad, sealed)
		}
	}
	return nil, ErrOpen
}

// NewSubKey makes a random key from r (nil means crypto/rand) for one person or thing, and its form to store, sealed for one place. It is
// not derived, so that destroying the stored form erases all that the sub-key sealed (rul-40).
func (d *DataKey) NewSubKey(ad AD, r io.Reader) (sealed []byte, sub *DataKey, err error) {
	id, secret, err := newSecret(r)
	if err != nil {
		return nil, nil, err
	}
	var plain [idSize + keySize]byte
	defer clear(plain[:])
	copy(plain[copy(plain[:], id[:]):], secret[:])
	return d.s.purpose(formatSubKey, &ad).seal(formatSubKey, d.s.raw, ad, plain[:]), newDataKey(id, secret), nil
}

// OpenSubKey opens what NewSubKey made for the same place; every failure is ErrOpen.
func (d *DataKey) OpenSubKey(ad AD, sealed []byte) (*DataKey, error) {
	plain, err := d.open(formatSubKey, ad, sealed)
	if err != nil {
		return nil, err
	}
	return parseDataKey(plain)
}

// MAC returns HMAC-SHA-256 over the parts, each behind its length, under a sub-key for the label. The label is a word of the program that
// names the purpose; company, user and kind are parts.
func (d *DataKey) MAC(label string, parts ...[]byte) [32]byte { return d.s.mac(label, parts) }

// CheckMAC reports, in constant time, whether sum is the MAC of the parts; for Installation also under the keys that only read.
func (d *DataKey) CheckMAC(sum []byte, label string, parts ...[]byte) bool {
	want := d.s.mac(label, parts)
	ok := hmac.Equal(sum, want[:])
	for _, o := range d.s.others {
		want = o.mac(label, parts)
		ok = hmac.Equal(sum, want[:]) || ok
	}
	return ok
}

func (s *dataKey) purpose(format byte, ad *AD) *purpose {
	at := place{format, ad.Table, ad.Column}
	if p, ok := s.seals.get(at); ok {
		return p
	}
	p := newPurpose(derive(*s.secret, "seal", string([]byte{format}), ad.Table, ad.Column))
	return s.seals.put(place{format, strings.Clone(ad.Table), strings.Clone(ad.Column)}, p)
}

func (s *dataKey) mac(label string, parts [][]byte) [32]byte {
	m, ok := s.macs.get(label)
	if !ok {
		m = s.macs.put(strings.Clone(label), &macKey{secret: derive(*s.secret, "mac", label)})
	}
	return m.sum(parts)
}

// purpose encrypts under one key. AES-GCM in Go is constant-time where the CPU has AES; all current servers do.
type purpose struct{ aead cipher.AEAD }

func newPurpose(secret [keySize]byte) *purpose {
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic("keyring: AES refused a 256-bit key: " + err.Error()) // cannot happen: the size is a constant
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("keyring: GCM refused AES: " + err.Error()) // cannot happen: the block is crypto/aes
	}
	return &purpose{aead}
}

// scratch holds encoded associated data, which is no secret.
var scratch = sync.Pool{New: func() any { return new(make([]byte, 0, 256)) }}

func (p *purpose) seal(format byte, id keyID, ad AD, plaintext []byte) []byte {
	out := make([]byte, 0, Overhead+len(plaintext))
	out = append(append(out, format), id[:]...)
	buf := scratch.Get().(*[]byte)
	*buf = ad.append((*buf)[:0], format, id)
	out = p.aead.Seal(out, nil, plaintext, *buf)
	release(buf)
	return out
}

func (p *purpose) open(format byte, id keyID, ad AD, sealed []byte) ([]byte, error) {
	buf := scratch.Get().(*[]byte)
	*buf = ad.append((*buf)[:0], format, id)
	plaintext, err := p.aead.Open(nil, nil, sealed[headerSize:], *buf)
	release(buf)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

func release(buf *[]byte) {
	if cap(*buf) <= maxScratch {
		scratch.Put(buf)
	}
}

// header reads the key id of a sealed value that is long enough and of the wanted format.
func header(format byte, sealed []byte) (id keyID, ok bool) {
	if len(sealed) < Overhead || sealed[0] != format {
		return id, false
	}
	return keyID(sealed[1:headerSize]), true
}

// macKey keeps keyed HMAC states, which cost two blocks of SHA-256 less than new ones and no allocation.
type macKey struct {
	secret [keySize]byte
	states sync.Pool
}

type macState struct {
	h   hash.Hash
	buf []byte
	out [sha256.Size]byte
}

func (m *macKey) sum(parts [][]byte) [32]byte {
	st, ok := m.states.Get().(*macState)
	if !ok {
		st = &macState{h: hmac.New(sha256.New, m.secret[:])}
	}
	buf := st.buf[:0] // the parts are copied, so that callers' arrays can stay on their stacks
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	st.h.Reset()
	st.h.Write(buf)
	st.h.Sum(st.out[:0])
	st.h.Reset()
	sum := st.out
	clear(buf) // may be codes and tokens
	clear(st.out[:])
	if st.buf = buf; cap(buf) > maxScratch {
		st.buf = nil
	}
	m.states.Put(st)
	return sum
}

// cache is a bounded map that is read without a lock. When full it keeps what it has: entries are never evicted, only not added.
type cache[K comparable, V any] struct {
	mu sync.Mutex
	m  atomic.Pointer[map[K]V]
}

func (c *cache[K, V]) get(k K) (v V, ok bool) {
	if m := c.m.Load(); m != nil {
		v, ok = (*m)[k]
	}
	return v, ok
}

// put adds v unless another goroutine was first or the cache is full, and returns what to use.
func (c *cache[K, V]) put(k K, v V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first, ok := c.get(k); ok {
		return first
	}
	next := map[K]V{}
	if m := c.m.Load(); m != nil {
		if len(*m) >= maxSubKeys {
			return v
		}
		next = maps.Clone(*m)
	}
	next[k] = v
	c.m.Store(&next)
	return v
}
