package enroll

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// OfferPasskey says whether to offer its person a passkey after the sign-in that the
// session of w is of: once, to who can set one up, has none, and is asked for nothing
// else. That it was offered is remembered; in the same session the answer stays.
//
// Errors: Unauthenticated, Busy.
func (s *Service) OfferPasskey(ctx context.Context, w Who) (bool, error) {
	k := s.keys(w)
	offer := false
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		offer = false
		if err := policy.CheckSession(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		doc, err := policy.Current(*rows.Company, k.Now)
		if err != nil {
			return authn.Drop(fmt.Errorf("enroll: %w", err))
		}
		u := *rows.User
		if offer = s.offers(doc, rows) && probation(rows.Factors, k.Now) == nil; !offer {
			return authn.Continue()
		}
		if !u.PasskeyOfferedAt.IsZero() {
			offer = OfferedIn(*rows.Session, u)
			return authn.Continue()
		}
		u.PasskeyOfferedAt = k.Now
		return authn.Continue(authn.PutUser{User: u})
	})
	if err != nil {
		return false, fmt.Errorf("enroll: offer: %w", err)
	}
	return offer, nil
}

// OfferedIn reports whether a passkey was offered after the sign-in that a session is of.
func OfferedIn(s authn.Session, u authn.User) bool {
	return !u.PasskeyOfferedAt.IsZero() && !u.PasskeyOfferedAt.Before(s.CreatedAt)
}

// offers reports whether a passkey is what the person could have besides. Who put off a
// way that policy demands is asked for that, and hears of passkeys there; so did who set
// one up in this very sign-in.
func (s *Service) offers(doc policy.Document, rows *authn.Rows) bool {
	u := *rows.User
	if slices.ContainsFunc(rows.Factors, func(f authn.Factor) bool { return f.Kind.Own() && f.Attempt == rows.Session.Attempt }) {
		return false
	}
	postponed := policy.Demanded(doc, u) && len(policy.Second(doc, u, rows.Factors, s.traits(rows.Company))) == 0
	return !postponed && len(active(rows, authn.WebAuthn)) == 0 && slices.Contains(s.Ways(*rows.Company, doc, u, false), authn.WebAuthn)
}
