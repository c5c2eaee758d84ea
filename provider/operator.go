package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/phone"
)

// Operator is what whoever holds the machine does with the providers of
// companies, without a session (ruling 23): by the same rules, with the same
// letters to the owners, on record as directory.Operator. The calls that change
// or try something are for command lines, and for nothing that a request reaches.
type Operator struct{ s *Service }

// Operator gives the operator's calls.
func (s *Service) Operator() Operator { return Operator{s} }

func (o Operator) author(company string) author {
	return author{keys: authn.Keys{Company: company, Now: o.s.c.Now()},
		may: func(rows *authn.Rows, _ time.Time) error {
			if rows.Company == nil {
				return authn.NotFound
			}
			return nil
		},
		id: func(*authn.Rows) string { return directory.Operator }}
}

// SetTexts is Service.SetTexts.
//
// Errors: Invalid, Conflict, NotFound (this server knows no texts).
func (o Operator) SetTexts(ctx context.Context, company string, ch TextChange) (TextState, error) {
	if !o.s.HasTexts() {
		return TextState{}, authn.NotFound
	}
	return o.s.setTexts(ctx, o.author(company), ch)
}

// RemoveTexts is Service.RemoveTexts.
//
// Errors: Conflict.
func (o Operator) RemoveTexts(ctx context.Context, company string, from int64) (TextState, error) {
	return o.s.removeTexts(ctx, o.author(company), from)
}

// TestTexts sends a text through provider n of what a company has saved, or of the
// server's if it has none. It costs the company what any text does.
//
// Errors: Invalid (fields provider, to), PolicyForbids (error.text_country),
// TooManyRequests.
func (o Operator) TestTexts(ctx context.Context, company string, n int, to, country string) (TextResult, error) {
	by := o.author(company)
	rows, err := o.s.c.Store.View(ctx, by.keys)
	if err == nil {
		err = by.may(&rows, by.keys.Now)
	}
	if err != nil {
		return TextResult{}, fmt.Errorf("provider: %w", err)
	}
	return o.s.testTexts(ctx, by, rows, TextChange{}, n, to, country)
}

// TryServer sends a text through provider n of the server's own. No company pays
// for it, and nothing is written down.
//
// Errors: Invalid (fields provider, to), PolicyForbids (error.text_country).
func (o Operator) TryServer(ctx context.Context, n int, to string) (TextResult, error) {
	t, country := o.s.c.Texts, ""
	if len(t.Countries) > 0 {
		country = t.Countries[0]
	}
	number, err := phone.Parse(to, country)
	if err != nil {
		return TextResult{}, badNumber(err)
	}
	if !slices.Contains(t.Countries, number.Country) {
		return TextResult{}, &authn.Error{Code: authn.PolicyForbids, Key: "error.text_country"}
	}
	sender, _, err := o.s.tested(authn.TextSettings{}, n)
	if err != nil {
		return TextResult{}, err
	}
	m, err := o.s.testText(authn.Company{}, authn.User{}, number.E164, o.s.c.Now())
	if err != nil {
		return TextResult{}, err
	}
	return tryText(ctx, sender, m), nil
}

// SetDuo is Service.SetDuo.
//
// Errors: Invalid, Conflict, NotFound (this server knows no Duo).
func (o Operator) SetDuo(ctx context.Context, company string, ch DuoChange) (DuoState, error) {
	if !o.s.HasDuo() {
		return DuoState{}, authn.NotFound
	}
	return o.s.setDuo(ctx, o.author(company), ch)
}

// RemoveDuo is Service.RemoveDuo.
//
// Errors: Conflict, NotFound (this server knows no Duo).
func (o Operator) RemoveDuo(ctx context.Context, company string, from int64) (DuoState, error) {
	if !o.s.HasDuo() {
		return DuoState{}, authn.NotFound
	}
	return o.s.removeDuo(ctx, o.author(company), from)
}

// TestDuo tries what a company has saved, and puts that on record.
//
// Errors: TooManyRequests, NotFound (this server knows no Duo, or the company has
// none).
func (o Operator) TestDuo(ctx context.Context, company string) (Result, error) {
	if _, err := o.savedDuo(ctx, company); err != nil {
		return Result{}, err
	}
	return o.s.testDuo(ctx, o.author(company), DuoChange{})
}

// LookAtDuo is TestDuo that writes nothing: for a look at all companies.
//
// Errors: NotFound.
func (o Operator) LookAtDuo(ctx context.Context, company string) (Result, error) {
	d, err := o.savedDuo(ctx, company)
	if err != nil {
		return Result{}, err
	}
	return o.s.TryDuo(ctx, d)
}

func (o Operator) savedDuo(ctx context.Context, company string) (authn.DuoSettings, error) {
	if !o.s.HasDuo() {
		return authn.DuoSettings{}, authn.NotFound
	}
	p, err := o.s.c.Store.Provider(ctx, company, authn.Duo)
	if err != nil {
		return authn.DuoSettings{}, fmt.Errorf("provider: %w", err)
	}
	if p.Settings == nil {
		return authn.DuoSettings{}, authn.NotFound
	}
	return decodeDuo(p.Settings)
}
