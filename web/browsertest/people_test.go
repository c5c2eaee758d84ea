package browsertest

import (
	"context"
	"fmt"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// The list of people (S28): full, searched in vain, a reminder, somebody added.
func TestPeople_S28(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		boss := priya(t, s)
		names := []string{"Maya Lindqvist", "\u202eolleH <b>", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"}
		for i := range 55 {
			n := directory.NewUser{Login: fmt.Sprintf("person%02d", i), Name: fmt.Sprintf("Person %d", i), Email: fmt.Sprintf("person%02d@acme.example", i), Verified: true}
			if i < len(names) && i != 1 {
				n.Name = names[i]
			}
			if i%3 == 0 {
				n.Audience = authn.ExternalAudience
			}
			if _, err := s.Directory.CreateUser(context.Background(), s.Company, n); err != nil {
				t.Fatal(err)
			}
		}
		s.AddUser(t, s.Company, "omar", true)
		s.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.Required })
		tb := newTab(t, s.URL, js)
		tb.signIn(s, boss)
		tb.open("/admin/people")
		tb.page("people", 200)
		tb.open("/admin/people?search=nobody")
		tb.page("people/none", 200)
		tb.open("/admin/people/new")
		tb.page("people/new", 200)
		tb.press("people.new.button")
		tb.page("people/new-empty", 422)
		tb.open("/admin/people/import")
		tb.page("people/import", 200)
	})
}
