package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// reader is a pool of connections that refuse to write. Each statement is
// prepared once for each connection.
type reader struct {
	db    *sql.DB
	err   error
	mu    sync.RWMutex
	stmts map[string]*sql.Stmt
}

func openReader(path string, c Config) *reader {
	db, err := sqlOpen(dsn(path, c, "query_only(1)"), c.Readers)
	return &reader{db: db, err: err, stmts: map[string]*sql.Stmt{}}
}

func (r *reader) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.mu.RLock()
	s := r.stmts[query]
	r.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.stmts[query]; s != nil {
		return s, nil
	}
	s, err := r.db.PrepareContext(ctx, query)
	if err == nil {
		r.stmts[query] = s
	}
	return s, err
}

func (r *reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := r.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

var errReadOnly = errors.New("sqlite: a reading operation wrote")

func (r *reader) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errReadOnly
}

func (r *reader) close() error {
	if r.err != nil {
		return nil
	}
	return r.db.Close()
}
