package session

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Limits of what is kept between two looks (ruling 30).
const (
	keptFor  = time.Second // counted from before the database was read, on the monotonic clock
	keptMost = 32_768      // sessions; about 4 KiB each
)

// cache remembers sessions that were found good, for a second at most. What is in it
// goes when a commit of this process changes it, and after the second in any case: so
// the end of a session that another process wrote counts within a second.
type cache struct {
	mu         sync.RWMutex
	young, old map[[sha256.Size]byte]kept
	turned     time.Duration
}

type kept struct {
	cur        Current
	generation uint64
	at         time.Duration
}

// find gives what is kept under a token, if it may still be used.
func (c *cache) find(key [sha256.Size]byte, now time.Duration) (kept, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	k, ok := c.young[key]
	if !ok {
		k, ok = c.old[key]
	}
	return k, ok && now-k.at < keptFor
}

// keep remembers a session. Whatever is older than a second goes with its map.
func (c *cache) keep(key [sha256.Size]byte, k kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || k.at-c.turned >= keptFor {
		c.old, c.young, c.turned = c.young, map[[sha256.Size]byte]kept{}, k.at
	}
	if len(c.young) < keptMost/2 {
		c.young[key] = k
	}
}

// Glance is Check for a request that only reads, and may be a second old (ruling 30,
// inv-F): what this process changed counts at once, and what another one changed within a
// second. Times are judged as of now. It is never for a request that changes something,
// for a fresh proof, or for ways to verify; and people with rights in the administration,
// and those whom a host program keeps, are looked up each time. Errors: those of Check.
func (s *Service) Glance(ctx context.Context, token string, c authn.Client) (Current, error) {
	key, now, at := sha256.Sum256([]byte(token)), s.c.Now(), s.c.Monotonic()
	if k, ok := s.cache.find(key, at); ok && s.fits(k, now) {
		cur := k.cur
		cur.Factors, cur.User.Roles = slices.Clone(cur.Factors), slices.Clone(cur.User.Roles)
		if err := s.c.Valid(&authn.Rows{Company: &cur.Company, User: &cur.User, Session: &cur.Session, Factors: cur.Factors, Lane: cur.Lane}, now); err != nil {
			return Current{}, err
		}
		return cur, nil
	}
	commits := s.c.Store.Commits()
	cur, err := s.Check(ctx, token, c)
	if err != nil || cur.User.ExternalID != "" || s.c.Rights(cur.Company, cur.User) {
		return cur, err
	}
	k := kept{cur: cur, generation: s.c.Store.Generation(cur.Company.ID, cur.User.ID), at: at}
	k.cur.Factors, k.cur.User.Roles = slices.Clone(cur.Factors), slices.Clone(cur.User.Roles)
	if s.c.Store.Commits() == commits { // else it may be of before a change
		s.cache.keep(key, k)
	}
	return cur, nil
}

// fits reports whether nothing changed since, and nothing is to be written.
func (s *Service) fits(k kept, now time.Time) bool {
	return s.c.Store.Generation(k.cur.Company.ID, k.cur.User.ID) == k.generation && now.Sub(k.cur.Session.LastSeenAt) < seenEvery
}
