package smtp

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// mailServer finds Exim, or skips (or, where SALLYPORT_TEST_REQUIRE lists
// "smtp", fails).
func mailServer(t *testing.T) string {
	t.Helper()
	required := slices.Contains(strings.FieldsFunc(os.Getenv("SALLYPORT_TEST_REQUIRE"), func(r rune) bool { return r == ',' || r == ' ' }), "smtp")
	for _, name := range []string{"exim4", "/usr/sbin/exim4", "exim", "/usr/sbin/exim"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	if required {
		t.Fatal("Exim is required (SALLYPORT_TEST_REQUIRE) but not installed: apt-get install --no-install-recommends exim4-daemon-light")
	}
	t.Skip("Exim is not installed: apt-get install --no-install-recommends exim4-daemon-light; nothing needs to be running")
	return ""
}

// eximConfig is a whole server: it takes mail for example.org from who signed in
// over TLS, and writes each letter to a file. %[1]s is its folder, %[2]s the user
// it runs as, %[3]s the group.
const eximConfig = `
primary_hostname = mail.example.org
exim_user = %[2]s
exim_group = %[3]s
never_users =
spool_directory = %[1]s/spool
log_file_path = %[1]s/log-%%s
pid_file_path = %[1]s/exim.pid
tls_certificate = %[1]s/cert.pem
tls_privatekey = %[1]s/key.pem
tls_advertise_hosts = *
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
smtputf8_advertise_hosts = *
host_lookup =
rfc1413_hosts =
daemon_smtp_ports = 0
acl_smtp_rcpt = check
acl_smtp_data = accept
keep_environment =
queue_only = false
smtp_accept_max_per_connection = 3
smtp_enforce_sync = true

begin acl
check:
  deny    !authenticated = *
          message = sign in first
  deny    local_parts = nobody
          message = no such person
  accept  domains = example.org

begin routers
all:
  driver = accept
  transport = file

begin transports
file:
  driver = appendfile
  directory = %[1]s/mail
  maildir_format
  create_directory
  user = %[2]s
  group = %[3]s
  initgroups = false

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{mailer}}{eq{$auth3}{secret-7YqK2}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{mailer}}{eq{$auth2}{secret-7YqK2}}}}
  server_set_id = $auth1
`

// serveExim starts Exim in a folder of its own and ends it with the test. It
// gives the port and the folder that letters appear in.
func serveExim(t *testing.T, ca *ca) (port int, letters string) {
	t.Helper()
	program := mailServer(t)
	dir, err := os.MkdirTemp("", "exim") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	uid, gid, name, group := eximUser(t)
	cert, key := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	for file, content := range map[string][]byte{"cert.pem": cert, "key.pem": key, "exim.conf": fmt.Appendf(nil, eximConfig, dir, name, group)} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"", "spool", "mail"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			if err := os.Chown(filepath.Join(dir, sub), uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	port = freePort(t)
	var out bytes.Buffer
	cmd := exec.Command(program, "-C", filepath.Join(dir, "exim.conf"), "-bdf", "-oX", fmt.Sprintf("127.0.0.1.%d", port))
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log-main"))
			t.Logf("Exim said:\n%s%s", &out, log)
		}
	})
	reach(t, port, ended, &out)
	return port, filepath.Join(dir, "mail", "new")
}

// eximUser is who the server runs as: Debian's user for it, or whoever runs the
// test.
func eximUser(t *testing.T) (uid, gid int, name, group string) {
	t.Helper()
	u, err := user.Current()
	if os.Getuid() == 0 {
		u, err = user.Lookup("Debian-exim")
	}
	if err != nil {
		t.Fatal(err)
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(u.Uid+" "+u.Gid, &uid, &gid); err != nil {
		t.Fatal(err)
	}
	return uid, gid, u.Username, g.Name
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// reach waits until the server listens.
func reach(t *testing.T, port int, ended <-chan error, out *bytes.Buffer) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("Exim ended: %v\n%s", err, out)
		case <-late:
			t.Fatalf("Exim does not listen: %v", err)
		case <-tick.C:
		}
	}
}

// deliveredTo waits until n letters are in the folder, and gives them.
func deliveredTo(t *testing.T, dir string, n int) (list [][]byte) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); ; {
		names, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(names) >= n {
			for _, name := range names {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, b)
			}
			return list
		}
		select {
		case <-late:
			t.Fatalf("%d of %d letters arrived", len(names), n)
		case <-tick.C:
		}
	}
}

// A real server takes the letter with STARTTLS and credentials, and what it
// delivers is what was written. It takes three letters for each connection, so
// that the fourth needs another.
func TestExim(t *testing.T) {
	ca := newCA(t)
	port, dir := serveExim(t, ca)
	s := sender(t, port, func(c *Config) {
		c.TLS, c.Username, c.Password, c.RootCAs, c.Timeout = StartTLS, "mailer", "secret-7YqK2", ca.pool, 20*time.Second
	})
	const n = 5
	for i := range n {
		m := letter(fmt.Sprintf("exim-%d", i))
		if i == 0 {
			m.To = "用户@example.org"
		}
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]bool{}
	for _, b := range deliveredTo(t, dir, n) {
		b = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) // maildir has the lines of Unix
		header, parts := read(t, b)
		ids[header.Get("Message-Id")] = true
		want := letter("")
		if decoded(t, header.Get("Subject")) != want.Subject || parts["text/plain"] != want.Text || parts["text/html"] != want.HTML {
			t.Errorf("arrived as %q %q", header, parts)
		}
		if got := header.Get("Return-Path"); got != "" && got != "<no-reply@example.com>" {
			t.Errorf("Return-Path %q", got)
		}
	}
	if len(ids) != n {
		t.Errorf("ids %v", ids)
	}
}

// The same server's refusals, step by step.
func TestEximProbe_S32(t *testing.T) {
	ca := newCA(t)
	port, _ := serveExim(t, ca)
	good := func(c *Config) {
		c.TLS, c.Username, c.Password, c.RootCAs, c.Timeout = StartTLS, "mailer", "secret-7YqK2", ca.pool, 20*time.Second
	}
	nobody := letter("x")
	nobody.To = "nobody@example.org"
	for name, test := range map[string]struct {
		change func(*Config)
		letter authn.Message
		want   string
	}{
		"plain":     {good, letter("a"), "connect true | encrypt true | sign_in true | accept true | content true"},
		"login":     {func(c *Config) { good(c); c.Auth = AuthLogin }, authn.Message{}, "connect true | encrypt true | sign_in true"},
		"password":  {func(c *Config) { good(c); c.Password = "wrong" }, authn.Message{}, "connect true | encrypt true | sign_in false bad_credentials"},
		"xoauth2":   {func(c *Config) { good(c); c.Auth = AuthXOAUTH2 }, authn.Message{}, "connect true | encrypt true | sign_in false auth_not_offered"},
		"recipient": {good, nobody, "connect true | encrypt true | sign_in true | accept false recipient_refused"},
		"authority": {func(c *Config) { good(c); c.RootCAs = newCA(t).pool }, authn.Message{}, "connect true | encrypt false certificate_unknown"},
		"name":      {func(c *Config) { good(c); c.Host = "localhost" }, authn.Message{}, "connect true | encrypt false certificate_name"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sender(t, port, test.change)
			if got := strings.TrimSpace(chain(s.Probe(t.Context(), test.letter))); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
