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
	if err := s.aboutTrusted(ctx, cur, "trusted_browser.renamed", id, authn.NameTrust{ID: id, Name: name}, c); err != nil {
		return authn.Trust{}, err
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
	if id != "" && !slices.ContainsFunc(list, func(t authn.Trust) bool { return t.ID == id }) {
		return authn.NotFound
	}
	return s.aboutTrusted(ctx, cur, "trusted_browser.removed", id, authn.EndTrust{ID: id}, c)
}

// aboutTrusted writes w, which is about the trusted browser of an id (empty: all), with
// an event of the type. NotFound if it ended by itself in between.
func (s *Service) aboutTrusted(ctx context.Context, cur Current, typ, id string, w authn.Write, c authn.Client) error {
	now := s.c.Now()
	err := s.c.Store.Decide(ctx, authn.Keys{Company: cur.Token.Company, SessionToken: cur.Token, Now: now}, func(rows *authn.Rows) authn.Verdict {
		if err := s.c.Valid(rows, now); err != nil {
			return authn.Drop(err)
		}
		ev := s.event(typ, rows, c, now)
		if id != "" {
			ev.Personal.Detail = map[string]string{"browser": id}
		}
		return authn.Accept(ev, w)
	})
	switch {
	case errors.Is(err, authn.Conflict):
		return authn.NotFound
	case err != nil:
		return fmt.Errorf("session: %s: %w", typ, err)
	}
	return nil
}
