package sallyporttest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

type opener = func(*testing.T) *Fixture

func runPeople(t *testing.T, open opener) {
	t.Run("a company is stored as it was given", func(t *testing.T) {
		w := newWorld(t, open)
		got, err := w.Store.CompanyBySlug(w.ctx, "acme")
		w.must(err)
		if !reflect.DeepEqual(got, w.company) {
			t.Errorf("got %+v, want %+v", got, w.company)
		}
	})
	t.Run("rul-5 no slug means the only company", func(t *testing.T) {
		w := newWorld(t, open)
		got, err := w.Store.CompanyBySlug(w.ctx, "")
		w.must(err)
		if got.ID != w.company.ID {
			t.Errorf("got %s", got.ID)
		}
		w.newCompany("beta")
		_, err = w.Store.CompanyBySlug(w.ctx, "")
		w.want(err, authn.NotFound)
		_, err = w.Store.CompanyBySlug(w.ctx, "gamma")
		w.want(err, authn.NotFound)
		all, err := w.Store.Companies(w.ctx)
		w.must(err)
		if len(all) != 2 {
			t.Errorf("%d companies", len(all))
		}
	})
	t.Run("a slug is taken once", func(t *testing.T) {
		w := newWorld(t, open)
		c := authn.Company{ID: w.id(authn.CompanyID), Slug: "acme", CreatedAt: w.now}
		w.want(w.Store.CreateCompany(w.ctx, c, event("company.created", "")), authn.Conflict)
		if n := w.count("SELECT count(*) FROM company_keys"); n != 1 {
			t.Errorf("%d keys", n)
		}
	})
	t.Run("every column of a user comes back", testUserColumns(open))
	t.Run("rul-42 one namespace for names and addresses", testLogins(open))
	t.Run("rul-5 an unverified address signs nobody in", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		w.exec("INSERT INTO logins (company, name, user_id, kind) VALUES ($1, $2, $3, 'email')", p.company, "maya@example.com", p.id)
		k := authn.Keys{Company: p.company, Login: "maya@example.com", Charge: authn.GuessPassword}
		var rows authn.Rows
		look := func(r *authn.Rows) authn.Verdict { rows = *r; return authn.Drop(authn.WrongCredentials) }
		w.want(w.decide(k, look), authn.WrongCredentials)
		if rows.User != nil || rows.Charged.Secret != nil || len(rows.Factors) != 0 {
			t.Error("the unverified address leads to the password")
		}
		if got := w.view(authn.Keys{Company: p.company, Login: "maya@example.com"}); got.User == nil {
			t.Error("an operator cannot look it up")
		}
		w.exec("UPDATE users SET email_verified_at = 1 WHERE id = $1", p.id)
		w.want(w.decide(k, look), authn.WrongCredentials)
		if rows.User == nil || string(rows.Charged.Secret) != p.hash {
			t.Error("the verified address does not lead to the password")
		}
	})
	t.Run("users are listed in pages", func(t *testing.T) {
		w := newWorld(t, open)
		other := w.newCompany("beta")
		w.newUser(other, "stranger")
		want := map[string]bool{}
		for i := range 5 {
			want[w.newUser(w.company, fmt.Sprintf("user%d", i)).id] = true
		}
		after := ""
		for {
			page, err := w.Store.Users(w.ctx, w.company.ID, after, 2)
			w.must(err)
			if len(page) == 0 {
				break
			}
			for _, u := range page {
				if !want[u.ID] || u.ID <= after {
					t.Fatalf("unexpected %s", u.ID)
				}
				delete(want, u.ID)
				after = u.ID
			}
		}
		if len(want) != 0 {
			t.Errorf("missing %v", want)
		}
	})
	t.Run("rul-52 a policy is saved over the version it was made from", func(t *testing.T) {
		w := newWorld(t, open)
		k := authn.Keys{Company: w.company.ID}
		policy := []byte(`{"b": "ü", "a": [1]}`)
		w.must(w.write(k, authn.SetPolicy{Policy: policy, Version: 2}))
		w.want(w.write(k, authn.SetPolicy{Policy: []byte(`{}`), Version: 2}), authn.Conflict)
		w.want(w.write(k, authn.SetPolicy{Policy: []byte(`{`), Version: 3}), authn.Internal)
		c := w.view(k).Company
		if c.PolicyVersion != 2 || string(c.Policy) != string(policy) {
			t.Errorf("version %d: %s", c.PolicyVersion, c.Policy)
		}
	})
	t.Run("poison text is stored safely", testPoison(open))
}

func testUserColumns(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		at := func(n int) time.Time { return w.now.Add(time.Duration(n) * time.Minute) }
		u := authn.User{Company: w.company.ID, ID: w.id(authn.UserID), Login: "Maya", Email: "Maya@Example.com", EmailVerifiedAt: at(1),
			Name: "Maya Ü", Locale: "de-CH", Audience: authn.ExternalAudience, Status: authn.Suspended, Roles: []string{"owner", "member"},
			RequireTwoFactor: true, Epoch: 3, PasswordChangedAt: at(2), WrongInRow: 4, WrongInMonth: 5, MonthStart: at(3),
			PasswordKnownAt: at(4), CreatedAt: at(5), Phone: "+41791234567", PhoneTrustedAt: at(11), PhoneChangedAt: at(12)}
		k := authn.Keys{Company: w.company.ID, User: u.ID}
		w.must(w.write(k, authn.NewUser{User: u, Logins: []authn.Login{{Name: "maya", Kind: "name"}}}))
		if got := w.view(k).User; !reflect.DeepEqual(*got, u) {
			t.Errorf("got  %+v\nwant %+v", *got, u)
		}
		v := authn.User{Company: u.Company, ID: u.ID, Login: "m", Email: "m@example.org", EmailVerifiedAt: at(6), Name: "M", Locale: "fr",
			Audience: authn.InternalAudience, Status: authn.Active, Roles: []string{"helpdesk"}, Epoch: 4, PasswordChangedAt: at(7),
			WrongInRow: 1, WrongInMonth: 2, MonthStart: at(8), PasswordKnownAt: at(9), CreatedAt: at(10), Phone: "+48512345678", PhoneTrustedAt: at(13), PhoneChangedAt: at(14)}
		w.must(w.write(k, authn.PutUser{User: v}))
		if got := w.view(k).User; !reflect.DeepEqual(*got, v) {
			t.Errorf("got  %+v\nwant %+v", *got, v)
		}
	}
}

func testLogins(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		create := func(logins ...authn.Login) error {
			id := w.id(authn.UserID)
			return w.write(authn.Keys{Company: w.company.ID, User: id}, authn.NewUser{User: authn.User{ID: id, EmailVerifiedAt: w.now}, Logins: logins})
		}
		w.must(create(authn.Login{Name: "maya", Kind: "name"}, authn.Login{Name: "maya@example.com", Kind: "email"}))
		for _, c := range []struct {
			field  string
			logins []authn.Login
		}{
			{"login", []authn.Login{{Name: "maya", Kind: "name"}}},
			{"email", []authn.Login{{Name: "zoe", Kind: "name"}, {Name: "maya@example.com", Kind: "email"}}},
			{"email", []authn.Login{{Name: "zoe", Kind: "name"}, {Name: "maya", Kind: "email"}}},
			{"login", []authn.Login{{Name: "maya@example.com", Kind: "name"}}},
		} {
			var e *authn.Error
			if err := create(c.logins...); !errors.As(err, &e) || e.Code != authn.Conflict || len(e.Fields) != 1 || e.Fields[0].Name != c.field {
				t.Errorf("%v: %v %+v", c.logins, err, e)
			}
		}
		// Of a user that was refused nothing stays: neither the row nor the free name.
		if n := w.count("SELECT count(*) FROM users"); n != 1 {
			t.Errorf("%d users", n)
		}
		w.must(create(authn.Login{Name: "zoe", Kind: "name"}))
		w.must(create(authn.Login{Name: "b@example.com", Kind: "email"}, authn.Login{Name: "b@example.com", Kind: "name"}))
		w.want(create(authn.Login{Name: "Ben", Kind: "name"}), authn.Invalid)
		other := w.newCompany("beta")
		w.newUser(other, "maya") // another company is another namespace
		for _, name := range []string{"maya", "maya@example.com"} {
			if got := w.view(authn.Keys{Company: w.company.ID, Login: name}); got.User == nil {
				t.Errorf("%s leads to nobody", name)
			}
		}
	}
}

// poison is what made other products' statements fail, or worse.
var poison = []string{"nul\x00byte", "\xff\xfe broken", "quote ' \" ` ; --", "\\", strings.Repeat("long ü ", 50_000), "\u202e bidi", "%s $1 {{.}}"}

func testPoison(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		for i, text := range poison {
			p := w.newUser(w.company, fmt.Sprintf("user%d", i))
			u := *w.view(p.keys()).User
			u.Name, u.Locale, u.Roles = text, text, []string{text}
			a, token := p.newAttempt("")
			ev := authn.Event{Type: text, Actor: text, Target: p.id, Personal: authn.Personal{Address: text, Agent: text,
				Detail: map[string]string{text: text, "k": text}}}
			k := p.keys()
			k.AttemptToken, k.Browser, k.Login = token, text, ""
			a.Version, a.Action, a.ReturnTo, a.State = 2, text, text, authn.State(text)
			se := authn.Session{Company: p.company, ID: w.id(authn.SessionID), User: p.id, AMR: []string{text}, ACR: text, Agent: text, Attempt: text,
				ReturnTo: text, CreatedAt: w.now, LastSeenAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
			st := authn.NewToken(authn.SessionToken, p.company, se.ID, zeros{})
			f := authn.Factor{ID: w.id(authn.FactorID), Kind: authn.SMS, State: authn.Pending, Name: text, Attempt: text, ExpiresAt: w.now.Add(time.Hour)}
			w.must(w.decide(k, func(*authn.Rows) authn.Verdict {
				return authn.Accept(ev, authn.PutUser{User: u}, authn.PutAttempt{Attempt: a}, authn.NewSession{Session: se, Token: st},
					authn.NewFactor{Factor: f, Secret: []byte(text)[:min(len(text), 100)]}, authn.KnowBrowser{})
			}))
			if got := w.view(authn.Keys{Company: p.company, SessionToken: st, Browser: text}); got.Session == nil || got.Lane != authn.Known {
				t.Errorf("%.20q: session or browser lost", text)
			}
			for _, k := range []authn.Keys{
				{Company: text}, {Company: p.company, User: text}, {Company: p.company, Login: text, Charge: authn.GuessPassword},
				{Company: p.company, User: p.id, Session: text}, {Company: p.company, Attempt: text, Browser: text},
				{Company: p.company, User: p.id, Factor: text, Charge: authn.GuessFactor, Browser: text},
			} {
				err := w.decide(k, func(*authn.Rows) authn.Verdict { return authn.Drop(authn.WrongCredentials) })
				if !errors.Is(err, authn.WrongCredentials) && !errors.Is(err, authn.NotFound) {
					t.Errorf("%.20q: %v", text, err)
				}
			}
			w.must(w.Store.SetMark(w.ctx, text, text))
			_, err := w.Store.CompanyBySlug(w.ctx, text)
			w.want(err, authn.NotFound)
			_, err = w.Store.Events(w.ctx, w.company.ID, authn.EventQuery{Target: text, Before: text})
			w.must(err)
			_, err = w.Store.Users(w.ctx, w.company.ID, text, 1)
			w.must(err)
			_, err = w.Store.Acquire(w.ctx, text, text, w.now, time.Minute)
			w.must(err)
		}
		if _, err := w.Store.Events(w.ctx, w.company.ID, authn.EventQuery{Limit: 200}); err != nil {
			t.Error(err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
