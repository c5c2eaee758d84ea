package authn

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// TextProvider is one provider of text messages, as a company or the operator set
// it up. Which fields a driver needs is said by its Fields.
type TextProvider struct {
	Driver  string `json:"driver"`            // "twilio", "vonage", "sns", "plivo" or "webhook"
	Account string `json:"account,omitempty"` // account SID, API key, access key id, auth id
	Secret  string `json:"secret,omitempty"`  // written, never read back
	From    string `json:"from,omitempty"`    // number, sender name, or id of a sender pool
	Region  string `json:"region,omitempty"`  // of AWS
	URL     string `json:"url,omitempty"`     // of a webhook; https
}

// Target is what a saved secret belongs to: with another one it is not used
// (ruling 32).
func (p TextProvider) Target() string {
	return p.Driver + " " + p.Account + " " + p.Region + " " + p.URL
}

// String shows no secret.
func (p TextProvider) String() string { return "texts:" + p.Driver }

// GoString is String, for %#v.
func (p TextProvider) GoString() string { return p.String() }

// LogValue is String, for slog.
func (p TextProvider) LogValue() slog.Value { return slog.StringValue(p.String()) }

// TextDriver speaks to one kind of provider. Everything that it connects to goes
// through the HTTP client that it was made with, which passed the rules of ruling 32.
type TextDriver interface {
	// Fields names what it needs besides the driver: "account", "secret", "from",
	// "region", "url"; in the order of the form.
	Fields() []string
	// Open makes a sender, or gives Invalid with the fields that are wrong (codes
	// "required", "invalid"). It connects to nothing.
	Open(TextProvider) (TextSender, error)
}

// TextSender sends through one provider. A *SendError says how it failed.
type TextSender interface {
	Sender
	// Try is Send, with the provider's own answer; for the test of the set-up page.
	Try(context.Context, Message) (TextReply, error)
}

// TextReply is a provider's own answer.
type TextReply struct {
	Reference string // the provider's id of the message
	Raw       string // its words, bounded and cleaned; never a secret or a code
}

// TextReceipts is a TextDriver whose provider reports deliveries.
type TextReceipts interface {
	TextDriver
	// Receipt checks the signature of a report and reads it. Forbidden if it is not
	// the provider's; Invalid if it cannot be read.
	Receipt(TextProvider, ReceiptRequest) (Receipt, error)
	// Callback is the provider with the address that reports are sent to; it must be
	// set before Open for reports to come.
	Callback(s TextSender, url string) TextSender
}

// ReceiptRequest is the request that brought a report.
type ReceiptRequest struct {
	Method string
	URL    string // as the provider was told, with the query
	Header map[string][]string
	Body   []byte
	Now    time.Time
}

// Receipt is what a provider says became of a message.
type Receipt struct {
	Reference string
	State     string // "delivered", "failed", or "pending" for everything in between
	Code      string // the provider's, such as "30003"; may be empty
}

// TextAsk is one message that is about to be sent, for its budgets (ruling 13).
type TextAsk struct {
	To       string // E.164
	User     string
	Address  netip.Addr // of whoever asks; invalid: unknown
	Lane     Lane       // of whoever asks: strangers have a share of a number's budget (ruling 10)
	Verified bool       // a code that went there came back within VerifiedLasts
	Now      time.Time
}

// VerifiedLasts is how long a right code makes a number one that only the budgets
// of number, user and company count (ruling 13).
const VerifiedLasts = 90 * 24 * time.Hour

// Spending is one count of messages that a message adds to.
type Spending struct {
	Scope   string // "number", "prefix", "dial", "address", "user", "company_day", …
	Subject string // whom or what it counts; stored as a keyed hash if Hidden
	Hidden  bool
	From    time.Time // beginning of the window
	Until   time.Time // its end
	Most    int       // messages; 0: no limit
	Money   int64     // what this message costs, in thousandths of the company's currency
	// MostMoney of the window; 0: no limit.
	MostMoney int64
	// Watch: refuse also while too few codes of this scope and subject come back:
	// see ConversionLeast. Good, in NoteBudget, is one that did.
	Watch bool
	Good  int
}

// The conversion watch (security section 5): of at least ConversionLeast codes
// sent to unverified numbers of a prefix or dial code within ConversionWindow, not
// counting the last ConversionRest, one in five must have come back.
const (
	ConversionLeast  = 50
	ConversionPart   = 5
	ConversionWindow = 12 * time.Hour
	ConversionBucket = 10 * time.Minute
	ConversionRest   = 20 * time.Minute
)

// BudgetError says which budget refused a message.
type BudgetError struct {
	Scope   string
	Subject string // empty if it was Hidden
	Until   time.Time
	Watch   bool // too few codes came back
}

func (e *BudgetError) Error() string { return fmt.Sprintf("budget %s is used up", e.Scope) }

// Spent is how one budget stands.
type Spent struct {
	Scope   string
	Subject string // as stored
	From    time.Time
	Until   time.Time
	N       int
	Good    int
	Money   int64
}

// TextSettings are how a company, or the operator, sends text messages.
type TextSettings struct {
	// Providers are tried in order; none: the operator's.
	Providers []TextProvider `json:"providers,omitempty"`
	// Countries (ISO 3166 alpha-2) are where texts are sent to; the first is where a
	// number without a country code is from. None: nothing is sent.
	Countries []string `json:"countries,omitempty"`
	Currency  string   `json:"currency,omitempty"`    // ISO 4217; empty: money is not counted
	Price     int64    `json:"price,omitempty"`       // of one text, in thousandths of the currency
	DayTexts  int      `json:"day_texts,omitempty"`   // most in a day (UTC); 0: 1,000
	MonTexts  int      `json:"month_texts,omitempty"` // most in a calendar month; 0: 20,000
	DayMoney  int64    `json:"day_money,omitempty"`   // most money in a day, in thousandths; 0: no limit
	MonMoney  int64    `json:"month_money,omitempty"` // in a calendar month; 0: no limit
}

// WithDefaults fills in the limits of who named none.
func (t TextSettings) WithDefaults() TextSettings {
	if t.DayTexts == 0 {
		t.DayTexts = 1000
	}
	if t.MonTexts == 0 {
		t.MonTexts = 20000
	}
	return t
}

// String shows no secret.
func (t TextSettings) String() string { return fmt.Sprintf("texts:%d", len(t.Providers)) }

// GoString is String, for %#v.
func (t TextSettings) GoString() string { return t.String() }

// LogValue is String, for slog.
func (t TextSettings) LogValue() slog.Value { return slog.StringValue(t.String()) }
