package authn

import (
	"context"
	"fmt"
	"time"
)

// Template names what a message says; its texts are the catalogue's "mail." +
// Template.
type Template string

// Letter is a message that waits in the outbox, as a claim hands it out. The row
// holds template, ids and sealed parameters; a code is derived only when the
// message is made, and stands in no row (ruling 35).
type Letter struct {
	Company   Company
	User      User // whom it is about; zero: nobody of the company
	ID        string
	Channel   Kind // Email or SMS
	Template  Template
	To        string            // the address, as it was when the letter was written
	Args      map[string]string // what the texts need: "agent", "name", "action", …; never a secret
	At        time.Time         // when what it tells of happened
	ExpiresAt time.Time         // later it is not worth sending
	Tries     int               // this one included
	Seed      []byte            // of the code it carries; nil: none
	Link      Token             // that it carries, such as "this wasn't me"; zero: none
	Via       string            // "previous": through the provider before the present one (ruling 19)
}

// OutboxState is how the outbox stands.
type OutboxState struct {
	Waiting  int       // letters not sent yet
	Oldest   time.Time // of those; zero: none
	Failing  int       // of those, tried at least once
	LastSent time.Time // zero: never
	LastFail string    // reason of the last failure since; empty: none
}

// Message is one message as a provider sends it.
type Message struct {
	ID       string // unique; a provider derives its own idempotency key from it
	Channel  Kind
	To       string
	From     string // name to show; the provider's configuration has the address
	Subject  string // e-mail only
	Text     string
	HTML     string // e-mail only; empty: text alone
	Language string // BCP 47
}

// Sender delivers messages of one channel. Send returns only when the provider
// has taken the message or said no; a *SendError says which stage failed.
type Sender interface {
	Send(context.Context, Message) error
}

// SendError is why a provider did not take a message.
type SendError struct {
	Stage     string // "connect", "encrypt", "sign_in", "accept", "content"
	Code      string // of the provider, such as "550 5.1.1"; empty: none
	Reply     string // its own words, bounded; for owners and operators only
	Reason    string // a stable word that pages explain: "credentials", "funds", "number", …; empty: none fits
	Permanent bool   // another try with the same message cannot succeed
	Unsure    bool   // the provider may have taken it, so no other may be asked
	Err       error
}

func (e *SendError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("message not sent: %s: %v", e.Stage, e.Err)
	}
	return fmt.Sprintf("message not sent: %s: %s", e.Stage, e.Code)
}

// Unwrap gives MessageNotSent and the cause to errors.Is and errors.As.
func (e *SendError) Unwrap() []error {
	if e.Err == nil {
		return []error{MessageNotSent}
	}
	return []error{MessageNotSent, e.Err}
}

// Standing is how the database stands.
type Standing struct {
	Database       string // "sqlite" or "postgres"
	Schema         int64  // of the last migration
	LowSpace       bool   // less than 5 % of the disk is free
	Unsealed       int    // events that are not numbered and chained yet
	OldestUnsealed time.Time
}
