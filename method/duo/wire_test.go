package duo

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

const testHost = "api-0badcafe.duosecurity.com"

func TestAnswer_D4_lenient(t *testing.T) {
	tests := []struct {
		name         string
		status       int
		body         string
		want, reason string
		code         int
	}{
		{"fine", 200, `{"stat":"OK","response":{"time":1}}`, `{"time":1}`, "", 0},
		{"fine, with more", 200, `{"stat":"OK","response":"waiting","metadata":{}}`, `"waiting"`, "", 0},
		{"code as text", 400, `{"stat":"FAIL","code":"40002","message":"m"}`, "", Other, 40002},
		{"code empty", 400, `{"stat":"FAIL","code":"","message":null}`, "", Other, 0},
		{"code missing", 403, `{"stat":"FAIL"}`, "", Permission, 0},
		{"code of another kind", 401, `{"stat":"FAIL","code":{"a":[1]}}`, "", Credentials, 0},
		{"code huge", 500, `{"stat":"FAIL","code":1e99}`, "", Down, 0},
		{"40103", 401, `{"stat":"FAIL","code":40103,"message":"Invalid signature in request credentials"}`, "", Credentials, 40103},
		{"40105", 401, `{"stat":"FAIL","code":40105,"message":"Bad request timestamp"}`, "", WrongClock, 40105},
		{"40301", 403, `{"stat":"FAIL","code":40301,"message":"Access forbidden"}`, "", Permission, 40301},
		{"40401", 404, `{"stat":"FAIL","code":40401}`, "", WrongHost, 40401},
		{"42901", 429, `{"stat":"FAIL","code":42901}`, "", Throttled, 42901},
		{"FAIL with 200", 200, `{"stat":"FAIL","code":40301}`, "", Permission, 40301},
		{"OK with 500", 500, `{"stat":"OK","response":{"result":"allow"}}`, "", Down, 0},
		{"OK with 302", 302, `{"stat":"OK","response":{"result":"allow"}}`, "", Garbled, 0},
		{"no stat", 200, `{"response":{"result":"allow"}}`, "", Garbled, 0},
		{"stat of another kind", 200, `{"stat":true,"response":{}}`, "", Garbled, 0},
		{"no response", 200, `{"stat":"OK"}`, "", Garbled, 0},
		{"not an object", 200, `[]`, "", Garbled, 0},
		{"HTML", 200, `<html>`, "", Garbled, 0},
		{"HTML with 502", 502, `<html>`, "", Down, 0},
		{"nothing with 429", 429, ``, "", Throttled, 0},
		{"something after it", 200, `{"stat":"OK","response":{}} x`, "", Garbled, 0},
		{"too long", 200, `{"stat":"OK","response":"` + strings.Repeat("a", maxBody) + `"}`, "", Garbled, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := answer(tt.status, []byte(tt.body), nil)
			if tt.reason == "" {
				if err != nil || string(got) != tt.want {
					t.Errorf("got %s, %v", got, err)
				}
				return
			}
			var e *Error
			if got != nil || !errors.As(err, &e) || !errors.Is(err, authn.ProviderUnavailable) {
				t.Fatalf("got %s, %v", got, err)
			}
			if e.Reason() != tt.reason || e.Code != tt.code || e.Status != tt.status {
				t.Errorf("got %s %d %d", e.Reason(), e.Code, e.Status)
			}
		})
	}
}

// std-64: of all that can be said, one pair is an approval.
func TestAnswered_D4_rul33(t *testing.T) {
	approved := 0
	for _, result := range []string{"allow", "deny", "waiting", "", "Allow", "auth", "ok"} {
		for _, status := range []string{"allow", "bypass", "deny", "fraud", "timeout", "locked_out", "pushed", "push_failed", "calling", "answered", "sent", "", "trust"} {
			got := answered(authAnswer{Result: lenient(result), Status: lenient(status)}, "swk")
			if got.Approved {
				approved++
			}
			if got.Approved != (result == "allow" && status == "allow") || got.Approved != (got.AMR == "swk") || got.Approved == (got.Reason != "") {
				t.Errorf("%s/%s: %+v", result, status, got)
			}
			want := map[string]string{"deny": "denied", "fraud": "fraud", "timeout": "timeout", "locked_out": "locked_out"}[status]
			if want == "" || result != "deny" {
				want = "failed"
			}
			if !got.Approved && got.Reason != want {
				t.Errorf("%s/%s: %s, want %s", result, status, got.Reason, want)
			}
		}
	}
	if approved != 1 {
		t.Errorf("%d pairs are approvals", approved)
	}
}

func TestVerdict_D4_unknownIsDeny(t *testing.T) {
	for result, want := range map[string]authn.OptionsVerdict{"auth": authn.Asks, "allow": authn.LetsIn, "deny": authn.Refuses, "enroll": authn.MustEnrol,
		"": authn.Refuses, "AUTH": authn.Refuses, "maybe": authn.Refuses} {
		if got := (inquiry{got: preauthAnswer{Result: lenient(result)}}).verdict(); got != want {
			t.Errorf("%q is %s, want %s", result, got, want)
		}
	}
}

func TestOptions_D3(t *testing.T) {
	var a preauthAnswer
	err := object([]byte(`{"result":"auth","devices":[
		{"device":"DP1","name":"Old","display_name":"i\u202eOS\u0007  (1242)","number":"XXX-XXX-1242","capabilities":["auto","push","sms","phone","mobile_otp","new"]},
		{"device":"DP2","type":"phone","name":"Desk","number":"XX9","capabilities":["phone",7,null]},
		{"device":"DHTOKEN","type":"token","name":"0"},
		{"device":"../x","capabilities":["push"]}, 5, {"capabilities":["push"]}, {"device":"DP3","capabilities":"push"}]}`), &a)
	if err != nil {
		t.Fatal(err)
	}
	got := inquiry{got: a}.options()
	want := []authn.Option{
		{ID: "push:DP1", Way: "push", Device: "iOS (1242)", Ends: "42"}, {ID: "phone:DP1", Way: "phone", Device: "iOS (1242)", Ends: "42"},
		{ID: "sms:DP1", Way: "sms", Device: "iOS (1242)", Ends: "42"}, {ID: "phone:DP2", Way: "phone", Device: "Desk"},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Pushed\x1b[31m a\r\nlogin\trequest": "Pushed[31m a login request", "\u202eevil\u2066x\u200b": "evilx", "a\xffb": "ab", "": "",
		strings.Repeat("é", 300): strings.Repeat("é", maxMessage), "a\u2028b\u0085c": "a b c", "żółć 漢字": "żółć 漢字",
	} {
		if got := clean(in, maxMessage); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// rul-32: a link that Duo gives leads to Duo.
func TestLink_rul32(t *testing.T) {
	real, err := New(Config{HTTP: http.DefaultClient})
	if err != nil {
		t.Fatal(err)
	}
	pretend, err := New(Config{HTTP: http.DefaultClient, Base: func(h string) string {
		if h == testHost {
			return "http://127.0.0.1:8080/duo/"
		}
		return ""
	}})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string][2]bool{
		"https://" + testHost + "/portal?code=x":               {true, true},
		"https://DuoSecurity.com:443/x":                        {true, true},
		"http://" + testHost + "/portal":                       {false, false},
		"https://duosecurity.com.evil.example/":                {false, false},
		"https://evilduosecurity.com/":                         {false, false},
		"https://evil.example/.duosecurity.com":                {false, false},
		"https://duosecurity.com@evil.example/":                {false, false},
		"https://u:p@duosecurity.com/":                         {false, false},
		"https://duosecurity.com:8443/":                        {false, false},
		"javascript:alert(1)//.duosecurity.com":                {false, false},
		"https://x\\.duosecurity.com/":                         {false, false},
		"":                                                     {false, false},
		"https://duosecurity.com/" + strings.Repeat("a", 4096): {false, false},
		"http://127.0.0.1:8080/duo/portal":                     {false, true},
		"http://127.0.0.1:8080/duox":                           {false, false},
	} {
		for i, m := range []*Method{real, pretend} {
			if got := m.link(testHost, raw); (got == raw && raw != "") != want[i] || got != "" && got != raw {
				t.Errorf("%d: %q: %q", i, raw, got)
			}
		}
	}
}

func TestPushinfo_D3(t *testing.T) {
	r := authn.Request{Company: authn.Company{Name: "Acme & Sons = 1\u202e" + strings.Repeat("ż", 5000)}, Client: authn.Client{Agent: "Chrome on Windows"}}
	got := pushinfo(r)
	if len(got) >= 20_000 {
		t.Errorf("%d bytes", len(got))
	}
	back, err := url.ParseQuery(got)
	if err != nil || back.Get("Browser") != "Chrome on Windows" || !strings.HasPrefix(back.Get("Company"), "Acme & Sons = 1ż") || back.Has("Address") || strings.Contains(got, "+") {
		t.Errorf("%v %v", back, err)
	}
}

func TestWord_D3(t *testing.T) {
	stepUp, signIn := &authn.Attempt{Purpose: authn.StepUp}, &authn.Attempt{Purpose: authn.SignIn}
	for want, r := range map[string]authn.Request{
		"Sign-in": {Attempt: signIn, Factor: authn.Factor{State: authn.Confirmed}}, "Set-up": {Attempt: signIn, Factor: authn.Factor{State: authn.Pending}},
		"Confirmation": {Attempt: stepUp, Factor: authn.Factor{State: authn.Confirmed}}, "Factor remove": {Attempt: stepUp, Action: "factor.remove"},
	} {
		if got := word(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := word(authn.Request{Action: "\x00."}); got != "Confirmation" {
		t.Errorf("%q", got)
	}
}

// What the clocks differ by is kept for each host, and not for ever.
func TestOffsets_bounded(t *testing.T) {
	var o offsets
	for i := range maxHosts + 5 {
		o.set(strings.Repeat("h", i%50)+string(rune('0'+i)), time.Second)
	}
	if len(o.by) > maxHosts {
		t.Errorf("%d hosts", len(o.by))
	}
	o.set("a", time.Minute)
	if o.get("a") != time.Minute || o.get("b") != 0 {
		t.Error("wrong offset")
	}
}

// showable reports whether a page may show s.
func showable(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"stat":"OK","response":{}}`))
	f.Add(401, []byte(`{"stat":"FAIL","code":"40103","message":"\u202e","message_detail":"x"}`))
	f.Add(500, []byte(`{`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		raw, err := answer(status, body, nil)
		if err == nil {
			if status != http.StatusOK || !json.Valid(raw) {
				t.Errorf("%d %q passes", status, body)
			}
			return
		}
		var e *Error
		if raw != nil || !errors.Is(err, authn.ProviderUnavailable) || !errors.As(err, &e) {
			t.Fatalf("%v", err)
		}
		if !showable(e.Message) || utf8.RuneCountInString(e.Message) > 2*maxMessage+3 || e.Reason() == "" {
			t.Errorf("%+v", e)
		}
	})
}

func FuzzPreauth(f *testing.F) {
	f.Add([]byte(`{"result":"auth","devices":[{"device":"DP1","capabilities":["push"],"number":"+46 42","name":"x"}],"txid":"t","verification_code":123}`))
	f.Add([]byte(`{"result":"enroll","enroll_portal_url":"https://api-0badcafe.duosecurity.com/portal"}`))
	f.Add([]byte(`{"devices":{"a":1}}`))
	m, err := New(Config{HTTP: http.DefaultClient})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a preauthAnswer
		if object(raw, &a) != nil {
			return
		}
		in := inquiry{got: a}
		if in.verdict() == authn.Asks && a.Result != "auth" || (in.mustAsk() == nil) != (a.Result == "auth") {
			t.Errorf("%q: %s", a.Result, in.verdict())
		}
		for _, o := range in.options() {
			if !showable(o.Device) || utf8.RuneCountInString(o.Device) > maxLabel || len(o.Ends) != 0 && len(o.Ends) != 2 || len(o.ID) > 140 {
				t.Errorf("%+v", o)
			}
		}
		if len(in.options()) > maxDevices*len(ways) {
			t.Error("too many options")
		}
		if txid, number := a.verified(); (txid == "") != (number == "") || !isDigits(number) && number != "" {
			t.Errorf("%q %q", txid, number)
		}
		if link := m.link(testHost, string(a.Portal)); link != "" && !strings.HasPrefix(strings.ToLower(link), "https://") {
			t.Errorf("%q", link)
		}
	})
}

func FuzzAuthStatus(f *testing.F) {
	f.Add([]byte(`{"result":"allow","status":"allow","status_msg":"ok"}`))
	f.Add([]byte(`{"result":["allow"],"status":"bypass"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a authAnswer
		if object(raw, &a) != nil {
			return
		}
		got := answered(a, "tel")
		if got.Approved && (a.Result != "allow" || a.Status != "allow") || !showable(got.Message) || !got.Approved && got.Reason == "" {
			t.Errorf("%q: %+v", raw, got)
		}
	})
}
