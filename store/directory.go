package store

import (
	"context"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// CompanyBySlug finds a company by its name in addresses; an empty one is the
// only company, if there is exactly one (ruling 5). Otherwise NotFound.
func (s *Store) CompanyBySlug(ctx context.Context, slug string) (authn.Company, error) {
	list, err := s.companies(ctx, " WHERE c.slug = $1 OR $1 = '' ORDER BY c.id LIMIT 2", clean(slug, maxWord))
	if err != nil {
		return authn.Company{}, in("company by slug", err)
	}
	if len(list) != 1 {
		return authn.Company{}, authn.NotFound
	}
	return list[0], nil
}

// Companies returns all companies, oldest first.
func (s *Store) Companies(ctx context.Context) ([]authn.Company, error) {
	list, err := s.companies(ctx, " ORDER BY c.id")
	return list, in("companies", err)
}

func (s *Store) companies(ctx context.Context, where string, args ...any) ([]authn.Company, error) {
	var list []authn.Company
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+companyColumns+" FROM companies c"+where, args, func(scan func(...any) error) (bool, error) {
			var c authn.Company
			if err := scan(companyTargets(&c)...); err != nil {
				return false, err
			}
			list = append(list, c)
			return true, nil
		})
	})
	return list, err
}

// CreateCompany stores a company with a data key of its own. Conflict if the
// slug is taken.
func (s *Store) CreateCompany(ctx context.Context, c authn.Company, ev authn.Event) error {
	if err := wantID("company", c.ID); err != nil {
		return err
	}
	if c.Slug == "" || clean(c.Slug, maxWord) != c.Slug {
		return authn.InvalidField("slug", "invalid", nil)
	}
	policy, err := document("the policy", c.Policy)
	if err != nil {
		return err
	}
	err = s.b.Do(ctx, func(tx *Tx) error {
		ring, err := s.writingRing(tx)
		if err != nil {
			return err
		}
		wrapped, key, err := ring.NewDataKey(c.ID, s.random)
		if err != nil {
			return internal("no key for the company: %w", err)
		}
		n, err := tx.exec(`INSERT INTO companies (id, slug, name, policy, policy_version, created_at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
			c.ID, c.Slug, clean(c.Name, maxName), policy, c.PolicyVersion, micros(c.CreatedAt))
		if err != nil {
			return err
		}
		if n != 1 {
			return &authn.Error{Code: authn.Conflict, Fields: []authn.Field{{Name: "slug", Code: "taken"}}}
		}
		if _, err := tx.exec("INSERT INTO company_keys (company, wrapped) VALUES ($1, $2)", c.ID, wrapped); err != nil {
			return err
		}
		if err := keepPolicy(tx, authn.PolicyVersion{Company: c.ID, Version: c.PolicyVersion, Document: []byte(policy), At: c.CreatedAt, Actor: ev.Actor}); err != nil {
			return err
		}
		l := &loaded{company: c.ID, key: key}
		return s.insertEvent(tx, &authn.Keys{Company: c.ID, Now: c.CreatedAt}, l, ev)
	})
	return in("create company", err)
}

// Users returns the users of a company in the order of their ids, from the one
// after the id after; at most 200, 50 if limit is 0.
func (s *Store) Users(ctx context.Context, company, after string, limit int) ([]authn.User, error) {
	if !goodID(company) || after != "" && !goodID(after) {
		return nil, nil
	}
	var list []authn.User
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+userColumns+" FROM users u WHERE u.company = $1 AND u.id > $2 ORDER BY u.id LIMIT $3",
			[]any{company, after, limitOf(limit)}, func(scan func(...any) error) (bool, error) {
				var u authn.User
				var personKey []byte
				if err := scan(userTargets(&u, &personKey)...); err != nil {
					return false, err
				}
				list = append(list, u)
				return true, nil
			})
	})
	return list, in("users", err)
}

// Sessions returns the sessions of a user that were not signed out or swept,
// newest first, at most 200. The store has no clock: the caller leaves out
// those that have ended.
func (s *Store) Sessions(ctx context.Context, company, user string) ([]authn.Session, error) {
	if !goodID(company) || !goodID(user) {
		return nil, nil
	}
	var list []authn.Session
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+sessionColumns+" FROM sessions s WHERE "+ofTheUser("sessions")+
			" ORDER BY s.created_at DESC, s.id DESC LIMIT 200",
			[]any{company, user}, func(scan func(...any) error) (bool, error) {
				var se authn.Session
				var idle int64
				var token []byte
				if err := scan(sessionTargets(&se, &idle, &token)...); err != nil {
					return false, err
				}
				se.Idle = time.Duration(idle) * time.Microsecond
				list = append(list, se)
				return true, nil
			})
	})
	return list, in("sessions", err)
}

// SetSupport saves what people of a company are told who cannot get in.
func (s *Store) SetSupport(ctx context.Context, company, text string, ev authn.Event) error {
	if !goodID(company) {
		return authn.NotFound
	}
	return in("set support", s.b.Do(ctx, func(tx *Tx) error {
		n, err := tx.exec("UPDATE companies SET support = $2 WHERE id = $1", company, clean(text, 4*500))
		if err != nil {
			return err
		}
		if n != 1 {
			return authn.NotFound
		}
		return s.insertEvent(tx, &authn.Keys{Company: company, Now: ev.At}, &loaded{company: company}, ev)
	}))
}
