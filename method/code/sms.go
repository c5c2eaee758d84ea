package code

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/phone"
)

// SMS is the way of codes by text message. Its secret is the number (E.164), apart
// from the contact number of the profile (requirement B2).
type SMS struct {
	Method
	server bool
}

var (
	_ authn.Enroller   = (*SMS)(nil)
	_ authn.PerCompany = (*SMS)(nil)
)

// NewSMS makes the way of text messages; server says that the operator has a
// provider, which all companies may use.
func NewSMS(server bool) *SMS { return &SMS{Method: Method{kind: authn.SMS}, server: server} }

// Offered reports whether anybody sends text messages for the company (B5).
func (m *SMS) Offered(c authn.Company) bool {
	return m.server || slices.Contains(c.Provides, authn.SMS)
}

// numberData is Factor.Data: what lists show of a number.
type numberData struct {
	Ends    string `json:"ends"`
	Country string `json:"country"`
}

// Begin reads the number that the codes will go to. Of a field "phone" that is not
// right the code is "required", "no_country", "letters", "too_few", "too_many",
// "invalid", "not_mobile" or "premium".
func (*SMS) Begin(_ context.Context, r authn.Request) (authn.Shown, error) {
	n, err := phone.Parse(r.Phone, r.Country)
	if err != nil {
		code := phone.Problem(err)
		field := authn.Field{Name: "phone", Code: code, Key: "field.phone." + code}
		return authn.Shown{}, &authn.Error{Code: authn.Invalid, Fields: []authn.Field{field}}
	}
	data, err := json.Marshal(numberData{Ends: n.Ends(), Country: n.Country})
	if err != nil {
		return authn.Shown{}, fmt.Errorf("code: data: %w", err)
	}
	return authn.Shown{Secret: []byte(n.E164), Data: data, Subject: "sms:" + n.E164}, nil
}

// Present shows the number back for checking, as Account.
func (*SMS) Present(r authn.Request) (authn.Presented, error) {
	n, err := phone.FromE164(string(r.Secret))
	if err != nil {
		return authn.Presented{}, errors.New("code: the stored number is none") // and is not quoted
	}
	return authn.Presented{Account: n.International}, nil
}
