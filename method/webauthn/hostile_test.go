package webauthn_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// A key that could not be checked later is not taken, whether it is attested or not
// (WebAuthn section 5.8.5 names the curve that goes with an algorithm).
func TestKeysThatAreNone_std73(t *testing.T) {
	for name, change := range map[string]func(answer){
		"a point off the curve":    key(-2, bytes.Repeat([]byte{1}, 32)),
		"half a point":             key(-3, nil),
		"the point at infinity":    func(a answer) { key(-2, make([]byte, 32))(a); key(-3, make([]byte, 32))(a) },
		"a longer point":           key(-2, make([]byte, 33)),
		"another curve":            key(-1, 2),
		"the curve of Bitcoin":     key(-1, 8),
		"no curve":                 key(-1, 0),
		"the curve as text":        key(-1, "P-256"),
		"the type of RSA":          key(1, 3),
		"the type of Ed25519":      key(1, 1),
		"the type of none":         key(1, 0),
		"the algorithm of RSA":     key(3, -257),
		"the algorithm of Ed25519": key(3, -8),
		"no algorithm":             func(a answer) { delete(a.AuthData.Attested.PublicKey, 3) },
		"nothing":                  func(a answer) { clear(a.AuthData.Attested.PublicKey) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			q := s.offer()
			match, err := s.confirm(q, s.makes(q, change))
			refused(t, "", match, err)
		})
	}
	for name, tt := range map[string]struct {
		algorithm int
		change    func(answer)
	}{
		"RSA of 8 bits":             {-257, key(-1, []byte{0xff})},
		"RSA of 1024 bits":          {-257, key(-1, bytes.Repeat([]byte{0xff}, 128))},
		"RSA of 16384 bits":         {-257, key(-1, bytes.Repeat([]byte{0xff}, 2048))},
		"RSA of an even modulus":    {-257, key(-1, append(bytes.Repeat([]byte{0xff}, 255), 0xfe))},
		"RSA with the exponent 1":   {-257, key(-2, []byte{1})},
		"RSA with an even exponent": {-257, key(-2, []byte{4})},
		"Ed25519 of 31 bytes":       {-8, key(-2, make([]byte, 31))},
		"Ed25519 on another curve":  {-8, key(-1, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.keys.Algorithm = tt.algorithm
			q := s.offer()
			match, err := s.confirm(q, s.makes(q, tt.change))
			refused(t, "", match, err)
			q = s.offer()
			if match, err = s.confirm(q, s.makes(q, nil)); err != nil || match.Made == nil {
				t.Errorf("unchanged: %+v %v", match, err)
			}
		})
	}
}

// Keys of all that is offered sign in, and of what is not cannot be set up, even if the
// page asked for them.
func TestAlgorithms_std73(t *testing.T) {
	for _, algorithm := range []int{-7, -8, -257} {
		s := newSite(t)
		s.keys.Algorithm = algorithm
		p := s.has()
		s.proves(p, s.ask())
		q := s.ask()
		match, err := s.verify(p, q, s.signs(q, func(a answer) { a.WrongKey = true }))
		refused(t, "", match, err)
	}
	for _, algorithm := range []int{-35, -36, -37} {
		s := newSite(t)
		s.keys.Algorithm = algorithm
		q := s.offer()
		q.Options = with(t, q.Options, "pubKeyCredParams", []any{map[string]any{"type": "public-key", "alg": algorithm}})
		match, err := s.confirm(q, s.makes(q, nil))
		refused(t, "", match, err)
	}
}

func with(t testing.TB, object []byte, member string, value any) []byte {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(object, &o); err != nil {
		t.Fatal(err)
	}
	if o[member] = value; value == nil {
		delete(o, member)
	}
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLongIDs_std74(t *testing.T) {
	s := newSite(t)
	for n, want := range map[int]authn.Code{1: "", 16: "", 1023: "", 1024: authn.Invalid, 65535: authn.Invalid} {
		q := s.offer()
		match, err := s.confirm(q, s.makes(q, func(a answer) { a.SetID(bytes.Repeat([]byte{7}, n)) }))
		if want != "" {
			refused(t, want, match, err)
		} else if err != nil || match.Made == nil || len(match.Made.ID) != n {
			t.Errorf("%d: %v", n, err)
		}
	}
	// The same of an answer to sign in: it is looked for by that id.
	s.has()
	for n, want := range map[int]bool{1023: true, 1024: false} {
		q := s.ask()
		id, _, err := s.m.Answered(authn.Answer{Credential: s.signs(q, func(a answer) { a.SetID(make([]byte, n)) })})
		if (err == nil && len(id) == n) != want {
			t.Errorf("%d: %d bytes, %v", n, len(id), err)
		}
	}
}

// Statements in all formats that the standard has, with what nobody would send.
func TestHostileAttestation_cve70(t *testing.T) {
	values := map[string]any{"nothing": nil, "a number": -7, "text": "x", "bytes": []byte{0x30, 0x80}, "a list": []any{}, "a list of it": []any{[]byte{0x30}, 1, "x", nil}, "a map": map[string]any{"x": 1}}
	for _, format := range []string{"packed", "tpm", "android-key", "android-safetynet", "fido-u2f", "apple", "compound", "none"} {
		for _, member := range []string{"alg", "sig", "x5c", "ver", "response", "certInfo", "pubArea", "ecdaaKeyId"} {
			for name, v := range values {
				s := newSite(t)
				q := s.offer()
				match, err := s.confirm(q, s.makes(q, func(a answer) {
					a.Format = format
					a.EditStatement = func(st map[string]any) {
						maps.Copy(st, map[string]any{"alg": -7, "sig": make([]byte, 70), "x5c": []any{[]byte{0x30, 0x03, 2, 1, 1}}, "ver": "2.0", "certInfo": []byte{0xff, 'T', 'C', 'G'}, "pubArea": []byte{0, 1}, "response": []byte("a.b.c")})
						st[member] = v
					}
				}))
				if match.Outcome == authn.Right || match.Made != nil || err != nil && authn.AsError(err).Code != authn.Invalid {
					t.Errorf("%s with %s of %s: %+v %v", format, name, member, match, err)
				}
			}
		}
	}
}

// Whatever is cut off, and wherever, is refused, and nothing falls over.
func TestTruncated_cve70(t *testing.T) {
	s := newSite(t)
	s.keys.Attestation = "packed"
	for _, part := range []func(answer, func([]byte) []byte){
		func(a answer, edit func([]byte) []byte) { a.EditAttestation = edit },
		func(a answer, edit func([]byte) []byte) { a.EditAuthData = edit },
		func(a answer, edit func([]byte) []byte) { a.EditClientData = edit },
	} {
		for n := 0; ; n++ {
			whole := false
			q := s.offer()
			match, err := s.confirm(q, s.makes(q, func(a answer) {
				part(a, func(b []byte) []byte {
					if n >= len(b) {
						whole = true
						return b
					}
					return b[:n]
				})
			}))
			if whole {
				if match.Made == nil {
					t.Errorf("whole: %v", err)
				}
				break
			}
			if match.Made != nil || err == nil && match.Outcome == authn.Right {
				t.Fatalf("cut off after %d bytes: %+v", n, match)
			}
		}
	}
}

// A member that is there twice is read in one way by all who read it: what is looked for
// is what is checked.
func TestTwice_cve41(t *testing.T) {
	s := newSite(t)
	p := s.has()
	q := s.ask()
	right := string(s.signs(q, nil))
	for name, raw := range map[string]string{
		"another id behind it": strings.Replace(right, `{`, `{"id":"AAAA","rawId":"AAAA",`, 1),
		"another id before it": strings.TrimSuffix(right, "}") + `,"id":"AAAA","rawId":"AAAA"}`,
		"in capitals":          strings.TrimSuffix(right, "}") + `,"ID":"AAAA"}`,
		"an empty response":    strings.TrimSuffix(right, "}") + `,"response":{}}`,
		"another client data":  strings.TrimSuffix(right, "}") + `,"response":{"clientDataJSON":"` + base64.RawURLEncoding.EncodeToString([]byte(`{"type":"webauthn.get","challenge":"AAAA","origin":"`+origin+`"}`)) + `"}}`,
		"more behind it":       right + "{}",
	} {
		a := authn.Answer{Credential: []byte(raw)}
		id, challenge, err := s.m.Answered(a)
		if err != nil {
			if !errors.Is(err, authn.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		match, err := s.verify(p, q, a.Credential)
		if match.Outcome == authn.Right && (!s.m.Holds(p.Factor, id) || !bytes.Equal(challenge, s.m.Asked(q.Kept))) {
			t.Errorf("%s: looked for %x, and accepted: %v", name, id, err)
		}
	}
}

// An answer belongs to the question that it answers: of the kinds, of the ceremonies,
// of the attempts, and to one only.
func TestQuestions_std72(t *testing.T) {
	s := newSite(t)
	p := s.has()
	q, other, setUp := s.ask(p.Factor), s.ask(p.Factor), s.offer()
	signed := s.signs(q, nil)
	for name, tt := range map[string]struct {
		open []authn.Challenge
		want bool
	}{
		"its own":             {challenges(q), true},
		"one of two":          {challenges(other, q), true},
		"another":             {challenges(other), false},
		"that of a set-up":    {challenges(setUp), false},
		"none":                {nil, false},
		"of another kind":     {[]authn.Challenge{{Kind: authn.Duo, Detail: q.Kept}}, false},
		"without a challenge": {[]authn.Challenge{{Kind: authn.WebAuthn, Detail: []byte(`{}`)}}, false},
		"that nobody reads":   {[]authn.Challenge{{Kind: authn.WebAuthn, Detail: []byte(`{`)}}, false},
	} {
		p.Challenges = tt.open
		match, err := s.m.Verify(t.Context(), p, authn.Answer{Credential: signed})
		if err != nil || (match.Outcome == authn.Right) != tt.want {
			t.Errorf("%s: %+v %v", name, match, err)
		}
	}
	// A new key is no proof, and a proof no new key.
	made := s.makes(s.offer(), nil)
	match, err := s.m.Verify(t.Context(), p, authn.Answer{Credential: made})
	refused(t, "", match, err)
	match, err = s.m.Confirm(t.Context(), authn.Request{User: s.user, Challenges: challenges(q)}, authn.Answer{Credential: signed})
	refused(t, authn.Invalid, match, err)
}

// What a relying party elsewhere would have: the same keys on another site's pages.
func TestAnotherSite_N1(t *testing.T) {
	s := newSite(t)
	p := s.has()
	for name, elsewhere := range map[string]string{"its own RP id": "https://evil.example", "a host beside": "https://shop.example.com"} {
		phish := s.keys.Clone()
		phish.Origin = elsewhere
		q := s.ask(p.Factor)
		var browser *sallyporttest.DOMException
		if _, err := phish.Sign(q.Options); !errors.As(err, &browser) || browser.Name != "SecurityError" {
			t.Errorf("%s: the browser lets it: %v", name, err)
		}
		// Even a browser that looks at nothing gives an answer that is of no use.
		phish.Related = []string{"login.example.com"}
		answer, err := phish.Sign(q.Options)
		if err != nil {
			t.Fatal(err)
		}
		match, err := s.verify(p, q, answer)
		refused(t, "", match, err)
	}
	// The site that asks under its own RP id finds no key of ours.
	own := s.keys.Clone()
	own.Origin = "https://evil.example"
	q := s.ask(p.Factor)
	if _, err := own.Sign(with(t, q.Options, "rpId", "evil.example")); err == nil {
		t.Error("it found a key of ours")
	}
}

func TestRelatedOrigins_N1(t *testing.T) {
	const related = "https://login.example.org"
	s := newSite(t, func(c *webauthn.Config) { c.Related = []string{related} })
	if !slices.Equal(s.m.Origins(), []string{origin, related}) || s.m.ID() != "login.example.com" {
		t.Errorf("%v %s", s.m.Origins(), s.m.ID())
	}
	p := s.has()
	there := s.keys.Clone()
	there.Origin, there.Related = related, []string{"login.example.com"}
	q := s.ask(p.Factor)
	signed, err := there.Sign(q.Options)
	if err != nil {
		t.Fatal(err)
	}
	if match, err := s.verify(p, q, signed); err != nil || match.Outcome != authn.Right {
		t.Errorf("%+v %v", match, err)
	}
	strict := newSite(t)
	match, err := strict.verify(p, q, signed)
	refused(t, "", match, err)
}

func TestNew_N1(t *testing.T) {
	for _, tt := range []struct {
		url, id string
		related []string
		want    string // the RP id; empty: refused
	}{
		{url: "https://login.example.com", want: "login.example.com"},
		{url: "https://login.example.com:8443/x", want: "login.example.com"},
		{url: "https://login.example.com", id: "example.com", want: "example.com"},
		{url: "http://localhost:8080", want: "localhost"},
		{url: "https://login.example.com", related: []string{"https://login.example.org"}, want: "login.example.com"},
		{url: "https://login.example.com", id: "example.org"},
		{url: "https://login.example.com", id: "ogin.example.com"},
		{url: "https://login.example.com", id: "evil.login.example.com"},
		{url: "https://login.example.com", id: ".com"},
		{url: "http://login.example.com"},
		{url: "http://127.0.0.1:8080"},
		{url: "https://192.0.2.1"},
		{url: "https://[2001:db8::1]"},
		{url: "login.example.com"},
		{url: ""},
		{url: "://"},
		{url: "https://login.example.com", related: []string{"http://login.example.org"}},
		{url: "https://login.example.com", related: []string{"https://login.example.org/"}},
		{url: "https://login.example.com", related: []string{"*"}},
	} {
		m, err := webauthn.New(webauthn.Config{URL: tt.url, ID: tt.id, Related: tt.related})
		if (err == nil) != (tt.want != "") || err == nil && m.ID() != tt.want {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// What is big, or has many parts, is answered at once.
func TestBigAnswers_cve70(t *testing.T) {
	s := newSite(t)
	big := strings.Repeat("A", 60<<10)
	deep := strings.Repeat("[", 60<<10)
	start := time.Now()
	for name, raw := range map[string]string{
		"a long id":       `{"id":"` + big + `","rawId":"` + big + `","type":"public-key","response":{}}`,
		"a long response": `{"id":"AA","rawId":"AA","type":"public-key","response":{"attestationObject":"` + big + `","clientDataJSON":"e30"}}`,
		"deep":            `{"id":` + deep,
		"many members":    `{` + strings.Repeat(`"a":1,`, 10_000) + `"id":"AA"}`,
		"too much":        `{"id":"` + strings.Repeat("A", 70<<10) + `"}`,
		"CBOR that says it is long": `{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"` +
			base64.RawURLEncoding.EncodeToString([]byte{0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) + `"}}`,
	} {
		if err := s.m.Shape(authn.Answer{Credential: []byte(raw)}); !errors.Is(err, authn.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
