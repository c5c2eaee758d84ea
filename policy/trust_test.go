package policy_test

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// rul-29: what trusts less than before, also by what a document had in store.
func TestEndsTrust_rul29(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	doc := func(days int, change ...func(*policy.Document)) policy.Document {
		d := policy.Document{Format: 1, TwoFactor: policy.On, TrustDays: days}
		for _, f := range change {
			f(&d)
		}
		return d
	}
	off := func(d *policy.Document) { d.TwoFactor = policy.Off }
	staff := func(d *policy.Document) { d.TrustFor = []authn.Audience{authn.InternalAudience} }
	both := func(d *policy.Document) {
		d.TrustFor = []authn.Audience{authn.ExternalAudience, authn.InternalAudience}
	}
	noOwner := func(d *policy.Document) { d.NoTrustRoles = []string{"owner"} }
	then := func(at time.Time, next policy.Document) func(*policy.Document) {
		return func(d *policy.Document) { d.Next = &policy.Next{From: at, Document: next} }
	}
	for name, c := range map[string]struct {
		a, b policy.Document
		want bool
	}{
		"as before":           {doc(30), doc(30), false},
		"nothing was trusted": {doc(0), doc(30), false},
		"more":                {doc(30), doc(31), false},
		"fewer":               {doc(30), doc(29), true},
		"none":                {doc(30), doc(0), true},
		"off":                 {doc(30), doc(30, off), true},
		"on again":            {doc(30, off), doc(30), false},
		"staff only":          {doc(30), doc(30, staff), true},
		"both by name":        {doc(30), doc(30, both), false},
		"customers, too":      {doc(30, staff), doc(30), false},
		"not owners":          {doc(30), doc(30, noOwner), true},
		"owners, too":         {doc(30, noOwner), doc(30), false},
		"what came since":     {doc(30, then(now.Add(-time.Hour), doc(0))), doc(30), true},
		"what is to come":     {doc(30, then(now.Add(time.Hour), doc(0))), doc(30), false},
	} {
		if got := policy.EndsTrust(c.a, c.b, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// G4: for how long, and whose.
func TestTrusts_G4_rul29(t *testing.T) {
	base := policy.Document{Format: 1, TwoFactor: policy.Required, TrustDays: 30}
	staff := authn.User{ID: "usr_1", Audience: authn.InternalAudience, Status: authn.Active, Roles: []string{"administrator", "member"}}
	for name, c := range map[string]struct {
		d    func(*policy.Document)
		u    func(*authn.User)
		want int
	}{
		"as it is":         {want: 30},
		"two-factor off":   {d: func(d *policy.Document) { d.TwoFactor = policy.Off }},
		"not offered":      {d: func(d *policy.Document) { d.TwoFactor, d.Internal = policy.On, policy.NotOffered }},
		"customers only":   {d: func(d *policy.Document) { d.TrustFor = []authn.Audience{authn.ExternalAudience} }},
		"one of two roles": {d: func(d *policy.Document) { d.NoTrustRoles = []string{"administrator"} }},
		"another's role":   {d: func(d *policy.Document) { d.NoTrustRoles = []string{"owner"} }, want: 30},
		"strength": {d: func(d *policy.Document) {
			d.Strength = map[string]policy.Strength{"administrator": policy.OwnPossession}
		}},
		"two proofs":     {d: func(d *policy.Document) { d.ProofsByRole = map[string]int{"administrator": 2} }},
		"one proof":      {d: func(d *policy.Document) { d.ProofsByRole = map[string]int{"administrator": 1} }, want: 30},
		"API account":    {u: func(u *authn.User) { u.API = true }},
		"this wasn't me": {u: func(u *authn.User) { u.SecuredAt = time.Now() }},
	} {
		d, u := base, staff
		if c.d != nil {
			c.d(&d)
		}
		if c.u != nil {
			c.u(&u)
		}
		if got := d.Trusts(u); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
	for text, good := range map[string]bool{
		`"trust_days":1`: true, `"trust_days":90`: true, `"trust_days":91`: false, `"trust_days":-1`: false, `"trust_for":["internal"]`: true,
		`"trust_for":["everybody"]`: false, `"trust_for":["internal","internal"]`: false, `"trust_for":["internal"],"company_wide_only":true`: false,
		`"no_trust_roles":["owner"]`: true, `"no_trust_roles":["Owner!"]`: false, `"no_trust_roles":["owner","owner"]`: false,
	} {
		if _, err := policy.Parse([]byte(`{"format":1,"two_factor":"required",` + text + `}`)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}
