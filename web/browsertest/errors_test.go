package browsertest

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// S43: every refusal is a page that says what to do, with a reference number.
func TestErrors_S43(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		for _, c := range []struct {
			path, name, key string
			status          int64
		}{
			{"/nothing", "not-found", "error.not_found", 404},
			{"/appearance", "not-allowed", "error.method_not_allowed", 405},
			{"/signin?return_to=" + strings.Repeat("x", 5000), "too-large", "error.too_large", 413},
		} {
			tb.open(c.path)
			tb.page(c.name, c.status)
			tb.says("h1", tb.T(c.key+".title"))
			tb.says("h1 + p", tb.T(c.key))
			if !tb.has("main code.num") {
				t.Errorf("%s: no reference number", c.name)
			}
			tb.press("page.error.start")
			tb.lands("/signin")
		}
		// A company that is not here.
		tb.open("/c/nobody/signin")
		tb.page("unknown-company", 404)
		tb.says("h1", tb.T("page.unknown_company.title"))
		tb.press("page.unknown_company.button")
		tb.lands("/signin")

		// A form of before signing out, or one that another site made up.
		tb.signIn(s, maya)
		tb.open("/account")
		eval[bool](tb, `document.querySelectorAll('input[name=form]').forEach(e => e.value = 'forged') || true`)
		tb.press("page.profile.save")
		tb.page("forbidden", 403)
		tb.says("h1 + p", tb.T("error.forbidden.form"))
	})
}

// The page of a fault of ours needs nothing that may be what is broken.
func TestErrors_storeGone(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		tb := newTab(t, s.URL, js)
		tb.forgive("/signin/passkey/options") // which the page asks for beside
		tb.open("/signin")
		if err := s.Store.Close(); err != nil {
			t.Fatal(err)
		}
		tb.password("maya", sallyporttest.Password)
		tb.audited("broken")
		if tb.status < 500 || !tb.has("main code.num") {
			t.Errorf("status %d: %s", tb.status, tb.content("main"))
		}
	})
}

// Ruling 34: under another name there is nothing, not even an error page of ours.
func TestErrors_rul34_host(t *testing.T) {
	t.Parallel()
	s := sallyporttest.NewServer(t)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/signin", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusMisdirectedRequest || strings.Contains(string(body), "<form") {
		t.Errorf("%s: %s", res.Status, body)
	}
}
