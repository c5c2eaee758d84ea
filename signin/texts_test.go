package signin_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

const (
	mobile = "+46701740605"
	second = "+46701740606"
)

// phones is a company with texts, and a person whose only way is a mobile number.
func phones(t *testing.T) (world, sallyporttest.Person) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	p := w.AddUser(t, w.Company, "nadia", false)
	w.AddPhone(t, p.User, mobile)
	w.ages()
	return w, p
}

// ages lets what was just set up lose its mark of a verified number.
func (w world) ages() { w.Clock.Advance(authn.VerifiedLasts) }

func (w world) text(st signin.Status, c authn.Client) (signin.Sent, error) {
	_, sent, err := w.SignIn.Challenge(w.t.Context(), signin.OpenerOf(st.Token, c), authn.SMS, "")
	return sent, err
}

func (w world) texts(to string) (n int) {
	for _, m := range w.Inbox.Messages() {
		if m.To == to && m.Channel == authn.SMS {
			n++
		}
	}
	return n
}

func TestText_B3_B4_std51(t *testing.T) {
	w, p := phones(t)
	b := browser("b")
	st := w.mustBegin(p, b)
	if o := st.Need.Offers[0]; o.Kind != authn.SMS || o.SentTo != "•• 05" || o.Fallback {
		t.Fatalf("%+v", st.Need.Offers)
	}
	if w.texts(mobile) != 0 {
		t.Fatal("a text was sent by looking")
	}
	sent, err := w.text(st, b)
	if err != nil || sent.ExpiresAt.Sub(w.Clock.Now()) != 2*time.Minute {
		t.Fatalf("%+v %v", sent, err)
	}
	code1 := w.LastCode(t, mobile)
	messages := w.Inbox.Messages()
	text := messages[len(messages)-1].Text
	if !strings.HasSuffix(text, "\n@127.0.0.1 #"+code1) || len(text) > 160 {
		t.Errorf("%q", text)
	}
	// Within its life the same code is sent again, and the wait is kept.
	if _, err := w.text(st, b); code(err) != authn.TooManyRequests {
		t.Errorf("sent again at once: %v", err)
	}
	w.Clock.Advance(31 * time.Second)
	if _, err := w.text(st, b); err != nil || w.LastCode(t, mobile) != code1 || w.texts(mobile) != 2 {
		t.Errorf("%v, %d texts", err, w.texts(mobile))
	}
	done, err := w.answer(st, authn.SMS, code1, b)
	if err != nil || done.Session == nil || done.Session.ACR != authn.AAL2 || strings.Join(done.Session.AMR, " ") != "pwd sms" {
		t.Fatalf("%+v %v", done.Session, err)
	}
	if _, err := w.answer(st, authn.SMS, code1, b); code(err) != authn.Conflict {
		t.Errorf("a second time: %v", err)
	}
}

func TestTextCodeIsBound_std51_cve57(t *testing.T) {
	w, p := phones(t)
	q := w.AddUser(t, w.Company, "omar", false)
	w.AddPhone(t, q.User, second)
	b, other := browser("b"), browser("other")
	one, two, theirs := w.mustBegin(p, b), w.mustBegin(p, other), w.mustBegin(q, b)
	if _, err := w.text(one, b); err != nil {
		t.Fatal(err)
	}
	c1 := w.LastCode(t, mobile)
	for _, x := range []struct {
		st signin.Status
		to string
		c  authn.Client
	}{{two, mobile, other}, {theirs, second, b}} {
		if _, err := w.text(x.st, x.c); err != nil {
			t.Fatal(err)
		}
		if w.LastCode(t, x.to) == c1 {
			continue // alike by chance, one in a million: then it is no other code
		}
		if _, err := w.answer(x.st, authn.SMS, c1, x.c); code(err) != authn.WrongCode {
			t.Errorf("another's code: %v", err)
		}
	}
	if _, err := w.answer(one, authn.Email, c1, b); code(err) != authn.Invalid {
		t.Errorf("by another channel: %v", err)
	}
	if _, err := w.answer(one, authn.SMS, c1, b); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

// inv-A: fifty at once with one code are one session.
func TestTextRace_invA_cve24(t *testing.T) {
	w, p := phones(t)
	b := browser("b")
	st := w.mustBegin(p, b)
	if _, err := w.text(st, b); err != nil {
		t.Fatal(err)
	}
	c := w.LastCode(t, mobile)
	var wg sync.WaitGroup
	var mu sync.Mutex
	sessions := 0
	for range 50 {
		wg.Go(func() {
			done, err := w.SignIn.Verify(context.Background(), signin.OpenerOf(st.Token, b), signin.Verify{Method: authn.SMS, Answer: authn.Answer{Code: c}})
			if err == nil && done.Session != nil {
				mu.Lock()
				sessions++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if sessions != 1 {
		t.Errorf("%d sessions", sessions)
	}
}

// The count of wrong tries is the factor's: neither sending again nor another
// sign-in gives new ones (decision 7, std-19).
func TestTextTries_std19_cve11(t *testing.T) {
	w, p := phones(t)
	tries := 0
	for i := range 4 {
		b := browser(string(rune('a' + i)))
		st := w.mustBegin(p, b)
		if _, err := w.text(st, b); err != nil {
			t.Fatal(err)
		}
		right := w.LastCode(t, mobile)
		for range 2 {
			_, err := w.answer(st, authn.SMS, another(right), b)
			if code(err) != authn.WrongCode {
				t.Fatalf("%v", err)
			}
			tries++
		}
		w.Clock.Advance(10 * time.Minute)
	}
	if got := w.counts(p, authn.SMS); got != tries {
		t.Errorf("%d tries are counted, %d were made", got, tries)
	}
}

func TestTextExpires_std17(t *testing.T) {
	w, p := phones(t)
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.CodeSeconds = 30 })
	b := browser("b")
	st := w.mustBegin(p, b)
	if _, err := w.text(st, b); err != nil {
		t.Fatal(err)
	}
	c := w.LastCode(t, mobile)
	w.Clock.Advance(30 * time.Second)
	_, err := w.answer(st, authn.SMS, c, b)
	if e := authn.AsError(err); e.Code != authn.Expired || e.Key != "error.code_expired" {
		t.Errorf("%v", err)
	}
}

// Requirement C1: the profile's number before e-mail, where policy allows it and an
// administrator set it; it lets in, and shows nothing that is held.
func TestTextFallback_C1_F3_rul2(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	w.setPolicy(policy.Document{TwoFactor: policy.Required})
	p := w.AddUser(t, w.Company, "omar", false)
	kinds := func(want ...authn.Kind) {
		t.Helper()
		st := w.mustBegin(p, browser("b"))
		var got []authn.Kind
		for _, o := range st.Need.Offers {
			if !o.Fallback {
				t.Errorf("%+v", o)
			}
			got = append(got, o.Kind)
		}
		if len(got) != len(want) || got[0] != want[0] {
			t.Errorf("%v, want %v", got, want)
		}
	}
	phone := func(at, changed time.Time) {
		w.put(p, func(u *authn.User) { u.Phone, u.PhoneTrustedAt, u.PhoneChangedAt = mobile, at, changed })
	}
	now := w.Clock.Now()
	phone(now, time.Time{})
	kinds(authn.Email) // the policy says nothing of texts
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.SMSFallback = true })
	kinds(authn.SMS, authn.Email)
	phone(time.Time{}, time.Time{})
	kinds(authn.Email) // the person's own word is no proof
	phone(now, now)
	kinds(authn.Email) // changed within the day
	phone(now.Add(-48*time.Hour), now.Add(-25*time.Hour))
	kinds(authn.SMS, authn.Email)

	b := browser("b")
	st := w.mustBegin(p, b)
	if _, err := w.text(st, b); err != nil {
		t.Fatal(err)
	}
	done, err := w.answer(st, authn.SMS, w.LastCode(t, mobile), b)
	if err != nil || done.Session == nil || done.Session.ACR != authn.AAL1 || !done.Session.FactorTime.IsZero() {
		t.Fatalf("%+v %v", done.Session, err)
	}
	if _, err := w.Sessions.Check(t.Context(), done.SessionToken.Reveal(), b); err != nil {
		t.Errorf("the session is dead at once: %v", err)
	}
	// F3: of whom a way of their own is asked, that follows after the code.
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.OwnWay = []authn.Audience{authn.InternalAudience} })
	w.Clock.Advance(10 * time.Minute)
	st = w.mustBegin(p, b)
	if _, err := w.text(st, b); err != nil {
		t.Fatal(err)
	}
	if done, err = w.answer(st, authn.SMS, w.LastCode(t, mobile), b); err != nil || done.Need.State != authn.NeedEnrolment {
		t.Errorf("%+v %v", done.Need, err)
	}
}

// "Send at once": the password sends, and only there.
func TestSendAtOnce_C1(t *testing.T) {
	w, p := phones(t)
	if w.mustBegin(p, browser("b")); w.texts(mobile) != 0 {
		t.Fatal("the password sent a text, and nobody asked for that")
	}
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.SendAtOnce = true })
	b := browser("b")
	st := w.mustBegin(p, b)
	if w.texts(mobile) != 1 || len(st.Sent) != 1 || st.NotSent != nil || st.Token.IsZero() {
		t.Fatalf("%d texts, %+v", w.texts(mobile), st)
	}
	if _, err := w.begin(p.Login, "wrong", b); code(err) != authn.WrongCredentials || w.texts(mobile) != 1 {
		t.Errorf("%v, %d texts", err, w.texts(mobile))
	}
	if _, err := w.answer(st, authn.SMS, w.LastCode(t, mobile), b); err != nil {
		t.Error(err)
	}
}

// A country that is not on the list gets nothing, whatever it was before.
func TestTextCountry_B1(t *testing.T) {
	w, p := phones(t)
	w.UseTexts(t, w.Company, func(s *authn.TextSettings) { s.Countries = []string{"US"} })
	st := w.mustBegin(p, browser("b"))
	_, err := w.text(st, browser("b"))
	if e := authn.AsError(err); e.Code != authn.PolicyForbids || e.Key != "error.text_country" {
		t.Errorf("%v", err)
	}
	if w.texts(mobile) != 0 || len(st.Sent) != 0 {
		t.Error("something was sent")
	}
}

// Ruling 10: whoever knows the password cannot use up the number's budget for the
// person's own browser.
func TestTextStrangersShare_rul10_rul13(t *testing.T) {
	w, p := phones(t)
	own := browser("own")
	st := w.mustBegin(p, own)
	if _, err := w.text(st, own); err != nil {
		t.Fatal(err)
	}
	if _, err := w.answer(st, authn.SMS, w.LastCode(t, mobile), own); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(12 * time.Hour)
	for round := range 3 {
		refused := false
		for i := range 8 {
			thief := browser(string(rune('a'+round)) + string(rune('a'+i)))
			_, err := w.text(w.mustBegin(p, thief), thief)
			refused = refused || code(err) == authn.TooManyRequests
		}
		if !refused {
			t.Errorf("round %d: strangers have no limit", round)
		}
		if _, err := w.text(w.mustBegin(p, own), own); err != nil {
			t.Errorf("round %d: the person's own browser: %v", round, err)
		}
		w.Clock.Advance(10 * time.Minute)
	}
}
