package otp

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestParamsZeroValueIsWhatEveryAppReads(t *testing.T) { // A1
	got := Params{}.WithDefaults()
	if want := (Params{SHA1, 6, 30}); got != want {
		t.Errorf("defaults = %v, want %v", got, want)
	}
}

func TestParamsValidate(t *testing.T) { // std-23, std-65
	for _, c := range []struct {
		p    Params
		want error
	}{
		{Params{}, nil},
		{Params{SHA512, 8, 300}, nil},
		{Params{SHA256, 7, 1}, nil},
		{Params{Algorithm: 3}, ErrAlgorithm},
		{Params{Algorithm: 255}, ErrAlgorithm},
		{Params{Digits: 5}, ErrDigits},
		{Params{Digits: 9}, ErrDigits},
		{Params{Digits: -6}, ErrDigits},
		{Params{Period: -1}, ErrPeriod},
		{Params{Period: 301}, ErrPeriod},
	} {
		if err := c.p.Validate(); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.p, err, c.want)
		}
	}
}

func TestParseAlgorithm(t *testing.T) {
	for name, want := range map[string]Algorithm{
		"SHA1": SHA1, "sha1": SHA1, "SHA-1": SHA1, "HmacSHA1": SHA1, "HMAC-SHA-1": SHA1,
		"SHA256": SHA256, "Sha-256": SHA256, "HmacSHA256": SHA256, "SHA512": SHA512, "HMAC-SHA-512": SHA512,
	} {
		if got, err := ParseAlgorithm(name); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "MD5", "SHA", "SHA2", "SHA384", "SHA-3-256", "HMAC", " SHA1", "ＳＨＡ1", "HMAC-SHA-512-SHA1"} {
		if _, err := ParseAlgorithm(name); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%q: %v, want ErrAlgorithm", name, err)
		}
	}
	for _, a := range []Algorithm{SHA1, SHA256, SHA512} {
		if got, err := ParseAlgorithm(a.String()); got != a || err != nil {
			t.Errorf("%v does not read its own name: %v, %v", a, got, err)
		}
	}
	if got := Algorithm(9).String(); got != "Algorithm(9)" {
		t.Error(got)
	}
}

func TestStepBoundaries(t *testing.T) { // std-69: RFC 6238 4.2, beyond 32 bits
	for _, c := range []struct {
		period int
		unix   int64
		want   int64
	}{
		{0, 0, 0},
		{0, 29, 0},
		{0, 30, 1},
		{0, 59, 1},
		{0, 60, 2},
		{1, 59, 59},
		{300, 299, 0},
		{300, 300, 1},
		{0, -1, -1}, // rounds down, not towards zero
		{0, -30, -1},
		{0, -31, -2},
		{0, 1 << 31, 71582788}, // 2038-01-19
		{1, 1 << 31, 1 << 31},
		{0, 20000000000, 0x27BC86AA}, // RFC 6238 appendix B, year 2603
		{1, 1 << 40, 1 << 40},
		{30, math.MaxInt64, math.MaxInt64 / 30},
	} {
		p := Params{Period: c.period}
		if got := p.Step(time.Unix(c.unix, 0)); got != c.want {
			t.Errorf("period %d, %d s: step %d, want %d", c.period, c.unix, got, c.want)
		}
	}
	late := time.Unix(59, 999_999_999)
	if got := (Params{}).Step(late); got != 1 {
		t.Errorf("the last nanosecond of step 1 is in step %d", got)
	}
}

func TestStartIsTheFirstMomentOfItsStep(t *testing.T) {
	for _, period := range []int{0, 1, 7, 60, 300} {
		p := Params{Period: period}
		for _, step := range []int64{-3, 0, 1, 71582788, 1 << 33} {
			start := p.Start(step)
			if got := p.Step(start); got != step {
				t.Errorf("period %d: Step(Start(%d)) = %d", period, step, got)
			}
			if got := p.Step(start.Add(-1)); got != step-1 {
				t.Errorf("period %d: just before Start(%d) is step %d", period, step, got)
			}
		}
	}
}
