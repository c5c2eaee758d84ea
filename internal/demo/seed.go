package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// seed makes the company and its people through the services, so that nothing
// in the demo could not have come about.
func (d *Demo) seed(ctx context.Context) error {
	company, err := d.directory.CreateCompany(ctx, companySlug, companyName)
	if err != nil {
		return err
	}
	d.company = company
	enroller, err := d.enroller()
	if err != nil {
		return err
	}
	// A password hash takes 31 ms of a processor.
	return parallel(runtime.GOMAXPROCS(0), len(people), func(i int) error { return d.join(ctx, enroller, people[i]) })
}

// parallel runs f for 0 to n-1 by so many workers.
func parallel(workers, n int, f func(int) error) error {
	work := make(chan int)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range work {
				errs[i] = f(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	return errors.Join(errs...)
}

func (d *Demo) enroller() (authn.Enroller, error) {
	for _, m := range d.c.Methods {
		if e, ok := m.(authn.Enroller); ok && m.Kind() == authn.TOTP {
			return e, nil
		}
	}
	return nil, errors.New("the authenticator app is not among the methods")
}

// join adds a person, with an app and a past.
func (d *Demo) join(ctx context.Context, e authn.Enroller, p person) error {
	u, err := d.directory.CreateUser(ctx, d.company, p.user())
	if err != nil {
		return err
	}
	if p.app != nothing {
		id, err := d.setUp(ctx, e, p, u)
		if err == nil {
			err = d.wrongCodes(ctx, p, u, id)
		}
		if err != nil {
			return err
		}
	}
	if err := d.past(ctx, p, u); err != nil || !p.suspended {
		return err
	}
	return d.directory.SetStatus(ctx, d.company, u.ID, authn.Suspended)
}

// setUp gives a person a confirmed app, as if some days ago.
func (d *Demo) setUp(ctx context.Context, e authn.Enroller, p person, u authn.User) (string, error) {
	now := time.Now()
	shown, err := e.Begin(ctx, authn.Request{Company: d.company, User: u, Now: now.Unix()})
	if err != nil {
		return "", err
	}
	f := authn.Factor{Company: d.company.ID, ID: authn.NewID(authn.FactorID, now, rand.Reader), User: u.ID, Kind: e.Kind(),
		State: authn.Pending, Name: p.phone, Data: shown.Data, Epoch: u.Epoch, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
	k := authn.Keys{Company: d.company.ID, User: u.ID, Now: now}
	return f.ID, d.store.Decide(ctx, k, func(*authn.Rows) authn.Verdict {
		return authn.Accept(d.event("factor.confirmed", u, now, authn.Succeeded),
			authn.NewFactor{Factor: f, Secret: shown.Secret}, authn.ActivateFactor{ID: f.ID, At: now})
	})
}

// wrongCodes charges for the wrong codes that locked or paused an app, one by
// one, as guesses are. Both budgets are used up for a locked one: that of
// strangers, and that of a browser that the person has signed in with.
func (d *Demo) wrongCodes(ctx context.Context, p person, u authn.User, factor string) error {
	switch p.app {
	case paused:
		// The 17th wrong code in a row is the first to pause for a whole hour.
		return d.guess(ctx, u, factor, "", 17, true)
	case locked:
		browser := authn.NewID("browser", time.Now(), rand.Reader)
		k := authn.Keys{Company: d.company.ID, User: u.ID, Browser: browser, Now: time.Now()}
		err := d.store.Decide(ctx, k, func(*authn.Rows) authn.Verdict { return authn.Continue(authn.KnowBrowser{}) })
		if err == nil {
			err = d.guess(ctx, u, factor, "", authn.ShareStranger, false)
		}
		if err == nil {
			err = d.guess(ctx, u, factor, browser, authn.ShareKnown, false)
		}
		return err
	}
	return nil
}

// guess charges for so many wrong codes. All but the last go in together, so
// that they share commits; the last one carries the event and the pause.
func (d *Demo) guess(ctx context.Context, u authn.User, factor, browser string, times int, pause bool) error {
	one := func(last bool) error {
		k := authn.Keys{Company: d.company.ID, User: u.ID, Factor: factor, Charge: authn.GuessFactor, Browser: browser, Now: time.Now()}
		return d.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
			if !rows.Charged.Paid {
				return authn.Drop(policy.Unpaid(rows.Charged, k.Now))
			}
			wrong := authn.Settle{Outcome: authn.Wrong}
			if !last {
				return authn.Continue(wrong)
			}
			if pause {
				wrong.PausedUntil = policy.PausedUntil(k.Now, rows.Charged.Count.Tries)
				return authn.Accept(d.event("factor.refused", u, k.Now, authn.Refused), wrong)
			}
			return authn.Accept(d.event("factor.locked", u, k.Now, authn.Refused), wrong)
		})
	}
	if err := parallel(times, times-1, func(int) error { return one(false) }); err != nil {
		return err
	}
	return one(true)
}

// past writes sign-ins of the last days into the event log, so that pages which
// show them have something to show.
func (d *Demo) past(ctx context.Context, p person, u authn.User) error {
	now := time.Now()
	k := authn.Keys{Company: d.company.ID, User: u.ID, Now: now}
	return d.store.Decide(ctx, k, func(*authn.Rows) authn.Verdict {
		v := authn.Continue()
		for day := 7; day > 0; day-- {
			// Not everybody comes every day, nor at the same time.
			if (day+len(p.name))%3 == 0 {
				continue
			}
			at := now.AddDate(0, 0, -day).Add(time.Duration(len(p.login)*17%90) * time.Minute)
			v = v.And(d.event("session.started", u, at, authn.Succeeded))
		}
		return v
	})
}

func (d *Demo) event(typ string, u authn.User, at time.Time, result authn.Result) authn.Event {
	return authn.Event{Company: d.company.ID, ID: authn.NewID(authn.EventID, at, rand.Reader), Type: typ, Actor: u.ID, Target: u.ID,
		Result: result, At: at, Personal: authn.Personal{Address: "127.0.0.1", Agent: "Firefox on Linux"}}
}
