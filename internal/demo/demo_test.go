package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/method/password"
	"github.com/sallyport-mfa/sallyport/method/totp"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// server is a demo behind a real listener.
type server struct {
	*Demo
	url string
}

func config(t testing.TB, dir string) Config {
	t.Helper()
	cheap := password.Params{MemoryKiB: 64, Time: 1, Threads: 1}
	pw, err := password.NewForTests(password.Config{Gate: throttle.NewGate(throttle.GateConfig{})}, cheap)
	if err != nil {
		t.Fatal(err)
	}
	app, err := totp.New(totp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Dir: dir, Methods: []authn.Method{pw, app}, Passwords: pw, Host: "127.0.0.1", Port: "8080", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// start opens a demo in dir, or a temporary one, and serves it.
func start(t testing.TB, dir string) *server {
	t.Helper()
	h := httptest.NewUnstartedServer(nil)
	c := config(t, dir)
	u, err := url.Parse("http://" + h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Port = u.Port()
	d, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	cfg, err := d.Config()
	if err != nil {
		t.Fatal(err)
	}
	srv, err := sallyport.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Config.Handler = srv.Handler()
	h.Start()
	t.Cleanup(h.Close)
	return &server{d, d.URL()}
}

// call sends JSON (nil: GET) and reads JSON.
func (s *server) call(t testing.TB, method, path, token string, body any, want int, out any) {
	t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, in)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != want {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, res.StatusCode, want, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s: %v: %s", path, err, b)
		}
	}
}

// page is the body of a GET, or of a POST of the form.
func (s *server) page(t testing.TB, path string, form url.Values, want int) string {
	t.Helper()
	res, err := http.Get(s.url + path)
	if form != nil {
		res, err = http.PostForm(s.url+path, form)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != want {
		t.Fatalf("%s: %d, want %d: %s", path, res.StatusCode, want, b)
	}
	return string(b)
}

// account is the person's line in /dev/accounts.json.
func (s *server) account(t testing.TB, login string) item {
	t.Helper()
	var out struct{ Items []item }
	s.call(t, "GET", "/dev/accounts.json", "", nil, http.StatusOK, &out)
	for _, a := range out.Items {
		if a.Login == login {
			return a
		}
	}
	t.Fatalf("%s is not in accounts.json", login)
	return item{}
}

func codeFor(t testing.TB, secret string) string {
	t.Helper()
	s, err := otp.DecodeSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	code, err := otp.Key{Secret: s}.TOTP(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// attempt is the part of the API's answers that the tests look at.
type attempt struct {
	ID, Token, State string
	Methods          []struct {
		Method, Factor string
		Locked         bool
		PausedUntil    time.Time `json:"paused_until"`
	}
	Session struct{ Token, ACR string }
}

func (s *server) begin(t testing.TB, login string) (a attempt) {
	t.Helper()
	s.call(t, "POST", "/api/v1/attempts", "", map[string]string{"company": "acme", "login": login, "password": Password}, http.StatusCreated, &a)
	return a
}

// signIn gives a session token.
func (s *server) signIn(t testing.TB, login string) (token, factor string) {
	t.Helper()
	a := s.begin(t, login)
	factor = a.Methods[0].Factor
	s.call(t, "POST", "/api/v1/attempts/"+a.ID+"/verify", a.Token,
		map[string]string{"method": "totp", "code": codeFor(t, s.account(t, login).TOTPSecret)}, http.StatusOK, &a)
	if a.State != "complete" || a.Session.ACR != "aal2" {
		t.Fatalf("%+v", a)
	}
	return a.Session.Token, factor
}

// Everybody begins as design/api.md says; the states are real, not drawn.
func TestPeople(t *testing.T) {
	s := start(t, "")
	want := map[string]string{
		"priya": "need_factor", "maya": "need_factor", "tom": "locked", "hiroshi": "need_factor", "amara": "need_factor",
		"lena": "complete", "ingrid": "denied", "zanele": "paused", "kwame": "wrong", "sara": "need_factor", "jose": "complete",
		"omar": "complete", "mei": "need_factor", "chloe": "need_factor",
	}
	for _, p := range people {
		if p.login == "kwame" {
			s.call(t, "POST", "/api/v1/attempts", "", map[string]string{"login": p.login, "password": Password}, http.StatusUnprocessableEntity, nil)
			continue
		}
		a := s.begin(t, p.login)
		got := a.State
		if len(a.Methods) == 1 && a.Methods[0].Locked {
			got = "locked"
		} else if len(a.Methods) == 1 && time.Until(a.Methods[0].PausedUntil) > 50*time.Minute {
			got = "paused"
		}
		if got != want[p.login] {
			t.Errorf("%s: %s, want %s", p.login, got, want[p.login])
		}
	}
	// A login reaches its person also by e-mail address.
	if a := s.begin(t, "MAYA@acme.example"); a.State != "need_factor" {
		t.Errorf("by e-mail: %s", a.State)
	}
	// The budget of the person's own browsers is used up too.
	_, factors, err := s.directory.Lookup(t.Context(), s.company, "tom")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range factors {
		if f.Kind == authn.TOTP && (f.Counts[authn.Stranger].Tries != authn.ShareStranger || f.Counts[authn.Known].Tries != authn.ShareKnown) {
			t.Errorf("tom: %+v", f.Counts)
		}
	}
	// Each database has secrets of its own.
	if other := start(t, ""); other.account(t, "maya").TOTPSecret == s.account(t, "maya").TOTPSecret {
		t.Error("two demos share a secret")
	}
}

// The secrets shown are those in use, also after somebody set the app up anew;
// a password that was changed is not shown as if it still held.
func TestAccountsFollow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	s := start(t, dir)
	old := s.account(t, "maya")
	if old.Company != "acme" || old.Password != Password || len(old.TOTPSecret) != 32 {
		t.Fatalf("%+v", old)
	}
	if a := s.account(t, "lena"); a.TOTPSecret != "" {
		t.Errorf("lena has %q", a.TOTPSecret)
	}
	token, factor := s.signIn(t, "maya")
	var begun struct {
		ID   string
		TOTP struct {
			Secret string
			URI    string `json:"otpauth_uri"`
		}
	}
	s.call(t, "POST", "/api/v1/account/factors", token, map[string]string{"method": "totp", "replaces": factor}, http.StatusCreated, &begun)
	if got := s.account(t, "maya"); got != old {
		t.Error("a pending app is shown as the one in use")
	}
	// The practice app makes the code of the new QR code.
	body := s.page(t, "/demo/app", url.Values{"key": {begun.TOTP.URI}}, http.StatusOK)
	m := regexp.MustCompile(`id="pasted-code"[^>]*>(\d{3} \d{3})<`).FindStringSubmatch(body)
	if m == nil || !strings.Contains(body, "Acme Projects (maya@acme.example)") {
		t.Fatalf("no code on the page: %s", body)
	}
	var confirmed struct{ Session struct{ Token string } }
	s.call(t, "POST", "/api/v1/account/factors/"+begun.ID+"/confirm", token, map[string]string{"code": m[1]}, http.StatusOK, &confirmed)
	if got := s.account(t, "maya").TOTPSecret; got != begun.TOTP.Secret {
		t.Errorf("accounts.json shows %q, not the new secret", got)
	}
	s.call(t, "PUT", "/api/v1/account/password", confirmed.Session.Token,
		map[string]string{"current": Password, "new": "nine brown owls read slowly"}, http.StatusOK, nil)
	if got := s.account(t, "maya").Password; got != "" {
		t.Errorf("the changed password is shown as %q", got)
	}
	if !strings.Contains(s.page(t, "/demo", nil, http.StatusOK), "the password was changed") {
		t.Error("the tour does not say that the password was changed")
	}

	// All of that is known after a restart too.
	before := s.account(t, "maya")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir)
	if got := again.account(t, "maya"); got != before {
		t.Errorf("after a restart %+v, before %+v", got, before)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	// Without its file the practice app says that it does not know.
	if err := os.Remove(filepath.Join(dir, secretsFile)); err != nil {
		t.Fatal(err)
	}
	lost := start(t, dir)
	if got := lost.account(t, "maya").TOTPSecret; got != "" {
		t.Errorf("shows %q", got)
	}
	if !strings.Contains(lost.page(t, "/demo/app", nil, http.StatusOK), "its secret is not known here") {
		t.Error("the practice app does not say what it does not know")
	}
}

func TestPracticeApp(t *testing.T) {
	s := start(t, "")
	body := s.page(t, "/demo/app", nil, http.StatusOK)
	for _, login := range []string{"priya", "maya", "tom"} {
		code := codeFor(t, s.account(t, login).TOTPSecret)
		// The step may have ended between the two.
		if !strings.Contains(body, code[:3]+" "+code[3:]) && !strings.Contains(s.page(t, "/demo/app", nil, http.StatusOK), code[:3]) {
			t.Errorf("%s: the code is not on the page", login)
		}
	}
	var live struct {
		Items   []struct{ Login, Code string }
		Seconds int
	}
	s.call(t, "GET", "/demo/codes.json", "", nil, http.StatusOK, &live)
	if len(live.Items) != 10 || live.Seconds < 1 || live.Seconds > 30 {
		t.Errorf("%+v", live)
	}
	const key = "JBSW Y3DP EHPK 3PXP"
	if body := s.page(t, "/demo/app", url.Values{"key": {key}}, http.StatusOK); !strings.Contains(body, `value="`+key+`"`) {
		t.Error("the key is not in the form of the answer")
	}
	s.page(t, "/demo/code.json", url.Values{"key": {key}}, http.StatusOK)
	for _, bad := range []string{"", "nonsense!", "JBSW1", "otpauth://hotp/a:b?secret=JBSWY3DPEHPK3PXP&counter=1", "otpauth://totp/x",
		"https://evil.example/", "<script>alert(1)</script>", strings.Repeat("A", 5000)} {
		body := s.page(t, "/demo/app", url.Values{"key": {bad}}, http.StatusUnprocessableEntity)
		if !strings.Contains(body, `role="alert"`) || bad != "" && strings.Contains(body, bad) {
			t.Errorf("%.20q: not refused, or repeated", bad)
		}
		s.page(t, "/demo/code.json", url.Values{"key": {bad}}, http.StatusUnprocessableEntity)
	}
	if body := s.page(t, "/demo/app", url.Values{"key": {`otpauth://totp/%3Cb%3E:x?secret=JBSWY3DPEHPK3PXP`}}, http.StatusOK); strings.Contains(body, "<b>") {
		t.Error("a name is not escaped")
	}
	// The secret of nobody is in an address, and nothing is kept in a cache.
	res, err := http.Get(s.url + "/demo/app?key=JBSWY3DPEHPK3PXP")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if bytes.Contains(b, []byte("pasted-code")) || res.Header.Get("Cache-Control") != "no-store" {
		t.Error("a key in the address is read, or the page may be cached")
	}
}

// Ruling 34, for every route of the demo.
func TestOnlyHere(t *testing.T) {
	s := start(t, "")
	routes, err := s.routes()
	if err != nil {
		t.Fatal(err)
	}
	secret := s.account(t, "maya").TOTPSecret
	for pattern := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		for _, h := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: none, cross-site", "X-Forwarded-For: 127.0.0.1",
			"Forwarded: for=127.0.0.1", "X-Forwarded-Host: localhost", "X-Forwarded-Proto: https", "X-Real-Ip: ::1", "Via: 1.1 proxy",
			"Host: evil.example", "Host: localhost", "Host: 127.0.0.1.evil.example:" + s.c.Port} {
			name, value, _ := strings.Cut(h, ": ")
			r := httptest.NewRequestWithContext(t.Context(), method, s.url+path, nil)
			r.RequestURI = ""
			r.Header.Set(name, value)
			if name == "Host" {
				r.Header.Del("Host")
				r.Host = value
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			switch res.StatusCode {
			case http.StatusNotFound, http.StatusMisdirectedRequest, http.StatusForbidden:
			default:
				t.Errorf("%s with %s: %d", pattern, h, res.StatusCode)
			}
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s with %s shows a secret", pattern, h)
			}
		}
	}
	// A peer that is not on this machine.
	for pattern, h := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		r.RemoteAddr = "192.0.2.1:1234"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s from another machine: %d", pattern, w.Code)
		}
	}
}

// A temporary demo leaves nothing; a kept one is marked, and only a marked one
// is opened.
func TestMark(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	d, err := Open(t.Context(), config(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := Marked(t.Context(), d.store.Store); !ok || err != nil {
		t.Errorf("marked: %v, %v", ok, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(os.TempDir()); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}

	dir := t.TempDir()
	ring, err := keyring.Create(filepath.Join(dir, keyringFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, databaseFile), Keyring: ring, Log: config(t, "").Log})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if ok, err := Marked(t.Context(), st); ok || err != nil {
		t.Errorf("marked: %v, %v", ok, err)
	}
	if _, err := Open(t.Context(), config(t, dir)); err == nil || !strings.Contains(err.Error(), "is no demo's database") {
		t.Errorf("a real database is opened: %v", err)
	}
	if err := st.SetMark(t.Context(), mark, markSeeding); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), config(t, dir)); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("half a demo is opened: %v", err)
	}
	// A seeding that is cut off does not hang, and the temporary folder goes.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, config(t, "")); err == nil {
		t.Error("opened although cancelled")
	}
	if list, _ := os.ReadDir(os.TempDir()); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
}

// People see how the demo begins: under 1.5 s with the real hash parameters.
func BenchmarkOpen(b *testing.B) {
	c := config(b, "")
	pw, err := password.New(password.Config{Gate: throttle.NewGate(throttle.GateConfig{})})
	if err != nil {
		b.Fatal(err)
	}
	c.Methods[0], c.Passwords = pw, pw
	for b.Loop() {
		d, err := Open(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
