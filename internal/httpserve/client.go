package httpserve

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/sallyport-mfa/sallyport/authn"
)

// maxHops bounds how much of X-Forwarded-For is looked at.
const maxHops = 32

// peerOf is who holds the other end of the connection; invalid for a Unix socket.
func peerOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// clientAddress is the peer, or if that is a trusted proxy the right-most
// address of X-Forwarded-For that is not one. What stands further left was
// written by the client: believing it let people choose their own limits
// (CVE-2026-29794 Vikunja). Other forwarding headers are never read.
func clientAddress(peer netip.Addr, forwarded []string, trusted []netip.Prefix) netip.Addr {
	at, rest := peer, strings.Join(forwarded, ",")
	for range maxHops {
		if rest == "" || !contains(trusted, at) {
			break
		}
		cut := strings.LastIndexByte(rest, ',')
		next, ok := parseHop(rest[cut+1:])
		if !ok {
			// A proxy that writes nonsense: better one limit for all behind it than
			// a limit that each client can choose.
			break
		}
		at, rest = next, rest[:max(cut, 0)]
	}
	return at
}

// parseHop reads "192.0.2.1", "192.0.2.1:443", "2001:db8::1" or "[2001:db8::1]:443".
func parseHop(s string) (netip.Addr, bool) {
	s = strings.Trim(s, " \t")
	a, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone(""), true
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

var forwardingHeaders = []string{"Forwarded", "X-Real-Ip", "Via", "Cf-Connecting-Ip", "True-Client-Ip", "X-Client-Ip"}

// LoopbackOnly hides next from everybody but a browser on this machine: the
// peer is loopback, nothing was forwarded, and no other site asks (ruling 34).
// Everybody else gets "not found".
func LoopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !onLoopback(r) {
			Fail(w, r, authn.NotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func onLoopback(r *http.Request) bool {
	if !peerOf(r).IsLoopback() {
		return false
	}
	for h := range r.Header {
		if strings.HasPrefix(h, "X-Forwarded-") || slices.Contains(forwardingHeaders, h) {
			return false
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	return false
}

// loopbackName reports whether a Host header names this machine as only it can:
// no other name leads to loopback, so that none can be made to (cve-63).
func loopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}

const (
	unknownBrowser = "Unknown browser"
	maxAgent       = 512 // bytes of a User-Agent that are looked at
)

// The order matters: most browsers also claim to be Chrome or Safari.
var browsers = [][2]string{
	{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
}

var systems = [][2]string{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"},
	{"Macintosh", "macOS"}, {"Linux", "Linux"},
}

// Agent reduces a User-Agent header to "Chrome on Windows", out of fixed words,
// or "Unknown browser". The raw header is never shown, stored or compared: it
// changes with every update of a browser.
func Agent(ua string) string {
	if len(ua) > maxAgent {
		ua = ua[:maxAgent]
	}
	b := firstOf(browsers, ua)
	if b == "" {
		return unknownBrowser
	}
	if s := firstOf(systems, ua); s != "" {
		return b + " on " + s
	}
	return b
}

func firstOf(words [][2]string, ua string) string {
	for _, w := range words {
		if strings.Contains(ua, w[0]) {
			return w[1]
		}
	}
	return ""
}
