package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// What a list of people is found by is kept beside each person, in the
// transaction that changes them: their shape, how many of the company are of each
// shape, and the words of their names. A decision that changes none of it pays
// nothing for it.

// stagedSign begins the shape of somebody whose import is not finished: the sign,
// the import, the sign again, then their shape. Lists go through the shapes that
// people_shapes counts, and these are not counted before the import is done.
const stagedSign = "~"

func stagedShape(id, shape string) string { return stagedSign + id + stagedSign + shape }

// shapeText is the shape's text without its import.
func shapeText(stored string) string {
	if strings.HasPrefix(stored, stagedSign) {
		if _, shape, ok := strings.Cut(stored[len(stagedSign):], stagedSign); ok {
			return shape
		}
	}
	return stored
}

// noteCharge is for a guess that uses up what strangers may guess, or gives it
// back: the person's shape says so.
func (l *loaded) noteCharge(k *authn.Keys) {
	if (k.Charge == authn.GuessFactor || k.Charge == authn.SettleFactor) && l.lane == authn.Stranger &&
		l.Charged != nil && l.Charged.Factor != nil && l.Charged.Count.Tries >= authn.ShareStranger {
		l.reshape = true
	}
}

// noteWrite remembers what a write changes of the lists.
func (l *loaded) noteWrite(k *authn.Keys, w authn.Write) {
	switch w := w.(type) {
	case authn.NewUser, authn.SetEmail:
		l.reshape, l.rewords = true, true
	case authn.SetLogin:
		l.rewords = true
	case authn.PutUser:
		was, is := &l.was, &w.User
		if was.Name != is.Name || was.Login != is.Login || was.Email != is.Email {
			l.rewords = true
		}
		if !was.ExemptUntil.Equal(is.ExemptUntil) || authn.ShapeOf(*was, nil, k.Now).String() != authn.ShapeOf(*is, nil, k.Now).String() {
			l.reshape = true
		}
	case authn.NewFactor:
		if w.Factor.State != authn.Pending && (w.Factor.Kind.Own() || w.Factor.Kind == authn.BackupCode) {
			l.reshape = true
		}
	case authn.ActivateFactor, authn.ConfirmAgain, authn.PutFactor, authn.DeleteFactor, authn.NewCodes, authn.SpendCode, authn.SetPassword:
		l.reshape = true
	}
}

// keepLists brings the lists up to date with what the decision changed.
func (s *Store) keepLists(tx *Tx, k *authn.Keys, l *loaded) error {
	if l.uid == "" || !l.reshape && !l.rewords {
		return nil
	}
	deltas := map[string]int64{}
	if err := reshape(tx, l.company, l.uid, k.Now, l.rewords, deltas); err != nil {
		return err
	}
	return countShapes(tx, l.company, deltas)
}

var selectShaped = locking("SELECT u.shape, u.reshape_at, "+userColumns+" FROM users u WHERE u.company = $1 AND u.id = $2", "FOR UPDATE")

const selectShapeFactors = "SELECT f.kind, f.state, f.tries_s, f.left_over, f.round, f.data FROM factors f WHERE f.company = $1 AND f.user_id = $2"

// reshape writes the shape of a person as it is now, with their words if asked to,
// and adds to deltas what that changes of the counts. Somebody of an import that
// is not finished becomes one of the others.
func reshape(tx *Tx, company, id string, now time.Time, rewords bool, deltas map[string]int64) error {
	var u authn.User
	var old string
	var oldAt int64
	var personKey []byte
	found, err := tx.one(selectShaped.text(tx, true), append([]any{&old, &oldAt}, userTargets(&u, &personKey)...), company, id)
	if err != nil || !found {
		return err
	}
	var factors []authn.Factor
	err = tx.each(selectShapeFactors, []any{company, id}, func(scan func(...any) error) (bool, error) {
		var f authn.Factor
		var tries int
		err := scan((*string)(&f.Kind), (*string)(&f.State), &tries, &f.Left, &f.Round, &f.Data)
		f.Counts = map[authn.Lane]authn.Count{authn.Stranger: {Tries: tries}}
		factors = append(factors, f)
		return true, err
	})
	if err != nil {
		return err
	}
	if rewords {
		if err := setWords(tx, &u); err != nil {
			return err
		}
	}
	shape, at := authn.ShapeOf(u, factors, now).String(), int64(0)
	if u.ExemptUntil.After(now) {
		at = micros(u.ExemptUntil)
	}
	if shape == old && at == oldAt {
		return nil
	}
	if _, err := tx.exec("UPDATE users SET shape = $3, reshape_at = $4 WHERE company = $1 AND id = $2", company, id, shape, at); err != nil {
		return err
	}
	if old != "" {
		deltas[old]--
	}
	deltas[shape]++
	return nil
}

// countShapes takes the shapes in their order, so that no two transactions wait
// for each other in a circle.
func countShapes(tx *Tx, company string, deltas map[string]int64) error {
	for _, shape := range slices.Sorted(maps.Keys(deltas)) {
		var err error
		switch n := deltas[shape]; {
		case n > 0:
			_, err = tx.exec("INSERT INTO people_shapes (company, shape, n) VALUES ($1, $2, $3)"+
				" ON CONFLICT (company, shape) DO UPDATE SET n = people_shapes.n + excluded.n", company, shape, n)
		case n < 0:
			_, err = tx.exec("UPDATE people_shapes SET n = n - $3 WHERE company = $1 AND shape = $2 AND n >= $3", company, shape, -n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func setWords(tx *Tx, u *authn.User) error {
	if _, err := tx.exec("DELETE FROM user_words WHERE (company, word, user_id) IN"+
		" (SELECT company, word, user_id FROM user_words WHERE company = $1 AND user_id = $2)", u.Company, u.ID); err != nil {
		return err
	}
	return insertWords(tx, u)
}

func insertWords(tx *Tx, u *authn.User) error {
	for _, w := range authn.PersonWords(*u) {
		if _, err := tx.exec("INSERT INTO user_words (company, word, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			u.Company, clean(w, maxWord), u.ID); err != nil {
			return err
		}
	}
	return nil
}

// neverShaped is the reshape_at of rows from before there were shapes.
const neverShaped = 1

// reshapeDue brings up to date whose shape changes by itself until then; it
// reports how many it looked at, at most sweepBatch.
func (s *Store) reshapeDue(ctx context.Context, until int64, now time.Time) (int, error) {
	n := 0
	err := s.b.Do(ctx, func(tx *Tx) error {
		type row struct {
			company, id string
			at          int64
		}
		var due []row
		err := tx.each("SELECT company, id, reshape_at FROM users WHERE reshape_at > 0 AND reshape_at <= $1 ORDER BY reshape_at, company, id LIMIT $2",
			[]any{until, sweepBatch}, func(scan func(...any) error) (bool, error) {
				var r row
				err := scan(&r.company, &r.id, &r.at)
				due = append(due, r)
				return true, err
			})
		if err != nil {
			return err
		}
		n = len(due)
		deltas := map[string]map[string]int64{}
		slices.SortFunc(due, func(a, b row) int { return strings.Compare(a.company+a.id, b.company+b.id) })
		for _, r := range due {
			if deltas[r.company] == nil {
				deltas[r.company] = map[string]int64{}
			}
			if err := reshape(tx, r.company, r.id, now, r.at == neverShaped, deltas[r.company]); err != nil {
				return err
			}
		}
		for _, company := range slices.Sorted(maps.Keys(deltas)) {
			if err := countShapes(tx, company, deltas[company]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// fillPeople makes the shapes and words of rows from before there were any, once,
// before anything else looks at them. Whose exemption has ended by now is counted
// as exempt until the first sweep: the store has no clock.
func (s *Store) fillPeople(ctx context.Context) error {
	for {
		n, err := s.reshapeDue(ctx, neverShaped, time.Time{})
		if err != nil || n < sweepBatch {
			return in("fill in people", err)
		}
	}
}

// Shapes counts the people of a company by the text of their authn.Shape. An
// exemption counts until the sweep after its end, a minute at most.
func (s *Store) Shapes(ctx context.Context, company string) (map[string]int64, error) {
	if !goodID(company) {
		return nil, nil
	}
	counts := map[string]int64{}
	err := s.b.Read(ctx, func(tx *Tx) error {
		clear(counts)
		list, err := shapesOf(tx, company)
		for _, c := range list {
			counts[shapeText(c.shape)] += c.n
		}
		return err
	})
	if err != nil {
		return nil, in("shapes", err)
	}
	return counts, nil
}

type shapeCount struct {
	shape string // as stored
	n     int64
}

func shapesOf(tx *Tx, company string) ([]shapeCount, error) {
	var list []shapeCount
	err := tx.each("SELECT shape, n FROM people_shapes WHERE company = $1 AND shape > $2 AND n > 0 ORDER BY shape", []any{company, ""},
		func(scan func(...any) error) (bool, error) {
			var c shapeCount
			err := scan(&c.shape, &c.n)
			list = append(list, c)
			return true, err
		})
	return list, err
}
