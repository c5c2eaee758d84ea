package browsertest

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// played writes a month of events into a company's log and seals them.
func played(t *testing.T, s *sallyporttest.Server) {
	t.Helper()
	now := s.Clock.Now()
	note := func(at time.Time, typ string, result authn.Result, detail map[string]string) {
		t.Helper()
		ev := authn.Event{ID: authn.NewID(authn.EventID, at, rand.Reader), Type: typ, At: at, Result: result, Personal: authn.Personal{Detail: detail}}
		if err := s.Store.Decide(t.Context(), authn.Keys{Company: s.Company.ID, Now: now}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }); err != nil {
			t.Fatal(err)
		}
	}
	kinds := []authn.Kind{authn.TOTP, authn.TOTP, authn.TOTP, authn.SMS, authn.Duo, authn.BackupCode}
	for d := range 30 {
		at := now.AddDate(0, 0, -d)
		n := 5 + d*7%6
		if wd := at.Weekday(); wd == time.Saturday || wd == time.Sunday {
			n = 1
		}
		for i := range n {
			note(at.Add(-time.Duration(i)*time.Minute), "session.started", authn.Succeeded, map[string]string{"acr": authn.AAL2, "method": string(kinds[(d+i)%len(kinds)])})
		}
		if d%3 == 0 {
			note(at, "sign_in.refused", authn.Refused, map[string]string{"reason": "wrong_password"})
		}
	}
	note(now.AddDate(0, 0, -11), "sign_in.refusals_counted", authn.Refused, map[string]string{"unauthenticated": "9"})
	for range 10 {
		if n, err := s.Audit.SealSome(t.Context()); err != nil || n == 0 {
			return
		}
	}
}

// The overview (S27): a new company, and one that is in use.
func TestOverview_S27(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		tb := newTab(t, s.URL, js)
		owner := priya(t, s)
		tb.signIn(s, owner)
		tb.open("/admin")
		tb.page("overview/new", 200)
		tb.says("#begin", tb.T("admin.begin.title"))

		s.UseTexts(t, s.Company)
		s.SetPolicy(t, s.Company.Slug, func(d *policy.Document) {
			d.TwoFactor, d.OwnWay = policy.Required, []authn.Audience{authn.InternalAudience}
		})
		for i := range 8 {
			s.AddUser(t, s.Company, fmt.Sprintf("person%d", i), i%3 != 0)
		}
		s.AddPhone(t, s.AddUser(t, s.Company, "omar", false).User, "+46701740605")
		tom := s.AddUser(t, s.Company, "tom", true)
		for range 10 {
			wrong(t, s, tom)
		}
		if err := s.Store.ProviderHealthNoted(t.Context(), s.Company.ID, authn.SMS, "inbox-1", 1, s.Clock.Now(), "sign_in credentials"); err != nil {
			t.Fatal(err)
		}
		played(t, s)
		tb.open("/admin")
		tb.page("overview/used", 200)
		if tb.has("#begin") || !eval[bool](tb, "document.querySelectorAll('svg.chart[role=img] > title').length === 2 && !document.querySelector('main [style]')") {
			t.Error("the page is not that of a company in use")
		}
		if got := tb.content("[aria-labelledby=attention] ul"); !strings.Contains(got, tb.T("admin.attention.provider_failing.sms")) {
			t.Errorf("it does not say that texts fail: %s", got)
		}
		if err := tb.click(tb.T("admin.overview.table")); err != nil {
			t.Fatal(err)
		}
		tb.await("the table", func() bool { return eval[bool](tb, "document.getElementById('days').checkVisibility()") })
		tb.audited("overview/table")
		if body, h := tb.file("a[href$='.csv']"); !strings.Contains(body, "2026-11-21") || h.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("%v %.200s", h, body)
		}
		tb.press("admin.coverage.title")
		tb.lands("/admin/reports/coverage")
		tb.page("coverage/used", 200)
	})
}

// wrong gives a wrong code for a person.
func wrong(t *testing.T, s *sallyporttest.Server, p sallyporttest.Person) {
	t.Helper()
	k := authn.Keys{Company: p.Company, User: p.ID, Factor: p.Factor, Charge: authn.GuessFactor, Now: s.Clock.Now()}
	err := s.Store.Decide(t.Context(), k, func(r *authn.Rows) authn.Verdict {
		return authn.Refuse(authn.WrongCode, authn.Event{Type: "factor.refused", Target: p.ID, Result: authn.Refused},
			authn.Settle{Outcome: authn.Wrong, PausedUntil: policy.Document{}.Lockout().PausedUntil(k.Now, r.Charged.Count.Tries)})
	})
	if authn.AsError(err).Code != authn.WrongCode {
		t.Fatal(err)
	}
}
