package directory

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// How long links and codes are good (ruling 45).
const (
	InvitationLives = 7 * 24 * time.Hour
	OwnerLinkLives  = 30 * time.Minute
	BypassLives     = time.Hour
)

// Given is a link that was made. Token is shown once, to whoever made it, unless
// the link was mailed.
type Given struct {
	User      authn.User
	Token     authn.Token
	ExpiresAt time.Time
}

// Invite adds a person who sets their own password by a link. With mailed it goes
// to their address, which using it verifies; otherwise the caller hands it over.
//
// Errors: those of CreateUser; Invalid (field email) if mailed and there is none.
func (s *Service) Invite(ctx context.Context, company authn.Company, n NewUser, mailed bool) (Given, error) {
	n.Password = ""
	now := s.c.Now()
	u, logins, err := s.build(company, n, now)
	if err != nil {
		return Given{}, err
	}
	if mailed && u.Email == "" {
		return Given{}, authn.InvalidField("email", "required", nil)
	}
	g, writes := s.link(company, u, authn.InvitationLink, mailed, now)
	err = s.c.Store.Decide(ctx, authn.Keys{Company: company.ID, User: u.ID, Now: now}, func(*authn.Rows) authn.Verdict {
		ev := s.operator("user.created", now)
		ev.Company, ev.Target = company.ID, u.ID
		invited := s.operator("user.invited", now)
		invited.Company, invited.Target = company.ID, u.ID
		return authn.Accept(ev, append([]authn.Write{authn.NewUser{User: u, Logins: logins}}, writes...)...).And(invited)
	})
	if err != nil {
		return Given{}, fmt.Errorf("directory: invite: %w", err)
	}
	return g, nil
}

// Reinvite is InviteAgain by the operator, who may be shown the link. The person's
// factors stay: the link replaces a password, never a second step.
//
// Errors: NotFound, Invalid (field email) if mailed and there is none.
func (s *Service) Reinvite(ctx context.Context, company authn.Company, user string, mailed bool) (Given, error) {
	var args []string
	if !mailed {
		args = []string{"shown", "yes"}
	}
	out, err := s.operate(ctx, company, InviteAgain, user, args...)
	return Given{User: out.User, Token: out.Link, ExpiresAt: out.ExpiresAt}, err
}

// Recover is the operator's way in (requirement H6): the owner's factors are
// removed, their sessions end, and a link of 30 minutes sets a new password and
// begins the set-up of a way to verify. The other owners are told.
//
// Errors: NotFound, Invalid (field owner: not an owner of the company).
func (s *Service) Recover(ctx context.Context, company authn.Company, user string) (Given, error) {
	u, _, err := s.Lookup(ctx, company, user)
	if err != nil {
		return Given{}, err
	}
	if !hasRole(u, Owner) {
		return Given{}, authn.InvalidField("owner", "not_owner", nil)
	}
	if u.ExternalID != "" {
		return Given{}, authn.HostPassword()
	}
	return s.give(ctx, company, user, authn.OwnerLink, "company.recovered", false, func(rows *authn.Rows, u *authn.User) []authn.Write {
		u.Status = authn.Active
		u.HadFactorAt, u.SecuredAt = time.Time{}, time.Time{}
		told := authn.Letter{Template: "company_recovered", Args: map[string]string{"name": u.Name, "login": u.Login}}
		return append(deleteFactors(rows), authn.ForgetBrowsers{All: true}, authn.TellOwners{Letter: told})
	})
}

// FirstOwner adds the owner of a new company, with a link of 30 minutes.
func (s *Service) FirstOwner(ctx context.Context, company authn.Company, n NewUser) (Given, error) {
	n.Roles, n.Password = []string{Owner}, ""
	u, err := s.CreateUser(ctx, company, n)
	if err != nil {
		return Given{}, err
	}
	return s.give(ctx, company, u.ID, authn.OwnerLink, "user.invited", false, nil)
}

func hasRole(u authn.User, role string) bool {
	for _, r := range u.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// give makes a link for someone who is there, and raises their epoch: a link
// and what was open before it do not stand side by side.
func (s *Service) give(ctx context.Context, company authn.Company, user string, p authn.LinkPurpose, typ string, mailed bool,
	more func(*authn.Rows, *authn.User) []authn.Write) (Given, error) {
	var g Given
	err := s.change(ctx, company.ID, user, typ, func(rows *authn.Rows, u *authn.User) []authn.Write {
		var writes []authn.Write
		if more != nil {
			writes = more(rows, u)
		}
		after := *u
		after.Epoch++ // as change leaves it
		var links []authn.Write
		g, links = s.link(company, after, p, mailed && u.Email != "", s.c.Now())
		return append(writes, links...)
	})
	if err == nil && mailed && g.User.Email == "" {
		err = authn.InvalidField("email", "required", nil)
	}
	if err != nil {
		return Given{}, fmt.Errorf("directory: link: %w", err)
	}
	return g, nil
}

func (s *Service) link(company authn.Company, u authn.User, p authn.LinkPurpose, mailed bool, now time.Time) (Given, []authn.Write) {
	lives, template := InvitationLives, authn.Template("invitation")
	if p == authn.OwnerLink {
		lives, template = OwnerLinkLives, "owner_link"
	}
	id := authn.NewID(authn.LinkID, now, s.c.Random)
	token := authn.NewToken(authn.LinkToken, company.ID, id, s.c.Random)
	l := authn.Link{ID: id, Purpose: p, Mailed: mailed, Epoch: u.Epoch, CreatedAt: now, ExpiresAt: now.Add(lives)}
	writes := []authn.Write{authn.NewLink{Link: l, Token: token}}
	g := Given{User: u, Token: token, ExpiresAt: l.ExpiresAt}
	if mailed {
		g.Token = authn.Token{}
		writes = append(writes, authn.NewLetter{Letter: authn.Letter{
			ID: authn.NewID(authn.MessageID, now, s.c.Random), Template: template, To: u.Email, At: now, ExpiresAt: l.ExpiresAt, Link: token,
			Args: map[string]string{"name": u.Name, "login": u.Login},
		}})
	}
	return g, writes
}

// Bypasses makes bypass codes; method/bypass is one.
type Bypasses interface {
	NewCode() (code string, secret []byte)
}

// BypassCode is HelpCode by the operator: a one-time code for someone who cannot
// prove themselves, good for an hour, after the password, for setting up a way to
// verify and nothing else (ruling 18). The one before it dies.
//
// Errors: NotFound, PolicyForbids (two-factor is off, or the person is suspended).
func (s *Service) BypassCode(ctx context.Context, company authn.Company, user string) (code string, expires time.Time, err error) {
	out, err := s.operate(ctx, company, HelpCode, user)
	return out.Code, out.ExpiresAt, err
}

// SetSupport saves what people are told who cannot get in: up to 500 characters;
// empty: to ask their administrator.
func (s *Service) SetSupport(ctx context.Context, company authn.Company, text string) error {
	if text != "" {
		var err error
		if text, err = authn.CleanName("support", text, 500); err != nil {
			return err
		}
	}
	ev := s.operator("company.changed", s.c.Now())
	ev.Company = company.ID
	return s.c.Store.SetSupport(ctx, company.ID, text, ev)
}
