package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
)

// passkeysConfig is where passkeys count, once the whole configuration is read.
type passkeysConfig struct {
	// ID is the relying party's: the domain that passkeys are bound to. Empty: public_url
	// has an IP address for a host, and there can be none.
	ID       string
	Origins  []string // of pages that may use them: public_url's first, then those of other domains
	Metadata string   // a file of models; empty: none

	roots *x509.CertPool // who has signed that file, in tests; nil: the FIDO Alliance
}

// maxOriginLabels is how many names, apart from their endings, browsers take from the
// list of related origins (Web Authentication Level 3, section 5.11: at least five).
const maxOriginLabels = 5

func setPasskeysID(l *loader, v string) error {
	u, err := sallyport.ParsePublicURL("https://" + v)
	if err != nil || u.Host != v || u.Port() != "" || isIP(v) {
		return errors.New("must be a domain as browsers write it, such as example.com: small letters, no scheme, no port, no address")
	}
	l.c.Passkeys.ID = v
	return nil
}

func addPasskeysOrigin(l *loader, v string) error {
	u, err := sallyport.ParsePublicURL(v)
	if err != nil || strings.HasSuffix(v, "/") || isIP(u.Hostname()) {
		return fmt.Errorf("%q is no origin that can have passkeys: write https, a host name and perhaps a port, such as https://example.org; http for localhost only, and no path", v)
	}
	l.c.Passkeys.Origins = append(l.c.Passkeys.Origins, u.String())
	return nil
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// togetherPasskeys holds the ID against the address that people use: browsers refuse
// any other, with an error that says little.
func (l *loader) togetherPasskeys() {
	c := l.c
	if c.PublicURL == nil {
		return
	}
	k, host := &c.Passkeys, c.PublicURL.Hostname()
	switch {
	case k.ID == "" && !isIP(host):
		k.ID = host
	case k.ID == "":
	case isIP(host):
		l.problem(l.where("passkeys.id"), "public_url has an IP address for a host, which can have no passkeys; give it a name")
	case k.ID != host && !registrable(k.ID, host):
		l.problem(l.where("passkeys.id"), "is %q, and public_url is at %s; it must be that host, or a domain above it that somebody has registered (example.co.uk, not co.uk)", k.ID, host)
	}
	all := []string{c.PublicURL.String()}
	for _, o := range k.Origins {
		if !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	k.Origins = all
}

// registrable reports whether id is a domain above host, and not one below which
// strangers register theirs (HTML, "is a registrable domain suffix of").
func registrable(id, host string) bool {
	least, err := publicsuffix.EffectiveTLDPlusOne(host)
	return err == nil && strings.HasSuffix(host, "."+id) && (id == least || strings.HasSuffix(id, "."+least))
}

// warnings are what works and is probably not meant.
func (k passkeysConfig) warnings() []string {
	labels := map[string]bool{}
	for _, o := range k.Origins {
		if u, err := url.Parse(o); err == nil {
			label, _, _ := strings.Cut(registered(u.Hostname()), ".")
			labels[label] = true
		}
	}
	if len(labels) > maxOriginLabels {
		return []string{fmt.Sprintf("passkeys.origins has %d names apart from their endings; browsers may look at the first %d only", len(labels), maxOriginLabels)}
	}
	return nil
}

// registered is the part of a host that somebody has registered; the host itself where
// there is none.
func registered(host string) string {
	if name, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return name
	}
	return host
}

// models reads the file that the configuration names; nil without one.
func (k passkeysConfig) models(now func() time.Time, log *slog.Logger) (*webauthn.Models, error) {
	if k.Metadata == "" {
		return nil, nil
	}
	m, err := webauthn.LoadModels(k.Metadata, webauthn.ModelsConfig{Now: now, Log: log, Roots: k.roots})
	if err != nil {
		return nil, fmt.Errorf("passkeys.metadata_file: %s: %w", k.Metadata, err)
	}
	return m, nil
}

// where is where they count, for the method.
func (k passkeysConfig) where(url string, models *webauthn.Models) webauthn.Config {
	c := webauthn.Config{URL: url, ID: k.ID, Models: models}
	if len(k.Origins) > 1 {
		c.Related = k.Origins[1:]
	}
	return c
}

// checkPasskeys says where they count, and what is known of their models.
func checkPasskeys(_ context.Context, s *patient) []finding {
	k := s.config.Passkeys
	var list []finding
	if k.ID == "" {
		list = append(list, warn("give public_url a host name; on this machine http://localhost:8080 will do",
			"nobody can set one up: %s is an IP address, and browsers bind passkeys to names", s.config.PublicURL.Hostname()))
	} else {
		list = append(list, ok("they are bound to %s, and may be used on %s", k.ID, strings.Join(k.Origins, ", ")))
	}
	m, err := k.models(s.now, silent)
	switch {
	case err != nil:
		return append(list, fail("", "%v", err))
	case m == nil:
		return append(list, ok("no model can be proven; passkeys.metadata_file names the FIDO Alliance's file of them"))
	}
	info := m.Info()
	renew := "download " + webauthn.ModelsURL + " and move it to " + shellWord(k.Metadata)
	if late := s.now().Sub(info.Until); late >= 0 {
		list = append(list, warn(renew+"; the server takes it within a minute, without a restart",
			"%s (number %d) is out of date since %s, %s: new models, and those that are not to be trusted any more, are not known", k.Metadata, info.Number, info.Until.Format(time.DateOnly), spell(late)))
	} else {
		list = append(list, ok("%s known, from %s (number %d), which is good until %s", count(int64(info.Models), "model is", "models are"), k.Metadata, info.Number, info.Until.Format(time.DateOnly)))
	}
	if info.Skipped > 0 {
		list = append(list, warn(renew, "%s: entries or certificates that cannot be read: %d; their models are not known, or not proven", k.Metadata, info.Skipped))
	}
	return list
}
