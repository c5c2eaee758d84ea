package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/store"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
)

func TestStore(t *testing.T) {
	sallyporttest.RunStore(t, func(t *testing.T) *sallyporttest.Fixture {
		return fixture(t, filepath.Join(t.TempDir(), "sallyport.db"))
	})
}

// fixture opens a store at path and a connection beside it.
func fixture(t testing.TB, path string) *sallyporttest.Fixture {
	t.Helper()
	ring, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &sallyporttest.Fixture{Keyring: ring, Log: &sallyporttest.LogBuffer{}}
	f.Again = func(t testing.TB, ring *keyring.Keyring) (*store.Store, error) {
		s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path, Keyring: ring, Log: f.Log.Logger(), BusyTimeout: 10 * time.Second, Notice: f.Notice})
		if err == nil {
			t.Cleanup(func() { s.Close() })
		}
		return s, err
	}
	if f.Store, err = f.Again(t, ring); err != nil {
		t.Fatal(err)
	}
	f.SQL = beside(t, path)
	return f
}

// beside is a connection that knows nothing of the store.
func beside(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
