package signin

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// A password that was forgotten (requirement J3). AskReset sends a code to the
// address of the account, ProveReset takes it, FinishReset sets the password. It
// opens no session: the person signs in with the new password, and proves all that
// policy asks for, by another channel than the one that reset it (ruling 4).
//
// A name that leads to nobody, to somebody suspended, to a program or to an address
// that rests is answered in every step as one that a code was sent for: it has a row
// of its own, a count of its own, the same limits, and no answer comes before
// ResetFloor. Who reads the mailbox is the only one to learn more.

// ResetLives is how long the code is good, and then, from the right code on, how long
// the new password can be chosen. It travels by e-mail, which can be slow, and may
// live for a day (NIST SP 800-63B-4 4.2.1.2).
const ResetLives = 10 * time.Minute

// ResetWait is how soon another code can be asked for.
const ResetWait = 30 * time.Second

// ResetFloor is how long AskReset and ProveReset take at least: several times what
// they need, so that the time says nothing of what was found.
const ResetFloor = 250 * time.Millisecond

// ResetAsk is who forgot their password.
type ResetAsk struct {
	Company string // slug; empty: the only company of the server
	Login   string // as typed
	Client  authn.Client
}

// ResetOpener is what opens a reset: its token, or the browser that began it.
type ResetOpener struct {
	Company string // id
	Reset   string // id
	Token   authn.Token
	Client  authn.Client
}

func (o ResetOpener) keys(now time.Time) authn.Keys {
	k := authn.Keys{Company: o.Company, Reset: o.Reset, ResetToken: o.Token, Browser: o.Client.Browser, Now: now}
	if k.Company == "" {
		k.Company = o.Token.Company
	}
	return k
}

// ResetStatus is where a reset stands, for whoever may see it.
type ResetStatus struct {
	Company authn.Company
	Reset   authn.Reset // User and Destination are filled only once it is proven
	Token   authn.Token // only from the call that began it
	// ResendAt is when another code can be asked for.
	ResendAt time.Time
	// Login and Minimum, once it is proven: whose password it is, and the least
	// length of a new one in characters.
	Login   string
	Minimum int
}

// CanReset reports whether this server can send the codes for it. Where a host program
// checks passwords, it is who changes them.
func (s *Service) CanReset() bool {
	return s.hosted == nil && s.methods[authn.Email] != nil && s.deliver != nil && s.passwords != nil
}

// AskReset begins a reset, and sends a code if the name leads to somebody whom it may
// be sent to. The answer is the same if not.
//
// Errors: Invalid (field login), TooManyRequests (with RetryAfter), PolicyForbids
// (this server sends no e-mail), Busy, NotFound (company).
func (s *Service) AskReset(ctx context.Context, ask ResetAsk) (ResetStatus, error) {
	if ask.Login == "" {
		return ResetStatus{}, authn.InvalidField("login", "required", nil)
	}
	if !s.CanReset() {
		return ResetStatus{}, &authn.Error{Code: authn.PolicyForbids, Key: "error.reset_off"}
	}
	if err := s.clock(); err != nil {
		return ResetStatus{}, err
	}
	company, err := s.store.CompanyBySlug(ctx, ask.Company)
	if err != nil {
		return ResetStatus{}, fmt.Errorf("signin: company: %w", err)
	}
	defer s.notBefore(ctx, time.Now())
	login, ok := authn.CanonicalLogin(ask.Login)
	if !ok {
		login = nobodysName // counted like any other
	}
	now := s.now()
	k := authn.Keys{Company: company.ID, Login: login, Browser: ask.Client.Browser, Now: now}
	if err := s.admitStranger(ctx, k, ask.Client); err != nil {
		return ResetStatus{}, err
	}
	k.Resets = true
	var st ResetStatus
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = ResetStatus{}
		return s.askReset(rows, ask.Client, now, &st)
	})
	if err != nil {
		s.refusals.add(company.ID, authn.AsError(err).Code)
		return ResetStatus{}, fmt.Errorf("signin: reset: %w", err)
	}
	return st, nil
}

func (s *Service) askReset(rows *authn.Rows, c authn.Client, now time.Time, st *ResetStatus) authn.Verdict {
	if err := mayAskReset(rows, now); err != nil {
		return authn.Drop(err)
	}
	why := noReset(rows.User, now)
	r := authn.Reset{Company: rows.Company.ID, ID: authn.NewID(authn.ResetID, now, s.random), Lane: rows.Lane, State: authn.ResetSent, Version: 1,
		CreatedAt: now, ExpiresAt: now.Add(ResetLives)}
	*st = ResetStatus{Company: *rows.Company, Reset: r, Token: authn.NewToken(authn.ResetToken, r.Company, r.ID, s.random), ResendAt: now.Add(ResetWait)}
	var writes []authn.Write
	if why == "" {
		r.User, r.Epoch = rows.User.ID, rows.User.Epoch
		r.Destination, _ = authn.CanonicalLogin(rows.User.Email)
		writes = append(writes, authn.NewLetter{Challenge: r.ID, Letter: authn.Letter{ID: authn.NewID(authn.MessageID, now, s.random), Channel: authn.Email,
			Template: "code_reset", To: rows.User.Email, At: now, ExpiresAt: r.ExpiresAt,
			Args: map[string]string{"agent": c.Agent, "locale": c.Locale, "minutes": minutes(ResetLives)}}})
	}
	writes = append([]authn.Write{authn.NewReset{Reset: r, Token: st.Token}}, writes...)
	typ, result, detail := "password.reset_asked", authn.Succeeded, map[string]string(nil)
	if why != "" {
		typ, result, detail = "password.reset_refused", authn.Refused, map[string]string{"reason": why}
		if !s.refusals.list(rows.Company.ID, now) {
			s.refusals.add(rows.Company.ID, authn.WrongCredentials)
			return authn.Continue(writes...)
		}
	}
	ev := s.event(typ, result, rows, c, now, detail)
	ev.Actor = "" // whoever typed a name
	return authn.Accept(ev, writes...)
}

// mayAskReset holds the limits of codes, for every name alike.
func mayAskReset(rows *authn.Rows, now time.Time) error {
	limit := policy.SendLimit(rows.Lane)
	switch next := rows.ResetAt.Add(ResetWait); {
	case rows.SentCodes.Day >= limit.Day:
		return &authn.Error{Code: authn.TooManyRequests, Key: "error.send_limit", RetryAfter: time.Hour}
	case rows.SentCodes.Hour >= limit.Hour:
		return &authn.Error{Code: authn.TooManyRequests, Key: "error.send_limit", RetryAfter: 30 * time.Minute}
	case !rows.ResetAt.IsZero() && now.Before(next):
		return &authn.Error{Code: authn.TooManyRequests, Key: "error.send_wait", RetryAfter: next.Sub(now), ExpiresAt: next}
	}
	return nil
}

// noReset says why nothing is sent, for the audit log only.
func noReset(u *authn.User, now time.Time) string {
	switch {
	case u == nil:
		return "unknown"
	case u.Status != authn.Active:
		return "suspended"
	case u.API:
		return "api_account"
	case u.ExternalID != "":
		return "host_user"
	case !u.EmailReaches():
		return "no_contact"
	case !u.EmailChangedAt.IsZero() && now.Sub(u.EmailChangedAt) < policy.ContactRests:
		return "new_contact"
	}
	return ""
}

// GetReset shows a reset to whoever holds it. One that is of nobody looks as one
// whose code was not typed yet.
//
// Errors: NotFound, Expired.
func (s *Service) GetReset(ctx context.Context, o ResetOpener) (ResetStatus, error) {
	now := s.now()
	rows, err := s.store.View(ctx, o.keys(now))
	if err != nil {
		return ResetStatus{}, fmt.Errorf("signin: reset: %w", err)
	}
	if err := openReset(&rows, now); err != nil {
		return ResetStatus{}, err
	}
	return s.resetStatus(&rows, now)
}

func (s *Service) resetStatus(rows *authn.Rows, now time.Time) (ResetStatus, error) {
	st := ResetStatus{Company: *rows.Company, Reset: *rows.Reset, ResendAt: rows.Reset.CreatedAt.Add(ResetWait)}
	if st.Reset.State != authn.ResetProven || rows.User == nil {
		st.Reset.User, st.Reset.Destination = "", ""
		return st, nil
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return ResetStatus{}, fmt.Errorf("signin: %w", err)
	}
	st.Login, st.Minimum = rows.User.Login, policy.MinimumPassword(doc, *rows.User)
	return st, nil
}

// openReset says whether a reset can be gone on with.
func openReset(rows *authn.Rows, now time.Time) error {
	r := rows.Reset
	switch {
	case r == nil || rows.Company == nil:
		return authn.NotFound
	case !now.Before(r.ExpiresAt), r.State == authn.ResetUsed,
		r.State == authn.ResetProven && !same(rows, now):
		return &authn.Error{Code: authn.Expired, Key: "error.reset_expired"}
	}
	return nil
}

// same reports whether the person is still the one that the code was sent to: not
// suspended, not changed, with the same address (ruling 3).
func same(rows *authn.Rows, now time.Time) bool {
	u, r := rows.User, rows.Reset
	if u == nil || r.User == "" || u.ID != r.User || u.Epoch != r.Epoch || noReset(u, now) != "" {
		return false
	}
	address, ok := authn.CanonicalLogin(u.Email)
	return ok && address == r.Destination
}

// ProveReset takes the code. Wrong ones are charged to one count of the person and
// lane, whichever code they were for; a code that is over, or was sent to what the
// account was before, is wrong. version is that of the form, 0: none was given.
//
// Errors: Invalid (field code, nothing charged), NotFound, Expired, Conflict (proven
// already), WrongCode (with AttemptsLeft; with RetryAfter once paused), Paused,
// Locked, Busy.
func (s *Service) ProveReset(ctx context.Context, o ResetOpener, version int64, code string) (ResetStatus, error) {
	m, answer := s.methods[authn.Email], authn.Answer{Code: code}
	if !s.CanReset() {
		return ResetStatus{}, &authn.Error{Code: authn.PolicyForbids, Key: "error.reset_off"}
	}
	if err := m.Shape(answer); err != nil {
		return ResetStatus{}, err
	}
	if err := s.clock(); err != nil {
		return ResetStatus{}, err
	}
	defer s.notBefore(ctx, time.Now())
	now := s.now()
	k := o.keys(now)
	k.Charge = authn.GuessReset
	k.Choose = func(rows *authn.Rows) (string, error) {
		err := openReset(rows, now)
		if err == nil && (rows.Reset.State != authn.ResetSent || version != 0 && version != rows.Reset.Version) {
			err = &authn.Error{Code: authn.Conflict, Key: "error.attempt_moved"}
		}
		return "", err
	}
	var st ResetStatus
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = ResetStatus{}
		return s.proveReset(ctx, rows, m, answer, o.Client, now, &st)
	})
	if err != nil {
		return ResetStatus{}, fmt.Errorf("signin: reset: %w", err)
	}
	return st, nil
}

func (s *Service) proveReset(ctx context.Context, rows *authn.Rows, m authn.Method, answer authn.Answer, c authn.Client, now time.Time, st *ResetStatus) authn.Verdict {
	if !rows.Charged.Paid {
		err := policy.Unpaid(rows.Charged, now)
		if rows.Charged.Locked {
			err = &authn.Error{Code: authn.Locked, Key: "error.reset_locked"}
		}
		return authn.Drop(err)
	}
	match, err := m.Verify(ctx, authn.Request{Company: *rows.Company, Client: c, Now: now.Unix(), Challenges: rows.Charged.Challenges}, answer)
	if err != nil {
		return authn.Drop(err, policy.LockoutOf(rows, now).GiveBack(rows.Charged))
	}
	// Nobody's code is compared like any other, and is never right.
	if match.Outcome != authn.Right || !same(rows, now) {
		lockout := policy.LockoutOf(rows, now)
		ev := s.event("password.reset_refused", authn.Refused, rows, c, now, map[string]string{"reason": "wrong_code"})
		ev.Actor = ""
		writes := []authn.Write{authn.Settle{Outcome: authn.Wrong, PausedUntil: lockout.PausedUntil(now, rows.Charged.Count.Tries)},
			authn.PutReset{State: authn.ResetSent, ExpiresAt: rows.Reset.ExpiresAt}} // Reload must not charge again
		if rows.User == nil && !s.refusals.list(rows.Company.ID, now) {
			return authn.Drop(lockout.WrongCode(rows.Charged, now), writes...)
		}
		return authn.Refuse(lockout.WrongCode(rows.Charged, now), ev, writes...)
	}
	r := rows.Reset
	r.State, r.ExpiresAt = authn.ResetProven, now.Add(ResetLives)
	r.Version++
	if *st, err = s.resetStatus(rows, now); err != nil {
		return authn.Drop(err)
	}
	ev := s.event("password.reset_proven", authn.Succeeded, rows, c, now, nil)
	ev.Actor = ""
	return authn.Accept(ev, authn.Settle{Outcome: authn.Right}, authn.PutReset{State: authn.ResetProven, ExpiresAt: r.ExpiresAt})
}

// FinishReset sets the new password. All sessions, sign-ins and other resets end,
// every browser is a stranger again, and the person is told, with a link that takes
// it back. It gives no session.
//
// Errors: Invalid (field "new"), NotFound, Expired, Conflict (not proven, or used
// meanwhile), ProviderUnavailable (it cannot be found out whether the password has
// leaked), Busy.
func (s *Service) FinishReset(ctx context.Context, o ResetOpener, next string) (authn.Company, error) {
	if err := s.clock(); err != nil {
		return authn.Company{}, err
	}
	now := s.now()
	look := o.keys(now)
	rows, err := s.store.View(ctx, look)
	if err != nil {
		return authn.Company{}, fmt.Errorf("signin: reset: %w", err)
	}
	if err := provenReset(&rows, now); err != nil {
		return authn.Company{}, err
	}
	// With the numbers that are told, which takes statements of its own: not before the
	// address is proven, or time would say that there is somebody (inv-J).
	look.Sent = true
	if rows, err = s.store.View(ctx, look); err == nil {
		err = provenReset(&rows, now)
	}
	if err != nil {
		return authn.Company{}, fmt.Errorf("signin: reset: %w", err)
	}
	hash, err := s.newPassword(ctx, "new", next, &rows)
	if err != nil {
		return authn.Company{}, err
	}
	version, texts := rows.Company.PolicyVersion, s.payTexts(ctx, &rows, now)
	k := o.keys(now)
	k.Replaced = true
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := provenReset(rows, now); err != nil {
			return authn.Drop(err)
		}
		doc, err := policy.Current(*rows.Company, now)
		if err != nil {
			return authn.Drop(fmt.Errorf("signin: %w", err))
		}
		if rows.Company.PolicyVersion != version {
			return authn.Drop(&authn.Error{Code: authn.Conflict})
		}
		// What "this wasn't me" asks for is asked for all the same: who reads the mailbox
		// may be the one that it was about.
		secured := rows.User.SecuredAt
		writes := s.setPassword(rows, hash, now)
		rows.User.SecuredAt, rows.User.PasswordResetAt = secured, now
		writes = append(writes, authn.PutUser{User: *rows.User}, authn.EndAttempts{}, authn.EndResets{},
			authn.PutReset{State: authn.ResetUsed, ExpiresAt: rows.Reset.ExpiresAt})
		detail := map[string]string{"method": string(authn.Email)}
		if doc.EmailAfterReset {
			detail["rule"] = "email_after_reset" // the company's own risk, on record each time
		}
		ev := s.event("password.reset", authn.Succeeded, rows, o.Client, now, detail)
		ev.Actor = ""
		return s.tellReset(authn.Accept(ev, writes...), ev, rows, texts, o.Client, now)
	})
	if err != nil {
		return authn.Company{}, fmt.Errorf("signin: reset: %w", err)
	}
	return *rows.Company, nil
}

func provenReset(rows *authn.Rows, now time.Time) error {
	if err := openReset(rows, now); err != nil {
		return err
	}
	if rows.Reset.State != authn.ResetProven {
		return &authn.Error{Code: authn.Conflict, Key: "error.attempt_not_ready"}
	}
	return nil
}

// notBefore returns once ResetFloor has passed since began, or ctx has ended.
func (s *Service) notBefore(ctx context.Context, began time.Time) {
	t := time.NewTimer(s.floor - time.Since(began))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
