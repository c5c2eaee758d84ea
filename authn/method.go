package authn

import "context"

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
}

// Answer is what a person gives. Exactly the field of the kind is filled.
type Answer struct {
	Code     string // as typed; the method normalises
	Password string
}

// Match is what a method found out about an answer.
type Match struct {
	Outcome Outcome
	Step    int64  // with Right: the counter that must grow, if the kind has one
	Rehash  []byte // with Right: the secret should be stored anew in this form
	Code    int    // with Right or Void: the number of the backup code
	// Skew is how many seconds the person's clock is ahead (negative: behind),
	// with Wrong, at enrolment only. 0: nothing known.
	Skew int64
}

// Shown is what the person needs to begin an enrolment.
type Shown struct {
	Secret []byte // to be sealed and stored
	Data   []byte // to be stored in the open; JSON
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

// Presented is what a person sees of a pending factor.
type Presented struct {
	Key     string // the setup key: base32 without spaces
	URI     string // the otpauth URI that the QR code carries
	Issuer  string // as the app will show it
	Account string
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
