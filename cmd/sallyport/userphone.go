package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
)

const phoneFlag = "contact number, mobile; you know that it is theirs"

// phone is a number with the countries that hold for a company.
func (o *opened) phone(c *cobra.Command, company authn.Company, typed string) (directory.Phone, error) {
	countries, err := o.providers.Countries(c.Context(), company.ID)
	return directory.Phone{Typed: typed, Countries: countries}, err
}

// abroad says which countries a number may be of.
func abroad(err error, company authn.Company, p directory.Phone) error {
	if err != nil && authn.AsError(err).Key == "error.text_country" {
		return say(authn.PolicyForbids, "phone: text messages of %s go to %s only; `sallyport provider set sms --countries` changes that", company.Slug, strings.Join(p.Countries, ", "))
	}
	return err
}

func (u *userGroup) phone() *cobra.Command {
	var remove bool
	c := &cobra.Command{
		Use:   "phone LOGIN [NUMBER]",
		Short: "Set or remove a person's contact number",
		Long: "Sets a person's contact number, or removes it. Where the policy has sms_fallback, codes go there until the person has a way of their own, so make sure that it is theirs. " +
			"It ends their sessions, and they are told by e-mail. A number that takes another's place gets codes after 24 hours.\n\n" +
			"A number for signing in is another thing: people set that up themselves, with a code.\n\n" +
			"Write the number with its country (+46 70 174 06 05); without, it is of the first of the company's countries.",
		Example: "  sallyport user phone maya +46701740605\n  sallyport user phone maya --remove",
		Args:    cobra.RangeArgs(1, 2),
	}
	c.Flags().BoolVar(&remove, "remove", false, "remove the number")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		typed := strings.Join(args[1:], "")
		if (typed == "") != remove {
			return misuse("give the number, such as +46701740605, or --remove")
		}
		return u.do(c, func(o *opened, company authn.Company) error {
			v, err := u.find(c, o, company, args[0])
			if err != nil {
				return err
			}
			number, err := o.phone(c, company, typed)
			if err != nil {
				return err
			}
			if err := o.directory.SetPhone(c.Context(), company, v.ID, number); err != nil {
				return abroad(err, company, number)
			}
			if v, err = u.find(c, o, company, v.ID); err != nil {
				return err
			}
			if remove {
				return u.show(v, "%s has no contact number now, and is signed out everywhere.\n", v.Login)
			}
			note, err := o.reaches(c, company)
			if err != nil {
				return err
			}
			return u.show(v, "The contact number of %s is %s (%s), and they are signed out everywhere.\n%s", v.Login, v.Phone, v.phoneNote(time.Now()), note)
		})
	})
	return c
}

// reaches says why no code goes to contact numbers of a company, if none does.
func (o *opened) reaches(c *cobra.Command, company authn.Company) (string, error) {
	doc, err := policy.Current(company, time.Now())
	if err != nil {
		return "", fmt.Errorf("company %s: %w", company.Slug, err)
	}
	st, err := o.providers.TextsOf(c.Context(), company.ID)
	switch {
	case err != nil:
		return "", err
	case !st.Offered:
		return "Nobody sends text messages for " + company.Slug + " yet; `sallyport provider set sms` gives it a provider.\n", nil
	case !doc.SMSFallback:
		return "No code goes there: `sallyport policy set --company " + company.Slug + " --sms-fallback` allows it.\n", nil
	}
	return "", nil
}

// phoneNote says what a number is good for.
func (v userView) phoneNote(now time.Time) string {
	switch {
	case !v.PhoneTrusted:
		return "nobody vouches for it; no codes"
	case v.PhoneFrom != nil && v.PhoneFrom.After(now):
		return "codes from " + v.PhoneFrom.Format("2006-01-02 15:04 MST")
	}
	return "an administrator vouches for it"
}
