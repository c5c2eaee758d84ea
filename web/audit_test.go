package web_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	auditPage   = "/admin/audit"
	streamsPage = "/admin/audit/streams"
)

func logged(t testing.TB, s *sallyporttest.Server, c authn.Company, events ...authn.Event) {
	t.Helper()
	for _, ev := range events {
		s.Clock.Advance(time.Second)
		ev.Company, ev.At, ev.ID = c.ID, s.Clock.Now(), authn.NewID(authn.EventID, s.Clock.Now(), rand.Reader)
		if ev.Result == "" {
			ev.Result = authn.Succeeded
		}
		err := s.Store.Decide(t.Context(), authn.Keys{Company: c.ID, Now: s.Clock.Now()}, func(*authn.Rows) authn.Verdict { return authn.Accept(ev) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// filter sends the form of the log, which is a GET.
func (b *browser) filter(pairs ...string) *browser {
	action, values := b.fill(b.form("#filter"), pairs...)
	return b.get(action + "?" + values.Encode())
}

// S34 in every language, without JavaScript: sentences, filters, files, pages.
func TestAuditPage_S34(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			priya := owner(t, s, s.Company, "priya")
			maya := s.AddUser(t, s.Company, "maya", false)
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya)
			other := s.AddCompany(t, "other", "Other")
			zoe := s.AddUser(t, other, "zoe", false)
			logged(t, s, s.Company, authn.Event{Type: "factor.removed", Actor: priya.ID, Target: maya.ID, Personal: authn.Personal{Detail: map[string]string{"method": "totp"}, Agent: "<b>Evil on Linux", Address: "192.0.2.7"}})
			logged(t, s, other, authn.Event{Type: "factor.removed", Actor: zoe.ID, Target: zoe.ID})
			b.get("/account").want(200, "/account")
			b.doc.one(t, "nav.side a[href="+auditPage+"]")
			b.get(auditPage).want(200, auditPage)
			if strings.Contains(b.doc.words(), "zoe") || strings.Contains(b.doc.words(), "Test zoe") {
				t.Error("the other company is seen")
			}
			b.filter("person", "maya@acme.example", "by", priya.ID, "type", "factor.", "result", "success", "since", "2026-11-21", "until", "2026-11-21").want(200, auditPage)
			rows := b.doc.all(".events tbody tr")
			if len(rows) != 1 {
				t.Fatalf("%d rows: %s", len(rows), b.doc.words())
			}
			words := rows[0].words()
			for _, want := range []string{"Priya Nair", "Test maya", "192.0.2.7", `"actor": "` + priya.ID} {
				if !strings.Contains(words, want) {
					t.Errorf("%s lacks %q", words, want)
				}
			}
			if lang == "en" && !strings.Contains(words, "Priya Nair turned off the authenticator app of Test maya") {
				t.Error(words)
			}
			for id, path := range map[string]string{"#csv": "/api/v1/audit/events.csv", "#jsonl": "/api/v1/audit/events.jsonl"} {
				href := b.doc.one(t, id).attrs["href"]
				u, err := url.Parse(href)
				if err != nil || u.Path != path || u.Query().Get("target") != maya.ID || u.Query().Get("actor") != priya.ID || u.Query().Get("until") != "2026-11-22T00:00:00Z" {
					t.Errorf("%s leads to %s", id, href)
				}
				file, header, status := b.raw(href)
				if status != 200 || strings.Count(file, maya.ID) != 1 || header.Get("Content-Disposition") == "" {
					t.Errorf("%s: %d %s", id, status, file)
				}
			}
			// Nothing matches; nobody of that name; the other company's person is nobody.
			b.filter("person", "maya", "type", "policy.").want(200, auditPage)
			if b.doc.one(t, "#none a").attrs["href"] != auditPage {
				t.Error("no way back")
			}
			b.get(auditPage).filter("person", "nobody", "by", zoe.Login).want(422, auditPage)
			if n := len(b.doc.all("[aria-invalid=true]")); n != 2 {
				t.Errorf("%d fields are wrong", n)
			}
			for range 60 {
				logged(t, s, s.Company, authn.Event{Type: "company.changed", Actor: "operator"})
			}
			b.get(auditPage).want(200, auditPage)
			if n := len(b.doc.all(".events tbody tr")); n != 50 {
				t.Errorf("%d rows", n)
			}
			b.get(b.doc.one(t, "#older").attrs["href"]).want(200, auditPage)
			if len(b.doc.all(".events tbody tr")) < 10 || b.doc.one(t, "#newest").attrs["href"] != auditPage {
				t.Error("no second page")
			}
		})
	}
}

// Where events are sent, and how long they are kept.
func TestStreamsPage_S34(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			priya := owner(t, s, s.Company, "priya")
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya).get(streamsPage).want(200, streamsPage)
			b.submit("#syslog-form", "do", "save", "host", "no host", "port", "x").want(422, streamsPage)
			if n := len(b.doc.all("[aria-invalid=true]")); n != 2 {
				t.Errorf("%d fields are wrong", n)
			}
			r := sallyporttest.NewSyslog(t)
			good := []string{"host", r.Host, "port", itoa(r.Port)}
			b.submit("#syslog-form", append(good, "do", "test")...).want(200, streamsPage)
			if len(r.Messages(t)) != 1 || !strings.Contains(r.Messages(t)[0], "audit.test") || len(b.doc.all("main .note.ok")) != 1 {
				t.Errorf("%q", r.Messages(t))
			}
			b.submit("#syslog-form", append(good, "do", "save", "all", "yes")...).want(200, streamsPage)
			h := sallyporttest.NewEventHook(t, s.Clock.Now)
			b.submit("#webhook-form", "do", "save", "url", h.URL, "secret", h.Secret).want(200, streamsPage)
			if strings.Contains(b.doc.words(), h.Secret) || b.doc.one(t, "#secret").attrs["value"] != "" {
				t.Error("the secret is on the page")
			}
			b.submit("#webhook-form", "do", "save", "url", h.URL+"/other").want(422, streamsPage)
			b.get(streamsPage).submit("#keep-form", "do", "keep", "months", "12").want(200, streamsPage)
			if mail := s.Mail(t, "priya@acme.example"); len(mail) < 3 {
				t.Errorf("the owner was told %d times", len(mail))
			}
			seal(t, s)
			r.Down()
			if err := s.Audit.Deliver(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(h.Lines(t)) == 0 {
				t.Error("nothing came")
			}
			b.get(streamsPage).want(200, streamsPage)
			if len(b.doc.all("#syslog-state .note.danger")) != 1 || len(b.doc.all("#webhook-state .note.danger")) != 0 {
				t.Error(b.doc.words())
			}
			b.submit("#syslog-form", "do", "remove").want(200, streamsPage)
			if len(b.doc.all("#syslog-state")) != 0 {
				t.Error("still there")
			}
			b.get(auditPage).want(200, auditPage)
			s.Clock.Advance(11 * time.Minute)
			b.begin(streamsPage).submit(mainForm, "code", s.Code(t, priya.Secret)).want(200, streamsPage)
		})
	}
}

func seal(t testing.TB, s *sallyporttest.Server) {
	t.Helper()
	if _, err := s.Audit.SealSome(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// Who may read the log reads it; who may not change sending does not see that page.
func TestAuditPagesAreForWhoMay(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.signIn(s.AddUser(t, s.Company, "maya", true)).get("/account")
	if len(b.doc.all("nav.side a[href="+auditPage+"]")) != 0 {
		t.Error("the navigation leads there")
	}
	for _, path := range []string{auditPage, streamsPage} {
		b.send(http.MethodGet, path, nil)
		b.want(403, path)
	}
	u, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: "ada", Roles: []string{directory.Administrator}, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	a := newBrowser(t, s)
	a.signIn(sallyporttest.Person{User: u}).get(auditPage).want(200, auditPage)
	if len(a.doc.all("a[href="+streamsPage+"]")) != 0 {
		t.Error("a link to what is forbidden")
	}
	a.get(streamsPage).want(403, streamsPage)
}
