package policy

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Group is what a preview counts people by. A person can be in several. Its text
// is the catalogue's "preview." + Group.
type Group string

// The groups of a preview.
const (
	GroupSetUp    Group = "set_up"        // asked to set up a way, or another one, at their next sign-in
	GroupCode     Group = "fallback_code" // a code to a contact stands in
	GroupOwn      Group = "own_way"       // asked for a way of their own that they have
	GroupAgain    Group = "confirm_again" // asked to confirm a way again that was taken away and is allowed again
	GroupNothing  Group = "nothing"       // the password is enough
	GroupExempt   Group = "exempt"        // of whom policy demands nothing, for a time
	GroupAPI      Group = "api_account"
	GroupWeakened Group = "weakened" // asked for less than before
	GroupAsleep   Group = "asleep"   // have ways that cannot be used: they sleep, or are not offered
	GroupStranded Group = "stranded" // nobody can let them in but an administrator
)

// Groups are all of them, in the order in which they are shown.
func Groups() []Group {
	return []Group{GroupSetUp, GroupCode, GroupOwn, GroupAgain, GroupNothing, GroupExempt, GroupAPI, GroupWeakened, GroupAsleep, GroupStranded}
}

// Tally are the people of one group.
type Tally struct {
	People         int                    `json:"people"`
	New            int                    `json:"new"`            // of those, who are in it only with the new document
	Administrators int                    `json:"administrators"` // of those, who hold a role that may change something
	Owners         int                    `json:"owners"`
	Audiences      map[authn.Audience]int `json:"audiences,omitempty"`
	Roles          map[string]int         `json:"roles,omitempty"`
	Methods        map[authn.Kind]int     `json:"methods,omitempty"` // that they have; a person can have several
	Denied         map[Denial]int         `json:"denied,omitempty"`  // stranded only
	// Invited are those of Stranded, newly so, who get an invitation by e-mail: they
	// have an address that codes can go to, and no administrative rights.
	Invited int `json:"invited,omitempty"`
	// Awaited are people by the kinds of their ways to be confirmed again, in that group:
	// a person can have several kinds.
	Awaited map[authn.Kind]int `json:"awaited,omitempty"`
	// Shapes are the texts of their shapes, sorted; which people they are the
	// directory knows.
	Shapes []string `json:"-"`
}

// Preview is what a new document does to the people of a company (requirement G5).
type Preview struct {
	People int              `json:"people"` // who may sign in
	Groups map[Group]*Tally `json:"groups"`
	// OwnersBefore are the owners who can get in as it is; OwnersLeft who still can.
	OwnersBefore int `json:"owners_before"`
	OwnersLeft   int `json:"owners_left"`
	// Weakens: somebody is asked for less than before, or something that protects
	// everybody is let loose.
	Weakens bool `json:"weakens"`
}

// PreviewAsk is what a preview is made of.
type PreviewAsk struct {
	Old, New Document
	Shapes   map[string]int // how many people are of each authn.Shape
	Traits   func(authn.Kind) (authn.Traits, bool)
	Now      time.Time
	Server   Lifetimes // what holds where a document says nothing
	// Administrators are the roles that hold any permission; Owner is the one that
	// holds all.
	Administrators []string
	Owner          string
}

// newcomers are people who are not there yet: what is demanded of them can be taken
// away while everybody who is there has a way of their own, or an audience is empty.
var newcomers = []authn.Shape{
	{Audience: authn.InternalAudience, Status: authn.Active, Password: true, Email: true, Phone: true},
	{Audience: authn.ExternalAudience, Status: authn.Active, Password: true, Email: true, Phone: true},
}

// Compare says what the new document does. It looks at the one that it ends in, if
// that is to hold later, and calls weaker what is weaker at any time.
//
// Errors: a shape cannot be read.
func Compare(a PreviewAsk) (Preview, error) {
	p := Preview{Groups: map[Group]*Tally{}}
	for _, g := range Groups() {
		p.Groups[g] = &Tally{Audiences: map[authn.Audience]int{}, Roles: map[string]int{}, Methods: map[authn.Kind]int{}, Denied: map[Denial]int{}, Awaited: map[authn.Kind]int{}}
	}
	old, soon, last, from := At(a.Old, a.Now), At(a.New, a.Now), At(a.New, a.Now), a.Now
	if n := last.Next; n != nil {
		from = n.From
		last = At(n.Document, from)
	}
	p.Weakens = a.loosens(old, soon) || a.loosens(old, last)
	for _, s := range newcomers {
		u, factors := s.Person()
		before := Foresee(old, u, factors, a.Traits, a.Now)
		p.Weakens = p.Weakens || weaker(before, Foresee(soon, u, factors, a.Traits, a.Now)) || weaker(before, Foresee(last, u, factors, a.Traits, from))
	}
	for _, text := range slices.Sorted(maps.Keys(a.Shapes)) {
		n := a.Shapes[text]
		s, err := authn.ParseShape(text)
		if err != nil {
			return Preview{}, fmt.Errorf("policy: preview: %w", err)
		}
		if n <= 0 || s.Status != authn.Active {
			continue
		}
		u, factors := s.Person()
		before, now, after := Foresee(old, u, factors, a.Traits, a.Now), Foresee(soon, u, factors, a.Traits, a.Now), Foresee(last, u, factors, a.Traits, from)
		less := weaker(before, now) || weaker(before, after)
		was := groupsOf(old, before, u, factors, a.Traits, false)
		p.People += n
		p.Weakens = p.Weakens || less
		owner := slices.Contains(s.Roles, a.Owner)
		if owner && before.Ask != AskDenied && s.Password {
			p.OwnersBefore += n
		}
		if owner && after.Ask != AskDenied && now.Ask != AskDenied && s.Password {
			p.OwnersLeft += n
		}
		admin := slices.ContainsFunc(s.Roles, func(r string) bool { return slices.Contains(a.Administrators, r) })
		for _, g := range groupsOf(last, after, u, factors, a.Traits, less) {
			t := p.Groups[g]
			t.add(n, s, text, admin, owner)
			if !slices.Contains(was, g) {
				t.New += n
			}
			switch g {
			case GroupStranded:
				t.Denied[after.Denied] += n
				if s.Email && !admin && !slices.Contains(was, g) {
					t.Invited += n
				}
			case GroupAgain:
				for _, k := range kindsOf(ToConfirm(last, u, factors, a.Traits)) {
					t.Awaited[k] += n
				}
			}
		}
	}
	return p, nil
}

func (t *Tally) add(n int, s authn.Shape, text string, admin, owner bool) {
	t.People += n
	if admin {
		t.Administrators += n
	}
	if owner {
		t.Owners += n
	}
	t.Audiences[s.Audience] += n
	for _, r := range s.Roles {
		t.Roles[r] += n
	}
	for _, k := range s.Kinds {
		t.Methods[k] += n
	}
	t.Shapes = append(t.Shapes, text)
}

// kindsOf are the kinds of factors, each once.
func kindsOf(factors []authn.Factor) []authn.Kind {
	var out []authn.Kind
	for _, f := range factors {
		if !slices.Contains(out, f.Kind) {
			out = append(out, f.Kind)
		}
	}
	return out
}

// groupsOf are the groups of a person under a document.
func groupsOf(d Document, o Outcome, u authn.User, factors []authn.Factor, traits func(authn.Kind) (authn.Traits, bool), less bool) []Group {
	out := []Group{map[Ask]Group{AskNothing: GroupNothing, AskCode: GroupCode, AskOwn: GroupOwn, AskAgain: GroupOwn, AskSetUp: GroupSetUp, AskDenied: GroupStranded}[o.Ask]}
	switch {
	case u.API:
		out = append(out, GroupAPI)
	case d.Exempts(u) && !d.Sleeps(u):
		out = append(out, GroupExempt)
	}
	if less {
		out = append(out, GroupWeakened)
	}
	usable := Second(d, u, factors, traits)
	if again := ToConfirm(d, u, factors, traits); len(again) > 0 {
		out, usable = append(out, GroupAgain), append(usable, again...)
	}
	if slices.ContainsFunc(factors, func(f authn.Factor) bool {
		return f.Kind.Own() && f.State != authn.Pending && f.State != authn.Fallback &&
			!slices.ContainsFunc(usable, func(x authn.Factor) bool { return x.ID == f.ID })
	}) {
		out = append(out, GroupAsleep)
	}
	return out
}

// weaker reports whether less is asked of a person than before. To be let in again
// with a way of one's own, by which one was not let in, is no weakening.
func weaker(before, after Outcome) bool {
	switch {
	case after.Ask == AskDenied:
		return false
	case before.Ask == AskDenied:
		return after.Ask != AskOwn && after.Ask != AskAgain
	}
	return after.weight < before.weight
}

// AsksMore reports whether a person is asked for more than before, or not let in
// any more.
func AsksMore(before, after Outcome) bool {
	if before.Ask == AskDenied || after.Ask == AskDenied {
		return after.Ask == AskDenied && before.Ask != AskDenied
	}
	return after.weight > before.weight
}

// loosens reports whether the new document lets something loose that no person's
// shape shows: what lasts longer, how often one may guess, and who may be excepted.
func (a PreviewAsk) loosens(old, next Document) bool {
	if next.TwoFactor == Off && old.TwoFactor != Off || old.CompanyWideOnly && !next.CompanyWideOnly {
		return true
	}
	o, n := old.Lifetimes(a.Server.WithDefaults()), next.Lifetimes(a.Server.WithDefaults())
	l, m := old.Lockout(), next.Lockout()
	if n.StepUpAge > o.StepUpAge || n.Session > o.Session || n.Idle > o.Idle || n.Attempt > o.Attempt || next.CodeLives() > old.CodeLives() || next.GraceDays > old.GraceDays ||
		m.FreeTries > l.FreeTries || m.FirstPause < l.FirstPause || m.LongestPause < l.LongestPause || next.PasswordLength < old.PasswordLength ||
		next.SMSFallback && !old.SMSFallback || next.EmailAfterReset && !old.EmailAfterReset || old.NoEmailFallback && !next.NoEmailFallback || least(next, a.Traits) < least(old, a.Traits) {
		return true
	}
	if old.TwoFactor != Off && LessTrust(next, old) || loosensPasskeys(old.passkeys(), next.passkeys()) {
		return true
	}
	// Nobody may have the role today, and somebody tomorrow.
	for role, s := range old.Strength {
		if n := next.Strength[role]; n == AnyStrength || s == PhishingResistant && n != s {
			return true
		}
	}
	for role, n := range old.ProofsByRole {
		if next.ProofsByRole[role] < n && (n > 1 || !slices.Contains(next.RequireRoles, role)) {
			return true
		}
	}
	for _, role := range old.RequireRoles {
		if !slices.Contains(next.RequireRoles, role) && next.ProofsByRole[role] == 0 {
			return true
		}
	}
	return false
}

// least is what the weakest way shows that people can set up.
func least(d Document, traits func(authn.Kind) (authn.Traits, bool)) int {
	out := 4 // more than any: none can be
	for _, k := range ways {
		if t, ok := d.Only(traits)(k); ok && k.Own() {
			out = min(out, weigh(t))
		}
	}
	return out
}
