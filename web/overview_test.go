package web_test

import "testing"

func TestOverview_smoke(t *testing.T) {
	s := newServer(t)
	priya := owner(t, s, s.Company, "priya")
	b := newBrowser(t, s)
	b.signIn(priya).get("/admin").want(200, "/admin")
	b.get("/admin/reports/coverage").want(200, "/admin/reports/coverage")
}
