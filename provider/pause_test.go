package provider_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// rul-19: whom new settings may serve, by who saved them last and when.
func TestWhomNewSettingsServe_rul19(t *testing.T) {
	x := newTexter(t)
	op := directory.TheOperator(x.Company.ID)
	for name, may := range map[string][]directory.Permission{"senders": {directory.ProvidersWrite}, "readers": {directory.AuditRead}} {
		change := directory.RoleChange{Name: name, Title: name}
		for _, p := range may {
			change.Permissions = append(change.Permissions, string(p))
		}
		if _, err := x.Directory.SaveRole(t.Context(), op, change); err != nil {
			t.Fatal(err)
		}
	}
	acme, err := x.Directory.Company(t.Context(), x.Company.Slug)
	if err != nil {
		t.Fatal(err)
	}
	add := func(login string, roles ...string) sallyporttest.Person {
		return x.AddUser(t, acme, login, true, roles...)
	}
	owner, editor := x.owner, add("eddie", "senders")
	people := map[string]authn.User{"owner": owner.User, "editor": editor.User, "colleague": add("erin", "senders").User, "reader": add("rita", "readers").User, "plain": add("tom").User}
	as := func(p sallyporttest.Person) { x.owner = p; x.signIn(t) }
	save := func() { x.set() }
	remove := func() {
		if _, err := x.Providers.RemoveTexts(t.Context(), x.who, 0); err != nil {
			t.Fatal(err)
		}
	}
	all := "owner editor colleague reader plain"
	less := "editor colleague plain"
	for _, step := range []struct {
		name   string
		do     func()
		serves string
	}{
		{"nothing was ever set", func() {}, all},
		{"the first settings, by the editor", func() { as(editor); save() }, less},
		{"an owner saves them again", func() { as(owner); save() }, all},
		{"the editor too", func() { as(editor); save() }, less},
		{"a little less than a day later", func() { x.Clock.Advance(provider.TellFor - time.Second) }, less},
		{"a day later", func() { x.Clock.Advance(time.Second) }, all},
		{"the editor removes them", func() { as(editor); remove() }, all},
		{"and sets them again", save, less},
		{"removes and sets them in one day", func() { remove(); save() }, less},
		{"and is gone then", func() { x.SavesAgain(t, authn.User{Company: acme.ID, ID: "usr_gone"}, authn.SMS) }, "plain"},
		{"the operator saves", func() {
			p, err := x.Store.Provider(t.Context(), acme.ID, authn.SMS)
			if err != nil {
				t.Fatal(err)
			}
			_, err = x.Providers.Operator().SetTexts(t.Context(), acme.ID, provider.TextChange{From: p.Version, TextSettings: authn.TextSettings{
				Providers: []authn.TextProvider{x.twilio.Provider()}, Countries: []string{"SE"}}})
			if err != nil {
				t.Fatal(err)
			}
		}, all},
	} {
		step.do()
		reaches, err := x.Providers.Reaches(t.Context(), acme.ID, authn.SMS)
		if err != nil {
			t.Fatal(err)
		}
		for who, u := range people {
			err := reaches(acme, u)
			if want := slices.Contains(strings.Fields(step.serves), who); want != (err == nil) {
				t.Errorf("%s: %s: %v", step.name, who, err)
			}
			if e := authn.AsError(err); err != nil && (e.Code != authn.PolicyForbids || e.Key != "error.provider_new" || e.ExpiresAt.IsZero() || e.Args["Count"].(int) < 1) {
				t.Errorf("%s: %+v", step.name, e)
			}
			// A text that was written before the change waits, and ends.
			if _, late := x.Providers.ViaFor(t.Context(), authn.Letter{Company: acme, User: u, Channel: authn.SMS}); (late == nil) != (err == nil) {
				t.Errorf("%s: a text on its way to %s: %v", step.name, who, late)
			}
		}
	}
}
