package httpserve

import "net/http"

// CSP is the one content security policy. Scripts and styles come from files of
// ours only, and no script can turn a string into markup: app.js needs no
// Trusted Types policy, so none may be made.
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// One year with subdomains (ASVS 5.0 3.4.1); never "preload", which cannot be
// taken back in reasonable time.
const hsts = "max-age=31536000; includeSubDomains"

// Headers of every answer.
//
// Referrer-Policy is not "no-referrer": with that, browsers send "Origin: null"
// with a form of our own pages (Fetch standard, "append a request Origin
// header"; rails/rails#28299), and a browser without Sec-Fetch-Site would be
// refused its own form. "same-origin" tells other sites just as little: nothing.
var headers = [][2]string{
	{"Content-Security-Policy", CSP},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Referrer-Policy", "same-origin"},
	{"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
	// Back after signing out must show nothing; static files override this.
	{"Cache-Control", "no-store"},
}

func (l *layer) secure(h http.Header, id string) {
	for _, kv := range headers {
		h.Set(kv[0], kv[1])
	}
	h.Set("X-Request-Id", id)
}
