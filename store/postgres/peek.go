package postgres

import (
	"context"
	"fmt"

	"github.com/sallyport-mfa/sallyport/store"
)

// Peek connects for looking only: no table is made or changed. It refuses a
// server that Open would refuse. See store.Peek.
func Peek(ctx context.Context, c Config) (*store.Store, error) {
	c.MaxConns = 1
	b, err := connect(c)
	if err != nil {
		return nil, err
	}
	b.limit = opTime
	if err := b.db.PingContext(ctx); err != nil {
		b.db.Close()
		return nil, fmt.Errorf("postgres: cannot connect: %w", connectError(err))
	}
	return store.Peek(store.Config{Backend: b, Keyring: c.Keyring, Log: b.log}), nil
}
