package enroll

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Remove switches a factor off, or gives up one that was not confirmed yet.
//
// Errors: StepUpRequired, PolicyForbids (it is the last one and policy demands
// one, requirement A6), NotFound.
func (s *Service) Remove(ctx context.Context, w Who, id string) (Changed, error) {
	k := s.keys(w)
	var out Changed
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		out = Changed{}
		if err := s.present(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		f := rows.Factor(id)
		if f == nil || !f.Kind.Own() || f.State == authn.Fallback {
			return authn.Drop(authn.NotFound)
		}
		if rows.Attempt != nil && f.State != authn.Pending {
			return authn.Drop(authn.Forbidden) // an attempt deletes nothing (ruling 1)
		}
		if f.State == authn.Pending {
			// What was prepared for the person they may decline; a sign-in may not.
			if f.Attempt != asker(rows) && !(rows.Attempt == nil && f.Prepared()) {
				return authn.Drop(authn.NotFound)
			}
			// Nothing was on, so nothing is weakened.
			out = Changed{Factor: *f, Token: w.Token}
			if rows.Session != nil {
				out.Session = *rows.Session
			}
			return authn.Accept(s.event("factor.given_up", rows, w, k.Now, *f), authn.DeleteFactor{ID: id})
		}
		doc, err := s.fresh(rows, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		if policy.Demanded(doc, *rows.User) && !s.stays(doc, rows, id) {
			return authn.Drop(&authn.Error{Code: authn.PolicyForbids, Key: "error.last_factor"})
		}
		sess := *rows.Session
		if rows.User.Preferred == id {
			rows.User.Preferred = ""
		}
		writes, changed := s.moved(rows, sess, k.Now)
		changed.Factor = *f
		out = changed
		writes = append([]authn.Write{authn.DeleteFactor{ID: id}}, writes...)
		// Backup codes stand in for a way of one's own; without one they open nothing.
		if saved := rows.FactorOf(authn.BackupCode, authn.Confirmed); saved != nil && len(ownWays(rows.Factors)) <= 1 {
			writes = append([]authn.Write{authn.DeleteFactor{ID: saved.ID}}, writes...)
		}
		return authn.Accept(s.event("factor.removed", rows, w, k.Now, *f), writes...)
	})
	if err != nil {
		return Changed{}, fmt.Errorf("enroll: remove: %w", err)
	}
	return out, nil
}

// stays reports whether the person keeps a way that policy accepts when they
// give up one of theirs. Fall-back codes are over for who ever had one.
func (s *Service) stays(doc policy.Document, rows *authn.Rows, without string) bool {
	least := doc.Minimum(*rows.User)
	if doc.NeedsOwnWay(*rows.User) && least == policy.AnyStrength {
		least = policy.OwnPossession
	}
	return slices.ContainsFunc(policy.Second(doc, *rows.User, rows.Factors, s.traits(rows.Company)), func(f authn.Factor) bool {
		t, _ := s.traits(rows.Company)(f.Kind)
		return f.ID != without && least.Meets(t)
	})
}

func ownWays(factors []authn.Factor) []authn.Factor {
	return slices.DeleteFunc(slices.Clone(factors), func(f authn.Factor) bool {
		return !f.Kind.Own() || f.State == authn.Pending || f.State == authn.Fallback
	})
}

// Rename changes what a factor is called: 1–60 characters.
func (s *Service) Rename(ctx context.Context, w Who, id, name string) (authn.Factor, error) {
	k := s.keys(w)
	name, err := authn.CleanName("name", name, 60)
	if err != nil {
		return authn.Factor{}, err
	}
	var out authn.Factor
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		if err := policy.CheckSession(rows, k.Now); err != nil {
			return authn.Drop(err)
		}
		f := rows.Factor(id)
		if f == nil || !f.Kind.Own() || f.State == authn.Fallback {
			return authn.Drop(authn.NotFound)
		}
		f.Name = name
		out = *f
		return authn.Accept(s.event("factor.renamed", rows, w, k.Now, *f), authn.PutFactor{Factor: *f})
	})
	if err != nil {
		return authn.Factor{}, fmt.Errorf("enroll: rename: %w", err)
	}
	return out, nil
}
