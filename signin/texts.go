package signin

import (
	"context"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Texts says what a text message costs, and whether it may be sent at all.
type Texts interface {
	// Price gives a company's rules as they are now, as a pure function: what a
	// message is counted against (ruling 13), or why it is not sent: PolicyForbids
	// (the country, the kind of number). Unavailable rules are an error.
	Price(ctx context.Context, company string) (func(authn.TextAsk) ([]authn.Spending, error), error)
	// Asked is told how asking for a message ended; nil: its budgets were paid.
	Asked(ctx context.Context, company string, err error)
}

// price gives the rules of a company for text messages; nil for other kinds.
func (s *Service) price(ctx context.Context, company string, kind authn.Kind) (policy.Pricing, error) {
	if kind != authn.SMS || s.texts == nil {
		return nil, nil
	}
	return s.texts.Price(ctx, company)
}
