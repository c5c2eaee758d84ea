package sallyporttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"
)

// AttestationCA is a vendor of authenticators, who certifies their models.
type AttestationCA struct {
	// Certificate is the vendor's root, the trust anchor for what it certifies.
	Certificate *x509.Certificate
	key         crypto.Signer
}

// The certificates are valid whatever clock a test has.
var (
	certifiedFrom  = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	certifiedUntil = time.Date(2119, 12, 31, 0, 0, 0, 0, time.UTC)
)

// oidAAGUID is id-fido-gen-ce-aaguid (WebAuthn Level 3, 8.2.1).
var oidAAGUID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}

// NewAttestationCA is a vendor with a root of its own.
func NewAttestationCA(t testing.TB) *AttestationCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &AttestationCA{key: key}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: certifiedFrom, NotAfter: certifiedUntil,
		Subject: pkix.Name{Country: []string{"PL"}, Organization: []string{"Pretend Keys"}, CommonName: "Pretend Keys Root"},
		IsCA:    true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if ca.Certificate, err = ca.issue(root, root, key.Public()); err != nil {
		t.Fatal(err)
	}
	return ca
}

func (ca *AttestationCA) issue(template, parent *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, ca.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// certify makes a key and a certificate for it as WebAuthn Level 3, 8.2.1 has it, which
// suits U2F, too. A model that has no number has no number in its certificate.
func (ca *AttestationCA) certify(aaguid [16]byte, edit func(*x509.Certificate)) (*x509.Certificate, signingKey, error) {
	key, err := newSigningKey(-7)
	if err != nil {
		return nil, key, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, key, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: certifiedFrom, NotAfter: certifiedUntil, BasicConstraintsValid: true,
		Subject: pkix.Name{
			Country: []string{"PL"}, Organization: []string{"Pretend Keys"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Pretend Keys Model 1",
		},
	}
	if aaguid != [16]byte{} {
		value, err := asn1.Marshal(aaguid[:])
		if err != nil {
			return nil, key, err
		}
		template.ExtraExtensions = []pkix.Extension{{Id: oidAAGUID, Value: value}}
	}
	if edit != nil {
		edit(template)
	}
	cert, err := ca.issue(template, ca.Certificate, key.Public())
	return cert, key, err
}

// statement is how a new key is attested: by which format, with a certificate or not,
// and whether it is of U2F's kind, which shows in more than that.
type statement struct {
	format string
	ca     *AttestationCA // nil: without a certificate
	u2f    bool
	aaguid [16]byte // of the model
}

// statement is what this authenticator gives to a page that wants attestation so.
func (p *Passkeys) statement(conveyance string) (statement, error) {
	s := statement{format: p.Attestation, ca: p.CA, aaguid: p.AAGUID}
	switch p.Attestation {
	case "none", "packed":
		s.ca = nil
	case "packed-x5c":
		s.format = "packed"
	case "fido-u2f":
		s.u2f, s.aaguid = true, [16]byte{}
	default:
		return s, fmt.Errorf("Passkeys.Attestation is %q; it can be none, packed, packed-x5c or fido-u2f", p.Attestation)
	}
	switch {
	case s.u2f && p.Algorithm != -7:
		return s, fmt.Errorf("Passkeys.Algorithm is %d; keys with Attestation fido-u2f have only -7", p.Algorithm)
	case p.CA == nil:
		return s, errors.New("Passkeys.CA is nil: leave the one of NewPasskeys, or set one of NewAttestationCA")
	}
	switch conveyance {
	case "direct", "indirect", "enterprise":
		return s, nil
	}
	// The browser takes away what tells one vendor from another (5.1.3, step "none").
	if s.format == "packed" && s.ca == nil && s.aaguid == [16]byte{} {
		return s, nil
	}
	s.format, s.ca = "none", nil
	return s, nil
}

// encode makes the attestation object (WebAuthn Level 3, 6.5.4).
func (s statement) encode(a *PasskeyAnswer, authData, clientDataHash []byte) ([]byte, error) {
	if s.format == "none" && (a.WrongKey || a.EditSignature != nil) {
		return nil, errors.New("attestation none has no signature: set Passkeys.Attestation, and ask for it in the options")
	}
	if s.ca == nil && a.EditCertificate != nil {
		return nil, errors.New("this attestation has no certificate: set Passkeys.Attestation to packed-x5c, and ask for it in the options")
	}
	stmt := map[string]any{}
	if s.format != "none" {
		if err := s.fill(stmt, a, authData, clientDataHash); err != nil {
			return nil, err
		}
	}
	if a.EditStatement != nil {
		a.EditStatement(stmt)
	}
	object, err := encodeCBOR(map[string]any{"fmt": a.Format, "attStmt": stmt, "authData": authData})
	if err != nil {
		return nil, err
	}
	return edited(object, a.EditAttestation), nil
}

// fill writes a statement with a signature: packed (8.2) or FIDO U2F (8.6).
func (s statement) fill(stmt map[string]any, a *PasskeyAnswer, authData, clientDataHash []byte) error {
	signer := a.key
	var at AttestedData
	if a.AuthData.Attested != nil {
		at = *a.AuthData.Attested
	}
	if s.ca != nil {
		cert, key, err := s.ca.certify(s.aaguid, a.EditCertificate)
		if err != nil {
			return err
		}
		signer = key
		stmt["x5c"] = [][]byte{cert.Raw}
	}
	over := [][]byte{authData, clientDataHash}
	if s.format == "fido-u2f" {
		x, _ := at.PublicKey[-2].([]byte)
		y, _ := at.PublicKey[-3].([]byte)
		over = [][]byte{{0}, a.AuthData.RPIDHash, clientDataHash, at.CredentialID, {4}, x, y}
	} else {
		stmt["alg"] = signer.algorithm
	}
	sig, err := a.sign(signer, over...)
	stmt["sig"] = sig
	return err
}
