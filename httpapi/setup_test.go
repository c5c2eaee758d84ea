package httpapi_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// ownWay makes a company ask a way of their own of everybody inside it.
func (w *world) ownWay(graceDays int) {
	w.t.Helper()
	c, err := w.Directory.Company(w.t.Context(), "acme")
	if err != nil {
		w.t.Fatal(err)
	}
	doc := policy.Document{Format: 1, TwoFactor: policy.Required, OwnWay: []authn.Audience{authn.InternalAudience}, GraceDays: graceDays}
	if err := w.Directory.SetPolicy(w.t.Context(), c.ID, doc, c.PolicyVersion); err != nil {
		w.t.Fatal(err)
	}
}

// C1, F3, ruling 1: password, a code to the address, an app, ten backup codes,
// and only then a session.
func TestSetUpInSignIn(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", false)
	w.ownWay(0)
	a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "lena", "password": sallyporttest.Password}).want(201)
	path, token := "/api/v1/attempts/"+a.str("id"), a.str("token")
	if a.str("state") != "need_factor" || a.str("methods.0.sent_to") != "l•••@acme.example" || a.at("methods.0.fallback") != true || a.at("grace_until") != nil {
		t.Fatalf("begin: %s", a.body)
	}
	// Nobody sets anything up on a password alone.
	w.post("/api/v1/account/factors", token, object{"method": "totp"}).refused(authn.Forbidden)
	w.post(path+"/complete", token, object{}).refused(authn.Conflict)
	w.post(path+"/postpone", token, object{}).refused(authn.Conflict)
	w.post(path+"/password", token, object{"new": newPassword}).refused(authn.Conflict)

	sent := w.post(path+"/challenge", token, object{"method": "email"}).want(200)
	if sent.str("sent_to") != "l•••@acme.example" || sent.str("resend_at") != w.Clock.Now().Add(30*time.Second).Format(time.RFC3339) ||
		sent.str("expires_at") != w.Clock.Now().Add(2*time.Minute).Format(time.RFC3339) {
		t.Errorf("challenge: %s", sent.body)
	}
	w.post(path+"/verify", token, object{"method": "email", "code": wrongOf(w.LastCode(t, lena.Email))}).refused(authn.WrongCode)
	a = w.post(path+"/verify", token, object{"method": "email", "code": w.LastCode(t, lena.Email)}).want(200)
	if a.str("state") != "need_enrolment" || fmt.Sprint(a.at("methods")) != "[map[method:totp] map[method:webauthn]]" || a.at("session") != nil {
		t.Fatalf("verify: %s", a.body)
	}
	w.post(path+"/postpone", token, object{}).refused(authn.PolicyForbids)
	w.post(path+"/verify", token, object{"method": "email", "code": w.LastCode(t, lena.Email)}).field("method", "not_offered")
	// A code to the same address again is no way of one's own.
	w.post("/api/v1/account/factors", token, object{"method": "email"}).refused(authn.PolicyForbids)
	p := w.post("/api/v1/account/factors", token, object{"method": "totp"}).want(201)
	app := sallyporttest.Person{User: lena.User, Factor: p.str("id"), Secret: secretOf(t, p.str("totp.secret"))}

	// The attempt begins, sends and confirms; it lists, edits and deletes nothing.
	factor := "/api/v1/account/factors/" + app.Factor
	for _, c := range []call{
		{method: "GET", path: "/api/v1/account/factors"}, {method: "PATCH", path: factor, body: object{"name": "x"}}, {method: "DELETE", path: factor},
		{method: "POST", path: "/api/v1/account/backup-codes", body: object{}}, {method: "POST", path: "/api/v1/account/email", body: object{"email": "a@b.example"}},
		{method: "GET", path: "/api/v1/account"}, {method: "GET", path: "/api/v1/account/sessions"}, {method: "GET", path: "/api/v1/account/events"},
		{method: "PUT", path: "/api/v1/account/password", body: object{"current": sallyporttest.Password, "new": newPassword}},
	} {
		c.bearer = token
		w.do(c).refused(authn.Unauthenticated)
	}
	w.post(factor+"/send", token, object{}).refused(authn.NotFound) // nothing is sent for an app
	// Another attempt of the same person does not confirm what this one began.
	other := w.emailedAgain("acme", lena)
	w.post(factor+"/confirm", other, object{"code": w.Code(t, app.Secret)}).refused(authn.NotFound)

	a = w.post(factor+"/confirm", token, object{"code": w.code(app)}).want(200)
	if codes, _ := a.at("backup_codes").([]any); a.str("state") != "ready" || a.at("session") != nil || len(codes) != 10 || a.at("factor.preferred") != nil {
		t.Errorf("confirm: %s", a.body)
	}
	w.post(factor+"/confirm", token, object{"code": w.code(app)}).refused(authn.Forbidden)
	if got := w.get(path, token).want(200); got.str("state") != "ready" || bytes.Contains(got.body, []byte("sp_")) {
		t.Errorf("get: %s", got.body)
	}
	a = w.post(path+"/complete", token, object{}).want(200)
	if a.str("session.acr") != "aal2" || a.str("state") != "complete" {
		t.Errorf("complete: %s", a.body)
	}
	w.post(path+"/complete", token, object{}).refused(authn.Conflict)
	if got := w.get("/api/v1/account", a.str("session.token")).want(200); got.at("backup_codes_left") != 10.0 || got.str("preferred_method") != "totp" || got.at("grace_until") != nil {
		t.Errorf("account: %s", got.body)
	}
}

// emailedAgain is the token of another attempt, proven by a code too.
func (w *world) emailedAgain(slug string, p sallyporttest.Person) string {
	w.t.Helper()
	w.Clock.Advance(time.Minute)
	return w.emailed(slug, p).str("token")
}

// wrongOf is a code that is not this one.
func wrongOf(code string) string {
	if code == "123456" {
		return "654321"
	}
	return "123456"
}

// ruling 47: a browser sets up what its own sign-in asks for, and says which
// sign-in that is; the session arrives as a cookie.
func TestSetUpByCookie(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", false)
	w.ownWay(0)
	b, stranger := w.browser(), w.browser()
	begin := call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "lena", "password": sallyporttest.Password}}
	stranger.do(begin).want(201)
	id := b.do(begin).want(201).str("id")
	path := "/api/v1/attempts/" + id
	b.do(call{method: "POST", path: path + "/challenge?company=acme", body: object{"method": "email"}}).want(200)
	b.do(call{method: "POST", path: path + "/verify?company=acme", body: object{"method": "email", "code": w.LastCode(t, lena.Email)}}).want(200)

	add := call{method: "POST", path: "/api/v1/account/factors", body: object{"method": "totp"}}
	b.do(add).refused(authn.Unauthenticated) // which sign-in?
	query := "?attempt=" + id + "&company=acme"
	for _, bad := range []string{"?attempt=", "?attempt=&company=acme", "?attempt=att_x&company=acme", "?attempt=" + id + "&company=globex", "?attempt=att_06gvqojiq1u4vad9ths54dsd88&company=acme"} {
		add.path = "/api/v1/account/factors" + bad
		b.do(add).refused(authn.NotFound)
	}
	add.path = "/api/v1/account/factors" + query
	stranger.do(add).refused(authn.NotFound)
	w.do(add).refused(authn.Unauthenticated)
	add.path += "&token=x"
	b.do(add).field("token", "unknown")
	add.path = "/api/v1/account/factors" + query
	a := b.do(add).want(201)
	app := sallyporttest.Person{User: lena.User, Secret: secretOf(t, a.str("totp.secret"))}
	confirm := call{method: "POST", path: "/api/v1/account/factors/" + a.str("id") + "/confirm" + query, body: object{"code": w.code(app)}}
	stranger.do(confirm).refused(authn.NotFound)
	b.do(confirm).want(200)
	// A token says itself what it is for.
	maya := w.AddUser(t, w.Company, "maya", true)
	w.do(call{method: "POST", path: "/api/v1/account/factors" + query, bearer: w.signIn(maya), body: object{"method": "totp"}}).field("attempt", "unknown")

	complete := call{method: "POST", path: path + "/complete?company=acme", body: object{}}
	stranger.do(complete).refused(authn.NotFound)
	if a := b.do(complete).want(200); bytes.Contains(a.body, []byte("sp_ses_")) || b.jar[cookies.Session()] == "" {
		t.Errorf("complete: %s", a.body)
	}
	b.do(call{method: "GET", path: "/api/v1/session"}).want(200)
}

// A ready attempt gives one session, however many ask.
func TestCompleteOnce(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	id, token := w.ready(maya)
	var wg sync.WaitGroup
	answers := make([]answer, 30)
	for i := range answers {
		wg.Go(func() { answers[i] = w.post("/api/v1/attempts/"+id+"/complete", token, object{}) })
	}
	wg.Wait()
	got := map[string]int{}
	var session string
	for _, a := range answers {
		got[fmt.Sprint(a.status, a.json["code"])]++
		session += a.str("session.token")
	}
	if got["200 <nil>"] != 1 || got["409conflict"] != len(answers)-1 {
		t.Fatalf("answers: %v", got)
	}
	if a := w.get("/api/v1/account/sessions", session).want(200); len(a.at("items").([]any)) != 1 {
		t.Errorf("sessions: %s", a.body)
	}
	// Ruling 18: what a help code opened is aal1, and changes nothing for a day.
	if a := w.get("/api/v1/session", session).want(200); a.str("acr") != "aal1" {
		t.Errorf("session: %s", a.body)
	}
	w.post("/api/v1/account/backup-codes", session, object{}).refused(authn.PolicyForbids)
}

func TestPostpone(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", false)
	w.ownWay(7)
	a := w.emailed("acme", lena)
	until := w.Clock.Now().AddDate(0, 0, 7).Format(time.RFC3339)
	if a.str("grace_until") != until {
		t.Errorf("grace_until: %s", a.body)
	}
	path := "/api/v1/attempts/" + a.str("id")
	done := w.post(path+"/postpone", a.str("token"), object{}).want(200)
	w.post(path+"/postpone", a.str("token"), object{}).refused(authn.Conflict)
	got := w.get("/api/v1/account", done.str("session.token")).want(200)
	if done.str("session.acr") != "aal1" || got.str("grace_until") != until || got.at("two_factor_required") != true {
		t.Errorf("postponed: %s, account: %s", done.body, got.body)
	}
	w.Clock.Advance(7 * 24 * time.Hour)
	a = w.emailed("acme", lena)
	if a.at("grace_until") != nil {
		t.Errorf("the grace is over: %s", a.body)
	}
	w.post("/api/v1/attempts/"+a.str("id")+"/postpone", a.str("token"), object{}).refused(authn.PolicyForbids)
}

// A sent code that is over does not end the attempt; another one goes on.
func TestSentCodeIsOver(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", false)
	w.SetTwoFactor(t, "acme", policy.Required)
	id, token := w.begin(lena)
	path := "/api/v1/attempts/" + id
	verify := func() answer {
		return w.post(path+"/verify", token, object{"method": "email", "code": w.LastCode(t, lena.Email)})
	}
	w.post(path+"/verify", token, object{"method": "email", "code": "123456"}).refused(authn.Expired) // none was sent
	w.post(path+"/challenge", token, object{"method": "email"}).want(200)
	a := w.post(path+"/challenge", token, object{"method": "email"}).refused(authn.TooManyRequests)
	if a.at("retry_after") != 30.0 || a.header.Get("Retry-After") != "30" {
		t.Errorf("too soon: %s", a.body)
	}
	w.Clock.Advance(2 * time.Minute)
	if a := verify().refused(authn.Expired); a.str("fields.0.name") != "code" || a.str("fields.0.code") != "expired" || !strings.Contains(a.str("detail"), "Send a new one") {
		t.Errorf("over: %s", a.body)
	}
	if a := w.get(path, token).want(200); a.str("state") != "need_factor" || a.at("methods.0.expires_at") != nil || a.at("methods.0.paused_until") != nil {
		t.Errorf("attempt: %s", a.body)
	}
	w.post(path+"/challenge", token, object{"method": "email"}).want(200)
	if a := w.get(path, token).want(200); a.str("methods.0.expires_at") == "" || a.str("methods.0.resend_at") == "" {
		t.Errorf("attempt: %s", a.body)
	}
	a = verify().want(200)
	if a.str("session.acr") != "aal1" || fmt.Sprint(a.at("session.amr")) != "[pwd mca]" {
		t.Errorf("an address is no possession: %s", a.body)
	}
	w.Clock.Advance(15 * time.Minute)
	if a := verify().refused(authn.Expired); a.at("fields") != nil { // the attempt is over
		t.Errorf("over: %s", a.body)
	}
}

// Ruling 44: JSON obeys its method.
func TestMethodIsObeyed(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	codes := w.post("/api/v1/account/backup-codes", w.signIn(maya), object{}).want(201)
	id, token := w.begin(maya)
	verify := func(method, code string) answer {
		return w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": method, "code": code})
	}
	saved := codes.str("backup_codes.0")
	verify("totp", saved).field("code", "not_digits")
	verify("backup_code", w.code(maya)).field("code", "backup_code")
	verify("bypass_code", saved).field("code", "help_code")
	verify("email", w.Code(t, maya.Secret)).field("method", "not_offered")
	verify("webauthn", "123456").field("code", "unknown")
	for _, body := range []object{{"method": "totp", "credential": object{}}, {"method": "password", "password": "x", "credential": object{"id": "x"}}, {"method": "totp", "code": "123456", "credential": object{}}} {
		w.post("/api/v1/attempts/"+id+"/verify", token, body).field("credential", "unknown")
	}
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "webauthn"}).field("credential", "required")
	if a := verify("fax", "123456").field("method", "not_one_of"); a.str("fields.0.message") != "Choose one of these: totp, backup_code." {
		t.Errorf("choices: %s", a.body)
	}
	if a := w.post("/api/v1/attempts/"+id+"/challenge", token, object{"method": "email"}).field("method", "not_offered"); !strings.Contains(a.str("fields.0.message"), "totp, backup_code") {
		t.Errorf("choices: %s", a.body)
	}
	a := verify("backup_code", strings.ToLower(strings.ReplaceAll(saved, "-", " "))).want(200)
	if got := w.get("/api/v1/account", a.str("session.token")).want(200); got.at("backup_codes_left") != 9.0 {
		t.Errorf("account: %s", got.body)
	}
	id, token = w.begin(maya)
	verify("backup_code", saved).refused(authn.CodeUsed)
}

// A message that cannot be handed over ends nothing.
func TestMessageNotSent(t *testing.T) {
	w, maya := stage(t)
	c := call{}
	w.fallback(&c)
	lena := c.bearer
	id, _ := authn.ParseToken(authn.AttemptToken, lena)
	session := w.signIn(maya)
	w.mail.fails.Store(true)
	path := "/api/v1/attempts/" + id.ID
	for _, a := range []answer{
		w.post(path+"/challenge", lena, object{"method": "email"}),
		w.post("/api/v1/account/factors", session, object{"method": "email"}),
		w.post("/api/v1/account/email", session, object{"email": "maya@new.example"}),
	} {
		a.refused(authn.MessageNotSent)
		for _, s := range []string{"cAnArY", "10.1.2.3", "smtp"} {
			if bytes.Contains(a.body, []byte(s)) {
				t.Errorf("the answer holds %q: %s", s, a.body)
			}
		}
	}
	w.mail.fails.Store(false)
	w.Clock.Advance(time.Minute)
	w.post(path+"/challenge", lena, object{"method": "email"}).want(200)
	w.post("/api/v1/account/factors", session, object{"method": "email"}).want(201)
}
