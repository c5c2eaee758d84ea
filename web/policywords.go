package web

import (
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// fact is one field of a policy in words.
type fact struct {
	Name, Label, Value string
}

// policyChange is a field that two policies do not agree on.
type policyChange struct {
	Label, Before, After string
}

// facts are a policy in words, field by field; what lies in the future is not
// among them.
func (v *View) facts(d policy.Document, company authn.Company) []fact {
	var out []fact
	add := func(name, value string) { out = append(out, fact{name, v.T("admin.policy." + name), value}) }
	add("two_factor", v.T("admin.policy.two_factor."+string(d.TwoFactor)))
	for _, a := range []struct {
		name string
		o    policy.Offering
	}{{"internal", d.Internal}, {"external", d.External}} {
		value := "none"
		if a.o != policy.AsCompany {
			value = string(a.o)
		}
		add(a.name, v.T("admin.policy.offering."+value))
	}
	yes := map[bool]string{true: v.T("admin.policy.yes"), false: v.T("admin.policy.no")}
	for _, s := range policySwitches {
		add(s.name, yes[*s.of(&d)])
	}
	var list []string
	for _, k := range policyWays {
		if slices.Contains(d.Methods, k) {
			list = append(list, v.T("method."+string(k)))
		}
	}
	add("methods", v.listed(list, "admin.policy.methods_all"))
	add(modelsField, v.listed(v.modelsNamed(passkeyRules(&d).Models), "admin.policy.passkeys_models_all"))
	list = nil
	for _, a := range d.OwnWay {
		list = append(list, v.T("admin.policy.audience."+string(a)))
	}
	add("own_way", v.listed(list, "admin.policy.nobody"))
	list = nil
	for _, role := range d.RequireRoles {
		list = append(list, v.roleTitle(company, role))
	}
	add("require_roles", v.listed(list, "admin.policy.nobody"))
	list = nil
	for _, a := range d.TrustFor {
		list = append(list, v.T("admin.policy.audience."+string(a)))
	}
	add("trust_for", v.listed(list, "admin.policy.everybody"))
	list = nil
	for _, role := range d.NoTrustRoles {
		list = append(list, v.roleTitle(company, role))
	}
	add("no_trust_roles", v.listed(list, "admin.policy.nobody"))
	list = nil
	for _, role := range slices.Sorted(maps.Keys(d.Strength)) {
		if s := d.Strength[role]; s != policy.AnyStrength {
			list = append(list, v.roleTitle(company, role)+": "+v.T("admin.policy.strength."+string(s)))
		}
	}
	add("strength", v.listed(list, "admin.policy.nobody"))
	list = nil
	for _, role := range slices.Sorted(maps.Keys(d.ProofsByRole)) {
		list = append(list, v.roleTitle(company, role)+": "+v.texts.Text(v.Lang, "admin.policy.proofs_n", map[string]any{"Count": d.ProofsByRole[role]}))
	}
	add("proofs_by_role", v.listed(list, "admin.policy.nobody"))
	for _, n := range policyNumbers {
		value := v.T("admin.policy.usual")
		switch at := *n.of(&d); {
		case at != 0:
			value = n.shown(at) + " " + v.T("admin.policy.unit."+n.unit)
		case n.name == "grace_days":
			value = v.T("admin.policy.no_grace")
		case n.name == "trust_days":
			value = v.T("admin.policy.no_trust")
		}
		add(n.name, value)
	}
	return out
}

func (v *View) listed(list []string, none string) string {
	if len(list) == 0 {
		return v.T(none)
	}
	return strings.Join(list, ", ")
}

// changes are what differs between two policies, in words: as they hold on their
// own, and what each says of later.
func (v *View) changes(before, after policy.Document, company authn.Company) []policyChange {
	var out []policyChange
	old := v.facts(before, company)
	for i, f := range v.facts(after, company) {
		if old[i].Value != f.Value {
			out = append(out, policyChange{f.Label, old[i].Value, f.Value})
		}
	}
	was, will := v.later(before, company), v.later(after, company)
	if was != will {
		out = append(out, policyChange{v.T("admin.policy.next"), was, will})
	}
	return out
}

// later says what a policy has in store.
func (v *View) later(d policy.Document, company authn.Company) string {
	if d.Next == nil {
		return v.T("admin.policy.no_next")
	}
	now := d
	now.Next = nil
	list := []string{v.T("admin.policy.from", "When", v.When(d.Next.From).Text)}
	for _, c := range v.changes(now, d.Next.Document, company) {
		list = append(list, c.Label+": "+c.After)
	}
	return strings.Join(list, " · ")
}

// splits are how the people of a group divide.
type split struct {
	Label string
	N     int
}

// tallyRow is one group of a preview.
type tallyRow struct {
	Label                              string
	People, New, Administrators, Owner int
	Audiences, Roles, Methods          []split
}

func (v *View) tallies(p policy.Preview, company authn.Company) []tallyRow {
	var out []tallyRow
	for _, g := range policy.Groups() {
		t := p.Groups[g]
		if t == nil || t.People == 0 {
			continue
		}
		row := tallyRow{Label: v.T("preview." + string(g)), People: t.People, New: t.New, Administrators: t.Administrators, Owner: t.Owners}
		for _, a := range slices.Sorted(maps.Keys(t.Audiences)) {
			row.Audiences = append(row.Audiences, split{v.T("admin.policy.audience." + string(a)), t.Audiences[a]})
		}
		for _, r := range slices.Sorted(maps.Keys(t.Roles)) {
			row.Roles = append(row.Roles, split{v.roleTitle(company, r), t.Roles[r]})
		}
		for _, k := range slices.Sorted(maps.Keys(t.Methods)) {
			row.Methods = append(row.Methods, split{v.T("method." + string(k)), t.Methods[k]})
		}
		out = append(out, row)
	}
	return out
}

// headlines say what a preview comes to, in sentences.
func (v *View) headlines(p policy.Preview) [][]Part {
	var out [][]Part
	say := func(g policy.Group, key string) {
		t := p.Groups[g]
		if t == nil || t.People == 0 {
			return
		}
		out = append(out, v.Rich("admin.policy.impact."+key, "Count", t.People, "People", p.People))
		if t.Administrators > 0 && g != policy.GroupNothing {
			out[len(out)-1] = append(out[len(out)-1], append([]Part{{Text: " "}}, v.Rich("admin.policy.impact.administrators", "Count", t.Administrators)...)...)
		}
	}
	say(policy.GroupSetUp, "set_up")
	say(policy.GroupCode, "code")
	say(policy.GroupNothing, "nothing")
	say(policy.GroupAPI, "api")
	if t := p.Groups[policy.GroupAgain]; t != nil {
		for _, k := range slices.Sorted(maps.Keys(t.Awaited)) {
			out = append(out, v.Rich("admin.policy.impact.again", "Count", t.Awaited[k], "Way", v.T("method."+string(k))))
		}
	}
	say(policy.GroupWeakened, "weakened")
	if t := p.Groups[policy.GroupStranded]; len(out) == 0 && (t == nil || t.People == 0) {
		out = append(out, v.Rich("admin.policy.impact.as_before", "People", p.People))
	}
	return out
}
