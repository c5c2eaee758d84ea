// Package sqlite opens a store in an SQLite file. It is the only package that
// links the driver.
//
// One goroutine owns the one connection that writes (writer.go). Reading has a
// pool of its own, whose connections refuse to write. The file is in WAL mode
// with synchronous=FULL: a commit is on the disk before anybody is answered.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/store"

	_ "modernc.org/sqlite" // the driver
)

// Config says which file. Path and Keyring are needed.
type Config struct {
	// Path of the database file, which is made if it does not exist, readable by
	// its owner only. Beside it SQLite keeps Path-wal and Path-shm.
	Path string
	// Exclusive takes the lock file Path.lock, as `serve` does, so that no second
	// server opens the same file (ruling 56). Commands that open the database
	// beside a server leave it false.
	Exclusive bool
	Keyring   *keyring.Keyring
	// Reload reads the keyring anew, for when another process has rotated it; nil:
	// it stays as it is.
	Reload func() (*keyring.Keyring, error)
	Random io.Reader    // nil: crypto/rand
	Log    *slog.Logger // nil: slog.Default
	// Notice says what the person an event is about is told (notice.For); nil: there is
	// no mail.
	Notice func(authn.Event) (authn.Template, bool)
	// BusyTimeout is how long a commit waits for another process that writes;
	// 0: 5 s.
	BusyTimeout time.Duration
	// Readers is how many statements read at once; 0: twice GOMAXPROCS, at least 4.
	Readers int
}

const defaultBusy = 5 * time.Second

// backend is a store.Backend.
type backend struct {
	w     *writer
	read  *reader
	space *space
	lock  io.Closer // nil: not exclusive
}

// Open opens or makes the database, brings it to this version's schema, and
// checks that the keyring fits.
func Open(ctx context.Context, c Config) (*store.Store, error) {
	if c.Path == "" {
		return nil, errors.New("sqlite: no path of a database file")
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.BusyTimeout <= 0 {
		c.BusyTimeout = defaultBusy
	}
	if c.Readers <= 0 {
		c.Readers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	b := &backend{space: &space{dir: filepath.Dir(path)}}
	if c.Exclusive {
		if b.lock, err = lockFile(path + ".lock"); err != nil {
			return nil, err
		}
	}
	if err := makeFile(path); err != nil {
		b.unlock()
		return nil, err
	}
	if b.w, err = openWriter(ctx, path, c); err != nil {
		b.unlock()
		return nil, err
	}
	b.read = openReader(path, c)
	s, err := store.New(ctx, store.Config{Backend: b, Keyring: c.Keyring, Reload: c.Reload, Random: c.Random, Log: c.Log, Notice: c.Notice})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %s: %w", path, err), b.Close())
	}
	return s, nil
}

// makeFile makes an empty file for its owner's eyes only; SQLite itself would
// leave that to the umask, and gives its other files the same mode. A file that
// exists is not even opened: closing it would drop the locks that SQLite holds
// on it elsewhere in this process (POSIX).
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("sqlite: the folder of %s does not exist; make it first, for the server alone (%w)", path, err)
	case err != nil:
		return fmt.Errorf("sqlite: %s cannot be made; the server needs its folder for itself (%w)", path, err)
	}
	return f.Close()
}

// dsn is the driver's name for the file with what holds for every connection:
// no strings in double quotes, and a schema that cannot call functions behind
// our back.
func dsn(path string, c Config, pragmas ...string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	q := url.Values{"_dqs": {"0"}, "_txlock": {"immediate"}}
	for _, p := range append([]string{fmt.Sprintf("busy_timeout(%d)", c.BusyTimeout.Milliseconds()), "trusted_schema(0)", "foreign_keys(1)"}, pragmas...) {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

func (b *backend) Do(ctx context.Context, op func(*store.Tx) error) error {
	return b.w.do(ctx, op)
}

func (b *backend) Read(ctx context.Context, op func(*store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return store.Busy(err)
	}
	if b.w.isClosed() {
		return store.Busy(errClosed)
	}
	// Reads are point look-ups and short lists. A context that ends in the middle
	// would only cost a goroutine for each statement.
	return op(store.NewTx(context.Background(), b.read, &dialect))
}

func (b *backend) Dialect() *store.Dialect { return &dialect }

func (b *backend) LowSpace() bool { return b.space.low(time.Now()) }

func (b *backend) Close() error {
	err := errors.Join(b.w.close(), b.read.close())
	return errors.Join(err, b.unlock())
}

func (b *backend) unlock() error {
	if b.lock == nil {
		return nil
	}
	lock := b.lock
	b.lock = nil
	return lock.Close()
}

var dialect = store.Dialect{
	Name: "sqlite",
	Macros: map[string]string{
		"text": "TEXT", "int": "INTEGER", "bool": "INTEGER", "blob": "BLOB", "json": "TEXT",
		"false": "0", "true": "1",
		// The keys are the order of the rows: one tree to walk and to write, not two.
		"strict": "STRICT, WITHOUT ROWID",
	},
	Failure: failure,
}

// sqlOpen is sql.Open with the pool's size.
func sqlOpen(dsn string, conns int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}
