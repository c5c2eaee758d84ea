package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

// verifiedByCaller is the value of first_factor of whoever checked the first step.
const verifiedByCaller = "verified_by_caller"

// EnterPath, with the token of an attempt behind it, is the page where a browser goes
// on with a sign-in that a program began.
const EnterPath = "/second-step/"

// returnTo reads where somebody is to be led: a path on this server, or an address of
// a key together with a nonce. Everything else is refused (std-59, cve-64).
func (a *API) returnTo(r *http.Request, company, to, nonce string) (string, error) {
	if to == "" || strings.HasPrefix(to, "/") {
		if nonce != "" {
			return "", authn.InvalidField("nonce", "unknown", nil)
		}
		return to, checkReturnTo(to)
	}
	if !authn.GoodReturnAddress(to) {
		return "", authn.InvalidField("return_to", "unknown_address", nil)
	}
	if !authn.GoodNonce(nonce) {
		return "", authn.InvalidField("nonce", "nonce", nil)
	}
	out := authn.Return{Address: to, Nonce: nonce}
	return out.String(), a.SignIn.Registered(r.Context(), company, out)
}

// leads is returnTo where the company is named by its slug.
func (a *API) leads(r *http.Request, slug, to, nonce string) (string, error) {
	if to == "" || strings.HasPrefix(to, "/") {
		return a.returnTo(r, "", to, nonce)
	}
	company, err := a.Directory.Company(r.Context(), slug)
	if err != nil {
		return "", ofSeveral(slug, err)
	}
	return a.returnTo(r, company.ID, to, nonce)
}

// result is what a program gets of the sign-in that it began, in place of a session.
type result struct {
	Handle    string    `json:"handle"`
	ExpiresAt time.Time `json:"expires_at"`
}

// takeBack says how a completed attempt gets to the application.
func (a *API) takeBack(r *http.Request, st signin.Status, out *attempt) {
	if st.Handle == nil && st.Session != nil {
		to, leaves := authn.ParseReturn(st.Attempt.ReturnTo)
		if !leaves {
			return
		}
		handed, err := a.SignIn.Return(r.Context(), st.SessionToken, to, httpserve.ClientOf(r))
		if err != nil { // the session stands; the key may be gone
			httpserve.Record(r, err)
			return
		}
		st.Handle = &handed
	}
	if h := st.Handle; h != nil {
		out.ReturnTo = h.To
		if h.Kind == authn.CallerHandle {
			out.Result = &result{Handle: h.Token, ExpiresAt: stamp(h.ExpiresAt)}
		}
	}
}

// beginning is POST /attempts: for anyone, with a password; or for a key, in place of one.
func (a *API) beginning() http.Handler {
	anyone := a.forAnyone(a.begin)
	program := a.byKey(directory.AttemptsAssert, a.assert)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if value, bearer := a.Cookies.Credential(r); bearer && strings.HasPrefix(value, keyPrefix) {
			program.ServeHTTP(w, r)
			return
		}
		anyone.ServeHTTP(w, r)
	})
}

// assert begins a sign-in whose first step the key has checked (ruling 22).
func (a *API) assert(w http.ResponseWriter, r *http.Request, by keyed) error {
	var in struct {
		User        string `json:"user" required:"true"`
		FirstFactor string `json:"first_factor" required:"true"`
		Purpose     string `json:"purpose"`
		Nonce       string `json:"nonce" required:"true"`
		ReturnTo    string `json:"return_to"`
		Address     string `json:"client_address"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	if in.FirstFactor != verifiedByCaller {
		return authn.InvalidField("first_factor", "not_one_of", nil)
	}
	if cmp.Or(in.Purpose, string(authn.SignIn)) != string(authn.SignIn) {
		return authn.InvalidField("purpose", "not_one_of", nil)
	}
	ask := signin.Assertion{Key: by.token, User: in.User, Nonce: in.Nonce, ReturnTo: in.ReturnTo, Enrol: by.Can(directory.AssertEnrol), Client: by.client}
	if in.Address != "" {
		if !by.Can(directory.AttemptsAddress) {
			return authn.Forbidden
		}
		address, err := netip.ParseAddr(in.Address)
		if err != nil || address.Zone() != "" {
			return authn.InvalidField("client_address", "address", nil)
		}
		ask.Address = address.Unmap()
	}
	st, err := a.SignIn.Assert(r.Context(), ask)
	if err != nil {
		return err
	}
	return a.begun(w, r, st, false)
}

// keyed is a program that shows its key.
type keyed struct {
	directory.KeyCaller
	token  authn.Token
	client authn.Client
}

func (k keyed) who() directory.Who { return directory.Program(k.token, k.client) }

// byKey serves a route that the key of a program opens which has the permission;
// empty: what it needs is the act's to say.
func (a *API) byKey(p directory.Permission, f func(http.ResponseWriter, *http.Request, keyed) error, params ...string) http.Handler {
	return httpserve.JSON(func(w http.ResponseWriter, r *http.Request) error {
		value, bearer := a.Cookies.Credential(r)
		if !bearer {
			return authn.Unauthenticated
		}
		client := httpserve.ClientOf(r)
		c, err := a.Directory.CheckKey(r.Context(), value, client, p)
		if err != nil {
			return err
		}
		httpserve.Subject(r.Context(), c.Company.ID, c.Owner.ID, c.Key.ID)
		if err := checkQuery(r, params...); err != nil {
			return err
		}
		t, _ := authn.ParseToken(authn.KeyToken, value) // CheckKey has read it
		return f(w, r, keyed{c, t, client})
	})
}

// redeemHandle is POST /handles/redeem.
func (a *API) redeemHandle(w http.ResponseWriter, r *http.Request, by keyed) error {
	var in struct {
		Handle string `json:"handle" required:"true"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	out, err := a.Directory.RedeemHandle(r.Context(), by.who(), in.Handle)
	if err != nil {
		return err
	}
	httpserve.Subject(r.Context(), out.User.ID)
	h := out.Handle
	return httpserve.WriteJSON(w, http.StatusOK, struct {
		ID          string           `json:"id"`
		Kind        authn.HandleKind `json:"kind"`
		User        userRef          `json:"user"`
		Nonce       string           `json:"nonce"`
		Session     string           `json:"session,omitempty"`
		Action      string           `json:"action,omitempty"`
		RequestHash string           `json:"request_hash,omitempty"`
		ACR         string           `json:"acr"`
		AMR         []string         `json:"amr"`
		AuthTime    time.Time        `json:"auth_time"`
	}{h.ID, h.Kind, userRef{ID: out.User.ID, Login: out.User.Login, Name: out.User.Name}, h.Nonce, out.Session.ID, h.Action, h.RequestHash, h.ACR,
		append([]string{}, h.AMR...), stamp(h.AuthTime)})
}

// changeReturn is Directory.AddReturnAddress or RemoveReturnAddress.
type changeReturn func(ctx context.Context, who directory.Who, key, address, reason string) (authn.APIKey, error)

// returnAddress is POST and DELETE /api-keys/{id}/return-addresses; done is the status
// of success. An address is no part of a path, so DELETE has a body, too.
func (a *API) returnAddress(done int, f changeReturn) func(http.ResponseWriter, *http.Request, manager) error {
	return func(w http.ResponseWriter, r *http.Request, m manager) error {
		var in struct {
			Address string `json:"address" required:"true"`
			Reason  string `json:"reason"`
		}
		if err := httpserve.Decode(r, &in); err != nil {
			return err
		}
		id, err := keyID(r)
		if err != nil {
			return err
		}
		k, err := f(r.Context(), m.who, id, in.Address, in.Reason)
		return a.writeKey(w, r, m, done, k, authn.Token{}, err)
	}
}
