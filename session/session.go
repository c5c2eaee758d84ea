// Package session checks, lists and ends sessions, and lists and ends the trust in
// browsers. It issues none: a session
// is written only by the decision that completes an attempt (package signin)
// or that moves an account (package enroll), in the same transaction.
//
// A session is a random 256-bit token of which the store keeps a keyed hash.
// It is good while its row exists, its time is not over, its person is active,
// and their security epoch is the one it was made under (ruling 3; NIST SP
// 800-63B-4 section 5.1). Ending one deletes the row, so that it is over as
// soon as the call returns (inv-F).
package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Store is what this package needs of storage.
type Store interface {
	Decide(context.Context, authn.Keys, func(*authn.Rows) authn.Verdict) error
	View(context.Context, authn.Keys) (authn.Rows, error)
	Sessions(ctx context.Context, company, user string) ([]authn.Session, error)
	Trusted(ctx context.Context, company, user string) ([]authn.Trust, error)
	// Commits and Generation say whether what was read may have changed since; see
	// those of store.Store.
	Commits() uint64
	Generation(company, user string) uint64
}

// seenEvery is how often a session in use is written to (ruling 45).
const seenEvery = time.Minute

// Config wires a Service. Store and Valid are needed.
type Config struct {
	Store Store
	Valid func(*authn.Rows, time.Time) error // policy.CheckSession
	// Trusts says whether a trusted browser still is one, and until when
	// (policy.TrustHolds); nil: none is.
	Trusts func(authn.Company, authn.User, authn.Trust, time.Time) (ends time.Time, ok bool)
	// Present asks whoever keeps the person whether they are still there, at each Check
	// of a session that is good otherwise (signin.Service.Present). Nil: Sallyport keeps
	// everybody.
	Present func(context.Context, authn.Company, authn.User) error
	// Rights says who has rights in the administration (directory.Administrative): they
	// are looked up each time; nil: everybody is.
	Rights    func(authn.Company, authn.User) bool
	Now       func() time.Time     // nil: time.Now
	Monotonic func() time.Duration // since anything, never set back; nil: the clock of the process
	Random    io.Reader            // nil: crypto/rand
	Log       *slog.Logger         // nil: slog.Default
}

// Service checks sessions. It is safe for concurrent use.
type Service struct {
	c     Config
	cache cache
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Valid == nil {
		return nil, errors.New("session: Config.Store and Config.Valid are needed")
	}
	if c.Trusts == nil {
		c.Trusts = func(authn.Company, authn.User, authn.Trust, time.Time) (time.Time, bool) { return time.Time{}, false }
	}
	if c.Present == nil {
		c.Present = func(context.Context, authn.Company, authn.User) error { return nil }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rights == nil {
		c.Rights = func(authn.Company, authn.User) bool { return true }
	}
	if start := time.Now(); c.Monotonic == nil {
		c.Monotonic = func() time.Duration { return time.Since(start) }
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Service{c: c}, nil
}

// Current is a session that was just found good, with whose it is.
type Current struct {
	Token   authn.Token
	Session authn.Session
	User    authn.User
	Company authn.Company
	Factors []authn.Factor
	Lane    authn.Lane
}

// Check reads a token as it came from outside and finds its session.
//
// Errors: Unauthenticated for whatever is not a good session (malformed,
// unknown, over, idle, ended), and Busy, ProviderUnavailable (of Config.Present) or
// Internal if that cannot be known: never a session by default.
func (s *Service) Check(ctx context.Context, token string, c authn.Client) (Current, error) {
	t, ok := authn.ParseToken(authn.SessionToken, token)
	if !ok {
		return Current{}, authn.Unauthenticated
	}
	now := s.c.Now()
	rows, err := s.c.Store.View(ctx, authn.Keys{Company: t.Company, SessionToken: t, Browser: c.Browser, Now: now})
	if errors.Is(err, authn.NotFound) {
		return Current{}, authn.Unauthenticated // a company that is not here
	}
	if err != nil {
		return Current{}, fmt.Errorf("session: check: %w", err)
	}
	if err := s.c.Valid(&rows, now); err != nil {
		return Current{}, err
	}
	if err := s.c.Present(ctx, *rows.Company, *rows.User); err != nil {
		return Current{}, err
	}
	cur := Current{Token: t, Session: *rows.Session, User: *rows.User, Company: *rows.Company, Factors: rows.Factors, Lane: rows.Lane}
	if now.Sub(cur.Session.LastSeenAt) >= seenEvery && s.seen(ctx, t, now) {
		cur.Session.LastSeenAt = now
	}
	return cur, nil
}

// seen notes that a session is in use. It is no condition for using it: if it
// cannot be written, the session ends by idleness a little earlier.
func (s *Service) seen(ctx context.Context, t authn.Token, now time.Time) bool {
	err := s.c.Store.Decide(ctx, authn.Keys{Company: t.Company, SessionToken: t, Now: now}, func(rows *authn.Rows) authn.Verdict {
		if s.c.Valid(rows, now) != nil || now.Before(rows.Session.LastSeenAt) {
			return authn.Continue()
		}
		rows.Session.LastSeenAt = now
		return authn.Continue(authn.PutSession{Session: *rows.Session})
	})
	if err != nil {
		s.c.Log.WarnContext(ctx, "session: last use not noted", "error", err)
	}
	return err == nil
}

// SignOut ends the session of a token. Ending what is over already is no error.
func (s *Service) SignOut(ctx context.Context, t authn.Token, c authn.Client) error {
	now := s.c.Now()
	err := s.c.Store.Decide(ctx, authn.Keys{Company: t.Company, SessionToken: t, Now: now}, func(rows *authn.Rows) authn.Verdict {
		if rows.Session == nil || rows.User == nil {
			return authn.Continue()
		}
		return authn.Accept(s.event("session.ended", rows, c, now), authn.EndSession{ID: rows.Session.ID})
	})
	if err != nil {
		return fmt.Errorf("session: sign out: %w", err)
	}
	return nil
}

// SignOutOthers ends all sessions of the token's person but this one, and makes
// strangers of their other browsers, which are trusted no more.
func (s *Service) SignOutOthers(ctx context.Context, t authn.Token, c authn.Client) error {
	now := s.c.Now()
	k := authn.Keys{Company: t.Company, SessionToken: t, Browser: c.Browser, Now: now}
	err := s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := s.c.Valid(rows, now); err != nil {
			return authn.Drop(err)
		}
		return authn.Accept(s.event("session.others_ended", rows, c, now), authn.EndSessions{Except: rows.Session.ID}, authn.ForgetBrowsers{})
	})
	if err != nil {
		return fmt.Errorf("session: sign out others: %w", err)
	}
	return nil
}

// List is where a person is signed in, newest first, dead ones left out.
func (s *Service) List(ctx context.Context, cur Current) ([]authn.Session, error) {
	all, err := s.c.Store.Sessions(ctx, cur.Company.ID, cur.User.ID)
	if err != nil {
		return nil, fmt.Errorf("session: list: %w", err)
	}
	now, good := s.c.Now(), make([]authn.Session, 0, len(all))
	for _, one := range all {
		if s.c.Valid(&authn.Rows{Company: &cur.Company, Session: &one, User: &cur.User, Factors: cur.Factors}, now) == nil {
			good = append(good, one)
		}
	}
	return good, nil
}

func (s *Service) event(typ string, rows *authn.Rows, c authn.Client, now time.Time) authn.Event {
	ev := authn.Event{
		Company: rows.User.Company, ID: authn.NewID(authn.EventID, now, s.c.Random), Type: typ,
		Actor: rows.User.ID, Target: rows.User.ID, Result: authn.Succeeded, At: now,
		Personal: authn.Personal{Agent: c.Agent},
	}
	if c.Address.IsValid() {
		ev.Personal.Address = c.Address.String()
	}
	return ev
}
