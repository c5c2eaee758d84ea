package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// DuoState is a company's Duo as an owner sees it. The secret key is never in it.
type DuoState struct {
	Own       bool
	Version   int64
	Settings  authn.DuoSettings
	HasSecret bool
	UpdatedAt time.Time
	UpdatedBy string
}

// DuoChange is what an owner typed. An empty secret key keeps the saved one, where
// integration key and host are the saved ones too (ruling 32).
type DuoChange struct {
	authn.DuoSettings
	From int64
}

// HasDuo reports whether companies can have Duo here.
func (s *Service) HasDuo() bool { return s != nil && s.c.Duo != nil }

// Duo is a company's Duo.
//
// Errors: Forbidden, NotFound (this server knows no Duo).
func (s *Service) Duo(ctx context.Context, w Who) (DuoState, error) {
	if !s.HasDuo() {
		return DuoState{}, authn.NotFound
	}
	if _, err := s.view(ctx, w, allowed); err != nil {
		return DuoState{}, err
	}
	return s.DuoOf(ctx, w.Token.Company)
}

// DuoOf is Duo for the operator.
func (s *Service) DuoOf(ctx context.Context, company string) (DuoState, error) {
	p, err := s.c.Store.Provider(ctx, company, authn.Duo)
	if err != nil {
		return DuoState{}, fmt.Errorf("provider: %w", err)
	}
	st := DuoState{Own: p.Settings != nil, Version: p.Version, UpdatedAt: p.UpdatedAt, UpdatedBy: p.UpdatedBy}
	st.Settings, err = decodeDuo(p.Settings)
	st.HasSecret, st.Settings.SKey = st.Settings.SKey != "", ""
	return st, err
}

func decodeDuo(b []byte) (d authn.DuoSettings, err error) {
	if b != nil && json.Unmarshal(b, &d) != nil {
		return d, errors.New("provider: stored settings cannot be read")
	}
	return d, nil
}

func (s *Service) mergeDuo(p authn.Provider, ch DuoChange) (authn.DuoSettings, error) {
	d := ch.DuoSettings
	d.IKey, d.SKey, d.Host = strings.TrimSpace(d.IKey), strings.TrimSpace(d.SKey), strings.ToLower(strings.TrimSpace(d.Host))
	saved, err := decodeDuo(p.Settings)
	if err != nil {
		return d, err
	}
	again := false
	if d.SKey == "" && saved.SKey != "" {
		if again = saved.Target() != d.Target(); !again {
			d.SKey = saved.SKey
		}
	}
	fields := s.c.Duo.Check(d)
	for i := range fields {
		if again && fields[i].Name == "skey" {
			fields[i].Code, fields[i].Key = "again", "field.again_secret"
		}
	}
	if len(fields) > 0 {
		return d, &authn.Error{Code: authn.Invalid, Fields: fields}
	}
	return d, nil
}

// SetDuo saves a company's Duo application. It need not work.
//
// Errors: as SetTexts.
func (s *Service) SetDuo(ctx context.Context, w Who, ch DuoChange) (DuoState, error) {
	if !s.HasDuo() {
		return DuoState{}, authn.NotFound
	}
	if err := s.Ready(ctx, w); err != nil {
		return DuoState{}, err
	}
	return s.setDuo(ctx, s.owner(w), ch)
}

func (s *Service) setDuo(ctx context.Context, by author, ch DuoChange) (DuoState, error) {
	_, err := s.save(ctx, by, authn.Duo, ch.From, func(p authn.Provider) (saving, error) {
		d, err := s.mergeDuo(p, ch)
		if err != nil {
			return saving{}, err
		}
		doc, err := json.Marshal(d)
		return saving{doc: doc, host: d.Host, provides: true}, err
	})
	if err != nil {
		return DuoState{}, err
	}
	return s.DuoOf(ctx, by.keys.Company)
}

// RemoveDuo takes a company's Duo away: whoever has only that needs a help code.
//
// Errors: as SetTexts.
func (s *Service) RemoveDuo(ctx context.Context, w Who, from int64) (DuoState, error) {
	if !s.HasDuo() {
		return DuoState{}, authn.NotFound
	}
	if err := s.Ready(ctx, w); err != nil {
		return DuoState{}, err
	}
	return s.removeDuo(ctx, s.owner(w), from)
}

func (s *Service) removeDuo(ctx context.Context, by author, from int64) (DuoState, error) {
	if _, err := s.save(ctx, by, authn.Duo, from, func(authn.Provider) (saving, error) { return saving{}, nil }); err != nil {
		return DuoState{}, err
	}
	return s.DuoOf(ctx, by.keys.Company)
}

// TestDuo tries a Duo application without saving it: is it there ("connect"), do the
// clocks agree ("clock"), are the keys right ("sign_in"). A zero change tries what is saved.
//
// Errors: Forbidden, StepUpRequired, PolicyForbids, Invalid, TooManyRequests.
func (s *Service) TestDuo(ctx context.Context, w Who, ch DuoChange) (Result, error) {
	if !s.HasDuo() {
		return Result{}, authn.NotFound
	}
	if _, err := s.view(ctx, w, s.fresh); err != nil {
		return Result{}, err
	}
	return s.testDuo(ctx, s.owner(w), ch)
}

func (s *Service) testDuo(ctx context.Context, by author, ch DuoChange) (Result, error) {
	p, err := s.c.Store.Provider(ctx, by.keys.Company, authn.Duo)
	if err != nil {
		return Result{}, fmt.Errorf("provider: %w", err)
	}
	d, err := decodeDuo(p.Settings)
	if err == nil && (ch.DuoSettings != (authn.DuoSettings{}) || p.Settings == nil) {
		d, err = s.mergeDuo(p, ch)
	}
	if err != nil {
		return Result{}, fmt.Errorf("provider: %w", err)
	}
	if err := s.spendTest(ctx, by, authn.Duo, d.Host); err != nil {
		return Result{}, err
	}
	return s.TryDuo(ctx, d)
}

// TryDuo walks the way to a Duo application; for the operator, who asks nobody.
func (s *Service) TryDuo(ctx context.Context, d authn.DuoSettings) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	start := time.Now() // not the configured clock: it measures
	steps, err := s.c.Duo.Try(ctx, d)
	if err != nil {
		return Result{}, fmt.Errorf("provider: %w", err)
	}
	return Result{Steps: apart(steps), Took: time.Since(start), OK: len(steps) > 0 && steps[len(steps)-1].OK}, nil
}

// apart makes two steps of the first, which tells of the host and of the clocks.
func apart(steps []authn.MailStep) []authn.MailStep {
	if len(steps) == 0 || !steps[0].OK {
		return steps
	}
	host, clock := steps[0], authn.MailStep{Stage: "clock", OK: true, Reason: steps[0].Reason, Ahead: steps[0].Ahead}
	host.Reason, host.Ahead = "", 0
	return append([]authn.MailStep{host, clock}, steps[1:]...)
}

// Settings are a company's for a kind of proof, as its method reads them; nil: it
// has none.
func (s *Service) Settings(ctx context.Context, company string, kind authn.Kind) ([]byte, error) {
	if kind != authn.Duo {
		return nil, nil
	}
	p, err := s.c.Store.Provider(ctx, company, kind)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	return p.Settings, nil
}
