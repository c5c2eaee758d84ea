package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
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

// textWords say for each reason of a driver what it means and what to do.
var textWords = map[string][2]string{
	"credentials": {"The provider does not accept account and secret", "Copy both again from its console; account and secret must belong together."},
	"funds":       {"The account has no money left, or reached its spending limit", "Pay in, or raise the limit in the provider's console."},
	"from":        {"The provider does not send from this sender", "Use a number or name that the account owns and that may write to this country; many countries want names registered first."},
	"number":      {"The provider says that this number takes no text messages", "Try another number."},
	"country":     {"The account may not send to this country", "Switch the country on in the provider's console (Twilio: Geo Permissions; AWS: out of the SMS sandbox)."},
	"blocked":     {"The recipient opted out, or the carrier filters the message", "The recipient can write START to the sender; otherwise ask the provider."},
	"throttled":   {"The provider wants fewer messages at a time", "Wait a minute; raise the rate there if it happens again."},
	"unreachable": {"The provider cannot be reached from here", "Look at the firewall: https to the provider must be open. For a webhook, look at its address, egress.ports and egress.private."},
	"timeout":     {"No answer came in time; the message may have been sent", "Look whether it arrived before you test again; then look at the firewall and the provider's status page."},
	"permission":  {"The account may not send text messages", "Allow it in the provider's console; with AWS the key needs sns:Publish."},
	"garbled":     {"What answers is not the provider; the message may have been sent", "Something between here and there answers instead, such as a proxy."},
	"down":        {"The provider has a failure of its own", "Look at its status page; a second provider takes over meanwhile."},
	"trial":       {"It is a trial account, which writes to confirmed numbers only", "Confirm the number at the provider, or upgrade the account."},
	"redirect":    {"The address leads on to another, which is not followed", "Set the address where it ends."},
	"other":       {"The provider did not take the message", "Its own words say why."},
}

func viewTextTest(company string, r provider.TextResult) tried {
	t := tried{Company: company, OK: r.OK, Millis: r.Took.Milliseconds(), Stage: r.Stage, Reason: r.Reason, Code: r.Code, Reply: r.Reply}
	if r.OK {
		t.Text = "The provider took the message. It should arrive within a minute"
		return t
	}
	words, known := textWords[r.Reason]
	if !known {
		words = textWords["other"]
	}
	t.Text, t.Cure = words[0], words[1]
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
		return say(e.Code, "the limit %s of %s is used up until %s; a test costs what any text does", strings.ReplaceAll(b.Scope, "_", " "), company.Slug, b.Until.UTC().Format("2006-01-02 15:04 MST"))
	case e.Code == authn.TooManyRequests:
		return say(e.Code, "%s made %d tests within the hour; try again in %s", company.Slug, provider.TestsPerHour, spell(e.RetryAfter))
	}
	return err
}

// duoWords say for each reason of Duo what it means and what to do.
var duoWords = map[string][2]string{
	"clock":       {"Duo's clock and this machine's are too far apart", "Set the clock of this machine, and run NTP: authenticator apps go by it too."},
	"credentials": {"Duo does not accept the keys", "Copy integration key, secret key and API hostname again, all from the same application."},
	"host":        {"There is no such Duo", "Copy the API hostname again."},
	"permission":  {"The keys are not of an \"Auth API\" application, or it is switched off", "Add an application of the kind \"Auth API\" in Duo."},
	"throttled":   {"Duo wants fewer requests", "Try again in a few minutes."},
	"unreachable": {"Duo cannot be reached from here", "Look at the firewall: port 443 to the API hostname must be open."},
	"timeout":     {"Duo did not answer in time", "Try again; then look at the firewall and at Duo's status page."},
	"down":        {"Duo has a failure of its own", "Look at Duo's status page; people use their other ways meanwhile."},
	"garbled":     {"What answers is not Duo", "Something between here and Duo answers instead, such as a proxy."},
	"other":       {"Duo refuses", "Its own words say why."},
}

func viewDuoTest(company string, r provider.Result) tried {
	t := tried{Company: company, OK: r.OK, Millis: r.Took.Milliseconds()}
	for _, s := range r.Steps {
		x := duoTried{Stage: s.Stage, OK: s.OK, Millis: s.Took.Milliseconds(), Code: s.Code, Reply: s.Reply}
		words, known := duoWords[s.Reason]
		switch {
		case !s.OK && !known:
			words = duoWords["other"]
			fallthrough
		case !s.OK:
			x.Text, x.Cure = words[0], words[1]
			t.Stage, t.Reason, t.Code, t.Reply = s.Stage, s.Reason, s.Code, s.Reply
		case s.Stage == "connect":
			x.Text = "Duo answers, and the clocks agree"
			if s.Reason == "clock" {
				x.Text, x.Cure = fmt.Sprintf("Duo answers; its clock is %s away from this machine's", spell(s.Ahead)), words[1]
			}
		default:
			x.Text = "Duo accepts the keys"
		}
		t.Steps = append(t.Steps, x)
	}
	if n := len(t.Steps); n > 0 {
		t.Text, t.Cure = t.Steps[n-1].Text, t.Steps[n-1].Cure
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
