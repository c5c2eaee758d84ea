package throttle

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Rate is a token bucket: Burst at once, and PerMinute in the long run.
type Rate struct {
	PerMinute int // 0: the default of its level; negative: no limit at this level
	Burst     int // 0: half of PerMinute, at least 1
}

// AddressesConfig sets Addresses. Every field may be left zero.
type AddressesConfig struct {
	IPv4Address Rate // /32; 0: 60 per minute, 30 at once
	IPv4Net     Rate // /24; 0: 300 per minute, 150 at once
	IPv6Subnet  Rate // /64, one household's network or one machine's; 0: 60, 30
	IPv6Home    Rate // /56, what a home gets (RFC 6177); 0: 120, 60
	IPv6Site    Rate // /48, what an organisation gets; 0: 600, 300
	// Entries is how many networks are remembered at each level, rounded up to a
	// power of two; 0: 16,384 (16 bytes each, 1.25 MiB for all levels).
	Entries int
	Now     func() time.Time // nil: time.Now
}

// Addresses limits how often strangers at one address, and in one network, may
// try anything that costs us. A request must pass every level; one that is
// refused costs nothing at any level, so that one address alone cannot shut its
// neighbours out.
//
// # Memory and forgetting
//
// Each level has a table of fixed size: sets of eight places, each with a time
// at which its bucket will be full again. Which set a network is in depends on
// a random key, so nobody can aim. A newcomer to a full set takes the place
// with the least debt, and takes over that debt. Hence a forgotten network that
// comes back finds at least the debt that it had (the bound of the Space-Saving
// algorithm; Metwally et al. 2005): flooding wipes no bucket, one's own or
// anybody's. The price is that newcomers begin with a smaller burst while more
// networks are active than fit, 16,384 of them within half a minute.
type Addresses struct {
	v4, v6 []*level
	none   *level // who has no valid address shares one bucket

	mu    sync.Mutex
	clock clock
}

// NewAddresses makes Addresses.
func NewAddresses(c AddressesConfig) *Addresses {
	if c.Entries <= 0 {
		c.Entries = 16_384
	}
	sets := 1
	for sets*ways < c.Entries {
		sets *= 2
	}
	seed := maphash.MakeSeed()
	mk := func(bits, sets int, r Rate, perMinute int) *level {
		if r.PerMinute == 0 {
			r.PerMinute = perMinute
		}
		if r.PerMinute < 0 {
			return &level{}
		}
		if r.Burst <= 0 {
			r.Burst = max(1, r.PerMinute/2)
		}
		each := time.Minute / time.Duration(r.PerMinute)
		return &level{bits: bits, each: each, slack: each * time.Duration(r.Burst-1), seed: seed, sets: make([]set, sets)}
	}
	return &Addresses{
		v4:    []*level{mk(24, sets, c.IPv4Net, 300), mk(32, sets, c.IPv4Address, 60)},
		v6:    []*level{mk(48, sets, c.IPv6Site, 600), mk(56, sets, c.IPv6Home, 120), mk(64, sets, c.IPv6Subnet, 60)},
		none:  mk(0, 1, c.IPv4Address, 60),
		clock: newClock(c.Now),
	}
}

// Allow takes one token at each level of addr's, or says TooManyRequests with
// RetryAfter. Known browsers are not asked here: the caller lets them by.
func (a *Addresses) Allow(addr netip.Addr) error {
	addr = addr.Unmap()
	levels := a.v6
	switch {
	case !addr.IsValid():
		levels = []*level{a.none}
	case addr.Is4():
		levels = a.v4
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.read()
	var found [3]*bucket
	var keys [3]uint64
	var wait time.Duration
	for i, l := range levels {
		if l.sets == nil {
			continue
		}
		keys[i] = l.key(addr)
		found[i] = l.find(keys[i])
		wait = max(wait, found[i].full-now-l.slack)
	}
	if wait > 0 {
		return &authn.Error{Code: authn.TooManyRequests, RetryAfter: wait}
	}
	for i, l := range levels {
		if b := found[i]; b != nil {
			b.key, b.full = keys[i], max(b.full, now)+l.each
		}
	}
	return nil
}

const ways = 8

type (
	// level is one prefix length. A bucket is kept as the time at which it will
	// be full (the generic cell rate algorithm of ITU-T I.371): a request moves
	// that time by each, and may not move it further than slack ahead of now.
	level struct {
		bits  int
		each  time.Duration
		slack time.Duration
		seed  maphash.Seed
		sets  []set
	}
	set    [ways]bucket
	bucket struct {
		key  uint64 // keyed hash of the prefix; two networks with one key share a bucket
		full time.Duration
	}
)

func (l *level) key(addr netip.Addr) uint64 {
	var b [17]byte
	b[16] = byte(l.bits)
	if p, err := addr.Prefix(l.bits); err == nil {
		ip := p.Addr().As16()
		copy(b[:], ip[:])
	}
	return maphash.Bytes(l.seed, b[:])
}

// find is the bucket of key, or the one whose place and debt it would take
// over. The caller writes key into it only if the request passes.
func (l *level) find(key uint64) *bucket {
	s := &l.sets[key&uint64(len(l.sets)-1)]
	least := &s[0]
	for i := range s {
		if s[i].key == key {
			return &s[i]
		}
		if s[i].full < least.full {
			least = &s[i]
		}
	}
	return least
}
