package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// asserting is a key of an application that checks passwords itself.
func (w *world) asserting(p sallyporttest.Person, scopes ...string) (authn.APIKey, string) {
	w.t.Helper()
	company, err := w.Directory.Company(w.t.Context(), w.slug(p))
	if err != nil {
		w.t.Fatal(err)
	}
	k, token := w.AddApplication(w.t, company, "app-"+w.next(), "", append(scopes, "attempts.assert")...)
	return k, token.Reveal()
}

// rul-57: an application that signs people in by JSON, or has them sign in on our pages.
func TestReturnByJSON_rul57_cve64(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	k, key := w.keyOf(maya, "grants.redeem")
	w.returnTo(k)
	begin := func(to, nonce string) answer {
		return w.post("/api/v1/attempts", "", object{"company": "acme", "login": "maya", "password": sallyporttest.Password, "return_to": to, "nonce": nonce})
	}
	for _, to := range []string{"https://evil.example/back", "https://app.example.com/back/", "https://app.example.com:444/back", "https://app.example.com@evil.example/back", `https:\\app.example.com/back`,
		"https://app.example.com./back", "https://APP.example.com/back", "https://app.example.com/back#" + backNonce, "https://app.example.com/%62ack", "evil", "javascript:alert(1)"} {
		begin(to, backNonce).field("return_to", "unknown_address")
	}
	begin(backTo, "").field("nonce", "nonce")
	begin(backTo, "short").field("nonce", "nonce")
	begin("/account", backNonce).field("nonce", "unknown")
	begin("//evil.example", "").field("return_to", "invalid")
	handle := w.handle(maya)
	const path = "/api/v1/handles/redeem"
	_, other := w.keyOf(maya, "grants.redeem")
	w.post(path, other, object{"handle": handle}).refused(authn.NotFound)
	_, less := w.keyOf(maya, "audit.read")
	w.post(path, less, object{"handle": handle}).refused(authn.NotFound)
	w.post(path, w.signIn(maya), object{"handle": handle}).refused(authn.Unauthenticated)
	a := w.post(path, key, object{"handle": handle}).want(200)
	if a.str("kind") != "sign_in" || a.str("user.id") != maya.ID || a.str("nonce") != backNonce || a.str("acr") != "aal2" || !strings.Contains(string(a.body), `"amr":["pwd","otp"]`) || !strings.HasPrefix(a.str("session"), "ses_") {
		t.Errorf("%s", a.body)
	}
	w.post(path, key, object{"handle": handle}).refused(authn.Conflict)
	// A step-up comes back with the action in place of a grant.
	const hash = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	done := w.granted(maya, object{"action": "billing.change", "request_hash": hash, "return_to": backTo, "nonce": backNonce})
	_, handle, _ = strings.Cut(done.str("return_to"), "?handle=")
	if _, ok := done.json["grant"]; ok {
		t.Errorf("a grant besides: %s", done.body)
	}
	a = w.post(path, key, object{"handle": handle}).want(200)
	if a.str("kind") != "step_up" || a.str("action") != "billing.change" || a.str("request_hash") != hash || a.str("session") != done.str("session.id") || a.str("auth_time") != w.Clock.Now().Format(time.RFC3339) {
		t.Errorf("%s", a.body)
	}
	w.post("/api/v1/account/step-up", done.str("session.token"), object{"return_to": backTo, "nonce": backNonce}).field("action", "required")
}

// rul-22 by JSON: what the key may say, and what comes of it.
func TestVerifiedByCallerByJSON_rul22(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	k, key := w.asserting(maya)
	w.returnTo(k)
	ask := object{"user": "maya", "first_factor": "verified_by_caller", "nonce": backNonce}
	with := func(name string, value any) object {
		o := object{}
		for n, v := range ask {
			o[n] = v
		}
		o[name] = value
		return o
	}
	const path = "/api/v1/attempts"
	_, less := w.keyOf(maya, "grants.redeem")
	w.post(path, less, ask).refused(authn.Forbidden)
	w.post(path, w.signIn(maya), ask).refused(authn.Unauthenticated)
	w.post(path, "", ask).refused(authn.Invalid)
	w.post(path, key, with("first_factor", "password")).field("first_factor", "not_one_of")
	w.post(path, key, with("purpose", "step_up")).field("purpose", "not_one_of")
	w.post(path, key, with("password", sallyporttest.Password)).field("password", "unknown")
	w.post(path, key, with("company", "acme")).field("company", "unknown")
	w.post(path, key, with("client_address", "192.0.2.7")).refused(authn.Forbidden)
	w.post(path, key, with("return_to", "https://app.example.com/elsewhere")).field("return_to", "unknown_address")
	w.post(path, key, with("user", "nobody")).refused(authn.NotFound)
	w.post(path, key, with("nonce", "guess")).field("nonce", "nonce")

	a := w.post(path, key, ask).want(201)
	if a.str("state") != "need_factor" || a.str("methods.0.method") != "totp" || a.str("url") != "" {
		t.Fatalf("%s", a.body)
	}
	w.get("/api/v1/session", a.str("token")).refused(authn.Unauthenticated)
	w.post(path+"/"+a.str("id")+"/postpone", a.str("token"), object{}).refused(authn.Conflict)
	done := w.post(path+"/"+a.str("id")+"/verify", a.str("token"), object{"method": "totp", "code": w.code(maya)}).want(200)
	if _, ok := done.json["session"]; ok || done.str("state") != "complete" || done.str("result.expires_at") != w.Clock.Now().Add(time.Minute).Format(time.RFC3339) || done.header.Get("Set-Cookie") != "" {
		t.Fatalf("%s", done.body)
	}
	w.get(path+"/"+a.str("id"), a.str("token")).want(200)
	_, other := w.asserting(maya)
	w.post("/api/v1/handles/redeem", other, object{"handle": done.str("result.handle")}).refused(authn.NotFound)
	got := w.post("/api/v1/handles/redeem", key, object{"handle": done.str("result.handle")}).want(200)
	if _, ok := got.json["session"]; ok || got.str("kind") != "verified_by_caller" || !strings.Contains(string(got.body), `"amr":["caller","otp"]`) || got.str("acr") != "aal2" || got.str("nonce") != backNonce {
		t.Errorf("%s", got.body)
	}
	w.post("/api/v1/handles/redeem", key, object{"handle": done.str("result.handle")}).refused(authn.Conflict)

	_, states := w.asserting(maya, "attempts.client_address")
	w.post(path, states, with("client_address", "not an address")).field("client_address", "address")
	w.post(path, states, with("client_address", "2001:db8::7")).want(201)
	e, err := w.Directory.Export(t.Context(), directory.TheOperator(maya.Company), maya.ID)
	if err != nil {
		t.Fatal(err)
	}
	var held strings.Builder // K2: it is kept sealed, and in the copy all the same
	if err := e.Write(t.Context(), &held); err != nil || !strings.Contains(held.String(), `"address": "2001:db8::7"`) {
		t.Errorf("%v %s", err, held.String())
	}
	a = w.post(path, key, with("return_to", backTo)).want(201)
	if !strings.HasPrefix(a.str("url"), w.URL+"/second-step/sp_att_") {
		t.Errorf("%s", a.body)
	}
	done = w.post(path+"/"+a.str("id")+"/verify", a.str("token"), object{"method": "totp", "code": w.code(maya)}).want(200)
	if done.str("return_to") != backTo+"?handle="+done.str("result.handle") {
		t.Errorf("%s", done.body)
	}
}
