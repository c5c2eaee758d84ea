package sallyport_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

// host is a program that embeds the server in its own http.Server, under its own mux,
// and protects pages with it.
type host struct {
	*shop
	url     string
	session authn.Token
	saved   atomic.Int64
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{}
	var mux http.ServeMux
	server := httptest.NewUnstartedServer(&mux)
	h.url = "http://" + server.Listener.Addr().String()
	h.shop = &shop{t: t, Server: sallyporttest.NewServer(t, func(c *sallyport.Config) {
		c.PublicURL, c.Home = h.url, "/app"
		c.Actions = []authn.Action{{Name: "billing.change", Title: "change the <b>billing</b> details", Titles: map[string]string{"pl": "zmienić dane rozliczeniowe"}},
			{Name: "webhooks.change", Title: "change the webhooks"}}
	})}
	page := func(w http.ResponseWriter, r *http.Request) {
		u, ok := sallyport.UserFrom(r.Context())
		cur, _ := sallyport.SessionFrom(r.Context())
		if !ok || cur.Company.ID != u.Company {
			t.Error("nobody is there")
		}
		if r.Method == http.MethodPost {
			h.saved.Add(1)
		}
		fmt.Fprintf(w, "%s at %s", u.Login, cur.Company.Slug)
	}
	mux.Handle("/", h.Handler())
	mux.Handle("/app", h.RequireSession(http.HandlerFunc(page)))
	mux.Handle("/report", h.RequirePermission(directory.AuditRead, http.HandlerFunc(page)))
	mux.Handle("/keys", h.RequireStepUp(0, "", http.HandlerFunc(page)))
	mux.Handle("/quick", h.RequireStepUp(time.Minute, "", http.HandlerFunc(page)))
	mux.Handle("/billing", h.RequireStepUp(10*time.Minute, "billing.change", http.HandlerFunc(page)))
	mux.Handle("/webhooks", h.RequireStepUp(10*time.Minute, "webhooks.change", http.HandlerFunc(page)))
	server.Start()
	t.Cleanup(server.Close)
	h.maya = h.AddUser(t, h.Company, "maya", true)
	h.session = h.signIn(h.maya)
	return h
}

// ask sends a request as a browser does; header overrides, and "" leaves one out.
func (h *host) ask(method, path string, header map[string]string, form url.Values) (*http.Response, string) {
	h.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, h.url+path, body)
	h.must(err)
	all := map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Accept": "text/html", "Referer": h.url + "/billing",
		"Cookie": httpserve.Cookies{}.Session() + "=" + h.session.Reveal()}
	if form != nil {
		all["Content-Type"] = "application/x-www-form-urlencoded"
	}
	for k, v := range header {
		all[k] = v
	}
	for k, v := range all {
		if v != "" {
			r.Header.Set(k, v)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	h.must(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	h.must(err)
	return resp, string(raw)
}

// want asks and expects a status, and where it leads.
func (h *host) want(status int, to, method, path string, header map[string]string) string {
	h.t.Helper()
	resp, body := h.ask(method, path, header, nil)
	if resp.StatusCode != status || resp.Header.Get("Location") != to {
		h.t.Errorf("%s %s: %d to %q, want %d to %q: %.300s", method, path, resp.StatusCode, resp.Header.Get("Location"), status, to, body)
	}
	return body
}

// confirmed proves the person for an action, as the page does, or for none.
func (h *host) confirmed(action string) {
	h.t.Helper()
	if action != "" {
		h.session = h.confirm(h.session, h.maya, signin.For{Action: action, Kind: authn.PageGrant}).SessionToken
		return
	}
	st, err := h.SignIn.StepUp(h.t.Context(), h.session, "", "", authn.Client{})
	h.must(err)
	h.session = h.prove(st, h.maya).SessionToken
}

var script = map[string]string{"Sec-Fetch-Mode": "cors", "Accept": "*/*"}

// I2: signed in or not, in the host program's own server.
func TestRequireSession_I2_rul30_rul36(t *testing.T) {
	h := newHost(t)
	if body := h.want(200, "", "GET", "/app", nil); body != "maya at acme" {
		t.Error(body)
	}
	h.want(200, "", "POST", "/app", nil)
	out := map[string]string{"Cookie": ""}
	h.want(303, "/signin?return_to=%2Fapp%3Fa%3Db", "GET", "/app?a=b", out)
	h.want(303, "/signin?return_to=%2Fbilling", "POST", "/app", map[string]string{"Cookie": ""})
	body := h.want(401, "", "GET", "/app", map[string]string{"Cookie": "", "Sec-Fetch-Mode": "cors"})
	var p httpserve.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.Code != authn.Unauthenticated || p.Detail == "" {
		t.Errorf("%v %s", err, body)
	}
	// A token in its header, as a program of the person's shows it; and what is none.
	bearer := map[string]string{"Cookie": "", "Authorization": "Bearer " + h.session.Reveal()}
	h.want(200, "", "GET", "/app", bearer)
	st, err := h.SignIn.Begin(t.Context(), signin.Begin{Login: "maya", Password: sallyporttest.Password})
	h.must(err)
	for _, other := range []string{st.Token.Reveal(), h.key(h.Company).Actor.Key.Reveal(), "none"} {
		h.want(401, "", "GET", "/app", map[string]string{"Authorization": "Bearer " + other})
	}
	// It counts at once.
	h.must(h.Sessions.SignOut(t.Context(), h.session, authn.Client{}))
	h.want(303, "/signin?return_to=%2Fapp", "GET", "/app", nil)
	if _, ok := sallyport.UserFrom(t.Context()); ok {
		t.Error("somebody is everywhere")
	}
}

// rul-50, cve-66: what another site causes changes nothing, whatever it leads to.
func TestMiddlewareOrigin_rul50_cve66(t *testing.T) {
	h := newHost(t)
	h.confirmed("billing.change")
	for what, header := range map[string]map[string]string{
		"another site":    {"Sec-Fetch-Site": "cross-site"},
		"a sister":        {"Sec-Fetch-Site": "same-site"},
		"another origin":  {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
		"nobody says":     {"Sec-Fetch-Site": "", "Referer": ""},
		"an opaque one":   {"Sec-Fetch-Site": "", "Origin": "null"},
		"and by a script": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
	} {
		for _, path := range []string{"/app", "/keys", "/billing"} {
			if body := h.want(403, "", "POST", path, header); strings.Contains(body, "maya at") {
				t.Errorf("%s: %s", what, body)
			}
		}
	}
	if h.saved.Load() != 0 {
		t.Error("something was changed")
	}
	// A link from elsewhere opens a page, and the proof was not used up.
	h.want(200, "", "GET", "/billing", map[string]string{"Sec-Fetch-Site": "cross-site"})
	h.want(200, "", "POST", "/billing", map[string]string{"Sec-Fetch-Site": "", "Origin": h.url})
}

func TestRequirePermission_I2_H5(t *testing.T) {
	h := newHost(t)
	body := h.want(403, "", "GET", "/report", script)
	if !strings.Contains(body, `"forbidden"`) || len(h.events("access.refused")) != 1 {
		t.Error(body)
	}
	if body := h.want(403, "", "GET", "/report", nil); !strings.Contains(body, "<html") {
		t.Errorf("no page: %.100s", body)
	}
	h.must(h.Store.Decide(t.Context(), authn.Keys{Company: h.Company.ID, User: h.maya.ID, Now: h.Clock.Now()}, func(rows *authn.Rows) authn.Verdict {
		rows.User.Roles = []string{directory.Administrator}
		return authn.Continue(authn.PutUser{User: *rows.User})
	}))
	h.want(200, "", "GET", "/report", nil)
}

// I1, I2: within the age that the page asks for, and the company's policy; and who
// cannot prove themselves never gets by (rul-21).
func TestRequireStepUp_I1_I2_rul21_rul26(t *testing.T) {
	h := newHost(t)
	h.want(200, "", "GET", "/keys", nil)
	h.want(200, "", "POST", "/quick", nil)
	h.Clock.Advance(time.Minute)
	h.want(303, "/account/confirm?then=%2Fquick", "GET", "/quick", nil)
	h.want(303, "/account/confirm?then=%2Fbilling", "POST", "/quick", nil)
	resp, body := h.ask("POST", "/quick", script, nil)
	if auth := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || !strings.Contains(body, `"step_up_required"`) || !strings.Contains(body, `"max_age":60,"acr_values":"aal2"`) ||
		!strings.Contains(auth, `error="insufficient_user_authentication"`) || !strings.Contains(auth, `max_age="60"`) {
		t.Errorf("%d %s %s", resp.StatusCode, body, auth)
	}
	h.want(200, "", "GET", "/keys", nil)
	h.Clock.Advance(9 * time.Minute)
	h.want(303, "/account/confirm?then=%2Fkeys", "GET", "/keys", nil)
	h.confirmed("")
	h.want(200, "", "GET", "/quick", nil)
	key := h.key(h.Company)
	h.want(401, "", "POST", "/keys", map[string]string{"Cookie": "", "Authorization": "Bearer " + key.Actor.Key.Reveal()})
}

// rul-28, cve-34, cve-52: a page that asks for an action opens for that one, and each
// change takes a proof of its own.
func TestRequireStepUpForAction_I1_rul28_cve34_cve52(t *testing.T) {
	h := newHost(t)
	ask := "/account/confirm?action=billing.change&then=%2Fbilling"
	h.want(303, ask, "GET", "/billing", nil) // signing in a moment ago is no proof for it
	h.confirmed("")
	h.want(303, ask, "GET", "/billing", nil)
	h.confirmed("webhooks.change")
	h.want(303, ask, "POST", "/billing", nil)
	if body := h.want(401, "", "POST", "/billing", script); !strings.Contains(body, `"action":"billing.change"`) {
		t.Error(body)
	}
	h.confirmed("billing.change")
	h.want(200, "", "GET", "/billing", nil)
	h.want(200, "", "GET", "/billing", nil) // looking uses nothing up
	h.want(200, "", "POST", "/billing", nil)
	h.want(200, "", "GET", "/billing", nil) // what was saved can be looked at
	h.want(303, ask, "POST", "/billing", nil)
	h.want(200, "", "POST", "/webhooks", nil) // and the other one is still there
	// A grant of one request is for that request, which no page knows of.
	h.session = h.confirm(h.session, h.maya, signin.For{Action: "billing.change", RequestHash: requestHash}).SessionToken
	h.want(303, ask, "POST", "/billing", nil)
	// Too late, for another session, and after a change of the account.
	h.confirmed("billing.change")
	mine, theirs := h.session, h.signIn(h.maya)
	h.session = theirs
	h.want(303, ask, "POST", "/billing", nil)
	h.session = mine
	h.want(200, "", "POST", "/billing", nil)
	h.confirmed("billing.change")
	h.Clock.Advance(10 * time.Minute)
	h.want(303, ask, "POST", "/billing", nil)
	if n := len(h.events("grant.used")); n != 3 || h.saved.Load() != 3 {
		t.Errorf("%d uses, %d saved", n, h.saved.Load())
	}
	defer func() {
		if recover() == nil {
			t.Error("an action that nobody registered")
		}
	}()
	h.RequireStepUp(0, "money.send", http.NotFoundHandler())
}

func TestRequireStepUpForActionOnce_invA(t *testing.T) {
	h := newHost(t)
	h.confirmed("billing.change")
	var good atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if resp, _ := h.ask("POST", "/billing", script, nil); resp.StatusCode == 200 {
				good.Add(1)
			} else if resp.StatusCode != 401 && resp.StatusCode != 409 {
				t.Errorf("%d", resp.StatusCode)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 || h.saved.Load() != 1 {
		t.Errorf("%d good", good.Load())
	}
}

// S22: the page names the action in the words that were registered, escaped, and leads
// back to the page that asked.
func TestConfirmPageForAction_S22_cve65(t *testing.T) {
	h := newHost(t)
	const at = "/account/confirm?action=billing.change&then=%2Fbilling"
	if body := h.want(200, "", "GET", at, nil); !strings.Contains(body, "Confirm that it’s you to ") || !strings.Contains(body, "change the &lt;b&gt;billing&lt;/b&gt; details") {
		t.Errorf("%s", body)
	}
	if body := h.want(200, "", "GET", at, map[string]string{"Accept-Language": "pl"}); !strings.Contains(body, "zmienić dane rozliczeniowe") {
		t.Errorf("%s", body)
	}
	h.want(404, "", "GET", "/account/confirm?action=money.send", nil)
	browser := strings.Repeat("b", 52)
	cookies := func() map[string]string {
		return map[string]string{"Cookie": httpserve.Cookies{}.Session() + "=" + h.session.Reveal() + "; " + httpserve.Cookies{}.Browser() + "=" + browser}
	}
	form := func() string { return httpserve.FormValue(h.session.Reveal()) }
	resp, body := h.ask("POST", "/account/confirm", cookies(), url.Values{"form": {form()}, "action": {"billing.change"}, "then": {"/billing?tab=cards"}})
	to := resp.Header.Get("Location")
	if resp.StatusCode != 303 || !strings.HasPrefix(to, "/account/confirm/att_") {
		t.Fatalf("%d %s %s", resp.StatusCode, to, body)
	}
	if body := h.want(200, "", "GET", to, cookies()); !strings.Contains(body, "change the &lt;b&gt;billing") {
		t.Errorf("%s", body)
	}
	h.Clock.Advance(30 * time.Second)
	resp, body = h.ask("POST", to, cookies(), url.Values{"form": {form()}, "version": {"1"}, "kind": {"totp"}, "code": {h.Code(t, h.maya.Secret)}})
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/billing?tab=cards" || strings.Contains(body, "sp_grt_") {
		t.Fatalf("%d %s %s", resp.StatusCode, resp.Header.Get("Location"), body)
	}
	for _, c := range resp.Cookies() {
		if c.Name == (httpserve.Cookies{}).Session() {
			h.session, _ = authn.ParseToken(authn.SessionToken, c.Value)
		}
	}
	h.want(200, "", "GET", "/billing", nil)
	h.want(200, "", "POST", "/billing", nil)
}
