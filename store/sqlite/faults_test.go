package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/store"
)

// bed is a store whose writer can be reached, with one company and people.
type bed struct {
	*store.Store
	t       testing.TB
	path    string
	ring    *keyring.Keyring
	w       *writer
	r       *reader
	now     time.Time
	company string
	users   []string
	factors []string
}

func newBed(t testing.TB, dir string, people int) *bed {
	t.Helper()
	ring, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, path: filepath.Join(dir, "s.db"), ring: ring, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.open()
	b.company = b.id(authn.CompanyID)
	b.must(b.CreateCompany(context.Background(), authn.Company{ID: b.company, Slug: "acme", CreatedAt: b.now}, authn.Event{Type: "company.created"}))
	for i := range people {
		u, f := b.id(authn.UserID), b.id(authn.FactorID)
		b.users, b.factors = append(b.users, u), append(b.factors, f)
		b.must(b.decide(u, authn.NewUser{User: authn.User{ID: u, Status: authn.Active, Epoch: 1}, Logins: []authn.Login{{Name: fmt.Sprintf("user%d", i), Kind: "name"}}},
			authn.NewFactor{Factor: authn.Factor{ID: f, Kind: authn.TOTP, State: authn.Confirmed}, Secret: []byte("seed")}))
	}
	return b
}

// open opens the file as Open does, keeping hold of the writer.
func (b *bed) open() {
	b.t.Helper()
	c := Config{Path: b.path, Keyring: b.ring, Log: slog.New(slog.DiscardHandler), BusyTimeout: 50 * time.Millisecond, Readers: 4}
	b.must(makeFile(b.path))
	w, err := openWriter(context.Background(), b.path, c)
	b.must(err)
	back := &backend{w: w, read: openReader(b.path, c), space: &space{dir: filepath.Dir(b.path)}}
	b.Store, err = store.New(context.Background(), store.Config{Backend: back, Keyring: b.ring, Log: c.Log,
		Notice: func(ev authn.Event) (authn.Template, bool) { return "x", ev.Type == "tell" }})
	b.must(err)
	b.w, b.r = w, back.read
	b.t.Cleanup(func() { b.Close() })
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) id(prefix string) string { return authn.NewID(prefix, b.now, rand.Reader) }

func (b *bed) decide(user string, writes ...authn.Write) error {
	return b.Decide(context.Background(), authn.Keys{Company: b.company, User: user, Now: b.now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Type: "test.done"}, writes...)
	})
}

// guess charges one guess of person i and accepts it at the step, if step > 0.
func (b *bed) guess(i int, step int64, typ string) error {
	k := authn.Keys{Company: b.company, User: b.users[i], Now: b.now, Factor: b.factors[i], Charge: authn.GuessFactor}
	return b.Decide(context.Background(), k, func(r *authn.Rows) authn.Verdict {
		if step > 0 {
			return authn.Accept(authn.Event{Type: typ, Personal: authn.Personal{Agent: strings.Repeat("x", 150)}}, authn.Settle{Outcome: authn.Right, Step: step})
		}
		return authn.Refuse(authn.WrongCode, authn.Event{Type: typ}, authn.Settle{Outcome: authn.Wrong})
	})
}

func (b *bed) factor(i int) authn.Factor {
	b.t.Helper()
	rows, err := b.View(context.Background(), authn.Keys{Company: b.company, User: b.users[i], Now: b.now})
	b.must(err)
	return *rows.Factor(b.factors[i])
}

// pragma changes the writer's own connection.
func (b *bed) pragma(text string) {
	b.t.Helper()
	b.must(b.w.do(context.Background(), func(*store.Tx) error {
		_, err := b.w.conn.ExecContext(context.Background(), "PRAGMA "+text)
		return err
	}))
}

func (b *bed) beside() *sql.DB {
	b.t.Helper()
	db, err := sql.Open("sqlite", "file:"+b.path+"?_pragma=busy_timeout(5000)")
	b.must(err)
	b.t.Cleanup(func() { db.Close() })
	return db
}

// all runs f for everybody at once and returns the errors.
func (b *bed) all(f func(i int) error) []error {
	errs := make([]error, len(b.users))
	var wg sync.WaitGroup
	for i := range b.users {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

// onlyBusy wants nobody to have been told right or wrong.
func (b *bed) onlyBusy(errs []error) {
	b.t.Helper()
	for i, err := range errs {
		if !errors.Is(err, authn.Busy) {
			b.t.Fatalf("%d: got %v, want busy", i, err)
		}
	}
}

// whole wants the database to be sound and every person to be at the step with
// no wrong guesses, then goes on working.
func (b *bed) whole(step int64) {
	b.t.Helper()
	var verdict string
	b.must(b.beside().QueryRow("PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		b.t.Fatal(verdict)
	}
	for i := range b.users {
		if f := b.factor(i); f.LastStep != step || f.Counts[authn.Stranger].Tries != 0 {
			b.t.Fatalf("%d: step %d, %d tries", i, f.LastStep, f.Counts[authn.Stranger].Tries)
		}
	}
	for i, err := range b.all(func(i int) error { return b.guess(i, step+1, "test.after") }) {
		if err != nil {
			b.t.Fatalf("%d: %v", i, err)
		}
	}
}

func TestDiskFull(t *testing.T) {
	b := newBed(t, t.TempDir(), 40)
	b.all(func(i int) error { return b.guess(i, 1, "test.before") })
	db := b.beside()
	var pages int
	b.must(db.QueryRow("PRAGMA page_count").Scan(&pages))
	b.pragma(fmt.Sprintf("max_page_count=%d", pages))
	// Some guesses still fit into pages that exist. Nobody else may be told anything.
	step := int64(2)
	for failed := 0; failed < len(b.users); step++ {
		failed = 0
		for i, err := range b.all(func(i int) error { return b.guess(i, step, "test.full") }) {
			last := b.factor(i).LastStep
			switch {
			case err == nil && last != step, err != nil && last == step, err != nil && !errors.Is(err, authn.Busy):
				t.Fatalf("step %d, person %d: %v at step %d", step, i, err, last)
			case err != nil:
				failed++
			}
		}
	}
	// A wrong guess is answered only if it was counted.
	for i, err := range b.all(func(i int) error { return b.guess(i, 0, "test.full") }) {
		tries := b.factor(i).Counts[authn.Stranger].Tries
		if errors.Is(err, authn.WrongCode) != (tries == 1) || !errors.Is(err, authn.WrongCode) && !errors.Is(err, authn.Busy) {
			t.Errorf("%d: %v, counted %d", i, err, tries)
		}
	}
	b.pragma("max_page_count=1000000")
	step += 10
	for _, err := range b.all(func(i int) error { return b.guess(i, step, "test.mended") }) {
		b.must(err)
	}
	b.whole(step)
}

// TestReconnect: a connection that will not write any more is replaced.
func TestReconnect(t *testing.T) {
	b := newBed(t, t.TempDir(), 20)
	b.pragma("query_only=1")
	b.onlyBusy([]error{b.guess(0, 1, "test.ro")})
	b.whole(0)
}

// TestLocked: another process holds the write lock for longer than we wait.
func TestLocked(t *testing.T) {
	b := newBed(t, t.TempDir(), 20)
	db := b.beside()
	db.SetMaxOpenConns(1)
	_, err := db.Exec("BEGIN IMMEDIATE")
	b.must(err)
	b.onlyBusy(b.all(func(i int) error { return b.guess(i, 1, "test.locked") }))
	if _, err := b.View(context.Background(), authn.Keys{Company: b.company, User: b.users[0], Now: b.now}); err != nil {
		t.Errorf("reading waits for a writer: %v", err)
	}
	_, err = db.Exec("ROLLBACK")
	b.must(err)
	b.whole(0)
}

// TestFailedStatement (rul-9): one statement that fails, even one that ends the
// whole transaction, fails its own operation only.
func TestFailedStatement(t *testing.T) {
	for _, how := range []string{"ABORT", "FAIL", "ROLLBACK"} {
		t.Run(how, func(t *testing.T) {
			b := newBed(t, t.TempDir(), 60)
			_, err := b.beside().Exec("CREATE TRIGGER boom BEFORE INSERT ON events WHEN NEW.type = 'boom' BEGIN SELECT RAISE(" + how + ", 'canary'); END")
			b.must(err)
			for i, err := range b.all(func(i int) error {
				if i%3 == 0 {
					return b.guess(i, 7, "boom")
				}
				return b.guess(i, 7, "fine")
			}) {
				want := int64(7)
				if i%3 == 0 {
					want = 0
				}
				if errors.Is(err, authn.Internal) != (want == 0) || err != nil && strings.Contains(err.Error(), "canary") {
					t.Errorf("%d: %v", i, err)
				}
				if f := b.factor(i); f.LastStep != want {
					t.Errorf("%d: step %d, want %d", i, f.LastStep, want)
				}
			}
		})
	}
}

// TestRealDisk repeats the faults on a file system of our own, where it may be
// mounted: full, and then read-only.
func TestRealDisk(t *testing.T) {
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("needs root on Linux to mount a tmpfs")
	}
	dir := t.TempDir()
	if err := mount(dir, "size=4m"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { unmount(dir) })
	b := newBed(t, dir, 10)
	b.all(func(i int) error { return b.guess(i, 1, "test.before") })
	stuffing := filepath.Join(dir, "stuffing")
	f, err := os.Create(stuffing)
	b.must(err)
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	f.Close()
	if !b.LowSpace() {
		t.Error("rul-6: a full disk is not low on space")
	}
	acknowledged := int64(1)
	for step := int64(2); ; step++ {
		if err := b.guess(0, step, "test.full"); err != nil {
			b.onlyBusy([]error{err})
			break
		}
		acknowledged = step
	}
	b.onlyBusy(b.all(func(i int) error { return b.guess(i, 0, "test.full") }))
	if got := b.factor(0).LastStep; got != acknowledged {
		t.Fatalf("at step %d, acknowledged %d", got, acknowledged)
	}
	b.must(os.Remove(stuffing))
	for i := range b.users {
		b.must(b.guess(i, 1000, "test.mended"))
	}
	b.must(b.Close())
	b.must(mount(dir, "remount,ro"))
	if _, err := Open(context.Background(), Config{Path: b.path, Keyring: b.ring, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), b.path) {
		t.Errorf("opening a read-only file: %v", err)
	}
	b.must(mount(dir, "remount,rw"))
	b.open()
	b.whole(1000)
}

// TestQueue: more than can wait are refused at once, and Close writes the rest.
func TestQueue(t *testing.T) {
	b := newBed(t, t.TempDir(), 1)
	hold, held := make(chan struct{}), make(chan struct{})
	go b.w.do(context.Background(), func(*store.Tx) error { close(held); <-hold; return nil })
	<-held
	errs := make(chan error, queueLen)
	for i := range queueLen {
		j := &job{op: func(*store.Tx) error { return nil }, answer: errs}
		if err := b.w.send(j); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := b.guess(0, 1, "test.refused"); !errors.Is(err, authn.Busy) {
		t.Errorf("got %v", err)
	}
	closed := make(chan error)
	go func() { closed <- b.Close() }()
	close(hold)
	for range queueLen {
		b.must(<-errs)
	}
	b.must(<-closed)
}

// TestBudgetRunsTwice (inv-K): a decision that is run again, because another one
// of its group failed, pays once.
func TestBudgetRunsTwice(t *testing.T) {
	b := newBed(t, t.TempDir(), 30)
	_, err := b.beside().Exec("CREATE TRIGGER boom BEFORE INSERT ON events WHEN NEW.type = 'boom' BEGIN SELECT RAISE(ROLLBACK, 'canary'); END")
	b.must(err)
	hold, held := make(chan struct{}), make(chan struct{})
	go b.w.do(context.Background(), func(*store.Tx) error { close(held); <-hold; return nil })
	<-held // they make one group
	var runs atomic.Int64
	budget := authn.Spending{Scope: "company_day", From: b.now, Until: b.now.Add(time.Hour), Most: 15, Money: 65}
	done := make(chan []error)
	go func() {
		done <- b.all(func(i int) error {
			k := authn.Keys{Company: b.company, User: b.users[i], Now: b.now}
			return b.Decide(context.Background(), k, func(*authn.Rows) authn.Verdict {
				runs.Add(1)
				return authn.Accept(authn.Event{Type: []string{"boom", "fine"}[i%2]}, authn.SpendBudget{Of: []authn.Spending{budget}})
			})
		})
	}()
	for tries := 0; len(b.w.queue) < len(b.users) && tries < 10_000; tries++ {
		time.Sleep(time.Millisecond)
	}
	close(hold)
	for i, err := range <-done {
		if (err == nil) != (i%2 == 1) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if runs.Load() <= int64(len(b.users)) {
		t.Errorf("%d runs: none was run again", runs.Load())
	}
	list, err := b.Budgets(context.Background(), b.company, b.now)
	if err != nil || len(list) != 1 || list[0].N != 15 || list[0].Money != 15*65 {
		t.Errorf("%+v %v", list, err)
	}
}
