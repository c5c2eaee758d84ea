package signin

import (
	"context"
	"fmt"

	"github.com/sallyport-mfa/sallyport/authn"
)

// AskHelp asks the administrators for help on behalf of somebody who began a
// sign-in and cannot end it (S9). The person is told, with a link that says it was
// somebody else, and so are those who may help (50 of them at most, the owners
// first), who also see it until the person is in again, says so by that link, or an
// administrator marks it as dealt with. Asking again while it is open changes
// nothing, and tells nobody.
//
// Nothing else changes: whoever asks has shown the password, and that is all that is
// known of them (ruling 18).
//
// Errors: NotFound, Expired, Conflict (error.help_not_needed: no way to verify
// is asked for), Busy.
func (s *Service) AskHelp(ctx context.Context, o Opener) (Status, error) {
	if err := s.clock(); err != nil {
		return Status{}, err
	}
	now := s.now()
	var st Status
	k := o.keys(now)
	k.Sent = true
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := unfinished(rows, now); err != nil {
			return authn.Drop(err)
		}
		need, err := s.next(rows, rows.Attempt.Proofs, now)
		if err != nil {
			return authn.Drop(err)
		}
		switch {
		case rows.Attempt.Purpose != authn.SignIn:
			return authn.Drop(authn.NotFound) // whoever is signed in says so there
		case need.State != authn.NeedFactor && need.State != authn.NeedEnrolment && need.State != authn.Denied:
			return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.help_not_needed"})
		}
		again := !rows.User.HelpAskedAt.IsZero()
		if !again {
			rows.User.HelpAskedAt = now
		}
		if st, err = s.status(rows, now); err != nil {
			return authn.Drop(err)
		}
		if again {
			return authn.Continue()
		}
		u := *rows.User
		var helpers []string
		if s.helpers != nil {
			helpers = s.helpers(*rows.Company)
		}
		return authn.Accept(s.event("help.asked", authn.Succeeded, rows, o.Client, now, nil), authn.PutUser{User: u},
			authn.TellOwners{Also: helpers, Letter: authn.Letter{Template: "help_asked_admin", At: now, Args: map[string]string{"name": u.Name, "login": u.Login}}})
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: help: %w", err)
	}
	return st, nil
}
