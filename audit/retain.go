package audit

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Retention.
const (
	pruneLease = "audit.retention"
	pruneTime  = time.Minute
	// pruneMost is how many links of a company one run deletes, and pruneBatch how
	// many at once, so that sign-ins get in between.
	pruneMost  = 20000
	pruneBatch = 500
	// waitForStreams is how long events that are too old are kept for a stream that
	// has not sent them.
	waitForStreams = 30 * 24 * time.Hour
	// pruneEvery: each run that deletes writes an event, so it lets old ones gather.
	pruneEvery = 24 * time.Hour
)

// PruneSome deletes what companies no longer keep, from the oldest end, if this
// node holds the lease. It reports how many events it deleted.
//
// First an event, "audit.pruned", says with number and hash up to where; then the
// links go in batches, each of which notes its last one as the anchor of the
// rest. So the log itself says what it lacks: Verify takes no other beginning.
func (s *Service) PruneSome(ctx context.Context) (int, error) {
	now := s.c.Now()
	mine, err := s.c.Store.Acquire(ctx, pruneLease, s.holder, now, pruneTime)
	if err != nil || !mine {
		return 0, err
	}
	total := 0
	for after := ""; ; {
		ids, months, err := s.c.Store.Keeping(ctx, after, pageSize)
		if err != nil {
			return total, fmt.Errorf("audit: prune: %w", err)
		}
		for i, id := range ids {
			n, err := s.prune(ctx, id, months[i], now)
			total += n
			if err != nil {
				return total, fmt.Errorf("audit: prune %s: %w", id, err)
			}
			if _, err := s.c.Store.Acquire(ctx, pruneLease, s.holder, s.c.Now(), pruneTime); err != nil {
				return total, err
			}
			after = id
		}
		if len(ids) < pageSize {
			return total, nil
		}
	}
}

func (s *Service) prune(ctx context.Context, company string, months int, now time.Time) (int, error) {
	end, err := s.pruneEnd(ctx, company, months, now)
	if err != nil || end == 0 {
		return 0, err
	}
	total := 0
	for {
		n, err := s.c.Store.PruneEvents(ctx, company, end, pruneBatch, now)
		if total += n; err != nil || n == 0 {
			return total, err
		}
	}
}

// pruneEnd is up to where to delete; it is on record when this returns.
func (s *Service) pruneEnd(ctx context.Context, company string, months int, now time.Time) (int64, error) {
	k, err := s.c.Store.Keep(ctx, company)
	if err != nil {
		return 0, err
	}
	// A run that was cut off goes on where its event said.
	if last, err := s.lastPruned(ctx, company); err != nil || last.Seq > k.Seq {
		return last.Seq, err
	}
	old := now.AddDate(0, -months, 0)
	seq, hash, err := s.c.Store.PruneEnd(ctx, company, old, old.Add(-waitForStreams), pruneMost)
	if err != nil || seq == 0 || now.Sub(k.DeletedAt) < pruneEvery && seq-k.Seq < pruneMost {
		return 0, err
	}
	err = s.Note(ctx, company, By{}, prunedType, map[string]string{"seq": strconv.FormatInt(seq, 10), "hash": fmt.Sprintf("%x", hash),
		"events": strconv.FormatInt(seq-k.Seq, 10), "months": strconv.Itoa(months)})
	return seq, err
}

const prunedType = "audit.pruned"

// lastPruned is up to where the log says that it was deleted; the zero Head: nothing was.
func (s *Service) lastPruned(ctx context.Context, company string) (Head, error) {
	page, err := s.c.Store.Search(ctx, company, authn.EventQuery{Type: prunedType, Limit: 1})
	if err != nil || len(page.Events) == 0 {
		return Head{}, err
	}
	return headOf(page.Events[0].Personal.Detail), nil
}

// headOf reads the link that an event names in its detail.
func headOf(detail map[string]string) Head {
	seq, err := strconv.ParseInt(detail["seq"], 10, 64)
	hash, bad := hex.DecodeString(detail["hash"])
	if err != nil || bad != nil || seq < 1 {
		return Head{}
	}
	return Head{seq, hash}
}
