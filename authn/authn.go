// Package authn is the vocabulary that every other package shares: companies,
// users, factors, attempts, proofs, sessions, events, errors, ids and tokens.
//
// A method is a kind of proof. A factor is one person's enrolled instance of
// it. An attempt is a sign-in in progress. A proof is one accepted answer. A
// session is what a finished attempt becomes.
//
// The package imports no other of ours and decides nothing, with one
// exception that is deliberately here: the shapes [Keys], [Rows] and [Verdict],
// through which every decision that changes something passes. They make three
// rules structural rather than a matter of care (rulings 8 and 9):
//
//   - a secret is readable for checking only behind the statement that charges
//     for the guess ([Rows].Charged);
//   - a refusal is a committed value, never an error that unwinds the charge;
//   - a change cannot be written without its audit event.
package authn

import (
	"net/netip"
	"time"
)

// Kind is a kind of proof, the m of "amr".
type Kind string

// The kinds that exist. A kind without a registered method is never offered.
const (
	Password   Kind = "password"
	TOTP       Kind = "totp"
	SMS        Kind = "sms"
	Email      Kind = "email"
	Duo        Kind = "duo"
	WebAuthn   Kind = "webauthn"
	BackupCode Kind = "backup_code"
	BypassCode Kind = "bypass_code"
	// Invitation is the proof of a link that an administrator or the operator
	// gave; no factor is of this kind.
	Invitation Kind = "invitation"
	// Trusted is the proof of a browser that the person trusts; no factor is of this
	// kind, and it shows nothing that they have (decision 8).
	Trusted Kind = "trusted_browser"
	// Asserted is the proof of a program that checked the first step itself (ruling
	// 22); no factor is of this kind.
	Asserted Kind = "caller"
)

// Sent reports whether proofs of the kind are codes that are sent, one challenge
// at a time.
func (k Kind) Sent() bool { return k == SMS || k == Email }

// Challenged reports whether a proof of the kind answers a challenge, which is used
// up by it.
func (k Kind) Challenged() bool { return k.Sent() || k == WebAuthn }

// Several reports whether a person may have more than one factor of the kind.
func (k Kind) Several() bool { return k == WebAuthn }

// Remote reports whether proofs of the kind come from an outside service, while
// the person waits.
func (k Kind) Remote() bool { return k == Duo }

// Own reports whether a factor of the kind is a way of the person's own: not the
// password, nor what helps them out when their own is not at hand.
func (k Kind) Own() bool {
	return k != Password && k != BackupCode && k != BypassCode && k != Invitation && k != Trusted && k != Asserted
}

// Traits are what a proof of one kind shows; policy speaks of these and never
// of kinds, so that a new method needs no edit there.
type Traits struct {
	Knowledge         bool // something the person knows
	Possession        bool // something the person has; never true of e-mail (ruling 14)
	OutOfBand         bool // travelled by another channel
	PhishingResistant bool // bound to our origin by the person's device
	// UserVerified: the device made sure who holds it, by something known or by a part
	// of the body, so that it needs nothing known besides (NIST SP 800-63B-4 section 3.1.7).
	UserVerified bool
	// Attests: who made the device can be proven here. A proof does not say so.
	Attests bool `json:",omitempty"`
	// Recovery marks what helps out when the usual ways are not at hand: never the
	// preferred one, and no step-up for those who have another (ruling 26).
	Recovery bool
	// OpensSetUp marks what lets a person set up a way of their own and nothing
	// else (ruling 18).
	OpensSetUp bool
}

// Company is a tenant. Nothing crosses from one company to another.
type Company struct {
	ID            string
	Slug          string // lower-case name in addresses: 1–40 of a–z, 0–9 and inner hyphens
	Name          string // shown to people and written into the authenticator app
	Policy        []byte // the policy document, JSON (ruling 52)
	PolicyVersion int64  // grows by one with every save
	TrustVersion  int64  // of the last policy that trusts browsers less than the one before it; older trust is over
	Support       string // what people are told who cannot get in; empty: to ask their administrator
	// Provides are the kinds that the company has a provider of its own for; what
	// needs one is offered only there (requirements B5 and D1).
	Provides []Kind
	// Roles are those that the company made for itself; RolesVersion grows by one
	// with every save, from 0.
	Roles        []Role
	RolesVersion int64
	Brand        Brand
	CreatedAt    time.Time
}

// Audience says on which side of the company a person stands.
type Audience string

// The two audiences of requirement G3.
const (
	InternalAudience Audience = "internal" // staff
	ExternalAudience Audience = "external" // customers
)

// UserStatus is whether a person may sign in at all.
type UserStatus string

// The states of a user.
const (
	Active    UserStatus = "active"
	Suspended UserStatus = "suspended"
)

// User is a person of one company.
type User struct {
	Company string
	ID      string
	// ExternalID is who the person is in the host program's own table, which checks
	// their password; empty: Sallyport keeps the person. It never changes, and no other
	// person of the company ever has it, not even after this one was erased (ruling 36).
	ExternalID      string
	Login           string // as typed at creation; canonical forms live in the login table
	Email           string
	EmailVerifiedAt time.Time // zero: never; an unverified address signs nobody in (ruling 5)
	// EmailTrustedAt is when an administrator set the address: codes that stand in may
	// go there, and it signs nobody in (rulings 2 and 5). Zero: nobody did.
	EmailTrustedAt time.Time
	EmailChangedAt time.Time // zero: as it was at the beginning; no fall-back codes for 24 h (ruling 2)
	// Phone is the contact number of the profile, E.164; empty: none. Sign-in uses
	// it only as a fall-back, where policy allows that (requirement C1): a way by
	// text message has a number of its own (B2).
	Phone            string
	PhoneTrustedAt   time.Time // when an administrator set it; zero: the person did, and no code goes there
	PhoneChangedAt   time.Time // zero: as it was at the beginning; no fall-back codes for 24 h (ruling 2)
	Name             string
	Locale           string // BCP 47; empty: the browser decides
	Audience         Audience
	Status           UserStatus
	Roles            []string
	RequireTwoFactor bool  // raised to required for this person, whatever the company says (G3)
	API              bool  // a program's account: no interactive sign-in at all (H4, ruling 21)
	Epoch            int64 // ruling 3: raised by every change that weakens or moves an account

	PasswordChangedAt time.Time
	// PasswordResetAt is when the password was last chosen with a code by e-mail; zero:
	// it never was. For 24 h e-mail is then no second step (ruling 4).
	PasswordResetAt time.Time
	// HelpAskedAt is when they asked an administrator for help from the sign-in page
	// (S9); zero: nobody asked, or it is over.
	HelpAskedAt time.Time
	// PasskeyOfferedAt is when setting up a passkey was offered to them after a sign-in,
	// which is done once; zero: it was not.
	PasskeyOfferedAt time.Time
	// Ruling 10: wrong codes after a right password, from unknown browsers.
	WrongInRow   int       // since the last completed sign-in from an unknown browser
	WrongInMonth int       // since MonthStart, whatever came between
	MonthStart   time.Time // start of the running 30 days
	// PasswordKnownAt is when the password was marked as known to others; from
	// then on it opens no attempt from an unknown browser until it is changed.
	PasswordKnownAt time.Time
	// SecuredAt is when somebody pressed "this wasn't me" for this person; until
	// the password is changed, the next sign-in asks for more and for a new one.
	SecuredAt time.Time

	Preferred   string    // id of the factor that sign-in asks for first; empty: the oldest
	HadFactorAt time.Time // when the first factor of their own became active; never cleared (ruling 2)
	GraceAt     time.Time // when set-up was first asked for; the days of grace count from here
	// ExemptUntil is until when policy demands nothing of this person; zero: it is
	// not lifted. Why, and who said so (a user, or "operator").
	ExemptUntil  time.Time
	ExemptReason string
	ExemptBy     string
	LastSignInAt time.Time // of the last completed sign-in; zero: never

	CreatedAt time.Time
}

// EmailReaches reports whether codes that stand in may go to the address: the
// person verified it, or an administrator set it.
func (u User) EmailReaches() bool {
	return u.Email != "" && (!u.EmailVerifiedAt.IsZero() || !u.EmailTrustedAt.IsZero())
}

// FactorState says whether a factor counts.
type FactorState string

// A factor is pending until its first right answer. Whether an active factor
// is paused or locked follows from its counters, so it is no state.
const (
	Pending   FactorState = "pending"
	Confirmed FactorState = "active"
	Asleep    FactorState = "asleep" // put to sleep by policy or an administrator
	// Fallback stands for a contact that helps out until the person has a way of
	// their own (requirement C1). It only carries the count of wrong codes.
	Fallback FactorState = "fallback"
)

// Lane is whose budget of wrong answers a guess is charged to (ruling 10).
type Lane string

// A browser that completed a sign-in of this person earlier has a lane of its
// own, which strangers cannot use up.
const (
	Stranger Lane = "stranger"
	Known    Lane = "known"
)

// Count is one lane's run of wrong answers.
type Count struct {
	Tries       int       // in a row; charged before the check
	PausedUntil time.Time // zero: not paused
}

// LongestPause is the longest that wrong answers can pause a lane for.
const LongestPause = time.Hour

// Paused reports whether the lane rests at now. A pause that would last longer
// than any can was set by a clock that has been put back since, and is over.
func (c Count) Paused(now time.Time) bool {
	return c.PausedUntil.After(now) && !c.PausedUntil.After(now.Add(LongestPause))
}

// Factor is one person's enrolled instance of a method. Its secret is not in
// it: only [Charged] carries one.
type Factor struct {
	Company string
	ID      string
	User    string
	Kind    Kind
	State   FactorState
	Name    string
	Data    []byte // JSON of the method's own, nothing secret
	// Destination is where codes go that are sent to the factor itself, such as a
	// number, or who the person is at an outside service; opened only with Keys.Sent.
	// Codes by e-mail go to the account's address.
	Destination string
	LastStep    int64  // greatest counter ever accepted; only a larger one is
	Epoch       int64  // of the user when the factor was begun
	Attempt     string // the sign-in whose session, or which itself, began it (ruling 1)
	Counts      map[Lane]Count
	CreatedAt   time.Time
	ConfirmAt   time.Time // when it became active
	LastUsedAt  time.Time
	ExpiresAt   time.Time // pending ones and bypass codes; zero: never
	Left        int       // single-use codes that are left, for kinds that have them
	// ProbationUntil: set up with a bypass code; until then it changes nothing of
	// the account (ruling 18). Zero: it never was.
	ProbationUntil time.Time
	// SetBy is who set it up for the person: a user, or "operator"; empty: the person
	// did. A pending one of these is confirmed by the person; only an authenticator
	// app is confirmed where it was begun, with the person there.
	SetBy string
	// Round is how often its kind had been allowed again, after policy had taken it
	// away, when the person last confirmed it; less than policy says: to be confirmed
	// again before it counts (ruling 2).
	Round int
}

// Detail is what events say of the factor: its name only where a person may have several
// of the kind, as those are told apart by it.
func (f Factor) Detail() map[string]string {
	d := map[string]string{"method": string(f.Kind), "factor": f.ID}
	if f.Kind.Several() && f.Name != "" {
		d["called"] = f.Name
	}
	return d
}

// HandedOver reports whether somebody else has seen what the factor's codes are
// made from. It never is a proof by itself: at its first use the person replaces
// it (ruling 17).
func (f Factor) HandedOver() bool { return f.SetBy != "" && f.Kind == TOTP }

// Prepared reports whether the factor was prepared for its person, who confirms it
// with an answer from what it names.
func (f Factor) Prepared() bool { return f.State == Pending && f.SetBy != "" && f.Kind != TOTP }

// Challenge is one code that was sent, or is about to be. The code itself is
// nowhere: it is derived from a key and everything below (ruling 15).
type Challenge struct {
	Company     string
	ID          string
	User        string
	Attempt     string // the attempt that asked; at set-up in a session, the sign-in it came from
	Factor      string
	Kind        Kind // the channel
	Purpose     CodePurpose
	Destination string // normalised; sealed in the row
	Lane        Lane
	Sends       int // how often it was sent, this time included
	SentAt      time.Time
	CreatedAt   time.Time
	ExpiresAt   time.Time
	Seed        []byte // what the code is derived from; only in Charged
	// Outcome says what an outside service made of it; kinds that are Remote only.
	Outcome Outside
	// Detail is the method's own, sealed in the row: what it needs to go on.
	Detail []byte
}

// Outside is how a challenge stands that an outside service decides.
type Outside string

// A challenge of an outside service is asked, then waiting, then one of the
// others; only Approved is ever a proof, and it is consumed like a code.
const (
	NotOutside Outside = ""
	Asked      Outside = "asked"    // the service was asked what it would take
	Waiting    Outside = "waiting"  // the person has to answer there
	Approved   Outside = "approved" // not yet consumed
	Refusal    Outside = "refused"  // denied, timed out, locked: Detail says
	Passcode   Outside = "passcode" // the service sent a code, to be typed in here
)

// CodePurpose is what a sent code is for. It is bound into the code, and the
// message names it.
type CodePurpose string

// The purposes of sent codes.
const (
	CodeSignIn CodePurpose = "sign_in"
	CodeStepUp CodePurpose = "step_up"
	CodeSetUp  CodePurpose = "set_up"
	CodeEmail  CodePurpose = "email" // to confirm a new address
	CodeReset  CodePurpose = "reset" // to choose a password in place of a forgotten one
)

// SentCodes is how many codes were sent to a person from one lane, for the
// limits; codes that are over count too.
type SentCodes struct{ Hour, Day int }

// SavedCode is one of a person's backup codes.
type SavedCode struct {
	N      int
	Prefix string // picks the candidate, so that at most one real hash is run
	Hash   []byte // opened
	UsedAt time.Time
}

// LinkPurpose is what a link does; it is bound into the link.
type LinkPurpose string

// The purposes of links.
const (
	InvitationLink LinkPurpose = "invitation" // sets the password, then set-up
	OwnerLink      LinkPurpose = "owner"      // the same, for the first owner and at a recovery
	NotMeLink      LinkPurpose = "not_me"     // from a notice: secures the account
)

// NotMeLives is how long a "this wasn't me" link is good (ruling 35).
const NotMeLives = 7 * 24 * time.Hour

// Link is a link that was given to one person. It is used at most once.
type Link struct {
	Company   string
	ID        string
	User      string
	Purpose   LinkPurpose
	Mailed    bool              // it travelled by e-mail, so using it shows control of the address
	Epoch     int64             // of the user when it was made
	Event     string            // NotMeLink: the event it asks about
	Args      map[string]string // sealed in the row
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time
}

// Purpose is what an attempt is for. It is bound into the token, so that what
// was begun for one purpose completes no other.
type Purpose string

// The purposes of an attempt.
const (
	SignIn Purpose = "sign_in"
	StepUp Purpose = "step_up"
)

// State is where an attempt stands; the words of api.md.
type State string

// The states of an attempt. No session exists before Complete.
const (
	NeedFactor    State = "need_factor"
	NeedEnrolment State = "need_enrolment"
	NeedPassword  State = "need_password" // step-up of someone who has no factor
	// NeedPasswordChange: everything was proven, and the password must be changed.
	NeedPasswordChange State = "need_password_change"
	// AwaitsService: the person has to answer at an outside service.
	AwaitsService  State = "waiting"
	Ready          State = "ready"
	Complete       State = "complete"
	Denied         State = "denied"
	AttemptExpired State = "expired"
)

// Attempt is a sign-in or a step-up in progress.
type Attempt struct {
	Company   string
	ID        string
	User      string
	Purpose   Purpose
	State     State
	Version   int64 // moves by one with every change; a stale form is never evaluated (ruling 49)
	Proofs    []Proof
	Lane      Lane
	Session   string      // step-up: the session that asks
	Action    string      // step-up: what for, a registered name
	Wants     *GrantAsked // step-up for an application; nil: for ourselves
	ReturnTo  string      // same-origin path, or Return.String; checked before it is stored
	Caller    *Caller     // who checked the first step, if we did not; it ends in a handle, and never in a session
	Epoch     int64       // of the user at the beginning
	First     bool        // the person never gave a right password before
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Proof is one accepted answer.
type Proof struct {
	Kind   Kind      `json:"kind"`
	Factor string    `json:"factor"`
	Traits Traits    `json:"traits"`
	At     time.Time `json:"at"`
	Step   int64     `json:"step,omitempty"` // the counter that must grow, where the kind has one
	// AMR is what it adds to "amr", where a kind proves in more than one way; empty:
	// what the kind always does.
	AMR string `json:"amr,omitempty"`
}

// Session is what a finished attempt becomes.
type Session struct {
	Company     string
	ID          string
	User        string
	Epoch       int64
	AMR         []string // RFC 8176
	ACR         string   // "aal1" or "aal2"; never above what was proven
	AuthTime    time.Time
	FactorTime  time.Time // last proof of a factor of one's own; zero: none
	ConfirmedAt time.Time // last step-up by someone who has no factor; zero: none
	CreatedAt   time.Time
	LastSeenAt  time.Time
	ExpiresAt   time.Time
	Idle        time.Duration // ends when not seen for this long; 0: never
	Agent       string        // "Chrome on Windows", never the raw string
	Name        string        // the person's own name for it; empty: none
	Attempt     string        // the sign-in it came from; a step-up does not change it
	ReturnTo    string        // where /continue leads: a path, or Return.String
	Trust       string        // the trusted browser that it was opened with, or that was made with it; empty: none
}

// ACR values (NIST SP 800-63B-4 section 2).
const (
	AAL1 = "aal1"
	AAL2 = "aal2"
)

// Client is what is known of whoever sends a request.
type Client struct {
	Address netip.Addr // the peer, or what a trusted proxy says it is
	Browser string     // value of the browser cookie; empty: none
	Agent   string     // "Chrome on Windows"; already reduced and bounded
	Locale  string     // best match of Accept-Language
}

// Result is how an event ended.
type Result string

// The results of an event.
const (
	Succeeded Result = "success"
	Refused   Result = "refused"
)

// Event is one line of the audit log: who did what to whom, when, with what
// result. Personal is kept apart, sealed under a key of the person's own, so
// that erasing the person keeps the chain verifiable (rulings 40 and 53).
type Event struct {
	Company  string
	ID       string
	Type     string // "noun.verb_in_past", for example "factor.confirmed"
	Actor    string // user, key or "operator"; empty: nobody known
	Target   string // user the event is about; empty: none
	Result   Result
	At       time.Time
	Personal Personal
	Seq      int64  // 0: not sealed yet
	Prev     []byte // chain hash of the event before
	Hash     []byte // chain hash of this one
}

// Personal is the part of an event that says something about a person.
type Personal struct {
	Address string            `json:"address,omitempty"`
	Agent   string            `json:"agent,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"` // never a secret or a code
}
