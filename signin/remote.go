package signin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
)

// asks is what is put down before an outside service is asked.
type asks struct {
	st        Status
	challenge authn.Challenge
	request   authn.Request
}

// Options asks an outside service which ways to answer the person has now. It is
// a person's act, like Start; pages draw what it found from Status.Sent.
//
// Errors: those of Start.
func (s *Service) Options(ctx context.Context, o Opener, kind authn.Kind, factor string) (Status, remote.Detail, error) {
	m, a, err := s.ask(ctx, o, kind, factor, false)
	if err != nil {
		return Status{}, remote.Detail{}, fmt.Errorf("signin: options: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, remote.AskTimeout)
	defer cancel()
	found, err := m.Options(asking, a.request)
	if err == nil {
		err = refused(found.Verdict)
	}
	c := a.challenge
	c.Detail = remote.Detail{Options: found.List, Code: found.Code, Message: found.Message}.Encode()
	if err != nil {
		c = remote.Failed(c, remote.Reason(err))
	}
	st, written := s.outside(ctx, o, a, c, authn.Asked, "")
	if err == nil {
		err = written
	}
	if err != nil {
		return st, remote.Detail{}, fmt.Errorf("signin: options: %w", err)
	}
	return st, remote.Read(c), nil
}

// refused are the verdicts that end it; LetsIn is judged when something is begun.
func refused(v authn.OptionsVerdict) error {
	switch v {
	case authn.Asks, authn.LetsIn:
		return nil
	case authn.MustEnrol:
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_enroll"}
	}
	return &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_denied"}
}

// Start asks the person at an outside service, by one of its options; "" lets the
// service choose. Then the attempt is AwaitsService until they answered there, and
// Ready for Complete once they approved.
//
// Errors: Invalid (field method: not offered), NotFound, Expired, Conflict,
// Paused, Locked, TooManyRequests (too soon, or too many), PolicyForbids (the
// service refuses the person, or would let them in unasked, or its settings are too
// new for them), ProviderUnavailable.
func (s *Service) Start(ctx context.Context, o Opener, kind authn.Kind, factor, option string) (Status, error) {
	m, a, err := s.ask(ctx, o, kind, factor, true)
	if err != nil {
		return Status{}, fmt.Errorf("signin: start: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, remote.AskTimeout)
	defer cancel()
	begun, err := m.Start(asking, a.request, option)
	if err != nil {
		st, _ := s.outside(ctx, o, a, remote.Failed(a.challenge, remote.Reason(err)), authn.Asked, "")
		return st, fmt.Errorf("signin: start: %w", err)
	}
	if begun.LetIn {
		return s.letIn(ctx, o, a)
	}
	c := remote.Began(a.challenge, begun, s.now())
	st, err := s.outside(ctx, o, a, c, authn.Asked, "factor.asked")
	if err != nil {
		return st, fmt.Errorf("signin: start: %w", err)
	}
	if !begun.Waits {
		return st, nil
	}
	ok := s.runner.Follow(m, a.request, begun, func(ctx context.Context, got authn.Answered) {
		s.answered(ctx, o, c, got)
	})
	if !ok {
		st, _ = s.outside(ctx, o, a, remote.Failed(c, "unavailable"), authn.Waiting, "")
		return st, fmt.Errorf("signin: start: %w", &authn.Error{Code: authn.Busy, RetryAfter: time.Minute})
	}
	return st, nil
}

// ask finds what is to be asked, and puts it down as one that is about to be.
func (s *Service) ask(ctx context.Context, o Opener, kind authn.Kind, factor string, push bool) (authn.Remote, asks, error) {
	m, ok := s.methods[kind].(authn.Remote)
	if !ok {
		return nil, asks{}, authn.InvalidField("method", "not_offered", nil)
	}
	if err := s.clock(); err != nil {
		return nil, asks{}, err
	}
	if err := s.attending(ctx, o); err != nil {
		return nil, asks{}, err
	}
	settings, err := s.settings(ctx, o.company(), kind)
	if err != nil {
		return nil, asks{}, err
	}
	reach, err := s.reach(ctx, o.company(), kind)
	if err != nil {
		return nil, asks{}, err
	}
	now := s.now()
	k := o.keys(now)
	k.Sent = true
	var a asks
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		a = asks{}
		offer, err := s.offered(rows, kind, factor, now)
		if err == nil {
			err = reach(rows)
		}
		if err != nil {
			return authn.Drop(err)
		}
		if a.st, err = s.status(rows, now); err != nil {
			return authn.Drop(err)
		}
		purpose := authn.CodeSignIn
		if rows.Attempt.Purpose == authn.StepUp {
			purpose = authn.CodeStepUp
		}
		c := authn.Challenge{Company: rows.Company.ID, ID: authn.NewID(authn.MessageID, now, s.random), User: rows.User.ID, Attempt: rows.Attempt.ID,
			Factor: offer.Factor, Kind: kind, Purpose: purpose, Lane: rows.Lane, Outcome: authn.Asked, CreatedAt: now, ExpiresAt: now.Add(remote.ApprovalLives)}
		if push {
			if remote.Approval(rows.Challenges, offer.Factor) != nil {
				return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.duo_approved"})
			}
			c, err = policy.Push(c, slices.Concat(rows.SentBefore, rows.Challenges), rows.SentCodes, remote.ApprovalLives, now)
		} else if all := slices.Concat(rows.SentBefore, rows.Challenges); remote.Asks(all, offer.Factor) >= remote.MaxAsks {
			err = &authn.Error{Code: authn.TooManyRequests, Key: "error.send_limit", RetryAfter: time.Hour}
		} else if last := remote.Last(rows.Challenges, offer.Factor); last != nil && now.Sub(last.CreatedAt) < askAgain {
			err = &authn.Error{Code: authn.TooManyRequests, Key: "error.send_wait", RetryAfter: askAgain - now.Sub(last.CreatedAt)}
		}
		if err != nil {
			return authn.Drop(err)
		}
		a.challenge = c
		f := rows.Factor(offer.Factor)
		a.request = authn.Request{Company: *rows.Company, User: *rows.User, Attempt: rows.Attempt, Factor: *f, Secret: []byte(f.Destination),
			Client: o.Client, Lane: rows.Lane, Now: now.Unix(), Settings: settings, Action: rows.Attempt.Action}
		return authn.Continue(authn.NewChallenge{Challenge: c})
	})
	return m, a, err
}

// askAgain is the pause between two questions which ways a person has.
const askAgain = 3 * time.Second

// outside writes down what a service said. typ names an event; empty: none.
func (s *Service) outside(ctx context.Context, o Opener, a asks, c authn.Challenge, from authn.Outside, typ string) (Status, error) {
	now := s.now()
	k := o.keys(now)
	k.Sent = true
	var st Status
	// The person may have gone; what was begun is written down all the same.
	err := s.store.Decide(context.WithoutCancel(ctx), k, func(rows *authn.Rows) authn.Verdict {
		if err := unfinished(rows, now); err != nil {
			return authn.Drop(err)
		}
		for i := range rows.Challenges {
			if rows.Challenges[i].ID == c.ID {
				rows.Challenges[i] = c
			}
		}
		var err error
		if st, err = s.status(rows, now); err != nil {
			return authn.Drop(err)
		}
		put := authn.PutOutside{Challenge: c, From: from}
		if typ == "" {
			return authn.Continue(put)
		}
		d := remote.Read(c)
		return authn.Accept(s.event(typ, authn.Succeeded, rows, o.Client, now, map[string]string{"method": string(c.Kind), "factor": c.Factor, "way": d.Way}), put)
	})
	return st, err
}

// letIn counts a service's "let them in" as what it is: no proof of anything
// held. That the company wants it was the method's to find out (ruling 33).
func (s *Service) letIn(ctx context.Context, o Opener, a asks) (Status, error) {
	now := s.now()
	k := o.keys(now)
	k.Sent = true
	var st Status
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		if err := unfinished(rows, now); err != nil {
			return authn.Drop(err)
		}
		// After "this wasn't me" a further proof is asked for, and this is none.
		if rows.Attempt.Purpose != authn.SignIn || !rows.User.SecuredAt.IsZero() || rows.Factor(a.challenge.Factor) == nil {
			return authn.Drop(&authn.Error{Code: authn.PolicyForbids, Key: "error.duo_allow"})
		}
		rows.Attempt.Proofs = append(rows.Attempt.Proofs, authn.Proof{Kind: a.challenge.Kind, Factor: a.challenge.Factor,
			Traits: authn.Traits{OutOfBand: true}, At: now, AMR: "mca"})
		detail := map[string]string{"method": string(a.challenge.Kind), "factor": a.challenge.Factor, "reason": "let_in"}
		return s.proved(rows, o.Client, now, &st, detail)
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: start: %w", err)
	}
	return st, nil
}

// answered writes down what the person answered at the service. A "no" of theirs
// says that somebody else has the password (ruling 10).
func (s *Service) answered(ctx context.Context, o Opener, c authn.Challenge, got authn.Answered) {
	now := s.now()
	k := o.keys(now)
	k.Sent = true
	// What cannot be written is not approved: the challenge runs out.
	_ = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := unfinished(rows, now); err != nil {
			return authn.Drop(err)
		}
		put := authn.PutOutside{Challenge: remote.Ended(c, got, now), From: authn.Waiting}
		detail := map[string]string{"method": string(c.Kind), "factor": c.Factor}
		if got.Approved {
			return authn.Accept(s.event("factor.approved", authn.Succeeded, rows, o.Client, now, detail), put)
		}
		detail["reason"] = got.Reason
		ev := s.event("factor.refused", authn.Refused, rows, o.Client, now, detail)
		if rows.Attempt.Purpose == authn.SignIn {
			ev.Actor = ""
		}
		v := authn.Accept(ev, put)
		if said := got.Reason == "denied" || got.Reason == "fraud"; said && afterPassword(rows.Attempt) {
			u := *rows.User
			if policy.StrangerWrong(&u, now) {
				v = v.And(s.event("password.known_to_others", authn.Refused, rows, o.Client, now, nil))
			}
			v = v.With(authn.PutUser{User: u})
		}
		return v
	})
}

// redeem uses an approval, if there is one of a way that the attempt offers: it
// becomes a proof, once.
func (s *Service) redeem(rows *authn.Rows, need *policy.Need, c authn.Client, now time.Time, st *Status) (authn.Verdict, bool) {
	for _, offer := range need.Offers {
		ch := remote.Approval(rows.Challenges, offer.Factor)
		m, ok := s.methods[offer.Kind].(authn.Remote)
		if ch == nil || !ok || !offer.Usable() {
			continue
		}
		rows.Attempt.Proofs = append(rows.Attempt.Proofs, authn.Proof{Kind: offer.Kind, Factor: offer.Factor, Traits: m.Traits(), At: now, AMR: remote.Read(*ch).AMR})
		detail := map[string]string{"method": string(offer.Kind), "factor": offer.Factor}
		return s.proved(rows, c, now, st, detail, authn.ConsumeChallenges{Factor: offer.Factor, Outcome: authn.Approved}), true
	}
	return authn.Verdict{}, false
}

// outsideState is where an attempt stands by what outside services said.
func (s *Service) outsideState(need *policy.Need, sent []authn.Challenge) {
	if need.State != authn.NeedFactor {
		return
	}
	for _, offer := range need.Offers {
		if _, ok := s.methods[offer.Kind].(authn.Remote); !ok || !offer.Usable() {
			continue
		}
		if remote.Approval(sent, offer.Factor) != nil {
			need.State = authn.Ready
			return
		}
		if remote.Asking(sent, offer.Factor) {
			need.State = authn.AwaitsService
		}
	}
}
