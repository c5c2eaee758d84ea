package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Reason is why something did not work, in a word that never changes and that a
// page can translate. It is the cause in an *authn.SendError: errors.Is(err,
// smtp.NoStartTLS), or errors.As for whichever it is.
type Reason string

// The reasons, in the order in which they can come up.
const (
	AddressInvalid Reason = "address_invalid" // ours: To is no e-mail address; nothing was sent
	MessageInvalid Reason = "message_invalid" // ours: not for this channel, or without an id
	Closed         Reason = "closed"          // ours: the sender was closed

	DNS         Reason = "dns"             // the host has no address
	Forbidden   Reason = "address_refused" // the operator does not allow this host or port
	Refused     Reason = "refused"         // nobody listens there
	Unreachable Reason = "unreachable"
	Timeout     Reason = "timeout"     // at any stage
	Dropped     Reason = "dropped"     // the server hung up, at any stage
	BadReply    Reason = "bad_reply"   // not SMTP, at any stage
	TooMuch     Reason = "too_much"    // more than 64 KiB of answers
	Unavailable Reason = "unavailable" // a server that greets with a refusal

	NoStartTLS         Reason = "no_starttls"
	TLSMode            Reason = "tls_mode" // plain SMTP where TLS was expected: use starttls
	TLSFailed          Reason = "tls_failed"
	CertificateName    Reason = "certificate_name"    // of another host
	CertificateUnknown Reason = "certificate_unknown" // issued by nobody we know
	CertificateInvalid Reason = "certificate_invalid" // expired, or not for servers
	NotEncrypted       Reason = "not_encrypted"       // and therefore refused; in a Step that is OK, only told

	AuthNotOffered Reason = "auth_not_offered"
	BadCredentials Reason = "bad_credentials"
	NotNeeded      Reason = "not_needed" // in a Step that is OK: no user name is configured

	SenderRefused    Reason = "sender_refused"
	RecipientRefused Reason = "recipient_refused"
	NoUTF8           Reason = "utf8_not_offered" // the address is not ASCII and the server has no SMTPUTF8
	ContentRefused   Reason = "content_refused"
	Deferred         Reason = "deferred"       // a 4xx answer, at any stage: later it may work
	AnswerUnknown    Reason = "answer_unknown" // after the final dot: it may have been delivered
)

// Error is the word itself.
func (r Reason) Error() string { return string(r) }

// failure is a Reason with what led to it, made fit for a log.
type failure struct {
	reason Reason
	text   string
	err    error // nil where it holds a server's raw words
}

func (f *failure) Error() string { return string(f.reason) + ": " + f.text }

func (f *failure) Unwrap() []error {
	if f.err == nil {
		return []error{f.reason}
	}
	return []error{f.reason, f.err}
}

// fail describes err, which happened at stage. reason is what a refusal by the
// server means there, or any error that nothing more exact is known of.
func (s *Sender) fail(ctx context.Context, stage string, reason Reason, err error) error {
	if err == nil {
		return &authn.SendError{Stage: stage, Permanent: reason == NoUTF8, Err: reason}
	}
	if p := (*textproto.Error)(nil); errors.As(err, &p) {
		return s.refusal(stage, reason, p)
	}
	e := &authn.SendError{Stage: stage}
	cause := &failure{reason: reason, text: s.printable(err.Error()), err: err}
	if reason != AnswerUnknown {
		cause.reason = classify(ctx, reason, err)
	}
	switch cause.reason {
	case CertificateName, CertificateUnknown, CertificateInvalid:
		e.Reply = cause.text // names and dates of the certificate
	case BadReply:
		cause.err = nil
	}
	e.Err = cause
	return e
}

// refusal is an answer of the server. Only a 5xx about the recipient or the
// letter cannot change by itself or by mending the settings.
func (s *Sender) refusal(stage string, reason Reason, p *textproto.Error) error {
	e := &authn.SendError{Stage: stage, Code: code(p), Reply: s.printable(fmt.Sprintf("%03d %s", p.Code, p.Msg))}
	switch {
	case p.Code < 400 || p.Code > 599:
		reason = BadReply
	case p.Code < 500:
		reason = Deferred
	case p.Code == 530, p.Code == 535, p.Code == 538:
		if reason != BadCredentials {
			e.Stage, reason = "sign_in", BadCredentials // asked for late
		}
	case p.Code == 504 && reason == BadCredentials:
		reason = AuthNotOffered
	default:
		e.Permanent = reason == RecipientRefused || reason == ContentRefused
	}
	e.Err = reason
	return e
}

var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// code is such as "550 5.1.1", or "550" from a server without the second kind.
func code(p *textproto.Error) string {
	return strings.TrimSpace(fmt.Sprintf("%03d %s", p.Code, enhanced.FindString(p.Msg)))
}

// classify finds what a local or network error means.
func classify(ctx context.Context, reason Reason, err error) Reason {
	if r := certificate(err); r != "" {
		return r
	}
	var (
		name   *net.DNSError
		record tls.RecordHeaderError
		proto  textproto.ProtocolError
		egress interface{ EgressRefused() bool }
		slow   net.Error
	)
	switch {
	case errors.As(err, &egress) && egress.EgressRefused():
		return Forbidden
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return Timeout
	case errors.As(err, &name):
		return DNS
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Dropped
	case errors.Is(err, errTooMuch):
		return TooMuch
	case errors.As(err, &record) && string(record.RecordHeader[:3]) == "220":
		return TLSMode
	case errors.As(err, &proto):
		return BadReply
	}
	return reason
}

func certificate(err error) Reason {
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		check   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &name):
		return CertificateName
	case errors.As(err, &unknown):
		return CertificateUnknown
	case errors.As(err, &check):
		return CertificateInvalid
	}
	return ""
}

// mostReply is how many bytes of a server's words are kept.
const mostReply = 500

// printable makes foreign words fit to store and to show: one line of valid
// UTF-8, without what could be our password.
func (s *Sender) printable(words string) string {
	words = oneLine(words)
	for _, secret := range s.secrets {
		words = strings.ReplaceAll(words, secret, "…")
	}
	if len(words) <= mostReply {
		return words
	}
	words = words[:mostReply-len("…")]
	for !utf8.ValidString(words) {
		words = words[:len(words)-1]
	}
	return words + "…"
}

// secrets are the password and the forms in which it crosses the wire.
func (c *Config) secrets() []string {
	if c.Password == "" {
		return nil
	}
	var list []string
	for _, form := range []string{c.Password, "\x00" + c.Username + "\x00" + c.Password, "user=" + c.Username + "\x01auth=Bearer " + c.Password + "\x01\x01"} {
		list = append(list, base64.StdEncoding.EncodeToString([]byte(form)))
	}
	return append(list, c.Password, oneLine(c.Password))
}

// oneLine turns what ends lines or is invisible into spaces, and drops what
// turns the direction of other people's text. Marks that languages need stay.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0xFEFF:
			return -1
		case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
			return ' '
		}
		return r
	}, s))
}
