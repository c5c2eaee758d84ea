package httpserve

import (
	"net/http"
	"strings"
	"time"
)

// Cookies names, writes and reads our cookies. HttpOnly, SameSite=Lax,
// Path=/ and no Domain always; how long they are good for is decided by the
// server, never by their age (NIST SP 800-63B-4 section 5.1.1).
type Cookies struct {
	// Secure puts "__Host-" in front of the names, which keeps subdomains from
	// setting them (CVE-2024-28197 ZITADEL). Off only on loopback http (ruling 48).
	Secure bool
	// Suffix tells servers on one host apart; letters, digits, "-" and "_".
	Suffix string
}

const (
	maxCookie      = 256
	browserLen     = 52 // base32 of 256 bits
	browserMaxAge  = 400 * 24 * time.Hour
	sessionCookie  = "sallyport_session"
	browserCookie  = "sallyport_browser"
	trustedCookie  = "sallyport_trusted"
	bearerPrefix   = "Bearer "
	cookieAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
)

func (c Cookies) name(base string) string {
	if c.Secure {
		return "__Host-" + base + c.Suffix
	}
	return base + c.Suffix
}

// Session is the name of the session cookie.
func (c Cookies) Session() string { return c.name(sessionCookie) }

// Browser is the name of the cookie that tells browsers apart (ruling 47).
func (c Cookies) Browser() string { return c.name(browserCookie) }

// Trusted is the name of the cookie of a browser that its person trusts.
func (c Cookies) Trusted() string { return c.name(trustedCookie) }

// SetTrusted hands the token of a trusted browser to it, for as long as it is one.
func (c Cookies) SetTrusted(w http.ResponseWriter, value string, lives time.Duration) {
	http.SetCookie(w, c.cookie(c.Trusted(), value, int(max(lives, time.Second).Seconds())))
}

// ClearTrusted takes that cookie away.
func (c Cookies) ClearTrusted(w http.ResponseWriter) {
	http.SetCookie(w, c.cookie(c.Trusted(), "", -1))
}

// ReadTrusted is the value of that cookie; empty: none that can be one.
func (c Cookies) ReadTrusted(r *http.Request) string { return read(r, c.Trusted()) }

// SetSession hands the session token to the browser, until it is closed.
func (c Cookies) SetSession(w http.ResponseWriter, value string) {
	http.SetCookie(w, c.cookie(c.Session(), value, 0))
}

// ClearSession takes the session cookie away.
func (c Cookies) ClearSession(w http.ResponseWriter) {
	http.SetCookie(w, c.cookie(c.Session(), "", -1))
}

// EnsureBrowser is the value of the browser cookie. A browser without one gets
// one; ClientOf(r) knows it from then on.
func (c Cookies) EnsureBrowser(w http.ResponseWriter, r *http.Request) string {
	st := stateOf(r.Context())
	if st.client.Browser == "" {
		st.client.Browser = randomText(st.cfg.Random, 32)
		http.SetCookie(w, c.cookie(c.Browser(), st.client.Browser, int(browserMaxAge.Seconds())))
	}
	return st.client.Browser
}

func (c Cookies) cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, MaxAge: maxAge,
		Path: "/", Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// ReadSession is the value of the session cookie; empty: none that can be one.
func (c Cookies) ReadSession(r *http.Request) string { return read(r, c.Session()) }

// ReadBrowser is the value of the browser cookie; empty: none that can be one.
func (c Cookies) ReadBrowser(r *http.Request) string {
	v := read(r, c.Browser())
	if len(v) != browserLen {
		return ""
	}
	return v
}

// read refuses two cookies of one name: one of them was planted from elsewhere
// (a sister host over http, a script), and which one is not known.
func read(r *http.Request, name string) string {
	found := r.CookiesNamed(name)
	if len(found) != 1 {
		return ""
	}
	v := found[0].Value
	if len(v) > maxCookie || strings.Trim(v, cookieAlphabet) != "" || found[0].Quoted {
		return ""
	}
	return v
}

// present reports whether any cookie of ours was sent, good or not.
func (c Cookies) present(r *http.Request) bool {
	return len(r.CookiesNamed(c.Session())) > 0 || len(r.CookiesNamed(c.Browser())) > 0 || len(r.CookiesNamed(c.Trusted())) > 0
}

// Credential is what the caller shows: the bearer value of the Authorization
// header or, only if there is no such header at all, the session cookie. A
// broken header never falls back to the cookie: such requests are exempt from
// the cross-site rule because nobody's cookie speaks for them.
func (c Cookies) Credential(r *http.Request) (value string, bearer bool) {
	auth := r.Header["Authorization"]
	if len(auth) == 0 {
		return c.ReadSession(r), false
	}
	// The scheme is case-insensitive (RFC 9110 section 11.1).
	if len(auth) != 1 || len(auth[0]) <= len(bearerPrefix) || !strings.EqualFold(auth[0][:len(bearerPrefix)], bearerPrefix) {
		return "", true
	}
	v := auth[0][len(bearerPrefix):]
	if len(v) > maxCookie || strings.Trim(v, cookieAlphabet) != "" {
		return "", true
	}
	return v, true
}
