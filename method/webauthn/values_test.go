package webauthn_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/fidometa"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// options is what both kinds have, as the browser reads it.
type options struct {
	Challenge string `json:"challenge"`
	Timeout   int    `json:"timeout"`
	RPID      string `json:"rpId"`
	RP        struct {
		ID, Name string
	} `json:"rp"`
	User struct {
		ID, Name, DisplayName string
	} `json:"user"`
	Params []struct {
		Type string `json:"type"`
		Alg  int    `json:"alg"`
	} `json:"pubKeyCredParams"`
	Exclude []struct {
		ID         string
		Transports []string
	} `json:"excludeCredentials"`
	Allow            []struct{ ID string } `json:"allowCredentials"`
	UserVerification string                `json:"userVerification"`
	Selection        struct {
		ResidentKey, UserVerification string
	} `json:"authenticatorSelection"`
	Attestation string `json:"attestation"`
}

func (s *site) read(q authn.Question) options {
	s.t.Helper()
	var o options
	if err := json.Unmarshal(q.Options, &o); err != nil {
		s.t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(o.Challenge)
	if err != nil || len(raw) != 32 || !bytes.Equal(raw, s.m.Asked(q.Kept)) || o.Timeout != 300_000 {
		s.t.Errorf("the challenge %q is kept as %x, for %d ms: %v", o.Challenge, s.m.Asked(q.Kept), o.Timeout, err)
	}
	return o
}

func TestCreate_std72(t *testing.T) {
	s := newSite(t)
	had := s.has().Factor
	o := s.read(s.offer(had))
	id := base64.RawURLEncoding.EncodeToString(s.keys.Credentials()[0].ID)
	if o.RP.ID != "login.example.com" || o.RP.Name != "Acme" || o.User.ID != base64.RawURLEncoding.EncodeToString([]byte("usr_maya")) || o.User.Name != "maya" || o.User.DisplayName != "Maya Lind" ||
		o.Attestation != "none" || o.Selection.ResidentKey != "preferred" || o.Selection.UserVerification != "preferred" {
		t.Errorf("%+v", o)
	}
	if len(o.Exclude) != 1 || o.Exclude[0].ID != id || !slices.Equal(o.Exclude[0].Transports, []string{"internal"}) {
		t.Errorf("excluded: %+v", o.Exclude)
	}
	if len(o.Params) != 3 || o.Params[0].Alg != -7 || o.Params[1].Alg != -8 || o.Params[2].Alg != -257 {
		t.Errorf("algorithms: %+v", o.Params)
	}
	if again := s.read(s.offer()); again.Challenge == o.Challenge || len(again.Exclude) != 0 {
		t.Errorf("the same again: %+v", again)
	}
}

func TestGet_std72(t *testing.T) {
	s := newSite(t)
	had := s.has().Factor
	o := s.read(s.ask(had))
	if o.RPID != "login.example.com" || len(o.Allow) != 1 || o.UserVerification != "preferred" {
		t.Errorf("%+v", o)
	}
	// std-75: a whole sign-in names nobody and lists nothing, so there is nothing to make up.
	whole := s.read(s.ask())
	if len(whole.Allow) != 0 || whole.UserVerification != "required" || whole.Challenge == o.Challenge {
		t.Errorf("%+v", whole)
	}
	for name, kept := range map[string]string{"nothing": "", "no JSON": "{", "no challenge": "{}", "a short one": `{"challenge":"AAAA"}`, "no base64url": `{"challenge":"?"}`} {
		if c := s.m.Asked([]byte(kept)); c != nil {
			t.Errorf("%s: %x", name, c)
		}
	}
}

// What made sure who holds the device is said anew by each answer, whatever the one
// before it said.
func TestUserVerified_std73_cve42(t *testing.T) {
	s := newSite(t)
	s.keys.Verifies = false
	p := s.has()
	if info, _ := webauthn.Read(p.Factor); info.Verified {
		t.Error("verified before anybody was")
	}
	match := s.proves(p, s.ask(p.Factor))
	if match.Traits == nil || match.Traits.UserVerified || !match.Traits.Possession || !match.Traits.PhishingResistant || match.Data != nil {
		t.Errorf("without: %+v", match)
	}
	// A whole sign-in wants it, and a browser that leaves that out changes nothing.
	q := s.ask()
	q.Options = bytes.Replace(q.Options, []byte(`"required"`), []byte(`"discouraged"`), 1)
	got, err := s.verify(p, q, s.signs(q, nil))
	refused(t, "", got, err)

	s.keys.Verifies = true
	if match = s.proves(p, s.ask(p.Factor)); !match.Traits.UserVerified || match.Data == nil {
		t.Fatalf("with: %+v", match)
	}
	p.Factor.Data = match.Data
	if info, _ := webauthn.Read(p.Factor); !info.Verified {
		t.Error("not noted that somebody was")
	}
	if match = s.proves(p, s.ask()); !match.Traits.UserVerified {
		t.Errorf("whole: %+v", match)
	}
	s.keys.Verifies = false
	match = s.proves(p, s.ask(p.Factor))
	if match.Traits.UserVerified || match.Data != nil {
		t.Errorf("without, after it was seen once: %+v", match)
	}
	// At set-up it is the same.
	q = s.offer()
	made, err := s.confirm(q, s.makes(q, nil))
	if err != nil || made.Traits == nil || made.Traits.UserVerified {
		t.Errorf("%+v %v", made, err)
	}
}

func TestKept_std73(t *testing.T) {
	s := newSite(t)
	s.keys.Counts, s.keys.Synced = true, true
	s.keys.Attachment, s.keys.Transports = "cross-platform", []string{"usb", "nfc", "cable", "usb", "made-up"}
	p := s.has()
	info, ok := webauthn.Read(p.Factor)
	want := webauthn.Info{ID: s.keys.Credentials()[0].ID, Transports: info.Transports, Verified: true, Synced: true, Attachment: "cross-platform"}
	if !ok || !bytes.Equal(info.ID, want.ID) || info.Verified != want.Verified || info.Synced != want.Synced || info.BackedUp || info.Attested || info.Attachment != want.Attachment || info.AAGUID != "" {
		t.Errorf("%+v", info)
	}
	if slices.Contains(info.Transports, "made-up") || !slices.Contains(info.Transports, "usb") || len(info.Transports) > 3 {
		t.Errorf("transports %q", info.Transports)
	}
	s.keys.BackedUp = true
	match := s.proves(p, s.ask(p.Factor))
	p.Factor.Data = match.Data
	if info, _ = webauthn.Read(p.Factor); !info.BackedUp || len(match.Noted) != 0 || match.AMR != "swk user" || match.Step == 0 {
		t.Errorf("%+v %+v", info, match)
	}
	bound := newSite(t)
	if match = bound.proves(bound.has(), bound.ask()); match.AMR != "hwk user" {
		t.Errorf("%+v", match)
	}
	for name, f := range map[string]authn.Factor{
		"another kind": {Kind: authn.TOTP, Data: p.Factor.Data}, "no data": {Kind: authn.WebAuthn}, "no JSON": {Kind: authn.WebAuthn, Data: []byte("{")},
		"no id": {Kind: authn.WebAuthn, Data: []byte(`{"uv":true}`)}, "no base64url": {Kind: authn.WebAuthn, Data: []byte(`{"id":"?"}`)},
	} {
		if info, ok := webauthn.Read(f); ok {
			t.Errorf("%s: %+v", name, info)
		}
		if s.m.Holds(f, want.ID) {
			t.Errorf("%s: holds it", name)
		}
		q := s.ask(p.Factor)
		match, err := s.verify(authn.Request{User: s.user, Factor: f, Secret: p.Secret}, q, s.signs(q, nil))
		refused(t, "", match, err)
	}
}

// A passkey that could not be synced may begin to (iCloud, KeePassXC). One that could
// never becomes a key that does not leave its device.
func TestBackupFlags_std73(t *testing.T) {
	s := newSite(t)
	p := s.has()
	s.keys.Synced = true
	match := s.proves(p, s.ask())
	if match.AMR != "swk user" || !slices.Equal(match.Noted, []string{webauthn.BackupChanged}) {
		t.Errorf("began: %+v", match)
	}
	p.Factor.Data = match.Data
	if match = s.proves(p, s.ask()); len(match.Noted) != 0 || match.Data != nil {
		t.Errorf("told twice: %+v", match)
	}
	s.keys.Synced = false
	for _, own := range [][]authn.Factor{nil, {p.Factor}} {
		q := s.ask(own...)
		got, err := s.verify(p, q, s.signs(q, nil))
		refused(t, "", got, err)
	}
}

func TestCounts_std73(t *testing.T) {
	s := newSite(t)
	p := s.has()
	for _, tt := range []struct {
		name       string
		last       int64
		count      uint32
		step       int64
		noted      bool
		unverified bool
	}{
		{name: "none at all", last: 0, count: 0},
		{name: "the first", last: 0, count: 1, step: 1},
		{name: "grows", last: 7, count: 8, step: 8},
		{name: "grows by much", last: 7, count: 1<<32 - 1, step: 1<<32 - 1},
		{name: "stays", last: 7, count: 7, noted: true},
		{name: "goes back", last: 7, count: 6, noted: true},
		{name: "begins anew", last: 7, count: 1, noted: true},
		{name: "ends", last: 7, count: 0, noted: true},
		{name: "the last there is, again", last: 1<<32 - 1, count: 1<<32 - 1, noted: true},
	} {
		p.Factor.LastStep = tt.last
		q := s.ask(p.Factor)
		match, err := s.verify(p, q, s.signs(q, func(a answer) { a.AuthData.SignCount = tt.count }))
		if err != nil || match.Outcome != authn.Right || match.Step != tt.step || slices.Contains(match.Noted, webauthn.CounterBack) != tt.noted {
			t.Errorf("%s: %+v %v", tt.name, match, err)
		}
	}
}

// What an extension puts out is not looked at, wherever it stands, since none is asked for.
func TestExtensions(t *testing.T) {
	s := newSite(t)
	p := s.has()
	many := map[string]any{}
	for i := range 1000 {
		many[strconv.Itoa(i)] = i
	}
	for _, tt := range []struct {
		name       string
		extensions map[string]any
		want       authn.Code // empty: accepted as without
	}{
		{"one", map[string]any{"credProtect": 2}, ""},
		{"a thousand", many, ""},
		{"bytes", map[string]any{"hmac-secret": []byte{1}, "x": true}, ""},
		{"of another type", map[string]any{"credProtect": "x"}, ""},
		{"too deep", map[string]any{"x": [][][][][]int{{{{{1}}}}}}, authn.Invalid},
	} {
		with := func(a answer) {
			a.AuthData.Flags |= sallyporttest.FlagExtensionData
			a.AuthData.Extensions = tt.extensions
			a.ClientExtensionResults["unheard-of"] = map[string]any{"x": []int{1, 2}}
		}
		q := s.ask(p.Factor)
		match, err := s.verify(p, q, s.signs(q, with))
		plain := s.proves(p, s.ask(p.Factor))
		other := newSite(t)
		offered := other.offer()
		made, setUp := other.confirm(offered, other.makes(offered, with))
		if tt.want != "" {
			refused(t, tt.want, match, err)
			refused(t, tt.want, made, setUp)
			continue
		}
		if err != nil || match.Outcome != authn.Right || *match.Traits != *plain.Traits || match.AMR != plain.AMR || len(match.Noted) > 0 {
			t.Errorf("%s: %+v %v", tt.name, match, err)
		}
		if setUp != nil || made.Made == nil {
			t.Errorf("%s: set up: %+v %v", tt.name, made, setUp)
		}
	}
}

// modelsOf is a file that knows one model, whose certificates a CA signs.
func modelsOf(t *testing.T, aaguid [16]byte, ca *sallyporttest.AttestationCA) *webauthn.Models {
	t.Helper()
	alliance, err := fidometa.NewCA("Test of the Alliance")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now() // what verifies statements asks no other clock
	signer, err := fidometa.NewSigner(alliance, fidometa.Host, now.AddDate(0, -1, 0), now.AddDate(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	file, err := signer.File(1, now.AddDate(0, 0, 10), fidometa.Entry{"aaguid": uuid.UUID(aaguid).String(), "metadataStatement": map[string]any{
		"description": "Test Key", "attestationTypes": []string{"basic_full", "basic_surrogate"}, "attestationRootCertificates": []string{base64.StdEncoding.EncodeToString(ca.Certificate.Raw)}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mds.jwt")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := webauthn.LoadModels(path, webauthn.ModelsConfig{Roots: alliance.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDemands_N1(t *testing.T) {
	ours, theirs := [16]byte{1}, [16]byte{2}
	ca, other := sallyporttest.NewAttestationCA(t), sallyporttest.NewAttestationCA(t)
	model, file := uuid.UUID(ours).String(), modelsOf(t, ours, ca)
	for _, tt := range []struct {
		name    string
		demands webauthn.Demands
		models  *webauthn.Models
		attest  string
		aaguid  [16]byte
		ca      *sallyporttest.AttestationCA
		synced  bool
		change  func(answer)
		want    authn.Code
		key     string
	}{
		{name: "nothing demanded", attest: "packed-x5c", aaguid: ours, ca: other, synced: true},
		{name: "attested", demands: webauthn.Demands{Attested: true}, models: file, attest: "packed-x5c", aaguid: ours, ca: ca},
		{name: "the model", demands: webauthn.Demands{Models: []string{model}}, models: file, attest: "packed-x5c", aaguid: ours, ca: ca},
		{name: "not at all", demands: webauthn.Demands{Attested: true}, models: file, attest: "none", aaguid: ours, ca: ca, want: authn.PolicyForbids, key: "error.passkey_attested"},
		{name: "by itself", demands: webauthn.Demands{Attested: true}, models: file, attest: "packed", aaguid: ours, ca: ca, want: authn.PolicyForbids, key: "error.passkey_attested"},
		{name: "of no model", demands: webauthn.Demands{Attested: true}, models: file, attest: "packed-x5c", ca: ca, want: authn.PolicyForbids, key: "error.passkey_attested"},
		{name: "unknown", demands: webauthn.Demands{Attested: true}, models: file, attest: "packed-x5c", aaguid: theirs, ca: ca, want: authn.PolicyForbids, key: "error.passkey_attested"},
		{name: "another root", demands: webauthn.Demands{Attested: true}, models: file, attest: "packed-x5c", aaguid: ours, ca: other, want: authn.PolicyForbids, key: "error.passkey_attested"},
		{name: "another model", demands: webauthn.Demands{Models: []string{uuid.UUID(theirs).String()}}, models: file, attest: "packed-x5c", aaguid: ours, ca: ca, want: authn.PolicyForbids, key: "error.passkey_model"},
		{name: "the number of another model", demands: webauthn.Demands{Models: []string{model}}, models: file, attest: "packed-x5c", aaguid: theirs, ca: ca,
			change: func(a answer) { a.AuthData.Attested.AAGUID = ours[:] }},
		{name: "no metadata", demands: webauthn.Demands{Attested: true}, attest: "packed-x5c", aaguid: ours, ca: ca, want: authn.PolicyForbids, key: "error.passkey_attested"},
		{name: "synced", demands: webauthn.Demands{Bound: true}, synced: true, attest: "none", want: authn.PolicyForbids, key: "error.passkey_synced"},
		{name: "bound", demands: webauthn.Demands{Bound: true}, attest: "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, func(c *webauthn.Config) { c.Models = tt.models })
			s.keys.Attestation, s.keys.AAGUID, s.keys.Synced = tt.attest, tt.aaguid, tt.synced
			if tt.ca != nil {
				s.keys.CA = tt.ca
			}
			s.demand(tt.demands)
			q := s.offer()
			match, err := s.confirm(q, s.makes(q, tt.change))
			switch {
			case tt.change != nil: // the certificate says another number
				refused(t, "", match, err)
			case tt.want != "":
				refused(t, tt.want, match, err)
				if authn.AsError(err).Key != tt.key {
					t.Errorf("%v, want %s", err, tt.key)
				}
			case err != nil || match.Made == nil:
				t.Errorf("%+v %v", match, err)
			default:
				info, _ := webauthn.Read(authn.Factor{Kind: authn.WebAuthn, Data: match.Data})
				if info.Attested != (tt.demands.Attested || len(tt.demands.Models) > 0) {
					t.Errorf("attested: %v", info.Attested)
				}
			}
		})
	}
}

// What the company demanded when it asked is what counts, not what it demands since.
func TestDemandsAreOfTheQuestion(t *testing.T) {
	s := newSite(t)
	s.keys.Synced = true
	s.demand(webauthn.Demands{Bound: true})
	q := s.offer()
	made := s.makes(q, nil)
	s.demand(webauthn.Demands{})
	if _, err := s.confirm(q, made); authn.AsError(err).Code != authn.PolicyForbids {
		t.Errorf("%v", err)
	}
	s.asks = []byte("{")
	if _, err := s.m.Create(authn.Request{User: s.user, Settings: s.asks}, nil); err == nil {
		t.Error("demands that cannot be read are none")
	}
}
