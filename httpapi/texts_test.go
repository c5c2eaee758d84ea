package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// newTexted is a world whose messages can be made to fail.
func newTexted(t testing.TB, opts ...sallyporttest.Option) *world {
	t.Helper()
	m := &flaky{}
	w := newWorld(t, append([]sallyporttest.Option{m.around}, opts...)...)
	w.mail = m
	return w
}

// texts are the messages to a number, oldest first.
func (w *world) texts(to string) (list []kept) {
	for _, m := range w.Inbox.Messages() {
		if m.Channel == authn.SMS && (to == "" || m.To == to) {
			list = append(list, m)
		}
	}
	return list
}

// sendText asks for a code in an attempt.
func (w *world) sendText(id, token string) answer {
	w.t.Helper()
	return w.post("/api/v1/attempts/"+id+"/challenge", token, object{"method": "sms"})
}

func (w *world) verifyText(id, token, code string) answer {
	w.t.Helper()
	return w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "sms", "code": code})
}

// B3, B4: from the password to the session, by a code to a number.
func TestTextSignIn_B3_B4(t *testing.T) {
	w := newWorld(t)
	p := w.texted("nadia", nadiasNumber)
	a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "nadia", "password": sallyporttest.Password}).want(201)
	if a.str("methods.0.method") != "sms" || a.str("methods.0.sent_to") != "•• 05" || a.str("methods.0.factor") != p.Factor || a.at("sent") != nil {
		t.Errorf("begin: %s", a.body)
	}
	id, token := a.str("id"), a.str("token")
	path := "/api/v1/attempts/" + id
	// No GET sends anything, and no guess is taken before something was sent.
	w.get(path, token).want(200)
	w.verifyText(id, token, "123456").refused(authn.Expired)
	if n := len(w.texts("")); n != 0 {
		t.Fatalf("%d texts before anybody asked", n)
	}
	a = w.sendText(id, token).want(200)
	at := func(d time.Duration) string { return w.Clock.Now().Add(d).Format(time.RFC3339) }
	if a.str("sent_to") != "•• 05" || a.str("expires_at") != at(2*time.Minute) || a.str("resend_at") != at(30*time.Second) || a.at("waiting") != nil {
		t.Errorf("challenge: %s", a.body)
	}
	code := w.LastCode(t, nadiasNumber)
	text := w.texts(nadiasNumber)[0].Text
	if host := strings.TrimPrefix(strings.Split(w.URL, ":")[1], "//"); !strings.HasSuffix(text, "\n@"+host+" #"+code) {
		t.Errorf("the last line of %q is not bound to %s", text, host)
	}
	// Asked for twice, sent once; later the same code is sent, not another.
	if a := w.sendText(id, token).refused(authn.TooManyRequests); a.at("retry_after") != 30.0 {
		t.Errorf("at once: %s", a.body)
	}
	w.Clock.Advance(30 * time.Second)
	w.sendText(id, token).want(200)
	if sent := w.texts(nadiasNumber); len(sent) != 2 || w.LastCode(t, nadiasNumber) != code {
		t.Errorf("%d texts", len(sent))
	}
	w.post(path+"/verify", token, object{"method": "sms", "code": code, "trust_browser": true}).refused(authn.PolicyForbids)
	a = w.verifyText(id, token, code[:3]+" "+wide(code[3:])).want(200)
	if a.str("session.acr") != "aal2" || fmt.Sprint(a.at("session.amr")) != "[pwd sms]" {
		t.Errorf("verify: %s", a.body)
	}
	list := w.get("/api/v1/account/factors", a.str("session.token")).want(200)
	if list.str("items.0.sent_to") != "•• 05" || bytes.Contains(list.body, []byte("1740605")) {
		t.Errorf("list: %s", list.body)
	}
}

// std-51, cve-23, cve-49, cve-57: a code is good in its own attempt, for its own
// person, way, purpose and company, once.
func TestTextCodeIsBound_std51_cve23_cve57(t *testing.T) {
	w := newWorld(t)
	p := w.texted("nadia", nadiasNumber)
	session := func() string {
		id, token := w.begin(p)
		w.sendText(id, token).want(200)
		return w.verifyText(id, token, w.LastCode(t, nadiasNumber)).want(200).str("session.token")
	}()
	w.Clock.Advance(9 * time.Minute) // three texts to a number in ten minutes
	id, token := w.begin(p)
	w.sendText(id, token).want(200)
	code := w.LastCode(t, nadiasNumber)
	foreign := map[string]string{}

	w.Clock.Advance(time.Second)
	other, otherToken := w.begin(p)
	w.sendText(other, otherToken).want(200)
	foreign["another attempt"] = w.LastCode(t, nadiasNumber)

	lena := w.texted("lena", lenasNumber)
	lid, ltoken := w.begin(lena)
	w.sendText(lid, ltoken).want(200)
	foreign["another person"] = w.LastCode(t, lenasNumber)

	w.UseTexts(t, w.other)
	twin := w.AddUser(t, w.other, "nadia", false)
	w.AddPhone(t, twin.User, nadiasNumber)
	tid, ttoken := w.begin(twin)
	w.sendText(tid, ttoken).want(200)
	foreign["another company, the same number"] = w.LastCode(t, nadiasNumber)

	w.post("/api/v1/account/factors", session, object{"method": "email"}).want(201)
	foreign["another channel"] = w.LastCode(t, p.Email)

	up := w.post("/api/v1/account/step-up", session, object{}).want(201)
	w.sendText(up.str("id"), up.str("token")).want(200)
	foreign["a step-up"] = w.LastCode(t, nadiasNumber)

	for what, wrong := range foreign {
		if wrong == code {
			continue // one in a million
		}
		if a := w.verifyText(id, token, wrong); a.status == 200 {
			t.Fatalf("the code of %s is taken", what)
		} else {
			a.refused(authn.WrongCode)
		}
	}
	w.verifyText(id, token, code).want(200)
	// Spent: not there, not in another attempt, not with the clock set back (cve-73).
	w.verifyText(id, token, code).refused(authn.Conflict)
	w.verifyText(other, otherToken, code).refused(authn.WrongCode)
	w.Clock.Advance(-10 * time.Minute)
	fresh, freshToken := w.begin(p)
	if a := w.verifyText(fresh, freshToken, code); a.status == 200 {
		t.Errorf("a spent code signs in after the clock went back: %s", a.body)
	}
}

// inv-A, cve-24, cve-25, cve-26: fifty requests with one code give one session.
func TestTextRace_invA_cve24_cve25(t *testing.T) {
	w := newWorld(t)
	p := w.texted("nadia", nadiasNumber)
	id, token := w.begin(p)
	w.sendText(id, token).want(200)
	code := w.LastCode(t, nadiasNumber)
	answers := make([]answer, 50)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = w.verifyText(id, token, code) })
	}
	wg.Wait()
	got, session := map[string]int{}, ""
	for _, a := range answers {
		got[fmt.Sprint(a.status)]++
		session += a.str("session.token")
	}
	if got["200"] != 1 || got["200"]+got["409"]+got["410"] != len(answers) {
		t.Errorf("answers: %v", got)
	}
	if a := w.get("/api/v1/account/sessions", session).want(200); len(a.at("items").([]any)) != 1 {
		t.Errorf("sessions: %s", a.body)
	}
}

// std-17, cve-11: it is good for two minutes, to the second, and then the page goes on.
func TestTextExpires_std17_cve11(t *testing.T) {
	w := newWorld(t)
	p := w.texted("nadia", nadiasNumber)
	for _, late := range []bool{false, true} {
		id, token := w.begin(p)
		w.sendText(id, token).want(200)
		code := w.LastCode(t, nadiasNumber)
		w.Clock.Advance(2*time.Minute - time.Second)
		if !late {
			w.verifyText(id, token, code).want(200)
			continue
		}
		w.Clock.Advance(time.Second)
		if a := w.verifyText(id, token, code).refused(authn.Expired); a.str("fields.0.name") != "code" {
			t.Errorf("late: %s", a.body)
		}
		w.sendText(id, token).want(200)
		if again := w.LastCode(t, nadiasNumber); again != code {
			w.verifyText(id, token, code).refused(authn.WrongCode)
			w.verifyText(id, token, again).want(200)
		}
	}
}

// std-19, cve-1, cve-18, cve-20, cve-60: neither a new code, nor another attempt, nor
// another address, nor a step-up begins the count anew; and no answer holds a code.
func TestTextTries_std19_cve18_cve20_cve60(t *testing.T) {
	w := newWorld(t)
	w.texted("nadia", nadiasNumber)
	b := w.browser()
	begin := call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": "nadia", "password": sallyporttest.Password}}
	in := func(id, step string, body object) call {
		return call{method: "POST", path: "/api/v1/attempts/" + id + step + "?company=acme", body: body,
			header: map[string]string{"Sec-Fetch-Site": "same-origin", "X-Forwarded-For": fmt.Sprint("192.0.2.", serial.Add(1)%250)}}
	}
	send := func(id string) string {
		a := b.do(in(id, "/challenge", object{"method": "sms"})).want(200)
		code := w.LastCode(t, nadiasNumber)
		if bytes.Contains(a.body, []byte(code)) {
			t.Errorf("the answer holds the code: %s", a.body)
		}
		return code
	}
	id := b.do(begin).want(201).str("id")
	b.do(in(id, "/verify", object{"method": "sms", "code": send(id)})).want(200) // a known browser from now on
	left := policy.FreeTries
	wrong := func(id string) {
		t.Helper()
		left--
		a := b.do(in(id, "/verify", object{"method": "sms", "code": wrongOf(w.LastCode(t, nadiasNumber))})).refused(authn.WrongCode)
		if a.at("attempts_left") != float64(left) {
			t.Fatalf("attempts_left is %v, want %d", a.at("attempts_left"), left)
		}
	}
	for range 2 {
		w.Clock.Advance(10 * time.Minute) // three texts to a number
		id = b.do(begin).want(201).str("id")
		send(id)
		wrong(id)
		w.Clock.Advance(40 * time.Second)
		send(id)
		wrong(id)
		w.Clock.Advance(100 * time.Second)
		send(id) // another code
		wrong(id)
	}
	w.Clock.Advance(10 * time.Minute)
	up := b.do(call{method: "POST", path: "/api/v1/account/step-up", body: object{}}).want(201).str("id")
	code := send(up)
	for left > 0 {
		wrong(up)
	}
	// In a pause the right one counts for nothing, here and there, and none is sent.
	b.do(in(up, "/verify", object{"method": "sms", "code": code})).refused(authn.Paused)
	if a := b.do(begin).want(201); a.str("methods.0.paused_until") == "" {
		t.Errorf("another attempt: %s", a.body)
	}
	n := len(w.texts(""))
	b.do(in(up, "/challenge", object{"method": "sms"})).refused(authn.Paused)
	if len(w.texts("")) != n {
		t.Error("a text was sent in a pause")
	}
}

// B1, cve-49, cve-50: a number is set up, replaced and counts only after a code to
// it came back; what it was before is told by e-mail.
func TestPhoneSetUp_B1_cve49_cve50(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	maya := w.AddUser(t, w.Company, "maya", true)
	session := w.signIn(maya)
	a := w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": "070-174 06 05", "country": "SE"}).want(201)
	if a.str("sms.sent_to") != "•• 05" || a.str("sms.resend_at") == "" || a.at("email") != nil || a.at("totp") != nil {
		t.Errorf("begin: %s", a.body)
	}
	path := "/api/v1/account/factors/" + a.str("id")
	if got := w.get(path, session).want(200); got.str("state") != "pending" || got.str("sms.sent_to") != "•• 05" || bytes.Contains(got.body, []byte("1740605")) {
		t.Errorf("pending: %s", got.body)
	}
	// It counts for nothing yet.
	if b := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password}).want(201); bytes.Contains(b.body, []byte("sms")) {
		t.Errorf("begin: %s", b.body)
	}
	w.post(path+"/send", session, object{}).refused(authn.TooManyRequests)
	w.Clock.Advance(30 * time.Second)
	w.post(path+"/send", session, object{}).want(200)
	w.post(path+"/challenge", session, object{}).refused(authn.NotFound) // nothing outside is asked for it
	w.post(path+"/confirm", session, object{"code": wrongOf(w.LastCode(t, nadiasNumber))}).refused(authn.WrongCode)
	w.post(path+"/confirm", session, object{}).field("code", "required")
	a = w.post(path+"/confirm", session, object{"code": w.LastCode(t, nadiasNumber)}).want(200)
	if a.str("factor.state") != "active" || a.str("factor.sent_to") != "•• 05" {
		t.Errorf("confirm: %s", a.body)
	}
	session = a.str("session.token")
	w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": lenasNumber}).refused(authn.Conflict)
	next := w.post("/api/v1/account/factors", session, object{"method": "sms", "phone": lenasNumber, "replaces": a.str("factor.id")}).want(201)
	// The old number serves until the new one is confirmed, and never after.
	b := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password}).want(201)
	if !strings.Contains(string(b.body), "•• 05") {
		t.Errorf("begin: %s", b.body)
	}
	a = w.post("/api/v1/account/factors/"+next.str("id")+"/confirm", session, object{"code": w.LastCode(t, lenasNumber)}).want(200)
	w.get(path, a.str("session.token")).refused(authn.NotFound)
	if !slices.ContainsFunc(w.Mail(t, maya.Email), func(m kept) bool { return link.MatchString(m.Text) }) {
		t.Error("nobody is told of a new number")
	}
	// B2: the contact number is another one, and not theirs to change.
	for _, body := range []object{{"phone": lenasNumber}, {"phone": ""}, {"name": "M", "phone": lenasNumber}} {
		w.do(call{method: "PATCH", path: "/api/v1/account", bearer: a.str("session.token"), body: body}).refused(authn.PolicyForbids)
	}
	if got := w.get("/api/v1/account", a.str("session.token")).want(200); got.at("phone") != nil || got.str("name") != "Test maya" {
		t.Errorf("account: %s", got.body)
	}
}

// B1: what is no mobile number, or of a country that no texts go to, is refused for
// what it is; nothing is sent, and nothing is begun.
func TestPhoneBadInput_B1(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	maya := w.AddUser(t, w.Company, "maya", true)
	w.texted("nadia", nadiasNumber)
	session := w.signIn(maya)
	add := func(body object) answer {
		body["method"] = "sms"
		return w.post("/api/v1/account/factors", session, body)
	}
	for phone, code := range map[string]string{
		"": "required", "070 174 06 05": "no_country", "+46 70 CALL-ME": "letters", "+46701740605;ext=5": "letters", "112": "no_country",
		"+4670": "too_few", "+467017406050607": "too_many", "+999 123 456 789": "invalid", "+46 8 123 456 78": "not_mobile",
		"+46 900 123 45 67": "premium", "+1 800 234 5678": "premium", "+46701740605\r\nBcc: x@y.example": "letters",
		strings.Repeat("1", 50_000): "too_many", "+46" + strings.Repeat("0", 40) + "701740605": "too_many",
	} {
		a := add(object{"phone": phone}).field("phone", code)
		if a.str("fields.0.message") == "" || len(phone) > 9 && bytes.Contains(a.body, []byte(phone)) {
			t.Errorf("%.40q: %s", phone, a.body)
		}
	}
	for _, country := range []string{"", "Sweden", "XX", "se; DROP TABLE", strings.Repeat("S", 1000)} {
		add(object{"phone": "070 174 06 05", "country": country}).field("phone", "no_country")
	}
	if a := add(object{"phone": "+49 1512 3456789"}).refused(authn.PolicyForbids); !strings.Contains(a.str("detail"), "country") {
		t.Errorf("another country: %s", a.body)
	}
	if a := add(object{"phone": nadiasNumber}).refused(authn.Conflict); bytes.Contains(a.body, []byte("nadia")) {
		t.Errorf("somebody else's: %s", a.body)
	}
	for _, v := range []any{nil, 46701740605, []string{nadiasNumber}, object{"e164": nadiasNumber}, true} {
		add(object{"phone": v}).field("phone", "wrong_type")
		add(object{"phone": lenasNumber, "country": v}).field("country", "wrong_type")
	}
	w.post("/api/v1/account/factors", session, object{"method": "totp", "replaces": maya.Factor, "phone": lenasNumber}).field("phone", "unknown")
	w.post("/api/v1/account/factors", session, object{"method": "totp", "replaces": maya.Factor, "country": "SE"}).field("country", "unknown")
	w.post("/api/v1/account/factors", session, object{"method": "sms", "number": lenasNumber}).field("number", "unknown")
	if list := w.get("/api/v1/account/factors", session).want(200); bytes.Contains(list.body, []byte("pending")) || len(w.texts("")) != 0 {
		t.Errorf("begun: %s, %d texts", list.body, len(w.texts("")))
	}
	// In another company the same number is another person's to use.
	w.UseTexts(t, w.other)
	zoe := w.AddUser(t, w.other, "zoe", true)
	w.post("/api/v1/account/factors", w.signIn(zoe), object{"method": "sms", "phone": nadiasNumber}).want(201)
	// Without a provider it is not offered at all (B5).
	none := newWorld(t)
	lena := none.AddUser(t, none.Company, "lena", true)
	none.post("/api/v1/account/factors", none.signIn(lena), object{"method": "sms", "phone": nadiasNumber}).field("method", "not_one_of")
}

// Ruling 1, cve-31: in a sign-in that asks for a way, its attempt begins, sends and
// confirms a number, and no other attempt touches it.
func TestPhoneInSignIn_rul1(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	lena := w.AddUser(t, w.Company, "lena", false)
	w.ownWay(0)
	a := w.emailed("acme", lena)
	token := a.str("token")
	if fmt.Sprint(a.at("methods")) != "[map[method:sms] map[method:totp] map[method:webauthn]]" {
		t.Fatalf("methods: %s", a.body)
	}
	p := w.post("/api/v1/account/factors", token, object{"method": "sms", "phone": lenasNumber}).want(201)
	factor := "/api/v1/account/factors/" + p.str("id")
	code := w.LastCode(t, lenasNumber)
	other := w.emailedAgain("acme", lena)
	w.post(factor+"/confirm", other, object{"code": code}).refused(authn.NotFound)
	w.post(factor+"/send", other, object{}).refused(authn.NotFound)
	w.get(factor, other).refused(authn.NotFound)
	for _, c := range []call{{method: "PATCH", path: factor, body: object{"name": "x"}}, {method: "DELETE", path: factor}, {method: "GET", path: "/api/v1/account/factors"}} {
		c.bearer = token
		w.do(c).refused(authn.Unauthenticated)
	}
	w.post(factor+"/send", token, object{}).want(200) // a minute later
	if got := w.get(factor, token).want(200); got.str("sms.sent_to") != "•• 06" {
		t.Errorf("get: %s", got.body)
	}
	if a := w.post(factor+"/confirm", token, object{"code": w.LastCode(t, lenasNumber)}).want(200); a.str("state") != "ready" {
		t.Errorf("confirm: %s", a.body)
	}
	id, _ := authn.ParseToken(authn.AttemptToken, token)
	done := w.post("/api/v1/attempts/"+id.ID+"/complete", token, object{}).want(200)
	if done.str("session.acr") != "aal2" {
		t.Errorf("complete: %s", done.body)
	}
}

// std-64, inv-I: a provider that is down, slow, or says no to what it took sends
// nobody in; nothing is sent twice, and nothing of its own words comes out.
func TestTextProviderFails_std64(t *testing.T) {
	w := newTexted(t)
	p := w.texted("nadia", nadiasNumber)
	maya := w.AddUser(t, w.Company, "maya", true)
	var mu sync.Mutex
	asked := 0
	met := func(f func(context.Context) error) {
		g := func(ctx context.Context, _ authn.Message) error {
			mu.Lock()
			asked++
			mu.Unlock()
			return f(ctx)
		}
		w.mail.met.Store(&g)
	}
	words := "cAnArY +46701740605 code 123456"
	for name, f := range map[string]func(context.Context) error{
		"down": func(context.Context) error { return &authn.SendError{Stage: "connect", Reply: words} },
		"slow": func(ctx context.Context) error {
			<-ctx.Done()
			return &authn.SendError{Stage: "accept", Unsure: true, Err: ctx.Err()}
		},
		"half": func(context.Context) error { return &authn.SendError{Stage: "accept", Unsure: true, Reply: words} },
		"refuses": func(context.Context) error {
			return &authn.SendError{Stage: "accept", Permanent: true, Reason: "number", Reply: words}
		},
		"strange": func(context.Context) error { return fmt.Errorf("%s", words) },
	} {
		w.Clock.Advance(2 * time.Hour)
		id, token := w.begin(p)
		met(f)
		asked = 0
		a := w.sendText(id, token).refused(authn.MessageNotSent)
		if bytes.Contains(a.body, []byte("cAnArY")) || bytes.Contains(a.body, []byte("1740605")) || asked != 1 {
			t.Errorf("%s: asked %d times: %s", name, asked, a.body)
		}
		// It may have gone out: asking again is not for free, and the count says when.
		w.sendText(id, token).refused(authn.TooManyRequests)
		if got := w.get("/api/v1/attempts/"+id, token).want(200); got.str("state") != "need_factor" || got.str("methods.0.resend_at") == "" {
			t.Errorf("%s: %s", name, got.body)
		}
		w.mail.met.Store(nil)
		w.Clock.Advance(31 * time.Second)
		w.sendText(id, token).want(200)
		w.verifyText(id, token, w.LastCode(t, nadiasNumber)).want(200)
	}
	met(func(context.Context) error { return &authn.SendError{Stage: "connect", Reply: words} })
	a := w.post("/api/v1/account/factors", w.signIn(maya), object{"method": "sms", "phone": lenasNumber}).refused(authn.MessageNotSent)
	if bytes.Contains(a.body, []byte("cAnArY")) {
		t.Errorf("set-up: %s", a.body)
	}
}

// inv-K, rul-13, cve-72: a budget is never exceeded by one, however many ask at
// once, and its end names other ways.
func TestTextBudget_invK_rul13_cve72(t *testing.T) {
	w := newWorld(t)
	const most = 5
	type opener struct{ id, token string }
	var all []opener
	for i := range 20 {
		p := w.texted(fmt.Sprint("p", i), fmt.Sprintf("+467017406%02d", i+10))
		id, token := w.begin(p)
		all = append(all, opener{id, token})
	}
	w.UseTexts(t, w.Company, func(s *authn.TextSettings) { s.DayTexts = most })
	answers := make([]answer, len(all))
	var wg sync.WaitGroup
	for i, o := range all {
		wg.Go(func() { answers[i] = w.sendText(o.id, o.token) })
	}
	wg.Wait()
	sent := 0
	for _, a := range answers {
		if a.status == 200 {
			sent++
			continue
		}
		if a.refused(authn.TooManyRequests); a.at("retry_after") == nil || !strings.Contains(a.str("detail"), "text messages") {
			t.Errorf("refused: %s", a.body)
		}
	}
	if sent != most || len(w.texts("")) != most {
		t.Errorf("%d answers, %d texts, want %d", sent, len(w.texts("")), most)
	}
	// rul-13, cve-20: set-ups from one address are few, whatever a header says of it.
	w.UseTexts(t, w.Company)
	refused := 0
	for i := range 15 {
		p := w.AddUser(t, w.Company, fmt.Sprint("q", i), true)
		a := w.do(call{method: "POST", path: "/api/v1/account/factors", bearer: w.signIn(p), header: map[string]string{"X-Forwarded-For": fmt.Sprint("198.51.100.", i)},
			body: object{"method": "sms", "phone": fmt.Sprintf("+467017407%02d", i)}})
		if a.status != 201 {
			a.refused(authn.TooManyRequests)
			refused++
		}
	}
	if refused != 5 {
		t.Errorf("%d of 15 set-ups from one address are refused, want 5", refused)
	}
}

// C1: the code goes with the password where the company says so, and why not is said.
func TestTextSentAtOnce_C1(t *testing.T) {
	w := newTexted(t)
	w.texted("nadia", nadiasNumber)
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.SendAtOnce = true })
	begin := object{"company": "acme", "login": "nadia", "password": sallyporttest.Password}
	a := w.post("/api/v1/attempts", "", begin).want(201)
	if a.str("sent.sent_to") != "•• 05" || a.str("sent.resend_at") == "" || len(w.texts("")) != 1 {
		t.Fatalf("begin: %s", a.body)
	}
	if got := w.get("/api/v1/attempts/"+a.str("id"), a.str("token")).want(200); got.at("sent") != nil || got.str("methods.0.expires_at") == "" {
		t.Errorf("get: %s", got.body)
	}
	w.sendText(a.str("id"), a.str("token")).refused(authn.TooManyRequests)
	w.verifyText(a.str("id"), a.str("token"), w.LastCode(t, nadiasNumber)).want(200)
	// A wrong password sends nothing; too many right ones do not either.
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": "nadia", "password": "not the right one"}).refused(authn.WrongCredentials)
	for range 10 {
		a = w.post("/api/v1/attempts", "", begin).want(201)
	}
	if a.str("not_sent.code") != "too_many_requests" || a.at("not_sent.retry_after") == nil || a.str("not_sent.detail") == "" || a.at("sent") != nil || a.str("token") == "" {
		t.Errorf("too many: %s", a.body)
	}
	if n := len(w.texts("")); n > 5 {
		t.Errorf("%d texts in an hour", n)
	}
	w.Clock.Advance(24 * time.Hour)
	w.mail.fails.Store(true)
	if a := w.post("/api/v1/attempts", "", begin).want(201); a.str("not_sent.code") != "message_not_sent" || a.str("state") != "need_factor" {
		t.Errorf("provider down: %s", a.body)
	}
}

// C1, F3, rul-2: an administrator's number stands in before the address, where the
// company wants that, and shows nothing held.
func TestTextFallback_C1_rul2(t *testing.T) {
	w := newWorld(t)
	w.UseTexts(t, w.Company)
	w.SetPolicy(t, "acme", func(d *policy.Document) { d.TwoFactor, d.SMSFallback, d.OwnWay = policy.Required, true, nil })
	lena := w.AddUser(t, w.Company, "lena", false)
	k := authn.Keys{Company: lena.Company, User: lena.ID, Now: w.Clock.Now()}
	err := w.Store.Decide(t.Context(), k, func(rows *authn.Rows) authn.Verdict {
		u := *rows.User
		u.Phone, u.PhoneTrustedAt = lenasNumber, w.Clock.Now()
		return authn.Continue(authn.PutUser{User: u})
	})
	if err != nil {
		t.Fatal(err)
	}
	a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "lena", "password": sallyporttest.Password}).want(201)
	if a.str("methods.0.method") != "sms" || a.at("methods.0.fallback") != true || a.str("methods.0.sent_to") != "•• 06" || !bytes.Contains(a.body, []byte("l•••@acme.example")) {
		t.Fatalf("begin: %s", a.body)
	}
	w.sendText(a.str("id"), a.str("token")).want(200)
	a = w.verifyText(a.str("id"), a.str("token"), w.LastCode(t, lenasNumber)).want(200)
	if a.str("session.acr") != "aal1" || fmt.Sprint(a.at("session.amr")) != "[pwd mca]" {
		t.Errorf("verify: %s", a.body)
	}
	got := w.get("/api/v1/account", a.str("session.token")).want(200)
	if got.str("phone") != lenasNumber || !bytes.Contains(got.body, []byte(`"sms"`)) {
		t.Errorf("account: %s", got.body)
	}
	if list := w.get("/api/v1/account/factors", a.str("session.token")).want(200); list.at("items.0") != nil {
		t.Errorf("a stand-in is no way of one's own: %s", list.body)
	}
}

// cve-63: where the text leads back to is configuration, whatever a request says.
func TestTextHost_cve63(t *testing.T) {
	w := newWorld(t)
	id, token := w.begin(w.texted("nadia", nadiasNumber))
	w.do(call{method: "POST", path: "/api/v1/attempts/" + id + "/challenge", bearer: token, body: object{"method": "sms"}, header: map[string]string{
		"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Forwarded": "host=evil.example", "X-Host": "evil.example", "Origin": "",
		"Accept-Language": "evil.example", "User-Agent": "evil.example\t#999999", "Referer": "https://evil.example/",
	}}).want(200)
	w.do(call{method: "POST", path: "/api/v1/attempts/" + id + "/challenge", bearer: token, body: object{"method": "sms"}, host: "evil.example"}).refused(authn.WrongHost)
	for _, m := range w.texts("") {
		if strings.Contains(m.Text, "evil") || strings.Contains(m.Text, "999999") {
			t.Errorf("the text holds what the request said: %q", m.Text)
		}
	}
}
