package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// Standing is how a person stands towards the second step. Everybody stands in
// exactly one.
type Standing string

// The standings.
const (
	HasWay    Standing = "own_way"   // has a way of their own that counts and is strong enough
	Missing   Standing = "missing"   // must have one, and has not
	ByContact Standing = "contact"   // is asked for a code to their contact, which is enough here
	Exempt    Standing = "exempt"    // nothing is demanded until a day, and nothing is set up
	NotAsked  Standing = "not_asked" // nothing is demanded, and nothing is set up
	APIUse    Standing = "api"       // an account of a program: no sign-in on pages at all
	Suspended Standing = "suspended" // cannot sign in at all
)

// Standings are all of them, in the order of reports.
func Standings() []Standing {
	return []Standing{HasWay, Missing, ByContact, Exempt, NotAsked, APIUse, Suspended}
}

// Adoption is who has what.
type Adoption struct {
	At            time.Time
	PolicyVersion int64
	TwoFactor     policy.TwoFactor
	People        int64 // who can sign in: neither suspended nor accounts of programs
	By            map[Standing]int64
	Ways          []WayCount // ways that people have, most first; a person may have several
}

// Percent is how many of a hundred people have a way of their own; see Share.
func (a Adoption) Percent() int { return Share(a.By[HasWay], a.People) }

// Share is n of a hundred, rounded, where all is the hundred. Only nobody is 0,
// and only everybody is 100.
func Share(n, all int64) int {
	switch {
	case all <= 0 || n <= 0:
		return 0
	case n >= all:
		return 100
	}
	return min(max(int(math.Round(float64(n)/float64(all)*100)), 1), 99)
}

// WayCount is how many there are of a kind.
type WayCount struct {
	Kind authn.Kind
	N    int64
}

func sorted(counts map[authn.Kind]int64) []WayCount {
	var list []WayCount
	for k, n := range counts {
		list = append(list, WayCount{k, n})
	}
	slices.SortFunc(list, func(a, b WayCount) int {
		return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(string(a.Kind), string(b.Kind)))
	})
	return list
}

// Adoption says who of a company has what.
func (s *Service) Adoption(ctx context.Context, c authn.Company) (Adoption, error) {
	v, err := s.view(c)
	if err != nil {
		return Adoption{}, err
	}
	return s.adoption(ctx, v)
}

func (s *Service) adoption(ctx context.Context, v view) (Adoption, error) {
	groups, err := s.c.Store.Groups(ctx, v.company.ID)
	if err != nil {
		return Adoption{}, fmt.Errorf("report: %w", err)
	}
	a := Adoption{At: v.now, PolicyVersion: v.company.PolicyVersion, TwoFactor: v.doc.TwoFactor, By: map[Standing]int64{}}
	ways := map[authn.Kind]int64{}
	for _, g := range groups {
		standing := v.standing(g.Holder)
		a.By[standing] += g.People
		if standing == Suspended || standing == APIUse {
			continue
		}
		a.People += g.People
		for _, k := range v.ways(g.Factors) {
			ways[k] += g.People
		}
	}
	a.Ways = sorted(ways)
	return a, nil
}

// ways are the kinds of a person's own ways that count, each once.
func (v view) ways(factors []authn.Factor) []authn.Kind {
	var kinds []authn.Kind
	for _, f := range policy.Second(v.doc, factors, v.traits) {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

// standing follows policy.Evaluate: what it would ask of the person at the next
// sign-in from a new browser.
func (v view) standing(h authn.Holder) Standing {
	switch {
	case h.User.Status != authn.Active:
		return Suspended
	case h.User.API:
		return APIUse
	}
	least := v.doc.Minimum(h.User)
	for _, k := range v.ways(h.Factors) {
		if t, _ := v.traits(k); least.Meets(t) {
			return HasWay
		}
	}
	if v.exempt(h.User) {
		return Exempt
	}
	if len(policy.Why(v.doc, h.User, h.Factors)) == 0 {
		return NotAsked
	}
	if kinds, _ := policy.Fallbacks(v.doc, h.User, h.Factors, v.traits, v.now); len(kinds) == 0 || v.doc.NeedsOwnWay(h.User) {
		return Missing
	}
	return ByContact
}

func (v view) exempt(u authn.User) bool { return u.ExemptUntil.After(v.now) }
