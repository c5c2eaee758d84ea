package store

import (
	"context"
	"crypto/subtle"
	"encoding/binary"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// MaxTrusted is how many browsers a person can trust; a further one ends the oldest.
const MaxTrusted = 20

// trustToken binds everything that says for how long: a row that somebody has
// prolonged, or moved, opens nothing.
func trustToken(key *keyring.DataKey, t authn.Token, of *authn.Trust) [32]byte {
	return key.MAC("token", t.Secret, []byte(of.Company), []byte(of.User), []byte(authn.TrustToken), []byte(authn.AAL1), []byte(of.ID),
		[]byte(of.Factor), number(of.Epoch), number(of.PolicyVersion), number(micros(of.CreatedAt)), number(micros(of.ExpiresAt)))
}

// trustSeries knows a trusted browser by what stays of its token.
func trustSeries(key *keyring.DataKey, t authn.Token, of *authn.Trust) [32]byte {
	return key.MAC("trust series", t.Secret[:authn.TrustSeriesLen], []byte(of.Company), []byte(of.User), []byte(of.ID))
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

const trustColumns = "t.company, t.id, t.user_id, t.epoch, t.policy_version, t.factor, t.agent, t.name, t.created_at, t.used_at, t.rotated_at, t.expires_at"

func trustTargets(t *authn.Trust) []any {
	return []any{&t.Company, &t.ID, &t.User, &t.Epoch, &t.PolicyVersion, &t.Factor, &t.Agent, &t.Name, asTime{&t.CreatedAt}, asTime{&t.UsedAt},
		asTime{&t.RotatedAt}, asTime{&t.ExpiresAt}}
}

// The user's lock covers what they trust.
const selectTrust = "SELECT " + trustColumns + ", t.series, t.token, t.previous FROM trusted_browsers t WHERE t.company = $1 AND t.id = $2 AND t.user_id = $3"

// loadTrust finds the trusted browser of a token, if it is the user's. For an
// unknown name the same statement is asked in vain.
func (s *Store) loadTrust(tx *Tx, k *authn.Keys, l *loaded) error {
	id, ok := rowID("", k.TrustToken, authn.TrustToken, k.Company)
	if !ok || len(k.TrustToken.Secret) != 2*authn.TrustSeriesLen {
		return nil
	}
	var t authn.Trust
	var series, token, previous []byte
	found, err := tx.one(selectTrust, append(trustTargets(&t), &series, &token, &previous), l.company, id, l.uid)
	if err != nil || !found {
		return err
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	wantSeries, want := trustSeries(l.key, k.TrustToken, &t), trustToken(l.key, k.TrustToken, &t)
	switch {
	case subtle.ConstantTimeCompare(series, wantSeries[:]) != 1:
		return nil
	case subtle.ConstantTimeCompare(token, want[:]) == 1:
		t.Shown = authn.CurrentTrustToken
	case subtle.ConstantTimeCompare(previous, want[:]) == 1:
		t.Shown = authn.PreviousTrustToken
	default:
		t.Shown = authn.OldTrustToken
	}
	l.Trust, l.trust, l.TrustToken = &t, t, k.TrustToken
	return nil
}

func (s *Store) writeTrust(tx *Tx, k *authn.Keys, l *loaded, w authn.Write) error {
	switch w := w.(type) {
	case authn.NewTrust:
		return newTrust(tx, k, l, w)
	case authn.RotateTrust:
		return rotateTrust(tx, k, l, w)
	case authn.NameTrust:
		n, err := tx.exec("UPDATE trusted_browsers SET name = $4 WHERE company = $1 AND user_id = $2 AND id = $3", l.company, l.uid, clean(w.ID, maxID), clean(w.Name, maxName))
		return oneRow(n, err, "the trusted browser is gone")
	case authn.EndTrust:
		if _, err := tx.exec("DELETE FROM sessions WHERE "+ofTheUser("sessions")+" AND trust <> '' AND (trust = $3 OR $3 = '') AND id <> $4 AND acr = $5",
			l.company, l.uid, clean(w.ID, maxID), l.session.ID, authn.AAL1); err != nil {
			return err
		}
		n, err := tx.exec("DELETE FROM trusted_browsers WHERE "+ofTheUser("trusted_browsers")+" AND (id = $3 OR $3 = '')", l.company, l.uid, clean(w.ID, maxID))
		if w.ID == "" {
			return err
		}
		return oneRow(n, err, "the trusted browser is gone")
	}
	return internal("no such write: %T", w)
}

func newTrust(tx *Tx, k *authn.Keys, l *loaded, w authn.NewTrust) error {
	t := w.Trust
	if err := l.ofUser("trusted browser", t.Company, t.User, t.ID); err != nil {
		return err
	}
	t.Company, t.User = l.company, l.uid
	if w.Token.Kind != authn.TrustToken || w.Token.Company != t.Company || w.Token.ID != t.ID || len(w.Token.Secret) != 2*authn.TrustSeriesLen {
		return internal("the token of trusted browser %s is not its own", t.ID)
	}
	t.Factor = clean(t.Factor, maxID) // before it is hashed
	browser := []byte{}
	if k.Browser != "" {
		sum := deviceBrowser(l.key, k.Browser, l.company, l.uid)
		browser = sum[:]
		if _, err := tx.exec("DELETE FROM trusted_browsers WHERE "+ofTheUser("trusted_browsers")+" AND browser = $3", l.company, l.uid, browser); err != nil {
			return err
		}
	}
	series, token := trustSeries(l.key, w.Token, &t), trustToken(l.key, w.Token, &t)
	n, err := tx.exec(`INSERT INTO trusted_browsers (company, id, user_id, epoch, policy_version, factor, agent, browser, series, token, previous,
		created_at, used_at, rotated_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING`,
		t.Company, t.ID, t.User, t.Epoch, t.PolicyVersion, t.Factor, clean(t.Agent, maxName), browser, series[:], token[:], []byte{},
		micros(t.CreatedAt), micros(t.UsedAt), micros(t.RotatedAt), micros(t.ExpiresAt))
	if err := oneRow(n, err, "there is a trusted browser of that id"); err != nil {
		return err
	}
	_, err = tx.exec(`DELETE FROM trusted_browsers WHERE company = $1 AND id IN (SELECT id FROM trusted_browsers WHERE `+ofTheUser("trusted_browsers")+
		` AND id <> $3 ORDER BY used_at DESC, id LIMIT 1000 OFFSET $4)`, l.company, l.uid, t.ID, MaxTrusted-1)
	return err
}

func rotateTrust(tx *Tx, k *authn.Keys, l *loaded, w authn.RotateTrust) error {
	t := w.Trust
	if err := l.ofUser("trusted browser", t.Company, t.User, t.ID); err != nil {
		return err
	}
	if l.trust.ID != t.ID || l.trust.Shown != authn.CurrentTrustToken || w.Token.ID != t.ID || len(w.Token.Secret) != 2*authn.TrustSeriesLen {
		return internal("trusted browser %s was not shown to the decision", t.ID)
	}
	// Of the row as it was found: how long it lives is not to be changed.
	old, next := trustToken(l.key, k.TrustToken, &l.trust), trustToken(l.key, w.Token, &l.trust)
	n, err := tx.exec(`UPDATE trusted_browsers SET token = $5, previous = token, rotated_at = $6, used_at = $6, agent = $7
		WHERE company = $1 AND id = $2 AND user_id = $3 AND token = $4`,
		l.company, t.ID, l.uid, old[:], next[:], micros(t.UsedAt), clean(t.Agent, maxName))
	return oneRow(n, err, "the token was used by somebody else")
}

// forgetTrust ends the trust of all the user's browsers but the decision's: that
// of its cookie, and that of its session.
func forgetTrust(tx *Tx, l *loaded, browser []byte, all bool) error {
	_, err := tx.exec("DELETE FROM trusted_browsers WHERE "+ofTheUser("trusted_browsers")+" AND (browser <> $3 AND id <> $4 OR $5)",
		l.company, l.uid, browser, l.session.Trust, all)
	return err
}

// Trusted are the trusted browsers of a user that were not ended or swept, the one
// used last first; at most MaxTrusted. The caller leaves out those that are over.
func (s *Store) Trusted(ctx context.Context, company, user string) ([]authn.Trust, error) {
	if !goodID(company) || !goodID(user) {
		return nil, nil
	}
	var list []authn.Trust
	err := s.b.Read(ctx, func(tx *Tx) (err error) {
		list, err = tx.trusted(company, user)
		return err
	})
	return list, in("trusted browsers", err)
}

func (tx *Tx) trusted(company, user string) (list []authn.Trust, err error) {
	err = tx.each("SELECT "+trustColumns+" FROM trusted_browsers t WHERE "+ofTheUser("trusted_browsers")+" ORDER BY t.used_at DESC, t.id LIMIT $3",
		[]any{company, user, MaxTrusted}, func(scan func(...any) error) (bool, error) {
			var t authn.Trust
			err := scan(trustTargets(&t)...)
			list = append(list, t)
			return true, err
		})
	return list, err
}
