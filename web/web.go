// Package web serves the pages that people see: signing in, and their own
// account. They are drawn on the server, work without JavaScript, and say
// nothing that is not in the catalogues of package text.
//
// # Flow
//
// POST /signin gives name and password to signin.Begin and answers 303 to
// /signin/{attempt}, which draws what the attempt still needs; the answer to
// that completes it, sets the session cookie and leads to /continue, a page
// with status 200: a redirect from a form to another origin would be stopped by
// form-action of our own policy. Whatever sends or changes answers 303 to a GET;
// what was refused is drawn again in place with 422 (ruling 49). A GET changes
// nothing.
//
// Where that leads to an application on another origin, the form is answered by such
// a page itself, with a handle in it (see returns.go); who is signed in already is
// asked first.
//
// Everything that an attempt asks for is under its address: a code (nothing is
// sent before somebody presses a button), the set-up of a way to verify with its
// backup codes, a new password. An invitation's link shows a page; only its form
// uses it up, so that a mail scanner does not.
//
// A passkey is asked for by a script, which posts the answer as a form (passkey.go): the
// one thing here that needs it, and its pages say so and name the other ways.
//
// Duo is asked by a form like that. Its page looks again every few seconds, with a
// script or by a refresh, until the answer is there; then a form, "Approved –
// Continue", uses it. A look asks Duo nothing and finishes nothing.
//
// A sensitive act that needs a more recent proof answers 303 to
// /account/confirm, which names the act, asks for the code (or, from people
// without an app, the password), and goes on with the act. What was typed in a form
// is kept meanwhile, sealed, and sent by one more click: see kept.go.
//
// # Threats
//
//   - Forged requests (cve-66): the outer layer refuses other sites; each form
//     also carries a value bound to the session or, before there is one, to the
//     browser.
//   - An attempt's address in the wrong hands (ruling 47): only the browser that
//     began it opens it; to others it does not exist.
//   - Reload and Back (ruling 49): each form of an attempt carries its version,
//     and an old one is never evaluated.
//   - Open redirects (cve-64): return_to and then are paths that
//     httpserve.SafePath accepts, checked where they enter and where they are used; or
//     return_to is an address that is registered with a key, letter by letter.
//   - Hostile names (cve-65): html/template escapes by context; names stand in
//     <bdi>, so that marks of direction end where the name ends. The only markup
//     not made by a template is the QR code's (see setup.go).
//   - What waits for a step-up (ruling 27): a kept form opens for its browser, person
//     and sign-in alone, once, and is posted to the ordinary handler, which asks
//     everything anew. Its secrets are on no page.
//   - Shared computers: every page is no-store, and the sign-out page says when
//     it is done.
package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/internal/phone"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/report"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/text"
)

// Config wires a Handler. The services and Texts are needed.
type Config struct {
	SignIn    *signin.Service
	Enroll    *enroll.Service
	Sessions  *session.Service
	Directory *directory.Service
	Audit     *audit.Service
	Providers *provider.Service // nil: companies have no mail servers of their own, and no text messages
	Branding  *branding.Service
	Reports   *report.Service
	Places    authn.Places // nil: none are shown

	Cookies httpserve.Cookies
	Texts   *text.Catalogue
	// Methods are those that are registered: the pages ask them whether an answer
	// has their shape, and which of them people can set up.
	Methods []authn.Method
	// Home is where people land after signing in from nowhere; empty: /account/security.
	Home string
	// HostPassword is where people change their password whom a host program keeps;
	// empty: they are not led there.
	HostPassword string
	// Banner stands on top of every page; empty: none.
	Banner string
	// OpenAPI is the document that the API reference is made of; empty: there is none.
	OpenAPI []byte
	// PublicURL is the address of the server, for the examples and for those who look for
	// the pages of passkeys; needed with OpenAPI and with passkeys.
	PublicURL string

	Now    func() time.Time            // nil: time.Now
	Random io.Reader                   // what the services use; the pages make up nothing themselves
	Ready  func(context.Context) error // nil: always ready
	// Status is how the server does, for its operator; nil: nobody is told.
	Status func(context.Context) Status
}

// Handler draws the pages. It is safe for concurrent use.
type Handler struct {
	c      Config
	layout *Layout
	pages  map[string]*page
	manual *manual

	serves  func(address string) bool // whether there is such a page
	mux     *httpserve.Mux
	methods map[authn.Kind]authn.Method
	lands   map[string][]phone.Country // by language
	people  bool                       // there are pages of people
}

// New checks the configuration and parses the pages.
func New(c Config) (*Handler, error) {
	if c.SignIn == nil || c.Enroll == nil || c.Sessions == nil || c.Directory == nil || c.Audit == nil || c.Branding == nil || c.Reports == nil || c.Texts == nil {
		return nil, errors.New("web: Config needs SignIn, Enroll, Sessions, Directory, Audit, Branding, Reports and Texts")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Home == "" {
		c.Home = securityPath
	}
	if _, ok := httpserve.SafePath(c.Home); !ok {
		return nil, errors.New("web: Config.Home is not a path on this server")
	}
	layout, err := NewLayout(LayoutConfig{Texts: c.Texts, Cookies: c.Cookies, Banner: c.Banner, Now: c.Now})
	if err != nil {
		return nil, err
	}
	pages, err := ownPages()
	if err != nil {
		return nil, err
	}
	manual, err := newManual(c)
	if err != nil {
		return nil, err
	}
	h := &Handler{c: c, layout: layout, pages: pages, manual: manual, methods: map[authn.Kind]authn.Method{}, lands: map[string][]phone.Country{}}
	for _, lang := range c.Texts.Languages() {
		h.lands[lang] = phone.Countries(lang)
	}
	for _, m := range c.Methods {
		h.methods[m.Kind()] = m
	}
	return h, nil
}

// The addresses that more than one page leads to.
const (
	signInPath     = "/signin"
	continuePath   = "/continue"
	accountPath    = "/account"
	securityPath   = "/account/security"
	appPath        = "/account/security/app"
	appOffPath     = "/account/security/app/off"
	passwordPath   = "/account/password"
	confirmPath    = "/account/confirm"
	appearancePath = "/appearance"
	signOutPath    = "/signout"
	invitationPath = "/invitation"
	providerPath   = "/admin/providers/email"
	textsPath      = "/admin/providers/texts"
	duoAdminPath   = "/admin/providers/duo"
	brandingPath   = "/admin/branding"
)

// Mount registers all pages, a line each.
func (h *Handler) Mount(m *httpserve.Mux) {
	h.serves, h.mux = m.Serves, m
	m.Handle("GET /{$}", httpserve.Page(h.root))
	m.Handle("POST "+appearancePath, httpserve.Page(h.postAppearance))
	h.mountSignIn(m)
	h.mountAccount(m)
	h.mountPeople(m)
	h.mountPerson(m)
	h.mountErase(m)
	h.mountKeys(m)
	h.mountReports(m)
	h.mountProviders(m)
	h.mountPolicy(m)
	h.mountBranding(m)
	h.mountDocs(m)
	h.mountWellKnown(m)
	m.Handle("GET /assets/{file}", httpserve.Page(serveAsset))
	m.Handle("GET /healthz", httpserve.Page(h.healthz))
	m.Handle("GET /readyz", httpserve.Page(h.readyz))
	m.Handle("GET "+statusPath, httpserve.LoopbackOnly(httpserve.Page(h.getStatus)))
	m.Handle("GET "+statusPath+".json", httpserve.LoopbackOnly(httpserve.JSON(h.getStatusJSON)))
	h.people = slices.Contains(m.Routes(), "GET /admin/people/{id}")
}

// mountSignIn registers how people get in, on to where they wanted, and out.
func (h *Handler) mountSignIn(m *httpserve.Mux) {
	for _, prefix := range []string{"", "/c/{company}"} {
		m.Handle("GET "+prefix+signInPath, httpserve.Page(h.getSignIn))
		m.Handle("POST "+prefix+signInPath, httpserve.Page(h.postSignIn))
		m.Handle("POST "+prefix+signInPath+passkeySuffix, httpserve.Page(h.postPasskey))
		m.Handle("POST "+prefix+signInPath+passkeySuffix+"/options", httpserve.JSON(h.postPasskeyAsk))
		h.mountAttempt(m, prefix+signInPath+"/{attempt}")
		m.Handle("GET "+prefix+forgotPath, httpserve.Page(h.getForgot))
		m.Handle("POST "+prefix+forgotPath, httpserve.Page(h.postForgot))
		m.Handle("GET "+prefix+forgotPath+"/done", httpserve.Page(h.getForgotDone))
		m.Handle("GET "+prefix+forgotPath+"/{reset}", httpserve.Page(h.getReset))
		m.Handle("POST "+prefix+forgotPath+"/{reset}/code", httpserve.Page(h.postResetCode))
		m.Handle("POST "+prefix+forgotPath+"/{reset}/password", httpserve.Page(h.postResetPassword))
	}
	m.Handle("GET "+backupUsedPath, h.account(h.getBackupUsed))
	m.Handle("GET "+passkeyOfferPath, h.account(h.getPasskeyOffer))
	m.Handle("GET "+invitationPath+"/{token}", httpserve.Page(h.getInvitation))
	m.Handle("POST "+invitationPath, httpserve.Page(h.postInvitation))
	m.Handle("GET "+continuePath, h.account(h.getContinue))
	m.Handle("POST "+returnPath, h.account(h.postReturn))
	m.Handle("GET "+secondPath+"/{token}", httpserve.Page(h.getSecond))
	m.Handle("POST "+secondPath, httpserve.Page(h.postSecond))
	m.Handle("GET "+signOutPath, h.account(h.getSignOut))
	m.Handle("POST "+signOutPath, httpserve.Page(h.postSignOut))
}

// root leads a bare host name to where people begin.
func (h *Handler) root(w http.ResponseWriter, r *http.Request) error {
	seeOther(w, h.c.Home)
	return nil
}

// seeOther answers 303. The address is ours or was checked by SafePath; unlike
// http.Redirect it is not resolved against the request's.
func seeOther(w http.ResponseWriter, address string) {
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}

// samePage is a path of this server, whichever, or nothing.
func samePage(path string) string {
	p, _ := httpserve.SafePath(path)
	return p
}

// safe is a path that people may be sent to, or otherwise the fallback.
func safe(path, fallback string) string {
	if p, ok := httpserve.Landing(path); ok {
		return p
	}
	return fallback
}
