package sallyporttest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// newShop is a host program: a page for people, and one that wants a fresh proof.
func newShop(c sallyport.Config) (*sallyport.Server, http.Handler, error) {
	c.Actions = []authn.Action{{Name: "billing.change", Title: "change the billing details"}}
	c.CookieSuffix = "shop"
	srv, err := sallyport.New(c)
	if err != nil {
		return nil, nil, err
	}
	says := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := sallyport.UserFrom(r.Context())
		fmt.Fprint(w, r.Method, " by ", user.Login)
	})
	mux := http.NewServeMux()
	mux.Handle("/", srv.Handler())
	mux.Handle("/app", srv.RequireSession(says))
	mux.Handle("/billing", srv.RequireStepUp(10*time.Minute, "billing.change", says))
	mux.Handle("/recent", srv.RequireStepUp(time.Minute, "", says))
	return srv, mux, nil
}

// get is status, final path and body of a request.
func said(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		body = nil
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Request.URL.Path, body))
}

// A host program of its own wiring, with somebody who is signed in and proves
// themselves anew.
func TestWire_I1(t *testing.T) {
	t.Parallel()
	s := sallyporttest.Wire(t, newShop)
	nobody := s.NewBrowser(t)
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	resp, err := nobody.Get(s.URL + "/app")
	want(said(t, resp, err), "200 /signin")
	if nobody.Token() != "" || nobody.Cookie() != nil {
		t.Error("somebody is signed in")
	}
	maya := s.SignedIn(t, s.AddUser(t, s.Company, "maya", true))
	resp, err = maya.Get(s.URL + "/app")
	want(said(t, resp, err), "200 /app GET by maya")
	if c := maya.Cookie(); c == nil || c.Name != "sallyport_sessionshop" || c.Value != maya.Token() || !strings.HasPrefix(c.Value, "sp_ses_") {
		t.Errorf("cookie %v", c)
	}
	// Pages lead to the proof, scripts are told.
	resp, err = maya.Get(s.URL + "/billing")
	want(said(t, resp, err), "200 /account/confirm")
	resp, err = maya.Post(s.URL+"/billing", "application/json", strings.NewReader("{}"))
	if got := said(t, resp, err); !strings.HasPrefix(got, "401 /billing") || !strings.Contains(got, `"step_up_required"`) {
		t.Error(got)
	}
	old := maya.Token()
	maya.StepUp(t, "billing.change")
	if maya.Token() == old {
		t.Error("the session is the old one")
	}
	resp, err = maya.PostForm(s.URL+"/billing", url.Values{"card": {"42"}})
	want(said(t, resp, err), "200 /billing POST by maya")
	resp, err = maya.PostForm(s.URL+"/billing", url.Values{"card": {"43"}})
	want(said(t, resp, err), "200 /account/confirm") // one proof, one use
	s.Clock.Advance(2 * time.Minute)
	resp, err = maya.Get(s.URL + "/recent")
	want(said(t, resp, err), "200 /account/confirm")
	maya.StepUp(t, "")
	resp, err = maya.Get(s.URL + "/recent")
	want(said(t, resp, err), "200 /recent GET by maya")

	// Without a server: the handler, with the cookie.
	r := httptest.NewRequest("GET", s.URL+"/app", nil)
	r.AddCookie(maya.Cookie())
	w := httptest.NewRecorder()
	s.HTTP.Config.Handler.ServeHTTP(w, r)
	want(w.Body.String(), "GET by maya")

	// Another origin gets neither the cookies nor our word for it.
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(r.Cookies()), r.Header.Get("Sec-Fetch-Site"))
	}))
	defer other.Close()
	resp, err = maya.Get(strings.Replace(other.URL, "127.0.0.1", "localhost", 1) + "/x")
	want(said(t, resp, err), "200 /x 0")
	r, err = http.NewRequest("POST", s.URL+"/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err = maya.Do(r)
	if got := said(t, resp, err); !strings.HasPrefix(got, "403") {
		t.Error(got)
	}
	if err := s.Sessions.SignOut(t.Context(), mustToken(t, maya.Token()), authn.Client{}); err != nil {
		t.Fatal(err)
	}
	resp, err = maya.Get(s.URL + "/app")
	want(said(t, resp, err), "200 /signin")
}

func mustToken(t *testing.T, s string) authn.Token {
	t.Helper()
	token, ok := authn.ParseToken(authn.SessionToken, s)
	if !ok {
		t.Fatalf("no token of a session")
	}
	return token
}

// Everybody gets in by what they have; two companies, each with its own.
func TestSignedIn(t *testing.T) {
	t.Parallel()
	s := sallyporttest.NewServer(t)
	other := s.AddCompany(t, "globex", "Globex")
	s.SetTwoFactor(t, "acme", policy.Required)
	s.UseTexts(t, s.Company)
	s.UseDuo(t, s.Company)
	people := map[string]struct {
		company authn.Company
		give    func(sallyporttest.Person)
		app     bool
		acr     string
		amr     string
	}{
		"alone":  {other, nil, false, "aal1", "pwd"},
		"app":    {s.Company, nil, true, "aal2", "otp pwd"},
		"mail":   {s.Company, nil, false, "aal1", "mca pwd"},
		"text":   {s.Company, func(p sallyporttest.Person) { s.AddPhone(t, p.User, "+46700000042") }, false, "aal2", "pwd sms"},
		"duo":    {s.Company, func(p sallyporttest.Person) { s.AddDuo(t, p.User, "duo") }, false, "aal2", "pop pwd"},
		"abroad": {other, nil, true, "aal2", "otp pwd"},
	}
	for login, p := range people {
		person := s.AddUser(t, p.company, login, p.app)
		if p.give != nil {
			p.give(person)
		}
		b := s.SignedIn(t, person)
		cur, err := s.Sessions.Check(t.Context(), b.Token(), authn.Client{})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(cur.Session.AMR)
		if cur.User.ID != person.ID || cur.Company.ID != p.company.ID || cur.Session.ACR != p.acr || strings.Join(cur.Session.AMR, " ") != p.amr {
			t.Errorf("%s: %s of %s with %s %v", login, cur.User.Login, cur.Company.Slug, cur.Session.ACR, cur.Session.AMR)
		}
		if p.app {
			again := s.SignedIn(t, person) // with another code, and in another browser
			if again.Token() == b.Token() {
				t.Errorf("%s: one session for both", login)
			}
		}
	}
}

// The app shows one code for 30 seconds; NextCode waits for another, and no longer
// than it has to.
func TestAuthenticator(t *testing.T) {
	t.Parallel()
	clock := sallyporttest.NewClock() // 10 seconds into a step
	app := sallyporttest.NewAuthenticator(t, clock, "GEZD GNBV gy3t qojq GEZDGNBVGY3TQOJQ")
	start := clock.Now()
	first := app.Code()
	if got := app.NextCode(); got != first || !clock.Now().Equal(start) {
		t.Errorf("%s after %s, at %v", got, first, clock.Now())
	}
	second := app.NextCode()
	if second == first || second != app.Code() || clock.Now().Sub(start) != 30*time.Second {
		t.Errorf("%s, at %v", second, clock.Now())
	}
	clock.Advance(time.Hour)
	at := clock.Now()
	if third := app.NextCode(); third == second || !clock.Now().Equal(at) {
		t.Error("waited for nothing")
	}
	// RFC 6238, appendix B: eight digits at 59 s.
	clock.Advance(time.Unix(59, 0).Sub(clock.Now()))
	app = sallyporttest.NewAuthenticator(t, clock, "otpauth://totp/Acme:maya?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme&digits=8")
	if got := app.Code(); got != "94287082" {
		t.Errorf("%s", got)
	}
}

// What cannot be fails the test, and says why; it never gives half a thing.
func TestKitFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(testing.TB, *sallyporttest.Server)
		want string
	}{
		"a wrong password": {func(t testing.TB, s *sallyporttest.Server) {
			p := s.AddUser(t, s.Company, "maya", true)
			p.Password = "another"
			s.SignedIn(t, p)
		}, "maya does not sign in: "},
		"suspended": {func(t testing.TB, s *sallyporttest.Server) {
			p := s.AddUser(t, s.Company, "maya", true)
			if _, err := s.Directory.Do(t.Context(), directory.TheOperator(s.Company.ID), directory.PersonAct{Do: directory.Suspend, Target: p.ID}); err != nil {
				t.Fatal(err)
			}
			s.SignedIn(t, p)
		}, "maya does not sign in: "},
		"a way of their own is asked for": {func(t testing.TB, s *sallyporttest.Server) {
			s.SetPolicy(t, "acme", func(d *policy.Document) {
				d.TwoFactor, d.OwnWay = policy.Required, []authn.Audience{authn.InternalAudience}
			})
			s.SignedIn(t, s.AddUser(t, s.Company, "maya", false))
		}, "maya is not let in: need_enrolment"},
		"no such action": {func(t testing.TB, s *sallyporttest.Server) {
			s.SignedIn(t, s.AddUser(t, s.Company, "maya", true)).StepUp(t, "billing.change")
		}, "no step-up for maya: "},
		"nobody is signed in": {func(t testing.TB, s *sallyporttest.Server) { s.NewBrowser(t).StepUp(t, "") }, "nobody is signed in"},
		"nothing was sent":    {func(t testing.TB, s *sallyporttest.Server) { s.LastCode(t, "maya@acme.example") }, "no code was sent"},
		"Duo asks nothing":    {func(t testing.TB, s *sallyporttest.Server) { s.UseDuo(t, s.Company).ApprovePush(t, "maya") }, "Duo asks maya nothing"},
		"no secret":           {func(t testing.TB, s *sallyporttest.Server) { sallyporttest.NewAuthenticator(t, s.Clock, "0") }, "otp: "},
		"no URI":              {func(t testing.TB, s *sallyporttest.Server) { sallyporttest.NewAuthenticator(t, s.Clock, "otpauth://x") }, "otp: "},
		"scopes without roles": {func(t testing.TB, s *sallyporttest.Server) {
			s.AddKey(t, s.AddUser(t, s.Company, "maya", true), "users.write")
		}, "directory: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := false
			fatal := run(func(t testing.TB) {
				c.do(t, sallyporttest.NewServer(t))
				ended = true
			})
			if ended || !strings.Contains(fatal, c.want) {
				t.Errorf("%q, want %q", fatal, c.want)
			}
		})
	}
}

// A host whose wiring is wrong is told so, and nothing is left behind.
func TestWire_refuses(t *testing.T) {
	t.Parallel()
	fatal := run(func(t testing.TB) {
		sallyporttest.Wire(t, func(c sallyport.Config) (*sallyport.Server, http.Handler, error) {
			c.Home = "https://elsewhere.example"
			srv, err := sallyport.New(c)
			return srv, nil, err
		})
	})
	if !strings.Contains(fatal, "Config.Home") {
		t.Errorf("%q", fatal)
	}
}
