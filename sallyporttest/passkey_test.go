package sallyporttest_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const loginPage = "https://login.example.com"

// site is a relying party of somebody else's making, with one user.
type site struct {
	*webauthn.WebAuthn
	keys []webauthn.Credential
}

func (*site) WebAuthnID() []byte                           { return []byte("user 1") }
func (*site) WebAuthnName() string                         { return "maya" }
func (*site) WebAuthnDisplayName() string                  { return "Maya" }
func (s *site) WebAuthnCredentials() []webauthn.Credential { return s.keys }

func newSite(t *testing.T) *site {
	t.Helper()
	w, err := webauthn.New(&webauthn.Config{
		RPID: "example.com", RPDisplayName: "Example", RPOrigins: []string{loginPage}, AttestationPreference: protocol.PreferDirectAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{UserVerification: protocol.VerificationRequired},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &site{WebAuthn: w}
}

func asJSON(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// offering are options for a new key of one algorithm.
func (s *site) offering(t *testing.T, algorithm int, more ...webauthn.RegistrationOption) (json.RawMessage, *webauthn.SessionData) {
	t.Helper()
	params := webauthn.WithCredentialParameters([]protocol.CredentialParameter{{Type: "public-key", Algorithm: webauthncose.COSEAlgorithmIdentifier(algorithm)}})
	options, session, err := s.BeginRegistration(s, append(more, params)...)
	if err != nil {
		t.Fatal(err)
	}
	return asJSON(t, options), session
}

func (s *site) register(session *webauthn.SessionData, answer json.RawMessage) (*webauthn.Credential, error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return s.CreateCredential(s, *session, parsed)
}

func (s *site) login(session *webauthn.SessionData, answer json.RawMessage) (*webauthn.Credential, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	if session.UserID != nil {
		return s.ValidateLogin(s, *session, parsed)
	}
	_, c, err := s.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		if string(handle) != "user 1" {
			return nil, fmt.Errorf("no user %q", handle)
		}
		return s, nil
	}, *session, parsed)
	return c, err
}

// add has p make a key that the site takes.
func (s *site) add(t *testing.T, p *sallyporttest.Passkeys, more ...webauthn.RegistrationOption) *webauthn.Credential {
	t.Helper()
	options, session := s.offering(t, p.Algorithm, more...)
	answer, err := p.Make(options)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.register(session, answer)
	if err != nil {
		t.Fatalf("%v\n%s", explained(err), answer)
	}
	s.keys = append(s.keys, *c)
	return c
}

// signIn has p sign in, with the user's name or, as discoverable, without.
func (s *site) signIn(t *testing.T, p *sallyporttest.Passkeys, discoverable bool) *webauthn.Credential {
	t.Helper()
	options, session := s.asking(t, discoverable)
	answer, err := p.Sign(options)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.login(session, answer)
	if err != nil {
		t.Fatalf("%v\n%s", explained(err), answer)
	}
	return c
}

func (s *site) asking(t *testing.T, discoverable bool) (json.RawMessage, *webauthn.SessionData) {
	t.Helper()
	begin := func() (*protocol.CredentialAssertion, *webauthn.SessionData, error) { return s.BeginLogin(s) }
	if discoverable {
		begin = func() (*protocol.CredentialAssertion, *webauthn.SessionData, error) {
			return s.BeginDiscoverableLogin()
		}
	}
	options, session, err := begin()
	if err != nil {
		t.Fatal(err)
	}
	return asJSON(t, options), session
}

// explained adds what the relying party's errors keep to themselves.
func explained(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) {
		return err.Error() + ": " + e.DevInfo
	}
	return err.Error()
}

var wantsDiscoverable = webauthn.WithResidentKeyRequirement(protocol.ResidentKeyRequirementRequired)

// Another implementation takes what Passkeys answers, in every algorithm and every
// attestation, with a user name and without.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	model := [16]byte{0xd, 0xe, 0xa, 0xd}
	for name, c := range map[string]struct {
		set    func(*sallyporttest.Passkeys)
		format string
		kind   string // of attestation
	}{
		"ES256":           {func(*sallyporttest.Passkeys) {}, "none", "none"},
		"ES384":           {func(p *sallyporttest.Passkeys) { p.Algorithm = -35 }, "none", "none"},
		"ES512":           {func(p *sallyporttest.Passkeys) { p.Algorithm = -36 }, "none", "none"},
		"EdDSA":           {func(p *sallyporttest.Passkeys) { p.Algorithm = -8 }, "none", "none"},
		"RS256":           {func(p *sallyporttest.Passkeys) { p.Algorithm = -257 }, "none", "none"},
		"PS256":           {func(p *sallyporttest.Passkeys) { p.Algorithm = -37 }, "none", "none"},
		"self ES256":      {func(p *sallyporttest.Passkeys) { p.Attestation = "packed" }, "packed", "basic_surrogate"},
		"self EdDSA":      {func(p *sallyporttest.Passkeys) { p.Attestation, p.Algorithm = "packed", -8 }, "packed", "basic_surrogate"},
		"self RS256":      {func(p *sallyporttest.Passkeys) { p.Attestation, p.Algorithm = "packed", -257 }, "packed", "basic_surrogate"},
		"certified":       {func(p *sallyporttest.Passkeys) { p.Attestation, p.AAGUID = "packed-x5c", model }, "packed", "basic_full"},
		"certified EdDSA": {func(p *sallyporttest.Passkeys) { p.Attestation, p.AAGUID, p.Algorithm = "packed-x5c", model, -8 }, "packed", "basic_full"},
		"synced":          {func(p *sallyporttest.Passkeys) { p.Synced, p.BackedUp = true, true }, "none", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := newSite(t), sallyporttest.NewPasskeys(t, loginPage)
			c.set(p)
			made := s.add(t, p, wantsDiscoverable)
			if made.AttestationFormat != c.format || made.AttestationType != c.kind || !bytes.Equal(made.Authenticator.AAGUID, p.AAGUID[:]) {
				t.Errorf("attested by %s (%s), AAGUID %x", made.AttestationFormat, made.AttestationType, made.Authenticator.AAGUID)
			}
			if f := made.Flags; !f.UserPresent || !f.UserVerified || f.BackupEligible != p.Synced || f.BackupState != p.BackedUp {
				t.Errorf("flags %+v", f)
			}
			for _, discoverable := range []bool{false, true} {
				if used := s.signIn(t, p, discoverable); !bytes.Equal(used.ID, made.ID) || used.Authenticator.SignCount != 0 {
					t.Errorf("%x with count %d, want %x with 0", used.ID, used.Authenticator.SignCount, made.ID)
				}
			}
		})
	}
}

// A certificate of the authenticator's leads to its CA, and to no other.
func TestPasskeysCA(t *testing.T) {
	t.Parallel()
	s, p := newSite(t), sallyporttest.NewPasskeys(t, loginPage)
	p.Attestation, p.AAGUID = "packed-x5c", [16]byte{1}
	made := s.add(t, p)
	var object protocol.AttestationObject
	if err := object.UnmarshalCBOR(made.Attestation.Object); err != nil {
		t.Fatal(err)
	}
	chain := object.AttStatement["x5c"].([]any)
	cert, err := x509.ParseCertificate(chain[0].([]byte))
	if err != nil || len(chain) != 1 {
		t.Fatalf("%d certificates, %v", len(chain), err)
	}
	for ca, trusted := range map[*sallyporttest.AttestationCA]bool{p.CA: true, sallyporttest.NewAttestationCA(t): false} {
		roots := x509.NewCertPool()
		roots.AddCert(ca.Certificate)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); (err == nil) != trusted {
			t.Errorf("trusted %v: %v", trusted, err)
		}
	}
}

// A U2F key verifies nobody and is never discoverable.
func TestPasskeysU2F(t *testing.T) {
	t.Parallel()
	s, p := newSite(t), sallyporttest.NewPasskeys(t, loginPage)
	s.Config.AuthenticatorSelection.UserVerification = protocol.VerificationDiscouraged
	p.Attestation, p.AAGUID, p.Attachment, p.Counts = "fido-u2f", [16]byte{1}, "cross-platform", true
	made := s.add(t, p)
	if made.AttestationFormat != "fido-u2f" || made.AttestationType != "basic_full" || !bytes.Equal(made.Authenticator.AAGUID, make([]byte, 16)) || made.Flags.UserVerified {
		t.Errorf("%s (%s), AAGUID %x, %+v", made.AttestationFormat, made.AttestationType, made.Authenticator.AAGUID, made.Flags)
	}
	if used := s.signIn(t, p, false); used.Authenticator.SignCount != 1 {
		t.Errorf("count %d", used.Authenticator.SignCount)
	}
	options, _ := s.asking(t, true)
	if _, err := p.Sign(options); err == nil {
		t.Error("it is discoverable")
	}
}
