package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// ErrNobody is what Users says of a name or id that is nobody's, and of a password
// that is not right: the two are one answer.
var ErrNobody = errors.New("signin: nobody of that name or id, or not their password")

// Users is a host program's own user table and password check (ruling 36). Both are
// called from many goroutines at once, and get a context that ends when nobody waits
// for the answer any more. company is the slug of the company.
//
// ErrNobody is the only error that says something of a person. Any other, a panic, an
// answer that cannot be or none in time lets nobody in, signs nobody out and charges
// nobody for a guess: people are told that it can't be checked now. Of such an error
// the log gets the type, and not the text; the host writes that down itself.
type Users interface {
	// CheckPassword says whose name and password these are. login is as
	// authn.CanonicalLogin makes it (folded to lower case, trimmed), or empty if what
	// was typed can be nobody's name. It is called for every name that people type,
	// also for those that Sallyport itself keeps, and must take as long for a name that
	// it does not know as for a wrong password: hash there too. Sallyport has charged
	// for the guess before and slows guessing down; the host counts nothing.
	CheckPassword(ctx context.Context, company, login, password string) (HostUser, error)
	// User is the person of an id, asked at each request of a session: a look-up by key.
	User(ctx context.Context, company, id string) (HostUser, error)
}

// HostUser is a person as the host program knows them.
type HostUser struct {
	// ID is who the person is, and all that says so: no name and no address ever makes
	// one person of two. It never changes and is never given to somebody else, also
	// not after they are gone. See authn.GoodExternalID.
	ID string
	// Login is the name that they sign in with, 1 to 100 characters.
	Login string
	Name  string // up to 100 characters; empty: Login
	// Email is their address. It counts, signs in and gets codes only with
	// EmailVerified: the host has seen that it is theirs. Otherwise it is not looked at,
	// and an address that Sallyport has of them stays.
	Email         string
	EmailVerified bool
	Audience      authn.Audience // empty: authn.InternalAudience
	Locale        string         // BCP 47, of a person who is new here; empty: the browser decides
	Suspended     bool           // may not sign in, and is signed out
	// PasswordChangedAt is when they chose their password, not after now. A later one
	// than before signs them out everywhere, and is the only thing that takes back that
	// others know the password, or that they pressed "this wasn't me".
	PasswordChangedAt time.Time
}

// The usual and the longest time that Users may take, and how many of its calls run at
// once; one that does not end when its context does still counts.
const (
	UsersAnswer    = 5 * time.Second
	MaxUsersAnswer = 30 * time.Second
	maxChecks      = 64
	maxLookUps     = 256
)

// hosted asks Users, and believes nothing of it unseen.
type hosted struct {
	users   Users
	within  time.Duration
	now     func() time.Time
	log     *slog.Logger
	checks  chan struct{} // apart, so that slow hashes keep no session waiting
	lookUps chan struct{}
}

func newHosted(u Users, within time.Duration, now func() time.Time, log *slog.Logger) (*hosted, error) {
	if within < 0 || within > MaxUsersAnswer {
		return nil, fmt.Errorf("signin: Config.UsersAnswer is %v; it must be at most %v", within, MaxUsersAnswer)
	}
	if u == nil {
		return nil, nil
	}
	if within == 0 {
		within = UsersAnswer
	}
	if log == nil {
		log = slog.Default()
	}
	return &hosted{users: u, within: within, now: now, log: log, checks: make(chan struct{}, maxChecks), lookUps: make(chan struct{}, maxLookUps)}, nil
}

// unanswered is what people get who cannot be checked now.
func unanswered(cause error) error {
	return &authn.Error{Code: authn.ProviderUnavailable, Key: "error.host_users", Err: cause}
}

// check is ErrNobody, unanswered, or a person of whom everything can be.
func (h *hosted) check(ctx context.Context, company, login, password string) (HostUser, error) {
	return h.ask(ctx, h.checks, "CheckPassword", func(ctx context.Context) (HostUser, error) {
		return h.users.CheckPassword(ctx, company, login, password)
	})
}

// lookUp is the same for an id; a person of another id is none.
func (h *hosted) lookUp(ctx context.Context, company, id string) (HostUser, error) {
	u, err := h.ask(ctx, h.lookUps, "User", func(ctx context.Context) (HostUser, error) { return h.users.User(ctx, company, id) })
	if err == nil && u.ID != id {
		return HostUser{}, h.failed("User", errors.New("it gave the person of another id"))
	}
	return u, err
}

func (h *hosted) ask(ctx context.Context, slots chan struct{}, what string, f func(context.Context) (HostUser, error)) (HostUser, error) {
	ctx, cancel := context.WithTimeout(ctx, h.within)
	defer cancel()
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return HostUser{}, h.failed(what, errors.New("too many calls have not come back"))
	}
	type answer struct {
		user HostUser
		err  error
	}
	come := make(chan answer, 1) // whoever answers too late waits for nobody
	go func() {
		a := answer{err: h.failed(what, errors.New("it did not return"))}
		defer func() {
			if p := recover(); p != nil {
				// The value of a panic may hold a password.
				h.log.Error("signin: the host program's users panicked", "call", what, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
				a = answer{err: h.failed(what, errors.New("it panicked"))}
			}
			<-slots
			come <- a
		}()
		user, err := f(ctx)
		a.user, a.err = h.judge(what, user, err)
	}()
	select {
	case a := <-come:
		return a.user, a.err
	case <-ctx.Done():
		return HostUser{}, h.failed(what, fmt.Errorf("no answer within %v", h.within))
	}
}

// judge keeps nothing of an error but its type: its text may repeat what somebody
// typed, and what it wraps is not to be taken for an answer of ours.
func (h *hosted) judge(what string, u HostUser, err error) (HostUser, error) {
	switch {
	case errors.Is(err, ErrNobody):
		return HostUser{}, ErrNobody
	case err != nil:
		return HostUser{}, h.failed(what, fmt.Errorf("it failed with a %T", err))
	}
	if u, err = u.clean(h.now()); err != nil {
		return HostUser{}, h.failed(what, err)
	}
	return u, nil
}

func (h *hosted) failed(what string, cause error) error {
	return unanswered(fmt.Errorf("signin: the host program's %s: %w", what, cause))
}

// clean checks everything and names what cannot be, without repeating it.
func (u HostUser) clean(now time.Time) (HostUser, error) {
	display, errLogin := authn.CleanName("login", u.Login, 100)
	login, okLogin := authn.CanonicalLogin(display)
	if u.Name == "" {
		u.Name = u.Login
	}
	name, errName := authn.CleanName("name", u.Name, 100)
	if u.Audience == "" {
		u.Audience = authn.InternalAudience
	}
	// The store keeps microseconds; a later one is a later change.
	u.PasswordChangedAt = u.PasswordChangedAt.UTC().Truncate(time.Microsecond)
	what := ""
	switch {
	case !authn.GoodExternalID(u.ID):
		what = "ID"
	case !okLogin || errLogin != nil || authn.CheckID(authn.UserID, login):
		what = "Login"
	case errName != nil:
		what = "Name"
	case u.Audience != authn.InternalAudience && u.Audience != authn.ExternalAudience:
		what = "Audience"
	case !goodLocale(u.Locale):
		what = "Locale"
	case u.PasswordChangedAt.Unix() <= 0 || u.PasswordChangedAt.After(now.Add(time.Minute)):
		what = "PasswordChangedAt"
	}
	u.Login, u.Name = display, name
	if !u.EmailVerified || u.Email == "" {
		u.Email = ""
	} else if email, err := authn.CleanEmail(u.Email); err != nil && what == "" {
		what = "Email"
	} else {
		u.Email = email
	}
	if what != "" {
		return HostUser{}, fmt.Errorf("a person whose %s cannot be", what)
	}
	return u, nil
}

func goodLocale(s string) bool {
	return len(s) <= 35 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}

// goesBy reports whether the name is one that the person signs in with. An alias that
// only the host knows would have a count of wrong passwords of its own.
func (u HostUser) goesBy(canonical string) bool {
	for _, name := range []string{u.Login, u.Email} {
		if c, ok := authn.CanonicalLogin(name); ok && c == canonical {
			return true
		}
	}
	return false
}
