package sallyporttest

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// runRolledKeys is about keys with a token of before.
func runRolledKeys(t *testing.T, open opener) {
	type rolled struct {
		*world
		p        *person
		k        authn.APIKey
		old, new authn.Token
	}
	roll := func(t *testing.T, overlap, life time.Duration) *rolled {
		w := newWorld(t, open)
		r := &rolled{world: w, p: w.newUser(w.company, "maya")}
		r.k = authn.APIKey{Company: r.p.company, ID: w.id(authn.KeyID), User: r.p.id, Name: "siem", Scopes: []string{"audit.read"}, CreatedAt: w.now, ExpiresAt: w.now.Add(life)}
		r.old = authn.NewToken(authn.KeyToken, r.k.Company, r.k.ID, rand.Reader)
		w.must(w.makeKey(r.k, r.old))
		r.new = authn.NewToken(authn.KeyToken, r.k.Company, r.k.ID, rand.Reader)
		k := r.k
		k.ExpiresAt, k.OldUntil = w.now.Add(90*24*time.Hour), w.now.Add(overlap)
		w.must(w.write(authn.Keys{Company: k.Company, User: k.User, Now: w.now, APIKey: k.ID}, authn.RollAPIKey{Key: k, Token: r.new}))
		return r
	}
	end := func(r *rolled, t authn.Token) (time.Time, bool) {
		r.t.Helper()
		k, _, _, err := r.Store.OpenAPIKey(r.ctx, t)
		if errors.Is(err, authn.NotFound) {
			return time.Time{}, false
		}
		r.must(err)
		return k.ExpiresAt, k.Old
	}
	t.Run("S36 both tokens open it, each to its own end", func(t *testing.T) {
		r := roll(t, 2*time.Hour, 24*time.Hour)
		if at, old := end(r, r.old); !old || !at.Equal(r.now.Add(2*time.Hour)) {
			t.Errorf("old: %v %v", at, old)
		}
		if at, old := end(r, r.new); old || !at.Equal(r.now.Add(90*24*time.Hour)) {
			t.Errorf("new: %v %v", at, old)
		}
		r = roll(t, 48*time.Hour, time.Hour) // what would have ended sooner still does
		if at, old := end(r, r.old); !old || !at.Equal(r.now.Add(time.Hour)) {
			t.Errorf("old: %v %v", at, old)
		}
	})
	t.Run("rul-38 editing the overlap makes the old token worthless, and nothing else", func(t *testing.T) {
		for _, edit := range []string{"old_until = old_until + 1", "old_expires_at = old_expires_at + 1", "old_token = token"} {
			r := roll(t, 2*time.Hour, 24*time.Hour)
			r.exec("UPDATE api_keys SET "+edit+" WHERE id = $1", r.k.ID)
			if _, old := end(r, r.old); old {
				t.Errorf("%s: the old token opens", edit)
			}
			if _, _, _, err := r.Store.OpenAPIKey(r.ctx, r.new); err != nil {
				t.Errorf("%s: %v", edit, err)
			}
		}
	})
	t.Run("a second roll ends the first token", func(t *testing.T) {
		r := roll(t, 2*time.Hour, 24*time.Hour)
		k := r.k
		k.ExpiresAt, k.OldUntil = r.now.Add(time.Hour), r.now.Add(time.Hour)
		third := authn.NewToken(authn.KeyToken, k.Company, k.ID, rand.Reader)
		keys := authn.Keys{Company: k.Company, User: k.User, Now: r.now, APIKey: k.ID}
		r.must(r.write(keys, authn.RollAPIKey{Key: k, Token: third}))
		_, first := end(r, r.old)
		_, second := end(r, r.new)
		if first || !second {
			t.Errorf("%v %v", first, second)
		}
		r.want(r.write(r.p.keys(), authn.RollAPIKey{Key: k, Token: third}), authn.Internal) // it was not loaded
		r.want(r.write(keys, authn.RollAPIKey{Key: k, Token: authn.NewToken(authn.KeyToken, k.Company, r.id(authn.KeyID), rand.Reader)}), authn.Internal)
	})
	t.Run("a key is loaded for its owner only, and lists go on", func(t *testing.T) {
		r := roll(t, time.Hour, 24*time.Hour)
		q := r.newUser(r.company, "omar")
		if r.view(authn.Keys{Company: r.company.ID, User: q.id, APIKey: r.k.ID}).APIKey != nil {
			t.Error("somebody else's key")
		}
		second := r.k
		second.ID, second.User, second.Name, second.Unattended = r.id(authn.KeyID), q.id, "other", []string{"user.unlocked"}
		r.must(r.makeKey(second, authn.NewToken(authn.KeyToken, second.Company, second.ID, rand.Reader)))
		r.want(r.write(authn.Keys{Company: r.company.ID, User: q.id, APIKey: second.ID, Now: r.now}, authn.PutAPIKey{Key: authn.APIKey{ID: second.ID, Name: "siem"}}), authn.Conflict)
		list, err := r.Store.APIKeys(r.ctx, r.company.ID, "", r.k.ID, 1)
		if err != nil || len(list) != 1 || list[0].ID != second.ID {
			t.Errorf("%+v %v", list, err)
		}
		if list, err = r.Store.APIKeys(r.ctx, r.company.ID, q.id, "", 0); err != nil || len(list) != 1 {
			t.Errorf("%+v %v", list, err)
		}
		if list, err = r.Store.Unattended(r.ctx, r.company.ID, "", 0); err != nil || len(list) != 1 || list[0].ID != second.ID {
			t.Errorf("%+v %v", list, err)
		}
		for _, which := range []string{"other", second.ID} {
			if k, err := r.Store.APIKey(r.ctx, r.company.ID, which); err != nil || k.ID != second.ID {
				t.Errorf("%s: %+v %v", which, k, err)
			}
		}
		beta := r.newCompany("beta")
		if _, err := r.Store.APIKey(r.ctx, beta.ID, second.ID); !errors.Is(err, authn.NotFound) {
			t.Errorf("%v", err)
		}
		r.must(r.write(q.keys(), authn.EndAPIKeys{}))
		if n := r.count("SELECT count(*) FROM api_keys"); n != 1 {
			t.Errorf("%d keys", n)
		}
	})
}

// runAPIAccounts is about users that are programs, and about who holds a role.
func runAPIAccounts(t *testing.T, open opener) {
	account := func(w *world, p *person, until time.Time) authn.APIAccount {
		u := *w.view(p.keys()).User
		u.API, u.Epoch = true, u.Epoch+1
		a := authn.APIAccount{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Owner: p.id, Reason: "builds", ExpiresAt: until, CreatedAt: w.now, CreatedBy: "operator"}
		w.must(w.write(p.keys(), authn.PutUser{User: u}, authn.PutAPIAccount{Account: a}))
		return a
	}
	t.Run("H4 it acts as it was when it showed its secret, and for its own company", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "build-bot")
		until := w.now.Add(time.Hour)
		account(w, p, until)
		k := p.keys()
		k.Account = true
		rows := w.view(k)
		if rows.Account == nil || rows.Account.Reason != "builds" || !rows.Account.ExpiresAt.Equal(until) || len(rows.Account.Networks) != 1 || w.view(p.keys()).Account != nil {
			t.Fatalf("%+v", rows.Account)
		}
		by := func(ref authn.AccountRef) *authn.Rows {
			return w.view(authn.Keys{Company: w.company.ID, By: authn.Actor{Account: ref}}).By
		}
		ref := authn.AccountRef{Company: p.company, User: p.id, Epoch: rows.User.Epoch}
		if b := by(ref); b == nil || b.Key == nil || !b.Key.Account || b.Key.ID != p.id || !b.Key.ExpiresAt.Equal(until) {
			t.Fatalf("%+v", b)
		}
		beta := w.newCompany("beta")
		q := w.newUser(beta, "zoe")
		for name, bad := range map[string]authn.AccountRef{
			"of before": {Company: p.company, User: p.id, Epoch: ref.Epoch - 1}, "company": {Company: beta.ID, User: p.id, Epoch: ref.Epoch},
			"person": {Company: p.company, User: q.id, Epoch: ref.Epoch}, "hostile": {Company: p.company, User: "'", Epoch: ref.Epoch},
		} {
			if by(bad) != nil {
				t.Error(name)
			}
		}
		w.must(w.Store.UseAPIKey(w.ctx, p.company, p.id, true, "10.1.2.0/24", w.now.Add(time.Minute)))
		list, err := w.Store.APIAccounts(w.ctx, w.company.ID, "", 0)
		if err != nil || len(list) != 1 || list[0].UsedFrom != "10.1.2.0/24" || !list[0].LastUsedAt.Equal(w.now.Add(time.Minute)) {
			t.Errorf("%+v %v", list, err)
		}
		for _, edit := range []string{"expires_at = expires_at + 1", "networks = '[]'"} {
			w.exec("UPDATE api_accounts SET " + edit)
			if b := by(ref); b == nil || b.Key.ExpiresAt.After(w.now) {
				t.Errorf("%s: %+v", edit, b)
			}
			account(w, p, until)
			ref.Epoch++
		}
		w.must(w.write(p.keys(), authn.EndAPIAccount{}))
		if by(ref) != nil {
			t.Error("it has ended")
		}
	})
	t.Run("H4 the keys of an API account end with it", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "build-bot")
		until := w.now.Add(time.Hour)
		account(w, p, until)
		k := authn.APIKey{Company: p.company, ID: w.id(authn.KeyID), User: p.id, Name: "siem", CreatedAt: w.now, ExpiresAt: w.now.Add(24 * time.Hour)}
		token := authn.NewToken(authn.KeyToken, k.Company, k.ID, rand.Reader)
		w.must(w.makeKey(k, token))
		got, _, _, err := w.Store.OpenAPIKey(w.ctx, token)
		if err != nil || !got.OwnerUntil.Equal(until) || len(got.OwnerNetworks) != 1 {
			t.Errorf("%+v %v", got, err)
		}
		w.must(w.write(p.keys(), authn.EndAPIAccount{}))
		if _, _, _, err := w.Store.OpenAPIKey(w.ctx, token); !errors.Is(err, authn.NotFound) {
			t.Errorf("%v", err)
		}
	})
	t.Run("S36 what ends soon is found by how often people were told", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "build-bot"), w.newUser(w.company, "maya")
		account(w, p, w.now.Add(time.Hour))
		k := authn.APIKey{Company: q.company, ID: w.id(authn.KeyID), User: q.id, Name: "siem", CreatedAt: w.now, ExpiresAt: w.now.Add(2 * time.Hour)}
		w.must(w.makeKey(k, authn.NewToken(authn.KeyToken, k.Company, k.ID, rand.Reader)))
		for _, tt := range []struct {
			told           int
			until          time.Duration
			keys, accounts int
		}{{0, 90 * time.Minute, 0, 1}, {0, 2 * time.Hour, 1, 1}, {1, 2 * time.Hour, 0, 0}} {
			keys, err := w.Store.EndingKeys(w.ctx, tt.told, w.now, w.now.Add(tt.until))
			accounts, err2 := w.Store.EndingAccounts(w.ctx, tt.told, w.now, w.now.Add(tt.until))
			if err != nil || err2 != nil || len(keys) != tt.keys || len(accounts) != tt.accounts {
				t.Errorf("%+v: %d keys, %d accounts %v %v", tt, len(keys), len(accounts), err, err2)
			}
		}
		told := k
		told.Told = 1
		w.must(w.write(authn.Keys{Company: q.company, User: q.id, APIKey: k.ID, Now: w.now}, authn.PutAPIKey{Key: told}))
		if keys, err := w.Store.EndingKeys(w.ctx, 1, w.now, w.now.Add(2*time.Hour)); err != nil || len(keys) != 1 {
			t.Errorf("%v %v", keys, err)
		}
	})
	t.Run("H5 who holds a role is counted as roles change", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
		holders := func(company string, want int) {
			t.Helper()
			if n, err := w.Store.RoleHolders(w.ctx, company, "auditor", 10); err != nil || n != want {
				t.Errorf("%d holders, want %d: %v", n, want, err)
			}
		}
		set := func(p *person, roles ...string) {
			u := *w.view(p.keys()).User
			u.Roles = roles
			w.must(w.write(p.keys(), authn.PutUser{User: u}))
		}
		set(p, "member", "auditor")
		set(q, "auditor")
		holders(p.company, 1)
		company := authn.Keys{Company: p.company, Now: w.now}
		w.want(w.write(company, authn.NoHolders{Role: "auditor"}), authn.Conflict)
		w.must(w.write(company, authn.NoHolders{Role: "other"}))
		set(p, "member")
		holders(p.company, 0)
		holders(q.company, 1)
		w.must(w.write(company, authn.NoHolders{Role: "auditor"}))
	})
	t.Run("the exempted are found by the time", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		w.newUser(w.company, "omar")
		u := *w.view(p.keys()).User
		u.ExemptUntil = w.now.Add(time.Hour)
		w.must(w.write(p.keys(), authn.PutUser{User: u}))
		for after, want := range map[time.Duration]int{0: 1, time.Hour: 0} {
			if list, err := w.Store.Exempted(w.ctx, w.company.ID, "", w.now.Add(after), 0); err != nil || len(list) != want {
				t.Errorf("%v: %v %v", after, list, err)
			}
		}
	})
}
