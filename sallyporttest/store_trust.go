package sallyporttest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// newTrust makes a trusted browser of p.
func (p *person) newTrust(browser string, lives time.Duration) (authn.Trust, authn.Token) {
	p.w.t.Helper()
	t := authn.Trust{Company: p.company, ID: p.w.id(authn.TrustID), User: p.id, Epoch: 1, PolicyVersion: 1, Factor: "fac_1", Agent: "Chrome on Linux",
		CreatedAt: p.w.now, UsedAt: p.w.now, RotatedAt: p.w.now, ExpiresAt: p.w.now.Add(lives)}
	token := authn.NewToken(authn.TrustToken, p.company, t.ID, rand.Reader)
	k := p.keys()
	k.Browser = browser
	p.w.must(p.w.write(k, authn.NewTrust{Trust: t, Token: token}))
	return t, token
}

// shown is what a token of p's comes to.
func (p *person) shown(token authn.Token) authn.TrustShown {
	p.w.t.Helper()
	k := p.keys()
	k.TrustToken = token
	if t := p.w.view(k).Trust; t != nil {
		return t.Shown
	}
	return authn.NoTrustToken
}

func runTrust(t *testing.T, open opener) {
	t.Run("a token rotates; what was used up is known (rul-29, cve-55)", func(t *testing.T) { trustRotates(t, open) })
	t.Run("one of many rotates a token", func(t *testing.T) { trustRotatesOnce(t, open) })
	t.Run("what ends it", func(t *testing.T) { trustEnds(t, open) })
	t.Run("a policy that trusts less is remembered", func(t *testing.T) { trustRemembered(t, open) })
}

func trustRotates(t *testing.T, open opener) {
	w := newWorld(t, open)
	p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
	tr, first := p.newTrust("a", time.Hour)
	if p.shown(first) != authn.CurrentTrustToken || q.shown(first) != authn.NoTrustToken {
		t.Fatal("not the one of its person alone")
	}
	rotate := func(from authn.Token) authn.Token {
		t.Helper()
		next := from.Next(rand.Reader)
		k := p.keys()
		k.TrustToken = from
		tr.UsedAt, tr.Agent = w.now.Add(time.Minute), "Firefox on Linux"
		w.must(w.decide(k, func(rows *authn.Rows) authn.Verdict { return authn.Continue(authn.RotateTrust{Trust: tr, Token: next}) }))
		return next
	}
	second := rotate(first)
	if p.shown(first) != authn.PreviousTrustToken || p.shown(second) != authn.CurrentTrustToken {
		t.Error("after one use")
	}
	// Its person gives it a name, which stays; nobody else does.
	w.must(w.write(p.keys(), authn.NameTrust{ID: tr.ID, Name: "Kitchen laptop"}))
	w.want(w.write(q.keys(), authn.NameTrust{ID: tr.ID, Name: "Mine"}), authn.Conflict)
	w.want(w.write(p.keys(), authn.NameTrust{ID: w.id(authn.TrustID), Name: "Gone"}), authn.Conflict)
	third := rotate(second)
	if p.shown(first) != authn.OldTrustToken || p.shown(second) != authn.PreviousTrustToken || p.shown(third) != authn.CurrentTrustToken {
		t.Error("after two uses")
	}
	k := p.keys()
	k.TrustToken = second
	w.want(w.write(k, authn.RotateTrust{Trust: tr, Token: second.Next(rand.Reader)}), authn.Internal)
	list, err := w.Store.Trusted(context.Background(), p.company, p.id)
	if err != nil || len(list) != 1 || list[0].Agent != "Firefox on Linux" || list[0].Name != "Kitchen laptop" || !list[0].ExpiresAt.Equal(tr.ExpiresAt) || !list[0].UsedAt.After(list[0].CreatedAt) {
		t.Errorf("%+v %v", list, err)
	}
	// std-9: what is stored opens nothing, and a row that was changed is worth nothing.
	w.hides(first, second, third)
	for _, change := range []string{"expires_at = expires_at + 1", "epoch = epoch + 1", "policy_version = 9", "created_at = created_at + 1", "factor = 'fac_2'"} {
		column, _, _ := strings.Cut(change, " ")
		w.exec("CREATE TABLE kept AS SELECT " + column + " AS v FROM trusted_browsers")
		w.exec("UPDATE trusted_browsers SET " + change)
		if p.shown(third) == authn.CurrentTrustToken {
			t.Errorf("%s: still good", change)
		}
		w.exec("UPDATE trusted_browsers SET " + column + " = (SELECT v FROM kept)")
		w.exec("DROP TABLE kept")
	}
	if p.shown(third) != authn.CurrentTrustToken {
		t.Error("as it was before, and not good")
	}
	w.exec("UPDATE trusted_browsers SET user_id = '" + q.id + "'")
	if q.shown(third) != authn.NoTrustToken || p.shown(third) != authn.NoTrustToken {
		t.Error("moved to another person")
	}
}

func trustRotatesOnce(t *testing.T, open opener) {
	w := newWorld(t, open)
	p := w.newUser(w.company, "maya")
	tr, first := p.newTrust("a", time.Hour)
	var won, before atomic.Int32
	together(100, func(int) {
		k := p.keys()
		k.TrustToken = first
		rotated, previous := false, false
		err := w.decide(k, func(rows *authn.Rows) authn.Verdict {
			rotated, previous = rows.Trust != nil && rows.Trust.Shown == authn.CurrentTrustToken, rows.Trust != nil && rows.Trust.Shown == authn.PreviousTrustToken
			if !rotated {
				return authn.Continue()
			}
			return authn.Continue(authn.RotateTrust{Trust: tr, Token: first.Next(rand.Reader)})
		})
		switch {
		case err != nil:
			t.Error(err)
		case rotated:
			won.Add(1)
		case previous:
			before.Add(1)
		}
	})
	if won.Load() != 1 || before.Load() != 99 {
		t.Errorf("%d rotated it, %d found the one before", won.Load(), before.Load())
	}
}

func trustEnds(t *testing.T, open opener) {
	w := newWorld(t, open)
	p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
	there := func(who *person) int {
		return w.count("SELECT count(*) FROM trusted_browsers WHERE user_id = $1", who.id)
	}
	p.newTrust("a", time.Hour)
	second, token := p.newTrust("a", time.Hour) // the same browser: one
	third, _ := p.newTrust("b", time.Hour)
	q.newTrust("a", time.Hour)
	if there(p) != 2 || p.shown(token) != authn.CurrentTrustToken {
		t.Fatalf("%d", there(p))
	}
	w.want(w.write(q.keys(), authn.EndTrust{ID: second.ID}), authn.Conflict)
	// Sessions that rest on it alone end with it; those that proved more do not, nor
	// the one that asks.
	sessions := func(trust, acr string) (authn.Session, authn.Token) {
		s := authn.Session{Company: p.company, ID: w.id(authn.SessionID), User: p.id, Epoch: 1, ACR: acr, AMR: []string{"pwd"}, AuthTime: w.now, CreatedAt: w.now,
			LastSeenAt: w.now, ExpiresAt: w.now.Add(time.Hour), Trust: trust}
		tok := authn.NewToken(authn.SessionToken, p.company, s.ID, rand.Reader)
		w.must(w.write(p.keys(), authn.NewSession{Session: s, Token: tok}))
		return s, tok
	}
	sessions(second.ID, authn.AAL1)
	_, mine := sessions(second.ID, authn.AAL1)
	sessions(second.ID, authn.AAL2)
	sessions(third.ID, authn.AAL1)
	sessions("", authn.AAL1)
	w.must(w.write(authn.Keys{Company: p.company, SessionToken: mine, Now: w.now}, authn.EndTrust{ID: second.ID}))
	if n := w.count("SELECT count(*) FROM sessions"); n != 4 || there(p) != 1 {
		t.Errorf("%d sessions, %d trusted", n, there(p))
	}
	w.must(w.write(p.keys(), authn.EndTrust{}))
	if n := w.count("SELECT count(*) FROM sessions"); n != 2 || there(p) != 0 || there(q) != 1 {
		t.Errorf("%d sessions, %d trusted", n, there(p))
	}
	// Signing out everywhere else keeps that of the browser, and of the session.
	p.newTrust("a", time.Hour)
	p.newTrust("b", time.Hour)
	bare, _ := p.newTrust("", time.Hour)
	_, here := sessions(bare.ID, authn.AAL2)
	w.must(w.write(authn.Keys{Company: p.company, SessionToken: here, Browser: "b", Now: w.now}, authn.ForgetBrowsers{}))
	if there(p) != 2 {
		t.Errorf("%d are left", there(p))
	}
	w.must(w.write(p.keys(), authn.ForgetBrowsers{All: true}))
	if there(p) != 0 || there(q) != 1 {
		t.Errorf("%d are left", there(p))
	}
	// There are never more than MaxTrusted.
	for i := range store.MaxTrusted + 2 {
		w.now = w.now.Add(time.Second)
		p.newTrust(fmt.Sprint(i), time.Hour)
	}
	if there(p) != store.MaxTrusted {
		t.Errorf("%d", there(p))
	}
	p.newTrust("short", time.Minute)
	w.must(w.Store.Sweep(context.Background(), w.now.Add(2*time.Hour)))
	if there(p) != 0 {
		t.Errorf("%d are left after their end", there(p))
	}
	// It goes with its person (K2).
	p.newTrust("a", time.Hour)
	q.newTrust("a", time.Hour)
	w.must(w.write(p.keys(), authn.EraseUser{By: "operator"}))
	if there(p) != 0 || there(q) != 1 {
		t.Errorf("%d are left of nobody", there(p))
	}
}

func trustRemembered(t *testing.T, open opener) {
	w := newWorld(t, open)
	for n, ends := range map[int64]bool{2: true} {
		w.must(w.write(authn.Keys{Company: w.company.ID}, authn.SetPolicy{Policy: []byte(`{}`), Version: n, EndsTrust: ends}))
	}
	w.must(w.write(authn.Keys{Company: w.company.ID}, authn.SetPolicy{Policy: []byte(`{}`), Version: 3}))
	if c := w.view(authn.Keys{Company: w.company.ID}).Company; c.TrustVersion != 2 || c.PolicyVersion != 3 {
		t.Errorf("%+v", c)
	}
}
