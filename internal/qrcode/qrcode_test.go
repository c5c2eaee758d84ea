package qrcode

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"rsc.io/qr"
)

const sample = "otpauth://totp/Acme%20Projects:maya@example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Acme%20Projects"

// zbar finds the program that reads the codes back, or skips (or, where
// SALLYPORT_TEST_REQUIRE lists "zbar", fails).
func zbar(t *testing.T) string {
	t.Helper()
	p, err := exec.LookPath("zbarimg")
	if err != nil {
		if strings.Contains(os.Getenv("SALLYPORT_TEST_REQUIRE"), "zbar") {
			t.Fatal("zbarimg is required but not installed: apt-get install zbar-tools")
		}
		t.Skip("zbarimg is not installed: apt-get install zbar-tools")
	}
	return p
}

var run = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

type picture struct {
	XMLName xml.Name   `xml:"svg"`
	Attrs   []xml.Attr `xml:",any,attr"`
	Paths   []struct {
		Attrs []xml.Attr `xml:",any,attr"`
		D     string     `xml:"d,attr"`
		Fill  string     `xml:"fill,attr"`
	} `xml:"path"`
}

func (p picture) attr(name string) string {
	for _, a := range p.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func parse(t *testing.T, svg string) picture {
	t.Helper()
	var p picture
	if err := xml.Unmarshal([]byte(svg), &p); err != nil {
		t.Fatalf("not well-formed: %v\n%s", err, svg)
	}
	return p
}

// rasterise reads nothing but the paths of the picture, as a browser would.
func rasterise(t *testing.T, svg string, scale int) (*image.Gray, int) {
	t.Helper()
	p := parse(t, svg)
	var side, again int
	if _, err := fmt.Sscanf(p.attr("viewBox"), "0 0 %d %d", &side, &again); err != nil || side != again {
		t.Fatalf("viewBox is %q", p.attr("viewBox"))
	}
	if len(p.Paths) != 2 || p.Paths[0].Fill != "#fff" || p.Paths[1].Fill != "#000" {
		t.Fatalf("want a white path and a black one, got %d", len(p.Paths))
	}
	if want := fmt.Sprintf("M0 0h%dv%dH0z", side, side); p.Paths[0].D != want {
		t.Fatalf("the ground is %q, want %q", p.Paths[0].D, want)
	}
	img := image.NewGray(image.Rect(0, 0, side*scale, side*scale))
	for i := range img.Pix {
		img.Pix[i] = 0xff
	}
	rest := p.Paths[1].D
	for _, m := range run.FindAllStringSubmatch(rest, -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		w, _ := strconv.Atoi(m[3])
		if m[3] != m[4] || w == 0 || x < quiet || y < quiet || x+w > side-quiet || y >= side-quiet {
			t.Fatalf("run %q is outside the square or not closed", m[0])
		}
		for py := y * scale; py < (y+1)*scale; py++ {
			for px := x * scale; px < (x+w)*scale; px++ {
				img.SetGray(px, py, color.Gray{})
			}
		}
	}
	if left := run.ReplaceAllString(rest, ""); left != "" {
		t.Fatalf("the path has something else in it: %q", left)
	}
	return img, side
}

func TestMatrixIsUnchanged(t *testing.T) {
	for _, content := range []string{"A", "12345", sample, strings.Repeat("x", MaxContent)} {
		svg, err := SVG(content, "label")
		if err != nil {
			t.Fatal(err)
		}
		img, side := rasterise(t, svg, 1)
		code, err := qr.Encode(content, qr.M)
		if err != nil {
			t.Fatal(err)
		}
		if side != code.Size+8 {
			t.Fatalf("side is %d for a code of %d", side, code.Size)
		}
		for y := range side {
			for x := range side {
				if black := img.GrayAt(x, y).Y == 0; black != code.Black(x-quiet, y-quiet) {
					t.Fatalf("module %d,%d of %.20q: black is %v", x, y, content, black)
				}
			}
		}
	}
}

// A1, A3: what an app reads is exactly what was put in.
func TestDecodesWithZbar(t *testing.T) {
	program := zbar(t)
	for i, content := range []string{sample, "https://example.com/?a=b&c=%25", strings.Repeat("ab/1", MaxContent/4)} {
		svg, err := SVG(content, "label")
		if err != nil {
			t.Fatal(err)
		}
		img, _ := rasterise(t, svg, 6)
		var buf bytes.Buffer
		if err := png.Encode(&buf, img); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.png", i))
		if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file).Output()
		if err != nil {
			t.Fatalf("zbarimg: %v", err)
		}
		if got := strings.TrimSuffix(string(out), "\n"); got != content {
			t.Errorf("zbar reads %q, want %q", got, content)
		}
	}
}

// Only presentation attributes: nothing that a strict content security policy
// would refuse (ux rule 39).
func TestAttributes(t *testing.T) {
	svg, err := SVG(sample, "QR code")
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, svg)
	allowed := map[string]bool{"xmlns": true, "role": true, "aria-label": true, "viewBox": true, "shape-rendering": true}
	for _, a := range p.Attrs {
		if !allowed[a.Name.Local] {
			t.Errorf("svg has the attribute %s", a.Name.Local)
		}
	}
	for _, path := range p.Paths {
		for _, a := range path.Attrs {
			t.Errorf("path has the attribute %s", a.Name.Local)
		}
	}
	for name, want := range map[string]string{"role": "img", "aria-label": "QR code", "shape-rendering": "crispEdges"} {
		if got := p.attr(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if strings.Contains(svg, "otpauth") || strings.Contains(svg, "JBSW") {
		t.Error("the content stands in the picture as text")
	}
}

// cve-65: hostile labels.
func TestLabelIsEscaped(t *testing.T) {
	for label, want := range map[string]string{
		`"><script>alert(1)</script>`:   `"><script>alert(1)</script>`,
		`' onload='x' & <b>`:            `' onload='x' & <b>`,
		"two\nlines\x00\x1b":            "twolines",
		"broken \xff\xfe utf":           "broken  utf",
		"right\u202eleft":               "rightleft",
		"åäö 漢字":                        "åäö 漢字",
		strings.Repeat("é", maxLabel+9): strings.Repeat("é", maxLabel),
		"":                              "",
	} {
		svg, err := SVG("A", label)
		if err != nil {
			t.Fatal(err)
		}
		p := parse(t, svg)
		if got := p.attr("aria-label"); got != want {
			t.Errorf("label %q is read as %q", label, got)
		}
		if strings.Contains(svg, "<script") || len(p.Paths) != 2 {
			t.Errorf("label %q escapes into the picture", label)
		}
	}
}

func TestContentIsBounded(t *testing.T) {
	for content, want := range map[string]error{
		"":                                ErrEmpty,
		strings.Repeat("x", MaxContent+1): ErrLong,
		strings.Repeat("x", 1<<20):        ErrLong,
		"line\nbreak":                     ErrText,
		"nul\x00":                         ErrText,
		"é":                               ErrText,
		"\xff":                            ErrText,
	} {
		svg, err := SVG(content, "label")
		if !errors.Is(err, want) || svg != "" {
			t.Errorf("%.20q: %v, want %v", content, err, want)
		}
		if err != nil && len(content) > 3 && strings.Contains(err.Error(), content[:4]) {
			t.Errorf("the error repeats the content: %v", err)
		}
	}
}

func FuzzSVG(f *testing.F) {
	f.Add(sample, "QR code")
	f.Add("A", `"<&'>`)
	f.Fuzz(func(t *testing.T, content, label string) {
		svg, err := SVG(content, label)
		if err == nil && len(parse(t, svg).Paths) != 2 {
			t.Error("not two paths")
		}
	})
}

func BenchmarkSVG(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SVG(sample, "QR code"); err != nil {
			b.Fatal(err)
		}
	}
}
