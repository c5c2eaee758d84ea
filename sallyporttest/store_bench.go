package sallyporttest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// BenchStore measures what the verify path costs: load the attempt, charge,
// accept, move the attempt, store a session and two events, commit. p50 and p99
// are reported beside the rate; compare medians of one run.
func BenchStore(b *testing.B, open func(b *testing.B) *Fixture) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("verify/callers=%d", callers), func(b *testing.B) {
			bb := newBench(b, open, 512)
			bb.run(callers, bb.verify)
		})
	}
	b.Run("refuse/callers=64", func(b *testing.B) {
		bb := newBench(b, open, 512)
		bb.run(64, bb.refuse)
	})
	b.Run("session/callers=64", func(b *testing.B) {
		bb := newBench(b, open, 512)
		bb.run(64, bb.session)
	})
}

type bench struct {
	*world
	b        *testing.B
	people   []*person
	attempts []authn.Token
	sessions []authn.Token
	step     atomic.Int64
}

func newBench(b *testing.B, open func(*testing.B) *Fixture, people int) *bench {
	b.Helper()
	w := &world{Fixture: open(b), t: b, ctx: context.Background(), now: time.Now()}
	w.company = w.newCompany("acme")
	bb := &bench{world: w, b: b, people: make([]*person, people), attempts: make([]authn.Token, people), sessions: make([]authn.Token, people)}
	together(people, func(i int) {
		bb.people[i] = w.newPerson(w.company, fmt.Sprintf("user%d", i))
		_, bb.attempts[i] = bb.people[i].newAttempt("cookie")
		_, bb.sessions[i] = bb.people[i].newSession()
	})
	return bb
}

// run spreads b.N operations over the callers, each with people of its own.
func (bb *bench) run(callers int, op func(i int)) {
	took := make([][]time.Duration, callers)
	var next atomic.Int64
	bb.b.ReportAllocs()
	bb.b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; next.Add(1) <= int64(bb.b.N); i += callers {
				from := time.Now()
				op(i % len(bb.people))
				took[c] = append(took[c], time.Since(from))
			}
		})
	}
	wg.Wait()
	spent := time.Since(start)
	bb.b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	bb.b.ReportMetric(float64(len(all))/spent.Seconds(), "op/s")
	bb.b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	bb.b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

func (bb *bench) verify(i int) {
	p, now := bb.people[i], time.Now() // ids grow with time, and rows with them
	k := authn.Keys{Company: p.company, AttemptToken: bb.attempts[i], Browser: "cookie", Now: now, Charge: authn.GuessFactor,
		Choose: func(*authn.Rows) (string, error) { return p.app, nil }}
	step := bb.step.Add(1)
	err := bb.Store.Decide(bb.ctx, k, func(r *authn.Rows) authn.Verdict {
		a := *r.Attempt
		a.Version++
		se := authn.Session{ID: authn.NewID(authn.SessionID, now, rand.Reader), AMR: []string{"pwd", "otp"}, ACR: authn.AAL2, AuthTime: now, FactorTime: now,
			CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(24 * time.Hour), Idle: time.Hour, Agent: "Chrome on Windows", Attempt: a.ID}
		return authn.Accept(event("session.started", p.id), authn.Settle{Outcome: authn.Right, Step: step}, authn.PutAttempt{Attempt: a},
			authn.KnowBrowser{}, authn.NewSession{Session: se, Token: authn.NewToken(authn.SessionToken, p.company, se.ID, rand.Reader)}).And(event("factor.proved", p.id))
	})
	if err != nil {
		bb.b.Error(err)
	}
}

func (bb *bench) refuse(i int) {
	p, now := bb.people[i], time.Now()
	k := authn.Keys{Company: p.company, AttemptToken: bb.attempts[i], Now: now, Factor: p.app, Charge: authn.GuessFactor}
	bb.Store.Decide(bb.ctx, k, func(r *authn.Rows) authn.Verdict {
		if !r.Charged.Paid {
			return authn.Drop(authn.Locked)
		}
		a := *r.Attempt
		a.Version++
		return authn.Refuse(authn.WrongCode, event("factor.refused", p.id), authn.Settle{Outcome: authn.Wrong}, authn.PutAttempt{Attempt: a})
	})
}

func (bb *bench) session(i int) {
	rows, err := bb.Store.View(bb.ctx, authn.Keys{Company: bb.company.ID, SessionToken: bb.sessions[i], Now: bb.now})
	if err != nil || rows.Session == nil {
		bb.b.Error(err)
	}
}
