package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// keyView is a key as machines read it. Token is there once, when it is made.
type keyView struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Owner      string     `json:"owner"`
	OwnerLogin string     `json:"owner_login,omitempty"`
	Scopes     []string   `json:"scopes"`
	Effective  []string   `json:"effective_scopes"` // what the owner's rights leave of them now
	Networks   []string   `json:"networks"`         // empty: everywhere
	Unattended []string   `json:"unattended"`       // acts that it may do without a recent proof
	MadeBy     string     `json:"made_by,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	UsedFrom   string     `json:"last_used_from,omitempty"`  // its /24 or /48
	OldUntil   *time.Time `json:"old_token_until,omitempty"` // until when the token before the last roll works
	Returns    []string   `json:"return_addresses"`          // where people may be sent with a handle for it
	State      string     `json:"state"`                     // "active", "expired", "owner_suspended" or "account_ended"
	Token      string     `json:"token,omitempty"`
}

func viewKey(k directory.KeyRow) keyView {
	v := keyView{ID: k.ID, Name: k.Name, Owner: k.User, OwnerLogin: k.Owner.Login, MadeBy: k.Maker, Scopes: k.Scopes, Effective: k.Effective, Networks: []string{},
		Unattended: append([]string{}, k.Unattended...), CreatedAt: k.CreatedAt.UTC(), ExpiresAt: k.ExpiresAt.UTC(), UsedFrom: k.UsedFrom, State: string(k.State)}
	v.Returns = []string{}
	for _, r := range k.Returns {
		v.Returns = append(v.Returns, r.Address)
	}
	for _, n := range k.Networks {
		v.Networks = append(v.Networks, n.String())
	}
	if !k.LastUsedAt.IsZero() {
		at := k.LastUsedAt.UTC()
		v.LastUsedAt = &at
	}
	if k.OldUntil.After(time.Now()) {
		at := k.OldUntil.UTC()
		v.OldUntil = &at
	}
	return v
}

// keyGroup is the command key with the flag that its commands share.
type keyGroup struct {
	*program
	company string
}

func (p *program) keyCommand() *cobra.Command {
	k := &keyGroup{program: p}
	c := p.configured(group("key", "API keys: credentials of programs", "  sallyport key list --company acme", k.add(), k.list(), k.rename(), k.roll(), k.returns(), k.remove()))
	c.PersistentFlags().StringVar(&k.company, "company", "", "slug of the company; needed if there are several")
	return c
}

func (k *keyGroup) do(c *cobra.Command, f func(*opened, authn.Company) error) error {
	return (&userGroup{program: k.program, company: k.company}).do(c, f)
}

func permissionNames() []string {
	var names []string
	for _, p := range directory.Permissions() {
		names = append(names, string(p))
	}
	return names
}

func (k *keyGroup) add() *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME --owner LOGIN --scope PERMISSION --expires DAYS",
		Short: "Make an API key, and print it once",
		Long: "Makes a key with which a program calls the API: Authorization: Bearer sp_key_…. The key is printed once; only a keyed hash of it is stored.\n\n" +
			"It acts for its owner. What it may do at any time is what its scopes and the owner's roles both allow; if the owner is suspended it opens nothing. It cannot sign in and cannot confirm " +
			"a step-up. Every use is in the event log: refusals each, others once an hour for each address.\n\nScopes: " + strings.Join(permissionNames(), ", ") + ".",
		Example: "  sallyport key add siem --owner priya --scope audit.read --expires 90d --network 10.20.0.0/16\n" +
			"  sallyport key add siem --owner priya --scope audit.read --expires 365d --json | jq -r .token",
		Args: cobra.ExactArgs(1),
	}
	var owner, expires string
	var scopes, nets, unattended []string
	f := c.Flags()
	f.StringVar(&owner, "owner", "", "the person for whom the key acts: login, e-mail address or id")
	f.StringSliceVar(&scopes, "scope", nil, "what it may do; several with commas, or the flag again")
	f.StringSliceVar(&nets, "network", nil, "where it may be used from, such as 10.0.0.0/8 or 192.0.2.7 (default: everywhere)")
	f.StringSliceVar(&unattended, "unattended", nil, "acts that it may do without a recent proof, from its networks only; needs --network")
	f.StringVar(&expires, "expires", "", "how long it lasts, in days or hours: 90d, 12h; at most 365d")
	for _, name := range []string{"owner", "scope", "expires"} {
		c.MarkFlagRequired(name)
	}
	c.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions(permissionNames(), cobra.ShellCompDirectiveNoFileComp))
	c.RegisterFlagCompletionFunc("unattended", cobra.FixedCompletions(directory.UnattendedActs(), cobra.ShellCompDirectiveNoFileComp))
	c.RegisterFlagCompletionFunc("expires", cobra.FixedCompletions([]string{"30d", "90d", "365d"}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = does(func(c *cobra.Command, args []string) error {
		n := directory.NewKey{Name: args[0], Scopes: scopes, Unattended: unattended}
		var err error
		if n.Life, err = keyLife(expires); err != nil {
			return err
		}
		if n.Networks, err = readNetworks(nets); err != nil {
			return err
		}
		return k.do(c, func(o *opened, company authn.Company) error { return k.create(c, o, company, owner, n) })
	})
	return c
}

// keyLife reads 90d or 12h. The longest is a year.
func keyLife(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		d = time.Duration(n) * day
	}
	if err != nil || d <= 0 || d > directory.LongestKeyLife {
		return 0, misuse(fmt.Sprintf("--expires is %q; it must be days or hours, such as 90d or 12h, and at most 365d", s))
	}
	return d, nil
}

func readNetworks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, bad := netip.ParseAddr(s)
			if bad != nil || a.Zone() != "" {
				return nil, misuse(fmt.Sprintf("--network is %q; it must be an address or a network, such as 10.0.0.0/8", s))
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p)
	}
	return out, nil
}

func (k *keyGroup) create(c *cobra.Command, o *opened, company authn.Company, owner string, n directory.NewKey) error {
	user, _, err := o.directory.Lookup(c.Context(), company, owner)
	if errors.Is(err, authn.NotFound) {
		return say(authn.NotFound, "there is nobody %q in company %s; `sallyport user list` shows all", owner, company.Slug)
	}
	if err != nil {
		return err
	}
	n.Owner = user.ID
	made, token, err := o.directory.CreateKey(c.Context(), directory.TheOperator(company.ID), n)
	if errors.Is(err, authn.Conflict) {
		return say(authn.Conflict, "there is a key %q in company %s already, or there are as many as can be; `sallyport key list` shows all", n.Name, company.Slug)
	}
	if err != nil {
		return err
	}
	v, err := k.made(c, o, company, made, token)
	if err != nil {
		return err
	}
	return k.show(v, "%s\n\nThis is the key %q (%s). It is shown this once: keep it where the program reads its secrets, and not in a repository.\nIt may %s for %s, until %s.\n",
		v.Token, v.Name, v.ID, strings.Join(v.Scopes, ", "), v.OwnerLogin, v.ExpiresAt.Format(time.DateOnly))
}

func (k *keyGroup) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the API keys of a company, oldest first", Example: "  sallyport key list --company acme\n  sallyport key list --json", Args: cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			return k.do(c, func(o *opened, company authn.Company) error {
				views, err := k.views(c, o, company)
				if err != nil {
					return err
				}
				return k.printKeys(views)
			})
		}),
	}
}

func (k *keyGroup) views(c *cobra.Command, o *opened, company authn.Company) ([]keyView, error) {
	views := []keyView{}
	for after := ""; ; {
		keys, err := o.directory.APIKeys(c.Context(), directory.TheOperator(company.ID), after, 200)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			views = append(views, viewKey(key))
		}
		if len(keys) < 200 {
			return views, nil
		}
		after = keys[len(keys)-1].ID
	}
}

// made is a key that was made or rolled, with its token.
func (k *keyGroup) made(c *cobra.Command, o *opened, company authn.Company, key authn.APIKey, token authn.Token) (keyView, error) {
	row, err := o.directory.KeyRowOf(c.Context(), company, key)
	if err != nil {
		return keyView{}, err
	}
	v := viewKey(row)
	v.Token = token.Reveal()
	return v, nil
}

// find is a key by name or id.
func (k *keyGroup) find(c *cobra.Command, o *opened, company authn.Company, which string) (authn.APIKey, error) {
	key, err := o.directory.APIKey(c.Context(), directory.TheOperator(company.ID), which)
	if errors.Is(err, authn.NotFound) {
		return key, say(authn.NotFound, "there is no key %q in company %s; `sallyport key list` shows all", which, company.Slug)
	}
	return key, err
}

func (k *keyGroup) printKeys(views []keyView) error {
	if k.json {
		return k.showJSON(map[string]any{"items": views})
	}
	if len(views) == 0 {
		return k.show(nil, "No key yet; `sallyport key add` makes one.\n")
	}
	w := tabwriter.NewWriter(k.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tID\tOWNER\tSCOPES\tNETWORKS\tEXPIRES\tLAST USED\tSTATE")
	for _, v := range views {
		used, nets, state := "never", strings.Join(v.Networks, ","), strings.ReplaceAll(v.State, "_", " ")
		if v.LastUsedAt != nil {
			used = v.LastUsedAt.Format("2006-01-02 15:04")
		}
		if nets == "" {
			nets = "all"
		}
		if v.State == "active" && len(v.Effective) < len(v.Scopes) {
			state = "less: owner lacks rights"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", oneLine(v.Name), v.ID, oneLine(v.OwnerLogin), strings.Join(v.Scopes, ","), nets,
			v.ExpiresAt.Format(time.DateOnly), used, state)
	}
	return w.Flush()
}

func (k *keyGroup) remove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "End an API key at once", Long: "Ends an API key at once: the next call with it is refused. NAME is its name or its id.",
		Example: "  sallyport key remove siem --company acme", Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return k.do(c, func(o *opened, company authn.Company) error {
				key, err := k.find(c, o, company, args[0])
				if err != nil {
					return err
				}
				if _, err := o.directory.RemoveKey(c.Context(), directory.TheOperator(company.ID), key.ID, ""); err != nil {
					return err
				}
				return k.show(map[string]any{"id": key.ID, "name": key.Name, "removed": true}, "The key %s is gone; whatever used it is refused from now on.\n", key.Name)
			})
		}),
	}
}

func (k *keyGroup) rename() *cobra.Command {
	return &cobra.Command{
		Use: "rename NAME NEW", Short: "Give an API key another name", Long: "Gives an API key another name. What it may do cannot be changed: that takes another key.",
		Example: "  sallyport key rename siem siem-eu --company acme", Args: cobra.ExactArgs(2),
		RunE: does(func(c *cobra.Command, args []string) error {
			return k.do(c, func(o *opened, company authn.Company) error {
				key, err := k.find(c, o, company, args[0])
				if err != nil {
					return err
				}
				if key, err = o.directory.RenameKey(c.Context(), directory.TheOperator(company.ID), key.ID, args[1], ""); err != nil {
					return err
				}
				return k.show(map[string]any{"id": key.ID, "name": key.Name}, "The key is called %s now.\n", key.Name)
			})
		}),
	}
}

func (k *keyGroup) returns() *cobra.Command {
	return group("return", "Return addresses: where people may be sent with a handle for a key",
		"  sallyport key return add shop https://app.example.com/signed-in --company acme",
		k.changeReturn("add", "Let people be sent to an address with a handle for the key",
			"People may then be sent to this address after signing in or confirming something: to this one, letter by letter. It is https (http for localhost only), with a path, and without user names or a fragment. "+
				"The key needs the scope grants.redeem or attempts.assert.",
			(*directory.Service).AddReturnAddress, "People can be sent to %s with a handle for the key %s.\n"),
		k.changeReturn("remove", "Send nobody to an address any more", "Ends a return address of a key at once.",
			(*directory.Service).RemoveReturnAddress, "Nobody is sent to %s for the key %s any more.\n"))
}

func (k *keyGroup) changeReturn(use, short, long string, change func(*directory.Service, context.Context, directory.Who, string, string, string) (authn.APIKey, error), done string) *cobra.Command {
	c := &cobra.Command{
		Use: use + " NAME ADDRESS", Short: short, Long: long,
		Example: "  sallyport key return " + use + " shop https://app.example.com/signed-in --company acme", Args: cobra.ExactArgs(2),
	}
	reason := c.Flags().String("reason", "", "why, for the event log")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		return k.do(c, func(o *opened, company authn.Company) error {
			key, err := k.find(c, o, company, args[0])
			if err != nil {
				return err
			}
			if key, err = change(o.directory, c.Context(), directory.TheOperator(company.ID), key.ID, args[1], *reason); err != nil {
				return err
			}
			row, err := o.directory.KeyRowOf(c.Context(), company, key)
			if err != nil {
				return err
			}
			return k.show(viewKey(row), done, args[1], key.Name)
		})
	})
	return c
}

func (k *keyGroup) roll() *cobra.Command {
	c := &cobra.Command{
		Use: "roll NAME", Short: "Give an API key a new token, and let the old one work for a while",
		Long: "Gives an API key a new token, which is printed once. The token of now still works for the time of --overlap, or until its own end if that is sooner, " +
			"so that programs can be changed one after the other. A token before it ends at once.",
		Example: "  sallyport key roll siem --company acme\n  sallyport key roll siem --overlap 7d --expires 180d --json | jq -r .token", Args: cobra.ExactArgs(1),
	}
	overlap := c.Flags().String("overlap", "24h", "how long the old token still works, in hours or days: 1h to 14d")
	expires := c.Flags().String("expires", "90d", "how long the key lasts from now on, in days or hours; at most 365d")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		var r directory.Roll
		var err error
		if r.Life, err = keyLife(*expires); err != nil {
			return err
		}
		if r.Overlap, err = keyLife(*overlap); err != nil || r.Overlap < directory.ShortestOverlap || r.Overlap > directory.LongestOverlap {
			return misuse(fmt.Sprintf("--overlap is %q; it must be hours or days from 1h to 14d", *overlap))
		}
		return k.do(c, func(o *opened, company authn.Company) error {
			key, err := k.find(c, o, company, args[0])
			if err != nil {
				return err
			}
			rolled, token, err := o.directory.RollKey(c.Context(), directory.TheOperator(company.ID), key.ID, r)
			if err != nil {
				return err
			}
			v, err := k.made(c, o, company, rolled, token)
			if err != nil {
				return err
			}
			return k.show(v, "%s\n\nThis is the new token of the key %q (%s), shown this once. It works until %s; the old one until %s.\n",
				v.Token, v.Name, v.ID, v.ExpiresAt.Format(time.DateOnly), rolled.OldUntil.UTC().Format("2006-01-02 15:04 UTC"))
		})
	})
	return c
}
