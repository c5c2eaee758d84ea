// Package grant checks the signed grants that Sallyport gives to applications: a
// person proved themselves a moment ago, for one action and perhaps one request.
// It needs nothing but the standard library and the issuer's published keys, so an
// application can use it that never talks to Sallyport while it answers.
//
// # Flow
//
// A grant is a JWS in compact form (RFC 7515), signed with Ed25519 (RFC 8037). Keys
// come as a JWK set (RFC 7517) from the issuer's address and "/keys": Remote fetches
// and keeps them. Verifier.Verify answers with the claims, or refuses.
//
// # Threats
//
//   - Another algorithm, or none, or a key that the token itself names (RFC 8725,
//     3.1 and 3.10): the header is exactly alg "EdDSA", our typ, and a kid that the
//     key set has; anything else in it is refused.
//   - A token of another kind from the same issuer (RFC 8725, 3.11): typ is fixed.
//   - Another company, application, action or request (cve-34, cve-56): issuer,
//     audience, action and request hash are compared, and none of them is optional.
//   - Replay: a grant lives a minute at most, and its id is remembered until it is
//     over. The memory is of one process; several share one through Remember. It is
//     bounded, and refuses rather than forgets.
//   - A grant is not called back within its minute. Where that matters, ask for one
//     that is redeemed online.
package grant

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"
)

// Type is the typ of the header of a grant.
const Type = "sallyport-grant+jwt"

// Bounds of what is read and remembered.
const (
	// MaxLife is the longest that a grant may say that it is good.
	MaxLife = time.Minute
	// DefaultLeeway is how far the clocks of issuer and application may differ.
	DefaultLeeway = 5 * time.Second
	// DefaultMemory is how many grants are remembered.
	DefaultMemory = 100_000
	maxToken      = 4 << 10
)

// Why a grant is refused. What comes from outside is in no error.
var (
	// ErrInvalid: not a grant, altered, or signed by nobody who is known.
	ErrInvalid = errors.New("grant: not a valid grant")
	// ErrOther: it is for another issuer, audience, action or request.
	ErrOther = errors.New("grant: for something else")
	// ErrExpired: it is over, or begins in the future; look at the clocks.
	ErrExpired = errors.New("grant: expired")
	// ErrUsed: it was used before.
	ErrUsed = errors.New("grant: used before")
	// ErrFull: too many are remembered to take another one.
	ErrFull = errors.New("grant: the memory of used grants is full")
	// ErrKeys: the keys cannot be had now.
	ErrKeys = errors.New("grant: the keys of the issuer cannot be read")
)

// Claims are what a grant says.
type Claims struct {
	Issuer      string   `json:"iss"`
	Audience    string   `json:"aud"` // as registered with the action
	Subject     string   `json:"sub"` // id of the person
	Session     string   `json:"sid"` // id of their session when it was made
	Action      string   `json:"act"`
	ACR         string   `json:"acr"`       // "aal1" or "aal2"
	AMR         []string `json:"amr"`       // RFC 8176
	AuthTime    int64    `json:"auth_time"` // seconds since 1970, as all times here
	IssuedAt    int64    `json:"iat"`
	ExpiresAt   int64    `json:"exp"`
	ID          string   `json:"jti"`
	RequestHash string   `json:"request_hash,omitempty"` // base64url of a SHA-256; empty: of no request in particular
}

type header struct {
	Alg string `json:"alg"`
	Typ string `json:"typ"`
	Kid string `json:"kid"`
}

// b64 has one spelling for each value.
var b64 = base64.RawURLEncoding.Strict()

// Sign makes a grant. Sallyport does; an application needs it for its own tests.
func Sign(key ed25519.PrivateKey, kid string, c Claims) (string, error) {
	h, err := json.Marshal(header{"EdDSA", Type, kid})
	if err != nil {
		return "", fmt.Errorf("grant: %w", err)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("grant: %w", err)
	}
	signed := b64.EncodeToString(h) + "." + b64.EncodeToString(body)
	return signed + "." + b64.EncodeToString(ed25519.Sign(key, []byte(signed))), nil
}

// Keys finds the key of an id. ErrInvalid: there is none; ErrKeys: that is not known.
type Keys interface {
	Key(ctx context.Context, id string) (ed25519.PublicKey, error)
}

// Verifier checks the grants of one company for one application. Issuer, Audience
// and Keys are needed. It is safe for concurrent use, and not to be copied.
type Verifier struct {
	Issuer   string // exactly; the keys are at this address and "/keys"
	Audience string // exactly
	Keys     Keys   // usually *Remote
	// Leeway is how far the clocks may differ, both ways; 0: DefaultLeeway. Negative: not at all.
	Leeway time.Duration
	Now    func() time.Time // nil: time.Now
	// Remember notes an id until a time and reports whether it was new. Nil: this
	// Verifier remembers by itself, up to Memory grants at once (0: DefaultMemory).
	Remember func(ctx context.Context, id string, until time.Time) (bool, error)
	Memory   int

	mu   sync.Mutex
	seen map[string]time.Time
}

// Verify says whether token is a grant for the action and the request, and uses it
// up. requestHash is what the application computes from the request that it is about
// to carry out; empty: the grant must be of no request in particular. Whether
// Claims.Subject is who sends the request, and Claims.ACR enough, is the caller's to ask.
//
// Errors: ErrInvalid, ErrOther, ErrExpired, ErrUsed, ErrFull, ErrKeys.
func (v *Verifier) Verify(ctx context.Context, token, action, requestHash string) (Claims, error) {
	if v.Issuer == "" || v.Audience == "" || v.Keys == nil {
		return Claims{}, fmt.Errorf("%w: Verifier.Issuer, Audience and Keys are needed", ErrInvalid)
	}
	c, err := v.open(ctx, token)
	if err != nil {
		return Claims{}, err
	}
	// All of them, whichever differs.
	same := equal(c.Issuer, v.Issuer) & equal(c.Audience, v.Audience) & equal(c.Action, action) & equal(c.RequestHash, requestHash)
	if same != 1 || action == "" || c.Subject == "" || c.Session == "" || c.ID == "" {
		return Claims{}, ErrOther
	}
	until, err := v.timely(c)
	if err != nil {
		return Claims{}, err
	}
	remember := v.Remember
	if remember == nil {
		remember = v.remember
	}
	first, err := remember(ctx, c.ID, until)
	if err != nil {
		return Claims{}, err
	}
	if !first {
		return Claims{}, ErrUsed
	}
	return c, nil
}

func equal(a, b string) int { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) }

// open reads a token and checks its signature.
func (v *Verifier) open(ctx context.Context, token string) (c Claims, err error) {
	if len(token) > maxToken {
		return c, ErrInvalid
	}
	head, rest, ok1 := strings.Cut(token, ".")
	body, tail, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.ContainsAny(token, "\r\n") { // the decoder passes over line ends
		return c, ErrInvalid
	}
	var h header
	if !decode(head, &h) || h.Alg != "EdDSA" || h.Typ != Type || h.Kid == "" {
		return c, ErrInvalid
	}
	signature, err := b64.DecodeString(tail)
	if err != nil || len(signature) != ed25519.SignatureSize {
		return c, ErrInvalid
	}
	key, err := v.Keys.Key(ctx, h.Kid)
	switch {
	case err != nil:
		return c, err
	case len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, []byte(head+"."+body), signature):
		return c, ErrInvalid
	case !decode(body, &c):
		return Claims{}, ErrInvalid
	}
	return c, nil
}

// decode reads one JSON object that has the fields of v and no others.
func decode(part string, v any) bool {
	raw, err := b64.DecodeString(part)
	if err != nil {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil {
		return false
	}
	_, err = d.Token()
	return err == io.EOF
}

// timely says until when the grant has to be remembered, if it is good now.
func (v *Verifier) timely(c Claims) (time.Time, error) {
	now, leeway := time.Now(), v.Leeway
	if v.Now != nil {
		now = v.Now()
	}
	switch {
	case leeway == 0:
		leeway = DefaultLeeway
	case leeway < 0:
		leeway = 0
	}
	from, until := time.Unix(c.IssuedAt, 0), time.Unix(c.ExpiresAt, 0).Add(leeway)
	life := time.Duration(c.ExpiresAt-c.IssuedAt) * time.Second
	if c.IssuedAt <= 0 || c.ExpiresAt < c.IssuedAt || c.ExpiresAt-c.IssuedAt > int64(MaxLife/time.Second) || life > MaxLife ||
		c.AuthTime > c.IssuedAt || from.After(now.Add(leeway)) || !now.Before(until) {
		return until, ErrExpired
	}
	return until, nil
}

func (v *Verifier) remember(_ context.Context, id string, until time.Time) (bool, error) {
	now, most := time.Now(), v.Memory
	if v.Now != nil {
		now = v.Now()
	}
	if most <= 0 {
		most = DefaultMemory
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if end, ok := v.seen[id]; ok && now.Before(end) {
		return false, nil
	}
	if len(v.seen) >= most {
		maps.DeleteFunc(v.seen, func(_ string, end time.Time) bool { return !now.Before(end) })
	}
	if len(v.seen) >= most {
		return false, ErrFull
	}
	if v.seen == nil {
		v.seen = map[string]time.Time{}
	}
	v.seen[id] = until
	return true, nil
}
