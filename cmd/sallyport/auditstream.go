package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/text"
)

// keptView is how long events are kept, as machines read it.
type keptView struct {
	Company   string     `json:"company"`
	Months    int        `json:"months"` // 0: for ever
	Deleted   int64      `json:"deleted_seq,omitempty"`
	DeletedAt *time.Time `json:"deleted_at,omitempty"`
}

func (v keptView) String() string {
	s := v.Company + " keeps its events for ever.\n"
	if v.Months > 0 {
		s = fmt.Sprintf("%s keeps its events for %d months.\n", v.Company, v.Months)
	}
	if v.Deleted > 0 {
		s += fmt.Sprintf("Deleted up to number %d, last at %s.\n", v.Deleted, v.DeletedAt.Format("2006-01-02 15:04 MST"))
	}
	return s
}

func (a *auditGroup) keep() *cobra.Command {
	c := &cobra.Command{
		Use: "keep [MONTHS|forever]", Short: "Show or set how long a company keeps its events", Args: cobra.MaximumNArgs(1),
		ValidArgs: []string{"forever", "12"},
		Long: "Shows how long a company keeps its events, or sets it: 3 to 120 months, or forever. PCI DSS 10.5.1 wants 12. A running server deletes what is older, from the oldest end, once a day; " +
			"an event says up to where, so that `audit verify` still holds. What a stream has not sent is kept up to 30 days longer. The owners are told of a change.",
		Example: "  sallyport audit keep --company acme\n  sallyport audit keep 12",
	}
	c.RunE = does(func(c *cobra.Command, args []string) error {
		months := 0
		if len(args) == 1 && args[0] != "forever" {
			var err error
			if months, err = strconv.Atoi(args[0]); err != nil || months < provider.KeepLeast || months > provider.KeepMost {
				return misuse(fmt.Sprintf("%q is not a number of months from %d to %d, nor forever", args[0], provider.KeepLeast, provider.KeepMost))
			}
		}
		return a.operate(c.Context(), func(o *opened) error {
			company, err := o.company(c, a.company)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if err := o.providers.Operator().SetKeep(c.Context(), company.ID, months); err != nil {
					return err
				}
			}
			k, err := o.store.Keep(c.Context(), company.ID)
			if err != nil {
				return err
			}
			v := keptView{Company: company.Slug, Months: k.Months, Deleted: k.Seq, DeletedAt: moment(k.DeletedAt)}
			return a.show(v, "%s", v)
		})
	})
	return c
}

// streamNames are the kinds of streams as people type them.
var streamNames = map[string]authn.Kind{"syslog": authn.AuditSyslog, "webhook": authn.AuditWebhook}

func streamName(channel authn.Kind) string { return strings.TrimPrefix(string(channel), "audit_") }

func (a *auditGroup) stream() *cobra.Command {
	return group("stream", "Send a company's events to another system as they happen", "  sallyport audit stream show --company acme",
		a.showStreams(), a.setStream(), a.testStream(), a.removeStream())
}

// streamView is a stream as machines read it.
type streamView struct {
	Kind      string     `json:"kind"`
	Own       bool       `json:"own"`
	Health    string     `json:"health"`
	Host      string     `json:"host,omitempty"`
	Port      int        `json:"port,omitempty"`
	CA        bool       `json:"ca,omitempty"`          // certificates of the company's own are trusted
	Cert      bool       `json:"certificate,omitempty"` // it shows one
	URL       string     `json:"url,omitempty"`
	HasSecret bool       `json:"has_secret"`
	Seq       int64      `json:"seq,omitempty"`
	Behind    int64      `json:"behind"`
	Oldest    *time.Time `json:"oldest_unsent,omitempty"`
	SentAt    *time.Time `json:"sent_at,omitempty"`
	NextAt    *time.Time `json:"next_try_at,omitempty"`
	Failed    string     `json:"failed,omitempty"`
	Version   int64      `json:"version"`
	UpdatedAt *time.Time `json:"updated_at,omitempty"`
	UpdatedBy string     `json:"updated_by,omitempty"`
}

func viewStream(st provider.StreamState) streamView {
	v := streamView{Kind: streamName(st.Channel), Own: st.Own, Health: string(st.Health), Host: st.Settings.Host, Port: st.Settings.Port, CA: st.Settings.CA != "", Cert: st.Settings.Certificate != "", URL: st.Settings.URL, HasSecret: st.HasSecret,
		Seq: st.Stream.Seq, Behind: st.Stream.Behind, Oldest: moment(st.Stream.Oldest), SentAt: moment(st.Stream.SentAt), Failed: st.Stream.Failed,
		Version: st.Version, UpdatedAt: moment(st.UpdatedAt), UpdatedBy: st.UpdatedBy}
	if st.Stream.Failed != "" {
		v.NextAt = moment(st.Stream.NextAt)
	}
	return v
}

func (v streamView) String() string {
	if !v.Own {
		return fmt.Sprintf("%-8s  not set up\n", v.Kind)
	}
	target := v.URL
	if v.Kind == "syslog" {
		target = fmt.Sprintf("%s port %d", v.Host, v.Port)
	}
	parts := []string{target}
	switch {
	case v.Failed != "":
		parts = append(parts, "FAILING ("+v.Failed+"), next try "+v.NextAt.Format("15:04:05 MST"))
	case v.SentAt == nil:
		parts = append(parts, "nothing sent yet")
	default:
		parts = append(parts, "last sent "+v.SentAt.Format("2006-01-02 15:04:05 MST"))
	}
	if v.Behind > 0 {
		parts = append(parts, count(v.Behind, "event", "events")+" behind")
	}
	return fmt.Sprintf("%-8s  %s\n", v.Kind, strings.Join(parts, ", "))
}

func (a *auditGroup) withStreams(c *cobra.Command, f func(*opened, authn.Company) error) error {
	return a.operate(c.Context(), func(o *opened) error {
		company, err := o.company(c, a.company)
		if err != nil {
			return err
		}
		return f(o, company)
	})
}

func streamKind(args []string) (authn.Kind, error) {
	k, ok := streamNames[args[0]]
	if !ok {
		return "", misuse(fmt.Sprintf("there is no stream %q; it must be syslog or webhook", args[0]))
	}
	return k, nil
}

func (a *auditGroup) showStreams() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show where a company's events are sent, and how it goes", Args: cobra.NoArgs,
		Example: "  sallyport audit stream show --company acme\n  sallyport audit stream show --json",
		RunE: does(func(c *cobra.Command, _ []string) error {
			return a.withStreams(c, func(o *opened, company authn.Company) error {
				list, err := o.providers.StreamsOf(c.Context(), company.ID)
				if err != nil {
					return err
				}
				out := struct {
					Items []streamView `json:"items"`
				}{[]streamView{}}
				var b strings.Builder
				for _, st := range list {
					out.Items = append(out.Items, viewStream(st))
					b.WriteString(viewStream(st).String())
				}
				return a.show(out, "%s", b.String())
			})
		}),
	}
}

func (a *auditGroup) setStream() *cobra.Command {
	var s secretFlags
	var to authn.StreamSettings
	var ca, certificate, key string
	var all bool
	c := &cobra.Command{
		Use: "set syslog|webhook", Short: "Set where a company's events are sent", ValidArgs: []string{"syslog", "webhook"}, Args: cobra.ExactArgs(1),
		Long: "Sets where a company's events are sent; what is not given stays. syslog is RFC 5424 over TLS (RFC 5425): a host, a port (6514), and perhaps the certificates that the receiver's leads to, and a certificate of your own with its key. " +
			"webhook is an https address that takes signed batches of JSON lines; its secret comes from a prompt, standard input or a file.\n\n" +
			"A new stream begins with the next event, or with the oldest one that is kept with --all. The owners are told, and the event log has it. docs/operating.md says what is sent.",
		Example: "  sallyport audit stream set syslog --company acme --host siem.acme.example --ca siem-ca.pem\n" +
			"  sallyport audit stream set webhook --url https://siem.acme.example/sallyport --secret-file /run/secrets/siem",
	}
	f := c.Flags()
	f.StringVar(&to.Host, "host", "", "host of the receiver (syslog)")
	f.IntVar(&to.Port, "port", 6514, "its port (syslog)")
	f.StringVar(&ca, "ca", "", "file with the certificates, PEM, that the receiver's leads to; \"\": those that this machine trusts (syslog)")
	f.StringVar(&certificate, "certificate", "", "file with our certificate, PEM, for a receiver that asks for one; \"\": none (syslog)")
	f.StringVar(&key, "key", "", "file with its private key, PEM, without a passphrase (syslog)")
	f.StringVar(&to.URL, "url", "", "https address (webhook)")
	f.BoolVar(&all, "all", false, "begin with the oldest event that is kept, not with the next")
	for _, name := range []string{"ca", "certificate", "key"} {
		c.MarkFlagFilename(name)
	}
	s.register(c)
	c.RunE = does(func(c *cobra.Command, args []string) error {
		kind, err := streamKind(args)
		if err != nil {
			return err
		}
		own := map[authn.Kind][]string{authn.AuditSyslog: {"host", "port", "ca", "certificate", "key"}, authn.AuditWebhook: {"url", "secret-stdin", "secret-file"}}
		for k, names := range own {
			for _, name := range names {
				if k != kind && f.Changed(name) {
					return misuse(fmt.Sprintf("--%s is not for %s", name, args[0]))
				}
			}
		}
		if !slices.ContainsFunc(own[kind], f.Changed) {
			return misuse("say what to change: --host, --port, --ca, --certificate or --key of syslog; --url or the secret of webhook")
		}
		secret, err := s.read(a.program, f.Changed("url"))
		if err != nil {
			return err
		}
		for _, file := range []struct {
			name string
			to   *string
		}{{ca, &to.CA}, {certificate, &to.Certificate}, {key, &secret}} {
			if file.name == "" {
				continue
			}
			raw, err := os.ReadFile(file.name)
			if err != nil {
				return fmt.Errorf("%s: %w", file.name, unwrapPath(err))
			}
			*file.to = string(raw)
		}
		return a.withStreams(c, func(o *opened, company authn.Company) error {
			list, err := o.providers.StreamsOf(c.Context(), company.ID)
			if err != nil {
				return err
			}
			ch := provider.StreamChange{All: all}
			for _, st := range list {
				if st.Channel == kind {
					ch.StreamSettings, ch.From = st.Settings, st.Version
				}
			}
			for name, change := range map[string]func(){"host": func() { ch.Host = to.Host }, "port": func() { ch.Port = to.Port }, "ca": func() { ch.CA = to.CA }, "certificate": func() { ch.Certificate = to.Certificate }, "url": func() { ch.URL = to.URL }} {
				if f.Changed(name) {
					change()
				}
			}
			ch.Secret = secret
			st, err := o.providers.Operator().SetStream(c.Context(), company.ID, kind, ch)
			if err != nil {
				return err
			}
			v := viewStream(st)
			return a.show(v, "%sSaved. `sallyport audit stream test %s` sends a line there.\n", v, args[0])
		})
	})
	return c
}

func (a *auditGroup) testStream() *cobra.Command {
	return &cobra.Command{
		Use: "test syslog|webhook", Short: "Send a test line to where a company's events go", ValidArgs: []string{"syslog", "webhook"}, Args: cobra.ExactArgs(1),
		Long:    "Sends one line of the type audit.test, which is no event, to what is saved. Exit code 1 if it was not taken.",
		Example: "  sallyport audit stream test syslog --company acme",
		RunE: does(func(c *cobra.Command, args []string) error {
			kind, err := streamKind(args)
			if err != nil {
				return err
			}
			return a.withStreams(c, func(o *opened, company authn.Company) error {
				r, err := o.providers.Operator().TestStream(c.Context(), company.ID, kind)
				if errors.Is(err, authn.Invalid) {
					return say(authn.NotFound, "%s sends no events by %s; set it up with `sallyport audit stream set %s`", company.Slug, args[0], args[0])
				}
				if err != nil {
					return err
				}
				t := text.Default()
				return a.showTried(tried{Company: company.Slug, OK: r.OK, Millis: r.Took.Milliseconds(), Text: t.Text(text.English, provider.StreamText(r, t.Has), nil),
					Stage: r.Stage, Reason: r.Reason, Code: r.Code})
			})
		}),
	}
}

func (a *auditGroup) removeStream() *cobra.Command {
	return &cobra.Command{
		Use: "remove syslog|webhook", Short: "Send a company's events there no longer", ValidArgs: []string{"syslog", "webhook"}, Args: cobra.ExactArgs(1),
		Long:    "Ends a stream and forgets its settings and how far it was. The owners are told, and the event log has it.",
		Example: "  sallyport audit stream remove webhook --company acme",
		RunE: does(func(c *cobra.Command, args []string) error {
			kind, err := streamKind(args)
			if err != nil {
				return err
			}
			return a.withStreams(c, func(o *opened, company authn.Company) error {
				st, err := o.providers.Operator().RemoveStream(c.Context(), company.ID, kind)
				if err != nil {
					return err
				}
				return a.show(viewStream(st), "Events of %s are sent by %s no longer.\n", company.Slug, args[0])
			})
		}),
	}
}
