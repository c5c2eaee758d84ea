package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// apiKey is the credential of a program. Token is there once, in the answer that
// makes it.
type apiKey struct {
	ID         string             `json:"id"`
	Name       string             `json:"name"`
	Owner      string             `json:"owner"`
	OwnerLogin string             `json:"owner_login"`
	MadeBy     string             `json:"made_by,omitempty"`
	Scopes     []string           `json:"scopes"`
	Effective  []string           `json:"effective_scopes"`
	Networks   []string           `json:"networks"`
	Unattended []string           `json:"unattended"`
	State      directory.KeyState `json:"state"`
	CreatedAt  time.Time          `json:"created_at"`
	ExpiresAt  time.Time          `json:"expires_at"`
	LastUsedAt *time.Time         `json:"last_used_at,omitempty"`
	UsedFrom   string             `json:"last_used_from,omitempty"`
	OldUntil   *time.Time         `json:"old_token_until,omitempty"`
	Returns    []string           `json:"return_addresses"`
	Token      string             `json:"token,omitempty"`
}

func (a *API) keyOf(k directory.KeyRow) apiKey {
	out := apiKey{ID: k.ID, Name: k.Name, Owner: k.User, OwnerLogin: k.Owner.Login, MadeBy: k.Maker, Scopes: k.Scopes, Effective: k.Effective,
		Networks: []string{}, Unattended: append([]string{}, k.Unattended...), State: k.State, CreatedAt: stamp(k.CreatedAt), ExpiresAt: stamp(k.ExpiresAt),
		LastUsedAt: maybe(k.LastUsedAt), UsedFrom: k.UsedFrom}
	out.Returns = []string{}
	for _, r := range k.Returns {
		out.Returns = append(out.Returns, r.Address)
	}
	for _, n := range k.Networks {
		out.Networks = append(out.Networks, n.String())
	}
	if k.OldUntil.After(a.Now()) {
		out.OldUntil = maybe(k.OldUntil)
	}
	return out
}

// apiKeys is GET /api-keys, oldest first.
func (a *API) apiKeys(w http.ResponseWriter, r *http.Request, m manager) error {
	limit, err := readLimit(r)
	if err != nil {
		return err
	}
	after := r.URL.Query().Get("cursor")
	if r.URL.Query().Has("cursor") && !authn.CheckID(authn.KeyID, after) {
		return authn.InvalidField("cursor", "invalid", nil)
	}
	list, err := a.Directory.APIKeys(r.Context(), m.who, after, limit)
	if err != nil {
		return err
	}
	out := page[apiKey]{Items: []apiKey{}}
	for _, k := range list {
		out.Items = append(out.Items, a.keyOf(k))
	}
	if len(list) == limit {
		out.Next = list[len(list)-1].ID
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// maxNumber keeps a number of days or hours from overflowing; what is possible is
// judged later. 0 is the usual.
const maxNumber = 10_000

func number(name string, n int) (int, error) {
	if n < 0 || n > maxNumber {
		return 0, authn.InvalidField(name, "out_of_range", nil)
	}
	return n, nil
}

// createAPIKey is POST /api-keys.
func (a *API) createAPIKey(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Name       string   `json:"name" required:"true"`
		Owner      string   `json:"owner"`
		Scopes     []string `json:"scopes" required:"true"`
		Networks   []string `json:"networks"`
		Unattended []string `json:"unattended"`
		Days       int      `json:"expires_in_days"`
		Reason     string   `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	life, err := number("expires_in_days", in.Days)
	if err != nil {
		return err
	}
	networks, err := directory.ParseNetworks(strings.Join(in.Networks, " "))
	if err != nil {
		return err
	}
	k, token, err := a.Directory.CreateKey(r.Context(), m.who, directory.NewKey{Name: in.Name, Owner: in.Owner, Scopes: in.Scopes, Networks: networks,
		Life: days(life), Unattended: in.Unattended, Reason: in.Reason})
	return a.writeKey(w, r, m, http.StatusCreated, k, token, err)
}

// writeKey answers with a key; it has a token only where one was made.
func (a *API) writeKey(w http.ResponseWriter, r *http.Request, m manager, status int, k authn.APIKey, token authn.Token, err error) error {
	if err != nil {
		return err
	}
	row, err := a.Directory.KeyRowOf(r.Context(), m.company, k)
	if err != nil {
		return err
	}
	out := a.keyOf(row)
	out.Token = token.Reveal()
	return httpserve.WriteJSON(w, status, out)
}

// keyID is the key that the path names. Names are for people.
func keyID(r *http.Request) (string, error) {
	if id := r.PathValue("id"); authn.CheckID(authn.KeyID, id) {
		return id, nil
	}
	return "", authn.NotFound
}

// renameAPIKey is PATCH /api-keys/{id}.
func (a *API) renameAPIKey(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Name   string `json:"name" required:"true"`
		Reason string `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	id, err := keyID(r)
	if err != nil {
		return err
	}
	k, err := a.Directory.RenameKey(r.Context(), m.who, id, in.Name, in.Reason)
	return a.writeKey(w, r, m, http.StatusOK, k, authn.Token{}, err)
}

// removeAPIKey is DELETE /api-keys/{id}.
func (a *API) removeAPIKey(w http.ResponseWriter, r *http.Request, m manager) error {
	id, err := keyID(r)
	if err != nil {
		return err
	}
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	if _, err := a.Directory.RemoveKey(r.Context(), m.who, id, reason); err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}

// rollAPIKey is POST /api-keys/{id}/roll.
func (a *API) rollAPIKey(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Hours  int    `json:"overlap_hours"`
		Days   int    `json:"expires_in_days"`
		Reason string `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	id, err := keyID(r)
	if err != nil {
		return err
	}
	hours, err := number("overlap_hours", in.Hours)
	if err != nil {
		return err
	}
	life, err := number("expires_in_days", in.Days)
	if err != nil {
		return err
	}
	k, token, err := a.Directory.RollKey(r.Context(), m.who, id, directory.Roll{Overlap: time.Duration(hours) * time.Hour, Life: days(life), Reason: in.Reason})
	return a.writeKey(w, r, m, http.StatusOK, k, token, err)
}
