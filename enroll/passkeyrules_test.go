package enroll_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// A new passkey is held to the rules of when it was asked for, and to those of when it
// is there; refused, nothing is charged, and another key can answer.
func TestPasskeyRulesAtSetUp_N1(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	who := w.stepUp(w.signIn(maya), maya)
	keys := w.Passkeys(t)
	keys.Synced = true
	bound := func(d *policy.Document) { d.Passkeys = &policy.Passkeys{DeviceBound: true} }
	any := func(d *policy.Document) { d.Passkeys = nil }
	for name, tt := range map[string]struct {
		asked, answered func(*policy.Document)
		times           int
	}{"when it was asked for": {bound, any, 1}, "since then": {any, bound, 20}} {
		w.SetPolicy(t, "acme", tt.asked)
		p, err := w.Enroll.Begin(t.Context(), who, authn.WebAuthn, "")
		if err != nil {
			t.Fatal(err)
		}
		w.SetPolicy(t, "acme", tt.answered)
		for range tt.times { // no guess: it rests from nothing
			made, err := keys.Make(p.Options)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Enroll.Confirm(t.Context(), who, p.Factor.ID, 0, authn.Answer{Credential: made})
			if e := authn.AsError(err); e.Code != authn.PolicyForbids || e.TextKey() != "error.passkey_synced" {
				t.Fatalf("%s: %v", name, err)
			}
			if p, err = w.Enroll.Send(t.Context(), who, p.Factor.ID); err != nil {
				t.Fatal(err)
			}
		}
		if rows := w.rows(maya); rows.FactorOf(authn.WebAuthn, authn.Confirmed) != nil {
			t.Errorf("%s: it is set up", name)
		}
	}
	p, err := w.Enroll.Begin(t.Context(), who, authn.WebAuthn, "")
	if err != nil {
		t.Fatal(err)
	}
	keys.Synced = false
	made, err := keys.Make(p.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, p.Factor.ID, 0, authn.Answer{Credential: made}); err != nil {
		t.Errorf("a key that stays: %v", err)
	}
}

// Who has only a passkey that does not count sets up another one while the proof by it is
// recent; after that they are told which rule it does not meet.
func TestPasskeyNotTakenAndSetUp_N1(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", false)
	keys := w.Passkeys(t)
	w.AddPasskey(t, maya.User, keys)
	ask, err := w.SignIn.Passkeys(t.Context(), "acme", here)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := keys.Sign(ask.Options)
	if err != nil {
		t.Fatal(err)
	}
	st, err := w.SignIn.BeginByPasskey(t.Context(), signin.ByPasskey{Company: "acme", Credential: signed, Client: here})
	if err != nil || st.Session == nil {
		t.Fatalf("%+v %v", st, err)
	}
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.Passkeys = &policy.Passkeys{Attested: true} })
	who := enroll.Who{Token: st.SessionToken, Client: here}
	if _, err := w.Enroll.Begin(t.Context(), who, authn.WebAuthn, ""); err != nil {
		t.Errorf("just proven: %v", err)
	}
	w.Clock.Advance(11 * time.Minute)
	if _, err := w.Enroll.Begin(t.Context(), who, authn.WebAuthn, ""); authn.AsError(err).TextKey() != "error.passkey_attested" {
		t.Errorf("too long ago: %v", err)
	}
}
