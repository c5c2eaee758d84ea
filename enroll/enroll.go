// Package enroll adds, confirms, resets and removes a person's factors, and
// changes their password.
//
// A factor counts only after its first right answer (ux rule 45). Beginning a
// new one takes nothing away: the old secret works until the new one is
// confirmed, and never after (requirement A5). Every change raises the
// person's security epoch, which ends their other sessions and everything
// begun before; the session that made the change is issued anew in the same
// transaction (ruling 3).
//
// Beginning, removing and changing need a recent proof (policy.Fresh): an open
// session alone, stolen or left behind, changes nothing. Confirming needs none,
// because a pending factor belongs to the sign-in that began it, and is not
// there for the person's other sessions: one of those may be a thief's, waiting
// for the owner to prove themselves. Guesses are charged like any other
// (ruling 11).
package enroll

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Store is what this package needs of storage.
type Store interface {
	Decide(context.Context, authn.Keys, func(*authn.Rows) authn.Verdict) error
	View(context.Context, authn.Keys) (authn.Rows, error)
	// PendingSecret is the secret of a pending factor of the session's person,
	// for showing it again; never that of an active one.
	PendingSecret(context.Context, authn.Keys) ([]byte, error)
	// ShownCodes are the new backup codes, while they can still be shown.
	ShownCodes(context.Context, authn.Keys) ([]byte, error)
}

// Codes makes sets of backup codes; method/backup is one.
type Codes interface {
	// NewSet gives what to show, once, and what to store.
	NewSet() (shown []string, saved []authn.SavedCode, err error)
}

// Deliverer sends a letter of the outbox now, rather than when its turn comes.
type Deliverer interface {
	Deliver(ctx context.Context, company, letter string) error
}

// Passwords checks, judges and hashes passwords; method/password is one.
type Passwords interface {
	authn.Method
	// Hash makes the form to store.
	Hash(ctx context.Context, password string) ([]byte, error)
	// Check says whether a password may be chosen; field names it in the error.
	Check(field, password string, u authn.User, c authn.Company, minimum int) error
}

// Config wires a Service. Store, Methods and Passwords are needed.
type Config struct {
	Store     Store
	Methods   []authn.Method // those that are Enrollers can be added by people
	Passwords Passwords
	Codes     Codes            // nil: nobody gets backup codes
	Deliver   Deliverer        // nil: nothing is sent
	Now       func() time.Time // nil: time.Now
	Random    io.Reader        // nil: crypto/rand
	Lifetimes policy.Lifetimes // zero fields: the defaults of ruling 45
}

// Service changes factors. It is safe for concurrent use.
type Service struct {
	store     Store
	methods   map[authn.Kind]authn.Method
	passwords Passwords
	codes     Codes
	deliver   Deliverer
	now       func() time.Time
	random    io.Reader
	life      policy.Lifetimes
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Passwords == nil {
		return nil, errors.New("enroll: Config.Store and Config.Passwords are needed")
	}
	s := &Service{store: c.Store, passwords: c.Passwords, codes: c.Codes, deliver: c.Deliver, now: c.Now, random: c.Random,
		life: c.Lifetimes.WithDefaults(), methods: map[authn.Kind]authn.Method{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	for _, m := range c.Methods {
		s.methods[m.Kind()] = m
	}
	return s, nil
}

// Who asks: a session, or a sign-in in which a way is to be set up; and the
// browser or program that presents it.
type Who struct {
	Token authn.Token // of a session or an attempt
	// Company and Attempt name an attempt that the browser cookie opens, where
	// there is no token.
	Company, Attempt string
	Client           authn.Client
}

// Changed is what a change of the account leaves behind. Session and its token
// take the place of the ones that asked; the old token is dead.
//
// In a sign-in there is no session yet: the attempt is then ready to be completed.
type Changed struct {
	Factor  authn.Factor
	Session authn.Session
	Token   authn.Token
	// Codes are new backup codes, shown once; only with the first way of one's own.
	Codes []string
}

// Pending is a factor being set up, with what the person needs for it.
type Pending struct {
	Company  authn.Company
	User     authn.User
	Factor   authn.Factor
	Version  int64 // moves with every answer; a form carries it (ruling 49)
	Shown    authn.Presented
	Sent     []authn.Challenge // the codes that are out, oldest first
	Address  string            // where they went
	ResendAt time.Time         // when another can be asked for; zero: none was sent, or no more are
	Replaces *authn.Factor     // the active one that ends when this is confirmed
}

func (s *Service) keys(w Who) authn.Keys {
	k := authn.Keys{Company: w.Token.Company, Browser: w.Client.Browser, Now: s.now()}
	switch {
	case w.Token.Kind == authn.AttemptToken:
		k.AttemptToken = w.Token
	case w.Token.IsZero():
		k.Company, k.Attempt = w.Company, w.Attempt
	default:
		k.SessionToken = w.Token
	}
	return k
}

// asker is the sign-in that a pending factor belongs to: the attempt, or the one
// that the session came from (ruling 1).
func asker(rows *authn.Rows) string {
	if rows.Attempt != nil {
		return rows.Attempt.ID
	}
	return rows.Session.Attempt
}

// present says whether the asker is there at all: a good session, or an attempt
// in which a way of one's own is to be set up.
func (s *Service) present(rows *authn.Rows, now time.Time) error {
	if rows.Attempt == nil {
		return policy.CheckSession(rows, now)
	}
	a := rows.Attempt
	if a.Purpose != authn.SignIn || rows.User == nil || rows.Company == nil {
		return authn.NotFound
	}
	if !now.Before(a.ExpiresAt) || rows.User.Status != authn.Active || a.Epoch != rows.User.Epoch {
		return &authn.Error{Code: authn.Expired, Key: "error.attempt_expired"}
	}
	if a.State == authn.Complete {
		return &authn.Error{Code: authn.Conflict, Key: "error.attempt_complete"}
	}
	need, err := s.need(rows, now)
	if err == nil && need.State != authn.NeedEnrolment {
		err = &authn.Error{Code: authn.Forbidden}
	}
	return err
}

func (s *Service) need(rows *authn.Rows, now time.Time) (policy.Need, error) {
	doc, err := policy.Parse(rows.Company.Policy)
	if err != nil {
		return policy.Need{}, fmt.Errorf("enroll: policy of %s: %w", rows.Company.ID, err)
	}
	return policy.Evaluate(policy.Asked{Document: doc, User: *rows.User, Factors: rows.Factors, Proofs: rows.Attempt.Proofs,
		Purpose: rows.Attempt.Purpose, Lane: rows.Attempt.Lane, Now: now, Traits: s.traits}), nil
}

func (s *Service) traits(k authn.Kind) (authn.Traits, bool) {
	m, ok := s.methods[k]
	if !ok {
		return authn.Traits{}, false
	}
	return m.Traits(), true
}

// fresh demands a good session and a recent proof, and gives the policy. In a
// sign-in the proof from outside the password stands for the latter.
func (s *Service) fresh(rows *authn.Rows, now time.Time) (policy.Document, error) {
	if err := s.present(rows, now); err != nil {
		return policy.Document{}, err
	}
	doc, err := policy.Parse(rows.Company.Policy)
	if err != nil {
		return policy.Document{}, fmt.Errorf("enroll: policy of %s: %w", rows.Company.ID, err)
	}
	if rows.Attempt != nil {
		return doc, nil
	}
	if err := probation(rows.Factors, now); err != nil {
		return doc, err
	}
	// Whoever holds a factor proves a factor, also while policy lets it sleep: else
	// the password alone could remove it.
	err = policy.Fresh(rows, s.mustHold(doc, rows.Factors), s.life.StepUpAge, now)
	if err != nil && policy.Enrolled(rows.Factors) && len(policy.Second(doc, rows.Factors, s.traits)) == 0 {
		err = &authn.Error{Code: authn.PolicyForbids, Key: "error.two_factor_off"}
	}
	return doc, err
}

// mustHold reports whether a recent proof has to be of something held. Codes by
// e-mail are none (ruling 14): who has only those confirms with one, as package
// policy lets them, and is not asked for what they do not have. While no way can
// be used, nothing else stands in for it.
func (s *Service) mustHold(doc policy.Document, factors []authn.Factor) bool {
	if policy.Enrolled(factors) && len(policy.Second(doc, factors, s.traits)) == 0 {
		return true
	}
	return policy.Holds(factors, s.traits)
}

// Ready says whether w may change the account now: nil, or StepUpRequired.
// Pages ask it before they show a form that would be refused.
func (s *Service) Ready(ctx context.Context, w Who) error {
	k := s.keys(w)
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return fmt.Errorf("enroll: %w", err)
	}
	_, err = s.fresh(&rows, k.Now)
	return err
}

// Begin makes a pending factor. replaces is the id of the active factor of
// that kind; it must be given if there is one, so that nobody replaces what
// they do not know of.
//
// Errors: StepUpRequired, PolicyForbids, Conflict (replaces missing or stale),
// Invalid (field method), Unauthenticated.
func (s *Service) Begin(ctx context.Context, w Who, kind authn.Kind, replaces string) (Pending, error) {
	m, ok := s.methods[kind].(authn.Enroller)
	if !ok {
		return Pending{}, authn.InvalidField("method", "not_one_of", nil)
	}
	k := s.keys(w)
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: begin: %w", err)
	}
	if _, err := s.fresh(&rows, k.Now); err != nil {
		return Pending{}, err
	}
	shown, err := m.Begin(ctx, authn.Request{Company: *rows.Company, User: *rows.User, Client: w.Client, Now: k.Now.Unix()})
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: begin: %w", err)
	}
	var p Pending
	var letter string
	k.Sent = kind.Sent()
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		doc, err := s.fresh(rows, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		if doc.TwoFactor == policy.Off {
			return authn.Drop(&authn.Error{Code: authn.PolicyForbids, Key: "error.two_factor_off"})
		}
		old := rows.FactorOf(kind, authn.Confirmed)
		// In a sign-in nothing is listed, so that what is replaced cannot be named.
		if rows.Attempt == nil && (old == nil && replaces != "" || old != nil && old.ID != replaces) {
			return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.replaces"})
		}
		if err := s.suits(doc, rows, m); err != nil {
			return authn.Drop(err)
		}
		f := authn.Factor{
			Company: rows.Company.ID, ID: authn.NewID(authn.FactorID, k.Now, s.random), User: rows.User.ID, Kind: kind,
			State: authn.Pending, Data: shown.Data, Epoch: rows.User.Epoch, Attempt: asker(rows), CreatedAt: k.Now, ExpiresAt: k.Now.Add(s.life.Setup),
		}
		p, letter = Pending{Company: *rows.Company, User: *rows.User, Factor: f, Replaces: old}, ""
		writes := []authn.Write{authn.NewFactor{Factor: f, Secret: shown.Secret}}
		if kind.Sent() {
			more, id, err := s.send(rows, doc, w, f, rows.User.Email, authn.CodeSetUp, &p)
			if err != nil {
				return authn.Drop(err)
			}
			writes, letter = append(writes, more...), id
		}
		return authn.Accept(s.event("factor.begun", rows, w, k.Now, f), writes...)
	})
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: begin: %w", err)
	}
	if letter != "" {
		if err := s.deliver.Deliver(ctx, p.Company.ID, letter); err != nil {
			return p, fmt.Errorf("enroll: begin: %w", err)
		}
	}
	return s.shown(m, p, shown.Secret)
}

// suits refuses a way that would not be enough for what asks for it.
func (s *Service) suits(doc policy.Document, rows *authn.Rows, m authn.Method) error {
	if !least(doc, *rows.User, rows.Attempt != nil).Meets(m.Traits()) {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.too_weak"}
	}
	return nil
}

// probation refuses changes while a way that an administrator's code opened is
// new: whoever talked their way to that code cannot at once take over the rest
// (ruling 18).
func probation(factors []authn.Factor, now time.Time) error {
	for _, f := range factors {
		if f.State == authn.Confirmed && f.ProbationUntil.After(now) {
			return &authn.Error{Code: authn.PolicyForbids, Key: "error.probation", ExpiresAt: f.ProbationUntil}
		}
	}
	return nil
}

func (s *Service) shown(m authn.Enroller, p Pending, secret []byte) (Pending, error) {
	var err error
	p.Version = versionOf(p.Factor)
	p.Shown, err = m.Present(authn.Request{Company: p.Company, User: p.User, Factor: p.Factor, Secret: secret})
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: present: %w", err)
	}
	return p, nil
}

// Show gives a pending factor again, so that its page can be reloaded.
//
// Errors: NotFound (no such pending factor of this person), Expired.
func (s *Service) Show(ctx context.Context, w Who, id string) (Pending, error) {
	k := s.keys(w)
	k.Sent = true
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: show: %w", err)
	}
	f, err := s.pending(&rows, id, k.Now)
	if err != nil {
		return Pending{}, err
	}
	m, ok := s.methods[f.Kind].(authn.Enroller)
	if !ok {
		return Pending{}, authn.NotFound
	}
	k.Factor = id
	secret, err := s.store.PendingSecret(ctx, k)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: show: %w", err)
	}
	return s.shown(m, Pending{Company: *rows.Company, User: *rows.User, Factor: *f, Sent: of(rows.Challenges, f.ID), ResendAt: policy.ResendAt(of(slices.Concat(rows.SentBefore, rows.Challenges), f.ID)),
		Address: address(*f, *rows.User), Replaces: rows.FactorOf(f.Kind, authn.Confirmed)}, secret)
}

// versionOf counts the answers that a pending factor had: a right one ends it,
// so its wrong ones are all there are.
func versionOf(f authn.Factor) int64 {
	v := int64(1)
	for _, c := range f.Counts {
		v += int64(c.Tries)
	}
	return v
}

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
	case f.Attempt != asker(rows):
		return nil, authn.NotFound
	case !now.Before(f.ExpiresAt) || f.Epoch != rows.User.Epoch:
		return nil, &authn.Error{Code: authn.Expired, Key: "error.setup_expired"}
	}
	return f, nil
}

// Confirm makes a pending factor count. The step of the confirming code is
// spent: the same code does not also sign in (ruling 11).
//
// version is that of the form that the answer was typed into; 0: not given. An
// answer to an older form is never evaluated, so that Reload charges nothing.
//
// Errors: Invalid, NotFound, Conflict (confirmed already, or an older form),
// Expired, WrongCode (with ClockSkew if the code is right for another minute,
// requirement A8), Paused, Locked, Busy.
func (s *Service) Confirm(ctx context.Context, w Who, id string, version int64, a authn.Answer) (Changed, error) {
	k := s.keys(w)
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: confirm: %w", err)
	}
	f, err := s.pending(&rows, id, k.Now)
	if err != nil {
		return Changed{}, err
	}
	m, ok := s.methods[f.Kind].(authn.Enroller)
	if !ok {
		return Changed{}, authn.NotFound
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
	k.Factor, k.Charge, k.Sent = id, authn.GuessFactor, f.Kind.Sent()
	k.Choose = func(rows *authn.Rows) (string, error) {
		f, err := s.pending(rows, id, k.Now)
		switch {
		case err != nil:
		case version != 0 && version != versionOf(*f):
			err = &authn.Error{Code: authn.Conflict, Key: "error.attempt_moved"}
		case f.Kind.Sent() && len(of(rows.Challenges, id)) == 0:
			err = &authn.Error{Code: authn.Expired, Key: "error.code_expired"}
		}
		return id, err
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
			return authn.Drop(err, policy.GiveBack(rows.Charged))
		}
		if match.Outcome != authn.Right {
			return s.unconfirmed(rows, w, match, k.Now)
		}
		if newAddress(*rows.Charged.Factor) != "" {
			return s.moveAddress(rows, w, k.Now, &out)
		}
		return s.activate(rows, w, m, match, codes, k.Now, &out)
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
		return authn.Refuse(authn.CodeUsed, ev, policy.GiveBack(rows.Charged))
	}
	refusal := policy.WrongCode(rows.Charged, now)
	refusal.ClockSkew = time.Duration(match.Skew) * time.Second
	return authn.Refuse(refusal, ev, authn.Settle{
		Outcome: authn.Wrong, PausedUntil: policy.PausedUntil(now, rows.Charged.Count.Tries),
	})
}

func (s *Service) activate(rows *authn.Rows, w Who, m authn.Method, match authn.Match, codes *set, now time.Time, out *Changed) authn.Verdict {
	f := *rows.Charged.Factor
	typ := "factor.confirmed"
	if rows.FactorOf(f.Kind, authn.Confirmed) != nil {
		typ = "factor.replaced"
	}
	f.State, f.ConfirmAt, f.LastStep, f.ExpiresAt = authn.Confirmed, now, match.Step, time.Time{}
	if rows.Attempt != nil && opened(rows.Attempt.Proofs) {
		f.ProbationUntil = now.Add(probationLasts)
	}
	writes := []authn.Write{authn.Settle{Outcome: authn.Right}}
	if f.Kind.Sent() {
		writes = append(writes, authn.ConsumeChallenges{Factor: f.ID})
	}
	writes = append(writes, authn.ActivateFactor{ID: f.ID, At: now, Step: match.Step, ProbationUntil: f.ProbationUntil})
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
		t := m.Traits()
		_, amr := policy.Level([]authn.Proof{{Kind: f.Kind, Traits: t}})
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
	a.Proofs = append(slices.Clone(a.Proofs), authn.Proof{Kind: f.Kind, Factor: f.ID, Traits: m.Traits(), At: now, Step: match.Step})
	return []authn.Write{authn.PutUser{User: u}, authn.EndSessions{}, authn.EndAttempts{Except: a.ID}, authn.PutAttempt{Attempt: a}}
}

// Remove switches a factor off, or gives up one that was not confirmed yet.
//
// Errors: StepUpRequired, PolicyForbids (it is the last one and policy demands
// one, requirement A6), NotFound.
func (s *Service) Remove(ctx context.Context, w Who, id string) (Changed, error) {
	k := s.keys(w)
	var out Changed
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		out = Changed{}
		if err := s.present(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		f := rows.Factor(id)
		if f == nil || !f.Kind.Own() || f.State == authn.Fallback {
			return authn.Drop(authn.NotFound)
		}
		if rows.Attempt != nil && f.State != authn.Pending {
			return authn.Drop(authn.Forbidden) // an attempt deletes nothing (ruling 1)
		}
		if f.State == authn.Pending {
			if f.Attempt != asker(rows) {
				return authn.Drop(authn.NotFound)
			}
			// Nothing was on, so nothing is weakened.
			out = Changed{Factor: *f, Token: w.Token}
			if rows.Session != nil {
				out.Session = *rows.Session
			}
			return authn.Accept(s.event("factor.given_up", rows, w, k.Now, *f), authn.DeleteFactor{ID: id})
		}
		doc, err := s.fresh(rows, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		if policy.Demanded(doc, *rows.User) && !s.stays(doc, rows, id) {
			return authn.Drop(&authn.Error{Code: authn.PolicyForbids, Key: "error.last_factor"})
		}
		sess := *rows.Session
		if rows.User.Preferred == id {
			rows.User.Preferred = ""
		}
		writes, changed := s.moved(rows, sess, k.Now)
		changed.Factor = *f
		out = changed
		writes = append([]authn.Write{authn.DeleteFactor{ID: id}}, writes...)
		// Backup codes stand in for a way of one's own; without one they open nothing.
		if saved := rows.FactorOf(authn.BackupCode, authn.Confirmed); saved != nil && len(ownWays(rows.Factors)) <= 1 {
			writes = append([]authn.Write{authn.DeleteFactor{ID: saved.ID}}, writes...)
		}
		return authn.Accept(s.event("factor.removed", rows, w, k.Now, *f), writes...)
	})
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: remove: %w", err)
	}
	return out, nil
}

// stays reports whether the person keeps a way that policy accepts when they
// give up one of theirs. Fall-back codes are over for who ever had one.
func (s *Service) stays(doc policy.Document, rows *authn.Rows, without string) bool {
	least := doc.Minimum(*rows.User)
	if doc.NeedsOwnWay(*rows.User) && least == policy.AnyStrength {
		least = policy.OwnPossession
	}
	return slices.ContainsFunc(policy.Second(doc, rows.Factors, s.traits), func(f authn.Factor) bool {
		t, _ := s.traits(f.Kind)
		return f.ID != without && least.Meets(t)
	})
}

func ownWays(factors []authn.Factor) []authn.Factor {
	return slices.DeleteFunc(slices.Clone(factors), func(f authn.Factor) bool {
		return !f.Kind.Own() || f.State == authn.Pending || f.State == authn.Fallback
	})
}

// Rename changes what a factor is called: 1–60 characters.
func (s *Service) Rename(ctx context.Context, w Who, id, name string) (authn.Factor, error) {
	k := s.keys(w)
	name, err := authn.CleanName("name", name, 60)
	if err != nil {
		return authn.Factor{}, err
	}
	var out authn.Factor
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := policy.CheckSession(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		f := rows.Factor(id)
		if f == nil || !f.Kind.Own() || f.State == authn.Fallback {
			return authn.Drop(authn.NotFound)
		}
		f.Name = name
		out = *f
		return authn.Accept(s.event("factor.renamed", rows, w, k.Now, *f), authn.PutFactor{Factor: *f})
	})
	if err != nil {
		return authn.Factor{}, fmt.Errorf("enroll: rename: %w", err)
	}
	return out, nil
}

// moved raises the epoch, ends all sessions and attempts of the person, and
// issues the session that asked anew.
func (s *Service) moved(rows *authn.Rows, sess authn.Session, now time.Time) ([]authn.Write, Changed) {
	u := *rows.User
	u.Epoch++
	sess.ID, sess.Epoch, sess.LastSeenAt = authn.NewID(authn.SessionID, now, s.random), u.Epoch, now
	token := authn.NewToken(authn.SessionToken, sess.Company, sess.ID, s.random)
	return []authn.Write{
		authn.PutUser{User: u}, authn.EndSessions{}, authn.EndAttempts{},
		authn.NewSession{Session: sess, Token: token},
	}, Changed{Session: sess, Token: token}
}

func (s *Service) event(typ string, rows *authn.Rows, w Who, now time.Time, f authn.Factor) authn.Event {
	ev := authn.Event{
		Company: rows.Company.ID, ID: authn.NewID(authn.EventID, now, s.random), Type: typ, Result: authn.Succeeded,
		Actor: rows.User.ID, Target: rows.User.ID, At: now, Personal: authn.Personal{Agent: w.Client.Agent},
	}
	if w.Client.Address.IsValid() {
		ev.Personal.Address = w.Client.Address.String()
	}
	if f.ID != "" {
		ev.Personal.Detail = map[string]string{"method": string(f.Kind), "factor": f.ID}
	}
	return ev
}

func union(a, b []string) []string {
	out := append([]string(nil), a...)
	for _, m := range b {
		if !contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}
