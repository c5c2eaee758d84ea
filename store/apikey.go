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

const keyColumns = "k.company, k.id, k.user_id, k.name, k.scopes, k.networks, k.created_at, k.expires_at, k.last_used_at, k.unattended, k.token"

func keyTargets(k *authn.APIKey, token *[]byte) []any {
	return []any{&k.Company, &k.ID, &k.User, &k.Name, asJSON[[]string]{&k.Scopes}, asJSON[[]netip.Prefix]{&k.Networks},
		asTime{&k.CreatedAt}, asTime{&k.ExpiresAt}, asTime{&k.LastUsedAt}, asJSON[[]string]{&k.Unattended}, token}
}

// apiToken binds everything that limits the key: raising it in the row makes the
// token worthless.
func apiToken(key *keyring.DataKey, t authn.Token, k *authn.APIKey) [32]byte {
	parts := [][]byte{t.Secret, []byte(k.Company), []byte(k.User), []byte(authn.KeyToken), nil, []byte(k.ID),
		binary.BigEndian.AppendUint64(nil, uint64(micros(k.ExpiresAt))), []byte(words(k.Scopes)), []byte(networks(k.Networks))}
	if len(k.Unattended) > 0 { // keys made before there was such a thing have no such part
		parts = append(parts, []byte(words(k.Unattended)))
	}
	return key.MAC("token", parts...)
}

func networks(list []netip.Prefix) string {
	if len(list) == 0 {
		return "[]"
	}
	return encode(list)
}

// CreateAPIKey stores a key that the token opens. NotFound if its owner is not
// there, Conflict if there is a key of that name.
func (s *Store) CreateAPIKey(ctx context.Context, k authn.APIKey, t authn.Token, ev authn.Event) error {
	if err := wantID("key", k.ID); err != nil {
		return err
	}
	if !goodID(k.Company) || !goodID(k.User) {
		return authn.NotFound
	}
	if t.Kind != authn.KeyToken || t.Company != k.Company || t.ID != k.ID || len(t.Secret) == 0 {
		return internal("the token of key %s is not its own", k.ID)
	}
	if k.ExpiresAt.IsZero() || clean(k.Name, maxName) != k.Name {
		return internal("key %s has no end, or a name that cannot be stored", k.ID)
	}
	k.CreatedAt, k.ExpiresAt = timeOf(micros(k.CreatedAt)), timeOf(micros(k.ExpiresAt)) // as they come back
	return in("create key", s.b.Do(ctx, func(tx *Tx) error {
		l := &loaded{company: k.Company}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		var n int64
		found, err := tx.one(locking("SELECT 1 FROM users WHERE company = $1 AND id = $2", "FOR UPDATE").text(tx, true), []any{&n}, k.Company, k.User)
		if err != nil {
			return err
		}
		if !found {
			return authn.NotFound
		}
		if _, err := tx.one("SELECT count(*) FROM api_keys WHERE company = $1", []any{&n}, k.Company); err != nil {
			return err
		}
		if n >= maxAPIKeys {
			return conflict("the company has as many keys as there can be; remove some")
		}
		token := apiToken(l.key, t, &k)
		n, err = tx.exec(`INSERT INTO api_keys (company, id, user_id, name, scopes, networks, created_at, expires_at, last_used_at, unattended, token)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10) ON CONFLICT DO NOTHING`,
			k.Company, k.ID, k.User, k.Name, words(k.Scopes), networks(k.Networks), micros(k.CreatedAt), micros(k.ExpiresAt), words(k.Unattended), token[:])
		if err != nil {
			return err
		}
		if n != 1 {
			return &authn.Error{Code: authn.Conflict, Fields: []authn.Field{{Name: "name", Code: "taken"}}}
		}
		return s.insertEvent(tx, &authn.Keys{Company: k.Company, Now: k.CreatedAt}, l, ev)
	}))
}

// APIKeys are the keys of a company, oldest first, ended ones too.
func (s *Store) APIKeys(ctx context.Context, company string) ([]authn.APIKey, error) {
	var list []authn.APIKey
	err := s.b.Read(ctx, func(tx *Tx) error {
		list = nil
		return tx.each("SELECT "+keyColumns+" FROM api_keys k WHERE k.company = $1 ORDER BY k.id", []any{clean(company, maxID)},
			func(scan func(...any) error) (bool, error) {
				var k authn.APIKey
				var token []byte
				if err := scan(keyTargets(&k, &token)...); err != nil {
					return false, err
				}
				list = append(list, k)
				return true, nil
			})
	})
	return list, in("keys", err)
}

// RemoveAPIKey ends a key at once; NotFound if it is not there.
func (s *Store) RemoveAPIKey(ctx context.Context, company, id string, ev authn.Event) error {
	if !goodID(company) || !goodID(id) {
		return authn.NotFound
	}
	return in("remove key", s.b.Do(ctx, func(tx *Tx) error {
		n, err := tx.exec("DELETE FROM api_keys WHERE company = $1 AND id = $2", company, id)
		if err != nil {
			return err
		}
		if n != 1 {
			return authn.NotFound
		}
		return s.insertEvent(tx, &authn.Keys{Company: company, Now: ev.At}, &loaded{company: company}, ev)
	}))
}

const selectKey = "SELECT " + companyColumns + ", " + userColumns + ", " + keyColumns +
	" FROM api_keys k JOIN users u ON u.company = k.company AND u.id = k.user_id JOIN companies c ON c.id = k.company" +
	" WHERE k.company = $1 AND k.id = $2" + live

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
		var owner authn.User
		var row authn.APIKey
		var personKey, token []byte
		c = *l.Company
		found, err := tx.one(selectKey, slices.Concat(companyTargets(&c), userTargets(&owner, &personKey), keyTargets(&row, &token)), t.Company, t.ID)
		if err != nil {
			return err
		}
		want := apiToken(l.key, t, &row) // of an empty row too: the same work
		if subtle.ConstantTimeCompare(token, want[:]) != 1 || !found {
			return authn.NotFound
		}
		k, u = row, owner
		return nil
	})
	return k, u, c, in("open key", err)
}

// UseAPIKey notes that a key was used, and writes the events.
func (s *Store) UseAPIKey(ctx context.Context, company, id string, now time.Time, events ...authn.Event) error {
	if !goodID(company) || !goodID(id) {
		return authn.NotFound
	}
	return in("use key", s.b.Do(ctx, func(tx *Tx) error {
		if _, err := tx.exec("UPDATE api_keys SET last_used_at = $3 WHERE company = $1 AND id = $2 AND last_used_at < $3", company, id, micros(now)); err != nil {
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
