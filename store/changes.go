package store

import (
	"context"
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// changes counts what was committed here of the rows that a session is checked by, so
// that whoever keeps what was read can tell whether it may have changed since. What
// other processes commit is not in it.
type changes struct {
	seed    maphash.Seed
	commits atomic.Uint64 // raised before the others
	all     atomic.Uint64
	people  [1024]atomic.Uint64 // by a hash; two people who share one cost each other a read
}

func (c *changes) of(company, user string) *atomic.Uint64 {
	return &c.people[maphash.Comparable(c.seed, [2]string{company, user})%uint64(len(c.people))]
}

// Commits changes with the generation of anybody, and before it. Who reads it, then rows,
// then the generation of those, and then finds it unchanged, has rows of that generation.
func (s *Store) Commits() uint64 { return s.changed.commits.Load() }

// Generation changes after each commit of this process, and before the call that made it
// returns, that changes the company, the user, or one of the user's sessions and
// factors. A call that answers Busy may still commit afterwards.
func (s *Store) Generation(company, user string) uint64 {
	return s.changed.all.Load() + s.changed.of(company, user).Load()
}

// wrote are the rows that a session is checked by.
type wrote uint32

const (
	wroteCompany wrote = 1 << iota
	wrotePerson
)

// standing says which of those rows a statement changes.
func standing(query string) wrote {
	q := strings.TrimSpace(query)
	for _, verb := range []string{"UPDATE ", "INSERT INTO ", "DELETE FROM "} {
		rest, ok := strings.CutPrefix(q, verb)
		if !ok {
			continue
		}
		if end := strings.IndexAny(rest, " (\n\t"); end > 0 {
			rest = rest[:end]
		}
		switch rest {
		case "companies", "branding":
			return wroteCompany
		case "users", "sessions", "factors":
			return wrotePerson
		}
	}
	return 0
}

// noting is a backend that notes what was written.
type noting struct {
	Backend
	*changes
}

func (n noting) Do(ctx context.Context, op func(*Tx) error) error {
	var seen atomic.Uint32 // op may still run after Do has returned
	var about atomic.Pointer[[2]string]
	err := n.Backend.Do(ctx, func(tx *Tx) error {
		tx.wrote, tx.about = 0, [2]string{}
		err := op(tx)
		if of := tx.about; of[1] != "" {
			about.Store(&of)
		}
		seen.Or(uint32(tx.wrote))
		return err
	})
	if seen.Load() == 0 {
		return err
	}
	n.commits.Add(1)
	switch of := about.Load(); {
	case of != nil && wrote(seen.Load()) == wrotePerson:
		n.of(of[0], of[1]).Add(1)
	default:
		n.all.Add(1)
	}
	return err
}
