package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// NewPerson is somebody whom an administrator adds. They choose a password of
// their own, by a link that is mailed to them.
type NewPerson struct {
	Login    string // needed
	Email    string // needed, if invited
	Name     string // empty: the login
	Audience authn.Audience
	Locale   string
	Roles    []string // empty: member. Others need roles.write, and what they allow
	Invite   bool     // mail the invitation now
	Reason   string   // for the log; empty: none was given
}

// AddPerson adds a person. With roles that allow something it asks for a recent
// proof.
//
// Errors: those of Act; Invalid (fields login, email, name, audience, locale,
// roles), Conflict (fields login, email: taken).
func (s *Service) AddPerson(ctx context.Context, w Who, n NewPerson) (Given, error) {
	seen, err := s.Check(ctx, w, UsersWrite)
	if err != nil {
		return Given{}, err
	}
	now := s.c.Now()
	u, logins, err := s.build(seen.Company, NewUser{Login: n.Login, Email: n.Email, Name: n.Name, Audience: n.Audience, Roles: n.Roles}, now)
	if err != nil {
		return Given{}, err
	}
	if u.Locale, err = s.locale(n.Locale); err != nil {
		return Given{}, err
	}
	if n.Invite && u.Email == "" {
		return Given{}, authn.InvalidField("email", "required", nil)
	}
	a := Act{Type: "user.created", Permission: UsersWrite, creates: u.ID, Reason: n.Reason}
	if !slices.Equal(u.Roles, []string{Member}) {
		a.Permission, a.Fresh = RolesWrite, true
	}
	g := Given{User: u}
	writes := []authn.Write{authn.NewUser{User: u, Logins: logins}}
	if n.Invite {
		var link []authn.Write
		g, link = s.link(seen.Company, u, authn.InvitationLink, true, now)
		writes = append(writes, link...)
	}
	err = s.act(ctx, w, a, func(rows *authn.Rows, now time.Time) authn.Verdict {
		if err := mayGrant(w, rows, u.Roles); err != nil {
			return authn.Drop(err)
		}
		created := s.actEvent(w, rows, a, now, authn.Succeeded, map[string]string{"after": strings.Join(append([]string{string(u.Audience)}, u.Roles...), " ")})
		created.Target = u.ID
		v := authn.Accept(created, writes...)
		if n.Invite {
			a := a
			a.Type = "user.invited"
			invited := s.actEvent(w, rows, a, now, authn.Succeeded, nil)
			invited.Target = u.ID
			v = v.And(invited)
		}
		return v
	})
	if err != nil {
		return Given{}, err
	}
	return g, nil
}
