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

// newGrant stores a grant of the person's session, and gives what opens it.
func (p *person) newGrant(se authn.Session, action string) (authn.Grant, authn.Token) {
	p.w.t.Helper()
	g := authn.Grant{Company: p.company, ID: p.w.id(authn.GrantID), User: p.id, SignIn: se.Attempt, Kind: authn.OnlineGrant, Action: action, ACR: authn.AAL2,
		AMR: []string{"otp"}, Epoch: 1, MadeAt: p.w.now, ExpiresAt: p.w.now.Add(5 * time.Minute)}
	token := authn.NewToken(authn.GrantToken, g.Company, g.ID, rand.Reader)
	p.w.must(p.w.write(p.keys(), authn.NewGrant{Grant: g, Token: token}))
	return g, token
}

func runGrants(t *testing.T, open opener) {
	t.Run("opened by its token, with the session of its sign-in", func(t *testing.T) { grantsOpened(t, open) })
	t.Run("rul-38 a row that was changed is worth nothing", func(t *testing.T) { grantsAltered(t, open) })
	t.Run("inv-A used once by a hundred at a time", func(t *testing.T) { grantsUsedOnce(t, open) })
	t.Run("too late, swept and erased", func(t *testing.T) { grantsOver(t, open) })
	t.Run("an attempt carries what it is for, and the key that signs", func(t *testing.T) { grantsAsked(t, open) })
	t.Run("actions are a company's own, and not too many", func(t *testing.T) { actionsKept(t, open) })
	t.Run("actions and keys are not too many, however many come at once", func(t *testing.T) { actionsAtOnce(t, open) })
}

func grantsOpened(t *testing.T, open opener) {
	w := newWorld(t, open)
	p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
	se, session := p.newSession()
	g, token := p.newGrant(se, "billing.change")
	rows := w.view(authn.Keys{Company: p.company, GrantToken: token})
	if rows.Grant == nil || rows.User.ID != p.id || rows.Session == nil || rows.Session.ID != se.ID || rows.Grant.Action != g.Action || rows.Grant.ACR != g.ACR ||
		!rows.Grant.ExpiresAt.Equal(g.ExpiresAt) || !rows.Grant.UsedAt.IsZero() || len(rows.Grant.AMR) != 1 {
		t.Errorf("%+v %+v", rows.Grant, rows.Session)
	}
	for what, k := range p.notTheirs(q, token, func(company string, t authn.Token) authn.Keys { return authn.Keys{Company: company, GrantToken: t} }) {
		if rows := w.view(k); rows.Grant != nil {
			t.Errorf("%s: %+v", what, rows.Grant)
		}
	}
	// By the session and the action, and not for another of either.
	for action, want := range map[string]bool{"billing.change": true, "webhooks.change": false, "": false} {
		if rows := w.view(authn.Keys{Company: p.company, SessionToken: session, GrantFor: action}); (rows.Grant != nil) != want {
			t.Errorf("%q: %+v", action, rows.Grant)
		}
	}
	w.hides(token)
	w.must(w.write(p.keys(), authn.EndSession{ID: se.ID}))
	if rows := w.view(authn.Keys{Company: p.company, GrantToken: token}); rows.Grant == nil || rows.Session != nil {
		t.Errorf("after signing out: %+v", rows.Session)
	}
}

func grantsAltered(t *testing.T, open opener) {
	w := newWorld(t, open)
	p := w.newUser(w.company, "maya")
	se, session := p.newSession()
	for _, s := range []string{"acr = 'aal3'", "action = 'webhooks.change'", "epoch = 2", "expires_at = expires_at + 1", "made_at = made_at + 1", "kind = 'page'",
		"sign_in = 'att_2'", "request_hash = 'x'", `amr = '["hwk"]'`, "user_id = '" + w.newUser(w.company, "nadia").id + "'"} {
		g, token := p.newGrant(se, "billing.change")
		w.exec("UPDATE grants SET "+s+" WHERE id = $1", g.ID)
		if rows := w.view(authn.Keys{Company: p.company, GrantToken: token}); rows.Grant != nil {
			t.Errorf("%s: by the token: %+v", s, rows.Grant)
		}
		for _, action := range []string{"billing.change", "webhooks.change"} {
			if rows := w.view(authn.Keys{Company: p.company, SessionToken: session, GrantFor: action}); rows.Grant != nil && rows.Grant.ID == g.ID {
				t.Errorf("%s: by the session: %+v", s, rows.Grant)
			}
		}
		w.exec("DELETE FROM grants")
	}
}

func grantsUsedOnce(t *testing.T, open opener) {
	w := newWorld(t, open)
	p := w.newUser(w.company, "maya")
	se, session := p.newSession()
	_, token := p.newGrant(se, "billing.change")
	w.once("grant.redeemed", func(i int) error {
		k := authn.Keys{Company: p.company, GrantToken: token, Now: w.now}
		if i%2 == 0 { // both ways at once
			k = authn.Keys{Company: p.company, SessionToken: session, GrantFor: "billing.change", Now: w.now}
		}
		return w.Store.Decide(context.Background(), k, func(rows *authn.Rows) authn.Verdict {
			if rows.Grant == nil || !rows.Grant.UsedAt.IsZero() {
				return authn.Drop(authn.Conflict)
			}
			return authn.Accept(event("grant.redeemed", p.id), authn.SpendGrant{})
		})
	})
	// One that was used is found last, and not used again behind the decision's back.
	fresh, _ := p.newGrant(se, "billing.change")
	if rows := w.view(authn.Keys{Company: p.company, SessionToken: session, GrantFor: "billing.change"}); rows.Grant == nil || rows.Grant.ID != fresh.ID {
		t.Errorf("%+v", rows.Grant)
	}
	w.want(w.write(authn.Keys{Company: p.company, GrantToken: token}, authn.SpendGrant{}), authn.Conflict)
}

func grantsOver(t *testing.T, open opener) {
	w := newWorld(t, open)
	p := w.newUser(w.company, "maya")
	se, session := p.newSession()
	_, token := p.newGrant(se, "billing.change")
	w.now = w.now.Add(5 * time.Minute)
	if rows := w.view(authn.Keys{Company: p.company, SessionToken: session, GrantFor: "billing.change"}); rows.Grant != nil {
		t.Errorf("too late: %+v", rows.Grant)
	}
	w.want(w.write(authn.Keys{Company: p.company, GrantToken: token}, authn.SpendGrant{}), authn.Conflict)
	w.must(w.Store.Sweep(w.ctx, w.now.Add(2*time.Hour)))
	if n := w.count("SELECT count(*) FROM grants"); n != 0 {
		t.Errorf("%d grants stay", n)
	}
}

func grantsAsked(t *testing.T, open opener) {
	w := newWorld(t, open)
	p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
	ask := func(p *person, kind authn.GrantKind) *authn.Rows {
		a := authn.Attempt{Company: p.company, ID: w.id(authn.AttemptID), User: p.id, Purpose: authn.StepUp, State: authn.NeedFactor, Version: 1, Action: "billing.change",
			Wants: &authn.GrantAsked{Kind: kind, Title: "change Żółw", RequestHash: "h", Lives: time.Minute, Audience: "a"}, Epoch: 1, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute)}
		token := authn.NewToken(authn.AttemptToken, a.Company, a.ID, rand.Reader)
		w.must(w.write(p.keys(), authn.NewAttempt{Attempt: a, Token: token}))
		rows := w.view(authn.Keys{Company: p.company, AttemptToken: token})
		if rows.Attempt == nil || rows.Attempt.Wants == nil || *rows.Attempt.Wants != *a.Wants {
			t.Fatalf("%+v", rows.Attempt)
		}
		return rows
	}
	if rows := ask(p, authn.OnlineGrant); rows.GrantKey != nil {
		t.Error("a key that nobody needs")
	}
	mine, again, theirs := ask(p, authn.SignedGrant).GrantKey, ask(p, authn.SignedGrant).GrantKey, ask(q, authn.SignedGrant).GrantKey
	if mine == nil || *mine != *again || mine.Seed == theirs.Seed {
		t.Error("the key of a company is not its own, or not the same each time")
	}
	list, err := w.Store.GrantKeys(w.ctx, p.company, w.now)
	w.must(err)
	if len(list) != 1 || list[0].ID != mine.ID || len(list[0].Key) != 32 {
		t.Errorf("%+v", list)
	}
	if _, err := w.Store.GrantKeys(w.ctx, w.id(authn.CompanyID), w.now); err == nil {
		t.Error("keys of no company")
	}
}

func actionsKept(t *testing.T, open opener) {
	w := newWorld(t, open)
	p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
	a := authn.Action{Name: "billing.change", Title: "change the billing", Titles: map[string]string{"pl": "zmienić dane"}, Audience: "https://app.example"}
	w.must(w.write(p.keys(), authn.SetAction{Action: a}))
	a.Title = "change billing"
	w.must(w.write(p.keys(), authn.SetAction{Action: a}))
	got := w.view(authn.Keys{Company: p.company, Action: "billing.change"}).Action
	if got == nil || got.Title != a.Title || got.Titles["pl"] != "zmienić dane" || got.Audience != a.Audience || got.Company != p.company {
		t.Errorf("%+v", got)
	}
	if w.view(authn.Keys{Company: q.company, Action: "billing.change"}).Action != nil {
		t.Error("another company's")
	}
	w.want(w.write(q.keys(), authn.EndAction{Name: "billing.change"}), authn.Conflict)
	for i := range authn.MaxActions - 1 {
		w.must(w.write(p.keys(), authn.SetAction{Action: authn.Action{Name: "a." + strings.Repeat("x", i%50+1) + string(rune('a'+i/50)), Title: "t"}}))
	}
	w.want(w.write(p.keys(), authn.SetAction{Action: authn.Action{Name: "one.more", Title: "t"}}), authn.Conflict)
	w.must(w.write(p.keys(), authn.SetAction{Action: a}))
	list, err := w.Store.Actions(w.ctx, p.company)
	w.must(err)
	if len(list) != authn.MaxActions {
		t.Errorf("%d actions", len(list))
	}
	w.must(w.write(p.keys(), authn.EndAction{Name: "billing.change"}))
	if w.view(authn.Keys{Company: p.company, Action: "billing.change"}).Action != nil {
		t.Error("it is still there")
	}
}

// actionsAtOnce is about the limits of a company: whoever is too late counts the others.
func actionsAtOnce(t *testing.T, open opener) {
	w := newWorld(t, open)
	p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
	again, err := w.Again(t, w.Keyring)
	w.must(err)
	nodes := []*store.Store{w.Store, again}
	const room, maxKeys = 3, 1000
	name := func(i int) string { return fmt.Sprintf("a%d", i) }
	for i := range authn.MaxActions - room {
		w.must(w.write(p.keys(), authn.SetAction{Action: authn.Action{Name: name(i), Title: "t"}}))
	}
	w.must(w.write(q.keys(), authn.SetAction{Action: authn.Action{Name: "theirs", Title: "t"}}))
	operator := authn.Keys{Company: p.company, By: authn.Actor{Operator: true}, Now: w.now} // no row that all of them hold anyway
	atOnce := func(full, table string, limit int, f func(int) (authn.Keys, authn.Write)) {
		t.Helper()
		var saved, refused atomic.Int64
		together(40, func(i int) {
			k, write := f(i)
			err := nodes[i%2].Decide(w.ctx, k, func(*authn.Rows) authn.Verdict { return authn.Accept(event("test.done", ""), write) })
			switch e := authn.AsError(err); {
			case err == nil:
				saved.Add(1)
			case e.Code == authn.Conflict && e.Key == full:
				refused.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
		if n := w.count("SELECT count(*) FROM "+table+" WHERE company = $1", p.company); saved.Load() != room || refused.Load() != 40-room || n != limit {
			t.Errorf("%s: %d saved and %d refused, %d are there", table, saved.Load(), refused.Load(), n)
		}
	}
	atOnce("error.too_many_actions", "actions", authn.MaxActions, func(i int) (authn.Keys, authn.Write) {
		return operator, authn.SetAction{Action: authn.Action{Name: name(authn.MaxActions + i), Title: "t"}}
	})

	owners := make([]*person, 40) // each of somebody's own
	for i := range owners {
		owners[i] = w.newUser(w.company, fmt.Sprintf("owner-%d", i))
	}
	p.newKeyOf(testReturn)
	for i := range maxKeys - room - 1 {
		w.exec("INSERT INTO api_keys (company, id, user_id, name, scopes, networks, created_at, expires_at, last_used_at, unattended, made_by, told, token) "+
			"SELECT company, $2, user_id, $2, scopes, networks, created_at, expires_at, last_used_at, unattended, made_by, told, token FROM api_keys WHERE company = $1 LIMIT 1", p.company, fmt.Sprintf("key_%d", i))
	}
	atOnce("error.too_many_keys", "api_keys", maxKeys, func(i int) (authn.Keys, authn.Write) {
		k := authn.APIKey{Company: p.company, ID: w.id(authn.KeyID), User: owners[i].id, Name: fmt.Sprintf("late %d", i), CreatedAt: w.now, ExpiresAt: w.now.Add(24 * time.Hour)}
		return owners[i].keys(), authn.NewAPIKey{Key: k, Token: authn.NewToken(authn.KeyToken, k.Company, k.ID, rand.Reader)}
	})
}
