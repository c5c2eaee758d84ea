package sallyporttest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
)

func newKeyring(t testing.TB) *keyring.Keyring {
	t.Helper()
	ring, err := keyring.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func runEvents(t *testing.T, open opener) {
	t.Run("K1 events come back as they were given, newest first, in pages", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
		var want []authn.Event
		for i := range 7 {
			w.now = w.now.Add(time.Second)
			ev := authn.Event{Company: p.company, ID: w.id(authn.EventID), Type: "factor.refused", Actor: "usr_a", Target: p.id, Result: authn.Refused, At: w.now,
				Personal: authn.Personal{Address: "2001:db8::1", Agent: "Firefox on Linux", Detail: map[string]string{"n": fmt.Sprint(i)}}}
			if i%2 == 1 {
				ev.Target, ev.Personal = q.id, authn.Personal{}
			}
			want = append([]authn.Event{ev}, want...)
			w.must(w.decide(p.keys(), func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }))
		}
		var got []authn.Event
		for before := ""; len(got) < len(want); before = got[len(got)-1].ID {
			page, err := w.Store.Events(w.ctx, p.company, authn.EventQuery{Before: before, Limit: 3})
			w.must(err)
			got = append(got, page...)
		}
		if got = got[:len(want)]; !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		about, err := w.Store.Events(w.ctx, p.company, authn.EventQuery{Target: q.id})
		w.must(err)
		if len(about) != 4 || about[0].ID != want[1].ID { // three, and "user.created"
			t.Errorf("%+v", about)
		}
	})
	t.Run("rul-40 what was erased is gone and the chain still holds", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		w.exec("UPDATE users SET person_key = NULL WHERE id = $1", p.id)
		if n, err := w.Store.SealEvents(w.ctx, p.company, w.now, 100, link); err != nil || n != 2 {
			t.Fatalf("%d %v", n, err)
		}
		list, err := w.Store.Events(w.ctx, p.company, authn.EventQuery{})
		w.must(err)
		for _, ev := range list {
			if said := ev.Personal.Agent != ""; said != (ev.Target == "") {
				t.Errorf("%+v", ev)
			}
		}
		w.checkChain(p.company, 2)
		w.must(w.write(p.keys(), authn.EndAttempts{})) // goes on under the company's key
	})
	t.Run("rul-53 sealing numbers what was committed, in order, once", func(t *testing.T) {
		w := newWorld(t, open)
		beta := w.newCompany("beta")
		for range 25 {
			w.must(w.write(authn.Keys{Company: w.company.ID}))
		}
		w.must(w.write(authn.Keys{Company: beta.ID}))
		total := 0
		for _, want := range []int{10, 10, 6, 0} {
			n, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now, 10, link)
			w.must(err)
			if n != want {
				t.Errorf("sealed %d, want %d", n, want)
			}
			total += n
		}
		w.checkChain(w.company.ID, total)
		w.must(w.write(authn.Keys{Company: w.company.ID}))
		n, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now, 10, link)
		w.must(err)
		w.checkChain(w.company.ID, total+n)
	})
	t.Run("rul-55 two nodes that seal at once give no number twice", func(t *testing.T) {
		w := newWorld(t, open)
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		for range 40 {
			w.must(w.write(authn.Keys{Company: w.company.ID}))
		}
		done := make(chan error)
		seal := func(seal func() error) {
			for range 20 {
				if err := seal(); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}
		go seal(func() error { _, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now, 3, link); return err })
		go seal(func() error { _, err := again.SealEvents(w.ctx, w.company.ID, w.now, 3, link); return err })
		w.must(<-done)
		w.must(<-done)
		for range 20 {
			_, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now.Add(time.Hour), 3, link)
			w.must(err)
		}
		w.checkChain(w.company.ID, 41)
	})
	t.Run("a chain without a hash seals nothing", func(t *testing.T) {
		w := newWorld(t, open)
		_, err := w.Store.SealEvents(w.ctx, w.company.ID, w.now, 10, func([]byte, int64, authn.Event, []byte) []byte { return nil })
		w.want(err, authn.Internal)
		if n := w.count("SELECT count(*) FROM events WHERE seq IS NOT NULL"); n != 0 {
			t.Errorf("%d sealed", n)
		}
	})
}

// link is a chain that covers everything it is given.
func link(prev []byte, seq int64, e authn.Event, commitment []byte) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %d %+v %x", prev, seq, e, commitment))
	return sum[:]
}

// checkChain computes the chain anew from what is stored.
func (w *world) checkChain(company string, want int) {
	w.t.Helper()
	rows, err := w.SQL.Query("SELECT id, type, actor, target, result, at, commitment, seq, prev, hash FROM events WHERE company = $1 AND seq IS NOT NULL ORDER BY seq", company)
	w.must(err)
	defer rows.Close()
	var prev []byte
	n := 0
	for rows.Next() {
		ev := authn.Event{Company: company}
		var at, seq int64
		var commitment, before, hash []byte
		w.must(rows.Scan(&ev.ID, &ev.Type, &ev.Actor, &ev.Target, &ev.Result, &at, &commitment, &seq, &before, &hash))
		ev.At = time.UnixMicro(at).UTC()
		n++
		if seq != int64(n) || !bytes.Equal(before, prev) || !bytes.Equal(hash, link(prev, seq, ev, commitment)) {
			w.t.Fatalf("event %d of the chain does not fit", n)
		}
		prev = hash
	}
	w.must(rows.Err())
	if n != want {
		w.t.Errorf("%d sealed, want %d", n, want)
	}
}

func runHouse(t *testing.T, open opener) {
	t.Run("rul-55 a lease has one holder until it ends", func(t *testing.T) {
		w := newWorld(t, open)
		take := func(holder string, at time.Duration) bool {
			ok, err := w.Store.Acquire(w.ctx, "outbox", holder, w.now.Add(at), time.Minute)
			w.must(err)
			return ok
		}
		for i, c := range []struct {
			holder string
			at     time.Duration
			want   bool
		}{{"a", 0, true}, {"b", 0, false}, {"a", 30 * time.Second, true}, {"b", 89 * time.Second, false}, {"b", 90 * time.Second, true}, {"a", 91 * time.Second, false}} {
			if got := take(c.holder, c.at); got != c.want {
				t.Errorf("%d: %v", i, got)
			}
		}
	})
	t.Run("marks", func(t *testing.T) {
		w := newWorld(t, open)
		for _, value := range []string{"", "yes", "no"} {
			if value != "" {
				w.must(w.Store.SetMark(w.ctx, "demo", value))
			}
			got, err := w.Store.Mark(w.ctx, "demo")
			w.must(err)
			if got != value {
				t.Errorf("got %q, want %q", got, value)
			}
		}
		w.must(w.Store.Ready(w.ctx))
	})
	t.Run("sweeping takes what ended, and nothing else", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		for range 3 {
			p.newAttempt("")
		}
		p.begin(authn.SMS, "s")
		w.guess(authn.Keys{Company: p.company, Login: "nobody", Charge: authn.GuessPassword}, authn.Wrong, w.now.Add(3*24*time.Hour), 0)
		w.guess(authn.Keys{Company: p.company, Login: "maya", Charge: authn.GuessPassword}, authn.Wrong, w.now.Add(time.Minute), 0)
		for _, c := range []struct {
			at                           time.Duration
			attempts, pending, throttles int
		}{
			{time.Hour, 3, 1, 2},
			{75 * time.Minute, 0, 1, 2},
			{90 * time.Minute, 0, 0, 2},
			{47 * time.Hour, 0, 0, 2},
			{49 * time.Hour, 0, 0, 1}, // the other one is still paused
			{5*24*time.Hour + time.Minute, 0, 0, 0},
		} {
			w.must(w.Store.Sweep(w.ctx, w.now.Add(c.at)))
			a, f, th := w.count("SELECT count(*) FROM attempts"), w.count("SELECT count(*) FROM factors WHERE state = 'pending'"), w.count("SELECT count(*) FROM throttles")
			if a != c.attempts || f != c.pending || th != c.throttles {
				t.Errorf("after %v: %d attempts, %d pending, %d counts", c.at, a, f, th)
			}
		}
		if n := w.count("SELECT count(*) FROM factors"); n != 2 {
			t.Errorf("%d factors left", n)
		}
	})
	t.Run("a store that is opened again finds everything", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newPerson(w.company, "maya")
		se, token := p.newSession()
		again, err := w.Again(t, w.Keyring)
		w.must(err)
		rows, err := again.View(w.ctx, authn.Keys{Company: p.company, SessionToken: token, Now: w.now})
		w.must(err)
		if rows.Session == nil || rows.Session.ID != se.ID {
			t.Errorf("%+v", rows)
		}
		if c := p.guessApp(authn.Right); string(c.Secret) != p.secret {
			t.Errorf("%+v", c)
		}
	})
	t.Run("rul-55 several nodes start at once on an empty database", func(t *testing.T) {
		f := open(t)
		for _, table := range tables {
			if _, err := f.SQL.Exec("DROP TABLE " + table + cascade(f)); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error)
		for range 3 {
			go func() { _, err := f.Again(t, f.Keyring); done <- err }()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		var n int
		if err := f.SQL.QueryRow("SELECT count(*) FROM migrations").Scan(&n); err != nil || n == 0 {
			t.Errorf("%d migrations, %v", n, err)
		}
	})
	t.Run("a newer schema is refused with what to do", func(t *testing.T) {
		w := newWorld(t, open)
		w.exec("INSERT INTO migrations (version, name, checksum) VALUES (9999, 'later', 'x')")
		_, err := w.Again(t, w.Keyring)
		wantText(t, err, "newer release")
	})
	t.Run("a migration that is not ours is refused", func(t *testing.T) {
		w := newWorld(t, open)
		w.exec("UPDATE migrations SET checksum = 'x' WHERE version = 1")
		_, err := w.Again(t, w.Keyring)
		wantText(t, err, "not the one of this release")
		w.exec("DELETE FROM migrations WHERE version = 1")
		_, err = w.Again(t, w.Keyring)
		if err == nil {
			t.Error("migrated twice")
		}
	})
}

func wantText(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte(text)) {
		t.Errorf("got %v, want %q", err, text)
	}
}

// cascade is needed by PostgreSQL, where tables that others refer to stay.
func cascade(f *Fixture) string {
	if _, err := f.SQL.Exec("SELECT sqlite_version()"); err == nil {
		return ""
	}
	return " CASCADE"
}
