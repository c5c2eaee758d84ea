package store

import (
	"context"
	"time"
)

// Acquire takes or renews the lease of a name for holder until now + ttl, and
// reports whether holder has it (ruling 55). Leases spare work; no promise
// rests on them, since a holder may be slow.
func (s *Store) Acquire(ctx context.Context, name, holder string, now time.Time, ttl time.Duration) (bool, error) {
	var got bool
	err := s.b.Do(ctx, func(tx *Tx) error {
		n, err := tx.exec(`INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
			WHERE leases.holder = excluded.holder OR leases.expires_at <= $4`,
			clean(name, maxName), clean(holder, maxName), micros(now.Add(ttl)), micros(now))
		got = n == 1
		return err
	})
	if err != nil {
		return false, in("acquire", err)
	}
	return got, nil
}

// KeepShown is how long new backup codes can be shown again (ruling 43).
const KeepShown = 10 * time.Minute

// How long what has ended stays, so that whoever comes late is told "expired".
// A throttle row is stale after two days: with pauses of up to an hour, waiting
// for that gains a guesser nothing over going on.
const (
	keepEnded    = time.Hour
	keepSent     = 25 * time.Hour // the limits count a day
	keepThrottle = 48 * time.Hour
	keepBudget   = 40 * 24 * time.Hour  // for the page that shows them, after their window
	keepApproval = 30 * 24 * time.Hour  // for the page that shows what came of them
	keepCounts   = 761 * 24 * time.Hour // 25 months: each month beside the one a year ago
	sweepBatch   = 500
)

var sweeps = []struct {
	text string
	keep time.Duration
}{
	{"DELETE FROM forms WHERE (company, attempt) IN (SELECT company, attempt FROM forms WHERE expires_at <= $1 LIMIT $2)", 0},
	{"DELETE FROM passkey_asks WHERE (company, hash) IN (SELECT company, hash FROM passkey_asks WHERE expires_at <= $1 LIMIT $2)", 0},
	{"DELETE FROM attempts WHERE (company, id) IN (SELECT company, id FROM attempts WHERE expires_at <= $1 LIMIT $2)", keepEnded},
	{"DELETE FROM sessions WHERE (company, id) IN (SELECT company, id FROM sessions WHERE ends_at <= $1 LIMIT $2)", keepEnded},
	{"DELETE FROM trusted_browsers WHERE (company, id) IN (SELECT company, id FROM trusted_browsers WHERE expires_at <= $1 LIMIT $2)", keepEnded},
	{"DELETE FROM factors WHERE (company, user_id, id) IN" +
		" (SELECT company, user_id, id FROM factors WHERE state = 'pending' AND expires_at <= $1 LIMIT $2)", keepEnded},
	{"DELETE FROM factors WHERE (company, user_id, id) IN" +
		" (SELECT company, user_id, id FROM factors WHERE kind = 'bypass_code' AND expires_at > 0 AND expires_at <= $1 LIMIT $2)", keepEnded},
	{"DELETE FROM challenges WHERE (company, id) IN (SELECT company, id FROM challenges WHERE created_at <= $1 LIMIT $2)", keepSent},
	{"DELETE FROM resets WHERE (company, id) IN (SELECT company, id FROM resets WHERE created_at <= $1 LIMIT $2)", keepSent},
	{"DELETE FROM links WHERE (company, id) IN (SELECT company, id FROM links WHERE expires_at <= $1 LIMIT $2)", keepThrottle},
	{"UPDATE factors SET sealed = substr(sealed, 1, 0) WHERE (company, user_id, id) IN (SELECT company, user_id, id FROM factors" +
		" WHERE kind = 'backup_code' AND created_at <= $1 AND length(sealed) > 0 LIMIT $2)", KeepShown},
	{"DELETE FROM throttles WHERE (company, who) IN (SELECT company, who FROM throttles" +
		" WHERE updated_at <= $1 AND paused_s <= $1 AND paused_k <= $1 LIMIT $2)", keepThrottle},
	{"UPDATE providers SET previous = substr(previous, 1, 0), previous_until = 0 WHERE (company, channel) IN" +
		" (SELECT company, channel FROM providers WHERE previous_until > 0 AND previous_until <= $1 LIMIT $2)", 0},
	{"DELETE FROM budgets WHERE (company, scope, subject, from_at) IN (SELECT company, scope, subject, from_at FROM budgets" +
		" WHERE until_at <= $1 LIMIT $2)", keepBudget},
	{"DELETE FROM approvals WHERE (company, id) IN (SELECT company, id FROM approvals WHERE expires_at <= $1 LIMIT $2)", keepApproval},
	{"DELETE FROM event_counts WHERE (company, type, hour, result, detail) IN (SELECT company, type, hour, result, detail FROM event_counts" +
		" WHERE hour < $1 / 3600000000 LIMIT $2)", keepCounts},
	{"DELETE FROM grants WHERE (company, id) IN (SELECT company, id FROM grants WHERE expires_at <= $1 LIMIT $2)", keepEnded},
	{"DELETE FROM handles WHERE (company, id) IN (SELECT company, id FROM handles WHERE expires_at <= $1 LIMIT $2)", keepEnded},
	{"DELETE FROM leases WHERE name IN (SELECT name FROM leases WHERE expires_at <= $1 LIMIT $2)", keepThrottle},
}

// Sweep deletes what ended a while ago, in batches, so that sign-ins get in between.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	for _, sweep := range sweeps {
		for {
			n, err := s.sweep(ctx, sweep.text, now.Add(-sweep.keep))
			if err != nil {
				return in("sweep", err)
			}
			if n < sweepBatch {
				break
			}
		}
	}
	for {
		n, err := s.reshapeDue(ctx, micros(now), now)
		if err != nil {
			return in("sweep", err)
		}
		if n < sweepBatch {
			break
		}
	}
	if err := s.sweepImports(ctx, now); err != nil {
		return err
	}
	return in("sweep", s.sweepErased(ctx, now))
}

func (s *Store) sweep(ctx context.Context, text string, until time.Time) (int64, error) {
	var deleted int64 // read only after Do returned nil: it may return before the operation has run
	err := s.b.Do(ctx, func(tx *Tx) (err error) {
		deleted, err = tx.exec(text, micros(until), sweepBatch)
		return err
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

// Ready reports whether the database can be read and written now.
func (s *Store) Ready(ctx context.Context) error {
	if _, err := s.Mark(ctx, MarkKeyring); err != nil {
		return err
	}
	return s.SetMark(ctx, markReady, s.holder)
}

// Mark reads a note about the whole installation, such as "demo"; empty if
// there is none.
func (s *Store) Mark(ctx context.Context, key string) (string, error) {
	var value string
	err := s.b.Read(ctx, func(tx *Tx) (err error) {
		value, err = tx.mark(key)
		return err
	})
	return value, in("mark", err)
}

// SetMark writes such a note.
func (s *Store) SetMark(ctx context.Context, key, value string) error {
	return in("set mark", s.b.Do(ctx, func(tx *Tx) error { return tx.setMark(key, value) }))
}

func (tx *Tx) mark(key string) (value string, err error) {
	_, err = tx.one("SELECT value FROM meta WHERE name = $1", []any{&value}, clean(key, maxName))
	return value, err
}

func (tx *Tx) setMark(key, value string) error {
	_, err := tx.exec("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		clean(key, maxName), clean(value, maxDocument))
	return err
}
