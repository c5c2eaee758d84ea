package enroll

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/remote"
)

// Begin makes a pending factor. replaces is the id of the active factor of
// that kind; it must be given if there is one, so that nobody replaces what
// they do not know of.
//
// Errors: StepUpRequired, PolicyForbids, Conflict (replaces missing or stale; the
// number or the name at the service is somebody else's way), Invalid (field
// method), ProviderUnavailable, Unauthenticated.
func (s *Service) Begin(ctx context.Context, w Who, kind authn.Kind, replaces string) (Pending, error) {
	return s.begin(ctx, w, kind, replaces, authn.Request{})
}

// BeginPhone makes a pending factor of a mobile number, and sends a code to it.
// country (ISO 3166 alpha-2) is where a number without a country code is from.
//
// Errors: those of Begin, Invalid (field phone), PolicyForbids (a country that the
// company sends no texts to), TooManyRequests, MessageNotSent.
func (s *Service) BeginPhone(ctx context.Context, w Who, replaces, phone, country string) (Pending, error) {
	return s.begin(ctx, w, authn.SMS, replaces, authn.Request{Phone: phone, Country: country})
}

func (s *Service) begin(ctx context.Context, w Who, kind authn.Kind, replaces string, ask authn.Request) (Pending, error) {
	m, ok := s.methods[kind].(authn.Enroller)
	if !ok {
		return Pending{}, authn.InvalidField("method", "not_one_of", nil)
	}
	k := s.keys(w)
	rows, err := s.store.View(ctx, k)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: begin: %w", err)
	}
	if _, _, err := s.mayBegin(&rows, m, replaces, k.Now); err != nil {
		return Pending{}, err
	}
	if _, here := s.traits(rows.Company)(kind); !here {
		return Pending{}, authn.InvalidField("method", "not_one_of", nil)
	}
	shown, price, err := s.prepare(ctx, m, &rows, w, k.Now, ask)
	if err != nil {
		return Pending{}, fmt.Errorf("enroll: begin: %w", err)
	}
	var p Pending
	var letter string
	k.Sent = kind.Challenged()
	err = s.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		doc, old, err := s.mayBegin(rows, m, replaces, k.Now)
		if err != nil {
			return authn.Drop(err)
		}
		f := authn.Factor{
			Company: rows.Company.ID, ID: authn.NewID(authn.FactorID, k.Now, s.random), User: rows.User.ID, Kind: kind,
			State: authn.Pending, Data: shown.Data, Epoch: rows.User.Epoch, Attempt: asker(rows), CreatedAt: k.Now, ExpiresAt: k.Now.Add(s.life.Setup),
		}
		p, letter = Pending{Company: *rows.Company, User: *rows.User, Factor: f, Replaces: old}, ""
		writes := []authn.Write{authn.NewFactor{Factor: f, Secret: shown.Secret, Subject: shown.Subject}}
		if c, ok := m.(authn.Ceremony); ok {
			ask, err := s.question(rows, doc, c, f, k.Now, &p)
			if err != nil {
				return authn.Drop(err)
			}
			writes = append(writes, ask)
		}
		if kind.Sent() {
			if kind == authn.SMS {
				f.Destination = string(shown.Secret)
			}
			more, id, err := s.send(rows, doc, w, f, authn.CodeSetUp, price, &p)
			if err != nil {
				return authn.Drop(err)
			}
			writes, letter = append(writes, more...), id
		}
		return authn.Accept(s.event("factor.begun", rows, w, k.Now, f), writes...)
	})
	s.asked(ctx, kind, w, err)
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
	if !doc.Offers(m.Kind()) {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.method_not_offered"}
	}
	if !least(doc, *rows.User, rows.Attempt != nil).Meets(m.Traits()) {
		return &authn.Error{Code: authn.PolicyForbids, Key: "error.too_weak"}
	}
	if rows.Attempt == nil {
		return nil
	}
	for _, p := range rows.Attempt.Proofs {
		// Who must prove two kinds has shown this one, and sets up another.
		f := rows.Factor(p.Factor)
		switch {
		case f == nil || f.State != authn.Confirmed || doc.Unmet(*f) != "":
		case f.HandedOver() && m.Kind() != f.Kind:
			return &authn.Error{Code: authn.PolicyForbids, Key: "error.replace_app"} // that first
		case f.Kind == m.Kind() && !f.HandedOver():
			return &authn.Error{Code: authn.PolicyForbids, Key: "error.another_kind"}
		}
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

// mayBegin says whether a factor may be begun now, and gives the policy and the
// active one that it replaces. It is asked before an outside service is.
func (s *Service) mayBegin(rows *authn.Rows, m authn.Enroller, replaces string, now time.Time) (policy.Document, *authn.Factor, error) {
	doc, err := s.fresh(rows, now)
	if err != nil {
		return doc, nil, err
	}
	if doc.Sleeps(*rows.User) {
		return doc, nil, &authn.Error{Code: authn.PolicyForbids, Key: "error.two_factor_off"}
	}
	old := rows.FactorOf(m.Kind(), authn.Confirmed)
	if m.Kind().Several() {
		if len(active(rows, m.Kind())) >= MaxSeveral {
			return doc, nil, &authn.Error{Code: authn.PolicyForbids, Key: "error.too_many_passkeys", Args: map[string]any{"N": MaxSeveral}}
		}
		old = nil // one more takes the place of none
	}
	// In a sign-in nothing is listed, so that what is replaced cannot be named.
	if rows.Attempt == nil && (old == nil && replaces != "" || old != nil && old.ID != replaces) {
		return doc, nil, &authn.Error{Code: authn.Conflict, Key: "error.replaces"}
	}
	return doc, old, s.suits(doc, rows, m)
}

// prepare asks the method what a new factor needs, and for texts what they cost.
func (s *Service) prepare(ctx context.Context, m authn.Enroller, rows *authn.Rows, w Who, now time.Time, ask authn.Request) (authn.Shown, policy.Pricing, error) {
	var err error
	ask.Company, ask.User, ask.Client, ask.Now = *rows.Company, *rows.User, w.Client, now.Unix()
	if ask.Settings, err = s.settings(ctx, rows.Company.ID, m.Kind()); err != nil {
		return authn.Shown{}, nil, err
	}
	if err := s.reach(ctx, rows, m.Kind()); err != nil {
		return authn.Shown{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, remote.AskTimeout)
	defer cancel()
	shown, err := m.Begin(ctx, ask)
	if err != nil {
		return authn.Shown{}, nil, err
	}
	price, err := s.price(ctx, rows.Company.ID, m.Kind())
	return shown, price, err
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
	p := Pending{Company: *rows.Company, User: *rows.User, Factor: *f, Sent: of(rows.Challenges, f.ID), ResendAt: policy.ResendAt(of(slices.Concat(rows.SentBefore, rows.Challenges), f.ID)),
		Address: address(*f, *rows.User)}
	if !f.Kind.Several() {
		p.Replaces = rows.FactorOf(f.Kind, authn.Confirmed)
	}
	p.Elsewhere = s.elsewhere(ctx, m, &rows, *f, secret, w)
	return s.shown(m, p, secret)
}
