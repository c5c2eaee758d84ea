package browsertest

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// shownOperations are the operations of the list that can be seen.
func (tb *tab) shownOperations() string {
	tb.t.Helper()
	return eval[string](tb, `[...document.querySelectorAll('[data-search]')].filter(e => e.checkVisibility()).map(e => e.id).join(' ')`)
}

// S39: the reference can be read, searched and copied from.
func TestDocs_S39(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		tb := newTab(t, s.URL, js)
		tb.open("/docs")
		tb.lands("/docs/api")
		tb.page("docs-api", 200)
		all := tb.shownOperations()

		// The search: as one types, or by the button.
		if tb.fill("q", "Put account/PASSWORD"); !js {
			tb.press("page.docs.search_button")
			tb.lands("/docs/api?q=")
		}
		tb.await("the search", func() bool { return tb.shownOperations() == "change_password" })
		tb.says("#docs-found", tb.T("page.docs.found", "Count", "1"))
		tb.page("docs-api/found", 200)
		if tb.fill("q", "carrier pigeon"); !js {
			tb.press("page.docs.search_button")
		}
		tb.await("nothing", func() bool { return tb.shownOperations() == "" })
		tb.says("#docs-nothing", tb.T("page.docs.nothing"))
		tb.page("docs-api/nothing", 200)
		if js {
			tb.await("the announcement", func() bool {
				return eval[string](tb, "document.getElementById('live').textContent") == tb.T("page.docs.nothing")
			})
			tb.fill("q", "")
			tb.await("all again", func() bool { return tb.shownOperations() == all })
			tb.fill("q", "verify")
		}
		tb.press("page.docs.all")
		if got := tb.shownOperations(); got != all {
			t.Errorf("all: %s, not %s", got, all)
		}

		// A group, with everything open that can be opened.
		tb.open("/docs/api/sign-in#verify")
		tb.page("docs-group", 200)
		if top := eval[float64](tb, "document.getElementById('verify').getBoundingClientRect().top"); top < -5 || top > 200 {
			t.Errorf("the link leads %v px off", top)
		}
		eval[bool](tb, "document.querySelectorAll('details').forEach(d => d.open = true) || true")
		tb.page("docs-group/open", 200)
		if got := eval[bool](tb, "[...document.querySelectorAll('[data-copy]')].every(b => b.hidden !== $1)", js); !got {
			t.Error("the buttons that copy are shown without JavaScript, or not with it")
		}
		// Code scrolls in itself, by keyboard.
		tb.look(narrow, light)
		eval[bool](tb, "document.getElementById('verify-go').focus() || true")
		tb.focused("verify-go")
		if got := eval[bool](tb, "(() => { const p = document.getElementById('verify-go'); return p.scrollWidth > p.clientWidth && document.documentElement.scrollWidth <= 320 })()"); !got {
			t.Error("the code does not scroll in itself")
		}
		tb.look(wide, light)

		// A code, from an operation and back.
		tb.open("/docs/errors")
		tb.page("docs-errors", 200)
		tb.open("/docs/errors/wrong_code")
		tb.page("docs-error", 200)
		tb.says("main h1", "wrong_code")
		if !strings.Contains(tb.content("#problem"), `"status": 422`) {
			t.Error(tb.content("#problem"))
		}
	})
}

// On paper there is the text, whole, and nothing to press.
func TestDocs_print(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := sallyporttest.NewServer(t)
	tb := newTab(t, s.URL, true)
	tb.open("/docs/api/session")
	tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
		return err
	}))
	for _, gone := range []string{".topbar", ".docs-side", "[data-copy]"} {
		if tb.has(gone) {
			t.Errorf("%s is printed", gone)
		}
	}
	if got := eval[float64](tb, "document.getElementById('session-go').getBoundingClientRect().height"); got < 100 {
		t.Errorf("what is folded is not printed: %v px", got)
	}
	tb.picture("docs-print")
}
