package httpsend

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"net/url"

	"github.com/sallyport-mfa/sallyport/authn"
)

// The states of a receipt.
const (
	Delivered = "delivered"
	Failed    = "failed"
	Pending   = "pending"
)

// Form reads the parameters in the body of a report; Invalid if there are none to
// read.
func Form(q authn.ReceiptRequest) (url.Values, error) {
	if len(q.Body) > Most {
		return nil, Unreadable(fmt.Errorf("longer than %d bytes", Most))
	}
	form, err := url.ParseQuery(string(q.Body))
	if err != nil {
		return nil, Unreadable(errors.New("no form")) // err quotes what it is about
	}
	return form, nil
}

// NewReceipt is a receipt, or Invalid if the reference can be none. A code that
// can be none, and "0", which is none, are left out.
func NewReceipt(reference, state, code string) (authn.Receipt, error) {
	if !IsReference(reference) {
		return authn.Receipt{}, Unreadable(errors.New("no id of a message"))
	}
	if code == "0" || len(code) > 40 || !tokens.MatchString(code) {
		code = ""
	}
	return authn.Receipt{Reference: reference, State: state, Code: code}, nil
}

// Unreadable is authn.Invalid for a report.
func Unreadable(err error) error { return &authn.Error{Code: authn.Invalid, Err: err} }

// Unsigned is authn.Forbidden for a report that is not the provider's.
func Unsigned(why string) error {
	return &authn.Error{Code: authn.Forbidden, Err: errors.New("report: " + why)}
}

// Same compares signatures without telling by its time where they differ; an
// empty one is never the same.
func Same(a, b string) bool { return a != "" && hmac.Equal([]byte(a), []byte(b)) }
