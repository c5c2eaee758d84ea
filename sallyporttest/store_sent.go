package sallyporttest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// newMailbox makes the row that counts wrong e-mail codes of a person.
func (p *person) newMailbox() string {
	p.w.t.Helper()
	f := authn.Factor{ID: p.w.id(authn.FactorID), Kind: authn.Email, State: authn.Fallback, Epoch: 1, CreatedAt: p.w.now}
	p.w.must(p.w.write(p.keys(), authn.NewFactor{Factor: f}))
	return f.ID
}

// attemptIn is newAttempt in a lane.
func (p *person) attemptIn(lane authn.Lane) authn.Token {
	p.w.t.Helper()
	a := authn.Attempt{ID: p.w.id(authn.AttemptID), Purpose: authn.SignIn, State: authn.NeedFactor, Version: 1, Lane: lane, Epoch: 1,
		CreatedAt: p.w.now, ExpiresAt: p.w.now.Add(15 * time.Minute)}
	token := authn.NewToken(authn.AttemptToken, p.company, a.ID, rand.Reader)
	p.w.must(p.w.write(p.keys(), authn.NewAttempt{Attempt: a, Token: token}))
	return token
}

// challenge is a code that is about to be sent.
func (p *person) challenge(attempt, factor string) authn.Challenge {
	return authn.Challenge{Company: p.company, ID: p.w.id(authn.MessageID), User: p.id, Attempt: attempt, Factor: factor, Kind: authn.Email,
		Purpose: authn.CodeSignIn, Destination: p.login + "-canary@acme.example", Lane: authn.Stranger, Sends: 1, SentAt: p.w.now,
		CreatedAt: p.w.now, ExpiresAt: p.w.now.Add(2 * time.Minute)}
}

// seeds charges a guess of k.Factor and gives it back; nil if it was not paid for.
func (w *world) seeds(k authn.Keys) []authn.Challenge {
	w.t.Helper()
	k.Charge, k.Sent = authn.GuessFactor, true
	c, err := w.guess(k, authn.Void, time.Time{}, 0)
	if err != nil && !errors.Is(err, authn.WrongCode) && !errors.Is(err, authn.Paused) {
		w.t.Fatal(err)
	}
	return c.Challenges
}

// mailing is a person with a sign-in that waits for an e-mail code.
type mailing struct {
	*world
	p       *person
	mailbox string
	token   authn.Token
	out     authn.Challenge
}

func newMailing(t *testing.T, open opener) *mailing {
	t.Helper()
	w := newWorld(t, open)
	m := &mailing{world: w, p: w.newUser(w.company, "maya")}
	m.mailbox, m.token = m.p.newMailbox(), m.p.attemptIn(authn.Stranger)
	m.out = m.send(m.token)
	return m
}

func (m *mailing) keys() authn.Keys {
	return authn.Keys{Company: m.company.ID, AttemptToken: m.token, Factor: m.mailbox, Now: m.now}
}

func (m *mailing) send(token authn.Token) authn.Challenge {
	m.t.Helper()
	c := m.p.challenge(token.ID, m.mailbox)
	m.must(m.write(authn.Keys{Company: m.company.ID, AttemptToken: token, Now: m.now}, authn.NewChallenge{Challenge: c}))
	return c
}

// seed is that of the only code that is out.
func (m *mailing) seed() []byte {
	m.t.Helper()
	list := m.seeds(m.keys())
	if len(list) != 1 || len(list[0].Seed) != 32 {
		m.t.Fatalf("%d codes are out", len(list))
	}
	return list[0].Seed
}

func runSent(t *testing.T, open opener) {
	t.Run("std-18 a code comes back as it was made, with its seed", func(t *testing.T) {
		m := newMailing(t, open)
		list := m.seeds(m.keys())
		if len(list) != 1 {
			t.Fatalf("%d codes", len(list))
		}
		got := list[0]
		got.Seed = nil
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", m.out) {
			t.Errorf("got  %+v\nwant %+v", got, m.out)
		}
	})
	t.Run("rul-8 no seed without a charge", func(t *testing.T) {
		m := newMailing(t, open)
		k := m.keys()
		k.Sent = true
		rows := m.view(k)
		if len(rows.Challenges) != 1 || rows.Challenges[0].Seed != nil || rows.Challenges[0].Destination != m.out.Destination || rows.Charged != nil {
			t.Errorf("viewed: %+v", rows.Challenges)
		}
		check := func(what string, k authn.Keys) {
			t.Helper()
			m.must(m.decide(k, func(r *authn.Rows) authn.Verdict {
				if len(r.Challenges) != 1 || r.Challenges[0].Seed != nil {
					t.Errorf("%s: %+v", what, r.Challenges)
				}
				if r.Charged != nil && (r.Charged.Paid || r.Charged.Challenges != nil) {
					t.Errorf("%s: %+v", what, r.Charged)
				}
				return authn.Continue()
			}))
		}
		check("uncharged", k)
		k.Charge = authn.GuessFactor
		_, err := m.guess(k, authn.Wrong, m.now.Add(time.Minute), 0)
		m.want(err, authn.WrongCode)
		check("paused", k)
		k.Charge = authn.SettleFactor
		check("settled", k)
	})
	t.Run("rul-15 whoever moves a code in the database gets another, or none", func(t *testing.T) {
		for column, value := range map[string]func(*mailing) any{
			"purpose": func(*mailing) any { return string(authn.CodeStepUp) },
			"nonce":   func(*mailing) any { return make([]byte, 16) },
			"attempt": func(m *mailing) any {
				m.token = m.p.attemptIn(authn.Stranger)
				return m.token.ID
			},
			"factor": func(m *mailing) any {
				f := authn.Factor{ID: m.id(authn.FactorID), Kind: authn.Email, State: authn.Confirmed, Epoch: 1, CreatedAt: m.now}
				m.must(m.write(m.p.keys(), authn.NewFactor{Factor: f}))
				m.mailbox = f.ID
				return f.ID
			},
			"key_id": func(*mailing) any { return "key_of_another" },
			// What is sealed notices the rest.
			"id": func(m *mailing) any { return m.id(authn.MessageID) }, "kind": func(*mailing) any { return string(authn.SMS) },
			"user_id":     func(m *mailing) any { return m.newUser(m.company, "omar").id },
			"destination": func(*mailing) any { return []byte("omar@acme.example") },
		} {
			m := newMailing(t, open)
			before := m.seed()
			m.exec("UPDATE challenges SET "+column+" = $1", value(m))
			var got []authn.Challenge
			k := m.keys()
			k.Charge, k.Sent = authn.GuessFactor, true
			err := m.decide(k, func(r *authn.Rows) authn.Verdict { got = r.Charged.Challenges; return authn.Drop(authn.CodeUsed) })
			if errors.Is(err, authn.Internal) {
				continue
			}
			m.want(err, authn.CodeUsed)
			for _, c := range got {
				if bytes.Equal(c.Seed, before) {
					t.Errorf("%s: the code is the same", column)
				}
			}
		}
	})
	t.Run("std-51 a code is good for who asked, and for nobody else", func(t *testing.T) {
		m := newMailing(t, open)
		q := m.newUser(m.company, "omar")
		se, session := m.p.newSession()
		other := m.p.attemptIn(authn.Stranger)
		_, others := q.newSession()
		beta := m.newCompany("beta")
		r := m.newUser(beta, "maya")
		for name, k := range map[string]authn.Keys{
			"another attempt of the person": {AttemptToken: other},
			"a session of another sign-in":  {SessionToken: session},
			"the person's name alone":       {User: m.p.id},
			"another person":                {User: q.id},
			"another person's session":      {SessionToken: others},
			"another person's attempt":      {AttemptToken: q.attemptIn(authn.Stranger)},
			"another company's attempt":     {Company: beta.ID, AttemptToken: r.attemptIn(authn.Stranger)},
			"no attempt":                    {Attempt: m.token.ID},
		} {
			if k.Company == "" {
				k.Company = m.company.ID
			}
			k.Factor, k.Sent = m.mailbox, true
			if rows := m.view(k); len(rows.Challenges) != 0 {
				t.Errorf("%s: sees %+v", name, rows.Challenges)
			}
			if list := m.seeds(k); len(list) != 0 {
				t.Errorf("%s: is given %+v", name, list)
			}
		}
		// The session that came from the attempt is its heir.
		m.exec("UPDATE sessions SET attempt = $1 WHERE id = $2", m.token.ID, se.ID)
		if rows := m.view(authn.Keys{Company: m.company.ID, SessionToken: session, Sent: true}); len(rows.Challenges) != 1 {
			t.Errorf("the session of the sign-in: %+v", rows.Challenges)
		}
		// With the codes of another factor beside it, only its own are given.
		f := authn.Factor{ID: m.id(authn.FactorID), Kind: authn.SMS, State: authn.Confirmed, Epoch: 1, CreatedAt: m.now}
		m.must(m.write(m.p.keys(), authn.NewFactor{Factor: f}))
		k := m.keys()
		k.Factor = f.ID
		if list := m.seeds(k); len(list) != 0 {
			t.Errorf("another factor: %+v", list)
		}
	})
	t.Run("rul-15 a code is made for the attempt of the decision", func(t *testing.T) {
		m := newMailing(t, open)
		other := m.p.attemptIn(authn.Stranger)
		q := m.newUser(m.company, "omar")
		for name, change := range map[string]func(*authn.Challenge, *authn.Keys){
			"another attempt": func(c *authn.Challenge, _ *authn.Keys) { c.Attempt = other.ID },
			"another person":  func(c *authn.Challenge, _ *authn.Keys) { c.User = q.id },
			"another company": func(c *authn.Challenge, _ *authn.Keys) { c.Company = m.id(authn.CompanyID) },
			"no attempt": func(c *authn.Challenge, k *authn.Keys) {
				k.AttemptToken, k.User, c.Attempt = authn.Token{}, m.p.id, ""
			},
			"nowhere": func(c *authn.Challenge, _ *authn.Keys) { c.Destination = "" },
			"too far": func(c *authn.Challenge, _ *authn.Keys) { c.Destination = strings.Repeat("a", authn.MaxLogin+1) },
			"no id":   func(c *authn.Challenge, _ *authn.Keys) { c.ID = "" },
		} {
			c, k := m.p.challenge(m.token.ID, m.mailbox), m.keys()
			k.Factor = ""
			change(&c, &k)
			if err := m.write(k, authn.NewChallenge{Challenge: c}); !errors.Is(err, authn.Internal) {
				t.Errorf("%s: %v", name, err)
			}
		}
		m.want(m.write(m.keys(), authn.NewChallenge{Challenge: m.out}), authn.Conflict)
		// It counts for the lane of the decision, whatever it says itself.
		c := m.p.challenge(m.token.ID, m.mailbox)
		c.Lane = authn.Known
		m.must(m.write(m.keys(), authn.NewChallenge{Challenge: c}))
		if n := m.count("SELECT count(*) FROM challenges WHERE lane = 'known'"); n != 0 {
			t.Error("a stranger spends what belongs to the person's own browsers")
		}
	})
	t.Run("std-17 a code is good until it expires", func(t *testing.T) {
		m := newMailing(t, open)
		for after, want := range map[time.Duration]int{0: 1, 2*time.Minute - time.Microsecond: 1, 2 * time.Minute: 0, time.Hour: 0} {
			k := m.keys()
			k.Now = m.now.Add(after)
			k.Sent = true
			if n := len(m.view(k).Challenges); n != want {
				t.Errorf("after %v: %d", after, n)
			}
		}
		m.now = m.out.ExpiresAt
		m.want(m.write(m.keys(), authn.ConsumeChallenges{Factor: m.mailbox}), authn.Conflict)
	})
	t.Run("cve-73 a clock that is set back makes no code live longer", func(t *testing.T) {
		m := newMailing(t, open)
		m.exec("DELETE FROM challenges")
		c := m.p.challenge(m.token.ID, m.mailbox)
		c.CreatedAt, c.SentAt, c.ExpiresAt = m.now.Add(10*time.Minute), m.now.Add(10*time.Minute), m.now.Add(12*time.Minute)
		m.must(m.write(m.keys(), authn.NewChallenge{Challenge: c}))
		k := m.keys()
		k.Sent = true
		rows := m.view(k)
		if len(rows.Challenges) != 0 || len(m.seeds(k)) != 0 {
			t.Error("a code from the future is good already")
		}
		if rows.SentCodes != (authn.SentCodes{Hour: 1, Day: 1}) {
			t.Errorf("it does not count as sent: %+v", rows.SentCodes)
		}
	})
	t.Run("cve-25 inv-A of 100 who use one code one succeeds", func(t *testing.T) {
		m := newMailing(t, open)
		m.send(m.token) // the one before it is out too, and ends with it
		again, err := m.Again(t, m.Keyring)
		m.must(err)
		nodes := []*store.Store{m.Store, again}
		var won atomic.Int64
		together(100, func(i int) {
			k := m.keys()
			k.Charge, k.Sent = authn.GuessFactor, true
			err := nodes[i%2].Decide(m.ctx, k, func(r *authn.Rows) authn.Verdict {
				if !r.Charged.Paid {
					return authn.Drop(authn.Paused)
				}
				if len(r.Charged.Challenges) == 0 {
					return authn.Refuse(authn.CodeUsed, event("factor.refused", m.p.id), authn.Settle{Outcome: authn.Void})
				}
				return authn.Accept(event("factor.proved", m.p.id), authn.Settle{Outcome: authn.Right}, authn.ConsumeChallenges{Factor: m.mailbox})
			})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.CodeUsed) {
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 || m.count("SELECT count(*) FROM events WHERE type = 'factor.proved'") != 1 ||
			m.count("SELECT count(*) FROM challenges WHERE consumed") != 2 || m.count("SELECT tries_s FROM factors WHERE id = $1", m.mailbox) != 0 {
			t.Errorf("%d won", won.Load())
		}
	})
	t.Run("cve-25 a verdict that uses what is used is not written", func(t *testing.T) {
		m := newMailing(t, open)
		consume := authn.ConsumeChallenges{Factor: m.mailbox}
		m.want(m.write(m.keys(), consume, consume), authn.Conflict)
		if n := m.count("SELECT count(*) FROM challenges WHERE consumed"); n != 0 {
			t.Fatal("half a verdict was written")
		}
		other := m.keys()
		other.AttemptToken = m.p.attemptIn(authn.Stranger)
		m.want(m.write(other, consume), authn.Conflict)
		m.want(m.write(m.keys(), authn.ConsumeChallenges{Factor: m.id(authn.FactorID)}), authn.Conflict)
		m.must(m.write(m.keys(), consume))
		m.want(m.write(m.keys(), consume), authn.Conflict)
		m.want(m.write(m.keys(), authn.PutChallenge{Challenge: authn.Challenge{ID: m.out.ID, Sends: 2}}), authn.Conflict)
		if list := m.seeds(m.keys()); len(list) != 0 {
			t.Errorf("%+v", list)
		}
	})
	t.Run("std-19 decision 7 sending again sends the same and lengthens nothing", func(t *testing.T) {
		m := newMailing(t, open)
		k := m.keys()
		k.Charge, k.Sent = authn.GuessFactor, true
		for range 3 {
			_, err := m.guess(k, authn.Wrong, time.Time{}, 0)
			m.want(err, authn.WrongCode)
		}
		before := m.seed()
		m.now = m.now.Add(time.Minute)
		next := m.out
		next.Sends, next.SentAt, next.ExpiresAt, next.Purpose, next.Destination = 2, m.now, m.now.Add(time.Hour), authn.CodeEmail, "omar@acme.example"
		var won atomic.Int64
		together(50, func(int) {
			if err := m.write(m.keys(), authn.PutChallenge{Challenge: next}); err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.Conflict) {
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d sent it again", won.Load())
		}
		list := m.seeds(m.keys())
		if len(list) != 1 || !bytes.Equal(list[0].Seed, before) || list[0].Sends != 2 || !list[0].SentAt.Equal(m.now) ||
			!list[0].ExpiresAt.Equal(m.out.ExpiresAt) || list[0].Purpose != m.out.Purpose || list[0].Destination != m.out.Destination {
			t.Errorf("%+v", list)
		}
		m.send(m.token)
		if n := m.count("SELECT tries_s FROM factors WHERE id = $1", m.mailbox); n != 3 {
			t.Errorf("a new code leaves %d of 3 wrong ones", n)
		}
		if list := m.seeds(m.keys()); len(list) != 2 || bytes.Equal(list[0].Seed, list[1].Seed) {
			t.Errorf("%+v", list)
		}
	})
	t.Run("sends are counted by lane, hour and day", func(t *testing.T) {
		m := newMailing(t, open)
		m.exec("DELETE FROM challenges")
		known := m.p.attemptIn(authn.Known)
		q := m.newUser(m.company, "omar")
		for _, c := range []struct {
			token authn.Token
			p     *person
			ago   time.Duration
			sends int
		}{
			{m.token, m.p, 24*time.Hour + time.Second, 1}, {m.token, m.p, 23 * time.Hour, 2}, {m.token, m.p, time.Hour, 3},
			{m.token, m.p, 59 * time.Minute, 4}, {m.token, m.p, 0, 5}, {known, m.p, time.Minute, 1}, {q.attemptIn(authn.Stranger), q, 0, 7},
		} {
			ch := c.p.challenge(c.token.ID, m.mailbox)
			at := m.now.Add(-c.ago)
			ch.Sends, ch.SentAt, ch.CreatedAt, ch.ExpiresAt = c.sends, at, at, at.Add(2*time.Minute)
			m.must(m.write(authn.Keys{Company: m.company.ID, AttemptToken: c.token}, authn.NewChallenge{Challenge: ch}))
		}
		m.must(m.write(m.keys(), authn.ConsumeChallenges{Factor: m.mailbox})) // a used one was sent all the same
		for token, want := range map[string]authn.SentCodes{m.token.ID: {Hour: 9, Day: 14}, known.ID: {Hour: 1, Day: 1}} {
			k := authn.Keys{Company: m.company.ID, AttemptToken: m.token, Sent: true}
			if token == known.ID {
				k.AttemptToken = known
			}
			if got := m.view(k).SentCodes; got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	})
	t.Run("sweeping keeps what a day's limit counts", func(t *testing.T) {
		m := newMailing(t, open)
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{25*time.Hour - time.Second, 1}, {25 * time.Hour, 0}} {
			m.must(m.Store.Sweep(m.ctx, m.now.Add(c.after)))
			if n := m.count("SELECT count(*) FROM challenges"); n != c.want {
				t.Errorf("after %v: %d", c.after, n)
			}
		}
	})
	t.Run("inv-G neither code nor address nor seed can be read", func(t *testing.T) {
		m := newMailing(t, open)
		seed := m.seed()
		all := m.dump() + m.Log.String()
		for name, c := range map[string]string{"address": m.out.Destination, "seed": string(seed), "seed in hex": fmt.Sprintf("%x", seed)} {
			if strings.Contains(all, c) {
				t.Errorf("%s can be read", name)
			}
		}
	})
}
