package enroll

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

func contains(list []string, v string) bool { return slices.Contains(list, v) }

func knows(amr []string) bool { return contains(amr, "pwd") }

// ChangePassword sets a new password after the current one was given once more
// (requirement J1). Someone who has a factor must have proven it recently too:
// a stolen password with a stolen session is not enough. All other sessions end.
//
// Errors: StepUpRequired, WrongCredentials (the current one), Invalid (field
// "new": too_short, too_long, contains_name, …), Paused, Busy.
func (s *Service) ChangePassword(ctx context.Context, w Who, current, next string) (Changed, error) {
	if err := s.passwords.Shape(authn.Answer{Password: current}); err != nil {
		return Changed{}, renamed(err, "current")
	}
	if current == next {
		return Changed{}, authn.InvalidField("new", "same_password", nil)
	}
	k := s.keys(w)
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: password: %w", err)
	}
	// Judging the new one takes time that no transaction may, so it comes first,
	// under the policy that the last transaction compares.
	doc, err := s.mayChange(&rows, k.Now)
	if err != nil {
		return Changed{}, err
	}
	if err := s.passwords.Check(ctx, "new", next, *rows.User, *rows.Company, policy.MinimumPassword(doc, *rows.User)); err != nil {
		return Changed{}, err
	}
	secret, lane, err := s.payPassword(ctx, w)
	if err != nil {
		return Changed{}, err
	}
	match, err := s.passwords.Verify(ctx, authn.Request{
		Company: *rows.Company, User: *rows.User, Secret: secret, Client: w.Client,
		Lane: lane,
	}, authn.Answer{Password: current})
	var hash []byte
	if err == nil && match.Outcome == authn.Right {
		hash, err = s.passwords.Hash(ctx, next)
	}
	if err != nil {
		s.giveBack(ctx, w) // a full queue is no guess
		return Changed{}, fmt.Errorf("enroll: password: %w", err)
	}
	return s.setPassword(ctx, w, hash, rows.Company.PolicyVersion)
}

// mayChange holds what can be said before a guess at the password is paid for.
func (s *Service) mayChange(rows *authn.Rows, now time.Time) (policy.Document, error) {
	if err := policy.CheckSession(rows, now); err != nil {
		return policy.Document{}, err
	}
	if rows.User.ExternalID != "" {
		return policy.Document{}, authn.HostPassword()
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return policy.Document{}, fmt.Errorf("enroll: %w", err)
	}
	if err := probation(rows.Factors, now); err != nil {
		return doc, err
	}
	if len(policy.Second(doc, *rows.User, rows.Factors, s.traits(rows.Company))) > 0 || policy.Demanded(doc, *rows.User) {
		return doc, policy.Fresh(rows, s.mustHold(doc, rows), doc.Lifetimes(s.life).StepUpAge, now)
	}
	return doc, nil
}

func (s *Service) payPassword(ctx context.Context, w Who) ([]byte, authn.Lane, error) {
	k := s.keys(w)
	k.Charge = authn.GuessPassword
	k.Choose = func(rows *authn.Rows) (string, error) {
		_, err := s.mayChange(rows, k.Now)
		return "", err
	}
	var secret []byte // read only after Decide returned nil: it may return before the decision has run
	var lane authn.Lane
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if !rows.Charged.Paid {
			return authn.Drop(policy.Unpaid(rows.Charged, k.Now))
		}
		secret, lane = rows.Charged.Secret, rows.Lane
		return authn.Continue(authn.Settle{Outcome: authn.Wrong, PausedUntil: policy.LockoutOf(rows, k.Now).PausedUntil(k.Now, rows.Charged.Count.Tries)})
	})
	if err != nil {
		return nil, "", fmt.Errorf("enroll: password: %w", err)
	}
	return secret, lane, nil
}

// giveBack undoes payPassword. If that fails too, the charge stands.
func (s *Service) giveBack(ctx context.Context, w Who) {
	k := s.keys(w)
	k.Charge = authn.SettlePassword
	_ = s.store.Decide(context.WithoutCancel(ctx), k, func(rows *authn.Rows) authn.Verdict {
		return authn.Continue(policy.LockoutOf(rows, k.Now).GiveBack(rows.Charged))
	})
}

// setPassword writes the new hash; nil: the current password was wrong.
func (s *Service) setPassword(ctx context.Context, w Who, hash []byte, version int64) (Changed, error) {
	k := s.keys(w)
	k.Charge = authn.SettlePassword
	var out Changed
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		out = Changed{}
		if err := policy.CheckSession(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		if hash == nil {
			ev := s.event("password.change_refused", rows, w, k.Now, authn.Factor{})
			ev.Result = authn.Refused
			return authn.Refuse(&authn.Error{Code: authn.WrongCredentials, Key: "error.wrong_password",
				Fields: []authn.Field{{Name: "current", Code: "wrong"}}}, ev)
		}
		if rows.Company.PolicyVersion != version {
			return authn.Drop(&authn.Error{Code: authn.Conflict}, authn.Settle{Outcome: authn.Right})
		}
		rows.User.PasswordChangedAt = k.Now
		rows.User.WrongInRow, rows.User.WrongInMonth, rows.User.PasswordKnownAt = 0, 0, time.Time{}
		writes, changed := s.moved(rows, *rows.Session, k.Now)
		out = changed
		set := authn.SetPassword{ID: authn.NewID(authn.FactorID, k.Now, s.random), Hash: hash, At: k.Now}
		return authn.Accept(s.event("password.changed", rows, w, k.Now, authn.Factor{}),
			append([]authn.Write{authn.Settle{Outcome: authn.Right}, set, authn.ForgetBrowsers{}}, writes...)...)
	})
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: password: %w", err)
	}
	return out, nil
}

// renamed gives a field error another field name.
func renamed(err error, name string) error {
	e := authn.AsError(err)
	for i := range e.Fields {
		e.Fields[i].Name = name
	}
	return e
}
