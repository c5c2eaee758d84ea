package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/internal/httpserve"
	"github.com/sallyport-mfa/sallyport/text"
)

// tab is a window of a browser with cookies of its own. Whatever the browser
// has to say about a page (console, exceptions, content security policy, failed
// requests, issues of its developer tools) fails the test at its end, unless the
// test forgave it before.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // of the server
	js   bool
	// stays says that pages which go on by themselves are held.
	stays bool
	lang  string
	cat   *text.Catalogue
	// beside is another tab, for putting things on the clipboard.
	beside *tab

	mu        sync.Mutex
	loads     int           // documents that were loaded
	moved     chan struct{} // closed at each load, then replaced
	status    int64         // of the last document
	documents map[string]bool
	faults    []fault
	forgiven  []string
	known     []string // findings of the audit that are no news
}

type fault struct{ text, url string }

// newTab opens a tab in a browser context of its own: a person at a machine of
// their own.
func newTab(t *testing.T, base string, js bool) *tab {
	t.Helper()
	return openTab(t, chromium(t).ctx, base, js, chromedp.WithNewBrowserContext())
}

// another opens a second tab of the same browser, with the same cookies.
func (tb *tab) another() *tab {
	tb.t.Helper()
	return openTab(tb.t, tb.ctx, tb.base, tb.js)
}

func openTab(t *testing.T, parent context.Context, base string, js bool, options ...chromedp.ContextOption) *tab {
	t.Helper()
	tb := &tab{t: t, base: base, js: js, lang: text.English, cat: text.Default(), moved: make(chan struct{}), documents: map[string]bool{}}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(tb.hear))...)
	tb.ctx = ctx
	t.Cleanup(func() {
		tb.verdict()
		cancel()
	})
	tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		calls := []func() error{
			func() error { return call(ctx, s, audits.Enable, cdp.Empty{}) },
			func() error {
				return call(ctx, s, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !js})
			},
			// Each tab believes that its window is the one in front: autofocus and
			// :focus-visible work in all of them at once.
			func() error {
				return call(ctx, s, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
			},
			func() error {
				return call(ctx, s, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Stockholm"})
			},
		}
		for _, c := range calls {
			if err := c(); err != nil {
				return err
			}
		}
		return nil
	}))
	tb.look(wide, light)
	return tb
}

func call[P any](ctx context.Context, s cdp.Session, c cdp.Command[P, cdp.Empty], p P) error {
	_, err := cdp.Call(ctx, s, c, p)
	return err
}

// hear runs on the goroutine that reads the browser's messages: it only notes.
func (tb *tab) hear(ev any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	note := func(format string, args ...any) {
		tb.faults = append(tb.faults, fault{text: fmt.Sprintf(format, args...)})
	}
	switch ev := ev.(type) {
	case *page.EventLoadEventFired:
		tb.loaded()
	case *page.EventFrameNavigated:
		if ev.Type == page.NavigationTypeBackForwardCacheRestore {
			note("the browser kept a page for Back that says no-store: %s", ev.Frame.URL)
			tb.loaded()
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(ev.Request.URL, tb.base+"/") {
			note("a request goes elsewhere: %s", ev.Request.URL)
		}
	case *network.EventResponseReceived:
		if ev.Type == network.ResourceTypeDocument {
			tb.status = ev.Response.Status
			tb.documents[ev.Response.URL] = true
			for name, want := range map[string]string{"content-security-policy": httpserve.CSP, "cache-control": "no-store", "x-content-type-options": "nosniff"} {
				if got := header(ev.Response.Headers, name); got != want {
					note("%s: %s is %q", ev.Response.URL, name, got)
				}
			}
		} else if ev.Response.Status >= 400 {
			note("%s answered %d", ev.Response.URL, ev.Response.Status)
		}
	case *network.EventLoadingFailed:
		note("a request failed: %s %s %s", ev.Type, ev.ErrorText, ev.BlockedReason)
	case *log.EventEntryAdded:
		tb.faults = append(tb.faults, fault{text: fmt.Sprintf("log, %s: %s", ev.Entry.Source, ev.Entry.Text), url: ev.Entry.URL})
	case *runtime.EventConsoleAPICalled:
		for _, a := range ev.Args {
			note("console.%s: %s%s", ev.Type, a.Value, a.Description)
		}
	case *runtime.EventExceptionThrown:
		note("exception: %s", (&chromedp.ExceptionError{ExceptionDetails: ev.ExceptionDetails}).Error())
	case *audits.EventIssueAdded:
		details, _ := json.Marshal(ev.Issue.Details)
		note("issue %s: %s", ev.Issue.Code, details)
	case *page.EventJavascriptDialogOpening:
		note("a dialog: %s", ev.Message)
	case *inspector.EventTargetCrashed:
		note("the page crashed")
	}
}

func header(h network.Headers, name string) string {
	for k, v := range h {
		if strings.EqualFold(k, name) {
			return fmt.Sprint(v)
		}
	}
	return ""
}

func (tb *tab) loaded() {
	tb.loads++
	close(tb.moved)
	tb.moved = make(chan struct{})
}

// forgive takes faults whose text holds the words for expected.
func (tb *tab) forgive(words string) { tb.forgiven = append(tb.forgiven, words) }

// verdict fails the test for what the browser said.
func (tb *tab) verdict() {
	if tb.ctx.Err() == nil {
		// What it said before this answer has arrived by then.
		ctx, cancel := context.WithTimeout(tb.ctx, 5*time.Second)
		_, _ = chromedp.Run(ctx, chromedp.Evaluate[int]("1"))
		cancel()
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, f := range tb.faults {
		// The browser looks at each field once: of a form that comes in two pieces it
		// may have forgotten the name when it sees the password. The audit looks at
		// the whole form.
		if strings.Contains(f.text, "[DOM] Password forms should have (optionally hidden) username fields") {
			continue
		}
		// The status of a document is for the test to look at; the log repeats it.
		if strings.Contains(f.text, "Failed to load resource: the server responded with a status of") && tb.documents[f.url] {
			continue
		}
		if !slices.ContainsFunc(tb.forgiven, func(w string) bool { return strings.Contains(f.text+" "+f.url, w) }) {
			tb.t.Errorf("the browser says: %s %s", f.text, f.url)
		}
	}
}

// run does something in the tab, within our patience.
func (tb *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	if err := tb.try(actions...); err != nil {
		tb.t.Fatal(err)
	}
}

func (tb *tab) try(actions ...chromedp.Action[chromedp.Void]) error {
	if chromedp.FromContext(tb.ctx).Target == nil {
		// The first call is the life of the tab: no limit on it.
		return chromedp.Do(tb.ctx, actions...)
	}
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// eval is the value of an expression in the page; it works with the page's own
// JavaScript turned off too. Values from the test are put in as JSON.
func eval[T any](tb *tab, expression string, values ...any) T {
	tb.t.Helper()
	v, err := tryEval[T](tb, expression, values...)
	if err != nil {
		tb.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func tryEval[T any](tb *tab, expression string, values ...any) (T, error) {
	for i, v := range values {
		expression = strings.ReplaceAll(expression, fmt.Sprintf("$%d", i+1), quoted(v))
	}
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// quoted is a value as JavaScript writes it.
func quoted(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// follow does something that leads to another document, and waits for that.
func (tb *tab) follow(do func() error) {
	tb.t.Helper()
	tb.mu.Lock()
	before := tb.loads
	tb.mu.Unlock()
	if err := do(); err != nil {
		tb.t.Fatal(err)
	}
	tb.await("the next page", func() bool {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		return tb.loads > before
	})
	tb.settled()
}

// settled waits until the page stays: the one that goes on by itself is passed,
// unless stay holds it. Then it waits for autofocus, which comes shortly after
// the load.
func (tb *tab) settled() {
	tb.t.Helper()
	if !tb.stays {
		tb.await("the page after /continue", func() bool {
			on, err := tryEval[bool](tb, `document.readyState === 'complete' && location.pathname !== '/continue'`)
			return err == nil && on
		})
	}
	tb.await("autofocus", func() bool {
		done, err := tryEval[bool](tb, `!document.querySelector('[autofocus]') || document.activeElement !== document.body`)
		return err != nil || done // an error: the page goes on by itself
	})
}

// await waits until something holds; it looks again after each load, and a few
// times a second for what happens within a page.
func (tb *tab) await(what string, holds func() bool) {
	tb.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		tb.mu.Lock()
		moved := tb.moved
		tb.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-moved:
		case <-tick.C:
		case <-deadline:
			where, _ := tryEval[string](tb, "location.href + ' ' + document.title")
			tb.t.Fatalf("waited in vain for %s; the page is %s", what, where)
		}
	}
}

// open goes to an address of the server.
func (tb *tab) open(path string) {
	tb.t.Helper()
	tb.follow(func() error {
		return tb.try(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
			res, err := cdp.Call(ctx, s, page.Navigate, page.NavigateParams{URL: tb.base + path})
			if err == nil && res.ErrorText != "" && res.ErrorText != "net::ERR_HTTP_RESPONSE_CODE_FAILURE" {
				err = fmt.Errorf("%s: %s", path, res.ErrorText)
			}
			return err
		}))
	})
}

// reload is the browser's Reload; after a form it sends that again.
func (tb *tab) reload() {
	tb.t.Helper()
	tb.follow(func() error {
		return tb.try(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
			return call(ctx, s, page.Reload, page.ReloadParams{})
		}))
	})
}

// back is the browser's Back.
func (tb *tab) back() {
	tb.t.Helper()
	tb.follow(func() error {
		return tb.try(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
			h, err := cdp.Call(ctx, s, page.GetNavigationHistory, cdp.Empty{})
			if err != nil {
				return err
			}
			return call(ctx, s, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: h.Entries[h.CurrentIndex-1].ID})
		}))
	})
}

// path is the address of the page without the server.
func (tb *tab) path() string {
	tb.t.Helper()
	return eval[string](tb, "location.pathname + location.search")
}

// lands waits until the address begins like this and the page is complete.
func (tb *tab) lands(prefix string) {
	tb.t.Helper()
	tb.await("an address that begins with "+prefix, func() bool {
		ok, err := tryEval[bool](tb, "(location.pathname + location.search).startsWith($1) && document.readyState === 'complete'", prefix)
		return err == nil && ok
	})
}

// T is a sentence of the catalogue in the tab's language.
func (tb *tab) T(key string, pairs ...any) string {
	args := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		args[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return tb.cat.Text(tb.lang, key, args)
}

// content is the text of what the selector finds, with single blanks; empty if
// there is no such thing or it cannot be seen.
func (tb *tab) content(selector string) string {
	tb.t.Helper()
	return eval[string](tb, `(() => {
		const e = document.querySelector($1);
		return e && e.checkVisibility() ? e.textContent.replace(/\s+/g, ' ').trim() : '';
	})()`, selector)
}

// says checks the text of an element.
func (tb *tab) says(selector, want string) {
	tb.t.Helper()
	if got := tb.content(selector); got != want {
		tb.t.Errorf("%s: %s says %q, want %q", tb.path(), selector, got, want)
	}
}

// has reports whether the selector finds something that can be seen.
func (tb *tab) has(selector string) bool {
	tb.t.Helper()
	return eval[bool](tb, `(() => { const e = document.querySelector($1); return !!e && e.checkVisibility() })()`, selector)
}

// fill puts a text into a field in place of what is there.
func (tb *tab) fill(id, value string) {
	tb.t.Helper()
	if !eval[bool](tb, `(() => { const e = document.getElementById($1); if (!e) return false; e.focus(); e.select(); return document.activeElement === e })()`, id) {
		tb.t.Fatalf("%s: there is no field %s", tb.path(), id)
	}
	if value == "" {
		tb.run(chromedp.KeyEvent("\b"))
		return
	}
	tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		return call(ctx, s, input.InsertText, input.InsertTextParams{Text: value})
	}))
}

// aim is the middle of the one thing to press that has this name, scrolled to. It
// must be what a mouse would hit there.
const aim = `(() => {
	const own = e => (e.getAttribute('aria-label') || e.textContent).replace(/\s+/g, ' ').trim();
	const name = e => e.hasAttribute('aria-labelledby') ? e.getAttribute('aria-labelledby').split(' ').map(id => own(document.getElementById(id))).join(' ') : own(e);
	const all = [...document.querySelectorAll('button, a, summary')].filter(e => e.checkVisibility() && name(e) === $1);
	const goal = e => e.tagName + (e.href || (e.form ? e.form.action + '|' + e.name + e.value : ''));
	if (new Set(all.map(goal)).size !== 1) return {error: all.length + ' things to press are named ' + $1};
	const e = all[all.length - 1];
	e.scrollIntoView({block: 'center', behavior: 'instant'});
	const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
	const hit = document.elementFromPoint(x, y);
	if (!hit || !e.contains(hit)) return {error: $1 + ' is covered by ' + (hit && hit.outerHTML.slice(0, 80))};
	return {x, y};
})()`

type point struct {
	X, Y  float64
	Error string
}

// click presses the mouse on what has this name, and waits for nothing.
func (tb *tab) click(name string) error {
	tb.t.Helper()
	p := eval[point](tb, aim, name)
	if p.Error != "" {
		tb.t.Fatalf("%s: %s", tb.path(), p.Error)
	}
	return tb.try(chromedp.MouseClickXY(p.X, p.Y))
}

// press clicks what the catalogue names so, and waits for the next page.
func (tb *tab) press(key string, pairs ...any) {
	tb.t.Helper()
	tb.follow(func() error { return tb.click(tb.T(key, pairs...)) })
}

// menu opens the user menu.
func (tb *tab) menu() {
	tb.t.Helper()
	if eval[bool](tb, "document.getElementById('menu').open") {
		return
	}
	p := eval[point](tb, `(() => { const r = document.querySelector('#menu summary').getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2} })()`)
	tb.run(chromedp.MouseClickXY(p.X, p.Y))
	tb.await("the menu", func() bool { return eval[bool](tb, "document.getElementById('menu').open") })
}

// keys types: "\t" is Tab, "\r" Enter.
func (tb *tab) keys(s string, with ...chromedp.Modifier) {
	tb.t.Helper()
	tb.run(chromedp.KeyEvent(s, chromedp.KeyModifiers(with...)))
}

// cookies are what the browser holds for the server.
func (tb *tab) cookies() map[string]string {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	res, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{tb.base + "/"}})
	if err != nil {
		tb.t.Fatal(err)
	}
	found := map[string]string{}
	for _, c := range res.Cookies {
		found[c.Name] = c.Value
	}
	return found
}

func (tb *tab) setCookie(name, value string) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: tb.base + "/", Path: "/"}); err != nil {
		tb.t.Fatal(err)
	}
}

// focused checks where the next key goes.
func (tb *tab) focused(id string) {
	tb.t.Helper()
	if got := eval[string](tb, "document.activeElement.id"); got != id {
		tb.t.Errorf("%s: the focus is on %q, want %q", tb.path(), got, id)
	}
}

// twice presses the mouse two times on what has this name, as fast as a browser
// takes it.
func (tb *tab) twice(name string) error {
	tb.t.Helper()
	p := eval[point](tb, aim, name)
	if p.Error != "" {
		tb.t.Fatalf("%s: %s", tb.path(), p.Error)
	}
	return tb.try(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		answers := make(chan error, 4)
		for _, typ := range []input.DispatchMouseEventType{chromedp.MousePressed, chromedp.MouseReleased, chromedp.MousePressed, chromedp.MouseReleased} {
			m := input.DispatchMouseEventParams{Type: typ, X: p.X, Y: p.Y, Button: input.MouseButtonLeft, ClickCount: 1}
			// Sent without waiting for the answer to the one before.
			sent := make(chan struct{})
			go func() { close(sent); answers <- call(ctx, s, input.DispatchMouseEvent, m) }()
			<-sent
		}
		for range 4 {
			if err := <-answers; err != nil {
				return err
			}
		}
		return nil
	}))
}

// stay takes the Refresh header off an answer, so that a page which goes on by
// itself can be looked at.
func (tb *tab) stay(path string) {
	tb.t.Helper()
	tb.stays = true
	paused := chromedp.Events(tb.ctx, fetch.RequestPaused)
	tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		return call(ctx, s, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: tb.base + path, RequestStage: fetch.RequestStageResponse}}})
	}))
	go func() {
		for ev, err := range paused {
			if err != nil {
				return // the tab is closed
			}
			kept := slices.DeleteFunc(ev.ResponseHeaders, func(h *fetch.HeaderEntry) bool { return strings.EqualFold(h.Name, "Refresh") })
			_ = tb.try(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
				return call(ctx, s, fetch.ContinueResponse, fetch.ContinueResponseParams{RequestID: ev.RequestID, ResponseCode: ev.ResponseStatusCode, ResponseHeaders: kept})
			}))
		}
	}()
}

// withQuery adds a query to a path.
func withQuery(path, name, value string) string {
	return path + "?" + url.Values{name: {value}}.Encode()
}
