package sallyporttest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// asking is a person whose sign-in waits for an outside service.
type asking struct {
	*world
	p     *person
	duo   string
	token authn.Token
	out   authn.Challenge
}

func newAsking(t *testing.T, open opener) *asking {
	t.Helper()
	w := newWorld(t, open)
	a := &asking{world: w, p: w.newUser(w.company, "maya")}
	a.duo, a.token = a.p.activate(authn.Duo, "", 0), a.p.attemptIn(authn.Stranger)
	a.out = a.ask(authn.Asked)
	return a
}

func (a *asking) keys() authn.Keys {
	return authn.Keys{Company: a.company.ID, AttemptToken: a.token, Sent: true}
}

func (a *asking) ask(outcome authn.Outside) authn.Challenge {
	a.t.Helper()
	c := a.p.challenge(a.token.ID, a.duo)
	c.Kind, c.Destination, c.Outcome, c.Detail = authn.Duo, "", outcome, []byte("canary-detail-of-the-ask")
	a.must(a.write(a.keys(), authn.NewChallenge{Challenge: c}))
	return c
}

// move is what the service said: the outcome from one to the other.
func (a *asking) move(c authn.Challenge, from, to authn.Outside) error {
	c.Outcome = to
	return a.write(a.keys(), authn.PutOutside{Challenge: c, From: from})
}

// only is the one challenge that is out.
func (a *asking) only() authn.Challenge {
	a.t.Helper()
	list := a.view(a.keys()).Challenges
	if len(list) != 1 {
		a.t.Fatalf("%d challenges are out", len(list))
	}
	return list[0]
}

func runOutside(t *testing.T, open opener) {
	t.Run("D2 an ask comes back as it was made, and so does what the service said", func(t *testing.T) {
		a := newAsking(t, open)
		if got := a.only(); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", a.out) {
			t.Errorf("got  %+v\nwant %+v", got, a.out)
		}
		next := a.out
		next.Detail, next.ExpiresAt = []byte("canary-of-the-answer"), a.now.Add(time.Minute)
		next.Sends, next.Purpose, next.Factor = 7, authn.CodeEmail, "fac_other" // none of which it may change
		a.must(a.move(next, authn.Asked, authn.Waiting))
		want := a.out
		want.Outcome, want.Detail, want.ExpiresAt = authn.Waiting, next.Detail, next.ExpiresAt
		if got := a.only(); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		k := a.keys()
		k.Factor = a.duo
		if list := a.seeds(k); len(list) != 1 || !bytes.Equal(list[0].Detail, next.Detail) {
			t.Errorf("who types a code in is given %+v", list)
		}
		if strings.Contains(a.dump(), "canary-") {
			t.Error("what the service said lies open in the database")
		}
		want.Detail = nil
		a.must(a.move(want, authn.Waiting, authn.Refusal))
		if got := a.only(); got.Detail != nil || got.Outcome != authn.Refusal {
			t.Errorf("%+v", got)
		}
	})
	t.Run("std-61 a detail opens in its own place only", func(t *testing.T) {
		a := newAsking(t, open)
		other := a.ask(authn.Asked)
		for name, s := range map[string]string{
			"another row":    "UPDATE challenges SET detail = (SELECT detail FROM challenges WHERE id = $1) WHERE id = $2",
			"another column": "UPDATE challenges SET detail = (SELECT destination FROM challenges WHERE id = $1) WHERE id = $2 OR id = $1",
		} {
			a.exec(s, a.out.ID, other.ID)
			if _, err := a.Store.View(a.ctx, authn.Keys{Company: a.company.ID, AttemptToken: a.token, Sent: true, Now: a.now}); !errors.Is(err, authn.Internal) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("cve-74 an ask moves once, from where it was, and only its own", func(t *testing.T) {
		a := newAsking(t, open)
		again, err := a.Again(t, a.Keyring)
		a.must(err)
		nodes := []*store.Store{a.Store, again}
		var won atomic.Int64
		together(50, func(i int) {
			c := a.out
			c.Outcome = []authn.Outside{authn.Approved, authn.Refusal}[i%2]
			err := nodes[i%2].Decide(a.ctx, authn.Keys{Company: a.company.ID, User: a.p.id, Now: a.now}, func(*authn.Rows) authn.Verdict {
				return authn.Accept(event("x.done", ""), authn.PutOutside{Challenge: c, From: authn.Asked})
			})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.Conflict) {
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d moved it", won.Load())
		}
		a.want(a.move(a.out, authn.NotOutside, authn.Approved), authn.Conflict)
		q := a.newUser(a.company, "omar")
		c := a.ask(authn.Waiting)
		c.Outcome, c.User, c.Company = authn.Approved, "", ""
		a.want(a.write(q.keys(), authn.PutOutside{Challenge: c, From: authn.Waiting}), authn.Conflict)
		r := a.newUser(a.newCompany("beta"), "maya")
		a.want(a.write(r.keys(), authn.PutOutside{Challenge: c, From: authn.Waiting}), authn.Conflict)
		c.Kind = authn.SMS
		a.want(a.write(a.p.keys(), authn.PutOutside{Challenge: c, From: authn.Waiting}), authn.Internal)
	})
	t.Run("rul-33 only what the service approved is consumed, once", func(t *testing.T) {
		consume := func(a *asking, outcome authn.Outside) error {
			return a.write(a.keys(), authn.ConsumeChallenges{Factor: a.duo, Outcome: outcome})
		}
		for _, outcome := range []authn.Outside{authn.Asked, authn.Waiting, authn.Refusal, authn.Passcode} {
			a := newAsking(t, open)
			a.must(a.move(a.out, authn.Asked, outcome))
			a.want(consume(a, authn.Approved), authn.Conflict)
			if n := a.count("SELECT count(*) FROM challenges WHERE consumed"); n != 0 {
				t.Errorf("%s: consumed", outcome)
			}
		}
		a := newAsking(t, open)
		beside := a.ask(authn.Waiting)
		a.must(a.move(a.out, authn.Asked, authn.Approved))
		a.now = a.out.ExpiresAt
		a.want(consume(a, authn.Approved), authn.Conflict)
		a.now = epoch
		other := a.keys()
		other.AttemptToken = a.p.attemptIn(authn.Stranger)
		a.want(a.write(other, authn.ConsumeChallenges{Factor: a.duo, Outcome: authn.Approved}), authn.Conflict)
		var won atomic.Int64
		together(50, func(int) {
			if err := consume(a, authn.Approved); err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.Conflict) {
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d times", won.Load())
		}
		// The one beside it ended with it, and is never approved.
		a.want(a.move(beside, authn.Waiting, authn.Approved), authn.Conflict)
		c := a.ask(authn.Passcode)
		a.must(consume(a, authn.Passcode))
		a.want(a.move(c, authn.Passcode, authn.Approved), authn.Conflict)
	})
	t.Run("only an ask of an outside service goes nowhere", func(t *testing.T) {
		a := newAsking(t, open)
		c := a.p.challenge(a.token.ID, a.duo)
		c.Kind, c.Destination = authn.SMS, ""
		a.want(a.write(a.keys(), authn.NewChallenge{Challenge: c}), authn.Internal)
		c = a.p.challenge(a.token.ID, a.duo)
		c.Detail = make([]byte, 1<<20)
		a.want(a.write(a.keys(), authn.NewChallenge{Challenge: c}), authn.Internal)
	})
}

func runSubjects(t *testing.T, open opener) {
	const number = "+41795550123"
	own := func(p *person, kind authn.Kind, state authn.FactorState) (string, error) {
		f := authn.Factor{ID: p.w.id(authn.FactorID), Kind: kind, State: state, Epoch: 1, CreatedAt: p.w.now}
		if state == authn.Pending {
			f.ExpiresAt = p.w.now.Add(time.Hour)
		}
		return f.ID, p.w.write(p.keys(), authn.NewFactor{Factor: f, Secret: []byte(number), Subject: number})
	}
	taken := func(w *world, what string, err error) {
		w.t.Helper()
		if e := authn.AsError(err); err == nil || e.Code != authn.Conflict || e.Key != "error.factor_taken" {
			w.t.Errorf("%s: %v", what, err)
		}
	}
	t.Run("B2 two people of a company have no number in common", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
		r := w.newUser(w.newCompany("beta"), "maya")
		first, err := own(p, authn.SMS, authn.Pending)
		w.must(err)
		second, err := own(q, authn.SMS, authn.Pending) // as long as nobody has it
		w.must(err)
		w.must(w.write(p.keys(), authn.ActivateFactor{ID: first, At: w.now}))
		before := w.dump()
		taken(w, "activated", w.write(q.keys(), authn.ActivateFactor{ID: second, At: w.now}))
		_, err = own(q, authn.SMS, authn.Pending)
		taken(w, "begun", err)
		_, err = own(q, authn.SMS, authn.Confirmed)
		taken(w, "given", err)
		if w.dump() != before {
			t.Error("something stays")
		}
		for what, p := range map[string]*person{"its owner": p, "another company": r} {
			id, err := own(p, authn.SMS, authn.Pending)
			w.must(err)
			if err := w.write(p.keys(), authn.ActivateFactor{ID: id, At: w.now}); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err = own(q, authn.Duo, authn.Confirmed)
		w.must(err)
		_, err = own(q, authn.TOTP, authn.Confirmed)
		w.must(err)
		for _, form := range []string{number, number[1:]} {
			if strings.Contains(w.dump()+w.Log.String(), form) {
				t.Error("the number can be read")
			}
		}
		if n := w.count("SELECT count(DISTINCT subject) FROM factors WHERE subject IS NOT NULL"); n != 4 {
			t.Errorf("the hashes of %d of 4 are their own", n)
		}
	})
	t.Run("B2 a factor that sleeps keeps nobody from the number, and wakes only if it is free", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
		id, err := own(p, authn.SMS, authn.Confirmed)
		w.must(err)
		f := *w.view(p.keys()).Factor(id)
		put := func(state authn.FactorState) error {
			f.State = state
			return w.write(p.keys(), authn.PutFactor{Factor: f})
		}
		w.must(put(authn.Asleep))
		w.must(put(authn.Confirmed))
		w.must(put(authn.Asleep))
		theirs, err := own(q, authn.SMS, authn.Confirmed)
		w.must(err)
		taken(w, "woken", put(authn.Confirmed))
		w.must(put(authn.Asleep))
		w.must(w.write(q.keys(), authn.DeleteFactor{ID: theirs}))
		w.must(put(authn.Confirmed))
	})
	t.Run("cve-60 of 20 who confirm one number at once one gets it", func(t *testing.T) {
		for _, given := range []bool{false, true} {
			w := newWorld(t, open)
			again, err := w.Again(t, w.Keyring)
			w.must(err)
			nodes := []*store.Store{w.Store, again}
			people, ids := make([]*person, 20), make([]string, 20)
			for i := range people {
				people[i] = w.newUser(w.company, fmt.Sprintf("user%d", i))
				if !given {
					ids[i], err = own(people[i], authn.SMS, authn.Pending)
					w.must(err)
				}
			}
			var won atomic.Int64
			together(len(people), func(i int) {
				writes := []authn.Write{authn.ActivateFactor{ID: ids[i], At: w.now}}
				if given {
					f := authn.Factor{ID: w.id(authn.FactorID), Kind: authn.SMS, State: authn.Confirmed}
					writes = []authn.Write{authn.NewFactor{Factor: f, Subject: number}}
				}
				err := nodes[i%2].Decide(w.ctx, people[i].keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(event("x.done", ""), writes...) })
				if err == nil {
					won.Add(1)
					return
				}
				if e := authn.AsError(err); e.Code != authn.Conflict || e.Key != "error.factor_taken" {
					t.Errorf("%v", err)
				}
			})
			if won.Load() != 1 || w.count("SELECT count(*) FROM factors WHERE kind = 'sms' AND state = 'active'") != 1 {
				t.Errorf("%d got it", won.Load())
			}
		}
	})
	t.Run("B2 the number comes with the codes, and with nothing else", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		active, err := own(p, authn.SMS, authn.Confirmed)
		w.must(err)
		pending, err := own(p, authn.SMS, authn.Pending)
		w.must(err)
		outside, err := own(p, authn.Duo, authn.Confirmed)
		w.must(err)
		k := p.keys() // their app has a secret that answers are compared with
		for _, f := range w.view(k).Factors {
			if f.Destination != "" {
				t.Errorf("%s without being asked for", f.Kind)
			}
		}
		k.Sent = true
		for _, f := range w.view(k).Factors {
			if want := f.ID == active || f.ID == pending || f.ID == outside; (f.Destination == number) != want || f.Destination != "" && !want {
				t.Errorf("%s %s: %q", f.Kind, f.State, f.Destination)
			}
		}
		f := *w.view(k).Factor(active)
		f.State = authn.Asleep
		w.must(w.write(p.keys(), authn.PutFactor{Factor: f}))
		if got := w.view(k).Factor(active); got.Destination != "" {
			t.Errorf("a sleeping one: %q", got.Destination)
		}
		w.exec("UPDATE factors SET sealed = (SELECT sealed FROM factors WHERE id = $1) WHERE id = $2", active, pending)
		_, err = w.Store.View(w.ctx, k)
		w.want(err, authn.Internal)
	})
}
