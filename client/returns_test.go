package client_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/client"
)

// Rulings 22 and 57 with the client, against the real server.
func TestReturns_rul22_rul57(t *testing.T) {
	w := newWorld(t)
	boss := w.owner("boss")
	k, token := w.AddApplication(t, w.Company, "app", "", "attempts.assert", "grants.redeem")
	const backTo, nonce = "https://app.example.com/back", "n-0S6_WzA2Mj-of-16"
	if err := w.signIn(boss).AddReturnAddress(t.Context(), k.ID, backTo, "the application"); err != nil {
		t.Fatal(err)
	}
	program := w.c.As(client.NewSecret(token.Reveal()))
	a := must[*client.Attempt](t)(program.Assert(t.Context(), client.Assertion{User: "boss", Nonce: nonce, ReturnTo: backTo}))
	if a.State != client.StateNeedFactor || !strings.HasPrefix(a.URL, w.URL+"/second-step/") {
		t.Fatalf("%+v", a)
	}
	done := must[*client.Attempt](t)(w.c.Verify(t.Context(), a, w.code(boss)))
	if done.State != client.StateComplete || done.Session != nil || done.ReturnTo != backTo+"?handle="+done.Result.Handle.Reveal() {
		t.Fatalf("%+v", done)
	}
	got := must[*client.Returned](t)(program.RedeemHandle(t.Context(), done.Result.Handle))
	if got.Kind != "verified_by_caller" || got.User.ID != boss.ID || got.Nonce != nonce || got.ACR != "aal2" || got.AMR[0] != "caller" || got.Session != "" {
		t.Errorf("%+v", got)
	}
	if _, err := program.RedeemHandle(t.Context(), done.Result.Handle); !errors.Is(err, client.Conflict) {
		t.Errorf("twice: %v", err)
	}
	if err := w.signIn(boss).RemoveReturnAddress(t.Context(), k.ID, backTo, ""); err != nil {
		t.Error(err)
	}
	if _, err := program.Assert(t.Context(), client.Assertion{User: "boss", Nonce: nonce, ReturnTo: backTo}); !errors.Is(err, client.Invalid) {
		t.Errorf("removed: %v", err)
	}
}
