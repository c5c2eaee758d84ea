package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/notice"
)

// brandView is a company's brand as machines read it.
type brandView struct {
	Slug        string `json:"slug"`
	Version     int64  `json:"version"`
	Accent      string `json:"accent"`
	LightAccent string `json:"light_accent,omitempty"`
	DarkAccent  string `json:"dark_accent,omitempty"`
	HelpText    string `json:"help_text"`
	HelpLink    string `json:"help_link"`
	PrivacyLink string `json:"privacy_link"`
	TermsLink   string `json:"terms_link"`
	Support     string `json:"support"`
	MailName    string `json:"mail_name"`
	SMSName     string `json:"sms_name"`
	Logo        string `json:"logo,omitempty"`
	LogoDark    string `json:"logo_dark,omitempty"`
}

func viewBrand(slug string, st branding.State) brandView {
	b := st.Brand
	v := brandView{Slug: slug, Version: st.Version, Accent: b.Accent, LightAccent: st.Colours.Light.Accent, DarkAccent: st.Colours.Dark.Accent, HelpText: b.HelpText,
		HelpLink: b.HelpLink, PrivacyLink: b.PrivacyLink, TermsLink: b.TermsLink, Support: st.Support, MailName: b.MailName, SMSName: b.SMSName}
	if b.Logo.Hash != "" {
		v.Logo = branding.LogoPath(slug, b.Logo)
	}
	if b.LogoDark.Hash != "" {
		v.LogoDark = branding.LogoPath(slug, b.LogoDark)
	}
	return v
}

func (v brandView) rows() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  version %d\n", v.Slug, v.Version)
	colour := v.Accent
	if colour != "" && (v.LightAccent != colour || v.DarkAccent != colour) {
		colour += fmt.Sprintf(" (%s on light pages, %s on dark ones, so that it can be read)", v.LightAccent, v.DarkAccent)
	}
	for _, row := range [][2]string{{"colour", colour}, {"logo", v.Logo}, {"logo, dark", v.LogoDark}, {"help text", v.HelpText}, {"help", v.HelpLink}, {"privacy", v.PrivacyLink},
		{"terms", v.TermsLink}, {"support", v.Support}, {"mail from", v.MailName}, {"in texts", v.SMSName}} {
		if row[1] == "" {
			row[1] = "-"
		}
		fmt.Fprintf(&b, "%-11s %s\n", row[0], row[1])
	}
	return b.String()
}

func (p *program) companyBranding() *cobra.Command {
	return group("branding", "How a company's pages look, and what it calls itself in messages", "  sallyport company branding show acme",
		p.brandingShow(), p.brandingSet(), p.brandingLogo())
}

// branded does something with a company's brand, and shows what came of it.
func (p *program) branded(c *cobra.Command, slug string, do func(*opened, authn.Company) (branding.State, error)) error {
	return p.operate(c.Context(), func(o *opened) error {
		company, err := o.company(c, slug)
		if err != nil {
			return err
		}
		st, err := do(o, company)
		if err != nil {
			return err
		}
		v := viewBrand(company.Slug, st)
		return p.show(v, "%s", v.rows())
	})
}

func (p *program) brandingShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SLUG", Short: "Show how a company's pages look", Example: "  sallyport company branding show acme", Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return p.branded(c, args[0], func(o *opened, company authn.Company) (branding.State, error) {
				return o.branding.Operator().Brand(c.Context(), company.ID)
			})
		}),
	}
}

func (p *program) brandingSet() *cobra.Command {
	c := &cobra.Command{
		Use:   "set SLUG",
		Short: "Change a company's colour, texts and names",
		Long: "Changes a company's colour, texts and the names of its messages; what is not given stays, and an empty value takes something away. The change is in the event log.\n\n" +
			"The colour is darkened on light pages and lightened on dark ones as far as it must be to be read.",
		Example: "  sallyport company branding set acme --accent '#1f5fd6' --privacy-link https://acme.example/privacy\n  sallyport company branding set acme --mail-name \"Acme Projects\" --sms-name Acme",
		Args:    cobra.ExactArgs(1),
	}
	var typed branding.Change
	f := c.Flags()
	fields := []struct {
		flag, use string
		from      *string
		to        func(*branding.Change) *string
	}{
		{"accent", "colour of buttons and links, #rrggbb", &typed.Accent, func(ch *branding.Change) *string { return &ch.Accent }},
		{"help-text", "below the sign-in form and on the help page, 300 characters at most", &typed.HelpText, func(ch *branding.Change) *string { return &ch.HelpText }},
		{"help-link", "https address of the company's help pages", &typed.HelpLink, func(ch *branding.Change) *string { return &ch.HelpLink }},
		{"privacy-link", "https address of its privacy notice", &typed.PrivacyLink, func(ch *branding.Change) *string { return &ch.PrivacyLink }},
		{"terms-link", "https address of its terms", &typed.TermsLink, func(ch *branding.Change) *string { return &ch.TermsLink }},
		{"mail-name", "the sender of e-mail (default: the company's name); the address stays the same", &typed.MailName, func(ch *branding.Change) *string { return &ch.MailName }},
		{"sms-name", "the company in text messages (default: its name)", &typed.SMSName, func(ch *branding.Change) *string { return &ch.SMSName }},
	}
	var names []string
	for _, one := range fields {
		f.StringVar(one.from, one.flag, "", one.use)
		names = append(names, one.flag)
	}
	c.RunE = does(func(c *cobra.Command, args []string) error {
		if !slices.ContainsFunc(names, f.Changed) {
			return misuse("say what to change: --" + strings.Join(names[:len(names)-1], ", --") + " or --" + names[len(names)-1])
		}
		return p.branded(c, args[0], func(o *opened, company authn.Company) (branding.State, error) {
			st, err := o.branding.Operator().Brand(c.Context(), company.ID)
			if err != nil {
				return st, err
			}
			ch := branding.Change{Brand: st.Brand, Support: st.Support, From: st.Version}
			for _, one := range fields {
				if f.Changed(one.flag) {
					*one.to(&ch) = *one.from
				}
			}
			return o.branding.Operator().Save(c.Context(), company.ID, ch)
		})
	})
	return c
}

func (p *program) brandingLogo() *cobra.Command {
	c := &cobra.Command{
		Use:   "logo SLUG [FILE]",
		Short: "Set or remove a company's logo",
		Long: "Sets a company's logo: PNG, JPEG or WebP, at most 1 MiB, 2,000 pixels a side and 4 megapixels. It is drawn anew, at most 480 × 160 pixels. FILE - is standard input. " +
			"Without --dark it is the logo for light pages, which dark ones show on a white ground if there is no other.",
		Example: "  sallyport company branding logo acme logo.png\n  sallyport company branding logo acme white.png --dark\n  sallyport company branding logo acme --remove",
		Args:    cobra.RangeArgs(1, 2),
	}
	dark := c.Flags().Bool("dark", false, "the logo for dark pages")
	remove := c.Flags().Bool("remove", false, "take the logo away")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		if *remove == (len(args) == 2) {
			return misuse("give either a file or --remove")
		}
		picture, kind := branding.Picture{Remove: *remove}, branding.Light
		if *dark {
			kind = branding.Dark
		}
		if !*remove {
			var err error
			if picture.Bytes, err = p.readLogo(args[1]); err != nil {
				return err
			}
		}
		return p.branded(c, args[0], func(o *opened, company authn.Company) (branding.State, error) {
			return o.branding.Operator().SetLogo(c.Context(), company.ID, kind, picture)
		})
	})
	return c
}

// readLogo reads no more of a file than shows that it is too long.
func (p *program) readLogo(name string) ([]byte, error) {
	in := p.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, unwrapPath(err))
		}
		defer f.Close()
		in = f
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(in, branding.MaxUpload+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, unwrapPath(err))
	}
	if b.Len() == 0 {
		return nil, fmt.Errorf("%s is empty", name)
	}
	return b.Bytes(), nil
}

// brands keeps how companies look, for commands.
func brands(st branding.Store) (*branding.Service, error) {
	return branding.New(branding.Config{Store: st, SMSName: notice.SMSName})
}
