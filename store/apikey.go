package store

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// maxAPIKeys bounds the keys of a company.
const maxAPIKeys = 1000

const keyColumns = "k.company, k.id, k.user_id, k.name, k.scopes, k.networks, k.created_at, k.expires_at, k.last_used_at, k.unattended, k.made_by, " +
	"k.used_from, k.old_until, k.old_expires_at, k.told, k.token, k.old_token"

// keyRow is a key as it lies in the table.
type keyRow struct {
	key        authn.APIKey
	oldExpires time.Time
	token, old []byte
}

func (r *keyRow) targets() []any {
	k := &r.key
	return []any{&k.Company, &k.ID, &k.User, &k.Name, asJSON[[]string]{&k.Scopes}, asJSON[[]netip.Prefix]{&k.Networks},
		asTime{&k.CreatedAt}, asTime{&k.ExpiresAt}, asTime{&k.LastUsedAt}, asJSON[[]string]{&k.Unattended}, &k.MadeBy,
		&k.UsedFrom, asTime{&k.OldUntil}, asTime{&r.oldExpires}, &k.Told, &r.token, &r.old}
}

// apiToken binds everything that limits the key: raising it in the row makes the
// token worthless.
func apiToken(key *keyring.DataKey, t authn.Token, k *authn.APIKey, expires time.Time) [32]byte {
	parts := [][]byte{t.Secret, []byte(k.Company), []byte(k.User), []byte(authn.KeyToken), nil, []byte(k.ID),
		binary.BigEndian.AppendUint64(nil, uint64(micros(expires))), []byte(words(k.Scopes)), []byte(networks(k.Networks))}
	if len(k.Unattended) > 0 { // keys made before there was such a thing have no such part
		parts = append(parts, []byte(words(k.Unattended)))
	}
	return key.MAC("token", parts...)
}

// oldToken binds until when a token that was replaced still works. It is made of
// what is stored of the token: nobody has the token itself when it is replaced.
func oldToken(key *keyring.DataKey, k *authn.APIKey, token []byte) [32]byte {
	return key.MAC("token", token, []byte(k.Company), []byte(k.User), []byte("rolled"), nil, []byte(k.ID),
		binary.BigEndian.AppendUint64(nil, uint64(micros(k.OldUntil))))
}

// opens reports whether the token opens the key, and fits the key to it. Of an
// empty row it does the same work.
func (r *keyRow) opens(key *keyring.DataKey, t authn.Token) bool {
	now := apiToken(key, t, &r.key, r.key.ExpiresAt)
	before := apiToken(key, t, &r.key, r.oldExpires)
	rolled := oldToken(key, &r.key, before[:])
	if subtle.ConstantTimeCompare(r.token, now[:]) == 1 {
		return true
	}
	if len(r.old) == 0 || subtle.ConstantTimeCompare(r.old, rolled[:]) != 1 {
		return false
	}
	r.key.Old, r.key.ExpiresAt = true, r.key.OldUntil
	if r.oldExpires.Before(r.key.ExpiresAt) {
		r.key.ExpiresAt = r.oldExpires
	}
	return true
}

func networks(list []netip.Prefix) string {
	if len(list) == 0 {
		return "[]"
	}
	return encode(list)
}

// writeKey changes the keys of the user that was locked.
func (s *Store) writeKey(tx *Tx, l *loaded, w authn.Write) error {
	switch w := w.(type) {
	case authn.NewAPIKey:
		return newAPIKey(tx, l, w)
	case authn.PutAPIKey:
		n, err := tx.exec("UPDATE api_keys SET name = $4, told = $5 WHERE company = $1 AND id = $2 AND user_id = $3 AND NOT EXISTS"+
			" (SELECT 1 FROM api_keys o WHERE o.company = $1 AND o.name = $4 AND o.id <> $2)",
			l.company, clean(w.Key.ID, maxID), l.uid, clean(w.Key.Name, maxName), w.Key.Told)
		if err == nil && n == 0 {
			return &authn.Error{Code: authn.Conflict, Fields: []authn.Field{{Name: "name", Code: "taken"}}}
		}
		return err
	case authn.RollAPIKey:
		return rollAPIKey(tx, l, w)
	case authn.EndAPIKey:
		n, err := tx.exec("DELETE FROM api_keys WHERE company = $1 AND id = $2 AND user_id = $3", l.company, clean(w.ID, maxID), l.uid)
		return oneRow(n, err, "the key is gone")
	case authn.EndAPIKeys:
		_, err := tx.exec("DELETE FROM api_keys WHERE "+ofTheUser("api_keys"), l.company, l.uid)
		return err
	}
	return internal("no such write: %T", w)
}

func newAPIKey(tx *Tx, l *loaded, w authn.NewAPIKey) error {
	k := w.Key
	if err := l.ofUser("key", k.Company, k.User, k.ID); err != nil {
		return err
	}
	k.Company, k.User = l.company, l.uid
	if w.Token.Kind != authn.KeyToken || w.Token.Company != k.Company || w.Token.ID != k.ID || len(w.Token.Secret) == 0 {
		return internal("the token of key %s is not its own", k.ID)
	}
	if k.ExpiresAt.IsZero() || clean(k.Name, maxName) != k.Name {
		return internal("key %s has no end, or a name that cannot be stored", k.ID)
	}
	k.CreatedAt, k.ExpiresAt = timeOf(micros(k.CreatedAt)), timeOf(micros(k.ExpiresAt)) // as they come back
	var n int64
	if _, err := tx.one(lockCompany.text(tx, true), []any{&n}, k.Company); err != nil { // as setAction does
		return err
	}
	if _, err := tx.one("SELECT count(*) FROM api_keys WHERE company = $1", []any{&n}, k.Company); err != nil {
		return err
	}
	if n >= maxAPIKeys {
		return &authn.Error{Code: authn.Conflict, Key: "error.too_many_keys"}
	}
	token := apiToken(l.key, w.Token, &k, k.ExpiresAt)
	n, err := tx.exec(`INSERT INTO api_keys (company, id, user_id, name, scopes, networks, created_at, expires_at, last_used_at, unattended, made_by, told, token)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
		k.Company, k.ID, k.User, k.Name, words(k.Scopes), networks(k.Networks), micros(k.CreatedAt), micros(k.ExpiresAt), words(k.Unattended),
		clean(k.MadeBy, maxID), k.Told, token[:])
	if err == nil && n != 1 {
		return &authn.Error{Code: authn.Conflict, Fields: []authn.Field{{Name: "name", Code: "taken"}}}
	}
	return err
}

func rollAPIKey(tx *Tx, l *loaded, w authn.RollAPIKey) error {
	k := w.Key
	if l.apiKey == nil || l.apiKey.key.ID != k.ID {
		return internal("key %s was not loaded for the decision", clean(k.ID, maxID))
	}
	row := *l.apiKey
	if w.Token.Kind != authn.KeyToken || w.Token.Company != l.company || w.Token.ID != k.ID || len(w.Token.Secret) == 0 || k.ExpiresAt.IsZero() {
		return internal("the token of key %s is not its own, or it has no end", k.ID)
	}
	was := row.key.ExpiresAt
	row.key.ExpiresAt, row.key.OldUntil = timeOf(micros(k.ExpiresAt)), timeOf(micros(k.OldUntil))
	token, old := apiToken(l.key, w.Token, &row.key, row.key.ExpiresAt), oldToken(l.key, &row.key, row.token)
	n, err := tx.exec(`UPDATE api_keys SET token = $4, expires_at = $5, old_token = $6, old_until = $7, old_expires_at = $8, told = $9
		WHERE company = $1 AND id = $2 AND user_id = $3`,
		l.company, k.ID, l.uid, token[:], micros(row.key.ExpiresAt), old[:], micros(row.key.OldUntil), micros(was), k.Told)
	return oneRow(n, err, "the key is gone")
}

var selectKeyOf = locking("SELECT "+keyColumns+" FROM api_keys k WHERE k.company = $1 AND k.id = $2 AND k.user_id = $3", "FOR UPDATE")

// loadKey finds the key of the user that the decision is about.
func (s *Store) loadKey(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	if k.APIKey == "" || l.uid == "" || !goodID(k.APIKey) {
		return nil
	}
	var row keyRow
	found, err := tx.one(selectKeyOf.text(tx, lock), row.targets(), l.company, k.APIKey, l.uid)
	if err != nil || !found {
		return err
	}
	key := row.key
	l.apiKey, l.APIKey = &row, &key
	return nil
}

// APIKeys are keys of a company, ended ones too, oldest first, from the one after
// the id after; of one owner, if that is not empty. At most 200, 50 if limit is 0.
func (s *Store) APIKeys(ctx context.Context, company, owner, after string, limit int) ([]authn.APIKey, error) {
	if !goodID(company) || owner != "" && !goodID(owner) || after != "" && !goodID(after) {
		return nil, nil
	}
	text, args := "k.company = $1 AND k.id > $2", []any{company, after, limitOf(limit)}
	if owner != "" {
		text, args = text+" AND k.user_id = $4", append(args, owner)
	}
	return s.listKeys(ctx, "WHERE "+text+" ORDER BY k.id LIMIT $3", args...)
}

// APIKey is one key of a company; NotFound if there is none of that id or name.
func (s *Store) APIKey(ctx context.Context, company, which string) (authn.APIKey, error) {
	if !goodID(company) {
		return authn.APIKey{}, authn.NotFound
	}
	list, err := s.listKeys(ctx, "WHERE k.company = $1 AND (k.id = $2 OR k.name = $2) ORDER BY k.id LIMIT 1", company, clean(which, maxName))
	if err == nil && len(list) == 0 {
		return authn.APIKey{}, authn.NotFound
	}
	if err != nil {
		return authn.APIKey{}, err
	}
	return list[0], nil
}

func (s *Store) listKeys(ctx context.Context, where string, args ...any) ([]authn.APIKey, error) {
	var list []authn.APIKey
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+keyColumns+" FROM api_keys k "+where, args, func(scan func(...any) error) (bool, error) {
			var row keyRow
			if err := scan(row.targets()...); err != nil {
				return false, err
			}
			list = append(list, row.key)
			return true, nil
		})
	})
	return list, in("keys", err)
}

const selectKey = "SELECT " + companyColumns + ", " + userColumns + ", " + keyColumns +
	" FROM api_keys k JOIN users u ON u.company = k.company AND u.id = k.user_id JOIN companies c ON c.id = k.company" +
	" WHERE k.company = $1 AND k.id = $2" + live

// openKey finds the key that a token opens, with its owner; nil: it opens none.
// l has the data key.
func openKey(tx *Tx, l *loaded, t authn.Token, c *authn.Company) (*authn.APIKey, *authn.User, error) {
	var owner authn.User
	var row keyRow
	var personKey []byte
	found, err := tx.one(selectKey, slices.Concat(companyTargets(c), userTargets(&owner, &personKey), row.targets()), t.Company, t.ID)
	if err != nil {
		return nil, nil, err
	}
	if !row.opens(l.key, t) || !found {
		return nil, nil, nil
	}
	if owner.API {
		a, err := findAccount(tx, l, owner.ID, false)
		if err != nil {
			return nil, nil, err
		}
		if a == nil {
			return nil, nil, nil
		}
		row.key.OwnerUntil, row.key.OwnerNetworks = a.ExpiresAt, a.Networks
	}
	return &row.key, &owner, nil
}

// OpenAPIKey finds the key that a token opens, with its owner and company.
// Whether it may be used is the caller's to say: it may have ended, and its
// owner be suspended. NotFound if the token opens none; the company is then
// filled in if there is such a one.
func (s *Store) OpenAPIKey(ctx context.Context, t authn.Token) (k authn.APIKey, u authn.User, c authn.Company, err error) {
	if t.Kind != authn.KeyToken || !goodID(t.Company) || !goodID(t.ID) || len(t.Secret) == 0 {
		return k, u, c, authn.NotFound
	}
	err = s.b.Read(ctx, func(tx *Tx) error {
		l := &loaded{company: t.Company}
		if err := l.wantCompany(tx, t.Company); err != nil {
			return err
		}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		c = *l.Company
		key, owner, err := openKey(tx, l, t, new(authn.Company))
		if err != nil {
			return err
		}
		if key == nil {
			return authn.NotFound
		}
		k, u = *key, *owner
		return nil
	})
	return k, u, c, in("open key", err)
}

// UseAPIKey notes that a key, or with account the secret of an API account, was
// used, from where, and writes the events.
func (s *Store) UseAPIKey(ctx context.Context, company, id string, account bool, from string, now time.Time, events ...authn.Event) error {
	if !goodID(company) || !goodID(id) {
		return authn.NotFound
	}
	text := "UPDATE api_keys SET last_used_at = $3, used_from = $4 WHERE company = $1 AND id = $2 AND last_used_at < $3"
	if account {
		text = "UPDATE api_accounts SET last_used_at = $3, used_from = $4 WHERE company = $1 AND user_id = $2 AND last_used_at < $3"
	}
	return in("use key", s.b.Do(ctx, func(tx *Tx) error {
		if _, err := tx.exec(text, company, id, micros(now), clean(from, maxWord)); err != nil {
			return err
		}
		l := &loaded{company: company}
		for _, ev := range events {
			if err := s.insertEvent(tx, &authn.Keys{Company: company, Now: now}, l, ev); err != nil {
				return err
			}
		}
		return nil
	}))
}
