// Models of authenticators: what a credential says of its own is a claim of whoever
// made it. An AAGUID may name it on a page, and nothing is decided by it. A model is
// proven by an attestation alone whose certificates lead to that model's roots, and
// those are believed only from a file that the FIDO Alliance has signed.

package webauthn

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/google/uuid"
)

// ModelsURL is where the FIDO Alliance publishes the file of models, with a new one
// about once a month.
const ModelsURL = "https://mds3.fidoalliance.org/"

// ModelsConfig sets [LoadModels]. Every field may be left zero.
type ModelsConfig struct {
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // hears of renewed files that are not used; nil: nobody does
	// Roots have issued the certificate of the file's signer; nil: the root that the FIDO
	// Alliance names (GlobalSign Root R46). A test gives one of its own.
	Roots *x509.CertPool
}

// Models are models of authenticators, by the FIDO Alliance's metadata file (Metadata
// Service 3). It is safe for concurrent use; a nil one knows no model.
type Models struct {
	path string
	c    ModelsConfig
	file atomic.Pointer[modelFile]

	mu   sync.Mutex
	last modelStamp // of the file that was read last, whether it was taken or not
}

type modelStamp struct {
	changed time.Time
	size    int64
}

type modelFile struct {
	info   ModelsInfo
	models map[string]*modelEntry // by AAGUID, as Model has it
}

// modelEntry is what the file says of one.
type modelEntry struct {
	Model
	reports []metadata.StatusReport
	roots   *x509.CertPool
}

// Model is a model of authenticators.
type Model struct {
	AAGUID     string // in small letters, with hyphens
	Name       string // as the vendor calls it, in English; empty: not said
	Attachment string // "platform", "cross-platform", or empty: either, or not said
	Hardware   bool   // private keys are kept by hardware
	Attestable bool   // has roots, so that a credential's attestation can be proven
	// Certified is the highest certification that it has: "FIDO_CERTIFIED" (before there
	// were levels), "FIDO_CERTIFIED_L1", "…_L1plus" to "…_L3plus"; empty: none.
	Certified string
	// Refused is the status for which it is not to be trusted any more, such as "REVOKED"
	// or "USER_KEY_PHYSICAL_COMPROMISE" (Metadata Service 3.1.1, AuthenticatorStatus);
	// empty: there is none.
	Refused string
}

// ModelsInfo is what a file says of itself.
type ModelsInfo struct {
	Number  int       // of its issue; later ones are higher
	Until   time.Time // a newer one has been published by then
	Models  int       // that have an AAGUID
	Skipped int       // entries, and certificates in entries, that could not be read
}

// LoadModels reads the file at path, which an operator has got from [ModelsURL]. The
// errors say what is wrong with it and what to do. One that is out of date is good,
// see [Models.Info]; nothing is ever asked over the network, so that a certificate that
// was revoked since is not noticed.
func LoadModels(path string, c ModelsConfig) (*Models, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Roots == nil {
		root, err := x509Certificate(metadata.ProductionMDSRoot)
		if err != nil {
			return nil, err
		}
		c.Roots = x509.NewCertPool()
		c.Roots.AddCert(root)
	}
	m := &Models{path: path, c: c, last: modelStampOf(path)}
	f, err := m.read()
	if err != nil {
		return nil, err
	}
	m.file.Store(f)
	return m, nil
}

// Follow looks once in every for a renewed file, until ctx ends.
func (m *Models) Follow(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			m.Look()
		}
	}
}

// Look takes the file if it is another one than at the last look. One that is no good
// is said in the log, once, and the one before stays.
func (m *Models) Look() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := modelStampOf(m.path)
	if now == m.last {
		return
	}
	m.last = now
	f, err := m.read()
	if err != nil {
		m.c.Log.Warn("the renewed file of models of passkeys is not used", "file", m.path, "error", err)
		return
	}
	m.file.Store(f)
}

func modelStampOf(path string) modelStamp {
	info, err := os.Stat(path)
	if err != nil {
		return modelStamp{size: -1}
	}
	return modelStamp{changed: info.ModTime(), size: info.Size()}
}

// Info says which file is in use.
func (m *Models) Info() ModelsInfo {
	if m == nil {
		return ModelsInfo{}
	}
	return m.file.Load().info
}

// Of finds the model of an AAGUID, which is a claim unless [Models.Attest] has held.
func (m *Models) Of(aaguid string) (Model, bool) {
	found, ok := m.find(aaguid)
	if !ok {
		return Model{}, false
	}
	return found.at(m.c.Now()), true
}

// at is the model with what is reported of it at now.
func (e *modelEntry) at(now time.Time) Model {
	out := e.Model
	for _, r := range metadata.EffectiveStatusReports(e.reports, now) {
		switch {
		// The history counts and not the last word: a later report does not take a weakness
		// back, its own sunset date does.
		case metadata.IsUndesiredAuthenticatorStatus(r.Status):
			out.Refused = string(r.Status)
		case strings.HasPrefix(string(r.Status), string(metadata.FidoCertified)):
			out.Certified = max(out.Certified, string(r.Status)) // they sort as they rank
		}
	}
	return out
}

func (m *Models) find(aaguid string) (*modelEntry, bool) {
	if m == nil {
		return nil, false
	}
	found, ok := m.file.Load().models[strings.ToLower(aaguid)]
	return found, ok
}

// Name is what to call a passkey that has no other name: what people know their
// password manager or system by, else what the file says, else what is built in
// ([ModelName]). Empty: nothing is known.
func (m *Models) Name(aaguid string) string {
	aaguid = strings.ToLower(aaguid)
	if found, ok := m.find(aaguid); ok && managerNames[aaguid] == "" && found.Name != "" {
		return found.Name
	}
	return ModelName(aaguid)
}

// ErrUnattested is why a credential is not proven to come from a model; the text around
// it says more.
var ErrUnattested = errors.New("the model is not proven")

// Attest says whether an attestation proves the model that the credential claims: the
// file has the model, its status is good, and the certificates lead to one of its roots
// (Web Authentication Level 3, section 7.1). The statement itself must have been verified
// before, without a metadata.Provider (protocol.ParsedCredentialCreationData.Verify):
// what has not been proves nothing. The errors wrap [ErrUnattested]; who gets one may
// still keep the credential, as one of which nothing is known.
//
// Statements of the formats "compound" and "android-safetynet" prove nothing here, nor
// do those of FIDO U2F, which have no AAGUID.
func (m *Models) Attest(o *protocol.AttestationObject) error {
	id, err := uuid.FromBytes(o.AuthData.AttData.AAGUID)
	if err != nil {
		return fmt.Errorf("%w: it has no AAGUID", ErrUnattested)
	}
	found, ok := m.find(id.String())
	if !ok {
		return fmt.Errorf("%w: %s is in no file of models here", ErrUnattested, id)
	}
	now := m.c.Now()
	switch of := found.at(now); {
	case of.Refused != "":
		return fmt.Errorf("%w: %s (%s) is %s", ErrUnattested, id, of.Name, of.Refused)
	case !of.Attestable:
		return fmt.Errorf("%w: %s (%s) has no roots in the file of models", ErrUnattested, id, of.Name)
	// The type is what verification found.
	case !(metadata.AuthenticatorAttestationTypes{metadata.AuthenticatorAttestationType(o.Type)}).HasCertificateTrustPath():
		return fmt.Errorf("%w: its statement (%q) has no certificate", ErrUnattested, o.Format)
	}
	chain, err := statementChain(o)
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: found.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return fmt.Errorf("%w: its certificates do not lead to a root of %s (%s): %w", ErrUnattested, id, found.Name, err)
	}
	return nil
}

// subjectAltName is the extension of that name (RFC 5280 section 4.2.1.6).
var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// statementChain is the certificates of a statement; at least one.
func statementChain(o *protocol.AttestationObject) ([]*x509.Certificate, error) {
	raw, _ := o.AttStatement["x5c"].([]any)
	var chain []*x509.Certificate
	for _, item := range raw {
		der, _ := item.([]byte)
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: a certificate of its statement cannot be read: %w", ErrUnattested, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: its statement (%q) has no certificates where they are expected", ErrUnattested, o.Format)
	}
	if o.Format == string(protocol.AttestationFormatTPM) {
		// Its alternative name is critical and names the chip: what verification has read,
		// and crypto/x509 cannot (Web Authentication Level 3, section 8.3.1).
		chain[0].UnhandledCriticalExtensions = slices.DeleteFunc(chain[0].UnhandledCriticalExtensions, func(id asn1.ObjectIdentifier) bool { return id.Equal(subjectAltName) })
	}
	return chain, nil
}
