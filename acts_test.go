package sallyport_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// act is one thing that an administrator does by JSON, and what of it is on record.
// In texts, {name} stands for an id that the scene or the answer gave.
type act struct {
	name  string // tells rows of a route apart
	route string // of the table of access_test.go
	path  string // empty: that of the route
	body  string // %s stands for the reason; no JSON: a file
	scene func(*deeds)
	as    string // login of who does it; empty: boss, an owner

	event  string // type; empty: nothing is changed
	target string // login, or "new": the id that the answer gives; empty: the company
	before string
	after  string
	// silent acts have no reason in the log; why says why.
	silent string
	// letters that wait afterwards, as "template login", sorted.
	letters string
	// hides: the letters do not show the reason.
	hides bool
}

const because = "Ticket 4711, asked on the phone"

// acts are all of them: a route that changes something and is not here fails the
// test, and so does an act on a person.
var acts = []act{
	{name: "add", route: "POST /api/v1/users", body: `{"login":"nadia","email":"nadia@acme.example","invite":true,"reason":"%s"}`,
		event: "user.created", target: "new", after: "internal member", letters: "invitation nadia", hides: true},
	{name: "import", route: "POST /api/v1/users/import", body: "login,email\nnadia,nadia@acme.example\n", event: "users.imported",
		silent: "the body is the file, and addresses stand in the logs of proxies"},
	{name: "bulk require", route: "POST /api/v1/users/bulk", body: `{"do":"require","people":["{maya}"],"reason":"%s"}`,
		event: "user.two_factor_required", target: "maya", before: "false", after: "true", letters: "two_factor_required maya"},
	{name: "bulk remind", route: "POST /api/v1/users/bulk", body: `{"do":"remind","people":["{lena}"],"reason":"%s"}`, scene: (*deeds).demanding,
		event: "user.reminded", target: "lena", letters: "set_up_reminder lena", hides: true},

	{name: "name", route: "PATCH /api/v1/users/{id}", body: `{"name":"Maya Berg","reason":"%s"}`,
		event: "user.name_changed", target: "maya", before: "Test maya", after: "Maya Berg", letters: "account_changed maya"},
	{name: "language", route: "PATCH /api/v1/users/{id}", body: `{"locale":"pl","reason":"%s"}`,
		event: "user.locale_changed", target: "maya", after: "pl", letters: "account_changed maya"},
	{name: "audience", route: "PATCH /api/v1/users/{id}", body: `{"audience":"external","reason":"%s"}`,
		event: "user.audience_changed", target: "maya", before: "internal", after: "external", letters: "account_changed maya"},
	{name: "login", route: "PATCH /api/v1/users/{id}", body: `{"login":"maya2","reason":"%s"}`,
		event: "login.changed", target: "maya", before: "maya", after: "maya2", letters: "login_changed maya"},
	{name: "email", route: "PATCH /api/v1/users/{id}", body: `{"email":"canary77@new.example","reason":"%s"}`, // to the address before
		event: "email.changed", target: "maya", before: "m•••@acme.example", after: "c•••@new.example", letters: "email_changed maya", hides: true},
	{name: "phone", route: "PATCH /api/v1/users/{id}", body: `{"phone":"+46701740605","reason":"%s"}`,
		event: "phone.changed", target: "maya", after: "•• 05", letters: "phone_changed maya"},
	{name: "roles", route: "PATCH /api/v1/users/{id}", body: `{"roles":["helpdesk"],"reason":"%s"}`,
		event: "user.roles_changed", target: "maya", before: "member", after: "helpdesk", letters: "roles_changed maya"},

	on("suspend", "user.suspended", "active", "suspended", "account_changed maya", true),
	on("leave", "user.left", "active", "suspended", "account_changed maya", true),
	on("sign-out", "user.signed_out", "", "", "account_changed maya", true),
	on("unlock", "user.unlocked", "", "", "account_changed maya", false),
	on("reset", "factors.reset", "totp", "", "methods_reset maya", false),
	on("bypass-code", "bypass_code.issued", "", "", "help_code_issued maya", true),
	on("invite", "user.invited", "", "", "invitation maya", true),
	on("require", "user.two_factor_required", "false", "true", "two_factor_required maya", false),
	{name: "activate", route: "POST /api/v1/users/{id}/{act}", path: "/api/v1/users/{maya}/activate", body: why, scene: before("suspend"),
		event: "user.activated", target: "maya", before: "suspended", after: "active", letters: "account_changed maya"},
	{name: "not-require", route: "POST /api/v1/users/{id}/{act}", path: "/api/v1/users/{maya}/not-require", body: why, scene: before("require"),
		event: "user.two_factor_not_required", target: "maya", before: "true", after: "false", letters: "two_factor_not_required maya"},
	{name: "exempt", route: "POST /api/v1/users/{id}/{act}", path: "/api/v1/users/{maya}/exempt", body: `{"until":"2026-12-01T00:00:00Z","reason":"%s"}`,
		event: "user.exempted", target: "maya", after: "2026-12-01T00:00:00Z", letters: "account_changed maya"},
	{name: "end-exemption", route: "POST /api/v1/users/{id}/{act}", path: "/api/v1/users/{maya}/end-exemption", body: why,
		scene: func(d *deeds) {
			d.ask("boss", "POST", "/api/v1/users/{maya}/exempt", `{"until":"2026-12-01T00:00:00Z","reason":"x"}`)
		},
		event: "user.exemption_ended", target: "maya", before: "2026-12-01T00:00:00Z", letters: "account_changed maya"},
	{name: "close-help", route: "POST /api/v1/users/{id}/{act}", path: "/api/v1/users/{maya}/close-help", body: why, scene: (*deeds).helpless,
		event: "help.closed", target: "maya", before: "2026-11-21T09:14:10Z"},

	{name: "prepare", route: "POST /api/v1/users/{id}/factors", body: `{"method":"email","reason":"%s"}`,
		event: "factor.prepared", target: "maya", letters: "account_changed maya"},
	{name: "app", route: "POST /api/v1/users/{id}/factors", path: "/api/v1/users/{lena}/factors", body: `{"method":"totp","reason":"%s"}`,
		event: "factor.begun_here", target: "lena"}, // lena is there; confirming it writes to her
	{name: "app confirmed", route: "POST /api/v1/users/{id}/factors/{factor}/confirm", path: "/api/v1/users/{lena}/factors/{begun}/confirm", body: `{"code":"{code}"}`,
		scene: (*deeds).beginApp, event: "factor.handed_over", target: "lena", silent: "the reason stands with the beginning of the same act", letters: "account_changed lena"},
	{name: "asleep", route: "PATCH /api/v1/users/{id}/factors/{factor}", body: `{"state":"asleep","reason":"%s"}`,
		event: "factor.disabled", target: "maya", before: "active", after: "asleep", letters: "account_changed maya"},
	{name: "awake", route: "PATCH /api/v1/users/{id}/factors/{factor}", body: `{"state":"active","reason":"%s"}`,
		scene: func(d *deeds) {
			d.ask("boss", "PATCH", "/api/v1/users/{maya}/factors/{factor}", `{"state":"asleep","reason":"x"}`)
		},
		event: "factor.enabled", target: "maya", before: "asleep", after: "active", letters: "account_changed maya"},
	{name: "usual", route: "PATCH /api/v1/users/{id}/factors/{factor}", body: `{"preferred":true,"reason":"%s"}`,
		event: "factor.preferred_for", target: "maya", after: "{factor}", letters: "account_changed maya"},
	{name: "remove", route: "DELETE /api/v1/users/{id}/factors/{factor}", body: why,
		event: "factors.reset", target: "maya", before: "active", letters: "methods_reset maya"},
	{name: "erase", route: "DELETE /api/v1/users/{id}", body: `{"login":"maya","reason":"%s"}`,
		event: "user.erased", target: "maya", letters: "account_erased maya", hides: true},

	{name: "account", route: "PUT /api/v1/users/{id}/api", path: "/api/v1/users/{lena}/api",
		body:  `{"role":"theirs","owner":"boss","expires_at":"2027-01-01T00:00:00Z","password":"canary-account-secret-0123456789","reason":"%s"}`,
		event: "api_account.on", target: "lena", before: "member", after: "theirs", letters: "api_on lena"},
	{name: "account off", route: "POST /api/v1/users/{id}/api/off", path: "/api/v1/users/{lena}/api/off", body: why,
		scene: func(d *deeds) {
			d.ask("boss", "PUT", "/api/v1/users/{lena}/api", `{"role":"theirs","owner":"boss","expires_at":"2027-01-01T00:00:00Z","reason":"x"}`)
		},
		event: "api_account.off", target: "lena", before: "theirs", after: "member", letters: "api_off lena"},

	{name: "asked", route: "POST /api/v1/users/{id}/{act}", path: "/api/v1/users/{priya}/require", body: why,
		event: "user.two_factor_required", target: "priya", before: "false", after: "true", letters: "two_factor_required priya"},
	{name: "waits", route: "POST /api/v1/users/{id}/{act}", path: "/api/v1/users/{priya}/reset", body: why,
		event: "approval.asked", target: "priya", letters: "approval_asked priya, approval_waits boss, approval_waits olga"},
	{name: "approve", route: "POST /api/v1/approvals/{id}/approve", path: "/api/v1/approvals/{approval}/approve", body: why, scene: (*deeds).waiting, as: "olga",
		event: "approval.given", target: "priya", letters: "approval_given priya"},
	{name: "cancel", route: "POST /api/v1/approvals/{id}/cancel", path: "/api/v1/approvals/{approval}/cancel", body: why, scene: (*deeds).waiting, as: "olga",
		event: "approval.cancelled", target: "priya", letters: "approval_cancelled priya"},

	{name: "key", route: "POST /api/v1/api-keys", body: `{"name":"nightly","owner":"priya","scopes":["audit.read"],"reason":"%s"}`,
		event: "key.created", target: "priya", letters: "key_made priya"},
	{name: "key name", route: "PATCH /api/v1/api-keys/{id}", path: "/api/v1/api-keys/{key}", body: `{"name":"weekly","reason":"%s"}`, scene: (*deeds).keyed,
		event: "key.renamed", target: "priya", before: "nightly", after: "weekly", letters: "key_made priya"},
	{name: "key roll", route: "POST /api/v1/api-keys/{id}/roll", path: "/api/v1/api-keys/{key}/roll", body: `{"expires_in_days":30,"reason":"%s"}`, scene: (*deeds).keyed,
		event: "key.rolled", target: "priya", before: "2027-02-19T09:14:10Z", after: "2026-12-21T09:14:11Z", letters: "key_made priya"},
	{name: "return", route: "POST /api/v1/api-keys/{id}/return-addresses", path: "/api/v1/api-keys/{key}/return-addresses", body: `{"address":"https://app.example.com/back","reason":"%s"}`,
		scene: (*deeds).redeemer, event: "return_address.added", target: "olga", letters: "key_made olga"},
	{name: "return end", route: "DELETE /api/v1/api-keys/{id}/return-addresses", path: "/api/v1/api-keys/{key}/return-addresses", body: `{"address":"https://app.example.com/back","reason":"%s"}`,
		scene: func(d *deeds) {
			d.redeemer()
			d.ask("boss", "POST", "/api/v1/api-keys/{key}/return-addresses", `{"address":"https://app.example.com/back"}`)
		}, event: "return_address.removed", target: "olga", letters: "key_made olga"},
	{name: "key end", route: "DELETE /api/v1/api-keys/{id}", path: "/api/v1/api-keys/{key}", body: why, scene: (*deeds).keyed,
		event: "key.removed", target: "priya", before: "audit.read", letters: "key_made priya"},

	{name: "role", route: "PUT /api/v1/roles/{name}", path: "/api/v1/roles/theirs", body: `{"title":"Theirs","permissions":["audit.read"],"reason":"%s"}`,
		event: "role.saved", after: "audit.read"},
	{name: "role end", route: "DELETE /api/v1/roles/{name}", path: "/api/v1/roles/readers", body: why,
		scene: func(d *deeds) { d.role(d.Company, "readers", directory.ReportsRead) },
		event: "role.removed", before: "reports.read"},

	{name: "action", route: "PUT /api/v1/actions/{name}", path: "/api/v1/actions/invoice.pay", body: payAction,
		event: "action.saved", after: "title=pay an invoice, pl=zapłacić fakturę, audience=https://app.acme.example"},
	{name: "action again", route: "PUT /api/v1/actions/{name}", path: "/api/v1/actions/invoice.pay", body: `{"title":"pay nothing","reason":"%s"}`,
		scene: func(d *deeds) { d.ask("boss", "PUT", "/api/v1/actions/invoice.pay", payAction) },
		event: "action.saved", before: "title=pay an invoice, pl=zapłacić fakturę, audience=https://app.acme.example", after: "title=pay nothing"},
	{name: "action end", route: "DELETE /api/v1/actions/{name}", path: "/api/v1/actions/invoice.pay", body: why,
		scene: func(d *deeds) {
			d.ask("boss", "PUT", "/api/v1/actions/invoice.pay", `{"title":"pay an invoice","reason":"x"}`)
		},
		event: "action.removed", before: "title=pay an invoice"},
	{name: "grant", route: "POST /api/v1/grants/redeem", body: `{"token":"{grant}","action":"invoice.pay"}`, scene: (*deeds).granted,
		event: "grant.redeemed", target: "maya", silent: "a program does it, for what the person confirmed"},

	{name: "policy", route: "PUT /api/v1/policy", body: `{"version":{policy},"document":{document},"reason":"%s"}`, scene: (*deeds).loosened,
		event: "policy.changed", before: `{"two_factor":"required"}`, after: `{"two_factor":"off"}`, letters: "policy_changed boss, policy_changed olga"},
	{name: "policy preview", route: "POST /api/v1/policy/preview", body: `{"version":{policy},"document":{document},"reason":"%s"}`, scene: (*deeds).loosened},

	{name: "mail", route: "PUT /api/v1/providers/email", body: mailServer,
		event: "provider.changed", after: "host=smtp.example.com, port=587, tls=starttls, username=acme, from=no-reply@acme.example", letters: owners},
	{name: "mail again", route: "PUT /api/v1/providers/email", body: strings.Replace(mailServer, `"port":587`, `"port":465,"tls":"implicit"`, 1),
		scene: func(d *deeds) { d.ask("boss", "PUT", "/api/v1/providers/email", mailServer) },
		event: "provider.changed", before: "port=587, tls=starttls", after: "port=465, tls=implicit", letters: owners},
	{name: "mail off", route: "DELETE /api/v1/providers/email", body: why,
		scene: func(d *deeds) { d.ask("boss", "PUT", "/api/v1/providers/email", mailServer) },
		event: "provider.changed", before: "host=smtp.example.com, port=587, tls=starttls, username=acme, from=no-reply@acme.example", letters: owners},
	{name: "mail test", route: "POST /api/v1/providers/email/test", body: mailServer, event: "provider.tested"},
	{name: "texts", route: "PUT /api/v1/providers/sms", body: textSettings,
		event: "provider.changed", after: "provider_1=inbox, countries=SE", letters: owners},
	{name: "texts off", route: "DELETE /api/v1/providers/sms", body: why,
		scene: func(d *deeds) { d.ask("boss", "PUT", "/api/v1/providers/sms", textSettings) },
		event: "provider.changed", before: "provider_1=inbox, countries=SE", letters: owners},
	{name: "texts test", route: "POST /api/v1/providers/sms/test", body: strings.Replace(textSettings, `{`, `{"to":"+46701740605",`, 1), event: "provider.tested"},
	{name: "duo", route: "PUT /api/v1/providers/duo", body: duoSettings,
		event: "provider.changed", after: "ikey=DITESTINTEGRATION001, host=api-0badcafe.duosecurity.com, let_in=false", letters: owners},
	{name: "duo off", route: "DELETE /api/v1/providers/duo", body: why,
		scene: func(d *deeds) { d.ask("boss", "PUT", "/api/v1/providers/duo", duoSettings) },
		event: "provider.changed", before: "ikey=DITESTINTEGRATION001, host=api-0badcafe.duosecurity.com, let_in=false", letters: owners},
	{name: "duo test", route: "POST /api/v1/providers/duo/test", body: `{"reason":"%s"}`, scene: func(d *deeds) { d.UseDuo(d.t, d.Company) }, event: "provider.tested"},

	{name: "stream", route: "PUT /api/v1/audit/streams/{kind}", path: "/api/v1/audit/streams/webhook", body: hook,
		event: "provider.changed", after: "host=siem.acme.example", letters: owners},
	{name: "stream off", route: "DELETE /api/v1/audit/streams/{kind}", path: "/api/v1/audit/streams/webhook", body: why,
		scene: func(d *deeds) { d.ask("boss", "PUT", "/api/v1/audit/streams/webhook", hook) },
		event: "provider.changed", before: "host=siem.acme.example", letters: owners},
	{name: "stream test", route: "POST /api/v1/audit/streams/{kind}/test", path: "/api/v1/audit/streams/webhook/test", body: `{"reason":"%s"}`, scene: (*deeds).hooked, event: "provider.tested"},
	{name: "keep", route: "PUT /api/v1/audit/retention", body: `{"months":12,"reason":"%s"}`, event: "audit.retention_changed", before: "0", after: "12", letters: owners},
	{name: "verify", route: "POST /api/v1/audit/verify", body: `{}`, event: "audit.verified", silent: "it changes nothing"},

	{name: "brand", route: "PUT /api/v1/branding", body: `{"help_text":"Floor 3","reason":"%s"}`, event: "branding.changed"},
	{name: "logo", route: "PUT /api/v1/branding/logo", body: picture, event: "branding.changed", silent: "the body is the picture"},
	{name: "dark logo", route: "PUT /api/v1/branding/logo-dark", body: picture, event: "branding.changed", silent: "the body is the picture"},
	{name: "logo off", route: "DELETE /api/v1/branding/logo", body: why, scene: func(d *deeds) { d.ask("boss", "PUT", "/api/v1/branding/logo", picture) }, event: "branding.changed"},
	{name: "dark logo off", route: "DELETE /api/v1/branding/logo-dark", body: why, scene: func(d *deeds) { d.ask("boss", "PUT", "/api/v1/branding/logo-dark", picture) }, event: "branding.changed"},
}

const (
	why          = `{"reason":"%s"}`
	owners       = "provider_changed boss, provider_changed olga"
	mailServer   = `{"host":"smtp.example.com","port":587,"username":"acme","password":"canary-mail-password","from":"no-reply@acme.example","reason":"%s"}`
	textSettings = `{"providers":[{"driver":"inbox","secret":"canary-text-secret"}],"countries":["SE"],"reason":"%s"}`
	duoSettings  = `{"ikey":"DITESTINTEGRATION001","skey":"canary0canary0canary0canary0canary0cana1","host":"api-0badcafe.duosecurity.com","reason":"%s"}`
	payAction    = `{"title":"pay an invoice","titles":{"pl":"zapłacić fakturę"},"audience":"https://app.acme.example","reason":"%s"}`
	hook         = `{"url":"https://siem.acme.example/in?key=canary-in-address","secret":"canary-hook-secret-0001","reason":"%s"}`
)

// on is an act of POST /users/{id}/{act} on maya.
func on(name, event, before, after, letters string, hides bool) act {
	return act{name: name, route: "POST /api/v1/users/{id}/{act}", path: "/api/v1/users/{maya}/" + name, body: why,
		event: event, target: "maya", before: before, after: after, letters: letters, hides: hides}
}

// byPage are the pages of the administration that change something, with routes of
// JSON that do the same by the same calls.
var byPage = map[string][]string{
	"POST /admin/approvals/{approval}":       {"POST /api/v1/approvals/{id}/approve", "POST /api/v1/approvals/{id}/cancel"},
	"POST /admin/audit":                      {"POST /api/v1/audit/verify"},
	"POST /admin/audit/streams":              {"PUT /api/v1/audit/streams/{kind}", "PUT /api/v1/audit/retention"},
	"POST /admin/branding":                   {"PUT /api/v1/branding"},
	"POST /admin/people":                     {"POST /api/v1/users/bulk"},
	"POST /admin/people/import":              {"POST /api/v1/users/import"},
	"POST /admin/people/new":                 {"POST /api/v1/users"},
	"POST /admin/people/{id}/app/{factor}":   {"POST /api/v1/users/{id}/factors/{factor}/confirm"},
	"POST /admin/people/{id}/do/{act}":       {"POST /api/v1/users/{id}/{act}", "PATCH /api/v1/users/{id}"},
	"POST /admin/people/{id}/do/{act}/{arg}": {"PATCH /api/v1/users/{id}/factors/{factor}", "DELETE /api/v1/users/{id}/factors/{factor}"},
	"POST /admin/people/{id}/erase":          {"DELETE /api/v1/users/{id}"},
	"POST /admin/people/{id}/export":         {"GET /api/v1/users/{id}/export"},
	"POST /admin/people/{id}/api":            {"PUT /api/v1/users/{id}/api", "POST /api/v1/users/{id}/api/off"},
	"POST /admin/policy":                     {"POST /api/v1/policy/preview"},
	"POST /admin/policy/save":                {"PUT /api/v1/policy"},
	"POST /admin/roles":                      {"PUT /api/v1/roles/{name}", "DELETE /api/v1/roles/{name}"},
	"POST /admin/actions":                    {"PUT /api/v1/actions/{name}", "DELETE /api/v1/actions/{name}"},
	"POST /admin/keys":                       {"POST /api/v1/api-keys"},
	"POST /admin/keys/{id}": {"PATCH /api/v1/api-keys/{id}", "POST /api/v1/api-keys/{id}/roll", "DELETE /api/v1/api-keys/{id}",
		"POST /api/v1/api-keys/{id}/return-addresses", "DELETE /api/v1/api-keys/{id}/return-addresses"},
	"POST /admin/providers/email": {"PUT /api/v1/providers/email"},
	"POST /admin/providers/texts": {"PUT /api/v1/providers/sms"},
	"POST /admin/providers/duo":   {"PUT /api/v1/providers/duo"},
}

// Every route that an administrator changes something by has a row, and so has every
// act on a person.
func TestEveryActHasItsRow_K1(t *testing.T) {
	routes, events := map[string]bool{"GET /api/v1/users/{id}/export": true}, map[string]bool{"user.erased": true}
	for _, a := range acts {
		routes[a.route], events[a.event] = true, true
		if _, there := access[a.route]; !there {
			t.Errorf("%s: %s is no route", a.name, a.route)
		}
	}
	for route, need := range access {
		method, path, _ := strings.Cut(route, " ")
		own := need == own && !strings.Contains(path, "approvals") || need == ownSign || need == public || need == attempt || need == byKey
		if method == "GET" || own {
			continue
		}
		if strings.HasPrefix(path, "/admin") {
			if len(byPage[route]) == 0 {
				t.Errorf("%s is not in byPage of acts_test.go", route)
			}
			for _, same := range byPage[route] {
				if !routes[same] {
					t.Errorf("%s: %s has no row", route, same)
				}
			}
		} else if !routes[route] {
			t.Errorf("%s has no row in acts_test.go: say what the log and the letters hold of it", route)
		}
	}
	for _, do := range directory.Acts() {
		if a, _ := directory.ActOf(do); !events[a.Type] {
			t.Errorf("no row for the act %s (%s)", do, a.Type)
		}
	}
}

// K1, K2, rul-19, rul-25, cve-61: every act of an administrator is in the log with
// actor, target, reason, before and after, and no secret; and whoever it is about has
// a letter, which shows the reason where that is for them.
func TestActsAreOnRecord_K1_rul19_rul25_cve61(t *testing.T) {
	for _, a := range acts {
		t.Run(a.name, func(t *testing.T) {
			d := newDeeds(t)
			if a.scene != nil {
				a.scene(d)
			}
			d.letters() // those of the scene
			d.Clock.Advance(1e9)
			last := d.newest()
			who := a.as
			if who == "" {
				who = "boss"
			}
			method, path, _ := strings.Cut(a.route, " ")
			if a.path != "" {
				path = a.path
			} else {
				path = strings.NewReplacer("{id}", "{maya}").Replace(path)
			}
			status, answer := d.ask(who, method, path, a.body)
			if status >= 300 {
				t.Fatalf("%d: %s", status, answer)
			}
			list := d.since(last)
			if a.event == "" {
				if len(list) > 0 {
					t.Errorf("what changes nothing is in the log: %+v", list)
				}
				return
			}
			i := slices.IndexFunc(list, func(ev authn.Event) bool { return ev.Type == a.event })
			if i < 0 {
				t.Fatalf("no %s: %+v", a.event, list)
			}
			a.holds(d, list[i], answer, who)
			raw, err := json.Marshal(d.since(""))
			d.must(err)
			for _, secret := range append(d.secrets(answer), "canary", "+46701740605") {
				if strings.Contains(string(raw), secret) {
					t.Errorf("the log holds %q", secret)
				}
			}
			a.tells(d)
		})
	}
}

// holds compares the event.
func (a act) holds(d *deeds, ev authn.Event, answer, who string) {
	d.t.Helper()
	target := d.ids[a.target]
	if a.target == "new" {
		var made struct{ ID string }
		d.must(json.Unmarshal([]byte(answer), &made))
		target = made.ID
	}
	detail := ev.Personal.Detail
	if ev.Actor != d.ids[who] || ev.Target != target || ev.Result != authn.Succeeded {
		d.t.Errorf("by %s about %q: %s, want %s and %q: %v", ev.Actor, ev.Target, ev.Result, d.ids[who], target, detail)
	}
	reason := because
	if a.silent != "" {
		reason = ""
	}
	if detail["reason"] != reason {
		d.t.Errorf("reason %q, want %q", detail["reason"], reason)
	}
	if a.event == "branding.changed" { // each field has its own
		name := detail["fields"]
		if name == "" || detail[name+"_before"] == detail[name+"_after"] {
			d.t.Errorf("%v", detail)
		}
		return
	}
	if got, want := detail["before"]+" → "+detail["after"], d.fill(a.before)+" → "+d.fill(a.after); got != want {
		d.t.Errorf("changed %s, want %s", got, want)
	}
}

// tells compares the letters that wait.
func (a act) tells(d *deeds) {
	d.t.Helper()
	var got []string
	for _, l := range d.letters() {
		name, _, _ := strings.Cut(l.To, "@")
		got = append(got, string(l.Template)+" "+name)
		m, err := d.Notices.Render(l)
		d.must(err)
		for part, text := range map[string]string{"text": strings.Join(strings.Fields(m.Text), " "), "HTML": m.HTML} {
			if strings.Contains(text, because) == (a.hides || a.silent != "") {
				d.t.Errorf("the %s of %s shows the reason: %v", part, l.Template, a.hides)
			}
		}
	}
	slices.Sort(got)
	if strings.Join(got, ", ") != a.letters {
		d.t.Errorf("letters %q, want %q", strings.Join(got, ", "), a.letters)
	}
}

// The routes without a reason are those that have no room for one, or need none.
func TestFewActsAreSilent(t *testing.T) {
	silent := map[string]bool{}
	for _, a := range acts {
		if a.silent != "" {
			silent[a.route] = true
		}
	}
	got := slices.Sorted(maps.Keys(silent))
	if want := []string{"POST /api/v1/audit/verify", "POST /api/v1/grants/redeem", "POST /api/v1/users/import", "POST /api/v1/users/{id}/factors/{factor}/confirm", "PUT /api/v1/branding/logo",
		"PUT /api/v1/branding/logo-dark"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
