package browsertest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// clipboard is one for the whole machine, and so for all tabs.
var clipboard sync.Mutex

// paste puts a text on the clipboard and presses Ctrl+V in a field.
func (tb *tab) paste(id, value string) {
	tb.t.Helper()
	clipboard.Lock()
	defer clipboard.Unlock()
	tb.toClipboard(value)
	tb.fill(id, "")
	tb.pasted(id)
}

// pasted presses Ctrl+V.
func (tb *tab) pasted(id string) {
	tb.t.Helper()
	tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		for _, typ := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
			p := input.DispatchKeyEventParams{Type: typ, Key: "v", Code: "KeyV", WindowsVirtualKeyCode: 'V', Modifiers: int64(chromedp.ModifierCtrl)}
			if typ == input.DispatchKeyEventTypeRawKeyDown {
				p.Commands = []string{"paste"} // what the browser's own key map would say
			}
			if err := call(ctx, s, input.DispatchKeyEvent, p); err != nil {
				return err
			}
		}
		return nil
	}))
	tb.await("something to be pasted", func() bool { return eval[string](tb, "document.getElementById($1).value", id) != "" })
}

// toClipboard selects and copies a text of a tab beside this one, where
// JavaScript runs.
func (tb *tab) toClipboard(value string) {
	tb.t.Helper()
	if tb.beside == nil {
		tb.beside = openTab(tb.t, tb.ctx, tb.base, true)
		tb.beside.forgive("favicon.ico") // plain text names no icon
		tb.beside.open("/healthz")
	}
	beside := tb.beside
	ctx, cancel := context.WithTimeout(beside.ctx, patience)
	defer cancel()
	yes := true
	_, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void]("navigator.clipboard.writeText("+quoted(value)+")",
		chromedp.EvalAwaitPromise, func(p *runtime.EvaluateParams) { p.UserGesture = &yes }))
	if err != nil {
		tb.t.Fatal(err)
	}
}

// fullWidth are the digits of Japanese keyboards.
func fullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r - '0' + '０'
		}
		return r
	}, s)
}

func arabic(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r - '0' + '٠'
		}
		return r
	}, s)
}

// ux rules 3, 6, 7 and 8: what is pasted is tidied where JavaScript runs, and a
// whole message gives its code.
func TestPaste_ux7(t *testing.T) {
	t.Parallel()
	s := sallyporttest.NewServer(t)
	maya := s.AddUser(t, s.Company, "maya", true)
	tb := newTab(t, s.URL, true)
	tb.open("/signin")
	tb.password("maya", sallyporttest.Password)
	for _, in := range []string{
		" 418 207 ", "418-207", "418207\n", "418\u00a0207", "418–207", fullWidth("418207"), fullWidth("418 207"), arabic("418207"),
		"418207 is your Acme Projects code. It works for 2 minutes. Never share it.\n\n@login.acme.example #418207",
		"Order 12345678 of 2026-11-21: your code is 418 207.",
	} {
		tb.paste("code", in)
		if got := eval[string](tb, "document.getElementById('code').value"); got != "418207" {
			t.Errorf("%q becomes %q", in, got)
		}
	}
	tb.paste("code", "no code at all")
	if got := eval[string](tb, "document.getElementById('code').value"); got != "no code at all" {
		t.Errorf("what is no code becomes %q", got)
	}
	tb.fill("code", "")
	tb.keys("41 8 2") // what is typed is left alone
	if got := eval[string](tb, "document.getElementById('code').value"); got != "41 8 2" {
		t.Errorf("what was typed becomes %q", got)
	}
	tb.paste("code", "Your code: "+s.Code(t, maya.Secret))
	tb.press("page.code.button")
	tb.lands("/account/security")
}

// A4: the server takes codes as people paste them, whether or not JavaScript
// tidied them.
func TestPaste_A4(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.open("/signin")
		for _, form := range []func(string) string{
			func(c string) string { return " " + c[:3] + " " + c[3:] + " " },
			func(c string) string { return c[:3] + "–" + c[3:] },
			fullWidth, arabic,
		} {
			tb.password("maya", sallyporttest.Password)
			tb.paste("code", form(s.Code(t, maya.Secret)))
			tb.press("page.code.button")
			tb.lands("/account/security")
			tb.signOut()
			s.Clock.Advance(30 * time.Second)
		}
	})
}

// ux rules 41 and 63: Copy puts the key on the clipboard and says so; without
// JavaScript there is no such button, and one click selects the whole key.
func TestCopy_ux41(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, maya)
		tb.press("page.security.again_label", "Way", tb.T("page.way.totp"))
		key := tb.shown()
		if got := tb.has("[data-copy]"); got != js {
			t.Fatalf("the button is there: %v", got)
		}
		if !js {
			p := eval[point](tb, "(() => { const e = document.getElementById('key'); e.scrollIntoView({block: 'center', behavior: 'instant'}); const r = e.getBoundingClientRect(); return {x: r.x + 40, y: r.y + r.height / 2} })()")
			tb.run(chromedp.MouseClickXY(p.X, p.Y))
			tb.await("the key to be selected", func() bool { return strings.TrimSpace(eval[string](tb, "getSelection().toString()")) == key.Grouped })
			return
		}
		clipboard.Lock()
		defer clipboard.Unlock()
		if err := tb.click(tb.T("page.setup.copy")); err != nil {
			t.Fatal(err)
		}
		tb.await("the page to say so", func() bool {
			return eval[string](tb, "document.getElementById('live').textContent") == tb.T("page.copy.done")
		})
		tb.fill("code", "")
		tb.pasted("code")
		if got := eval[string](tb, "document.getElementById('code').value"); got != key.Key {
			t.Errorf("copied %q, the key is %q", got, key.Key)
		}
	})
}
