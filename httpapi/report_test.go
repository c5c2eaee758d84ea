package httpapi_test

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// seal seals what happened, so that it is counted.
func (w *world) seal() {
	w.t.Helper()
	for range 20 {
		n, err := w.Audit.SealSome(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
	w.t.Fatal("sealing has no end")
}

const reports = "/api/v1/reports/"

func TestReports_H7(t *testing.T) {
	w := newWorld(t)
	priya := w.AddUser(t, w.Company, "priya", true)
	w.promote(priya.User, directory.Owner)
	w.AddUser(t, w.Company, "lena", false)
	for _, login := range []string{"zoe", "yan"} { // of the other company
		w.AddUser(t, w.other, login, true)
	}
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.Required })
	token := w.signIn(priya)
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": "lena", "password": "not the right one"}).want(422)
	w.post("/api/v1/attempts", "", object{"company": "globex", "login": "zoe", "password": "not the right one"}).want(422)
	w.seal()

	a := w.get(reports+"adoption", token).want(200)
	if a.at("people") != 2.0 || a.at("standings.own_way") != 1.0 || a.at("standings.missing") != 1.0 || a.at("methods.0.count") != 1.0 || a.at("two_factor") != "required" {
		t.Errorf("%s", a.body)
	}
	a = w.get(reports+"sign-ins?days=2", token).want(200)
	if a.at("methods.0.count") != 1.0 || a.at("days.0.failed") != 0.0 || !strings.Contains(string(a.body), `{"date":"2026-11-21","signed_in":1,"two_steps":1,"failed":1}`) {
		t.Errorf("%s", a.body)
	}
	for _, days := range []string{"0", "367", "1.5", "-1", "01", "", "x", "99999999999999999999"} {
		w.get(reports+"sign-ins?days="+days, token).refused(authn.Invalid)
	}
	a = w.get(reports+"attention", token).want(200)
	if a.at("items.0.kind") != "few_owners" || a.at("items.0.text") != "There is only one owner" || a.at("items.0.link") != "/admin/people" || !strings.Contains(string(a.body), `"missing"`) {
		t.Errorf("%s", a.body)
	}
}

func TestReports_coverage(t *testing.T) {
	w := newWorld(t)
	var all []sallyporttest.Person
	for _, login := range []string{"priya", "lena", "omar"} {
		all = append(all, w.AddUser(t, w.Company, login, login != "lena"))
	}
	w.AddUser(t, w.other, "zoe", true)
	w.promote(all[0].User, directory.Administrator)
	k := authn.Keys{Company: w.Company.ID, User: all[1].ID, Now: w.Clock.Now()}
	if err := w.Store.Decide(t.Context(), k, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.Name, u.ExemptUntil, u.ExemptReason, u.ExemptBy = `=cmd|"/c calc"!A1`, k.Now.Add(72*time.Hour), "@new phone", all[0].ID
		return authn.Continue(authn.PutUser{User: u})
	}); err != nil {
		t.Fatal(err)
	}
	token := w.signIn(all[0])
	var ids []string
	path := reports + "coverage?limit=2"
	for next := path; next != ""; {
		a := w.get(next, token).want(200)
		next = ""
		if c, more := a.at("next_cursor").(string); more {
			next = path + "&cursor=" + c
		}
		for _, x := range a.at("items").([]any) {
			row := x.(map[string]any)
			ids = append(ids, row["id"].(string))
			if e, _ := row["exempt"].(map[string]any); (row["login"] == "lena") != (e != nil) || e != nil && e["reason"] != "@new phone" {
				t.Errorf("%v", row)
			}
		}
	}
	if len(ids) != 3 {
		t.Fatalf("%d people", len(ids))
	}
	for _, bad := range []string{"cursor=usr_x", "cursor=", "limit=0", "limit=201", "cursor=%27"} {
		w.get(reports+"coverage?"+bad, token).refused(authn.Invalid)
	}
	a := w.get(reports+"coverage.csv", token).want(200)
	if a.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(a.header.Get("Content-Disposition"), `filename="acme-coverage.csv"`) {
		t.Errorf("%v", a.header)
	}
	rows, err := csv.NewReader(strings.NewReader(string(a.body))).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, %v: %s", len(rows), err, a.body)
	}
	if rows[2][2] != `'=cmd|"/c calc"!A1` || !strings.Contains(strings.Join(rows[2], ";"), ";'@new phone;") || rows[4][0] != "end of report" || rows[4][1] != "people: 3" {
		t.Errorf("%q", rows[2:])
	}
	w.seal()
	counts, err := w.Store.EventCounts(t.Context(), w.Company.ID, authn.CountQuery{Types: []string{"report.exported"}, From: k.Now.Add(-time.Hour), Until: k.Now.Add(time.Hour)})
	if err != nil || len(counts) != 1 || counts[0].N != 2 { // two beginnings, not four requests
		t.Errorf("%+v %v", counts, err)
	}
}

// Who may not read reports gets none, and no other company's.
func TestReports_needPermission(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", true)
	for _, roles := range [][]string{{directory.Member}, {directory.Helpdesk}} {
		w.promote(lena.User, roles...)
		token := w.signIn(lena)
		for _, name := range []string{"adoption", "sign-ins", "attention", "coverage", "coverage.csv"} {
			w.get(reports+name, token).refused(authn.Forbidden)
		}
		w.Clock.Advance(time.Minute)
	}
}
