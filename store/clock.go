package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// markClock holds the latest time at which a server was at work (ruling 16),
// with so many digits that the order of texts is that of times.
const markClock = "clock"

func clockText(t time.Time) string { return fmt.Sprintf("%020d", max(t.UnixMicro(), 0)) }

// RaiseClock notes that it was now, unless it was later already, and returns the
// latest time noted.
func (s *Store) RaiseClock(ctx context.Context, now time.Time) (latest time.Time, err error) {
	var value string
	err = s.b.Do(ctx, func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO meta (name, value) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE meta.value < excluded.value`, markClock, clockText(now))
		if err == nil {
			value, err = tx.mark(markClock)
		}
		return err
	})
	if err != nil {
		return time.Time{}, in("raise clock", err)
	}
	return clockOf(value), nil
}

// Clock is the latest time that RaiseClock noted; zero if there is none.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	value, err := s.Mark(ctx, markClock)
	return clockOf(value), err
}

func clockOf(value string) time.Time {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return timeOf(n)
}

// DatabaseTime is the clock of the database server. ok is false where the
// database is a file and has none of its own.
func (s *Store) DatabaseTime(ctx context.Context) (t time.Time, ok bool, err error) {
	if !s.b.Dialect().Locks {
		return t, false, nil
	}
	var n int64
	err = s.b.Read(ctx, func(tx *Tx) error {
		_, err := tx.one("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", []any{&n})
		return err
	})
	return timeOf(n), err == nil, in("database time", err)
}

// StepLimit says, from the data of a factor, the last step that it may have at
// the time in question.
type StepLimit func(data []byte) int64

const selectSteps = "SELECT f.company, f.user_id, f.id, f.data, f.last_step FROM factors f WHERE f.kind = $1 AND f.last_step > 0"

// each factor of a kind whose last step is over the limit.
func (limit StepLimit) each(tx *Tx, text string, args []any, over func(f *authn.Factor, limit int64)) error {
	return tx.each(text, args, func(scan func(...any) error) (bool, error) {
		var f authn.Factor
		if err := scan(&f.Company, &f.User, &f.ID, asBytes{&f.Data}, &f.LastStep); err != nil {
			return false, err
		}
		if most := limit(f.Data); f.LastStep > most {
			over(&f, most)
		}
		return true, nil
	})
}

// StepsAfter counts the factors of a kind, in all companies, whose last step is
// over the limit. A clock that was ahead leaves such: their codes are refused
// until it is that time again.
func (s *Store) StepsAfter(ctx context.Context, kind authn.Kind, limit StepLimit) (n int, err error) {
	err = s.b.Read(ctx, func(tx *Tx) error {
		n = 0
		return limit.each(tx, selectSteps, []any{string(kind)}, func(*authn.Factor, int64) { n++ })
	})
	return n, in("steps after", err)
}

// RepairClock takes back what a clock that was ahead left in a company: it
// lowers the last step of factors of a kind that is over the limit to the limit,
// writes ev about each person, and returns how many factors there were. It is
// the one way back for a counter that otherwise only grows (ruling 16).
func (s *Store) RepairClock(ctx context.Context, company string, kind authn.Kind, limit StepLimit, now time.Time, ev authn.Event) (int, error) {
	if !goodID(company) || ev.Type == "" {
		return 0, internal("a repair without a company or an event")
	}
	var n int
	err := s.b.Do(ctx, func(tx *Tx) error {
		n = 0
		l := &loaded{company: company}
		type lower struct {
			user, id string
			to       int64
		}
		var list []lower
		err := limit.each(tx, selectSteps+" AND f.company = $2 ORDER BY f.user_id, f.id", []any{string(kind), company},
			func(f *authn.Factor, most int64) { list = append(list, lower{f.User, f.ID, most}) })
		if err != nil {
			return err
		}
		for _, f := range list {
			changed, err := tx.exec("UPDATE factors SET last_step = $4 WHERE company = $1 AND user_id = $2 AND id = $3 AND last_step > $4",
				company, f.user, f.id, f.to)
			if err != nil {
				return err
			}
			if changed == 0 {
				continue // gone meanwhile
			}
			about := ev
			about.ID, about.Company, about.Target = "", company, f.user
			if err := s.insertEvent(tx, &authn.Keys{Company: company, Now: now}, l, about); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, in("repair clock", err)
	}
	return n, nil
}

// LowerClock notes that it is now, though a later time was noted before. The
// events say so in every company.
func (s *Store) LowerClock(ctx context.Context, now time.Time, ev authn.Event) error {
	companies, err := s.Companies(ctx)
	if err != nil {
		return err
	}
	return in("lower clock", s.b.Do(ctx, func(tx *Tx) error {
		if err := tx.setMark(markClock, clockText(now)); err != nil {
			return err
		}
		for _, c := range companies {
			l, about := &loaded{company: c.ID}, ev
			about.ID, about.Company = "", c.ID
			if err := s.insertEvent(tx, &authn.Keys{Company: c.ID, Now: now}, l, about); err != nil {
				return err
			}
		}
		return nil
	}))
}
