package signin

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// StepUp begins proving oneself again in an open session (requirement I1). The
// answer asks for the strongest usable factor; the password counts only for
// someone who has none (ruling 26).
//
// action names what it is for, for the log and the page; empty: anything.
// returnTo is a path that the caller has checked.
func (s *Service) StepUp(ctx context.Context, session authn.Token, action, returnTo string, c authn.Client) (Status, error) {
	return s.stepUp(ctx, session, For{Action: action, ReturnTo: returnTo}, nil, false, c)
}

func (s *Service) stepUp(ctx context.Context, session authn.Token, f For, form *authn.Form, grants bool, c authn.Client) (Status, error) {
	now := s.now()
	k := authn.Keys{Company: session.Company, SessionToken: session, Browser: c.Browser, Now: now}
	to, leaves := authn.ParseReturn(f.ReturnTo)
	if grants {
		k.Action, k.ReturnAddress = f.Action, to.Address
	} else if leaves {
		return Status{}, authn.InvalidField("action", "required", nil)
	}
	var st Status
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		if err := policy.CheckSession(rows, now); err != nil {
			return authn.Drop(err)
		}
		a := authn.Attempt{
			Company: rows.Company.ID, ID: authn.NewID(authn.AttemptID, now, s.random), User: rows.User.ID,
			Purpose: authn.StepUp, Version: 1, Lane: rows.Lane, Session: rows.Session.ID, Action: f.Action,
			ReturnTo: f.ReturnTo, Epoch: rows.User.Epoch, CreatedAt: now, ExpiresAt: now.Add(s.lives(rows, now).Attempt),
		}
		var detail map[string]string
		if grants {
			w, err := s.wants(rows, f, c)
			if err != nil {
				return authn.Drop(err)
			}
			a.Wants, detail = w, map[string]string{"action": f.Action}
		}
		var writes []authn.Write
		if form != nil {
			kept := *form
			kept.ExpiresAt = now.Add(authn.FormLives)
			writes, detail = []authn.Write{authn.KeepForm{Attempt: a.ID, Form: kept}}, map[string]string{"form": kept.Route}
		}
		rows.Attempt = &a
		need, err := s.next(rows, nil, now)
		if err != nil {
			return authn.Drop(err)
		}
		a.State = need.State
		token := authn.NewToken(authn.AttemptToken, a.Company, a.ID, s.random)
		st = Status{Company: *rows.Company, User: *rows.User, Attempt: a, Need: need, Lane: rows.Lane, Token: token}
		return authn.Accept(s.event("step_up.begun", authn.Succeeded, rows, c, now, detail), authn.NewAttempt{Attempt: a, Token: token}).With(writes...)
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: step-up: %w", err)
	}
	return st, nil
}

// verifyPassword is the password as the answer to a step-up. It is charged to
// the same count as the password of a sign-in, in a transaction of its own.
func (s *Service) verifyPassword(ctx context.Context, o Opener, v Verify) (Status, error) {
	now := s.now()
	k := o.keys(now)
	k.Charge = authn.GuessPassword
	k.Choose = func(rows *authn.Rows) (string, error) { return s.choose(rows, v, now) }
	var p paid
	var company authn.Company
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if !rows.Charged.Paid {
			return authn.Drop(policy.Unpaid(rows.Charged, now))
		}
		p, company = paid{user: rows.User, secret: rows.Charged.Secret, lane: rows.Lane}, *rows.Company
		if rows.Charged.Factor != nil {
			p.factor = rows.Charged.Factor.ID
		}
		return authn.Continue(authn.Settle{Outcome: authn.Wrong, PausedUntil: policy.LockoutOf(rows, now).PausedUntil(now, rows.Charged.Count.Tries)})
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: step-up: %w", err)
	}
	match, err := s.passwordOf(ctx, company, p, authn.Request{
		Company: company, User: p.person(), Secret: p.secret, Client: o.Client, Now: now.Unix(),
		Lane: p.lane,
	}, v.Answer)
	if err != nil {
		s.giveBack(ctx, o.keys(now))
		return Status{}, fmt.Errorf("signin: step-up: %w", err)
	}
	return s.confirm(ctx, o, v, p, match, s.now())
}

func (s *Service) confirm(ctx context.Context, o Opener, v Verify, p paid, m authn.Match, now time.Time) (Status, error) {
	k := o.keys(now)
	k.Charge = authn.SettlePassword
	k.Choose = func(rows *authn.Rows) (string, error) { return s.choose(rows, v, now) }
	var st Status
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		detail := map[string]string{"method": string(authn.Password)}
		if m.Outcome != authn.Right || !rows.User.PasswordChangedAt.Equal(p.user.PasswordChangedAt) {
			rows.Attempt.Version++
			detail["reason"] = "wrong_password"
			return authn.Refuse(&authn.Error{Code: authn.WrongCredentials, Key: "error.wrong_password"},
				s.event("factor.refused", authn.Refused, rows, o.Client, now, detail), authn.PutAttempt{Attempt: *rows.Attempt})
		}
		rows.Attempt.Proofs = append(rows.Attempt.Proofs, authn.Proof{
			Kind: authn.Password, Factor: p.factor, Traits: s.methods[authn.Password].Traits(), At: now,
		})
		return s.proved(rows, o.Client, now, &st, detail, authn.Settle{Outcome: authn.Right})
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: step-up: %w", err)
	}
	return st, nil
}
