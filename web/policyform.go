package web

import (
	"cmp"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
)

// policyWays are the ways that a policy can offer, in the order of the form.
var policyWays = []authn.Kind{authn.WebAuthn, authn.TOTP, authn.Duo, authn.SMS, authn.Email, authn.BackupCode}

// policyNumber is a number of the policy: a field of the document, which counts in
// the unit that people think in.
type policyNumber struct {
	name, unit string // unit: days, seconds, minutes, characters, tries
	of         func(*policy.Document) *int
	least      int // as the document counts
	most       int
}

// scale is how many of the document's units one of the form's is.
func (n policyNumber) scale() int {
	if n.unit == "minutes" {
		return 60
	}
	return 1
}

// shown is a number of the document as the form has it.
func (n policyNumber) shown(v int) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(v)/float64(n.scale()), 'f', -1, 64)
}

// read is what was typed, as the document counts; what is no number is out of every
// bound.
func (n policyNumber) read(s string) int {
	if s = strings.ReplaceAll(strings.TrimSpace(s), ",", "."); s == "" {
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > 1e9 {
		return -1
	}
	if seconds := v * float64(n.scale()); seconds > 0 && seconds < 1 {
		return -1 // 0 is the usual number, and was not typed
	} else if n.scale() == 1 && v != math.Trunc(v) {
		return -1
	} else {
		return int(math.Round(seconds))
	}
}

var policyNumbers = []policyNumber{
	{"grace_days", "days", func(d *policy.Document) *int { return &d.GraceDays }, 0, policy.MaxGraceDays},
	{"trust_days", "days", func(d *policy.Document) *int { return &d.TrustDays }, 0, policy.MaxTrustDays},
	{"code_seconds", "seconds", func(d *policy.Document) *int { return &d.CodeSeconds }, policy.MinCodeSeconds, policy.MaxCodeSeconds},
	{"step_up_seconds", "minutes", func(d *policy.Document) *int { return &d.StepUpSeconds }, policy.MinStepUpSeconds, policy.MaxStepUpSeconds},
	{"session_seconds", "minutes", func(d *policy.Document) *int { return &d.SessionSeconds }, policy.MinSessionSeconds, policy.MaxSessionSeconds},
	{"idle_seconds", "minutes", func(d *policy.Document) *int { return &d.IdleSeconds }, policy.MinIdleSeconds, policy.MaxIdleSeconds},
	{"attempt_seconds", "minutes", func(d *policy.Document) *int { return &d.AttemptSeconds }, policy.MinAttemptSeconds, policy.MaxAttemptSeconds},
	{"password_length", "characters", func(d *policy.Document) *int { return &d.PasswordLength }, 8, policy.MaxPasswordLength},
	{"free_tries", "tries", func(d *policy.Document) *int { return &d.FreeTries }, policy.MinFreeTries, policy.MaxFreeTries},
	{"pause_seconds", "minutes", func(d *policy.Document) *int { return &d.PauseSeconds }, policy.MinPauseSeconds, policy.MaxPauseSeconds},
	{"longest_pause_seconds", "minutes", func(d *policy.Document) *int { return &d.LongestPauseSeconds }, policy.MinPauseSeconds, policy.MaxPauseSeconds},
}

// policySwitches are the fields that are on or off.
var policySwitches = []struct {
	name string
	of   func(*policy.Document) *bool
}{
	{"company_wide_only", func(d *policy.Document) *bool { return &d.CompanyWideOnly }},
	{"sms_fallback", func(d *policy.Document) *bool { return &d.SMSFallback }},
	{"no_email_fallback", func(d *policy.Document) *bool { return &d.NoEmailFallback }},
	{"email_after_reset", func(d *policy.Document) *bool { return &d.EmailAfterReset }},
	{"send_at_once", func(d *policy.Document) *bool { return &d.SendAtOnce }},
	{"passkeys_block_copied", func(d *policy.Document) *bool { return &passkeyRules(d).BlockCopied }},
	{"passkeys_device_bound", func(d *policy.Document) *bool { return &passkeyRules(d).DeviceBound }},
	{"passkeys_attested", func(d *policy.Document) *bool { return &passkeyRules(d).Attested }},
}

// When a policy begins to hold.
const (
	startNow   = "now"
	startLater = "later"
	localTime  = "2006-01-02T15:04" // of an input of type datetime-local
	on         = "1"                // of a checkbox
)

// policyValues is the form of a document. names say what models are called.
func policyValues(d policy.Document, names func(aaguid string) string) url.Values {
	f := url.Values{"two_factor": {string(d.TwoFactor)}, "internal": {string(d.Internal)}, "external": {string(d.External)}, "start": {startNow}}
	for _, s := range policySwitches {
		if *s.of(&d) {
			f.Set(s.name, on)
		}
	}
	for _, n := range policyNumbers {
		f.Set(n.name, n.shown(*n.of(&d)))
	}
	for _, k := range d.Methods {
		f.Add("methods", string(k))
	}
	if len(d.Methods) == 0 {
		f.Set("methods_all", on)
	}
	for _, a := range d.OwnWay {
		f.Add("own_way", string(a))
	}
	for _, a := range d.TrustFor {
		f.Add("trust_for", string(a))
	}
	f.Set(modelsField, modelLines(passkeyRules(&d).Models, names))
	f["require_roles"], f["no_trust_roles"] = d.RequireRoles, d.NoTrustRoles
	for role, s := range d.Strength {
		f.Set("strength."+role, string(s))
	}
	for role, n := range d.ProofsByRole {
		f.Set("proofs."+role, strconv.Itoa(n))
	}
	return f
}

// readPolicy is the document of a form. The error is Invalid; its fields are named
// as the document's.
func readPolicy(f url.Values) (policy.Document, error) {
	d := policy.Document{Format: 1, TwoFactor: policy.TwoFactor(f.Get("two_factor")), Internal: policy.Offering(f.Get("internal")), External: policy.Offering(f.Get("external"))}
	for _, s := range policySwitches {
		*s.of(&d) = f.Get(s.name) != ""
	}
	for _, n := range policyNumbers {
		*n.of(&d) = n.read(f.Get(n.name))
	}
	for _, a := range f["own_way"] {
		d.OwnWay = append(d.OwnWay, authn.Audience(a))
	}
	for _, a := range f["trust_for"] {
		d.TrustFor = append(d.TrustFor, authn.Audience(a))
	}
	if f.Get("methods_all") == "" {
		for _, k := range f["methods"] {
			d.Methods = append(d.Methods, authn.Kind(k))
		}
		if len(d.Methods) == 0 { // which would mean all of them
			return d, authn.InvalidField("policy.methods", "no_way", nil)
		}
	}
	readPasskeys(f, &d)
	d.RequireRoles, d.NoTrustRoles = f["require_roles"], f["no_trust_roles"]
	for name, list := range f {
		role, strength := strings.CutPrefix(name, "strength.")
		if strength && list[0] != "" {
			if d.Strength == nil {
				d.Strength = map[string]policy.Strength{}
			}
			d.Strength[role] = policy.Strength(list[0])
		}
		if role, proofs := strings.CutPrefix(name, "proofs."); proofs && list[0] != "" {
			n, err := strconv.Atoi(list[0])
			if err != nil {
				n = -1
			}
			if d.ProofsByRole == nil {
				d.ProofsByRole = map[string]int{}
			}
			d.ProofsByRole[role] = n
		}
	}
	_, err := d.Encode()
	return d, err
}

// startOf is when the form's document begins to hold; zero: at once.
func startOf(f url.Values, zone *time.Location) (time.Time, error) {
	if f.Get("start") != startLater {
		return time.Time{}, nil
	}
	at, err := time.ParseInLocation(localTime, f.Get("from"), zone)
	if err != nil {
		return at, authn.InvalidField("policy.next.from", "required", nil)
	}
	return at.UTC(), nil
}

// control is a question of the form.
type control struct {
	Name, Kind, Label, Hint, Error string // Kind: choice, checks, check, lines, number
	Value, Unit                    string
	Choices                        []Choice
}

// policySection are the questions about one thing.
type policySection struct {
	ID, Title, Text string
	Controls        []control
	Numbers         bool // its controls are numbers: two in a row, where there is room
	Roles           []roleRules
	Errors          []string // about the roles
}

// roleRules is what is asked of the people of one role.
type roleRules struct {
	Name, Title      string
	Required         bool
	NoTrust          bool // its people are asked in every browser
	Strength, Proofs []Choice
}

// questions are the form, filled in.
type questions struct {
	v      *View
	f      url.Values
	errors map[string]string
}

func (q questions) label(name string) string { return q.v.T("admin.policy." + name) }

func (q questions) hint(name string) string {
	if key := "admin.policy." + name + "_hint"; q.v.texts.Has(key) {
		return q.v.T(key)
	}
	return ""
}

func (q questions) of(kind, name string, choices ...Choice) control {
	return control{Name: name, Kind: kind, Label: q.label(name), Hint: q.hint(name), Error: q.errors[name], Value: q.f.Get(name), Choices: choices}
}

// choice is a question with one answer; the texts of its answers are those of of.
func (q questions) choice(name, of string, values ...string) control {
	return q.of("choice", name, q.options(name, of, values...)...)
}

func (q questions) options(name, of string, values ...string) []Choice {
	var out []Choice
	for _, value := range values {
		out = append(out, Choice{Value: value, Label: q.label(of + "." + cmp.Or(value, "none")), Chosen: q.f.Get(name) == value})
	}
	return out
}

func (q questions) check(name string) control { return q.of("check", name) }

func (q questions) number(name string) control {
	c := q.of("number", name)
	for _, n := range policyNumbers {
		if n.name == name {
			c.Unit = q.label("unit." + n.unit)
			c.Hint = strings.TrimSpace(c.Hint + " " + q.v.T("admin.policy.bounds", "Min", n.bound(n.least), "Max", n.bound(n.most)))
		}
	}
	return c
}

// bound is shown, where 0 is a number like others.
func (n policyNumber) bound(v int) string { return cmp.Or(n.shown(v), "0") }

func (q questions) ways(offered func(authn.Kind) (authn.Traits, bool)) control {
	c := q.of("checks", "methods")
	for _, k := range policyWays {
		_, here := offered(k)
		chosen := slices.Contains(q.f["methods"], string(k))
		if here || chosen {
			c.Choices = append(c.Choices, Choice{Value: string(k), Label: q.v.T("method." + string(k)), Chosen: chosen})
		}
	}
	return c
}

func (q questions) audiences(name string) control {
	c := q.of("checks", name)
	for _, a := range []authn.Audience{authn.InternalAudience, authn.ExternalAudience} {
		c.Choices = append(c.Choices, Choice{Value: string(a), Label: q.label("audience." + string(a)), Chosen: slices.Contains(q.f[name], string(a))})
	}
	return c
}

// roles are a row for each role of the company, and for those that the form names.
func (q questions) roles(company authn.Company) []roleRules {
	names := directory.Roles()
	for _, r := range company.Roles {
		names = append(names, r.Name)
	}
	add := func(list ...string) {
		for _, name := range list {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	add(q.f["require_roles"]...)
	add(q.f["no_trust_roles"]...)
	var more []string
	for key, list := range q.f {
		for _, prefix := range []string{"strength.", "proofs."} {
			if role, ok := strings.CutPrefix(key, prefix); ok && list[0] != "" {
				more = append(more, role)
			}
		}
	}
	slices.Sort(more)
	add(more...)
	var rows []roleRules
	for _, name := range names {
		row := roleRules{Name: name, Title: q.v.roleTitle(company, name), Required: slices.Contains(q.f["require_roles"], name), NoTrust: slices.Contains(q.f["no_trust_roles"], name)}
		row.Strength = q.options("strength."+name, "strength", "", string(policy.OwnPossession), string(policy.PhishingResistant))
		row.Proofs = q.options("proofs."+name, "proofs", "", "1", "2")
		rows = append(rows, row)
	}
	return rows
}

// roleTitle is what a role is called: ours in the reader's language, the company's
// own as it was written.
func (v *View) roleTitle(company authn.Company, name string) string {
	if key := "role." + name; v.texts.Has(key) {
		return v.T(key)
	}
	for _, r := range company.Roles {
		if r.Name == name && r.Title != "" {
			return r.Title
		}
	}
	return name
}

// sections is the whole form.
func (q questions) sections(company authn.Company, offered func(authn.Kind) (authn.Traits, bool)) []policySection {
	offerings := []string{"", string(policy.NotOffered), string(policy.OfferedToThem), string(policy.RequiredThere)}
	out := []policySection{
		{ID: "who", Controls: []control{
			q.choice("two_factor", "two_factor", string(policy.Off), string(policy.On), string(policy.Required)),
			q.choice("internal", "offering", offerings...), q.choice("external", "offering", offerings...), q.check("company_wide_only"),
		}},
		{ID: "roles", Roles: q.roles(company)},
		{ID: "ways", Controls: []control{q.check("methods_all"), q.ways(offered)}},
		{ID: "passkeys", Controls: []control{q.check("passkeys_block_copied"), q.check("passkeys_device_bound"), q.check("passkeys_attested"), q.of("lines", modelsField)}},
		{ID: "first", Controls: []control{q.check("sms_fallback"), q.check("no_email_fallback"), q.check("email_after_reset"), q.check("send_at_once"), q.audiences("own_way"), q.number("grace_days")}},
		{ID: "trust", Controls: []control{q.number("trust_days"), q.audiences("trust_for")}},
		{ID: "lasts", Numbers: true, Controls: []control{q.number("code_seconds"), q.number("attempt_seconds"), q.number("step_up_seconds"), q.number("session_seconds"), q.number("idle_seconds"), q.number("password_length")}},
		{ID: "wrong", Numbers: true, Controls: []control{q.number("free_tries"), q.number("pause_seconds"), q.number("longest_pause_seconds")}},
	}
	for i := range out {
		out[i].Title, out[i].Text = q.label("section."+out[i].ID), q.hint("section."+out[i].ID)
		if out[i].ID == "roles" {
			for _, name := range []string{"require_roles", "no_trust_roles", "strength", "proofs_by_role"} {
				if q.errors[name] != "" {
					out[i].Errors = append(out[i].Errors, q.label(name)+": "+q.errors[name])
				}
			}
		}
	}
	return out
}
