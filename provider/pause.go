package provider

import (
	"context"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// Reaches gives a function that says whether codes by text messages, or Duo, may serve a
// person as a company's settings are now. For a day after somebody set them who may do
// less than that person they do not: there are no settings before that could serve
// instead, as with mail. The first settings count too, or removing would be the way
// around; an owner who saves them anew agrees to them (ruling 19).
//
// Errors of the function: PolicyForbids (Key error.provider_new).
func (s *Service) Reaches(ctx context.Context, company string, kind authn.Kind) (authn.Reaches, error) {
	anybody := func(authn.Company, authn.User) error { return nil }
	if kind != authn.SMS && kind != authn.Duo {
		return anybody, nil
	}
	p, err := s.c.Store.Provider(ctx, company, kind)
	if err != nil {
		return nil, err
	}
	if kind == authn.SMS {
		own, err := decodeTexts(p.Settings)
		if err != nil {
			return nil, err
		}
		if len(own.Providers) == 0 {
			return anybody, nil // the operator's, which nobody redirects
		}
	}
	paused, err := s.paused(ctx, p)
	if err != nil {
		return nil, err
	}
	until, now := p.UpdatedAt.Add(TellFor), s.c.Now()
	return func(c authn.Company, u authn.User) error {
		if !paused(c, u) {
			return nil
		}
		hours := int((until.Sub(now) + time.Hour - 1) / time.Hour)
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.provider_new", ExpiresAt: until, Args: map[string]any{"Count": hours}}
	}, nil
}

// paused gives a function that says for whom settings are too new: for a day, for
// whoever may do more than the person who saved them.
func (s *Service) paused(ctx context.Context, p authn.Provider) (func(authn.Company, authn.User) bool, error) {
	now := s.c.Now()
	if p.UpdatedBy == "" || p.UpdatedBy == directory.Operator || now.Sub(p.UpdatedAt) >= TellFor {
		return func(authn.Company, authn.User) bool { return false }, nil
	}
	rows, err := s.c.Store.View(ctx, authn.Keys{Company: p.Company, User: p.UpdatedBy, Now: now})
	if err != nil {
		return nil, err
	}
	var editor authn.User // one who is gone may do nothing
	if rows.User != nil {
		editor = *rows.User
	}
	return func(c authn.Company, u authn.User) bool { return u.ID != p.UpdatedBy && directory.Above(c, u, editor) }, nil
}
