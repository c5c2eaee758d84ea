package signin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// duoed is a company with Duo, and a person whose only way that is.
func duoed(t *testing.T) (world, sallyporttest.Person) {
	w := newWorld(t)
	w.UseDuo(t, w.Company).AddUser(sallyporttest.DuoUser{Username: "diego", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")},
		Passcodes: []string{"123456", "654321"}})
	p := w.AddUser(t, w.Company, "diego", false)
	w.AddDuo(t, p.User, "diego")
	return w, p
}

func opener(st signin.Status, c authn.Client) signin.Opener { return signin.OpenerOf(st.Token, c) }

// until waits for a state that the background brings about.
func (w world) until(o signin.Opener, want authn.State) signin.Status {
	w.t.Helper()
	var st signin.Status
	var err error
	for range 500 {
		if st, err = w.SignIn.Get(w.t.Context(), o); err != nil {
			w.t.Fatal(err)
		}
		if st.Need.State == want && (want != authn.NeedFactor || remote.Last(st.Sent, st.Need.Offers[0].Factor).Outcome != authn.Waiting) {
			return st
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("state is %s, want %s", st.Need.State, want)
	return st
}

func (w world) push() string {
	w.t.Helper()
	p := w.Duo.Pushes()
	if len(p) == 0 {
		w.t.Fatal("nothing was pushed")
	}
	return p[len(p)-1].TxID
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDuoPush_D3_rul14_rul33(t *testing.T) {
	w, p := duoed(t)
	b := browser("b")
	st := w.mustBegin(p, b)
	o := opener(st, b)
	if got := st.Need.Offers[0]; got.Kind != authn.Duo || len(w.Duo.Calls()) != 0 {
		t.Fatalf("%+v, Duo was asked %d times by looking", got, len(w.Duo.Calls()))
	}
	st, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", "")
	if err != nil || st.Need.State != authn.AwaitsService {
		t.Fatalf("%+v %v", st.Need, err)
	}
	if _, err := w.SignIn.Complete(t.Context(), o); code(err) != authn.Conflict {
		t.Errorf("completed before anybody answered: %v", err)
	}
	must(t, w.Duo.Approve(w.push()))
	w.until(o, authn.Ready)
	// Another browser has nothing of it.
	if _, err := w.SignIn.Complete(t.Context(), signin.Opener{Company: w.Company.ID, Attempt: st.Attempt.ID, Client: browser("thief")}); code(err) != authn.NotFound {
		t.Errorf("another browser: %v", err)
	}
	done, err := w.SignIn.Complete(t.Context(), o)
	if err != nil || done.Session == nil || done.Session.ACR != authn.AAL2 || strings.Join(done.Session.AMR, " ") != "pwd pop" {
		t.Fatalf("%+v %v", done.Session, err)
	}
	if _, err := w.SignIn.Complete(t.Context(), o); code(err) != authn.Conflict {
		t.Errorf("twice: %v", err)
	}
	if _, err := w.Sessions.Check(t.Context(), done.SessionToken.Reveal(), b); err != nil {
		t.Errorf("the session is dead at once: %v", err)
	}
}

func TestDuoRefusals_D3_D4(t *testing.T) {
	for reason, answer := range map[string]func(*sallyporttest.Duo, string) error{
		"denied": func(d *sallyporttest.Duo, id string) error { return d.Deny(id) },
		"fraud":  func(d *sallyporttest.Duo, id string) error { return d.Fraud(id) },
		"timeout": func(d *sallyporttest.Duo, id string) error {
			return d.TimeOut(id)
		},
		"locked_out": func(d *sallyporttest.Duo, id string) error { return d.LockOut(id) },
	} {
		t.Run(reason, func(t *testing.T) {
			w, p := duoed(t)
			b := browser("b")
			st := w.mustBegin(p, b)
			o := opener(st, b)
			if _, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", ""); err != nil {
				t.Fatal(err)
			}
			must(t, answer(w.Duo, w.push()))
			st = w.until(o, authn.NeedFactor)
			if d := remote.Read(*remote.Last(st.Sent, st.Need.Offers[0].Factor)); d.Reason != reason {
				t.Errorf("%+v", d)
			}
			if _, err := w.SignIn.Complete(t.Context(), o); code(err) != authn.Conflict {
				t.Errorf("completed: %v", err)
			}
			if !w.hasEvent(p, "factor.refused") {
				t.Error("no event")
			}
		})
	}
}

// What Duo says before it asks: none of it lets anybody in (ruling 33).
func TestDuoPreauth_rul33(t *testing.T) {
	for result, key := range map[string]string{"deny": "error.duo_denied", "enroll": "error.duo_enroll", "allow": "error.duo_allow"} {
		w, p := duoed(t)
		w.Duo.AddUser(sallyporttest.DuoUser{Username: "diego", Result: result})
		b := browser("b")
		o := opener(w.mustBegin(p, b), b)
		_, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", "")
		if e := authn.AsError(err); e.Code != authn.PolicyForbids || e.Key != key {
			t.Errorf("%s: %v", result, err)
		}
		st, err := w.SignIn.Get(t.Context(), o)
		if err != nil || st.Need.State != authn.NeedFactor {
			t.Errorf("%s: %+v %v", result, st.Need, err)
		}
	}
}

// Duo that is down lets nobody in, and costs nobody a try.
func TestDuoDown_D3_rul33(t *testing.T) {
	w, p := duoed(t)
	w.Duo.HTTP.Close()
	b := browser("b")
	o := opener(w.mustBegin(p, b), b)
	if _, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", ""); code(err) != authn.ProviderUnavailable {
		t.Errorf("push: %v", err)
	}
	if _, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.Duo, Answer: authn.Answer{Code: "123456"}}); code(err) != authn.ProviderUnavailable {
		t.Errorf("passcode: %v", err)
	}
	if n := w.counts(p, authn.Duo); n != 0 {
		t.Errorf("%d tries", n)
	}
}

func TestDuoPasscode_D3(t *testing.T) {
	w, p := duoed(t)
	b := browser("b")
	o := opener(w.mustBegin(p, b), b)
	verify := func(c string) (signin.Status, error) {
		return w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.Duo, Answer: authn.Answer{Code: c}})
	}
	if _, err := verify("abc"); code(err) != authn.Invalid || w.counts(p, authn.Duo) != 0 {
		t.Errorf("malformed: %v", err)
	}
	if _, err := verify("999999"); code(err) != authn.WrongCode || w.counts(p, authn.Duo) != 1 {
		t.Errorf("wrong: %v, %d tries", err, w.counts(p, authn.Duo))
	}
	done, err := verify("123 456")
	if err != nil || done.Session == nil || strings.Join(done.Session.AMR, " ") != "pwd otp" {
		t.Fatalf("%+v %v", done.Session, err)
	}
}

// A push is limited like a code, so that nobody is tired out.
func TestDuoPushesAreLimited_cve73(t *testing.T) {
	w, p := duoed(t)
	b := browser("b")
	o := opener(w.mustBegin(p, b), b)
	started := 0
	for range 10 {
		_, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", "")
		if err == nil {
			started++
		} else if code(err) != authn.TooManyRequests {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Second)
	}
	if started != 1 {
		t.Errorf("%d pushes in ten seconds", started)
	}
	for range 20 {
		w.Clock.Advance(40 * time.Second)
		if _, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", ""); err == nil {
			started++
		}
	}
	if started > policy.MaxSends {
		t.Errorf("%d pushes in one sign-in", started)
	}
}

// The ways are asked for by an act, and kept for the page.
func TestDuoOptions_D3(t *testing.T) {
	w, p := duoed(t)
	b := browser("b")
	o := opener(w.mustBegin(p, b), b)
	_, d, err := w.SignIn.Options(t.Context(), o, authn.Duo, "")
	if err != nil || len(d.Options) != 3 || !d.Code || d.Options[0].ID != "push:DP1" {
		t.Fatalf("%+v %v", d, err)
	}
	st, err := w.SignIn.Get(t.Context(), o)
	if err != nil || len(remote.Read(*remote.Last(st.Sent, st.Need.Offers[0].Factor)).Options) != 3 {
		t.Fatalf("%+v %v", st.Sent, err)
	}
	if _, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", "push:OTHER"); code(err) != authn.Invalid {
		t.Errorf("a device of somebody else: %v", err)
	}
	// Passcodes by text: no waiting, a field.
	w.Clock.Advance(time.Minute)
	st, err = w.SignIn.Start(t.Context(), o, authn.Duo, "", "sms:DP1")
	if err != nil || st.Need.State != authn.NeedFactor || remote.Last(st.Sent, st.Need.Offers[0].Factor).Outcome != authn.Passcode {
		t.Fatalf("%+v %v", st.Need, err)
	}
	texts := w.Duo.Texts()
	done, err := w.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.Duo, Answer: authn.Answer{Code: texts[0].Codes[0]}})
	if err != nil || done.Session == nil {
		t.Errorf("%v", err)
	}
}

// "Let in" counts only where the company said so, only at sign-in, and shows
// nothing that is held.
func TestDuoLetIn_rul33(t *testing.T) {
	w, p := duoed(t)
	w.Duo.AddUser(sallyporttest.DuoUser{Username: "diego", Result: "allow"})
	w.LetIn(t, w.Company)
	b := browser("b")
	o := opener(w.mustBegin(p, b), b)
	done, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", "")
	if err != nil || done.Session == nil || done.Session.ACR != authn.AAL1 || !done.Session.FactorTime.IsZero() {
		t.Fatalf("%+v %v", done, err)
	}
	up, err := w.SignIn.StepUp(t.Context(), done.SessionToken, "", "", b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.SignIn.Start(t.Context(), opener(up, b), authn.Duo, "", ""); authn.AsError(err).Key != "error.duo_allow" {
		t.Errorf("step-up: %v", err)
	}
}

// What changed the account meanwhile ends the sign-in, approved or not (ruling 3).
func TestDuoApprovalAfterChange_rul3(t *testing.T) {
	w, p := duoed(t)
	b := browser("b")
	o := opener(w.mustBegin(p, b), b)
	if _, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", ""); err != nil {
		t.Fatal(err)
	}
	must(t, w.Duo.Approve(w.push()))
	w.until(o, authn.Ready)
	w.put(p, func(u *authn.User) { u.Epoch++ })
	if _, err := w.SignIn.Complete(t.Context(), o); code(err) != authn.Expired {
		t.Errorf("%v", err)
	}
}

// After "this wasn't me" a further proof is asked for; being let in is none.
func TestDuoLetInAfterNotMe_rul33_rul35(t *testing.T) {
	w, p := duoed(t)
	w.Duo.AddUser(sallyporttest.DuoUser{Username: "diego", Result: "allow"})
	w.LetIn(t, w.Company)
	w.put(p, func(u *authn.User) { u.SecuredAt = w.Clock.Now() })
	b := browser("b")
	o := opener(w.mustBegin(p, b), b)
	if st, err := w.SignIn.Start(t.Context(), o, authn.Duo, "", ""); authn.AsError(err).Key != "error.duo_allow" {
		t.Errorf("%+v %v", st.Need, err)
	}
}

// Asking which ways there are has an end in every sign-in.
func TestDuoOptionsAreLimited_cve73(t *testing.T) {
	w, p := duoed(t)
	b := browser("b")
	o := opener(w.mustBegin(p, b), b)
	asked := 0
	for range 3 * remote.MaxAsks {
		if _, _, err := w.SignIn.Options(t.Context(), o, authn.Duo, ""); err == nil {
			asked++
		} else if code(err) != authn.TooManyRequests {
			t.Fatal(err)
		}
		w.Clock.Advance(3 * time.Second)
	}
	if asked != remote.MaxAsks {
		t.Errorf("asked %d times", asked)
	}
}
