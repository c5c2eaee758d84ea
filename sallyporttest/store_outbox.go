package sallyporttest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// post is a world whose store writes letters: of every event whose type begins
// with "tell.".
type post struct {
	*world
	silent *store.Store // on the same database, without mail
	p      *person
}

const lease = time.Minute

func newPost(t *testing.T, open opener) *post {
	t.Helper()
	w := newWorld(t, open)
	w.Notice = func(ev authn.Event) (authn.Template, bool) {
		template, ok := strings.CutPrefix(ev.Type, "tell.")
		return authn.Template(template), ok
	}
	s := &post{world: w, silent: w.Store}
	var err error
	w.Store, err = w.Again(t, w.Keyring)
	w.must(err)
	s.p = w.newUser(w.company, "maya")
	s.p.verified("maya@acme.example")
	return s
}

func (p *person) verified(email string) {
	p.w.t.Helper()
	u := *p.w.view(p.keys()).User
	u.Email, u.EmailVerifiedAt = email, p.w.now
	p.w.must(p.w.write(p.keys(), authn.SetEmail{Email: email}, authn.PutUser{User: u}))
}

// letter puts one into the outbox that says text.
func (s *post) letter(to, text string) string {
	s.t.Helper()
	l := authn.Letter{ID: s.id(authn.MessageID), Template: "test", To: to, Args: map[string]string{"text": text}}
	s.must(s.write(s.p.keys(), authn.NewLetter{Letter: l}))
	return l.ID
}

func (s *post) claim() []authn.Letter {
	s.t.Helper()
	list, err := s.Store.ClaimLetters(s.ctx, s.now, 0, lease)
	s.must(err)
	return list
}

// one claims the only letter.
func (s *post) one() authn.Letter {
	s.t.Helper()
	list := s.claim()
	if len(list) != 1 {
		s.t.Fatalf("%d letters", len(list))
	}
	return list[0]
}

func (s *post) waiting() int { s.t.Helper(); return s.count("SELECT count(*) FROM outbox") }

func (s *post) state() authn.OutboxState {
	s.t.Helper()
	st, err := s.Store.OutboxState(s.ctx)
	s.must(err)
	return st
}

func (s *post) tell(k authn.Keys, ev authn.Event, writes ...authn.Write) error {
	return s.decide(k, func(*authn.Rows) authn.Verdict { return authn.Accept(ev, writes...) })
}

func runOutbox(t *testing.T, open opener) {
	t.Run("rul-35 a person hears of what happened, with a link", func(t *testing.T) {
		s := newPost(t, open)
		ev := event("tell.factor_on", s.p.id)
		ev.ID, ev.Actor = s.id(authn.EventID), s.p.id
		ev.Personal.Detail = map[string]string{"method": "totp", "by": "spoofed", "type": "spoofed"}
		s.must(s.tell(s.p.keys(), ev))
		l := s.one()
		want := map[string]string{"method": "totp", "by": "self", "type": "tell.factor_on", "agent": "Chrome on Windows", "address": "192.0.2.7"}
		if l.Template != "factor_on" || l.Channel != authn.Email || l.To != "maya@acme.example" || !maps.Equal(l.Args, want) || l.User.ID != s.p.id ||
			l.Company.ID != s.company.ID || l.Company.Name != s.company.Name || !l.At.Equal(s.now) || !l.ExpiresAt.Equal(s.now.Add(72*time.Hour)) || l.Tries != 1 || l.Seed != nil {
			t.Errorf("%+v", l)
		}
		rows := s.view(authn.Keys{Company: s.company.ID, LinkToken: l.Link})
		if rows.Link == nil || rows.Link.Purpose != authn.NotMeLink || !rows.Link.Mailed || rows.User.ID != s.p.id || !rows.Link.ExpiresAt.Equal(s.now.Add(7*24*time.Hour)) {
			t.Errorf("%+v", rows.Link)
		}
		if rows.Link.Event != ev.ID {
			t.Errorf("the link asks about %s", rows.Link.Event)
		}
	})
	t.Run("rul-35 a notice is written with its event, or neither is", func(t *testing.T) {
		s := newPost(t, open)
		before := s.count("SELECT count(*) FROM events")
		s.want(s.tell(s.p.keys(), event("tell.x", s.p.id), authn.EndSession{ID: "ses_none"}), authn.Conflict)
		ev := event("tell.x", s.p.id)
		ev.ID = "no id"
		s.want(s.tell(s.p.keys(), ev, authn.NewLetter{Letter: authn.Letter{ID: s.id(authn.MessageID), To: "x"}}), authn.Internal)
		s.want(s.decide(s.p.keys(), func(*authn.Rows) authn.Verdict {
			return authn.Accept(event("tell.x", s.p.id)).And(authn.Event{Type: "x", Company: "cmp_other"})
		}), authn.Internal)
		if s.waiting() != 0 || s.count("SELECT count(*) FROM links") != 0 || s.count("SELECT count(*) FROM events") != before {
			t.Error("half of it is there")
		}
		// A refusal is committed, and so is what it means.
		s.want(s.decide(s.p.keys(), func(*authn.Rows) authn.Verdict { return authn.Refuse(authn.WrongCode, event("tell.x", s.p.id)) }), authn.WrongCode)
		if s.waiting() != 1 || s.count("SELECT count(*) FROM events") != before+1 {
			t.Error("a refusal is not told")
		}
	})
	t.Run("without mail nothing is written, but text messages", func(t *testing.T) {
		s := newPost(t, open)
		s.Store = s.silent
		s.must(s.tell(s.p.keys(), event("tell.x", s.p.id), authn.TellOwners{Letter: authn.Letter{Template: "x"}},
			authn.NewLetter{Letter: authn.Letter{ID: s.id(authn.MessageID), To: "maya@acme.example"}}))
		if s.waiting() != 0 || s.count("SELECT count(*) FROM links") != 0 {
			t.Error("something is")
		}
		s.must(s.write(s.p.keys(), authn.NewLetter{Letter: authn.Letter{ID: s.id(authn.MessageID), Channel: authn.SMS, Template: "code", To: "+46701740605"}}))
		if l := s.one(); l.Channel != authn.SMS || l.To != "+46701740605" {
			t.Errorf("%+v", l)
		}
	})
	t.Run("rul-5 only an address that is verified is written to", func(t *testing.T) {
		s := newPost(t, open)
		q := s.newUser(s.company, "omar")
		s.must(s.tell(q.keys(), event("tell.x", q.id))) // none
		s.must(s.write(q.keys(), authn.SetEmail{Email: "omar@acme.example"}))
		s.must(s.tell(q.keys(), event("tell.x", q.id))) // not verified
		s.must(s.tell(q.keys(), event("tell.x", "usr_nobody")))
		s.must(s.tell(q.keys(), event("tell.x", "")))
		s.must(s.tell(q.keys(), event("x.tell", s.p.id)))
		r := s.newUser(s.newCompany("beta"), "maya")
		s.must(s.tell(r.keys(), event("tell.x", s.p.id))) // of another company
		if n := s.waiting(); n != 0 {
			t.Errorf("%d letters", n)
		}
	})
	t.Run("std-36 what somebody else did is told to whom it concerns, without that one's browser", func(t *testing.T) {
		for actor, want := range map[string]struct {
			by   string
			says bool
		}{"usr_admin": {"admin", false}, "operator": {"operator", false}, "": {"nobody", true}} {
			s := newPost(t, open)
			admin := s.newUser(s.company, "zoe")
			admin.verified("zoe@acme.example")
			ev := event("tell.reset", s.p.id)
			ev.Actor = actor
			ev.Personal.Detail = map[string]string{"agent": "canary-agent", "address": "canary-address"}
			s.must(s.tell(admin.keys(), ev)) // the decision is about the administrator
			l := s.one()
			if l.To != "maya@acme.example" || l.User.ID != s.p.id || l.Args["by"] != want.by || l.Args["agent"] == "canary-agent" ||
				(l.Args["agent"] != "" || l.Args["address"] != "") != want.says {
				t.Errorf("%q: %+v", actor, l)
			}
			// The link is made under the lock of its person only.
			if !l.Link.IsZero() || s.count("SELECT count(*) FROM links") != 0 {
				t.Errorf("%q: a link of somebody who is not locked", actor)
			}
		}
	})
	t.Run("rul-35 a letter goes to exactly one of many who ask", func(t *testing.T) {
		s := newPost(t, open)
		again, err := s.Again(t, s.Keyring)
		s.must(err)
		nodes := []*store.Store{s.Store, again}
		ids := map[string]*atomic.Int64{}
		for i := range 10 {
			ids[s.letter("a@acme.example", fmt.Sprint(i))] = &atomic.Int64{}
		}
		single := s.letter("b@acme.example", "single")
		ids[single] = &atomic.Int64{}
		together(20, func(i int) {
			if i%5 == 0 {
				l, ok, err := nodes[i%2].ClaimLetter(s.ctx, s.company.ID, single, s.now, lease)
				if err != nil {
					t.Error(err)
				} else if ok {
					ids[l.ID].Add(1)
				}
				return
			}
			list, err := nodes[i%2].ClaimLetters(s.ctx, s.now, 4, lease)
			if err != nil {
				t.Error(err)
			}
			for _, l := range list {
				ids[l.ID].Add(1)
			}
		})
		for _, l := range s.claim() { // whoever lost each race may have left some
			ids[l.ID].Add(1)
		}
		for id, n := range ids {
			if n.Load() != 1 {
				t.Errorf("%s: claimed %d times", id, n.Load())
			}
		}
		s.now = s.now.Add(lease - time.Microsecond)
		if list := s.claim(); len(list) != 0 {
			t.Errorf("%d letters within the lease", len(list))
		}
		s.now = s.now.Add(time.Microsecond)
		list := s.claim()
		if len(list) != len(ids) || list[0].Tries != 2 {
			t.Errorf("%d letters after it", len(list))
		}
	})
	t.Run("letters come oldest first, when they are due", func(t *testing.T) {
		s := newPost(t, open)
		var want []string
		for i := range 5 {
			s.now = epoch.Add(time.Duration(i) * time.Second)
			want = append(want, s.letter("a@acme.example", ""))
		}
		s.now = epoch.Add(2 * time.Second)
		list, err := s.Store.ClaimLetters(s.ctx, s.now, 2, lease)
		s.must(err)
		for _, l := range append(list, s.claim()...) {
			if l.ID != want[0] {
				t.Errorf("%s, want %s", l.ID, want[0])
			}
			want = want[1:]
		}
		if len(want) != 2 {
			t.Errorf("%d are left", len(want))
		}
		for _, id := range []string{"", "no id", "msg_none"} {
			if _, ok, err := s.Store.ClaimLetter(s.ctx, s.company.ID, id, s.now, lease); ok || err != nil {
				t.Errorf("%q: %v %v", id, ok, err)
			}
		}
		if _, ok, err := s.Store.ClaimLetter(s.ctx, "cmp_other", want[0], s.now.Add(time.Hour), lease); ok || err != nil {
			t.Errorf("another company's: %v %v", ok, err)
		}
	})
	t.Run("rul-35 a letter goes when it was taken, or given up with an event", testLetterFailed(open))
	t.Run("rul-35 the code of a letter is derived when it is sent, if it is still good", testCodeLetters(open))
	t.Run("owners are told who can be", testTellOwners(open))
	t.Run("the state of the outbox", func(t *testing.T) {
		s := newPost(t, open)
		if st := s.state(); st != (authn.OutboxState{}) {
			t.Errorf("empty: %+v", st)
		}
		a, b := s.letter("a@acme.example", ""), ""
		s.now = s.now.Add(time.Minute)
		b = s.letter("b@acme.example", "")
		s.must(s.Store.LetterFailed(s.ctx, s.company.ID, a, s.now.Add(time.Hour), "550 5.1.1", nil))
		if st := s.state(); st.Waiting != 2 || st.Failing != 1 || !st.Oldest.Equal(epoch) || st.LastFail != "550 5.1.1" || !st.LastSent.IsZero() {
			t.Errorf("%+v", st)
		}
		s.must(s.Store.LetterSent(s.ctx, s.company.ID, b, s.now))
		if st := s.state(); st.Waiting != 1 || st.LastFail != "" || !st.LastSent.Equal(s.now) {
			t.Errorf("%+v", st)
		}
		// Of one that is gone nothing is known.
		s.must(s.Store.LetterFailed(s.ctx, s.company.ID, b, s.now, "late", nil))
		if st := s.state(); st.LastFail != "" {
			t.Errorf("%+v", st)
		}
	})
	t.Run("inv-G the outbox shows no address, no token and no text", func(t *testing.T) {
		s := newPost(t, open)
		s.letter("canary-address@acme.example", "canary-text")
		s.must(s.tell(s.p.keys(), event("tell.x", s.p.id), authn.TellOwners{Letter: authn.Letter{Args: map[string]string{"name": "canary-name"}}}))
		all := s.dump() + s.Log.String()
		for _, l := range s.claim() {
			if !l.Link.IsZero() && (strings.Contains(all, l.Link.Reveal()) || strings.Contains(all, string(l.Link.Secret))) {
				t.Error("a token can be read")
			}
		}
		if strings.Contains(all, "canary") || strings.Contains(all, "192.0.2.7") {
			t.Error("it can be read")
		}
	})
	t.Run("poison text is written safely", func(t *testing.T) {
		s := newPost(t, open)
		args := map[string]string{"a\x00b": "\xff\x00'\"", "long": strings.Repeat("ü", 5000)}
		for i := range 100 {
			args[fmt.Sprint(i)] = "x"
		}
		l := authn.Letter{ID: s.id(authn.MessageID), Channel: "\x00", Template: authn.Template(strings.Repeat("t", 200) + "\xff"), To: "a\x00\xff@acme.example", Via: "\xff", Args: args}
		s.must(s.write(s.p.keys(), authn.NewLetter{Letter: l, Challenge: ""}))
		got := s.one()
		if len(got.Template) != 64 || len(got.Args) > 32 {
			t.Errorf("%+v", got)
		}
		ev := event("tell.\x00", s.p.id)
		ev.Personal.Detail = args
		s.must(s.tell(s.p.keys(), ev))
		s.one()
		for name, bad := range map[string]authn.Letter{"no id": {To: "x"}, "bad id": {ID: "a b", To: "x"}, "nowhere": {ID: "msg_1"},
			"too far": {ID: "msg_1", To: strings.Repeat("a", authn.MaxLogin+1)}} {
			if err := s.write(s.p.keys(), authn.NewLetter{Letter: bad}); !errors.Is(err, authn.Internal) {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.want(s.write(s.p.keys(), authn.NewLetter{Letter: authn.Letter{ID: l.ID, To: "x"}}), authn.Conflict)
	})
	t.Run("a letter that cannot be opened harms no other", testBrokenLetter(open))
	t.Run("rul-54 a company without its key holds up no other", func(t *testing.T) {
		s := newPost(t, open)
		s.letter("a@acme.example", "")
		s.now = s.now.Add(time.Second)
		r := s.newUser(s.newCompany("beta"), "maya")
		l := authn.Letter{ID: s.id(authn.MessageID), To: "b@beta.example"}
		s.must(s.write(r.keys(), authn.NewLetter{Letter: l}))
		var wrapped []byte
		s.must(s.SQL.QueryRow("SELECT wrapped FROM company_keys WHERE company = $1", s.company.ID).Scan(&wrapped))
		s.exec("DELETE FROM company_keys WHERE company = $1", s.company.ID)
		var err error
		s.Store, err = s.Again(t, s.Keyring)
		s.must(err)
		if got := s.one(); got.ID != l.ID {
			t.Errorf("%+v", got)
		}
		s.now = s.now.Add(80 * time.Hour) // long after it was worth sending, it is still there
		s.claim()
		s.exec("INSERT INTO company_keys (company, wrapped) VALUES ($1, $2)", s.company.ID, wrapped)
		s.now = s.now.Add(time.Hour)
		if got := s.claim(); len(got) != 2 {
			t.Errorf("once the key is back: %d letters", len(got))
		}
	})
}

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
