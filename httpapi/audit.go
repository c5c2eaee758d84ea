package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// manager is whoever may do what a route of the administration asks for: a
// person in a session, or a program with a key.
type manager struct {
	company authn.Company
	user    authn.User // the person, or the key's owner
	who     directory.Who
	by      audit.By // who the log says it was
}

// keyPrefix tells a key from a session token. A key counts in the Authorization
// header only.
const keyPrefix = "sp_key_"

// allowed serves a route that takes a session or a key of somebody who has the
// permission, or the secret of an API account that has it. It is the only way to mount one.
func (a *API) allowed(p directory.Permission, f func(http.ResponseWriter, *http.Request, manager) error, params ...string) http.Handler {
	session := a.inSession(func(w http.ResponseWriter, r *http.Request, c caller) error {
		who := directory.Session(c.Token, c.client)
		if _, err := a.Directory.Check(r.Context(), who, p); err != nil {
			return err
		}
		return f(w, r, manager{c.Company, c.User, who, audit.By{Actor: c.User.ID, Client: c.client}})
	}, params...)
	key := a.byKey(p, func(w http.ResponseWriter, r *http.Request, k keyed) error {
		return f(w, r, manager{k.Company, k.Owner, k.who(), audit.By{Actor: k.Key.ID, Client: k.client}})
	}, params...)
	account := httpserve.JSON(func(w http.ResponseWriter, r *http.Request) error {
		c, who, err := a.program(r, p)
		if err != nil {
			return err
		}
		httpserve.Subject(r.Context(), c.Company.ID, c.Owner.ID)
		if err := checkQuery(r, params...); err != nil {
			return err
		}
		return f(w, r, manager{c.Company, c.Owner, who, audit.By{Actor: c.Owner.ID, Client: httpserve.ClientOf(r)}})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isBasic(r) {
			account.ServeHTTP(w, r)
			return
		}
		if value, bearer := a.Cookies.Credential(r); bearer && strings.HasPrefix(value, keyPrefix) {
			key.ServeHTTP(w, r)
			return
		}
		session.ServeHTTP(w, r)
	})
}

// readLimit is the size of a page.
func readLimit(r *http.Request) (int, error) {
	s, ok := r.URL.Query()["limit"]
	if !ok {
		return usualLimit, nil
	}
	n, err := strconv.Atoi(s[0])
	if err != nil || n < 1 || n > maxLimit || strconv.Itoa(n) != s[0] {
		return 0, authn.InvalidField("limit", "invalid", nil)
	}
	return n, nil
}
