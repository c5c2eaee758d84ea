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
	MadeBy     string // user, or "operator"; empty: made before that was noted
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt time.Time // to the minute; zero: never
	UsedFrom   string    // the network of the last use, /24 or /48; empty: not known
	OldUntil   time.Time // until when the token before the last roll works; zero: none does
	Told       int       // how many of the letters before its end were written
	// Old: it was opened by the token before the last roll.
	Old bool
	// OwnerUntil and OwnerNetworks bound the keys of an API account; zero: of a person.
	OwnerUntil    time.Time
	OwnerNetworks []netip.Prefix
	// Account: there is no key; an API account showed its own secret. It may do what
	// its role allows.
	Account bool
}

// APIAccount is what makes a user the account of a program (requirement H4).
type APIAccount struct {
	Company    string
	User       string
	Networks   []netip.Prefix // where it may be used from, sorted; empty: everywhere
	Owner      string         // id of the person who answers for it
	Reason     string
	ExpiresAt  time.Time
	CreatedAt  time.Time
	CreatedBy  string    // user, or "operator"
	LastUsedAt time.Time // to the minute; zero: never
	UsedFrom   string    // as of a key
	Told       int       // as of a key; ToldEnd: that it ended is written down too
}

// How many letters before the end of a key or an API account there are, and what
// Told is once the end itself was noted.
const (
	ToldTwice = 2
	ToldEnd   = 3
)

// AccountRef is an API account that has shown its secret, as it was then.
type AccountRef struct {
	Company string
	User    string
	Epoch   int64
}

// IsZero reports whether there is none.
func (a AccountRef) IsZero() bool { return a.User == "" }

type (
	// NewAPIKey stores a key of the user, openable by Token. Conflict if there is one
	// of that name, or too many.
	NewAPIKey struct {
		Key   APIKey
		Token Token
	}
	// PutAPIKey changes Name and Told of the key that was loaded.
	PutAPIKey struct{ Key APIKey }
	// RollAPIKey gives the key that was loaded another token and Key.ExpiresAt. The
	// token of now works until Key.OldUntil, or its own end if that is sooner.
	RollAPIKey struct {
		Key   APIKey
		Token Token
	}
	// EndAPIKey ends a key of the user.
	EndAPIKey struct{ ID string }
	// EndAPIKeys ends all keys of the user.
	EndAPIKeys struct{}
	// PutAPIAccount stores what makes the user an API account; PutUser says that it
	// is one.
	PutAPIAccount struct{ Account APIAccount }
	// EndAPIAccount forgets it.
	EndAPIAccount struct{}
	// NoHolders refuses all of it if somebody holds a role of that name: Conflict with
	// the key "error.role_held".
	NoHolders struct{ Role string }
)

func (NewAPIKey) write()     {}
func (PutAPIKey) write()     {}
func (RollAPIKey) write()    {}
func (EndAPIKey) write()     {}
func (EndAPIKeys) write()    {}
func (PutAPIAccount) write() {}
func (EndAPIAccount) write() {}
func (NoHolders) write()     {}
