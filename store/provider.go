package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// providerPlace differs for the two columns: what was replaced cannot be put back
// by moving bytes.
func providerPlace(company, column string, channel authn.Kind) keyring.AD {
	return keyring.AD{Table: "providers", Column: column, Company: company, Row: string(channel)}
}

// Provider is how a company sends the messages of a channel; the zero value with
// the two names if it never said.
func (s *Store) Provider(ctx context.Context, company string, channel authn.Kind) (authn.Provider, error) {
	p := authn.Provider{Company: company, Channel: channel}
	if !goodID(company) {
		return p, authn.NotFound
	}
	err := s.b.Read(ctx, func(tx *Tx) error {
		p = authn.Provider{Company: company, Channel: channel}
		var sealed, previous []byte
		found, err := tx.one(`SELECT version, sealed, previous, previous_until, updated_at, updated_by, sent_at, failed_at, failed
			FROM providers WHERE company = $1 AND channel = $2`,
			[]any{&p.Version, &sealed, &previous, asTime{&p.PreviousUntil}, asTime{&p.UpdatedAt}, &p.UpdatedBy, asTime{&p.SentAt}, asTime{&p.FailedAt}, &p.Failed},
			company, clean(string(channel), maxWord))
		if err != nil || !found {
			return err
		}
		l := &loaded{company: company}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		open := func(column string, b []byte) ([]byte, error) {
			if len(b) == 0 {
				return nil, nil
			}
			plain, err := l.key.Open(providerPlace(company, column, channel), b)
			if err != nil {
				return nil, internal("provider %s of company %s does not open", channel, company)
			}
			return plain, nil
		}
		if p.Settings, err = open("sealed", sealed); err != nil {
			return err
		}
		p.Previous, err = open("previous", previous)
		return err
	})
	if err != nil {
		return authn.Provider{}, in("provider", err)
	}
	return p, nil
}

// setProvider begins the counts of sending anew: they spoke of the old settings.
func setProvider(tx *Tx, l *loaded, w authn.SetProvider) error {
	p := w.Provider
	if p.Company != "" && p.Company != l.company || !goodID(string(p.Channel)) || p.Version < 1 {
		return internal("provider %q version %d is not one of the decision's company", clean(string(p.Channel), maxWord), p.Version)
	}
	seal := func(column string, plain []byte) []byte {
		if len(plain) == 0 {
			return []byte{}
		}
		return l.key.Seal(providerPlace(l.company, column, p.Channel), plain)
	}
	n, err := tx.exec(`INSERT INTO providers (company, channel, version, sealed, previous, previous_until, updated_at, updated_by, sent_at, failed_at, failed, tests, tests_from)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '', 0, 0) ON CONFLICT (company, channel) DO UPDATE SET version = excluded.version, sealed = excluded.sealed,
		previous = excluded.previous, previous_until = excluded.previous_until, updated_at = excluded.updated_at, updated_by = excluded.updated_by,
		sent_at = 0, failed_at = 0, failed = '' WHERE providers.version = excluded.version - 1`,
		l.company, clean(string(p.Channel), maxWord), p.Version, seal("sealed", p.Settings), seal("previous", p.Previous), micros(p.PreviousUntil),
		micros(p.UpdatedAt), clean(p.UpdatedBy, maxID))
	if err := oneRow(n, err, "the provider was saved by somebody else"); err != nil {
		return err
	}
	if _, err := tx.exec("DELETE FROM provider_health WHERE company = $1 AND channel = $2 AND version < $3", l.company, string(p.Channel), p.Version); err != nil {
		return err
	}
	return setProvides(tx, l, p.Channel, w.Provides)
}

// Owners may save two channels at once. The company's key is not locked: rows
// that refer to it are written meanwhile.
var selectProvides = locking("SELECT c.provides FROM companies c WHERE c.id = $1", "FOR NO KEY UPDATE")

func setProvides(tx *Tx, l *loaded, channel authn.Kind, provides bool) error {
	var was string
	if _, err := tx.one(selectProvides.text(tx, true), []any{&was}, l.company); err != nil {
		return err
	}
	list := slices.DeleteFunc(strings.Fields(was), func(word string) bool { return word == string(channel) })
	if provides {
		list = append(list, string(channel))
	}
	slices.Sort(list)
	_, err := tx.exec("UPDATE companies SET provides = $2 WHERE id = $1", l.company, strings.Join(list, " "))
	return err
}

// ProviderNoted writes down how sending through a version of the settings went;
// an empty failed is a success.
func (s *Store) ProviderNoted(ctx context.Context, company string, channel authn.Kind, version int64, at time.Time, failed string) error {
	return in("provider noted", s.b.Do(ctx, func(tx *Tx) error {
		statement := "UPDATE providers SET sent_at = $4, failed = $5 WHERE company = $1 AND channel = $2 AND version = $3"
		if failed != "" {
			statement = "UPDATE providers SET failed_at = $4, failed = $5 WHERE company = $1 AND channel = $2 AND version = $3"
		}
		_, err := tx.exec(statement, company, string(channel), version, micros(at), clean(failed, maxWord))
		return err
	}))
}

// ProviderHealthNoted is ProviderNoted for one of several providers of a channel,
// by the name that the settings give it. What is said of another version than
// the present one is dropped.
func (s *Store) ProviderHealthNoted(ctx context.Context, company string, channel authn.Kind, name string, version int64, at time.Time, failed string) error {
	if !goodID(company) {
		return authn.NotFound
	}
	sent, failedAt := micros(at), int64(0)
	if failed != "" {
		sent, failedAt = failedAt, sent
	}
	return in("provider health noted", s.b.Do(ctx, func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO provider_health (company, channel, version, name, sent_at, failed_at, failed)
			SELECT p.company, p.channel, p.version, $4, CAST($5 AS bigint), CAST($6 AS bigint), $7
			FROM providers p WHERE p.company = $1 AND p.channel = $2 AND p.version = $3
			ON CONFLICT (company, channel, version, name) DO UPDATE SET
			sent_at = CASE WHEN excluded.sent_at > 0 THEN excluded.sent_at ELSE provider_health.sent_at END,
			failed_at = CASE WHEN excluded.failed_at > 0 THEN excluded.failed_at ELSE provider_health.failed_at END, failed = excluded.failed`,
			company, clean(string(channel), maxWord), version, clean(name, maxName), sent, failedAt, clean(failed, maxWord))
		return err
	}))
}

// ProviderHealth is what was noted of the providers of a version, by name; at
// most 50. One that nothing was sent through is not among them.
func (s *Store) ProviderHealth(ctx context.Context, company string, channel authn.Kind, version int64) ([]authn.ProviderHealth, error) {
	if !goodID(company) {
		return nil, authn.NotFound
	}
	var list []authn.ProviderHealth
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each(`SELECT name, sent_at, failed_at, failed FROM provider_health
			WHERE company = $1 AND channel = $2 AND version = $3 ORDER BY name LIMIT 50`,
			[]any{company, clean(string(channel), maxWord), version}, func(scan func(...any) error) (bool, error) {
				var h authn.ProviderHealth
				err := scan(&h.Name, asTime{&h.SentAt}, asTime{&h.FailedAt}, &h.Failed)
				list = append(list, h)
				return true, err
			})
	})
	if err != nil {
		return nil, in("provider health", err)
	}
	return list, nil
}

// SpendTest takes one of the most tests that a company has in a window; false if
// none is left until the time that it gives.
func (s *Store) SpendTest(ctx context.Context, company string, channel authn.Kind, now time.Time, window time.Duration, most int) (until time.Time, ok bool, err error) {
	if !goodID(company) {
		return time.Time{}, false, authn.NotFound
	}
	err = s.b.Do(ctx, func(tx *Tx) error {
		until, ok = time.Time{}, false
		n, err := tx.exec(`INSERT INTO providers (company, channel, version, sealed, previous, previous_until, updated_at, updated_by, sent_at, failed_at, failed, tests, tests_from)
			VALUES ($1, $2, 0, $3, $3, 0, 0, '', 0, 0, '', 1, $4) ON CONFLICT (company, channel) DO UPDATE SET
			tests = CASE WHEN providers.tests_from <= $5 OR providers.tests_from > $4 THEN 1 ELSE providers.tests + 1 END,
			tests_from = CASE WHEN providers.tests_from <= $5 OR providers.tests_from > $4 THEN $4 ELSE providers.tests_from END
			WHERE providers.tests < $6 OR providers.tests_from <= $5 OR providers.tests_from > $4`,
			company, clean(string(channel), maxWord), []byte{}, micros(now), micros(now.Add(-window)), most)
		if err != nil || n == 1 {
			ok = err == nil
			return err
		}
		var from time.Time
		_, err = tx.one("SELECT tests_from FROM providers WHERE company = $1 AND channel = $2", []any{asTime{&from}}, company, clean(string(channel), maxWord))
		until = from.Add(window)
		return err
	})
	if err != nil {
		return time.Time{}, false, in("spend test", err)
	}
	return until, ok, nil
}

// CompanyOutbox is how the letters of one company and channel stand; when
// something was last sent is not among it.
func (s *Store) CompanyOutbox(ctx context.Context, company string, channel authn.Kind) (authn.OutboxState, error) {
	var st authn.OutboxState
	if !goodID(company) {
		return st, authn.NotFound
	}
	err := s.b.Read(ctx, func(tx *Tx) error {
		st = authn.OutboxState{}
		_, err := tx.one("SELECT count(*), COALESCE(min(at), 0), COALESCE(SUM(CASE WHEN reason <> '' THEN 1 ELSE 0 END), 0) FROM outbox WHERE company = $1 AND channel = $2",
			[]any{&st.Waiting, asTime{&st.Oldest}, &st.Failing}, company, clean(string(channel), maxWord))
		return err
	})
	return st, in("company outbox", err)
}
