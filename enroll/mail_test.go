package enroll_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// Who has nothing but codes by e-mail can still change the account: their
// step-up is such a code, and it is enough (ruling 26).
func TestEmailOnlyCanChange_rul26(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.Email, "")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.LastCode(t, "lena@acme.example")})
	if err != nil || len(changed.Codes) != 0 {
		t.Fatalf("%d codes, %v", len(changed.Codes), err)
	}
	who = enroll.Who{Token: changed.Token, Client: here}
	w.Clock.Advance(11 * time.Minute)
	if err := w.Enroll.Ready(t.Context(), who); code(err) != authn.StepUpRequired {
		t.Fatalf("an old proof is enough: %v", err)
	}
	st, err := w.SignIn.StepUp(t.Context(), who.Token, "", "", here)
	if err != nil || st.Need.State != authn.NeedFactor || st.Need.Offers[0].Kind != authn.Email {
		t.Fatalf("%+v %v", st.Need, err)
	}
	o := signin.OpenerOf(st.Token, here)
	if _, _, err := w.SignIn.Challenge(t.Context(), o, authn.Email, ""); err != nil {
		t.Fatal(err)
	}
	st, err = w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.Email, Answer: authn.Answer{Code: w.LastCode(t, "lena@acme.example")}})
	if err != nil {
		t.Fatal(err)
	}
	who = enroll.Who{Token: st.SessionToken, Client: here}
	if err := w.Enroll.Ready(t.Context(), who); err != nil {
		t.Errorf("the code is not enough: %v", err)
	}
	if _, err := w.Enroll.ChangePassword(t.Context(), who, sallyporttest.Password, "seven green tractors"); err != nil {
		t.Error(err)
	}
}

// While no way can be used, the password does not stand in for it.
func TestEmailAsleep_A6(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.Email, "")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.LastCode(t, "lena@acme.example")})
	if err != nil {
		t.Fatal(err)
	}
	w.SetTwoFactor(t, "acme", policy.Off)
	who = w.confirmPassword(enroll.Who{Token: changed.Token, Client: here})
	if _, err := w.Enroll.Remove(t.Context(), who, pend.Factor.ID); code(err) != authn.PolicyForbids {
		t.Errorf("removed on the password alone: %v", err)
	}
}
