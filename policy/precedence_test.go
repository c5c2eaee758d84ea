package policy_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

func rulesOf(e policy.Explanation) []policy.Reason {
	var out []policy.Reason
	for _, b := range e.Because {
		out = append(out, b.Rule)
	}
	return out
}

// The precedence, line by line of the package comment.
func TestPrecedence_G1_G3_G4(t *testing.T) {
	on, required := policy.Document{Format: 1, TwoFactor: policy.On}, policy.Document{Format: 1, TwoFactor: policy.Required}
	with := func(d policy.Document, change func(*policy.Document)) policy.Document { change(&d); return d }
	maya := authn.User{Company: "cmp_1", ID: "usr_1", Status: authn.Active, Audience: authn.InternalAudience, Roles: []string{"member", "agent"}, Email: "m@acme.example", EmailVerifiedAt: now.AddDate(-1, 0, 0)}
	who := func(change func(*authn.User)) authn.User { u := maya; change(&u); return u }
	exempt := who(func(u *authn.User) {
		u.ExemptUntil, u.ExemptReason, u.ExemptBy = now.Add(time.Hour), "new phone", "usr_2"
	})
	has := []authn.Factor{app(0, time.Time{})}
	agents := func(d *policy.Document) { d.RequireRoles = []string{"agent"} }
	strong := func(d *policy.Document) {
		d.Strength = map[string]policy.Strength{"agent": policy.OwnPossession}
	}
	type rules = []policy.Reason
	for _, tt := range []struct {
		name    string
		d       policy.Document
		u       authn.User
		factors []authn.Factor
		want    rules
		ask     policy.Ask
	}{
		{"off outranks everything (G1)", with(with(on, agents), func(d *policy.Document) { d.TwoFactor = policy.Off }), who(func(u *authn.User) { u.RequireTwoFactor = true }), has, rules{policy.SwitchedOff}, policy.AskNothing},
		{"on, nothing set up", on, maya, nil, nil, policy.AskNothing},
		{"on, and has one", on, maya, has, rules{policy.HasFactor}, policy.AskOwn},
		{"the company", required, maya, nil, rules{policy.CompanyRequires}, policy.AskCode},
		{"staff required (G3)", with(on, func(d *policy.Document) { d.Internal = policy.RequiredThere }), maya, nil, rules{policy.InternalUsers}, policy.AskCode},
		{"customers required, staff not", with(on, func(d *policy.Document) { d.External = policy.RequiredThere }), maya, nil, nil, policy.AskNothing},
		{"a customer", with(on, func(d *policy.Document) { d.External = policy.RequiredThere }), who(func(u *authn.User) { u.Audience = authn.ExternalAudience }), nil, rules{policy.ExternalUsers}, policy.AskCode},
		{"not offered: what they have sleeps", with(on, func(d *policy.Document) { d.Internal = policy.NotOffered }), maya, has, rules{policy.NotOfferedHere}, policy.AskNothing},
		{"not offered, but the person is required: the strictest wins", with(on, func(d *policy.Document) { d.Internal = policy.NotOffered }),
			who(func(u *authn.User) { u.RequireTwoFactor = true }), has, rules{policy.UserRequired, policy.HasFactor}, policy.AskOwn},
		{"not offered, but the role is required", with(with(on, agents), func(d *policy.Document) { d.Internal = policy.NotOffered }), maya, nil, rules{policy.RoleRequires}, policy.AskCode},
		{"not offered, and exempt: nothing more", with(on, func(d *policy.Document) { d.Internal = policy.NotOffered }), exempt, has, rules{policy.NotOfferedHere}, policy.AskNothing},
		{"all at once, in order", with(with(required, agents), func(d *policy.Document) { d.Internal = policy.RequiredThere }), who(func(u *authn.User) { u.RequireTwoFactor, u.SecuredAt = true, now }), has,
			rules{policy.CompanyRequires, policy.InternalUsers, policy.RoleRequires, policy.UserRequired, policy.HasFactor, policy.AccountSecured}, policy.AskOwn},
		{"exempt from the company", required, exempt, nil, rules{policy.Exempt}, policy.AskNothing},
		{"exempt, and what they have still counts", required, exempt, has, rules{policy.Exempt, policy.HasFactor}, policy.AskOwn},
		{"exempt from the person's own setting", on, who(func(u *authn.User) { *u = exempt; u.RequireTwoFactor = true }), nil, rules{policy.Exempt}, policy.AskNothing},
		{"the exemption is over", required, who(func(u *authn.User) { u.ExemptUntil = now }), nil, rules{policy.CompanyRequires}, policy.AskCode},
		{"a required role outranks it", with(on, agents), exempt, nil, rules{policy.ExemptOutranked, policy.RoleRequires}, policy.AskCode},
		{"a role's strength outranks it", with(required, strong), exempt, has, rules{policy.ExemptOutranked, policy.CompanyRequires, policy.HasFactor, policy.MinimumStrength}, policy.AskOwn},
		{"company-wide only outranks it (L3)", with(required, func(d *policy.Document) { d.CompanyWideOnly = true }), exempt, nil, rules{policy.ExemptOutranked, policy.CompanyRequires}, policy.AskCode},
		{"an API account", with(with(required, agents), func(d *policy.Document) { d.CompanyWideOnly = true }), who(func(u *authn.User) { u.API = true }), nil, rules{policy.APIAccount}, policy.AskNothing},
		{"an API account that has one all the same", required, who(func(u *authn.User) { u.API = true }), has, rules{policy.APIAccount, policy.HasFactor}, policy.AskOwn},
		{"a way of their own is asked (F3)", with(required, func(d *policy.Document) { d.OwnWay, d.GraceDays = sides, 7 }), maya, nil, rules{policy.CompanyRequires, policy.OwnWayAsked, policy.Grace}, policy.AskSetUp},
		{"a strength, and nothing set up", with(required, strong), maya, nil, rules{policy.CompanyRequires, policy.MinimumStrength}, policy.AskDenied},
		{"two proofs (G4)", with(on, func(d *policy.Document) { d.ProofsByRole = map[string]int{"agent": 2} }), maya, has, rules{policy.RoleRequires, policy.TwoProofs, policy.HasFactor, policy.OwnWayAsked}, policy.AskSetUp},
		{"one proof", with(on, func(d *policy.Document) { d.ProofsByRole = map[string]int{"agent": 1} }), maya, nil, rules{policy.RoleRequires}, policy.AskCode},
		{"a way that is not offered any more strands (G2, rul-2)", with(on, func(d *policy.Document) { d.Methods = []authn.Kind{authn.WebAuthn} }), maya, has, rules{policy.HasFactor}, policy.AskDenied},
		{"no code stands in", with(required, func(d *policy.Document) { d.NoEmailFallback = true }), maya, nil, rules{policy.CompanyRequires}, policy.AskDenied},
	} {
		e := policy.Explain(tt.d, tt.u, tt.factors, all, now)
		if !slices.Equal(rulesOf(e), tt.want) || e.Outcome.Ask != tt.ask {
			t.Errorf("%s: %v %+v, want %v %s", tt.name, rulesOf(e), e.Outcome, tt.want, tt.ask)
		}
	}
	e := policy.Explain(with(required, strong), exempt, has, all, now)
	if b := e.Because[0]; b.By != "usr_2" || b.Reason != "new phone" || !b.Until.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v", b)
	}
	if b := e.Because[3]; b.Role != "agent" || b.Strength != policy.OwnPossession {
		t.Errorf("%+v", b)
	}
}

// Two proofs of different kinds, from the first to the session.
func TestTwoProofs_G4(t *testing.T) {
	d := policy.Document{Format: 1, TwoFactor: policy.On, ProofsByRole: map[string]int{"owner": 2}}
	u := authn.User{ID: "usr_1", Status: authn.Active, Epoch: 1, Roles: []string{"owner"}, Email: "m@acme.example", EmailVerifiedAt: now.AddDate(-1, 0, 0)}
	one := func(k authn.Kind) authn.Factor {
		return authn.Factor{ID: "fac_" + string(k), Kind: k, State: authn.Confirmed, Left: 5, Counts: map[authn.Lane]authn.Count{}}
	}
	proofs := func(list ...authn.Kind) []authn.Proof {
		var out []authn.Proof
		for _, k := range list {
			t, _ := all(k)
			out = append(out, authn.Proof{Kind: k, Factor: "fac_" + string(k), Traits: t, At: now})
		}
		return out
	}
	offered := func(n policy.Need) (out []authn.Kind) {
		for _, o := range n.Offers {
			out = append(out, o.Kind)
		}
		return out
	}
	type list = []authn.Kind
	app, key, codes, mail := one(authn.TOTP), one(authn.WebAuthn), one(authn.BackupCode), one(authn.Email)
	for _, tt := range []struct {
		name    string
		factors []authn.Factor
		proofs  list
		state   authn.State
		offers  list
	}{
		{"both are offered", []authn.Factor{app, key, codes}, list{authn.Password}, authn.NeedFactor, list{authn.TOTP, authn.WebAuthn, authn.BackupCode}},
		{"then the other, or a backup code for it", []authn.Factor{app, key, codes}, list{authn.Password, authn.TOTP}, authn.NeedFactor, list{authn.WebAuthn, authn.BackupCode}},
		{"one kind twice is one", []authn.Factor{app, key}, list{authn.Password, authn.TOTP, authn.TOTP}, authn.NeedFactor, list{authn.WebAuthn}},
		{"both", []authn.Factor{app, key, codes}, list{authn.Password, authn.TOTP, authn.WebAuthn}, authn.Complete, nil},
		{"a backup code in place of one", []authn.Factor{app, key, codes}, list{authn.Password, authn.BackupCode, authn.WebAuthn}, authn.Complete, nil},
		{"a code to one's own mailbox is one of two", []authn.Factor{app, mail}, list{authn.Password, authn.Email}, authn.NeedFactor, list{authn.TOTP}},
		{"with the app it is two", []authn.Factor{app, mail}, list{authn.Password, authn.Email, authn.TOTP}, authn.Complete, nil},
		{"who has one kind sets up another", []authn.Factor{app, codes}, list{authn.Password, authn.TOTP}, authn.NeedEnrolment, nil},
		{"who has none sets one up", nil, list{authn.Password, authn.Email}, authn.NeedEnrolment, nil},
		{"the password alone is never enough (F2)", nil, list{authn.Password}, authn.NeedFactor, list{authn.Email}},
	} {
		n := policy.Evaluate(policy.Asked{Document: d, User: u, Factors: tt.factors, Proofs: proofs(tt.proofs...), Purpose: authn.SignIn, Lane: authn.Stranger, Now: now, Traits: all})
		if n.State != tt.state || !slices.Equal(offered(n), tt.offers) {
			t.Errorf("%s: %s %v", tt.name, n.State, offered(n))
		}
		if n.State == authn.Complete && !slices.Contains(n.AMR, "mfa") {
			t.Errorf("%s: %v does not say that it was two", tt.name, n.AMR)
		}
	}
	raw, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	rows := func(amr ...string) *authn.Rows {
		return &authn.Rows{Company: &authn.Company{Policy: raw}, User: &u, Factors: []authn.Factor{app, key},
			Session: &authn.Session{Epoch: 1, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(time.Hour), AMR: amr}}
	}
	if policy.CheckSession(rows("pwd", "otp"), now) == nil {
		t.Error("a session of one proof lives on (rul-52)")
	}
	if err := policy.CheckSession(rows("pwd", "otp", "mfa"), now); err != nil {
		t.Error(err)
	}
}

// What is asked, what is said of it, and what the sign-in then does are one thing,
// for random companies and people (G3, F2, F3).
func TestStrictestWins_property_G3_F2(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	seen := map[policy.Ask]int{}
	for range 40000 {
		d := policy.At(randomDocument(r), now)
		u, factors := randomPerson(r)
		e := policy.Explain(d, u, factors, all, now)
		said := rulesOf(e)
		seen[e.Outcome.Ask]++
		need := policy.Evaluate(policy.Asked{Document: d, User: u, Factors: factors, Purpose: authn.SignIn, Lane: authn.Stranger, Now: now, Traits: all,
			Proofs: []authn.Proof{{Kind: authn.Password, Factor: "fac_password", Traits: authn.Traits{Knowledge: true}, At: now}}})
		fail := func(what string) {
			t.Helper()
			t.Fatalf("%s\n%+v\n%+v %+v\n%v %+v\n%+v", what, d, u, factors, said, e.Outcome, need)
		}
		active := slices.ContainsFunc(factors, func(f authn.Factor) bool { return f.Kind.Own() && f.State == authn.Confirmed })
		done := need.State == authn.Complete || need.State == authn.NeedPasswordChange
		if done != (e.Outcome.Ask == policy.AskNothing) || (need.State == authn.Denied) && e.Outcome.Ask != policy.AskDenied {
			fail("the explanation is of another decision")
		}
		asleep := slices.Contains(said, policy.SwitchedOff) || slices.Contains(said, policy.NotOfferedHere)
		if done && !asleep && (active || policy.Demanded(d, u)) {
			fail("a session on a password alone (F2)")
		}
		if asleep != d.Sleeps(u) || done != (len(policy.Why(d, u, factors)) == 0) {
			fail("the reasons and the decision differ")
		}
		for _, why := range policy.Why(d, u, factors) {
			if !slices.Contains(said, why) {
				fail("a reason is not in the explanation")
			}
		}
		// Nothing stricter, added to the rest, lets anybody in with less.
		stricter := d
		switch r.IntN(3) {
		case 0:
			stricter.RequireRoles = roles
		case 1:
			if stricter.TwoFactor == policy.On {
				stricter.TwoFactor, stricter.Internal, stricter.External = policy.Required, "", ""
			}
		case 2:
			stricter.CompanyWideOnly = true
		}
		if policy.Demanded(d, u) && !policy.Demanded(stricter, u) {
			fail("a stricter policy demands less")
		}
		if less := policy.Foresee(stricter, u, factors, all, now); policy.AsksMore(less, e.Outcome) && e.Outcome.Ask != policy.AskDenied {
			fail("a stricter policy asks for less")
		}
	}
	for _, ask := range []policy.Ask{policy.AskNothing, policy.AskCode, policy.AskOwn, policy.AskSetUp, policy.AskDenied} {
		if seen[ask] < 300 {
			t.Errorf("%s came up %d times", ask, seen[ask])
		}
	}
}

// A policy that is to come holds from its time on, without anything that runs.
func TestAt_rollout_cve43(t *testing.T) {
	doc := policy.Document{Format: 1, TwoFactor: policy.On, Next: &policy.Next{From: now.Add(time.Hour), Document: policy.Document{Format: 1, TwoFactor: policy.Required, SessionSeconds: 300}}}
	raw, err := doc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c := authn.Company{ID: "cmp_1", Policy: raw}
	for at, want := range map[time.Time]policy.TwoFactor{now: policy.On, now.Add(time.Hour - time.Nanosecond): policy.On, now.Add(time.Hour): policy.Required, now.Add(24 * time.Hour): policy.Required} {
		d, err := policy.Current(c, at)
		if err != nil || d.TwoFactor != want || want == policy.Required && d.Next != nil {
			t.Errorf("%s: %+v %v", at, d, err)
		}
	}
	rows := &authn.Rows{Company: &c, User: &authn.User{Status: authn.Active, Epoch: 1}, Session: &authn.Session{Epoch: 1, CreatedAt: now, LastSeenAt: now.Add(time.Hour), ExpiresAt: now.Add(24 * time.Hour), AMR: []string{"pwd"}}}
	if err := policy.CheckSession(rows, now.Add(time.Hour-time.Second)); err != nil {
		t.Error(err)
	}
	if policy.CheckSession(rows, now.Add(time.Hour)) == nil {
		t.Error("a session of a password outlives the moment from which more is asked (cve-43)")
	}
	rows.Session.AMR = []string{"pwd", "otp"}
	if policy.CheckSession(rows, now.Add(time.Hour)) == nil {
		t.Error("a session is older than the new policy lets any be")
	}
	if back, err := policy.Parse(raw); err != nil || !reflect.DeepEqual(back.Next.Document, doc.Next.Document) {
		t.Errorf("%+v %v", back, err)
	}
}
