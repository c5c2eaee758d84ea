package signin_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

func (w world) byPasskey(credential []byte, c authn.Client) (signin.Status, error) {
	return w.SignIn.BeginByPasskey(context.Background(), signin.ByPasskey{Company: "acme", Credential: credential, Client: c})
}

// with changes what the page is given, as whoever has the page can.
func with(t *testing.T, options []byte, member string, value any) []byte {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(options, &o); err != nil {
		t.Fatal(err)
	}
	if o[member] = value; value == nil {
		delete(o, member)
	}
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w world) asksAnybody(c authn.Client) []byte {
	w.t.Helper()
	ask, err := w.SignIn.Passkeys(context.Background(), "acme", c)
	if err != nil {
		w.t.Fatal(err)
	}
	return ask.Options
}

// entersBy signs in by nothing but a passkey.
func (w world) entersBy(keys *sallyporttest.Passkeys, c authn.Client) signin.Status {
	w.t.Helper()
	st, err := w.byPasskey(signs(w.t, keys, w.asksAnybody(c)).Credential, c)
	if err != nil || st.Session == nil {
		w.t.Fatalf("%+v %v", st, err)
	}
	return st
}

func (w world) provesBy(o signin.Opener, a authn.Answer) (signin.Status, error) {
	return w.SignIn.Verify(context.Background(), o, signin.Verify{Method: authn.WebAuthn, Answer: a})
}

// charged is how many tries of a factor are counted, in both lanes.
func (w world) charged(p sallyporttest.Person, factor string) int {
	w.t.Helper()
	rows, err := w.Store.View(context.Background(), authn.Keys{Company: p.Company, User: p.ID, Now: w.Clock.Now()})
	if err != nil || rows.Factor(factor) == nil {
		w.t.Fatal(err)
	}
	f := rows.Factor(factor)
	return f.Counts[authn.Stranger].Tries + f.Counts[authn.Known].Tries
}

// cve-24: of a hundred answers to one question one is a proof.
func TestPasskeyOneProof_rul14_cve24(t *testing.T) {
	w, maya, keys := keyed(t)
	o, options := w.asksFor(maya, browser("b"))
	a := signs(t, keys, options)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var in int
	for range 100 {
		wg.Go(func() {
			st, err := w.provesBy(o, a)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && st.Session != nil:
				in++
			case !errors.Is(err, authn.Expired) && !errors.Is(err, authn.Conflict) && !errors.Is(err, authn.Busy):
				t.Errorf("%+v %v", st, err)
			}
		})
	}
	wg.Wait()
	if open, err := w.Store.Sessions(t.Context(), maya.Company, maya.ID); in != 1 || err != nil || len(open) != 1 {
		t.Errorf("%d in, %d sessions, %v", in, len(open), err)
	}
}

// Answers of one key may be checked in any order.
func TestPasskeyAnswersAtOnce(t *testing.T) {
	w, maya, keys := keyed(t)
	keys.Counts = true
	var answers [][]byte
	for range policy.FreeTries - 1 { // each is charged for until it is found right
		answers = append(answers, signs(t, keys, w.asksAnybody(browser("b"))).Credential)
	}
	var wg sync.WaitGroup
	for _, a := range answers {
		wg.Go(func() {
			if st, err := w.byPasskey(a, browser("b")); err != nil || st.Session == nil {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if n := w.charged(maya, maya.Factor); n != 0 {
		t.Errorf("%d charged", n)
	}
}

// A question is of one browser, company, attempt, purpose and time; answers to another
// one are charged to nobody.
func TestPasskeyOtherQuestions_std72_std51(t *testing.T) {
	w, maya, keys := keyed(t)
	tom := w.AddUser(t, w.Company, "tom", false)
	toms := w.Passkeys(t)
	tom.Factor = w.AddPasskey(t, tom.User, toms)
	beta := w.AddCompany(t, "beta", "Beta")
	c := browser("b")

	o, options := w.asksFor(maya, c)
	a := signs(t, keys, options)
	other, _ := w.asksFor(maya, c)
	theirs, theirOptions := w.asksFor(tom, c)
	if _, err := w.provesBy(other, a); !errors.Is(err, authn.Expired) {
		t.Errorf("of another attempt: %v", err)
	}
	if _, err := w.provesBy(theirs, a); !errors.Is(err, authn.Expired) {
		t.Errorf("of another person: %v", err)
	}
	// Another's key answers one's own question: it is not one of theirs.
	if _, err := toms.Sign(options); err == nil {
		t.Error("it signs what does not list it")
	}
	stolen := toms.Clone()
	mine := with(t, options, "allowCredentials", nil)
	if _, err := w.provesBy(o, signs(t, stolen, mine)); !errors.Is(err, authn.Invalid) {
		t.Errorf("another's key: %v", err)
	}
	if _, err := w.byPasskey(a.Credential, c); !errors.Is(err, authn.Expired) {
		t.Errorf("that of a second step as a whole sign-in: %v", err)
	}
	whole := signs(t, keys, w.asksAnybody(c))
	if _, err := w.provesBy(o, whole); !errors.Is(err, authn.Expired) {
		t.Errorf("that of a whole sign-in as a second step: %v", err)
	}
	if _, err := w.SignIn.BeginByPasskey(t.Context(), signin.ByPasskey{Company: beta.Slug, Credential: whole.Credential, Client: c}); !errors.Is(err, authn.Expired) && !errors.Is(err, authn.Invalid) {
		t.Errorf("in another company: %v", err)
	}
	far, err := w.SignIn.Passkeys(t.Context(), beta.Slug, c)
	if err != nil {
		t.Fatal(err)
	}
	// Two companies and one authenticator: a key of the one is nobody's in the other.
	if _, err := w.SignIn.BeginByPasskey(t.Context(), signin.ByPasskey{Company: beta.Slug, Credential: signs(t, keys, far.Options).Credential, Client: c}); !errors.Is(err, authn.Invalid) {
		t.Errorf("a key of another company: %v", err)
	}
	late, lateWhole := signs(t, toms, theirOptions), signs(t, keys, w.asksAnybody(c)).Credential
	w.Clock.Advance(authn.CeremonyLives)
	if _, err := w.provesBy(theirs, late); !errors.Is(err, authn.Expired) {
		t.Errorf("five minutes later: %v", err)
	}
	if _, err := w.byPasskey(lateWhole, c); !errors.Is(err, authn.Expired) {
		t.Errorf("five minutes later, whole: %v", err)
	}
	if n := w.charged(maya, maya.Factor) + w.charged(tom, tom.Factor); n != 0 {
		t.Errorf("%d charged", n)
	}
	if _, err := w.provesBy(o, a); !errors.Is(err, authn.Expired) { // it was open for as long
		t.Errorf("%v", err)
	}
}

// Section 7.2 step 5: what was not listed is not taken, even if it is the person's.
func TestPasskeyNotListed_std73(t *testing.T) {
	w, maya, keys := keyed(t)
	c := browser("b")
	o, options := w.asksFor(maya, c)
	later := w.Passkeys(t)
	w.AddPasskey(t, maya.User, later)
	// Both are theirs by now, and one was listed.
	if _, err := later.Sign(options); err == nil {
		t.Error("a key that is not listed signs")
	}
	w.lock(maya, maya.Factor)
	_, sent, err := w.SignIn.Challenge(t.Context(), o, authn.WebAuthn, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Sign(sent.Options); err == nil {
		t.Error("one that is locked is listed")
	}
	a := signs(t, keys, with(t, sent.Options, "allowCredentials", nil))
	if st, err := w.provesBy(o, a); !errors.Is(err, authn.Locked) || st.Session != nil {
		t.Errorf("%+v %v", st, err)
	}
	if _, err := w.byPasskey(signs(t, keys, w.asksAnybody(c)).Credential, c); !errors.Is(err, authn.Locked) {
		t.Errorf("whole: %v", err)
	}
	// cve-21: the other one is as good as before.
	w.entersBy(later, c)
}

// cve-42: without user verification a passkey is something had, and nothing known.
func TestPasskeyUnverified_cve42_std27(t *testing.T) {
	w, maya, keys := keyed(t)
	keys.Verifies = false
	c := browser("b")
	o, options := w.asksFor(maya, c)
	st, err := w.provesBy(o, signs(t, keys, options))
	if err != nil || st.Session == nil || st.Session.ACR != authn.AAL2 { // with the password
		t.Fatalf("%+v %v", st, err)
	}
	proofs := st.Attempt.Proofs
	if proofs[1].Traits.UserVerified || !proofs[1].Traits.PhishingResistant {
		t.Errorf("%+v", proofs)
	}
	if acr, _ := policy.Level(proofs[1:]); acr != authn.AAL1 {
		t.Errorf("alone it is %s", acr)
	}
	proofs[1].Traits.UserVerified = true
	if acr, _ := policy.Level(proofs[1:]); acr != authn.AAL2 {
		t.Errorf("with it, %s", acr)
	}
	if _, err := keys.Sign(w.asksAnybody(c)); err == nil {
		t.Error("an authenticator that verifies nobody answers what requires it")
	}
	forced := with(t, w.asksAnybody(c), "userVerification", "discouraged")
	if st, err := w.byPasskey(signs(t, keys, forced).Credential, c); !errors.Is(err, authn.WrongCode) || st.Session != nil {
		t.Errorf("whole: %+v %v", st, err)
	}
}

// cve-41, std-66: a forged answer costs a try, in either place and of the same count,
// and whoever is locked stays locked with the right one, in the strangers' lane alone.
func TestPasskeyForged_cve41_std66_cve21(t *testing.T) {
	w, maya, keys := keyed(t)
	attacker, owner := browser("attacker"), browser("owner")
	w.entersBy(keys, owner) // a known browser from here on
	forged := func(options []byte) authn.Answer {
		b, err := keys.SignWith(options, func(a *sallyporttest.PasskeyAnswer) { a.WrongKey = true })
		if err != nil {
			t.Fatal(err)
		}
		return authn.Answer{Credential: b}
	}
	unknown := func(options []byte) []byte {
		b, err := keys.SignWith(options, func(a *sallyporttest.PasskeyAnswer) { a.SetID([]byte("nobody's credential")) })
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for i := range authn.ShareStranger {
		var err error
		if i%2 == 0 || i > policy.KnownAfterRow { // the password is taken for known to others by then
			_, err = w.byPasskey(forged(w.asksAnybody(attacker)).Credential, attacker)
		} else {
			o, options := w.asksFor(maya, attacker)
			_, err = w.provesBy(o, forged(options))
		}
		if !errors.Is(err, authn.WrongCode) || authn.AsError(err).Key != "error.passkey_refused" {
			t.Fatalf("%d: %v", i, err)
		}
		if n := w.charged(maya, maya.Factor); n != i+1 {
			t.Fatalf("%d charged after %d", n, i+1)
		}
		if _, err := w.byPasskey(unknown(w.asksAnybody(attacker)), attacker); !errors.Is(err, authn.Invalid) {
			t.Fatalf("unknown: %v", err)
		}
		w.Clock.Advance(2 * time.Hour)
	}
	if _, err := w.byPasskey(signs(t, keys, w.asksAnybody(attacker)).Credential, attacker); !errors.Is(err, authn.Locked) {
		t.Errorf("locked: %v", err)
	}
	if n := len(w.eventsOf(maya, "factor.locked")); n != 1 {
		t.Errorf("%d events of the lock", n)
	}
	w.entersBy(keys, owner)
	if n := w.charged(maya, maya.Factor); n != authn.ShareStranger {
		t.Errorf("the strangers' count is %d after the owner signed in", n)
	}
}

// The answer that uses the share up is told of, by the whole sign-in too.
func TestPasskeyLockIsTold(t *testing.T) {
	w, maya, keys := keyed(t)
	c := browser("attacker")
	for range authn.ShareStranger {
		b, err := keys.SignWith(w.asksAnybody(c), func(a *sallyporttest.PasskeyAnswer) { a.WrongKey = true })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.byPasskey(b, c); !errors.Is(err, authn.WrongCode) {
			t.Fatal(err)
		}
		w.Clock.Advance(2 * time.Hour)
	}
	if n := len(w.eventsOf(maya, "factor.locked")); n != 1 {
		t.Errorf("%d events", n)
	}
}

// Between the two halves of a sign-in the account may change; then nobody is in.
func TestPasskeyStanding(t *testing.T) {
	w, maya, keys := keyed(t)
	c := browser("b")
	put := func(change func(*authn.User)) {
		k := authn.Keys{Company: maya.Company, User: maya.ID, Now: w.Clock.Now()}
		if err := w.Store.Decide(t.Context(), k, func(rows *authn.Rows) authn.Verdict {
			u := *rows.User
			change(&u)
			return authn.Continue(authn.PutUser{User: u})
		}); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(name string, want authn.Code) {
		t.Helper()
		if st, err := w.byPasskey(signs(t, keys, w.asksAnybody(c)).Credential, c); code(err) != want || st.Session != nil {
			t.Errorf("%s: %+v %v", name, st.Session, err)
		}
	}
	put(func(u *authn.User) { u.Status = authn.Suspended })
	refused("suspended", authn.Invalid)
	put(func(u *authn.User) { u.Status, u.API = authn.Active, true })
	refused("an account of programs", authn.Invalid)
	put(func(u *authn.User) { u.API = false })
	// A person whose account was secured has to set a new password first.
	put(func(u *authn.User) { u.SecuredAt = w.Clock.Now() })
	if st, err := w.byPasskey(signs(t, keys, w.asksAnybody(c)).Credential, c); err != nil || st.Session != nil || st.Need.State != authn.NeedPasswordChange {
		t.Errorf("%+v %v", st.Need, err)
	}
	put(func(u *authn.User) { u.SecuredAt = time.Time{} })
	asked := signs(t, keys, w.asksAnybody(c)).Credential
	w.rule(func(d *policy.Document) { d.Methods = []authn.Kind{authn.TOTP} })
	if _, err := w.byPasskey(asked, c); code(err) != authn.PolicyForbids {
		t.Errorf("not offered any more: %v", err)
	}
	if _, err := w.SignIn.Passkeys(t.Context(), "acme", c); code(err) != authn.PolicyForbids {
		t.Errorf("asked where they are not offered: %v", err)
	}
	w.rule(func(d *policy.Document) { d.Methods = nil })
	w.SetTwoFactor(t, "acme", policy.Off)
	if _, err := w.byPasskey(asked, c); code(err) != authn.PolicyForbids {
		t.Errorf("asleep: %v", err)
	}
	w.SetTwoFactor(t, "acme", policy.On)
	// What was not offered for a while counts again once it is confirmed beside another
	// proof (ruling 2); it is not said to be nobody's, since browsers forget such keys.
	refused("to be confirmed again", authn.PolicyForbids)
	if n := w.charged(maya, maya.Factor); n != 0 {
		t.Errorf("%d charged", n)
	}
}

// A session of a passkey alone confirms itself by the passkey, and what it showed stays.
func TestPasskeyStepUp_cve52(t *testing.T) {
	w, maya, keys := keyed(t)
	c := browser("b")
	st := w.entersBy(keys, c)
	w.Clock.Advance(time.Hour - time.Minute)
	up, err := w.SignIn.StepUp(t.Context(), st.SessionToken, "", "", c)
	if err != nil || up.Need.State != authn.NeedFactor || len(up.Need.Offers) != 1 || up.Need.Offers[0].Kind != authn.WebAuthn {
		t.Fatalf("%+v %v", up.Need, err)
	}
	o := signin.OpenerOf(up.Token, c)
	// A password is no proof where a passkey is asked for, nor is an answer to a sign-in.
	if _, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: maya.Password}}); !errors.Is(err, authn.Invalid) {
		t.Errorf("%v", err)
	}
	if _, err := w.provesBy(o, signs(t, keys, w.asksAnybody(c))); !errors.Is(err, authn.Expired) {
		t.Errorf("%v", err)
	}
	_, sent, err := w.SignIn.Challenge(t.Context(), o, authn.WebAuthn, "")
	if err != nil {
		t.Fatal(err)
	}
	done, err := w.provesBy(o, signs(t, keys, sent.Options))
	if err != nil || done.Session == nil || done.Session.ACR != authn.AAL2 || !slices.Equal(done.Session.AMR, []string{"hwk", "user"}) || !done.Session.FactorTime.Equal(w.Clock.Now()) {
		t.Fatalf("%+v %v", done.Session, err)
	}
	if _, err := w.Sessions.Check(t.Context(), st.SessionToken.Reveal(), c); err == nil {
		t.Error("the session before lives on")
	}
}

// Whoever signs in by a passkey is told of a new browser, also if the password that they
// were given was never typed.
func TestPasskeyNewBrowser(t *testing.T) {
	w, maya, keys := keyed(t)
	w.entersBy(keys, browser("a"))
	w.entersBy(keys, browser("a"))
	w.entersBy(keys, browser("b"))
	if n := len(w.eventsOf(maya, "session.new_browser")); n != 2 {
		t.Errorf("told of %d", n)
	}
}

// cve-74: the list of ways begins with what cannot be phished, and where policy wants
// that, it ends there.
func TestPasskeyDowngrade_cve74(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true, directory.Owner)
	keys := w.Passkeys(t)
	w.AddPasskey(t, maya.User, keys)
	w.rule(func(d *policy.Document) {
		d.Strength = map[string]policy.Strength{directory.Owner: policy.PhishingResistant}
	})
	c := browser("b")
	st := w.mustBegin(maya, c)
	if len(st.Need.Offers) != 1 || st.Need.Offers[0].Kind != authn.WebAuthn {
		t.Fatalf("%+v", st.Need.Offers)
	}
	if _, err := w.verify(st, w.Code(t, maya.Secret), c); !errors.Is(err, authn.Invalid) {
		t.Errorf("a code: %v", err)
	}
	// A session that was opened by less is over once policy asks for this.
	w.rule(func(d *policy.Document) { d.Strength = nil })
	weak := w.signIn(maya, c)
	w.rule(func(d *policy.Document) {
		d.Strength = map[string]policy.Strength{directory.Owner: policy.PhishingResistant}
	})
	if _, err := w.Sessions.Check(t.Context(), weak.SessionToken.Reveal(), c); err == nil {
		t.Error("a session by a code goes on")
	}
	w.entersBy(keys, c)
}

// cve-57: a writer of the database moves a credential to somebody else's account, with
// everything that stands in the open; it opens nothing there.
func TestPasskeyMovedRow_cve57(t *testing.T) {
	w := newWorld(t)
	maya, tom := w.AddUser(t, w.Company, "maya", false), w.AddUser(t, w.Company, "tom", false)
	mayas, toms := w.Passkeys(t), w.Passkeys(t)
	maya.Factor, tom.Factor = w.AddPasskey(t, maya.User, mayas), w.AddPasskey(t, tom.User, toms)
	db, err := sql.Open("sqlite", w.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	c := browser("tom")
	// Tom's device says that it is Maya's, too.
	as := func() []byte {
		b, err := toms.SignWith(w.asksAnybody(c), func(a *sallyporttest.PasskeyAnswer) { a.UserHandle = []byte(maya.ID) })
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	exec("DELETE FROM passkeys WHERE factor = ?", maya.Factor)
	exec("UPDATE passkeys SET user_id = ?, factor = ? WHERE factor = ?", maya.ID, maya.Factor, tom.Factor)
	if st, err := w.byPasskey(as(), c); !errors.Is(err, authn.Invalid) || st.Session != nil {
		t.Errorf("the row: %+v %v", st.Session, err)
	}
	exec("UPDATE factors SET data = (SELECT o.data FROM factors o WHERE o.id = ?) WHERE id = ?", tom.Factor, maya.Factor)
	if st, err := w.byPasskey(as(), c); !errors.Is(err, authn.WrongCode) || st.Session != nil {
		t.Errorf("and its data: %+v %v", st.Session, err)
	}
	exec("UPDATE factors SET sealed = (SELECT o.sealed FROM factors o WHERE o.id = ?) WHERE id = ?", tom.Factor, maya.Factor)
	if st, err := w.byPasskey(as(), c); !errors.Is(err, authn.Internal) || st.Session != nil {
		t.Errorf("and its key: %+v %v", st.Session, err)
	}
	if open, err := w.Store.Sessions(t.Context(), maya.Company, maya.ID); err != nil || len(open) != 0 {
		t.Errorf("%d sessions, %v", len(open), err)
	}
}

// Login CSRF: somebody's own answer, brought by another browser, signs nobody in.
func TestPasskeyBroughtByAnother(t *testing.T) {
	w, _, keys := keyed(t)
	for name, asks := range map[string]authn.Client{"asked by a browser": browser("attacker"), "asked by a program": {}} {
		a := signs(t, keys, w.asksAnybody(asks)).Credential
		if st, err := w.byPasskey(a, browser("victim")); !errors.Is(err, authn.Expired) || st.Session != nil {
			t.Errorf("%s: %+v %v", name, st.Session, err)
		}
	}
}
