package webauthn

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/google/uuid"

	"github.com/sallyport-mfa/sallyport/internal/fidometa"
)

const (
	keyModel     = "0a0b0c0d-0000-4000-8000-000000000001"
	revokedModel = "0a0b0c0d-0000-4000-8000-000000000002"
	selfModel    = "0a0b0c0d-0000-4000-8000-000000000003"
	tpmModel     = "0a0b0c0d-0000-4000-8000-000000000004"
	otherModel   = "0a0b0c0d-0000-4000-8000-000000000005"
)

func utc(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

var (
	filesDay  = utc(2026, 11, 22)
	filesNext = utc(2026, 12, 1)
)

func sure[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// fileMakers is what stands behind a file: the Alliance's root, its signer, a vendor's root.
type fileMakers struct {
	alliance, vendor *fidometa.CA
	signer           *fidometa.Signer
}

func newFileMakers() fileMakers {
	a := sure(fidometa.NewCA("Test of the Alliance"))
	return fileMakers{a, sure(fidometa.NewCA("Vendor")), sure(fidometa.NewSigner(a, fidometa.Host, utc(2026, 8, 21), utc(2027, 3, 8)))}
}

func statusOf(status, from, until string) map[string]any {
	r := map[string]any{"status": status}
	if from != "" {
		r["effectiveDate"] = from
	}
	if until != "" {
		r["sunsetDate"] = until
	}
	return r
}

func (k fileMakers) entry(aaguid, name string, types []string, reports ...map[string]any) fidometa.Entry {
	root := base64.StdEncoding.EncodeToString(k.vendor.Cert.Raw)
	return fidometa.Entry{"aaguid": aaguid, "timeOfLastStatusChange": "2026-01-01", "statusReports": reports, "metadataStatement": map[string]any{
		"description": name, "attestationTypes": types, "attestationRootCertificates": []string{root},
		"keyProtection": []string{"hardware", "secure_element"}, "attachmentHint": []string{"external", "wired", "nfc"}, "icon": "data:image/png;base64,AAAA",
	}}
}

func (k fileMakers) entries() []fidometa.Entry {
	self := k.entry(selfModel, "Software\u202e key\n", []string{"basic_surrogate"}, statusOf("NOT_FIDO_CERTIFIED", "", ""))
	s := self["metadataStatement"].(map[string]any)
	s["attestationRootCertificates"], s["keyProtection"], s["attachmentHint"] = []string{}, []string{"software"}, []string{"internal"}
	tpm := k.entry(tpmModel, "A chip", []string{"attca"}, statusOf("FIDO_CERTIFIED", "", ""))
	s = tpm["metadataStatement"].(map[string]any)
	s["attestationRootCertificates"] = append(s["attestationRootCertificates"].([]string), "no certificate")
	s["attachmentHint"] = []string{"internal", "external"}
	return []fidometa.Entry{
		k.entry(strings.ToUpper(keyModel), "Test Key 5", []string{"basic_full"},
			statusOf("FIDO_CERTIFIED_L2", "2024-05-01", ""), statusOf("FIDO_CERTIFIED_L1", "2022-01-01", ""), statusOf("USER_VERIFICATION_BYPASS", "2023-01-01", "2023-06-01"),
			statusOf("UPDATE_AVAILABLE", "2025-01-01", ""), statusOf("RETIRED", "2027-01-01", "")),
		k.entry(revokedModel, "Bad Key", []string{"basic_full"}, statusOf("FIDO_CERTIFIED_L1", "2022-01-01", ""), statusOf("REVOKED", "never", ""), statusOf("FIDO_CERTIFIED_L1", "2026-10-01", "")),
		self, tpm,
		{"attestationCertificateKeyIdentifiers": []string{"0011"}, "metadataStatement": map[string]any{"description": "U2F"}},
		{"aaguid": "not one"},
		{"aaguid": uuid.Nil.String()},
		{"aaguid": 7},
	}
}

func putFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (k fileMakers) load(t *testing.T, now *time.Time) *Models {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mds.jwt")
	putFile(t, path, sure(k.signer.File(71, filesNext, k.entries()...)))
	m, err := LoadModels(path, ModelsConfig{Now: func() time.Time { return *now }, Roots: k.alliance.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What a file says of each model; its statuses come and go with their dates.
func TestModels(t *testing.T) {
	now := filesDay
	m := newFileMakers().load(t, &now)
	if got, want := m.Info(), (ModelsInfo{Number: 71, Until: utc(2026, 12, 2), Models: 4, Skipped: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	key := Model{AAGUID: keyModel, Name: "Test Key 5", Attachment: "cross-platform", Hardware: true, Attestable: true, Certified: "FIDO_CERTIFIED_L2"}
	bypassed, retired := key, key
	bypassed.Certified, bypassed.Refused, retired.Refused = "FIDO_CERTIFIED_L1", "USER_VERIFICATION_BYPASS", "RETIRED"
	for _, c := range []struct {
		aaguid string
		at     time.Time
		want   Model
	}{
		{keyModel, filesDay, key},
		{strings.ToUpper(keyModel), filesDay, key},
		{keyModel, utc(2023, 5, 31), bypassed},
		{keyModel, utc(2026, 12, 31), key},
		{keyModel, utc(2027, 1, 1), retired},
		{revokedModel, filesDay, Model{AAGUID: revokedModel, Name: "Bad Key", Attachment: "cross-platform", Hardware: true, Attestable: true, Certified: "FIDO_CERTIFIED_L1", Refused: "REVOKED"}},
		{selfModel, filesDay, Model{AAGUID: selfModel, Name: "Software key", Attachment: "platform"}},
		{tpmModel, filesDay, Model{AAGUID: tpmModel, Name: "A chip", Hardware: true, Attestable: true, Certified: "FIDO_CERTIFIED"}},
		{otherModel, filesDay, Model{}},
		{uuid.Nil.String(), filesDay, Model{}},
		{"", filesDay, Model{}},
	} {
		now = c.at
		if got, ok := m.Of(c.aaguid); got != c.want || ok != (c.want != Model{}) {
			t.Errorf("%s on %s: %+v, want %+v", c.aaguid, c.at.Format(time.DateOnly), got, c.want)
		}
	}
	var none *Models
	if _, ok := none.Of(keyModel); ok || none.Info() != (ModelsInfo{}) {
		t.Error("without a file something is known")
	}
}

// A name that people know is better than the file's; the file's is better than ours for keys.
func TestModelNames(t *testing.T) {
	const icloud, yubikey = "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", "2fc0579f-8113-47ea-b116-bb5a8db9202a"
	k := newFileMakers()
	path := filepath.Join(t.TempDir(), "mds.jwt")
	putFile(t, path, sure(k.signer.File(1, filesNext, k.entry(icloud, "Apple Passwords in the iCloud Keychain", nil), k.entry(yubikey, "YubiKey 5 Series with NFC", nil),
		k.entry(keyModel, strings.Repeat("Ł", 61), nil), k.entry(otherModel, "\u200b\x00", nil))))
	m := sure(LoadModels(path, ModelsConfig{Now: func() time.Time { return filesDay }, Roots: k.alliance.Pool()}))
	for _, c := range []struct{ aaguid, file, built string }{
		{icloud, "iCloud Keychain", "iCloud Keychain"},
		{strings.ToUpper(icloud), "iCloud Keychain", "iCloud Keychain"},
		{yubikey, "YubiKey 5 Series with NFC", "YubiKey 5 NFC"},
		{"ee882879-721c-4913-9775-3dfcce97072a", "YubiKey 5", "YubiKey 5"},
		{keyModel, strings.Repeat("Ł", 60), ""},
		{otherModel, "", ""},
		{uuid.Nil.String(), "", ""},
		{"", "", ""},
	} {
		if got := m.Name(c.aaguid); got != c.file {
			t.Errorf("%s with a file: %q, want %q", c.aaguid, got, c.file)
		}
		if got := (*Models)(nil).Name(c.aaguid); got != c.built || ModelName(c.aaguid) != c.built {
			t.Errorf("%s without: %q, want %q", c.aaguid, got, c.built)
		}
	}
	for _, list := range []map[string]string{managerNames, keyNames} {
		for aaguid, name := range list {
			if id, err := uuid.Parse(aaguid); err != nil || id.String() != aaguid || name == "" || cleanName(name) != name {
				t.Errorf("%s: %q", aaguid, name)
			}
		}
	}
}

// A file is believed only if the Alliance's own certificate has signed all of it.
func TestLoadModels_refused(t *testing.T) {
	k := newFileMakers()
	whole := sure(k.signer.File(71, filesNext, k.entries()...))
	parts := bytes.Split(whole, []byte("."))
	var header map[string]any
	if err := json.Unmarshal(sure(base64.RawURLEncoding.DecodeString(string(parts[0]))), &header); err != nil {
		t.Fatal(err)
	}
	payload := sure(base64.RawURLEncoding.DecodeString(string(parts[1])))
	with := func(key string, value any) []byte {
		h := map[string]any{"alg": "ES256", "x5c": header["x5c"]}
		if h[key] = value; value == nil {
			delete(h, key)
		}
		return sure(k.signer.Sign(h, payload))
	}
	by := func(s *fidometa.Signer) []byte { return sure(s.File(71, filesNext, k.entries()...)) }
	named := func(host string, from, until time.Time) []byte {
		return by(sure(fidometa.NewSigner(k.alliance, host, from, until)))
	}
	signed := func(payload string) []byte {
		return sure(k.signer.Sign(map[string]any{"alg": "ES256", "x5c": header["x5c"]}, []byte(payload)))
	}
	between, stranger := sure(fidometa.NewSigner(k.alliance, fidometa.Host, utc(2026, 8, 21), utc(2027, 3, 8))), newFileMakers()
	between.Chain[0] = k.signer.Chain[0] // somebody else's certificate, with a key of one's own
	folder := t.TempDir()
	for _, c := range []struct {
		name string
		data []byte // nil: no file
		now  time.Time
		want string // empty: taken
	}{
		{"whole", whole, filesDay, ""},
		{"with a line's end", append(bytes.Clone(whole), '\r', '\n'), filesDay, ""},
		{"out of date, its signer's certificate too", whole, utc(2029, 1, 1), ""},
		{"other end of a certificate", named(fidometa.Host, utc(2026, 8, 21), utc(2026, 11, 30)), utc(2026, 11, 29), ""},

		{"missing", nil, filesDay, "there is no such file; download it from https://mds3.fidoalliance.org/"},
		{"empty", []byte{}, filesDay, "is no metadata file"},
		{"dots", bytes.Repeat([]byte("."), maxModels), filesDay, "is no metadata file"},
		{"a page", []byte("<!doctype html><title>Terms</title>"), filesDay, "is no metadata file"},
		{"too large", bytes.Repeat([]byte("a"), maxModels+1), filesDay, "is larger than 32 MiB"},
		{"cut short", whole[:len(whole)-10], filesDay, "does not hold"},
		{"cut in the middle", whole[:len(whole)/2], filesDay, "is no metadata file"},
		{"a letter of the payload", bytes.Join([][]byte{parts[0], append([]byte("a"), parts[1][1:]...), parts[2]}, []byte(".")), filesDay, "does not hold"},
		{"a letter that is none", bytes.Join([][]byte{parts[0], append([]byte("="), parts[1][1:]...), parts[2]}, []byte(".")), filesDay, "not base64url"},
		{"no signature", bytes.Join([][]byte{parts[0], parts[1], nil}, []byte(".")), filesDay, "does not hold"},
		{"alg none", with("alg", "none"), filesDay, `is signed with "none"`},
		{"alg of a shared secret", with("alg", "HS256"), filesDay, `is signed with "HS256"`},
		{"alg of another key", with("alg", "RS256"), filesDay, "does not hold"},
		{"alg missing", with("alg", nil), filesDay, `is signed with ""`},
		{"certificates elsewhere", with("x5c", nil), filesDay, "has a header"},
		{"no certificates", with("x5c", []string{}), filesDay, "has a header"},
		{"too many certificates", with("x5c", make([]string, maxModelChain+1)), filesDay, "has a header"},
		{"certificates of another kind", with("x5c", []int{1}), filesDay, "has a header"},
		{"no certificate", with("x5c", []string{"AAAA"}), filesDay, "has a certificate that cannot be read"},
		{"a critical extension", with("crit", []string{"b64"}), filesDay, "has a header"},
		{"somebody else's certificate", by(between), filesDay, "does not hold"},
		{"another root", by(stranger.signer), filesDay, "is not signed by the FIDO Alliance"},
		{"a root in the file", by(&fidometa.Signer{Chain: []*x509.Certificate{stranger.signer.Chain[0], stranger.alliance.Cert, k.alliance.Cert}, Key: stranger.signer.Key}), filesDay, "is not signed by the FIDO Alliance"},
		{"another host of the same root", named("login.example.com", utc(2026, 8, 21), utc(2027, 3, 8)), filesDay, "is not signed by the FIDO Alliance"},
		{"a host below", named("x."+fidometa.Host, utc(2026, 8, 21), utc(2027, 3, 8)), filesDay, "is not signed by the FIDO Alliance"},
		{"a certificate that begins later", whole, utc(2026, 8, 20), "look at this machine's clock"},
		{"a certificate that had ended", named(fidometa.Host, utc(2026, 1, 1), utc(2026, 11, 1)), filesDay, "is not signed by the FIDO Alliance"},
		{"no JSON", signed("<"), filesDay, "holds no metadata"},
		{"no list", signed(`{"no":1,"nextUpdate":"2026-12-01","entries":{}}`), filesDay, "holds no metadata"},
		{"no date", signed(`{"no":1,"entries":[]}`), filesDay, "nextUpdate"},
		{"no models", signed(`{"no":1,"nextUpdate":"2026-12-01","entries":[{"aaid":"1234#5678"}]}`), filesDay, "holds no model"},
	} {
		path := filepath.Join(folder, strings.ReplaceAll(c.name, " ", "-"))
		if c.data != nil {
			putFile(t, path, c.data)
		}
		m, err := LoadModels(path, ModelsConfig{Now: func() time.Time { return c.now }, Roots: k.alliance.Pool()})
		switch {
		case c.want == "" && (err != nil || m.Info().Models != 4):
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), ModelsURL)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if _, err := LoadModels(path, ModelsConfig{Now: func() time.Time { return c.now }}); err == nil {
			t.Errorf("%s: believed without its root", c.name)
		}
	}
	if _, err := LoadModels(folder, ModelsConfig{}); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("a folder: %v", err)
	}
}

// The root that is built in is the one that the Alliance names: GlobalSign Root R46,
// with the fingerprint that GlobalSign publishes. It comes from a module, and must not
// change without somebody's looking.
func TestModelsRoot(t *testing.T) {
	root, err := x509Certificate(metadata.ProductionMDSRoot)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(root.Raw)
	if got := hex.EncodeToString(sum[:]); got != "4fa3126d8d3a11d1c4855a4f807cbad6cf919d3a5a88b03bea2c6372d93c40c9" {
		t.Errorf("it is %s (%s)", root.Subject, got)
	}
}

// A renewed file is taken; one that is no good is said once, and changes nothing.
func TestModels_renewed(t *testing.T) {
	k := newFileMakers()
	path := filepath.Join(t.TempDir(), "mds.jwt")
	put := func(data []byte, at time.Time) {
		putFile(t, path, data)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	put(sure(k.signer.File(1, filesNext, k.entries()...)), filesDay)
	var log bytes.Buffer
	m := sure(LoadModels(path, ModelsConfig{Now: func() time.Time { return filesDay }, Roots: k.alliance.Pool(), Log: slog.New(slog.NewTextHandler(&log, nil))}))
	for _, c := range []struct {
		name   string
		change func()
		number int
		lines  int
	}{
		{"nothing changed", func() {}, 1, 0},
		{"renewed", func() { put(sure(k.signer.File(2, filesNext, k.entries()...)), filesDay.Add(time.Minute)) }, 2, 0},
		{"of somebody else", func() {
			put(sure(newFileMakers().signer.File(3, filesNext, k.entries()...)), filesDay.Add(2*time.Minute))
		}, 2, 1},
		{"still", func() {}, 2, 1},
		{"gone", func() { os.Remove(path) }, 2, 2},
		{"still gone", func() {}, 2, 2},
		{"back", func() { put(sure(k.signer.File(4, filesNext, k.entries()...)), filesDay.Add(3*time.Minute)) }, 4, 2},
	} {
		c.change()
		m.Look()
		if got, lines := m.Info().Number, strings.Count(log.String(), "\n"); got != c.number || lines != c.lines {
			t.Errorf("%s: number %d and %d lines, want %d and %d\n%s", c.name, got, lines, c.number, c.lines, log.String())
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	m.Follow(ctx, time.Hour)
	(*Models)(nil).Look()
}

// The model is proven by certificates that lead to its roots, and by nothing else.
func TestAttest(t *testing.T) {
	now := filesDay
	k := newFileMakers()
	m := k.load(t, &now)
	device := sure(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).Public()
	issue := func(ca *fidometa.CA, change func(*x509.Certificate)) []byte {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: "A device"}, NotBefore: utc(2025, 1, 1), NotAfter: utc(2028, 1, 1)}
		change(c)
		return sure(ca.Issue(c, device)).Raw
	}
	plain := func(*x509.Certificate) {}
	// A critical alternative name that holds a directoryName alone, as TPMs have it.
	san := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: subjectAltName, Critical: true, Value: []byte{0x30, 0x04, 0xa4, 0x02, 0x30, 0x00}}}
	}
	unknown := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{0x05, 0x00}}}
	}
	middle := sure(k.vendor.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "Between"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: utc(2025, 1, 1), NotAfter: utc(2028, 1, 1)}, device)).Raw
	strange := sure(fidometa.NewCA("Vendor")) // of the same name
	for _, c := range []struct {
		name, aaguid, format, of string
		chain                    any
		at                       time.Time
		want                     string // empty: proven
	}{
		{"a key", keyModel, "packed", "basic_full", []any{issue(k.vendor, plain)}, filesDay, ""},
		{"with its root", keyModel, "packed", "basic_full", []any{issue(k.vendor, plain), k.vendor.Cert.Raw}, filesDay, ""},
		{"with another certificate", keyModel, "packed", "basic_full", []any{issue(k.vendor, plain), middle}, filesDay, ""},
		{"a chip", tpmModel, "tpm", "attca", []any{issue(k.vendor, san)}, filesDay, ""},
		{"a chip's name elsewhere", keyModel, "packed", "basic_full", []any{issue(k.vendor, san)}, filesDay, "do not lead"},
		{"a chip with more", tpmModel, "tpm", "attca", []any{issue(k.vendor, unknown)}, filesDay, "do not lead"},
		{"another root", keyModel, "packed", "basic_full", []any{issue(strange, plain), strange.Cert.Raw}, filesDay, "do not lead"},
		{"the Alliance's root", keyModel, "packed", "basic_full", []any{issue(k.alliance, plain)}, filesDay, "do not lead"},
		{"ended", keyModel, "packed", "basic_full", []any{issue(k.vendor, func(c *x509.Certificate) { c.NotAfter = utc(2026, 11, 21) })}, filesDay, "do not lead"},
		{"unknown", otherModel, "packed", "basic_full", []any{issue(k.vendor, plain)}, filesDay, "is in no file"},
		{"no AAGUID", uuid.Nil.String(), "fido-u2f", "basic_full", []any{issue(k.vendor, plain)}, filesDay, "is in no file"},
		{"revoked", revokedModel, "packed", "basic_full", []any{issue(k.vendor, plain)}, filesDay, "is REVOKED"},
		{"retired", keyModel, "packed", "basic_full", []any{issue(k.vendor, plain)}, utc(2027, 2, 1), "is RETIRED"},
		{"a model without roots", selfModel, "packed", "basic_full", []any{issue(k.vendor, plain)}, filesDay, "has no roots"},
		{"by its own key", keyModel, "packed", "basic_surrogate", nil, filesDay, "has no certificate"},
		{"none", keyModel, "none", "none", nil, filesDay, "has no certificate"},
		{"not verified", keyModel, "packed", "", []any{issue(k.vendor, plain)}, filesDay, "has no certificate"},
		{"an unknown type", keyModel, "packed", "ecdaa", []any{issue(k.vendor, plain)}, filesDay, "has no certificate"},
		{"compound", keyModel, "compound", "basic_full", nil, filesDay, "no certificates where"},
		{"an empty list", keyModel, "packed", "basic_full", []any{}, filesDay, "no certificates where"},
		{"no list", keyModel, "packed", "basic_full", "AAAA", filesDay, "no certificates where"},
		{"no certificate", keyModel, "packed", "basic_full", []any{[]byte{1}}, filesDay, "cannot be read"},
		{"no bytes", keyModel, "packed", "basic_full", []any{issue(k.vendor, plain), 7}, filesDay, "cannot be read"},
	} {
		now = c.at
		id := uuid.MustParse(c.aaguid)
		o := &protocol.AttestationObject{Format: c.format, Type: c.of, AttStatement: map[string]any{"x5c": c.chain}}
		o.AuthData.AttData.AAGUID = id[:]
		err := m.Attest(o)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrUnattested) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err := (*Models)(nil).Attest(o); !errors.Is(err, ErrUnattested) {
			t.Errorf("%s without a file: %v", c.name, err)
		}
	}
	if err := m.Attest(&protocol.AttestationObject{}); !errors.Is(err, ErrUnattested) {
		t.Errorf("nothing: %v", err)
	}
}

// Nothing that is read breaks the program, and nothing is believed that was not signed.
func FuzzModels(f *testing.F) {
	k := newFileMakers()
	whole := sure(k.signer.File(71, filesNext, k.entries()...))
	parts := bytes.Split(whole, []byte("."))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(sure(base64.RawURLEncoding.DecodeString(string(parts[1]))))
	f.Add([]byte(`{"no":1,"nextUpdate":"2026-12-01","entries":[null,7,{"aaguid":"` + keyModel + `","statusReports":[{"status":"REVOKED","effectiveDate":"0000-00-00"}],"metadataStatement":{"attestationRootCertificates":["AA==",""]}}]}`))
	f.Add([]byte("e30.e30.e30"))
	roots := k.alliance.Pool()
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := parseModels(data, roots, filesDay); err == nil && !bytes.HasPrefix(bytes.TrimSpace(data), whole[:bytes.LastIndexByte(whole, '.')+1]) {
			t.Errorf("believed: %q", data)
		}
		file, err := parsePayload(data)
		if err != nil {
			return
		}
		for aaguid, found := range file.models {
			if id, err := uuid.Parse(aaguid); err != nil || id == uuid.Nil || found.AAGUID != aaguid || id.String() != aaguid || cleanName(found.Name) != found.Name {
				t.Errorf("%q: %+v", aaguid, found.Model)
			}
		}
	})
}
