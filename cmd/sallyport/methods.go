package main

import (
	"fmt"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/password"
	"github.com/sallyport-mfa/sallyport/method/totp"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// methods are the kinds of proof that this program knows; a new one is a folder
// under method/ and a line here. The password method also judges and hashes new
// passwords. All of them share one gate, so that hashes cannot use up the machine.
func methods() ([]authn.Method, *password.Method, error) {
	pw, err := password.New(password.Config{Gate: throttle.NewGate(throttle.GateConfig{})})
	if err != nil {
		return nil, nil, fmt.Errorf("password: %w", err)
	}
	app, err := totp.New(totp.Config{})
	if err != nil {
		return nil, nil, fmt.Errorf("totp: %w", err)
	}
	return []authn.Method{pw, app}, pw, nil
}
