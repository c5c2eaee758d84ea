package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/text"
)

// Every sentence of every answer in these tests is in the catalogue.
func TestMain(m *testing.M) {
	code := m.Run()
	if missing := text.Default().Missing(); code == 0 && len(missing) > 0 {
		fmt.Fprintln(os.Stderr, "texts that are not in the catalogue:", missing)
		code = 1
	}
	os.Exit(code)
}

// world is a real server with two companies; requests go over a socket.
type world struct {
	*sallyporttest.Server
	t       testing.TB
	other   authn.Company
	failing *failing // nil: the store is as it is
	mail    *flaky   // nil: the sender is as it is
}

func newWorld(t testing.TB, opts ...sallyporttest.Option) *world {
	t.Helper()
	s := readyDuo(t, sallyporttest.NewServer(t, append([]sallyporttest.Option{withTwilio(t), withActions}, opts...)...))
	return &world{Server: s, t: t, other: s.AddCompany(t, "globex", "Globex")}
}

// withActions registers what a host program lets people confirm.
func withActions(c *sallyport.Config) {
	c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details", Titles: map[string]string{"pl": "zmienić dane rozliczeniowe"}, Audience: "https://app.acme.example"}}
}

// call is one request. The zero fields are left out.
type call struct {
	method, path string
	body         any    // a string is sent as it is
	bearer       string // Authorization: Bearer …
	header       map[string]string
	cookies      map[string]string
	host         string
}

type answer struct {
	t      testing.TB
	call   call
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

func (w *world) do(c call) answer {
	w.t.Helper()
	var body io.Reader
	switch b := c.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	r, err := http.NewRequest(c.method, w.URL+c.path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if picture, ok := c.body.(string); ok && strings.HasPrefix(picture, "\x89PNG") {
		r.Header.Set("Content-Type", "image/png")
	} else if body != nil {
		r.Header.Set("Content-Type", "application/json")
		if strings.HasSuffix(c.path, "/users/import") {
			r.Header.Set("Content-Type", "text/csv")
		}
	}
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	for k, v := range c.cookies {
		r.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	if len(c.cookies) > 0 {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for k, v := range c.header {
		if v == "" {
			r.Header.Del(k)
			continue
		}
		r.Header.Set(k, v)
	}
	if c.host != "" {
		r.Host = c.host
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{t: w.t, call: c, status: resp.StatusCode, header: resp.Header, body: raw}
	if strings.HasSuffix(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &a.json); err != nil {
			w.t.Fatalf("%s %s: not JSON: %s", c.method, c.path, raw)
		}
	}
	if err := conform(a); err != nil {
		w.t.Errorf("%s %s: %d %s\nis not as the document says: %v", c.method, c.path, a.status, raw, err)
	}
	return a
}

// want fails the test unless the status is this one.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s %s: status %d, want %d: %s", a.call.method, a.call.path, a.status, status, a.body)
	}
	return a
}

// refused fails the test unless the answer is a problem with this code.
func (a answer) refused(code authn.Code) answer {
	a.t.Helper()
	a.want(httpserve.Status(code))
	if a.json["code"] != string(code) || a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Fatalf("%s %s: code %v, want %s: %s", a.call.method, a.call.path, a.json["code"], code, a.body)
	}
	return a
}

// field fails the test unless the answer is invalid with exactly this field.
func (a answer) field(name, code string) answer {
	a.t.Helper()
	a.refused(authn.Invalid)
	fields, _ := a.json["fields"].([]any)
	if len(fields) != 1 || fields[0].(map[string]any)["name"] != name || fields[0].(map[string]any)["code"] != code {
		a.t.Fatalf("%s %s: fields %v, want %s %s", a.call.method, a.call.path, a.json["fields"], name, code)
	}
	return a
}

// str is the text at a path such as "session.token".
func (a answer) str(path string) string {
	s, _ := a.at(path).(string)
	return s
}

func (a answer) at(path string) any {
	var v any = a.json
	for name := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			if name != "0" || len(x) == 0 {
				return nil
			}
			v = x[0]
		default:
			return nil
		}
	}
	return v
}

// cookie is the value of a cookie that the answer sets; ok is false if it sets none.
func (a answer) cookie(name string) (value string, ok bool) {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name {
			return c.Value, true
		}
	}
	return "", false
}

type object = map[string]any

func (w *world) post(path, bearer string, body any) answer {
	w.t.Helper()
	return w.do(call{method: "POST", path: path, bearer: bearer, body: body})
}

func (w *world) get(path, bearer string) answer {
	w.t.Helper()
	return w.do(call{method: "GET", path: path, bearer: bearer})
}

func (w *world) slug(p sallyporttest.Person) string {
	if p.Company == w.other.ID {
		return w.other.Slug
	}
	return w.Company.Slug
}

// begin gives the password and returns the attempt.
func (w *world) begin(p sallyporttest.Person) (id, token string) {
	w.t.Helper()
	a := w.post("/api/v1/attempts", "", object{"company": w.slug(p), "login": p.Login, "password": sallyporttest.Password}).want(201)
	return a.str("id"), a.str("token")
}

// code waits for the next code of the person's app, so that none is spent twice.
func (w *world) code(p sallyporttest.Person) string {
	w.t.Helper()
	w.Clock.Advance(30 * time.Second)
	return w.Code(w.t, p.Secret)
}

// signIn signs in from nowhere in particular and returns the session token.
func (w *world) signIn(p sallyporttest.Person) string {
	w.t.Helper()
	a := w.post("/api/v1/attempts", "", object{"company": w.slug(p), "login": p.Login, "password": sallyporttest.Password}).want(201)
	if p.Secret != nil {
		a = w.post("/api/v1/attempts/"+a.str("id")+"/verify", a.str("token"), object{"method": "totp", "code": w.code(p)}).want(200)
	}
	if token := a.str("session.token"); token != "" {
		return token
	}
	w.t.Fatalf("no session: %s", a.body)
	return ""
}

// confirmed is a session of somebody without a factor who gave the password
// once more, so that they may set one up.
func (w *world) confirmed(p sallyporttest.Person) string {
	w.t.Helper()
	a := w.post("/api/v1/account/step-up", w.signIn(p), object{}).want(201)
	a = w.post("/api/v1/attempts/"+a.str("id")+"/verify", a.str("token"), object{"method": "password", "password": sallyporttest.Password}).want(200)
	return a.str("session.token")
}

// browser keeps cookies as a browser on our own pages does.
type browser struct {
	*world
	jar map[string]string
}

func (w *world) browser() *browser { return &browser{world: w, jar: map[string]string{}} }

func (b *browser) do(c call) answer {
	b.t.Helper()
	c.cookies = b.jar
	if c.header == nil {
		c.header = map[string]string{"Sec-Fetch-Site": "same-origin"}
	}
	a := b.world.do(c)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.MaxAge < 0 {
			delete(b.jar, c.Name)
		} else {
			b.jar[c.Name] = c.Value
		}
	}
	return a
}

var cookies = httpserve.Cookies{} // the test server is on loopback http

// signIn signs in by cookie.
func (b *browser) signIn(p sallyporttest.Person) {
	b.t.Helper()
	a := b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": b.slug(p), "login": p.Login, "password": sallyporttest.Password}}).want(201)
	if p.Secret != nil {
		path := "/api/v1/attempts/" + a.str("id") + "/verify?company=" + b.slug(p)
		b.do(call{method: "POST", path: path, body: object{"method": "totp", "code": b.code(p)}}).want(200)
	}
	if b.jar[cookies.Session()] == "" {
		b.t.Fatal("no session cookie")
	}
}

// granted is the answer that completes a step-up of a person, begun with body.
func (w *world) granted(p sallyporttest.Person, body object) answer {
	w.t.Helper()
	return w.grantedIn(p, w.signIn(p), body)
}

// grantedIn is granted in a session that is there already.
func (w *world) grantedIn(p sallyporttest.Person, session string, body object) answer {
	w.t.Helper()
	a := w.post("/api/v1/account/step-up", session, body).want(201)
	return w.post("/api/v1/attempts/"+a.str("id")+"/verify", a.str("token"), object{"method": "totp", "code": w.code(p)}).want(200)
}
