package store

import (
	"context"
	"errors"
	"time"
)

// Peek is a store that only looks: the schema is left as it is, old or new, and
// the keyring is not compared. Whatever would write is refused. It is for
// finding out what is wrong with a database.
func Peek(c Config) *Store {
	s := &Store{b: peeking{c.Backend}, log: c.Log}
	s.ring.set(c.Keyring, nil)
	return s
}

// peeking refuses to write.
type peeking struct{ Backend }

var errPeeking = internal("this store only looks")

func (peeking) Do(context.Context, func(*Tx) error) error { return errPeeking }

// Schema says which schema the database has, and which this release makes; an
// empty database has 0. The error says that it has a newer one, or another.
func (s *Store) Schema(ctx context.Context) (has, makes int, err error) {
	list, err := migrations(migrationFiles)
	if err != nil {
		return 0, 0, err
	}
	err = s.b.Read(ctx, func(tx *Tx) error {
		text := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'migrations'"
		if tx.d.Locks {
			text = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('migrations')"
		}
		var there int64
		if _, err := tx.one(text, []any{&there}); err != nil || there == 0 {
			return err
		}
		has, err = tx.checkMigrations(list)
		return err
	})
	return has, len(list), err
}

// Setting is one of a database's settings that our promises rest on.
type Setting struct{ Name, Value string }

// Settings reads what the database says of its own durability.
func (s *Store) Settings(ctx context.Context) ([]Setting, error) {
	names, text := []string{"journal_mode", "page_size", "auto_vacuum"}, "PRAGMA "
	if s.b.Dialect().Locks {
		names, text = []string{"server_version", "fsync", "full_page_writes", "synchronous_commit", "data_checksums", "wal_level"}, "SHOW "
	}
	var list []Setting
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		for _, name := range names {
			set := Setting{Name: name}
			if _, err := tx.one(text+name, []any{&set.Value}); err != nil { // the names are ours
				return err
			}
			list = append(list, set)
		}
		return nil
	})
	return list, in("settings", err)
}

// QuickCheck reads every page of an SQLite file and returns what is damaged; at
// most ten lines. PostgreSQL has no such check: ok is false there.
func (s *Store) QuickCheck(ctx context.Context) (damage []string, ok bool, err error) {
	if s.b.Dialect().Locks {
		return nil, false, nil
	}
	err = s.b.Read(ctx, func(tx *Tx) error {
		damage = nil
		return tx.each("PRAGMA quick_check(10)", nil, func(scan func(...any) error) (bool, error) {
			var line string
			err := scan(&line)
			if line != "ok" {
				damage = append(damage, line)
			}
			return true, err
		})
	})
	return damage, true, in("quick check", err)
}

// Tail is what the audit log of all companies has written and not yet chained.
type Tail struct {
	Events int64
	Oldest time.Time // zero: there is none
}

// Unsealed is the tail of all companies together.
func (s *Store) Unsealed(ctx context.Context) (t Tail, err error) {
	err = s.b.Read(ctx, func(tx *Tx) error {
		_, err := tx.one("SELECT count(*), coalesce(min(at), 0) FROM events WHERE seq IS NULL", []any{&t.Events, asTime{&t.Oldest}})
		return err
	})
	return t, in("unsealed", err)
}

// WrappedKeys are the wrapped keys of all companies, by company.
func (s *Store) WrappedKeys(ctx context.Context) (map[string][]byte, error) {
	keys := map[string][]byte{}
	err := s.b.Read(ctx, func(tx *Tx) error {
		return tx.each("SELECT company, wrapped FROM company_keys", nil, func(scan func(...any) error) (bool, error) {
			var company string
			var wrapped []byte
			err := scan(&company, &wrapped)
			keys[company] = wrapped
			return true, err
		})
	})
	return keys, in("wrapped keys", err)
}

// CheckKeyring says whether the keyring fits what the database remembers of its
// keys; the error says what to do.
func (s *Store) CheckKeyring(ctx context.Context) error {
	value, err := s.Mark(ctx, MarkKeyring)
	if err != nil {
		return err
	}
	if value == "" {
		return errors.New("store: the database remembers no keys: it is empty, or that row of meta is lost")
	}
	return s.ring.now().Verify(value)
}
