// Package store keeps everything in SQL, in SQLite or PostgreSQL: all the
// statements are here and shared, word for word. Opening a database, its
// transactions and its error codes are in store/sqlite and store/postgres.
//
// # Flow
//
// Whatever changes something goes through [Store.Decide]: load and lock the
// rows that the keys name, charge for the guess, let the caller decide, apply
// the verdict, commit, and only then answer. On SQLite many decisions share one
// commit; on PostgreSQL each is a transaction that locks rows in the order of
// the fields of [authn.Keys].
//
// # Threats
//
//   - Parallel guesses (cve-4, cve-24): the statement that charges is the only
//     one that reads a secret for checking. It finds no row while the lane is
//     paused or its share is used up, so at no concurrency are more guesses
//     evaluated than were paid for.
//   - Rolled-back counters (cve-9): a refusal commits like anything else. If a
//     verdict cannot be written, what it was charged is charged again alone.
//   - Messages at somebody's expense (inv-K): a limit and what it counts are one
//     statement, in the transaction that writes the message; where there is no room
//     nothing of the decision is written. Rows that many share are locked in one order.
//   - An outside service that is not asked (ruling 33): what it said moves by
//     compare-and-set, and only what it approved is consumed, once.
//   - A stolen database (inv-G): tokens, cookies and unknown login names are
//     stored as keyed hashes bound to company, user, kind and row; secrets,
//     password hashes and what events say of people are sealed for their place.
//     Without the keyring nothing of it can be tried or moved to another row.
//   - Hostile text: everything from outside is bounded, valid UTF-8 and without
//     NUL before a statement sees it, so that nobody's poison fails the
//     transaction that others share.
//
// Errors carry a code of the database and never its message, which may repeat
// parameters.
package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// MaxDevices is how many browsers of one person are known at a time; the one
// that was not used for longest makes room.
const MaxDevices = 50

// Names of the rows of meta (see Mark) that this package gives a meaning to.
const (
	// MarkKeyring holds keyring.CheckValue. Whoever activates or removes a root
	// key sets it.
	MarkKeyring = "keyring"
	markReady   = "ready"
)

// Config is what Store needs; sqlite.Open and postgres.Open fill it in.
type Config struct {
	Backend Backend
	Keyring *keyring.Keyring
	// Reload reads the keyring anew, for when another process has rotated it; nil:
	// it stays as it is.
	Reload func() (*keyring.Keyring, error)
	Random io.Reader    // nil: crypto/rand
	Log    *slog.Logger // nil: slog.Default
	// Notice says what the person an event is about is told of it; notice.For is
	// one. Nil: there is no mail; nobody is told anything, and only text messages wait
	// in the outbox.
	Notice func(authn.Event) (authn.Template, bool)
}

// Store is safe for use by many goroutines.
type Store struct {
	b       Backend
	changed changes
	ring    rings
	random  io.Reader
	log     *slog.Logger
	notice  func(authn.Event) (authn.Template, bool)
	keys    keyCache
	holder  string // names this process in lease rows
}

// New migrates the database to this version's schema, checks that the keyring
// is the one it was written with, and returns the store.
func New(ctx context.Context, c Config) (*Store, error) {
	if c.Keyring == nil {
		return nil, errors.New("store: no keyring: without one nothing can be sealed")
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	var id [8]byte
	rand.Read(id[:])
	s := &Store{changed: changes{seed: maphash.MakeSeed()}, random: c.Random, log: c.Log, notice: c.Notice, holder: hex.EncodeToString(id[:])}
	s.b = noting{c.Backend, &s.changed}
	s.ring.set(c.Keyring, c.Reload)
	if err := s.migrate(ctx); err != nil {
		return nil, err
	}
	if err := s.fillPeople(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Close waits for what was begun, then closes the database.
func (s *Store) Close() error { return s.b.Close() }

// LowSpace reports whether less than 5 % of the disk is free (ruling 6); on
// PostgreSQL, whose disk is not here, never. Sampled at most once a second.
func (s *Store) LowSpace() bool { return s.b.LowSpace() }

// Busy is the answer when something could not be recorded or read: neither
// right nor wrong, and the same for everybody.
func Busy(cause error) error {
	return &authn.Error{Code: authn.Busy, Err: cause, RetryAfter: time.Second}
}

func internal(format string, args ...any) error {
	return &authn.Error{Code: authn.Internal, Err: fmt.Errorf("store: "+format, args...)}
}

// conflict says that a row which a decision relied on is not as it was.
func conflict(what string) error {
	return &authn.Error{Code: authn.Conflict, Err: errors.New("store: " + what)}
}

// in puts the operation in front of an error that is not already an answer.
func in(op string, err error) error {
	var e *authn.Error
	var c authn.Code
	if err == nil || errors.As(err, &e) || errors.As(err, &c) {
		return err
	}
	return fmt.Errorf("store: %s: %w", op, err)
}
