package authn

import (
	"context"
	"strconv"
	"time"
)

// The channels of what a company's event log is sent to as it is written. Their
// settings are kept as those of providers are.
const (
	AuditSyslog  Kind = "audit_syslog"  // RFC 5424 over TLS (RFC 5425)
	AuditWebhook Kind = "audit_webhook" // signed batches of JSON lines over https
)

// StreamKinds are the channels above.
func StreamKinds() []Kind { return []Kind{AuditSyslog, AuditWebhook} }

// StreamSettings are where a company's events are sent.
type StreamSettings struct {
	Host string `json:"host,omitempty"` // syslog
	Port int    `json:"port,omitempty"` // syslog
	// CA are certificates, PEM, that the receiver's must lead to; empty: those that
	// the server trusts (syslog).
	CA string `json:"ca,omitempty"`
	// Certificate is what we show a receiver that asks who we are, PEM, with those it
	// leads to; empty: nothing (syslog). Secret is then its private key.
	Certificate string `json:"certificate,omitempty"`
	URL         string `json:"url,omitempty"`    // webhook, https
	Secret      string `json:"secret,omitempty"` // of the webhook, or the key; written, never read back
}

// Target is what the secret is for: with another one it is not used (ruling 32).
func (s StreamSettings) Target() string { return s.URL + " " + s.Host + " " + strconv.Itoa(s.Port) }

// StreamLine is one event as it is sent.
type StreamLine struct {
	Type   string
	At     time.Time
	Result Result
	JSON   []byte // one line without its end
}

// StreamBatch is what is sent at once: events that follow one another in the
// chain. A test has the numbers 0.
type StreamBatch struct {
	Company     string // slug
	First, Last int64
	Lines       []StreamLine
}

// StreamSender sends batches to targets of one kind. It is safe for concurrent use.
type StreamSender interface {
	// Check says what is wrong with settings, by field.
	Check(StreamSettings) []Field
	// Send returns when the other side has the whole batch. A failure is a
	// *SendError; the batch is then sent again, whole.
	Send(context.Context, StreamSettings, StreamBatch) error
}

// Stream is how the sending of a company's events stands.
type Stream struct {
	Company string
	Channel Kind
	Seq     int64     // everything up to this number was taken
	SentAt  time.Time // when the last batch was taken; zero: none was
	NextAt  time.Time // not tried before
	Tries   int       // of the present batch, that failed
	Failed  string    // stage and reason of the last failure; empty: none since SentAt
	Behind  int64     // sealed events that were not sent
	Oldest  time.Time // of those; zero: none
}

// SetStream begins or ends the sending of a company's events to a target. One
// that was begun before goes on where it is, at once.
type SetStream struct {
	Channel Kind
	On      bool
	All     bool // a new one begins with the oldest event that is kept, not with the next
}

func (SetStream) write() {}

// SetKeep says how many months a company's events are kept; 0: for ever.
type SetKeep struct{ Months int }

func (SetKeep) write() {}

// Keep is how long a company keeps its events, and what it has deleted since.
type Keep struct {
	Months int // 0: for ever
	// The last deleted link of the chain: its number and hash; 0: none was deleted.
	Seq       int64
	Hash      []byte
	DeletedAt time.Time
}

// Named is what a user or a key is called.
type Named struct{ Name, Login string }
