package sallyporttest_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// wrong is an answer with one thing changed, and what the relying party says of it: it
// has to be about that, so that all else is seen to be right.
type wrong struct {
	change func(*sallyporttest.PasskeyAnswer)
	says   string
}

// inBoth are what is wrong with a new key and with one that signs in.
var inBoth = map[string]wrong{
	"challenge":         {func(a *sallyporttest.PasskeyAnswer) { a.ClientData.Challenge = "AAAA" }, "validating challenge"},
	"origin":            {func(a *sallyporttest.PasskeyAnswer) { a.ClientData.Origin = "https://example.org" }, "validating origin"},
	"cross-origin":      {func(a *sallyporttest.PasskeyAnswer) { a.ClientData.CrossOrigin = true }, "cross origin"},
	"top origin":        {func(a *sallyporttest.PasskeyAnswer) { a.ClientData.TopOrigin = "https://example.org" }, "topOrigin"},
	"client data":       {func(a *sallyporttest.PasskeyAnswer) { a.EditClientData = half }, "pars"},
	"RP id":             {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.RPIDHash[0] ^= 1 }, "RP Hash mismatch"},
	"nobody present":    {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Flags &^= sallyporttest.FlagUserPresent }, "User presence"},
	"nobody verified":   {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Flags &^= sallyporttest.FlagUserVerified }, "User verification"},
	"backed up":         {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Flags |= sallyporttest.FlagBackedUp }, "Backup State Flag"},
	"extension flag":    {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Flags |= sallyporttest.FlagExtensionData }, "pars"},
	"more bytes":        {func(a *sallyporttest.PasskeyAnswer) { a.EditAuthData = more }, "pars"},
	"fewer bytes":       {func(a *sallyporttest.PasskeyAnswer) { a.EditAuthData = half }, "pars"},
	"another key":       {func(a *sallyporttest.PasskeyAnswer) { a.WrongKey = true }, "signature"},
	"broken signature":  {func(a *sallyporttest.PasskeyAnswer) { a.EditSignature = lastBit }, "signature"},
	"id":                {func(a *sallyporttest.PasskeyAnswer) { a.ID = []byte("another") }, "rawId"},
	"raw id":            {func(a *sallyporttest.PasskeyAnswer) { a.RawID = []byte("another") }, "rawId"},
	"type":              {func(a *sallyporttest.PasskeyAnswer) { a.Type = "password" }, "type"},
	"extension outputs": {func(a *sallyporttest.PasskeyAnswer) { a.ClientExtensionResults["appid"] = true }, "appid"},
	"no response": {func(a *sallyporttest.PasskeyAnswer) {
		a.EditJSON = func(c map[string]any) { delete(c, "response") }
	}, "pars"},
}

func half(b []byte) []byte { return b[:len(b)/2] }
func more(b []byte) []byte { return append(b, 0) }
func lastBit(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

func statement(edit func(map[string]any)) func(*sallyporttest.PasskeyAnswer) {
	return func(a *sallyporttest.PasskeyAnswer) { a.EditStatement = edit }
}

func certificate(edit func(*x509.Certificate)) func(*sallyporttest.PasskeyAnswer) {
	return func(a *sallyporttest.PasskeyAnswer) { a.EditCertificate = edit }
}

// For the tests of std-73 (WebAuthn Level 3, 7.1): each thing that can be wrong with a
// new key can be made wrong alone.
func TestMakeWith(t *testing.T) {
	t.Parallel()
	key := func(label int, value any) func(*sallyporttest.PasskeyAnswer) {
		return func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Attested.PublicKey[label] = value }
	}
	either := map[string]wrong{
		"ceremony":      {func(a *sallyporttest.PasskeyAnswer) { a.ClientData.Type = "webauthn.get" }, "ceremony type"},
		"algorithm":     {key(3, -257), "algorithm not supported"},
		"no key":        {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Attested = nil }, "pars"},
		"attested flag": {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Flags &^= sallyporttest.FlagAttestedData }, "pars"},
		"attested id":   {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Attested.CredentialID = []byte("another") }, "credential id"},
		"long id":       {func(a *sallyporttest.PasskeyAnswer) { a.SetID(make([]byte, 1024)) }, "pars"},
		"format":        {func(a *sallyporttest.PasskeyAnswer) { a.Format = "unheard-of" }, "format unheard-of"},
		"object":        {func(a *sallyporttest.PasskeyAnswer) { a.EditAttestation = half }, "pars"},
		"no signature":  {statement(func(s map[string]any) { delete(s, "sig") }), "sig"},
		"its algorithm": {statement(func(s map[string]any) { s["alg"] = -257 }), "algorithm"},
	}
	for _, c := range []struct {
		attestation string
		also        map[string]wrong
	}{
		{"packed", map[string]wrong{
			"key type": {key(1, 3), "public key"},
			"curve":    {key(-1, 2), "public key"},
			"point":    {key(-2, make([]byte, 32)), "public key"},
		}},
		{"packed-x5c", map[string]wrong{
			"AAGUID":        {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Attested.AAGUID[0] ^= 1 }, "AAGUID"},
			"unit":          {certificate(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = nil }), "Organizational Unit"},
			"expired":       {certificate(func(c *x509.Certificate) { c.NotAfter = c.NotBefore }), "no longer valid"},
			"may certify":   {certificate(func(c *x509.Certificate) { c.IsCA = true }), "CA"},
			"certificate":   {statement(func(s map[string]any) { s["x5c"] = [][]byte{{1}} }), "certificate"},
			"no long chain": {statement(func(s map[string]any) { s["x5c"] = [][]byte{} }), "certificate"},
		}},
	} {
		s, p := newSite(t), sallyporttest.NewPasskeys(t, loginPage)
		p.Attestation, p.AAGUID = c.attestation, [16]byte{1}
		options, session := s.offering(t, -7)
		for _, table := range []map[string]wrong{inBoth, either, c.also} {
			for name, w := range table {
				t.Run(c.attestation+" "+name, func(t *testing.T) {
					answer, err := p.MakeWith(options, w.change)
					if err != nil {
						t.Fatal(err)
					}
					_, err = s.register(session, answer)
					refused(t, err, w.says)
				})
			}
		}
		right, err := p.MakeWith(options, func(*sallyporttest.PasskeyAnswer) {})
		if err == nil {
			_, err = s.register(session, right)
		}
		if err != nil {
			t.Errorf("what is right: %v", err)
		}
	}
}

func refused(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil {
		t.Error("accepted")
	} else if !strings.Contains(strings.ToLower(explained(err)), strings.ToLower(says)) {
		t.Errorf("refused for %s; want it to be about %q", explained(err), says)
	}
}

// For those of 7.2: the same with a key that signs in.
func TestSignWith(t *testing.T) {
	t.Parallel()
	only := map[string]wrong{
		"ceremony":    {func(a *sallyporttest.PasskeyAnswer) { a.ClientData.Type = "webauthn.create" }, "ceremony type"},
		"user handle": {func(a *sallyporttest.PasskeyAnswer) { a.UserHandle = []byte("user 2") }, "user"},
		"other key":   {func(a *sallyporttest.PasskeyAnswer) { a.SetID([]byte("another")) }, "credential ID"},
		"eligible":    {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Flags |= sallyporttest.FlagBackupEligible }, "Backup Eligible"},
	}
	s, p := newSite(t), sallyporttest.NewPasskeys(t, loginPage)
	s.add(t, p, wantsDiscoverable)
	for kind, discoverable := range map[string]bool{"listed": false, "discoverable": true} {
		options, session := s.asking(t, discoverable)
		for _, table := range []map[string]wrong{inBoth, only} {
			for name, w := range table {
				t.Run(kind+" "+name, func(t *testing.T) {
					answer, err := p.SignWith(options, w.change)
					if err != nil {
						t.Fatal(err)
					}
					_, err = s.login(session, answer)
					refused(t, err, w.says)
				})
			}
		}
		right, err := p.SignWith(options, func(*sallyporttest.PasskeyAnswer) {})
		if err == nil {
			_, err = s.login(session, right)
		}
		if err != nil {
			t.Errorf("what is right: %v", err)
		}
	}
}

// A change that would change nothing is a mistake in a test, and is told.
func TestChangeOfNothing(t *testing.T) {
	t.Parallel()
	s, p := newSite(t), sallyporttest.NewPasskeys(t, loginPage)
	s.add(t, p, wantsDiscoverable)
	made, _ := s.offering(t, -7)
	asked, _ := s.asking(t, true)
	for name, call := range map[string]func() error{
		"the signature of none": func() error {
			_, err := p.MakeWith(made, func(a *sallyporttest.PasskeyAnswer) { a.WrongKey = true })
			return err
		},
		"a signature of none edited": func() error {
			_, err := p.MakeWith(made, func(a *sallyporttest.PasskeyAnswer) { a.EditSignature = lastBit })
			return err
		},
		"the certificate of none": func() error {
			_, err := p.MakeWith(made, certificate(func(*x509.Certificate) {}))
			return err
		},
		"the attestation of an assertion": func() error {
			_, err := p.SignWith(asked, statement(func(map[string]any) {}))
			return err
		},
		"an id without end": func() error {
			_, err := p.MakeWith(made, func(a *sallyporttest.PasskeyAnswer) { a.SetID(make([]byte, 1<<16)) })
			return err
		},
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n := len(p.Credentials()); n != 1 {
		t.Errorf("%d keys after that, want 1", n)
	}
}

// Changed things arrive as they were changed.
func TestChangesArrive(t *testing.T) {
	t.Parallel()
	s, p := newSite(t), sallyporttest.NewPasskeys(t, loginPage)
	options, _ := s.offering(t, -7)
	answer, err := p.MakeWith(options, func(a *sallyporttest.PasskeyAnswer) {
		a.SetID([]byte("an id"))
		a.AuthData.SignCount, a.AuthData.Extensions = 7, map[string]any{"credProtect": 2}
		a.AuthData.Flags |= sallyporttest.FlagExtensionData
		a.Attachment, a.Transports = "", []string{"nfc", "ble"}
		a.EditStatement = func(s map[string]any) { s["x"] = 1 }
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		t.Fatal(err)
	}
	d := c.Response.AttestationObject.AuthData
	switch {
	case string(c.RawID) != "an id" || c.ID != base64.RawURLEncoding.EncodeToString([]byte("an id")) || string(d.AttData.CredentialID) != "an id":
		t.Errorf("ids %q, %q, %q", c.RawID, c.ID, d.AttData.CredentialID)
	case d.Counter != 7 || !bytes.Contains(d.ExtData, []byte("credProtect")):
		t.Errorf("count %d, extensions %x", d.Counter, d.ExtData)
	case c.AuthenticatorAttachment != "" || len(c.Response.Transports) != 2 || bytes.Contains(answer, []byte("authenticatorAttachment")):
		t.Errorf("attachment %q, transports %q", c.AuthenticatorAttachment, c.Response.Transports)
	case c.Response.AttestationObject.AttStatement["x"] == nil:
		t.Error("the statement is as it was")
	}
	if keys := p.Credentials(); len(keys) != 1 || string(keys[0].ID) != "an id" {
		t.Errorf("it has %v", keys)
	}
}
