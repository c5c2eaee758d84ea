package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
)

// userView is a person as machines read it.
type userView struct {
	ID               string       `json:"id"`
	ExternalID       string       `json:"external_id,omitempty"` // in the host program's table, which checks the password
	Login            string       `json:"login"`
	Name             string       `json:"name"`
	Email            string       `json:"email,omitempty"`
	EmailVerified    bool         `json:"email_verified"`
	Phone            string       `json:"phone,omitempty"`
	PhoneTrusted     bool         `json:"phone_trusted"` // an administrator vouches for it: codes can go there
	PhoneFrom        *time.Time   `json:"phone_from,omitempty"`
	Audience         string       `json:"audience"`
	Status           string       `json:"status"`
	Roles            []string     `json:"roles"`
	RequireTwoFactor bool         `json:"require_two_factor"`
	HasPassword      bool         `json:"has_password"`
	API              bool         `json:"api"` // the account of a program; its password is its secret
	Factors          []factorView `json:"factors"`
	CreatedAt        time.Time    `json:"created_at"`
}

type factorView struct {
	ID     string `json:"id"`
	Method string `json:"method"`
	State  string `json:"state"`
	Name   string `json:"name,omitempty"`
}

func viewUser(u authn.User, factors []authn.Factor) userView {
	v := userView{ID: u.ID, ExternalID: u.ExternalID, Login: u.Login, Name: u.Name, Email: u.Email, EmailVerified: !u.EmailVerifiedAt.IsZero(),
		Audience: string(u.Audience), Status: string(u.Status), Roles: u.Roles, RequireTwoFactor: u.RequireTwoFactor, API: u.API,
		Factors: []factorView{}, CreatedAt: u.CreatedAt.UTC()}
	if u.Phone != "" {
		v.Phone, v.PhoneTrusted = u.Phone, !u.PhoneTrustedAt.IsZero()
		if !u.PhoneChangedAt.IsZero() {
			from := u.PhoneChangedAt.Add(policy.ContactRests).UTC()
			v.PhoneFrom = &from
		}
	}
	for _, f := range factors {
		if f.Kind == authn.Password {
			v.HasPassword = true
			continue
		}
		v.Factors = append(v.Factors, factorView{f.ID, string(f.Kind), factorState(f), f.Name})
	}
	return v
}

// factorState is the state that a person would see: a factor whose every share
// of wrong answers is used up is locked.
func factorState(f authn.Factor) string {
	if f.State == authn.Confirmed && f.Counts[authn.Stranger].Tries >= authn.ShareStranger &&
		f.Counts[authn.Known].Tries >= authn.ShareKnown {
		return "locked"
	}
	return string(f.State)
}

// ways is the factors in a few words.
func (v userView) ways() string {
	var out []string
	for _, f := range v.Factors {
		s := f.Method
		if f.Name != "" {
			s += fmt.Sprintf(" %q", f.Name)
		}
		if f.State != string(authn.Confirmed) {
			s += " (" + f.State + ")"
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// userGroup is the command user with the flag that all its commands share.
type userGroup struct {
	*program
	company string
}

func (p *program) userCommand() *cobra.Command {
	u := &userGroup{program: p}
	c := p.configured(group("user", "People of a company", "  sallyport user list --company acme",
		u.add(), u.invite(), u.list(), u.importFile(), u.exportFile(), u.showOne(), u.phone(), u.setPassword(), u.suspend(), u.activate(), u.leave(), u.signOut(), u.unlock(), u.closeHelp(), u.require(), u.exempt(), u.resetFactors(), u.bypassCode(), u.exportData(), u.erase(), u.api()))
	c.PersistentFlags().StringVar(&u.company, "company", "", "slug of the company; needed if there are several")
	return c
}

// do opens the installation and finds the company.
func (u *userGroup) do(c *cobra.Command, f func(*opened, authn.Company) error) error {
	return u.operate(c.Context(), func(o *opened) error {
		company, err := o.company(c, u.company)
		if err != nil {
			return err
		}
		return f(o, company)
	})
}

// find looks a person up by login, e-mail address or id.
func (u *userGroup) find(c *cobra.Command, o *opened, company authn.Company, who string) (userView, error) {
	user, factors, err := o.directory.Lookup(c.Context(), company, who)
	if errors.Is(err, authn.NotFound) {
		return userView{}, say(authn.NotFound, "there is nobody %q in company %s; `sallyport user list` shows all", who, company.Slug)
	}
	return viewUser(user, factors), err
}

func (u *userGroup) add() *cobra.Command {
	c := &cobra.Command{
		Use:   "add LOGIN",
		Short: "Add a person",
		Long:  "Adds a person. The password comes from a prompt or standard input; with --no-password they cannot sign in until `user password` sets one.",
		Example: "  sallyport user add maya --name \"Maya Lindqvist\" --email maya@acme.example\n" +
			"  pass show maya | sallyport user add maya --password-stdin",
		Args: cobra.ExactArgs(1),
	}
	var n directory.NewUser
	var audience string
	var stdin, without bool
	f := c.Flags()
	f.StringVar(&n.Name, "name", "", "the person's name (default: LOGIN)")
	f.StringVar(&n.Email, "email", "", "e-mail address")
	f.BoolVar(&n.Verified, "email-verified", false, "you know that the address is theirs; only then does it sign in")
	f.StringVar(&audience, "audience", "internal", "internal (staff) or external (customers)")
	f.StringSliceVar(&n.Roles, "role", nil, strings.Join(directory.Roles(), ", ")+" (default: member)")
	f.BoolVar(&n.Require, "require", false, "require two-factor sign-in of this person")
	f.StringVar(&n.Phone.Typed, "phone", "", phoneFlag)
	f.BoolVar(&stdin, "password-stdin", false, passwordFlag)
	f.BoolVar(&without, "no-password", false, "give no password yet")
	c.MarkFlagsMutuallyExclusive("password-stdin", "no-password")
	c.RunE = does(func(c *cobra.Command, args []string) (err error) {
		n.Login, n.Audience = args[0], authn.Audience(audience)
		if !without {
			if n.Password, err = u.password(stdin); err != nil {
				return err
			}
		}
		return u.do(c, func(o *opened, company authn.Company) error { return u.create(c, o, company, n) })
	})
	return c
}

func (u *userGroup) create(c *cobra.Command, o *opened, company authn.Company, n directory.NewUser) (err error) {
	if n.Phone, err = o.phone(c, company, n.Phone.Typed); err != nil {
		return err
	}
	made, err := o.directory.CreateUser(c.Context(), company, n)
	if errors.Is(err, authn.Conflict) {
		return say(authn.Conflict, "the login or e-mail address is taken in company %s; `sallyport user list` shows by whom", company.Slug)
	}
	if err != nil {
		return abroad(err, company, n.Phone)
	}
	v, err := u.find(c, o, company, made.ID)
	if err != nil {
		return err
	}
	return u.show(v, "%s (%s) is in company %s.\n", v.Login, v.Name, company.Slug)
}

func (u *userGroup) showOne() *cobra.Command {
	return &cobra.Command{
		Use: "show LOGIN", Short: "Show a person", Example: "  sallyport user show maya", Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return u.do(c, func(o *opened, company authn.Company) error {
				v, err := u.find(c, o, company, args[0])
				if err != nil {
					return err
				}
				return u.show(v, "%s", v)
			})
		}),
	}
}

// String is the person for a terminal.
func (v userView) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\nid          %s\n", v.Login, v.Name, v.ID)
	if v.Email != "" {
		note := "not verified"
		if v.EmailVerified {
			note = "verified"
		}
		fmt.Fprintf(&b, "e-mail      %s (%s)\n", v.Email, note)
	}
	if v.Phone != "" {
		fmt.Fprintf(&b, "phone       %s (%s)\n", v.Phone, v.phoneNote(time.Now()))
	}
	fmt.Fprintf(&b, "status      %s, %s, %s\n", v.Status, v.Audience, strings.Join(v.Roles, ", "))
	words := map[bool]string{true: "yes", false: "no"}
	fmt.Fprintf(&b, "password    %s\ntwo-factor  %s; required of this person: %s\nadded       %s\n",
		words[v.HasPassword], v.ways(), words[v.RequireTwoFactor], v.CreatedAt.Format(time.RFC3339))
	return b.String()
}

// changed answers a command that changed a person.
func (u *userGroup) changed(c *cobra.Command, o *opened, company authn.Company, who, format string) error {
	v, err := u.find(c, o, company, who)
	if err != nil {
		return err
	}
	return u.show(v, format, v.Login)
}
