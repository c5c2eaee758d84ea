package signin_test

import (
	"context"
	"crypto/rand"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

type sentMessage = inbox.Kept

func (w world) setPolicy(d policy.Document) {
	w.t.Helper()
	c, err := w.Directory.Company(context.Background(), "acme")
	if err != nil {
		w.t.Fatal(err)
	}
	if d.Format == 0 {
		d.Format = 1
	}
	if err := w.Directory.SetPolicy(context.Background(), c.ID, d, c.PolicyVersion); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) addUser(n directory.NewUser) sallyporttest.Person {
	w.t.Helper()
	n.Password = sallyporttest.Password
	u, err := w.Directory.CreateUser(context.Background(), w.Company, n)
	if err != nil {
		w.t.Fatal(err)
	}
	return sallyporttest.Person{User: u}
}

func (w world) rows(p sallyporttest.Person) authn.Rows {
	w.t.Helper()
	rows, err := w.Store.View(context.Background(), authn.Keys{Company: p.Company, User: p.ID, Now: w.Clock.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// decide writes something about a person that no service writes by itself.
func (w world) decide(p sallyporttest.Person, writes ...authn.Write) {
	w.t.Helper()
	err := w.Store.Decide(context.Background(), authn.Keys{Company: p.Company, User: p.ID, Now: w.Clock.Now()}, func(*authn.Rows) authn.Verdict {
		return authn.Continue(writes...)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) put(p sallyporttest.Person, change func(*authn.User)) {
	w.t.Helper()
	u := *w.rows(p).User
	change(&u)
	w.decide(p, authn.PutUser{User: u})
}

// addFactor gives a person a confirmed factor of a kind without a secret.
func (w world) addFactor(p sallyporttest.Person, k authn.Kind) string {
	w.t.Helper()
	now := w.Clock.Now()
	f := authn.Factor{ID: authn.NewID(authn.FactorID, now, rand.Reader), Kind: k, State: authn.Confirmed, Epoch: p.Epoch, CreatedAt: now, ConfirmAt: now}
	w.decide(p, authn.NewFactor{Factor: f})
	w.put(p, func(u *authn.User) { u.HadFactorAt = now })
	return f.ID
}

// addCodes gives a person ten backup codes.
func (w world) addCodes(p sallyporttest.Person) []string {
	w.t.Helper()
	shown, saved, err := backup.New(nil).NewSet()
	if err != nil {
		w.t.Fatal(err)
	}
	now := w.Clock.Now()
	f := authn.Factor{ID: authn.NewID(authn.FactorID, now, rand.Reader), Kind: authn.BackupCode, State: authn.Confirmed, Epoch: p.Epoch,
		CreatedAt: now, ConfirmAt: now, Left: len(saved)}
	w.decide(p, authn.NewFactor{Factor: f}, authn.NewCodes{Factor: f.ID, Codes: saved})
	return shown
}

func (w world) bypassCode(p sallyporttest.Person) string {
	w.t.Helper()
	c, _, err := w.Directory.BypassCode(context.Background(), w.Company, p.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// lock uses up both lanes of a factor: the 100 of NIST SP 800-63B-4 3.2.2.
func (w world) lock(p sallyporttest.Person, factor string) {
	w.t.Helper()
	for lane, share := range map[string]int{"": authn.ShareStranger, "known": authn.ShareKnown} {
		k := authn.Keys{Company: p.Company, User: p.ID, Factor: factor, Charge: authn.GuessFactor, Browser: lane, Now: w.Clock.Now()}
		if lane != "" {
			err := w.Store.Decide(context.Background(), authn.Keys{Company: p.Company, User: p.ID, Browser: lane, Now: k.Now},
				func(*authn.Rows) authn.Verdict { return authn.Continue(authn.KnowBrowser{}) })
			if err != nil {
				w.t.Fatal(err)
			}
		}
		for range share {
			err := w.Store.Decide(context.Background(), k, func(rows *authn.Rows) authn.Verdict {
				if !rows.Charged.Paid {
					w.t.Error("not paid")
				}
				return authn.Continue(authn.Settle{Outcome: authn.Wrong})
			})
			if err != nil {
				w.t.Fatal(err)
			}
		}
	}
	rows := w.rows(p)
	for lane, share := range map[authn.Lane]int{authn.Stranger: authn.ShareStranger, authn.Known: authn.ShareKnown} {
		if got := rows.Factor(factor).Counts[lane].Tries; got != share {
			w.t.Fatalf("%s: %d tries", lane, got)
		}
	}
}

// answer gives one answer to an attempt.
func (w world) answer(st signin.Status, k authn.Kind, code string, c authn.Client) (signin.Status, error) {
	return w.SignIn.Verify(context.Background(), signin.OpenerOf(st.Token, c), signin.Verify{Method: k, Answer: authn.Answer{Code: code}})
}

// send asks for a code by e-mail and gives the one that came.
func (w world) send(st signin.Status, to string, c authn.Client) string {
	w.t.Helper()
	if _, _, err := w.SignIn.Challenge(context.Background(), signin.OpenerOf(st.Token, c), authn.Email, ""); err != nil {
		w.t.Fatal(err)
	}
	return w.LastCode(w.t, to)
}
