package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/client"
	"github.com/sallyport-mfa/sallyport/policy"
)

// A passkey from its set-up to its end: whole sign-in, second step, fresh proof.
func TestPasskeys_real_N1(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	keys := w.Passkeys(t)
	made := func(options json.RawMessage) json.RawMessage { return must[json.RawMessage](t)(keys.Make(options)) }
	signed := func(options json.RawMessage) json.RawMessage { return must[json.RawMessage](t)(keys.Sign(options)) }

	me := w.signIn(maya)
	f := must[*client.PendingFactor](t)(me.BeginFactor(t.Context(), client.NewFactor{Method: client.WebAuthn}))
	if f.Passkey == nil || !f.Passkey.ExpiresAt.Equal(w.Clock.Now().Add(5*time.Minute).Truncate(time.Second)) {
		t.Fatalf("%+v", f)
	}
	before := made(f.Passkey.Options)
	f = must[*client.PendingFactor](t)(me.SendAgain(t.Context(), f.ID))
	var e *client.Error
	if _, err := me.ConfirmPasskey(t.Context(), f.ID, before); !errors.As(err, &e) || e.Code != client.Expired || len(e.Fields) != 1 || e.Fields[0].Name != "credential" {
		t.Errorf("what was asked before: %v", err)
	}
	if _, err := me.ConfirmPasskey(t.Context(), f.ID, nil); !errors.Is(err, client.Invalid) {
		t.Error(err)
	}
	done := must[*client.Confirmed](t)(me.ConfirmPasskey(t.Context(), f.ID, made(f.Passkey.Options)))
	if p := done.Factor.Passkey; p == nil || p.Synced || !p.UserVerified || p.Attachment != "platform" {
		t.Fatalf("%+v", done.Factor)
	}
	me = w.c.As(done.Session.Token)

	ask := must[*client.PasskeyQuestion](t)(w.c.AskPasskey(t.Context(), "acme"))
	credential := signed(ask.Options)
	a := must[*client.Attempt](t)(w.c.BeginByPasskey(t.Context(), client.PasskeySignIn{Company: "acme", Credential: credential}))
	if a.State != client.StateComplete || a.Session.ACR != "aal2" {
		t.Fatalf("%+v", a)
	}
	if _, err := w.c.BeginByPasskey(t.Context(), client.PasskeySignIn{Company: "acme", Credential: credential}); !errors.Is(err, client.Expired) {
		t.Errorf("twice: %v", err)
	}

	a = w.begin(maya)
	sent := must[*client.Challenge](t)(w.c.Challenge(t.Context(), a, client.Ask{Method: client.WebAuthn}))
	if sent.Passkey == nil || sent.Options != nil {
		t.Fatalf("%+v", sent)
	}
	a = must[*client.Attempt](t)(w.c.Verify(t.Context(), a, client.Answer{Method: client.WebAuthn, Credential: signed(sent.Passkey)}))
	if a.State != client.StateComplete {
		t.Fatalf("%+v", a)
	}

	up := must[*client.Attempt](t)(me.StepUp(t.Context(), client.StepUp{}))
	sent = must[*client.Challenge](t)(w.c.Challenge(t.Context(), up, client.Ask{Method: client.WebAuthn}))
	up = must[*client.Attempt](t)(w.c.Verify(t.Context(), up, client.Answer{Method: client.WebAuthn, Credential: signed(sent.Passkey)}))
	me = w.c.As(up.Session.Token)
	if f := must[*client.Factor](t)(me.ChangeFactor(t.Context(), f.ID, client.FactorChange{Name: new("laptop")})); f.Name != "laptop" || f.LastUsedAt.IsZero() {
		t.Errorf("%+v", f)
	}
	if s := must[*client.Session](t)(me.RemoveFactor(t.Context(), f.ID)); s == nil {
		t.Error("no session")
	}
	ask = must[*client.PasskeyQuestion](t)(w.c.AskPasskey(t.Context(), "acme"))
	_, err := w.c.BeginByPasskey(t.Context(), client.PasskeySignIn{Company: "acme", Credential: signed(ask.Options)})
	if !errors.As(err, &e) || e.Code != client.Invalid || e.Fields[0].Code != "unknown" {
		t.Errorf("removed: %v", err)
	}
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.Methods = []authn.Kind{authn.TOTP} })
	if _, err := w.c.AskPasskey(t.Context(), "acme"); !errors.Is(err, client.PolicyForbids) {
		t.Errorf("not offered: %v", err)
	}
}

// A sign-in without a name or password, on pages of one's own.
func ExampleClient_BeginByPasskey() {
	server := standIn(map[string]string{
		"POST /api/v1/passkeys":        `200 {"options": {"challenge": "gjJbDQPKit3NWaCZoeDXzcGPZBBIPOyKaFRWtBNwIDM", "rpId": "login.example.com"}, "expires_at": "2026-11-21T09:19:10Z"}`,
		"POST /api/v1/passkeys/verify": `201 {"id": "att_1", "state": "complete", "session": {"id": "ses_1", "token": "sp_ses_1", "acr": "aal2", "amr": ["swk", "user"]}}`,
	})
	defer server.Close()
	ctx := context.Background()
	c, err := client.New(client.Config{BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	question, err := c.AskPasskey(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	credential := browser(question.Options) // your page: navigator.credentials.get, and toJSON() of what it gives
	attempt, err := c.BeginByPasskey(ctx, client.PasskeySignIn{Credential: credential})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(attempt.State, attempt.Session.ACR, attempt.Session.AMR)
	// Output: complete aal2 [swk user]
}

// browser stands for a page.
func browser(json.RawMessage) json.RawMessage { return json.RawMessage(`{"id": "…"}`) }
