package otp

import (
	"crypto/subtle"
	"time"
)

// ClockSearch is how far either side of now ClockOffset looks.
const ClockSearch = 10 * time.Minute

// ClockOffset looks for the moment at which a wrong code would have been right, in
// order to say at enrolment "your phone's clock is about N minutes fast". It is a
// hint and must never accept anything, nor be offered at sign-in: there it would
// tell a guesser that he holds a real, but old, code.
//
// now and code are as for Check; window is the one Check was called with, whose
// steps are left out, as Check has answered for them. The offset is of the step
// nearest to now that has this code, positive when the phone is fast; it is a
// multiple of the period, and the phone is within one period of it. If a step
// ahead and one behind are equally near, the phone is said to be slow.
//
// The work is the same whether and where something matches: 2·(600/period -
// window) codes, which is 38 (10 µs) at 30 seconds and 1,198 at one second. A
// random six-digit code is found by accident with probability 38 in 1,000,000;
// with eight digits, 38 in 100,000,000. Errors are those of Check.
func (k Key) ClockOffset(now time.Time, window int, code string) (offset time.Duration, found bool, err error) {
	if err := k.Validate(); err != nil {
		return 0, false, err
	}
	if window < 0 || window > MaxWindow {
		return 0, false, ErrWindow
	}
	k.Params = k.WithDefaults()
	want, err := number(code, k.Digits)
	if err != nil {
		return 0, false, err
	}
	var p pads
	p.set(k.Algorithm, k.Secret)
	present := k.Step(now)
	period := time.Duration(k.Period) * time.Second

	nearest := 0
	for far := int(ClockSearch / period); far > window; far-- { // the nearest is kept last
		for _, i := range [2]int{far, -far} {
			at := present + int64(i)
			same := subtle.ConstantTimeEq(want, decimal(p.value(uint64(at)), k.Digits))
			if at < 0 {
				same = 0
			}
			nearest = subtle.ConstantTimeSelect(same, i, nearest)
		}
	}
	return time.Duration(nearest) * period, nearest != 0, nil
}
