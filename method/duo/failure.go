package duo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// The reasons why Duo could not be asked. They are stable words: texts hang on them.
const (
	Unreachable = "unreachable" // no connection
	Timeout     = "timeout"     // no answer in time
	WrongClock  = "clock"       // Duo's time and ours are too far apart
	Credentials = "credentials" // integration key or secret key
	WrongHost   = "host"        // no such host, not its certificate, or not this API
	Permission  = "permission"  // the keys are not of an "Auth API" application, or it is off
	Throttled   = "throttled"   // too many requests, and waiting did not help
	Down        = "down"        // Duo has a failure of its own
	Garbled     = "garbled"     // what came back is no answer of Duo's
	Other       = "other"       // Code and Message say more
)

// Error is why Duo could not be asked, or did not do what was asked. Every one
// that this package returns is inside an authn.Error with ProviderUnavailable.
type Error struct {
	Status  int    // of HTTP; 0: no answer
	Code    int    // Duo's, such as 40103; 0: it gave none
	Message string // Duo's words, cleaned, at most 410 characters; for owners only
	reason  string // if neither Status nor Code says it
	cause   error
}

// Error says nothing of Duo's own words: they can repeat what was sent.
func (e *Error) Error() string {
	s := "duo: " + e.Reason()
	if e.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d, code %d)", e.Status, e.Code)
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Reason is one of the constants above.
func (e *Error) Reason() string {
	if e.reason != "" {
		return e.reason
	}
	status := e.Status
	if e.Code >= 40000 && e.Code < 60000 {
		status = e.Code / 100
	}
	switch {
	case status == http.StatusUnauthorized && e.aboutTime():
		return WrongClock
	case status == http.StatusUnauthorized:
		return Credentials
	case status == http.StatusForbidden:
		return Permission
	case status == http.StatusNotFound:
		return WrongHost
	case status == http.StatusTooManyRequests:
		return Throttled
	case status >= 500:
		return Down
	}
	return Other
}

// aboutTime: Duo has a code for a wrong date, and says so in words elsewhere.
func (e *Error) aboutTime() bool {
	m := strings.ToLower(e.Message)
	return e.Code == 40105 || strings.Contains(m, "timestamp") || strings.Contains(m, "date header")
}

// invalidRequest: Duo understood the request and refuses what is in it.
func invalidRequest(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status != 0 && e.Code/100 == http.StatusBadRequest
}

// unavailable is what every failure becomes: nobody is let in.
func unavailable(e *Error) error {
	return &authn.Error{Code: authn.ProviderUnavailable, Err: e}
}

func garbled(status int, why error) error {
	return unavailable(&Error{Status: status, reason: Garbled, cause: why})
}

// broken is an error of the way to Duo. The address that was asked holds
// parameters, so net/http's own wrapping is taken off.
func broken(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if !errors.Is(err, io.EOF) && strings.Contains(err.Error(), "transport connection broken") {
		// net/http quotes what came, and that may repeat what was sent.
		return unavailable(&Error{reason: Garbled, cause: errors.New("this is not HTTP")})
	}
	return unavailable(&Error{reason: brokenReason(err), cause: err})
}

func brokenReason(err error) string {
	var dns *net.DNSError
	var wrongName x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns) && dns.IsNotFound,
		errors.As(err, &wrongName), errors.As(err, &unknown), errors.As(err, &certificate):
		return WrongHost
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Timeout
	}
	return Unreachable
}
