package enroll_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/message/inbox"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

func (w world) beginPasskey(who enroll.Who) enroll.Pending {
	w.t.Helper()
	p, err := w.Enroll.Begin(context.Background(), who, authn.WebAuthn, "")
	if err != nil || len(p.Options) == 0 {
		w.t.Fatalf("%+v %v", p, err)
	}
	return p
}

func made(t *testing.T, keys *sallyporttest.Passkeys, options []byte, change func(*sallyporttest.PasskeyAnswer)) authn.Answer {
	t.Helper()
	b, err := keys.MakeWith(options, change)
	if err != nil {
		t.Fatal(err)
	}
	return authn.Answer{Credential: b}
}

func (w world) addsPasskey(who enroll.Who, keys *sallyporttest.Passkeys) enroll.Changed {
	w.t.Helper()
	p := w.beginPasskey(who)
	done, err := w.Enroll.Confirm(w.t.Context(), who, p.Factor.ID, 0, made(w.t, keys, p.Options, nil))
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

func (w world) byPasskey(keys *sallyporttest.Passkeys) (signin.Status, error) {
	w.t.Helper()
	ask, err := w.SignIn.Passkeys(w.t.Context(), "acme", here)
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := keys.Sign(ask.Options)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.SignIn.BeginByPasskey(w.t.Context(), signin.ByPasskey{Company: "acme", Credential: signed, Client: here})
}

func again(c enroll.Changed) enroll.Who { return enroll.Who{Token: c.Token, Client: here} }

// What is set up is active after its first good answer, and never before (cve-50).
func TestPasskeySetUp_N1(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.signIn(p)
	other := w.signIn(p)
	// rul-1: an open session alone adds nothing.
	if _, err := w.Enroll.Begin(t.Context(), who, authn.WebAuthn, ""); code(err) != authn.StepUpRequired {
		t.Fatalf("%v", err)
	}
	who = w.confirmPassword(who)
	keys := w.Passkeys(t)
	pend := w.beginPasskey(who)
	answer := made(t, keys, pend.Options, nil)
	if _, err := w.byPasskey(keys); code(err) != authn.Invalid {
		t.Errorf("it signs in before it is confirmed: %v", err)
	}
	done, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, answer)
	if err != nil || done.Session.ACR != authn.AAL2 || !slices.Equal(done.Session.AMR, []string{"pwd", "hwk", "user"}) || len(done.Codes) == 0 {
		t.Fatalf("%+v %v", done, err)
	}
	info, ok := webauthn.Read(done.Factor)
	if !ok || !info.Verified || info.Synced || info.Attachment != "platform" {
		t.Errorf("%+v", info)
	}
	if w.alive(who) || w.alive(other) || !w.alive(again(done)) {
		t.Error("sessions after the change are not as they should be")
	}
	// std-31: the person is told by another channel.
	if mails := w.Mail(t, p.Email); !slices.ContainsFunc(mails, func(m inbox.Kept) bool {
		return strings.Contains(m.Subject, "added") || strings.Contains(m.Text, "asskey")
	}) {
		t.Errorf("%d mails, none of it", len(mails))
	}
	if st, err := w.byPasskey(keys); err != nil || st.Session == nil || st.User.ID != p.ID {
		t.Errorf("%+v %v", st, err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), again(done), pend.Factor.ID, 0, answer); code(err) != authn.Conflict {
		t.Errorf("twice: %v", err)
	}
}

// cve-27: a question of set-up is used up before its answer is judged, and belongs to
// one set-up; of a hundred answers one makes a factor.
func TestPasskeySetUpOnce_cve27_std72(t *testing.T) {
	w := newWorld(t)
	p, q := w.AddUser(t, w.Company, "lena", false), w.AddUser(t, w.Company, "omar", false)
	who, omar := w.confirmPassword(w.signIn(p)), w.confirmPassword(w.signIn(q))
	keys := w.Passkeys(t)
	pend, theirs := w.beginPasskey(who), w.beginPasskey(omar)
	confirm := func(who enroll.Who, id string, a authn.Answer) error {
		_, err := w.Enroll.Confirm(context.Background(), who, id, 0, a)
		return err
	}
	mine := made(t, keys, pend.Options, nil)
	if err := confirm(omar, theirs.Factor.ID, mine); code(err) != authn.Expired {
		t.Errorf("the answer to another's question: %v", err)
	}
	if err := confirm(omar, pend.Factor.ID, mine); code(err) != authn.NotFound {
		t.Errorf("another's set-up: %v", err)
	}
	// A forged answer uses the question up, and costs a try of the set-up.
	forged := made(t, keys, pend.Options, func(a *sallyporttest.PasskeyAnswer) { a.ClientData.Origin = "https://evil.example" })
	if err := confirm(who, pend.Factor.ID, forged); code(err) != authn.WrongCode || authn.AsError(err).Key != "error.passkey_refused" {
		t.Errorf("forged: %v", err)
	}
	if err := confirm(who, pend.Factor.ID, mine); code(err) != authn.Expired {
		t.Errorf("the right one after it: %v", err)
	}
	rows := w.rows(p)
	if f := rows.Factor(pend.Factor.ID); f == nil || f.State != authn.Pending || f.Counts[authn.Stranger].Tries+f.Counts[authn.Known].Tries != 1 {
		t.Errorf("%+v", f)
	}
	// Asking anew makes the question before it worth nothing.
	first, err := w.Enroll.Send(t.Context(), who, pend.Factor.ID)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.Enroll.Send(t.Context(), who, pend.Factor.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := confirm(who, pend.Factor.ID, made(t, keys, first.Options, nil)); code(err) != authn.Expired {
		t.Errorf("an older question: %v", err)
	}
	late := made(t, keys, second.Options, nil)
	w.Clock.Advance(authn.CeremonyLives)
	if err := confirm(who, pend.Factor.ID, late); code(err) != authn.Expired {
		t.Errorf("five minutes later: %v", err)
	}
	third, err := w.Enroll.Send(t.Context(), who, pend.Factor.ID)
	if err != nil {
		t.Fatal(err)
	}
	right := made(t, keys, third.Options, nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := 0
	for range 100 {
		wg.Go(func() {
			err := confirm(who, pend.Factor.ID, right)
			mu.Lock()
			defer mu.Unlock()
			switch code(err) {
			case "":
				won++
			case authn.Expired, authn.Conflict, authn.Unauthenticated, authn.Busy:
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	for _, f := range w.rows(p).Factors {
		if f.Kind == authn.WebAuthn {
			n++
		}
	}
	if won != 1 || n != 1 {
		t.Errorf("%d confirmed, %d factors", won, n)
	}
}

// std-74: an id that somebody on the server has is refused to everybody else, of
// another company too, and leaves nothing behind.
func TestPasskeyTaken_std74(t *testing.T) {
	w := newWorld(t)
	p, q := w.AddUser(t, w.Company, "lena", false), w.AddUser(t, w.Company, "omar", false)
	far := w.AddUser(t, w.AddCompany(t, "beta", "Beta"), "lena", false)
	keys, theirs := w.Passkeys(t), w.Passkeys(t)
	w.AddPasskey(t, far.User, theirs)
	w.addsPasskey(w.confirmPassword(w.signIn(p)), keys)
	who := w.confirmPassword(w.signIn(q))
	for name, id := range map[string][]byte{"a person's": keys.Credentials()[0].ID, "another company's": theirs.Credentials()[0].ID} {
		pend := w.beginPasskey(who)
		_, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, made(t, w.Passkeys(t), pend.Options, func(a *sallyporttest.PasskeyAnswer) { a.SetID(id) }))
		if code(err) != authn.Conflict || authn.AsError(err).Key != "error.passkey_taken" {
			t.Errorf("%s: %v", name, err)
		}
		if rows := w.rows(q); rows.FactorOf(authn.WebAuthn, authn.Confirmed) != nil {
			t.Errorf("%s: it was kept", name)
		}
	}
	// One authenticator has a key for each of two people, and each leads to its own.
	w.addsPasskey(who, keys)
	w.entersAs(keys, q.ID)
}

func (w world) entersAs(keys *sallyporttest.Passkeys, id string) {
	w.t.Helper()
	if st, err := w.byPasskey(keys); err != nil || st.Session == nil || st.User.ID != id {
		w.t.Errorf("%+v %v", st, err)
	}
}

// rul-43: up to twenty, asleep or not, and one more takes the place of none.
func TestPasskeyLimit_rul43(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	for range enroll.MaxSeveral - 1 {
		w.AddPasskey(t, p.User, w.Passkeys(t))
	}
	keys := w.Passkeys(t)
	w.AddPasskey(t, p.User, keys)
	st, err := w.byPasskey(keys)
	if err != nil {
		t.Fatal(err)
	}
	who := enroll.Who{Token: st.SessionToken, Client: here}
	if _, err := w.Enroll.Begin(t.Context(), who, authn.WebAuthn, ""); code(err) != authn.PolicyForbids || authn.AsError(err).Key != "error.too_many_passkeys" {
		t.Fatalf("the 21st: %v", err)
	}
	rows := w.rows(p)
	first := rows.FactorOf(authn.WebAuthn, authn.Confirmed).ID
	done, err := w.Enroll.Remove(t.Context(), who, first)
	if err != nil {
		t.Fatal(err)
	}
	who = again(done)
	// An authenticator that has a key already is asked for none.
	pend := w.beginPasskey(who)
	var refusal *sallyporttest.DOMException
	if _, err := keys.Make(pend.Options); !errors.As(err, &refusal) || refusal.Name != "InvalidStateError" {
		t.Errorf("the same authenticator again: %v", err)
	}
	if _, err := w.Enroll.Begin(t.Context(), who, authn.WebAuthn, first); code(err) != authn.Conflict {
		t.Errorf("in the place of one that is gone: %v", err)
	}
	w.addsPasskey(who, w.Passkeys(t))
	n := 0
	for _, f := range w.rows(p).Factors {
		if f.Kind == authn.WebAuthn && f.State == authn.Confirmed {
			n++
		}
	}
	if n != enroll.MaxSeveral {
		t.Errorf("%d passkeys", n)
	}
}

// cve-50, std-31: whoever has a factor proves it before another is added or removed.
func TestPasskeyNeedsTheFactor_std31_cve50(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	weak := w.signIn(p) // by the password, before there was an app
	p.Factor, p.Secret = w.AddApp(t, p.User)
	passkey := w.AddPasskey(t, p.User, w.Passkeys(t))
	for name, err := range map[string]error{
		"begin":  func() error { _, err := w.Enroll.Begin(t.Context(), weak, authn.WebAuthn, ""); return err }(),
		"remove": func() error { _, err := w.Enroll.Remove(t.Context(), weak, passkey); return err }(),
	} {
		if c := code(err); c != authn.StepUpRequired && c != authn.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A step-up by the password is none of theirs.
	if st, err := w.SignIn.StepUp(t.Context(), weak.Token, "", "", here); err == nil {
		_, err = w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, here), signin.Verify{Method: authn.Password, Answer: authn.Answer{Password: sallyporttest.Password}})
		if err == nil {
			t.Error("the password was enough")
		}
	}
	// In a sign-in that waits for the app nothing is set up.
	half := w.mustBegin(p, here)
	if _, err := w.Enroll.Begin(t.Context(), enroll.Who{Token: half.Token, Client: here}, authn.WebAuthn, ""); err == nil {
		t.Error("set up after the password alone")
	}
	strong := w.signIn(p)
	w.addsPasskey(strong, w.Passkeys(t))
}

// rul-18: what a code from an administrator opened is on probation.
func TestPasskeyOnProbation_rul18(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", true)
	help, _, err := w.Directory.BypassCode(t.Context(), w.Company, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	begun := w.mustBegin(p, here)
	if st, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(begun.Token, here), signin.Verify{Method: authn.BypassCode, Answer: authn.Answer{Code: help}}); err != nil || st.Attempt.State != authn.NeedEnrolment {
		t.Fatalf("%+v %v", st, err)
	}
	keys := w.Passkeys(t)
	who := enroll.Who{Token: begun.Token, Client: here}
	done := w.addsPasskey(who, keys)
	if !done.Factor.ProbationUntil.Equal(w.Clock.Now().Add(24 * time.Hour)) {
		t.Errorf("until %v", done.Factor.ProbationUntil)
	}
	in, err := w.byPasskey(keys)
	if err != nil || in.Session == nil {
		t.Fatalf("%+v %v", in, err)
	}
	fresh := enroll.Who{Token: in.SessionToken, Client: here}
	if _, err := w.Enroll.Remove(t.Context(), fresh, p.Factor); err == nil {
		t.Error("it removed the app")
	}
	if _, err := w.Enroll.Begin(t.Context(), fresh, authn.WebAuthn, ""); err == nil {
		t.Error("it added another")
	}
}

// Whoever removes a passkey can neither sign in by it, nor is asked for it.
func TestPasskeyRemoved_A6(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	keys, other := w.Passkeys(t), w.Passkeys(t)
	id := w.AddPasskey(t, p.User, keys)
	w.AddPasskey(t, p.User, other)
	st, err := w.byPasskey(other)
	if err != nil {
		t.Fatal(err)
	}
	q := w.AddUser(t, w.Company, "omar", false)
	theirs := w.AddPasskey(t, q.User, w.Passkeys(t))
	who := enroll.Who{Token: st.SessionToken, Client: here}
	if _, err := w.Enroll.Remove(t.Context(), who, theirs); code(err) != authn.NotFound {
		t.Errorf("another's: %v", err)
	}
	done, err := w.Enroll.Remove(t.Context(), who, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.byPasskey(keys); code(err) != authn.Invalid || authn.AsError(err).Fields[0].Key != "field.unknown_passkey" {
		t.Errorf("%v", err)
	}
	w.entersAs(other, p.ID)
	// The last one stays where policy demands a way.
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.Required })
	rows := w.rows(p)
	left := rows.FactorOf(authn.WebAuthn, authn.Confirmed)
	if _, err := w.Enroll.Remove(t.Context(), again(done), left.ID); code(err) != authn.PolicyForbids {
		t.Errorf("the last one: %v", err)
	}
	// What it was made with may be set up again.
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.On })
	keys.Forget(keys.Credentials()[0].ID)
	w.addsPasskey(again(done), keys)
	w.entersAs(keys, p.ID)
}
