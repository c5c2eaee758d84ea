package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
)

// End signs the person of cur out in one place. It is over when the call returns.
//
// Errors: NotFound (no such session of theirs), Unauthenticated, Busy.
func (s *Service) End(ctx context.Context, cur Current, id string, c authn.Client) error {
	if err := s.theirs(ctx, cur, id); err != nil {
		return err
	}
	now := s.c.Now()
	k := authn.Keys{Company: cur.Token.Company, SessionToken: cur.Token, Now: now}
	err := s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := s.c.Valid(rows, now); err != nil {
			return authn.Drop(err)
		}
		ev := s.event("session.ended", rows, c, now)
		if id != rows.Session.ID {
			ev.Personal.Detail = map[string]string{"reason": "elsewhere", "session": id}
		}
		return authn.Accept(ev, authn.EndSession{ID: id})
	})
	if errors.Is(err, authn.Conflict) {
		return authn.NotFound // it ended by itself in between
	}
	if err != nil {
		return fmt.Errorf("session: end: %w", err)
	}
	return nil
}

// Rename gives a session a name of the person's own: 1–60 characters.
//
// Errors: Invalid (field name), NotFound (no such session of theirs), Busy.
func (s *Service) Rename(ctx context.Context, cur Current, id, name string, c authn.Client) (authn.Session, error) {
	name, err := authn.CleanName("name", name, 60)
	if err != nil {
		return authn.Session{}, err
	}
	if err := s.theirs(ctx, cur, id); err != nil {
		return authn.Session{}, err
	}
	now := s.c.Now()
	var out authn.Session
	// Which session asks was found out by Check; the one to be named has no token here.
	k := authn.Keys{Company: cur.Company.ID, User: cur.User.ID, Session: id, Now: now}
	err = s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if rows.Session == nil || s.c.Valid(rows, now) != nil {
			return authn.Drop(authn.NotFound)
		}
		rows.Session.Name = name
		out = *rows.Session
		ev := s.event("session.renamed", rows, c, now)
		ev.Personal.Detail = map[string]string{"session": id}
		return authn.Accept(ev, authn.PutSession{Session: out})
	})
	if err != nil {
		return authn.Session{}, fmt.Errorf("session: rename: %w", err)
	}
	return out, nil
}

// theirs says whether the person has such a session, and it still is good.
func (s *Service) theirs(ctx context.Context, cur Current, id string) error {
	list, err := s.List(ctx, cur)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(one authn.Session) bool { return one.ID == id }) {
		return authn.NotFound
	}
	return nil
}
