package httpsend

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-mfa/sallyport/authn"
)

const mostReply = 300 // bytes

var (
	// number is anything long enough to be a number of a person, or most of one,
	// however it is written.
	number = regexp.MustCompile(`\+?\d(?:[\s().\-]*\d){5,}`)
	// codeLike is a word with a digit in it.
	codeLike = regexp.MustCompile(`[0-9A-Za-z]*[0-9][0-9A-Za-z]*`)
	tokens   = regexp.MustCompile(`^[0-9A-Za-z_.:@/+=-]{1,128}$`)
)

// cleaner makes foreign words fit to store and to show.
func cleaner(m authn.Message, secrets []string) func(string) string {
	hide := []string{m.Text, m.To, strings.TrimPrefix(m.To, "+")}
	for _, s := range secrets {
		hide = append(hide, s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)))
	}
	for _, word := range codeLike.FindAllString(m.Text, -1) {
		if len(word) >= 4 {
			hide = append(hide, word)
		}
	}
	hide = slices.DeleteFunc(hide, func(s string) bool { return len(s) < 4 })
	// The longest first: what is left of a long one must not hide in a short one.
	slices.SortFunc(hide, func(a, b string) int { return len(b) - len(a) })
	return func(words string) string {
		words = oneLine(words)
		for _, s := range hide {
			words = strings.ReplaceAll(words, s, "…")
		}
		return cut(number.ReplaceAllString(words, "…"))
	}
}

// oneLine drops what is invisible and joins lines.
func oneLine(words string) string {
	words = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Cc, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return ' '
		case unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, strings.ToValidUTF8(words, ""))
	return strings.Join(strings.Fields(words), " ")
}

func cut(words string) string {
	if len(words) <= mostReply {
		return words
	}
	end := mostReply - len("…")
	for !utf8.RuneStart(words[end]) {
		end--
	}
	return words[:end] + "…"
}

// token gives back a code that is one, and nothing of another.
func token(code string, clean func(string) string) string {
	if len(code) > 40 || !tokens.MatchString(code) || clean(code) != code {
		return ""
	}
	return code
}

// IsReference reports whether s can be a provider's id of a message.
func IsReference(s string) bool { return tokens.MatchString(s) }
