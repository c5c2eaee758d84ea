package remote_test

import (
	"errors"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/remote"
)

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"refused":     &authn.Error{Code: authn.PolicyForbids, Key: "error.duo_denied"},
		"failed":      authn.InvalidField("option", "not_one_of", nil),
		"unavailable": errors.New("no route"),
	} {
		if got := remote.Reason(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestAsking(t *testing.T) {
	sent := []authn.Challenge{{Factor: "a", Outcome: authn.Waiting}, {Factor: "b", Outcome: authn.Waiting}, {Factor: "b", Outcome: authn.Refusal}, {Factor: "a"}}
	for factor, want := range map[string]bool{"a": true, "b": false, "c": false} {
		if got := remote.Asking(sent, factor); got != want {
			t.Errorf("%s: %v", factor, got)
		}
	}
}
