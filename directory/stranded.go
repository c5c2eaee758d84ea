package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// InviteStranded gives an invitation to people whom a policy does not let in any
// more and the one before did (ruling 2), each once for each change: it sets their
// password and opens the set-up of a way that counts. It goes to an address that
// codes could go to. Whoever has administrative rights gets none by itself: another
// administrator invites them, as for everything about them (ruling 17).
//
// It does a bounded part of the work at a time, and goes on where it was at the
// next call, on whichever node that is.
func (s *Service) InviteStranded(ctx context.Context) error {
	companies, err := s.c.Store.Companies(ctx)
	if err != nil {
		return fmt.Errorf("directory: stranded: %w", err)
	}
	var errs []error
	begun := time.Now()
	for _, c := range companies {
		if c.PolicyVersion > 1 && ctx.Err() == nil && time.Since(begun) < remindFor {
			if err := s.inviteStranded(ctx, c, s.c.Now(), begun); err != nil && !errors.Is(err, authn.Conflict) { // another node is at it
				errs = append(errs, fmt.Errorf("directory: stranded of %s: %w", c.Slug, err))
			}
		}
	}
	return errors.Join(errs...)
}

// stranding is what strands people: the version that holds, and the one that people
// were looked at under before.
type stranding struct {
	Base    int64 `json:"base"`
	Version int64 `json:"version"`
	Next    bool  `json:"next,omitempty"` // the version's next document holds
}

func (s *Service) inviteStranded(ctx context.Context, c authn.Company, now, begun time.Time) error {
	doc, err := policy.Parse(c.Policy)
	if err != nil {
		return nil // whoever needs it says that it cannot be read
	}
	at, err := s.c.Store.Invitations(ctx, c.ID)
	if err != nil {
		return err
	}
	is := stranding{Base: c.PolicyVersion - 1, Version: c.PolicyVersion, Next: doc.Next != nil && !now.Before(doc.Next.From)}
	if is.Next {
		is.Base = is.Version
	}
	var was stranding
	if at.Rollout != "" {
		if err := json.Unmarshal([]byte(at.Rollout), &was); err != nil {
			return err
		}
	}
	to := at
	switch {
	case was.Version == is.Version && was.Next == is.Next:
		is = was
	default:
		if at.Rollout != "" && !at.Done {
			is.Base = was.Base // some of before were not reached yet
		}
		key, err := json.Marshal(is)
		if err != nil {
			return err
		}
		to = authn.Reminders{Company: c.ID, Rollout: string(key)}
	}
	if to.Done {
		return nil
	}
	old, quick, err := s.before(ctx, c, is)
	if err != nil {
		return err
	}
	if quick {
		to.Done = true
		return s.moveInvited(ctx, c, at, to, now)
	}
	for range remindPages {
		if to.Done || time.Since(begun) >= remindFor {
			return nil
		}
		if at, err = s.invitePage(ctx, c, old, policy.At(doc, now), at, to, now); err != nil {
			return err
		}
		to = at
	}
	return nil
}

// before is the document that held before a change; quick: the save's preview found
// nobody to invite.
func (s *Service) before(ctx context.Context, c authn.Company, is stranding) (doc policy.Document, quick bool, err error) {
	v, err := s.c.Store.PolicyVersion(ctx, c.ID, is.Version)
	if err != nil {
		return doc, false, err
	}
	base, err := s.c.Store.PolicyVersion(ctx, c.ID, is.Base)
	if err != nil {
		return doc, false, err
	}
	if doc, err = policy.Parse(base.Document); err != nil {
		return doc, false, err
	}
	if is.Base == is.Version {
		doc.Next = nil
		return policy.At(doc, v.At), false, nil
	}
	var seen policy.Preview
	if is, err := policy.Parse(v.Document); err == nil && is.Next == nil && base.Version == v.Version-1 && len(v.Summary) > 0 && json.Unmarshal(v.Summary, &seen) == nil {
		t := seen.Groups[policy.GroupStranded]
		quick = t == nil || t.Invited == 0
	}
	return policy.At(doc, v.At), quick, nil
}

// invitePage goes from the place at, which the database holds, through the page
// that begins at to, and gives where it came to. Each person's invitation and their
// place are one transaction.
func (s *Service) invitePage(ctx context.Context, c authn.Company, old, doc policy.Document, at, to authn.Reminders, now time.Time) (authn.Reminders, error) {
	people, err := s.c.Store.People(ctx, c.ID, to.After, pageOfPeople)
	if err != nil {
		return at, err
	}
	for _, p := range people {
		to.After = p.User.ID
		// An invitation sets a password, and who has theirs elsewhere gets none.
		if p.User.ExternalID != "" || !s.strands(c, old, doc, p.User, p.Factors, now) {
			continue
		}
		err := s.c.Store.Decide(ctx, authn.Keys{Company: c.ID, User: p.User.ID, Now: now}, func(rows *authn.Rows) authn.Verdict {
			move := authn.MoveInvited{From: at, To: to}
			if rows.Company.PolicyVersion != c.PolicyVersion {
				return authn.Drop(authn.Conflict) // the next call begins anew
			}
			if !s.strands(c, old, doc, *rows.User, rows.Factors, now) {
				return authn.Continue(move)
			}
			_, writes := s.link(*rows.Company, *rows.User, authn.InvitationLink, true, now)
			ev := s.operator("user.invited", now)
			ev.Company, ev.Target, ev.Actor = c.ID, p.User.ID, ""
			ev.Personal.Detail = map[string]string{"reason": "policy", "version": fmt.Sprint(c.PolicyVersion)}
			return authn.Accept(ev, append(writes, move)...)
		})
		if err != nil && !errors.Is(err, authn.NotFound) { // erased meanwhile
			return at, err
		} else if err == nil {
			at = to
		}
	}
	to.Done = len(people) < pageOfPeople
	return to, s.moveInvited(ctx, c, at, to, now)
}

func (s *Service) moveInvited(ctx context.Context, c authn.Company, at, to authn.Reminders, now time.Time) error {
	return s.c.Store.Decide(ctx, authn.Keys{Company: c.ID, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Continue(authn.MoveInvited{From: at, To: to})
	})
}

// strands reports whether somebody gets an invitation because of a change.
func (s *Service) strands(c authn.Company, old, doc policy.Document, u authn.User, factors []authn.Factor, now time.Time) bool {
	rested := u.EmailChangedAt.IsZero() || now.Sub(u.EmailChangedAt) >= policy.ContactRests
	return u.Status == authn.Active && !u.API && u.EmailReaches() && rested && !Administrative(c, u) &&
		policy.Foresee(doc, u, factors, s.traits(c), now).Ask == policy.AskDenied &&
		policy.Foresee(old, u, factors, s.traits(c), now).Ask != policy.AskDenied
}
