package sallyporttest

import (
	"reflect"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

func runFactors(t *testing.T, open opener) {
	t.Run("A2 every column of a factor comes back", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		f := p.begin(authn.TOTP, "s")
		f.Counts = map[authn.Lane]authn.Count{authn.Stranger: {}, authn.Known: {}}
		rows := w.view(p.keys())
		if got := rows.Factor(f.ID); got == nil || !reflect.DeepEqual(*got, f) {
			t.Errorf("got  %+v\nwant %+v", got, f)
		}
		if pw := rows.FactorOf(authn.Password, authn.Confirmed); pw == nil || pw.ID != p.password || !pw.ConfirmAt.Equal(w.now) {
			t.Errorf("password factor: %+v", pw)
		}
	})
	t.Run("factors come oldest first", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		var want []string
		for i, kind := range []authn.Kind{authn.TOTP, authn.SMS, authn.Email, authn.Duo} {
			w.now = epoch.Add(-time.Duration(i+1) * time.Hour)
			want = append([]string{p.begin(kind, "s").ID}, want...)
		}
		for i, f := range w.view(p.keys()).Factors {
			if i < len(want) && f.ID != want[i] {
				t.Errorf("%d: %s", i, f.Kind)
			}
		}
	})
	t.Run("rul-43 a pending factor replaces the pending one", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		first, second := p.begin(authn.TOTP, "1"), p.begin(authn.TOTP, "2")
		p.begin(authn.SMS, "3")
		rows := w.view(p.keys())
		if rows.Factor(first.ID) != nil || rows.Factor(second.ID) == nil || rows.Factor(p.app) == nil || len(rows.Factors) != 4 {
			t.Errorf("%+v", rows.Factors)
		}
	})
	t.Run("A5 the old secret works until the new one is confirmed, and never after", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		next := p.begin(authn.TOTP, "new seed")
		if c := p.guessApp(authn.Right); string(c.Secret) != p.secret {
			t.Error("the old one is dead before its time")
		}
		w.must(w.write(p.keys(), authn.ActivateFactor{ID: next.ID, At: w.now.Add(time.Minute), Step: 77}))
		if c := p.guessApp(authn.Right); c.Paid {
			t.Error("the old one still works")
		}
		f := w.view(p.keys()).FactorOf(authn.TOTP, authn.Confirmed)
		if f == nil || f.ID != next.ID || f.LastStep != 77 || !f.ConfirmAt.Equal(w.now.Add(time.Minute)) || !f.ExpiresAt.IsZero() {
			t.Errorf("%+v", f)
		}
		w.want(w.write(p.keys(), authn.ActivateFactor{ID: next.ID, At: w.now}), authn.Conflict)
	})
	t.Run("a pending factor that has expired is neither activated nor charged", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		f := p.begin(authn.TOTP, "s")
		w.now = f.ExpiresAt
		w.want(w.write(p.keys(), authn.ActivateFactor{ID: f.ID, At: w.now}), authn.Conflict)
		p.app = f.ID
		if c := p.guessApp(authn.Wrong); c.Paid || c.Factor == nil {
			t.Errorf("%+v", c)
		}
	})
	t.Run("rul-43 of security keys a person has many, of others one", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		p.activate(authn.WebAuthn, "1", 0)
		p.activate(authn.WebAuthn, "2", 0)
		if n := len(w.view(p.keys()).Factors); n != 4 {
			t.Errorf("%d factors", n)
		}
		f := authn.Factor{ID: w.id(authn.FactorID), Kind: authn.TOTP, State: authn.Confirmed}
		w.want(w.write(p.keys(), authn.NewFactor{Factor: f}), authn.Conflict)
	})
	t.Run("G1 a factor sleeps and wakes, unless its place is taken", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		f := *w.view(p.keys()).Factor(p.app)
		f.State, f.Name, f.Data = authn.Asleep, "old", []byte(`{"v":2}`)
		w.must(w.write(p.keys(), authn.PutFactor{Factor: f}))
		if got := w.view(p.keys()).Factor(p.app); got.State != authn.Asleep || got.Name != "old" || string(got.Data) != `{"v":2}` {
			t.Errorf("%+v", got)
		}
		if p.guessApp(authn.Wrong).Paid {
			t.Error("a sleeping factor is evaluated")
		}
		f.State = authn.Confirmed
		w.must(w.write(p.keys(), authn.PutFactor{Factor: f}))
		f.State = authn.Asleep
		w.must(w.write(p.keys(), authn.PutFactor{Factor: f}))
		p.activate(authn.TOTP, "another", 0)
		f.State = authn.Confirmed
		w.want(w.write(p.keys(), authn.PutFactor{Factor: f}), authn.Conflict)
	})
	t.Run("rul-2 an active factor is confirmed again, in a later round only", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		later := w.now.Add(time.Hour)
		w.must(w.write(p.keys(), authn.ConfirmAgain{ID: p.app, Round: 2, At: later}))
		if f := w.view(p.keys()).Factor(p.app); f.Round != 2 || !f.ConfirmAt.Equal(later) || f.State != authn.Confirmed {
			t.Errorf("%+v", f)
		}
		w.must(w.write(p.keys(), authn.ConfirmAgain{ID: p.app, Round: 1, At: w.now}))
		w.must(w.write(p.keys(), authn.ConfirmAgain{ID: q.app, Round: 9, At: w.now})) // another's: nothing
		if f := w.view(p.keys()).Factor(p.app); f.Round != 2 || !f.ConfirmAt.Equal(later) {
			t.Errorf("%+v", f)
		}
		if f := w.view(q.keys()).Factor(q.app); f.Round != 0 {
			t.Errorf("%+v", f)
		}
		next := authn.Factor{ID: w.id(authn.FactorID), Kind: authn.TOTP, State: authn.Pending, ExpiresAt: later}
		w.must(w.write(p.keys(), authn.NewFactor{Factor: next}))
		w.must(w.write(p.keys(), authn.ConfirmAgain{ID: next.ID, Round: 3, At: w.now}))
		if f := w.view(p.keys()).Factor(next.ID); f.State != authn.Pending || f.Round != 0 {
			t.Errorf("a pending one counts: %+v", f)
		}
		w.must(w.write(p.keys(), authn.ActivateFactor{ID: next.ID, At: w.now, Round: 3}))
		if f := w.view(p.keys()).Factor(next.ID); f.Round != 3 {
			t.Errorf("%+v", f)
		}
	})
	t.Run("cve-50 only a confirmation makes a pending factor count", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		f := p.begin(authn.TOTP, "s")
		for _, state := range []authn.FactorState{authn.Confirmed, authn.Asleep} {
			f.State = state
			w.want(w.write(p.keys(), authn.PutFactor{Factor: f}), authn.Conflict)
		}
		f.State, f.Name = authn.Pending, "renamed"
		w.must(w.write(p.keys(), authn.PutFactor{Factor: f}))
	})
	t.Run("A6 a factor is deleted with its secret, once", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		w.must(w.write(p.keys(), authn.DeleteFactor{ID: p.app}))
		w.want(w.write(p.keys(), authn.DeleteFactor{ID: p.app}), authn.Conflict)
		if n := w.count("SELECT count(*) FROM factors"); n != 1 {
			t.Errorf("%d left", n)
		}
	})
	t.Run("J1 a new password ends what was counted against the old one", testSetPassword(open))
	t.Run("std-8 a hash is renewed only over the one it was made from", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		w.must(w.write(p.keys(), authn.Rehash{Old: []byte("other"), New: []byte("x")}))
		w.must(w.write(p.keys(), authn.Rehash{Old: []byte(p.hash), New: []byte("better")}))
		w.must(w.write(p.keys(), authn.Rehash{Old: []byte(p.hash), New: []byte("y")}))
		k := p.keys()
		k.Charge = authn.GuessPassword
		if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); string(c.Secret) != "better" || c.Factor.ID != p.password {
			t.Errorf("%q", c.Secret)
		}
	})
	t.Run("rul-1 the secret is shown again only while pending, to whom it is for", testPendingSecret(open))
}

func testSetPassword(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		k := authn.Keys{Company: p.company, Login: "maya", Charge: authn.GuessPassword}
		c, err := w.guess(k, authn.Wrong, w.now.Add(time.Hour), 0)
		w.want(err, authn.WrongCode)
		if c.Count.Tries != 1 {
			t.Errorf("%+v", c)
		}
		u := *w.view(p.keys()).User
		u.WrongInRow, u.WrongInMonth, u.MonthStart, u.PasswordKnownAt = 3, 4, w.now, w.now
		w.must(w.write(p.keys(), authn.PutUser{User: u}))
		w.must(w.write(p.keys(), authn.SetPassword{ID: w.id(authn.FactorID), Hash: []byte("new"), At: w.now}))
		c, _ = w.guess(k, authn.Wrong, time.Time{}, 0)
		if !c.Paid || c.Count.Tries != 1 || string(c.Secret) != "new" || c.Factor.ID != p.password {
			t.Errorf("%+v", c)
		}
		u = *w.view(p.keys()).User
		if u.WrongInRow != 0 || u.WrongInMonth != 0 || !u.PasswordKnownAt.IsZero() || !u.PasswordChangedAt.Equal(w.now) {
			t.Errorf("%+v", u)
		}
		if n := w.count("SELECT count(*) FROM factors WHERE kind = 'password'"); n != 1 {
			t.Errorf("%d passwords", n)
		}
	}
}

func testPendingSecret(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		f := p.begin(authn.TOTP, "new seed")
		_, session := p.newSession()
		_, others := q.newSession()
		a, token := p.newAttempt("")
		ask := func(k authn.Keys) (string, error) {
			k.Company, k.Now = p.company, w.now
			if k.Factor == "" {
				k.Factor = f.ID
			}
			secret, err := w.Store.PendingSecret(w.ctx, k)
			return string(secret), err
		}
		for _, k := range []authn.Keys{{User: p.id}, {SessionToken: session}} {
			got, err := ask(k)
			w.must(err)
			if got != "new seed" {
				t.Errorf("%q", got)
			}
		}
		for name, k := range map[string]authn.Keys{
			"another person": {User: q.id}, "another's session": {SessionToken: others}, "nobody": {},
			"active": {User: p.id, Factor: p.app}, "password": {User: p.id, Factor: p.password}, "attempt that did not create it": {AttemptToken: token},
		} {
			if got, err := ask(k); err == nil || got != "" {
				t.Errorf("%s: %q", name, got)
			}
		}
		w.exec("UPDATE factors SET attempt = $1 WHERE id = $2", a.ID, f.ID)
		if got, err := ask(authn.Keys{AttemptToken: token}); err != nil || got != "new seed" {
			t.Errorf("the attempt that created it: %q %v", got, err)
		}
		w.now = f.ExpiresAt
		_, err := ask(authn.Keys{User: p.id})
		w.want(err, authn.NotFound)
	}
}
