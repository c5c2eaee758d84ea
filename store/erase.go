package store

import (
	"context"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Erasing (requirement K2). A person's rows go with their row in users; what the
// log says of them stays and nobody can read it, since its key stood in that row.
// A company's key goes first, and its rows then, in batches.

// eraseUser deletes the user whom the decision has locked, so that a sign-in that
// waits for the lock finds nobody. What follows in the same decision is said of
// nobody's person, under the company's key.
func (s *Store) eraseUser(tx *Tx, k *authn.Keys, l *loaded, w authn.EraseUser) error {
	keys, err := tx.words("SELECT id FROM api_keys WHERE "+ofTheUser("api_keys")+" ORDER BY id", l.company, l.uid)
	if err != nil {
		return err
	}
	// Letters to them, and about them to others: nothing of theirs is sent any more.
	if _, err := tx.exec("DELETE FROM outbox WHERE "+ofTheUser("outbox"), l.company, l.uid); err != nil {
		return err
	}
	who := throttleKey(l.key, l.company, l.uid, "")
	for _, who := range [][]byte{who[:], resetKey(l.key, l.company, l.uid, "")} {
		if _, err := tx.exec("DELETE FROM throttles WHERE company = $1 AND who = $2", l.company, who); err != nil {
			return err
		}
	}
	if _, err := tx.exec("DELETE FROM resets WHERE "+ofTheUser("resets"), l.company, l.uid); err != nil {
		return err
	}
	n, err := tx.exec("DELETE FROM users WHERE company = $1 AND id = $2", l.company, l.uid)
	if err := oneRow(n, err, "the user is gone"); err != nil {
		return err
	}
	n, err = tx.exec("INSERT INTO tombstones (company, user_id, at, by_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		l.company, l.uid, micros(k.Now), clean(w.By, maxID))
	if err := oneRow(n, err, "the user was erased"); err != nil {
		return err
	}
	l.personKey, l.opened.of, l.opened.key = nil, "", nil
	for _, id := range keys {
		ev := authn.Event{Type: "key.removed", Actor: w.By, Target: l.uid, Result: authn.Succeeded,
			Personal: authn.Personal{Detail: map[string]string{"key": id, "why": "owner_erased"}}}
		if err := s.insertEvent(tx, k, l, ev); err != nil {
			return err
		}
	}
	if w.Letter == nil || s.notice == nil {
		return nil
	}
	return s.newLetter(tx, k, l, "", *w.Letter, "")
}

// buried reports whether the id was of somebody who was erased.
func (tx *Tx) buried(company, user string) (bool, error) {
	var n int64
	return tx.one("SELECT 1 FROM tombstones WHERE company = $1 AND user_id = $2", []any{&n}, company, user)
}

// words are the texts of a statement with one column.
func (tx *Tx) words(query string, args ...any) (list []string, err error) {
	err = tx.each(query, args, func(scan func(...any) error) (bool, error) {
		var s string
		err := scan(&s)
		list = append(list, s)
		return true, err
	})
	return list, err
}

// Tombstones are those of the given people who were erased, in the order of
// their ids. At most 200 ids are looked at.
func (s *Store) Tombstones(ctx context.Context, company string, users []string) ([]authn.Tombstone, error) {
	if !goodID(company) {
		return nil, nil
	}
	var list []authn.Tombstone
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		for _, user := range users[:min(len(users), 200)] {
			if !goodID(user) {
				continue
			}
			t := authn.Tombstone{User: user}
			found, err := tx.one("SELECT at, by_id FROM tombstones WHERE company = $1 AND user_id = $2", []any{asTime{&t.At}, &t.By}, company, user)
			if err != nil {
				return err
			}
			if found {
				list = append(list, t)
			}
		}
		return nil
	})
	return list, in("tombstones", err)
}

// EraseCompany destroys the key of a company, so that nothing of it can be read
// any more, and marks it, so that nobody finds it. PurgeCompany then deletes the
// rows. NotFound if there is no such company, or no more.
func (s *Store) EraseCompany(ctx context.Context, company string, now time.Time) error {
	if !goodID(company) {
		return authn.NotFound
	}
	err := s.b.Do(ctx, func(tx *Tx) error {
		n, err := tx.exec("UPDATE companies SET erased_at = $2, name = '', policy = '{}', support = '', provides = '', roles = '[]'"+
			" WHERE id = $1 AND erased_at = 0", company, micros(now))
		if err != nil {
			return err
		}
		if n != 1 {
			return authn.NotFound
		}
		_, err = tx.exec("DELETE FROM company_keys WHERE company = $1", company)
		return err
	})
	s.keys.drop(company)
	return in("erase company", err)
}

// Erasing are the companies that were erased and of which rows may be left.
func (s *Store) Erasing(ctx context.Context) ([]authn.ErasedCompany, error) {
	var list []authn.ErasedCompany
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT id, slug, erased_at FROM companies WHERE erased_at > 0 AND purged_at = 0 ORDER BY id", nil,
			func(scan func(...any) error) (bool, error) {
				var c authn.ErasedCompany
				err := scan(&c.ID, &c.Slug, asTime{&c.At})
				list = append(list, c)
				return true, err
			})
	})
	return list, in("erasing", err)
}

// purges are the tables that hold rows of companies, children before those that
// they refer to, so that no batch drags more along; each with its key. A test
// compares them with the schema.
var purges = []struct{ table, key string }{
	{"saved_codes", "company, user_id, factor, n"},
	{"challenges", "company, id"},
	{"links", "company, id"},
	{"resets", "company, id"},
	{"forms", "company, attempt"},
	{"attempts", "company, id"},
	{"grants", "company, id"},
	{"handles", "company, id"},
	{"return_addresses", "company, address"},
	{"sessions", "company, id"},
	{"devices", "company, user_id, browser"},
	{"trusted_browsers", "company, id"},
	{"passkeys", "hash"},
	{"passkey_asks", "company, hash"},
	{"factors", "company, user_id, id"},
	{"logins", "company, name"},
	{"approvals", "company, id"},
	{"api_keys", "company, id"},
	{"user_words", "company, word, user_id"},
	{"api_accounts", "company, user_id"},
	{"role_holders", "company, role, user_id"},
	{"users", "company, id"},
	{"external_ids", "company, subject"},
	{"people_shapes", "company, shape"},
	{"actions", "company, name"},
	{"imports", "company, id"},
	{"throttles", "company, who"},
	{"outbox", "company, id"},
	{"provider_health", "company, channel, version, name"},
	{"providers", "company, channel"},
	{"budgets", "company, scope, subject, from_at"},
	{"events", "company, id"},
	{"event_counts", "company, type, hour, result, detail"},
	{"audit_streams", "company, channel"},
	{"audit_anchors", "company"},
	{"policy_versions", "company, version"},
	{"policy_reminders", "company"},
	{"policy_invitations", "company"},
	{"brand_files", "company, kind"},
	{"branding", "company"},
	{"chains", "company"},
	{"tombstones", "company, user_id"},
	{"company_keys", "company"},
}

// PurgeLate is how long after the mark rows of a company are still looked for: a
// decision that had found the company before it may commit after it.
const PurgeLate = 15 * time.Minute

// PurgeCompany deletes rows of a company that was erased, in at most so many
// batches, and reports whether all are gone. It may be cut off at any time and
// repeated. Once nothing is left the name in addresses is free.
func (s *Store) PurgeCompany(ctx context.Context, company string, now time.Time, batches int) (done bool, err error) {
	if !goodID(company) {
		return false, authn.NotFound
	}
	for _, p := range purges {
		text := "DELETE FROM " + p.table + " WHERE (" + p.key + ") IN (SELECT " + p.key + " FROM " + p.table + " WHERE company = $1 LIMIT $2)" +
			" AND EXISTS (SELECT 1 FROM companies c WHERE c.id = $1 AND c.erased_at > 0)"
		if p.key == "company" {
			text = "DELETE FROM " + p.table + " WHERE company = $1 AND $2 > 0 AND EXISTS (SELECT 1 FROM companies c WHERE c.id = $1 AND c.erased_at > 0)"
		}
		for n := int64(sweepBatch); n >= sweepBatch; {
			if batches <= 0 {
				return false, nil
			}
			if n, err = s.deleteSome(ctx, text, company); err != nil {
				return false, in("purge company", err)
			}
			if n > 0 {
				batches--
			}
		}
	}
	err = s.b.Do(ctx, func(tx *Tx) error {
		if _, err := tx.exec("UPDATE companies SET slug = id WHERE id = $1 AND erased_at > 0", company); err != nil {
			return err
		}
		_, err := tx.exec("UPDATE companies SET purged_at = $3 WHERE id = $1 AND erased_at > 0 AND erased_at <= $2", company, micros(now.Add(-PurgeLate)), micros(now))
		return err
	})
	return err == nil, in("purge company", err)
}

func (s *Store) deleteSome(ctx context.Context, text, company string) (n int64, err error) {
	var deleted int64 // read only after Do returned nil, as in sweep
	err = s.b.Do(ctx, func(tx *Tx) (err error) {
		deleted, err = tx.exec(text, company, sweepBatch)
		return err
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

// How much a sweep deletes of a company that the command has left unfinished:
// others wait for the rest of the sweep.
const (
	purgeBatches = 100
	purgeLease   = 2 * time.Minute
)

// sweepErased forgets the keys of companies that another process has erased, and
// goes on with what it left, one node at a time.
func (s *Store) sweepErased(ctx context.Context, now time.Time) error {
	list, err := s.Erasing(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		s.keys.drop(c.ID)
		if mine, err := s.Acquire(ctx, "erase "+c.ID, s.holder, now, purgeLease); err != nil || !mine {
			if err != nil {
				return err
			}
			continue
		}
		if _, err := s.PurgeCompany(ctx, c.ID, now, purgeBatches); err != nil {
			return err
		}
	}
	return nil
}
