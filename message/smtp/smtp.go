// Package smtp sends e-mail through a mail server: the sender of channel
// "email", its test connection (S32) and the hints about a domain's records.
//
// # Flow
//
// [New] checks the settings. [Sender.Send] composes the letter, takes the
// connection kept from the last one or opens one (connect, encrypt, sign in),
// hands the letter over (accept, content) and keeps the connection for the next.
// [Sender.Probe] walks the same stages on a connection of its own and reports
// each. Every failure is an *authn.SendError whose cause is a [Reason], a stable
// word that a page can translate.
//
// # Delivery is at least once
//
// A kept connection that dies before the server accepted MAIL FROM is replaced,
// once and silently. After the final dot nothing is repeated here: if its answer
// is lost, Send reports stage "accept" with [AnswerUnknown], not permanent, and
// whoever tries again may deliver a second copy. It has the same Message-ID, by
// which many mailboxes drop one of the two.
//
// # Threats
//
//   - A man in the middle who removes STARTTLS: with [StartTLS], the default, a
//     server that does not offer it gets neither user name nor letter. What it
//     said before the handshake is forgotten, and certificates are verified
//     against Host always; there is no switch for that.
//   - Credentials never leave the machine unencrypted, whatever is configured.
//   - Header injection: names and subjects lose control characters, line
//     separators and bidirectional overrides and are bounded; addresses are
//     parsed and must be nothing but an address; ids that are no token are hashed.
//   - A hostile or broken server: everything ends with Config.Timeout, at most
//     64 KiB are read for one letter, its words are bounded to 500 bytes of
//     printable UTF-8, and the password is taken out of them, should it echo it.
//   - Settings that a company makes can point anywhere: give Config.Dialer the
//     dialer of internal/egress (ruling 32). No proxy from the environment is
//     used, and SMTP knows no redirects.
package smtp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// TLS is how a connection is encrypted.
type TLS string

// The modes of encryption.
const (
	StartTLS  TLS = "starttls" // mandatory: without an offer nothing is sent
	Implicit  TLS = "implicit" // from the first byte, usually on port 465
	Plaintext TLS = "none"     // to this machine, or where Config.AllowPlaintext
)

// Auth is a mechanism to sign in with.
type Auth string

// The mechanisms. With XOAUTH2 the password is an access token.
const (
	AuthAuto    Auth = "auto" // PLAIN, else LOGIN
	AuthPlain   Auth = "plain"
	AuthLogin   Auth = "login"
	AuthXOAUTH2 Auth = "xoauth2"
	AuthNone    Auth = "none"
)

// Config says through which server to send, and as whom. Host and From are
// needed; the rest may be left zero.
type Config struct {
	Host string
	Port int // 0: 465 with Implicit, otherwise 587
	TLS  TLS // empty: Implicit on port 465, otherwise StartTLS

	// AllowPlaintext lets an operator use TLS "none" towards another machine,
	// without signing in. Never set it from what a company enters.
	AllowPlaintext bool

	Username string
	Password string `json:"-"`
	Auth     Auth   // empty: AuthAuto with a user name, otherwise AuthNone

	From     string // address, ASCII (an international domain as xn--…)
	FromName string // shown where a message brings no name
	ReplyTo  string // address; empty: none
	HELO     string // how we introduce ourselves; empty: the domain of From

	Timeout     time.Duration // of one message, waiting included; 0: 5 s, for people who wait; the outbox takes 10 s
	Idle        time.Duration // for which a connection is kept; 0: 30 s; negative: none is
	Connections int           // at once; 0: 3, which large providers allow

	Dialer  func(ctx context.Context, network, addr string) (net.Conn, error) // nil: net.Dialer
	RootCAs *x509.CertPool                                                    // nil: the system's
	Now     func() time.Time                                                  // nil: time.Now
}

// String shows where the mail goes, without the password.
func (c Config) String() string {
	return "smtp:" + net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}

// GoString is String, so that %#v shows no password either.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Sender is safe for concurrent use.
type Sender struct {
	c       Config
	domain  string // of From
	secrets []string
	slots   chan struct{}

	mu     sync.Mutex
	kept   *link
	reap   *time.Timer
	closed bool
}

var _ authn.Sender = (*Sender)(nil)

// New makes a sender, or says what in c is wrong. It connects to nothing.
func New(c Config) (*Sender, error) {
	c.defaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	_, domain, _ := strings.Cut(c.From, "@")
	if c.HELO == "" {
		c.HELO = domain
	}
	return &Sender{c: c, domain: domain, secrets: c.secrets(), slots: make(chan struct{}, c.Connections)}, nil
}

func (c *Config) defaults() {
	if c.TLS == "" && c.Port == 465 {
		c.TLS = Implicit
	}
	if c.TLS == "" {
		c.TLS = StartTLS
	}
	if c.Port == 0 && c.TLS == Implicit {
		c.Port = 465
	}
	if c.Port == 0 {
		c.Port = 587
	}
	if c.Auth == "" && c.Username == "" {
		c.Auth = AuthNone
	}
	if c.Auth == "" {
		c.Auth = AuthAuto
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Idle == 0 {
		c.Idle = 30 * time.Second
	}
	if c.Connections == 0 {
		c.Connections = 3
	}
	if c.Dialer == nil {
		c.Dialer = new(net.Dialer).DialContext
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

func (c *Config) check() error {
	switch {
	case !isHost(c.Host):
		return errors.New("the host is not a host name or an address; give it without a scheme and without a port")
	case c.Port < 1 || c.Port > 65535:
		return errors.New("the port is not between 1 and 65535")
	case c.Timeout < 0 || c.Connections < 0:
		return errors.New("the timeout or the number of connections is negative")
	case c.HELO != "" && !isHost(c.HELO):
		return errors.New("the HELO name is not a host name; leave it empty for the domain of the sender")
	}
	if err := checkAddress(c.From); err != nil || !isASCII(c.From) {
		return errors.New("the sender is not an e-mail address in ASCII; write an international domain as xn--…")
	}
	if err := checkAddress(c.ReplyTo); c.ReplyTo != "" && (err != nil || !isASCII(c.ReplyTo)) {
		return errors.New("the reply address is not an e-mail address in ASCII; leave it empty for none")
	}
	return errors.Join(c.checkTLS(), c.checkAuth())
}

func (c *Config) checkTLS() error {
	switch c.TLS {
	case StartTLS, Implicit:
		return nil
	case Plaintext:
		if c.AllowPlaintext || isLocal(c.Host) {
			return nil
		}
		return errors.New("unencrypted mail is sent to this machine only; use starttls or implicit")
	}
	return errors.New("the TLS mode is none of starttls, implicit, none")
}

func (c *Config) checkAuth() error {
	switch c.Auth {
	case AuthNone:
		return nil
	case AuthAuto, AuthPlain, AuthLogin, AuthXOAUTH2:
	default:
		return errors.New("the way to sign in is none of auto, plain, login, xoauth2, none")
	}
	switch {
	case c.Username == "" || c.Password == "":
		return errors.New("user name or password is missing; for a server that asks for neither, sign in with none")
	case strings.ContainsAny(c.Username+c.Password, "\x00\x01\r\n"):
		return errors.New("user name or password has a control character")
	case c.TLS == Plaintext && !isLocal(c.Host):
		return errors.New("a password is not sent unencrypted to another machine; use starttls or implicit, or sign in with none")
	}
	return nil
}

// isLocal reports whether a host says that it is this machine. What it resolves
// to is looked at again once connected.
func isLocal(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || strings.EqualFold(host, "localhost")
}

// Send hands a message to the server and returns when it has taken it or said
// no. Failures are *authn.SendError.
func (s *Sender) Send(ctx context.Context, m authn.Message) error {
	e, err := s.compose(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer func() { <-s.slots }()
	for l := s.take(ctx); ; l = nil {
		old := l != nil
		if !old {
			if l, err = s.open(ctx); err != nil {
				return err
			}
		}
		err := l.submit(ctx, e)
		again := old && l.broken && !l.begun
		s.put(l)
		if !again {
			return err
		}
	}
}

// enter waits for one of the connections.
func (s *Sender) enter(ctx context.Context) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return &authn.SendError{Stage: "connect", Err: Closed}
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return s.fail(ctx, "connect", Timeout, ctx.Err())
	}
}

// take gives the kept connection if it is still good, or nil. The question
// whether it is may use a quarter of the time at most.
func (s *Sender) take(ctx context.Context) *link {
	s.mu.Lock()
	l := s.kept
	s.kept = nil
	if s.reap != nil {
		s.reap.Stop()
	}
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, s.c.Timeout/4)
	defer cancel()
	if s.c.Now().Sub(l.used) < s.c.Idle && l.alive(asking) {
		l.hold(ctx)
		return l
	}
	l.raw.Close()
	return nil
}

// open makes a connection ready for a letter.
func (s *Sender) open(ctx context.Context) (*link, error) {
	l := &link{s: s}
	for _, stage := range l.opening() {
		if err := stage.do(ctx); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

// put keeps a connection for the next letter, if there is none kept yet.
func (s *Sender) put(l *link) {
	l.release()
	if l.broken {
		l.close()
		return
	}
	l.used = s.c.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.kept != nil || s.c.Idle < 0 {
		go l.quit() // ends within a second
		return
	}
	s.kept = l
	s.reap = time.AfterFunc(s.c.Idle, func() { s.drop(l) })
}

// drop ends l if it is still the kept one.
func (s *Sender) drop(l *link) {
	s.mu.Lock()
	mine := s.kept == l
	if mine {
		s.kept = nil
	}
	s.mu.Unlock()
	if mine {
		l.quit()
	}
}

// Close ends the kept connection. Messages on their way are finished; later
// ones fail with Closed.
func (s *Sender) Close() error {
	s.mu.Lock()
	l := s.kept
	s.kept, s.closed = nil, true
	if s.reap != nil {
		s.reap.Stop()
	}
	s.mu.Unlock()
	if l != nil {
		l.quit()
	}
	return nil
}
