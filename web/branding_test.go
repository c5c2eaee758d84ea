package web_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const (
	brandPage = "/admin/branding"
	brandForm = "#branding"
)

// logoOf is a picture of one colour.
func logoOf(t testing.TB, width, height int, c color.Color) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			m.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// upload sends a form with files, as a browser does.
func (b *browser) upload(selector string, files map[string][]byte, pairs ...string) *browser {
	b.t.Helper()
	action, values := b.fill(b.form(selector), pairs...)
	b.post(action, values, files)
	return b.follow()
}

func (b *browser) post(action string, values url.Values, files map[string][]byte) {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, list := range values {
		if name == branding.Light || name == branding.Dark {
			continue
		}
		for _, v := range list {
			if err := w.WriteField(name, v); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	for name, file := range files {
		part, err := w.CreateFormFile(name, `"><script>.png`)
		if err != nil {
			b.t.Fatal(err)
		}
		if _, err := part.Write(file); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.sendBody(http.MethodPost, action, &body, "Content-Type", w.FormDataContentType(), "Origin", b.s.URL)
}

// The page of the brand, in every language, without JavaScript: empty, refused,
// tried, saved, taken back.
func TestBrandingPage_S37(t *testing.T) {
	for _, lang := range languages() {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			priya := owner(t, s, s.Company, "priya")
			b := newBrowser(t, s)
			b.setCookie("sallyport_lang", lang)
			b.signIn(priya).get("/account").want(200, "/account")
			b.doc.one(t, "nav.side a[href="+brandPage+"]")
			if len(b.doc.all(".logo")) != 0 || len(b.doc.all("link[rel=stylesheet]")) != 1 || len(b.doc.all(".page-foot")) != 0 {
				t.Error("a brand before there is one")
			}
			b.get(brandPage).want(200, brandPage)
			b.upload(brandForm, map[string][]byte{"logo": []byte("<svg/>"), "logo_dark": make([]byte, 3<<20)}, "do", "save", "accent", "red", "privacy_link", "http://x.example",
				"help_link", "javascript:alert(1)", "mail_name", "a@b", "sms_name", "甲乙").want(422, brandPage)
			for _, id := range []string{"#logo", "#logo_dark", "#accent", "#privacy_link", "#help_link", "#mail_name", "#sms_name"} {
				if b.doc.one(t, id).attrs["aria-invalid"] != "true" {
					t.Errorf("%s is not marked", id)
				}
			}
			texts := []string{"accent", "#FFEE00", "help_link", "", "privacy_link", "https://acme.example/privacy", "help_text", "<b>Ask</b> the desk", "support", "Floor 3", "mail_name", "Żółty <b>Żółw</b>", "sms_name", "Żółty Żółw"}
			b.upload(brandForm, map[string][]byte{"logo": logoOf(t, 80, 20, color.White)}, append(texts, "do", "preview")...).want(422, brandPage)
			if len(b.doc.all("#logo-again")) != 1 || len(b.doc.all("#logo_dark-again")) != 0 {
				t.Error("a file that is not kept, and nobody says so")
			}
			texts[11] = "Żółty Żółw"
			light := logoOf(t, 80, 20, color.NRGBA{R: 200, A: 255})
			b.upload(brandForm, map[string][]byte{"logo": light}, append(texts, "do", "preview")...).want(200, brandPage)
			draft := b.doc.one(t, "input[name=logo_draft]").attrs["value"]
			img := b.doc.all(".look .logo")[0].attrs["src"]
			if img != brandPage+"/draft/logo/"+draft+".png" || len(b.doc.all("#look-sms")) != 1 || b.doc.one(t, "#look-from").words() != "Żółty Żółw" ||
				!strings.Contains(b.doc.one(t, "#look-sms").text0(), "Zolty Zolw") || len(b.doc.all("#look-name")) != 1 {
				t.Errorf("%s: %s", img, b.doc.one(t, "main").words())
			}
			if st, err := s.Branding.Operator().Brand(t.Context(), s.Company.ID); err != nil || st.Version != 0 {
				t.Errorf("a preview saves: %+v, %v", st, err)
			}
			b.upload(brandForm, nil, "do", "save").want(200, brandPage)
			b.doc.one(t, "#notice.ok")
			if b.doc.one(t, ".topbar .logo").attrs["alt"] != s.Company.Name || len(b.doc.all("link[rel=stylesheet]")) != 3 || len(b.doc.all(".page-foot a")) != 1 {
				t.Error("the page does not look like it")
			}
			// Before signing in, too.
			c := newBrowser(t, s)
			c.get("/signin").want(200, "/signin")
			if c.doc.one(t, ".auth .logo").attrs["width"] != "40" || len(c.doc.all(".auth-foot .foot-links a")) != 1 {
				t.Error("the sign-in page does not look like it")
			}
			c.shows(".auth-main .under", "<b>Ask</b> the desk")
			// Two administrators: the second one is told.
			action, values := b.fill(b.form(brandForm), "do", "save", "accent", "#000080")
			b.upload(brandForm, map[string][]byte{"logo_dark": logoOf(t, 20, 20, color.White)}, "do", "save").want(200, brandPage)
			b.doc.one(t, ".topbar picture source")
			b.post(action, values, nil)
			b.follow().want(200, brandPage)
			b.doc.one(t, "#notice.warn")
			b.upload(brandForm, nil, "do", "save", "logo_remove", "1", "logo_dark_remove", "1", "accent", "", "privacy_link", "", "help_text", "", "mail_name", "", "sms_name", "").want(200, brandPage)
			if len(b.doc.all(".logo")) != 0 || len(b.doc.all("link[rel=stylesheet]")) != 1 {
				t.Error("still there")
			}
			b.upload(brandForm, nil, "do", "dance").want(400, brandPage)
		})
	}
}

// A draft belongs to its company, to those who may save it, and to half an hour.
func TestBrandingDrafts_twoCompanies(t *testing.T) {
	s := newServer(t)
	other := s.AddCompany(t, "other", "Other GmbH")
	hers, theirs := newBrowser(t, s), newBrowser(t, s)
	priya, zoe := owner(t, s, s.Company, "priya"), owner(t, s, other, "zoe")
	signInAt(t, hers, "acme", priya)
	signInAt(t, theirs, "other", zoe)
	for _, b := range []*browser{hers, theirs} {
		b.get(brandPage).want(200, brandPage)
	}
	file := map[string][]byte{"logo": logoOf(t, 80, 20, color.NRGBA{G: 99, A: 255})}
	hers.upload(brandForm, file, "do", "preview").want(200, brandPage)
	hash := hers.doc.one(t, "input[name=logo_draft]").attrs["value"]
	draft := brandPage + "/draft/logo/" + hash + ".png"
	status := func(b *browser, path string) int {
		b.send(http.MethodGet, path, nil)
		return b.status
	}
	if got := status(hers, draft); got != 200 || hers.header.Get("Cache-Control") != "private, no-store" || hers.header.Get("Content-Type") != "image/png" {
		t.Errorf("%d %v", got, hers.header)
	}
	member := newBrowser(t, s)
	signInAt(t, member, "acme", s.AddUser(t, s.Company, "maya", true))
	for name, got := range map[string]int{"another company": status(theirs, draft), "a member": status(member, draft), "a stranger": status(newBrowser(t, s), draft), "the public address": status(hers, "/brand/acme/"+hash+".png"), "another kind": status(hers, strings.Replace(draft, "/logo/", "/logo_dark/", 1)), "no kind": status(hers, strings.Replace(draft, "/logo/", "/x/", 1))} {
		want := map[string]int{"a member": 403, "a stranger": 303}[name]
		if want == 0 {
			want = 404
		}
		if got != want {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := status(member, brandPage); got != 403 {
		t.Errorf("the page for a member: %d", got)
	}
	// Its hash in another company's form names nothing.
	theirs.get(brandPage)
	action, values := theirs.fill(theirs.form(brandForm), "do", "save")
	values.Set("logo_draft", hash)
	theirs.post(action, values, nil)
	theirs.want(422, brandPage)
	if theirs.doc.one(t, "#logo").attrs["aria-invalid"] != "true" {
		t.Error("not said")
	}
	s.Clock.Advance(9 * time.Minute)
	hers.get(brandPage).want(200, brandPage)
	if got := status(hers, draft); got != 200 {
		t.Errorf("after nine minutes: %d", got)
	}
	s.Clock.Advance(22 * time.Minute)
	if got := status(hers, draft); got != 404 {
		t.Errorf("after half an hour: %d", got)
	}
	// And the proof is too old to save anything.
	hers.get(brandPage).want(200, "/account/confirm")
}

func signInAt(t *testing.T, b *browser, slug string, p sallyporttest.Person) {
	t.Helper()
	b.get("/c/"+slug+"/signin").submit(mainForm, "login", p.Login, "password", sallyporttest.Password)
	b.submit(mainForm, "code", b.s.Code(t, p.Secret)).want(200, "/continue")
}

// What serves the look: types, caching, one spelling, and nothing of ours that moves.
func TestBrandServing(t *testing.T) {
	s := newServer(t)
	s.AddCompany(t, "other", "Other GmbH")
	st, err := s.Branding.Operator().Save(t.Context(), s.Company.ID, branding.Change{Brand: authn.Brand{Accent: "#ffee00"},
		Pictures: map[string]branding.Picture{branding.Light: {Bytes: logoOf(t, 800, 20, color.Black)}}})
	if err != nil {
		t.Fatal(err)
	}
	css, logo := branding.StylesheetPath("acme", st.Brand), branding.LogoPath("acme", st.Brand.Logo)
	for path, want := range map[string]string{
		css:                          "200 text/css; charset=utf-8 public, max-age=31536000, immutable",
		"/brand/acme.css":            "200 text/css; charset=utf-8 no-cache",
		"/brand/acme.css?v=0":        "200 text/css; charset=utf-8 no-cache",
		logo:                         "200 image/png public, max-age=31536000, immutable",
		"/brand/other.css":           "404",
		"/brand/.css":                "404",
		"/brand/nobody.css":          "404",
		"/brand/acme":                "404",
		"/brand/acme.png":            "404",
		"/brand/acme/x.png":          "404",
		"/brand/acme/" + "..%2f.png": "404",
		strings.ToUpper(logo):        "404",
		logo[:len(logo)-4] + ".svg":  "404",
		strings.Replace(logo, "acme", "other", 1): "404",
	} {
		res, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		h := res.Header
		got := fmt.Sprint(res.StatusCode)
		if res.StatusCode == 200 {
			got += " " + h.Get("Content-Type") + " " + h.Get("Cache-Control")
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("ETag") == "" || strings.Contains(string(body), "url(") {
				t.Errorf("%s: %v", path, h)
			}
		}
		if got != want {
			t.Errorf("%s: %s, not %s", path, got, want)
		}
	}
}

// Grounds are those of the stylesheet.
func TestBrandGrounds(t *testing.T) {
	raw, err := os.ReadFile("assets/app.css")
	if err != nil {
		t.Fatal(err)
	}
	sheet := string(raw)
	for theme, begin := range map[string]string{"light": ":root,.look-light{", "dark": ":root[data-theme=dark],.look-dark{"} {
		_, block, found := strings.Cut(sheet, begin)
		if !found {
			t.Fatalf("no tokens of the %s theme", theme)
		}
		block, _, _ = strings.Cut(block, "\n}")
		for name, want := range branding.Grounds()[theme] {
			m := regexp.MustCompile(`--` + name + `:(#[0-9a-f]{3,6})[;}]`).FindStringSubmatch(block)
			if m == nil {
				t.Errorf("%s: no --%s", theme, name)
				continue
			}
			if got := m[1]; got != want && got != "#"+want[1:2]+want[3:4]+want[5:6] {
				t.Errorf("%s: --%s is %s, not %s", theme, name, got, want)
			}
		}
	}
	if strings.Contains(sheet, "color-mix") {
		t.Error("colours that the table of grounds does not know")
	}
}

// A hostile name stays a name, wherever the brand brings it.
func TestBranding_hostileTexts_cve65(t *testing.T) {
	s := newServer(t, func(c *sallyport.Config) {})
	hostile := `"><img src=x onerror=alert(1)> {{.}} www.evil.example`
	if _, err := s.Branding.Operator().Save(t.Context(), s.Company.ID, branding.Change{Support: hostile,
		Brand: authn.Brand{HelpText: hostile, PrivacyLink: "https://acme.example/?a=1&b=2", MailName: "Bank at www.evil.example", SMSName: "www.evil.example 123456"}}); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s)
	b.get("/signin").want(200, "/signin")
	if len(b.doc.all("img")) != 0 || b.doc.one(t, ".foot-links a").attrs["href"] != "https://acme.example/?a=1&b=2" {
		t.Errorf("%q", b.doc.one(t, ".foot-links a").attrs["href"])
	}
	b.shows(".auth-main .under", hostile)
	u, err := s.Directory.CreateUser(t.Context(), s.Company, directory.NewUser{Login: "lena", Email: "lena@acme.example", Verified: true, Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	newBrowser(t, s).password(u.Login, sallyporttest.Password)
	mails := s.Mail(t, "lena@acme.example")
	for _, m := range mails {
		if strings.Contains(m.From, "www.evil.example") || !strings.HasPrefix(m.From, "Bank at") {
			t.Errorf("from %q", m.From)
		}
	}
}
