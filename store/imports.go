package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// An import puts people into the tables little by little, so that sign-ins get in
// between, and nobody sees one of them before all are there (ruling 24): their
// names lead nowhere (seen), and their shapes are not counted, so no list holds
// them. One short transaction then says that the import is done, and counts their
// shapes; from then on everybody sees all of them. What remains is to write their
// events and to make their rows like others. An import that stopped before it was
// done is taken away, one that stopped after is gone on with, by the sweep.

const (
	// ImportBatch is how many people one call of StagePeople takes at most.
	ImportBatch = 100
	// keepImport is how long an import that nothing is heard of is left alone.
	keepImport = 10 * time.Minute
)

// BeginImport opens an import. Conflict (error.import_running) while another of
// the company is not done.
func (s *Store) BeginImport(ctx context.Context, company, id, actor string, now time.Time) error {
	if err := wantID("import", id); err != nil {
		return err
	}
	return in("begin import", s.b.Do(ctx, func(tx *Tx) error {
		var n int64
		if found, err := tx.one(lockCompany.text(tx, true), []any{&n}, company); err != nil || !found {
			return orNotFound(err)
		}
		var other string
		found, err := tx.one("SELECT id FROM imports WHERE company = $1 AND id > $2 LIMIT 1", []any{&other}, company, "")
		if err != nil {
			return err
		}
		if found {
			return &authn.Error{Code: authn.Conflict, Key: "error.import_running", RetryAfter: keepImport}
		}
		_, err = tx.exec("INSERT INTO imports (company, id, actor, done, beat_at) VALUES ($1, $2, $3, $4, $5)", company, id, clean(actor, maxID), false, micros(now))
		return err
	}))
}

func orNotFound(err error) error {
	if err == nil {
		return authn.NotFound
	}
	return err
}

// StagePeople adds people to an import that is not done, at most ImportBatch, but
// for those whose names are taken; shapes is how many of each shape it added.
func (s *Store) StagePeople(ctx context.Context, company, id string, now time.Time, list []authn.ImportedPerson) (taken []authn.TakenName, shapes map[string]int64, err error) {
	err = s.b.Do(ctx, func(tx *Tx) error {
		taken, shapes = nil, map[string]int64{}
		n, err := tx.exec("UPDATE imports SET beat_at = $3 WHERE company = $1 AND id = $2 AND NOT done", company, id, micros(now))
		if err := oneRow(n, err, "the import was given up"); err != nil {
			return err
		}
		key, err := s.dataKey(tx, company)
		if err != nil {
			return err
		}
		for _, p := range list {
			names, err := takenNames(tx, company, id, p)
			if err != nil {
				return err
			}
			if taken = append(taken, names...); len(names) > 0 {
				continue
			}
			k := &authn.Keys{Company: company, User: p.User.ID, Now: now}
			l := &loaded{company: company, key: key}
			if err := s.newUser(tx, k, l, authn.NewUser{User: p.User, Logins: p.Logins}); err != nil {
				return err
			}
			var factors []authn.Factor
			if p.Password != "" {
				if err := setPassword(tx, l, authn.SetPassword{ID: p.Password, Hash: p.Hash, At: now}); err != nil {
					return err
				}
				// Setting it has cleared that it has to be changed.
				if err := putUser(tx, l, p.User); err != nil {
					return err
				}
				factors = []authn.Factor{{Kind: authn.Password, State: authn.Confirmed}}
			}
			shape := authn.ShapeOf(p.User, factors, now).String()
			shapes[shape]++
			if _, err := tx.exec("UPDATE users SET import_id = $3, shape = $4, reshape_at = 0 WHERE company = $1 AND id = $2",
				company, p.User.ID, id, stagedShape(id, shape)); err != nil {
				return err
			}
			p.User.Company = company
			if err := insertWords(tx, &p.User); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, in("stage people", err)
	}
	return taken, shapes, nil
}

func takenNames(tx *Tx, company, id string, p authn.ImportedPerson) ([]authn.TakenName, error) {
	var list []authn.TakenName
	fields := map[string]string{"name": "login", "email": "email"}
	for _, l := range p.Logins {
		var of string
		found, err := tx.one("SELECT u.import_id FROM logins l JOIN users u ON u.company = l.company AND u.id = l.user_id WHERE l.company = $1 AND l.name = $2",
			[]any{&of}, company, l.Name)
		if err != nil {
			return nil, err
		}
		if found {
			list = append(list, authn.TakenName{Row: p.Row, Field: fields[l.Kind], Within: of == id})
		}
	}
	return list, nil
}

// FinishImport makes everybody of an import a person of the company, all at once.
// shapes is the sum of what StagePeople gave.
func (s *Store) FinishImport(ctx context.Context, company, id string, now time.Time, shapes map[string]int64, ev authn.Event) error {
	return in("finish import", s.b.Do(ctx, func(tx *Tx) error {
		n, err := tx.exec("UPDATE imports SET done = $3, beat_at = $4 WHERE company = $1 AND id = $2 AND NOT done", company, id, true, micros(now))
		if err := oneRow(n, err, "the import was given up"); err != nil {
			return err
		}
		for _, shape := range slices.Sorted(maps.Keys(shapes)) {
			if _, err := tx.exec("INSERT INTO people_shapes (company, shape, n) VALUES ($1, $2, $3)", company, stagedShape(id, shape), shapes[shape]); err != nil {
				return err
			}
		}
		return s.insertEvent(tx, &authn.Keys{Company: company, Now: now}, &loaded{company: company}, ev)
	}))
}

// SettleImport makes the rows of people of an import that is done like others',
// with the event that each was created, and reports whether there are more.
func (s *Store) SettleImport(ctx context.Context, company, id string, now time.Time) (more bool, err error) {
	err = s.b.Do(ctx, func(tx *Tx) error {
		more = false
		var actor string
		found, err := tx.one("SELECT actor FROM imports WHERE company = $1 AND id = $2 AND done", []any{&actor}, company, id)
		if err != nil || !found {
			return err
		}
		if _, err := tx.exec("UPDATE imports SET beat_at = $3 WHERE company = $1 AND id = $2", company, id, micros(now)); err != nil {
			return err
		}
		people, err := importedIDs(tx, company, id)
		if err != nil {
			return err
		}
		l := &loaded{company: company}
		deltas := map[string]int64{}
		for _, user := range people {
			if err := reshape(tx, company, user, now, false, deltas); err != nil {
				return err
			}
			n, err := tx.exec("UPDATE users SET import_id = '' WHERE company = $1 AND id = $2 AND import_id = $3", company, user, id)
			if err != nil || n == 0 {
				return err
			}
			ev := authn.Event{Company: company, Type: "user.created", Actor: actor, Target: user, Result: authn.Succeeded, At: now,
				Personal: authn.Personal{Detail: map[string]string{"import": id}}}
			if err := s.insertEvent(tx, &authn.Keys{Company: company, Now: now}, l, ev); err != nil {
				return err
			}
		}
		if err := countShapes(tx, company, deltas); err != nil {
			return err
		}
		if more = len(people) > 0; more {
			return nil
		}
		return endImport(tx, company, id)
	})
	if err != nil {
		return false, in("settle import", err)
	}
	return more, nil
}

func importedIDs(tx *Tx, company, id string) ([]string, error) {
	var list []string
	err := tx.each("SELECT id FROM users WHERE company = $1 AND import_id = $2 AND import_id <> '' ORDER BY id LIMIT $3", []any{company, id, ImportBatch},
		func(scan func(...any) error) (bool, error) {
			var user string
			err := scan(&user)
			list = append(list, user)
			return true, err
		})
	return list, err
}

// endImport takes away the counts that nobody is in any more, and the import.
func endImport(tx *Tx, company, id string) error {
	if _, err := tx.exec("DELETE FROM people_shapes WHERE company = $1 AND shape >= $2 AND shape < $3 AND n = 0",
		company, stagedShape(id, ""), behind(stagedShape(id, ""))); err != nil {
		return err
	}
	_, err := tx.exec("DELETE FROM imports WHERE company = $1 AND id = $2", company, id)
	return err
}

// DropImport takes away people of an import that is not done, and reports whether
// there are more.
func (s *Store) DropImport(ctx context.Context, company, id string) (more bool, err error) {
	err = s.b.Do(ctx, func(tx *Tx) error {
		more = false
		var n int64
		// Whoever is about to say that it is done waits here, or was first.
		found, err := tx.one(lockImport.text(tx, true), []any{&n}, company, id)
		if err != nil || !found {
			return err
		}
		people, err := importedIDs(tx, company, id)
		if err != nil {
			return err
		}
		for _, user := range people {
			for _, table := range []string{"user_words", "logins", "factors", "users"} {
				where := "WHERE company = $1 AND user_id = $2"
				switch table {
				case "user_words":
					where = "WHERE (company, word, user_id) IN (SELECT company, word, user_id FROM user_words WHERE company = $1 AND user_id = $2)"
				case "logins":
					where = "WHERE (company, name) IN (SELECT company, name FROM logins WHERE company = $1 AND user_id = $2)"
				case "users":
					where = "WHERE company = $1 AND id = $2 AND import_id <> ''"
				}
				if _, err := tx.exec("DELETE FROM "+table+" "+where, company, user); err != nil {
					return err
				}
			}
		}
		if more = len(people) > 0; more {
			return nil
		}
		return endImport(tx, company, id)
	})
	if err != nil {
		return false, in("drop import", err)
	}
	return more, nil
}

var lockImport = locking("SELECT 1 FROM imports WHERE company = $1 AND id = $2 AND NOT done", "FOR UPDATE")

// sweepImports goes on with what stopped in the middle.
func (s *Store) sweepImports(ctx context.Context, now time.Time) error {
	type row struct {
		company, id string
		done        bool
	}
	var stopped []row
	err := s.b.Read(ctx, func(tx *Tx) error {
		stopped = nil
		return tx.each("SELECT company, id, done FROM imports WHERE beat_at <= $1", []any{micros(now.Add(-keepImport))}, func(scan func(...any) error) (bool, error) {
			var r row
			err := scan(&r.company, &r.id, &r.done)
			stopped = append(stopped, r)
			return true, err
		})
	})
	for _, r := range stopped {
		for more := err == nil; more && err == nil; {
			if r.done {
				more, err = s.SettleImport(ctx, r.company, r.id, now)
			} else {
				more, err = s.DropImport(ctx, r.company, r.id)
			}
		}
	}
	return in("sweep imports", err)
}
