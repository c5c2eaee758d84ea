package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

var roleForm = regexp.MustCompile(`^[a-z0-9_-]{1,40}$`)

// ways are what Document.Methods may hold.
var ways = []authn.Kind{authn.TOTP, authn.SMS, authn.Email, authn.Duo, authn.WebAuthn, authn.BackupCode}

// maxRounds bounds Document.AllowedAgain.
const maxRounds = 1 << 30

// findings are the fields of a document that are wrong.
type findings struct {
	prefix string
	list   []authn.Field
}

func (f *findings) wrong(name, code string, args map[string]any) {
	if slices.ContainsFunc(f.list, func(of authn.Field) bool { return of.Name == f.prefix+name && of.Code == code }) {
		return // of a list or a map, once
	}
	f.list = append(f.list, authn.Field{Name: f.prefix + name, Code: code, Args: args})
}

// between holds a number to its bounds; 0 is always right.
func (f *findings) between(name string, n, least, most int) {
	if n != 0 && (n < least || n > most) {
		f.wrong(name, "between", map[string]any{"Min": least, "Max": most})
	}
}

func (f *findings) role(name, role string) {
	if !roleForm.MatchString(role) {
		f.wrong(name, "invalid", nil)
	}
}

// error is Invalid with the findings; nil if there are none.
func (f *findings) error() error {
	if len(f.list) == 0 {
		return nil
	}
	var said []string
	for _, one := range f.list {
		said = append(said, strings.TrimPrefix(one.Name, "policy.")+" "+inWords(one))
	}
	return &authn.Error{Code: authn.Invalid, Fields: f.list, Err: fmt.Errorf("policy: %s", strings.Join(said, "; "))}
}

// inWords says what is wrong with a field, for command lines and logs; pages and the
// API have the catalogue's "field." texts.
func inWords(f authn.Field) string {
	switch {
	case strings.HasSuffix(f.Name, ".two_factor"):
		return `must be "off", "on" or "required"`
	case strings.HasSuffix(f.Name, ".format"):
		return "is not 1, which is the one that this program knows"
	case f.Code == "between":
		return fmt.Sprintf("must be %v to %v, or left out", f.Args["Min"], f.Args["Max"])
	}
	return "is refused: " + f.Code
}

// check holds what a document says of itself to the rules; what depends on what
// the server and the company have is Contradictions'.
func (d Document) check() error {
	f := &findings{prefix: "policy."}
	d.find(f)
	if n := d.Next; n != nil {
		if n.From.IsZero() {
			f.wrong("next.from", "required", nil)
		}
		f.prefix = "policy.next.document."
		n.Document.find(f)
		if n.Document.Next != nil {
			f.wrong("next", "invalid", nil)
		}
	}
	return f.error()
}

func (d Document) find(f *findings) {
	if d.Format != 1 {
		f.wrong("format", "not_one_of", nil)
	}
	if !slices.Contains([]TwoFactor{Off, On, Required}, d.TwoFactor) {
		f.wrong("two_factor", "not_one_of", nil)
	}
	d.findWhom(f)
	d.findNumbers(f)
	d.findPasskeys(f)
	for i, k := range d.Methods {
		if !slices.Contains(ways, k) || slices.Contains(d.Methods[:i], k) {
			f.wrong("methods", "not_one_of", nil)
		}
	}
	for k, n := range d.AllowedAgain {
		if !slices.Contains(ways, k) || n < 1 || n > maxRounds {
			f.wrong("allowed_again", "invalid", nil)
		}
	}
	if len(d.Methods) > 0 && !slices.ContainsFunc(d.Methods, authn.Kind.Own) {
		f.wrong("methods", "no_way", nil)
	}
	// A restricted authenticator needs one beside it that is not (std-21); codes by
	// e-mail are no authenticator at all.
	if slices.Contains(d.Methods, authn.SMS) && !slices.ContainsFunc(d.Methods, func(k authn.Kind) bool {
		return k.Own() && !k.Sent()
	}) {
		f.wrong("methods", "sms_only", nil)
	}
}

// findWhom is about audiences and roles.
func (d Document) findWhom(f *findings) {
	for i, o := range []Offering{d.Internal, d.External} {
		name := []string{"internal", "external"}[i]
		switch {
		case !slices.Contains([]Offering{AsCompany, NotOffered, OfferedToThem, RequiredThere}, o):
			f.wrong(name, "not_one_of", nil)
		case d.CompanyWideOnly && o != AsCompany:
			f.wrong(name, "company_wide", nil)
		case d.TwoFactor == Required && (o == NotOffered || o == OfferedToThem):
			f.wrong(name, "contradicts", nil)
		}
	}
	for i, a := range d.OwnWay {
		if a != authn.InternalAudience && a != authn.ExternalAudience || slices.Contains(d.OwnWay[:i], a) {
			f.wrong("own_way", "not_one_of", nil)
		}
	}
	for i, a := range d.TrustFor {
		switch {
		case a != authn.InternalAudience && a != authn.ExternalAudience || slices.Contains(d.TrustFor[:i], a):
			f.wrong("trust_for", "not_one_of", nil)
		case d.CompanyWideOnly:
			f.wrong("trust_for", "company_wide", nil)
		}
	}
	if len(d.NoTrustRoles) > maxRoles {
		f.wrong("no_trust_roles", "too_many_roles", map[string]any{"Max": maxRoles})
		return
	}
	for i, role := range d.NoTrustRoles {
		f.role("no_trust_roles", role)
		if slices.Contains(d.NoTrustRoles[:i], role) {
			f.wrong("no_trust_roles", "not_one_of", nil)
		}
	}
	if len(d.RequireRoles) > maxRoles || len(d.Strength) > maxRoles || len(d.ProofsByRole) > maxRoles {
		f.wrong("require_roles", "too_many_roles", map[string]any{"Max": maxRoles})
		return
	}
	for i, role := range d.RequireRoles {
		f.role("require_roles", role)
		if slices.Contains(d.RequireRoles[:i], role) {
			f.wrong("require_roles", "not_one_of", nil)
		}
	}
	for role, s := range d.Strength {
		f.role("strength", role)
		if s != OwnPossession && s != PhishingResistant {
			f.wrong("strength", "not_one_of", nil)
		}
	}
	for role, n := range d.ProofsByRole {
		f.role("proofs_by_role", role)
		if n < 1 || n > 2 {
			f.wrong("proofs_by_role", "between", map[string]any{"Min": 1, "Max": 2})
		}
	}
}

func (d Document) findNumbers(f *findings) {
	f.between("grace_days", d.GraceDays, 1, MaxGraceDays)
	f.between("trust_days", d.TrustDays, 1, MaxTrustDays)
	f.between("code_seconds", d.CodeSeconds, MinCodeSeconds, MaxCodeSeconds)
	f.between("password_length", d.PasswordLength, leastPasswordLength, MaxPasswordLength)
	f.between("step_up_seconds", d.StepUpSeconds, MinStepUpSeconds, MaxStepUpSeconds)
	f.between("session_seconds", d.SessionSeconds, MinSessionSeconds, MaxSessionSeconds)
	f.between("idle_seconds", d.IdleSeconds, MinIdleSeconds, MaxIdleSeconds)
	f.between("attempt_seconds", d.AttemptSeconds, MinAttemptSeconds, MaxAttemptSeconds)
	f.between("free_tries", d.FreeTries, MinFreeTries, MaxFreeTries)
	f.between("pause_seconds", d.PauseSeconds, MinPauseSeconds, MaxPauseSeconds)
	f.between("longest_pause_seconds", d.LongestPauseSeconds, MinPauseSeconds, MaxPauseSeconds)
	if d.SessionSeconds > 0 && d.IdleSeconds > d.SessionSeconds {
		f.wrong("idle_seconds", "between", map[string]any{"Min": MinIdleSeconds, "Max": d.SessionSeconds})
	}
	if l := d.Lockout(); l.LongestPause < l.FirstPause {
		f.wrong("longest_pause_seconds", "between", map[string]any{"Min": int(l.FirstPause.Seconds()), "Max": MaxPauseSeconds})
	}
}

// Contradictions are what the document demands and nobody could do with what the
// server and the company have: traits. It is asked when a document is saved.
//
// Errors: Invalid, with fields as Parse; codes no_way, no_method.
func (d Document) Contradictions(traits func(authn.Kind) (authn.Traits, bool)) error {
	f := &findings{prefix: "policy."}
	d.contradictions(f, traits)
	if d.Next != nil {
		f.prefix = "policy.next.document."
		d.Next.Document.contradictions(f, traits)
	}
	return f.error()
}

func (d Document) contradictions(f *findings, traits func(authn.Kind) (authn.Traits, bool)) {
	if d.TwoFactor == Off {
		return // nothing is demanded
	}
	var own []authn.Traits
	for _, k := range ways {
		if t, ok := d.Only(traits)(k); ok && k.Own() {
			own = append(own, t)
		}
	}
	met := func(s Strength) bool { return slices.ContainsFunc(own, s.Meets) }
	demands := d.TwoFactor == Required || d.Internal == RequiredThere || d.External == RequiredThere ||
		len(d.RequireRoles)+len(d.ProofsByRole) > 0
	switch {
	case len(own) == 0 && (demands || len(d.Methods) > 0):
		f.wrong("methods", "no_way", nil)
	case len(d.OwnWay) > 0 && demands && !met(OwnPossession):
		f.wrong("own_way", "no_method", nil)
	}
	for _, s := range d.Strength {
		if !met(s) {
			f.wrong("strength", "no_method", nil)
			break
		}
	}
	if t, ok := d.Only(traits)(authn.WebAuthn); ok && !t.Attests && d.passkeys().attested() {
		f.wrong("passkeys.attested", "no_models", nil)
	}
	for role, n := range d.ProofsByRole {
		strong := 0 // kinds of ways that the role's people can prove
		for _, t := range own {
			if d.Strength[role].Meets(t) {
				strong++
			}
		}
		if n > 1 && (strong < 2 || !met(OwnPossession)) {
			f.wrong("proofs_by_role", "no_method", nil)
			break
		}
	}
}
