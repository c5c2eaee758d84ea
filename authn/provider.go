package authn

import (
	"context"
	"log/slog"
	"time"
)

// Provider is how a company sends the messages of one channel, as it is stored.
// Settings and Previous are sealed in the row; they hold passwords.
type Provider struct {
	Company string
	Channel Kind
	Version int64 // of the settings; 0: never set
	// Settings are a document; nil: the company uses the server's provider.
	Settings []byte
	// Previous are those before the last change, until PreviousUntil; nil: the
	// server's. The owners are told of a change through them (ruling 19).
	Previous      []byte
	PreviousUntil time.Time
	UpdatedAt     time.Time
	UpdatedBy     string // id of the owner
	// How sending goes since the settings were saved.
	SentAt   time.Time
	FailedAt time.Time
	Failed   string // the stage of the last failure
}

// SetProvider saves the next version of a company's provider of a channel.
// Conflict if the stored one is not Version-1.
type SetProvider struct {
	Provider Provider
	// Provides: from now on Company.Provides holds the channel; otherwise not.
	Provides bool
}

func (SetProvider) write() {}

// Reaches says whether what a company sends or asks through a provider may serve a person
// now: nil, or PolicyForbids with Key "error.provider_new" and ExpiresAt (ruling 19).
type Reaches = func(Company, User) error

// ProviderHealth is how sending goes through one of several providers of a channel.
type ProviderHealth struct {
	Name     string // which one, as the settings call it
	SentAt   time.Time
	FailedAt time.Time
	Failed   string // stage and reason of the last failure, if it came after the last success
}

// MailSettings say through which server a company's mail is sent, and as whom.
type MailSettings struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      string `json:"tls"` // "starttls" or "implicit"
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	From     string `json:"from"`
	FromName string `json:"from_name,omitempty"`
}

// String shows no password.
func (m MailSettings) String() string { return "mail:" + m.Host }

// GoString is String, for %#v.
func (m MailSettings) GoString() string { return m.String() }

// LogValue is String, for slog.
func (m MailSettings) LogValue() slog.Value { return slog.StringValue(m.String()) }

// MailServers sends through servers that companies name. Everything that it
// connects to has passed the rules of ruling 32. message/smtp has one.
type MailServers interface {
	// Open makes a sender, or gives Invalid with the fields that are wrong. It
	// connects to nothing yet.
	Open(MailSettings) (ClosingSender, error)
	// Try walks the way to the server, stage by stage, and ends at the first that
	// fails. Without m.To it stops after signing in and sends nothing.
	Try(ctx context.Context, s MailSettings, m Message) ([]MailStep, error)
	// Records are what the domain of a sender publishes about its mail.
	Records(ctx context.Context, domain string) MailRecords
}

// ClosingSender is a sender that keeps connections.
type ClosingSender interface {
	Sender
	Close() error
}

// MailStep is one stage of a test.
type MailStep struct {
	Stage  string // "connect", "encrypt", "sign_in", "accept", "content"
	OK     bool
	Took   time.Duration
	Reason string // a stable word: why not, or what is to be known of a step that went well
	Reply  string // the server's own words; empty: none, or from before it showed who it is
	Code   string // of the service, such as "40103"; empty: none
	// Ahead is how far the service's clock is ahead of ours, where it was asked.
	Ahead time.Duration
}

// MailRecords say of SPF, DKIM and DMARC whether a record is "found",
// "missing", there "several" times, or "unsure".
type MailRecords struct{ SPF, DKIM, DMARC string }

// DuoSettings are a company's application of the Duo Auth API.
type DuoSettings struct {
	IKey string `json:"ikey"`           // integration key
	SKey string `json:"skey,omitempty"` // secret key; written, never read back
	Host string `json:"host"`           // API host name
	// LetIn: where Duo lets a person in without asking, that counts as a code to a
	// contact would; without, it counts for nothing (ruling 33).
	LetIn bool `json:"let_in,omitempty"`
}

// Target is what a saved secret belongs to (ruling 32).
func (d DuoSettings) Target() string { return d.IKey + " " + d.Host }

// String shows no secret.
func (d DuoSettings) String() string { return "duo:" + d.Host }

// GoString is String, for %#v.
func (d DuoSettings) GoString() string { return d.String() }

// LogValue is String, for slog.
func (d DuoSettings) LogValue() slog.Value { return slog.StringValue(d.String()) }

// DuoService is what the settings of Duo are tried with; method/duo has one.
type DuoService interface {
	// Check gives the fields that are wrong: "ikey", "skey", "host"; codes "required"
	// and "invalid".
	Check(DuoSettings) []Field
	// Try walks the way: is it there and is the clock right ("connect"), are the keys
	// ("sign_in"). It ends at the first step that fails.
	Try(context.Context, DuoSettings) ([]MailStep, error)
}
