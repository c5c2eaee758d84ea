package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sallyport-mfa/sallyport/store"
)

// Peek opens the file for looking only: no schema, no mode and no lock of it
// changes. See store.Peek.
func Peek(c Config) (*store.Store, error) {
	if c.BusyTimeout <= 0 {
		c.BusyTimeout = defaultBusy
	}
	c.Readers = 1
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	// The reading driver would make a file that is not there.
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	r := openReader(path, c)
	if r.err != nil {
		return nil, r.err
	}
	return store.Peek(store.Config{Backend: peek{r}, Keyring: c.Keyring, Log: c.Log}), nil
}

// peek is a store.Backend without a writer.
type peek struct{ read *reader }

func (peek) Do(context.Context, func(*store.Tx) error) error { return errReadOnly }

func (p peek) Read(ctx context.Context, op func(*store.Tx) error) error {
	return op(store.NewTx(ctx, p.read, &dialect))
}

func (peek) Dialect() *store.Dialect { return &dialect }

func (peek) LowSpace() bool { return false }

func (p peek) Close() error { return p.read.close() }

// DiskSpace is the free and the whole size, in bytes, of the disk that holds a
// folder, for those who are not root.
func DiskSpace(dir string) (free, total uint64, err error) { return diskSpace(dir) }

// InWAL reports whether a database file is in the mode that this package
// writes in. It reads the header, and must not be called while this process has
// the file open: closing it would drop SQLite's locks (POSIX).
func InWAL(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [20]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:16]) != "SQLite format 3\x00" {
		return false, errors.New("sqlite: this is no database file")
	}
	// File format write and read version (sqlite.org/fileformat2.html, 1.3.3).
	return head[18] == 2 && head[19] == 2, nil
}
