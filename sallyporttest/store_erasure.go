package sallyporttest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// canaries of a person who has everything that a person can have.
func canaries(login string) []string {
	return []string{login, "Canary Name of " + login, login + "@canary.example", "+41790000099", "exempt canary", "asked canary", "said canary", "canary browser"}
}

// full gives a person a row in every table that has rows of people.
func (s *post) full(p *person) authn.Token {
	s.t.Helper()
	want := canaries(p.login)
	p.verified(want[2])
	u := *s.view(p.keys()).User
	u.Name, u.Phone, u.ExemptReason, u.ExemptUntil, u.ExemptBy = want[1], want[3], want[4], s.now.Add(time.Hour), "operator"
	s.must(s.write(p.keys(), authn.PutUser{User: u}))
	p.activate(authn.TOTP, p.secret, 0)
	p.activate(authn.SMS, want[3], 0)
	p.newCodes()
	p.addPasskey("credential of " + p.id)
	s.ask(p.company, "cookie")
	mailbox := p.begin(authn.Email, "")
	p.newLink(authn.NotMeLink, map[string]string{"email": want[2]})
	_, session := p.newSession()
	a, token := p.newAttempt("cookie")
	s.must(s.write(authn.Keys{Company: p.company, AttemptToken: token}, authn.NewChallenge{Challenge: p.challenge(a.ID, mailbox.ID)}))
	reset := authn.Reset{ID: s.id(authn.ResetID), User: p.id, Destination: want[2], State: authn.ResetSent, Version: 1, CreatedAt: s.now, ExpiresAt: s.now.Add(time.Minute)}
	s.must(s.write(authn.Keys{Company: p.company, Login: p.login, Now: s.now}, authn.NewReset{Reset: reset, Token: authn.NewToken(authn.ResetToken, p.company, reset.ID, rand.Reader)}))
	k := p.keys()
	k.Browser = "cookie"
	s.must(s.write(k, authn.KnowBrowser{}))
	k.Charge = authn.GuessPassword
	if _, err := s.guess(k, authn.Wrong, time.Time{}, 0); !errors.Is(err, authn.WrongCode) {
		s.t.Fatal(err)
	}
	key := authn.APIKey{Company: p.company, ID: s.id(authn.KeyID), User: p.id, Name: "siem of " + p.login, Scopes: []string{"audit.read"},
		Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, CreatedAt: s.now, ExpiresAt: s.now.Add(time.Hour)}
	s.must(s.write(p.keys(), authn.NewAPIKey{Key: key, Token: authn.NewToken(authn.KeyToken, key.Company, key.ID, rand.Reader)}))
	ap := authn.Approval{Company: p.company, ID: s.id(authn.ApprovalID), Do: "reset", Target: p.id, Requester: s.p.id, Hash: "h" + p.id, Args: map[string]string{"name": want[1]},
		Reason: want[5], Epoch: 1, CreatedAt: s.now, NotBefore: s.now.Add(time.Hour), ExpiresAt: s.now.Add(48 * time.Hour)}
	letter := authn.Letter{ID: s.id(authn.MessageID), Template: "test", To: want[2], Args: map[string]string{"text": want[1]}}
	s.must(s.decide(p.keys(), func(*authn.Rows) authn.Verdict {
		ev := event("tell.said", p.id)
		ev.Personal = authn.Personal{Address: "192.0.2.7", Agent: want[7], Detail: map[string]string{"reason": want[6]}}
		return authn.Accept(ev, authn.NewApproval{Approval: ap}, authn.NewLetter{Letter: letter})
	}))
	return session
}

// ofPeople are the tables with rows of people, and the column that says whose.
var ofPeople = map[string]string{"logins": "user_id", "factors": "user_id", "attempts": "user_id", "sessions": "user_id", "devices": "user_id", "saved_codes": "user_id", "passkeys": "user_id",
	"challenges": "user_id", "links": "user_id", "resets": "user_id", "outbox": "user_id", "api_keys": "user_id", "approvals": "target", "users": "id"}

// opened is all that the company's keys open: what an attacker reads who has
// stolen the database and the keyring.
func (w *world) openedAll(company string) string {
	w.t.Helper()
	b := strings.Builder{}
	b.WriteString(w.dump())
	for before := ""; ; {
		list, err := w.Store.Events(w.ctx, company, authn.EventQuery{Limit: 200, Before: before})
		w.must(err)
		for _, ev := range list {
			fmt.Fprintf(&b, "event %+v\n", ev)
		}
		if len(list) < 200 {
			break
		}
		before = list[len(list)-1].ID
	}
	approvals, err := w.Store.Approvals(w.ctx, company, "", "", 200)
	w.must(err)
	fmt.Fprintf(&b, "%+v\n", approvals)
	users, err := w.Store.Users(w.ctx, company, "", 200)
	w.must(err)
	for _, u := range users {
		held, err := w.Store.Held(w.ctx, company, u.ID)
		w.must(err)
		fmt.Fprintf(&b, "%+v\n", held)
	}
	letters, err := w.Store.ClaimLetters(w.ctx, w.now, 200, time.Minute)
	w.must(err)
	fmt.Fprintf(&b, "%+v\n", letters)
	return b.String()
}

func (s *post) erase(p *person, letter *authn.Letter) error {
	return s.decide(p.keys(), func(r *authn.Rows) authn.Verdict {
		if r.User == nil {
			return authn.Drop(authn.NotFound)
		}
		ev := event("user.erased", p.id)
		ev.Actor, ev.Personal.Detail = s.p.id, map[string]string{"reason": "they asked for it"}
		return authn.Accept(ev, authn.EraseUser{By: s.p.id, Letter: letter}, authn.EndSessions{}, authn.EndAttempts{})
	})
}

func (w *world) verify(company string) {
	w.t.Helper()
	log, err := audit.New(audit.Config{Store: w.Store, Now: func() time.Time { return w.now }})
	w.must(err)
	w.now = w.now.Add(time.Minute) // the lease of the one before is over
	for range 20 {
		n, err := log.SealSome(w.ctx)
		w.must(err)
		if n == 0 {
			break
		}
	}
	r, err := log.Verify(w.ctx, company, audit.Check{})
	w.must(err)
	if r.Broken != "" || r.Unsealed != 0 || r.Events == 0 {
		w.t.Errorf("the chain of %s: %+v", company, r)
	}
}

func runErasure(t *testing.T, open opener) {
	t.Run("K2 of a person who was erased nothing can be read, and the chain holds", func(t *testing.T) {
		s := newPost(t, open)
		p, other := s.newUser(s.company, "cassandra"), s.newUser(s.newCompany("beta"), "cassandra")
		session := s.full(p)
		s.full(other)
		for table, column := range ofPeople {
			if s.count("SELECT count(*) FROM "+table+" WHERE "+column+" = $1", p.id) == 0 {
				t.Fatalf("the test puts nothing into %s", table)
			}
		}
		before := s.openedAll(s.company.ID)
		for _, canary := range canaries(p.login) {
			if !strings.Contains(before, canary) {
				t.Errorf("the test leaves no %q", canary)
			}
		}
		s.verify(s.company.ID)
		throttles := s.count("SELECT count(*) FROM throttles")
		letter := &authn.Letter{ID: s.id(authn.MessageID), Template: "last", To: "last@post.example", Args: map[string]string{"locale": "pl"}}
		s.must(s.erase(p, letter))
		for table, column := range ofPeople {
			if n := s.count("SELECT count(*) FROM "+table+" WHERE "+column+" = $1", p.id); n != 0 {
				t.Errorf("%d rows in %s", n, table)
			}
			if s.count("SELECT count(*) FROM "+table+" WHERE "+column+" = $1", other.id) == 0 {
				t.Errorf("the rows of somebody in another company are gone from %s", table)
			}
		}
		if n := s.count("SELECT count(*) FROM throttles"); n != throttles-1 {
			t.Errorf("%d throttles of %d", n, throttles)
		}
		// The last letter is all that is left, until it is sent.
		var last []authn.Letter
		for _, l := range s.claim() {
			if l.Company.ID == s.company.ID {
				last = append(last, l)
			}
		}
		if len(last) != 1 || last[0].To != letter.To || last[0].Template != "last" || last[0].Args["locale"] != "pl" || last[0].User.ID != "" {
			t.Fatalf("%+v", last)
		}
		s.must(s.Store.LetterSent(s.ctx, s.company.ID, last[0].ID, s.now))
		s.must(s.Store.EraseCompany(s.ctx, other.company, s.now)) // where somebody has the same canaries
		_, err := s.Store.PurgeCompany(s.ctx, other.company, s.now, 1000)
		s.must(err)
		after := s.openedAll(s.company.ID)
		for _, canary := range append(canaries(p.login), letter.To) {
			if i := strings.Index(after, canary); i >= 0 {
				t.Errorf("%q is still there: %s", canary, after[max(0, i-100):min(len(after), i+60)])
			}
		}
		if !strings.Contains(after, "they asked for it") || !strings.Contains(after, "owner_erased") {
			t.Error("that it was done, and why, is not in the log")
		}
		s.verify(s.company.ID)
		stones, err := s.Store.Tombstones(s.ctx, s.company.ID, []string{s.p.id, p.id, "!"})
		if err != nil || len(stones) != 1 || stones[0].User != p.id || stones[0].By != s.p.id || !stones[0].At.Equal(epoch.Add(time.Minute)) {
			t.Errorf("%+v %v", stones, err)
		}
		if other, err := s.Store.Tombstones(s.ctx, other.company, []string{p.id}); err != nil || len(other) != 0 {
			t.Errorf("in another company: %+v %v", other, err)
		}
		if rows := s.view(authn.Keys{Company: p.company, SessionToken: session}); rows.Session != nil || rows.User != nil {
			t.Error("cve-54 the session is still good")
		}
		s.want(s.erase(p, nil), authn.NotFound)
	})
	t.Run("K2 the login is free and the id is not", func(t *testing.T) {
		s := newPost(t, open)
		p := s.newUser(s.company, "cassandra")
		s.full(p)
		s.must(s.erase(p, nil))
		again := s.newUser(s.company, "cassandra")
		rows := s.view(authn.Keys{Company: s.company.ID, Login: "cassandra"})
		if rows.User == nil || rows.User.ID != again.id || len(rows.Factors) != 1 || rows.User.Email != "" {
			t.Errorf("%+v", rows.User)
		}
		if list, err := s.Store.Events(s.ctx, s.company.ID, authn.EventQuery{Target: again.id}); err != nil || len(list) != 1 {
			t.Errorf("%+v %v", list, err)
		}
		u := authn.User{Company: s.company.ID, ID: p.id, Login: "mallory", Status: authn.Active, Epoch: 1, CreatedAt: s.now}
		s.want(s.decide(p.keys(), func(*authn.Rows) authn.Verdict {
			return authn.Accept(event("user.created", p.id), authn.NewUser{User: u, Logins: []authn.Login{{Name: "mallory", Kind: "name"}}})
		}), authn.Conflict)
		// What is still said of them is said without what is personal.
		s.must(s.decide(authn.Keys{Company: s.company.ID}, func(*authn.Rows) authn.Verdict { return authn.Accept(event("late.event", p.id)) }))
		list, err := s.Store.Events(s.ctx, s.company.ID, authn.EventQuery{Target: p.id, Limit: 1})
		if err != nil || len(list) != 1 || list[0].Type != "late.event" || list[0].Personal.Agent != "" || list[0].Personal.Address != "" {
			t.Errorf("%+v %v", list, err)
		}
		s.verify(s.company.ID)
	})
	t.Run("K2 an erasure that races with sign-ins, sessions and approvals leaves nothing", func(t *testing.T) {
		s := newPost(t, open)
		again, err := s.Again(t, s.Keyring)
		s.must(err)
		nodes := []*store.Store{s.Store, again}
		for round := range 5 {
			p := s.newUser(s.company, fmt.Sprintf("cassandra%d", round))
			_, session := p.newSession()
			together(24, func(i int) {
				k := authn.Keys{Company: p.company, User: p.id, Now: s.now}
				if i%4 == 1 {
					k = authn.Keys{Company: p.company, SessionToken: session, Now: s.now}
				}
				err := nodes[i%2].Decide(s.ctx, k, func(r *authn.Rows) authn.Verdict {
					if r.User == nil || i%4 == 1 && r.Session == nil {
						return authn.Drop(authn.NotFound)
					}
					switch i % 4 {
					case 0:
						return authn.Accept(event("user.erased", p.id), authn.EraseUser{By: "operator"})
					case 1:
						return authn.Continue(authn.PutSession{Session: *r.Session})
					case 2:
						se := authn.Session{ID: s.id(authn.SessionID), Epoch: 1, ACR: authn.AAL1, CreatedAt: s.now, LastSeenAt: s.now, ExpiresAt: s.now.Add(time.Hour)}
						return authn.Accept(event("session.created", p.id), authn.NewSession{Session: se, Token: authn.NewToken(authn.SessionToken, p.company, se.ID, rand.Reader)})
					}
					ap := authn.Approval{ID: s.id(authn.ApprovalID), Do: "reset", Target: p.id, Requester: s.p.id, Hash: fmt.Sprint("h", i), Epoch: 1, CreatedAt: s.now, ExpiresAt: s.now.Add(time.Hour)}
					return authn.Accept(event("tell.asked", p.id), authn.NewApproval{Approval: ap})
				})
				if err != nil && !errors.Is(err, authn.NotFound) {
					t.Errorf("%d: %v", i, err)
				}
			})
			for table, column := range ofPeople {
				if n := s.count("SELECT count(*) FROM "+table+" WHERE "+column+" = $1", p.id); n != 0 {
					t.Errorf("%d rows in %s", n, table)
				}
			}
			if n := s.count("SELECT count(*) FROM events WHERE type = 'user.erased' AND target = $1", p.id); n != 1 {
				t.Errorf("erased %d times", n)
			}
		}
		s.verify(s.company.ID)
	})
	t.Run("K2 everything held about a person, and nothing of others", func(t *testing.T) {
		s := newPost(t, open)
		p, q := s.newUser(s.company, "cassandra"), s.newUser(s.newCompany("beta"), "omar")
		s.full(p)
		s.full(q)
		held, err := s.Store.Held(s.ctx, p.company, p.id)
		s.must(err)
		if len(held.Logins) != 2 || len(held.Factors) != 6 || held.Passwords.Tries != 1 || len(held.Sessions) != 1 || len(held.Attempts) != 1 || held.Browsers != 1 ||
			len(held.Challenges) != 1 || len(held.Links) == 0 || len(held.Keys) != 1 || len(held.Approvals) != 1 || len(held.Letters) != 2 {
			t.Errorf("%+v", held)
		}
		raw, err := json.Marshal(held)
		s.must(err)
		for _, canary := range canaries(p.login)[:6] {
			if !strings.Contains(string(raw), canary) {
				t.Errorf("%q is missing", canary)
			}
		}
		for _, secret := range []string{p.secret, p.hash, "canary-hash", "canary-shown", "omar"} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%q is in it", secret)
			}
		}
		for _, c := range held.Challenges {
			if c.Seed != nil {
				t.Error("what a code is derived from is in it")
			}
		}
		_, err = s.Store.Held(s.ctx, q.company, p.id)
		s.want(err, authn.NotFound)
		// What they did to others says where they were, and not what was said of those.
		s.must(s.decide(s.p.keys(), func(*authn.Rows) authn.Verdict {
			ev := event("factors.reset", s.p.id)
			ev.Actor, ev.Personal.Detail = p.id, map[string]string{"reason": "a word about maya"}
			return authn.Accept(ev)
		}))
		acts, err := s.Store.ActsOf(s.ctx, p.company, p.id, "", 0)
		if err != nil || len(acts) != 1 || acts[0].Type != "factors.reset" || acts[0].Personal.Address != "192.0.2.7" || acts[0].Personal.Detail != nil {
			t.Errorf("%+v %v", acts, err)
		}
		if acts, err := s.Store.ActsOf(s.ctx, q.company, p.id, "", 0); err != nil || len(acts) != 0 {
			t.Errorf("in another company: %+v %v", acts, err)
		}
	})
	t.Run("rul-38 a company that was erased is unknown at once, on every node", func(t *testing.T) {
		s := newPost(t, open)
		beta := s.newCompany("beta")
		p, q := s.newUser(beta, "cassandra"), s.newUser(s.company, "omar")
		session := s.full(p)
		s.full(q)
		other, err := s.Again(t, s.Keyring)
		s.must(err)
		if rows, err := other.View(s.ctx, authn.Keys{Company: beta.ID, SessionToken: session, Now: s.now}); err != nil || rows.Session == nil {
			t.Fatal("the other node has not got the key in memory")
		}
		s.must(s.Store.EraseCompany(s.ctx, beta.ID, s.now))
		s.want(s.Store.EraseCompany(s.ctx, beta.ID, s.now), authn.NotFound)
		s.want(s.Store.EraseCompany(s.ctx, "com_none", s.now), authn.NotFound)
		if s.count("SELECT count(*) FROM company_keys WHERE company = $1", beta.ID) != 0 {
			t.Error("the key is there")
		}
		for n, node := range []*store.Store{s.Store, other} {
			for name, k := range map[string]authn.Keys{
				"nothing": {}, "login": {Login: "cassandra"}, "guess": {Login: "cassandra", Charge: authn.GuessPassword}, "id": {User: p.id}, "session": {SessionToken: session},
			} {
				k.Company, k.Now = beta.ID, s.now
				if err := node.Decide(s.ctx, k, func(*authn.Rows) authn.Verdict { return authn.Accept(event("x", "")) }); !errors.Is(err, authn.NotFound) {
					t.Errorf("node %d, %s: %v", n, name, err)
				}
			}
			_, err := node.CompanyBySlug(s.ctx, "beta")
			s.want(err, authn.NotFound)
			if list, err := node.Companies(s.ctx); err != nil || len(list) != 1 {
				t.Errorf("%v %v", list, err)
			}
			if list, err := node.Events(s.ctx, beta.ID, authn.EventQuery{}); !errors.Is(err, authn.NotFound) {
				t.Errorf("%v %v", list, err)
			}
			_, err = node.SealedEvents(s.ctx, beta.ID, 0, 0)
			s.want(err, authn.NotFound)
			s.want(node.UseAPIKey(s.ctx, beta.ID, "key_1", false, "", s.now, event("key.used", p.id)), authn.NotFound)
		}
		if only, err := s.Store.CompanyBySlug(s.ctx, ""); err != nil || only.ID != s.company.ID {
			t.Errorf("the only company that is left: %v %v", only.Slug, err)
		}
		if strings.Contains(s.dumpOf("companies"), "beta Ltd") {
			t.Error("its name is there")
		}
		for _, l := range s.claim() {
			if l.Company.ID == beta.ID {
				t.Error("its letters are sent")
			}
		}
	})
	t.Run("K2 the erasure of a company goes on after it was cut off", func(t *testing.T) {
		s := newPost(t, open)
		beta := s.newCompany("beta")
		for i := range 3 {
			s.full(s.newUser(beta, fmt.Sprintf("cassandra%d", i)))
		}
		s.must(s.write(authn.Keys{Company: beta.ID}, authn.SetProvider{Provider: authn.Provider{Channel: authn.Email, Version: 1, Settings: []byte("{}")}, Provides: true}))
		s.full(s.newUser(s.company, "omar"))
		s.verify(beta.ID)
		kept := s.ofCompany(s.company.ID)
		s.must(s.Store.EraseCompany(s.ctx, beta.ID, s.now))
		// A process that is killed between two batches.
		done, err := s.Store.PurgeCompany(s.ctx, beta.ID, s.now, 4)
		if err != nil || done {
			t.Fatalf("%v %v", done, err)
		}
		left := s.ofCompany(beta.ID)
		if left["users"] == 0 || left["events"] == 0 || left["challenges"] != 0 {
			t.Fatalf("%v", left)
		}
		if list, err := s.Store.Erasing(s.ctx); err != nil || len(list) != 1 || list[0].Slug != "beta" || !list[0].At.Equal(s.now) {
			t.Errorf("%+v %v", list, err)
		}
		c := authn.Company{ID: s.id(authn.CompanyID), Slug: "beta", Name: "Another", Policy: []byte(`{}`), PolicyVersion: 1, CreatedAt: s.now}
		s.want(s.Store.CreateCompany(s.ctx, c, event("company.created", "")), authn.Conflict)
		// The next one, which is also cut off in the middle of a batch, and the one after.
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		if _, err := s.Store.PurgeCompany(ctx, beta.ID, s.now, 1000); err == nil {
			t.Error("it goes on in spite of being told to stop")
		}
		again, err := s.Again(t, s.Keyring)
		s.must(err)
		s.must(again.Sweep(s.ctx, s.now))
		if left := s.ofCompany(beta.ID); len(left) != 0 {
			t.Errorf("%v", left)
		}
		if now := s.ofCompany(s.company.ID); fmt.Sprint(now) != fmt.Sprint(kept) {
			t.Errorf("of the other company: %v, before %v", now, kept)
		}
		s.must(s.Store.CreateCompany(s.ctx, c, event("company.created", "")))
		// A decision that had found the company commits late.
		s.exec("INSERT INTO throttles (company, who, tries_s, paused_s, tries_k, paused_k, updated_at) VALUES ($1, $2, 0, 0, 0, 0, $3)", beta.ID, []byte("late"), s.now.UnixMicro())
		s.must(s.Store.Sweep(s.ctx, s.now.Add(store.PurgeLate)))
		if left := s.ofCompany(beta.ID); len(left) != 0 {
			t.Errorf("%v", left)
		}
		if list, err := s.Store.Erasing(s.ctx); err != nil || len(list) != 0 {
			t.Errorf("%+v %v", list, err)
		}
		s.verify(s.company.ID)
	})
	t.Run("K2 a company that was not erased is not purged", func(t *testing.T) {
		s := newPost(t, open)
		s.full(s.newUser(s.company, "omar"))
		before := s.ofCompany(s.company.ID)
		_, err := s.Store.PurgeCompany(s.ctx, s.company.ID, s.now, 1000)
		s.must(err)
		if after := s.ofCompany(s.company.ID); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%v, before %v", after, before)
		}
	})
}

// ofCompany counts the rows of a company in every table of the schema that has a
// column for it; none are left out.
func (w *world) ofCompany(company string) map[string]int {
	w.t.Helper()
	text := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if cascade(w.Fixture) != "" {
		text = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
	}
	rows, err := w.SQL.Query(text)
	w.must(err)
	var names []string
	for rows.Next() {
		var name string
		w.must(rows.Scan(&name))
		names = append(names, name)
	}
	w.must(errors.Join(rows.Err(), rows.Close()))
	out := map[string]int{}
	for _, name := range names {
		cells, err := w.SQL.Query("SELECT * FROM " + name + " LIMIT 0")
		w.must(err)
		columns, err := cells.Columns()
		w.must(errors.Join(err, cells.Close()))
		if slices.Contains(columns, "company") {
			if n := w.count("SELECT count(*) FROM "+name+" WHERE company = $1", company); n > 0 {
				out[name] = n
			}
		}
	}
	return out
}

// dumpOf is dump for one table.
func (w *world) dumpOf(table string) string {
	w.t.Helper()
	var b strings.Builder
	for line := range strings.Lines(w.dump()) {
		if strings.HasPrefix(line, table+".") {
			b.WriteString(line)
		}
	}
	return b.String()
}
