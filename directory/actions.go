package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// ActionOf is an action that people of a company can be asked to confirm.
type ActionOf struct {
	authn.Action
	BuiltIn bool // the host program's: a company does not change it
}

// ActionChange is what an action of a company is to be.
type ActionChange struct {
	authn.Action
	Reason string // for the log
}

// Actions are the host program's, then those that the company registered, each by name.
//
// Errors: those of Check.
func (s *Service) Actions(ctx context.Context, w Who) ([]ActionOf, error) {
	if _, err := s.Check(ctx, w, KeysWrite); err != nil {
		return nil, err
	}
	own, err := s.c.Store.Actions(ctx, w.Company)
	if err != nil {
		return nil, fmt.Errorf("directory: actions: %w", err)
	}
	var list []ActionOf
	for _, a := range s.c.Actions {
		list = append(list, ActionOf{a, true})
	}
	slices.SortFunc(list, func(a, b ActionOf) int { return strings.Compare(a.Name, b.Name) })
	for _, a := range own {
		if !s.hosts(a.Name) {
			list = append(list, ActionOf{a, false})
		}
	}
	return list, nil
}

// hosts reports whether the host program has an action of that name.
func (s *Service) hosts(name string) bool {
	return slices.ContainsFunc(s.c.Actions, func(a authn.Action) bool { return a.Name == name })
}

// SaveAction registers an action, or changes what is shown of it and for whom its
// signed grants are. What people confirm is read from here, so that whoever may
// make keys decides about it, with a recent proof.
//
// Errors: those of Act; Invalid (fields name, title, titles, audience), Conflict
// (error.too_many_actions).
func (s *Service) SaveAction(ctx context.Context, w Who, c ActionChange) (authn.Action, error) {
	a, err := authn.CleanAction(c.Action)
	if err != nil {
		return a, err
	}
	if s.hosts(a.Name) || slices.Contains(s.c.OwnActs, a.Name) {
		return a, authn.InvalidField("name", "action_taken", nil)
	}
	for lang := range a.Titles {
		if s.c.Locales != nil && !slices.Contains(s.c.Locales, lang) {
			return a, authn.InvalidField("titles", "not_one_of", nil)
		}
	}
	a.Company = w.Company
	act := Act{Type: "action.saved", Permission: KeysWrite, Fresh: true, Reason: c.Reason, action: a.Name}
	err = s.Act(ctx, w, act, func(rows *authn.Rows) (Done, error) {
		return Done{Detail: map[string]string{"action": a.Name, "before": shownOf(rows.Action), "after": shownOf(&a)}, Writes: []authn.Write{authn.SetAction{Action: a}}}, nil
	})
	return a, err
}

// shownOf is what the log says of an action: all that people are shown, in each
// language, and for whom its signed grants are.
func shownOf(a *authn.Action) string {
	if a == nil {
		return ""
	}
	words := []string{"title=" + a.Title}
	for _, lang := range slices.Sorted(maps.Keys(a.Titles)) {
		words = append(words, lang+"="+a.Titles[lang])
	}
	if a.Audience != "" {
		words = append(words, "audience="+a.Audience)
	}
	return strings.Join(words, ", ")
}

// RemoveAction forgets an action of the company's own: nobody is asked to confirm
// it any more. What was confirmed already stays good until it is over.
//
// Errors: those of Act; NotFound.
func (s *Service) RemoveAction(ctx context.Context, w Who, name, reason string) error {
	act := Act{Type: "action.removed", Permission: KeysWrite, Fresh: true, Reason: reason, action: name}
	err := s.Act(ctx, w, act, func(rows *authn.Rows) (Done, error) {
		if rows.Action == nil {
			return Done{}, authn.NotFound
		}
		return Done{Detail: map[string]string{"action": name, "before": shownOf(rows.Action)}, Writes: []authn.Write{authn.EndAction{Name: name}}}, nil
	})
	if errors.Is(err, authn.Conflict) {
		return authn.NotFound // somebody else was faster
	}
	return err
}
