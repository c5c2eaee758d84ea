package web_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const peoplePage = "/admin/people"

// S28 in every language, without JavaScript: search, filters, pages, a bulk act.
func TestPeoplePage_S28(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			priya := owner(t, s, s.Company, "priya")
			evil := `<img src=x onerror=alert(1)>`
			for i := range 60 {
				name := fmt.Sprintf("Person %d", i)
				if i == 7 {
					name = evil
				}
				_, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: fmt.Sprintf("user%02d", i), Name: name, Email: fmt.Sprintf("user%02d@acme.example", i), Verified: i%2 == 0})
				if err != nil {
					t.Fatal(err)
				}
			}
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya).get("/account").want(200, "/account")
			b.doc.one(t, "nav.side a[href="+peoplePage+"]")
			b.get(peoplePage).want(200, peoplePage)
			if rows := b.doc.all("#people tbody tr"); len(rows) != 50 {
				t.Errorf("%d rows", len(rows))
			}
			b.get(b.doc.one(t, "#older").attrs["href"]).want(200, peoplePage)
			if rows := b.doc.all("#people tbody tr"); len(rows) != 11 {
				t.Errorf("%d rows", len(rows))
			}
			b.get(b.doc.one(t, "#newer").attrs["href"]).want(200, peoplePage)
			if rows := b.get(peoplePage + "?limit=200").doc.all("#people tbody tr"); len(rows) != 61 {
				t.Errorf("%d rows of all", len(rows))
			}
			b.get(peoplePage+"?search=img").want(200, peoplePage)
			if got := b.doc.one(t, "#people tbody a").words(); got != evil || len(b.doc.all("#people img")) != 0 {
				t.Errorf("%q", got)
			}
			b.get(peoplePage+"?search=%25&method=none").want(200, peoplePage)
			b.doc.one(t, "#none")
			b.get(peoplePage+"?search="+strings.Repeat("x", 300)).want(422, peoplePage)
			b.doc.one(t, "#refusal")
			for _, bad := range []string{"?after=x", "?before=x", "?method=x", "?role=x'--"} {
				b.get(peoplePage+bad).want(422, peoplePage)
			}
			// Nobody chosen; then some.
			b.get(peoplePage).press("button[value=remind]").want(422, peoplePage)
			s.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor = policy.Required })
			b.get(peoplePage+"?search=user1").want(200, peoplePage)
			ids := b.doc.all("#people input[name=person]")
			_, form := b.fill(b.form("#people"))
			form.Set("do", "remind")
			for _, in := range ids[:3] {
				form.Add("person", in.attrs["value"])
			}
			form.Add("person", priya.ID)
			b.send(http.MethodPost, peoplePage, form)
			b.want(200, peoplePage)
			b.doc.one(t, "main .note.ok")
			b.doc.one(t, "#others")
			form.Set("do", "require")
			b.send(http.MethodPost, peoplePage, form)
			b.want(200, peoplePage)
			if u, _, _ := s.Directory.Lookup(t.Context(), s.Company, "user10"); !u.RequireTwoFactor {
				t.Error("not required")
			}
		})
	}
}

func TestAddPersonPage(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	b.signIn(owner(t, s, s.Company, "priya")).get(peoplePage+"/new").want(200, peoplePage+"/new")
	b.submit(mainForm, "login", "", "email", "x").want(422, peoplePage+"/new")
	b.doc.one(t, "#login-err")
	b.submit(mainForm, "login", "nina", "email", "nina@acme.example", "roles", "helpdesk").want(200, peoplePage)
	b.doc.one(t, "#notice")
	if u, _, err := s.Directory.Lookup(t.Context(), s.Company, "nina"); err != nil || len(u.Roles) != 1 || u.Roles[0] != "helpdesk" {
		t.Errorf("%+v %v", u, err)
	}
	if mail := s.Mail(t, "nina@acme.example"); len(mail) != 1 {
		t.Errorf("%v", mail)
	}
}

func TestPeopleImportPage(t *testing.T) {
	s := newServer(t)
	b := newBrowser(t, s)
	page := peoplePage + "/import"
	b.signIn(owner(t, s, s.Company, "priya")).get(page).want(200, page)
	send := func(name, file string, fields ...string) *browser {
		t.Helper()
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		for i := 0; i+1 < len(fields); i += 2 {
			_ = m.WriteField(fields[i], fields[i+1])
		}
		if name != "" {
			w, _ := m.CreateFormFile("file", name)
			_, _ = w.Write([]byte(file))
		}
		m.Close()
		b.sendBody(http.MethodPost, page, strings.NewReader(body.String()), "Content-Type", m.FormDataContentType(), "Origin", b.s.URL)
		return b
	}
	form := b.formValue()
	send("p.csv", "login\nanna\n", "form", "wrong", "do", "go").want(403, page)
	send("p.csv", "login\nanna\n", "do", "go").want(403, page)
	send("", "", "form", form, "do", "go").want(422, page)
	send("p.csv", "login,name\nanna,<b>\nanna,\n", "form", form, "do", "go").want(422, page).shows("tbody td", "3")
	send("p.csv", "login\nanna\n", "form", form, "do", "try").want(200, page)
	if _, _, err := s.Directory.Lookup(t.Context(), s.Company, "anna"); err == nil {
		t.Error("only tried, and there")
	}
	send("p.jsonl", `{"login":"anna"}`+"\n"+`{"login":"bert"}`, "form", form, "do", "go").want(200, page).shows(".note.ok", "2")
	send("p.csv", "login\n"+strings.Repeat("x", 200_000)+"\n", "form", form, "do", "go").want(422, page)
}

// Who may see what: the pages of people, by role.
func TestPeoplePagePermissions_H1(t *testing.T) {
	s := newServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	b := newBrowser(t, s)
	b.signIn(maya)
	for _, path := range []string{peoplePage, peoplePage + ".csv", peoplePage + "/new", peoplePage + "/import"} {
		b.get(path).want(403, path)
	}
	for role, pages := range map[string]map[string]int{
		directory.Helpdesk:      {"": 200, "/new": 403, "/import": 403},
		directory.Administrator: {"": 200, "/new": 200, "/import": 403},
	} {
		u, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: role, Password: sallyporttest.Password, Roles: []string{role}})
		if err != nil {
			t.Fatal(err)
		}
		p := sallyporttest.Person{User: u}
		p.Factor, p.Secret = s.AddApp(t, u)
		c := newBrowser(t, s)
		c.signIn(p)
		for path, want := range pages {
			c.get(peoplePage+path).want(want, peoplePage+path)
		}
		if boxes := len(c.get(peoplePage).doc.all("#people input[name=person]")); boxes > 0 != (role == directory.Administrator) {
			t.Errorf("%s: %d boxes", role, boxes)
		}
	}
}
