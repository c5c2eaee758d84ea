package authn

import (
	"slices"
	"time"
)

// Charge says which guess a decision pays for before it may look at a secret.
type Charge int

// What can be charged.
const (
	NoCharge       Charge = iota
	GuessPassword         // the password of Login or User; one count for all spellings of a person's name
	GuessFactor           // the factor that Keys.Choose or Keys.Factor names
	SettlePassword        // charges nothing: locks the count, so that an earlier GuessPassword can be settled
	SettleFactor          // the same for an earlier GuessFactor
	GuessReset            // a code of the reset that the keys name; one count for all of a name
)

// Keys names the rows that a decision needs. The store locks them in the order
// of the fields, so that no two decisions wait for each other in a circle.
// Everything is looked up inside Company.
type Keys struct {
	Company string
	Now     time.Time // the caller's clock; the store has none of its own

	// Login is a canonical name (see CanonicalLogin). It selects the user. With
	// GuessPassword an unknown one costs the same statements as a known one.
	Login string
	User  string
	// External is the id of a person in the host program's table, with the Login that
	// was typed: it selects the user, and Login only whose password count is settled,
	// as it was charged. Nobody is selected if the id is new; NewUser may then make the
	// user of User.
	External string

	// Credential is the id of one that a person's device signs with; it selects the user,
	// and Choose or Factor says which factor it is of.
	Credential []byte
	// Ask is the challenge of a whole sign-in by a credential, as it is answered; with
	// the Browser that asked it opens to Rows.Ask.
	Ask []byte

	// Attempt with what opens it: its token, or the browser cookie that began it.
	// An id alone opens nothing (ruling 47).
	Attempt      string
	AttemptToken Token
	// Session by its token; or by its id, for a user named in User. An attempt
	// that belongs to a session (a step-up) loads that session by itself.
	Session      string
	SessionToken Token
	// Became asks for the session that Attempt, a sign-in that is opened by its
	// browser, was completed with: it opens to Rows.SessionSecret.
	Became bool

	// Reset with what opens it: its token, or the browser cookie that began it. It
	// selects the user, if it is of one.
	Reset      string
	ResetToken Token
	// Resets asks for how many resets Login asked for lately (Rows.SentCodes and
	// Rows.ResetAt), whether or not it leads to somebody.
	Resets bool

	// Replaced asks for the links that can still bring a replaced address of the user
	// back (Rows.Replaced).
	Replaced bool

	// Link by its token. It selects the user, if nothing else does.
	LinkToken Token

	// Grant by its token, with the session that it belongs to. It selects the user.
	// Or, with GrantFor, that of the session for an action and of no request in
	// particular: one that was not used, if there is one.
	GrantToken Token
	GrantFor   string
	// HandleToken is of a handle, with the session that it belongs to. It selects the user.
	HandleToken Token
	// ReturnAddress asks for Rows.Return. An attempt that leads to one asks for it by itself.
	ReturnAddress string
	// Action asks for Rows.Action.
	Action string

	// Form is the step-up that a form was kept for; it asks for Rows.Form, of the
	// session in Browser. With TakeForm that is used up, once the step-up is complete.
	Form     string
	TakeForm bool

	// By is who acts on the user, where that is somebody else, or where the
	// decision is about no user. Whom it leads to is in Rows.By; the writes are
	// about the user all the same.
	By Actor
	// Act is the hash of an act of By that may be waiting; it asks for Rows.Approval.
	// With ApprovalID it is that one, whoever asked for it.
	Act        string
	ApprovalID string
	// APIKey is a key of the user; it asks for Rows.APIKey.
	APIKey string
	// Account asks for Rows.Account.
	Account bool
	// TrustToken is what a trusted browser of the user shows; it asks for Rows.Trust,
	// and opens and selects nothing by itself.
	TrustToken Token

	// Sent asks for the codes that were sent for the attempt (or, without one, for
	// set-up in the session), and for how many were sent lately.
	Sent bool

	Factor string
	Charge Charge
	// Choose, if not nil, is asked once the rows are locked and before anything
	// is charged. An error is answered as it is, and nothing is charged or
	// written: a stale, expired or malformed ask costs nobody a try. A name that
	// is not empty takes the place of Factor. Like the decision it is pure and
	// may run twice.
	Choose func(*Rows) (factor string, err error)
	// Browser is the value of the browser cookie. It chooses the lane: Known if
	// this person completed a sign-in in this browser before.
	Browser string
}

// Rows is what the store found. Pointers are nil where there is nothing, or
// nothing for whoever asks.
type Rows struct {
	Company *Company
	User    *User
	// With Keys.External: Named is whoever has the name Login, User or somebody else;
	// Gone says that the id was of somebody who was erased.
	Named   *User
	Gone    bool
	Attempt *Attempt
	Session *Session
	// Ask is the question that Keys.Ask answers; nil: there was none, or it was answered
	// already, or is over.
	Ask *Ask
	// SessionSecret is of the token of the session that Attempt becomes, the same each
	// time; only for a sign-in that is opened by its browser.
	SessionSecret []byte
	Factors       []Factor // all of User, password included, oldest first; no secrets
	Lane          Lane
	Link          *Link // also one that is used or over: its holder may know
	Reset         *Reset
	// Replaced, with Keys.Replaced, are the links that can still bring an address back
	// which the user had, opened: Args["email"] is that address.
	Replaced []Link
	ResetAt  time.Time // of the last reset that was asked for, with Keys.Resets; zero: none lately
	// Challenges are the unexpired codes that were sent, oldest first, with
	// Keys.Sent only; SentCodes counts all of the person and lane.
	Challenges []Challenge
	SentCodes  SentCodes
	// SentBefore are those of the same that are over, oldest first: they still
	// count for when another one may be sent.
	SentBefore []Challenge
	// BrowserFactor is the factor that was used last in this browser.
	BrowserFactor string
	// By is what Keys.By leads to: Company, User, Factors and Session or Key of who
	// acts; nil: nobody, or the operator.
	By *Rows
	// Key is the key of a program that acts; only in By.
	Key      *APIKey
	Approval *Approval // also one that is over
	// APIKey is the key of the user that Keys.APIKey names; Account is there if the
	// user is an API account.
	APIKey  *APIKey
	Account *APIAccount
	Grant   *Grant  // also one that was used or is over
	Handle  *Handle // also one that was used or is over
	Return  *ReturnAddress
	Action  *Action // of the company
	// Form is the one that Keys.Form names: not over, of this sign-in and browser.
	Form *Form
	// GrantKey is there where the attempt asks for a signed grant.
	GrantKey *GrantKey
	// Trust is the trusted browser of the user that Keys.TrustToken is of, also one
	// that is over; TrustToken is that.
	Trust      *Trust
	TrustToken Token
	Charged    *Charged // nil if Keys.Charge is NoCharge
}

// Factor is the user's factor of that id, or nil.
func (r *Rows) Factor(id string) *Factor {
	for i := range r.Factors {
		if r.Factors[i].ID == id {
			return &r.Factors[i]
		}
	}
	return nil
}

// FactorOf is the user's factor of that kind and state, or nil.
func (r *Rows) FactorOf(k Kind, s FactorState) *Factor {
	for i := range r.Factors {
		if r.Factors[i].Kind == k && r.Factors[i].State == s {
			return &r.Factors[i]
		}
	}
	return nil
}

// Charged is the outcome of the statement that charges. Secret is there only
// if Paid: an unpaid guess cannot be evaluated, because there is nothing to
// evaluate it with. With SettlePassword and SettleFactor it carries the count only.
type Charged struct {
	Paid   bool
	Count  Count   // after charging, or as it stands if not paid
	Locked bool    // not paid because the lane's share is used up
	Factor *Factor // nil for an unknown login
	Secret []byte  // opened; nil for an unknown login
	// For a factor whose codes are sent: those that are out, with their seeds.
	Challenges []Challenge
	Codes      []SavedCode // for backup codes, by number
}

// Verdict is what a decision came to. It can be made only by Accept, Refuse
// and Continue, so that a change without its audit event does not compile.
type Verdict struct {
	refusal error
	event   *Event
	more    []Event
	writes  []Write
}

// Accept writes everything, with its event.
func Accept(ev Event, writes ...Write) Verdict { return Verdict{event: &ev, writes: writes} }

// Refuse answers err and still commits what was charged, the writes and the event.
func Refuse(err error, ev Event, writes ...Write) Verdict {
	return Verdict{refusal: err, event: &ev, writes: writes}
}

// Continue is the first half of a check that is too slow for the writer (a
// password hash, an outside service): the charge commits, and the second half
// writes the event. It is also for what is no security event, such as "seen".
func Continue(writes ...Write) Verdict { return Verdict{writes: writes} }

// Drop refuses without an event: malformed, unknown or unpaid asks, which
// anyone can cause at any rate (ruling 6). What was charged stays charged,
// unless a Settle among the writes says otherwise.
func Drop(err error, writes ...Write) Verdict { return Verdict{refusal: err, writes: writes} }

// And adds a further event.
func (v Verdict) And(ev Event) Verdict { v.more = append(v.more, ev); return v }

// With adds further changes, after those that are there.
func (v Verdict) With(writes ...Write) Verdict {
	v.writes = append(slices.Clip(v.writes), writes...)
	return v
}

// Refusal is the error to answer after the commit, or nil.
func (v Verdict) Refusal() error { return v.refusal }

// Writes are the changes, in order.
func (v Verdict) Writes() []Write { return v.writes }

// Events are the audit events, in order.
func (v Verdict) Events() []Event {
	if v.event == nil {
		return v.more
	}
	return append([]Event{*v.event}, v.more...)
}

// Write is one change; the types below are all there are. Each is bound to the
// company of the Keys, and to the rows that were locked for the decision.
type Write interface{ write() }

// Outcome is how a charged guess ended.
type Outcome int

// The outcomes.
const (
	Wrong Outcome = iota // the charge stands; PausedUntil is stored
	Right                // the lane's run ends: tries and pause are cleared
	Void                 // the charge is given back (right but used; ruling 44)
)

type (
	// Settle ends a charge. PausedUntil is stored with Wrong and Void. With Right
	// and Step > 0 the store also moves the factor's last step forward, only ever
	// to a larger one.
	Settle struct {
		Outcome     Outcome
		PausedUntil time.Time
		Step        int64
	}
	// NewAttempt stores an attempt, openable by Token and, if the decision's
	// Keys carried one, by the browser cookie.
	NewAttempt struct {
		Attempt Attempt
		Token   Token
	}
	// PutAttempt moves the attempt from Version-1 to Version, once.
	PutAttempt struct{ Attempt Attempt }
	// NewSession stores a session, openable by Token.
	NewSession struct {
		Session Session
		Token   Token
	}
	// PutSession changes LastSeenAt, FactorTime, ConfirmedAt and Name.
	PutSession struct{ Session Session }
	// EndSession signs out one session of the user.
	EndSession struct{ ID string }
	// EndSessions signs the user out everywhere except in the session Except
	// (empty: everywhere).
	EndSessions struct{ Except string }
	// EndAttempts drops the user's unfinished attempts except Except (empty: all).
	EndAttempts struct{ Except string }
	// KnowBrowser makes the decision's browser one of the user's own (ruling 47).
	// Factor, if not empty, is what was used in it.
	// With Known it only notes the factor, if the browser is the user's own already.
	KnowBrowser struct {
		Factor string
		Known  bool
	}
	// ForgetBrowsers makes strangers of all the user's browsers but the
	// decision's, and ends their trust; with All, of that one too.
	ForgetBrowsers struct{ All bool }
	// NewFactor stores a factor with its secret, sealed. A pending one replaces
	// the user's other pending factor of that kind.
	NewFactor struct {
		Factor Factor
		Secret []byte
		// Subject is what no two people of the company have active at once (see Shown);
		// only its keyed hash is stored. Conflict with the key "error.factor_taken" if
		// somebody else has it, here and whenever the factor becomes active.
		Subject string
	}
	// ActivateFactor turns the pending factor ID into the active one; an active
	// one of the same kind is deleted in the same transaction (A5).
	ActivateFactor struct {
		ID   string
		At   time.Time
		Step int64 // of the confirming code: it does not also sign in (ruling 11)
		// ProbationUntil: set up with a bypass code; zero: not.
		ProbationUntil time.Time
		Round          int // Factor.Round from now on
	}
	// ConfirmAgain makes the active factor ID count again in a round that policy has
	// allowed its kind again (ruling 2); nothing, if it does already.
	ConfirmAgain struct {
		ID    string
		Round int
		At    time.Time
	}
	// MoveInvited moves the place up to which people were invited whom a policy
	// strands; Conflict if it is not at From any more. Days is not looked at.
	MoveInvited struct{ From, To Reminders }
	// PutFactor changes Name, State and Data.
	PutFactor struct{ Factor Factor }
	// DeleteFactor removes a factor and its secret.
	DeleteFactor struct{ ID string }
	// DropSecret forgets what a factor's row still shows (backup codes, once saved).
	DropSecret struct{ ID string }
	// NewCodes stores the backup codes of the factor, each sealed.
	NewCodes struct {
		Factor string
		Codes  []SavedCode
	}
	// SpendCode uses one backup code, once (ruling 14).
	SpendCode struct {
		Factor string
		N      int
	}
	// NewChallenge stores a code that is about to be sent.
	NewChallenge struct{ Challenge Challenge }
	// PutOutside writes down what an outside service said: Outcome, Detail and
	// ExpiresAt of a challenge that still has the outcome From. Conflict otherwise.
	PutOutside struct {
		Challenge Challenge
		From      Outside
	}
	// SpendBudget pays for one message, before a provider is called. Nothing is paid
	// and nothing else written if one of them is used up: TooManyRequests with the
	// key "error.message_budget", RetryAfter and a *BudgetError (inv-K). The budgets
	// of a verdict are changed before everything else.
	SpendBudget struct{ Of []Spending }
	// NoteBudget adds to what was counted, without a limit: Good answers where the
	// window was counted in at all, or else, with Good 0, one message and its Money.
	NoteBudget struct{ Of []Spending }
	// NewAsk stores the question of a whole sign-in by a credential, for Keys.Browser.
	// Busy, with RetryAfter, if the company has MaxAsks that are open.
	NewAsk struct{ Ask Ask }
	// SpendAsk deletes the question of the decision; Conflict if that was done already.
	SpendAsk struct{}
	// SetCredential stores what the device made for the pending factor ID, before it is
	// activated. Conflict with the key "error.passkey_taken" if anybody on the server has
	// that credential.
	SetCredential struct {
		ID   string
		Made Made
		Data []byte // see Factor
	}
	// PutChallenge changes Sends and SentAt.
	PutChallenge struct{ Challenge Challenge }
	// ConsumeChallenges ends all codes that were sent for a factor in this
	// attempt; that there was one is checked. With Outcome, that there was one with
	// this outcome: what an outside service did not approve is no proof.
	ConsumeChallenges struct {
		Factor  string
		Outcome Outside
	}
	// NewLetter puts a message into the outbox. Challenge names the code it carries.
	NewLetter struct {
		Letter    Letter
		Challenge string
	}
	// TellOwners puts a message to every owner of the company into the outbox, and then
	// to others who hold one of the roles Also, apart from the user of the decision: to
	// those who are active and have a verified address, and to no API accounts, 50 in all.
	TellOwners struct {
		Letter Letter
		Also   []string
	}
	// NewLink stores a link, openable by Token.
	NewLink struct {
		Link  Link
		Token Token
	}
	// SpendLink uses the decision's link, once.
	SpendLink struct{}
	// LiftPauses ends the pauses of the user's factors and password in both lanes.
	// What was counted stays: the hundredth wrong answer still locks (ruling 18).
	LiftPauses struct{}
	// EndKeys ends the keys that the user owns.
	EndKeys struct{}
	// KeepOwner refuses all of it if, after the changes before it, the company has no
	// owner who may sign in: Conflict with the key "error.last_owner" (requirement H6).
	KeepOwner struct{}
	// SetRoles saves the company's own roles.
	SetRoles struct {
		Roles   []Role
		Version int64 // the new one; the stored one must be Version-1
	}
	// NewApproval stores an act that waits. Those before it of the same hash and
	// requester end.
	NewApproval struct{ Approval Approval }
	// PutApproval changes who approved, cancelled or used it, once each. Conflict if
	// it is not as it was.
	PutApproval struct{ Approval Approval }
	// EraseUser deletes the user with everything that is stored about them, and their
	// key, without which nobody reads what the log says of them; the log itself and
	// its chain stay. Keys of theirs end, each with an event. By is the actor. Letter
	// is the last one to them, if not nil: it needs no row of theirs. Later writes of
	// the verdict are about nobody.
	EraseUser struct {
		By     string
		Letter *Letter
	}
	// EndLinks ends the user's links from notices that were made under a later
	// epoch than After.
	EndLinks struct{ After int64 }
	// SetEmail changes the address that names the user, and the login that goes
	// with it. Conflict if the address is somebody else's.
	SetEmail struct{ Email string }
	// SetLogin changes the name that the user signs in with. Conflict if it is
	// somebody else's.
	SetLogin struct{ Login string }
	// SetPassword stores a new password hash, sealed, and clears what was
	// counted against the old one.
	SetPassword struct {
		ID   string // of the password factor, if it does not exist yet
		Hash []byte
		At   time.Time
	}
	// Rehash replaces the stored hash of the same password if it is still Old.
	Rehash struct{ Old, New []byte }
	// PutUser changes every column of the user but the ids.
	PutUser struct{ User User }
	// NewUser creates the user of Keys.User with the logins that name them. Conflict,
	// without fields, if the user has an ExternalID that is or was somebody's.
	NewUser struct {
		User   User
		Logins []Login
	}
	// SetPolicy saves the next version of the company's policy document, and keeps it
	// in the history of versions.
	SetPolicy struct {
		Policy  []byte
		Version int64  // the new one; the stored one must be Version-1
		Actor   string // as in events
		Reason  string // as typed, up to 500 characters; may be empty
		UndoOf  int64  // the version that this brings back; 0: none
		Summary []byte // JSON: what the preview said of it; nil: there was none
		// EndsTrust: it trusts browsers less than the one before it, so that what was
		// trusted before is over, also after a later policy that trusts more.
		EndsTrust bool
	}
)

// Ask is the question of a whole sign-in by a credential: whose it is turns out with
// the answer.
type Ask struct {
	Challenge []byte
	Kept      []byte // see Question
	CreatedAt time.Time
	ExpiresAt time.Time
}

// MaxAsks is how many questions of whole sign-ins a company has open at once: strangers
// ask them, so what they take up on the disk has an end. It takes many networks to get there.
const MaxAsks = 50_000

// Login is one name that leads to a user.
type Login struct {
	Name string // canonical
	Kind string // "name" or "email"
}

func (Settle) write()         {}
func (NewAttempt) write()     {}
func (PutAttempt) write()     {}
func (NewSession) write()     {}
func (PutSession) write()     {}
func (EndSession) write()     {}
func (EndSessions) write()    {}
func (EndAttempts) write()    {}
func (KnowBrowser) write()    {}
func (ForgetBrowsers) write() {}
func (NewFactor) write()      {}
func (ActivateFactor) write() {}
func (ConfirmAgain) write()   {}
func (MoveInvited) write()    {}
func (PutFactor) write()      {}
func (DeleteFactor) write()   {}
func (SetPassword) write()    {}
func (Rehash) write()         {}
func (PutUser) write()        {}
func (NewUser) write()        {}
func (SetPolicy) write()      {}

func (NewTrust) write()    {}
func (RotateTrust) write() {}
func (NameTrust) write()   {}
func (EndTrust) write()    {}

func (NewAsk) write()        {}
func (SpendAsk) write()      {}
func (SetCredential) write() {}

func (LiftPauses) write()        {}
func (EndKeys) write()           {}
func (KeepOwner) write()         {}
func (SetRoles) write()          {}
func (NewApproval) write()       {}
func (PutApproval) write()       {}
func (DropSecret) write()        {}
func (PutOutside) write()        {}
func (SpendBudget) write()       {}
func (NoteBudget) write()        {}
func (NewCodes) write()          {}
func (SpendCode) write()         {}
func (NewChallenge) write()      {}
func (PutChallenge) write()      {}
func (ConsumeChallenges) write() {}
func (NewLetter) write()         {}
func (TellOwners) write()        {}
func (NewLink) write()           {}
func (SpendLink) write()         {}
func (EndLinks) write()          {}
func (EraseUser) write()         {}
func (SetEmail) write()          {}
func (SetLogin) write()          {}

// EventQuery selects events of one company, newest first.
type EventQuery struct {
	Target string // user the events are about; empty: everybody
	Actor  string // who did it: a user, a key or "operator"; empty: whoever
	Result Result // empty: whatever came of it
	Type   string // empty: every type; with a dot at the end all that begin with it, as "factor."
	Since  time.Time
	Until  time.Time // exclusive; zero: no end
	Before string    // id of the last event already seen, or EventPage.Next; empty: from the newest
	Limit  int       // 1–200; 0: 50
}

// EventPage is a part of what an EventQuery finds.
type EventPage struct {
	Events []SealedEvent
	Next   string // what to give as Before for the next page; empty: that is all
	// Searched is set if the search was cut short before the page was full, because
	// what was asked for is rare: everything up to that time was looked at.
	Searched time.Time
}

// The shares of the 100 wrong answers in a row that disable a factor (NIST SP
// 800-63B-4 section 3.2.2): what unknown browsers may use up together, and
// what the person's own browsers may (ruling 10).
const (
	ShareStranger = 70
	ShareKnown    = 30
)
