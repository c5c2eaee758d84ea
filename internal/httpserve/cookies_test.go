package httpserve

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

func TestCookieNames(t *testing.T) {
	for _, tt := range []struct {
		c                Cookies
		session, browser string
	}{
		{Cookies{Secure: true}, "__Host-sallyport_session", "__Host-sallyport_browser"},
		{Cookies{Secure: true, Suffix: "_acme"}, "__Host-sallyport_session_acme", "__Host-sallyport_browser_acme"},
		{Cookies{}, "sallyport_session", "sallyport_browser"},
	} {
		if tt.c.Session() != tt.session || tt.c.Browser() != tt.browser {
			t.Errorf("%+v: %s %s", tt.c, tt.c.Session(), tt.c.Browser())
		}
	}
}

// std-39: the attributes of every cookie we set.
func TestCookieAttributes(t *testing.T) {
	for _, secure := range []bool{true, false} {
		c := Cookies{Secure: secure}
		s := serve(t, Config{Cookies: c}, map[string]http.Handler{"GET /x": JSON(func(w http.ResponseWriter, r *http.Request) error {
			c.SetSession(w, "sp_ses_abc")
			c.ClearSession(w)
			v := c.EnsureBrowser(w, r)
			if c.EnsureBrowser(w, r) != v || ClientOf(r).Browser != v || len(v) != browserLen {
				t.Errorf("browser %q", v)
			}
			return nil
		})})
		set := s.do("GET", "/x", "").Result().Cookies()
		if len(set) != 3 {
			t.Fatalf("%v", set)
		}
		for i, maxAge := range []int{0, -1, 400 * 24 * 3600} {
			k := set[i]
			if !k.HttpOnly || k.Secure != secure || k.Path != "/" || k.Domain != "" || k.SameSite != http.SameSiteLaxMode || k.MaxAge != maxAge {
				t.Errorf("%+v", k)
			}
		}
	}
}

func TestReadCookies(t *testing.T) {
	c := Cookies{Secure: true}
	good := strings.Repeat("0", browserLen)
	for _, tt := range []struct {
		cookies          []string
		session, browser string
	}{
		{[]string{c.Session() + "=sp_ses_abc; " + c.Browser() + "=" + good}, "sp_ses_abc", good},
		{[]string{c.Session() + "=a; " + c.Session() + "=b"}, "", ""},
		{[]string{c.Session() + "=a", c.Session() + "=a"}, "", ""},
		{[]string{"sallyport_session=a"}, "", ""}, // without the prefix: a subdomain may have set it
		{[]string{c.Session() + `="a"`}, "", ""},
		{[]string{c.Session() + "=a%20b"}, "", ""},
		{[]string{c.Session() + "=" + strings.Repeat("a", maxCookie+1)}, "", ""},
		{[]string{c.Session() + "="}, "", ""},
		{[]string{c.Browser() + "=" + good + "0"}, "", ""},
		{[]string{c.Browser() + "=" + good[1:] + "é"}, "", ""},
		{nil, "", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		for _, k := range tt.cookies {
			r.Header.Add("Cookie", k)
		}
		if s, b := c.ReadSession(r), c.ReadBrowser(r); s != tt.session || b != tt.browser {
			t.Errorf("%.80q: %q %q", tt.cookies, s, b)
		}
	}
}

func TestCredential(t *testing.T) {
	c := Cookies{}
	for _, tt := range []struct {
		auth   []string
		value  string
		bearer bool
	}{
		{nil, "cookie", false}, {[]string{"Bearer sp_ses_a"}, "sp_ses_a", true}, {[]string{"bearer sp_ses_a"}, "sp_ses_a", true},
		// A broken header never falls back to the cookie.
		{[]string{""}, "", true}, {[]string{"Bearer "}, "", true}, {[]string{"Bearer"}, "", true}, {[]string{"Basic eA=="}, "", true}, {[]string{"Bearer a", "Bearer b"}, "", true},
		{[]string{"Bearer  a"}, "", true}, {[]string{"Bearer a b"}, "", true}, {[]string{"Bearer a,b"}, "", true}, {[]string{"Bearer " + strings.Repeat("a", maxCookie+1)}, "", true},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", c.Session()+"=cookie")
		for _, a := range tt.auth {
			r.Header.Add("Authorization", a)
		}
		if v, bearer := c.Credential(r); v != tt.value || bearer != tt.bearer {
			t.Errorf("%.40q: %q %v", tt.auth, v, bearer)
		}
	}
}

// std-40: the form value belongs to the session, and before it to the browser.
func TestFormToken(t *testing.T) {
	c := Cookies{Secure: true}
	b1, b2 := strings.Repeat("1", browserLen), strings.Repeat("2", browserLen)
	first, again := FormValue("a"), FormValue("a")
	if first == FormValue("b") || first != again || len(FormValue("a")) != formLen || FormValue("") != "" || strings.Contains(FormValue(b1), b1[:5]) {
		t.Error("FormValue")
	}
	for _, tt := range []struct {
		name, session, browser string
		sent                   []string
		form, signIn           bool
	}{
		{"session", "s1", b1, []string{FormValue("s1")}, true, true},
		{"browser before a session", "", b1, []string{FormValue(b1)}, true, true},
		{"sign-in page of a second tab", "s1", b1, []string{FormValue(b1)}, false, true},
		{"another session", "s1", b1, []string{FormValue("s2")}, false, false},
		{"another browser", "", b1, []string{FormValue(b2)}, false, false},
		{"none", "s1", b1, nil, false, false},
		{"empty", "s1", b1, []string{""}, false, false},
		{"empty, without cookies", "", "", []string{""}, false, false},
		{"two", "s1", b1, []string{FormValue("s1"), FormValue("s1")}, false, false},
		{"cut", "s1", b1, []string{FormValue("s1")[:25]}, false, false},
	} {
		var got, gotSignIn error
		s := serve(t, Config{Cookies: c}, map[string]http.Handler{"POST /x": JSON(func(w http.ResponseWriter, r *http.Request) error {
			got, gotSignIn = c.CheckForm(r), c.CheckSignInForm(r)
			return nil
		})})
		header := []string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"}
		if tt.session != "" {
			header = append(header, "Cookie", c.Session()+"="+tt.session)
		}
		if tt.browser != "" {
			header = append(header, "Cookie", c.Browser()+"="+tt.browser)
		}
		s.do("POST", "/x", url.Values{FormField: tt.sent}.Encode(), header...)
		if (got == nil) != tt.form || (gotSignIn == nil) != tt.signIn {
			t.Errorf("%s: %v, %v", tt.name, got, gotSignIn)
		}
		if got != nil && authn.AsError(got).Code != authn.Forbidden {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestSafePath(t *testing.T) {
	for _, s := range []string{"/", "/account", "/account/", "/a/b?x=1&y=%2F%2Fz#top", "/c/acme/signin", "/a%20b", "/?next=//x", "/a:b", "/%C3%A9"} {
		if got, ok := SafePath(s); !ok || got != s {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		"", "account", "//", "/%2f", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`, "/%2f%2fevil.example", "/%2Fevil.example", "/%5cevil.example", "/%5C/evil.example",
		"https:evil.example", "https://evil.example", "https:/evil", "javascript:alert(1)", "/\t/evil.example", "/\n/evil", "\t//evil.example", " //evil.example", "/ /evil", "/@evil.example", "/x@y", "/%40evil",
		"/a//evil.example", "/..//evil.example", "/a/../b", "/./", "/%2e%2e/x", "/%00", "/%0d%0aSet-Cookie:x", "/\x00", "/é", "/%zz", "/a%252fb", "/" + strings.Repeat("x", maxPath), "/.//evil.example", "/%09/evil", "?x", "#x", "/%ff",
	} {
		if _, ok := SafePath(s); ok {
			t.Errorf("%q is accepted", s)
		}
	}
}

// cve-64: whoever resolves it, and however leniently, it stays here.
func FuzzSafePath(f *testing.F) {
	for _, s := range []string{"/account?x=1", "//evil", `/\evil`, "/%2f/x", "/\t/evil", "https:evil", "/@x", "/a/../..//x"} {
		f.Add(s)
	}
	base, _ := url.Parse("https://" + host + "/signin/x")
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := SafePath(s)
		if !ok {
			return
		}
		// What the WHATWG parser does before it looks: strip, and turn slashes.
		lenient := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimSpace(p))
		unescaped, err := url.PathUnescape(p)
		if err != nil {
			unescaped = p
		}
		for _, v := range []string{p, lenient} {
			ref, err := base.Parse(v)
			if err != nil || ref.Host != host || ref.Scheme != "https" || ref.User != nil {
				t.Errorf("%q leads to %v", s, ref)
			}
		}
		path, _, _ := strings.Cut(unescaped, "?")
		if strings.HasPrefix(path, "//") || strings.HasPrefix(path, `/\`) {
			t.Errorf("%q unescaped leads away", s)
		}
		w := httptest.NewRecorder()
		http.Redirect(w, httptest.NewRequest("GET", "/", nil), p, http.StatusSeeOther)
		if to := w.Header().Get("Location"); !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
			t.Errorf("%q redirects to %q", s, to)
		}
	})
}
