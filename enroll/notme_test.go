package enroll_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// A way that was set up by whoever it was, and the backup codes that came with
// it, do not stay behind as the proof that the next sign-in asks for.
func TestNotMeTakesBackWhatWasSetUp(t *testing.T) {
	w := newWorld(t)
	p := w.AddUser(t, w.Company, "lena", false)
	who := w.confirmPassword(w.signIn(p))
	pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, "")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := otp.DecodeSecret(pend.Shown.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.Code(t, secret)}); err != nil {
		t.Fatal(err)
	}
	var link authn.Token
	for _, m := range w.Mail(t, p.Email) {
		if _, rest, ok := strings.Cut(m.Text, "/not-me/"); ok && link.IsZero() {
			link, _ = authn.ParseToken(authn.LinkToken, strings.Fields(rest)[0])
		}
	}
	w.Clock.Advance(time.Minute)
	if _, err := w.Enroll.Secure(t.Context(), link, authn.Client{}); err != nil {
		t.Fatal(err)
	}
	_, factors, err := w.Directory.Lookup(t.Context(), w.Company, "lena")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range factors {
		if f.Kind != authn.Password {
			t.Errorf("%s is left, %s", f.Kind, f.State)
		}
	}
}

// Whoever has the password and reads the mailbox does not get past an app by
// pressing the link in the notice of a new phone: what the link takes back is
// not made up for by a code to that same mailbox, unless it was the first way
// that the person ever had.
func TestNotMeIsNoWayRoundAnApp_rul2(t *testing.T) {
	for _, had := range []time.Duration{policy.NotMeLives, 365 * 24 * time.Hour, time.Hour} {
		w := newWorld(t)
		w.setPolicy(policy.Document{TwoFactor: policy.On})
		p := w.AddUser(t, w.Company, "lena", true)
		w.Clock.Advance(had)
		who := w.stepUp(w.signIn(p), p)
		pend, err := w.Enroll.Begin(t.Context(), who, authn.TOTP, p.Factor)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, 0, authn.Answer{Code: w.Code(t, w.secretOf(pend))}); err != nil {
			t.Fatal(err)
		}
		link := w.linkIn(p.Email, "/not-me/")
		w.Clock.Advance(time.Minute)
		if _, err := w.Enroll.Secure(t.Context(), link, authn.Client{}); err != nil {
			t.Fatal(err)
		}
		st, err := w.begin(p, sallyporttest.Password, authn.Client{Browser: "thief"})
		if err != nil {
			t.Fatal(err)
		}
		if stranded := st.Need.State == authn.Denied && st.Need.Denied == policy.Stranded; stranded != (had >= policy.NotMeLives) {
			t.Errorf("an app for %s, replaced and taken back: %+v", had, st.Need)
		}
	}
}

// A number that came with the event, or after it, gets no codes any more; one from
// before stays trusted.
func TestNotMeTakesTrustInNumbers_rul2_rul35(t *testing.T) {
	for name, after := range map[string]bool{"before": false, "with the event": true} {
		w := newWorld(t)
		p := w.AddUser(t, w.Company, "maya", false)
		number := directory.Phone{Typed: "+46701740605"}
		if err := w.Directory.SetPhone(t.Context(), w.Company, p.ID, number); err != nil {
			t.Fatal(err)
		}
		if !after {
			w.Mail(t, p.Email) // so that the newest letter is the one about the password
			w.Clock.Advance(time.Hour)
			if err := w.Directory.SetRequire(t.Context(), w.Company, p.ID, true); err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Hour)
			if err := w.Directory.SetPassword(t.Context(), w.Company, p.ID, "another long evening"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Enroll.Secure(t.Context(), w.linkIn(p.Email, "/not-me/"), authn.Client{}); err != nil {
			t.Fatal(err)
		}
		if u := w.rows(p).User; u.Phone == "" || u.PhoneTrustedAt.IsZero() != after {
			t.Errorf("%s: trusted at %v", name, u.PhoneTrustedAt)
		}
	}
}
