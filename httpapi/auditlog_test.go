package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// K1, cve-67: every filter, strictly read.
func TestAuditFilters_K1_cve67(t *testing.T) {
	w := newWorld(t)
	_, key, owner := w.key(w.Company, "priya", directory.AuditRead)
	w.AddUser(t, w.Company, "maya", false)
	since := url.QueryEscape(w.Clock.Now().Format(time.RFC3339))
	count := func(query string) int {
		return len(w.get(auditPath+"?limit=200&"+query, key).want(200).json["items"].([]any))
	}
	for query, want := range map[string]int{
		"type=user.created": 2, "type=user.&actor=operator": 2, "target=" + owner.ID + "&type=user.created": 1, "result=refused": 0,
		"actor=" + owner.ID: 0, "type=user.&since=" + since: 2, "type=user.&until=" + since: 0, "type=key.&result=success&actor=operator&target=" + owner.ID: 1,
	} {
		if got := count(query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	for _, query := range []string{"actor=x", "actor=usr_1", "target=operator", "result=maybe", "since=yesterday", "until=0001-01-01T00:00:00Z", "cursor=evt_1", "type=A", "cursor='"} {
		name, _, _ := strings.Cut(query, "=")
		w.get(auditPath+"?"+query, key).field(name, "invalid")
		if name != "cursor" {
			w.get(auditPath+".csv?"+query, key).field(name, "invalid")
		}
	}
	w.get(auditPath+".csv?limit=1", key).field("limit", "unknown")
}

// K1: files hold the same, say so in the log, and are of one company.
func TestAuditFiles_K1(t *testing.T) {
	w := newWorld(t)
	k, key, owner := w.key(w.Company, "priya", directory.AuditRead)
	zoe := w.AddUser(t, w.other, "zoe", false)
	for range 250 { // more than a page
		if err := w.Directory.SetRequire(t.Context(), w.Company, owner.ID, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Audit.SealSome(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := w.get(auditPath+".jsonl?type=user.", key).want(200)
	lines := strings.Split(strings.TrimSpace(string(a.body)), "\n")
	var first, last audit.Line
	if json.Unmarshal([]byte(lines[0]), &first) != nil || json.Unmarshal([]byte(lines[len(lines)-1]), &last) != nil || len(lines) != 252 ||
		last.Type != audit.HeadType || first.Commitment == "" && len(first.Detail) > 0 || first.Hash == "" || strings.Contains(string(a.body), zoe.ID) {
		t.Errorf("%d lines: %+v … %+v", len(lines), first, last)
	}
	if a.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%v", a.header)
	}
	b := w.get(auditPath+".csv?type=user.", key).want(200)
	if n := strings.Count(string(b.body), "\r\n"); n != 253 {
		t.Errorf("%d lines", n)
	}
	list, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "audit.exported"})
	if err != nil || len(list) != 2 || list[0].Actor != k.ID || list[0].Personal.Detail["format"] != "csv" || list[0].Personal.Detail["type"] != "user." || list[0].Personal.Address == "" {
		t.Errorf("%+v %v", list, err)
	}
	// HEAD carries nothing away.
	w.do(call{method: http.MethodHead, path: auditPath + ".csv", bearer: key}).want(200)
	if list, _ := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "audit.exported"}); len(list) != 2 {
		t.Errorf("%d exports", len(list))
	}
}

// rul-40: the answer names the row, and the check is on record.
func TestVerifyAudit_rul40(t *testing.T) {
	w := newWorld(t)
	_, key, _ := w.key(w.Company, "priya", directory.AuditRead)
	if _, err := w.Audit.SealSome(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := w.post("/api/v1/audit/verify", key, object{}).want(200)
	if good.json["ok"] != true || good.json["more"] != false {
		t.Fatalf("%s", good.body)
	}
	w.post("/api/v1/audit/verify", key, object{"from": good.str("head"), "head": good.str("head")}).want(200)
	bad := w.post("/api/v1/audit/verify", key, object{"head": "900:" + strings.Repeat("ab", 32)}).want(200)
	if bad.json["ok"] != false || bad.json["fault"] != "cut_off" {
		t.Errorf("%s", bad.body)
	}
	for _, head := range []string{"x", "1:", "0:" + strings.Repeat("ab", 32), "1:ab"} {
		w.post("/api/v1/audit/verify", key, object{"from": head}).field("from", "invalid")
	}
	list, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "audit.verified"})
	if err != nil || len(list) != 3 || list[0].Personal.Detail["result"] != "cut_off" || list[2].Personal.Detail["result"] != "ok" {
		t.Errorf("%+v %v", list, err)
	}
}

// Streams: who may, what is kept of a secret, and that nothing crosses companies.
func TestAuditStreams_rul19_rul32(t *testing.T) {
	w := newWorld(t)
	p := w.owner(w.AddUser(t, w.Company, "priya", true))
	theirs := w.owner(w.AddUser(t, w.other, "zoe", true))
	hook := sallyporttest.NewEventHook(t, w.Clock.Now)
	const path = "/api/v1/audit/streams/webhook"
	session := w.signIn(p)
	w.do(call{method: "PUT", path: path, bearer: session, body: object{"url": hook.URL, "secret": "short"}}).field("secret", "invalid")
	a := w.do(call{method: "PUT", path: path, bearer: session, body: object{"url": hook.URL, "secret": hook.Secret, "all": true}}).want(200)
	if a.json["has_secret"] != true || strings.Contains(string(a.body), hook.Secret) {
		t.Errorf("%s", a.body)
	}
	// Another address takes the secret anew (ruling 32).
	w.do(call{method: "PUT", path: path, bearer: session, body: object{"url": hook.URL + "2"}}).field("secret", "again")
	if got := w.post(path+"/test", session, object{}).want(200); got.json["ok"] != true {
		t.Errorf("%s", got.body)
	}
	if other := w.get("/api/v1/audit/streams", w.signIn(theirs)).want(200); strings.Contains(string(other.body), hook.URL) {
		t.Errorf("%s", other.body)
	}
	w.do(call{method: "PUT", path: "/api/v1/audit/streams/smoke", bearer: session, body: object{}}).refused(authn.NotFound)
	// An administrator who is no owner sees the log, and not where it goes.
	ada := w.AddUser(t, w.Company, "ada", true)
	w.promote(ada.User, directory.Administrator)
	admin := w.signIn(ada)
	w.get(auditPath, admin).want(200)
	w.get("/api/v1/audit/streams", admin).refused(authn.Forbidden)
	w.do(call{method: "PUT", path: "/api/v1/audit/retention", bearer: admin, body: object{"months": 3}}).refused(authn.Forbidden)
	for _, months := range []int{1, 2, 121, -1} {
		w.do(call{method: "PUT", path: "/api/v1/audit/retention", bearer: session, body: object{"months": months}}).field("months", "out_of_range")
	}
	w.do(call{method: "PUT", path: "/api/v1/audit/retention", bearer: session, body: object{}}).field("months", "required")
	for _, want := range []float64{3, 0} {
		got := w.do(call{method: "PUT", path: "/api/v1/audit/retention", bearer: session, body: object{"months": int(want)}}).want(200)
		if got.json["months"] != want {
			t.Errorf("%s", got.body)
		}
	}
	if got := w.get("/api/v1/audit/retention", w.signIn(theirs)); got.status == 200 && got.json["months"] != 0.0 {
		t.Errorf("%s", got.body)
	}
	// cve-61: no secret in the log.
	list, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Limit: 200})
	if err != nil || strings.Contains(fmt.Sprintf("%+v", list), hook.Secret) {
		t.Errorf("the secret is in the log, or %v", err)
	}
}
