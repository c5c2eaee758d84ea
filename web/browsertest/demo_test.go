package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// demo runs `sallyport demo` as people do, and says where it is.
func demo(t *testing.T) (url, password string) {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "sallyport")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary, "./cmd/sallyport")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	run := exec.Command(binary, "demo", "--addr", "127.0.0.1:0", "--json")
	run.Env = append(os.Environ(), "TMPDIR="+dir)
	run.Stderr = t.Output()
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(patience, func() { _ = run.Process.Kill() })
		defer kill.Stop()
		if err := run.Wait(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("the demo ends with: %v", err)
		}
	})
	var says struct{ URL, Password string }
	lines := make(chan error, 1)
	go func() { lines <- json.NewDecoder(bufio.NewReader(out)).Decode(&says) }()
	select {
	case err := <-lines:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("the demo says nothing")
	}
	return says.URL, says.Password
}

// ux 5.2: nadia signs in with the text that the inbox shows in a second tab, and
// diego with the push that is approved in the pretend Duo; one that is denied leads nowhere.
func TestDemo_textsAndDuo_S41(t *testing.T) {
	t.Parallel()
	chromium(t)
	url, password := demo(t)
	for name, js := range map[string]bool{"js": true, "nojs": false} {
		t.Run(name, func(t *testing.T) {
			tb := newTab(t, url, js)
			tb.open("/signin")
			tb.password("nadia", password)
			tb.push("button[formaction$='/send']")
			inbox := tb.another()
			inbox.open("/dev/inbox?channel=sms")
			inbox.page("inbox/texts", 200)
			inbox.walk("inbox/texts")
			code := inbox.content("ol.demo-mail output")
			if text := inbox.content("ol.demo-mail .bubble"); !strings.HasSuffix(text, "@localhost #"+code) || inbox.has("ol.demo-mail button:not([hidden])") != js {
				t.Errorf("the text is %q, its code %q", text, code)
			}
			tb.code(code)
			tb.lands("/account/security")

			duo := tb.another()
			for _, answer := range []string{"Deny", "Approve"} {
				tb = newTab(t, url, js)
				tb.open("/signin")
				tb.password("diego", password)
				tb.push("#push")
				duo.open("/dev/duo")
				duo.page("pretend-duo/waiting", 200)
				duo.walk("pretend-duo/waiting")
				duo.follow(func() error { return duo.click(answer) })
				duo.page("pretend-duo", 200)
				// With JavaScript the page looks again by itself, and then asks whether to
				// trust the browser (decision 0033).
				tb.await("the sign-in to say what was answered", func() bool {
					if !js && tb.has("[data-await]") {
						tb.reload()
					}
					return tb.has("#problem") || tb.has("form[action$='/continue'] #trust")
				})
				if denied := answer == "Deny"; denied != tb.has("#problem") {
					t.Errorf("%s: the sign-in is at %s", answer, tb.path())
				}
			}
			tb.press("page.duo.continue")
			tb.lands("/account/security")

			tb = newTab(t, url, js)
			tb.open("/signin")
			tb.password("yusuf", password)
			tb.push("#push")
			duo.open("/dev/duo")
			duo.page("pretend-duo/number", 200)
			duo.follow(func() error { return duo.click("Approve") })
			duo.page("pretend-duo/no-number", 422)
			duo.open("/dev/duo")
			id := eval[string](duo, "document.querySelector('.demo-push input[name=number]').id")
			duo.fill(id, tb.content("#number"))
			duo.follow(func() error { return duo.click("Approve") })
			duo.follow(func() error { return duo.click("Back to the tour") })
		})
	}
}

// ux 5.2: the tour, the practice app and the inbox; maya signs in with a code that
// is read there, sets her app up anew with the practice app as the phone, and is
// told by mail.
func TestDemo_ux52(t *testing.T) {
	t.Parallel()
	chromium(t)
	url, password := demo(t)
	for name, js := range map[string]bool{"js": true, "nojs": false} {
		t.Run(name, func(t *testing.T) {
			person := map[bool]string{true: "maya", false: "priya"}[js] // a code is good once
			tb := newTab(t, url, js)
			tb.open("/demo")
			tb.page("tour", 200)
			if !strings.Contains(tb.content("h1 + p"), password) || !strings.Contains(tb.content("table"), "Maya Lindqvist") {
				t.Errorf("the tour does not name the password and the people")
			}
			tb.walk("tour")
			app := tb.another()
			app.open("/demo/app")
			app.page("practice", 200)
			app.walk("practice")
			if js {
				before := app.content(".card-head [data-left]")
				app.await("the clock of the practice app to run", func() bool { return app.content(".card-head [data-left]") != before })
			}
			tb.follow(func() error { return tb.click("Open the sign-in page") })
			tb.page("signin/demo", 200)
			if !tb.has(".banner") {
				t.Error("the page does not say that this is a demo")
			}
			tb.password(person, password)
			app.open("/demo/app")
			tb.code(app.content("#code-" + person))
			tb.lands("/account/security")
			tb.page("security/demo", 200)
			tb.press("page.security.again_label", "Way", tb.T("page.way.totp"))
			tb.lands("/account/security/app/fac_")
			app.fill("key", tb.shown().Grouped)
			app.follow(func() error { return app.click("Show its code") })
			app.page("practice/key", 200)
			tb.fill("code", app.content("#pasted-code"))
			tb.press("page.setup.button")
			tb.lands("/account/security?done=app_replaced")
			app.fill("key", "this is no key")
			app.follow(func() error { return app.click("Show its code") })
			app.audited("practice/no-key")
			app.open("/demo/app")
			app.page("practice", 200)
			// The change is told by mail, within a second or two.
			app.await("the mail about the change", func() bool {
				app.open("/dev/inbox")
				return app.has("ol.demo-mail") && strings.Contains(app.content("ol.demo-mail"), person+"@acme.example")
			})
			app.page("inbox", 200)
			app.walk("inbox")
			app.follow(func() error { return app.click("Back to the tour") })
			app.audited("tour/again")
		})
	}
}
