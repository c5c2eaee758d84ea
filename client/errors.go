package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Code is one of the stable error codes of the API, and itself an error, so that
// errors.Is(err, client.Expired) asks for it. What each means and what to do about it
// is at /docs/errors of every server. A newer server may have codes that are not here.
type Code string

// The codes of the API, with the HTTP status that goes with each.
const (
	BadRequest          Code = "bad_request"          // 400
	Unauthenticated     Code = "unauthenticated"      // 401
	StepUpRequired      Code = "step_up_required"     // 401; with MaxAge and ACRValues
	Forbidden           Code = "forbidden"            // 403
	PolicyForbids       Code = "policy_forbids"       // 403
	NotFound            Code = "not_found"            // 404
	MethodNotAllowed    Code = "method_not_allowed"   // 405
	Conflict            Code = "conflict"             // 409
	Expired             Code = "expired"              // 410
	TooLarge            Code = "too_large"            // 413
	UnsupportedMedia    Code = "unsupported_media"    // 415
	WrongHost           Code = "wrong_host"           // 421
	Invalid             Code = "invalid"              // 422; with Fields
	WrongCredentials    Code = "wrong_credentials"    // 422
	WrongCode           Code = "wrong_code"           // 422; with AttemptsLeft
	CodeUsed            Code = "code_used"            // 422
	Locked              Code = "locked"               // 423
	Paused              Code = "paused"               // 429; with RetryAfter
	TooManyRequests     Code = "too_many_requests"    // 429; with RetryAfter
	MessageNotSent      Code = "message_not_sent"     // 502
	ProviderUnavailable Code = "provider_unavailable" // 503
	Busy                Code = "busy"                 // 503; with RetryAfter
	Internal            Code = "internal"             // 500
)

func (c Code) Error() string { return string(c) }

// ErrAnswer is in the chain of an *Error without a Code: something answered that is
// not this API, or not all of its answer came.
var ErrAnswer = errors.New("not an answer of this API")

// Error is an answer that is not a yes. Its text holds nothing that people typed or
// are told; Detail and the messages of Fields are for the person who asked.
type Error struct {
	Method, Path string // of the call, without the query
	Status       int    // of HTTP; below 300 where the answer could not be used
	Code         Code   // empty: errors.Is(err, ErrAnswer)
	Detail       string // for the person, in their language; may be empty
	RequestID    string // for whoever keeps the server; may be empty

	Fields       []Field       // with Invalid: everything that is missing or wrong
	AttemptsLeft int           // wrong codes until the next pause; only if HasLeft
	HasLeft      bool          // whether the server told AttemptsLeft
	RetryAfter   time.Duration // how long to wait, in whole seconds; 0: not told
	ExpiresAt    time.Time     // when the pause ends, or what stands in the way; zero: not told
	MaxAge       time.Duration // with StepUpRequired: how recent the proof must be
	ACRValues    string        // with StepUpRequired: how strong it must be
	ClockSkew    time.Duration // with WrongCode in a set-up: how far the phone's clock is ahead

	why string // with ErrAnswer: in our own words
}

// Field is one field of a request that is not right.
type Field struct {
	Name    string `json:"name"`
	Code    string `json:"code"`    // "required", "too_short", "unknown" …
	Message string `json:"message"` // for the person; may be empty
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "client: %s %s: HTTP %d", e.Method, e.Path, e.Status)
	if e.Code == "" {
		fmt.Fprintf(&b, ": %v", ErrAnswer)
		if e.why != "" {
			b.WriteString(": " + e.why)
		}
	} else {
		b.WriteString(" " + string(e.Code))
	}
	for i, f := range e.Fields {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s %s", sep, plain(f.Name), plain(f.Code))
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + plain(e.RequestID) + ")")
	}
	return b.String()
}

// Unwrap gives the code, or ErrAnswer, to errors.Is.
func (e *Error) Unwrap() error {
	if e.Code == "" {
		return ErrAnswer
	}
	return e.Code
}

// plain keeps what a server made up from breaking a line of a log.
func plain(s string) string {
	const most = 100
	if len(s) > most || strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.[]", r))
	}) {
		return "?"
	}
	return s
}

// problem is the problem document (RFC 9457) of a refusal.
type problem struct {
	Code       Code      `json:"code"`
	Detail     string    `json:"detail"`
	RequestID  string    `json:"request_id"`
	Fields     []Field   `json:"fields"`
	Left       *int      `json:"attempts_left"`
	RetryAfter int       `json:"retry_after"`
	ExpiresAt  time.Time `json:"expires_at"`
	MaxAge     int       `json:"max_age"`
	ACRValues  string    `json:"acr_values"`
	ClockSkew  int       `json:"clock_skew_seconds"`
}

// refusal is the error of an answer that is not a 2xx.
func (r *request) refusal(resp *http.Response, body []byte, now time.Time) *Error {
	e := &Error{Method: r.method, Path: r.path, Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id")}
	var p problem
	switch {
	case resp.StatusCode < 400:
		e.why = "a redirect, which is not followed"
	case !isJSON(resp.Header) || json.Unmarshal(body, &p) != nil || p.Code == "" || plain(string(p.Code)) == "?":
		e.why = "not a problem document"
	default:
		e.Code, e.Detail, e.Fields, e.ExpiresAt, e.ACRValues = p.Code, p.Detail, p.Fields, p.ExpiresAt, p.ACRValues
		e.RequestID = orDefault(p.RequestID, e.RequestID)
		e.RetryAfter, e.MaxAge, e.ClockSkew = max(seconds(p.RetryAfter), 0), max(seconds(p.MaxAge), 0), seconds(p.ClockSkew)
		if p.Left != nil {
			e.AttemptsLeft, e.HasLeft = *p.Left, true
		}
	}
	if e.RetryAfter == 0 {
		e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return e
}

func seconds(n int) time.Duration {
	const most = 10 * 365 * 24 * 3600 // beyond which a Duration could turn over
	return time.Duration(min(max(n, -most), most)) * time.Second
}

// retryAfter is RFC 9110, 10.2.3: seconds, or a time. 0: neither.
func retryAfter(h string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(h); err == nil {
		return max(seconds(n), 0)
	}
	if at, err := http.ParseTime(h); err == nil {
		return max(at.Sub(now), 0).Round(time.Second)
	}
	return 0
}
