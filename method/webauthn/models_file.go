package webauthn

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// modelsSigner is the name in the certificate that signs the file. GlobalSign's root
// issues to everybody: without the name, any host's key could sign one.
const modelsSigner = "mds.fidoalliance.org"

// Bounds of the file: bytes (a published one has about 10 MB), certificates of its
// signer, and characters of a name.
const (
	maxModels     = 32 << 20
	maxModelChain = 10
	maxModelName  = 60 // as a person may give a passkey (enroll)
)

// read takes the file as it is now.
func (m *Models) read() (*modelFile, error) {
	info, err := os.Stat(m.path)
	var cause *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file; download it from " + ModelsURL)
	case errors.As(err, &cause): // whose text names the file again
		return nil, cause.Err
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is no file; download one from " + ModelsURL)
	}
	file, err := os.Open(m.path)
	if errors.As(err, &cause) {
		return nil, cause.Err
	} else if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxModels+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxModels {
		return nil, fmt.Errorf("is larger than %d MiB: it is another file; download it from %s", maxModels>>20, ModelsURL)
	}
	return parseModels(data, m.c.Roots, m.c.Now())
}

// parseModels takes what a file holds: a JWT whose payload is the metadata (Metadata
// Service 3.1.1, "Metadata BLOB object processing rules").
func parseModels(data []byte, roots *x509.CertPool, now time.Time) (*modelFile, error) {
	payload, chain, err := openJWS(data)
	if err != nil {
		return nil, fmt.Errorf("%w; download it anew from %s", err, ModelsURL)
	}
	until, err := untilOf(payload)
	if err != nil {
		return nil, fmt.Errorf("%w; download it anew from %s", err, ModelsURL)
	}
	// The certificate's own end comes months after the file's. An old file is as good as
	// it was: what matters is whether its signer was in order while the file was current.
	at := now
	if until.Before(now) {
		at = until
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{DNSName: modelsSigner, Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, fmt.Errorf("is not signed by the FIDO Alliance (%w); download it anew from %s, and look at this machine's clock", err, ModelsURL)
	}
	f, err := parsePayload(payload)
	if err != nil {
		return nil, fmt.Errorf("%w; download it anew from %s", err, ModelsURL)
	}
	return f, nil
}

// modelsAlgorithms are those of RFC 7518 that a certificate's key can check.
var modelsAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}

// openJWS gives the payload that the first certificate of chain has signed (RFC 7515,
// compact form). Whose the certificate is, is the caller's to check.
func openJWS(data []byte) (payload []byte, chain []*x509.Certificate, err error) {
	parts := bytes.SplitN(bytes.TrimSpace(data), []byte("."), 4)
	if len(parts) != 3 {
		return nil, nil, errors.New("is no metadata file of the FIDO Alliance (three parts with dots between)")
	}
	var raw [3][]byte
	for i, part := range parts {
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(string(part)); err != nil {
			return nil, nil, errors.New("is no whole metadata file of the FIDO Alliance (not base64url)")
		}
	}
	var header struct {
		Alg  string   `json:"alg"`
		X5C  []string `json:"x5c"`
		Crit []string `json:"crit"`
	}
	switch err := json.Unmarshal(raw[0], &header); {
	case err != nil || len(header.Crit) > 0 || len(header.X5C) == 0 || len(header.X5C) > maxModelChain:
		return nil, nil, errors.New("has a header that no metadata file of the FIDO Alliance has")
	case !slices.Contains(modelsAlgorithms, header.Alg):
		return nil, nil, fmt.Errorf("is signed with %q, which is none of %s", cleanName(header.Alg), strings.Join(modelsAlgorithms, ", "))
	}
	for _, text := range header.X5C {
		c, err := x509Certificate(text)
		if err != nil {
			return nil, nil, fmt.Errorf("has a certificate that cannot be read (%w)", err)
		}
		chain = append(chain, c)
	}
	signed := bytes.Join(parts[:2], []byte("."))
	if err := jwt.GetSigningMethod(header.Alg).Verify(string(signed), raw[2], chain[0].PublicKey); err != nil {
		return nil, nil, errors.New("has a signature that does not hold: it was altered or cut short")
	}
	return raw[1], chain, nil
}

func x509Certificate(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// untilOf is when the file is out of date: after the day of its nextUpdate.
func untilOf(payload []byte) (time.Time, error) {
	var head struct {
		Next string `json:"nextUpdate"`
	}
	if err := json.Unmarshal(payload, &head); err != nil {
		return time.Time{}, errors.New("holds no metadata (JSON)")
	}
	next, err := time.Parse(time.DateOnly, head.Next)
	if err != nil {
		return time.Time{}, errors.New("does not say when the next one comes (nextUpdate)")
	}
	return next.AddDate(0, 0, 1), nil
}

// parsePayload reads what is kept. An entry that cannot be read is counted, so that one
// vendor's mistake does not take all others away.
func parsePayload(payload []byte) (*modelFile, error) {
	until, err := untilOf(payload)
	if err != nil {
		return nil, err
	}
	var all struct {
		Number  int               `json:"no"`
		Entries []json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(payload, &all); err != nil {
		return nil, errors.New("holds no metadata (JSON)")
	}
	f := &modelFile{info: ModelsInfo{Number: all.Number, Until: until}, models: map[string]*modelEntry{}}
	for _, raw := range all.Entries {
		found, skipped := parseModel(raw)
		f.info.Skipped += skipped
		if found != nil {
			f.models[found.AAGUID] = found
		}
	}
	if f.info.Models = len(f.models); f.info.Models == 0 {
		return nil, errors.New("holds no model")
	}
	return f, nil
}

// parseModel reads an entry; nil for one without an AAGUID, which is of an older
// protocol. skipped counts what cannot be read.
func parseModel(raw []byte) (found *modelEntry, skipped int) {
	var e struct {
		AAGUID    string `json:"aaguid"`
		Statement struct {
			Description string                                 `json:"description"`
			Types       metadata.AuthenticatorAttestationTypes `json:"attestationTypes"`
			Roots       []string                               `json:"attestationRootCertificates"`
			Protection  []string                               `json:"keyProtection"`
			Attachment  []string                               `json:"attachmentHint"`
		} `json:"metadataStatement"`
		Reports []struct {
			Status metadata.AuthenticatorStatus `json:"status"`
			From   string                       `json:"effectiveDate"`
			Until  string                       `json:"sunsetDate"`
		} `json:"statusReports"`
	}
	if json.Unmarshal(raw, &e) != nil {
		return nil, 1
	}
	if e.AAGUID == "" {
		return nil, 0
	}
	id, err := uuid.Parse(e.AAGUID)
	if err != nil || id == uuid.Nil {
		return nil, 1
	}
	s := e.Statement
	found = &modelEntry{roots: x509.NewCertPool(), Model: Model{
		AAGUID: id.String(), Name: cleanName(s.Description), Attachment: attachmentOf(s.Attachment),
		Hardware: slices.Contains(s.Protection, "hardware") && !slices.Contains(s.Protection, "software"),
	}}
	for _, r := range e.Reports {
		// Without a date that can be read, a report holds from ever and for ever.
		found.reports = append(found.reports, metadata.StatusReport{Status: r.Status, EffectiveDate: dateOf(r.From), SunsetDate: dateOf(r.Until)})
	}
	for _, text := range s.Roots {
		c, err := x509Certificate(text)
		if err != nil {
			skipped++
			continue
		}
		found.roots.AddCert(c)
		found.Attestable = s.Types.HasCertificateTrustPath()
	}
	return found, skipped
}

func dateOf(s string) *time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return nil
	}
	return &t
}

// attachmentOf reads ATTACHMENT_HINT (FIDO Registry of Predefined Values).
func attachmentOf(hints []string) string {
	switch internal := slices.Contains(hints, "internal"); {
	case internal && len(hints) == 1:
		return string(protocol.Platform)
	case len(hints) > 0 && !internal:
		return string(protocol.CrossPlatform)
	}
	return ""
}

// cleanName is a name without what is not seen or turns what is beside it, and not too long.
func cleanName(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	s = strings.TrimSpace(strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return -1
		}
		return c
	}, s))
	if r := []rune(s); len(r) > maxModelName {
		s = strings.TrimSpace(string(r[:maxModelName]))
	}
	return s
}
