package enroll

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
)

// elsewhere reports whether the person still has to set themselves up at the
// outside service. While that cannot be asked they still have to. Whom it is
// asking by now it knows: the page that waits for them asks it nothing more.
func (s *Service) elsewhere(ctx context.Context, m authn.Enroller, rows *authn.Rows, f authn.Factor, secret []byte, w Who) bool {
	other, ok := m.(authn.Elsewhere)
	if last := remote.Last(rows.Challenges, f.ID); !ok || last != nil && last.Outcome != authn.Refusal {
		return false
	}
	settings, err := s.settings(ctx, rows.Company.ID, f.Kind)
	if err != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, remote.AskTimeout)
	defer cancel()
	done, err := other.Enrolled(ctx, authn.Request{Company: *rows.Company, User: *rows.User, Factor: f, Secret: secret, Client: w.Client,
		Now: s.now().Unix(), Settings: settings})
	return err != nil || !done
}

// Options asks the outside service of a pending factor which ways the person has.
//
// Errors: those of Start.
func (s *Service) Options(ctx context.Context, w Who, id string) (Pending, remote.Detail, error) {
	m, p, c, ask, err := s.ask(ctx, w, id, false)
	if err != nil {
		return Pending{}, remote.Detail{}, fmt.Errorf("enroll: options: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, remote.AskTimeout)
	defer cancel()
	found, err := m.Options(asking, ask)
	switch {
	case err != nil:
	case found.Verdict == authn.LetsIn:
		err = &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_allow"}
	case found.Verdict == authn.MustEnrol:
		err = &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_enroll"}
	case found.Verdict != authn.Asks:
		err = &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_denied"}
	}
	if err != nil {
		_ = s.outside(ctx, w, remote.Failed(c, remote.Reason(err)), authn.Asked)
		return Pending{}, remote.Detail{}, fmt.Errorf("enroll: options: %w", err)
	}
	c.Detail = remote.Detail{Options: found.List, Code: found.Code, Message: found.Message}.Encode()
	if err := s.outside(ctx, w, c, authn.Asked); err != nil {
		return Pending{}, remote.Detail{}, fmt.Errorf("enroll: options: %w", err)
	}
	p.Sent = append(p.Sent, c)
	return p, remote.Read(c), nil
}

// Start asks the person at the outside service of a pending factor, by one of its
// options; "" lets the service choose. Once they approved, Confirm with an empty
// answer makes the factor count.
//
// Errors: NotFound, Expired, Conflict, TooManyRequests, PolicyForbids (the service
// refuses the person, or would let them in unasked), ProviderUnavailable.
func (s *Service) Start(ctx context.Context, w Who, id, option string) (Pending, error) {
	m, p, c, ask, err := s.ask(ctx, w, id, true)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: start: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, remote.AskTimeout)
	defer cancel()
	begun, err := m.Start(asking, ask, option)
	if err == nil && begun.LetIn {
		err = &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_allow"} // it never enrols (ruling 33)
	}
	if err != nil {
		_ = s.outside(ctx, w, remote.Failed(c, remote.Reason(err)), authn.Asked)
		return Pending{}, fmt.Errorf("enroll: start: %w", err)
	}
	c = remote.Began(c, begun, s.now())
	if err := s.outside(ctx, w, c, authn.Asked); err != nil {
		return Pending{}, fmt.Errorf("enroll: start: %w", err)
	}
	p.Sent = append(p.Sent, c)
	if !begun.Waits {
		return p, nil
	}
	ok := s.runner.Follow(m, ask, begun, func(ctx context.Context, got authn.Answered) {
		// What cannot be written is not approved: the challenge runs out.
		_ = s.outside(ctx, w, remote.Ended(c, got, s.now()), authn.Waiting)
	})
	if !ok {
		_ = s.outside(ctx, w, remote.Failed(c, "unavailable"), authn.Waiting)
		return Pending{}, fmt.Errorf("enroll: start: %w", &authn.Error{Code: authn.Busy, RetryAfter: time.Minute})
	}
	return p, nil
}

// askAgain is the pause between two questions which ways a person has.
const askAgain = 3 * time.Second

// ask puts down that the service of a pending factor is about to be asked.
func (s *Service) ask(ctx context.Context, w Who, id string, push bool) (authn.Remote, Pending, authn.Challenge, authn.Request, error) {
	var p Pending
	var c authn.Challenge
	var ask authn.Request
	m, settings, secret, err := s.service(ctx, w, id)
	if err != nil {
		return nil, p, c, ask, err
	}
	k := s.keys(w)
	k.Sent = true
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		f, err := s.pending(rows, id, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		sent := of(rows.Challenges, id)
		c = authn.Challenge{Company: rows.Company.ID, ID: authn.NewID(authn.MessageID, k.Now, s.random), User: rows.User.ID, Attempt: asker(rows),
			Factor: id, Kind: f.Kind, Purpose: authn.CodeSetUp, Lane: rows.Lane, Outcome: authn.Asked, CreatedAt: k.Now, ExpiresAt: k.Now.Add(remote.ApprovalLives)}
		if push {
			c, err = policy.Push(c, slices.Concat(rows.SentBefore, rows.Challenges), rows.SentCodes, remote.ApprovalLives, k.Now)
		} else if all := slices.Concat(rows.SentBefore, rows.Challenges); remote.Asks(all, id) >= remote.MaxAsks {
			err = &authn.Error{Code: authn.TooManyRequests, Key: "error.send_limit", RetryAfter: time.Hour}
		} else if last := remote.Last(sent, id); last != nil && k.Now.Sub(last.CreatedAt) < askAgain {
			err = &authn.Error{Code: authn.TooManyRequests, Key: "error.send_wait", RetryAfter: askAgain - k.Now.Sub(last.CreatedAt)}
		}
		if err != nil {
			return authn.Drop(err)
		}
		p = Pending{Company: *rows.Company, User: *rows.User, Factor: *f, Version: versionOf(*f), Sent: sent}
		ask = authn.Request{Company: *rows.Company, User: *rows.User, Attempt: rows.Attempt, Factor: *f, Secret: secret, Client: w.Client, Lane: rows.Lane,
			Now: k.Now.Unix(), Settings: settings}
		return authn.Accept(s.event("factor.asked", rows, w, k.Now, *f), authn.NewChallenge{Challenge: c})
	})
	return m, p, c, ask, err
}

// service finds the method of a pending factor of an outside service, the
// company's settings for it, and what the method stored.
func (s *Service) service(ctx context.Context, w Who, id string) (authn.Remote, []byte, []byte, error) {
	k := s.keys(w)
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return nil, nil, nil, err
	}
	f, err := s.pending(&rows, id, k.Now)
	if err != nil {
		return nil, nil, nil, err
	}
	m, ok := s.methods[f.Kind].(authn.Remote)
	if !ok {
		return nil, nil, nil, authn.NotFound
	}
	settings, err := s.settings(ctx, rows.Company.ID, f.Kind)
	if err == nil {
		err = s.reach(ctx, &rows, f.Kind)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	k.Factor = id
	secret, err := s.store.PendingSecret(ctx, k)
	return m, settings, secret, err
}

// outside writes down what the service said.
func (s *Service) outside(ctx context.Context, w Who, c authn.Challenge, from authn.Outside) error {
	k := s.keys(w)
	k.Sent = true
	return s.store.Decide(context.WithoutCancel(ctx), k, func(rows *authn.Rows) authn.Verdict {
		if _, err := s.pending(rows, c.Factor, k.Now); err != nil {
			return authn.Drop(err)
		}
		return authn.Continue(authn.PutOutside{Challenge: c, From: from})
	})
}

// approve makes a pending factor count that the outside service approved.
func (s *Service) approve(ctx context.Context, w Who, k authn.Keys, m authn.Enroller, codes *set, id string) (Changed, error) {
	var out Changed
	k.Sent, k.Factor, k.Charge = true, id, authn.SettleFactor
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		out = Changed{}
		f, err := s.pending(rows, id, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		ch := remote.Approval(rows.Challenges, id)
		if ch == nil || rows.Charged == nil || rows.Charged.Factor == nil {
			return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.duo_waiting"})
		}
		rows.Charged.Factor = f
		return s.activate(rows, w, m, authn.Match{Outcome: authn.Right, AMR: remote.Read(*ch).AMR}, codes, k.Now, &out).
			With(authn.ConsumeChallenges{Factor: id, Outcome: authn.Approved})
	})
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: confirm: %w", err)
	}
	return out, nil
}

// confirmSlow is Confirm for answers that an outside service judges, or that take long
// to judge: charged first, judged outside, written by compare-and-set (ruling 8).
func (s *Service) confirmSlow(ctx context.Context, w Who, k authn.Keys, before *authn.Rows, m authn.Enroller, codes *set, a authn.Answer) (Changed, error) {
	settings, err := s.settings(ctx, k.Company, m.Kind())
	if err == nil {
		err = s.reach(ctx, before, m.Kind())
	}
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: confirm: %w", err)
	}
	var r authn.Request
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if !rows.Charged.Paid {
			return authn.Drop(policy.Unpaid(rows.Charged, k.Now))
		}
		r = authn.Request{Company: *rows.Company, User: *rows.User, Attempt: rows.Attempt, Factor: *rows.Charged.Factor, Secret: rows.Charged.Secret,
			Challenges: rows.Charged.Challenges, Client: w.Client, Lane: rows.Lane, Now: k.Now.Unix(), Settings: settings}
		var used []authn.Write
		if m.Kind().Challenged() {
			used = append(used, authn.ConsumeChallenges{Factor: rows.Charged.Factor.ID}) // right or wrong, it is answered once (ruling 14)
		}
		return authn.Continue(append(used, authn.Settle{Outcome: authn.Wrong, PausedUntil: policy.LockoutOf(rows, k.Now).PausedUntil(k.Now, rows.Charged.Count.Tries)})...)
	})
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: confirm: %w", err)
	}
	// Whoever leaves does not take a guess back that the service has already.
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), remote.AskTimeout)
	defer cancel()
	match, err := m.Confirm(asking, r, a)
	id := k.Factor
	k.Charge, k.Choose = authn.SettleFactor, nil
	if err != nil { // not evaluated, so not a guess; the person may have gone
		_ = s.store.Decide(context.WithoutCancel(ctx), k, func(rows *authn.Rows) authn.Verdict {
			return authn.Continue(policy.LockoutOf(rows, k.Now).GiveBack(rows.Charged))
		})
		return Changed{}, fmt.Errorf("enroll: confirm: %w", err)
	}
	var out Changed
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		out = Changed{}
		f, err := s.pending(rows, id, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		if rows.Charged.Factor == nil {
			return authn.Drop(authn.Conflict)
		}
		rows.Charged.Factor = f
		if match.Outcome != authn.Right {
			return s.unconfirmed(rows, w, match, k.Now)
		}
		return s.activate(rows, w, m, match, codes, k.Now, &out)
	})
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: confirm: %w", err)
	}
	return out, nil
}
