package directory

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
)

// PeopleStore is what lists of people need of storage.
type PeopleStore interface {
	FindPeople(ctx context.Context, company string, q authn.PeopleQuery) (authn.PeoplePage, error)
	// Shapes counts the people of a company by the text of their authn.Shape.
	Shapes(ctx context.Context, company string) (map[string]int64, error)
	ImportStore
}

// Standing is how somebody stands, in one word: that of the list's column.
type Standing string

// The words, those before the others where several are true.
const (
	StandsSuspended Standing = "suspended"
	StandsLocked    Standing = "locked" // wrong answers have used up every way of theirs
	StandsAPI       Standing = "api"    // a program's account
	StandsAgain     Standing = "again"  // has ways, and has to confirm each again before it counts
	StandsOn        Standing = "on"     // has a way of their own
	StandsExempt    Standing = "exempt" // until User.ExemptUntil
	StandsDue       Standing = "due"    // policy demands one, and they have none
	StandsOff       Standing = "off"    // has none and needs none
)

// Listed is somebody in a list.
type Listed struct {
	authn.User
	Shape    authn.Shape
	Standing Standing
}

// The names of the filters, as in queries and commands.
const (
	FilterSearch   = "search"   // beginnings of words of login, name or e-mail address
	FilterMethod   = "method"   // a kind that they have and that works, or "none"
	FilterStatus   = "status"   // active, suspended
	FilterSetUp    = "set_up"   // yes, no, due
	FilterState    = "state"    // locked, exempt, api, confirm_again, help
	FilterRole     = "role"     // name of a role of the company
	FilterAudience = "audience" // internal, external
)

// Filters are the names of all filters.
func Filters() []string {
	return []string{FilterSearch, FilterMethod, FilterStatus, FilterSetUp, FilterState, FilterRole, FilterAudience}
}

// choices are what filters may say, where that is the same in every company.
var choices = map[string][]string{
	FilterStatus:   {string(authn.Active), string(authn.Suspended)},
	FilterSetUp:    {"yes", "no", "due"},
	FilterState:    {"locked", "exempt", "api", "confirm_again", "help"},
	FilterAudience: {string(authn.InternalAudience), string(authn.ExternalAudience)},
	FilterMethod:   {"none", string(authn.TOTP), string(authn.SMS), string(authn.Email), string(authn.Duo), string(authn.WebAuthn), string(authn.BackupCode)},
}

// FilterChoices are what a filter may say in a company; nil: any text.
func FilterChoices(c authn.Company, filter string) []string {
	if filter != FilterRole {
		return choices[filter]
	}
	list := Roles()
	for _, r := range c.Roles {
		list = append(list, r.Name)
	}
	return list
}

// PeopleQuery selects people: those of whom every filter is true.
type PeopleQuery struct {
	Filters       map[string]string // by name; an empty one is none
	After, Before string            // cursors of the page before or after; at most one
	Limit         int               // 1–200; 0: 50
}

// PeoplePage is a page of a list.
type PeoplePage struct {
	Company    authn.Company
	People     []Listed
	Next, Prev string // cursors; empty: nothing is there
	// Count is how many the filters but "search" choose.
	Count int64
	// Unfinished: many begin like that, and only some of them were looked at; Next
	// goes on.
	Unfinished bool
}

// People lists people, newest first; those that are searched for by a word that
// many have, in the order of that word. A page costs the same however many there
// are. An exemption that has ended counts as one for up to a minute.
//
// Errors: those of Check; Invalid (fields are the names of filters, and cursor).
func (s *Service) People(ctx context.Context, w Who, q PeopleQuery) (PeoplePage, error) {
	seen, err := s.Check(ctx, w, UsersRead)
	if err != nil {
		return PeoplePage{}, err
	}
	return s.people(ctx, seen.Company, q)
}

func (s *Service) people(ctx context.Context, c authn.Company, q PeopleQuery) (PeoplePage, error) {
	out := PeoplePage{Company: c}
	doc, err := policy.Current(c, s.c.Now())
	if err != nil {
		return out, fmt.Errorf("directory: policy of %s: %w", c.ID, err)
	}
	ask := authn.PeopleQuery{After: q.After, Before: q.Before, Limit: q.Limit}
	if ask.Words, err = authn.SearchTerms(q.Filters[FilterSearch]); err != nil {
		return out, err
	}
	if ask.Fits, err = fits(c, doc, q.Filters); err != nil {
		return out, err
	}
	page, err := s.c.Store.FindPeople(ctx, c.ID, ask)
	if err != nil {
		return out, fmt.Errorf("directory: people: %w", err)
	}
	now := s.c.Now()
	out.Next, out.Prev, out.Count, out.Unfinished = page.Next, page.Prev, page.Count, page.Unfinished
	for _, p := range page.People {
		shape, err := authn.ParseShape(p.Shape)
		if err != nil {
			return out, fmt.Errorf("directory: people: %w", err)
		}
		shape.Exempt = p.User.ExemptUntil.After(now)
		out.People = append(out.People, Listed{User: p.User, Shape: shape, Standing: standing(doc, shape)})
	}
	return out, nil
}

// fits is what the filters say of a shape; nil: they say nothing.
func fits(c authn.Company, doc policy.Document, filters map[string]string) (func(string) bool, error) {
	var all []func(authn.Shape) bool
	for _, name := range Filters()[1:] {
		value := filters[name]
		if value == "" {
			continue
		}
		if list := FilterChoices(c, name); !slices.Contains(list, value) {
			return nil, &authn.Error{Code: authn.Invalid, Fields: []authn.Field{{Name: name, Code: "not_one_of"}}}
		}
		all = append(all, func(s authn.Shape) bool { return fitsOne(doc, s, name, value) })
	}
	if len(all) == 0 {
		return nil, nil
	}
	return func(text string) bool {
		s, err := authn.ParseShape(text)
		return err == nil && !slices.ContainsFunc(all, func(f func(authn.Shape) bool) bool { return !f(s) })
	}, nil
}

func fitsOne(doc policy.Document, s authn.Shape, filter, value string) bool {
	switch filter {
	case FilterMethod:
		switch value {
		case "none":
			return len(s.Kinds) == 0
		case string(authn.BackupCode):
			return s.Saved
		}
		return slices.Contains(s.Kinds, authn.Kind(value))
	case FilterStatus:
		return string(s.Status) == value
	case FilterSetUp:
		switch value {
		case "due":
			return due(doc, s)
		case "yes":
			return len(s.Kinds) > 0
		}
		return len(s.Kinds) == 0
	case FilterState:
		return value == "locked" && s.Locked || value == "exempt" && s.Exempt || value == "api" && s.API || value == "help" && s.Asks ||
			value == "confirm_again" && slices.ContainsFunc(s.Kinds, func(k authn.Kind) bool { return awaits(doc, s, k) })
	case FilterRole:
		return slices.Contains(s.Roles, value) || value == Member && len(s.Roles) == 0
	}
	return string(s.Audience) == value
}

// due reports whether policy demands a way of their own of people of a shape, and
// they have none.
func due(doc policy.Document, s authn.Shape) bool {
	u, _ := s.Person()
	return s.Status == authn.Active && !s.API && !s.Exempt && len(s.Kinds) == 0 && policy.Demanded(doc, u)
}

// awaits reports whether people of a shape have to confirm their way of a kind
// again.
func awaits(doc policy.Document, s authn.Shape, k authn.Kind) bool {
	u, factors := s.Person()
	return slices.ContainsFunc(factors, func(f authn.Factor) bool { return f.Kind == k && awaited(doc, f) }) && !doc.Sleeps(u)
}

func awaited(doc policy.Document, f authn.Factor) bool {
	return f.State == authn.Confirmed && doc.Offers(f.Kind) && doc.Awaits(f) && doc.Unmet(f) == ""
}

// onlyAwaited reports whether people of a shape have to confirm all their ways again.
func onlyAwaited(doc policy.Document, s authn.Shape) bool {
	u, factors := s.Person()
	return len(s.Kinds) > 0 && !doc.Sleeps(u) && !slices.ContainsFunc(factors, func(f authn.Factor) bool {
		return f.Kind.Own() && f.State == authn.Confirmed && !awaited(doc, f)
	})
}

func standing(doc policy.Document, s authn.Shape) Standing {
	switch {
	case s.Status != authn.Active:
		return StandsSuspended
	case s.Locked:
		return StandsLocked
	case s.API:
		return StandsAPI
	case onlyAwaited(doc, s):
		return StandsAgain
	case len(s.Kinds) > 0:
		return StandsOn
	case s.Exempt:
		return StandsExempt
	case due(doc, s):
		return StandsDue
	}
	return StandsOff
}

// Summary counts the people of a company by how they stand.
//
// Errors: those of Check.
func (s *Service) Summary(ctx context.Context, w Who) (map[Standing]int64, error) {
	seen, err := s.Check(ctx, w, UsersRead)
	if err != nil {
		return nil, err
	}
	doc, err := policy.Current(seen.Company, s.c.Now())
	if err != nil {
		return nil, fmt.Errorf("directory: policy of %s: %w", seen.Company.ID, err)
	}
	shapes, err := s.c.Store.Shapes(ctx, seen.Company.ID)
	if err != nil {
		return nil, fmt.Errorf("directory: summary: %w", err)
	}
	counts := map[Standing]int64{}
	for text, n := range shapes {
		shape, err := authn.ParseShape(text)
		if err != nil {
			return nil, fmt.Errorf("directory: summary: %w", err)
		}
		counts[standing(doc, shape)] += n
	}
	return counts, nil
}

// localeForm is what a language can look like (RFC 5646), where the server does
// not say which it has.
var localeForm = regexp.MustCompile(`^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8}){0,4}$`)

// Listed is one person of a list, with all their factors.
//
// Errors: those of Check; NotFound.
func (s *Service) Listed(ctx context.Context, w Who, id string) (Listed, []authn.Factor, error) {
	seen, err := s.Check(ctx, w, UsersRead)
	if err != nil {
		return Listed{}, nil, err
	}
	if !authn.CheckID(authn.UserID, id) {
		return Listed{}, nil, authn.NotFound
	}
	u, factors, err := s.Lookup(ctx, seen.Company, id)
	if err != nil {
		return Listed{}, nil, err
	}
	p, err := ListedOf(seen.Company, u, factors, s.c.Now())
	return p, factors, err
}

// ListedOf is somebody of a company as lists show them.
func ListedOf(c authn.Company, u authn.User, factors []authn.Factor, now time.Time) (Listed, error) {
	doc, err := policy.Current(c, now)
	if err != nil {
		return Listed{}, fmt.Errorf("directory: policy of %s: %w", c.ID, err)
	}
	shape := authn.ShapeOf(u, factors, now)
	return Listed{User: u, Shape: shape, Standing: standing(doc, shape)}, nil
}
