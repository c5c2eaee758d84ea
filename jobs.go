package sallyport

import (
	"context"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// housekeeping is what Run needs of storage.
type housekeeping interface {
	// Sweep deletes what is over: attempts, sessions, pending factors, old counts.
	Sweep(context.Context, time.Time) error
	// Ready says whether the store can read and write.
	Ready(context.Context) error
	// Standing is how the database stands.
	Standing(context.Context) (authn.Standing, error)
	clockStore
}

// Intervals of the house-keeping. Sealing is more frequent than the 5 s that
// ruling 53 allows.
const (
	sealEvery  = 3 * time.Second
	sweepEvery = time.Minute
	drainEvery = time.Second
	sendEvery  = time.Second
)

// Run keeps house until ctx ends: it seals the event log and sends it where companies
// want it, sends what waits in the outbox, deletes what is over, compares the clock, writes the counted refusals,
// and tells people of keys that end. A failing job is logged and tried
// again; none of them is a condition for signing in. One Run per process;
// several nodes share the work by leases.
func (s *Server) Run(ctx context.Context) error {
	seal, sweep := time.NewTicker(sealEvery), time.NewTicker(sweepEvery)
	defer seal.Stop()
	defer sweep.Stop()
	var mail sync.WaitGroup // and what else may take long
	defer func() {
		mail.Wait()
		if s.Providers != nil {
			s.job(context.WithoutCancel(ctx), "mail connections", func(context.Context) error { return s.Providers.Close() })
		}
	}()
	// On its own: a provider that is slow holds up nothing else.
	mail.Go(func() { s.drain(ctx) })
	mail.Go(func() { s.every(ctx, sendEvery, "streams", s.Audit.Deliver) })
	mail.Go(func() {
		s.every(ctx, sweepEvery, "retention", func(ctx context.Context) error { _, err := s.Audit.PruneSome(ctx); return err })
	})
	s.job(ctx, "clock", s.clock.tick)
	for {
		select {
		case <-ctx.Done():
			// What was counted is written even on the way out.
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.SignIn.Close()
			s.Enroll.Close()
			s.job(end, "refusals", s.SignIn.FlushRefusals)
			s.job(end, "refusals of keys", s.Directory.FlushRefusals)
			return nil
		case <-seal.C:
			s.job(ctx, "seal", func(ctx context.Context) error { _, err := s.Audit.SealSome(ctx); return err })
		case <-sweep.C:
			s.job(ctx, "clock", s.clock.tick)
			s.job(ctx, "sweep", func(ctx context.Context) error { return s.cfg.Store.Sweep(ctx, s.cfg.Now()) })
			s.job(ctx, "refusals", s.SignIn.FlushRefusals)
			s.job(ctx, "refusals of keys", s.Directory.FlushRefusals)
			s.job(ctx, "reminders", s.Directory.RemindPolicies)
			s.job(ctx, "stranded", s.Directory.InviteStranded)
			s.job(ctx, "ends of keys", s.Directory.TellEnds)
		}
	}
}

// drain sends what waits in the outbox until ctx ends.
func (s *Server) drain(ctx context.Context) {
	if s.Notices == nil {
		return
	}
	s.every(ctx, drainEvery, "outbox", func(ctx context.Context) error { _, err := s.Notices.Drain(ctx); return err })
}

// every does a job until ctx ends.
func (s *Server) every(ctx context.Context, pause time.Duration, name string, f func(context.Context) error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.job(ctx, name, f)
		}
	}
}

func (s *Server) job(ctx context.Context, name string, f func(context.Context) error) {
	if err := f(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Log.ErrorContext(ctx, "job failed", "job", name, "error", err)
	}
}

// readiness asks the store at most once a second, however often it is asked
// itself: the question writes a row, and anybody may ask.
type readiness struct {
	ask func(context.Context) error

	mu   sync.Mutex
	at   time.Time // of the last answer, by the monotonic clock
	last error
}

const readyEvery = time.Second

func (r *readiness) check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at.IsZero() || time.Since(r.at) >= readyEvery {
		// Not the asker's context: whoever hangs up decides nothing for the next.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		r.last = r.ask(ctx)
		r.at = time.Now()
	}
	return r.last
}
