package httpapi_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

const brandPath = "/api/v1/branding"

// logoOf is a picture of 40 × 20, of a shade of grey.
func logoOf(t testing.TB, grey byte) string {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 40, 20))
	for i := range m.Pix {
		m.Pix[i] = grey
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func brandTexts() object {
	return object{"accent": "#ffb000", "help_text": "The service desk is on floor 3.", "help_link": "https://acme.example/help", "privacy_link": "https://acme.example/privacy",
		"terms_link": "https://acme.example/terms", "support": "Service desk, +46 40 10 20 30", "mail_name": "Acme Projects", "sms_name": "Acme"}
}

// logoCall is a request with a file.
func logoCall(method, path, bearer, file string) call {
	c := call{method: method, path: path, bearer: bearer}
	if method == "PUT" {
		c.body, c.header = file, map[string]string{"Content-Type": "image/png"}
	}
	return c
}

// logoRoute is an entry of the table of routes.
func logoRoute(method, path string) route {
	return route{method + " " + brandPath + path, authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return logoCall(method, brandPath+path, w.signIn(w.owner(p)), logoOf(w.t, 0x60))
	}, 200}
}

// branded is the state before an example about what is saved.
func branded(path string) scene {
	return func(w *world, _ sallyporttest.Person, c *call) {
		if path == "" {
			w.do(call{method: "PUT", path: brandPath, bearer: c.bearer, body: brandTexts()}).want(200)
			return
		}
		w.do(logoCall("PUT", path, c.bearer, logoOf(w.t, 0x60))).want(200)
	}
}

// logoScenes are the examples of the operations with files, whose bodies are no JSON.
func logoScenes(list map[string]scene) map[string]scene {
	for name, path := range map[string]string{"logo": brandPath + "/logo", "logo_dark": brandPath + "/logo-dark"} {
		list["set_"+name+" saved"] = nil
		list["set_"+name+" step_up_required"] = later(11 * time.Minute)
		list["set_"+name+" conflict"] = func(_ *world, _ sallyporttest.Person, c *call) { c.path += "?version=7" }
		list["set_"+name+" invalid"] = func(_ *world, _ sallyporttest.Person, c *call) { c.body = "no picture" }
		list["set_"+name+" too_large"] = func(_ *world, _ sallyporttest.Person, c *call) { c.body = strings.Repeat(" ", 1<<20+1) }
		list["remove_"+name+" removed"] = branded(path)
		list["remove_"+name+" step_up_required"] = later(11 * time.Minute)
		list["remove_"+name+" conflict"] = func(_ *world, _ sallyporttest.Person, c *call) { c.path += "?version=7" }
	}
	return list
}

// Branding by JSON: who may, what is said of mistakes, one company at a time, one
// version at a time, and on record without the bytes.
func TestBranding(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	member, hers := w.signIn(maya), w.signIn(w.owner(maya))
	theirs := w.signIn(w.owner(w.AddUser(t, w.other, "maya", true)))
	for _, c := range []call{{method: "GET", path: brandPath}, {method: "PUT", path: brandPath, body: brandTexts()}, logoCall("PUT", brandPath+"/logo", "", logoOf(t, 1)),
		logoCall("DELETE", brandPath+"/logo-dark", "", "")} {
		c.bearer = member
		w.do(c).refused(authn.Forbidden)
	}
	admin := w.AddUser(t, w.Company, "ada", true)
	w.promote(admin.User, directory.Administrator)
	w.get(brandPath, w.signIn(admin)).want(200)

	put := func(bearer string, body object) answer {
		return w.do(call{method: "PUT", path: brandPath, bearer: bearer, body: body})
	}
	for field, values := range map[string]map[string]string{
		"accent":       {"red": "colour", "#fff": "colour", "#ffb000;}body{display:none": "colour", "url(https://evil.example)": "colour"},
		"privacy_link": {"http://acme.example": "https", "javascript:alert(1)": "https", "https://acme.example@evil.example/": "https", "https:/acme.example": "https", "//acme.example": "https", "https://": "https", "https://аcme.example/": "https", "https://a b.example/": "https"},
		"help_link":    {"data:text/html,x": "https"},
		"terms_link":   {"HTTPS//x": "https"},
		"help_text":    {"Call\u202e us": "invalid", strings.Repeat("x", 301): "too_long"},
		"support":      {strings.Repeat("x", 501): "too_long"},
		"mail_name":    {"security@bank.example": "no_address", `"Bank" <x>`: "no_address", "a\x07b": "invalid"},
		"sms_name":     {"甲乙丙": "unwritable", strings.Repeat("x", 31): "too_long"},
	} {
		for value, code := range values {
			put(hers, object{field: value}).field(field, code)
		}
	}
	a := put(hers, brandTexts()).want(200)
	if a.at("light.adjusted") != true || a.at("dark.adjusted") != false || a.str("dark.accent") != "#ffb000" || a.at("version") != float64(1) {
		t.Errorf("%s", a.body)
	}
	if a := put(hers, brandTexts()).want(200); a.at("version") != float64(1) {
		t.Errorf("nothing changed: %s", a.body)
	}
	body := brandTexts()
	body["version"], body["sms_name"] = 7, "Żółty"
	put(hers, body).refused(authn.Conflict)
	body["version"] = 1
	if a := put(hers, body).want(200); a.str("sms_name") != "Zolty" {
		t.Errorf("%s", a.body)
	}

	w.do(logoCall("PUT", brandPath+"/logo", hers, "\x89PNG\r\n\x1a\n<html>")).field("logo", "picture_broken")
	w.do(logoCall("PUT", brandPath+"/logo-dark", hers, "<svg/>")).field("logo_dark", "svg")
	w.do(logoCall("PUT", brandPath+"/logo", hers, "")).field("logo", "required")
	w.do(logoCall("PUT", brandPath+"/logo?version=x", hers, logoOf(t, 1))).field("version", "invalid")
	w.do(logoCall("PUT", brandPath+"/logo?version=1", hers, logoOf(t, 1))).refused(authn.Conflict)
	c := logoCall("PUT", brandPath+"/logo", hers, logoOf(t, 1))
	c.header["Content-Type"] = "image/svg+xml"
	w.do(c).refused(authn.UnsupportedMedia)
	logo := w.do(logoCall("PUT", brandPath+"/logo?version=2", hers, logoOf(t, 1))).want(200)
	if logo.str("sms_name") != "Zolty" || logo.at("logo.width") != float64(40) {
		t.Errorf("%s", logo.body)
	}
	w.do(logoCall("PUT", brandPath+"/logo", theirs, logoOf(t, 2))).want(200)
	if a := w.get(brandPath, hers).want(200); a.str("logo.url") != logo.str("logo.url") {
		t.Errorf("theirs is hers: %s", a.body)
	}
	// It is served to anyone, for good, as what it is; and under no other company's name.
	served(t, w, logo.str("logo.url"), 200, "image/png")
	served(t, w, strings.Replace(logo.str("logo.url"), "/acme/", "/other/", 1), 404, "")
	served(t, w, "/brand/acme/"+strings.Repeat("0", 32)+".png", 404, "")
	w.do(logoCall("DELETE", brandPath+"/logo", hers, "")).want(200)
	served(t, w, logo.str("logo.url"), 404, "")

	list, err := w.Store.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "branding.changed"})
	if err != nil || len(list) != 4 {
		t.Fatalf("%d events, %v", len(list), err)
	}
	first, last := list[3].Personal.Detail, list[0].Personal.Detail
	if first["accent_before"] != "" || first["accent_after"] != "#ffb000" || !strings.Contains(first["fields"], "sms_name") ||
		last["fields"] != "logo" || last["logo_before"] == "" || last["logo_after"] != "" || list[0].Actor == "" {
		t.Errorf("%v\n%v", first, last)
	}
	for _, e := range list {
		if strings.Contains(fmt.Sprint(e), "PNG") {
			t.Errorf("the bytes are on record: %v", e)
		}
	}
}

func served(t *testing.T, w *world, path string, status int, kind string) {
	t.Helper()
	res, err := http.Get(w.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	h := res.Header
	if res.StatusCode != status || status == 200 && (h.Get("Content-Type") != kind || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "public, max-age=31536000, immutable" ||
		!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'")) {
		t.Errorf("%s: %d %v", path, res.StatusCode, h)
	}
}
