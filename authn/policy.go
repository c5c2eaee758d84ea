package authn

import "time"

// PolicyVersion is one version of a company's policy, as the history has it.
type PolicyVersion struct {
	Company  string
	Version  int64
	Document []byte // JSON
	At       time.Time
	Actor    string // who saved it, as in events; empty: from before there was a history
	Reason   string
	UndoOf   int64  // the version that it brought back; 0: none
	Summary  []byte // JSON: what the preview said of it; empty: there was none
}

// Person is somebody with all their factors, as a list of people has them.
type Person struct {
	User    User
	Factors []Factor
}

// Reminders is how far the people of a company were told of a policy that is to come.
type Reminders struct {
	Company string
	Rollout string // which one: of a digest of it; empty: nobody was ever told of anything
	Days    int    // before it begins; each number of days goes through everybody once
	After   string // id of the last person who was looked at; empty: none yet
	Done    bool   // everybody was
}
