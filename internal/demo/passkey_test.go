package demo

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// N1: somebody of the demo sets a passkey up, and signs in with it alone. The tour leads
// there under the name that browsers have passkeys for, also from the address of numbers.
func TestPasskey_N1(t *testing.T) {
	s := start(t, "")
	for _, host := range []string{s.url, strings.Replace(s.url, "localhost", "127.0.0.1", 1)} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/demo", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = strings.TrimPrefix(host, "http://")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if page := string(raw); !strings.Contains(page, `id="passkey"`) || !strings.Contains(page, `href="`+s.url+`/account/security/passkeys"`) {
			t.Errorf("%s: the tour leads to no passkey", host)
		}
	}
	token, _ := s.signIn(t, "maya")
	session, ok := authn.ParseToken(authn.SessionToken, token)
	if !ok {
		t.Fatal("no session")
	}
	keys, mine := sallyporttest.NewPasskeys(t, s.url), enroll.Who{Token: session}
	p, err := s.srv.Enroll.Begin(t.Context(), mine, authn.WebAuthn, "")
	if err != nil {
		t.Fatal(err)
	}
	made, err := keys.Make(p.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.srv.Enroll.Confirm(t.Context(), mine, p.Factor.ID, 0, authn.Answer{Credential: made}); err != nil {
		t.Fatal(err)
	}
	ask, err := s.srv.SignIn.Passkeys(t.Context(), companySlug, authn.Client{})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := keys.Sign(ask.Options)
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.srv.SignIn.BeginByPasskey(t.Context(), signin.ByPasskey{Company: companySlug, Credential: signed})
	if err != nil || st.Session == nil || st.Session.ACR != authn.AAL2 || st.User.Login != "maya" {
		t.Errorf("%+v %v", st, err)
	}
}

// Who cannot set one up is not led there.
func TestPasskey_notOffered(t *testing.T) {
	if page := startAs(t, "", "incident").page(t, "/demo", nil, http.StatusOK); strings.Contains(page, `id="passkey"`) {
		t.Error("the rules of this set-up have no passkeys, and the tour does")
	}
	d := &Demo{c: config(t, "")}
	if to, err := d.passkeys(t.Context()); to != "" || err != nil {
		t.Errorf("without the method: %q %v", to, err)
	}
}
