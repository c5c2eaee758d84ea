// Package audit reads the event log and keeps it tamper-evident.
//
// Events are written by the decisions they belong to, in the same
// transaction. Numbering them there would make every sign-in of a company wait
// for the one before; so a sealer numbers and chains committed rows a little
// later, under a lease (rulings 40 and 53). Each link covers a salted commitment to the personal part of the event
// rather than that part itself, so that erasing a person leaves the chain
// verifiable.
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
	Events(ctx context.Context, company string, q authn.EventQuery) ([]authn.Event, error)
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
}

// Config wires a Service. Store is needed.
type Config struct {
	Store  Store
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
	return &Service{c: c, holder: authn.NewID("node", c.Now(), c.Random)}, nil
}

// Events lists a company's events, newest first.
func (s *Service) Events(ctx context.Context, company string, q authn.EventQuery) ([]authn.Event, error) {
	return s.c.Store.Events(ctx, company, q)
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
