package throttle

import (
	"strconv"
	"testing"
	"time"
)

func TestAlarm_F5(t *testing.T) {
	h := newHand()
	a := NewAlarm(AlarmConfig{PerMinute: 10})
	raised := func(n int, company string) (times int) {
		for range n {
			if a.Failed(company, h.Now()) {
				times++
			}
		}
		return times
	}
	steps := []struct {
		name    string
		move    time.Duration
		company string
		n, want int
	}{
		{"below", 0, "cmp_a", 9, 0},
		{"the tenth within the minute", 0, "cmp_a", 1, 1},
		{"not again", 0, "cmp_a", 500, 0},
		{"another company is counted apart", 0, "cmp_b", 9, 0},
		{"a new minute begins at zero", time.Minute, "cmp_b", 9, 0},
		{"and has its own ten", 0, "cmp_b", 1, 1},
		{"59 minutes after", 58 * time.Minute, "cmp_a", 500, 0},
		{"an hour after", time.Minute, "cmp_a", 500, 1},
		{"set back: not again", -30 * time.Minute, "cmp_a", 500, 0},
		{"set back: silent for an hour at most", time.Hour, "cmp_a", 10, 1},
		{"set back within a minute: counted on", time.Hour, "cmp_c", 9, 0},
		{"set back within a minute: raised", -2 * time.Minute, "cmp_c", 1, 1},
	}
	for _, s := range steps {
		h.move(s.move)
		if got := raised(s.n, s.company); got != s.want {
			t.Errorf("%s: raised %d times, want %d", s.name, got, s.want)
		}
	}
}

func TestAlarm_isBounded(t *testing.T) {
	h := newHand()
	a := NewAlarm(AlarmConfig{PerMinute: 10, Companies: 50})
	raised := 0
	for i := range 5000 {
		if a.Failed("cmp_"+strconv.Itoa(i), h.Now()) {
			raised++
		}
	}
	if len(a.counts) != 50 {
		t.Errorf("%d companies are counted, want 50", len(a.counts))
	}
	if raised != 1 {
		t.Errorf("raised %d times, want once for all that share a count", raised)
	}
	h.move(time.Minute) // what counted in an earlier minute makes room
	for range 9 {
		a.Failed("cmp_new", h.Now())
	}
	if !a.Failed("cmp_new", h.Now()) {
		t.Error("a company has no count of its own after the flood")
	}
	if len(a.counts) != 1 {
		t.Errorf("%d companies are counted, want 1", len(a.counts))
	}
}

func TestAlarm_default(t *testing.T) {
	a := NewAlarm(AlarmConfig{})
	now := newHand().Now()
	for i := 1; i <= 300; i++ {
		if got := a.Failed("cmp_a", now); got != (i == 300) {
			t.Fatalf("failure %d: raise = %v", i, got)
		}
	}
}
