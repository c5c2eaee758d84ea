package httpserve

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxPath = 1 << 10

// SafePath checks an address that people are sent back to: a path on this
// origin, with query and fragment if need be. What a browser, a proxy or
// url.Parse could take for another host is refused: "//host", "/\host", encoded
// slashes in front, "https:host", user info, tabs and line ends (CVE-2026-25779
// Gitea and others).
func SafePath(s string) (string, bool) {
	if len(s) == 0 || len(s) > maxPath || s[0] != '/' {
		return "", false
	}
	for _, c := range []byte(s) {
		// Spaces and anything beyond ASCII must be percent-encoded.
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '@' {
			return "", false
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "", false
	}
	// u.Path is decoded once; what is still encoded after that is somebody's
	// second decoding waiting to happen.
	if !utf8.ValidString(u.Path) || strings.ContainsAny(u.Path, `\@%`) || strings.ContainsFunc(u.Path, unicode.IsControl) {
		return "", false
	}
	if !isClean(u.Path) || strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") {
		return "", false
	}
	return s, true
}

// Landing is SafePath for where people are sent after signing in: not to the
// pages that send them on, which would be a circle.
func Landing(s string) (string, bool) {
	p, ok := SafePath(s)
	if !ok {
		return "", false
	}
	path, _, _ := strings.Cut(p, "?")
	path, _, _ = strings.Cut(path, "#")
	switch path = strings.TrimSuffix(path, "/"); {
	case path == "", path == "/continue", path == "/signout", path == "/signin", strings.HasPrefix(path, "/signin/"), strings.HasPrefix(path, "/c/"):
		return "", false
	}
	return p, true
}
