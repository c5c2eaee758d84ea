// Package sallyporttest is for programs that embed Sallyport, and for its own
// tests: a whole server on a temporary SQLite file, a clock that is moved by
// hand, people with factors, and the conformance suite for stores (RunStore).
//
// Nothing here pretends: the store is SQLite on disk, hashes are argon2id (with
// parameters below the floor, which exist only through this Go API, ruling 58),
// and requests pass the same outer layer as in production.
package sallyporttest

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/method/bypass"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/password"
	"github.com/sallyport-mfa/sallyport/method/totp"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/store"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// Password is the password of everybody that AddUser makes.
const Password = "a quiet harbour at dusk"

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock starts at a fixed moment in the middle of a TOTP step.
func NewClock() *Clock { return &Clock{at: time.Date(2026, 11, 21, 9, 14, 10, 0, time.UTC)} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves the clock; a negative d moves it back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Server is a running server for a test.
type Server struct {
	*sallyport.Server
	Store   *store.Store
	Clock   *Clock
	Keyring *keyring.Keyring
	HTTP    *httptest.Server
	URL     string
	Company authn.Company // "acme", the first one
	Path    string        // of the SQLite file
	Inbox   *inbox.Inbox  // every message that was sent
	Duo     *Duo          // nil until UseDuo
}

// Option changes the configuration before the server starts.
type Option func(*sallyport.Config)

// NewServer starts a server with one company, "acme"; the end of the test
// stops it.
func NewServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sallyport.db")
	keys, err := keyring.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Keyring: keys, Log: Quiet(), Notice: notice.For})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	s := Start(t, st, opts...)
	s.Keyring, s.Path = keys, path
	return s
}

var off = throttle.Rate{PerMinute: -1}

// Start starts a server on a store that is open already, with one company,
// "acme", which is made if it is not there. The caller closes the store.
func Start(t testing.TB, st *store.Store, opts ...Option) *Server {
	t.Helper()
	s := &Server{Store: st, Clock: NewClock()}
	s.HTTP = httptest.NewUnstartedServer(nil)
	s.URL = "http://" + s.HTTP.Listener.Addr().String()
	s.Inbox = &inbox.Inbox{Now: s.Clock.Now}
	pw, all, saved := everyMethod(t)
	other := s.duoMethod(t)
	cfg := sallyport.Config{
		Store: st, Methods: append(all, other), Duo: other, Passwords: pw, PublicURL: s.URL, Now: s.Clock.Now, Log: Quiet(),
		Senders: map[authn.Kind]authn.Sender{authn.Email: s.Inbox}, Digits: code.Digits, BackupCodes: saved,
		CompanyMail: companyMail(t, s.Inbox), TextDrivers: map[string]authn.TextDriver{"inbox": inbox.Driver{Inbox: s.Inbox}},
		Streams: streams(s.Clock.Now),
		// A test is one address; its limit has tests of its own.
		Addresses: throttle.NewAddresses(throttle.AddressesConfig{Now: s.Clock.Now, IPv4Address: off, IPv4Net: off}),
	}
	for _, o := range opts {
		o(&cfg)
	}
	srv, err := sallyport.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = srv
	s.HTTP.Config.Handler = srv.Handler()
	s.HTTP.Start()
	t.Cleanup(s.HTTP.Close)
	s.Company, err = s.Directory.Company(t.Context(), "acme")
	if err != nil {
		s.Company = s.AddCompany(t, "acme", "Acme Projects")
	}
	return s
}

// Methods are the password method with cheap hashes, and the authenticator app.
func Methods(t testing.TB) (*password.Method, *totp.Method) {
	t.Helper()
	pw, err := password.NewForTests(password.Config{Gate: throttle.NewGate(throttle.GateConfig{})}, password.Params{MemoryKiB: 64, Time: 1, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	tp, err := totp.New(totp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return pw, tp
}

// everyMethod is what the program registers, with cheap hashes.
func everyMethod(t testing.TB) (*password.Method, []authn.Method, *backup.Method) {
	t.Helper()
	pw, tp := Methods(t)
	mail, err := code.New(authn.Email)
	if err != nil {
		t.Fatal(err)
	}
	saved := backup.New(nil)
	return pw, []authn.Method{pw, tp, mail, saved, code.NewSMS(false), bypass.New(nil)}, saved
}

// NoMail makes a server that sends nothing, as one without a mail server.
func NoMail() Option {
	return func(c *sallyport.Config) {
		c.Senders, c.CompanyMail, c.TextDrivers = nil, nil, nil
		c.Methods = slices.DeleteFunc(slices.Clone(c.Methods), func(m authn.Method) bool { return m.Kind().Sent() })
	}
}

// LastCode is the code in the newest message to an address.
func (s *Server) LastCode(t testing.TB, to string) string {
	t.Helper()
	list := s.Inbox.Messages()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].To == to && list[i].Code != "" {
			return list[i].Code
		}
	}
	t.Fatalf("no code was sent to %s", to)
	return ""
}

// Mail sends what waits in the outbox and gives every message to an address,
// oldest first.
func (s *Server) Mail(t testing.TB, to string) []inbox.Kept {
	t.Helper()
	if _, err := s.Notices.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	var out []inbox.Kept
	for _, m := range s.Inbox.Messages() {
		if m.To == to {
			out = append(out, m)
		}
	}
	return out
}

// RealHashes makes a server hash passwords as in production.
func RealHashes(t testing.TB) Option {
	t.Helper()
	pw, err := password.New(password.Config{Gate: throttle.NewGate(throttle.GateConfig{})})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *sallyport.Config) {
		c.Passwords = pw
		for i, m := range c.Methods {
			if m.Kind() == authn.Password {
				c.Methods[i] = pw
			}
		}
	}
}

// Quiet is a log that nobody reads.
func Quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// AddCompany makes a company.
func (s *Server) AddCompany(t testing.TB, slug, name string) authn.Company {
	t.Helper()
	c, err := s.Directory.CreateCompany(context.Background(), slug, name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// SetTwoFactor changes a company's policy.
func (s *Server) SetTwoFactor(t testing.TB, company string, tf policy.TwoFactor) {
	t.Helper()
	c, err := s.Directory.Company(context.Background(), company)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Directory.SetPolicy(context.Background(), c.ID, policy.Document{Format: 1, TwoFactor: tf}, c.PolicyVersion); err != nil {
		t.Fatal(err)
	}
}

// Person is someone a test can be.
type Person struct {
	authn.User
	Secret otp.Secret // nil: no authenticator app
	Factor string     // id of the app
}

// AddUser makes a person of a company with Password and, if app, a confirmed
// authenticator app whose current code is not spent.
func (s *Server) AddUser(t testing.TB, company authn.Company, login string, app bool) Person {
	t.Helper()
	u, err := s.Directory.CreateUser(context.Background(), company, directory.NewUser{
		Login: login, Name: "Test " + login, Email: login + "@" + company.Slug + ".example", Verified: true, Password: Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := Person{User: u}
	if app {
		p.Factor, p.Secret = s.AddApp(t, u)
	}
	return p
}

// AddApp gives a person a confirmed authenticator app.
func (s *Server) AddApp(t testing.TB, u authn.User) (id string, secret otp.Secret) {
	t.Helper()
	secret, err := otp.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s.addFactor(t, u, authn.NewFactor{Factor: authn.Factor{Kind: authn.TOTP}, Secret: secret}), secret
}

// Code is the code that an authenticator app shows at the clock's time.
func (s *Server) Code(t testing.TB, secret otp.Secret) string {
	return CodeAt(t, secret, s.Clock.Now())
}

// CodeAt is the code that an authenticator app shows at a time.
func CodeAt(t testing.TB, secret otp.Secret, at time.Time) string {
	t.Helper()
	code, err := otp.Key{Secret: secret}.TOTP(at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// WrongCode is a code that is right at none of the steps around the clock's time.
func (s *Server) WrongCode(t testing.TB, secret otp.Secret) string {
	t.Helper()
	right := map[string]bool{}
	for d := -15 * time.Minute; d <= 15*time.Minute; d += 30 * time.Second {
		right[CodeAt(t, secret, s.Clock.Now().Add(d))] = true
	}
	for _, c := range []string{"000000", "111111", "222222", "333333", "444444"} {
		if !right[c] {
			return c
		}
	}
	t.Fatal("five codes right at once")
	return ""
}
