package store

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// countedKinds are the kinds that events are told apart by in the counts; a
// method that is none of ours is counted as "other".
var countedKinds = []authn.Kind{authn.Password, authn.TOTP, authn.SMS, authn.Email, authn.Duo, authn.WebAuthn, authn.BackupCode, authn.BypassCode}

// refusalsCounted ends the types of events that stand for many refusals, with
// how many in their detail.
const refusalsCounted = ".refusals_counted"

// maxCounts bounds what one event can add.
const maxCounts = 1_000_000_000

// countedAs is the word under which an event is counted, and for how many things
// it stands. The word is one of few: what an event says of a person is sealed,
// and free text would make the counts as many as the events.
func countedAs(ev *authn.Event) (word string, counts int64) {
	detail := ev.Personal.Detail
	if strings.HasSuffix(ev.Type, refusalsCounted) {
		for _, v := range detail {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && n > 0 {
				counts = min(counts+min(n, maxCounts), maxCounts)
			}
		}
		return "", max(counts, 1)
	}
	word = cmp.Or(detail["method"], detail["channel"], detail["acr"])
	if word != "" && word != authn.AAL1 && word != authn.AAL2 && !slices.Contains(countedKinds, authn.Kind(word)) {
		word = "other"
	}
	return word, 1
}

// tally collects what a batch of sealed events adds to the counts.
type tally map[tallied]int64

type tallied struct {
	typ    string
	hour   int64
	result authn.Result
	word   string
}

// add counts an event under the hour that it says itself: whatever the clocks of
// the nodes show when it is sealed, it is counted once and in the same place.
func (t tally) add(ev *authn.Event, word string, counts int64) {
	t[tallied{ev.Type, max(ev.At.UnixMicro(), 0) / time.Hour.Microseconds(), ev.Result, word}] += counts
}

// write adds the tally to the company's counts, in one order, so that no two
// sealers wait for each other in a circle.
func (t tally) write(tx *Tx, company string) error {
	keys := make([]tallied, 0, len(t))
	for k := range t {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b tallied) int {
		return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(a.hour, b.hour), cmp.Compare(a.result, b.result), cmp.Compare(a.word, b.word))
	})
	for _, k := range keys {
		if _, err := tx.exec(`INSERT INTO event_counts (company, type, hour, result, detail, n) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (company, type, hour, result, detail) DO UPDATE SET n = event_counts.n + excluded.n`,
			company, k.typ, k.hour, string(k.result), k.word, t[k]); err != nil {
			return err
		}
	}
	return nil
}

// An offset in minutes makes days of hours: 1440 minutes are one.
const selectCounts = "SELECT (hour * 60 + $5) / 1440, result, detail, CAST(SUM(n) AS bigint) FROM event_counts" +
	" WHERE company = $1 AND type = $2 AND hour >= $3 AND hour < $4 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"

// EventCounts says how many events of some types there were on each day. It
// reads kept summaries, never events: what is not sealed yet is not counted yet.
func (s *Store) EventCounts(ctx context.Context, company string, q authn.CountQuery) ([]authn.EventCount, error) {
	if !goodID(company) {
		return nil, nil
	}
	hour := func(t time.Time) int64 { return max(t.UnixMicro(), 0) / time.Hour.Microseconds() }
	minutes := int64(q.Offset / time.Minute)
	var list []authn.EventCount
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		for _, typ := range q.Types {
			err := tx.each(selectCounts, []any{company, clean(typ, maxWord), hour(q.From), hour(q.Until), minutes}, func(scan func(...any) error) (bool, error) {
				c := authn.EventCount{Type: typ}
				if err := scan(&c.Day, (*string)(&c.Result), &c.Detail, &c.N); err != nil {
					return false, err
				}
				list = append(list, c)
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return list, in("event counts", err)
}

const selectOldest = "SELECT e.at FROM events e WHERE (e.company, e.id) IN" +
	" (SELECT company, id FROM events WHERE company = $1 AND seq IS NULL ORDER BY id LIMIT 1)"

// OldestUnsealed is when the oldest event of a company that is not sealed yet
// was written; zero if there is none.
func (s *Store) OldestUnsealed(ctx context.Context, company string) (time.Time, error) {
	var at time.Time
	err := s.b.Read(ctx, func(tx *Tx) error {
		_, err := tx.one(selectOldest, []any{asTime{&at}}, clean(company, maxID))
		return err
	})
	return at, in("oldest unsealed", err)
}
