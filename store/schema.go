package store

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations are the files of the schema's steps, for whoever looks at them or
// tests the way from an older one.
func Migrations() fs.FS {
	dir, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return dir
}

// migration is one step of the schema. Steps only go forward: the way back is a backup.
type migration struct {
	version  int64
	name     string
	text     string
	checksum string // of the template, so the same on both databases
}

// migrations reads the embedded steps; the number before the first underscore is the version.
func migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var list []migration
	for i, name := range names {
		base := strings.TrimSuffix(strings.TrimPrefix(name, "migrations/"), ".sql")
		number, _, _ := strings.Cut(base, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || version != int64(i+1) {
			return nil, fmt.Errorf("store: migration %s does not have the number %04d", base, i+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		list = append(list, migration{version, base, string(text), hex.EncodeToString(sum[:])})
	}
	return list, nil
}

// statements renders the template for a database. No statement of ours has a
// semicolon inside.
func (m migration) statements(d *Dialect) []string {
	var lines []string
	for line := range strings.Lines(m.text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			lines = append(lines, line)
		}
	}
	var pairs []string
	for macro, word := range d.Macros {
		pairs = append(pairs, "@"+macro, word)
	}
	var list []string
	for s := range strings.SplitSeq(strings.NewReplacer(pairs...).Replace(strings.Join(lines, "")), ";") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// LockTable is a table with one row, which whoever migrates holds locked on
// PostgreSQL. It exists before the first migration (ruling 55).
const LockTable = "sallyport_lock"

func (s *Store) migrate(ctx context.Context) error {
	list, err := migrations(migrationFiles)
	if err != nil {
		return err
	}
	err = s.b.Do(ctx, func(tx *Tx) error {
		if err := tx.migrate(list); err != nil {
			return err
		}
		return s.checkKeyring(tx)
	})
	return in("migrate", err)
}

// migrate runs in one transaction that excludes all others who migrate: on
// SQLite as any writer does, on PostgreSQL by the row of LockTable.
func (tx *Tx) migrate(list []migration) error {
	if tx.d.Locks {
		var id int64
		if _, err := tx.one("SELECT id FROM "+LockTable+" WHERE id = 1 FOR UPDATE", []any{&id}); err != nil {
			return err
		}
	}
	create := strings.NewReplacer("@int", tx.d.Macros["int"], "@text", tx.d.Macros["text"], "@strict", tx.d.Macros["strict"]).Replace(
		"CREATE TABLE IF NOT EXISTS migrations (version @int NOT NULL PRIMARY KEY, name @text NOT NULL, checksum @text NOT NULL) @strict")
	if _, err := tx.exec(create); err != nil {
		return err
	}
	// On a file that can only be read SQLite begins a transaction that reads, and
	// says nothing. That is found out here and not at the first sign-in.
	if _, err := tx.exec("DELETE FROM migrations WHERE version < 0"); err != nil {
		return err
	}
	done, err := tx.checkMigrations(list)
	if err != nil {
		return err
	}
	for _, m := range list[done:] {
		for _, statement := range m.statements(tx.d) {
			if _, err := tx.exec(statement); err != nil {
				return fmt.Errorf("store: migration %s: %w", m.name, err)
			}
		}
		if _, err := tx.exec("INSERT INTO migrations (version, name, checksum) VALUES ($1, $2, $3)", m.version, m.name, m.checksum); err != nil {
			return err
		}
	}
	return nil
}

// checkMigrations returns how many steps of the list the database has been through.
func (tx *Tx) checkMigrations(list []migration) (int, error) {
	done := 0
	err := tx.each("SELECT version, name, checksum FROM migrations ORDER BY version", nil, func(scan func(...any) error) (bool, error) {
		var version int64
		var name, checksum string
		if err := scan(&version, &name, &checksum); err != nil {
			return false, err
		}
		switch {
		case version > int64(len(list)):
			return false, internal("the database has schema %d and this release knows only up to %d: "+
				"it was written by a newer release; run that one, or restore a backup that this release made", version, len(list))
		case version != int64(done+1) || list[done].checksum != checksum:
			return false, internal("migration %d in the database is not the one of this release (%s): "+
				"run the release that wrote the database, or restore a backup; do not edit the migrations table", version, list[done].name)
		}
		done++
		return true, nil
	})
	return done, err
}

// checkKeyring refuses a keyring that cannot open what the database holds:
// going on would seal new rows under another key (security.md 4.2).
func (s *Store) checkKeyring(tx *Tx) error {
	value, err := tx.mark(MarkKeyring)
	if err != nil {
		return err
	}
	if value == "" {
		var companies int64
		if _, err := tx.one("SELECT count(*) FROM companies", []any{&companies}); err != nil {
			return err
		}
		if companies > 0 {
			return internal("the database has companies and no key check value (meta %q): restore that row from a backup", MarkKeyring)
		}
		return tx.setMark(MarkKeyring, s.ring.now().CheckValue())
	}
	if err := s.ring.now().Verify(value); err != nil {
		return internal("%w", err)
	}
	return nil
}
