package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/text"
)

func (g *providerGroup) test() *cobra.Command {
	return group("test", "Try a company's provider of text messages, or its Duo", "  sallyport provider test duo --company acme", g.testSMS(), g.testDuo())
}

// tried is a test as machines read it.
type tried struct {
	Company string     `json:"company,omitempty"`
	OK      bool       `json:"ok"`
	Millis  int64      `json:"took_ms"`
	Text    string     `json:"text"`            // what happened
	Cure    string     `json:"cure,omitempty"`  // what to do
	Stage   string     `json:"stage,omitempty"` // where it failed
	Reason  string     `json:"reason,omitempty"`
	Code    string     `json:"code,omitempty"`  // the provider's: of the failure, or the id of the message
	Reply   string     `json:"reply,omitempty"` // its own words
	Steps   []duoTried `json:"steps,omitempty"`
}

type duoTried struct {
	Stage  string `json:"stage"`
	OK     bool   `json:"ok"`
	Millis int64  `json:"took_ms"`
	Text   string `json:"text"`
	Cure   string `json:"cure,omitempty"`
	Code   string `json:"code,omitempty"`
	Reply  string `json:"reply,omitempty"`
}

func (t tried) String() string {
	var b strings.Builder
	for _, s := range t.Steps {
		b.WriteString(sayStep(s.OK, s.Text, s.Cure, s.Code, s.Reply, s.Millis))
	}
	if len(t.Steps) == 0 {
		b.WriteString(sayStep(t.OK, t.Text, t.Cure, t.Code, t.Reply, t.Millis))
	}
	return b.String()
}

func sayStep(ok bool, text, cure, code, reply string, ms int64) string {
	mark := "ok  "
	if !ok {
		mark = "FAIL"
	}
	s := fmt.Sprintf("%s  %s (%d ms)\n", mark, text, ms)
	if reply != "" || code != "" {
		s += "      its own words: " + strings.TrimSpace(clip(code)+" "+clip(reply)) + "\n"
	}
	if cure != "" {
		s += "      → " + cure + "\n"
	}
	return s
}

// showTried prints a test; one that failed ends the command as a failure.
func (p *program) showTried(t tried) error {
	if err := p.show(t, "%s", t); err != nil {
		return err
	}
	if !t.OK {
		return errors.New("the test failed")
	}
	return nil
}

// operatorCures take the place of the catalogue's, which speak to an owner: by
// channel and reason.
var operatorCures = map[string]string{
	"sms unreachable": "Look at the firewall: https to the provider must be open. For a webhook, look at its address, egress.ports and egress.private.",
	"duo unreachable": "Look at the firewall: port 443 to the API hostname must be open.",
	"duo clock":       "Set the clock of this machine, and run NTP: authenticator apps go by it too.",
}

// stepWords say what a step of a test means, and what to do about it.
func stepWords(channel authn.Kind, s authn.MailStep) (what, do string) {
	texts := text.Default()
	what, do = provider.WordsOf(channel, s, func(key string) string { return texts.Text(text.English, key, nil) }, texts.Has)
	if cure := operatorCures[string(channel)+" "+s.Reason]; cure != "" {
		do = cure
	}
	return what, do
}

func viewTextTest(company string, r provider.TextResult) tried {
	t := tried{Company: company, OK: r.OK, Millis: r.Took.Milliseconds(), Stage: r.Stage, Reason: r.Reason, Code: r.Code, Reply: r.Reply}
	t.Text, t.Cure = stepWords(authn.SMS, r.Step())
	return t
}

func (g *providerGroup) testSMS() *cobra.Command {
	c := &cobra.Command{
		Use:   "sms",
		Short: "Send a text through a company's provider",
		Long: "Sends one text and prints the provider's own answer and what it means. It costs what any text does, from the company's share, and the event log has it. " +
			"A company without a provider of its own tests the server's. The exit code is 1 if the text was not taken.",
		Example: "  sallyport provider test sms --company acme --to +46701740605\n  sallyport provider test sms --to 0701740605 --provider 2",
		Args:    cobra.NoArgs,
	}
	to := c.Flags().String("to", "", "a mobile number of yours; without a country it is of the first of the company's")
	n := c.Flags().Int("provider", 1, "which one: 1 is tried first")
	c.MarkFlagRequired("to")
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		return g.do(c, func(o *opened, company authn.Company) error {
			st, err := o.providers.TextsOf(c.Context(), company.ID)
			if err != nil {
				return err
			}
			if !st.Offered {
				return say(authn.NotFound, "nobody sends text messages for %s; `sallyport provider set sms` gives it a provider", company.Slug)
			}
			home := ""
			if len(st.Settings.Countries) > 0 {
				home = st.Settings.Countries[0]
			}
			r, err := o.providers.Operator().TestTexts(c.Context(), company.ID, *n-1, *to, home)
			if err != nil {
				return notTested(err, company, *n, st)
			}
			return g.showTried(viewTextTest(company.Slug, r))
		})
	})
	return c
}

// scopeWords say what a budget counts.
var scopeWords = map[string]string{
	"company_day": "today", "company_month": "this month", "number": "to this number", "number_day": "to this number", "number_stranger": "to this number", "number_day_stranger": "to this number", "user": "from the command line",
	"prefix": "to numbers like this one", "dial": "to this country", "came_back_prefix": "to numbers like this one", "came_back_dial": "to this country",
}

// notTested says why a test did not begin.
func notTested(err error, company authn.Company, n int, st provider.TextState) error {
	e := authn.AsError(err)
	var b *authn.BudgetError
	switch {
	case e.Code == authn.Invalid && len(e.Fields) == 1 && e.Fields[0].Name == "provider":
		return noProvider(company, n, len(st.Settings.Providers))
	case e.Key == "error.text_country":
		return say(e.Code, "to: text messages of %s go to %s only; `sallyport provider set sms --countries` changes that", company.Slug, strings.Join(st.Settings.Countries, ", "))
	case errors.As(err, &b):
		return say(e.Code, "%s may send no more texts %s until %s; a test costs what any text does", company.Slug, scopeWords[b.Scope], b.Until.UTC().Format("2006-01-02 15:04 MST"))
	case e.Code == authn.TooManyRequests:
		return say(e.Code, "%s made %d tests within the hour; try again in %s", company.Slug, provider.TestsPerHour, spell(e.RetryAfter))
	}
	return err
}

func viewDuoTest(company string, r provider.Result) tried {
	t := tried{Company: company, OK: r.OK, Millis: r.Took.Milliseconds()}
	for _, s := range r.Steps {
		what, do := stepWords(authn.Duo, s)
		t.Steps = append(t.Steps, duoTried{Stage: s.Stage, OK: s.OK, Millis: s.Took.Milliseconds(), Text: what, Cure: do, Code: s.Code, Reply: s.Reply})
		if do != "" || t.Cure == "" {
			t.Text, t.Cure, t.Stage, t.Reason, t.Code, t.Reply = what, do, s.Stage, s.Reason, s.Code, s.Reply
		}
	}
	return t
}

func (g *providerGroup) testDuo() *cobra.Command {
	return &cobra.Command{
		Use:   "duo",
		Short: "Ask Duo whether a company's settings are right",
		Long: "Asks Duo whether it is there and the clocks agree, then whether the keys are right, and prints its own answers and what they mean. Nobody gets a push. " +
			"The event log has it. The exit code is 1 if something is wrong.",
		Example: "  sallyport provider test duo --company acme", Args: cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			return g.do(c, func(o *opened, company authn.Company) error {
				r, err := o.providers.Operator().TestDuo(c.Context(), company.ID)
				switch e := authn.AsError(err); {
				case errors.Is(err, authn.NotFound):
					return say(authn.NotFound, "%s has no Duo; `sallyport provider set duo` gives it one", company.Slug)
				case err != nil && e.Code == authn.TooManyRequests:
					return say(e.Code, "%s made %d tests within the hour; try again in %s", company.Slug, provider.TestsPerHour, spell(max(e.RetryAfter, time.Second)))
				case err != nil:
					return err
				}
				return g.showTried(viewDuoTest(company.Slug, r))
			})
		}),
	}
}
