package sallyporttest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

func testLetterFailed(open opener) func(*testing.T) {
	return func(t *testing.T) {
		s := newPost(t, open)
		id := s.letter("a@acme.example", "")
		row := func() (next, tries int64, reason string) {
			s.must(s.SQL.QueryRow("SELECT next_at, tries, reason FROM outbox WHERE id = $1", id).Scan(&next, &tries, &reason))
			return next, tries, reason
		}
		check := func(what string, at time.Time, wantTries int64, wantReason string) {
			t.Helper()
			if next, tries, reason := row(); next != at.UnixMicro() || tries != wantTries || reason != wantReason {
				t.Errorf("%s: next %v, %d tries, reason %q", what, time.UnixMicro(next).UTC(), tries, reason)
			}
		}
		s.one()
		check("claimed", s.now.Add(lease), 1, "")
		s.must(s.Store.LetterFailed(s.ctx, s.company.ID, id, s.now.Add(time.Second), "", nil))
		check("handed back", s.now.Add(time.Second), 0, "")
		s.must(s.Store.LetterFailed(s.ctx, s.company.ID, id, s.now, "", nil))
		check("never below none", s.now.Add(time.Second), 0, "")
		s.now = s.now.Add(time.Second)
		s.one()
		next := s.now.Add(10 * time.Minute)
		s.must(s.Store.LetterFailed(s.ctx, s.company.ID, id, next, "421\x00\xff later", nil))
		check("failed", next, 1, "421\uFFFD\uFFFD later")
		s.now = next
		s.one()
		check("again", s.now.Add(lease), 2, "421\uFFFD\uFFFD later")
		// Another company, another letter: nothing.
		s.must(s.Store.LetterFailed(s.ctx, "cmp_other", id, s.now, "x", nil))
		s.must(s.Store.LetterSent(s.ctx, "cmp_other", id, s.now))
		check("another company", s.now.Add(lease), 2, "421\uFFFD\uFFFD later")
		// Given up by two at once: one event.
		together(4, func(int) {
			ev := event("message.failed", s.p.id)
			ev.At, ev.Personal.Detail = s.now, map[string]string{"reason": "550 5.1.1"}
			if err := s.Store.LetterFailed(s.ctx, s.company.ID, id, time.Time{}, "550 5.1.1", &ev); err != nil {
				t.Error(err)
			}
		})
		if s.waiting() != 0 || s.count("SELECT count(*) FROM events WHERE type = 'message.failed'") != 1 {
			t.Error("not given up with one event")
		}
		events, err := s.Store.Events(s.ctx, s.company.ID, authn.EventQuery{Limit: 1})
		s.must(err)
		if ev := events[0]; ev.Type != "message.failed" || ev.Target != s.p.id || ev.Personal.Detail["reason"] != "550 5.1.1" {
			t.Errorf("%+v", ev)
		}
		// Written by whoever has no event to write: neither.
		id = s.letter("a@acme.example", "")
		bad := event("message.failed", s.p.id)
		bad.ID = "no id"
		s.want(s.Store.LetterFailed(s.ctx, s.company.ID, id, s.now, "x", &bad), authn.Internal)
		if s.waiting() != 1 {
			t.Error("given up without its event")
		}
		s.must(s.Store.LetterSent(s.ctx, s.company.ID, id, s.now))
		s.must(s.Store.LetterSent(s.ctx, s.company.ID, id, s.now))
		if s.waiting() != 0 {
			t.Error("taken and still there")
		}
		// Two nodes, one that sent it and one that gave up, never wait in a circle.
		var ids []string
		for range 30 {
			ids = append(ids, s.letter("a@acme.example", ""))
		}
		together(60, func(i int) {
			var err error
			if i%2 == 0 {
				err = s.Store.LetterSent(s.ctx, s.company.ID, ids[i/2], s.now)
			} else {
				err = s.Store.LetterFailed(s.ctx, s.company.ID, ids[i/2], s.now, "x", nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
		if s.waiting() != 0 {
			t.Errorf("%d are left", s.waiting())
		}
	}
}

func testCodeLetters(open opener) func(*testing.T) {
	return func(t *testing.T) {
		s := newPost(t, open)
		mailbox, token := s.p.newMailbox(), s.p.attemptIn(authn.Stranger)
		k := authn.Keys{Company: s.company.ID, AttemptToken: token, Factor: mailbox}
		send := func() (authn.Challenge, string) {
			c := s.p.challenge(token.ID, mailbox)
			l := authn.Letter{ID: s.id(authn.MessageID), Template: "code", To: "maya@acme.example", ExpiresAt: c.ExpiresAt}
			s.must(s.write(k, authn.NewChallenge{Challenge: c}, authn.NewLetter{Letter: l, Challenge: c.ID}))
			return c, l.ID
		}
		_, id := send()
		l := s.one()
		if want := s.seeds(k); l.ID != id || len(want) != 1 || len(l.Seed) != 32 || !bytes.Equal(l.Seed, want[0].Seed) {
			t.Fatalf("%+v", l)
		}
		s.must(s.Store.LetterSent(s.ctx, s.company.ID, id, s.now))
		q := s.newUser(s.company, "omar")
		for name, spoil := range map[string]func(authn.Challenge){
			"used":            func(authn.Challenge) { s.must(s.write(k, authn.ConsumeChallenges{Factor: mailbox})) },
			"over":            func(c authn.Challenge) { s.now = c.ExpiresAt },
			"gone":            func(c authn.Challenge) { s.exec("DELETE FROM challenges WHERE id = $1", c.ID) },
			"another's":       func(c authn.Challenge) { s.exec("UPDATE challenges SET user_id = $1 WHERE id = $2", q.id, c.ID) },
			"another key's":   func(c authn.Challenge) { s.exec("UPDATE challenges SET key_id = 'x' WHERE id = $1", c.ID) },
			"another company": func(c authn.Challenge) { s.exec("DELETE FROM challenges WHERE id = $1", c.ID) },
		} {
			c, _ := send()
			spoil(c)
			if list := s.claim(); len(list) != 0 || s.waiting() != 0 {
				t.Errorf("%s: %+v, %d left", name, list, s.waiting())
			}
		}
		// Nobody who writes to the database has a code sent with another letter.
		notice := s.letter("canary@acme.example", "")
		c, code := send()
		s.exec("UPDATE outbox SET challenge = $1, template = 'code' WHERE id = $2", c.ID, notice)
		for _, l := range s.claim() {
			if l.ID != code {
				t.Errorf("%+v", l)
			}
		}
	}
}

func testTellOwners(open opener) func(*testing.T) {
	return func(t *testing.T) {
		s := newPost(t, open)
		owner := func(login, email, locale string, change func(*authn.User)) {
			p := s.newUser(s.company, login)
			u := *s.view(p.keys()).User
			u.Roles, u.Locale = []string{"auditor", "owner"}, locale
			if email != "" {
				s.must(s.write(p.keys(), authn.SetEmail{Email: email}))
				u.Email, u.EmailVerifiedAt = email, s.now
			}
			if change != nil {
				change(&u)
			}
			s.must(s.write(p.keys(), authn.PutUser{User: u}))
		}
		owner("a", "a@acme.example", "pl", nil)
		owner("b", "b@acme.example", "en-GB", nil)
		owner("c", "c@acme.example", "", func(u *authn.User) { u.EmailVerifiedAt = time.Time{} })
		owner("d", "d@acme.example", "", func(u *authn.User) { u.Status = authn.Suspended })
		owner("e", "e@acme.example", "", func(u *authn.User) { u.Roles = []string{"admin", "co-owner"} })
		owner("f", "", "", func(u *authn.User) { u.EmailVerifiedAt = s.now }) // verified, and none
		owner("g", "", "", nil)
		beta := s.newCompany("beta")
		id := s.id(authn.UserID)
		s.must(s.write(authn.Keys{Company: beta.ID, User: id}, authn.NewUser{User: authn.User{ID: id, Email: "x@beta.example", EmailVerifiedAt: s.now,
			Status: authn.Active, Roles: []string{"owner"}}}))
		args := map[string]string{"name": "Maya"}
		s.must(s.tell(s.p.keys(), event("x.done", s.p.id), authn.TellOwners{Letter: authn.Letter{Template: "secured_admin", Args: args}}))
		got := map[string]string{}
		for _, l := range s.claim() {
			got[l.To] = l.Args["locale"]
			if l.User.ID != s.p.id || l.Template != "secured_admin" || l.Args["name"] != "Maya" || !l.Link.IsZero() {
				t.Errorf("%+v", l)
			}
		}
		if want := map[string]string{"a@acme.example": "pl", "b@acme.example": "en-GB"}; !maps.Equal(got, want) {
			t.Errorf("%v", got)
		}
		if len(args) != 1 {
			t.Error("the caller's letter is changed")
		}
		// Who was one when they came is one; who is one no more is told nothing.
		s.exec("DELETE FROM outbox")
		s.must(s.write(authn.Keys{Company: beta.ID, User: id}, authn.TellOwners{Letter: authn.Letter{}}))
		if l := s.one(); l.To != "x@beta.example" {
			t.Errorf("%+v", l)
		}
		s.must(s.decide(authn.Keys{Company: beta.ID, User: id}, func(r *authn.Rows) authn.Verdict {
			u := *r.User
			u.Roles = nil
			return authn.Accept(event("x.done", ""), authn.PutUser{User: u}, authn.TellOwners{Letter: authn.Letter{}})
		}))
		if n := s.waiting(); n != 1 {
			t.Errorf("%d letters", n)
		}
		// A company of very many owners does not fill the outbox.
		for i := range 60 {
			owner(fmt.Sprintf("z%d", i), fmt.Sprintf("z%d@acme.example", i), "", nil)
		}
		s.exec("DELETE FROM outbox")
		s.must(s.write(s.p.keys(), authn.TellOwners{Letter: authn.Letter{}}))
		if n := s.waiting(); n != 50 {
			t.Errorf("%d letters", n)
		}
	}
}

// Who holds one of the roles is told after the owners: of this company, active, with a
// verified address, no program, and not whom it is about.
func testTellHolders(open opener) func(*testing.T) {
	return func(t *testing.T) {
		s := newPost(t, open)
		holder := func(company authn.Company, login string, roles []string, change func(*authn.User)) {
			id := s.id(authn.UserID)
			u := authn.User{ID: id, Login: login, Email: login + "@" + company.Slug + ".example", EmailVerifiedAt: s.now, Status: authn.Active, Roles: roles}
			if change != nil {
				change(&u)
			}
			s.must(s.write(authn.Keys{Company: company.ID, User: id}, authn.NewUser{User: u}))
		}
		beta := s.newCompany("beta")
		holder(s.company, "desk", []string{"member", "helpdesk"}, func(u *authn.User) { u.Locale = "pl" })
		holder(s.company, "guard", []string{"guards"}, nil)
		holder(s.company, "both", []string{"guards", "helpdesk", "owner"}, nil)
		holder(s.company, "boss", []string{"owner"}, nil)
		holder(s.company, "member", []string{"member"}, nil)
		holder(s.company, "alike", []string{"guards2", "xhelpdesk"}, nil)
		holder(s.company, "unverified", []string{"helpdesk"}, func(u *authn.User) { u.EmailVerifiedAt = time.Time{} })
		holder(s.company, "set", []string{"helpdesk"}, func(u *authn.User) { u.EmailVerifiedAt, u.EmailTrustedAt = time.Time{}, s.now })
		holder(s.company, "gone", []string{"helpdesk"}, func(u *authn.User) { u.Status = authn.Suspended })
		holder(s.company, "program", []string{"helpdesk"}, func(u *authn.User) { u.API = true })
		holder(beta, "far", []string{"helpdesk", "guards"}, nil)
		u := *s.view(s.p.keys()).User
		u.Roles = []string{"helpdesk"}
		s.must(s.write(s.p.keys(), authn.SetEmail{Email: "self@acme.example"}))
		u.Email, u.EmailVerifiedAt = "self@acme.example", s.now
		s.must(s.write(s.p.keys(), authn.PutUser{User: u}))
		told := func(also ...string) []string {
			s.exec("DELETE FROM outbox")
			s.must(s.write(s.p.keys(), authn.TellOwners{Letter: authn.Letter{Template: "x"}, Also: also}))
			var list []string
			for _, l := range s.claim() {
				list = append(list, strings.TrimSuffix(l.To, "@acme.example")+l.Args["locale"])
			}
			slices.Sort(list)
			return list
		}
		for _, c := range []struct {
			also []string
			want string
		}{
			{nil, "boss both"},
			{[]string{"helpdesk"}, "boss both deskpl"},
			{[]string{"administrator", "guards", "helpdesk"}, "boss both deskpl guard"},
			{[]string{"nobodys"}, "boss both"},
		} {
			if got := strings.Join(told(c.also...), " "); got != c.want {
				t.Errorf("%q: %s, want %s", c.also, got, c.want)
			}
		}
		// 50 in all, and no owner is left out for others.
		for i := range 45 {
			holder(s.company, fmt.Sprintf("d%d", i), []string{"helpdesk"}, nil)
		}
		for i := range 10 {
			holder(s.company, fmt.Sprintf("o%d", i), []string{"owner"}, nil)
		}
		list := told("helpdesk", "guards")
		owners := len(slices.DeleteFunc(slices.Clone(list), func(to string) bool { return to != "boss" && to != "both" && to[0] != 'o' }))
		if len(list) != 50 || owners != 12 {
			t.Errorf("%d letters, %d to owners", len(list), owners)
		}
	}
}

func testBrokenLetter(open opener) func(*testing.T) {
	return func(t *testing.T) {
		s := newPost(t, open)
		breaks := map[string]string{
			"text":      "UPDATE outbox SET sealed = $1 WHERE id = $2",
			"template":  "UPDATE outbox SET template = 'code' WHERE id = $2 AND sealed <> $1",
			"channel":   "UPDATE outbox SET channel = 'sms' WHERE id = $2 AND sealed <> $1",
			"challenge": "UPDATE challenges SET destination = $1 WHERE id = $2",
		}
		var broken, good []string
		for _, name := range slices.Sorted(maps.Keys(breaks)) {
			id := s.letter("a@acme.example", name)
			target := id
			if name == "challenge" {
				mailbox, token := s.p.newMailbox(), s.p.attemptIn(authn.Stranger)
				c := s.p.challenge(token.ID, mailbox)
				c.ExpiresAt = s.now.Add(100 * time.Hour)
				s.exec("DELETE FROM outbox WHERE id = $1", id)
				s.must(s.write(authn.Keys{Company: s.company.ID, AttemptToken: token}, authn.NewChallenge{Challenge: c},
					authn.NewLetter{Letter: authn.Letter{ID: id, To: "a@acme.example"}, Challenge: c.ID}))
				target = c.ID
			}
			s.exec(breaks[name], []byte("damaged"), target)
			broken = append(broken, id)
			s.now = s.now.Add(time.Second)
			good = append(good, s.letter("b@acme.example", name))
			s.now = s.now.Add(time.Second)
		}
		var got []string
		for _, l := range s.claim() {
			got = append(got, l.ID)
		}
		if !slices.Equal(got, good) {
			t.Fatalf("%d of %d letters come", len(got), len(good))
		}
		// They stand in nobody's way, and the operator sees them.
		if st := s.state(); st.Failing != len(broken) || st.LastFail == "" {
			t.Errorf("%+v", st)
		}
		for _, id := range good {
			s.must(s.Store.LetterSent(s.ctx, s.company.ID, id, s.now))
		}
		s.now = s.now.Add(10 * time.Minute)
		late := s.letter("c@acme.example", "")
		list, err := s.Store.ClaimLetters(s.ctx, s.now, 1, lease)
		s.must(err)
		if len(list) != 1 || list[0].ID != late {
			t.Errorf("%+v", list)
		}
		s.must(s.Store.LetterSent(s.ctx, s.company.ID, late, s.now))
		if _, ok, err := s.Store.ClaimLetter(s.ctx, s.company.ID, broken[0], s.now.Add(2*time.Hour), lease); ok || !errors.Is(err, authn.Internal) {
			t.Errorf("asked for by its name: %v %v", ok, err)
		}
		// What was mended is sent; the rest is given up with an event when it is too late.
		s.exec("UPDATE outbox SET template = 'test' WHERE template = 'code'")
		s.now = s.now.Add(4 * time.Hour)
		if l := s.one(); l.Args["text"] != "template" {
			t.Errorf("%+v", l)
		} else {
			s.must(s.Store.LetterSent(s.ctx, s.company.ID, l.ID, s.now))
		}
		s.now = s.now.Add(72 * time.Hour)
		if list := s.claim(); len(list) != 0 || s.waiting() != 0 || s.count("SELECT count(*) FROM events WHERE type = 'message.failed' AND target = $1", s.p.id) != len(broken)-1 {
			t.Errorf("%d letters, %d waiting", len(list), s.waiting())
		}
		if strings.Contains(s.Log.String(), "a@acme.example") {
			t.Error("the log has an address")
		}
	}
}
