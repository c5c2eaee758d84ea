// Package sallyporttest is for the tests of programs that use Sallyport, whether
// they embed it or call its JSON API: a whole server in one line, a clock that is
// moved by hand, people with a password and an authenticator app, passkeys without a
// device, an inbox, a pretend Duo, and a browser in which somebody is signed in.
//
//	func TestBilling(t *testing.T) {
//		s := sallyporttest.Wire(t, func(c sallyport.Config) (*sallyport.Server, http.Handler, error) {
//			return shop.New(c) // your own wiring; NewServer is for programs that only call the API
//		})
//		maya := s.SignedIn(t, s.AddUser(t, s.Company, "maya", true))
//		maya.StepUp(t, "billing.change")
//		resp, err := maya.PostForm(s.URL+"/billing", url.Values{"card": {"•• 42"}})
//		…
//	}
//
// # Flow
//
// NewServer starts a server with one company, Server.Company; Wire starts what the
// host program makes of the same Config. The store is SQLite in t.TempDir, and no
// other program is needed. People come from Server.AddUser, ways to verify from it,
// AddApp, AddPhone and AddDuo, a key of a program from AddKey or AddApplication, and
// rules from SetPolicy. Server.SignedIn signs somebody in as they would do it, by what they
// have, and gives a Browser: an http.Client with their cookies, their token, and
// StepUp and Grant for fresh proofs. To be the person step by step, read codes from
// Person.App (an Authenticator) and LastCode, letters from Mail, and answer Duo by
// Duo.ApprovePush and DenyPush. Passkeys is a phone, a laptop or a security key that
// makes passkeys and signs in with them.
//
// Everything ends with the test, and nothing is shared between two servers, so that
// tests may run in parallel. Server.Run is not started: letters go out when Mail is
// called, and codes at once.
//
// # Threats
//
// Nothing here pretends but Duo and what delivers messages: requests pass the same
// outer layer as in production, policy is asked, codes count once, and wrong ones
// are charged. Hashes are argon2id with parameters below the floor, which exist only
// through this Go API (ruling 58), so that a test does not wait for them. What is
// here opens every account; no program but a test may link it.
//
// # Beyond that
//
// The rest is for those who write a part of Sallyport, and each in its file says so:
// RunStore (store*.go) holds a store to its promises, RunTextDriver (texts*.go) a
// driver of text messages, with gateways of the providers; Postgres starts a
// database; Syslog and EventHook receive what audit streams send.
package sallyporttest

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/method/bypass"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/password"
	"github.com/sallyport-mfa/sallyport/method/totp"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/store"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// Clock is a clock that stands still until it is moved. Its Now is what
// sallyport.Config.Now and grant.Verifier take. It is safe for concurrent use.
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

// Server is a running server for a test. The services of sallyport.Server are in
// it: s.Directory, s.Sessions, s.SignIn.
type Server struct {
	*sallyport.Server
	Store   *store.Store
	Clock   *Clock
	Keyring *keyring.Keyring
	HTTP    *httptest.Server
	URL     string        // "http://127.0.0.1:…", without a slash at its end
	Company authn.Company // "acme", the first one
	Path    string        // of the SQLite file
	Inbox   *inbox.Inbox  // every message that was sent
	Duo     *Duo          // nil until UseDuo

	passkeys *webauthn.Method
}

// Option changes the configuration before the server starts.
type Option func(*sallyport.Config)

// NewServer starts a server with one company, "acme"; the end of the test
// stops it.
func NewServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	return Wire(t, plain(opts))
}

// Wire starts a host program as it wires itself. Its build gets a Config with a store,
// the usual methods, the address where it will be reached, and the clock, the inbox and
// Duo of the test; it adds what is its own (Actions, Home, Extra, …), gives it to
// sallyport.New, and answers with that server and the handler of the whole program
// (nil: Server.Handler). Store, PublicURL and Now are to be left as they are, or the
// rest of this package does not work on it. There is one company, "acme"; the end of
// the test stops the program.
func Wire(t testing.TB, build func(sallyport.Config) (*sallyport.Server, http.Handler, error)) *Server {
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
	s := wire(t, st, build)
	s.Keyring, s.Path = keys, path
	return s
}

// Start is NewServer on a store that is open already; "acme" is made if it is not
// there. The caller closes the store.
func Start(t testing.TB, st *store.Store, opts ...Option) *Server {
	t.Helper()
	return wire(t, st, plain(opts))
}

// plain is a program that is Sallyport and nothing else.
func plain(opts []Option) func(sallyport.Config) (*sallyport.Server, http.Handler, error) {
	return func(c sallyport.Config) (*sallyport.Server, http.Handler, error) {
		for _, o := range opts {
			o(&c)
		}
		srv, err := sallyport.New(c)
		return srv, nil, err
	}
}

var off = throttle.Rate{PerMinute: -1}

func wire(t testing.TB, st *store.Store, build func(sallyport.Config) (*sallyport.Server, http.Handler, error)) *Server {
	t.Helper()
	s := &Server{Store: st, Clock: NewClock()}
	s.HTTP = httptest.NewUnstartedServer(nil)
	t.Cleanup(s.HTTP.Close) // whether it was started or not
	s.URL = "http://" + s.HTTP.Listener.Addr().String()
	s.Inbox = &inbox.Inbox{Now: s.Clock.Now}
	pw, all, saved := everyMethod(t)
	keys, err := webauthn.New(webauthn.Config{URL: s.PasskeyOrigin()})
	if err != nil {
		t.Fatal(err)
	}
	all, s.passkeys = append(all, keys), keys
	other := s.duoMethod(t)
	srv, handler, err := build(sallyport.Config{
		Store: st, Methods: append(all, other), Duo: other, Passwords: pw, PublicURL: s.URL, Now: s.Clock.Now, Log: Quiet(),
		Senders: map[authn.Kind]authn.Sender{authn.Email: s.Inbox}, Digits: code.Digits, BackupCodes: saved,
		CompanyMail: companyMail(t, s.Inbox), TextDrivers: map[string]authn.TextDriver{"inbox": inbox.Driver{Inbox: s.Inbox}},
		Streams: streams(s.Clock.Now),
		// A test is one address; its limit has tests of its own.
		Addresses: throttle.NewAddresses(throttle.AddressesConfig{Now: s.Clock.Now, IPv4Address: off, IPv4Net: off}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if handler == nil {
		handler = srv.Handler()
	}
	s.Server, s.HTTP.Config.Handler = srv, handler
	s.HTTP.Start()
	s.Company, err = s.Directory.Company(t.Context(), "acme")
	if err != nil {
		s.Company = s.AddCompany(t, "acme", "Acme Projects")
	}
	return s
}

// PasskeyOrigin is where passkeys of the server work: browsers have none for the number
// that URL has.
func (s *Server) PasskeyOrigin() string { return strings.Replace(s.URL, "127.0.0.1", "localhost", 1) }

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
