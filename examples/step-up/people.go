package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
)

// everybody's password; never do this outside of an example.
const everybody = "four chats before lunch"

const banner = "Example: the people are made up, and everybody has the same password. Mail is printed where the program runs."

// agent is a role of Chat360's own. It gives no rights over other people; the policy
// asks its holders for two steps.
const agent = "agent"

var people = []struct{ login, name, role, about string }{
	{"olga", "Olga Brandt", directory.Owner, "owner: two steps are required; webhooks, billing and the console at /admin"},
	{"ada", "Ada Mensah", directory.Administrator, "administrator: the same, without the sign-in rules"},
	{"sam", "Sam Rivera", agent, "agent: two steps are required; neither webhooks nor billing"},
	{"mia", "Mia Chen", directory.Member, "member: two steps if she likes, under Settings"},
}

// hire makes the company, with the sign-in rules for customer chats, and its people.
func hire(ctx context.Context, d *directory.Service) error {
	presets := policy.Presets()
	rules := presets[slices.IndexFunc(presets, func(p policy.Preset) bool { return p.Name == "chat" })].Document
	company, err := d.CreateCompanyWith(ctx, "chat360", "Chat360", rules)
	if err != nil {
		return err
	}
	if _, err := d.SaveRole(ctx, directory.TheOperator(company.ID), directory.RoleChange{Name: agent, Title: "Agent"}); err != nil {
		return err
	}
	if company, err = d.Company(ctx, company.Slug); err != nil {
		return err
	}
	for _, p := range people {
		_, err := d.CreateUser(ctx, company, directory.NewUser{Login: p.login, Name: p.name, Email: p.login + "@chat360.example", Verified: true,
			Roles: []string{p.role}, Password: everybody})
		if err != nil {
			return err
		}
	}
	return nil
}

// staff is who can sign in, for the terminal.
func staff() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Sign in with the password %q as:\n", everybody)
	for _, p := range people {
		fmt.Fprintf(&b, "  %-5s %s\n", p.login, p.about)
	}
	return b.String()
}

// manages is our own rule of who may see webhooks and billing at all. A proof says
// that it is them, and not that they may.
func manages(u authn.User) bool {
	return slices.Contains(u.Roles, directory.Owner) || slices.Contains(u.Roles, directory.Administrator)
}
