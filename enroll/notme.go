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
// address that was replaced also brings that address back.
//
// Errors: those of NotMe.
func (s *Service) Secure(ctx context.Context, link authn.Token, c authn.Client) (NotMe, error) {
	now := s.now()
	k := authn.Keys{Company: link.Company, LinkToken: link, Now: now}
	var out NotMe
	secure := func(revert bool) error {
		return s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
			out = NotMe{}
			if err := goodNotMe(rows, now); err != nil {
				return authn.Drop(err)
			}
			old := rows.Link.Args["email"]
			if !revert {
				old = ""
			}
			out = NotMe{Company: *rows.Company, User: *rows.User, Link: *rows.Link, Reverts: old != ""}
			return s.secure(rows, old, c, now)
		})
	}
	err := secure(true)
	if e := authn.AsError(err); e.Code == authn.Conflict && len(e.Fields) > 0 {
		err = secure(false) // the old address is somebody else's by now; the rest holds
	}
	if err != nil {
		return NotMe{}, fmt.Errorf("enroll: not me: %w", err)
	}
	return out, nil
}

func (s *Service) secure(rows *authn.Rows, old string, c authn.Client, now time.Time) authn.Verdict {
	u := *rows.User
	u.Epoch++
	u.SecuredAt = now
	writes := []authn.Write{authn.SpendLink{}}
	detail := map[string]string{}
	if old != "" {
		u.Email, u.EmailVerifiedAt, u.EmailChangedAt = old, now, time.Time{}
		writes = append(writes, authn.SetEmail{Email: old})
		detail["reason"] = "email_reverted"
	}
	for _, f := range rows.Factors {
		if f.State == authn.Pending || f.Kind == authn.BypassCode {
			writes = append(writes, authn.DeleteFactor{ID: f.ID})
		}
	}
	writes = append(writes, authn.PutUser{User: u}, authn.EndSessions{}, authn.EndAttempts{}, authn.ForgetBrowsers{All: true},
		authn.TellOwners{Letter: authn.Letter{Template: "secured_admin", At: now, Args: map[string]string{"name": u.Name, "login": u.Login}}})
	ev := s.event("account.secured", rows, Who{Client: c}, now, authn.Factor{})
	ev.Actor = "" // a link says nothing of who opened it
	ev.Personal.Detail = detail
	return authn.Accept(ev, writes...)
}
