// Package signin takes one attempt from the first input to a session. Pages,
// the JSON API and host programs call the same Begin, StepUp and Verify, and
// after every step the same function, next, asks package policy what is still
// needed: there is no second way in.
//
// The password is checked in two transactions. The first charges for the guess
// and hands out the sealed hash only if it was paid for; the slow hash runs
// between them, behind a gate; the second compares the world with the first
// (same epoch, still allowed) before it writes an attempt. A code is checked in
// one transaction, behind the statement that charges for it (ruling 8).
//
// What an anonymous person learns is the same in each case, at the same cost:
// wrong name, wrong password, suspended, and a password that is known to others
// all run the same hash and the same statements (decision 9).
package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
)

// Store is what this package needs of storage.
type Store interface {
	// Decide runs one decision in a transaction; see authn.Keys.
	Decide(context.Context, authn.Keys, func(*authn.Rows) authn.Verdict) error
	// View reads the rows of a decision without deciding.
	View(context.Context, authn.Keys) (authn.Rows, error)
	// CompanyBySlug finds a company; "" is the only one of the server.
	CompanyBySlug(ctx context.Context, slug string) (authn.Company, error)
	// LowSpace reports that writes of strangers should be refused (ruling 6).
	LowSpace() bool
}

// Addresses limits what one network may ask, before anything costs something.
type Addresses interface {
	Allow(netip.Addr) error
}

// Alarm is told of every failure and says when a company's total is alarming.
type Alarm interface {
	Failed(company string, now time.Time) bool
}

// Passwords judges and hashes new passwords; method/password is one.
type Passwords interface {
	Hash(ctx context.Context, password string) ([]byte, error)
	Check(ctx context.Context, field, password string, u authn.User, c authn.Company, minimum int) error
	// Strength says how hard a password is to guess; Busy: not now.
	Strength(ctx context.Context, password string, u authn.User, c authn.Company) (authn.Strength, error)
}

// Deliverer sends a letter of the outbox now, rather than when its turn comes.
type Deliverer interface {
	Deliver(ctx context.Context, company, letter string) error
}

// Config wires a Service. Store and Methods are needed; Methods includes one
// of kind password.
type Config struct {
	Store     Store
	Methods   []authn.Method
	Passwords Passwords // nil: links and forced changes of passwords are refused
	Deliver   Deliverer // nil: nothing is sent, so kinds that send must not be among Methods
	Texts     Texts     // nil: text messages have no limits but those of package policy
	// Settings are a company's for a kind, opened; nil: it has none. Nil: no method has any.
	Settings func(ctx context.Context, company string, kind authn.Kind) ([]byte, error)
	// Reaches says whom the provider of a kind may serve now. Nil: everybody.
	Reaches   func(ctx context.Context, company string, kind authn.Kind) (authn.Reaches, error)
	Runner    *remote.Runner   // follows outside services; nil: one of its own
	Addresses Addresses        // nil: no limit by address
	Meter     Addresses        // limits Strength, which asks with every few letters, and Passkeys, with every page; nil: no limit
	Alarm     Alarm            // nil: none is raised
	Now       func() time.Time // nil: time.Now
	Random    io.Reader        // nil: crypto/rand
	Lifetimes policy.Lifetimes // zero fields: the defaults of ruling 45
	// Actions are those of the host program; OwnActs are the names of what Sallyport
	// itself asks for a proof for.
	Actions []authn.Action
	OwnActs []string
	// Helpers are the roles of a company whose holders are told, besides its owners,
	// when somebody asks for help; nil: none.
	Helpers func(authn.Company) []string
	// Issuer, with the id of the company behind it, signs grants; empty: none are signed.
	Issuer string
	// Floor is how long answers about forgotten passwords take at least; 0: ResetFloor.
	Floor time.Duration
	// Users are the host program's own people. Nil: Sallyport keeps everybody.
	Users       Users
	UsersAnswer time.Duration // how long they may take, up to MaxUsersAnswer; 0: UsersAnswer
	Log         *slog.Logger  // of what Users do; nil: slog.Default
	Clock       func() error  // not nil: the clock is off, and nobody may sign in (ruling 16); nil: never asked
}

// Service runs attempts. It is safe for concurrent use.
type Service struct {
	store     Store
	methods   map[authn.Kind]authn.Method
	passwords Passwords
	deliver   Deliverer
	texts     Texts
	company   func(ctx context.Context, company string, kind authn.Kind) ([]byte, error)
	reaches   func(ctx context.Context, company string, kind authn.Kind) (authn.Reaches, error)
	runner    *remote.Runner
	addresses Addresses
	meter     Addresses
	alarm     Alarm
	now       func() time.Time
	random    io.Reader
	life      policy.Lifetimes
	floor     time.Duration
	clock     func() error
	actions   []authn.Action
	ownActs   []string
	helpers   func(authn.Company) []string
	issuer    string
	refusals  tally
	shown     shown
	hosted    *hosted // nil: Sallyport keeps everybody
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	s := &Service{
		store: c.Store, addresses: c.Addresses, meter: c.Meter, alarm: c.Alarm, now: c.Now, random: c.Random,
		life: c.Lifetimes.WithDefaults(), clock: c.Clock, methods: map[authn.Kind]authn.Method{}, passwords: c.Passwords, deliver: c.Deliver,
		texts: c.Texts, company: c.Settings, reaches: c.Reaches, runner: c.Runner, actions: c.Actions, ownActs: c.OwnActs, issuer: c.Issuer, helpers: c.Helpers,
	}
	if s.store == nil {
		return nil, errors.New("signin: Config.Store is nil")
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = defaultRandom
	}
	if s.floor = c.Floor; s.floor <= 0 {
		s.floor = ResetFloor
	}
	if s.runner == nil {
		s.runner = &remote.Runner{}
	}
	if s.clock == nil {
		s.clock = func() error { return nil }
	}
	for _, m := range c.Methods {
		if s.methods[m.Kind()] != nil {
			return nil, fmt.Errorf("signin: method %q is registered twice", m.Kind())
		}
		if m.Kind().Sent() && s.deliver == nil {
			return nil, fmt.Errorf("signin: method %q is registered, and Config.Deliver is nil", m.Kind())
		}
		s.methods[m.Kind()] = m
	}
	if s.methods[authn.Password] == nil {
		return nil, errors.New("signin: no method of kind password is registered")
	}
	var err error
	if s.hosted, err = newHosted(c.Users, c.UsersAnswer, s.now, c.Log); err != nil {
		return nil, err
	}
	return s, nil
}

// Status is where an attempt stands, for whoever may see it.
type Status struct {
	Company authn.Company
	User    authn.User
	Attempt authn.Attempt
	Need    policy.Need
	Lane    authn.Lane
	// Sent are the codes that are out for this attempt, oldest first.
	Sent []authn.Challenge
	// SentBefore are those that are over; with Sent they say, by policy.ResendAt,
	// when another may be asked for.
	SentBefore []authn.Challenge
	// Back is where somebody goes who does not go on with a sign-in that a program
	// began: its address, if it still has it. Only from Get.
	Back string
	// Prepared, with NeedEnrolment, are the ways that an administrator prepared: the
	// person confirms one by an answer from there, as one that they began.
	Prepared []authn.Factor
	// NotSent is why a code that was to be sent with the password was not.
	NotSent error
	// Token opens the attempt; only from the call that began it.
	Token authn.Token
	// Session and its token; only from the call that completed it (ruling 7).
	Session      *authn.Session
	SessionToken authn.Token
	// Grant is what a step-up for an application gives besides.
	Grant *Issued
	// Handle is what the application is told of it: of a step-up that leads to one of
	// its addresses, and of a sign-in that it began itself, which has no session.
	Handle *Handed
	// TrustToken is what the browser shows at its next sign-in, in place of what it
	// has; zero: nothing changes. Only from the call that completed a sign-in in a
	// browser that is trusted, until TrustEnds.
	TrustToken authn.Token
	TrustEnds  time.Time
}

// Done reports whether the call that gave the status completed the attempt.
func (st Status) Done() bool { return st.Session != nil || st.Handle != nil }

// Opener is what opens an attempt: its token, or the browser that began it.
type Opener struct {
	Company string // id
	Attempt string // id
	Token   authn.Token
	Client  authn.Client
}

// OpenerOf is the opener of whoever presents an attempt token.
func OpenerOf(t authn.Token, c authn.Client) Opener {
	return Opener{Company: t.Company, Attempt: t.ID, Token: t, Client: c}
}

// company is the id of the company that the attempt is in.
func (o Opener) company() string {
	if o.Company != "" {
		return o.Company
	}
	return o.Token.Company
}

func (o Opener) keys(now time.Time) authn.Keys {
	return authn.Keys{
		Company: o.Company, Attempt: o.Attempt, AttemptToken: o.Token,
		Browser: o.Client.Browser, Now: now,
	}
}

// Get shows an attempt. Expired is an error; what is complete is shown.
func (s *Service) Get(ctx context.Context, o Opener) (Status, error) {
	now := s.now()
	k := o.keys(now)
	k.Sent = true
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Status{}, fmt.Errorf("signin: get: %w", err)
	}
	if err := open(&rows, now); err != nil {
		var st Status
		if a := rows.Attempt; a != nil && a.Caller != nil {
			st.Attempt = *a // one goes on where it came from, and not here
		}
		return st, err
	}
	return s.status(&rows, now)
}

// open says whether an attempt can be looked at and gone on with. Someone who
// was suspended, or whose account changed since (ruling 3), has to start
// again; so has the session whose step-up this was, once it is over.
func open(rows *authn.Rows, now time.Time) error {
	a := rows.Attempt
	switch {
	case a == nil || rows.User == nil || rows.Company == nil:
		return authn.NotFound
	case !now.Before(a.ExpiresAt), a.State == authn.AttemptExpired:
		return &authn.Error{Code: authn.Expired, Key: "error.attempt_expired"}
	case a.State == authn.Complete:
		return nil
	case rows.User.Status != authn.Active || rows.User.API || a.Epoch != rows.User.Epoch,
		a.Purpose == authn.StepUp && policy.CheckSession(rows, now) != nil:
		return &authn.Error{Code: authn.Expired, Key: "error.attempt_expired"}
	}
	return nil
}

func (s *Service) status(rows *authn.Rows, now time.Time) (Status, error) {
	need, err := s.next(rows, rows.Attempt.Proofs, now)
	if err != nil {
		return Status{}, err
	}
	switch {
	case rows.Attempt.State == authn.Complete:
		need = policy.Need{State: authn.Complete}
		need.ACR, need.AMR = policy.Level(rows.Attempt.Proofs)
	case need.State == authn.Complete:
		// A way was set up, or policy asks less than when the attempt began: there is
		// nothing left to answer, and Complete makes the session.
		need.State = authn.Ready
	}
	s.outsideState(&need, rows.Challenges)
	st := Status{Company: *rows.Company, User: *rows.User, Attempt: *rows.Attempt, Need: need, Lane: rows.Lane, Sent: rows.Challenges, SentBefore: rows.SentBefore}
	st.Attempt.State = need.State
	st.Prepared = prepared(rows, need, now)
	if c := rows.Attempt.Caller; c != nil && rows.Return != nil && rows.Return.Key == c.Key {
		to, _ := authn.ParseReturn(rows.Attempt.ReturnTo)
		st.Back = to.Declined()
	}
	return st, nil
}

// prepared are the ways that can be confirmed in a set-up (ruling 1: after the
// proof from outside the password).
func prepared(rows *authn.Rows, need policy.Need, now time.Time) []authn.Factor {
	if need.State != authn.NeedEnrolment || need.Handed {
		return nil
	}
	var list []authn.Factor
	for _, f := range rows.Factors {
		if f.Prepared() && f.Epoch == rows.User.Epoch && now.Before(f.ExpiresAt) {
			list = append(list, f)
		}
	}
	return list
}

// next is the only place that asks what an attempt still needs. It reads the
// policy as it is now, in the transaction that decides (ruling 25).
func (s *Service) next(rows *authn.Rows, proofs []authn.Proof, now time.Time) (policy.Need, error) {
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return policy.Need{}, fmt.Errorf("signin: %w", err)
	}
	purpose, lane, again := authn.SignIn, rows.Lane, authn.Kind("")
	var caller *authn.Caller
	if a := rows.Attempt; a != nil {
		purpose, lane, caller = a.Purpose, a.Lane, a.Caller
		if purpose == authn.StepUp {
			again = policy.AgainKind(a.Action)
		}
	}
	return policy.Evaluate(policy.Asked{
		Document: doc, User: *rows.User, Factors: rows.Factors, Proofs: proofs,
		Purpose: purpose, Lane: lane, Now: now, BrowserFactor: rows.BrowserFactor, Again: again, Caller: caller, Traits: authn.TraitsFor(s.methods, *rows.Company),
	}), nil
}

// lives is how long things last in the company of rows at now.
func (s *Service) lives(rows *authn.Rows, now time.Time) policy.Lifetimes {
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return s.life // next refuses before it matters
	}
	return doc.Lifetimes(s.life)
}

// lasts is until when an attempt lives that needs this now. What a company shortens
// is the time for the second step (F4); who then has to set something up, with a
// phone to fetch and an app to find, has the server's time.
func (s *Service) lasts(a *authn.Attempt, need policy.Need) time.Time {
	until := a.CreatedAt.Add(s.life.Attempt)
	setsUp := need.State == authn.NeedEnrolment || need.State == authn.NeedPasswordChange
	if !setsUp || until.Before(a.ExpiresAt) {
		return a.ExpiresAt
	}
	return until
}

// settings are a company's for a kind of proof; nil: it has none.
func (s *Service) settings(ctx context.Context, company string, kind authn.Kind) ([]byte, error) {
	if _, ok := s.methods[kind].(authn.PerCompany); !ok || s.company == nil {
		return nil, nil
	}
	return s.company(ctx, company, kind)
}

// reach says whether the provider of a kind may serve the person of rows. It is asked
// for after the settings are read, so that it speaks of those or of newer ones.
func (s *Service) reach(ctx context.Context, company string, kind authn.Kind) (func(*authn.Rows) error, error) {
	if s.reaches == nil {
		return func(*authn.Rows) error { return nil }, nil
	}
	reaches, err := s.reaches(ctx, company, kind)
	if err != nil {
		return nil, err
	}
	return func(rows *authn.Rows) error { return reaches(*rows.Company, *rows.User) }, nil
}

// Close stops following outside services; what nobody answered yet is not approved.
func (s *Service) Close() { s.runner.Close() }

// event is the common part of every event of an attempt.
func (s *Service) event(typ string, r authn.Result, rows *authn.Rows, c authn.Client, now time.Time, detail map[string]string) authn.Event {
	ev := authn.Event{
		ID: authn.NewID(authn.EventID, now, s.random), Type: typ, Result: r, At: now,
		Personal: authn.Personal{Agent: c.Agent, Detail: detail},
	}
	if c.Address.IsValid() {
		ev.Personal.Address = c.Address.String()
	}
	if a := rows.Attempt; a != nil && a.Caller != nil && a.Caller.Address.IsValid() {
		ev.Personal.Address = a.Caller.Address.String() // it may say so (ruling 22)
	}
	if rows.Company != nil {
		ev.Company = rows.Company.ID
	}
	if rows.User != nil {
		ev.Actor, ev.Target = rows.User.ID, rows.User.ID
	}
	return ev
}
