package enroll_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

type world struct {
	*sallyporttest.Server
	t *testing.T
}

func newWorld(t *testing.T) world { return world{sallyporttest.NewServer(t), t} }

var here = authn.Client{Browser: "browser-cookie", Agent: "Firefox on Linux"}

// signIn takes a person in; with an app, by a code not used before.
func (w world) signIn(p sallyporttest.Person) enroll.Who {
	w.t.Helper()
	st, err := w.SignIn.Begin(w.t.Context(), signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password, Client: here})
	if err != nil {
		w.t.Fatal(err)
	}
	if p.Secret != nil {
		st, err = w.SignIn.Verify(w.t.Context(), signin.OpenerOf(st.Token, here),
			signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(w.t, p.Secret)}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.Clock.Advance(30 * time.Second)
	}
	return enroll.Who{Token: st.SessionToken, Client: here}
}

// confirmPassword is the step-up of someone who has no factor.
func (w world) confirmPassword(who enroll.Who) enroll.Who {
	w.t.Helper()
	st, err := w.SignIn.StepUp(w.t.Context(), who.Token, "", "", here)
	if err != nil {
		w.t.Fatal(err)
	}
	st, err = w.SignIn.Verify(w.t.Context(), signin.OpenerOf(st.Token, here),
		signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: sallyporttest.Password}})
	if err != nil {
		w.t.Fatal(err)
	}
	return enroll.Who{Token: st.SessionToken, Client: here}
}

func (w world) secretOf(p enroll.Pending) otp.Secret {
	w.t.Helper()
	s, err := otp.DecodeSecret(p.Shown.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func code(err error) authn.Code {
	if err == nil {
		return ""
	}
	return authn.AsError(err).Code
}

func (w world) alive(who enroll.Who) bool {
	_, err := w.Sessions.Check(w.t.Context(), who.Token.Reveal(), here)
	return err == nil
}

func TestFirstApp_A1_A2_A3(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.signIn(p)
	other := w.signIn(p)
	// rul-1: an open session alone adds nothing; the password is asked again.
	if _, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, ""); code(err) != authn.StepUpRequired || authn.AsError(err).ACRValues != authn.AAL1 {
		t.Fatalf("%v", err)
	}
	who = w.confirmPassword(who)
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	u, err := otp.ParseURI(pend.Shown.URI)
	if err != nil || u.Issuer != "Acme Projects" || u.Account != "lena@acme.example" || u.Secret.Base32() != pend.Shown.Key || len(u.Secret) != 20 {
		t.Fatalf("%+v %v", u, err)
	}
	// Not active before a right answer (A2, cve-50), and a reload shows the same.
	again, err := w.Enroll.Show(t.Context(), who, pend.Factor.ID)
	if err != nil || again.Shown != pend.Shown {
		t.Errorf("%v: another key after a reload", err)
	}
	if st, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "lena", Password: sallyporttest.Password}); err != nil || st.Attempt.State != authn.Complete {
		t.Errorf("a pending factor counts: %v %v", st.Attempt.State, err)
	}
	secret := w.secretOf(pend)
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.WrongCode(t, secret)}); code(err) != authn.WrongCode {
		t.Errorf("%v", err)
	}
	if again, err = w.Enroll.Show(t.Context(), who, pend.Factor.ID); err != nil || again.Shown != pend.Shown {
		t.Errorf("a wrong code changed the key: %v", err)
	}
	done, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.Code(t, secret)})
	if err != nil {
		t.Fatal(err)
	}
	if done.Factor.State != authn.Confirmed || done.Session.ACR != authn.AAL2 || strings.Join(done.Session.AMR, " ") != "pwd otp" {
		t.Errorf("%+v %+v", done.Factor, done.Session)
	}
	// rul-3, cve-53: the session is issued anew, all others are over.
	if w.alive(who) || w.alive(other) || !w.alive(enroll.Who{Token: done.Token}) {
		t.Error("sessions after the change are not as they should be")
	}
	// rul-11: the confirming code does not sign in.
	st, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "lena", Password: sallyporttest.Password, Client: here})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, here), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, secret)}})
	if code(err) != authn.CodeUsed {
		t.Errorf("%v", err)
	}
	// std-25: the secret is not shown again.
	if _, err := w.Enroll.Show(t.Context(), enroll.Who{Token: done.Token}, pend.Factor.ID); code(err) != authn.Conflict {
		t.Errorf("%v", err)
	}
}

func TestReset_A5(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	who := w.signIn(p)
	if _, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, ""); code(err) != authn.Conflict {
		t.Errorf("replaced unasked: %v", err)
	}
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, p.Factor)
	if err != nil || pend.Replaces == nil || pend.Replaces.ID != p.Factor {
		t.Fatalf("%+v %v", pend, err)
	}
	// A second beginning replaces the first pending one, which is gone.
	second, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, p.Factor)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.Code(t, w.secretOf(pend))}); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
	// The old secret works until the new one is confirmed …
	half, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password, Client: here})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(half.Token, here), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, p.Secret)}}); err != nil {
		t.Errorf("%v", err)
	}
	w.Clock.Advance(30 * time.Second)
	half, err = w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password, Client: here})
	if err != nil {
		t.Fatal(err)
	}
	done, err := w.Enroll.Confirm(t.Context(), who, second.Factor.ID, 0, authn.Answer{Code: w.Code(t, w.secretOf(second))})
	if err != nil {
		t.Fatal(err)
	}
	// … and never after; a sign-in begun before is over too (rul-3).
	if _, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(half.Token, here), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, p.Secret)}}); err == nil {
		t.Error("the old secret still signs in")
	}
	_, factors, err := w.Directory.Lookup(t.Context(), w.Company, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	apps := 0
	for _, f := range factors {
		if f.Kind == authn.TOTP {
			apps++
			if f.ID != done.Factor.ID {
				t.Errorf("left over: %+v", f)
			}
		}
	}
	if apps != 1 {
		t.Errorf("%d apps", apps)
	}
}

func TestRemove_A6(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	who := w.signIn(p)
	w.Clock.Advance(15 * time.Minute)
	if _, err := w.Enroll.Remove(t.Context(), who, p.Factor); code(err) != authn.StepUpRequired || authn.AsError(err).ACRValues != authn.AAL2 {
		t.Errorf("removed without a fresh proof: %v", err)
	}
	if err := w.Enroll.Ready(t.Context(), who); code(err) != authn.StepUpRequired {
		t.Errorf("%v", err)
	}
	who = w.signIn(p)
	w.SetTwoFactor(t, "acme", policy.Required)
	if _, err := w.Enroll.Remove(t.Context(), who, p.Factor); code(err) != authn.PolicyForbids {
		t.Errorf("the last one was removed against policy: %v", err)
	}
	w.SetTwoFactor(t, "acme", policy.On)
	if err := w.Directory.SetRequire(t.Context(), w.Company, p.ID, true); err != nil {
		t.Fatal(err)
	}
	who = w.signIn(p)
	if _, err := w.Enroll.Remove(t.Context(), who, p.Factor); code(err) != authn.PolicyForbids {
		t.Errorf("the last one of a person of whom it is required: %v", err)
	}
	if err := w.Directory.SetRequire(t.Context(), w.Company, p.ID, false); err != nil {
		t.Fatal(err)
	}
	who = w.signIn(p)
	done, err := w.Enroll.Remove(t.Context(), who, p.Factor)
	if err != nil {
		t.Fatal(err)
	}
	if w.alive(who) || !w.alive(enroll.Who{Token: done.Token}) {
		t.Error("the session was not issued anew")
	}
	st, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password})
	if err != nil || st.Attempt.State != authn.Complete {
		t.Errorf("%v %v", st.Attempt.State, err)
	}
	// Off and on again: the proof that turned it off is still fresh.
	if _, err := w.Enroll.Begin(t.Context(), enroll.Who{Token: done.Token, Client: here}, authn.TOTP, ""); err != nil {
		t.Errorf("%v", err)
	}
}

func TestClockHint_A8(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	secret := w.secretOf(pend)
	for _, min := range []int{-9, -3, 2, 9} {
		_, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0,
			authn.Answer{Code: sallyporttest.CodeAt(t, secret, w.Clock.Now().Add(time.Duration(min)*time.Minute))})
		e := authn.AsError(err)
		if e.Code != authn.WrongCode || e.ClockSkew.Round(time.Minute) != time.Duration(min)*time.Minute {
			t.Errorf("%+d min: %v, skew %v", min, err, e.ClockSkew)
		}
	}
	_, err = w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: sallyporttest.CodeAt(t, secret, w.Clock.Now().Add(12*time.Minute))})
	if e := authn.AsError(err); e.Code != authn.WrongCode || e.ClockSkew != 0 {
		t.Errorf("12 min: %+v", e)
	}
	// Sign-in never gives the hint (rul-16).
	m := w.AddUser(t, w.Company, "maya", true)
	st, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, authn.Client{}), signin.Verify{Method: authn.TOTP,
		Answer: authn.Answer{Code: sallyporttest.CodeAt(t, m.Secret, w.Clock.Now().Add(3*time.Minute))}})
	if e := authn.AsError(err); e.Code != authn.WrongCode || e.ClockSkew != 0 {
		t.Errorf("%+v", e)
	}
}

// rul-11: guesses at a pending factor are charged like any other.
func TestConfirmGuesses(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	bad := w.WrongCode(t, w.secretOf(pend))
	var evaluated atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			_, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: bad})
			if code(err) == authn.WrongCode {
				evaluated.Add(1)
			} else if code(err) != authn.Paused {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if evaluated.Load() != policy.FreeTries {
		t.Errorf("%d evaluated", evaluated.Load())
	}
}

// tutanota #9789, cve-24: a double submit of the confirming code.
func TestConfirmTwice(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	c := w.Code(t, w.secretOf(pend))
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: c}); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d confirmations", won.Load())
	}
}

func TestSetupExpires_rul45(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(30 * time.Minute)
	if _, err := w.Enroll.Show(t.Context(), who, pend.Factor.ID); code(err) != authn.Expired {
		t.Errorf("%v", err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.Code(t, w.secretOf(pend))}); code(err) != authn.Expired {
		t.Errorf("%v", err)
	}
}

// cve-58: another person's factor is not there, whoever asks.
func TestOthersFactors(t *testing.T) {
	w := newWorld(t)
	a, b := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "omar", true)
	who, other := w.signIn(a), w.signIn(b)
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, a.Factor)
	if err != nil {
		t.Fatal(err)
	}
	c := authn.Answer{Code: w.Code(t, w.secretOf(pend))}
	if _, err := w.Enroll.Show(t.Context(), other, pend.Factor.ID); code(err) != authn.NotFound {
		t.Errorf("show: %v", err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), other, pend.Factor.ID, 0, c); code(err) != authn.NotFound {
		t.Errorf("confirm: %v", err)
	}
	if _, err := w.Enroll.Remove(t.Context(), other, a.Factor); code(err) != authn.NotFound {
		t.Errorf("remove: %v", err)
	}
	if _, err := w.Enroll.Rename(t.Context(), other, a.Factor, "mine"); code(err) != authn.NotFound {
		t.Errorf("rename: %v", err)
	}
	// The password is no factor that these calls touch.
	_, factors, err := w.Directory.Lookup(t.Context(), w.Company, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range factors {
		if f.Kind != authn.Password {
			continue
		}
		if _, err := w.Enroll.Remove(t.Context(), who, f.ID); code(err) != authn.NotFound {
			t.Errorf("removed a password: %v", err)
		}
	}
}

func TestRename(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	who := w.signIn(p)
	if f, err := w.Enroll.Rename(t.Context(), who, p.Factor, "  Maya's   phone "); err != nil || f.Name != "Maya's phone" {
		t.Errorf("%q %v", f.Name, err)
	}
	for _, bad := range []string{"", "   ", strings.Repeat("x", 61), "a\u202egnp.exe", "a\x00b", "\xff"} {
		if _, err := w.Enroll.Rename(t.Context(), who, p.Factor, bad); code(err) != authn.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestGiveUpPending(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	who := w.signIn(p)
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, p.Factor)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Remove(t.Context(), who, pend.Factor.ID); err != nil {
		t.Fatal(err)
	}
	if !w.alive(who) {
		t.Error("giving up a set-up ended the session")
	}
	if _, err := w.Enroll.Show(t.Context(), who, pend.Factor.ID); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
}

func TestOffNothingIsOffered_G1(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	w.SetTwoFactor(t, "acme", policy.Off)
	if _, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, ""); code(err) != authn.PolicyForbids {
		t.Errorf("%v", err)
	}
	if _, err := w.Enroll.Begin(t.Context(), who, authn.SMS, ""); code(err) != authn.PolicyForbids {
		t.Errorf("%v", err)
	}
}

func TestChangePassword_J1(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	other, who := w.signIn(p), w.signIn(p)
	const next = "an entirely new secret phrase"
	for _, bad := range []struct{ current, next, field string }{
		{"", next, "current"}, {sallyporttest.Password, "", "new"}, {sallyporttest.Password, "fourteen chars", "new"},
		{sallyporttest.Password, strings.Repeat("x", 5000), "new"}, {sallyporttest.Password, "maya@acme.example", "new"},
	} {
		_, err := w.Enroll.ChangePassword(t.Context(), who, bad.current, bad.next)
		if e := authn.AsError(err); e.Code != authn.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != bad.field {
			t.Errorf("%.20q: %+v", bad.next, e)
		}
	}
	if _, err := w.Enroll.ChangePassword(t.Context(), who, "not the current one", next); code(err) != authn.WrongCredentials {
		t.Errorf("%v", err)
	}
	done, err := w.Enroll.ChangePassword(t.Context(), who, sallyporttest.Password, next)
	if err != nil {
		t.Fatal(err)
	}
	if w.alive(other) || w.alive(who) || !w.alive(enroll.Who{Token: done.Token}) {
		t.Error("sessions after the change are not as they should be")
	}
	begin := func(pw string) error {
		_, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: pw, Client: here})
		return err
	}
	if err := begin(sallyporttest.Password); code(err) != authn.WrongCredentials {
		t.Errorf("the old password: %v", err)
	}
	if err := begin(next); err != nil {
		t.Errorf("the new password: %v", err)
	}
	// Someone who has a factor proves it again first.
	w.Clock.Advance(15 * time.Minute)
	if _, err := w.Enroll.ChangePassword(t.Context(), enroll.Who{Token: done.Token, Client: here}, next, sallyporttest.Password); code(err) != authn.StepUpRequired {
		t.Errorf("%v", err)
	}
	// std-4: no change is ever forced by age.
	w.Clock.Advance(400 * 24 * time.Hour)
	if err := begin(next); err != nil {
		t.Errorf("after 400 days: %v", err)
	}
}

func TestDeadSessionChangesNothing(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	who := w.signIn(p)
	if err := w.Sessions.SignOut(t.Context(), who.Token, here); err != nil {
		t.Fatal(err)
	}
	_, e1 := w.Enroll.Begin(t.Context(), who, authn.TOTP, p.Factor)
	_, e2 := w.Enroll.Remove(t.Context(), who, p.Factor)
	_, e3 := w.Enroll.ChangePassword(t.Context(), who, sallyporttest.Password, "an entirely new secret phrase")
	_, e4 := w.Enroll.Rename(t.Context(), who, p.Factor, "x")
	_, e5 := w.Enroll.Show(t.Context(), who, p.Factor)
	for i, err := range []error{e1, e2, e3, e4, e5} {
		if code(err) != authn.Unauthenticated {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// rul-49: Reload of a refused answer charges nothing.
func TestStaleSetUpForm(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	bad := authn.Answer{Code: w.WrongCode(t, w.secretOf(pend))}
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, pend.Version, bad); code(err) != authn.WrongCode {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, pend.Version, bad); code(err) != authn.Conflict {
			t.Errorf("%v", err)
		}
	}
	again, err := w.Enroll.Show(t.Context(), who, pend.Factor.ID)
	if err != nil || again.Version != pend.Version+1 || again.Factor.Counts[authn.Known].Tries+again.Factor.Counts[authn.Stranger].Tries != 1 {
		t.Errorf("%+v %v", again.Factor.Counts, err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, again.Version, authn.Answer{Code: w.Code(t, w.secretOf(pend))}); err != nil {
		t.Error(err)
	}
}

// inv-E: a session that waits for the owner to begin a set-up has no part in it.
func TestPendingBelongsToItsSignIn(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	stolen, who := w.signIn(p), w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Show(t.Context(), stolen, pend.Factor.ID); code(err) != authn.NotFound {
		t.Errorf("show: %v", err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), stolen, pend.Factor.ID, 0, authn.Answer{Code: w.Code(t, w.secretOf(pend))}); code(err) != authn.NotFound {
		t.Errorf("confirm: %v", err)
	}
	if _, err := w.Enroll.Remove(t.Context(), stolen, pend.Factor.ID); code(err) != authn.NotFound {
		t.Errorf("remove: %v", err)
	}
	// A step-up in between changes the session, not the sign-in.
	who = w.confirmPassword(who)
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.Code(t, w.secretOf(pend))}); err != nil {
		t.Errorf("%v", err)
	}
}

// inv-E, cve-51: while policy lets it sleep, the password alone does not remove
// the app either.
func TestRemoveWhileOff(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.SetTwoFactor(t, "acme", policy.Off)
	q := p
	q.Secret = nil // signs in by password alone now
	who := w.signIn(q)
	if _, err := w.Enroll.Remove(t.Context(), who, p.Factor); code(err) != authn.PolicyForbids {
		t.Errorf("%v", err)
	}
	st, err := w.SignIn.StepUp(t.Context(), who.Token, "", "", here)
	if err != nil || st.Attempt.State != authn.Denied {
		t.Errorf("%v %v", st.Attempt.State, err)
	}
}

// full is a password method whose gate turns everything away while it is set.
type full struct {
	enroll.Passwords
	verify, hash bool
}

func (f *full) Verify(ctx context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	if f.verify {
		return authn.Match{}, &authn.Error{Code: authn.Busy}
	}
	return f.Passwords.Verify(ctx, r, a)
}

func (f *full) Hash(ctx context.Context, p string) ([]byte, error) {
	if f.hash {
		return nil, &authn.Error{Code: authn.Busy}
	}
	return f.Passwords.Hash(ctx, p)
}

func TestChangePasswordAtAFullGate(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "omar", false)
	pw, tp := sallyporttest.Methods(t)
	gate := &full{Passwords: pw}
	s, err := enroll.New(enroll.Config{Store: w.Store, Methods: []authn.Method{pw, tp}, Passwords: gate, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	who := w.signIn(p)
	const next = "an entirely new secret phrase"
	for i := range 30 {
		gate.verify, gate.hash = i%2 == 0, i%2 == 1
		if _, err := s.ChangePassword(t.Context(), who, sallyporttest.Password, next); code(err) != authn.Busy {
			t.Fatal(err)
		}
	}
	gate.verify, gate.hash = false, false
	if _, err := s.ChangePassword(t.Context(), who, sallyporttest.Password, next); err != nil {
		t.Errorf("paused by a full gate: %v", err)
	}
}
