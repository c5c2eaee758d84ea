package sallyporttest

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
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
