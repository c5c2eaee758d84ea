package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/phone"
)

// TextState is a company's texts as an owner sees them. No secret is in it.
type TextState struct {
	Own       bool // it has settings of its own
	Version   int64
	Settings  authn.TextSettings     // as they count; secrets taken out
	HasSecret []bool                 // by provider
	Health    []authn.ProviderHealth // by provider
	Server    bool                   // the operator has a provider, for companies without
	Offered   bool                   // people can use texts
	UpdatedAt time.Time
	UpdatedBy string
	Usage     []Usage
	Delivered int // of the reports that came today
	Failed    int
}

// TextChange is what an owner typed. A provider without a secret keeps the saved
// one of the same target (ruling 32).
type TextChange struct {
	authn.TextSettings
	From int64 // the version that the form was made from; 0: whatever there is
}

// TextDrivers names the drivers and the fields that each needs, sorted.
func (s *Service) TextDrivers() []TextDriver {
	var out []TextDriver
	for name, d := range s.c.Drivers {
		out = append(out, TextDriver{name, d.Fields()})
	}
	slices.SortFunc(out, func(a, b TextDriver) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// TextDriver is one kind of provider, and the fields of its form.
type TextDriver struct {
	Name   string
	Fields []string
}

// HasTexts reports whether companies can have providers of texts here. It may be
// asked of a nil Service, as HasMail and HasDuo.
func (s *Service) HasTexts() bool { return s != nil && (len(s.c.Drivers) > 0 || s.c.Text != nil) }

// Texts is how a company sends text messages.
//
// Errors: Forbidden, NotFound (this server knows no texts).
func (s *Service) Texts(ctx context.Context, w Who) (TextState, error) {
	if !s.HasTexts() {
		return TextState{}, authn.NotFound
	}
	rows, err := s.view(ctx, w, allowed)
	if err != nil {
		return TextState{}, err
	}
	return s.TextsOf(ctx, rows.Company.ID)
}

// TextsOf is Texts for the operator.
func (s *Service) TextsOf(ctx context.Context, company string) (TextState, error) {
	p, err := s.c.Store.Provider(ctx, company, authn.SMS)
	if err != nil {
		return TextState{}, fmt.Errorf("provider: %w", err)
	}
	st := TextState{Own: p.Settings != nil, Version: p.Version, UpdatedAt: p.UpdatedAt, UpdatedBy: p.UpdatedBy,
		Server: s.c.Text != nil || len(s.c.Texts.Providers) > 0}
	if st.Settings, err = s.rules(p); err != nil {
		return st, err
	}
	if !st.Own {
		st.Settings.Providers = nil // the operator's business
	}
	st.Settings.Providers = slices.Clone(st.Settings.Providers)
	for i := range st.Settings.Providers {
		st.HasSecret = append(st.HasSecret, st.Settings.Providers[i].Secret != "")
		st.Settings.Providers[i].Secret = ""
	}
	st.Offered = (st.Server || len(st.Settings.Providers) > 0) && len(st.Settings.Countries) > 0
	if st.Usage, err = s.usage(ctx, company); err != nil {
		return st, err
	}
	health, err := s.c.Store.ProviderHealth(ctx, company, authn.SMS, p.Version)
	if err != nil {
		return st, fmt.Errorf("provider: %w", err)
	}
	for i, x := range st.Settings.Providers {
		h := authn.ProviderHealth{Name: linkName(i, x)}
		for _, noted := range health {
			if noted.Name == h.Name {
				h = noted
			}
		}
		st.Health = append(st.Health, h)
	}
	spent, err := s.c.Store.Budgets(ctx, company, s.c.Now())
	for _, x := range spent {
		switch x.Scope {
		case "delivered":
			st.Delivered += x.N
		case "undelivered":
			st.Failed += x.N
		}
	}
	return st, err
}

// mergeTexts gives the settings that a change means, or what is wrong with them.
// Fields of providers are named "providers.0.account" and so on.
func (s *Service) mergeTexts(p authn.Provider, ch TextChange) (authn.TextSettings, error) {
	t := ch.TextSettings
	t.Providers = slices.Clone(t.Providers)
	saved, err := decodeTexts(p.Settings)
	if err != nil {
		return t, err
	}
	var fields []authn.Field
	wrong := func(name, code string, args map[string]any) {
		fields = append(fields, authn.Field{Name: name, Code: code, Args: args})
	}
	if len(t.Providers) > MaxProviders {
		fields = append(fields, authn.Field{Name: "providers", Code: "too_many", Key: "field.at_most", Args: map[string]any{"Max": MaxProviders}})
	}
	if len(t.Providers) == 0 && s.c.Text == nil && len(s.c.Texts.Providers) == 0 {
		wrong("providers", "required", nil)
	}
	for i := range t.Providers {
		fields = append(fields, s.mergeProvider(i, &t.Providers[i], saved)...)
	}
	fields = append(fields, s.cleanLimits(&t)...)
	if fields != nil {
		return t, &authn.Error{Code: authn.Invalid, Fields: fields}
	}
	return t, nil
}

func (s *Service) mergeProvider(i int, p *authn.TextProvider, saved authn.TextSettings) []authn.Field {
	place := fmt.Sprintf("providers.%d.", i)
	d := s.c.Drivers[p.Driver]
	if d == nil {
		return []authn.Field{{Name: place + "driver", Code: "not_one_of"}}
	}
	for _, f := range []*string{&p.Account, &p.Secret, &p.From, &p.Region, &p.URL} {
		*f = strings.TrimSpace(*f)
	}
	if p.Secret == "" {
		again := false
		for _, old := range saved.Providers {
			if old.Target() == p.Target() {
				p.Secret = old.Secret
			}
			again = again || old.Driver == p.Driver
		}
		if p.Secret == "" && again && slices.Contains(d.Fields(), "secret") {
			return []authn.Field{{Name: place + "secret", Code: "again", Key: "field.again_secret"}}
		}
	}
	_, err := d.Open(*p)
	var e *authn.Error
	if !errors.As(err, &e) {
		return nil
	}
	var fields []authn.Field
	for _, f := range e.Fields {
		f.Name = place + f.Name
		fields = append(fields, f)
	}
	return fields
}

// cleanLimits makes countries and limits fit to be stored.
func (s *Service) cleanLimits(t *authn.TextSettings) []authn.Field {
	var fields []authn.Field
	wrong := func(name, code string, args map[string]any) {
		fields = append(fields, authn.Field{Name: name, Code: code, Args: args})
	}
	var countries []string
	for _, c := range t.Countries {
		c = strings.ToUpper(strings.TrimSpace(c))
		switch {
		case !phone.KnownCountry(c):
			wrong("countries", "invalid", nil)
		case len(t.Providers) == 0 && len(s.c.Texts.Countries) > 0 && !slices.Contains(s.c.Texts.Countries, c):
			wrong("countries", "not_allowed", nil)
		case !slices.Contains(countries, c):
			countries = append(countries, c)
		}
	}
	t.Countries = countries
	switch {
	case len(countries) == 0 && fields == nil:
		wrong("countries", "required", nil)
	case len(countries) > maxCountries:
		fields = append(fields, authn.Field{Name: "countries", Code: "too_many", Key: "field.at_most", Args: map[string]any{"Max": maxCountries}})
	}
	t.Currency = strings.ToUpper(strings.TrimSpace(t.Currency))
	if t.Currency != "" && (len(t.Currency) != 3 || strings.Trim(t.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		wrong("currency", "invalid", nil)
	}
	for _, f := range []struct {
		name string
		n    int64
	}{{"price", t.Price}, {"day_texts", int64(t.DayTexts)}, {"month_texts", int64(t.MonTexts)}, {"day_money", t.DayMoney / 1000}, {"month_money", t.MonMoney / 1000}} {
		if f.n < 0 || f.n > maxLimit {
			wrong(f.name, "out_of_range", map[string]any{"Max": maxLimit})
		}
	}
	if t.Currency == "" && (t.Price > 0 || t.DayMoney > 0 || t.MonMoney > 0) {
		wrong("currency", "required", nil)
	}
	if t.Price == 0 && (t.DayMoney > 0 || t.MonMoney > 0) {
		wrong("price", "required", nil)
	}
	return fields
}

// SetTexts saves how a company sends text messages. It need not work.
//
// Errors: Forbidden, StepUpRequired, PolicyForbids (a way on probation), Invalid,
// Conflict (somebody else saved meanwhile).
func (s *Service) SetTexts(ctx context.Context, w Who, ch TextChange) (TextState, error) {
	if !s.HasTexts() {
		return TextState{}, authn.NotFound
	}
	if err := s.Ready(ctx, w); err != nil {
		return TextState{}, err
	}
	return s.setTexts(ctx, s.owner(w), ch)
}

func (s *Service) setTexts(ctx context.Context, by author, ch TextChange) (TextState, error) {
	p, err := s.save(ctx, by, authn.SMS, ch.From, func(p authn.Provider) (saving, error) {
		t, err := s.mergeTexts(p, ch)
		if err != nil {
			return saving{}, err
		}
		doc, err := json.Marshal(t)
		to := saving{doc: doc, provides: len(t.Providers) > 0}
		if to.provides {
			to.host = t.Providers[0].Driver
		}
		return to, err
	})
	if err != nil {
		return TextState{}, err
	}
	return s.TextsOf(ctx, p.Company)
}

// RemoveTexts goes back to the server's providers, if it has any.
//
// Errors: as SetTexts.
func (s *Service) RemoveTexts(ctx context.Context, w Who, from int64) (TextState, error) {
	if !s.HasTexts() {
		return TextState{}, authn.NotFound
	}
	if err := s.Ready(ctx, w); err != nil {
		return TextState{}, err
	}
	return s.removeTexts(ctx, s.owner(w), from)
}

func (s *Service) removeTexts(ctx context.Context, by author, from int64) (TextState, error) {
	p, err := s.save(ctx, by, authn.SMS, from, func(authn.Provider) (saving, error) { return saving{}, nil })
	if err != nil {
		return TextState{}, err
	}
	return s.TextsOf(ctx, p.Company)
}

// TextResult is how a test went.
type TextResult struct {
	OK     bool
	Took   time.Duration
	Stage  string // where it failed
	Reason string // a stable word that pages explain
	Code   string // the provider's
	Reply  string // its own words
}

// TestTexts sends a text to a number through provider n of the settings, without
// saving them; a zero change tries what is saved. country is where a number without
// a country code is from; empty: the company's own. It costs what any text does.
//
// Errors: NotFound, Forbidden, StepUpRequired, PolicyForbids, Invalid (fields to and
// provider, and those of SetTexts), TooManyRequests.
func (s *Service) TestTexts(ctx context.Context, w Who, ch TextChange, n int, to, country string) (TextResult, error) {
	if !s.HasTexts() {
		return TextResult{}, authn.NotFound
	}
	rows, err := s.view(ctx, w, s.fresh)
	if err != nil {
		return TextResult{}, err
	}
	return s.testTexts(ctx, s.owner(w), rows, ch, n, to, country)
}

func (s *Service) testTexts(ctx context.Context, by author, rows authn.Rows, ch TextChange, n int, to, country string) (TextResult, error) {
	t, rules, err := s.triedTexts(ctx, by.keys.Company, ch)
	if err != nil {
		return TextResult{}, fmt.Errorf("provider: %w", err)
	}
	if country == "" && len(rules.Countries) > 0 {
		country = rules.Countries[0]
	}
	number, err := phone.Parse(to, country)
	if err != nil {
		return TextResult{}, badNumber(err)
	}
	sender, host, err := s.tested(t, n)
	if err != nil {
		return TextResult{}, err
	}
	var reader authn.User
	if rows.User != nil {
		reader = *rows.User
	}
	m, err := s.testText(*rows.Company, reader, number.E164, by.keys.Now)
	if err != nil {
		return TextResult{}, err
	}
	spent, err := price(rules, authn.TextAsk{To: number.E164, User: by.id(&rows), Address: by.client.Address, Now: by.keys.Now})
	if err != nil {
		return TextResult{}, err
	}
	if err := s.spendTest(ctx, by, authn.SMS, host, authn.SpendBudget{Of: spent}); err != nil {
		return TextResult{}, err
	}
	return tryText(ctx, sender, m), nil
}

// triedTexts are the settings that a test is about, and the limits that count for it.
func (s *Service) triedTexts(ctx context.Context, company string, ch TextChange) (t, counts authn.TextSettings, err error) {
	p, err := s.c.Store.Provider(ctx, company, authn.SMS)
	if err != nil {
		return t, counts, err
	}
	if len(ch.Providers)+len(ch.Countries) == 0 {
		if t, err = decodeTexts(p.Settings); err == nil {
			counts, err = s.rules(p)
		}
		return t, counts, err
	}
	t, err = s.mergeTexts(p, ch)
	return t, s.bounded(t), err
}

// badNumber says what is wrong with a number that was typed.
func badNumber(err error) error {
	code := phone.Problem(err)
	return &authn.Error{Code: authn.Invalid, Fields: []authn.Field{{Name: "to", Code: code, Key: "field.phone." + code}}}
}

// testText writes the message of a test.
func (s *Service) testText(c authn.Company, u authn.User, to string, now time.Time) (authn.Message, error) {
	m, err := s.c.Render(authn.Letter{Company: c, User: u, ID: authn.NewID(authn.MessageID, now, s.c.Random), Channel: authn.SMS,
		Template: "test", To: to, At: now})
	if err != nil {
		return m, fmt.Errorf("provider: test message: %w", err)
	}
	return m, nil
}

// tested is what a test sends through, and its name.
func (s *Service) tested(t authn.TextSettings, n int) (authn.Sender, string, error) {
	if len(t.Providers) == 0 && s.c.Text != nil {
		return s.c.Text, "server", nil
	}
	list, name := t.Providers, ""
	if len(list) == 0 {
		list, name = s.c.Texts.Providers, "server"
	}
	if n < 0 || n >= len(list) {
		return nil, "", authn.InvalidField("provider", "not_one_of", nil)
	}
	d := s.c.Drivers[list[n].Driver]
	if d == nil {
		return nil, "", authn.InvalidField("provider", "not_one_of", nil)
	}
	sender, err := d.Open(list[n])
	if name == "" {
		name = list[n].Driver
	}
	return sender, name, err
}

// testTimeout is how long a test waits for a provider.
const testTimeout = 10 * time.Second

func tryText(ctx context.Context, sender authn.Sender, m authn.Message) TextResult {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	start := time.Now() // not the configured clock: it measures
	var out TextResult
	var err error
	if t, ok := sender.(authn.TextSender); ok {
		var r authn.TextReply
		r, err = t.Try(ctx, m)
		out.Reply, out.Code = r.Raw, r.Reference
	} else {
		err = sender.Send(ctx, m)
	}
	out.Took, out.OK = time.Since(start), err == nil
	var se *authn.SendError
	switch {
	case errors.As(err, &se):
		out.Stage, out.Code, out.Reply, out.Reason = se.Stage, se.Code, se.Reply, se.Reason
	case err != nil:
		out.Stage = "connect"
	}
	if !out.OK && out.Reason == "" {
		out.Reason = "other"
	}
	return out
}

// Receipt takes a delivery report of a provider of a company. It changes no
// budget (ruling 13), and counts a message once.
//
// Errors: NotFound (no such provider), Forbidden (not signed by it), Invalid.
func (s *Service) Receipt(ctx context.Context, company, name string, r authn.ReceiptRequest) error {
	p, err := s.c.Store.Provider(ctx, company, authn.SMS)
	if err != nil {
		return fmt.Errorf("provider: %w", err)
	}
	t, err := decodeTexts(p.Settings)
	if err != nil {
		return err
	}
	i := -1
	for j, x := range t.Providers {
		if linkName(j, x) == name {
			i = j
		}
	}
	if i < 0 {
		return authn.NotFound
	}
	d, ok := s.c.Drivers[t.Providers[i].Driver].(authn.TextReceipts)
	if !ok {
		return authn.NotFound
	}
	now := s.c.Now()
	r.URL, r.Now = s.c.PublicURL+ReceiptPath(company, name)+r.URL, now
	got, err := d.Receipt(t.Providers[i], r)
	if err != nil || got.State != "delivered" && got.State != "failed" {
		return err
	}
	day := now.UTC().Truncate(24 * time.Hour)
	count := authn.Spending{Scope: "delivered", Subject: name, From: day, Until: day.AddDate(0, 0, 1)}
	if got.State == "failed" {
		count.Scope = "undelivered"
	}
	once := authn.Spending{Scope: "receipt", Subject: name + " " + got.Reference, Hidden: true, From: day, Until: day.AddDate(0, 0, 1), Most: 1}
	err = s.c.Store.Decide(ctx, authn.Keys{Company: company, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Continue(authn.SpendBudget{Of: []authn.Spending{once, count}})
	})
	if authn.AsError(err).Code == authn.TooManyRequests {
		return nil // reported before
	}
	return err
}
