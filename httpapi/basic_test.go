package httpapi_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
)

// H4, cve-31, cve-56: login and secret of an API account open what its role lists, in
// Basic authentication, and nothing else in any way.
func TestBasic_H4_cve31_cve56(t *testing.T) {
	w := newWorld(t)
	who := directory.TheOperator(w.Company.ID)
	if _, err := w.Directory.SaveRole(t.Context(), who, directory.RoleChange{Name: "reader", Title: "Reader", Permissions: []string{"audit.read"}}); err != nil {
		t.Fatal(err)
	}
	maya, bot := w.AddUser(t, w.Company, "maya", false), w.AddUser(t, w.Company, "build-bot", false)
	on := func(role string) string {
		out, err := w.Directory.Do(t.Context(), who, directory.PersonAct{Do: directory.APIOn, Target: bot.ID, Reason: "builds",
			Args: map[string]string{"role": role, "owner": maya.ID, "networks": "127.0.0.1", "until": w.Clock.Now().Add(48 * time.Hour).Format(time.RFC3339)}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Secret
	}
	secret := on("reader")
	ask := func(path, login, secret string, headers ...string) answer {
		h := map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(login+":"+secret))}
		for i := 0; i < len(headers); i += 2 {
			h[headers[i]] = headers[i+1]
		}
		return w.do(call{method: "GET", path: path, header: h})
	}
	for range 3 {
		ask(auditPath, "acme/build-bot", secret).want(200)
	}
	ask(auditPath, "ACME/Build-Bot", secret).refused(authn.Unauthenticated) // a slug has one spelling
	ask(auditPath, "acme/Build-Bot", secret).want(200)                      // a login has many
	ask("/api/v1/roles", "acme/build-bot", secret).refused(authn.Forbidden)
	for _, login := range []string{"build-bot", "globex/build-bot", "acme/nobody", "acme/maya", "", "acme/"} {
		ask(auditPath, login, secret).refused(authn.Unauthenticated)
	}
	// What a browser sends is not what a program means.
	ask(auditPath, "acme/build-bot", secret, "Sec-Fetch-Site", "same-origin").refused(authn.Unauthenticated)
	for _, path := range []string{"/api/v1/account", "/api/v1/session", "/api/v1/providers/email", "/api/v1/account/factors"} {
		ask(path, "acme/build-bot", secret).refused(authn.Unauthenticated)
	}
	w.get(auditPath, secret).refused(authn.Unauthenticated)
	w.post("/api/v1/attempts", "", object{"company": "acme", "login": "build-bot", "password": secret}).refused(authn.WrongCredentials)

	// Another secret at once, though the one before was right a moment ago; and a
	// change that keeps the secret does not stop the program.
	was := secret
	set := w.Directory.SetStatus
	if err := set(t.Context(), w.Company, "build-bot", authn.Suspended); err != nil {
		t.Fatal(err)
	}
	ask(auditPath, "acme/build-bot", secret).refused(authn.Unauthenticated)
	if err := set(t.Context(), w.Company, "build-bot", authn.Active); err != nil {
		t.Fatal(err)
	}
	ask(auditPath, "acme/build-bot", secret).want(200)
	secret = on("reader")
	ask(auditPath, "acme/build-bot", was).refused(authn.Unauthenticated)
	ask(auditPath, "acme/build-bot", secret).want(200)

	types := map[string]int{}
	list, err := w.Audit.Events(t.Context(), w.Company.ID, authn.EventQuery{Type: "api_account.", Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range list {
		types[ev.Type+" "+ev.Personal.Detail["reason"]]++
		for _, v := range ev.Personal.Detail {
			if strings.Contains(v, directory.SecretPrefix) {
				t.Error("a secret is in the log")
			}
		}
	}
	if types["api_account.used "] != 1 || types["api_account.refused scope"] != 1 || types["api_account.refused wrong_password"] == 0 || types["api_account.refused unknown"] == 0 {
		t.Errorf("%v", types)
	}
	w.Clock.Advance(48 * time.Hour)
	ask(auditPath, "acme/build-bot", secret).refused(authn.Unauthenticated)
}
