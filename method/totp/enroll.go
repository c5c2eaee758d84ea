package totp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
)

// usual is the data of every factor that is begun here. It is compared before
// anything is parsed: reading JSON takes longer than the check itself.
const usual = `{"algorithm":"SHA1","digits":6,"period":30}`

// maxData bounds the data of a factor, in bytes.
const maxData = 256

var errData = errors.New("totp: the data of the factor is not understood")

// data is Factor.Data. A field that is not there has the usual value.
type data struct {
	Algorithm string `json:"algorithm,omitempty"`
	Digits    int    `json:"digits,omitempty"`
	Period    int    `json:"period,omitempty"`
}

// Data writes the data of a factor, for an import, or says that this method
// would refuse it.
func (m *Method) Data(p otp.Params) ([]byte, error) {
	p = p.WithDefaults()
	b, err := json.Marshal(data{p.Algorithm.String(), p.Digits, p.Period})
	if err != nil {
		return nil, fmt.Errorf("totp: %w", err)
	}
	_, err = m.params(b)
	return b, err
}

// params reads the data of a factor.
func (m *Method) params(b []byte) (otp.Params, error) {
	if len(b) == 0 || string(b) == usual {
		return otp.Params{}.WithDefaults(), nil
	}
	if len(b) > maxData {
		return otp.Params{}, errData
	}
	d := data{Algorithm: otp.SHA1.String()}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return otp.Params{}, errData // the decoder's error quotes what it read
	}
	if _, err := dec.Token(); err != io.EOF {
		return otp.Params{}, errData
	}
	algorithm, err := otp.ParseAlgorithm(d.Algorithm)
	if err != nil {
		return otp.Params{}, fmt.Errorf("totp: %w", err)
	}
	p := otp.Params{Algorithm: algorithm, Digits: d.Digits, Period: d.Period}.WithDefaults()
	switch {
	case p.Digits < otp.MinDigits || p.Digits > m.c.MaxDigits:
		return otp.Params{}, fmt.Errorf("totp: a factor of %d digits is not allowed", p.Digits)
	case p.Period < m.c.MinPeriod || p.Period > m.c.MaxPeriod:
		return otp.Params{}, fmt.Errorf("totp: a factor with a period of %d s is not allowed", p.Period)
	}
	return p, nil
}

// Begin makes a secret of 160 bits for a new factor.
func (m *Method) Begin(context.Context, authn.Request) (authn.Shown, error) {
	s, err := otp.NewSecret(m.c.Random)
	if err != nil {
		return authn.Shown{}, fmt.Errorf("totp: %w", err)
	}
	return authn.Shown{Secret: s, Data: []byte(usual)}, nil
}

// Present is what the page of a pending factor shows (A1, A3): the URI for the
// QR code, whose issuer is the company and whose account is the person's e-mail
// or, without one, login name; and the key for typing it in. Both are the
// secret: they belong on that page and nowhere else.
func (m *Method) Present(r authn.Request) (authn.Presented, error) {
	params, err := m.params(r.Factor.Data)
	if err != nil {
		return authn.Presented{}, err
	}
	p := authn.Presented{
		Key:     otp.Secret(r.Secret).Base32(),
		Issuer:  cmp.Or(otp.CleanLabel(r.Company.Name), otp.CleanLabel(r.Company.Slug), "Sallyport"),
		Account: cmp.Or(otp.CleanLabel(r.User.Email), otp.CleanLabel(r.User.Login), r.User.ID),
	}
	p.URI, err = otp.URI{Issuer: p.Issuer, Account: p.Account, Key: otp.Key{Params: params, Secret: r.Secret}}.Encode()
	if err != nil {
		return authn.Presented{}, fmt.Errorf("totp: %w", err)
	}
	return p, nil
}
