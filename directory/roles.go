package directory

import (
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Permission is one thing that a role may allow; the names are the API's.
type Permission string

// The permissions that exist.
const (
	UsersRead      Permission = "users.read"
	UsersWrite     Permission = "users.write"
	FactorsManage  Permission = "factors.manage"
	PolicyWrite    Permission = "policy.write"
	RolesWrite     Permission = "roles.write"
	KeysWrite      Permission = "keys.write"
	ProvidersWrite Permission = "providers.write"
	AuditRead      Permission = "audit.read"
	ReportsRead    Permission = "reports.read"
	BrandingWrite  Permission = "branding.write"
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
	Owner:         {UsersRead, UsersWrite, FactorsManage, PolicyWrite, RolesWrite, KeysWrite, ProvidersWrite, AuditRead, ReportsRead, BrandingWrite},
	Administrator: {UsersRead, UsersWrite, FactorsManage, AuditRead, ReportsRead, BrandingWrite},
	Helpdesk:      {UsersRead, FactorsManage},
	Member:        {},
}

// Roles are the names of the built-in roles, most powerful first.
func Roles() []string { return []string{Owner, Administrator, Helpdesk, Member} }

// Can reports whether a person holds a permission. It is the only place that
// asks; an unknown role holds nothing.
func Can(u authn.User, p Permission) bool {
	if u.Status != authn.Active {
		return false
	}
	for _, r := range u.Roles {
		if slices.Contains(builtIn[r], p) {
			return true
		}
	}
	return false
}
