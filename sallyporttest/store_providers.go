package sallyporttest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

func runProviders(t *testing.T, open opener) {
	const secret = "hunter2-in-the-settings"
	set := func(w *world, p *person, q authn.Provider) error {
		q.Channel = authn.Email
		return w.write(authn.Keys{Company: p.company, User: p.id}, authn.SetProvider{Provider: q})
	}
	t.Run("saved, replaced once per version, and sealed", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "priya")
		got, err := w.Store.Provider(w.ctx, p.company, authn.Email)
		w.must(err)
		if got.Version != 0 || got.Settings != nil || got.Previous != nil {
			t.Errorf("never set: %+v", got)
		}
		first := authn.Provider{Version: 1, Settings: []byte(secret), PreviousUntil: w.now.Add(time.Hour), UpdatedAt: w.now, UpdatedBy: p.id}
		w.must(set(w, p, first))
		w.want(set(w, p, first), authn.Conflict)
		w.must(w.Store.ProviderNoted(w.ctx, p.company, authn.Email, 1, w.now, "connect"))
		got, err = w.Store.Provider(w.ctx, p.company, authn.Email)
		w.must(err)
		if string(got.Settings) != secret || got.Previous != nil || got.Failed != "connect" || !got.FailedAt.Equal(w.now) || got.UpdatedBy != p.id {
			t.Errorf("%+v", got)
		}
		if strings.Contains(w.dump(), secret) {
			t.Error("the settings lie open in the database")
		}
		w.must(set(w, p, authn.Provider{Version: 2, Previous: []byte(secret), PreviousUntil: w.now.Add(time.Hour)}))
		w.must(w.Store.ProviderNoted(w.ctx, p.company, authn.Email, 1, w.now, "late"))
		got, err = w.Store.Provider(w.ctx, p.company, authn.Email)
		w.must(err)
		if got.Settings != nil || string(got.Previous) != secret || got.Failed != "" {
			t.Errorf("%+v", got)
		}
		w.must(w.Store.Sweep(w.ctx, w.now.Add(2*time.Hour)))
		if got, err = w.Store.Provider(w.ctx, p.company, authn.Email); err != nil || got.Previous != nil || got.Version != 2 {
			t.Errorf("the settings before stay: %+v, %v", got, err)
		}
	})
	t.Run("of one company and column only", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "priya"), w.newUser(w.newCompany("beta"), "zoe")
		w.must(set(w, p, authn.Provider{Version: 1, Settings: []byte(secret)}))
		w.must(set(w, q, authn.Provider{Version: 1, Settings: []byte("theirs")}))
		if got, err := w.Store.Provider(w.ctx, q.company, authn.Email); err != nil || string(got.Settings) != "theirs" {
			t.Errorf("%+v, %v", got, err)
		}
		w.exec("UPDATE providers SET sealed = (SELECT sealed FROM providers WHERE company = $1) WHERE company = $2", p.company, q.company)
		if _, err := w.Store.Provider(w.ctx, q.company, authn.Email); err == nil {
			t.Error("another company's settings open")
		}
		w.exec("UPDATE providers SET previous = sealed WHERE company = $1", p.company)
		if _, err := w.Store.Provider(w.ctx, p.company, authn.Email); err == nil {
			t.Error("settings open in the other column")
		}
	})
	t.Run("tests have a budget, at any concurrency", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "priya")
		var granted atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, ok, err := w.Store.SpendTest(w.ctx, p.company, authn.Email, w.now, time.Hour, 7); err == nil && ok {
					granted.Add(1)
				}
			})
		}
		all.Wait()
		if granted.Load() != 7 {
			t.Errorf("%d tests of 7", granted.Load())
		}
		until, ok, err := w.Store.SpendTest(w.ctx, p.company, authn.Email, w.now.Add(time.Minute), time.Hour, 7)
		if w.must(err); ok || !until.Equal(w.now.Add(time.Hour)) {
			t.Errorf("%v until %v", ok, until)
		}
		_, ok, err = w.Store.SpendTest(w.ctx, p.company, authn.Email, w.now.Add(time.Hour), time.Hour, 7)
		if w.must(err); !ok {
			t.Error("none in the next hour")
		}
		// A row that only counts is not a version.
		w.must(set(w, p, authn.Provider{Version: 1, Settings: []byte("x")}))
		if _, ok, err = w.Store.SpendTest(w.ctx, p.company, authn.Email, w.now.Add(time.Hour), time.Hour, 1); err != nil || ok {
			t.Errorf("saving gave a new budget: %v, %v", ok, err)
		}
	})
	t.Run("B5 a company knows what it has a provider for", testProvides(open))
	t.Run("B5 each of several providers has a standing of its own", testProviderHealth(open))
	t.Run("standing", func(t *testing.T) {
		w := newWorld(t, open)
		w.newUser(w.company, "priya")
		st, err := w.Store.Standing(w.ctx)
		if w.must(err); st.Schema == 0 || st.Database == "" || st.Unsealed == 0 || st.OldestUnsealed.IsZero() {
			t.Errorf("%+v", st)
		}
		out, err := w.Store.CompanyOutbox(w.ctx, w.company.ID, authn.Email)
		if w.must(err); out.Waiting != 0 || !out.Oldest.IsZero() {
			t.Errorf("%+v", out)
		}
	})
}

func testProvides(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "priya"), w.newUser(w.newCompany("beta"), "zoe")
		save := func(p *person, channel authn.Kind, version int64, provides bool) error {
			return w.write(p.keys(), authn.SetProvider{Provider: authn.Provider{Channel: channel, Version: version}, Provides: provides})
		}
		has := func(p *person, want ...authn.Kind) {
			t.Helper()
			if got := w.view(p.keys()).Company.Provides; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("has %v, want %v", got, want)
			}
		}
		has(p)
		w.must(save(p, authn.SMS, 1, true))
		w.must(save(p, authn.Duo, 1, true))
		w.must(save(p, authn.SMS, 2, true))
		w.must(save(q, authn.Email, 1, true))
		has(p, authn.Duo, authn.SMS)
		has(q, authn.Email)
		w.want(save(p, authn.Duo, 3, false), authn.Conflict)
		has(p, authn.Duo, authn.SMS)
		w.must(save(p, authn.Duo, 2, false))
		has(p, authn.SMS)
		_, token := p.newAttempt("")
		_, session := p.newSession()
		for _, k := range []authn.Keys{{}, {Login: "priya"}, {AttemptToken: token}, {SessionToken: session}} {
			k.Company = p.company
			if got := w.view(k).Company.Provides; len(got) != 1 || got[0] != authn.SMS {
				t.Errorf("%+v: %v", k, got)
			}
		}
		w.want(save(p, "two words", 1, true), authn.Internal)
		// Owners save many channels at once: none loses another's.
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		nodes := []*store.Store{w.Store, again}
		owners, all := make([]*person, 16), []authn.Kind{authn.SMS}
		for i := range owners {
			owners[i] = w.newUser(w.company, fmt.Sprintf("owner%d", i))
			all = append(all, authn.Kind(fmt.Sprintf("z%02d", i)))
		}
		for version := int64(1); version < 4; version++ {
			together(len(owners), func(i int) {
				set := authn.SetProvider{Provider: authn.Provider{Channel: all[i+1], Version: version}, Provides: version%2 == 1}
				if err := nodes[i%2].Decide(w.ctx, owners[i].keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(event("x.done", ""), set) }); err != nil {
					t.Errorf("%v", err)
				}
			})
			if version%2 == 1 {
				has(p, all...)
			} else {
				has(p, authn.SMS)
			}
		}
		if strings.Contains(w.Log.String(), "40P01") {
			t.Error("a deadlock")
		}
	}
}

func testProviderHealth(open opener) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "priya"), w.newUser(w.newCompany("beta"), "zoe")
		save := func(p *person, version int64) {
			t.Helper()
			w.must(w.write(p.keys(), authn.SetProvider{Provider: authn.Provider{Channel: authn.SMS, Version: version}}))
		}
		note := func(p *person, name string, version int64, after time.Duration, failed string) {
			t.Helper()
			w.must(w.Store.ProviderHealthNoted(w.ctx, p.company, authn.SMS, name, version, w.now.Add(after), failed))
		}
		health := func(p *person, version int64) []authn.ProviderHealth {
			t.Helper()
			list, err := w.Store.ProviderHealth(w.ctx, p.company, authn.SMS, version)
			w.must(err)
			return list
		}
		note(p, "first", 1, 0, "") // there is none yet
		save(p, 1)
		save(q, 1)
		note(p, "second", 1, 0, "connect")
		note(p, "first", 1, time.Second, "")
		note(p, "first", 1, 2*time.Second, "refused")
		note(p, "second", 1, 3*time.Second, "")
		note(p, "first", 2, 4*time.Second, "")
		want := []authn.ProviderHealth{{Name: "first", SentAt: w.now.Add(time.Second), FailedAt: w.now.Add(2 * time.Second), Failed: "refused"},
			{Name: "second", SentAt: w.now.Add(3 * time.Second), FailedAt: w.now}}
		if got := health(p, 1); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if got := health(q, 1); len(got) != 0 {
			t.Errorf("another company's: %+v", got)
		}
		save(p, 2)
		note(p, "first", 1, time.Minute, "late")
		if n := w.count("SELECT count(*) FROM provider_health"); n != 0 || len(health(p, 2)) != 0 {
			t.Errorf("%d are kept of the version before", n)
		}
		_, err := w.Store.ProviderHealth(w.ctx, "no company", authn.SMS, 1)
		w.want(err, authn.NotFound)
		w.want(w.Store.ProviderHealthNoted(w.ctx, "no company", authn.SMS, "x", 1, w.now, ""), authn.NotFound)
	}
}
