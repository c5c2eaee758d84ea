package sallyporttest

import (
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// newLink gives a person a link of a week.
func (p *person) newLink(purpose authn.LinkPurpose, args map[string]string) authn.Token {
	p.w.t.Helper()
	link := authn.Link{Company: p.company, ID: p.w.id(authn.LinkID), User: p.id, Purpose: purpose, Mailed: true, Epoch: 1, Event: "evt_1", Args: args,
		CreatedAt: p.w.now, ExpiresAt: p.w.now.Add(7 * 24 * time.Hour)}
	token := authn.NewToken(authn.LinkToken, p.company, link.ID, rand.Reader)
	p.w.must(p.w.write(p.keys(), authn.NewLink{Link: link, Token: token}))
	return token
}

func (w *world) link(token authn.Token) *authn.Link {
	w.t.Helper()
	return w.view(authn.Keys{Company: token.Company, LinkToken: token}).Link
}

func runLinks(t *testing.T, open opener) {
	t.Run("a link comes back as it was made, with its person", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		token := p.newLink(authn.InvitationLink, map[string]string{"email": "old@acme.example"})
		rows := w.view(authn.Keys{Company: p.company, LinkToken: token})
		l := rows.Link
		if l == nil || l.Company != p.company || l.User != p.id || l.ID != token.ID || l.Purpose != authn.InvitationLink || !l.Mailed || l.Epoch != 1 ||
			l.Event != "evt_1" || l.Args["email"] != "old@acme.example" || !l.CreatedAt.Equal(w.now) || !l.ExpiresAt.Equal(w.now.Add(7*24*time.Hour)) || !l.UsedAt.IsZero() {
			t.Errorf("%+v", l)
		}
		if rows.User == nil || rows.User.ID != p.id || len(rows.Factors) != 2 || rows.Lane != authn.Stranger {
			t.Errorf("%+v", rows)
		}
	})
	t.Run("rul-46 cve-28 a token is bound to purpose, person, row and company", func(t *testing.T) {
		for name, tamper := range map[string]func(*world, *authn.Token){
			"purpose": func(w *world, t *authn.Token) {
				w.exec("UPDATE links SET purpose = 'owner' WHERE id = $1", t.ID)
			},
			"person": func(w *world, t *authn.Token) {
				w.exec("UPDATE links SET user_id = $1, args = $2 WHERE id = $3", w.newUser(w.company, "omar").id, []byte{}, t.ID)
			},
			"id": func(w *world, t *authn.Token) {
				id := w.id(authn.LinkID)
				w.exec("UPDATE links SET id = $1, args = $2 WHERE id = $3", id, []byte{}, t.ID)
				t.ID = id
			},
			"company": func(w *world, t *authn.Token) { t.Company = w.newCompany("beta").ID },
			"secret":  func(w *world, t *authn.Token) { t.Secret = make([]byte, 32) },
			"nothing": func(w *world, t *authn.Token) { t.Secret = nil },
			"kind":    func(w *world, t *authn.Token) { t.Kind = authn.AttemptToken },
			"a row that is copied from another": func(w *world, t *authn.Token) {
				other := w.newUser(w.company, "omar").newLink(authn.InvitationLink, nil)
				w.exec("UPDATE links SET token = (SELECT token FROM links WHERE id = $1) WHERE id = $2", t.ID, other.ID)
				t.ID = other.ID
			},
		} {
			w := newWorld(t, open)
			p := w.newPerson(w.company, "maya")
			token := p.newLink(authn.InvitationLink, map[string]string{"a": "b"})
			tamper(w, &token)
			k := authn.Keys{Company: token.Company, LinkToken: token}
			if rows := w.view(k); rows.Link != nil || rows.User != nil {
				t.Errorf("%s: %+v", name, rows.Link)
			}
			if err := w.write(k, authn.SpendLink{}); err == nil {
				t.Errorf("%s: spent", name)
			}
			k.Factor, k.Charge = p.app, authn.GuessFactor
			if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid {
				t.Errorf("%s: charged", name)
			}
		}
	})
	t.Run("a link of one person is nothing in a decision about another", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		token := p.newLink(authn.InvitationLink, nil)
		for name, k := range map[string]authn.Keys{"user": {User: q.id}, "login": {Login: "omar"}, "attempt": {AttemptToken: q.attemptIn(authn.Stranger)}} {
			k.Company, k.LinkToken = p.company, token
			if rows := w.view(k); rows.Link != nil || rows.User == nil || rows.User.ID != q.id {
				t.Errorf("%s: %+v", name, rows.Link)
			}
			w.want(w.write(k, authn.SpendLink{}), authn.Internal)
			k.Factor, k.Charge = q.app, authn.GuessFactor
			if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid {
				t.Errorf("%s: charged", name)
			}
		}
		if l := w.link(token); l == nil || !l.UsedAt.IsZero() {
			t.Errorf("%+v", l)
		}
	})
	t.Run("a link makes nothing good that has ended beside it", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		token, attempt := p.newLink(authn.NotMeLink, nil), p.attemptIn(authn.Stranger)
		_, session := p.newSession()
		k := authn.Keys{Company: p.company, LinkToken: token, Factor: p.app, Charge: authn.GuessFactor, AttemptToken: attempt}
		if c, _ := w.guess(k, authn.Void, time.Time{}, 0); !c.Paid {
			t.Fatal("both are good")
		}
		w.now = w.now.Add(24 * time.Hour)
		for name, k := range map[string]authn.Keys{"attempt": {AttemptToken: attempt}, "session": {SessionToken: session}, "no attempt": {Attempt: attempt.ID}} {
			k.Company, k.LinkToken, k.Factor, k.Charge = p.company, token, p.app, authn.GuessFactor
			if c, _ := w.guess(k, authn.Void, time.Time{}, 0); c.Paid {
				t.Errorf("%s: a guess is paid for", name)
			}
		}
	})
	t.Run("cve-28 inv-A of 100 who use one link one succeeds", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		token := p.newLink(authn.InvitationLink, nil)
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		nodes := []*store.Store{w.Store, again}
		var won, used atomic.Int64
		together(100, func(i int) {
			k := authn.Keys{Company: p.company, LinkToken: token, Now: w.now}
			err := nodes[i%2].Decide(w.ctx, k, func(r *authn.Rows) authn.Verdict {
				if i%4 > 1 && !r.Link.UsedAt.IsZero() { // half of them look, half do not
					return authn.Drop(authn.CodeUsed)
				}
				return authn.Accept(event("invitation.accepted", p.id), authn.SpendLink{})
			})
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, authn.Conflict), errors.Is(err, authn.CodeUsed):
				used.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 || used.Load() != 99 || w.count("SELECT count(*) FROM events WHERE type = 'invitation.accepted'") != 1 {
			t.Errorf("%d won", won.Load())
		}
		if l := w.link(token); l == nil || !l.UsedAt.Equal(w.now) {
			t.Errorf("its holder is not told that it is used: %+v", l)
		}
		k := authn.Keys{Company: p.company, LinkToken: token, Factor: p.app, Charge: authn.GuessFactor}
		if c, _ := w.guess(k, authn.Wrong, time.Time{}, 0); c.Paid {
			t.Error("a used link pays for a guess")
		}
	})
	t.Run("rul-45 a link that is over is shown and not used", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		token := p.newLink(authn.InvitationLink, nil)
		w.now = w.now.Add(7 * 24 * time.Hour)
		k := authn.Keys{Company: p.company, LinkToken: token, Now: w.now}
		if w.link(token) == nil {
			t.Error("its holder is not told that it is over")
		}
		w.want(w.write(k, authn.SpendLink{}), authn.Conflict)
		w.must(w.Store.Sweep(w.ctx, w.now.Add(48*time.Hour-time.Second)))
		if w.link(token) == nil {
			t.Error("swept too early")
		}
		w.must(w.Store.Sweep(w.ctx, w.now.Add(48*time.Hour)))
		if w.link(token) != nil {
			t.Error("not swept")
		}
	})
	t.Run("a mail scanner uses nothing", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		token := p.newLink(authn.InvitationLink, nil)
		before := w.dump()
		for range 3 {
			w.link(token)
		}
		if w.dump() != before {
			t.Error("looking changes something")
		}
		w.must(w.write(authn.Keys{Company: p.company, LinkToken: token}, authn.SpendLink{}))
	})
	t.Run("a new invitation takes the place of the old, and of nothing else", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		first, notMe, others := p.newLink(authn.InvitationLink, nil), p.newLink(authn.NotMeLink, nil), q.newLink(authn.InvitationLink, nil)
		owner := p.newLink(authn.OwnerLink, nil)
		again := p.newLink(authn.NotMeLink, nil)
		for name, c := range map[string]struct {
			token authn.Token
			good  bool
		}{"first": {first, false}, "owner": {owner, true}, "not me": {notMe, true}, "not me again": {again, true}, "another person's": {others, true}} {
			if good := w.link(c.token) != nil; good != c.good {
				t.Errorf("%s: %v", name, good)
			}
		}
	})
	t.Run("what no link is", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		good := authn.Link{ID: w.id(authn.LinkID), Purpose: authn.InvitationLink, ExpiresAt: w.now.Add(time.Hour)}
		token := authn.NewToken(authn.LinkToken, p.company, good.ID, rand.Reader)
		for name, change := range map[string]func(*authn.Link, *authn.Token){
			"another person's": func(l *authn.Link, _ *authn.Token) { l.User = q.id },
			"another id":       func(l *authn.Link, _ *authn.Token) { l.ID = w.id(authn.LinkID) },
			"another company":  func(_ *authn.Link, t *authn.Token) { t.Company = w.id(authn.CompanyID) },
			"another kind":     func(_ *authn.Link, t *authn.Token) { t.Kind = authn.SessionToken },
			"no secret":        func(_ *authn.Link, t *authn.Token) { t.Secret = nil },
		} {
			l, tok := good, token
			change(&l, &tok)
			if err := w.write(p.keys(), authn.NewLink{Link: l, Token: tok}); !errors.Is(err, authn.Internal) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.want(w.write(p.keys(), authn.SpendLink{}), authn.Internal)
	})
	t.Run("rul-4 the links that bring an address back are known again", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		used := p.newLink(authn.NotMeLink, map[string]string{"email": "used@acme.example"})
		p.newLink(authn.NotMeLink, nil)
		q.newLink(authn.NotMeLink, map[string]string{"email": "omar@acme.example"})
		p.newLink(authn.NotMeLink, map[string]string{"email": "old@acme.example", "changed": "2026-11-01T00:00:00Z"})
		w.must(w.write(authn.Keys{Company: p.company, LinkToken: used}, authn.SpendLink{}))
		if rows := w.view(p.keys()); rows.Replaced != nil {
			t.Errorf("not asked for: %+v", rows.Replaced)
		}
		k := p.keys()
		k.Replaced = true
		list := w.view(k).Replaced
		if len(list) != 1 || list[0].Args["email"] != "old@acme.example" || list[0].Args["changed"] == "" || list[0].Epoch != 1 || list[0].User != p.id ||
			!list[0].CreatedAt.Equal(w.now) || !list[0].ExpiresAt.Equal(w.now.Add(7*24*time.Hour)) {
			t.Errorf("%+v", list)
		}
		k.Now = w.now.Add(7 * 24 * time.Hour)
		if rows := w.view(k); len(rows.Replaced) != 0 {
			t.Errorf("over, and %+v", rows.Replaced)
		}
	})
	t.Run("std-61 what a link says is sealed in its place", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		token, other := p.newLink(authn.NotMeLink, map[string]string{"email": "canary@acme.example"}), p.newLink(authn.NotMeLink, map[string]string{"email": "x"})
		if all := w.dump() + w.Log.String(); strings.Contains(all, "canary") {
			t.Error("it can be read")
		}
		w.hides(token)
		w.exec("UPDATE links SET args = (SELECT args FROM links WHERE id = $1) WHERE id = $2", token.ID, other.ID)
		_, err := w.Store.View(w.ctx, authn.Keys{Company: p.company, LinkToken: other, Now: w.now})
		w.want(err, authn.Internal)
		if strings.Contains(err.Error(), "canary") {
			t.Error(err)
		}
	})
}

func runAddresses(t *testing.T, open opener) {
	// login leads to whom; empty: nobody.
	user := func(w *world, name string) string {
		if u := w.view(authn.Keys{Company: w.company.ID, Login: name}).User; u != nil {
			return u.ID
		}
		return ""
	}
	t.Run("rul-42 a new address leads to the person, and the old one to nobody", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		w.must(w.write(p.keys(), authn.SetEmail{Email: "Maya@Acme.example"}))
		if user(w, "maya@acme.example") != p.id || w.view(p.keys()).User.Email != "Maya@Acme.example" {
			t.Fatal("not set")
		}
		w.must(w.write(p.keys(), authn.SetEmail{Email: "new@acme.example"}))
		if user(w, "maya@acme.example") != "" || user(w, "NEW@acme.example") != p.id || user(w, "maya") != p.id {
			t.Error("the logins did not move")
		}
		if u := *w.view(p.keys()).User; u.Email != "new@acme.example" || u.Epoch != 1 {
			t.Errorf("%+v", u)
		}
		// The old one is free again.
		q := w.newUser(w.company, "omar")
		w.must(w.write(q.keys(), authn.SetEmail{Email: "maya@acme.example"}))
		if user(w, "maya@acme.example") != q.id {
			t.Error("the old address is not free")
		}
	})
	t.Run("rul-5 what was verified was the old address", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		guess := authn.Keys{Company: p.company, Login: "new@acme.example", Charge: authn.GuessPassword}
		for _, c := range []struct {
			email    string
			verified bool
		}{{"old@acme.example", true}, {"old@acme.example", true}, {"new@acme.example", false}} {
			w.must(w.write(p.keys(), authn.SetEmail{Email: c.email}))
			u := *w.view(p.keys()).User
			if c.email == "old@acme.example" && u.EmailVerifiedAt.IsZero() {
				u.EmailVerifiedAt = w.now
				w.must(w.write(p.keys(), authn.PutUser{User: u}))
			} else if u.EmailVerifiedAt.IsZero() == c.verified {
				t.Errorf("%s: %v", c.email, u.EmailVerifiedAt)
			}
		}
		if c, _ := w.guess(guess, authn.Wrong, time.Time{}, 0); c.Secret != nil {
			t.Error("an address that nobody confirmed signs in")
		}
		// With who confirmed it, in one verdict.
		w.must(w.decide(p.keys(), func(r *authn.Rows) authn.Verdict {
			u := *r.User
			u.Email, u.EmailVerifiedAt, u.EmailChangedAt = "third@acme.example", w.now, w.now
			return authn.Accept(event("email.changed", ""), authn.SetEmail{Email: u.Email}, authn.PutUser{User: u})
		}))
		guess.Login = "third@acme.example"
		if c, _ := w.guess(guess, authn.Wrong, time.Time{}, 0); string(c.Secret) != p.hash {
			t.Error("a confirmed one does not")
		}
	})
	t.Run("rul-42 a name that is taken leaves everything as it was", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar@acme.example") // a login name that looks like an address
		w.must(w.write(p.keys(), authn.SetEmail{Email: "maya@acme.example"}))
		beta := w.newCompany("beta")
		w.newUser(beta, "zoe@acme.example")
		before := w.dump()
		err := w.write(p.keys(), authn.EndAttempts{}, authn.SetEmail{Email: "Omar@acme.example"})
		w.want(err, authn.Conflict)
		if e := authn.AsError(err); len(e.Fields) != 1 || e.Fields[0].Name != "email" || e.Fields[0].Code != "taken" {
			t.Errorf("%+v", e)
		}
		for _, bad := range []string{"", " ", "a\x00b@acme.example", "\xff@acme.example", strings.Repeat("a", 300) + "@acme.example"} {
			w.want(w.write(p.keys(), authn.SetEmail{Email: bad}), authn.Invalid)
		}
		if w.dump() != before {
			t.Error("something was written")
		}
		if user(w, "maya@acme.example") != p.id || user(w, "omar@acme.example") != q.id {
			t.Error("the logins moved")
		}
		// In another company it is another name; one's own login name is one's own.
		w.must(w.write(p.keys(), authn.SetEmail{Email: "zoe@acme.example"}))
		w.must(w.write(q.keys(), authn.SetEmail{Email: "omar@acme.example"}))
		if user(w, "omar@acme.example") != q.id || w.count("SELECT count(*) FROM logins WHERE user_id = $1", q.id) != 1 {
			t.Error("a login name that is the address")
		}
		w.must(w.write(q.keys(), authn.SetEmail{Email: "other@acme.example"}))
		if user(w, "omar@acme.example") != q.id || user(w, "other@acme.example") != q.id {
			t.Error("the login name went with the address")
		}
	})
	t.Run("one address is taken once, whoever is first", func(t *testing.T) {
		w := newWorld(t, open)
		people := make([]*person, 20)
		for i := range people {
			people[i] = w.newUser(w.company, string(rune('a'+i))+"user")
		}
		var won atomic.Int64
		together(len(people), func(i int) {
			err := w.write(people[i].keys(), authn.SetEmail{Email: "one@acme.example"})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, authn.Conflict) {
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 || w.count("SELECT count(*) FROM users WHERE email = 'one@acme.example'") != 1 || w.count("SELECT count(*) FROM logins WHERE kind = 'email'") != 1 {
			t.Errorf("%d won", won.Load())
		}
	})
	t.Run("ForgetBrowsers makes strangers of the others, or of all", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
		lanes := func() (known string) {
			for _, b := range []string{"a", "b", "c"} {
				k := p.keys()
				k.Browser = b
				if w.view(k).Lane == authn.Known {
					known += b
				}
			}
			return known
		}
		for _, c := range []struct {
			browser string
			all     bool
			want    string
		}{{"a", false, "a"}, {"", false, ""}, {"a", true, ""}, {"", true, ""}, {"z", false, ""}} {
			for _, b := range []string{"a", "b", "c"} {
				for _, who := range []*person{p, q} {
					k := who.keys()
					k.Browser = b
					w.must(w.write(k, authn.KnowBrowser{Factor: "fac_1"}))
				}
			}
			k := p.keys()
			k.Browser = c.browser
			w.must(w.write(k, authn.ForgetBrowsers{All: c.all}, authn.KnowBrowser{Factor: "fac_2", Known: true}))
			if got := lanes(); got != c.want {
				t.Errorf("%+v: %q are known", c, got)
			}
		}
		if n := w.count("SELECT count(*) FROM devices WHERE user_id = $1", q.id); n != 3 {
			t.Errorf("another person has %d left", n)
		}
	})
}
