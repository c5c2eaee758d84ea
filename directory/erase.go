package directory

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// This file erases people and companies (requirement K2). What goes, what stays
// and for how long is in docs/operating.md, "Erasing".

// EraseStore is what export and erasure need of storage.
type EraseStore interface {
	// Held is everything about a person but the event log.
	Held(ctx context.Context, company, user string) (authn.Held, error)
	// Events of somebody are those about them; ActsOf are those that they caused and
	// that are about others. Newest first.
	Events(ctx context.Context, company string, q authn.EventQuery) ([]authn.Event, error)
	ActsOf(ctx context.Context, company, actor, before string, limit int) ([]authn.Event, error)
	Tombstones(ctx context.Context, company string, users []string) ([]authn.Tombstone, error)
	// EraseCompany marks a company and destroys its key. PurgeCompany then deletes
	// its rows in at most so many batches.
	EraseCompany(ctx context.Context, company string, now time.Time) error
	PurgeCompany(ctx context.Context, company string, now time.Time, batches int) (bool, error)
	Erasing(context.Context) ([]authn.ErasedCompany, error)
}

// lastLetterLives is how long the last letter is tried, and so how long the
// address of somebody who was erased is kept, sealed.
const lastLetterLives = 3 * 24 * time.Hour

// planErase deletes the person and all that is stored about them. The reason
// stays in the log, so it must not say who they were.
func planErase(_ context.Context, s *Service, a asked) (change, error) {
	p := a.PersonAct
	w := a.who
	return func(rows *authn.Rows, u *authn.User, now time.Time) (Done, error) {
		if saysWho(p.Reason, *u) {
			return Done{}, authn.InvalidField("reason", "names_person", nil)
		}
		by := "admin"
		if w.Actor.Operator {
			by = Operator
		}
		erase := authn.EraseUser{By: actorOf(w, rows)}
		if u.Email != "" && !u.EmailVerifiedAt.IsZero() {
			erase.Letter = &authn.Letter{ID: authn.NewID(authn.MessageID, now, s.c.Random), Template: "account_erased", To: u.Email, At: now,
				ExpiresAt: now.Add(lastLetterLives), Args: map[string]string{"locale": u.Locale, "by": by}}
		}
		writes := []authn.Write{erase}
		if hasRole(*u, Owner) {
			writes = append(writes, authn.KeepOwner{})
		}
		return Done{Writes: writes}, nil
	}, nil
}

// saysWho reports whether a text holds what a person is known by. Names of one or
// two letters are part of any word.
func saysWho(text string, u authn.User) bool {
	text = strings.ToLower(text)
	for _, s := range []string{u.Login, u.Email, u.Name, u.Phone} {
		if s = strings.ToLower(s); len(s) > 2 && strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// Erased says which of the people of a page of the log were erased, by id. It
// asks for no permission: whoever calls it has shown that they may read the log.
func (s *Service) Erased(ctx context.Context, company string, users []string) (map[string]authn.Tombstone, error) {
	list, err := s.c.Store.Tombstones(ctx, company, users)
	if err != nil {
		return nil, fmt.Errorf("directory: erased: %w", err)
	}
	out := make(map[string]authn.Tombstone, len(list))
	for _, t := range list {
		out[t.User] = t
	}
	return out, nil
}

// EraseCompany makes a company unreadable, and unknown to whoever asks for it,
// from now on and for good. Only the operator can: there is no way to it but the
// command. Its rows are deleted by PurgeCompany; a server that runs does that too.
//
// Errors: NotFound.
func (s *Service) EraseCompany(ctx context.Context, company string) error {
	if err := s.c.Store.EraseCompany(ctx, company, s.c.Now()); err != nil {
		return fmt.Errorf("directory: erase company: %w", err)
	}
	return nil
}

// Erasing are the companies that were erased and of which rows may be left.
func (s *Service) Erasing(ctx context.Context) ([]authn.ErasedCompany, error) {
	list, err := s.c.Store.Erasing(ctx)
	if err != nil {
		return nil, fmt.Errorf("directory: erasing: %w", err)
	}
	return list, nil
}

// PurgeCompany deletes rows of a company that was erased, in at most so many
// batches of 500, and reports whether all are gone. It may be cut off and repeated.
func (s *Service) PurgeCompany(ctx context.Context, company string, batches int) (bool, error) {
	done, err := s.c.Store.PurgeCompany(ctx, company, s.c.Now(), batches)
	if err != nil {
		return false, fmt.Errorf("directory: purge company: %w", err)
	}
	return done, nil
}

// EraseUser is the act Erase for somebody who typed the person's login as well:
// what looks the same on a page, or as an id, is not.
//
// Errors: those of Do; Invalid (field login).
func (s *Service) EraseUser(ctx context.Context, w Who, id, login, reason string) (Outcome, error) {
	if !w.Actor.Operator {
		if _, err := s.Check(ctx, w, UsersIdentity); err != nil {
			return Outcome{}, err
		}
	}
	u, _, err := s.Lookup(ctx, authn.Company{ID: w.Company}, id)
	if err != nil {
		return Outcome{}, err
	}
	typed, ok := authn.CanonicalLogin(login)
	if name, _ := authn.CanonicalLogin(u.Login); !ok || typed != name {
		return Outcome{}, authn.InvalidField("login", "not_theirs", nil)
	}
	return s.Do(ctx, w, PersonAct{Do: Erase, Target: u.ID, Reason: reason})
}
