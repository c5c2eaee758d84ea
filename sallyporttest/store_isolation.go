package sallyporttest

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

func runIsolation(t *testing.T, open opener) {
	t.Run("no field of the keys reaches into another company", testCompanies(open))
	t.Run("cve-34 cve-57 a token is worth nothing for another row, user or level", testTokens(open))
	t.Run("std-61 a sealed value opens in its own place only", testSealed(open))
	t.Run("rul-54 a company without its key is closed", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		w.exec("DELETE FROM company_keys")
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		k := p.keys()
		k.Factor, k.Charge = p.app, authn.GuessFactor
		w.want(again.Decide(w.ctx, k, func(*authn.Rows) authn.Verdict { t.Error("decided"); return authn.Continue() }), authn.Internal)
	})
}

func testCompanies(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		p := w.newPerson(w.company, "maya")
		q := w.newPerson(beta, "maya") // the same name in both
		a, token := p.newAttempt("cookie")
		se, session := p.newSession()
		k := p.keys()
		k.Browser = "cookie"
		w.must(w.write(k, authn.KnowBrowser{}))
		moved := func(t authn.Token) authn.Token { t.Company = beta.ID; return t }
		for name, k := range map[string]authn.Keys{
			"user":                 {User: p.id},
			"attempt by browser":   {Attempt: a.ID, Browser: "cookie"},
			"attempt by token":     {AttemptToken: token},
			"attempt, moved token": {AttemptToken: moved(token)},
			"session by user":      {Session: se.ID, User: p.id},
			"session of q":         {Session: se.ID, User: q.id},
			"session by token":     {SessionToken: session},
			"session, moved token": {SessionToken: moved(session)},
		} {
			k.Company, k.Factor, k.Charge = beta.ID, p.app, authn.GuessFactor
			got := w.view(k)
			if got.Company.ID != beta.ID || got.Attempt != nil || got.Session != nil || got.User != nil && got.User.ID != q.id || got.Factor(p.app) != nil {
				t.Errorf("%s: %+v", name, got)
			}
			if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid {
				t.Errorf("%s: charged", name)
			}
		}
		got := w.view(authn.Keys{Company: beta.ID, Login: "maya", Browser: "cookie"})
		if got.User.ID != q.id || got.Lane != authn.Stranger || got.Factor(q.app) == nil {
			t.Errorf("login: %+v", got)
		}
		// Counts are kept apart too.
		for _, c := range []string{w.company.ID, w.company.ID, beta.ID} {
			w.guess(authn.Keys{Company: c, Login: "maya", Charge: authn.GuessPassword}, authn.Wrong, time.Time{}, 0)
			w.guess(authn.Keys{Company: c, Login: "nobody", Charge: authn.GuessPassword}, authn.Wrong, time.Time{}, 0)
		}
		if n := w.count("SELECT count(*) FROM throttles"); n != 4 {
			t.Errorf("%d counts", n)
		}
		for _, company := range []authn.Company{w.company, beta} {
			users, err := w.Store.Users(w.ctx, company.ID, "", 0)
			w.must(err)
			if len(users) != 1 || users[0].Company != company.ID {
				t.Errorf("%+v", users)
			}
			events, err := w.Store.Events(w.ctx, company.ID, authn.EventQuery{Limit: 200})
			w.must(err)
			for _, ev := range events {
				if ev.Company != company.ID {
					t.Errorf("%+v", ev)
				}
			}
		}
		if list, err := w.Store.Sessions(w.ctx, beta.ID, p.id); err != nil || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
		if list, err := w.Store.Events(w.ctx, beta.ID, authn.EventQuery{Target: p.id}); err != nil || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
		_, err := w.Store.PendingSecret(w.ctx, authn.Keys{Company: beta.ID, User: p.id, Factor: p.app, Now: w.now})
		w.want(err, authn.NotFound)
	}
}

func testTokens(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		s1, t1 := p.newSession()
		s2, _ := q.newSession()
		a1, at1 := p.newAttempt("cookie")
		a2, _ := q.newAttempt("")
		session := func() *authn.Session {
			return w.view(authn.Keys{Company: p.company, SessionToken: t1}).Session
		}
		attempt := func() *authn.Attempt {
			return w.view(authn.Keys{Company: p.company, AttemptToken: at1}).Attempt
		}
		for _, c := range []struct {
			name, tamper, mend string
			args               []any
		}{
			{"a higher level", "UPDATE sessions SET acr = 'aal3' WHERE id = $1", "UPDATE sessions SET acr = 'aal2' WHERE id = $1", []any{s1.ID}},
			{"another user's row", "UPDATE sessions SET user_id = $2 WHERE id = $1", "", []any{s1.ID, q.id}},
		} {
			w.exec(c.tamper, c.args...)
			if session() != nil {
				t.Errorf("%s: the token still opens it", c.name)
			}
			if c.mend != "" {
				w.exec(c.mend, c.args...)
				if session() == nil {
					t.Fatal("not mended")
				}
			}
		}
		// The hash of one row, copied to another, opens nothing there.
		w.exec("UPDATE sessions SET token = (SELECT token FROM sessions WHERE id = $1) WHERE id = $2", s1.ID, s2.ID)
		copied := t1
		copied.ID = s2.ID
		if w.view(authn.Keys{Company: p.company, SessionToken: copied}).Session != nil {
			t.Error("a copied hash opens another session")
		}
		w.exec("UPDATE attempts SET token = (SELECT token FROM attempts WHERE id = $1), browser = (SELECT browser FROM attempts WHERE id = $1) WHERE id = $2", a1.ID, a2.ID)
		copied = at1
		copied.ID = a2.ID
		if w.view(authn.Keys{Company: p.company, AttemptToken: copied}).Attempt != nil || w.view(authn.Keys{Company: p.company, Attempt: a2.ID, Browser: "cookie"}).Attempt != nil {
			t.Error("a copied hash opens another attempt")
		}
		w.exec("UPDATE attempts SET purpose = 'step_up' WHERE id = $1", a1.ID)
		if attempt() != nil {
			t.Error("an attempt works for another purpose")
		}
		// A known browser's row, copied to another person.
		k := p.keys()
		k.Browser = "own"
		w.must(w.write(k, authn.KnowBrowser{}))
		w.exec("UPDATE devices SET user_id = $1", q.id)
		k.User = q.id
		if w.view(k).Lane != authn.Stranger {
			t.Error("cve-55: a copied row makes a browser known")
		}
	}
}

func testSealed(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		read := func(id string) []byte {
			var b []byte
			w.must(w.SQL.QueryRow("SELECT sealed FROM factors WHERE id = $1", id).Scan(&b))
			return b
		}
		own := read(p.app)
		flipped := append([]byte(nil), own...)
		flipped[len(flipped)-1] ^= 1
		k := p.keys()
		k.Factor, k.Charge = p.app, authn.GuessFactor
		for name, sealed := range map[string][]byte{"another's": read(q.app), "own password": read(p.password), "a flipped bit": flipped, "nothing": {}} {
			w.exec("UPDATE factors SET sealed = $1 WHERE id = $2", sealed, p.app)
			err := w.decide(k, func(*authn.Rows) authn.Verdict { t.Errorf("%s: decided", name); return authn.Continue() })
			w.want(err, authn.Internal)
			if strings.Contains(err.Error(), p.secret) || strings.Contains(err.Error(), hex.EncodeToString(sealed)) && len(sealed) > 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.exec("UPDATE factors SET sealed = $1 WHERE id = $2", own, p.app)
		if c := p.guessApp(authn.Right); string(c.Secret) != p.secret {
			t.Error("not mended")
		}
		// A kind in the clear cannot be changed under the secret either.
		w.exec("UPDATE factors SET kind = 'sms' WHERE id = $1", p.app)
		w.want(w.decide(k, func(*authn.Rows) authn.Verdict { return authn.Continue() }), authn.Internal)
	}
}

func runSecrets(t *testing.T, open opener) {
	t.Run("inv-G inv-H the database and the log give nothing away", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		p.begin(authn.SMS, "canary-pending-seed")
		_, session := p.newSession()
		_, attempt := p.newAttempt("canary-browser")
		k := p.keys()
		k.Browser = "canary-browser"
		w.must(w.write(k, authn.KnowBrowser{}))
		for _, login := range []string{"canary-unknown-login", "\x00canary-bad-login"} {
			w.guess(authn.Keys{Company: p.company, Login: login, Browser: "canary-browser", Charge: authn.GuessPassword}, authn.Wrong, w.now.Add(time.Hour), 0)
		}
		ev := event("x.done", p.id)
		ev.Personal = authn.Personal{Address: "203.0.113.77", Agent: "canary-agent", Detail: map[string]string{"d": "canary-detail"}}
		w.must(w.decide(p.keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }))
		ev.Target = "canary-target-is-open"
		w.must(w.decide(p.keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }))
		w.decide(p.keys(), func(*authn.Rows) authn.Verdict { panic("canary-panic") })
		w.write(p.keys(), authn.EndSession{ID: "canary"}, authn.Settle{})
		all := strings.ToLower(w.dump() + w.Log.String())
		canaries := map[string]string{
			"seed": p.secret, "pending seed": "canary-pending-seed", "password hash": p.hash, "session token": session.Reveal(),
			"session secret": string(session.Secret), "attempt secret": string(attempt.Secret), "attempt token": attempt.Reveal(),
			"browser": "canary-browser", "login guess": "canary-unknown-login", "bad login guess": "canary-bad-login",
			"address": "203.0.113.77", "agent": "canary-agent", "detail": "canary-detail", "panic": "canary-panic",
		}
		for name, c := range canaries {
			for _, form := range []string{c, hex.EncodeToString([]byte(c)), fmt.Sprint([]byte(c))} {
				if strings.Contains(all, strings.ToLower(form)) {
					t.Errorf("%s can be read", name)
				}
			}
		}
		if !strings.Contains(all, "canary-target-is-open") {
			t.Error("the dump does not see what is there")
		}
	})
	t.Run("std-80 the keyring of another installation is refused", func(t *testing.T) {
		w := newWorld(t, open)
		other := newKeyring(t)
		_, err := w.Again(t, other)
		if err == nil || !strings.Contains(err.Error(), "keyring") {
			t.Fatalf("got %v", err)
		}
		w.exec("DELETE FROM meta WHERE name = 'keyring'")
		if _, err := w.Again(t, w.Keyring); err == nil {
			t.Error("a database without its check value is opened")
		}
	})
}

// notTheirs are keys that open nothing, though they name what token opens for p: q is
// somebody of another company.
func (p *person) notTheirs(q *person, token authn.Token, keys func(company string, t authn.Token) authn.Keys) map[string]authn.Keys {
	p.w.t.Helper()
	forged, moved := token, token
	forged.Secret, moved.Company = make([]byte, 32), q.company
	of := keys(p.company, token)
	of.User = p.w.newUser(p.w.company, "nadia").id
	return map[string]authn.Keys{"another secret": keys(p.company, forged), "another company": keys(q.company, moved),
		"company and token differ": keys(q.company, token), "somebody else's": of}
}
