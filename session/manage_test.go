package session_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/session"
)

func check(t *testing.T, w *sallyporttest.Server, tok authn.Token) session.Current {
	t.Helper()
	cur, err := w.Sessions.Check(t.Context(), tok.Reveal(), here)
	if err != nil {
		t.Fatal(err)
	}
	return cur
}

func code(err error) authn.Code {
	if err == nil {
		return ""
	}
	return authn.AsError(err).Code
}

// inv-F, cve-34, cve-57: one's own sessions, and nobody else's; over at once.
func TestEnd_invF(t *testing.T) {
	w := sallyporttest.NewServer(t)
	omar, lena := w.AddUser(t, w.Company, "omar", false), w.AddUser(t, w.Company, "lena", false)
	a, b, hers := open(t, w, omar), open(t, w, omar), open(t, w, lena)
	cur := check(t, w, a)
	for _, id := range []string{hers.ID, "", "ses_x", "ses_06gvqojiq1qq57jp3br4pat4so"} {
		if err := w.Sessions.End(t.Context(), cur, id, here); code(err) != authn.NotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
	if err := w.Sessions.End(t.Context(), cur, b.ID, here); err != nil || alive(w, t, b) || !alive(w, t, a) || !alive(w, t, hers) {
		t.Errorf("the other one: %v", err)
	}
	if err := w.Sessions.End(t.Context(), cur, b.ID, here); code(err) != authn.NotFound {
		t.Errorf("twice: %v", err)
	}
	if err := w.Sessions.End(t.Context(), cur, a.ID, here); err != nil || alive(w, t, a) {
		t.Errorf("this one: %v", err)
	}
	c := open(t, w, omar)
	if err := w.Sessions.End(t.Context(), cur, c.ID, here); code(err) != authn.Unauthenticated || !alive(w, t, c) {
		t.Errorf("a dead session acts: %v", err)
	}
	events, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Target: omar.ID})
	if err != nil || !slices.ContainsFunc(events, func(e authn.Event) bool {
		return e.Type == "session.ended" && e.Personal.Detail["session"] == b.ID
	}) {
		t.Errorf("no event: %v", err)
	}
}

func TestEnd_race(t *testing.T) {
	w := sallyporttest.NewServer(t)
	omar := w.AddUser(t, w.Company, "omar", false)
	cur, b := check(t, w, open(t, w, omar)), open(t, w, omar)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() { errs[i] = w.Sessions.End(t.Context(), cur, b.ID, here) })
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if code(err) != authn.NotFound {
			t.Error(err)
		}
	}
	if done != 1 {
		t.Errorf("ended %d times", done)
	}
}

func TestRename(t *testing.T) {
	w := sallyporttest.NewServer(t)
	omar, lena := w.AddUser(t, w.Company, "omar", false), w.AddUser(t, w.Company, "lena", false)
	a, b, hers := open(t, w, omar), open(t, w, omar), open(t, w, lena)
	cur := check(t, w, a)
	for _, id := range []string{a.ID, b.ID} {
		got, err := w.Sessions.Rename(t.Context(), cur, id, "  Kitchen   laptop ", here)
		if err != nil || got.Name != "Kitchen laptop" || got.ID != id {
			t.Errorf("%+v %v", got, err)
		}
	}
	list, err := w.Sessions.List(t.Context(), cur)
	if err != nil || len(list) != 2 || list[0].Name != "Kitchen laptop" || list[1].Name != "Kitchen laptop" {
		t.Errorf("%+v %v", list, err)
	}
	for _, name := range []string{"", " ", strings.Repeat("x", 61), "\u202eenohp", "a\x00"} {
		if _, err := w.Sessions.Rename(t.Context(), cur, a.ID, name, here); code(err) != authn.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, id := range []string{hers.ID, "", "ses_06gvqojiq1qq57jp3br4pat4so"} {
		if _, err := w.Sessions.Rename(t.Context(), cur, id, "Mine", here); code(err) != authn.NotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
	if !alive(w, t, a) || !alive(w, t, b) || !alive(w, t, hers) {
		t.Error("a name ends a session")
	}
}
