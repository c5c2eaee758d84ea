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
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
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
	Check(ctx context.Context, field, password string, u authn.User, c authn.Company, minimum int) error
	// Strength says how hard a password is to guess, as advice; Busy: not now.
	Strength(ctx context.Context, password string, u authn.User, c authn.Company) (authn.Strength, error)
}

// Config wires a Service. Store, Methods and Passwords are needed.
type Config struct {
	Store     Store
	Methods   []authn.Method // those that are Enrollers can be added by people
	Passwords Passwords
	Codes     Codes     // nil: nobody gets backup codes
	Deliver   Deliverer // nil: nothing is sent
	Texts     Texts     // nil: text messages have no limits but those of package policy
	// Settings are a company's for a kind, opened; nil: it has none. Nil: no method has any.
	Settings func(ctx context.Context, company string, kind authn.Kind) ([]byte, error)
	// Reaches says whom the provider of a kind may serve now. Nil: everybody.
	Reaches   func(ctx context.Context, company string, kind authn.Kind) (authn.Reaches, error)
	Runner    *remote.Runner   // follows outside services; nil: one of its own
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
	texts     Texts
	company   func(ctx context.Context, company string, kind authn.Kind) ([]byte, error)
	reaches   func(ctx context.Context, company string, kind authn.Kind) (authn.Reaches, error)
	runner    *remote.Runner
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
		texts: c.Texts, company: c.Settings, reaches: c.Reaches, runner: c.Runner,
		life: c.Lifetimes.WithDefaults(), methods: map[authn.Kind]authn.Method{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	if s.runner == nil {
		s.runner = &remote.Runner{}
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

// MaxSeveral is how many factors a person may have of a kind of which there may be several.
const MaxSeveral = 20

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
	Options  []byte            // what the person's device is asked: JSON; nil: it is not, or not now
	Sent     []authn.Challenge // the codes that are out, oldest first
	Address  string            // where they went
	ResendAt time.Time         // when another can be asked for; zero: none was sent, or no more are
	Replaces *authn.Factor     // the active one that ends when this is confirmed
	// Elsewhere: the person has to set themselves up at the outside service first.
	Elsewhere bool
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
	if !now.Before(a.ExpiresAt) || rows.User.Status != authn.Active || rows.User.API || a.Epoch != rows.User.Epoch {
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
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return policy.Need{}, fmt.Errorf("enroll: %w", err)
	}
	return policy.Evaluate(policy.Asked{Document: doc, User: *rows.User, Factors: rows.Factors, Proofs: rows.Attempt.Proofs,
		Purpose: rows.Attempt.Purpose, Lane: rows.Attempt.Lane, Now: now, Caller: rows.Attempt.Caller, Traits: s.traits(rows.Company)}), nil
}

// traits are those of the kinds that a company can use.
func (s *Service) traits(c *authn.Company) func(authn.Kind) (authn.Traits, bool) {
	return authn.TraitsFor(s.methods, *c)
}

// settings are a company's for a kind of proof; nil: it has none.
func (s *Service) settings(ctx context.Context, company string, kind authn.Kind) ([]byte, error) {
	if _, ok := s.methods[kind].(authn.PerCompany); !ok || s.company == nil {
		return nil, nil
	}
	return s.company(ctx, company, kind)
}

// reach refuses what goes through a provider that may not serve the person of rows now.
// It is asked after the settings are read, so that it speaks of those or of newer ones.
func (s *Service) reach(ctx context.Context, rows *authn.Rows, kind authn.Kind) error {
	if s.reaches == nil {
		return nil
	}
	reaches, err := s.reaches(ctx, rows.Company.ID, kind)
	if err != nil {
		return err
	}
	return reaches(*rows.Company, *rows.User)
}

// Close stops following outside services; what nobody answered yet is not approved.
func (s *Service) Close() { s.runner.Close() }

// fresh demands a good session and a recent proof, and gives the policy. In a
// sign-in the proof from outside the password stands for the latter.
func (s *Service) fresh(rows *authn.Rows, now time.Time) (policy.Document, error) {
	if err := s.present(rows, now); err != nil {
		return policy.Document{}, err
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return policy.Document{}, fmt.Errorf("enroll: %w", err)
	}
	if rows.Attempt != nil {
		return doc, nil
	}
	if err := probation(rows.Factors, now); err != nil {
		return doc, err
	}
	// Whoever holds a factor proves a factor, also while policy lets it sleep: else
	// the password alone could remove it.
	err = policy.Fresh(rows, s.mustHold(doc, rows), doc.Lifetimes(s.life).StepUpAge, now)
	traits := s.traits(rows.Company)
	if err != nil && policy.Enrolled(rows.Factors) &&
		len(policy.Second(doc, *rows.User, rows.Factors, traits))+len(policy.ToConfirm(doc, *rows.User, rows.Factors, traits)) == 0 {
		err = closed(doc, rows)
	}
	return doc, err
}

// closed is why nothing that the person has can be proven now.
func closed(doc policy.Document, rows *authn.Rows) error {
	for _, f := range rows.Factors {
		if rule := doc.Unmet(f); rule != "" && f.State == authn.Confirmed && !doc.Sleeps(*rows.User) && doc.Offers(f.Kind) {
			return policy.NotTakenError(rule)
		}
	}
	return &authn.Error{Code: authn.PolicyForbids, Key: "error.two_factor_off"}
}

// mustHold reports whether a recent proof has to be of something held. Codes by
// e-mail are none (ruling 14): who has only those confirms with one, as package
// policy lets them, and is not asked for what they do not have. While no way can
// be used, nothing else stands in for it.
func (s *Service) mustHold(doc policy.Document, rows *authn.Rows) bool {
	traits := s.traits(rows.Company)
	if policy.Enrolled(rows.Factors) && len(policy.Second(doc, *rows.User, rows.Factors, traits)) == 0 {
		return true
	}
	return policy.Holds(rows.Factors, traits)
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
		ev.Personal.Detail = f.Detail()
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
