package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// F1, F2: password, then code, then a session; never before.
func TestSignInWithToken(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "MAYA ", "password": sallyporttest.Password}).want(201)
	if a.str("state") != "need_factor" || a.at("session") != nil || a.str("methods.0.factor") != maya.Factor || a.at("methods.0.preferred") != true {
		t.Fatalf("begin: %s", a.body)
	}
	if _, set := a.cookie(cookies.Session()); set {
		t.Error("a session cookie after the password alone")
	}
	id, token := a.str("id"), a.str("token")
	path := "/api/v1/attempts/" + id
	if got := w.get(path, token).want(200); got.at("token") != nil || got.str("state") != "need_factor" {
		t.Errorf("get: %s", got.body)
	}
	if got := w.post(path+"/challenge", token, object{"method": "totp"}).want(200); string(bytes.TrimSpace(got.body)) != `{"method":"totp"}` {
		t.Errorf("challenge: %s", got.body)
	}
	w.post(path+"/complete", token, object{}).refused(authn.Conflict)
	code := w.code(maya)
	a = w.post(path+"/verify", token, object{"method": "totp", "code": code[:3] + " " + code[3:], "trust_browser": false}).want(200)
	session := a.str("session.token")
	if a.str("state") != "complete" || a.str("session.acr") != "aal2" || a.at("token") != nil || session == "" {
		t.Fatalf("verify: %s", a.body)
	}
	if len(a.header["Set-Cookie"]) != 0 {
		t.Errorf("a bearer caller gets cookies: %v", a.header["Set-Cookie"])
	}
	// ruling 7: no GET gives the session.
	if got := w.get(path, token).want(200); got.str("state") != "complete" || got.at("session") != nil || bytes.Contains(got.body, []byte("sp_")) {
		t.Errorf("get after: %s", got.body)
	}
	w.post(path+"/verify", token, object{"method": "totp", "code": w.code(maya)}).refused(authn.Conflict)
	w.post(path+"/challenge", token, object{"method": "totp"}).refused(authn.Conflict)
	w.post(path+"/complete", token, object{}).refused(authn.Conflict)

	got := w.get("/api/v1/session", session).want(200)
	if got.str("user.login") != "maya" || got.str("company.slug") != "acme" || got.str("acr") != "aal2" || got.at("token") != nil {
		t.Errorf("session: %s", got.body)
	}
	w.do(call{method: "DELETE", path: "/api/v1/session", bearer: session}).want(204)
	w.get("/api/v1/session", session).refused(authn.Unauthenticated)
}

// std-39, ruling 47: by cookie the session never is in the body, and the
// attempt is opened by the browser that began it, and by no other.
func TestSignInWithCookies(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	b, stranger := w.browser(), w.browser()
	begin := call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "maya", "password": sallyporttest.Password}}
	a := b.do(begin).want(201)
	stranger.do(begin).want(201)
	path := "/api/v1/attempts/" + a.str("id")
	b.do(call{method: "GET", path: path}).refused(authn.NotFound) // two companies here: which one must be said
	path += "?company=acme"
	b.do(call{method: "GET", path: path}).want(200)
	stranger.do(call{method: "GET", path: path}).refused(authn.NotFound)
	b.do(call{method: "GET", path: strings.Replace(path, "acme", "globex", 1)}).refused(authn.NotFound)
	verify := call{method: "POST", path: strings.Replace(path, "?", "/verify?", 1), body: object{"method": "totp", "code": w.code(maya)}}
	stranger.do(verify).refused(authn.NotFound)
	a = b.do(verify).want(200)
	if a.at("session.token") != nil || bytes.Contains(a.body, []byte("sp_ses_")) {
		t.Errorf("the session is in the body: %s", a.body)
	}
	cookie, ok := a.cookie(cookies.Session())
	if !ok || cookie == "" {
		t.Fatal("no session cookie")
	}
	b.do(call{method: "GET", path: "/api/v1/session"}).want(200)
	// The cookie's value is a session token; by header it is one, too.
	w.get("/api/v1/session", cookie).want(200)
	a = b.do(call{method: "DELETE", path: "/api/v1/session"}).want(204)
	if v, ok := a.cookie(cookies.Session()); !ok || v != "" {
		t.Error("the cookie was not taken away")
	}
	w.get("/api/v1/session", cookie).refused(authn.Unauthenticated)
	for _, line := range a.header["Set-Cookie"] {
		if !strings.Contains(line, "HttpOnly") || !strings.Contains(line, "SameSite=Lax") || !strings.Contains(line, "Path=/") {
			t.Errorf("cookie %q", line)
		}
	}
}

// Where the password is enough, the answer that begins also completes.
func TestPasswordAloneWhereNothingAsksForMore(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", false)
	a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "lena", "password": sallyporttest.Password}).want(201)
	if a.str("state") != "complete" || a.str("session.acr") != "aal1" || a.str("session.token") == "" || a.at("token") != nil || a.at("methods") != nil {
		t.Errorf("begin: %s", a.body)
	}
	b := w.browser()
	b.signIn(lena)
	b.do(call{method: "GET", path: "/api/v1/account"}).want(200)
}

// Ruling 1: nobody who must have a second factor and has none gets in, or sets
// one up, on the password.
func TestDenied(t *testing.T) {
	w := newWorld(t)
	w.required("omar", "")
	w.SetTwoFactor(t, "acme", policy.Required)
	a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "omar", "password": sallyporttest.Password}).want(201)
	if a.str("state") != "denied" || a.str("why.0") != "company_requires" || a.str("denied") != "no_contact" || !strings.HasSuffix(a.str("detail"), "Ask your admin at Acme Projects for help.") || a.at("token") != nil || a.at("session") != nil {
		t.Errorf("begin: %s", a.body)
	}
	if bytes.Contains(a.body, []byte("sp_")) || len(a.header["Set-Cookie"]) != 0 {
		t.Errorf("a denied attempt gives something away: %s %v", a.body, a.header)
	}
	b := w.browser()
	a = b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "omar", "password": sallyporttest.Password}}).want(201)
	path := "/api/v1/attempts/" + a.str("id")
	for _, body := range []object{{"method": "password", "password": sallyporttest.Password}, {"method": "totp", "code": "123456"}} {
		b.do(call{method: "POST", path: path + "/verify?company=acme", body: body}).field("method", "not_offered")
	}
	b.do(call{method: "POST", path: path + "/complete?company=acme", body: object{}}).refused(authn.Conflict)
	b.do(call{method: "GET", path: "/api/v1/session"}).refused(authn.Unauthenticated)
	// The company's own words.
	if err := w.Directory.SetSupport(t.Context(), w.Company, "Call 555 0100."); err != nil {
		t.Fatal(err)
	}
	if a := b.do(call{method: "GET", path: path + "?company=acme"}).want(200); !strings.HasSuffix(a.str("detail"), " Call 555 0100.") {
		t.Errorf("detail: %s", a.body)
	}
}

// cve-62, F5, inv-J: nobody learns from an answer who exists.
func TestUnknownAndWrongLookAlike(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	w.AddUser(t, w.Company, "lena", false)
	w.AddUser(t, w.Company, "omar", false)
	if err := w.Directory.SetStatus(t.Context(), w.Company, "omar", authn.Suspended); err != nil {
		t.Fatal(err)
	}
	_, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "nobody-yet"})
	if err != nil {
		t.Fatal(err)
	}
	var want string
	for _, c := range []struct{ login, password string }{
		{"maya", "not the right one"}, {"lena", "not the right one"}, {"nobody", "not the right one"}, {"nobody", sallyporttest.Password},
		{"omar", sallyporttest.Password}, {"omar", "not the right one"}, {"nobody-yet", "not the right one"}, {maya.Email, "not the right one"},
		{"nobody@acme.example", "not the right one"}, {strings.Repeat("x", 10_000), "not the right one"}, {"\u202emaya", sallyporttest.Password},
	} {
		a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": c.login, "password": c.password}).refused(authn.WrongCredentials)
		delete(a.json, "request_id")
		body, _ := json.Marshal(a.json)
		names := fmt.Sprint(headerNames(a.header), len(a.body))
		if want == "" {
			want = string(body) + names
		}
		if got := string(body) + names; got != want {
			t.Errorf("%.20q: %s\nwant %s", c.login, got, want)
		}
	}
}

func headerNames(h http.Header) map[string]bool {
	m := map[string]bool{}
	for k := range h {
		m[k] = true
	}
	return m
}

// std-24, cve-23, cve-24, inv-A: one code, one session.
func TestSameCodeTwice(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	first, token1 := w.begin(maya)
	second, token2 := w.begin(maya)
	code := w.code(maya)
	w.post("/api/v1/attempts/"+first+"/verify", token1, object{"method": "totp", "code": code}).want(200)
	w.post("/api/v1/attempts/"+second+"/verify", token2, object{"method": "totp", "code": code}).refused(authn.CodeUsed)
	// Another spelling is the same code.
	for _, spelling := range []string{code[:3] + "-" + code[3:], code + " ", wide(code)} {
		w.post("/api/v1/attempts/"+second+"/verify", token2, object{"method": "totp", "code": spelling}).refused(authn.CodeUsed)
	}
	// Neither charged nor resetting (ruling 44).
	a := w.post("/api/v1/attempts/"+second+"/verify", token2, object{"method": "totp", "code": w.WrongCode(t, maya.Secret)}).refused(authn.WrongCode)
	if a.at("attempts_left") != 9.0 {
		t.Errorf("attempts_left is %v, want 9", a.at("attempts_left"))
	}
}

func wide(code string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '０' }, code)
}

func TestSameCodeInParallel(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	const n = 100
	ids, tokens := make([]string, n), make([]string, n)
	for i := range n {
		if i%4 == 0 { // four requests share each attempt
			ids[i], tokens[i] = w.begin(maya)
		} else {
			ids[i], tokens[i] = ids[i-1], tokens[i-1]
		}
	}
	code := w.code(maya)
	var wg sync.WaitGroup
	answers := make([]answer, n)
	for i := range n {
		wg.Go(func() {
			answers[i] = w.post("/api/v1/attempts/"+ids[i]+"/verify", tokens[i], object{"method": "totp", "code": code})
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, a := range answers {
		count[fmt.Sprintf("%d %v", a.status, a.json["code"])]++
	}
	if count["200 <nil>"] != 1 {
		t.Errorf("not exactly one success: %v", count)
	}
	delete(count, "200 <nil>")
	delete(count, "422 code_used")
	delete(count, "409 conflict") // the attempt that was completed
	if len(count) > 0 {
		t.Errorf("answers that should not be: %v", count)
	}
}

// cve-1 to 5, 8 to 10, B: what is left, then a pause; a try in it counts for
// nothing, on any attempt, even if it is right.
func TestPause(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	b := w.browser()
	b.signIn(maya) // a known browser: the password stays good for it (ruling 10)
	b.jar = map[string]string{cookies.Browser(): b.jar[cookies.Browser()]}
	begin := func() string {
		return b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "maya", "password": sallyporttest.Password}}).want(201).str("id")
	}
	verify := func(id, code string) answer {
		return b.do(call{method: "POST", path: "/api/v1/attempts/" + id + "/verify?company=acme", body: object{"method": "totp", "code": code}})
	}
	ids := []string{begin(), begin()}
	for left := 9; left >= 0; left-- {
		a := verify(ids[left%2], w.WrongCode(t, maya.Secret)).refused(authn.WrongCode)
		if a.at("attempts_left") != float64(left) {
			t.Fatalf("attempts_left is %v, want %d", a.at("attempts_left"), left)
		}
		if (a.at("retry_after") != nil) != (left == 0) {
			t.Errorf("retry_after is %v with %d left", a.at("retry_after"), left)
		}
	}
	for _, code := range []string{w.code(maya), w.WrongCode(t, maya.Secret)} { // 30 s later
		w.Clock.Advance(-time.Second)
		a := verify(ids[0], code).refused(authn.Paused)
		w.Clock.Advance(time.Second)
		if a.at("retry_after") != 1.0 || a.header.Get("Retry-After") != "1" || a.at("attempts_left") != nil || a.str("expires_at") == "" {
			t.Errorf("paused: %s %v", a.body, a.header)
		}
	}
	if a := b.do(call{method: "GET", path: "/api/v1/attempts/" + begin() + "?company=acme"}).want(200); a.at("methods.0.paused_until") != nil {
		t.Errorf("the pause is over: %s", a.body)
	}
	// The next wrong one pauses for twice as long, also for a new attempt.
	a := verify(ids[1], w.WrongCode(t, maya.Secret)).refused(authn.WrongCode)
	if a.at("retry_after") != 60.0 || a.at("attempts_left") != 0.0 {
		t.Errorf("eleventh: %s", a.body)
	}
	id := begin()
	if a := b.do(call{method: "GET", path: "/api/v1/attempts/" + id + "?company=acme"}).want(200); a.str("methods.0.paused_until") == "" {
		t.Errorf("no pause shown: %s", a.body)
	}
	verify(id, w.code(maya)).refused(authn.Paused)
	w.Clock.Advance(31 * time.Second)
	verify(id, w.code(maya)).want(200)
}

// NIST 3.2.2: at the end of its share a lane is locked, right code or not.
func TestLocked(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	b := w.browser()
	b.signIn(maya)
	lock(b, maya)
	a := b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "maya", "password": sallyporttest.Password}}).want(201)
	if a.at("methods.0.locked") != true {
		t.Errorf("begin: %s", a.body)
	}
	b.do(call{method: "POST", path: "/api/v1/attempts/" + a.str("id") + "/verify?company=acme", body: object{"method": "totp", "code": b.code(maya)}}).refused(authn.Locked)
	// The strangers' lane is not the known browser's (ruling 10).
	w.signIn(maya)
}

// lock uses up the share of a known browser.
func lock(b *browser, p sallyporttest.Person) {
	b.t.Helper()
	for range authn.ShareKnown {
		b.Clock.Advance(time.Hour)
		a := b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": b.slug(p), "login": p.Login, "password": sallyporttest.Password}}).want(201)
		b.do(call{method: "POST", path: "/api/v1/attempts/" + a.str("id") + "/verify?company=" + b.slug(p),
			body: object{"method": "totp", "code": b.WrongCode(b.t, p.Secret)}}).refused(authn.WrongCode)
	}
	b.Clock.Advance(2 * time.Hour)
}

// F5, cve-15, cve-16: every spelling that leads to a person leads to one count;
// a name that leads to nobody is paused alike.
func TestWrongPasswordsPause(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	for _, spellings := range [][]string{{"maya", "MAYA ", "ｍａｙａ", maya.Email, strings.ToUpper(maya.Email)}, {"nobody", "NOBODY ", "ｎｏｂｏｄｙ", "Nobody", " nobody"}} {
		for n := range policy.FreeTries {
			login := spellings[n%len(spellings)]
			w.post("/api/v1/attempts", "", object{"company": "acme", "login": login, "password": "not the right one"}).refused(authn.WrongCredentials)
		}
		for _, login := range spellings {
			a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": login, "password": sallyporttest.Password}).refused(authn.Paused)
			if a.at("retry_after") != 30.0 || a.header.Get("Retry-After") != "30" {
				t.Errorf("%s: %s", login, a.body)
			}
		}
	}
}

// cve-1, cve-4, cve-5, inv-B (AuthQuake): many half-logins, all guessing at
// once, share one count.
func TestManyAttemptsShareOneCount(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	const n = 60
	calls := make([]call, n)
	for i := range n {
		id, token := w.begin(maya)
		calls[i] = call{method: "POST", path: "/api/v1/attempts/" + id + "/verify", bearer: token, body: object{"method": "totp", "code": w.WrongCode(t, maya.Secret)}}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[any]int{}
	for _, c := range calls {
		for range 3 {
			wg.Go(func() {
				a := w.do(c)
				mu.Lock()
				defer mu.Unlock()
				count[a.json["code"]]++
			})
		}
	}
	wg.Wait()
	if count["wrong_code"] != policy.FreeTries || count["wrong_code"]+count["paused"] != 3*n {
		t.Errorf("evaluated: %v", count)
	}
	// Ruling 10: ten wrong codes after the right password, from strangers.
	w.Clock.Advance(time.Minute)
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password}).refused(authn.WrongCredentials)
}

func TestTooManyRequests(t *testing.T) {
	w := newWorld(t, fewRequests)
	w.AddUser(t, w.Company, "maya", true)
	begin := object{"company": "acme", "login": "maya", "password": sallyporttest.Password}
	w.post("/api/v1/attempts", "", begin).want(201)
	// cve-20: no header makes it another network.
	for _, h := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip"} {
		a := w.do(call{method: "POST", path: "/api/v1/attempts", body: begin, header: map[string]string{h: "192.0.2.77"}}).refused(authn.TooManyRequests)
		if a.at("retry_after") != 30.0 || a.header.Get("Retry-After") != "30" {
			t.Errorf("%s: %s", h, a.body)
		}
	}
}

// fewRequests lets an address begin one sign-in in 30 seconds.
func fewRequests(c *sallyport.Config) {
	c.Addresses = throttle.NewAddresses(throttle.AddressesConfig{Now: c.Now, IPv4Address: throttle.Rate{PerMinute: 2, Burst: 1}})
}

func TestAttemptExpires(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	id, token := w.begin(maya)
	w.Clock.Advance(15*time.Minute - time.Second)
	w.get("/api/v1/attempts/"+id, token).want(200)
	w.Clock.Advance(time.Second)
	for _, c := range attemptCalls(id, w.Code(t, maya.Secret)) {
		c.bearer = token
		w.do(c).refused(authn.Expired)
	}
}

func attemptCalls(id, code string) []call {
	path := "/api/v1/attempts/" + id
	return []call{
		{method: "GET", path: path},
		{method: "POST", path: path + "/challenge", body: object{"method": "totp"}},
		{method: "POST", path: path + "/verify", body: object{"method": "totp", "code": code}},
		{method: "POST", path: path + "/complete", body: object{}},
	}
}

// Ruling 3: what changed in between ends what was begun before.
func TestAttemptEndsWithTheAccount(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(u string) error{
		"suspended": func(u string) error { return w.Directory.SetStatus(t.Context(), w.Company, u, authn.Suspended) },
		"password": func(u string) error {
			return w.Directory.SetPassword(t.Context(), w.Company, u, "seven small lamps outside")
		},
		"factors": func(u string) error { return w.Directory.ResetFactors(t.Context(), w.Company, u) },
	} {
		p := w.AddUser(t, w.Company, name, true)
		id, token := w.begin(p)
		session := w.signIn(p)
		if err := change(p.Login); err != nil {
			t.Fatal(err)
		}
		for _, c := range attemptCalls(id, w.Code(t, p.Secret)) {
			c.bearer = token
			if a := w.do(c); a.status != 404 && a.status != 410 {
				t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.body)
			}
		}
		w.get("/api/v1/session", session).refused(authn.Unauthenticated)
	}
}

// cve-33, cve-36: nothing that the client says makes an attempt further than it is.
func TestStepsCannotBeSkipped(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	id, token := w.begin(maya)
	path := "/api/v1/attempts/" + id
	for _, body := range []any{
		"", "{}", object{"state": "complete"}, object{"method": "totp"}, object{"method": "totp", "code": ""}, object{"method": ""},
		object{"method": "password", "password": sallyporttest.Password}, object{"method": "backup_code", "code": "123456"},
		object{"method": "totp", "code": nil}, object{"method": "totp", "code": []string{"123456"}}, object{"method": "totp", "code": 123456},
		object{"method": "totp", "code": "123456", "factor": "fac_06gvqojiq1tch8gdppkvf1jp7k"}, object{"code": "123456"},
		object{"method": "bypass_code", "code": "123456"}, object{"method": "totp", "code": "123456", "verified": true},
	} {
		for _, step := range []string{"/verify", "/complete", "/challenge"} {
			if a := w.post(path+step, token, body); a.status < 400 && step != "/challenge" || bytes.Contains(a.body, []byte("sp_ses_")) {
				t.Errorf("%s %v: %d %s", step, body, a.status, a.body)
			}
		}
	}
	// None of it was a guess.
	if a := w.post(path+"/verify", token, object{"method": "totp", "code": w.WrongCode(t, maya.Secret)}).refused(authn.WrongCode); a.at("attempts_left") != 9.0 {
		t.Errorf("attempts_left is %v, want 9", a.at("attempts_left"))
	}
	w.post(path+"/verify", token, object{"method": "totp", "code": w.code(maya), "trust_browser": true}).refused(authn.PolicyForbids)
	w.post(path+"/verify", token, object{"method": "totp", "code": w.code(maya), "factor": maya.Factor}).want(200)
}

func TestCompany(t *testing.T) {
	w := newWorld(t)
	w.AddUser(t, w.Company, "maya", true)
	w.post("/api/v1/attempts", "", object{"login": "maya", "password": sallyporttest.Password}).field("company", "required")
	w.post("/api/v1/attempts", "", object{"company": "no-such", "login": "maya", "password": sallyporttest.Password}).refused(authn.NotFound)
	w.post("/api/v1/attempts", "", object{"company": "globex", "login": "maya", "password": sallyporttest.Password}).refused(authn.WrongCredentials)
	s := sallyporttest.NewServer(t)
	one := &world{Server: s, t: t}
	one.AddUser(t, s.Company, "maya", true)
	one.post("/api/v1/attempts", "", object{"login": "maya", "password": sallyporttest.Password}).want(201)
}

// std-59, cve-64.
func TestReturnTo(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", false)
	session := w.signIn(maya)
	for _, bad := range []string{
		"//evil.example", `/\evil.example`, `\\evil.example`, "https://evil.example", "https:evil.example", "/%2f%2fevil.example", "javascript:alert(1)",
		"evil.example", "/a\tb", "/a\nb", "//user@evil.example", "/../..//evil", "/%5cevil.example", "/" + strings.Repeat("a", 2000), "/é",
	} {
		why := "invalid"
		if !strings.HasPrefix(bad, "/") {
			why = "unknown_address" // no path, and not an address of a key either
		}
		w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password, "return_to": bad}).field("return_to", why)
		w.post("/api/v1/account/step-up", session, object{"return_to": bad}).field("return_to", why)
	}
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password, "return_to": "/a?b=c#d"}).want(201)
	for _, bad := range []string{"Billing", "a b", ".a", "a.", "a..b", "a/b", strings.Repeat("a", 65)} {
		w.post("/api/v1/account/step-up", session, object{"action": bad}).field("action", "action_name")
	}
}

// std-53: signing in again in one browser ends the session it had.
func TestSecondSignInEndsTheFirst(t *testing.T) {
	w := newWorld(t)
	omar := w.AddUser(t, w.Company, "omar", false)
	begin := object{"company": "acme", "login": omar.Login, "password": sallyporttest.Password}
	jar := map[string]string{}
	var tokens []string
	for range 2 {
		a := w.do(call{method: "POST", path: "/api/v1/attempts", body: begin, header: map[string]string{"Origin": w.URL}, cookies: jar}).want(201)
		token, ok := a.cookie(cookies.Session())
		if !ok || token == "" {
			t.Fatal("no session cookie")
		}
		jar[cookies.Session()], tokens = token, append(tokens, token)
	}
	w.get("/api/v1/session", tokens[0]).refused(authn.Unauthenticated)
	w.get("/api/v1/session", tokens[1]).want(200)
}
