package policy_test

import (
	"slices"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// rul-22 over all that Evaluate looks at: whoever a program vouches for gets in by no
// less than with a password, puts nothing off, trusts nothing, and sets up a way only
// where the program may have that done.
func TestCaller_rul22(t *testing.T) {
	n := 0
	eachCase(t, func(c tableCase) {
		if c.Purpose != authn.SignIn {
			return
		}
		n++
		usual := policy.Evaluate(c.Asked)
		for _, enrol := range []bool{false, true} {
			a := c.Asked
			a.Caller = &authn.Caller{Key: "key_1", Enrol: enrol}
			got := policy.Evaluate(a)
			odd := !got.GraceUntil.IsZero() || slices.ContainsFunc(got.Offers, func(o policy.Offer) bool { return o.TrustDays != 0 || o.Kind == authn.BypassCode && !enrol }) ||
				(got.State == authn.Complete) != (usual.State == authn.Complete) || got.State == authn.NeedEnrolment && (!enrol || usual.State != got.State) ||
				got.State == authn.NeedPassword || got.State == authn.NeedPasswordChange || (got.State == authn.Denied) != (got.Denied != "") ||
				got.State == authn.NeedFactor && len(got.Offers) == 0 || got.ACR != usual.ACR && got.State == authn.Complete
			if odd {
				t.Errorf("%s: enrol %v: %+v, and with a password %+v", c, enrol, got, usual)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	})
	if n < 1000 {
		t.Errorf("%d cases", n)
	}
	// The program's word shows something known, and says whose word it is.
	acr, amr := policy.Level([]authn.Proof{{Kind: authn.Asserted, Traits: authn.Traits{Knowledge: true}}, {Kind: authn.TOTP, Traits: authn.Traits{Possession: true}}})
	if acr != authn.AAL2 || !slices.Equal(amr, []string{"caller", "otp"}) {
		t.Errorf("%s %v", acr, amr)
	}
	if acr, _ := policy.Level([]authn.Proof{{Kind: authn.Asserted, Traits: authn.Traits{Knowledge: true}}}); acr != authn.AAL1 {
		t.Errorf("alone it is %s", acr)
	}
}
