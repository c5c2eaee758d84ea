package otp

import (
	"crypto/subtle"
	"time"
)

// MaxWindow is the largest window of Check, in steps either side of now: RFC 6238
// 5.2 recommends one step of delay at most.
const MaxWindow = 1

// Result is what a check found. The zero value is Wrong, so that a forgotten
// error cannot turn into an acceptance.
type Result uint8

// Results of Check.
const (
	Wrong    Result = iota // no step of the window has this code: a guess, to be charged
	Accepted               // right, and its step is later than the last accepted one
	Used                   // right, but its step is not later: neither charged nor accepted
)

// String returns "wrong", "accepted" or "used".
func (r Result) String() string {
	switch r {
	case Accepted:
		return "accepted"
	case Used:
		return "used"
	}
	return "wrong"
}

// TOTP returns the code for a moment (RFC 6238 4.2): k.Digits ASCII digits. Errors
// are those of Validate; a moment before 1970 is ErrWindow.
func (k Key) TOTP(t time.Time) (string, error) {
	if err := k.Validate(); err != nil {
		return "", err
	}
	step := k.Step(t)
	if step < 0 {
		return "", ErrWindow
	}
	return k.HOTP(uint64(step))
}

// Check compares code with the codes of the steps around now, and says whether it
// may be accepted.
//
// now is the server's time, never the client's. window is 0 (only the present
// step) or 1 (one step either side); anything else is ErrWindow. last is the last
// step accepted for this key, -1 if there was none (0 does as well: step 0 was in
// 1970). code must come from Normalize.
//
// The step returned is the largest that has this code: Accepted if it is later
// than last, and then the caller stores it as the new last; Used if it is not, the
// code being right but it, or a later one, accepted before (RFC 6238 5.2). Wrong
// returns step 0. The largest, because two steps of a window share a code three
// times in a million windows: were the smaller one stored, the same code would pass
// a second time as the other step's. Stored, the largest loses its owner nothing
// but, in one window of a million, the code between two equal ones.
//
// All steps are computed and compared, whatever matches; nothing is allocated.
// Errors are those of Validate, ErrWindow, and for a code that is not exactly
// k.Digits ASCII digits the ErrCode ones; with an error the result is Wrong, and
// nothing was compared, so there is no guess to charge.
func (k Key) Check(now time.Time, window int, last int64, code string) (step int64, result Result, err error) {
	if err := k.Validate(); err != nil {
		return 0, Wrong, err
	}
	if window < 0 || window > MaxWindow {
		return 0, Wrong, ErrWindow
	}
	k.Params = k.WithDefaults()
	want, err := number(code, k.Digits)
	if err != nil {
		return 0, Wrong, err
	}
	var p pads
	p.set(k.Algorithm, k.Secret)
	present := k.Step(now)

	// Oldest to newest, so that the largest match is kept, as an offset plus 2: zero
	// means none. Which steps there are is no secret, so branching on that is safe;
	// the comparison of codes never branches.
	found := 0
	for i := -window; i <= window; i++ {
		at := present + int64(i)
		same := subtle.ConstantTimeEq(want, decimal(p.value(uint64(at)), k.Digits))
		if at < 0 { // before 1970: no code exists
			same = 0
		}
		found = subtle.ConstantTimeSelect(same, i+2, found)
	}
	if found == 0 {
		return 0, Wrong, nil
	}
	if step = present + int64(found-2); step <= last {
		return step, Used, nil
	}
	return step, Accepted, nil
}
