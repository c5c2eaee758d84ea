// Package sallyport is what a host program embeds: New wires the parts, Handler
// serves pages and JSON, Run keeps house. The program in cmd/sallyport is this
// package plus a configuration file, signals and listeners; there is no second
// way to wire.
//
// The package links no database driver and no vendor's code: the host brings a
// store (store/sqlite, store/postgres) and the methods it wants.
package sallyport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-mfa/sallyport/audit"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/branding"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/enroll"
	"github.com/sallyport-mfa/sallyport/httpapi"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/notice"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/provider"
	"github.com/sallyport-mfa/sallyport/remote"
	"github.com/sallyport-mfa/sallyport/report"
	"github.com/sallyport-mfa/sallyport/session"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/text"
	"github.com/sallyport-mfa/sallyport/throttle"
	"github.com/sallyport-mfa/sallyport/web"
)

// Store is all that Sallyport needs of storage; *store.Store has it.
type Store interface {
	signin.Store
	enroll.Store
	session.Store
	directory.Store
	audit.Store
	notice.Outbox
	provider.Store
	branding.Store
	report.Store
	httpapi.GrantKeys
	housekeeping
}

// Config is all there is to say. Store, Methods, Passwords and PublicURL are needed.
type Config struct {
	Store Store
	// Methods people can prove themselves with; one is of kind password.
	Methods []authn.Method
	// Passwords is usually the password method among Methods.
	Passwords enroll.Passwords

	// PublicURL is where people reach the server: scheme, host and port, no
	// path. Links, cookies and the host check follow it and nothing else.
	PublicURL string
	// Hosts are further host:port values that are accepted.
	Hosts []string
	// TrustedProxies may state the client's address in X-Forwarded-For; none by default.
	TrustedProxies []netip.Prefix
	// HSTS sends Strict-Transport-Security; for a program that owns its host
	// name, never for an embedded server (ruling 48).
	HSTS bool
	// CookieSuffix tells apart two servers behind one host name: a–z, 0–9, 20 at most.
	CookieSuffix string

	// Users are the host program's own people: its table, and its check of their
	// passwords. Nil: Sallyport keeps everybody. Methods and Passwords are needed all the
	// same: for the accounts of programs, and for people whom Sallyport itself keeps,
	// such as an owner that a command made.
	Users signin.Users
	// UsersAnswer is how long Users may take; 0: 5 s. At most 30 s.
	UsersAnswer time.Duration
	// PasswordPage is where people of Users change their password, or get a new one when
	// they have forgotten it: a path of the host program. Empty: they are not led there.
	PasswordPage string

	// Actions are what this program asks people to confirm, in its own pages
	// (RequireStepUp) and by the API; companies register others themselves.
	Actions []authn.Action

	// Home is where people land after signing in from nowhere; empty: /account/security.
	Home string
	// Banner stands on top of every page; empty: none.
	Banner string
	// Extra are further routes behind the same host check and headers, by
	// pattern of net/http.ServeMux.
	Extra     map[string]http.Handler
	Catalogue *text.Catalogue // nil: the embedded one

	// Senders deliver messages, by channel. Nil: nothing is sent and nobody is
	// told, and methods whose codes are sent are refused. The store must then have
	// been opened with notice.For, so that what people are told reaches the outbox.
	Senders map[authn.Kind]authn.Sender
	// CompanyMail sends through the mail servers that companies name
	// (smtp.ForCompanies of message/smtp makes one). Nil: every company uses Senders. Needs Senders.
	CompanyMail authn.MailServers
	// TextDrivers speak to the providers of text messages that companies name, and
	// that Texts names (the packages under message/), by name. Nil: Senders alone
	// sends texts, if it has a sender of them.
	TextDrivers map[string]authn.TextDriver
	// Texts are the operator's providers and limits of text messages, for companies
	// without providers of their own. With a sender of texts in Senders that sends,
	// and only countries and limits count here.
	Texts authn.TextSettings
	// Duo tries the applications that companies name (method/duo.Method). Nil: no
	// company has Duo.
	Duo authn.DuoService
	// Streams send companies' event logs to the systems that they name (the types of
	// message/auditstream), by kind. Nil: events are sent nowhere. Needs Senders or
	// TextDrivers.
	Streams map[authn.Kind]authn.StreamSender
	// Places say about where network addresses are (geoip.New reads a file of them), for
	// people who look at their own sign-ins, and letters about them. Nothing is decided
	// by it. Nil: no places are shown.
	Places authn.Places
	// Digits makes a sent code out of its seed (method/code.Digits); needed with Senders.
	Digits func(seed []byte) string
	// BackupCodes makes them (method/backup.Method); nil: nobody gets any.
	BackupCodes enroll.Codes

	// Version and Warnings are for the operator's status page: what runs, and what
	// in its configuration is probably not meant.
	Version  string
	Warnings []string

	Addresses *throttle.Addresses // nil: the default limits
	Lifetimes policy.Lifetimes    // zero fields: ruling 45
	Log       *slog.Logger        // nil: slog.Default
	Now       func() time.Time    // nil: time.Now
	Random    io.Reader           // nil: crypto/rand
}

// Server is a wired Sallyport. The services are the Go API: what the pages and
// the JSON API do goes through them.
type Server struct {
	SignIn    *signin.Service
	Enroll    *enroll.Service
	Sessions  *session.Service
	Directory *directory.Service
	Audit     *audit.Service
	Notices   *notice.Service   // nil: nothing is sent
	Providers *provider.Service // nil: nothing is sent
	Branding  *branding.Service
	Reports   *report.Service

	cfg     Config
	mux     *httpserve.Mux
	handler http.Handler
	cookies httpserve.Cookies
	started time.Time
	clock   *clockGuard
	guests  *httpserve.Guests // of RequireSession and the others
	origin  string            // of Config.PublicURL, as browsers write it
}

// New wires a server, or says everything that is wrong with the configuration.
func New(cfg Config) (*Server, error) {
	base, err := cfg.check()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, origin: base.String(), started: cfg.Now(), mux: httpserve.NewMux(), cookies: httpserve.Cookies{Secure: base.Scheme == "https", Suffix: cfg.CookieSuffix}}
	if err := s.services(); err != nil {
		return nil, err
	}
	outer := httpserve.Config{
		PublicURL: cfg.PublicURL, Hosts: append([]string{base.Host}, cfg.Hosts...), TrustedProxies: cfg.TrustedProxies,
		HSTS: cfg.HSTS, Cookies: s.cookies, Texts: cfg.Catalogue, Log: cfg.Log, Random: cfg.Random,
		Locale: func(r *http.Request) string { return cfg.Catalogue.Match(r.Header.Get("Accept-Language"), "") },
	}
	if err := s.mount(&outer); err != nil {
		return nil, err
	}
	s.handler, s.guests = httpserve.Wrap(s.mux, outer), httpserve.NewGuests(outer)
	return s, nil
}

// check reports every problem at once and fills the defaults.
func (c *Config) check() (*url.URL, error) {
	var problems []error
	if c.Store == nil {
		problems = append(problems, errors.New("Config.Store is nil; open one with store/sqlite or store/postgres"))
	}
	if len(c.Methods) == 0 {
		problems = append(problems, errors.New("Config.Methods is empty; password.New and totp.New make the usual two"))
	}
	if c.Passwords == nil {
		problems = append(problems, errors.New("Config.Passwords is nil; give the method that password.New made"))
	}
	base, err := ParsePublicURL(c.PublicURL)
	if err != nil {
		problems = append(problems, fmt.Errorf("Config.PublicURL: %w", err))
	}
	if strings.Trim(c.CookieSuffix, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || len(c.CookieSuffix) > 20 {
		problems = append(problems, fmt.Errorf("Config.CookieSuffix is %q; it must be at most 20 of a-z and 0-9", c.CookieSuffix))
	}
	if c.Home == "" {
		c.Home = "/account/security"
	}
	if _, ok := httpserve.Landing(c.Home); !ok {
		problems = append(problems, fmt.Errorf("Config.Home is %q; it must be a path on this server, and not one that leads on to another page", c.Home))
	}
	problems = append(problems, c.checkUsers()...)
	for _, p := range c.TrustedProxies {
		if p.Bits() == 0 {
			problems = append(problems, fmt.Errorf("Config.TrustedProxies has %v, which trusts everybody; name the proxies", p))
		}
	}
	if c.Catalogue == nil {
		c.Catalogue = text.Default()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Addresses == nil {
		c.Addresses = throttle.NewAddresses(throttle.AddressesConfig{Now: c.Now})
	}
	for _, m := range c.Methods {
		if m.Kind() == authn.SMS && (len(c.TextDrivers) > 0 || len(c.Texts.Providers) > 0) {
			continue
		}
		if m.Kind().Sent() && c.Senders[m.Kind()] == nil {
			problems = append(problems, fmt.Errorf("Config.Methods has %q, and Config.Senders has no sender for it", m.Kind()))
		}
	}
	if c.CompanyMail != nil && c.Senders[authn.Email] == nil {
		problems = append(problems, errors.New("Config.CompanyMail is set without a sender of e-mail in Config.Senders, which companies without settings use"))
	}
	if (len(c.Senders) > 0 || len(c.TextDrivers) > 0) && c.Digits == nil {
		problems = append(problems, errors.New("Config.Digits is nil; give code.Digits"))
	}
	problems = append(problems, c.checkActions()...)
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("sallyport: %w", err)
	}
	return base, nil
}

// checkUsers says what is wrong with the host program's own people.
func (c *Config) checkUsers() (problems []error) {
	if c.UsersAnswer < 0 || c.UsersAnswer > signin.MaxUsersAnswer {
		problems = append(problems, fmt.Errorf("Config.UsersAnswer is %v; it must be at most %v", c.UsersAnswer, signin.MaxUsersAnswer))
	}
	if _, ok := httpserve.Landing(c.PasswordPage); c.PasswordPage != "" && !ok {
		problems = append(problems, fmt.Errorf("Config.PasswordPage is %q; it must be a path on this server, and not one that leads on to another page", c.PasswordPage))
	}
	if c.Users == nil && (c.UsersAnswer != 0 || c.PasswordPage != "") {
		problems = append(problems, errors.New("Config.UsersAnswer and Config.PasswordPage are for Config.Users, which is nil"))
	}
	return problems
}

// checkActions cleans the host program's actions, and says what is wrong with them.
func (c *Config) checkActions() (problems []error) {
	seen, list := web.OwnActs(), []authn.Action{}
	for i, a := range c.Actions {
		clean, err := authn.CleanAction(a)
		clean.Company = ""
		switch {
		case err != nil && len(authn.AsError(err).Fields) > 0:
			problems = append(problems, fmt.Errorf("Config.Actions[%d] has a %s that cannot be: a name is words of a-z, 0-9 and _ with points between, a title 1 to %d characters", i, authn.AsError(err).Fields[0].Name, authn.MaxActionTitle))
		case slices.Contains(seen, a.Name):
			problems = append(problems, fmt.Errorf("Config.Actions[%d] is %q, which stands twice or is a name of Sallyport's own", i, a.Name))
		}
		seen, list = append(seen, a.Name), append(list, clean)
	}
	c.Actions = list
	return problems
}

// bypasses is the method that makes help codes, if there is one.
func (c *Config) bypasses() directory.Bypasses {
	for _, m := range c.Methods {
		if b, ok := m.(directory.Bypasses); ok && m.Kind() == authn.BypassCode {
			return b
		}
	}
	return nil
}

// ParsePublicURL reads the address under which browsers reach a server, and
// says what is wrong with it: a scheme and a host in ASCII, perhaps a port, and
// nothing else; https, or http on a loopback name. The scheme's usual port is
// dropped, because browsers leave it out of the Host header.
func ParsePublicURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no address of a server; write a scheme and a host, such as https://login.example.com", s)
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	switch n, err := strconv.ParseUint(port, 10, 16); {
	case strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:") != "" || strings.HasSuffix(host, ".") || strings.HasPrefix(host, "."):
		return nil, fmt.Errorf("%q has a host that browsers write differently; write it as they do: ASCII (xn--… for other letters), no dot at the end, no zone", s)
	case strings.HasSuffix(u.Host, ":") || port != "" && (err != nil || n == 0):
		return nil, fmt.Errorf("%q has a port that does not exist; use 1 to 65535, or none", s)
	case u.Scheme == "http" && !loopback(host):
		return nil, fmt.Errorf("%q is not https; only a loopback name, such as http://localhost:8080, may go without", s)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && port != map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		host += ":" + port
	}
	return &url.URL{Scheme: u.Scheme, Host: host}, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// meterAddresses limits how often the strength of passwords is asked for, apart from
// signing in, so that neither uses the other up.
func meterAddresses(now func() time.Time) *throttle.Addresses {
	few, many := throttle.Rate{PerMinute: 240}, throttle.Rate{PerMinute: 600}
	return throttle.NewAddresses(throttle.AddressesConfig{IPv4Address: few, IPv4Net: many, IPv6Subnet: few, IPv6Home: few, IPv6Site: many, Entries: 4096, Now: now})
}

func (s *Server) services() error {
	c := s.cfg
	s.clock = &clockGuard{store: c.Store, now: c.Now, log: c.Log}
	var errs [9]error
	var deliver signin.Deliverer // a nil *notice.Service would be no nil interface
	var texts signin.Texts
	var settings func(context.Context, string, authn.Kind) ([]byte, error)
	var reaches func(context.Context, string, authn.Kind) (authn.Reaches, error)
	var countries func(context.Context, string) ([]string, error)
	runner := &remote.Runner{}
	methods := map[authn.Kind]authn.Method{}
	for _, m := range c.Methods {
		methods[m.Kind()] = m
	}
	if len(c.Senders) > 0 || len(c.TextDrivers) > 0 {
		n := notice.Config{Outbox: c.Store, Texts: c.Catalogue, Senders: c.Senders, PublicURL: c.PublicURL,
			Places: c.Places, Code: c.Digits, Now: c.Now, Log: c.Log, Random: c.Random}
		s.Providers, errs[6] = provider.New(provider.Config{Store: c.Store, Mail: c.CompanyMail, Drivers: c.TextDrivers, Texts: c.Texts, Text: c.Senders[authn.SMS],
			Duo: c.Duo, Streams: c.Streams, PublicURL: c.PublicURL, Now: c.Now, Random: c.Random, Log: c.Log, Lifetimes: c.Lifetimes,
			Render: func(l authn.Letter) (authn.Message, error) { return s.Notices.Render(l) }})
		n.SenderFor, n.ViaFor = s.Providers.SenderFor, s.Providers.ViaFor
		s.Notices, errs[5] = notice.New(n)
		deliver, texts, settings, countries = s.Notices, s.Providers, s.Providers.Settings, s.Providers.Countries
		reaches = s.Providers.Reaches
	}
	s.SignIn, errs[0] = signin.New(signin.Config{Store: c.Store, Methods: c.Methods, Passwords: c.Passwords, Deliver: deliver, Texts: texts, Settings: settings, Reaches: reaches, Runner: runner, Addresses: c.Addresses, Meter: meterAddresses(c.Now),
		Alarm: throttle.NewAlarm(throttle.AlarmConfig{}), Now: c.Now, Random: c.Random, Lifetimes: c.Lifetimes, Clock: s.clock.check,
		Users: c.Users, UsersAnswer: c.UsersAnswer, Log: c.Log, Actions: c.Actions, OwnActs: web.OwnActs(), Issuer: s.origin + httpapi.GrantsPath,
		Helpers: func(of authn.Company) []string { return directory.RolesWith(of, directory.FactorsManage) }})
	if errs[0] != nil {
		return errs[0] // what follows asks it
	}
	s.Enroll, errs[1] = enroll.New(enroll.Config{Store: c.Store, Methods: c.Methods, Passwords: c.Passwords, Codes: c.BackupCodes, Deliver: deliver, Texts: texts, Settings: settings, Reaches: reaches, Runner: runner,
		Now: c.Now, Random: c.Random, Lifetimes: c.Lifetimes})
	s.Sessions, errs[2] = session.New(session.Config{Store: c.Store, Valid: policy.CheckSession, Trusts: policy.TrustHolds, Rights: directory.Administrative, Present: s.SignIn.Present, Now: c.Now, Random: c.Random, Log: c.Log})
	shapes := func(ctx context.Context, company string) (map[string]int, error) {
		counts, err := c.Store.Shapes(ctx, company)
		out := make(map[string]int, len(counts))
		for shape, n := range counts {
			out[shape] = int(n)
		}
		return out, err
	}
	s.Directory, errs[3] = directory.New(directory.Config{Store: c.Store, Passwords: c.Passwords, Bypasses: c.bypasses(), Methods: c.Methods, Settings: settings, Countries: countries,
		Lifetimes: c.Lifetimes, Locales: c.Catalogue.Languages(), Now: c.Now, Random: c.Random,
		Traits: func(of authn.Company) func(authn.Kind) (authn.Traits, bool) { return authn.TraitsFor(methods, of) }, Shapes: shapes,
		Actions: c.Actions, OwnActs: web.OwnActs(), Stands: s.SignIn.Stands})
	s.Reports, errs[7] = report.New(report.Config{Store: c.Store, Methods: c.Methods, Providers: s.Providers, Shapes: shapes, Now: c.Now})
	s.Audit, errs[4] = audit.New(audit.Config{Store: c.Store, Streams: c.Streams, Text: s.eventText, Now: c.Now, Random: c.Random})
	brand := branding.Config{Store: c.Store, SMSName: notice.SMSName, Now: c.Now, Random: c.Random, Lifetimes: c.Lifetimes}
	if s.Notices != nil {
		brand.Render = s.Notices.Render
	}
	s.Branding, errs[8] = branding.New(brand)
	return errors.Join(errs[:]...)
}

// eventText is what an event says, in English: for machines that watch.
func (s *Server) eventText(e authn.Event) string {
	return s.cfg.Catalogue.Text(text.English, audit.TextKey(e, s.cfg.Catalogue.Has), nil)
}

func (s *Server) mount(outer *httpserve.Config) error {
	api, err := httpapi.New(httpapi.Config{SignIn: s.SignIn, Enroll: s.Enroll, Sessions: s.Sessions, Directory: s.Directory, Audit: s.Audit, Providers: s.Providers, Branding: s.Branding, Reports: s.Reports, GrantKeys: s.cfg.Store, Places: s.cfg.Places, PublicURL: s.origin,
		Cookies: s.cookies, Texts: s.cfg.Catalogue, Locales: s.cfg.Catalogue.Languages(), Methods: s.cfg.Methods, Now: s.cfg.Now})
	if err != nil {
		return err
	}
	pages, err := web.New(web.Config{SignIn: s.SignIn, Enroll: s.Enroll, Sessions: s.Sessions, Directory: s.Directory,
		Audit: s.Audit, Providers: s.Providers, Branding: s.Branding, Reports: s.Reports, Places: s.cfg.Places, Cookies: s.cookies, Texts: s.cfg.Catalogue, Methods: s.cfg.Methods, Home: s.cfg.Home, HostPassword: s.cfg.PasswordPage, Banner: s.cfg.Banner,
		OpenAPI: httpapi.OpenAPI(), PublicURL: s.origin, Now: s.cfg.Now, Ready: (&readiness{ask: s.clock.ready(s.cfg.Store.Ready)}).check, Status: s.status})
	if err != nil {
		return err
	}
	outer.ErrorPage, outer.Local, outer.Uploads = pages.Error, web.LocalPaths(), web.Uploads()
	maps.Copy(outer.Uploads, httpapi.Uploads())
	api.Mount(s.mux)
	pages.Mount(s.mux)
	for pattern, h := range s.cfg.Extra {
		s.mux.Handle(pattern, h)
	}
	return nil
}

// Handler serves everything: pages under /, JSON under /api/v1.
func (s *Server) Handler() http.Handler { return s.handler }

// SessionCookie is the name of the cookie that holds the session.
func (s *Server) SessionCookie() string { return s.cookies.Session() }

// Routes are the patterns that Handler serves.
func (s *Server) Routes() []string { return s.mux.Routes() }
