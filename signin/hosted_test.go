package signin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// hostWorld is a server of a host program with users of its own.
type hostWorld struct {
	world
	users *sallyporttest.Users
	log   *sallyporttest.LogBuffer
}

func newHostWorld(t *testing.T, opts ...sallyporttest.Option) hostWorld {
	users, log := &sallyporttest.Users{}, &sallyporttest.LogBuffer{}
	opts = append([]sallyporttest.Option{func(c *sallyport.Config) { c.Users, c.Log = users, log.Logger() }}, opts...)
	w := hostWorld{world{sallyporttest.NewServer(t, opts...), t}, users, log}
	users.Put(mayaAtHost(), hostPassword)
	return w
}

const hostPassword = "an orchard before dawn"

func mayaAtHost() signin.HostUser {
	return signin.HostUser{ID: "7", Login: "Maya", Name: "Maya Brandt", Email: "maya@orchard.example", EmailVerified: true, Locale: "pl", Audience: authn.ExternalAudience}
}

func (w hostWorld) enter(login string, c authn.Client) signin.Status {
	w.t.Helper()
	st, err := w.begin(login, hostPassword, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w hostWorld) check(st signin.Status) error {
	w.t.Helper()
	_, err := w.Sessions.Check(context.Background(), st.SessionToken.Reveal(), browser("b"))
	return err
}

// why are the reasons of the sign-ins that were refused, newest first.
func (w hostWorld) why(n int) []string {
	w.t.Helper()
	page, err := w.Audit.Events(context.Background(), w.Company.ID, authn.EventQuery{Type: "sign_in.refused", Limit: n})
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, e := range page {
		list = append(list, e.Personal.Detail["reason"])
	}
	return list
}

func (w hostWorld) person(id string) authn.User {
	w.t.Helper()
	u, _, err := w.Directory.Lookup(context.Background(), w.Company, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func TestHostUser_firstSignIn_rul36(t *testing.T) {
	w := newHostWorld(t)
	beta := w.AddCompany(t, "beta", "Beta")
	st := w.enter(" MAYA ", browser("b"))
	u := w.person(st.User.ID)
	if st.Attempt.State != authn.Complete || u.ExternalID != "7" || u.Login != "Maya" || u.Name != "Maya Brandt" || u.Email != "maya@orchard.example" ||
		u.EmailVerifiedAt.IsZero() || u.Audience != authn.ExternalAudience || u.Locale != "pl" || !slices.Equal(u.Roles, []string{directory.Member}) {
		t.Fatalf("%+v", u)
	}
	if err := w.check(st); err != nil {
		t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	if !w.hasEvent(p, "host_user.added") || !w.hasEvent(p, "session.started") || w.hasEvent(p, "host_user.changed") {
		t.Error("the log is not what happened")
	}
	// Again by the address, with a way to verify that was set up meanwhile.
	p.Factor, p.Secret = w.AddApp(t, u)
	st = w.enter("maya@orchard.example", browser("b"))
	if st.User.ID != u.ID || st.Attempt.State != authn.NeedFactor {
		t.Fatalf("%+v", st)
	}
	if done, err := w.verify(st, w.Code(t, p.Secret), browser("b")); err != nil || done.Session.ACR != authn.AAL2 {
		t.Fatalf("%+v %v", done.Session, err)
	}
	// The same table in another company is somebody else.
	other, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "beta", Login: "maya", Password: hostPassword, Client: browser("b")})
	if err != nil || other.User.ID == u.ID || other.User.Company != beta.ID || other.Attempt.State != authn.Complete {
		t.Errorf("%+v %v", other, err)
	}
}

// inv-J: nobody, a wrong password, people of both kinds and names that cannot be
// are one answer, and the host's hash runs for each.
func TestHostUser_oneAnswer_rul36_invJ(t *testing.T) {
	w := newHostWorld(t)
	native := w.AddUser(t, w.Company, "owner", false)
	w.enter("maya", browser("b"))
	gone := mayaAtHost()
	gone.ID, gone.Login, gone.Email, gone.Suspended = "8", "gone", "", true
	w.users.Put(gone, hostPassword)
	w.users.Asked()
	for _, tc := range []struct{ name, login, password, asked string }{
		{"nobody", "nobody", hostPassword, "nobody"},
		{"a wrong password", "maya", "wrong", "maya"},
		{"one of ours", native.Login, "wrong", "owner"},
		{"suspended there", "gone", hostPassword, "gone"},
		{"no name at all", "ma\x00ya", hostPassword, ""},
		{"a long name", strings.Repeat("m", 5000), hostPassword, ""},
	} {
		_, err := w.begin(tc.login, tc.password, browser("x"))
		if e := authn.AsError(err); e.Code != authn.WrongCredentials || e.TextKey() != "error.wrong_credentials" || len(e.Fields) > 0 {
			t.Errorf("%s: %v", tc.name, err)
		}
		if asked := w.users.Asked(); !slices.Equal(asked, []string{tc.asked}) {
			t.Errorf("%s: the host was asked for %q", tc.name, asked)
		}
	}
	// Ours alone lets in whom Sallyport keeps.
	if st, err := w.begin("owner", sallyporttest.Password, browser("o")); err != nil || st.User.ID != native.ID {
		t.Errorf("%v", err)
	}
	// Guesses are paid for, whether or not there is such a person (inv-B).
	for _, login := range []string{"maya", "nobody"} {
		var err error
		for range 40 {
			if _, err = w.begin(login, "wrong", browser("x")); code(err) == authn.Paused {
				break
			}
		}
		if code(err) != authn.Paused {
			t.Errorf("%s: %v", login, err)
		}
		w.users.Asked()
		if _, err = w.begin(login, hostPassword, browser("x")); code(err) != authn.Paused || len(w.users.Asked()) != 0 {
			t.Errorf("%s: an unpaid guess was evaluated: %v", login, err)
		}
	}
}

// failures are how a host program can fail; each is a "no" that blames nobody.
var failures = map[string]func(*sallyporttest.Users, chan struct{}){
	"an error": func(u *sallyporttest.Users, _ chan struct{}) {
		u.Before = func(context.Context, string, string) error { return fmt.Errorf("db: canary-maya %s", hostPassword) }
	},
	"an error of ours": func(u *sallyporttest.Users, _ chan struct{}) {
		u.Before = func(context.Context, string, string) error {
			return &authn.Error{Code: authn.WrongCredentials, Err: authn.NotFound}
		}
	},
	"a conflict of ours": func(u *sallyporttest.Users, _ chan struct{}) {
		u.Before = func(context.Context, string, string) error { return fmt.Errorf("x: %w", authn.Conflict) }
	},
	"no session of ours": func(u *sallyporttest.Users, _ chan struct{}) {
		u.Before = func(context.Context, string, string) error { return authn.Unauthenticated }
	},
	"a panic": func(u *sallyporttest.Users, _ chan struct{}) {
		u.Before = func(context.Context, string, string) error { panic("canary-maya " + hostPassword) }
	},
	"an error that panics": func(u *sallyporttest.Users, _ chan struct{}) {
		u.Before = func(context.Context, string, string) error { return badError{} }
	},
	"too slow": func(u *sallyporttest.Users, _ chan struct{}) {
		u.Before = func(ctx context.Context, _, _ string) error { <-ctx.Done(); return nil }
	},
	"too slow and deaf": func(u *sallyporttest.Users, end chan struct{}) {
		u.Before = func(context.Context, string, string) error { <-end; return nil }
	},
	"an empty id":        answering(func(p *signin.HostUser) { p.ID = "" }),
	"a long id":          answering(func(p *signin.HostUser) { p.ID = strings.Repeat("7", 256) }),
	"an id that hides":   answering(func(p *signin.HostUser) { p.ID = "7\x00" }),
	"no name":            answering(func(p *signin.HostUser) { p.Login = " " }),
	"a name like an id":  answering(func(p *signin.HostUser) { p.Login = "usr_01JD0000000000000000000000" }),
	"a long name":        answering(func(p *signin.HostUser) { p.Name = strings.Repeat("n", 101) }),
	"a name that hides":  answering(func(p *signin.HostUser) { p.Name = "canary-maya\u202e" }),
	"two addresses":      answering(func(p *signin.HostUser) { p.Email = "canary-maya@a.example, b@b.example" }),
	"no such audience":   answering(func(p *signin.HostUser) { p.Audience = "root" }),
	"no such language":   answering(func(p *signin.HostUser) { p.Locale = "pl_PL\n" }),
	"never a password":   answering(func(p *signin.HostUser) { p.PasswordChangedAt = time.Unix(-1, 0) }),
	"a password to come": answering(func(p *signin.HostUser) { p.PasswordChangedAt = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }),
}

type badError struct{}

func (badError) Error() string   { panic("canary-maya") }
func (badError) Is(error) bool   { panic("canary-maya") }
func (badError) Unwrap() []error { panic("canary-maya") }

func answering(change func(*signin.HostUser)) func(*sallyporttest.Users, chan struct{}) {
	return func(u *sallyporttest.Users, _ chan struct{}) {
		p := mayaAtHost()
		change(&p)
		u.Remove("7")
		u.Put(p, hostPassword)
		if p.Login != "Maya" || p.ID != "7" {
			u.Before = func(context.Context, string, string) error { return nil }
		}
	}
}

// inv-I: every failure of the host program is a "no", nobody is charged for it, and no
// session ends.
func TestHostUser_failures_rul36_invI(t *testing.T) {
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			slow := strings.HasPrefix(name, "too slow")
			w := newHostWorld(t, func(c *sallyport.Config) {
				if slow {
					c.UsersAnswer = 30 * time.Second
				}
			})
			native := w.AddUser(t, w.Company, "owner", false)
			in := w.enter("maya", browser("b"))
			end := make(chan struct{})
			t.Cleanup(func() { close(end) })
			if slow { // the same table behind a server that waits for next to nothing
				quick := sallyporttest.Start(t, w.Store, func(c *sallyport.Config) {
					c.Users, c.Log, c.UsersAnswer, c.Now = w.users, w.log.Logger(), time.Millisecond, w.Clock.Now
				})
				fail(w.users, end)
				w.Server.Server = quick.Server
			} else {
				fail(w.users, end)
			}
			byName := name == "no name" || name == "a name like an id" // the table cannot find them
			for range 12 {
				_, err := w.begin("maya", hostPassword, browser("b"))
				if byName {
					break
				}
				if e := authn.AsError(err); e.Code != authn.ProviderUnavailable || e.Key != "error.host_users" || errors.Is(err, authn.Conflict) || errors.Is(err, authn.Unauthenticated) {
					t.Fatalf("signing in: %v", err)
				}
			}
			err := w.check(in)
			if name == "an empty id" || name == "a long id" || name == "an id that hides" {
				if code(err) != authn.Unauthenticated { // nobody has the id 7 any more
					t.Fatalf("%v", err)
				}
				return
			}
			if e := authn.AsError(err); err == nil || e.Code != authn.ProviderUnavailable || e.Key != "error.host_users" || errors.Is(err, authn.Unauthenticated) {
				t.Fatalf("the session: %v", err)
			}
			if st, err := w.begin("owner", sallyporttest.Password, browser("o")); err != nil || st.User.ID != native.ID {
				t.Errorf("the owner cannot come in: %v", err)
			}
			if log := w.log.String(); strings.Contains(log, "canary") || strings.Contains(log, hostPassword) {
				t.Errorf("the log says too much:\n%s", log)
			}
			if slow {
				return // that server waits for next to nothing
			}
			w.users.Before = nil
			w.users.Put(mayaAtHost(), hostPassword)
			w.enter("maya", browser("b")) // no pause, and the first session is as it was
			if err := w.check(in); err != nil {
				t.Errorf("the session ended: %v", err)
			}
		})
	}
}

// While the host is down a wrong password of one of ours is paid for all the same.
func TestHostUser_downIsNoWayToGuess_invB(t *testing.T) {
	w := newHostWorld(t)
	w.AddUser(t, w.Company, "owner", false)
	w.users.Before = func(context.Context, string, string) error { return errors.New("down") }
	var err error
	for range 40 {
		if _, err = w.begin("owner", "wrong", browser("x")); code(err) != authn.ProviderUnavailable {
			break
		}
	}
	if code(err) != authn.Paused {
		t.Errorf("%v", err)
	}
}

// A host that says different things twice: the id alone says who somebody is.
func TestHostUser_differentThingsTwice_rul36(t *testing.T) {
	w := newHostWorld(t)
	maya := w.enter("maya", browser("b")).User
	_, _ = w.AddApp(t, maya)
	tryAs := func(login string, p signin.HostUser) error {
		t.Helper()
		w.users.Put(p, hostPassword)
		_, err := w.begin(login, hostPassword, browser("x"))
		return err
	}
	for _, tc := range []struct {
		name, login, why string
		change           func(*signin.HostUser)
	}{
		{"her name with another id", "maya", "login_taken", func(p *signin.HostUser) { p.ID, p.Email = "9", "" }},
		{"her address with another id", "nine", "email_taken", func(p *signin.HostUser) { p.ID, p.Login = "9", "nine" }},
		{"her address as a name", "maya@orchard.example", "login_taken", func(p *signin.HostUser) { p.ID, p.Login, p.Email = "9", "maya@orchard.example", "" }},
		{"an address that is not verified", "nine@orchard.example", "other_name", func(p *signin.HostUser) {
			p.ID, p.Login, p.Email, p.EmailVerified = "9", "nine", "nine@orchard.example", false
		}},
	} {
		w.users.Remove("7")
		p := mayaAtHost()
		p.EmailVerified = p.Email != ""
		tc.change(&p)
		if p.Email == "" {
			p.EmailVerified = false
		}
		if err := tryAs(tc.login, p); code(err) != authn.WrongCredentials {
			t.Errorf("%s: %v", tc.name, err)
		}
		if why := w.why(1); !slices.Equal(why, []string{tc.why}) {
			t.Errorf("%s: refused for %q", tc.name, why)
		}
		w.users.Remove("9")
		w.Clock.Advance(2 * time.Hour)
	}
	if n := len(w.people()); n != 1 {
		t.Errorf("%d people", n)
	}
	// Renamed: the same person, with all that they have; the old name is free.
	p := mayaAtHost()
	p.Login, p.Name = "maya.b", "Maya B"
	w.users.Put(p, hostPassword)
	st := w.enter("maya.b", browser("b"))
	if st.User.ID != maya.ID || st.Attempt.State != authn.NeedFactor || st.User.Name != "Maya B" {
		t.Fatalf("%+v", st)
	}
	if !w.hasEvent(sallyporttest.Person{User: maya}, "host_user.changed") {
		t.Error("no event says that she was renamed")
	}
	// Her old name is somebody else's now, who has nothing of hers.
	p = mayaAtHost()
	p.ID, p.Email, p.EmailVerified = "9", "", false
	w.users.Put(p, hostPassword)
	if st := w.enter("maya", browser("y")); st.User.ID == maya.ID || st.Attempt.State != authn.Complete || st.User.ExternalID != "9" {
		t.Errorf("%+v", st)
	}
	// The look-up gives somebody else than was asked for.
	in := w.enter("maya", browser("y"))
	w.users.Before = func(ctx context.Context, call, of string) error {
		if call == "User" {
			w.users.Remove("9")
			q := mayaAtHost()
			q.ID = "10"
			w.users.PutAs("9", q)
		}
		return nil
	}
	if err := w.check(in); code(err) != authn.ProviderUnavailable {
		t.Errorf("%v", err)
	}
}

func (w hostWorld) people() []authn.User {
	w.t.Helper()
	list, err := w.Directory.Users(context.Background(), w.Company.ID, "", 200)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// A name that Sallyport itself keeps is never the host's, whatever the password.
func TestHostUser_namesOfOurs_rul36(t *testing.T) {
	w := newHostWorld(t)
	native := w.AddUser(t, w.Company, "maya", true)
	if _, err := w.begin("maya", hostPassword, browser("x")); code(err) != authn.WrongCredentials {
		t.Fatalf("%v", err)
	}
	if why := w.why(1); !slices.Equal(why, []string{"login_taken"}) || !w.hasEvent(native, "sign_in.refused") {
		t.Errorf("refused for %q", why)
	}
	if w.tries(native) == 0 && len(w.people()) != 1 {
		t.Error("somebody came in")
	}
	if st := w.mustBegin(native, browser("b")); st.User.ID != native.ID || st.Attempt.State != authn.NeedFactor {
		t.Errorf("%+v", st)
	}
}

func TestHostUser_erasedIsGone_rul36_K2(t *testing.T) {
	w := newHostWorld(t)
	in := w.enter("maya", browser("b"))
	if _, err := w.Directory.EraseUser(t.Context(), directory.TheOperator(w.Company.ID), in.User.ID, in.User.Login, "asked for it"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.begin("maya", hostPassword, browser("b")); code(err) != authn.WrongCredentials {
			t.Fatalf("%v", err)
		}
	}
	if why := w.why(1); !slices.Equal(why, []string{"erased"}) || len(w.people()) != 0 {
		t.Errorf("refused for %q; %d people", why, len(w.people()))
	}
	if err := w.check(in); code(err) != authn.Unauthenticated {
		t.Errorf("%v", err)
	}
}

// What the host says of the person counts at the next look at a session, and in the
// middle of a sign-in; the session does not come back.
func TestHostUser_losesSession_rul36_rul30_invF(t *testing.T) {
	for name, change := range map[string]func(hostWorld){
		"suspended": func(w hostWorld) {
			p := mayaAtHost()
			p.Suspended = true
			w.users.Put(p, hostPassword)
		},
		"deleted": func(w hostWorld) { w.users.Remove("7") },
		"another password": func(w hostWorld) {
			p := mayaAtHost()
			p.PasswordChangedAt = w.Clock.Now()
			w.users.Put(p, hostPassword)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHostWorld(t)
			p := sallyporttest.Person{User: w.enter("maya", browser("b")).User}
			p.Factor, p.Secret = w.AddApp(t, p.User)
			full := func(c authn.Client) signin.Status {
				t.Helper()
				w.Clock.Advance(30 * time.Second)
				st, err := w.verify(w.enter("maya", c), w.Code(t, p.Secret), c)
				if err != nil {
					t.Fatal(err)
				}
				return st
			}
			first, second := full(browser("b")), full(browser("c"))
			w.Clock.Advance(30 * time.Second)
			half := w.enter("maya", browser("d"))
			for range 3 {
				if err := w.check(first); err != nil {
					t.Fatal(err)
				}
			}
			change(w)
			if name == "deleted" { // by what is done in the attempt
				if _, err := w.verify(half, w.Code(t, p.Secret), browser("d")); code(err) != authn.Expired {
					t.Errorf("%v", err)
				}
			} else if err := w.check(first); code(err) != authn.Unauthenticated {
				t.Errorf("%v", err)
			}
			w.users.Put(mayaAtHost(), hostPassword)
			if _, err := w.verify(half, w.Code(t, p.Secret), browser("d")); code(err) != authn.Expired && code(err) != authn.NotFound {
				t.Errorf("the sign-in goes on: %v", err)
			}
			for _, st := range []signin.Status{first, second} {
				if err := w.check(st); code(err) != authn.Unauthenticated {
					t.Errorf("a session is back: %v", err)
				}
			}
			typ := "host_user.gone"
			if name == "another password" {
				typ = "host_user.changed"
			}
			if !w.hasEvent(p, typ) {
				t.Errorf("no event %s", typ)
			}
		})
	}
}

// Many first sign-ins of one person at once are one person.
func TestHostUser_race_rul36(t *testing.T) {
	w := newHostWorld(t)
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { _, errs[i] = w.begin("maya", hostPassword, browser(fmt.Sprint(i))) })
	}
	wg.Wait()
	in := 0
	for i, err := range errs {
		switch code(err) {
		case "":
			in++
		case authn.Busy, authn.Paused: // each is charged before any is settled
		default:
			t.Errorf("%d: %v", i, err)
		}
	}
	if n := len(w.people()); n != 1 || in == 0 {
		t.Errorf("%d people, %d came in", n, in)
	}
}

func TestHostUser_stepUp_rul36_rul1(t *testing.T) {
	w := newHostWorld(t)
	in := w.enter("maya", browser("b"))
	st, err := w.SignIn.StepUp(t.Context(), in.SessionToken, "", "", browser("b"))
	if err != nil || st.Attempt.State != authn.NeedPassword {
		t.Fatalf("%+v %v", st.Attempt, err)
	}
	answer := func(pw string) (signin.Status, error) {
		return w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, browser("b")), signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: pw}})
	}
	if _, err := answer("wrong"); code(err) != authn.WrongCredentials {
		t.Errorf("%v", err)
	}
	// Somebody else of the host's, by the same name and password.
	other := mayaAtHost()
	other.ID = "9"
	w.users.Remove("7")
	w.users.Before = func(_ context.Context, call, _ string) error {
		if call == "User" {
			w.users.Put(mayaAtHost(), "x")
		}
		return nil
	}
	w.users.Put(other, hostPassword)
	if _, err := answer(hostPassword); code(err) != authn.WrongCredentials {
		t.Errorf("%v", err)
	}
	w.users.Remove("9")
	w.users.Before = nil
	w.users.Put(mayaAtHost(), hostPassword)
	if done, err := answer(hostPassword); err != nil || done.Session.ConfirmedAt.IsZero() {
		t.Errorf("%v", err)
	}
}

// "This wasn't me", and a password that others know: only another one at the host
// takes that back, chosen after it.
func TestHostUser_anotherPassword_rul36_rul10(t *testing.T) {
	w := newHostWorld(t)
	u := w.enter("maya", browser("b")).User
	mark := func(change func(*authn.User)) {
		t.Helper()
		err := w.Store.Decide(t.Context(), authn.Keys{Company: u.Company, User: u.ID, Now: w.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
			change(rows.User)
			return authn.Continue(authn.PutUser{User: *rows.User}, authn.ForgetBrowsers{All: true})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	changed := func(at time.Time) {
		p := mayaAtHost()
		p.PasswordChangedAt = at
		w.users.Put(p, hostPassword)
	}
	before := w.Clock.Now()
	w.Clock.Advance(time.Hour)
	mark(func(u *authn.User) { u.SecuredAt = w.Clock.Now() })
	changed(before)                     // what the thief chose
	st := w.enter("maya", browser("x")) // it asks for more first, as ever
	o := signin.OpenerOf(st.Token, browser("x"))
	if _, _, err := w.SignIn.Challenge(t.Context(), o, authn.Email, ""); err != nil {
		t.Fatal(err)
	}
	st, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.Email, Answer: authn.Answer{Code: w.LastCode(t, u.Email)}})
	if err != nil || st.Attempt.State != authn.Denied || st.Need.Denied != policy.Elsewhere || st.Session != nil {
		t.Fatalf("%+v %v", st, err)
	}
	w.Clock.Advance(time.Hour)
	changed(w.Clock.Now())
	if st := w.enter("maya", browser("b")); st.Attempt.State != authn.Complete || !w.person(u.ID).SecuredAt.IsZero() {
		t.Fatalf("%+v", st)
	}
	w.Clock.Advance(time.Hour)
	mark(func(u *authn.User) { u.PasswordKnownAt = w.Clock.Now() })
	if _, err := w.begin("maya", hostPassword, browser("x")); code(err) != authn.WrongCredentials {
		t.Fatalf("%v", err)
	}
	w.Clock.Advance(time.Hour)
	changed(w.Clock.Now())
	if st := w.enter("maya", browser("x")); st.Attempt.State != authn.Complete || !w.person(u.ID).PasswordKnownAt.IsZero() {
		t.Fatalf("%+v", st)
	}
}

// Another address at the host takes away what went to the old one.
func TestHostUser_anotherAddress_rul2(t *testing.T) {
	w := newHostWorld(t)
	in := w.enter("maya", browser("b"))
	p := mayaAtHost()
	p.Email = "thief@orchard.example"
	w.users.Put(p, hostPassword)
	w.enter("maya", browser("x"))
	u := w.person(in.User.ID)
	if u.Email != p.Email || !u.EmailChangedAt.Equal(w.Clock.Now()) || w.check(in) == nil {
		t.Errorf("%+v", u)
	}
	// One that is not verified there is not looked at.
	p.Email, p.EmailVerified = "other@orchard.example", false
	w.users.Put(p, hostPassword)
	w.enter("maya", browser("x"))
	if u = w.person(in.User.ID); u.Email != "thief@orchard.example" {
		t.Errorf("%+v", u)
	}
}

// What Sallyport does with passwords of its own says clearly that it does not here.
func TestHostUser_notOffered_rul36(t *testing.T) {
	w := newHostWorld(t)
	in := w.enter("maya", browser("b"))
	op := directory.TheOperator(w.Company.ID)
	_, reset := w.SignIn.AskReset(t.Context(), signin.ResetAsk{Company: "acme", Login: "maya", Client: browser("b")})
	_, invite := w.Directory.Do(t.Context(), op, directory.PersonAct{Do: directory.InviteAgain, Target: in.User.ID})
	_, api := w.Directory.Do(t.Context(), op, directory.PersonAct{Do: directory.APIOn, Target: in.User.ID, Args: map[string]string{"until": w.Clock.Now().AddDate(0, 1, 0).Format(time.RFC3339)}})
	_, change := w.Enroll.ChangePassword(t.Context(), enroll.Who{Token: in.SessionToken, Client: browser("b")}, hostPassword, "another password of length")
	_, recovered := w.Directory.Recover(t.Context(), w.Company, in.User.ID)
	if authn.AsError(recovered).Fields == nil { // they are no owner
		t.Errorf("%v", recovered)
	}
	for name, tc := range map[string]struct {
		err error
		key string
	}{
		"changed":     {change, "error.host_password"},
		"forgotten":   {reset, "error.reset_off"},
		"invited":     {invite, "error.host_password"},
		"API account": {api, "error.host_password"},
		"set":         {w.Directory.SetPassword(t.Context(), w.Company, in.User.ID, "a new password of length"), "error.host_password"},
	} {
		if e := authn.AsError(tc.err); e.Code != authn.PolicyForbids || e.Key != tc.key {
			t.Errorf("%s: %v", name, tc.err)
		}
	}
	if w.SignIn.CanReset() {
		t.Error("resets are offered")
	}
}

func TestHostUser_badConfig(t *testing.T) {
	w := newWorld(t)
	for _, within := range []time.Duration{-1, signin.MaxUsersAnswer + 1} {
		pw, _ := sallyporttest.Methods(t)
		if _, err := signin.New(signin.Config{Store: w.Store, Methods: []authn.Method{pw}, Users: &sallyporttest.Users{}, UsersAnswer: within}); err == nil {
			t.Errorf("%v is taken", within)
		}
	}
}
