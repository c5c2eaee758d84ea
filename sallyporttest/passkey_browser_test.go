package sallyporttest_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// creating are options with some members changed; null takes a member out.
func creating(t *testing.T, change string) json.RawMessage {
	t.Helper()
	return changed(t, `{"rp":{"id":"example.com","name":"Example"},"user":{"id":"dXNlciAx","name":"maya","displayName":"Maya"},
		"challenge":"Y2hhbGxlbmdl","pubKeyCredParams":[{"type":"public-key","alg":-7}]}`, change)
}

func asking(t *testing.T, change string) json.RawMessage {
	t.Helper()
	return changed(t, `{"rpId":"example.com","challenge":"Y2hhbGxlbmdl"}`, change)
}

func changed(t *testing.T, options, change string) json.RawMessage {
	t.Helper()
	var all, some map[string]any
	if err := errors.Join(json.Unmarshal([]byte(options), &all), json.Unmarshal([]byte(change), &some)); err != nil {
		t.Fatal(err)
	}
	maps.Copy(all, some)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return asJSON(t, all)
}

// What browsers refuse (WebAuthn Level 3, 5.1.3 and 5.1.4) is refused, with their name
// for it; everything else is not.
func TestPasskeysRefuse(t *testing.T) {
	t.Parallel()
	type set = func(*sallyporttest.Passkeys)
	usual := func(*sallyporttest.Passkeys) {}
	blind := func(p *sallyporttest.Passkeys) { p.Verifies = false }
	u2f := func(p *sallyporttest.Passkeys) { p.Attestation = "fido-u2f" }
	small := func(p *sallyporttest.Passkeys) { p.Discoverable = false }
	at := func(origin string) set {
		return func(p *sallyporttest.Passkeys) { p.Origin = origin }
	}
	for _, c := range []struct {
		name   string
		set    set
		change string
		want   string // "" if it makes a key
	}{
		{"as it should be", usual, `{}`, ""},
		{"wrapped", usual, `{"publicKey":null}`, ""},
		{"no RP id", usual, `{"rp":{"name":"Example"}}`, ""},
		{"the page's own RP id", usual, `{"rp":{"name":"Example","id":"login.example.com"}}`, ""},
		{"another site's RP id", usual, `{"rp":{"name":"Example","id":"example.org"}}`, "SecurityError"},
		{"half a label", usual, `{"rp":{"name":"Example","id":"ple.com"}}`, "SecurityError"},
		{"a sister's RP id", usual, `{"rp":{"name":"Example","id":"www.example.com"}}`, "SecurityError"},
		{"a top-level domain", usual, `{"rp":{"name":"Example","id":"com"}}`, "SecurityError"},
		{"a related RP id", func(p *sallyporttest.Passkeys) { p.Related = []string{"example.org"} }, `{"rp":{"name":"Example","id":"example.org"}}`, ""},
		{"localhost", at("http://localhost:8080"), `{"rp":{"name":"Example","id":"localhost"}}`, ""},
		{"below localhost", at("http://app.localhost"), `{"rp":{"name":"Example"}}`, ""},
		{"HTTP", at("http://login.example.com"), `{}`, "SecurityError"},
		{"an address", at("https://192.0.2.1"), `{"rp":{"name":"Example"}}`, "SecurityError"},
		{"a path", at("https://login.example.com/"), `{}`, "SecurityError"},
		{"capital letters", at("https://Login.example.com"), `{}`, "SecurityError"},
		{"a default port", at("https://login.example.com:443"), `{}`, "SecurityError"},
		{"no algorithm in common", usual, `{"pubKeyCredParams":[{"type":"public-key","alg":-257},{"type":"other","alg":-7}]}`, "NotSupportedError"},
		{"algorithms by default", usual, `{"pubKeyCredParams":[]}`, ""},
		{"one that is none by default", func(p *sallyporttest.Passkeys) { p.Algorithm = -8 }, `{"pubKeyCredParams":[]}`, "NotSupportedError"},
		{"nobody to verify", blind, `{"authenticatorSelection":{"userVerification":"required"}}`, "NotAllowedError"},
		{"verification that may be left out", blind, `{"authenticatorSelection":{"userVerification":"preferred"}}`, ""},
		{"U2F that has to verify", u2f, `{"authenticatorSelection":{"userVerification":"required"}}`, "NotAllowedError"},
		{"U2F that has to be found", u2f, `{"authenticatorSelection":{"residentKey":"required"}}`, "NotAllowedError"},
		{"no room", small, `{"authenticatorSelection":{"residentKey":"required"}}`, "NotAllowedError"},
		{"no room, in old words", small, `{"authenticatorSelection":{"requireResidentKey":true}}`, "NotAllowedError"},
		{"room that may be left out", small, `{"authenticatorSelection":{"residentKey":"preferred","requireResidentKey":true}}`, ""},
		{"attachment", usual, `{"authenticatorSelection":{"authenticatorAttachment":"platform"}}`, ""},
		{"another attachment", usual, `{"authenticatorSelection":{"authenticatorAttachment":"cross-platform"}}`, "NotAllowedError"},
		{"an attachment nobody knows", usual, `{"authenticatorSelection":{"authenticatorAttachment":"glue"}}`, ""},
		{"no name of the site", usual, `{"rp":{"id":"example.com"}}`, "TypeError"},
		{"no display name", usual, `{"user":{"id":"AA","name":"maya"}}`, "TypeError"},
		{"no user handle", usual, `{"user":{"id":"","name":"maya","displayName":"Maya"}}`, "TypeError"},
		{"64 bytes of user handle", usual, `{"user":{"id":"` + encoded(64) + `","name":"maya","displayName":"Maya"}}`, ""},
		{"65 bytes of user handle", usual, `{"user":{"id":"` + encoded(65) + `","name":"maya","displayName":"Maya"}}`, "TypeError"},
		{"no challenge", usual, `{"challenge":null}`, "TypeError"},
		{"padding", usual, `{"challenge":"AA=="}`, "TypeError"},
		{"no algorithms", usual, `{"pubKeyCredParams":null}`, "TypeError"},
		{"a number as name", usual, `{"rp":{"name":1}}`, "TypeError"},
	} {
		p := sallyporttest.NewPasskeys(t, loginPage)
		c.set(p)
		options := creating(t, c.change)
		if c.name == "wrapped" {
			options = asJSON(t, map[string]any{"publicKey": options, "mediation": "optional"})
		}
		_, err := p.Make(options)
		if got := nameOf(err); got != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if (len(p.Credentials()) == 1) != (c.want == "") {
			t.Errorf("%s: it has %d keys", c.name, len(p.Credentials()))
		}
	}
}

func encoded(n int) string { return base64.RawURLEncoding.EncodeToString(make([]byte, n)) }

// nameOf is what a page's script reads.
func nameOf(err error) string {
	var e *sallyporttest.DOMException
	if errors.As(err, &e) {
		return e.Name
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// Fields that cannot be are told, and with them what to do.
func TestPasskeysSettings(t *testing.T) {
	t.Parallel()
	for want, set := range map[string]func(*sallyporttest.Passkeys){
		"Algorithm":   func(p *sallyporttest.Passkeys) { p.Algorithm = -999 },
		"Attestation": func(p *sallyporttest.Passkeys) { p.Attestation = "tpm" },
		"only -7":     func(p *sallyporttest.Passkeys) { p.Attestation, p.Algorithm = "fido-u2f", -8 },
		"CA":          func(p *sallyporttest.Passkeys) { p.Attestation, p.CA = "packed-x5c", nil },
		"Synced":      func(p *sallyporttest.Passkeys) { p.BackedUp = true },
	} {
		p := sallyporttest.NewPasskeys(t, loginPage)
		set(p)
		if _, err := p.Make(creating(t, `{"pubKeyCredParams":[{"type":"public-key","alg":-999},{"type":"public-key","alg":-7},{"type":"public-key","alg":-8}]}`)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want words on %s", err, want)
		}
	}
	if fatal := run(func(t testing.TB) { sallyporttest.NewPasskeys(t, "login.example.com") }); !strings.Contains(fatal, "https://") {
		t.Errorf("a name as origin: %q", fatal)
	}
}

// A page's keys: which answer whom, and which are in the way of others.
func TestPasskeysKeys(t *testing.T) {
	t.Parallel()
	p := sallyporttest.NewPasskeys(t, loginPage)
	p.Related = []string{"example.org"}
	add := func(change string) sallyporttest.Passkey {
		t.Helper()
		if _, err := p.Make(creating(t, change)); err != nil {
			t.Fatal(err)
		}
		keys := p.Credentials()
		return keys[len(keys)-1]
	}
	list := func(k sallyporttest.Passkey) string {
		return `[{"type":"public-key","id":"` + base64.RawURLEncoding.EncodeToString(k.ID) + `"}]`
	}
	const discoverable = `"authenticatorSelection":{"residentKey":"preferred"}`
	plain := add(`{}`)
	old := add(`{` + discoverable + `}`)
	found := add(`{` + discoverable + `}`) // takes old's place
	other := add(`{"rp":{"name":"Example","id":"example.org"},` + discoverable + `}`)
	kept := p.Credentials()
	if ids := []string{string(plain.ID), string(found.ID), string(other.ID)}; !slices.EqualFunc(kept, ids, func(k sallyporttest.Passkey, id string) bool { return string(k.ID) == id }) {
		t.Fatalf("it has %v", kept)
	}
	if k := kept[1]; k.RPID != "example.com" || string(k.UserHandle) != "user 1" || k.UserName != "maya" || k.Algorithm != -7 || !k.Discoverable || kept[0].Discoverable {
		t.Errorf("it has %+v", kept)
	}
	for _, c := range []struct {
		name, change string
		who          sallyporttest.Passkey // who answers
	}{
		{"nobody is named", `{}`, found},
		{"one is named", `{"allowCredentials":` + list(plain) + `}`, plain},
		{"at another RP id", `{"rpId":"example.org"}`, other},
	} {
		answer, err := p.Sign(asking(t, c.change))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		a, err := protocol.ParseCredentialRequestResponseBytes(answer)
		if err != nil {
			t.Fatal(err)
		}
		handle := ""
		if c.who.Discoverable {
			handle = "user 1"
		}
		if string(a.RawID) != string(c.who.ID) || string(a.Response.UserHandle) != handle {
			t.Errorf("%s: %x with handle %q answers", c.name, a.RawID, a.Response.UserHandle)
		}
	}
	for name, c := range map[string]struct{ change, want string }{
		"a key that is gone":      {`{"allowCredentials":` + list(old) + `}`, "NotAllowedError"},
		"a key of another RP id":  {`{"allowCredentials":` + list(other) + `}`, "NotAllowedError"},
		"another site's RP id":    {`{"rpId":"example.net"}`, "SecurityError"},
		"no challenge":            {`{"challenge":null}`, "TypeError"},
		"a list that is not JSON": {`{"allowCredentials":7}`, "TypeError"},
	} {
		if _, err := p.Sign(asking(t, c.change)); nameOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for list, want := range map[string]string{list(plain): "InvalidStateError", list(other): ""} {
		if _, err := p.Make(creating(t, `{"excludeCredentials":`+list+`}`)); nameOf(err) != want {
			t.Errorf("excluded: %v, want %q", err, want)
		}
	}
	p.Forget(found.ID)
	p.Forget(found.ID)
	if _, err := p.Sign(asking(t, `{}`)); nameOf(err) != "NotAllowedError" {
		t.Errorf("a forgotten key: %v", err)
	}
	p.Verifies = false
	if _, err := p.Sign(asking(t, `{"rpId":"example.org","userVerification":"required"}`)); nameOf(err) != "NotAllowedError" {
		t.Errorf("nobody to verify: %v", err)
	}
	p.Verifies, p.BackedUp = true, true
	if _, err := p.Sign(asking(t, `{"rpId":"example.org"}`)); err == nil {
		t.Error("keys that may not leave it have left")
	}
}

// A copy counts for itself, and has every setting.
func TestPasskeysClone(t *testing.T) {
	t.Parallel()
	s, p := newSite(t), sallyporttest.NewPasskeys(t, loginPage)
	p.Related, p.Synced, p.BackedUp, p.AAGUID, p.Counts, p.Transports = []string{"example.org"}, true, true, [16]byte{1}, true, []string{"nfc"}
	s.add(t, p, wantsDiscoverable)
	copied := p.Clone()
	a, b := reflect.ValueOf(p).Elem(), reflect.ValueOf(copied).Elem()
	for i := range a.NumField() {
		if f := a.Type().Field(i); f.IsExported() && (a.Field(i).IsZero() || !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface())) {
			t.Errorf("%s is %v, and %v in the copy; neither may be zero", f.Name, a.Field(i), b.Field(i))
		}
	}
	for _, c := range []struct {
		who   *sallyporttest.Passkeys
		count uint32
		warns bool
	}{{p, 1, false}, {p, 2, false}, {copied, 1, true}} {
		used := s.signIn(t, c.who, true)
		if got := used.Authenticator; got.CloneWarning != c.warns || !c.warns && got.SignCount != c.count {
			t.Errorf("count %d, warning %v; want %d, %v", got.SignCount, got.CloneWarning, c.count, c.warns)
		}
		if keys := c.who.Credentials(); keys[0].SignCount != c.count {
			t.Errorf("it counts %d, want %d", keys[0].SignCount, c.count)
		}
		s.keys[0] = *used
	}
	p.Counts = false
	if used := s.signIn(t, p, true); !used.Authenticator.CloneWarning || p.Credentials()[0].SignCount != 0 {
		t.Error("a count that went back to 0 warns nobody")
	}
	copied.Forget(s.keys[0].ID)
	if len(p.Credentials()) != 1 || len(copied.Credentials()) != 0 {
		t.Error("copies share their keys")
	}
}

// Answers have the members of RegistrationResponseJSON and AuthenticationResponseJSON
// (WebAuthn Level 3, 5.1), no others, and client data as 5.8.1.1 has it. The key in
// the one verifies the other.
func TestPasskeysForms(t *testing.T) {
	t.Parallel()
	p := sallyporttest.NewPasskeys(t, loginPage)
	made, err := p.Make(creating(t, `{"authenticatorSelection":{"residentKey":"required"},"extensions":{"credProps":true,"unknown":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := p.Sign(asking(t, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	type form struct {
		ID, RawID, Type         string
		AuthenticatorAttachment string
		ClientExtensionResults  json.RawMessage
		Response                map[string]any
	}
	read := func(answer json.RawMessage, outputs string, want ...string) form {
		t.Helper()
		var top map[string]any
		var f form
		if err := errors.Join(json.Unmarshal(answer, &top), json.Unmarshal(answer, &f)); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(top)); !slices.Equal(got, []string{"authenticatorAttachment", "clientExtensionResults", "id", "rawId", "response", "type"}) {
			t.Errorf("members %q", got)
		}
		if got := slices.Sorted(maps.Keys(f.Response)); !slices.Equal(got, want) {
			t.Errorf("members of response %q, want %q", got, want)
		}
		if f.ID != base64.RawURLEncoding.EncodeToString(p.Credentials()[0].ID) || f.RawID != f.ID || f.Type != "public-key" || f.AuthenticatorAttachment != "platform" || string(f.ClientExtensionResults) != outputs {
			t.Errorf("%s", answer)
		}
		return f
	}
	raw := func(f form, member string) []byte {
		t.Helper()
		b, err := base64.RawURLEncoding.DecodeString(f.Response[member].(string))
		if err != nil {
			t.Fatalf("%s: %v", member, err)
		}
		return b
	}
	reg := read(made, `{"credProps":{"rk":true}}`, "attestationObject", "authenticatorData", "clientDataJSON", "publicKey", "publicKeyAlgorithm", "transports")
	auth := read(signed, `{}`, "authenticatorData", "clientDataJSON", "signature", "userHandle")
	const rest = `","challenge":"Y2hhbGxlbmdl","origin":"https://login.example.com","crossOrigin":false}`
	if got := string(raw(reg, "clientDataJSON")); got != `{"type":"webauthn.create`+rest {
		t.Errorf("client data %s", got)
	}
	if got := string(raw(auth, "clientDataJSON")); got != `{"type":"webauthn.get`+rest {
		t.Errorf("client data %s", got)
	}
	if reg.Response["publicKeyAlgorithm"] != -7. || !reflect.DeepEqual(reg.Response["transports"], []any{"internal"}) || string(raw(auth, "userHandle")) != "user 1" {
		t.Errorf("%v\n%v", reg.Response, auth.Response)
	}
	key, err := x509.ParsePKIXPublicKey(raw(reg, "publicKey"))
	if err != nil {
		t.Fatal(err)
	}
	client := sha256.Sum256(raw(auth, "clientDataJSON"))
	over := sha256.Sum256(append(raw(auth, "authenticatorData"), client[:]...))
	if !ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), over[:], raw(auth, "signature")) {
		t.Error("the key that was answered does not verify the signature")
	}
}

// A page that does not ask for attestation gets none that tells one vendor's
// authenticators from another's, whatever they say (5.1.3).
func TestPasskeysConveyance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attestation string
		aaguid      [16]byte
		asked, want string
	}{
		{"packed-x5c", [16]byte{1}, ``, "none"},
		{"packed-x5c", [16]byte{1}, `none`, "none"},
		{"packed-x5c", [16]byte{1}, `unknown`, "none"},
		{"packed-x5c", [16]byte{1}, `indirect`, "packed"},
		{"packed-x5c", [16]byte{}, `enterprise`, "packed"},
		{"packed", [16]byte{1}, `none`, "none"},
		{"packed", [16]byte{}, `none`, "packed"},
		{"fido-u2f", [16]byte{}, `none`, "none"},
		{"fido-u2f", [16]byte{}, `direct`, "fido-u2f"},
	} {
		p := sallyporttest.NewPasskeys(t, loginPage)
		p.Attestation, p.AAGUID = c.attestation, c.aaguid
		answer, err := p.Make(creating(t, `{"attestation":"`+c.asked+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		made, err := protocol.ParseCredentialCreationResponseBytes(answer)
		if err != nil {
			t.Fatal(err)
		}
		object := made.Response.AttestationObject
		if object.Format != c.want || (len(object.AttStatement) == 0) != (c.want == "none") || object.AuthData.AttData.AAGUID[0] != c.aaguid[0] {
			t.Errorf("%s asked for %q: %s, %v", c.attestation, c.asked, object.Format, object.AttStatement)
		}
	}
}
