package sallyporttest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

// happened writes an event of a type at a time.
func (w *world) happened(company string, typ string, at time.Time, result authn.Result, detail map[string]string) {
	w.t.Helper()
	ev := authn.Event{Type: typ, At: at, Result: result, Personal: authn.Personal{Detail: detail}}
	w.must(w.decide(authn.Keys{Company: company, Now: w.now}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }))
}

func (w *world) seal(on *store.Store, company string) {
	w.t.Helper()
	for range 100 {
		n, err := on.SealEvents(w.ctx, company, w.now, 7, link)
		w.must(err)
		if n == 0 {
			return
		}
	}
	w.t.Fatal("sealing has no end")
}

func (w *world) counts(company string, offset time.Duration, types ...string) []authn.EventCount {
	w.t.Helper()
	list, err := w.Store.EventCounts(w.ctx, company, authn.CountQuery{Types: types, From: w.now.AddDate(0, 0, -30), Until: w.now.AddDate(0, 0, 30), Offset: offset})
	w.must(err)
	return list
}

func (w *world) day(at time.Time) int64 { return at.Unix() / 86400 }

func runCounts(t *testing.T, open opener) {
	const proved, started, refused, many = "factor.proved", "session.started", "sign_in.refused", "sign_in.refusals_counted"
	t.Run("H7 events are counted when they are sealed, once, by company, day, result and a word", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		other, err := w.Again(t, w.Keyring)
		w.must(err)
		for i := range 20 {
			w.happened(w.company.ID, proved, w.now, authn.Succeeded, map[string]string{"method": string(authn.TOTP), "factor": fmt.Sprint(i)})
		}
		w.happened(w.company.ID, proved, w.now.Add(-24*time.Hour), authn.Succeeded, map[string]string{"method": "sms"})
		w.happened(beta.ID, proved, w.now, authn.Succeeded, map[string]string{"method": "duo"})
		if got := w.counts(w.company.ID, 0, proved); got != nil {
			t.Errorf("counted before they are sealed: %v", got)
		}
		if _, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now, 10, func([]byte, int64, authn.Event, []byte) []byte { return nil }); err == nil {
			t.Error("sealed without a hash")
		}
		if got := w.counts(w.company.ID, 0, proved); got != nil {
			t.Errorf("counted and then not sealed: %v", got)
		}
		w.seal(w.Store, w.company.ID)
		w.now = w.now.Add(time.Minute)
		w.seal(other, w.company.ID)
		w.seal(other, beta.ID)
		today := w.day(w.now)
		want := []authn.EventCount{{Day: today - 1, Type: proved, Result: authn.Succeeded, Detail: "sms", N: 1}, {Day: today, Type: proved, Result: authn.Succeeded, Detail: string(authn.TOTP), N: 20}}
		if got := w.counts(w.company.ID, 0, proved); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
		if got := w.counts(beta.ID, 0, proved); len(got) != 1 || got[0].Detail != "duo" || got[0].N != 1 {
			t.Errorf("of the other company: %+v", got)
		}
		if n := w.count("SELECT count(*) FROM events WHERE seq IS NOT NULL AND counted_as <> ''"); n != 0 {
			t.Errorf("%d sealed events still say in the open what they were counted as", n)
		}
	})
	t.Run("H7 only known words are counted by, and many refusals count as many", func(t *testing.T) {
		w := newWorld(t, open)
		for i := range 5 {
			w.happened(w.company.ID, proved, w.now, authn.Succeeded, map[string]string{"method": fmt.Sprintf("<b>own %d</b>", i)})
		}
		w.happened(w.company.ID, started, w.now, authn.Succeeded, map[string]string{"acr": "aal2", "method": "sms"})
		w.happened(w.company.ID, started, w.now, authn.Succeeded, map[string]string{"acr": "aal2"})
		w.happened(w.company.ID, started, w.now, authn.Succeeded, map[string]string{"acr": "gold"})
		w.happened(w.company.ID, refused, w.now, authn.Refused, map[string]string{"reason": "wrong_password"})
		w.happened(w.company.ID, many, w.now, authn.Refused, map[string]string{"wrong_password": "120", "paused": "3", "x": "-5", "y": "many"})
		w.happened(w.company.ID, "message.failed", w.now, authn.Refused, map[string]string{"channel": "sms"})
		w.seal(w.Store, w.company.ID)
		want := []authn.EventCount{{Type: proved, Result: authn.Succeeded, Detail: "other", N: 5},
			{Type: started, Result: authn.Succeeded, Detail: "aal2", N: 1}, {Type: started, Result: authn.Succeeded, Detail: "other", N: 1}, {Type: started, Result: authn.Succeeded, Detail: "sms", N: 1},
			{Type: refused, Result: authn.Refused, N: 1}, {Type: many, Result: authn.Refused, N: 123}, {Type: "message.failed", Result: authn.Refused, Detail: "sms", N: 1}}
		for i := range want {
			want[i].Day = w.day(w.now)
		}
		if got := w.counts(w.company.ID, 0, proved, started, refused, many, "message.failed", "no.such' OR 1=1"); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("H7 a day begins where the reader is", func(t *testing.T) {
		w := newWorld(t, open)
		midnight := w.now.Truncate(24 * time.Hour)
		for _, h := range []int{0, 1, 12, 22, 23} {
			w.happened(w.company.ID, started, midnight.Add(time.Duration(h)*time.Hour+59*time.Minute), authn.Succeeded, nil)
		}
		w.seal(w.Store, w.company.ID)
		for offset, want := range map[time.Duration][]int64{0: {5}, 2 * time.Hour: {3, 2}, -2 * time.Hour: {2, 3}, 90 * time.Minute: {4, 1}} {
			var got []int64
			for _, c := range w.counts(w.company.ID, offset, started) {
				got = append(got, c.N)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%v: %v, want %v", offset, got, want)
			}
		}
	})
	t.Run("H7 a clock that jumps counts nothing twice and loses nothing", func(t *testing.T) {
		w := newWorld(t, open)
		start := w.now
		for _, jump := range []time.Duration{0, 5 * 24 * time.Hour, -3 * 24 * time.Hour, 0} {
			w.now = start.Add(jump)
			w.happened(w.company.ID, started, w.now, authn.Succeeded, nil)
			w.seal(w.Store, w.company.ID)
		}
		w.now = start
		w.seal(w.Store, w.company.ID)
		day := w.day(start)
		var want []authn.EventCount
		for _, c := range [][2]int64{{day - 3, 1}, {day, 2}, {day + 5, 1}} {
			want = append(want, authn.EventCount{Day: c[0], Type: started, Result: authn.Succeeded, N: c[1]})
		}
		if got := w.counts(w.company.ID, 0, started); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("H7 counts stay for 25 months", func(t *testing.T) {
		w := newWorld(t, open)
		for _, age := range []int{0, 750, 770} {
			w.happened(w.company.ID, started, w.now.AddDate(0, 0, -age), authn.Succeeded, nil)
		}
		w.seal(w.Store, w.company.ID)
		w.must(w.Store.Sweep(w.ctx, w.now))
		if n := w.count("SELECT count(*) FROM event_counts WHERE type = $1", started); n != 2 {
			t.Errorf("%d hours are left", n)
		}
	})
	t.Run("rul-40 the oldest of what is not sealed", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		w.seal(w.Store, w.company.ID)
		if at, err := w.Store.OldestUnsealed(w.ctx, w.company.ID); err != nil || !at.IsZero() {
			t.Errorf("%v %v", at, err)
		}
		if at, err := w.Store.OldestUnsealed(w.ctx, beta.ID); err != nil || !at.Equal(w.now) {
			t.Errorf("%v %v", at, err)
		}
	})
}

func runAttention(t *testing.T, open opener) {
	t.Run("H7 owners, and who answers wrongly", func(t *testing.T) {
		w := newWorld(t, open)
		maya, omar := w.newPerson(w.company, "maya"), w.newPerson(w.company, "omar")
		zoe := w.newPerson(w.newCompany("beta"), "zoe")
		for _, p := range []*person{maya, zoe} {
			w.must(w.decide(p.keys(), func(rows *authn.Rows) authn.Verdict {
				u := *rows.User
				u.Roles, u.PasswordKnownAt, u.GraceAt = []string{"owner"}, w.now, w.now
				return authn.Accept(event("x", u.ID), authn.PutUser{User: u})
			}))
			w.exec("UPDATE users SET had_factor_at = 0 WHERE id = $1", p.id)
		}
		for range 4 {
			omar.guessApp(authn.Wrong)
			zoe.guessApp(authn.Wrong)
		}
		maya.guessApp(authn.Wrong)
		one := func(list []authn.Person, err error, who *person) {
			t.Helper()
			if err != nil || len(list) != 1 || list[0].User.ID != who.id || len(list[0].Factors) != 2 {
				t.Errorf("%+v %v", list, err)
			}
		}
		list, err := w.Store.Owners(w.ctx, w.company.ID)
		one(list, err, maya)
		list, err = w.Store.Wrong(w.ctx, w.company.ID, 10)
		one(list, err, omar)
		if list, err := w.Store.Wrong(w.ctx, w.company.ID, 10); err != nil || list[0].Factors[1].Counts[authn.Stranger].Tries != 4 {
			t.Errorf("%+v %v", list, err)
		}
		for _, c := range []struct {
			after, until time.Duration
			want         int
		}{{-time.Hour, time.Hour, 1}, {-time.Hour, 0, 1}, {0, time.Hour, 0}} {
			if n, err := w.Store.GraceBegun(w.ctx, w.company.ID, w.now.Add(c.after), w.now.Add(c.until), 5); err != nil || n != c.want {
				t.Errorf("%v: %d %v", c, n, err)
			}
		}
		if n, err := w.Store.PasswordsKnown(w.ctx, w.company.ID, 5); err != nil || n != 1 {
			t.Errorf("%d %v", n, err)
		}
		if n, err := w.Store.PasswordsKnown(w.ctx, w.company.ID, 0); err != nil || n != 0 {
			t.Errorf("%d %v", n, err)
		}
	})
}
