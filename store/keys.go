package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// maxKeys bounds the unwrapped company keys in memory, about 1 KiB each.
const maxKeys = 4096

// keyCache holds unwrapped company keys. A company's key never changes (a
// rotation wraps the same one anew), so nothing here goes stale. Once the company
// is erased nothing asks for it, and it goes with the next sweep.
type keyCache struct {
	mu sync.RWMutex
	m  map[string]*keyring.DataKey
}

func (c *keyCache) get(company string) *keyring.DataKey {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.m[company]
}

func (c *keyCache) put(company string, key *keyring.DataKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = make(map[string]*keyring.DataKey)
	}
	if len(c.m) >= maxKeys {
		for other := range c.m { // any one: the next use reads it back
			delete(c.m, other)
			break
		}
	}
	c.m[company] = key
}

func (c *keyCache) drop(company string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.m, company)
}

// dataKey is the key of a company that exists.
func (s *Store) dataKey(tx *Tx, company string) (*keyring.DataKey, error) {
	if key := s.keys.get(company); key != nil {
		return key, nil
	}
	var wrapped []byte
	found, err := tx.one("SELECT wrapped FROM company_keys WHERE company = $1", []any{&wrapped}, company)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, internal("the key of company %s is not in the database; restore company_keys from the backup that was made apart", company)
	}
	ring := s.ring.now()
	key, err := ring.OpenDataKey(company, wrapped)
	if errors.Is(err, keyring.ErrMissingKey) && s.reread(tx, ring) {
		key, err = s.ring.now().OpenDataKey(company, wrapped)
	}
	if err != nil {
		return nil, internal("the key of company %s: %w", company, err)
	}
	s.keys.put(company, key)
	return key, nil
}

// What follows computes the keyed hashes. Each binds everything that gives the
// value its meaning, so that no row works in another's place.

// attemptToken binds the purpose: what was begun for one completes no other.
func attemptToken(key *keyring.DataKey, t authn.Token, a *authn.Attempt) [32]byte {
	return key.MAC("token", t.Secret, []byte(a.Company), []byte(a.User), []byte(authn.AttemptToken), []byte(a.Purpose), []byte(a.ID))
}

// sessionToken binds the level: raising acr in the row makes the token worthless.
func sessionToken(key *keyring.DataKey, t authn.Token, se *authn.Session) [32]byte {
	return key.MAC("token", t.Secret, []byte(se.Company), []byte(se.User), []byte(authn.SessionToken), []byte(se.ACR), []byte(se.ID))
}

// attemptBrowser differs for each attempt, deviceBrowser for each user, so that
// the database does not show who shares a browser with whom.
func attemptBrowser(key *keyring.DataKey, browser string, a *authn.Attempt) [32]byte {
	return key.MAC("attempt browser", []byte(browser), []byte(a.Company), []byte(a.User), []byte(a.ID))
}

// becomes is the secret of the session that an attempt becomes in its browser. It can
// be made again, but only while the browser shows its cookie, and with the key.
func becomes(key *keyring.DataKey, browser string, a *authn.Attempt) [32]byte {
	return key.MAC("session of attempt", []byte(browser), []byte(a.Company), []byte(a.User), []byte(a.ID))
}

func deviceBrowser(key *keyring.DataKey, browser, company, user string) [32]byte {
	return key.MAC("device", []byte(browser), []byte(company), []byte(user))
}

// throttleKey is one for all names of a person, and one for each name that
// leads to nobody.
func throttleKey(key *keyring.DataKey, company, user, login string) [32]byte {
	if user != "" {
		return key.MAC("throttle", []byte(company), []byte("user:"+user))
	}
	return key.MAC("throttle", []byte(company), []byte("login:"+login))
}

// factorSubject is nil for a factor of which everybody may have one.
func factorSubject(key *keyring.DataKey, kind authn.Kind, subject string) []byte {
	if subject == "" {
		return nil
	}
	sum := key.MAC("factor subject", []byte(kind), []byte(subject))
	return sum[:]
}

// budgetSubject hides whom or what a budget counts.
func budgetSubject(key *keyring.DataKey, scope, subject string) string {
	sum := key.MAC("budget", []byte(scope), []byte(subject))
	return hex.EncodeToString(sum[:])
}

// commitment stands in the chain for what an event says of a person; without
// the salt it says nothing (ruling 40).
func commitment(key *keyring.DataKey, salt []byte, event string, personal []byte) []byte {
	sum := key.MAC("event commitment", salt, []byte(event), personal)
	return sum[:]
}

func factorPlace(company, user, id string, kind authn.Kind) keyring.AD {
	return keyring.AD{Table: "factors", Column: "sealed", Company: company, Row: id, User: user, Kind: string(kind)}
}

func personPlace(company, user string) keyring.AD {
	return keyring.AD{Table: "users", Column: "person_key", Company: company, Row: user, User: user}
}

func eventPlace(company, id, person string) keyring.AD {
	return keyring.AD{Table: "events", Column: "personal", Company: company, Row: id, User: person}
}

// packPersonal and unpackPersonal keep the salt in front of the document.
func packPersonal(salt, doc []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(salt)))
	return append(append(b, salt...), doc...)
}

func unpackPersonal(b []byte) (salt, doc []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}
