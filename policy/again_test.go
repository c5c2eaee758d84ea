package policy_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Which ways a saved document allows again (rul-2): those that the one before did
// not allow. That two-factor was off takes none away (G1).
func TestFollowing_rul2_G1(t *testing.T) {
	on := func(again map[authn.Kind]int, methods ...authn.Kind) policy.Document {
		return policy.Document{Format: 1, TwoFactor: policy.On, Methods: methods, AllowedAgain: again}
	}
	off := func(d policy.Document) policy.Document { d.TwoFactor = policy.Off; return d }
	type rounds = map[authn.Kind]int
	for name, tt := range map[string]struct {
		before, after policy.Document
		want, next    rounds
	}{
		"nothing changes":             {on(nil, authn.TOTP), on(nil, authn.TOTP), nil, nil},
		"taken away":                  {on(rounds{authn.TOTP: 2}), on(nil, authn.Duo), rounds{authn.TOTP: 2}, nil},
		"allowed again":               {on(rounds{authn.TOTP: 2}, authn.Duo), on(nil, authn.Duo, authn.TOTP), rounds{authn.TOTP: 3}, nil},
		"all that there are":          {on(nil, authn.TOTP, authn.SMS, authn.Email, authn.Duo), on(nil), rounds{authn.WebAuthn: 1, authn.BackupCode: 1}, nil},
		"what is sent counts nothing": {on(rounds{authn.TOTP: 2}), on(rounds{authn.TOTP: 9, authn.SMS: 4}), rounds{authn.TOTP: 2}, nil},
		"off and on":                  {off(on(nil, authn.TOTP)), on(nil, authn.TOTP), nil, nil},
		"taken away while off":        {off(on(nil, authn.Duo)), on(nil, authn.Duo, authn.TOTP), rounds{authn.TOTP: 1}, nil},
		"later": {on(nil, authn.Duo), policy.Document{Format: 1, TwoFactor: policy.On, Methods: []authn.Kind{authn.Duo},
			Next: &policy.Next{From: now, Document: on(nil, authn.Duo, authn.TOTP)}}, nil, rounds{authn.TOTP: 1}},
	} {
		got := tt.after.Following(tt.before)
		if !reflect.DeepEqual(got.AllowedAgain, tt.want) {
			t.Errorf("%s: %v, want %v", name, got.AllowedAgain, tt.want)
		}
		if got.Next != nil && !reflect.DeepEqual(got.Next.Document.AllowedAgain, tt.next) {
			t.Errorf("%s: later %v, want %v", name, got.Next.Document.AllowedAgain, tt.next)
		}
	}
	for _, bad := range []rounds{{authn.TOTP: 0}, {authn.TOTP: -1}, {authn.Password: 1}, {authn.TOTP: 1 << 31}} {
		if _, err := on(bad).Encode(); err == nil || !strings.Contains(err.Error(), "allowed_again") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// Somebody whose way was taken away and is allowed again, by what they have and
// what they prove (rul-1, rul-2, rul-26).
func TestConfirmAgain_rul2(t *testing.T) {
	long := now.AddDate(-1, 0, 0)
	d := policy.Document{Format: 1, TwoFactor: policy.Required, OwnWay: sides, AllowedAgain: map[authn.Kind]int{authn.TOTP: 1, authn.BackupCode: 1}}
	person := func(change func(*authn.User), kinds ...authn.Kind) (authn.User, []authn.Factor) {
		u := authn.User{Company: "cmp_1", ID: "usr_1", Status: authn.Active, Epoch: 1, Audience: authn.InternalAudience, HadFactorAt: long,
			Email: "maya@acme.example", EmailVerifiedAt: long}
		if change != nil {
			change(&u)
		}
		var factors []authn.Factor
		for _, k := range kinds {
			factors = append(factors, authn.Factor{ID: "fac_" + string(k), Kind: k, State: authn.Confirmed, ConfirmAt: long, Left: 1, Counts: map[authn.Lane]authn.Count{}})
		}
		return u, factors
	}
	noMail := func(u *authn.User) { u.Email = "" }
	admin := func(u *authn.User) { u.Roles = []string{"administrator"} }
	strict := d
	strict.Strength = map[string]policy.Strength{"administrator": policy.OwnPossession}
	for name, tt := range map[string]struct {
		doc     policy.Document
		change  func(*authn.User)
		has     []authn.Kind
		purpose authn.Purpose
		again   authn.Kind
		proofs  string
		state   authn.State
		offers  string
		counts  string // the factors that count again
	}{
		"its code first":            {d, nil, []authn.Kind{authn.TOTP}, authn.SignIn, "", "password", authn.NeedFactor, "totp", ""},
		"and then a code by e-mail": {d, nil, []authn.Kind{authn.TOTP}, authn.SignIn, "", "password totp", authn.NeedFactor, "email", ""},
		"both":                      {d, nil, []authn.Kind{authn.TOTP}, authn.SignIn, "", "password totp email", authn.Complete, "", "fac_totp"},
		"a code by e-mail alone":    {d, nil, []authn.Kind{authn.TOTP}, authn.SignIn, "", "password email", authn.NeedFactor, "totp", ""},
		"nowhere to send one":       {d, noMail, []authn.Kind{authn.TOTP}, authn.SignIn, "", "password", authn.Denied, "", ""},
		"a role with a strength":    {strict, admin, []authn.Kind{authn.TOTP}, authn.SignIn, "", "password", authn.Denied, "", ""},
		"an invitation":             {d, nil, []authn.Kind{authn.TOTP}, authn.SignIn, "", "invitation password", authn.NeedEnrolment, "", ""},
		"a help code":               {d, nil, []authn.Kind{authn.TOTP}, authn.SignIn, "", "password bypass_code", authn.NeedEnrolment, "", ""},
		"old backup codes":          {d, nil, []authn.Kind{authn.TOTP, authn.BackupCode}, authn.SignIn, "", "password", authn.NeedFactor, "totp", ""},
		"another way":               {d, nil, []authn.Kind{authn.TOTP, authn.WebAuthn}, authn.SignIn, "", "password", authn.NeedFactor, "webauthn", ""},
		"signed in with that":       {d, nil, []authn.Kind{authn.TOTP, authn.WebAuthn}, authn.SignIn, "", "password webauthn", authn.Complete, "", ""},
		"then confirmed: that":      {d, nil, []authn.Kind{authn.TOTP, authn.WebAuthn}, authn.StepUp, authn.TOTP, "", authn.NeedFactor, "webauthn", ""},
		"then confirmed: it":        {d, nil, []authn.Kind{authn.TOTP, authn.WebAuthn}, authn.StepUp, authn.TOTP, "webauthn", authn.NeedFactor, "totp", ""},
		"then confirmed":            {d, nil, []authn.Kind{authn.TOTP, authn.WebAuthn}, authn.StepUp, authn.TOTP, "webauthn totp", authn.Complete, "", "fac_totp"},
		"it alone":                  {d, nil, []authn.Kind{authn.TOTP, authn.WebAuthn}, authn.StepUp, authn.TOTP, "totp", authn.NeedFactor, "webauthn", ""},
		"another confirmation":      {d, nil, []authn.Kind{authn.TOTP, authn.WebAuthn}, authn.StepUp, "", "", authn.NeedFactor, "webauthn", ""},
		"confirmation without":      {d, nil, []authn.Kind{authn.TOTP}, authn.StepUp, "", "", authn.NeedFactor, "email", ""},
		"of which the code is half": {d, nil, []authn.Kind{authn.TOTP}, authn.StepUp, "", "email", authn.NeedFactor, "totp", ""},
		"and it the other":          {d, nil, []authn.Kind{authn.TOTP}, authn.StepUp, "", "email totp", authn.Complete, "", "fac_totp"},
		"a weaker way beside":       {d, nil, []authn.Kind{authn.TOTP, authn.Email}, authn.StepUp, authn.TOTP, "", authn.NeedFactor, "email", ""},
		"no contact to confirm by":  {d, noMail, []authn.Kind{authn.TOTP}, authn.StepUp, authn.TOTP, "", authn.Denied, "", ""},
		"what needs none":           {d, nil, []authn.Kind{authn.WebAuthn}, authn.StepUp, authn.TOTP, "webauthn", authn.Complete, "", ""},
	} {
		u, factors := person(tt.change, tt.has...)
		a := policy.Asked{Document: tt.doc, User: u, Factors: factors, Purpose: tt.purpose, Lane: authn.Stranger, Now: now, Traits: every, Again: tt.again}
		for _, k := range strings.Fields(tt.proofs) {
			a.Proofs = append(a.Proofs, shows(authn.Kind(k)))
		}
		need := policy.Evaluate(a)
		var offers []string
		for _, o := range need.Offers {
			offers = append(offers, string(o.Kind))
			if o.Again != (o.Kind == authn.TOTP) {
				t.Errorf("%s: %+v", name, o)
			}
		}
		if need.State != tt.state || strings.Join(offers, " ") != tt.offers || strings.Join(need.Again, " ") != tt.counts {
			t.Errorf("%s: %s %v %v, want %s %s %s", name, need.State, offers, need.Again, tt.state, tt.offers, tt.counts)
		}
	}
	// Once it was confirmed in this round, nothing is left of it; it also wakes.
	u, factors := person(nil, authn.TOTP)
	factors[0].Round = 1
	if o := policy.Foresee(d, u, factors, every, now); o.Ask != policy.AskOwn || len(policy.ToConfirm(d, u, factors, every)) != 0 {
		t.Errorf("%+v", o)
	}
	factors[0].Round = 0
	if e := policy.Explain(d, u, factors, every, now); e.Outcome.Ask != policy.AskAgain ||
		!slices.ContainsFunc(e.Because, func(b policy.Because) bool { return b.Rule == policy.ConfirmAgain }) {
		t.Errorf("%+v", e)
	}
	// What somebody else has seen the key of is replaced, not confirmed.
	factors[0].SetBy = "usr_2"
	if need := policy.Evaluate(policy.Asked{Document: d, User: u, Factors: factors, Purpose: authn.SignIn, Now: now, Traits: every,
		Proofs: []authn.Proof{shows(authn.Password), shows(authn.TOTP)}}); need.State != authn.Denied {
		t.Errorf("%+v", need)
	}
}
