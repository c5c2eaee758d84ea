package store

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

const saltLen = 16

// cleanPersonal bounds what an event says of a person; nil if it says nothing.
func cleanPersonal(p authn.Personal) []byte {
	q := authn.Personal{Address: clean(p.Address, maxWord), Agent: clean(p.Agent, maxName)}
	for _, name := range slices.Sorted(maps.Keys(p.Detail)) {
		if len(q.Detail) == maxDetails {
			break
		}
		if q.Detail == nil {
			q.Detail = make(map[string]string, len(p.Detail))
		}
		q.Detail[clean(name, maxWord)] = clean(p.Detail[name], maxDetail)
	}
	if q.Address == "" && q.Agent == "" && q.Detail == nil {
		return nil
	}
	doc, err := json.Marshal(q)
	if err != nil {
		panic("store: personal does not marshal: " + err.Error()) // cannot happen: strings only
	}
	return doc
}

// personKeyOf is the key for what is said of a person: their own, or, where
// they have none, the company's (person is then empty).
func (l *loaded) personKeyOf(tx *Tx, target string) (person string, key *keyring.DataKey, err error) {
	if target == "" {
		return "", l.key, nil
	}
	if l.opened.of == target { // several events of one decision are mostly about one person
		return target, l.opened.key, nil
	}
	sealed := l.personKey
	if l.uid != target {
		sealed = nil
		if _, err := tx.one("SELECT person_key FROM users WHERE company = $1 AND id = $2", []any{&sealed}, l.company, target); err != nil {
			return "", nil, err
		}
	}
	if len(sealed) == 0 {
		return "", l.key, nil
	}
	key, err = l.key.OpenSubKey(personPlace(l.company, target), sealed)
	if err != nil {
		return "", nil, internal("the key of user %s does not open: it was changed, moved, or sealed under another key", target)
	}
	l.opened.of, l.opened.key = target, key
	return target, key, nil
}

func (s *Store) insertEvent(tx *Tx, k *authn.Keys, l *loaded, ev authn.Event) error {
	if ev.Company != "" && ev.Company != k.Company {
		return internal("an event of another company than the decision")
	}
	if ev.At.IsZero() {
		ev.At = k.Now
	}
	if ev.ID == "" {
		ev.ID = authn.NewID(authn.EventID, ev.At, s.random)
	}
	if err := wantID("event", ev.ID); err != nil {
		return err
	}
	if err := s.wantKey(tx, l); err != nil {
		return err
	}
	ev.Target = clean(ev.Target, maxID)
	var person string
	personal, commit := []byte(nil), []byte{}
	if doc := cleanPersonal(ev.Personal); doc != nil {
		var key *keyring.DataKey
		var err error
		if person, key, err = l.personKeyOf(tx, ev.Target); err != nil {
			return err
		}
		salt := make([]byte, saltLen)
		if _, err := io.ReadFull(s.random, salt); err != nil {
			return internal("no randomness: %w", err)
		}
		personal = key.Seal(eventPlace(k.Company, ev.ID, person), packPersonal(salt, doc))
		commit = commitment(l.key, salt, ev.ID, doc)
	}
	word, counts := countedAs(&ev)
	n, err := tx.exec(`INSERT INTO events (company, id, type, actor, target, result, at, person, personal, commitment, counted_as, counts)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
		k.Company, ev.ID, clean(ev.Type, maxWord), clean(ev.Actor, maxID), ev.Target, clean(string(ev.Result), maxWord), micros(ev.At),
		person, personal, commit, word, counts)
	if err := oneRow(n, err, "there is an event of that id"); err != nil {
		return err
	}
	return s.tell(tx, k, l, ev)
}

const eventColumns = "e.company, e.id, e.type, e.actor, e.target, e.result, e.at, e.seq, e.prev, e.hash"

func eventTargets(ev *authn.Event, seq **int64) []any {
	return []any{&ev.Company, &ev.ID, &ev.Type, &ev.Actor, &ev.Target, (*string)(&ev.Result), asTime{&ev.At}, seq, &ev.Prev, &ev.Hash}
}

// lastID is after every id: ids hold letters, digits, _ and -.
const lastID = "~"

func limitOf(limit int) int {
	switch {
	case limit <= 0:
		return 50
	case limit > 200:
		return 200
	}
	return limit
}

// personOpener opens what events say, remembering the keys of one call.
type personOpener struct {
	l    *loaded
	keys map[string]*keyring.DataKey
}

// keyOf is the key for what is said of a person; of nobody, the company's.
func (o *personOpener) keyOf(company, person string, personKey []byte) (key *keyring.DataKey, erased bool, err error) {
	if person == "" {
		return o.l.key, false, nil
	}
	if len(personKey) == 0 {
		return nil, true, nil
	}
	if key = o.keys[person]; key == nil {
		if key, err = o.l.key.OpenSubKey(personPlace(company, person), personKey); err != nil {
			return nil, false, internal("the key of user %s does not open", person)
		}
		o.keys[person] = key
	}
	return key, false, nil
}

// Sealing: the lease keeps nodes from doing the same work; that a number is
// given once is due to the locked row of chains.
const sealLease = 30 * time.Second

var selectChain = locking("SELECT seq, hash FROM chains WHERE company = $1", "FOR UPDATE")

// SealEvents numbers and chains up to max events that are committed and not
// yet sealed, in the order of their ids, and returns how many: 0 too if another
// node is at it. On PostgreSQL an event can commit after one with a later id;
// it is then sealed after it. chain returns the hash of an event, which is
// given without what it says of a person: the commitment stands for that.
func (s *Store) SealEvents(ctx context.Context, company string, now time.Time, max int,
	chain func(prev []byte, seq int64, e authn.Event, commitment []byte) []byte) (int, error) {
	if !goodID(company) {
		return 0, nil
	}
	// An idle company costs a look, not a commit.
	var next string
	err := s.b.Read(ctx, func(tx *Tx) (err error) {
		_, err = tx.one("SELECT id FROM events WHERE company = $1 AND seq IS NULL ORDER BY id LIMIT 1", []any{&next}, company)
		return err
	})
	if err != nil || next == "" {
		return 0, in("seal events", err)
	}
	if ok, err := s.Acquire(ctx, "seal "+company, s.holder, now, sealLease); err != nil || !ok {
		return 0, in("seal events", err)
	}
	var sealed int
	err = s.b.Do(ctx, func(tx *Tx) error {
		var err error
		sealed, err = sealEvents(tx, company, sealMax(max), chain)
		return err
	})
	if err != nil {
		return 0, in("seal events", err)
	}
	return sealed, nil
}

// sealMax bounds how long others wait for a batch; 0 means 500.
func sealMax(max int) int {
	if max <= 0 {
		return 500
	}
	return min(max, 1000)
}

type unsealed struct {
	event      authn.Event
	commitment []byte
	countedAs  string
	counts     int64
}

func sealEvents(tx *Tx, company string, max int, chain func([]byte, int64, authn.Event, []byte) []byte) (int, error) {
	if _, err := tx.exec("INSERT INTO chains (company, seq, hash) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING", company, []byte{}); err != nil {
		return 0, err
	}
	var seq int64
	var prev []byte
	if _, err := tx.one(selectChain.text(tx, true), []any{&seq, &prev}, company); err != nil {
		return 0, err
	}
	var list []unsealed
	err := tx.each("SELECT "+eventColumns+", e.commitment, e.counted_as, e.counts FROM events e WHERE (e.company, e.id) IN"+
		" (SELECT company, id FROM events WHERE company = $1 AND seq IS NULL ORDER BY id LIMIT $2) ORDER BY e.id",
		[]any{company, max}, func(scan func(...any) error) (bool, error) {
			var u unsealed
			var none *int64
			if err := scan(append(eventTargets(&u.event, &none), &u.commitment, &u.countedAs, &u.counts)...); err != nil {
				return false, err
			}
			list = append(list, u)
			return true, nil
		})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	counts := tally{}
	for _, u := range list {
		counts.add(&u.event, u.countedAs, u.counts)
		seq++
		hash := chain(prev, seq, u.event, u.commitment)
		if len(hash) == 0 {
			return 0, internal("the chain gives no hash")
		}
		n, err := tx.exec("UPDATE events SET seq = $3, prev = $4, hash = $5, counted_as = '' WHERE company = $1 AND id = $2 AND seq IS NULL",
			company, u.event.ID, seq, nonNil(prev), hash)
		if err := oneRow(n, err, "an event was sealed meanwhile"); err != nil {
			return 0, err
		}
		prev = hash
	}
	// Here each event passes once, whatever node has it and whatever was undone.
	if err := counts.write(tx, company); err != nil {
		return 0, err
	}
	n, err := tx.exec("UPDATE chains SET seq = $2, hash = $3 WHERE company = $1", company, seq, prev)
	return len(list), oneRow(n, err, "the chain is gone")
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
