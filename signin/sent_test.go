package signin_test

import (
	"fmt"
	"slices"
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

// another is a code of six digits that is none of those given.
func another(not ...string) string {
	for i := range 1000 {
		if c := fmt.Sprintf("%06d", 424242+i); !slices.Contains(not, c) {
			return c
		}
	}
	return ""
}

// fallback is a company that requires two steps, and a person without a way of
// their own; no set-up is asked for after the code.
func fallback(t *testing.T) (world, sallyporttest.Person, string) {
	w := newWorld(t)
	w.setPolicy(policy.Document{TwoFactor: policy.Required})
	p := w.AddUser(t, w.Company, "maya", false)
	return w, p, p.Email
}

func TestSentCode_C1_C2_F2(t *testing.T) {
	w, p, to := fallback(t)
	st := w.mustBegin(p, browser("b"))
	if st.Session != nil || st.Need.State != authn.NeedFactor || !st.Need.Offers[0].Fallback || st.Need.Offers[0].SentTo != "m•••@acme.example" {
		t.Fatalf("%+v", st.Need)
	}
	// Nothing is sent by looking (a person's act sends), and no code is right before one was.
	if n := len(w.Inbox.Messages()); n != 0 {
		t.Fatalf("%d messages", n)
	}
	if _, err := w.answer(st, authn.Email, "123456", browser("b")); code(err) != authn.Invalid && code(err) != authn.Expired {
		t.Errorf("%v", err)
	}
	c := w.send(st, to, browser("b"))
	done, err := w.answer(st, authn.Email, c[:3]+" "+c[3:], browser("b"))
	if err != nil {
		t.Fatal(err)
	}
	// Decision 4: never aal2, and no proof of a factor of one's own.
	if done.Session == nil || done.Session.ACR != authn.AAL1 || strings.Join(done.Session.AMR, " ") != "pwd mca" || !done.Session.FactorTime.IsZero() {
		t.Fatalf("%+v", done.Session)
	}
	if _, err := w.Sessions.Check(t.Context(), done.SessionToken.Reveal(), browser("b")); err != nil {
		t.Errorf("the session is dead at once: %v", err)
	}
	// Used up: not in this attempt, nor in another.
	if _, err := w.answer(st, authn.Email, c, browser("b")); code(err) != authn.Conflict {
		t.Errorf("%v", err)
	}
	st = w.mustBegin(p, browser("b"))
	w.Clock.Advance(31 * time.Second)
	second := w.send(st, to, browser("b"))
	if _, err := w.answer(st, authn.Email, c, browser("b")); c != second && code(err) != authn.WrongCode {
		t.Errorf("%v", err)
	}
}

func TestSentCodeExpires_std17_cve11(t *testing.T) {
	w, p, to := fallback(t)
	for _, tt := range []struct {
		after time.Duration
		good  bool
	}{{2*time.Minute - time.Second, true}, {2 * time.Minute, false}, {10 * time.Minute, false}} {
		st := w.mustBegin(p, browser("b"))
		c := w.send(st, to, browser("b"))
		w.Clock.Advance(tt.after)
		before := w.counts(p, authn.Email)
		_, err := w.answer(st, authn.Email, c, browser("b"))
		if tt.good != (err == nil) {
			t.Errorf("after %v: %v", tt.after, err)
		}
		if !tt.good {
			e := authn.AsError(err)
			if e.Code != authn.Expired || e.TextKey() != "error.code_expired" || w.counts(p, authn.Email) != before {
				t.Errorf("after %v: %+v, tries %d then %d", tt.after, e, before, w.counts(p, authn.Email))
			}
			// The attempt is not over: another code opens it.
			if _, err := w.answer(st, authn.Email, w.send(st, to, browser("b")), browser("b")); err != nil {
				t.Errorf("after %v, a new code: %v", tt.after, err)
			}
		}
		w.Clock.Advance(time.Hour)
	}
}

// counts are the wrong answers that stand against a kind, in both lanes.
func (w world) counts(p sallyporttest.Person, k authn.Kind) int {
	n := 0
	for _, f := range w.rows(p).Factors {
		if f.Kind == k {
			n += f.Counts[authn.Stranger].Tries + f.Counts[authn.Known].Tries
		}
	}
	return n
}

// std-19: neither a resend, nor a new code, nor another sign-in gives new tries.
func TestSentCodeCount_std19_cve2_cve10(t *testing.T) {
	w, p, to := fallback(t)
	wrong := 0
	var last error
	for last == nil || code(last) == authn.WrongCode {
		st := w.mustBegin(p, browser(fmt.Sprint("b", wrong)))
		c := w.send(st, to, browser("x"))
		for range 2 {
			if _, last = w.answer(st, authn.Email, another(c), browser("x")); code(last) != authn.WrongCode {
				break
			}
			wrong++
			if e := authn.AsError(last); e.AttemptsLeft != policy.FreeTries-wrong {
				t.Fatalf("after %d: %d left", wrong, e.AttemptsLeft)
			}
			if wrong == policy.FreeTries {
				// Paused: the right code is not evaluated either, and another is not sent.
				if _, err := w.answer(st, authn.Email, c, browser("x")); code(err) != authn.Paused {
					t.Fatalf("%v", err)
				}
				if _, _, err := w.SignIn.Challenge(t.Context(), signin.OpenerOf(st.Token, browser("x")), authn.Email, ""); code(err) != authn.Paused {
					t.Fatalf("%v", err)
				}
				last = authn.Paused
				break
			}
		}
		w.Clock.Advance(15 * time.Minute) // for the limits of sending, not of tries
	}
	if wrong != policy.FreeTries {
		t.Errorf("paused after %d, not %d: %v", wrong, policy.FreeTries, last)
	}
}

// std-51: a code belongs to its attempt, its person and what it was sent for.
func TestSentCodeIsBound_std51_cve57_rul15(t *testing.T) {
	w, p, to := fallback(t)
	q := w.AddUser(t, w.Company, "omar", false)
	b := browser("b")
	one, two, theirs := w.mustBegin(p, b), w.mustBegin(p, b), w.mustBegin(q, b)
	c1, c2, c3 := w.send(one, to, b), w.send(two, to, b), w.send(theirs, q.Email, b)
	// Six digits can be alike by chance; then another sign-in is asked.
	for c2 == c1 {
		two = w.mustBegin(p, b)
		c2 = w.send(two, to, b)
	}
	for c3 == c1 {
		theirs = w.mustBegin(q, b)
		c3 = w.send(theirs, q.Email, b)
	}
	for name, try := range map[string]func() error{
		"of another attempt": func() error { _, err := w.answer(one, authn.Email, c2, b); return err },
		"of another person":  func() error { _, err := w.answer(one, authn.Email, c3, b); return err },
		"at another person":  func() error { _, err := w.answer(theirs, authn.Email, c1, b); return err },
	} {
		if err := try(); code(err) != authn.WrongCode {
			t.Errorf("%s: %v", name, err)
		}
	}
	done, err := w.answer(one, authn.Email, c1, b)
	if err != nil {
		t.Fatal(err)
	}
	// A step-up's code does not sign in, nor the other way round.
	w.Clock.Advance(time.Minute)
	up, err := w.SignIn.StepUp(t.Context(), done.SessionToken, "", "", b)
	if err != nil || up.Need.State != authn.NeedFactor {
		t.Fatalf("%+v %v", up.Need, err)
	}
	in := w.mustBegin(p, b)
	cUp, cIn := w.send(up, to, b), w.send(in, to, b)
	for cIn == cUp {
		in = w.mustBegin(p, b)
		cIn = w.send(in, to, b)
	}
	if _, err := w.answer(in, authn.Email, cUp, b); code(err) != authn.WrongCode {
		t.Errorf("a step-up's code at sign-in: %v", err)
	}
	if _, err := w.answer(up, authn.Email, cIn, b); code(err) != authn.WrongCode {
		t.Errorf("a sign-in's code at step-up: %v", err)
	}
	if got, err := w.answer(up, authn.Email, cUp, b); err != nil || got.Session.ACR != authn.AAL1 || got.Session.ConfirmedAt.IsZero() {
		t.Errorf("%+v %v", got.Session, err)
	}
}

// A resend within its life is the same code; the one before a new code is good
// to its own end (decision 7).
func TestResend_decision7_C2(t *testing.T) {
	w, p, to := fallback(t)
	st := w.mustBegin(p, browser("b"))
	o := signin.OpenerOf(st.Token, browser("b"))
	first := w.send(st, to, browser("b"))
	if _, _, err := w.SignIn.Challenge(t.Context(), o, authn.Email, ""); code(err) != authn.TooManyRequests || authn.AsError(err).RetryAfter != 30*time.Second {
		t.Fatalf("%v", err)
	}
	w.Clock.Advance(30 * time.Second)
	_, sent, err := w.SignIn.Challenge(t.Context(), o, authn.Email, "")
	if err != nil || w.LastCode(t, to) != first || sent.ExpiresAt.Sub(w.Clock.Now()) != 90*time.Second {
		t.Fatalf("%+v %v", sent, err)
	}
	w.Clock.Advance(60 * time.Second) // 30 s are left of the first
	_, sent, err = w.SignIn.Challenge(t.Context(), o, authn.Email, "")
	if err != nil || sent.ExpiresAt.Sub(w.Clock.Now()) != 2*time.Minute {
		t.Fatalf("%+v %v", sent, err)
	}
	if _, err := w.answer(st, authn.Email, first, browser("b")); err != nil {
		t.Errorf("the one before: %v", err)
	}
}

// ux rule 19: 30 s, 60 s, 120 s, and then another way is asked for: four in one
// sign-in, also when the codes before are over meanwhile.
func TestResendLimit_std20(t *testing.T) {
	w, p, _ := fallback(t)
	st := w.mustBegin(p, browser("b"))
	o := signin.OpenerOf(st.Token, browser("b"))
	for i, wait := range []time.Duration{0, 30 * time.Second, 60 * time.Second, 120 * time.Second} {
		if wait > 0 {
			w.Clock.Advance(wait - time.Second)
			if _, _, err := w.SignIn.Challenge(t.Context(), o, authn.Email, ""); code(err) != authn.TooManyRequests || authn.AsError(err).RetryAfter != time.Second {
				t.Errorf("send %d comes early: %v", i+1, err)
			}
			w.Clock.Advance(time.Second)
		}
		if _, _, err := w.SignIn.Challenge(t.Context(), o, authn.Email, ""); err != nil {
			t.Fatalf("send %d: %v", i+1, err)
		}
	}
	for range 3 {
		w.Clock.Advance(150 * time.Second)
		if _, _, err := w.SignIn.Challenge(t.Context(), o, authn.Email, ""); code(err) != authn.TooManyRequests || authn.AsError(err).TextKey() != "error.send_limit" {
			t.Errorf("a fifth send: %v", err)
		}
	}
	if n := len(w.Inbox.Messages()); n != 4 {
		t.Errorf("%d messages", n)
	}
}

// One code, many answers at once, one session (cve-25, std-18).
func TestSentCodeRace_cve25_invA(t *testing.T) {
	w, p, to := fallback(t)
	st := w.mustBegin(p, browser("b"))
	c := w.send(st, to, browser("b"))
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := w.answer(st, authn.Email, c, browser("b")); err == nil && got.Session != nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d sessions of one code", won.Load())
	}
}

// Strangers with the password use up neither the tries nor the messages of the
// person's own browser (ruling 10, cve-21).
func TestSentCodeLanes_rul10_cve21(t *testing.T) {
	w, p, to := fallback(t)
	home := browser("home")
	st := w.mustBegin(p, home)
	if _, err := w.answer(st, authn.Email, w.send(st, to, home), home); err != nil {
		t.Fatal(err)
	}
	limit := policy.SendLimit(authn.Stranger)
	sent := 0
	for range limit.Hour + 2 {
		st := w.mustBegin(p, browser("thief"))
		_, _, err := w.SignIn.Challenge(t.Context(), signin.OpenerOf(st.Token, browser("thief")), authn.Email, "")
		if err == nil {
			sent++
			for range 2 {
				w.answer(st, authn.Email, another(w.LastCode(t, to)), browser("thief"))
			}
		} else if c := code(err); c != authn.TooManyRequests && c != authn.Paused {
			t.Fatal(err)
		}
		w.put(p, func(u *authn.User) { u.WrongInRow, u.WrongInMonth, u.PasswordKnownAt = 0, 0, time.Time{} })
	}
	if sent > limit.Hour {
		t.Errorf("strangers had %d sent, the limit is %d", sent, limit.Hour)
	}
	st = w.mustBegin(p, home)
	if st.Lane != authn.Known {
		t.Fatal("a stranger at home")
	}
	if _, err := w.answer(st, authn.Email, w.send(st, to, home), home); err != nil {
		t.Errorf("the owner at home: %v", err)
	}
}

// Ruling 2: who ever had a way of their own gets no fall-back code, whatever
// became of it; nor does an address that is new, or that nobody verified.
func TestNoFallback_rul2(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(policy.Document{TwoFactor: policy.Required})
	for name, tt := range map[string]struct {
		make func(login string) sallyporttest.Person
		want policy.Denial
	}{
		"removed by the operator": {func(l string) sallyporttest.Person {
			p := w.AddUser(t, w.Company, l, true)
			if err := w.Directory.ResetFactors(t.Context(), w.Company, p.ID); err != nil {
				t.Fatal(err)
			}
			return p
		}, policy.Stranded},
		"asleep": {func(l string) sallyporttest.Person { return owners["an app, asleep"](w, l) }, policy.Stranded},
		"changed 23 h ago": {func(l string) sallyporttest.Person {
			p := w.AddUser(t, w.Company, l, false)
			w.put(p, func(u *authn.User) { u.EmailChangedAt = w.Clock.Now().Add(-policy.ContactRests + time.Hour) })
			return p
		}, policy.NewOne},
		"unverified": {func(l string) sallyporttest.Person {
			return w.addUser(directory.NewUser{Login: l, Email: l + "@acme.example"})
		}, policy.NoContact},
		"none": {func(l string) sallyporttest.Person { return w.addUser(directory.NewUser{Login: l}) }, policy.NoContact},
	} {
		t.Run(name, func(t *testing.T) {
			p := tt.make("who-" + strings.Map(func(r rune) rune {
				if r == ' ' {
					return -1
				}
				return r
			}, name))
			st := w.mustBegin(p, browser("b"))
			if st.Need.State != authn.Denied || st.Need.Denied != tt.want || len(st.Need.Offers) != 0 {
				t.Errorf("%+v", st.Need)
			}
			if _, _, err := w.SignIn.Challenge(t.Context(), signin.OpenerOf(st.Token, browser("b")), authn.Email, ""); code(err) != authn.Invalid {
				t.Errorf("%v", err)
			}
		})
	}
	p := w.AddUser(t, w.Company, "later", false)
	w.put(p, func(u *authn.User) { u.EmailChangedAt = w.Clock.Now().Add(-policy.ContactRests) })
	if st := w.mustBegin(p, browser("b")); st.Need.State != authn.NeedFactor {
		t.Errorf("after 24 h: %+v", st.Need)
	}
	// Locked: guessing at the app opens nothing easier.
	p = w.AddUser(t, w.Company, "locked", true)
	w.lock(p, p.Factor)
	if st := w.mustBegin(p, browser("b")); st.Need.State != authn.NeedFactor || len(st.Need.Offers) != 1 || !st.Need.Offers[0].Locked {
		t.Errorf("%+v", st.Need)
	}
}
