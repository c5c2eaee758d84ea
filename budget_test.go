package sallyport_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/store/postgres"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
)

// inv-K: a thousand people ask for a text at once, on one node or on two with
// pools of their own; neither messages nor money go beyond the budget by one, and
// what could be spent was.
func TestTextBudget_invK_rul13(t *testing.T) {
	keys, err := keyring.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("sqlite", func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "s.db"), Keyring: keys, Log: sallyporttest.Quiet(), Notice: notice.For})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		spendTexts(t, sallyporttest.Start(t, st))
	})
	t.Run("postgres, two nodes", func(t *testing.T) {
		dsn := sallyporttest.Postgres(t)
		var nodes []*sallyporttest.Server
		for range 2 {
			st, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, Keyring: keys, Log: sallyporttest.Quiet(), Notice: notice.For})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			nodes = append(nodes, sallyporttest.Start(t, st))
		}
		spendTexts(t, nodes...)
	})
}

func spendTexts(t *testing.T, nodes ...*sallyporttest.Server) {
	const people, most, money, price = 200, 150, 5000, 50 // the money is enough for 100
	first := nodes[0]
	first.UseTexts(t, first.Company, func(s *authn.TextSettings) { s.DayTexts, s.Currency, s.Price, s.DayMoney = most, "EUR", price, money })
	var all []signin.Opener
	for i := range people {
		name := fmt.Sprintf("p%03d", i)
		u, err := first.Directory.CreateUser(t.Context(), first.Company, directory.NewUser{Login: name, Name: name, Password: sallyporttest.Password})
		if err != nil {
			t.Fatal(err)
		}
		first.AddPhone(t, u, fmt.Sprintf("+467017%05d", i*7))
		c := authn.Client{Browser: "browser-" + name}
		st, err := first.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: name, Password: sallyporttest.Password, Client: c})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, signin.OpenerOf(st.Token, c))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	sent, refused := 0, 0
	for i := range 1000 {
		node, o := nodes[i%len(nodes)], all[i/len(nodes)%people]
		wg.Go(func() {
			_, _, err := node.SignIn.Challenge(context.Background(), o, authn.SMS, "")
			var b *authn.BudgetError
			mu.Lock()
			defer mu.Unlock()
			switch e := authn.AsError(err); {
			case err == nil:
				sent++
			case errors.As(err, &b):
				refused++
			case e.Code != authn.TooManyRequests && e.Code != authn.Conflict && e.Code != authn.Busy:
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	delivered := 0
	for _, n := range nodes {
		for _, m := range n.Inbox.Messages() {
			if m.Channel == authn.SMS {
				delivered++
			}
		}
	}
	state, err := first.Providers.TextsOf(t.Context(), first.Company.ID)
	if err != nil {
		t.Fatal(err)
	}
	if used := state.Usage[0]; used.N != money/price || used.Money != money || sent != used.N || delivered != sent || refused == 0 {
		t.Errorf("budget %d texts and %d, used %+v; %d sent, %d delivered, %d refused", most, money, used, sent, delivered, refused)
	}
}
