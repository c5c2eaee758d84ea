package store

import (
	"context"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// setStream begins the sending of a company's events, or ends it.
func setStream(tx *Tx, l *loaded, w authn.SetStream) error {
	channel := clean(string(w.Channel), maxWord)
	if !w.On {
		_, err := tx.exec("DELETE FROM audit_streams WHERE company = $1 AND channel = $2", l.company, channel)
		return err
	}
	_, err := tx.exec(`INSERT INTO audit_streams (company, channel, seq, sent_at, next_at, tries, failed)
		VALUES ($1, $2, CASE WHEN $3 THEN COALESCE((SELECT a.seq FROM audit_anchors a WHERE a.company = $1), 0)
		ELSE COALESCE((SELECT c.seq FROM chains c WHERE c.company = $1), 0) END, 0, 0, 0, '')
		ON CONFLICT (company, channel) DO UPDATE SET next_at = 0, tries = 0, failed = ''`, l.company, channel, w.All)
	return err
}

// DueStreams are those with something to send whose time has come, the one that
// waits longest first; at most 200.
func (s *Store) DueStreams(ctx context.Context, now time.Time, limit int) ([]authn.Stream, error) {
	var list []authn.Stream
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each(`SELECT s.company, s.channel, s.seq, s.tries FROM audit_streams s JOIN chains c ON c.company = s.company
			WHERE s.next_at <= $1 AND c.seq > s.seq ORDER BY s.next_at LIMIT $2`, []any{micros(now), limitOf(limit)}, func(scan func(...any) error) (bool, error) {
			var st authn.Stream
			err := scan(&st.Company, (*string)(&st.Channel), &st.Seq, &st.Tries)
			list = append(list, st)
			return true, err
		})
	})
	return list, in("due streams", err)
}

// StreamMoved notes that everything up to the number to was taken. It is false
// if the stream was not at from any more: another node sends, or it was ended.
func (s *Store) StreamMoved(ctx context.Context, st authn.Stream, to int64, at time.Time) (bool, error) {
	var moved bool
	err := s.b.Do(ctx, func(tx *Tx) error {
		n, err := tx.exec("UPDATE audit_streams SET seq = $4, sent_at = $5, next_at = $5, tries = 0, failed = '' WHERE company = $1 AND channel = $2 AND seq = $3",
			st.Company, string(st.Channel), st.Seq, to, micros(at))
		moved = n == 1
		return err
	})
	return moved, in("stream moved", err)
}

// StreamFailed notes that a batch was not taken, and when it is tried again.
func (s *Store) StreamFailed(ctx context.Context, st authn.Stream, next time.Time, failed string) error {
	return in("stream failed", s.b.Do(ctx, func(tx *Tx) error {
		_, err := tx.exec("UPDATE audit_streams SET next_at = $4, tries = tries + 1, failed = $5 WHERE company = $1 AND channel = $2 AND seq = $3",
			st.Company, string(st.Channel), st.Seq, micros(next), clean(failed, maxWord))
		return err
	}))
}

// Streams are a company's, with what they have not sent yet.
func (s *Store) Streams(ctx context.Context, company string) ([]authn.Stream, error) {
	var list []authn.Stream
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each(`SELECT s.company, s.channel, s.seq, s.sent_at, s.next_at, s.tries, s.failed, COALESCE((SELECT c.seq FROM chains c WHERE c.company = s.company), s.seq) - s.seq,
			COALESCE((SELECT e.at FROM events e WHERE e.company = s.company AND e.seq > s.seq ORDER BY e.seq LIMIT 1), 0)
			FROM audit_streams s WHERE s.company = $1 ORDER BY s.channel`, []any{clean(company, maxID)}, func(scan func(...any) error) (bool, error) {
			var st authn.Stream
			err := scan(&st.Company, (*string)(&st.Channel), &st.Seq, asTime{&st.SentAt}, asTime{&st.NextAt}, &st.Tries, &st.Failed, &st.Behind, asTime{&st.Oldest})
			list = append(list, st)
			return true, err
		})
	})
	return list, in("streams", err)
}

func setKeep(tx *Tx, l *loaded, w authn.SetKeep) error {
	if w.Months < 0 {
		return internal("events kept for %d months", w.Months)
	}
	_, err := tx.exec("UPDATE companies SET audit_keep_months = $2 WHERE id = $1", l.company, w.Months)
	return err
}

// Keep is how long a company keeps its events.
func (s *Store) Keep(ctx context.Context, company string) (authn.Keep, error) {
	var k authn.Keep
	err := s.b.Read(ctx, func(tx *Tx) error {
		k = authn.Keep{}
		found, err := tx.one(`SELECT c.audit_keep_months, COALESCE(a.seq, 0), a.hash, COALESCE(a.deleted_at, 0)
			FROM companies c LEFT JOIN audit_anchors a ON a.company = c.id WHERE c.id = $1`,
			[]any{&k.Months, &k.Seq, &k.Hash, asTime{&k.DeletedAt}}, clean(company, maxID))
		if err == nil && !found {
			err = authn.NotFound
		}
		return err
	})
	return k, in("keep", err)
}

// Keeping are the companies, by id, that delete old events, after the id given;
// at most 200. The number is of months.
func (s *Store) Keeping(ctx context.Context, after string, limit int) (ids []string, months []int, err error) {
	err = s.b.Read(ctx, func(tx *Tx) error {
		ids, months = nil, nil
		return tx.each("SELECT c.id, c.audit_keep_months FROM companies c WHERE c.audit_keep_months > 0 AND c.id > $1 ORDER BY c.id LIMIT $2",
			[]any{clean(after, maxID), limitOf(limit)}, func(scan func(...any) error) (bool, error) {
				var id string
				var n int
				err := scan(&id, &n)
				ids, months = append(ids, id), append(months, n)
				return true, err
			})
	})
	return ids, months, in("keeping", err)
}

// PruneEnd is the link up to which a company's oldest events can be deleted, most
// of them at most: sealed ones from before old that every stream has sent, or
// from before veryOld. It is 0 if there is none.
func (s *Store) PruneEnd(ctx context.Context, company string, old, veryOld time.Time, most int) (seq int64, hash []byte, err error) {
	err = s.b.Read(ctx, func(tx *Tx) error {
		var done, sent, stays int64
		seq, hash = 0, nil
		_, err := tx.one(`SELECT COALESCE((SELECT a.seq FROM audit_anchors a WHERE a.company = $1), 0),
			COALESCE((SELECT min(s.seq) FROM audit_streams s WHERE s.company = $1), 9223372036854775807)`, []any{&done, &sent}, company)
		if err != nil {
			return err
		}
		// The first that stays.
		found, err := tx.one(`SELECT e.seq FROM events e WHERE e.company = $1 AND e.seq > $2 AND e.seq <= $3 AND NOT (e.at < $4 AND e.seq <= $5 OR e.at < $6) ORDER BY e.seq LIMIT 1`,
			[]any{&stays}, company, done, done+int64(most), micros(old), sent, micros(veryOld))
		if err != nil {
			return err
		}
		if !found {
			stays = done + int64(most) + 1
		}
		if stays == done+1 {
			return nil
		}
		_, err = tx.one("SELECT e.seq, e.hash FROM events e WHERE e.company = $1 AND e.seq > $2 AND e.seq < $3 ORDER BY e.seq DESC LIMIT 1", []any{&seq, &hash}, company, done, stays)
		return err
	})
	return seq, hash, in("prune end", err)
}

// PruneEvents deletes a company's oldest events up to the link to, max of them at
// most, and notes the last one as the anchor of the rest. It returns how many
// it deleted.
func (s *Store) PruneEvents(ctx context.Context, company string, to int64, max int, now time.Time) (int, error) {
	var n int64
	err := s.b.Do(ctx, func(tx *Tx) error {
		n = 0
		var seq, done, last int64
		var hash []byte
		// Nobody else takes away or seals meanwhile.
		if _, err := tx.one(selectChain.text(tx, true), []any{&seq, &hash}, company); err != nil {
			return err
		}
		if _, err := tx.one("SELECT seq FROM audit_anchors WHERE company = $1", []any{&done}, company); err != nil {
			return err
		}
		found, err := tx.one("SELECT e.seq, e.hash FROM events e WHERE e.company = $1 AND e.seq > $2 AND e.seq <= $3 ORDER BY e.seq DESC LIMIT 1",
			[]any{&last, &hash}, company, done, min(to, done+int64(sealMax(max))))
		if err != nil || !found {
			return err
		}
		if n, err = tx.exec("DELETE FROM events WHERE company = $1 AND seq > $2 AND seq <= $3", company, done, last); err != nil {
			return err
		}
		_, err = tx.exec(`INSERT INTO audit_anchors (company, seq, hash, deleted_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (company) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, deleted_at = excluded.deleted_at`, company, last, hash, micros(now))
		return err
	})
	if err != nil {
		return 0, in("prune events", err)
	}
	return int(n), nil
}
