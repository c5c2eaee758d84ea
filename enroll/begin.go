package enroll

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Begin makes a pending factor. replaces is the id of the active factor of
// that kind; it must be given if there is one, so that nobody replaces what
// they do not know of.
//
// Errors: StepUpRequired, PolicyForbids, Conflict (replaces missing or stale),
// Invalid (field method), Unauthenticated.
func (s *Service) Begin(ctx context.Context, w Who, kind authn.Kind, replaces string) (Pending, error) {
	m, ok := s.methods[kind].(authn.Enroller)
	if !ok {
		return Pending{}, authn.InvalidField("method", "not_one_of", nil)
	}
	k := s.keys(w)
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: begin: %w", err)
	}
	if _, err := s.fresh(&rows, k.Now); err != nil {
		return Pending{}, err
	}
	shown, err := m.Begin(ctx, authn.Request{Company: *rows.Company, User: *rows.User, Client: w.Client, Now: k.Now.Unix()})
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: begin: %w", err)
	}
	var p Pending
	var letter string
	k.Sent = kind.Sent()
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		doc, err := s.fresh(rows, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		if doc.TwoFactor == policy.Off {
			return authn.Drop(&authn.Error{Code: authn.PolicyForbids, Key: "error.two_factor_off"})
		}
		old := rows.FactorOf(kind, authn.Confirmed)
		// In a sign-in nothing is listed, so that what is replaced cannot be named.
		if rows.Attempt == nil && (old == nil && replaces != "" || old != nil && old.ID != replaces) {
			return authn.Drop(&authn.Error{Code: authn.Conflict, Key: "error.replaces"})
		}
		if err := s.suits(doc, rows, m); err != nil {
			return authn.Drop(err)
		}
		f := authn.Factor{
			Company: rows.Company.ID, ID: authn.NewID(authn.FactorID, k.Now, s.random), User: rows.User.ID, Kind: kind,
			State: authn.Pending, Data: shown.Data, Epoch: rows.User.Epoch, Attempt: asker(rows), CreatedAt: k.Now, ExpiresAt: k.Now.Add(s.life.Setup),
		}
		p, letter = Pending{Company: *rows.Company, User: *rows.User, Factor: f, Replaces: old}, ""
		writes := []authn.Write{authn.NewFactor{Factor: f, Secret: shown.Secret}}
		if kind.Sent() {
			more, id, err := s.send(rows, doc, w, f, rows.User.Email, authn.CodeSetUp, &p)
			if err != nil {
				return authn.Drop(err)
			}
			writes, letter = append(writes, more...), id
		}
		return authn.Accept(s.event("factor.begun", rows, w, k.Now, f), writes...)
	})
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: begin: %w", err)
	}
	if letter != "" {
		if err := s.deliver.Deliver(ctx, p.Company.ID, letter); err != nil {
			return p, fmt.Errorf("enroll: begin: %w", err)
		}
	}
	return s.shown(m, p, shown.Secret)
}

// suits refuses a way that would not be enough for what asks for it.
func (s *Service) suits(doc policy.Document, rows *authn.Rows, m authn.Method) error {
	if !least(doc, *rows.User, rows.Attempt != nil).Meets(m.Traits()) {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.too_weak"}
	}
	return nil
}

// probation refuses changes while a way that an administrator's code opened is
// new: whoever talked their way to that code cannot at once take over the rest
// (ruling 18).
func probation(factors []authn.Factor, now time.Time) error {
	for _, f := range factors {
		if f.State == authn.Confirmed && f.ProbationUntil.After(now) {
			return &authn.Error{Code: authn.PolicyForbids, Key: "error.probation", ExpiresAt: f.ProbationUntil}
		}
	}
	return nil
}

func (s *Service) shown(m authn.Enroller, p Pending, secret []byte) (Pending, error) {
	var err error
	p.Version = versionOf(p.Factor)
	p.Shown, err = m.Present(authn.Request{Company: p.Company, User: p.User, Factor: p.Factor, Secret: secret})
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: present: %w", err)
	}
	return p, nil
}

// Show gives a pending factor again, so that its page can be reloaded.
//
// Errors: NotFound (no such pending factor of this person), Expired.
func (s *Service) Show(ctx context.Context, w Who, id string) (Pending, error) {
	k := s.keys(w)
	k.Sent = true
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: show: %w", err)
	}
	f, err := s.pending(&rows, id, k.Now)
	if err != nil {
		return Pending{}, err
	}
	m, ok := s.methods[f.Kind].(authn.Enroller)
	if !ok {
		return Pending{}, authn.NotFound
	}
	k.Factor = id
	secret, err := s.store.PendingSecret(ctx, k)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: show: %w", err)
	}
	return s.shown(m, Pending{Company: *rows.Company, User: *rows.User, Factor: *f, Sent: of(rows.Challenges, f.ID), ResendAt: policy.ResendAt(of(slices.Concat(rows.SentBefore, rows.Challenges), f.ID)),
		Address: address(*f, *rows.User), Replaces: rows.FactorOf(f.Kind, authn.Confirmed)}, secret)
}
