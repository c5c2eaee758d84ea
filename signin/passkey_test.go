package signin_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// keyed is a world with somebody who has a passkey.
func keyed(t *testing.T) (world, sallyporttest.Person, *sallyporttest.Passkeys) {
	t.Helper()
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", false)
	keys := w.Passkeys(t)
	maya.Factor = w.AddPasskey(t, maya.User, keys)
	return w, maya, keys
}

func signs(t *testing.T, keys *sallyporttest.Passkeys, options []byte) authn.Answer {
	t.Helper()
	signed, err := keys.Sign(options)
	if err != nil {
		t.Fatal(err)
	}
	return authn.Answer{Credential: signed}
}

// asksFor begins a second step by passkey.
func (w world) asksFor(p sallyporttest.Person, c authn.Client) (signin.Opener, []byte) {
	w.t.Helper()
	st := w.mustBegin(p, c)
	o := signin.OpenerOf(st.Token, c)
	_, sent, err := w.SignIn.Challenge(context.Background(), o, authn.WebAuthn, "")
	if err != nil || len(sent.Options) == 0 || !sent.ExpiresAt.Equal(w.Clock.Now().Add(5*time.Minute)) {
		w.t.Fatalf("%+v %v", sent, err)
	}
	return o, sent.Options
}

func TestPasskeySecondStep_N1_rul14(t *testing.T) {
	w, maya, keys := keyed(t)
	c := authn.Client{Browser: "b1"}
	o, options := w.asksFor(maya, c)
	a := signs(t, keys, options)
	st, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.WebAuthn, Answer: a})
	if err != nil || st.Session == nil || st.Session.ACR != authn.AAL2 || !slices.Equal(st.Session.AMR, []string{"pwd", "hwk", "user"}) || !st.Session.FactorTime.Equal(w.Clock.Now()) {
		t.Fatalf("%+v %v", st, err)
	}
	// The same answer opens nothing else: what it answered is used up.
	o2, _ := w.asksFor(maya, c)
	if _, err := w.SignIn.Verify(t.Context(), o2, signin.Verify{Method: authn.WebAuthn, Answer: a}); !errors.Is(err, authn.Expired) {
		t.Errorf("replayed: %v", err)
	}
}

func TestPasskeyWholeSignIn_N1(t *testing.T) {
	w, maya, keys := keyed(t)
	keys.Synced = true
	c := authn.Client{Browser: "b1"}
	ask, err := w.SignIn.Passkeys(t.Context(), "acme", c)
	if err != nil {
		t.Fatal(err)
	}
	a := signs(t, keys, ask.Options)
	for name, by := range map[string]authn.Client{"another browser": {Browser: "b2"}, "none": {}} {
		if _, err := w.SignIn.BeginByPasskey(t.Context(), signin.ByPasskey{Company: "acme", Credential: a.Credential, Client: by}); !errors.Is(err, authn.Expired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Of a hundred at once one gets in.
	var in, out int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			st, err := w.SignIn.BeginByPasskey(context.Background(), signin.ByPasskey{Company: "acme", Credential: a.Credential, Client: c})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && st.Session != nil && st.User.ID == maya.ID && st.Session.ACR == authn.AAL2 && slices.Equal(st.Session.AMR, []string{"swk", "user"}):
				in++
			case errors.Is(err, authn.Expired) || errors.Is(err, authn.Conflict) || errors.Is(err, authn.Busy):
				out++
			default:
				t.Errorf("%+v %v", st, err)
			}
		})
	}
	wg.Wait()
	if in != 1 || out != 99 {
		t.Errorf("%d in, %d out", in, out)
	}
	if n := len(w.eventsOf(maya, "passkey.backup_changed")); n != 1 {
		t.Errorf("%d events of the change", n)
	}
}

func TestPasskeyCopied_std73(t *testing.T) {
	w, maya, keys := keyed(t)
	keys.Counts = true
	copied := keys.Clone()
	c := authn.Client{Browser: "b1"}
	by := func(k *sallyporttest.Passkeys) error {
		ask, err := w.SignIn.Passkeys(t.Context(), "acme", c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.SignIn.BeginByPasskey(t.Context(), signin.ByPasskey{Company: "acme", Credential: signs(t, k, ask.Options).Credential, Client: c})
		return err
	}
	for range 3 {
		if err := by(keys); err != nil {
			t.Fatal(err)
		}
	}
	if err := by(copied); err != nil {
		t.Errorf("warned of, and let in: %v", err)
	}
	w.rule(func(d *policy.Document) { d.Passkeys = &policy.Passkeys{BlockCopied: true} })
	if err := by(copied); !errors.Is(err, authn.PolicyForbids) {
		t.Errorf("blocked: %v", err)
	}
	if n := len(w.eventsOf(maya, "passkey.counter_back")); n != 2 {
		t.Errorf("%d warnings", n)
	}
	if n := w.letters(maya.Email, "may have been copied", "Way to verify: passkey", "/not-me/"); n != 2 {
		t.Errorf("%d letters", n)
	}
}

func TestPasskeyRefused_std73(t *testing.T) {
	w, maya, keys := keyed(t)
	tom := w.AddUser(t, w.Company, "tom", false)
	toms := w.Passkeys(t)
	w.AddPasskey(t, tom.User, toms)
	c := authn.Client{Browser: "b1"}
	ask := func() []byte {
		q, err := w.SignIn.Passkeys(t.Context(), "acme", c)
		if err != nil {
			t.Fatal(err)
		}
		return q.Options
	}
	_ = maya
	for name, tt := range map[string]struct {
		change func(*sallyporttest.PasskeyAnswer)
		want   authn.Code
	}{
		"another origin":   {func(a *sallyporttest.PasskeyAnswer) { a.ClientData.Origin = "https://evil.example" }, authn.WrongCode},
		"nobody verified":  {func(a *sallyporttest.PasskeyAnswer) { a.AuthData.Flags &^= 0x04 }, authn.WrongCode},
		"another's handle": {func(a *sallyporttest.PasskeyAnswer) { a.UserHandle = []byte(tom.ID) }, authn.WrongCode},
		"no handle":        {func(a *sallyporttest.PasskeyAnswer) { a.UserHandle = nil }, authn.WrongCode},
		"another key":      {func(a *sallyporttest.PasskeyAnswer) { a.WrongKey = true }, authn.WrongCode},
	} {
		signed, err := keys.SignWith(ask(), tt.change)
		if err != nil {
			t.Fatal(err)
		}
		st, err := w.SignIn.BeginByPasskey(t.Context(), signin.ByPasskey{Company: "acme", Credential: signed, Client: c})
		if st.Session != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v %v", name, st, err)
		}
		w.Clock.Advance(2 * time.Hour)
	}
	for name, raw := range map[string]string{"empty": "", "no JSON": "{", "too long": string(make([]byte, 70<<10)), "an array": "[]"} {
		if _, err := w.SignIn.BeginByPasskey(t.Context(), signin.ByPasskey{Company: "acme", Credential: []byte(raw), Client: c}); !errors.Is(err, authn.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	keys.Forget(keys.Credentials()[0].ID)
	options := ask()
	if _, err := keys.Sign(options); err == nil {
		t.Error("it signs without a key")
	}
}
