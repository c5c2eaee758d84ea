package otp

import (
	"fmt"
	"testing"
	"time"
)

func TestClockOffset(t *testing.T) { // A8
	for a, k := range rfc6238 {
		k.Params = Params{Algorithm: a, Digits: 8} // eight, so that no code is met by accident
		present := k.Step(now)
		for drift := int64(-23); drift <= 23; drift++ {
			code := mustCode(t, k, k.Start(present+drift))
			for window := range int64(2) {
				far := max(drift, -drift)
				want := far > window && far <= 20
				offset, found, err := k.ClockOffset(now, int(window), code)
				if found != want || err != nil {
					t.Errorf("%v drift %d window %d: found %v, %v", a, drift, window, found, err)
				}
				if want && offset != time.Duration(drift)*30*time.Second {
					t.Errorf("%v drift %d: offset %v", a, drift, offset)
				}
			}
			if _, r, _ := k.Check(now, 1, -1, code); r == Accepted && (drift < -1 || drift > 1) {
				t.Errorf("drift %d was accepted", drift) // never accepted
			}
		}
	}
}

func TestClockOffsetPeriods(t *testing.T) {
	for period, reach := range map[int]int64{1: 600, 7: 85, 30: 20, 60: 10, 300: 2} {
		k := Key{rfcKey.Secret, Params{Digits: 8, Period: period}}
		present := k.Step(now)
		for _, drift := range []int64{-reach - 1, -reach, reach, reach + 1} {
			offset, found, err := k.ClockOffset(now, 1, mustCode(t, k, k.Start(present+drift)))
			want := -reach <= drift && drift <= reach
			if found != want || err != nil || want && offset != time.Duration(drift)*time.Duration(period)*time.Second {
				t.Errorf("period %d drift %d: %v, %v, %v", period, drift, offset, found, err)
			}
		}
	}
}

func TestClockOffsetTellsTheNearest(t *testing.T) {
	// 251166 is the code of 57766335 and of the step after it.
	for at, want := range map[int64]int64{57766330: 5, 57766340: -4, 57766300: 0} {
		offset, found, err := rfcKey.ClockOffset(rfcKey.Start(at), 1, "251166")
		if offset != time.Duration(want)*30*time.Second || found != (want != 0) || err != nil {
			t.Errorf("from %d: %v, %v, %v; want %d steps", at, offset, found, err, want)
		}
	}
	// 882938 is the code of 57017782 and of 57017784: in the middle both are in the window.
	if _, found, _ := rfcKey.ClockOffset(rfcKey.Start(57017783), 1, "882938"); found {
		t.Error("a step of the window was reported")
	}
	if offset, _, _ := rfcKey.ClockOffset(rfcKey.Start(57017783), 0, "882938"); offset != -30*time.Second {
		t.Errorf("equally near: %v, want the slow one", offset)
	}
	var p pads
	p.set(SHA1, rfcKey.Secret)
	before := int64(-5)
	negative := format(decimal(p.value(uint64(before)), 6), 6) // what step -5 would be
	if _, found, err := rfcKey.ClockOffset(time.Unix(0, 0), 1, negative); found || err != nil {
		t.Error("a step before 1970 was reported", err)
	}
}

func TestClockOffsetFalsePositives(t *testing.T) { // the documented 38 in 1,000,000
	hits := 0
	for n := range 20_000 {
		if _, found, _ := rfcKey.ClockOffset(now, 1, fmt.Sprintf("%06d", n*50)); found {
			hits++
		}
	}
	if hits > 8 { // 0.76 expected; more than 8 has a probability of 1e-7
		t.Errorf("%d of 20,000 arbitrary codes have an offset", hits)
	}
}

func BenchmarkClockOffset(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = rfcKey.ClockOffset(now, 1, "000000")
	}
}
