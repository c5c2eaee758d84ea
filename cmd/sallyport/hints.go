package main

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// sameConfig is what the next command needs so that it means the same
// installation: nothing, if the environment or the working directory say it.
func (p *program) sameConfig(c *cobra.Command) string {
	if f := c.Flag("config"); f != nil && f.Changed {
		return " --config " + shellWord(p.config)
	}
	return ""
}

// listenFor is where a new installation listens: at the port of its public
// address if that is this machine and plain, since nothing stands between. It is
// a value for the configuration file.
func listenFor(publicURL string) string {
	if u, err := url.Parse(publicURL); err == nil && u.Scheme == "http" {
		host := u.Hostname()
		if host == "localhost" {
			host = "127.0.0.1"
		}
		address := net.JoinHostPort(host, portOf(u))
		if strings.HasPrefix(address, "[") {
			address = strconv.Quote(address) // a bracket begins a list in YAML
		}
		return address
	}
	return "127.0.0.1:8080"
}

// portOf is the port that browsers use for u.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// portWarning finds a public address of this machine at whose port nobody
// listens.
func (c *config) portWarning() string {
	_, port := splitListen(c.Listen)
	direct := loopbackHost(c.PublicURL.Hostname()) && (c.PublicURL.Scheme == "http" || c.Certificate != "")
	if !direct || port == "0" || port == portOf(c.PublicURL) {
		return ""
	}
	return "public_url has port " + portOf(c.PublicURL) + " and listen has port " + port +
		": browsers would knock at the wrong one; give both the same, unless something on this machine passes requests on"
}
