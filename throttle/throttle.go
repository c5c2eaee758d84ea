// Package throttle keeps strangers from using up what everybody needs: the
// processor and memory of password hashes ([Gate]), and the patience of the
// server with one address ([Addresses]). [Alarm] only tells.
//
// # Flow
//
// A sign-in from a browser that the person has not used before first passes
// Addresses; then the guess is charged in the database; then method/password
// enters the Gate for its hash. A known browser passes Addresses by. A failure
// is reported to Alarm. The counts that protect an account (wrong answers per
// factor and lane, rulings 8 and 10) are rows of the store and not here: they
// must hold over nodes and restarts. What is here is in memory, belongs to one
// node, and may be forgotten: it saves work, it decides about nobody.
//
// # Threats
//
//   - 500 sign-ins at once (cve-22): an argon2id hash takes 19 MiB and 31 ms.
//     The Gate bounds both by memory and by calls (security.md 4.5, ruling 12),
//     bounds the queue, and answers busy instead of growing.
//   - A flood from one network: strangers are served in turn by /24 and /48,
//     and a full queue gives up the newest of whoever waits with the most.
//   - A flood from everywhere: browsers that are known come first.
//   - One member who floods from a known browser: one hash in eight is a
//     stranger's while any waits, so that first sign-ins still work.
//   - Forgetting by flooding (cve-14): Addresses is a table of fixed size in
//     which a forgotten address is never better off than a remembered one.
//   - IPv6 gives everybody 2^64 addresses: limits stand at /64, /56 and /48 and
//     not at /128. IPv4 in IPv6 clothes counts as IPv4.
//   - A clock that is set back refills nothing; one that jumped ahead and is
//     corrected blocks nobody for the difference.
//
// ASVS 5.0, 6.1.1 asks that these rules are written down: they are the fields
// and defaults of [GateConfig], [AddressesConfig] and [AlarmConfig].
package throttle

import (
	"net/netip"
	"time"
)

// prefixOf is the network at whose turn somebody waits: /24 of IPv4, /48 of
// IPv6 (a site, RFC 6177). Who has no address shares the zero one.
func prefixOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // fails for the zero Addr only, and gives the zero Prefix
	return p
}

// clock counts the time that went by and never takes any back. It is not safe
// for concurrent use: it is read under the lock of its owner, so that readings
// cannot overtake each other.
type clock struct {
	now     func() time.Time
	last    time.Time
	elapsed time.Duration
}

func newClock(now func() time.Time) clock {
	if now == nil {
		now = time.Now
	}
	return clock{now: now, last: now()}
}

func (c *clock) read() time.Duration {
	t := c.now()
	if d := t.Sub(c.last); d > 0 {
		c.elapsed += d
	}
	c.last = t
	return c.elapsed
}
