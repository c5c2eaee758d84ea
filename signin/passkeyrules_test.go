package signin_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

var deviceBound = func(d *policy.Document) { d.Passkeys = &policy.Passkeys{DeviceBound: true} }

// comesInBy is a whole sign-in.
func (w world) comesInBy(keys *sallyporttest.Passkeys) (signin.Status, error) {
	w.t.Helper()
	c := authn.Client{Browser: "b1"}
	ask, err := w.SignIn.Passkeys(w.t.Context(), "acme", c)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.SignIn.BeginByPasskey(w.t.Context(), signin.ByPasskey{Company: "acme", Credential: signs(w.t, keys, ask.Options).Credential, Client: c})
}

func refusedAs(t *testing.T, err error, key string) {
	t.Helper()
	if e := authn.AsError(err); e.Code != authn.PolicyForbids || e.TextKey() != key {
		t.Errorf("%v, want %s", err, key)
	}
}

// A passkey that the company takes no more signs nobody in, says why, and is no second
// step; the session that it opened is over. It counts again when the rule is gone.
func TestPasskeyRulesAtUse_N1_rul52(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", false)
	keys := w.Passkeys(t)
	keys.Synced = true
	maya.Factor = w.AddPasskey(t, maya.User, keys)
	st, err := w.comesInBy(keys)
	if err != nil || st.Session == nil {
		t.Fatalf("%+v %v", st, err)
	}
	w.rule(deviceBound)
	if _, err := w.comesInBy(keys); err == nil {
		t.Fatal("signed in")
	} else {
		refusedAs(t, err, "error.passkey_synced")
	}
	if _, err := w.SignIn.StepUp(t.Context(), st.SessionToken, "", "", authn.Client{Browser: "b1"}); !errors.Is(err, authn.Unauthenticated) {
		t.Errorf("its session: %v", err)
	}
	if st := w.mustBegin(maya, authn.Client{}); st.Need.State != authn.Denied || st.Need.Denied != policy.NotTaken {
		t.Errorf("as a second step: %+v", st.Need)
	}
	if n := len(w.eventsOf(maya, "sign_in.refused")); n != 0 {
		t.Errorf("%d refusals are on record of what was not checked", n)
	}
	w.rule(func(d *policy.Document) { d.Passkeys = nil })
	if st, err := w.comesInBy(keys); err != nil || st.Session == nil {
		t.Errorf("it counts again: %+v %v", st, err)
	}
}

// A key that begins to be synced is found out in the answer that says so, and that
// answer opens nothing.
func TestPasskeyBecomesSynced_N1(t *testing.T) {
	w, maya, keys := keyed(t)
	w.rule(deviceBound)
	if st, err := w.comesInBy(keys); err != nil || st.Session == nil {
		t.Fatalf("%+v %v", st, err)
	}
	o, options := w.asksFor(maya, authn.Client{Browser: "b1"})
	keys.Synced = true
	if _, err := w.comesInBy(keys); err == nil {
		t.Fatal("signed in")
	} else {
		refusedAs(t, err, "error.passkey_synced")
	}
	if n := len(w.eventsOf(maya, "passkey.backup_changed")); n != 1 {
		t.Errorf("%d events of the change", n)
	}
	// A question of before is answered too late: the passkey is known to be synced.
	if _, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.WebAuthn, Answer: signs(t, keys, options)}); err == nil {
		t.Error("a second step")
	} else {
		refusedAs(t, err, "error.passkey_synced")
	}
	if n := len(w.eventsOf(maya, "sign_in.refused")); n != 1 {
		t.Errorf("%d refusals on record", n)
	}
}

func TestPasskeyBecomesSyncedAtSecondStep_N1(t *testing.T) {
	w, maya, keys := keyed(t)
	w.rule(deviceBound)
	o, options := w.asksFor(maya, authn.Client{Browser: "b1"})
	keys.Synced = true
	st, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.WebAuthn, Answer: signs(t, keys, options)})
	if err != nil || st.Session != nil || st.Need.State != authn.Denied || st.Need.Denied != policy.NotTaken {
		t.Errorf("%+v %v", st.Need, err)
	}
}

// Where two-factor is off or not offered, passkeys sleep (G1, G3); a role's strength and
// two proofs hold for whole sign-ins as well (G4).
func TestPasskeyWholeSignInByPolicy_G1_G3_G4(t *testing.T) {
	w, maya, keys := keyed(t)
	w.rule(func(d *policy.Document) { d.Internal = policy.NotOffered })
	_, err := w.comesInBy(keys)
	refusedAs(t, err, "error.method_not_offered") // to its person
	w.rule(func(d *policy.Document) { d.Internal, d.ProofsByRole = "", map[string]int{"member": 2} })
	st, err := w.comesInBy(keys)
	if err != nil || st.Session != nil || st.Need.State != authn.NeedEnrolment {
		t.Errorf("two proofs, of which one is there: %+v %v", st.Need, err)
	}
	w.rule(func(d *policy.Document) {
		d.ProofsByRole, d.Strength = nil, map[string]policy.Strength{"member": policy.PhishingResistant}
	})
	if st, err := w.comesInBy(keys); err != nil || st.Session == nil || st.Session.ACR != authn.AAL2 {
		t.Errorf("phishing-resistant: %+v %v", st, err)
	}
	if st := w.mustBegin(maya, authn.Client{}); len(st.Need.Offers) != 1 || st.Need.Offers[0].Kind != authn.WebAuthn {
		t.Errorf("by password: %+v", st.Need)
	}
	w.rule(func(d *policy.Document) { d.TwoFactor, d.Strength = policy.Off, nil })
	_, err = w.SignIn.Passkeys(t.Context(), "acme", authn.Client{Browser: "b1"})
	refusedAs(t, err, "error.method_not_offered")
}

// cve-74: whoever is asked for a passkey may choose a weaker way only where the company
// lets them. What they then show is what the session says, and a browser that was never
// used before is told of, with a link to secure the account.
func TestWeakerWayBesideAPasskey_cve74(t *testing.T) {
	w, maya, _ := keyed(t)
	_, maya.Secret = w.AddApp(t, maya.User)
	known, strange := authn.Client{Browser: "b1"}, authn.Client{Browser: "b2"}
	for _, c := range []authn.Client{known, strange} {
		st, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(w.mustBegin(maya, c).Token, c), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, maya.Secret)}})
		if err != nil || st.Session == nil || slices.Contains(st.Session.AMR, "hwk") || slices.Contains(st.Session.AMR, "swk") {
			t.Fatalf("%+v %v", st, err)
		}
		w.Clock.Advance(time.Minute)
	}
	if n := len(w.eventsOf(maya, "session.new_browser")); n == 0 {
		t.Error("nobody is told of the strange browser")
	}
	// "Strongest only" is a role's strength: then there is no choice, and the session of
	// the weaker way is over.
	st, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(w.mustBegin(maya, known).Token, known), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, maya.Secret)}})
	if err != nil {
		t.Fatal(err)
	}
	w.rule(func(d *policy.Document) { d.Strength = map[string]policy.Strength{"member": policy.PhishingResistant} })
	begun := w.mustBegin(maya, known)
	if offers := begun.Need.Offers; len(offers) != 1 || offers[0].Kind != authn.WebAuthn {
		t.Errorf("%+v", offers)
	}
	w.Clock.Advance(time.Minute)
	if _, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(begun.Token, known), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, maya.Secret)}}); !errors.Is(err, authn.Invalid) {
		t.Errorf("a weaker way that is not offered: %v", err)
	}
	if _, err := w.SignIn.StepUp(t.Context(), st.SessionToken, "", "", known); !errors.Is(err, authn.Unauthenticated) {
		t.Errorf("the session of the weaker way: %v", err)
	}
}
