package sallyporttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

const keySecret = "canary public key"

// beginPasskey makes a pending factor.
func (p *person) beginPasskey() string {
	p.w.t.Helper()
	f := authn.Factor{ID: p.w.id(authn.FactorID), Kind: authn.WebAuthn, State: authn.Pending, Epoch: 1, CreatedAt: p.w.now, ExpiresAt: p.w.now.Add(30 * time.Minute)}
	p.w.must(p.w.write(p.keys(), authn.NewFactor{Factor: f}))
	return f.ID
}

func credential(factor, id string) authn.SetCredential {
	return authn.SetCredential{ID: factor, Made: authn.Made{ID: []byte(id), Secret: []byte(keySecret), Name: "key"}, Data: []byte(`{"id":"x"}`)}
}

// addPasskey gives a person an active credential.
func (p *person) addPasskey(id string) (factor string) {
	p.w.t.Helper()
	factor = p.beginPasskey()
	p.w.must(p.w.write(p.keys(), credential(factor, id), authn.ActivateFactor{ID: factor, At: p.w.now, Step: 3}))
	return factor
}

func (w *world) passkeys() int { return w.count("SELECT COUNT(*) FROM passkeys") }

// byCredential is who a credential leads to in a company.
func (w *world) byCredential(company, id string) *authn.User {
	return w.view(authn.Keys{Company: company, Credential: []byte(id)}).User
}

func runPasskeys(t *testing.T, open opener) {
	t.Run("std-74 an id is one person's on the whole server", testCredentials(open))
	t.Run("std-74 of 100 who set up one id at once one has it", func(t *testing.T) {
		w := newWorld(t, open)
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		nodes := []*store.Store{w.Store, again}
		people := make([]*person, 10)
		factors := make([]string, 10)
		for i := range people {
			people[i] = w.newUser(w.company, fmt.Sprintf("user%d", i))
			factors[i] = people[i].beginPasskey()
		}
		var won atomic.Int64
		together(100, func(i int) {
			p, f := people[i%10], factors[i%10]
			err := nodes[i%2].Decide(w.ctx, p.keys(), func(*authn.Rows) authn.Verdict {
				return authn.Accept(event("factor.confirmed", p.id), credential(f, "one id"), authn.ActivateFactor{ID: f, At: w.now})
			})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, authn.Conflict):
				t.Errorf("%v", err)
			}
		})
		if n := w.count("SELECT COUNT(*) FROM factors WHERE kind = 'webauthn' AND state = 'active'"); won.Load() != 1 || n != 1 || w.passkeys() != 1 {
			t.Errorf("%d have it, %d factors, %d rows", won.Load(), n, w.passkeys())
		}
	})
	t.Run("cve-50 a credential is set on a pending factor of its kind only", testSetCredential(open))
	t.Run("rul-43 a person has several, and each goes with its factor", testSeveral(open))
	t.Run("cve-57 a row that was moved leads to a key that does not open", testMovedPasskey(open))
	t.Run("std-72 the question of a whole sign-in is answered once, there and in time", testAsks(open))
	t.Run("std-72 of 100 answers to one question at once one is taken", func(t *testing.T) {
		w := newWorld(t, open)
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		nodes := []*store.Store{w.Store, again}
		w.newUser(w.company, "maya").addPasskey("id")
		asked := w.ask(w.company.ID, "cookie")
		var won atomic.Int64
		together(100, func(i int) {
			switch err := spend(nodes[i%2], w.answers(asked)); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, authn.Conflict) && !errors.Is(err, authn.Expired):
				t.Errorf("%v", err)
			}
		})
		if n := w.count("SELECT COUNT(*) FROM passkey_asks"); won.Load() != 1 || n != 0 {
			t.Errorf("%d were taken, %d rows left", won.Load(), n)
		}
	})
	t.Run("cve-70 questions that strangers ask have an end", testManyAsks(open))
	t.Run("std-72 a sign-in has one question at a time, used by its answer", testQuestions(open))
}

func testCredentials(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		p, q, z := w.newUser(w.company, "maya"), w.newUser(w.company, "tom"), w.newUser(beta, "zoe")
		p.addPasskey("id")
		for name, other := range map[string]*person{"the same person": p, "another person": q, "another company": z} {
			f := other.beginPasskey()
			err := w.write(other.keys(), credential(f, "id"), authn.ActivateFactor{ID: f, At: w.now})
			if !errors.Is(err, authn.Conflict) || authn.AsError(err).Key != "error.passkey_taken" {
				t.Errorf("%s: %v", name, err)
			}
			if n := w.count("SELECT COUNT(*) FROM factors WHERE id = $1 AND state = 'pending' AND length(sealed) > 0 AND name = ''", f); n != 1 {
				t.Errorf("%s: something of it was kept", name)
			}
		}
		if u := w.byCredential(p.company, "id"); u == nil || u.ID != p.id {
			t.Errorf("%+v", u)
		}
		for name, u := range map[string]*authn.User{
			"another company": w.byCredential(beta.ID, "id"), "another id": w.byCredential(p.company, "id2"), "a longer one": w.byCredential(p.company, "id\x00"),
			"one that is too long": w.byCredential(p.company, strings.Repeat("x", 1024)),
		} {
			if u != nil {
				t.Errorf("%s: %+v", name, u)
			}
		}
		// An id and somebody else's name or token: there is nobody.
		_, session := q.newSession()
		for name, k := range map[string]authn.Keys{"a session": {SessionToken: session}, "a person": {User: q.id}} {
			k.Company, k.Credential, k.Factor, k.Charge, k.Now = p.company, []byte("id"), p.addPasskey("id of "+name), authn.GuessFactor, w.now
			if c, err := w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid {
				t.Errorf("with %s: charged, %v", name, err)
			}
		}
		// std-9: what is stored says nothing of the id, and the key is sealed.
		dump := w.dump()
		for _, secret := range []string{keySecret, hex.EncodeToString([]byte(keySecret)), base64.StdEncoding.EncodeToString([]byte(keySecret))} {
			if strings.Contains(dump, secret) {
				t.Errorf("%s can be read", secret)
			}
		}
	}
}

func testSetCredential(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "tom")
		app := p.begin(authn.TOTP, "seed").ID
		active, theirs, mine := p.addPasskey("first"), q.beginPasskey(), p.beginPasskey()
		long := func(c authn.SetCredential) authn.SetCredential { c.Made.Secret = make([]byte, 70<<10); return c }
		for name, set := range map[string]authn.SetCredential{
			"active": credential(active, "second"), "another kind": credential(app, "second"), "another's": credential(theirs, "second"), "nobody's": credential("fac_0", "second"),
			"no id": credential(mine, ""), "a long id": credential(mine, strings.Repeat("x", 1024)), "a long key": long(credential(mine, "second")),
			"no key": {ID: mine, Made: authn.Made{ID: []byte("second")}, Data: []byte("{}")}, "no JSON": {ID: mine, Made: authn.Made{ID: []byte("second"), Secret: []byte("x")}, Data: []byte("{")},
		} {
			if err := w.write(p.keys(), set); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
		if n := w.passkeys(); n != 1 {
			t.Errorf("%d rows", n)
		}
		// Until it is active nothing is charged to it by its credential but its own set-up.
		w.must(w.write(p.keys(), credential(mine, strings.Repeat("x", 1023))))
		if f := w.view(p.keys()).Factor(mine); f == nil || f.State != authn.Pending {
			t.Errorf("%+v", f)
		}
		if err := w.write(p.keys(), credential(mine, "another")); !errors.Is(err, authn.Conflict) {
			t.Errorf("a second credential of one factor: %v", err)
		}
	}
}

func testSeveral(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		p, q, z := w.newUser(w.company, "maya"), w.newUser(w.company, "tom"), w.newUser(beta, "zoe")
		first, second := p.addPasskey("first"), p.addPasskey("second")
		q.addPasskey("theirs")
		z.addPasskey("far")
		if f := w.view(p.keys()).Factor(first); f == nil || f.State != authn.Confirmed || f.LastStep != 3 {
			t.Errorf("the first is %+v", f)
		}
		w.must(w.write(p.keys(), authn.DeleteFactor{ID: second}))
		if w.byCredential(p.company, "second") != nil || w.byCredential(p.company, "first") == nil || w.passkeys() != 3 {
			t.Errorf("after it was removed there are %d", w.passkeys())
		}
		// What was removed may be set up again.
		p.addPasskey("second")
		// A pending one that another takes the place of goes with what it has.
		pending := p.beginPasskey()
		w.must(w.write(p.keys(), credential(pending, "third")))
		p.beginPasskey()
		if w.byCredential(p.company, "third") != nil {
			t.Error("a set-up that was begun anew left its credential")
		}
		w.must(w.write(p.keys(), authn.EraseUser{By: "operator"}))
		if w.passkeys() != 2 || w.byCredential(q.company, "theirs") == nil {
			t.Errorf("after erasing a person there are %d", w.passkeys())
		}
	}
}

func testMovedPasskey(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "tom")
		mine, theirs := p.addPasskey("mine"), q.addPasskey("theirs")
		charge := func(id, factor string) (authn.Charged, error) {
			return w.guess(authn.Keys{Company: p.company, Credential: []byte(id), Factor: factor, Charge: authn.GuessFactor, Now: w.now}, authn.Void, time.Time{}, 0)
		}
		if c, _ := charge("mine", mine); !c.Paid || string(c.Secret) != keySecret {
			t.Fatalf("%+v", c)
		}
		w.exec("UPDATE factors SET sealed = (SELECT o.sealed FROM factors o WHERE o.id = $2) WHERE id = $1", mine, theirs)
		if c, err := charge("mine", mine); !errors.Is(err, authn.Internal) {
			t.Errorf("another's key in its place: %+v %v", c, err)
		}
		// Where a credential leads by a row that was changed, its person's own key is.
		w.exec("DELETE FROM passkeys WHERE factor = $1", mine)
		w.exec("UPDATE passkeys SET user_id = $1, factor = $2", p.id, mine)
		if c, err := charge("theirs", theirs); c.Paid {
			t.Errorf("the key of whom it was taken from: %+v %v", c, err)
		}
	}
}

// ask stores a question, and is its challenge.
func (w *world) ask(company, browser string) []byte {
	w.t.Helper()
	challenge := make([]byte, 32)
	rand.Read(challenge)
	k := authn.Keys{Company: company, Browser: browser, Now: w.now}
	a := authn.Ask{Challenge: challenge, Kept: []byte(`{"alone":"canary question"}`), CreatedAt: w.now, ExpiresAt: w.now.Add(authn.CeremonyLives)}
	w.must(w.decide(k, func(*authn.Rows) authn.Verdict { return authn.Continue(authn.NewAsk{Ask: a}) }))
	return challenge
}

func (w *world) answers(challenge []byte) authn.Keys {
	return authn.Keys{Company: w.company.ID, Browser: "cookie", Ask: challenge, Credential: []byte("id"), Now: w.now}
}

// spend is Expired if there is no such question.
func spend(s *store.Store, k authn.Keys) error {
	return s.Decide(context.Background(), k, func(rows *authn.Rows) authn.Verdict {
		if rows.Ask == nil {
			return authn.Drop(authn.Expired)
		}
		return authn.Continue(authn.SpendAsk{})
	})
}

func testAsks(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		w.newUser(w.company, "maya").addPasskey("id")
		asked := w.ask(w.company.ID, "cookie")
		far := w.ask(beta.ID, "cookie")
		of := func(change func(*authn.Keys)) authn.Keys { k := w.answers(asked); change(&k); return k }
		for name, k := range map[string]authn.Keys{
			"another browser":    of(func(k *authn.Keys) { k.Browser = "cookie2" }),
			"no browser":         of(func(k *authn.Keys) { k.Browser = "" }),
			"another company":    of(func(k *authn.Keys) { k.Company = beta.ID }),
			"another company's":  of(func(k *authn.Keys) { k.Ask = far }),
			"another question":   of(func(k *authn.Keys) { k.Ask = make([]byte, 32) }),
			"five minutes later": of(func(k *authn.Keys) { k.Now = w.now.Add(authn.CeremonyLives) }),
			// cve-73: it lives no longer because the clock was ahead.
			"a clock put back": of(func(k *authn.Keys) { k.Now = w.now.Add(-2 * time.Minute) }),
		} {
			if rows := w.view(k); rows.Ask != nil {
				t.Errorf("%s: found", name)
			}
			if err := spend(w.Store, k); !errors.Is(err, authn.Expired) {
				t.Errorf("%s: %v", name, err)
			}
			// What answers no question pays for nothing, so nothing is evaluated.
			k.Factor, k.Charge = "", authn.GuessFactor
			if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid {
				t.Errorf("%s: charged", name)
			}
		}
		in := of(func(k *authn.Keys) { k.Now = w.now.Add(authn.CeremonyLives - time.Microsecond) })
		if a := w.view(in).Ask; a == nil || !bytes.Equal(a.Challenge, asked) || !strings.Contains(string(a.Kept), "canary question") || !a.ExpiresAt.Equal(w.now.Add(authn.CeremonyLives)) {
			t.Fatalf("%+v", a)
		}
		// std-9: neither the question nor its challenge can be read, or put in another's place.
		dump := w.dump()
		for _, secret := range []string{"canary question", string(asked), hex.EncodeToString(asked), base64.RawURLEncoding.EncodeToString(asked)} {
			if strings.Contains(dump, secret) {
				t.Errorf("%q can be read", secret)
			}
		}
		other := w.ask(w.company.ID, "cookie")
		w.exec("UPDATE passkey_asks SET kept = (SELECT o.kept FROM passkey_asks o WHERE o.company = $1)", beta.ID)
		if err := spend(w.Store, w.answers(other)); !errors.Is(err, authn.Internal) {
			t.Errorf("what was changed: %v", err)
		}
		w.exec("DELETE FROM passkey_asks")
		asked = w.ask(w.company.ID, "cookie")
		w.must(spend(w.Store, w.answers(asked)))
		if err := spend(w.Store, w.answers(asked)); !errors.Is(err, authn.Expired) {
			t.Errorf("twice: %v", err)
		}
		err := w.decide(authn.Keys{Company: w.company.ID}, func(*authn.Rows) authn.Verdict {
			return authn.Continue(authn.NewAsk{Ask: authn.Ask{Challenge: make([]byte, 31), Kept: []byte("{}")}})
		})
		if err == nil {
			t.Error("a challenge of 31 bytes")
		}
		// It is swept once it is over, and no question of today with it.
		w.ask(w.company.ID, "cookie")
		w.now = w.now.Add(authn.CeremonyLives)
		w.ask(w.company.ID, "cookie")
		w.must(w.Store.Sweep(w.ctx, w.now))
		if n := w.count("SELECT COUNT(*) FROM passkey_asks"); n != 1 {
			t.Errorf("%d left", n)
		}
	}
}

// testQuestions is of the questions that a sign-in asks.
func testQuestions(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		f := p.addPasskey("id")
		token, other := p.attemptIn(authn.Stranger), p.attemptIn(authn.Stranger)
		ask := func(token authn.Token, kept string) {
			c := authn.Challenge{Company: p.company, ID: w.id(authn.MessageID), User: p.id, Attempt: token.ID, Kind: authn.WebAuthn, Purpose: authn.CodeSignIn,
				Lane: authn.Stranger, Detail: []byte(kept), CreatedAt: w.now, ExpiresAt: w.now.Add(authn.CeremonyLives)}
			w.must(w.write(authn.Keys{Company: p.company, AttemptToken: token, Now: w.now}, authn.NewChallenge{Challenge: c}))
		}
		for i := range 50 {
			ask(token, fmt.Sprintf(`{"challenge":"canary %d"}`, i))
		}
		ask(other, `{"challenge":"canary other"}`)
		if n := w.count("SELECT COUNT(*) FROM challenges"); n != 2 {
			t.Errorf("%d rows for two questions", n)
		}
		if strings.Contains(w.dump(), "canary other") {
			t.Error("the question can be read")
		}
		k := authn.Keys{Company: p.company, AttemptToken: token, Factor: f, Charge: authn.GuessFactor, Sent: true, Now: w.now}
		var open []authn.Challenge
		pay := func() error {
			return w.decide(k, func(r *authn.Rows) authn.Verdict {
				open = r.Charged.Challenges
				return authn.Continue(authn.ConsumeChallenges{}, authn.Settle{Outcome: authn.Wrong})
			})
		}
		w.must(pay())
		if len(open) != 1 || string(open[0].Detail) != `{"challenge":"canary 49"}` {
			t.Errorf("%+v", open)
		}
		if err := pay(); !errors.Is(err, authn.Conflict) || len(open) != 0 {
			t.Errorf("%+v %v", open, err)
		}
		ask(token, `{"challenge":"canary new"}`)
		k.Now = w.now.Add(authn.CeremonyLives)
		if err := pay(); !errors.Is(err, authn.Conflict) || len(open) != 0 {
			t.Errorf("too late: %+v %v", open, err)
		}
	}
}

// testManyAsks fills a company's questions beside the store, which would take long.
func testManyAsks(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		w.ask(w.company.ID, "cookie")
		const batch = 500
		for n := 0; n < authn.MaxAsks; n += batch {
			var rows []string
			args := []any{w.company.ID, []byte{1}, w.now.UnixMicro(), w.now.Add(authn.CeremonyLives).UnixMicro()}
			for i := range batch {
				args = append(args, binary.BigEndian.AppendUint32(nil, uint32(n+i)))
				rows = append(rows, fmt.Sprintf("($1, $%d, $2, $2, $3, $4)", len(args)))
			}
			w.exec("INSERT INTO passkey_asks (company, hash, browser, kept, created_at, expires_at) VALUES "+strings.Join(rows, ", "), args...)
		}
		ask := func(company string) error {
			challenge := make([]byte, 32)
			rand.Read(challenge)
			a := authn.Ask{Challenge: challenge, Kept: []byte("{}"), CreatedAt: w.now, ExpiresAt: w.now.Add(authn.CeremonyLives)}
			return w.decide(authn.Keys{Company: company}, func(*authn.Rows) authn.Verdict { return authn.Continue(authn.NewAsk{Ask: a}) })
		}
		if err := ask(w.company.ID); !errors.Is(err, authn.Busy) || authn.AsError(err).RetryAfter <= 0 {
			t.Errorf("one more: %v", err)
		}
		w.must(ask(beta.ID))
		w.now = w.now.Add(authn.CeremonyLives) // they are over, swept or not
		w.must(ask(w.company.ID))
		w.must(w.Store.Sweep(w.ctx, w.now))
		if n := w.count("SELECT COUNT(*) FROM passkey_asks"); n != 1 {
			t.Errorf("%d left", n)
		}
	}
}
