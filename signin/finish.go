package signin

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Complete turns an attempt that is ready into the session, exactly once. What a
// service approved is used up by it, also where more is needed after that.
//
// Errors: NotFound, Expired, Conflict (complete already, or not ready), Busy.
func (s *Service) Complete(ctx context.Context, o Opener) (Status, error) {
	return s.finish(ctx, o, completing, isComplete, map[string]string{})
}

// CompleteTrusting is Complete, and the browser is one that the person trusts from
// then on.
//
// Errors: those of Complete, PolicyForbids (error.no_trusted_browsers: nothing was
// used up).
func (s *Service) CompleteTrusting(ctx context.Context, o Opener) (Status, error) {
	return s.finish(ctx, o, trusting, isComplete, map[string]string{})
}

func isComplete(need *policy.Need) bool { return need.State == authn.Complete }

// ending is by what an attempt is taken to its end.
type ending int

const (
	postponing ending = iota
	completing        // by what an outside service approved, too
	trusting          // the same, and the browser is trusted
)

// Postpone lets a person in who proved themselves and puts off setting up a way
// of their own, within the days of grace. The session is aal1.
//
// Errors: NotFound, Expired, Conflict, PolicyForbids (no grace, or over), Busy.
func (s *Service) Postpone(ctx context.Context, o Opener) (Status, error) {
	return s.finish(ctx, o, postponing, func(need *policy.Need) bool {
		return need.State == authn.NeedEnrolment && !need.GraceUntil.IsZero()
	}, map[string]string{"reason": "postponed"})
}

// finish takes an attempt to its end if may allows.
func (s *Service) finish(ctx context.Context, o Opener, by ending, may func(*policy.Need) bool, detail map[string]string) (Status, error) {
	if err := s.clock(); err != nil {
		return Status{}, err
	}
	if err := s.attending(ctx, o); err != nil {
		return Status{}, err
	}
	now := s.now()
	var st Status
	k := o.keys(now)
	k.Sent = true
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		v := s.end(rows, o.Client, by, may, maps.Clone(detail), now, &st)
		if by != trusting || v.Refusal() != nil {
			return v
		}
		v, ok := s.trust(rows, v, o.Client, now, &st)
		if !ok {
			return authn.Drop(notTrusted())
		}
		return v
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: complete: %w", err)
	}
	return st, nil
}

// end is the decision of finish.
func (s *Service) end(rows *authn.Rows, c authn.Client, by ending, may func(*policy.Need) bool, detail map[string]string, now time.Time, st *Status) authn.Verdict {
	if err := unfinished(rows, now); err != nil {
		return authn.Drop(err)
	}
	need, err := s.next(rows, rows.Attempt.Proofs, now)
	if err != nil {
		return authn.Drop(err)
	}
	if by != postponing && need.State == authn.NeedFactor {
		if v, ok := s.redeem(rows, &need, c, now, st); ok {
			return v
		}
	}
	if !may(&need) {
		if need.State == authn.NeedEnrolment {
			return authn.Drop(&authn.Error{Code: authn.PolicyForbids, Key: "error.no_grace"})
		}
		return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.attempt_not_ready"})
	}
	writes := []authn.Write{}
	if u := rows.User; !need.GraceUntil.IsZero() && u.GraceAt.IsZero() {
		u.GraceAt = now // policy began to ask while this was under way
		writes = append(writes, authn.PutUser{User: *u})
	}
	if need.State != authn.Complete {
		need.State = authn.Complete
		need.ACR, need.AMR = policy.Level(rows.Attempt.Proofs)
	}
	rows.Attempt.Version++
	rows.Attempt.State = authn.Complete
	*st = Status{Company: *rows.Company, User: *rows.User, Lane: rows.Lane}
	return s.complete(rows, need, c, now, st, append(writes, authn.PutAttempt{Attempt: *rows.Attempt}), detail)
}

// unfinished is open for an attempt that can still be gone on with.
func unfinished(rows *authn.Rows, now time.Time) error {
	if err := open(rows, now); err != nil {
		return err
	}
	if rows.Attempt.State == authn.Complete {
		return &authn.Error{Code: authn.Conflict, Key: "error.attempt_complete"}
	}
	return nil
}

// againFor is how long the answer to a completed sign-in is given once more.
const againFor = 10 * time.Second

// Again gives the session of a completed sign-in to the browser that completed it
// once more, since a form that was sent twice has two answers, and browsers throw
// the first one away with the cookie in it. Session and token are the same each time.
// Has is what the browser shows for a session; zero: nothing.
//
// Errors: NotFound, Expired, Conflict (not a completed sign-in, completed more than
// ten seconds ago, ended or used since, or the browser has its session), Busy.
func (s *Service) Again(ctx context.Context, o Opener, has authn.Token) (Status, error) {
	if err := s.clock(); err != nil {
		return Status{}, err
	}
	now := s.now()
	k := o.keys(now)
	k.Became = true
	var st Status
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		if err := open(rows, now); err != nil {
			return authn.Drop(err)
		}
		a, sess := rows.Attempt, rows.Session
		switch {
		case rows.SessionSecret == nil || a.State != authn.Complete || policy.CheckSession(rows, now) != nil,
			now.Sub(sess.CreatedAt) > againFor, !sess.LastSeenAt.Equal(sess.CreatedAt), has.ID == sess.ID:
			return authn.Drop(authn.Conflict)
		}
		st = Status{
			Company: *rows.Company, User: *rows.User, Lane: rows.Lane, Attempt: *a, Need: policy.Need{State: authn.Complete, ACR: sess.ACR, AMR: sess.AMR}, Session: sess,
			SessionToken: authn.Token{Kind: authn.SessionToken, Company: sess.Company, ID: sess.ID, Secret: rows.SessionSecret},
		}
		return authn.Accept(s.event("session.given_again", authn.Succeeded, rows, o.Client, now, nil))
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: again: %w", err)
	}
	return st, nil
}

// ChangePassword sets the new password that an attempt asks for, and completes
// it. All other sessions end, and every browser is a stranger again.
//
// Errors: Invalid (field "new"), NotFound, Expired, Conflict, Busy.
func (s *Service) ChangePassword(ctx context.Context, o Opener, next string) (Status, error) {
	if err := s.clock(); err != nil {
		return Status{}, err
	}
	now := s.now()
	rows, err := s.store.View(ctx, o.keys(now))
	if err != nil {
		return Status{}, fmt.Errorf("signin: password: %w", err)
	}
	if err := s.mustChange(&rows, now); err != nil {
		return Status{}, err
	}
	hash, err := s.newPassword(ctx, "new", next, &rows)
	if err != nil {
		return Status{}, err
	}
	if err := s.another(ctx, o, next); err != nil {
		return Status{}, err
	}
	var st Status
	err = s.store.Decide(ctx, o.keys(now), func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		if err := s.mustChange(rows, now); err != nil {
			return authn.Drop(err)
		}
		writes := s.setPassword(rows, hash, now)
		rows.Attempt.Epoch = rows.User.Epoch
		rows.Attempt.Version++
		rows.Attempt.State = authn.Complete
		writes = append(writes, authn.EndAttempts{Except: rows.Attempt.ID}, authn.PutAttempt{Attempt: *rows.Attempt})
		need, err := s.next(rows, rows.Attempt.Proofs, now)
		if err != nil || need.State != authn.Complete {
			return authn.Drop(authn.Conflict)
		}
		st = Status{Company: *rows.Company, User: *rows.User, Lane: rows.Lane}
		v := s.complete(rows, need, o.Client, now, &st, writes, map[string]string{})
		return v.And(s.event("password.changed", authn.Succeeded, rows, o.Client, now, nil))
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: password: %w", err)
	}
	return st, nil
}

// another refuses the password that has to go. The comparison is charged for like
// a guess and given back: the person proved everything else before.
func (s *Service) another(ctx context.Context, o Opener, next string) error {
	now := s.now()
	k := o.keys(now)
	k.Charge = authn.GuessPassword
	k.Choose = func(rows *authn.Rows) (string, error) { return "", s.mustChange(rows, now) }
	var p paid
	var company authn.Company
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if !rows.Charged.Paid {
			return authn.Drop(policy.Unpaid(rows.Charged, now))
		}
		p, company = paid{user: rows.User, secret: rows.Charged.Secret, lane: rows.Lane}, *rows.Company
		return authn.Continue()
	})
	if err != nil {
		return fmt.Errorf("signin: password: %w", err)
	}
	match, err := s.methods[authn.Password].Verify(ctx, authn.Request{
		Company: company, User: p.person(), Secret: p.secret, Client: o.Client, Now: now.Unix(), Lane: p.lane,
	}, authn.Answer{Password: next})
	s.giveBack(ctx, o.keys(now))
	switch {
	case err != nil:
		return fmt.Errorf("signin: password: %w", err)
	case match.Outcome == authn.Right:
		return authn.InvalidField("new", "same_password", nil)
	}
	return nil
}

func (s *Service) mustChange(rows *authn.Rows, now time.Time) error {
	if err := unfinished(rows, now); err != nil {
		return err
	}
	need, err := s.next(rows, rows.Attempt.Proofs, now)
	if err == nil && need.State != authn.NeedPasswordChange {
		err = &authn.Error{Code: authn.Conflict, Key: "error.attempt_moved"}
	}
	return err
}

// newPassword judges and hashes; both take time that no transaction has.
func (s *Service) newPassword(ctx context.Context, field, next string, rows *authn.Rows) ([]byte, error) {
	if s.passwords == nil {
		return nil, &authn.Error{Code: authn.PolicyForbids}
	}
	doc, err := policy.Current(*rows.Company, s.now())
	if err != nil {
		return nil, fmt.Errorf("signin: %w", err)
	}
	if err := s.passwords.Check(ctx, field, next, *rows.User, *rows.Company, policy.MinimumPassword(doc, *rows.User)); err != nil {
		return nil, err
	}
	hash, err := s.passwords.Hash(ctx, next)
	if err != nil {
		return nil, fmt.Errorf("signin: password: %w", err)
	}
	return hash, nil
}

// setPassword stores a new password and takes back what stood against the old
// one. It moves the person's epoch (ruling 3).
func (s *Service) setPassword(rows *authn.Rows, hash []byte, now time.Time) []authn.Write {
	u := rows.User
	u.Epoch++
	u.PasswordChangedAt, u.PasswordKnownAt, u.SecuredAt = now, time.Time{}, time.Time{}
	u.WrongInRow, u.WrongInMonth = 0, 0
	return []authn.Write{
		authn.SetPassword{ID: authn.NewID(authn.FactorID, now, s.random), Hash: hash, At: now},
		authn.PutUser{User: *u}, authn.EndSessions{}, authn.ForgetBrowsers{All: true},
	}
}
