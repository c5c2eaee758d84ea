// Package audit reads the event log, keeps it tamper-evident, sends it elsewhere
// and deletes what is too old.
//
// # Flow
//
// Events are written by the decisions they belong to, in the same
// transaction. Numbering them there would make every sign-in of a company wait
// for the one before; so a sealer numbers and chains committed rows a little
// later, under a lease (rulings 40 and 53). Each link covers a salted commitment to the personal part of the event
// rather than that part itself, so that erasing a person leaves the chain
// verifiable.
//
// Streams go over sealed events in the order of the chain, each from where its
// target last took one ([Service.Deliver]). What a company does not keep any more
// goes from the oldest end, and an event says up to where ([Service.PruneSome]).
//
// # Threats
//
//   - Whoever can write to the database alters, moves or deletes rows: [Service.Verify]
//     names the first. Deleting by the rule is told from deleting otherwise by an
//     event whose detail is sealed, which nobody makes without the keyring.
//   - The end of the log is taken away with its noted head: a head from outside
//     finds it, from an export, a receipt of an earlier check or a stream.
//   - A query that finds nothing among ten million events: a search looks at a bounded
//     number of rows and says how far it came.
//   - A target that is down, slow or hostile (ruling 32): batches, deadlines and
//     growing pauses; it holds up neither sealing nor signing in.
//   - The log carried away: exports and checks are events themselves. Cells of CSV are no
//     formulas (ruling 37). No secret or code is ever in an event (cve-61).
package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Store is what this package needs of storage.
type Store interface {
	Decide(context.Context, authn.Keys, func(*authn.Rows) authn.Verdict) error
	Events(ctx context.Context, company string, q authn.EventQuery) ([]authn.Event, error)
	// Search is Events at a bounded cost: a page may end before it is full.
	Search(ctx context.Context, company string, q authn.EventQuery) (authn.EventPage, error)
	// Names are what users and keys are called, by id.
	Names(ctx context.Context, company string, ids []string) (map[string]authn.Named, error)
	Companies(context.Context) ([]authn.Company, error)
	// SealedEvents are in the order of the chain, from the one after the number
	// after; UnsealedEvents in the order of their ids, from the one after that id.
	SealedEvents(ctx context.Context, company string, after int64, limit int) ([]authn.SealedEvent, error)
	UnsealedEvents(ctx context.Context, company, after string, limit int) ([]authn.SealedEvent, error)
	// ChainHead is the end of the chain as the sealer noted it; 0 before the first.
	ChainHead(ctx context.Context, company string) (seq int64, hash []byte, err error)
	// Acquire takes or renews a lease row.
	Acquire(ctx context.Context, name, holder string, now time.Time, ttl time.Duration) (bool, error)
	// SealEvents numbers and chains unsealed rows in the order of their ids.
	SealEvents(ctx context.Context, company string, now time.Time, max int,
		chain func(prev []byte, seq int64, e authn.Event, commitment []byte) []byte) (int, error)
	Retention
	StreamStore
}

// Retention is the deleting of old events.
type Retention interface {
	// Keep is how long a company keeps its events, and up to where it deleted them.
	Keep(ctx context.Context, company string) (authn.Keep, error)
	// Keeping are the companies that do not keep them for ever, by id, with the months.
	Keeping(ctx context.Context, after string, limit int) (ids []string, months []int, err error)
	// PruneEnd is the link up to which events can be deleted: from before old and
	// sent by every stream, or from before veryOld; 0: none.
	PruneEnd(ctx context.Context, company string, old, veryOld time.Time, most int) (seq int64, hash []byte, err error)
	// PruneEvents deletes up to a link, max events at most, and notes the anchor.
	PruneEvents(ctx context.Context, company string, to int64, max int, now time.Time) (int, error)
}

// StreamStore is the sending of events to other systems.
type StreamStore interface {
	// Provider holds the settings of a target.
	Provider(ctx context.Context, company string, channel authn.Kind) (authn.Provider, error)
	// DueStreams have something to send, and may try now.
	DueStreams(ctx context.Context, now time.Time, limit int) ([]authn.Stream, error)
	// StreamMoved notes that everything up to a link was taken; false: the stream is
	// not where it was.
	StreamMoved(ctx context.Context, st authn.Stream, to int64, at time.Time) (bool, error)
	StreamFailed(ctx context.Context, st authn.Stream, next time.Time, failed string) error
}

// Config wires a Service. Store is needed.
type Config struct {
	Store Store
	// Streams send a company's events to the targets that it names, by kind; none:
	// nothing is sent.
	Streams map[authn.Kind]authn.StreamSender
	// Text is what an event says, in English, for streams; nil: its type.
	Text   func(authn.Event) string
	Now    func() time.Time // nil: time.Now
	Random io.Reader        // nil: crypto/rand
}

// Service reads and seals the log. It is safe for concurrent use.
type Service struct {
	c      Config
	holder string
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil {
		return nil, errors.New("audit: Config.Store is nil")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Text == nil {
		c.Text = func(e authn.Event) string { return e.Type }
	}
	return &Service{c: c, holder: authn.NewID("node", c.Now(), c.Random)}, nil
}

// Events lists a company's events, newest first.
func (s *Service) Events(ctx context.Context, company string, q authn.EventQuery) ([]authn.Event, error) {
	return s.c.Store.Events(ctx, company, q)
}

// The events of a person that are looked at for the beginning of a session: those of
// its millisecond, and as a clock that stands or is set back may have more.
const atBeginning = 20

// BegunFrom is the network address that a session was opened from, as its event says.
// Sessions themselves hold none, so that nothing more has to be kept, copied or
// erased. Empty: the event was deleted or erased, or has none.
func (s *Service) BegunFrom(ctx context.Context, of authn.Session) (string, error) {
	list, err := s.Events(ctx, of.Company, authn.EventQuery{Target: of.User, Limit: atBeginning,
		Before: authn.FirstID(authn.EventID, of.CreatedAt.Add(time.Millisecond))})
	if err != nil {
		return "", err
	}
	for _, e := range list {
		if e.Type == "session.started" && e.At.Equal(of.CreatedAt) {
			return e.Personal.Address, nil
		}
	}
	return "", nil
}

// The sealer's lease and how much it takes at once.
const (
	leaseName = "audit.sealer"
	leaseTime = 15 * time.Second
	batch     = 500
)

// SealSome seals what is not sealed yet, a batch per company, if this node
// holds the lease. It is called every few seconds and reports how many events
// it sealed.
func (s *Service) SealSome(ctx context.Context) (int, error) {
	now := s.c.Now()
	mine, err := s.c.Store.Acquire(ctx, leaseName, s.holder, now, leaseTime)
	if err != nil || !mine {
		return 0, err
	}
	companies, err := s.c.Store.Companies(ctx)
	if err != nil {
		return 0, fmt.Errorf("audit: seal: %w", err)
	}
	total, failed := 0, []error(nil)
	for _, c := range companies { // one that fails holds up no other
		n, err := s.c.Store.SealEvents(ctx, c.ID, now, batch, Link)
		total += n
		if err != nil {
			failed = append(failed, fmt.Errorf("audit: seal %s: %w", c.ID, err))
		}
	}
	return total, errors.Join(failed...)
}

// Link is the chain hash of one event: SHA-256 over the hash before, the
// number, every open field and the commitment to the personal part, each
// prefixed with its length.
func Link(prev []byte, seq int64, e authn.Event, commitment []byte) []byte {
	h := sha256.New()
	put := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	num := func(v int64) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(v))
		put(n[:])
	}
	put([]byte("sallyport event v1"))
	put(prev)
	num(seq)
	for _, s := range []string{e.Company, e.ID, e.Type, e.Actor, e.Target, string(e.Result)} {
		put([]byte(s))
	}
	num(e.At.UnixMicro())
	put(commitment)
	return h.Sum(nil)
}
