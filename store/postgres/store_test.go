package postgres_test

import (
	"context"
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/store"
	"github.com/sallyport-mfa/sallyport/store/postgres"
)

func TestStore(t *testing.T) {
	sallyporttest.Postgres(t)
	sallyporttest.RunStore(t, func(t *testing.T) *sallyporttest.Fixture { return fixture(t, sallyporttest.Postgres(t)) })
}

func fixture(t testing.TB, dsn string) *sallyporttest.Fixture {
	t.Helper()
	ring, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &sallyporttest.Fixture{Keyring: ring, Log: &sallyporttest.LogBuffer{}}
	f.Again = func(t testing.TB, ring *keyring.Keyring) (*store.Store, error) {
		s, err := postgres.Open(context.Background(), postgres.Config{DSN: dsn, Keyring: ring, Log: f.Log.Logger(), Notice: f.Notice})
		if err == nil {
			t.Cleanup(func() { s.Close() })
		}
		return s, err
	}
	if f.Store, err = f.Again(t, ring); err != nil {
		t.Fatal(err)
	}
	if f.SQL, err = sql.Open("pgx", dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.SQL.Close() })
	return f
}
