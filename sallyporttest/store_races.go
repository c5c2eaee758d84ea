package sallyporttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// together runs f n times at once and waits.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// once wants one of a hundred at a time to succeed with an event of that type, and the
// others to be told that it is done (inv-A).
func (w *world) once(typ string, f func(i int) error) {
	w.t.Helper()
	var done atomic.Int64
	together(100, func(i int) {
		if err := f(i); err == nil {
			done.Add(1)
		} else if !errors.Is(err, authn.Conflict) {
			w.t.Errorf("%s: %v", typ, err)
		}
	})
	if n := w.count("SELECT count(*) FROM events WHERE type = $1", typ); done.Load() != 1 || n != 1 {
		w.t.Errorf("%s: %d times, %d events", typ, done.Load(), n)
	}
}

func runRaces(t *testing.T, open opener) {
	t.Run("cve-4 inv-B of 500 guesses at once ten are evaluated", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		nodes := []*store.Store{w.Store, again}
		var evaluated, refused atomic.Int64
		together(500, func(i int) {
			k := p.keys()
			k.Factor, k.Charge = p.app, authn.GuessFactor
			err := nodes[i%2].Decide(w.ctx, k, func(r *authn.Rows) authn.Verdict {
				if !r.Charged.Paid {
					return authn.Drop(authn.Paused)
				}
				s := authn.Settle{Outcome: authn.Wrong}
				if r.Charged.Count.Tries >= 10 {
					s.PausedUntil = w.now.Add(30 * time.Second)
				}
				return authn.Refuse(authn.WrongCode, event("factor.refused", p.id), s)
			})
			switch {
			case errors.Is(err, authn.WrongCode): // counted only here: a decision may run twice, its answer comes once
				evaluated.Add(1)
			case errors.Is(err, authn.Paused):
				refused.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
		if evaluated.Load() != 10 || refused.Load() != 490 {
			t.Errorf("%d evaluated, %d refused", evaluated.Load(), refused.Load())
		}
		if n := w.count("SELECT tries_s FROM factors WHERE id = $1", p.app); n != 10 {
			t.Errorf("%d counted", n)
		}
	})
	t.Run("cve-24 inv-A of 100 submits of one code one succeeds", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		nodes := []*store.Store{w.Store, again}
		attempts := make([]authn.Token, 10)
		for i := range attempts {
			_, attempts[i] = p.newAttempt("")
		}
		var won atomic.Int64
		together(100, func(i int) {
			k := authn.Keys{Company: p.company, AttemptToken: attempts[i%10], Now: w.now, Factor: p.app, Charge: authn.GuessFactor}
			err := nodes[i%2].Decide(w.ctx, k, func(r *authn.Rows) authn.Verdict {
				if !r.Charged.Paid {
					return authn.Drop(authn.Paused)
				}
				if r.Charged.Factor.LastStep >= 1000 {
					return authn.Refuse(authn.CodeUsed, event("factor.refused", p.id), authn.Settle{Outcome: authn.Void})
				}
				a := *r.Attempt
				a.Version, a.State = a.Version+1, authn.Complete
				return authn.Accept(event("session.started", p.id), authn.Settle{Outcome: authn.Right, Step: 1000}, authn.PutAttempt{Attempt: a})
			})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.CodeUsed) {
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 || w.count("SELECT count(*) FROM events WHERE type = 'session.started'") != 1 ||
			w.count("SELECT count(*) FROM attempts WHERE state = 'complete'") != 1 || w.count("SELECT tries_s FROM factors WHERE id = $1", p.app) != 0 {
			t.Errorf("%d won", won.Load())
		}
	})
	t.Run("cve-1 two hundred attempts share one count", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		tokens := make([]authn.Token, 200)
		together(len(tokens), func(i int) { _, tokens[i] = p.newAttempt("") })
		var paid atomic.Int64
		together(len(tokens), func(i int) {
			c, err := w.guess(authn.Keys{Company: p.company, AttemptToken: tokens[i], Factor: p.app, Charge: authn.GuessFactor}, authn.Wrong, time.Time{}, 0)
			if c.Paid {
				paid.Add(1)
			}
			if !errors.Is(err, authn.WrongCode) && !errors.Is(err, authn.Paused) {
				t.Errorf("%v", err)
			}
		})
		if paid.Load() != authn.ShareStranger {
			t.Errorf("%d paid", paid.Load())
		}
	})
	t.Run("cve-4 of 500 passwords at once ten are evaluated, known name or not", func(t *testing.T) {
		w := newWorld(t, open)
		w.newUser(w.company, "maya")
		for _, login := range []string{"maya", "nobody"} {
			var paid atomic.Int64
			together(500, func(int) {
				w.decide(authn.Keys{Company: w.company.ID, Login: login, Charge: authn.GuessPassword}, func(r *authn.Rows) authn.Verdict {
					if !r.Charged.Paid {
						return authn.Drop(authn.Paused)
					}
					s := authn.Settle{Outcome: authn.Wrong}
					if r.Charged.Count.Tries >= 10 {
						s.PausedUntil = w.now.Add(time.Minute)
					}
					return authn.Refuse(authn.WrongCredentials, event("sign_in.refused", ""), s)
				})
			})
			paid.Store(int64(w.count("SELECT count(*) FROM events WHERE type = 'sign_in.refused'")))
			w.exec("DELETE FROM events WHERE type = 'sign_in.refused'")
			if paid.Load() != 10 {
				t.Errorf("%s: %d evaluated", login, paid.Load())
			}
		}
	})
	t.Run("one attempt moves once, whoever is first", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		a, token := p.newAttempt("")
		a.Version = 2
		var won atomic.Int64
		together(50, func(int) {
			err := w.write(authn.Keys{Company: p.company, AttemptToken: token}, authn.PutAttempt{Attempt: a})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.Conflict) {
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d won", won.Load())
		}
	})
	t.Run("one name is taken once, whoever is first", func(t *testing.T) {
		w := newWorld(t, open)
		var won atomic.Int64
		together(40, func(i int) {
			id := w.id(authn.UserID)
			logins := []authn.Login{{Name: "a", Kind: "name"}, {Name: "b", Kind: "email"}}
			if i%2 == 1 {
				logins = []authn.Login{{Name: "b", Kind: "name"}, {Name: "a", Kind: "email"}}
			}
			err := w.write(authn.Keys{Company: w.company.ID, User: id}, authn.NewUser{User: authn.User{ID: id}, Logins: logins})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.Conflict) {
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 || w.count("SELECT count(*) FROM users") != 1 {
			t.Errorf("%d won", won.Load())
		}
	})
	t.Run("rul-9 a caller who leaves harms no other", func(t *testing.T) {
		w := newWorld(t, open)
		people := make([]*person, 300)
		for i := range people {
			people[i] = w.newPerson(w.company, fmt.Sprintf("user%d", i))
		}
		var committed atomic.Int64
		together(len(people), func(i int) {
			p := people[i]
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			leaves := i%3 == 0
			k := p.keys()
			k.Factor, k.Charge = p.app, authn.GuessFactor
			err := w.Store.Decide(ctx, k, func(r *authn.Rows) authn.Verdict {
				if leaves {
					cancel() // in the middle of the group
				}
				return authn.Accept(event("factor.proved", p.id), authn.Settle{Outcome: authn.Right, Step: 5})
			})
			switch {
			case err == nil:
				committed.Add(1)
			case !leaves || !errors.Is(err, authn.Busy):
				t.Errorf("%d: %v", i, err)
			}
		})
		stored := w.count("SELECT count(*) FROM factors WHERE last_step = 5")
		if committed.Load() < 200 || stored < int(committed.Load()) {
			t.Errorf("%d answered, %d stored", committed.Load(), stored)
		}
		// An answer is never ahead of the commit, and no event without its change.
		if n := w.count("SELECT count(*) FROM events WHERE type = 'factor.proved'"); n != stored {
			t.Errorf("%d events, %d changes", n, stored)
		}
	})
	t.Run("who has left before is not served", func(t *testing.T) {
		w := newWorld(t, open)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.want(w.Store.Decide(ctx, authn.Keys{Company: w.company.ID, Now: w.now}, func(*authn.Rows) authn.Verdict { t.Error("decided"); return authn.Continue() }), authn.Busy)
		_, err := w.Store.View(ctx, authn.Keys{Company: w.company.ID, Now: w.now})
		w.want(err, authn.Busy)
	})
	t.Run("rul-9 a panic and a conflict in a group leave the others whole", func(t *testing.T) {
		w := newWorld(t, open)
		people := make([]*person, 60)
		for i := range people {
			people[i] = w.newPerson(w.company, fmt.Sprintf("user%d", i))
		}
		together(len(people), func(i int) {
			p := people[i]
			err := w.decide(p.keys(), func(*authn.Rows) authn.Verdict {
				switch i % 3 {
				case 0:
					panic("in a group")
				case 1:
					return authn.Accept(event("x.done", p.id), authn.EndSession{ID: "ses_none"})
				}
				return authn.Accept(event("x.done", p.id))
			})
			w.want(err, []error{authn.Internal, authn.Conflict, nil}[i%3])
		})
		if n := w.count("SELECT count(*) FROM events WHERE type = 'x.done'"); n != 20 {
			t.Errorf("%d written", n)
		}
	})
}
