package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/grant"
)

// The whole way of an application: the person confirms, the application shows the token
// once (I1, rul-28); and what it is told when it does not count.
func TestGrantByJSON_I1_rul28(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	boss := w.AddUser(t, w.Company, "boss", false)
	w.promote(boss.User, directory.Owner)
	_, key, err := w.Directory.CreateKey(t.Context(), directory.TheOperator(w.Company.ID), directory.NewKey{Name: "shop", Owner: boss.ID, Scopes: []string{"grants.redeem"}})
	if err != nil {
		t.Fatal(err)
	}
	const path, hash = "/api/v1/grants/redeem", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	done := w.granted(maya, object{"action": "billing.change", "request_hash": hash, "max_age": 120})
	if done.str("grant.kind") != "online" || done.str("grant.action") != "billing.change" || !strings.HasPrefix(done.str("grant.token"), "sp_grt_") ||
		done.str("grant.expires_at") != w.Clock.Now().Add(2*time.Minute).Format(time.RFC3339) || done.str("session.token") == "" {
		t.Fatalf("%s", done.body)
	}
	ask := object{"token": done.str("grant.token"), "action": "billing.change", "request_hash": hash, "user": maya.ID, "acr": "aal2", "max_age": 60}
	with := func(name string, value any) object {
		o := object{}
		for k, v := range ask {
			o[k] = v
		}
		o[name] = value
		return o
	}
	w.post(path, key.Reveal(), with("action", "webhooks.change")).field("action", "grant_other")
	w.post(path, key.Reveal(), with("request_hash", "")).field("request_hash", "grant_other")
	w.post(path, key.Reveal(), with("user", boss.ID)).field("user", "grant_other")
	w.post(path, key.Reveal(), with("token", done.str("session.token"))).refused(authn.NotFound)
	w.post(path, done.str("session.token"), ask).refused(authn.Forbidden)
	w.Clock.Advance(time.Minute)
	w.post(path, key.Reveal(), ask).refused(authn.StepUpRequired)
	a := w.post(path, key.Reveal(), with("max_age", 0)).want(200)
	if a.str("user.id") != maya.ID || a.str("session") != done.str("session.id") || a.str("acr") != "aal2" || a.str("amr.0") != "otp" || a.str("action") != "billing.change" ||
		a.str("auth_time") != w.Clock.Now().Add(-time.Minute).Format(time.RFC3339) {
		t.Errorf("%s", a.body)
	}
	w.post(path, key.Reveal(), ask).refused(authn.Conflict)
	// What is asked for has to fit together.
	session := done.str("session.token")
	w.post("/api/v1/account/step-up", session, object{"request_hash": hash}).field("action", "required")
	w.post("/api/v1/account/step-up", session, object{"action": "money.send"}).field("action", "not_registered")
	w.post("/api/v1/account/step-up", session, object{"action": "billing.change", "grant": "page"}).field("grant", "not_one_of")
	w.post("/api/v1/account/step-up", session, object{"action": "billing.change", "max_age": -1}).field("max_age", "out_of_range")
}

// A signed grant is checked with the published keys alone, and with none of another
// company's (rul-28); the key changes while both are published.
func TestSignedGrant_rul28_rul54(t *testing.T) {
	w := newWorld(t)
	maya := w.AddUser(t, w.Company, "maya", true)
	issuer := w.URL + "/api/v1/grants/" + w.Company.ID
	verifier := func(company string) *grant.Verifier {
		return &grant.Verifier{Issuer: issuer, Audience: "https://app.acme.example", Keys: &grant.Remote{URL: w.URL + "/api/v1/grants/" + company + "/keys", Now: w.Clock.Now}, Now: w.Clock.Now}
	}
	v := verifier(w.Company.ID)
	done := w.granted(maya, object{"action": "billing.change", "grant": "signed"})
	c, err := v.Verify(t.Context(), done.str("grant.token"), "billing.change", "")
	if err != nil || c.Subject != maya.ID || c.Session != done.str("session.id") || c.ACR != "aal2" || c.ID != done.str("grant.id") || c.ExpiresAt-c.IssuedAt != 60 {
		t.Fatalf("%+v %v", c, err)
	}
	if _, err := v.Verify(t.Context(), done.str("grant.token"), "billing.change", ""); err == nil {
		t.Error("twice")
	}
	if _, err := verifier(w.other.ID).Verify(t.Context(), done.str("grant.token"), "billing.change", ""); err == nil {
		t.Error("another company's keys")
	}
	// It is no token of anything here.
	w.get("/api/v1/session", done.str("grant.token")).refused(authn.Unauthenticated)
	a := w.get("/api/v1/grants/"+w.Company.ID+"/keys", "").want(200)
	if a.header.Get("Cache-Control") != "public, max-age=3600" || a.header.Get("Content-Type") != "application/jwk-set+json" || strings.Contains(string(a.body), `"d"`) {
		t.Errorf("%v %s", a.header, a.body)
	}
	w.get("/api/v1/grants/cmp_06gvqojiq1qe7alb8eh5a55tok/keys", "").refused(authn.NotFound)
	w.get("/api/v1/grants/none/keys", "").refused(authn.NotFound)
	// A day before its time the next key is there; a little later the last one is gone.
	first := a.str("keys.0.kid")
	period := int64(authn.GrantKeyLives / time.Second)
	sure := time.Unix((w.Clock.Now().Unix()/period+1)*period, 0)
	for _, x := range []struct {
		before time.Duration
		kids   int
		signs  bool
	}{{25 * time.Hour, 1, true}, {23 * time.Hour, 2, true}, {-30 * time.Minute, 2, false}, {-2 * time.Hour, 1, false}} {
		w.Clock.Advance(sure.Add(-x.before).Sub(w.Clock.Now()))
		a := w.get("/api/v1/grants/"+w.Company.ID+"/keys", "").want(200)
		if n := len(a.at("keys").([]any)); n != x.kids || (a.str("keys.0.kid") == first) != x.signs {
			t.Errorf("%v before: %s", x.before, a.body)
		}
		done := w.granted(maya, object{"action": "billing.change", "grant": "signed"})
		if _, err := v.Verify(t.Context(), done.str("grant.token"), "billing.change", ""); err != nil {
			t.Errorf("%v before: %v", x.before, err)
		}
	}
	// It ends sooner where the application says so.
	up := w.post("/api/v1/account/step-up", w.signIn(maya), object{"action": "billing.change", "grant": "signed", "max_age": 10}).want(201)
	last := w.post("/api/v1/attempts/"+up.str("id")+"/verify", up.str("token"), object{"method": "totp", "code": w.code(maya)}).want(http.StatusOK)
	if last.str("grant.expires_at") != w.Clock.Now().Add(10*time.Second).Format(time.RFC3339) {
		t.Errorf("%s", last.body)
	}
}
