package signin_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// thief has somebody's right password, and a browser that is unknown.
type thief struct {
	world
	t     *testing.T
	r     *rand.Rand
	p     sallyporttest.Person
	c     authn.Client
	tries []signin.Status // what the password opened
	known []string        // ids of the owner's factors, as if they had leaked
	log   []string
	was   standing
}

// standing is what a thief must not move.
type standing struct {
	user    authn.User
	factors []string
}

func (th *thief) standing() standing {
	th.t.Helper()
	rows, err := th.Store.View(context.Background(), authn.Keys{Company: th.p.Company, User: th.p.ID, Now: th.Clock.Now()})
	if err != nil {
		th.t.Fatal(err)
	}
	u := *rows.User
	// What may move: the counts of wrong answers, and what follows from them.
	u.WrongInRow, u.WrongInMonth, u.MonthStart, u.PasswordKnownAt = 0, 0, time.Time{}, time.Time{}
	s := standing{user: u}
	for _, f := range rows.Factors {
		if f.State != authn.Fallback { // only counts
			s.factors = append(s.factors, fmt.Sprint(f.ID, f.Kind, f.State, f.Name, f.Left))
		}
	}
	slices.Sort(s.factors)
	return s
}

func (th *thief) check(what string) {
	th.t.Helper()
	now := th.standing()
	if fmt.Sprint(now.user) != fmt.Sprint(th.was.user) {
		th.failf("%s moved the account:\n%+v\n%+v", what, th.was.user, now.user)
	}
	if !slices.Equal(now.factors, th.was.factors) {
		th.failf("%s moved the factors:\n%v\n%v", what, th.was.factors, now.factors)
	}
	open, err := th.Store.Sessions(context.Background(), th.p.Company, th.p.ID)
	if err != nil || len(open) > 0 {
		th.failf("%s opened a session: %+v %v", what, open, err)
	}
}

func (th *thief) failf(format string, args ...any) {
	th.t.Helper()
	th.t.Fatalf("%s\nthe last steps:\n%s", fmt.Sprintf(format, args...), strings.Join(th.log[max(0, len(th.log)-20):], "\n"))
}

// wrong is a code that is none of the person's: a lucky guess proves nothing here.
func (th *thief) wrong() string {
	for {
		c := fmt.Sprintf("%06d", th.r.IntN(1_000_000))
		good := slices.ContainsFunc(th.Inbox.Messages(), func(m sentMessage) bool { return m.Code == c })
		if th.p.Secret != nil {
			for d := -2 * time.Minute; d <= 2*time.Minute; d += 30 * time.Second {
				good = good || sallyporttest.CodeAt(th.t, th.p.Secret, th.Clock.Now().Add(d)) == c
			}
		}
		if !good {
			return c
		}
	}
}

// attempt is one that the password opened; the zero one if none did.
func (th *thief) attempt() signin.Status {
	if len(th.tries) == 0 {
		return signin.Status{}
	}
	return th.tries[th.r.IntN(len(th.tries))]
}

func (th *thief) opener() signin.Opener {
	st := th.attempt()
	if th.r.IntN(3) == 0 {
		return signin.Opener{Company: th.p.Company, Attempt: st.Attempt.ID, Client: th.c}
	}
	return signin.OpenerOf(st.Token, th.c)
}

// as is the attempt's token dressed up as another kind.
func (th *thief) as(k authn.TokenKind) authn.Token {
	tok := th.attempt().Token
	prefix := map[authn.TokenKind]string{authn.SessionToken: "ses_", authn.LinkToken: "lnk_"}[k]
	if prefix != "" {
		_, rest, _ := strings.Cut(tok.ID, "_")
		tok.ID = prefix + rest
	}
	tok.Kind = k
	return tok
}

func (th *thief) who() enroll.Who {
	st := th.attempt()
	switch th.r.IntN(4) {
	case 0:
		return enroll.Who{Token: th.as(authn.SessionToken), Client: th.c}
	case 1:
		return enroll.Who{Company: th.p.Company, Attempt: st.Attempt.ID, Client: th.c}
	}
	return enroll.Who{Token: st.Token, Client: th.c}
}

func (th *thief) factor() string {
	if len(th.known) == 0 || th.r.IntN(3) == 0 {
		return ""
	}
	return th.known[th.r.IntN(len(th.known))]
}

var everyKind = []authn.Kind{authn.TOTP, authn.Email, authn.SMS, authn.BackupCode, authn.BypassCode, authn.Password, authn.Invitation, authn.WebAuthn}

func (th *thief) answer(k authn.Kind) authn.Answer {
	switch k {
	case authn.BackupCode:
		return authn.Answer{Code: fmt.Sprintf("ZZ%02dA%03d", th.r.IntN(100), th.r.IntN(1000))}
	case authn.BypassCode:
		return authn.Answer{Code: fmt.Sprintf("ZZZZZZZZZZZZ%04d", th.r.IntN(10_000))}
	case authn.Password:
		return authn.Answer{Password: sallyporttest.Password}
	}
	return authn.Answer{Code: th.wrong()}
}

const thiefsPassword = "what the thief would rather have it be"

// moves are all calls of the services that somebody outside can cause.
func (th *thief) moves() map[string]func() error {
	ctx := context.Background()
	m := map[string]func() error{
		"begin": func() error {
			login := []string{th.p.Login, th.p.Login + "@acme.example", strings.ToUpper(th.p.Login)}[th.r.IntN(3)]
			st, err := th.begin(login, sallyporttest.Password, th.c)
			if err == nil {
				th.tries = append(th.tries, st)
			}
			return th.noSession(st, err)
		},
		"begin wrong": func() error { return th.noSession(th.begin(th.p.Login, "not the password at all", th.c)) },
		"get":         func() error { return th.noSession(th.SignIn.Get(ctx, th.opener())) },
		"complete":    func() error { return th.noSession(th.SignIn.Complete(ctx, th.opener())) },
		"postpone":    func() error { return th.noSession(th.SignIn.Postpone(ctx, th.opener())) },
		"new password": func() error {
			return th.noSession(th.SignIn.ChangePassword(ctx, th.opener(), thiefsPassword))
		},
		"look at link": func() error { _, err := th.SignIn.Invitation(ctx, th.as(authn.LinkToken)); return err },
		"accept link": func() error {
			return th.noSession(th.SignIn.Accept(ctx, th.as(authn.LinkToken), thiefsPassword, "", th.c))
		},
		"not me":      func() error { _, err := th.Enroll.NotMe(ctx, th.as(authn.LinkToken)); return err },
		"secure":      func() error { _, err := th.Enroll.Secure(ctx, th.as(authn.LinkToken), th.c); return err },
		"step up":     func() error { return th.noSession(th.SignIn.StepUp(ctx, th.as(authn.SessionToken), "", "", th.c)) },
		"step up 2":   func() error { return th.noSession(th.SignIn.StepUp(ctx, th.attempt().Token, "", "", th.c)) },
		"ready":       func() error { return th.Enroll.Ready(ctx, th.who()) },
		"show":        func() error { _, err := th.Enroll.Show(ctx, th.who(), th.factor()); return err },
		"send":        func() error { _, err := th.Enroll.Send(ctx, th.who(), th.factor()); return err },
		"remove":      func() error { _, err := th.Enroll.Remove(ctx, th.who(), th.factor()); return err },
		"rename":      func() error { _, err := th.Enroll.Rename(ctx, th.who(), th.factor(), "mine"); return err },
		"prefer":      func() error { _, err := th.Enroll.Prefer(ctx, th.who(), th.factor()); return err },
		"new codes":   func() error { _, err := th.Enroll.NewCodes(ctx, th.who()); return err },
		"shown codes": func() error { _, _, err := th.Enroll.ShownCodes(ctx, th.who()); return err },
		"new address": func() error { _, err := th.Enroll.BeginEmail(ctx, th.who(), "thief@evil.example"); return err },
		"change password": func() error {
			_, err := th.Enroll.ChangePassword(ctx, th.who(), sallyporttest.Password, thiefsPassword)
			return err
		},
		"confirm": func() error {
			_, err := th.Enroll.Confirm(ctx, th.who(), th.factor(), 0, authn.Answer{Code: th.wrong()})
			return err
		},
		"check session": func() error {
			_, err := th.Sessions.Check(ctx, th.as(authn.SessionToken).Reveal(), th.c)
			return err
		},
		"check attempt": func() error { _, err := th.Sessions.Check(ctx, th.attempt().Token.Reveal(), th.c); return err },
		"sign out others": func() error {
			return th.Sessions.SignOutOthers(ctx, th.as(authn.SessionToken), th.c)
		},
		"profile": func() error {
			name := "Thief"
			_, err := th.Directory.UpdateProfile(ctx, th.as(authn.SessionToken), nil, directory.Profile{Name: &name})
			return err
		},
	}
	for _, k := range everyKind {
		m["challenge "+string(k)] = func() error {
			st, _, err := th.SignIn.Challenge(ctx, th.opener(), k, th.factor())
			return th.noSession(st, err)
		}
		m["verify "+string(k)] = func() error {
			st, err := th.SignIn.Verify(ctx, th.opener(), signin.Verify{Method: k, Factor: th.factor(), Answer: th.answer(k)})
			if err == nil {
				th.failf("a guess at %s was right", k)
			}
			return th.noSession(st, err)
		}
		m["begin set-up of "+string(k)] = func() error { _, err := th.Enroll.Begin(ctx, th.who(), k, th.factor()); return err }
	}
	return m
}

// mayPass are the moves that can answer without an error.
func mayPass(name string) bool {
	return name == "begin" || name == "get" || strings.HasPrefix(name, "challenge ")
}

func (th *thief) noSession(st signin.Status, err error) error {
	if st.Session != nil || !st.SessionToken.IsZero() {
		th.failf("a session: %+v", st.Attempt)
	}
	if err == nil && (st.Need.State == authn.Complete || st.Need.State == authn.Ready || st.Need.State == authn.NeedEnrolment || st.Need.State == authn.NeedPasswordChange) {
		th.failf("the attempt is at %s", st.Need.State)
	}
	return err
}

func (th *thief) do(name string) {
	err := th.moves()[name]()
	th.log = append(th.log, fmt.Sprintf("%s: %v", name, err))
	if err == nil && !mayPass(name) {
		th.failf("%s answers without an error", name)
	}
	if authn.AsError(orCode(err)).Code == authn.Internal {
		th.failf("%s: %v", name, err)
	}
	th.check(name)
}

func orCode(err error) error {
	if err == nil {
		return authn.Code("none")
	}
	return err
}

// owners are the states that a person can be in when their password is stolen.
var owners = map[string]func(w world, login string) sallyporttest.Person{
	"nothing, a verified address": func(w world, login string) sallyporttest.Person { return w.AddUser(w.t, w.Company, login, false) },
	"nothing, no address": func(w world, login string) sallyporttest.Person {
		return w.addUser(directory.NewUser{Login: login})
	},
	"nothing, an unverified address": func(w world, login string) sallyporttest.Person {
		return w.addUser(directory.NewUser{Login: login, Email: login + "@acme.example"})
	},
	"nothing, an address changed today": func(w world, login string) sallyporttest.Person {
		p := w.AddUser(w.t, w.Company, login, false)
		w.put(p, func(u *authn.User) { u.EmailChangedAt = w.Clock.Now().Add(-time.Hour) })
		return p
	},
	"an app": func(w world, login string) sallyporttest.Person { return w.AddUser(w.t, w.Company, login, true) },
	"an app, disabled": func(w world, login string) sallyporttest.Person {
		p := w.AddUser(w.t, w.Company, login, true)
		w.lock(p, p.Factor)
		return p
	},
	"an app, asleep": func(w world, login string) sallyporttest.Person {
		p := w.AddUser(w.t, w.Company, login, true)
		rows := w.rows(p)
		f := *rows.Factor(p.Factor)
		f.State = authn.Asleep
		w.decide(p, authn.PutFactor{Factor: f})
		return p
	},
	"a role with a minimum strength": func(w world, login string) sallyporttest.Person {
		return w.addUser(directory.NewUser{Login: login, Email: login + "@acme.example", Verified: true, Roles: []string{directory.Administrator}})
	},
	"a role that the app is too weak for": func(w world, login string) sallyporttest.Person {
		p := w.addUser(directory.NewUser{Login: login, Email: login + "@acme.example", Verified: true, Roles: []string{directory.Owner}})
		p.Factor, p.Secret = w.AddApp(w.t, p.User)
		w.addCodes(p)
		return p
	},
	"codes by e-mail as their way": func(w world, login string) sallyporttest.Person {
		p := w.AddUser(w.t, w.Company, login, false)
		w.addFactor(p, authn.Email)
		return p
	},
	"backup codes only": func(w world, login string) sallyporttest.Person {
		p := w.AddUser(w.t, w.Company, login, true)
		w.lock(p, p.Factor)
		w.addCodes(p)
		return p
	},
	"just invited again": func(w world, login string) sallyporttest.Person {
		p := w.AddUser(w.t, w.Company, login, false)
		if _, err := w.Directory.Reinvite(context.Background(), w.Company, p.ID, true); err != nil {
			w.t.Fatal(err)
		}
		return p
	},
	"a help code waiting": func(w world, login string) sallyporttest.Person {
		p := w.AddUser(w.t, w.Company, login, true)
		if _, _, err := w.Directory.BypassCode(context.Background(), w.Company, p.ID); err != nil {
			w.t.Fatal(err)
		}
		return p
	},
	"secured": func(w world, login string) sallyporttest.Person {
		p := w.AddUser(w.t, w.Company, login, false)
		w.put(p, func(u *authn.User) { u.SecuredAt = w.Clock.Now() })
		return p
	},
}

// TestStolenPassword_rul1_rul2_cve49_cve50: with the right password, from an
// unknown browser, every call in every order ends in nothing: no session, no
// factor, no changed contact, no changed password.
func TestStolenPassword_rul1_rul2_cve49_cve50(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SALLYPORT_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SALLYPORT_TEST_SEED=%d", seed)
	seeds, steps := 5, 120
	if s := os.Getenv("SALLYPORT_TEST_SEEDS"); s != "" {
		seeds, _ = strconv.Atoi(s)
	}
	for name, owner := range owners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setPolicy(policy.Document{Format: 1, TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}, GraceDays: 14,
				Strength: map[string]policy.Strength{directory.Administrator: policy.OwnPossession, directory.Owner: policy.PhishingResistant}})
			for i := range seeds {
				th := &thief{world: w, t: t, r: rand.New(rand.NewPCG(seed, uint64(i))), c: browser(fmt.Sprint("thief", i))}
				th.p = owner(w, fmt.Sprint("owner", i))
				for _, f := range w.rows(th.p).Factors {
					th.known = append(th.known, f.ID)
				}
				th.was = th.standing()
				var names []string
				for name := range th.moves() {
					names = append(names, name)
				}
				slices.Sort(names)
				if i == 0 { // each once with nothing
					for _, name := range names {
						th.do(name)
					}
				}
				th.do("begin")
				if i == 0 { // and with an attempt
					for _, name := range names {
						th.do(name)
					}
				}
				for range steps {
					switch n := th.r.IntN(len(names) + 12); {
					case n < len(names):
						th.do(names[n])
					case n < len(names)+8:
						th.do("begin")
					case n < len(names)+10: // the mark of ruling 10 would end the game early
						w.put(th.p, func(u *authn.User) { u.WrongInRow, u.WrongInMonth, u.PasswordKnownAt = 0, 0, time.Time{} })
					default:
						w.Clock.Advance([]time.Duration{5 * time.Second, 40 * time.Second, 3 * time.Minute, 20 * time.Minute}[th.r.IntN(4)])
					}
				}
				if len(th.tries) < 2 {
					th.failf("the password opened %d attempts: the test plays nothing", len(th.tries))
				}
			}
		})
	}
}

// The same under the usual policy, for who set up a way: nothing is demanded of
// the person, and the password alone opens nothing (requirement F2).
func TestStolenPassword_F2_on(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.addCodes(p)
	th := &thief{world: w, t: t, r: rand.New(rand.NewPCG(7, 7)), c: browser("thief"), p: p, known: []string{p.Factor}}
	th.was = th.standing()
	th.do("begin")
	for range 3 {
		for name := range th.moves() {
			th.do(name)
		}
		w.Clock.Advance(time.Hour)
		th.do("begin")
	}
}
