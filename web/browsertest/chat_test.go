package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/authn"
	"github.com/sallyport-mfa/sallyport/otp"
	"github.com/sallyport-mfa/sallyport/policy"
	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// chatPassword is everybody's in the example application.
const chatPassword = "four chats before lunch"

// chat is the example application of set-up L5, running as people run it: the program
// that was built from examples/step-up, with its own clock.
type chat struct {
	*testing.T
	js   bool
	url  string
	said *sallyporttest.LogBuffer
}

// find waits for the last match of an expression with one group in what it said.
func (c *chat) find(expression string) string {
	c.Helper()
	ctx, stop := context.WithTimeout(c.Context(), patience)
	defer stop()
	return c.said.Find(c.T, ctx, expression)
}

// openChat starts the program on a port that is free.
func openChat(t *testing.T, js bool, binary string) *chat {
	t.Helper()
	c := &chat{T: t, js: js, said: &sallyporttest.LogBuffer{}}
	run := exec.Command(binary, "-port", "0")
	run.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	run.Stdout, run.Stderr, run.WaitDelay = c.said, t.Output(), 5*time.Second
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(patience, func() { _ = run.Process.Kill() })
		defer kill.Stop()
		if err := run.Wait(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("the example ends with: %v", err)
		}
	})
	c.url = c.find(`Chat360 is at (http://localhost:\d+)`)
	return c
}

// worker is one of the people of Chat360, with the phone that has their app. The
// program's clock is the real one, and a code works once.
type worker struct {
	*chat
	login  string
	secret otp.Secret
	last   int64 // step of the last code
}

// code is the next code of the app. One of half a minute ago or ahead counts, too, so
// that three in a row need no waiting.
func (w *worker) code() string {
	w.Helper()
	now := time.Now().Unix()
	first := now / 30
	if now%30 < 15 {
		first-- // for so long that it is sent in time
	}
	w.last = max(w.last+1, first)
	for deadline := time.Now().Add(time.Minute); time.Now().Unix()/30 < w.last-1 && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond) // another process with the real clock
	}
	return sallyporttest.CodeAt(w.T, w.secret, time.Unix(w.last*30, 0))
}

// mustSetUp signs somebody in of whom a way of their own is demanded: the code by
// e-mail lets them in to set the app up, and the page says who asks.
func (w *worker) mustSetUp(path string) *tab {
	w.Helper()
	tb := newTab(w.T, w.url, w.js)
	tb.open(path)
	tb.lands("/signin?return_to=")
	tb.password(w.login, chatPassword)
	to := w.login + "@chat360.example"
	tb.press("page.send.button", "To", policy.Mask(authn.Email, to))
	tb.code(w.find(`Mail to ` + to + `:[^\n]*\n(?:    [^\n]*\n|\n    )*?    [^\n]*\b(\d{6})\b`))
	tb.page("enrolment/chat-"+w.login, 200)
	tb.reads("main", tb.T("why.role_requires", "Company", "Chat360"))
	tb.option(authn.TOTP)
	w.scans(tb)
	tb.tick("saved")
	tb.press("page.codes.done")
	return tb
}

// scans sets the app up from the page that is open, up to the backup codes.
func (w *worker) scans(tb *tab) {
	w.Helper()
	w.secret = decode(w.T, tb.shown().Key)
	tb.codeBy(w.code(), "page.setup.button")
	tb.page("codes/chat", 200)
	if n := len(tb.codes()); n != 10 {
		w.Errorf("%d backup codes", n)
	}
}

// confirms is the page that asks for a proof of an action, which it names.
func (w *worker) confirms(tb *tab, action, title string) {
	w.Helper()
	tb.lands("/account/confirm?action=" + action)
	tb.reads("#act", title)
	tb.page("confirm/chat-"+action, 200)
	tb.push("main form button")
	tb.codeBy(w.code(), "page.confirm.button")
}

// Set-up L5 (customer chat, Chat360), end to end in the example application: two steps
// for administrators and agents, and for others who like; a proof before webhooks and
// billing, at opening them; every new browser proves a second step, is listed and ended.
func TestCustomerChat_L5(t *testing.T) {
	chromium(t)
	binary := filepath.Join(t.TempDir(), "chat360")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary, ".")
	build.Dir = filepath.Join("..", "..", "examples", "step-up")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	both(t, func(t *testing.T, js bool) {
		c := openChat(t, js, binary)
		c.isAnAgent()
		c.keepsTheWebhooks()
		c.paysTheBills()
		c.isAMember()
	})
}

// isAnAgent: two steps are demanded, in each browser anew; the browsers are listed, and
// one is ended.
func (c *chat) isAnAgent() {
	c.Helper()
	sam := &worker{chat: c, login: "sam"}
	tb := sam.mustSetUp("/inbox")
	tb.lands("/inbox")
	tb.page("chat-inbox/agent", 200)
	tb.walk("chat-inbox/agent")
	if tb.has("nav a[href='/billing']") {
		c.Error("an agent is led to billing")
	}
	tb.open("/billing")
	tb.page("chat-denied", 403)

	other := newTab(c.T, c.url, c.js)
	other.open("/inbox")
	other.password("sam", chatPassword)
	other.says("h1", other.T("page.code.title"))
	other.tick("trust")
	other.code(sam.code())
	other.lands("/inbox")
	c.find(`Mail to sam@chat360\.example: (` + regexp.QuoteMeta(tb.T("mail.new_browser.subject", "Company", "Chat360")) + `)`)

	tb.open("/settings")
	tb.page("chat-settings/agent", 200)
	tb.follow(func() error { return tb.click("Show: Signed-in devices") })
	tb.lands("/account/devices")
	tb.page("devices/chat", 200)
	tb.push("#devices form[action$='/end'] button")
	tb.push("#trusted button")
	other.reload()
	other.lands("/signin?return_to=%2Finbox")
	other.password("sam", chatPassword)
	other.says("h1", other.T("page.code.title")) // and it is no longer trusted
}

// keepsTheWebhooks: opening webhooks or billing asks for a proof of that, each change
// uses it up, and nothing that was typed is lost.
func (c *chat) keepsTheWebhooks() {
	c.Helper()
	ada := &worker{chat: c, login: "ada"}
	tb := ada.mustSetUp("/webhooks")
	ada.confirms(tb, "webhooks.change", "see and change the webhooks") // signing in was no proof of that
	tb.lands("/webhooks")
	tb.page("chat-webhooks", 200)
	tb.walk("chat-webhooks")
	tb.follow(func() error { return tb.click("Change: Customer records") })
	tb.page("chat-webhook", 200)
	tb.walk("chat-webhook")
	tb.fill("url", "http://crm.example.com/hooks/chat")
	tb.follow(func() error { return tb.click("Save the webhook") })
	tb.page("chat-webhook/wrong", 422) // and the proof is still there
	tb.fill("url", "https://crm.example.com/hooks/two")
	tb.follow(func() error { return tb.click("Save the webhook") })
	tb.lands("/webhooks?saved=1")
	tb.page("chat-webhooks/saved", 200)
	tb.reads("#webhooks", "https://crm.example.com/hooks/two")

	// The next change asks again, and what was typed is there afterwards.
	tb.follow(func() error { return tb.click("Add a webhook") })
	tb.page("chat-webhook/new", 200)
	tb.fill("name", "Night shift")
	tb.fill("url", "https://night.example.com/in")
	tb.follow(func() error { return tb.click("Save the webhook") })
	ada.confirms(tb, "webhooks.change", "see and change the webhooks")
	tb.lands("/webhooks/new")
	tb.page("chat-webhook/draft", 200)
	tb.reads("#draft", "Not saved yet.")
	for id, want := range map[string]string{"name": "Night shift", "url": "https://night.example.com/in"} {
		if got := eval[string](tb, "document.getElementById($1).value", id); got != want {
			c.Errorf("%s is %q, and was %q", id, got, want)
		}
	}
	tb.follow(func() error { return tb.click("Save the webhook") })
	tb.reads("#webhooks", "https://night.example.com/in")

	// A proof of the one is none of the other.
	tb.follow(func() error { return tb.click("Billing") })
	tb.lands("/account/confirm?action=billing.change")
	tb.press("page.cancel")
	tb.lands("/inbox")
}

// paysTheBills: the page of the billing details asks before it is seen, and is changed by keys alone.
func (c *chat) paysTheBills() {
	c.Helper()
	olga := &worker{chat: c, login: "olga"}
	tb := olga.mustSetUp("/billing")
	olga.confirms(tb, "billing.change", "see and change the billing details")
	tb.lands("/billing")
	tb.page("chat-billing", 200)
	tb.walk("chat-billing")
	tb.fill("email", "")
	tb.tabTo("#email")
	tb.keys("books@harbour-tea.example")
	tb.tabTo("main button")
	tb.follow(func() error { return tb.try(chromedp.KeyEvent(" ")) })
	tb.lands("/billing?saved=1")
	tb.page("chat-billing/saved", 200)
	if got := eval[string](tb, "document.getElementById('email').value"); got != "books@harbour-tea.example" {
		c.Errorf("the invoices go to %q", got)
	}
}

// isAMember: nothing is demanded, and Settings → MFA → Edit turns the app on.
func (c *chat) isAMember() {
	c.Helper()
	mia := &worker{chat: c, login: "mia"}
	tb := newTab(c.T, c.url, c.js)
	tb.open("/settings")
	tb.password("mia", chatPassword)
	tb.lands("/settings")
	tb.page("chat-settings", 200)
	tb.walk("chat-settings")
	tb.says("#state", "It is off.")
	tb.follow(func() error { return tb.click("Edit: MFA") })
	tb.lands("/account/security")
	tb.press("page.security.set_up_label", "Way", tb.T("page.way.totp"))
	tb.lands("/account/confirm")
	tb.fill("password", chatPassword)
	tb.press("page.confirm.button")
	tb.page("setup/chat", 200)
	mia.scans(tb)
	tb.saveCodes()
	tb.page("security/chat", 200)
	tb.walk("security/chat")
	tb.follow(func() error { return tb.click("Chat360") }) // the way back to the application
	tb.lands("/inbox")
	tb.follow(func() error { return tb.click("Settings") })
	tb.says("#state", "It is on.")
	tb.follow(func() error { return tb.click("Sign out") })
	tb.push("main form button")
	tb.open("/settings")
	tb.password("mia", chatPassword)
	tb.code(mia.code())
	tb.lands("/settings")
}
