package directory_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

const number = "+46701740605"

func (w *world) begin(p sallyporttest.Person) signin.Status {
	w.t.Helper()
	w.Clock.Advance(30 * time.Second)
	st, err := w.SignIn.Begin(w.t.Context(), signin.Begin{Company: "acme", Login: p.Login, Password: sallyporttest.Password, Client: here})
	w.must(err)
	return st
}

func (w *world) answer(st signin.Status, kind authn.Kind, code string) (signin.Status, error) {
	return w.SignIn.Verify(w.t.Context(), signin.OpenerOf(st.Token, here), signin.Verify{Method: kind, Answer: authn.Answer{Code: code}})
}

func (w *world) factors(p sallyporttest.Person) []authn.Factor {
	w.t.Helper()
	_, list, err := w.Directory.Lookup(w.t.Context(), authn.Company{ID: p.Company}, p.ID)
	w.must(err)
	return list
}

// The lost phone: a help code opens set-up, where the number that the
// administrator prepared is confirmed by a code that was sent there.
func TestPreparedNumber_H2_rul1(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.Required })
	owner, tom := w.add(w.Company, "owner", "owner"), w.add(w.Company, "tom", "member")
	who := w.session(owner)
	if _, err := w.do(who, directory.Prepare, tom.User, "method", "sms", "phone", "+442071838750"); why(err) == "" {
		t.Error("a number that no code goes to")
	}
	out, err := w.do(who, directory.Prepare, tom.User, "method", "sms", "phone", "070-174 06 05", "country", "SE")
	if err != nil || out.Factor == nil || out.Factor.State != authn.Pending || out.Factor.SetBy != owner.ID {
		t.Fatalf("%+v %v", out, err)
	}
	help, err := w.do(who, directory.HelpCode, tom.User)
	if err != nil || help.Code == "" || help.ExpiresAt.Sub(w.Clock.Now()) != time.Hour {
		t.Fatalf("%+v %v", help, err)
	}
	// The password alone does not come to it (ruling 1).
	st := w.begin(tom)
	me := enroll.Who{Token: st.Token, Client: here}
	if _, err := w.Enroll.Send(t.Context(), me, out.Factor.ID); err == nil {
		t.Fatal("a code was sent on a password alone")
	}
	st2, err := w.answer(st, authn.BypassCode, help.Code)
	if err != nil || st2.Need.State != authn.NeedEnrolment || len(st2.Prepared) != 1 || st2.Prepared[0].ID != out.Factor.ID {
		t.Fatalf("%+v %v", st2, err)
	}
	if _, err := w.Enroll.Send(t.Context(), me, out.Factor.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Remove(t.Context(), me, out.Factor.ID); code(err) != authn.NotFound {
		t.Errorf("an attempt deletes what it did not begin: %v", err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), me, out.Factor.ID, 0, authn.Answer{Code: w.LastCode(t, number)}); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(w.factors(tom), func(f authn.Factor) bool { return f.Kind == authn.SMS })
	if f := w.factors(tom)[i]; f.State != authn.Confirmed || f.SetBy != owner.ID || f.ProbationUntil.IsZero() {
		t.Errorf("%+v", f)
	}
	// In a session, with a recent proof; not in somebody else's.
	nadia := w.add(w.Company, "nadia", "member")
	out, err = w.do(w.session(owner), directory.Prepare, nadia.User, "method", "email")
	w.must(err)
	mine := w.session(nadia)
	me = enroll.Who{Token: mine.Actor.Session, Client: here}
	if _, err := w.Enroll.Send(t.Context(), enroll.Who{Token: w.session(tom2(w)).Actor.Session, Client: here}, out.Factor.ID); code(err) != authn.NotFound {
		t.Errorf("somebody else's: %v", err)
	}
	if _, err := w.Enroll.Send(t.Context(), me, out.Factor.ID); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Minute)
	if _, err := w.Enroll.Confirm(t.Context(), me, out.Factor.ID, 0, authn.Answer{Code: w.LastCode(t, nadia.Email)}); err != nil {
		t.Fatal(err)
	}
	// After seven days there is nothing to confirm.
	out, err = w.do(w.session(owner), directory.Prepare, nadia.User, "method", "sms", "phone", "+46701740606")
	w.must(err)
	w.Clock.Advance(directory.PreparedLives)
	if _, err := w.Enroll.Show(t.Context(), enroll.Who{Token: w.session(nadia).Actor.Session, Client: here}, out.Factor.ID); code(err) != authn.Expired && code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
}

func tom2(w *world) sallyporttest.Person { return w.add(w.Company, "somebody", "member") }

// Duo under the name that Duo has: the person's push makes it count.
func TestPreparedDuo_H2_rul33(t *testing.T) {
	w := newWorld(t)
	duo := w.UseDuo(t, w.Company)
	duo.AddUser(sallyporttest.DuoUser{Username: "nadia.h", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")}})
	owner, nadia := w.add(w.Company, "owner", "owner"), w.add(w.Company, "nadia", "member")
	if _, err := w.do(w.session(owner), directory.Prepare, nadia.User, "method", "duo"); field(err) != "username required" {
		t.Errorf("%v", err)
	}
	out, err := w.do(w.session(owner), directory.Prepare, nadia.User, "method", "duo", "username", "nadia.h")
	w.must(err)
	me := enroll.Who{Token: w.session(nadia).Actor.Session, Client: here}
	if p, err := w.Enroll.Show(t.Context(), me, out.Factor.ID); err != nil || p.Elsewhere {
		t.Fatalf("%+v %v", p, err)
	}
	if _, err := w.Enroll.Start(t.Context(), me, out.Factor.ID, ""); err != nil {
		t.Fatal(err)
	}
	w.must(duo.Approve(duo.Pushes()[0].TxID))
	for range 200 {
		if _, err = w.Enroll.Confirm(t.Context(), me, out.Factor.ID, 0, authn.Answer{}); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The app that was set up together is no proof by itself: the first sign-in with
// it leads into setting it up anew, and the old key dies with that.
func TestHandOver_rul17(t *testing.T) {
	bothStores(t, func(t *testing.T, nodes ...*sallyporttest.Server) {
		w := worldOf(t, nodes[0])
		help, tom := w.add(w.Company, "help", "helpdesk"), w.AddUser(t, w.Company, "tom", false)
		who := w.session(help)
		out, err := w.do(who, directory.HandOver, tom.User)
		w.must(err)
		id := out.Factor.ID
		shown, err := w.Directory.ShowHandOver(t.Context(), who, tom.ID, id)
		w.must(err)
		if shown.Shown.Key == "" || shown.User.ID != tom.ID {
			t.Fatalf("%+v", shown)
		}
		// Another administrator, another sign-in of this one, and the person do not see it.
		if _, err := w.Directory.ShowHandOver(t.Context(), w.session(w.add(w.Company, "help2", "helpdesk")), tom.ID, id); code(err) != authn.NotFound {
			t.Errorf("%v", err)
		}
		who2 := w.session(help)
		if _, err := w.Directory.ShowHandOver(t.Context(), who2, tom.ID, id); code(err) != authn.NotFound {
			t.Errorf("%v", err)
		}
		mine := w.begin(tom)
		if _, err := w.Enroll.Show(t.Context(), enroll.Who{Token: mine.SessionToken, Client: here}, id); code(err) != authn.NotFound {
			t.Errorf("the person: %v", err)
		}
		secret, err := otp.DecodeSecret(shown.Shown.Key)
		w.must(err)
		if _, err := w.Directory.ConfirmHandOver(t.Context(), who, tom.ID, id, shown.Version, "12345"); field(err) == "" {
			t.Errorf("malformed: %v", err)
		}
		if _, err := w.Directory.ConfirmHandOver(t.Context(), who, tom.ID, id, shown.Version, w.WrongCode(t, secret)); code(err) != authn.WrongCode {
			t.Errorf("%v", err)
		}
		if _, err := w.Directory.ConfirmHandOver(t.Context(), who, tom.ID, id, shown.Version, w.Code(t, secret)); why(err) != "error.attempt_moved" {
			t.Errorf("an older form: %v", err)
		}
		if _, err := w.Directory.ConfirmHandOver(t.Context(), who, tom.ID, id, 0, w.Code(t, secret)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Directory.ConfirmHandOver(t.Context(), who, tom.ID, id, 0, w.Code(t, secret)); why(err) != "error.factor_confirmed" {
			t.Errorf("twice: %v", err)
		}
		tom.Secret = secret
		st := w.begin(tom)
		if st.Need.State != authn.NeedFactor {
			t.Fatalf("%+v", st.Need)
		}
		st2, err := w.answer(st, authn.TOTP, w.Code(t, secret))
		if err != nil || st2.Session != nil || st2.Need.State != authn.NeedEnrolment || !st2.Need.Handed || !st2.Need.GraceUntil.IsZero() {
			t.Fatalf("%+v %v", st2, err)
		}
		o := signin.OpenerOf(st.Token, here)
		if _, err := w.SignIn.Complete(t.Context(), o); err == nil {
			t.Fatal("the shared key made a session")
		}
		if _, err := w.SignIn.Postpone(t.Context(), o); err == nil {
			t.Fatal("replacing it was put off")
		}
		me := enroll.Who{Token: st.Token, Client: here}
		p, err := w.Enroll.Begin(t.Context(), me, authn.TOTP, "")
		w.must(err)
		fresh, err := otp.DecodeSecret(p.Shown.Key)
		w.must(err)
		changed, err := w.Enroll.Confirm(t.Context(), me, p.Factor.ID, 0, authn.Answer{Code: w.Code(t, fresh)})
		if err != nil || len(changed.Codes) != 10 {
			t.Fatalf("%+v %v", changed, err)
		}
		done, err := w.SignIn.Complete(t.Context(), o)
		if err != nil || done.Session == nil || done.Session.ACR != authn.AAL2 {
			t.Fatalf("%+v %v", done, err)
		}
		// The old key is dead, and the new one signs in as any other.
		st = w.begin(tom)
		if _, err := w.answer(st, authn.TOTP, w.Code(t, secret)); code(err) != authn.WrongCode {
			t.Errorf("the old key: %v", err)
		}
		if st, err := w.answer(st, authn.TOTP, w.Code(t, fresh)); err != nil || st.Session == nil {
			t.Errorf("%+v %v", st, err)
		}
	})
}

// Each act does what it says, to nobody else, and the person is told.
func TestActs_H2_H3_cve54(t *testing.T) {
	bothStores(t, func(t *testing.T, nodes ...*sallyporttest.Server) {
		w := worldOf(t, nodes[0])
		owner, tom := w.add(w.Company, "owner", "owner"), w.add(w.Company, "tom", "member")
		far := w.add(w.other, "tom", "member")
		before := w.user(far)
		gone := func() bool {
			_, err := w.Directory.Check(t.Context(), w.session(tom), "")
			return err != nil
		}
		act := func(do, letter string, args ...string) directory.Outcome {
			t.Helper()
			n := len(w.Mail(t, tom.Email))
			out, err := w.do(w.session(owner), do, tom.User, args...)
			if err != nil || out.Waits != nil {
				t.Fatalf("%s: %+v %v", do, out, err)
			}
			mail := w.Mail(t, tom.Email)
			if len(mail) != n+1 || mail[n].Subject != letter+" – Acme Projects" {
				t.Errorf("%s: %d letters, %q", do, len(mail)-n, mail[len(mail)-1].Subject)
			}
			return out
		}
		mine := w.session(tom)
		act(directory.SignOut, "You were signed out everywhere")
		if _, err := w.Directory.Check(t.Context(), mine, ""); code(err) != authn.Unauthenticated {
			t.Errorf("still signed in: %v", err)
		}
		act(directory.Prefer, "Your usual way to verify was chosen", "factor", tom.Factor)
		if w.user(tom).Preferred != tom.Factor || gone() {
			t.Error("not preferred, or signed out")
		}
		act(directory.Disable, "A way to verify was switched off", "factor", tom.Factor)
		if _, err := w.do(w.session(owner), directory.Disable, tom.User, "factor", tom.Factor); why(err) != "error.factor_state" {
			t.Errorf("%v", err)
		}
		act(directory.Enable, "A way to verify was switched on again", "factor", tom.Factor)
		if gone() {
			t.Error("the app does not work again")
		}
		until := w.Clock.Now().Add(48 * time.Hour)
		act(directory.Exempt, "Two-step sign-in is not required for a time", "until", until.Format(time.RFC3339))
		if u := w.user(tom); !u.ExemptUntil.Equal(until.Truncate(time.Second)) || u.ExemptBy != owner.ID || u.ExemptReason != "because" {
			t.Errorf("%+v", u)
		}
		act(directory.EndExemption, "Two-step sign-in is required again")
		act(directory.RequireTwo, "You need a second way to verify")
		act(directory.Reset, "Your ways to verify were reset", "factor", tom.Factor)
		if list := w.factors(tom); len(list) != 1 {
			t.Errorf("%+v", list)
		}
		key := w.key(tom, nil, "users.read")
		act(directory.Leave, "Your account was closed")
		if w.user(tom).Status != authn.Suspended {
			t.Error("not suspended")
		}
		if _, err := w.Directory.Check(t.Context(), key, ""); code(err) != authn.Unauthenticated {
			t.Errorf("the key lives: %v", err)
		}
		if keys, err := w.Store.APIKeys(t.Context(), w.Company.ID, "", "", 0); err != nil || len(keys) != 0 {
			t.Errorf("%d keys %v", len(keys), err)
		}
		act(directory.Activate, "You can sign in again")
		if after := w.user(far); after.Epoch != before.Epoch || len(w.factors(far)) != 2 {
			t.Error("somebody of another company was changed")
		}
		for _, e := range w.events(w.Company.ID, "user.") {
			if e.Actor == owner.ID && e.Personal.Detail["reason"] != "because" {
				t.Errorf("%s has no reason", e.Type)
			}
		}
	})
}

// Unlock lifts a pause, and leaves the count of 100 (ruling 18).
func TestUnlock_rul18(t *testing.T) {
	w := newWorld(t)
	help, tom := w.add(w.Company, "help", "helpdesk"), w.add(w.Company, "tom", "member")
	st := w.begin(tom)
	for range 10 {
		_, _ = w.answer(st, authn.TOTP, w.WrongCode(t, tom.Secret))
	}
	if _, err := w.answer(st, authn.TOTP, w.Code(t, tom.Secret)); code(err) != authn.Paused {
		t.Fatalf("%v", err)
	}
	tries := func() int {
		f := w.factors(tom)
		return f[len(f)-1].Counts[authn.Stranger].Tries + f[0].Counts[authn.Stranger].Tries
	}
	n := tries()
	if _, err := w.do(w.session(help), directory.Unlock, tom.User); err != nil {
		t.Fatal(err)
	}
	if tries() != n || n != 10 {
		t.Errorf("%d tries, then %d", n, tries())
	}
	if _, err := w.answer(st, authn.TOTP, w.Code(t, tom.Secret)); err != nil {
		t.Errorf("after unlocking: %v", err)
	}
}

// Whoever holds more by the time that their app is shown, or confirmed, is touched by
// nobody who holds less, and that it was tried is on record.
func TestHandOverOfWhoRose_rul17(t *testing.T) {
	w := newWorld(t)
	help, tom := w.add(w.Company, "help", "helpdesk"), w.AddUser(t, w.Company, "tom", false)
	who := w.session(help)
	out, err := w.do(who, directory.HandOver, tom.User)
	w.must(err)
	shown, err := w.Directory.ShowHandOver(t.Context(), who, tom.ID, out.Factor.ID)
	w.must(err)
	w.decide(w.Company.ID, tom.ID, "test", func(rows *authn.Rows) []authn.Write {
		u := *rows.User
		u.Roles = []string{"administrator"}
		return []authn.Write{authn.PutUser{User: u}}
	})
	secret, err := otp.DecodeSecret(shown.Shown.Key)
	w.must(err)
	if _, err := w.Directory.ShowHandOver(t.Context(), who, tom.ID, out.Factor.ID); why(err) != "error.forbidden.above" {
		t.Errorf("%v", err)
	}
	if _, err := w.Directory.ConfirmHandOver(t.Context(), who, tom.ID, out.Factor.ID, 0, w.Code(t, secret)); why(err) != "error.forbidden.above" {
		t.Errorf("%v", err)
	}
	list := w.events(w.Company.ID, "factor.handed_over")
	if len(list) != 2 || list[0].Result != authn.Refused || list[0].Actor != help.ID || list[0].Target != tom.ID {
		t.Errorf("%+v", list)
	}
}

// ruling 21: an API account has one role, of those that list what it may do.
func TestRolesOfAPIAccounts_rul21(t *testing.T) {
	w := newWorld(t)
	owner, bot := w.add(w.Company, "owner", "owner"), w.AddUser(t, w.Company, "bot", false)
	w.customRoles(authn.Role{Name: "sync", Title: "Sync", Permissions: []string{}}, authn.Role{Name: "other", Title: "Other", Permissions: []string{}})
	_, err := w.do(w.session(owner), directory.APIOn, bot.User, "owner", owner.ID, "until", w.Clock.Now().Add(time.Hour).Format(time.RFC3339))
	w.must(err)
	for _, roles := range []string{"administrator", "owner", "sync,other", "member,sync"} {
		if _, err := w.do(w.session(owner), directory.SetRoles, bot.User, "roles", roles); field(err) != "roles api_account" {
			t.Errorf("%s: %v", roles, err)
		}
	}
	for _, roles := range []string{"sync", "member", ""} {
		if _, err := w.do(w.session(owner), directory.SetRoles, bot.User, "roles", roles); err != nil {
			t.Errorf("%s: %v", roles, err)
		}
	}
}
