package enroll_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
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

// std-32: what an administrator gives out, a link or a code, opens the set-up of a passkey
// on the person's own device, and needs nothing that they lost. What a code opened is on
// probation (rul-18); the export names the passkey and holds no key of it (K2).
func TestPasskeyOnOwnDevice_std32_rul18_K2(t *testing.T) {
	w := newWorld(t)
	w.setPolicy(policy.Document{TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}})
	given := map[string]func(sallyporttest.Person) signin.Status{
		"link": func(p sallyporttest.Person) signin.Status {
			g, err := w.Directory.Reinvite(t.Context(), w.Company, p.ID, false)
			if err != nil {
				t.Fatal(err)
			}
			st, err := w.SignIn.Accept(t.Context(), g.Token, "a harbour that nobody knows", "", here)
			if err != nil {
				t.Fatal(err)
			}
			return st
		},
		"code": func(p sallyporttest.Person) signin.Status {
			c, _, err := w.Directory.BypassCode(t.Context(), w.Company, p.ID)
			if err != nil {
				t.Fatal(err)
			}
			st := w.mustBegin(p, here)
			if _, err := w.verify(st, authn.BypassCode, c, here); err != nil {
				t.Fatal(err)
			}
			return st
		},
	}
	for by, opens := range given {
		p := w.AddUser(t, w.Company, "by-"+by, false)
		st := opens(p)
		who := enroll.Who{Token: st.Token, Client: here}
		pend, err := w.Enroll.Begin(t.Context(), who, authn.WebAuthn, "")
		if err != nil {
			t.Fatalf("%s: %v", by, err)
		}
		keys := w.Passkeys(t)
		made, err := keys.Make(pend.Options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Enroll.Confirm(t.Context(), who, pend.Factor.ID, pend.Version, authn.Answer{Credential: made}); err != nil {
			t.Fatalf("%s: %v", by, err)
		}
		done, err := w.SignIn.Complete(t.Context(), signin.OpenerOf(st.Token, here))
		if err != nil || done.Session == nil {
			t.Fatalf("%s: %+v %v", by, done.Need, err)
		}
		rows := w.rows(p)
		f := rows.Factor(pend.Factor.ID)
		if f == nil || f.State != authn.Confirmed || f.ProbationUntil.IsZero() != (by == "link") {
			t.Errorf("%s: %+v", by, f)
		}
		_, err = w.Enroll.Begin(t.Context(), enroll.Who{Token: done.SessionToken, Client: here}, authn.TOTP, "")
		if by == "code" && code(err) != authn.PolicyForbids || by == "link" && err != nil {
			t.Errorf("%s: something else at once: %v", by, err)
		}
		if by == "code" {
			continue // nor is anything exported
		}
		e, err := w.Directory.ExportOwn(t.Context(), done.SessionToken, here, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		var file strings.Builder
		if err := e.Write(t.Context(), &file); err != nil {
			t.Fatal(err)
		}
		if got := file.String(); !strings.Contains(got, `"method":"webauthn"`) && !strings.Contains(got, `"method": "webauthn"`) || !strings.Contains(got, "confirmed_at") || strings.Contains(got, "public") {
			t.Errorf("%s", got)
		}
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
