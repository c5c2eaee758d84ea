package sallyporttest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/client"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// A program that calls the JSON API, and a person who signs in step by step.
func Example() {
	inTest(func(t testing.TB) { // in your program: func TestSignIn(t *testing.T) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)

		api, err := client.New(client.Config{BaseURL: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		attempt, err := api.Begin(t.Context(), client.SignIn{Login: "maya", Password: client.NewSecret(maya.Password)})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(attempt.State)
		answer := client.Answer{Method: client.TOTP, Code: client.NewSecret(maya.App.Code())}
		if attempt, err = api.Verify(t.Context(), attempt, answer); err != nil {
			t.Fatal(err)
		}
		fmt.Println(attempt.State, attempt.Session.ACR)

		s.Clock.Advance(30 * 24 * time.Hour)
		_, err = api.As(attempt.Session.Token).Session(t.Context())
		fmt.Println(errors.Is(err, client.Unauthenticated))
	})
	// Output:
	// need_factor
	// complete aal2
	// true
}

// A host program with its own routes, and a person in a browser who confirms what
// they do.
func ExampleWire() {
	// In your program this is what main calls, too, with a Config of its own.
	shop := func(c sallyport.Config) (*sallyport.Server, http.Handler, error) {
		c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details"}}
		srv, err := sallyport.New(c)
		if err != nil {
			return nil, nil, err
		}
		mux := http.NewServeMux()
		mux.Handle("/", srv.Handler())
		mux.Handle("POST /billing", srv.RequireStepUp(10*time.Minute, "billing.change", http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "Saved.") })))
		return srv, mux, nil
	}

	inTest(func(t testing.TB) {
		s := sallyporttest.Wire(t, shop)
		maya := s.SignedIn(t, s.AddUser(t, s.Company, "maya", true))
		for range 2 {
			resp, err := maya.PostForm(s.URL+"/billing", url.Values{"card": {"•• 42"}})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			fmt.Println(resp.StatusCode, resp.Request.URL.Path)
			maya.StepUp(t, "billing.change")
		}
	})
	// Output:
	// 200 /account/confirm
	// 200 /billing
}

// Codes by e-mail and by text message.
func ExampleServer_LastCode() {
	inTest(func(t testing.TB) {
		s := sallyporttest.NewServer(t)
		s.SetTwoFactor(t, "acme", policy.Required)
		maya := s.AddUser(t, s.Company, "maya", false) // so that codes go to maya@acme.example

		api, attempt := begin(t, s, maya) // the password, as in the example of the package
		if _, err := api.Challenge(t.Context(), attempt, client.Ask{Method: client.Email}); err != nil {
			t.Fatal(err)
		}
		answer := client.Answer{Method: client.Email, Code: client.NewSecret(s.LastCode(t, maya.Email))}
		attempt, err := api.Verify(t.Context(), attempt, answer)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(attempt.State)
		for _, letter := range s.Mail(t, maya.Email) {
			fmt.Println(letter.Channel, letter.Code != "")
		}
	})
	// Output:
	// complete
	// email true
}

// Duo, with a person who says no at first.
func ExampleDuo() {
	inTest(func(t testing.TB) {
		s := sallyporttest.NewServer(t)
		duo := s.UseDuo(t, s.Company)
		maya := s.AddUser(t, s.Company, "maya", false)
		s.AddDuo(t, maya.User, "maya")

		api, attempt := begin(t, s, maya) // the password, as in the example of the package
		for _, press := range []func(testing.TB, string){duo.DenyPush, duo.ApprovePush} {
			if _, err := api.Challenge(t.Context(), attempt, client.Ask{Method: client.Duo, Option: "auto"}); err != nil {
				t.Fatal(err)
			}
			press(t, "maya")
			for { // your program asks like that, too, or its page does
				state, err := api.Attempt(t.Context(), attempt)
				if err != nil {
					t.Fatal(err)
				}
				if state.State != client.StateWaiting {
					fmt.Println(state.State)
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			s.Clock.Advance(time.Minute) // before it may be asked again
		}
	})
	// Output:
	// need_factor
	// ready
}

// An application that redeems a grant with its key.
func ExampleBrowser_Grant() {
	inTest(func(t testing.TB) {
		s := sallyporttest.NewServer(t, func(c *sallyport.Config) {
			c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details"}}
		})
		owner := s.AddUser(t, s.Company, "priya", true, directory.Owner)
		maya := s.SignedIn(t, s.AddUser(t, s.Company, "maya", true))
		hash := client.RequestHash([]byte("POST\n/billing\n•• 42"))
		grant := maya.Grant(t, "billing.change", hash)

		api, err := client.New(client.Config{BaseURL: s.URL, Token: client.NewSecret(s.AddKey(t, owner, "grants.redeem"))})
		if err != nil {
			t.Fatal(err)
		}
		redeem := client.Redemption{Token: client.NewSecret(grant), Action: "billing.change", RequestHash: hash}
		who, err := api.Redeem(t.Context(), redeem)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(who.ACR)
		_, err = api.Redeem(t.Context(), redeem)
		fmt.Println(errors.Is(err, client.Conflict))
	})
	// Output:
	// aal2
	// true
}

// A person who sets up their authenticator app through the program's own pages.
func ExampleNewAuthenticator() {
	inTest(func(t testing.TB) {
		s := sallyporttest.NewServer(t)
		maya := s.SignedIn(t, s.AddUser(t, s.Company, "maya", false))
		maya.StepUp(t, "") // setting up a way wants a recent proof; hers is the password
		api, err := client.New(client.Config{BaseURL: s.URL, Token: client.NewSecret(maya.Token())})
		if err != nil {
			t.Fatal(err)
		}
		pending, err := api.BeginFactor(t.Context(), client.NewFactor{Method: client.TOTP})
		if err != nil {
			t.Fatal(err)
		}
		app := sallyporttest.NewAuthenticator(t, s.Clock, pending.App.URI.Reveal()) // what the QR code says
		done, err := api.ConfirmFactor(t.Context(), pending.ID, client.NewSecret(app.Code()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(done.Factor.State, len(done.BackupCodes))
	})
	// Output: active 10
}

// Anything else that a browser does: Browser is an *http.Client.
func ExampleServer_SignedIn() {
	inTest(func(t testing.TB) {
		s := sallyporttest.NewServer(t)
		maya := s.SignedIn(t, s.AddUser(t, s.Company, "maya", true))
		resp, err := maya.Get(s.URL + "/api/v1/session")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		fmt.Println(resp.StatusCode, len(body) > 0, err)
	})
	// Output: 200 true <nil>
}

// A phone that makes a passkey, is asked to make it again, and signs in. In your tests
// the options come from your server, and the answers go back to it.
func ExamplePasskeys() {
	inTest(func(t testing.TB) {
		phone := sallyporttest.NewPasskeys(t, "https://login.example.com")
		phone.Synced, phone.BackedUp = true, true

		const options = `{"rp":{"id":"example.com","name":"Example"},"user":{"id":"MQ","name":"maya","displayName":"Maya"},
			"challenge":"c2FpZCBvbmNl","pubKeyCredParams":[{"type":"public-key","alg":-7}],
			"authenticatorSelection":{"residentKey":"required","userVerification":"required"},
			"excludeCredentials":[%s]}`
		var made struct{ ID, Type string }
		answer, err := phone.Make(fmt.Appendf(nil, options, ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(answer, &made); err != nil {
			t.Fatal(err)
		}
		fmt.Println(made.Type, "for", phone.Credentials()[0].UserName)

		_, err = phone.Make(fmt.Appendf(nil, options, `{"type":"public-key","id":"`+made.ID+`"}`))
		fmt.Println(err)

		request := json.RawMessage(`{"challenge":"c2FpZCBvbmNl","rpId":"example.com"}`)
		if _, err = phone.Sign(request); err != nil {
			t.Fatal(err)
		}
		// One that your server has to refuse: another page got it out of maya.
		_, err = phone.SignWith(request, func(a *sallyporttest.PasskeyAnswer) {
			a.ClientData.Origin = "https://login.example.net"
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	// Output:
	// public-key for maya
	// InvalidStateError: the authenticator has a key that excludeCredentials lists
}
