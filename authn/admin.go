package authn

import "time"

// Role is one that a company made for itself: a set of permissions under a name
// (requirement H5). The built-in ones are package directory's.
type Role struct {
	Name        string   `json:"name"`  // ^[a-z][a-z0-9-]{0,39}$; never that of a built-in one
	Title       string   `json:"title"` // as people read it
	Permissions []string `json:"permissions"`
}

// Actor is who acts, where that is not the user whom a decision is about. At most
// one field is set; none is nobody.
type Actor struct {
	Session  Token // of a person
	Key      Token // of a program
	Account  AccountRef
	Operator bool // holds the machine
}

// IsZero reports whether there is nobody.
func (a Actor) IsZero() bool {
	return a.Session.IsZero() && a.Key.IsZero() && a.Account.IsZero() && !a.Operator
}

// Company is the company that the actor's token is of; empty for the operator.
func (a Actor) Company() string {
	switch {
	case !a.Key.IsZero():
		return a.Key.Company
	case !a.Account.IsZero():
		return a.Account.Company
	}
	return a.Session.Company
}

// How long what an administrator wants to do with another one waits (rulings 17
// and 20).
const (
	// ApprovalLives is how long somebody else can agree to it, and also for how long
	// it then, or after the wait, can be done.
	ApprovalLives = 24 * time.Hour
	// CoolDown is the wait after which it can be done without anybody's word.
	CoolDown = 24 * time.Hour
)

// Approval is an act on somebody with administrative rights that waits: for a
// second person's word, or for the end of a day in which its target can stop it.
type Approval struct {
	Company    string
	ID         string
	Do         string            // the act's name
	Target     string            // user
	Requester  string            // user
	Hash       string            // of the act with all that it says: nothing else is approved
	Args       map[string]string // of the act; sealed in the row
	Reason     string            // sealed
	Epoch      int64             // of the target when it was asked for; another one ends it
	CreatedAt  time.Time
	NotBefore  time.Time // when it can be done without approval
	ExpiresAt  time.Time
	ApprovedBy string
	ApprovedAt time.Time
	// Approver is who approved, as they are when a decision loads the approval; nil:
	// nobody did, or the operator, or they are gone. Lists leave it out.
	Approver    *User
	CancelledBy string
	CancelledAt time.Time
	UsedAt      time.Time
}

// State is how the approval stands at now, in a word.
func (a Approval) State(now time.Time) string {
	switch {
	case !a.UsedAt.IsZero():
		return "done"
	case !a.CancelledAt.IsZero():
		return "cancelled"
	case !a.Open(now):
		return "over"
	case a.Ready(now):
		return "ready"
	}
	return "waiting"
}

// Open reports whether the approval still can come to something at now.
func (a Approval) Open(now time.Time) bool {
	return a.UsedAt.IsZero() && a.CancelledAt.IsZero() && now.Before(a.ExpiresAt)
}

// Ready reports whether the act can be done at now.
func (a Approval) Ready(now time.Time) bool {
	return a.Open(now) && (!a.ApprovedAt.IsZero() || !now.Before(a.NotBefore))
}
