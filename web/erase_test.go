package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/directory"
)

const eraseForm = "#erase"

// download presses a button that answers with a file.
func (b *browser) download(action string) (string, http.Header, int) {
	b.t.Helper()
	action, values := b.fill(b.form("main form[action=" + action + "]"))
	req, err := http.NewRequest(http.MethodPost, b.s.URL+action, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": b.s.URL, "Sec-Fetch-Site": "same-origin"} {
		req.Header.Set(name, value)
	}
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(body), res.Header, res.StatusCode
}

// The copy of one's data: from the profile, after a recent proof.
func TestDataPage_K2(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			maya := s.AddUser(t, s.Company, "maya", true)
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(maya).get("/account").want(200, "/account")
			b.doc.one(t, "main a[href=/account/data]")
			b.get("/account/data").want(200, "/account/data")
			body, header, status := b.download("/account/data/export")
			var doc struct{ Profile struct{ Login string } }
			if err := json.Unmarshal([]byte(body), &doc); status != 200 || err != nil || doc.Profile.Login != "maya" ||
				header.Get("Content-Disposition") != `attachment; filename="`+maya.ID+`.json"` || header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v %v %.200s", status, err, header, body)
			}
			s.Clock.Advance(20 * time.Minute)
			if _, header, status := b.download("/account/data/export"); status != 303 || !strings.HasPrefix(header.Get("Location"), "/account/confirm/att_") {
				t.Errorf("an old proof: %d %v", status, header)
			}
			b.begin("/account/data").submit(mainForm, "code", s.Code(t, maya.Secret)).want(200, "/account/data")
		})
	}
}

// The page that erases, in every language, without JavaScript.
func TestErasePage_K2(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			priya := owner(t, s, s.Company, "priya")
			maya := s.AddUser(t, s.Company, "maya", false)
			page := "/admin/people/" + maya.ID + "/erase"
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya).get(page).want(200, page)
			stranger := s.AddUser(t, s.AddCompany(t, "beta", "Beta"), "maya", false)
			if body, _, status := b.download("/admin/people/" + maya.ID + "/export"); status != 200 || !strings.Contains(body, "maya@acme.example") {
				t.Errorf("%d %.200s", status, body)
			}
			b.submit(eraseForm, "login", "", "reason", "").want(422, page)
			b.submit(eraseForm, "login", "maia", "reason", "ticket 4711").want(422, page)
			if b.doc.one(t, "#login").attrs["aria-invalid"] != "true" || b.doc.one(t, "#reason").attrs["value"] != "ticket 4711" {
				t.Error("the field is not marked, or what was typed is lost")
			}
			b.submit(eraseForm, "login", "maya", "reason", "").want(422, page)
			if b.doc.one(t, "#reason").attrs["aria-invalid"] != "true" {
				t.Error("the reason is not marked")
			}
			b.submit(eraseForm, "login", "maya", "reason", "Test maya wants it").want(422, page)
			b.submit(eraseForm, "login", "maya", "reason", "ticket 4711").want(200, page)
			b.doc.one(t, "#erased")
			b.get(page).want(200, page)
			b.doc.one(t, "#erased")
			for _, path := range []string{"/admin/people/" + stranger.ID + "/erase", "/admin/people/maya/erase"} {
				b.get(path).want(404, path)
			}
			b.get("/admin/people/"+priya.ID+"/erase").want(200, ".*")
			if len(b.doc.all(eraseForm)) != 0 {
				t.Error("one can erase oneself")
			}
		})
	}
}

// Who has not the permission sees nothing; who is erased with administrative
// rights waits; an old proof is asked for again.
func TestErasePageRules_rul17(t *testing.T) {
	s := newServer(t)
	priya := owner(t, s, s.Company, "priya")
	maya := s.AddUser(t, s.Company, "maya", true)
	tom, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: "tom", Roles: []string{directory.Administrator}})
	if err != nil {
		t.Fatal(err)
	}
	page := "/admin/people/" + tom.ID + "/erase"
	b := newBrowser(t, s)
	b.signIn(maya).get(page).want(403, page)
	b = newBrowser(t, s)
	b.signIn(priya).get(page).want(200, page)
	b.submit(eraseForm, "login", "tom", "reason", "ticket 4711").want(200, page)
	b.doc.one(t, "#waits")
	if _, _, err := s.Directory.Lookup(t.Context(), s.Company, tom.ID); err != nil {
		t.Errorf("he is gone at once: %v", err)
	}
	s.Clock.Advance(20 * time.Minute)
	if _, header, status := b.download("/admin/people/" + tom.ID + "/export"); status != 303 || !strings.HasPrefix(header.Get("Location"), "/account/confirm/att_") {
		t.Errorf("an old proof: %d %v", status, header)
	}
	b.get(page).want(200, "/account/confirm")
}
