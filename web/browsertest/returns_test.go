package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// Rulings 22 and 57 in a real browser: form-action of our policy lets nobody be
// redirected from a form to another origin, and people get there all the same; what
// they came from is not told there.
func TestReturn_rul22_rul57(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		came := make(chan *http.Request, 10)
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", httpserve.CSP) // as the tab wants it of every page
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, `<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><p>Back.</p></html>`)
			if r.URL.Path == "/back" {
				came <- r
			}
		}))
		t.Cleanup(app.Close)
		self := strings.Replace(app.URL, "127.0.0.1", "localhost", 1)
		backTo := self + "/back"
		_, key := s.AddApplication(t, s.Company, "app", backTo, "attempts.assert", "grants.redeem")
		told := func(kind authn.HandleKind) {
			t.Helper()
			r := <-came
			got, err := s.Directory.RedeemHandle(t.Context(), directory.Program(key, authn.Client{}), r.URL.Query().Get("handle"))
			if err != nil || got.User.ID != maya.ID || got.Handle.Kind != kind || r.Referer() != "" {
				t.Errorf("%s: %+v %v, from %q", kind, got, err, r.Referer())
			}
		}
		tb := newTab(t, s.URL, js)
		tb.forgive(self)
		const nonce = "n-0S6_WzA2Mj-of-16"
		tb.open("/signin?return_to=" + url.QueryEscape(backTo) + "&nonce=" + nonce)
		tb.password("maya", sallyporttest.Password)
		tb.code(s.Code(t, maya.Secret))
		tb.lands("/back?handle=")
		told(authn.SignInHandle)

		tb.open("/signin?return_to=" + url.QueryEscape(backTo) + "&nonce=" + nonce)
		tb.page("return", 200)
		tb.press("page.continue.button")
		tb.lands("/back?handle=")
		told(authn.SignInHandle)

		st, err := s.SignIn.Assert(t.Context(), signin.Assertion{Key: key, User: "maya", Nonce: nonce, ReturnTo: backTo})
		if err != nil {
			t.Fatal(err)
		}
		tb.open("/second-step/" + st.Token.Reveal())
		tb.page("second-step", 200)
		tb.press("page.continue.button")
		s.Clock.Advance(30 * time.Second)
		at := tb.path()
		tb.page("code/caller", 200)
		tb.press("page.code.not_you_back", "Site", strings.TrimPrefix(self, "http://"))
		tb.lands("/back?error=access_denied")
		if r := <-came; r.URL.RawQuery != "error=access_denied" || r.Referer() != "" {
			t.Errorf("%q, from %q", r.URL.RawQuery, r.Referer())
		}
		tb.open(at) // and back, since it was them after all
		tb.code(s.Code(t, maya.Secret))
		tb.lands("/back?handle=")
		told(authn.CallerHandle)
	})
}
