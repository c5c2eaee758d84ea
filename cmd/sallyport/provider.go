package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
)

// channels are what a company can have a provider of, besides its mail server.
var channels = []string{"sms", "duo"}

// providerGroup is the command provider with the flag that all its commands share.
type providerGroup struct {
	*program
	company string
}

func (p *program) providerCommand() *cobra.Command {
	g := &providerGroup{program: p}
	c := p.configured(group("provider", "How a company sends text messages, and its Duo", "  sallyport provider show sms --company acme",
		g.showOne(), g.set(), g.test(), g.remove()))
	c.PersistentFlags().StringVar(&g.company, "company", "", "slug of the company; needed if there are several")
	return c
}

func (g *providerGroup) do(c *cobra.Command, f func(*opened, authn.Company) error) error {
	return g.operate(c.Context(), func(o *opened) error {
		company, err := o.company(c, g.company)
		if err != nil {
			return err
		}
		return f(o, company)
	})
}

// channel is the argument sms or duo.
func channel(args []string) (string, error) {
	if !slices.Contains(channels, args[0]) {
		return "", misuse(fmt.Sprintf("there is no provider %q; it must be %s", args[0], strings.Join(channels, " or ")))
	}
	return args[0], nil
}

// textsView is how a company sends text messages, as machines read it.
type textsView struct {
	Company   string         `json:"company"`
	Own       bool           `json:"own"`             // it has settings of its own
	Server    bool           `json:"server"`          // the server has a provider for companies without
	Offered   bool           `json:"offered"`         // people can use text messages
	Providers []textProvider `json:"providers"`       // its own, in the order in which they are tried
	Countries []string       `json:"countries"`       // the first is that of numbers without one
	Price     string         `json:"price,omitempty"` // of one text, with the currency
	Usage     []textUsage    `json:"usage"`           //
	Delivered int            `json:"delivered_today"` // as the providers report
	Failed    int            `json:"undelivered_today"`
	Version   int64          `json:"version"`
	UpdatedAt *time.Time     `json:"updated_at,omitempty"`
	UpdatedBy string         `json:"updated_by,omitempty"`
}

type textProvider struct {
	Driver    string     `json:"driver"`
	Account   string     `json:"account,omitempty"`
	HasSecret bool       `json:"has_secret"`
	From      string     `json:"from,omitempty"`
	Region    string     `json:"region,omitempty"`
	URL       string     `json:"url,omitempty"`
	SentAt    *time.Time `json:"sent_at,omitempty"`
	FailedAt  *time.Time `json:"failed_at,omitempty"`
	Failed    string     `json:"failed,omitempty"` // stage and reason of the last failure, if nothing was sent since
}

type textUsage struct {
	Scope     string    `json:"scope"` // company_day or company_month
	Texts     int       `json:"texts"`
	MostTexts int       `json:"most_texts"`
	Money     string    `json:"money,omitempty"`
	MostMoney string    `json:"most_money,omitempty"`
	Percent   int       `json:"percent"`
	Until     time.Time `json:"until"`
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func viewTexts(c authn.Company, st provider.TextState) textsView {
	t := st.Settings
	v := textsView{Company: c.Slug, Own: st.Own, Server: st.Server, Offered: st.Offered, Providers: []textProvider{}, Countries: append([]string{}, t.Countries...),
		Delivered: st.Delivered, Failed: st.Failed, Version: st.Version, UpdatedAt: moment(st.UpdatedAt), UpdatedBy: st.UpdatedBy}
	if t.Currency != "" && t.Price > 0 {
		v.Price = money(t.Price, t.Currency)
	}
	for i, p := range t.Providers {
		x := textProvider{Driver: p.Driver, Account: p.Account, HasSecret: st.HasSecret[i], From: p.From, Region: p.Region, URL: p.URL}
		for _, h := range st.Health {
			if h.Name == linkName(i, p.Driver) {
				x.SentAt, x.FailedAt, x.Failed = moment(h.SentAt), moment(h.FailedAt), h.Failed
			}
		}
		v.Providers = append(v.Providers, x)
	}
	for _, u := range st.Usage {
		x := textUsage{Scope: u.Scope, Texts: u.N, MostTexts: u.Most, Percent: u.Percent(), Until: u.Until.UTC()}
		if u.MostMoney > 0 {
			x.Money, x.MostMoney = money(u.Money, t.Currency), money(u.MostMoney, t.Currency)
		}
		v.Usage = append(v.Usage, x)
	}
	return v
}

// linkName is what package provider calls one provider of several.
func linkName(i int, driver string) string { return fmt.Sprintf("%s-%d", driver, i+1) }

func (v textsView) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s%s\n", name, fmt.Sprintf(format, args...))
	}
	switch {
	case len(v.Providers) > 0:
	case v.Server && v.Own:
		line("provider", "the server's, with rules of the company")
	case v.Server:
		line("provider", "the server's")
	default:
		line("provider", "none: nobody at %s can use text messages; `sallyport provider set sms` gives it one", v.Company)
		return b.String()
	}
	for i, p := range v.Providers {
		line(fmt.Sprintf("provider %d", i+1), "%s", p)
	}
	line("countries", "%s", strings.Join(v.Countries, ", "))
	if v.Price != "" {
		line("price", "%s a text", v.Price)
	}
	for _, u := range v.Usage {
		name := map[string]string{"company_day": "today", "company_month": "this month"}[u.Scope]
		spent := fmt.Sprintf("%d of %d texts", u.Texts, u.MostTexts)
		if u.MostMoney != "" {
			spent += fmt.Sprintf(", %s of %s", u.Money, u.MostMoney)
		}
		line(name, "%s (%d %%)", spent, u.Percent)
	}
	if v.Delivered+v.Failed > 0 {
		line("reports", "%d delivered today, %d not", v.Delivered, v.Failed)
	}
	if v.UpdatedAt != nil {
		line("changed", "%s by %s", v.UpdatedAt.Format("2006-01-02 15:04 MST"), v.UpdatedBy)
	}
	return b.String()
}

func (p textProvider) String() string {
	parts := []string{p.Driver}
	for _, f := range [][2]string{{"", p.Account}, {"from ", p.From}, {"in ", p.Region}, {"", p.URL}} {
		if f[1] != "" {
			parts = append(parts, f[0]+f[1])
		}
	}
	if !p.HasSecret {
		parts = append(parts, "no secret")
	}
	switch {
	case p.Failed != "":
		parts = append(parts, fmt.Sprintf("last message not taken (%s)", p.Failed))
	case p.SentAt != nil:
		parts = append(parts, "last sent "+p.SentAt.Format("2006-01-02 15:04 MST"))
	default:
		parts = append(parts, "nothing sent yet")
	}
	return strings.Join(parts, ", ")
}

// duoView is a company's Duo as machines read it.
type duoView struct {
	Company   string     `json:"company"`
	Own       bool       `json:"own"`
	IKey      string     `json:"ikey,omitempty"`
	Host      string     `json:"host,omitempty"`
	HasSecret bool       `json:"has_secret"`
	LetIn     bool       `json:"let_in"`
	Version   int64      `json:"version"`
	UpdatedAt *time.Time `json:"updated_at,omitempty"`
	UpdatedBy string     `json:"updated_by,omitempty"`
}

func viewDuo(c authn.Company, st provider.DuoState) duoView {
	return duoView{Company: c.Slug, Own: st.Own, IKey: st.Settings.IKey, Host: st.Settings.Host, HasSecret: st.HasSecret, LetIn: st.Settings.LetIn,
		Version: st.Version, UpdatedAt: moment(st.UpdatedAt), UpdatedBy: st.UpdatedBy}
}

func (v duoView) String() string {
	if !v.Own {
		return fmt.Sprintf("%s has no Duo; `sallyport provider set duo` gives it one.\n", v.Company)
	}
	in := "count for nothing"
	if v.LetIn {
		in = "are let in, as after a password alone"
	}
	return fmt.Sprintf("host        %s\nikey        %s\nnot asked   people whom Duo does not ask %s\nchanged     %s by %s\n", v.Host, v.IKey, in, v.UpdatedAt.Format("2006-01-02 15:04 MST"), v.UpdatedBy)
}

func (g *providerGroup) showOne() *cobra.Command {
	return &cobra.Command{
		Use: "show sms|duo", Short: "Show how a company sends text messages, or its Duo", ValidArgs: channels, Args: cobra.ExactArgs(1),
		Long:    "Shows the settings, what was sent and how it went. Secrets are never shown.",
		Example: "  sallyport provider show sms --company acme\n  sallyport provider show duo --json",
		RunE: does(func(c *cobra.Command, args []string) error {
			kind, err := channel(args)
			if err != nil {
				return err
			}
			return g.do(c, func(o *opened, company authn.Company) error { return g.display(c, o, company, kind) })
		}),
	}
}

func (g *providerGroup) display(c *cobra.Command, o *opened, company authn.Company, kind string) error {
	if kind == "duo" {
		st, err := o.providers.DuoOf(c.Context(), company.ID)
		if err != nil {
			return err
		}
		v := viewDuo(company, st)
		return g.show(v, "%s", v)
	}
	st, err := o.providers.TextsOf(c.Context(), company.ID)
	if err != nil {
		return err
	}
	v := viewTexts(company, st)
	return g.show(v, "%s", v)
}

func (g *providerGroup) remove() *cobra.Command {
	c := &cobra.Command{
		Use: "remove sms|duo", Short: "Take a company's providers of text messages or its Duo away", ValidArgs: channels, Args: cobra.ExactArgs(1),
		Long: "Takes the settings away, with their secrets. Text messages then go through the server's provider, if it has one. Who has no other way to verify needs a help code. The owners are told.\n\n" +
			"With --provider one of several goes, and the rules stay.",
		Example: "  sallyport provider remove sms --company acme\n  sallyport provider remove sms --provider 2\n  sallyport provider remove duo",
	}
	n := c.Flags().Int("provider", 0, "remove this one of several providers of text messages: 1 is tried first")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		kind, err := channel(args)
		if err != nil {
			return err
		}
		one := c.Flags().Changed("provider")
		if one && kind == "duo" {
			return misuse("--provider is for sms; there is one Duo")
		}
		return g.do(c, func(o *opened, company authn.Company) error {
			switch {
			case kind == "duo":
				_, err = o.providers.Operator().RemoveDuo(c.Context(), company.ID, 0)
			case one:
				err = o.removeOne(c, company, *n)
			default:
				_, err = o.providers.Operator().RemoveTexts(c.Context(), company.ID, 0)
			}
			if err != nil {
				return wrongTexts(err, provider.TextChange{})
			}
			return g.display(c, o, company, kind)
		})
	})
	return c
}

// removeOne takes one provider out of the list and leaves the rest as it is.
func (o *opened) removeOne(c *cobra.Command, company authn.Company, n int) error {
	ch, err := o.texts(c, company)
	if err != nil {
		return err
	}
	if n < 1 || n > len(ch.Providers) {
		return noProvider(company, n, len(ch.Providers))
	}
	ch.Providers = slices.Delete(ch.Providers, n-1, n)
	_, err = o.providers.Operator().SetTexts(c.Context(), company.ID, ch)
	return err
}

func noProvider(company authn.Company, n, have int) error {
	return say(authn.NotFound, "%s has no provider %d of text messages; it has %d of its own (`sallyport provider show sms`)", company.Slug, n, have)
}

// texts are a company's own settings as a change begins with them.
func (o *opened) texts(c *cobra.Command, company authn.Company) (provider.TextChange, error) {
	st, err := o.providers.TextsOf(c.Context(), company.ID)
	if err != nil {
		return provider.TextChange{}, err
	}
	ch := provider.TextChange{From: st.Version}
	if st.Own {
		ch.TextSettings = st.Settings
	} else {
		ch.Countries = st.Settings.Countries // of the server
	}
	return ch, nil
}

// wrongTexts says what is wrong with fields of settings in the words of flags.
func wrongTexts(err error, ch provider.TextChange) error {
	var e *authn.Error
	if !errors.As(err, &e) || e.Code != authn.Invalid {
		return err
	}
	out := said{code: string(authn.Invalid)}
	for _, f := range e.Fields {
		place, text := f.Name, ""
		var i int
		var field string
		if _, bad := fmt.Sscanf(f.Name, "providers.%d.%s", &i, &field); bad == nil && i < len(ch.Providers) {
			place, text = field, textWrong(ch.Providers[i].Driver, field, f.Code)
		} else if f.Name == "providers" && f.Code == "required" {
			place, text = "driver", "the server has no provider of text messages, so the company needs one: "+smsDrivers
		}
		if text == "" {
			_, list := sentence(&authn.Error{Code: authn.Invalid, Fields: []authn.Field{f}})
			text = list[0].Text
		}
		out.problems = append(out.problems, problem{strings.ReplaceAll(place, "_", "-"), text})
	}
	var lines []string
	for _, p := range out.problems {
		lines = append(lines, p.Where+": "+p.Text)
	}
	out.text = strings.Join(lines, "\n  ")
	return out
}

func textWrong(driver, field, code string) string {
	form := smsForms[driver][field]
	switch {
	case field == "driver":
		return fmt.Sprintf("%q is no driver; it must be %s", driver, smsDrivers)
	case code == "again":
		return "the account or the target is another one, so the saved secret is not used; give the secret with --secret-stdin or --secret-file"
	case form == "":
		return ""
	case code == "required":
		return "is missing: " + driver + " needs " + form
	}
	return "is not what " + driver + " takes: " + form
}
