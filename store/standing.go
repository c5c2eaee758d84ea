package store

import (
	"context"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Standing is how the database stands, for the operator. It also reads and
// writes, as Ready does.
func (s *Store) Standing(ctx context.Context) (authn.Standing, error) {
	st := authn.Standing{Database: s.b.Dialect().Name, LowSpace: s.b.LowSpace()}
	if err := s.Ready(ctx); err != nil {
		return st, err
	}
	err := s.b.Read(ctx, func(tx *Tx) error {
		if _, err := tx.one("SELECT COALESCE(max(version), 0) FROM migrations", []any{&st.Schema}); err != nil {
			return err
		}
		_, err := tx.one("SELECT count(*), COALESCE(min(at), 0) FROM events WHERE seq IS NULL", []any{&st.Unsealed, asTime{&st.OldestUnsealed}})
		return err
	})
	return st, in("standing", err)
}
