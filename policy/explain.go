package policy

import (
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Reason is a rule that had a say about a person. Its text is the catalogue's
// "why." + Reason, to the person, and "whyadmin." + Reason, where there is one, to
// an administrator.
type Reason string

// The rules, in the order of their precedence (see the package comment).
const (
	SwitchedOff     Reason = "switched_off"
	NotOfferedHere  Reason = "not_offered"
	APIAccount      Reason = "api_account"
	Exempt          Reason = "exempt"
	ExemptOutranked Reason = "exempt_outranked" // there is an exemption, and it counts for nothing
	CompanyRequires Reason = "company_requires"
	InternalUsers   Reason = "internal_users"
	ExternalUsers   Reason = "external_users"
	RoleRequires    Reason = "role_requires"
	TwoProofs       Reason = "two_proofs"
	UserRequired    Reason = "user_required"
	HasFactor       Reason = "has_factor"
	ConfirmAgain    Reason = "confirm_again" // some of that has to be confirmed again
	// Some passkey of theirs does not count: it is synced, its maker is not known, or it
	// is a model that the company does not take.
	PasskeySynced   Reason = "passkey_synced"
	PasskeyAttested Reason = "passkey_attested"
	PasskeyModel    Reason = "passkey_model"
	AccountSecured  Reason = "account_secured"
	MinimumStrength Reason = "minimum_strength"
	OwnWayAsked     Reason = "own_way"
	Grace           Reason = "grace"
	TrustsBrowsers  Reason = "trusted_browsers" // which are asked for the password only
)

// Because is one rule, with what it says of the person.
type Because struct {
	Rule     Reason
	Role     string    // role_requires, two_proofs, minimum_strength
	Strength Strength  // minimum_strength
	Until    time.Time // exempt, exempt_outranked, grace
	Reason   string    // exempt, exempt_outranked: as whoever decided it wrote
	By       string    // the same: the id of who decided
}

// Sleeps reports whether the person's factors sleep: two-factor is off, or it is
// not offered to their audience and nothing stricter is about them.
func (d Document) Sleeps(u authn.User) bool {
	return d.TwoFactor == Off || d.TwoFactor == On && d.audience(u) == NotOffered && !u.RequireTwoFactor && !d.raised(u)
}

// raised reports whether policy names a role of the person.
func (d Document) raised(u authn.User) bool {
	return !u.API && slices.ContainsFunc(u.Roles, func(role string) bool {
		return slices.Contains(d.RequireRoles, role) || d.ProofsByRole[role] > 0 || d.Strength[role] != AnyStrength
	})
}

// Exempts reports whether the exemption of a person, if there is one, counts.
func (d Document) Exempts(u authn.User) bool {
	return !d.at.IsZero() && u.ExemptUntil.After(d.at) && !d.CompanyWideOnly && !d.raised(u)
}

// demands are the rules that demand a second factor of the person, whatever they
// have, strictest first.
func (d Document) demands(u authn.User) []Because {
	if d.Sleeps(u) || u.API {
		return nil
	}
	var out []Because
	exempt := d.Exempts(u)
	if d.TwoFactor == Required && !exempt {
		out = append(out, Because{Rule: CompanyRequires})
	}
	if d.audience(u) == RequiredThere && !exempt {
		rule := InternalUsers
		if u.Audience == authn.ExternalAudience {
			rule = ExternalUsers
		}
		out = append(out, Because{Rule: rule})
	}
	for _, role := range u.Roles {
		if slices.Contains(d.RequireRoles, role) || d.ProofsByRole[role] > 0 {
			out = append(out, Because{Rule: RoleRequires, Role: role})
			break
		}
	}
	if _, role := d.proofs(u); role != "" {
		out = append(out, Because{Rule: TwoProofs, Role: role})
	}
	if u.RequireTwoFactor && !exempt {
		out = append(out, Because{Rule: UserRequired})
	}
	return out
}

// Demanded reports whether policy itself demands a second factor of the
// person, whatever they have.
func Demanded(d Document, u authn.User) bool { return len(d.demands(u)) > 0 }

// necessary are the rules that make a second factor necessary for a person.
func necessary(d Document, u authn.User, factors []authn.Factor) []Because {
	if d.Sleeps(u) {
		return nil
	}
	out := d.demands(u)
	if slices.ContainsFunc(factors, func(f authn.Factor) bool { return f.State == authn.Confirmed && f.Kind.Own() }) {
		out = append(out, Because{Rule: HasFactor})
	}
	if !u.SecuredAt.IsZero() {
		out = append(out, Because{Rule: AccountSecured})
	}
	return out
}

// Why says which rules make a second factor necessary for a person, strictest
// first; none means that the password is enough. Off outranks the person's own
// setting: where no method is offered, nothing can be demanded.
func Why(d Document, u authn.User, factors []authn.Factor) []Reason {
	var why []Reason
	for _, b := range necessary(d, u, factors) {
		why = append(why, b.Rule)
	}
	return why
}

// Explanation is why a person is asked for what they are asked for.
type Explanation struct {
	Because []Because // in the order of precedence
	Outcome Outcome
}

// Explain says which rules of the document that holds at now had a say about a
// person, and what comes of it at their next sign-in.
func Explain(d Document, u authn.User, factors []authn.Factor, traits func(authn.Kind) (authn.Traits, bool), now time.Time) Explanation {
	d = At(d, now)
	var out []Because
	switch {
	case d.TwoFactor == Off:
		out = append(out, Because{Rule: SwitchedOff})
	case d.Sleeps(u):
		out = append(out, Because{Rule: NotOfferedHere})
	}
	if u.API {
		out = append(out, Because{Rule: APIAccount})
	}
	if u.ExemptUntil.After(now) && !u.API && !d.Sleeps(u) {
		b := Because{Rule: Exempt, Until: u.ExemptUntil, Reason: u.ExemptReason, By: u.ExemptBy}
		if !d.Exempts(u) {
			b.Rule = ExemptOutranked
		}
		out = append(out, b)
	}
	why := necessary(d, u, factors)
	out = append(out, why...)
	if len(ToConfirm(d, u, factors, traits)) > 0 {
		out = append(out, Because{Rule: ConfirmAgain})
	}
	for _, rule := range unmet(d, u, factors, traits) {
		out = append(out, Because{Rule: rule})
	}
	o := Foresee(d, u, factors, traits, now)
	if least, role := d.strictest(u); least != AnyStrength && len(why) > 0 {
		out = append(out, Because{Rule: MinimumStrength, Role: role, Strength: least})
	}
	if o.Ask == AskSetUp {
		out = append(out, Because{Rule: OwnWayAsked})
		if !o.SetUpBy.IsZero() {
			out = append(out, Because{Rule: Grace, Until: o.SetUpBy})
		}
	}
	if o.Ask == AskOwn && d.Trusts(u) > 0 {
		out = append(out, Because{Rule: TrustsBrowsers})
	}
	return Explanation{Because: out, Outcome: o}
}

// Ask is what a person is asked for at their next sign-in, after the password. Its
// text is the catalogue's "outcome." + Ask.
type Ask string

// What can be asked.
const (
	AskNothing Ask = "nothing"       // the password is enough
	AskCode    Ask = "fallback_code" // a code to a contact stands in
	AskOwn     Ask = "own_way"       // a way of their own
	AskAgain   Ask = "confirm_again" // one that has to be confirmed again, and a code to a contact
	AskSetUp   Ask = "set_up"        // and then to set one up
	AskDenied  Ask = "denied"        // nobody can let them in but an administrator
)

// Outcome is what comes of the rules for one person.
type Outcome struct {
	Ask    Ask
	Kinds  []authn.Kind // what is asked for, in turn; the weakest that policy takes
	Denied Denial       // with AskDenied
	// SetUpBy, with AskSetUp: until when it can be put off; zero: it cannot.
	SetUpBy time.Time
	// weight grows with what must be proven.
	weight int
}

// Foresee is what the document asks of a person at their next sign-in at now: it
// goes through the sign-in with the weakest answers that are taken, without those
// that help out where there is another. Locks and pauses change what can be
// answered and never what is asked, so they are left out.
func Foresee(d Document, u authn.User, factors []authn.Factor, traits func(authn.Kind) (authn.Traits, bool), now time.Time) Outcome {
	d = At(d, now)
	// A code from an administrator is for one hour, and no part of the rules.
	factors = slices.DeleteFunc(slices.Clone(factors), func(f authn.Factor) bool { return f.Kind == authn.BypassCode })
	a := Asked{Document: d, User: u, Factors: factors, Purpose: authn.SignIn, Lane: authn.Stranger, Now: now, Traits: traits,
		Proofs: []authn.Proof{{Kind: authn.Password, Traits: authn.Traits{Knowledge: true}, At: now}}}
	o, again := Outcome{Ask: AskNothing}, false
	for range len(ways) + 2 {
		need := Evaluate(a)
		switch need.State {
		case authn.NeedFactor:
			next := weakest(need.Offers, traits)
			t, _ := traits(next.Kind)
			o.Kinds, o.Ask = append(o.Kinds, next.Kind), AskOwn
			switch {
			case next.Again:
				again = true
			case next.Fallback:
				o.Ask, t.Possession = AskCode, false
			}
			if again {
				o.Ask = AskAgain
			}
			o.weight += weigh(t)
			a.Proofs = append(a.Proofs, authn.Proof{Kind: next.Kind, Factor: next.Factor, Traits: t, At: now})
			continue
		case authn.NeedEnrolment:
			o.Ask, o.SetUpBy = AskSetUp, need.GraceUntil
			o.weight++
			if need.GraceUntil.IsZero() {
				o.weight++
			}
		case authn.Denied:
			return Outcome{Ask: AskDenied, Denied: need.Denied}
		}
		return o
	}
	return o // not reached: a kind is asked for once
}

// weakest is the offer that shows least; what helps out only if there is no other.
func weakest(offers []Offer, traits func(authn.Kind) (authn.Traits, bool)) Offer {
	return slices.MinFunc(offers, func(x, y Offer) int {
		weight := func(o Offer) int {
			t, _ := traits(o.Kind)
			switch {
			case o.Recovery:
				return 100
			case o.Fallback:
				return 0
			}
			return weigh(t)
		}
		return weight(x) - weight(y)
	})
}

func weigh(t authn.Traits) int {
	switch {
	case t.PhishingResistant:
		return 3
	case t.Possession:
		return 2
	}
	return 1
}
