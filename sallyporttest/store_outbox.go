package sallyporttest

import (
	"errors"
	"fmt"
	"maps"
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
	t.Run("holders of a role are told who can be", testTellHolders(open))
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
