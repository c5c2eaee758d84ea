package signin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// listPerMinute is how many refusals of strangers a company's log lists in a
// minute, on one node; the rest is counted.
const listPerMinute = 60

// maxTallied bounds the companies counted between two flushes.
const maxTallied = 10_000

// tally counts the refusals that are not listed one by one.
type tally struct {
	mu     sync.Mutex
	byComp map[string]*counted
}

type counted struct {
	minute time.Time
	listed int
	codes  map[authn.Code]int
}

func (t *tally) of(company string) *counted {
	if t.byComp == nil {
		t.byComp = map[string]*counted{}
	}
	c := t.byComp[company]
	if c == nil {
		if len(t.byComp) >= maxTallied {
			company = "" // counted together, and dropped at the flush
		}
		c = &counted{codes: map[authn.Code]int{}}
		t.byComp[company] = c
	}
	return c
}

// list says whether one more refusal may be written as an event of its own.
func (t *tally) list(company string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of(company)
	if m := now.Truncate(time.Minute); !m.Equal(c.minute) {
		c.minute, c.listed = m, 0
	}
	c.listed++
	return c.listed <= listPerMinute
}

func (t *tally) add(company string, code authn.Code) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(company).codes[code]++
}

// take empties the counts; what was listed in this minute stays known.
func (t *tally) take() map[string]map[authn.Code]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]map[authn.Code]int{}
	for company, c := range t.byComp {
		if len(c.codes) == 0 {
			delete(t.byComp, company) // quiet since the last flush
			continue
		}
		if company != "" {
			out[company] = c.codes
		}
		c.codes = map[authn.Code]int{}
	}
	return out
}

// FlushRefusals writes one summary event per company for the refusals since
// the last call that were not listed. Called once a minute by the server's
// house-keeping and once at its end.
func (s *Service) FlushRefusals(ctx context.Context) error {
	now := s.now()
	var failed []error
	for company, codes := range s.refusals.take() {
		detail := map[string]string{}
		for code, n := range codes {
			detail[string(code)] = strconv.Itoa(n)
		}
		err := s.store.Decide(ctx, authn.Keys{Company: company, Now: now}, func(rows *authn.Rows) authn.Verdict {
			return authn.Accept(s.event("sign_in.refusals_counted", authn.Refused, rows, authn.Client{}, now, detail))
		})
		if err != nil && !errors.Is(err, authn.NotFound) { // a company that was erased has no log
			s.refusals.putBack(company, codes)
			failed = append(failed, fmt.Errorf("signin: refusals of %s: %w", company, err))
		}
	}
	return errors.Join(failed...)
}

func (t *tally) putBack(company string, codes map[authn.Code]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of(company)
	for code, n := range codes {
		c.codes[code] += n
	}
}
