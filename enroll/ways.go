package enroll

import (
	"maps"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// least is what a new way must show: what the person's role asks, and in a
// sign-in that asks for a way of one's own more than a code to the same contact
// again.
func least(doc policy.Document, u authn.User, signingIn bool) policy.Strength {
	s := doc.Minimum(u)
	if signingIn && s == policy.AnyStrength && doc.NeedsOwnWay(u) {
		return policy.OwnPossession
	}
	return s
}

// Ways are the kinds that a person may set up, sorted: what Begin would take.
// signingIn: in a sign-in that asks for it, rather than in a session.
func (s *Service) Ways(c authn.Company, doc policy.Document, u authn.User, signingIn bool) []authn.Kind {
	kinds := []authn.Kind{}
	if doc.Sleeps(u) {
		return kinds
	}
	offered := doc.Only(authn.TraitsFor(s.methods, c))
	for _, k := range slices.Sorted(maps.Keys(s.methods)) {
		m, ok := s.methods[k].(authn.Enroller)
		if _, here := offered(k); ok && here && k.Own() && least(doc, u, signingIn).Meets(m.Traits()) && (k != authn.Email || u.Email != "") {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// NewAddress is the address that a pending factor stands for a change to; empty:
// the factor is a way to verify.
func NewAddress(f authn.Factor) string { return newAddress(f) }
