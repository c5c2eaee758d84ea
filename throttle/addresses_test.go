package throttle

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// hand is a clock that is moved by hand.
type hand struct {
	mu sync.Mutex
	t  time.Time
}

func newHand() *hand { return &hand{t: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)} }

func (h *hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.t
}

func (h *hand) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.t = h.t.Add(d)
}

// passed is how many of n requests pass.
func passed(a *Addresses, n int, addr func(i int) netip.Addr) int {
	ok := 0
	for i := range n {
		if a.Allow(addr(i)) == nil {
			ok++
		}
	}
	return ok
}

func only(s string) func(int) netip.Addr {
	a := netip.MustParseAddr(s)
	return func(int) netip.Addr { return a }
}

// within walks through the networks of the given length inside a prefix.
func within(s string, bits int) func(int) netip.Addr {
	p := netip.MustParsePrefix(s)
	return func(i int) netip.Addr {
		b := p.Addr().As16()
		base := binary.BigEndian.Uint64(b[:8])
		shift := 64 - bits
		if p.Addr().Is4() {
			v4 := p.Addr().As4()
			n := binary.BigEndian.Uint32(v4[:]) + uint32(i)<<(32-bits)
			binary.BigEndian.PutUint32(v4[:], n)
			return netip.AddrFrom4(v4)
		}
		binary.BigEndian.PutUint64(b[:8], base+uint64(i)<<shift)
		return netip.AddrFrom16(b)
	}
}

func TestAddresses_rul12_defaults(t *testing.T) {
	tests := []struct {
		name   string
		addr   func(int) netip.Addr
		burst  int
		minute int // more that pass in the minute after, asked for without a pause
	}{
		{"/32", only("192.0.2.7"), 30, 60},
		{"/24", within("192.0.2.0/24", 32), 150, 300},
		{"/64", only("2001:db8::1"), 30, 60},
		{"addresses of one /64", func(i int) netip.Addr {
			b := netip.MustParseAddr("2001:db8::").As16()
			b[15], b[14] = byte(i), byte(i>>8)
			return netip.AddrFrom16(b)
		}, 30, 60},
		{"/56", within("2001:db8:0:100::/56", 64), 60, 120},
		{"/48", within("2001:db8:7::/48", 56), 300, 600},
		{"/48 by /64", within("2001:db8:7::/48", 64), 300, 600},
		{"no address", func(int) netip.Addr { return netip.Addr{} }, 30, 60},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHand()
			a := NewAddresses(AddressesConfig{Now: h.Now})
			wrap := 256 // stay inside the prefix
			in := func(i int) netip.Addr { return tt.addr(i % wrap) }
			if tt.name == "/48 by /64" {
				wrap = 4096
				// neighbours would meet at the /56 first
				in = func(i int) netip.Addr { return tt.addr(i * 257 % 65536) }
			}
			if got := passed(a, 1000, in); got != tt.burst {
				t.Errorf("%d passed at once, want %d", got, tt.burst)
			}
			more := 0
			for i := range 6000 {
				h.move(10 * time.Millisecond)
				if a.Allow(in(i)) == nil {
					more++
				}
			}
			if more != tt.minute {
				t.Errorf("%d passed in the next minute, want %d", more, tt.minute)
			}
		})
	}
}

func TestAddresses_retryAfterIsRight(t *testing.T) {
	h := newHand()
	a := NewAddresses(AddressesConfig{Now: h.Now})
	addr := only("192.0.2.7")
	passed(a, 30, addr)
	err := a.Allow(addr(0))
	e := authn.AsError(err)
	if !errors.Is(err, authn.TooManyRequests) || e.RetryAfter != time.Second {
		t.Fatalf("err %v, retry after %v", err, e.RetryAfter)
	}
	h.move(e.RetryAfter - time.Nanosecond)
	if a.Allow(addr(0)) == nil {
		t.Error("passed too early")
	}
	h.move(time.Nanosecond)
	if err := a.Allow(addr(0)); err != nil {
		t.Errorf("refused after the wait: %v", err)
	}
}

func TestAddresses_refusedCostsTheNeighboursNothing(t *testing.T) {
	a := NewAddresses(AddressesConfig{Now: newHand().Now})
	passed(a, 100_000, only("192.0.2.7"))
	if got := passed(a, 30, only("192.0.2.8")); got != 30 {
		t.Errorf("%d of 30 of the neighbour passed", got)
	}
	passed(a, 100_000, only("2001:db8:1:2::7"))
	if got := passed(a, 30, only("2001:db8:1:3::7")); got != 30 {
		t.Errorf("%d of 30 of the neighbour passed", got)
	}
}

func TestAddresses_mappedIsIPv4(t *testing.T) {
	a := NewAddresses(AddressesConfig{Now: newHand().Now})
	passed(a, 30, only("192.0.2.7"))
	if a.Allow(netip.MustParseAddr("::ffff:192.0.2.7")) == nil {
		t.Error("the same address in IPv6 clothes has a bucket of its own")
	}
	passed(a, 30, only("fe80::1%eth0"))
	if a.Allow(netip.MustParseAddr("fe80::1%eth1")) == nil {
		t.Error("a zone makes a bucket of its own")
	}
}

func TestAddresses_config(t *testing.T) {
	a := NewAddresses(AddressesConfig{IPv4Address: Rate{PerMinute: -1}, IPv4Net: Rate{PerMinute: 10, Burst: 3}, Now: newHand().Now})
	if got := passed(a, 100, only("192.0.2.7")); got != 3 {
		t.Errorf("%d passed, want the 3 of the /24", got)
	}
	if got := passed(a, 100, func(int) netip.Addr { return netip.Addr{} }); got != 100 {
		t.Errorf("%d passed, want all: that level is switched off", got)
	}
	a = NewAddresses(AddressesConfig{IPv4Address: Rate{PerMinute: 1}, Now: nil})
	if got := passed(a, 100, only("192.0.2.7")); got != 1 {
		t.Errorf("%d passed, want 1: half of one a minute, at least one", got)
	}
}

func TestAddresses_clock(t *testing.T) {
	h := newHand()
	a := NewAddresses(AddressesConfig{Now: h.Now})
	addr := only("192.0.2.7")
	passed(a, 30, addr)
	for range 5 {
		h.move(-10 * time.Minute)
		if a.Allow(addr(0)) == nil {
			t.Fatal("a clock that goes backwards refilled")
		}
	}
	h.move(time.Second) // from where it stands now, not from where it once stood
	if err := a.Allow(addr(0)); err != nil {
		t.Errorf("after a second of the clock that was set back: %v", err)
	}
	if a.Allow(addr(0)) == nil {
		t.Error("more than one a second")
	}
}

// cve-14: a flood of other networks does not wipe the bucket of one.
func TestAddresses_cve14_floodForgetsNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		victim string
		flood  func(i int) netip.Addr
	}{
		{"IPv4", "192.0.2.7", within("20.0.0.0/8", 24)},
		{"IPv6", "2001:db8::1", within("2a00::/12", 48)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHand()
			a := NewAddresses(AddressesConfig{Entries: 1024, Now: h.Now})
			size := len(a.v4[0].sets)
			passed(a, 30, only(tt.victim))
			if got := passed(a, 40_000, tt.flood); got < 20_000 {
				t.Logf("%d of the flood passed", got)
			}
			if a.Allow(netip.MustParseAddr(tt.victim)) == nil {
				t.Error("the flood wiped a bucket")
			}
			if len(a.v4[0].sets) != size || size*ways != 1024 {
				t.Errorf("the table has %d sets, had %d", len(a.v4[0].sets), size)
			}
			h.move(time.Minute) // and a minute later all of it is over
			if got := passed(a, 100, only(tt.victim)); got != 30 {
				t.Errorf("%d passed after a minute, want 30", got)
			}
		})
	}
}

// However small the table: nobody passes who would not with a table of any size.
func TestAddresses_property(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 14))
		h := newHand()
		a := NewAddresses(AddressesConfig{Entries: 1 + rnd.IntN(40), Now: h.Now, IPv4Net: Rate{PerMinute: -1}, IPv4Address: Rate{PerMinute: 60, Burst: 4}})
		tokens := map[netip.Addr]float64{}
		last := map[netip.Addr]time.Time{}
		for range 3000 {
			h.move(time.Duration(rnd.IntN(200)) * time.Millisecond)
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(rnd.IntN(60))})
			now := h.Now()
			if _, ok := last[addr]; !ok {
				tokens[addr], last[addr] = 4, now
			}
			tokens[addr] = min(4, tokens[addr]+now.Sub(last[addr]).Seconds())
			last[addr] = now
			if a.Allow(addr) != nil {
				continue
			}
			if tokens[addr]--; tokens[addr] < -1e-6 {
				t.Fatalf("seed %d: %v passed with %f tokens", seed, addr, tokens[addr]+1)
			}
		}
	}
}

func TestAddresses_race(t *testing.T) {
	a := NewAddresses(AddressesConfig{Now: newHand().Now})
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 8 {
		wg.Go(func() {
			n := passed(a, 50, only("192.0.2.7"))
			mu.Lock()
			total += n
			mu.Unlock()
		})
	}
	wg.Wait()
	if total != 30 {
		t.Errorf("%d passed, want 30", total)
	}
}

func BenchmarkAddresses(b *testing.B) {
	h := newHand()
	a := NewAddresses(AddressesConfig{Now: h.Now})
	addr := within("2a00::/12", 48)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		_ = a.Allow(addr(i))
		i++
		h.move(time.Millisecond)
	}
}
