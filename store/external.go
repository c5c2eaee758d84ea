package store

import (
	"crypto/subtle"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// Whose an id of the host program's table is (ruling 36). The id is kept in the open
// beside its person, since the host is asked by it, and as a keyed hash here, where
// it outlives them.

func externalID(key *keyring.DataKey, id string) []byte {
	sum := key.MAC("external id", []byte(id))
	return sum[:]
}

// externalSeal binds the id to its person: a row that was changed leads to nobody else.
func externalSeal(key *keyring.DataKey, id, user string) []byte {
	sum := key.MAC("external user", []byte(id), []byte(user))
	return sum[:]
}

// loadExternal finds the user of Keys.External, and apart from them whoever has the
// name that was typed, whose count was charged. That one is not locked: two people
// who take each other's name do not wait for each other in a circle.
func (s *Store) loadExternal(tx *Tx, k *authn.Keys, lock bool, l *loaded) error {
	asked := *k
	asked.External, asked.User = "", ""
	other := &loaded{company: l.company}
	if err := s.loadNamed(tx, &asked, false, other); err != nil {
		return err
	}
	l.Company, l.Named, l.login = other.Company, other.User, other.login
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	other.key = l.key
	l.who = other.throttle()

	var id string
	var seal []byte
	found, err := tx.one("SELECT user_id, seal FROM external_ids WHERE company = $1 AND subject = $2", []any{&id, &seal},
		l.company, externalID(l.key, k.External))
	if err != nil || !found {
		return err
	}
	if subtle.ConstantTimeCompare(seal, externalSeal(l.key, k.External, id)) != 1 {
		return internal("the row of an external id of user %s was changed", clean(id, maxID))
	}
	var c authn.Company
	var u authn.User
	var personKey []byte
	found, err = tx.one(selectUser.text(tx, lock), slices.Concat(companyTargets(&c), userTargets(&u, &personKey)), l.company, id)
	switch {
	case err != nil:
		return err
	case !found:
		l.Gone = true
	case u.ExternalID != k.External:
		return internal("user %s has not the external id that leads to them", u.ID)
	default:
		l.Company = &c
		l.setUser(&u, personKey)
	}
	return nil
}

// newExternal takes the id for the new user, before everything else of theirs: of two
// that come at once the second waits here, and finds it taken.
func newExternal(tx *Tx, l *loaded, u *authn.User) error {
	if u.ExternalID == "" {
		return nil
	}
	if !authn.GoodExternalID(u.ExternalID) {
		return internal("an external id of %d bytes that cannot be one", len(u.ExternalID))
	}
	n, err := tx.exec("INSERT INTO external_ids (company, subject, user_id, seal) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		l.company, externalID(l.key, u.ExternalID), u.ID, externalSeal(l.key, u.ExternalID, u.ID))
	return oneRow(n, err, "the external id is or was somebody's")
}
