package authn

import (
	"net/netip"
	"time"
)

// APIKey is the credential of a program: it acts for its owner, and may do at
// most what both its scopes and the owner's roles allow at the time of use
// (ruling 21).
type APIKey struct {
	Company  string
	ID       string
	User     string // its owner
	Name     string
	Scopes   []string       // names of permissions, sorted
	Networks []netip.Prefix // where it may be used from, sorted; empty: everywhere
	// Unattended are the types of acts that ask for a recent proof and that this key
	// may do without one, from its networks only (ruling 21). An owner says so.
	Unattended []string
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt time.Time // to the minute; zero: never
}
