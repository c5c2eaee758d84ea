package throttle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

var (
	netA          = netip.MustParseAddr("192.0.2.1")
	netB          = netip.MustParseAddr("198.51.100.1")
	netC          = netip.MustParseAddr("203.0.113.1")
	siteA, siteA2 = netip.MustParseAddr("2001:db8:a:1::1"), netip.MustParseAddr("2001:db8:a:2::1")
	siteB         = netip.MustParseAddr("2001:db8:b:1::1")
)

// hall is a gate with people who come to it one after the other; it must be
// used inside a bubble.
type hall struct {
	t      *testing.T
	g      *Gate
	mu     sync.Mutex
	order  []string // who was served
	inside map[string]func()
	out    map[string]error // who was refused
}

func newHall(t *testing.T, c GateConfig) *hall {
	return &hall{t: t, g: NewGate(c), inside: map[string]func(){}, out: map[string]error{}}
}

func (h *hall) come(name string, known bool, a netip.Addr, kib int) {
	h.comeFor(h.t.Context(), name, known, a, kib)
}

func (h *hall) comeFor(ctx context.Context, name string, known bool, a netip.Addr, kib int) {
	go func() {
		leave, err := h.g.Enter(ctx, known, a, kib)
		h.mu.Lock()
		defer h.mu.Unlock()
		if err != nil {
			h.out[name] = err
			return
		}
		h.order = append(h.order, name)
		h.inside[name] = leave
	}()
	synctest.Wait()
}

func (h *hall) go_(names ...string) {
	h.t.Helper()
	for _, name := range names {
		leave := h.inside[name]
		if leave == nil {
			h.t.Fatalf("%s is not inside; served so far: %v", name, h.order)
		}
		delete(h.inside, name)
		leave()
		synctest.Wait()
	}
}

// drain lets everybody finish in turn and gives the order of service.
func (h *hall) drain() string {
	for len(h.inside) > 0 {
		for _, name := range h.order {
			if h.inside[name] != nil {
				h.go_(name)
				break
			}
		}
	}
	return strings.Join(h.order, " ")
}

func (h *hall) isInside(names ...string) {
	h.t.Helper()
	for _, name := range names {
		if h.inside[name] == nil {
			h.t.Errorf("%s is not inside; inside: %d, served: %v", name, len(h.inside), h.order)
		}
	}
}

func (h *hall) waiting() int {
	h.g.mu.Lock()
	defer h.g.mu.Unlock()
	return h.g.known.n + h.g.strangers.n
}

func busy(t *testing.T, err error) {
	t.Helper()
	var e *authn.Error
	if !errors.As(err, &e) || e.Code != authn.Busy || e.RetryAfter < time.Second {
		t.Errorf("err = %v, want busy with a time to come back", err)
	}
}

func TestGate_rul12_order(t *testing.T) {
	type guest struct {
		name  string
		known bool
		addr  netip.Addr
	}
	tests := []struct {
		name   string
		guests []guest
		want   string
	}{
		{"known before strangers", []guest{{"s1", false, netA}, {"k1", true, netA}, {"s2", false, netB}, {"k2", true, netB}}, "k1 k2 s1 s2"},
		{"first come first served within a network", []guest{{"a1", false, netA}, {"a2", false, netA}, {"a3", false, netA}}, "a1 a2 a3"},
		{"in turn by /24", []guest{{"a1", false, netA}, {"a2", false, netip.MustParseAddr("192.0.2.200")}, {"a3", false, netA}, {"b1", false, netB}, {"c1", false, netC}, {"b2", false, netB}}, "a1 b1 c1 a2 b2 a3"},
		{"in turn by /48", []guest{{"a1", false, siteA}, {"a2", false, siteA2}, {"a3", false, siteA}, {"b1", false, siteB}}, "a1 b1 a2 a3"},
		{"IPv4 in IPv6 is IPv4", []guest{{"a1", false, netA}, {"a2", false, netip.AddrFrom16(netA.As16())}, {"b1", false, netB}}, "a1 b1 a2"},
		{"no address is one network", []guest{{"n1", false, netip.Addr{}}, {"n2", false, netip.Addr{}}, {"b1", false, netB}}, "n1 b1 n2"},
		{"the known are in turn too", []guest{{"a1", true, netA}, {"a2", true, netA}, {"b1", true, netB}}, "a1 b1 a2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(t, GateConfig{Slots: 1})
				h.come("first", true, netA, 1)
				for _, g := range tt.guests {
					h.come(g.name, g.known, g.addr, 1)
				}
				if got := h.drain(); got != "first "+tt.want {
					t.Errorf("served %s, want first %s", got, tt.want)
				}
			})
		})
	}
}

func TestGate_strangersAreNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, GateConfig{Slots: 1})
		h.come("first", true, netA, 1)
		h.come("stranger", false, netB, 1)
		for i := range 20 {
			h.come(fmt.Sprint("k", i), true, netA, 1)
		}
		h.come("stranger2", false, netB, 1)
		h.drain()
		// strangersTurn known ones each, counted from when a stranger waits.
		if a, b := slices.Index(h.order, "stranger"), slices.Index(h.order, "stranger2"); a > 8 || b > 16 || a < 7 || b < 15 {
			t.Errorf("strangers came at %d and %d: %v", a, b, h.order)
		}
	})
}

func TestGate_weightIsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, GateConfig{Slots: 4, MemoryKiB: 40_000})
		h.come("a", false, netA, 19_000)
		h.come("b", false, netA, 19_000)
		h.come("c", false, netA, 19_000) // 2,000 KiB are left
		if h.waiting() != 1 {
			t.Fatalf("%d wait, want 1", h.waiting())
		}
		h.come("small", false, netA, 2000) // a slot is free and it fits: no waiting
		h.isInside("a", "b", "small")
		h.come("small2", false, netB, 1500)
		h.go_("small") // now small2 fits and c does not
		h.isInside("small2")
		h.go_("a")
		h.isInside("b", "small2", "c")
		h.drain()
	})
}

func TestGate_hashOverTheBudgetRunsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, GateConfig{Slots: 2, MemoryKiB: 30_000})
		h.come("usual", false, netA, 19_456)
		h.come("huge", false, netA, 65_536)
		if h.waiting() != 1 {
			t.Fatal("a hash over the budget ran beside another")
		}
		h.go_("usual")
		h.isInside("huge")
		h.come("zero", false, netA, 0)
		if h.waiting() != 1 {
			t.Error("a weight of 0 went in beside a hash that takes all memory")
		}
		h.go_("huge")
		h.isInside("zero")
		h.drain()
	})
}

// The default budget has room for the heaviest hash beside usual ones, so that
// usual ones cannot keep it waiting for ever.
func TestGate_defaults(t *testing.T) {
	g := NewGate(GateConfig{})
	procs := runtime.GOMAXPROCS(0)
	if g.slots != procs || g.wait != 2*time.Second || g.memory != heaviestKiB+(procs-1)*usualKiB {
		t.Errorf("slots %d, wait %v, memory %d KiB", g.slots, g.wait, g.memory)
	}
	if g.strangers.max != 64*procs || g.strangers.perLine != 32*procs || g.known.perLine != 64*procs {
		t.Errorf("queue %d, per network %d, of the known %d", g.strangers.max, g.strangers.perLine, g.known.perLine)
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, GateConfig{Slots: 3})
		h.come("a", false, netA, usualKiB)
		h.come("b", false, netA, usualKiB)
		h.come("heavy", false, netB, heaviestKiB)
		h.isInside("a", "b", "heavy")
		h.drain()
	})
}

func TestGate_waitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, GateConfig{Slots: 1, Wait: 3 * time.Second})
		h.come("in", false, netA, 1)
		begin := time.Now()
		_, err := h.g.Enter(t.Context(), true, netA, 1)
		busy(t, err)
		if !errors.Is(err, errWaited) || time.Since(begin) != 3*time.Second || authn.AsError(err).RetryAfter != 3*time.Second {
			t.Errorf("refused after %v with %v", time.Since(begin), err)
		}
		if h.waiting() != 0 {
			t.Error("who gave up still has a place")
		}
		h.go_("in")
		h.come("next", false, netA, 1)
		h.isInside("next")
		h.drain()
	})
}

func TestGate_cancelledWaiterFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, GateConfig{Slots: 1, Queue: 2, PerPrefix: 2})
		h.come("in", false, netA, 1)
		ctx, cancel := context.WithCancel(t.Context())
		h.comeFor(ctx, "gone", false, netA, 1)
		h.come("b", false, netA, 1)
		cancel()
		synctest.Wait()
		busy(t, h.out["gone"])
		if !errors.Is(h.out["gone"], context.Canceled) {
			t.Errorf("the cause is lost: %v", h.out["gone"])
		}
		h.come("c", false, netA, 1) // fits into the place of gone
		if got := h.drain(); got != "in b c" {
			t.Errorf("served %s", got)
		}
		_, err := h.g.Enter(ctx, true, netA, 1)
		busy(t, err)
		if h.g.slots != 1 {
			t.Error("a call with an ended context took a slot")
		}
	})
}

func TestGate_leaveTwiceIsOnce(t *testing.T) {
	g := NewGate(GateConfig{Slots: 1})
	leave, err := g.Enter(t.Context(), false, netA, 5)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	leave()
	if g.slots != 1 || g.kib != g.memory {
		t.Errorf("%d slots and %d KiB are free, of 1 and %d", g.slots, g.kib, g.memory)
	}
}

func TestGate_queueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, GateConfig{Slots: 1, Queue: 4, PerPrefix: 3})
		h.come("in", false, netA, 1)
		for i := 1; i <= 4; i++ {
			h.come(fmt.Sprint("a", i), false, netA, 1)
		}
		if !errors.Is(h.out["a4"], errFull) {
			t.Fatalf("the fourth of a network with three places: %v", h.out["a4"])
		}
		h.come("b1", false, netB, 1) // the queue is full now
		h.come("c1", false, netC, 1) // takes the place of the newest of the longest line
		busy(t, h.out["a3"])
		if !errors.Is(h.out["a3"], errPushed) {
			t.Fatalf("a3: %v", h.out["a3"])
		}
		h.come("b2", false, netB, 1) // b would have two as a has: no gain
		if !errors.Is(h.out["b2"], errFull) {
			t.Fatalf("b2: %v", h.out["b2"])
		}
		for i := 1; i <= 5; i++ { // the known have places of their own
			h.come(fmt.Sprint("k", i), true, netA, 1)
		}
		if !errors.Is(h.out["k5"], errFull) || h.waiting() != 8 {
			t.Fatalf("k5: %v; %d wait", h.out["k5"], h.waiting())
		}
		if got := h.drain(); got != "in k1 k2 k3 k4 a1 b1 c1 a2" {
			t.Errorf("served %s", got)
		}
	})
}

// cve-22: 500 sign-ins at once.
func TestGate_cve22_500AtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, hash = 2, 31 * time.Millisecond
		g := NewGate(GateConfig{Slots: slots})
		var inside, most, served, servedKnown atomic.Int64
		var wg sync.WaitGroup
		begin := time.Now()
		for i := range 500 {
			addr := netip.AddrFrom4([4]byte{10, 0, byte(i % 50), byte(i)})
			wg.Go(func() {
				leave, err := g.Enter(t.Context(), i%10 == 0, addr, usualKiB)
				if err != nil {
					busy(t, err)
					return
				}
				defer leave()
				n := inside.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				time.Sleep(hash)
				inside.Add(-1)
				served.Add(1)
				if i%10 == 0 {
					servedKnown.Add(1)
				}
			})
		}
		wg.Wait()
		if most.Load() != slots {
			t.Errorf("%d hashes at once, want %d", most.Load(), slots)
		}
		// What two slots can do in two seconds is done, and all 50 known are served.
		if n := served.Load(); n < int64(slots*(2*time.Second/hash)) || servedKnown.Load() != 50 {
			t.Errorf("%d of 500 were served, %d of 50 known", n, servedKnown.Load())
		}
		if d := time.Since(begin); d > 2*time.Second+2*hash {
			t.Errorf("it took %v", d)
		}
	})
}

// What always holds: never more than the slots and the memory, and no slot is
// idle while somebody waits who fits.
func (g *Gate) check(slots int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slots < 0 || g.kib < 0 || g.slots > slots || g.kib > g.memory {
		return fmt.Errorf("%d slots, %d KiB are free", g.slots, g.kib)
	}
	for _, q := range []*queue{&g.known, &g.strangers} {
		n := 0
		for _, l := range q.turns {
			if len(l.waiters) == 0 || q.lines[l.prefix] != l || len(l.waiters) > q.perLine {
				return fmt.Errorf("a line of %d for %v", len(l.waiters), l.prefix)
			}
			for _, w := range l.waiters {
				if g.fits(w.kib) {
					return fmt.Errorf("%d KiB wait while %d slots and %d KiB are free", w.kib, g.slots, g.kib)
				}
				n++
			}
		}
		if n != q.n || n > q.max || len(q.turns) != len(q.lines) {
			return fmt.Errorf("%d wait, counted %d, in %d lines of %d", n, q.n, len(q.turns), len(q.lines))
		}
	}
	return nil
}

func TestGate_rul12_property(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 12))
			slots := 1 + rnd.IntN(4)
			g := NewGate(GateConfig{Slots: slots, MemoryKiB: 20 + rnd.IntN(80), Queue: 1 + rnd.IntN(12), Wait: 50 * time.Millisecond})
			var mu sync.Mutex
			var leaves []func()
			var cancels []context.CancelFunc
			var wg sync.WaitGroup
			for range 400 {
				switch r := rnd.IntN(10); {
				case r < 5:
					ctx, cancel := context.WithCancel(t.Context())
					cancels = append(cancels, cancel)
					addr := netip.AddrFrom4([4]byte{10, 0, byte(rnd.IntN(5)), 1})
					known, kib := rnd.IntN(3) == 0, rnd.IntN(60)
					wg.Go(func() {
						if leave, err := g.Enter(ctx, known, addr, kib); err == nil {
							mu.Lock()
							leaves = append(leaves, leave)
							mu.Unlock()
						}
					})
				case r < 8:
					mu.Lock()
					if len(leaves) > 0 {
						i := rnd.IntN(len(leaves))
						leave := leaves[i]
						leaves = slices.Delete(leaves, i, i+1)
						go leave()
					}
					mu.Unlock()
				case r < 9:
					if len(cancels) > 0 {
						cancels[rnd.IntN(len(cancels))]()
					}
				default:
					time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
				}
				if rnd.IntN(3) > 0 { // else two things happen in the same moment
					synctest.Wait()
				}
				if err := g.check(slots); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			for more := true; more; {
				synctest.Wait() // nothing moves now but by this loop
				now := leaves
				leaves = nil
				for _, leave := range now {
					leave()
				}
				more = len(now) > 0
			}
			wg.Wait()
			for _, cancel := range cancels {
				cancel()
			}
			if g.slots != slots || g.kib != g.memory {
				t.Fatalf("seed %d: at the end %d of %d slots, %d of %d KiB are free", seed, g.slots, slots, g.kib, g.memory)
			}
		})
	}
}

// For the race detector: real goroutines, real time.
func TestGate_race(t *testing.T) {
	g := NewGate(GateConfig{Slots: 2, Queue: 8, Wait: time.Millisecond})
	var inside atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for j := range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				if j%5 == 0 {
					go cancel()
				}
				leave, err := g.Enter(ctx, i%4 == 0, netip.AddrFrom4([4]byte{10, byte(i), 0, 1}), usualKiB)
				if err == nil {
					if inside.Add(1) > 2 {
						t.Error("more than two inside")
					}
					runtime.Gosched()
					inside.Add(-1)
					leave()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if err := g.check(2); err != nil || g.slots != 2 || g.kib != g.memory {
		t.Errorf("at the end %d slots and %d KiB are free; %v", g.slots, g.kib, err)
	}
}

func BenchmarkGate_free(b *testing.B) {
	g := NewGate(GateConfig{Slots: 2})
	b.ReportAllocs()
	for b.Loop() {
		leave, err := g.Enter(b.Context(), true, netA, usualKiB)
		if err != nil {
			b.Fatal(err)
		}
		leave()
	}
}
