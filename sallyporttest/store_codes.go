package sallyporttest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// newCodes gives a person ten backup codes, which the sign-in att_1 may see again.
func (p *person) newCodes() string {
	p.w.t.Helper()
	f, writes := p.codeSet()
	p.w.must(p.w.write(p.keys(), writes...))
	return f
}

func (p *person) codeSet() (string, []authn.Write) {
	f := authn.Factor{ID: p.w.id(authn.FactorID), Kind: authn.BackupCode, State: authn.Confirmed, Epoch: 1, Attempt: "att_1",
		CreatedAt: p.w.now, ConfirmAt: p.w.now, Left: 10}
	var codes []authn.SavedCode
	for n := range 10 {
		codes = append(codes, authn.SavedCode{N: n + 1, Prefix: fmt.Sprintf("%cA", 'A'+n), Hash: fmt.Appendf(nil, "canary-hash-%d-%s", n+1, p.login)})
	}
	return f.ID, []authn.Write{authn.NewFactor{Factor: f, Secret: []byte("canary-shown-" + p.login)}, authn.NewCodes{Factor: f.ID, Codes: codes}}
}

func (p *person) codeKeys(factor string) authn.Keys {
	k := p.keys()
	k.Factor, k.Charge = factor, authn.GuessFactor
	return k
}

// use spends code n in one decision, as a method that is quick would.
func (p *person) use(on *store.Store, factor string, n int) error {
	return on.Decide(p.w.ctx, p.codeKeys(factor), func(r *authn.Rows) authn.Verdict {
		if !r.Charged.Paid {
			return authn.Drop(authn.Paused)
		}
		for _, c := range r.Charged.Codes {
			if c.N == n && c.UsedAt.IsZero() {
				return authn.Accept(event("backup_code.used", p.id), authn.Settle{Outcome: authn.Right}, authn.SpendCode{Factor: factor, N: n})
			}
		}
		return authn.Refuse(authn.CodeUsed, event("factor.refused", p.id), authn.Settle{Outcome: authn.Void})
	})
}

// left is how many codes the factor says are left, and how many are.
func (p *person) left(factor string) (says, are int) {
	p.w.t.Helper()
	return p.w.view(p.keys()).Factor(factor).Left, p.w.count("SELECT count(*) FROM saved_codes WHERE factor = $1 AND used_at = 0", factor)
}

func runSavedCodes(t *testing.T, open opener) {
	t.Run("std-16 backup codes come back for a guess that was paid for, and nothing else", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		f := p.newCodes()
		c, err := w.guess(p.codeKeys(f), authn.Wrong, time.Time{}, 0)
		w.want(err, authn.WrongCode)
		if len(c.Codes) != 10 || c.Secret != nil || c.Factor.Left != 10 {
			t.Fatalf("%+v", c)
		}
		for i, code := range c.Codes {
			if code.N != i+1 || code.Prefix != fmt.Sprintf("%cA", 'A'+i) || string(code.Hash) != fmt.Sprintf("canary-hash-%d-maya", i+1) || !code.UsedAt.IsZero() {
				t.Errorf("%+v", code)
			}
		}
		_, err = w.guess(p.codeKeys(f), authn.Wrong, w.now.Add(time.Minute), 0)
		w.want(err, authn.WrongCode)
		if c, _ := w.guess(p.codeKeys(f), authn.Wrong, time.Time{}, 0); c.Paid || c.Codes != nil {
			t.Errorf("unpaid: %+v", c)
		}
		k := p.codeKeys(f)
		k.Charge = authn.SettleFactor
		w.must(w.decide(k, func(r *authn.Rows) authn.Verdict {
			if r.Charged.Codes != nil {
				t.Error("settling shows the codes")
			}
			return authn.Continue()
		}))
	})
	t.Run("std-61 a code's hash opens in its own place only", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		sealed := func(factor string, n int) (b []byte) {
			w.must(w.SQL.QueryRow("SELECT sealed FROM saved_codes WHERE factor = $1 AND n = $2", factor, n).Scan(&b))
			return b
		}
		before := sealed(p.newCodes(), 1)
		f, g := p.newCodes(), q.newCodes()
		own := sealed(f, 1)
		flipped := append([]byte(nil), own...)
		flipped[len(flipped)-1] ^= 1
		var shown []byte
		w.must(w.SQL.QueryRow("SELECT sealed FROM factors WHERE id = $1", f).Scan(&shown))
		for name, b := range map[string][]byte{"of another number": sealed(f, 2), "of another person": sealed(g, 1), "of the set before": before,
			"what is shown": shown, "a flipped bit": flipped, "nothing": {}} {
			w.exec("UPDATE saved_codes SET sealed = $1 WHERE factor = $2 AND n = 1", b, f)
			err := w.decide(p.codeKeys(f), func(*authn.Rows) authn.Verdict { t.Errorf("%s: decided", name); return authn.Continue() })
			w.want(err, authn.Internal)
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.exec("UPDATE saved_codes SET sealed = $1 WHERE factor = $2 AND n = 1", own, f)
		if c, _ := w.guess(p.codeKeys(f), authn.Wrong, time.Time{}, 0); len(c.Codes) != 10 {
			t.Error("not mended")
		}
	})
	t.Run("cve-26 inv-A of 100 who use one code one succeeds", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		f := p.newCodes()
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		nodes := []*store.Store{w.Store, again}
		var won atomic.Int64
		together(100, func(i int) {
			if err := p.use(nodes[i%2], f, 3); err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.CodeUsed) {
				t.Errorf("%v", err)
			}
		})
		says, are := p.left(f)
		if won.Load() != 1 || says != 9 || are != 9 || w.count("SELECT count(*) FROM events WHERE type = 'backup_code.used'") != 1 ||
			w.count("SELECT tries_s FROM factors WHERE id = $1", f) != 0 {
			t.Errorf("%d won, %d and %d are left", won.Load(), says, are)
		}
	})
	t.Run("cve-26 the mark decides between two who looked at the same time", func(t *testing.T) {
		// As a slow method does: looked, compared outside, and settled later.
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		f := p.newCodes()
		k := p.codeKeys(f)
		k.Charge = authn.SettleFactor
		var won atomic.Int64
		together(40, func(int) {
			err := w.decide(k, func(*authn.Rows) authn.Verdict {
				return authn.Accept(event("backup_code.used", p.id), authn.Settle{Outcome: authn.Right}, authn.SpendCode{Factor: f, N: 1})
			})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.Conflict) {
				t.Errorf("%v", err)
			}
		})
		if says, are := p.left(f); won.Load() != 1 || says != 9 || are != 9 {
			t.Errorf("%d won, %d and %d are left", won.Load(), says, are)
		}
	})
	t.Run("what is left is what is not used", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		f, g := p.newCodes(), q.newCodes()
		for n := range 4 {
			w.now = w.now.Add(time.Second)
			w.must(p.use(w.Store, f, n+1))
			if says, are := p.left(f); says != 9-n || are != 9-n {
				t.Errorf("%d and %d are left", says, are)
			}
		}
		for name, s := range map[string]authn.SpendCode{"used": {Factor: f, N: 1}, "none of that number": {Factor: f, N: 11},
			"cve-57 another person's": {Factor: g, N: 1}, "none": {}} {
			if err := w.write(p.keys(), authn.SpendCode{Factor: f, N: 9}, s); !errors.Is(err, authn.Conflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if says, are := p.left(f); says != 6 || are != 6 {
			t.Errorf("half a verdict was written: %d and %d are left", says, are)
		}
		if says, are := q.left(g); says != 10 || are != 10 {
			t.Errorf("another person's: %d and %d are left", says, are)
		}
		c, _ := w.guess(p.codeKeys(f), authn.Wrong, time.Time{}, 0)
		if got := c.Codes[3].UsedAt; !got.Equal(w.now) {
			t.Errorf("used at %v", got)
		}
	})
	t.Run("a new set takes the place of the old one, which is dead", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		old, others := p.newCodes(), q.newCodes()
		w.must(p.use(w.Store, old, 1))
		set := *w.view(p.keys()).Factor(old)
		set.State = authn.Asleep // also one that somebody put to sleep
		for range 2 {
			f := p.newCodes()
			rows := w.view(p.keys())
			if rows.Factor(old) != nil || rows.Factor(f) == nil || len(rows.Factors) != 3 {
				t.Fatalf("%+v", rows.Factors)
			}
			if n := w.count("SELECT count(*) FROM saved_codes WHERE user_id = $1 AND factor <> $2", p.id, f); n != 0 {
				t.Errorf("%d codes of the old set are left", n)
			}
			if c, _ := w.guess(p.codeKeys(old), authn.Right, time.Time{}, 0); c.Paid {
				t.Error("the old set is evaluated")
			}
			set = *rows.Factor(f)
			set.State = authn.Asleep
			w.must(w.write(p.keys(), authn.PutFactor{Factor: set}))
			old = f
		}
		if says, are := q.left(others); says != 10 || are != 10 {
			t.Errorf("another person's: %d and %d", says, are)
		}
		w.must(w.write(p.keys(), authn.DeleteFactor{ID: old}))
		if n := w.count("SELECT count(*) FROM saved_codes WHERE user_id = $1", p.id); n != 0 {
			t.Errorf("%d codes outlive their factor", n)
		}
	})
	t.Run("what no set of codes is", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		f, others := p.newCodes(), q.newCodes()
		one := func(n int) []authn.SavedCode { return []authn.SavedCode{{N: n, Prefix: "ZZ", Hash: []byte("x")}} }
		for name, c := range map[string]struct {
			write authn.NewCodes
			want  error
		}{
			"no codes": {authn.NewCodes{Factor: f}, authn.Internal}, "no factor": {authn.NewCodes{Codes: one(11)}, authn.Internal},
			"too many": {authn.NewCodes{Factor: f, Codes: make([]authn.SavedCode, 51)}, authn.Internal},
			"no hash":  {authn.NewCodes{Factor: f, Codes: []authn.SavedCode{{N: 11}}}, authn.Internal},
			"again":    {authn.NewCodes{Factor: f, Codes: one(10)}, authn.Conflict},
		} {
			if err := w.write(p.keys(), c.write); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.write(p.keys(), authn.NewCodes{Factor: others, Codes: one(11)}); err == nil {
			t.Error("cve-57 codes are added to another person's")
		}
		if n := w.count("SELECT count(*) FROM saved_codes"); n != 20 {
			t.Errorf("%d codes", n)
		}
	})
	t.Run("rul-43 they are shown again to the same sign-in, until saved, for ten minutes", testShownCodes(open))
	t.Run("decision 2 the app and the backup codes are counted apart", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		f := p.newCodes()
		for range authn.ShareStranger {
			p.guessApp(authn.Wrong)
		}
		if c := p.guessApp(authn.Wrong); c.Paid || !c.Locked {
			t.Fatalf("the app: %+v", c)
		}
		c, _ := w.guess(p.codeKeys(f), authn.Wrong, w.now.Add(time.Hour), 0)
		if !c.Paid || c.Count.Tries != 1 {
			t.Errorf("wrong app codes close the way out: %+v", c)
		}
		q := w.newPerson(w.company, "omar")
		_, err := w.guess(q.codeKeys(q.newCodes()), authn.Wrong, w.now.Add(time.Hour), 0)
		w.want(err, authn.WrongCode)
		if c := q.guessApp(authn.Wrong); !c.Paid || c.Count.Tries != 1 {
			t.Errorf("wrong backup codes pause the app: %+v", c)
		}
	})
	t.Run("inv-G the database shows no backup code", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		w.must(p.use(w.Store, p.newCodes(), 1))
		p.newBypass("canary-bypass", time.Hour)
		if all := w.dump() + w.Log.String(); strings.Contains(all, "canary") {
			t.Error("a code can be read")
		}
	})
	t.Run("rul-18 bypass codes", testBypass(open))
	t.Run("rul-2 what stands in for a way of one's own", testFallback(open))
	t.Run("rul-2 when a person had a way of their own is kept", testHadFactor(open))
}

func testShownCodes(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		f := p.newCodes()
		_, session := p.newSession() // of att_1
		se2, later := p.newSession()
		w.exec("UPDATE sessions SET attempt = 'att_2' WHERE id = $1", se2.ID)
		_, others := q.newSession() // of att_1 too, and somebody else's
		_, attempt := p.newAttempt("cookie")
		ask := func(k authn.Keys) (string, error) {
			k.Company = w.company.ID
			if k.Now.IsZero() {
				k.Now = w.now
			}
			if k.Factor == "" {
				k.Factor = f
			}
			shown, err := w.Store.ShownCodes(w.ctx, k)
			return string(shown), err
		}
		good := authn.Keys{SessionToken: session}
		for range 2 { // Reload works
			if got, err := ask(good); err != nil || got != "canary-shown-maya" {
				t.Fatalf("%q %v", got, err)
			}
		}
		for name, k := range map[string]authn.Keys{
			"another sign-in's session": {SessionToken: later}, "another person's session": {SessionToken: others}, "a name": {User: p.id},
			"another attempt": {AttemptToken: attempt}, "nobody": {}, "another kind": {SessionToken: session, Factor: p.app},
			"no factor": {SessionToken: session, Factor: "fac_0"}, "ten minutes later": {SessionToken: session, Now: w.now.Add(store.KeepShown)},
			"a session that is over": {SessionToken: session, Now: w.now.Add(25 * time.Hour)},
		} {
			if got, err := ask(k); !errors.Is(err, authn.NotFound) || got != "" {
				t.Errorf("%s: %q %v", name, got, err)
			}
		}
		if _, err := ask(authn.Keys{SessionToken: session, Now: w.now.Add(store.KeepShown - time.Microsecond)}); err != nil {
			t.Errorf("within the ten minutes: %v", err)
		}
		// The attempt in which they were made, until the account changes.
		w.exec("UPDATE factors SET attempt = $1 WHERE id = $2", attempt.ID, f)
		if got, err := ask(authn.Keys{AttemptToken: attempt}); err != nil || got != "canary-shown-maya" {
			t.Errorf("the attempt: %q %v", got, err)
		}
		u := *w.view(p.keys()).User
		u.Epoch++
		w.must(w.write(p.keys(), authn.PutUser{User: u}))
		if got, err := ask(authn.Keys{AttemptToken: attempt}); !errors.Is(err, authn.NotFound) {
			t.Errorf("rul-3 a stale attempt: %q %v", got, err)
		}
		w.exec("UPDATE factors SET attempt = 'att_1' WHERE id = $1", f)
		// Saved: gone, and they go on working.
		w.must(w.write(p.keys(), authn.DropSecret{ID: f}))
		if _, err := ask(good); !errors.Is(err, authn.NotFound) {
			t.Errorf("saved: %v", err)
		}
		w.must(p.use(w.Store, f, 2))
		// Sweeping forgets them as well.
		g := q.newCodes()
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{store.KeepShown - time.Second, 1}, {store.KeepShown, 0}} {
			w.must(w.Store.Sweep(w.ctx, w.now.Add(c.after)))
			if n := w.count("SELECT count(*) FROM factors WHERE kind = 'backup_code' AND length(sealed) > 0"); n != c.want {
				t.Errorf("after %v: %d sets can be shown", c.after, n)
			}
		}
		w.must(q.use(w.Store, g, 1))
		// It is for backup codes only.
		w.must(w.write(p.keys(), authn.DropSecret{ID: p.app}))
		if c := p.guessApp(authn.Right); string(c.Secret) != p.secret {
			t.Error("the app's secret is dropped")
		}
	}
}

func (p *person) newBypass(secret string, lives time.Duration) string {
	p.w.t.Helper()
	f := authn.Factor{ID: p.w.id(authn.FactorID), Kind: authn.BypassCode, State: authn.Confirmed, Epoch: 1, CreatedAt: p.w.now,
		ConfirmAt: p.w.now, ExpiresAt: p.w.now.Add(lives)}
	p.w.must(p.w.write(p.keys(), authn.NewFactor{Factor: f, Secret: []byte(secret)}))
	return f.ID
}

func testBypass(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		first, others := p.newBypass("one", time.Hour), q.newBypass("other", time.Hour)
		second := p.newBypass("two", time.Hour)
		rows := w.view(p.keys())
		if rows.Factor(first) != nil || rows.Factor(second) == nil || w.view(q.keys()).Factor(others) == nil {
			t.Errorf("one is outstanding: %+v", rows.Factors)
		}
		if !rows.User.HadFactorAt.Equal(w.now) || rows.Factor(p.app) == nil {
			t.Error("it touches the person's own ways")
		}
		if c, _ := w.guess(p.codeKeys(first), authn.Wrong, time.Time{}, 0); c.Paid {
			t.Error("the one before it works")
		}
		c, err := w.guess(p.codeKeys(second), authn.Wrong, time.Time{}, 0)
		w.want(err, authn.WrongCode)
		if string(c.Secret) != "two" || c.Count.Tries != 1 {
			t.Errorf("%+v", c)
		}
		// Of 40 given at once one is left.
		together(40, func(i int) { p.newBypass(fmt.Sprint(i), time.Hour) })
		f := w.view(p.keys()).FactorOf(authn.BypassCode, authn.Confirmed)
		if n := w.count("SELECT count(*) FROM factors WHERE kind = 'bypass_code' AND user_id = $1", p.id); n != 1 || f == nil {
			t.Fatalf("%d are outstanding", n)
		}
		// Used once, whoever is first.
		var won atomic.Int64
		together(40, func(int) {
			err := w.decide(p.codeKeys(f.ID), func(r *authn.Rows) authn.Verdict {
				if !r.Charged.Paid {
					return authn.Drop(authn.WrongCode)
				}
				return authn.Accept(event("bypass_code.used", p.id), authn.Settle{Outcome: authn.Right}, authn.DeleteFactor{ID: f.ID})
			})
			if err == nil {
				won.Add(1)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d used it", won.Load())
		}
		// An hour later it pays for nothing, though the row is still there.
		f2 := p.newBypass("three", time.Hour)
		for _, c := range []struct {
			after time.Duration
			paid  bool
		}{{time.Hour - time.Microsecond, true}, {time.Hour, false}, {2 * time.Hour, false}} {
			k := p.codeKeys(f2)
			k.Now = w.now.Add(c.after)
			if got, _ := w.guess(k, authn.Void, time.Time{}, 0); got.Paid != c.paid || got.Paid != (got.Secret != nil) || got.Factor == nil {
				t.Errorf("after %v: %+v", c.after, got)
			}
		}
		w.must(w.Store.Sweep(w.ctx, w.now.Add(2*time.Hour-time.Second)))
		if w.view(p.keys()).Factor(f2) == nil {
			t.Error("swept too early")
		}
		w.must(w.Store.Sweep(w.ctx, w.now.Add(2*time.Hour)))
		if rows := w.view(p.keys()); rows.Factor(f2) != nil || rows.Factor(p.app) == nil {
			t.Errorf("after sweeping: %+v", rows.Factors)
		}
	}
}

func testFallback(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
		f, others := p.newMailbox(), q.newMailbox()
		w.want(w.write(p.keys(), authn.NewFactor{Factor: authn.Factor{ID: w.id(authn.FactorID), Kind: authn.Email, State: authn.Fallback}}), authn.Conflict)
		sms := authn.Factor{ID: w.id(authn.FactorID), Kind: authn.SMS, State: authn.Fallback, CreatedAt: w.now}
		w.must(w.write(p.keys(), authn.NewFactor{Factor: sms})) // one of each kind
		if c, _ := w.guess(p.codeKeys(f), authn.Wrong, time.Time{}, 0); !c.Paid || c.Count.Tries != 1 {
			t.Errorf("%+v", c)
		}
		// It is no factor, and no renaming or waking makes it one.
		row := *w.view(p.keys()).Factor(f)
		for _, s := range []authn.FactorState{authn.Confirmed, authn.Asleep, authn.Pending} {
			row.State = s
			w.want(w.write(p.keys(), authn.PutFactor{Factor: row}), authn.Conflict)
		}
		w.want(w.write(p.keys(), authn.ActivateFactor{ID: f, At: w.now}), authn.Conflict)
		active := p.activate(authn.TOTP, "seed", 1)
		asleep := *w.view(p.keys()).Factor(active)
		asleep.State = authn.Fallback
		w.want(w.write(p.keys(), authn.PutFactor{Factor: asleep}), authn.Conflict)
		if rows := w.view(p.keys()); rows.Factor(f) != nil || rows.Factor(sms.ID) != nil || len(rows.Factors) != 2 {
			t.Errorf("it outlives the first way of one's own: %+v", rows.Factors)
		}
		if c, _ := w.guess(p.codeKeys(f), authn.Wrong, time.Time{}, 0); c.Paid {
			t.Error("it is still charged")
		}
		if w.view(q.keys()).Factor(others) == nil {
			t.Error("another person's is deleted")
		}
		// Backup and bypass codes are no way of one's own.
		q.newCodes()
		q.newBypass("x", time.Hour)
		if rows := w.view(q.keys()); rows.Factor(others) == nil || !rows.User.HadFactorAt.IsZero() {
			t.Errorf("%+v", rows.User)
		}
		// One that comes confirmed, as from an import, is.
		w.must(w.write(q.keys(), authn.NewFactor{Factor: authn.Factor{ID: w.id(authn.FactorID), Kind: authn.TOTP, State: authn.Confirmed}, Secret: []byte("s")}))
		if rows := w.view(q.keys()); rows.Factor(others) != nil || !rows.User.HadFactorAt.Equal(w.now) {
			t.Errorf("%+v", rows.User)
		}
	}
}

func testHadFactor(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		had := func() time.Time { return w.view(p.keys()).User.HadFactorAt }
		if !had().IsZero() {
			t.Fatal("before the first")
		}
		// Whatever the order, and though the user that is written was loaded before.
		first := w.now
		f := p.begin(authn.TOTP, "seed")
		w.must(w.decide(p.keys(), func(r *authn.Rows) authn.Verdict {
			u := *r.User
			u.Epoch++
			return authn.Accept(event("factor.confirmed", ""), authn.ActivateFactor{ID: f.ID, At: w.now}, authn.PutUser{User: u}, authn.PutUser{User: u})
		}))
		if !had().Equal(first) {
			t.Errorf("a user that was loaded before clears it: %v", had())
		}
		w.now = w.now.Add(time.Hour)
		f = p.begin(authn.TOTP, "seed")
		w.must(w.decide(p.keys(), func(r *authn.Rows) authn.Verdict {
			return authn.Accept(event("factor.replaced", ""), authn.PutUser{User: *r.User}, authn.ActivateFactor{ID: f.ID, At: w.now})
		}))
		w.must(w.write(p.keys(), authn.DeleteFactor{ID: f.ID}))
		if !had().Equal(first) {
			t.Errorf("set once: %v", had())
		}
		// Only who says so clears it: the operator's recovery.
		u := *w.view(p.keys()).User
		u.HadFactorAt = time.Time{}
		w.must(w.write(p.keys(), authn.PutUser{User: u}))
		if !had().IsZero() {
			t.Errorf("%v", had())
		}
	}
}
