package branding

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sallyport-mfa/sallyport/authn"
)

// The contrast of WCAG's own examples.
func TestContrast(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want float64
	}{{"#000000", "#ffffff", 21}, {"#777777", "#ffffff", 4.48}, {"#767676", "#ffffff", 4.54}, {"#ff0000", "#ffffff", 4.0}, {"#0000ff", "#ffffff", 8.59}} {
		a, _ := parseColour(tt.a)
		b, _ := parseColour(tt.b)
		if got := contrast(a, b); got < tt.want-0.01 || got > tt.want+0.01 || got != contrast(b, a) {
			t.Errorf("%s on %s: %.3f", tt.a, tt.b, got)
		}
	}
}

// Whatever is chosen can be read, on every ground, under the pointer too; what can
// be read stays as it is, and what can't changes no more than it must.
func TestColours_anyColour(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	grounds := Grounds()
	list := []string{"#000000", "#ffffff", "#ffff00", "#00ff00", "#808080", "#ff0000", "#1f5fd6", "#7aa7ff"}
	for range 3000 {
		list = append(list, fmt.Sprintf("#%06x", r.Uint32()&0xffffff))
	}
	for _, chosen := range list {
		c, err := ColoursOf(chosen)
		if err != nil {
			t.Fatal(err)
		}
		for theme, s := range map[string]Shade{"light": c.Light, "dark": c.Dark} {
			accent, _ := parseColour(s.Accent)
			hover, _ := parseColour(s.Hover)
			on, _ := parseColour(s.OnAccent)
			worst := 21.0
			for name, g := range grounds[theme] {
				ground, _ := parseColour(g)
				if got := contrast(accent, ground); got < ReadableText {
					t.Fatalf("%s: %s on %s %s: %.2f", chosen, s.Accent, theme, name, got)
				} else if contrast(hover, ground) < got {
					t.Fatalf("%s: %s under the pointer is weaker than %s on %s", chosen, s.Hover, s.Accent, name)
				} else {
					worst = min(worst, got)
				}
			}
			if contrast(on, accent) < ReadableText || contrast(on, hover) < ReadableText || s.OnAccent != "#000000" && s.OnAccent != "#ffffff" {
				t.Fatalf("%s: %s on %s", chosen, s.OnAccent, s.Accent)
			}
			if s.Adjusted != (s.Accent != chosen) {
				t.Fatalf("%s: %+v", chosen, s)
			}
			if s.Adjusted && worst > ReadableText+0.35 {
				t.Fatalf("%s became %s in the %s theme, which is more than needed: %.2f", chosen, s.Accent, theme, worst)
			}
		}
	}
}

// A stylesheet holds custom properties and nothing that was typed.
func TestStylesheet(t *testing.T) {
	for _, bad := range []string{"", "red", "#fff", "#12345g", "#1234567", "1f5fd6", "#1f5fd6;}", "url(//evil.example)", "#1f5f d", "#+12345", "#-12345", "#1_2345"} {
		if _, err := ColoursOf(bad); err == nil {
			t.Errorf("%q is a colour", bad)
		}
		if css, hash := Stylesheet(authn.Brand{Accent: bad}); css != "" || hash != "" {
			t.Errorf("%q: %s", bad, css)
		}
	}
	css, hash := Stylesheet(authn.Brand{Accent: "#ffff00"})
	for _, part := range strings.FieldsFunc(css, func(r rune) bool { return strings.ContainsRune("{};\n", r) }) {
		if !strings.HasPrefix(part, "--") && !strings.HasPrefix(part, ":root") && !strings.HasPrefix(part, "@media (prefers") {
			t.Errorf("%q", part)
		}
	}
	if other, h := Stylesheet(authn.Brand{Accent: "#ff0000"}); h == hash || other == css {
		t.Error("two colours have one address")
	}
}
