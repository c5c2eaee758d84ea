package sallyport_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

const (
	backTo = "https://app.example.com/back"
	nonce  = "n-0S6_WzA2Mj-of-16"
)

// application is a key of a program that people are led back to at
// "https://<name>.example.com/back"; scopes are what it may do.
func (s *shop) application(c authn.Company, name string, scopes ...string) (authn.APIKey, authn.Token) {
	s.t.Helper()
	return s.AddApplication(s.t, c, name, "https://"+name+".example.com/back", scopes...)
}

func (s *shop) exchange(w authn.Token, handle string) (directory.ToldOf, error) {
	return s.Directory.RedeemHandle(s.t.Context(), directory.Program(w, authn.Client{}), handle)
}

func (s *shop) assert(a signin.Assertion) signin.Status {
	s.t.Helper()
	st, err := s.SignIn.Assert(s.t.Context(), a)
	s.must(err)
	return st
}

// rul-57: somebody who is signed in goes to the application, which is told once who
// they are, how and when, with its own nonce.
func TestReturn_rul57(t *testing.T) {
	s := newShop(t)
	k, key := s.application(s.Company, "app", "grants.redeem")
	session := s.signIn(s.maya)
	handed, err := s.SignIn.Return(t.Context(), session, authn.Return{Address: backTo, Nonce: nonce}, authn.Client{})
	s.must(err)
	if handed.To != backTo+"?handle="+handed.Token || !strings.HasPrefix(handed.Token, "sp_hdl_") || handed.Key != k.ID || !handed.ExpiresAt.Equal(s.Clock.Now().Add(time.Minute)) {
		t.Fatalf("%+v", handed)
	}
	got, err := s.exchange(key, handed.Token)
	s.must(err)
	if got.User.ID != s.maya.ID || got.Session.ID != session.ID || got.Handle.Nonce != nonce || got.Handle.ACR != authn.AAL2 || !slices.Equal(got.Handle.AMR, []string{"pwd", "otp"}) ||
		got.Handle.Kind != authn.SignInHandle || got.Handle.AuthTime.IsZero() {
		t.Errorf("%+v", got)
	}
	_, err = s.exchange(key, handed.Token)
	if !errors.Is(err, authn.Conflict) || authn.AsError(err).Key != "error.handle_used" {
		t.Errorf("twice: %v", err)
	}
	for _, typ := range []string{"handle.issued", "handle.redeemed", "handle.reused"} {
		if list := s.events(typ); len(list) != 1 || list[0].Target != s.maya.ID || list[0].Personal.Detail["handle"] != handed.ID {
			t.Errorf("%s: %+v", typ, list)
		}
	}
	if first := s.events("handle.reused")[0].Personal.Detail["first"]; first != s.Clock.Now().Format(time.RFC3339) {
		t.Errorf("the first exchange was %q", first)
	}
	// After a step-up the session has another token, and is the same sign-in.
	again, err := s.SignIn.Return(t.Context(), session, authn.Return{Address: backTo, Nonce: nonce}, authn.Client{})
	s.must(err)
	renewed := s.confirm(session, s.maya, signin.For{Action: "billing.change"})
	if got, err := s.exchange(key, again.Token); err != nil || got.Session.ID != renewed.Session.ID {
		t.Errorf("after a step-up: %+v %v", got, err)
	}
}

// What a handle is not good for: cve-34, cve-52, cve-54, rul-3, rul-57.
func TestHandleIsGoodForNothingElse_rul57_cve34_cve54(t *testing.T) {
	s := newShop(t)
	_, key := s.application(s.Company, "app", "grants.redeem")
	_, another := s.application(s.Company, "other", "grants.redeem")
	globex := s.AddCompany(t, "globex", "Globex")
	_, elsewhere := s.application(globex, "app", "grants.redeem") // the same address
	op := directory.TheOperator(s.Company.ID)
	end := func(do directory.PersonAct) func(*testing.T, signin.Handed, authn.Token) {
		return func(*testing.T, signin.Handed, authn.Token) {
			_, err := s.Directory.Do(s.t.Context(), op, do)
			s.must(err)
		}
	}
	for what, c := range map[string]struct {
		key    authn.Token
		change func(*testing.T, signin.Handed, authn.Token)
		handle func(string) string
		code   authn.Code
	}{
		"another key":     {key: another, code: authn.NotFound},
		"another company": {key: elsewhere, code: authn.NotFound},
		"altered":         {key: key, handle: func(h string) string { return h[:len(h)-9] + strings.Repeat("0", 9) }, code: authn.NotFound},
		"cut":             {key: key, handle: func(h string) string { return h[:len(h)-1] }, code: authn.NotFound},
		"empty":           {key: key, handle: func(string) string { return "" }, code: authn.NotFound},
		"too late":        {key: key, change: func(*testing.T, signin.Handed, authn.Token) { s.Clock.Advance(time.Minute) }, code: authn.Expired},
		"signed out": {key: key, change: func(t *testing.T, _ signin.Handed, se authn.Token) {
			s.must(s.Sessions.SignOut(t.Context(), se, authn.Client{}))
		}, code: authn.Expired},
		"epoch (rul-3)":     {key: key, change: end(directory.PersonAct{Do: directory.SignOut, Target: s.maya.ID}), code: authn.Expired},
		"suspended (cve54)": {key: key, change: end(directory.PersonAct{Do: directory.Suspend, Target: s.maya.ID}), code: authn.Expired},
	} {
		t.Run(what, func(t *testing.T) {
			session := s.signIn(s.maya)
			handed, err := s.SignIn.Return(t.Context(), session, authn.Return{Address: backTo, Nonce: nonce}, authn.Client{})
			s.must(err)
			if c.change != nil {
				c.change(t, handed, session)
			}
			handle := handed.Token
			if c.handle != nil {
				handle = c.handle(handle)
			}
			if _, err := s.exchange(c.key, handle); !errors.Is(err, c.code) {
				t.Errorf("%v", err)
			}
			if what == "suspended (cve54)" {
				_, err := s.Directory.Do(t.Context(), op, directory.PersonAct{Do: directory.Activate, Target: s.maya.ID})
				s.must(err)
			}
			if c.code != authn.NotFound {
				return
			}
			// A refusal leaves it, and what is not a key's is nobody's.
			if _, err := s.Directory.RedeemHandle(t.Context(), directory.Session(session, authn.Client{}), handed.Token); !errors.Is(err, authn.NotFound) {
				t.Errorf("a person: %v", err)
			}
			if _, err := s.exchange(key, handed.Token); err != nil {
				t.Errorf("its own key afterwards: %v", err)
			}
		})
	}
	// A handle of one person is of nobody else: nothing but the token says whose it is.
	nadia := s.AddUser(t, s.Company, "nadia", true)
	handed, err := s.SignIn.Return(t.Context(), s.signIn(nadia), authn.Return{Address: backTo, Nonce: nonce}, authn.Client{})
	s.must(err)
	if got, err := s.exchange(key, handed.Token); err != nil || got.User.ID != nadia.ID {
		t.Errorf("%+v %v", got, err)
	}
}

// rul-57, ASVS 2.3.4: of a hundred exchanges at once one gets an answer.
func TestHandleRace_rul57(t *testing.T) {
	s := newShop(t)
	_, key := s.application(s.Company, "app", "grants.redeem")
	handed, err := s.SignIn.Return(t.Context(), s.signIn(s.maya), authn.Return{Address: backTo, Nonce: nonce}, authn.Client{})
	s.must(err)
	var won, used, odd atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			switch _, err := s.exchange(key, handed.Token); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, authn.Conflict):
				used.Add(1)
			default:
				odd.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || used.Load() != 99 {
		t.Errorf("%d won, %d were told that it was used, %d something else", won.Load(), used.Load(), odd.Load())
	}
	if n := len(s.events("handle.redeemed")); n != 1 {
		t.Errorf("%d events", n)
	}
}

// std-59, cve-64: people are sent to a registered address, letter by letter, and to
// nothing that some browser or program reads as one.
func TestReturnAddresses_std59_cve64(t *testing.T) {
	s := newShop(t)
	k, _ := s.application(s.Company, "app", "grants.redeem")
	session := s.signIn(s.maya)
	for _, to := range []string{
		"//evil.example", `\\evil.example`, `/\evil.example`, "https:evil.example", "https://evil.example/back", "https://app.example.com@evil.example/back", "https://user:pw@app.example.com/back",
		"https://app.example.com:8443/back", "https://app.example.com:443/back", "https://APP.example.com/back", "HTTPS://app.example.com/back", "https://app.example.com./back",
		"https://app.example.com/Back", "https://app.example.com/back/", "https://app.example.com/back?", "https://app.example.com/back?a=b", "https://app.example.com/back#x", "https://app.example.com/%62ack",
		"https://app.example.com/./back", "https://app.example.com/x/../back", "https://app.example.com//back", "https://app.example.com%2fevil.example/back", "https://app.example.com%00/back",
		"http://app.example.com/back", "https://evil.app.example.com/back", "https://app.example.com.evil.example/back", " https://app.example.com/back", "https://app.example.com/back\n",
		"https://app.example.com\\@evil.example/back", "https://аpp.example.com/back", "javascript:alert(1)", "data:text/html,x", "", "https://",
	} {
		if _, err := s.SignIn.Return(t.Context(), session, authn.Return{Address: to, Nonce: nonce}, authn.Client{}); !errors.Is(err, authn.Invalid) {
			t.Errorf("%q: %v", to, err)
		}
		if err := s.SignIn.Registered(t.Context(), s.Company.ID, authn.Return{Address: to, Nonce: nonce}); !errors.Is(err, authn.Invalid) {
			t.Errorf("%q is registered: %v", to, err)
		}
	}
	for _, bad := range []string{"", "short", strings.Repeat("n", 201), "n-0S6_WzA2Mj of-16", "n-0S6_WzA2Mj#of-16", "n-0S6_WzA2Mj%20f-16"} {
		if _, err := s.SignIn.Return(t.Context(), session, authn.Return{Address: backTo, Nonce: bad}, authn.Client{}); !errors.Is(err, authn.Invalid) {
			t.Errorf("nonce %q: %v", bad, err)
		}
	}
	if n := len(s.events("handle.issued")); n != 0 {
		t.Errorf("%d handles", n)
	}
	// Taken away, it is one like any other.
	op := directory.TheOperator(s.Company.ID)
	_, err := s.Directory.RemoveReturnAddress(t.Context(), op, k.ID, backTo, "moved")
	s.must(err)
	if _, err := s.SignIn.Return(t.Context(), session, authn.Return{Address: backTo, Nonce: nonce}, authn.Client{}); !errors.Is(err, authn.Invalid) {
		t.Errorf("taken away: %v", err)
	}
	if _, err := s.Directory.RemoveReturnAddress(t.Context(), op, k.ID, backTo, ""); !errors.Is(err, authn.NotFound) {
		t.Errorf("taken away twice: %v", err)
	}
	for _, typ := range []string{"return_address.added", "return_address.removed"} {
		if list := s.events(typ); len(list) != 1 || list[0].Personal.Detail["to"] != backTo || list[0].Personal.Detail["reason"] == "" || list[0].Target != k.User {
			t.Errorf("%s: %+v", typ, list)
		}
	}
}

// A step-up for an application on another origin tells its key of the action, the
// request and this proof (cve-52), and gives no grant besides.
func TestReturnAfterStepUp_rul57_cve52(t *testing.T) {
	s := newShop(t)
	_, key := s.application(s.Company, "app", "grants.redeem")
	session := s.signIn(s.maya)
	to := authn.Return{Address: backTo, Nonce: nonce}.String()
	done := s.confirm(session, s.maya, signin.For{Action: "billing.change", RequestHash: requestHash, ReturnTo: to})
	if done.Grant != nil || done.Handle == nil || done.Session == nil {
		t.Fatalf("%+v", done)
	}
	got, err := s.exchange(key, done.Handle.Token)
	s.must(err)
	h := got.Handle
	if h.Kind != authn.StepUpHandle || h.Action != "billing.change" || h.RequestHash != requestHash || h.ACR != authn.AAL2 || !slices.Equal(h.AMR, []string{"otp"}) ||
		!h.AuthTime.Equal(s.Clock.Now()) || got.Session.ID != done.Session.ID || h.Nonce != nonce {
		t.Errorf("%+v", got)
	}
	for _, f := range []signin.For{
		{Action: "billing.change", ReturnTo: authn.Return{Address: "https://evil.example/back", Nonce: nonce}.String()},
		{Action: "policy.change", ReturnTo: to}, // one of our own acts
		{Action: "", ReturnTo: to},
	} {
		if _, err := s.SignIn.StepUpFor(t.Context(), done.SessionToken, f, authn.Client{}); !errors.Is(err, authn.Invalid) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	// The address is taken away while the person looks for their phone.
	st, err := s.SignIn.StepUpFor(t.Context(), done.SessionToken, signin.For{Action: "billing.change", ReturnTo: to}, authn.Client{})
	s.must(err)
	_, err = s.Directory.RemoveReturnAddress(t.Context(), directory.TheOperator(s.Company.ID), "app", backTo, "")
	s.must(err)
	s.Clock.Advance(30 * time.Second)
	_, err = s.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, authn.Client{}), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: s.Code(t, s.maya.Secret)}})
	if !errors.Is(err, authn.Invalid) {
		t.Errorf("taken away meanwhile: %v", err)
	}
}

// An address that is taken away while somebody looks for their phone is no fault of
// theirs: a right answer that leads nowhere is not counted as a wrong one, is not used
// up, and nobody is told that it was (ruling 11).
func TestRightAnswerWithoutAddress_rul11_rul57(t *testing.T) {
	s := newShop(t)
	_, key := s.application(s.Company, "app", "attempts.assert")
	session := s.signIn(s.maya)
	who := enroll.Who{Token: session}
	codes, err := s.Enroll.NewCodes(t.Context(), who)
	s.must(err)
	st := s.assert(signin.Assertion{Key: key, User: "maya", Nonce: nonce, ReturnTo: backTo})
	_, err = s.Directory.RemoveReturnAddress(t.Context(), directory.TheOperator(s.Company.ID), "app", backTo, "")
	s.must(err)
	s.Clock.Advance(30 * time.Second)
	for _, a := range []signin.Verify{{Method: authn.TOTP, Answer: authn.Answer{Code: s.Code(t, s.maya.Secret)}}, {Method: authn.BackupCode, Answer: authn.Answer{Code: codes.Codes[0]}}} {
		for range policy.FreeTries + 1 {
			if _, err := s.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, authn.Client{}), a); !errors.Is(err, authn.Invalid) {
				t.Fatalf("%s: %v", a.Method, err)
			}
		}
	}
	rows, err := s.Store.View(t.Context(), authn.Keys{Company: s.Company.ID, User: s.maya.ID, Now: s.Clock.Now()})
	s.must(err)
	for _, f := range rows.Factors {
		if f.Counts[authn.Stranger].Tries != 0 || f.Kind == authn.BackupCode && f.Left != 10 {
			t.Errorf("%s: %+v, %d left", f.Kind, f.Counts, f.Left)
		}
	}
	if n := len(s.events("backup_code.used")); n != 0 {
		t.Errorf("%d codes were used, says the log", n)
	}
}

// rul-22, word by word.
func TestVerifiedByCaller_rul22(t *testing.T) {
	s := newShop(t)
	k, key := s.application(s.Company, "app", "attempts.assert")
	st := s.assert(signin.Assertion{Key: key, User: "Maya", Nonce: nonce, Address: netip.MustParseAddr("192.0.2.7")})
	if st.Need.State != authn.NeedFactor || st.Session != nil || st.Need.Offers[0].Kind != authn.TOTP || st.Need.Offers[0].TrustDays != 0 {
		t.Fatalf("%+v", st.Need)
	}
	done := s.prove(st, s.maya)
	if done.Session != nil || !done.SessionToken.IsZero() || done.Handle == nil || done.Handle.To != "" || done.Need.State != authn.Complete {
		t.Fatalf("%+v", done)
	}
	got, err := s.exchange(key, done.Handle.Token)
	s.must(err)
	if got.User.ID != s.maya.ID || got.Handle.Nonce != nonce || got.Handle.ACR != authn.AAL2 || !slices.Equal(got.Handle.AMR, []string{"caller", "otp"}) || got.Session.ID != "" ||
		got.Handle.Kind != authn.CallerHandle || !got.Handle.AuthTime.Equal(s.Clock.Now()) {
		t.Errorf("%+v", got)
	}
	if _, err := s.exchange(key, done.Handle.Token); !errors.Is(err, authn.Conflict) {
		t.Errorf("twice: %v", err)
	}
	for typ, actor := range map[string]string{"assertion.begun": k.ID, "assertion.completed": s.maya.ID, "handle.issued": s.maya.ID, "handle.redeemed": k.ID} {
		list := s.events(typ)
		if len(list) != 1 || list[0].Actor != actor || list[0].Target != s.maya.ID {
			t.Fatalf("%s: %+v", typ, list)
		}
		if address := list[0].Personal.Address; (address == "192.0.2.7") != (typ != "handle.redeemed") {
			t.Errorf("%s: from %q", typ, address)
		}
	}
	if n := len(s.events("session.started")); n != 0 {
		t.Errorf("%d sessions", n)
	}
	// No route of an attempt makes a session or a trusted browser of it.
	st = s.assert(signin.Assertion{Key: key, User: s.maya.ID, Nonce: nonce})
	o := signin.OpenerOf(st.Token, authn.Client{Browser: "b"})
	s.Clock.Advance(30 * time.Second)
	code := signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: s.Code(t, s.maya.Secret)}, Trust: true}
	if _, err := s.SignIn.Verify(t.Context(), o, code); !errors.Is(err, authn.PolicyForbids) {
		t.Errorf("trusted: %v", err)
	}
	for what, f := range map[string]func() (signin.Status, error){
		"complete": func() (signin.Status, error) { return s.SignIn.Complete(t.Context(), o) },
		"postpone": func() (signin.Status, error) { return s.SignIn.Postpone(t.Context(), o) },
		"password": func() (signin.Status, error) {
			return s.SignIn.ChangePassword(t.Context(), o, "an entirely new harbour")
		},
	} {
		if st, err := f(); err == nil {
			t.Errorf("%s: %+v", what, st)
		}
	}
	// What is wrong about a code is counted as ever, and says nothing of a password.
	code.Trust, code.Answer.Code = false, "000000"
	for range 10 {
		_, _ = s.SignIn.Verify(t.Context(), o, code)
	}
	if list := s.events("password.known_to_others"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// rul-22: the caller lies, or may not.
func TestCallerLies_rul22(t *testing.T) {
	s := newShop(t)
	_, key := s.application(s.Company, "app", "attempts.assert")
	_, other := s.application(s.Company, "other", "attempts.assert", "grants.redeem")
	globex := s.AddCompany(t, "globex", "Globex")
	zoe := s.AddUser(t, globex, "zoe", true)
	_, elsewhere := s.application(globex, "app", "attempts.assert")
	gone := s.AddUser(t, s.Company, "gone", true)
	op := directory.TheOperator(s.Company.ID)
	_, err := s.Directory.Do(t.Context(), op, directory.PersonAct{Do: directory.Suspend, Target: gone.ID})
	s.must(err)
	robot, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: "robot"})
	s.must(err)
	s.must(s.Store.Decide(t.Context(), authn.Keys{Company: s.Company.ID, User: robot.ID, Now: s.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.API = true
		return authn.Continue(authn.PutUser{User: u})
	}))
	unconfirmed, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: "lena", Email: "lena@acme.example"})
	s.must(err)
	// An address has spellings that folding letters does not make one.
	_, err = s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: "ines", Email: "ﬁnes@acme.example"})
	s.must(err)
	for user, want := range map[string]error{
		"ﬁnes@acme.example": authn.NotFound, "fines@acme.example": authn.NotFound, "ines": nil,
		s.maya.ID: nil, "MAYA": nil, "maya@acme.example": nil, unconfirmed.ID: nil,
		zoe.ID: authn.NotFound, "zoe": authn.NotFound, "nobody": authn.NotFound, "usr_none": authn.NotFound, gone.ID: authn.NotFound, "gone": authn.NotFound, "robot": authn.NotFound,
		"lena@acme.example": authn.NotFound, "": authn.Invalid, "a\x00b": authn.NotFound,
	} {
		if _, err := s.SignIn.Assert(t.Context(), signin.Assertion{Key: key, User: user, Nonce: nonce}); !errors.Is(err, want) {
			t.Errorf("%q: %v", user, err)
		}
	}
	for _, why := range []string{"suspended", "api_account"} {
		if !slices.ContainsFunc(s.events("assertion.refused"), func(e authn.Event) bool { return e.Personal.Detail["reason"] == why }) {
			t.Errorf("no event says %s", why)
		}
	}
	// Another key's address, and a nonce that can be guessed.
	for _, a := range []signin.Assertion{{ReturnTo: "https://other.example.com/back", Nonce: nonce}, {ReturnTo: "https://evil.example/", Nonce: nonce}, {Nonce: "1"}} {
		a.Key, a.User = key, "maya"
		if _, err := s.SignIn.Assert(t.Context(), a); !errors.Is(err, authn.Invalid) {
			t.Errorf("%+v: %v", a, err)
		}
	}
	done := s.prove(s.assert(signin.Assertion{Key: key, User: "maya", Nonce: nonce}), s.maya)
	for what, k := range map[string]authn.Token{"another key": other, "another company": elsewhere} {
		if _, err := s.exchange(k, done.Handle.Token); !errors.Is(err, authn.NotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// What it may do is asked at the exchange, too.
	_, err = s.Directory.SaveRole(t.Context(), op, directory.RoleChange{Name: "app", Title: "App", Permissions: []string{"users.read"}})
	s.must(err)
	if _, err := s.exchange(key, done.Handle.Token); !errors.Is(err, authn.Forbidden) {
		t.Errorf("without the permission: %v", err)
	}
	s.Clock.Advance(time.Minute)
	_, err = s.Directory.RemoveKey(t.Context(), op, "app", "")
	s.must(err)
	if _, err := s.SignIn.Assert(t.Context(), signin.Assertion{Key: key, User: "maya", Nonce: nonce}); !errors.Is(err, authn.Unauthenticated) {
		t.Errorf("a key that is gone: %v", err)
	}
}

// rul-22 and rul-1: no grace; a way is set up only with attempts.assert_enrol, and
// after the same proof from outside the first step as with a password.
func TestCallerAndSetUp_rul22_rul1(t *testing.T) {
	s := newShop(t)
	_, key := s.application(s.Company, "app", "attempts.assert")
	s.SetPolicy(t, "acme", func(d *policy.Document) {
		d.TwoFactor, d.GraceDays = policy.Required, 14
		d.OwnWay = []authn.Audience{authn.InternalAudience, authn.ExternalAudience}
	})
	lena := s.AddUser(t, s.Company, "lena", false)
	for _, enrol := range []bool{false, true} {
		st := s.assert(signin.Assertion{Key: key, User: lena.ID, Nonce: nonce, Enrol: enrol})
		if st.Need.State != authn.NeedFactor || st.Need.Offers[0].Kind != authn.Email {
			t.Fatalf("%+v", st.Need)
		}
		o := signin.OpenerOf(st.Token, authn.Client{})
		s.Clock.Advance(2 * time.Minute)
		_, _, err := s.SignIn.Challenge(t.Context(), o, authn.Email, "")
		s.must(err)
		st, err = s.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.Email, Answer: authn.Answer{Code: s.LastCode(t, lena.Email)}})
		s.must(err)
		_, setUp := s.Enroll.Begin(t.Context(), enroll.Who{Token: o.Token}, authn.TOTP, "")
		_, later := s.SignIn.Postpone(t.Context(), o)
		if later == nil {
			t.Error("put off")
		}
		if !enrol {
			if st.Need.State != authn.Denied || st.Need.Denied != policy.NotHere || setUp == nil {
				t.Errorf("%+v %v", st.Need, setUp)
			}
			continue
		}
		if st.Need.State != authn.NeedEnrolment || !st.Need.GraceUntil.IsZero() || setUp != nil {
			t.Errorf("%+v %v", st.Need, setUp)
		}
	}
	// With a password the same person may put it off.
	st, err := s.SignIn.Begin(t.Context(), signin.Begin{Login: "lena", Password: sallyporttest.Password})
	s.must(err)
	if st.Need.State != authn.NeedFactor {
		t.Errorf("%+v", st.Need)
	}
}
