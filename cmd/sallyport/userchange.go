package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
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

// act is a command that is one of the directory's acts.
func (u *userGroup) act(do, use, short, example, done string) *cobra.Command {
	var reason string
	c := u.change(use, short, example, done, func(c *cobra.Command, o *opened, company authn.Company, id string) error {
		_, err := o.directory.Do(c.Context(), directory.TheOperator(company.ID), directory.PersonAct{Do: do, Target: id, Reason: reason})
		return err
	})
	reasonFlag(c, &reason)
	return c
}

func reasonFlag(c *cobra.Command, reason *string) {
	c.Flags().StringVar(reason, "reason", "", "why; for the log")
}

func (u *userGroup) suspend() *cobra.Command {
	return u.act(directory.Suspend, "suspend LOGIN", "Keep a person out, and sign them out at once", "  sallyport user suspend tom --reason \"Left on 1 March\"",
		"%s is suspended and signed out everywhere.\n")
}

func (u *userGroup) activate() *cobra.Command {
	return u.act(directory.Activate, "activate LOGIN", "Let a suspended person in again", "  sallyport user activate tom",
		"%s may sign in again.\n")
}

func (u *userGroup) unlock() *cobra.Command {
	c := u.act(directory.Unlock, "unlock LOGIN", "End the pause after wrong codes or passwords", "  sallyport user unlock tom",
		"%s can try again now.\n")
	c.Long = "Ends a pause after wrong codes or passwords. What was counted stays: a way with a hundred wrong codes stays locked, and a help code opens the set-up of a new one."
	return c
}

func (u *userGroup) closeHelp() *cobra.Command {
	c := u.act(directory.CloseHelp, "close-help LOGIN", "Mark what a person asked for from the sign-in page as dealt with", "  sallyport user close-help tom --reason \"Called back\"",
		"What %s asked for is dealt with.\n")
	c.Long = "Marks what a person asked for from the sign-in page as dealt with. It ends by itself once they have signed in, or said that it was somebody else. `user list --state help` lists those who wait."
	return c
}

func (u *userGroup) signOut() *cobra.Command {
	return u.act(directory.SignOut, "sign-out LOGIN", "Sign a person out everywhere", "  sallyport user sign-out tom",
		"%s is signed out everywhere.\n")
}

func (u *userGroup) leave() *cobra.Command {
	return u.act(directory.Leave, "leave LOGIN", "Close the account of somebody who left: suspend, sign out, end their keys", "  sallyport user leave tom",
		"%s is suspended and signed out everywhere, and their keys ended.\n")
}

func (u *userGroup) exempt() *cobra.Command {
	var until, reason string
	var off bool
	c := u.change("exempt LOGIN", "Lift two-factor sign-in for a person until a day", "  sallyport user exempt tom --until 2026-12-24 --reason \"Phone in repair\"\n  sallyport user exempt tom --off",
		"The exemption of %s is saved.\n", func(c *cobra.Command, o *opened, company authn.Company, id string) error {
			p := directory.PersonAct{Do: directory.EndExemption, Target: id, Reason: reason}
			if !off {
				day, err := time.Parse(time.DateOnly, until)
				if err != nil {
					return misuse("--until needs a day, such as 2026-12-24, or give --off")
				}
				p.Do, p.Args = directory.Exempt, map[string]string{"until": day.AddDate(0, 0, 1).Add(-time.Second).Format(time.RFC3339)}
			}
			_, err := o.directory.Do(c.Context(), directory.TheOperator(company.ID), p)
			return err
		})
	reasonFlag(c, &reason)
	c.Flags().StringVar(&until, "until", "", "last day (UTC), at most 90 days away")
	c.Flags().BoolVar(&off, "off", false, "end the exemption")
	c.MarkFlagsMutuallyExclusive("until", "off")
	return c
}

func (u *userGroup) require() *cobra.Command {
	var off bool
	c := &cobra.Command{
		Use: "require LOGIN", Short: "Require two-factor sign-in of a person",
		Long:    "Requires two-factor sign-in of a person, whatever the company's policy says while that is on. Who has nothing set up cannot sign in then.",
		Example: "  sallyport user require maya\n  sallyport user require maya --off", Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return u.do(c, func(o *opened, company authn.Company) error {
				v, err := u.find(c, o, company, args[0])
				if err != nil {
					return err
				}
				do := directory.RequireTwo
				if off {
					do = directory.NotRequire
				}
				if _, err := o.directory.Do(c.Context(), directory.TheOperator(company.ID), directory.PersonAct{Do: do, Target: v.ID}); err != nil {
					return err
				}
				if v, err = u.find(c, o, company, v.ID); err != nil {
					return err
				}
				return u.show(v, "%s", v.required(company))
			})
		}),
	}
	c.Flags().BoolVar(&off, "off", false, "require it no longer")
	return c
}

// required says what two-factor sign-in of this person comes to now.
func (v userView) required(company authn.Company) string {
	doc, err := policy.Current(company, time.Now())
	if err != nil {
		doc.TwoFactor = policy.On // the setting is saved whatever the policy says
	}
	switch {
	case !v.RequireTwoFactor && doc.TwoFactor == policy.Required:
		return fmt.Sprintf("It is no longer required of %s in particular; the policy of %s requires it of everybody.\n", v.Login, company.Slug)
	case !v.RequireTwoFactor:
		return fmt.Sprintf("Two-factor sign-in is no longer required of %s.\n", v.Login)
	case doc.TwoFactor == policy.Off:
		return fmt.Sprintf("Two-factor sign-in is required of %s as soon as the policy of %s is no longer off.\n", v.Login, company.Slug)
	case len(v.Factors) == 0:
		return fmt.Sprintf("Two-factor sign-in is required of %s now. Nothing is set up for them, so they cannot sign in: `sallyport user require %[1]s --off` lets them in to set it up.\n", v.Login)
	}
	return fmt.Sprintf("Two-factor sign-in is required of %s now.\n", v.Login)
}

func (u *userGroup) resetFactors() *cobra.Command {
	c := u.act(directory.Reset, "reset-factors LOGIN", "Remove everything a person has set up, but the password", "  sallyport user reset-factors tom",
		"Nothing but the password is set up for %s now, and they are signed out everywhere.\n")
	c.Long = "Removes a person's authenticator app and whatever else they have set up, for someone who lost their phone. Make sure that it is really they who ask: call back on the number on file."
	return c
}
