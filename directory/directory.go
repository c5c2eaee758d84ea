// Package directory keeps companies, their people, and what these may do.
//
// It has two kinds of callers. A person changes their own profile through a
// session. The operator, who holds the machine, creates companies and people
// from the command line and is recorded as "operator": that is not a
// permission, and no role holds it (ruling 23).
package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Operator is the actor of what was done from the command line.
const Operator = "operator"

// Store is what this package needs of storage.
type Store interface {
	Decide(context.Context, authn.Keys, func(*authn.Rows) authn.Verdict) error
	View(context.Context, authn.Keys) (authn.Rows, error)
	CompanyBySlug(ctx context.Context, slug string) (authn.Company, error)
	Companies(context.Context) ([]authn.Company, error)
	CreateCompany(context.Context, authn.Company, authn.Event) error
	Users(ctx context.Context, company, after string, limit int) ([]authn.User, error)
	SetSupport(ctx context.Context, company, text string, ev authn.Event) error
	// Approvals are the acts that wait or waited, newest first; ActedOn reports
	// whether somebody did something to a person since an event id.
	Approvals(ctx context.Context, company, target, before string, limit int) ([]authn.Approval, error)
	ActedOn(ctx context.Context, company, actor, person, since string) (bool, error)
	EraseStore
	// PendingSecret is the secret of a pending factor, for showing it again.
	PendingSecret(context.Context, authn.Keys) ([]byte, error)
	// Actions are those that a company registered, by name.
	Actions(ctx context.Context, company string) ([]authn.Action, error)
	// Sessions are those of a person that did not end yet, or not long ago.
	Sessions(ctx context.Context, company, user string) ([]authn.Session, error)
	KeyStore
	PeopleStore
	PolicyStore
}

// Passwords judges and hashes passwords; method/password is one.
type Passwords interface {
	Hash(ctx context.Context, password string) ([]byte, error)
	Check(ctx context.Context, field, password string, u authn.User, c authn.Company, minimum int) error
}

// Config wires a Service. Store and Passwords are needed.
type Config struct {
	Store     Store
	Passwords Passwords
	Bypasses  Bypasses       // nil: there are no help codes
	Methods   []authn.Method // those that are Enrollers can be set up for people
	// Settings are a company's for a kind, opened; nil: it has none. Nil: no method has any.
	Settings func(ctx context.Context, company string, kind authn.Kind) ([]byte, error)
	// Countries are those that a company sends texts to, the usual one first. Nil: anywhere.
	Countries func(ctx context.Context, company string) ([]string, error)
	Lifetimes policy.Lifetimes // of the server, where a company's policy says nothing; zero fields: ruling 45
	Now       func() time.Time // nil: time.Now
	Random    io.Reader        // nil: crypto/rand
	// Traits are those of the kinds that a company can use; nil: it can use none, and
	// no policy can be saved that demands something.
	Traits  func(authn.Company) func(authn.Kind) (authn.Traits, bool)
	Locales []string // languages that a person can be given; nil: any
	// Actions are the host program's; OwnActs are the names of what Sallyport itself
	// asks for a proof for. No company registers one of either name.
	Actions []authn.Action
	OwnActs []string
	// Stands asks whoever keeps the owner of a key whether they may sign in
	// (signin.Service.Stands): Unauthenticated if not. Nil: Sallyport keeps everybody.
	Stands func(context.Context, authn.Company, authn.User) error
	// Shapes counts the people of a company by authn.Shape; nil: they are gone through.
	Shapes func(ctx context.Context, company string) (map[string]int, error)
}

// Service keeps companies and people. It is safe for concurrent use.
type Service struct {
	c       Config
	life    policy.Lifetimes
	methods map[authn.Kind]authn.Method
	keys    keyUses
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Passwords == nil {
		return nil, errors.New("directory: Config.Store and Config.Passwords are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Stands == nil {
		c.Stands = func(context.Context, authn.Company, authn.User) error { return nil }
	}
	s := &Service{c: c, life: c.Lifetimes.WithDefaults(), methods: map[authn.Kind]authn.Method{}}
	for _, m := range c.Methods {
		s.methods[m.Kind()] = m
	}
	return s, nil
}

var slugForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// CreateCompany is CreateCompanyWith the default policy.
func (s *Service) CreateCompany(ctx context.Context, slug, name string) (authn.Company, error) {
	return s.CreateCompanyWith(ctx, slug, name, policy.Default())
}

// CreateCompanyWith makes a company that begins with a policy.
//
// Errors: Invalid (fields slug, name), Conflict (slug taken).
func (s *Service) CreateCompanyWith(ctx context.Context, slug, name string, begins policy.Document) (authn.Company, error) {
	if !slugForm.MatchString(slug) {
		return authn.Company{}, authn.InvalidField("slug", "slug", nil)
	}
	name, err := authn.CleanName("name", name, 60)
	if err != nil {
		return authn.Company{}, err
	}
	// A colon separates issuer and account in what the authenticator app reads.
	if strings.Contains(name, ":") {
		return authn.Company{}, authn.InvalidField("name", "colon", nil)
	}
	doc, err := begins.Encode()
	if err != nil {
		return authn.Company{}, err
	}
	now := s.c.Now()
	c := authn.Company{ID: authn.NewID(authn.CompanyID, now, s.c.Random), Slug: slug, Name: name, Policy: doc, PolicyVersion: 1, CreatedAt: now}
	ev := s.operator("company.created", now)
	ev.Company = c.ID
	if err := s.c.Store.CreateCompany(ctx, c, ev); err != nil {
		return authn.Company{}, fmt.Errorf("directory: create company: %w", err)
	}
	return c, nil
}

// Company finds a company by its slug; "" is the only one.
func (s *Service) Company(ctx context.Context, slug string) (authn.Company, error) {
	return s.c.Store.CompanyBySlug(ctx, slug)
}

// Companies lists all companies of the server.
func (s *Service) Companies(ctx context.Context) ([]authn.Company, error) {
	return s.c.Store.Companies(ctx)
}

// SetPolicy saves a policy document on the operator's word alone, if the stored one still has the version
// that the change was made from.
//
// Errors: Invalid (fields policy.…), Conflict.
func (s *Service) SetPolicy(ctx context.Context, company string, doc policy.Document, from int64) error {
	now := s.c.Now()
	return s.c.Store.Decide(ctx, authn.Keys{Company: company, Now: now}, func(rows *authn.Rows) authn.Verdict {
		before, err := policy.Parse(rows.Company.Policy)
		if err != nil {
			return authn.Drop(err)
		}
		if rows.Company.PolicyVersion != from {
			return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.policy_moved"})
		}
		old, err := policy.Current(*rows.Company, now)
		if err != nil {
			return authn.Drop(fmt.Errorf("directory: policy: %w", err))
		}
		raw, err := doc.Following(old).Encode()
		if err != nil {
			return authn.Drop(err)
		}
		ev := s.operator("policy.changed", now)
		ev.Company = company
		ev.Personal.Detail = map[string]string{"two_factor": string(doc.TwoFactor)}
		return authn.Accept(ev, authn.SetPolicy{Policy: raw, Version: from + 1, Actor: Operator, EndsTrust: policy.EndsTrust(before, doc, now)})
	})
}

// NewUser is a person to be created.
type NewUser struct {
	Login    string // needed; becomes a login name
	Email    string // optional; signs in only once verified
	Verified bool   // the operator vouches for the address
	Name     string // empty: the login
	Audience authn.Audience
	Roles    []string // at most 5; empty: member
	Require  bool     // two-factor is required of this person
	Password string   // empty: cannot sign in yet
	Phone    Phone    // their contact number; the operator vouches for it
}

// CreateUser adds a person.
//
// Errors: Invalid (fields login, email, name, audience, roles, password, phone),
// PolicyForbids (error.text_country), Conflict.
func (s *Service) CreateUser(ctx context.Context, company authn.Company, n NewUser) (authn.User, error) {
	now := s.c.Now()
	u, logins, err := s.build(company, n, now)
	if err != nil {
		return authn.User{}, err
	}
	var writes []authn.Write
	if n.Password != "" {
		set, err := s.password(ctx, company, &u, "password", n.Password, now)
		if err != nil {
			return authn.User{}, err
		}
		writes = append(writes, set)
	}
	k := authn.Keys{Company: company.ID, User: u.ID, Now: now}
	err = s.c.Store.Decide(ctx, k, func(*authn.Rows) authn.Verdict {
		ev := s.operator("user.created", now)
		ev.Company, ev.Target = company.ID, u.ID
		return authn.Accept(ev, append([]authn.Write{authn.NewUser{User: u, Logins: logins}}, writes...)...)
	})
	if err != nil {
		return authn.User{}, fmt.Errorf("directory: create user: %w", err)
	}
	return u, nil
}

func (s *Service) build(company authn.Company, n NewUser, now time.Time) (authn.User, []authn.Login, error) {
	u := authn.User{
		Company: company.ID, ID: authn.NewID(authn.UserID, now, s.c.Random), Audience: n.Audience, Status: authn.Active,
		RequireTwoFactor: n.Require, Epoch: 1, Roles: n.Roles, CreatedAt: now,
	}
	if u.Audience == "" {
		u.Audience = authn.InternalAudience
	}
	if u.Audience != authn.InternalAudience && u.Audience != authn.ExternalAudience {
		return u, nil, authn.InvalidField("audience", "not_one_of", nil)
	}
	var name string
	var err error
	if u.Roles, err = readRoles(company, n.Roles); err != nil {
		return u, nil, err
	}
	if u.Login, name, err = cleanLogin(n.Login); err != nil {
		return u, nil, err
	}
	logins := []authn.Login{{Name: name, Kind: "name"}}
	if n.Name == "" {
		n.Name = u.Login
	}
	if u.Name, err = authn.CleanName("name", n.Name, 100); err != nil {
		return u, nil, err
	}
	if n.Phone.Typed != "" {
		if u.Phone, err = n.Phone.read(); err != nil {
			return u, nil, err
		}
		u.PhoneTrustedAt = now
	}
	if n.Email == "" {
		return u, logins, nil
	}
	if u.Email, err = authn.CleanEmail(n.Email); err != nil {
		return u, nil, err
	}
	address, _ := authn.CanonicalLogin(u.Email)
	if n.Verified {
		u.EmailVerifiedAt = now
	}
	if address != name {
		logins = append(logins, authn.Login{Name: address, Kind: "email"})
	}
	return u, logins, nil
}

func (s *Service) password(ctx context.Context, c authn.Company, u *authn.User, field, password string, now time.Time) (authn.Write, error) {
	doc, err := policy.Current(c, now)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	if err := s.c.Passwords.Check(ctx, field, password, *u, c, policy.MinimumPassword(doc, *u)); err != nil {
		return nil, err
	}
	hash, err := s.c.Passwords.Hash(ctx, password)
	if err != nil {
		return nil, fmt.Errorf("directory: password: %w", err)
	}
	u.PasswordChangedAt = now
	return authn.SetPassword{ID: authn.NewID(authn.FactorID, now, s.c.Random), Hash: hash, At: now}, nil
}

// Lookup finds a person by login name, e-mail address or id.
func (s *Service) Lookup(ctx context.Context, company authn.Company, who string) (authn.User, []authn.Factor, error) {
	k := authn.Keys{Company: company.ID, Now: s.c.Now()}
	if authn.CheckID(authn.UserID, who) {
		k.User = who
	} else if name, ok := authn.CanonicalLogin(who); ok {
		k.Login = name
	} else {
		return authn.User{}, nil, authn.NotFound
	}
	rows, err := s.c.Store.View(ctx, k)
	if err != nil {
		return authn.User{}, nil, fmt.Errorf("directory: look up: %w", err)
	}
	if rows.User == nil {
		return authn.User{}, nil, authn.NotFound
	}
	return *rows.User, rows.Factors, nil
}

// Users lists people in the order of their ids, after the id given.
func (s *Service) Users(ctx context.Context, company, after string, limit int) ([]authn.User, error) {
	return s.c.Store.Users(ctx, company, after, limit)
}

// SetPassword gives a person a new password on the operator's word. It ends
// their sessions and takes back the mark of ruling 10; factors stay.
func (s *Service) SetPassword(ctx context.Context, company authn.Company, user, password string) error {
	u, _, err := s.Lookup(ctx, company, user)
	if err != nil {
		return err
	}
	if u.ExternalID != "" {
		return authn.HostPassword()
	}
	now := s.c.Now()
	set, err := s.password(ctx, company, &u, "password", password, now)
	if err != nil {
		return err
	}
	return s.change(ctx, company.ID, user, "password.set_by_operator", func(_ *authn.Rows, u *authn.User) []authn.Write {
		u.PasswordChangedAt, u.PasswordKnownAt, u.WrongInRow, u.WrongInMonth = now, time.Time{}, 0, 0
		return []authn.Write{set, authn.ForgetBrowsers{}}
	})
}

// operate does an act as the operator.
func (s *Service) operate(ctx context.Context, company authn.Company, do, user string, args ...string) (Outcome, error) {
	p := PersonAct{Do: do, Target: user, Args: map[string]string{}}
	for i := 0; i+1 < len(args); i += 2 {
		p.Args[args[i]] = args[i+1]
	}
	return s.Do(ctx, TheOperator(company.ID), p)
}

// SetStatus is Suspend or Activate by the operator. Suspending ends the person's
// sessions at once (cve-54).
func (s *Service) SetStatus(ctx context.Context, company authn.Company, user string, st authn.UserStatus) error {
	do := Suspend
	if st == authn.Active {
		do = Activate
	}
	_, err := s.operate(ctx, company, do, user)
	return err
}

// SetRequire is RequireTwo or NotRequire by the operator.
func (s *Service) SetRequire(ctx context.Context, company authn.Company, user string, require bool) error {
	do := RequireTwo
	if !require {
		do = NotRequire
	}
	_, err := s.operate(ctx, company, do, user)
	return err
}

// ResetFactors is Reset of all ways to verify by the operator: the way out for
// someone who lost their phone.
func (s *Service) ResetFactors(ctx context.Context, company authn.Company, user string) error {
	_, err := s.operate(ctx, company, Reset, user)
	return err
}

func deleteFactors(rows *authn.Rows) []authn.Write {
	var writes []authn.Write
	for _, f := range rows.Factors {
		if f.Kind != authn.Password {
			writes = append(writes, authn.DeleteFactor{ID: f.ID})
		}
	}
	return writes
}

// ofPeople is what would let somebody sign in as an API account.
var ofPeople = []string{"user.invited", "password.set_by_operator"}

// change applies what the operator decided, raises the epoch and ends what was
// open (ruling 3).
func (s *Service) change(ctx context.Context, company, user, typ string, f func(*authn.Rows, *authn.User) []authn.Write) error {
	k := authn.Keys{Company: company, Now: s.c.Now()}
	if authn.CheckID(authn.UserID, user) {
		k.User = user
	} else if name, ok := authn.CanonicalLogin(user); ok {
		k.Login = name
	} else {
		return authn.NotFound
	}
	return s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if rows.User == nil {
			return authn.Drop(authn.NotFound)
		}
		if rows.User.API && slices.Contains(ofPeople, typ) {
			return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.api_account"})
		}
		u := *rows.User
		writes := f(rows, &u)
		u.Epoch++
		ev := s.operator(typ, k.Now)
		ev.Company, ev.Target = company, u.ID
		return authn.Accept(ev, append(writes, authn.PutUser{User: u}, authn.EndSessions{}, authn.EndAttempts{})...)
	})
}

// Profile is what a person may change of themselves here. Nil: unchanged.
type Profile struct {
	Name   *string
	Locale *string
}

// UpdateProfile changes the profile of the session's person.
func (s *Service) UpdateProfile(ctx context.Context, session authn.Token, locales []string, p Profile) (authn.User, error) {
	if p.Name != nil {
		name, err := authn.CleanName("name", *p.Name, 100)
		if err != nil {
			return authn.User{}, err
		}
		p.Name = &name
	}
	if p.Locale != nil && *p.Locale != "" && !slices.Contains(locales, *p.Locale) {
		return authn.User{}, authn.InvalidField("locale", "not_one_of", nil)
	}
	k := authn.Keys{Company: session.Company, SessionToken: session, Now: s.c.Now()}
	var out authn.User
	err := s.c.Store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := policy.CheckSession(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		u := *rows.User
		if p.Name != nil {
			u.Name = *p.Name
		}
		if p.Locale != nil {
			u.Locale = *p.Locale
		}
		out = u
		ev := authn.Event{Company: u.Company, ID: authn.NewID(authn.EventID, k.Now, s.c.Random), Type: "profile.changed",
			Actor: u.ID, Target: u.ID, Result: authn.Succeeded, At: k.Now}
		return authn.Accept(ev, authn.PutUser{User: u})
	})
	if err != nil {
		return authn.User{}, fmt.Errorf("directory: profile: %w", err)
	}
	return out, nil
}

func (s *Service) operator(typ string, now time.Time) authn.Event {
	return authn.Event{ID: authn.NewID(authn.EventID, now, s.c.Random), Type: typ, Actor: Operator, Result: authn.Succeeded, At: now}
}
