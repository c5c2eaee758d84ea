package sallyporttest

import (
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// runOperator is about what only the operator's commands do.
func runOperator(t *testing.T, open opener) {
	t.Run("rul-16 the latest time seen only grows, until it is lowered", func(t *testing.T) {
		w := newWorld(t, open)
		for _, c := range []struct{ at, want time.Duration }{{0, 0}, {time.Minute, time.Minute}, {-time.Hour, time.Minute}, {2 * time.Minute, 2 * time.Minute}} {
			got, err := w.Store.RaiseClock(w.ctx, w.now.Add(c.at))
			w.must(err)
			if !got.Equal(w.now.Add(c.want)) {
				t.Errorf("%v: %v", c.at, got)
			}
		}
		w.must(w.Store.LowerClock(w.ctx, w.now, event("clock.lowered", "")))
		got, err := w.Store.Clock(w.ctx)
		w.must(err)
		if !got.Equal(w.now) || w.count("SELECT count(*) FROM events WHERE type = 'clock.lowered'") != 1 {
			t.Errorf("%v", got)
		}
	})
	t.Run("rul-16 a later step is lowered, with an event, and nothing else", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		maya, omar, zoe := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar"), w.newPerson(beta, "zoe")
		for p, step := range map[*person]int64{maya: 500, omar: 90, zoe: 500} {
			w.exec("UPDATE factors SET last_step = $1 WHERE id = $2", step, p.app)
		}
		limit := func([]byte) int64 { return 100 }
		n, err := w.Store.StepsAfter(w.ctx, authn.TOTP, limit)
		w.must(err)
		if n != 2 {
			t.Errorf("%d ahead", n)
		}
		n, err = w.Store.RepairClock(w.ctx, w.company.ID, authn.TOTP, limit, w.now, event("factor.step_lowered", ""))
		w.must(err)
		if n != 1 || w.count("SELECT count(*) FROM events WHERE type = 'factor.step_lowered' AND target = $1", maya.id) != 1 {
			t.Errorf("%d repaired", n)
		}
		for p, want := range map[*person]int{maya: 100, omar: 90, zoe: 500} {
			if got := w.count("SELECT last_step FROM factors WHERE id = $1", p.app); got != want {
				t.Errorf("%s: %d, want %d", p.login, got, want)
			}
		}
		if n, err := w.Store.RepairClock(w.ctx, w.company.ID, authn.TOTP, limit, w.now, event("factor.step_lowered", "")); err != nil || n != 0 {
			t.Errorf("again: %d %v", n, err)
		}
	})
	t.Run("the tail and the schema are told", func(t *testing.T) {
		w := newWorld(t, open)
		tail, err := w.Store.Unsealed(w.ctx)
		w.must(err)
		if tail.Events != 1 || !tail.Oldest.Equal(w.now) {
			t.Errorf("%+v", tail)
		}
		if _, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now, 0, link); err != nil {
			t.Fatal(err)
		}
		if tail, err = w.Store.Unsealed(w.ctx); err != nil || tail.Events != 0 || !tail.Oldest.IsZero() {
			t.Errorf("%+v %v", tail, err)
		}
		has, makes, err := w.Store.Schema(w.ctx)
		if err != nil || has == 0 || has != makes {
			t.Errorf("%d %d %v", has, makes, err)
		}
		settings, err := w.Store.Settings(w.ctx)
		if err != nil || len(settings) < 3 {
			t.Errorf("%v %v", settings, err)
		}
		if damage, _, err := w.Store.QuickCheck(w.ctx); err != nil || len(damage) > 0 {
			t.Errorf("%v %v", damage, err)
		}
		if _, _, err := w.Store.DatabaseTime(w.ctx); err != nil {
			t.Error(err)
		}
		w.must(w.Store.CheckKeyring(w.ctx))
		if keys, err := w.Store.WrappedKeys(w.ctx); err != nil || len(keys) != 1 {
			t.Errorf("%v %v", keys, err)
		}
		w.exec("INSERT INTO migrations (version, name, checksum) VALUES (9999, 'later', 'x')")
		_, _, err = w.Store.Schema(w.ctx)
		wantText(t, err, "newer release")
	})
	t.Run("K1 events are found by type, time and person", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		for i, typ := range []string{"factor.begun", "factor.refused", "session.ended", "factorial"} {
			ev := event(typ, p.id)
			if ev.At = w.now.Add(time.Duration(i) * time.Hour); i == 1 {
				ev.Target = ""
			}
			w.must(w.decide(p.keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }))
		}
		for _, c := range []struct {
			q    authn.EventQuery
			want int
		}{
			{authn.EventQuery{Type: "factor."}, 2}, {authn.EventQuery{Type: "factor.begun"}, 1}, {authn.EventQuery{Type: "factor"}, 0},
			{authn.EventQuery{Type: "factor.", Target: p.id}, 1}, {authn.EventQuery{Since: w.now.Add(time.Hour)}, 3},
			{authn.EventQuery{Until: w.now.Add(time.Hour), Target: p.id}, 2}, {authn.EventQuery{Since: w.now.Add(time.Minute), Until: w.now.Add(2 * time.Hour)}, 1},
			{authn.EventQuery{Type: "%"}, 0}, {authn.EventQuery{Type: "' OR 1=1 --"}, 0},
		} {
			list, err := w.Store.Events(w.ctx, w.company.ID, c.q)
			w.must(err)
			if len(list) != c.want {
				t.Errorf("%+v: %d, want %d", c.q, len(list), c.want)
			}
		}
	})
	t.Run("rul-40 the chain is read in its order, with what it covers", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		p := w.newUser(w.company, "maya")
		for range 5 {
			w.must(w.decide(p.keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(event("factor.refused", p.id)) }))
		}
		if _, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now, 4, link); err != nil {
			t.Fatal(err)
		}
		list, err := w.Store.SealedEvents(w.ctx, w.company.ID, 1, 2)
		w.must(err)
		if len(list) != 2 || list[0].Seq != 2 || list[1].Seq != 3 || len(list[0].Commitment) == 0 || list[0].Damaged || list[0].Personal.Address == "" {
			t.Errorf("%+v", list)
		}
		rest, err := w.Store.UnsealedEvents(w.ctx, w.company.ID, "", 0)
		w.must(err)
		after, err := w.Store.UnsealedEvents(w.ctx, w.company.ID, rest[0].ID, 0)
		w.must(err)
		if len(rest) != 3 || len(after) != 2 {
			t.Errorf("%d %d", len(rest), len(after))
		}
		seq, hash, err := w.Store.ChainHead(w.ctx, w.company.ID)
		if err != nil || seq != 4 || len(hash) == 0 {
			t.Errorf("%d %x %v", seq, hash, err)
		}
		if seq, _, err := w.Store.ChainHead(w.ctx, beta.ID); err != nil || seq != 0 {
			t.Errorf("%d %v", seq, err)
		}
		if list, err := w.Store.SealedEvents(w.ctx, beta.ID, 0, 0); err != nil || len(list) != 0 {
			t.Errorf("%v %v", list, err)
		}
		w.exec("UPDATE events SET commitment = personal WHERE seq = 3")
		if list, err = w.Store.SealedEvents(w.ctx, w.company.ID, 2, 1); err != nil || !list[0].Damaged {
			t.Errorf("%+v %v", list, err)
		}
	})
}
