package sallyporttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/store"
)

// Fixture is an empty database with a store on it.
type Fixture struct {
	Store   *store.Store
	Keyring *keyring.Keyring
	// Log gets what the store logs; it is searched for secrets.
	Log *LogBuffer
	// Again opens the same database once more, as another node or a command
	// beside the server does; the end of the test closes it.
	Again func(t testing.TB, ring *keyring.Keyring) (*store.Store, error)
	// Notice is the store.Config.Notice of what Again opens; nil, as at first: none.
	Notice func(authn.Event) (authn.Template, bool)
	// SQL is a connection beside the store, to see what was committed and to
	// tamper with it.
	SQL *sql.DB
}

// LogBuffer collects a log. It may be used by many goroutines.
type LogBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *LogBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *LogBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Find waits until what another process writes here matches an expression with one
// group, and is what that group has in the last match. The test ends if it does not
// come before ctx ends.
func (l *LogBuffer) Find(t testing.TB, ctx context.Context, expression string) string {
	t.Helper()
	re := regexp.MustCompile(expression)
	for ctx.Err() == nil {
		if all := re.FindAllStringSubmatch(l.String(), -1); len(all) > 0 {
			return all[len(all)-1][1]
		}
		time.Sleep(20 * time.Millisecond) // another process: there is nothing to wait on
	}
	t.Fatalf("nothing matches %s:\n%s", expression, l)
	return ""
}

// Logger writes to the buffer.
func (l *LogBuffer) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// RunStore is the conformance suite: whatever passes it keeps the promises of
// package store. open makes an empty database for each test.
func RunStore(t *testing.T, open func(t *testing.T) *Fixture) {
	groups := []struct {
		name string
		run  func(*testing.T, func(*testing.T) *Fixture)
	}{
		{"people", runPeople},
		{"factors", runFactors},
		{"attempts", runAttempts},
		{"sessions", runSessions},
		{"charging", runCharging},
		{"refusals", runRefusals},
		{"isolation", runIsolation},
		{"races", runRaces},
		{"secrets", runSecrets},
		{"events", runEvents},
		{"counts", runCounts},
		{"attention", runAttention},
		{"audit", runAudit},
		{"house", runHouse},
		{"providers", runProviders},
		{"branding", runBranding},
		{"operator", runOperator},
		{"keys", runAPIKeys},
		{"rolled keys", runRolledKeys},
		{"accounts of programs", runAPIAccounts},
		{"rotation", runRotation},
		{"model", runModel},
		{"sent codes", runSent},
		{"budgets", runBudgets},
		{"outside services", runOutside},
		{"subjects", runSubjects},
		{"saved codes", runSavedCodes},
		{"links", runLinks},
		{"addresses", runAddresses},
		{"outbox", runOutbox},
		{"policies", runPolicies},
		{"lists", runLists},
		{"grants", runGrants},
		{"forms", runForms},
		{"resets", runResets},
		{"returns", runReturns},
		{"imports", runImports},
		{"passkeys", runPasskeys},
		{"migrations", runMigrations},
		{"erasure", runErasure},
		{"trusted browsers", runTrust},
		{"people of a host program", runExternal},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) { g.run(t, open) })
	}
}

// epoch is when the tests happen. No test sleeps: time is what the keys say.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a fixture with a company in it.
type world struct {
	*Fixture
	t       testing.TB
	ctx     context.Context
	now     time.Time
	company authn.Company
}

func newWorld(t *testing.T, open func(*testing.T) *Fixture) *world {
	t.Helper()
	w := &world{Fixture: open(t), t: t, ctx: context.Background(), now: epoch}
	w.company = w.newCompany("acme")
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// want checks the code of an error; a nil code wants success.
func (w *world) want(err error, code error) {
	w.t.Helper()
	if !errors.Is(err, code) {
		w.t.Fatalf("got error %v, want %v", err, code)
	}
}

func (w *world) id(prefix string) string { return authn.NewID(prefix, w.now, rand.Reader) }

func (w *world) newCompany(slug string) authn.Company {
	w.t.Helper()
	c := authn.Company{ID: w.id(authn.CompanyID), Slug: slug, Name: slug + " Ltd", Policy: []byte(`{"z":1, "a":2}`), PolicyVersion: 1, CreatedAt: w.now}
	w.must(w.Store.CreateCompany(w.ctx, c, event("company.created", "")))
	return c
}

func event(typ, target string) authn.Event {
	return authn.Event{Type: typ, Target: target, Result: authn.Succeeded, Personal: authn.Personal{Address: "192.0.2.7", Agent: "Chrome on Windows"}}
}

// person is a user with a password and, mostly, an authenticator app.
type person struct {
	w        *world
	company  string
	id       string
	login    string
	password string // id of the factor
	app      string
	hash     string
	secret   string
}

// newPerson makes a user with a password and an active factor of kind TOTP.
func (w *world) newPerson(c authn.Company, login string) *person {
	w.t.Helper()
	p := w.newUser(c, login)
	p.app = p.activate(authn.TOTP, p.secret, 0)
	return p
}

func (w *world) newUser(c authn.Company, login string) *person {
	w.t.Helper()
	p := &person{w: w, company: c.ID, id: w.id(authn.UserID), login: login, password: w.id(authn.FactorID),
		hash: "$argon2id$" + login, secret: "seed-of-" + login}
	u := authn.User{Company: c.ID, ID: p.id, Login: login, Name: login, Audience: authn.InternalAudience, Status: authn.Active, Epoch: 1, CreatedAt: w.now}
	w.must(w.decide(authn.Keys{Company: c.ID, User: p.id}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(event("user.created", p.id), authn.NewUser{User: u, Logins: []authn.Login{{Name: login, Kind: "name"}}},
			authn.SetPassword{ID: p.password, Hash: []byte(p.hash), At: w.now})
	}))
	return p
}

func (p *person) keys() authn.Keys {
	return authn.Keys{Company: p.company, User: p.id, Now: p.w.now}
}

func (p *person) begin(kind authn.Kind, secret string) authn.Factor {
	p.w.t.Helper()
	f := authn.Factor{Company: p.company, ID: p.w.id(authn.FactorID), User: p.id, Kind: kind, State: authn.Pending, Name: "phone",
		Data: []byte(`{"digits":6}`), Epoch: 1, CreatedAt: p.w.now, ExpiresAt: p.w.now.Add(30 * time.Minute)}
	p.w.must(p.w.write(p.keys(), authn.NewFactor{Factor: f, Secret: []byte(secret)}))
	return f
}

func (p *person) activate(kind authn.Kind, secret string, step int64) string {
	p.w.t.Helper()
	f := p.begin(kind, secret)
	p.w.must(p.w.write(p.keys(), authn.ActivateFactor{ID: f.ID, At: p.w.now, Step: step}))
	return f.ID
}

// decide sets the time of the keys and decides.
func (w *world) decide(k authn.Keys, f func(*authn.Rows) authn.Verdict) error {
	if k.Now.IsZero() {
		k.Now = w.now
	}
	return w.Store.Decide(w.ctx, k, f)
}

// write accepts the writes with an event.
func (w *world) write(k authn.Keys, writes ...authn.Write) error {
	return w.decide(k, func(*authn.Rows) authn.Verdict { return authn.Accept(event("test.done", ""), writes...) })
}

// view is View, which must succeed.
func (w *world) view(k authn.Keys) *authn.Rows {
	w.t.Helper()
	if k.Now.IsZero() {
		k.Now = w.now
	}
	rows, err := w.Store.View(w.ctx, k)
	w.must(err)
	return &rows
}

// guess charges and answers wrong; it returns what was charged.
func (w *world) guess(k authn.Keys, o authn.Outcome, until time.Time, step int64) (authn.Charged, error) {
	var c authn.Charged
	err := w.decide(k, func(r *authn.Rows) authn.Verdict {
		c = *r.Charged
		if !c.Paid {
			return authn.Drop(authn.Paused)
		}
		s := authn.Settle{Outcome: o, PausedUntil: until, Step: step}
		if o == authn.Right {
			return authn.Accept(event("factor.proved", ""), s)
		}
		return authn.Refuse(authn.WrongCode, event("factor.refused", ""), s)
	})
	return c, err
}

func (p *person) guessApp(o authn.Outcome) authn.Charged {
	p.w.t.Helper()
	k := p.keys()
	k.Factor, k.Charge = p.app, authn.GuessFactor
	c, err := p.w.guess(k, o, time.Time{}, 0)
	if c.Paid && o != authn.Right {
		p.w.want(err, authn.WrongCode)
	}
	return c
}

// newAttempt stores an attempt and returns it with its token.
func (p *person) newAttempt(browser string) (authn.Attempt, authn.Token) {
	p.w.t.Helper()
	a := authn.Attempt{Company: p.company, ID: p.w.id(authn.AttemptID), User: p.id, Purpose: authn.SignIn, State: authn.NeedFactor, Version: 1,
		Proofs: []authn.Proof{{Kind: authn.Password, Factor: p.password, Traits: authn.Traits{Knowledge: true}, At: p.w.now}},
		Lane:   authn.Stranger, ReturnTo: "/home", Epoch: 1, CreatedAt: p.w.now, ExpiresAt: p.w.now.Add(15 * time.Minute)}
	token := authn.NewToken(authn.AttemptToken, a.Company, a.ID, rand.Reader)
	k := p.keys()
	k.Browser = browser
	p.w.must(p.w.write(k, authn.NewAttempt{Attempt: a, Token: token}))
	return a, token
}

func (p *person) newSession() (authn.Session, authn.Token) {
	p.w.t.Helper()
	s := authn.Session{Company: p.company, ID: p.w.id(authn.SessionID), User: p.id, Epoch: 1, AMR: []string{"pwd", "otp"}, ACR: authn.AAL2,
		AuthTime: p.w.now, FactorTime: p.w.now, CreatedAt: p.w.now, LastSeenAt: p.w.now, ExpiresAt: p.w.now.Add(24 * time.Hour),
		Idle: time.Hour, Agent: "Chrome on Windows", Attempt: "att_1", ReturnTo: "/home"}
	token := authn.NewToken(authn.SessionToken, s.Company, s.ID, rand.Reader)
	p.w.must(p.w.write(p.keys(), authn.NewSession{Session: s, Token: token}))
	return s, token
}

// count runs a query that yields one number.
func (w *world) count(query string, args ...any) int {
	w.t.Helper()
	var n int
	w.must(w.SQL.QueryRow(query, args...).Scan(&n))
	return n
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	_, err := w.SQL.Exec(query, args...)
	w.must(err)
}

// tables are those with contents worth stealing.
var tables = []string{"passkeys", "passkey_asks", "external_ids", "handles", "return_addresses", "forms", "resets", "trusted_browsers", "grants", "actions", "brand_files", "branding", "event_counts", "audit_streams", "audit_anchors", "policy_reminders", "policy_invitations", "policy_versions", "tombstones", "imports", "user_words", "people_shapes", "role_holders", "api_accounts", "approvals", "budgets", "provider_health", "providers", "saved_codes", "challenges", "links", "outbox", "companies", "company_keys", "users", "logins", "factors", "throttles", "attempts", "sessions", "devices",
	"api_keys", "events", "chains", "leases", "meta", "migrations"}

// dump is everything that whoever steals the database reads.
func (w *world) dump() string {
	w.t.Helper()
	var b strings.Builder
	for _, table := range tables {
		rows, err := w.SQL.Query("SELECT * FROM " + table)
		w.must(err)
		columns, err := rows.Columns()
		w.must(err)
		for rows.Next() {
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			w.must(rows.Scan(targets...))
			for i, v := range values {
				if raw, ok := v.([]byte); ok {
					v = string(raw)
				}
				fmt.Fprintf(&b, "%s.%s=%v\n", table, columns[i], v)
			}
		}
		w.must(rows.Err())
		rows.Close()
	}
	return b.String()
}

// hides holds the store to what it says of tokens: none lies in the database or the log.
func (w *world) hides(tokens ...authn.Token) {
	w.t.Helper()
	all := w.dump() + w.Log.String()
	for _, t := range tokens {
		if strings.Contains(all, string(t.Secret)) || strings.Contains(all, fmt.Sprintf("%x", t.Secret)) || strings.Contains(all, t.Reveal()) {
			w.t.Errorf("%s: the token lies about", t.ID)
		}
	}
}
