package sallyporttest

import (
	"crypto/rand"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Passkeys is an authenticator of somebody who uses the server: it makes sure who holds
// it, and its keys are found without a user name. Change its fields for another one.
func (s *Server) Passkeys(t testing.TB) *Passkeys {
	t.Helper()
	p := NewPasskeys(t, s.PasskeyOrigin())
	p.Verifies, p.Discoverable = true, true
	return p
}

// AddPasskey gives a person a confirmed passkey, made by keys.
func (s *Server) AddPasskey(t testing.TB, u authn.User, keys *Passkeys) (id string) {
	t.Helper()
	q, err := s.passkeys.Create(authn.Request{Company: s.Company, User: u}, nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := keys.Make(q.Options)
	if err != nil {
		t.Fatal(err)
	}
	match, err := s.passkeys.Confirm(t.Context(), authn.Request{User: u, Challenges: []authn.Challenge{{Kind: authn.WebAuthn, Detail: q.Kept}}}, authn.Answer{Credential: made})
	if err != nil || match.Made == nil {
		t.Fatalf("the passkey was not made: %v", err)
	}
	f := authn.Factor{ID: authn.NewID(authn.FactorID, s.Clock.Now(), rand.Reader), Kind: authn.WebAuthn}
	return s.addFactor(t, u, authn.NewFactor{Factor: f}, authn.SetCredential{ID: f.ID, Made: *match.Made, Data: match.Data})
}
