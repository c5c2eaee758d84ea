// Package notice decides what people are told, writes it in their language, and
// sees it delivered.
//
// An event that concerns somebody's way in ([For]) puts a letter into the
// outbox, in the transaction that writes the event. [Service.Deliver] sends one
// letter while somebody waits for its code; [Service.Drain] sends the rest, and
// again what failed. A letter leaves the outbox only after its sender said yes,
// so a crash repeats a message and never loses one.
//
// The threats: names and browsers come from outside and can carry a stranger's
// advertisement into a message that people trust, so that they are bounded and
// no link survives in them (security.md 5.6, cve-65), and in a text message no
// second code and no second last line (requirement B4); links lead to the
// configured address and never to the one that a request named (cve-63); codes
// and links stand in no row, no log and no error (cve-61); one provider that
// does not answer must not keep the others' messages waiting.
package notice

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/text"
)

// Outbox keeps letters until they are sent. A claimed letter belongs to its
// claimer until the lease ends; Tries of a claimed letter counts this claim.
type Outbox interface {
	// ClaimLetters claims the letters that are due, the oldest first.
	ClaimLetters(ctx context.Context, now time.Time, max int, lease time.Duration) ([]authn.Letter, error)
	// ClaimLetter claims one, due or not; false if it is gone or somebody has it.
	ClaimLetter(ctx context.Context, company, id string, now time.Time, lease time.Duration) (authn.Letter, bool, error)
	// LetterSent deletes a letter that a sender has taken.
	LetterSent(ctx context.Context, company, id string, now time.Time) error
	// LetterFailed ends a claim. Without ev the letter is due again at next; with
	// an empty reason it was not tried, and the claim does not count in Tries.
	// With ev it is given up: the row is deleted and the event recorded, in one
	// transaction.
	LetterFailed(ctx context.Context, company, id string, next time.Time, reason string, ev *authn.Event) error
	// OutboxState says how the outbox stands.
	OutboxState(ctx context.Context) (authn.OutboxState, error)
}

// Config is what a Service needs.
type Config struct {
	Outbox  Outbox
	Texts   *text.Catalogue             // nil: the built-in one
	Senders map[authn.Kind]authn.Sender // of the operator, by channel

	// SenderFor finds a company's own sender; via is Letter.Via. A nil sender
	// stands for the operator's. Nil: every company uses the operator's.
	SenderFor func(ctx context.Context, company string, channel authn.Kind, via string) (authn.Sender, error)
	// ViaFor says what Letter.Via is to be of a letter that has none. Nil: none has.
	ViaFor func(context.Context, authn.Letter) (string, error)

	// Places say in letters about where something came from; nil: nothing is said.
	Places authn.Places

	PublicURL   string                   // the only host that links name (cve-63)
	Code        func(seed []byte) string // derives a code; it is asked at each try
	Now         func() time.Time         // nil: time.Now
	Log         *slog.Logger             // nil: none
	SendTimeout time.Duration            // for one send; 0: 5 s
	Random      io.Reader                // safe for concurrent use; nil: crypto/rand
	Batch       int                      // letters per Drain, and sends at a time at most; 0: 64
}

// Service writes and delivers. It is safe for concurrent use.
type Service struct {
	c     Config
	base  string // PublicURL without the last slash
	host  string // of PublicURL, without a port
	lease time.Duration

	mu    sync.Mutex
	lanes map[lane]*laneState
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Texts == nil {
		c.Texts = text.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SendTimeout <= 0 {
		c.SendTimeout = 5 * time.Second
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Batch <= 0 {
		c.Batch = 64
	}
	switch {
	case c.Outbox == nil:
		return nil, errors.New("notice: no outbox")
	case c.Code == nil:
		return nil, errors.New("notice: no function that derives codes")
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("notice: %q is no public URL", c.PublicURL)
	}
	return &Service{
		c: c, base: strings.TrimSuffix(u.String(), "/"), host: u.Hostname(), lanes: map[lane]*laneState{},
		// From the claim a send begins within one time limit and ends within
		// another; the rest is for the database.
		lease: max(time.Minute, 6*c.SendTimeout),
	}, nil
}

// State says how the outbox stands.
func (s *Service) State(ctx context.Context) (authn.OutboxState, error) {
	return s.c.Outbox.OutboxState(ctx)
}
