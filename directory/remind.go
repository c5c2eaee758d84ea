package directory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// When people are told of a policy that is to come: so many days before it begins.
var remindDays = []int{14, 3, 0}

const (
	day = 24 * time.Hour
	// remindPages are the pages of people that one call looks at in a company; the
	// next call goes on from there.
	remindPages = 10
	// remindFor is after what time a call begins with no further company.
	remindFor = 2 * time.Second
)

// RemindPolicies tells people of policies that are to come and will ask more of
// them: 14 and 3 days before, and when it begins, each person once. It does a
// bounded part of the work at a time, and goes on where it was at the next call,
// on whichever node that is.
func (s *Service) RemindPolicies(ctx context.Context) error {
	companies, err := s.c.Store.Companies(ctx)
	if err != nil {
		return fmt.Errorf("directory: reminders: %w", err)
	}
	var errs []error
	begun := time.Now()
	for _, c := range companies {
		if bytes.Contains(c.Policy, []byte(`"next"`)) && ctx.Err() == nil && time.Since(begun) < remindFor {
			errs = append(errs, s.remind(ctx, c, s.c.Now()))
		}
	}
	return errors.Join(errs...)
}

// wave is which reminder it is time for; false: none.
func wave(from, now time.Time) (days int, ok bool) {
	if !now.Before(from.Add(day)) {
		return 0, false // whoever was not told finds out
	}
	for _, d := range remindDays {
		if !now.Before(from.Add(-time.Duration(d) * day)) {
			days, ok = d, true
		}
	}
	return days, ok
}

func (s *Service) remind(ctx context.Context, c authn.Company, now time.Time) error {
	doc, err := policy.Parse(c.Policy)
	if err != nil || doc.Next == nil {
		return nil // whoever needs it says that it cannot be read
	}
	days, ok := wave(doc.Next.From, now)
	if !ok {
		return nil
	}
	at, err := s.c.Store.Reminders(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("directory: reminders of %s: %w", c.Slug, err)
	}
	next, err := json.Marshal(doc.Next)
	if err != nil {
		return fmt.Errorf("directory: reminders of %s: %w", c.Slug, err)
	}
	sum := sha256.Sum256(next)
	rollout := hex.EncodeToString(sum[:16])
	to := at
	if at.Rollout != rollout || at.Days != days {
		to = authn.Reminders{Company: c.ID, Rollout: rollout, Days: days}
	}
	for range remindPages {
		if to.Done {
			return nil
		}
		if to, err = s.remindPage(ctx, c, doc, at, to, now); err != nil {
			if errors.Is(err, authn.Conflict) {
				return nil // another node is at it
			}
			return fmt.Errorf("directory: reminders of %s: %w", c.Slug, err)
		}
		at = to
	}
	return nil
}

// remindPage goes from the place at, which the database holds, through the page
// that begins at to.
func (s *Service) remindPage(ctx context.Context, c authn.Company, doc policy.Document, at, to authn.Reminders, now time.Time) (authn.Reminders, error) {
	people, err := s.c.Store.People(ctx, c.ID, to.After, pageOfPeople)
	if err != nil {
		return to, err
	}
	from, coming, old := doc.Next.From, doc.Next.Document, doc
	old.Next = nil
	traits := s.traits(c)
	var letters []authn.Letter
	for _, p := range people {
		u := p.User
		to.After = u.ID
		if u.Status != authn.Active || u.Email == "" || u.EmailVerifiedAt.IsZero() ||
			!policy.AsksMore(policy.Foresee(old, u, p.Factors, traits, now), policy.Foresee(coming, u, p.Factors, traits, from)) {
			continue
		}
		letters = append(letters, authn.Letter{ID: authn.NewID(authn.MessageID, now, s.c.Random), Template: "policy_soon", Channel: authn.Email,
			User: u, To: u.Email, At: now, Args: map[string]string{"from": from.UTC().Format(time.RFC3339), "days": strconv.Itoa(to.Days)}})
	}
	to.Done = len(people) < pageOfPeople
	return to, s.c.Store.Remind(ctx, authn.Keys{Company: c.ID, Now: now}, at, to, letters)
}
