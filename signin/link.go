package signin

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Invited is what the holder of an invitation may see before using it.
type Invited struct {
	Company authn.Company
	User    authn.User
	Link    authn.Link
	Minimum int // least length of the password, in characters
}

// Invitation shows an invitation or an owner's link. It changes nothing, so that
// a mail scanner which opens the link uses nothing up.
//
// Errors: NotFound (no such link), Expired, Conflict (used already).
func (s *Service) Invitation(ctx context.Context, link authn.Token) (Invited, error) {
	now := s.now()
	rows, err := s.store.View(ctx, authn.Keys{Company: link.Company, LinkToken: link, Now: now})
	if err != nil {
		return Invited{}, fmt.Errorf("signin: invitation: %w", err)
	}
	if err := goodInvitation(&rows, now); err != nil {
		return Invited{}, err
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return Invited{}, fmt.Errorf("signin: %w", err)
	}
	return Invited{Company: *rows.Company, User: *rows.User, Link: *rows.Link, Minimum: policy.MinimumPassword(doc, *rows.User)}, nil
}

func goodInvitation(rows *authn.Rows, now time.Time) error {
	l := rows.Link
	switch {
	case l == nil || rows.User == nil || rows.User.ExternalID != "" || l.Purpose != authn.InvitationLink && l.Purpose != authn.OwnerLink,
		rows.User.Status != authn.Active || rows.User.API:
		return authn.NotFound
	case !l.UsedAt.IsZero():
		return &authn.Error{Code: authn.Conflict, Key: "error.link_used"}
	case !now.Before(l.ExpiresAt), l.Epoch != rows.User.Epoch:
		return &authn.Error{Code: authn.Expired, Key: "error.link_expired"}
	}
	return nil
}

// Accept uses an invitation: it sets the person's password and begins their
// sign-in, in which the link is the proof from outside the password (ruling 1).
// A link that travelled by e-mail shows that the address is theirs.
//
// Errors: those of Invitation, Invalid (field "password"), Busy.
func (s *Service) Accept(ctx context.Context, link authn.Token, password, returnTo string, c authn.Client) (Status, error) {
	if err := s.clock(); err != nil {
		return Status{}, err // it says whether the link is over, too
	}
	now := s.now()
	k := authn.Keys{Company: link.Company, LinkToken: link, Browser: c.Browser, Now: now}
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Status{}, fmt.Errorf("signin: accept: %w", err)
	}
	if err := goodInvitation(&rows, now); err != nil {
		return Status{}, err
	}
	hash, err := s.newPassword(ctx, "password", password, &rows)
	if err != nil {
		return Status{}, err
	}
	var st Status
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		if err := goodInvitation(rows, now); err != nil {
			return authn.Drop(err)
		}
		return s.accept(rows, hash, returnTo, c, now, &st)
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: accept: %w", err)
	}
	return st, nil
}

func (s *Service) accept(rows *authn.Rows, hash []byte, returnTo string, c authn.Client, now time.Time, st *Status) authn.Verdict {
	if rows.Link.Mailed && rows.User.EmailVerifiedAt.IsZero() {
		rows.User.EmailVerifiedAt = now
	}
	writes := append(s.setPassword(rows, hash, now), authn.SpendLink{}, authn.EndAttempts{})
	a := authn.Attempt{
		Company: rows.Company.ID, ID: authn.NewID(authn.AttemptID, now, s.random), User: rows.User.ID, Purpose: authn.SignIn,
		Version: 1, Lane: authn.Stranger, ReturnTo: returnTo, Epoch: rows.User.Epoch, First: firstTime(rows), CreatedAt: now, ExpiresAt: now.Add(s.lives(rows, now).Attempt),
		Proofs: []authn.Proof{
			{Kind: authn.Invitation, Traits: authn.Traits{OutOfBand: true, OpensSetUp: true}, At: now},
			{Kind: authn.Password, Traits: s.methods[authn.Password].Traits(), At: now},
		},
	}
	rows.Attempt = &a
	need, err := s.next(rows, a.Proofs, now)
	if err != nil {
		return authn.Drop(err)
	}
	if u := rows.User; !need.GraceUntil.IsZero() && u.GraceAt.IsZero() {
		u.GraceAt = now // the days of grace run from here
		writes = append(writes, authn.PutUser{User: *u})
	}
	a.State, a.ExpiresAt = need.State, s.lasts(&a, need)
	token := authn.NewToken(authn.AttemptToken, a.Company, a.ID, s.random)
	*st = Status{Company: *rows.Company, User: *rows.User, Attempt: a, Need: need, Lane: a.Lane, Token: token}
	writes = append(writes, authn.NewAttempt{Attempt: a, Token: token})
	accepted := s.event("invitation.accepted", authn.Succeeded, rows, c, now, nil)
	if need.State == authn.Complete {
		return s.complete(rows, need, c, now, st, writes, map[string]string{}).And(accepted)
	}
	return authn.Accept(accepted, writes...)
}
