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

// versionOf counts the answers that a pending factor had: a right one ends it,
// so its wrong ones are all there are.
func versionOf(f authn.Factor) int64 {
	v := int64(1)
	for _, c := range f.Counts {
		v += int64(c.Tries)
	}
	return v
}

// Begun reports whether a sign-in, or the session that came from it, may go on
// with a pending factor: it began it itself (ruling 1), or an administrator
// prepared it for its person, and only an answer from there makes it count.
func Begun(f authn.Factor, attempt string) bool { return f.Prepared() || f.Attempt == attempt }

// pending finds a factor that can still be confirmed.
func (s *Service) pending(rows *authn.Rows, id string, now time.Time) (*authn.Factor, error) {
	if err := s.present(rows, now); err != nil {
		return nil, err
	}
	f := rows.Factor(id)
	switch {
	case f == nil || f.Kind == authn.Password:
		return nil, authn.NotFound
	case f.State != authn.Pending:
		return nil, &authn.Error{Code: authn.Conflict, Key: "error.factor_confirmed"}
	case f.HandedOver() || !Begun(*f, asker(rows)):
		return nil, authn.NotFound
	case !now.Before(f.ExpiresAt) || f.Epoch != rows.User.Epoch:
		return nil, &authn.Error{Code: authn.Expired, Key: "error.setup_expired"}
	}
	doc, err := policy.Current(*rows.Company, now)
	if err == nil && newAddress(*f) == "" && (doc.Sleeps(*rows.User) || !doc.Offers(f.Kind)) {
		err = &authn.Error{Code: authn.PolicyForbids, Key: "error.method_not_offered"} // since it was begun
	}
	return f, err
}

// Confirm makes a pending factor count. The step of the confirming code is
// spent: the same code does not also sign in (ruling 11).
//
// version is that of the form that the answer was typed into; 0: not given. An
// answer to an older form is never evaluated, so that Reload charges nothing.
//
// Errors: Invalid, NotFound, Conflict (confirmed already, or an older form),
// Expired, ProviderUnavailable, WrongCode (with ClockSkew if the code is right for another minute,
// requirement A8), Paused, Locked, Busy.
func (s *Service) Confirm(ctx context.Context, w Who, id string, version int64, a authn.Answer) (Changed, error) {
	k := s.keys(w)
	k.Sent = true
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: confirm: %w", err)
	}
	f, err := s.pending(&rows, id, k.Now)
	if err == nil && f.Prepared() {
		_, err = s.fresh(&rows, k.Now) // the proof that beginning it asks for otherwise
	}
	if err != nil {
		return Changed{}, err
	}
	m, ok := s.methods[f.Kind].(authn.Enroller)
	if !ok {
		return Changed{}, authn.NotFound
	}
	_, outside := m.(authn.Remote)
	if outside && a.Code == "" && remote.Last(rows.Challenges, id) != nil {
		codes, err := s.newCodes(&rows, m)
		if err != nil {
			return Changed{}, err
		}
		return s.approve(ctx, w, k, m, codes, id)
	}
	if err := m.Shape(a); err != nil {
		return Changed{}, err
	}
	// Ten slow hashes have no place in a transaction, so the codes that come with
	// the first way are made before it is known whether it is confirmed.
	codes, err := s.newCodes(&rows, m)
	if err != nil {
		return Changed{}, err
	}
	price, err := s.price(ctx, rows.Company.ID, f.Kind)
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: confirm: %w", err)
	}
	ceremony, device := m.(authn.Ceremony)
	k.Factor, k.Charge, k.Sent = id, authn.GuessFactor, f.Kind.Challenged()
	k.Choose = func(rows *authn.Rows) (string, error) {
		f, err := s.pending(rows, id, k.Now)
		switch {
		case err != nil:
		case version != 0 && version != versionOf(*f):
			err = &authn.Error{Code: authn.Conflict, Key: "error.attempt_moved"}
		case f.Kind.Sent() && len(of(rows.Challenges, id)) == 0:
			err = &authn.Error{Code: authn.Expired, Key: "error.code_expired"}
		case device:
			err = answered(rows, ceremony, id, a)
		}
		return id, err
	}
	if !m.Quick() {
		return s.confirmSlow(ctx, w, k, &rows, m, codes, a)
	}
	var out Changed
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		out = Changed{}
		if !rows.Charged.Paid {
			return authn.Drop(policy.Unpaid(rows.Charged, k.Now))
		}
		match, err := m.Confirm(ctx, authn.Request{Company: *rows.Company, User: *rows.User, Factor: *rows.Charged.Factor,
			Secret: rows.Charged.Secret, Client: w.Client, Now: k.Now.Unix(), Challenges: rows.Charged.Challenges}, a)
		if err != nil { // not evaluated, so not a guess
			return authn.Drop(err, policy.LockoutOf(rows, k.Now).GiveBack(rows.Charged))
		}
		if match.Outcome != authn.Right {
			return s.unconfirmed(rows, w, match, k.Now)
		}
		if newAddress(*rows.Charged.Factor) != "" {
			return s.moveAddress(rows, w, k.Now, &out)
		}
		sent := policy.CameBack(price, nil, rows.Charged.Challenges, rows.User.ID)
		return s.activate(rows, w, m, match, codes, k.Now, &out).With(sent...)
	})
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: confirm: %w", err)
	}
	return out, nil
}

func (s *Service) unconfirmed(rows *authn.Rows, w Who, match authn.Match, now time.Time) authn.Verdict {
	ev := s.event("factor.refused", rows, w, now, *rows.Charged.Factor)
	ev.Result = authn.Refused
	if match.Outcome == authn.Void {
		return authn.Refuse(authn.CodeUsed, ev, policy.LockoutOf(rows, now).GiveBack(rows.Charged))
	}
	refusal := policy.LockoutOf(rows, now).WrongCode(rows.Charged, now)
	if rows.Charged.Factor.Kind == authn.WebAuthn {
		refusal.Key = "error.passkey_refused" // there is no code
	}
	refusal.ClockSkew = time.Duration(match.Skew) * time.Second
	if rows.Charged.Factor.Kind == authn.WebAuthn {
		refusal.Key = "error.passkey_refused" // no code was typed
	}
	return authn.Refuse(refusal, ev, authn.Settle{
		Outcome: authn.Wrong, PausedUntil: policy.LockoutOf(rows, now).PausedUntil(now, rows.Charged.Count.Tries),
	})
}

func (s *Service) activate(rows *authn.Rows, w Who, m authn.Method, match authn.Match, codes *set, now time.Time, out *Changed) authn.Verdict {
	f := *rows.Charged.Factor
	typ := "factor.confirmed"
	if !f.Kind.Several() && rows.FactorOf(f.Kind, authn.Confirmed) != nil {
		typ = "factor.replaced"
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return authn.Drop(fmt.Errorf("enroll: %w", err))
	}
	if match.Made != nil {
		f.Data = match.Data
		if rule := doc.Unmet(f); rule != "" { // the rules of now, and not of when it was asked for
			return authn.Drop(policy.NotTakenError(rule), policy.LockoutOf(rows, now).GiveBack(rows.Charged))
		}
	}
	f.Round = doc.AllowedAgain[f.Kind]
	f.State, f.ConfirmAt, f.LastStep, f.ExpiresAt = authn.Confirmed, now, match.Step, time.Time{}
	if rows.Attempt != nil && opened(rows.Attempt.Proofs) {
		f.ProbationUntil = now.Add(probationLasts)
	}
	writes := []authn.Write{authn.Settle{Outcome: authn.Right}}
	if f.Kind.Sent() {
		writes = append(writes, authn.ConsumeChallenges{Factor: f.ID})
	}
	if made := match.Made; made != nil {
		f.Name = made.Name
		writes = append(writes, authn.SetCredential{ID: f.ID, Made: *made, Data: match.Data})
	}
	writes = append(writes, authn.ActivateFactor{ID: f.ID, At: now, Step: match.Step, ProbationUntil: f.ProbationUntil, Round: f.Round})
	if rows.User.HadFactorAt.IsZero() {
		rows.User.HadFactorAt = now
	}
	if f.Kind == authn.Email {
		rows.User.EmailVerifiedAt = now // verifying it is the set-up (S18)
	}
	v := authn.Verdict{}
	var changed Changed
	if rows.Attempt != nil {
		changed.Factor = f
		v = authn.Accept(s.event(typ, rows, w, now, f), append(writes, s.ready(rows, m, f, match, now)...)...)
	} else {
		sess := *rows.Session
		// The new factor was just proven, so the session shows it: policy asks for it
		// from now on.
		t := traitsOf(m, match)
		_, amr := policy.Level([]authn.Proof{{Kind: f.Kind, Traits: t, AMR: match.AMR}})
		sess.AMR = union(sess.AMR, amr)
		if t.Possession || t.PhishingResistant {
			sess.FactorTime = now // the level rises only with something held
			if knows(sess.AMR) {
				sess.ACR = authn.AAL2
			}
		}
		var more []authn.Write
		more, changed = s.moved(rows, sess, now)
		changed.Factor = f
		v = authn.Accept(s.event(typ, rows, w, now, f), append(writes, more...)...)
	}
	if codes != nil && !hasCodes(rows.Factors) {
		changed.Codes = codes.shown
		v = s.withCodes(v, rows, w, codes, now)
	}
	*out = changed
	return v
}

// probationLasts is how long what an administrator's code opened changes nothing
// else of the account (ruling 18).
const probationLasts = 24 * time.Hour

func opened(proofs []authn.Proof) bool {
	return slices.ContainsFunc(proofs, func(p authn.Proof) bool { return p.Kind == authn.BypassCode })
}

// ready adds the new way to what the sign-in has proven, and takes it past the
// change of the account, which ends everything else that was open (ruling 3).
func (s *Service) ready(rows *authn.Rows, m authn.Method, f authn.Factor, match authn.Match, now time.Time) []authn.Write {
	u, a := *rows.User, *rows.Attempt
	u.Epoch++
	a.Epoch = u.Epoch
	a.Version++
	a.State = authn.Ready
	a.Proofs = append(slices.Clone(a.Proofs), authn.Proof{Kind: f.Kind, Factor: f.ID, Traits: traitsOf(m, match), At: now, Step: match.Step, AMR: match.AMR})
	return []authn.Write{authn.PutUser{User: u}, authn.EndSessions{}, authn.EndAttempts{Except: a.ID}, authn.PutAttempt{Attempt: a}}
}

// traitsOf are what a right answer showed.
func traitsOf(m authn.Method, match authn.Match) authn.Traits {
	if match.Traits != nil {
		return *match.Traits
	}
	return m.Traits()
}
