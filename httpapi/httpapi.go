// Package httpapi is the JSON API under /api/v1. It decides nothing: every
// handler reads a request, asks a service, and writes what it said. The document
// openapi.json stands beside the code; a test compares it with the routes and
// runs each of its examples.
//
// # Who calls
//
// Each route takes exactly one kind of credential, fixed where it is mounted:
//
//   - none: beginning an attempt, also by a passkey, a link's token in the body, and the document; a
//     program that has checked the first step of a sign-in begins with its key;
//   - an attempt token, or the cookie of the browser that began the attempt;
//   - a session token, or the session cookie;
//   - a delivery report: its provider's signature, outside /api (receipt);
//   - for the administration, that or the key of a program, or the secret of an API
//     account in Basic authentication, and the permission that the route names
//     (allowed);
//   - for what people bring back to an application, the key of a program alone (byKey);
//   - to begin, send, follow and confirm a way to verify, either of the last two
//     (inSetUp): a sign-in may ask for a way, and then sets up what it began
//     itself and nothing else (ruling 1).
//
// A token of the other kind is worth nothing (cve-31), nor is one in a query,
// in Basic authentication elsewhere, in a second Authorization header or in the other
// cookie. A request with an Authorization header is judged by that alone: it
// never falls back to a cookie. Cookies count only from our own origin, which
// internal/httpserve has checked before (ruling 50).
//
// Nothing in a body chooses the company, the person or the rights: they are
// those of the token.
//
// # Where a new session goes
//
// A change of the account and a step-up issue the session anew and kill the old
// token (std-53, ruling 3). The new one goes back the way the credential came:
// in the body to whoever showed a token, as a cookie that scripts cannot read to
// whoever came by cookie.
//
// # What never leaves
//
// The secret of an authenticator app, the addresses of a set-up at Duo, and backup
// codes, are in one answer, the one that makes them (std-25). A number is masked,
// but to whoever types it. Answers are built from the structs of this package, field by field,
// never from rows of the store (cve-59).
package httpapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/report"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/text"
)

// Config wires the API. SignIn, Enroll, Sessions, Directory, Audit, Branding, Reports, GrantKeys and Texts are needed.
type Config struct {
	SignIn    *signin.Service
	Enroll    *enroll.Service
	Sessions  *session.Service
	Directory *directory.Service
	Audit     *audit.Service
	Providers *provider.Service // nil: companies have no mail servers of their own
	Branding  *branding.Service
	Reports   *report.Service
	GrantKeys GrantKeys
	Places    authn.Places // nil: none are told
	PublicURL string       // scheme, host and port of the pages
	Cookies   httpserve.Cookies
	Texts     *text.Catalogue
	Locales   []string         // languages that a person may choose
	Methods   []authn.Method   // those that are registered
	Now       func() time.Time // nil: time.Now
}

// API is the JSON API.
type API struct {
	Config
	methods map[authn.Kind]authn.Method
	serves  func(address string) bool // whether there is such a page
}

// New checks the configuration.
func New(c Config) (*API, error) {
	if c.SignIn == nil || c.Enroll == nil || c.Sessions == nil || c.Directory == nil || c.Audit == nil || c.Branding == nil || c.Reports == nil || c.GrantKeys == nil || c.Texts == nil {
		return nil, errors.New("httpapi: Config.SignIn, Enroll, Sessions, Directory, Audit, Branding, Reports, GrantKeys and Texts are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	a := &API{Config: c, methods: map[authn.Kind]authn.Method{}}
	for _, m := range c.Methods {
		a.methods[m.Kind()] = m
	}
	return a, nil
}

// Mount registers the routes.
func (a *API) Mount(m *httpserve.Mux) {
	a.serves = m.Serves
	m.Handle("GET /api/v1/openapi.json", a.forAnyone(a.openAPI))

	m.Handle("POST /api/v1/attempts", a.beginning())
	m.Handle("GET /api/v1/attempts/{id}", a.inAttempt(a.attempt))
	m.Handle("POST /api/v1/attempts/{id}/challenge", a.inAttempt(a.challenge))
	m.Handle("POST /api/v1/attempts/{id}/verify", a.inAttempt(a.verify))
	m.Handle("POST /api/v1/attempts/{id}/complete", a.inAttempt(a.complete))
	m.Handle("POST /api/v1/attempts/{id}/postpone", a.inAttempt(a.postpone))
	m.Handle("POST /api/v1/attempts/{id}/password", a.inAttempt(a.newPassword))
	m.Handle("POST /api/v1/attempts/{id}/password/strength", a.inAttempt(a.attemptStrength))
	m.Handle("POST /api/v1/attempts/{id}/help", a.inAttempt(a.askHelp))

	m.Handle("POST /api/v1/passkeys", a.forAnyone(a.askPasskey))
	m.Handle("POST /api/v1/passkeys/verify", a.forAnyone(a.beginByPasskey))

	m.Handle("POST /api/v1/invitations/look", a.forAnyone(a.lookInvitation))
	m.Handle("POST /api/v1/invitations/accept", a.forAnyone(a.acceptInvitation))
	m.Handle("POST /api/v1/not-me", a.forAnyone(a.notMe))
	m.Handle("POST /api/v1/password-resets", a.forAnyone(a.askReset))
	m.Handle("POST /api/v1/password-resets/verify", a.forAnyone(a.proveReset))
	m.Handle("POST /api/v1/password-resets/password", a.forAnyone(a.finishReset))
	m.Handle("POST /api/v1/password-strength", a.forAnyone(a.linkStrength))

	m.Handle("GET /api/v1/session", a.bySession(a.Sessions.Glance, a.session))
	m.Handle("DELETE /api/v1/session", a.inSession(a.signOut))

	m.Handle("GET /api/v1/account", a.inSession(a.account))
	m.Handle("PATCH /api/v1/account", a.inSession(a.changeAccount))
	m.Handle("GET /api/v1/account/factors", a.inSession(a.factors, "limit", "cursor"))
	m.Handle("POST /api/v1/account/factors", a.inSetUp(a.beginFactor))
	m.Handle("GET /api/v1/account/factors/{id}", a.inSetUp(a.factor))
	m.Handle("POST /api/v1/account/factors/{id}/challenge", a.inSetUp(a.challengeFactor))
	m.Handle("POST /api/v1/account/factors/{id}/send", a.inSetUp(a.sendFactor))
	m.Handle("POST /api/v1/account/factors/{id}/confirm", a.inSetUp(a.confirmFactor))
	m.Handle("PATCH /api/v1/account/factors/{id}", a.inSession(a.changeFactor))
	m.Handle("DELETE /api/v1/account/factors/{id}", a.inSession(a.removeFactor))
	m.Handle("POST /api/v1/account/backup-codes", a.inSession(a.newCodes))
	m.Handle("POST /api/v1/account/email", a.inSession(a.beginEmail))
	m.Handle("PUT /api/v1/account/password", a.inSession(a.changePassword))
	m.Handle("POST /api/v1/account/password/strength", a.inSession(a.ownStrength))
	m.Handle("GET /api/v1/account/sessions", a.inSession(a.sessions, "limit", "cursor"))
	m.Handle("DELETE /api/v1/account/sessions", a.inSession(a.endOthers))
	m.Handle("PATCH /api/v1/account/sessions/{id}", a.inSession(a.nameSession))
	m.Handle("DELETE /api/v1/account/sessions/{id}", a.inSession(a.endSession))
	m.Handle("GET /api/v1/account/trusted-browsers", a.inSession(a.trustedBrowsers))
	m.Handle("DELETE /api/v1/account/trusted-browsers", a.inSession(a.stopTrusting))
	m.Handle("PATCH /api/v1/account/trusted-browsers/{id}", a.inSession(a.nameTrusted))
	m.Handle("DELETE /api/v1/account/trusted-browsers/{id}", a.inSession(a.stopTrusting))
	m.Handle("GET /api/v1/account/events", a.inSession(a.events, "limit", "cursor"))
	m.Handle("POST /api/v1/account/step-up", a.inSession(a.stepUp))
	m.Handle("POST /api/v1/grants/redeem", a.allowed(directory.GrantsRedeem, a.redeemGrant))
	m.Handle("POST /api/v1/handles/redeem", a.byKey("", a.redeemHandle))
	m.Handle("GET "+GrantsPath+"{company}/keys", a.forAnyone(a.grantKeys))
	m.Handle("GET /api/v1/actions", a.allowed(directory.KeysWrite, a.actions))
	m.Handle("PUT /api/v1/actions/{name}", a.allowed(directory.KeysWrite, a.saveAction))
	m.Handle("DELETE /api/v1/actions/{name}", a.allowed(directory.KeysWrite, a.removeAction))
	m.Handle("GET /api/v1/account/export", a.inSession(a.exportOwn))
	m.Handle("GET /api/v1/users/{id}/export", a.allowed(directory.UsersIdentity, a.exportUser))
	m.Handle("DELETE /api/v1/users/{id}", a.allowed(directory.UsersIdentity, a.eraseUser))

	m.Handle("GET /api/v1/audit/events", a.allowed(directory.AuditRead, a.auditEvents, append([]string{"limit", "cursor"}, filters...)...))
	m.Handle("GET /api/v1/audit/events.csv", a.allowed(directory.AuditRead, a.auditCSV, filters...))
	m.Handle("GET /api/v1/audit/events.jsonl", a.allowed(directory.AuditRead, a.auditLines, filters...))
	m.Handle("POST /api/v1/audit/verify", a.allowed(directory.AuditRead, a.verifyAudit))
	m.Handle("GET /api/v1/audit/retention", a.allowed(directory.AuditRead, a.auditRetention))
	m.Handle("PUT /api/v1/audit/retention", a.byPerson(directory.ProvidersWrite, a.setAuditRetention))
	m.Handle("GET /api/v1/audit/streams", a.byPerson(directory.ProvidersWrite, a.auditStreams))
	m.Handle("PUT /api/v1/audit/streams/{kind}", a.byPerson(directory.ProvidersWrite, a.setAuditStream))
	m.Handle("DELETE /api/v1/audit/streams/{kind}", a.byPerson(directory.ProvidersWrite, a.removeAuditStream))
	m.Handle("POST /api/v1/audit/streams/{kind}/test", a.byPerson(directory.ProvidersWrite, a.testAuditStream))
	m.Handle("GET /api/v1/users/{id}/factors", a.allowed(directory.UsersRead, a.theirFactors))
	// What else each of these needs is the act's to say (directory.Acts).
	m.Handle("POST /api/v1/users/{id}/factors", a.allowed(directory.UsersRead, a.setUpFor))
	m.Handle("POST /api/v1/users/{id}/factors/{factor}/confirm", a.allowed(directory.FactorsManage, a.confirmFor))
	m.Handle("PATCH /api/v1/users/{id}/factors/{factor}", a.allowed(directory.FactorsManage, a.changeFor))
	m.Handle("DELETE /api/v1/users/{id}/factors/{factor}", a.allowed(directory.FactorsManage, a.removeFor))
	m.Handle("POST /api/v1/users/{id}/{act}", a.allowed(directory.UsersRead, a.actOn))
	m.Handle("GET /api/v1/approvals", a.allowed(directory.UsersRead, a.approvals, "limit", "cursor", "target"))
	m.Handle("POST /api/v1/approvals/{id}/approve", a.allowed(directory.UsersRead, a.approve))
	m.Handle("POST /api/v1/approvals/{id}/cancel", a.allowed("", a.cancel))

	m.Handle("GET /api/v1/policy", a.allowed(directory.PolicyWrite, a.policy))
	m.Handle("PUT /api/v1/policy", a.allowed(directory.PolicyWrite, a.setPolicy))
	m.Handle("POST /api/v1/policy/preview", a.allowed(directory.PolicyWrite, a.previewPolicy))
	m.Handle("GET /api/v1/policy/versions", a.allowed(directory.PolicyWrite, a.policyVersions, "limit", "cursor"))
	m.Handle("GET /api/v1/policy/versions/{n}", a.allowed(directory.PolicyWrite, a.policyVersion))
	m.Handle("GET /api/v1/policy/presets", a.allowed(directory.PolicyWrite, a.policyPresets))
	m.Handle("GET /api/v1/reports/adoption", a.allowed(directory.ReportsRead, a.reportAdoption))
	m.Handle("GET /api/v1/reports/sign-ins", a.allowed(directory.ReportsRead, a.reportSignIns, "days"))
	m.Handle("GET /api/v1/reports/attention", a.allowed(directory.ReportsRead, a.reportAttention))
	m.Handle("GET /api/v1/reports/coverage", a.allowed(directory.ReportsRead, a.reportCoverage, "limit", "cursor"))
	m.Handle("GET /api/v1/reports/coverage.csv", a.allowed(directory.ReportsRead, a.reportCoverageFile))
	m.Handle("GET /api/v1/users", a.allowed(directory.UsersRead, a.users, userParams...))
	m.Handle("POST /api/v1/users", a.allowed(directory.UsersWrite, a.addUser))
	m.Handle("GET /api/v1/users.csv", a.allowed(directory.UsersRead, a.exportUsers("csv"), directory.Filters()...))
	m.Handle("GET /api/v1/users.jsonl", a.allowed(directory.UsersRead, a.exportUsers("jsonl"), directory.Filters()...))
	m.Handle("POST /api/v1/users/bulk", a.allowed(directory.UsersWrite, a.bulkUsers))
	m.Handle("POST "+ImportPath, a.allowed(directory.UsersIdentity, a.importUsers, "dry_run"))
	m.Handle("GET /api/v1/users/{id}", a.allowed(directory.UsersRead, a.user))
	m.Handle("PATCH /api/v1/users/{id}", a.allowed(directory.UsersRead, a.changeUser))
	m.Handle("GET /api/v1/roles", a.allowed(directory.RolesWrite, a.roles))
	m.Handle("GET /api/v1/roles/{name}", a.allowed(directory.RolesWrite, a.role))
	m.Handle("PUT /api/v1/roles/{name}", a.allowed(directory.RolesWrite, a.saveRole))
	m.Handle("DELETE /api/v1/roles/{name}", a.allowed(directory.RolesWrite, a.removeRole))
	m.Handle("GET /api/v1/api-keys", a.allowed(directory.KeysWrite, a.apiKeys, "limit", "cursor"))
	m.Handle("POST /api/v1/api-keys", a.allowed(directory.KeysWrite, a.createAPIKey))
	m.Handle("PATCH /api/v1/api-keys/{id}", a.allowed(directory.KeysWrite, a.renameAPIKey))
	m.Handle("DELETE /api/v1/api-keys/{id}", a.allowed(directory.KeysWrite, a.removeAPIKey))
	m.Handle("POST /api/v1/api-keys/{id}/roll", a.allowed(directory.KeysWrite, a.rollAPIKey))
	m.Handle("POST /api/v1/api-keys/{id}/return-addresses", a.allowed(directory.KeysWrite, a.returnAddress(http.StatusCreated, a.Directory.AddReturnAddress)))
	m.Handle("DELETE /api/v1/api-keys/{id}/return-addresses", a.allowed(directory.KeysWrite, a.returnAddress(http.StatusOK, a.Directory.RemoveReturnAddress)))
	m.Handle("GET /api/v1/users/{id}/api", a.allowed(directory.UsersRead, a.apiAccount))
	m.Handle("PUT /api/v1/users/{id}/api", a.allowed(directory.UsersIdentity, a.setAPIAccount))
	m.Handle("POST /api/v1/users/{id}/api/off", a.allowed(directory.UsersIdentity, a.removeAPIAccount))
	m.Handle("GET /api/v1/reports/exemptions", a.allowed(directory.ReportsRead, a.exemptions, "limit", "cursor"))
	m.Handle("GET /api/v1/reports/exemptions.csv", a.allowed(directory.ReportsRead, a.exemptionsCSV))
	m.Handle("GET /api/v1/providers/email", a.byPerson(directory.ProvidersWrite, a.mailProvider))
	m.Handle("PUT /api/v1/providers/email", a.byPerson(directory.ProvidersWrite, a.setMailProvider))
	m.Handle("DELETE /api/v1/providers/email", a.byPerson(directory.ProvidersWrite, a.removeMailProvider))
	m.Handle("POST /api/v1/providers/email/test", a.byPerson(directory.ProvidersWrite, a.testMailProvider))
	m.Handle("GET /api/v1/providers/sms", a.byPerson(directory.ProvidersWrite, a.smsProvider))
	m.Handle("PUT /api/v1/providers/sms", a.byPerson(directory.ProvidersWrite, a.setSMSProvider))
	m.Handle("DELETE /api/v1/providers/sms", a.byPerson(directory.ProvidersWrite, a.removeSMSProvider))
	m.Handle("POST /api/v1/providers/sms/test", a.byPerson(directory.ProvidersWrite, a.testSMSProvider))
	m.Handle("GET /api/v1/providers/duo", a.byPerson(directory.ProvidersWrite, a.duoProvider))
	m.Handle("PUT /api/v1/providers/duo", a.byPerson(directory.ProvidersWrite, a.setDuoProvider))
	m.Handle("DELETE /api/v1/providers/duo", a.byPerson(directory.ProvidersWrite, a.removeDuoProvider))
	m.Handle("POST /api/v1/providers/duo/test", a.byPerson(directory.ProvidersWrite, a.testDuoProvider))

	m.Handle("GET "+brandingPath, a.brands(a.branding))
	m.Handle("PUT "+brandingPath, a.brands(a.setBranding))
	for kind, address := range logoPaths() {
		m.Handle("PUT "+address, a.brands(a.setLogo(kind), "version"))
		m.Handle("DELETE "+address, a.brands(a.removeLogo(kind), "version"))
	}

	// Not of the API: reports of providers, at the address of provider.ReceiptPath.
	m.Handle("GET /callbacks/texts/{company}/{name}", http.HandlerFunc(a.receipt))
	m.Handle("POST /callbacks/texts/{company}/{name}", http.HandlerFunc(a.receipt))
}

// forAnyone serves a route that takes no credential. One that is shown all the
// same is refused rather than ignored: its sender believes that it counts.
func (a *API) forAnyone(f httpserve.Func) http.Handler {
	return httpserve.JSON(func(w http.ResponseWriter, r *http.Request) error {
		if len(r.Header["Authorization"]) > 0 {
			return authn.Unauthenticated
		}
		if err := checkQuery(r); err != nil {
			return err
		}
		return f(w, r)
	})
}

// caller is whoever presents a good session.
type caller struct {
	session.Current
	client authn.Client
	cookie bool // shown as a cookie, so a new one goes back as a cookie
}

func (c caller) who() enroll.Who { return enroll.Who{Token: c.Token, Client: c.client} }

// inSession serves a route that takes a session. params are the names that its
// query may have.
func (a *API) inSession(f func(http.ResponseWriter, *http.Request, caller) error, params ...string) http.Handler {
	return a.bySession(a.Sessions.Check, f, params...)
}

// bySession is inSession with how closely the session is looked at.
func (a *API) bySession(look func(context.Context, string, authn.Client) (session.Current, error), f func(http.ResponseWriter, *http.Request, caller) error, params ...string) http.Handler {
	return httpserve.JSON(func(w http.ResponseWriter, r *http.Request) error {
		value, bearer := a.Cookies.Credential(r)
		client := httpserve.ClientOf(r)
		cur, err := look(r.Context(), value, client)
		if err != nil {
			return err
		}
		httpserve.Subject(r.Context(), cur.Company.ID, cur.User.ID, cur.Session.ID)
		if err := checkQuery(r, params...); err != nil {
			return err
		}
		return f(w, r, caller{Current: cur, client: client, cookie: !bearer})
	})
}

// byPerson serves a route of the administration that takes no programs: a session
// of somebody who has the permission.
func (a *API) byPerson(p directory.Permission, f func(http.ResponseWriter, *http.Request, caller) error) http.Handler {
	return a.inSession(func(w http.ResponseWriter, r *http.Request, c caller) error {
		if _, err := a.Directory.Check(r.Context(), directory.Session(c.Token, c.client), p); err != nil {
			return err
		}
		return f(w, r, c)
	})
}

// opener is whoever presents the attempt that the path names.
type opener struct {
	signin.Opener
	cookie bool // opened by the browser cookie, so the session goes back as a cookie
}

// inAttempt serves a route below /attempts/{id}. Whether there is such an
// attempt is found out by the service, in the transaction that uses it.
func (a *API) inAttempt(f func(http.ResponseWriter, *http.Request, opener) error) http.Handler {
	return httpserve.JSON(func(w http.ResponseWriter, r *http.Request) error {
		o, err := a.open(r, r.PathValue("id"))
		if err != nil {
			return err
		}
		httpserve.Subject(r.Context(), o.Company, o.Attempt)
		return f(w, r, o)
	})
}

// setter is whoever sets a way up: a person in a session, or in a sign-in.
type setter struct {
	enroll.Who
	session *caller // nil in a sign-in
	opener  opener  // the sign-in
}

// attemptParam names the attempt, for a browser whose cookie opens it: these
// routes have none in their path. The id alone opens nothing (ruling 47).
const attemptParam = "attempt"

// inSetUp serves a route that takes a session, or an attempt. Which of them it
// is the request says: by the kind of the token, and by cookie with the
// parameter "attempt". Whether the sign-in asks for a way to be set up is found
// out by the service.
func (a *API) inSetUp(f func(http.ResponseWriter, *http.Request, setter) error) http.Handler {
	session := a.inSession(func(w http.ResponseWriter, r *http.Request, c caller) error {
		return f(w, r, setter{Who: c.who(), session: &c})
	})
	attempt := httpserve.JSON(func(w http.ResponseWriter, r *http.Request) error {
		o, err := a.open(r, r.URL.Query().Get(attemptParam), attemptParam)
		if err != nil {
			return err
		}
		httpserve.Subject(r.Context(), o.Company, o.Attempt)
		err = f(w, r, setter{Who: enroll.Who{Token: o.Token, Company: o.Company, Attempt: o.Attempt, Client: o.Client}, opener: o})
		if e := authn.AsError(err); err != nil && e.Code == authn.Forbidden && e.Key == "" {
			return &authn.Error{Code: authn.Forbidden, Key: "error.forbidden.not_in_set_up", Err: err}
		}
		return err
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, bearer := a.Cookies.Credential(r)
		_, isAttempt := authn.ParseToken(authn.AttemptToken, value)
		if bearer && isAttempt || !bearer && r.URL.Query().Has(attemptParam) {
			attempt.ServeHTTP(w, r)
			return
		}
		session.ServeHTTP(w, r)
	})
}

// open finds out who opens the attempt id; with a token it may be empty. params
// are the names that the query of a request by cookie may have.
func (a *API) open(r *http.Request, id string, params ...string) (opener, error) {
	client := httpserve.ClientOf(r)
	if len(r.Header["Authorization"]) > 0 {
		value, _ := a.Cookies.Credential(r)
		t, ok := authn.ParseToken(authn.AttemptToken, value)
		if !ok {
			return opener{}, authn.Unauthenticated
		}
		if id != "" && t.ID != id {
			return opener{}, authn.NotFound
		}
		return opener{Opener: signin.OpenerOf(t, client)}, checkQuery(r)
	}
	if client.Browser == "" {
		return opener{}, authn.Unauthenticated
	}
	if err := checkQuery(r, append(params, "company")...); err != nil {
		return opener{}, err
	}
	if !authn.CheckID(authn.AttemptID, id) {
		return opener{}, authn.NotFound
	}
	// A cookie, unlike a token, does not say which company the attempt is of.
	company, err := a.Directory.Company(r.Context(), r.URL.Query().Get("company"))
	if err != nil {
		return opener{}, err
	}
	o := opener{Opener: signin.Opener{Company: company.ID, Attempt: id, Client: client}, cookie: true}
	st, err := a.SignIn.Get(r.Context(), o.Opener)
	if err != nil || st.Attempt.Purpose != authn.StepUp {
		return o, err
	}
	// The browser cookie outlives the session by far. It opens a step-up only
	// beside the session that asked for it.
	cur, err := a.Sessions.Check(r.Context(), a.Cookies.ReadSession(r), client)
	if err == nil && cur.Session.ID != st.Attempt.Session {
		err = authn.NotFound
	}
	return o, err
}

// checkQuery refuses parameters that a route does not have, and repeated ones.
// Tokens in addresses end up in logs and histories, so none is ever read there.
func checkQuery(r *http.Request, known ...string) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case !slices.Contains(known, name):
			return authn.InvalidField(parameterName(name), "unknown", nil)
		case len(query[name]) > 1:
			return authn.InvalidField(name, "duplicate", nil)
		}
	}
	return nil
}

// parameterName is the client's name for a parameter if it is a short word, and
// otherwise "query": what was put in the wrong place, such as a token, does not
// come back.
func parameterName(name string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if name == "" || len(name) > 24 || strings.Trim(name, letters+"0123456789_-") != "" || !strings.Contains(letters, name[:1]) {
		return "query"
	}
	return name
}
