package store

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

// How many rows one search looks at, and how many types a family may have: what
// is rarer than that takes several pages (authn.EventPage.Searched).
const (
	searchRows  = 2000
	searchLeast = 200 // of each type of a family
	maxFamily   = 64
)

// A search walks an index of events from the newest match on. What the index
// does not hold is compared row by row, of which there are searchRows at most.
// SQLite is told which index: it would take the primary key, which has the other
// columns, and read everybody's events to find those of one person.
const (
	walkEvents = " WHERE e.company = $1 AND e.id < $2"
	byTarget   = " AND e.target = $3 AND e.target <> ''"
	byActor    = " AND e.actor = $3 AND e.actor <> ''"
	byType     = " AND e.type = $3"
	byNothing  = " AND $3 = ''"
	matching   = " WHERE w.at >= $6 AND w.at < $7 AND ($8 = '' OR w.type = $8 OR $9 AND substr(w.type, 1, length($8)) = $8)" +
		" AND ($10 = '' OR w.actor = $10) AND ($11 = '' OR w.result = $11) ORDER BY w.id DESC LIMIT $5"
)

func (w walk) searchText(d *Dialect) string {
	return "SELECT w.id FROM (SELECT e.id, e.type, e.actor, e.result, e.at" + w.events(d) + " ORDER BY e.id DESC LIMIT $4) w" + matching
}

func (w walk) lastText(d *Dialect) string {
	return "SELECT e.id" + w.events(d) + " ORDER BY e.id DESC LIMIT 1 OFFSET $4"
}

// walk is one way through an index.
type walk struct{ by, value string }

func (w walk) events(d *Dialect) string {
	index := map[string]string{byTarget: "events_target", byActor: "events_actor", byType: "events_type"}[w.by]
	if index != "" && d.Name == "sqlite" {
		index = " INDEXED BY " + index
	} else {
		index = ""
	}
	return " FROM events e" + index + walkEvents + w.by
}

// Search returns a page of a company's events, newest first. It looks at a
// bounded number of rows, however many events there are.
func (s *Store) Search(ctx context.Context, company string, q authn.EventQuery) (authn.EventPage, error) {
	if q.Before == "" {
		q.Before = lastID
	}
	for _, id := range []string{q.Target, q.Actor} {
		if id != "" && !goodID(id) {
			return authn.EventPage{}, nil
		}
	}
	if !goodID(company) || q.Before != lastID && !goodID(q.Before) {
		return authn.EventPage{}, nil
	}
	q.Type, q.Result, q.Limit = clean(q.Type, maxWord), authn.Result(clean(string(q.Result), maxWord)), limitOf(q.Limit)
	var page authn.EventPage
	err := s.b.Read(ctx, func(tx *Tx) error {
		page = authn.EventPage{}
		l := &loaded{company: company}
		if err := l.wantCompany(tx, company); err != nil {
			return err
		}
		if err := s.wantKey(tx, l); err != nil {
			return err
		}
		ids, floor, err := searchIDs(tx, company, q)
		if err != nil {
			return err
		}
		if len(ids) > q.Limit {
			ids = ids[:q.Limit]
			page.Next = ids[q.Limit-1]
		} else if floor != "" {
			page.Next = floor
			page.Searched, _ = authn.TimeOfID(authn.EventID, floor)
		}
		page.Events, err = eventsByID(tx, l, ids)
		return err
	})
	return page, in("search", err)
}

// searchIDs are the newest matches, one more than asked for if there is one, and
// down to which id everything was looked at; empty: to the end.
func searchIDs(tx *Tx, company string, q authn.EventQuery) (ids []string, floor string, err error) {
	walks, err := walksFor(tx, company, q)
	if err != nil {
		return nil, "", err
	}
	rows := searchRows
	if len(walks) > 1 {
		rows = max(searchRows/len(walks), searchLeast)
	}
	for _, w := range walks {
		some, down, err := w.run(tx, company, q, rows)
		if err != nil {
			return nil, "", err
		}
		ids, floor = append(ids, some...), max(floor, down)
	}
	// What one type has below where another was looked at comes on a later page.
	ids = slices.DeleteFunc(ids, func(id string) bool { return id < floor })
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(b, a) })
	return ids, floor, nil
}

// walksFor chooses the index: the person, who did it, the types, or all.
func walksFor(tx *Tx, company string, q authn.EventQuery) ([]walk, error) {
	switch {
	case q.Target != "":
		return []walk{{byTarget, q.Target}}, nil
	case q.Actor != "":
		return []walk{{byActor, q.Actor}}, nil
	case q.Type == "":
		return []walk{{byNothing, ""}}, nil
	case !strings.HasSuffix(q.Type, "."):
		return []walk{{byType, q.Type}}, nil
	}
	var walks []walk
	for typ := q.Type; len(walks) < maxFamily; {
		var next string
		found, err := tx.one("SELECT e.type FROM events e WHERE e.company = $1 AND e.type > $2 ORDER BY e.type LIMIT 1", []any{&next}, company, typ)
		if err != nil {
			return nil, err
		}
		if !found || !strings.HasPrefix(next, q.Type) {
			break
		}
		walks, typ = append(walks, walk{byType, next}), next
	}
	return walks, nil
}

func (w walk) run(tx *Tx, company string, q authn.EventQuery, rows int) (ids []string, floor string, err error) {
	from, until, before := "", int64(math.MaxInt64), q.Before
	if !q.Since.IsZero() {
		from = authn.FirstID(authn.EventID, q.Since)
	}
	if !q.Until.IsZero() {
		until = micros(q.Until)
		// The next millisecond: ids know no less.
		before = min(before, authn.FirstID(authn.EventID, q.Until.Add(1e6)))
	}
	args := []any{company, before, w.value, rows}
	last := append(slices.Clone(args[:3]), rows-1)
	args = append(args, q.Limit+1, micros(q.Since), until, q.Type, strings.HasSuffix(q.Type, "."), q.Actor, string(q.Result))
	err = tx.each(w.searchText(tx.d), args, func(scan func(...any) error) (bool, error) {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return true, err
	})
	if err != nil {
		return nil, "", err
	}
	if len(ids) > q.Limit {
		return ids, ids[len(ids)-1], nil
	}
	if _, err = tx.one(w.lastText(tx.d), []any{&floor}, last...); floor < from {
		floor = "" // before the time that was asked for nothing is looked for
	}
	return ids, floor, err
}

// eventsByID reads events, newest first.
func eventsByID(tx *Tx, l *loaded, ids []string) ([]authn.SealedEvent, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, args := inList(l.company, ids)
	return eventRows(tx, l, selectLinks+" AND e.id IN ("+list+") ORDER BY e.id DESC", args)
}

// inList is "$2, $3, …" with the arguments: a list is no parameter (ruling 55).
// The last one stands in for those that are missing, so that there are few
// statements to prepare.
func inList(company string, ids []string) (string, []any) {
	n := 10
	for n < len(ids) {
		n *= 5
	}
	var b strings.Builder
	args := []any{company}
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+2))
		args = append(args, ids[min(i, len(ids)-1)])
	}
	return b.String(), args
}

// eventRows opens what a statement that begins with selectLinks finds.
func eventRows(tx *Tx, l *loaded, text string, args []any) ([]authn.SealedEvent, error) {
	open := personOpener{l: l, keys: map[string]*keyring.DataKey{}}
	var list []authn.SealedEvent
	err := tx.each(text, args, func(scan func(...any) error) (bool, error) {
		var ev authn.SealedEvent
		var seq *int64
		var person string
		var personal, personKey []byte
		if err := scan(append(eventTargets(&ev.Event, &seq), &person, &personal, &personKey, &ev.Commitment)...); err != nil {
			return false, err
		}
		if seq != nil {
			ev.Seq = *seq
		}
		if len(personal) > 0 {
			ev.Damaged = !open.genuine(&ev, person, personal, personKey)
		}
		list = append(list, ev)
		return true, nil
	})
	return list, err
}

// Events is Search that goes on until the page is full, for callers whose query
// is not rare or who can wait. What an event said of a person whose key was
// destroyed is empty.
func (s *Store) Events(ctx context.Context, company string, q authn.EventQuery) ([]authn.Event, error) {
	var list []authn.Event
	for most := limitOf(q.Limit); ; {
		q.Limit = most - len(list)
		page, err := s.Search(ctx, company, q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			if e.Damaged {
				return nil, internal("event %s does not open", e.ID)
			}
			list = append(list, e.Event)
		}
		if page.Next == "" || len(list) == most {
			return list, nil
		}
		q.Before = page.Next
	}
}

// Names are what users and keys of a company are called, by id; at most 500
// ids. Those that are gone are not among them.
func (s *Store) Names(ctx context.Context, company string, ids []string) (map[string]authn.Named, error) {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !goodID(id) })
	slices.Sort(ids)
	ids = slices.Compact(ids)
	names := map[string]authn.Named{}
	if len(ids) == 0 || len(ids) > 500 || !goodID(company) {
		return names, nil
	}
	list, args := inList(company, ids)
	err := s.b.Read(ctx, func(tx *Tx) error {
		return tx.each("SELECT u.id, u.name, u.login FROM users u WHERE u.company = $1 AND u.id IN ("+list+")"+
			" UNION ALL SELECT k.id, k.name, '' FROM api_keys k WHERE k.company = $1 AND k.id IN ("+list+")", args, func(scan func(...any) error) (bool, error) {
			var id string
			var n authn.Named
			err := scan(&id, &n.Name, &n.Login)
			names[id] = n
			return true, err
		})
	})
	return names, in("names", err)
}
