package otp

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// rfc6238 are the keys of RFC 6238, appendix B. Its text names one seed, but its
// reference program lengthens it to the size of the hash, and the values are so.
var rfc6238 = map[Algorithm]Key{
	SHA1:   {Secret("12345678901234567890"), Params{SHA1, 8, 30}},
	SHA256: {Secret("12345678901234567890123456789012"), Params{SHA256, 8, 30}},
	SHA512: {Secret("1234567890123456789012345678901234567890123456789012345678901234"), Params{SHA512, 8, 30}},
}

func TestRFC6238AppendixB(t *testing.T) {
	for _, c := range []struct {
		unix int64
		step int64
		want map[Algorithm]string
	}{
		{59, 0x1, map[Algorithm]string{SHA1: "94287082", SHA256: "46119246", SHA512: "90693936"}},
		{1111111109, 0x23523EC, map[Algorithm]string{SHA1: "07081804", SHA256: "68084774", SHA512: "25091201"}},
		{1111111111, 0x23523ED, map[Algorithm]string{SHA1: "14050471", SHA256: "67062674", SHA512: "99943326"}},
		{1234567890, 0x273EF07, map[Algorithm]string{SHA1: "89005924", SHA256: "91819424", SHA512: "93441116"}},
		{2000000000, 0x3F940AA, map[Algorithm]string{SHA1: "69279037", SHA256: "90698825", SHA512: "38618901"}},
		{20000000000, 0x27BC86AA, map[Algorithm]string{SHA1: "65353130", SHA256: "77737706", SHA512: "47863826"}},
	} {
		now := time.Unix(c.unix, 0)
		for a, want := range c.want {
			k := rfc6238[a]
			if got := k.Step(now); got != c.step {
				t.Errorf("%d: step %x, want %x", c.unix, got, c.step)
			}
			if got, err := k.TOTP(now); got != want || err != nil {
				t.Errorf("%d %v: %s, %v; want %s", c.unix, a, got, err, want)
			}
			if step, r, err := k.Check(now, 0, -1, want); step != c.step || r != Accepted || err != nil {
				t.Errorf("%d %v: check %d, %v, %v", c.unix, a, step, r, err)
			}
			if got, _ := (Key{k.Secret, Params{Algorithm: a}}).TOTP(now); got != want[2:] { // 6 digits are the last 6
				t.Errorf("%d %v: %s, want the end of %s", c.unix, a, got, want)
			}
		}
	}
}

// now is a moment in the middle of a step.
var now = time.Unix(1_764_000_015, 0)

func mustCode(t testing.TB, k Key, at time.Time) string {
	t.Helper()
	code, err := k.TOTP(at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestCheckDrift(t *testing.T) { // A4, std-69, cve-73: one step either side, not two
	for a, k := range rfc6238 {
		for _, digits := range []int{6, 7, 8} {
			for _, period := range []int{1, 30, 60, 300} {
				k.Params = Params{a, digits, period}
				present := k.Step(now)
				for drift := int64(-3); drift <= 3; drift++ {
					code := mustCode(t, k, k.Start(present+drift))
					for window := range int64(2) {
						want, wantStep := Wrong, int64(0)
						if -window <= drift && drift <= window {
							want, wantStep = Accepted, present+drift
						}
						step, r, err := k.Check(now, int(window), -1, code)
						if step != wantStep || r != want || err != nil {
							t.Errorf("%v/%d/%d drift %d window %d: %d, %v, %v; want %d, %v",
								a, digits, period, drift, window, step, r, err, wantStep, want)
						}
					}
				}
			}
		}
	}
}

func TestCheckAtTheEdgesOfTheStep(t *testing.T) { // A4
	k := rfcKey
	start := k.Start(58_800_000)
	code := mustCode(t, k, start)
	for _, c := range []struct {
		at   time.Duration
		want Result
	}{
		{-30*time.Second - 1, Wrong},
		{-30 * time.Second, Accepted},
		{0, Accepted},
		{30*time.Second - 1, Accepted},
		{60*time.Second - 1, Accepted},
		{60 * time.Second, Wrong},
	} {
		if _, r, err := k.Check(start.Add(c.at), 1, -1, code); r != c.want || err != nil {
			t.Errorf("%v after its step began: %v, %v; want %v", c.at, r, err, c.want)
		}
	}
}

func TestCheckAcceptsOnlyALargerStep(t *testing.T) { // std-24, std-68, cve-23
	k := rfcKey
	present := k.Step(now)
	var last int64 = -1
	enter := func(drift int64, want Result) {
		t.Helper()
		step, r, err := k.Check(now, 1, last, mustCode(t, k, k.Start(present+drift)))
		if r != want || err != nil || step != present+drift {
			t.Errorf("T%+d after %d: %d, %v, %v; want %v", drift, last, step, r, err, want)
		}
		if r == Accepted {
			last = step
		}
	}
	enter(-1, Accepted)
	enter(-1, Used)
	enter(0, Accepted)
	enter(0, Used)
	enter(-1, Used)
	enter(1, Accepted)
	enter(0, Used) // T+1, then T, then T+1: a check for "not the last one" lets them alternate
	enter(1, Used)
	enter(-1, Used)

	last = present + 100 // rul-16: a stored step of the future (the clock was set back) refuses all
	for drift := int64(-1); drift <= 1; drift++ {
		enter(drift, Used)
	}
	if _, r, _ := k.Check(now, 1, last, "000000"); r != Wrong { // rul-44: only the right code is "used"
		t.Error(r)
	}
}

// TestCheckEqualCodes has the rare windows in which two steps share a code (found by
// search). Whatever matches first, the code passes once only (A4).
func TestCheckEqualCodes(t *testing.T) {
	for _, c := range []struct {
		code        string
		first, next int64
	}{{"251166", 57766335, 57766336}, {"963181", 59061240, 59061241}, {"882938", 57017782, 57017784}, {"601887", 57367617, 57367619}} {
		for _, at := range []int64{c.first, c.next, c.first + 1} {
			now := rfcKey.Start(at)
			step, r, err := rfcKey.Check(now, 1, -1, c.code)
			reach := c.next
			if reach > at+1 {
				reach = c.first
			}
			if step != reach || r != Accepted || err != nil {
				t.Errorf("%s at %d: %d, %v, %v; want %d", c.code, at, step, r, err, reach)
			}
			if again, r, _ := rfcKey.Check(now, 1, step, c.code); r != Used || again != step {
				t.Errorf("%s at %d: the second time %d, %v", c.code, at, again, r)
			}
			if step, r, _ := rfcKey.Check(now, 1, c.first, c.code); reach == c.next && (r != Accepted || step != c.next) {
				t.Errorf("%s at %d: the equal code of a later step is %d, %v", c.code, at, step, r)
			}
		}
	}
}

func TestCheckTimesBefore1970AndFarOff(t *testing.T) {
	code := appendixD[0].code // step 0
	if step, r, err := rfcKey.Check(time.Unix(0, 0), 1, -1, code); step != 0 || r != Accepted || err != nil {
		t.Error(step, r, err)
	}
	if step, r, err := rfcKey.Check(time.Unix(0, 0), 1, 0, code); step != 0 || r != Used || err != nil {
		t.Error(step, r, err)
	}
	var p pads
	p.set(SHA1, rfcKey.Secret)
	negative := format(decimal(p.value(math.MaxUint64), 6), 6) // what step -1 would be
	for _, at := range []int64{0, -1, -30} {
		if _, r, err := rfcKey.Check(time.Unix(at, 0), 1, math.MinInt64, negative); r != Wrong || err != nil {
			t.Errorf("at %d, a step before 1970 is %v, %v", at, r, err)
		}
	}
	if _, err := rfcKey.TOTP(time.Unix(-1, 0)); !errors.Is(err, ErrWindow) {
		t.Error(err)
	}
	k := Key{rfcKey.Secret, Params{Period: 1}}
	far := time.Unix(math.MaxInt64, 0) // the step after it does not exist either
	if _, r, err := k.Check(far, 1, -1, "000000"); r != Wrong || err != nil {
		t.Error(r, err)
	}
	for _, unix := range []int64{1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 40} { // std-69: 2038, 2106, …
		at := time.Unix(unix, 0)
		if step, r, _ := k.Check(at, 1, unix-1, mustCode(t, k, at)); step != unix || r != Accepted {
			t.Errorf("%d: %d, %v", unix, step, r)
		}
	}
}

func TestCheckRefusesWhatIsNotNormal(t *testing.T) { // cve-17
	code := mustCode(t, rfcKey, now)
	for bad, want := range map[string]error{
		"":                        ErrCodeEmpty,
		" " + code:                ErrCodeLetters,
		code + " ":                ErrCodeLetters,
		code + "\n":               ErrCodeLetters,
		"+" + code:                ErrCodeLetters,
		"-" + code[1:]:            ErrCodeLetters,
		code[:3] + " " + code[3:]: ErrCodeLetters,
		code[:5]:                  ErrCodeShort,
		"0" + code:                ErrCodeLong,
		code + "0":                ErrCodeLong,
		"００" + code[2:]:           ErrCodeLetters,
		strings.Repeat("1", 20):   ErrCodeLong, // would overflow if it were summed
		strings.Repeat("1", 1000): ErrCodeLong,
	} {
		if step, r, err := rfcKey.Check(now, 1, -1, bad); err != want || r != Wrong || step != 0 {
			t.Errorf("%q: %d, %v, %v; want %v", bad, step, r, err, want)
		}
		if _, found, err := rfcKey.ClockOffset(now, 1, bad); err != want || found {
			t.Errorf("%q: offset %v, %v; want %v", bad, found, err, want)
		}
	}
}

func TestCheckRefusesWideWindowsAndBadKeys(t *testing.T) { // decision 3: never above 1
	code := mustCode(t, rfcKey, now)
	for _, window := range []int{-1, 2, 3, math.MaxInt, math.MinInt} {
		if _, r, err := rfcKey.Check(now, window, -1, code); err != ErrWindow || r != Wrong {
			t.Errorf("window %d: %v, %v", window, r, err)
		}
		if _, found, err := rfcKey.ClockOffset(now, window, code); err != ErrWindow || found {
			t.Errorf("window %d: offset %v, %v", window, found, err)
		}
	}
	for _, c := range badKeys {
		if _, r, err := c.key.Check(now, 1, -1, code); err != c.want || r != Wrong {
			t.Errorf("%+v: %v, %v", c.key, r, err)
		}
		if _, err := c.key.TOTP(now); err != c.want {
			t.Errorf("%+v: %v", c.key, err)
		}
		if _, found, err := c.key.ClockOffset(now, 1, code); err != c.want || found {
			t.Errorf("%+v: offset %v, %v", c.key, found, err)
		}
	}
}

func TestCheckAllocatesNothing(t *testing.T) { // performance.md
	for a, k := range rfc6238 {
		right := mustCode(t, k, now)
		for _, code := range []string{right, "00000000", "0", "x", ""} {
			if n := testing.AllocsPerRun(100, func() { _, _, _ = k.Check(now, 1, -1, code) }); n != 0 {
				t.Errorf("%v, code %q: %v allocations", a, code, n)
			}
			if n := testing.AllocsPerRun(10, func() { _, _, _ = k.ClockOffset(now, 1, code) }); n != 0 {
				t.Errorf("%v, offset, code %q: %v allocations", a, code, n)
			}
		}
	}
}

func TestResultString(t *testing.T) {
	if Wrong.String()+Accepted.String()+Used.String() != "wrongacceptedused" || Result(0) != Wrong {
		t.Fail()
	}
}

func BenchmarkCheck(b *testing.B) { // must 1.5 µs, stretch 1.0 µs (SHA-1, three steps), 0 allocations
	for _, a := range []Algorithm{SHA1, SHA256, SHA512} {
		k := Key{rfcKey.Secret, Params{Algorithm: a}}
		right := mustCode(b, k, now)
		for name, code := range map[string]string{"right": right, "wrong": "000000"} {
			b.Run(a.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _, _ = k.Check(now, 1, -1, code)
				}
			})
		}
	}
}
