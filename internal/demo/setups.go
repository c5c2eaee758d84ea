package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
)

// setups are what the demo can run as, besides the usual: the presets of section L
// of the requirements, with what each needs of its people. They begin to hold when
// everybody's past has been played under the usual rules, which is how they come to
// have what they have.
var setups = map[string]func(*life, context.Context) error{
	"incident": nothing,
	"business": requireOmar,
	"network":  nothing,
	"cases":    nothing,
	"chat":     makeAgent,
}

// Setups are the names of what a demo can run as.
func Setups() []string {
	var names []string
	for _, p := range policy.Presets() {
		if setups[p.Name] != nil {
			names = append(names, p.Name)
		}
	}
	return names
}

type setup = func(l *life, ctx context.Context, d policy.Document) error

// setupOf is how a set-up begins, and its policy; the usual one has none of its own.
func setupOf(name string) (setup, policy.Document, error) {
	if name == "" {
		return nil, policy.Default(), nil
	}
	i := slices.IndexFunc(policy.Presets(), func(p policy.Preset) bool { return p.Name == name && setups[name] != nil })
	if i < 0 {
		return nil, policy.Document{}, fmt.Errorf("demo: there is no set-up %q; there are %s", name, strings.Join(Setups(), ", "))
	}
	return func(l *life, ctx context.Context, d policy.Document) error {
		l.now = time.Now()
		l.do(func() (err error) { l.company, err = l.people.Company(ctx, companySlug); return err })
		l.do(func() error { return setups[name](l, ctx) })
		l.do(func() error {
			_, err := l.people.SavePolicy(ctx, directory.TheOperator(l.company.ID), directory.PolicyChange{Document: d, From: l.company.PolicyVersion, Reason: "demo --setup " + name})
			return err
		})
		return l.err
	}, policy.Presets()[i].Document, nil
}

func nothing(*life, context.Context) error { return nil }

// requireOmar: two steps are required of one customer in particular (L2).
func requireOmar(l *life, ctx context.Context) error {
	u, _, err := l.people.Lookup(ctx, l.company, "omar")
	if err != nil {
		return err
	}
	return l.people.SetRequire(ctx, l.company, u.ID, true)
}

// makeAgent: the company has a role for those who chat with customers, and Lena is
// one of them (L5).
func makeAgent(l *life, ctx context.Context) error {
	u, _, err := l.people.Lookup(ctx, l.company, "lena")
	if err != nil {
		return err
	}
	k := authn.Keys{Company: l.company.ID, User: u.ID, Now: l.now}
	return l.store.Decide(ctx, k, func(rows *authn.Rows) authn.Verdict {
		lena := *rows.User
		lena.Roles = append(slices.Clone(lena.Roles), "agent")
		return authn.Continue(authn.SetRoles{Roles: []authn.Role{{Name: "agent", Title: "Agent"}}, Version: rows.Company.RolesVersion + 1}, authn.PutUser{User: lena})
	})
}
