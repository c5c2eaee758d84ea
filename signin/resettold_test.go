package signin_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// told is what the log says of who heard of a reset, oldest first.
func (w world) told(p sallyporttest.Person) []string {
	w.t.Helper()
	var out []string
	for _, typ := range []string{"password.reset_told", "password.reset_untold"} {
		for _, ev := range w.eventsOf(p, typ) {
			d := ev.Personal.Detail
			out = append(out, strings.TrimSpace(string(ev.Result)+" "+d["channel"]+" "+d["to"]+" "+d["reason"]))
			if ev.Actor != "" {
				w.t.Errorf("%s names an actor", typ)
			}
		}
	}
	slices.Sort(out)
	return out
}

// moves changes the address of a person who has just signed in.
func (w world) moves(p sallyporttest.Person, to string) {
	w.t.Helper()
	who := enroll.Who{Token: w.signIn(p, browser("b")).SessionToken, Client: browser("b")}
	pend, err := w.Enroll.BeginEmail(w.t.Context(), who, to)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.Enroll.Confirm(w.t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.mailed(to)}); err != nil {
		w.t.Fatal(err)
	}
}

// rul-4: whoever read the mailbox is not the only one to hear of it. Every contact has
// a link, and each of them takes it back.
func TestReset_rul4_allContacts(t *testing.T) {
	const fresh = "new@acme.example"
	for name, pressed := range map[string]string{"the number of a way": mobile, "the contact number": second, "the address": fresh, "the address before": "maya@acme.example"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.UseTexts(t, w.Company)
			p := w.AddUser(t, w.Company, "maya", true)
			other := w.AddUser(t, w.Company, "omar", true)
			w.AddPhone(t, p.User, mobile)
			w.put(p, func(u *authn.User) { u.Phone = second })
			w.moves(p, fresh)
			w.Clock.Advance(policy.ContactRests + time.Hour)
			w.Mail(t, "")
			before := map[string]int{}
			for _, to := range []string{mobile, second, fresh, p.Email, other.Email} {
				before[to] = len(w.Mail(t, to))
			}
			w.reset("maya", fresh, chosen)
			for to, n := range map[string]int{mobile: 1, second: 1, fresh: 2, p.Email: 1, other.Email: 0} {
				if got := len(w.Mail(t, to)) - before[to]; got != n {
					t.Errorf("%d messages to %s, want %d", got, to, n)
				}
			}
			if got, want := w.told(p), []string{"success email m•••@acme.example", "success email n•••@acme.example", "success sms •• 05", "success sms •• 06"}; !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			if s := w.Mail(t, mobile)[before[mobile]].Text; !strings.HasPrefix(s, "Acme") || len(s) > 306 || strings.Contains(s, chosen) {
				t.Errorf("%q", s)
			}
			if _, err := w.Enroll.Secure(t.Context(), w.linkIn(t, pressed, "/not-me/"), browser("x")); err != nil {
				t.Fatal(err)
			}
			u := w.rows(p).User
			if u.SecuredAt.IsZero() || (u.Email == p.Email) != (pressed == p.Email) {
				t.Errorf("secured at %v, the address is %s", u.SecuredAt, u.Email)
			}
		})
	}
}

// What cannot be sent to one contact holds up neither the reset nor the others.
func TestReset_rul4_oneFails(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*authn.TextSettings)
		want   []string
	}{
		"budget":      {func(s *authn.TextSettings) { s.DayTexts = 1 }, []string{"refused sms •• 06 too_many_requests", "success email m•••@acme.example", "success sms •• 05"}},
		"country":     {func(s *authn.TextSettings) { s.Countries = []string{"US"} }, []string{"refused sms •• 05 policy_forbids", "refused sms •• 06 policy_forbids", "success email m•••@acme.example"}},
		"no provider": {nil, []string{"success email m•••@acme.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.change != nil {
				w.UseTexts(t, w.Company, c.change)
			}
			p := w.AddUser(t, w.Company, "maya", true)
			w.AddPhone(t, p.User, mobile)
			w.put(p, func(u *authn.User) { u.Phone = second })
			w.reset("maya", p.Email, chosen)
			w.Mail(t, "")
			if got := w.told(p); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if n := w.texts(mobile) + w.texts(second); n != strings.Count(strings.Join(c.want, "\n"), "success sms") {
				t.Errorf("%d texts", n)
			}
			if _, err := w.begin("maya", chosen, browser("b")); err != nil {
				t.Errorf("the new password does not work: %v", err)
			}
		})
	}
}

// A reset that does not come about tells nobody.
func TestReset_rul4_notDone(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	p := w.AddUser(t, w.Company, "maya", true)
	w.AddPhone(t, p.User, mobile)
	st := w.mustAsk("maya", "b")
	if err := w.set(st, chosen); code(err) != authn.Conflict {
		t.Fatalf("before the code: %v", err)
	}
	if _, err := w.prove(st, w.mailed(p.Email)); err != nil {
		t.Fatal(err)
	}
	if err := w.set(st, "short"); code(err) != authn.Invalid {
		t.Fatalf("%v", err)
	}
	w.Mail(t, "")
	if n := w.texts(mobile); n != 0 || len(w.told(p)) != 0 {
		t.Errorf("%d texts, %q", n, w.told(p))
	}
}

// J1: how hard a password is to guess is told to who may set it, and to nobody else.
func TestStrength_J1(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	of := func(c signin.Choosing, password string) (authn.Strength, error) {
		c.Client = browser("b")
		return w.SignIn.Strength(t.Context(), c, password)
	}
	session := w.signIn(p, browser("b"))
	st, err := of(signin.Choosing{Session: session.SessionToken}, "maya maya maya 19")
	if err != nil || st.Score != 0 || st.Advice != authn.AdviceName {
		t.Errorf("%+v, %v", st, err)
	}
	if st, err = of(signin.Choosing{Session: session.SessionToken}, chosen); err != nil || st.Score != 4 || st.Advice != "" {
		t.Errorf("%+v, %v", st, err)
	}
	events := w.events(p)
	if _, err := of(signin.Choosing{}, chosen); code(err) != authn.Unauthenticated && code(err) != authn.NotFound {
		t.Errorf("nobody: %v", err)
	}
	// A sign-in that does not ask for a password yet, a reset without its code.
	w.Clock.Advance(time.Minute)
	begun := w.mustBegin(p, browser("b"))
	o := signin.OpenerOf(begun.Token, browser("b"))
	if _, err := of(signin.Choosing{Attempt: &o}, chosen); code(err) != authn.Conflict {
		t.Errorf("an attempt: %v", err)
	}
	asked := w.mustAsk("maya", "b")
	r := opens(asked, "b")
	if _, err := of(signin.Choosing{Reset: &r}, chosen); code(err) != authn.Conflict {
		t.Errorf("a reset: %v", err)
	}
	nobody := w.mustAsk("nobody", "b")
	r2 := opens(nobody, "b")
	if _, err := of(signin.Choosing{Reset: &r2}, chosen); code(err) != authn.Conflict {
		t.Errorf("a reset of nobody: %v", err)
	}
	if _, err := w.prove(asked, w.mailed(p.Email)); err != nil {
		t.Fatal(err)
	}
	if st, err := of(signin.Choosing{Reset: &r}, "maya maya maya 19"); err != nil || st.Advice != authn.AdviceName {
		t.Errorf("%+v, %v", st, err)
	}
	// It is written down nowhere.
	for _, typ := range w.events(p)[len(events):] {
		if !strings.HasPrefix(typ, "password.reset") && !strings.HasPrefix(typ, "attempt") && !strings.HasPrefix(typ, "sign") {
			t.Errorf("%s was written", typ)
		}
	}
}
