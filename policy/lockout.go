package policy

import (
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// The counting of wrong answers (security decision 2, rulings 8 and 10; NIST
// SP 800-63B-4 section 3.2.2). These numbers are read by the store, by the
// tests and by docs/threat-model.md; they stand here only.
const (
	// FreeTries are the wrong answers in a row before the first pause, where a
	// company does not say another number.
	FreeTries = 10
	// FirstPause doubles with every further wrong answer up to LongestPause. A
	// company can have others.
	FirstPause   = 30 * time.Second
	LongestPause = authn.LongestPause
	// KnownAfterRow wrong codes after a right password, from unknown browsers and
	// without a completed sign-in between, mark the password as known to others;
	// so do KnownAfterMonth within Month, whatever came between.
	KnownAfterRow   = 10
	KnownAfterMonth = 30
	Month           = 30 * 24 * time.Hour
)

// Share is how many of the 100 wrong answers that disable a factor one lane
// may use up; strangers cannot use up the known browsers' part.
func Share(l authn.Lane) int {
	if l == authn.Known {
		return authn.ShareKnown
	}
	return authn.ShareStranger
}

// Lockout is how wrong answers are counted in a company.
type Lockout struct {
	FreeTries                int
	FirstPause, LongestPause time.Duration
}

// Lockout are the document's numbers, and the usual ones where it says nothing.
func (d Document) Lockout() Lockout {
	l := Lockout{FreeTries: FreeTries, FirstPause: FirstPause, LongestPause: LongestPause}
	if d.FreeTries > 0 {
		l.FreeTries = d.FreeTries
	}
	if d.PauseSeconds > 0 {
		l.FirstPause = time.Duration(d.PauseSeconds) * time.Second
	}
	if d.LongestPauseSeconds > 0 {
		l.LongestPause = time.Duration(d.LongestPauseSeconds) * time.Second
	}
	return l
}

// LockoutOf are the numbers of the company in rows at now. A policy that cannot
// be read lets nobody in, and guesses are counted all the same.
func LockoutOf(rows *authn.Rows, now time.Time) Lockout {
	if rows.Company == nil {
		return Document{}.Lockout()
	}
	d, err := Current(*rows.Company, now)
	if err != nil {
		return Document{}.Lockout()
	}
	return d.Lockout()
}

// Pause is how long a lane rests after so many wrong answers in a row.
func (l Lockout) Pause(tries int) time.Duration {
	if tries < l.FreeTries {
		return 0
	}
	d := l.FirstPause
	for range tries - l.FreeTries {
		if d *= 2; d >= l.LongestPause {
			return l.LongestPause
		}
	}
	return d
}

// PausedUntil is now plus the pause; zero if there is none.
func (l Lockout) PausedUntil(now time.Time, tries int) time.Time {
	if d := l.Pause(tries); d > 0 {
		return now.Add(d)
	}
	return time.Time{}
}

// GiveBack undoes a charge for what was not evaluated: the try, and the pause
// if that try made it.
func (l Lockout) GiveBack(c *authn.Charged) authn.Settle {
	s := authn.Settle{Outcome: authn.Void, PausedUntil: c.Count.PausedUntil}
	if l.Pause(c.Count.Tries-1) == 0 {
		s.PausedUntil = time.Time{}
	}
	return s
}

// Unpaid is the refusal of a guess that was not evaluated.
func Unpaid(c *authn.Charged, now time.Time) error {
	if c.Locked {
		return &authn.Error{Code: authn.Locked}
	}
	wait := max(c.Count.PausedUntil.Sub(now), time.Second)
	return &authn.Error{Code: authn.Paused, RetryAfter: wait, ExpiresAt: c.Count.PausedUntil}
}

// WrongCode is the refusal of a guess that was evaluated and wrong.
func (l Lockout) WrongCode(c *authn.Charged, now time.Time) *authn.Error {
	e := &authn.Error{Code: authn.WrongCode, HasLeft: true, AttemptsLeft: max(l.FreeTries-c.Count.Tries, 0)}
	if until := l.PausedUntil(now, c.Count.Tries); !until.IsZero() {
		e.RetryAfter, e.ExpiresAt = until.Sub(now), until
	}
	return e
}

// StrangerWrong counts a wrong code after a right password from an unknown
// browser and reports whether it marks the password as known to others.
func StrangerWrong(u *authn.User, now time.Time) (marked bool) {
	u.WrongInRow++
	if u.MonthStart.IsZero() || now.Sub(u.MonthStart) >= Month || now.Before(u.MonthStart) {
		u.MonthStart, u.WrongInMonth = now, 0
	}
	u.WrongInMonth++
	if !u.PasswordKnownAt.IsZero() || u.WrongInRow < KnownAfterRow && u.WrongInMonth < KnownAfterMonth {
		return false
	}
	u.PasswordKnownAt = now
	return true
}
