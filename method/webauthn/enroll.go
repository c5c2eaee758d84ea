package webauthn

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Demands are what a company asks of a new credential; Request.Settings is its JSON.
type Demands struct {
	// Bound: the key never leaves its device.
	Bound bool `json:"bound,omitempty"`
	// Attested: its maker's certificate says which model it is, by the operator's metadata.
	Attested bool `json:"attested,omitempty"`
	// Models are the AAGUIDs that are allowed, and attested then; empty: all.
	Models []string `json:"models,omitempty"`
}

// Why a credential does not meet the demands, as keys of texts.
const (
	errSynced   = "error.passkey_synced"
	errModel    = "error.passkey_model"
	errAttested = "error.passkey_attested"
	errBroken   = "error.passkey_broken" // its makers said that the model is not safe
)

func (d Demands) attested() bool { return d.Attested || len(d.Models) > 0 }

// Begin stores nothing: what there is to store, the device makes.
func (m *Method) Begin(context.Context, authn.Request) (authn.Shown, error) {
	return authn.Shown{}, nil
}

// Present shows nothing: the question is asked by Create.
func (m *Method) Present(authn.Request) (authn.Presented, error) { return authn.Presented{}, nil }

// Create asks for a new credential (section 5.4). It can sign somebody in by itself where
// the device has room for that, and is none that they have already.
func (m *Method) Create(r authn.Request, own []authn.Factor) (authn.Question, error) {
	name := r.User.Login
	o := protocol.PublicKeyCredentialCreationOptions{
		RelyingParty: protocol.RelyingPartyEntity{CredentialEntity: protocol.CredentialEntity{Name: r.Company.Name}, ID: m.c.ID},
		// The id of a user says nothing of the person (section 14.6.1).
		User:    protocol.UserEntity{CredentialEntity: protocol.CredentialEntity{Name: name}, DisplayName: name, ID: protocol.URLEncodedBase64(r.User.ID)},
		Timeout: int(authn.CeremonyLives.Milliseconds()), CredentialExcludeList: descriptors(own),
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, RequireResidentKey: protocol.ResidentKeyNotRequired(), UserVerification: protocol.VerificationPreferred,
		},
		Attestation: protocol.PreferNoAttestation,
	}
	if r.User.Name != "" {
		o.User.DisplayName = r.User.Name
	}
	for _, a := range algorithms {
		o.Parameters = append(o.Parameters, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	var k kept
	if len(r.Settings) > 0 {
		if err := json.Unmarshal(r.Settings, &k.Demands); err != nil {
			return authn.Question{}, fmt.Errorf("webauthn: what the company asks of passkeys: %w", err)
		}
	}
	if k.Demands != nil && k.Demands.attested() {
		o.Attestation = protocol.PreferDirectAttestation
	}
	var err error
	if o.Challenge, err = m.challenge(&k); err != nil {
		return authn.Question{}, err
	}
	return question(o, k)
}

// Confirm checks what the device made (section 7.1).
//
// Errors: Invalid (field credential: it cannot be read), PolicyForbids (it does not meet
// the company's demands).
func (m *Method) Confirm(_ context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	wrong := authn.Match{Outcome: authn.Wrong}
	p, err := protocol.ParseCredentialCreationResponseBytes(a.Credential)
	if err != nil {
		return authn.Match{}, errUnreadable
	}
	k, ok := m.answers(r.Challenges, p.Response.CollectedClientData.Challenge)
	if !ok {
		return wrong, nil
	}
	var d Demands
	if k.Demands != nil {
		d = *k.Demands
	}
	made := p.Response.AttestationObject.AuthData
	if len(made.AttData.CredentialID) == 0 || len(made.AttData.CredentialID) > maxID || len(made.AttData.CredentialPublicKey) == 0 || !sound(made.Flags) {
		return wrong, nil
	}
	var params []protocol.CredentialParameter
	for _, alg := range algorithms {
		params = append(params, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg})
	}
	if _, err := p.Verify(k.Challenge, m.c.ID, m.origins, nil, nil, protocol.TopOriginExplicitVerificationMode, false, false, true,
		nil, params, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
		return wrong, nil //nolint:nilerr // what is wrong with it is nobody's business
	}
	if !usable(made.AttData.CredentialPublicKey) {
		return wrong, nil
	}
	info := Info{
		ID: made.AttData.CredentialID, AAGUID: model(made.AttData.AAGUID), Transports: transports(p.Response.Transports), Attachment: string(p.AuthenticatorAttachment),
		Verified: made.Flags.HasUserVerified(), Synced: made.Flags.HasBackupEligible(), BackedUp: made.Flags.HasBackupState(),
	}
	if err := m.meets(d, &info, p); err != nil {
		return authn.Match{}, err
	}
	match := authn.Match{Outcome: authn.Right, Step: int64(made.Counter), AMR: amr(made.Flags), Traits: m.shown(made.Flags),
		Made: &authn.Made{ID: info.ID, Secret: made.AttData.CredentialPublicKey, Name: m.c.Models.Name(info.AAGUID)}}
	match.Data, err = info.encode()
	return match, err
}

// meets says whether the credential is one that the company takes.
func (m *Method) meets(d Demands, info *Info, p *protocol.ParsedCredentialCreationData) error {
	if known, ok := m.c.Models.Of(info.AAGUID); ok && known.Refused != "" {
		return &authn.Error{Code: authn.PolicyForbids, Key: errBroken}
	}
	if d.Bound && info.Synced {
		return &authn.Error{Code: authn.PolicyForbids, Key: errSynced}
	}
	if !d.attested() {
		return nil
	}
	if m.c.Models.Attest(&p.Response.AttestationObject) != nil {
		return &authn.Error{Code: authn.PolicyForbids, Key: errAttested}
	}
	if len(d.Models) > 0 && !slices.Contains(d.Models, info.AAGUID) {
		return &authn.Error{Code: authn.PolicyForbids, Key: errModel}
	}
	info.Attested = true
	return nil
}

// Sizes of RSA keys, in bits: the least is that of NIST SP 800-131A section 3, and checking
// with the longest takes well under a millisecond.
const (
	leastRSA   = 2048
	longestRSA = 8192
)

// usable reports whether a key is one that answers can be checked with, and not anybody's:
// otherwise that would be found out at the first sign-in by it.
func usable(cose []byte) bool {
	key, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return false
	}
	if k, ok := key.(webauthncose.RSAPublicKeyData); ok {
		n, e := new(big.Int).SetBytes(k.Modulus), new(big.Int).SetBytes(k.Exponent)
		return n.BitLen() >= leastRSA && n.BitLen() <= longestRSA && n.Bit(0) == 1 && e.Bit(0) == 1 && e.BitLen() > 1 && e.BitLen() < 32
	}
	return true
}

// hostOf is the host of an origin; false: it is none, or nothing that passkeys work on.
func hostOf(origin string) (string, bool) {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host {
		return "", false
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return "", false
	}
	return u.Hostname(), u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "localhost"
}
