package signin_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// rul-27: a form waits for its step-up, is shown to its browser and sign-in, and taken
// once; what is on record says so, and holds nothing of it.
func TestKeptForm_rul27_invA(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	in := w.signIn(p, browser("b"))
	other := w.signIn(w.AddUser(t, w.Company, "omar", true), browser("b"))
	form := authn.Form{Route: "POST /admin/x", Path: "/admin/x", Body: []byte("password=canary")}
	w.Clock.Advance(20 * time.Minute)
	st, err := w.SignIn.StepUpKeeping(t.Context(), in.SessionToken, "x.change", "/account", form, browser("b"))
	if err != nil {
		t.Fatal(err)
	}
	id := st.Attempt.ID
	if got, err := w.SignIn.KeptForm(t.Context(), in.SessionToken, id, browser("b")); err != nil || string(got.Body) != string(form.Body) || !got.ExpiresAt.Equal(w.Clock.Now().Add(authn.FormLives)) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := w.SignIn.TakeForm(t.Context(), in.SessionToken, id, browser("b")); code(err) != authn.NotFound {
		t.Errorf("before the proof: %v", err)
	}
	done, err := w.verify(st, w.Code(t, p.Secret), browser("b"))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		token   authn.Token
		browser string
		want    authn.Code
	}{
		"the session of before": {in.SessionToken, "b", authn.Unauthenticated}, "another person": {other.SessionToken, "b", authn.NotFound},
		"another browser": {done.SessionToken, "c", authn.NotFound}, "no browser": {done.SessionToken, "", authn.NotFound},
	} {
		if _, err := w.SignIn.KeptForm(t.Context(), c.token, id, browser(c.browser)); code(err) != c.want {
			t.Errorf("%s: shown: %v", what, err)
		}
		if _, err := w.SignIn.TakeForm(t.Context(), c.token, id, browser(c.browser)); code(err) != c.want {
			t.Errorf("%s: taken: %v", what, err)
		}
	}
	var got atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if f, err := w.SignIn.TakeForm(t.Context(), done.SessionToken, id, browser("b")); err == nil && f.Path == form.Path {
				got.Add(1)
			} else if code(err) != authn.NotFound {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "step_up.form_sent", Limit: 10})
	if err != nil || got.Load() != 1 || len(list) != 1 || list[0].Actor != p.ID || list[0].Personal.Detail["form"] != form.Route || len(list[0].Personal.Detail) != 1 {
		t.Errorf("%d got it: %+v %v", got.Load(), list, err)
	}
}
