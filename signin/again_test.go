package signin_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// inBrowser opens an attempt as its own browser does: without its token.
func inBrowser(st signin.Status, c authn.Client) signin.Opener {
	return signin.Opener{Company: st.Attempt.Company, Attempt: st.Attempt.ID, Client: c}
}

// verifyHere is verify as the browser does it.
func (w world) verifyHere(st signin.Status, code string, c authn.Client) (signin.Status, error) {
	return w.SignIn.Verify(context.Background(), inBrowser(st, c), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: code}})
}

// A form that was sent twice has two answers, of which browsers show the last one
// and throw the first away with its cookie (ruling 49). The session is the same one.
func TestAgain_rul49_std53(t *testing.T) {
	w := newWorld(t)
	maya, c := w.AddUser(t, w.Company, "maya", true), browser("maya")
	began := w.mustBegin(maya, c)
	st, err := w.verifyHere(began, w.Code(t, maya.Secret), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	w.Clock.Advance(2 * time.Second)
	again, err := w.SignIn.Again(ctx, inBrowser(began, c), authn.Token{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*again.Session, *st.Session) || again.SessionToken.Reveal() != st.SessionToken.Reveal() {
		t.Errorf("it was %+v\nit is %+v", st.Session, again.Session)
	}
	if cur, err := w.Sessions.Check(ctx, again.SessionToken.Reveal(), c); err != nil || cur.User.ID != maya.ID {
		t.Errorf("what was given again: %v", err)
	}
	if list, err := w.Store.Sessions(ctx, maya.Company, maya.ID); err != nil || len(list) != 1 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	if !w.hasEvent(maya, "session.given_again") {
		t.Error("nothing in the log")
	}
}

// Nobody else gets it, nor the same browser later, or once it has it.
func TestAgain_refusals_rul47(t *testing.T) {
	type signedIn struct {
		maya        sallyporttest.Person
		began, done signin.Status
		c           authn.Client
	}
	ctx := context.Background()
	for name, tt := range map[string]struct {
		change func(world, *signedIn) (signin.Opener, authn.Token)
		want   authn.Code
	}{
		"another browser": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			return inBrowser(s.began, browser("mallory")), authn.Token{}
		}, authn.NotFound},
		"no browser": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			return inBrowser(s.began, authn.Client{}), authn.Token{}
		}, authn.NotFound},
		"a program": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			return signin.OpenerOf(s.began.Token, s.c), authn.Token{}
		}, authn.Conflict},
		"it has the session": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			return inBrowser(s.began, s.c), s.done.SessionToken
		}, authn.Conflict},
		"a program completed it": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			w.Clock.Advance(30 * time.Second)
			began := w.mustBegin(s.maya, s.c)
			if _, err := w.verify(began, w.Code(w.t, s.maya.Secret), s.c); err != nil {
				w.t.Fatal(err)
			}
			return inBrowser(began, s.c), authn.Token{}
		}, authn.Conflict},
		"eleven seconds later": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			w.Clock.Advance(11 * time.Second)
			return inBrowser(s.began, s.c), authn.Token{}
		}, authn.Conflict},
		"the attempt is not done": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			return inBrowser(w.mustBegin(w.AddUser(w.t, w.Company, "nadia", true), s.c), s.c), authn.Token{}
		}, authn.Conflict},
		"signed out": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			if err := w.Sessions.SignOut(ctx, s.done.SessionToken, s.c); err != nil {
				w.t.Fatal(err)
			}
			return inBrowser(s.began, s.c), authn.Token{}
		}, authn.Conflict},
		"the account changed": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			w.put(s.maya, func(u *authn.User) { u.Epoch++ })
			return inBrowser(s.began, s.c), authn.Token{}
		}, authn.Conflict},
		"suspended": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			w.put(s.maya, func(u *authn.User) { u.Status = authn.Suspended })
			return inBrowser(s.began, s.c), authn.Token{}
		}, authn.Conflict},
		"it was used": {func(w world, s *signedIn) (signin.Opener, authn.Token) {
			w.inSession(s.done, func(rows *authn.Rows) authn.Verdict {
				rows.Session.LastSeenAt = rows.Session.LastSeenAt.Add(time.Second)
				return authn.Continue(authn.PutSession{Session: *rows.Session})
			})
			return inBrowser(s.began, s.c), authn.Token{}
		}, authn.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.SetTwoFactor(t, "acme", policy.Required)
			maya := w.AddUser(t, w.Company, "maya", true)
			s := &signedIn{maya: maya, c: browser("maya")}
			s.began = w.mustBegin(maya, s.c)
			var err error
			if s.done, err = w.verifyHere(s.began, w.Code(t, maya.Secret), s.c); err != nil {
				t.Fatal(err)
			}
			o, has := tt.change(w, s)
			before, _ := w.Store.Sessions(ctx, maya.Company, maya.ID)
			st, err := w.SignIn.Again(ctx, o, has)
			if code(err) != tt.want || st.Session != nil {
				t.Errorf("%v, session %v", err, st.Session)
			}
			after, err := w.Store.Sessions(ctx, maya.Company, maya.ID)
			if err != nil || len(after) != len(before) || len(after) == 1 && after[0].ID != before[0].ID {
				t.Errorf("the sessions were %v and are %v, %v", before, after, err)
			}
		})
	}
}

func (w world) inSession(st signin.Status, f func(*authn.Rows) authn.Verdict) {
	w.t.Helper()
	if err := w.Store.Decide(context.Background(), authn.Keys{Company: st.User.Company, User: st.User.ID, Session: st.Session.ID, Now: w.Clock.Now()}, f); err != nil {
		w.t.Fatal(err)
	}
}
