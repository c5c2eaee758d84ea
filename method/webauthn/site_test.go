package webauthn_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const origin = "https://login.example.com"

// site is a method with somebody who has an authenticator.
type site struct {
	t    *testing.T
	m    *webauthn.Method
	keys *sallyporttest.Passkeys
	user authn.User
	asks []byte // the company's demands
}

func newSite(t *testing.T, change ...func(*webauthn.Config)) *site {
	t.Helper()
	c := webauthn.Config{URL: origin}
	for _, f := range change {
		f(&c)
	}
	m, err := webauthn.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, m: m, keys: sallyporttest.NewPasskeys(t, origin), user: authn.User{ID: "usr_maya", Login: "maya", Name: "Maya Lind"}}
}

func (s *site) demand(d webauthn.Demands) {
	s.t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		s.t.Fatal(err)
	}
	s.asks = b
}

// offer asks for a new credential.
func (s *site) offer(own ...authn.Factor) authn.Question {
	s.t.Helper()
	q, err := s.m.Create(authn.Request{Company: authn.Company{Name: "Acme"}, User: s.user, Settings: s.asks}, own)
	if err != nil {
		s.t.Fatal(err)
	}
	return q
}

func challenges(qs ...authn.Question) []authn.Challenge {
	var list []authn.Challenge
	for _, q := range qs {
		list = append(list, authn.Challenge{Kind: authn.WebAuthn, Detail: q.Kept})
	}
	return list
}

// confirm is given an answer as callers give it: what has no shape is not looked at.
func (s *site) confirm(q authn.Question, credential []byte) (authn.Match, error) {
	if err := s.m.Shape(authn.Answer{Credential: credential}); err != nil {
		return authn.Match{}, err
	}
	return s.m.Confirm(s.t.Context(), authn.Request{User: s.user, Challenges: challenges(q)}, authn.Answer{Credential: credential})
}

func (s *site) makes(q authn.Question, change func(*sallyporttest.PasskeyAnswer)) []byte {
	s.t.Helper()
	b, err := s.keys.MakeWith(q.Options, change)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// has gives the person a credential, as it is kept.
func (s *site) has() authn.Request {
	s.t.Helper()
	q := s.offer()
	match, err := s.confirm(q, s.makes(q, nil))
	if err != nil || match.Outcome != authn.Right {
		s.t.Fatalf("not made: %+v %v", match, err)
	}
	f := authn.Factor{ID: "fac_1", User: s.user.ID, Kind: authn.WebAuthn, State: authn.Confirmed, Data: match.Data, LastStep: match.Step}
	return authn.Request{User: s.user, Factor: f, Secret: match.Made.Secret}
}

// ask asks for a proof by one of own, or, without, for a whole sign-in.
func (s *site) ask(own ...authn.Factor) authn.Question {
	s.t.Helper()
	q, err := s.m.Get(authn.Request{User: s.user}, own)
	if err != nil {
		s.t.Fatal(err)
	}
	return q
}

func (s *site) signs(q authn.Question, change func(*sallyporttest.PasskeyAnswer)) []byte {
	s.t.Helper()
	b, err := s.keys.SignWith(q.Options, change)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *site) verify(r authn.Request, q authn.Question, credential []byte) (authn.Match, error) {
	r.Challenges = challenges(q)
	if err := s.m.Shape(authn.Answer{Credential: credential}); err != nil {
		return authn.Match{}, err
	}
	return s.m.Verify(s.t.Context(), r, authn.Answer{Credential: credential})
}

// proves signs and verifies, which has to go well.
func (s *site) proves(r authn.Request, q authn.Question) authn.Match {
	s.t.Helper()
	match, err := s.verify(r, q, s.signs(q, nil))
	if err != nil || match.Outcome != authn.Right {
		s.t.Fatalf("what is right: %+v %v", match, err)
	}
	return match
}

// refused wants an answer that says nothing of why: wrong, or with a code.
func refused(t *testing.T, want authn.Code, match authn.Match, err error) {
	t.Helper()
	switch {
	case match.Outcome == authn.Right || match.Made != nil || match.Traits != nil || match.Data != nil:
		t.Errorf("accepted: %+v", match)
	case want == "" && err != nil, want != "" && authn.AsError(err).Code != want:
		t.Errorf("refused with %v; want %q", err, want)
	}
}

func half(b []byte) []byte { return b[:len(b)/2] }
func more(b []byte) []byte { return append(bytes.Clone(b), 0) }
func lastBit(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}
