// Package report says how a company stands: who has a way to verify and who
// should, how sign-ins go, how messages get through, and what needs somebody's
// attention. It changes nothing.
//
// # Flow
//
// [Service.Overview] is what the overview page shows. It reads kept summaries
// (decision 25): events counted by the hour when they are sealed, people counted
// by what policy sees of them, and a few bounded, indexed reads. So it takes as long for
// ten million events and a million people as for a thousand.
// [Service.Coverage] goes through all people, page by page, for auditors.
//
// Who may ask is not decided here: handlers ask directory.Can. Only [May] says which
// part of the attention list goes with which permission.
//
// # Threats
//
//   - A page that anybody can make expensive (CWE-400): nothing here reads events, and
//     counts that could grow stop at [Most].
//   - Numbers that give people away: summaries hold companies, hours and words of a
//     fixed list, never a name, an address or a number.
//   - One company's numbers in another's page: every read names the company.
//   - Summaries that lie: they are written in the transaction that seals the event, so
//     that they are what the chain is. What is not sealed yet is said
//     to be so ([Unsealed]).
//   - A report with rows missing that looks whole: coverage ends with the number of its
//     rows; where reading fails the answer is cut off.
package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/provider"
)

// Most is where counting of what needs attention stops: a list of more is found
// by its filter.
const Most = 1000

// Days are how many days the overview looks back, today included.
const Days = 30

// MostDays is the longest that SignIns looks back; summaries are kept for 25 months.
const MostDays = 366

// Store is what this package needs of storage.
type Store interface {
	EventCounts(ctx context.Context, company string, q authn.CountQuery) ([]authn.EventCount, error)
	OldestUnsealed(ctx context.Context, company string) (time.Time, error)
	// People are those of a company with their factors, from the one after an id.
	People(ctx context.Context, company, after string, limit int) ([]authn.Person, error)
	Owners(ctx context.Context, company string) ([]authn.Person, error)
	// Wrong are those with a way that was answered wrongly several times in a row.
	Wrong(ctx context.Context, company string, limit int) ([]authn.Person, error)
	// GraceBegun counts those without a way of whom one was first asked in a time.
	GraceBegun(ctx context.Context, company string, after, until time.Time, limit int) (int, error)
	PasswordsKnown(ctx context.Context, company string, limit int) (int, error)
	// ExemptionsEnding counts the exemptions that end after one time and not after the other.
	ExemptionsEnding(ctx context.Context, company string, after, until time.Time, limit int) (int, error)
	APIKeys(ctx context.Context, company string) ([]authn.APIKey, error)
}

// Config wires a Service. Store is needed.
type Config struct {
	Store     Store
	Methods   []authn.Method    // those that are registered
	Providers *provider.Service // nil: nothing is sent
	// Shapes counts the people of a company by authn.Shape; nil: they are gone through.
	Shapes func(ctx context.Context, company string) (map[string]int, error)
	Now    func() time.Time // nil: time.Now
}

// Service is safe for concurrent use.
type Service struct {
	c       Config
	methods map[authn.Kind]authn.Method
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil {
		return nil, errors.New("report: Config.Store is nil")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{c: c, methods: map[authn.Kind]authn.Method{}}
	for _, m := range c.Methods {
		s.methods[m.Kind()] = m
	}
	return s, nil
}

// view is a company as it is judged at a time.
type view struct {
	company authn.Company
	doc     policy.Document
	traits  func(authn.Kind) (authn.Traits, bool)
	now     time.Time
}

func (s *Service) view(c authn.Company) (view, error) {
	now := s.c.Now()
	doc, err := policy.Current(c, now)
	if err != nil {
		return view{}, fmt.Errorf("report: %w", err)
	}
	return view{company: c, doc: doc, traits: authn.TraitsFor(s.methods, c), now: now}, nil
}

// Overview is how a company stands now.
type Overview struct {
	At        time.Time
	Adoption  Adoption
	SignIns   SignIns
	Delivery  []Channel
	Locked    Few // people who cannot use a way of theirs now
	Attention []Item
}

// Few is a number that was counted up to Most.
type Few struct {
	N    int
	More bool // there are more
}

// Overview gives all of it. offset is how far the days of the reader are east of UTC.
func (s *Service) Overview(ctx context.Context, c authn.Company, offset time.Duration) (Overview, error) {
	v, err := s.view(c)
	if err != nil {
		return Overview{}, err
	}
	o := Overview{At: v.now}
	if o.Adoption, err = s.adoption(ctx, v); err != nil {
		return o, err
	}
	if o.SignIns, err = s.SignIns(ctx, c, Days, offset); err != nil {
		return o, err
	}
	if o.Delivery, err = s.delivery(ctx, v, o.SignIns); err != nil {
		return o, err
	}
	locked, err := s.locked(ctx, v)
	if err != nil {
		return o, err
	}
	o.Locked = locked.Few
	o.Attention, err = s.attention(ctx, v, o, locked)
	return o, err
}
