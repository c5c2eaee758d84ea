package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	wire "github.com/wneessen/go-mail/smtp"
)

// link is one connection to the server, used by one message at a time.
type link struct {
	s         *Sender
	raw       *meter // below TLS
	client    *wire.Client
	stop      func() bool // of the watch over ctx
	encrypted bool
	signedIn  bool
	begun     bool // MAIL FROM of this letter was accepted
	broken    bool // nothing more can be said on it
	used      time.Time
}

// stage is one step of the way, by the name that authn.SendError has for it.
type stage struct {
	name string
	do   func(context.Context) error
}

func (l *link) opening() []stage {
	return []stage{{"connect", l.connect}, {"encrypt", l.encrypt}, {"sign_in", l.signIn}}
}

// mostRead is what a server may say for one letter, certificates included
// (ruling 32).
const mostRead = 64 << 10

var errTooMuch = errors.New("the server said more than 64 KiB")

// meter counts what is read.
type meter struct {
	net.Conn
	left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errTooMuch
	}
	n, err := m.Conn.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}

// hold lets the connection live as long as ctx.
func (l *link) hold(ctx context.Context) {
	l.begun = false
	l.raw.left = mostRead
	deadline, _ := ctx.Deadline()
	l.raw.SetDeadline(deadline)
	l.stop = context.AfterFunc(ctx, func() { l.raw.SetDeadline(time.Unix(1, 0)) })
}

// release ends hold. A watch that has fired may set its deadline at any moment
// from now on: such a connection is not used again.
func (l *link) release() {
	if !l.stop() {
		l.broken = true
	}
	l.raw.SetDeadline(time.Time{})
}

func (l *link) connect(ctx context.Context) error {
	conn, err := l.s.c.Dialer(ctx, "tcp", net.JoinHostPort(l.s.c.Host, strconv.Itoa(l.s.c.Port)))
	if err != nil {
		return l.s.fail(ctx, "connect", Unreachable, err)
	}
	l.raw = &meter{Conn: conn}
	l.hold(ctx)
	if l.s.c.TLS == Implicit {
		return nil // the greeting comes encrypted
	}
	return l.greet(ctx, "connect", l.raw)
}

func (l *link) greet(ctx context.Context, stage string, conn net.Conn) (err error) {
	if l.client, err = wire.NewClient(conn, l.s.c.Host); err == nil {
		err = l.client.Hello(l.s.c.HELO)
	}
	if err != nil {
		return l.s.fail(ctx, stage, Unavailable, err)
	}
	return nil
}

func (l *link) encrypt(ctx context.Context) error {
	config := &tls.Config{ServerName: strings.TrimSuffix(l.s.c.Host, "."), RootCAs: l.s.c.RootCAs, MinVersion: tls.VersionTLS12}
	switch l.s.c.TLS {
	case Implicit:
		conn := tls.Client(l.raw, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			return l.s.fail(ctx, "encrypt", TLSFailed, err)
		}
		l.encrypted = true
		return l.greet(ctx, "encrypt", conn)
	case StartTLS:
		if ok, _ := l.client.Extension("STARTTLS"); !ok {
			return l.s.fail(ctx, "encrypt", NoStartTLS, nil)
		}
		if err := l.client.StartTLS(config); err != nil {
			return l.s.fail(ctx, "encrypt", TLSFailed, err)
		}
		l.encrypted = true
	case Plaintext:
		if !l.local() && !l.s.c.AllowPlaintext {
			return l.s.fail(ctx, "encrypt", NotEncrypted, nil)
		}
	}
	return nil
}

// local reports whether the other end is on this machine, whatever its name says.
func (l *link) local() bool {
	a, ok := l.raw.RemoteAddr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

func (l *link) signIn(ctx context.Context) error {
	if l.s.c.Auth == AuthNone {
		return nil
	}
	if !l.encrypted && !l.local() {
		return l.s.fail(ctx, "sign_in", NotEncrypted, nil)
	}
	auth := l.mechanism()
	if auth == nil {
		return l.s.fail(ctx, "sign_in", AuthNotOffered, nil)
	}
	if err := l.client.Auth(auth); err != nil {
		return l.s.fail(ctx, "sign_in", BadCredentials, err)
	}
	l.signedIn = true
	return nil
}

// mechanism picks what is configured from what is offered. Whether the
// connection may carry a password was decided before.
func (l *link) mechanism() wire.Auth {
	_, list := l.client.Extension("AUTH")
	offered := map[string]bool{}
	for _, name := range strings.Fields(strings.ToUpper(list)) {
		offered[name] = true
	}
	c := l.s.c
	switch {
	case offered["PLAIN"] && (c.Auth == AuthPlain || c.Auth == AuthAuto):
		return wire.PlainAuth("", c.Username, c.Password, c.Host, true)
	case offered["LOGIN"] && (c.Auth == AuthLogin || c.Auth == AuthAuto):
		return wire.LoginAuth(c.Username, c.Password, c.Host, true)
	case offered["XOAUTH2"] && c.Auth == AuthXOAUTH2:
		return wire.XOAuth2Auth(c.Username, c.Password)
	}
	return nil
}

// alive asks a kept connection whether it still is one, and forgets what the
// last letter left.
func (l *link) alive(ctx context.Context) bool {
	l.hold(ctx)
	err := l.client.Reset()
	l.release()
	return err == nil && !l.broken
}

// submit hands over one letter.
func (l *link) submit(ctx context.Context, e *envelope) error {
	if err := l.accept(ctx, e); err != nil {
		return err
	}
	return l.content(ctx, e)
}

// accept names sender and recipient.
func (l *link) accept(ctx context.Context, e *envelope) error {
	l.client.SkipSMTPUTF8(!e.utf8)
	if ok, _ := l.client.Extension("SMTPUTF8"); e.utf8 && !ok {
		return l.s.fail(ctx, "accept", NoUTF8, nil)
	}
	if err := l.client.Mail("<" + l.s.c.From + ">"); err != nil {
		return l.failed(ctx, "accept", SenderRefused, err)
	}
	l.begun = true
	if err := l.client.Rcpt("<" + e.to + ">"); err != nil {
		return l.failed(ctx, "accept", RecipientRefused, err)
	}
	return nil
}

// content sends the letter itself. Once the final dot is written, only the
// server knows whether it has the letter.
func (l *link) content(ctx context.Context, e *envelope) error {
	w, err := l.client.Data()
	if err != nil {
		return l.failed(ctx, "content", ContentRefused, err)
	}
	if _, err := w.Write(e.body); err != nil {
		return l.failed(ctx, "content", Dropped, err)
	}
	if err := w.Close(); err != nil {
		if p := (*textproto.Error)(nil); !errors.As(err, &p) {
			l.broken = true
			return l.s.fail(ctx, "accept", AnswerUnknown, err)
		}
		return l.failed(ctx, "content", ContentRefused, err)
	}
	return nil
}

// failed is fail, and notes whether the connection survives it: only an answer
// other than 421 ("closing") leaves it in a known state.
func (l *link) failed(ctx context.Context, stage string, reason Reason, err error) error {
	p := (*textproto.Error)(nil)
	l.broken = !errors.As(err, &p) || p.Code == 421
	return l.s.fail(ctx, stage, reason, err)
}

// close ends the connection without a word.
func (l *link) close() {
	if l.raw == nil {
		return
	}
	l.stop()
	l.raw.Close()
}

// quit takes leave, within a second.
func (l *link) quit() {
	l.raw.left = mostRead
	l.raw.SetDeadline(time.Now().Add(time.Second))
	_ = l.client.Quit() // nothing depends on the answer
	l.raw.Close()
}
