package signin_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// counting counts what a refusal costs: hashes, and transactions with what they
// ask and write.
type counting struct {
	authn.Method
	signin.Store
	hashes int
	calls  []string
}

func (c *counting) Verify(ctx context.Context, r authn.Request, a authn.Answer) (authn.Match, error) {
	c.hashes++
	return c.Method.Verify(ctx, r, a)
}

func (c *counting) Decide(ctx context.Context, k authn.Keys, f func(*authn.Rows) authn.Verdict) error {
	i := len(c.calls)
	c.calls = append(c.calls, "")
	return c.Store.Decide(ctx, k, func(r *authn.Rows) authn.Verdict {
		v := f(r)
		c.calls[i] = fmt.Sprintf("%T, %d events, refusal %v", v.Writes(), len(v.Events()), v.Refusal())
		return v
	})
}

// inv-J, cve-62: a wrong password, a name that nobody has, a suspended person
// and someone without a password cost the same steps and get the same answer.
func TestRefusalsCostTheSame_invJ(t *testing.T) {
	w := newWorld(t)
	w.AddUser(t, w.Company, "maya", true)
	gone := w.AddUser(t, w.Company, "kwame", true)
	if err := w.Directory.SetStatus(t.Context(), w.Company, gone.ID, authn.Suspended); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "nopass"}); err != nil {
		t.Fatal(err)
	}
	pw, tp := sallyporttest.Methods(t, w.Clock)
	want := ""
	for _, tt := range []struct{ login, password string }{
		{"maya", "not the password"}, {"nobody", sallyporttest.Password}, {"kwame", sallyporttest.Password},
		{"nopass", sallyporttest.Password}, {"a\u200bb", sallyporttest.Password},
	} {
		c := &counting{Method: pw, Store: w.Store}
		s, err := signin.New(signin.Config{Store: c, Methods: []authn.Method{c, tp}, Now: w.Clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Begin(t.Context(), signin.Begin{Login: tt.login, Password: tt.password, Client: browser("x")})
		e := authn.AsError(err)
		got := fmt.Sprintf("%d hashes, %q, answer %s %s %v", c.hashes, c.calls, e.Code, e.TextKey(), e.Fields)
		if want == "" {
			want = got
		}
		if c.hashes != 1 || e.Code != authn.WrongCredentials || got != want {
			t.Errorf("%s:\n%s\nnot as a wrong password:\n%s", tt.login, got, want)
		}
	}
}
