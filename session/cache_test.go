package session_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/store"
)

// looked is a store that counts the looks at sessions.
type looked struct {
	*store.Store
	looks atomic.Int64
	after func() // runs once a session was read
	// deaf: what is committed here is not noted, as if another process did it.
	deaf bool
}

func (l *looked) View(ctx context.Context, k authn.Keys) (authn.Rows, error) {
	l.looks.Add(1)
	rows, err := l.Store.View(ctx, k)
	if l.after != nil {
		l.after()
	}
	return rows, err
}

func (l *looked) Commits() uint64 {
	if l.deaf {
		return 0
	}
	return l.Store.Commits()
}

func (l *looked) Generation(company, user string) uint64 {
	if l.deaf {
		return 0
	}
	return l.Store.Generation(company, user)
}

// glances is a service whose monotonic clock the test moves.
type glances struct {
	*session.Service
	w    *sallyporttest.Server
	st   *looked
	tick atomic.Int64
	user authn.Token
}

func newGlances(t *testing.T, change ...func(*session.Config)) *glances {
	t.Helper()
	w := sallyporttest.NewServer(t)
	g := &glances{w: w, st: &looked{Store: w.Store}}
	c := session.Config{Store: g.st, Valid: policy.CheckSession, Rights: directory.Administrative, Now: w.Clock.Now, Monotonic: func() time.Duration { return time.Duration(g.tick.Load()) }}
	for _, f := range change {
		f(&c)
	}
	var err error
	if g.Service, err = session.New(c); err != nil {
		t.Fatal(err)
	}
	g.user = open(t, w, w.AddUser(t, w.Company, "omar", false))
	return g
}

// good reports whether a glance finds the session, and whether it looked at the store.
func (g *glances) good(t *testing.T) (ok, looks bool) {
	t.Helper()
	before := g.st.looks.Load()
	_, err := g.Glance(t.Context(), g.user.Reveal(), here)
	if err != nil && authn.AsError(err).Code != authn.Unauthenticated {
		t.Fatal(err)
	}
	return err == nil, g.st.looks.Load() > before
}

func (g *glances) want(t *testing.T, what string, ok, looks bool) {
	t.Helper()
	if gotOK, gotLooks := g.good(t); gotOK != ok || gotLooks != looks {
		t.Errorf("%s: good %v, read from the store %v; want %v, %v", what, gotOK, gotLooks, ok, looks)
	}
}

// Ruling 30: what is kept is a second old at most, counted from before it was read.
func TestGlance_rul30_invF(t *testing.T) {
	g := newGlances(t)
	g.want(t, "first", true, true)
	g.want(t, "second", true, false)
	g.tick.Add(int64(time.Second - 1))
	g.want(t, "just before a second", true, false)
	g.tick.Add(1)
	g.want(t, "after a second", true, true)

	g.st.deaf = true
	g.want(t, "of another store", true, true)
	if err := g.SignOut(t.Context(), g.user, here); err != nil {
		t.Fatal(err)
	}
	g.tick.Add(int64(time.Second - 1))
	g.want(t, "ended by another process, within the second", true, false)
	if _, err := g.Check(t.Context(), g.user.Reveal(), here); authn.AsError(err).Code != authn.Unauthenticated {
		t.Errorf("Check of a session that ended: %v", err)
	}
	g.tick.Add(1)
	g.want(t, "ended by another process, after the second", false, true)
}

// inv-F: what this process commits counts in the next glance.
func TestGlance_atOnce_rul30_invF(t *testing.T) {
	ctx := context.Background()
	for name, tt := range map[string]struct {
		change func(*testing.T, *glances)
		ok     bool
	}{
		"sign-out": {func(t *testing.T, g *glances) {
			if err := g.w.Sessions.SignOut(ctx, g.user, here); err != nil {
				t.Fatal(err)
			}
		}, false},
		"suspended":   {func(t *testing.T, g *glances) { g.put(t, func(u *authn.User) { u.Status = authn.Suspended }) }, false},
		"a new epoch": {func(t *testing.T, g *glances) { g.put(t, func(u *authn.User) { u.Epoch++ }) }, false},
		"a stricter policy": {func(t *testing.T, g *glances) {
			g.w.Clock.Advance(301 * time.Second)
			g.want(t, "five minutes later, when its use is noted", true, true)
			g.want(t, "and again", true, true)
			g.want(t, "and again", true, false)
			g.w.SetPolicy(t, "acme", func(d *policy.Document) { d.SessionSeconds = 300 })
		}, false},
		"somebody else": {func(t *testing.T, g *glances) {
			other := open(t, g.w, g.w.AddUser(t, g.w.Company, "nadia", false))
			if err := g.w.Sessions.SignOut(ctx, other, here); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGlances(t)
			g.want(t, "first", true, true)
			g.want(t, "second", true, false)
			tt.change(t, g)
			if ok, _ := g.good(t); ok != tt.ok {
				t.Errorf("good: %v", ok)
			}
		})
	}
}

func (g *glances) put(t *testing.T, change func(*authn.User)) {
	t.Helper()
	cur, err := g.Check(t.Context(), g.user.Reveal(), here)
	if err != nil {
		t.Fatal(err)
	}
	err = g.w.Store.Decide(t.Context(), authn.Keys{Company: cur.Company.ID, User: cur.User.ID, Now: g.w.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		change(&u)
		return authn.Continue(authn.PutUser{User: u})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Time passes for what is kept, too: the end of the session, and its idleness.
func TestGlance_time_rul45(t *testing.T) {
	g := newGlances(t)
	g.want(t, "first", true, true)
	g.w.Clock.Advance(time.Hour + time.Second) // idle
	g.want(t, "idle for too long", false, true)

	g = newGlances(t)
	g.want(t, "first", true, true)
	g.w.Clock.Advance(61 * time.Second)
	g.want(t, "a minute later, when its use is noted", true, true)
}

// Ruling 30: people with rights in the administration are looked up each time.
func TestGlance_administrators_rul30(t *testing.T) {
	g := newGlances(t)
	g.put(t, func(u *authn.User) { u.Roles = []string{directory.Helpdesk} })
	for range 3 {
		g.want(t, "the help desk", true, true)
	}
	g = newGlances(t, func(c *session.Config) { c.Rights = nil })
	for range 3 {
		g.want(t, "nobody knows who has rights", true, true)
	}
}

// A change between the look and the keeping: what was read is not kept.
func TestGlance_changedMeanwhile_rul30(t *testing.T) {
	g := newGlances(t)
	g.st.after = func() {
		g.st.after = nil
		if err := g.w.Sessions.SignOut(context.Background(), g.user, here); err != nil {
			t.Error(err)
		}
	}
	g.want(t, "read before it ended", true, true)
	g.want(t, "ended", false, true)
}

// What is kept is nobody's to change.
func TestGlance_copies(t *testing.T) {
	g := newGlances(t)
	g.put(t, func(u *authn.User) { u.Roles = []string{directory.Member} })
	for range 3 {
		cur, err := g.Glance(t.Context(), g.user.Reveal(), here)
		if err != nil || !slices.Equal(cur.User.Roles, []string{directory.Member}) || len(cur.Factors) == 0 || cur.Factors[0].Name == "mine" {
			t.Fatalf("%+v %v", cur.User.Roles, err)
		}
		cur.User.Roles[0], cur.Factors[0].Name = directory.Owner, "mine"
	}
}

// inv-F with many at once: no glance that begins after the sign-out finds the session.
func TestGlance_race_invF(t *testing.T) {
	for range 4 {
		g := newGlances(t)
		var over atomic.Bool
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for range 8 {
			wg.Go(func() {
				<-begin
				for range 2000 {
					ended := over.Load()
					_, err := g.Glance(context.Background(), g.user.Reveal(), here)
					if ended && err == nil {
						t.Error("good after it ended")
						return
					}
					if ended {
						return
					}
				}
			})
		}
		wg.Go(func() {
			<-begin
			if err := g.w.Sessions.SignOut(context.Background(), g.user, here); err != nil {
				t.Error(err)
			}
			over.Store(true)
		})
		close(begin)
		wg.Wait()
	}
}
