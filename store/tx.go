package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Backend is an open database.
type Backend interface {
	// Do runs op in a transaction and returns after its commit. If op fails, or
	// any of its statements did, nothing of op is kept. Op may run twice, and
	// may run and commit after ctx has ended and Do has returned Busy.
	Do(ctx context.Context, op func(*Tx) error) error
	// Read runs op on committed rows only. It cannot write.
	Read(ctx context.Context, op func(*Tx) error) error
	Dialect() *Dialect
	LowSpace() bool
	Close() error
}

// Dialect is what differs in the statements.
type Dialect struct {
	Name   string // "sqlite" or "postgres"
	Macros map[string]string
	Locks  bool // rows are locked with FOR UPDATE; otherwise one writer excludes all others
	// Failure translates an error of the driver into one without parameters.
	Failure func(error) *Failure
}

// Failure is a statement that failed, reduced to what never repeats a parameter.
type Failure struct {
	Code  string // of the database: an SQLSTATE or an SQLite result code
	Busy  bool   // the database could not; otherwise the statement was wrong
	Retry bool   // the same operation may succeed at once
	Cause error  // only errors that hold no parameter, such as context.Canceled
}

func (f *Failure) Error() string {
	if f.Cause != nil {
		return fmt.Sprintf("database error %s: %v", f.Code, f.Cause)
	}
	return "database error " + f.Code
}

func (f *Failure) Unwrap() error { return f.Cause }

// Answer is the failure as callers of the store get it.
func (f *Failure) Answer() error {
	if f.Busy || f.Retry {
		return Busy(f)
	}
	return &authn.Error{Code: authn.Internal, Err: f}
}

// Querier is a connection, or something that chooses one.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Tx runs the statements of one operation and remembers the first that failed:
// after that the transaction must be taken for lost, whatever op makes of it.
type Tx struct {
	ctx    context.Context
	q      Querier
	d      *Dialect
	failed *Failure
	// What was written, and about whom alone (company and user); see changes.
	wrote wrote
	about [2]string
}

// NewTx is for the database packages.
func NewTx(ctx context.Context, q Querier, d *Dialect) *Tx { return &Tx{ctx: ctx, q: q, d: d} }

// Failed is the first failure of a statement, or nil.
func (tx *Tx) Failed() *Failure { return tx.failed }

func (tx *Tx) fail(err error) error {
	f := tx.d.Failure(err)
	if tx.failed == nil {
		tx.failed = f
	}
	return f.Answer()
}

var errAfterFailure = errors.New("store: statement after a failed one")

// exec returns the number of rows that were changed.
func (tx *Tx) exec(query string, args ...any) (int64, error) {
	if tx.failed != nil {
		return 0, errAfterFailure
	}
	tx.wrote |= standing(query)
	r, err := tx.q.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, tx.fail(err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		return 0, tx.fail(err)
	}
	return n, nil
}

// one scans the first row into dest and reports whether there was one.
func (tx *Tx) one(query string, dest []any, args ...any) (found bool, err error) {
	err = tx.each(query, args, func(scan func(...any) error) (bool, error) {
		found = true
		return false, scan(dest...)
	})
	return found, err
}

// each calls row for every row until it returns false.
func (tx *Tx) each(query string, args []any, row func(scan func(...any) error) (bool, error)) error {
	if tx.failed != nil {
		return errAfterFailure
	}
	tx.wrote |= standing(query)
	rows, err := tx.q.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return tx.fail(err)
	}
	defer rows.Close()
	for rows.Next() {
		more, err := row(func(dest ...any) error {
			if rows.Scan(dest...) == nil {
				return nil
			}
			// A value that is not what the column holds: damage, or a mistake of ours.
			if tx.failed == nil {
				tx.failed = &Failure{Code: "scan"}
			}
			return tx.failed.Answer()
		})
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if err := rows.Err(); err != nil {
		return tx.fail(err)
	}
	if err := rows.Close(); err != nil {
		return tx.fail(err)
	}
	return nil
}

// query is a statement with the suffix that locks its rows where rows are locked.
type query struct{ plain, locking string }

func locking(text, suffix string) query { return query{text, text + " " + suffix} }

func (q query) text(tx *Tx, lock bool) string {
	if lock && tx.d.Locks {
		return q.locking
	}
	return q.plain
}

// micros stores a time; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
