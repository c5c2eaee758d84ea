package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/grant"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/signin"
)

// GrantsPath, with the id of a company behind it, is the issuer of its signed
// grants; its keys are at that address and "/keys".
const GrantsPath = "/api/v1/grants/"

// GrantKeys are the keys that a company's signed grants are checked with; the store has it.
type GrantKeys interface {
	GrantKeys(ctx context.Context, company string, now time.Time) ([]authn.GrantPublicKey, error)
}

// issuedGrant is the proof for an action, in the answer that completes the step-up.
type issuedGrant struct {
	ID        string          `json:"id"`
	Kind      authn.GrantKind `json:"kind"`
	Token     string          `json:"token"`
	Action    string          `json:"action"`
	ExpiresAt time.Time       `json:"expires_at"`
}

func grantOf(g *signin.Issued) *issuedGrant {
	if g == nil || g.Token == "" {
		return nil
	}
	return &issuedGrant{ID: g.ID, Kind: g.Kind, Token: g.Token, Action: g.Action, ExpiresAt: stamp(g.ExpiresAt)}
}

// stepUp is POST /account/step-up.
func (a *API) stepUp(w http.ResponseWriter, r *http.Request, c caller) error {
	var in struct {
		Action      string          `json:"action"`
		RequestHash string          `json:"request_hash"`
		MaxAge      int             `json:"max_age"`
		Grant       authn.GrantKind `json:"grant"`
		ReturnTo    string          `json:"return_to"`
		Nonce       string          `json:"nonce"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	age, err := seconds("max_age", in.MaxAge)
	if err != nil {
		return err
	}
	if in.Action == "" && (in.RequestHash != "" || age != 0 || in.Grant != "") {
		return authn.InvalidField("action", "required", nil)
	}
	if in.Grant != "" && in.Grant != authn.OnlineGrant && in.Grant != authn.SignedGrant {
		return authn.InvalidField("grant", "not_one_of", nil)
	}
	if in.ReturnTo, err = a.returnTo(r, c.Company.ID, in.ReturnTo, in.Nonce); err != nil {
		return err
	}
	if c.cookie {
		// The attempt can then be opened by this browser, too.
		a.Cookies.EnsureBrowser(w, r)
	}
	var st signin.Status
	if in.Action == "" {
		st, err = a.SignIn.StepUp(r.Context(), c.Token, "", in.ReturnTo, httpserve.ClientOf(r))
	} else {
		st, err = a.SignIn.StepUpFor(r.Context(), c.Token, signin.For{Action: in.Action, RequestHash: in.RequestHash, MaxAge: age, Kind: in.Grant, ReturnTo: in.ReturnTo},
			httpserve.ClientOf(r))
	}
	if err != nil {
		return err
	}
	return a.begun(w, r, st, c.cookie)
}

// seconds is a time that a caller gives, up to a day; 0: not given.
func seconds(name string, n int) (time.Duration, error) {
	if n < 0 || n > 24*60*60 {
		return 0, authn.InvalidField(name, "out_of_range", nil)
	}
	return time.Duration(n) * time.Second, nil
}

// redeemGrant is POST /grants/redeem.
func (a *API) redeemGrant(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Token       string `json:"token" required:"true"`
		Action      string `json:"action" required:"true"`
		RequestHash string `json:"request_hash"`
		User        string `json:"user"`
		MaxAge      int    `json:"max_age"`
		ACR         string `json:"acr"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	age, err := seconds("max_age", in.MaxAge)
	if err != nil {
		return err
	}
	out, err := a.Directory.RedeemGrant(r.Context(), m.who, directory.Redeem{Token: in.Token, Action: in.Action, RequestHash: in.RequestHash, User: in.User, MaxAge: age, ACR: in.ACR})
	if err != nil {
		return err
	}
	httpserve.Subject(r.Context(), out.User.ID, out.Session.ID)
	g := out.Grant
	return httpserve.WriteJSON(w, http.StatusOK, struct {
		ID          string    `json:"id"`
		Action      string    `json:"action"`
		RequestHash string    `json:"request_hash,omitempty"`
		User        userRef   `json:"user"`
		Session     string    `json:"session"`
		ACR         string    `json:"acr"`
		AMR         []string  `json:"amr"`
		AuthTime    time.Time `json:"auth_time"`
	}{g.ID, g.Action, g.RequestHash, userRef{ID: out.User.ID, Login: out.User.Login, Name: out.User.Name}, out.Session.ID, g.ACR, append([]string{}, g.AMR...), stamp(g.MadeAt)})
}

// grantKeys is GET /grants/{company}/keys, a JWK set (RFC 7517). The next key is in
// it a day before it signs, so that an hour in a cache does no harm.
func (a *API) grantKeys(w http.ResponseWriter, r *http.Request) error {
	company := r.PathValue("company")
	if !authn.CheckID(authn.CompanyID, company) {
		return authn.NotFound
	}
	keys, err := a.GrantKeys.GrantKeys(r.Context(), company, a.Now())
	if err != nil {
		return err
	}
	set, ids := grant.Set{}, []string{}
	for _, k := range keys {
		set[k.ID], ids = k.Key, append(ids, k.ID)
	}
	body, err := grant.FormatSet(ids, set)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(body) // fails only if the client has gone
	return nil
}

// action is something that an application asks people to confirm.
type action struct {
	Name     string            `json:"name"`
	Title    string            `json:"title"`
	Titles   map[string]string `json:"titles"`
	Audience string            `json:"audience,omitempty"`
	BuiltIn  bool              `json:"built_in"`
}

func actionOf(x authn.Action, builtIn bool) action {
	out := action{Name: x.Name, Title: x.Title, Titles: x.Titles, Audience: x.Audience, BuiltIn: builtIn}
	if out.Titles == nil {
		out.Titles = map[string]string{}
	}
	return out
}

// actions is GET /actions: all there are, at most authn.MaxActions of the company.
func (a *API) actions(w http.ResponseWriter, r *http.Request, m manager) error {
	list, err := a.Directory.Actions(r.Context(), m.who)
	if err != nil {
		return err
	}
	out := page[action]{Items: []action{}}
	for _, x := range list {
		out.Items = append(out.Items, actionOf(x.Action, x.BuiltIn))
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// saveAction is PUT /actions/{name}.
func (a *API) saveAction(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Title    string            `json:"title" required:"true"`
		Titles   map[string]string `json:"titles"`
		Audience string            `json:"audience"`
		Reason   string            `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	saved, err := a.Directory.SaveAction(r.Context(), m.who, directory.ActionChange{Reason: in.Reason,
		Action: authn.Action{Name: r.PathValue("name"), Title: in.Title, Titles: in.Titles, Audience: in.Audience}})
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, actionOf(saved, false))
}

// removeAction is DELETE /actions/{name}.
func (a *API) removeAction(w http.ResponseWriter, r *http.Request, m manager) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	if err := a.Directory.RemoveAction(r.Context(), m.who, r.PathValue("name"), reason); err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}
