package signin_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/signin"
)

// rul-26, cve-52: how old a proof is counts from the answer, not from the end of a
// sign-in that asked for something else after it.
func TestAgeOfTheProof_rul26_cve52(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.put(p, func(u *authn.User) { u.SecuredAt = w.Clock.Now() })
	st := w.mustBegin(p, browser("b"))
	w.Clock.Advance(30 * time.Second)
	proved := w.Clock.Now()
	st, err := w.verify(st, w.Code(t, p.Secret), browser("b"))
	if err != nil || st.Need.State != authn.NeedPasswordChange {
		t.Fatalf("%+v %v", st.Need, err)
	}
	w.Clock.Advance(9 * time.Minute)
	st, err = w.SignIn.ChangePassword(t.Context(), signin.Opener{Company: w.Company.ID, Attempt: st.Attempt.ID, Client: browser("b")}, chosen)
	if err != nil || st.Session == nil || !st.Session.FactorTime.Equal(proved) || !st.Session.AuthTime.Equal(w.Clock.Now()) {
		t.Fatalf("%+v %v", st.Session, err)
	}
	w.Clock.Advance(time.Minute)
	rows, err := w.Store.View(t.Context(), authn.Keys{Company: w.Company.ID, SessionToken: st.SessionToken, Now: w.Clock.Now()})
	if err != nil || rows.Session == nil {
		t.Fatalf("%+v %v", rows.Session, err)
	}
	if err := policy.Fresh(&rows, true, 10*time.Minute, w.Clock.Now()); authn.AsError(err).Code != authn.StepUpRequired {
		t.Errorf("ten minutes after the answer: %v", err)
	}
}
