package store

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/sallyport-mfa/sallyport/authn"
)

const (
	selectLinks = "SELECT " + eventColumns + ", e.person, e.personal, u.person_key, e.commitment" +
		" FROM events e LEFT JOIN users u ON u.company = e.company AND u.id = e.person WHERE e.company = $1"
	selectSealed   = selectLinks + " AND e.seq > $2 ORDER BY e.seq LIMIT $3"
	selectUnsealed = selectLinks + " AND e.seq IS NULL AND e.id > $2 ORDER BY e.id LIMIT $3"
)

// SealedEvents returns the events of a company with a number greater than
// after, in the order of the chain; at most 200, 50 if limit is 0.
func (s *Store) SealedEvents(ctx context.Context, company string, after int64, limit int) ([]authn.SealedEvent, error) {
	list, err := s.links(ctx, selectSealed, company, after, limit)
	return list, in("sealed events", err)
}

// UnsealedEvents returns those that have no number yet, in the order of their
// ids, from the one after the id after.
func (s *Store) UnsealedEvents(ctx context.Context, company, after string, limit int) ([]authn.SealedEvent, error) {
	if after != "" && !goodID(after) {
		return nil, nil
	}
	list, err := s.links(ctx, selectUnsealed, company, after, limit)
	return list, in("unsealed events", err)
}

func (s *Store) links(ctx context.Context, text, company string, after any, limit int) ([]authn.SealedEvent, error) {
	if !goodID(company) {
		return nil, nil
	}
	var list []authn.SealedEvent
	err := s.b.Read(ctx, func(tx *Tx) error {
		l := &loaded{company: company}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		var err error
		list, err = eventRows(tx, l, text, []any{company, after, limitOf(limit)})
		return err
	})
	return list, err
}

// genuine opens what an event says of a person, if it still can be, and compares
// it with the commitment in the chain. What is damaged stays closed.
func (o *personOpener) genuine(ev *authn.SealedEvent, person string, personal, personKey []byte) bool {
	key, erased, err := o.keyOf(ev.Company, person, personKey)
	if erased || err != nil {
		return erased
	}
	plain, err := key.Open(eventPlace(ev.Company, ev.ID, person), personal)
	if err != nil {
		return false
	}
	salt, doc, ok := unpackPersonal(plain)
	if !ok || !bytes.Equal(commitment(o.l.key, salt, ev.ID, doc), ev.Commitment) {
		return false
	}
	return json.Unmarshal(doc, &ev.Personal) == nil
}

// ChainHead is the end of a company's chain: the number and hash of its last
// event, as the sealer noted them; 0 before the first.
func (s *Store) ChainHead(ctx context.Context, company string) (seq int64, hash []byte, err error) {
	err = s.b.Read(ctx, func(tx *Tx) error {
		_, err := tx.one("SELECT seq, hash FROM chains WHERE company = $1", []any{&seq, &hash}, clean(company, maxID))
		return err
	})
	return seq, hash, in("chain head", err)
}
