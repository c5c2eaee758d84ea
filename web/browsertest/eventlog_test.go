package browsertest

import (
	"context"
	"testing"

	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// The event log and where it is sent (S34): filtered, empty, refused, tested, saved.
func TestEventLog_S34(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		u, err := s.Directory.CreateUser(context.Background(), s.Company, directory.NewUser{Login: "priya", Name: "Priya Nair", Email: "priya@acme.example", Verified: true,
			Roles: []string{directory.Owner}, Password: sallyporttest.Password})
		if err != nil {
			t.Fatal(err)
		}
		priya := sallyporttest.Person{User: u}
		priya.Factor, priya.Secret = s.AddApp(t, u)
		s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, priya)
		tb.open("/admin/audit")
		tb.page("audit", 200)
		tb.fill("person", "maya")
		tb.press("page.activity.show")
		tb.page("audit/person", 200)
		tb.fill("person", "nobody")
		tb.press("page.activity.show")
		tb.page("audit/nobody", 422)
		tb.open("/admin/audit?type=policy.&result=refused")
		tb.page("audit/none", 200)
		tb.open("/admin/audit/streams")
		tb.page("audit/streams", 200)
		r := sallyporttest.NewSyslog(t)
		tb.fill("host", r.Host)
		tb.fill("port", "1")
		tb.press("admin.stream.test_syslog")
		tb.page("audit/refused", 200)
		tb.fill("ca", "x")
		tb.press("admin.stream.save_syslog")
		tb.page("audit/wrong", 422)
		tb.fill("ca", "")
		tb.press("admin.stream.save_syslog")
		tb.lands("/admin/audit/streams?done=stream_saved")
		tb.page("audit/saved", 200)
	})
}
