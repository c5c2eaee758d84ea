package directory_test

import (
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/rand"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/store/postgres"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
)

// bothStores runs a test on SQLite, and on two nodes of one PostgreSQL database.
func bothStores(t *testing.T, f func(t *testing.T, nodes ...*sallyporttest.Server)) {
	keys, err := keyring.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("sqlite", func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "s.db"), Keyring: keys, Log: sallyporttest.Quiet(), Notice: notice.For})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		f(t, sallyporttest.Start(t, st))
	})
	t.Run("postgres, two nodes", func(t *testing.T) {
		dsn := sallyporttest.Postgres(t)
		var nodes []*sallyporttest.Server
		for range 2 {
			st, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, Keyring: keys, Log: sallyporttest.Quiet(), Notice: notice.For})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			nodes = append(nodes, sallyporttest.Start(t, st))
		}
		f(t, nodes...)
	})
}

// waits asks for an act that has to wait.
func (w *world) waits(who directory.Who, do string, target authn.User, args ...string) authn.Approval {
	w.t.Helper()
	out, err := w.do(who, do, target, args...)
	if err != nil || out.Waits == nil {
		w.t.Fatalf("%s does not wait: %+v %v", do, out, err)
	}
	return *out.Waits
}

func (w *world) approve(who directory.Who, ap authn.Approval) error {
	_, err := w.Directory.Approve(w.t.Context(), who, ap.ID, "")
	return err
}

func TestApproval_rul17_rul20(t *testing.T) {
	w := newWorld(t)
	// Everybody who is asked for their word was made more than 30 days ago.
	admin, admin2 := w.add(w.Company, "admin", "administrator"), w.add(w.Company, "admin2", "administrator")
	owner, target := w.add(w.Company, "owner", "owner"), w.add(w.Company, "target", "helpdesk")
	help, far := w.add(w.Company, "help", "helpdesk"), w.add(w.other, "far", "owner")
	who := w.session(admin)
	ap := w.waits(who, directory.Suspend, target.User)
	if ap.NotBefore.Sub(ap.CreatedAt) != 24*time.Hour || ap.Requester != admin.ID || ap.Target != target.ID {
		t.Errorf("%+v", ap)
	}
	if again := w.waits(who, directory.Suspend, target.User); again.ID != ap.ID {
		t.Error("asking twice made two")
	}
	if n := len(w.events(w.Company.ID, "approval.asked")); n != 1 {
		t.Errorf("%d events", n)
	}
	if w.user(target).Status != authn.Active {
		t.Fatal("it was done at once")
	}
	// Whose word does not count.
	for name, tt := range map[string]struct {
		who  directory.Who
		want string
	}{
		"the requester":           {who, "error.forbidden.own_approval"},
		"the target":              {w.session(target), "error.forbidden.own_approval"},
		"who lacks the right":     {w.session(help), "forbidden"},
		"another company":         {w.session(far), "not_found"},
		"a key":                   {w.key(owner, nil, "users.read", "users.write", "factors.manage"), "error.forbidden.key"},
		"a key that is not asked": {w.key(owner, []string{"approval.given"}, "users.read", "users.write", "factors.manage"), "error.forbidden.key"},
	} {
		// The target's own act lacks the permission, where they are no administrator.
		if err := w.approve(tt.who, ap); why(err) != tt.want && !(name == "the target" && why(err) == "forbidden") {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	if n := len(w.events(w.Company.ID, "approval.given")); n != 3 {
		t.Errorf("%d refusals were recorded", n)
	}
	if _, err := w.do(who, directory.Suspend, target.User); err != nil || w.user(target).Status != authn.Active {
		t.Fatalf("done without a word: %v", err)
	}
	second := w.session(admin2)
	if err := w.approve(second, ap); err != nil {
		t.Fatal(err)
	}
	if err := w.approve(w.session(owner), ap); why(err) != "error.approval_over" {
		t.Errorf("approved twice: %v", err)
	}
	// Exactly this act, by whoever asked.
	if out, err := w.do(second, directory.Suspend, target.User); err != nil || out.Waits == nil {
		t.Errorf("done by somebody else: %+v %v", out, err)
	}
	if out, err := w.do(who, directory.Leave, target.User); err != nil || out.Waits == nil {
		t.Errorf("another act: %+v %v", out, err)
	}
	out, err := w.Directory.Do(t.Context(), who, directory.PersonAct{Do: directory.Suspend, Target: target.ID, Reason: "another reason"})
	if err != nil || out.Waits == nil {
		t.Errorf("for another reason: %+v %v", out, err)
	}
	who = w.session(admin)
	if out, err := w.do(who, directory.Suspend, target.User); err != nil || out.Waits != nil || w.user(target).Status != authn.Suspended {
		t.Fatalf("%+v %v", out, err)
	}
	// Once: the next one waits again.
	w.must(w.Directory.SetStatus(t.Context(), w.Company, target.ID, authn.Active))
	if out, err := w.do(who, directory.Suspend, target.User); err != nil || out.Waits == nil || out.Waits.ID == ap.ID {
		t.Errorf("done twice with one word: %+v %v", out, err)
	}
	// Gentle acts wait for nobody.
	if out, err := w.do(who, directory.RequireTwo, target.User); err != nil || out.Waits != nil {
		t.Errorf("%+v %v", out, err)
	}
	// The locks of one who holds rights are among what ruling 17 names.
	if out, err := w.do(who, directory.Unlock, target.User); err != nil || out.Waits == nil {
		t.Errorf("%+v %v", out, err)
	}
}

// Whoever the requester made, reset or otherwise changed within 30 days does not
// count, whether the requester did it or a program of theirs.
func TestApproverNotOfTheRequester_rul20(t *testing.T) {
	w := newWorld(t)
	owner, puppet, target := w.add(w.Company, "owner", "owner"), w.add(w.Company, "puppet", "administrator"), w.add(w.Company, "target", "administrator")
	who := w.session(owner)
	// An act of the owner on the puppet: by the operator's word, since it would wait.
	ap := w.waits(who, directory.SignOut, puppet.User)
	w.Clock.Advance(25 * time.Hour)
	who = w.session(owner)
	if out, err := w.do(who, directory.SignOut, puppet.User); err != nil || out.Waits != nil {
		t.Fatalf("after the wait: %+v %v (%s)", out, err, ap.ID)
	}
	asked := w.waits(who, directory.Reset, target.User)
	if err := w.approve(w.session(puppet), asked); why(err) != "error.forbidden.made_by_requester" {
		t.Errorf("%v", err)
	}
	w.Clock.Advance(31 * 24 * time.Hour)
	who = w.session(owner)
	asked = w.waits(who, directory.Reset, target.User)
	if err := w.approve(w.session(puppet), asked); err != nil {
		t.Errorf("after 30 days: %v", err)
	}
	// By a key of the requester.
	doll := w.add(w.Company, "doll", "member")
	if _, err := w.do(w.key(owner, []string{"factors.reset"}, "factors.manage"), directory.Reset, doll.User, "factor", doll.Factor); err != nil {
		t.Fatal(err)
	}
	doll.Secret = nil
	w.decide(w.Company.ID, doll.ID, "user.roles_changed", func(rows *authn.Rows) []authn.Write {
		u := *rows.User
		u.Roles = []string{"administrator"}
		return []authn.Write{authn.PutUser{User: u}}
	})
	_, doll.Secret = w.AddApp(t, w.user(doll))
	asked = w.waits(w.session(owner), directory.SignOut, target.User)
	if err := w.approve(w.session(doll), asked); why(err) != "error.forbidden.made_by_requester" {
		t.Errorf("reset by a key of the requester: %v", err)
	}
}

// The wait of a day, the end of another, and what ends it before.
func TestApprovalEnds_rul17_rul20_rul35(t *testing.T) {
	w := newWorld(t)
	owner, target := w.add(w.Company, "owner", "owner"), w.add(w.Company, "target", "administrator")
	other := w.add(w.Company, "other", "owner")
	ask := func() (directory.Who, authn.Approval) {
		who := w.session(owner)
		return who, w.waits(who, directory.HelpCode, target.User)
	}
	_, _ = ask()
	w.Clock.Advance(24*time.Hour - 2*time.Minute)
	who := w.session(owner)
	if out, err := w.do(who, directory.HelpCode, target.User); err != nil || out.Waits == nil {
		t.Fatalf("before the day is over: %+v %v", out, err)
	}
	w.Clock.Advance(2 * time.Minute)
	if out, err := w.do(who, directory.HelpCode, target.User); err != nil || out.Waits != nil || out.Code == "" {
		t.Fatalf("after a day: %+v %v", out, err)
	}
	_, ap := ask()
	w.Clock.Advance(48 * time.Hour)
	who = w.session(owner)
	if out, err := w.do(who, directory.HelpCode, target.User); err != nil || out.Waits == nil || out.Waits.ID == ap.ID {
		t.Errorf("after two days: %+v %v", out, err)
	}
	if err := w.approve(w.session(other), ap); why(err) != "error.approval_over" {
		t.Errorf("approving what is over: %v", err)
	}
	// A word is good for a day.
	_, ap = ask()
	w.must(w.approve(w.session(other), ap))
	w.Clock.Advance(24*time.Hour - time.Minute)
	list, err := w.Directory.Approvals(t.Context(), w.session(other), target.ID, "", 10)
	if err != nil || len(list) < 3 || list[0].ID != ap.ID || !list[0].Ready(w.Clock.Now()) {
		t.Fatalf("%+v %v", list, err)
	}
	w.Clock.Advance(2 * time.Minute)
	if out, err := w.do(w.session(owner), directory.HelpCode, target.User); err != nil || out.Waits == nil {
		t.Errorf("a day after the word: %+v %v", out, err)
	}
	// The target stops it, without any permission for that and without a step-up.
	_, ap = ask()
	me := w.session(target)
	w.Clock.Advance(30 * time.Minute)
	if _, err := w.Directory.Cancel(t.Context(), me, ap.ID, "not me"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Directory.Cancel(t.Context(), me, ap.ID, ""); why(err) != "error.approval_over" {
		t.Errorf("%v", err)
	}
	if err := w.approve(w.session(other), ap); why(err) != "error.approval_over" {
		t.Errorf("%v", err)
	}
	// Somebody who only reads stops nothing, nor does another company.
	_, ap = ask()
	far := w.add(w.other, "far", "owner")
	if _, err := w.Directory.Cancel(t.Context(), w.session(far), ap.ID, ""); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
	tom := w.add(w.Company, "tom", "member")
	if _, err := w.Directory.Cancel(t.Context(), w.session(tom), ap.ID, ""); code(err) != authn.Forbidden {
		t.Errorf("%v", err)
	}
	// The link of the letter ends it too: it moves the epoch.
	mail := w.Mail(t, target.Email)
	last := mail[len(mail)-1].Text
	i := strings.Index(last, "/not-me/")
	if i < 0 {
		t.Fatalf("no link in the letter:\n%s", last)
	}
	token, ok := authn.ParseToken(authn.LinkToken, strings.Fields(last[i+len("/not-me/"):])[0])
	if !ok {
		t.Fatal("no token")
	}
	if _, err := w.Enroll.Secure(t.Context(), token, here); err != nil {
		t.Fatal(err)
	}
	if err := w.approve(w.session(other), ap); why(err) != "error.approval_over" {
		t.Errorf("after \"this wasn't me\": %v", err)
	}
}

// Twenty acts wait for one requester at most: each is a letter to every owner.
func TestApprovalsAreBounded(t *testing.T) {
	w := newWorld(t)
	owner, target := w.add(w.Company, "owner", "owner"), w.add(w.Company, "target", "administrator")
	who := w.session(owner)
	var err error
	n := 0
	for ; n < 30 && err == nil; n++ {
		_, err = w.do(who, directory.Exempt, target.User, "until", w.Clock.Now().Add(time.Duration(n+1)*time.Hour).Format(time.RFC3339))
	}
	if n != 21 || why(err) != "error.approvals_many" {
		t.Errorf("%d: %v", n, err)
	}
}

// Two approve at once: one word. The act is done from two nodes at once: once.
func TestApprovalRaces_rul20_cve24(t *testing.T) {
	bothStores(t, func(t *testing.T, nodes ...*sallyporttest.Server) {
		w := worldOf(t, nodes[0])
		owner, target := w.add(w.Company, "owner", "owner"), w.add(w.Company, "target", "administrator")
		var seconds []directory.Who
		for _, name := range []string{"o1", "o2", "o3", "o4"} {
			seconds = append(seconds, w.session(w.add(w.Company, name, "owner")))
		}
		who := w.session(owner)
		for _, n := range nodes[1:] {
			n.Clock.Advance(w.Clock.Now().Sub(n.Clock.Now()))
		}
		ap := w.waits(who, directory.HelpCode, target.User)
		node := func(i int) *directory.Service { return nodes[i%len(nodes)].Directory }
		won := atOnce(len(seconds), func(i int) error { _, err := node(i).Approve(t.Context(), seconds[i], ap.ID, ""); return err })
		if won != 1 {
			t.Errorf("%d words", won)
		}
		p := directory.PersonAct{Do: directory.HelpCode, Target: target.ID, Reason: "because", Args: map[string]string{}}
		codes := make([]string, 8)
		atOnce(len(codes), func(i int) error {
			out, err := node(i).Do(t.Context(), who, p)
			codes[i] = out.Code
			return err
		})
		n := 0
		for _, c := range codes {
			if c != "" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("done %d times with one word", n)
		}
	})
}

// H6: two owners remove each other at once; one of them stays.
func TestTwoOwnersAtOnce_H6_rul25(t *testing.T) {
	bothStores(t, func(t *testing.T, nodes ...*sallyporttest.Server) {
		w := worldOf(t, nodes[0])
		for round := range 3 {
			owners := []sallyporttest.Person{w.add(w.Company, "a"+string(rune('0'+round)), "owner"), w.add(w.Company, "b"+string(rune('0'+round)), "owner")}
			who := []directory.Who{w.session(owners[0]), w.session(owners[1])}
			for i := range 2 {
				w.waits(who[i], directory.Suspend, owners[1-i].User)
			}
			w.Clock.Advance(25 * time.Hour)
			who = []directory.Who{w.session(owners[0]), w.session(owners[1])}
			for _, n := range nodes[1:] {
				n.Clock.Advance(w.Clock.Now().Sub(n.Clock.Now()))
			}
			atOnce(2, func(i int) error {
				_, err := nodes[i%len(nodes)].Directory.Do(t.Context(), who[i], directory.PersonAct{Do: directory.Suspend, Target: owners[1-i].ID, Reason: "because", Args: map[string]string{}})
				return err
			})
			left := 0
			for _, o := range owners {
				if w.user(o).Status == authn.Active {
					left++
				}
			}
			if left != 1 {
				t.Fatalf("%d owners are left", left)
			}
			// For the next round. What the operator may do is nobody else's: the check of the
			// last owner is there after an act of theirs, too.
			for _, o := range owners {
				w.must(w.Directory.SetStatus(t.Context(), w.Company, o.ID, authn.Suspended))
			}
		}
		// The last one suspends nobody who would leave none, and the operator may.
		last := w.add(w.Company, "last", "owner")
		gone := w.add(w.Company, "gone", "owner")
		w.must(w.Directory.SetStatus(t.Context(), w.Company, gone.ID, authn.Suspended))
		w.must(w.Directory.SetStatus(t.Context(), w.Company, last.ID, authn.Suspended))
	})
}

// atOnce runs f n times at the same time, and says how many had no error.
func atOnce(n int, f func(i int) error) int {
	var wg sync.WaitGroup
	start := make(chan struct{})
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	return won
}

// A word counts while whoever gave it could still give it; otherwise it is asked for
// anew, and nothing is done.
func TestWordOfWhoMayNotAnyMore_rul17_rul20(t *testing.T) {
	for name, lose := range map[string]func(*world, *sallyporttest.Person){
		"suspended": func(w *world, p *sallyporttest.Person) {
			w.must(w.Directory.SetStatus(w.t.Context(), w.Company, p.ID, authn.Suspended))
		},
		"another role": func(w *world, p *sallyporttest.Person) {
			w.decide(w.Company.ID, p.ID, "user.roles_changed", func(rows *authn.Rows) []authn.Write {
				u := *rows.User
				u.Roles = []string{"member"}
				return []authn.Write{authn.PutUser{User: u}}
			})
		},
		"less than the target": func(w *world, p *sallyporttest.Person) {
			w.decide(w.Company.ID, p.ID, "user.roles_changed", func(rows *authn.Rows) []authn.Write {
				u := *rows.User
				u.Roles = []string{"helpdesk"}
				return []authn.Write{authn.PutUser{User: u}}
			})
		},
		"erased": func(w *world, p *sallyporttest.Person) {
			_, err := w.Directory.EraseUser(w.t.Context(), directory.TheOperator(w.Company.ID), p.ID, p.Login, "gone")
			w.must(err)
		},
		"it was somebody else": func(w *world, p *sallyporttest.Person) {
			w.Clock.Advance(time.Minute)
			w.decide(w.Company.ID, p.ID, "account.secured", func(rows *authn.Rows) []authn.Write {
				u := *rows.User
				u.SecuredAt = w.Clock.Now()
				return []authn.Write{authn.PutUser{User: u}}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			admin, target := w.add(w.Company, "admin", "administrator"), w.add(w.Company, "target", "administrator")
			second, third := w.add(w.Company, "second", "administrator"), w.add(w.Company, "third", "administrator")
			who := w.session(admin)
			ap := w.waits(who, directory.Reset, target.User)
			w.must(w.approve(w.session(second), ap))
			lose(w, &second)
			anew := w.waits(who, directory.Reset, target.User)
			if anew.ID == ap.ID || len(w.factors(target)) == 0 {
				t.Fatalf("done with a word that does not count, or nobody can give another: %+v", anew)
			}
			if again := w.waits(who, directory.Reset, target.User); again.ID != anew.ID {
				t.Error("each time it is asked for it is asked of somebody")
			}
			w.must(w.approve(w.session(third), anew))
			if out, err := w.do(who, directory.Reset, target.User); err != nil || out.Waits != nil {
				t.Errorf("with another word: %+v %v", out, err)
			}
		})
	}
}

// After the day nobody's word is needed, whatever became of who gave one.
func TestWaitOfADayNeedsNoWord_rul17(t *testing.T) {
	w := newWorld(t)
	admin, second, target := w.add(w.Company, "admin", "administrator"), w.add(w.Company, "second", "administrator"), w.add(w.Company, "target", "administrator")
	ap := w.waits(w.session(admin), directory.SignOut, target.User)
	w.Clock.Advance(2 * time.Hour)
	w.must(w.approve(w.session(second), ap))
	w.must(w.Directory.SetStatus(t.Context(), w.Company, second.ID, authn.Suspended))
	w.Clock.Advance(22*time.Hour + time.Minute)
	if out, err := w.do(w.session(admin), directory.SignOut, target.User); err != nil || out.Waits != nil {
		t.Errorf("%+v %v", out, err)
	}
}

// Whom the requester made or reset by a program does not count either: by a key that
// acts for somebody else and that they made, by an account that they answer for, or
// in an import that is still being written down.
func TestApproverNotOfTheRequestersPrograms_rul20(t *testing.T) {
	w := newWorld(t)
	owner, other, target := w.add(w.Company, "owner", "owner"), w.add(w.Company, "other", "owner"), w.add(w.Company, "target", "administrator")
	promote := func(id string) {
		w.decide(w.Company.ID, id, "user.roles_changed", func(rows *authn.Rows) []authn.Write {
			u := *rows.User
			u.Roles = []string{"administrator"}
			return []authn.Write{authn.PutUser{User: u}}
		})
	}
	_, token, err := w.Directory.CreateKey(t.Context(), w.session(owner), directory.NewKey{Name: "for another", Owner: other.ID, Scopes: []string{"factors.manage"},
		Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Unattended: []string{"factors.reset"}})
	w.must(err)
	doll := w.add(w.Company, "doll", "member")
	if _, err := w.do(directory.Program(token, here), directory.Reset, doll.User, "factor", doll.Factor); err != nil {
		t.Fatal(err)
	}
	promote(doll.ID)
	_, doll.Secret = w.AddApp(t, w.user(doll))
	asked := w.waits(w.session(owner), directory.SignOut, target.User)
	if err := w.approve(w.session(doll), asked); why(err) != "error.forbidden.made_by_requester" {
		t.Errorf("reset by a key that the requester made for another one: %v", err)
	}
	since := authn.FirstID(authn.EventID, w.Clock.Now().Add(-time.Hour))
	acted := func(who, on string, want bool) {
		t.Helper()
		if got, err := w.Store.ActedOn(t.Context(), w.Company.ID, who, on, since); err != nil || got != want {
			t.Errorf("%v %v", got, err)
		}
	}
	acted(target.ID, doll.ID, false)
	// By an API account that the requester answers for.
	bot, tom := w.AddUser(t, w.Company, "bot", false), w.AddUser(t, w.Company, "tom", false)
	_, err = w.Directory.Do(t.Context(), directory.TheOperator(w.Company.ID), directory.PersonAct{Do: directory.APIOn, Target: bot.ID, Reason: "r",
		Args: map[string]string{"owner": owner.ID, "until": w.Clock.Now().Add(time.Hour).Format(time.RFC3339)}})
	w.must(err)
	w.must(w.Store.Decide(t.Context(), authn.Keys{Company: w.Company.ID, User: tom.ID, Now: w.Clock.Now()}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(authn.Event{Company: w.Company.ID, ID: authn.NewID(authn.EventID, w.Clock.Now(), rand.Reader), Type: "user.reminded", Actor: bot.ID,
			Target: tom.ID, Result: authn.Succeeded, At: w.Clock.Now()})
	}))
	acted(owner.ID, tom.ID, true)
	acted(other.ID, tom.ID, false)
	// Of an import that is done, before its events are written.
	now := w.Clock.Now()
	ann := authn.User{Company: w.Company.ID, ID: authn.NewID(authn.UserID, now, rand.Reader), Login: "ann", Name: "Ann", Roles: []string{"administrator"}, Epoch: 1,
		Status: authn.Active, Audience: authn.InternalAudience, CreatedAt: now}
	w.must(w.Store.BeginImport(t.Context(), w.Company.ID, "imp_1", owner.ID, now))
	_, shapes, err := w.Store.StagePeople(t.Context(), w.Company.ID, "imp_1", now, []authn.ImportedPerson{{Row: 1, User: ann, Logins: []authn.Login{{Name: "ann", Kind: "name"}}}})
	w.must(err)
	w.must(w.Store.FinishImport(t.Context(), w.Company.ID, "imp_1", now, shapes, authn.Event{Company: w.Company.ID, ID: authn.NewID(authn.EventID, now, rand.Reader),
		Type: "users.imported", Actor: owner.ID, Result: authn.Succeeded, At: now}))
	acted(owner.ID, ann.ID, true)
	for more := true; more; {
		more, err = w.Store.SettleImport(t.Context(), w.Company.ID, "imp_1", now)
		w.must(err)
	}
	acted(owner.ID, ann.ID, true)
	acted(other.ID, ann.ID, false)
}
