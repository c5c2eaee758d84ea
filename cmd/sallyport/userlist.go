package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// userPage is one page of people.
type userPage struct {
	Items      []userView `json:"items"`
	Next       string     `json:"next_cursor,omitempty"`
	Count      int64      `json:"count"` // whom the filters choose, whatever the search says
	Unfinished bool       `json:"unfinished,omitempty"`
}

// filterFlags are the flags that choose people.
type filterFlags struct {
	search  string
	filters []string
}

func (f *filterFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.search, "search", "", "beginnings of words of login, name or e-mail address")
	c.Flags().StringSliceVar(&f.filters, "filter", nil, "NAME=VALUE, can be given again: "+strings.Join(directory.Filters()[1:], ", "))
}

// read gives the filters by name; what they may say is the directory's to judge.
func (f *filterFlags) read() (map[string]string, error) {
	out := map[string]string{directory.FilterSearch: f.search}
	for _, s := range f.filters {
		name, value, ok := strings.Cut(s, "=")
		if !ok || !slices.Contains(directory.Filters()[1:], name) {
			return nil, misuse(fmt.Sprintf("--filter is %q; it must be NAME=VALUE, with one of %s", s, strings.Join(directory.Filters()[1:], ", ")))
		}
		if out[name] != "" {
			return nil, misuse("--filter " + name + " is there twice")
		}
		out[name] = value
	}
	return out, nil
}

// filtered puts the refusal of a filter into words.
func filtered(err error, c authn.Company) error {
	e := authn.AsError(err)
	if err == nil || e.Code != authn.Invalid || len(e.Fields) == 0 {
		return err
	}
	name := e.Fields[0].Name
	if list := directory.FilterChoices(c, name); len(list) > 0 {
		return misuse(fmt.Sprintf("--filter %s= must be one of %s", name, strings.Join(list, ", ")))
	}
	if name == "cursor" {
		return misuse("--after must be the cursor that the page before ends with")
	}
	return misuse("--search is too long: at most 200 characters in at most 8 words")
}

func (u *userGroup) list() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List people, newest first",
		Long: "Lists people, newest first. With --search the beginnings of words are looked for in login, name and e-mail address; those that many have are listed in their order.\n\n" +
			"Filters: method (none, totp, sms, email, duo, webauthn, backup_code), status (active, suspended), set_up (yes, no, due: policy demands it), state (locked, exempt, api), role, audience (internal, external).",
		Example: "  sallyport user list --company acme --limit 100\n  sallyport user list --filter set_up=due --filter audience=external\n  sallyport user list --search \"maya l\" --json", Args: cobra.NoArgs,
	}
	limit := c.Flags().Int("limit", 50, "people on a page, 1 to 200")
	after := c.Flags().String("after", "", "cursor at the end of the page before")
	var f filterFlags
	f.add(c)
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		if *limit < 1 || *limit > 200 {
			return misuse(fmt.Sprintf("--limit is %d; it must be 1 to 200", *limit))
		}
		if *after != "" && !strings.HasPrefix(*after, "i.") && !strings.HasPrefix(*after, "w.") {
			return misuse("--after must be the cursor that the page before ends with")
		}
		filters, err := f.read()
		if err != nil {
			return err
		}
		return u.do(c, func(o *opened, company authn.Company) error {
			page, err := readPage(c, o, company, directory.PeopleQuery{Filters: filters, After: *after, Limit: *limit})
			if err != nil {
				return filtered(err, company)
			}
			return u.printPage(c, page, company)
		})
	})
	return c
}

func readPage(c *cobra.Command, o *opened, company authn.Company, q directory.PeopleQuery) (userPage, error) {
	page := userPage{Items: []userView{}}
	list, err := o.directory.People(c.Context(), directory.TheOperator(company.ID), q)
	if err != nil {
		return page, err
	}
	page.Next, page.Count, page.Unfinished = list.Next, list.Count, list.Unfinished
	for _, p := range list.People {
		user, factors, err := o.directory.Lookup(c.Context(), company, p.ID)
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
		if page.Count == 0 && page.Next == "" && !c.Flags().Changed("filter") && !c.Flags().Changed("search") {
			return u.show(nil, "Nobody here; `sallyport user add` adds people.\n")
		}
		if page.Next == "" {
			return u.show(nil, "Nobody like that; `sallyport user list` lists all.\n")
		}
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
	again := ""
	for _, name := range []string{"search", "filter", "limit"} {
		if f := c.Flags().Lookup(name); f.Changed {
			again += " --" + name + " " + strconv.Quote(strings.Trim(f.Value.String(), "[]"))
		}
	}
	_, err := fmt.Fprintf(u.out, "\nMore: sallyport user list --company %s%s --after %s%s\n", company.Slug, again, page.Next, u.sameConfig(c))
	return err
}
