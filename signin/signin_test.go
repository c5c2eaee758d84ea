package signin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

type world struct {
	*sallyporttest.Server
	t *testing.T
}

func newWorld(t *testing.T) world { return world{sallyporttest.NewServer(t), t} }

// browser is a client with a browser cookie of its own.
func browser(name string) authn.Client {
	return authn.Client{Browser: "browser-cookie-of-" + name, Agent: "Chrome on Linux"}
}

func (w world) begin(login, password string, c authn.Client) (signin.Status, error) {
	return w.SignIn.Begin(context.Background(), signin.Begin{Company: "acme", Login: login, Password: password, Client: c})
}

func (w world) mustBegin(p sallyporttest.Person, c authn.Client) signin.Status {
	w.t.Helper()
	st, err := w.begin(p.Login, sallyporttest.Password, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w world) verify(st signin.Status, code string, c authn.Client) (signin.Status, error) {
	return w.SignIn.Verify(context.Background(), signin.OpenerOf(st.Token, c),
		signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: code}})
}

// signIn takes a person all the way in, with a code that was not used before.
func (w world) signIn(p sallyporttest.Person, c authn.Client) signin.Status {
	w.t.Helper()
	st, err := w.verify(w.mustBegin(p, c), w.Code(w.t, p.Secret), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Clock.Advance(30 * time.Second)
	return st
}

func code(err error) authn.Code {
	if err == nil {
		return ""
	}
	return authn.AsError(err).Code
}

func TestPasswordThenCode_F1_F2(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(p, browser("b"))
	if st.Attempt.State != authn.NeedFactor || st.Session != nil || len(st.Need.Offers) != 1 || st.Need.Offers[0].Factor != p.Factor {
		t.Fatalf("%+v", st)
	}
	if got := st.Attempt.ExpiresAt.Sub(w.Clock.Now()); got != 15*time.Minute {
		t.Errorf("attempt lives %v (rul-45)", got)
	}
	done, err := w.verify(st, w.Code(t, p.Secret), browser("b"))
	if err != nil {
		t.Fatal(err)
	}
	if done.Attempt.State != authn.Complete || done.Session == nil || done.Session.ACR != authn.AAL2 ||
		strings.Join(done.Session.AMR, " ") != "pwd otp" || !done.Session.FactorTime.Equal(w.Clock.Now()) {
		t.Fatalf("%+v %+v", done.Attempt, done.Session)
	}
	cur, err := w.Sessions.Check(t.Context(), done.SessionToken.Reveal(), browser("b"))
	if err != nil || cur.User.ID != p.ID {
		t.Fatalf("%v %v", cur.User.ID, err)
	}
	// rul-7: seeing a completed attempt gives no session again.
	again, err := w.SignIn.Get(t.Context(), signin.OpenerOf(st.Token, browser("b")))
	if err != nil || again.Session != nil || !again.SessionToken.IsZero() || again.Attempt.State != authn.Complete {
		t.Errorf("%+v %v", again, err)
	}
}

func TestPasswordOnly(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "omar", false)
	st := w.mustBegin(p, browser("b"))
	if st.Attempt.State != authn.Complete || st.Session == nil || st.Session.ACR != authn.AAL1 || !st.Session.FactorTime.IsZero() {
		t.Fatalf("%+v", st)
	}
	// Once the company requires it the password alone is no longer enough (F2),
	// and nobody enrols on it (rul-1).
	w.SetTwoFactor(t, "acme", policy.Required)
	st = w.mustBegin(p, browser("b"))
	if st.Attempt.State != authn.NeedFactor || st.Session != nil || len(st.Need.Offers) != 1 || !st.Need.Offers[0].Fallback {
		t.Fatalf("%+v", st)
	}
	if _, err := w.verify(st, "123456", browser("b")); code(err) != authn.Invalid {
		t.Errorf("%v", err)
	}
	// Off: no method is offered and factors sleep (G1).
	w.AddApp(t, p.User)
	w.SetTwoFactor(t, "acme", policy.Off)
	if st = w.mustBegin(p, browser("b")); st.Attempt.State != authn.Complete || st.Session.ACR != authn.AAL1 {
		t.Errorf("%+v", st)
	}
}

// The policy as it is when the attempt completes decides (rul-25).
func TestPolicyChangesMeanwhile(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(p, browser("b"))
	w.SetTwoFactor(t, "acme", policy.Off)
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("b")); code(err) != authn.Invalid {
		t.Errorf("a sleeping factor was accepted: %v", err)
	}
	w.SetTwoFactor(t, "acme", policy.On)
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("b")); err != nil {
		t.Error(err)
	}
}

func TestSpellings_A4(t *testing.T) {
	w := newWorld(t)
	for i, spell := range []func(string) string{
		func(c string) string { return c[:3] + " " + c[3:] },
		func(c string) string { return c[:2] + "-" + c[2:4] + "–" + c[4:] },
		func(c string) string { return " \u00a0" + c + " " },
		func(c string) string {
			return strings.Map(func(r rune) rune { return r - '0' + '０' }, c) // full width
		},
		func(c string) string { return strings.Map(func(r rune) rune { return r - '0' + '٠' }, c) },
	} {
		p := w.AddUser(t, w.Company, fmt.Sprintf("p%d", i), true)
		st := w.mustBegin(p, browser("b"))
		right := w.Code(t, p.Secret)
		if _, err := w.verify(st, spell(right), browser("b")); err != nil {
			t.Errorf("%q: %v", spell(right), err)
		}
		// cve-17: another spelling of the same code is the same code.
		if _, err := w.verify(w.mustBegin(p, browser("b")), right, browser("b")); code(err) != authn.CodeUsed {
			t.Errorf("used code in another spelling: %v", err)
		}
	}
}

func TestMalformedCostsNothing_rul44_cve40(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(p, browser("b"))
	for _, c := range []string{"", " ", "12345", "1234567", strings.Repeat("1", 5000), "abcdef", "12345a", "\x00\x00\x00\x00\x00\x00", "\xff\xfe", "-12345", "+12345", "1e5000"} {
		if _, err := w.verify(st, c, browser("b")); code(err) != authn.Invalid {
			t.Errorf("%.20q: %v", c, err)
		}
	}
	if n := w.tries(p); n != 0 {
		t.Errorf("%d tries charged for malformed codes", n)
	}
}

// tries reads the strangers' count through a fresh look-up (cve-9).
func (w world) tries(p sallyporttest.Person) int {
	w.t.Helper()
	_, factors, err := w.Directory.Lookup(context.Background(), w.Company, p.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range factors {
		if f.ID == p.Factor {
			return f.Counts[authn.Stranger].Tries
		}
	}
	w.t.Fatal("no such factor")
	return 0
}

func TestReplay_cve23_std24(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	now := w.Clock.Now()
	next, this := sallyporttest.CodeAt(t, p.Secret, now.Add(30*time.Second)), w.Code(t, p.Secret)
	if _, err := w.verify(w.mustBegin(p, browser("b")), next, browser("b")); err != nil {
		t.Fatal(err) // one step ahead is tolerated
	}
	for _, c := range []string{next, this, sallyporttest.CodeAt(t, p.Secret, now.Add(-30*time.Second))} {
		if _, err := w.verify(w.mustBegin(p, browser("b")), c, browser("b")); code(err) != authn.CodeUsed {
			t.Errorf("T+1 accepted, then %s: %v", c, err)
		}
	}
	if n := w.tries(p); n != 0 {
		t.Errorf("used codes were charged: %d", n)
	}
	// cve-73: a clock that was set back does not revive a code.
	w.Clock.Advance(-10 * time.Minute)
	if _, err := w.verify(w.mustBegin(p, browser("b")), next, browser("b")); err == nil {
		t.Error("accepted again after the clock went back")
	}
	w.Clock.Advance(12 * time.Minute)
	if _, err := w.verify(w.mustBegin(p, browser("b")), w.Code(t, p.Secret), browser("b")); err != nil {
		t.Errorf("a new code is refused: %v", err)
	}
}

func TestWindow_std69(t *testing.T) {
	w := newWorld(t)
	for steps, ok := range map[int]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		p := w.AddUser(t, w.Company, fmt.Sprintf("w%d", steps), true)
		c := sallyporttest.CodeAt(t, p.Secret, w.Clock.Now().Add(time.Duration(steps)*30*time.Second))
		_, err := w.verify(w.mustBegin(p, browser("b")), c, browser("b"))
		if ok != (err == nil) || !ok && code(err) != authn.WrongCode {
			t.Errorf("step %+d: %v", steps, err)
		}
	}
}

// cve-24: a hundred submits of one code, from many attempts, give one session.
func TestRace_invA(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	const n = 100
	attempts := make([]signin.Status, n)
	for i := range attempts {
		attempts[i] = w.mustBegin(p, browser("b"))
	}
	c := w.Code(t, p.Secret)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			st, err := w.verify(attempts[i%50], c, browser("b")) // two submits of each attempt
			switch {
			case err == nil && st.Session != nil:
				won.Add(1)
			case code(err) != authn.CodeUsed && code(err) != authn.Conflict:
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d sessions of one code", won.Load())
	}
}

// cve-1, cve-4: 200 half-logins and 500 guesses at once evaluate ten.
func TestGuessing_invB(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	attempts := make([]signin.Status, 200)
	for i := range attempts {
		attempts[i] = w.mustBegin(p, browser(fmt.Sprint(i)))
	}
	bad := w.WrongCode(t, p.Secret)
	var evaluated, paused atomic.Int32
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			_, err := w.verify(attempts[i%200], bad, browser(fmt.Sprint(i%200)))
			switch code(err) {
			case authn.WrongCode:
				evaluated.Add(1)
			case authn.Paused:
				paused.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if evaluated.Load() != policy.FreeTries || paused.Load() != 500-policy.FreeTries {
		t.Errorf("%d evaluated, %d paused", evaluated.Load(), paused.Load())
	}
	// Even the right code is not evaluated during the pause, and costs nothing.
	if _, err := w.verify(attempts[0], w.Code(t, p.Secret), browser("0")); code(err) != authn.Paused {
		t.Errorf("%v", err)
	}
	if n := w.tries(p); n != policy.FreeTries {
		t.Errorf("count is %d", n)
	}
}

func TestPausesAndLock_decision2_std11(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "tom", true)
	for i := 1; i <= authn.ShareStranger; i++ {
		w.Clock.Advance(policy.LongestPause)
		st := w.reopen(p)
		_, err := w.verify(st, w.WrongCode(t, p.Secret), browser("stranger"))
		e := authn.AsError(err)
		if e.Code != authn.WrongCode || !e.HasLeft || e.AttemptsLeft != max(policy.FreeTries-i, 0) {
			t.Fatalf("try %d: %+v", i, e)
		}
		if want := policy.LockoutOf(&authn.Rows{}, time.Time{}).Pause(i); e.RetryAfter != want {
			t.Fatalf("try %d: pause %v, want %v", i, e.RetryAfter, want)
		}
	}
	// The share is used up: even a right code, days later, is refused …
	w.Clock.Advance(100 * time.Hour)
	st := w.reopen(p)
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("stranger")); code(err) != authn.Locked {
		t.Errorf("%v", err)
	}
	if !st.Need.Offers[0].Locked {
		t.Error("the offer does not say that it is locked")
	}
}

// reopen gives a stranger's attempt although the password is marked as known
// to others, by clearing the mark: this test is about the factor's own count.
func (w world) reopen(p sallyporttest.Person) signin.Status {
	w.t.Helper()
	now := w.Clock.Now()
	err := w.Store.Decide(context.Background(), authn.Keys{Company: w.Company.ID, User: p.ID, Now: now}, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.PasswordKnownAt, u.WrongInRow, u.WrongInMonth = time.Time{}, 0, 0
		return authn.Continue(authn.PutUser{User: u})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.mustBegin(p, browser("stranger"))
}

// std-13: the right password between does not reset the code's count, a right
// code does.
func TestResetOnlyOwnCount(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	for range 9 {
		st := w.mustBegin(p, browser("b"))
		if _, err := w.verify(st, w.WrongCode(t, p.Secret), browser("b")); code(err) != authn.WrongCode {
			t.Fatal(err)
		}
	}
	if n := w.tries(p); n != 9 {
		t.Fatalf("count %d", n)
	}
	w.signIn(p, browser("b"))
	if n := w.tries(p); n != 0 {
		t.Errorf("count %d after a right code", n)
	}
}

// rul-10: strangers with the password can neither close the owner's lane nor
// slow it, and what they did marks the password.
func TestTwoLanes_rul10(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	own, thief := browser("own"), browser("thief")
	w.signIn(p, own)
	attempts := make([]signin.Status, 3)
	for i := range attempts {
		attempts[i] = w.mustBegin(p, thief)
	}
	for i := range policy.KnownAfterRow {
		if _, err := w.verify(attempts[i%3], w.WrongCode(t, p.Secret), thief); code(err) != authn.WrongCode {
			t.Fatal(err)
		}
	}
	// The password is known to others now: it opens nothing for strangers, and
	// they learn no more than from a wrong one.
	if _, err := w.begin("maya", sallyporttest.Password, thief); code(err) != authn.WrongCredentials {
		t.Errorf("%v", err)
	}
	st := w.mustBegin(p, own)
	if st.Lane != authn.Known || st.Need.Offers[0].Locked || !st.Need.Offers[0].PausedUntil.IsZero() {
		t.Errorf("the owner's lane is not free: %+v", st.Need.Offers)
	}
	if _, err := w.verify(st, w.Code(t, p.Secret), own); err != nil {
		t.Errorf("the owner is kept out: %v", err)
	}
	u, _, err := w.Directory.Lookup(t.Context(), w.Company, "maya")
	if err != nil || u.PasswordKnownAt.IsZero() {
		t.Errorf("not marked: %v", err)
	}
	if !w.hasEvent(p, "password.known_to_others") {
		t.Error("no event")
	}
	// A new password takes the mark back.
	if err := w.Directory.SetPassword(t.Context(), w.Company, p.ID, "an entirely new secret phrase"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.begin("maya", "an entirely new secret phrase", thief); err != nil {
		t.Errorf("%v", err)
	}
}

func (w world) hasEvent(p sallyporttest.Person, typ string) bool {
	w.t.Helper()
	events, err := w.Audit.Events(context.Background(), w.Company.ID, authn.EventQuery{Target: p.ID, Limit: 200})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		if e.Type == typ {
			return true
		}
	}
	return false
}

// F5, decision 9: the password's own pause holds for strangers only, and is
// the same for a name that nobody has (inv-J, cve-62).
func TestWrongPasswords_F5(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.signIn(p, browser("own"))
	for _, login := range []string{"maya", "nobody-of-that-name"} {
		var pauses []time.Duration
		for i := range 14 {
			_, err := w.begin(login, "not the password", browser("thief"))
			e := authn.AsError(err)
			if i < policy.FreeTries && e.Code != authn.WrongCredentials {
				t.Fatalf("%s, try %d: %v", login, i, err)
			}
			if i >= policy.FreeTries {
				if e.Code != authn.Paused {
					t.Fatalf("%s, try %d: %v", login, i, err)
				}
				pauses = append(pauses, e.RetryAfter)
			}
		}
		for _, d := range pauses {
			if d != policy.FirstPause {
				t.Errorf("%s: pause %v: a try during a pause was counted", login, d)
			}
		}
	}
	// The right password of a paused lane is not evaluated.
	if _, err := w.begin("maya", sallyporttest.Password, browser("thief")); code(err) != authn.Paused {
		t.Errorf("%v", err)
	}
	if _, err := w.begin("maya", sallyporttest.Password, browser("own")); err != nil {
		t.Errorf("the known browser is slowed: %v", err)
	}
	w.Clock.Advance(policy.FirstPause)
	if _, err := w.begin("maya", sallyporttest.Password, browser("thief")); err != nil {
		t.Errorf("a password was disabled by guesses: %v", err)
	}
}

// cve-15, cve-16: every spelling and alias leads to the same count.
func TestAliasesShareOneCount(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "Mayá", true)
	spellings := []string{"Mayá", "mayá", "MAYÁ", " mayá ", "maya\u0301", "Ｍayá", "mayá@acme.example", "MAYÁ@ACME.example"}
	for i := range policy.FreeTries {
		if _, err := w.begin(spellings[i%len(spellings)], "wrong password", browser("x")); code(err) != authn.WrongCredentials {
			t.Fatalf("%s: %v", spellings[i%len(spellings)], err)
		}
	}
	for _, s := range spellings {
		if _, err := w.begin(s, "wrong password", browser("x")); code(err) != authn.Paused {
			t.Errorf("%s has a count of its own: %v", s, err)
		}
	}
	_ = p
}

func TestUnverifiedEmailSignsNobodyIn_rul5(t *testing.T) {
	w := newWorld(t)
	_, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "eve", Email: "eve@acme.example", Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.begin("eve@acme.example", sallyporttest.Password, browser("b")); code(err) != authn.WrongCredentials {
		t.Errorf("%v", err)
	}
	if _, err := w.begin("eve", sallyporttest.Password, browser("b")); err != nil {
		t.Error(err)
	}
}

func TestSuspended_cve54(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	half := w.mustBegin(p, browser("b"))
	in := w.signIn(p, browser("b"))
	if err := w.Directory.SetStatus(t.Context(), w.Company, p.ID, authn.Suspended); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Sessions.Check(t.Context(), in.SessionToken.Reveal(), browser("b")); code(err) != authn.Unauthenticated {
		t.Errorf("session lives on: %v", err)
	}
	if _, err := w.verify(half, w.Code(t, p.Secret), browser("b")); err == nil {
		t.Error("half-login completed (cve-7)")
	}
	if _, err := w.begin("maya", sallyporttest.Password, browser("c")); code(err) != authn.WrongCredentials {
		t.Errorf("a suspended person is told apart: %v", err)
	}
}

func TestExpiredAndForeignAttempts_F4(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(p, browser("b"))
	byBrowser := signin.Opener{Company: w.Company.ID, Attempt: st.Attempt.ID, Client: browser("b")}
	if _, err := w.SignIn.Get(t.Context(), byBrowser); err != nil {
		t.Errorf("the browser that began it cannot open it: %v", err)
	}
	for name, o := range map[string]signin.Opener{
		"another browser": {Company: w.Company.ID, Attempt: st.Attempt.ID, Client: browser("c")},
		"no browser":      {Company: w.Company.ID, Attempt: st.Attempt.ID},
		"wrong secret":    {Company: w.Company.ID, Attempt: st.Attempt.ID, Token: authn.NewToken(authn.AttemptToken, w.Company.ID, st.Attempt.ID, rng{7})},
	} {
		if _, err := w.SignIn.Get(t.Context(), o); code(err) != authn.NotFound {
			t.Errorf("%s: %v", name, err)
		}
		_, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, p.Secret)}})
		if code(err) != authn.NotFound {
			t.Errorf("%s: verify: %v", name, err)
		}
	}
	w.Clock.Advance(15 * time.Minute)
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("b")); code(err) != authn.Expired {
		t.Errorf("%v", err)
	}
	if n := w.tries(p); n != 0 {
		t.Errorf("an expired attempt was charged: %d", n)
	}
}

type rng struct{ b byte }

func (r rng) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.b
	}
	return len(p), nil
}

// rul-49: an answer to an older form is not evaluated.
func TestStaleForm(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(p, browser("b"))
	v := signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.WrongCode(t, p.Secret)}, Version: st.Attempt.Version}
	o := signin.OpenerOf(st.Token, browser("b"))
	if _, err := w.SignIn.Verify(t.Context(), o, v); code(err) != authn.WrongCode {
		t.Fatal(err)
	}
	for range 5 { // Reload
		if _, err := w.SignIn.Verify(t.Context(), o, v); code(err) != authn.Conflict {
			t.Errorf("%v", err)
		}
	}
	if n := w.tries(p); n != 1 {
		t.Errorf("charged %d times for one answer", n)
	}
}

// std-51: a code given to one attempt does not finish another; here: the
// attempt's own token is worth nothing elsewhere.
func TestTwoPeople_cve57(t *testing.T) {
	w := newWorld(t)
	a, b := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "omar", true)
	st := w.mustBegin(a, browser("a"))
	if _, err := w.verify(st, w.Code(t, b.Secret), browser("a")); code(err) != authn.WrongCode {
		t.Errorf("a code of another person: %v", err)
	}
	_, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, browser("a")),
		signin.Verify{Method: authn.TOTP, Factor: b.Factor, Answer: authn.Answer{Code: w.Code(t, b.Secret)}})
	if code(err) != authn.Invalid {
		t.Errorf("a factor of another person: %v", err)
	}
	if n := w.tries(b); n != 0 {
		t.Errorf("the other person was charged: %d", n)
	}
}

func TestTwoCompanies(t *testing.T) {
	w := newWorld(t)
	other := w.AddCompany(t, "other", "Other Ltd")
	p := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(p, browser("b"))
	o := signin.Opener{Company: other.ID, Attempt: st.Attempt.ID, Token: st.Token, Client: browser("b")}
	if _, err := w.SignIn.Get(t.Context(), o); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
	if _, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "other", Login: "maya", Password: sallyporttest.Password}); code(err) != authn.WrongCredentials {
		t.Errorf("%v", err)
	}
	// rul-5: with two companies there is no "only" one.
	if _, err := w.SignIn.Begin(t.Context(), signin.Begin{Login: "maya", Password: sallyporttest.Password}); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
}

func TestStepUp_I1_std53(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	in := w.signIn(p, browser("b"))
	w.Clock.Advance(20 * time.Minute)
	st, err := w.SignIn.StepUp(t.Context(), in.SessionToken, "", "/account/security", browser("b"))
	if err != nil || st.Attempt.State != authn.NeedFactor {
		t.Fatalf("%+v %v", st.Attempt, err)
	}
	// The password does not stand in for the factor (rul-26, cve-74).
	_, err = w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, browser("b")),
		signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: sallyporttest.Password}})
	if code(err) != authn.Invalid {
		t.Errorf("%v", err)
	}
	// cve-18: guesses are charged like any other.
	if _, err := w.verify(st, w.WrongCode(t, p.Secret), browser("b")); code(err) != authn.WrongCode {
		t.Error(err)
	}
	done, err := w.verify(st, w.Code(t, p.Secret), browser("b"))
	if err != nil {
		t.Fatal(err)
	}
	if !done.Session.FactorTime.Equal(w.Clock.Now()) || !done.Session.AuthTime.Equal(in.Session.AuthTime) || !done.Session.ExpiresAt.Equal(in.Session.ExpiresAt) {
		t.Errorf("%+v", done.Session)
	}
	if _, err := w.Sessions.Check(t.Context(), in.SessionToken.Reveal(), browser("b")); code(err) != authn.Unauthenticated {
		t.Errorf("the old token lives on: %v", err)
	}
	if cur, err := w.Sessions.Check(t.Context(), done.SessionToken.Reveal(), browser("b")); err != nil || cur.Session.ACR != authn.AAL2 {
		t.Errorf("%v %v", cur.Session.ACR, err)
	}
}

func TestStepUpByPassword_rul1(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "omar", false)
	in := w.mustBegin(p, browser("b"))
	st, err := w.SignIn.StepUp(t.Context(), in.SessionToken, "", "", browser("b"))
	if err != nil || st.Attempt.State != authn.NeedPassword {
		t.Fatalf("%+v %v", st.Attempt, err)
	}
	answer := func(pw string) (signin.Status, error) {
		return w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, browser("b")),
			signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: pw}})
	}
	if _, err := answer("wrong password"); code(err) != authn.WrongCredentials {
		t.Errorf("%v", err)
	}
	done, err := answer(sallyporttest.Password)
	if err != nil || done.Session.ACR != authn.AAL1 || !done.Session.FactorTime.IsZero() || !done.Session.ConfirmedAt.Equal(w.Clock.Now()) {
		t.Errorf("%+v %v", done.Session, err)
	}
	// A step-up outlives neither its session nor sign-out.
	st, err = w.SignIn.StepUp(t.Context(), done.SessionToken, "", "", browser("b"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Sessions.SignOut(t.Context(), done.SessionToken, browser("b")); err != nil {
		t.Fatal(err)
	}
	if _, err := answer(sallyporttest.Password); code(err) != authn.Expired {
		t.Errorf("%v", err)
	}
}

// inv-I: whatever fails, the answer is no.
func TestFailingStore_invI(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(p, browser("b"))
	pw, tp := sallyporttest.Methods(t)
	broken := errors.New("disk on fire")
	for after := range 4 {
		s, err := signin.New(signin.Config{Store: &brokenStore{Store: w.Store, after: after, err: broken}, Methods: []authn.Method{pw, tp}, Now: w.Clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password})
		if after < 3 && (err == nil || got.Session != nil || !got.Token.IsZero()) {
			t.Errorf("after %d calls: %+v %v", after, got.Attempt, err)
		}
	}
	s, err := signin.New(signin.Config{Store: &brokenStore{Store: w.Store, err: broken}, Methods: []authn.Method{pw, tp}, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Verify(t.Context(), signin.OpenerOf(st.Token, browser("b")), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, p.Secret)}})
	if err == nil || got.Session != nil {
		t.Errorf("%+v %v", got, err)
	}
}

type brokenStore struct {
	signin.Store
	after int
	err   error
}

func (b *brokenStore) fail() error {
	if b.after--; b.after < 0 {
		return b.err
	}
	return nil
}

func (b *brokenStore) Decide(ctx context.Context, k authn.Keys, f func(*authn.Rows) authn.Verdict) error {
	if err := b.fail(); err != nil {
		return err
	}
	return b.Store.Decide(ctx, k, f)
}

func (b *brokenStore) CompanyBySlug(ctx context.Context, slug string) (authn.Company, error) {
	if err := b.fail(); err != nil {
		return authn.Company{}, err
	}
	return b.Store.CompanyBySlug(ctx, slug)
}

func TestNewRefusesBadConfig(t *testing.T) {
	pw, tp := sallyporttest.Methods(t)
	w := newWorld(t)
	for name, c := range map[string]signin.Config{
		"no store":    {Methods: []authn.Method{pw, tp}},
		"no password": {Store: w.Store, Methods: []authn.Method{tp}},
		"twice":       {Store: w.Store, Methods: []authn.Method{pw, tp, tp}},
	} {
		if _, err := signin.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// rul-6: a flood of refusals is counted, not listed.
func TestRefusalsAreCounted_rul6(t *testing.T) {
	w := newWorld(t)
	for i := range 100 {
		if _, err := w.begin(fmt.Sprintf("nobody-%d", i), "wrong password", browser("x")); code(err) != authn.WrongCredentials {
			t.Fatal(err)
		}
	}
	if err := w.SignIn.FlushRefusals(t.Context()); err != nil {
		t.Fatal(err)
	}
	events, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	listed, counted := 0, ""
	for _, e := range events {
		switch e.Type {
		case "sign_in.refused":
			listed++
			if e.Personal.Detail["reason"] != "unknown" {
				t.Errorf("%+v", e.Personal)
			}
		case "sign_in.refusals_counted":
			counted = e.Personal.Detail[string(authn.WrongCredentials)]
		}
		if strings.Contains(fmt.Sprint(e), "nobody-") {
			t.Error("an unknown login name was stored")
		}
	}
	if listed != 60 || counted != "40" {
		t.Errorf("%d listed, %q counted", listed, counted)
	}
}

// F2, cve-53, rul-52: a session that showed less than policy asks now is over.
func TestPolicyEndsWeakSessions(t *testing.T) {
	w := newWorld(t)
	omar, maya := w.AddUser(t, w.Company, "omar", false), w.AddUser(t, w.Company, "maya", true)
	weak, strong := w.mustBegin(omar, browser("o")), w.signIn(maya, browser("m"))
	alive := func(st signin.Status) bool {
		_, err := w.Sessions.Check(t.Context(), st.SessionToken.Reveal(), authn.Client{})
		return err == nil
	}
	if !alive(weak) || !alive(strong) {
		t.Fatal("not signed in")
	}
	w.SetTwoFactor(t, "acme", policy.Required)
	if alive(weak) || !alive(strong) {
		t.Error("after two-factor became required")
	}
	w.SetTwoFactor(t, "acme", policy.Off)
	if !alive(weak) {
		t.Error("off: the password is enough")
	}
	// What someone with an app opened while it slept ends when it wakes.
	slept := w.mustBegin(maya, browser("n"))
	if slept.Session == nil || slept.Session.ACR != authn.AAL1 {
		t.Fatalf("%+v", slept.Attempt)
	}
	w.SetTwoFactor(t, "acme", policy.On)
	if alive(slept) || !alive(weak) {
		t.Error("after two-factor came back on")
	}
	if _, err := w.SignIn.StepUp(t.Context(), slept.SessionToken, "", "", browser("n")); code(err) != authn.Unauthenticated {
		t.Errorf("a dead session steps up: %v", err)
	}
}

// inv-I: a node that lacks the method does not let in those who have it.
func TestMethodNotRegistered(t *testing.T) {
	w := newWorld(t)
	w.AddUser(t, w.Company, "maya", true)
	pw, _ := sallyporttest.Methods(t)
	s, err := signin.New(signin.Config{Store: w.Store, Methods: []authn.Method{pw}, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Begin(t.Context(), signin.Begin{Login: "maya", Password: sallyporttest.Password})
	if err != nil || st.Session != nil || st.Attempt.State != authn.Denied {
		t.Errorf("%+v %v", st.Attempt, err)
	}
}

// busy is a password method whose gate is full while it is set.
type busy struct {
	authn.Method
	full bool
}

func (b *busy) Verify(ctx context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	if b.full {
		return authn.Match{Outcome: authn.Void}, &authn.Error{Code: authn.Busy}
	}
	return b.Method.Verify(ctx, r, a)
}

// rul-12: what the gate turned away was no guess. It is given back to the count
// that paid, and pauses nobody.
func TestFullGateIsNoGuess(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	if _, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "eve", Email: "eve@acme.example", Password: sallyporttest.Password}); err != nil {
		t.Fatal(err)
	}
	pw, tp := sallyporttest.Methods(t)
	gate := &busy{Method: pw}
	s, err := signin.New(signin.Config{Store: w.Store, Methods: []authn.Method{gate, tp}, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	begin := func(login, password string) authn.Code {
		_, err := s.Begin(t.Context(), signin.Begin{Login: login, Password: password, Client: browser("x")})
		return code(err)
	}
	for range 9 {
		if c := begin("eve", "wrong password"); c != authn.WrongCredentials {
			t.Fatal(c)
		}
	}
	gate.full = true
	for range 30 {
		// The address is not verified, so it leads to a count of its own, which must
		// not be where it is given back to.
		if c := begin("eve@acme.example", "wrong password"); c != authn.Busy {
			t.Fatal(c)
		}
		if c := begin("maya", sallyporttest.Password); c != authn.Busy {
			t.Fatal(c)
		}
	}
	gate.full = false
	if c := begin("maya", sallyporttest.Password); c != "" {
		t.Errorf("paused by a full gate: %s", c)
	}
	if c := begin("eve", "wrong password"); c != authn.WrongCredentials {
		t.Errorf("the tenth: %s", c)
	}
	if c := begin("eve", "wrong password"); c != authn.Paused {
		t.Errorf("the eleventh was evaluated: %s", c)
	}
	// A step-up's charge goes back to the lane that paid.
	for range 9 {
		if c := begin("maya", "wrong password"); c != authn.WrongCredentials {
			t.Fatal(c)
		}
	}
	_ = maya
	omar := w.AddUser(t, w.Company, "omar", false)
	in := w.mustBegin(omar, browser("own"))
	up, err := s.StepUp(t.Context(), in.SessionToken, "", "", browser("own"))
	if err != nil {
		t.Fatal(err)
	}
	gate.full = true
	for range 30 {
		_, err := s.Verify(t.Context(), signin.OpenerOf(up.Token, browser("elsewhere")), signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: sallyporttest.Password}})
		if code(err) != authn.Busy {
			t.Fatal(err)
		}
	}
	gate.full = false
	if _, err := s.Verify(t.Context(), signin.OpenerOf(up.Token, browser("own")), signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: sallyporttest.Password}}); err != nil {
		t.Errorf("%v", err)
	}
}

// rul-10: whoever once signed in here is a stranger again after the password
// was changed, and cannot use up the owner's lane.
func TestKnownBrowsersEnd(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	former, own := browser("former"), browser("own")
	w.signIn(p, former)
	w.signIn(p, own)
	if st := w.mustBegin(p, former); st.Lane != authn.Known {
		t.Fatal("not known")
	}
	if err := w.Directory.SetPassword(t.Context(), w.Company, p.ID, sallyporttest.Password+" anew"); err != nil {
		t.Fatal(err)
	}
	st, err := w.begin("maya", sallyporttest.Password+" anew", former)
	if err != nil || st.Lane != authn.Stranger {
		t.Errorf("%s %v", st.Lane, err)
	}
}

// rul-10: a program has no browser cookie, but whoever holds a session is no
// stranger, and strangers' guesses do not pause them.
func TestSessionsAreKnown(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "omar", false)
	in := w.mustBegin(p, authn.Client{})
	for range 12 {
		_, _ = w.begin("omar", "wrong password", authn.Client{})
	}
	if _, err := w.begin("omar", "wrong password", authn.Client{}); code(err) != authn.Paused {
		t.Fatal(err)
	}
	up, err := w.SignIn.StepUp(t.Context(), in.SessionToken, "", "", authn.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(up.Token, authn.Client{}), signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: sallyporttest.Password}}); err != nil {
		t.Errorf("paused by strangers: %v", err)
	}
}

// cve-73: a pause that a wrong clock made does not outlast the clock's repair.
func TestPauseOfAWrongClock(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.Clock.Advance(365 * 24 * time.Hour)
	st := w.mustBegin(p, browser("b"))
	for range policy.FreeTries {
		if _, err := w.verify(st, w.WrongCode(t, p.Secret), browser("b")); code(err) != authn.WrongCode {
			t.Fatal(err)
		}
	}
	for range policy.FreeTries {
		_, _ = w.begin("maya", "wrong password", browser("c"))
	}
	w.Clock.Advance(-365 * 24 * time.Hour)
	if err := w.Directory.SetPassword(t.Context(), w.Company, p.ID, sallyporttest.Password); err != nil {
		t.Fatal(err) // takes back the mark of rul-10
	}
	st = w.mustBegin(p, browser("b"))
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("b")); err != nil {
		t.Errorf("paused for a year: %v", err)
	}
}

// Policy asks less than when the attempt began: nothing is left to answer.
func TestPolicyOffMidAttempt(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	st := w.mustBegin(p, browser("b"))
	w.SetTwoFactor(t, "acme", policy.Off)
	o := signin.OpenerOf(st.Token, browser("b"))
	if now, err := w.SignIn.Get(t.Context(), o); err != nil || now.Need.State != authn.Ready {
		t.Fatalf("%+v %v", now.Need, err)
	}
	done, err := w.SignIn.Complete(t.Context(), o)
	if err != nil || done.Session == nil || done.Session.ACR != authn.AAL1 {
		t.Fatalf("%+v %v", done.Session, err)
	}
	if _, err := w.SignIn.Complete(t.Context(), o); code(err) != authn.Conflict {
		t.Errorf("twice: %v", err)
	}
}
