package sallyport_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/signin"
)

// An application that has checked the password gets its second step by a passkey, too;
// an answer to such an attempt is worth nothing in another, and makes no session.
func TestVerifiedByCallerByPasskey_rul22_N1(t *testing.T) {
	s := newShop(t)
	_, key := s.application(s.Company, "app", "attempts.assert")
	keys := s.Passkeys(t)
	s.AddPasskey(t, s.maya.User, keys)
	c := authn.Client{}
	begin := func() (signin.Opener, authn.Answer) {
		st := s.assert(signin.Assertion{Key: key, User: "maya", Nonce: nonce})
		o := signin.OpenerOf(st.Token, c)
		_, sent, err := s.SignIn.Challenge(t.Context(), o, authn.WebAuthn, "")
		s.must(err)
		signed, err := keys.Sign(sent.Options)
		s.must(err)
		return o, authn.Answer{Credential: signed}
	}
	o, a := begin()
	other, _ := begin()
	if _, err := s.SignIn.Verify(t.Context(), other, signin.Verify{Method: authn.WebAuthn, Answer: a}); !errors.Is(err, authn.Expired) {
		t.Errorf("for another attempt: %v", err)
	}
	if _, err := s.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.WebAuthn, Answer: a, Trust: true}); !errors.Is(err, authn.PolicyForbids) {
		t.Errorf("a trusted browser: %v", err)
	}
	done, err := s.SignIn.Verify(t.Context(), o, signin.Verify{Method: authn.WebAuthn, Answer: a})
	if err != nil || done.Session != nil || done.Handle == nil {
		t.Fatalf("%+v %v", done, err)
	}
	got, err := s.exchange(key, done.Handle.Token)
	s.must(err)
	if got.Handle.ACR != authn.AAL2 || !slices.Equal(got.Handle.AMR, []string{"caller", "hwk", "user"}) || got.User.ID != s.maya.ID {
		t.Errorf("%+v", got)
	}
}
