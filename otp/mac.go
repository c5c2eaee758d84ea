package otp

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
)

// pads holds the two padded keys of HMAC (RFC 2104 2), each followed by room for
// what is hashed after it. One pads serves all steps of a check: it lives on the
// stack, so a check allocates nothing, and the key is laid out once. crypto/hmac
// would allocate two hashes for each step; hashing is the standard library's all
// the same.
type pads struct {
	algorithm Algorithm
	inner     [sha512.BlockSize + 8]byte // key xor ipad, then the counter
	outer     [sha512.BlockSize + sha512.Size]byte
}

// set lays out the key for an algorithm. A key longer than the block is hashed
// first (RFC 2104 2).
func (p *pads) set(a Algorithm, key []byte) {
	p.algorithm = a
	block := sha1.BlockSize // SHA-256's is the same
	if a == SHA512 {
		block = sha512.BlockSize
	}
	var short1 [sha1.Size]byte
	var short256 [sha256.Size]byte
	switch {
	case len(key) <= block: // always so with SHA-512: its block is MaxSecretSize
	case a == SHA1:
		short1 = sha1.Sum(key)
		key = short1[:]
	default:
		short256 = sha256.Sum256(key)
		key = short256[:]
	}
	inner, outer := p.inner[:block], p.outer[:block]
	for i := range inner {
		inner[i] = 0x36
	}
	for i := range outer {
		outer[i] = 0x5c
	}
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
}

// value returns the 31-bit number of RFC 4226 5.3 for a counter or step.
func (p *pads) value(counter uint64) uint32 {
	switch p.algorithm {
	case SHA1:
		const n = sha1.BlockSize
		binary.BigEndian.PutUint64(p.inner[n:], counter)
		h := sha1.Sum(p.inner[:n+8])
		copy(p.outer[n:], h[:])
		h = sha1.Sum(p.outer[:n+sha1.Size])
		return truncate(h[:])
	case SHA256:
		const n = sha256.BlockSize
		binary.BigEndian.PutUint64(p.inner[n:], counter)
		h := sha256.Sum256(p.inner[:n+8])
		copy(p.outer[n:], h[:])
		h = sha256.Sum256(p.outer[:n+sha256.Size])
		return truncate(h[:])
	default:
		const n = sha512.BlockSize
		binary.BigEndian.PutUint64(p.inner[n:], counter)
		h := sha512.Sum512(p.inner[:n+8])
		copy(p.outer[n:], h[:])
		h = sha512.Sum512(p.outer[:n+sha512.Size])
		return truncate(h[:])
	}
}

// truncate is the dynamic truncation of RFC 4226 5.3: the low four bits of the
// last byte choose four bytes, whose top bit is dropped so that signed and
// unsigned machines agree. With SHA-256 and SHA-512 the last byte is theirs (RFC
// 6238, appendix A), not byte 19.
func truncate(mac []byte) uint32 {
	offset := mac[len(mac)-1] & 0x0f
	return binary.BigEndian.Uint32(mac[offset:offset+4]) & 0x7fffffff
}

// decimal reduces a truncated value to a code. The divisors are constants so that
// the compiler multiplies instead of dividing: a division's time depends on what
// is divided.
func decimal(v uint32, digits int) int32 {
	switch digits {
	case 7:
		return int32(v % 10_000_000)
	case 8:
		return int32(v % 100_000_000)
	default:
		return int32(v % 1_000_000)
	}
}
