package directory

import (
	"regexp"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Permission is one thing that a role may allow; the names are the API's.
type Permission string

// The permissions that exist.
const (
	UsersRead  Permission = "users.read"
	UsersWrite Permission = "users.write"
	// UsersIdentity is for what decides where codes go and by what name somebody signs
	// in: login, e-mail address and phone of others, and import (ruling 19).
	UsersIdentity  Permission = "users.identity"
	FactorsManage  Permission = "factors.manage"
	PolicyWrite    Permission = "policy.write"
	RolesWrite     Permission = "roles.write"
	KeysWrite      Permission = "keys.write"
	ProvidersWrite Permission = "providers.write"
	BrandingWrite  Permission = "branding.write"
	AuditRead      Permission = "audit.read"
	ReportsRead    Permission = "reports.read"
	// GrantsRedeem is for the program of an application that asks people to confirm
	// what they do there.
	GrantsRedeem Permission = "grants.redeem"
	// An application that checks passwords itself (ruling 22). No built-in role
	// holds these three.
	AttemptsAssert  Permission = "attempts.assert"
	AssertEnrol     Permission = "attempts.assert_enrol"
	AttemptsAddress Permission = "attempts.client_address"
)

// The built-in roles (requirement H5).
const (
	Owner         = "owner"
	Administrator = "administrator"
	Helpdesk      = "helpdesk"
	Member        = "member"
)

// builtIn says what each role may do. Owner-class permissions (ruling 19) are
// the owner's alone; the special permissions of ruling 22 are nobody's.
var builtIn = map[string][]Permission{
	Owner:         {UsersRead, UsersWrite, UsersIdentity, FactorsManage, PolicyWrite, RolesWrite, KeysWrite, ProvidersWrite, BrandingWrite, AuditRead, ReportsRead, GrantsRedeem},
	Administrator: {UsersRead, UsersWrite, FactorsManage, BrandingWrite, AuditRead, ReportsRead},
	Helpdesk:      {UsersRead, FactorsManage},
	Member:        {},
}

// special are the permissions of ruling 22, which only a role of a company's own
// can hold.
var special = []Permission{AttemptsAssert, AssertEnrol, AttemptsAddress}

// ownerClass are the permissions with which somebody can become anyone (ruling
// 19): a role of a company's own holds them only if its author is an owner.
var ownerClass = []Permission{UsersIdentity, PolicyWrite, RolesWrite, KeysWrite, ProvidersWrite}

// roleForm is the form of a role's name.
var roleForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// Roles are the names of the built-in roles, most powerful first.
func Roles() []string { return []string{Owner, Administrator, Helpdesk, Member} }

// Permissions are all that a role or the scope of a key can name, in the order of
// the API.
func Permissions() []Permission { return slices.Concat(builtIn[Owner], special) }

// RolePermissions are what a role of the company allows; false if there is none
// of that name.
func RolePermissions(c authn.Company, role string) ([]Permission, bool) {
	if list, ok := builtIn[role]; ok {
		return list, true
	}
	for _, r := range c.Roles {
		if r.Name == role {
			list := make([]Permission, 0, len(r.Permissions))
			for _, p := range r.Permissions {
				list = append(list, Permission(p))
			}
			return list, true
		}
	}
	return nil, false
}

// RolesWith are the names of the company's roles that allow p, built-in ones first.
func RolesWith(c authn.Company, p Permission) []string {
	var names []string
	for _, role := range Roles() {
		if slices.Contains(builtIn[role], p) {
			names = append(names, role)
		}
	}
	for _, r := range c.Roles {
		if slices.Contains(r.Permissions, string(p)) {
			names = append(names, r.Name)
		}
	}
	return names
}

// Can reports whether a person of the company holds a permission. It is the only
// place that asks; an unknown role holds nothing, and neither does somebody who
// is suspended.
func Can(c authn.Company, u authn.User, p Permission) bool {
	return u.Status == authn.Active && holds(c, u, p)
}

// holds is Can of somebody who may be suspended: whoever takes over a suspended
// owner has an owner's account once they are let in again (ruling 17).
func holds(c authn.Company, u authn.User, p Permission) bool {
	return slices.ContainsFunc(u.Roles, func(role string) bool {
		list, _ := RolePermissions(c, role)
		return slices.Contains(list, p)
	})
}

// Administrative reports whether a person holds any permission at all, suspended
// or not.
func Administrative(c authn.Company, u authn.User) bool {
	return slices.ContainsFunc(u.Roles, func(role string) bool {
		list, _ := RolePermissions(c, role)
		return len(list) > 0
	})
}
