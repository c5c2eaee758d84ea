package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// HandOverLives is for how long an authenticator app can be set up together.
const HandOverLives = 15 * time.Minute

// planHandOver begins an authenticator app for a person who is there: they scan
// the code from the administrator's page, and the code that their phone then
// shows is typed in there. Whoever else has seen the key could make the same
// codes, so that it is no proof by itself: at its first use the person sets it up
// anew (ruling 17; authn.Factor.HandedOver).
func planHandOver(ctx context.Context, s *Service, a asked) (change, error) {
	if a.who.Actor.Session.IsZero() {
		return nil, forbidden("key") // it is done on one page, by one who is there
	}
	m, ok := s.methods[authn.TOTP].(authn.Enroller)
	if !ok {
		return nil, authn.NotFound
	}
	if err := s.twoFactor(a.company, a.user, authn.TOTP); err != nil {
		return nil, err
	}
	shown, err := m.Begin(ctx, authn.Request{Company: a.company, User: a.user, Client: a.who.Client, Now: s.c.Now().Unix()})
	if err != nil {
		return nil, fmt.Errorf("directory: hand over: %w", err)
	}
	return s.begin(a, authn.TOTP, shown, HandOverLives), nil
}

// HandingOver is an app that is being set up together.
type HandingOver struct {
	User    authn.User
	Factor  authn.Factor
	Version int64 // moves with every answer; a form carries it (ruling 49)
	Shown   authn.Presented
}

var handOverAct = Act{Type: "factor.handed_over", Permission: FactorsManage}

// handing finds the app that w is setting up with a person: theirs who began it,
// in the sign-in in which they did.
func (s *Service) handing(w Who, rows *authn.Rows, a Act, factor string, now time.Time) (*authn.Factor, error) {
	if err := s.authorize(w, rows, a, now); err != nil {
		return nil, err
	}
	f := rows.Factor(factor)
	switch {
	case f == nil || !f.HandedOver() || rows.By == nil || rows.By.Session == nil || f.Attempt != rows.By.Session.Attempt:
		return nil, authn.NotFound
	case f.State != authn.Pending:
		return nil, &authn.Error{Code: authn.Conflict, Key: "error.factor_confirmed"}
	case !now.Before(f.ExpiresAt) || f.Epoch != rows.User.Epoch:
		return nil, &authn.Error{Code: authn.Expired, Key: "error.setup_expired"}
	}
	return f, nil
}

func versionOf(f authn.Factor) int64 {
	v := int64(1)
	for _, c := range f.Counts {
		v += int64(c.Tries)
	}
	return v
}

// ShowHandOver gives an app that is being set up together, to whoever began it.
//
// Errors: those of Check; NotFound, Conflict (confirmed already), Expired.
func (s *Service) ShowHandOver(ctx context.Context, w Who, user, factor string) (HandingOver, error) {
	a := handOverAct
	a.Target = user
	k, err := s.actKeys(w, a)
	if err != nil {
		return HandingOver{}, err
	}
	rows, err := s.c.Store.View(ctx, k)
	if err != nil {
		return HandingOver{}, fmt.Errorf("directory: hand over: %w", err)
	}
	f, err := s.handing(w, &rows, a, factor, k.Now)
	if err != nil {
		s.noteRefusal(ctx, w, &rows, a, k.Now, err)
		return HandingOver{}, err
	}
	secret, err := s.c.Store.PendingSecret(ctx, authn.Keys{Company: k.Company, User: rows.User.ID, Factor: f.ID, Now: k.Now})
	if err != nil {
		return HandingOver{}, fmt.Errorf("directory: hand over: %w", err)
	}
	m, ok := s.methods[f.Kind].(authn.Enroller)
	if !ok {
		return HandingOver{}, authn.NotFound
	}
	shown, err := m.Present(authn.Request{Company: *rows.Company, User: *rows.User, Factor: *f, Secret: secret})
	if err != nil {
		return HandingOver{}, fmt.Errorf("directory: hand over: %w", err)
	}
	return HandingOver{User: *rows.User, Factor: *f, Version: versionOf(*f), Shown: shown}, nil
}

// ConfirmHandOver makes the app count, with the code that the person's phone
// shows. version is that of the form; 0: not given. A wrong code is charged like
// any other guess.
//
// Errors: those of ShowHandOver; Invalid (field code), Conflict
// (error.attempt_moved: an older form), WrongCode, Paused, Locked.
func (s *Service) ConfirmHandOver(ctx context.Context, w Who, user, factor string, version int64, code string) (authn.User, error) {
	a := handOverAct
	a.Target = user
	answer := authn.Answer{Code: code}
	m, ok := s.methods[authn.TOTP].(authn.Enroller)
	if !ok {
		return authn.User{}, authn.NotFound
	}
	if err := m.Shape(answer); err != nil {
		return authn.User{}, err
	}
	k, err := s.actKeys(w, a)
	if err != nil {
		return authn.User{}, err
	}
	k.Charge = authn.GuessFactor
	var refused error // as in act
	var seen authn.Rows
	k.Choose = func(rows *authn.Rows) (string, error) {
		f, err := s.handing(w, rows, a, factor, k.Now)
		refused, seen = err, *rows
		if err == nil && version != 0 && version != versionOf(*f) {
			err = &authn.Error{Code: authn.Conflict, Key: "error.attempt_moved"}
		}
		return factor, err
	}
	var out authn.User
	err = s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if !rows.Charged.Paid {
			return authn.Drop(policy.Unpaid(rows.Charged, k.Now))
		}
		match, err := m.Confirm(ctx, authn.Request{Company: *rows.Company, User: *rows.User, Factor: *rows.Charged.Factor,
			Secret: rows.Charged.Secret, Client: w.Client, Now: k.Now.Unix()}, answer)
		if err != nil { // not evaluated, so not a guess
			return authn.Drop(err, policy.LockoutOf(rows, k.Now).GiveBack(rows.Charged))
		}
		return s.handedOver(w, rows, a, match, k.Now, &out)
	})
	if errors.Is(err, authn.Forbidden) && refused != nil {
		s.noteRefusal(ctx, w, &seen, a, k.Now, refused)
	}
	if err != nil {
		return authn.User{}, fmt.Errorf("directory: hand over: %w", err)
	}
	return out, nil
}

func (s *Service) handedOver(w Who, rows *authn.Rows, a Act, match authn.Match, now time.Time, out *authn.User) authn.Verdict {
	f := *rows.Charged.Factor
	detail := f.Detail()
	if match.Outcome != authn.Right {
		lockout := policy.LockoutOf(rows, now)
		refusal := lockout.WrongCode(rows.Charged, now)
		refusal.ClockSkew = time.Duration(match.Skew) * time.Second
		return authn.Refuse(refusal, s.actEvent(w, rows, a, now, authn.Refused, detail),
			authn.Settle{Outcome: authn.Wrong, PausedUntil: lockout.PausedUntil(now, rows.Charged.Count.Tries)})
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return authn.Drop(fmt.Errorf("directory: hand over: %w", err))
	}
	u := *rows.User
	u.Epoch++
	if u.HadFactorAt.IsZero() {
		u.HadFactorAt = now
	}
	*out = u
	return authn.Accept(s.actEvent(w, rows, a, now, authn.Succeeded, detail),
		authn.Settle{Outcome: authn.Right}, authn.ActivateFactor{ID: f.ID, At: now, Step: match.Step, Round: doc.AllowedAgain[f.Kind]},
		authn.PutUser{User: u}, authn.EndSessions{}, authn.EndAttempts{}, authn.ForgetBrowsers{All: true})
}
