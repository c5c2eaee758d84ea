package sallyporttest

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// newReset stores what somebody asked for who forgot the password of a name; p is nil
// where it leads to nobody.
func (w *world) newReset(login string, p *person, browser string) (authn.Reset, authn.Token) {
	w.t.Helper()
	r := authn.Reset{Company: w.company.ID, ID: w.id(authn.ResetID), State: authn.ResetSent, Version: 1, CreatedAt: w.now, ExpiresAt: w.now.Add(10 * time.Minute)}
	if p != nil {
		r.User, r.Destination, r.Epoch = p.id, login+"@acme.example", 1
	}
	token := authn.NewToken(authn.ResetToken, r.Company, r.ID, rand.Reader)
	w.must(w.write(authn.Keys{Company: w.company.ID, Login: login, Browser: browser}, authn.NewReset{Reset: r, Token: token}))
	return r, token
}

// proveReset is one guess, which would be right; evaluated says whether it was
// compared with anything.
func (w *world) proveReset(k authn.Keys, right bool) (evaluated bool, err error) {
	k.Charge, k.Now = authn.GuessReset, w.now
	k.Choose = func(rows *authn.Rows) (string, error) {
		if rows.Reset != nil && rows.Reset.State != authn.ResetSent {
			return "", authn.Conflict
		}
		return "", nil
	}
	err = w.Store.Decide(context.Background(), k, func(rows *authn.Rows) authn.Verdict {
		evaluated = false
		if rows.Reset == nil {
			return authn.Drop(authn.NotFound)
		}
		if evaluated = rows.Charged.Paid; !evaluated {
			return authn.Drop(authn.Paused)
		}
		put := authn.PutReset{State: authn.ResetProven, ExpiresAt: rows.Reset.ExpiresAt}
		if right && rows.User != nil && len(rows.Charged.Challenges) == 1 && len(rows.Charged.Challenges[0].Seed) > 0 {
			return authn.Accept(event("password.reset_proven", rows.User.ID), authn.Settle{Outcome: authn.Right}, put)
		}
		put.State = authn.ResetSent
		return authn.Drop(authn.WrongCode, authn.Settle{Outcome: authn.Wrong}, put)
	})
	return evaluated, err
}

func runResets(t *testing.T, open opener) {
	t.Run("opened by its token, or by the browser that began it", func(t *testing.T) { resetsOpened(t, open) })
	t.Run("rul-38 a row that was moved opens nothing", func(t *testing.T) { resetsAltered(t, open) })
	t.Run("inv-A cve-25 of a hundred at once one proves it, and one uses it", func(t *testing.T) { resetsRaced(t, open) })
	t.Run("inv-B rul-8 guesses share one count over resets, names and nobody's", func(t *testing.T) { resetsGuessed(t, open) })
}

func resetsOpened(t *testing.T, open opener) {
	w := newWorld(t, open)
	p := w.newUser(w.company, "maya")
	beta := w.newCompany("beta")
	r, token := w.newReset("maya", p, "cookie")
	_, other := w.newReset("omar", w.newUser(w.company, "omar"), "cookie")
	forged, moved := token, token
	forged.Secret, moved.Company = other.Secret, beta.ID
	for what, c := range map[string]struct {
		k    authn.Keys
		want bool
	}{
		"its token":         {authn.Keys{Company: w.company.ID, ResetToken: token}, true},
		"its browser":       {authn.Keys{Company: w.company.ID, Reset: r.ID, Browser: "cookie"}, true},
		"another's secret":  {authn.Keys{Company: w.company.ID, ResetToken: forged}, false},
		"another company's": {authn.Keys{Company: beta.ID, ResetToken: moved}, false},
		"in another one":    {authn.Keys{Company: beta.ID, ResetToken: token}, false},
		"another browser":   {authn.Keys{Company: w.company.ID, Reset: r.ID, Browser: "other"}, false},
		"no browser":        {authn.Keys{Company: w.company.ID, Reset: r.ID}, false},
		"no token":          {authn.Keys{Company: w.company.ID, ResetToken: authn.Token{Kind: authn.ResetToken, Company: w.company.ID, ID: r.ID}}, false},
		"with a name":       {authn.Keys{Company: w.company.ID, ResetToken: token, Login: "omar"}, false},
	} {
		rows := w.view(c.k)
		if got := rows.Reset != nil; got != c.want || got && (rows.User == nil || rows.User.ID != p.id || rows.Reset.Destination != "maya@acme.example") {
			t.Errorf("%s: %+v", what, rows.Reset)
		}
	}
	_, nobody := w.newReset("nobody", nil, "cookie")
	if rows := w.view(authn.Keys{Company: w.company.ID, ResetToken: nobody}); rows.Reset == nil || rows.User != nil || rows.Reset.Destination != "" {
		t.Errorf("nobody's: %+v", rows.Reset)
	}
	w.hides(token)
	if strings.Contains(w.dump(), "maya@acme.example") {
		t.Error("the address lies about")
	}
}

func resetsAltered(t *testing.T, open opener) {
	w := newWorld(t, open)
	p, q := w.newUser(w.company, "maya"), w.newUser(w.company, "omar")
	for _, s := range []string{"user_id = '" + q.id + "'", "user_id = ''", "id = 'rst_2'", "token = (SELECT token FROM resets WHERE user_id = '" + q.id + "')"} {
		_, theirs := w.newReset("omar", q, "")
		r, token := w.newReset("maya", p, "")
		w.exec("UPDATE resets SET "+s+" WHERE id = $1", r.ID)
		for what, k := range map[string]authn.Keys{"its own": {Company: w.company.ID, ResetToken: token}, "another": {Company: w.company.ID, ResetToken: authn.Token{Kind: theirs.Kind, Company: w.company.ID, ID: r.ID, Secret: theirs.Secret}}} {
			if rows, err := w.Store.View(w.ctx, k); err == nil && rows.Reset != nil {
				t.Errorf("%s, %s token: %+v", s, what, rows.Reset)
			}
		}
		w.exec("DELETE FROM resets")
	}
	// An address that was put in its place makes no code.
	r, token := w.newReset("maya", p, "")
	w.newReset("omar", q, "")
	w.exec("UPDATE resets SET destination = (SELECT destination FROM resets WHERE id <> $1) WHERE id = $1", r.ID)
	if ok, err := w.proveReset(authn.Keys{Company: w.company.ID, ResetToken: token}, true); err == nil || ok {
		t.Errorf("another address: %v %v", ok, err)
	}
}

func resetsRaced(t *testing.T, open opener) {
	w := newWorld(t, open)
	p := w.newUser(w.company, "maya")
	r, token := w.newReset("maya", p, "cookie")
	w.once("password.reset_proven", func(i int) error {
		k := authn.Keys{Company: w.company.ID, ResetToken: token}
		if i%2 == 0 { // page and API at once
			k = authn.Keys{Company: w.company.ID, Reset: r.ID, Browser: "cookie"}
		}
		_, err := w.proveReset(k, true)
		return err
	})
	w.once("password.reset", func(int) error {
		return w.Store.Decide(context.Background(), authn.Keys{Company: w.company.ID, ResetToken: token, Now: w.now}, func(rows *authn.Rows) authn.Verdict {
			if rows.Reset == nil || rows.Reset.State != authn.ResetProven || rows.User.Epoch != rows.Reset.Epoch {
				return authn.Drop(authn.Conflict)
			}
			u := *rows.User
			u.Epoch++
			return authn.Accept(event("password.reset", u.ID), authn.PutUser{User: u}, authn.EndResets{}, authn.PutReset{State: authn.ResetUsed, ExpiresAt: rows.Reset.ExpiresAt})
		})
	})
}

func resetsGuessed(t *testing.T, open opener) {
	w := newWorld(t, open)
	p := w.newUser(w.company, "maya")
	for login, who := range map[string]*person{"maya": p, "nobody": nil} {
		var evaluated atomic.Int64
		var tokens []authn.Token
		for range 5 {
			_, token := w.newReset(login, who, "")
			tokens = append(tokens, token)
		}
		together(200, func(i int) {
			ok, err := w.proveReset(authn.Keys{Company: w.company.ID, ResetToken: tokens[i%len(tokens)]}, false)
			if ok {
				evaluated.Add(1)
			}
			if !errors.Is(err, authn.WrongCode) && !errors.Is(err, authn.Paused) {
				t.Errorf("%s: %v", login, err)
			}
		})
		if n := evaluated.Load(); n != authn.ShareStranger {
			t.Errorf("%s: %d guesses were evaluated, the share is %d", login, n, authn.ShareStranger)
		}
		// A new one begins no new count, and the right code comes too late.
		_, token := w.newReset(login, who, "")
		if ok, err := w.proveReset(authn.Keys{Company: w.company.ID, ResetToken: token}, true); ok || !errors.Is(err, authn.Paused) {
			t.Errorf("%s, a new one: %v %v", login, ok, err)
		}
	}
}
