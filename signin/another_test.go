package signin_test

import (
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// After "this wasn't me" the old password has to go: choosing it again is refused,
// costs no try, and the attempt goes on.
func TestChangePasswordToAnother_std4(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	err := w.Store.Decide(t.Context(), authn.Keys{Company: w.Company.ID, User: p.ID, Now: w.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.SecuredAt = w.Clock.Now()
		return authn.Accept(authn.Event{Type: "account.secured", Target: u.ID}, authn.PutUser{User: u})
	})
	if err != nil {
		t.Fatal(err)
	}
	st := w.mustBegin(p, browser("b"))
	st2, err := w.verify(st, w.Code(t, p.Secret), browser("b"))
	if err != nil || st2.Need.State != authn.NeedPasswordChange || st2.Session != nil {
		t.Fatalf("%+v %v", st2.Need, err)
	}
	o := signin.OpenerOf(st.Token, browser("b"))
	for range 12 { // more than the tries before a pause
		_, err := w.SignIn.ChangePassword(t.Context(), o, sallyporttest.Password)
		if e := authn.AsError(err); e.Code != authn.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != "new" || e.Fields[0].Code != "same_password" {
			t.Fatalf("%v", err)
		}
	}
	done, err := w.SignIn.ChangePassword(t.Context(), o, "seven small lamps beside the river")
	if err != nil || done.Session == nil {
		t.Fatalf("%+v %v", done, err)
	}
}
