package sallyporttest

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// runOperator is about what only the operator's commands do.
func runOperator(t *testing.T, open opener) {
	t.Run("rul-16 the latest time seen only grows, until it is lowered", func(t *testing.T) {
		w := newWorld(t, open)
		for _, c := range []struct{ at, want time.Duration }{{0, 0}, {time.Minute, time.Minute}, {-time.Hour, time.Minute}, {2 * time.Minute, 2 * time.Minute}} {
			got, err := w.Store.RaiseClock(w.ctx, w.now.Add(c.at))
			w.must(err)
			if !got.Equal(w.now.Add(c.want)) {
				t.Errorf("%v: %v", c.at, got)
			}
		}
		w.must(w.Store.LowerClock(w.ctx, w.now, event("clock.lowered", "")))
		got, err := w.Store.Clock(w.ctx)
		w.must(err)
		if !got.Equal(w.now) || w.count("SELECT count(*) FROM events WHERE type = 'clock.lowered'") != 1 {
			t.Errorf("%v", got)
		}
	})
	t.Run("rul-16 a later step is lowered, with an event, and nothing else", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		maya, omar, zoe := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar"), w.newPerson(beta, "zoe")
		for p, step := range map[*person]int64{maya: 500, omar: 90, zoe: 500} {
			w.exec("UPDATE factors SET last_step = $1 WHERE id = $2", step, p.app)
		}
		limit := func([]byte) int64 { return 100 }
		n, err := w.Store.StepsAfter(w.ctx, authn.TOTP, limit)
		w.must(err)
		if n != 2 {
			t.Errorf("%d ahead", n)
		}
		n, err = w.Store.RepairClock(w.ctx, w.company.ID, authn.TOTP, limit, w.now, event("factor.step_lowered", ""))
		w.must(err)
		if n != 1 || w.count("SELECT count(*) FROM events WHERE type = 'factor.step_lowered' AND target = $1", maya.id) != 1 {
			t.Errorf("%d repaired", n)
		}
		for p, want := range map[*person]int{maya: 100, omar: 90, zoe: 500} {
			if got := w.count("SELECT last_step FROM factors WHERE id = $1", p.app); got != want {
				t.Errorf("%s: %d, want %d", p.login, got, want)
			}
		}
		if n, err := w.Store.RepairClock(w.ctx, w.company.ID, authn.TOTP, limit, w.now, event("factor.step_lowered", "")); err != nil || n != 0 {
			t.Errorf("again: %d %v", n, err)
		}
	})
	t.Run("the tail and the schema are told", func(t *testing.T) {
		w := newWorld(t, open)
		tail, err := w.Store.Unsealed(w.ctx)
		w.must(err)
		if tail.Events != 1 || !tail.Oldest.Equal(w.now) {
			t.Errorf("%+v", tail)
		}
		if _, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now, 0, link); err != nil {
			t.Fatal(err)
		}
		if tail, err = w.Store.Unsealed(w.ctx); err != nil || tail.Events != 0 || !tail.Oldest.IsZero() {
			t.Errorf("%+v %v", tail, err)
		}
		has, makes, err := w.Store.Schema(w.ctx)
		if err != nil || has == 0 || has != makes {
			t.Errorf("%d %d %v", has, makes, err)
		}
		settings, err := w.Store.Settings(w.ctx)
		if err != nil || len(settings) < 3 {
			t.Errorf("%v %v", settings, err)
		}
		if damage, _, err := w.Store.QuickCheck(w.ctx); err != nil || len(damage) > 0 {
			t.Errorf("%v %v", damage, err)
		}
		if _, _, err := w.Store.DatabaseTime(w.ctx); err != nil {
			t.Error(err)
		}
		w.must(w.Store.CheckKeyring(w.ctx))
		if keys, err := w.Store.WrappedKeys(w.ctx); err != nil || len(keys) != 1 {
			t.Errorf("%v %v", keys, err)
		}
		w.exec("INSERT INTO migrations (version, name, checksum) VALUES (9999, 'later', 'x')")
		_, _, err = w.Store.Schema(w.ctx)
		wantText(t, err, "newer release")
	})
	t.Run("K1 events are found by type, time and person", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		for i, typ := range []string{"factor.begun", "factor.refused", "session.ended", "factorial"} {
			ev := event(typ, p.id)
			if ev.At = w.now.Add(time.Duration(i) * time.Hour); i == 1 {
				ev.Target = ""
			}
			w.must(w.decide(p.keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }))
		}
		for _, c := range []struct {
			q    authn.EventQuery
			want int
		}{
			{authn.EventQuery{Type: "factor."}, 2}, {authn.EventQuery{Type: "factor.begun"}, 1}, {authn.EventQuery{Type: "factor"}, 0},
			{authn.EventQuery{Type: "factor.", Target: p.id}, 1}, {authn.EventQuery{Since: w.now.Add(time.Hour)}, 3},
			{authn.EventQuery{Until: w.now.Add(time.Hour), Target: p.id}, 2}, {authn.EventQuery{Since: w.now.Add(time.Minute), Until: w.now.Add(2 * time.Hour)}, 1},
			{authn.EventQuery{Type: "%"}, 0}, {authn.EventQuery{Type: "' OR 1=1 --"}, 0},
		} {
			list, err := w.Store.Events(w.ctx, w.company.ID, c.q)
			w.must(err)
			if len(list) != c.want {
				t.Errorf("%+v: %d, want %d", c.q, len(list), c.want)
			}
		}
	})
	t.Run("rul-40 the chain is read in its order, with what it covers", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		p := w.newUser(w.company, "maya")
		for range 5 {
			w.must(w.decide(p.keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(event("factor.refused", p.id)) }))
		}
		if _, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now, 4, link); err != nil {
			t.Fatal(err)
		}
		list, err := w.Store.SealedEvents(w.ctx, w.company.ID, 1, 2)
		w.must(err)
		if len(list) != 2 || list[0].Seq != 2 || list[1].Seq != 3 || len(list[0].Commitment) == 0 || list[0].Damaged || list[0].Personal.Address == "" {
			t.Errorf("%+v", list)
		}
		rest, err := w.Store.UnsealedEvents(w.ctx, w.company.ID, "", 0)
		w.must(err)
		after, err := w.Store.UnsealedEvents(w.ctx, w.company.ID, rest[0].ID, 0)
		w.must(err)
		if len(rest) != 3 || len(after) != 2 {
			t.Errorf("%d %d", len(rest), len(after))
		}
		seq, hash, err := w.Store.ChainHead(w.ctx, w.company.ID)
		if err != nil || seq != 4 || len(hash) == 0 {
			t.Errorf("%d %x %v", seq, hash, err)
		}
		if seq, _, err := w.Store.ChainHead(w.ctx, beta.ID); err != nil || seq != 0 {
			t.Errorf("%d %v", seq, err)
		}
		if list, err := w.Store.SealedEvents(w.ctx, beta.ID, 0, 0); err != nil || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
		w.exec("UPDATE events SET commitment = personal WHERE seq = 3")
		if list, err = w.Store.SealedEvents(w.ctx, w.company.ID, 2, 1); err != nil || !list[0].Damaged {
			t.Errorf("%+v %v", list, err)
		}
	})
}

// runAPIKeys is about the keys of programs.
func runAPIKeys(t *testing.T, open opener) {
	newKey := func(w *world, p *person, name string) (authn.APIKey, authn.Token) {
		k := authn.APIKey{Company: p.company, ID: w.id(authn.KeyID), User: p.id, Name: name, Scopes: []string{"audit.read", "users.read"},
			Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
		return k, authn.NewToken(authn.KeyToken, k.Company, k.ID, rand.Reader)
	}
	t.Run("rul-46 a key comes back to its own token only", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		p, q := w.newUser(w.company, "maya"), w.newUser(beta, "zoe")
		k, token := newKey(w, p, "siem")
		w.must(w.makeKey(k, token))
		other, otherToken := newKey(w, q, "siem")
		w.must(w.makeKey(other, otherToken))
		got, owner, company, err := w.Store.OpenAPIKey(w.ctx, token)
		w.must(err)
		if !reflect.DeepEqual(got, k) || owner.ID != p.id || company.Slug != "acme" {
			t.Errorf("%+v\n%+v", got, k)
		}
		for name, bad := range map[string]authn.Token{
			"secret":  {Kind: token.Kind, Company: token.Company, ID: token.ID, Secret: otherToken.Secret},
			"row":     {Kind: token.Kind, Company: otherToken.Company, ID: otherToken.ID, Secret: token.Secret},
			"company": {Kind: token.Kind, Company: otherToken.Company, ID: token.ID, Secret: token.Secret},
			"kind":    {Kind: authn.SessionToken, Company: token.Company, ID: token.ID, Secret: token.Secret},
			"empty":   {Kind: token.Kind, Company: token.Company, ID: token.ID},
			"hostile": {Kind: token.Kind, Company: "x\x00", ID: "'", Secret: token.Secret},
		} {
			if _, _, _, err := w.Store.OpenAPIKey(w.ctx, bad); !errors.Is(err, authn.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.hides(token)
		w.must(w.Store.UseAPIKey(w.ctx, k.Company, k.ID, false, "10.1.2.0/24", w.now.Add(time.Minute), event("key.used", p.id)))
		w.must(w.Store.UseAPIKey(w.ctx, k.Company, k.ID, false, "elsewhere", w.now))
		list, err := w.Store.APIKeys(w.ctx, w.company.ID, "", "", 0)
		if err != nil || len(list) != 1 || !list[0].LastUsedAt.Equal(w.now.Add(time.Minute)) || list[0].UsedFrom != "10.1.2.0/24" {
			t.Errorf("%+v %v", list, err)
		}
		w.want(w.write(q.keys(), authn.EndAPIKey{ID: k.ID}), authn.Conflict)
		w.must(w.write(p.keys(), authn.EndAPIKey{ID: k.ID}))
		if _, _, _, err := w.Store.OpenAPIKey(w.ctx, token); !errors.Is(err, authn.NotFound) {
			t.Errorf("removed: %v", err)
		}
		if n := w.count("SELECT count(*) FROM events WHERE type LIKE 'key.%' AND company = $1", w.company.ID); n != 1 {
			t.Errorf("%d events", n)
		}
	})
	t.Run("rul-38 editing what limits a key makes it worthless", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
		for _, edit := range []string{"scopes = '[\"policy.write\"]'", "networks = '[]'", "expires_at = expires_at + 1", "user_id = '" + q.id + "'"} {
			k, token := newKey(w, p, edit)
			w.must(w.makeKey(k, token))
			w.exec("UPDATE api_keys SET "+edit+" WHERE id = $1", k.ID)
			if _, _, _, err := w.Store.OpenAPIKey(w.ctx, token); !errors.Is(err, authn.NotFound) {
				t.Errorf("%s: %v", edit, err)
			}
		}
	})
	t.Run("a key needs an owner and a name of its own", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		k, token := newKey(w, p, "siem")
		nobody := k
		nobody.User = w.id(authn.UserID)
		w.want(w.makeKey(nobody, token), authn.Internal)
		w.must(w.makeKey(k, token))
		k2, token2 := newKey(w, p, "siem")
		w.want(w.makeKey(k2, token2), authn.Conflict)
		k2.Name = "other"
		w.want(w.makeKey(k2, token), authn.Internal)
		w.exec("DELETE FROM users WHERE id = $1", p.id)
		if n := w.count("SELECT count(*) FROM api_keys"); n != 0 && cascade(w.Fixture) != "" {
			t.Errorf("%d keys of nobody", n)
		}
	})
}

// makeKey stores a key of its owner.
func (w *world) makeKey(k authn.APIKey, t authn.Token) error {
	return w.write(authn.Keys{Company: k.Company, User: k.User, Now: w.now}, authn.NewAPIKey{Key: k, Token: t})
}

// runRotation is about root keys that change while stores are open.
func runRotation(t *testing.T, open opener) {
	t.Run("rul-38 companies move by compare-and-set, and old keys go only when none needs them", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		p := w.newPerson(w.company, "maya")
		p.activate(authn.SMS, "+41795550123", 0)
		number := w.hour("number", "+41795550123", 1)
		number.Hidden = true
		w.must(w.spend(number))
		ring, id, err := w.Keyring.AddNext(nil)
		w.must(err)
		ring, err = ring.Activate(id)
		w.must(err)
		ev := event("company_key.rewrapped", "")
		w.must(w.Store.NoteKeyring(w.ctx, ring))
		w.must(w.Store.NoteKeyring(w.ctx, ring)) // twice is once
		n, err := w.Store.RewrapKeys(w.ctx, ring, ev)
		if err != nil || n != 2 {
			t.Fatalf("%d %v", n, err)
		}
		if n, err = w.Store.RewrapKeys(w.ctx, ring, ev); err != nil || n != 0 {
			t.Errorf("again: %d %v", n, err)
		}
		if n := w.count("SELECT count(*) FROM events WHERE type = 'company_key.rewrapped'"); n != 2 {
			t.Errorf("%d events", n)
		}
		fresh, err := w.Again(t, ring)
		w.must(err)
		rows, err := fresh.View(w.ctx, authn.Keys{Company: p.company, User: p.id, Now: w.now})
		if err != nil || rows.User == nil {
			t.Errorf("%+v %v", rows, err)
		}
		if c := p.guessApp(authn.Right); string(c.Secret) != p.secret {
			t.Errorf("%+v", c)
		}
		// A store that still writes under the old key makes a company: the key stays.
		gamma := w.newCompany("gamma")
		without, err := ring.Remove(w.Keyring.ActiveID())
		w.must(err)
		w.want(w.Store.RetireKeys(w.ctx, without), authn.Conflict)
		if _, err := w.Store.RewrapKeys(w.ctx, ring, ev); err != nil {
			t.Fatal(err)
		}
		w.must(w.Store.RetireKeys(w.ctx, without))
		// From now on nobody can write under it, whatever they hold in memory.
		c := authn.Company{ID: w.id(authn.CompanyID), Slug: "delta", Name: "Delta", Policy: []byte("{}"), PolicyVersion: 1, CreatedAt: w.now}
		w.want(w.Store.CreateCompany(w.ctx, c, event("company.created", "")), authn.Internal)
		if _, err := w.Again(t, w.Keyring); err == nil {
			t.Error("the old keyring opens the database")
		}
		last, err := w.Again(t, without)
		w.must(err)
		for _, c := range []authn.Company{w.company, beta, gamma} {
			if _, err := last.Events(w.ctx, c.ID, authn.EventQuery{}); err != nil {
				t.Errorf("%s: %v", c.Slug, err)
			}
		}
		// What lies there in hashes and under seal is found and opened as before.
		w.Store = last
		w.usedUp(w.spend(number), "number")
		k := p.keys()
		k.Sent = true
		if f := w.view(k).FactorOf(authn.SMS, authn.Confirmed); f == nil || f.Destination != number.Subject {
			t.Errorf("%+v", f)
		}
	})
	t.Run("rul-38 a keyring that is not the database's moves nothing", func(t *testing.T) {
		w := newWorld(t, open)
		other := newKeyring(t)
		if err := w.Store.NoteKeyring(w.ctx, other); err == nil {
			t.Error("noted")
		}
		if _, err := w.Store.RewrapKeys(w.ctx, other, event("company_key.rewrapped", "")); err == nil {
			t.Error("moved")
		}
		w.want(w.Store.RetireKeys(w.ctx, other), authn.Conflict)
	})
}
