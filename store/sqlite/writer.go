package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

const (
	maxGroup   = 256                   // operations that share a commit
	groupTime  = 50 * time.Millisecond // after which a group takes no more
	queueLen   = 4096                  // waiting operations; more are refused at once
	writeConns = 1
)

var (
	errClosed = errors.New("the store is closed")
	errFull   = errors.New("too many are waiting to write")
)

// writer is the group writer (ruling 9). Its goroutine takes the first waiting
// operation and, without waiting, those behind it; runs each in a savepoint of
// its own; commits once; and only then answers. It never sees the context of a
// request: measured, one caller's cancelled context ended the transaction of
// the whole group.
type writer struct {
	dsn   string
	log   *slog.Logger
	queue chan *job
	done  chan struct{} // closed when the goroutine has ended

	mu     sync.RWMutex // guards closed against sending on a closed queue
	closed bool

	// Of the goroutine alone. conn is nil until it is opened, and after it failed.
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// job is one operation that waits for its commit.
type job struct {
	op     func(*store.Tx) error
	answer chan error
	err    error
	gone   atomic.Bool // nobody waits any more
}

func openWriter(ctx context.Context, path string, c Config) (*writer, error) {
	w := &writer{
		dsn: dsn(path, c, "journal_mode(WAL)", "synchronous(FULL)",
			"journal_size_limit(67108864)",
			"secure_delete(1)",         // what is deleted is overwritten: erased means erased (decision 30)
			"wal_autocheckpoint(4000)", // pages; pages that many commits change are copied back less often
			"temp_store(MEMORY)",       // the journal of a savepoint is worth no file: it is gone with the process
			"cache_size(-16384)",       // KiB; a group should fit, or it is written twice
		),
		log: c.Log, queue: make(chan *job, queueLen), done: make(chan struct{}),
	}
	var err error
	if w.db, err = sqlOpen(w.dsn, writeConns); err != nil {
		return nil, err
	}
	if err := w.firstConnect(ctx, c.BusyTimeout); err != nil {
		w.db.Close()
		return nil, fmt.Errorf("sqlite: %s cannot be opened as a database: %w", path, failure(err))
	}
	if err := w.checkMode(ctx); err != nil {
		w.db.Close()
		return nil, err
	}
	go w.run()
	return w, nil
}

// checkMode makes sure of what a promise rests on: pragmas fail in silence.
func (w *writer) checkMode(ctx context.Context) error {
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1"} {
		var got string
		if err := w.conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&got); err != nil {
			return fmt.Errorf("sqlite: %w", failure(err))
		}
		if got != want {
			return fmt.Errorf("sqlite: %s is %s, not %s; the database must be on a local disk that can be written", name, got, want)
		}
	}
	return nil
}

// firstConnect waits for other processes that make the same database. SQLite
// itself does not wait for them where a file changes to WAL.
func (w *writer) firstConnect(ctx context.Context, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		err := w.connect(ctx)
		if err == nil || !isBusy(failure(err)) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (w *writer) connect(ctx context.Context) error {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn, w.stmts = conn, map[string]*sql.Stmt{}
	return nil
}

// disconnect gives up a connection that may be in an unknown state.
func (w *writer) disconnect() {
	if w.conn == nil {
		return
	}
	for _, s := range w.stmts {
		s.Close()
	}
	w.conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool must not hand it out again
	w.conn.Close()
	w.conn, w.stmts = nil, nil
}

// do hands an operation to the writer and waits for its commit. A caller whose
// context ends gets Busy at once; the operation may still run.
func (w *writer) do(ctx context.Context, op func(*store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return store.Busy(err)
	}
	j := &job{op: op, answer: make(chan error, 1)}
	if err := w.send(j); err != nil {
		return store.Busy(err)
	}
	select {
	case err := <-j.answer:
		return err
	case <-ctx.Done():
		j.gone.Store(true)
		return store.Busy(ctx.Err())
	}
}

func (w *writer) send(j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.queue <- j:
		return nil
	default:
		return errFull
	}
}

func (w *writer) isClosed() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.closed
}

// close lets what waits be written, then closes the file.
func (w *writer) close() error {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if closed {
		return nil
	}
	close(w.queue)
	<-w.done
	return w.db.Close()
}

func (w *writer) run() {
	defer close(w.done)
	group := make([]*job, 0, maxGroup)
	for first := range w.queue {
		group = w.commitGroup(append(group[:0], first))
		for i, j := range group {
			j.answer <- j.err
			group[i] = nil
		}
	}
	if w.conn != nil {
		for _, s := range w.stmts {
			s.Close()
		}
		w.conn.Close()
	}
}

// commitGroup runs the first operation and those that wait behind it, and
// returns them with their answers. On return nothing is open.
func (w *writer) commitGroup(group []*job) []*job {
	if err := w.begin(); err != nil {
		return w.refuse(w.take(group), err)
	}
	end := time.Now().Add(groupTime)
	for i := 0; i < len(group); i++ {
		if !w.runInGroup(group[i]) {
			w.rollback()
			return w.oneByOne(group)
		}
		if len(group) < maxGroup && time.Now().Before(end) {
			select {
			case next, ok := <-w.queue:
				if ok {
					group = append(group, next)
				}
			default:
			}
		}
	}
	if err := w.exec("COMMIT"); err != nil {
		w.rollback()
		return w.refuse(group, err)
	}
	return group
}

// take adds those that wait, up to a group.
func (w *writer) take(group []*job) []*job {
	for len(group) < maxGroup {
		select {
		case next, ok := <-w.queue:
			if !ok {
				return group
			}
			group = append(group, next)
		default:
			return group
		}
	}
	return group
}

// refuse answers all of a group in the same way: neither right nor wrong.
func (w *writer) refuse(group []*job, err error) []*job {
	f := failure(err)
	w.log.Error("sqlite: not committed", "operations", len(group), "err", f)
	for _, j := range group {
		j.err = store.Busy(f)
	}
	return group
}

// runInGroup runs one operation in a savepoint, and reports whether the
// transaction is still sound.
func (w *writer) runInGroup(j *job) (sound bool) {
	if j.gone.Load() {
		j.err = store.Busy(context.Canceled) // not begun, and nobody waits
		return true
	}
	if err := w.exec("SAVEPOINT op"); err != nil {
		return false
	}
	var failed bool
	if j.err, failed = w.call(j); failed {
		return false
	}
	if j.err != nil {
		if err := w.exec("ROLLBACK TO op"); err != nil {
			return false
		}
	}
	return w.exec("RELEASE op") == nil
}

// oneByOne runs the operations of a group that failed, each in a transaction of
// its own, so that only the one at fault fails.
func (w *writer) oneByOne(group []*job) []*job {
	w.log.Warn("sqlite: a statement failed; running its group one by one", "operations", len(group))
	for i, j := range group {
		if err := w.begin(); err != nil {
			w.refuse(group[i:], err) // the others would wait as long, in vain
			return group
		}
		var failed bool
		if j.err, failed = w.call(j); failed || j.err != nil {
			w.rollback()
			continue
		}
		if err := w.exec("COMMIT"); err != nil {
			w.rollback()
			w.refuse([]*job{j}, err)
		}
	}
	return group
}

// call runs the operation, and reports whether one of its statements failed; if
// so, the error is the answer of that failure, whatever the operation made of it.
func (w *writer) call(j *job) (err error, failed bool) {
	tx := store.NewTx(context.Background(), w, &dialect)
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("sqlite: an operation panicked", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = &authn.Error{Code: authn.Internal, Err: errors.New("sqlite: an operation panicked")}
			failed = tx.Failed() != nil
			return
		}
		if f := tx.Failed(); f != nil {
			w.log.Error("sqlite: a statement failed", "err", f)
			err, failed = f.Answer(), true
		}
	}()
	return j.op(tx), false
}

// begin opens a transaction, with a new connection if the last one failed.
func (w *writer) begin() error {
	if w.conn == nil {
		if err := w.connect(context.Background()); err != nil {
			return err
		}
	}
	err := w.exec("BEGIN IMMEDIATE")
	if err != nil && !isBusy(failure(err)) {
		w.disconnect()
	}
	return err
}

// rollback takes it that the transaction may be gone: SQLite ends it itself
// after some errors, and then there is nothing to roll back.
func (w *writer) rollback() {
	if w.conn != nil {
		w.exec("ROLLBACK")
	}
}

func (w *writer) exec(query string) error {
	_, err := w.ExecContext(context.Background(), query)
	return err
}

func (w *writer) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := w.stmts[query]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(ctx, query)
	if err == nil {
		w.stmts[query] = s
	}
	return s, err
}

// ExecContext makes the writer a store.Querier, for the operation that runs.
func (w *writer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (w *writer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}
