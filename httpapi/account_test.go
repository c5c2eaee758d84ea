package httpapi_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

func secretOf(t testing.TB, s string) otp.Secret {
	t.Helper()
	secret, err := otp.DecodeSecret(s)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// A1, A2, A5, A6, std-25, cve-50, cve-53: from nothing to an app, to another
// one, to none.
func TestFactorLifeByJSON(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", false)
	plain := w.signIn(lena)
	// The password of the sign-in is no recent proof (ruling 1).
	a := w.post("/api/v1/account/factors", plain, object{"method": "totp"}).refused(authn.StepUpRequired)
	if a.at("max_age") != 600.0 || a.str("acr_values") != "aal1" || !strings.Contains(a.header.Get("WWW-Authenticate"), "insufficient_user_authentication") {
		t.Errorf("step-up: %s %v", a.body, a.header)
	}
	session := w.confirmed(lena)
	a = w.post("/api/v1/account/factors", session, object{"method": "totp"}).want(201)
	id, secret := a.str("id"), a.str("totp.secret")
	uri, err := url.Parse(a.str("totp.otpauth_uri"))
	if err != nil || uri.Scheme != "otpauth" || uri.Query().Get("secret") != secret || uri.Query().Get("issuer") != "Acme Projects" {
		t.Errorf("uri: %s", a.body)
	}
	if svg := a.str("totp.qr_svg"); !strings.HasPrefix(svg, "<svg ") || strings.Contains(svg, secret) || strings.Contains(svg, "style") {
		t.Errorf("svg: %s", svg)
	}
	if a.str("state") != "pending" || a.str("expires_at") != w.Clock.Now().Add(30*time.Minute).Format(time.RFC3339) {
		t.Errorf("pending: %s", a.body)
	}
	list := w.get("/api/v1/account/factors", session).want(200)
	if list.str("items.0.state") != "pending" || bytes.Contains(list.body, []byte(secret)) || bytes.Contains(list.body, []byte("otpauth")) {
		t.Errorf("list: %s", list.body)
	}
	// It counts for nothing yet: the password still suffices.
	other := w.signIn(lena)
	p := sallyporttest.Person{User: lena.User, Factor: id, Secret: secretOf(t, secret)}
	confirm := "/api/v1/account/factors/" + id + "/confirm"
	w.post(confirm, session, object{"code": "12345"}).field("code", "too_few")
	if a := w.post(confirm, session, object{"code": w.WrongCode(t, p.Secret)}).refused(authn.WrongCode); a.at("attempts_left") != 9.0 {
		t.Errorf("wrong: %s", a.body)
	}
	// A8: a clock that is four minutes fast.
	if a := w.post(confirm, session, object{"code": sallyporttest.CodeAt(t, p.Secret, w.Clock.Now().Add(4*time.Minute))}).refused(authn.WrongCode); a.at("clock_skew_seconds") != 240.0 {
		t.Errorf("skew: %s", a.body)
	}
	code := w.code(p)
	a = w.post(confirm, session, object{"code": code}).want(200)
	session2 := a.str("session.token")
	if a.str("factor.id") != id || a.str("factor.state") != "active" || a.at("factor.preferred") != true || a.str("session.acr") != "aal2" || session2 == "" {
		t.Errorf("confirm: %s", a.body)
	}
	for _, dead := range []string{plain, session, other} { // cve-53
		w.get("/api/v1/session", dead).refused(authn.Unauthenticated)
	}
	w.post(confirm, session2, object{"code": w.Code(t, p.Secret)}).refused(authn.Conflict)
	// Ruling 11: the code that confirmed does not sign in.
	attempt, token := w.begin(p)
	w.post("/api/v1/attempts/"+attempt+"/verify", token, object{"method": "totp", "code": code}).refused(authn.CodeUsed)
	w.post("/api/v1/attempts/"+attempt+"/verify", token, object{"method": "totp", "code": w.code(p)}).want(200)

	// A5: another app; the old one works until the new one is confirmed.
	w.post("/api/v1/account/factors", session2, object{"method": "totp"}).refused(authn.Conflict)
	w.post("/api/v1/account/factors", session2, object{"method": "totp", "replaces": "fac_06gvqojiq1tch8gdppkvf1jp7k"}).refused(authn.Conflict)
	a = w.post("/api/v1/account/factors", session2, object{"method": "totp", "replaces": id}).want(201)
	second := sallyporttest.Person{User: lena.User, Factor: a.str("id"), Secret: secretOf(t, a.str("totp.secret"))}
	list = w.get("/api/v1/account/factors?limit=1", session2).want(200)
	if list.str("items.0.id") != id || list.str("next_cursor") != id {
		t.Errorf("first page: %s", list.body)
	}
	list = w.get("/api/v1/account/factors?limit=1&cursor="+id, session2).want(200)
	if list.str("items.0.method") != "backup_code" || list.at("items.0.left") != 10.0 || list.at("items.0.preferred") != false {
		t.Errorf("second page: %s", list.body)
	}
	list = w.get("/api/v1/account/factors?limit=1&cursor="+list.str("next_cursor"), session2).want(200)
	if list.str("items.0.id") != second.Factor || list.at("next_cursor") != nil {
		t.Errorf("third page: %s", list.body)
	}
	w.signIn(p)
	a = w.post("/api/v1/account/factors/"+second.Factor+"/confirm", session2, object{"code": w.code(second)}).want(200)
	session3 := a.str("session.token")
	attempt, token = w.begin(p)
	w.post("/api/v1/attempts/"+attempt+"/verify", token, object{"method": "totp", "code": w.code(p)}).refused(authn.WrongCode)

	// Names; what is preferred is what there is.
	path := "/api/v1/account/factors/" + second.Factor
	a = w.do(call{method: "PATCH", path: path, bearer: session3, body: object{"name": "  My   phone ", "preferred": true}}).want(200)
	if a.str("name") != "My phone" || a.at("preferred") != true {
		t.Errorf("patch: %s", a.body)
	}
	w.do(call{method: "PATCH", path: path, bearer: session3, body: object{"name": "\u202eenohp"}}).field("name", "invalid")
	w.do(call{method: "PATCH", path: path, bearer: session3, body: object{"name": nil}}).field("name", "wrong_type")
	w.do(call{method: "PATCH", path: path, bearer: session3, body: object{}}).want(200)

	// A6: off, with a recent proof.
	w.Clock.Advance(11 * time.Minute)
	a = w.do(call{method: "DELETE", path: path, bearer: session3}).refused(authn.StepUpRequired)
	if a.str("acr_values") != "aal2" {
		t.Errorf("step-up: %s", a.body)
	}
	session4 := w.proveAgain(session3, second)
	a = w.do(call{method: "DELETE", path: path, bearer: session4}).want(200)
	if a.str("session.token") == "" || a.str("session.token") == session4 {
		t.Errorf("delete: %s", a.body)
	}
	w.get("/api/v1/session", session4).refused(authn.Unauthenticated)
	if list := w.get("/api/v1/account/factors", a.str("session.token")).want(200); string(bytes.TrimSpace(list.body)) != `{"items":[]}` {
		t.Errorf("list: %s", list.body)
	}
}

// proveAgain is a step-up with the app.
func (w *world) proveAgain(session string, p sallyporttest.Person) string {
	w.t.Helper()
	a := w.post("/api/v1/account/step-up", session, object{}).want(201)
	a = w.post("/api/v1/attempts/"+a.str("id")+"/verify", a.str("token"), object{"method": "totp", "code": w.code(p)}).want(200)
	return a.str("session.token")
}

func TestPendingFactorGivenUp(t *testing.T) {
	w := newWorld(t)
	session := w.confirmed(w.AddUser(t, w.Company, "lena", false))
	id := w.post("/api/v1/account/factors", session, object{"method": "totp"}).want(201).str("id")
	w.do(call{method: "PATCH", path: "/api/v1/account/factors/" + id, bearer: session, body: object{"preferred": true}}).field("preferred", "invalid")
	a := w.do(call{method: "DELETE", path: "/api/v1/account/factors/" + id, bearer: session}).want(204)
	if len(a.body) != 0 || len(a.header["Set-Cookie"]) != 0 {
		t.Errorf("delete: %s %v", a.body, a.header)
	}
	w.get("/api/v1/session", session).want(200)
	w.do(call{method: "DELETE", path: "/api/v1/account/factors/" + id, bearer: session}).refused(authn.NotFound)
	// Beginning again replaces the pending one; 30 minutes are all there is.
	first := w.post("/api/v1/account/factors", session, object{"method": "totp"}).want(201)
	second := w.post("/api/v1/account/factors", session, object{"method": "totp"}).want(201)
	w.post("/api/v1/account/factors/"+first.str("id")+"/confirm", session, object{"code": "123456"}).refused(authn.NotFound)
	w.Clock.Advance(30 * time.Minute)
	w.post("/api/v1/account/factors/"+second.str("id")+"/confirm", session, object{"code": "123456"}).refused(authn.Expired)
}

// The same with cookies: new sessions arrive as cookies, and only there.
func TestFactorLifeByCookie(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", false)
	b := w.browser()
	b.signIn(lena)
	elsewhere := w.signIn(lena)
	before := b.jar[cookies.Session()]
	renewed := func(a answer) {
		t.Helper()
		if bytes.Contains(a.body, []byte("sp_ses_")) || a.at("session.token") != nil {
			t.Errorf("%s %s: the token is in the body", a.call.method, a.call.path)
		}
		if after := b.jar[cookies.Session()]; after == before || after == "" {
			t.Errorf("%s %s: no new cookie", a.call.method, a.call.path)
		}
		w.get("/api/v1/session", before).refused(authn.Unauthenticated)
		before = b.jar[cookies.Session()]
	}
	a := b.do(call{method: "POST", path: "/api/v1/account/step-up", body: object{"action": "app.set_up", "return_to": "/account/security"}}).want(201)
	if a.str("state") != "need_password" || a.str("methods.0.method") != "password" {
		t.Errorf("step-up: %s", a.body)
	}
	path := "/api/v1/attempts/" + a.str("id")
	b.do(call{method: "POST", path: path + "/challenge?company=acme", body: object{"method": "password"}}).want(200)
	b.do(call{method: "POST", path: path + "/verify?company=acme", body: object{"method": "password", "password": "not the right one"}}).refused(authn.WrongCredentials)
	b.do(call{method: "POST", path: path + "/verify?company=acme", body: object{"method": "password", "password": sallyporttest.Password, "code": "123456"}}).field("code", "unknown")
	renewed(b.do(call{method: "POST", path: path + "/verify?company=acme", body: object{"method": "password", "password": sallyporttest.Password}}).want(200))
	w.get("/api/v1/session", elsewhere).want(200) // a step-up ends nobody else's session

	a = b.do(call{method: "POST", path: "/api/v1/account/factors", body: object{"method": "totp"}}).want(201)
	p := sallyporttest.Person{User: lena.User, Factor: a.str("id"), Secret: secretOf(t, a.str("totp.secret"))}
	renewed(b.do(call{method: "POST", path: "/api/v1/account/factors/" + p.Factor + "/confirm", body: object{"code": w.code(p)}}).want(200))
	w.get("/api/v1/session", elsewhere).refused(authn.Unauthenticated)

	renewed(b.do(call{method: "PUT", path: "/api/v1/account/password", body: object{"current": sallyporttest.Password, "new": "seven small lamps outside"}}).want(200))
	renewed(b.do(call{method: "DELETE", path: "/api/v1/account/factors/" + p.Factor}).want(200))
	b.do(call{method: "GET", path: "/api/v1/session"}).want(200)
}

// A6, policy_forbids: the last one stays where one is demanded, and none is
// begun where two-factor sign-in is off.
func TestPolicyForbids(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	lena := w.AddUser(t, w.Company, "lena", false)
	session, plain := w.signIn(maya), w.confirmed(lena)
	w.SetTwoFactor(t, "acme", policy.Required)
	w.do(call{method: "DELETE", path: "/api/v1/account/factors/" + maya.Factor, bearer: session}).refused(authn.PolicyForbids)
	w.get("/api/v1/session", session).want(200)
	w.SetTwoFactor(t, "acme", policy.Off)
	w.post("/api/v1/account/factors", plain, object{"method": "totp"}).refused(authn.PolicyForbids)
	a := w.get("/api/v1/account", plain).want(200)
	if a.at("two_factor_required") != false || len(a.at("methods").([]any)) != 0 || a.str("why.0.rule") != "switched_off" {
		t.Errorf("account: %s", a.body)
	}
}

// std-53, I1: a new token at each authentication, and the old one dies; the
// step-up prolongs nothing.
func TestStepUp(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	session := w.signIn(maya)
	before := w.get("/api/v1/session", session).want(200)
	w.Clock.Advance(20 * time.Minute)
	a := w.post("/api/v1/account/step-up", session, object{"action": "billing.change"}).want(201)
	if a.str("state") != "need_factor" || a.str("methods.0.factor") != maya.Factor {
		t.Errorf("step-up: %s", a.body)
	}
	path, token := "/api/v1/attempts/"+a.str("id"), a.str("token")
	w.get("/api/v1/session", session).want(200) // until then it stays
	// Ruling 26: the password does not count for who has a factor.
	w.post(path+"/verify", token, object{"method": "password", "password": sallyporttest.Password}).field("method", "not_offered")
	a = w.post(path+"/verify", token, object{"method": "totp", "code": w.code(maya)}).want(200)
	w.get("/api/v1/session", session).refused(authn.Unauthenticated)
	after := w.get("/api/v1/session", a.str("session.token")).want(200)
	if after.str("factor_time") != w.Clock.Now().Format(time.RFC3339) {
		t.Errorf("factor_time is %s", after.str("factor_time"))
	}
	for _, name := range []string{"auth_time", "expires_at", "acr"} {
		if after.str(name) != before.str(name) {
			t.Errorf("%s was %s and is %s", name, before.str(name), after.str(name))
		}
	}
	// The step-up of a session that is over is over, too.
	session = a.str("session.token")
	a = w.post("/api/v1/account/step-up", session, object{}).want(201)
	w.do(call{method: "DELETE", path: "/api/v1/session", bearer: session}).want(204)
	w.post("/api/v1/attempts/"+a.str("id")+"/verify", a.str("token"), object{"method": "totp", "code": w.code(maya)}).refused(authn.Expired)
}

// J1, ruling 3.
func TestChangePassword(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	lena := w.AddUser(t, w.Company, "lena", false)
	session, elsewhere, hers := w.signIn(maya), w.signIn(maya), w.signIn(lena)
	put := func(session, current, next string) answer {
		t.Helper()
		return w.do(call{method: "PUT", path: "/api/v1/account/password", bearer: session, body: object{"current": current, "new": next}})
	}
	const good = "seven small lamps outside"
	put(session, "", good).field("current", "required")
	put(session, sallyporttest.Password, "").field("new", "required")
	put(session, sallyporttest.Password, "short").field("new", "too_short")
	put(session, sallyporttest.Password, "password123456").refused(authn.Invalid)
	put(session, sallyporttest.Password, strings.Repeat("x", 5000)).field("new", "too_long")
	w.Clock.Advance(11 * time.Minute)
	put(session, sallyporttest.Password, good).refused(authn.StepUpRequired)
	session = w.proveAgain(session, maya)
	a := put(session, "not the right one", good).refused(authn.WrongCredentials)
	if a.str("fields.0.name") != "current" {
		t.Errorf("wrong: %s", a.body)
	}
	a = put(session, sallyporttest.Password, good).want(200)
	for _, dead := range []string{session, elsewhere} {
		w.get("/api/v1/session", dead).refused(authn.Unauthenticated)
	}
	w.get("/api/v1/session", a.str("session.token")).want(200)
	w.get("/api/v1/session", hers).want(200)
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password}).refused(authn.WrongCredentials)
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": good}).want(201)
}

func TestAccount(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	session := w.signIn(maya)
	a := w.get("/api/v1/account", session).want(200)
	if a.str("login") != "maya" || a.at("two_factor_required") != false || a.str("why.0.rule") != "has_factor" || a.str("why.0.text") == "" ||
		a.str("preferred_method") != "totp" || a.at("email_verified") != true || a.str("company.slug") != "acme" {
		t.Errorf("account: %s", a.body)
	}
	if err := w.Directory.SetRequire(t.Context(), w.Company, "maya", true); err != nil {
		t.Fatal(err)
	}
	session = w.signIn(maya)
	a = w.get("/api/v1/account", session).want(200)
	if a.at("two_factor_required") != true || a.str("why.0.rule") != "user_required" {
		t.Errorf("account: %s", a.body)
	}
	patch := func(body any) answer {
		return w.do(call{method: "PATCH", path: "/api/v1/account", bearer: session, body: body})
	}
	if a := patch(object{"name": "  Maya   L. ", "locale": "en"}).want(200); a.str("name") != "Maya L." || a.str("locale") != "en" {
		t.Errorf("patch: %s", a.body)
	}
	if a := patch(object{"locale": "pl"}).want(200); a.str("locale") != "pl" {
		t.Errorf("patch: %s", a.body)
	}
	// From here on the account's language holds, whatever the program asks for.
	a = w.do(call{method: "GET", path: "/api/v1/account", bearer: session, header: map[string]string{"Accept-Language": "en"}})
	if a.str("why.0.text") != "Administrator w firmie Acme Projects wymaga od Ciebie drugiego sposobu weryfikacji." {
		t.Errorf("account: %s", a.body)
	}
	if a := patch(object{"locale": ""}).want(200); a.str("name") != "Maya L." || a.at("locale") != nil {
		t.Errorf("patch: %s", a.body)
	}
	patch(object{}).want(200)
	patch(object{"name": ""}).field("name", "required")
	patch(object{"name": strings.Repeat("é", 101)}).field("name", "too_long")
	patch(object{"locale": "tlh"}).refused(authn.Invalid)
	// Nobody gives themselves anything here.
	for _, name := range []string{"roles", "login", "email", "email_verified", "id", "company", "audience", "require_two_factor", "status"} {
		patch(object{name: "owner"}).field(name, "unknown")
	}
	if a := w.get("/api/v1/account", session).want(200); a.str("name") != "Maya L." {
		t.Errorf("account: %s", a.body)
	}
}

// A person without anything optional has empty lists, never null.
func TestBareAccount(t *testing.T) {
	w := newWorld(t)
	u, err := w.Directory.CreateUser(t.Context(), w.Company, directory.NewUser{Login: "bare", Password: sallyporttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	session := w.signIn(sallyporttest.Person{User: u})
	a := w.get("/api/v1/account", session).want(200)
	if bytes.Contains(a.body, []byte("null")) || a.at("email") != nil || a.at("why") == nil {
		t.Errorf("account: %s", a.body)
	}
}

// std-30: idle and total life, and that asking counts as use.
func TestSessionTimes(t *testing.T) {
	w := newWorld(t)
	session := w.signIn(w.AddUser(t, w.Company, "lena", false))
	for range 20 {
		w.Clock.Advance(50 * time.Minute)
		a := w.get("/api/v1/session", session).want(200)
		if want := w.Clock.Now().Add(time.Hour).Format(time.RFC3339); a.str("idle_expires_at") != want {
			t.Fatalf("idle_expires_at is %s, want %s", a.str("idle_expires_at"), want)
		}
	}
	w.Clock.Advance(time.Hour)
	w.get("/api/v1/session", session).refused(authn.Unauthenticated)
	session = w.signIn(w.AddUser(t, w.Company, "omar", false))
	for range 48 {
		w.Clock.Advance(29 * time.Minute)
		w.get("/api/v1/session", session).want(200)
	}
	a := w.get("/api/v1/session", session).want(200)
	if a.str("idle_expires_at") != a.str("expires_at") { // the end of the day comes first
		t.Errorf("session: %s", a.body)
	}
	w.Clock.Advance(48 * time.Minute)
	w.get("/api/v1/session", session).refused(authn.Unauthenticated)
}

func TestListParameters(t *testing.T) {
	w := newWorld(t)
	session := w.signIn(w.AddUser(t, w.Company, "maya", true))
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=-1": "limit", "limit=201": "limit", "limit=1e1": "limit", "limit=": "limit", "limit=+1": "limit", "limit=01": "limit",
		"limit=99999999999999999999": "limit", "cursor=": "cursor", "cursor=fac_1": "cursor", "cursor=usr_06gvqojiq1qlv7438sknb41ae8": "cursor",
		"cursor=%27%20OR%201%3D1": "cursor", "limit=1&limit=2": "limit", "x=1": "x", "access_token=" + session: "access_token",
		session: "query", "%3Cb%3E=1": "query", "=1": "query", "1=1": "query", "limit%20=1": "query", "zz=1&aa=1": "aa", strings.Repeat("x", 25): "query",
	} {
		a := w.get("/api/v1/account/factors?"+query, session).refused(authn.Invalid)
		if a.str("fields.0.name") != field {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	if a := w.get("/api/v1/account/factors?cursor=fac_vvvvvvvvvvvvvvvvvvvvvvvvvs", session).want(200); len(a.at("items").([]any)) != 0 {
		t.Errorf("beyond the end: %s", a.body)
	}
}
