package sallyporttest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

func runAttempts(t *testing.T, open opener) {
	t.Run("rul-47 its token or its browser opens an attempt, its id alone nothing", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		a, token := p.newAttempt("cookie")
		b, other := p.newAttempt("")
		forged := token
		forged.Secret = make([]byte, 32)
		for name, c := range map[string]struct {
			k    authn.Keys
			want *authn.Attempt
		}{
			"token":                         {authn.Keys{AttemptToken: token}, &a},
			"id and token":                  {authn.Keys{Attempt: a.ID, AttemptToken: token}, &a},
			"id and browser":                {authn.Keys{Attempt: a.ID, Browser: "cookie"}, &a},
			"id alone":                      {authn.Keys{Attempt: a.ID}, nil},
			"id, another browser":           {authn.Keys{Attempt: a.ID, Browser: "other"}, nil},
			"attempt without a browser":     {authn.Keys{Attempt: b.ID, Browser: "cookie"}, nil},
			"wrong secret":                  {authn.Keys{AttemptToken: forged, Browser: "cookie"}, nil},
			"another's token":               {authn.Keys{Attempt: a.ID, AttemptToken: other}, nil},
			"user of somebody else":         {authn.Keys{AttemptToken: token, User: "usr_x"}, nil},
			"login of nobody":               {authn.Keys{AttemptToken: token, Login: "nobody"}, nil},
			"session token in its place":    {authn.Keys{SessionToken: authn.Token{Kind: authn.AttemptToken, Company: a.Company, ID: a.ID, Secret: token.Secret}}, nil},
			"token without a secret":        {authn.Keys{AttemptToken: authn.Token{Kind: authn.AttemptToken, Company: a.Company, ID: a.ID}}, nil},
			"named user and the right ones": {authn.Keys{AttemptToken: token, User: p.id, Login: "maya"}, &a},
		} {
			c.k.Company = p.company
			got := w.view(c.k)
			if !reflect.DeepEqual(got.Attempt, c.want) {
				t.Errorf("%s:\ngot  %+v\nwant %+v", name, got.Attempt, c.want)
			}
			if (got.User != nil) != (c.want != nil || c.k.User == p.id) || len(got.Factors) > 0 != (got.User != nil) {
				t.Errorf("%s: user %v, %d factors", name, got.User != nil, len(got.Factors))
			}
		}
	})
	t.Run("rul-49 an attempt moves from one version to the next, once", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		a, token := p.newAttempt("")
		k := authn.Keys{Company: p.company, AttemptToken: token}
		next := a
		next.Version, next.State, next.Epoch, next.ReturnTo, next.Action = 2, authn.Ready, 2, "/elsewhere", "billing"
		next.ExpiresAt = a.ExpiresAt.Add(time.Hour)
		next.Proofs = append(next.Proofs, authn.Proof{Kind: authn.TOTP, Factor: p.app, Traits: authn.Traits{Possession: true}, At: w.now, Step: 9})
		w.must(w.write(k, authn.PutAttempt{Attempt: next}))
		if got := w.view(k).Attempt; !reflect.DeepEqual(*got, next) {
			t.Errorf("got  %+v\nwant %+v", *got, next)
		}
		events := w.count("SELECT count(*) FROM events")
		for _, version := range []int64{1, 2, 4} {
			next.Version = version
			w.want(w.write(k, authn.PutAttempt{Attempt: next}), authn.Conflict)
		}
		if n := w.count("SELECT count(*) FROM events"); n != events {
			t.Error("an event of what did not happen")
		}
		// What it was begun for, and whose budget it spends, stays.
		next.Version, next.Purpose, next.Lane, next.Session = 3, authn.StepUp, authn.Known, "ses_1"
		w.must(w.write(k, authn.PutAttempt{Attempt: next}))
		if got := w.view(k).Attempt; got.Purpose != authn.SignIn || got.Lane != authn.Stranger || got.Session != "" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("an attempt that was not loaded is not written", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		a, _ := p.newAttempt("")
		a.Version++
		w.want(w.write(p.keys(), authn.PutAttempt{Attempt: a}), authn.Internal)
		w.want(w.write(p.keys(), authn.NewAttempt{Attempt: a, Token: authn.NewToken(authn.SessionToken, p.company, a.ID, rand.Reader)}), authn.Internal)
		w.want(w.write(p.keys(), authn.NewAttempt{Attempt: a, Token: authn.NewToken(authn.AttemptToken, p.company, a.ID, rand.Reader)}), authn.Conflict)
	})
	t.Run("an attempt keeps the lane it began in", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		a, token := p.newAttempt("cookie")
		k := p.keys()
		k.Browser = "cookie"
		w.must(w.write(k, authn.KnowBrowser{}))
		if lane := w.view(k).Lane; lane != authn.Known {
			t.Errorf("the browser is %s", lane)
		}
		if lane := w.view(authn.Keys{Company: a.Company, AttemptToken: token, Browser: "cookie"}).Lane; lane != authn.Stranger {
			t.Errorf("the attempt is %s", lane)
		}
	})
	t.Run("a step-up loads its session, and is void without it", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		se, _ := p.newSession()
		a := authn.Attempt{Company: p.company, ID: w.id(authn.AttemptID), User: p.id, Purpose: authn.StepUp, Version: 1, Session: se.ID, ExpiresAt: w.now.Add(time.Hour)}
		token := authn.NewToken(authn.AttemptToken, p.company, a.ID, rand.Reader)
		w.must(w.write(p.keys(), authn.NewAttempt{Attempt: a, Token: token}))
		k := authn.Keys{Company: p.company, AttemptToken: token, Factor: p.app, Charge: authn.GuessFactor}
		if got := w.view(k); got.Session == nil || got.Session.ID != se.ID {
			t.Error("the session is not there")
		}
		c, _ := w.guess(k, authn.Void, time.Time{}, 0)
		second, other := p.newSession()
		mixed := k
		mixed.SessionToken = other
		if got := w.view(mixed); got.Session != nil || got.Attempt == nil {
			t.Errorf("a step-up works for the session %s that did not ask", second.ID)
		}
		if d, _ := w.guess(mixed, authn.Void, time.Time{}, 0); d.Paid {
			t.Error("and it pays")
		}
		w.must(w.write(p.keys(), authn.EndSession{ID: se.ID}))
		d, _ := w.guess(k, authn.Void, time.Time{}, 0)
		if !c.Paid || d.Paid {
			t.Errorf("paid %v with, %v without the session", c.Paid, d.Paid)
		}
	})
	t.Run("rul-3 ending attempts leaves the finished ones", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		_, open1 := p.newAttempt("")
		done, open2 := p.newAttempt("")
		_, others := q.newAttempt("")
		done.Version, done.State = 2, authn.Complete
		w.must(w.write(authn.Keys{Company: p.company, AttemptToken: open2}, authn.PutAttempt{Attempt: done}))
		w.must(w.write(p.keys(), authn.EndAttempts{}))
		for token, want := range map[string]bool{open1.ID: false, open2.ID: true, others.ID: true} {
			if n := w.count("SELECT count(*) FROM attempts WHERE id = $1", token); n == 1 != want {
				t.Errorf("%s: %d", token, n)
			}
		}
	})
	t.Run("ForgetBrowsers leaves the one of the decision", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		lane := func(p *person, browser string) authn.Lane {
			k := p.keys()
			k.Browser = browser
			return w.view(k).Lane
		}
		for _, p := range []*person{p, q} {
			for _, b := range []string{"one", "two"} {
				k := p.keys()
				k.Browser = b
				w.must(w.write(k, authn.KnowBrowser{}))
			}
		}
		k := p.keys()
		k.Browser = "one"
		w.must(w.write(k, authn.ForgetBrowsers{}))
		if lane(p, "one") != authn.Known || lane(p, "two") != authn.Stranger || lane(q, "two") != authn.Known {
			t.Error("all but one")
		}
		w.must(w.write(p.keys(), authn.ForgetBrowsers{}))
		if lane(p, "one") != authn.Stranger || lane(q, "one") != authn.Known {
			t.Error("all")
		}
	})
	t.Run("rul-10 fifty browsers are known, the newest", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		for i := range 55 {
			k := p.keys()
			k.Now, k.Browser = w.now.Add(time.Duration(i)*time.Second), fmt.Sprintf("b%d", i)
			w.must(w.write(k, authn.KnowBrowser{}))
			if i == 30 { // the first is used again
				k.Browser = "b0"
				w.must(w.write(k, authn.KnowBrowser{}))
			}
		}
		for i := range 55 {
			want := authn.Known
			if i > 0 && i < 6 {
				want = authn.Stranger
			}
			k := p.keys()
			k.Browser = fmt.Sprintf("b%d", i)
			if got := w.view(k).Lane; got != want {
				t.Errorf("browser %d is %s", i, got)
			}
		}
		if n := w.count("SELECT count(*) FROM devices"); n != 50 {
			t.Errorf("%d browsers", n)
		}
		q := w.newPerson(w.company, "omar")
		k := q.keys()
		k.Browser = "b54"
		if got := w.view(k).Lane; got != authn.Stranger {
			t.Error("a browser of one person is known for another")
		}
		w.must(w.write(q.keys(), authn.KnowBrowser{})) // without a cookie nothing happens
		if n := w.count("SELECT count(*) FROM devices"); n != 50 {
			t.Errorf("%d browsers", n)
		}
	})
}

func runSessions(t *testing.T, open opener) {
	t.Run("whoever holds a session's token is no stranger; naming it is not enough", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		se, token := p.newSession()
		for want, k := range map[authn.Lane]authn.Keys{authn.Known: {SessionToken: token}, authn.Stranger: {Session: se.ID, User: p.id}} {
			k.Company = p.company
			if got := w.view(k); got.Lane != want || got.Session == nil {
				t.Errorf("%+v is %s", k, got.Lane)
			}
		}
	})
	t.Run("every column of a session comes back", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		se, token := p.newSession()
		rows := w.view(authn.Keys{Company: p.company, SessionToken: token})
		if rows.Session == nil || !reflect.DeepEqual(*rows.Session, se) || rows.User == nil || rows.User.ID != p.id || len(rows.Factors) != 2 {
			t.Errorf("got  %+v\nwant %+v", rows.Session, se)
		}
		list, err := w.Store.Sessions(w.ctx, p.company, p.id)
		w.must(err)
		if len(list) != 1 || !reflect.DeepEqual(list[0], se) {
			t.Errorf("%+v", list)
		}
	})
	t.Run("a session opens to its token, or to its user's name", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		se, token := p.newSession()
		forged := token
		forged.Secret = append([]byte(nil), token.Secret...)
		forged.Secret[0] ^= 1
		for name, c := range map[string]struct {
			k  authn.Keys
			ok bool
		}{
			"token":                  {authn.Keys{SessionToken: token}, true},
			"id for its user":        {authn.Keys{Session: se.ID, User: p.id}, true},
			"id alone":               {authn.Keys{Session: se.ID}, false},
			"id for another":         {authn.Keys{Session: se.ID, User: q.id}, false},
			"id by a login":          {authn.Keys{Session: se.ID, Login: "maya"}, false},
			"wrong secret":           {authn.Keys{SessionToken: forged}, false},
			"token, another user":    {authn.Keys{SessionToken: token, User: q.id}, false},
			"attempt token's place":  {authn.Keys{AttemptToken: authn.Token{Kind: authn.SessionToken, Company: p.company, ID: se.ID, Secret: token.Secret}}, false},
			"as an attempt":          {authn.Keys{AttemptToken: authn.Token{Kind: authn.AttemptToken, Company: p.company, ID: se.ID, Secret: token.Secret}}, false},
			"token with another row": {authn.Keys{Session: "ses_other", SessionToken: token}, false},
		} {
			c.k.Company = p.company
			got := w.view(c.k)
			if (got.Session != nil) != c.ok {
				t.Errorf("%s: %+v", name, got.Session)
			}
			if !c.ok && c.k.User == "" && c.k.Login == "" && got.User != nil {
				t.Errorf("%s: gives the user away", name)
			}
		}
	})
	t.Run("the session that a sign-in was completed with comes by its attempt, to whoever opens that", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		a, token := p.newAttempt("browser of maya")
		other, _ := p.newAttempt("browser of maya")
		secret := w.view(authn.Keys{Company: p.company, Attempt: a.ID, Browser: "browser of maya"}).SessionSecret
		same := w.view(authn.Keys{Company: p.company, Attempt: a.ID, Browser: "browser of maya"}).SessionSecret
		another := w.view(authn.Keys{Company: p.company, Attempt: other.ID, Browser: "browser of maya"}).SessionSecret
		if len(secret) != 32 || !bytes.Equal(secret, same) || bytes.Equal(secret, another) {
			t.Fatalf("%x, %x and of the other %x", secret, same, another)
		}
		se, _ := p.newSession()
		se.ID, se.Attempt = w.id(authn.SessionID), a.ID
		w.must(w.write(p.keys(), authn.NewSession{Session: se, Token: authn.Token{Kind: authn.SessionToken, Company: p.company, ID: se.ID, Secret: secret}}))
		foreign, ft := p.newSession() // under a secret of its own
		foreign.ID, foreign.Attempt = w.id(authn.SessionID), other.ID
		ft.ID = foreign.ID
		w.must(w.write(p.keys(), authn.NewSession{Session: foreign, Token: ft}))
		for name, c := range map[string]struct {
			k  authn.Keys
			ok bool
		}{
			"by the browser":           {authn.Keys{Attempt: a.ID, Browser: "browser of maya", Became: true}, true},
			"by its token":             {authn.Keys{AttemptToken: token, Became: true}, false},
			"not asked for":            {authn.Keys{Attempt: a.ID, Browser: "browser of maya"}, false},
			"by another browser":       {authn.Keys{Attempt: a.ID, Browser: "browser of omar", Became: true}, false},
			"by the id alone":          {authn.Keys{Attempt: a.ID, Became: true}, false},
			"under another secret":     {authn.Keys{Attempt: other.ID, Browser: "browser of maya", Became: true}, false},
			"for somebody else's name": {authn.Keys{Attempt: a.ID, Browser: "browser of maya", User: q.id, Became: true}, false},
		} {
			c.k.Company = p.company
			got := w.view(c.k)
			if (got.Session != nil) != c.ok || c.ok && got.Session.ID != se.ID {
				t.Errorf("%s: %+v", name, got.Session)
			}
		}
	})
	t.Run("the generation changes with what a session is checked by, and with nothing else", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		se, _ := p.newSession()
		ended, _ := p.newSession()
		a, _ := p.newAttempt("browser of maya")
		app := p.activate(authn.TOTP, "secret", 1)
		rest := func() { // what may be due after a write is done before the next one is looked at
			w.must(w.Store.Sweep(w.ctx, w.now))
		}
		admin := authn.Keys{Company: p.company, By: authn.Actor{Operator: true}, Now: w.now}
		for _, c := range []struct {
			name string
			do   func() error
			want bool
		}{
			{"a name of the session", func() error {
				se.Name = "phone"
				k := p.keys()
				k.Session = se.ID
				return w.write(k, authn.PutSession{Session: se})
			}, true},
			{"a new session", func() error { p.newSession(); return nil }, true},
			{"the end of one", func() error { return w.write(p.keys(), authn.EndSession{ID: ended.ID}) }, true},
			{"the end of all", func() error { return w.write(p.keys(), authn.EndSessions{}) }, true},
			{"the person", func() error {
				u := *w.view(p.keys()).User
				u.Name = "Maya L"
				return w.write(p.keys(), authn.PutUser{User: u})
			}, true},
			{"a new way", func() error { p.begin(authn.SMS, "+46700000000"); return nil }, true},
			{"the end of a way", func() error { return w.write(p.keys(), authn.DeleteFactor{ID: app}) }, true},
			{"the policy", func() error {
				c := *w.view(p.keys()).Company
				return w.write(admin, authn.SetPolicy{Policy: []byte("{}"), Version: c.PolicyVersion + 1})
			}, true},
			{"the roles", func() error {
				c := *w.view(p.keys()).Company
				return w.write(admin, authn.SetRoles{Roles: c.Roles, Version: c.RolesVersion + 1})
			}, true},
			{"support of the company", func() error { return w.Store.SetSupport(w.ctx, p.company, "Ask Ana", event("company.support_set", "")) }, true},
			{"somebody else", func() error {
				u := *w.view(q.keys()).User
				u.Name = "Omar L"
				return w.write(q.keys(), authn.PutUser{User: u})
			}, false},
			{"an attempt", func() error {
				a.Version++
				k := p.keys()
				k.Attempt, k.Browser = a.ID, "browser of maya"
				return w.write(k, authn.PutAttempt{Attempt: a})
			}, false},
			{"an event", func() error {
				return w.decide(p.keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(event("session.renamed", p.id)) })
			}, false},
			{"nothing", func() error { return w.write(p.keys()) }, false},
			{"a refusal", func() error {
				w.want(w.decide(p.keys(), func(*authn.Rows) authn.Verdict { return authn.Drop(authn.Conflict) }), authn.Conflict)
				return nil
			}, false},
			{"sealing", func() error { w.seal(w.Store, p.company); return nil }, false},
			{"a mark", func() error { return w.Store.SetMark(w.ctx, "test", "1") }, false},
		} {
			rest()
			commits, was := w.Store.Commits(), w.Store.Generation(p.company, p.id)
			w.must(c.do())
			if got := w.Store.Generation(p.company, p.id) != was; got != c.want {
				t.Errorf("%s: changed %v, want %v", c.name, got, c.want)
			}
			if c.want && w.Store.Commits() == commits {
				t.Errorf("%s: no commit was counted", c.name)
			}
		}
	})
	t.Run("PutSession changes three columns and nothing else", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		se, token := p.newSession()
		k := authn.Keys{Company: p.company, SessionToken: token}
		want := se
		want.LastSeenAt, want.FactorTime, want.ConfirmedAt = w.now.Add(time.Minute), w.now.Add(2*time.Minute), w.now.Add(3*time.Minute)
		put := want
		put.ACR, put.AMR, put.ExpiresAt, put.Idle, put.Epoch = "aal9", nil, w.now.Add(999*time.Hour), 0, 99
		w.must(w.write(k, authn.PutSession{Session: put}))
		if got := w.view(k).Session; !reflect.DeepEqual(*got, want) {
			t.Errorf("got  %+v\nwant %+v", *got, want)
		}
		if got := w.count("SELECT ends_at FROM sessions"); int64(got) != want.LastSeenAt.Add(time.Hour).UnixMicro() {
			t.Errorf("ends at %d", got)
		}
		w.want(w.write(p.keys(), authn.PutSession{Session: put}), authn.Internal)
	})
	t.Run("inv-F what was ended is over at once, and only that", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		se, token := p.newSession()
		_, second := p.newSession()
		_, third := p.newSession()
		_, others := q.newSession()
		alive := func(token authn.Token) bool {
			return w.view(authn.Keys{Company: p.company, SessionToken: token}).Session != nil
		}
		w.want(w.write(q.keys(), authn.EndSession{ID: se.ID}), authn.Conflict)
		w.must(w.write(p.keys(), authn.EndSession{ID: se.ID}))
		if alive(token) || !alive(second) || !alive(third) {
			t.Error("one")
		}
		w.want(w.write(p.keys(), authn.EndSession{ID: se.ID}), authn.Conflict)
		w.must(w.write(p.keys(), authn.EndSessions{Except: second.ID}))
		if !alive(second) || alive(third) || !alive(others) {
			t.Error("all but one")
		}
		w.must(w.write(p.keys(), authn.EndSessions{}))
		if alive(second) || !alive(others) {
			t.Error("all")
		}
	})
	t.Run("what has ended is returned until it is swept, and pays for nothing", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		_, session := p.newSession()
		_, attempt := p.newAttempt("")
		later := w.now.Add(time.Hour) // the session is idle, the attempt expired
		for _, k := range []authn.Keys{{SessionToken: session}, {AttemptToken: attempt}} {
			k.Company, k.Now, k.Factor, k.Charge = p.company, later, p.app, authn.GuessFactor
			got := w.view(k)
			if got.Session == nil && got.Attempt == nil {
				t.Error("gone")
			}
			if c, err := w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid || err == nil {
				t.Error("it pays")
			}
			k.Now = later.Add(-50 * time.Minute)
			if c, _ := w.guess(k, authn.Void, time.Time{}, 0); !c.Paid {
				t.Error("it does not pay while it lasts")
			}
		}
		w.must(w.Store.Sweep(w.ctx, later.Add(59*time.Minute)))
		if n := w.count("SELECT count(*) FROM sessions"); n != 1 {
			t.Error("swept too early")
		}
		w.must(w.Store.Sweep(w.ctx, later.Add(time.Hour)))
		if n := w.count("SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM attempts)"); n != 0 {
			t.Error("not swept")
		}
	})
}
