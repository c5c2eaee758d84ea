package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// linkView is a link as machines read it. Whoever has it is the person, until it
// is used: it is printed once, because it was asked for.
type linkView struct {
	Login     string    `json:"login"`
	Link      string    `json:"link,omitempty"`
	MailedTo  string    `json:"mailed_to,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

// invitation is where a link leads.
func invitation(base string, t authn.Token) string { return base + "/invitation/" + t.Reveal() }

func (o *opened) viewLink(g directory.Given) linkView {
	v := linkView{Login: g.User.Login, ExpiresAt: g.ExpiresAt.UTC()}
	if g.Token.IsZero() {
		v.MailedTo = g.User.Email
	} else {
		v.Link = invitation(o.url, g.Token)
	}
	return v
}

func (v linkView) String() string {
	until := v.ExpiresAt.Format("2006-01-02 15:04 MST")
	if v.Link == "" {
		return fmt.Sprintf("A link is on its way to %s. It works once, until %s; the running server sends it.\n", v.MailedTo, until)
	}
	return fmt.Sprintf("Give this link to %s, and to nobody else. It works once, until %s:\n\n  %s\n", v.Login, until, v.Link)
}

func (u *userGroup) invite() *cobra.Command {
	var n directory.NewUser
	var audience string
	var mail bool
	c := &cobra.Command{
		Use:   "invite LOGIN",
		Short: "Add a person who sets their own password by a link",
		Long: "Adds a person and makes a link by which they set their own password; it is good for seven days. Someone who is there already gets a new link, " +
			"which replaces the password and nothing else.",
		Example: "  sallyport user invite lena --name \"Lena Vogel\" --email lena@acme.example --mail\n  sallyport user invite priya --role owner",
		Args:    cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVar(&n.Name, "name", "", "the person's name (default: LOGIN)")
	f.StringVar(&n.Email, "email", "", "e-mail address")
	f.BoolVar(&n.Verified, "email-verified", false, "you know that the address is theirs; only then does it sign in")
	f.StringVar(&audience, "audience", "internal", "internal (staff) or external (customers)")
	f.StringSliceVar(&n.Roles, "role", nil, strings.Join(directory.Roles(), ", ")+" (default: member)")
	f.BoolVar(&n.Require, "require", false, "require two-factor sign-in of this person")
	f.StringVar(&n.Phone.Typed, "phone", "", phoneFlag)
	f.BoolVar(&mail, "mail", false, "send the link to the address instead of printing it")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		n.Login, n.Audience = args[0], authn.Audience(audience)
		return u.do(c, func(o *opened, company authn.Company) error {
			if mail && !o.mail {
				return misuse("--mail needs a mail server in the configuration (mail.host); without it the link is printed")
			}
			g, err := u.invited(c, o, company, n, mail)
			if err != nil {
				return err
			}
			v := o.viewLink(g)
			return u.show(v, "%s", v)
		})
	})
	return c
}

// invited makes the person, or finds who is there.
func (u *userGroup) invited(c *cobra.Command, o *opened, company authn.Company, n directory.NewUser, mail bool) (directory.Given, error) {
	_, _, err := o.directory.Lookup(c.Context(), company, n.Login)
	if errors.Is(err, authn.NotFound) {
		if n.Phone, err = o.phone(c, company, n.Phone.Typed); err != nil {
			return directory.Given{}, err
		}
		g, err := o.directory.Invite(c.Context(), company, n, mail)
		return g, abroad(err, company, n.Phone)
	}
	if err != nil {
		return directory.Given{}, err
	}
	for _, name := range []string{"name", "email", "email-verified", "audience", "role", "require", "phone"} {
		if c.Flags().Changed(name) {
			return directory.Given{}, say(authn.Conflict, "%s is there already; leave out --%s to give them a new link", n.Login, name)
		}
	}
	return o.directory.Reinvite(c.Context(), company, n.Login, mail)
}

func (u *userGroup) bypassCode() *cobra.Command {
	return &cobra.Command{
		Use:     "help-code LOGIN",
		Aliases: []string{"bypass-code"},
		Short:   "Make a one-time code for someone who cannot verify that it's them",
		Long: "Makes a code that is good for one hour and works once, after the password. It opens the set-up of a new way to verify and nothing else; " +
			"what is set up changes nothing of the account for a day. Make sure that you speak with the person: call back on the number on file.",
		Example: "  sallyport user help-code tom",
		Args:    cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return u.do(c, func(o *opened, company authn.Company) error {
				v, err := u.find(c, o, company, args[0])
				if err != nil {
					return err
				}
				code, until, err := o.directory.BypassCode(c.Context(), company, v.ID)
				if err != nil {
					return err
				}
				return u.show(struct {
					Login     string    `json:"login"`
					Code      string    `json:"code"`
					ExpiresAt time.Time `json:"expires_at"`
				}{v.Login, code, until.UTC()}, "Help code for %s, good once until %s, after the password:\n\n  %s\n", v.Login, until.UTC().Format("15:04 MST"), code)
			})
		}),
	}
}

func (p *program) companyRecover() *cobra.Command {
	var owner string
	c := &cobra.Command{
		Use:   "recover SLUG --owner LOGIN",
		Short: "Let an owner in again who is locked out",
		Long: "Gives an owner a link of 30 minutes that sets a new password and sets up a new way to verify. Their old ways to verify are removed and " +
			"they are signed out everywhere. It is recorded, and the owners of the company are told.",
		Example: "  sallyport company recover acme --owner priya",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&owner, "owner", "", "login of the owner")
	c.MarkFlagRequired("owner")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		return p.operate(c.Context(), func(o *opened) error {
			company, err := o.company(c, args[0])
			if err != nil {
				return err
			}
			g, err := o.directory.Recover(c.Context(), company, owner)
			if errors.Is(err, authn.NotFound) {
				return say(authn.NotFound, "there is nobody %q in company %s; `sallyport user list --company %[2]s` shows all, and `sallyport user invite LOGIN --role owner` adds an owner", owner, company.Slug)
			}
			if err != nil {
				return err
			}
			v := o.viewLink(g)
			return p.show(v, "%s", v)
		})
	})
	return c
}

func (p *program) companySupport() *cobra.Command {
	var text string
	c := &cobra.Command{
		Use:     "support SLUG --text TEXT",
		Short:   "Say whom people can ask who cannot get in",
		Example: "  sallyport company support acme --text \"Call the help desk: +46 8 123 456, weekdays 8 to 17.\"",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&text, "text", "", "what the sign-in pages say, 500 characters at most; empty: ask your administrator")
	c.MarkFlagRequired("text")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		return p.operate(c.Context(), func(o *opened) error {
			company, err := o.company(c, args[0])
			if err == nil {
				err = o.directory.SetSupport(c.Context(), company, text)
			}
			if err != nil {
				return err
			}
			return p.show(map[string]string{"slug": company.Slug, "support": text}, "Saved for %s.\n", company.Slug)
		})
	})
	return c
}
