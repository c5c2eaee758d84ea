package signin_test

import (
	"context"
	"encoding/base32"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// trusting is a company that lets browsers be trusted for 30 days.
func trusting(t *testing.T) world {
	w := newWorld(t)
	w.rule(func(d *policy.Document) { d.TwoFactor, d.TrustDays, d.OwnWay = policy.Required, 30, nil })
	return w
}

func (w world) rule(change func(*policy.Document)) {
	w.t.Helper()
	w.SetPolicy(w.t, "acme", change)
}

// trusts signs a person in, and has the browser trusted.
func (w world) trusts(p sallyporttest.Person, c authn.Client) signin.Status {
	w.t.Helper()
	done, err := w.SignIn.Verify(context.Background(), signin.OpenerOf(w.mustBegin(p, c).Token, c),
		signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(w.t, p.Secret)}, Trust: true})
	if err != nil || done.Session == nil || done.TrustToken.IsZero() || done.Session.ACR != authn.AAL2 {
		w.t.Fatalf("%+v %v", done, err)
	}
	w.Clock.Advance(time.Minute)
	return done
}

func (w world) show(p sallyporttest.Person, token string, c authn.Client) signin.Status {
	w.t.Helper()
	st, err := w.SignIn.Begin(context.Background(), signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password, Trusted: token, Client: c})
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// asked says what a token comes to: let in by it, or asked as ever.
func (w world) asked(p sallyporttest.Person, token string, c authn.Client) bool {
	w.t.Helper()
	st := w.show(p, token, c)
	if st.Session == nil && (st.Attempt.State != authn.NeedFactor && st.Attempt.State != authn.Denied || !st.TrustToken.IsZero()) {
		w.t.Errorf("neither let in nor asked: %+v", st.Attempt)
	}
	return st.Session == nil
}

func (w world) list(p sallyporttest.Person) []authn.Trust {
	w.t.Helper()
	list, err := w.Store.Trusted(w.t.Context(), p.Company, p.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w world) eventsOf(p sallyporttest.Person, typ string) []authn.Event {
	w.t.Helper()
	list, err := w.Audit.Events(w.t.Context(), p.Company, authn.EventQuery{Target: p.ID, Type: typ})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func TestTrustedBrowser_rul29_G4(t *testing.T) {
	w := trusting(t)
	p, c := w.AddUser(t, w.Company, "maya", true), browser("b")
	begun := w.mustBegin(p, c)
	if n := begun.Need.Offers[0].TrustDays; n != 30 {
		t.Errorf("offered for %d days", n)
	}
	first := w.trusts(p, c)
	if got := first.TrustEnds.Sub(first.Session.AuthTime); got != 30*24*time.Hour {
		t.Errorf("for %v", got)
	}
	// Another browser of the same person is asked (L5).
	if !w.asked(p, "", browser("other")) {
		t.Error("every browser is trusted")
	}
	token := first.TrustToken
	for range 3 {
		st := w.show(p, token.Reveal(), c)
		if st.Session == nil || st.Attempt.State != authn.Complete || st.Session.ACR != authn.AAL1 || strings.Join(st.Session.AMR, " ") != "pwd trusted_browser" ||
			!st.Session.FactorTime.IsZero() || !st.Session.ConfirmedAt.IsZero() || st.TrustToken.IsZero() || st.TrustToken.Reveal() == token.Reveal() || !st.TrustEnds.Equal(first.TrustEnds) {
			t.Fatalf("%+v %+v", st.Attempt, st.Session)
		}
		if _, err := w.Sessions.Check(t.Context(), st.SessionToken.Reveal(), c); err != nil {
			t.Errorf("its session: %v", err)
		}
		// rul-26: it is no step-up.
		up, err := w.SignIn.StepUp(t.Context(), st.SessionToken, "", "", c)
		if err != nil || up.Attempt.State != authn.NeedFactor || up.Need.Offers[0].TrustDays != 0 {
			t.Fatalf("%+v %v", up.Need, err)
		}
		_, err = w.SignIn.Verify(t.Context(), signin.OpenerOf(up.Token, c), signin.Verify{Method: authn.TOTP, Answer: authn.Answer{Code: w.Code(t, p.Secret)}, Trust: true})
		if code(err) != authn.PolicyForbids {
			t.Errorf("trusted by a step-up: %v", err)
		}
		done, err := w.verify(up, w.Code(t, p.Secret), c)
		if err != nil || done.Session.ACR != authn.AAL2 || done.Session.FactorTime.IsZero() {
			t.Errorf("%+v %v", done.Session, err)
		}
		token = st.TrustToken
		w.Clock.Advance(time.Hour)
	}
	if list := w.list(p); len(list) != 1 || list[0].Agent != c.Agent || !list[0].UsedAt.After(list[0].CreatedAt) {
		t.Errorf("%+v", list)
	}
	if n := len(w.eventsOf(p, "trusted_browser.added")); n != 1 {
		t.Errorf("%d times told", n)
	}
	started := w.eventsOf(p, "session.started")
	if started[0].Personal.Detail["method"] != "trusted_browser" || started[0].Personal.Detail["acr"] != authn.AAL1 {
		t.Errorf("%+v", started[0].Personal.Detail)
	}
	// In the same browser once more: one, not two.
	w.trusts(p, c)
	if list := w.list(p); len(list) != 1 || !w.asked(p, token.Reveal(), c) {
		t.Errorf("%+v", list)
	}
}

// trustCase is what happens between the sign-in that a browser is trusted at and the
// next one: the token that is shown then, and what comes of it.
type trustCase struct {
	before func(world, sallyporttest.Person, authn.Token) string
	good   bool
	theft  bool
}

func trustCases() map[string]trustCase {
	change := func(f func(*policy.Document)) func(world, sallyporttest.Person, authn.Token) string {
		return func(w world, _ sallyporttest.Person, token authn.Token) string { w.rule(f); return token.Reveal() }
	}
	user := func(f func(*authn.User)) func(world, sallyporttest.Person, authn.Token) string {
		return func(w world, p sallyporttest.Person, token authn.Token) string {
			w.changeUser(p, f)
			return token.Reveal()
		}
	}
	altered := func(at int) func(world, sallyporttest.Person, authn.Token) string {
		return func(_ world, _ sallyporttest.Person, token authn.Token) string {
			token.Secret = slices.Clone(token.Secret)
			token.Secret[at] ^= 1
			return token.Reveal()
		}
	}
	return map[string]trustCase{
		"nothing":  {before: func(_ world, _ sallyporttest.Person, token authn.Token) string { return token.Reveal() }, good: true},
		"no token": {before: func(world, sallyporttest.Person, authn.Token) string { return "" }},
		"no token at all": {before: func(world, sallyporttest.Person, authn.Token) string {
			return "sp_tru_" + strings.Repeat("0", 103)
		}},
		"very long":                {before: func(world, sallyporttest.Person, authn.Token) string { return strings.Repeat("sp_tru_", 1<<14) }},
		"altered in what stays":    {before: altered(0)},
		"altered in what changes":  {before: altered(31), theft: true}, // only who has a copy knows what stays
		"just before the end":      {before: later30(-time.Minute - time.Second), good: true},
		"at the end":               {before: later30(-time.Minute)},
		"epoch":                    {before: user(func(u *authn.User) { u.Epoch++ })},
		"this wasn't me":           {before: user(func(u *authn.User) { u.SecuredAt = time.Now() })},
		"password known to others": {before: user(func(u *authn.User) { u.PasswordKnownAt = u.CreatedAt })},
		"moved to customers":       {before: user(func(u *authn.User) { u.Audience = authn.ExternalAudience }), good: true},
		"a role":                   {before: user(func(u *authn.User) { u.Roles = []string{directory.Administrator} }), good: true},
		"days 0":                   {before: change(func(d *policy.Document) { d.TrustDays = 0 })},
		"fewer days":               {before: change(func(d *policy.Document) { d.TrustDays = 29 })},
		"more days":                {before: change(func(d *policy.Document) { d.TrustDays = 31 }), good: true},
		"customers only":           {before: change(func(d *policy.Document) { d.TrustFor = []authn.Audience{authn.ExternalAudience} })},
		"a role that may not":      {before: change(func(d *policy.Document) { d.NoTrustRoles = []string{directory.Member} })},
		"something else":           {before: change(func(d *policy.Document) { d.CodeSeconds = 60 }), good: true},
		"another method only":      {before: change(func(d *policy.Document) { d.Methods = []authn.Kind{authn.Duo} })},
		"off, then on again": {before: func(w world, _ sallyporttest.Person, token authn.Token) string {
			w.rule(func(d *policy.Document) { d.TrustDays = 0 })
			w.rule(func(d *policy.Document) { d.TrustDays = 30 })
			return token.Reveal()
		}},
		"two-factor off, then on": {before: func(w world, _ sallyporttest.Person, token authn.Token) string {
			w.rule(func(d *policy.Document) { d.TwoFactor = policy.Off })
			w.rule(func(d *policy.Document) { d.TwoFactor = policy.Required })
			return token.Reveal()
		}},
		"a minimum strength": {before: func(w world, p sallyporttest.Person, token authn.Token) string {
			w.changeUser(p, func(u *authn.User) { u.Roles = []string{directory.Administrator} })
			w.rule(func(d *policy.Document) {
				d.Strength = map[string]policy.Strength{directory.Administrator: policy.OwnPossession}
			})
			return token.Reveal()
		}},
		"two proofs": {before: func(w world, p sallyporttest.Person, token authn.Token) string {
			w.changeUser(p, func(u *authn.User) { u.Roles = []string{directory.Administrator} })
			w.rule(func(d *policy.Document) { d.ProofsByRole = map[string]int{directory.Administrator: 2} })
			return token.Reveal()
		}},
		"the way that it rests on is paused": {before: func(w world, p sallyporttest.Person, token authn.Token) string {
			st := w.mustBegin(p, browser("b"))
			for range policy.FreeTries {
				_, _ = w.verify(st, w.WrongCode(w.t, p.Secret), browser("b"))
			}
			return token.Reveal()
		}},
		"signed out everywhere else": {before: func(w world, p sallyporttest.Person, token authn.Token) string {
			other := w.signIn(p, browser("other"))
			if err := w.Sessions.SignOutOthers(w.t.Context(), other.SessionToken, browser("other")); err != nil {
				w.t.Fatal(err)
			}
			return token.Reveal()
		}},
		"trusted no more": {before: func(w world, p sallyporttest.Person, token authn.Token) string {
			cur, err := w.Sessions.Check(w.t.Context(), w.signIn(p, browser("other")).SessionToken.Reveal(), browser("other"))
			if err != nil {
				w.t.Fatal(err)
			}
			if err := w.Sessions.StopTrusting(w.t.Context(), cur, token.ID, browser("other")); err != nil {
				w.t.Fatal(err)
			}
			return token.Reveal()
		}},
	}
}

// What a token that is worth nothing comes to, and what ends trust.
func TestTrustEnds_rul3_rul29_cve55(t *testing.T) {
	for name, c := range trustCases() {
		t.Run(name, func(t *testing.T) {
			w := trusting(t)
			p, b := w.AddUser(t, w.Company, "maya", true), browser("b")
			w.AddUser(t, w.Company, "omar", false) // somebody else
			token := c.before(w, p, w.trusts(p, b).TrustToken)
			if got := !w.asked(p, token, b); got != c.good {
				t.Errorf("let in: %v", got)
			}
			if n := len(w.eventsOf(p, "trusted_browser.reused")); n != map[bool]int{true: 1}[c.theft] {
				t.Errorf("%d thefts", n)
			}
		})
	}
}

func later30(d time.Duration) func(world, sallyporttest.Person, authn.Token) string {
	return func(w world, _ sallyporttest.Person, token authn.Token) string {
		w.Clock.Advance(30*24*time.Hour + d)
		return token.Reveal()
	}
}

func (w world) changeUser(p sallyporttest.Person, f func(*authn.User)) {
	w.t.Helper()
	k := authn.Keys{Company: p.Company, User: p.ID, Now: w.Clock.Now()}
	err := w.Store.Decide(w.t.Context(), k, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		f(&u)
		return authn.Continue(authn.PutUser{User: u})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A token that was used up is a copy: neither of the two opens anything any more,
// the person is told, and what the copy had opened is over.
func TestTrustTheft_cve55(t *testing.T) {
	w := trusting(t)
	p, b, thief := w.AddUser(t, w.Company, "maya", true), browser("b"), browser("thief")
	stolen := w.trusts(p, b).TrustToken
	// The thief comes first, and gets the next one.
	theirs := w.show(p, stolen.Reveal(), thief)
	if theirs.Session == nil {
		t.Fatal("not let in")
	}
	w.Clock.Advance(30*time.Second + time.Microsecond)
	if !w.asked(p, stolen.Reveal(), b) {
		t.Error("a token that was used up lets in")
	}
	if !w.asked(p, theirs.TrustToken.Reveal(), thief) || len(w.list(p)) != 0 {
		t.Error("the copy still is trusted")
	}
	if _, err := w.Sessions.Check(t.Context(), theirs.SessionToken.Reveal(), thief); code(err) != authn.Unauthenticated {
		t.Errorf("the session of the copy: %v", err)
	}
	events := w.eventsOf(p, "trusted_browser.reused")
	if len(events) != 1 || events[0].Actor != "" || events[0].Result != authn.Refused {
		t.Errorf("%+v", events)
	}
	told := false
	for _, m := range w.Mail(t, "maya@acme.example") {
		told = told || strings.Contains(m.Subject, "copied")
	}
	if !told {
		t.Error("nobody was told")
	}
	// A second try with it says nothing more: there is nothing to end.
	if !w.asked(p, stolen.Reveal(), thief) || len(w.eventsOf(p, "trusted_browser.reused")) != 1 {
		t.Error("told twice")
	}
}

// rul-29: the token before the last is good for 30 seconds, and gives no other one.
func TestTrustGrace_rul29(t *testing.T) {
	w := trusting(t)
	p, b := w.AddUser(t, w.Company, "maya", true), browser("b")
	first := w.trusts(p, b).TrustToken
	second := w.show(p, first.Reveal(), b).TrustToken
	w.Clock.Advance(policy.TrustGrace)
	tab := w.show(p, first.Reveal(), b)
	if tab.Session == nil || !tab.TrustToken.IsZero() {
		t.Fatalf("the other tab: %+v", tab.Attempt)
	}
	// The one before that is over at once, within the same 30 seconds.
	third := w.show(p, second.Reveal(), b).TrustToken
	if third.IsZero() || len(w.eventsOf(p, "trusted_browser.reused")) != 0 {
		t.Error("a theft that was none")
	}
	if !w.asked(p, first.Reveal(), b) || len(w.eventsOf(p, "trusted_browser.reused")) != 1 || !w.asked(p, third.Reveal(), b) {
		t.Error("two tokens ago is good")
	}
}

// 100 uses of one token within its 30 seconds, as many at once as may guess at a
// password: all get in, one gets the next token, and it is no theft. (Fully parallel:
// the test of the store.)
func TestTrustRace_rul29(t *testing.T) {
	w := trusting(t)
	p, b := w.AddUser(t, w.Company, "maya", true), browser("b")
	token := w.trusts(p, b).TrustToken.Reveal()
	var wg sync.WaitGroup
	out, at := make([]signin.Status, 100), make(chan bool, policy.FreeTries-2)
	for i := range out {
		wg.Go(func() {
			at <- true
			defer func() { <-at }()
			st, err := w.SignIn.Begin(context.Background(), signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password, Trusted: token, Client: b})
			if err != nil {
				t.Error(err)
			}
			out[i] = st
		})
	}
	wg.Wait()
	var next []string
	for _, st := range out {
		if st.Session == nil {
			t.Errorf("asked: %+v", st.Attempt)
		}
		if !st.TrustToken.IsZero() {
			next = append(next, st.TrustToken.Reveal())
		}
	}
	if len(next) != 1 || len(w.eventsOf(p, "trusted_browser.reused")) != 0 || len(w.list(p)) != 1 {
		t.Fatalf("%d tokens", len(next))
	}
	w.Clock.Advance(time.Hour)
	if w.asked(p, next[0], b) {
		t.Error("the next one is none")
	}
}

// Nothing of one person, or of one company, is worth anything to another; and who
// may not sign in does not by trust.
func TestTrustOfOthers_cve57(t *testing.T) {
	w := trusting(t)
	p, omar, b := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "omar", true), browser("b")
	beta := w.AddCompany(t, "beta", "Beta")
	w.SetPolicy(t, "beta", func(d *policy.Document) { d.TwoFactor, d.TrustDays = policy.Required, 30 })
	theirs := w.AddUser(t, beta, "maya", true)
	token := w.trusts(p, b).TrustToken
	if !w.asked(omar, token.Reveal(), b) {
		t.Error("another person's token")
	}
	st, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "beta", Login: theirs.Login, Password: sallyporttest.Password, Trusted: token.Reveal(), Client: b})
	if err != nil || st.Session != nil {
		t.Errorf("another company's token: %+v %v", st.Attempt, err)
	}
	moved := token
	moved.Company = beta.ID
	st, err = w.SignIn.Begin(t.Context(), signin.Begin{Company: "beta", Login: theirs.Login, Password: sallyporttest.Password, Trusted: moved.Reveal(), Client: b})
	if err != nil || st.Session != nil {
		t.Errorf("moved: %+v %v", st.Attempt, err)
	}
	for _, id := range []string{"att", "ses"} {
		other := strings.Replace(token.Reveal(), "sp_tru_", "sp_"+id+"_", 1)
		if !w.asked(p, other, b) {
			t.Errorf("a token of kind %s", id)
		}
	}
	// The wrong password is the wrong password, and uses nothing up.
	if _, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: p.Login, Password: "not the right one", Trusted: token.Reveal(), Client: b}); code(err) != authn.WrongCredentials {
		t.Errorf("%v", err)
	}
	if len(w.list(p)) != 1 || len(w.eventsOf(p, "trusted_browser.reused")) != 0 {
		t.Error("somebody else's use ended it")
	}
	for name, f := range map[string]func(*authn.User){
		"suspended":   func(u *authn.User) { u.Status = authn.Suspended },
		"API account": func(u *authn.User) { u.Status, u.API = authn.Active, true },
	} {
		w.changeUser(p, f)
		_, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password, Trusted: token.Reveal(), Client: b})
		if code(err) != authn.WrongCredentials {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// rul-29: only after a way of one's own.
func TestTrustOnlyByOwnWay_rul29(t *testing.T) {
	w := trusting(t)
	b := browser("b")
	// A code to a contact stands in: it is none.
	lena := w.AddUser(t, w.Company, "lena", false)
	st := w.mustBegin(lena, b)
	if st.Need.Offers[0].TrustDays != 0 {
		t.Errorf("%+v", st.Need.Offers)
	}
	st, _, err := w.SignIn.Challenge(t.Context(), signin.OpenerOf(st.Token, b), authn.Email, "")
	if err != nil {
		t.Fatal(err)
	}
	o := signin.Opener{Company: lena.Company, Attempt: st.Attempt.ID, Client: b}
	v := signin.Verify{Method: authn.Email, Answer: authn.Answer{Code: w.LastCode(t, "lena@acme.example")}, Trust: true}
	if _, err := w.SignIn.Verify(t.Context(), o, v); code(err) != authn.PolicyForbids {
		t.Errorf("by a fall-back: %v", err)
	}
	v.Trust = false
	if done, err := w.SignIn.Verify(t.Context(), o, v); err != nil || done.Session == nil || !done.TrustToken.IsZero() {
		t.Errorf("the refusal cost something: %v", err)
	}
	if _, err := w.SignIn.CompleteTrusting(t.Context(), o); code(err) != authn.Conflict {
		t.Errorf("%v", err)
	}
	if len(w.list(lena)) != 0 {
		t.Error("trusted all the same")
	}
	// Nor is an app on probation.
	p := w.AddUser(t, w.Company, "maya", true)
	rows, err := w.Store.View(t.Context(), authn.Keys{Company: p.Company, User: p.ID, Now: w.Clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := policy.Current(*rows.Company, w.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	app := *rows.FactorOf(authn.TOTP, authn.Confirmed)
	has := authn.Traits{Possession: true}
	pwd, proof := authn.Proof{Kind: authn.Password, Traits: authn.Traits{Knowledge: true}}, authn.Proof{Kind: authn.TOTP, Factor: app.ID, Traits: has}
	now := w.Clock.Now()
	for name, c := range map[string]struct {
		f      func(*authn.Factor)
		proofs []authn.Proof
		want   bool
	}{
		"own":         {proofs: []authn.Proof{pwd, proof}, want: true},
		"not shown":   {proofs: []authn.Proof{pwd}},
		"probation":   {f: func(f *authn.Factor) { f.ProbationUntil = now.Add(time.Hour) }, proofs: []authn.Proof{pwd, proof}},
		"handed over": {f: func(f *authn.Factor) { f.SetBy = "usr_priya" }, proofs: []authn.Proof{pwd, proof}},
		"fall-back":   {f: func(f *authn.Factor) { f.State = authn.Fallback }, proofs: []authn.Proof{pwd, proof}},
		"help code":   {proofs: []authn.Proof{pwd, {Kind: authn.BypassCode, Traits: authn.Traits{OpensSetUp: true}}, proof}},
		"let in":      {proofs: []authn.Proof{pwd, {Kind: authn.TOTP, Factor: app.ID, Traits: authn.Traits{OutOfBand: true}}}},
		"backup code": {f: func(f *authn.Factor) { f.Kind = authn.BackupCode }, proofs: []authn.Proof{pwd, {Kind: authn.BackupCode, Factor: app.ID, Traits: has}}},
		"trust":       {proofs: []authn.Proof{pwd, {Kind: authn.Trusted, Factor: app.ID}}},
	} {
		f := app
		if c.f != nil {
			c.f(&f)
		}
		if got := policy.Trustable(doc, *rows.User, []authn.Factor{f}, c.proofs, now); (got != "") != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What opened a session by trust is over with the policy that allowed it (rul-52).
func TestTrustSession_rul52(t *testing.T) {
	w := trusting(t)
	p, b := w.AddUser(t, w.Company, "maya", true), browser("b")
	st := w.show(p, w.trusts(p, b).TrustToken.Reveal(), b)
	good := func() bool {
		_, err := w.Sessions.Check(t.Context(), st.SessionToken.Reveal(), b)
		return err == nil
	}
	w.rule(func(d *policy.Document) { d.TrustDays = 31 })
	if !good() {
		t.Error("ended for nothing")
	}
	w.rule(func(d *policy.Document) { d.TrustDays = 0 })
	if good() {
		t.Error("the password alone is enough")
	}
}

// std-9, cve-55: nothing in the database is a token, and no row prolongs one.
func FuzzTrustToken(f *testing.F) {
	f.Add("")
	f.Add("sp_tru_")
	f.Add("sp_tru_" + strings.Repeat("v", 103))
	f.Add("sp_ses_" + strings.Repeat("0", 103))
	enc := base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
	f.Add("sp_tru_" + enc.EncodeToString(make([]byte, 64)))
	f.Fuzz(func(t *testing.T, s string) {
		token, ok := authn.ParseToken(authn.TrustToken, s)
		if ok && token.Reveal() != s {
			t.Errorf("%q has two spellings", s)
		}
		if ok && len(token.Secret) != 2*authn.TrustSeriesLen {
			t.Errorf("%q: %d bytes", s, len(token.Secret))
		}
	})
}
