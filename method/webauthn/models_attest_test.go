package webauthn_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/google/uuid"

	"github.com/sallyport-mfa/sallyport/internal/fidometa"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// Attest, after the verification that it builds on, with whole answers of an
// authenticator: only a certificate of the model's own vendor proves it.
func TestAttest_answers(t *testing.T) {
	model, other := uuid.MustParse("0a0b0c0d-0000-4000-8000-000000000001"), uuid.MustParse("0a0b0c0d-0000-4000-8000-000000000002")
	vendor := sallyporttest.NewAttestationCA(t)
	now := time.Now() // what verifies statements asks no other clock
	ca, err := fidometa.NewCA("Test of the Alliance")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := fidometa.NewSigner(ca, fidometa.Host, now.AddDate(0, -1, 0), now.AddDate(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	data, err := signer.File(1, now.AddDate(0, 0, 10), fidometa.Entry{"aaguid": model.String(), "metadataStatement": map[string]any{
		"description": "Test Key 5", "attestationTypes": []string{"basic_full", "basic_surrogate"}, "attestationRootCertificates": []string{base64.StdEncoding.EncodeToString(vendor.Certificate.Raw)}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mds.jwt")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := webauthn.LoadModels(path, webauthn.ModelsConfig{Roots: ca.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	challenge := strings.Repeat("c", 43)
	options := `{"challenge":"` + challenge + `","rp":{"id":"example.com","name":"Example"},"user":{"id":"dQ","name":"maya","displayName":"Maya"},
		"pubKeyCredParams":[{"type":"public-key","alg":-7}],"attestation":"direct"}`
	for _, c := range []struct {
		name, attestation string
		aaguid            uuid.UUID
		ca                *sallyporttest.AttestationCA
		want              string // empty: proven
	}{
		{"of the vendor", "packed-x5c", model, vendor, ""},
		{"of somebody else", "packed-x5c", model, sallyporttest.NewAttestationCA(t), "do not lead to a root"},
		{"another model of the vendor", "packed-x5c", other, vendor, "is in no file"},
		{"by its own key", "packed", model, vendor, "has no certificate"},
		{"U2F", "fido-u2f", model, vendor, "is in no file"},
		{"none", "none", model, vendor, "has no certificate"},
	} {
		keys := sallyporttest.NewPasskeys(t, "https://login.example.com")
		keys.Attestation, keys.AAGUID, keys.CA = c.attestation, c.aaguid, c.ca
		answer, err := keys.Make([]byte(options))
		if err != nil {
			t.Fatal(err)
		}
		p, err := protocol.ParseCredentialCreationResponseBytes(answer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(challenge, "example.com", []string{"https://login.example.com"}, nil, nil, protocol.TopOriginExplicitVerificationMode, false, false, true, nil,
			[]protocol.CredentialParameter{{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256}}, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := m.Attest(&p.Response.AttestationObject); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
