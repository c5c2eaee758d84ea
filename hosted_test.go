package sallyport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
	"github.com/sallyport-mfa/sallyport/signin"
)

const hostPassword = "an orchard before dawn"

// hosted is a server whose people are in a host program's table.
type hosted struct {
	*sallyporttest.Server
	t     *testing.T
	users *sallyporttest.Users
}

func newHosted(t *testing.T) hosted {
	users := &sallyporttest.Users{}
	s := sallyporttest.NewServer(t, func(c *sallyport.Config) { c.Users, c.PasswordPage = users, "/new-password" })
	users.Put(mayaOfHost(), hostPassword)
	mux := http.NewServeMux()
	mux.Handle("/", s.Handler())
	mux.Handle("GET /own", s.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _ := sallyport.UserFrom(r.Context())
		fmt.Fprintf(w, "hello %s", u.ExternalID)
	})))
	s.HTTP.Config.Handler = mux
	return hosted{Server: s, t: t, users: users}
}

func mayaOfHost() signin.HostUser {
	return signin.HostUser{ID: "7", Login: "maya", Name: "Maya Brandt", Email: "maya@orchard.example", EmailVerified: true, Audience: authn.ExternalAudience}
}

// rul-36: pages, JSON and the program's own handlers ask the host's table the same way.
func TestHostUsers_overHTTP_rul36(t *testing.T) {
	h := newHosted(t)
	b := newSurfer(t, t.Context())
	status := func(path string) int { t.Helper(); return b.do(http.MethodGet, h.URL+path, nil) }
	if s := status("/signin"); s != 200 || !strings.Contains(b.body, `href="/new-password"`) || strings.Contains(b.body, `href="/forgot`) {
		t.Fatalf("%d", s)
	}
	if s := b.submit("password", "login", "maya", "password", "wrong"); s != 422 {
		t.Fatalf("%d", s)
	}
	h.users.Before = func(context.Context, string, string) error { return errors.New("down") }
	if s := b.submit("password", "login", "maya", "password", hostPassword); s != 503 || !strings.Contains(b.body, "We can’t check your account at the moment") {
		t.Fatalf("%d\n%s", s, b.body)
	}
	h.users.Before = nil
	status("/signin")
	if s := b.submit("password", "login", "maya", "password", hostPassword); s != 200 || b.url.Path != "/continue" {
		t.Fatalf("%d at %s\n%s", s, b.url, b.body)
	}
	status("/account/security")
	if strings.Contains(b.body, `value="password"`) || !strings.Contains(b.body, `href="/new-password"`) {
		t.Error("the page offers to change a password that is not here")
	}
	if status("/account/password"); b.url.Path != "/new-password" {
		t.Errorf("to change the password one is led to %s", b.url)
	}
	if s := status("/own"); s != 200 || b.body != "hello 7" {
		t.Errorf("%d %s", s, b.body)
	}
	paths := []string{"/account/security", "/api/v1/account", "/own"}
	h.users.Before = func(context.Context, string, string) error { return errors.New("down") }
	for _, path := range paths {
		if s := status(path); s != 503 || !strings.Contains(b.body, "check your account at the moment") {
			t.Errorf("down: %s: %d %s", path, s, b.body)
		}
	}
	h.users.Before = nil
	for _, path := range paths {
		if s := status(path); s != 200 {
			t.Errorf("up again: %s: %d", path, s)
		}
	}
	p := mayaOfHost()
	p.Suspended = true
	h.users.Put(p, hostPassword)
	if s := status("/api/v1/account"); s != 401 {
		t.Errorf("suspended: %d", s)
	}
	if status("/own"); b.url.Path != "/signin" {
		t.Errorf("suspended: the program's page leads to %s", b.url)
	}
	h.users.Put(mayaOfHost(), hostPassword)
	if status("/own"); b.url.Path != "/signin" {
		t.Errorf("the session came back: %s", b.url)
	}
}

// A key of somebody of the host's goes with their standing there.
func TestHostUsers_keys_rul36_rul21(t *testing.T) {
	h := newHosted(t)
	st, err := h.SignIn.Begin(t.Context(), signin.Begin{Login: "maya", Password: hostPassword, Client: authn.Client{Browser: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	op := directory.TheOperator(h.Company.ID)
	if _, err := h.Directory.Do(t.Context(), op, directory.PersonAct{Do: directory.SetRoles, Target: st.User.ID, Args: map[string]string{"roles": "owner"}}); err != nil {
		t.Fatal(err)
	}
	_, token, err := h.Directory.CreateKey(t.Context(), op, directory.NewKey{Name: "watch", Owner: st.User.ID, Scopes: []string{"audit.read"}, Life: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() int {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/api/v1/audit/events", nil)
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if s := ask(); s != 200 {
		t.Fatalf("%d", s)
	}
	h.users.Before = func(context.Context, string, string) error { return errors.New("down") }
	if s := ask(); s != 503 {
		t.Errorf("down: %d", s)
	}
	h.users.Before = nil
	h.users.Remove("7")
	for range 2 {
		if s := ask(); s != 401 {
			t.Errorf("gone: %d", s)
		}
	}
	h.users.Put(mayaOfHost(), hostPassword)
	if s := ask(); s != 200 {
		t.Errorf("back: %d", s)
	}
}

// A program that has checked the password itself gets nobody in whom the host does not know.
func TestHostUsers_asserted_rul36_rul22(t *testing.T) {
	h := newHosted(t)
	if _, err := h.SignIn.Begin(t.Context(), signin.Begin{Login: "maya", Password: hostPassword, Client: authn.Client{Browser: "b"}}); err != nil {
		t.Fatal(err)
	}
	_, key := (&shop{Server: h.Server, t: t}).application(h.Company, "app", "attempts.assert")
	assert := func() error {
		_, err := h.SignIn.Assert(t.Context(), signin.Assertion{Key: key, User: "maya", Nonce: "a-nonce-of-the-application"})
		return err
	}
	if err := assert(); err != nil {
		t.Fatal(err)
	}
	h.users.Before = func(context.Context, string, string) error { return errors.New("down") }
	if err := assert(); !errors.Is(err, authn.ProviderUnavailable) {
		t.Errorf("down: %v", err)
	}
	h.users.Before = nil
	h.users.Remove("7")
	if err := assert(); !errors.Is(err, authn.NotFound) {
		t.Errorf("gone: %v", err)
	}
}

// New says everything that is wrong, with the names of the fields.
func TestHostUsers_badConfig(t *testing.T) {
	_, err := sallyport.New(sallyport.Config{UsersAnswer: time.Hour, PasswordPage: "//elsewhere.example"})
	for _, want := range []string{"Config.UsersAnswer is 1h0m0s", "Config.PasswordPage is", "Config.Users, which is nil", "Config.Store", "Config.Methods", "Config.Passwords", "Config.PublicURL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %q in: %v", want, err)
		}
	}
}
