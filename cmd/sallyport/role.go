package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/text"
)

// roleView is a role as machines read it.
type roleView struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	BuiltIn     bool     `json:"built_in"`
	Permissions []string `json:"permissions"`
	Holders     *int     `json:"holders,omitempty"` // of a role of the company's own; counted up to 1001
}

// roleGroup is the command role with the flag that its commands share.
type roleGroup struct {
	*program
	company string
}

func (p *program) roleCommand() *cobra.Command {
	g := &roleGroup{program: p}
	c := p.configured(group("role", "Roles: what people and programs may do", "  sallyport role list --company acme", g.list(), g.set(), g.remove()))
	c.PersistentFlags().StringVar(&g.company, "company", "", "slug of the company; needed if there are several")
	return c
}

func (g *roleGroup) do(c *cobra.Command, f func(*opened, authn.Company) error) error {
	return (&userGroup{program: g.program, company: g.company}).do(c, f)
}

func (g *roleGroup) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the roles of a company: the built-in ones, then its own", Example: "  sallyport role list --company acme\n  sallyport role list --json", Args: cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			return g.do(c, func(o *opened, company authn.Company) error {
				views := []roleView{}
				for _, r := range directory.RolesOf(company) {
					v := roleView{Name: r.Name, Title: r.Title, BuiltIn: r.BuiltIn, Permissions: []string{}}
					for _, p := range r.Permissions {
						v.Permissions = append(v.Permissions, string(p))
					}
					if r.BuiltIn {
						v.Title = text.Default().Text("en", "role."+r.Name, nil)
					} else {
						n, err := o.directory.Holders(c.Context(), directory.TheOperator(company.ID), r.Name)
						if err != nil {
							return err
						}
						v.Holders = &n
					}
					views = append(views, v)
				}
				return g.printRoles(views)
			})
		}),
	}
}

func (g *roleGroup) printRoles(views []roleView) error {
	if g.json {
		return g.showJSON(map[string]any{"items": views})
	}
	w := tabwriter.NewWriter(g.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTITLE\tPEOPLE\tMAY")
	for _, v := range views {
		people, may := "built in", strings.Join(v.Permissions, ", ")
		if v.Holders != nil {
			people = counted(*v.Holders)
		}
		if may == "" {
			may = "nothing"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.Name, oneLine(v.Title), people, may)
	}
	return w.Flush()
}

// counted is a number of people, who are counted so far only.
func counted(n int) string {
	if n > directory.CountHolders {
		return fmt.Sprintf("more than %d", directory.CountHolders)
	}
	return fmt.Sprint(n)
}

func (g *roleGroup) set() *cobra.Command {
	c := &cobra.Command{
		Use: "set NAME --title TITLE --may PERMISSION", Short: "Make a role, or change what it allows",
		Long: "Makes a role of the company's own, or changes one. A change counts at once, for everybody who holds the role and for their keys.\n\n" +
			"NAME is 1 to 40 small letters, digits and hyphens, and begins with a letter.\n\nPermissions: " + strings.Join(permissionNames(), ", ") + ".",
		Example: "  sallyport role set auditor --title Auditor --may audit.read,reports.read --company acme", Args: cobra.ExactArgs(1),
	}
	title, reason := c.Flags().String("title", "", "its name as people read it"), c.Flags().String("reason", "", "why, for the event log")
	may := c.Flags().StringSlice("may", nil, "what it allows; several with commas, or the flag again; none: nothing")
	c.MarkFlagRequired("title")
	c.RegisterFlagCompletionFunc("may", cobra.FixedCompletions(permissionNames(), cobra.ShellCompDirectiveNoFileComp))
	c.RunE = does(func(c *cobra.Command, args []string) error {
		return g.do(c, func(o *opened, company authn.Company) error {
			role, err := o.directory.SaveRole(c.Context(), directory.TheOperator(company.ID), directory.RoleChange{Name: args[0], Title: *title, Permissions: *may, Reason: *reason})
			if err != nil {
				return err
			}
			what := strings.Join(role.Permissions, ", ")
			if what == "" {
				what = "nothing"
			}
			return g.show(roleView{Name: role.Name, Title: role.Title, Permissions: role.Permissions}, "The role %s (%s) is saved. It allows: %s.\n", role.Title, role.Name, what)
		})
	})
	return c
}

func (g *roleGroup) remove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove a role that nobody holds", Example: "  sallyport role remove auditor --company acme", Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return g.do(c, func(o *opened, company authn.Company) error {
				who := directory.TheOperator(company.ID)
				n, err := o.directory.Holders(c.Context(), who, args[0])
				if err != nil {
					return err
				}
				err = o.directory.RemoveRole(c.Context(), who, args[0], "")
				switch {
				case errors.Is(err, authn.NotFound):
					return say(authn.NotFound, "company %s has no role %q of its own; `sallyport role list` shows all", company.Slug, args[0])
				case errors.Is(err, authn.Conflict) && n > 0:
					return say(authn.Conflict, "the role %q is held still (people: %s); give them another one first", args[0], counted(n))
				case err != nil:
					return err
				}
				return g.show(map[string]any{"name": args[0], "removed": true}, "The role %s is gone.\n", args[0])
			})
		}),
	}
}
