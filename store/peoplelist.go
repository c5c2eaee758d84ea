package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// A page of people is found in one of two ways, whichever has to look at fewer:
//
//   - by shape: the people of each shape that fits stand in the order of their ids
//     in an index, and the page is merged from those;
//   - by word: the people of the rarest word stand in the order of the words that
//     it begins, and those of another shape, or without the other words, are left out.
//
// The first costs as much as the page is long where nobody has to be left out, and
// is taken with words only where it is short. The second looks at lookAtMost people
// and then says that it has not finished. So no page depends on how many there are.
const lookAtMost = 1000

// place is a cursor: where a page ended.
type place struct {
	term int    // of the word that the list goes by; -1: it goes by id
	word string // of that person
	id   string
}

func (p place) String() string {
	if p.id == "" {
		return ""
	}
	if p.term < 0 {
		return "i." + p.id
	}
	return fmt.Sprintf("w.%d.%s.%s", p.term, p.id, base64.RawURLEncoding.EncodeToString([]byte(p.word)))
}

// readPlace reads what String wrote, for a search for so many words.
func readPlace(s string, terms int) (place, error) {
	bad := authn.InvalidField("cursor", "invalid", nil)
	parts := strings.Split(s, ".")
	switch {
	case len(parts) == 2 && parts[0] == "i" && authn.CheckID(authn.UserID, parts[1]):
		return place{term: -1, id: parts[1]}, nil
	case len(parts) == 4 && parts[0] == "w" && authn.CheckID(authn.UserID, parts[2]):
		term, err := strconv.Atoi(parts[1])
		word, err2 := base64.RawURLEncoding.Strict().DecodeString(parts[3])
		p := place{term: term, id: parts[2], word: string(word)}
		if err != nil || err2 != nil || term < 0 || term >= terms || len(word) > maxWord || clean(p.word, maxWord) != p.word || p.String() != s {
			return place{}, bad
		}
		return p, nil
	}
	return place{}, bad
}

// peopleSearch is one page in the making.
type peopleSearch struct {
	tx      *Tx
	company string
	words   []string
	fits    map[string]bool // shapes as stored
	from    place           // where it begins; zero id: at the beginning
	back    bool            // towards the beginning
	limit   int
	out     *authn.PeoplePage
}

// FindPeople gives a page of people.
//
// Errors: Invalid (field cursor).
func (s *Store) FindPeople(ctx context.Context, company string, q authn.PeopleQuery) (authn.PeoplePage, error) {
	var out authn.PeoplePage
	if !goodID(company) {
		return out, nil
	}
	var from place
	cursor := q.After + q.Before
	if cursor != "" {
		var err error
		if from, err = readPlace(cursor, len(q.Words)); err != nil || q.After != "" && q.Before != "" {
			return out, authn.InvalidField("cursor", "invalid", nil)
		}
	}
	err := s.b.Read(ctx, func(tx *Tx) error {
		out = authn.PeoplePage{}
		all, err := shapesOf(tx, company)
		if err != nil {
			return err
		}
		f := &peopleSearch{tx: tx, company: company, words: q.Words, fits: map[string]bool{}, from: from, back: q.Before != "", limit: limitOf(q.Limit), out: &out}
		var shapes []string
		for _, c := range all {
			if q.Fits == nil || q.Fits(shapeText(c.shape)) {
				out.Count += c.n
				f.fits[c.shape] = true
				shapes = append(shapes, c.shape)
			}
		}
		if len(shapes) == 0 {
			return nil
		}
		if from.id == "" {
			if f.from.term, err = f.choose(out.Count); err != nil {
				return err
			}
		}
		var places []place
		if f.from.term < 0 {
			if q.Fits == nil && len(q.Words) == 0 {
				if shapes, err = f.everybody(shapes); err != nil {
					return err
				}
			}
			places, err = f.byShape(shapes)
		} else {
			places, err = f.byWord()
		}
		if err != nil {
			return err
		}
		return f.fill(places, cursor != "")
	})
	if err != nil {
		return authn.PeoplePage{}, in("people", err)
	}
	return out, nil
}

// choose is the way that looks at fewest: the number of a word, or -1.
func (f *peopleSearch) choose(fitting int64) (int, error) {
	way, least := -1, int64(-1)
	for i, w := range f.words {
		var n int64
		if _, err := f.tx.one("SELECT count(*) FROM (SELECT 1 FROM user_words WHERE company = $1 AND word >= $2 AND word < $3 LIMIT $4) w", []any{&n},
			f.company, w, behind(w), lookAtMost+1); err != nil {
			return 0, err
		}
		if least < 0 || n < least {
			way, least = i, n
		}
	}
	if way >= 0 && fitting <= lookAtMost && fitting <= least {
		return -1, nil
	}
	return way, nil
}

// behind is after every word that begins with w.
func behind(w string) string { return w + "\U0010FFFF" }

// having are the conditions that person has a word that begins with each of the
// search, but for the one that leads the list; the arguments are numbered after n.
func (f *peopleSearch) having(person string, n int) (string, []any) {
	var b strings.Builder
	var args []any
	for i, w := range f.words {
		if i == f.from.term {
			continue
		}
		fmt.Fprintf(&b, " AND EXISTS (SELECT 1 FROM user_words x WHERE x.company = $1 AND x.user_id = %s AND x.word >= $%d AND x.word < $%d)", person, n+1, n+2)
		args, n = append(args, w, behind(w)), n+2
	}
	return b.String(), args
}

// everybody are all shapes in one, where all people of the company may be seen.
func (f *peopleSearch) everybody(shapes []string) ([]string, error) {
	var n int64
	staged, err := f.tx.one("SELECT 1 FROM imports WHERE company = $1 AND id > $2 AND NOT done LIMIT 1", []any{&n}, f.company, "")
	if err != nil || staged {
		return shapes, err
	}
	return []string{""}, nil
}

// stream gives the ids of one shape, in order; empty: of all.
type stream struct {
	shape string
	ids   []string
	last  string
	done  bool
}

func (f *peopleSearch) more(s *stream, n int) error {
	order, cmp := "DESC", "<"
	if f.back {
		order, cmp = "ASC", ">"
	}
	having, args := f.having("u.id", 4)
	args = append([]any{f.company, s.last, n, s.shape}, args...)
	ofShape := " AND u.shape = $4"
	if s.shape == "" {
		ofShape, args = "", args[:3]
	}
	s.ids = s.ids[:0]
	err := f.tx.each("SELECT u.id FROM users u WHERE u.company = $1 AND u.id "+cmp+" $2"+ofShape+having+" ORDER BY u.id "+order+" LIMIT $3", args, func(scan func(...any) error) (bool, error) {
		var id string
		err := scan(&id)
		s.ids = append(s.ids, id)
		return true, err
	})
	if s.done = len(s.ids) < n; len(s.ids) > 0 {
		s.last = s.ids[len(s.ids)-1]
	}
	return err
}

// byShape merges the shapes. One more than the page has says that there are more.
func (f *peopleSearch) byShape(shapes []string) ([]place, error) {
	start := f.from.id
	if start == "" && !f.back {
		start = lastID
	}
	chunk := (f.limit+1)/len(shapes) + 4
	var open []*stream
	for _, shape := range shapes {
		s := &stream{shape: shape, last: start}
		if err := f.more(s, chunk); err != nil {
			return nil, err
		}
		if len(s.ids) > 0 {
			open = append(open, s)
		}
	}
	var places []place
	for len(places) <= f.limit && len(open) > 0 {
		at := 0
		for i, s := range open {
			if before := s.ids[0] > open[at].ids[0]; i > 0 && before != f.back && s.ids[0] != open[at].ids[0] {
				at = i
			}
		}
		s := open[at]
		places = append(places, place{term: -1, id: s.ids[0]})
		if s.ids = s.ids[1:]; len(s.ids) == 0 && !s.done {
			if err := f.more(s, chunk); err != nil {
				return nil, err
			}
		}
		if len(s.ids) == 0 {
			open = slices.Delete(open, at, at+1)
		}
	}
	return places, nil
}

// byWord goes along the words that begin with the chosen one. Somebody with
// several of them stands at the first.
func (f *peopleSearch) byWord() ([]place, error) {
	lead := f.words[f.from.term]
	order, cmp, end, last, word, id := "ASC", ">", "<", behind(lead), lead, ""
	if f.back {
		order, cmp, end, last = "DESC", "<", ">=", lead
	}
	if f.from.id != "" {
		word, id = f.from.word, f.from.id
	}
	having, args := f.having("w.user_id", 6)
	// The shape is looked up only of those who have all the words.
	text := "SELECT w.word, w.user_id, CASE WHEN NOT EXISTS (SELECT 1 FROM user_words y WHERE y.company = $1 AND y.user_id = w.user_id" +
		" AND y.word >= $2 AND y.word < w.word)" + having + " THEN (SELECT u.shape FROM users u WHERE u.company = w.company AND u.id = w.user_id) ELSE '' END" +
		" FROM user_words w WHERE w.company = $1 AND w.word " + end + " $3 AND (w.word, w.user_id) " + cmp + " ($4, $5)" +
		" ORDER BY w.word " + order + ", w.user_id " + order + " LIMIT $6"
	var places []place
	looked := 0
	var at place
	err := f.tx.each(text, append([]any{f.company, lead, last, word, id, lookAtMost}, args...), func(scan func(...any) error) (bool, error) {
		p := place{term: f.from.term}
		var shape string
		if err := scan(&p.word, &p.id, &shape); err != nil {
			return false, err
		}
		looked++
		at = p
		if f.fits[shape] {
			places = append(places, p)
		}
		return len(places) <= f.limit, nil
	})
	if err != nil {
		return nil, err
	}
	if looked == lookAtMost && len(places) <= f.limit {
		f.out.Unfinished = true
		f.goOn(at)
	}
	return places, nil
}

// goOn sets the cursor of what follows in the direction of the search.
func (f *peopleSearch) goOn(p place) {
	if f.back {
		f.out.Prev = p.String()
	} else {
		f.out.Next = p.String()
	}
}

// fill reads the people of a page and sets what is before and after it.
func (f *peopleSearch) fill(places []place, inside bool) error {
	if len(places) > f.limit {
		places = places[:f.limit]
		f.goOn(places[f.limit-1])
	}
	if f.back {
		slices.Reverse(places)
	}
	if inside {
		edge := f.from // of a page with nobody on it
		if len(places) > 0 {
			edge = places[0]
			if f.back {
				edge = places[len(places)-1]
			}
		}
		if f.back {
			f.out.Next = edge.String()
		} else {
			f.out.Prev = edge.String()
		}
	}
	for _, p := range places {
		var row authn.Listed
		var personKey []byte
		found, err := f.tx.one("SELECT u.shape, "+userColumns+" FROM users u WHERE u.company = $1 AND u.id = $2",
			append([]any{&row.Shape}, userTargets(&row.User, &personKey)...), f.company, p.id)
		if err != nil {
			return err
		}
		if found {
			row.Shape = shapeText(row.Shape)
			f.out.People = append(f.out.People, row)
		}
	}
	return nil
}
