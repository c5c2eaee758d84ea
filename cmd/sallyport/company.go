package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// companyView is a company as machines read it.
type companyView struct {
	ID            string    `json:"id"`
	Slug          string    `json:"slug"`
	Name          string    `json:"name"`
	TwoFactor     string    `json:"two_factor"`
	OwnWay        []string  `json:"own_way"`
	GraceDays     int       `json:"grace_days"`
	CodeSeconds   int       `json:"code_seconds"`
	TrustDays     int       `json:"trust_days"`
	SMSFallback   bool      `json:"sms_fallback"`
	SendAtOnce    bool      `json:"send_at_once"`
	PolicyVersion int64     `json:"policy_version"`
	Support       string    `json:"support,omitempty"`
	CreatedAt     time.Time `json:"created_at"`
}

func viewCompany(c authn.Company) (companyView, error) {
	doc, err := policy.Parse(c.Policy)
	if err != nil {
		return companyView{}, fmt.Errorf("company %s: %w", c.Slug, err)
	}
	v := companyView{ID: c.ID, Slug: c.Slug, Name: c.Name, TwoFactor: string(doc.TwoFactor), OwnWay: []string{}, GraceDays: doc.GraceDays,
		CodeSeconds: int(doc.CodeLives().Seconds()), TrustDays: doc.TrustDays, SMSFallback: doc.SMSFallback, SendAtOnce: doc.SendAtOnce, PolicyVersion: c.PolicyVersion, Support: c.Support, CreatedAt: c.CreatedAt.UTC()}
	for _, a := range doc.OwnWay {
		v.OwnWay = append(v.OwnWay, string(a))
	}
	return v, nil
}

func (p *program) companyCommand() *cobra.Command {
	return p.configured(group("company", "Companies: the customers whose people sign in", "  sallyport company list",
		p.companyAdd(), p.companyList(), p.companyShow(), p.companySupport(), p.companyBranding(), p.companyRecover(), p.companyErase()))
}

func (p *program) companyAdd() *cobra.Command {
	c := &cobra.Command{
		Use:     "add SLUG",
		Short:   "Add a company",
		Long:    "Adds a company. SLUG is its name in addresses (/c/SLUG/signin): 1 to 40 of a-z, 0-9 and inner hyphens.",
		Example: "  sallyport company add acme --name \"Acme Projects\"\n  sallyport company add globex --preset pci_dss_8",
		Args:    cobra.ExactArgs(1),
	}
	name := c.Flags().String("name", "", "the name people see, also in their authenticator app (default: SLUG)")
	begins := c.Flags().String("preset", "plain", presetFlag())
	c.RunE = does(func(c *cobra.Command, args []string) error {
		if *name == "" {
			*name = args[0]
		}
		doc, err := presetOf(*begins)
		if err != nil {
			return err
		}
		return p.operate(c.Context(), func(o *opened) error {
			made, err := o.directory.CreateCompanyWith(c.Context(), args[0], *name, doc)
			if errors.Is(err, authn.Conflict) {
				return say(authn.Conflict, "there is a company %s already; `sallyport company show %[1]s` shows it", args[0])
			}
			if err != nil {
				return err
			}
			v, err := viewCompany(made)
			if err != nil {
				return err
			}
			next := "sallyport user invite LOGIN --company " + v.Slug + " --role owner" + p.sameConfig(c)
			return p.show(struct {
				companyView
				Next string `json:"next"`
			}{v, next}, "Company %s (%s) is there. Next: %s\n", v.Slug, v.Name, next)
		})
	})
	return c
}

func (p *program) companyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all companies", Example: "  sallyport company list --json", Args: cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), func(o *opened) error {
				all, err := o.directory.Companies(c.Context())
				if err != nil {
					return err
				}
				views := []companyView{}
				for _, company := range all {
					v, err := viewCompany(company)
					if err != nil {
						return err
					}
					views = append(views, v)
				}
				return p.companies(views)
			})
		}),
	}
}

func (p *program) companies(views []companyView) error {
	if p.json {
		return p.showJSON(map[string]any{"items": views})
	}
	if len(views) == 0 {
		return p.show(nil, "No company yet; `sallyport company add` makes one.\n")
	}
	w := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SLUG\tNAME\tTWO-FACTOR\tADDED")
	for _, v := range views {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.Slug, v.Name, v.TwoFactor, v.CreatedAt.Format(time.DateOnly))
	}
	return w.Flush()
}

// company finds a company by its slug; "" is the only one.
func (o *opened) company(c *cobra.Command, slug string) (authn.Company, error) {
	company, err := o.directory.Company(c.Context(), slug)
	switch {
	case errors.Is(err, authn.NotFound) && slug == "":
		return company, o.whichCompany(c)
	case errors.Is(err, authn.NotFound):
		return company, say(authn.NotFound, "there is no company %q; `sallyport company list` shows all", slug)
	}
	return company, err
}

// whichCompany says why a company must be named.
func (o *opened) whichCompany(c *cobra.Command) error {
	all, err := o.directory.Companies(c.Context())
	switch {
	case err != nil:
		return err
	case len(all) == 0:
		return say(authn.NotFound, "there is no company yet; `sallyport company add` makes one")
	}
	return misuse("there are several companies; say which with --company SLUG")
}

func (p *program) companyShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SLUG", Short: "Show a company", Example: "  sallyport company show acme", Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(o *opened) error {
				company, err := o.company(c, args[0])
				if err != nil {
					return err
				}
				v, err := viewCompany(company)
				if err != nil {
					return err
				}
				own, support := "nobody", "ask an administrator"
				if len(v.OwnWay) > 0 {
					own = strings.Join(v.OwnWay, ", ")
				}
				if v.Support != "" {
					support = v.Support
				}
				return p.show(v, "%s  %s\nid          %s\ntwo-factor  %s (policy version %d)\nown way     %s\ngrace       %d days\ncodes       %d seconds%s\ntrusted     %d days\nsupport     %s\nadded       %s\n",
					v.Slug, v.Name, v.ID, v.TwoFactor, v.PolicyVersion, own, v.GraceDays, v.CodeSeconds, v.codes(), v.TrustDays, support, v.CreatedAt.Format(time.RFC3339))
			})
		}),
	}
}

// codes are the rules of codes that are sent, besides their time.
func (v companyView) codes() string {
	var b strings.Builder
	if v.SMSFallback {
		b.WriteString(", to the contact number before e-mail")
	}
	if v.SendAtOnce {
		b.WriteString(", sent with the password")
	}
	return b.String()
}
