package browsertest

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sallyport-mfa/sallyport/sallyporttest"
)

// wordmark is a logo with something like a name in it, on nothing.
func wordmark(t *testing.T, name string, c color.Color) string {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 600, 120))
	letters := []string{".###.", "#...#", "#####", "#...#", "#...#"}
	for n := range 5 {
		for y, row := range letters {
			for x, dot := range row {
				for d := range 18 * 18 {
					if dot == '#' {
						m.Set(n*120+x*20+d%18, 10+y*20+d/18, c)
					}
				}
			}
		}
	}
	file := filepath.Join(t.TempDir(), name)
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// attach chooses a file.
func (tb *tab) attach(id, file string) {
	tb.t.Helper()
	tb.run(chromedp.SetUploadFiles("#"+id, []string{file}))
}

// How a company's pages look (S37): empty, refused, tried, saved; then the pages
// themselves, in both themes and with the theme that the person chose (rule 60).
func TestBranding_S37(t *testing.T) {
	both(t, func(t *testing.T, js bool) {
		s := sallyporttest.NewServer(t)
		tb := newTab(t, s.URL, js)
		tb.signIn(s, priya(t, s))
		tb.open("/admin/branding")
		tb.page("branding", 200)
		if got := eval[bool](tb, "document.getElementById('accent-pick').checkVisibility()"); got != js {
			t.Errorf("a colour can be picked: %v", got)
		}
		bad := filepath.Join(t.TempDir(), "logo.svg")
		if err := os.WriteFile(bad, []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), 0o600); err != nil {
			t.Fatal(err)
		}
		tb.attach("logo", bad)
		tb.fill("accent", "orange")
		tb.fill("privacy_link", "http://acme.example")
		tb.press("admin.branding.save")
		tb.page("branding/refused", 422)
		tb.says("#logo-err", tb.T("field.svg"))
		tb.says("#accent-err", tb.T("field.colour"))

		tb.attach("logo", wordmark(t, "logo.png", color.NRGBA{R: 120, G: 20, B: 90, A: 255}))
		tb.fill("accent", "#ffcc00")
		tb.fill("help_text", "Ask the service desk on floor 3, weekdays from 8 to 17.")
		tb.fill("help_link", "https://acme.example/help")
		tb.fill("privacy_link", "https://acme.example/privacy")
		tb.fill("terms_link", "https://acme.example/terms")
		tb.fill("mail_name", "Acme Projects service desk")
		tb.fill("sms_name", "Åcme Żółw")
		tb.press("admin.branding.preview")
		tb.page("branding/tried", 200)
		tb.says("#look-from", "Acme Projects service desk")
		if got := tb.content("#look-name"); !strings.Contains(got, "Åcme Zolw") {
			t.Errorf("%q", got)
		}
		tb.press("admin.branding.save")
		tb.lands("/admin/branding?done=branding_saved")
		tb.page("branding/saved", 200)
		tb.attach("logo_dark", wordmark(t, "dark.png", color.NRGBA{R: 255, G: 214, B: 240, A: 255}))
		tb.press("admin.branding.save")
		tb.lands("/admin/branding?done=branding_saved")
		tb.open("/account/security")
		tb.audited("security/branded")
		source := "document.querySelector('.brand img').currentSrc"
		tb.look(wide, light)
		tb.reload()
		plain := eval[string](tb, source)
		tb.look(wide, dark)
		tb.reload()
		night := eval[string](tb, source)
		if plain == night || !strings.Contains(plain, "/brand/acme/") {
			t.Errorf("%s by day, %s by night", plain, night)
		}
		tb.setCookie("sallyport_theme", "light")
		tb.reload()
		if got := eval[string](tb, source); got != plain {
			t.Errorf("light was chosen, on a dark system: %s", got)
		}
		accent := "getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()"
		if got := eval[string](tb, accent); got == "#ffcc00" || got == "#1f5fd6" {
			t.Errorf("the accent on a light page is %s", got)
		}
		tb.setCookie("sallyport_theme", "dark")
		tb.reload()
		tb.look(wide, light)
		if got := eval[string](tb, source); got != night || eval[string](tb, accent) != "#ffcc00" {
			t.Errorf("dark was chosen, on a light system: %s", got)
		}
		tb.setCookie("sallyport_theme", "auto")
		tb.signOut()
		tb.open("/signin")
		tb.page("signin/branded", 200)
	})
}
