package webauthn_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// fuzzed is a site with an open question of each kind, and answers to them.
type fuzzed struct {
	*webauthn.Method
	proof         authn.Request
	setUp         authn.Request
	signed, made  []byte
	askedFor, had authn.Question
}

func newFuzzed(f *testing.F, attestation string) fuzzed {
	f.Helper()
	m, err := webauthn.New(webauthn.Config{URL: origin})
	if err != nil {
		f.Fatal(err)
	}
	keys := sallyporttest.NewPasskeys(f, origin)
	keys.Attestation, keys.AAGUID = attestation, [16]byte{1}
	z := fuzzed{Method: m}
	user := authn.User{ID: "usr_maya", Login: "maya"}
	r := authn.Request{User: user, Settings: []byte(`{"attested":true}`)}
	if z.askedFor, err = m.Create(r, nil); err != nil {
		f.Fatal(err)
	}
	if z.made, err = keys.Make(z.askedFor.Options); err != nil {
		f.Fatal(err)
	}
	z.setUp = authn.Request{User: user, Challenges: challenges(z.askedFor)}
	plain, err := m.Create(authn.Request{User: user}, nil)
	if err != nil {
		f.Fatal(err)
	}
	made, err := keys.Make(plain.Options)
	if err != nil {
		f.Fatal(err)
	}
	match, err := m.Confirm(f.Context(), authn.Request{User: user, Challenges: challenges(plain)}, authn.Answer{Credential: made})
	if err != nil || match.Made == nil {
		f.Fatalf("%+v %v", match, err)
	}
	own := []authn.Factor{{Kind: authn.WebAuthn, Data: match.Data}}
	if z.had, err = m.Get(authn.Request{}, own); err != nil {
		f.Fatal(err)
	}
	if z.signed, err = keys.Sign(z.had.Options); err != nil {
		f.Fatal(err)
	}
	z.proof = authn.Request{User: user, Secret: match.Made.Secret, Challenges: challenges(z.had),
		Factor: own[0]}
	return z
}

// seeds are real answers, and what is near to them.
func (z fuzzed) seeds(f *testing.F) {
	for _, raw := range [][]byte{z.made, z.signed, half(z.made), half(z.signed), []byte(`{}`), []byte(`[]`), []byte(`null`), nil} {
		f.Add(raw)
	}
}

// What can be read says of itself what it is, and fits.
func FuzzAnswered_cve70(f *testing.F) {
	z := newFuzzed(f, "packed-x5c")
	z.seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, challenge, err := z.Answered(authn.Answer{Credential: raw})
		switch {
		case err == nil && (len(id) == 0 || len(id) > 1023 || len(challenge) == 0):
			t.Errorf("%x of %x", id, challenge)
		case err != nil && (id != nil || !errors.Is(err, authn.Invalid)):
			t.Errorf("%x %v", id, err)
		}
	})
}

// No new key is taken but the one that was made, whatever is around it.
func FuzzConfirm_cve70(f *testing.F) {
	for _, attestation := range []string{"none", "packed", "packed-x5c", "fido-u2f"} {
		newFuzzed(f, attestation).seeds(f)
	}
	z := newFuzzed(f, "packed")
	z.seeds(f)
	z.setUp.Challenges[0].Detail = with(f, z.askedFor.Kept, "demands", nil)
	if match, err := z.Confirm(f.Context(), z.setUp, authn.Answer{Credential: z.made}); err != nil || match.Made == nil {
		f.Fatalf("%+v %v", match, err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		match, err := z.Confirm(t.Context(), z.setUp, authn.Answer{Credential: raw})
		if match.Outcome == authn.Right && (err != nil || match.Made == nil || len(match.Made.ID) == 0 || len(match.Made.Secret) == 0) {
			t.Errorf("%+v %v", match, err)
		}
	})
}

// Nothing signs in but what the key signed: no change of a right answer makes another.
func FuzzVerify_cve70(f *testing.F) {
	z := newFuzzed(f, "none")
	z.seeds(f)
	id, challenge, err := z.Answered(authn.Answer{Credential: z.signed})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		match, err := z.Verify(t.Context(), z.proof, authn.Answer{Credential: raw})
		if match.Outcome != authn.Right {
			return
		}
		gotID, gotChallenge, readErr := z.Answered(authn.Answer{Credential: raw})
		if err != nil || readErr == nil && (!bytes.Equal(gotID, id) || !bytes.Equal(gotChallenge, challenge)) {
			t.Errorf("signed in by %s: %v", raw, err)
		}
	})
}

// What is kept comes from our own database, and is read all the same as if it did not.
func FuzzKept_cve70(f *testing.F) {
	z := newFuzzed(f, "none")
	for _, raw := range [][]byte{z.had.Kept, z.askedFor.Kept, z.proof.Factor.Data, nil, []byte("{")} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c := z.Asked(raw); c != nil && len(c) < 32 {
			t.Errorf("a challenge of %d bytes", len(c))
		}
		info, ok := webauthn.Read(authn.Factor{Kind: authn.WebAuthn, Data: raw})
		if ok != (len(info.ID) > 0) {
			t.Errorf("%+v %v", info, ok)
		}
	})
}
