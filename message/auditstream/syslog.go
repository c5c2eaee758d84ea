package auditstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// SyslogPort is that of syslog over TLS (RFC 5425 section 4.1).
const SyslogPort = 6514

// Syslog sends over TLS. It is safe for concurrent use.
type Syslog struct {
	// Dial connects; internal/egress has one. It is needed.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Allowed says what is wrong with a target before it is dialled; nil: nothing is.
	Allowed func(host string, port int) error
	// Name is the host that messages come from, such as that of the public address.
	Name string
	// Roots issue the certificates of receivers for whom a company names none; nil:
	// those that the system trusts.
	Roots *x509.CertPool
}

var _ authn.StreamSender = (*Syslog)(nil)

// Check: host is needed; port is 1 to 65535; ca, if there is one, is PEM; so are
// certificate and key, and they belong to each other.
func (s *Syslog) Check(to authn.StreamSettings) []authn.Field {
	var f []authn.Field
	switch {
	case to.Host == "":
		f = append(f, authn.Field{Name: "host", Code: "required"})
	case !isHost(to.Host):
		f = append(f, authn.Field{Name: "host", Code: "invalid"})
	case s.Allowed != nil && s.Allowed(to.Host, to.Port) != nil:
		f = append(f, authn.Field{Name: "host", Code: "not_allowed", Key: "field.target_not_allowed"})
	}
	if to.Port < 1 || to.Port > 65535 {
		f = append(f, authn.Field{Name: "port", Code: "invalid"})
	}
	if to.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(to.CA)) {
		f = append(f, authn.Field{Name: "ca", Code: "invalid"})
	}
	return append(f, checkPair(to)...)
}

// checkPair wants both of certificate and key, of each other, or neither. Keys under
// a passphrase are not read.
func checkPair(to authn.StreamSettings) []authn.Field {
	switch {
	case to.Certificate == "" && to.Secret == "":
		return nil
	case to.Certificate == "":
		return []authn.Field{{Name: "certificate", Code: "required"}}
	case !x509.NewCertPool().AppendCertsFromPEM([]byte(to.Certificate)):
		return []authn.Field{{Name: "certificate", Code: "invalid"}}
	case to.Secret == "":
		return []authn.Field{{Name: "key", Code: "required"}}
	}
	if _, err := tls.X509KeyPair([]byte(to.Certificate), []byte(to.Secret)); err != nil {
		return []authn.Field{{Name: "key", Code: "invalid", Key: "field.key_of_certificate"}}
	}
	return nil
}

// isHost reports an address, or a name in ASCII.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return len(s) <= 253 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" && !strings.HasPrefix(s, ".") && !strings.HasPrefix(s, "-") && !strings.Contains(s, "..")
}

// Send is one connection.
func (s *Syslog) Send(ctx context.Context, to authn.StreamSettings, b authn.StreamBatch) error {
	raw, err := s.Dial(ctx, "tcp", net.JoinHostPort(to.Host, strconv.Itoa(to.Port)))
	if err != nil {
		return failure("connect", err)
	}
	defer raw.Close()
	// Whatever happens, not for longer than the caller wants.
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	roots := s.Roots
	if to.CA != "" {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(to.CA)) {
			return failure("encrypt", errors.New("no certificates"))
		}
	}
	config := &tls.Config{ServerName: to.Host, MinVersion: tls.VersionTLS12, RootCAs: roots}
	if to.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(to.Certificate), []byte(to.Secret))
		if err != nil {
			return failure("encrypt", errors.New("no key of the certificate")) // err may say too much
		}
		config.Certificates = []tls.Certificate{pair}
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return failure("encrypt", err)
	}
	w := bufio.NewWriter(conn)
	for _, l := range b.Lines {
		m := s.message(l)
		w.WriteString(strconv.Itoa(len(m)) + " " + m) // the error stays, and comes with Flush
	}
	if err := w.Flush(); err != nil {
		return failure("accept", err)
	}
	if err := conn.CloseWrite(); err != nil {
		return failure("accept", err)
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // for receivers that look for nothing else
	}
	// The receiver closes when it has read everything.
	if _, err := io.Copy(io.Discard, io.LimitReader(conn, 64<<10)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return failure("accept", err)
	}
	return nil
}

// message is one of RFC 5424.
func (s *Syslog) message(l authn.StreamLine) string {
	const audit = 13 * 8 // facility
	severity := 6
	if l.Result == authn.Refused {
		severity = 4
	}
	return "<" + strconv.Itoa(audit+severity) + ">1 " + l.At.UTC().Format("2006-01-02T15:04:05.000000Z") + " " + word(s.Name, 255) + " sallyport - " + word(l.Type, 32) +
		" - " + ascii(bytes.TrimSpace(l.JSON))
}

// word is a field of a header: printable ASCII, bounded, "-" for nothing.
func word(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}
