package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sallyport-mfa/sallyport/store"
)

// failure keeps the result code (https://www.sqlite.org/rescode.html) and drops
// the message.
func failure(err error) *store.Failure {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		f := &store.Failure{Code: "none", Busy: errors.Is(err, sql.ErrConnDone) || errors.Is(err, errClosed)}
		for _, known := range []error{context.Canceled, context.DeadlineExceeded, sql.ErrConnDone, errClosed, errReadOnly} {
			if errors.Is(err, known) {
				f.Cause, f.Busy = known, f.Busy || known == context.Canceled || known == context.DeadlineExceeded
			}
		}
		return f
	}
	f := &store.Failure{Code: strconv.Itoa(e.Code())}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_PERM:
		f.Busy = true
	}
	return f
}

// isBusy reports whether another process holds the lock: the connection itself
// is sound.
func isBusy(f *store.Failure) bool {
	code, err := strconv.Atoi(f.Code)
	return err == nil && (code&0xff == sqlite3.SQLITE_BUSY || code&0xff == sqlite3.SQLITE_LOCKED)
}
