package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// api is the checkbox "API account" (requirement H4).
func (u *userGroup) api() *cobra.Command {
	c := &cobra.Command{
		Use: "api LOGIN --owner LOGIN --reason TEXT", Short: "Make somebody an API account, or with --off a person again",
		Long: "Makes a user the account of a program, and prints its secret once. Everything happens at once: sessions end, all ways to verify and the password are gone, " +
			"nobody can sign in as it any more. It calls the API with HTTP Basic (login and secret), or with keys that `sallyport key add` makes for it, and may do what its role lists.\n\n" +
			"Somebody with administrative rights cannot be made one: take the rights away first. Again, for a user who is one: other limits and a new secret.\n\n" +
			"With --off the secret and its keys end; `sallyport user invite` then lets a person in again.",
		Example: "  sallyport user api build-bot --role deploy --network 10.20.0.0/16 --owner priya --expires 180d --reason \"nightly builds\"\n  sallyport user api build-bot --off --reason \"moved to the new runner\"",
		Args:    cobra.ExactArgs(1),
	}
	f := c.Flags()
	role, owner, reason := f.String("role", "", "a role of the company's own that lists what it may do (default: nothing)"), f.String("owner", "", "who answers for it"), f.String("reason", "", "why; shown in the report of exemptions")
	expires, off := f.String("expires", "365d", "how long it lasts, in days or hours; at most 365d"), f.Bool("off", false, "make it a person again")
	nets := f.StringSlice("network", nil, "where it may be used from, such as 10.0.0.0/8 or 192.0.2.7 (default: everywhere)")
	c.MarkFlagRequired("reason")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		act := directory.PersonAct{Do: directory.APIOff, Reason: *reason}
		if !*off {
			life, err := keyLife(*expires)
			if err != nil {
				return err
			}
			if *owner == "" {
				return misuse("--owner is missing; name the person who answers for the account")
			}
			list, err := readNetworks(*nets)
			if err != nil {
				return err
			}
			words := ""
			for _, n := range list {
				words += n.String() + " "
			}
			act = directory.PersonAct{Do: directory.APIOn, Reason: *reason,
				Args: map[string]string{"role": *role, "networks": words, "owner": *owner, "until": time.Now().Add(life).UTC().Format(time.RFC3339)}}
		}
		return u.do(c, func(o *opened, company authn.Company) error {
			v, err := u.find(c, o, company, args[0])
			if err != nil {
				return err
			}
			act.Target = v.ID
			out, err := o.directory.Do(c.Context(), directory.TheOperator(company.ID), act)
			if err != nil {
				return err
			}
			if *off {
				return u.show(map[string]any{"id": out.User.ID, "login": out.User.Login, "api": false}, "%s is a person again and cannot sign in yet; `sallyport user invite %s` makes a link.\n", out.User.Login, out.User.Login)
			}
			return u.show(map[string]any{"id": out.User.ID, "login": out.User.Login, "api": true, "secret": out.Secret, "expires_at": out.ExpiresAt.UTC()},
				"%s\n\nThis is the secret of %s, shown this once. A program sends it with HTTP Basic: %s:SECRET. It lasts until %s.\n",
				out.Secret, out.User.Login, out.User.Login, out.ExpiresAt.UTC().Format(time.DateOnly))
		})
	})
	return c
}
