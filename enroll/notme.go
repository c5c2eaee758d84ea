package enroll

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// NotMe is what the holder of a "this wasn't me" link sees before pressing it.
type NotMe struct {
	Company authn.Company
	User    authn.User
	Link    authn.Link
	Reverts bool // pressing takes a change of the address back
}

// NotMe shows a link from a notice. It changes nothing: mail scanners open links.
//
// Errors: NotFound, Expired, Conflict (pressed already).
func (s *Service) NotMe(ctx context.Context, link authn.Token) (NotMe, error) {
	now := s.now()
	rows, err := s.store.View(ctx, authn.Keys{Company: link.Company, LinkToken: link, Now: now})
	if err != nil {
		return NotMe{}, fmt.Errorf("enroll: not me: %w", err)
	}
	if err := goodNotMe(&rows, now); err != nil {
		return NotMe{}, err
	}
	return NotMe{Company: *rows.Company, User: *rows.User, Link: *rows.Link, Reverts: rows.Link.Args["email"] != ""}, nil
}

func goodNotMe(rows *authn.Rows, now time.Time) error {
	l := rows.Link
	switch {
	case l == nil || rows.User == nil || rows.Company == nil || l.Purpose != authn.NotMeLink:
		return authn.NotFound
	case !l.UsedAt.IsZero():
		return &authn.Error{Code: authn.Conflict, Key: "error.link_used"}
	case !now.Before(l.ExpiresAt):
		return &authn.Error{Code: authn.Expired, Key: "error.link_expired"}
	}
	return nil
}

// Secure answers "this wasn't me". The link authenticates nobody and sets no
// password (ruling 35): it ends every session and sign-in, gives up what was
// being set up, makes strangers of all browsers, asks for a new password at the
// next sign-in, behind a further proof, and tells the owners. A link to an
// address that was replaced also brings that address back, unless somebody else
// has it by now, and ends the links that were sent since: one of them may have
// gone to whoever had the address meanwhile.
//
// Errors: those of NotMe.
func (s *Service) Secure(ctx context.Context, link authn.Token, c authn.Client) (NotMe, error) {
	out, err := s.press(ctx, link, c, true)
	if e := authn.AsError(err); err != nil && e.Code == authn.Conflict && len(e.Fields) > 0 {
		out, err = s.press(ctx, link, c, false)
	}
	if err != nil {
		return NotMe{}, fmt.Errorf("enroll: not me: %w", err)
	}
	return out, nil
}

func (s *Service) press(ctx context.Context, link authn.Token, c authn.Client, revert bool) (NotMe, error) {
	now := s.now()
	k := authn.Keys{Company: link.Company, LinkToken: link, Now: now}
	var out NotMe
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		out = NotMe{}
		if err := goodNotMe(rows, now); err != nil {
			return authn.Drop(err)
		}
		out = NotMe{Company: *rows.Company, User: *rows.User, Link: *rows.Link, Reverts: revert && rows.Link.Args["email"] != ""}
		return s.secure(rows, c, out.Reverts, now)
	})
	return out, err
}

func (s *Service) secure(rows *authn.Rows, c authn.Client, revert bool, now time.Time) authn.Verdict {
	u := *rows.User
	u.Epoch++
	u.SecuredAt = now
	writes := []authn.Write{authn.SpendLink{}}
	detail := map[string]string{}
	if revert {
		link, verified := rows.Link, !u.EmailVerifiedAt.IsZero()
		u.Email, u.EmailVerifiedAt, u.EmailChangedAt = link.Args["email"], now, time.Time{}
		if at, err := time.Parse(time.RFC3339, link.Args["changed"]); err == nil {
			u.EmailChangedAt = at // it rests for as long as it would have
		}
		writes = append(writes, authn.SetEmail{Email: u.Email}, authn.EndLinks{After: link.Epoch})
		if lost := rows.User.Email; verified && lost != "" && !same(mustCanonical(lost), u.Email) {
			// Whoever has that address now must not lose it in silence.
			writes = append(writes, authn.NewLetter{Letter: authn.Letter{ID: authn.NewID(authn.MessageID, now, s.random), Template: "email_changed", To: lost, At: now,
				Args: map[string]string{"type": "email.changed", "variant": "old"}}})
		}
		detail["reason"] = "email_reverted"
	}
	if !u.PhoneTrustedAt.IsZero() && !u.PhoneTrustedAt.Before(rows.Link.CreatedAt) {
		u.PhoneTrustedAt = time.Time{} // as with the factors below
	}
	for _, f := range rows.Factors {
		// What was confirmed with the event or after it may be a thief's: left in
		// place it would be the further proof that the next sign-in asks for.
		since := f.Kind != authn.Password && f.State == authn.Confirmed && !f.ConfirmAt.Before(rows.Link.CreatedAt)
		if f.State == authn.Pending || f.Kind == authn.BypassCode || since {
			writes = append(writes, authn.DeleteFactor{ID: f.ID})
		}
	}
	u.HelpAskedAt = time.Time{}
	writes = append(writes, authn.PutUser{User: u}, authn.EndSessions{}, authn.EndAttempts{}, authn.ForgetBrowsers{All: true},
		authn.TellOwners{Letter: authn.Letter{Template: "secured_admin", At: now, Args: map[string]string{"name": u.Name, "login": u.Login}}})
	ev := s.event("account.secured", rows, Who{Client: c}, now, authn.Factor{})
	ev.Actor = "" // a link says nothing of who opened it
	ev.Personal.Detail = detail
	return authn.Accept(ev, writes...)
}
