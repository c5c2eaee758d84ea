package enroll_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
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
