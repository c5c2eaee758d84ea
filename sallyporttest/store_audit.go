package sallyporttest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// runAudit is searching, sending and deleting the event log.
func runAudit(t *testing.T, open opener) {
	log := func(w *world, company string, types ...string) {
		w.t.Helper()
		for i, typ := range types {
			w.now = w.now.Add(time.Second)
			ev := authn.Event{Company: company, ID: w.id(authn.EventID), Type: typ, Actor: "operator", Target: "usr_t", Result: authn.Succeeded, At: w.now}
			if i%2 == 1 {
				ev.Actor, ev.Result, ev.Target = "usr_a", authn.Refused, ""
			}
			w.must(w.decide(authn.Keys{Company: company}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }))
		}
	}
	seal := func(w *world, company string) {
		w.t.Helper()
		_, err := w.Store.SealEvents(w.ctx, company, w.now, 1000, link)
		w.must(err)
	}
	t.Run("K1 searches combine filters, in pages, of one company", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		log(w, w.company.ID, "a.one", "a.two", "b.one", "a.one", "ab.x", "a.two")
		log(w, beta.ID, "a.one", "a.two")
		for _, c := range []struct {
			q    authn.EventQuery
			want string
		}{
			{authn.EventQuery{Type: "a."}, "a.two a.one a.two a.one"},
			{authn.EventQuery{Type: "a.one"}, "a.one a.one"},
			{authn.EventQuery{Type: "a.", Actor: "usr_a"}, "a.two a.one a.two"},
			{authn.EventQuery{Actor: "operator", Result: authn.Refused}, ""},
			{authn.EventQuery{Type: "b.one", Target: "usr_t"}, "b.one"},
			{authn.EventQuery{Target: "usr_t", Actor: "operator", Type: "ab."}, "ab.x"},
			{authn.EventQuery{Type: "a.", Since: w.now.Add(-6 * time.Second), Until: w.now.Add(-4 * time.Second)}, "a.two"},
			{authn.EventQuery{Type: "zz."}, ""},
		} {
			var got []string
			for c.q.Limit = 1; ; {
				page, err := w.Store.Search(w.ctx, w.company.ID, c.q)
				w.must(err)
				for _, e := range page.Events {
					if e.Company != w.company.ID {
						t.Errorf("%+v", e)
					}
					got = append(got, e.Type)
				}
				if c.q.Before = page.Next; page.Next == "" {
					break
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%+v: %q, want %q", c.q, got, c.want)
			}
		}
	})
	t.Run("a stream begins at the end or at the beginning, and moves once", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		log(w, w.company.ID, "a", "a", "a")
		seal(w, w.company.ID)
		k := authn.Keys{Company: w.company.ID}
		w.must(w.write(k, authn.SetStream{Channel: authn.AuditSyslog, On: true}, authn.SetStream{Channel: authn.AuditWebhook, On: true, All: true}))
		due, err := w.Store.DueStreams(w.ctx, w.now, 0)
		w.must(err)
		if len(due) != 1 || due[0].Channel != authn.AuditWebhook || due[0].Seq != 0 || due[0].Company != w.company.ID {
			t.Fatalf("%+v", due)
		}
		var moved [8]bool
		var all sync.WaitGroup
		for i := range moved {
			all.Go(func() { moved[i], _ = w.Store.StreamMoved(w.ctx, due[0], 2, w.now) })
		}
		all.Wait()
		if n := len(slices.DeleteFunc(moved[:], func(b bool) bool { return !b })); n != 1 {
			t.Errorf("moved %d times", n)
		}
		st := due[0]
		st.Seq = 2
		w.must(w.Store.StreamFailed(w.ctx, st, w.now.Add(time.Minute), "connect unreachable"))
		if due, err = w.Store.DueStreams(w.ctx, w.now.Add(59*time.Second), 0); err != nil || len(due) != 0 {
			t.Errorf("%+v %v", due, err)
		}
		list, err := w.Store.Streams(w.ctx, w.company.ID)
		w.must(err)
		if len(list) != 2 || list[1].Tries != 1 || list[1].Failed != "connect unreachable" || list[1].Behind == 0 || !list[1].NextAt.Equal(w.now.Add(time.Minute)) || list[1].Oldest.IsZero() {
			t.Errorf("%+v", list)
		}
		// Saved again it goes on where it is, at once; ended it is gone.
		w.must(w.write(k, authn.SetStream{Channel: authn.AuditWebhook, On: true}))
		if due, err = w.Store.DueStreams(w.ctx, w.now, 0); err != nil || len(due) != 1 || due[0].Seq != 2 || due[0].Tries != 0 {
			t.Errorf("%+v %v", due, err)
		}
		w.must(w.write(authn.Keys{Company: beta.ID}, authn.SetStream{Channel: authn.AuditWebhook}))
		if list, err = w.Store.Streams(w.ctx, w.company.ID); err != nil || len(list) != 2 {
			t.Errorf("another company ended it: %+v %v", list, err)
		}
		w.must(w.write(k, authn.SetStream{Channel: authn.AuditWebhook}))
		if ok, err := w.Store.StreamMoved(w.ctx, st, 3, w.now); err != nil || ok {
			t.Errorf("%v %v", ok, err)
		}
	})
	t.Run("std-76 old events go from the oldest end, and leave their last link", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		log(w, w.company.ID, "a", "a", "a", "a", "a")
		log(w, beta.ID, "a", "a")
		seal(w, w.company.ID)
		seal(w, beta.ID)
		k := authn.Keys{Company: w.company.ID}
		w.must(w.write(k, authn.SetKeep{Months: 3}))
		ids, months, err := w.Store.Keeping(w.ctx, "", 0)
		w.must(err)
		if len(ids) != 1 || ids[0] != w.company.ID || months[0] != 3 {
			t.Errorf("%v %v", ids, months)
		}
		sealed := int64(w.count("SELECT count(*) FROM events WHERE company = $1 AND seq IS NOT NULL", w.company.ID))
		later := w.now.Add(time.Hour)
		end, hash, err := w.Store.PruneEnd(w.ctx, w.company.ID, later, time.Time{}, 4)
		w.must(err)
		if end != 4 || len(hash) == 0 {
			t.Fatalf("%d", end)
		}
		if end, _, err := w.Store.PruneEnd(w.ctx, w.company.ID, time.Unix(1, 0), time.Time{}, 4); err != nil || end != 0 {
			t.Errorf("what is young: %d %v", end, err)
		}
		// What a stream has not sent stays, until it is very old.
		w.must(w.write(k, authn.SetStream{Channel: authn.AuditSyslog, On: true, All: true}))
		if _, err := w.Store.StreamMoved(w.ctx, authn.Stream{Company: w.company.ID, Channel: authn.AuditSyslog}, 2, w.now); err != nil {
			t.Fatal(err)
		}
		if end, _, err := w.Store.PruneEnd(w.ctx, w.company.ID, later, time.Time{}, 1000); err != nil || end != 2 {
			t.Errorf("%d %v", end, err)
		}
		if end, _, err := w.Store.PruneEnd(w.ctx, w.company.ID, later, later, 1000); err != nil || end != sealed {
			t.Errorf("%d of %d, %v", end, sealed, err)
		}
		for _, want := range []int{3, 1, 0} {
			n, err := w.Store.PruneEvents(w.ctx, w.company.ID, 4, 3, w.now)
			w.must(err)
			if n != want {
				t.Errorf("%d deleted, want %d", n, want)
			}
		}
		kept, err := w.Store.Keep(w.ctx, w.company.ID)
		w.must(err)
		if kept.Months != 3 || kept.Seq != 4 || string(kept.Hash) != string(hash) || !kept.DeletedAt.Equal(w.now) {
			t.Errorf("%+v", kept)
		}
		rest, err := w.Store.SealedEvents(w.ctx, w.company.ID, 0, 0)
		w.must(err)
		if len(rest) == 0 || rest[0].Seq != 5 || string(rest[0].Prev) != string(hash) {
			t.Errorf("%+v", rest)
		}
		if got, err := w.Store.Keep(w.ctx, beta.ID); err != nil || got.Seq != 0 || got.Months != 0 {
			t.Errorf("%+v %v", got, err)
		}
		if n := w.count("SELECT count(*) FROM events WHERE company = $1 AND seq IS NOT NULL", beta.ID); n != 3 {
			t.Errorf("%d events of the other company", n)
		}
		if fmt.Sprint(kept.Hash) == fmt.Sprint(rest[0].Hash) {
			t.Error("one hash twice")
		}
	})
	t.Run("names are of one company", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
		names, err := w.Store.Names(w.ctx, p.company, []string{p.id, q.id, p.id, "", "x'"})
		w.must(err)
		if len(names) != 1 || names[p.id].Login != "maya" {
			t.Errorf("%+v", names)
		}
	})
}
