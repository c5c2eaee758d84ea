package throttle

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	usualKiB    = 19_456 // argon2id as method/password sets it
	heaviestKiB = 65_536 // the heaviest hash that an import may bring (ruling 24)
	perSlot     = 64     // 2 s ÷ 31 ms: whoever stands further back would wait in vain
	// strangersTurn is how many known ones are served in a row while a stranger
	// waits. One in eight costs the known 12.5 % at worst, and keeps first
	// sign-ins alive when one member floods from a known browser.
	strangersTurn = 7
)

var (
	errFull   = errors.New("throttle: too many wait for a password hash")
	errPushed = errors.New("throttle: gave way to another network in the queue for a password hash")
	errWaited = errors.New("throttle: waited too long for a password hash")
)

// GateConfig sets a Gate. Every field may be left zero.
type GateConfig struct {
	Slots int // hashes at once; 0: GOMAXPROCS
	// MemoryKiB is what the running hashes may take together. 0: one of the
	// heaviest, 64 MiB, beside Slots-1 usual ones of 19 MiB, so that usual ones
	// cannot keep out a heavy one. A hash over the budget runs alone.
	MemoryKiB int
	Wait      time.Duration // longest wait; 0: 2 s
	Queue     int           // known ones waiting, and as many strangers; 0: 64 per slot
	PerPrefix int           // strangers waiting from one /24 or /48; 0: half of Queue, so that no network can fill it alone
}

// Gate bounds the password hashes that run at once. It never leaves a slot
// idle while somebody waits whose hash fits in the memory left. Known browsers
// and API accounts go first; within each class the networks take turns.
//
// Time in it is the monotonic clock of the runtime: the wall clock decides
// nothing here.
type Gate struct {
	memory int
	wait   time.Duration

	mu        sync.Mutex
	slots     int // free
	kib       int // free
	known     queue
	strangers queue
	inRow     int // known ones served since a stranger was, while strangers wait
}

// NewGate makes a Gate.
func NewGate(c GateConfig) *Gate {
	if c.Slots <= 0 {
		c.Slots = runtime.GOMAXPROCS(0)
	}
	if c.MemoryKiB <= 0 {
		c.MemoryKiB = heaviestKiB + (c.Slots-1)*usualKiB
	}
	if c.Wait <= 0 {
		c.Wait = 2 * time.Second
	}
	if c.Queue <= 0 {
		c.Queue = perSlot * c.Slots
	}
	if c.PerPrefix <= 0 {
		c.PerPrefix = max(1, c.Queue/2)
	}
	return &Gate{
		memory: c.MemoryKiB, wait: c.Wait, slots: c.Slots, kib: c.MemoryKiB,
		// An office at nine o'clock is one network: the known have no limit of that kind.
		known:     queue{max: c.Queue, perLine: c.Queue, lines: map[netip.Prefix]*line{}},
		strangers: queue{max: c.Queue, perLine: c.PerPrefix, lines: map[netip.Prefix]*line{}},
	}
}

// Enter waits for leave to run a hash of kib KiB (less than 1 counts as 1) for
// somebody at addr; known says that it is a browser known to the person, or an
// API account. Call leave when the hash is done, always; more calls do nothing.
// Who cannot be served in time gets Busy with RetryAfter; so does a caller
// whose context ends, with the context's error as the cause.
func (g *Gate) Enter(ctx context.Context, known bool, addr netip.Addr, kib int) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, g.busy(err)
	}
	kib = min(max(kib, 1), g.memory)
	q := &g.strangers
	if known {
		q = &g.known
	}

	g.mu.Lock()
	if g.fits(kib) { // then nobody who waits fits
		g.take(kib)
		g.mu.Unlock()
		return g.leaver(kib), nil
	}
	w := q.add(prefixOf(addr), kib)
	g.mu.Unlock()
	if w == nil {
		return nil, g.busy(errFull)
	}

	t := time.NewTimer(g.wait)
	defer t.Stop()
	var cause error
	select {
	case err := <-w.called:
		return g.served(w, err)
	case <-ctx.Done():
		cause = ctx.Err()
	case <-t.C:
		cause = errWaited
	}

	g.mu.Lock()
	waiting := q.leave(w)
	g.mu.Unlock()
	if waiting {
		return nil, g.busy(cause)
	}
	leave, err = g.served(w, <-w.called) // called in the same moment
	if err == nil && ctx.Err() != nil {
		leave()
		return nil, g.busy(ctx.Err())
	}
	return leave, err
}

func (g *Gate) served(w *waiter, err error) (func(), error) {
	if err != nil {
		return nil, g.busy(err)
	}
	return g.leaver(w.kib), nil
}

// busy asks to come back after one full wait: by then the queue of now is gone.
func (g *Gate) busy(cause error) error {
	return &authn.Error{Code: authn.Busy, RetryAfter: max(g.wait, time.Second), Err: cause}
}

func (g *Gate) fits(kib int) bool { return g.slots > 0 && kib <= g.kib }

func (g *Gate) take(kib int) { g.slots--; g.kib -= kib }

func (g *Gate) leaver(kib int) func() {
	left := false
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if left {
			return
		}
		left = true
		g.slots++
		g.kib += kib
		for g.slots > 0 {
			w := g.next()
			if w == nil {
				return
			}
			g.take(w.kib)
			w.called <- nil
		}
	}
}

// next takes out of its queue whoever is to be served, or gives nil if nobody
// who waits fits.
func (g *Gate) next() *waiter {
	if g.strangers.n == 0 {
		g.inRow = 0
	}
	if g.inRow < strangersTurn {
		if w := g.known.next(g.fits); w != nil {
			g.inRow++
			return w
		}
	}
	if w := g.strangers.next(g.fits); w != nil {
		g.inRow = 0
		return w
	}
	return g.known.next(g.fits)
}

// queue is one class of waiters, in lines by network.
type queue struct {
	max     int
	perLine int
	n       int
	lines   map[netip.Prefix]*line
	turns   []*line // whose turn is next; the first is served first
}

type line struct {
	prefix  netip.Prefix
	waiters []*waiter // oldest first
}

type waiter struct {
	kib    int
	line   *line
	called chan error // gets one value: nil to go in, or why not
}

// add puts a waiter at the end of its line, or gives nil. A full queue gives up
// the newest of the longest line, if the newcomer's is shorter by two: so no
// network keeps others out by being there first.
func (q *queue) add(p netip.Prefix, kib int) *waiter {
	l := q.lines[p]
	if l == nil {
		l = &line{prefix: p}
	}
	if len(l.waiters) >= q.perLine {
		return nil
	}
	if q.n >= q.max {
		longest := slices.MaxFunc(q.turns, func(a, b *line) int { return len(a.waiters) - len(b.waiters) })
		if len(longest.waiters) < len(l.waiters)+2 {
			return nil
		}
		out := longest.waiters[len(longest.waiters)-1]
		q.leave(out)
		out.called <- errPushed
	}
	w := &waiter{kib: kib, line: l, called: make(chan error, 1)}
	if len(l.waiters) == 0 {
		q.lines[p] = l
		q.turns = append(q.turns, l)
	}
	l.waiters = append(l.waiters, w)
	q.n++
	return w
}

// next takes out the first that fits, in the order of turns; its line then has
// the last turn. Who does not fit is passed over, not waited for.
func (q *queue) next(fits func(kib int) bool) *waiter {
	for i, l := range q.turns {
		for _, w := range l.waiters {
			if !fits(w.kib) {
				continue
			}
			q.turns = append(slices.Delete(q.turns, i, i+1), l)
			q.leave(w)
			return w
		}
	}
	return nil
}

// leave takes w out and reports whether it was still there.
func (q *queue) leave(w *waiter) bool {
	l := w.line
	i := slices.Index(l.waiters, w)
	if i < 0 {
		return false
	}
	l.waiters = slices.Delete(l.waiters, i, i+1)
	q.n--
	if len(l.waiters) == 0 {
		delete(q.lines, l.prefix)
		q.turns = slices.Delete(q.turns, slices.Index(q.turns, l), slices.Index(q.turns, l)+1)
	}
	return true
}
