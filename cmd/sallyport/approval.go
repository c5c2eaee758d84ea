package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// approvalView is an act that waits or waited, as machines read it.
type approvalView struct {
	ID        string            `json:"id"`
	Act       string            `json:"act"`
	Args      map[string]string `json:"args,omitempty"`
	Target    string            `json:"target"`
	Requester string            `json:"requester"`
	Reason    string            `json:"reason"`
	State     string            `json:"state"`
	CreatedAt time.Time         `json:"created_at"`
	NotBefore time.Time         `json:"not_before"`
	ExpiresAt time.Time         `json:"expires_at"`
}

func (o *opened) viewApproval(c *cobra.Command, company authn.Company, ap authn.Approval) approvalView {
	name := func(id string) string {
		if u, _, err := o.directory.Lookup(c.Context(), company, id); err == nil {
			return u.Login
		}
		return id
	}
	return approvalView{ap.ID, ap.Do, directory.Says(ap), name(ap.Target), name(ap.Requester), ap.Reason, ap.State(time.Now()), ap.CreatedAt.UTC(), ap.NotBefore.UTC(), ap.ExpiresAt.UTC()}
}

// approvalGroup is the command approval with the flag that its commands share.
type approvalGroup struct{ userGroup }

func (p *program) approvalCommand() *cobra.Command {
	a := &approvalGroup{userGroup{program: p}}
	c := p.configured(group("approval", "What waits for a second person", "  sallyport approval list --company acme", a.list(),
		a.decide("approve", "Agree to an act that waits; who asked can then do it within a day", "approved", (*directory.Service).Approve),
		a.decide("cancel", "Stop an act that waits", "stopped", (*directory.Service).Cancel)))
	c.PersistentFlags().StringVar(&a.company, "company", "", "slug of the company; needed if there are several")
	return c
}

func (a *approvalGroup) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List what waits for a second person, and what did, newest first", Example: "  sallyport approval list", Args: cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			return a.do(c, func(o *opened, company authn.Company) error {
				list, err := o.directory.Approvals(c.Context(), directory.TheOperator(company.ID), "", "", 200)
				if err != nil {
					return err
				}
				views := []approvalView{}
				var b strings.Builder
				for _, ap := range list {
					v := o.viewApproval(c, company, ap)
					views = append(views, v)
					fmt.Fprintf(&b, "%s  %-9s  %s of %s, asked by %s: %s\n", v.ID, v.State, v.Act, v.Target, v.Requester, v.Reason)
					for _, arg := range slices.Sorted(maps.Keys(v.Args)) {
						fmt.Fprintf(&b, "  %s: %q\n", arg, v.Args[arg])
					}
				}
				if len(views) == 0 {
					b.WriteString("Nothing waits.\n")
				}
				return a.show(views, "%s", b.String())
			})
		}),
	}
}

type decision = func(s *directory.Service, ctx context.Context, w directory.Who, id, reason string) (authn.Approval, error)

func (a *approvalGroup) decide(verb, short, done string, f decision) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: verb + " ID", Short: short, Example: "  sallyport approval " + verb + " apr_06gvqojiq1tch8gdppkvf1jp7k", Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return a.do(c, func(o *opened, company authn.Company) error {
				ap, err := f(o.directory, c.Context(), directory.TheOperator(company.ID), args[0], reason)
				if err != nil {
					return err
				}
				v := o.viewApproval(c, company, ap)
				return a.show(v, "%s of %s is %s.\n", v.Act, v.Target, done)
			})
		}),
	}
	reasonFlag(c, &reason)
	return c
}
