package main

import (
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// defaultConfig is where commands look when --config is not given.
const defaultConfig = "sallyport.yaml"

// config is everything that an installation says about itself. It is read from
// a file, then from the environment, which wins.
type config struct {
	PublicURL      *url.URL
	Listen         string
	Database       string // path, or a postgres:// address; the latter may hold a password
	KeyringFile    string
	KeyringText    string // from SALLYPORT_KEYRING only; takes the file's place
	TrustedProxies []netip.Prefix
	Certificate    string
	CertificateKey string
	CookieSuffix   string
	Home           string
	LogLevel       slog.Level
	LogFormat      string
	Mail           mailConfig
	SMS            smsConfig
	Leaked         *leakedFile // passwords that have leaked; nil: no file is named
	LeakedRange    string      // address of a service that knows them; empty: none is asked
	Passkeys       passkeysConfig
	Places         string // a file of places in MaxMind DB format; empty: none
	Private        bool   // what companies configure may be in private networks
	Ports          []int  // of webhooks; nil: the usual one

	file string // that was read; empty: none
}

// postgres reports whether the database is a PostgreSQL server.
func (c *config) postgres() bool { return isPostgres(c.Database) }

func isPostgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// place names the database without the password that its address may hold.
func (c *config) place() string {
	if !c.postgres() {
		return c.Database
	}
	u, err := url.Parse(c.Database)
	if err != nil {
		return "postgres"
	}
	// The query may hold a password too.
	return u.Scheme + "://" + u.Host + u.Path
}

// loadConfig reads the file at path, then the environment. Everything that is
// wrong with both is in one error. Without an explicit path the file may be
// missing: a container is often configured by its environment alone.
func loadConfig(path string, env []string) (*config, error) {
	explicit := path != ""
	if !explicit {
		path = defaultConfig
	}
	l := newLoader()
	raw, err := os.ReadFile(path)
	switch {
	case os.IsNotExist(err) && !explicit:
	case err != nil:
		l.problem(path, "cannot be read: %v; `sallyport init` writes one", unwrapPath(err))
	default:
		l.checkMode(path)
		l.readFile(path, raw)
	}
	return l.finish(env)
}

func newLoader() *loader {
	l := &loader{c: &config{}, given: map[string]string{}}
	l.defaults()
	return l
}

// readFile reads the text of the file at path.
func (l *loader) readFile(path string, raw []byte) {
	l.c.file = path
	l.base = filepath.Dir(path)
	l.readYAML(path, raw)
	l.base = ""
}

// finish adds the environment and says everything that is wrong.
func (l *loader) finish(env []string) (*config, error) {
	l.readEnv(env)
	l.together()
	if len(l.problems) > 0 {
		return nil, configError(l.problems)
	}
	return l.c, nil
}

// checkMode refuses a file that anyone may change, or that others may read
// although a password stands in it.
func (l *loader) checkMode(path string) {
	info, err := os.Stat(path)
	if err != nil || !posix {
		return
	}
	if info.Mode().Perm()&0o002 != 0 {
		l.problem(path, "anyone on this machine can change it; run `chmod o-w %s`", path)
	}
	l.readable = info.Mode().Perm()&0o044 != 0
}

// together checks what concerns more than one setting.
func (l *loader) together() {
	c := l.c
	if c.PublicURL == nil && l.given["public_url"] == "" {
		l.problem("public_url", "is missing: set it to where people reach the server, such as https://login.example.com")
	}
	switch {
	case (c.Certificate == "") != (c.CertificateKey == ""):
		l.problem("tls", "needs both certificate and key, or neither where a proxy ends TLS")
	case c.Certificate != "" && c.PublicURL != nil && c.PublicURL.Scheme != "https":
		l.problem(l.where("public_url"), "says http, but a certificate is set; write https")
	}
	if c.KeyringText != "" && l.env["keyring_file"] {
		l.problem("SALLYPORT_KEYRING", "and SALLYPORT_KEYRING_FILE are both set; leave one out")
	}
	l.togetherMail()
	l.togetherSMS()
	l.togetherPasskeys()
	if l.readable && isPostgres(c.Database) && !l.env["database"] {
		if u, err := url.Parse(c.Database); err == nil {
			if _, secret := u.User.Password(); secret || u.Query().Has("password") {
				l.problem(c.file, "holds the database's password and others can read it; run `chmod 600 %s`", c.file)
			}
		}
	}
}

// warnings are what works and is probably not meant.
func (c *config) warnings() []string {
	var out []string
	host, _ := splitListen(c.Listen)
	open := !loopbackHost(host)
	behind := c.PublicURL.Scheme == "https" && c.Certificate == ""
	if behind && len(c.TrustedProxies) == 0 {
		out = append(out, "public_url is https and no certificate is set, so a proxy ends TLS; name it in trusted_proxies, or all people share one address and its limits")
	}
	if behind && open {
		out = append(out, "listen takes plain http from other machines; only the proxy should be able to reach it")
	}
	if c.PublicURL.Scheme == "http" && open {
		out = append(out, "listen takes plain http from other machines, though public_url is for this machine only")
	}
	out = append(out, c.SMS.warnings()...)
	out = append(out, c.Passkeys.warnings()...)
	if w := c.portWarning(); w != "" {
		out = append(out, w)
	}
	return out
}
