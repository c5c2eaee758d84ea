package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
)

// setting is one key of the configuration. The table below is the whole
// format: the loader, the environment and the written reference follow it.
type setting struct {
	key    string
	list   bool          // a list in the file; separated by commas in the environment
	secret bool          // may hold a secret: no error repeats it, and NAME_FILE names a file that holds it
	hidden bool          // in the environment only
	clear  func(*config) // of a list: the environment takes the file's place
	value  string        // the default, or an example where there is none
	doc    string
	set    func(l *loader, v string) error
}

// name is the setting's name in the environment.
func (s setting) name() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

const envPrefix = "SALLYPORT_"

var settings = []setting{
	{key: "public_url", value: "https://login.example.com", set: setPublicURL,
		doc: "Where people reach the server: scheme, host and port, no path. Links, cookies and the check of the Host header follow it. Plain http only for this machine (http://localhost:8080)."},
	{key: "listen", value: "127.0.0.1:8080", set: setListen,
		doc: "Address and port to listen on. \":443\" takes requests from everywhere."},
	{key: "database", value: "sallyport.db", secret: true, set: setDatabase,
		doc: "A file (SQLite), or a PostgreSQL address: postgres://user:password@host/name?sslmode=verify-full"},
	{key: "keyring_file", value: "keyring", set: setPath(func(c *config) *string { return &c.KeyringFile }),
		doc: "The keys that seal secrets in the database; mode 0600. Keep a copy apart from the database and its backups. SALLYPORT_KEYRING may hold the text instead."},
	{key: "keyring", secret: true, hidden: true, set: func(l *loader, v string) error { l.c.KeyringText = v; return nil }},
	{key: "trusted_proxies", list: true, value: "[10.0.0.0/8]", set: addProxies, clear: func(c *config) { c.TrustedProxies = nil },
		doc: "Addresses of proxies in front, which may state the client's address in X-Forwarded-For. Nobody else is believed."},
	{key: "tls.certificate", value: "fullchain.pem", set: setPath(func(c *config) *string { return &c.Certificate }),
		doc: "Certificate chain and key, PEM. Without them a proxy must end TLS. Renewed files are noticed within a minute."},
	{key: "tls.key", value: "privkey.pem", set: setPath(func(c *config) *string { return &c.CertificateKey })},
	{key: "cookie_suffix", value: `""`, set: setSuffix,
		doc: "Tells apart the cookies of two servers behind one host name: a-z and 0-9, 20 at most."},
	{key: "home", value: "/account/security", set: setHome,
		doc: "Where people land after signing in from nowhere: a path on this server."},
	{key: "mail.host", value: "mail.example.com", set: setMailHost,
		doc: "The mail server that takes messages to people: codes, invitations, notices of changes. Without it nothing is sent, and codes by e-mail are no way to sign in."},
	{key: "mail.port", value: "587", set: setMailPort,
		doc: "Left out: 587, and 465 with implicit TLS."},
	{key: "mail.tls", value: "starttls", set: setMailTLS,
		doc: "starttls (the default: without it nothing is sent), implicit (from the first byte, usual on port 465) or none (to this machine only). Certificates are always verified."},
	{key: "mail.user", value: "sallyport@example.com", set: setMail(func(m *mailConfig) *string { return &m.User }),
		doc: "User name and password at the mail server. Left out: it is used without signing in. Rather than here the password stands in a file that SALLYPORT_MAIL_PASSWORD_FILE names."},
	{key: "mail.password", secret: true, value: "its password", set: setMail(func(m *mailConfig) *string { return &m.Password })},
	{key: "mail.auth", value: "auto", set: setMailAuth,
		doc: "How to sign in: auto (plain, else login), plain, login, xoauth2 (the password is an access token) or none."},
	{key: "mail.from", value: "no-reply@example.com", set: setMailAddress(func(m *mailConfig) *string { return &m.From }),
		doc: "The sender: address, the name shown where a message brings none (most bring the company's), and the address for answers."},
	{key: "mail.from_name", value: "Example", set: setMail(func(m *mailConfig) *string { return &m.FromName })},
	{key: "mail.reply_to", value: "help@example.com", set: setMailAddress(func(m *mailConfig) *string { return &m.ReplyTo })},
	{key: "mail.ca_file", value: "mail-ca.pem", set: setPath(func(c *config) *string { return &c.Mail.CAFile }),
		doc: "Certificates (PEM) of who issues the mail server's, in place of those that the system trusts."},
	{key: "sms.driver", value: "twilio", set: setSMSDriver(firstSMS),
		doc: "Who sends text messages for companies without a provider of their own: twilio, vonage, sns, plivo, or webhook (a program of yours). Left out: only companies with one of their own can use text messages."},
	{key: "sms.account", value: "AC0123456789abcdef0123456789abcdef", set: setSMS(firstSMS, func(p *authn.TextProvider) *string { return &p.Account }),
		doc: "Who you are there: account SID (twilio), API key (vonage), access key id (sns), Auth ID (plivo); nothing for a webhook. Rather than here the secret stands in a file that SALLYPORT_SMS_SECRET_FILE names."},
	{key: "sms.secret", secret: true, value: "its-auth-token", set: setSMS(firstSMS, func(p *authn.TextProvider) *string { return &p.Secret })},
	{key: "sms.from", value: `"+46701740605"`, set: setSMS(firstSMS, func(p *authn.TextProvider) *string { return &p.From }),
		doc: "Whom messages come from: a number, a name of at most 11 letters and digits, or a messaging service of Twilio (MG...)."},
	{key: "sms.region", value: "eu-north-1", set: setSMS(firstSMS, func(p *authn.TextProvider) *string { return &p.Region }),
		doc: "The region of AWS (sns only), and the https address of your program (webhook only)."},
	{key: "sms.url", value: "https://texts.example.com/send", set: setSMS(firstSMS, func(p *authn.TextProvider) *string { return &p.URL })},
	{key: "sms.countries", list: true, value: "[SE, DE]", set: addCountry, clear: func(c *config) { c.SMS.Limits.Countries = nil },
		doc: "Where texts may go, as two letters each (ISO 3166). The first is the country of numbers that are typed without one. Companies can narrow this, not widen it."},
	{key: "sms.day_texts", value: "1000", set: setCount(func(t *authn.TextSettings) *int { return &t.DayTexts }),
		doc: "What each company may send through this provider: texts in a day and in a calendar month (UTC), and the price of one text with its currency, from which the most money in a day and in a month is counted. No money is counted without sms.price."},
	{key: "sms.month_texts", value: "20000", set: setCount(func(t *authn.TextSettings) *int { return &t.MonTexts })},
	{key: "sms.price", value: "0.045", set: setMoney(func(t *authn.TextSettings) *int64 { return &t.Price })},
	{key: "sms.currency", value: "EUR", set: setCurrency},
	{key: "sms.day_money", value: "50", set: setMoney(func(t *authn.TextSettings) *int64 { return &t.DayMoney })},
	{key: "sms.month_money", value: "500", set: setMoney(func(t *authn.TextSettings) *int64 { return &t.MonMoney })},
	{key: "sms2.driver", value: "vonage", set: setSMSDriver(secondSMS),
		doc: "A second provider of text messages, for when the first one fails. Same keys, and SALLYPORT_SMS2_SECRET_FILE."},
	{key: "sms2.account", value: "a1b2c3d4", set: setSMS(secondSMS, func(p *authn.TextProvider) *string { return &p.Account })},
	{key: "sms2.secret", secret: true, value: "its-signature-secret", set: setSMS(secondSMS, func(p *authn.TextProvider) *string { return &p.Secret })},
	{key: "sms2.from", value: "Example", set: setSMS(secondSMS, func(p *authn.TextProvider) *string { return &p.From })},
	{key: "sms2.region", value: "eu-north-1", set: setSMS(secondSMS, func(p *authn.TextProvider) *string { return &p.Region })},
	{key: "sms2.url", value: "https://texts.example.com/send", set: setSMS(secondSMS, func(p *authn.TextProvider) *string { return &p.URL })},
	{key: "passwords.leaked_file", value: "leaked.list", set: setLeakedFile,
		doc: "A file of passwords that have leaked, which nobody may choose: `sallyport passwords build` makes it from a published list. serve does not start without it, once it is named here. Left out: the built-in list of the most common ones alone."},
	{key: "passwords.leaked_range", value: "https://api.pwnedpasswords.com/range", set: setLeakedRange,
		doc: "A service that is asked about each new password, by the first five digits of its SHA-1 hash. While it does not answer, nobody can choose a password. Left out: none is asked."},
	{key: "passkeys.id", value: "example.com", set: setPasskeysID,
		doc: "The domain that passkeys are bound to: public_url's host, or a registered domain above it. Left out: the host. Choose once: after a change nobody's passkeys work any more."},
	{key: "passkeys.origins", list: true, value: "[https://login.example.org]", set: addPasskeysOrigin, clear: func(c *config) { c.Passkeys.Origins = nil },
		doc: "Further origins, on other domains, whose pages may use the same passkeys: https, host and port, no path. Up to five names are sure to count in all browsers."},
	{key: "passkeys.metadata_file", value: "mds.jwt", set: setPath(func(c *config) *string { return &c.Passkeys.Metadata }),
		doc: "The FIDO Alliance's signed file of models (https://mds3.fidoalliance.org/): it names security keys, proves which model one is, and knows those that are not to be trusted any more. Renewed files are noticed within a minute; serve does not start without it, once it is named here. Left out: no model is proven."},
	{key: "places.file", value: "places.mmdb", set: setPath(func(c *config) *string { return &c.Places }),
		doc: "A database of places by network address in MaxMind DB format (GeoLite, DB-IP, IPinfo ...): people then see about where they signed in. It is read into memory, renewed files are noticed within a minute, and nothing is decided by it. Left out: no places are shown."},
	{key: "egress.private", value: "false", set: setPrivate,
		doc: "true lets what companies configure (mail servers, webhooks of text messages), and sms.url, be in private networks or on this machine; metadata services never. Leave it false where companies are not you. Duo is reached at its own names only, whatever stands here."},
	{key: "egress.ports", list: true, value: "[443, 8443]", set: addPort, clear: func(c *config) { c.Ports = nil },
		doc: "The ports at which webhooks may be; left out: 443. Always by https. Providers of text messages and Duo need 443."},
	{key: "log.level", value: "info", set: setLevel,
		doc: "debug, info, warn or error; text or json. The log goes to standard error and holds no secret, code or full address."},
	{key: "log.format", value: "text", set: setFormat},
}

// byKey finds a setting of the file.
func byKey(key string) (setting, bool) {
	for _, s := range settings {
		if s.key == key && !s.hidden {
			return s, true
		}
	}
	return setting{}, false
}

func (l *loader) defaults() {
	l.c.Listen, l.c.Database, l.c.KeyringFile = "127.0.0.1:8080", "sallyport.db", "keyring"
	l.c.LogFormat = "text"
}

// setPublicURL has the rule of Config.PublicURL, so that a checked configuration
// is one that serve takes.
func setPublicURL(l *loader, v string) error {
	u, err := sallyport.ParsePublicURL(v)
	if err != nil {
		// The caller names the value.
		return errors.New(strings.TrimPrefix(err.Error(), strconv.Quote(v)+" "))
	}
	l.c.PublicURL = u
	return nil
}

func setListen(l *loader, v string) error {
	if _, port := splitListen(v); port == "" {
		return errors.New("must be an address and port, such as 127.0.0.1:8080 or :443")
	}
	l.c.Listen = v
	return nil
}

// splitListen gives no port if v is no address and port.
func splitListen(v string) (host, port string) {
	host, port, err := net.SplitHostPort(v)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return "", ""
	}
	return host, port
}

func loopbackHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// keywordForm is libpq's other form, "host=db password=…": taken for a path, its
// password would be printed.
var keywordForm = regexp.MustCompile(`(?i)(^|[^a-z])(host|hostaddr|port|user|password|dbname|passfile|service|sslmode)\s*=`)

func setDatabase(l *loader, v string) error {
	if isPostgres(v) {
		if u, err := url.Parse(v); err != nil || u.Host == "" {
			return errors.New("is not a postgres:// address: special characters in the password must be written as %-escapes")
		}
		l.c.Database = v
		return nil
	}
	if keywordForm.MatchString(v) {
		return errors.New("is in libpq's form of keywords; write it as postgres://user:password@host:5432/name?sslmode=verify-full")
	}
	if strings.Contains(v, "://") || strings.HasPrefix(v, "file:") || strings.HasPrefix(v, ":") {
		return errors.New("must be the path of a file, or begin with postgres://")
	}
	l.c.Database = l.path(v)
	return nil
}

// path resolves a path of the file against the file's folder, and one of the
// environment against the working directory.
func (l *loader) path(v string) string {
	if l.base == "" || filepath.IsAbs(v) {
		return v
	}
	return filepath.Join(l.base, v)
}

func setPath(field func(*config) *string) func(*loader, string) error {
	return func(l *loader, v string) error {
		*field(l.c) = l.path(v)
		return nil
	}
}

func addProxies(l *loader, v string) error {
	p, err := netip.ParsePrefix(v)
	if err != nil {
		a, bad := netip.ParseAddr(v)
		if bad != nil {
			return fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", v)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Bits() == 0 {
		return fmt.Errorf("%q would let everybody choose their own address; name the proxies only", v)
	}
	l.c.TrustedProxies = append(l.c.TrustedProxies, p.Masked())
	return nil
}

var suffixForm = regexp.MustCompile(`^[a-z0-9]{0,20}$`)

func setSuffix(l *loader, v string) error {
	if !suffixForm.MatchString(v) {
		return errors.New("must be at most 20 of a-z and 0-9")
	}
	l.c.CookieSuffix = v
	return nil
}

func setHome(l *loader, v string) error {
	if _, ok := httpserve.SafePath(v); !ok {
		return errors.New("must be a path on this server, such as /account/security")
	}
	if _, ok := httpserve.Landing(v); !ok {
		return errors.New("leads people on to another page, in the end in a circle; name a page that stays, such as /account/security")
	}
	l.c.Home = v
	return nil
}

func setLevel(l *loader, v string) error {
	switch v {
	case "debug", "info", "warn", "error":
		return l.c.LogLevel.UnmarshalText([]byte(v))
	}
	return errors.New("must be debug, info, warn or error")
}

func setFormat(l *loader, v string) error {
	if v != "text" && v != "json" {
		return errors.New("must be text or json")
	}
	l.c.LogFormat = v
	return nil
}
