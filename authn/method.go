package authn

import (
	"context"
	"time"
)

// Request is everything a method gets to know. A method never writes: it is a
// function of this (and of its outside service, if it has one).
type Request struct {
	Company Company
	User    User
	Attempt *Attempt // nil at enrolment from a full session
	Factor  Factor   // the one the answer is for
	Secret  []byte   // its opened secret; nil while the person is unknown
	Client  Client
	Lane    Lane  // known browsers are served before strangers (ruling 12)
	Now     int64 // Unix seconds of the configured clock
	// Challenges are the codes that are out for Factor, with their seeds.
	Challenges []Challenge
	Codes      []SavedCode // the backup codes of Factor
	Settings   []byte      // the company's for this kind, opened; nil: it has none
	Action     string      // what a step-up is for; empty: signing in, or setting up
	// At set-up: the number as typed, and the country it is in where that is not said.
	Phone, Country string
}

// Answer is what a person gives. Exactly the field of the kind is filled.
type Answer struct {
	Code       string // as typed; the method normalises
	Password   string
	Credential []byte // what a Ceremony of the person's device came to: JSON
}

// Match is what a method found out about an answer.
type Match struct {
	Outcome Outcome
	Step    int64  // with Right: the counter that must grow, if the kind has one
	Rehash  []byte // with Right: the secret should be stored anew in this form
	Code    int    // with Right or Void: the number of the backup code
	AMR     string // with Right: see Proof
	// Traits, with Right, are what this answer showed, where that is not always the
	// same; nil: those of the method (ruling 14).
	Traits *Traits
	Data   []byte   // with Right: what Factor.Data is from now on; nil: as it was
	Noted  []string // with Right: types of further events, such as "passkey.counter_back"
	Made   *Made    // with Right, from Confirm of a Ceremony
	// Skew is how many seconds the person's clock is ahead (negative: behind),
	// with Wrong, at enrolment only. 0: nothing known.
	Skew int64
}

// Made is the credential that a Ceremony of set-up made.
type Made struct {
	ID     []byte // 1–1023 bytes; nobody on the server has another of that id
	Secret []byte // to be sealed and stored: what answers are checked with
	Name   string // what it is called until its person names it; may be empty
}

// Question is what a Ceremony asks the person's device.
type Question struct {
	Options []byte // for the browser: JSON
	Kept    []byte // for the check of the answer; goes into Challenge.Detail
}

// Shown is what the person needs to begin an enrolment.
type Shown struct {
	Secret []byte // to be sealed and stored
	Data   []byte // to be stored in the open; JSON
	// Subject is what no two people of a company may have active at once, such as a
	// number or the name at an outside service; only its keyed hash is stored.
	// Empty: nothing.
	Subject string
}

// Method proves one kind of factor. Registered in cmd/sallyport/methods.go.
type Method interface {
	Kind() Kind
	Traits() Traits
	// Quick reports whether Verify is pure and takes well under 100 µs, so that
	// it runs inside the transaction that charged. Others are charged in a
	// committed transaction first and checked outside (ruling 8).
	Quick() bool
	// Shape refuses a malformed answer (Invalid), before anything is charged.
	Shape(Answer) error
	// Verify compares. The error is for what could not be evaluated (Busy,
	// ProviderUnavailable), never for a wrong answer.
	Verify(context.Context, Request, Answer) (Match, error)
}

// PerCompany is a Method that only some companies can use, because it needs a
// provider.
type PerCompany interface {
	Method
	Offered(Company) bool
}

// TraitsFor gives the traits of the kinds that a company can use, of the methods
// that this server has.
func TraitsFor(methods map[Kind]Method, c Company) func(Kind) (Traits, bool) {
	return func(k Kind) (Traits, bool) {
		m, ok := methods[k]
		if !ok {
			return Traits{}, false
		}
		if p, depends := m.(PerCompany); depends && !p.Offered(c) {
			return Traits{}, false
		}
		return m.Traits(), true
	}
}

// Remote is a Method whose proof comes from an outside service. It never lets
// anybody in because the service cannot be asked (ruling 33): that is
// ProviderUnavailable. Verify is for a code that the person has from the service.
type Remote interface {
	Method
	// Options asks the service what it would take from the person now. It is asked
	// before everything else, every time.
	Options(context.Context, Request) (Options, error)
	// Start asks the person, by one of the options; "" lets the service choose. It
	// begins with Options.
	Start(ctx context.Context, r Request, option string) (Started, error)
	// Follow waits until the person answered what Start began, or ctx ends. Its
	// progress, where there is any, is told by note.
	Follow(ctx context.Context, r Request, s Started, note func(message string)) (Answered, error)
}

// Elsewhere is an Enroller whose people may have to set themselves up at an
// outside service first.
type Elsewhere interface {
	Enroller
	// Enrolled reports whether the service knows the person of the pending Factor by now.
	Enrolled(context.Context, Request) (bool, error)
}

// Ceremony is a Method whose answers come from the person's own device, which signs a
// challenge. own are the person's factors of the kind that count. A question is used
// once and lives for CeremonyLives.
type Ceremony interface {
	Enroller
	// Create asks for a new credential, for the pending Factor. r.Settings is JSON of
	// what the company asks of one; see package policy.
	Create(r Request, own []Factor) (Question, error)
	// Get asks for a proof by one of own; for a whole sign-in own is nil, the device
	// chooses, and has to make sure who holds it.
	Get(r Request, own []Factor) (Question, error)
	// Answered says what an answer is about, before anything of it is checked: the
	// id of the credential, and the challenge that it claims to answer. Invalid (field
	// credential) if it cannot be read.
	Answered(Answer) (credential, challenge []byte, err error)
	// Asked is the challenge of a question, by what was Kept of it; nil: none.
	Asked(kept []byte) (challenge []byte)
	// Holds reports whether the factor is the one that has the credential.
	Holds(f Factor, credential []byte) bool
}

// CeremonyLives is how long a question can be answered (WebAuthn Level 3 section 13.4.3,
// std-72).
const CeremonyLives = 5 * time.Minute

// Options is what an outside service would take.
type Options struct {
	Verdict OptionsVerdict
	List    []Option
	Code    bool   // a code that the person has there is taken too
	Message string // the service's own words, cleaned and bounded; may be empty
	Portal  string // with MustEnrol: where the person sets themselves up there; https
}

// OptionsVerdict is what a service says about a person before they prove anything.
type OptionsVerdict string

// The verdicts. Unknown ones are Refuses.
const (
	Asks      OptionsVerdict = "auth"
	LetsIn    OptionsVerdict = "allow" // without asking: no proof (ruling 33)
	Refuses   OptionsVerdict = "deny"
	MustEnrol OptionsVerdict = "enroll"
)

// Option is one way to answer an outside service.
type Option struct {
	ID     string `json:"id"`             // given to Start
	Way    string `json:"way"`            // "push", "phone" or "sms"
	Device string `json:"device"`         // the service's name for it, cleaned; may be empty
	Ends   string `json:"ends,omitempty"` // the last two digits of its number; may be empty
}

// Started is what the service began.
type Started struct {
	Reference string // for Follow
	Way       string // "push", "phone" or "sms"
	Device    string
	Ends      string
	Number    string // a number that the person has to type there (verified push); empty: none
	// Waits: Follow will say how it ends. Otherwise the service sent codes, and the
	// person types one in.
	Waits bool
	// LetIn: the service lets the person in without asking. It is no proof of
	// possession, counts only where the company's settings say so, and has its event.
	LetIn bool
	Lives time.Duration // how long the person has
}

// Answered is how it ended.
type Answered struct {
	Approved bool
	Reason   string // a stable word if not: "denied", "fraud", "timeout", "locked_out", "failed"
	Message  string // the service's own words, cleaned and bounded
	AMR      string // see Proof
}

// Presented is what a person sees of a pending factor.
type Presented struct {
	Key     string // the setup key: base32 without spaces
	URI     string // the otpauth URI that the QR code carries
	Issuer  string // as the app will show it
	Account string
	// Where an outside service does not know the person yet: its own page to set
	// oneself up, or the address of a QR code for its app. Both are as good as a key.
	Portal, Barcode string
}

// Enroller is a Method that people can add themselves.
type Enroller interface {
	Method
	Begin(context.Context, Request) (Shown, error)
	// Present renders the pending Factor and its Secret for the person.
	Present(Request) (Presented, error)
	// Confirm is Verify for the pending factor; it may diagnose a wrong clock.
	Confirm(context.Context, Request, Answer) (Match, error)
}
