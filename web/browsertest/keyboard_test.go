package browsertest

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// stop is where the focus is.
type stop struct {
	Index  int // in the order of the document; -1: nowhere
	What   string
	Ring   string // what is wrong with its outline
	Hidden bool   // cannot be seen where it is
	Top    float64
	Bottom float64
	Main   bool
}

const whereFocus = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body) return {index: -1};
	const s = getComputedStyle(e), r = e.getBoundingClientRect();
	const ring = s.outlineStyle === 'none' || parseFloat(s.outlineWidth) < 3 ? s.outlineStyle + ' ' + s.outlineWidth : '';
	// Seen is what shows at one of five points of the part that is in the window.
	const left = Math.max(r.left, 0), right = Math.min(r.right, innerWidth), top = Math.max(r.top, 0), bottom = Math.min(r.bottom, innerHeight);
	const seen = right - left >= 1 && bottom - top >= Math.min(24, r.height - 1) && [[.5, .5], [.1, .2], [.9, .2], [.1, .8], [.9, .8]].some(([x, y]) => {
		const hit = document.elementFromPoint(left + x * (right - left), top + y * (bottom - top));
		return hit && e.contains(hit);
	});
	return {
		index: [...document.querySelectorAll('*')].indexOf(e), what: e.tagName + '#' + e.id + ' ' + (e.getAttribute('aria-label') || e.textContent).trim().slice(0, 30), ring,
		hidden: !seen,
		top: r.top + scrollY, bottom: r.bottom + scrollY, main: !!e.closest('main'),
	};
})()`

// reachable are the places of all that can be used by keyboard, in the order of
// the document.
const reachable = `(() => {
	const all = [...document.querySelectorAll('*')];
	return all.filter(e => e.matches('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]') && e.tabIndex >= 0 && e.checkVisibility()).map(e => all.indexOf(e));
})()`

// walk goes through the page by Tab alone, and back by Shift-Tab: everything is
// reached, in the order in which it is read, with a ring around it (ux rules 31
// and 35).
func (tb *tab) walk(name string) {
	tb.t.Helper()
	want := eval[[]int](tb, reachable)
	eval[bool](tb, "document.querySelector('.skip').focus() || true")
	if first := eval[int](tb, "[...document.querySelectorAll('*')].indexOf(document.querySelector('.skip'))"); len(want) == 0 || want[0] != first {
		tb.t.Errorf("%s: the skip link is not the first thing to reach", name)
		return
	}
	var last stop
	for i, w := range want {
		if i > 0 {
			tb.keys("\t")
		}
		at := eval[stop](tb, whereFocus)
		if at.Index != w {
			tb.t.Errorf("%s: Tab %d leads to %d %q, want %s", name, i, at.Index, at.What, eval[string](tb, "document.querySelectorAll('*')[$1].outerHTML.slice(0, 90)", w))
			return
		}
		if at.Ring != "" {
			tb.t.Errorf("%s: ux-31: the focus on %q is not to be seen: outline %s", name, at.What, at.Ring)
		}
		if at.Hidden {
			tb.t.Errorf("%s: WCAG 2.4.11: %q has the focus and is out of sight", name, at.What)
		}
		if at.Main && last.Main && at.Bottom <= last.Top {
			tb.t.Errorf("%s: ux-35: the focus jumps up from %q to %q", name, last.What, at.What)
		}
		last = at
	}
	for i := len(want) - 2; i >= 0; i-- {
		tb.keys("\t", chromedp.ModifierShift)
		if at := eval[stop](tb, whereFocus); at.Index != want[i] {
			tb.t.Errorf("%s: Shift-Tab leads to %q", name, at.What)
			return
		}
	}
}

// tabTo presses Tab until the focus is on what the selector finds.
func (tb *tab) tabTo(selector string) {
	tb.t.Helper()
	for range 40 {
		if eval[bool](tb, "document.activeElement.matches($1)", selector) {
			return
		}
		tb.keys("\t")
	}
	tb.t.Fatalf("%s: Tab does not lead to %s", tb.path(), selector)
}

// ux rule 35: signing in, setting up the app and signing out by keys alone.
func TestKeyboard_ux35(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		maya := s.AddUser(t, s.Company, "maya", true)
		tb := newTab(t, s.URL, js)
		send := func(keys string) { t.Helper(); tb.follow(func() error { return tb.try(chromedp.KeyEvent(keys)) }) }

		tb.open("/signin")
		tb.walk("signin")
		tb.reload()
		tb.focused("login")
		tb.keys("maya\t")
		tb.focused("password")
		send("not this one\r")
		tb.focused("password") // the wrong one is gone, and the name is kept
		tb.keys(sallyporttest.Password)
		tb.tabTo("form[action='/signin'] > button")
		send(" ")
		tb.lands("/signin/att_")
		tb.focused("code")
		tb.walk("code")
		tb.reload()
		tb.focused("code")
		send("123\r")
		tb.focused("code")
		tb.walk("code/few")
		eval[bool](tb, "document.getElementById('code').focus() || document.getElementById('code').select() || true")
		send(s.Code(t, maya.Secret) + "\r")
		tb.lands("/account/security")

		tb.walk("security")
		eval[bool](tb, "document.activeElement.blur() || true")
		tb.reload()
		tb.keys("\t")
		if !eval[bool](tb, "document.activeElement.matches('.skip') && document.activeElement.getBoundingClientRect().top >= 0") {
			t.Error("the first Tab does not show the skip link")
		}
		tb.audited("security/skip-link")
		tb.keys("\r")
		tb.await("the skip link to lead to the main part", func() bool { return eval[string](tb, "location.hash + document.activeElement.id") == "#mainmain" })
		tb.keys("\t")
		if at := eval[stop](tb, whereFocus); !at.Main {
			t.Errorf("after the skip link comes %q", at.What)
		}

		tb.open("/account/security")
		tb.tabTo("#menu summary")
		tb.keys("\r")
		tb.await("the menu to open", func() bool { return eval[bool](tb, "document.getElementById('menu').open") })
		for range 20 {
			tb.keys("\t")
			at := eval[stop](tb, whereFocus)
			if at.Main {
				break
			}
			if at.Ring != "" || at.Hidden {
				t.Errorf("menu: the focus on %q is not to be seen", at.What)
			}
		}
		if js {
			// It would cover what has the focus next (WCAG 2.4.11).
			tb.await("the menu to close behind the focus", func() bool { return !eval[bool](tb, "document.getElementById('menu').open") })
		}
		tb.open("/account/security")
		tb.tabTo("#menu summary")
		tb.keys(" ")
		tb.await("the menu to open", func() bool { return eval[bool](tb, "document.getElementById('menu').open") })
		tb.tabTo("#menu form[action='/account/security/app'] button")
		send("\r")
		tb.lands("/account/security/app/fac_")
		tb.walk("setup")
		secret := decode(t, tb.shown().Key)
		tb.reload()
		tb.tabTo("#code")
		send(s.WrongCode(t, secret) + "\r")
		tb.focused("code")
		send(s.Code(t, secret) + "\r")
		tb.lands("/account/security/backup-codes?done=app_replaced")
		tb.walk("codes")
		tb.tabTo("#saved")
		tb.keys(" ")
		tb.tabTo("form[action='/account/security/backup-codes'] button")
		send("\r")
		tb.lands("/account/security?done=codes_saved")

		tb.open("/account/password")
		tb.focused("current")
		tb.walk("password")
		tb.open("/account")
		tb.walk("profile")
		tb.open("/account/security/app/off")
		tb.walk("off")
		s.Clock.Advance(11 * time.Minute)
		tb.open("/account/password")
		send("\r") // the button has the focus
		tb.focused("code")
		tb.walk("confirm")
		tb.tabTo("#menu summary")
		tb.keys(" ")
		tb.tabTo("#menu form[action='/signout'] button")
		send(" ")
		tb.lands("/signin?done=signed_out")
	})
}

// ux rule 31: the ring stands out from what is behind it, in both themes.
func TestKeyboard_ux31_ring(t *testing.T) {
	t.Parallel()
	s := sallyporttest.NewServer(t)
	tb := newTab(t, s.URL, true)
	tb.open("/signin")
	for _, th := range []theme{light, dark} {
		tb.look(wide, th)
		tb.open("/signin")
		for range 6 {
			tb.keys("\t")
			got := eval[float64](tb, `(() => {
				const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
				const rgb = c => { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3) };
				const lum = c => { const f = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * f[0] + .7152 * f[1] + .0722 * f[2] };
				const e = document.activeElement;
				if (e === document.body) return 21;
				let ground = e.parentElement;
				while (ground && getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
				const a = lum(rgb(getComputedStyle(e).outlineColor)), b = lum(rgb(getComputedStyle(ground).backgroundColor));
				return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
			})()`)
			if got < 3 {
				t.Errorf("%s: the ring of %s has a contrast of %.2f", th, eval[string](tb, "document.activeElement.outerHTML.slice(0, 60)"), got)
			}
		}
	}
}
