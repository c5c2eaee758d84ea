package httpapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
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
	{"POST /api/v1/invitations/look", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "POST", path: "/api/v1/invitations/look", body: object{"token": w.invited(p, fresh(p.Login))}}
	}, 200},
	{"POST /api/v1/invitations/accept", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "POST", path: "/api/v1/invitations/accept", body: object{"token": w.invited(p, fresh(p.Login)), "password": newPassword}}
	}, 201},
	{"POST /api/v1/not-me", "", func(w *world, p sallyporttest.Person) call {
		return call{method: "POST", path: "/api/v1/not-me", body: object{"token": w.notMe(p)}}
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
	{"GET /api/v1/account/events", authn.SessionToken, func(w *world, p sallyporttest.Person) call {
		return w.inSession(p, "GET", "/api/v1/account/events", nil)
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

// onPerson is a request of an owner about the person.
func onPerson(method, path string, body any) func(*world, sallyporttest.Person) call {
	return func(w *world, p sallyporttest.Person) call {
		c := w.inSession(w.owner(p), method, "", body)
		c.path = "/api/v1/users/" + p.ID + strings.Replace(path, "{factor}", p.Factor, 1)
		return c
	}
}

// onWaiting is a request of an owner about something that another owner asked for.
func onWaiting(verb string) func(*world, sallyporttest.Person) call {
	return func(w *world, p sallyporttest.Person) call {
		w.promote(p.User, directory.Helpdesk)
		c := onPerson("POST", "/reset", object{"reason": "Lost the phone"})(w, p)
		a := w.do(c)
		if a.status == 204 { // somebody agreed to it before
			c.body = object{"reason": "Lost the phone, " + w.next()}
			a = w.do(c)
		}
		id := a.want(202).str("waiting.id")
		second := p
		second.ID, second.Login = p.ID+"2", p.Login+"-second"
		return w.inSession(w.owner(second), "POST", "/api/v1/approvals/"+id+"/"+verb, object{})
	}
}

const syslogPath = "/api/v1/audit/streams/syslog"

// streamTo is a target at which nobody listens.
func streamTo() object { return object{"host": "127.0.0.1", "port": 1} }

func auditor() object {
	return object{"title": "Auditor", "permissions": []string{"audit.read", "reports.read"}}
}

var words atomic.Int64

// next is a word that nothing else has.
func (w *world) next() string { return strconv.FormatInt(words.Add(1), 10) }

// keyPath is the address of a new key of the person's company.
func (w *world) keyPath(p sallyporttest.Person) string {
	w.t.Helper()
	n := directory.NewKey{Name: "nightly export", Owner: w.owner(p).ID, Scopes: []string{"audit.read"}}
	k, _, err := w.Directory.CreateKey(w.t.Context(), directory.TheOperator(p.Company), n)
	if errors.Is(err, authn.Conflict) {
		n.Name += " " + w.next()
		k, _, err = w.Directory.CreateKey(w.t.Context(), directory.TheOperator(p.Company), n)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return "/api/v1/api-keys/" + k.ID
}

// bot is a new user of the person's company.
func (w *world) bot(p sallyporttest.Person) string {
	w.t.Helper()
	c := w.Company
	if p.Company == w.other.ID {
		c = w.other
	}
	login := "build-bot"
	if _, _, err := w.Directory.Lookup(w.t.Context(), c, login); err == nil {
		login += "-" + w.next()
	}
	return w.AddUser(w.t, c, login, false).ID
}

func (w *world) botOf(p sallyporttest.Person) object {
	return object{"owner": p.Login, "reason": "builds", "expires_at": w.Clock.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)}
}

// ofCompany reports whether what a path names is the company's, so that every
// owner of it may change it.
func (r route) ofCompany() bool {
	return strings.Contains(r.pattern, "/api-keys/") || strings.Contains(r.pattern, "/users/")
}

// mailOf are the settings of a mail server.
func mailOf(host string) object {
	return object{"host": host, "username": "acme", "password": mailSecret, "from": "no-reply@acme.example", "from_name": "Acme Projects"}
}

const mailSecret = "hunter2-7YqK2-correct horse"

var owners sync.Map // of each test server, by person

// owner is an owner of the person's company, one for each person.
func (w *world) owner(p sallyporttest.Person) sallyporttest.Person {
	w.t.Helper()
	key := w.URL + p.ID
	if o, ok := owners.Load(key); ok {
		return o.(sallyporttest.Person)
	}
	c := w.Company
	if p.Company == w.other.ID {
		c = w.other
	}
	login := p.Login + "-owner"
	u, err := w.Directory.CreateUser(w.t.Context(), c, directory.NewUser{Login: login, Email: login + "@acme.example", Verified: true,
		Roles: []string{directory.Owner}, Password: sallyporttest.Password})
	if err != nil {
		w.t.Fatal(err)
	}
	o := sallyporttest.Person{User: u}
	o.Factor, o.Secret = w.AddApp(w.t, u)
	owners.Store(key, o)
	return o
}

// somebody is a new person of p's company.
func (w *world) somebody(p sallyporttest.Person) sallyporttest.Person {
	w.t.Helper()
	return w.AddUser(w.t, w.companyOf(p), fresh(p.Login), false)
}

// apiRoutes are the server's own routes under /api/.
func (w *world) apiRoutes() []string {
	return slices.DeleteFunc(w.Routes(), func(p string) bool { return !strings.Contains(p, " /api/") })
}

// cve-32: a new route without an entry above fails here.
func TestEveryRouteIsTested(t *testing.T) {
	w := newWorld(t)
	var tested []string
	for _, r := range routes {
		tested = append(tested, r.pattern)
	}
	slices.Sort(tested)
	tested = slices.Compact(tested) // some take two kinds of credentials
	if got := w.apiRoutes(); !slices.Equal(got, tested) {
		t.Errorf("routes:\n%s\ntested:\n%s", strings.Join(got, "\n"), strings.Join(tested, "\n"))
	}
	for i, r := range routes {
		p := w.AddUser(t, w.Company, fmt.Sprint("works", i), true)
		w.do(r.good(w, p)).want(r.status)
	}
}

// both reports whether a route takes a session and an attempt alike.
func (r route) both() bool {
	return slices.ContainsFunc(routes, func(o route) bool { return o.pattern == r.pattern && o.kind != r.kind })
}

// each runs f for every route with a person of their own.
func each(t *testing.T, w *world, f func(t *testing.T, w *world, r route, p sallyporttest.Person)) {
	for i, r := range routes {
		t.Run(r.pattern+" "+string(r.kind), func(t *testing.T) {
			here := &world{Server: w.Server, t: t, other: w.other, failing: w.failing, mail: w.mail}
			f(t, here, r, here.AddUser(t, w.Company, fmt.Sprint("person", i), true))
		})
	}
}

// cve-31, inv-C, cve-43, cve-56: what one has half-way through a sign-in opens
// nothing else, in no place of a request; nor does any other kind of credential.
func TestWrongCredentialsOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		_, attempt := w.begin(p)
		session := w.signIn(p)
		good := r.good(w, p)
		wrong, refused := attempt, 401
		switch {
		case r.both():
			refused = 403 // an attempt, and one that does not ask for a way to be set up
		case r.kind == authn.AttemptToken:
			wrong = session
		}
		secrets := []string{wrong}
		if good.bearer != "" {
			secrets = append(secrets, good.bearer)
		}
		basic := func(user, pass string) string {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
		}
		try := func(what string, c call, status ...int) {
			t.Helper()
			if len(status) == 0 {
				status = []int{401}
			}
			if a := w.do(c); !slices.Contains(status, a.status) || bytes.Contains(a.body, []byte("sp_")) {
				t.Errorf("%s: %d %s", what, a.status, a.body)
			}
		}
		with := func(h map[string]string) call {
			c := good
			c.bearer, c.header = "", h
			return c
		}
		try("the other kind", func() call { c := good; c.bearer = wrong; return c }(), refused)
		for _, s := range secrets {
			for _, header := range []string{
				basic(p.Login, s), basic(s, ""), basic("", s), basic(p.Login, sallyporttest.Password), s, "Token " + s, "bearer: " + s, "Bearer  " + s,
				"Bearer\t" + s, "Bearer " + s + ", Bearer " + s, "Digest " + s, "Bearer " + strings.ToUpper(s), "Bearer",
				"Bearer " + s[:len(s)-1], "Bearer " + s + "0", `Bearer "` + s + `"`, "DPoP " + s,
			} {
				try(fmt.Sprintf("Authorization: %.12s", header), with(map[string]string{"Authorization": header}))
			}
			if r.kind == "" {
				continue
			}
			// Without an Authorization header there is no credential at all.
			for _, name := range []string{"X-Api-Key", "X-Auth-Token", "Api-Key", "Token", "Proxy-Authorization", "X-Access-Token", "X-Session"} {
				try(name, with(map[string]string{name: s}))
			}
			for _, name := range []string{"access_token", "token", "session", "key"} {
				c := with(nil)
				c.path += "?" + name + "=" + s
				try("query "+name, c)
			}
			for _, name := range []string{cookies.Browser(), "__Host-sallyport_session", "session", "token"} {
				c := with(nil)
				c.cookies = map[string]string{name: s}
				try("cookie "+name, c)
			}
			if s == wrong || r.kind == authn.AttemptToken {
				c := with(nil)
				c.cookies = map[string]string{cookies.Session(): s}
				try("session cookie", c)
			}
		}
		if r.kind != "" {
			try("nothing", with(nil))
			two := with(nil)
			two.header = map[string]string{"Authorization": "Bearer " + good.bearer}
			if a := w.twice(two, "Bearer "+good.bearer); a != 401 {
				t.Errorf("two Authorization headers: %d", a)
			}
			// A broken header does not fall back to a good cookie.
			both := good
			both.bearer, both.header = "", map[string]string{"Authorization": "Bearer x"}
			both.cookies = map[string]string{cookies.Session(): session}
			try("broken header and good cookie", both)
			// Two cookies of one name: one was planted.
			if r.kind == authn.SessionToken {
				planted := with(map[string]string{"Cookie": cookies.Session() + "=" + good.bearer + "; " + cookies.Session() + "=x", "Sec-Fetch-Site": "same-origin"})
				try("two cookies", planted)
			}
		}
		w.do(good).want(r.status) // and the right one still works
	})
}

// twice sends two Authorization headers.
func (w *world) twice(c call, value string) int {
	w.t.Helper()
	body, _ := json.Marshal(c.body)
	r, err := http.NewRequest(c.method, w.URL+c.path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header["Authorization"] = []string{value, value}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// cve-34, cve-57, cve-58, two companies and two people on every route: what is
// somebody else's is not there.
func TestOthersOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		if r.kind == "" {
			return
		}
		for name, company := range map[string]authn.Company{"colleague": w.Company, "stranger": w.other} {
			them := w.AddUser(t, company, p.Login+name, true)
			theirs := r.good(w, them)
			hers := r.good(w, p)
			// Their token, her id. People of the company are its administrators' to serve.
			// Whoever may see a colleague may see that one, too.
			// An owner may do this to every person of their company.
			admin := strings.Contains(r.pattern, "/api/v1/users/") || strings.Contains(r.pattern, "/api/v1/approvals/")
			if hers.path != theirs.path && (name == "stranger" || !strings.Contains(r.pattern, " /api/v1/users/")) && (name == "stranger" || !strings.Contains(r.pattern, " /api/v1/users/{id}")) && !(r.ofCompany() && company.ID == w.Company.ID) && !(admin && name == "colleague") {
				c := theirs
				c.path = hers.path
				w.do(c).refused(authn.NotFound)
			}
			// Her token, moved: another company, another row, another secret.
			mine, _ := authn.ParseToken(r.kind, hers.bearer)
			other, _ := authn.ParseToken(r.kind, theirs.bearer)
			for what, forged := range map[string]authn.Token{
				"company": {Kind: mine.Kind, Company: w.other.ID, ID: mine.ID, Secret: mine.Secret},
				"row":     {Kind: mine.Kind, Company: mine.Company, ID: other.ID, Secret: mine.Secret},
				"secret":  {Kind: mine.Kind, Company: mine.Company, ID: mine.ID, Secret: other.Secret},
				"no such": {Kind: mine.Kind, Company: "cmp_06gvqojiq1qe7alb8eh5a55tok", ID: mine.ID, Secret: mine.Secret},
			} {
				c := hers
				c.bearer = forged.Reveal()
				if what == "row" && strings.Contains(c.path, mine.ID) {
					c.path = strings.Replace(c.path, mine.ID, other.ID, 1)
				}
				if a := w.do(c); a.status != 401 && a.status != 404 {
					t.Errorf("%s, %s: %d %s", name, what, a.status, a.body)
				}
			}
			// Her id in their body.
			if body, ok := theirs.body.(object); ok && body["replaces"] != nil && r.kind == authn.SessionToken {
				c := theirs
				c.body = object{"method": "totp", "replaces": p.Factor}
				w.do(c).refused(authn.Conflict)
			}
			if strings.HasPrefix(r.pattern, "POST /api/v1/attempts/{id}/challenge") || strings.HasSuffix(r.pattern, "{id}/verify") {
				c := theirs
				c.body = object{"method": "totp", "code": w.code(p), "factor": p.Factor}
				if strings.HasSuffix(c.path, "/challenge") {
					c.body = object{"method": "totp", "factor": p.Factor}
				}
				w.do(c).field("method", "not_offered")
			}
			if strings.HasSuffix(r.pattern, "{id}/verify") {
				hers.body = object{"method": "totp", "code": w.code(p)} // time went by
			}
			if a := w.do(hers); a.status != r.status { // nothing of hers was changed by all that
				t.Errorf("%s: hers answers %d: %s", name, a.status, a.body)
			}
			if r.pattern == "DELETE /api/v1/account/factors/{id}" || r.pattern == "PUT /api/v1/account/password" || r.pattern == "POST /api/v1/account/factors/{id}/confirm" ||
				r.pattern == "DELETE /api/v1/users/{id}/factors/{factor}" || r.pattern == "POST /api/v1/users/{id}/factors/{factor}/confirm" ||
				r.pattern == "POST /api/v1/attempts/{id}/password" || r.pattern == "POST /api/v1/attempts/{id}/complete" {
				return // she is not who she was
			}
		}
	})
}

// Another's code does not help: of a colleague with the same step, or of
// somebody in another company.
func TestCodesOfOthers(t *testing.T) {
	w := newWorld(t)
	maya, lena, zoe := w.AddUser(t, w.Company, "maya", true), w.AddUser(t, w.Company, "lena", true), w.AddUser(t, w.other, "maya", true)
	id, token := w.begin(maya)
	for _, p := range []sallyporttest.Person{lena, zoe} {
		w.post("/api/v1/attempts/"+id+"/verify", token, object{"method": "totp", "code": w.code(p)}).refused(authn.WrongCode)
	}
	// The same login and password in two companies are two people.
	session := w.signIn(zoe)
	if a := w.get("/api/v1/session", session).want(200); a.str("company.slug") != "globex" || a.str("user.id") != zoe.ID {
		t.Errorf("session: %s", a.body)
	}
}

// cve-66, std-40, std-57: with cookies, nothing that changes something can be
// asked from elsewhere, nor by a request that does not say from where; and safe
// methods change nothing.
func TestCrossSiteOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		if strings.HasPrefix(r.pattern, "GET ") {
			return
		}
		good := r.good(w, p)
		// Anonymous but for the browser cookie; or with the session cookie.
		b := w.browser()
		b.do(call{method: "POST", path: "/api/v1/attempts", body: object{"company": "acme", "login": p.Login, "password": sallyporttest.Password}}).want(201)
		jar := maps.Clone(b.jar)
		if r.kind == authn.SessionToken {
			jar[cookies.Session()] = good.bearer
		}
		good.bearer, good.cookies = "", jar
		for _, headers := range []map[string]string{
			{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": ""}, {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
			{"Sec-Fetch-Site": "", "Origin": "null"}, {"Sec-Fetch-Site": "cross-site", "Origin": w.URL}, {"Sec-Fetch-Site": "", "Referer": w.URL + "/"},
		} {
			c := good
			c.header = headers
			w.do(c).refused(authn.Forbidden)
		}
		if r.kind == authn.SessionToken {
			// None of that did anything: the same request from our own page works.
			good.header = nil
			w.do(good).want(r.status)
		}
	})
}

// cve-36, cve-40, cve-48, cve-61, cve-70: whatever a body is, it is refused for
// what it is, and nothing of it comes back.
func TestBadInputOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		good := r.good(w, p)
		body, ok := good.body.(object)
		if !ok {
			return
		}
		const canary = "cAnArY-7351"
		send := func(body string) answer {
			c := good
			c.body = body
			a := w.do(c)
			if bytes.Contains(a.body, []byte(canary)) {
				t.Errorf("%.60q comes back: %s", body, a.body)
			}
			return a
		}
		for _, raw := range []string{
			"", " ", "null", "[]", "[{}]", `"` + canary + `"`, "1", "true", "{", "{}{}", "{} x", `{"` + canary, "{'a':1}", "\xff", "{\"a\":\"\xff\"}",
			"\xef\xbb\xbf{}", strings.Repeat("[", 100_00), `{"a":` + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 21), `{"a":NaN}`, `{"a":01}`,
		} {
			a := send(raw)
			if a.status != 400 && a.status != 422 {
				t.Errorf("%.40q: %d %s", raw, a.status, a.body)
			}
		}
		send(strings.Repeat("x", 1<<20)).refused(authn.TooLarge)
		send(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`).refused(authn.TooLarge)

		raw, _ := json.Marshal(body)
		inner := strings.TrimSuffix(strings.TrimPrefix(string(raw), "{"), "}")
		comma := ","
		if inner == "" {
			comma = ""
		}
		send(`{`+inner+comma+`"unheard_of":"`+canary+`"}`).field("unheard_of", "unknown")
		send(`{`+inner+comma+`"`+canary+` x":1}`).field("?", "unknown")
		send(`{`+inner+comma+`"__proto__":{"admin":true}}`).field("__proto__", "unknown")
		for name, value := range body {
			one, _ := json.Marshal(value)
			send(fmt.Sprintf(`{%s,%q:%s}`, inner, name, one)).field(name, "duplicate")
			send(fmt.Sprintf(`{%s,%q:%s}`, inner, strings.ToUpper(name), one)).field(strings.ToUpper(name), "unknown")
			wrongs := []any{nil, object{"a": value}, 1.5, []any{value}, -1}
			switch value.(type) {
			case int:
				wrongs = wrongs[:4]
			case []any, []string: // what is in it is told by its place
				wrongs = []any{nil, object{"a": value}, 1.5, -1}
			case object: // the same
				wrongs = []any{nil, 1.5, []any{value}, -1}
			}
			for _, wrong := range wrongs {
				changed := maps.Clone(body)
				changed[name] = wrong
				c := good
				c.body = changed
				w.do(c).field(name, "wrong_type")
			}
			changed := maps.Clone(body)
			changed[name] = "nul\x00" + canary
			c := good
			c.body = changed
			if a := w.do(c).refused(authn.Invalid); bytes.Contains(a.body, []byte(canary)) {
				t.Errorf("%s comes back: %s", name, a.body)
			}
			send(strings.Replace(string(raw), `"`+name+`":`, `"`+name+`":"\ud800",`+`"x":`, 1)).refused(authn.Invalid)
			changed[name] = strings.Repeat("x", 60_000) // under the limit of the body
			c.body = changed
			if a := w.do(c); a.status < 400 || a.status >= 500 {
				t.Errorf("%s of 60,000 characters: %d %s", name, a.status, a.body)
			}
		}
		for _, ct := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=utf-16", "application/xml", ""} {
			c := good
			c.header = map[string]string{"Content-Type": ct}
			w.do(c).refused(authn.UnsupportedMedia)
		}
		if _, isCode := body["code"]; isCode {
			for code, want := range map[string]string{
				"": "required", "12345": "too_few", "1234567": "too_many", strings.Repeat("1", 5000): "too_many", "12345a": "not_digits", "abcdef": "not_digits",
				"1e5000": "not_digits", "0x1234": "not_digits", "+12345": "not_digits", "123.45": "not_digits", "12345\u200b6": "", "１２３４５": "too_few",
			} {
				changed := maps.Clone(body)
				changed["code"] = code
				c := good
				c.body = changed
				a := w.do(c)
				if want != "" {
					a.field("code", want)
				} else if a.status != 422 {
					t.Errorf("%q: %d %s", code, a.status, a.body)
				}
			}
		}
		// Nothing of it was charged or changed.
		w.do(good).want(r.status)
	})
}

// cve-59, inv-H, std-25, std-63: what is stored as a secret is in no answer,
// beyond the one that makes it.
func TestNoSecretInAnyAnswer(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		if r.pattern == "GET /api/v1/openapi.json" {
			return // its examples have a password, which is nobody's
		}
		secret := p.Secret.Base32()
		forbidden := []string{secret, sallyporttest.Password, newPassword, mailSecret, "argon2", "$argon", "otpauth://totp/Acme%20Projects:" + p.Email + "?secret=" + secret}
		look := func(a answer) {
			t.Helper()
			var head strings.Builder
			_ = a.header.Write(&head)
			for _, s := range forbidden {
				if strings.Contains(string(a.body), s) || strings.Contains(head.String(), s) {
					t.Errorf("%s %s: the answer holds %.8s…: %s", a.call.method, a.call.path, s, a.body)
				}
			}
		}
		good := r.good(w, p)
		look(w.do(call{method: good.method, path: good.path, bearer: good.bearer, body: "{"}))
		look(w.do(call{method: good.method, path: good.path, body: good.body}))
		a := w.do(good)
		look(a)
		// The new secret of a pending app is in that answer only.
		if s := a.str("totp.secret"); s != "" && r.kind == authn.SessionToken {
			forbidden = append(forbidden, s)
			look(w.get("/api/v1/account/factors", good.bearer).want(200))
			look(w.do(call{method: "PATCH", path: "/api/v1/account/factors/" + a.str("id"), bearer: good.bearer, body: object{"name": "x"}}).want(200))
			look(w.post("/api/v1/account/factors/"+a.str("id")+"/confirm", good.bearer, object{"code": "abc"}))
			look(w.post("/api/v1/account/factors", good.bearer, object{"method": "totp"}))
		}
	})
}

// logged is a log that can be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// std-63, inv-H: neither does the log hold a token, a password or a code,
// whatever the request looks like.
func TestNoSecretInTheLog(t *testing.T) {
	var log logged
	w := newWorld(t, func(c *sallyport.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	var secrets []string
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		good := r.good(w, p)
		broken, odd := good, good
		broken.body = `{"password":"` + sallyporttest.Password + `","code":"` + good.bearer
		odd.path += "?token=" + good.bearer
		odd.header = map[string]string{"User-Agent": good.bearer, "X-Forwarded-For": good.bearer, "Cookie": cookies.Session() + "=" + good.bearer}
		if good.body != nil {
			w.do(broken)
		}
		w.do(odd)
		a := w.do(good).want(r.status)
		secrets = append(secrets, good.bearer, p.Secret.Base32(), a.str("token"), a.str("session.token"), a.str("totp.secret"))
		if body, ok := good.body.(object); ok {
			secrets = append(secrets, fmt.Sprint(body["code"]), fmt.Sprint(body["token"]))
		}
		if codes, ok := a.at("backup_codes").([]any); ok {
			secrets = append(secrets, fmt.Sprint(codes[0]))
		}
	})
	text := log.b.String()
	if strings.Count(text, "\n") < 3*len(routes) {
		t.Errorf("only %d records", strings.Count(text, "\n"))
	}
	for _, s := range append(secrets, sallyporttest.Password, newPassword, "sp_ses_", "sp_att_", "sp_lnk_") {
		if s != "" && s != "<nil>" && strings.Contains(text, s) {
			t.Errorf("the log holds %.8s…", s)
		}
	}
}

// failing is a store that fails from the nth call on.
type failing struct {
	sallyport.Store
	left atomic.Int64
	busy atomic.Bool
}

const leak = "dial tcp 10.1.2.3:5432: password=cAnArY user=sallyport SELECT sealed FROM factors"

func (f *failing) fail() error {
	if f.left.Add(-1) >= 0 {
		return nil
	}
	if f.busy.Load() {
		return &authn.Error{Code: authn.Busy, Err: errors.New(leak), RetryAfter: time.Second}
	}
	return errors.New(leak)
}

func (f *failing) Decide(ctx context.Context, k authn.Keys, d func(*authn.Rows) authn.Verdict) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Store.Decide(ctx, k, d)
}

func (f *failing) View(ctx context.Context, k authn.Keys) (authn.Rows, error) {
	if err := f.fail(); err != nil {
		return authn.Rows{}, err
	}
	return f.Store.View(ctx, k)
}

func (f *failing) CompanyBySlug(ctx context.Context, slug string) (authn.Company, error) {
	if err := f.fail(); err != nil {
		return authn.Company{}, err
	}
	return f.Store.CompanyBySlug(ctx, slug)
}

func (f *failing) Sessions(ctx context.Context, company, user string) ([]authn.Session, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.Sessions(ctx, company, user)
}

func (f *failing) Events(ctx context.Context, company string, q authn.EventQuery) ([]authn.Event, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.Events(ctx, company, q)
}

func (f *failing) PendingSecret(ctx context.Context, k authn.Keys) ([]byte, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	return f.Store.PendingSecret(ctx, k)
}

const never = 1 << 40

func (f *failing) heal() { f.left.Store(never); f.busy.Store(false) }

func newFailing(t testing.TB) (*world, *failing) {
	f := &failing{}
	f.left.Store(never)
	w := newWorld(t, func(c *sallyport.Config) { f.Store = c.Store; c.Store = f })
	return w, f
}

// cve-61, inv-I, std-64: whichever call to the store fails, the answer is no,
// and says nothing of the inside.
func TestFailingStoreOnEveryRoute(t *testing.T) {
	w, f := newFailing(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		for n := range int64(20) {
			person := w.AddUser(t, w.Company, fmt.Sprint(p.Login, "n", n), true)
			c := r.good(w, person)
			f.busy.Store(n%2 == 1)
			f.left.Store(n)
			a := w.do(c)
			failed := f.left.Swap(never) < 0
			if !failed {
				if a.status != r.status {
					t.Errorf("after %d calls: %d %s", n, a.status, a.body)
				}
				return
			}
			if r.pattern == "POST /api/v1/account/factors/{id}/confirm" && r.kind == authn.AttemptToken && a.status == r.status {
				return // all is done but to ask where that leads: the codes are told, for no other answer has them
			}
			want := authn.Internal
			if f.busy.Load() {
				want = authn.Busy
			}
			a.refused(want)
			for _, s := range []string{"cAnArY", "10.1.2.3", "SELECT", "store", "signin:", "enroll:", "goroutine", "sp_"} {
				if bytes.Contains(a.body, []byte(s)) {
					t.Errorf("call %d: the answer holds %q: %s", n, s, a.body)
				}
			}
			if _, set := a.cookie(cookies.Session()); set {
				t.Errorf("call %d: a session cookie with a refusal", n)
			}
		}
		t.Error("more than 20 calls to the store")
	})
}

// Every answer, also a refusal, has what the outer layer gives.
func TestHeadersOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	each(t, w, func(t *testing.T, w *world, r route, p sallyporttest.Person) {
		good := r.good(w, p)
		bad := good
		bad.bearer = "x"
		for _, a := range []answer{w.do(bad), w.do(good)} {
			if id := a.header.Get("X-Request-Id"); id == "" || a.status >= 400 && a.str("request_id") != id {
				t.Errorf("request id %q: %s", id, a.body)
			}
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Security-Policy") == "" {
				t.Errorf("headers: %v", a.header)
			}
			if a.status >= 400 && a.status != httpserve.Status(authn.Code(a.str("code"))) {
				t.Errorf("%s with status %d", a.str("code"), a.status)
			}
		}
		evil := good
		evil.host = "evil.example"
		w.do(evil).refused(authn.WrongHost)
		for _, m := range []string{"TRACE", "OPTIONS", "PROPFIND"} {
			other := good
			other.method, other.body = m, nil
			if a := w.do(other); a.status != 405 || a.header.Get("Allow") == "" {
				t.Errorf("%s: %d %v", m, a.status, a.header)
			}
		}
	})
	for _, path := range []string{"/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/session", "/api/v1/session/", "/api/v1//session", "/api/v1/attempts/"} {
		w.get(path, "").refused(authn.NotFound)
	}
}
