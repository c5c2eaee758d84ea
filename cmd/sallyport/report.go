package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/report"
	"github.com/sallyport-mfa/sallyport/text"
)

// reportGroup is the command report with the flag that its commands share.
type reportGroup struct {
	*program
	company string
}

func (p *program) reportCommand() *cobra.Command {
	r := &reportGroup{program: p}
	c := p.configured(group("report", "How a company stands: who is covered, how sign-ins go, what needs attention", "  sallyport report overview --company acme",
		r.overview(), r.coverage()))
	c.PersistentFlags().StringVar(&r.company, "company", "", "slug of the company; needed if there are several")
	return c
}

func (r *reportGroup) do(c *cobra.Command, f func(*opened, *report.Service, authn.Company) error) error {
	return r.operate(c.Context(), func(o *opened) error {
		company, err := o.company(c, r.company)
		if err != nil {
			return err
		}
		s, err := report.New(report.Config{Store: o.store, Methods: o.all, Providers: o.providers})
		if err != nil {
			return err
		}
		return f(o, s, company)
	})
}

// overviewView is the overview as machines read it.
type overviewView struct {
	Company   string           `json:"company"`
	AsOf      time.Time        `json:"as_of"`
	People    int64            `json:"people"`
	Standings map[string]int64 `json:"standings"`
	Resistant int64            `json:"phishing_resistant"`
	SignedIn  int64            `json:"signed_in"`
	TwoSteps  int64            `json:"two_steps"`
	Failed    int64            `json:"failed"`
	Days      int              `json:"days"`
	Attention []attentionView  `json:"attention"`
}

type attentionView struct {
	Kind     report.Kind     `json:"kind"`
	Severity report.Severity `json:"severity"`
	Count    int             `json:"count,omitempty"`
	More     bool            `json:"more,omitempty"`
	Text     string          `json:"text"`
}

func (r *reportGroup) overview() *cobra.Command {
	return &cobra.Command{
		Use:     "overview",
		Short:   "Show how a company stands",
		Long:    "Shows what the overview page of the company's administrators shows: who has a way to verify, the sign-ins of the last 30 days (in UTC), and what needs attention.",
		Example: "  sallyport report overview --company acme --json",
		Args:    cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			return r.do(c, func(_ *opened, s *report.Service, company authn.Company) error {
				o, err := s.Overview(c.Context(), company, 0)
				if err != nil {
					return err
				}
				return r.showOverview(company, o)
			})
		}),
	}
}

func (r *reportGroup) showOverview(company authn.Company, o report.Overview) error {
	total, texts := o.SignIns.Total(), text.Default()
	v := overviewView{Company: company.Slug, AsOf: o.At.UTC().Truncate(time.Second), People: o.Adoption.People, Standings: map[string]int64{},
		Resistant: o.Adoption.Resistant, SignedIn: total.SignedIn, TwoSteps: total.TwoSteps, Failed: total.Failed, Days: len(o.SignIns.Days), Attention: []attentionView{}}
	for _, s := range report.Standings() {
		v.Standings[string(s)] = o.Adoption.By[s]
	}
	for _, i := range o.Attention {
		v.Attention = append(v.Attention, attentionView{i.Kind, i.Severity, i.N, i.More, oneLine(texts.Text(text.English, i.TextKey(), i.Args()))})
	}
	if r.json {
		return r.showJSON(v)
	}
	w := tabwriter.NewWriter(r.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %d %% of %d people have a way to verify of their own, and %d %% one that cannot be phished\n\n",
		company.Slug, o.Adoption.Percent(), v.People, report.Share(v.Resistant, v.People))
	for _, s := range report.Standings() {
		fmt.Fprintf(w, "%s\t%d\n", texts.Text(text.English, "admin.standing."+string(s), nil), v.Standings[string(s)])
	}
	fmt.Fprintf(w, "\nSign-ins in %d days\t%d\nof those, with a second step\t%d\nFailed\t%d\n\n", v.Days, v.SignedIn, v.TwoSteps, v.Failed)
	if len(v.Attention) == 0 {
		fmt.Fprintln(w, "Nothing needs attention.")
	}
	for _, a := range v.Attention {
		fmt.Fprintf(w, "%s\t%s\n", strings.ToUpper(string(a.Severity)), a.Text)
	}
	return w.Flush()
}

func (r *reportGroup) coverage() *cobra.Command {
	c := &cobra.Command{
		Use:   "coverage",
		Short: "List who must verify, and who can",
		Long: "Lists everybody in a company: what policy asks of them, what they have, exemptions and accounts of programs. For auditors: " +
			"--csv writes everything as one table, whose last line begins with \"end of report\". The event log says that it was made.",
		Example: "  sallyport report coverage --company acme --csv > coverage.csv",
		Args:    cobra.NoArgs,
	}
	asCSV := c.Flags().Bool("csv", false, "write CSV with every column")
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		if *asCSV && r.json {
			return misuse("--csv and --json exclude each other")
		}
		return r.do(c, func(o *opened, s *report.Service, company authn.Company) error {
			format := "text"
			switch {
			case *asCSV:
				format = "csv"
			case r.json:
				format = "json"
			}
			err := o.directory.Act(c.Context(), directory.TheOperator(company.ID), report.Export, func(*authn.Rows) (directory.Done, error) {
				return directory.Done{Detail: map[string]string{"report": "coverage", "format": format}}, nil
			})
			if err != nil {
				return err
			}
			cov, err := s.Coverage(company)
			if err != nil {
				return err
			}
			b := bufio.NewWriter(r.out)
			if err := writeCoverage(c.Context(), b, cov, format); err != nil {
				return err
			}
			return b.Flush()
		})
	})
	return c
}

// coveredView is a person of the report as machines read it.
type coveredView struct {
	ID       string          `json:"id"`
	Login    string          `json:"login"`
	Name     string          `json:"name"`
	Roles    []string        `json:"roles"`
	Standing report.Standing `json:"standing"`
	Demanded bool            `json:"demanded"`
	Ways     []authn.Kind    `json:"ways"`
	Exempt   string          `json:"exempt_until,omitempty"`
}

func viewCovered(row report.Row) coveredView {
	v := coveredView{ID: row.User.ID, Login: row.User.Login, Name: row.User.Name, Roles: append([]string{}, row.User.Roles...), Standing: row.Standing, Demanded: row.Demanded, Ways: []authn.Kind{}}
	for _, w := range row.Ways {
		if w.Counts {
			v.Ways = append(v.Ways, w.Kind)
		}
	}
	if row.Exempt {
		v.Exempt = row.User.ExemptUntil.UTC().Format(time.RFC3339)
	}
	return v
}

// writeCoverage writes everybody as they are read: never all at once in memory.
func writeCoverage(ctx context.Context, w io.Writer, c *report.Coverage, format string) error {
	switch format {
	case "csv":
		return c.WriteCSV(ctx, w)
	case "json":
		fmt.Fprintf(w, "{\"company\": %q, \"as_of\": %q, \"policy_version\": %d, \"items\": [", c.Company.Slug, c.At.UTC().Format(time.RFC3339), c.PolicyVersion)
		separator := "\n"
		_, err := c.Each(ctx, func(row report.Row) error {
			b, err := json.Marshal(viewCovered(row))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "%s  %s", separator, b)
			separator = ",\n"
			return err
		})
		if err == nil {
			_, err = fmt.Fprintln(w, "\n]}")
		}
		return err
	}
	n, err := c.Each(ctx, func(row report.Row) error {
		v := viewCovered(row)
		ways := "none"
		if len(v.Ways) > 0 {
			ways = fmt.Sprint(v.Ways)
		}
		_, err := fmt.Fprintf(w, "%-24s %-10s %s\n", oneLine(v.Login), v.Standing, ways)
		return err
	})
	if err == nil {
		_, err = fmt.Fprintf(w, "%s of %s as of %s, by version %d of the policy\n", count(int64(n), "person", "people"), c.Company.Slug, c.At.UTC().Format(time.RFC3339), c.PolicyVersion)
	}
	return err
}
