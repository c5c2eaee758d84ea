package sallyporttest

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// The flags of authenticator data (WebAuthn Level 3, 6.1); the other two bits are
// reserved.
const (
	FlagUserPresent    byte = 1 << 0 // UP
	FlagUserVerified   byte = 1 << 2 // UV
	FlagBackupEligible byte = 1 << 3 // BE
	FlagBackedUp       byte = 1 << 4 // BS
	FlagAttestedData   byte = 1 << 6 // AT
	FlagExtensionData  byte = 1 << 7 // ED
)

// PasskeyAnswer is an answer of Passkeys before anything in it is encoded, hashed or
// signed. A function given to MakeWith or SignWith that changes one field gets an
// answer in which one thing is wrong and all else is right: hashes and signatures are
// made of what is then in it. To answer what was not asked (another algorithm, a key
// that is not listed), change the options before Make or Sign instead.
//
// The Edit functions are for what has no field; nil leaves it as it is.
type PasskeyAnswer struct {
	ClientData ClientData
	AuthData   AuthData

	// ID and RawID are the members "id" and "rawId", one key's id twice.
	ID, RawID []byte
	Type      string // "public-key"
	// UserHandle is of assertions, and nil with keys that are not discoverable.
	UserHandle []byte
	// Format is the name of the attestation statement format, of new keys. What is in
	// the statement is for EditStatement.
	Format                 string
	Attachment             string   // "" leaves the member out
	Transports             []string // of new keys
	ClientExtensionResults map[string]any

	// WrongKey has another key sign, of the same kind.
	WrongKey bool
	// EditCertificate changes the attestation certificate before its CA signs it, and
	// EditStatement the members of the attestation statement ("alg", "sig", "x5c").
	EditCertificate func(template *x509.Certificate)
	EditStatement   func(map[string]any)
	// EditClientData and EditAuthData change what was encoded, before it is hashed and
	// signed; EditSignature what was signed; EditAttestation the attestation object, as
	// CBOR, which nothing signs as a whole.
	EditClientData, EditAuthData, EditSignature, EditAttestation func([]byte) []byte
	// EditJSON changes the credential last of all.
	EditJSON func(credential map[string]any)

	key signingKey
}

// ClientData is what the browser says of the page that asked (WebAuthn Level 3, 5.8.1).
type ClientData struct {
	Type        string `json:"type"`      // "webauthn.create" or "webauthn.get"
	Challenge   string `json:"challenge"` // base64url without padding
	Origin      string `json:"origin"`
	CrossOrigin bool   `json:"crossOrigin"`         // the page is in another site's frame
	TopOrigin   string `json:"topOrigin,omitempty"` // whose
}

// AuthData is what the authenticator says (WebAuthn Level 3, 6.1). What Flags tells of
// its parts, it tells whether they are there or not.
type AuthData struct {
	RPIDHash   []byte // SHA-256 of the RP id
	Flags      byte
	SignCount  uint32
	Attested   *AttestedData  // of new keys
	Extensions map[string]any // nil: none
}

// AttestedData is the key that is new (WebAuthn Level 3, 6.5.1).
type AttestedData struct {
	AAGUID       []byte // 16 bytes
	CredentialID []byte // at most 1023 bytes
	PublicKey    map[int]any
}

// SetID gives a new key another id wherever the answer has it. The authenticator knows
// the key by that id, too.
func (a *PasskeyAnswer) SetID(id []byte) {
	a.ID, a.RawID = slices.Clone(id), slices.Clone(id)
	if a.AuthData.Attested != nil {
		a.AuthData.Attested.CredentialID = slices.Clone(id)
	}
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

func edited(b []byte, edit func([]byte) []byte) []byte {
	if edit == nil {
		return b
	}
	return edit(b)
}

// clientData encodes in the order that the standard fixes (5.8.1.1).
func (a *PasskeyAnswer) clientData() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a.ClientData); err != nil {
		return nil, err
	}
	return edited(bytes.TrimSuffix(b.Bytes(), []byte("\n")), a.EditClientData), nil
}

func (a *PasskeyAnswer) authData() ([]byte, error) {
	d := a.AuthData
	b := append(slices.Clone(d.RPIDHash), d.Flags)
	b = binary.BigEndian.AppendUint32(b, d.SignCount)
	if d.Attested != nil {
		n := len(d.Attested.CredentialID)
		if n > math.MaxUint16 {
			return nil, fmt.Errorf("a credential id of %d bytes: its length has to fit into two bytes", n)
		}
		b = append(b, d.Attested.AAGUID...)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		b = append(b, d.Attested.CredentialID...)
		key, err := encodeCBOR(d.Attested.PublicKey)
		if err != nil {
			return nil, err
		}
		b = append(b, key...)
	}
	if d.Extensions != nil {
		extensions, err := encodeCBOR(d.Extensions)
		if err != nil {
			return nil, err
		}
		b = append(b, extensions...)
	}
	return edited(b, a.EditAuthData), nil
}

// sign is the signature of a key, or of the wrong one.
func (a *PasskeyAnswer) sign(key signingKey, over ...[]byte) ([]byte, error) {
	if a.WrongKey {
		var err error
		if key, err = newSigningKey(key.algorithm); err != nil {
			return nil, err
		}
	}
	sig, err := key.sign(slices.Concat(over...))
	if err != nil {
		return nil, err
	}
	return edited(sig, a.EditSignature), nil
}

// registration is the RegistrationResponseJSON.
func (a *PasskeyAnswer) registration(s statement) (json.RawMessage, error) {
	clientData, err := a.clientData()
	if err != nil {
		return nil, err
	}
	authData, err := a.authData()
	if err != nil {
		return nil, err
	}
	attestation, err := s.encode(a, authData, sum(clientData))
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(a.key.Public())
	if err != nil {
		return nil, err
	}
	return a.credential(map[string]any{
		"clientDataJSON": encode64(clientData), "authenticatorData": encode64(authData), "attestationObject": encode64(attestation),
		"transports": a.Transports, "publicKey": encode64(spki), "publicKeyAlgorithm": a.key.algorithm,
	})
}

// authentication is the AuthenticationResponseJSON.
func (a *PasskeyAnswer) authentication() (json.RawMessage, error) {
	if a.EditStatement != nil || a.EditCertificate != nil || a.EditAttestation != nil {
		return nil, errors.New("an assertion has no attestation to edit")
	}
	clientData, err := a.clientData()
	if err != nil {
		return nil, err
	}
	authData, err := a.authData()
	if err != nil {
		return nil, err
	}
	sig, err := a.sign(a.key, authData, sum(clientData))
	if err != nil {
		return nil, err
	}
	response := map[string]any{"clientDataJSON": encode64(clientData), "authenticatorData": encode64(authData), "signature": encode64(sig)}
	if a.UserHandle != nil {
		response["userHandle"] = encode64(a.UserHandle)
	}
	return a.credential(response)
}

func (a *PasskeyAnswer) credential(response map[string]any) (json.RawMessage, error) {
	c := map[string]any{
		"id": encode64(a.ID), "rawId": encode64(a.RawID), "type": a.Type,
		"clientExtensionResults": a.ClientExtensionResults, "response": response,
	}
	if a.Attachment != "" {
		c["authenticatorAttachment"] = a.Attachment
	}
	if a.EditJSON != nil {
		a.EditJSON(c)
	}
	return json.Marshal(c)
}
