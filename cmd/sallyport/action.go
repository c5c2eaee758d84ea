package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// actionView is an action as machines read it.
type actionView struct {
	Name     string            `json:"name"`
	Title    string            `json:"title"`
	Titles   map[string]string `json:"titles"`
	Audience string            `json:"audience,omitempty"`
}

// actionGroup is the command action with the flag that its commands share.
type actionGroup struct {
	*program
	company string
}

func (p *program) actionCommand() *cobra.Command {
	g := &actionGroup{program: p}
	c := p.configured(group("action", "Actions: what applications ask people to confirm", "  sallyport action list --company acme", g.list(), g.set(), g.remove()))
	c.PersistentFlags().StringVar(&g.company, "company", "", "slug of the company; needed if there are several")
	return c
}

func (g *actionGroup) do(c *cobra.Command, f func(*opened, authn.Company) error) error {
	return (&userGroup{program: g.program, company: g.company}).do(c, f)
}

func viewOfAction(a authn.Action) actionView {
	v := actionView{Name: a.Name, Title: a.Title, Titles: a.Titles, Audience: a.Audience}
	if v.Titles == nil {
		v.Titles = map[string]string{}
	}
	return v
}

func (g *actionGroup) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the actions that a company registered", Example: "  sallyport action list --company acme\n  sallyport action list --json", Args: cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			return g.do(c, func(o *opened, company authn.Company) error {
				list, err := o.directory.Actions(c.Context(), directory.TheOperator(company.ID))
				if err != nil {
					return err
				}
				views := []actionView{}
				for _, a := range list {
					views = append(views, viewOfAction(a.Action))
				}
				return g.printActions(views)
			})
		}),
	}
}

func (g *actionGroup) printActions(views []actionView) error {
	if g.json {
		return g.showJSON(map[string]any{"items": views})
	}
	if len(views) == 0 {
		fmt.Fprintln(g.out, "There are none yet. Make one with `sallyport action set`.")
		return nil
	}
	w := tabwriter.NewWriter(g.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPEOPLE CONFIRM TO\tALSO IN\tSIGNED FOR")
	for _, v := range views {
		also, audience := strings.Join(slices.Sorted(maps.Keys(v.Titles)), ", "), v.Audience
		if also == "" {
			also = "-"
		}
		if audience == "" {
			audience = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.Name, oneLine(v.Title), also, audience)
	}
	return w.Flush()
}

func (g *actionGroup) set() *cobra.Command {
	c := &cobra.Command{
		Use: "set NAME --title TITLE", Short: "Register an action, or change it",
		Long: "Registers what an application asks people to confirm, or changes it. An application can then begin a step-up for NAME, and people read\n" +
			"\"Confirm that it's you to TITLE.\"\n\nNAME is words of small letters, digits and underscores, with points between: billing.change.",
		Example: "  sallyport action set billing.change --title \"change the billing details\" --title-in pl=\"zmienić dane rozliczeniowe\" --company acme", Args: cobra.ExactArgs(1),
	}
	var reason string
	reasonFlag(c, &reason)
	title := c.Flags().String("title", "", "what follows \"to\": change the billing details")
	titles := c.Flags().StringToString("title-in", nil, "the same in another language, as pl=\"zmienić dane\"; the flag again for more")
	audience := c.Flags().String("audience", "", "for whom signed grants are, such as https://app.example.com; none: there are none")
	c.MarkFlagRequired("title")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		return g.do(c, func(o *opened, company authn.Company) error {
			a, err := o.directory.SaveAction(c.Context(), directory.TheOperator(company.ID), directory.ActionChange{Reason: reason,
				Action: authn.Action{Name: args[0], Title: *title, Titles: *titles, Audience: *audience}})
			if err != nil {
				return err
			}
			return g.show(viewOfAction(a), "The action %s is saved. People confirm to %s.\n", a.Name, oneLine(a.Title))
		})
	})
	return c
}

func (g *actionGroup) remove() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "remove NAME", Short: "Remove an action", Example: "  sallyport action remove billing.change --company acme", Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return g.do(c, func(o *opened, company authn.Company) error {
				err := o.directory.RemoveAction(c.Context(), directory.TheOperator(company.ID), args[0], reason)
				if errors.Is(err, authn.NotFound) {
					return say(authn.NotFound, "company %s has no action %q of its own; `sallyport action list` shows all", company.Slug, args[0])
				}
				if err != nil {
					return err
				}
				return g.show(map[string]any{"name": args[0], "removed": true}, "The action %s is gone.\n", args[0])
			})
		}),
	}
	reasonFlag(c, &reason)
	return c
}
