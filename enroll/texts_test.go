package enroll_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

const (
	mobile = "+46701740605"
	second = "+46701740606"
)

func (w world) texts() (n int) {
	for _, m := range w.Inbox.Messages() {
		if m.Channel == authn.SMS {
			n++
		}
	}
	return n
}

func TestFirstPhone_B1_B2(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	if _, err := w.Enroll.BeginPhone(t.Context(), who, "", mobile, ""); code(err) != authn.Invalid {
		t.Errorf("a company without texts: %v", err)
	}
	w.UseTexts(t, w.Company)
	pend, err := w.Enroll.BeginPhone(t.Context(), who, "", "070-174 06 05", "SE")
	if err != nil || pend.Address != mobile || pend.Shown.Account != "+46 70 174 06 05" || w.texts() != 1 {
		t.Fatalf("%+v %v", pend, err)
	}
	c := w.LastCode(t, mobile)
	// Reload shows the same and sends nothing.
	again, err := w.Enroll.Show(t.Context(), who, pend.Factor.ID)
	if err != nil || again.Address != mobile || len(again.Sent) != 1 || w.texts() != 1 {
		t.Errorf("%+v %v", again, err)
	}
	wrong := "111111"
	if wrong == c {
		wrong = "222222"
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: wrong}); code(err) != authn.WrongCode {
		t.Errorf("%v", err)
	}
	ch, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: c})
	if err != nil || ch.Session.ACR != authn.AAL2 || len(ch.Codes) == 0 && ch.Factor.State != authn.Confirmed {
		t.Fatalf("%+v %v", ch, err)
	}
	// B2: the number is nowhere in the profile.
	if u := w.rows(p).User; u.Phone != "" {
		t.Errorf("the number became the contact number: %q", u.Phone)
	}
	// It is asked for at the next sign-in.
	st := w.mustBegin(p, here)
	if o := st.Need.Offers[0]; o.Kind != authn.SMS || o.SentTo != "•• 05" {
		t.Errorf("%+v", st.Need.Offers)
	}
}

// A5 for numbers: the old one works until the new one is confirmed.
func TestNewPhone_A5_B1(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	p := w.AddUser(t, w.Company, "nadia", false)
	old := w.AddPhone(t, p.User, mobile)
	st := w.mustBegin(p, here)
	if _, _, err := w.SignIn.Challenge(t.Context(), signin.OpenerOf(st.Token, here), authn.SMS, ""); err != nil {
		t.Fatal(err)
	}
	st, err := w.SignIn.Verify(t.Context(), signin.OpenerOf(st.Token, here), signin.Verify{Method: authn.SMS, Answer: authn.Answer{Code: w.LastCode(t, mobile)}})
	if err != nil {
		t.Fatal(err)
	}
	who := enroll.Who{Token: st.SessionToken, Client: here}
	if _, err := w.Enroll.BeginPhone(t.Context(), who, "", second, ""); code(err) != authn.Conflict {
		t.Errorf("replaces what was not named: %v", err)
	}
	pend, err := w.Enroll.BeginPhone(t.Context(), who, old, second, "")
	if err != nil {
		t.Fatal(err)
	}
	if rows := w.rows(p); rows.FactorOf(authn.SMS, authn.Confirmed) == nil || rows.FactorOf(authn.SMS, authn.Confirmed).ID != old {
		t.Error("the old number is gone before the new one is confirmed")
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.LastCode(t, second)}); err != nil {
		t.Fatal(err)
	}
	if rows := w.rows(p); rows.FactorOf(authn.SMS, authn.Confirmed) == nil || rows.FactorOf(authn.SMS, authn.Confirmed).ID != pend.Factor.ID {
		t.Error("the old number is still there")
	}
}

func TestPhoneRefusals_B1_B5(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company, func(s *authn.TextSettings) { s.Countries = []string{"SE"} })
	other := w.AddUser(t, w.Company, "omar", false)
	w.AddPhone(t, other.User, second)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	for typed, want := range map[string]string{
		"":                  "required",
		"070-174 06 05":     "no_country",
		"+46 70 CALL ME":    "letters",
		"+46 8 123 456":     "not_mobile",
		"+46 939 123 45":    "premium",
		"+46 70":            "too_few",
		"+4670174060512345": "too_many",
	} {
		_, err := w.Enroll.BeginPhone(t.Context(), who, "", typed, "")
		var e *authn.Error
		if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Name != "phone" || e.Fields[0].Code != want && e.Fields[0].Code != "invalid" {
			t.Errorf("%q: %v, want %s", typed, err, want)
		}
	}
	for typed, want := range map[string]string{"+1 201 555 0123": "error.text_country", second: "error.factor_taken"} {
		_, err := w.Enroll.BeginPhone(t.Context(), who, "", typed, "")
		if e := authn.AsError(err); e.Key != want {
			t.Errorf("%q: %v, want %s", typed, err, want)
		}
	}
	if w.texts() != 0 {
		t.Errorf("%d texts were sent", w.texts())
	}
	if state, err := w.Providers.TextsOf(t.Context(), w.Company.ID); err != nil || state.Usage[0].N != 0 {
		t.Errorf("refused numbers cost something: %+v %v", state.Usage, err)
	}
	for _, f := range w.rows(p).Factors {
		if f.Kind == authn.SMS {
			t.Errorf("something was left behind: %+v", f)
		}
	}
}

// Duo: known there, confirmed by a push, and only then a way.
func TestDuo_D2_rul33(t *testing.T) {
	w := newWorld(t)
	w.UseDuo(t, w.Company).AddUser(sallyporttest.DuoUser{Username: "diego", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")}})
	p := w.AddUser(t, w.Company, "diego", false)
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.Duo, "")
	if err != nil || pend.Elsewhere {
		t.Fatalf("%+v %v", pend, err)
	}
	id := pend.Factor.ID
	if _, err := w.Enroll.Start(t.Context(), who, id, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, id, 0, authn.Answer{}); authn.AsError(err).Key != "error.duo_waiting" {
		t.Errorf("confirmed before anybody answered: %v", err)
	}
	if err := w.Duo.Approve(w.Duo.Pushes()[0].TxID); err != nil {
		t.Fatal(err)
	}
	w.approved(who, id)
	ch, err := w.Enroll.Confirm(t.Context(), who, id, 0, authn.Answer{})
	if err != nil || ch.Factor.State != authn.Confirmed || ch.Session.ACR != authn.AAL2 {
		t.Fatalf("%+v %v", ch, err)
	}
	// One Duo user belongs to one person.
	q := w.AddUser(t, w.Company, "omar", false)
	w.put(q, func(u *authn.User) { u.Login = "diego" })
	if _, err := w.Enroll.Begin(t.Context(), w.confirmPassword(w.signIn(q)), authn.Duo, ""); authn.AsError(err).Key != "error.factor_taken" {
		t.Errorf("somebody else's: %v", err)
	}
}

// approved waits until the background has written an approval down.
func (w world) approved(who enroll.Who, id string) {
	w.t.Helper()
	for range 500 {
		p, err := w.Enroll.Show(w.t.Context(), who, id)
		if err != nil {
			w.t.Fatal(err)
		}
		if remote.Approval(p.Sent, id) != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatal("it was never approved")
}

// A stranger to Duo is set up there first, and a passcode confirms too.
func TestDuoElsewhere_D2(t *testing.T) {
	w := newWorld(t)
	d := w.UseDuo(t, w.Company)
	p := w.AddUser(t, w.Company, "lena", false)
	w.setPolicy(policy.Document{TwoFactor: policy.On})
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.Duo, "")
	if err != nil || pend.Shown.Portal == "" {
		t.Fatalf("%+v %v", pend.Shown, err)
	}
	id := pend.Factor.ID
	if shown, err := w.Enroll.Show(t.Context(), who, id); err != nil || !shown.Elsewhere {
		t.Fatalf("%+v %v", shown, err)
	}
	if _, err := w.Enroll.Start(t.Context(), who, id, ""); authn.AsError(err).Key != "error.duo_enroll" {
		t.Errorf("a push to nobody: %v", err)
	}
	d.AddUser(sallyporttest.DuoUser{Username: "lena", Devices: []sallyporttest.DuoDevice{sallyporttest.DuoPhone("DP1")}, Passcodes: []string{"123456"}})
	if shown, err := w.Enroll.Show(t.Context(), who, id); err != nil || shown.Elsewhere {
		t.Fatalf("%+v %v", shown, err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, id, 0, authn.Answer{Code: "999999"}); code(err) != authn.WrongCode {
		t.Errorf("%v", err)
	}
	if ch, err := w.Enroll.Confirm(t.Context(), who, id, 0, authn.Answer{Code: "123456"}); err != nil || ch.Factor.State != authn.Confirmed {
		t.Errorf("%+v %v", ch, err)
	}
}

// What Duo lets in without asking is never set up by that (ruling 33).
func TestDuoAllowNeverEnrols_rul33(t *testing.T) {
	w := newWorld(t)
	w.UseDuo(t, w.Company).AddUser(sallyporttest.DuoUser{Username: "lena", Result: "allow"})
	w.LetIn(t, w.Company)
	p := w.AddUser(t, w.Company, "lena", false)
	_, err := w.Enroll.Begin(t.Context(), w.confirmPassword(w.signIn(p)), authn.Duo, "")
	if authn.AsError(err).Key != "error.duo_allow" {
		t.Errorf("%v", err)
	}
	for _, f := range w.rows(p).Factors {
		if f.Kind == authn.Duo {
			t.Errorf("%+v", f)
		}
	}
}
