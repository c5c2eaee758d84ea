// Package qrcode draws QR codes (ISO/IEC 18004) as SVG that stands in a page or
// in JSON. The matrix is rsc.io/qr's.
//
// The picture needs nothing from its surroundings: it brings its own quiet zone
// and white ground, so that it can be scanned from a dark page, and it has
// neither a style attribute nor a link nor a script, so that no content security
// policy stands in its way. What it encodes is usually a secret: it is drawn
// into the answer and kept nowhere.
package qrcode

import (
	"errors"
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode"

	"rsc.io/qr"
)

const (
	// MaxContent is the longest content in bytes. At level M that is version 26,
	// 121 modules a side: about the most that a phone reads from a screen.
	MaxContent = 1000
	// quiet is the white border in modules (ISO/IEC 18004 section 9.1).
	quiet = 4
	// maxLabel bounds the label, in characters.
	maxLabel = 200
)

// Errors of SVG. They never hold the content.
var (
	ErrEmpty = errors.New("qrcode: there is nothing to encode")
	ErrLong  = fmt.Errorf("qrcode: the content is longer than %d bytes", MaxContent)
	// ErrText: readers guess the encoding of anything beyond ASCII, each in its
	// own way. Addresses are percent-encoded.
	ErrText = errors.New("qrcode: the content is not printable ASCII")
)

// SVG draws content. The label is what a screen reader says instead; it may be
// any text and is escaped.
func SVG(content, label string) (string, error) {
	switch {
	case content == "":
		return "", ErrEmpty
	case len(content) > MaxContent:
		return "", ErrLong
	case strings.ContainsFunc(content, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", ErrText
	}
	// M mends 15 % of the modules; higher levels make them smaller, which costs
	// more on a screen than it gains.
	code, err := qr.Encode(content, qr.M)
	if err != nil {
		return "", errors.New("qrcode: the content cannot be encoded")
	}
	side := strconv.Itoa(code.Size + 2*quiet)
	var b strings.Builder
	b.Grow(256 + len(label) + 4*code.Size*code.Size)
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="`)
	b.WriteString(html.EscapeString(clean(label)))
	b.WriteString(`" viewBox="0 0 ` + side + ` ` + side + `" shape-rendering="crispEdges">`)
	b.WriteString(`<path fill="#fff" d="M0 0h` + side + `v` + side + `H0z"/><path fill="#000" d="`)
	path(&b, code)
	b.WriteString(`"/></svg>`)
	return b.String(), nil
}

// path writes every horizontal run of black modules as one rectangle. Runs are
// a third of the modules, and no seam shows between two modules of one run.
func path(b *strings.Builder, code *qr.Code) {
	var n []byte // numbers are written without a string for each
	for y := range code.Size {
		for x := 0; x < code.Size; {
			if !code.Black(x, y) {
				x++
				continue
			}
			start := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			n = append(n[:0], 'M')
			n = strconv.AppendInt(n, int64(start+quiet), 10)
			n = append(n, ' ')
			n = strconv.AppendInt(n, int64(y+quiet), 10)
			n = append(n, 'h')
			n = strconv.AppendInt(n, int64(x-start), 10)
			n = append(n, "v1h-"...)
			n = strconv.AppendInt(n, int64(x-start), 10)
			b.Write(append(n, 'z'))
		}
	}
}

// clean leaves out what XML cannot hold and what changes the direction of text.
func clean(label string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > maxLabel || r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\ufffe' || r == '\uffff' {
			return -1
		}
		return r
	}, label)
}
