package sallyporttest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

func runCharging(t *testing.T, open opener) {
	t.Run("rul-8 a guess is counted and carries the secret", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		for i := range 3 {
			c := p.guessApp(authn.Wrong)
			if !c.Paid || c.Locked || string(c.Secret) != p.secret || c.Factor.ID != p.app || c.Count.Tries != i+1 {
				t.Fatalf("%+v", c)
			}
			if c.Factor.Counts[authn.Stranger].Tries != i+1 || c.Factor.Counts[authn.Known].Tries != 0 {
				t.Errorf("%+v", c.Factor.Counts)
			}
		}
	})
	t.Run("cve-9 the count outlives the refusal, as a new connection sees it", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		p.guessApp(authn.Wrong)
		k := authn.Keys{Company: p.company, Login: "maya", Charge: authn.GuessPassword}
		_, err := w.guess(k, authn.Wrong, time.Time{}, 0)
		w.want(err, authn.WrongCode)
		if a, b := w.count("SELECT tries_s FROM factors WHERE id = $1", p.app), w.count("SELECT tries_s FROM throttles"); a != 1 || b != 1 {
			t.Errorf("factor %d, password %d", a, b)
		}
	})
	t.Run("std-12 while a lane is paused nothing is evaluated or counted", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		until := w.now.Add(30 * time.Second)
		k := p.keys()
		k.Factor, k.Charge = p.app, authn.GuessFactor
		_, err := w.guess(k, authn.Wrong, until, 0)
		w.want(err, authn.WrongCode)
		for range 5 {
			c, _ := w.guess(k, authn.Right, until, 0)
			if c.Paid || c.Secret != nil || c.Locked || c.Count.Tries != 1 || !c.Count.PausedUntil.Equal(until) {
				t.Fatalf("%+v", c)
			}
		}
		k.Now = until
		if c, _ := w.guess(k, authn.Right, until, 1); !c.Paid || c.Count.Tries != 2 {
			t.Errorf("%+v", c)
		}
		f := w.view(p.keys()).Factor(p.app)
		if f.Counts[authn.Stranger] != (authn.Count{}) || f.LastStep != 1 || !f.LastUsedAt.Equal(until) {
			t.Errorf("%+v", f)
		}
	})
	t.Run("rul-10 each lane has its share, and locks alone", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		known := p.keys()
		known.Browser = "own"
		w.must(w.write(known, authn.KnowBrowser{}))
		stranger := p.keys()
		for _, c := range []struct {
			k     authn.Keys
			share int
		}{{stranger, authn.ShareStranger}, {known, authn.ShareKnown}} {
			c.k.Factor, c.k.Charge = p.app, authn.GuessFactor
			paid := 0
			for range c.share + 5 {
				got, _ := w.guess(c.k, authn.Wrong, time.Time{}, 0)
				if got.Paid {
					paid++
				} else if !got.Locked || got.Count.Tries != c.share || got.Secret != nil {
					t.Fatalf("%+v", got)
				}
			}
			if paid != c.share {
				t.Errorf("%d evaluated, the share is %d", paid, c.share)
			}
		}
		if authn.ShareStranger+authn.ShareKnown != 100 {
			t.Error("std-11: the shares are not 100")
		}
	})
	t.Run("F5 a password is slowed and never disabled", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		k := authn.Keys{Company: p.company, Login: "maya", Charge: authn.GuessPassword}
		for i := range 120 {
			c, _ := w.guess(k, authn.Wrong, time.Time{}, 0)
			if !c.Paid || c.Count.Tries != i+1 || string(c.Secret) != p.hash {
				t.Fatalf("%d: %+v", i, c)
			}
		}
		known := k
		known.Browser = "own"
		w.must(w.write(authn.Keys{Company: p.company, User: p.id, Browser: "own"}, authn.KnowBrowser{}))
		c, _ := w.guess(k, authn.Wrong, w.now.Add(time.Hour), 0)
		if c, _ = w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid {
			t.Error("not paused")
		}
		if c, _ = w.guess(known, authn.Right, time.Time{}, 0); !c.Paid || c.Count.Tries != 1 {
			t.Errorf("the known browser is slowed: %+v", c)
		}
		if f := w.view(p.keys()).Factor(p.password); !f.LastUsedAt.Equal(w.now) {
			t.Errorf("%+v", f)
		}
	})
	t.Run("cve-15 cve-16 all spellings and names of a person share one count", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		w.exec("INSERT INTO logins (company, name, user_id, kind) VALUES ($1, 'maya.l', $2, 'name')", p.company, p.id)
		names := []string{"maya", "MAYA", " maya ", "ｍａｙａ", "Maya.L", "mAyA"}
		for i, name := range names {
			c, _ := w.guess(authn.Keys{Company: p.company, Login: name, Charge: authn.GuessPassword}, authn.Wrong, time.Time{}, 0)
			if c.Count.Tries != i+1 {
				t.Errorf("%q is counted apart: %+v", name, c.Count)
			}
		}
		k := p.keys()
		k.Charge = authn.GuessPassword
		if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Count.Tries != len(names)+1 {
			t.Errorf("by id it is counted apart: %+v", c.Count)
		}
	})
	t.Run("cve-62 an unknown name is counted like a known one", func(t *testing.T) {
		w := newWorld(t, open)
		k := authn.Keys{Company: w.company.ID, Login: "nobody", Charge: authn.GuessPassword, Browser: "b"}
		for i := range 3 {
			c, err := w.guess(k, authn.Wrong, time.Time{}, 0)
			w.want(err, authn.WrongCode)
			if !c.Paid || c.Count.Tries != i+1 || c.Secret != nil || c.Factor != nil {
				t.Errorf("%+v", c)
			}
		}
		_, err := w.guess(k, authn.Wrong, w.now.Add(time.Minute), 0)
		w.want(err, authn.WrongCode)
		if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid || !c.Count.PausedUntil.Equal(w.now.Add(time.Minute)) {
			t.Errorf("%+v", c)
		}
	})
	t.Run("rul-44 a void guess is given back", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		p.guessApp(authn.Wrong)
		for range 3 {
			if c := p.guessApp(authn.Void); c.Count.Tries != 2 {
				t.Errorf("%+v", c.Count)
			}
		}
		k := authn.Keys{Company: p.company, Login: "maya", Charge: authn.GuessPassword}
		w.guess(k, authn.Void, time.Time{}, 0)
		if n := w.count("SELECT tries_s FROM throttles"); n != 0 {
			t.Errorf("password: %d", n)
		}
	})
	t.Run("rul-44 a void guess leaves the pause that its Settle names", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		k := p.keys()
		k.Factor, k.Charge = p.app, authn.GuessFactor
		password := authn.Keys{Company: p.company, Login: "maya", Charge: authn.GuessPassword}
		until := w.now.Add(30 * time.Second)
		for _, want := range []time.Time{until, {}} {
			w.guess(k, authn.Void, want, 0)
			w.guess(password, authn.Void, want, 0)
			if got := w.view(p.keys()).Factor(p.app).Counts[authn.Stranger]; got.Tries != 0 || !got.PausedUntil.Equal(want) {
				t.Errorf("factor: %+v", got)
			}
			if n := w.count("SELECT paused_s FROM throttles"); want.IsZero() != (n == 0) {
				t.Errorf("password: %d", n)
			}
			k.Now, password.Now = until, until
		}
	})
	t.Run("cve-73 a pause that a clock ahead of time made holds nobody up", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		for _, k := range []authn.Keys{
			{Company: p.company, User: p.id, Factor: p.app, Charge: authn.GuessFactor},
			{Company: p.company, Login: "maya", Charge: authn.GuessPassword},
			{Company: p.company, Login: "nobody", Charge: authn.GuessPassword},
		} {
			for until, want := range map[time.Duration]bool{authn.LongestPause: false, authn.LongestPause + time.Second: true} {
				k.Now = w.now
				w.guess(k, authn.Wrong, w.now.Add(until), 0)
				c, _ := w.guess(k, authn.Void, time.Time{}, 0)
				if c.Paid != want {
					t.Errorf("%+v: paid %v with a pause of %v", k, c.Paid, until)
				}
				k.Now = w.now.Add(authn.LongestPause)
				w.guess(k, authn.Right, time.Time{}, 0)
			}
		}
	})
	t.Run("cve-23 a step is accepted once, and none before it", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		k := p.keys()
		k.Factor, k.Charge = p.app, authn.GuessFactor
		_, err := w.guess(k, authn.Right, time.Time{}, 100)
		w.must(err)
		for _, step := range []int64{100, 99, 1} {
			_, err := w.guess(k, authn.Right, time.Time{}, step)
			w.want(err, authn.Internal)
		}
		f := w.view(p.keys()).Factor(p.app)
		// What could not be written was charged all the same.
		if f.LastStep != 100 || f.Counts[authn.Stranger].Tries != 3 {
			t.Errorf("%+v", f)
		}
		_, err = w.guess(k, authn.Right, time.Time{}, 1<<40) // beyond 32 bits (std-69)
		w.must(err)
	})
	t.Run("a slow check is settled by a later decision", testSlowCheck(open))
	t.Run("Choose looks before anything is charged", testChoose(open))
	t.Run("nothing is charged where something asked for is not there", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		_, token := p.newAttempt("")
		bad := token
		bad.Secret = make([]byte, 32)
		for name, k := range map[string]authn.Keys{
			"wrong attempt token": {AttemptToken: bad, User: p.id, Factor: p.app},
			"attempt of another":  {AttemptToken: token, User: q.id, Factor: q.app},
			"factor of another":   {User: q.id, Factor: p.app},
			"no user":             {Factor: p.app},
			"the password":        {User: p.id, Factor: p.password},
			"no factor":           {User: p.id},
		} {
			k.Company, k.Charge = p.company, authn.GuessFactor
			c, err := w.guess(k, authn.Wrong, time.Time{}, 0)
			w.want(err, authn.Paused)
			if c.Paid || c.Secret != nil {
				t.Errorf("%s: %+v", name, c)
			}
		}
		for _, k := range []authn.Keys{{AttemptToken: bad}, {AttemptToken: bad, User: p.id}, {}} {
			k.Company, k.Charge = p.company, authn.GuessPassword
			if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid || c.Secret != nil {
				t.Errorf("%+v", c)
			}
		}
		if n := w.count("SELECT (SELECT count(*) FROM throttles) + (SELECT sum(tries_s + tries_k) FROM factors)"); n != 0 {
			t.Errorf("%d charged", n)
		}
	})
	t.Run("cve-14 a flood of names evicts no count", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "victim")
		k := authn.Keys{Company: p.company, Login: "victim", Charge: authn.GuessPassword}
		w.guess(k, authn.Wrong, time.Time{}, 0)
		names := 5000
		if testing.Short() {
			names = 500
		}
		done := make(chan error, 64)
		for range 64 {
			go func() {
				var err error
				for range names / 64 {
					_, e := w.guess(authn.Keys{Company: p.company, Login: "flood-" + w.id("x"), Charge: authn.GuessPassword}, authn.Wrong, time.Time{}, 0)
					if !errors.Is(e, authn.WrongCode) {
						err = e
					}
				}
				done <- err
			}()
		}
		for range 64 {
			w.must(<-done)
		}
		if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Count.Tries != 2 {
			t.Errorf("%+v", c.Count)
		}
	})
}

func testSlowCheck(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		settle := func(k authn.Keys, o authn.Outcome) (c authn.Charged) {
			w.must(w.decide(k, func(r *authn.Rows) authn.Verdict {
				c = *r.Charged
				return authn.Accept(event("test.settled", ""), authn.Settle{Outcome: o, PausedUntil: w.now.Add(time.Minute)})
			}))
			return c
		}
		for _, login := range []string{"maya", "nobody"} {
			k := authn.Keys{Company: p.company, Login: login, Charge: authn.GuessPassword}
			for range 4 {
				w.must(w.decide(k, func(*authn.Rows) authn.Verdict { return authn.Continue() }))
			}
			k.Charge = authn.SettlePassword
			if c := settle(k, authn.Void); c.Paid || c.Secret != nil || c.Count.Tries != 4 {
				t.Errorf("%s: %+v", login, c)
			}
			if c := settle(k, authn.Wrong); c.Count.Tries != 3 {
				t.Errorf("%s: %+v", login, c)
			}
			if c := settle(k, authn.Right); c.Count.Tries != 3 || !c.Count.PausedUntil.Equal(w.now.Add(time.Minute)) {
				t.Errorf("%s: %+v", login, c)
			}
			if c := settle(k, authn.Right); c.Count != (authn.Count{}) {
				t.Errorf("%s: %+v", login, c)
			}
		}
		p.guessApp(authn.Wrong)
		k := p.keys()
		k.Factor, k.Charge = p.app, authn.SettleFactor
		if c := settle(k, authn.Right); c.Paid || c.Secret != nil || c.Count.Tries != 1 {
			t.Errorf("%+v", c)
		}
		if f := w.view(p.keys()).Factor(p.app); f.Counts[authn.Stranger].Tries != 0 {
			t.Errorf("%+v", f.Counts)
		}
	}
}

func testChoose(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		k := p.keys()
		k.Charge = authn.GuessFactor
		mine := &authn.Error{Code: authn.Conflict, Key: "error.attempt_moved"}
		k.Choose = func(r *authn.Rows) (string, error) {
			if r.User == nil || len(r.Factors) != 2 || r.Charged != nil {
				t.Errorf("Choose sees %+v", r)
			}
			return p.app, mine
		}
		never := func(*authn.Rows) authn.Verdict { t.Error("decided"); return authn.Continue() }
		if err := w.decide(k, never); err != error(mine) {
			t.Errorf("got %v", err)
		}
		k.Choose = func(*authn.Rows) (string, error) { panic("secret " + p.secret) }
		w.want(w.decide(k, never), authn.Internal)
		if n := w.count("SELECT tries_s FROM factors WHERE id = $1", p.app); n != 0 {
			t.Errorf("%d charged", n)
		}
		k.Factor = p.password
		k.Choose = func(*authn.Rows) (string, error) { return p.app, nil }
		c, err := w.guess(k, authn.Wrong, time.Time{}, 0)
		w.want(err, authn.WrongCode)
		if string(c.Secret) != p.secret || w.count("SELECT tries_s FROM factors WHERE id = $1", p.app) != 1 {
			t.Errorf("%+v", c)
		}
		k.Factor, k.Choose = p.app, func(*authn.Rows) (string, error) { return "", nil }
		if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Count.Tries != 2 {
			t.Errorf("%+v", c)
		}
	}
}

func runRefusals(t *testing.T, open opener) {
	t.Run("rul-8 a refusal commits its writes and its event", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		u := *w.view(p.keys()).User
		u.WrongInRow = 7
		refusal := &authn.Error{Code: authn.WrongCode, AttemptsLeft: 3}
		err := w.decide(p.keys(), func(*authn.Rows) authn.Verdict {
			return authn.Refuse(refusal, event("factor.refused", p.id), authn.PutUser{User: u}).And(event("password.known_to_others", p.id))
		})
		if err != error(refusal) {
			t.Errorf("got %v", err)
		}
		if w.view(p.keys()).User.WrongInRow != 7 || w.count("SELECT count(*) FROM events WHERE target = $1 AND type LIKE '%.refused' OR type LIKE 'password.known%'", p.id) != 2 {
			t.Error("not written")
		}
	})
	t.Run("rul-6 Drop writes no event", func(t *testing.T) {
		w := newWorld(t, open)
		before := w.count("SELECT count(*) FROM events")
		w.want(w.decide(authn.Keys{Company: w.company.ID}, func(*authn.Rows) authn.Verdict { return authn.Drop(authn.Expired) }), authn.Expired)
		w.must(w.decide(authn.Keys{Company: w.company.ID}, func(*authn.Rows) authn.Verdict { return authn.Continue() }))
		if n := w.count("SELECT count(*) FROM events"); n != before {
			t.Errorf("%d events", n-before)
		}
	})
	t.Run("no such company", func(t *testing.T) {
		w := newWorld(t, open)
		for _, id := range []string{w.id(authn.CompanyID), "", "x"} {
			k := authn.Keys{Company: id, Now: w.now, Login: "maya", Charge: authn.GuessPassword}
			w.want(w.Store.Decide(w.ctx, k, func(*authn.Rows) authn.Verdict { t.Error("decided"); return authn.Continue() }), authn.NotFound)
			_, err := w.Store.View(w.ctx, k)
			w.want(err, authn.NotFound)
		}
	})
	t.Run("a verdict is written whole or not at all", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		events := w.count("SELECT count(*) FROM events")
		u := *w.view(p.keys()).User
		u.Name = "changed"
		k := p.keys()
		k.Factor, k.Charge = p.app, authn.GuessFactor
		w.want(w.write(k, authn.PutUser{User: u}, authn.Settle{Outcome: authn.Right, Step: 5}, authn.EndSession{ID: "ses_none"}), authn.Conflict)
		rows := w.view(p.keys())
		if rows.User.Name == "changed" || rows.Factor(p.app).LastStep != 0 || w.count("SELECT count(*) FROM events") != events {
			t.Error("half of it was written")
		}
		// inv-B: even then the guess was not for nothing.
		if n := rows.Factor(p.app).Counts[authn.Stranger].Tries; n != 1 {
			t.Errorf("%d tries", n)
		}
	})
	t.Run("what no decision may write", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		other := w.newCompany("beta")
		se, _ := q.newSession()
		fq := *w.view(q.keys()).Factor(q.app)
		uq := *w.view(q.keys()).User
		nobody := authn.Keys{Company: p.company, Now: w.now}
		paused := p.keys()
		paused.Factor, paused.Charge = p.password, authn.GuessFactor // never paid
		for name, c := range map[string]struct {
			k    authn.Keys
			w    authn.Write
			code error
		}{
			"a factor of nobody":              {nobody, authn.DeleteFactor{ID: p.app}, authn.Internal},
			"another's factor":                {p.keys(), authn.PutFactor{Factor: fq}, authn.Internal},
			"another's factor, as one's own":  {p.keys(), authn.PutFactor{Factor: authn.Factor{ID: q.app, State: authn.Confirmed}}, authn.Conflict},
			"another's factor, deleted":       {p.keys(), authn.DeleteFactor{ID: q.app}, authn.Conflict},
			"another's factor, activated":     {p.keys(), authn.ActivateFactor{ID: q.app, At: w.now}, authn.Conflict},
			"another user":                    {p.keys(), authn.PutUser{User: uq}, authn.Internal},
			"another's session":               {p.keys(), authn.PutSession{Session: se}, authn.Internal},
			"a user with another id":          {authn.Keys{Company: p.company, User: "usr_new"}, authn.NewUser{User: authn.User{ID: "usr_other"}}, authn.Internal},
			"a user twice":                    {p.keys(), authn.NewUser{User: authn.User{ID: p.id}}, authn.Conflict},
			"a user of another company":       {authn.Keys{Company: p.company, User: "usr_new"}, authn.NewUser{User: authn.User{ID: "usr_new", Company: other.ID}}, authn.Internal},
			"a password as a factor":          {p.keys(), authn.NewFactor{Factor: authn.Factor{ID: "fac_x", Kind: authn.Password, State: authn.Confirmed}}, authn.Internal},
			"an empty password":               {p.keys(), authn.SetPassword{ID: "fac_x"}, authn.Internal},
			"a settlement of nothing":         {p.keys(), authn.Settle{Outcome: authn.Right}, authn.Internal},
			"a settlement of what was unpaid": {paused, authn.Settle{Outcome: authn.Right}, authn.Internal},
			"a session without its token":     {p.keys(), authn.NewSession{Session: authn.Session{ID: "ses_1"}}, authn.Internal},
			"an id with a quote":              {p.keys(), authn.NewFactor{Factor: authn.Factor{ID: "fac'", Kind: authn.SMS, State: authn.Pending}}, authn.Internal},
			"data that is no JSON":            {p.keys(), authn.NewFactor{Factor: authn.Factor{ID: "fac_x", Kind: authn.SMS, State: authn.Pending, Data: []byte("{")}}, authn.Internal},
			"a login that is too long":        {p.keys(), authn.PutUser{User: authn.User{ID: p.id, Login: strings.Repeat("x", 5000)}}, authn.Invalid},
		} {
			before := w.dump()
			w.t = t
			if err := w.write(c.k, c.w); !errors.Is(err, c.code) {
				t.Errorf("%s: %v, want %v", name, err, c.code)
			}
			if w.dump() != before {
				t.Errorf("%s left something", name)
			}
		}
		err := w.decide(p.keys(), func(*authn.Rows) authn.Verdict {
			return authn.Accept(authn.Event{Type: "x", Company: other.ID})
		})
		w.want(err, authn.Internal)
	})
	t.Run("a panic answers Internal and the charge stands", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		k := p.keys()
		k.Factor, k.Charge = p.app, authn.GuessFactor
		err := w.decide(k, func(r *authn.Rows) authn.Verdict { panic(string(r.Charged.Secret)) })
		w.want(err, authn.Internal)
		if strings.Contains(err.Error(), p.secret) || strings.Contains(w.Log.String(), p.secret) {
			t.Error("inv-H: the panic gives the secret away")
		}
		if n := w.count("SELECT tries_s FROM factors WHERE id = $1", p.app); n != 1 {
			t.Errorf("%d tries", n)
		}
		p.guessApp(authn.Right)
	})
	t.Run("a closed store is busy", func(t *testing.T) {
		w := newWorld(t, open)
		w.must(w.Store.Close())
		w.want(w.write(authn.Keys{Company: w.company.ID}), authn.Busy)
		_, err := w.Store.View(w.ctx, authn.Keys{Company: w.company.ID})
		w.want(err, authn.Busy)
		w.must(w.Store.Close())
	})
}
