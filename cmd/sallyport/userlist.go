package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
)

// userPage is one page of people. The cursor is the last id on it.
type userPage struct {
	Items []userView `json:"items"`
	Next  string     `json:"next_cursor,omitempty"`
}

func (u *userGroup) list() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List people, in the order in which they were added",
		Example: "  sallyport user list --company acme --limit 100\n  sallyport user list --json", Args: cobra.NoArgs,
	}
	limit := c.Flags().Int("limit", 50, "people on a page, 1 to 100")
	after := c.Flags().String("after", "", "id of the last person on the page before")
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		if *limit < 1 || *limit > 100 {
			return misuse(fmt.Sprintf("--limit is %d; it must be 1 to 100", *limit))
		}
		if *after != "" && !authn.CheckID(authn.UserID, *after) {
			return misuse("--after must be the id of a person, usr_…")
		}
		return u.do(c, func(o *opened, company authn.Company) error {
			page, err := readPage(c, o, company, *after, *limit)
			if err != nil {
				return err
			}
			return u.printPage(c, page, company)
		})
	})
	return c
}

func readPage(c *cobra.Command, o *opened, company authn.Company, after string, limit int) (userPage, error) {
	page := userPage{Items: []userView{}}
	// One more than shown tells whether there is a next page.
	all, err := o.directory.Users(c.Context(), company.ID, after, limit+1)
	if err != nil {
		return page, err
	}
	for i, user := range all {
		if i == limit {
			page.Next = page.Items[limit-1].ID
			break
		}
		_, factors, err := o.directory.Lookup(c.Context(), company, user.ID)
		if err != nil {
			return page, err
		}
		page.Items = append(page.Items, viewUser(user, factors))
	}
	return page, nil
}

func (u *userGroup) printPage(c *cobra.Command, page userPage, company authn.Company) error {
	if u.json {
		return u.showJSON(page)
	}
	if len(page.Items) == 0 {
		return u.show(nil, "Nobody here; `sallyport user add` adds people.\n")
	}
	w := tabwriter.NewWriter(u.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "LOGIN\tNAME\tROLES\tAUDIENCE\tSTATUS\tTWO-FACTOR\tREQUIRED")
	for _, v := range page.Items {
		required := "no"
		if v.RequireTwoFactor {
			required = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.Login, v.Name, strings.Join(v.Roles, ","), v.Audience, v.Status, v.ways(), required)
	}
	if err := w.Flush(); err != nil || page.Next == "" {
		return err
	}
	_, err := fmt.Fprintf(u.out, "\nMore: sallyport user list --company %s --after %s%s\n", company.Slug, page.Next, u.sameConfig(c))
	return err
}
