// Package orchard is a program with users of its own that embeds Sallyport: its table
// says who people are and checks their passwords, and Sallyport does the rest: the
// second step, sessions, pages, rules and the log.
//
// The package names no database. Whoever starts it brings the store, so what is in
// here links no SQL driver and no vendor's code.
package orchard

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/password"
	"github.com/sallyport-mfa/sallyport/method/totp"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// New is the program. Letters go to send.
func New(ctx context.Context, store sallyport.Store, users *Table, send authn.Sender, address string) (http.Handler, *sallyport.Server, error) {
	// For the accounts of programs, and people whom Sallyport itself keeps.
	passwords, err := password.New(password.Config{Gate: throttle.NewGate(throttle.GateConfig{})})
	if err != nil {
		return nil, nil, err
	}
	app, err := totp.New(totp.Config{})
	if err != nil {
		return nil, nil, err
	}
	mail, err := code.New(authn.Email)
	if err != nil {
		return nil, nil, err
	}
	methods := []authn.Method{passwords, app, mail}
	// Browsers bind passkeys to the name in the address; for one of numbers there are none.
	switch keys, err := webauthn.New(webauthn.Config{URL: address}); {
	case err == nil:
		methods = append(methods, keys)
	case !errors.Is(err, webauthn.ErrHost):
		return nil, nil, err
	}
	srv, err := sallyport.New(sallyport.Config{
		Store: store, PublicURL: address, Home: "/harvest",
		Users: users, PasswordPage: "/new-password",
		Methods: methods, Passwords: passwords,
		Senders: map[authn.Kind]authn.Sender{authn.Email: send}, Digits: code.Digits,
	})
	if err != nil {
		return nil, nil, err
	}
	// The first time: one company, whose people verify with a second way.
	rules := policy.Default()
	rules.TwoFactor, rules.OwnWay, rules.SendAtOnce = policy.Required, nil, true
	_, err = srv.Directory.CreateCompanyWith(ctx, "orchard", "Orchard", rules)
	if err != nil && !errors.Is(err, authn.Conflict) {
		return nil, nil, err
	}

	mux := http.NewServeMux()
	mux.Handle("/", srv.Handler())
	mux.HandleFunc("GET /new-password", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Here the program changes passwords, and sends new ones to people who forgot theirs.")
	})
	mux.Handle("GET /harvest", srv.RequireSession(http.HandlerFunc(harvest)))
	return mux, srv, nil
}

func harvest(w http.ResponseWriter, r *http.Request) {
	u, _ := sallyport.UserFrom(r.Context())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>Harvest</title><p>The harvest of %s, who is %s in our table.</p>", html.EscapeString(u.Name), html.EscapeString(u.ExternalID))
}

// Listen is the host and port of an address such as http://localhost:9000.
func Listen(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	return u.Host, nil
}
