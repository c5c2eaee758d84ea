package throttle

import (
	"sync"
	"time"
)

// AlarmConfig sets an Alarm. Every field may be left zero.
type AlarmConfig struct {
	PerMinute int // failures of a company within a minute that raise it; 0: 300
	Companies int // counted apart; 0: 4,096. Any more share one count
}

// Alarm watches the failed sign-ins of each company. It blocks nobody: a limit
// over a whole company would let a stranger lock all of it out (ruling 10,
// requirement F5). It tells the people who can act, at most once an hour.
type Alarm struct {
	perMinute int
	companies int

	mu     sync.Mutex
	counts map[string]*failures
	rest   failures // of companies beyond the bound
	swept  int64
}

type failures struct {
	minute int64 // since 1970
	n      int
	raised time.Time
}

// NewAlarm makes an Alarm.
func NewAlarm(c AlarmConfig) *Alarm {
	if c.PerMinute <= 0 {
		c.PerMinute = 300
	}
	if c.Companies <= 0 {
		c.Companies = 4096
	}
	return &Alarm{perMinute: c.PerMinute, companies: c.Companies, counts: map[string]*failures{}}
}

// Failed counts one failure of a company and reports whether to raise the
// alarm now: with the failure that fills the minute, once an hour at most.
func (a *Alarm) Failed(company string, now time.Time) (raise bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.of(company, now)
	minute := now.Unix() / 60
	switch {
	case minute > f.minute:
		f.minute, f.n = minute, 0
	case minute < f.minute: // the clock was set back: go on counting
		f.minute = minute
	}
	if f.raised.After(now) {
		f.raised = now // or a clock that had jumped ahead would keep it silent
	}
	f.n++
	if f.n < a.perMinute || (!f.raised.IsZero() && now.Sub(f.raised) < time.Hour) {
		return false
	}
	f.raised = now
	return true
}

func (a *Alarm) of(company string, now time.Time) *failures {
	if f := a.counts[company]; f != nil {
		return f
	}
	if len(a.counts) >= a.companies {
		a.sweep(now)
	}
	if len(a.counts) >= a.companies {
		return &a.rest
	}
	f := &failures{}
	a.counts[company] = f
	return f
}

// sweep drops the counts that say nothing any more, once a minute at most.
func (a *Alarm) sweep(now time.Time) {
	minute := now.Unix() / 60
	if minute == a.swept {
		return
	}
	a.swept = minute
	for company, f := range a.counts {
		if f.minute < minute && now.Sub(f.raised) >= time.Hour {
			delete(a.counts, company)
		}
	}
}
