package sallyport_test

import (
	"context"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/directory"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// The application with passwords of its own, in both languages: a person signs in
// there, does the second step on our pages and is back (rul-22, rul-57).
func TestExampleSecondFactor_rul22(t *testing.T) {
	for language, start := range map[string]func(*testing.T, context.Context) *exec.Cmd{"go": goExample, "python": pythonExample} {
		t.Run(language, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
			defer stop()
			cmd := start(t, ctx)
			s := newShop(t)
			self := "http://localhost:" + freePort(t)
			k, key := s.application(s.Company, "orchard", "attempts.assert")
			_, err := s.Directory.AddReturnAddress(t.Context(), directory.TheOperator(s.Company.ID), k.ID, self+"/signed-in", "the example")
			s.must(err)
			cmd.Env = append(os.Environ(), "SALLYPORT_URL="+s.URL, "SALLYPORT_KEY="+key.Reveal(), "APP_URL="+self)
			serve(t, ctx, cmd, self)
			s.walkExample(ctx, self)
		})
	}
}

// rul-36: a host program with users and passwords of its own. People sign in by its
// table, do the second step on our pages, and read its page.
func TestExampleEmbedded_rul36(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	cmd := build(t, ctx, "examples/embedded")
	self := "http://localhost:" + freePort(t)
	cmd.Env = append(os.Environ(), "APP_URL="+self, "APP_DATA="+t.TempDir())
	said := serve(t, ctx, cmd, self)
	b := newSurfer(t, ctx)
	if status := b.do(http.MethodGet, self+"/harvest", nil); status != 200 || b.url.Path != "/signin" || !strings.Contains(b.body, `href="/new-password"`) {
		t.Fatalf("%d at %s", status, b.url)
	}
	for _, guess := range [][2]string{{"maya", "not her password"}, {"nobody", "orchard at dawn"}} {
		if status := b.submit("password", "login", guess[0], "password", guess[1]); status != 422 {
			t.Fatalf("%s: %d", guess[0], status)
		}
	}
	if status := b.submit("password", "login", "Maya", "password", "orchard at dawn"); status != 200 || !strings.HasPrefix(b.url.Path, "/signin/att_") {
		t.Fatalf("%d at %s:\n%s", status, b.url, b.body)
	}
	b.submit("code", "code", strings.ReplaceAll(said.Find(t, ctx, `(?s)to maya@orchard\.example:.*?\b(\d{3} ?\d{3})\b`), " ", ""))
	if b.do(http.MethodGet, self+"/harvest", nil); b.url.Path != "/harvest" || !strings.Contains(b.body, "The harvest of Maya Brandt, who is 7 in our table") {
		t.Fatalf("at %s:\n%s", b.url, b.body)
	}
}

func goExample(t *testing.T, ctx context.Context) *exec.Cmd {
	t.Helper()
	return build(t, ctx, "examples/second-factor/go")
}

// build makes the program of an example.
func build(t *testing.T, ctx context.Context, dir string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), "example")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v (if go.mod is to be updated: cd %s && go mod tidy)\n%s", err, dir, out)
	}
	return exec.CommandContext(ctx, program)
}

// serve starts a program, waits until it answers at its address, and ends it with the
// test. What it printed is shown if the test fails.
func serve(t *testing.T, ctx context.Context, cmd *exec.Cmd, address string) (said *sallyporttest.LogBuffer) {
	t.Helper()
	said = &sallyporttest.LogBuffer{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, said, 5*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said)
		}
	})
	for ctx.Err() == nil {
		if resp, err := http.Get(address); err == nil {
			resp.Body.Close()
			return said
		}
		time.Sleep(50 * time.Millisecond) // another process: there is nothing to wait on
	}
	t.Fatal("it does not listen")
	return nil
}

func pythonExample(t *testing.T, ctx context.Context) *exec.Cmd {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		if strings.Contains(os.Getenv("SALLYPORT_TEST_REQUIRE"), "python") {
			t.Fatal("python3 is required (SALLYPORT_TEST_REQUIRE) but not installed: apt-get install python3")
		}
		t.Skip("no python3: the example in Python does not run")
	}
	return exec.CommandContext(ctx, python, "examples/second-factor/python/app.py")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// surfer is a browser without scripts, as far as these pages need one.
type surfer struct {
	t    *testing.T
	ctx  context.Context
	c    *http.Client
	url  *url.URL
	body string
}

func newSurfer(t *testing.T, ctx context.Context) *surfer {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &surfer{t: t, ctx: ctx, c: &http.Client{Jar: jar}}
}

func (b *surfer) do(method, address string, values url.Values) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.ctx, method, address, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	}
	r.Header.Set("Accept", "text/html")
	if b.url != nil && b.url.Host == r.URL.Host {
		r.Header.Set("Referer", b.url.String())
	}
	resp, err := b.c.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.url, b.body = resp.Request.URL, string(raw)
	return resp.StatusCode
}

var (
	formAction = regexp.MustCompile(`(?s)<form[^>]* method="post"[^>]* action="([^"]*)"[^>]*>(.*?)</form>`)
	formHidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	mainLink   = regexp.MustCompile(`<a class="btn btn-primary btn-block" href="([^"]*)"`)
)

// submit sends the first form of the page's main part that has the field.
func (b *surfer) submit(field string, pairs ...string) int {
	b.t.Helper()
	_, body, _ := strings.Cut(b.body, "<main")
	for _, f := range formAction.FindAllStringSubmatch(body, -1) {
		if !strings.Contains(f[2], `name="`+field+`"`) {
			continue
		}
		values := url.Values{}
		for _, h := range formHidden.FindAllStringSubmatch(f[2], -1) {
			values.Set(h[1], html.UnescapeString(h[2]))
		}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		to, err := b.url.Parse(html.UnescapeString(f[1]))
		if err != nil {
			b.t.Fatal(err)
		}
		return b.do(http.MethodPost, to.String(), values)
	}
	b.t.Fatalf("no form with %s at %s:\n%s", field, b.url, b.body)
	return 0
}

func (s *shop) walkExample(ctx context.Context, self string) {
	t := s.t
	t.Helper()
	b := newSurfer(t, ctx)
	first := func(name, password string) int {
		return b.do(http.MethodPost, self+"/signin", url.Values{"name": {name}, "password": {password}})
	}
	if status := first("maya", "not her password"); status != 422 {
		t.Fatalf("a wrong password: %d", status)
	}
	if status := first("nobody", "orchard at dawn"); status != 422 {
		t.Fatalf("an unknown name: %d", status)
	}
	if status := first("maya", "orchard at dawn"); status != 200 || !strings.HasPrefix(b.url.String(), s.URL+"/second-step/") || !strings.Contains(b.body, strings.TrimPrefix(self, "http://")) {
		t.Fatalf("%d at %s", status, b.url)
	}
	if status := b.submit("token"); status != 200 || !strings.HasPrefix(b.url.Path, "/signin/att_") {
		t.Fatalf("%d at %s", status, b.url)
	}
	declined := regexp.MustCompile(`<a href="([^"]*)" rel="external noreferrer"`).FindStringSubmatch(b.body)
	if declined == nil || html.UnescapeString(declined[1]) != self+"/signed-in?error=access_denied" {
		t.Fatalf("nothing leads back at %s:\n%s", b.url, b.body)
	}
	if status := b.do(http.MethodGet, html.UnescapeString(declined[1]), nil); status != 403 || !strings.Contains(b.body, `name="password"`) {
		t.Errorf("somebody else: %d\n%s", status, b.body)
	}
	first("maya", "orchard at dawn")
	b.submit("token")
	if status := b.submit("code", "code", "000000"); status != 422 {
		t.Errorf("a wrong code: %d", status)
	}
	s.Clock.Advance(30 * time.Second)
	b.submit("code", "code", s.Code(t, s.maya.Secret))
	link := mainLink.FindStringSubmatch(b.body)
	if link == nil || !strings.HasPrefix(html.UnescapeString(link[1]), self+"/signed-in?handle=sp_hdl_") {
		t.Fatalf("at %s:\n%s", b.url, b.body)
	}
	back := html.UnescapeString(link[1])
	// Somebody else's browser, to whom the link was sent.
	other := newSurfer(t, ctx)
	if status := other.do(http.MethodGet, back, nil); status != 403 || strings.Contains(other.body, "Signed in") {
		t.Errorf("another browser: %d %s", status, other.body)
	}
	if status := b.do(http.MethodGet, back, nil); status != 200 || b.url.String() != self+"/" || !strings.Contains(b.body, "Signed in as maya") {
		t.Fatalf("%d at %s: %s", status, b.url, b.body)
	}
	if status := b.do(http.MethodGet, back, nil); status != 403 {
		t.Errorf("the same address again: %d", status)
	}
	for typ, n := range map[string]int{"handle.redeemed": 1, "assertion.completed": 1, "session.started": 0} {
		if list := s.events(typ); len(list) != n {
			t.Errorf("%d events %s", len(list), typ)
		}
	}
}
