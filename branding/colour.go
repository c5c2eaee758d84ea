package branding

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"sort"
	"strconv"

	"github.com/sallyport-mfa/sallyport/authn"
)

// rgb is a colour of sRGB.
type rgb [3]uint8

var (
	black = rgb{}
	white = rgb{255, 255, 255}
)

// parseColour reads "#rrggbb". Invalid, field accent, otherwise.
func parseColour(s string) (rgb, error) {
	if len(s) == 7 && s[0] == '#' {
		if n, err := strconv.ParseUint(s[1:], 16, 24); err == nil {
			return rgb{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil
		}
	}
	return rgb{}, authn.InvalidField("accent", "colour", nil)
}

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// luminance is the relative luminance of WCAG 2.2, 0 to 1.
func (c rgb) luminance() float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(c[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

// contrast is the contrast ratio of WCAG 2.2, 1 to 21.
func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// mix is c with part n of 255 of it taken from another colour.
func (c rgb) mix(with rgb, n int) rgb {
	var out rgb
	for i := range c {
		out[i] = uint8((int(c[i])*(255-n) + int(with[i])*n) / 255)
	}
	return out
}

// Shade is how a colour is used on one ground, as "#rrggbb".
type Shade struct {
	Accent   string // of links, borders, focus and filled buttons
	Hover    string // under the pointer
	OnAccent string // of what is written on it
	Adjusted bool   // it is not the chosen colour: that could not be read here
}

// Colours are what a company's colour becomes on light and on dark pages.
type Colours struct{ Light, Dark Shade }

// ReadableText is the contrast that text needs with its ground (WCAG 2.2, 1.4.3 AA);
// borders and the ring of focus need 3 (1.4.11) and have it with that.
const ReadableText = 4.5

// Grounds are what links and buttons stand on in web/assets/app.css, by theme and
// custom property. A test compares them.
func Grounds() map[string]map[string]string {
	return map[string]map[string]string{
		"light": {"bg": "#f5f6f8", "surface": "#ffffff", "surface-2": "#f8f9fb", "sunken": "#eef0f4",
			"ok-bg": "#e6f5ee", "warn-bg": "#fdf2dc", "danger-bg": "#fdecea", "info-bg": "#e9f0fd"},
		"dark": {"bg": "#0e1117", "surface": "#161b24", "surface-2": "#1b212c", "sunken": "#0b0e14",
			"ok-bg": "#12291f", "warn-bg": "#2d2411", "danger-bg": "#331a18", "info-bg": "#16233d"},
	}
}

// hoverStep is how much further a colour goes under the pointer, of 255.
const hoverStep = 46

// ColoursOf makes the colours of a company's pages from "#rrggbb".
//
// Errors: Invalid, field accent.
func ColoursOf(accent string) (Colours, error) {
	c, err := parseColour(accent)
	if err != nil {
		return Colours{}, err
	}
	grounds := Grounds()
	return Colours{Light: shade(c, black, grounds["light"]), Dark: shade(c, white, grounds["dark"])}, nil
}

// shade goes from c towards another colour, no further than is needed. On the way
// the contrast with every ground only grows, once it is there.
func shade(c, towards rgb, grounds map[string]string) Shade {
	var on []rgb
	for _, g := range grounds {
		ground, err := parseColour(g)
		if err != nil {
			panic("branding: " + g) // of our own table
		}
		on = append(on, ground)
	}
	n := sort.Search(255, func(n int) bool { return readable(c.mix(towards, n), towards, on) })
	accent := c.mix(towards, n)
	text := white
	if contrast(black, accent) > contrast(white, accent) {
		text = black
	}
	return Shade{Accent: accent.String(), Hover: accent.mix(towards, hoverStep).String(), OnAccent: text.String(), Adjusted: n > 0}
}

// readable reports whether c stands out from every ground, on the side of towards.
func readable(c, towards rgb, grounds []rgb) bool {
	for _, g := range grounds {
		if contrast(c, g) < ReadableText || (c.luminance() > g.luminance()) != (towards == white) {
			return false
		}
	}
	return true
}

// Stylesheet is the colours of a company's pages: custom properties and nothing
// else. hash changes with it. Empty without a colour of its own.
func Stylesheet(b authn.Brand) (css, hash string) {
	c, err := ColoursOf(b.Accent)
	if err != nil {
		return "", ""
	}
	light, dark := c.Light.properties(), c.Dark.properties()
	css = ":root{" + light + "}\n@media (prefers-color-scheme:dark){:root:not([data-theme=light]){" + dark + "}}\n:root[data-theme=dark]{" + dark + "}\n"
	sum := sha256.Sum256([]byte(css))
	return css, hex.EncodeToString(sum[:8])
}

// PreviewStylesheet is the colours for the two parts of a preview, classes
// "look-light" and "look-dark".
//
// Errors: Invalid, field accent.
func PreviewStylesheet(accent string) (string, error) {
	c, err := ColoursOf(accent)
	if err != nil {
		return "", err
	}
	return ".look-light{" + c.Light.properties() + "}\n.look-dark{" + c.Dark.properties() + "}\n", nil
}

func (s Shade) properties() string {
	return "--accent:" + s.Accent + ";--accent-hover:" + s.Hover + ";--on-accent:" + s.OnAccent
}

// StylesheetPath is where the colours of a company's pages are; "" without a colour
// of its own. The address changes with them.
func StylesheetPath(slug string, b authn.Brand) string {
	_, hash := Stylesheet(b)
	if hash == "" {
		return ""
	}
	return "/brand/" + slug + ".css?v=" + hash
}

// LogoPath is where a logo of a company is. The address changes with it.
func LogoPath(slug string, l authn.Logo) string { return "/brand/" + slug + "/" + l.Hash + ".png" }
