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
	Stranded  Standing = "stranded"  // nobody can let them in but an administrator
	ByContact Standing = "contact"   // is asked for a code to their contact, which is enough here
	Exempt    Standing = "exempt"    // nothing is demanded until a day, and nothing is set up
	NotAsked  Standing = "not_asked" // nothing is demanded, and nothing is set up
	APIUse    Standing = "api"       // an account of a program: no sign-in on pages at all
	Suspended Standing = "suspended" // cannot sign in at all
)

// Standings are all of them, in the order of reports.
func Standings() []Standing {
	return []Standing{HasWay, Missing, Stranded, ByContact, Exempt, NotAsked, APIUse, Suspended}
}

// Adoption is who has what.
type Adoption struct {
	At            time.Time
	PolicyVersion int64
	TwoFactor     policy.TwoFactor
	People        int64 // who can sign in: neither suspended nor accounts of programs
	By            map[Standing]int64
	Ways          []WayCount // ways that people have, most first; a person may have several
	// Resistant is how many can sign in with a way that cannot be phished.
	Resistant int64
	Asking    int64 // of those who can sign in: who asked an administrator for help
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
	shapes, err := s.shapes(ctx, v)
	if err != nil {
		return Adoption{}, fmt.Errorf("report: %w", err)
	}
	a := Adoption{At: v.now, PolicyVersion: v.company.PolicyVersion, TwoFactor: v.doc.TwoFactor, By: map[Standing]int64{}}
	ways := map[authn.Kind]int64{}
	for text, n := range shapes {
		shape, err := authn.ParseShape(text)
		if err != nil {
			return Adoption{}, fmt.Errorf("report: %w", err)
		}
		u, factors := shape.Person()
		standing := v.standing(u, factors)
		a.By[standing] += int64(n)
		if standing == Suspended || standing == APIUse {
			continue
		}
		a.People += int64(n)
		if shape.Asks {
			a.Asking += int64(n)
		}
		resists := false
		for _, k := range v.ways(u, factors) {
			ways[k] += int64(n)
			t, _ := v.traits(k)
			resists = resists || t.PhishingResistant
		}
		if resists {
			a.Resistant += int64(n)
		}
	}
	a.Ways = sorted(ways)
	return a, nil
}

// shapes counts people by all that policy sees of them: it is asked once for each
// shape, however many people there are.
func (s *Service) shapes(ctx context.Context, v view) (map[string]int, error) {
	if s.c.Shapes != nil {
		return s.c.Shapes(ctx, v.company.ID)
	}
	out := map[string]int{}
	for after := ""; ; {
		list, err := s.c.Store.People(ctx, v.company.ID, after, PageSize)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			out[authn.ShapeOf(p.User, p.Factors, v.now).String()]++
			after = p.User.ID
		}
		if len(list) < PageSize {
			return out, nil
		}
	}
}

// ways are the kinds of a person's own ways that count, each once.
func (v view) ways(u authn.User, factors []authn.Factor) []authn.Kind {
	var kinds []authn.Kind
	for _, f := range policy.Second(v.doc, u, factors, v.traits) {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	return kinds
}

// standing is what policy would ask of the person at their next sign-in.
func (v view) standing(u authn.User, factors []authn.Factor) Standing {
	switch {
	case u.Status != authn.Active:
		return Suspended
	case u.API:
		return APIUse
	}
	switch policy.Foresee(v.doc, u, factors, v.traits, v.now).Ask {
	case policy.AskOwn, policy.AskAgain:
		return HasWay
	case policy.AskSetUp:
		return Missing
	case policy.AskDenied:
		return Stranded
	case policy.AskCode:
		return ByContact
	}
	if v.doc.Exempts(u) && !v.doc.Sleeps(u) {
		return Exempt
	}
	return NotAsked
}
