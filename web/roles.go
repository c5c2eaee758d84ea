package web

import (
	"net/http"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/session"
)

const rolesPath = "/admin/roles"

// rolesPage is the data of roles.html.
type rolesPage struct {
	Roles   []roleRow
	Form    *roleForm // nil: only the list
	Problem string
}

type roleRow struct {
	Name, Title string
	BuiltIn     bool
	May         []string
}

// roleForm is the form of one role.
type roleForm struct {
	Old                 string // its name; empty: a new one
	Version             int64
	Name, Title, Reason formLine
	Permissions         formLine
	Holders             string
	Free                bool // nobody holds it, so that it can be removed
}

var roleAct = directory.Act{Type: "role.saved", Permission: directory.RolesWrite, Fresh: true}

func (h *Handler) getRoles(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	if !r.URL.Query().Has("role") {
		return h.drawRoles(w, r, cur, who, nil, refusedForm{Status: http.StatusOK})
	}
	if err := h.c.Directory.Ready(r.Context(), who, roleAct); err != nil {
		return err // asked for now rather than when everything is chosen
	}
	change := directory.RoleChange{Name: r.URL.Query().Get("role"), Version: cur.Company.RolesVersion}
	if change.Name != "" {
		role, ok := ownRole(cur.Company, change.Name)
		if !ok {
			return authn.NotFound
		}
		change.Title, change.Permissions = role.Title, role.Permissions
	}
	return h.drawRoles(w, r, cur, who, &change, refusedForm{Status: http.StatusOK})
}

func ownRole(c authn.Company, name string) (authn.Role, bool) {
	for _, r := range c.Roles {
		if r.Name == name {
			return r, true
		}
	}
	return authn.Role{}, false
}

// drawRoles draws the list, and the form as change has it.
func (h *Handler) drawRoles(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who, change *directory.RoleChange, bad refusedForm) error {
	v := h.personal(r, cur)
	p := rolesPage{Problem: bad.Problem}
	for _, x := range directory.RolesOf(cur.Company) {
		row := roleRow{Name: x.Name, Title: x.Title, BuiltIn: x.BuiltIn}
		if x.BuiltIn {
			row.Title = v.T("role." + x.Name)
		}
		for _, may := range x.Permissions {
			row.May = append(row.May, v.T("permission."+string(may)))
		}
		p.Roles = append(p.Roles, row)
	}
	if change != nil {
		form, err := h.roleForm(r, v, cur, who, *change, bad)
		if err != nil {
			return err
		}
		p.Form = form
	}
	v.Section, v.Title, v.Data, v.Failed = "roles", v.T("admin.roles.title"), p, bad.Status >= http.StatusBadRequest
	return h.draw(w, bad.Status, "roles.html", v)
}

func (h *Handler) roleForm(r *http.Request, v *View, cur session.Current, who directory.Who, c directory.RoleChange, bad refusedForm) (*roleForm, error) {
	f := &roleForm{Version: c.Version,
		Name:        formLine{ID: "name", Label: v.T("admin.roles.name"), Hint: v.T("admin.roles.name_hint"), Value: c.Name, Err: bad.Errors["name"], Plain: true},
		Title:       formLine{ID: "title", Label: v.T("admin.roles.role_title"), Hint: v.T("admin.roles.title_hint"), Value: c.Title, Err: bad.Errors["title"]},
		Reason:      formLine{ID: "reason", Label: v.T("admin.reason"), Hint: v.T("admin.reason_hint"), Value: c.Reason, Err: bad.Errors["reason"]},
		Permissions: formLine{ID: "permissions", Label: v.T("admin.roles.may"), Hint: v.T("admin.roles.may_hint"), Err: bad.Errors["permissions"], Choices: v.permissionChoices(directory.Permissions(), c.Permissions)},
	}
	if _, ok := ownRole(cur.Company, c.Name); !ok || r.PostForm.Get("do") == "save" && r.PostForm.Get("old") == "" {
		return f, nil
	}
	f.Old = c.Name
	n, err := h.c.Directory.Holders(r.Context(), who, c.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case n == 0:
		f.Free, f.Holders = true, v.T("admin.roles.remove_text")
	case n > directory.CountHolders:
		f.Holders = v.T("admin.roles.held_many", "Count", directory.CountHolders)
	default:
		f.Holders = v.T("admin.roles.held", "Count", n)
	}
	return f, nil
}

func (h *Handler) postRoles(w http.ResponseWriter, r *http.Request, cur session.Current, who directory.Who) error {
	form := r.PostForm
	version, _ := strconv.ParseInt(form.Get("version"), 10, 64) // 0: whatever there is
	change := directory.RoleChange{Name: form.Get("name"), Title: form.Get("title"), Permissions: form["permissions"], Version: version, Reason: form.Get("reason")}
	done, err := "role_saved", error(nil)
	_, there := ownRole(cur.Company, change.Name)
	switch {
	case form.Get("do") == "remove":
		done, err = "role_removed", h.c.Directory.RemoveRole(r.Context(), who, change.Name, change.Reason)
	case form.Get("old") == "" && there: // a new one must not take the place of one that is there
		err = authn.InvalidField("name", "taken", nil)
	default:
		_, err = h.c.Directory.SaveRole(r.Context(), who, change)
	}
	if err == nil {
		return h.finish(w, rolesPath, done)
	}
	bad, ok := h.personal(r, cur).refusedForm(r, err)
	if !ok {
		return err
	}
	if bad.Problem != "" {
		change.Version = cur.Company.RolesVersion // what is there now is on the page
	}
	return h.drawRoles(w, r, cur, who, &change, bad)
}
