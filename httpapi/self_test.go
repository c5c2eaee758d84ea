package httpapi_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// std-55, ruling 26: every change of what proves a person asks for a recent
// proof, says how recent and how strong, and does nothing until then.
func TestStepUpOfEveryChange_std55(t *testing.T) {
	w := newWorld(t)
	changes := []struct {
		method, path string
		body         any
		own          bool // asks the password itself of those who have no way of their own
	}{
		{"POST", "/api/v1/account/factors", object{"method": "totp", "replaces": "{id}"}, false},
		{"POST", "/api/v1/account/factors", object{"method": "email"}, false},
		{"DELETE", "/api/v1/account/factors/{id}", nil, false},
		{"POST", "/api/v1/account/backup-codes", object{}, false},
		{"POST", "/api/v1/account/email", object{"email": "new@new.example"}, false},
		{"PUT", "/api/v1/account/password", object{"current": sallyporttest.Password, "new": newPassword}, true},
	}
	for i, c := range changes {
		for _, app := range []bool{true, false} {
			p := w.AddUser(t, w.Company, fmt.Sprintf("p%d%v", i, app), app)
			if !app && (c.own || c.method == "DELETE") {
				continue
			}
			session := w.signIn(p)
			if app {
				w.Clock.Advance(10 * time.Minute)
			}
			body := c.body
			if o, ok := body.(object); ok && o["replaces"] != nil {
				body = object{"method": "totp"}
				if app {
					body = object{"method": "totp", "replaces": p.Factor}
				}
			}
			before, mails := w.get("/api/v1/account/factors", session).want(200), len(w.Inbox.Messages())
			a := w.do(call{method: c.method, path: strings.ReplaceAll(c.path, "{id}", p.Factor), bearer: session, body: body}).refused(authn.StepUpRequired)
			want := map[bool]string{true: "aal2", false: "aal1"}[app]
			if a.at("max_age") != 600.0 || a.str("acr_values") != want ||
				!strings.Contains(a.header.Get("WWW-Authenticate"), `acr_values="`+want+`", max_age="600"`) {
				t.Errorf("%s %s: %s %v", c.method, c.path, a.body, a.header)
			}
			if after := w.get("/api/v1/account/factors", session).want(200); !bytes.Equal(before.body, after.body) {
				t.Errorf("%s %s: something was done: %s", c.method, c.path, after.body)
			}
			if n := len(w.Inbox.Messages()); n != mails {
				t.Errorf("%s %s: mail was sent", c.method, c.path)
			}
			if app {
				a = w.do(call{method: c.method, path: strings.ReplaceAll(c.path, "{id}", p.Factor), bearer: w.proveAgain(session, p), body: body})
				if a.status >= 300 {
					t.Errorf("%s %s after a step-up: %d %s", c.method, c.path, a.status, a.body)
				}
			}
		}
	}
}

// F6, ruling 43: what is listed, preferred, and never removed by itself.
func TestSeveralWays(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	made := w.post("/api/v1/account/backup-codes", w.signIn(maya), object{}).want(201)
	session, codes := made.str("session.token"), "/api/v1/account/factors/"+made.str("factor.id")
	a := w.post("/api/v1/account/factors", session, object{"method": "email"}).want(201)
	if a.str("email.sent_to") != "m•••@acme.example" || a.str("email.resend_at") == "" || a.at("totp") != nil {
		t.Errorf("pending: %s", a.body)
	}
	email := "/api/v1/account/factors/" + a.str("id")
	w.post(email+"/send", session, object{}).refused(authn.TooManyRequests)
	w.Clock.Advance(30 * time.Second)
	if a := w.post(email+"/send", session, object{}).want(200); a.str("email.resend_at") != w.Clock.Now().Add(time.Minute).Format(time.RFC3339) {
		t.Errorf("sent again: %s", a.body)
	}
	// The set-up is not there for another session of hers.
	other := w.signIn(maya)
	if list := w.get("/api/v1/account/factors", other).want(200); bytes.Contains(list.body, []byte("pending")) {
		t.Errorf("list: %s", list.body)
	}
	for _, c := range []call{
		{method: "POST", path: email + "/send", body: object{}}, {method: "POST", path: email + "/confirm", body: object{"code": w.LastCode(t, maya.Email)}},
		{method: "DELETE", path: email}, {method: "PATCH", path: email, body: object{"name": "x"}},
	} {
		c.bearer = other
		w.do(c).refused(authn.NotFound)
	}
	a = w.post(email+"/confirm", session, object{"code": w.LastCode(t, maya.Email)}).want(200)
	session = a.str("session.token")
	if a.at("backup_codes") != nil || a.at("factor.preferred") != false || a.str("factor.sent_to") != "m•••@acme.example" {
		t.Errorf("confirm: %s", a.body)
	}
	patch := func(path string, body object) answer {
		return w.do(call{method: "PATCH", path: path, bearer: session, body: body})
	}
	patch(email, object{"preferred": true, "name": strings.Repeat("x", 61)}).field("name", "too_long")
	if a := w.get("/api/v1/account", session).want(200); a.str("preferred_method") != "totp" {
		t.Errorf("half of a change: %s", a.body)
	}
	if a := patch(email, object{"preferred": true, "name": "Work mail"}).want(200); a.at("preferred") != true || a.str("name") != "Work mail" {
		t.Errorf("patch: %s", a.body)
	}
	begun := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password}).want(201)
	if begun.str("methods.0.method") != "email" || begun.at("methods.0.preferred") != true || begun.at("methods.0.fallback") != nil {
		t.Errorf("begin: %s", begun.body)
	}
	if a := w.get("/api/v1/account", session).want(200); a.str("preferred_method") != "email" || a.at("backup_codes_left") != 10.0 {
		t.Errorf("account: %s", a.body)
	}
	// Backup codes: no name, never the first, never gone by themselves.
	patch(codes, object{"preferred": true}).field("preferred", "invalid")
	patch(codes, object{"name": "x"}).field("name", "unknown")
	if a := w.do(call{method: "DELETE", path: codes, bearer: session}).refused(authn.PolicyForbids); !strings.Contains(a.str("detail"), "Make new ones") {
		t.Errorf("delete: %s", a.body)
	}
	again := w.post("/api/v1/account/backup-codes", session, object{}).want(201)
	id, token := w.begin(maya)
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "backup_code", "code": made.str("backup_codes.0")}).refused(authn.WrongCode)
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "backup_code", "code": again.str("backup_codes.0")}).want(200)
	// What only counts, or belongs to an administrator, is nobody's to see.
	w.opened(maya)
	list := w.get("/api/v1/account/factors", again.str("session.token")).want(200)
	var methods []string
	for _, f := range list.at("items").([]any) {
		methods = append(methods, f.(object)["method"].(string))
	}
	if slices.Sort(methods); fmt.Sprint(methods) != "[backup_code email totp]" {
		t.Errorf("list: %s", list.body)
	}
}

// The address changes with a code to the new one; the old one is told.
func TestChangeEmail(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	w.AddUser(t, w.Company, "lena", false)
	session := w.signIn(maya)
	for _, bad := range []string{"", "maya", "Maya <maya@new.example>", "a@b@c", strings.Repeat("x", 300) + "@new.example"} {
		if a := w.post("/api/v1/account/email", session, object{"email": bad}).refused(authn.Invalid); a.str("fields.0.name") != "email" {
			t.Errorf("%q: %s", bad, a.body)
		}
	}
	w.post("/api/v1/account/email", session, object{"email": maya.Email}).field("email", "same")
	a := w.post("/api/v1/account/email", session, object{"email": "maya@new.example"}).want(201)
	got := w.get("/api/v1/account", session).want(200)
	if got.str("email") != maya.Email || got.str("email_change.email") != "maya@new.example" || got.str("email_change.id") != a.str("id") {
		t.Errorf("account: %s", got.body)
	}
	if list := w.get("/api/v1/account/factors", session).want(200); bytes.Contains(list.body, []byte("email")) {
		t.Errorf("a change of the address is no way to verify: %s", list.body)
	}
	path := "/api/v1/account/factors/" + a.str("id")
	w.do(call{method: "PATCH", path: path, bearer: session, body: object{"preferred": true}}).refused(authn.NotFound)
	a = w.post(path+"/confirm", session, object{"code": w.LastCode(t, "maya@new.example")}).want(200)
	if a.str("email") != "maya@new.example" || a.at("factor") != nil || a.str("session.token") == "" {
		t.Errorf("confirm: %s", a.body)
	}
	w.get("/api/v1/session", session).refused(authn.Unauthenticated)
	session = a.str("session.token")
	if got := w.get("/api/v1/account", session).want(200); got.str("email") != "maya@new.example" || got.at("email_verified") != true || got.at("email_change") != nil {
		t.Errorf("account: %s", got.body)
	}
	if mail := w.Mail(t, maya.Email); !slices.ContainsFunc(mail, func(m kept) bool { return link.MatchString(m.Text) }) {
		t.Error("the old address is not told")
	}
	// Somebody else's address is not to be had, and who asks is told so at the end only.
	a = w.post("/api/v1/account/email", session, object{"email": "lena@acme.example"}).want(201)
	w.post("/api/v1/account/factors/"+a.str("id")+"/confirm", session, object{"code": w.LastCode(t, "lena@acme.example")}).refused(authn.Conflict)
}

// here says that this machine is in Kraków.
type here struct{}

func (here) Place(a netip.Addr, lang string) authn.Place {
	if !a.IsLoopback() {
		return authn.Place{}
	}
	return authn.Place{City: map[string]string{"pl": "Kraków"}[lang], Country: "PL"}
}

func (here) Credit() (name, url string) { return "", "" }

// J2: about where, in lists of one's own sessions and events, by the document's shape.
func TestPlaces_J2(t *testing.T) {
	w := newWorld(t, func(c *sallyport.Config) { c.Places = here{} })
	maya := w.AddUser(t, w.Company, "maya", true)
	mine := w.signIn(maya)
	a := w.get("/api/v1/account/sessions", mine).want(200)
	if a.str("items.0.place.text") != "Poland" || a.str("items.0.place.country") != "PL" || a.at("items.0.place.city") != nil {
		t.Errorf("%s", a.body)
	}
	w.do(call{method: "PATCH", path: "/api/v1/account", bearer: mine, body: object{"locale": "pl"}}).want(200)
	a = w.do(call{method: "PATCH", path: "/api/v1/account/sessions/" + sessionID(mine), bearer: mine, body: object{"name": "Laptop"}}).want(200)
	if a.str("place.text") != "Kraków i okolice, Polska" || a.str("place.city") != "Kraków" {
		t.Errorf("%s", a.body)
	}
	if a = w.get("/api/v1/account/events", mine).want(200); a.str("items.0.place.country") != "PL" {
		t.Errorf("%s", a.body)
	}

	// By nothing but the event of that session: of another time, person or company there is none.
	ses := authn.Session{Company: w.Company.ID, User: maya.ID, CreatedAt: w.Clock.Now()}
	zoe := w.AddUser(t, w.other, "maya", false)
	for i, c := range []struct {
		change func(*authn.Session)
		want   string
	}{
		{func(*authn.Session) {}, "127.0.0.1"},
		{func(s *authn.Session) { s.CreatedAt = s.CreatedAt.Add(-time.Millisecond) }, ""},
		{func(s *authn.Session) { s.CreatedAt = s.CreatedAt.Add(time.Microsecond) }, ""},
		{func(s *authn.Session) { s.User = zoe.ID }, ""},
		{func(s *authn.Session) { s.Company, s.User = w.other.ID, zoe.ID }, ""},
		{func(s *authn.Session) { s.Company = w.other.ID }, ""},
	} {
		s := ses
		c.change(&s)
		if got, err := w.Audit.BegunFrom(t.Context(), s); got != c.want || err != nil {
			t.Errorf("%d: %q, %v", i, got, err)
		}
	}
}

// cve-34, cve-57: where one is signed in, and nobody else.
func TestSessions(t *testing.T) {
	w := newWorld(t)
	maya, zoe, lena := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.other, "maya", true), w.AddUser(t, w.Company, "lena", false)
	mine, second, third := w.signIn(maya), w.signIn(maya), w.signIn(maya)
	theirs := []string{w.signIn(zoe), w.signIn(lena)}
	list := w.get("/api/v1/account/sessions?limit=2", mine).want(200)
	if list.str("items.0.id") != sessionID(mine) || list.at("items.0.current") != true || list.str("next_cursor") != sessionID(second) {
		t.Errorf("sessions: %s", list.body)
	}
	list = w.get("/api/v1/account/sessions?limit=2&cursor="+list.str("next_cursor"), mine).want(200)
	if list.str("items.0.id") != sessionID(third) || list.at("items.0.current") != false || list.at("next_cursor") != nil || bytes.Contains(list.body, []byte("sp_")) {
		t.Errorf("sessions: %s", list.body)
	}
	for _, token := range theirs {
		path := "/api/v1/account/sessions/" + sessionID(token)
		w.do(call{method: "DELETE", path: path, bearer: mine}).refused(authn.NotFound)
		w.do(call{method: "PATCH", path: path, bearer: mine, body: object{"name": "Mine"}}).refused(authn.NotFound)
	}
	w.do(call{method: "PATCH", path: "/api/v1/account/sessions/" + sessionID(second), bearer: mine, body: object{"name": " Old  phone "}}).want(200)
	if list := w.get("/api/v1/account/sessions", second).want(200); !bytes.Contains(list.body, []byte(`"Old phone"`)) {
		t.Errorf("sessions: %s", list.body)
	}
	w.do(call{method: "DELETE", path: "/api/v1/account/sessions/" + sessionID(second), bearer: mine}).want(204)
	w.get("/api/v1/session", second).refused(authn.Unauthenticated)
	w.do(call{method: "DELETE", path: "/api/v1/account/sessions", bearer: mine}).want(204)
	w.get("/api/v1/session", third).refused(authn.Unauthenticated)
	for _, token := range append(theirs, mine) {
		w.get("/api/v1/session", token).want(200)
	}
	// Its own end takes the cookie away.
	b := w.browser()
	b.signIn(maya)
	a := b.do(call{method: "DELETE", path: "/api/v1/account/sessions/" + sessionID(b.jar[cookies.Session()])}).want(204)
	if v, ok := a.cookie(cookies.Session()); !ok || v != "" {
		t.Errorf("the cookie stays: %v", a.header)
	}
}

// One's own events: page by page, for 90 days, without addresses.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	maya, zoe, lena := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.other, "maya", true), w.AddUser(t, w.Company, "lena", false)
	w.signIn(zoe)
	w.signIn(lena)
	for range 3 {
		w.Clock.Advance(time.Hour)
		w.signIn(maya)
	}
	session := w.signIn(maya)
	all := w.get("/api/v1/account/events", session).want(200)
	items := all.at("items").([]any)
	if len(items) < 8 || bytes.Contains(all.body, []byte("127.0.0.1")) || bytes.Contains(all.body, []byte("Something about")) || all.at("next_cursor") != nil {
		t.Errorf("events: %s", all.body)
	}
	var walked []any
	cursor := ""
	for range len(items) + 1 {
		page := w.get("/api/v1/account/events?limit=2"+cursor, session).want(200)
		walked = append(walked, page.at("items").([]any)...)
		if page.at("next_cursor") == nil {
			break
		}
		cursor = "&cursor=" + page.str("next_cursor")
	}
	if fmt.Sprint(walked) != fmt.Sprint(items) {
		t.Errorf("page by page:\n%v\nat once:\n%v", walked, items)
	}
	// Another's cursor opens nothing of theirs.
	hers := w.get("/api/v1/account/events", w.signIn(lena)).want(200)
	for _, e := range w.get("/api/v1/account/events?cursor="+hers.str("items.0.id"), session).want(200).at("items").([]any) {
		if !slices.ContainsFunc(items, func(i any) bool { return i.(object)["id"] == e.(object)["id"] }) {
			t.Errorf("not hers: %v", e)
		}
	}
	for _, bad := range []string{"cursor=", "cursor=evt_1", "cursor=" + maya.ID, "limit=0", "limit=201", "user=" + lena.ID} {
		w.get("/api/v1/account/events?"+bad, session).refused(authn.Invalid)
	}
	w.Clock.Advance(90 * 24 * time.Hour)
	session = w.signIn(maya)
	for _, e := range w.get("/api/v1/account/events", session).want(200).at("items").([]any) {
		if at := e.(object)["at"].(string); at < w.Clock.Now().AddDate(0, 0, -90).Format(time.RFC3339) {
			t.Errorf("older than 90 days: %v", e)
		}
	}
}

// Everything that is missing is named at once.
func TestMissingFieldsAtOnce(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	session := w.signIn(maya)
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/api/v1/attempts", `{"company":"acme"}`, "login required, password required"},
		{"POST", "/api/v1/attempts", `{"login":5,"pass":""}`, "login wrong_type, pass unknown, password required"},
		{"PUT", "/api/v1/account/password", `{}`, "current required, new required"},
		{"POST", "/api/v1/invitations/accept", `{"token":"","password":""}`, "token required, password required"},
		{"POST", "/api/v1/account/factors", `{"kind":"totp"}`, "kind unknown, method required"},
	} {
		bearer := session
		if c.path == "/api/v1/attempts" || strings.HasPrefix(c.path, "/api/v1/invitations") {
			bearer = ""
		}
		a := w.do(call{method: c.method, path: c.path, bearer: bearer, body: c.body}).refused(authn.Invalid)
		var got []string
		for _, f := range a.at("fields").([]any) {
			got = append(got, f.(object)["name"].(string)+" "+f.(object)["code"].(string))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s", c.body, a.body)
		}
	}
	a := w.do(call{method: "PATCH", path: "/api/v1/account", bearer: session, body: object{"locale": "tlh"}}).field("locale", "not_one_of")
	if a.str("fields.0.message") != "Choose one of these: en, pl." {
		t.Errorf("choices: %s", a.body)
	}
	if a := w.post("/api/v1/account/factors", session, object{"method": "sms"}).field("method", "not_one_of"); a.str("fields.0.message") != "Choose one of these: email, totp, webauthn." {
		t.Errorf("choices: %s", a.body)
	}
	a = w.post("/api/v1/attempts", "", strings.Repeat(" ", 70_000)).refused(authn.TooLarge)
	if !strings.Contains(a.str("detail"), "64 KiB") {
		t.Errorf("limit: %s", a.body)
	}
	if a := w.get("/api/v1/session?"+strings.Repeat("x", 5000), session).refused(authn.TooLarge); !strings.Contains(a.str("detail"), "4 KiB") {
		t.Errorf("limit: %s", a.body)
	}
}
