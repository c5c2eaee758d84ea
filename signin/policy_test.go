package signin_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// The company's numbers are those that count: tries, pauses, lifetimes (G4).
func TestCompanysNumbers_G4_rul45(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.setPolicy(policy.Document{TwoFactor: policy.On, FreeTries: 3, PauseSeconds: 1800, AttemptSeconds: 600, SessionSeconds: 1200, IdleSeconds: 600})
	st := w.mustBegin(p, browser("b"))
	if got := st.Attempt.ExpiresAt.Sub(w.Clock.Now()); got != 10*time.Minute {
		t.Errorf("an attempt lives %s", got)
	}
	for left := 2; left >= 0; left-- {
		_, err := w.verify(st, w.WrongCode(t, p.Secret), browser("b"))
		e := authn.AsError(err)
		if e.Code != authn.WrongCode || e.AttemptsLeft != left || (left == 0) != (e.RetryAfter == 30*time.Minute) {
			t.Fatalf("%d left: %+v", left, e)
		}
	}
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("b")); code(err) != authn.Paused {
		t.Errorf("%v", err)
	}
	w.Clock.Advance(30 * time.Minute)
	done, err := w.verify(w.mustBegin(p, browser("b")), w.Code(t, p.Secret), browser("b"))
	if err != nil || done.Session.ExpiresAt.Sub(w.Clock.Now()) != 20*time.Minute || done.Session.Idle != 10*time.Minute {
		t.Fatalf("%+v %v", done.Session, err)
	}
	// A lifetime that is shortened holds at once for sessions that are there.
	w.setPolicy(policy.Document{TwoFactor: policy.On, IdleSeconds: 300})
	w.Clock.Advance(301 * time.Second)
	if _, err := w.Sessions.Check(t.Context(), done.SessionToken.Reveal(), browser("b")); code(err) != authn.Unauthenticated {
		t.Errorf("idle for longer than the policy of now lets it be: %v", err)
	}
	// Passwords count by the same numbers.
	w.setPolicy(policy.Document{TwoFactor: policy.On, FreeTries: 3, PauseSeconds: 1800})
	for range 3 {
		if _, err := w.begin("maya", "not the right password", browser("stranger")); code(err) != authn.WrongCredentials {
			t.Fatalf("%v", err)
		}
	}
	if _, err := w.begin("maya", "not the right password", browser("stranger")); code(err) != authn.Paused || authn.AsError(err).RetryAfter != 30*time.Minute {
		t.Errorf("%v", err)
	}
}

// A policy that is saved while a sign-in is under way is the one that completes it.
func TestPolicySavedInBetween_rul25_cve43(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.addFactor(p, authn.Email)
	on := policy.Document{TwoFactor: policy.On}

	// A role begins to ask for more than what is about to be proven.
	w.setPolicy(on)
	st := w.mustBegin(p, browser("b"))
	strict := on
	strict.Strength = map[string]policy.Strength{"member": policy.OwnPossession}
	to := w.send(st, p.Email, browser("b"))
	w.setPolicy(strict)
	if _, err := w.answer(st, authn.Email, to, browser("b")); code(err) != authn.Invalid {
		t.Errorf("a code by e-mail, where the role has come to ask for more: %v", err)
	}
	// Two proofs are asked for: the first does not complete it.
	w.setPolicy(policy.Document{TwoFactor: policy.On, ProofsByRole: map[string]int{"member": 2}})
	got, err := w.verify(st, w.Code(t, p.Secret), browser("b"))
	if err != nil || got.Session != nil || got.Need.State != authn.NeedFactor || len(got.Need.Offers) != 1 || got.Need.Offers[0].Kind != authn.Email {
		t.Fatalf("%+v %v", got.Need, err)
	}
	// And fewer: what was proven is enough, and Complete makes the session.
	w.setPolicy(on)
	if got, err = w.SignIn.Complete(t.Context(), signin.OpenerOf(st.Token, browser("b"))); err != nil || got.Session == nil {
		t.Fatalf("%+v %v", got.Need, err)
	}
	token := got.SessionToken.Reveal()
	w.setPolicy(policy.Document{TwoFactor: policy.On, ProofsByRole: map[string]int{"member": 2}})
	if _, err := w.Sessions.Check(t.Context(), token, browser("b")); code(err) != authn.Unauthenticated {
		t.Errorf("a session of one proof, where two are asked for: %v", err)
	}
	// The way is not offered any more. It comes last: allowed again, it would have to
	// be confirmed again (ruling 2).
	w.setPolicy(on)
	st = w.mustBegin(p, browser("b"))
	keys := on
	keys.Methods = []authn.Kind{authn.Email}
	w.setPolicy(keys)
	w.Clock.Advance(30 * time.Second)
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("b")); code(err) != authn.Invalid {
		t.Errorf("a way that is not offered any more: %v", err)
	}
}

// Two proofs of different kinds, with the second one set up on the way in.
func TestTwoProofsSignIn_G4(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.setPolicy(policy.Document{TwoFactor: policy.On, ProofsByRole: map[string]int{"member": 2}})
	st := w.mustBegin(p, browser("b"))
	st, err := func() (signin.Status, error) {
		got, err := w.verify(st, w.Code(t, p.Secret), browser("b"))
		got.Token = st.Token
		return got, err
	}()
	if err != nil || st.Session != nil || st.Need.State != authn.NeedEnrolment {
		t.Fatalf("%+v %v", st.Need, err)
	}
	who := enroll.Who{Token: st.Token, Client: browser("b")}
	if _, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, ""); authn.AsError(err).TextKey() != "error.another_kind" {
		t.Errorf("the same kind again: %v", err)
	}
	w.UseTexts(t, w.Company)
	pending, err := w.Enroll.BeginPhone(t.Context(), who, "", "+46701740605", "SE")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, pending.Factor.ID, 0, authn.Answer{Code: w.LastCode(t, "+46701740605")}); err != nil {
		t.Fatal(err)
	}
	done, err := w.SignIn.Complete(t.Context(), signin.OpenerOf(st.Token, browser("b")))
	if err != nil || done.Session == nil || !slices.Contains(done.Session.AMR, "mfa") || done.Session.ACR != authn.AAL2 {
		t.Fatalf("%+v %+v %v", done.Need, done.Session, err)
	}
	if _, err := w.Sessions.Check(t.Context(), done.SessionToken.Reveal(), browser("b")); err != nil {
		t.Error(err)
	}
}

// What the company does not offer is not set up, and what was begun before that is
// not finished (G2, rul-25).
func TestMethodsOffered_G2(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "omar", false)
	w.setPolicy(policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}})
	st := w.mustBegin(p, browser("b"))
	got, err := w.answer(st, authn.Email, w.send(st, p.Email, browser("b")), browser("b"))
	if err != nil || got.Need.State != authn.NeedEnrolment {
		t.Fatalf("%+v %v", got.Need, err)
	}
	who := enroll.Who{Token: st.Token, Client: browser("b")}
	pending, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	keys := policy.Document{Format: 1, TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}, Methods: []authn.Kind{authn.WebAuthn, authn.Email}}
	w.setPolicy(keys)
	if _, err := w.Enroll.Confirm(t.Context(), who, pending.Factor.ID, 0, authn.Answer{Code: "123456"}); authn.AsError(err).TextKey() != "error.method_not_offered" {
		t.Errorf("begun before: %v", err)
	}
	if _, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, ""); authn.AsError(err).TextKey() != "error.method_not_offered" {
		t.Errorf("not offered: %v", err)
	}
	c, err := w.Directory.Company(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	keys.OwnWay = nil
	if ways := w.Enroll.Ways(c, keys, p.User, false); !slices.Equal(ways, []authn.Kind{authn.Email, authn.WebAuthn}) {
		t.Errorf("%v", ways)
	}
}

// An exemption lets the person in on the password until its date, and not an
// hour longer: the session ends with it (G3, cve-43).
func TestExemption_G3(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "omar", false)
	w.setPolicy(policy.Document{TwoFactor: policy.Required})
	w.put(p, func(u *authn.User) {
		u.ExemptUntil, u.ExemptReason, u.ExemptBy = w.Clock.Now().Add(30*time.Minute), "new phone", "operator"
	})
	st := w.mustBegin(p, browser("b"))
	if st.Session == nil || st.Session.ACR != authn.AAL1 {
		t.Fatalf("%+v", st.Need)
	}
	w.Clock.Advance(29 * time.Minute)
	if _, err := w.Sessions.Check(t.Context(), st.SessionToken.Reveal(), browser("b")); err != nil {
		t.Error(err)
	}
	w.setPolicy(policy.Document{TwoFactor: policy.Required, CompanyWideOnly: true})
	if _, err := w.Sessions.Check(t.Context(), st.SessionToken.Reveal(), browser("b")); code(err) != authn.Unauthenticated {
		t.Errorf("company-wide only: %v", err)
	}
	w.setPolicy(policy.Document{TwoFactor: policy.Required})
	w.Clock.Advance(time.Minute)
	if _, err := w.Sessions.Check(t.Context(), st.SessionToken.Reveal(), browser("b")); code(err) != authn.Unauthenticated {
		t.Errorf("the exemption is over: %v", err)
	}
	if st = w.mustBegin(p, browser("b")); st.Need.State != authn.NeedFactor {
		t.Errorf("%+v", st.Need)
	}
}

// F4 and ruling 45: the company's shorter time is for the second step; who then has
// to set a way up has the usual one, and not more.
func TestShortSignIn_F4_rul45(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	w.setPolicy(policy.Document{TwoFactor: policy.Required, AttemptSeconds: 120, OwnWay: []authn.Audience{authn.InternalAudience}})
	late := w.mustBegin(p, browser("b"))
	first := w.send(late, p.Email, browser("b"))
	w.Clock.Advance(2 * time.Minute)
	if _, err := w.answer(late, authn.Email, first, browser("b")); code(err) != authn.Expired {
		t.Errorf("after two minutes: %v", err)
	}
	st := w.mustBegin(p, browser("b"))
	begun := w.Clock.Now()
	got, err := w.answer(st, authn.Email, w.send(st, p.Email, browser("b")), browser("b"))
	if err != nil || got.Need.State != authn.NeedEnrolment || got.Attempt.ExpiresAt.Sub(begun) != 15*time.Minute {
		t.Fatalf("%+v until %s: %v", got.Need, got.Attempt.ExpiresAt, err)
	}
	w.Clock.Advance(14 * time.Minute)
	w.setUpApp(st, browser("b"))
	if _, err := w.SignIn.Complete(t.Context(), signin.OpenerOf(st.Token, browser("b"))); err != nil {
		t.Error(err)
	}
	// By an invitation nothing but the set-up is left.
	g, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: "omar", Email: "omar@acme.example"}, false)
	if err != nil {
		t.Fatal(err)
	}
	in, err := w.SignIn.Accept(t.Context(), g.Token, "another quiet harbour", "", browser("c"))
	if err != nil || in.Need.State != authn.NeedEnrolment || in.Attempt.ExpiresAt.Sub(w.Clock.Now()) != 15*time.Minute {
		t.Errorf("%+v until %s: %v", in.Need, in.Attempt.ExpiresAt, err)
	}
}
