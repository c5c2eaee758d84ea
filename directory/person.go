package directory

import (
	"context"
	"fmt"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Person is somebody as who helps them sees them. Nothing in it is secret.
type Person struct {
	User     authn.User
	Factors  []authn.Factor // password included
	Sessions int            // where they are signed in now
	Keys     int            // that they own and that have not ended
}

// Person finds somebody of the company, by id.
//
// Errors: those of Check (users.read); NotFound.
func (s *Service) Person(ctx context.Context, w Who, id string) (Person, error) {
	if _, err := s.Check(ctx, w, UsersRead); err != nil {
		return Person{}, err
	}
	if !authn.CheckID(authn.UserID, id) {
		return Person{}, authn.NotFound
	}
	var p Person
	var err error
	if p.User, p.Factors, err = s.Lookup(ctx, authn.Company{ID: w.Company}, id); err != nil {
		return Person{}, err
	}
	sessions, err := s.c.Store.Sessions(ctx, w.Company, id)
	if err != nil {
		return Person{}, fmt.Errorf("directory: person: %w", err)
	}
	now := s.c.Now()
	for _, x := range sessions {
		if x.Epoch == p.User.Epoch && now.Before(x.ExpiresAt) && (x.Idle <= 0 || now.Sub(x.LastSeenAt) < x.Idle) {
			p.Sessions++
		}
	}
	keys, err := s.c.Store.APIKeys(ctx, w.Company, id, "", 200)
	if err != nil {
		return Person{}, fmt.Errorf("directory: person: %w", err)
	}
	for _, k := range keys {
		if k.ExpiresAt.After(now) {
			p.Keys++
		}
	}
	return p, nil
}
