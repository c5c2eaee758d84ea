package httpapi

import (
	"net/http"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// role is a set of permissions under a name.
type role struct {
	Name        string                 `json:"name"`
	Title       string                 `json:"title"`
	BuiltIn     bool                   `json:"built_in"`
	Permissions []directory.Permission `json:"permissions"`
}

// permission is one thing that a role may allow, and what that means.
type permission struct {
	Name       directory.Permission `json:"name"`
	Text       string               `json:"text"`
	OwnersOnly bool                 `json:"owners_only"` // only an owner puts it into a role
}

// roleList is all there is, with the version that a change is made from.
type roleList struct {
	Version     int64        `json:"version"`
	Items       []role       `json:"items"`
	Permissions []permission `json:"permissions"`
}

// roles is GET /roles.
func (a *API) roles(w http.ResponseWriter, r *http.Request, m manager) error {
	lang := a.language(r, m.user)
	out := roleList{Version: m.company.RolesVersion, Items: []role{}, Permissions: []permission{}}
	for _, x := range directory.RolesOf(m.company) {
		out.Items = append(out.Items, a.roleOf(x, lang))
	}
	for _, p := range directory.Permissions() {
		out.Permissions = append(out.Permissions, permission{p, a.Texts.Text(lang, "permission."+string(p), nil), directory.OwnersAlone(p)})
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

func (a *API) roleOf(x directory.RoleOf, lang string) role {
	out := role{Name: x.Name, Title: x.Title, BuiltIn: x.BuiltIn, Permissions: x.Permissions}
	if x.BuiltIn {
		out.Title = a.Texts.Text(lang, "role."+x.Name, nil)
	}
	if out.Permissions == nil {
		out.Permissions = []directory.Permission{}
	}
	return out
}

// role is GET /roles/{name}.
func (a *API) role(w http.ResponseWriter, r *http.Request, m manager) error {
	for _, x := range directory.RolesOf(m.company) {
		if x.Name == r.PathValue("name") {
			return httpserve.WriteJSON(w, http.StatusOK, a.roleOf(x, a.language(r, m.user)))
		}
	}
	return authn.NotFound
}

// saveRole is PUT /roles/{name}.
func (a *API) saveRole(w http.ResponseWriter, r *http.Request, m manager) error {
	var in struct {
		Title       string   `json:"title" required:"true"`
		Permissions []string `json:"permissions" required:"true"`
		Version     int64    `json:"version"`
		Reason      string   `json:"reason"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	saved, err := a.Directory.SaveRole(r.Context(), m.who, directory.RoleChange{Name: r.PathValue("name"), Title: in.Title, Permissions: in.Permissions, Version: in.Version, Reason: in.Reason})
	if err != nil {
		return err
	}
	out := role{Name: saved.Name, Title: saved.Title, Permissions: []directory.Permission{}}
	for _, p := range saved.Permissions {
		out.Permissions = append(out.Permissions, directory.Permission(p))
	}
	return httpserve.WriteJSON(w, http.StatusOK, out)
}

// removeRole is DELETE /roles/{name}.
func (a *API) removeRole(w http.ResponseWriter, r *http.Request, m manager) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	if err := a.Directory.RemoveRole(r.Context(), m.who, r.PathValue("name"), reason); err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusNoContent, nil)
}
