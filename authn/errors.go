package authn

import (
	"errors"
	"fmt"
	"time"
)

// Code is one of the stable error codes of the API. A Code is itself an error,
// so that errors.Is(err, authn.NotFound) works on anything that wraps it.
type Code string

// The codes. Their HTTP statuses are in internal/httpserve, their pages in docs/errors.md.
const (
	BadRequest          Code = "bad_request"          // not understood at all
	Unauthenticated     Code = "unauthenticated"      // no valid session, attempt or key
	StepUpRequired      Code = "step_up_required"     // prove it again, more recently (RFC 9470)
	Forbidden           Code = "forbidden"            // signed in, but not allowed
	PolicyForbids       Code = "policy_forbids"       // the company's policy says no
	EnrolmentRequired   Code = "enrolment_required"   // a second factor must be set up first
	NotFound            Code = "not_found"            // does not exist, or not for the caller
	MethodNotAllowed    Code = "method_not_allowed"   // the address exists, the HTTP method does not
	Conflict            Code = "conflict"             // something else happened in between
	Expired             Code = "expired"              // too late
	TooLarge            Code = "too_large"            // request body over the limit
	WrongHost           Code = "wrong_host"           // the Host header names another server
	UnsupportedMedia    Code = "unsupported_media"    // not JSON where JSON is needed
	Invalid             Code = "invalid"              // understood, but a field is not right; never charged
	WrongCredentials    Code = "wrong_credentials"    // name or password; which one is not said
	WrongCode           Code = "wrong_code"           // evaluated, charged and wrong
	CodeUsed            Code = "code_used"            // right but spent; neither charged nor resetting
	Locked              Code = "locked"               // disabled until enrolled anew
	Paused              Code = "paused"               // too many wrong answers; carries RetryAfter
	TooManyRequests     Code = "too_many_requests"    // carries RetryAfter
	MessageNotSent      Code = "message_not_sent"     // the provider refused
	ProviderUnavailable Code = "provider_unavailable" // an outside service does not answer
	Busy                Code = "busy"                 // could not be recorded or served in time; try again
	Internal            Code = "internal"             // ours
)

func (c Code) Error() string { return string(c) }

// Error is what every package returns to say no. Key names a text in the
// catalogues; nothing else in it is ever shown to people.
type Error struct {
	Code Code
	Key  string         // catalogue key; empty: "error." + Code
	Args map[string]any // for the catalogue text
	Err  error          // the cause, for the log only

	RetryAfter   time.Duration // with Paused, TooManyRequests, Busy
	AttemptsLeft int           // with WrongCode; told when HasLeft
	HasLeft      bool
	ExpiresAt    time.Time     // where something ends
	Fields       []Field       // with Invalid
	MaxAge       time.Duration // with StepUpRequired
	ACRValues    string        // with StepUpRequired
	Action       string        // with StepUpRequired: what an application asks it for
	ClockSkew    time.Duration // with WrongCode at enrolment: how far the phone's clock is ahead (A8)
}

// Field is one field that is not right.
type Field struct {
	Name string // as in the request: "new", "phone"
	Code string // "required", "too_short", "unknown", …
	Key  string // catalogue key; empty: "field." + Code
	Args map[string]any
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.Err)
	}
	return string(e.Code)
}

// Unwrap gives the code and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// TextKey is the catalogue key of the error's text.
func (e *Error) TextKey() string {
	if e.Key != "" {
		return e.Key
	}
	return "error." + string(e.Code)
}

// TextKey is the catalogue key of the field's text.
func (f Field) TextKey() string {
	if f.Key != "" {
		return f.Key
	}
	return "field." + f.Code
}

// InvalidField is an Error about one field.
func InvalidField(name, code string, args map[string]any) *Error {
	return &Error{Code: Invalid, Fields: []Field{{Name: name, Code: code, Args: args}}}
}

// HostPassword is the answer where a password is to be changed or set that a host
// program keeps.
func HostPassword() *Error { return &Error{Code: PolicyForbids, Key: "error.host_password"} }

// AsError gives the *Error in err's chain; anything else becomes Internal with
// err as its cause, so that no internal text reaches anybody.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var c Code
	if errors.As(err, &c) {
		return &Error{Code: c, Err: err}
	}
	return &Error{Code: Internal, Err: err}
}
