package authn

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

// Prefixes of the typed ids.
const (
	CompanyID  = "cmp"
	UserID     = "usr"
	FactorID   = "fac"
	AttemptID  = "att"
	SessionID  = "ses"
	EventID    = "evt"
	KeyID      = "key"
	MessageID  = "msg"
	LinkID     = "lnk"
	ApprovalID = "apr"
	GrantID    = "grt"
	TrustID    = "tru"
	ResetID    = "rst"
	HandleID   = "hdl"
)

// The alphabet of RFC 4648 section 7 keeps the order of the bytes, so ids of
// one kind sort by the time they were made.
var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

const rawIDLen = 16

// counters number the ids of one millisecond in this process, so that what was
// made later sorts later: the events of one decision stand in their order.
var counters [256]atomic.Uint64

const counterBits = 18

// count is the place of an id among those of its millisecond.
func count(ms uint64) uint64 {
	c := &counters[ms%uint64(len(counters))]
	for {
		old := c.Load()
		next := ms << counterBits
		if old>>counterBits == ms {
			if next = old + 1; next>>counterBits != ms {
				return old & (1<<counterBits - 1) // a quarter of a million in a millisecond: those at the end have no order
			}
		}
		if c.CompareAndSwap(old, next) {
			return next & (1<<counterBits - 1)
		}
	}
}

// NewID makes an id such as usr_06f0…: the prefix and a UUIDv7 (RFC 9562
// section 5.7) of now, a counter of 18 bits (section 6.2, method 1) and 56 random
// bits from random. It panics if random fails: going on without randomness would
// be worse.
func NewID(prefix string, now time.Time, random io.Reader) string {
	var b [rawIDLen]byte
	if _, err := io.ReadFull(random, b[9:]); err != nil {
		panic(fmt.Errorf("authn: no randomness: %w", err))
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	n := count(uint64(now.UnixMilli()) & (1<<46 - 1))
	b[6] = byte(n>>14)&0x0f | 0x70 // version 7
	b[7] = byte(n >> 6)
	b[8] = byte(n)&0x3f | 0x80 // variant of the RFC
	return prefix + "_" + idEncoding.EncodeToString(b[:])
}

// FirstID is before every id that NewID made at now or later, and after all that
// it made in an earlier millisecond.
func FirstID(prefix string, now time.Time) string {
	var b [rawIDLen]byte
	binary.BigEndian.PutUint64(b[:8], uint64(max(now.UnixMilli(), 0))<<16)
	return prefix + "_" + idEncoding.EncodeToString(b[:])
}

// TimeOfID is when an id was made, to the millisecond.
func TimeOfID(prefix, id string) (time.Time, bool) {
	raw, ok := rawID(prefix, id)
	if !ok {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(raw[:8]) >> 16)).UTC(), true
}

// CheckID reports whether id is well formed and of the given kind. Ids come
// from outside; a malformed one is simply not found.
func CheckID(prefix, id string) bool {
	_, ok := rawID(prefix, id)
	return ok
}

func rawID(prefix, id string) ([]byte, bool) {
	rest, ok := strings.CutPrefix(id, prefix+"_")
	if !ok || len(rest) != 26 {
		return nil, false
	}
	raw, err := idEncoding.DecodeString(rest)
	// A second spelling of the same bytes (unused trailing bits) is refused.
	if err != nil || len(raw) != rawIDLen || idEncoding.EncodeToString(raw) != rest {
		return nil, false
	}
	return raw, true
}

// TokenKind is the purpose of a token. It stands in the token, in the row and
// in the stored hash, so that a token of one kind is worth nothing as another.
type TokenKind string

// The kinds of tokens.
const (
	SessionToken TokenKind = "ses"
	AttemptToken TokenKind = "att"
	LinkToken    TokenKind = "lnk"
	KeyToken     TokenKind = "key"
	GrantToken   TokenKind = "grt"
	TrustToken   TokenKind = "tru"
	ResetToken   TokenKind = "rst"
	HandleToken  TokenKind = "hdl"
)

const secretLen = 32

// Token is an opaque credential (ruling 46):
// sp_<kind>_ + base32(company 16 bytes ‖ id 16 ‖ secret 32).
type Token struct {
	Kind    TokenKind
	Company string
	ID      string
	Secret  []byte // 256 random bits
}

// IsZero reports whether there is no token.
func (t Token) IsZero() bool { return t.Kind == "" }

// NewToken makes a token for the row id of a company.
func NewToken(kind TokenKind, company, id string, random io.Reader) Token {
	s := make([]byte, secretLen)
	if _, err := io.ReadFull(random, s); err != nil {
		panic(fmt.Errorf("authn: no randomness: %w", err))
	}
	return Token{Kind: kind, Company: company, ID: id, Secret: s}
}

// Reveal is the token as its holder gets it. Nothing else prints it: String
// and the logs show only the row it belongs to.
func (t Token) Reveal() string {
	c, ok1 := rawID(CompanyID, t.Company)
	i, ok2 := rawID(string(t.Kind), t.ID)
	if !ok1 || !ok2 || len(t.Secret) != secretLen {
		return ""
	}
	b := make([]byte, 0, 2*rawIDLen+secretLen)
	b = append(append(append(b, c...), i...), t.Secret...)
	return "sp_" + string(t.Kind) + "_" + idEncoding.EncodeToString(b)
}

// String hides the secret.
func (t Token) String() string { return "token(" + t.ID + ")" }

// GoString hides the secret from %#v.
func (t Token) GoString() string { return t.String() }

// ParseToken reads a token of the given kind. It says only whether the form is
// right; whether the token is good is the store's to say.
func ParseToken(kind TokenKind, s string) (Token, bool) {
	rest, ok := strings.CutPrefix(s, "sp_"+string(kind)+"_")
	if !ok || len(rest) != idEncoding.EncodedLen(2*rawIDLen+secretLen) {
		return Token{}, false
	}
	raw, err := idEncoding.DecodeString(rest)
	if err != nil || idEncoding.EncodeToString(raw) != rest {
		return Token{}, false
	}
	return Token{
		Kind:    kind,
		Company: CompanyID + "_" + idEncoding.EncodeToString(raw[:rawIDLen]),
		ID:      string(kind) + "_" + idEncoding.EncodeToString(raw[rawIDLen:2*rawIDLen]),
		Secret:  raw[2*rawIDLen:],
	}, true
}
