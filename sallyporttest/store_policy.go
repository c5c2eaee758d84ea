package sallyporttest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/store"
)

func runPolicies(t *testing.T, open opener) {
	t.Run("rul-25 each save is kept, with who and why", func(t *testing.T) {
		w := newWorld(t, open)
		other := w.newCompany("beta")
		k := authn.Keys{Company: w.company.ID}
		w.now = w.now.Add(time.Hour)
		for n := int64(2); n <= 5; n++ {
			w.must(w.write(k, authn.SetPolicy{Policy: fmt.Appendf(nil, `{"n":%d}`, n), Version: n, Actor: "usr_priya", Reason: "audit " + strings.Repeat("ü", 3000), UndoOf: n - 2, Summary: []byte(`{"people":3}`)}))
		}
		w.must(w.write(authn.Keys{Company: other.ID}, authn.SetPolicy{Policy: []byte(`{"theirs":1}`), Version: 2, Actor: "operator"}))
		// What is refused is not kept.
		w.want(w.write(k, authn.SetPolicy{Policy: []byte(`{}`), Version: 5}), authn.Conflict)
		w.want(w.write(k, authn.SetPolicy{Policy: []byte(`{}`), Version: 6, Summary: []byte(`{`)}), authn.Internal)
		var got []int64
		for before := int64(0); ; {
			page, err := w.Store.PolicyVersions(w.ctx, w.company.ID, before, 2)
			w.must(err)
			if len(page) == 0 {
				break
			}
			for _, v := range page {
				got, before = append(got, v.Version), v.Version
				if v.Company != w.company.ID {
					t.Errorf("of another company: %+v", v)
				}
			}
		}
		if fmt.Sprint(got) != "[5 4 3 2 1]" {
			t.Errorf("%v", got)
		}
		v, err := w.Store.PolicyVersion(w.ctx, w.company.ID, 3)
		w.must(err)
		if string(v.Document) != `{"n":3}` || v.Actor != "usr_priya" || !strings.HasPrefix(v.Reason, "audit ü") || len(v.Reason) > 2000 || v.UndoOf != 1 ||
			string(v.Summary) != `{"people":3}` || !v.At.Equal(w.now) {
			t.Errorf("%+v", v)
		}
		if v, err = w.Store.PolicyVersion(w.ctx, w.company.ID, 1); err != nil || len(v.Summary) != 0 || v.UndoOf != 0 {
			t.Errorf("the first: %+v, %v", v, err)
		}
		for _, n := range []int64{0, 6, -1} {
			_, err := w.Store.PolicyVersion(w.ctx, w.company.ID, n)
			w.want(err, authn.NotFound)
		}
		if v, err := w.Store.PolicyVersion(w.ctx, other.ID, 2); err != nil || string(v.Document) != `{"theirs":1}` {
			t.Errorf("%+v %v", v, err)
		}
		_, err = w.Store.PolicyVersion(w.ctx, other.ID, 3)
		w.want(err, authn.NotFound)
	})
	t.Run("people come with their factors, page by page", func(t *testing.T) {
		w := newWorld(t, open)
		want := map[string]int{}
		for i := range 7 {
			p := w.newUser(w.company, fmt.Sprintf("user%d", i))
			want[p.id] = 1
			if i%2 == 0 {
				p.app = p.activate(authn.TOTP, p.secret, 0)
				want[p.id]++
			}
		}
		w.newPerson(w.newCompany("beta"), "zoe")
		for after := ""; ; {
			page, err := w.Store.People(w.ctx, w.company.ID, after, 3)
			w.must(err)
			if len(page) == 0 {
				break
			}
			for _, p := range page {
				if p.User.ID <= after || len(p.Factors) != want[p.User.ID] || p.User.Company != w.company.ID {
					t.Errorf("%s has %d", p.User.ID, len(p.Factors))
				}
				for _, f := range p.Factors {
					if f.User != p.User.ID || f.Counts == nil || f.Destination != "" {
						t.Errorf("%+v", f)
					}
				}
				delete(want, p.User.ID)
				after = p.User.ID
			}
		}
		if len(want) != 0 {
			t.Errorf("missing: %v", want)
		}
	})
	t.Run("rul-2 invitations of the stranded move on once", func(t *testing.T) { testInvited(t, newWorld(t, open)) })
	t.Run("reminders move on once, with their letters", func(t *testing.T) { testReminders(t, newWorld(t, open)) })
}

// testInvited: the place moves from where it is only, with what is written beside it.
func testInvited(t *testing.T, w *world) {
	k := authn.Keys{Company: w.company.ID, Now: w.now}
	move := func(from, to authn.Reminders) error { return w.write(k, authn.MoveInvited{From: from, To: to}) }
	at, err := w.Store.Invitations(w.ctx, w.company.ID)
	w.must(err)
	if at != (authn.Reminders{Company: w.company.ID}) {
		t.Fatalf("%+v", at)
	}
	first := authn.Reminders{Company: w.company.ID, Rollout: `{"base":1,"version":2}`, After: "usr_1"}
	w.must(move(at, first))
	w.want(move(at, first), authn.Conflict)
	last := first
	last.After, last.Done = "usr_9", true
	w.must(move(first, last))
	w.want(move(first, last), authn.Conflict)
	if got, err := w.Store.Invitations(w.ctx, w.company.ID); err != nil || got != last {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := w.Store.Invitations(w.ctx, w.newCompany("beta").ID); err != nil || got.Rollout != "" {
		t.Errorf("another company: %+v %v", got, err)
	}
}

func testReminders(t *testing.T, w *world) {
	p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
	w.Notice = func(authn.Event) (authn.Template, bool) { return "", false }
	mail, err := w.Again(t, w.Keyring)
	w.must(err)
	k := authn.Keys{Company: w.company.ID, Now: w.now}
	letter := func(u string) authn.Letter {
		return authn.Letter{ID: w.id(authn.MessageID), Template: "policy_soon", Channel: authn.Email, User: authn.User{ID: u}, To: "maya@acme.example", Args: map[string]string{"days": "3"}}
	}
	at, err := mail.Reminders(w.ctx, w.company.ID)
	w.must(err)
	if at != (authn.Reminders{Company: w.company.ID}) {
		t.Errorf("%+v", at)
	}
	next := authn.Reminders{Company: w.company.ID, Rollout: "abc", Days: 3, After: p.id}
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		l := letter(p.id)
		wg.Go(func() {
			on := []*store.Store{mail, w.Store}[i%2]
			errs[i] = on.Remind(w.ctx, k, at, next, []authn.Letter{l})
		})
	}
	wg.Wait()
	moved := 0
	for _, err := range errs {
		if err == nil {
			moved++
		} else {
			w.want(err, authn.Conflict)
		}
	}
	if n := w.count("SELECT count(*) FROM outbox"); moved != 1 || n > 1 {
		t.Fatalf("%d moved it, %d letters", moved, n)
	}
	if got, err := mail.Reminders(w.ctx, w.company.ID); err != nil || got != next {
		t.Errorf("%+v %v", got, err)
	}
	done := next
	done.Done = true
	before := w.count("SELECT count(*) FROM outbox")
	w.must(mail.Remind(w.ctx, k, next, done, []authn.Letter{letter(p.id)}))
	w.must(mail.Remind(w.ctx, k, done, authn.Reminders{Company: w.company.ID, Rollout: "abc", Days: 0}, nil)) // the next time
	w.want(mail.Remind(w.ctx, k, next, done, nil), authn.Conflict)
	if n := w.count("SELECT count(*) FROM outbox WHERE user_id = $1", p.id); n != before+1 {
		t.Errorf("%d letters", n)
	}
	w.want(mail.Remind(w.ctx, authn.Keys{Company: q.company, Now: w.now}, next, done, nil), authn.NotFound) // of another company
	if got, err := mail.Reminders(w.ctx, q.company); err != nil || got.Rollout != "" {
		t.Errorf("%+v %v", got, err)
	}
	list, err := mail.ClaimLetters(w.ctx, w.now, 10, time.Minute)
	w.must(err)
	if len(list) != before+1 || list[0].User.ID != p.id || list[0].Args["days"] != "3" {
		t.Errorf("%+v", list)
	}
}
