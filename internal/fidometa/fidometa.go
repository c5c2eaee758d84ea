// Package fidometa writes files as the FIDO Alliance publishes them about models of
// authenticators (Metadata Service 3), signed by a root of its own, for tests. The real
// ones are licensed and large, and can't be altered.
//
// # Threats
//
// It guards nothing: a program believes such a file only if it is given the [Signer]'s
// own root. No program for people links it.
package fidometa

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Host is the name in the certificate that signs the published files.
const Host = "mds.fidoalliance.org"

// CA issues certificates.
type CA struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a root, good from 2020 to 2050.
func NewCA(name string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	cert, err := sign(c, c, key.Public(), key)
	return &CA{cert, key}, err
}

// Pool has the root alone.
func (a *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.Cert)
	return p
}

// Issue makes a certificate for key as template says; its serial number is chosen here.
func (a *CA) Issue(template *x509.Certificate, key any) (*x509.Certificate, error) {
	template.SerialNumber = big.NewInt(2)
	return sign(template, a.Cert, key, a.key)
}

func sign(c, parent *x509.Certificate, public any, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Signer signs files with ES256.
type Signer struct {
	Chain []*x509.Certificate // its own first
	Key   *ecdsa.PrivateKey
}

// NewSigner makes one with a certificate of ca for host, good from one day to another.
func NewSigner(ca *CA, host string, from, until time.Time) (*Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := ca.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key.Public())
	return &Signer{[]*x509.Certificate{cert, ca.Cert}, key}, err
}

// Entry is what a file says of one model; the names are the format's.
type Entry map[string]any

// File is a whole file. next is when another one comes; number is of its issue.
func (s *Signer) File(number int, next time.Time, entries ...Entry) ([]byte, error) {
	payload, err := json.Marshal(map[string]any{"legalHeader": "for tests", "no": number, "nextUpdate": next.UTC().Format(time.DateOnly), "entries": entries})
	if err != nil {
		return nil, err
	}
	var chain []string
	for _, c := range s.Chain {
		chain = append(chain, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return s.Sign(map[string]any{"alg": "ES256", "typ": "JWT", "x5c": chain}, payload)
}

// Sign makes the compact form (RFC 7515) of a header and a payload.
func (s *Signer) Sign(header map[string]any, payload []byte) ([]byte, error) {
	head, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sig, err := jwt.SigningMethodES256.Sign(text, s.Key)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return []byte(text + "." + base64.RawURLEncoding.EncodeToString(sig)), nil
}
