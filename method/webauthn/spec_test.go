package webauthn_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

type answer = *sallyporttest.PasskeyAnswer

// A row is a step of the standard. Each of its changes is made to an answer that is
// right otherwise, and has to be enough to have it refused (std-73, cve-41).
type row struct {
	step int
	says string
	// Where there is nothing here to change: why, and the test that covers it, with its
	// folder if that is another one.
	why, see string
	attest   string // how the authenticator attests; empty: not at all
	demands  webauthn.Demands
	want     authn.Code // empty: wrong, which is charged for
	changes  map[string]func(answer)
}

// inside changes the response of an answer after everything was signed.
func inside(change func(response map[string]any)) func(answer) {
	return func(a answer) {
		a.EditJSON = func(c map[string]any) { change(c["response"].(map[string]any)) }
	}
}

// respaced is client data that says the same and has another hash.
func respaced(response map[string]any) {
	raw, _ := base64.RawURLEncoding.DecodeString(response["clientDataJSON"].(string))
	response["clientDataJSON"] = base64.RawURLEncoding.EncodeToString(append(raw, ' '))
}

func from(o string) func(answer) { return func(a answer) { a.ClientData.Origin = o } }

// origins are of other sites, however alike.
var origins = map[string]func(answer){
	"another site": from("https://example.org"), "the host without TLS": from("http://login.example.com"), "another port": from("https://login.example.com:8443"),
	"a host below": from("https://evil.login.example.com"), "a host above": from("https://example.com"), "a longer name": from("https://login.example.com.evil.org"),
	"a name before it": from("https://login.example.com@evil.org"), "a path": from("https://evil.org/https://login.example.com"), "none": from(""), "opaque": from("null"),
	"an app": from("android:apk-key-hash:Zm9v"),
}

var (
	framed = map[string]func(answer){"in another site's frame": func(a answer) { a.ClientData.CrossOrigin = true }}
	topped = map[string]func(answer){
		"named, in a frame":  func(a answer) { a.ClientData.CrossOrigin, a.ClientData.TopOrigin = true, "https://example.org" },
		"ours, in a frame":   func(a answer) { a.ClientData.CrossOrigin, a.ClientData.TopOrigin = true, origin },
		"named, in no frame": func(a answer) { a.ClientData.TopOrigin = "https://example.org" },
	}
	unread = map[string]func(answer){
		"half of it":      func(a answer) { a.EditClientData = half },
		"two of them":     func(a answer) { a.EditClientData = func(b []byte) []byte { return bytes.Repeat(b, 2) } },
		"a list":          func(a answer) { a.EditClientData = func([]byte) []byte { return []byte(`[]`) } },
		"nothing":         func(a answer) { a.EditClientData = func([]byte) []byte { return nil } },
		"null":            func(a answer) { a.EditClientData = func([]byte) []byte { return []byte("null") } },
		"no challenge":    func(a answer) { a.ClientData.Challenge = "" },
		"a strange one":   func(a answer) { a.ClientData.Challenge = "?" },
		"a number for it": func(a answer) { a.EditClientData = func([]byte) []byte { return []byte(`{"challenge":1}`) } },
	}
	notUTF8 = map[string]func(answer){
		"no UTF-8": func(a answer) {
			a.EditClientData = func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"challenge":"`), []byte("\"challenge\":\"\xff"), 1)
			}
		},
		"no base64url": inside(func(r map[string]any) { r["clientDataJSON"] = r["clientDataJSON"].(string) + "=" }),
		"no text":      inside(func(r map[string]any) { r["clientDataJSON"] = 1 }),
	}
	otherChallenge = map[string]func(answer){
		"another": func(a answer) { a.ClientData.Challenge = strings.Repeat("A", 43) },
		"shorter": func(a answer) { a.ClientData.Challenge = a.ClientData.Challenge[:42] },
		"longer":  func(a answer) { a.ClientData.Challenge += "A" },
	}
	otherSite  = map[string]func(answer){"another RP id": func(a answer) { a.AuthData.RPIDHash[31] ^= 1 }}
	nobody     = map[string]func(answer){"no UP": func(a answer) { a.AuthData.Flags &^= sallyporttest.FlagUserPresent }}
	backedOnly = map[string]func(answer){"BS without BE": func(a answer) { a.AuthData.Flags |= sallyporttest.FlagBackedUp }}
	noOutputs  = map[string]func(answer){
		"no object": func(a answer) { a.EditJSON = func(c map[string]any) { c["clientExtensionResults"] = "x" } },
	}
)

// registration are the steps of section 7.1.
var registration = []row{
	{step: 1, says: "options are as we want them", why: "nothing is answered yet", see: "TestCreate_std72"},
	{step: 2, says: "the browser asks the authenticator", why: "the browser's", see: "sallyporttest TestPasskeysRefuse"},
	{step: 3, says: "the response is that of a new credential", want: authn.Invalid, changes: map[string]func(answer){
		"no attestation": inside(func(r map[string]any) { delete(r, "attestationObject") }),
		"no response":    func(a answer) { a.EditJSON = func(c map[string]any) { delete(c, "response") } },
		"another type":   func(a answer) { a.Type = "password" },
	}},
	{step: 4, says: "outputs of extensions are an object", want: authn.Invalid, changes: noOutputs},
	{step: 5, says: "client data is text", want: authn.Invalid, changes: notUTF8},
	{step: 6, says: "client data is JSON", want: authn.Invalid, changes: unread},
	{step: 7, says: "it is of a creation", changes: map[string]func(answer){
		"of a sign-in": func(a answer) { a.ClientData.Type = "webauthn.get" }, "of nothing": func(a answer) { a.ClientData.Type = "" },
	}},
	{step: 8, says: "it answers our challenge", changes: otherChallenge},
	{step: 9, says: "on a page of ours", changes: origins},
	{step: 10, says: "not inside another site", changes: framed},
	{step: 11, says: "and nothing above it", changes: topped},
	{step: 12, says: "the hash of the client data is what was signed", attest: "packed", changes: map[string]func(answer){"another hash": inside(respaced)}},
	{step: 13, says: "the attestation object is CBOR", want: authn.Invalid, changes: map[string]func(answer){
		"half of it":         func(a answer) { a.EditAttestation = half },
		"more":               func(a answer) { a.EditAttestation = more },
		"nothing":            func(a answer) { a.EditAttestation = func([]byte) []byte { return nil } },
		"half of its data":   func(a answer) { a.EditAuthData = half },
		"more in its data":   func(a answer) { a.EditAuthData = more },
		"no data of the key": func(a answer) { a.AuthData.Flags &^= sallyporttest.FlagAttestedData },
		"no extensions":      func(a answer) { a.AuthData.Flags |= sallyporttest.FlagExtensionData },
	}},
	{step: 14, says: "it is for our RP id", changes: otherSite},
	{step: 15, says: "somebody was there", changes: nobody},
	{step: 16, says: "who was there was verified, if we want that", why: "set-up takes what there is; what an answer showed counts, each for itself", see: "TestUserVerified_std73_cve42"},
	{step: 17, says: "no backup state without the eligibility", changes: backedOnly},
	{step: 18, says: "the eligibility suits the company", want: authn.PolicyForbids, demands: webauthn.Demands{Bound: true}, changes: map[string]func(answer){
		"can be synced": func(a answer) { a.AuthData.Flags |= sallyporttest.FlagBackupEligible },
	}},
	{step: 19, says: "the backup state suits the company", why: "no rule is about it; it is kept", see: "TestKept_std73"},
	{step: 20, says: "the algorithm is one that was asked for", changes: map[string]func(answer){
		"ES384": key(3, -35), "PS256": key(3, -37), "of no name": key(3, 0), "SHA-1": key(3, -65535),
	}},
	{step: 21, says: "the format is a known one, letter by letter", attest: "packed", changes: map[string]func(answer){
		"unheard of": func(a answer) { a.Format = "unheard-of" }, "upper case": func(a answer) { a.Format = "Packed" }, "empty": func(a answer) { a.Format = "" },
	}},
	{step: 22, says: "the statement is right", attest: "packed", changes: map[string]func(answer){
		"another key":       func(a answer) { a.WrongKey = true },
		"a bit":             func(a answer) { a.EditSignature = lastBit },
		"no signature":      statement(func(s map[string]any) { delete(s, "sig") }),
		"another algorithm": statement(func(s map[string]any) { s["alg"] = -257 }),
		"another format's":  func(a answer) { a.Format = "fido-u2f" },
		"that of none":      func(a answer) { a.Format = "none" },
	}},
	{step: 23, says: "roots that are trusted", why: "the operator's metadata", see: "TestDemands_N1"},
	{step: 24, says: "the statement leads to one of them", why: "where the company wants that", see: "TestDemands_N1"},
	{step: 25, says: "the id has 1023 bytes at most", want: authn.Invalid, changes: map[string]func(answer){
		"1024": func(a answer) { a.SetID(make([]byte, 1024)) }, "none": func(a answer) { a.SetID(nil) },
	}},
	{step: 26, says: "the id is nobody's on the server", why: "the store's", see: "enroll TestPasskeyTaken_std74"},
	{step: 27, says: "what is kept is what was attested", changes: map[string]func(answer){
		"another id beside it": func(a answer) { a.ID, a.RawID = []byte("another"), []byte("another") },
		"no id in it":          func(a answer) { a.AuthData.Attested.CredentialID = nil },
	}},
	{step: 28, says: "outputs of extensions", why: "none is asked for, so none is looked at", see: "TestExtensions"},
	{step: 29, says: "it is kept if all of that is so", why: "the caller's", see: "enroll TestPasskeySetUp_N1"},
}

func key(label int, value any) func(answer) {
	return func(a answer) { a.AuthData.Attested.PublicKey[label] = value }
}

func statement(edit func(map[string]any)) func(answer) {
	return func(a answer) { a.EditStatement = edit }
}

func TestRegistration_std73_cve41(t *testing.T) {
	complete(t, registration, 29)
	for _, r := range registration {
		for name, change := range r.changes {
			t.Run(name+" ("+r.says+")", func(t *testing.T) {
				s := newSite(t)
				s.keys.Attestation = "none"
				if r.attest != "" {
					s.keys.Attestation = r.attest
				}
				s.demand(r.demands)
				q := s.offer()
				match, err := s.confirm(q, s.makes(q, change))
				refused(t, r.want, match, err)
				q = s.offer()
				if match, err = s.confirm(q, s.makes(q, func(answer) {})); err != nil || match.Outcome != authn.Right || match.Made == nil {
					t.Errorf("unchanged: %+v %v", match, err)
				}
			})
		}
	}
}

// authentication are the steps of section 7.2.
var authentication = []row{
	{step: 1, says: "options are as we want them", why: "nothing is answered yet", see: "TestGet_std72"},
	{step: 2, says: "the browser asks the authenticator", why: "the browser's", see: "sallyporttest TestPasskeysRefuse"},
	{step: 3, says: "the response is that of a sign-in", want: authn.Invalid, changes: map[string]func(answer){
		"no data":      inside(func(r map[string]any) { delete(r, "authenticatorData") }),
		"no response":  func(a answer) { a.EditJSON = func(c map[string]any) { delete(c, "response") } },
		"another type": func(a answer) { a.Type = "password" },
	}},
	{step: 4, says: "outputs of extensions are an object", want: authn.Invalid, changes: noOutputs},
	{step: 5, says: "the credential is one that was listed", why: "whose question it is, the caller knows", see: "signin TestPasskeyNotListed_std73"},
	{step: 6, says: "the credential is the person's, and says so", changes: map[string]func(answer){
		"another credential": func(a answer) { a.SetID([]byte("another")) },
		"another's handle":   func(a answer) { a.UserHandle = []byte("usr_tom") },
		"a longer handle":    func(a answer) { a.UserHandle = append(a.UserHandle, 0) },
	}},
	{step: 7, says: "client data, authenticator data, signature", changes: map[string]func(answer){
		"no signature": inside(func(r map[string]any) { delete(r, "signature") }),
	}},
	{step: 8, says: "client data is text", want: authn.Invalid, changes: notUTF8},
	{step: 9, says: "client data is JSON", want: authn.Invalid, changes: unread},
	{step: 10, says: "it is of a sign-in", changes: map[string]func(answer){
		"of a creation": func(a answer) { a.ClientData.Type = "webauthn.create" }, "of a payment": func(a answer) { a.ClientData.Type = "payment.get" },
	}},
	{step: 11, says: "it answers our challenge", changes: otherChallenge},
	{step: 12, says: "on a page of ours", changes: origins},
	{step: 13, says: "not inside another site", changes: framed},
	{step: 14, says: "and nothing above it", changes: topped},
	{step: 15, says: "it is for our RP id", changes: otherSite},
	{step: 16, says: "somebody was there", changes: nobody},
	{step: 17, says: "who was there was verified, if we want that", why: "a whole sign-in wants it; else what an answer showed counts", see: "TestUserVerified_std73_cve42"},
	{step: 18, says: "no backup state without the eligibility", changes: backedOnly},
	{step: 19, says: "the eligibility is as it was", why: "it may begin, which is handled; it does not end", see: "TestBackupFlags_std73"},
	{step: 20, says: "the hash of the client data is what was signed", changes: map[string]func(answer){"another hash": inside(respaced)}},
	{step: 21, says: "the signature is that of the key", changes: map[string]func(answer){
		"another key": func(a answer) { a.WrongKey = true }, "a bit": func(a answer) { a.EditSignature = lastBit }, "half": func(a answer) { a.EditSignature = half },
		"other data": inside(func(r map[string]any) {
			raw, _ := base64.RawURLEncoding.DecodeString(r["authenticatorData"].(string))
			r["authenticatorData"] = base64.RawURLEncoding.EncodeToString(lastBit(raw))
		}),
	}},
	{step: 22, says: "the count grows, if there is one", why: "what does not grow warns; policy may refuse it", see: "TestCounts_std73"},
	{step: 23, says: "outputs of extensions", why: "none is asked for, so none is looked at", see: "TestExtensions"},
	{step: 24, says: "what is kept is as it is now", why: "nothing to refuse", see: "TestKept_std73"},
	{step: 25, says: "they are in if all of that is so", why: "the caller's", see: "signin TestPasskeySecondStep_N1_rul14"},
}

func TestAuthentication_std73_cve41(t *testing.T) {
	complete(t, authentication, 25)
	// alone is for a whole sign-in.
	alone := []row{
		{step: 6, changes: map[string]func(answer){
			"no handle":    func(a answer) { a.UserHandle = nil },
			"an empty one": func(a answer) { a.UserHandle = []byte{} },
		}},
		{step: 17, changes: map[string]func(answer){"no UV": func(a answer) { a.AuthData.Flags &^= sallyporttest.FlagUserVerified }}},
	}
	run := func(kind string, rows []row, ask func(*site, authn.Request) authn.Question) {
		for _, r := range rows {
			for name, change := range r.changes {
				t.Run(kind+" "+name+" ("+r.says+")", func(t *testing.T) {
					s := newSite(t)
					p := s.has()
					q := ask(s, p)
					match, err := s.verify(p, q, s.signs(q, change))
					refused(t, r.want, match, err)
					s.proves(p, ask(s, p))
				})
			}
		}
	}
	listed := func(s *site, p authn.Request) authn.Question { return s.ask(p.Factor) }
	whole := func(s *site, _ authn.Request) authn.Question { return s.ask() }
	run("second step:", authentication, listed)
	run("whole sign-in:", authentication, whole)
	run("whole sign-in:", alone, whole)
}

// complete checks that no step is left out, and that the tests which rows name exist.
func complete(t *testing.T, rows []row, last int) {
	t.Helper()
	for i, r := range rows {
		if r.step != i+1 || r.says == "" || (len(r.changes) == 0) != (r.why != "" && r.see != "") {
			t.Errorf("row %d is of step %d: %q, %d changes, %q", i+1, r.step, r.says, len(r.changes), r.why)
		}
		if r.see == "" {
			continue
		}
		dir, name := "../..", r.see
		if folder, test, other := strings.Cut(r.see, " "); other {
			dir, name = filepath.Join(dir, folder), test
		} else {
			dir = "."
		}
		if !declares(t, dir, name) {
			t.Errorf("step %d: there is no test %s", r.step, r.see)
		}
	}
	if len(rows) != last {
		t.Errorf("%d steps, want %d", len(rows), last)
	}
}

func declares(t *testing.T, dir, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(source, []byte("\nfunc "+test+"(")) {
			return true
		}
	}
	return false
}
