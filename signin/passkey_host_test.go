package signin_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// A person of the host program's table signs in by passkey as long as the host says that
// they may. Whoever it does not know any more is nobody, and where it does not answer
// nobody is let in, and nothing is counted.
func TestHostUserByPasskey_rul36_N1(t *testing.T) {
	w := newHostWorld(t)
	maya := sallyporttest.Person{User: w.enter("maya", browser("b")).User}
	keys := w.Passkeys(t)
	maya.Factor = w.AddPasskey(t, maya.User, keys)
	suspended := mayaAtHost()
	suspended.Suspended = true
	for name, tc := range map[string]struct {
		host func()
		want authn.Code
	}{
		"suspended": {func() { w.users.Put(suspended, hostPassword) }, authn.Invalid},
		"unknown":   {func() { w.users.Remove("7") }, authn.Invalid},
		"no answer": {func() {
			w.users.Before = func(context.Context, string, string) error { return errors.New("the table is away") }
		}, authn.ProviderUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w.users.Put(mayaAtHost(), hostPassword)
			w.users.Before = nil
			w.entersBy(keys, browser("b"))
			before, tries := len(w.eventsOf(maya, "session.started")), w.charged(maya, maya.Factor)
			tc.host()
			st, err := w.byPasskey(signs(t, keys, w.asksAnybody(browser("b"))).Credential, browser("b"))
			if !errors.Is(err, tc.want) || st.Session != nil || !st.Token.IsZero() {
				t.Errorf("%+v %v", st, err)
			}
			if fields := authn.AsError(err).Fields; tc.want == authn.Invalid && (len(fields) != 1 || fields[0].Code != "unknown") {
				t.Errorf("it says more than of a passkey that nobody has: %+v", fields)
			}
			if n := len(w.eventsOf(maya, "session.started")); n != before {
				t.Errorf("%d sessions more", n-before)
			}
			// With a person who is gone their browsers go, and with these the lane that was charged.
			if n := w.charged(maya, maya.Factor); tc.want == authn.ProviderUnavailable && n != tries {
				t.Errorf("%d tries counted", n-tries)
			}
		})
	}
}

// A password that others know, or that is to be changed, says nothing of a passkey: it
// is not what let them in.
func TestPasskeyOfOneWhosePasswordIsKnown_N1(t *testing.T) {
	w, maya, keys := keyed(t)
	known := func(u *authn.User) { u.PasswordKnownAt = w.Clock.Now() }
	w.put(maya, known)
	stranger := authn.Client{Browser: "never seen"}
	if _, err := w.begin(maya.Login, sallyporttest.Password, stranger); !errors.Is(err, authn.WrongCredentials) {
		t.Errorf("by password: %v", err)
	}
	if st := w.entersBy(keys, stranger); st.Session.ACR != authn.AAL2 {
		t.Errorf("%+v", st.Session)
	}

	h := newHostWorld(t)
	hosted := sallyporttest.Person{User: h.enter("maya", browser("b")).User}
	keys = h.Passkeys(t)
	h.AddPasskey(t, hosted.User, keys)
	h.put(hosted, known)
	if _, err := h.begin("maya", hostPassword, stranger); !errors.Is(err, authn.WrongCredentials) {
		t.Errorf("of the host, by password: %v", err)
	}
	h.entersBy(keys, stranger)
}

// A passkey is one proof: of whom two of different kinds are asked, it is the first, and
// no second passkey is the other.
func TestPasskeyIsOneOfTwo_G4_rul14(t *testing.T) {
	w, maya, keys := keyed(t)
	more := w.Passkeys(t)
	w.AddPasskey(t, maya.User, more)
	var p sallyporttest.Person
	p.User = maya.User
	p.Factor, p.Secret = w.AddApp(t, maya.User)
	w.rule(func(d *policy.Document) { d.ProofsByRole = map[string]int{"member": 2} })
	c := authn.Client{Browser: "b1"}
	st, err := w.byPasskey(signs(t, keys, w.asksAnybody(c)).Credential, c)
	if err != nil || st.Session != nil || st.Need.State != authn.NeedFactor || slices.ContainsFunc(st.Need.Offers, func(o policy.Offer) bool { return o.Kind == authn.WebAuthn }) {
		t.Fatalf("%+v %v", st.Need, err)
	}
	o := signin.OpenerOf(st.Token, c)
	if _, _, err := w.SignIn.Challenge(t.Context(), o, authn.WebAuthn, ""); !errors.Is(err, authn.Invalid) {
		t.Errorf("asked for another passkey: %v", err)
	}
	done, err := w.verify(st, w.Code(t, p.Secret), c)
	if err != nil || done.Session == nil || !slices.Equal(done.Session.AMR, []string{"hwk", "user", "otp", "mfa"}) && done.Session.ACR != authn.AAL2 {
		t.Errorf("%+v %v", done.Session, err)
	}
}

// A browser can be trusted by a passkey as by an app, and then stands in for it after a
// password; the passkey is asked for again once it is removed.
func TestTrustedByPasskey_N1(t *testing.T) {
	w := trusting(t)
	maya := w.AddUser(t, w.Company, "maya", false)
	keys := w.Passkeys(t)
	maya.Factor = w.AddPasskey(t, maya.User, keys)
	c := authn.Client{Browser: "b1"}
	o, options := w.asksFor(maya, c)
	st, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.WebAuthn, Answer: signs(t, keys, options), Trust: true})
	if err != nil || st.TrustToken.IsZero() {
		t.Fatalf("%+v %v", st, err)
	}
	w.Clock.Advance(time.Minute)
	if w.asked(maya, st.TrustToken.Reveal(), c) {
		t.Error("asked in a trusted browser")
	}
	// A whole sign-in is asked for nothing that trust would stand in for, and trusts nothing.
	if whole := w.entersBy(keys, c); !whole.TrustToken.IsZero() || whole.Session.Trust != "" {
		t.Errorf("%+v", whole)
	}
	w.decide(maya, authn.DeleteFactor{ID: maya.Factor})
	if st := w.show(maya, st.TrustToken.Reveal(), c); st.Session != nil && slices.Contains(st.Session.AMR, "hwk") {
		t.Errorf("%+v", st.Session)
	}
}
