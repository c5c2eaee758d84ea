package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/method/code"
)

const mailHead = "public_url: https://login.example.com\nmail:\n"

// Everything that is wrong with mail is said at once, and the password never.
func TestMailConfig(t *testing.T) {
	for text, want := range map[string][]string{
		"  host: mail.example.com\n  from: a@example.com\n":                                                              nil,
		"  host: mail.example.com\n  from: a@example.com\n  user: u\n  password: hunter2\n  auth: plain\n  port: 2525\n": nil,
		"  host: 127.0.0.1\n  tls: none\n  from: a@example.com\n":                                                        nil,
		"  port: 25\n  password: hunter2\n":                                                                              {"mail.port is set and mail.host is not", "mail.password is set and mail.host is not"},
		"  host: h\n":                                                                                                    {"mail.from: is missing"},
		"  host: h\n  tls: none\n  user: u\n":                                                                            {"mail.from", "mail.tls is none, and mail.host is another machine", "mail.user is set without mail.password"},
		"  host: h\n  from: a@example.com\n  password: hunter2\n":                                                        {"mail.password is set without mail.user"},
		"  host: h\n  from: a@example.com\n  auth: login\n":                                                              {"mail.auth needs mail.user"},
		"  host: h\n  from: a@example.com\n  auth: none\n  user: u\n  password: hunter2\n":                               {"mail.auth is none, but"},
		"  host: smtp://h\n  port: 0\n  tls: ssl\n  auth: x\n  from: \"A <a@example.com>\"\n  reply_to: b\n":             {"mail.host is", "mail.port is", "mail.tls is", "mail.auth is", "mail.from is", "mail.reply_to is"},
		"  host: h\n  from: a@exämple.com\n":                                                                             {"mail cannot be sent so: the sender is not an e-mail address in ASCII"},
		"  host: h_\u200b\n  from: a@example.com\n":                                                                      {"mail cannot be sent so: the host is not"},
	} {
		_, err := loadConfig(write(t, "c.yaml", mailHead+text), nil)
		var bad configError
		errors.As(err, &bad)
		if len(bad) != len(want) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", text, w, err)
			}
		}
	}
	open := write(t, "c.yaml", mailHead+"  host: h\n  from: a@example.com\n  user: u\n  password: hunter2\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(open, nil); err == nil || !strings.Contains(err.Error(), "holds the mail server's password") {
		t.Errorf("a file that others can read: %v", err)
	}
	secret := write(t, "password", "hunter2\n")
	c, err := loadConfig(write(t, "c.yaml", "public_url: https://h\n"), []string{"SALLYPORT_MAIL_HOST=h", "SALLYPORT_MAIL_FROM=a@example.com",
		"SALLYPORT_MAIL_USER=u", "SALLYPORT_MAIL_PASSWORD_FILE=" + secret})
	if err != nil || c.Mail.Password != "hunter2" || !c.Mail.on() {
		t.Errorf("%+v, %v", c, err)
	}
	c.Mail.CAFile = secret
	if _, err := c.senders(); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("a file without a certificate: %v", err)
	}
}

// letters is a mail server on this machine that takes everything.
type letters struct {
	mu   sync.Mutex
	list []string
}

func (l *letters) NewSession(*smtp.Conn) (smtp.Session, error) { return &letterSession{l: l}, nil }

func (l *letters) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.list, "\n")
}

type letterSession struct {
	l  *letters
	to string
}

func (s *letterSession) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *letterSession) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *letterSession) Reset()                                    {}
func (s *letterSession) Logout() error                             { return nil }
func (s *letterSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.l.list = append(s.l.list, s.to+"\n"+string(b))
	return err
}

// serveMail starts it and gives its port.
func serveMail(t *testing.T) (*letters, int) {
	t.Helper()
	l := &letters{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(l)
	s.Domain = "localhost"
	go s.Serve(ln)
	t.Cleanup(func() { s.Close() })
	return l, ln.Addr().(*net.TCPAddr).Port
}

// What the operator does from the command line waits in the outbox, and serve
// sends it. Without mail nothing waits.
func TestMailOfCommands(t *testing.T) {
	got, port := serveMail(t)
	dir := filepath.Join(t.TempDir(), "s")
	var out strings.Builder
	if code := run(t.Context(), []string{"init", "--dir", dir, "--company", "Acme", "--owner", "priya", "--email", "priya@acme.example", "--password-stdin"},
		nil, strings.NewReader("seven small lamps outside\n"), &out, &out); code != 0 {
		t.Fatal(out.String())
	}
	file := filepath.Join(dir, "sallyport.yaml")
	mail := []string{"SALLYPORT_MAIL_HOST=127.0.0.1", "SALLYPORT_MAIL_PORT=" + strconv.Itoa(port), "SALLYPORT_MAIL_TLS=none", "SALLYPORT_MAIL_FROM=no-reply@acme.example"}
	for _, env := range [][]string{nil, mail} {
		if code := run(t.Context(), []string{"user", "password", "priya", "--config", file, "--password-stdin"}, env, strings.NewReader("a quiet harbour at dusk\n"), &out, &out); code != 0 {
			t.Fatal(out.String())
		}
		c, err := loadConfig(file, env)
		if err != nil {
			t.Fatal(err)
		}
		if got := waiting(t, c); got != len(env)/4 {
			t.Errorf("%d letters wait with %v", got, env)
		}
	}
	c, err := loadConfig(file, mail)
	if err != nil {
		t.Fatal(err)
	}
	o, err := open(t.Context(), c, alone, silent)
	if err != nil {
		t.Fatal(err)
	}
	defer o.store.Close()
	senders, err := c.senders()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sallyport.New(sallyport.Config{Store: o.store, Methods: o.all, Passwords: o.passwords, Senders: senders, TextDrivers: o.drivers, Digits: code.Digits, PublicURL: c.PublicURL.String(), Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Notices.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := got.all(); !strings.Contains(text, "priya@acme.example\n") || !strings.Contains(text, "From: \"Acme\" <no-reply@acme.example>") {
		t.Errorf("sent: %s", text)
	}
}

func waiting(t *testing.T, c *config) int {
	t.Helper()
	o, err := open(t.Context(), c, beside, silent)
	if err != nil {
		t.Fatal(err)
	}
	defer o.store.Close()
	st, err := o.store.OutboxState(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return st.Waiting
}

func TestCheckMail(t *testing.T) {
	_, port := serveMail(t)
	steps, err := checkMail(t.Context(), &config{Mail: mailConfig{Host: "127.0.0.1", Port: port, TLS: "none", From: "a@example.com"}})
	if err != nil || len(steps) != 3 {
		t.Fatalf("%+v, %v", steps, err)
	}
	for _, s := range steps {
		if !s.OK || s.Text == "" || s.Took > mailTest {
			t.Errorf("%+v", s)
		}
	}
	if steps, err := checkMail(t.Context(), &config{}); steps != nil || err != nil {
		t.Errorf("without mail: %+v, %v", steps, err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	steps, err = checkMail(t.Context(), &config{Mail: mailConfig{Host: "127.0.0.1", Port: port, TLS: "none", From: "a@example.com"}})
	if err != nil || len(steps) != 1 || steps[0].OK || !strings.Contains(steps[0].Text, "Nobody answers") {
		t.Errorf("%+v, %v", steps, err)
	}
}
