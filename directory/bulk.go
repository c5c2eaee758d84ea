package directory

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// MaxBulk is how many people an act on several takes at once.
const MaxBulk = 200

// Touched is what an act on several people came to for one of them.
type Touched struct {
	ID   string
	User authn.User // zero: there is nobody of that id
	// Waits: it waits for a second person.
	Waits bool
	// Err is why nothing was done: an *authn.Error, whose text says it.
	Err error
}

// Bulk does an act that takes no arguments to each of up to 200 people; Remind,
// too, where do is "remind". Each is audited by itself, with the reason, which may
// be empty. It ends early with the error of who asks: Unauthenticated, Forbidden
// for all, StepUpRequired.
//
// Errors: Invalid (fields people, do), those of Check.
func (s *Service) Bulk(ctx context.Context, w Who, do, reason string, ids []string) ([]Touched, error) {
	a, ok := ActOf(do)
	if do == RemindPeople {
		a, ok = Act{Type: "user.reminded", Permission: UsersWrite}, true
	}
	switch {
	case !ok || do != RemindPeople && do != RequireTwo:
		return nil, authn.InvalidField("do", "not_one_of", nil)
	case len(ids) == 0:
		return nil, authn.InvalidField("people", "required", nil)
	case len(ids) > MaxBulk:
		return nil, &authn.Error{Code: authn.Invalid, Fields: []authn.Field{{Name: "people", Code: "too_many", Key: "field.too_many_people", Args: map[string]any{"Max": MaxBulk}}}}
	}
	if _, err := CleanReason(reason); err != nil {
		return nil, err
	}
	a.Reason = reason
	if _, err := s.Check(ctx, w, a.Permission); err != nil {
		return nil, err
	}
	if err := s.Ready(ctx, w, a); err != nil {
		return nil, err
	}
	var list []Touched
	done := map[string]bool{}
	for _, id := range ids {
		if done[id] {
			continue
		}
		done[id] = true
		t := Touched{ID: id}
		switch {
		case !authn.CheckID(authn.UserID, id):
			t.Err = authn.NotFound
		case do == RemindPeople:
			t.User, t.Err = s.remindOne(ctx, w, a, id)
		default:
			var out Outcome
			out, t.Err = s.Do(ctx, w, PersonAct{Do: do, Target: id, Reason: reason})
			t.User, t.Waits = out.User, out.Waits != nil
		}
		switch e := authn.AsError(t.Err); {
		case t.Err == nil:
		case e.Code == authn.Unauthenticated || e.Code == authn.StepUpRequired || e.Code == authn.Busy || e.Code == authn.Internal || ctx.Err() != nil:
			return list, t.Err // what was done stays done; who asks again asks for the rest
		default:
			t.Err = e
			if t.User.ID == "" && e.Code != authn.NotFound {
				t.User, _, _ = s.Lookup(ctx, authn.Company{ID: w.Company}, id)
			}
		}
		list = append(list, t)
	}
	return list, nil
}

// RemindPeople is the act of Bulk that writes to people who must set up a way to
// verify, and have not: at most one letter a day and person.
const RemindPeople = "remind"

var errNotDue = &authn.Error{Code: authn.Conflict, Key: "error.remind_not_due"}

func (s *Service) remindOne(ctx context.Context, w Who, a Act, id string) (authn.User, error) {
	a.Target = id
	var u authn.User
	err := s.act(ctx, w, a, func(rows *authn.Rows, now time.Time) authn.Verdict {
		u = *rows.User
		doc, err := policy.Parse(rows.Company.Policy)
		if err != nil {
			return authn.Drop(err)
		}
		switch {
		case !due(doc, authn.ShapeOf(u, rows.Factors, now)):
			return authn.Drop(errNotDue)
		case u.Email == "" || u.EmailVerifiedAt.IsZero():
			return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.remind_no_address"})
		}
		letter := authn.Letter{ID: authn.NewID(authn.MessageID, now, s.c.Random), Template: "set_up_reminder", To: u.Email, At: now,
			ExpiresAt: now.Add(24 * time.Hour), Args: map[string]string{"name": u.Name}}
		day := now.UTC().Truncate(24 * time.Hour)
		once := authn.Spending{Scope: "reminder", Subject: u.ID, Hidden: true, From: day, Until: day.Add(24 * time.Hour), Most: 1}
		return authn.Accept(s.actEvent(w, rows, a, now, authn.Succeeded, nil), authn.SpendBudget{Of: []authn.Spending{once}}, authn.NewLetter{Letter: letter})
	})
	if errors.Is(err, authn.TooManyRequests) {
		err = &authn.Error{Code: authn.TooManyRequests, Key: "error.remind_today", Err: err}
	}
	return u, err
}
