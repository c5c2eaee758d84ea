package sallyport_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// rul-16: a server whose clock is behind what was seen before signs nobody in
// and is not ready; what was begun before is not evaluated either. It recovers
// by itself.
func TestClockBehind_rul16(t *testing.T) {
	w := sallyporttest.NewServer(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	defer func() { stop(); <-done }()
	for latest := (time.Time{}); latest.IsZero(); { // until Run has looked
		var err error
		if latest, err = w.Store.Clock(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	begin := func() (signin.Status, error) {
		return w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: "maya", Password: sallyporttest.Password})
	}
	st, err := begin()
	if err != nil {
		t.Fatal(err)
	}
	answer := func() error {
		o := signin.OpenerOf(st.Token, authn.Client{})
		_, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, maya.Secret)}})
		return err
	}
	nina, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: "nina", Email: "nina@acme.example"}, false)
	if err != nil {
		t.Fatal(err)
	}
	accept := func() error {
		_, err := w.SignIn.Accept(t.Context(), nina.Token, sallyporttest.Password, "", authn.Client{})
		return err
	}
	w.Clock.Advance(-29 * time.Second)
	if _, err := begin(); err != nil {
		t.Errorf("29 s behind: %v", err)
	}
	w.Clock.Advance(-3 * time.Second)
	if _, err := begin(); !errors.Is(err, authn.Busy) {
		t.Errorf("32 s behind: %v", err)
	}
	if err := answer(); !errors.Is(err, authn.Busy) {
		t.Errorf("32 s behind: %v", err)
	}
	// Neither do the other ways in that end with a session.
	if err := accept(); !errors.Is(err, authn.Busy) {
		t.Errorf("an invitation, 32 s behind: %v", err)
	}
	o := signin.OpenerOf(st.Token, authn.Client{})
	for what, end := range map[string]func() (signin.Status, error){
		"complete":        func() (signin.Status, error) { return w.SignIn.Complete(t.Context(), o) },
		"postpone":        func() (signin.Status, error) { return w.SignIn.Postpone(t.Context(), o) },
		"change password": func() (signin.Status, error) { return w.SignIn.ChangePassword(t.Context(), o, sallyporttest.Password) },
	} {
		if _, err := end(); !errors.Is(err, authn.Busy) {
			t.Errorf("%s, 32 s behind: %v", what, err)
		}
	}
	if r, err := http.Get(w.URL + "/readyz"); err != nil || r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("ready: %v %v", r, err)
	}
	w.Clock.Advance(32 * time.Second)
	if err := errors.Join(answer(), accept()); err != nil {
		t.Error(err)
	}
}
