package main

import (
	"fmt"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/method/bypass"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/password"
	"github.com/sallyport-mfa/sallyport/method/totp"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// kit is what methods makes: all of them, and those that do more than prove.
type kit struct {
	all       []authn.Method
	passwords *password.Method // judges and hashes new passwords
	saved     *backup.Method   // makes backup codes
	bypasses  *bypass.Method   // makes the codes that an operator gives
}

// methods are the kinds of proof that this program knows; a new one is a folder
// under method/ and a line here. All password hashes share one gate, so that they
// cannot use up the machine. Codes by e-mail are a way only where there is mail.
func methods(mail bool) (kit, error) {
	pw, err := password.New(password.Config{Gate: throttle.NewGate(throttle.GateConfig{})})
	if err != nil {
		return kit{}, fmt.Errorf("password: %w", err)
	}
	app, err := totp.New(totp.Config{})
	if err != nil {
		return kit{}, fmt.Errorf("totp: %w", err)
	}
	k := kit{passwords: pw, saved: backup.New(nil), bypasses: bypass.New(nil)}
	k.all = []authn.Method{pw, app, k.saved, k.bypasses}
	if mail {
		sent, err := code.New(authn.Email)
		if err != nil {
			return kit{}, fmt.Errorf("email: %w", err)
		}
		k.all = append(k.all, sent)
	}
	return k, nil
}
