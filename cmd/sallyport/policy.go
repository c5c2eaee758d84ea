package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/text"
)

// presetNames are the policies that a company can begin with.
func presetNames() []string {
	var names []string
	for _, p := range policy.Presets() {
		names = append(names, p.Name)
	}
	return names
}

func presetFlag() string {
	return "policy that the company begins with: " + strings.Join(presetNames(), ", ")
}

func presetOf(name string) (policy.Document, error) {
	for _, p := range policy.Presets() {
		if p.Name == cmp.Or(name, "plain") {
			return p.Document, nil
		}
	}
	return policy.Document{}, misuse(fmt.Sprintf("there is no preset %q; there are %s", name, strings.Join(presetNames(), ", ")))
}

// policyGroup is the command policy with the flags that its commands share.
type policyGroup struct {
	userGroup // for --company
	reason    string
	preview   bool
}

func (p *program) policyCommand() *cobra.Command {
	g := &policyGroup{userGroup: userGroup{program: p}}
	c := p.configured(group("policy", "Who must verify, how, and for how long things last", "  sallyport policy show\n  sallyport policy set --two-factor required --preview",
		g.showNow(), g.set(), g.preset(), g.history(), g.undo(), g.explain()))
	c.PersistentFlags().StringVar(&g.company, "company", "", "slug of the company; needed if there are several")
	return c
}

// policyView is a policy as machines read it.
type policyView struct {
	Company  string          `json:"company"`
	Version  int64           `json:"version"`
	SavedAt  *time.Time      `json:"saved_at,omitempty"`
	SavedBy  string          `json:"saved_by,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	UndoOf   int64           `json:"undo_of,omitempty"`
	Document json.RawMessage `json:"document,omitempty"`
}

func viewPolicy(c authn.Company, v authn.PolicyVersion) policyView {
	out := policyView{Company: c.Slug, Version: v.Version, SavedBy: v.Actor, Reason: v.Reason, UndoOf: v.UndoOf, Document: v.Document}
	if !v.At.IsZero() {
		at := v.At.UTC()
		out.SavedAt = &at
	}
	return out
}

func (g *policyGroup) showNow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show a company's policy", Args: cobra.NoArgs,
		Long:    "Shows the document that is saved. What stands under \"next\" takes its place at that time. `sallyport policy set` takes the same text.",
		Example: "  sallyport policy show > policy.json\n  sallyport policy show --json",
		RunE: does(func(c *cobra.Command, _ []string) error {
			return g.do(c, func(o *opened, company authn.Company) error {
				v, err := o.directory.PolicyVersion(c.Context(), company.ID, company.PolicyVersion)
				if err != nil {
					return err
				}
				var b bytes.Buffer
				if err := json.Indent(&b, v.Document, "", "  "); err != nil {
					return fmt.Errorf("company %s: %w", company.Slug, err)
				}
				return g.show(viewPolicy(company, v), "%s\n", b.String())
			})
		}),
	}
}

// saving gives a command the flags of a save.
func (g *policyGroup) saving(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&g.reason, "reason", "", "why, for the history")
	c.Flags().BoolVar(&g.preview, "preview", false, "only say what it would do")
	return c
}

// save saves a change, or says what it would do.
func (g *policyGroup) save(c *cobra.Command, o *opened, company authn.Company, ch directory.PolicyChange) error {
	ch.From, ch.Reason = company.PolicyVersion, g.reason
	do := o.directory.SavePolicy
	if g.preview {
		do = o.directory.PreviewPolicy
	}
	out, err := do(c.Context(), directory.TheOperator(company.ID), ch)
	if err != nil {
		return err
	}
	raw, err := out.Document.Encode()
	if err != nil {
		return err
	}
	v := struct {
		Saved bool `json:"saved"`
		policyView
		Preview policy.Preview `json:"preview"`
	}{!g.preview, policyView{Company: company.Slug, Version: out.Version, Document: raw, Reason: g.reason}, out.Preview}
	if v.UndoOf = ch.UndoOf; g.json {
		return g.showJSON(v)
	}
	said := fmt.Sprintf("The policy of %s is saved (version %d).\n", company.Slug, out.Version)
	if g.preview {
		said = fmt.Sprintf("Nothing is saved. What it would do to the %d people of %s:\n", out.Preview.People, company.Slug)
	}
	if _, err := io.WriteString(g.out, said+tallies(out.Preview)); err != nil {
		return err
	}
	return g.afterwards(c, o, company, out.Document)
}

// tallies are the groups of a preview that somebody is in.
func tallies(p policy.Preview) string {
	texts := text.Default()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, name := range policy.Groups() {
		if t := p.Groups[name]; t != nil && t.People > 0 {
			fmt.Fprintf(w, "  %d\t%s\t(new: %d, administrators: %d)\n", t.People, texts.Text(text.English, "preview."+string(name), nil), t.New, t.Administrators)
		}
	}
	w.Flush() // into memory
	if p.Weakens {
		b.WriteString("It asks less of somebody, or loosens a limit: all owners are told.\n")
	}
	return b.String()
}

// afterwards says what a policy needs that is not there yet.
func (g *policyGroup) afterwards(c *cobra.Command, o *opened, company authn.Company, d policy.Document) error {
	if !d.SMSFallback {
		return nil
	}
	st, err := o.providers.TextsOf(c.Context(), company.ID)
	if err != nil || st.Offered {
		return err
	}
	_, err = fmt.Fprintf(g.out, "Nobody sends text messages for %s yet, so codes go by e-mail; `sallyport provider set sms` gives it a provider.\n", company.Slug)
	return err
}

// policyFlags change fields of the document that is saved.
type policyFlags struct {
	two         string
	own         []string
	grace, code int
	trust       int
	sms, atOnce bool
}

var policyFlagNames = []string{"two-factor", "own-way", "grace-days", "trust-days", "code-seconds", "sms-fallback", "send-at-once"}

func (g *policyGroup) set() *cobra.Command {
	c := g.saving(&cobra.Command{
		Use:   "set [FILE]",
		Short: "Change a company's policy",
		Long: "Saves a whole document from a file (- is standard input), or changes the fields that have a flag and leaves the others.\n\n" +
			"  off       nobody is asked, and what is set up sleeps\n" +
			"  on        everybody may set it up, and is asked once they have\n" +
			"  required  everybody must; who never had a way gets a code by e-mail, or with --sms-fallback by text message\n\n" +
			"It is refused if no owner could sign in any more. `--two-factor off` always works: it is the way back in when a policy went wrong.",
		Example: "  sallyport policy set --two-factor required --own-way internal --grace-days 14 --reason \"as decided\"\n  sallyport policy set policy.json --preview\n  sallyport policy set --two-factor off --reason \"nobody gets in\"",
		Args:    cobra.MaximumNArgs(1),
	})
	var ch policyFlags
	f := c.Flags()
	f.StringVar(&ch.two, "two-factor", "", "off, on or required")
	f.StringSliceVar(&ch.own, "own-way", nil, "who must set up a way of their own, and not go on with codes by e-mail: internal, external, or none")
	f.IntVar(&ch.grace, "grace-days", 0, "for how many days they can put that off: 0 to 90")
	f.IntVar(&ch.trust, "trust-days", 0, "for how many days people can trust a browser, in which they are asked for the password only: 0 (never) to 90")
	f.IntVar(&ch.code, "code-seconds", 120, "how long a sent code is good: 30 to 600")
	f.BoolVar(&ch.sms, "sms-fallback", false, "send the code of who never had a way to their contact number, before e-mail; =false: only by e-mail")
	f.BoolVar(&ch.atOnce, "send-at-once", false, "send a code with the right password, where it is what people are asked for first; =false: when they ask for it")
	c.RunE = does(func(c *cobra.Command, args []string) error {
		flagged := slices.ContainsFunc(policyFlagNames, f.Changed)
		if flagged == (len(args) == 1) {
			return misuse("say what to change: either a file, or --" + strings.Join(policyFlagNames[:len(policyFlagNames)-1], ", --") + " or --" + policyFlagNames[len(policyFlagNames)-1])
		}
		var whole policy.Document
		var err error
		if flagged {
			if _, err = ch.apply(c, policy.Default()); err != nil {
				return misuse(strings.TrimPrefix(err.Error(), "policy: "))
			}
		} else if whole, err = g.read(args[0]); err != nil {
			return err
		}
		return g.do(c, func(o *opened, company authn.Company) error {
			if flagged {
				old, err := policy.Parse(company.Policy)
				if err != nil {
					return fmt.Errorf("company %s: %w", company.Slug, err)
				}
				next := old.Next
				old = policy.At(old, time.Now())
				if next != nil && old.Next == nil {
					next = nil // it has come
				}
				if whole, err = ch.apply(c, old); err != nil {
					return err
				}
				whole.Next = next
			}
			return g.save(c, o, company, directory.PolicyChange{Document: whole})
		})
	})
	return c
}

// read reads a document.
func (g *policyGroup) read(name string) (policy.Document, error) {
	in := g.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return policy.Document{}, fmt.Errorf("%s: %w", name, unwrapPath(err))
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return policy.Document{}, fmt.Errorf("%s: %w", name, unwrapPath(err))
	}
	return policy.Parse(raw)
}

func (ch policyFlags) apply(c *cobra.Command, d policy.Document) (policy.Document, error) {
	f := c.Flags()
	if f.Changed("two-factor") {
		d.TwoFactor = policy.TwoFactor(ch.two)
	}
	if d.TwoFactor == policy.Required && f.Changed("two-factor") {
		for _, o := range []*policy.Offering{&d.Internal, &d.External} {
			if *o != policy.RequiredThere {
				*o = policy.AsCompany // everybody is everybody
			}
		}
	}
	if f.Changed("own-way") {
		d.OwnWay = nil
		for _, a := range ch.own {
			if a != "none" {
				d.OwnWay = append(d.OwnWay, authn.Audience(a))
			}
		}
	}
	if f.Changed("grace-days") {
		d.GraceDays = ch.grace
	}
	if f.Changed("trust-days") {
		d.TrustDays = ch.trust
	}
	if f.Changed("code-seconds") {
		d.CodeSeconds = ch.code
	}
	if f.Changed("sms-fallback") {
		d.SMSFallback = ch.sms
	}
	if f.Changed("send-at-once") {
		d.SendAtOnce = ch.atOnce
	}
	_, err := d.Encode()
	return d, err
}

func (g *policyGroup) preset() *cobra.Command {
	return g.saving(&cobra.Command{
		Use: "preset NAME", Short: "Take one of the prepared policies", Args: cobra.ExactArgs(1),
		Long:    "Saves one of the prepared policies in place of the whole document: " + strings.Join(presetNames(), ", ") + ". docs/policy.md says what each asks.",
		Example: "  sallyport policy preset nist_aal2 --preview\n  sallyport policy preset plain --reason \"to begin again\"",
		RunE: does(func(c *cobra.Command, args []string) error {
			doc, err := presetOf(args[0])
			if err != nil {
				return err
			}
			return g.do(c, func(o *opened, company authn.Company) error {
				return g.save(c, o, company, directory.PolicyChange{Document: doc})
			})
		}),
	})
}

func (g *policyGroup) history() *cobra.Command {
	c := &cobra.Command{
		Use: "history", Short: "Show who changed the policy, when and why", Example: "  sallyport policy history --json", Args: cobra.NoArgs,
	}
	before := c.Flags().Int64("before", 0, "only versions before this one (default: from the newest)")
	c.RunE = does(func(c *cobra.Command, _ []string) error {
		return g.do(c, func(o *opened, company authn.Company) error {
			list, err := o.directory.PolicyVersions(c.Context(), company.ID, *before, 50)
			if err != nil {
				return err
			}
			views := []policyView{}
			for _, v := range list {
				views = append(views, viewPolicy(company, v))
			}
			if g.json {
				return g.showJSON(map[string]any{"items": views})
			}
			w := tabwriter.NewWriter(g.out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "VERSION\tSAVED\tBY\tWHY")
			for _, v := range views {
				at := "-"
				if v.SavedAt != nil {
					at = v.SavedAt.Format(time.RFC3339)
				}
				why := cmp.Or(v.Reason, "-")
				if v.UndoOf > 0 {
					why += fmt.Sprintf(" (brought back version %d)", v.UndoOf)
				}
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", v.Version, at, cmp.Or(v.SavedBy, "-"), why)
			}
			return w.Flush()
		})
	})
	return c
}

func (g *policyGroup) undo() *cobra.Command {
	return g.saving(&cobra.Command{
		Use: "undo VERSION", Short: "Bring a version of the policy back", Args: cobra.ExactArgs(1),
		Long:    "Saves the document of an earlier version as the newest one. It is checked against what there is today, like every save.",
		Example: "  sallyport policy undo 3 --preview\n  sallyport policy undo 3 --reason \"it was meant for April\"",
		RunE: does(func(c *cobra.Command, args []string) error {
			n, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || n < 1 {
				return misuse(fmt.Sprintf("VERSION is %q; it must be a number of `sallyport policy history`", args[0]))
			}
			return g.do(c, func(o *opened, company authn.Company) error {
				return g.save(c, o, company, directory.PolicyChange{UndoOf: n})
			})
		}),
	})
}

func (g *policyGroup) explain() *cobra.Command {
	return &cobra.Command{
		Use: "explain LOGIN", Short: "Say what a person is asked for, and why", Example: "  sallyport policy explain maya", Args: cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			return g.do(c, func(o *opened, company authn.Company) error {
				v, err := g.find(c, o, company, args[0])
				if err != nil {
					return err
				}
				u, factors, err := o.directory.Lookup(c.Context(), company, v.ID)
				if err != nil {
					return err
				}
				now := time.Now()
				doc, err := policy.Current(company, now)
				if err != nil {
					return err
				}
				return g.explained(u, policy.Explain(doc, u, factors, o.traits(company), now))
			})
		}),
	}
}

type becauseView struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

func (g *policyGroup) explained(u authn.User, e policy.Explanation) error {
	texts := text.Default()
	view := struct {
		Login   string        `json:"login"`
		Because []becauseView `json:"because"`
		Ask     string        `json:"ask"`
		Methods []authn.Kind  `json:"methods"`
		Denied  string        `json:"denied,omitempty"`
	}{Login: u.Login, Because: []becauseView{}, Ask: string(e.Outcome.Ask), Methods: append([]authn.Kind{}, e.Outcome.Kinds...), Denied: string(e.Outcome.Denied)}
	var b strings.Builder
	for _, one := range e.Because {
		s := texts.Text(text.English, "whyadmin."+string(one.Rule), map[string]any{"Role": one.Role, "Until": one.Until.UTC().Format(time.RFC3339), "By": one.By, "Reason": one.Reason})
		view.Because = append(view.Because, becauseView{string(one.Rule), s})
		fmt.Fprintf(&b, "- %s\n", s)
	}
	fmt.Fprintf(&b, "At the next sign-in: %s\n", texts.Text(text.English, "outcome."+string(e.Outcome.Ask), nil))
	return g.show(view, "%s:\n%s", u.Login, b.String())
}
