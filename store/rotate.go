package store

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// rings is the keyring in use, which another process may rotate (ruling 38).
type rings struct {
	p atomic.Pointer[keyring.Keyring]

	mu     sync.Mutex
	reload func() (*keyring.Keyring, error)
	tried  time.Time // by the monotonic clock
}

func (r *rings) now() *keyring.Keyring { return r.p.Load() }

func (r *rings) set(k *keyring.Keyring, reload func() (*keyring.Keyring, error)) {
	r.reload = reload
	r.p.Store(k)
}

// rereadEvery bounds how often a key that is nowhere is looked for in the file;
// one that was found ends the wait.
const rereadEvery = time.Second

// reread reads the keyring anew and reports whether another one than used is in
// use now. One that does not fit the database is not taken.
func (s *Store) reread(tx *Tx, used *keyring.Keyring) bool {
	r := &s.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now() != used {
		return true // somebody else was first
	}
	if r.reload == nil || !r.tried.IsZero() && time.Since(r.tried) < rereadEvery {
		return false
	}
	r.tried = time.Now()
	next, err := r.reload()
	if err != nil {
		s.log.Error("store: the keyring cannot be read anew", "err", err)
		return false
	}
	if next.Text() == used.Text() {
		return false
	}
	value, err := tx.mark(MarkKeyring)
	if err == nil {
		err = next.Verify(value)
	}
	if err != nil {
		s.log.Error("store: the keyring was changed and is not taken", "err", err)
		return false
	}
	s.log.Info("store: the keyring was read anew", "active", next.ActiveID())
	r.p.Store(next)
	r.tried = time.Time{}
	return true
}

var selectMark = map[bool]query{
	false: locking("SELECT value FROM meta WHERE name = $1", "FOR SHARE"),
	true:  locking("SELECT value FROM meta WHERE name = $1", "FOR UPDATE"),
}

// lockMark reads the check value and keeps it as it is until the commit; alone:
// and keeps everybody else from reading it so.
func (tx *Tx) lockMark(alone bool) (value string, err error) {
	_, err = tx.one(selectMark[alone].text(tx, true), []any{&value}, MarkKeyring)
	return value, err
}

// writingRing is the keyring, if its active key may write: the database knows
// it. A process that has slept through a rotation would otherwise wrap a new key
// under one that is being retired.
func (s *Store) writingRing(tx *Tx) (*keyring.Keyring, error) {
	value, err := tx.lockMark(false)
	if err != nil {
		return nil, err
	}
	known := func(ring *keyring.Keyring) bool { return strings.Contains(value, " "+ring.ActiveID()+"=") }
	ring := s.ring.now()
	if !known(ring) && s.reread(tx, ring) {
		ring = s.ring.now()
	}
	if !known(ring) {
		return nil, internal("the active key of this process (%s) is none of the database's: its keyring is older or newer than that; restart with the present one", ring.ActiveID())
	}
	return ring, nil
}

// NoteKeyring makes the database remember the keys of ring that may have
// written. Call it before a key becomes active, with the keyring in which it is.
func (s *Store) NoteKeyring(ctx context.Context, ring *keyring.Keyring) error {
	return in("note keyring", s.b.Do(ctx, func(tx *Tx) error {
		value, err := tx.lockMark(true)
		if err != nil {
			return err
		}
		if err := ring.Verify(value); err != nil {
			return internal("%w", err)
		}
		return tx.setMark(MarkKeyring, ring.CheckValue())
	}))
}

// RewrapKeys moves the keys of all companies under the active key of ring, each
// in a transaction of its own by compare-and-set, with an event; what they
// sealed stays as it is. It returns how many it moved, and may be cut off and
// repeated.
func (s *Store) RewrapKeys(ctx context.Context, ring *keyring.Keyring, ev authn.Event) (int, error) {
	moved := 0
	for range 10 { // until none is left that came meanwhile
		keys, err := s.WrappedKeys(ctx)
		if err != nil {
			return moved, err
		}
		left := 0
		for _, company := range slices.Sorted(maps.Keys(keys)) {
			n, err := s.rewrap(ctx, ring, company, keys[company], ev)
			if err != nil {
				return moved, in("rewrap", err)
			}
			moved, left = moved+n, left+n
		}
		if left == 0 {
			break
		}
	}
	return moved, nil
}

func (s *Store) rewrap(ctx context.Context, ring *keyring.Keyring, company string, old []byte, ev authn.Event) (int, error) {
	next, err := ring.Rewrap(company, old)
	if err != nil {
		return 0, internal("the key of company %s: %w", company, err)
	}
	if bytes.Equal(next, old) {
		return 0, nil
	}
	moved := 0
	err = s.b.Do(ctx, func(tx *Tx) error {
		n, err := tx.exec("UPDATE company_keys SET wrapped = $3 WHERE company = $1 AND wrapped = $2", company, old, next)
		if moved = int(n); err != nil || n == 0 { // another one was first
			return err
		}
		key, err := ring.OpenDataKey(company, next)
		if err != nil {
			return internal("the key of company %s: %w", company, err)
		}
		about := ev
		about.ID, about.Company = "", company
		return s.insertEvent(tx, &authn.Keys{Company: company, Now: ev.At}, &loaded{company: company, key: key}, about)
	})
	return moved, err
}

// RetireKeys makes the database forget the keys that ring no longer has. Conflict
// if a company's key is still wrapped under one of them. Only after it may they
// be taken out of the file: whoever writes meanwhile finds that they are gone.
func (s *Store) RetireKeys(ctx context.Context, ring *keyring.Keyring) error {
	return in("retire keys", s.b.Do(ctx, func(tx *Tx) error {
		if _, err := tx.lockMark(true); err != nil {
			return err
		}
		err := tx.each("SELECT company, wrapped FROM company_keys", nil, func(scan func(...any) error) (bool, error) {
			var company string
			var wrapped []byte
			if err := scan(&company, &wrapped); err != nil {
				return false, err
			}
			if _, err := ring.OpenDataKey(company, wrapped); err != nil {
				return false, conflict("the key of company " + company + " is still wrapped under a key that would be retired; rotate first")
			}
			return true, nil
		})
		if err != nil {
			return err
		}
		return tx.setMark(MarkKeyring, ring.CheckValue())
	}))
}
