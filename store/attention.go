package store

import (
	"context"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	selectOwners = "SELECT " + userColumns + " FROM users u WHERE (u.company, u.id) IN" +
		" (SELECT company, id FROM users WHERE company = $1 AND owner) ORDER BY u.id LIMIT $2"
	// Those with a way that was answered wrongly several times in a row. The words
	// are those of the index, or it is not used.
	selectWrong = "SELECT " + userColumns + " FROM users u WHERE (u.company, u.id) IN" +
		" (SELECT f.company, f.user_id FROM factors f WHERE f.company = $1 AND (f.tries_s >= 3 OR f.tries_k >= 3)) ORDER BY u.id LIMIT $2"
	selectHeld = "SELECT " + factorColumns + " FROM factors f WHERE f.company = $1 AND f.user_id = $2" +
		" AND f.state IN ('active', 'asleep') ORDER BY f.created_at, f.id"
)

// Owners returns the owners of a company with what they hold, at most 50.
func (s *Store) Owners(ctx context.Context, company string) ([]authn.Person, error) {
	return s.few(ctx, "owners", selectOwners, company, 50)
}

// Wrong returns people of a company with a way that was answered wrongly three
// times or more in a row, from one lane, with what they hold. Whether that locks
// or pauses it is policy's to say. At most limit, up to 200.
func (s *Store) Wrong(ctx context.Context, company string, limit int) ([]authn.Person, error) {
	return s.few(ctx, "wrong", selectWrong, company, limit)
}

func (s *Store) few(ctx context.Context, op, text, company string, limit int) ([]authn.Person, error) {
	if !goodID(company) {
		return nil, nil
	}
	var list []authn.Person
	err := s.b.Read(ctx, func(tx *Tx) (err error) {
		if list, err = somebody(tx, text, company, limitOf(limit)); err != nil {
			return err
		}
		for i := range list {
			h := &list[i]
			if err := factors(tx, selectHeld, []any{company, h.User.ID}, func(f authn.Factor) { h.Factors = append(h.Factors, f) }); err != nil {
				return err
			}
		}
		return nil
	})
	return list, in(op, err)
}

func somebody(tx *Tx, text string, args ...any) ([]authn.Person, error) {
	var list []authn.Person
	err := tx.each(text, args, func(scan func(...any) error) (bool, error) {
		var h authn.Person
		var personKey []byte
		if err := scan(userTargets(&h.User, &personKey)...); err != nil {
			return false, err
		}
		list = append(list, h)
		return true, nil
	})
	return list, err
}

func factors(tx *Tx, text string, args []any, f func(authn.Factor)) error {
	return tx.each(text, args, func(scan func(...any) error) (bool, error) {
		var row authn.Factor
		var stranger, known authn.Count
		if err := scan(factorTargets(&row, &stranger, &known)...); err != nil {
			return false, err
		}
		row.Counts = map[authn.Lane]authn.Count{authn.Stranger: stranger, authn.Known: known}
		f(row)
		return true, nil
	})
}

// Read up to a bound, so that a count costs no more than that.
const (
	selectGrace = "SELECT u.id FROM users u WHERE u.company = $1 AND u.grace_at > 0 AND u.had_factor_at = 0" +
		" AND u.grace_at > $2 AND u.grace_at <= $3 LIMIT $4"
	selectExempt        = "SELECT u.id FROM users u WHERE u.company = $1 AND u.exempt_until > 0 AND u.exempt_until > $2 AND u.exempt_until <= $3 LIMIT $4"
	selectPasswordKnown = "SELECT u.id FROM users u WHERE u.company = $1 AND u.password_known_at > 0 LIMIT $2"
)

// GraceBegun counts the people who never had a way of their own, and of whom one
// was first asked after one time and not after the other; at most limit.
func (s *Store) GraceBegun(ctx context.Context, company string, after, until time.Time, limit int) (int, error) {
	return s.number(ctx, selectGrace, clean(company, maxID), micros(after), micros(until), limit)
}

// ExemptionsEnding counts the people whose exemption ends after one time and not
// after the other; at most limit.
func (s *Store) ExemptionsEnding(ctx context.Context, company string, after, until time.Time, limit int) (int, error) {
	return s.number(ctx, selectExempt, clean(company, maxID), micros(after), micros(until), limit)
}

// PasswordsKnown counts the people whose password is known to others; at most limit.
func (s *Store) PasswordsKnown(ctx context.Context, company string, limit int) (int, error) {
	return s.number(ctx, selectPasswordKnown, clean(company, maxID), limit)
}

func (s *Store) number(ctx context.Context, text string, args ...any) (n int, err error) {
	err = s.b.Read(ctx, func(tx *Tx) error {
		n = 0
		return tx.each(text, args, func(func(...any) error) (bool, error) { n++; return true, nil })
	})
	return n, in("count", err)
}
