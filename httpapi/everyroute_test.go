package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// apiRoutes are the server's own routes under /api/.
func (w *world) apiRoutes() []string {
	return slices.DeleteFunc(w.Routes(), func(p string) bool { return !strings.Contains(p, " /api/") })
}

// cve-32: a new route without an entry above fails here.
func TestEveryRouteIsTested(t *testing.T) {
	w := newWorld(t)
	var tested []string
	for _, r := range routes {
		tested = append(tested, r.pattern)
	}
	slices.Sort(tested)
	tested = slices.Compact(tested) // some take two kinds of credentials
	if got := w.apiRoutes(); !slices.Equal(got, tested) {
		t.Errorf("routes:\n%s\ntested:\n%s", strings.Join(got, "\n"), strings.Join(tested, "\n"))
	}
	for i, r := range routes {
		p := w.AddUser(t, w.Company, fmt.Sprint("works", i), true)
		w.do(r.good(w, p)).want(r.status)
	}
}

// both reports whether a route takes a session and an attempt alike.
func (r route) both() bool {
	return slices.ContainsFunc(routes, func(o route) bool { return o.pattern == r.pattern && o.kind != r.kind })
}

// each runs f for every route with a person of their own.
func each(t *testing.T, w *world, f func(t *testing.T, w *world, r route, p sallyporttest.Person)) {
	for i, r := range routes {
		t.Run(r.pattern+" "+string(r.kind), func(t *testing.T) {
			here := &world{Server: w.Server, t: t, other: w.other, failing: w.failing, mail: w.mail}
			f(t, here, r, here.AddUser(t, w.Company, fmt.Sprint("person", i), true))
		})
	}
}

// cve-31, inv-C, cve-43, cve-56: what one has half-way through a sign-in opens
// nothing else, in no place of a request; nor does any other kind of credential.
func TestWrongCredentialsOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		_, attempt := w.begin(p)
		session := w.signIn(p)
		good := r.good(w, p)
		wrong, refused := attempt, 401
		switch {
		case r.both():
			refused = 403 // an attempt, and one that does not ask for a way to be set up
		case r.kind == authn.AttemptToken:
			wrong = session
		}
		secrets := []string{wrong}
		if good.bearer != "" {
			secrets = append(secrets, good.bearer)
		}
		basic := func(user, pass string) string {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
		}
		try := func(what string, c call, status ...int) {
			t.Helper()
			if len(status) == 0 {
				status = []int{401}
			}
			if a := w.do(c); !slices.Contains(status, a.status) || bytes.Contains(a.body, []byte("sp_")) {
				t.Errorf("%s: %d %s", what, a.status, a.body)
			}
		}
		with := func(h map[string]string) call {
			c := good
			c.bearer, c.header = "", h
			return c
		}
		try("the other kind", func() call { c := good; c.bearer = wrong; return c }(), refused)
		for _, s := range secrets {
			for _, header := range []string{
				basic(p.Login, s), basic(s, ""), basic("", s), basic(p.Login, sallyporttest.Password), s, "Token " + s, "bearer: " + s, "Bearer  " + s,
				"Bearer\t" + s, "Bearer " + s + ", Bearer " + s, "Digest " + s, "Bearer " + strings.ToUpper(s), "Bearer",
				"Bearer " + s[:len(s)-1], "Bearer " + s + "0", `Bearer "` + s + `"`, "DPoP " + s,
			} {
				try(fmt.Sprintf("Authorization: %.12s", header), with(map[string]string{"Authorization": header}))
			}
			if r.kind == "" {
				continue
			}
			// Without an Authorization header there is no credential at all.
			for _, name := range []string{"X-Api-Key", "X-Auth-Token", "Api-Key", "Token", "Proxy-Authorization", "X-Access-Token", "X-Session"} {
				try(name, with(map[string]string{name: s}))
			}
			for _, name := range []string{"access_token", "token", "session", "key"} {
				c := with(nil)
				c.path += "?" + name + "=" + s
				try("query "+name, c)
			}
			for _, name := range []string{cookies.Browser(), "__Host-sallyport_session", "session", "token"} {
				c := with(nil)
				c.cookies = map[string]string{name: s}
				try("cookie "+name, c)
			}
			if s == wrong || r.kind == authn.AttemptToken {
				c := with(nil)
				c.cookies = map[string]string{cookies.Session(): s}
				try("session cookie", c)
			}
		}
		if r.kind != "" {
			try("nothing", with(nil))
			two := with(nil)
			two.header = map[string]string{"Authorization": "Bearer " + good.bearer}
			if a := w.twice(two, "Bearer "+good.bearer); a != 401 {
				t.Errorf("two Authorization headers: %d", a)
			}
			// A broken header does not fall back to a good cookie.
			both := good
			both.bearer, both.header = "", map[string]string{"Authorization": "Bearer x"}
			both.cookies = map[string]string{cookies.Session(): session}
			try("broken header and good cookie", both)
			// Two cookies of one name: one was planted.
			if r.kind == authn.SessionToken {
				planted := with(map[string]string{"Cookie": cookies.Session() + "=" + good.bearer + "; " + cookies.Session() + "=x", "Sec-Fetch-Site": "same-origin"})
				try("two cookies", planted)
			}
		}
		w.do(good).want(r.status) // and the right one still works
	})
}

// twice sends two Authorization headers.
func (w *world) twice(c call, value string) int {
	w.t.Helper()
	body, _ := json.Marshal(c.body)
	r, err := http.NewRequest(c.method, w.URL+c.path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header["Authorization"] = []string{value, value}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// cve-34, cve-57, cve-58, two companies and two people on every route: what is
// somebody else's is not there.
func TestOthersOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		if r.kind == "" {
			return
		}
		for name, company := range map[string]authn.Company{"colleague": w.Company, "stranger": w.other} {
			them := w.AddUser(t, company, p.Login+name, true)
			theirs := r.good(w, them)
			hers := r.good(w, p)
			// Their token, her id. People of the company are its administrators' to serve.
			// Whoever may see a colleague may see that one, too.
			// An owner may do this to every person of their company.
			admin := strings.Contains(r.pattern, "/api/v1/users/") || strings.Contains(r.pattern, "/api/v1/approvals/")
			if hers.path != theirs.path && (name == "stranger" || !strings.Contains(r.pattern, " /api/v1/users/")) && (name == "stranger" || !strings.Contains(r.pattern, " /api/v1/users/{id}")) && !(r.ofCompany() && company.ID == w.Company.ID) && !(admin && name == "colleague") {
				c := theirs
				c.path = hers.path
				w.do(c).refused(authn.NotFound)
			}
			// Her token, moved: another company, another row, another secret.
			mine, _ := authn.ParseToken(r.kind, hers.bearer)
			other, _ := authn.ParseToken(r.kind, theirs.bearer)
			for what, forged := range map[string]authn.Token{
				"company": {Kind: mine.Kind, Company: w.other.ID, ID: mine.ID, Secret: mine.Secret},
				"row":     {Kind: mine.Kind, Company: mine.Company, ID: other.ID, Secret: mine.Secret},
				"secret":  {Kind: mine.Kind, Company: mine.Company, ID: mine.ID, Secret: other.Secret},
				"no such": {Kind: mine.Kind, Company: "cmp_06gvqojiq1qe7alb8eh5a55tok", ID: mine.ID, Secret: mine.Secret},
			} {
				c := hers
				c.bearer = forged.Reveal()
				if what == "row" && strings.Contains(c.path, mine.ID) {
					c.path = strings.Replace(c.path, mine.ID, other.ID, 1)
				}
				if a := w.do(c); a.status != 401 && a.status != 404 {
					t.Errorf("%s, %s: %d %s", name, what, a.status, a.body)
				}
			}
			// Her id in their body.
			if body, ok := theirs.body.(object); ok && body["replaces"] != nil && r.kind == authn.SessionToken {
				c := theirs
				c.body = object{"method": "totp", "replaces": p.Factor}
				w.do(c).refused(authn.Conflict)
			}
			if strings.HasPrefix(r.pattern, "POST /api/v1/attempts/{id}/challenge") || strings.HasSuffix(r.pattern, "{id}/verify") {
				c := theirs
				c.body = object{"method": "totp", "code": w.code(p), "factor": p.Factor}
				if strings.HasSuffix(c.path, "/challenge") {
					c.body = object{"method": "totp", "factor": p.Factor}
				}
				w.do(c).field("method", "not_offered")
			}
			if strings.HasSuffix(r.pattern, "{id}/verify") {
				hers.body = object{"method": "totp", "code": w.code(p)} // time went by
			}
			if a := w.do(hers); a.status != r.status { // nothing of hers was changed by all that
				t.Errorf("%s: hers answers %d: %s", name, a.status, a.body)
			}
			if r.pattern == "DELETE /api/v1/account/factors/{id}" || r.pattern == "PUT /api/v1/account/password" || r.pattern == "POST /api/v1/account/factors/{id}/confirm" ||
				r.pattern == "DELETE /api/v1/users/{id}/factors/{factor}" || r.pattern == "POST /api/v1/users/{id}/factors/{factor}/confirm" ||
				r.pattern == "POST /api/v1/attempts/{id}/password" || r.pattern == "POST /api/v1/attempts/{id}/complete" {
				return // she is not who she was
			}
		}
	})
}

// Another's code does not help: of a colleague with the same step, or of
// somebody in another company.
func TestCodesOfOthers(t *testing.T) {
	w := newWorld(t)
	maya, lena, zoe := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "lena", true), w.AddUser(t, w.other, "maya", true)
	id, token := w.begin(maya)
	for _, p := range []sallyporttest.Person{lena, zoe} {
		w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(p)}).refused(authn.WrongCode)
	}
	// The same login and password in two companies are two people.
	session := w.signIn(zoe)
	if a := w.get("/api/v1/session", session).want(200); a.str("company.slug") != "globex" || a.str("user.id") != zoe.ID {
		t.Errorf("session: %s", a.body)
	}
}

// cve-66, std-40, std-57: with cookies, nothing that changes something can be
// asked from elsewhere, nor by a request that does not say from where; and safe
// methods change nothing.
func TestCrossSiteOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		if strings.HasPrefix(r.pattern, "GET ") {
			return
		}
		good := r.good(w, p)
		// Anonymous but for the browser cookie; or with the session cookie.
		b := w.browser()
		b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": p.Login, "password": sallyporttest.Password}}).want(201)
		jar := maps.Clone(b.jar)
		if r.kind == authn.SessionToken {
			jar[cookies.Session()] = good.bearer
		}
		good.bearer, good.cookies = "", jar
		for _, headers := range []map[string]string{
			{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": ""}, {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
			{"Sec-Fetch-Site": "", "Origin": "null"}, {"Sec-Fetch-Site": "cross-site", "Origin": w.URL}, {"Sec-Fetch-Site": "", "Referer": w.URL + "/"},
		} {
			c := good
			c.header = headers
			w.do(c).refused(authn.Forbidden)
		}
		if r.kind == authn.SessionToken {
			// None of that did anything: the same request from our own page works.
			good.header = nil
			w.do(good).want(r.status)
		}
	})
}

// cve-36, cve-40, cve-48, cve-61, cve-70: whatever a body is, it is refused for
// what it is, and nothing of it comes back.
func TestBadInputOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		good := r.good(w, p)
		body, ok := good.body.(object)
		if !ok {
			return
		}
		const canary = "cAnArY-7351"
		send := func(body string) answer {
			c := good
			c.body = body
			a := w.do(c)
			if bytes.Contains(a.body, []byte(canary)) {
				t.Errorf("%.60q comes back: %s", body, a.body)
			}
			return a
		}
		for _, raw := range []string{
			"", " ", "null", "[]", "[{}]", `"` + canary + `"`, "1", "true", "{", "{}{}", "{} x", `{"` + canary, "{'a':1}", "\xff", "{\"a\":\"\xff\"}",
			"\xef\xbb\xbf{}", strings.Repeat("[", 100_00), `{"a":` + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 21), `{"a":NaN}`, `{"a":01}`,
		} {
			a := send(raw)
			if a.status != 400 && a.status != 422 {
				t.Errorf("%.40q: %d %s", raw, a.status, a.body)
			}
		}
		send(strings.Repeat("x", 1<<20)).refused(authn.TooLarge)
		send(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`).refused(authn.TooLarge)

		raw, _ := json.Marshal(body)
		inner := strings.TrimSuffix(strings.TrimPrefix(string(raw), "{"), "}")
		comma := ","
		if inner == "" {
			comma = ""
		}
		send(`{`+inner+comma+`"unheard_of":"`+canary+`"}`).field("unheard_of", "unknown")
		send(`{`+inner+comma+`"`+canary+` x":1}`).field("?", "unknown")
		send(`{`+inner+comma+`"__proto__":{"admin":true}}`).field("__proto__", "unknown")
		for name, value := range body {
			one, _ := json.Marshal(value)
			send(fmt.Sprintf(`{%s,%q:%s}`, inner, name, one)).field(name, "duplicate")
			send(fmt.Sprintf(`{%s,%q:%s}`, inner, strings.ToUpper(name), one)).field(strings.ToUpper(name), "unknown")
			wrongs := []any{nil, object{"a": value}, 1.5, []any{value}, -1}
			switch value.(type) {
			case int:
				wrongs = wrongs[:4]
			case []any, []string: // what is in it is told by its place
				wrongs = []any{nil, object{"a": value}, 1.5, -1}
			case object: // the same
				wrongs = []any{nil, 1.5, []any{value}, -1}
			}
			for _, wrong := range wrongs {
				changed := maps.Clone(body)
				changed[name] = wrong
				c := good
				c.body = changed
				w.do(c).field(name, "wrong_type")
			}
			c, changed := good, maps.Clone(body)
			changed[name] = "nul\x00" + canary
			c.body = changed
			if a := w.do(c).refused(authn.Invalid); bytes.Contains(a.body, []byte(canary)) {
				t.Errorf("%s comes back: %s", name, a.body)
			}
			send(strings.Replace(string(raw), `"`+name+`":`, `"`+name+`":"\ud800",`+`"x":`, 1)).refused(authn.Invalid)
			changed[name] = strings.Repeat("x", 60_000) // under the limit of the body
			c.body = changed
			oneAnswer := name == "login" && r.pattern == "POST /api/v1/password-resets" // whatever the name (J3)
			if a := w.do(c); (a.status < 400 || a.status >= 500) && !(oneAnswer && a.status == r.status) {
				t.Errorf("%s of 60,000 characters: %d %s", name, a.status, a.body)
			}
		}
		for _, ct := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=utf-16", "application/xml", ""} {
			c := good
			c.header = map[string]string{"Content-Type": ct}
			w.do(c).refused(authn.UnsupportedMedia)
		}
		if _, isCode := body["code"]; isCode {
			for code, want := range map[string]string{
				"": "required", "12345": "too_few", "1234567": "too_many", strings.Repeat("1", 5000): "too_many", "12345a": "not_digits", "abcdef": "not_digits",
				"1e5000": "not_digits", "0x1234": "not_digits", "+12345": "not_digits", "123.45": "not_digits", "12345\u200b6": "", "１２３４５": "too_few",
			} {
				changed := maps.Clone(body)
				changed["code"] = code
				c := good
				c.body = changed
				a := w.do(c)
				if want != "" {
					a.field("code", want)
				} else if a.status != 422 {
					t.Errorf("%q: %d %s", code, a.status, a.body)
				}
			}
		}
		// Nothing of it was charged or changed.
		w.do(good).want(r.status)
	})
}
