package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
)

func (g *providerGroup) set() *cobra.Command {
	return group("set", "Set a company's provider of text messages, or its Duo", "  sallyport provider set sms --help", g.setSMS(), g.setDuo())
}

// secretFlags are how a secret comes: never as an argument, which other users of
// the machine can see.
type secretFlags struct {
	stdin bool
	file  string
}

func (s *secretFlags) register(c *cobra.Command) {
	c.Flags().BoolVar(&s.stdin, "secret-stdin", false, "read the secret from standard input, one line")
	c.Flags().StringVar(&s.file, "secret-file", "", "read the secret from this file")
	c.MarkFlagsMutuallyExclusive("secret-stdin", "secret-file")
	c.MarkFlagFilename("secret-file")
}

// maxSecret bounds what is read as a secret, in bytes.
const maxSecret = 1024

// read gives the secret; "" if none was given and none is needed.
func (s *secretFlags) read(p *program, needed bool) (string, error) {
	switch {
	case s.stdin:
		return one("standard input", p.in)
	case s.file != "":
		b, err := os.ReadFile(s.file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.file, unwrapPath(err))
		}
		return one(s.file, bytes.NewReader(b))
	case !needed:
		return "", nil
	}
	f, ok := p.in.(*os.File)
	if !ok || !isTerminal(f) {
		return "", misuse("there is no terminal to ask for the secret; give it with --secret-stdin or --secret-file")
	}
	fmt.Fprint(p.err, "Secret: ")
	restore, err := hideInput(f)
	if err != nil {
		return "", fmt.Errorf("the terminal cannot hide what is typed (%w); use --secret-stdin", err)
	}
	defer fmt.Fprintln(p.err)
	defer restore()
	return one("the terminal", f)
}

// one is the line of a secret.
func one(from string, in interface{ Read([]byte) (int, error) }) (string, error) {
	b, err := bufio.NewReaderSize(in, maxSecret+2).ReadSlice('\n')
	line := strings.TrimSpace(string(b))
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(line) > maxSecret:
		return "", fmt.Errorf("%s holds more than a secret: %d bytes at most", from, maxSecret)
	case line == "":
		return "", fmt.Errorf("%s holds no secret", from)
	}
	return line, nil
}

// textFlags are what set sms changes; only what is given counts.
type textFlags struct {
	secretFlags
	n                           int
	p                           authn.TextProvider
	countries                   []string
	price, dayMoney, monthMoney string
	currency                    string
	dayTexts, monthTexts        int
}

// targets are the flags that say whose the secret is: with another target the
// saved one is not used (ruling 32).
var targets = []string{"driver", "account", "region", "url"}

func (g *providerGroup) setSMS() *cobra.Command {
	var ch textFlags
	c := &cobra.Command{
		Use:   "sms",
		Short: "Set a company's provider of text messages, and what it may send",
		Long: "Sets one of a company's own providers of text messages, or where and how much it sends; what is not given stays. The secret comes from a prompt, standard input or a file. The owners are told, and the event log has it.\n\n" +
			"Of several providers the first that takes a message sends it: --provider 2 is for when the first one fails.\n\n" + driverHelp(),
		Example: "  sallyport provider set sms --company acme --driver twilio --account AC0123456789abcdef0123456789abcdef --from +46701740605 --countries SE,DE\n" +
			"  sallyport provider set sms --provider 2 --driver webhook --url https://texts.acme.example/send --secret-file /run/secrets/texts\n" +
			"  sallyport provider set sms --day-texts 500 --price 0.045 --currency EUR --month-money 200",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.IntVar(&ch.n, "provider", 1, "which of the company's providers, 1 to 5; the one after the last is a new one")
	f.StringVar(&ch.p.Driver, "driver", "", smsDrivers)
	f.StringVar(&ch.p.Account, "account", "", "who the company is there")
	f.StringVar(&ch.p.From, "from", "", "whom messages come from")
	f.StringVar(&ch.p.Region, "region", "", "region of AWS (sns)")
	f.StringVar(&ch.p.URL, "url", "", "https address (webhook)")
	f.StringSliceVar(&ch.countries, "countries", nil, "where texts may go, two letters each; the first is that of numbers that are typed without one")
	f.StringVar(&ch.price, "price", "", "of one text, such as 0.045; 0: money is not counted")
	f.StringVar(&ch.currency, "currency", "", "three letters, such as EUR")
	f.IntVar(&ch.dayTexts, "day-texts", 0, "most texts in a day (UTC); 0: 1000")
	f.IntVar(&ch.monthTexts, "month-texts", 0, "most texts in a calendar month; 0: 20000")
	f.StringVar(&ch.dayMoney, "day-money", "", "most money in a day; 0: no limit")
	f.StringVar(&ch.monthMoney, "month-money", "", "most money in a calendar month; 0: no limit")
	ch.register(c)
	c.RegisterFlagCompletionFunc("driver", cobra.FixedCompletions([]string{"twilio", "vonage", "sns", "plivo", "webhook"}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		if err := ch.check(c); err != nil {
			return err
		}
		// Asked before the database is opened, so that nothing waits for the typing.
		secret, err := ch.read(g.program, slices.ContainsFunc(targets, c.Flags().Changed))
		if err != nil {
			return err
		}
		ch.p.Secret = secret
		return g.do(c, func(o *opened, company authn.Company) error { return g.saveTexts(c, o, company, &ch) })
	})
	return c
}

func driverHelp() string {
	var b strings.Builder
	b.WriteString("What a driver takes:\n")
	for _, d := range []string{"twilio", "vonage", "sns", "plivo", "webhook"} {
		b.WriteString("\n  " + d + "\n")
		for _, f := range []string{"account", "secret", "region", "url", "from"} {
			if form := smsForms[d][f]; form != "" {
				fmt.Fprintf(&b, "    %-9s%s\n", f, form)
			}
		}
	}
	return b.String()
}

// check finds misuses before anything is asked.
func (ch *textFlags) check(c *cobra.Command) error {
	f := c.Flags()
	var given bool
	for _, name := range []string{"driver", "account", "from", "region", "url", "countries", "price", "currency", "day-texts", "month-texts", "day-money", "month-money", "secret-stdin", "secret-file"} {
		given = given || f.Changed(name)
	}
	switch {
	case !given:
		return misuse("say what to change, such as --driver or --countries")
	case ch.n < 1 || ch.n > 5:
		return misuse(fmt.Sprintf("--provider is %d; it must be 1 to 5", ch.n))
	case f.Changed("driver") && smsForms[ch.p.Driver] == nil:
		return misuse(fmt.Sprintf("--driver is %q; it must be %s", ch.p.Driver, smsDrivers))
	}
	for name, v := range map[string]string{"price": ch.price, "day-money": ch.dayMoney, "month-money": ch.monthMoney} {
		if _, err := amount(v); err != nil {
			return misuse(fmt.Sprintf("--%s is %q; it %v", name, v, err))
		}
	}
	return nil
}

// amount is parseMoney that takes 0, and nothing.
func amount(v string) (int64, error) {
	if v == "" || v == "0" {
		return 0, nil
	}
	return parseMoney(v)
}

func (g *providerGroup) saveTexts(c *cobra.Command, o *opened, company authn.Company, flags *textFlags) error {
	ch, err := o.texts(c, company)
	if err != nil {
		return err
	}
	if err := flags.apply(c, company, &ch); err != nil {
		return err
	}
	st, err := o.providers.Operator().SetTexts(c.Context(), company.ID, ch)
	if errors.Is(err, authn.Conflict) {
		return say(authn.Conflict, "somebody else changed the settings meanwhile; look at `sallyport provider show sms` and try again")
	}
	if err != nil {
		return wrongTexts(err, ch)
	}
	v := viewTexts(company, st)
	return g.show(v, "%sSaved. `sallyport provider test sms --to NUMBER` sends a text through it.\n", v)
}

// apply changes what was given.
func (ch *textFlags) apply(c *cobra.Command, company authn.Company, to *provider.TextChange) error {
	f := c.Flags()
	one := ch.p.Secret != "" || f.Changed("provider") || f.Changed("from") || slices.ContainsFunc(targets, f.Changed)
	if one {
		i := ch.n - 1
		switch {
		case i > len(to.Providers):
			return noProvider(company, ch.n, len(to.Providers))
		case i == len(to.Providers) && ch.p.Driver == "":
			return misuse(fmt.Sprintf("provider %d of %s is a new one; give --driver", ch.n, company.Slug))
		case i == len(to.Providers):
			to.Providers = append(to.Providers, authn.TextProvider{})
		}
		p := &to.Providers[i]
		if f.Changed("driver") && p.Driver != ch.p.Driver {
			*p = authn.TextProvider{} // the fields of another driver mean something else
		}
		for _, x := range []struct {
			name     string
			to, from *string
		}{{"driver", &p.Driver, &ch.p.Driver}, {"account", &p.Account, &ch.p.Account}, {"from", &p.From, &ch.p.From}, {"region", &p.Region, &ch.p.Region}, {"url", &p.URL, &ch.p.URL}} {
			if f.Changed(x.name) {
				*x.to = *x.from
			}
		}
		p.Secret = ch.p.Secret
	}
	if f.Changed("countries") {
		to.Countries = ch.countries
	}
	if f.Changed("currency") {
		to.Currency = ch.currency
	}
	if f.Changed("day-texts") {
		to.DayTexts = ch.dayTexts
	}
	if f.Changed("month-texts") {
		to.MonTexts = ch.monthTexts
	}
	for _, x := range []struct {
		name, v string
		to      *int64
	}{{"price", ch.price, &to.Price}, {"day-money", ch.dayMoney, &to.DayMoney}, {"month-money", ch.monthMoney, &to.MonMoney}} {
		if f.Changed(x.name) {
			n, err := amount(x.v)
			if err != nil {
				return err
			}
			*x.to = n
		}
	}
	return nil
}

func (g *providerGroup) setDuo() *cobra.Command {
	var s secretFlags
	var d authn.DuoSettings
	c := &cobra.Command{
		Use:   "duo",
		Short: "Set a company's application of Duo",
		Long: "Sets the \"Auth API\" application of Duo that a company uses; what is not given stays. Its secret key comes from a prompt, standard input or a file. " +
			"The owners are told, and the event log has it. docs/duo.md says what to make in Duo.",
		Example: "  sallyport provider set duo --company acme --ikey DIXXXXXXXXXXXXXXXXXX --host api-0123abcd.duosecurity.com\n" +
			"  sallyport provider set duo --let-in=false",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&d.IKey, "ikey", "", "integration key: DI and 18 capitals and digits")
	f.StringVar(&d.Host, "host", "", "API hostname, such as api-0123abcd.duosecurity.com")
	f.BoolVar(&d.LetIn, "let-in", false, "let people in at sign-in whom Duo does not ask, as after a password alone; =false: that counts for nothing")
	s.register(c)
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		target := f.Changed("ikey") || f.Changed("host")
		if !target && !f.Changed("let-in") && !s.stdin && s.file == "" {
			return misuse("say what to change: --ikey, --host, --let-in, or the secret key")
		}
		secret, err := s.read(g.program, target)
		if err != nil {
			return err
		}
		return g.do(c, func(o *opened, company authn.Company) error {
			st, err := o.providers.DuoOf(c.Context(), company.ID)
			if err != nil {
				return err
			}
			ch := provider.DuoChange{DuoSettings: st.Settings, From: st.Version}
			if f.Changed("ikey") {
				ch.IKey = d.IKey
			}
			if f.Changed("host") {
				ch.Host = d.Host
			}
			if f.Changed("let-in") {
				ch.LetIn = d.LetIn
			}
			ch.SKey = secret
			if st, err = o.providers.Operator().SetDuo(c.Context(), company.ID, ch); err != nil {
				return wrongDuo(err)
			}
			v := viewDuo(company, st)
			return g.show(v, "%sSaved. `sallyport provider test duo` asks Duo whether it is right.\n", v)
		})
	})
	return c
}

// duoForms say what a field of Duo's looks like.
var duoForms = map[string][2]string{
	"ikey": {"ikey", "the integration key, DI and 18 capitals and digits"},
	"skey": {"secret", "the secret key, 40 letters and digits"},
	"host": {"host", "the API hostname, such as api-0123abcd.duosecurity.com"},
}

// wrongDuo says what is wrong with fields in the words of flags.
func wrongDuo(err error) error {
	var e *authn.Error
	if errors.Is(err, authn.Conflict) {
		return say(authn.Conflict, "somebody else changed the settings meanwhile; look at `sallyport provider show duo` and try again")
	}
	if !errors.As(err, &e) || e.Code != authn.Invalid {
		return err
	}
	out := said{code: string(authn.Invalid)}
	var lines []string
	for _, f := range e.Fields {
		form := duoForms[f.Name]
		text := "is not " + form[1]
		if f.Code == "required" || f.Code == "again" {
			text = "is missing: " + form[1]
		}
		out.problems = append(out.problems, problem{form[0], text})
		lines = append(lines, form[0]+": "+text)
	}
	out.text = strings.Join(lines, "\n  ")
	return out
}
