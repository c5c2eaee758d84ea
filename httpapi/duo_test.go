package httpapi_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// askDuo is a challenge of an attempt; an empty option asks which ways there are.
func (w *world) askDuo(id, token, option string) answer {
	w.t.Helper()
	body := object{"method": "duo"}
	if option != "" {
		body["option"] = option
	}
	return w.post("/api/v1/attempts/"+id+"/challenge", token, body)
}

// D3: the ways that Duo offers, a push, its approval, and one session.
func TestDuoSignIn_D3_invA(t *testing.T) {
	w := newWorld(t)
	p := w.duoed("diego")
	id, token := w.begin(p)
	path := "/api/v1/attempts/" + id
	a := w.askDuo(id, token, "").want(200)
	if a.str("options.0.id") != "push:DP1" || a.str("options.0.ends") != "42" || a.at("code") != true || len(w.Duo.Pushes()) != 0 {
		t.Fatalf("options: %s", a.body)
	}
	if got := w.get(path, token).want(200); got.str("state") != "need_factor" || got.str("methods.0.duo.outcome") != "asked" {
		t.Errorf("asked: %s", got.body)
	}
	w.post(path+"/complete", token, object{}).refused(authn.Conflict)
	a = w.askDuo(id, token, "push:DP1").want(200)
	if a.at("waiting") != true || a.str("way") != "push" || a.str("expires_at") == "" || a.at("attempt") != nil {
		t.Errorf("push: %s", a.body)
	}
	if got := w.get(path, token).want(200); got.str("state") != "waiting" || got.at("session") != nil {
		t.Errorf("waiting: %s", got.body)
	}
	w.post(path+"/complete", token, object{}).refused(authn.Conflict)
	other, otherToken := w.begin(p)
	if err := w.Duo.Approve(w.lastPush().TxID); err != nil {
		t.Fatal(err)
	}
	if got := w.until(path, token, "state", "ready"); bytes.Contains(got.body, []byte("sp_")) {
		t.Errorf("ready: %s", got.body)
	}
	w.askDuo(id, token, "auto").refused(authn.Conflict)
	// The approval is of this attempt, and completes it once (rul-14).
	w.post("/api/v1/attempts/"+other+"/complete", otherToken, object{}).refused(authn.Conflict)
	var wg sync.WaitGroup
	answers := make([]answer, 30)
	for i := range answers {
		wg.Go(func() { answers[i] = w.post(path+"/complete", token, object{}) })
	}
	wg.Wait()
	got := map[int]int{}
	for _, a := range answers {
		if got[a.status]++; a.status == 200 && (a.str("session.acr") != "aal2" || !strings.Contains(fmt.Sprint(a.at("session.amr")), "pwd")) {
			t.Errorf("complete: %s", a.body)
		}
	}
	if got[200] != 1 || got[409] != len(answers)-1 {
		t.Errorf("answers: %v", got)
	}
}

// D3, D4, rul-33: every end that is no approval says why, lets nobody in, and
// leaves the attempt open.
func TestDuoRefused_D3_D4_rul33(t *testing.T) {
	w := newWorld(t)
	for reason, end := range map[string]func(string) error{
		"denied": w.Duo.Deny, "fraud": w.Duo.Fraud, "timeout": w.Duo.TimeOut, "locked_out": w.Duo.LockOut,
		"failed": func(txid string) error { return w.Duo.Set(txid, "surely", "maybe", "<script>cAnArY</script>") },
	} {
		p := w.duoed("d-" + strings.ReplaceAll(reason, "_", "-"))
		id, token := w.pushed(p)
		if err := end(w.lastPush().TxID); err != nil {
			t.Fatal(err)
		}
		a := w.until("/api/v1/attempts/"+id, token, "methods.0.duo.outcome", "refused")
		if a.str("state") != "need_factor" || a.str("methods.0.duo.reason") != reason || bytes.Contains(a.body, []byte("<script")) {
			t.Errorf("%s: %s", reason, a.body)
		}
		w.post("/api/v1/attempts/"+id+"/complete", token, object{}).refused(authn.Conflict)
		if reason != "locked_out" {
			w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "duo", "code": "123456"}).want(200)
		}
	}
}

// cve-71, cve-73: pushes are few, however many attempts ask for them; what cannot be
// an option costs none.
func TestDuoPushesAreFew_cve71(t *testing.T) {
	w := newWorld(t)
	p := w.duoed("diego")
	id, token := w.begin(p)
	calls := len(w.Duo.Calls())
	for _, option := range []string{"", "push", "push:", "carrier:DP1", ":DP1", "AUTO", "push:" + strings.Repeat("x", 500), "auto&factor=push", "sms"} {
		w.post("/api/v1/attempts/"+id+"/challenge", token, object{"method": "duo", "option": option}).field("option", "not_one_of")
	}
	if n := len(w.Duo.Calls()); n != calls {
		t.Errorf("Duo was asked %d times for nothing", n-calls)
	}
	w.post("/api/v1/attempts/"+id+"/challenge", token, object{"method": "totp", "option": "auto"}).field("option", "unknown")
	w.askDuo(id, token, "push:SOMEBODYELSES").field("option", "not_one_of")
	asked := 0
	for range 20 {
		w.Clock.Advance(2 * time.Minute)
		id, token = w.begin(p)
		if a := w.askDuo(id, token, "auto"); a.status == 200 {
			asked++
		} else if a.refused(authn.TooManyRequests); a.at("retry_after") == nil {
			t.Errorf("too many: %s", a.body)
		}
		w.askDuo(id, token, "auto").refused(authn.TooManyRequests)
	}
	if n := len(w.Duo.Pushes()); asked != n || n > 5 {
		t.Errorf("%d pushes, %d answers", n, asked)
	}
}

// D3: passcodes by text message, of the app, and spent ones.
func TestDuoPasscode_D3(t *testing.T) {
	w := newWorld(t)
	p := w.duoed("diego")
	id, token := w.begin(p)
	a := w.askDuo(id, token, "sms:DP1").want(200)
	if a.at("waiting") != false || a.at("passcode") != true || a.str("way") != "sms" {
		t.Errorf("passcodes: %s", a.body)
	}
	if got := w.get("/api/v1/attempts/"+id, token).want(200); got.str("state") != "need_factor" || got.str("methods.0.duo.outcome") != "passcode" {
		t.Errorf("get: %s", got.body)
	}
	verify := func(id, token, code string) answer {
		return w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "duo", "code": code})
	}
	texts := w.Duo.Texts()
	code := texts[len(texts)-1].Codes[0]
	for bad, want := range map[string]string{"": "required", "12345": "too_few", "12345678901": "too_many", "12345a": "not_digits"} {
		verify(id, token, bad).field("code", want)
	}
	if a := verify(id, token, "000000").refused(authn.WrongCode); a.at("attempts_left") != 9.0 {
		t.Errorf("wrong: %s", a.body)
	}
	verify(id, token, code).want(200)
	id, token = w.begin(p)
	if a := verify(id, token, code); a.status == 200 {
		t.Errorf("a passcode twice: %s", a.body)
	}
}

// rul-33, std-64, inv-I: Duo down, slow, or talking nonsense lets nobody in.
func TestDuoDown_rul33_std64(t *testing.T) {
	w := newWorld(t)
	for name, fault := range map[string]sallyporttest.DuoFault{
		"garbage": {Body: "<html>cAnArY</html>"}, "half": {Half: true}, "fails": {Status: 500}, "empty": {Body: "{}"}, "moved": {Moved: "https://evil.example/"},
		"keys": {Code: 40103, Message: "Invalid signature cAnArY"}, "lies": {Body: `{"stat":"OK","response":{"result":"allow"}}`},
		"null": {Body: `{"stat":"OK","response":null}`}, "unknown": {Body: `{"stat":"OK","response":{"result":"welcome"}}`},
	} {
		p := w.duoed("d-" + name)
		for _, option := range []string{"", "auto"} {
			id, token := w.begin(p)
			w.Duo.Play("/auth/v2/preauth", fault)
			a := w.askDuo(id, token, option)
			if a.status != 503 && a.status != 403 && !(name == "lies" && option == "" && a.status == 200) || bytes.Contains(a.body, []byte("cAnArY")) || bytes.Contains(a.body, []byte("sp_ses_")) {
				t.Errorf("%s %q: %d %s", name, option, a.status, a.body)
			}
			if got := w.get("/api/v1/attempts/"+id, token).want(200); got.str("state") != "need_factor" {
				t.Errorf("%s %q: %s", name, option, got.body)
			}
			w.post("/api/v1/attempts/"+id+"/complete", token, object{}).refused(authn.Conflict)
		}
	}
	// A code that Duo could not judge is no guess.
	id, token := w.begin(w.duoed("diego"))
	w.Duo.Play("/auth/v2/auth", sallyporttest.DuoFault{Body: "<html>"})
	w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "duo", "code": "123456"}).refused(authn.ProviderUnavailable)
	if a := w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "duo", "code": "000000"}).refused(authn.WrongCode); a.at("attempts_left") != 9.0 {
		t.Errorf("charged: %s", a.body)
	}
}

// rul-33: "let them in" counts only where the company wants it, as what it is.
func TestDuoLetsIn_rul33(t *testing.T) {
	w := newWorld(t)
	p := w.duoed("diego")
	u := duoUser("diego")
	u.Result = "allow"
	w.Duo.AddUser(u)
	id, token := w.begin(p)
	if a := w.askDuo(id, token, "auto").refused(authn.PolicyForbids); !strings.Contains(a.str("detail"), "without asking") {
		t.Errorf("not wanted: %s", a.body)
	}
	var set object
	if err := json.Unmarshal(w.Duo.Settings(), &set); err != nil {
		t.Fatal(err)
	}
	set["let_in"] = true
	w.settings(authn.Duo, set)
	w.Clock.Advance(time.Minute)
	id, token = w.begin(p)
	a := w.askDuo(id, token, "auto").want(200)
	if a.at("waiting") != false || a.str("attempt.state") != "complete" || a.str("attempt.session.acr") != "aal1" || a.str("attempt.session.token") == "" {
		t.Fatalf("let in: %s", a.body)
	}
	w.get("/api/v1/session", a.str("attempt.session.token")).want(200)
	// By cookie the session goes where it belongs.
	b := w.browser()
	id = b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "diego", "password": sallyporttest.Password}}).want(201).str("id")
	a = b.do(call{method: "POST", path: "/api/v1/attempts/" + id + "/challenge?company=acme", body: object{"method": "duo", "option": "auto"}}).want(200)
	if bytes.Contains(a.body, []byte("sp_ses_")) || b.jar[cookies.Session()] == "" {
		t.Errorf("by cookie: %s", a.body)
	}
}

// settings saves a company's settings of a channel.
func (w *world) settings(channel authn.Kind, set any) {
	w.t.Helper()
	doc, err := json.Marshal(set)
	if err != nil {
		w.t.Fatal(err)
	}
	before, err := w.Store.Provider(w.t.Context(), w.Company.ID, channel)
	if err != nil {
		w.t.Fatal(err)
	}
	now := w.Clock.Now()
	ev := authn.Event{Company: w.Company.ID, ID: authn.NewID(authn.EventID, now, rand.Reader), Type: "provider.changed", Actor: directory.Operator, Result: authn.Succeeded, At: now}
	next := authn.Provider{Company: w.Company.ID, Channel: channel, Version: before.Version + 1, Settings: doc, UpdatedAt: now, UpdatedBy: directory.Operator}
	err = w.Store.Decide(w.t.Context(), authn.Keys{Company: w.Company.ID, Now: now}, func(*authn.Rows) authn.Verdict {
		return authn.Accept(ev, authn.SetProvider{Provider: next, Provides: true})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// D2: Duo does not know the person: its own pages, live status, one push, active.
// The addresses are told once.
func TestDuoSetUp_D2(t *testing.T) {
	w := newWorld(t)
	w.UseDuo(t, w.Company)
	maya := w.AddUser(t, w.Company, "maya", true)
	session := w.signIn(maya)
	a := w.post("/api/v1/account/factors", session, object{"method": "duo"}).want(201)
	portal := a.str("duo.portal_url")
	if a.str("duo.username") != "maya" || a.at("duo.known") != false || !strings.HasPrefix(portal, w.Duo.HTTP.URL+"/portal") {
		t.Fatalf("begin: %s", a.body)
	}
	path := "/api/v1/account/factors/" + a.str("id")
	if got := w.get(path, session).want(200); got.at("duo.enrolled") != false || bytes.Contains(got.body, []byte("portal")) {
		t.Errorf("not yet: %s", got.body)
	}
	w.get(path, w.signIn(maya)).refused(authn.NotFound) // another session of hers
	w.post(path+"/challenge", session, object{}).refused(authn.PolicyForbids)
	w.post(path+"/confirm", session, object{}).refused(authn.Conflict)
	w.Duo.Activate("maya")
	w.Clock.Advance(time.Minute)
	if got := w.get(path, session).want(200); got.at("duo.enrolled") != true {
		t.Errorf("now: %s", got.body)
	}
	if a := w.post(path+"/challenge", session, object{}).want(200); a.str("options.0.way") != "push" {
		t.Errorf("options: %s", a.body)
	}
	w.post(path+"/challenge", session, object{"option": "nonsense"}).field("option", "not_one_of")
	if a := w.post(path+"/challenge", session, object{"option": "auto"}).want(200); a.at("waiting") != true {
		t.Errorf("push: %s", a.body)
	}
	w.post(path+"/confirm", session, object{}).refused(authn.Conflict)
	if err := w.Duo.Approve(w.lastPush().TxID); err != nil {
		t.Fatal(err)
	}
	w.until(path, session, "duo.outcome", "approved")
	answers := make([]answer, 10)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = w.post(path+"/confirm", session, object{}) })
	}
	wg.Wait()
	var done answer
	for _, a := range answers {
		if a.status == 200 {
			if done.status == 200 {
				t.Error("confirmed twice")
			}
			done = a
		}
	}
	if done.str("factor.state") != "active" || done.str("factor.method") != "duo" || done.at("factor.sent_to") != nil {
		t.Fatalf("confirm: %s", done.body)
	}
	// One person at Duo is one person here.
	lena := w.AddUser(t, w.Company, "lena", true)
	w.AddDuo(t, w.AddUser(t, w.Company, "diego", false).User, "lena")
	w.Duo.AddUser(duoUser("lena"))
	w.post("/api/v1/account/factors", w.signIn(lena), object{"method": "duo"}).refused(authn.Conflict)
}

// D2, rul-1: in a sign-in, by its attempt, with a passcode.
func TestDuoInSignIn_D2_rul1(t *testing.T) {
	w := newWorld(t)
	lena := w.AddUser(t, w.Company, "lena", false)
	w.UseDuo(t, w.Company)
	w.ownWay(0)
	token := w.emailed("acme", lena).str("token")
	path := w.duoSetUp(lena, token)
	other := w.emailedAgain("acme", lena)
	for _, c := range []call{{method: "GET", path: path}, {method: "POST", path: path + "/challenge", body: object{}}, {method: "POST", path: path + "/confirm", body: object{"code": "123456"}}} {
		c.bearer = other
		w.do(c).refused(authn.NotFound)
	}
	if got := w.get(path, token).want(200); got.at("duo.enrolled") != true {
		t.Errorf("get: %s", got.body)
	}
	w.post(path+"/challenge", token, object{"option": "auto"}).want(200)
	if err := w.Duo.Deny(w.lastPush().TxID); err != nil {
		t.Fatal(err)
	}
	w.until(path, token, "duo.reason", "denied")
	w.post(path+"/confirm", token, object{}).refused(authn.Conflict)
	if a := w.post(path+"/confirm", token, object{"code": "7654321"}).want(200); a.str("state") != "ready" {
		t.Errorf("confirm: %s", a.body)
	}
	id, _ := authn.ParseToken(authn.AttemptToken, token)
	if a := w.post("/api/v1/attempts/"+id.ID+"/complete", token, object{}).want(200); a.str("session.acr") != "aal2" {
		t.Errorf("complete: %s", a.body)
	}
	// Where the company has no Duo, nobody asks for it.
	zoe := w.AddUser(t, w.other, "zoe", true)
	w.post("/api/v1/account/factors", w.signIn(zoe), object{"method": "duo"}).field("method", "not_one_of")
	zid, ztoken := w.begin(zoe)
	w.askDuo(zid, ztoken, "auto").field("method", "not_offered")
	if a := w.do(call{method: http.MethodGet, path: path + "/challenge", bearer: token}); a.status != 405 {
		t.Errorf("a GET asks Duo: %d", a.status)
	}
}
