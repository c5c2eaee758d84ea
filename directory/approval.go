package directory

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// madeBefore is for how long nobody's word counts whose account or ways to verify
// the requester made or reset (ruling 20).
const madeBefore = 30 * 24 * time.Hour

// Approvals are the acts of the company that wait or waited, newest first, from
// the one after the id before; about one person, if target is not empty.
//
// Errors: those of Check.
func (s *Service) Approvals(ctx context.Context, w Who, target, before string, limit int) ([]authn.Approval, error) {
	if _, err := s.Check(ctx, w, UsersRead); err != nil {
		return nil, err
	}
	list, err := s.c.Store.Approvals(ctx, w.Company, target, before, limit)
	if err != nil {
		return nil, fmt.Errorf("directory: approvals: %w", err)
	}
	return list, nil
}

// Approve gives the second person's word: neither the requester's nor the
// target's, nor that of anybody whom the requester made or reset within 30 days,
// and never a key's (ruling 20). The requester can then do the act for a day.
//
// Errors: those of Act; Conflict (error.approval_over), Expired.
func (s *Service) Approve(ctx context.Context, w Who, id, reason string) (authn.Approval, error) {
	ap, kind, err := s.approval(ctx, w, id)
	if err != nil {
		return ap, err
	}
	acted := false
	if !w.Actor.Operator {
		seen, err := s.Check(ctx, w, kind.permission)
		if err != nil {
			return ap, err
		}
		since := authn.NewID(authn.EventID, s.c.Now().Add(-madeBefore), zeros{})
		if acted, err = s.c.Store.ActedOn(ctx, w.Company, ap.Requester, seen.User.ID, since); err != nil {
			return ap, fmt.Errorf("directory: approve: %w", err)
		}
	}
	a := Act{Type: "approval.given", Permission: kind.permission, Fresh: true, Target: ap.Target, Self: true, Reason: reason, Approval: id}
	return s.decideApproval(ctx, w, a, func(rows *authn.Rows, ap *authn.Approval, now time.Time) error {
		switch {
		case !w.Actor.Operator && rows.By.Key != nil:
			return forbidden("key")
		case !w.Actor.Operator && (rows.By.User.ID == ap.Requester || rows.By.User.ID == ap.Target):
			return forbidden("own_approval")
		case acted:
			return forbidden("made_by_requester")
		case !ap.ApprovedAt.IsZero():
			return &authn.Error{Code: authn.Conflict, Key: "error.approval_over"}
		}
		ap.ApprovedBy, ap.ApprovedAt = actorOf(w, rows), now
		if end := now.Add(authn.ApprovalLives); end.Before(ap.ExpiresAt) {
			ap.ExpiresAt = end // ruling 20
		}
		return nil
	})
}

// Cancel stops an act that waits. Its target, its requester and whoever could
// approve it may.
//
// Errors: those of Act; Conflict (error.approval_over), Expired.
func (s *Service) Cancel(ctx context.Context, w Who, id, reason string) (authn.Approval, error) {
	ap, kind, err := s.approval(ctx, w, id)
	if err != nil {
		return ap, err
	}
	a := Act{Type: "approval.cancelled", Permission: kind.permission, Target: ap.Target, Self: true, Reason: reason, Approval: id}
	if seen, err := s.Check(ctx, w, ""); err == nil && seen.Key == nil && seen.User.ID == ap.Target {
		a.Permission = "" // whom it is about
	}
	return s.decideApproval(ctx, w, a, func(rows *authn.Rows, ap *authn.Approval, now time.Time) error {
		ap.CancelledBy, ap.CancelledAt = actorOf(w, rows), now
		return nil
	})
}

// Repeat does what waited, as it was asked for by w and by nobody else: with all
// that was said then. A secret that was typed is not kept, so that an API account
// gets one that is made here.
//
// Errors: those of Do; Forbidden (somebody else asked), Conflict (error.approval_over).
func (s *Service) Repeat(ctx context.Context, w Who, id string) (authn.Approval, Outcome, error) {
	ap, _, err := s.approval(ctx, w, id)
	if err != nil {
		return ap, Outcome{}, err
	}
	seen, err := s.Check(ctx, w, "")
	switch {
	case err != nil:
		return ap, Outcome{}, err
	case seen.Key != nil || seen.User.ID != ap.Requester:
		return ap, Outcome{}, authn.Forbidden
	case !ap.Open(s.c.Now()):
		return ap, Outcome{}, &authn.Error{Code: authn.Conflict, Key: "error.approval_over"}
	}
	out, err := s.Do(ctx, w, PersonAct{Do: ap.Do, Target: ap.Target, Args: ap.Args, Reason: ap.Reason})
	return ap, out, err
}

// Says is what an act that waits says beside its name: whoever gives their word for
// it has to know. Of a number there are the last digits only.
func Says(ap authn.Approval) map[string]string {
	said := maps.Clone(ap.Args)
	delete(said, "country") // part of the number
	if said["phone"] != "" {
		said["phone"] = policy.Mask(authn.SMS, said["phone"])
	}
	return said
}

// approval finds what waits, for somebody of its company.
func (s *Service) approval(ctx context.Context, w Who, id string) (authn.Approval, personAct, error) {
	k, err := s.actKeys(w, Act{Approval: id})
	if err != nil {
		return authn.Approval{}, personAct{}, err
	}
	rows, err := s.c.Store.View(ctx, k)
	if err != nil {
		return authn.Approval{}, personAct{}, fmt.Errorf("directory: approval: %w", err)
	}
	if err := s.authorize(w, &rows, Act{}, k.Now); err != nil {
		return authn.Approval{}, personAct{}, err
	}
	if rows.Approval == nil {
		return authn.Approval{}, personAct{}, authn.NotFound
	}
	kind, ok := personActs[rows.Approval.Do]
	if !ok {
		return authn.Approval{}, personAct{}, authn.NotFound
	}
	return *rows.Approval, kind, nil
}

// decideApproval changes what waits, if it still can come to something.
func (s *Service) decideApproval(ctx context.Context, w Who, a Act, f func(*authn.Rows, *authn.Approval, time.Time) error) (authn.Approval, error) {
	var out authn.Approval
	err := s.act(ctx, w, a, func(rows *authn.Rows, now time.Time) authn.Verdict {
		if rows.Approval == nil || rows.Approval.Target != rows.User.ID {
			return authn.Drop(authn.NotFound)
		}
		out = *rows.Approval
		if !out.Open(now) || out.Epoch != rows.User.Epoch {
			return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.approval_over"})
		}
		if err := f(rows, &out, now); err != nil {
			return authn.Drop(err)
		}
		return authn.Accept(s.actEvent(w, rows, a, now, authn.Succeeded, approvalDetail(out)), authn.PutApproval{Approval: out})
	})
	return out, err
}

// zeros makes the smallest id of a moment.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
