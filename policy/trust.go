package policy

import (
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// TrustGrace is for how long the token before the last stays good: two tabs that
// sign in at the same time are no theft (ruling 29).
const TrustGrace = 30 * time.Second

// MaxTrustDays is the longest that a browser can be trusted for.
const MaxTrustDays = 90

// trustsRole and trustsAudience are what the document says of whose browsers may be
// trusted at all.
func (d Document) trustsRole(role string) bool { return !slices.Contains(d.NoTrustRoles, role) }

func (d Document) trustsAudience(a authn.Audience) bool {
	return len(d.TrustFor) == 0 || slices.Contains(d.TrustFor, a)
}

// Trusts is for how many days the person's browsers may be trusted; 0: not at all.
// Who must show a strength, or two proofs, must show them each time; so must
// everybody after "this wasn't me".
func (d Document) Trusts(u authn.User) int {
	if d.Sleeps(u) || u.API || !u.SecuredAt.IsZero() || d.Minimum(u) != AnyStrength || d.Proofs(u) > 1 ||
		!d.trustsAudience(u.Audience) || slices.ContainsFunc(u.Roles, func(role string) bool { return !d.trustsRole(role) }) {
		return 0
	}
	return d.TrustDays
}

// TrustLives reports whether a trusted browser of the person still is one at now:
// nothing that ends trust happened since (ruling 3), and the document of now would
// have let it live so long.
func (d Document) TrustLives(c authn.Company, u authn.User, t authn.Trust, now time.Time) bool {
	return t.User == u.ID && t.Epoch == u.Epoch && t.PolicyVersion >= c.TrustVersion && u.Status == authn.Active &&
		now.Before(TrustEnds(d, u, t)) && !t.CreatedAt.After(now.Add(time.Minute))
}

// TrustEnds is when a trusted browser is one no more, by the document of now.
func TrustEnds(d Document, u authn.User, t authn.Trust) time.Time {
	if end := t.CreatedAt.AddDate(0, 0, d.Trusts(u)); end.Before(t.ExpiresAt) {
		return end
	}
	return t.ExpiresAt
}

// TrustHolds is TrustLives and TrustEnds by the company's policy of now.
func TrustHolds(c authn.Company, u authn.User, t authn.Trust, now time.Time) (ends time.Time, ok bool) {
	d, err := Current(c, now)
	if err != nil {
		return time.Time{}, false
	}
	return TrustEnds(d, u, t), d.TrustLives(c, u, t, now)
}

// LessTrust reports whether b trusts browsers less than a: what was trusted before
// is over then, and stays so.
func LessTrust(a, b Document) bool {
	if a.TrustDays == 0 || a.TwoFactor == Off {
		return false
	}
	if b.TwoFactor == Off || b.TrustDays < a.TrustDays {
		return true
	}
	for _, who := range []authn.Audience{authn.InternalAudience, authn.ExternalAudience} {
		if a.trustsAudience(who) && !b.trustsAudience(who) {
			return true
		}
	}
	return slices.ContainsFunc(b.NoTrustRoles, a.trustsRole)
}

// EndsTrust reports whether saving b over a at now ends what was trusted: by itself,
// or because what a had in store did so meanwhile.
func EndsTrust(a, b Document, now time.Time) bool {
	held := At(a, now)
	return LessTrust(a, held) || LessTrust(held, b)
}

// Trustable is the factor among the proofs of a sign-in by which its browser may be
// trusted: one of the person's own, shown in this ceremony, that is not on probation
// and that nobody else has seen the key of (ruling 29). Empty: there is none.
func Trustable(d Document, u authn.User, factors []authn.Factor, proofs []authn.Proof, now time.Time) string {
	if d.Trusts(u) == 0 || slices.ContainsFunc(proofs, func(p authn.Proof) bool { return p.Kind == authn.BypassCode }) {
		return ""
	}
	for _, p := range proofs {
		// A service's "let them in" shows nothing that the person has.
		shown := p.Traits.Possession || p.Traits.PhishingResistant || p.Kind == authn.Email
		for _, f := range factors {
			if f.ID == p.Factor && shown && trustworthy(f, now) && d.Unmet(f) == "" {
				return f.ID
			}
		}
	}
	return ""
}

func trustworthy(f authn.Factor, now time.Time) bool {
	return f.Kind.Own() && f.State == authn.Confirmed && !f.HandedOver() && !f.ProbationUntil.After(now)
}

// trusted reports whether a trusted browser stands in for the second step: the way
// that it was trusted by is there, and rests from no wrong answers; and nobody else
// is known to have the password.
func (a Asked) trusted(factor string) bool {
	if a.Document.Trusts(a.User) == 0 || !a.User.PasswordKnownAt.IsZero() || a.awaits(factor) {
		return false
	}
	return slices.ContainsFunc(Second(a.Document, a.User, a.Factors, a.Traits), func(f authn.Factor) bool {
		return f.ID == factor && trustworthy(f, a.Now) && a.of(f).Usable()
	})
}

// trustDays is for how long the browser may be trusted after an answer by f; 0: it
// may not.
func (a Asked) trustDays(f authn.Factor) int {
	if a.Purpose != authn.SignIn || !trustworthy(f, a.Now) || a.awaits(f.ID) {
		return 0
	}
	// An answer by e-mail is not the last where a way that is held follows.
	if t, _ := a.ways(f.Kind); !OwnPossession.Meets(t) && a.Document.NeedsOwnWay(a.User) && !Holds(a.Factors, a.Traits) {
		return 0
	}
	return a.Document.Trusts(a.User)
}
