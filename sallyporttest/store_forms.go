package sallyporttest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

const canary = "canary+secret"

// keepForm begins a step-up in p's session, with a form that waits for it.
func (p *person) keepForm(session authn.Token, browser string) (attempt string) {
	p.w.t.Helper()
	a, token := p.attemptFor(session)
	k := authn.Keys{Company: p.company, SessionToken: session, Browser: browser, Now: p.w.now}
	form := authn.Form{Route: "POST /admin/x/{id}", Path: "/admin/x/1", Body: []byte("password=" + canary), ExpiresAt: p.w.now.Add(authn.FormLives)}
	p.w.must(p.w.write(k, authn.NewAttempt{Attempt: a, Token: token}, authn.KeepForm{Attempt: a.ID, Form: form}))
	return a.ID
}

func (p *person) attemptFor(session authn.Token) (authn.Attempt, authn.Token) {
	a := authn.Attempt{Company: p.company, ID: p.w.id(authn.AttemptID), User: p.id, Purpose: authn.StepUp, State: authn.NeedFactor, Version: 1, Session: session.ID,
		Epoch: 1, CreatedAt: p.w.now, ExpiresAt: p.w.now.Add(15 * time.Minute)}
	return a, authn.NewToken(authn.AttemptToken, a.Company, a.ID, rand.Reader)
}

// prove completes the step-up.
func (w *world) prove(attempt string) {
	w.exec("UPDATE attempts SET state = 'complete' WHERE id = $1", attempt)
}

// take is what one of perhaps many gets.
func (w *world) take(k authn.Keys) (form *authn.Form, err error) {
	k.TakeForm = true
	err = w.Store.Decide(context.Background(), k, func(rows *authn.Rows) authn.Verdict {
		if form = rows.Form; form == nil {
			return authn.Drop(authn.NotFound)
		}
		return authn.Accept(event("step_up.form_sent", rows.User.ID))
	})
	return form, err
}

func runForms(t *testing.T, open opener) {
	t.Run("rul-27 belongs to one step-up, browser, person, sign-in and epoch", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
		beta := w.newUser(w.newCompany("beta"), "zoe")
		_, session := p.newSession()
		third, other := p.newSession()
		w.exec("UPDATE sessions SET attempt = 'att_2' WHERE id = $1", third.ID)
		_, theirs := q.newSession()
		_, far := beta.newSession()
		attempt := p.keepForm(session, "cookie")
		second := p.keepForm(session, "cookie")
		w.prove(attempt)
		mine := authn.Keys{Company: p.company, SessionToken: session, Browser: "cookie", Now: w.now, Form: attempt}
		of := func(change func(*authn.Keys)) authn.Keys { k := mine; change(&k); return k }
		bad := map[string]authn.Keys{
			"another browser":   of(func(k *authn.Keys) { k.Browser = "cookie2" }),
			"no browser":        of(func(k *authn.Keys) { k.Browser = "" }),
			"another sign-in":   of(func(k *authn.Keys) { k.SessionToken = other }),
			"another person":    of(func(k *authn.Keys) { k.SessionToken = theirs }),
			"another company":   of(func(k *authn.Keys) { k.Company, k.SessionToken = beta.company, far }),
			"no session":        of(func(k *authn.Keys) { k.SessionToken, k.User = authn.Token{}, p.id }),
			"no step-up":        of(func(k *authn.Keys) { k.Form = w.id(authn.AttemptID) }),
			"no id":             of(func(k *authn.Keys) { k.Form = "x" }),
			"ten minutes later": of(func(k *authn.Keys) { k.Now = w.now.Add(authn.FormLives) }),
		}
		for what, k := range bad {
			if rows := w.view(k); rows.Form != nil {
				t.Errorf("%s: shown", what)
			}
			if _, err := w.take(k); !errors.Is(err, authn.NotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := w.take(of(func(k *authn.Keys) { k.Form = second })); !errors.Is(err, authn.NotFound) {
			t.Errorf("before its step-up is complete: %v", err)
		}
		if rows := w.view(of(func(k *authn.Keys) { k.Form = second })); rows.Form == nil {
			t.Error("not shown on the page of the step-up")
		}
		for range 2 { // looking leaves it
			f := w.view(mine).Form
			if f == nil || f.Route != "POST /admin/x/{id}" || f.Path != "/admin/x/1" || string(f.Body) != "password="+canary || !f.ExpiresAt.Equal(w.now.Add(authn.FormLives)) {
				t.Fatalf("%+v", f)
			}
		}
		// std-9: the database holds nothing of it that can be read, and what it holds opens
		// without the cookie no more than without the keys.
		if dump := w.openedAll(p.company); strings.Contains(dump, canary) || strings.Contains(dump, fmt.Sprintf("%x", canary)) || strings.Contains(dump, "/admin/x/1") {
			t.Error("the form can be read")
		}
		w.exec("UPDATE users SET epoch = 2 WHERE id = $1", p.id)
		if _, err := w.take(mine); !errors.Is(err, authn.NotFound) {
			t.Errorf("after the epoch moved: %v", err)
		}
		w.exec("UPDATE users SET epoch = 1 WHERE id = $1", p.id)
		if f, err := w.take(mine); err != nil || string(f.Body) != "password="+canary {
			t.Errorf("%+v %v", f, err)
		}
		if _, err := w.take(mine); !errors.Is(err, authn.NotFound) {
			t.Errorf("twice: %v", err)
		}
		w.must(w.write(p.keys(), authn.EndSession{ID: session.ID}))
		w.prove(second)
		if _, err := w.take(of(func(k *authn.Keys) { k.Form = second })); !errors.Is(err, authn.NotFound) {
			t.Errorf("after signing out: %v", err)
		}
	})
	t.Run("rul-38 what was changed opens nothing, and is used up", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		_, session := p.newSession()
		foreign := p.keepForm(session, "cookie")
		for _, s := range []string{"expires_at = expires_at + 1", "sealed = substr(sealed, 1, 20)", "sealed = substr(sealed, 1, 0)",
			"sealed = (SELECT sealed FROM forms WHERE attempt = '" + foreign + "')"} {
			attempt := p.keepForm(session, "cookie")
			w.prove(attempt)
			w.exec("UPDATE forms SET "+s+" WHERE attempt = $1", attempt)
			if _, err := w.take(authn.Keys{Company: p.company, SessionToken: session, Browser: "cookie", Now: w.now, Form: attempt}); !errors.Is(err, authn.NotFound) {
				t.Errorf("%s: %v", s, err)
			}
			if w.count("SELECT count(*) FROM forms WHERE attempt = $1", attempt) != 0 {
				t.Errorf("%s: it is still there", s)
			}
		}
	})
	t.Run("inv-A a hundred at once, and one gets it", func(t *testing.T) {
		w := newWorld(t, open)
		p := w.newUser(w.company, "maya")
		_, session := p.newSession()
		attempt := p.keepForm(session, "cookie")
		w.prove(attempt)
		var got, none atomic.Int32
		together(100, func(int) {
			switch f, err := w.take(authn.Keys{Company: p.company, SessionToken: session, Browser: "cookie", Now: w.now, Form: attempt}); {
			case err == nil && f != nil:
				got.Add(1)
			case errors.Is(err, authn.NotFound):
				none.Add(1)
			default:
				t.Error(err)
			}
		})
		if got.Load() != 1 || none.Load() != 99 || w.count("SELECT count(*) FROM events WHERE type = 'step_up.form_sent'") != 1 {
			t.Errorf("%d got it, %d did not", got.Load(), none.Load())
		}
	})
	t.Run("few, short, not for long; swept, and gone with the step-up, the person and the company", func(t *testing.T) {
		w := newWorld(t, open)
		p, q := w.newUser(w.company, "maya"), w.newUser(w.newCompany("beta"), "zoe")
		_, session := p.newSession()
		_, theirs := q.newSession()
		first := p.keepForm(session, "cookie")
		there := func(who *person) int { return w.count("SELECT count(*) FROM forms WHERE user_id = $1", who.id) }
		for range authn.MaxForms {
			w.now = w.now.Add(time.Second)
			p.keepForm(session, "cookie")
		}
		if there(p) != authn.MaxForms || w.count("SELECT count(*) FROM forms WHERE attempt = $1", first) != 0 {
			t.Errorf("%d forms", there(p))
		}
		for what, f := range map[string]authn.Form{"long": {Body: make([]byte, authn.MaxForm+1)}, "for long": {ExpiresAt: w.now.Add(authn.FormLives + 1)}} {
			a, token := p.attemptFor(session)
			k := authn.Keys{Company: p.company, SessionToken: session, Browser: "cookie", Now: w.now}
			if err := w.write(k, authn.NewAttempt{Attempt: a, Token: token}, authn.KeepForm{Attempt: a.ID, Form: f}); !errors.Is(err, authn.Internal) {
				t.Errorf("%s: %v", what, err)
			}
		}
		q.keepForm(theirs, "cookie")
		w.must(w.Store.Sweep(w.ctx, w.now.Add(authn.FormLives-time.Second)))
		if there(q) != 1 {
			t.Error("swept too early")
		}
		w.must(w.Store.Sweep(w.ctx, w.now.Add(authn.FormLives)))
		if there(q) != 0 || there(p) != 0 {
			t.Error("not swept")
		}
		p.keepForm(session, "cookie")
		q.keepForm(theirs, "cookie")
		w.must(w.decide(p.keys(), func(*authn.Rows) authn.Verdict {
			return authn.Accept(event("user.erased", p.id), authn.EraseUser{By: "operator"}, authn.EndSessions{}, authn.EndAttempts{})
		}))
		if there(p) != 0 || there(q) != 1 {
			t.Error("erasing a person")
		}
		w.must(w.Store.EraseCompany(w.ctx, q.company, w.now))
		if _, err := w.Store.PurgeCompany(w.ctx, q.company, w.now, 1000); err != nil || there(q) != 0 {
			t.Errorf("purging a company: %v", err)
		}
	})
}
