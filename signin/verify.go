package signin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
)

// Verify is one answer to what an attempt asks.
type Verify struct {
	Method authn.Kind
	Factor string // id; empty: the person's only factor of that kind
	Answer authn.Answer
	// Version of the attempt that the form was drawn for; 0: not given. An answer
	// to an older one is never evaluated (ruling 49).
	Version int64
	// Trust asks that the browser be trusted, if this answer completes the sign-in.
	Trust bool

	found string // the factor of a Ceremony whose answer is charged for already
}

// Verify checks an answer and goes on. When nothing more is needed, the status
// carries the session.
//
// Errors: Invalid (malformed, nothing charged), NotFound (no such attempt for
// whoever asks), Expired, Conflict (stale form, or already complete),
// WrongCode (with AttemptsLeft; with RetryAfter once paused), CodeUsed, Paused,
// Locked, WrongCredentials (password of a step-up), PolicyForbids
// (error.no_trusted_browsers, error.provider_new; nothing charged), Busy.
func (s *Service) Verify(ctx context.Context, o Opener, v Verify) (Status, error) {
	m, ok := s.methods[v.Method]
	if !ok {
		return Status{}, authn.InvalidField("method", "not_one_of", nil)
	}
	if err := m.Shape(v.Answer); err != nil {
		return Status{}, err
	}
	if err := s.clock(); err != nil {
		return Status{}, err
	}
	if err := s.attending(ctx, o); err != nil {
		return Status{}, err
	}
	if _, ok := m.(authn.Remote); ok {
		var cancel context.CancelFunc
		// Whoever leaves does not take a guess back that the service has already.
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), remote.AskTimeout)
		defer cancel()
	}
	if m.Quick() {
		return s.verifyQuick(ctx, o, v, m)
	}
	if v.Method == authn.Password {
		return s.verifyPassword(ctx, o, v)
	}
	return s.verifySlow(ctx, o, v, m)
}

// choose finds the factor that an answer is for, before anything is charged.
func (s *Service) choose(rows *authn.Rows, v Verify, now time.Time) (string, error) {
	if err := open(rows, now); err != nil {
		return "", err
	}
	a := rows.Attempt
	if a.State == authn.Complete {
		return "", &authn.Error{Code: authn.Conflict, Key: "error.attempt_complete"}
	}
	if v.Version != 0 && v.Version != a.Version {
		return "", &authn.Error{Code: authn.Conflict, Key: "error.attempt_moved"}
	}
	need, err := s.next(rows, a.Proofs, now)
	if err != nil {
		return "", err
	}
	if v.Method == authn.Password && need.State == authn.NeedPassword {
		if v.Trust {
			return "", notTrusted()
		}
		return "", nil
	}
	if m, ok := s.methods[v.Method].(authn.Ceremony); ok && v.found == "" {
		doc, err := policy.Current(*rows.Company, now)
		if err == nil {
			v.Factor, err = answers(rows, doc, m, v)
		}
		if err != nil {
			return "", err
		}
	}
	for _, offer := range need.Offers {
		if offer.Kind != v.Method || v.Factor != "" && v.Factor != offer.Factor {
			continue
		}
		if offer.Kind.Sent() && !out(rows.Challenges, offer.Factor) {
			return "", &authn.Error{Code: authn.Expired, Key: "error.code_expired"}
		}
		if v.Trust && offer.TrustDays == 0 {
			return "", notTrusted()
		}
		return offer.Factor, nil
	}
	return "", authn.InvalidField("method", "not_offered", nil)
}

// out reports whether a code of the factor is still good.
func out(sent []authn.Challenge, factor string) bool {
	return slices.ContainsFunc(sent, func(c authn.Challenge) bool { return c.Factor == factor })
}

// verifyQuick charges, compares and completes in one transaction.
func (s *Service) verifyQuick(ctx context.Context, o Opener, v Verify, m authn.Method) (Status, error) {
	price, err := s.price(ctx, o.company(), v.Method)
	if err != nil {
		return Status{}, fmt.Errorf("signin: verify: %w", err)
	}
	now := s.now()
	k := o.keys(now)
	k.Charge, k.Sent = authn.GuessFactor, v.Method.Sent()
	k.Choose = func(rows *authn.Rows) (string, error) { return s.choose(rows, v, now) }
	var st Status
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		if !rows.Charged.Paid {
			return authn.Drop(policy.Unpaid(rows.Charged, now))
		}
		match, err := m.Verify(ctx, authn.Request{
			Company: *rows.Company, User: *rows.User, Attempt: rows.Attempt, Factor: *rows.Charged.Factor,
			Secret: rows.Charged.Secret, Client: o.Client, Now: now.Unix(), Challenges: rows.Charged.Challenges,
		}, v.Answer)
		if err != nil { // not evaluated, so not a guess
			return authn.Drop(err, policy.LockoutOf(rows, now).GiveBack(rows.Charged))
		}
		verdict := s.judge(rows, m, match, o.Client, now, &st)
		if match.Outcome == authn.Right && verdict.Refusal() == nil {
			verdict = verdict.With(policy.CameBack(price, rows.Charged.Factor, rows.Charged.Challenges, rows.User.ID)...)
		}
		if v.Trust {
			verdict, _ = s.trust(rows, verdict, o.Client, now, &st)
		}
		return verdict
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: verify: %w", err)
	}
	return st, nil
}

// judge turns what a method found into what is written.
func (s *Service) judge(rows *authn.Rows, m authn.Method, match authn.Match, c authn.Client, now time.Time, st *Status) authn.Verdict {
	factor := *rows.Charged.Factor
	match = inOrder(factor, match)
	detail := factor.Detail()
	if refusal := copied(rows, match, now); refusal != nil {
		detail["reason"] = "counter_back"
		return s.noted(authn.Refuse(refusal, s.event("factor.refused", authn.Refused, rows, c, now, detail)), rows, c, now, factor, match)
	}
	switch match.Outcome {
	case authn.Void:
		detail["reason"] = "code_used"
		return authn.Refuse(codeUsed(m.Kind()), s.event("factor.refused", authn.Refused, rows, c, now, detail),
			policy.LockoutOf(rows, now).GiveBack(rows.Charged))
	case authn.Right:
		proof := proofOf(m, factor, match, now)
		if factor.State == authn.Fallback {
			// A code to a contact shows nothing that the person chose to hold: it lets
			// them in, or to set up a way of their own (requirement C1).
			proof.Traits.Possession, proof.AMR = false, "mca"
		}
		rows.Attempt.Proofs = append(rows.Attempt.Proofs, proof)
		writes := []authn.Write{authn.Settle{Outcome: authn.Right, Step: match.Step}}
		// What the proof is spent by (ruling 14), and what the person hears of.
		var told *authn.Event
		switch {
		case m.Kind().Sent():
			writes = append(writes, authn.ConsumeChallenges{Factor: factor.ID})
		case m.Kind() == authn.BypassCode:
			writes = append(writes, authn.DeleteFactor{ID: factor.ID})
			ev := s.event("bypass_code.used", authn.Succeeded, rows, c, now, nil)
			told = &ev
		case match.Code > 0:
			writes = append(writes, authn.SpendCode{Factor: factor.ID, N: match.Code})
			ev := s.event("backup_code.used", authn.Succeeded, rows, c, now, map[string]string{"left": strconv.Itoa(max(factor.Left-1, 0))})
			told = &ev
		}
		v := s.proved(rows, c, now, st, detail, append(writes, changed(rows, factor, match)...)...)
		if v.Refusal() != nil {
			return v
		}
		if told != nil {
			v = v.And(*told)
		}
		return s.noted(v, rows, c, now, factor, match)
	}
	return s.wrongCode(rows, c, now, detail)
}

// verifySlow is for answers that take too long to be compared in a transaction:
// the charge commits first, the comparison runs outside, and what it found is
// written by compare-and-set (ruling 8).
func (s *Service) verifySlow(ctx context.Context, o Opener, v Verify, m authn.Method) (Status, error) {
	settings, err := s.settings(ctx, o.company(), v.Method)
	if err != nil {
		return Status{}, fmt.Errorf("signin: verify: %w", err)
	}
	reach, err := s.reach(ctx, o.company(), v.Method)
	if err != nil {
		return Status{}, fmt.Errorf("signin: verify: %w", err)
	}
	now := s.now()
	k := o.keys(now)
	k.Charge, k.Sent = authn.GuessFactor, v.Method.Challenged()
	k.Choose = func(rows *authn.Rows) (string, error) {
		id, err := s.choose(rows, v, now)
		if err == nil {
			err = reach(rows)
		}
		return id, err
	}
	var r authn.Request
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if !rows.Charged.Paid {
			return authn.Drop(policy.Unpaid(rows.Charged, now))
		}
		r = authn.Request{Settings: settings, Action: rows.Attempt.Action, Company: *rows.Company, User: *rows.User, Attempt: rows.Attempt, Factor: *rows.Charged.Factor,
			Secret: rows.Charged.Secret, Codes: rows.Charged.Codes, Challenges: rows.Charged.Challenges, Client: o.Client, Lane: rows.Lane, Now: now.Unix()}
		var used []authn.Write
		if v.Method.Challenged() {
			used = append(used, authn.ConsumeChallenges{}) // right or wrong, it is answered once (ruling 14)
		}
		return authn.Continue(append(used, authn.Settle{Outcome: authn.Wrong, PausedUntil: policy.LockoutOf(rows, now).PausedUntil(now, rows.Charged.Count.Tries)})...)
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: verify: %w", err)
	}
	match, err := m.Verify(ctx, r, v.Answer)
	k.Charge, k.Sent = authn.SettleFactor, false
	if v.Method.Challenged() {
		// What it answered is used up by now.
		v.found, v.Factor = r.Factor.ID, r.Factor.ID
	}
	if err != nil {
		// Not evaluated, so not a guess; the person may have gone.
		_ = s.store.Decide(context.WithoutCancel(ctx), k, func(rows *authn.Rows) authn.Verdict {
			return authn.Continue(policy.LockoutOf(rows, now).GiveBack(rows.Charged))
		})
		return Status{}, fmt.Errorf("signin: verify: %w", err)
	}
	var st Status
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		if rows.Charged.Factor == nil {
			return authn.Drop(authn.Conflict)
		}
		verdict := s.judge(rows, m, match, o.Client, now, &st)
		if v.Trust {
			verdict, _ = s.trust(rows, verdict, o.Client, now, &st)
		}
		return verdict
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: verify: %w", err)
	}
	return st, nil
}

// proved records one accepted answer, and the session if that was the last. Where it
// leads nowhere (an address to come back to was taken away meanwhile), nothing is used
// up, and it was no guess.
func (s *Service) proved(rows *authn.Rows, c authn.Client, now time.Time, st *Status, detail map[string]string, writes ...authn.Write) authn.Verdict {
	need, err := s.next(rows, rows.Attempt.Proofs, now)
	if err != nil {
		return authn.Drop(err)
	}
	rows.Attempt.Version++
	rows.Attempt.State, rows.Attempt.ExpiresAt = need.State, s.lasts(rows.Attempt, need)
	*st = Status{Company: *rows.Company, User: *rows.User, Attempt: *rows.Attempt, Need: need, Lane: rows.Lane, Prepared: prepared(rows, need, now)}
	writes = append(writes, authn.PutAttempt{Attempt: *rows.Attempt})
	if u := *rows.User; !need.GraceUntil.IsZero() && u.GraceAt.IsZero() {
		u.GraceAt = now // the days of grace run from here
		writes = append(writes, authn.PutUser{User: u})
	}
	if need.State != authn.Complete {
		return authn.Accept(s.event("factor.proved", authn.Succeeded, rows, c, now, detail), writes...)
	}
	v := s.complete(rows, need, c, now, st, writes, detail)
	if err := v.Refusal(); err != nil && rows.Charged != nil {
		return authn.Drop(err, policy.LockoutOf(rows, now).GiveBack(rows.Charged))
	}
	return v
}

// afterPassword reports whether what a stranger does wrong in the attempt says that
// they know the password here.
func afterPassword(a *authn.Attempt) bool {
	return a.Lane == authn.Stranger && a.Purpose == authn.SignIn && a.Caller == nil
}

// wrongCode lets the charge stand and says how many tries are left.
func (s *Service) wrongCode(rows *authn.Rows, c authn.Client, now time.Time, detail map[string]string) authn.Verdict {
	tries := rows.Charged.Count.Tries
	rows.Attempt.Version++ // Reload of the answer must not charge again
	writes := []authn.Write{
		authn.Settle{Outcome: authn.Wrong, PausedUntil: policy.LockoutOf(rows, now).PausedUntil(now, tries)},
		authn.PutAttempt{Attempt: *rows.Attempt},
	}
	detail["reason"] = "wrong_code"
	refusal := policy.LockoutOf(rows, now).WrongCode(rows.Charged, now)
	if rows.Charged.Factor.Kind == authn.WebAuthn {
		refusal.Key = "error.passkey_refused"
	}
	var more []authn.Event
	if afterPassword(rows.Attempt) {
		u := *rows.User
		if policy.StrangerWrong(&u, now) {
			more = append(more, s.event("password.known_to_others", authn.Refused, rows, c, now, nil))
		}
		writes = append(writes, authn.PutUser{User: u})
	}
	if tries >= policy.Share(rows.Attempt.Lane) {
		more = append(more, s.locked(rows, rows.Attempt.Lane, c, now))
	}
	detail["tries"] = strconv.Itoa(tries) // the person hears of many
	ev := s.event("factor.refused", authn.Refused, rows, c, now, detail)
	if rows.Attempt.Purpose == authn.SignIn {
		ev.Actor = "" // the password is not proof enough to say who it was
	}
	v := authn.Refuse(refusal, ev, writes...)
	for _, e := range more {
		v = v.And(e)
	}
	return v
}

// locked is the event of the answer that used a lane's share up.
func (s *Service) locked(rows *authn.Rows, lane authn.Lane, c authn.Client, now time.Time) authn.Event {
	detail := rows.Charged.Factor.Detail()
	detail["lane"] = string(lane)
	return s.event("factor.locked", authn.Refused, rows, c, now, detail)
}

// codeUsed says that a code was used, and what comes next.
func codeUsed(k authn.Kind) error {
	e := &authn.Error{Code: authn.CodeUsed}
	if k == authn.BackupCode {
		e.Key = "error.backup_code_used"
	}
	return e
}
