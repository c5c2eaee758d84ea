package postgres_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/store/postgres"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func id(prefix string) string { return authn.NewID(prefix, now, rand.Reader) }

// account makes a company with one user who has an app, an attempt, a step-up
// and two sessions.
type account struct {
	company, user, factor    string
	attempt, stepUp, session authn.Token
	link                     authn.Token
}

func newAccount(t testing.TB, f *sallyporttest.Fixture) account {
	t.Helper()
	ctx := context.Background()
	a := account{company: id(authn.CompanyID), user: id(authn.UserID), factor: id(authn.FactorID)}
	if err := f.Store.CreateCompany(ctx, authn.Company{ID: a.company, Slug: "acme"}, authn.Event{Type: "company.created"}); err != nil {
		t.Fatal(err)
	}
	att, step, ses := id(authn.AttemptID), id(authn.AttemptID), id(authn.SessionID)
	a.attempt = authn.NewToken(authn.AttemptToken, a.company, att, rand.Reader)
	a.stepUp = authn.NewToken(authn.AttemptToken, a.company, step, rand.Reader)
	lnk := id(authn.LinkID)
	a.link = authn.NewToken(authn.LinkToken, a.company, lnk, rand.Reader)
	a.session = authn.NewToken(authn.SessionToken, a.company, ses, rand.Reader)
	later := now.Add(time.Hour)
	err := f.Store.Decide(ctx, authn.Keys{Company: a.company, User: a.user, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Type: "user.created", Target: a.user},
			authn.NewUser{User: authn.User{ID: a.user}, Logins: []authn.Login{{Name: "maya", Kind: "name"}}},
			authn.NewFactor{Factor: authn.Factor{ID: a.factor, Kind: authn.TOTP, State: authn.Confirmed}, Secret: []byte("s")},
			authn.NewSession{Session: authn.Session{ID: ses, ExpiresAt: later}, Token: a.session},
			authn.NewLink{Link: authn.Link{ID: lnk, Purpose: authn.NotMeLink, ExpiresAt: later}, Token: a.link},
			authn.NewAttempt{Attempt: authn.Attempt{ID: att, Version: 1, ExpiresAt: later}, Token: a.attempt},
			authn.NewAttempt{Attempt: authn.Attempt{ID: step, Version: 1, Session: ses, ExpiresAt: later}, Token: a.stepUp})
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestLockOrder: decisions that reach one person by different keys, and write
// what the others read, never wait for each other in a circle.
func TestLockOrder(t *testing.T) {
	f := fixture(t, sallyporttest.Postgres(t))
	a := newAccount(t, f)
	keys := []authn.Keys{
		{Login: "maya"}, {User: a.user}, {AttemptToken: a.attempt}, {SessionToken: a.session}, {AttemptToken: a.stepUp},
		{User: a.user, AttemptToken: a.attempt, SessionToken: a.session}, {Login: "maya", Charge: authn.GuessPassword},
		{SessionToken: a.session, Factor: a.factor, Charge: authn.GuessFactor},
		{LinkToken: a.link}, {User: a.user, LinkToken: a.link}, {AttemptToken: a.attempt, LinkToken: a.link, Sent: true},
	}
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 40 {
				k := keys[(w+i)%len(keys)]
				k.Company, k.Now, k.Browser = a.company, now, fmt.Sprint(i%3)
				err := f.Store.Decide(context.Background(), k, func(r *authn.Rows) authn.Verdict {
					writes := []authn.Write{authn.KnowBrowser{}, authn.PutUser{User: *r.User}}
					if r.Attempt != nil {
						next := *r.Attempt
						next.Version++
						writes = append(writes, authn.PutAttempt{Attempt: next})
					}
					if r.Session != nil {
						writes = append(writes, authn.PutSession{Session: *r.Session})
					}
					if r.Link != nil {
						next := authn.Link{ID: id(authn.LinkID), Purpose: authn.InvitationLink, ExpiresAt: now.Add(time.Hour)}
						writes = append(writes, authn.NewLink{Link: next, Token: authn.NewToken(authn.LinkToken, a.company, next.ID, rand.Reader)})
					}
					if k.Charge != authn.NoCharge && r.Charged.Paid {
						writes = append(writes, authn.Settle{Outcome: authn.Right})
					}
					return authn.Accept(authn.Event{Type: "x.done", Target: a.user}, append(writes, authn.EndSessions{Except: a.session.ID})...)
				})
				if err != nil {
					t.Errorf("%+v: %v", k, err)
				}
			}
		})
	}
	wg.Wait()
	if log := f.Log.String(); strings.Contains(log, "40P01") {
		t.Error("a deadlock")
	}
}

// TestFailedStatement (rul-9): the one at fault is told; nothing of it stays.
func TestFailedStatement(t *testing.T) {
	f := fixture(t, sallyporttest.Postgres(t))
	a := newAccount(t, f)
	for _, s := range []string{
		`CREATE FUNCTION boom() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'canary %', NEW.id; END $$ LANGUAGE plpgsql`,
		`CREATE TRIGGER boom BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.type = 'boom') EXECUTE FUNCTION boom()`,
	} {
		if _, err := f.SQL.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	guess := func(typ string) error {
		k := authn.Keys{Company: a.company, User: a.user, Now: now, Factor: a.factor, Charge: authn.GuessFactor}
		return f.Store.Decide(context.Background(), k, func(*authn.Rows) authn.Verdict {
			return authn.Accept(authn.Event{Type: typ}, authn.Settle{Outcome: authn.Right, Step: 3})
		})
	}
	err := guess("boom")
	if !errors.Is(err, authn.Internal) || strings.Contains(err.Error(), "canary") || strings.Contains(f.Log.String(), "canary") {
		t.Errorf("got %v", err)
	}
	var step int
	if err := f.SQL.QueryRow("SELECT last_step FROM factors").Scan(&step); err != nil || step != 0 {
		t.Errorf("step %d, %v", step, err)
	}
	if err := guess("fine"); err != nil {
		t.Error(err)
	}
}

// TestCommitFails: a commit that the server refuses, and one whose answer never
// comes, tell nobody right or wrong.
func TestCommitFails(t *testing.T) {
	f := fixture(t, sallyporttest.Postgres(t))
	a := newAccount(t, f)
	for _, s := range []string{
		`CREATE FUNCTION late() RETURNS trigger AS $$ BEGIN
			IF NEW.type = 'refused' THEN RAISE EXCEPTION 'canary'; END IF;
			PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$ LANGUAGE plpgsql`,
		`CREATE CONSTRAINT TRIGGER late AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW WHEN (NEW.type IN ('refused', 'lost')) EXECUTE FUNCTION late()`,
	} {
		if _, err := f.SQL.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, typ := range []string{"refused", "lost"} {
		err := f.Store.Decide(context.Background(), authn.Keys{Company: a.company, User: a.user, Now: now}, func(*authn.Rows) authn.Verdict {
			return authn.Refuse(authn.WrongCode, authn.Event{Type: typ})
		})
		if !errors.Is(err, authn.Busy) || errors.Is(err, authn.WrongCode) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", typ, err)
		}
	}
	if err := f.Store.Ready(context.Background()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestServerSettings (rul-41).
func TestServerSettings(t *testing.T) {
	dsn := sallyporttest.Postgres(t)
	f := fixture(t, dsn)
	a := newAccount(t, f)
	if _, err := f.SQL.Exec("CREATE TABLE seen (setting text)"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		`CREATE FUNCTION see() RETURNS trigger AS $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$ LANGUAGE plpgsql`,
		`CREATE TRIGGER see BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION see()`,
	} {
		if _, err := f.SQL.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	ring := f.Keyring
	again, err := postgres.Open(context.Background(), postgres.Config{DSN: dsn + " options='-c synchronous_commit=off'", Keyring: ring, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	err = again.Decide(context.Background(), authn.Keys{Company: a.company, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Type: "x.done"})
	})
	var setting string
	if err := errors.Join(err, f.SQL.QueryRow("SELECT setting FROM seen").Scan(&setting)); err != nil || setting != "on" {
		t.Errorf("synchronous_commit is %q, %v", setting, err)
	}
}

// TestFsync (rul-41).
func TestFsync(t *testing.T) {
	dsn := sallyporttest.Postgres(t)
	f := fixture(t, dsn)
	set := func(value string) {
		for _, s := range []string{"ALTER SYSTEM SET fsync = " + value, "SELECT pg_reload_conf()"} {
			if _, err := f.SQL.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		for got := ""; got != value; { // the server takes notice between two statements
			if err := f.SQL.QueryRow("SHOW fsync").Scan(&got); err != nil {
				t.Fatal(err)
			}
		}
	}
	set("off")
	defer set("on")
	c := postgres.Config{DSN: dsn, Keyring: f.Keyring, Log: slog.New(slog.DiscardHandler)}
	if _, err := postgres.Open(context.Background(), c); err == nil || !strings.Contains(err.Error(), "fsync") {
		t.Errorf("got %v", err)
	}
	c.AllowUnsafe = true
	s, err := postgres.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestOpen(t *testing.T) {
	ring, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, dsn := range map[string]string{
		"unreadable": "postgres://maya:canary-password@[::1/x", "nobody there": "host=/nonexistent user=maya password=canary-password",
	} {
		_, err := postgres.Open(context.Background(), postgres.Config{DSN: dsn, Keyring: ring, Log: slog.New(slog.DiscardHandler)})
		if err == nil || strings.Contains(err.Error(), "canary-password") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkStore(b *testing.B) {
	sallyporttest.BenchStore(b, func(b *testing.B) *sallyporttest.Fixture { return fixture(b, sallyporttest.Postgres(b)) })
}

// TestBudgetRunsTwice (inv-K): a decision that is run again after a deadlock pays once.
func TestBudgetRunsTwice(t *testing.T) {
	f := fixture(t, sallyporttest.Postgres(t))
	a := newAccount(t, f)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	window := authn.Spending{From: now, Until: now.Add(time.Hour), Money: 65}
	first, second := window, window
	first.Scope, second.Scope = "a", "b"
	runs := 0
	spend := func() error {
		return f.Store.Decide(ctx, authn.Keys{Company: a.company, User: a.user, Now: now}, func(*authn.Rows) authn.Verdict {
			runs++
			return authn.Accept(authn.Event{Type: "x.done"}, authn.SpendBudget{Of: []authn.Spending{second, first}})
		})
	}
	if err := spend(); err != nil {
		t.Fatal(err)
	}
	// Beside the store, in the wrong order; the store is the one that gives way.
	tx, err := f.SQL.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, s := range []string{"SET LOCAL deadlock_timeout = '1min'", "UPDATE budgets SET good = 1 WHERE scope = 'b'"} {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- spend() }()
	waits(ctx, t, tx)
	if _, err := tx.ExecContext(ctx, "UPDATE budgets SET good = 1 WHERE scope = 'a'"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(f.Log.String(), "40P01") || runs < 3 {
		t.Errorf("%d runs: it was not run again", runs)
	}
	list, err := f.Store.Budgets(ctx, a.company, now)
	if err != nil || len(list) != 2 || list[0].N != 2 || list[1].N != 2 || list[0].Money != 130 || list[1].Money != 130 {
		t.Errorf("%+v %v", list, err)
	}
}

// waits returns once somebody waits for a lock.
func waits(ctx context.Context, t *testing.T, tx *sql.Tx) {
	t.Helper()
	for waiting := 0; waiting == 0; {
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSubjectRace (cve-60): who finds a number free that somebody else is about
// to get is told the same as who finds it taken.
func TestSubjectRace(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, given := range []bool{false, true} {
		f := fixture(t, sallyporttest.Postgres(t))
		a := newAccount(t, f)
		other := id(authn.UserID)
		sms := func(state authn.FactorState) authn.NewFactor {
			return authn.NewFactor{Factor: authn.Factor{ID: id(authn.FactorID), Kind: authn.SMS, State: state, ExpiresAt: now.Add(time.Hour)}, Subject: "+41790000000"}
		}
		write := func(user string, writes ...authn.Write) error {
			return f.Store.Decide(ctx, authn.Keys{Company: a.company, User: user, Now: now}, func(*authn.Rows) authn.Verdict {
				return authn.Accept(authn.Event{Type: "x.done"}, writes...)
			})
		}
		first, second := sms(authn.Pending), sms(authn.Pending)
		for _, err := range []error{write(a.user, first), write(other, authn.NewUser{User: authn.User{ID: other}}, second)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		tx, err := f.SQL.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, "UPDATE factors SET state = 'active' WHERE id = $1", first.Factor.ID); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			if given {
				done <- write(other, sms(authn.Confirmed))
				return
			}
			done <- write(other, authn.ActivateFactor{ID: second.Factor.ID, At: now})
		}()
		waits(ctx, t, tx)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if e := authn.AsError(<-done); e.Code != authn.Conflict || e.Key != "error.factor_taken" {
			t.Errorf("given %v: %v", given, e)
		}
	}
}
