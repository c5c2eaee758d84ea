package authn

import "time"

// Reset is a password that somebody says they forgot. There is one for every name
// that is typed, whether or not it leads to somebody (ruling 6).
type Reset struct {
	Company     string
	ID          string
	User        string // empty: nobody, or nobody to whom a code is sent
	Lane        Lane
	State       ResetState
	Version     int64  // moves by one with every change; a stale form is never evaluated (ruling 49)
	Epoch       int64  // of the user when it was asked for
	Destination string // the address that the code went to, canonical; sealed in the row
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// ResetState is how far a reset has come.
type ResetState string

// The states of a reset. Each is reached once, in this order.
const (
	ResetSent   ResetState = "sent"   // a code is out, or nobody knows that none is
	ResetProven ResetState = "proven" // the code was right: a password may be chosen
	ResetUsed   ResetState = "used"
)

type (
	// NewReset stores a reset, openable by Token and, if the decision's Keys carried
	// one, by the browser cookie. It needs no user. The keys name a Login.
	NewReset struct {
		Reset Reset
		Token Token
	}
	// PutReset moves the decision's reset to its next version, once.
	PutReset struct {
		State     ResetState
		ExpiresAt time.Time
	}
	// EndResets drops the user's resets except the decision's own.
	EndResets struct{}
)

func (NewReset) write()  {}
func (PutReset) write()  {}
func (EndResets) write() {}
