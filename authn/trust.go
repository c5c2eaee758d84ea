package authn

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Trust is a browser, or a program, in which its person is not asked for the second
// step for a while (decision 8). Its token changes at each use. The first half of
// the secret stays, and says which one it is: who shows it with another second half
// than the last one has a copy of what was used up, or made one.
type Trust struct {
	Company       string
	ID            string
	User          string
	Epoch         int64  // of the user at the beginning (ruling 3)
	PolicyVersion int64  // of the company at the beginning; see Company.TrustVersion
	Factor        string // that was proven at the beginning
	Agent         string // "Chrome on Windows"; of the last use
	Name          string // the person's own for it; empty: none
	CreatedAt     time.Time
	UsedAt        time.Time
	RotatedAt     time.Time // when the token became what it is
	ExpiresAt     time.Time
	// Shown is which of its tokens the keys of the decision have; elsewhere NoTrustToken.
	Shown TrustShown
}

// TrustShown is which token of a trusted browser was shown.
type TrustShown int

// The tokens of a trusted browser.
const (
	NoTrustToken       TrustShown = iota
	CurrentTrustToken             // the one that it has
	PreviousTrustToken            // the one before that
	OldTrustToken                 // an older one, or one that was made up from one of these
)

// TrustSeriesLen is how many bytes of the secret stay when the token changes.
const TrustSeriesLen = secretLen / 2

// Next is the token of a trusted browser that takes the place of t. It panics if
// random fails, as NewToken.
func (t Token) Next(random io.Reader) Token {
	t.Secret = slices.Clone(t.Secret)
	if _, err := io.ReadFull(random, t.Secret[TrustSeriesLen:]); err != nil {
		panic(fmt.Errorf("authn: no randomness: %w", err))
	}
	return t
}

type (
	// NewTrust makes the decision's browser one that the user trusts, openable by
	// Token. What they trusted in the same browser ends, and the oldest beyond a
	// number.
	NewTrust struct {
		Trust Trust
		Token Token
	}
	// RotateTrust gives the decision's trusted browser its next token, once: Conflict
	// if the one that was shown is not the current one any more. Agent and UsedAt are
	// those of Trust.
	RotateTrust struct {
		Trust Trust
		Token Token
	}
	// NameTrust gives a trusted browser of the user a name: Conflict if it is gone.
	NameTrust struct{ ID, Name string }
	// EndTrust ends a trusted browser of the user (empty: all), and the sessions that
	// rest on it and on nothing stronger, except the one of the decision.
	EndTrust struct{ ID string }
)
