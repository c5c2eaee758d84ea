package signin_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/store"
)

// listing is a store.Backend on SQLite that lists the statements it runs.
type listing struct {
	mu   sync.Mutex
	db   *sql.DB
	conn *sql.Conn
	d    store.Dialect
	ran  []string
}

func (l *listing) note(q string) { l.ran = append(l.ran, strings.Join(strings.Fields(q), " ")) }

func (l *listing) ExecContext(ctx context.Context, q string, a ...any) (sql.Result, error) {
	l.note(q)
	return l.conn.ExecContext(ctx, q, a...)
}

func (l *listing) QueryContext(ctx context.Context, q string, a ...any) (*sql.Rows, error) {
	l.note(q)
	return l.conn.QueryContext(ctx, q, a...)
}

func (l *listing) Do(ctx context.Context, op func(*store.Tx) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	l.note("BEGIN")
	tx := store.NewTx(context.Background(), l, &l.d)
	err := op(tx)
	if f := tx.Failed(); f != nil {
		err = f.Answer()
	}
	end := "COMMIT"
	if err != nil {
		end = "ROLLBACK"
	}
	if _, e := l.conn.ExecContext(ctx, end); e != nil {
		return e
	}
	return err
}

func (l *listing) Read(_ context.Context, op func(*store.Tx) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return op(store.NewTx(context.Background(), l, &l.d))
}

func (l *listing) Dialect() *store.Dialect { return &l.d }
func (l *listing) LowSpace() bool          { return false }
func (l *listing) Close() error            { return l.db.Close() }

func newListing(t *testing.T) (*listing, world) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "listed.db"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	l := &listing{db: db, d: store.Dialect{Name: "sqlite",
		Macros:  map[string]string{"text": "TEXT", "int": "INTEGER", "bool": "INTEGER", "blob": "BLOB", "json": "TEXT", "strict": "STRICT, WITHOUT ROWID", "false": "0", "true": "1"},
		Failure: func(err error) *store.Failure { return &store.Failure{Code: err.Error()} }}}
	if l.conn, err = db.Conn(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.New(t.Context(), store.Config{Backend: l, Keyring: keys, Log: sallyporttest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return l, world{sallyporttest.Start(t, st), t}
}

// hashes counts the password hashes.
type hashes struct {
	authn.Method
	n int
}

func (h *hashes) Verify(ctx context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	h.n++
	return h.Method.Verify(ctx, r, a)
}

// inv-J, cve-62: a wrong password, a name that nobody has, a suspended person,
// someone without a password and an address that was never verified run the
// same statements in the same order, and one hash, and get the same answer.
func TestRefusalsCostTheSame_invJ(t *testing.T) {
	l, w := newListing(t)
	w.AddUser(t, w.Company, "maya", true)
	gone := w.AddUser(t, w.Company, "kwame", true)
	if err := w.Directory.SetStatus(t.Context(), w.Company, gone.ID, authn.Suspended); err != nil {
		t.Fatal(err)
	}
	for _, n := range []directory.NewUser{{Login: "nopass"}, {Login: "eve", Email: "eve@acme.example", Password: sallyporttest.Password}} {
		if _, err := w.Directory.CreateUser(t.Context(), w.Company, n); err != nil {
			t.Fatal(err)
		}
	}
	pw, tp := sallyporttest.Methods(t)
	h := &hashes{Method: pw}
	s, err := signin.New(signin.Config{Store: w.Store, Methods: []authn.Method{h, tp}, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	begin := func(login, password string) ([]string, *authn.Error) {
		l.ran, h.n = nil, 0
		_, err := s.Begin(t.Context(), signin.Begin{Login: login, Password: password, Client: browser("x")})
		if h.n != 1 {
			t.Errorf("%q: %d hashes", login, h.n)
		}
		return l.ran, authn.AsError(err)
	}
	begin("maya", "not the password") // fills the caches
	want, answer := begin("maya", "not the password")
	if len(want) < 10 || answer.Code != authn.WrongCredentials {
		t.Fatalf("%d statements, %v", len(want), answer)
	}
	for _, tt := range []struct{ login, password string }{
		{"nobody", sallyporttest.Password}, {"kwame", sallyporttest.Password}, {"nopass", sallyporttest.Password},
		{"eve@acme.example", sallyporttest.Password}, {"a\u200bb", sallyporttest.Password},
	} {
		got, e := begin(tt.login, tt.password)
		if !slices.Equal(got, want) {
			t.Errorf("%q runs other statements than a wrong password:\n%s\nnot:\n%s", tt.login, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if e.Code != answer.Code || e.TextKey() != answer.TextKey() || len(e.Fields) != 0 {
			t.Errorf("%q: %+v", tt.login, e)
		}
	}
}

// inv-J, cve-62, std-46: a forgotten password of somebody, of a name that nobody has, of
// somebody suspended, of a program and of an address that rests run the same statements
// in the same order with each step. Here nothing is sent: a letter hides behind
// signin.ResetFloor, which looking at a reset, and setting a password too early, do not have.
func TestForgottenCostsTheSame_invJ(t *testing.T) {
	l, w := newListing(t)
	people := map[string]sallyporttest.Person{}
	for _, login := range []string{"maya", "olga", "nina", "petr"} {
		people[login] = w.AddUser(t, w.Company, login, false)
	}
	w.put(people["olga"], func(u *authn.User) { u.Status = authn.Suspended })
	w.put(people["nina"], func(u *authn.User) { u.API = true })
	w.put(people["petr"], func(u *authn.User) { u.EmailChangedAt = w.Clock.Now() })
	ran := func(f func()) []string {
		l.mu.Lock()
		l.ran = nil
		l.mu.Unlock()
		f()
		l.mu.Lock()
		defer l.mu.Unlock()
		return slices.Clone(l.ran)
	}
	steps := func(login string) (out [][]string) {
		w.Clock.Advance(time.Hour)
		var st signin.ResetStatus
		note := func(f func()) { out = append(out, ran(f)) }
		note(func() { st = w.mustAsk(login, "b") })
		note(func() { _, _ = w.ask(login, "b") }) // too soon
		note(func() { _, _ = w.SignIn.GetReset(t.Context(), opens(st, "b")) })
		note(func() { _, _ = w.prove(st, "000000") })
		note(func() { _ = w.set(st, chosen) })
		return out
	}
	steps("maya") // fills the caches
	want := steps("maya")
	for i, n := range []int{10, 10, 4, 9, 4} {
		if len(want[i]) < n {
			t.Fatalf("step %d runs %d statements", i, len(want[i]))
		}
	}
	for _, login := range []string{"nobody", "olga", "nina", "petr", "a\u200bb"} {
		for i, got := range steps(login) {
			if !slices.Equal(got, want[i]) {
				t.Errorf("%q, step %d:\n%s\nnot:\n%s", login, i, strings.Join(got, "\n"), strings.Join(want[i], "\n"))
			}
		}
	}
}
