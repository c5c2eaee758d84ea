package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// A page of the server: the question is of the browser that asked it, and the session
// goes into a cookie, in place of the one before (std-53).
func TestPasskeyByCookie_N1(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	keys := w.keysOf(maya)
	b, other := w.browser(), w.browser()
	b.signIn(maya)
	before := b.jar[cookies.Session()]
	ask := func() object {
		a := b.do(call{method: "POST", path: "/api/v1/passkeys", body: object{"company": "acme"}}).want(200)
		return object{"company": "acme", "credential": w.credentialOf(keys.Sign(a.asked("options")))}
	}
	other.do(call{method: "POST", path: "/api/v1/passkeys", body: object{"company": "acme"}}).want(200)
	answered := ask()
	for _, a := range []answer{other.do(call{method: "POST", path: "/api/v1/passkeys/verify", body: answered}), w.post("/api/v1/passkeys/verify", "", answered)} {
		if a.refused(authn.Expired); a.str("fields.0.name") != "credential" {
			t.Errorf("another browser: %s", a.body)
		}
	}
	a := b.do(call{method: "POST", path: "/api/v1/passkeys/verify", body: answered}).want(201)
	if a.str("state") != "complete" || a.str("session.token") != "" || b.jar[cookies.Session()] == before {
		t.Errorf("%s", a.body)
	}
	w.get("/api/v1/session", before).refused(authn.Unauthenticated)
	b.do(call{method: "GET", path: "/api/v1/session"}).want(200)

	// A fresh proof, by cookie as well.
	up := b.do(call{method: "POST", path: "/api/v1/account/step-up", body: object{}}).want(201)
	at := "/api/v1/attempts/" + up.str("id")
	sent := b.do(call{method: "POST", path: at + "/challenge?company=acme", body: object{"method": "webauthn"}}).want(200)
	done := b.do(call{method: "POST", path: at + "/verify?company=acme", body: object{"method": "webauthn", "credential": w.credentialOf(keys.Sign(sent.asked("options")))}}).want(200)
	if done.str("state") != "complete" || done.str("session.token") != "" || done.str("session.acr") != authn.AAL2 {
		t.Errorf("%s", done.body)
	}
}

// What browsers, extensions and password managers put into a credential is no mistake
// of whoever passes it on; what is too deep or too long is refused as anywhere.
func TestPasskeyOpenMembers_N1(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	in := func(change func(object)) answer {
		c := w.sameDevice(maya, nil)
		change(c)
		return w.post("/api/v1/passkeys/verify", "", object{"company": "acme", "credential": c})
	}
	in(func(c object) {
		c["authenticatorAttachment"], c["somethingNew"], c["aList"] = nil, object{"x": 1.5}, []any{nil, "x"}
		c["clientExtensionResults"] = object{"credProps": object{"rk": true, "authenticatorDisplayName": "x"}, "prf": object{"enabled": true, "results": object{"first": "AAAA", "second": nil}},
			"largeBlob": object{"blob": "AAAA"}, "uvm": []any{[]any{2, 4, 2}}, "payment": object{"browserBoundSignature": object{"signature": "AAAA"}}}
		c["response"].(object)["publicKeyAlgorithm"] = -7
	}).want(201)
	in(func(c object) { c["x"] = object{"a": object{"b": object{"c": object{"d": object{"e": object{}}}}}} }).want(201) // 8 levels with the body
	in(func(c object) {
		c["x"] = object{"a": object{"b": object{"c": object{"d": object{"e": object{"f": object{}}}}}}}
	}).refused(authn.BadRequest)
	in(func(c object) { c["x"] = strings.Repeat("x", 70_000) }).refused(authn.TooLarge)
	for name, change := range map[string]func(object){
		"no id": func(c object) { delete(c, "id") }, "no response": func(c object) { delete(c, "response") }, "response of another type": func(c object) { c["response"] = "x" },
		"padding": func(c object) { c["id"] = c["id"].(string) + "=" }, "no challenge": func(c object) { c["response"].(object)["clientDataJSON"] = "e30" },
	} {
		if a := in(change).field("credential", "invalid"); !strings.Contains(a.str("fields.0.message"), "toJSON") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

// Several companies, where a person's is not said; and none is found by a credential of
// another one.
func TestPasskeyCompany_cve57(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	w.post("/api/v1/passkeys", "", object{}).field("company", "required")
	c := w.sameDevice(maya, nil)
	w.post("/api/v1/passkeys/verify", "", object{"credential": c}).field("company", "required")
	w.post("/api/v1/passkeys/verify", "", object{"company": "globex", "credential": c}).refused(authn.Expired)
	a := w.post("/api/v1/passkeys", "", object{"company": "globex"}).want(200)
	hers := w.credentialOf(w.keysOf(maya).Sign(a.asked("options")))
	w.post("/api/v1/passkeys/verify", "", object{"company": "globex", "credential": hers}).field("credential", "unknown")
	w.post("/api/v1/passkeys/verify", "", object{"company": "acme", "credential": c}).want(201)
	for to, nonce := range map[string]string{"https://evil.example/back": backNonce, "//evil.example": ""} {
		body := object{"company": "acme", "credential": w.sameDevice(maya, nil), "return_to": to, "nonce": nonce}
		if a := w.post("/api/v1/passkeys/verify", "", body).refused(authn.Invalid); a.str("fields.0.name") != "return_to" {
			t.Errorf("%s: %s", to, a.body)
		}
	}
}

// Two passkeys: what is said of each, and that one goes without the other.
func TestPasskeysAsFactors_N1(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	session := w.signIn(maya)
	add := func(change func(*sallyporttest.Passkeys)) (string, *sallyporttest.Passkeys) {
		w.Clock.Advance(time.Second)
		keys := w.Passkeys(t)
		change(keys)
		path, credential := w.begunPasskey(session, keys)
		w.post(path+"/confirm", session, object{"credential": credential, "code": "123456"}).field("code", "unknown")
		a := w.post(path+"/confirm", session, object{"credential": credential}).want(200)
		session = a.str("session.token")
		return path, keys
	}
	first, _ := add(func(k *sallyporttest.Passkeys) { k.Synced, k.BackedUp = true, true })
	second, key := add(func(k *sallyporttest.Passkeys) {
		k.Attachment, k.Verifies, k.Transports, k.Counts = "cross-platform", false, []string{"usb"}, true
		k.AAGUID = [16]byte{0xd8, 0x52, 0x2d, 0x9f, 0x57, 0x5b, 0x48, 0x66, 0x88, 0xa9, 0xba, 0x99, 0xfa, 0x02, 0xf3, 0x5b}
	})
	want := map[string]string{
		first:  `{"attachment":"platform","attested":false,"backed_up":true,"synced":true,"user_verified":true}`,
		second: `{"aaguid":"d8522d9f-575b-4866-88a9-ba99fa02f35b","attachment":"cross-platform","attested":false,"backed_up":false,"synced":false,"user_verified":false}`,
	}
	w.promote(maya.User, directory.Owner)
	seen := 0
	for _, list := range []answer{w.get("/api/v1/account/factors", session).want(200), w.get("/api/v1/users/"+maya.ID+"/factors", session).want(200)} {
		for _, f := range list.at("items").([]any) {
			f := f.(object)
			view, _ := json.Marshal(f["webauthn"])
			if expected := want["/api/v1/account/factors/"+f["id"].(string)]; f["method"] == "webauthn" && string(view) == expected {
				seen++
			} else if f["method"] == "webauthn" || f["webauthn"] != nil {
				t.Errorf("%s, want %s", view, expected)
			}
		}
	}
	if seen != 4 {
		t.Errorf("%d of two lists of two", seen)
	}
	if a := w.do(call{method: "PATCH", path: second, bearer: session, body: object{"name": "Key on my ring", "preferred": true}}).want(200); a.str("name") != "Key on my ring" || a.at("preferred") != true {
		t.Errorf("%s", a.body)
	}
	// Each is a way of the attempt, and one question asks for both.
	a := w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password}).want(201)
	var ways []string
	for _, m := range a.at("methods").([]any) {
		ways = append(ways, fmt.Sprint(m.(object)["method"], " ", m.(object)["name"]))
	}
	if got := strings.Join(ways, ", "); got != "webauthn Key on my ring, totp <nil>, webauthn <nil>, backup_code <nil>" {
		t.Errorf("methods: %s", got)
	}
	at := "/api/v1/attempts/" + a.str("id")
	sent := w.post(at+"/challenge", a.str("token"), object{"method": "webauthn"}).want(200)
	if n := len(sent.at("options").(object)["allowCredentials"].([]any)); n != 2 {
		t.Errorf("%d are asked for", n)
	}
	signed := w.credentialOf(key.Sign(sent.asked("options")))
	w.post(at+"/verify", a.str("token"), object{"method": "webauthn", "factor": strings.TrimPrefix(first, "/api/v1/account/factors/"), "credential": signed}).field("credential", "unknown")
	done := w.post(at+"/verify", a.str("token"), object{"method": "webauthn", "credential": signed}).want(200)
	session = done.str("session.token")
	list := w.get("/api/v1/account/factors", session).want(200)
	if !bytes.Contains(list.body, []byte(`"last_used_at"`)) {
		t.Errorf("%s", list.body)
	}
	gone := w.do(call{method: "DELETE", path: first, bearer: session}).want(200)
	if left := w.get("/api/v1/account/factors", gone.str("session.token")).want(200); strings.Count(string(left.body), `"webauthn":`) != 1 {
		t.Errorf("%s", left.body)
	}
}

// inv-H, std-63: neither a challenge, nor what a device signs or what it is checked with,
// is in the log, in an event, in a refusal, or in the clear in the database.
func TestPasskeyCanary_invH_std63(t *testing.T) {
	var log sallyporttest.LogBuffer
	w := newWorld(t, func(c *sallyport.Config) {
		c.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	maya := w.AddUser(t, w.Company, "maya", true)
	session := w.signIn(maya)
	keys := w.Passkeys(t)
	secrets := map[string]string{}
	var refusals bytes.Buffer
	keep := func(a answer) answer {
		if a.status >= 400 {
			refusals.Write(a.body)
		}
		return a
	}
	note := func(what string, options json.RawMessage, credential object) {
		var o struct{ Challenge string }
		if err := json.Unmarshal(options, &o); err != nil || o.Challenge == "" {
			t.Fatal(err)
		}
		response := credential["response"].(object)
		secrets["challenge of "+what] = o.Challenge
		for _, name := range []string{"clientDataJSON", "signature", "attestationObject", "authenticatorData"} {
			if s, ok := response[name].(string); ok {
				secrets[name+" of "+what] = s
			}
		}
	}
	begun := w.post("/api/v1/account/factors", session, object{"method": "webauthn"}).want(201)
	made := w.credentialOf(keys.Make(begun.asked("webauthn.options")))
	note("set-up", begun.asked("webauthn.options"), made)
	at := "/api/v1/account/factors/" + begun.str("id")
	keep(w.post(at+"/confirm", session, object{"credential": []any{made}})).field("credential", "wrong_type")
	keep(w.post(at+"/confirm", session, `{"credential":{"id":"`+made["id"].(string)+`","response":`))
	session = w.post(at+"/confirm", session, object{"credential": made}).want(200).str("session.token")
	keep(w.post(at+"/confirm", session, object{"credential": made})).refused(authn.Conflict)

	ask := w.post("/api/v1/passkeys", "", object{"company": "acme"}).want(200)
	signed := w.credentialOf(keys.Sign(ask.asked("options")))
	note("sign-in", ask.asked("options"), signed)
	w.post("/api/v1/passkeys/verify", "", object{"company": "acme", "credential": signed}).want(201)
	keep(w.post("/api/v1/passkeys/verify", "", object{"company": "acme", "credential": signed})).refused(authn.Expired)
	ask = w.post("/api/v1/passkeys", "", object{"company": "acme"}).want(200)
	wrong := w.credentialOf(keys.SignWith(ask.asked("options"), wrongKey))
	note("a wrong one", ask.asked("options"), wrong)
	keep(w.post("/api/v1/passkeys/verify", "", object{"company": "acme", "credential": wrong})).refused(authn.WrongCode)
	id, token := w.begin(maya)
	sent := w.post("/api/v1/attempts/"+id+"/challenge", token, object{"method": "webauthn"}).want(200)
	note("an open question", sent.asked("options"), object{"response": object{}})

	w.promote(maya.User, directory.Owner)
	events := w.get("/api/v1/audit/events?limit=200", w.signIn(maya)).want(200)
	if !strings.Contains(string(events.body), "webauthn") || strings.Count(log.String(), "\n") < 12 {
		t.Error("nothing was recorded")
	}
	database, err := os.ReadFile(w.Path)
	if err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(w.Path + "-wal")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for where, held := range map[string][]byte{"log": []byte(log.String()), "events": events.body, "refusals": refusals.Bytes(), "database": append(database, wal...)} {
		for what, s := range secrets {
			raw, err := base64.RawURLEncoding.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(held, []byte(s)) || bytes.Contains(held, raw) {
				t.Errorf("the %s holds the %s", where, what)
			}
		}
	}
}
