package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/directory"
)

// H5, S36, H4: the pages of roles, keys and API accounts, in every language, without
// JavaScript.
func TestKeyPages_H4_H5_S36(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			priya := owner(t, s, s.Company, "priya")
			bot := s.AddUser(t, s.Company, "build-bot", false)
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya)
			s.Clock.Advance(30 * time.Second)

			b.get("/admin/roles").want(200, "/admin/roles")
			b.get("/admin/roles?role=").want(200, "/admin/roles")
			b.submit("main form", "name", "Auditor!", "title", "", "do", "save").want(422, "/admin/roles")
			if b.doc.one(t, "#name").attrs["aria-invalid"] != "true" {
				t.Error("the name is not marked")
			}
			b.get("/admin/roles?role=").submit("main form", "name", "auditor", "title", "Auditor", "permissions", "audit.read", "do", "save").want(200, "/admin/roles")
			b.doc.one(t, "#role-auditor")
			b.get("/admin/roles?role=auditor").want(200, "/admin/roles")

			b.get("/admin/keys").want(200, "/admin/keys").get("/admin/keys/new").want(200, "/admin/keys/new")
			b.submit("main form", "name", "", "owner", "nobody").want(422, "/admin/keys")
			b.get("/admin/keys/new").submit("main form", "name", "nightly export", "owner", "priya", "scopes", "audit.read", "networks", "10.0.0.0/8 192.0.2.7", "expires", "30").want(200, "/admin/keys")
			first := b.doc.one(t, "#token").attrs["data-value"]
			if !strings.HasPrefix(first, "sp_key_") {
				t.Fatalf("no key: %q", first)
			}
			list, err := s.Directory.APIKeys(t.Context(), directory.TheOperator(s.Company.ID), "", 0)
			if err != nil || len(list) != 1 || list[0].Name != "nightly export" || len(list[0].Networks) != 2 {
				t.Fatalf("%+v %v", list, err)
			}
			page := "/admin/keys/" + list[0].ID
			b.get("/admin/keys").want(200, "/admin/keys").get(page).want(200, page)
			if len(b.doc.all("#token")) != 0 {
				t.Error("the key is shown again")
			}
			b.submit("main form", "do", "roll", "overlap", "72").want(200, page)
			if second := b.doc.one(t, "#token").attrs["data-value"]; second == first || !strings.HasPrefix(second, "sp_key_") {
				t.Errorf("rolled: %q", second)
			}
			b.get(page).submit("main form", "do", "rename", "name", "").want(422, page)
			b.get(page).submit("main form", "do", "rename", "name", "export").want(200, page)
			b.submit("main form", "do", "end").want(200, "/admin/keys")

			api := "/admin/people/" + bot.ID + "/api"
			b.get(api).want(200, api)
			b.submit("#give", "do", "tick", "role", "auditor", "owner", "priya", "reason", "nightly builds", "until", "2026-12-24").want(422, api)
			b.doc.one(t, "#api-err") // the box is what makes it one
			b.get(api).submit("#give", "do", "tick", "api", "1", "role", "auditor", "owner", "nobody", "reason", "", "until", "").want(422, api)
			b.get(api).submit("#give", "do", "tick", "api", "1", "role", "auditor", "owner", "priya", "reason", "nightly builds", "until", "2026-12-24").want(200, api)
			if secret := b.doc.one(t, "#token").attrs["data-value"]; !strings.HasPrefix(secret, directory.SecretPrefix) {
				t.Errorf("%q", secret)
			}
			b.get("/admin/reports/exemptions").want(200, "/admin/reports/exemptions").shows("main", "build-bot")
			// Its role reads the log, so that more for it waits for somebody else; its end does not.
			b.get(api).submit("#give", "do", "again", "role", "auditor", "owner", "priya", "reason", "another", "until", "2026-12-24").want(200, api)
			b.doc.one(t, "#waits")
			b.get(api).submit("#tick", "do", "tick", "why", "moved", "api", "1").want(200, api)
			b.doc.one(t, "#box") // ticked as before
			b.submit("#tick", "do", "tick", "why", "", "api", "").want(422, api)
			b.submit("#tick", "do", "tick", "why", "moved", "api", "").want(200, api)
			if len(b.doc.all("#box")) != 0 {
				t.Error("it still is one")
			}
		})
	}
}

// H1: who may not see a page is refused, and it is not in the navigation.
func TestKeyPagesAreTheOwners_H1(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", false)
	b := newBrowser(t, s).signIn(maya)
	for _, page := range []string{"/admin/roles", "/admin/keys", "/admin/keys/new", "/admin/keys/key_06gvqojiq1qe7alb8eh5a55tok", "/admin/people/" + maya.ID + "/api", "/admin/reports/exemptions"} {
		b.get(page).want(403, page)
	}
	b.get("/account")
	if len(b.doc.all("nav.side a[href=/admin/keys]")) != 0 {
		t.Error("the page of keys is in the navigation")
	}
}
