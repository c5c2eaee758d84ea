// Package auditstream sends a company's event log to the systems that watch it:
// as syslog (RFC 5424) over TLS (RFC 5425), and as signed batches to a webhook.
//
// # Flow
//
// Package audit gives a batch of events that follow one another in the chain. Both
// senders return when the other side has all of it, or with an error; then the
// same batch comes again. So every event arrives at least once, in order; its
// number tells a second time from a first.
//
// Syslog has no answer of its own. A batch is a connection: the messages, each
// with its length before it (RFC 5425 section 4.3), then close_notify, and the
// batch counts as taken when the receiver has closed too (section 4.4), which
// it does when it has read everything. A message is
//
//	<110>1 2026-11-21T09:14:10.000000Z login.example.com sallyport - factor.confirmed - {"seq":42,…}
//
// of facility 13, log audit, with severity 6, or 4 for what was refused. The JSON is that of
// exports, in ASCII, so that no byte order mark is needed (RFC 5424 section 6.4).
//
// A webhook gets a POST of JSON lines, signed as package webhook signs text
// messages. Idempotency-Key names company, first and last number. Any 2xx means
// taken.
//
// # Threats
//
//   - The address is the company's: connections pass internal/egress (ruling 32).
//     What the other side answers is read for its status alone and shown to nobody.
//   - Somebody between: the certificate must be right for the host. Who can cut
//     connections can make a syslog batch look taken, since many receivers close without
//     close_notify; the receiver sees the gap by number and hash.
//   - The secret, or the key of our certificate, is never sent, nor in any error.
//   - Control characters: JSON has none, and the type of an event is a word of ours.
package auditstream

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode/utf16"

	"crypto/tls"

	"github.com/sallyport-mfa/sallyport/authn"
)

// failure is what a page can say about an error that came before an answer. It
// holds no words of the other side.
func failure(stage string, err error) *authn.SendError {
	e := &authn.SendError{Stage: stage, Reason: "unreachable"}
	var refused interface{ EgressRefused() bool }
	var slow interface{ Timeout() bool }
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		e.Reason = "forbidden_address"
	case errors.As(err, &slow) && slow.Timeout():
		e.Reason = "timeout"
	case errors.As(err, &certificate):
		e.Stage, e.Reason = "encrypt", "certificate"
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate"):
		e.Stage, e.Reason = "encrypt", "client_certificate"
	case errors.As(err, &record), errors.As(err, &alert):
		e.Stage = "encrypt"
	}
	e.Err = fmt.Errorf("auditstream: %s: %s", e.Stage, e.Reason)
	return e
}

// ascii writes JSON with escapes for all that is not ASCII.
func ascii(doc []byte) string {
	var b strings.Builder
	for _, r := range string(doc) {
		switch {
		case r < 0x80:
			b.WriteByte(byte(r))
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		}
	}
	return b.String()
}
