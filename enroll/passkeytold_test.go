package enroll_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

// std-36: a letter says which of somebody's passkeys came or went.
func TestPasskeyLetters_std36(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	keys := w.Passkeys(t)
	who := w.signIn(maya)
	p, err := w.Enroll.Begin(t.Context(), who, authn.WebAuthn, "")
	if err != nil {
		t.Fatal(err)
	}
	made, err := keys.Make(p.Options)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := w.Enroll.Confirm(t.Context(), who, p.Factor.ID, p.Version, authn.Answer{Credential: made})
	if err != nil {
		t.Fatal(err)
	}
	who.Token = changed.Token
	if got := w.told(maya.Email, "A passkey was added"); strings.Contains(got, "Name:") {
		t.Errorf("its model is not known:\n%s", got)
	}
	if _, err := w.Enroll.Rename(t.Context(), who, p.Factor.ID, "Blue key"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enroll.Remove(t.Context(), who, p.Factor.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.told(maya.Email, "A passkey was removed"); !strings.Contains(got, "Name: Blue key") {
		t.Errorf("removed:\n%s", got)
	}
}

// told is the text of the newest message to an address that has a heading.
func (w world) told(to, heading string) string {
	w.t.Helper()
	for _, m := range slices.Backward(w.Mail(w.t, to)) {
		if strings.HasPrefix(m.Text, heading) {
			return m.Text
		}
	}
	w.t.Fatalf("%s was not told: %s", to, heading)
	return ""
}
