package signin_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

const chosen = "seven tall ladders by the barn"

func (w world) ask(login, b string) (signin.ResetStatus, error) {
	return w.SignIn.AskReset(w.t.Context(), signin.ResetAsk{Company: "acme", Login: login, Client: browser(b)})
}

func (w world) mustAsk(login, b string) signin.ResetStatus {
	w.t.Helper()
	st, err := w.ask(login, b)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// mailed is the code that came last.
func (w world) mailed(to string) string {
	w.t.Helper()
	w.Mail(w.t, to)
	return w.LastCode(w.t, to)
}

func opens(st signin.ResetStatus, b string) signin.ResetOpener {
	return signin.ResetOpener{Token: st.Token, Client: browser(b)}
}

func (w world) prove(st signin.ResetStatus, code string) (signin.ResetStatus, error) {
	return w.SignIn.ProveReset(w.t.Context(), opens(st, "b"), 0, code)
}

func (w world) set(st signin.ResetStatus, next string) error {
	_, err := w.SignIn.FinishReset(w.t.Context(), opens(st, "b"), next)
	return err
}

// reset is the whole way.
func (w world) reset(login, to, next string) {
	w.t.Helper()
	st := w.mustAsk(login, "b")
	if _, err := w.prove(st, w.mailed(to)); err != nil {
		w.t.Fatal(err)
	}
	if err := w.set(st, next); err != nil {
		w.t.Fatal(err)
	}
}

// J3, std-47, cve-48: a new password, no session, no factor less; other sessions end.
func TestReset_J3_std47(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	in := w.signIn(p, browser("known"))
	half := w.mustBegin(p, browser("half"))
	st := w.mustAsk(" MAYA ", "b")
	if st.Reset.State != authn.ResetSent || st.Reset.User != "" || st.Reset.Destination != "" || st.Login != "" {
		t.Errorf("it tells of the person: %+v", st)
	}
	if err := w.set(st, chosen); code(err) != authn.Conflict {
		t.Errorf("a password before the code: %v", err)
	}
	c := w.mailed(p.Email)
	// Ruling 15: not in the subject, and for nothing else.
	if m := w.Mail(t, p.Email); strings.Contains(m[len(m)-1].Subject, c) {
		t.Errorf("the subject is %q", m[len(m)-1].Subject)
	}
	if _, err := w.answer(half, authn.Email, c, browser("half")); code(err) != authn.Invalid {
		t.Errorf("the code signs in: %v", err)
	}
	got, err := w.prove(st, c[:3]+" "+c[3:])
	if err != nil || got.Reset.State != authn.ResetProven || got.Login != "maya" || got.Minimum == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := w.prove(st, c); code(err) != authn.Conflict {
		t.Errorf("the code again: %v", err)
	}
	for _, bad := range []string{"", "short", "maya maya maya maya", "password"} {
		if err := w.set(st, bad); code(err) != authn.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := w.set(st, chosen); err != nil {
		t.Fatal(err)
	}
	if err := w.set(st, "another "+chosen); code(err) != authn.Expired {
		t.Errorf("a second password: %v", err)
	}
	if _, err := w.Sessions.Check(t.Context(), in.SessionToken.Reveal(), browser("known")); code(err) != authn.Unauthenticated {
		t.Errorf("the other session: %v", err)
	}
	if _, err := w.verify(half, w.Code(t, p.Secret), browser("half")); err == nil {
		t.Error("a sign-in with the old password goes on")
	}
	if _, err := w.begin("maya", sallyporttest.Password, browser("b")); code(err) != authn.WrongCredentials {
		t.Errorf("the old password: %v", err)
	}
	// F2: the second step is asked for as ever.
	again, err := w.begin("maya", chosen, browser("b"))
	if err != nil || again.Session != nil || again.Need.State != authn.NeedFactor || again.Need.Offers[0].Kind != authn.TOTP {
		t.Fatalf("%+v, %v", again.Need, err)
	}
	m := w.Mail(t, p.Email)
	if last := m[len(m)-1]; !strings.Contains(last.Subject, "was reset") || !strings.Contains(last.Text, "/not-me/") {
		t.Errorf("the notice is %q", last.Subject)
	}
}

// cve-62, std-46, rul-6: every name is answered alike, in every step.
func TestReset_cve62_sameAnswers(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(policy.Document{TwoFactor: policy.Required, FreeTries: 3})
	people := map[string]sallyporttest.Person{}
	for _, login := range []string{"maya", "olga", "nina", "petr"} {
		people[login] = w.AddUser(t, w.Company, login, false)
	}
	change := func(login string, f func(*authn.User)) { w.put(people[login], f) }
	change("olga", func(u *authn.User) { u.Status = authn.Suspended })
	change("nina", func(u *authn.User) { u.API = true })
	change("petr", func(u *authn.User) { u.EmailChangedAt = w.Clock.Now() })
	type answers struct {
		codes []authn.Code
		left  []int
	}
	want := answers{}
	for i, login := range []string{"maya", "nobody", "olga", "nina", "petr", "\xff\xfe"} {
		began := time.Now()
		st := w.mustAsk(login, "b")
		if took := time.Since(began); took < signin.ResetFloor {
			t.Errorf("%s: answered after %v", login, took)
		}
		var got answers
		wrong := "000000"
		if login == "maya" {
			wrong = another(w.mailed("maya@acme.example"))
		}
		note := func(err error) {
			e := authn.AsError(err)
			got.codes, got.left = append(got.codes, e.Code), append(got.left, e.AttemptsLeft)
		}
		_, err := w.ask(login, "b")
		note(err) // too soon
		_, err = w.SignIn.GetReset(t.Context(), opens(st, "b"))
		note(err)
		for range 4 {
			_, err := w.prove(st, wrong)
			note(err)
		}
		w.Clock.Advance(signin.ResetLives)
		_, err = w.prove(st, "123456")
		note(err)
		if i == 0 {
			want = got
			continue
		}
		for j := range want.codes {
			if got.codes[j] != want.codes[j] || got.left[j] != want.left[j] {
				t.Errorf("%q, step %d: %v (%d left), and for a person %v (%d left)", login, j, got.codes[j], got.left[j], want.codes[j], want.left[j])
			}
		}
	}
	for _, login := range []string{"olga", "nina", "petr"} {
		if n := len(w.Mail(t, login+"@acme.example")); n != 0 {
			t.Errorf("%s got %d messages", login, n)
		}
	}
	if want.codes[0] != authn.TooManyRequests || want.codes[2] != authn.WrongCode || want.codes[5] != authn.Paused || want.codes[6] != authn.Expired {
		t.Errorf("the answers are %v", want.codes)
	}
}

// rul-4: what reset the password is no second step for a day.
func TestReset_rul4_mailRests(t *testing.T) {
	w, p, to := fallback(t)
	w.reset("maya", to, chosen)
	st, err := w.begin("maya", chosen, browser("b"))
	if err != nil || st.Need.State != authn.Denied || st.Need.Denied != policy.MailRests || st.Session != nil {
		t.Fatalf("%+v, %v", st.Need, err)
	}
	// A help code is another channel.
	w.bypassCode(p)
	if st, err = w.begin("maya", chosen, browser("b")); err != nil || st.Need.State != authn.NeedFactor || st.Need.Offers[0].Kind != authn.BypassCode || len(st.Need.Offers) != 1 {
		t.Errorf("with a help code: %+v, %v", st.Need, err)
	}
	w.Clock.Advance(policy.ContactRests)
	if st, err = w.begin("maya", chosen, browser("b")); err != nil || st.Need.State != authn.NeedFactor || st.Need.Offers[0].Kind != authn.Email {
		t.Errorf("a day later: %+v, %v", st.Need, err)
	}
}

// rul-4: the company may take the risk, on record each time.
func TestReset_rul4_companyTakesTheRisk(t *testing.T) {
	w, _, to := fallback(t)
	w.setPolicy(policy.Document{TwoFactor: policy.Required, EmailAfterReset: true})
	w.reset("maya", to, chosen)
	st, err := w.begin("maya", chosen, browser("b"))
	if err != nil || st.Need.State != authn.NeedFactor || st.Need.Offers[0].Kind != authn.Email {
		t.Fatalf("%+v, %v", st.Need, err)
	}
	page, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "password.reset"})
	if err != nil || len(page) != 1 || page[0].Personal.Detail["rule"] != "email_after_reset" {
		t.Errorf("%+v, %v", page, err)
	}
}

// std-14, rul-8, rul-10: guesses are counted over codes and names, in lanes, and
// paused; a try during a pause is not evaluated; strangers cannot close it to a
// known browser, nor touch the password's own count.
func TestReset_rul8_guessed(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.signIn(p, browser("known"))
	st := w.mustAsk("maya", "b")
	right := w.mailed(p.Email)
	for i := range policy.FreeTries {
		if i == 5 { // a new code, by another name, goes on counting
			w.Clock.Advance(signin.ResetWait)
			st = w.mustAsk(p.Email, "b")
			right = w.mailed(p.Email)
		}
		if _, err := w.prove(st, another(right)); code(err) != authn.WrongCode {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if _, err := w.prove(st, right); code(err) != authn.Paused {
		t.Errorf("the right one during the pause: %v", err)
	}
	if _, err := w.begin("maya", sallyporttest.Password, browser("b")); err != nil {
		t.Errorf("the password is slowed too: %v", err)
	}
	w.Clock.Advance(signin.ResetWait)
	mine := w.mustAsk("maya", "known")
	if _, err := w.SignIn.ProveReset(t.Context(), opens(mine, "known"), 0, w.mailed(p.Email)); err != nil {
		t.Errorf("the known browser: %v", err)
	}
}

// cve-4, cve-25, cve-26: of many at once with the right code one gets in, and of
// many new passwords one is set.
func TestReset_cve26_raced(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	st := w.mustAsk("maya", "b")
	c := w.mailed(p.Email)
	count := func(f func() error) (n int) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range 100 {
			wg.Go(func() {
				if err := f(); err == nil {
					mu.Lock()
					n++
					mu.Unlock()
				} else if c := code(err); c != authn.Conflict && c != authn.Expired {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		return n
	}
	if n := count(func() error { _, err := w.prove(st, c); return err }); n != 1 {
		t.Errorf("the code was right %d times", n)
	}
	if n := count(func() error { return w.set(st, chosen) }); n != 1 {
		t.Errorf("a password was set %d times", n)
	}
}

// rul-3, cve-48: a code that was sent to what the account was before is wrong; so is
// one that is over, and one of somebody else.
func TestReset_rul3_changedMeanwhile(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	other := w.AddUser(t, w.Company, "omar", true)
	for name, f := range map[string]func(*authn.User){
		"epoch":     func(u *authn.User) { u.Epoch++ },
		"address":   func(u *authn.User) { u.Email = "new@acme.example" },
		"suspended": func(u *authn.User) { u.Status = authn.Suspended },
	} {
		before := *w.rows(p).User
		st := w.mustAsk("maya", "b")
		c := w.mailed(p.Email)
		w.put(p, f)
		if _, err := w.prove(st, c); code(err) != authn.WrongCode {
			t.Errorf("%s: %v", name, err)
		}
		w.put(p, func(u *authn.User) { epoch := u.Epoch; *u = before; u.Epoch = epoch })
		w.Clock.Advance(time.Hour)
		// And between the code and the password.
		st = w.mustAsk("maya", "b")
		if _, err := w.prove(st, w.mailed(p.Email)); err != nil {
			t.Fatal(err)
		}
		w.put(p, f)
		if err := w.set(st, chosen); code(err) != authn.Expired {
			t.Errorf("%s, after the code: %v", name, err)
		}
		w.put(p, func(u *authn.User) { epoch := u.Epoch; *u = before; u.Epoch = epoch })
		w.Clock.Advance(time.Hour)
	}
	st, theirs := w.mustAsk("maya", "b"), w.mustAsk("omar", "b")
	if _, err := w.prove(st, w.mailed(other.Email)); code(err) != authn.WrongCode {
		t.Errorf("the code of somebody else: %v", err)
	}
	_ = theirs
	c := w.mailed(p.Email)
	if _, err := w.SignIn.ProveReset(t.Context(), signin.ResetOpener{Company: w.Company.ID, Reset: st.Reset.ID, Client: browser("thief")}, 0, c); code(err) != authn.NotFound {
		t.Errorf("in another browser: %v", err)
	}
	forged := st.Token
	forged.Secret = theirs.Token.Secret
	if _, err := w.SignIn.ProveReset(t.Context(), signin.ResetOpener{Token: forged, Client: browser("b")}, 0, c); code(err) != authn.NotFound {
		t.Errorf("with another's secret: %v", err)
	}
	w.Clock.Advance(signin.ResetLives)
	if _, err := w.prove(st, c); code(err) != authn.Expired {
		t.Errorf("over: %v", err)
	}
}

// rul-3: "this wasn't me" stands, whoever resets the password afterwards.
func TestReset_securedStays(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.put(p, func(u *authn.User) { u.SecuredAt = w.Clock.Now() })
	w.reset("maya", p.Email, chosen)
	st, err := w.begin("maya", chosen, browser("b"))
	if err != nil {
		t.Fatal(err)
	}
	if st, err = w.verify(st, w.Code(t, p.Secret), browser("b")); err != nil || st.Need.State != authn.NeedPasswordChange {
		t.Errorf("%+v, %v", st.Need, err)
	}
}

func TestReset_limits(t *testing.T) {
	w := newWorld(t)
	w.AddUser(t, w.Company, "maya", true)
	for _, login := range []string{"maya", "nobody"} {
		n := 0
		for range 10 {
			if _, err := w.ask(login, "b"); err == nil {
				n++
			} else if e := authn.AsError(err); e.Code != authn.TooManyRequests || e.RetryAfter <= 0 {
				t.Fatalf("%v", err)
			}
			w.Clock.Advance(signin.ResetWait)
		}
		if n != policy.SendLimit(authn.Stranger).Hour {
			t.Errorf("%s: %d codes", login, n)
		}
	}
}

// A server that sends nothing says so, to everybody.
func TestReset_withoutMail(t *testing.T) {
	w := world{sallyporttest.NewServer(t, sallyporttest.NoMail()), t}
	w.AddUser(t, w.Company, "maya", true)
	for _, login := range []string{"maya", "nobody"} {
		if _, err := w.ask(login, "b"); code(err) != authn.PolicyForbids || w.SignIn.CanReset() {
			t.Errorf("%s: %v", login, err)
		}
	}
}
