package notice

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is how many characters of a name from outside a message shows.
const maxName = 60

// maxMarks is how many accents may stand on one letter: three are in use, and
// fifty are a smear over the lines around.
const maxMarks = 3

var scheme = regexp.MustCompile(`(?i)http`)

// clean makes a string from outside fit to stand in a message: one line, at most
// `most` characters, nothing invisible, nothing that changes the direction, and
// nothing that a mail program would turn into a link. "Win at www.evil.example"
// as somebody's name would otherwise be mailed in our name (security.md 5.6).
func clean(s string, most int) string {
	if len(s) > 16*most {
		s = s[:16*most] // far more than is shown; the rest is not worth looking at
	}
	var words []string
	for _, w := range strings.Fields(visible(s)) {
		words = append(words, loosen(w))
	}
	s = scheme.ReplaceAllString(strings.Join(words, " "), "hxxp")
	if utf8.RuneCountInString(s) > most {
		s = strings.TrimRight(string([]rune(s)[:most-1]), " ") + "…"
	}
	return s
}

// visible leaves out what cannot be seen.
func visible(s string) string {
	var b strings.Builder
	prev, marks := ' ', 0
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			continue
		case unicode.IsSpace(r):
			r = ' '
		case isDot(r):
			r = '.'
		case r == '\u200c' || r == '\u200d':
			// Letters' helpers in several scripts, and nothing elsewhere.
			if !unicode.IsLetter(prev) && !unicode.IsMark(prev) {
				continue
			}
		case !unicode.IsGraphic(r):
			continue
		}
		if unicode.IsMark(r) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		b.WriteRune(r)
		prev = r
	}
	return b.String()
}

// isDot knows the characters that host names are also split at (UTS 46), and
// one that only looks like it.
func isDot(r rune) bool { return strings.ContainsRune(".。．｡․", r) }

var decimal = regexp.MustCompile(`^\pN+\.\pN+$`)

// loosen puts a space where a word would be a link: after a dot, after a colon,
// between slashes. "J.R. Smith" stays readable and "2.0" stays as it is.
func loosen(word string) string {
	if decimal.MatchString(word) {
		return word
	}
	rs := []rune(word)
	var b strings.Builder
	for i, r := range rs {
		b.WriteRune(r)
		if i+1 == len(rs) {
			break
		}
		next := rs[i+1]
		switch {
		case r == '.' && (unicode.IsLetter(next) || unicode.IsNumber(next) || unicode.IsMark(next)),
			r == ':' && !(i > 0 && unicode.IsNumber(rs[i-1]) && unicode.IsNumber(next)),
			(r == '/' || r == '\\') && (next == '/' || next == '\\'):
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// network is about where an address is: enough to tell home from abroad, and
// not enough to find somebody (/24 and /48). Empty: no address.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		b := a.As4()
		b[3] = 0
		return strings.TrimSuffix(netip.AddrFrom4(b).String(), "0") + "*"
	}
	p, err := a.Prefix(48)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(p.Addr().String(), "::") + ":*"
}
