package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Trusted are the browsers that a person trusts, the one used last first; those
// that are over are left out. ExpiresAt is by the policy of now.
func (s *Service) Trusted(ctx context.Context, cur Current) ([]authn.Trust, error) {
	all, err := s.c.Store.Trusted(ctx, cur.Company.ID, cur.User.ID)
	if err != nil {
		return nil, fmt.Errorf("session: trusted browsers: %w", err)
	}
	now, good := s.c.Now(), make([]authn.Trust, 0, len(all))
	for _, t := range all {
		if ends, ok := s.c.Trusts(cur.Company, cur.User, t, now); ok {
			t.ExpiresAt = ends
			good = append(good, t)
		}
	}
	return good, nil
}

// RenameTrusted gives a browser that the person of cur trusts a name of their own:
// 1–60 characters.
//
// Errors: Invalid (field name), NotFound (no such browser of theirs), Unauthenticated,
// Busy.
func (s *Service) RenameTrusted(ctx context.Context, cur Current, id, name string, c authn.Client) (authn.Trust, error) {
	name, err := authn.CleanName("name", name, 60)
	if err != nil {
		return authn.Trust{}, err
	}
	list, err := s.Trusted(ctx, cur)
	if err != nil {
		return authn.Trust{}, err
	}
	at := slices.IndexFunc(list, func(t authn.Trust) bool { return t.ID == id })
	if at < 0 {
		return authn.Trust{}, authn.NotFound
	}
	now := s.c.Now()
	k := authn.Keys{Company: cur.Token.Company, SessionToken: cur.Token, Now: now}
	err = s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := s.c.Valid(rows, now); err != nil {
			return authn.Drop(err)
		}
		ev := s.event("trusted_browser.renamed", rows, c, now)
		ev.Personal.Detail = map[string]string{"browser": id}
		return authn.Accept(ev, authn.NameTrust{ID: id, Name: name})
	})
	if errors.Is(err, authn.Conflict) {
		return authn.Trust{}, authn.NotFound // it ended by itself in between
	}
	if err != nil {
		return authn.Trust{}, fmt.Errorf("session: name a trusted browser: %w", err)
	}
	list[at].Name = name
	return list[at], nil
}

// StopTrusting ends the trust in a browser of the person of cur, or with an empty id
// in all of them, and the sessions elsewhere that rest on it alone.
//
// Errors: NotFound (no such browser of theirs), Unauthenticated, Busy.
func (s *Service) StopTrusting(ctx context.Context, cur Current, id string, c authn.Client) error {
	list, err := s.Trusted(ctx, cur)
	if err != nil {
		return err
	}
	there := id == ""
	for _, t := range list {
		there = there || t.ID == id
	}
	if !there {
		return authn.NotFound
	}
	now := s.c.Now()
	k := authn.Keys{Company: cur.Token.Company, SessionToken: cur.Token, Now: now}
	err = s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := s.c.Valid(rows, now); err != nil {
			return authn.Drop(err)
		}
		ev := s.event("trusted_browser.removed", rows, c, now)
		if id != "" {
			ev.Personal.Detail = map[string]string{"browser": id}
		}
		return authn.Accept(ev, authn.EndTrust{ID: id})
	})
	if errors.Is(err, authn.Conflict) {
		return authn.NotFound // it ended by itself in between
	}
	if err != nil {
		return fmt.Errorf("session: stop trusting: %w", err)
	}
	return nil
}
