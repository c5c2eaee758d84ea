package signin

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

var defaultRandom io.Reader = rand.Reader

// nobodysName stands for what can be nobody's name (authn.CanonicalLogin).
const nobodysName = "\x00"

// Begin is the first step: who, and the password.
type Begin struct {
	Company  string // slug; empty: the only company of the server
	Login    string // as typed
	Password string
	ReturnTo string // a path that the caller has checked, or authn.Return.String; empty: none
	Trusted  string // token of a trusted browser, as it came; empty or of no use: it is asked as ever
	Client   authn.Client
}

// Begin checks name and password. On success there is an attempt (or, where
// nothing more is needed, a session at once).
//
// Errors: Invalid (fields login, password), WrongCredentials, Paused and
// TooManyRequests (with RetryAfter), Busy, ProviderUnavailable (the host program's
// users), NotFound (company).
func (s *Service) Begin(ctx context.Context, b Begin) (Status, error) {
	if b.Login == "" {
		return Status{}, authn.InvalidField("login", "required", nil)
	}
	if err := s.methods[authn.Password].Shape(authn.Answer{Password: b.Password}); err != nil {
		return Status{}, err
	}
	if err := s.clock(); err != nil {
		return Status{}, err
	}
	company, err := s.store.CompanyBySlug(ctx, b.Company)
	if err != nil {
		return Status{}, fmt.Errorf("signin: company: %w", err)
	}
	login, ok := authn.CanonicalLogin(b.Login)
	if !ok {
		login = nobodysName // counted and hashed like any other
	}
	k := authn.Keys{Company: company.ID, Login: login, Browser: b.Client.Browser}
	if err := s.admitStranger(ctx, k, b.Client); err != nil {
		return Status{}, err
	}
	paid, err := s.payPassword(ctx, k)
	if err != nil {
		return Status{}, err
	}
	t, err := s.try(ctx, company, k, &paid, b)
	if err != nil {
		return Status{}, err
	}
	var st Status
	if t.host != nil {
		st, err = s.enterHosted(ctx, k, paid, *t.host, b)
	} else {
		st, err = s.enter(ctx, k, paid, t.match, b)
	}
	if err != nil {
		return st, err
	}
	return s.atOnce(ctx, st, b.Client), nil
}

// atOnce sends the code with the right password, where the company wants that and
// a code that is sent is what the person is asked for first. If it cannot be sent,
// the page that follows offers to.
func (s *Service) atOnce(ctx context.Context, st Status, c authn.Client) Status {
	doc, err := policy.Current(st.Company, s.now())
	if err != nil || !doc.SendAtOnce || st.Need.State != authn.NeedFactor {
		return st
	}
	if usual := st.Need.Offers[0]; usual.Kind.Sent() && usual.Usable() {
		sent, _, err := s.Challenge(ctx, OpenerOf(st.Token, c), usual.Kind, usual.Factor)
		if sent.Attempt.ID == "" { // too many were sent, or something is down
			st.NotSent = err
			return st
		}
		sent.Token, sent.NotSent = st.Token, err
		return sent
	}
	return st
}

// paid is a password guess that was charged for.
type paid struct {
	user   *authn.User // nil: no such person
	secret []byte
	factor string
	lane   authn.Lane
	taken  bool // the host program lets somebody in by the name of one of ours
}

func (p paid) person() authn.User {
	if p.user == nil {
		return authn.User{}
	}
	return *p.user
}

// admitStranger asks what stands before everything that costs something: room
// on the disk, and the limits of the network. Browsers that the person used
// before are not asked, and never slowed by what strangers do (ruling 10).
func (s *Service) admitStranger(ctx context.Context, k authn.Keys, c authn.Client) error {
	if k.Browser != "" {
		k.Now = s.now()
		rows, err := s.store.View(ctx, k)
		if err != nil {
			return fmt.Errorf("signin: lane: %w", err)
		}
		if rows.Lane == authn.Known {
			return nil
		}
	}
	if s.store.LowSpace() {
		return &authn.Error{Code: authn.Busy, RetryAfter: 30 * time.Second}
	}
	if s.addresses == nil {
		return nil
	}
	err := s.addresses.Allow(c.Address)
	if err != nil {
		s.refusals.add(k.Company, authn.AsError(err).Code)
	}
	return err
}

// payPassword charges one guess at a password, known person or not.
func (s *Service) payPassword(ctx context.Context, k authn.Keys) (paid, error) {
	var p paid
	k.Now, k.Charge = s.now(), authn.GuessPassword
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		charged := rows.Charged
		if !charged.Paid {
			return authn.Drop(policy.Unpaid(charged, k.Now))
		}
		p = paid{user: rows.User, secret: charged.Secret, lane: rows.Lane}
		if charged.Factor != nil {
			p.factor = charged.Factor.ID
		}
		return authn.Continue(authn.Settle{Outcome: authn.Wrong, PausedUntil: policy.LockoutOf(rows, k.Now).PausedUntil(k.Now, charged.Count.Tries)})
	})
	if err != nil {
		s.refusals.add(k.Company, authn.AsError(err).Code)
		return paid{}, fmt.Errorf("signin: password: %w", err)
	}
	return p, nil
}

// giveBack takes back the charge for a password that could not be evaluated: a
// full queue is no guess. k is what the charge was made with, so that it finds
// the same count. If that fails too, the charge stands.
func (s *Service) giveBack(ctx context.Context, k authn.Keys) {
	k.Now, k.Charge, k.Choose = s.now(), authn.SettlePassword, nil
	// The person may have gone; what they paid is given back all the same.
	_ = s.store.Decide(context.WithoutCancel(ctx), k, func(rows *authn.Rows) authn.Verdict {
		return authn.Continue(policy.LockoutOf(rows, k.Now).GiveBack(rows.Charged))
	})
}

// enter is the second half of a password check. It asks for the same rows as
// the first, whether there is such a person or not.
func (s *Service) enter(ctx context.Context, k authn.Keys, p paid, m authn.Match, b Begin) (Status, error) {
	now := s.now()
	k.Now, k.Charge = now, authn.SettlePassword
	k.TrustToken, _ = authn.ParseToken(authn.TrustToken, b.Trusted)
	var st Status
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		st = Status{}
		if why := barred(rows, p, m); why != "" {
			return s.wrongPassword(rows, b.Client, now, why)
		}
		return s.admit(rows, s.byPassword(p, now), b, passwordPaid(p, m), now, &st)
	})
	if err != nil {
		return Status{}, fmt.Errorf("signin: begin: %w", err)
	}
	return st, nil
}

// barred says why a password opens nothing, for the audit log only: whoever
// asks gets one answer for all of these.
func barred(rows *authn.Rows, p paid, m authn.Match) string {
	u := rows.User
	switch {
	case p.user == nil || u == nil || p.user.ID != u.ID:
		return "unknown"
	case m.Outcome != authn.Right && p.taken:
		return "login_taken"
	case m.Outcome != authn.Right:
		return "wrong_password"
	case u.Status != authn.Active:
		return "suspended"
	case u.API:
		return "api_account"
	case u.Epoch != p.user.Epoch || !u.PasswordChangedAt.Equal(p.user.PasswordChangedAt):
		return "changed_meanwhile"
	case !u.PasswordKnownAt.IsZero() && rows.Lane == authn.Stranger:
		return "password_known_to_others"
	}
	return ""
}

func (s *Service) wrongPassword(rows *authn.Rows, c authn.Client, now time.Time, why string) authn.Verdict {
	refusal := &authn.Error{Code: authn.WrongCredentials}
	ev := s.event("sign_in.refused", authn.Refused, rows, c, now, map[string]string{"reason": why})
	ev.Actor = ""
	v := authn.Drop(refusal)
	// Beyond a rate refusals are counted, not listed (ruling 6): a flood must not
	// fill the disk. The choice does not depend on whether the person exists.
	if s.refusals.list(rows.Company.ID, now) {
		v = authn.Refuse(refusal, ev)
	} else {
		s.refusals.add(rows.Company.ID, authn.WrongCredentials)
	}
	if s.alarm != nil && s.alarm.Failed(rows.Company.ID, now) {
		v = v.And(s.event("company.many_failures", authn.Refused, &authn.Rows{Company: rows.Company}, authn.Client{}, now, nil))
	}
	return v
}

// byPassword is the proof of a right password.
func (s *Service) byPassword(p paid, now time.Time) authn.Proof {
	return authn.Proof{Kind: authn.Password, Factor: p.factor, Traits: s.methods[authn.Password].Traits(), At: now}
}

// passwordPaid ends the charge of a right password.
func passwordPaid(p paid, m authn.Match) []authn.Write {
	writes := []authn.Write{authn.Settle{Outcome: authn.Right}}
	if m.Rehash != nil {
		writes = append(writes, authn.Rehash{Old: p.secret, New: m.Rehash})
	}
	return writes
}

// admit writes the attempt of someone who gave a first proof, after what is to be
// written before it.
func (s *Service) admit(rows *authn.Rows, first authn.Proof, b Begin, writes []authn.Write, now time.Time, st *Status) authn.Verdict {
	a := authn.Attempt{
		Company: rows.Company.ID, ID: authn.NewID(authn.AttemptID, now, s.random), User: rows.User.ID,
		Purpose: authn.SignIn, Version: 1, Lane: rows.Lane, ReturnTo: b.ReturnTo, Epoch: rows.User.Epoch,
		// A passkey was set up in a sign-in before this one, whether the password was ever typed or not.
		First: first.Kind == authn.Password && firstTime(rows), CreatedAt: now, ExpiresAt: now.Add(s.lives(rows, now).Attempt), Proofs: []authn.Proof{first},
	}
	rows.Attempt = &a
	need, err := s.next(rows, a.Proofs, now)
	if err != nil {
		return authn.Drop(err)
	}
	seen, err := s.recognise(rows, need, b.Client, now)
	if err != nil {
		return authn.Drop(err)
	}
	last := first.Kind
	if seen.proof != nil {
		a.Proofs, need, last = append(a.Proofs, *seen.proof), seen.need, authn.Trusted
	}
	a.State = need.State
	token := authn.NewToken(authn.AttemptToken, a.Company, a.ID, s.random)
	*st = Status{Company: *rows.Company, User: *rows.User, Attempt: a, Need: need, Lane: rows.Lane, Token: token, TrustToken: seen.token, TrustEnds: seen.ends}
	writes = append(writes, authn.NewAttempt{Attempt: a, Token: token})
	writes = append(writes, seen.writes...)
	var v authn.Verdict
	switch need.State {
	case authn.Complete:
		v = s.complete(rows, need, b.Client, now, st, writes, map[string]string{"method": string(last)})
	case authn.Denied:
		v = authn.Accept(s.event("sign_in.denied", authn.Refused, rows, b.Client, now, map[string]string{"reason": string(need.Denied)}), writes...)
	default:
		v = authn.Accept(s.event("sign_in.begun", authn.Succeeded, rows, b.Client, now, nil), writes...)
	}
	if seen.told != nil {
		v = v.And(*seen.told)
	}
	return v
}

// firstTime reports whether the person never gave a right password before; they are
// not told of a new browser then. Whom a host program keeps had their account before.
func firstTime(rows *authn.Rows) bool {
	if rows.User.ExternalID != "" {
		return false
	}
	f := rows.FactorOf(authn.Password, authn.Confirmed)
	return f == nil || f.LastUsedAt.IsZero()
}

// complete turns an attempt that needs nothing more into a session: the new
// session, the end of the attempt and the event are one transaction.
// detail says by which answer, if it was not the password.
func (s *Service) complete(rows *authn.Rows, need policy.Need, c authn.Client, now time.Time, st *Status, writes []authn.Write, detail map[string]string) authn.Verdict {
	a := rows.Attempt
	a.State = authn.Complete
	if a.Caller != nil {
		return s.completeForCaller(rows, need, c, now, st, writes, detail)
	}
	sess := s.newSession(rows, need, c, now)
	token := authn.NewToken(authn.SessionToken, a.Company, sess.ID, s.random)
	if rows.SessionSecret != nil {
		token.Secret = rows.SessionSecret // so that Again can give it
	}
	typ := "session.started"
	if a.Purpose == authn.StepUp {
		// A new token at each authentication, and the old one dies (std-53).
		typ = "session.confirmed"
		writes = append(writes, authn.EndSession{ID: a.Session})
	} else {
		writes = append(writes, authn.KnowBrowser{Factor: used(a.Proofs)})
		if u := *rows.User; rows.Lane == authn.Stranger && u.WrongInRow > 0 || !u.HelpAskedAt.IsZero() {
			u.HelpAskedAt = time.Time{} // whoever is in needs none
			if rows.Lane == authn.Stranger {
				u.WrongInRow = 0
			}
			writes = append(writes, authn.PutUser{User: u})
		}
	}
	writes = append(writes, authn.NewSession{Session: sess, Token: token})
	again, more := s.confirmedAgain(rows, need, c, now)
	writes = append(writes, more...)
	for i, w := range writes {
		if n, ok := w.(authn.NewAttempt); ok {
			n.Attempt.State = authn.Complete
			writes[i] = n
		}
	}
	st.Attempt, st.Need, st.Session, st.SessionToken = *a, need, &sess, token
	detail["acr"] = sess.ACR
	v := authn.Accept(s.event(typ, authn.Succeeded, rows, c, now, detail), writes...)
	for _, ev := range again {
		v = v.And(ev)
	}
	if a.Purpose == authn.SignIn && rows.Lane == authn.Stranger && !a.First {
		// Told to the person: the first time in this browser (ux rule 50).
		// A moment before, so that the two stand in one order in every list.
		v = v.And(s.event("session.new_browser", authn.Succeeded, rows, c, now.Add(-time.Millisecond), nil))
	}
	if a.Purpose == authn.StepUp && a.Wants != nil {
		v = s.grantFor(rows, need, sess, c, now, st, v)
	}
	return v
}

// confirmedAgain writes down which ways count again from here on (ruling 2). What
// the person has stays the same, so their other sessions do.
func (s *Service) confirmedAgain(rows *authn.Rows, need policy.Need, c authn.Client, now time.Time) (events []authn.Event, writes []authn.Write) {
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return nil, nil // next refused before
	}
	for _, id := range need.Again {
		if f := rows.Factor(id); f != nil {
			writes = append(writes, authn.ConfirmAgain{ID: id, Round: doc.AllowedAgain[f.Kind], At: now})
			events = append(events, s.event("factor.confirmed_again", authn.Succeeded, rows, c, now.Add(-time.Millisecond), map[string]string{"method": string(f.Kind), "factor": id}))
		}
	}
	return events, writes
}

// used is the person's own factor among the proofs, to be offered first in this
// browser (requirement F6); empty: none.
func used(proofs []authn.Proof) string {
	for _, p := range proofs {
		if p.Kind.Own() {
			return p.Factor
		}
	}
	return ""
}

func (s *Service) newSession(rows *authn.Rows, need policy.Need, c authn.Client, now time.Time) authn.Session {
	a, life := rows.Attempt, s.lives(rows, now)
	sess := authn.Session{
		Company: a.Company, ID: authn.NewID(authn.SessionID, now, s.random), User: a.User, Epoch: rows.User.Epoch,
		AMR: need.AMR, ACR: need.ACR, AuthTime: now, CreatedAt: now, LastSeenAt: now,
		ExpiresAt: now.Add(life.Session), Idle: life.Idle, Agent: c.Agent, Attempt: a.ID, ReturnTo: a.ReturnTo,
	}
	if old := rows.Session; a.Purpose == authn.StepUp && old != nil {
		// The step-up adds to what the session showed; it does not prolong it.
		sess.AMR, sess.ACR = join(old.AMR, need.AMR), old.ACR
		sess.AuthTime, sess.FactorTime, sess.CreatedAt, sess.ExpiresAt = old.AuthTime, old.FactorTime, old.CreatedAt, old.ExpiresAt
		sess.Agent, sess.Name, sess.Attempt, sess.Trust = old.Agent, old.Name, old.Attempt, old.Trust
	}
	if slices.ContainsFunc(a.Proofs, func(p authn.Proof) bool { return p.Kind == authn.Trusted }) {
		sess.Trust = rows.Trust.ID
	}
	bypass := slices.ContainsFunc(a.Proofs, func(p authn.Proof) bool { return p.Kind == authn.BypassCode })
	for _, p := range a.Proofs {
		f := rows.Factor(p.Factor)
		probation := bypass || f != nil && f.ProbationUntil.After(now)
		switch {
		case (p.Traits.Possession || p.Traits.PhishingResistant) && !probation:
			if p.At.After(sess.FactorTime) {
				sess.FactorTime = p.At // what came after it may have taken a while
			}
			if slices.Contains(sess.AMR, "pwd") {
				sess.ACR = authn.AAL2
			}
		case a.Purpose == authn.StepUp && p.At.After(sess.ConfirmedAt):
			sess.ConfirmedAt = p.At
		}
	}
	return sess
}

// join adds the methods of b that are not in a.
func join(a, b []string) []string {
	out := slices.Clone(a)
	for _, m := range b {
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}
