package sallyport_test

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// chat360 starts the application that asks for a proof before its webhooks and billing.
func chat360(t *testing.T, ctx context.Context) (address string, out *sallyporttest.LogBuffer) {
	t.Helper()
	dir := t.TempDir()
	cmd := build(t, ctx, "examples/step-up")
	cmd.Args = append(cmd.Args, "-port", "0")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out = &sallyporttest.LogBuffer{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, t.Output(), 5*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil && !errors.Is(err, os.ErrProcessDone) && ctx.Err() == nil {
			t.Errorf("it ends with %v", err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("it leaves %v behind (%v)", left, err)
		}
	})
	return out.Find(t, ctx, `Chat360 is at (http://localhost:\d+)`), out
}

const chatPassword = "four chats before lunch"

// at fails unless the browser is at an address that begins so.
func (b *surfer) at(prefix string) {
	b.t.Helper()
	if got := b.url.RequestURI(); !strings.HasPrefix(got, prefix) {
		b.t.Fatalf("at %s and not at %s:\n%s", got, prefix, b.body)
	}
}

// goOn follows the page between the sign-in and where it leads.
func (b *surfer) goOn() {
	b.t.Helper()
	if link := mainLink.FindStringSubmatch(b.body); b.url.Path == "/continue" && link != nil {
		b.do(http.MethodGet, b.url.Scheme+"://"+b.url.Host+link[1], nil)
	}
}

// press sends the first form of the page that has a button to an address that ends so.
func (b *surfer) press(ends string) {
	b.t.Helper()
	to := regexp.MustCompile(`formaction="([^"]*` + ends + `)"`).FindStringSubmatch(b.body)
	if to == nil {
		b.t.Fatalf("no button to %s at %s:\n%s", ends, b.url, b.body)
	}
	values := url.Values{}
	for _, h := range formHidden.FindAllStringSubmatch(b.body, -1) {
		if !values.Has(h[1]) {
			values.Set(h[1], html.UnescapeString(h[2]))
		}
	}
	b.do(http.MethodPost, b.url.Scheme+"://"+b.url.Host+html.UnescapeString(to[1]), values)
}

// Step-up before billing and webhooks (I1, I2, L5): the program is built and run, and
// somebody without scripts signs in, sets up an app and changes what is protected.
func TestExampleStepUp_I1_I2_L5(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(stop) // after the program's own end
	home, out := chat360(t, ctx)
	ada := newSurfer(t, ctx)
	ada.do("GET", home+"/billing", nil)
	ada.at("/signin?return_to=%2Fbilling")
	ada.submit("password", "login", "ada", "password", chatPassword)
	ada.press("/send")
	ada.submit("code", "code", out.Find(t, ctx, `(?s)Mail to ada@chat360\.example: .*?\b(\d{6})\b`))
	ada.submit("kind", "kind", "totp")
	key := regexp.MustCompile(`id="key"[^>]* data-value="([A-Z2-7]{32})"`).FindStringSubmatch(ada.body)
	if key == nil {
		t.Fatalf("no key at %s:\n%s", ada.url, ada.body)
	}
	secret, err := otp.DecodeSecret(key[1])
	if err != nil {
		t.Fatal(err)
	}
	// A code counts for half a minute before its time, too, so that two need no waiting.
	now := time.Now()
	ada.submit("code", "code", sallyporttest.CodeAt(t, secret, now))
	ada.submit("saved", "saved", "yes")
	ada.goOn()

	// Opening the page asks; signing in a moment ago is no proof of that.
	ada.at("/account/confirm?action=billing.change&then=%2Fbilling")
	if strings.Contains(ada.body, "Harbour Tea") || !strings.Contains(ada.body, "see and change the billing details") {
		t.Errorf("%s", ada.body)
	}
	for _, link := range []string{`<a class="btn" href="/inbox">Cancel</a>`, `<a class="brand" href="/inbox">`} { // the way back to the application
		if !strings.Contains(ada.body, link) {
			t.Errorf("no %s in %s", link, ada.body)
		}
	}
	ada.submit("action")
	ada.submit("code", "code", sallyporttest.CodeAt(t, secret, now.Add(30*time.Second)))
	ada.at("/billing")
	bill := func(email string) int { return ada.submit("email", "name", "Harbour Tea AB", "email", email) }
	if status := bill("nobody"); status != 422 || !strings.Contains(ada.body, `aria-invalid="true"`) || !strings.Contains(ada.body, `value="nobody"`) {
		t.Errorf("%d %s", status, ada.body)
	}
	if bill("books@harbour-tea.example"); !strings.Contains(ada.body, "Saved.") || !strings.Contains(ada.body, "Harbour Tea AB") {
		t.Errorf("at %s: %s", ada.url, ada.body)
	}

	// The proof was used, and opens nothing else. What was typed waits on the page.
	bill("more@harbour-tea.example")
	ada.at("/account/confirm?action=billing.change&then=%2Fbilling")
	if ada.do("GET", home+"/billing", nil); !strings.Contains(ada.body, "Not saved yet.") || !strings.Contains(ada.body, `value="more@harbour-tea.example"`) {
		t.Errorf("at %s: %s", ada.url, ada.body)
	}
	for _, path := range []string{"/webhooks", "/webhooks/0", "/webhooks/new"} {
		ada.do("GET", home+path, nil)
		ada.at("/account/confirm?action=webhooks.change&then=" + url.QueryEscape(path))
	}
	t.Run("others", func(t *testing.T) { otherPeople(t, ctx, home) })

	// Another site's form changes nothing, and what it says does not wait either.
	r, err := http.NewRequestWithContext(ctx, "POST", home+"/billing", strings.NewReader("name=Evil&email=evil%40evil.example"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://evil.example")
	resp, err := ada.c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if ada.do("GET", home+"/billing", nil); resp.StatusCode != 403 || strings.Contains(ada.body, "evil") {
		t.Errorf("%d %s", resp.StatusCode, ada.body)
	}
}

// otherPeople: of a member nothing is demanded, and nothing of this is shown to them.
func otherPeople(t *testing.T, ctx context.Context, home string) {
	mia := newSurfer(t, ctx)
	mia.do("GET", home+"/settings", nil)
	mia.submit("password", "login", "mia", "password", chatPassword)
	mia.goOn()
	mia.at("/settings")
	if !strings.Contains(mia.body, "It is off.") || !strings.Contains(mia.body, `href="/account/security"`) || strings.Contains(mia.body, `href="/billing"`) {
		t.Errorf("%s", mia.body)
	}
	for _, path := range []string{"/billing", "/webhooks", "/webhooks/0"} {
		if status := mia.do("GET", home+path, nil); status != 403 {
			t.Errorf("%s: %d", path, status)
		}
		if status := mia.do("POST", home+path, url.Values{"name": {"Mia"}, "email": {"mia@chat360.example"}, "url": {"https://mia.example"}}); status != 403 && status != 405 {
			t.Errorf("POST %s: %d", path, status)
		}
	}
}
