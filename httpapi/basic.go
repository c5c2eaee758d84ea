package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

const (
	basicPrefix = "Basic "
	maxBasic    = 4096
)

// isBasic reports whether a request has one Authorization header, of that scheme.
func isBasic(r *http.Request) bool {
	auth := r.Header["Authorization"]
	return len(auth) == 1 && len(auth[0]) > len(basicPrefix) && strings.EqualFold(auth[0][:len(basicPrefix)], basicPrefix)
}

// program finds the API account that a request in Basic authentication is of: its
// login and secret, with the company and a slash before the login where the server
// has several. A browser sends what somebody typed with every request from then on,
// whoever made it: what a browser sends is refused.
func (a *API) program(r *http.Request, p directory.Permission) (directory.KeyCaller, directory.Who, error) {
	var none directory.KeyCaller
	login, secret, ok := r.BasicAuth()
	if !ok || len(r.Header["Authorization"][0]) > maxBasic || r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "" {
		return none, directory.Who{}, authn.Unauthenticated
	}
	company, name, found := strings.Cut(login, "/")
	if !found {
		company, name = "", login
	}
	client := httpserve.ClientOf(r)
	for range 2 {
		ref, err := a.SignIn.Account(r.Context(), signin.AccountSecret{Company: company, Login: name, Secret: secret, Client: client})
		if err != nil {
			return none, directory.Who{}, err
		}
		c, err := a.Directory.CheckAccount(r.Context(), ref, client, p)
		if err == nil {
			return c, directory.Account(ref, client), nil
		}
		if !errors.Is(err, authn.Conflict) {
			return none, directory.Who{}, err
		}
		a.SignIn.Forget(ref) // it was changed since the secret was right
	}
	return none, directory.Who{}, authn.Unauthenticated
}
