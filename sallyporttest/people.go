package sallyporttest

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
)

// Password is the password of everybody that AddUser makes.
const Password = "a quiet harbour at dusk"

// Person is someone a test can be.
type Person struct {
	authn.User
	Password string         // empty: the constant
	App      *Authenticator // nil: none
	Secret   otp.Secret     // of the app
	Factor   string         // id of the app
}

// AddUser makes a person of a company with Password, a verified address
// ("maya@acme.example") and, if app, a confirmed authenticator app whose current code
// is not spent. Without roles they are a member; directory.Owner makes an owner.
func (s *Server) AddUser(t testing.TB, company authn.Company, login string, app bool, roles ...string) Person {
	t.Helper()
	u, err := s.Directory.CreateUser(context.Background(), company, directory.NewUser{
		Login: login, Name: "Test " + login, Email: login + "@" + company.Slug + ".example", Verified: true, Password: Password, Roles: roles,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := Person{User: u, Password: Password}
	if app {
		p.Factor, p.Secret = s.AddApp(t, u)
		p.App = &Authenticator{clock: s.Clock, key: otp.Key{Secret: p.Secret}}
	}
	return p
}

// AddKey makes a key with which a program acts for somebody: what it may do is what
// its scopes and their roles both allow, so that the owner of a useful one is usually
// an owner of the company. The token is what goes behind "Authorization: Bearer".
func (s *Server) AddKey(t testing.TB, owner Person, scopes ...string) string {
	t.Helper()
	_, token, err := s.Directory.CreateKey(context.Background(), directory.TheOperator(owner.Company),
		directory.NewKey{Name: "test " + rand.Text(), Owner: owner.ID, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// AddApplication makes a program of a company: an account, a role that may what the
// scopes say and nothing else, and a key with them, each called name. If address is
// not empty, people may be led back there with what the key exchanges.
func (s *Server) AddApplication(t testing.TB, company authn.Company, name, address string, scopes ...string) (authn.APIKey, authn.Token) {
	t.Helper()
	ctx, op := context.Background(), directory.TheOperator(company.ID)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Directory.SaveRole(ctx, op, directory.RoleChange{Name: name, Title: name, Permissions: scopes})
	must(err)
	company, err = s.Directory.Company(ctx, company.Slug) // with the role
	must(err)
	owner, err := s.Directory.CreateUser(ctx, company, directory.NewUser{Login: name, Roles: []string{name}})
	must(err)
	k, token, err := s.Directory.CreateKey(ctx, op, directory.NewKey{Name: name, Owner: owner.ID, Scopes: scopes})
	must(err)
	if address != "" {
		_, err = s.Directory.AddReturnAddress(ctx, op, k.ID, address, "of the test")
		must(err)
	}
	return k, token
}

// AddApp gives a person a confirmed authenticator app.
func (s *Server) AddApp(t testing.TB, u authn.User) (id string, secret otp.Secret) {
	t.Helper()
	secret, err := otp.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s.addFactor(t, u, authn.NewFactor{Factor: authn.Factor{Kind: authn.TOTP}, Secret: secret}), secret
}
