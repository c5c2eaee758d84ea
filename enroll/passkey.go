package enroll

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// active are the person's factors of a kind that are not pending, those that sleep too.
func active(rows *authn.Rows, kind authn.Kind) []authn.Factor {
	list := []authn.Factor{}
	for _, f := range rows.Factors {
		if f.Kind == kind && (f.State == authn.Confirmed || f.State == authn.Asleep) {
			list = append(list, f)
		}
	}
	return list
}

// question asks the person's device for a new credential, and for none that it has.
func (s *Service) question(rows *authn.Rows, doc policy.Document, m authn.Ceremony, f authn.Factor, now time.Time, p *Pending) (authn.Write, error) {
	demands, err := doc.PasskeyDemands()
	if err != nil {
		return nil, fmt.Errorf("enroll: %w", err)
	}
	q, err := m.Create(authn.Request{Company: *rows.Company, User: *rows.User, Attempt: rows.Attempt, Factor: f, Now: now.Unix(), Settings: demands}, active(rows, m.Kind()))
	if err != nil {
		return nil, fmt.Errorf("enroll: %w", err)
	}
	ch := authn.Challenge{Company: rows.Company.ID, ID: authn.NewID(authn.MessageID, now, s.random), User: rows.User.ID, Attempt: asker(rows), Factor: f.ID, Kind: m.Kind(),
		Purpose: authn.CodeSetUp, Lane: rows.Lane, Detail: q.Kept, CreatedAt: now, ExpiresAt: now.Add(authn.CeremonyLives)}
	p.Options, p.Sent = q.Options, []authn.Challenge{ch}
	return authn.NewChallenge{Challenge: ch}, nil
}

// askAnew is Send for what the person's device is asked.
func (s *Service) askAnew(ctx context.Context, w Who, k authn.Keys, m authn.Ceremony, id string) (Pending, error) {
	var p Pending
	err := s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		p = Pending{}
		f, err := s.pending(rows, id, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		doc, err := policy.Current(*rows.Company, k.Now)
		if err != nil {
			return authn.Drop(fmt.Errorf("enroll: %w", err))
		}
		p = Pending{Company: *rows.Company, User: *rows.User, Factor: *f, Version: versionOf(*f)}
		ask, err := s.question(rows, doc, m, *f, k.Now, &p)
		if err != nil {
			return authn.Drop(err)
		}
		return authn.Continue(ask)
	})
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: send: %w", err)
	}
	return p, nil
}

// answered refuses what answers no question that is still open, before it is charged for.
func answered(rows *authn.Rows, m authn.Ceremony, id string, a authn.Answer) error {
	_, challenge, err := m.Answered(a)
	if err != nil {
		return err
	}
	for _, c := range of(rows.Challenges, id) {
		if bytes.Equal(m.Asked(c.Detail), challenge) {
			return nil
		}
	}
	return &authn.Error{Code: authn.Expired, Key: "error.passkey_expired"}
}
