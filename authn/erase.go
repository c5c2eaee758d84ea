package authn

import "time"

// Tombstone is what stays of a person who was erased (requirement K2).
type Tombstone struct {
	User string
	At   time.Time
	By   string // user, key or "operator"
}

// ErasedCompany is a company whose key was destroyed and whose rows are still
// being deleted.
type ErasedCompany struct {
	ID   string
	Slug string // free again once the rows are gone
	At   time.Time
}

// Held is everything that is stored about one person apart from the event log.
// Nothing in it opens anything: no secret, no hash, no token.
type Held struct {
	User       User
	Logins     []Login
	Factors    []Factor // also pending ones; with Destination
	Passwords  Count    // wrong passwords, of both lanes together; PausedUntil is the later one
	Sessions   []Session
	Attempts   []Attempt // not finished, or finished within the hour
	Browsers   int       // how many are known; only keyed hashes are stored
	Trusted    []Trust   // also those that are over
	Challenges []Challenge
	Links      []Link
	Keys       []APIKey
	Approvals  []Approval
	Letters    []Letter // that wait: Template, Channel, At and ExpiresAt
}
