// Package postgres opens a store in a PostgreSQL database, 14 or later. It is
// the only package that links the driver.
//
// A decision is one transaction at READ COMMITTED, which locks the rows it
// reads in the order of the fields of authn.Keys. Several servers may use one
// database at once; what they do in the background and at their start they
// share by locked rows (ruling 55). What is set for a connection (synchronous
// commit, time limits) must hold for all its transactions: use a pooler that
// hands out connections by session, not by transaction.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/store"
)

// Config says which database. DSN and Keyring are needed.
type Config struct {
	// DSN in either of libpq's forms, such as
	// postgres://sallyport@db.example.com/sallyport?sslmode=verify-full.
	DSN     string
	Keyring *keyring.Keyring
	// Reload reads the keyring anew, for when another process has rotated it; nil:
	// it stays as it is.
	Reload func() (*keyring.Keyring, error)
	Random io.Reader    // nil: crypto/rand
	Log    *slog.Logger // nil: slog.Default
	// Notice says what the person an event is about is told (notice.For); nil: there is
	// no mail.
	Notice func(authn.Event) (authn.Template, bool)
	// MaxConns is how many connections are used at most; 0: 16.
	MaxConns int
	// AllowUnsafe accepts a server that may lose commits (fsync=off). For tests
	// whose data nobody misses.
	AllowUnsafe bool
}

const (
	defaultConns = 16
	opTime       = 10 * time.Second // of one transaction
	startTime    = 10 * time.Minute // of the migrations
	maxTries     = 5                // of a transaction that a deadlock ended
)

// backend is a store.Backend.
type backend struct {
	db    *sql.DB
	log   *slog.Logger
	limit time.Duration

	mu     sync.RWMutex // held for reading by every operation, so that Close waits
	closed bool
}

// Open connects, brings the database to this version's schema, and checks that
// the keyring fits.
func Open(ctx context.Context, c Config) (*store.Store, error) {
	b, err := connect(c)
	if err != nil {
		return nil, err
	}
	c.Log = b.log
	if err := b.makeLock(ctx); err != nil {
		b.db.Close()
		return nil, err
	}
	s, err := store.New(ctx, store.Config{Backend: b, Keyring: c.Keyring, Reload: c.Reload, Random: c.Random, Log: c.Log, Notice: c.Notice})
	if err != nil {
		b.db.Close()
		return nil, err
	}
	b.limit = opTime
	return s, nil
}

// connect makes the pool; it does not talk to the server yet.
func connect(c Config) (*backend, error) {
	cfg, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		// The error may repeat the password.
		return nil, errors.New("postgres: the DSN cannot be read; its form is postgres://user@host:5432/database?sslmode=verify-full")
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.MaxConns <= 0 {
		c.MaxConns = defaultConns
	}
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		err := prepareConn(ctx, conn, c.AllowUnsafe)
		if err != nil {
			conn.Close(ctx)
		}
		return err
	}))
	db.SetMaxOpenConns(c.MaxConns)
	db.SetMaxIdleConns(c.MaxConns)
	db.SetConnMaxLifetime(30 * time.Minute) // so that a moved server is found again
	return &backend{db: db, log: c.Log, limit: startTime}, nil
}

// prepareConn makes sure of what the promises rest on (ruling 41), for every
// connection: the server behind an address can change.
func prepareConn(ctx context.Context, conn *pgx.Conn, unsafe bool) error {
	var fsync, syncCommit, encoding string
	var standby bool
	err := conn.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('synchronous_commit'),
		current_setting('server_encoding'), pg_is_in_recovery()`).Scan(&fsync, &syncCommit, &encoding, &standby)
	switch {
	case err != nil:
		return failure(err)
	case standby:
		return errors.New("postgres: this server is a standby; use the address of the primary (target_session_attrs=read-write finds it)")
	case encoding != "UTF8":
		return fmt.Errorf("postgres: the database has the encoding %s; make one with UTF8", encoding)
	case fsync != "on" && !unsafe:
		return errors.New("postgres: the server runs with fsync=off and loses what it confirmed when the power fails; set fsync=on")
	}
	// Limits end what a node that vanished would hold locked.
	set := "SET statement_timeout = '15s'; SET lock_timeout = '8s'; SET idle_in_transaction_session_timeout = '15s'"
	if syncCommit != "remote_apply" { // which is more than "on"
		set += "; SET synchronous_commit = on"
	}
	if _, err := conn.Exec(ctx, set); err != nil {
		return failure(err)
	}
	return nil
}

// makeLock makes the row that whoever migrates locks. Several servers may start
// at once, and even CREATE TABLE IF NOT EXISTS can then find the name taken.
func (b *backend) makeLock(ctx context.Context) error {
	var err error
	for range maxTries {
		var exists bool
		if err = b.db.QueryRowContext(ctx, "SELECT to_regclass('"+store.LockTable+"') IS NOT NULL").Scan(&exists); err != nil {
			return fmt.Errorf("postgres: cannot connect: %w", connectError(err))
		}
		if !exists {
			if _, err = b.db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+store.LockTable+" (id integer PRIMARY KEY)"); err != nil {
				continue
			}
		}
		if _, err = b.db.ExecContext(ctx, "INSERT INTO "+store.LockTable+" (id) VALUES (1) ON CONFLICT DO NOTHING"); err == nil {
			return nil
		}
	}
	return fmt.Errorf("postgres: the database user must be allowed to make tables: %w", failure(err))
}

func (b *backend) Dialect() *store.Dialect { return &dialect }

// LowSpace is always false: the disk is the database server's.
func (b *backend) LowSpace() bool { return false }

func (b *backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.db.Close()
}

var errClosed = errors.New("the store is closed")

func (b *backend) Read(ctx context.Context, op func(*store.Tx) error) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return store.Busy(errClosed)
	}
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	return op(store.NewTx(ctx, b.db, &dialect))
}

func (b *backend) Do(ctx context.Context, op func(*store.Tx) error) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return store.Busy(errClosed)
	}
	for try := 1; ; try++ {
		err, again := b.once(ctx, op)
		if !again || try == maxTries || ctx.Err() != nil {
			return err
		}
		// Those who met in a deadlock must not meet again at once.
		time.Sleep(rand.N(time.Duration(try) * 4 * time.Millisecond))
	}
}

// once runs op in one transaction. The caller's context decides only whether it
// begins: one that ended half-way would leave open what became of the commit.
func (b *backend) once(ctx context.Context, op func(*store.Tx) error) (err error, again bool) {
	conn, err := b.db.Conn(ctx)
	if err != nil {
		return store.Busy(failure(err)), false
	}
	defer conn.Close()
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.limit)
	defer cancel()
	t, err := conn.BeginTx(work, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return store.Busy(failure(err)), true // a connection that had died in the pool
	}
	tx := store.NewTx(work, t, &dialect)
	if b.limit == startTime {
		// Migrating takes as long as it takes, and whoever starts beside it waits.
		if _, err := t.ExecContext(work, "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
			t.Rollback()
			return store.Busy(failure(err)), false
		}
	}
	err = b.call(tx, op)
	if f := tx.Failed(); f != nil {
		b.log.Error("postgres: a statement failed", "err", f)
		t.Rollback()
		return f.Answer(), f.Retry
	}
	if err != nil {
		t.Rollback()
		return err, false
	}
	if err := t.Commit(); err != nil {
		// Unless the server itself refused, it may have committed.
		f := failure(err)
		b.log.Error("postgres: not known to be committed", "err", f)
		return store.Busy(f), f.Retry
	}
	return nil, false
}

func (b *backend) call(tx *store.Tx, op func(*store.Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("postgres: an operation panicked", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = &authn.Error{Code: authn.Internal, Err: errors.New("postgres: an operation panicked")}
		}
	}()
	return op(tx)
}

var dialect = store.Dialect{
	Name: "postgres",
	Macros: map[string]string{
		// Ids and names are compared by their bytes, as SQLite does.
		"text": `text COLLATE "C"`, "int": "bigint", "bool": "boolean", "blob": "bytea",
		// Documents come back as they were written, which jsonb does not promise.
		"json": "text", "strict": "", "false": "false", "true": "true",
	},
	Locks:   true,
	Failure: failure,
}
