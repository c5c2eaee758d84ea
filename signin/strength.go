package signin

import (
	"context"
	"fmt"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Choosing is whoever chooses a password: exactly one of the first four, each of which
// opens what the password will be set with.
type Choosing struct {
	Session authn.Token
	Link    authn.Token // an invitation
	Attempt *Opener     // a sign-in that asks for a new password
	Reset   *ResetOpener
	Client  authn.Client
}

// Strength says how hard a password is to guess that somebody is about to choose: with
// what is known of them, so that it is told to nobody but them. It is advice, changes
// nothing and is written down nowhere.
//
// Errors: those of looking at what c opens (Unauthenticated, NotFound, Expired,
// Conflict), Invalid (field password), TooManyRequests and Busy (ask later, or do
// without), PolicyForbids (no password is set here).
func (s *Service) Strength(ctx context.Context, c Choosing, password string) (authn.Strength, error) {
	if s.passwords == nil {
		return authn.Strength{}, &authn.Error{Code: authn.PolicyForbids}
	}
	if s.meter != nil {
		if err := s.meter.Allow(c.Client.Address); err != nil {
			return authn.Strength{}, err
		}
	}
	now := s.now()
	var k authn.Keys
	var may func(*authn.Rows) error
	switch {
	case c.Attempt != nil:
		k, may = c.Attempt.keys(now), func(rows *authn.Rows) error { return s.mustChange(rows, now) }
	case c.Reset != nil:
		k, may = c.Reset.keys(now), func(rows *authn.Rows) error { return provenReset(rows, now) }
	case !c.Link.IsZero():
		k, may = authn.Keys{Company: c.Link.Company, LinkToken: c.Link, Now: now}, func(rows *authn.Rows) error { return goodInvitation(rows, now) }
	default:
		k, may = authn.Keys{Company: c.Session.Company, SessionToken: c.Session, Browser: c.Client.Browser, Now: now},
			func(rows *authn.Rows) error { return policy.CheckSession(rows, now) }
	}
	rows, err := s.store.View(ctx, k)
	if err == nil {
		err = may(&rows)
	}
	if err != nil {
		return authn.Strength{}, fmt.Errorf("signin: strength: %w", err)
	}
	st, err := s.passwords.Strength(ctx, password, *rows.User, *rows.Company)
	if err != nil {
		return authn.Strength{}, fmt.Errorf("signin: strength: %w", err)
	}
	return st, nil
}
