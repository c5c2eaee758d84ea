package httpapi_test

import (
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// H2: a list is gone through in pages, forwards and back, by its filters.
func TestUsersList_H2(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	for _, login := range []string{"anna", "bert", "carl", "dora", "emil"} {
		w.AddUser(t, w.Company, login, false)
	}
	w.AddUser(t, w.other, "stranger", true)
	w.promote(maya.User, directory.Administrator)
	session := w.signIn(maya)
	path := "/api/v1/users?limit=2&method=none"
	first := w.get(path, session).want(200)
	if first.str("items.0.login") != "emil" || first.at("count").(float64) != 5 || first.at("prev_cursor") != nil {
		t.Errorf("%s", first.body)
	}
	second := w.get(path+"&cursor="+first.str("next_cursor"), session).want(200)
	if second.str("items.0.login") != "carl" {
		t.Errorf("%s", second.body)
	}
	back := w.get(path+"&before="+second.str("prev_cursor"), session).want(200)
	if back.str("items.0.login") != "emil" {
		t.Errorf("%s", back.body)
	}
	if a := w.get("/api/v1/users?search=stranger", session).want(200); len(a.at("items").([]any)) != 0 {
		t.Errorf("%s", a.body)
	}
	for query, want := range map[string]string{"limit=0": "limit invalid", "cursor=x": "cursor invalid", "cursor=a&before=b": "before invalid", "method=x": "method not_one_of",
		"set_up=x": "set_up not_one_of", "state=x": "state not_one_of", "role=x": "role not_one_of", "audience=x": "audience not_one_of", "status=x": "status not_one_of",
		"search=" + "a+b+c+d+e+f+g+h+i": "search too_many", "sort=name": "sort unknown", "role=owner&role=member": "role duplicate"} {
		name, code, _ := strings.Cut(want, " ")
		w.get("/api/v1/users?"+query, session).field(name, code)
	}
	csv := w.get("/api/v1/users.csv?method=totp", session).want(200)
	if lines := strings.Split(strings.TrimSpace(string(csv.body)), "\r\n"); len(lines) != 2 || csv.header.Get("Content-Disposition") != `attachment; filename="people.csv"` {
		t.Errorf("%s %v", csv.body, csv.header)
	}
	w.get("/api/v1/users.csv?method=x", session).field("method", "not_one_of")
}

// rul-17, rul-19: who may do what, by role; and of another company nothing is there.
func TestUsersPermissions_rul17(t *testing.T) {
	w := newWorld(t)
	ada, hal, mo := w.AddUser(t, w.Company, "ada", true), w.AddUser(t, w.Company, "hal", true), w.AddUser(t, w.Company, "mo", true)
	stranger := w.AddUser(t, w.other, "stranger", true)
	w.promote(ada.User, directory.Administrator)
	w.promote(hal.User, directory.Helpdesk)
	owner := w.owner(mo)
	tokens := map[string]string{"owner": w.signIn(owner), "admin": w.signIn(ada), "helpdesk": w.signIn(hal), "member": w.signIn(mo)}
	for _, c := range []struct {
		method, path string
		body         any
		want         map[string]int // by role; others: 403
	}{
		{"GET", "/api/v1/users", nil, map[string]int{"owner": 200, "admin": 200, "helpdesk": 200}},
		{"GET", "/api/v1/users/" + mo.ID, nil, map[string]int{"owner": 200, "admin": 200, "helpdesk": 200}},
		{"GET", "/api/v1/users/" + stranger.ID, nil, map[string]int{"owner": 404, "admin": 404, "helpdesk": 404}},
		{"GET", "/api/v1/users/x", nil, map[string]int{"owner": 404, "admin": 404, "helpdesk": 404}},
		{"POST", "/api/v1/users/import?dry_run=true", "login\nx\n", map[string]int{"owner": 200}},
		{"POST", "/api/v1/users/bulk", object{"do": "require", "people": []any{mo.ID}}, map[string]int{"owner": 200, "admin": 200}},
		{"PATCH", "/api/v1/users/" + mo.ID, object{"name": "Mo"}, map[string]int{"owner": 200, "admin": 200}},
		{"PATCH", "/api/v1/users/" + mo.ID, object{"email": "x@acme.example", "reason": "r"}, map[string]int{"admin": 403, "owner": -1}},
		{"PATCH", "/api/v1/users/" + mo.ID, object{"roles": []any{"helpdesk"}, "reason": "r"}, map[string]int{"admin": 403, "owner": -1}},
		{"PATCH", "/api/v1/users/" + owner.ID, object{"name": "Boss"}, map[string]int{}},
		{"PATCH", "/api/v1/users/" + stranger.ID, object{"name": "X"}, map[string]int{"owner": 404, "admin": 404}},
		{"POST", "/api/v1/users", object{"login": "n", "roles": []any{"owner"}}, map[string]int{"owner": -1}},
	} {
		for role, token := range tokens {
			want, ok := c.want[role]
			if want == -1 {
				continue
			}
			if !ok {
				want = 403
			}
			call := call{method: c.method, path: c.path, bearer: token, body: c.body}
			if strings.Contains(c.path, "/import") {
				call.header = map[string]string{"Content-Type": "text/csv"}
			}
			if a := w.do(call); a.status != want {
				t.Errorf("%s %s as %s: %d, want %d: %s", c.method, c.path, role, a.status, want, a.body)
			}
		}
	}
	a := w.do(call{method: "PATCH", path: "/api/v1/users/" + mo.ID, bearer: tokens["owner"], body: object{"email": "x@acme.example", "phone": "1", "roles": []any{"boss!"}, "audience": "all"}})
	a.refused(authn.Invalid)
	if n := len(a.json["fields"].([]any)); n != 4 { // phone, roles, audience, reason: all at once
		t.Errorf("%s", a.body)
	}
	if a := w.do(call{method: "POST", path: "/api/v1/users/import", bearer: tokens["owner"], body: "login,phone\nx,1\n", header: map[string]string{"Content-Type": "text/csv; charset=utf-8"}}).want(200); a.str("errors.0.code") == "" || a.at("created").(float64) != 0 {
		t.Errorf("%s", a.body)
	}
	w.do(call{method: "POST", path: "/api/v1/users/import", bearer: tokens["owner"], body: "x", header: map[string]string{"Content-Type": "application/json"}}).refused(authn.UnsupportedMedia)
}

// rul-20: whoever is asked for their word is told what they agree to; of a number
// only the last digits.
func TestApprovalsSayWhatTheyAre_rul20(t *testing.T) {
	w := newWorld(t)
	hal, mo := w.AddUser(t, w.Company, "hal", true), w.AddUser(t, w.Company, "mo", true)
	w.promote(hal.User, directory.Helpdesk)
	o := w.owner(mo)
	c := w.inSession(o, "PATCH", "/api/v1/users/"+hal.ID, object{"roles": []string{"administrator"}, "phone": "+46701740605", "reason": "Promoted"})
	w.do(c).want(200)
	list := w.do(w.inSession(o, "GET", "/api/v1/approvals", nil)).want(200)
	body := string(list.body)
	if !strings.Contains(body, `"act":"set-roles","args":{"roles":"administrator"}`) || !strings.Contains(body, `"act":"set-phone","args":{"phone":"•• 05"}`) ||
		strings.Contains(body, "+467") {
		t.Errorf("%s", list.body)
	}
}
