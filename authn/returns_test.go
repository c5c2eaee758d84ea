package authn_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

var goodAddresses = []string{
	"https://app.example.com/", "https://app.example.com/back", "https://app.example.com/back?x=1&y=%20", "https://app.example.com:8443/a/b%20c", "https://a-1.example/", "https://intranet/back",
	"http://localhost:9000/back", "http://127.0.0.1/back", "http://[::1]:9000/", "https://192.0.2.7/", "https://[2001:db8::7]:8443/", "https://xn--bcher-kva.example/",
}

var badAddresses = []string{
	"", "https://", "https:///back", "https://app.example.com", "app.example.com/back", "//app.example.com/back", "/back", "ftp://app.example.com/", "http://app.example.com/", "http://localhost.evil.example/",
	"http://127.0.0.2/", "https://u@app.example.com/", "https://u:p@app.example.com/", "https://@app.example.com/", "https://app.example.com/#", "https://app.example.com/#x", "https://*.example.com/", "https://app.example.com/*",
	`https://app.example.com\back`, `https:\\app.example.com/`, "https://APP.example.com/", "HTTPS://app.example.com/", "https://app.example.com./", "https://app..example.com/", "https://-app.example.com/", "https://app_1.example.com/",
	"https://app.example.com:/", "https://app.example.com:443/", "http://localhost:80/", "https://app.example.com:0443/", "https://app.example.com:0/", "https://app.example.com:65536/", "https://app.example.com:x/",
	"https://app.example.com/a/../b", "https://app.example.com/./b", "https://app.example.com/..", "https://app.example.com/%2e%2e/b", "https://app.example.com//b", "https://app.example.com/a%2fb", "https://app.example.com/%252f", "https://app.example.com/%5cb",
	"https://app.example.com/?", "https://app.example.com/?handle=x", "https://app.example.com/?a=%zz", "https://app.example.com/a b", "https://app.example.com/\n", "https://app.example.com/\x00", "https://аpp.example.com/", "https://app.example.com/é",
	"https://127.1/", "https://2130706433/", "https://0x7f.1/", "https://0x7f/", "https://a.0x1/", "https://[::ffff:192.0.2.1%25eth0]/", "https://[2001:DB8::7]/", "javascript:alert(1)", "https:app.example.com/", "https://app.example.com/" + strings.Repeat("x", 500),
}

// std-59, cve-64, RFC 9700 section 4.1: few forms, each with one reading.
func TestGoodReturnAddress_std59_cve64(t *testing.T) {
	for _, s := range goodAddresses {
		if !authn.GoodReturnAddress(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range badAddresses {
		if authn.GoodReturnAddress(s) {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestReturn_rul57(t *testing.T) {
	const nonce = "n-0S6_WzA2Mj-of-16"
	for _, address := range goodAddresses {
		r := authn.Return{Address: address, Nonce: nonce}
		if back, ok := authn.ParseReturn(r.String()); !ok || back != r {
			t.Errorf("%q comes back as %+v", address, back)
		}
		u, err := url.Parse(r.With("sp_hdl_0"))
		if err != nil || u.Query().Get("handle") != "sp_hdl_0" || !strings.HasPrefix(u.String(), address) || u.Host != r.Site() {
			t.Errorf("%q leads to %v", address, u)
		}
		if u, err = url.Parse(r.Declined()); err != nil || u.Query().Get("error") != "access_denied" || u.Query().Has("handle") || strings.Contains(u.String(), nonce) || !strings.HasPrefix(u.String(), address) || u.Host != r.Site() {
			t.Errorf("%q, declined: %v", address, u)
		}
	}
	for _, s := range []string{"", "/account", "/account#" + nonce, "https://app.example.com/", "https://app.example.com/#", "https://app.example.com/#short", "https://app.example.com/#" + nonce + "#", "#" + nonce,
		"https://app.example.com/#" + strings.Repeat("n", authn.MaxNonce+1)} {
		if r, ok := authn.ParseReturn(s); ok {
			t.Errorf("%q: %+v", s, r)
		}
	}
}

// Whatever is taken is one address to a browser and to net/url, and to an origin that
// it names itself.
func FuzzReturnAddress(f *testing.F) {
	for _, s := range append(append([]string{}, goodAddresses...), badAddresses...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !authn.GoodReturnAddress(s) {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.String() != s || u.User != nil || u.Fragment != "" || u.Hostname() == "" || strings.ToLower(u.Host) != u.Host || !strings.HasPrefix(s, u.Scheme+"://"+u.Host+"/") ||
			strings.ContainsAny(s, "\\@#* \t\r\n") || u.Scheme != "https" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
			t.Errorf("%q", s)
		}
		to, err := url.Parse(authn.Return{Address: s}.With("h"))
		if err != nil || to.Host != u.Host || to.Path != u.Path || to.Query().Get(authn.HandleParam) != "h" {
			t.Errorf("%q leads to %v", s, to)
		}
	})
}
