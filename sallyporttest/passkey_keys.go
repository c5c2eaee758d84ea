package sallyporttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash, like the next
	_ "crypto/sha512"
	"fmt"
	"math/big"

	"github.com/fxamacker/cbor/v2"
)

// encodeCBOR encodes as authenticators have to, so that each value has one form
// (CTAP 2.1, 8: message encoding).
func encodeCBOR(v any) ([]byte, error) {
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return mode.Marshal(v)
}

// signingKey is a private key with its COSE algorithm.
type signingKey struct {
	crypto.Signer
	algorithm int
}

// algorithms are those that Passkeys can have (RFC 9053, 2; RFC 8230, 2; RFC 8812, 2).
var algorithms = map[int]struct {
	hash  crypto.Hash
	curve elliptic.Curve // nil: not ECDSA
	crv   int            // the curve's COSE number
}{
	-7:   {crypto.SHA256, elliptic.P256(), 1},
	-35:  {crypto.SHA384, elliptic.P384(), 2},
	-36:  {crypto.SHA512, elliptic.P521(), 3},
	-8:   {0, nil, 6}, // Ed25519 signs what is said, not its hash
	-37:  {crypto.SHA256, nil, 0},
	-257: {crypto.SHA256, nil, 0},
}

func newSigningKey(algorithm int) (signingKey, error) {
	kind, ok := algorithms[algorithm]
	var s crypto.Signer
	var err error
	switch {
	case !ok:
		return signingKey{}, fmt.Errorf("Passkeys.Algorithm is %d; it can be -7, -8, -35, -36, -37 or -257", algorithm)
	case kind.curve != nil:
		s, err = ecdsa.GenerateKey(kind.curve, rand.Reader)
	case kind.hash == 0:
		_, s, err = ed25519.GenerateKey(rand.Reader)
	default:
		s, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	return signingKey{s, algorithm}, err
}

// cose is the public half as COSE_Key (RFC 9052, 7; RFC 9053, 7; RFC 8230, 4).
func (k signingKey) cose() map[int]any {
	kind := algorithms[k.algorithm]
	switch pub := k.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := pub.Bytes() // 4, x, y
		if err != nil {           // only a curve of somebody's own
			panic(err)
		}
		half := (len(point) - 1) / 2
		return map[int]any{1: 2, 3: k.algorithm, -1: kind.crv, -2: point[1 : 1+half], -3: point[1+half:]}
	case ed25519.PublicKey:
		return map[int]any{1: 1, 3: k.algorithm, -1: kind.crv, -2: []byte(pub)}
	case *rsa.PublicKey:
		return map[int]any{1: 3, 3: k.algorithm, -1: pub.N.Bytes(), -2: big.NewInt(int64(pub.E)).Bytes()}
	}
	panic(fmt.Sprintf("a public key of type %T", k.Public())) // newSigningKey makes no other
}

// sign makes a signature in the form of WebAuthn Level 3, 6.5.5.
func (k signingKey) sign(message []byte) ([]byte, error) {
	hash := algorithms[k.algorithm].hash
	var opts crypto.SignerOpts = hash
	if k.algorithm == -37 {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	if hash != 0 {
		h := hash.New()
		h.Write(message)
		message = h.Sum(nil)
	}
	return k.Sign(rand.Reader, message, opts)
}
