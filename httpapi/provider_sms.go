package httpapi

import (
	"net/http"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
)

// smsProvider is how a company sends text messages. No secret is in it.
type smsProvider struct {
	State       provider.Health `json:"state"`
	Version     int64           `json:"version"`
	Own         bool            `json:"own"`
	Server      bool            `json:"server"`
	Offered     bool            `json:"offered"`
	Providers   []smsLink       `json:"providers"`
	Countries   []string        `json:"countries"`
	Currency    string          `json:"currency,omitempty"`
	Price       int64           `json:"price,omitempty"`
	DayTexts    int             `json:"day_texts"`
	MonthTexts  int             `json:"month_texts"`
	DayMoney    int64           `json:"day_money,omitempty"`
	MonthMoney  int64           `json:"month_money,omitempty"`
	Usage       []smsUsage      `json:"usage"`
	Delivered   int             `json:"delivered_today"`
	Undelivered int             `json:"undelivered_today"`
	Drivers     []smsDriver     `json:"drivers"`
	UpdatedAt   *time.Time      `json:"updated_at,omitempty"`
	UpdatedBy   string          `json:"updated_by,omitempty"`
}

// smsLink is one of the providers, which are tried in order.
type smsLink struct {
	Driver       string          `json:"driver"`
	Account      string          `json:"account,omitempty"`
	HasSecret    bool            `json:"has_secret"`
	From         string          `json:"from,omitempty"`
	Region       string          `json:"region,omitempty"`
	URL          string          `json:"url,omitempty"`
	State        provider.Health `json:"state"`
	LastSentAt   *time.Time      `json:"last_sent_at,omitempty"`
	LastFailedAt *time.Time      `json:"last_failed_at,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Text         string          `json:"text,omitempty"`
	Advice       string          `json:"advice,omitempty"`
}

type smsUsage struct {
	Window    string    `json:"window"`
	Used      int       `json:"used"`
	Most      int       `json:"most"`
	Money     int64     `json:"money,omitempty"`
	MostMoney int64     `json:"most_money,omitempty"`
	Percent   int       `json:"percent"`
	Until     time.Time `json:"until"`
}

type smsDriver struct {
	Name   string   `json:"name"`
	Fields []string `json:"fields"`
}

// windows are the names of the budgets that owners see.
var windows = map[string]string{"company_day": "day", "company_month": "month"}

func (a *API) smsProviderOf(st provider.TextState, words wording) smsProvider {
	t := st.Settings
	out := smsProvider{State: st.State(), Version: st.Version, Own: st.Own, Server: st.Server, Offered: st.Offered, Providers: []smsLink{},
		Countries: append([]string{}, t.Countries...), Currency: t.Currency, Price: t.Price, DayTexts: t.DayTexts, MonthTexts: t.MonTexts,
		DayMoney: t.DayMoney, MonthMoney: t.MonMoney, Usage: []smsUsage{}, Delivered: st.Delivered, Undelivered: st.Failed, Drivers: []smsDriver{},
		UpdatedAt: maybe(st.UpdatedAt), UpdatedBy: st.UpdatedBy}
	for i, p := range t.Providers {
		h := st.Health[i]
		link := smsLink{Driver: p.Driver, Account: p.Account, HasSecret: st.HasSecret[i], From: p.From, Region: p.Region, URL: p.URL,
			State: provider.HealthOf(h), LastSentAt: maybe(h.SentAt), LastFailedAt: maybe(h.FailedAt)}
		if h.Failed != "" {
			step := provider.LastFailure(h)
			link.Reason = step.Reason
			link.Text, link.Advice = words(authn.SMS, step)
		}
		out.Providers = append(out.Providers, link)
	}
	for _, u := range st.Usage {
		out.Usage = append(out.Usage, smsUsage{Window: windows[u.Scope], Used: u.N, Most: u.Most, Money: u.Money, MostMoney: u.MostMoney,
			Percent: u.Percent(), Until: stamp(u.Until)})
	}
	for _, d := range a.Providers.TextDrivers() {
		out.Drivers = append(out.Drivers, smsDriver{Name: d.Name, Fields: append([]string{}, d.Fields...)})
	}
	return out
}

// smsSettings are what a request says; a provider without a secret keeps the saved
// one of the same account.
type smsSettings struct {
	Version   int64  `json:"version"`
	Reason    string `json:"reason"`
	Providers []struct {
		Driver  string `json:"driver"`
		Account string `json:"account"`
		Secret  string `json:"secret"`
		From    string `json:"from"`
		Region  string `json:"region"`
		URL     string `json:"url"`
	} `json:"providers"`
	Countries  []string `json:"countries"`
	Currency   string   `json:"currency"`
	Price      int64    `json:"price"`
	DayTexts   int      `json:"day_texts"`
	MonthTexts int      `json:"month_texts"`
	DayMoney   int64    `json:"day_money"`
	MonthMoney int64    `json:"month_money"`
}

func (s smsSettings) change() provider.TextChange {
	ch := provider.TextChange{From: s.Version, TextSettings: authn.TextSettings{Countries: s.Countries, Currency: s.Currency, Price: s.Price,
		DayTexts: s.DayTexts, MonTexts: s.MonthTexts, DayMoney: s.DayMoney, MonMoney: s.MonthMoney}}
	for _, p := range s.Providers {
		ch.Providers = append(ch.Providers, authn.TextProvider{Driver: p.Driver, Account: p.Account, Secret: p.Secret, From: p.From, Region: p.Region, URL: p.URL})
	}
	return ch
}

// wording puts a step of a test into words of the caller's language.
type wording func(channel authn.Kind, s authn.MailStep) (text, advice string)

func (a *API) wording(r *http.Request, c caller) wording {
	lang := a.language(r, c.User)
	return func(channel authn.Kind, s authn.MailStep) (string, string) {
		return provider.WordsOf(channel, s, func(key string) string { return a.Texts.Text(lang, key, nil) }, a.Texts.Has)
	}
}

func (a *API) answerSMS(w http.ResponseWriter, r *http.Request, c caller, st provider.TextState, err error) error {
	if err != nil {
		return err
	}
	return httpserve.WriteJSON(w, http.StatusOK, a.smsProviderOf(st, a.wording(r, c)))
}

// smsProvider is GET /providers/sms.
func (a *API) smsProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasTexts() {
		return authn.NotFound
	}
	st, err := a.Providers.Texts(r.Context(), c.asker(""))
	return a.answerSMS(w, r, c, st, err)
}

// setSMSProvider is PUT /providers/sms.
func (a *API) setSMSProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasTexts() {
		return authn.NotFound
	}
	var in smsSettings
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	st, err := a.Providers.SetTexts(r.Context(), c.asker(in.Reason), in.change())
	return a.answerSMS(w, r, c, st, err)
}

// removeSMSProvider is DELETE /providers/sms.
func (a *API) removeSMSProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasTexts() {
		return authn.NotFound
	}
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	st, err := a.Providers.RemoveTexts(r.Context(), c.asker(reason), 0)
	return a.answerSMS(w, r, c, st, err)
}

// smsTest is how a test went.
type smsTest struct {
	OK     bool   `json:"ok"`
	TookMS int64  `json:"took_ms"`
	Text   string `json:"text"`
	Advice string `json:"advice,omitempty"`
	Stage  string `json:"stage,omitempty"`
	Reason string `json:"reason,omitempty"`
	Code   string `json:"code,omitempty"`
	Reply  string `json:"reply,omitempty"`
}

// testSMSProvider is POST /providers/sms/test.
func (a *API) testSMSProvider(w http.ResponseWriter, r *http.Request, c caller) error {
	if !a.Providers.HasTexts() {
		return authn.NotFound
	}
	var in struct {
		smsSettings
		Provider int    `json:"provider"`
		To       string `json:"to"`
		Country  string `json:"country"`
	}
	if err := httpserve.Decode(r, &in); err != nil {
		return err
	}
	res, err := a.Providers.TestTexts(r.Context(), c.asker(in.Reason), in.change(), in.Provider, in.To, in.Country)
	if err != nil {
		return err
	}
	out := smsTest{OK: res.OK, TookMS: res.Took.Milliseconds(), Stage: res.Stage, Reason: res.Reason, Code: res.Code, Reply: res.Reply}
	out.Text, out.Advice = a.wording(r, c)(authn.SMS, res.Step())
	return httpserve.WriteJSON(w, http.StatusOK, out)
}
