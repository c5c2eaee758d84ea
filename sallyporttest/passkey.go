package sallyporttest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// Passkeys is an authenticator, with the browser before it, in software: what answers
// navigator.credentials.create and get on the pages of Origin. It refuses what browsers
// refuse, with their names for it (DOMException). Set its fields before it is used, or
// between two uses; its methods are safe for concurrent use.
//
// The keys are real and made anew, so that whatever accepts an answer has verified a
// signature. Nobody is asked anything: the person always touches it, and if Verifies is
// set always shows their finger.
type Passkeys struct {
	// Origin is the page's, as browsers write it: "https://login.example.com". As in
	// browsers it is HTTPS, or HTTP on localhost, and has a name, not an address.
	Origin string
	// Related are the RP ids that Origin may use besides those in its own name, since
	// their /.well-known/webauthn lists it (WebAuthn Level 3, 5.11).
	Related []string

	// Verifies says that it asks for a finger, a face or a PIN, whether the options want
	// that or not, and says so (the UV flag).
	Verifies bool
	// Discoverable says that it has room for keys that are found without a user name.
	Discoverable bool
	// Synced says that its keys may leave it (the BE flag), BackedUp that they have (BS).
	// Both are said of old keys, too, as they are at that moment.
	Synced, BackedUp bool
	// AAGUID is the model's number; zeros say nothing of it.
	AAGUID [16]byte
	// Algorithm is the COSE algorithm of keys to be made: -7 (ES256), -8 (EdDSA),
	// -35 (ES384), -36 (ES512), -37 (PS256) or -257 (RS256). It knows no other.
	Algorithm int
	// Counts says that each signature of a key counts one up, from 1. Otherwise the
	// count is always 0, as with passkeys that are synced.
	Counts bool
	// Attachment is "platform" or "cross-platform".
	Attachment string
	// Transports are how it is reached; nil means "internal" or "usb", by Attachment.
	Transports []string
	// Attestation is how it proves its model, to those who ask (in options without
	// "attestation" browsers say "none" whatever the authenticator says):
	//
	//	none        not at all
	//	packed      by the new key itself ("self attestation")
	//	packed-x5c  by a certificate of CA
	//	fido-u2f    by a certificate of CA, as keys from before FIDO2 do; such a key
	//	            verifies nobody, is never discoverable, and has no AAGUID
	Attestation string
	// CA issues the certificates for Attestation; each Passkeys begins with its own.
	CA *AttestationCA

	mu   sync.Mutex
	keys []*passkey // the newest last
}

// A Passkey is one key that Passkeys has.
type Passkey struct {
	ID           []byte // the credential id
	RPID         string
	UserHandle   []byte // user.id in the options that it was made from
	UserName     string // and user.name
	Algorithm    int    // COSE
	Discoverable bool
	SignCount    uint32 // in its last answer
}

type passkey struct {
	Passkey
	key signingKey
}

// NewPasskeys is an authenticator without keys, in a browser that shows a page of
// origin. It is a phone or laptop as most are, whose keys stay on it: a platform
// authenticator that verifies its person, with ES256, without attestation or count.
func NewPasskeys(t testing.TB, origin string) *Passkeys {
	t.Helper()
	p := &Passkeys{
		Origin: origin, Verifies: true, Discoverable: true, Algorithm: -7,
		Attachment: "platform", Attestation: "none", CA: NewAttestationCA(t),
	}
	if _, err := p.host(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Make is navigator.credentials.create. options is a PublicKeyCredentialCreationOptionsJSON
// (WebAuthn Level 3, 5.1.8), alone or as the member "publicKey" of an object; the answer
// is a RegistrationResponseJSON (5.1). A key that can be discovered takes the place of
// an older one for the same user handle and RP id, as the standard has it.
func (p *Passkeys) Make(options json.RawMessage) (credential json.RawMessage, err error) {
	return p.MakeWith(options, nil)
}

// MakeWith is Make with something wrong: change is given the whole answer before
// anything in it is encoded, hashed or signed, so that all that it leaves alone is right.
func (p *Passkeys) MakeWith(options json.RawMessage, change func(*PasskeyAnswer)) (json.RawMessage, error) {
	o, err := readCreation(options)
	if err != nil {
		return nil, err
	}
	rpID, err := p.begin(o.RP.ID)
	if err != nil {
		return nil, err
	}
	s, discoverable, err := p.selected(o)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(o.ExcludeCredentials, func(d descriptor) bool { return p.find(rpID, d.ID) != nil }) {
		return nil, &DOMException{"InvalidStateError", "the authenticator has a key that excludeCredentials lists"}
	}
	if !o.offers(p.Algorithm) {
		return nil, &DOMException{"NotSupportedError", fmt.Sprintf("pubKeyCredParams has no algorithm of this authenticator, which is %d", p.Algorithm)}
	}
	key, err := newSigningKey(p.Algorithm)
	if err != nil {
		return nil, err
	}
	k := &passkey{Passkey{
		ID: make([]byte, 32), RPID: rpID, UserHandle: o.User.ID, UserName: *o.User.Name, Algorithm: p.Algorithm, Discoverable: discoverable,
	}, key}
	rand.Read(k.ID) // never fails
	a := p.answer("webauthn.create", o.Challenge, k)
	a.AuthData.Flags |= FlagAttestedData
	a.AuthData.Attested = &AttestedData{AAGUID: bytes.Clone(s.aaguid[:]), CredentialID: bytes.Clone(k.ID), PublicKey: key.cose()}
	a.Format = s.format
	if o.Extensions.CredProps {
		a.ClientExtensionResults["credProps"] = map[string]any{"rk": discoverable}
	}
	if change != nil {
		change(a)
	}
	credential, err := a.registration(s)
	if err != nil {
		return nil, err
	}
	if a.AuthData.Attested != nil { // what the server knows it by
		k.ID = bytes.Clone(a.AuthData.Attested.CredentialID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = slices.DeleteFunc(p.keys, func(old *passkey) bool {
		return old.RPID == rpID && (bytes.Equal(old.ID, k.ID) || discoverable && old.Discoverable && bytes.Equal(old.UserHandle, k.UserHandle))
	})
	p.keys = append(p.keys, k)
	return credential, nil
}

// Sign is navigator.credentials.get. options is a PublicKeyCredentialRequestOptionsJSON
// (WebAuthn Level 3, 5.1.9), alone or as the member "publicKey" of an object; the answer
// is an AuthenticationResponseJSON (5.1), with the user handle if the key is
// discoverable. Of several keys that fit, the newest answers; which fit is for
// allowCredentials to say, or if that is empty, all that are discoverable.
func (p *Passkeys) Sign(options json.RawMessage) (credential json.RawMessage, err error) {
	return p.SignWith(options, nil)
}

// SignWith is to Sign as MakeWith is to Make.
func (p *Passkeys) SignWith(options json.RawMessage, change func(*PasskeyAnswer)) (json.RawMessage, error) {
	o, err := readRequest(options)
	if err != nil {
		return nil, err
	}
	rpID, err := p.begin(o.RPID)
	if err != nil {
		return nil, err
	}
	if o.UserVerification == "required" && !p.verifies() {
		return nil, &DOMException{"NotAllowedError", "userVerification is required, and this authenticator verifies nobody"}
	}
	k, err := p.use(rpID, o.AllowCredentials)
	if err != nil {
		return nil, err
	}
	a := p.answer("webauthn.get", o.Challenge, k)
	if k.Discoverable {
		a.UserHandle = bytes.Clone(k.UserHandle)
	}
	if change != nil {
		change(a)
	}
	return a.authentication()
}

// use picks a key that may answer, and counts the use.
func (p *Passkeys) use(rpID string, allowed []descriptor) (*passkey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range slices.Backward(p.keys) {
		listed := slices.ContainsFunc(allowed, func(d descriptor) bool { return bytes.Equal(d.ID, k.ID) })
		if k.RPID != rpID || !listed && (len(allowed) > 0 || !k.Discoverable) {
			continue
		}
		if k.SignCount++; !p.Counts {
			k.SignCount = 0
		}
		used := *k
		return &used, nil
	}
	return nil, &DOMException{"NotAllowedError", fmt.Sprintf("the authenticator has no key for %s that the options allow", rpID)}
}

func (p *Passkeys) find(rpID string, id []byte) *passkey {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		if k.RPID == rpID && bytes.Equal(k.ID, id) {
			return k
		}
	}
	return nil
}

// Credentials are the keys that it has, the oldest first.
func (p *Passkeys) Credentials() []Passkey {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Passkey, len(p.keys))
	for i, k := range p.keys {
		list[i] = k.Passkey
		list[i].ID, list[i].UserHandle = bytes.Clone(k.ID), bytes.Clone(k.UserHandle)
	}
	return list
}

// Forget removes a key, as a person does in the settings of their phone, or a browser
// that is told that the site does not know it. Without such a key it does nothing.
func (p *Passkeys) Forget(id []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = slices.DeleteFunc(p.keys, func(k *passkey) bool { return bytes.Equal(k.ID, id) })
}

// Clone is a copy of it with the same keys, which both count on from here, each for
// itself: the sign count of the one that is used less goes back.
func (p *Passkeys) Clone() *Passkeys {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &Passkeys{
		Origin: p.Origin, Related: slices.Clone(p.Related), Verifies: p.Verifies, Discoverable: p.Discoverable, Synced: p.Synced, BackedUp: p.BackedUp,
		AAGUID: p.AAGUID, Algorithm: p.Algorithm, Counts: p.Counts, Attachment: p.Attachment, Transports: slices.Clone(p.Transports),
		Attestation: p.Attestation, CA: p.CA,
	}
	for _, k := range p.keys {
		other := *k
		c.keys = append(c.keys, &other)
	}
	return c
}
