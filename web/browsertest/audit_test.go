package browsertest

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/text"
)

//go:embed testdata/audit.js
var auditScript string

type theme string

const (
	light theme = "light"
	dark  theme = "dark"

	narrow = 320
	wide   = 1280
)

// look sets the width and the theme of the system.
func (tb *tab) look(width int64, th theme) {
	tb.t.Helper()
	height := int64(800)
	if width == narrow {
		height = 640
	}
	tb.run(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		if err := call(ctx, s, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: height, DeviceScaleFactor: 1,
		}); err != nil {
			return err
		}
		return call(ctx, s, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: string(th)},
			{Name: "prefers-reduced-motion", Value: "reduce"}, // no colour is measured half-way
		}})
	}))
}

// enlarge sets the size of all text, as the browser's settings do.
func (tb *tab) enlarge(percent string) {
	tb.t.Helper()
	eval[string](tb, "document.documentElement.style.fontSize = $1", percent)
}

type audit struct {
	Findings  []string
	Wrong     bool
	Title, H1 string
}

// titles are the titles of all pages that were seen, by their name in the tests:
// no two pages may have one title.
var titles = struct {
	sync.Mutex
	of map[string]string // title: name of the page
}{of: map[string]string{}}

// drawn are the pages that were looked at, by their markup: with and without
// JavaScript most are the same, and so are pages that several tests pass.
var drawn sync.Map

// varying is what differs each time and changes no look: ids, secrets, the QR code.
var varying = regexp.MustCompile(`(att|fac)_[0-9a-v]+|value="[0-9a-v]{26}"|<svg xmlns.*?</svg>|otpauth:[^"]*|[A-Z2-7]{32}|([A-Z2-7]{4} ){7}[A-Z2-7]{4}|127\.0\.0\.1:\d+|<code class="num".*?</code>`)

func (tb *tab) seen() bool {
	tb.t.Helper()
	markup := eval[string](tb, "document.documentElement.outerHTML + '|' + document.activeElement.id")
	_, before := drawn.LoadOrStore(varying.ReplaceAllString(markup, ""), true)
	return before
}

// page checks what is drawn: its status, and every rule that holds for all pages,
// in both themes, at 320 px and 1280 px, and with text of double size. The name
// is "page/state"; one page has one title.
func (tb *tab) page(name string, status int64) {
	tb.t.Helper()
	tb.mu.Lock()
	got := tb.status
	tb.mu.Unlock()
	if got != status {
		tb.t.Errorf("%s: status %d, want %d", name, got, status)
	}
	tb.audited(name)
}

func (tb *tab) audited(name string) {
	tb.t.Helper()
	var last audit
	var found []string
	where := map[string][]string{} // finding: looks
	looks := []struct {
		width int64
		theme theme
		text  string
		shot  bool
	}{{wide, light, "200%", false}, {narrow, light, "", true}, {narrow, dark, "", false}, {wide, dark, "", true}, {wide, light, "", true}}
	switch {
	case !tb.js && tb.lang == text.English, tb.seen():
		looks = looks[len(looks)-1:] // the same page with JavaScript is looked at from all sides
	case tb.lang != text.English:
		looks = append(looks[:2], looks[len(looks)-1]) // what words change is the room they take
	}
	for _, m := range looks {
		tb.look(m.width, m.theme)
		tb.enlarge(m.text)
		last = eval[audit](tb, auditScript)
		for _, f := range last.Findings {
			if slices.ContainsFunc(tb.known, func(k string) bool { return strings.HasPrefix(f, k) }) {
				continue
			}
			if where[f] == nil {
				found = append(found, f)
			}
			where[f] = append(where[f], strings.TrimSpace(fmt.Sprintf("%d px %s %s", m.width, m.theme, m.text)))
		}
		if m.shot {
			tb.picture(fmt.Sprintf("%s-%s-%d-%s", name, map[bool]string{true: "js", false: "nojs"}[tb.js], m.width, m.theme))
		}
	}
	for _, f := range found {
		tb.t.Errorf("%s: %s (%s)", name, f, strings.Join(where[f], ", "))
	}
	tb.title(name, last)
}

func (tb *tab) title(name string, a audit) {
	tb.t.Helper()
	prefix, _, _ := strings.Cut(tb.T("page.title.error", "Title", "\x00"), "\x00")
	if strings.HasPrefix(a.Title, prefix) != a.Wrong && !slices.Contains(tb.known, "title") {
		tb.t.Errorf("%s: ux-28: the title is %q, and an error is shown: %v", name, a.Title, a.Wrong)
	}
	kind, _, _ := strings.Cut(name, "/")
	plain := strings.TrimPrefix(a.Title, prefix)
	titles.Lock()
	defer titles.Unlock()
	if other, ok := titles.of[plain]; ok && other != kind {
		tb.t.Errorf("%s: its title %q is also that of %s", name, plain, other)
	}
	titles.of[plain] = kind
}

// shoot is the whole page as a PNG.
func (tb *tab) shoot() []byte {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.Action[[]byte](func(ctx context.Context, s *chromedp.Target) ([]byte, error) {
		yes := true
		res, err := cdp.Call(ctx, s, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: &yes})
		return res.Data, err
	}))
	if err != nil {
		tb.t.Fatal(err)
	}
	return png
}

// picture keeps a screenshot, if SALLYPORT_SCREENSHOTS names a folder.
func (tb *tab) picture(name string) {
	tb.t.Helper()
	dir := os.Getenv("SALLYPORT_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".png"), tb.shoot(), 0o644); err != nil {
		tb.t.Fatal(err)
	}
}
