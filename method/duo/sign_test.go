package duo

import (
	"bytes"
	"go/build"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/duosecurity/duo_api_golang"
)

// The vectors of Duo's own clients.
func TestCanonical_D4(t *testing.T) {
	punctuation := "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	tests := []struct {
		name string
		p    url.Values
		want string
	}{
		{"none", nil, ""},
		{"one", url.Values{"realname": {"First Last"}}, "realname=First%20Last"},
		{"two", url.Values{"username": {"root"}, "realname": {"First Last"}}, "realname=First%20Last&username=root"},
		{"several of a name", url.Values{"username": {"H ell?o"}, "password": {"H-._~i", "A(!'*)"}}, "password=A%28%21%27%2A%29&password=H-._~i&username=H%20ell%3Fo"},
		{"a name that begins another", url.Values{"foo_bar": {"2"}, "foo": {"1"}}, "foo=1&foo_bar=2"},
		{"punctuation", url.Values{"p": {punctuation}}, "p=%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E_%60%7B%7C%7D~"},
		{"white space", url.Values{"whitespace": {"\t\n\x0b\x0c\r "}}, "whitespace=%09%0A%0B%0C%0D%20"},
		{"Unicode", url.Values{"bar": {"⠕ꪣ㟏䮷㛩찅暎腢슽ꇱ"}}, "bar=%E2%A0%95%EA%AA%A3%E3%9F%8F%E4%AE%B7%E3%9B%A9%EC%B0%85%E6%9A%8E%E8%85%A2%EC%8A%BD%EA%87%B1"},
		{"Unicode names", url.Values{"싅Ⱍ☠㘗隳F蘅⃨갡头": {"ﮩ䆪붃萋☕㹮攭ꢵ핫U"}, "瑰錔逜麮䃘䈁苘豰ᴱꁂ": {"៙ந鍘꫟ꐪ䢾ﮖ濩럿㋳"}},
			"%E7%91%B0%E9%8C%94%E9%80%9C%E9%BA%AE%E4%83%98%E4%88%81%E8%8B%98%E8%B1%B0%E1%B4%B1%EA%81%82=%E1%9F%99%E0%AE%A8%E9%8D%98%EA%AB%9F%EA%90%AA%E4%A2%BE%EF%AE%96%E6%BF%A9%EB%9F%BF%E3%8B%B3&" +
				"%EC%8B%85%E2%B0%9D%E2%98%A0%E3%98%97%E9%9A%B3F%E8%98%85%E2%83%A8%EA%B0%A1%E5%A4%B4=%EF%AE%A9%E4%86%AA%EB%B6%83%E8%90%8B%E2%98%95%E3%B9%AE%E6%94%AD%EA%A2%B5%ED%95%ABU"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const date = "Fri, 07 Dec 2012 17:18:00 -0000"
			got := canonical(date, "PoSt", "foO.BAr52.cOm", "/Foo/BaR2/qux", tt.p)
			if want := date + "\nPOST\nfoo.bar52.com\n/Foo/BaR2/qux\n" + tt.want; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestSignature_D4(t *testing.T) {
	s := Settings{IKey: "DIWJ8X6AEYOR5OMC6TQ1", SKey: "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep"}
	got := authorization(s, canonical("Tue, 21 Aug 2012 17:29:18 -0000", "POST", "api-XXXXXXXX.duosecurity.com", "/accounts/v1/account/list",
		url.Values{"realname": {"First Last"}, "username": {"root"}}))
	const want = "Basic RElXSjhYNkFFWU9SNU9NQzZUUTE6MWJmZmI4OTI0MzQ4ZjdkYjdkYTllN2Q3ZDc0OWRlZDkzYWFmZDAyZDhlOTA0OTYwZGE3Yjk2YzU3NTEwMjIwMTg1YTY0YTI4MjdlZThmMjRhYzVkMzA4MDJhOWVlOTdlNTlkZTQ0YjMwNGIxODI0MmYwZDU5NmQxNWE4MTIyYWY="
	if got != want {
		t.Errorf("got %s", got)
	}
}

// carrier is an http.RoundTripper that keeps the request.
type carrier struct {
	r    *http.Request
	body string
}

func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	c.r, c.body = r, ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		c.body = string(b)
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(nil))}, nil
}

// Duo's own client signs the same text in the same way.
func TestSignature_official_D4(t *testing.T) {
	s := Settings{IKey: "DIWJ8X6AEYOR5OMC6TQ1", SKey: "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep", Host: "api-0badcafe.duosecurity.com"}
	var c carrier
	official := duoapi.NewDuoApi(s.IKey, s.SKey, s.Host, "test")
	official.SetCustomHTTPClient(&http.Client{Transport: &c})
	for _, p := range []url.Values{
		{}, {"username": {"maya"}, "ipaddr": {"2001:db8::1"}}, {"pushinfo": {"Company=Acme%20%26%20Sons&Browser=Chrome"}, "type": {"Sign-in"}},
		{"a": {"z", "b", "+ +", "~*'"}, "b": {"\x00\xff", "żółć 漢字"}, "": {""}},
	} {
		for _, verb := range []string{"GET", "POST"} {
			if _, _, err := official.SignedCall(verb, "/auth/v2/auth", p); err != nil {
				t.Fatal(err)
			}
			want := c.r.Header.Get("Authorization")
			if got := authorization(s, canonical(c.r.Header.Get("Date"), verb, s.Host, "/auth/v2/auth", p)); got != want {
				t.Errorf("%s %v: got %s, want %s", verb, p, got, want)
			}
		}
	}
}

// Duo's client is for tests: it has no context, no limits, and pins certificates.
func TestImports_officialInTestsOnly(t *testing.T) {
	p, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range p.Imports {
		first, _, _ := strings.Cut(name, "/")
		if strings.Contains(first, ".") && !strings.HasPrefix(name, "github.com/sallyport-mfa/sallyport/") {
			t.Errorf("imports %s", name)
		}
	}
	if !slices.Contains(p.Imports, "crypto/sha512") {
		t.Error("the imports were not found")
	}
}

// FuzzEncode: what is sent and signed reads back as what was meant, has no
// character with a meaning of its own, and does not depend on an order.
func FuzzEncode(f *testing.F) {
	f.Add("username", "a b", "~", "x+y&z=1")
	f.Add("a", "\x00", "a", "\xff")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		p := url.Values{}
		p.Add(k1, v1)
		p.Add(k2, v2)
		before := maps.Clone(p)
		got := encode(p)
		if !maps.EqualFunc(before, p, slices.Equal) {
			t.Errorf("the parameters were changed: %v", p)
		}
		if strings.ContainsAny(got, "+ \n\x00") || !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
		back, err := url.ParseQuery(got)
		if err != nil || len(back) != len(p) || back.Get(k1) == "" && v1 != "" && v2 != "" {
			t.Errorf("%q reads as %v, %v", got, back, err)
		}
		other := url.Values{}
		other.Add(k2, v2)
		other.Add(k1, v1)
		if encode(other) != got {
			t.Errorf("%q and %q", got, encode(other))
		}
	})
}
