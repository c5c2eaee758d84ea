package smtp

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	userName = "mailer"
	password = "pässword-7YqK2"
)

// ca issues certificates for tests.
type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newCA(t *testing.T) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &ca{key: key, pool: x509.NewCertPool(), cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, c.cert, c.cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	c.pool.AddCert(c.cert)
	return c
}

// issue gives certificate and key in PEM for a name, or for 127.0.0.1.
func (c *ca) issue(t *testing.T, name string, until time.Time) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(name); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, c.cert, k.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs})
}

func (c *ca) config(t *testing.T, name string, until time.Time) *tls.Config {
	t.Helper()
	cert, err := tls.X509KeyPair(c.issue(t, name, until))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// counted counts the connections that it accepts.
type counted struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func listen(t *testing.T) *counted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{Listener: l}
	t.Cleanup(func() {
		l.Close()
		c.hangUp()
	})
	return c
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
	return conn, err
}

func (c *counted) port() int { return c.Addr().(*net.TCPAddr).Port }

func (c *counted) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.conns)
}

// hangUp ends every connection that was ever accepted.
func (c *counted) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}

// mailbox is a real server in this process.
type mailbox struct {
	*counted
	mechanisms []string

	mu   sync.Mutex
	used []string // mechanisms that somebody signed in with
	got  []delivered
}

type delivered struct {
	from, to string
	utf8     bool
	body     []byte
}

// serveMailbox starts one; with mechanisms nobody delivers without signing in.
func serveMailbox(t *testing.T, config *tls.Config, implicit bool, mechanisms ...string) *mailbox {
	t.Helper()
	m := &mailbox{counted: listen(t), mechanisms: mechanisms}
	s := server.NewServer(server.BackendFunc(func(*server.Conn) (server.Session, error) { return &visit{box: m}, nil }))
	s.Domain, s.EnableSMTPUTF8, s.AllowInsecureAuth = "mail.example.com", true, true
	s.ErrorLog = quiet{}
	l := net.Listener(m.counted)
	if implicit {
		l = tls.NewListener(l, config)
	} else {
		s.TLSConfig = config
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends when closed
	}()
	t.Cleanup(func() {
		s.Close()
		l.Close() // Close does not know it yet if Serve has hardly begun
		<-done
	})
	return m
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func (m *mailbox) letters() []delivered {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

type visit struct {
	box      *mailbox
	signedIn bool
	now      delivered
}

func (v *visit) Reset()                   { v.now = delivered{} }
func (v *visit) Logout() error            { return nil }
func (v *visit) AuthMechanisms() []string { return v.box.mechanisms }

func (v *visit) Mail(from string, o *server.MailOptions) error {
	if len(v.box.mechanisms) > 0 && !v.signedIn {
		return server.ErrAuthRequired
	}
	v.now = delivered{from: from, utf8: o.UTF8}
	return nil
}

func (v *visit) Rcpt(to string, _ *server.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &server.SMTPError{Code: 550, EnhancedCode: server.EnhancedCode{5, 1, 1}, Message: "No such person"}
	}
	v.now.to = to
	return nil
}

func (v *visit) Data(r io.Reader) (err error) {
	if v.now.body, err = io.ReadAll(r); err != nil {
		return err
	}
	v.box.mu.Lock()
	defer v.box.mu.Unlock()
	v.box.got = append(v.box.got, v.now)
	return nil
}

func (v *visit) Auth(name string) (sasl.Server, error) {
	check := func(ok bool) error {
		if !ok {
			return server.ErrAuthFailed
		}
		v.signedIn = true
		v.box.mu.Lock()
		defer v.box.mu.Unlock()
		v.box.used = append(v.box.used, name)
		return nil
	}
	switch name {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, u, p string) error { return check(u == userName && p == password) }), nil
	case "LOGIN":
		return &asking{ask: []string{"Username:", "Password:"}, check: func(said []string) error {
			return check(slices.Equal(said, []string{userName, password}))
		}}, nil
	case "XOAUTH2":
		return &asking{ask: []string{""}, check: func(said []string) error {
			return check(slices.Equal(said, []string{"user=" + userName + "\x01auth=Bearer " + password + "\x01\x01"}))
		}}, nil
	}
	return nil, server.ErrAuthUnknownMechanism
}

// asking is a mechanism of questions and answers.
type asking struct {
	ask   []string
	said  []string
	check func([]string) error
}

func (a *asking) Next(response []byte) ([]byte, bool, error) {
	if response != nil {
		a.said = append(a.said, string(response))
	}
	if len(a.said) < len(a.ask) {
		return []byte(a.ask[len(a.said)]), false, nil
	}
	return nil, true, a.check(a.said)
}

// script is a server that misbehaves: what it does instead of a good answer, by
// what was said to it. "stall" says nothing more, "drop" hangs up, anything else
// is sent as it is.
type script struct {
	*counted
	tls *tls.Config
	do  map[string]string // "connect", "EHLO", "STARTTLS", "handshake", "AUTH", "MAIL", "RCPT", "DATA", "body", "."

	mu    sync.Mutex
	lines []string
}

func serveScript(t *testing.T, config *tls.Config, do map[string]string) *script {
	t.Helper()
	s := &script{counted: listen(t), tls: config, do: do}
	go func() {
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = s.talk(conn) // however it ends
			}()
		}
	}()
	return s
}

var errDrop = errors.New("dropped")

// answer does what the script says, or gives the good answer.
func (s *script) answer(conn net.Conn, to, good string) error {
	switch reply, ok := s.do[to]; {
	case !ok:
		_, err := io.WriteString(conn, good+"\r\n")
		return err
	case reply == "drop":
		return errDrop
	case reply == "stall":
		_, err := io.Copy(io.Discard, conn) // until the client gives up
		return errors.Join(errDrop, err)
	default:
		_, err := io.WriteString(conn, reply)
		return err
	}
}

func (s *script) talk(conn net.Conn) error {
	if err := s.answer(conn, "connect", "220 mail.example.com ESMTP"); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.lines = append(s.lines, strings.TrimSpace(line))
		s.mu.Unlock()
		verb := strings.ToUpper(strings.Fields(line + " -")[0])
		good := map[string]string{"EHLO": "250-mail.example.com\r\n250-STARTTLS\r\n250 AUTH PLAIN", "STARTTLS": "220 2.0.0 go", "AUTH": "235 2.7.0 in", "DATA": "354 go", "QUIT": "221 bye"}[verb]
		if good == "" {
			good = "250 2.0.0 ok"
		}
		if err := s.answer(conn, verb, good); err != nil {
			return err
		}
		switch {
		case verb == "STARTTLS" && s.tls != nil:
			if s.do["handshake"] != "" {
				r.Peek(1) // the client's first word: what came before it would count for nothing
				return s.answer(conn, "handshake", "")
			}
			conn = tls.Server(conn, s.tls)
			r = bufio.NewReader(conn)
		case verb == "DATA" && s.do["DATA"] == "":
			if err := s.body(conn, r); err != nil {
				return err
			}
		}
	}
}

func (s *script) body(conn net.Conn, r *bufio.Reader) error {
	if s.do["body"] != "" {
		return s.answer(conn, "body", "")
	}
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return err
		}
		if bytes.Equal(line, []byte(".\r\n")) {
			return s.answer(conn, ".", "250 2.0.0 queued")
		}
	}
}

func (s *script) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// sender makes one for 127.0.0.1; change what the test is about.
func sender(t *testing.T, port int, change func(*Config)) *Sender {
	t.Helper()
	c := Config{Host: "127.0.0.1", Port: port, TLS: Plaintext, From: "no-reply@example.com", FromName: "Acme"}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func letter(id string) authn.Message {
	return authn.Message{
		ID: id, Channel: authn.Email, To: "maya@example.org", From: "Acme – Anmeldung", Subject: "Ihr Code für „Acme“ 🔑",
		Text: "Grüße, Ihr Code ist 123456.\nמאיה 你好\n.\nEnde", HTML: "<p>Grüße, Ihr Code ist <b>123456</b>. 你好</p>", Language: "de-CH",
	}
}

// checkFailure looks at an error of Send: where, why, and whether for good.
func checkFailure(t *testing.T, err error, stage string, reason Reason, permanent bool) *authn.SendError {
	t.Helper()
	e := (*authn.SendError)(nil)
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a SendError at %s: %s", err, stage, reason)
	}
	if e.Stage != stage || !errors.Is(err, reason) || e.Permanent != permanent || !errors.Is(err, authn.MessageNotSent) {
		t.Errorf("got %q %v permanent=%t, want %q %s permanent=%t", e.Stage, err, e.Permanent, stage, reason, permanent)
	}
	return e
}
