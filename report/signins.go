package report

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// The events that sign-ins are counted by.
const (
	signedIn     = "session.started"
	confirmed    = "session.confirmed" // a step-up
	proved       = "factor.proved"     // where it was not the last answer
	wrongCode    = "factor.refused"
	refused      = "sign_in.refused"
	denied       = "sign_in.denied"
	manyRefused  = "sign_in.refusals_counted"
	codeSent     = "code.sent"
	notSent      = "message.failed"
	manyFailures = "company.many_failures"
)

// SignIns are a company's sign-ins by day.
type SignIns struct {
	Offset time.Duration // of the days, east of UTC
	Days   []Day         // oldest first, today last; each is there, with or without sign-ins
	Used   []WayCount    // what people verified with, most first
	sent   map[authn.Kind]int64
	failed map[authn.Kind]int64
}

// Day is one day's sign-ins.
type Day struct {
	Date     time.Time // its beginning, written as UTC
	SignedIn int64
	TwoSteps int64 // of those, with a second step
	Failed   int64 // wrong passwords and codes, and those who could not be let in
}

// Total adds all days up.
func (s SignIns) Total() Day {
	var t Day
	for _, d := range s.Days {
		t.SignedIn, t.TwoSteps, t.Failed = t.SignedIn+d.SignedIn, t.TwoSteps+d.TwoSteps, t.Failed+d.Failed
	}
	return t
}

const aDay = 24 * time.Hour

// SignIns gives the last days, today included.
//
// Errors: Invalid (field days: 1 to MostDays).
func (s *Service) SignIns(ctx context.Context, c authn.Company, days int, offset time.Duration) (SignIns, error) {
	if days < 1 || days > MostDays {
		return SignIns{}, authn.InvalidField("days", "out_of_range", map[string]any{"Max": MostDays})
	}
	today := s.c.Now().UTC().Add(offset).Truncate(aDay) // since 1970 there, as the store counts
	first := today.AddDate(0, 0, 1-days)
	from, until := first.Add(-offset), today.AddDate(0, 0, 1).Add(-offset)
	counts, err := s.c.Store.EventCounts(ctx, c.ID, authn.CountQuery{From: from, Until: until, Offset: offset,
		Types: []string{signedIn, confirmed, proved, wrongCode, refused, denied, manyRefused, codeSent, notSent}})
	if err != nil {
		return SignIns{}, fmt.Errorf("report: %w", err)
	}
	out := SignIns{Offset: offset, Days: make([]Day, days), sent: map[authn.Kind]int64{}, failed: map[authn.Kind]int64{}}
	for i := range out.Days {
		out.Days[i].Date = first.AddDate(0, 0, i)
	}
	used := map[authn.Kind]int64{}
	for _, e := range counts {
		kind := authn.Kind(e.Detail)
		switch e.Type {
		case confirmed, proved, signedIn:
			if !alone(kind) {
				used[kind] += e.N
			}
			if e.Type != signedIn {
				continue
			}
		case codeSent:
			out.sent[kind] += e.N
			continue
		case notSent:
			out.failed[kind] += e.N
			continue
		}
		i := int(e.Day - first.Unix()/int64(aDay/time.Second))
		if i < 0 || i >= days {
			continue // an hour that two days share
		}
		d := &out.Days[i]
		switch {
		case e.Type != signedIn:
			d.Failed += e.N
		case !alone(kind):
			d.TwoSteps += e.N
			fallthrough
		default:
			d.SignedIn += e.N
		}
	}
	out.Used = sorted(used)
	return out, nil
}

// alone reports whether what a sign-in ended with was no second step.
func alone(k authn.Kind) bool {
	return k == "" || k == authn.Password || k == authn.AAL1 || k == authn.AAL2
}
