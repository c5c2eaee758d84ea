package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
)

// change is a command that does one thing to one person. Each ends the
// person's sessions (ruling 3).
func (u *userGroup) change(use, short, example, done string, f func(*cobra.Command, *opened, authn.Company, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return u.do(c, func(o *opened, company authn.Company) error {
				v, err := u.find(c, o, company, args[0])
				if err != nil {
					return err
				}
				if err := f(c, o, company, v.ID); err != nil {
					return err
				}
				return u.changed(c, o, company, v.ID, done)
			})
		}),
	}
}

func (u *userGroup) setPassword() *cobra.Command {
	var stdin bool
	var given string
	c := u.change("password LOGIN", "Give a person a new password", "  sallyport user password maya\n  pass show maya | sallyport user password maya --password-stdin",
		"The password of %s is changed, and they are signed out everywhere.\n",
		func(c *cobra.Command, o *opened, company authn.Company, id string) error {
			return o.directory.SetPassword(c.Context(), company, id, given)
		})
	c.Flags().BoolVar(&stdin, "password-stdin", false, passwordFlag)
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		// Asked before the database is opened, so that nothing waits for the typing.
		if err := does(func(*cobra.Command, []string) (err error) { given, err = u.password(stdin); return err })(c, args); err != nil {
			return err
		}
		return run(c, args)
	}
	return c
}

func (u *userGroup) suspend() *cobra.Command {
	return u.change("suspend LOGIN", "Keep a person out, and sign them out at once", "  sallyport user suspend tom",
		"%s is suspended and signed out everywhere.\n",
		func(c *cobra.Command, o *opened, company authn.Company, id string) error {
			return o.directory.SetStatus(c.Context(), company, id, authn.Suspended)
		})
}

func (u *userGroup) activate() *cobra.Command {
	return u.change("activate LOGIN", "Let a suspended person in again", "  sallyport user activate tom",
		"%s may sign in again.\n",
		func(c *cobra.Command, o *opened, company authn.Company, id string) error {
			return o.directory.SetStatus(c.Context(), company, id, authn.Active)
		})
}

func (u *userGroup) require() *cobra.Command {
	var off bool
	c := u.change("require LOGIN", "Require two-factor sign-in of a person",
		"  sallyport user require maya\n  sallyport user require maya --off",
		"The setting of %s is saved.\n",
		func(c *cobra.Command, o *opened, company authn.Company, id string) error {
			return o.directory.SetRequire(c.Context(), company, id, !off)
		})
	c.Long = "Requires two-factor sign-in of a person, whatever the company's policy says while that is on. Who has nothing set up cannot sign in then."
	c.Flags().BoolVar(&off, "off", false, "require it no longer")
	return c
}

func (u *userGroup) resetFactors() *cobra.Command {
	c := u.change("reset-factors LOGIN", "Remove everything a person has set up, but the password", "  sallyport user reset-factors tom",
		"Nothing but the password is set up for %s now, and they are signed out everywhere.\n",
		func(c *cobra.Command, o *opened, company authn.Company, id string) error {
			return o.directory.ResetFactors(c.Context(), company, id)
		})
	c.Long = "Removes a person's authenticator app and whatever else they have set up, for someone who lost their phone. Make sure that it is really they who ask: call back on the number on file."
	return c
}
