package sallyport

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Ruling 16: what codes rest on is the clock, so it is compared with whatever
// there is to compare it with.
const (
	clockWarns  = 5 * time.Second
	clockRefuse = 30 * time.Second
)

// clockStore is what the guard needs of storage.
type clockStore interface {
	// RaiseClock notes that it was now, unless it was later already, and returns
	// the latest time noted.
	RaiseClock(ctx context.Context, now time.Time) (time.Time, error)
	// DatabaseTime is the database server's clock, if it has one of its own.
	DatabaseTime(context.Context) (t time.Time, ok bool, err error)
}

// clockGuard refuses to sign anybody in while the clock is behind what any
// server of this database has seen, or away from the database's.
type clockGuard struct {
	store clockStore
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	latest time.Time     // zero: not asked yet
	ahead  time.Duration // of the database's clock
	seen   time.Time     // at the last tick, with its monotonic part
}

// tick is called once a minute. A time that the database's clock contradicts is
// not noted: one node must not stop the others.
func (g *clockGuard) tick(ctx context.Context) error {
	theirs, ok, err := g.store.DatabaseTime(ctx)
	if err != nil {
		return fmt.Errorf("sallyport: clock: %w", err)
	}
	now, ahead := g.now(), time.Duration(0)
	if ok {
		ahead = now.Sub(theirs)
	}
	g.mu.Lock()
	g.ahead = ahead
	moved := time.Duration(0)
	if !g.seen.IsZero() {
		moved = now.Round(0).Sub(g.seen.Round(0)) - now.Sub(g.seen)
	}
	g.seen = now
	g.mu.Unlock()
	if moved.Abs() > clockWarns {
		g.log.WarnContext(ctx, "the clock of this machine was set, or the machine slept", "by", moved.Round(time.Second))
	}
	if ahead.Abs() > clockWarns {
		g.log.WarnContext(ctx, "the clock of this machine is not that of the database", "ahead_by", ahead.Round(time.Second))
	}
	if ahead.Abs() > clockRefuse {
		return nil
	}
	latest, err := g.store.RaiseClock(ctx, now)
	if err != nil {
		return fmt.Errorf("sallyport: clock: %w", err)
	}
	if behind := latest.Sub(now); behind > clockWarns {
		g.log.WarnContext(ctx, "the clock of this machine is behind what was seen before", "by", behind.Round(time.Second))
	}
	g.mu.Lock()
	g.latest = latest // also when it is earlier: the operator repaired it
	g.mu.Unlock()
	return nil
}

// check is Busy while nobody may sign in.
func (g *clockGuard) check() error {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	refuse := func(what string, by time.Duration) error {
		return &authn.Error{Code: authn.Busy, RetryAfter: clockRefuse,
			Err: fmt.Errorf("the clock is off: %s by %s; `sallyport doctor` says what to do", what, by.Abs().Round(time.Second))}
	}
	switch behind := g.latest.Sub(now); {
	case g.ahead.Abs() > clockRefuse:
		return refuse("it is not that of the database", g.ahead)
	case g.latest.IsZero():
	case behind > clockRefuse:
		return refuse("it is behind what was seen before", behind)
	case behind < 0:
		g.latest = now
	}
	return nil
}

// ready is readiness with the clock.
func (g *clockGuard) ready(ask func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := ask(ctx); err != nil {
			return err
		}
		return g.check()
	}
}
