package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Bounds of the roles that a company makes for itself.
const (
	MaxRoles     = 50
	maxRoleTitle = 60
	// CountHolders is how far the people are counted who hold a role.
	CountHolders = 1000
)

// RoleOf is a role as a company has it.
type RoleOf struct {
	Name        string
	Title       string // empty: a built-in one, which the catalogue names
	Permissions []Permission
	BuiltIn     bool
}

// RolesOf are the roles of a company: the built-in ones, most powerful first, then
// its own by name.
func RolesOf(c authn.Company) []RoleOf {
	var list []RoleOf
	for _, name := range Roles() {
		list = append(list, RoleOf{Name: name, Permissions: slices.Clone(builtIn[name]), BuiltIn: true})
	}
	for _, r := range c.Roles {
		permissions, _ := RolePermissions(c, r.Name)
		list = append(list, RoleOf{Name: r.Name, Title: r.Title, Permissions: permissions})
	}
	return list
}

// OwnersAlone reports whether only an owner can put a permission into a role.
func OwnersAlone(p Permission) bool {
	return slices.Contains(ownerClass, p) || slices.Contains(special, p)
}

// RoleChange is what a role of a company's own is to be.
type RoleChange struct {
	Name        string
	Title       string
	Permissions []string
	Version     int64  // of the company's roles that it was made from; 0: whichever
	Reason      string // for the log
}

// Holders counts the people who hold a role of the company's own, up to
// CountHolders+1.
//
// Errors: those of Check.
func (s *Service) Holders(ctx context.Context, w Who, role string) (int, error) {
	if _, err := s.Check(ctx, w, RolesWrite); err != nil {
		return 0, err
	}
	n, err := s.c.Store.RoleHolders(ctx, w.Company, role, CountHolders+1)
	if err != nil {
		return 0, fmt.Errorf("directory: holders: %w", err)
	}
	return n, nil
}

// SaveRole makes a role of the company's own, or changes one; what its holders may
// do changes at once. Nobody decides about a permission that they lack, nobody gives
// themselves one by way of a role that they hold, and what makes an owner is given by
// owners only (ruling 19).
//
// Errors: those of Act; Forbidden (error.forbidden.role_above, role_owner, role_own),
// Invalid (fields name, title, permissions), Conflict (error.roles_moved, error.role_held,
// error.too_many_roles).
func (s *Service) SaveRole(ctx context.Context, w Who, c RoleChange) (authn.Role, error) {
	role, err := c.read()
	if err != nil {
		return role, err
	}
	a := Act{Type: "role.saved", Permission: RolesWrite, Fresh: true, Reason: c.Reason}
	err = s.Act(ctx, w, a, func(rows *authn.Rows) (Done, error) {
		company := *rows.Company
		if c.Version != 0 && c.Version != company.RolesVersion {
			return Done{}, &authn.Error{Code: authn.Conflict, Key: "error.roles_moved"}
		}
		list, before, i := slices.Clone(company.Roles), authn.Role{}, indexOf(company.Roles, role.Name)
		var writes []authn.Write
		if i >= 0 {
			before, list[i] = list[i], role
			if len(before.Permissions) > 0 && len(role.Permissions) == 0 && !w.Actor.Operator {
				// Its holders would stop being administrators, whom nobody touches alone
				// (ruling 17). Taking the role from each of them waits for a second person.
				writes = append(writes, authn.NoHolders{Role: role.Name})
			}
		} else {
			if len(list) >= MaxRoles {
				return Done{}, &authn.Error{Code: authn.Conflict, Key: "error.too_many_roles"}
			}
			list = append(list, role)
			slices.SortFunc(list, func(a, b authn.Role) int { return strings.Compare(a.Name, b.Name) })
			// Who still has the name of a role that is gone would hold this one.
			writes = append(writes, authn.NoHolders{Role: role.Name})
		}
		if err := mayMake(w, rows, before, role); err != nil {
			return Done{}, err
		}
		return Done{Detail: map[string]string{"role": role.Name, "title": role.Title,
			"before": strings.Join(before.Permissions, " "), "after": strings.Join(role.Permissions, " ")},
			Writes: append(writes, authn.SetRoles{Roles: list, Version: company.RolesVersion + 1})}, nil
	})
	return role, err
}

// read wants the role's form to be right; the permissions get the order of the API.
func (c RoleChange) read() (authn.Role, error) {
	role := authn.Role{Name: c.Name, Permissions: []string{}}
	if !roleForm.MatchString(c.Name) {
		return role, authn.InvalidField("name", "role_name", nil)
	}
	if _, ok := builtIn[c.Name]; ok {
		return role, authn.InvalidField("name", "built_in", nil)
	}
	var err error
	if role.Title, err = authn.CleanName("title", c.Title, maxRoleTitle); err != nil {
		return role, err
	}
	for _, p := range c.Permissions {
		if !slices.Contains(Permissions(), Permission(p)) {
			return role, authn.InvalidField("permissions", "not_one_of", nil)
		}
	}
	for _, p := range Permissions() {
		if slices.Contains(c.Permissions, string(p)) {
			role.Permissions = append(role.Permissions, string(p))
		}
	}
	return role, nil
}

func indexOf(list []authn.Role, name string) int {
	return slices.IndexFunc(list, func(r authn.Role) bool { return r.Name == name })
}

// mayMake judges every permission that the role had or is to have: taking one away
// is a decision about people who hold more, too.
func mayMake(w Who, rows *authn.Rows, before, after authn.Role) error {
	if w.Actor.Operator {
		return nil
	}
	for _, name := range slices.Concat(before.Permissions, after.Permissions) {
		p := Permission(name)
		if err := mayGive(rows.By, p); err != nil {
			return err
		}
		if hasRole(*rows.By.User, after.Name) && !held(rows.By, p) {
			return forbidden("role_own")
		}
	}
	return nil
}

// mayGive says whether who acts may let somebody else hold a permission by a role.
func mayGive(by *authn.Rows, p Permission) error {
	switch {
	case OwnersAlone(p) && !inPerson(by, Owner):
		return forbidden("role_owner")
	case !mayHand(by, p):
		return forbidden("role_above")
	}
	return nil
}

// RemoveRole removes a role that nobody holds.
//
// Errors: those of SaveRole, NotFound.
func (s *Service) RemoveRole(ctx context.Context, w Who, name, reason string) error {
	a := Act{Type: "role.removed", Permission: RolesWrite, Fresh: true, Reason: reason}
	return s.Act(ctx, w, a, func(rows *authn.Rows) (Done, error) {
		company := *rows.Company
		i := indexOf(company.Roles, name)
		if i < 0 {
			return Done{}, authn.NotFound
		}
		was := company.Roles[i]
		if err := mayMake(w, rows, was, authn.Role{Name: name}); err != nil {
			return Done{}, err
		}
		return Done{Detail: map[string]string{"role": name, "title": was.Title, "before": strings.Join(was.Permissions, " ")},
			Writes: []authn.Write{authn.NoHolders{Role: name}, authn.SetRoles{Roles: slices.Delete(slices.Clone(company.Roles), i, i+1), Version: company.RolesVersion + 1}}}, nil
	})
}
