package web_test

import (
	"crypto/rand"
	"encoding/csv"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	overview     = "/admin"
	coveragePage = "/admin/reports/coverage"
)

// counted writes an event so many times and seals it.
func counted(t *testing.T, s *sallyporttest.Server, company authn.Company, typ string, at time.Time, detail map[string]string, times int) {
	t.Helper()
	for range times {
		ev := authn.Event{ID: authn.NewID(authn.EventID, at, rand.Reader), Type: typ, At: at, Result: authn.Succeeded, Personal: authn.Personal{Detail: detail}}
		if err := s.Store.Decide(t.Context(), authn.Keys{Company: company.ID, Now: at}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) }); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		if n, err := s.Audit.SealSome(t.Context()); err != nil {
			t.Fatal(err)
		} else if n == 0 {
			return
		}
	}
}

// somebody is a person of a company with a role.
func somebody(t *testing.T, s *sallyporttest.Server, c authn.Company, login, name string, roles ...string) sallyporttest.Person {
	t.Helper()
	u, err := s.Directory.CreateUser(t.Context(), c, directory.NewUser{Login: login, Name: name, Email: login + "@" + c.Slug + ".example", Verified: true, Roles: roles, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	p := sallyporttest.Person{User: u}
	p.Factor, p.Secret = s.AddApp(t, u)
	return p
}

func TestOverview_S27(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			priya := owner(t, s, s.Company, "priya")
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya).get(overview).want(200, overview)
			b.doc.one(t, "#begin")
			if len(b.doc.all("svg.chart")) != 0 {
				t.Error("pictures of one person")
			}
			b.doc.one(t, `nav.side a[href=/admin]`)

			s.SetPolicy(t, s.Company.Slug, func(d *policy.Document) { d.TwoFactor = policy.Required })
			s.AddUser(t, s.Company, "lena", false)
			s.AddUser(t, s.Company, "omar", true)
			other := s.AddCompany(t, "globex", "Globex")
			s.AddUser(t, other, "zoe", true)
			now := s.Clock.Now()
			counted(t, s, s.Company, "session.started", now.AddDate(0, 0, -3), map[string]string{"acr": "aal2", "method": "sms"}, 4)
			counted(t, s, s.Company, "sign_in.refused", now.AddDate(0, 0, -3), nil, 2)
			counted(t, s, other, "session.started", now, map[string]string{"method": "duo"}, 9)
			b.get(overview).want(200, overview)
			if lang == "en" {
				b.shows("main", "0 %of 3 people can sign in with a passkey")
			}
			if n := len(b.doc.all("#days tbody tr")); n != 30 {
				t.Errorf("%d days in the table", n)
			}
			var cells []string
			for _, c := range b.doc.all("#days tbody tr")[3].all("td") {
				cells = append(cells, strings.TrimSpace(c.words()))
			}
			if got := strings.Join(cells, " "); got != "4 4 2" {
				t.Errorf("three days ago: %q", got)
			}
			if n := len(b.doc.all("svg.chart-wide rect.bar-in")); n != 2 { // and today's own sign-in
				t.Errorf("%d bars of sign-ins", n)
			}
			if n := len(b.doc.all("svg.chart-wide rect.bar-failed")); n != 1 {
				t.Errorf("%d bars of failures", n)
			}
			if n := len(b.doc.all("[aria-labelledby=used] li")); n != 2 { // by app and by text; the other company's Duo is none of theirs
				t.Errorf("%d ways were used", n)
			}
			b.get(coveragePage).want(200, coveragePage)
			if n := len(b.doc.all("#covered tbody tr")); n != 3 {
				t.Errorf("%d people", n)
			}
		})
	}
}

// What people call themselves stays text, and no link leads to a page that is not there.
func TestOverview_hostile_cve65(t *testing.T) {
	s := newServer(t)
	priya := owner(t, s, s.Company, "priya")
	evil := `<script>alert(1)</script>"&'`
	k := authn.Keys{Company: s.Company.ID, User: s.AddUser(t, s.Company, "eve", true).ID, Now: s.Clock.Now()}
	if err := s.Store.Decide(t.Context(), k, func(r *authn.Rows) authn.Verdict {
		u := *r.User
		u.Name, u.ExemptUntil, u.ExemptReason, u.ExemptBy = evil, k.Now.Add(time.Hour), evil, evil
		return authn.Continue(authn.PutUser{User: u})
	}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Directory.CreateKey(t.Context(), directory.TheOperator(s.Company.ID), directory.NewKey{Name: `"><img src=x>`, Owner: priya.ID, Scopes: []string{"reports.read"}, Life: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		rows := authn.Keys{Company: k.Company, User: k.User, Factor: factorOf(t, s, k), Charge: authn.GuessFactor, Now: k.Now}
		_ = s.Store.Decide(t.Context(), rows, func(r *authn.Rows) authn.Verdict {
			return authn.Refuse(authn.WrongCode, authn.Event{Type: "factor.refused", Result: authn.Refused}, authn.Settle{Outcome: authn.Wrong, PausedUntil: map[int]time.Time{9: k.Now.Add(time.Minute)}[n]})
		})
	}
	b := newBrowser(t, s)
	for _, path := range []string{overview, coveragePage} {
		if path == overview {
			b.signIn(priya)
		}
		if b.get(path).want(200, path); path == overview {
			b.shows("[aria-labelledby=attention]", `"><img src=x>`)
		}
		if len(b.doc.all("main script")) != 0 || len(b.doc.all("main img")) != 0 || !strings.Contains(b.doc.words(), evil) {
			t.Errorf("%s: the name is not what it was", path)
		}
	}
}

func factorOf(t *testing.T, s *sallyporttest.Server, k authn.Keys) string {
	t.Helper()
	rows, err := s.Store.View(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return rows.FactorOf(authn.TOTP, authn.Confirmed).ID
}

// The pictures are well-formed, named, and without styles of their own.
func TestOverview_charts(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.signIn(owner(t, s, s.Company, "priya"))
	s.AddUser(t, s.Company, "lena", true)
	counted(t, s, s.Company, "session.started", s.Clock.Now(), nil, 3)
	counted(t, s, s.Company, "sign_in.refusals_counted", s.Clock.Now().AddDate(0, 0, -29), map[string]string{"x": "123456"}, 1)
	resp, _, _ := b.raw(overview)
	n := 0
	for rest := resp; ; n++ {
		_, after, found := strings.Cut(rest, `<svg class="chart`)
		if !found {
			break
		}
		inner, tail, _ := strings.Cut(after, "</svg>")
		rest = tail
		svg := `<svg class="chart` + inner + "</svg>"
		if strings.Contains(svg, "style=") || !strings.Contains(svg, `role="img"`) || !strings.Contains(svg, "<desc") || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Error(svg)
		}
		dec := xml.NewDecoder(strings.NewReader(svg))
		for {
			tok, err := dec.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, svg)
			}
			if el, ok := tok.(xml.StartElement); ok && el.Name.Local == "rect" {
				for _, a := range el.Attr {
					if strings.HasPrefix(a.Value, "-") {
						t.Errorf("a bar with %s=%s", a.Name.Local, a.Value)
					}
				}
			}
		}
	}
	if n != 2 {
		t.Errorf("%d charts", n)
	}
	if strings.Contains(resp, " style=") {
		t.Error("a style attribute")
	}
}

// Everybody sees what they can see to.
func TestOverview_whoSeesWhat(t *testing.T) {
	s := newServer(t)
	owner(t, s, s.Company, "priya")
	s.UseTexts(t, s.Company)
	s.SetPolicy(t, s.Company.Slug, func(d *policy.Document) { d.TwoFactor = policy.Required })
	s.AddUser(t, s.Company, "lena", false)
	if err := s.Store.ProviderHealthNoted(t.Context(), s.Company.ID, authn.SMS, "inbox-1", 1, s.Clock.Now(), "sign_in credentials"); err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]struct {
		status, items int
		charts        bool
	}{directory.Administrator: {200, 3, true}, directory.Helpdesk: {200, 2, false}, directory.Member: {403, 0, false}} {
		b := newBrowser(t, s)
		b.signIn(somebody(t, s, s.Company, role, "Test "+role, role)).get(overview).want(want.status, overview)
		if n := len(b.doc.all("[aria-labelledby=attention] li")); n != want.items {
			t.Errorf("%s: %d things to see to, want %d", role, n, want.items)
		}
		if got := len(b.doc.all("[aria-labelledby=sign-ins]")) > 0; got != want.charts {
			t.Errorf("%s sees charts: %v", role, got)
		}
		if want.charts {
			continue
		}
		for _, path := range []string{coveragePage, coveragePage + ".csv", "/admin/reports/sign-ins.csv"} {
			b.get(path).want(403, path)
		}
	}
	b := newBrowser(t, s)
	b.get(overview)
	if !strings.HasPrefix(b.path, "/signin") {
		t.Errorf("nobody is shown %s", b.path)
	}
}

func TestOverview_files_rul37(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.signIn(owner(t, s, s.Company, "priya"))
	counted(t, s, s.Company, "session.started", s.Clock.Now(), map[string]string{"method": "sms"}, 3)
	b.setCookie("sallyport_zone", "330")
	file, _, _ := b.raw("/admin/reports/sign-ins.csv")
	rows, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil || len(rows) != 31 || rows[0][0] != "Day (UTC+05:30)" || strings.Join(rows[30], " ") != "2026-11-21 4 4 0" {
		t.Errorf("%q %v", rows, err)
	}
	file, _, _ = b.raw(coveragePage + ".csv")
	rows, err = csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][1] != "priya" || rows[2][0] != "end of report" {
		t.Errorf("%q %v", rows, err)
	}
	b.get(coveragePage+"?after=usr_x").want(404, coveragePage)
}
