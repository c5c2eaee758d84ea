package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/method/bypass"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/duo"
	"github.com/sallyport-mfa/sallyport/method/password"
	"github.com/sallyport-mfa/sallyport/method/totp"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// kit is what methods makes: all of them, and those that do more than prove.
type kit struct {
	all       []authn.Method
	passwords *password.Method // judges and hashes new passwords
	saved     *backup.Method   // makes backup codes
	bypasses  *bypass.Method   // makes the codes that an operator gives
	duo       *duo.Method      // tries companies' applications of Duo; nil without a client
}

// reach is what the methods can reach.
type reach struct {
	mail  bool            // there is a mail server: codes by e-mail are a way
	texts bool            // the server has a provider of text messages, for all companies
	web   *http.Client    // guarded; nil: neither text messages nor Duo
	leaks password.Leaked // nil: no leaked passwords are known
	// passkeys are where passkeys count; without a URL they are not asked for.
	passkeys webauthn.Config
}

// methods are the kinds of proof that this program knows; a new one is a folder
// under method/ and a line here. All password hashes share one gate, so that they
// cannot use up the machine.
func methods(r reach) (kit, error) {
	pw, err := password.New(password.Config{Gate: throttle.NewGate(throttle.GateConfig{}), Leaked: r.leaks})
	if err != nil {
		return kit{}, fmt.Errorf("password: %w", err)
	}
	app, err := totp.New(totp.Config{})
	if err != nil {
		return kit{}, fmt.Errorf("totp: %w", err)
	}
	k := kit{passwords: pw, saved: backup.New(nil), bypasses: bypass.New(nil)}
	k.all = []authn.Method{pw, app, k.saved, k.bypasses}
	if r.mail {
		sent, err := code.New(authn.Email)
		if err != nil {
			return kit{}, fmt.Errorf("email: %w", err)
		}
		k.all = append(k.all, sent)
	}
	if r.passkeys.URL != "" {
		switch keys, err := webauthn.New(r.passkeys); {
		case err == nil:
			k.all = append(k.all, keys)
		case !errors.Is(err, webauthn.ErrHost): // where browsers have none, there are none
			return kit{}, fmt.Errorf("passkeys: %w", err)
		}
	}
	if r.web == nil {
		return k, nil
	}
	if k.duo, err = duo.New(duo.Config{HTTP: r.web}); err != nil {
		return kit{}, fmt.Errorf("duo: %w", err)
	}
	k.all = append(k.all, code.NewSMS(r.texts), k.duo)
	return k, nil
}
