package enroll_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

func (w world) setPolicy(d policy.Document) {
	w.t.Helper()
	c, err := w.Directory.Company(context.Background(), "acme")
	if err != nil {
		w.t.Fatal(err)
	}
	d.Format = 1
	if err := w.Directory.SetPolicy(context.Background(), c.ID, d, c.PolicyVersion); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) rows(p sallyporttest.Person) authn.Rows {
	w.t.Helper()
	rows, err := w.Store.View(context.Background(), authn.Keys{Company: p.Company, User: p.ID, Now: w.Clock.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func (w world) put(p sallyporttest.Person, change func(*authn.User)) {
	w.t.Helper()
	rows := w.rows(p)
	u := *rows.User
	change(&u)
	err := w.Store.Decide(context.Background(), authn.Keys{Company: p.Company, User: p.ID, Now: w.Clock.Now()}, func(*authn.Rows) authn.Verdict {
		return authn.Continue(authn.PutUser{User: u})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) begin(p sallyporttest.Person, password string, c authn.Client) (signin.Status, error) {
	return w.SignIn.Begin(context.Background(), signin.Begin{Company: "acme", Login: p.Login, Password: password, Client: c})
}

func (w world) mustBegin(p sallyporttest.Person, c authn.Client) signin.Status {
	w.t.Helper()
	st, err := w.begin(p, sallyporttest.Password, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w world) verify(st signin.Status, k authn.Kind, a string, c authn.Client) (signin.Status, error) {
	return w.SignIn.Verify(context.Background(), signin.OpenerOf(st.Token, c), signin.Verify{Method: k, Answer: authn.Answer{Code: a}})
}

// byMail answers an attempt with a code by e-mail.
func (w world) byMail(st signin.Status, to string, c authn.Client) signin.Status {
	w.t.Helper()
	if _, _, err := w.SignIn.Challenge(context.Background(), signin.OpenerOf(st.Token, c), authn.Email, ""); err != nil {
		w.t.Fatal(err)
	}
	out, err := w.verify(st, authn.Email, w.LastCode(w.t, to), c)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w world) stepUp(who enroll.Who, p sallyporttest.Person) enroll.Who {
	w.t.Helper()
	st, err := w.SignIn.StepUp(context.Background(), who.Token, "", "", who.Client)
	if err != nil {
		w.t.Fatal(err)
	}
	switch {
	case st.Need.State == authn.NeedPassword:
		st, err = w.SignIn.Verify(context.Background(), signin.OpenerOf(st.Token, who.Client),
			signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: sallyporttest.Password}})
	case st.Need.Offers[0].Kind == authn.Email:
		st = w.byMail(st, w.rows(p).User.Email, who.Client)
	default:
		st, err = w.verify(st, authn.TOTP, w.Code(w.t, p.Secret), who.Client)
		w.Clock.Advance(30 * time.Second)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return enroll.Who{Token: st.SessionToken, Client: who.Client}
}

// linkIn is the link in the newest message to an address that has one.
func (w world) linkIn(to, folder string) authn.Token {
	w.t.Helper()
	list := w.Mail(w.t, to)
	for i := len(list) - 1; i >= 0; i-- {
		if _, rest, ok := strings.Cut(list[i].Text, w.URL+folder); ok {
			tok, ok := authn.ParseToken(authn.LinkToken, strings.Fields(rest)[0])
			if !ok {
				w.t.Fatalf("%q is no link", strings.Fields(rest)[0])
			}
			return tok
		}
	}
	w.t.Fatalf("no link with %s was sent to %s", folder, to)
	return authn.Token{}
}

// --- set-up during sign-in

var ownWay = policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}}

// rul-1: the token of an attempt creates, sends and confirms what it created; it
// never lists, edits or deletes. F3: the session exists only afterwards, once.
func TestSetUpInSignIn_rul1_F3(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(ownWay)
	p := w.AddUser(t, w.Company, "maya", false)
	st := w.mustBegin(p, here)
	who := enroll.Who{Token: st.Token, Client: here}
	// On the password alone nothing is set up.
	for _, k := range []authn.Kind{authn.TOTP, authn.Email} {
		if _, err := w.Enroll.Begin(t.Context(), who, k, ""); code(err) != authn.Forbidden {
			t.Errorf("%s on a password alone: %v", k, err)
		}
	}
	got := w.byMail(st, p.Email, here)
	if got.Session != nil || got.Need.State != authn.NeedEnrolment || !got.Need.GraceUntil.IsZero() {
		t.Fatalf("%+v", got.Need)
	}
	// A code to the same address again would be no way of one's own.
	if _, err := w.Enroll.Begin(t.Context(), who, authn.Email, ""); code(err) != authn.PolicyForbids || authn.AsError(err).TextKey() != "error.too_weak" {
		t.Errorf("%v", err)
	}
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	// Another sign-in that got as far does not see it.
	w.Clock.Advance(time.Minute)
	other := w.mustBegin(p, here)
	w.byMail(other, p.Email, here)
	otherWho := enroll.Who{Token: other.Token, Client: here}
	secret := w.secretOf(pend)
	if _, err := w.Enroll.Show(t.Context(), otherWho, pend.Factor.ID); code(err) != authn.NotFound {
		t.Errorf("shown to another sign-in: %v", err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), otherWho, pend.Factor.ID, 0, authn.Answer{Code: w.Code(t, secret)}); code(err) != authn.NotFound {
		t.Errorf("confirmed by another sign-in: %v", err)
	}
	if _, err := w.Enroll.Remove(t.Context(), otherWho, pend.Factor.ID); code(err) != authn.NotFound {
		t.Errorf("given up by another sign-in: %v", err)
	}
	rows := w.rows(p)
	password := rows.FactorOf(authn.Password, authn.Confirmed).ID
	for name, try := range map[string]func() error{
		"rename":  func() error { _, err := w.Enroll.Rename(t.Context(), who, pend.Factor.ID, "mine"); return err },
		"prefer":  func() error { _, err := w.Enroll.Prefer(t.Context(), who, pend.Factor.ID); return err },
		"remove":  func() error { _, err := w.Enroll.Remove(t.Context(), who, password); return err },
		"codes":   func() error { _, err := w.Enroll.NewCodes(t.Context(), who); return err },
		"address": func() error { _, err := w.Enroll.BeginEmail(t.Context(), who, "other@acme.example"); return err },
		"password": func() error {
			_, err := w.Enroll.ChangePassword(t.Context(), who, sallyporttest.Password, "a new quiet harbour")
			return err
		},
		"complete": func() error { _, err := w.SignIn.Complete(t.Context(), signin.OpenerOf(st.Token, here)); return err },
		"postpone": func() error { _, err := w.SignIn.Postpone(t.Context(), signin.OpenerOf(st.Token, here)); return err },
		"fake code": func() error {
			_, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.WrongCode(t, secret)})
			return err
		},
	} {
		if err := try(); err == nil {
			t.Errorf("%s by the token of an attempt", name)
		}
	}
	done, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.Code(t, secret)})
	if err != nil || !done.Token.IsZero() || len(done.Codes) != 10 {
		t.Fatalf("%+v %v", done, err)
	}
	// E1: the codes can be seen again in this sign-in only.
	if _, codes, err := w.Enroll.ShownCodes(t.Context(), who); err != nil || !slices.Equal(codes, done.Codes) {
		t.Errorf("%v", err)
	}
	if _, _, err := w.Enroll.ShownCodes(t.Context(), otherWho); err == nil {
		t.Error("another sign-in sees the codes")
	}
	if got, err := w.SignIn.Get(t.Context(), signin.OpenerOf(st.Token, here)); err != nil || got.Need.State != authn.Ready {
		t.Errorf("%s %v", got.Need.State, err)
	}
	// The other one is over: the account moved (rul-3).
	if _, err := w.Enroll.Begin(t.Context(), otherWho, authn.TOTP, ""); code(err) != authn.Unauthenticated {
		t.Errorf("%v", err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if got, err := w.SignIn.Complete(context.Background(), signin.OpenerOf(st.Token, here)); err == nil && got.Session.ACR == authn.AAL2 {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("completed %d times (inv-A)", won.Load())
	}
	p.Secret = secret
	w.Clock.Advance(time.Minute)
	w.signIn(p)
}

// F3: set-up can be put off within the days of grace, which begin once.
func TestPostpone_F3(t *testing.T) {
	w := newWorld(t)
	d := ownWay
	d.GraceDays = 3
	w.setPolicy(d)
	p := w.AddUser(t, w.Company, "maya", false)
	first := w.Clock.Now()
	var until time.Time
	for day := range 3 {
		st := w.mustBegin(p, here)
		if _, err := w.SignIn.Postpone(t.Context(), signin.OpenerOf(st.Token, here)); err == nil {
			t.Fatal("put off before the code (rul-1)")
		}
		got := w.byMail(st, p.Email, here)
		if day == 0 {
			until = got.Need.GraceUntil
		}
		if !got.Need.GraceUntil.Equal(first.AddDate(0, 0, 3)) || !got.Need.GraceUntil.Equal(until) {
			t.Fatalf("day %d: until %v", day, got.Need.GraceUntil)
		}
		done, err := w.SignIn.Postpone(t.Context(), signin.OpenerOf(st.Token, here))
		if err != nil || done.Session.ACR != authn.AAL1 {
			t.Fatalf("day %d: %v", day, err)
		}
		if !w.alive(enroll.Who{Token: done.SessionToken}) {
			t.Errorf("day %d: the session is dead at once", day)
		}
		if _, err := w.SignIn.Postpone(t.Context(), signin.OpenerOf(st.Token, here)); code(err) != authn.Conflict {
			t.Errorf("day %d: twice: %v", day, err)
		}
		w.Clock.Advance(24 * time.Hour)
	}
	if rows := w.rows(p); !rows.User.GraceAt.Equal(first) {
		t.Errorf("grace began %v, not %v", rows.User.GraceAt, first)
	}
	st := w.mustBegin(p, here)
	got := w.byMail(st, p.Email, here)
	if !got.Need.GraceUntil.IsZero() {
		t.Errorf("%v", got.Need.GraceUntil)
	}
	if _, err := w.SignIn.Postpone(t.Context(), signin.OpenerOf(st.Token, here)); code(err) != authn.PolicyForbids || authn.AsError(err).TextKey() != "error.no_grace" {
		t.Errorf("%v", err)
	}
}

// A session that put it off ends with the days of grace (cve-53).
func TestPostponedSessionEnds_cve53(t *testing.T) {
	w := newWorld(t)
	d := ownWay
	d.GraceDays = 1
	w.setPolicy(d)
	p := w.AddUser(t, w.Company, "maya", false)
	w.byMail(w.mustBegin(p, here), p.Email, here)
	w.Clock.Advance(24*time.Hour - 20*time.Minute)
	st := w.mustBegin(p, here)
	w.byMail(st, p.Email, here)
	done, err := w.SignIn.Postpone(t.Context(), signin.OpenerOf(st.Token, here))
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(19 * time.Minute)
	if !w.alive(enroll.Who{Token: done.SessionToken}) {
		t.Error("over before its time")
	}
	w.Clock.Advance(2 * time.Minute)
	if w.alive(enroll.Who{Token: done.SessionToken}) {
		t.Error("alive after the days of grace")
	}
}

// --- the address

// changeAddress begins and confirms a change.
func (w world) changeAddress(who enroll.Who, to string) (enroll.Changed, error) {
	w.t.Helper()
	pend, err := w.Enroll.BeginEmail(context.Background(), who, to)
	if err != nil {
		return enroll.Changed{}, err
	}
	w.Mail(w.t, to) // so that letters come in the order of what they tell
	done, err := w.Enroll.Confirm(context.Background(), who, pend.Factor.ID, 0, authn.Answer{Code: w.LastCode(w.t, to)})
	w.Mail(w.t, to)
	return done, err
}

func TestChangeAddress_J2_cve49_std36_std55(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	old, new := p.Email, "new@acme.example"
	who := w.signIn(p)
	w.Clock.Advance(11 * time.Minute)
	// A session alone changes nothing.
	if _, err := w.Enroll.BeginEmail(t.Context(), who, new); code(err) != authn.StepUpRequired {
		t.Fatalf("%v", err)
	}
	if n := len(w.Mail(t, new)); n != 0 {
		t.Fatalf("%d messages to the new address", n)
	}
	who = w.stepUp(who, p)
	oldBefore := len(w.Mail(t, old))
	pend, err := w.Enroll.BeginEmail(t.Context(), who, new)
	if err != nil || pend.Address != new {
		t.Fatalf("%+v %v", pend, err)
	}
	// The code goes to the new address only, and nothing has changed yet.
	if n := len(w.Mail(t, new)); n != 1 || len(w.Mail(t, old)) != oldBefore {
		t.Errorf("%d to the new one, %d to the old", n, len(w.Mail(t, old))-oldBefore)
	}
	if rows := w.rows(p); rows.User.Email != old {
		t.Error("changed before it was confirmed")
	}
	if _, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: new, Password: sallyporttest.Password, Client: here}); code(err) != authn.WrongCredentials {
		t.Errorf("the new address signs in before it is confirmed: %v", err)
	}
	right := w.LastCode(t, new)
	wrong := "000000"
	if right == wrong {
		wrong = "000001"
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: wrong}); code(err) != authn.WrongCode {
		t.Errorf("%v", err)
	}
	other := w.signIn(p)
	if _, err := w.Enroll.Confirm(t.Context(), other, pend.Factor.ID, 0, authn.Answer{Code: right}); code(err) != authn.NotFound {
		t.Errorf("confirmed by another sign-in: %v", err)
	}
	done, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: right})
	if err != nil {
		t.Fatal(err)
	}
	rows := w.rows(p)
	if u := rows.User; u.Email != new || u.EmailVerifiedAt.IsZero() || !u.EmailChangedAt.Equal(w.Clock.Now()) || rows.FactorOf(authn.Email, authn.Confirmed) != nil {
		t.Errorf("%+v", u)
	}
	// All other sessions end, this one goes on under a new token (rul-3, std-53).
	if w.alive(other) || w.alive(who) || !w.alive(enroll.Who{Token: done.Token}) {
		t.Error("sessions")
	}
	for name, ok := range map[string]bool{new: true, old: false} {
		if _, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: name, Password: sallyporttest.Password, Client: here}); (err == nil) != ok {
			t.Errorf("sign-in by %s: %v", name, err)
		}
	}
	// Both are told, the old one with a link.
	if len(w.Mail(t, old)) != oldBefore+1 || len(w.Mail(t, new)) != 2 {
		t.Errorf("told: old %d, new %d", len(w.Mail(t, old))-oldBefore, len(w.Mail(t, new)))
	}
	if nm, err := w.Enroll.NotMe(t.Context(), w.linkIn(old, "/not-me/")); err != nil || !nm.Reverts {
		t.Errorf("%+v %v", nm, err)
	}
	if nm, err := w.Enroll.NotMe(t.Context(), w.linkIn(new, "/not-me/")); err != nil || nm.Reverts {
		t.Errorf("%+v %v", nm, err)
	}
}

// rul-2: a changed address gets no fall-back codes for 24 h; so does one where
// there was none before.
func TestNewAddressRests_rul2(t *testing.T) {
	for _, had := range []bool{true, false} {
		w := newWorld(t)
		n := directory.NewUser{Login: "maya", Password: sallyporttest.Password}
		if had {
			n.Email, n.Verified = "maya@acme.example", true
		}
		u, err := w.Directory.CreateUser(t.Context(), w.Company, n)
		if err != nil {
			t.Fatal(err)
		}
		p := sallyporttest.Person{User: u}
		if _, err := w.changeAddress(w.confirmPassword(w.signIn(p)), "new@acme.example"); err != nil {
			t.Fatal(err)
		}
		w.setPolicy(policy.Document{TwoFactor: policy.Required})
		if st := w.mustBegin(p, here); st.Need.State != authn.Denied || st.Need.Denied != policy.NewOne {
			t.Errorf("had one %t: %+v", had, st.Need)
		}
		w.Clock.Advance(24 * time.Hour)
		w.byMail(w.mustBegin(p, here), "new@acme.example", here)
	}
}

// Verifying the address that an administrator gave is no change of it.
func TestVerifyOwnAddress_rul2(t *testing.T) {
	w := newWorld(t)
	u, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "maya", Email: "maya@acme.example", Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	if _, err := w.changeAddress(w.confirmPassword(w.signIn(p)), "Maya@ACME.example"); err != nil {
		t.Fatal(err)
	}
	if rows := w.rows(p); rows.User.EmailVerifiedAt.IsZero() || !rows.User.EmailChangedAt.IsZero() {
		t.Errorf("%+v", rows.User)
	}
}

func TestTakenAddress_rul5_invA(t *testing.T) {
	w := newWorld(t)
	p, q := w.AddUser(t, w.Company, "maya", false), w.AddUser(t, w.Company, "omar", false)
	pw, qw := w.confirmPassword(w.signIn(p)), w.confirmPassword(w.signIn(q))
	for _, taken := range []string{"OMAR@acme.example", "ｏmar@acme.example"} {
		_, err := w.changeAddress(pw, taken)
		if err == nil {
			t.Errorf("%q is taken", taken)
		}
		if rows := w.rows(p); rows.User.Email != p.Email {
			t.Errorf("moved to %q", rows.User.Email)
		}
		w.Clock.Advance(time.Minute)
	}
	// Two people who want one address: one gets it, whoever is first.
	a, err := w.Enroll.BeginEmail(t.Context(), pw, "shared@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	ca := w.LastCode(t, "shared@acme.example")
	b, err := w.Enroll.BeginEmail(t.Context(), qw, "shared@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	cb := w.LastCode(t, "shared@acme.example")
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := w.Enroll.Confirm(context.Background(), pw, a.Factor.ID, 0, authn.Answer{Code: ca}); err == nil {
				won.Add(1)
			}
		})
		wg.Go(func() {
			if _, err := w.Enroll.Confirm(context.Background(), qw, b.Factor.ID, 0, authn.Answer{Code: cb}); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d people have one address", won.Load())
	}
	one, two := w.rows(p), w.rows(q)
	if (one.User.Email == "shared@acme.example") == (two.User.Email == "shared@acme.example") {
		t.Errorf("%q and %q", one.User.Email, two.User.Email)
	}
}

// --- "this wasn't me"

func TestNotMe_rul35_J2(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.Mail(t, p.Email)           // of the set-up, out of the way
	w.Clock.Advance(time.Minute) // what was set up before the event stays
	boss, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "boss", Email: "boss@acme.example", Verified: true, Roles: []string{directory.Owner}})
	if err != nil {
		t.Fatal(err)
	}
	thief := w.signIn(p) // whose sign-in the owner is told of
	who := w.signIn(p)
	w.Clock.Advance(30 * time.Second)
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, p.Factor)
	if err != nil {
		t.Fatal(err)
	}
	half := w.mustBegin(p, here)
	if _, _, err := w.Directory.BypassCode(t.Context(), w.Company, p.ID); err != nil {
		t.Fatal(err)
	}
	link := w.linkIn(p.Email, "/not-me/")
	before := w.rows(p)
	// Looking changes nothing (scanners open links).
	for range 3 {
		if nm, err := w.Enroll.NotMe(t.Context(), link); err != nil || nm.User.ID != p.ID {
			t.Fatalf("%+v %v", nm, err)
		}
	}
	if !w.alive(who) {
		t.Fatal("looking ended a session")
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := w.Enroll.Secure(context.Background(), link, here); err == nil {
				won.Add(1)
			} else if code(err) != authn.Conflict {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("pressed %d times (inv-A)", won.Load())
	}
	// Everything that was open is over.
	if w.alive(thief) || w.alive(who) {
		t.Error("a session lives on")
	}
	if _, err := w.verify(half, authn.TOTP, w.Code(t, p.Secret), here); err == nil {
		t.Error("a sign-in lives on")
	}
	after := w.rows(p)
	if after.Factor(pend.Factor.ID) != nil || after.FactorOf(authn.BypassCode, authn.Confirmed) != nil {
		t.Error("what was being set up is there")
	}
	if after.User.Epoch <= before.User.Epoch || after.User.SecuredAt.IsZero() || after.Factor(p.Factor) == nil {
		t.Errorf("%+v", after.User)
	}
	if after.User.PasswordChangedAt != before.User.PasswordChangedAt {
		t.Error("the link set a password (rul-35)")
	}
	// The person and the owners are told.
	if len(w.Mail(t, boss.Email)) == 0 {
		t.Error("the owners are not told")
	}
	// The next sign-in asks for the app and then for a new password, in every browser.
	st := w.mustBegin(p, here)
	if st.Lane != authn.Stranger {
		t.Error("the browser is still known")
	}
	st2, err := w.verify(st, authn.TOTP, w.Code(t, p.Secret), here)
	if err != nil || st2.Session != nil || st2.Need.State != authn.NeedPasswordChange {
		t.Fatalf("%+v %v", st2.Need, err)
	}
	w.Clock.Advance(30 * time.Second)
	o := signin.OpenerOf(st.Token, here)
	if _, err := w.SignIn.Complete(t.Context(), o); err == nil {
		t.Error("completed with the old password")
	}
	if _, err := w.SignIn.ChangePassword(t.Context(), o, "short"); code(err) != authn.Invalid {
		t.Errorf("%v", err)
	}
	done, err := w.SignIn.ChangePassword(t.Context(), o, "a harbour that nobody knows")
	if err != nil || done.Session == nil || done.Session.ACR != authn.AAL2 || !w.alive(enroll.Who{Token: done.SessionToken}) {
		t.Fatalf("%+v %v", done.Session, err)
	}
	if _, err := w.begin(p, sallyporttest.Password, here); code(err) != authn.WrongCredentials {
		t.Errorf("the old password: %v", err)
	}
	if rows := w.rows(p); !rows.User.SecuredAt.IsZero() {
		t.Error("still secured")
	}
}

// Somebody without a way of their own gets a code to the verified address, and
// grace does not put off the new password.
func TestNotMeWithoutAWay_rul35(t *testing.T) {
	for _, tf := range []policy.TwoFactor{policy.On, policy.Required} {
		w := newWorld(t)
		w.setPolicy(policy.Document{TwoFactor: tf, OwnWay: []authn.Audience{authn.InternalAudience}, GraceDays: 14})
		p := w.AddUser(t, w.Company, "maya", false)
		w.put(p, func(u *authn.User) { u.SecuredAt = w.Clock.Now() })
		st := w.mustBegin(p, here)
		if st.Session != nil || st.Need.State != authn.NeedFactor {
			t.Fatalf("%s: %+v", tf, st.Need)
		}
		got := w.byMail(st, p.Email, here)
		if got.Session != nil {
			t.Fatalf("%s: a session without a new password", tf)
		}
		if done, err := w.SignIn.Postpone(t.Context(), signin.OpenerOf(st.Token, here)); err == nil {
			t.Errorf("%s: put off, with the old password: %+v", tf, done.Session)
		}
	}
}

// A change of the address is taken back by the link that went to the old one,
// also after it was changed once more; whoever had it meanwhile cannot take that
// back, and the time that it must rest is as it was.
func TestAddressTakenBack_rul35_rul2_cve49(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	mine := p.Email
	who := w.signIn(p)
	one, err := w.changeAddress(who, "evil1@evil.example")
	if err != nil {
		t.Fatal(err)
	}
	two, err := w.changeAddress(enroll.Who{Token: one.Token, Client: here}, "evil2@evil.example")
	if err != nil {
		t.Fatal(err)
	}
	evil := w.linkIn("evil1@evil.example", "/not-me/")
	if nm, err := w.Enroll.NotMe(t.Context(), evil); err != nil || !nm.Reverts {
		t.Fatalf("%+v %v", nm, err)
	}
	w.Clock.Advance(time.Hour)
	if _, err := w.Enroll.Secure(t.Context(), w.linkIn(mine, "/not-me/"), here); err != nil {
		t.Fatal(err)
	}
	if w.alive(enroll.Who{Token: two.Token}) {
		t.Error("the thief's session lives on")
	}
	rows := w.rows(p)
	if rows.User.Email != mine || rows.User.EmailVerifiedAt.IsZero() {
		t.Fatalf("%+v", rows.User)
	}
	for _, login := range []string{"evil1@evil.example", "evil2@evil.example"} {
		if _, err := w.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: login, Password: sallyporttest.Password, Client: here}); code(err) != authn.WrongCredentials {
			t.Errorf("%s signs in: %v", login, err)
		}
	}
	// Who had it meanwhile is told, and their own link brings nothing back.
	if got := w.Mail(t, "evil2@evil.example"); !slices.ContainsFunc(got, func(m inbox.Kept) bool { return strings.Contains(m.Text, "went to the old address") }) {
		t.Errorf("%d messages, none says so", len(got))
	}
	if _, err := w.Enroll.Secure(t.Context(), evil, here); err == nil {
		t.Error("the thief took the taking back back")
	}
	if rows = w.rows(p); rows.User.Email != mine {
		t.Errorf("the address is %s", rows.User.Email)
	}
	if _, err := w.Enroll.Secure(t.Context(), w.linkIn(mine, "/not-me/"), here); code(err) == authn.Internal {
		t.Error(err)
	}
}

// Taking back does not make an address good sooner than it would have been: a
// thief changes it twice, and presses the link that went to the first of theirs.
func TestTakenBackAddressRests_rul2(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", false)
	who := w.confirmPassword(w.signIn(p))
	one, err := w.changeAddress(who, "evil1@evil.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.changeAddress(enroll.Who{Token: one.Token, Client: here}, "evil2@evil.example"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Secure(t.Context(), w.linkIn("evil1@evil.example", "/not-me/"), here); err != nil {
		t.Fatal(err)
	}
	st := w.mustBegin(p, here)
	if st.Need.State != authn.Denied || st.Need.Denied != policy.NewOne {
		t.Errorf("fall-back codes at once: %+v", st.Need)
	}
	// The owner's own link is still good.
	if _, err := w.Enroll.Secure(t.Context(), w.linkIn(p.Email, "/not-me/"), here); err != nil {
		t.Fatal(err)
	}
	if rows := w.rows(p); rows.User.Email != p.Email || !rows.User.EmailChangedAt.IsZero() {
		t.Errorf("%+v", rows.User)
	}
}

// If somebody else has the old address by now, the account is secured all the same.
func TestTakenBackAddressIsGone_rul35(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	done, err := w.changeAddress(w.signIn(p), "evil@evil.example")
	if err != nil {
		t.Fatal(err)
	}
	link := w.linkIn(p.Email, "/not-me/")
	if _, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "new", Email: p.Email}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Secure(t.Context(), link, here); err != nil {
		t.Fatalf("%v", err)
	}
	rows := w.rows(p)
	if w.alive(enroll.Who{Token: done.Token}) || rows.User.SecuredAt.IsZero() {
		t.Error("not secured")
	}
}

func TestNotMeEnds_rul35(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	w.signIn(p)
	link := w.linkIn(p.Email, "/not-me/")
	w.Clock.Advance(7 * 24 * time.Hour)
	if _, err := w.Enroll.Secure(t.Context(), link, here); code(err) != authn.Expired {
		t.Errorf("%v", err)
	}
	// A link of one kind does nothing of the other (cve-28).
	if _, err := w.SignIn.Accept(t.Context(), link, "a harbour that nobody knows", "", here); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
	g, err := w.Directory.Reinvite(t.Context(), w.Company, p.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Secure(t.Context(), g.Token, here); code(err) != authn.NotFound {
		t.Errorf("%v", err)
	}
	for i := range len(g.Token.Secret) {
		bad := g.Token
		bad.Secret = slices.Clone(bad.Secret)
		bad.Secret[i] ^= 1
		if _, err := w.SignIn.Invitation(t.Context(), bad); code(err) != authn.NotFound {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}
