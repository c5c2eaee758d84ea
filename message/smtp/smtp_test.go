package smtp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/egress"
)

// Every way to encrypt with every way to sign in delivers, with the mechanism
// that was asked for.
func TestSendModes(t *testing.T) {
	ca := newCA(t)
	config := ca.config(t, "127.0.0.1", time.Now().Add(time.Hour))
	tests := []struct {
		auth    Auth
		offered []string
		want    string
	}{
		{AuthPlain, []string{"LOGIN", "PLAIN"}, "PLAIN"},
		{AuthLogin, []string{"PLAIN", "LOGIN"}, "LOGIN"},
		{AuthXOAUTH2, []string{"PLAIN", "XOAUTH2"}, "XOAUTH2"},
		{AuthAuto, []string{"LOGIN", "PLAIN"}, "PLAIN"},
		{AuthAuto, []string{"XOAUTH2", "LOGIN"}, "LOGIN"},
		{AuthNone, nil, ""},
	}
	for _, mode := range []TLS{StartTLS, Implicit, Plaintext} {
		for _, test := range tests {
			t.Run(fmt.Sprint(mode, test.auth, test.offered), func(t *testing.T) {
				tlsConfig := config
				if mode == Plaintext {
					tlsConfig = nil
				}
				box := serveMailbox(t, tlsConfig, mode == Implicit, test.offered...)
				s := sender(t, box.port(), func(c *Config) {
					c.TLS, c.Auth, c.Username, c.Password, c.RootCAs = mode, test.auth, userName, password, ca.pool
				})
				if err := s.Send(t.Context(), letter("a1")); err != nil {
					t.Fatal(err)
				}
				if got := box.letters(); len(got) != 1 || got[0].to != "maya@example.org" || got[0].from != "no-reply@example.com" {
					t.Fatalf("delivered %+v", got)
				}
				if test.want != "" && !slices.Equal(box.used, []string{test.want}) {
					t.Errorf("signed in with %q, want %q", box.used, test.want)
				}
			})
		}
	}
}

// A burst uses one connection.
func TestReuse(t *testing.T) {
	box := serveMailbox(t, nil, false)
	s := sender(t, box.port(), nil)
	for i := range 20 {
		if err := s.Send(t.Context(), letter(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := box.count(); n != 1 || len(box.letters()) != 20 {
		t.Errorf("%d letters over %d connections, want 20 over 1", len(box.letters()), n)
	}
	// A refused letter does not cost the connection, and leaves nothing in it.
	bad := letter("x")
	bad.To = "nobody@example.org"
	checkFailure(t, s.Send(t.Context(), bad), "accept", RecipientRefused, true)
	if err := s.Send(t.Context(), letter("y")); err != nil || box.count() != 1 {
		t.Errorf("%v, %d connections", err, box.count())
	}
}

// A kept connection is not used beyond its time, by the configured clock.
func TestReuseEnds(t *testing.T) {
	var minutes atomic.Int64
	start := time.Now()
	box := serveMailbox(t, nil, false)
	s := sender(t, box.port(), func(c *Config) {
		c.Now = func() time.Time { return start.Add(time.Duration(minutes.Load()) * time.Minute) }
	})
	for i, want := range []int{1, 1, 2, 2, 3} {
		if i == 2 || i == 4 {
			minutes.Add(1)
		}
		if err := s.Send(t.Context(), letter(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		if n := box.count(); n != want {
			t.Errorf("letter %d: %d connections, want %d", i, n, want)
		}
	}
	never := sender(t, box.port(), func(c *Config) { c.Idle = -1 })
	for i := range 2 {
		if err := never.Send(t.Context(), letter(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := box.count(); n != 5 {
		t.Errorf("%d connections, want 5", n)
	}
}

// A kept connection that died meanwhile is replaced without a word.
func TestReconnect(t *testing.T) {
	box := serveMailbox(t, nil, false)
	s := sender(t, box.port(), nil)
	for i := range 5 {
		if err := s.Send(t.Context(), letter(strconv.Itoa(i))); err != nil {
			t.Fatalf("letter %d: %v", i, err)
		}
		box.hangUp()
	}
	if n := box.count(); n != 5 || len(box.letters()) != 5 {
		t.Errorf("%d letters over %d connections, want 5 over 5", len(box.letters()), n)
	}
}

// A server that answers RSET and hangs up, or says 421, at the second MAIL gets a
// new connection, once.
func TestReconnectAtMail(t *testing.T) {
	for _, end := range []string{"", "421 4.7.0 too many letters on one connection\r\n"} {
		var visits atomic.Int64
		l := listen(t)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				visits.Add(1)
				go func() {
					defer conn.Close()
					serveOne(conn, end)
				}()
			}
		}()
		s := sender(t, l.port(), nil)
		for i := range 3 {
			if err := s.Send(t.Context(), letter(strconv.Itoa(i))); err != nil {
				t.Fatalf("%q, letter %d: %v", end, i, err)
			}
		}
		if n := visits.Load(); n != 3 {
			t.Errorf("%q: %d connections, want 3", end, n)
		}
	}
}

// serveOne takes one letter, and ends at the second MAIL with the words given.
func serveOne(conn net.Conn, end string) {
	s := &script{do: map[string]string{}}
	pipe, there := net.Pipe()
	defer pipe.Close()
	go func() {
		defer there.Close()
		_ = s.talk(there)
	}()
	go io.Copy(conn, pipe)
	seen := 0
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if seen += strings.Count(string(buf[:n]), "MAIL FROM"); seen > 1 {
			io.WriteString(conn, end)
			return
		}
		if _, err := pipe.Write(buf[:n]); err != nil {
			return
		}
	}
}

// After the final dot nothing is sent again: the letter may have arrived.
func TestAnswerUnknown(t *testing.T) {
	for _, how := range []string{"drop", "stall", "nonsense\r\n"} {
		t.Run(how, func(t *testing.T) {
			srv := serveScript(t, nil, map[string]string{".": how})
			s := sender(t, srv.port(), func(c *Config) { c.Timeout = 400 * time.Millisecond })
			checkFailure(t, s.Send(t.Context(), letter("a")), "accept", AnswerUnknown, false)
			if n := strings.Count(srv.heard(), "MAIL FROM"); n != 1 || srv.count() != 1 {
				t.Errorf("sent %d times over %d connections", n, srv.count())
			}
		})
	}
}

func TestConcurrent(t *testing.T) {
	box := serveMailbox(t, nil, false)
	s := sender(t, box.port(), func(c *Config) { c.Connections, c.Timeout = 2, 20*time.Second })
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			if err := s.Send(context.Background(), letter(strconv.Itoa(i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ids := map[string]bool{}
	for _, d := range box.letters() {
		ids[string(d.body)] = true
	}
	if len(ids) != 24 {
		t.Errorf("%d different letters, want 24", len(ids))
	}
}

// The connections are bounded: who waits for one too long is told so.
func TestConnectionsBounded(t *testing.T) {
	srv := serveScript(t, nil, map[string]string{"MAIL": "stall"})
	s := sender(t, srv.port(), func(c *Config) { c.Connections, c.Timeout = 1, 300*time.Millisecond })
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			err := s.Send(context.Background(), letter(strconv.Itoa(i)))
			if !errors.Is(err, Timeout) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
}

func TestClosed(t *testing.T) {
	box := serveMailbox(t, nil, false)
	s := sender(t, box.port(), nil)
	if err := s.Send(t.Context(), letter("a")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkFailure(t, s.Send(t.Context(), letter("b")), "connect", Closed, false)
}

func TestCancelled(t *testing.T) {
	srv := serveScript(t, nil, map[string]string{"RCPT": "stall"})
	s := sender(t, srv.port(), func(c *Config) { c.Timeout = time.Minute })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	checkFailure(t, s.Send(ctx, letter("a")), "accept", Timeout, false)
}

// cve: without an offer of STARTTLS neither name nor password nor letter is sent,
// and what is said before the handshake counts for nothing.
func TestNoPlaintext(t *testing.T) {
	ca := newCA(t)
	good := ca.config(t, "127.0.0.1", time.Now().Add(time.Hour))
	tests := map[string]struct {
		tls    bool
		do     map[string]string
		stage  string
		reason Reason
	}{
		"not offered":       {do: map[string]string{"EHLO": "250-mail.example.com\r\n250 AUTH PLAIN LOGIN\r\n"}, stage: "encrypt", reason: NoStartTLS},
		"HELO only":         {do: map[string]string{"EHLO": "502 what?\r\n"}, stage: "encrypt", reason: NoStartTLS},
		"offered, refused":  {do: map[string]string{"STARTTLS": "454 4.7.0 no TLS today\r\n"}, stage: "encrypt", reason: Deferred},
		"offered, denied":   {do: map[string]string{"STARTTLS": "502 5.5.1 what?\r\n"}, stage: "encrypt", reason: TLSFailed},
		"offered, garbage":  {tls: true, do: map[string]string{"handshake": "\x00\x01garbage that is no handshake\r\n"}, stage: "encrypt", reason: TLSFailed},
		"offered, SMTP":     {tls: true, do: map[string]string{"handshake": "250 2.0.0 go on in plain text\r\n"}, stage: "encrypt", reason: TLSFailed},
		"offered, drops":    {tls: true, do: map[string]string{"handshake": "drop"}, stage: "encrypt", reason: Dropped},
		"answer injected":   {tls: true, do: map[string]string{"STARTTLS": "220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n", "AUTH": "535 5.7.8 no\r\n"}, stage: "sign_in", reason: BadCredentials},
		"wrong name":        {stage: "encrypt", reason: CertificateName},
		"unknown authority": {stage: "encrypt", reason: CertificateUnknown},
		"expired":           {stage: "encrypt", reason: CertificateInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config, pool := good, ca.pool
			switch name {
			case "wrong name":
				config = ca.config(t, "other.example.com", time.Now().Add(time.Hour))
			case "unknown authority":
				pool = newCA(t).pool
			case "expired":
				config = ca.config(t, "127.0.0.1", time.Now().Add(-time.Hour))
			}
			srv := serveScript(t, config, test.do)
			s := sender(t, srv.port(), func(c *Config) {
				c.TLS, c.Username, c.Password, c.RootCAs = StartTLS, userName, password, pool
			})
			checkFailure(t, s.Send(t.Context(), letter("a")), test.stage, test.reason, false)
			if heard := srv.heard(); test.stage == "encrypt" && (strings.Contains(heard, "AUTH") || strings.Contains(heard, "MAIL")) {
				t.Errorf("said in plain text:\n%s", heard)
			}
			steps := s.Probe(t.Context(), authn.Message{})
			if last := steps[len(steps)-1]; last.Stage != test.stage || last.OK || last.Detail != test.reason {
				t.Errorf("Probe: %+v", steps)
			}
			if strings.HasPrefix(string(test.reason), "certificate") && steps[len(steps)-1].Reply == "" {
				t.Error("Probe says nothing about the certificate")
			}
		})
	}
}

// A server of the wrong kind on the port is named as that.
func TestWrongMode(t *testing.T) {
	srv := serveScript(t, nil, nil)
	s := sender(t, srv.port(), func(c *Config) { c.TLS = Implicit })
	checkFailure(t, s.Send(t.Context(), letter("a")), "encrypt", TLSMode, false)
}

// A server that falls silent anywhere is given up within the time limit.
func TestStalls(t *testing.T) {
	ca := newCA(t)
	config := ca.config(t, "127.0.0.1", time.Now().Add(time.Hour))
	const limit = 400 * time.Millisecond
	for at, want := range map[string]struct {
		mode   TLS
		stage  string
		reason Reason
	}{
		"connect":   {Plaintext, "connect", Timeout},
		"EHLO":      {Plaintext, "connect", Timeout},
		"STARTTLS":  {StartTLS, "encrypt", Timeout},
		"handshake": {StartTLS, "encrypt", Timeout},
		"implicit":  {Implicit, "encrypt", Timeout},
		"AUTH":      {Plaintext, "sign_in", Timeout},
		"MAIL":      {Plaintext, "accept", Timeout},
		"RCPT":      {Plaintext, "accept", Timeout},
		"DATA":      {Plaintext, "content", Timeout},
		".":         {Plaintext, "accept", AnswerUnknown},
	} {
		t.Run(at, func(t *testing.T) {
			do := map[string]string{at: "stall"}
			if at == "implicit" {
				do = map[string]string{"connect": "stall"}
			}
			srv := serveScript(t, config, do)
			s := sender(t, srv.port(), func(c *Config) {
				c.TLS, c.Username, c.Password, c.RootCAs, c.Timeout = want.mode, userName, password, ca.pool, limit
			})
			began := time.Now()
			checkFailure(t, s.Send(t.Context(), letter("a")), want.stage, want.reason, false)
			if took := time.Since(began); took < limit/2 || took > 10*limit {
				t.Errorf("took %s with a limit of %s", took, limit)
			}
		})
	}
}

// Refusals and lies at every stage, and what they mean for the letter.
func TestRefusals(t *testing.T) {
	long := "550 5.7.1 " + strings.Repeat("ü", 2000)
	for name, test := range map[string]struct {
		do        map[string]string
		stage     string
		reason    Reason
		permanent bool
		code      string
	}{
		"greeting 554":     {map[string]string{"connect": "554 5.3.2 go away\r\n"}, "connect", Unavailable, false, "554 5.3.2"},
		"greeting 421":     {map[string]string{"connect": "421 4.3.2 busy\r\n"}, "connect", Deferred, false, "421 4.3.2"},
		"greeting HTTP":    {map[string]string{"connect": "HTTP/1.1 400 Bad Request\r\n"}, "connect", BadReply, false, ""},
		"greeting drops":   {map[string]string{"connect": "drop"}, "connect", Dropped, false, ""},
		"greeting endless": {map[string]string{"connect": strings.Repeat("220-"+strings.Repeat("x", 900)+"\r\n", 200)}, "connect", TooMuch, false, ""},
		"one endless line": {map[string]string{"connect": "220 " + strings.Repeat("x", 200_000)}, "connect", TooMuch, false, ""},
		"auth 535":         {map[string]string{"AUTH": "535 5.7.8 wrong\r\n"}, "sign_in", BadCredentials, false, "535 5.7.8"},
		"auth 454":         {map[string]string{"AUTH": "454 4.7.0 later\r\n"}, "sign_in", Deferred, false, "454 4.7.0"},
		"auth 504":         {map[string]string{"AUTH": "504 5.5.4 unknown mechanism\r\n"}, "sign_in", AuthNotOffered, false, "504 5.5.4"},
		"auth not offered": {map[string]string{"EHLO": "250 mail.example.com\r\n"}, "sign_in", AuthNotOffered, false, ""},
		"auth other":       {map[string]string{"EHLO": "250-mail.example.com\r\n250 AUTH GSSAPI NTLM\r\n"}, "sign_in", AuthNotOffered, false, ""},
		"mail 550":         {map[string]string{"MAIL": "550 5.7.1 sender not yours\r\n"}, "accept", SenderRefused, false, "550 5.7.1"},
		"mail 451":         {map[string]string{"MAIL": "451 4.3.0 later\r\n"}, "accept", Deferred, false, "451 4.3.0"},
		"mail 530":         {map[string]string{"MAIL": "530 5.7.0 sign in first\r\n"}, "sign_in", BadCredentials, false, "530 5.7.0"},
		"mail 250x":        {map[string]string{"MAIL": "nonsense\r\n"}, "accept", BadReply, false, ""},
		"mail 354":         {map[string]string{"MAIL": "354 what\r\n"}, "accept", BadReply, false, "354"},
		"mail drops":       {map[string]string{"MAIL": "drop"}, "accept", Dropped, false, ""},
		"rcpt 550":         {map[string]string{"RCPT": "550-5.1.1 no such\r\n550 5.1.1 person\r\n"}, "accept", RecipientRefused, true, "550 5.1.1"},
		"rcpt 550 plain":   {map[string]string{"RCPT": "550 no such person\r\n"}, "accept", RecipientRefused, true, "550"},
		"rcpt 450":         {map[string]string{"RCPT": "450 4.2.0 greylisted\r\n"}, "accept", Deferred, false, "450 4.2.0"},
		"rcpt long":        {map[string]string{"RCPT": long + "\r\n"}, "accept", RecipientRefused, true, "550 5.7.1"},
		"rcpt hostile":     {map[string]string{"RCPT": "550 5.1.1 \x1b[31m\xff\u202e\x00 evil\r\n"}, "accept", RecipientRefused, true, "550 5.1.1"},
		"rcpt 421":         {map[string]string{"RCPT": "421 4.4.2 bye\r\n"}, "accept", Deferred, false, "421 4.4.2"},
		"data 554":         {map[string]string{"DATA": "554 5.5.1 no valid recipients\r\n"}, "content", ContentRefused, true, "554 5.5.1"},
		"data drops":       {map[string]string{"DATA": "drop"}, "content", Dropped, false, ""},
		"dot 550":          {map[string]string{".": "550 5.7.1 looks like spam\r\n"}, "content", ContentRefused, true, "550 5.7.1"},
		"dot 552":          {map[string]string{".": "552 5.2.2 mailbox full\r\n"}, "content", ContentRefused, true, "552 5.2.2"},
		"dot 451":          {map[string]string{".": "451 4.3.0 later\r\n"}, "content", Deferred, false, "451 4.3.0"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serveScript(t, nil, test.do)
			s := sender(t, srv.port(), func(c *Config) { c.Username, c.Password = userName, password })
			e := checkFailure(t, s.Send(t.Context(), letter("a")), test.stage, test.reason, test.permanent)
			if e.Code != test.code {
				t.Errorf("code %q, want %q", e.Code, test.code)
			}
			if (e.Reply != "") != (test.code != "") {
				t.Errorf("reply %q", e.Reply)
			}
			checkWords(t, e.Reply)
			checkWords(t, e.Error())
		})
	}
}

func checkWords(t *testing.T, words string) {
	t.Helper()
	if len(words) > mostReply+60 || !utf8.ValidString(words) || strings.ContainsAny(words, "\r\n\x00\x1b\u202e") {
		t.Errorf("%d bytes: %q", len(words), words)
	}
}

// A server that hangs up in the middle of a long letter has not got it.
func TestDropsMidway(t *testing.T) {
	srv := serveScript(t, nil, map[string]string{"body": "drop"})
	s := sender(t, srv.port(), nil)
	m := letter("a")
	m.HTML = strings.Repeat("<p>long</p>\n", 1_000_000)
	err := s.Send(t.Context(), m)
	e := (*authn.SendError)(nil)
	if !errors.As(err, &e) || e.Permanent || e.Stage != "content" || !errors.Is(err, Dropped) {
		t.Errorf("got %v", err)
	}
}

// A server that repeats the password, as it is or as it was sent, does not get it
// into what owners see or what is logged.
func TestPasswordIsNotRepeated(t *testing.T) {
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + userName + "\x00" + password))
	for _, said := range []string{password, plain, base64.StdEncoding.EncodeToString([]byte(password)), strings.Repeat("x", mostReply-12) + password} {
		srv := serveScript(t, nil, map[string]string{"AUTH": "535 5.7.8 " + said + " is wrong\r\n"})
		s := sender(t, srv.port(), func(c *Config) { c.Username, c.Password = userName, password })
		e := checkFailure(t, s.Send(t.Context(), letter("a")), "sign_in", BadCredentials, false)
		steps := fmt.Sprintf("%+v", s.Probe(t.Context(), authn.Message{}))
		for _, words := range []string{e.Reply, e.Error(), fmt.Sprintf("%+v %v", e, e.Err), steps} {
			if strings.Contains(words, password) || strings.Contains(words, plain) || strings.Contains(words, "pässword") || strings.Contains(words, said) {
				t.Errorf("repeated: %q", words)
			}
		}
	}
	var log strings.Builder
	c := Config{Host: "mail.example.com", Port: 587, Username: userName, Password: password}
	slog.New(slog.NewTextHandler(&log, nil)).Info("settings", "smtp", c)
	if all := fmt.Sprintf("%v %+v %#v %s", c, c, c, log.String()); strings.Contains(all, password) || !strings.Contains(all, "mail.example.com:587") {
		t.Errorf("printed: %s", all)
	}
}

func TestNetworkReasons(t *testing.T) {
	l := listen(t)
	free := l.port()
	l.Close()
	guard, err := egress.New(egress.Config{Ports: []int{free}})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*Config)
		reason Reason
	}{
		"refused": {func(*Config) {}, Refused},
		"dns":     {func(c *Config) { c.Dialer = dials(&net.DNSError{Err: "no such host", Name: "mail", IsNotFound: true}) }, DNS},
		"guard":   {func(c *Config) { c.Dialer = guard.DialContext }, Forbidden},
		"other":   {func(c *Config) { c.Dialer = dials(errors.New("network is down")) }, Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			s := sender(t, free, test.change)
			checkFailure(t, s.Send(t.Context(), letter("a")), "connect", test.reason, false)
			if steps := s.Probe(t.Context(), letter("a")); len(steps) != 1 || steps[0].Detail != test.reason {
				t.Errorf("Probe: %+v", steps)
			}
		})
	}
}

func dials(err error) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return nil, err }
}

// A host that calls itself this machine and is not gets no unencrypted word, also
// if a dialer led there.
func TestLocalIsChecked(t *testing.T) {
	srv := serveScript(t, nil, nil)
	elsewhere := func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, srv.Addr().String())
		return &far{conn}, err
	}
	s := sender(t, srv.port(), func(c *Config) { c.Host, c.Dialer, c.Username, c.Password = "localhost", elsewhere, userName, password })
	checkFailure(t, s.Send(t.Context(), letter("a")), "encrypt", NotEncrypted, false)
	s = sender(t, srv.port(), func(c *Config) {
		c.Host, c.Dialer, c.Username, c.Password, c.AllowPlaintext = "localhost", elsewhere, userName, password, true
	})
	checkFailure(t, s.Send(t.Context(), letter("a")), "sign_in", NotEncrypted, false)
	if heard := srv.heard(); strings.Contains(heard, "AUTH") || strings.Contains(heard, "MAIL") {
		t.Errorf("said:\n%s", heard)
	}
}

// far is a connection to another machine.
type far struct{ net.Conn }

func (*far) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25} }

func TestNewRefuses(t *testing.T) {
	good := Config{Host: "mail.example.com", From: "no-reply@example.com"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no host":            func(c *Config) { c.Host = "" },
		"scheme":             func(c *Config) { c.Host = "smtp://mail.example.com" },
		"host and port":      func(c *Config) { c.Host = "mail.example.com:587" },
		"host injects":       func(c *Config) { c.Host = "mail.example.com\r\nX" },
		"zone":               func(c *Config) { c.Host = "fe80::1%eth0" },
		"port":               func(c *Config) { c.Port = 70000 },
		"no from":            func(c *Config) { c.From = "" },
		"from with name":     func(c *Config) { c.From = "Acme <no-reply@example.com>" },
		"from not ASCII":     func(c *Config) { c.From = "no-reply@exämple.com" },
		"reply-to":           func(c *Config) { c.ReplyTo = "a@example.com, b@example.com" },
		"helo injects":       func(c *Config) { c.HELO = "x\r\nMAIL FROM:<a@b>" },
		"tls":                func(c *Config) { c.TLS = "ssl" },
		"plaintext":          func(c *Config) { c.TLS = Plaintext },
		"plaintext password": func(c *Config) { c.TLS, c.AllowPlaintext, c.Username, c.Password = Plaintext, true, "u", "p" },
		"auth":               func(c *Config) { c.Auth, c.Username, c.Password = "ntlm", "u", "p" },
		"no password":        func(c *Config) { c.Username = "u" },
		"no user":            func(c *Config) { c.Auth, c.Password = AuthPlain, "p" },
		"control character":  func(c *Config) { c.Username, c.Password = "u\x00", "p" },
		"timeout":            func(c *Config) { c.Timeout = -1 },
		"connections":        func(c *Config) { c.Connections = -1 },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for _, test := range []struct {
		c    Config
		port int
		tls  TLS
	}{
		{Config{}, 587, StartTLS}, {Config{Port: 465}, 465, Implicit}, {Config{TLS: Implicit}, 465, Implicit},
		{Config{Port: 25}, 25, StartTLS}, {Config{Port: 465, TLS: StartTLS}, 465, StartTLS},
	} {
		test.c.Host, test.c.From = good.Host, good.From
		s, err := New(test.c)
		if err != nil {
			t.Fatal(err)
		}
		if s.c.Port != test.port || s.c.TLS != test.tls || s.c.HELO != "example.com" || s.c.Timeout != 5*time.Second {
			t.Errorf("%+v: %d %s", test.c, s.c.Port, s.c.TLS)
		}
	}
}
