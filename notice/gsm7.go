package notice

import (
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"
)

const (
	// gsm7 is the basic alphabet of text messages (3GPP TS 23.038 section 6.2.1), each
	// of one septet. One character outside both halves the room of the whole message.
	gsm7 = "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà\n\r"
	// gsm7More is its extension (section 6.2.1.1): an escape and a septet each.
	gsm7More = "^{}\\[~]|€\f"

	// oneMessage is how many septets go as one message: 140 octets.
	oneMessage = 160
	// twoMessages is how many go as two, each with where it belongs.
	twoMessages = 306
)

// septets is how much of a message s takes; -1: it has characters that are not of
// the alphabet.
func septets(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case strings.ContainsRune(gsm7, r):
			n++
		case strings.ContainsRune(gsm7More, r):
			n += 2
		default:
			return -1
		}
	}
	return n
}

// Length is how much of a text message something takes.
type Length struct {
	GSM7     bool // otherwise UCS-2: one character is outside the basic alphabet
	N        int  // septets, or 16-bit units
	Most     int  // of one message
	Messages int  // that it goes as; each is paid for
}

// Measure counts as providers do (3GPP TS 23.040 section 9.2.3.24: in a message of
// several parts each has a header, and room for less).
func Measure(s string) Length {
	l := Length{GSM7: true, N: septets(s), Most: oneMessage, Messages: 1}
	part := 153
	if l.N < 0 {
		l.GSM7, l.N, l.Most, part = false, len(utf16.Encode([]rune(s))), 70, 67
	}
	if l.N > l.Most {
		l.Messages = (l.N + part - 1) / part
	}
	return l
}

// written are characters of other alphabets as people write them without; Unicode
// takes none of them apart.
var written = map[rune]string{
	'Ł': "L", 'ł': "l", 'Đ': "D", 'đ': "d", 'Ð': "D", 'ð': "d", 'Þ': "Th", 'þ': "th", 'Ħ': "H", 'ħ': "h", 'ı': "i", 'Ŧ': "T", 'ŧ': "t",
	'Œ': "OE", 'œ': "oe", 'ẞ': "SS", 'Ŋ': "N", 'ŋ': "n", '×': "x", '©': "(c)", '®': "(R)",
	'‘': "'", '’': "'", '‚': "'", '‛': "'", '′': "'", '´': "'", '`': "'", '“': "\"", '”': "\"", '„': "\"", '‟': "\"", '″': "\"", '«': "\"", '»': "\"", '‹': "'", '›': "'",
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-", '•': "-", '·': "-", '⁄': "/", '∕': "/",
}

// toGSM7 writes s, one line, in the alphabet: letters without the marks that it
// lacks, digits and letters of full width and the like as themselves. lost is how
// many letters and digits have no way to be written.
func toGSM7(s string) (out string, lost int) {
	var b strings.Builder
	for _, r := range norm.NFC.String(s) {
		if one, ok := inGSM7(r); ok {
			b.WriteString(one)
			continue
		}
		for _, d := range norm.NFKD.String(string(r)) {
			if one, ok := inGSM7(d); ok {
				b.WriteString(one)
			} else if unicode.IsLetter(d) || unicode.IsNumber(d) {
				lost++
			}
		}
	}
	return clean1(b.String()), lost
}

func inGSM7(r rune) (string, bool) {
	switch {
	case unicode.IsSpace(r):
		return " ", true
	case strings.ContainsRune(gsm7, r), strings.ContainsRune(gsm7More, r):
		return string(r), true
	}
	s, ok := written[r]
	return s, ok
}
