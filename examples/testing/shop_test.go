package shop_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	shop "example.com/shop"
	"github.com/sallyport-mfa/sallyport/client"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func TestBilling(t *testing.T) {
	s := sallyporttest.Wire(t, shop.New)
	maya := s.SignedIn(t, s.AddUser(t, s.Company, "maya", true))
	form := url.Values{"card": {"•• 42"}}

	// Without a fresh proof she is asked for one, and nothing is changed.
	if where, _ := read(t)(maya.PostForm(s.URL+"/billing", form)); where != "/account/confirm" {
		t.Errorf("without a proof: %s", where)
	}
	maya.StepUp(t, "billing.change")
	if where, page := read(t)(maya.PostForm(s.URL+"/billing", form)); where != "/app" || !strings.Contains(page, "•• 42") {
		t.Errorf("with a proof: %s %s", where, page)
	}
	// A proof is good for ten minutes, and the session for longer.
	maya.StepUp(t, "billing.change")
	s.Clock.Advance(11 * time.Minute)
	if where, _ := read(t)(maya.PostForm(s.URL+"/billing", form)); where != "/account/confirm" {
		t.Errorf("with an old proof: %s", where)
	}
	if where, _ := read(t)(maya.Get(s.URL + "/app")); where != "/app" {
		t.Errorf("after the proof: %s", where)
	}
}

func TestPasskey(t *testing.T) {
	s := sallyporttest.Wire(t, shop.New)
	maya := s.AddUser(t, s.Company, "maya", true)
	api, err := client.New(client.Config{BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	phone := s.Passkeys(t) // in place of her browser and what it asks

	// She sets one up. Make is navigator.credentials.create of your page.
	me := api.As(client.NewSecret(s.SignedIn(t, maya).Token()))
	setUp, err := me.BeginFactor(t.Context(), client.NewFactor{Method: client.WebAuthn})
	if err != nil {
		t.Fatal(err)
	}
	made, err := phone.Make(setUp.Passkey.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := me.ConfirmPasskey(t.Context(), setUp.ID, made); err != nil {
		t.Fatal(err)
	}

	// She signs in by it, without a name or password. Sign is navigator.credentials.get.
	question, err := api.AskPasskey(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := phone.Sign(question.Options)
	if err != nil {
		t.Fatal(err)
	}
	attempt, err := api.BeginByPasskey(t.Context(), client.PasskeySignIn{Company: "acme", Credential: signed})
	if err != nil || attempt.State != client.StateComplete || attempt.Session.ACR != "aal2" {
		t.Fatalf("%+v %v", attempt, err)
	}
	// Whoever has the same answer once more gets nothing for it.
	if _, err := api.BeginByPasskey(t.Context(), client.PasskeySignIn{Company: "acme", Credential: signed}); !errors.Is(err, client.Expired) {
		t.Errorf("the second time: %v", err)
	}
}

func TestHome(t *testing.T) {
	s := sallyporttest.Wire(t, shop.New)
	if where, _ := read(t)(s.NewBrowser(t).Get(s.URL + "/app")); where != "/signin" {
		t.Errorf("a stranger: %s", where)
	}
}

// read is where a browser ended up, and the page that it shows.
func read(t *testing.T) func(*http.Response, error) (where, page string) {
	return func(resp *http.Response, err error) (string, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Request.URL.Path, string(body)
	}
}
