package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport"
	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/keyring"
	"github.com/sallyport-mfa/sallyport/method/backup"
	"github.com/sallyport-mfa/sallyport/method/bypass"
	"github.com/sallyport-mfa/sallyport/method/code"
	"github.com/sallyport-mfa/sallyport/method/password"
	"github.com/sallyport-mfa/sallyport/method/totp"
	"github.com/sallyport-mfa/sallyport/method/webauthn"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/signin"
	"github.com/sallyport-mfa/sallyport/store/sqlite"
	"github.com/sallyport-mfa/sallyport/throttle"
)

// server is a demo behind a real listener.
type server struct {
	*Demo
	srv *sallyport.Server
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
	mail, err := code.New(authn.Email)
	if err != nil {
		t.Fatal(err)
	}
	saved := backup.New(nil)
	return Config{Dir: dir, Methods: []authn.Method{pw, app, saved, bypass.New(nil), mail}, Passwords: pw, BackupCodes: saved, Digits: code.Digits,
		Host: "127.0.0.1", Port: "8080", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// start opens a demo in dir, or a temporary one, and serves it.
func start(t testing.TB, dir string) *server { return startAs(t, dir, "") }

func startAs(t testing.TB, dir, setup string) *server {
	t.Helper()
	h := httptest.NewUnstartedServer(nil)
	c := config(t, dir)
	c.Setup = setup
	u, err := url.Parse("http://" + h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Port = u.Port()
	keys, err := webauthn.New(webauthn.Config{URL: "http://localhost:" + c.Port})
	if err != nil {
		t.Fatal(err)
	}
	c.Methods = append(c.Methods, keys)
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
	return &server{d, srv, d.URL()}
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
		Preferred      bool
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

// ways says in short what an attempt offers.
func (a attempt) ways() string {
	out := []string{a.State}
	for _, m := range a.Methods {
		w := m.Method
		if m.Preferred {
			w += "*"
		}
		if m.Locked {
			w += " locked"
		}
		if time.Until(m.PausedUntil) > 50*time.Minute {
			w += " paused"
		}
		out = append(out, w)
	}
	return strings.Join(out, ", ")
}

// Everybody begins as the table of design/api.md says, and the rest as the tour
// does; the states are real, not drawn.
func TestPeople(t *testing.T) {
	s := start(t, "")
	want := map[string]string{
		"priya": "need_factor, totp*, backup_code", "maya": "need_factor, totp*, sms, backup_code", "lena": "need_factor, email*",
		"omar": "need_factor, email*", "tom": "need_factor, totp* locked", "hiroshi": "need_factor, totp*, backup_code",
		"amara": "need_factor, totp*, backup_code", "zanele": "need_factor, backup_code, totp paused",
		"sara": "need_factor, totp*, backup_code", "ingrid": "denied", "kwame": "wrong_credentials", "freya": "wrong_credentials",
		"jose": "need_factor, email*", "mei": "need_factor, totp*, backup_code", "chloe": "need_factor, totp*, backup_code",
		"nadia": "need_factor, sms*", "diego": "need_factor, duo*", "yusuf": "need_factor, duo*, backup_code",
		"grace": "need_factor, sms*, email", "lukas": "need_factor, sms*, backup_code",
		"build-bot": "wrong_credentials",
	}
	for _, p := range people {
		if want[p.login] == "" {
			t.Errorf("%s is not in the table", p.login)
		}
	}
	for login, want := range want {
		if want == "wrong_credentials" {
			s.call(t, "POST", "/api/v1/attempts", "", map[string]string{"login": login, "password": Password}, http.StatusUnprocessableEntity, nil)
			continue
		}
		if got := s.begin(t, login).ways(); got != want {
			t.Errorf("%s: %s, want %s", login, got, want)
		}
	}
	// A login reaches its person also by e-mail address.
	if a := s.begin(t, "MAYA@acme.example"); a.State != "need_factor" {
		t.Errorf("by e-mail: %s", a.State)
	}
	left := map[string]int{"priya": 10, "maya": 2, "tom": 0, "lena": 0}
	for login, n := range left {
		if got := len(s.account(t, login).BackupCodes); got != n {
			t.Errorf("%s has %d backup codes, want %d", login, got, n)
		}
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
	other := start(t, "").account(t, "maya")
	if mine := s.account(t, "maya"); other.TOTPSecret == mine.TOTPSecret || reflect.DeepEqual(other.BackupCodes, mine.BackupCodes) {
		t.Error("two demos share a secret")
	}
}

// What comes after the second step.
func TestPeopleGoOn(t *testing.T) {
	s := start(t, "")
	for login, want := range map[string]authn.State{"lena": authn.NeedEnrolment, "omar": authn.Complete, "jose": authn.Complete,
		"priya": authn.Complete, "zanele": authn.Complete, "chloe": authn.NeedPasswordChange} {
		st, err := s.srv.SignIn.Begin(t.Context(), signin.Begin{Company: "acme", Login: login, Password: Password})
		if err != nil {
			t.Fatal(err)
		}
		o, v := signin.OpenerOf(st.Token, authn.Client{}), signin.Verify{Method: st.Need.Offers[0].Kind}
		switch v.Method {
		case authn.Email:
			if _, _, err := s.srv.SignIn.Challenge(t.Context(), o, v.Method, ""); err != nil {
				t.Fatal(err)
			}
			list := s.messages(t)
			last := list[len(list)-1]
			if last.Code == nil || !strings.HasPrefix(last.To, login+"@") {
				t.Fatalf("%s got %+v", login, last)
			}
			v.Answer.Code = *last.Code
		case authn.TOTP:
			v.Answer.Code = codeFor(t, s.account(t, login).TOTPSecret)
		case authn.BackupCode:
			v.Answer.Code = s.account(t, login).BackupCodes[0]
		}
		st, err = s.srv.SignIn.Verify(t.Context(), o, v)
		if err != nil || st.Need.State != want {
			t.Errorf("%s: %s, %v; want %s", login, st.Need.State, err, want)
		}
	}
	if n := len(s.account(t, "zanele").BackupCodes); n != 9 {
		t.Errorf("a code that was used is still listed: %d", n)
	}
}

// messages are what /dev/inbox.json lists.
func (s *server) messages(t testing.TB) []message {
	t.Helper()
	var out struct{ Items []message }
	s.call(t, "GET", "/dev/inbox.json", "", nil, http.StatusOK, &out)
	return out.Items
}

func TestInbox(t *testing.T) {
	s := start(t, "")
	if _, err := s.srv.Notices.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body := s.page(t, "/dev/inbox.json", nil, http.StatusOK); strings.TrimSpace(body) != `{"items":[]}` {
		t.Errorf("somebody is told of the past: %s", body)
	}
	if !strings.Contains(s.page(t, "/dev/inbox", nil, http.StatusOK), "Nothing yet") {
		t.Error("the empty page does not say so")
	}
	for _, m := range []authn.Message{
		{ID: "msg_1", Channel: authn.Email, To: "omar@customer.example", Subject: "Your <b>code</b>", Text: "418207 is it. <script>x</script> See " + s.url +
			"/not-me/abc. And https://evil.example/" + s.url + "/ javascript:x", HTML: "<p>418207</p><script>y</script>"},
		{ID: "msg_2", Channel: authn.Email, To: "nobody@acme.example", Subject: "No code", Text: "Nothing but text: http://localhost:1/x"},
	} {
		if err := s.inbox.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	list := s.messages(t)
	if len(list) != 2 || list[0].ID != "msg_1" || *list[0].Code != "418207" || list[1].Code != nil || time.Since(list[0].At) > time.Minute {
		t.Errorf("%+v", list)
	}
	if body := s.page(t, "/dev/inbox.json", nil, http.StatusOK); !regexp.MustCompile(
		`\{"id":"msg_2","channel":"email","to":"nobody@acme.example","subject":"No code","text":"[^"]*","code":null,"at":"20[0-9T:-]*Z"\}`).MatchString(body) {
		t.Errorf("not as the design says: %s", body)
	}
	body := s.page(t, "/dev/inbox", nil, http.StatusOK)
	for _, want := range []string{"Omar Haddad", "Copy 418207", `href="/not-me/abc"`, "&lt;p&gt;418207&lt;/p&gt;", "Your &lt;b&gt;code"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	for _, bad := range []string{"<script>x", "<script>y", `href="https://evil`, `href="http://localhost:1`} {
		if strings.Contains(body, bad) {
			t.Errorf("%q is on the page", bad)
		}
	}
	if strings.Index(body, "No code") > strings.Index(body, "Omar Haddad") {
		t.Error("the newest does not come first")
	}
}

// Thirty days are behind the company, and nothing lies before it or ahead.
func TestPast(t *testing.T) {
	s := start(t, "")
	perDay, types, last := map[string]map[string]bool{}, map[string]int{}, ""
	for n := 1; n > 0; {
		list, err := s.srv.Audit.Events(t.Context(), s.company.ID, authn.EventQuery{Before: last, Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		if n = len(list); n > 0 {
			last = list[n-1].ID
		}
		for _, ev := range list {
			if ev.At.After(time.Now()) || time.Since(ev.At) > (founded+1)*24*time.Hour {
				t.Errorf("%s at %s", ev.Type, ev.At)
			}
			day := ev.At.Local().Format(time.DateOnly)
			if perDay[day] == nil {
				perDay[day] = map[string]bool{}
			}
			perDay[day][ev.Target] = true
			types[ev.Type]++
		}
	}
	busy := 0
	for _, who := range perDay {
		if len(who) >= 2 {
			busy++
		}
	}
	if busy < 24 {
		t.Errorf("only on %d days more than one person came", busy)
	}
	for _, typ := range []string{"company.created", "policy.changed", "user.created", "user.invited", "user.suspended", "sign_in.refused", "sign_in.begun",
		"sign_in.denied", "session.started", "session.ended", "session.new_browser", "factor.refused", "factor.locked", "factor.confirmed", "factor.replaced",
		"factor.renamed", "backup_codes.made", "backup_code.used", "password.known_to_others", "password.set_by_operator", "account.secured", "code.sent"} {
		if types[typ] == 0 {
			t.Errorf("no %s", typ)
		}
	}
	t.Logf("%d days, %v", len(perDay), types)
	if st, err := s.srv.Notices.State(t.Context()); err != nil || st.Waiting != 0 {
		t.Errorf("the outbox: %+v, %v", st, err)
	}
}

// The example of the tour works as it is shown, and the README shows the same.
func TestCurl(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "\n"+(&Demo{c: Config{Port: "8080"}}).Curl()+"\n") {
		t.Error("README.md shows another example")
	}
	for _, tool := range []string{"sh", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			if strings.Contains(os.Getenv("SALLYPORT_TEST_REQUIRE"), "curl") {
				t.Fatalf("%s is required (SALLYPORT_TEST_REQUIRE) but not installed: apt-get install curl jq", tool)
			}
			t.Skipf("%s is not installed: apt-get install curl jq", tool)
		}
	}
	s := start(t, "")
	body := s.page(t, "/demo", nil, http.StatusOK)
	_, shown, _ := strings.Cut(body, `id="curl" tabindex="0" translate="no">`)
	shown, _, _ = strings.Cut(shown, "</pre>")
	out, err := exec.CommandContext(t.Context(), "sh", "-euc", html.UnescapeString(shown)).CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?s)"state": "complete".*"acr": "aal1"`).Match(out) {
		t.Errorf("%v: %s", err, out)
	}
}

// An owner may set a mail server of the company's own: it is judged as in a real
// server, and its messages come to the inbox.
func TestCompanyMail(t *testing.T) {
	s := start(t, "")
	token, _ := s.signIn(t, "priya")
	settings := map[string]any{"host": "smtp.acme.example", "from": "no-reply@acme.example", "username": "acme", "password": "made up"}
	s.call(t, "PUT", "/api/v1/providers/email", token, map[string]any{"host": "127.0.0.1 ", "from": "x"}, http.StatusUnprocessableEntity, nil)
	s.call(t, "PUT", "/api/v1/providers/email", token, settings, http.StatusOK, nil)
	before := len(s.messages(t))
	s.call(t, "POST", "/api/v1/providers/email/test", token, map[string]any{"host": "smtp.acme.example", "from": "no-reply@acme.example", "to": "priya@acme.example"}, http.StatusOK, nil)
	if n := len(s.messages(t)); n <= before {
		t.Errorf("%d messages, %d before the test", n, before)
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
	if got := s.account(t, "maya"); !reflect.DeepEqual(got, old) {
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
	if got := again.account(t, "maya"); !reflect.DeepEqual(got, before) {
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
	if err := s.inbox.Send(t.Context(), authn.Message{ID: "msg_1", Text: "418207"}); err != nil {
		t.Fatal(err)
	}
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
			if bytes.Contains(b, []byte(secret)) || bytes.Contains(b, []byte("418207")) {
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
	if err := st.SetMark(t.Context(), mark, "ready"); err != nil { // as 0.1 wrote it
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), config(t, dir)); err == nil || !strings.Contains(err.Error(), "made by another version") {
		t.Errorf("the demo of another version is opened: %v", err)
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
