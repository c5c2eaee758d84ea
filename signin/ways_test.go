package signin_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// events are the types of the newest events about a person, oldest first.
func (w world) events(p sallyporttest.Person) []string {
	w.t.Helper()
	list, err := w.Audit.Events(context.Background(), p.Company, authn.EventQuery{Target: p.ID, Limit: 200})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, ev := range list {
		out = append(out, ev.Type)
	}
	slices.Reverse(out)
	return out
}

func (w world) mails(p sallyporttest.Person) int { return len(w.Mail(w.t, p.Email)) }

// setUpApp sets up an app in a sign-in that asks for one, and gives its secret.
func (w world) setUpApp(st signin.Status, c authn.Client) (otp.Secret, enroll.Changed) {
	w.t.Helper()
	who := enroll.Who{Token: st.Token, Client: c}
	pend, err := w.Enroll.Begin(context.Background(), who, authn.TOTP, "")
	if err != nil {
		w.t.Fatal(err)
	}
	secret, err := otp.DecodeSecret(pend.Shown.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	done, err := w.Enroll.Confirm(context.Background(), who, pend.Factor.ID, 0, authn.Answer{Code: w.Code(w.t, secret)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Clock.Advance(30 * time.Second)
	return secret, done
}

// --- help codes

func TestBypassCode_rul18_cve57(t *testing.T) {
	w := newWorld(t)
	p, q := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "omar", true)
	c := w.bypassCode(p)
	before := w.mails(p)
	if before == 0 {
		t.Error("the person is not told of the code")
	}
	// It needs the password: without one there is no attempt to give it to.
	if _, err := w.begin(p.Login, c, browser("b")); code(err) != authn.WrongCredentials {
		t.Errorf("as a password: %v", err)
	}
	// Another person's is worth nothing (cve-57), and there is one at a time.
	other := w.bypassCode(q)
	st := w.mustBegin(p, browser("b"))
	if _, err := w.answer(st, authn.BypassCode, other, browser("b")); code(err) != authn.WrongCode {
		t.Errorf("another person's: %v", err)
	}
	newer := w.bypassCode(p)
	if _, err := w.answer(st, authn.BypassCode, c, browser("b")); code(err) != authn.WrongCode {
		t.Errorf("one that was replaced: %v", err)
	}
	got, err := w.answer(st, authn.BypassCode, strings.ToLower(strings.ReplaceAll(newer, "-", " ")), browser("b"))
	if err != nil {
		t.Fatal(err)
	}
	// It opens set-up and nothing else, and cannot be put off.
	if got.Session != nil || got.Need.State != authn.NeedEnrolment || !got.Need.GraceUntil.IsZero() || !got.Need.Opened {
		t.Fatalf("%+v", got.Need)
	}
	for name, try := range map[string]func() (signin.Status, error){
		"postpone": func() (signin.Status, error) {
			return w.SignIn.Postpone(t.Context(), signin.OpenerOf(st.Token, browser("b")))
		},
		"complete": func() (signin.Status, error) {
			return w.SignIn.Complete(t.Context(), signin.OpenerOf(st.Token, browser("b")))
		},
		"again": func() (signin.Status, error) { return w.answer(st, authn.BypassCode, newer, browser("b")) },
	} {
		if got, err := try(); err == nil || got.Session != nil {
			t.Errorf("%s: %+v %v", name, got.Need, err)
		}
	}
	// Once, everywhere.
	if _, err := w.answer(w.mustBegin(p, browser("b")), authn.BypassCode, newer, browser("b")); code(err) != authn.Invalid {
		t.Errorf("used twice: %v", err)
	}
	secret, _ := w.setUpApp(st, browser("b"))
	if w.mails(p) <= before {
		t.Error("the person is not told of its use, nor of the new app")
	}
	done, err := w.SignIn.Complete(t.Context(), signin.OpenerOf(st.Token, browser("b")))
	if err != nil || done.Session.ACR != authn.AAL1 || !done.Session.FactorTime.IsZero() {
		t.Fatalf("%+v %v", done.Session, err)
	}
	// What it set up signs in, and changes nothing for a day.
	p.Secret = secret
	in := w.signIn(p, browser("b"))
	who := enroll.Who{Token: in.SessionToken, Client: browser("b")}
	if up, err := w.SignIn.StepUp(t.Context(), in.SessionToken, "", "", browser("b")); err != nil {
		t.Fatal(err)
	} else if in, err = w.verify(up, w.Code(t, secret), browser("b")); err != nil {
		t.Fatal(err)
	}
	who.Token = in.SessionToken
	w.Clock.Advance(30 * time.Second)
	factor := w.appOf(p)
	changes := map[string]func() error{
		"remove":      func() error { _, err := w.Enroll.Remove(t.Context(), who, factor); return err },
		"new address": func() error { _, err := w.Enroll.BeginEmail(t.Context(), who, "new@acme.example"); return err },
		"password": func() error {
			_, err := w.Enroll.ChangePassword(t.Context(), who, sallyporttest.Password, "another quiet harbour")
			return err
		},
		"codes":       func() error { _, err := w.Enroll.NewCodes(t.Context(), who); return err },
		"another way": func() error { _, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, factor); return err },
	}
	for name, change := range changes {
		if err := change(); code(err) != authn.PolicyForbids || authn.AsError(err).TextKey() != "error.probation" {
			t.Errorf("%s on probation: %v", name, err)
		}
	}
	w.Clock.Advance(24 * time.Hour)
	who.Token = w.signIn(p, browser("b")).SessionToken
	if _, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, factor); err != nil {
		t.Errorf("after a day: %v", err)
	}
}

func (w world) appOf(p sallyporttest.Person) string {
	rows := w.rows(p)
	if f := rows.FactorOf(authn.TOTP, authn.Confirmed); f != nil {
		return f.ID
	}
	return ""
}

func TestBypassCodeEnds_rul18_std33(t *testing.T) {
	w := newWorld(t)
	for name, end := range map[string]func(p sallyporttest.Person){
		"after an hour": func(sallyporttest.Person) { w.Clock.Advance(time.Hour) },
		"by a change of the account": func(p sallyporttest.Person) {
			if err := w.Directory.SetRequire(t.Context(), w.Company, p.ID, false); err != nil {
				t.Fatal(err)
			}
		},
	} {
		p := w.AddUser(t, w.Company, fmt.Sprint("p", len(name)), true)
		c := w.bypassCode(p)
		end(p)
		st := w.mustBegin(p, browser("b"))
		offered := slices.ContainsFunc(st.Need.Offers, func(o policy.Offer) bool { return o.Kind == authn.BypassCode })
		_, err := w.answer(st, authn.BypassCode, c, browser("b"))
		if offered || err == nil {
			t.Errorf("%s: offered %t, %v", name, offered, err)
		}
	}
	// Suspended, or two steps off: none is made.
	p := w.AddUser(t, w.Company, "sus", true)
	if err := w.Directory.SetStatus(t.Context(), w.Company, p.ID, authn.Suspended); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Directory.BypassCode(t.Context(), w.Company, p.ID); code(err) != authn.PolicyForbids {
		t.Errorf("suspended: %v", err)
	}
	w.SetTwoFactor(t, "acme", policy.Off)
	q := w.AddUser(t, w.Company, "off", true)
	if _, _, err := w.Directory.BypassCode(t.Context(), w.Company, q.ID); code(err) != authn.PolicyForbids {
		t.Errorf("off: %v", err)
	}
	// Never a step-up (ruling 26).
	w.SetTwoFactor(t, "acme", policy.On)
	r := w.AddUser(t, w.Company, "step", true)
	in := w.signIn(r, browser("s"))
	c := w.bypassCode(r)
	up, err := w.SignIn.StepUp(t.Context(), in.SessionToken, "", "", browser("s"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.answer(up, authn.BypassCode, c, browser("s")); code(err) != authn.Invalid {
		t.Errorf("at a step-up: %v", err)
	}
}

// Guesses at it are counted like any other, and its pauses are its own.
func TestBypassCodeGuessed_cve2(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	c := w.bypassCode(p)
	st := w.mustBegin(p, browser("b"))
	for i := range policy.FreeTries {
		if _, err := w.answer(st, authn.BypassCode, fmt.Sprintf("ZZZZ-ZZZZ-ZZZZ-%04d", i), browser("b")); code(err) != authn.WrongCode {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if _, err := w.answer(st, authn.BypassCode, c, browser("b")); code(err) != authn.Paused {
		t.Errorf("%v", err)
	}
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("b")); err != nil {
		t.Errorf("the app is paused too: %v", err)
	}
	q := w.AddUser(t, w.Company, "omar", true)
	c = w.bypassCode(q)
	rows := w.rows(q)
	w.lock(q, rows.FactorOf(authn.BypassCode, authn.Confirmed).ID)
	if _, err := w.answer(w.mustBegin(q, browser("b")), authn.BypassCode, c, browser("b")); code(err) != authn.Locked {
		t.Errorf("after all tries of the lane: %v", err)
	}
}

// --- backup codes

func TestBackupCodes_E1_E2_std16_cve26(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	codes := w.addCodes(p)
	for i, c := range codes {
		st := w.mustBegin(p, browser("b"))
		// Never the usual way.
		if st.Need.Offers[0].Kind != authn.TOTP || slices.ContainsFunc(st.Need.Offers, func(o policy.Offer) bool { return o.Kind == authn.BackupCode && o.Preferred }) {
			t.Fatalf("%+v", st.Need.Offers)
		}
		if i%2 == 1 {
			c = strings.ToLower(strings.ReplaceAll(c, "-", " "))
		}
		done, err := w.answer(st, authn.BackupCode, c, browser("b"))
		if err != nil || done.Session == nil || done.Session.ACR != authn.AAL2 {
			t.Fatalf("code %d: %v", i, err)
		}
		rows := w.rows(p)
		if f := rows.FactorOf(authn.BackupCode, authn.Confirmed); f.Left != len(codes)-i-1 {
			t.Errorf("%d left after %d", f.Left, i+1)
		}
		if i == len(codes)-1 {
			break
		}
		tries := w.counts(p, authn.BackupCode)
		if _, err := w.answer(w.mustBegin(p, browser("b")), authn.BackupCode, c, browser("b")); code(err) != authn.CodeUsed || authn.AsError(err).Key != "error.backup_code_used" {
			t.Errorf("code %d again: %v", i, err)
		}
		if got := w.counts(p, authn.BackupCode); got != tries {
			t.Errorf("a used code was charged: %d, then %d (rul-44)", tries, got)
		}
	}
	// None are left: not offered any more.
	st := w.mustBegin(p, browser("b"))
	if slices.ContainsFunc(st.Need.Offers, func(o policy.Offer) bool { return o.Kind == authn.BackupCode }) {
		t.Errorf("%+v", st.Need.Offers)
	}
	if _, err := w.answer(st, authn.BackupCode, codes[0], browser("b")); code(err) != authn.Invalid {
		t.Errorf("%v", err)
	}
	used := 0
	for _, typ := range w.events(p) {
		if typ == "backup_code.used" {
			used++
		}
	}
	if used != len(codes) {
		t.Errorf("%d events of %d codes", used, len(codes))
	}
}

func TestBackupCodeRace_cve26_invA(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	codes := w.addCodes(p)
	for _, c := range codes[:3] {
		var sts []signin.Status
		for i := range 12 {
			sts = append(sts, w.mustBegin(p, browser(fmt.Sprint(i))))
		}
		var won atomic.Int32
		var wg sync.WaitGroup
		for i, st := range sts {
			wg.Go(func() {
				if got, err := w.answer(st, authn.BackupCode, c, browser(fmt.Sprint(i))); err == nil && got.Session != nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d sessions of one code", won.Load())
		}
		// The right code that lost is nobody's wrong guess, but it may have been
		// charged: the pause that would follow must not add up over the codes.
		w.Clock.Advance(2 * time.Hour)
	}
}

func TestBackupCodesAndTheApp_rul43_E2(t *testing.T) {
	w := newWorld(t)
	p, q := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "omar", true)
	codes, theirs := w.addCodes(p), w.addCodes(q)
	// Wrong ones pause only themselves.
	st := w.mustBegin(p, browser("b"))
	for i := range policy.FreeTries {
		if _, err := w.answer(st, authn.BackupCode, theirs[i], browser("b")); code(err) != authn.WrongCode {
			t.Fatalf("another person's code (cve-57): %v", err)
		}
	}
	if _, err := w.answer(st, authn.BackupCode, codes[0], browser("b")); code(err) != authn.Paused {
		t.Errorf("%v", err)
	}
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("b")); err != nil {
		t.Errorf("the app is paused too: %v", err)
	}
	// The app's end leaves them open, and only then do they confirm at a step-up.
	home := browser("b")
	in := w.signInAfter(p, home)
	up, err := w.SignIn.StepUp(t.Context(), in.SessionToken, "", "", home)
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Hour)
	if _, err := w.answer(up, authn.BackupCode, codes[1], home); err == nil {
		t.Error("a backup code confirmed although the app could")
	}
	w.lock(q, q.Factor)
	st = w.mustBegin(q, browser("q"))
	if !st.Need.Offers[len(st.Need.Offers)-1].Locked {
		t.Errorf("%+v", st.Need.Offers)
	}
	done, err := w.answer(st, authn.BackupCode, theirs[9], browser("q"))
	if err != nil {
		t.Fatalf("the codes closed with the app: %v", err)
	}
	if up, err = w.SignIn.StepUp(t.Context(), done.SessionToken, "", "", browser("q")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.answer(up, authn.BackupCode, theirs[8], browser("q")); err != nil {
		t.Errorf("nothing else is left: %v", err)
	}
	// A new set kills the old one.
	w.addCodes(q)
	if _, err := w.answer(w.mustBegin(q, browser("q")), authn.BackupCode, theirs[0], browser("q")); code(err) != authn.WrongCode {
		t.Errorf("a code of the old set: %v", err)
	}
}

func (w world) signInAfter(p sallyporttest.Person, c authn.Client) signin.Status {
	w.Clock.Advance(time.Hour)
	return w.signIn(p, c)
}

// --- invitations

func TestInvitation_rul1_rul57(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}})
	g, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: "nina", Email: "nina@acme.example"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.begin("nina", "", browser("b")); err == nil {
		t.Error("signs in without a password")
	}
	for range 3 { // looking uses nothing up
		if inv, err := w.SignIn.Invitation(t.Context(), g.Token); err != nil || inv.User.ID != g.User.ID || inv.Minimum != 8 {
			t.Fatalf("%+v %v", inv, err)
		}
	}
	if _, err := w.SignIn.Accept(t.Context(), g.Token, "short", "", browser("b")); code(err) != authn.Invalid {
		t.Errorf("%v", err)
	}
	st, err := w.SignIn.Accept(t.Context(), g.Token, "a long way from home", "", browser("b"))
	if err != nil || st.Session != nil || st.Need.State != authn.NeedEnrolment || st.Need.Opened {
		t.Fatalf("%+v %v", st.Need, err)
	}
	p := sallyporttest.Person{User: g.User}
	rows := w.rows(p)
	if !rows.User.EmailVerifiedAt.IsZero() {
		t.Error("a link that was handed over verified the address")
	}
	if _, err := w.SignIn.Accept(t.Context(), g.Token, "a long way from work", "", browser("b")); code(err) != authn.Conflict {
		t.Errorf("used twice: %v", err)
	}
	if _, err := w.SignIn.Invitation(t.Context(), g.Token); code(err) != authn.Conflict {
		t.Errorf("%v", err)
	}
	w.setUpApp(st, browser("b"))
	done, err := w.SignIn.Complete(t.Context(), signin.OpenerOf(st.Token, browser("b")))
	if err != nil || done.Session.ACR != authn.AAL2 {
		t.Fatalf("%+v %v", done.Session, err)
	}
	if _, err := w.Sessions.Check(t.Context(), done.SessionToken.Reveal(), browser("b")); err != nil {
		t.Error(err)
	}
}

// One that travelled by e-mail verifies the address it went to.
func TestInvitationMailed_rul57_cve63(t *testing.T) {
	w := newWorld(t)
	g, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: "nina", Email: "nina@acme.example"}, true)
	if err != nil || !g.Token.IsZero() {
		t.Fatalf("the caller sees a link that was mailed: %v", err)
	}
	link := w.linkIn(t, "nina@acme.example", "/invitation/")
	if _, err := w.SignIn.Accept(t.Context(), link, "a long way from home", "", browser("b")); err != nil {
		t.Fatal(err)
	}
	rows := w.rows(sallyporttest.Person{User: g.User})
	if rows.User.EmailVerifiedAt.IsZero() {
		t.Error("not verified")
	}
}

// linkIn is the link in the newest message to an address that has one.
func (w world) linkIn(t *testing.T, to, folder string) authn.Token {
	t.Helper()
	list := w.Mail(t, to)
	for i := len(list) - 1; i >= 0; i-- {
		if _, rest, ok := strings.Cut(list[i].Text, w.URL+folder); ok {
			tok, ok := authn.ParseToken(authn.LinkToken, strings.Fields(rest)[0])
			if !ok {
				t.Fatalf("%q is no link", strings.Fields(rest)[0])
			}
			return tok
		}
	}
	t.Fatalf("no link with %s was sent to %s", folder, to)
	return authn.Token{}
}

func TestInvitationEnds_rul3_rul45_cve28(t *testing.T) {
	w := newWorld(t)
	n := 0
	for name, tt := range map[string]struct {
		end  func(u authn.User)
		want authn.Code
	}{
		"after seven days": {func(authn.User) { w.Clock.Advance(7 * 24 * time.Hour) }, authn.Expired},
		"by a change of the account": {func(u authn.User) {
			if err := w.Directory.SetRequire(t.Context(), w.Company, u.ID, false); err != nil {
				t.Fatal(err)
			}
		}, authn.Expired},
		"while suspended": {func(u authn.User) {
			if err := w.Directory.SetStatus(t.Context(), w.Company, u.ID, authn.Suspended); err != nil {
				t.Fatal(err)
			}
		}, authn.NotFound},
		"by being replaced": {func(u authn.User) {
			if _, err := w.Directory.Reinvite(t.Context(), w.Company, u.ID, false); err != nil {
				t.Fatal(err)
			}
		}, authn.NotFound},
	} {
		n++
		g, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: fmt.Sprint("nina", n)}, false)
		if err != nil {
			t.Fatal(err)
		}
		tt.end(g.User)
		if _, err := w.SignIn.Accept(t.Context(), g.Token, "a long way from home", "", browser("b")); code(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.SignIn.Invitation(t.Context(), g.Token); code(err) != tt.want {
			t.Errorf("%s, looking: %v", name, err)
		}
	}
}

func TestInvitationRace_invA(t *testing.T) {
	w := newWorld(t)
	g, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: "nina"}, false)
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if _, err := w.SignIn.Accept(context.Background(), g.Token, fmt.Sprint("a long way from home ", i), "", browser("b")); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d people used one link", won.Load())
	}
}

// A link replaces a password, never a second step; and it sets no password of
// somebody who is asked for more only afterwards.
func TestInvitationOfSomebodyWithAnApp_rul1_F2(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	g, err := w.Directory.Reinvite(t.Context(), w.Company, p.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	st, err := w.SignIn.Accept(t.Context(), g.Token, "a long way from home", "", browser("b"))
	if err != nil || st.Session != nil || st.Need.State != authn.NeedFactor {
		t.Fatalf("%+v %v", st.Need, err)
	}
	if _, err := w.Enroll.Begin(t.Context(), enroll.Who{Token: st.Token, Client: browser("b")}, authn.TOTP, ""); code(err) != authn.Forbidden {
		t.Errorf("set-up beside the app: %v", err)
	}
	if _, err := w.verify(st, w.Code(t, p.Secret), browser("b")); err != nil {
		t.Error(err)
	}
}

// Grace postpones set-up after an invitation, too; the days begin then, and the
// session that it gives is good.
func TestInvitationWithGrace_F3(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}, GraceDays: 7})
	g, err := w.Directory.Invite(t.Context(), w.Company, directory.NewUser{Login: "nina", Email: "nina@acme.example"}, true)
	if err != nil {
		t.Fatal(err)
	}
	st, err := w.SignIn.Accept(t.Context(), w.linkIn(t, "nina@acme.example", "/invitation/"), "a long way from home", "", browser("b"))
	if err != nil || st.Need.State != authn.NeedEnrolment || !st.Need.GraceUntil.Equal(w.Clock.Now().AddDate(0, 0, 7)) {
		t.Fatalf("%+v %v", st.Need, err)
	}
	p := sallyporttest.Person{User: g.User}
	rows := w.rows(p)
	if !rows.User.GraceAt.Equal(w.Clock.Now()) {
		t.Errorf("the days of grace began %v", rows.User.GraceAt)
	}
	done, err := w.SignIn.Postpone(t.Context(), signin.OpenerOf(st.Token, browser("b")))
	if err != nil || done.Session == nil || done.Session.ACR != authn.AAL1 {
		t.Fatalf("%+v %v", done.Session, err)
	}
	if _, err := w.Sessions.Check(t.Context(), done.SessionToken.Reveal(), browser("b")); err != nil {
		t.Errorf("the session is dead at once: %v", err)
	}
}

// --- what is remembered

func TestPreferred_F6(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	mail := w.addFactor(p, authn.Email)
	in := w.signIn(p, browser("one"))
	if _, err := w.Enroll.Prefer(t.Context(), enroll.Who{Token: in.SessionToken, Client: browser("none")}, mail); err != nil {
		t.Fatal(err)
	}
	first := func(c authn.Client) authn.Kind { return w.mustBegin(p, c).Need.Offers[0].Kind }
	// The account's choice where nothing else was used, this browser's own where it was.
	if got := first(browser("two")); got != authn.Email {
		t.Errorf("another browser: %s", got)
	}
	if got := first(browser("one")); got != authn.TOTP {
		t.Errorf("where the app was used: %s", got)
	}
	w.addCodes(p)
	rows := w.rows(p)
	for _, f := range rows.Factors {
		if f.Kind == authn.BackupCode || f.Kind == authn.Password {
			if _, err := w.Enroll.Prefer(t.Context(), enroll.Who{Token: in.SessionToken, Client: browser("one")}, f.ID); err == nil {
				t.Errorf("%s is preferred", f.Kind)
			}
		}
	}
}

func TestNewBrowserIsTold_J2_std45(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "maya", true)
	count := func() int {
		n := 0
		for _, typ := range w.events(p) {
			if typ == "session.new_browser" {
				n++
			}
		}
		return n
	}
	for i, tt := range []struct {
		c    authn.Client
		want int
	}{{browser("one"), 0}, {browser("one"), 0}, {browser("two"), 1}, {browser("two"), 1}, {browser("one"), 1}, {authn.Client{}, 2}} {
		w.signIn(p, tt.c)
		if got := count(); got != tt.want {
			t.Errorf("sign-in %d: told %d times, want %d", i, got, tt.want)
		}
	}
	if got := w.mails(p); got != 3 { // the app, and two browsers
		t.Errorf("%d letters", got)
	}
}
