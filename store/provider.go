package store

import (
	"context"
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
func setProvider(tx *Tx, l *loaded, p authn.Provider) error {
	if p.Company != "" && p.Company != l.company || p.Channel == "" || p.Version < 1 {
		return internal("provider %q version %d is not one of the decision's company", p.Channel, p.Version)
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
	return oneRow(n, err, "the provider was saved by somebody else")
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
