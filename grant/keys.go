package grant

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Set is a set of public keys by their ids.
type Set map[string]ed25519.PublicKey

// Key finds a key; otherwise ErrInvalid.
func (s Set) Key(_ context.Context, id string) (ed25519.PublicKey, error) {
	if k, ok := s[id]; ok {
		return k, nil
	}
	return nil, ErrInvalid
}

// jwk is one key of a set, as far as it is ours (RFC 8037, section 2).
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	X   string `json:"x"`
}

const (
	maxSet     = 64 << 10
	maxSetKeys = 32
)

// ParseSet reads a JWK set. Keys of another kind are passed over; one that is
// broken, or of which there are two, spoils the set.
//
// Errors: ErrKeys.
func ParseSet(raw []byte) (Set, error) {
	var in struct {
		Keys []jwk `json:"keys"`
	}
	if len(raw) > maxSet || json.Unmarshal(raw, &in) != nil || len(in.Keys) == 0 || len(in.Keys) > maxSetKeys {
		return nil, fmt.Errorf("%w: not a set of keys", ErrKeys)
	}
	set := Set{}
	for _, k := range in.Keys {
		if k.Kty != "OKP" || k.Crv != "Ed25519" || k.Use != "" && k.Use != "sig" || k.Alg != "" && k.Alg != "EdDSA" && k.Alg != "Ed25519" {
			continue
		}
		x, err := b64.DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize || k.Kid == "" || set[k.Kid] != nil {
			return nil, fmt.Errorf("%w: a key is broken", ErrKeys)
		}
		set[k.Kid] = x
	}
	return set, nil
}

// FormatSet is a set of keys as it is published, in the order of the list.
func FormatSet(ids []string, keys Set) ([]byte, error) {
	var out struct {
		Keys []jwk `json:"keys"`
	}
	out.Keys = []jwk{}
	for _, id := range ids {
		out.Keys = append(out.Keys, jwk{Kty: "OKP", Crv: "Ed25519", Use: "sig", Alg: "EdDSA", Kid: id, X: b64.EncodeToString(keys[id])})
	}
	return json.Marshal(out)
}

// Remote are the keys that an issuer publishes. They are fetched when they are first
// needed, kept for an hour (a day, while it cannot be reached), and fetched anew for an
// id that is not among them, at most once in ten seconds. URL is needed. It is safe for
// concurrent use, and not to be copied.
type Remote struct {
	URL    string           // the issuer and "/keys"; https, or a loopback name
	Client *http.Client     // nil: one that waits 10 s and follows no redirect
	Now    func() time.Time // nil: time.Now

	asking  sync.Mutex // one asks, the others wait for its answer
	mu      sync.Mutex
	set     Set
	fetched time.Time // the last that went well
	tried   time.Time
}

const (
	keepKeys  = time.Hour
	staleKeys = 24 * time.Hour // the next key is published a day before it signs
	retryKeys = 10 * time.Second
	askKeys   = 10 * time.Second
)

// Key finds a key, and asks the issuer where it is not known. While the issuer
// cannot be reached, keys that were fetched within the last day stay good; a key that
// it took back, or that is over, cannot be kept alive by keeping it from us.
//
// Errors: ErrInvalid, ErrKeys.
func (r *Remote) Key(ctx context.Context, id string) (ed25519.PublicKey, error) {
	if k, _, fresh := r.known(id); k != nil && fresh {
		return k, nil // also while somebody asks for one that may not exist
	}
	r.asking.Lock()
	defer r.asking.Unlock()
	k, now, fresh := r.known(id)
	if k != nil && fresh {
		return k, nil
	}
	if r.tried.IsZero() || now.Sub(r.tried) >= retryKeys || now.Before(r.tried) {
		r.tried = now
		set, err := r.fetch(ctx)
		if err != nil && k == nil {
			return nil, err
		}
		if err == nil {
			r.mu.Lock()
			r.set, r.fetched = set, now
			r.mu.Unlock()
			k, _, fresh = r.known(id)
		}
	}
	switch {
	case k != nil:
		return k, nil
	case !fresh:
		return nil, ErrKeys
	}
	return nil, ErrInvalid
}

// known is a key that was fetched within the last day, and whether all of them were
// within the hour.
func (r *Remote) known(id string) (k ed25519.PublicKey, now time.Time, fresh bool) {
	now = time.Now()
	if r.Now != nil {
		now = r.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	age := now.Sub(r.fetched)
	if r.set == nil || age < 0 || age >= staleKeys {
		return nil, now, false
	}
	return r.set[id], now, age < keepKeys
}

var usual = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (r *Remote) fetch(ctx context.Context) (Set, error) {
	// Others wait for the same answer: whoever leaves does not take it from them.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askKeys)
	defer cancel()
	client := r.Client
	if client == nil {
		client = usual
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	resp, err := client.Do(ask)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxSet+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: the answer is %s", ErrKeys, resp.Status)
	}
	return ParseSet(raw)
}
