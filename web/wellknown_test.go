package web_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// related gives the passkeys of a server to pages of other origins, too; none: the
// server has no passkeys.
func related(t testing.TB, origins ...string) sallyporttest.Option {
	t.Helper()
	return func(c *sallyport.Config) {
		c.Methods = slices.DeleteFunc(slices.Clone(c.Methods), func(m authn.Method) bool { return m.Kind() == authn.WebAuthn })
		if len(origins) == 0 {
			return
		}
		keys, err := webauthn.New(webauthn.Config{URL: "https://login.example.com", ID: "example.com", Related: origins})
		if err != nil {
			t.Fatal(err)
		}
		c.Methods = append(c.Methods, keys)
	}
}

// ux rule 62: managers of passkeys find where they are set up and looked after, and
// browsers which other origins may use them, signed in or not.
func TestWellKnown_passkeys(t *testing.T) {
	const endpoints, origins = "/.well-known/passkey-endpoints", "/.well-known/webauthn"
	for name, c := range map[string]struct {
		opts []sallyporttest.Option
		want map[string]any // by address; nil: nothing is there
	}{
		"without passkeys": {[]sallyporttest.Option{related(t)}, map[string]any{endpoints: nil, origins: nil}},
		"one origin":       {nil, map[string]any{endpoints: map[string]any{}, origins: nil}},
		"related origins": {[]sallyporttest.Option{related(t, "https://app.example.com", "https://example.org")}, map[string]any{endpoints: map[string]any{},
			origins: map[string]any{"origins": []any{"https://login.example.com", "https://app.example.com", "https://example.org"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, c.opts...)
			b := newBrowser(t, s)
			for address, want := range c.want {
				// Neither a page of the server nor a cookie is needed (Fetch: no credentials).
				b.send(http.MethodGet, address, nil, "Sec-Fetch-Site", "none", "Accept", "*/*")
				if want == nil {
					if b.status != http.StatusNotFound || b.header.Get("Cache-Control") != "no-store" {
						t.Errorf("%s: %d %v", address, b.status, b.header)
					}
					continue
				}
				if address == endpoints {
					want = map[string]any{"enroll": s.URL + "/account/security/passkeys", "manage": s.URL + "/account/security/passkeys"}
				}
				var got any
				if err := json.Unmarshal([]byte(b.plain), &got); err != nil || b.status != http.StatusOK || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %d %s (%v)", address, b.status, b.plain, err)
				}
				for header, is := range map[string]string{"Content-Type": "application/json", "Cache-Control": "public, max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"} {
					if b.header.Get(header) != is {
						t.Errorf("%s: %s is %q", address, header, b.header.Get(header))
					}
				}
				size := b.header.Get("Content-Length")
				b.send(http.MethodHead, address, nil)
				if b.status != http.StatusOK || b.plain != "" || b.header.Get("Content-Type") != "application/json" || b.header.Get("Content-Length") != size {
					t.Errorf("HEAD %s: %d %q %v", address, b.status, b.plain, b.header)
				}
				b.send(http.MethodPost, address, map[string][]string{})
				if b.status != http.StatusMethodNotAllowed {
					t.Errorf("POST %s: %d", address, b.status)
				}
			}
		})
	}
}
