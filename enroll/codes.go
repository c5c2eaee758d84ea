package enroll

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// set is a set of backup codes that was made and is not stored yet.
type set struct {
	shown []string
	saved []authn.SavedCode
}

func hasCodes(factors []authn.Factor) bool {
	return slices.ContainsFunc(factors, func(f authn.Factor) bool { return f.Kind == authn.BackupCode && f.State == authn.Confirmed })
}

// newCodes makes the set that comes with the first way of one's own (requirement
// E1), for whoever has none; nil if there is no need of one. A code to the
// account's own address is no way that a person can lose.
func (s *Service) newCodes(rows *authn.Rows, m authn.Method) (*set, error) {
	if s.codes == nil || hasCodes(rows.Factors) || !policy.OwnPossession.Meets(m.Traits()) {
		return nil, nil
	}
	if doc, err := policy.Current(*rows.Company, s.now()); err != nil || !doc.Offers(authn.BackupCode) {
		return nil, err
	}
	return s.makeCodes()
}

func (s *Service) makeCodes() (*set, error) {
	shown, saved, err := s.codes.NewSet()
	if err != nil {
		return nil, fmt.Errorf("enroll: backup codes: %w", err)
	}
	return &set{shown, saved}, nil
}

// keep is what writes a set. The codes stay readable to the same session for a
// few minutes, so that download and Reload work (ruling 43).
func (s *Service) keep(rows *authn.Rows, codes *set, epoch int64, now time.Time) (authn.Factor, []authn.Write, error) {
	shown, err := json.Marshal(codes.shown)
	if err != nil {
		return authn.Factor{}, nil, fmt.Errorf("enroll: backup codes: %w", err)
	}
	doc, err := policy.Current(*rows.Company, now)
	if err != nil {
		return authn.Factor{}, nil, fmt.Errorf("enroll: backup codes: %w", err)
	}
	f := authn.Factor{
		Company: rows.Company.ID, ID: authn.NewID(authn.FactorID, now, s.random), User: rows.User.ID, Kind: authn.BackupCode, Round: doc.AllowedAgain[authn.BackupCode],
		State: authn.Confirmed, Epoch: epoch, Attempt: asker(rows), CreatedAt: now, ConfirmAt: now, Left: len(codes.saved),
	}
	return f, []authn.Write{authn.NewFactor{Factor: f, Secret: shown}, authn.NewCodes{Factor: f.ID, Codes: codes.saved}}, nil
}

// NewCodes makes ten new backup codes; the old ones die with the call.
//
// Errors: StepUpRequired, PolicyForbids (two-factor is off, or there is no way of
// one's own that they could stand in for), Unauthenticated.
func (s *Service) NewCodes(ctx context.Context, w Who) (Changed, error) {
	if s.codes == nil {
		return Changed{}, authn.PolicyForbids
	}
	k := s.keys(w)
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: backup codes: %w", err)
	}
	if err := s.mayHaveCodes(&rows, k.Now); err != nil {
		return Changed{}, err
	}
	codes, err := s.makeCodes()
	if err != nil {
		return Changed{}, err
	}
	var out Changed
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		out = Changed{}
		if err := s.mayHaveCodes(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		writes, changed := s.moved(rows, *rows.Session, k.Now)
		f, more, err := s.keep(rows, codes, changed.Session.Epoch, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		changed.Factor, changed.Codes = f, codes.shown
		out = changed
		return authn.Accept(s.event("backup_codes.made", rows, w, k.Now, f), append(more, writes...)...)
	})
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: backup codes: %w", err)
	}
	return out, nil
}

func (s *Service) mayHaveCodes(rows *authn.Rows, now time.Time) error {
	if rows.Attempt != nil {
		return authn.Forbidden
	}
	doc, err := s.fresh(rows, now)
	if err != nil {
		return err
	}
	if doc.Sleeps(*rows.User) {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.two_factor_off"}
	}
	if !doc.Offers(authn.BackupCode) {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.method_not_offered"}
	}
	if !slices.ContainsFunc(policy.Second(doc, *rows.User, rows.Factors, s.traits(rows.Company)), func(f authn.Factor) bool {
		t, _ := s.traits(rows.Company)(f.Kind)
		return policy.OwnPossession.Meets(t)
	}) {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.no_way_for_codes"}
	}
	return nil
}

// ShownCodes are the backup codes that were just made, while they can still be
// shown: to the sign-in that made them, until CodesSaved, for ten minutes.
//
// Errors: NotFound (not there, or not any more).
func (s *Service) ShownCodes(ctx context.Context, w Who) (authn.Factor, []string, error) {
	k := s.keys(w)
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return authn.Factor{}, nil, fmt.Errorf("enroll: backup codes: %w", err)
	}
	if rows.Attempt == nil {
		if err := policy.CheckSession(&rows, k.Now); err != nil {
			return authn.Factor{}, nil, err
		}
	}
	f := rows.FactorOf(authn.BackupCode, authn.Confirmed)
	if f == nil {
		return authn.Factor{}, nil, authn.NotFound
	}
	k.Factor = f.ID
	shown, err := s.store.ShownCodes(ctx, k)
	if err != nil {
		return authn.Factor{}, nil, fmt.Errorf("enroll: backup codes: %w", err)
	}
	var codes []string
	if err := json.Unmarshal(shown, &codes); err != nil || len(codes) == 0 {
		return authn.Factor{}, nil, authn.NotFound
	}
	return *f, codes, nil
}

// CodesSaved forgets what of the backup codes could still be shown.
func (s *Service) CodesSaved(ctx context.Context, w Who) error {
	k := s.keys(w)
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if rows.Attempt == nil {
			if err := policy.CheckSession(rows, k.Now); err != nil {
				return authn.Drop(err)
			}
		}
		f := rows.FactorOf(authn.BackupCode, authn.Confirmed)
		if f == nil || f.Attempt != asker(rows) {
			return authn.Continue()
		}
		return authn.Accept(s.event("backup_codes.saved", rows, w, k.Now, *f), authn.DropSecret{ID: f.ID})
	})
	if err != nil {
		return fmt.Errorf("enroll: backup codes: %w", err)
	}
	return nil
}

// Prefer makes a way the one that sign-in asks for first (requirement F6).
//
// Errors: NotFound, Invalid (field preferred: backup codes never are).
func (s *Service) Prefer(ctx context.Context, w Who, id string) (authn.Factor, error) {
	k := s.keys(w)
	var out authn.Factor
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := policy.CheckSession(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		f := rows.Factor(id)
		switch {
		case f == nil || f.Kind == authn.Password || f.Kind == authn.BypassCode || f.State == authn.Fallback:
			return authn.Drop(authn.NotFound)
		case f.Kind == authn.BackupCode || f.State != authn.Confirmed:
			return authn.Drop(authn.InvalidField("preferred", "invalid", nil))
		}
		out = *f
		u := *rows.User
		u.Preferred = id
		return authn.Accept(s.event("factor.preferred", rows, w, k.Now, *f), authn.PutUser{User: u}, authn.KnowBrowser{Factor: id, Known: true})
	})
	if err != nil {
		return authn.Factor{}, fmt.Errorf("enroll: prefer: %w", err)
	}
	return out, nil
}

// withCodes adds a set to a verdict that makes the first way of one's own active.
func (s *Service) withCodes(v authn.Verdict, rows *authn.Rows, w Who, codes *set, now time.Time) authn.Verdict {
	f, writes, err := s.keep(rows, codes, rows.User.Epoch+1, now)
	if err != nil {
		return authn.Drop(err)
	}
	return v.With(writes...).And(s.event("backup_codes.made", rows, w, now, f))
}
