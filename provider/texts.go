package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/phone"
)

// The budgets of text messages that are the same for every company (security
// section 5, ruling 13). Prefix, dial code and address count only what goes to
// numbers that are not verified.
const (
	perNumberTenMinutes = 4
	perNumberDay        = 15
	// What browsers that the person never used can take of these, so that whoever
	// knows a password cannot use them up for its owner (ruling 10).
	strangersTenMinutes = 3
	strangersDay        = 10
	perUserDay          = 30
	perPrefixHour       = 20
	perAddressHour      = 10
	perDialDay          = 300
)

// WarnAt is the part of a company's limit, in percent, at which its owners are told.
const WarnAt = 80

// MaxProviders is how many providers of texts a company can have.
const MaxProviders = 5

const (
	maxCountries = 50
	maxLimit     = 10_000_000
)

func decodeTexts(b []byte) (t authn.TextSettings, err error) {
	if b != nil && json.Unmarshal(b, &t) != nil {
		return t, errors.New("provider: stored settings cannot be read")
	}
	return t, nil
}

// rules are a company's settings as they count: where it sends through the
// operator's providers, no further than the operator allows.
func (s *Service) rules(p authn.Provider) (authn.TextSettings, error) {
	if p.Settings == nil {
		return s.c.Texts.WithDefaults(), nil
	}
	own, err := decodeTexts(p.Settings)
	return s.bounded(own), err
}

// bounded are a company's settings within what the operator allows: whoever sends
// through providers of their own is free.
func (s *Service) bounded(own authn.TextSettings) authn.TextSettings {
	own = own.WithDefaults()
	if len(own.Providers) > 0 {
		return own
	}
	server := s.c.Texts.WithDefaults()
	own.Countries = slices.DeleteFunc(slices.Clone(own.Countries), func(c string) bool { return !slices.Contains(server.Countries, c) })
	own.DayTexts, own.MonTexts = min(own.DayTexts, server.DayTexts), min(own.MonTexts, server.MonTexts)
	own.Price, own.Currency = server.Price, server.Currency
	own.DayMoney, own.MonMoney = least(own.DayMoney, server.DayMoney), least(own.MonMoney, server.MonMoney)
	return own
}

// least of two limits, of which 0 is none.
func least(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Price gives a company's rules as they are now, as a pure function; see
// signin.Texts.
//
// Errors of the function: PolicyForbids (Key error.text_country: the company sends
// no texts there; error.text_number: no mobile number).
func (s *Service) Price(ctx context.Context, company string) (func(authn.TextAsk) ([]authn.Spending, error), error) {
	p, err := s.c.Store.Provider(ctx, company, authn.SMS)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	t, err := s.rules(p)
	if err != nil {
		return nil, err
	}
	return func(ask authn.TextAsk) ([]authn.Spending, error) { return price(t, ask) }, nil
}

// Countries are where a company sends texts to; the first is its own.
func (s *Service) Countries(ctx context.Context, company string) ([]string, error) {
	p, err := s.c.Store.Provider(ctx, company, authn.SMS)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	t, err := s.rules(p)
	return t.Countries, err
}

func price(t authn.TextSettings, ask authn.TextAsk) ([]authn.Spending, error) {
	n, err := phone.FromE164(ask.To)
	if err != nil {
		return nil, &authn.Error{Code: authn.PolicyForbids, Key: "error.text_number"}
	}
	if !slices.Contains(t.Countries, n.Country) {
		return nil, &authn.Error{Code: authn.PolicyForbids, Key: "error.text_country"}
	}
	now := ask.Now.UTC()
	in := func(scope, subject string, hidden bool, window time.Duration, most int) authn.Spending {
		from := now.Truncate(window)
		return authn.Spending{Scope: scope, Subject: subject, Hidden: hidden, From: from, Until: from.Add(window), Most: most}
	}
	day := 24 * time.Hour
	out := append(company(t, now),
		in("number", n.E164, true, 10*time.Minute, perNumberTenMinutes),
		in("number_day", n.E164, true, day, perNumberDay),
		in("user", ask.User, true, day, perUserDay))
	if ask.Lane == authn.Stranger {
		out = append(out,
			in("number_stranger", n.E164, true, 10*time.Minute, strangersTenMinutes),
			in("number_day_stranger", n.E164, true, day, strangersDay))
	}
	if ask.Verified {
		return out, nil
	}
	out = append(out,
		in("prefix", n.Prefix(), true, time.Hour, perPrefixHour),
		in("dial", n.Dial, false, day, min(perDialDay, t.DayTexts)))
	for _, w := range []authn.Spending{in("came_back_prefix", n.Prefix(), true, authn.ConversionBucket, 0), in("came_back_dial", n.Dial, false, authn.ConversionBucket, 0)} {
		w.Watch = true
		out = append(out, w)
	}
	if net := network(ask.Address); net != "" {
		out = append(out, in("address", net, true, time.Hour, perAddressHour))
	}
	return out, nil
}

// company are the counts of a whole company, by day and by calendar month.
func company(t authn.TextSettings, now time.Time) []authn.Spending {
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	today := now.Truncate(24 * time.Hour)
	out := []authn.Spending{
		{Scope: "company_day", From: today, Until: today.AddDate(0, 0, 1), Most: t.DayTexts, MostMoney: t.DayMoney},
		{Scope: "company_month", From: month, Until: month.AddDate(0, 1, 0), Most: t.MonTexts, MostMoney: t.MonMoney},
	}
	for i := range out {
		if t.Currency != "" {
			out[i].Money = t.Price
		} else {
			out[i].MostMoney = 0
		}
	}
	return out
}

// network is what an address is counted as: IPv4 by itself, IPv6 by its /64.
func network(a netip.Addr) string {
	a = a.Unmap()
	if !a.IsValid() {
		return ""
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// Asked is told how asking for a text ended, and tells the owners what they should
// know: that a budget of the company is nearly or wholly used up, or that too few
// codes come back. Each is told once in its window.
func (s *Service) Asked(ctx context.Context, company string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	var b *authn.BudgetError
	if errors.As(err, &b) {
		if b.Watch || strings.HasPrefix(b.Scope, "company_") {
			s.alert(ctx, company, "texts_stopped", b.Scope, b.Subject, b.Until)
		}
		return
	}
	if err != nil {
		return
	}
	used, err := s.usage(ctx, company)
	if err != nil {
		s.c.Log.WarnContext(ctx, "texts: budgets not read", "company", company, "error", err)
		return
	}
	for _, u := range used {
		if u.Percent() >= WarnAt {
			s.alert(ctx, company, "texts_warning", u.Scope, "", u.Until)
		}
	}
}

// alert writes the event and the letters to the owners, once until a time.
func (s *Service) alert(ctx context.Context, company, template, scope, subject string, until time.Time) {
	now := s.c.Now()
	day := now.UTC().Truncate(24 * time.Hour)
	once := authn.Spending{Scope: "alert", Subject: template + " " + scope + " " + subject, From: day, Until: day.AddDate(0, 0, 1), Most: 1}
	if scope == "company_month" {
		once.From, once.Until = time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC), until
	}
	ev := authn.Event{Company: company, ID: authn.NewID(authn.EventID, now, s.c.Random), Type: "texts.limit_near", Result: authn.Succeeded, At: now,
		Personal: authn.Personal{Detail: map[string]string{"scope": scope}}}
	if template == "texts_stopped" {
		ev.Type, ev.Result = "texts.stopped", authn.Refused
	}
	if subject != "" {
		ev.Personal.Detail["dial"] = subject
	}
	letter := authn.Letter{Template: authn.Template(template), Channel: authn.Email, At: now, Args: map[string]string{"scope": scope, "dial": subject}}
	err := s.c.Store.Decide(ctx, authn.Keys{Company: company, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(ev, authn.SpendBudget{Of: []authn.Spending{once}}, authn.TellOwners{Letter: letter})
	})
	if err != nil && authn.AsError(err).Code != authn.TooManyRequests {
		s.c.Log.WarnContext(ctx, "texts: owners not told", "company", company, "error", err)
	}
}

// Usage is how one of a company's budgets of texts stands.
type Usage struct {
	Scope     string // "company_day" or "company_month"
	N, Most   int
	Money     int64 // in thousandths
	MostMoney int64 // 0: no limit
	Until     time.Time
}

// Percent is how much is used, of messages or money, whichever is more.
func (u Usage) Percent() int {
	p := 0
	if u.Most > 0 {
		p = u.N * 100 / u.Most
	}
	if u.MostMoney > 0 {
		p = max(p, int(u.Money*100/u.MostMoney))
	}
	return p
}

func (s *Service) usage(ctx context.Context, id string) ([]Usage, error) {
	p, err := s.c.Store.Provider(ctx, id, authn.SMS)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	t, err := s.rules(p)
	if err != nil {
		return nil, err
	}
	now := s.c.Now().UTC()
	spent, err := s.c.Store.Budgets(ctx, id, now)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	var out []Usage
	for _, w := range company(t, now) {
		u := Usage{Scope: w.Scope, Most: w.Most, MostMoney: w.MostMoney, Until: w.Until}
		for _, x := range spent {
			if x.Scope == w.Scope && x.From.Equal(w.From) {
				u.N, u.Money = x.N, x.Money
			}
		}
		out = append(out, u)
	}
	return out, nil
}
