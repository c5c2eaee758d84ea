package policy

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
)

// A way that policy took away and allows again is confirmed again before it counts
// (ruling 2): by a fresh proof of it together with another one. Nobody's rows are
// touched when a policy is saved: the document counts how often it allowed each way
// again, and a factor remembers in which of these rounds it was confirmed.

// Following is the document as it is saved after the one that held before: it
// knows which ways it allows again, and its next one does.
//
// That two-factor was off, or not offered to an audience, takes no way away: what
// people have sleeps and wakes (requirement G1). Nobody distrusted it, and whoever
// switches two-factor on again in a hurry must not lock everybody out.
func (d Document) Following(before Document) Document {
	d.AllowedAgain = allowedAgain(before, d)
	if d.Next != nil {
		n := *d.Next
		n.Document.AllowedAgain = allowedAgain(d, n.Document)
		d.Next = &n
	}
	return d
}

func allowedAgain(before, after Document) map[authn.Kind]int {
	out := maps.Clone(before.AllowedAgain)
	for _, k := range ways {
		if after.Offers(k) && !before.Offers(k) {
			if out == nil {
				out = map[authn.Kind]int{}
			}
			out[k]++
		}
	}
	return out
}

// Awaits reports whether a factor has to be confirmed again: its kind was allowed
// again after it was confirmed.
func (d Document) Awaits(f authn.Factor) bool { return f.Round < d.AllowedAgain[f.Kind] }

// Only is traits without the kinds that the document does not offer.
func (d Document) Only(traits func(authn.Kind) (authn.Traits, bool)) func(authn.Kind) (authn.Traits, bool) {
	return func(k authn.Kind) (authn.Traits, bool) {
		if !d.Offers(k) {
			return authn.Traits{}, false
		}
		return traits(k)
	}
}

// ToConfirm lists the person's own ways that policy took away and allows again,
// in the order given. Each counts once it was confirmed again, together with
// another proof (ruling 2). What somebody else has seen the key of is not confirmed
// but replaced.
func ToConfirm(d Document, u authn.User, factors []authn.Factor, traits func(authn.Kind) (authn.Traits, bool)) []authn.Factor {
	if d.Sleeps(u) {
		return nil
	}
	var out []authn.Factor
	for _, f := range factors {
		if _, offered := d.Only(traits)(f.Kind); offered && f.State == authn.Confirmed && f.Kind.Own() && d.Awaits(f) && !f.HandedOver() && d.Unmet(f) == "" {
			out = append(out, f)
		}
	}
	return out
}

// ToConfirmNow reports whether one way has to be confirmed again under the policy of
// a company as it is at now. A policy that cannot be read asks for nothing here:
// under it nobody proves anything (Current).
func ToConfirmNow(c authn.Company, u authn.User, f authn.Factor, traits func(authn.Kind) (authn.Traits, bool), now time.Time) bool {
	d, err := Current(c, now)
	return err == nil && len(ToConfirm(d, u, []authn.Factor{f}, traits)) > 0
}

// awaits reports whether a proof is of a factor that has to be confirmed again.
func (a Asked) awaits(factor string) bool {
	return slices.ContainsFunc(a.Factors, func(f authn.Factor) bool { return f.ID == factor && f.Kind.Own() && a.Document.Awaits(f) })
}

// beside reports whether a proof, together with one of a way that is to be
// confirmed again, makes that way count: another way, a code to a contact that is
// not the same channel, or an invitation.
func (a Asked) beside(p authn.Proof) bool {
	t := p.Traits
	switch {
	case a.handedOver(p.Factor), p.Kind == authn.BypassCode:
		return false
	case t.Possession, t.PhishingResistant, t.OpensSetUp:
		return true
	}
	return t.OutOfBand && (a.has(p.Kind) || slices.Contains(a.others(), p.Kind))
}

// others are the channels to the person's contacts by which they can confirm
// their ways again: none that one of those ways uses itself.
func (a Asked) others() []authn.Kind {
	kinds, _ := contacts(a.Document, a.User, a.Traits, a.Now)
	return slices.DeleteFunc(kinds, func(k authn.Kind) bool {
		return slices.ContainsFunc(ToConfirm(a.Document, a.User, a.Factors, a.Traits), func(f authn.Factor) bool { return f.Kind == k })
	})
}

// offerAgain lets in somebody whose only ways have to be confirmed again: they
// prove one, and then, by a code to a contact, that it is them. The contact stands
// for nothing by itself (ruling 2).
func (a Asked) offerAgain(need *Need, least Strength, s shown) bool {
	others := a.others()
	if len(others) == 0 {
		return false
	}
	n := len(need.Offers)
	if len(s.again) > 0 {
		need.Offers = append(need.Offers, a.fallbacks(others)...)
	} else {
		need.Offers = append(need.Offers, a.toConfirm(least, "")...)
	}
	return len(need.Offers) > n
}

// toConfirm are the offers of ways to be confirmed again, of one kind or all.
func (a Asked) toConfirm(least Strength, kind authn.Kind) []Offer {
	var out []Offer
	for _, f := range ToConfirm(a.Document, a.User, a.Factors, a.Traits) {
		if t, _ := a.ways(f.Kind); least.Meets(t) && (kind == "" || f.Kind == kind) {
			o := a.of(f)
			o.Again = true
			out = append(out, o)
		}
	}
	return out
}

// confirmAgain asks for what the person has that counts, else for what stands in
// for it; then for the way that is to count again.
func (a Asked) confirmAgain(need *Need, s shown, again []Offer) {
	need.State = authn.NeedFactor
	if s.beside {
		need.Offers = again
		return
	}
	if len(need.Offers) == 0 {
		for _, f := range Second(a.Document, a.User, a.Factors, a.Traits) {
			need.Offers = append(need.Offers, a.of(f))
		}
	}
	if len(need.Offers) == 0 {
		need.Offers = a.fallbacks(a.others())
	}
	if !slices.ContainsFunc(need.Offers, Offer.Usable) {
		a.saved(need, AnyStrength)
	}
	if len(need.Offers) == 0 {
		need.State, need.Denied = authn.Denied, Stranded
	}
}

func (a Asked) factor(id string) authn.Factor {
	for _, f := range a.Factors {
		if f.ID == id {
			return f
		}
	}
	return authn.Factor{}
}

// AgainAction begins the action of a step-up that confirms a way again; its kind
// follows.
const AgainAction = "confirm_again."

// AgainKind is the kind of way that a step-up for an action confirms again; empty:
// none.
func AgainKind(action string) authn.Kind {
	kind, _ := strings.CutPrefix(action, AgainAction)
	if k := authn.Kind(kind); kind != action && k.Own() {
		return k
	}
	return ""
}
