package web_test

import (
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

// Why something was done is typed on the form that does it, and stands in the log.
func TestReasonsOfForms_K1(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	priya := owner(t, s, s.Company, "priya")
	b.signIn(priya)
	const because = "Ticket 4711: <b>asked</b>"
	logged := func(typ string) {
		t.Helper()
		list, err := s.Audit.Events(t.Context(), s.Company.ID, authn.EventQuery{Type: typ, Limit: 10})
		if err != nil || len(list) == 0 || list[0].Personal.Detail["reason"] != because || list[0].Actor != priya.ID {
			t.Errorf("%s: %+v %v", typ, list, err)
		}
	}
	do := func(page, form, lands, typ string, pairs ...string) {
		t.Helper()
		b.get(page).want(200, page).submit(form, append(pairs, "reason", because)...).want(200, lands)
		logged(typ)
	}
	do(peoplePage+"/new", mainForm, peoplePage, "user.created", "login", "nina", "email", "nina@acme.example")
	nina, _, err := s.Directory.Lookup(t.Context(), s.Company, "nina")
	if err != nil {
		t.Fatal(err)
	}
	do(peoplePage, "#people", peoplePage, "user.two_factor_required", "do", "require", "person", nina.ID)
	do("/admin/audit/streams", "#keep-form", "/admin/audit/streams", "audit.retention_changed", "do", "keep", "months", "12")
	do(mailPage, mailForm, mailPage, "provider.changed", "do", "save", "host", "smtp.example.com", "port", "587", "tls", "starttls",
		"username", "acme", "password", mailSecret, "from", "no-reply@acme.example", "from_name", "Acme")
	do(mailPage, "main section form", mailPage, "provider.changed", "do", "remove")
	do("/admin/keys/new", "main form", "/admin/keys", "key.created", "name", "export", "owner", "priya", "scopes", "audit.read", "expires", "30")
	b.get("/admin/audit").want(200, "/admin/audit")
}
