package main

import (
	"errors"
	"fmt"
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
	PolicyVersion int64     `json:"policy_version"`
	CreatedAt     time.Time `json:"created_at"`
}

func viewCompany(c authn.Company) (companyView, error) {
	doc, err := policy.Parse(c.Policy)
	if err != nil {
		return companyView{}, fmt.Errorf("company %s: %w", c.Slug, err)
	}
	return companyView{c.ID, c.Slug, c.Name, string(doc.TwoFactor), c.PolicyVersion, c.CreatedAt.UTC()}, nil
}

func (p *program) companyCommand() *cobra.Command {
	return p.configured(group("company", "Companies: the customers whose people sign in", "  sallyport company list",
		p.companyAdd(), p.companyList(), p.companyShow(), p.companyPolicy()))
}

func (p *program) companyAdd() *cobra.Command {
	c := &cobra.Command{
		Use:     "add SLUG",
		Short:   "Add a company",
		Long:    "Adds a company. SLUG is its name in addresses (/c/SLUG/signin): 1 to 40 of a-z, 0-9 and inner hyphens.",
		Example: "  sallyport company add acme --name \"Acme Projects\"",
		Args:    cobra.ExactArgs(1),
	}
	name := c.Flags().String("name", "", "the name people see, also in their authenticator app (default: SLUG)")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		if *name == "" {
			*name = args[0]
		}
		return p.operate(c.Context(), func(o *opened) error {
			made, err := o.directory.CreateCompany(c.Context(), args[0], *name)
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
			next := "sallyport user add LOGIN --company " + v.Slug + " --role owner" + p.sameConfig(c)
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
				return p.show(v, "%s  %s\nid          %s\ntwo-factor  %s (policy version %d)\nadded       %s\n",
					v.Slug, v.Name, v.ID, v.TwoFactor, v.PolicyVersion, v.CreatedAt.Format(time.RFC3339))
			})
		}),
	}
}

func (p *program) companyPolicy() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy SLUG --two-factor off|on|required",
		Short: "Change a company's policy",
		Long: "Changes whether a company uses two-factor sign-in:\n\n" +
			"  off       nobody is offered it, and what is set up sleeps\n" +
			"  on        everybody may set it up, and is asked once they have\n" +
			"  required  everybody must; who has nothing set up cannot sign in",
		Example: "  sallyport company policy acme --two-factor on",
		Args:    cobra.ExactArgs(1),
	}
	value := c.Flags().String("two-factor", "", "off, on or required")
	c.MarkFlagRequired("two-factor")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		doc := policy.Default()
		doc.TwoFactor = policy.TwoFactor(*value)
		if _, err := doc.Encode(); err != nil {
			return misuse(fmt.Sprintf("--two-factor is %q; it must be off, on or required", *value))
		}
		return p.operate(c.Context(), func(o *opened) error { return p.setPolicy(c, o, args[0], doc.TwoFactor) })
	})
	return c
}

// setPolicy changes one field of the stored document and leaves the others.
func (p *program) setPolicy(c *cobra.Command, o *opened, slug string, two policy.TwoFactor) error {
	company, err := o.company(c, slug)
	if err != nil {
		return err
	}
	doc, err := policy.Parse(company.Policy)
	if err != nil {
		return fmt.Errorf("company %s: %w", slug, err)
	}
	doc.TwoFactor = two
	if err := o.directory.SetPolicy(c.Context(), company.ID, doc, company.PolicyVersion); err != nil {
		return err
	}
	changed, err := o.company(c, slug)
	if err != nil {
		return err
	}
	v, err := viewCompany(changed)
	if err != nil {
		return err
	}
	note := map[policy.TwoFactor]string{
		policy.Off:      "Passwords alone open every account now.\n",
		policy.Required: "Who has nothing set up cannot sign in; `sallyport user list` shows who.\n",
	}[two]
	return p.show(v, "Two-factor sign-in of %s is %s.\n%s", v.Slug, v.TwoFactor, note)
}
