package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Decide loads and locks what k names, asks k.Choose, charges, asks f for a
// verdict, writes it and commits. It returns nil, or the refusal of the verdict;
// both only after the commit. Otherwise nothing of the verdict was written, and
// the answer is that of k.Choose, with nothing charged, or
//
//   - NotFound: there is no such company;
//   - Conflict: a row that the verdict relied on is not as it was;
//   - TooManyRequests: a budget that the verdict spends is used up;
//   - Busy: it could not be recorded, or not in time; after a context that ended
//     it may have been. The same for right and wrong, and worth another try;
//   - Internal: f panicked, or asks for what cannot be written.
//
// A charge stands in all cases but Busy. Choose and f must be pure and quick
// (100 µs): they hold up every other decision on SQLite, may run twice, and may
// run after Decide has returned Busy, so what they captured may be read only
// when Decide returned nil or the refusal.
//
// Nothing is charged where k asks for an attempt or a session that is not there,
// does not belong to the user, or has ended: Charged is then unpaid.
func (s *Store) Decide(ctx context.Context, k authn.Keys, f func(*authn.Rows) authn.Verdict) error {
	var refusal error // written by the operation, read only after Do returned without an error
	err := s.b.Do(ctx, func(tx *Tx) error {
		l, err := s.load(tx, &k, true)
		if err != nil {
			return err
		}
		tx.about = [2]string{l.company, l.uid}
		if err := s.contain(func() error { return l.choose(&k) }); err != nil {
			return err
		}
		if err := s.charge(tx, &k, l); err != nil {
			return err
		}
		if err := s.takeForm(tx, &k, l); err != nil {
			return err
		}
		l.noteCharge(&k)
		paid := l.Charged != nil && l.Charged.Paid
		var v authn.Verdict
		if refusal = s.contain(func() error { v = f(&l.Rows); return v.Refusal() }); refusal == errPanic {
			return s.keepLists(tx, &k, l) // what was charged stays: a guess that makes f panic is a guess
		}
		if err := s.apply(tx, &k, l, paid, v); err != nil {
			return &unwritten{err}
		}
		return nil
	})
	if err == nil {
		return refusal
	}
	if u, ok := err.(*unwritten); ok {
		return s.keepCharge(ctx, k, u.err)
	}
	return in("decide", err)
}

// unwritten says that a verdict was reached and could not be written.
type unwritten struct{ err error }

func (u *unwritten) Error() string { return u.err.Error() }

var errPanic error = &authn.Error{Code: authn.Internal, Err: errors.New("store: a decision panicked")}

// contain confines a panic of the caller's function to its own decision. The
// value of a panic may hold a secret; only its type and the stack are logged.
func (s *Store) contain(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("store: a decision panicked", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return f()
}

// keepCharge charges again what was undone with a verdict that could not be
// written, so that not even a mistake of ours evaluates a guess for nothing.
func (s *Store) keepCharge(ctx context.Context, k authn.Keys, answer error) error {
	if !errors.Is(answer, authn.TooManyRequests) { // a budget that is used up refuses at any rate
		s.log.Warn("store: verdict not written", "err", answer)
	}
	if k.Charge != authn.GuessPassword && k.Charge != authn.GuessFactor && k.Charge != authn.GuessReset {
		return answer
	}
	err := s.b.Do(ctx, func(tx *Tx) error {
		l, err := s.load(tx, &k, true)
		if err == nil {
			err = s.contain(func() error { return l.choose(&k) })
		}
		if err == nil {
			err = s.charge(tx, &k, l)
		}
		if err == nil {
			l.noteCharge(&k)
			err = s.keepLists(tx, &k, l)
		}
		return err
	})
	if errors.Is(err, authn.Busy) {
		return in("decide", err)
	}
	return answer
}

// View is the loader of Decide without its locks, Choose and charges, for
// reading. Nothing that is read here is a basis for a change.
func (s *Store) View(ctx context.Context, k authn.Keys) (authn.Rows, error) {
	var rows authn.Rows
	err := s.b.Read(ctx, func(tx *Tx) error {
		l, err := s.load(tx, &k, false)
		if err == nil {
			rows = l.Rows
		}
		return err
	})
	if err != nil {
		return authn.Rows{}, in("view", err)
	}
	return rows, nil
}

const selectPending = "SELECT kind, attempt, set_by, sealed FROM factors WHERE company = $1 AND user_id = $2 AND id = $3" +
	" AND state = 'pending' AND kind <> 'password' AND expires_at > $4"

// PendingSecret is the secret of the pending, unexpired factor k.Factor, for
// showing its QR code again; never that of an active one. Who comes with an
// attempt sees only what that attempt created (ruling 1), or what was prepared for
// its person. Otherwise NotFound.
func (s *Store) PendingSecret(ctx context.Context, k authn.Keys) ([]byte, error) {
	var secret []byte
	err := s.b.Read(ctx, func(tx *Tx) error {
		l, err := s.load(tx, &k, false)
		if err != nil {
			return err
		}
		if l.void || l.uid == "" || !goodID(k.Factor) {
			return authn.NotFound
		}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		var kind authn.Kind
		var attempt, by string
		var sealed []byte
		found, err := tx.one(selectPending, []any{(*string)(&kind), &attempt, &by, &sealed}, l.company, l.uid, k.Factor, micros(k.Now))
		if err != nil {
			return err
		}
		prepared := authn.Factor{State: authn.Pending, Kind: kind, SetBy: by}.Prepared()
		if !found || l.attempt != "" && attempt != l.attempt && !prepared {
			return authn.NotFound
		}
		secret, err = l.open(k.Factor, kind, sealed)
		return err
	})
	if err != nil {
		return nil, in("pending secret", err)
	}
	return secret, nil
}
