package httpapi_test

import (
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// route is one route with a request to it that works: made anew each time,
// for a person of the test's choice.
type route struct {
	pattern string
	kind    authn.TokenKind // of the credential; empty: none
	good    func(w *world, p sallyporttest.Person) call
	status  int
}

// inAttempt is a request with a fresh attempt of a person who has an app.
func (w *world) inAttempt(p sallyporttest.Person, method, path string, body any) call {
	w.t.Helper()
	id, token := w.begin(p)
	return call{method: method, path: strings.ReplaceAll(path, "{id}", id), bearer: token, body: body}
}

// inSession is one with a fresh session; {id} is the person's app.
func (w *world) inSession(p sallyporttest.Person, method, path string, body any) call {
	w.t.Helper()
	return call{method: method, path: strings.ReplaceAll(path, "{id}", p.Factor), bearer: w.signIn(p), body: body}
}

const newPassword = "seven small lamps outside"

// routes is the whole API. A route that is not here fails TestEveryRouteIsTested,
// and so is not tested against the bypasses below.
var routes = []route{
	{"GET /api/v1/openapi.json", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "GET", path: "/api/v1/openapi.json"}
	}, 200},
	{"POST /api/v1/attempts", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "POST", path: "/api/v1/attempts", body: object{"company": w.slug(p), "login": p.Login, "password": sallyporttest.Password}}
	}, 201},
	{"GET /api/v1/attempts/{id}", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		return w.inAttempt(p, "GET", "/api/v1/attempts/{id}", nil)
	}, 200},
	{"POST /api/v1/attempts/{id}/challenge", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		return w.inAttempt(p, "POST", "/api/v1/attempts/{id}/challenge", object{"method": "totp"})
	}, 200},
	{"POST /api/v1/attempts/{id}/verify", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		return w.inAttempt(p, "POST", "/api/v1/attempts/{id}/verify", object{"method": "totp", "code": w.code(p)})
	}, 200},
	{"POST /api/v1/attempts/{id}/complete", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		id, token := w.ready(p)
		return at(id, token, "POST", "/api/v1/attempts/{id}/complete", object{})
	}, 200},
	{"POST /api/v1/attempts/{id}/postpone", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		id, token := w.graceful(p)
		return at(id, token, "POST", "/api/v1/attempts/{id}/postpone", object{})
	}, 200},
	{"POST /api/v1/attempts/{id}/password", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		id, token := w.secured(p)
		return at(id, token, "POST", "/api/v1/attempts/{id}/password", object{"new": newPassword})
	}, 200},
	{"POST /api/v1/attempts/{id}/password/strength", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		id, token := w.secured(p)
		return at(id, token, "POST", "/api/v1/attempts/{id}/password/strength", object{"password": newPassword})
	}, 200},
	{"POST /api/v1/attempts/{id}/help", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		return w.inAttempt(p, "POST", "/api/v1/attempts/{id}/help", object{})
	}, 200},
	{"POST /api/v1/passkeys", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "POST", path: "/api/v1/passkeys", body: object{"company": w.slug(p)}}
	}, 200},
	{"POST /api/v1/passkeys/verify", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "POST", path: "/api/v1/passkeys/verify", body: object{"company": w.slug(p), "credential": w.sameDevice(p, nil)}}
	}, 201},
	{"POST /api/v1/invitations/look", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "POST", path: "/api/v1/invitations/look", body: object{"token": w.invited(p, fresh(p.Login))}}
	}, 200},
	{"POST /api/v1/invitations/accept", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "POST", path: "/api/v1/invitations/accept", body: object{"token": w.invited(p, fresh(p.Login)), "password": newPassword}}
	}, 201},
	{"POST /api/v1/not-me", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "POST", path: "/api/v1/not-me", body: object{"token": w.notMe(p)}}
	}, 200},
	{"POST /api/v1/password-resets", "", func(w *world, p sallyporttest.Person) call {
		w.Clock.Advance(2 * time.Hour) // so that those before do not count
		return call{method: "POST", path: "/api/v1/password-resets", body: object{"company": w.companyOf(p).Slug, "login": p.Login}}
	}, 202},
	{"POST /api/v1/password-resets/verify", "", func(w *world, p sallyporttest.Person) call {
		token, code := w.forgot(p)
		return call{method: "POST", path: "/api/v1/password-resets/verify", body: object{"token": token, "code": code}}
	}, 200},
	{"POST /api/v1/password-resets/password", "", func(w *world, p sallyporttest.Person) call {
		token, code := w.forgot(p)
		w.post("/api/v1/password-resets/verify", "", object{"token": token, "code": code}).want(200)
		return call{method: "POST", path: "/api/v1/password-resets/password", body: object{"token": token, "new": newPassword}}
	}, 204},
	{"POST /api/v1/password-strength", "", func(w *world, p sallyporttest.Person) call {
		token, code := w.forgot(p)
		w.post("/api/v1/password-resets/verify", "", object{"token": token, "code": code}).want(200)
		return call{method: "POST", path: "/api/v1/password-strength", body: object{"token": token, "password": newPassword}}
	}, 200},
	{"GET /api/v1/session", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "GET", "/api/v1/session", nil)
	}, 200},
	{"DELETE /api/v1/session", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "DELETE", "/api/v1/session", nil)
	}, 204},
	{"GET /api/v1/account", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "GET", "/api/v1/account", nil)
	}, 200},
	{"PATCH /api/v1/account", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "PATCH", "/api/v1/account", object{"name": "Another Name"})
	}, 200},
	{"GET /api/v1/account/factors", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "GET", "/api/v1/account/factors", nil)
	}, 200},
	{"POST /api/v1/account/factors", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "POST", "/api/v1/account/factors", object{"method": "totp", "replaces": p.Factor})
	}, 201},
	{"POST /api/v1/account/factors/{id}/confirm", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		c := w.inSession(p, "POST", "", nil)
		a := w.post("/api/v1/account/factors", c.bearer, object{"method": "totp", "replaces": p.Factor}).want(201)
		c.path = "/api/v1/account/factors/" + a.str("id") + "/confirm"
		c.body = object{"code": w.code(sallyporttest.Person{Secret: secretOf(w.t, a.str("totp.secret"))})}
		return c
	}, 200},
	{"POST /api/v1/account/factors/{id}/send", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		c := w.inSession(p, "POST", "", object{})
		c.path = w.sent(c.bearer) + "/send"
		return c
	}, 200},
	{"GET /api/v1/account/factors/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "GET", "/api/v1/account/factors/{id}", nil)
	}, 200},
	{"POST /api/v1/account/factors/{id}/challenge", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		c := w.inSession(p, "POST", "", object{})
		c.path = w.duoSetUp(p, c.bearer) + "/challenge"
		return c
	}, 200},
	// The same five for a sign-in that asks for a way to be set up.
	{"GET /api/v1/account/factors/{id}", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		_, token := w.opened(p)
		a := w.post("/api/v1/account/factors", token, object{"method": "totp"}).want(201)
		return call{method: "GET", path: "/api/v1/account/factors/" + a.str("id"), bearer: token}
	}, 200},
	{"POST /api/v1/account/factors/{id}/challenge", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		_, token := w.opened(p)
		return call{method: "POST", path: w.duoSetUp(p, token) + "/challenge", bearer: token, body: object{}}
	}, 200},
	{"POST /api/v1/account/factors", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		_, token := w.opened(p)
		return call{method: "POST", path: "/api/v1/account/factors", bearer: token, body: object{"method": "totp"}}
	}, 201},
	{"POST /api/v1/account/factors/{id}/confirm", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		_, token := w.opened(p)
		a := w.post("/api/v1/account/factors", token, object{"method": "totp"}).want(201)
		return call{method: "POST", path: "/api/v1/account/factors/" + a.str("id") + "/confirm", bearer: token,
			body: object{"code": w.code(sallyporttest.Person{Secret: secretOf(w.t, a.str("totp.secret"))})}}
	}, 200},
	{"POST /api/v1/account/factors/{id}/send", authn.AttemptToken, func(w *world, p sallyporttest.Person) call {
		_, token := w.opened(p)
		return call{method: "POST", path: w.sent(token) + "/send", bearer: token, body: object{}}
	}, 200},
	{"PATCH /api/v1/account/factors/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "PATCH", "/api/v1/account/factors/{id}", object{"name": "My phone"})
	}, 200},
	{"DELETE /api/v1/account/factors/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "DELETE", "/api/v1/account/factors/{id}", nil)
	}, 200},
	{"POST /api/v1/account/backup-codes", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "POST", "/api/v1/account/backup-codes", object{})
	}, 201},
	{"POST /api/v1/account/email", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "POST", "/api/v1/account/email", object{"email": p.Login + "@new.example"})
	}, 201},
	{"GET /api/v1/account/sessions", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "GET", "/api/v1/account/sessions", nil)
	}, 200},
	{"DELETE /api/v1/account/sessions", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "DELETE", "/api/v1/account/sessions", nil)
	}, 204},
	{"PATCH /api/v1/account/sessions/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		c := w.inSession(p, "PATCH", "", object{"name": "Kitchen laptop"})
		c.path = "/api/v1/account/sessions/" + sessionID(c.bearer)
		return c
	}, 200},
	{"DELETE /api/v1/account/sessions/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		other := w.signIn(p)
		return w.inSession(p, "DELETE", "/api/v1/account/sessions/"+sessionID(other), nil)
	}, 204},
	{"GET /api/v1/account/trusted-browsers", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return call{method: "GET", path: "/api/v1/account/trusted-browsers", bearer: w.signIn(p)}
	}, 200},
	{"DELETE /api/v1/account/trusted-browsers", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return call{method: "DELETE", path: "/api/v1/account/trusted-browsers", bearer: w.trustingSession(p)}
	}, 204},
	{"PATCH /api/v1/account/trusted-browsers/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		bearer := w.trustingSession(p)
		return call{method: "PATCH", path: "/api/v1/account/trusted-browsers/" + w.trustedIDs(bearer)[0], bearer: bearer, body: object{"name": "Kitchen laptop"}}
	}, 200},
	{"DELETE /api/v1/account/trusted-browsers/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		bearer := w.trustingSession(p)
		return call{method: "DELETE", path: "/api/v1/account/trusted-browsers/" + w.trustedIDs(bearer)[0], bearer: bearer}
	}, 204},
	{"GET /api/v1/account/events", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "GET", "/api/v1/account/events", nil)
	}, 200},
	{"POST /api/v1/account/password/strength", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "POST", "/api/v1/account/password/strength", object{"password": newPassword})
	}, 200},
	{"PUT /api/v1/account/password", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "PUT", "/api/v1/account/password", object{"current": sallyporttest.Password, "new": newPassword})
	}, 200},
	{"POST /api/v1/account/step-up", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "POST", "/api/v1/account/step-up", object{})
	}, 201},
	{"GET /api/v1/branding", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", brandPath, nil)
	}, 200},
	{"PUT /api/v1/branding", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PUT", brandPath, brandTexts())
	}, 200},
	logoRoute("PUT", "/logo"), logoRoute("DELETE", "/logo"), logoRoute("PUT", "/logo-dark"), logoRoute("DELETE", "/logo-dark"),
	{"GET /api/v1/account/export", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "GET", "/api/v1/account/export", nil)
	}, 200},
	{"GET /api/v1/users/{id}/export", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/users/"+w.somebody(p).ID+"/export", nil)
	}, 200},
	{"DELETE /api/v1/users/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		them := w.somebody(p)
		return w.inSession(w.owner(p), "DELETE", "/api/v1/users/"+them.ID, object{"login": them.Login, "reason": "asked for it, ticket 4711"})
	}, 204},
	{"GET /api/v1/providers/email", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/providers/email", nil)
	}, 200},
	{"PUT /api/v1/providers/email", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PUT", "/api/v1/providers/email", mailOf("smtp.example.com"))
	}, 200},
	{"DELETE /api/v1/providers/email", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "DELETE", "/api/v1/providers/email", nil)
	}, 200},
	{"POST /api/v1/providers/email/test", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", "/api/v1/providers/email/test", mailOf("smtp.example.com"))
	}, 200},
	{"GET /api/v1/providers/sms", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/providers/sms", nil)
	}, 200},
	{"PUT /api/v1/providers/sms", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PUT", "/api/v1/providers/sms", smsOf())
	}, 200},
	{"DELETE /api/v1/providers/sms", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "DELETE", "/api/v1/providers/sms", nil)
	}, 200},
	{"POST /api/v1/providers/sms/test", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", "/api/v1/providers/sms/test", smsTestOf())
	}, 200},
	{"GET /api/v1/providers/duo", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/providers/duo", nil)
	}, 200},
	{"PUT /api/v1/providers/duo", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PUT", "/api/v1/providers/duo", duoOf())
	}, 200},
	{"DELETE /api/v1/providers/duo", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "DELETE", "/api/v1/providers/duo", nil)
	}, 200},
	{"POST /api/v1/providers/duo/test", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", "/api/v1/providers/duo/test", duoOf())
	}, 200},
	{"GET /api/v1/users/{id}/factors", authn.SessionToken, onPerson("GET", "/factors", nil), 200},
	{"POST /api/v1/users/{id}/factors", authn.SessionToken, onPerson("POST", "/factors", object{"method": "email", "reason": "Lost the phone"}), 201},
	{"PATCH /api/v1/users/{id}/factors/{factor}", authn.SessionToken, onPerson("PATCH", "/factors/{factor}", object{"preferred": true}), 204},
	{"DELETE /api/v1/users/{id}/factors/{factor}", authn.SessionToken, onPerson("DELETE", "/factors/{factor}", object{"reason": "Lost the phone"}), 204},
	{"POST /api/v1/users/{id}/factors/{factor}/confirm", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		c := onPerson("POST", "/factors", object{"method": "totp", "reason": "Lost the phone"})(w, p)
		a := w.do(c).want(201)
		c.path += "/" + a.str("id") + "/confirm"
		c.body = object{"code": w.code(sallyporttest.Person{Secret: secretOf(w.t, a.str("totp.secret"))})}
		return c
	}, 204},
	{"POST /api/v1/users/{id}/{act}", authn.SessionToken, onPerson("POST", "/sign-out", object{"reason": "Lost the phone"}), 204},
	{"GET /api/v1/approvals", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/approvals", nil)
	}, 200},
	{"POST /api/v1/approvals/{id}/approve", authn.SessionToken, onWaiting("approve"), 200},
	{"POST /api/v1/approvals/{id}/cancel", authn.SessionToken, onWaiting("cancel"), 200},
	{"GET /api/v1/reports/adoption", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "GET", "/api/v1/reports/adoption", nil)
	}, 200},
	{"GET /api/v1/reports/sign-ins", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "GET", "/api/v1/reports/sign-ins", nil)
	}, 200},
	{"GET /api/v1/reports/attention", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "GET", "/api/v1/reports/attention", nil)
	}, 200},
	{"GET /api/v1/reports/coverage", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "GET", "/api/v1/reports/coverage", nil)
	}, 200},
	{"GET /api/v1/reports/coverage.csv", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "GET", "/api/v1/reports/coverage.csv", nil)
	}, 200},
	{"GET /api/v1/roles", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/roles", nil)
	}, 200},
	{"GET /api/v1/roles/{name}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/roles/helpdesk", nil)
	}, 200},
	{"PUT /api/v1/roles/{name}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PUT", "/api/v1/roles/auditor", auditor())
	}, 200},
	{"DELETE /api/v1/roles/{name}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		c := w.inSession(w.owner(p), "DELETE", "/api/v1/roles/auditor", nil)
		w.do(call{method: "PUT", path: c.path, bearer: c.bearer, body: auditor()}).want(200)
		return c
	}, 204},
	{"GET /api/v1/actions", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/actions", nil)
	}, 200},
	{"PUT /api/v1/actions/{name}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PUT", "/api/v1/actions/webhooks.change", object{"title": "change the webhooks"})
	}, 200},
	{"DELETE /api/v1/actions/{name}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		c := w.inSession(w.owner(p), "DELETE", "/api/v1/actions/webhooks.change", nil)
		w.do(call{method: "PUT", path: c.path, bearer: c.bearer, body: object{"title": "change the webhooks"}}).want(200)
		return c
	}, 204},
	{"POST /api/v1/grants/redeem", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", "/api/v1/grants/redeem", object{"token": w.granted(p, object{"action": "billing.change"}).str("grant.token"), "action": "billing.change"})
	}, 200},
	{"POST /api/v1/handles/redeem", "", func(w *world, p sallyporttest.Person) call {
		k, token := w.keyOf(p, "grants.redeem")
		w.returnTo(k)
		return call{method: "POST", path: "/api/v1/handles/redeem", bearer: token, body: object{"handle": w.handle(p)}}
	}, 200},
	{"GET /api/v1/grants/{company}/keys", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "GET", path: "/api/v1/grants/" + p.Company + "/keys"}
	}, 200},
	{"GET /api/v1/api-keys", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/api-keys", nil)
	}, 200},
	{"POST /api/v1/api-keys", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", "/api/v1/api-keys", object{"name": "key " + w.next(), "scopes": []string{"audit.read"}, "expires_in_days": 30})
	}, 201},
	{"PATCH /api/v1/api-keys/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PATCH", w.keyPath(p), object{"name": "key " + w.next()})
	}, 200},
	{"DELETE /api/v1/api-keys/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "DELETE", w.keyPath(p), nil)
	}, 204},
	{"POST /api/v1/api-keys/{id}/roll", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", w.keyPath(p)+"/roll", object{"overlap_hours": 48, "expires_in_days": 180})
	}, 200},
	{"POST /api/v1/api-keys/{id}/return-addresses", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		k, _ := w.keyOf(p, "grants.redeem")
		return w.inSession(w.owner(p), "POST", "/api/v1/api-keys/"+k.ID+"/return-addresses", object{"address": "https://app.example.com/" + w.next()})
	}, 201},
	{"DELETE /api/v1/api-keys/{id}/return-addresses", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		k, _ := w.keyOf(p, "grants.redeem")
		return w.inSession(w.owner(p), "DELETE", "/api/v1/api-keys/"+k.ID+"/return-addresses", object{"address": w.returnTo(k)})
	}, 200},
	{"GET /api/v1/users/{id}/api", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/users/"+w.bot(p)+"/api", nil)
	}, 200},
	{"PUT /api/v1/users/{id}/api", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PUT", "/api/v1/users/"+w.bot(p)+"/api", w.botOf(p))
	}, 200},
	{"POST /api/v1/users/{id}/api/off", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		c := w.inSession(w.owner(p), "POST", "/api/v1/users/"+w.bot(p)+"/api/off", object{"reason": "moved"})
		w.do(call{method: "PUT", path: strings.TrimSuffix(c.path, "/off"), bearer: c.bearer, body: w.botOf(p)}).want(200)
		return c
	}, 200},
	{"GET /api/v1/reports/exemptions", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/reports/exemptions", nil)
	}, 200},
	{"GET /api/v1/reports/exemptions.csv", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/reports/exemptions.csv", nil)
	}, 200},
	{"GET /api/v1/audit/events", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "GET", "/api/v1/audit/events", nil)
	}, 200},
	{"GET /api/v1/audit/events.csv", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "GET", "/api/v1/audit/events.csv", nil)
	}, 200},
	{"GET /api/v1/audit/events.jsonl", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "GET", "/api/v1/audit/events.jsonl", nil)
	}, 200},
	{"POST /api/v1/audit/verify", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "POST", "/api/v1/audit/verify", object{})
	}, 200},
	{"GET /api/v1/audit/retention", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Administrator)
		return w.inSession(p, "GET", "/api/v1/audit/retention", nil)
	}, 200},
	{"PUT /api/v1/audit/retention", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PUT", "/api/v1/audit/retention", object{"months": 12})
	}, 200},
	{"GET /api/v1/audit/streams", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/audit/streams", nil)
	}, 200},
	{"PUT /api/v1/audit/streams/{kind}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PUT", syslogPath, streamTo())
	}, 200},
	{"DELETE /api/v1/audit/streams/{kind}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "DELETE", syslogPath, nil)
	}, 200},
	{"POST /api/v1/audit/streams/{kind}/test", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", syslogPath+"/test", streamTo())
	}, 200},
	policyRoute("GET", "", nil),
	policyRoute("PUT", "", required14(1)),
	policyRoute("POST", "/preview", required14(1)),
	policyRoute("GET", "/versions", nil),
	policyRoute("GET", "/versions/1", nil),
	policyRoute("GET", "/presets", nil),
	{"GET /api/v1/users", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/users", nil)
	}, 200},
	{"POST /api/v1/users", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", "/api/v1/users", object{"login": fresh(p.Login), "roles": []any{"helpdesk"}})
	}, 201},
	{"GET /api/v1/users.csv", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/users.csv", nil)
	}, 200},
	{"GET /api/v1/users.jsonl", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/users.jsonl", nil)
	}, 200},
	{"POST /api/v1/users/bulk", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", "/api/v1/users/bulk", object{"do": "require", "people": []any{p.ID}})
	}, 200},
	{"POST /api/v1/users/import", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "POST", "/api/v1/users/import", "login\n"+fresh(p.Login)+"\n")
	}, 200},
	{"GET /api/v1/users/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "GET", "/api/v1/users/"+p.ID, nil)
	}, 200},
	{"PATCH /api/v1/users/{id}", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(w.owner(p), "PATCH", "/api/v1/users/"+p.ID, object{"name": "Another Name"})
	}, 200},
}
